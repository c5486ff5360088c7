//! What GitHub's answers mean for a run; pure.

use globset::GlobBuilder;
use serde_json::Value;

use super::super::workflows::Running;
use super::super::{Finding, Level};
use super::{RUN_BRANCH, TASK_BRANCH, finding};
use crate::forge::github::{Place, Transport};
use crate::plan::MergeMethod;

/// The repository itself: `GET /repos/{owner}/{repo}`.
pub(super) fn repository(place: &Place, body: &Value, merge: MergeMethod) -> Vec<Finding> {
    let mut out = Vec::new();
    let asked = place.slug();
    // Renamed, its settings are at its new name.
    let full = body["full_name"].as_str().filter(|name| !name.is_empty());
    let name = full.unwrap_or(&asked);
    let settings = format!("{}/{name}/settings", place.web);
    let mut add = |check, level, text: &str, mend: Option<String>| {
        let found = finding(check, level, text);
        out.push(match mend {
            Some(mend) => found.mend(mend),
            None => found,
        });
    };
    if !name.eq_ignore_ascii_case(&asked) {
        let address = match place.transport {
            Transport::Ssh => format!("git@{}:{name}.git", place.host()),
            Transport::Http | Transport::Folder => format!("{}/{name}.git", place.web),
        };
        add(
            "github.repository",
            Level::Warn,
            &format!("{asked} is called {name} now"),
            Some(format!("git remote set-url {} {address}", place.remote)),
        );
    }
    if body["archived"] == true {
        let text = format!("{name} is archived: nothing can be changed there");
        let mend = format!("unarchive it: {settings}");
        add("github.repository", Level::Bad, &text, Some(mend));
    } else if body["disabled"] == true {
        let text = format!("{name} is disabled by GitHub");
        add("github.repository", Level::Bad, &text, None);
    }
    let permissions = &body["permissions"];
    match (permissions["push"].as_bool(), role(permissions)) {
        (Some(true), role) => add(
            "github.permission",
            Level::Ok,
            &format!("the token's account may push ({role})"),
            None,
        ),
        (Some(false), role) => add(
            "github.permission",
            Level::Bad,
            &format!("the token's account may not push to {name} ({role})"),
            Some(format!(
                "ask an administrator for the role Write: {settings}/access"
            )),
        ),
        (None, _) => add(
            "github.permission",
            Level::Warn,
            "GitHub does not say whether this token may push",
            None,
        ),
    }
    let (key, word, label) = match merge {
        MergeMethod::Squash => ("allow_squash_merge", "squash", "Allow squash merging"),
        MergeMethod::Merge => ("allow_merge_commit", "merge", "Allow merge commits"),
        MergeMethod::Rebase => ("allow_rebase_merge", "rebase", "Allow rebase merging"),
    };
    match body[key].as_bool() {
        Some(true) => {
            let text = format!("tasks are merged by {word}, which the repository allows");
            add("github.merge", Level::Ok, &text, None);
        }
        Some(false) => add(
            "github.merge",
            Level::Bad,
            &format!("tasks are to be merged by {word}, which the repository does not allow"),
            Some(format!(
                "tick \"{label}\" at {settings}, or set another `merge` in .pertask/config.toml"
            )),
        ),
        None => add(
            "github.merge",
            Level::Warn,
            &format!(
                "whether the repository allows merging by {word} cannot be seen with this token"
            ),
            None,
        ),
    }
    out
}

fn role(permissions: &Value) -> &'static str {
    let has = |key: &str| permissions[key] == true;
    match () {
        () if has("admin") => "administrator",
        () if has("maintain") => "maintain",
        () if has("push") => "write",
        () if has("triage") => "triage",
        () if has("pull") => "read",
        () => "no role",
    }
}

/// Scopes of a classic token or one of a program; others have none.
pub(super) fn scopes(place: &Place, scopes: Option<&str>, private: bool) -> Option<Finding> {
    let scopes = scopes?;
    let has = |scope: &str| scopes.split(',').any(|s| s.trim() == scope);
    if has("repo") || (!private && has("public_repo")) {
        let text = format!("the token has the scopes {scopes}");
        return Some(finding("github.scopes", Level::Ok, &text));
    }
    // Tokens of Apps have this header, and nothing in it.
    if scopes.trim().is_empty() {
        return None;
    }
    let text = format!("the token has the scopes {scopes}; it takes repo");
    let mend = format!(
        "add the scope at {}/settings/tokens, or: gh auth refresh --hostname {} --scopes repo",
        place.web,
        place.host()
    );
    Some(finding("github.scopes", Level::Bad, &text).mend(mend))
}

/// What a rule does to us.
struct Effect {
    level: Level,
    /// Said of the branches: "branches pertask/* …".
    text: &'static str,
}

const BLOCKED: &str = "may not be pushed to";

/// Rules that hold for a branch of ours: `GET /repos/{owner}/{repo}/rules/branches/{branch}`. `run`:
/// for the run branch, which only pull requests and our own commits reach.
pub(super) fn rules(place: &Place, rules: &[Value], run: bool, merge: MergeMethod) -> Vec<Finding> {
    let branch = if run { RUN_BRANCH } else { TASK_BRANCH };
    let mut out: Vec<Finding> = Vec::new();
    for rule in rules {
        let kind = rule["type"].as_str().unwrap_or_default();
        let stale = rule["parameters"]["dismiss_stale_reviews_on_push"] == true;
        let effect = match kind {
            "creation" => bad("may not be made"),
            "update" | "required_deployments" => bad(BLOCKED),
            "pull_request" if run && stale => warn(
                "lose their approvals when the branch below moves; the same people are asked again",
            ),
            "pull_request" if run => warn(
                "may only be changed by pull requests, so a base that moved cannot be merged in",
            ),
            "pull_request" => {
                bad("may only be changed by pull requests, so tasks cannot be pushed")
            }
            "required_status_checks" | "workflows" | "code_scanning" => {
                bad("take only commits whose checks have passed, so tasks cannot be pushed")
            }
            "required_signatures" => bad("take only signed commits, and ours are not signed"),
            "required_linear_history" if merge == MergeMethod::Merge => {
                bad("take no merge commits, and `merge` asks for them")
            }
            "required_linear_history" => {
                warn("take no merge commits, so a base that moved cannot be merged in")
            }
            "merge_queue" => bad("are merged by a queue, which tasks cannot wait for"),
            "deletion" => warn("may not be deleted, so `git pertask clean` leaves them"),
            "commit_message_pattern"
            | "commit_author_email_pattern"
            | "committer_email_pattern"
            | "branch_name_pattern"
            | "file_path_restriction"
            | "max_file_path_length"
            | "file_extension_restriction"
            | "max_file_size" => warn("are held to a pattern or limit that a push may break"),
            // We never force, and do not wait for what is unknown.
            _ => continue,
        };
        let source = rule["ruleset_source"].as_str().unwrap_or("the repository");
        let text = format!(
            "branches like {branch} {} (rule {kind} of {source})",
            effect.text
        );
        let mend = match rule["ruleset_id"].as_u64() {
            Some(id) if rule["ruleset_source_type"] != "Organization" => format!(
                "exclude refs/heads/pertask/**/* at {}/{}/rules/{id}",
                place.web,
                place.slug()
            ),
            _ => format!("have refs/heads/pertask/**/* excluded from the ruleset of {source}"),
        };
        let found = finding("github.rules", effect.level, &text).mend(mend);
        if !out.contains(&found) {
            out.push(found);
        }
    }
    out
}

fn bad(text: &'static str) -> Effect {
    let level = Level::Bad;
    Effect { level, text }
}

fn warn(text: &'static str) -> Effect {
    let level = Level::Warn;
    Effect { level, text }
}

/// Branch protection whose pattern covers branches of ours.
pub(super) fn protection(place: &Place, rules: &[Value], merge: MergeMethod) -> Vec<Finding> {
    let mut out = Vec::new();
    for rule in rules {
        let pattern = rule["pattern"].as_str().unwrap_or_default();
        let (task, run) = (covers(pattern, TASK_BRANCH), covers(pattern, RUN_BRANCH));
        let is = |key: &str| rule[key] == true;
        let mut add = |effect: Effect| {
            let text = format!(
                "branch protection for {pattern} covers branches pertask/*: they {}",
                effect.text
            );
            let mend = format!(
                "narrow the pattern at {}/{}/settings/branches",
                place.web,
                place.slug()
            );
            out.push(finding("github.protection", effect.level, &text).mend(mend));
        };
        if !(task || run) {
            continue;
        }
        if is("lockBranch") || is("restrictsPushes") || is("blocksCreations") {
            add(bad(BLOCKED));
        }
        if task && is("requiresApprovingReviews") {
            add(bad(
                "may only be changed by pull requests, so tasks cannot be pushed",
            ));
        }
        if is("requiresStatusChecks") {
            add(bad(
                "take only commits whose checks have passed, so tasks cannot be pushed",
            ));
        }
        if is("requiresCommitSignatures") {
            add(bad("take only signed commits, and ours are not signed"));
        }
        if is("requiresLinearHistory") {
            add(if merge == MergeMethod::Merge {
                bad("take no merge commits, and `merge` asks for them")
            } else {
                warn("take no merge commits, so a base that moved cannot be merged in")
            });
        }
        if run && is("dismissesStaleReviews") {
            add(warn(
                "lose their approvals when the branch below moves; the same people are asked again",
            ));
        }
    }
    out
}

/// As GitHub matches a protection's pattern: like `fnmatch` with `FNM_PATHNAME`.
fn covers(pattern: &str, branch: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(branch))
}

/// A workflow that runs because of us.
pub(super) fn workflow(path: &str, running: &Running) -> Finding {
    let on = running.events.join(", ");
    let secrets = match running.secrets.as_slice() {
        [] => None,
        all if all.iter().any(|s| s == "*") => Some("with every secret there is".to_owned()),
        [one] => Some(format!("with the secret {one}")),
        many => Some(format!("with the secrets {}", many.join(", "))),
    };
    let writes = running
        .writes
        .then(|| "with a GITHUB_TOKEN that may write".to_owned());
    let has: Vec<String> = secrets.into_iter().chain(writes).collect();
    let text = format!("{path} runs on branches pertask/* ({on})");
    if has.is_empty() && !running.privileged {
        return finding(
            "github.workflow",
            Level::Ok,
            &format!("{text}, without secrets"),
        );
    }
    let with = if has.is_empty() {
        "with the base's rights".to_owned()
    } else {
        has.join(" and ")
    };
    let mend = if running.events == ["push"] {
        "leave our branches out: branches-ignore: ['pertask/**'] under push"
    } else {
        "let it run nothing of the branch with them, or leave our branches out (branches-ignore: ['pertask/**']; if: \"!startsWith(github.head_ref, 'pertask/')\")"
    };
    finding(
        "github.workflow",
        Level::Warn,
        &format!("{text}, on what agents wrote and nobody has reviewed, {with}"),
    )
    .mend(format!("{path}: {mend}"))
}

#[cfg(test)]
mod tests;
