//! `.pertask/`: the settings and the plans, as they are committed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Level, head};
use crate::driver::orders;
use crate::git::{AtCommit, Repo};
use crate::plan::{self, Config, Diagnostics, Documents as _, config};
use crate::report::clean;
use crate::rules::user::UserRule;

const SECTION: &str = "settings";

/// Folders of `.pertask/` that are no plans.
const NO_PLANS: [&str; 3] = ["templates", "prompts", "rules"];

/// What the settings say, defaults where they say nothing or cannot be read.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) config: Config,
    /// Agents that a run would start: the configured one and those that tasks name. None where the
    /// settings cannot be read.
    pub(super) agents: BTreeSet<String>,
}

/// Looks at settings and plans.
pub(super) fn look(repo: Option<&Repo>, out: &mut Vec<Finding>) -> Known {
    let mut known = Known::default();
    let commit = repo.and_then(head);
    let mut readable = true;
    if let (Some(repo), Some(commit)) = (repo, commit) {
        let docs = AtCommit::new(repo, &commit);
        let finding = settings(&docs, &mut known.config);
        readable = finding.level == Level::Ok;
        out.push(finding);
        let team = orders::rule_files(&docs).and_then(|files| orders::parse_rules(&files));
        let team = team.unwrap_or_else(|error| {
            let text = clean::line(&format!("{error:#}"));
            out.push(Finding::new(SECTION, "settings.rules", Level::Bad, text));
            Vec::new()
        });
        for name in plans(repo, &commit) {
            plan(&name, &docs, &mut known, &team, out);
        }
        out.extend(uncommitted(repo));
    }
    if readable {
        known.agents.insert(known.config.agent.clone());
    }
    known
}

fn settings(docs: &AtCommit<'_>, config: &mut Config) -> Finding {
    let finding = |level, text| Finding::new(SECTION, "settings.config", level, text);
    match config::load(docs) {
        Err(problems) => finding(
            Level::Bad,
            format!("the settings cannot be used: {}", first(&problems)),
        ),
        Ok(found) => {
            *config = found;
            if matches!(docs.exists(config::PATH), Ok(true)) {
                finding(Level::Ok, format!("{} is understood", config::PATH))
            } else {
                let text = format!("no {} is committed: the defaults hold", config::PATH);
                finding(Level::Ok, text).mend("git pertask init")
            }
        }
    }
}

fn plan(
    name: &str,
    docs: &AtCommit<'_>,
    known: &mut Known,
    team: &[UserRule],
    out: &mut Vec<Finding>,
) {
    let finding = |level, text| Finding::new(SECTION, "settings.plan", level, text);
    let mut rules: Vec<&str> = plan::RULES.to_vec();
    rules.extend(team.iter().map(UserRule::id));
    out.push(
        match plan::load(name, docs, &known.config, &BTreeMap::new(), &rules) {
            Err(problems) => {
                let text = format!(
                    "the plan {name} cannot be run as it is: {}",
                    first(&problems)
                );
                finding(Level::Bad, text).mend(format!("git pertask plan {name}"))
            }
            Ok(loaded) => {
                let agents = loaded.plan.tasks.iter().filter_map(|t| t.agent.clone());
                known.agents.extend(agents);
                let tasks = match loaded.plan.tasks.len() {
                    1 => "1 task".to_owned(),
                    n => format!("{n} tasks"),
                };
                match loaded.warnings.len() {
                    0 => finding(Level::Ok, format!("the plan {name} has {tasks}")),
                    n => finding(
                        Level::Warn,
                        format!(
                            "the plan {name} has {tasks}, and {n} warning{}: {}",
                            if n == 1 { "" } else { "s" },
                            first(&loaded.warnings)
                        ),
                    )
                    .mend(format!("git pertask plan {name}")),
                }
            }
        },
    );
}

/// The first problem with its place, and how many more there are.
fn first(problems: &Diagnostics) -> String {
    let Some(first) = problems.iter().next() else {
        return "for no stated reason".to_owned();
    };
    let place = match first.place() {
        place if place.is_empty() => place,
        place => format!("{place}: "),
    };
    let more = match problems.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    clean::line(&format!("{place}{}{more}", first.message))
}

/// Names of the folders in `.pertask/` that hold a plan.
fn plans(repo: &Repo, commit: &str) -> Vec<String> {
    let paths = repo.list(commit, ".pertask").unwrap_or_default();
    let names = paths
        .iter()
        .filter_map(|path| path.strip_prefix(".pertask/"));
    let names = names.filter(|name| plan::valid_name(name) && !NO_PLANS.contains(name));
    names
        .filter(|name| {
            ["plan.toml", "architecture.md"].iter().any(|file| {
                let path = format!(".pertask/{name}/{file}");
                matches!(repo.entry(commit, &path), Ok(Some(_)))
            })
        })
        .map(str::to_owned)
        .collect()
}

fn uncommitted(repo: &Repo) -> Option<Finding> {
    let paths = repo.uncommitted(".pertask").ok()?;
    if paths.is_empty() {
        return None;
    }
    let shown: Vec<String> = paths.iter().take(5).map(|p| clean::line(p)).collect();
    let more = match paths.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let text = format!(
        "not committed, so not part of any run: {}{more}",
        shown.join(", ")
    );
    let finding = Finding::new(SECTION, "settings.uncommitted", Level::Warn, text);
    Some(finding.mend("git add .pertask && git commit"))
}
