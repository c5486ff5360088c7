//! A drafted plan is read as `start` would read it.

use std::collections::BTreeMap;

use super::outcome;
use crate::git::{AtCommit, Repo};
use crate::plan;
use crate::run::order::{CheckKind, CheckOutcome, Scope};

/// Reads each `.pertask/<plan>/plan.toml` among the files of the order; `None` when there is none.
#[must_use]
pub fn run(repo: &Repo, tree: &str, scope: &Scope) -> Option<CheckOutcome> {
    let names: Vec<&str> = scope
        .files
        .iter()
        .filter_map(|f| f.path.strip_prefix(".pertask/")?.strip_suffix("/plan.toml"))
        .collect();
    let name = names.first()?;
    let docs = AtCommit::new(repo, tree);
    let read = plan::config::load(&docs)
        .and_then(|config| plan::load(name, &docs, &config, &BTreeMap::new(), &plan::RULES));
    Some(match read {
        Ok(loaded) => {
            let tasks: Vec<_> = loaded.plan.tasks.iter().map(|t| t.id.as_str()).collect();
            let detail = format!("{} tasks: {}", tasks.len(), tasks.join(", "));
            let output = if loaded.warnings.is_empty() {
                String::new()
            } else {
                loaded.warnings.render(false)
            };
            outcome(CheckKind::Plan, "plan", true, detail, output)
        }
        Err(problems) => {
            let s = if problems.len() == 1 { "" } else { "s" };
            let detail = format!("{} problem{s}, so it cannot be started", problems.len());
            outcome(
                CheckKind::Plan,
                "plan",
                false,
                detail,
                problems.render(false),
            )
        }
    })
}
