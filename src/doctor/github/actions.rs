//! What it takes that runs go on in GitHub Actions: the workflow, its environment, a repository setting.
//!
//! Without the workflow all of that is nobody's concern, and is not looked at.

use globset::GlobBuilder;
use serde_json::Value;

use super::{Finding, Known, Level, finding, head, split};
use crate::forge::github::{ApiError, Client, Place};
use crate::git::{AtCommit, Repo};
use crate::plan::Documents as _;
use crate::workflow::{self, MAIN, ORDER};

/// The environment that has the agent's key.
const ENVIRONMENT: &str = "pertask";

/// Looks at all of it; `base` is the default branch.
pub(super) fn look(
    client: &mut Client,
    repo: &Repo,
    known: &Known,
    base: &str,
    out: &mut Vec<Finding>,
) {
    let place = client.place().clone();
    let written = Written::at(repo, &place, base);
    let path = format!("{}/actions/workflows/pertask.yml", place.repository());
    let answer = client.get(&path);
    let there = answer.is_ok();
    out.push(match answer {
        Ok(answer) => state(&answer.body, base),
        Err(ApiError::NotFound { .. }) => missing(repo, base),
        Err(error) => {
            let text = format!("whether {MAIN} is on {base} cannot be seen: {error}");
            split("github.runs", Level::Warn, &text)
        }
    });
    if !there {
        return;
    }
    out.extend(written.compared(known));
    environment(client, known, base, out);
    let app = written.main.as_deref().is_some_and(workflow::uses_app);
    if !app {
        out.push(permission(client));
    }
}

/// What GitHub says of the workflow: `GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}`.
fn state(body: &Value, base: &str) -> Finding {
    let state = body["state"].as_str().unwrap_or_default();
    if state == "active" {
        let text = format!("{MAIN} is on {base}: runs go on in GitHub Actions");
        return finding("github.runs", Level::Ok, &text);
    }
    let why = match state {
        "disabled_inactivity" => "because nothing happened in the repository for 60 days",
        "disabled_fork" => "because the repository is a fork",
        "disabled_manually" => "by somebody",
        other => other,
    };
    let text = format!("{MAIN} is switched off, {why}: nothing goes on by itself");
    finding("github.runs", Level::Bad, &text).mend("gh workflow enable pertask.yml")
}

/// GitHub does not know the workflow.
fn missing(repo: &Repo, base: &str) -> Finding {
    let here = head(repo).is_some_and(|commit| {
        let docs = AtCommit::new(repo, &commit);
        docs.exists(MAIN).unwrap_or(false)
    });
    if here {
        let text = format!("{MAIN} is committed, but not on {base} at GitHub, so it does nothing");
        let mend = format!("push it to {base}, or merge it there");
        return finding("github.runs", Level::Warn, &text).mend(mend);
    }
    let text = format!(
        "there is no {MAIN} on {base}: runs go on when somebody calls `git pertask continue`"
    );
    finding("github.runs", Level::Ok, &text).mend("git pertask init --github")
}

/// The workflows as they were committed.
struct Written {
    /// What the texts are of, in words.
    place: String,
    main: Option<String>,
    order: Option<String>,
}

impl Written {
    /// Those of the default branch as it was last fetched, else of the commit at hand.
    fn at(repo: &Repo, place: &Place, base: &str) -> Self {
        let tracked = format!("refs/remotes/{}/{base}", place.remote);
        let fetched = repo.resolve(&tracked).ok().flatten();
        let (place, commit) = match fetched {
            Some(commit) => (format!("on {base}"), Some(commit)),
            None => ("here".to_owned(), head(repo)),
        };
        let read = |path: &str| {
            let docs = AtCommit::new(repo, commit.as_deref()?);
            docs.read(path).ok().flatten()
        };
        Self {
            main: read(MAIN),
            order: read(ORDER),
            place,
        }
    }

    /// Whether they are what this version writes. They are there to be edited, so nothing else is bad.
    fn compared(&self, known: &Known) -> Option<Finding> {
        let place = &self.place;
        let Some(main) = &self.main else {
            let text = format!("{MAIN} is not {place}, so it was not compared");
            return Some(finding("github.written", Level::Ok, &text).mend("git fetch"));
        };
        let Some(order) = &self.order else {
            let text = format!("{MAIN} calls {ORDER}, which is not {place}");
            let found = finding("github.written", Level::Bad, &text);
            return Some(found.mend("git pertask init --github, or commit and push it"));
        };
        let name = &known.config.agent;
        let agent = known.config.agents.get(name)?;
        let action = workflow::action_in(main).unwrap_or_default();
        let [(_, ours), (_, ours_too)] = workflow::render(action, name, agent);
        let version = env!("CARGO_PKG_VERSION");
        if workflow::same(main, &ours) && workflow::same(order, &ours_too) {
            let text = format!("the workflows {place} are as git pertask {version} writes them");
            return Some(finding("github.written", Level::Ok, &text));
        }
        let text =
            format!("the workflows {place} are not quite as git pertask {version} writes them");
        let mend = "fine if you edited them; to compare, move them aside, git pertask init --github, git diff";
        Some(finding("github.written", Level::Ok, &text).mend(mend))
    }
}

/// Looks at the environment, as far as the token lets us.
fn environment(client: &mut Client, known: &Known, base: &str, out: &mut Vec<Finding>) {
    let place = client.place().clone();
    let path = format!("{}/environments/{ENVIRONMENT}", place.repository());
    let page = format!("{}/{}/settings/environments", place.web, place.slug());
    let body = match client.get(&path) {
        Ok(answer) => answer.body,
        Err(ApiError::NotFound { .. }) => {
            let text = format!(
                "there is no environment {ENVIRONMENT}: attempts have no key, and GitHub makes one that is open to every branch"
            );
            let mend = format!("make it, for {base} alone, with the agent's key: {page}");
            out.push(finding("github.environment", Level::Bad, &text).mend(mend));
            return;
        }
        Err(error) => {
            let text = format!("the environment {ENVIRONMENT} cannot be seen: {error}");
            out.push(
                finding("github.environment", Level::Warn, &text).mend(format!("look at {page}")),
            );
            return;
        }
    };
    let custom = body["deployment_branch_policy"]["custom_branch_policies"] == true;
    let policies =
        custom.then(|| client.get(&format!("{path}/deployment-branch-policies?per_page=100")));
    let policies = policies.and_then(Result::ok).map(|answer| answer.body);
    let limits = limits(&body, policies.as_ref(), base);
    out.push(match limits {
        (Level::Ok, text) => finding("github.environment", Level::Ok, &text),
        (level, text) => {
            let mend = format!("make {base} its only deployment branch: {page}");
            finding("github.environment", level, &text).mend(mend)
        }
    });
    // Only who may administer environments sees the names of their secrets.
    if let Ok(answer) = client.get(&format!("{path}/secrets?per_page=100")) {
        out.extend(secrets(&answer.body, known));
    }
}

/// Who may use the environment: `GET /repos/{owner}/{repo}/environments/{environment_name}` and its
/// `deployment-branch-policies`.
fn limits(body: &Value, policies: Option<&Value>, base: &str) -> (Level, String) {
    let reviewed = body["protection_rules"]
        .as_array()
        .is_some_and(|rules| rules.iter().any(|r| r["type"] == "required_reviewers"));
    let asks = if reviewed {
        "; each attempt waits there for a person's approval"
    } else {
        ""
    };
    let name = format!("the environment {ENVIRONMENT}");
    let policy = &body["deployment_branch_policy"];
    if policy["protected_branches"] == true {
        let text = format!("{name} is open to protected branches, which {base} has to be{asks}");
        return (Level::Ok, text);
    }
    if policy["custom_branch_policies"] != true {
        let text = format!(
            "{name} is open to every branch, so whoever may push can take the agent's key{asks}"
        );
        return (Level::Warn, text);
    }
    let Some(list) = policies.and_then(|p| p["branch_policies"].as_array()) else {
        let text = format!("{name} is limited to some branches; which ones cannot be seen{asks}");
        return (Level::Warn, text);
    };
    let names: Vec<String> = list
        .iter()
        .map(|policy| {
            let name = policy["name"].as_str().unwrap_or_default();
            match policy["type"].as_str() {
                Some("tag") => format!("tag {name}"),
                _ => name.to_owned(),
            }
        })
        .collect();
    let open = names.join(", ");
    if !names.iter().any(|pattern| covers(pattern, base)) {
        let open = if open.is_empty() { "nothing" } else { &open };
        let text = format!("{name} is open to {open}, not to {base}, where attempts run");
        return (Level::Bad, text);
    }
    if names.iter().any(|pattern| pattern != base) {
        let text = format!(
            "{name} is open to {open}: whoever may push such a branch can take the agent's key{asks}"
        );
        return (Level::Warn, text);
    }
    (Level::Ok, format!("{name} is open to {base} only{asks}"))
}

/// As GitHub matches the patterns of an environment: like `fnmatch` with `FNM_PATHNAME`.
fn covers(pattern: &str, branch: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(branch))
}

/// Whether the agent's key is there: `GET …/environments/{environment_name}/secrets`.
fn secrets(body: &Value, known: &Known) -> Option<Finding> {
    let there = body["secrets"].as_array()?;
    let wanted = workflow::keys(known.config.agents.get(&known.config.agent)?);
    let has = |name: &String| {
        let same = |s: &Value| {
            s["name"]
                .as_str()
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        there.iter().any(same)
    };
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|n| !has(n))
        .map(String::as_str)
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let Some(first) = missing.first() else {
        let text = format!("the environment {ENVIRONMENT} has {}", wanted.join(", "));
        return Some(finding("github.key", Level::Ok, &text));
    };
    let text = format!(
        "the environment {ENVIRONMENT} does not have {}, so {} has no key in an attempt, unless the workflows say otherwise",
        missing.join(", "),
        known.config.agent
    );
    let mend = format!("gh secret set {first} --env {ENVIRONMENT}");
    Some(finding("github.key", Level::Warn, &text).mend(mend))
}

/// Whether workflows may open pull requests; only administrators can see it.
fn permission(client: &mut Client) -> Finding {
    let place = client.place().clone();
    let path = format!("{}/actions/permissions/workflow", place.repository());
    let answer = client.get(&path).ok();
    may_open(&place, answer.as_ref().map(|answer| &answer.body))
}

/// `GET /repos/{owner}/{repo}/actions/permissions/workflow`.
fn may_open(place: &Place, body: Option<&Value>) -> Finding {
    let setting = "\"Allow GitHub Actions to create and approve pull requests\"";
    let page = format!("{}/{}/settings/actions", place.web, place.slug());
    match body.and_then(|body| body["can_approve_pull_request_reviews"].as_bool()) {
        Some(true) => finding(
            "github.actions",
            Level::Ok,
            "workflows may open pull requests with GITHUB_TOKEN",
        ),
        Some(false) => finding(
            "github.actions",
            Level::Bad,
            "workflows may not open pull requests with GITHUB_TOKEN",
        )
        .mend(format!("tick {setting} at {page}")),
        None => finding(
            "github.actions",
            Level::Warn,
            "whether workflows may open pull requests with GITHUB_TOKEN cannot be seen with this token",
        )
        .mend(format!("look whether {setting} is ticked at {page}")),
    }
}

#[cfg(test)]
mod tests;
