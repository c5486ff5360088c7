//! Which workflows run on what agents write, and with which secrets; pure.
//!
//! Reads a workflow as far as that takes
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax>), and where
//! it cannot tell, it says that the workflow runs: a warning too many does no harm. A branch brings its
//! own copy of a workflow with it, which is why agents may not change them; what is read here is the
//! one that counts.

use std::collections::BTreeSet;

use globset::GlobBuilder;
use serde_json::Value;

/// Branches that we push, for some run.
const PUSHED: [&str; 3] = [
    "pertask/run/main",
    "pertask/run/1-task",
    "pertask/run/kept/task-1",
];

/// A workflow that runs because of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    /// The events that start it.
    pub(super) events: Vec<&'static str>,
    /// Secrets that it uses, beside `GITHUB_TOKEN`; `*` for all there are.
    pub(super) secrets: Vec<String>,
    /// Whether it asks for a `GITHUB_TOKEN` that may write.
    pub(super) writes: bool,
    /// Whether one of the events is among those that are often used to work on a branch with the rights
    /// of the base.
    pub(super) privileged: bool,
}

/// Events beside pushes and pull requests that our pull requests and branches cause, and what becomes of
/// them there
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>).
const CAUSED: [&str; 11] = [
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "issue_comment",
    "workflow_run",
    "merge_group",
    "status",
    "check_run",
    "check_suite",
    "create",
    "delete",
];

/// Of these, those that run with the base's rights and are there to be given what a branch has.
const PRIVILEGED: [&str; 2] = ["pull_request_target", "workflow_run"];

/// What a workflow does because of us; `None` if it does not run. `base` is where a run's final pull
/// request goes.
///
/// # Errors
/// When it is not YAML.
pub(super) fn read(text: &str, base: &str) -> Result<Option<Running>, String> {
    let workflow: Value = ast_grep_config::from_str(text).map_err(|e| e.to_string())?;
    let mut events = Vec::new();
    let mut privileged = false;
    let on = &workflow["on"];
    if event(on, "push").is_some_and(|filter| pushed(&filter)) {
        events.push("push");
    }
    if event(on, "pull_request").is_some_and(|filter| requested(&filter, base)) {
        events.push("pull_request");
    }
    for name in CAUSED {
        let passes = |filter: Value| match name {
            "pull_request_target" | "merge_group" => requested(&filter, base),
            // The filter is on the branch that the other workflow ran for.
            "workflow_run" => PUSHED.iter().any(|branch| passes(&filter, branch)),
            _ => true,
        };
        if event(on, name).is_some_and(passes) {
            events.push(name);
            privileged |= PRIVILEGED.contains(&name);
        }
    }
    if events.is_empty() {
        return Ok(None);
    }
    let mut secrets = BTreeSet::new();
    let mut writes = false;
    collect(&workflow, &mut secrets, &mut writes);
    secrets.remove("GITHUB_TOKEN");
    Ok(Some(Running {
        events,
        secrets: secrets.into_iter().collect(),
        writes,
        privileged,
    }))
}

/// The filter of an event, `null` if it has none; `on` may be a word, a list or a map.
fn event(on: &Value, name: &str) -> Option<Value> {
    match on {
        Value::String(word) => (word == name).then_some(Value::Null),
        Value::Array(words) => words.iter().any(|w| w == name).then_some(Value::Null),
        Value::Object(map) => map.get(name).cloned(),
        _ => None,
    }
}

fn pushed(filter: &Value) -> bool {
    let branches = !filter["branches"].is_null() || !filter["branches-ignore"].is_null();
    let tags = !filter["tags"].is_null() || !filter["tags-ignore"].is_null();
    // With only tags named, no branch starts it.
    (branches || !tags) && PUSHED.iter().any(|branch| passes(filter, branch))
}

/// Pull requests of tasks go to the run branch, the last one to `base`.
fn requested(filter: &Value, base: &str) -> bool {
    passes(filter, PUSHED[0]) || passes(filter, base)
}

/// Whether a branch gets through `branches` or `branches-ignore`.
fn passes(filter: &Value, branch: &str) -> bool {
    let patterns = |key: &str| -> Option<Vec<String>> {
        match &filter[key] {
            Value::Null => None,
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => {
                let all = all.iter().filter_map(Value::as_str);
                Some(all.map(str::to_owned).collect())
            }
            _ => Some(vec!["**".to_owned()]),
        }
    };
    if let Some(wanted) = patterns("branches") {
        // The last pattern that matches decides.
        let last = wanted
            .iter()
            .rev()
            .find_map(|pattern| match pattern.strip_prefix('!') {
                Some(not) => matches(not, branch, false).then_some(false),
                None => matches(pattern, branch, true).then_some(true),
            });
        return last.unwrap_or(false);
    }
    match patterns("branches-ignore") {
        Some(ignored) => !ignored.iter().any(|p| matches(p, branch, false)),
        None => true,
    }
}

/// Whether a pattern of a workflow matches. `?` and `+` repeat what stands before them there, which
/// globs do not know: `unsure` is the answer for such a pattern.
fn matches(pattern: &str, branch: &str, unsure: bool) -> bool {
    if pattern.contains(['?', '+', '\\']) {
        return unsure;
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map_or(unsure, |glob| glob.compile_matcher().is_match(branch))
}

/// Names of secrets anywhere in the workflow, and whether it asks for write permissions.
fn collect(value: &Value, secrets: &mut BTreeSet<String>, writes: &mut bool) {
    match value {
        Value::String(text) => in_text(text, secrets),
        Value::Array(all) => all.iter().for_each(|v| collect(v, secrets, writes)),
        Value::Object(map) => {
            for (key, value) in map {
                if key == "secrets" && value == "inherit" {
                    secrets.insert("*".to_owned());
                }
                if key == "permissions" {
                    *writes |= may_write(value);
                }
                collect(value, secrets, writes);
            }
        }
        _ => {}
    }
}

fn may_write(permissions: &Value) -> bool {
    match permissions {
        Value::String(all) => all == "write-all",
        Value::Object(map) => map.iter().any(|(key, v)| v == "write" && key != "id-token"),
        _ => false,
    }
}

/// Secrets in the expressions of a text: `secrets.NAME`, `secrets['NAME']`, or all of them.
fn in_text(text: &str, secrets: &mut BTreeSet<String>) {
    // An `if:` is an expression without the braces.
    for (at, word) in text.match_indices("secrets") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)) {
            continue;
        }
        let rest = text[at + word.len()..].trim_start();
        let inside = text[..at].matches("${{").count() > text[..at].matches("}}").count();
        let name = |t: &str| -> String {
            let end = t.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            t[..end.unwrap_or(t.len())].to_ascii_uppercase()
        };
        if let Some(rest) = rest.strip_prefix('.') {
            match name(rest) {
                found if found.is_empty() => {}
                found => drop(secrets.insert(found)),
            }
        } else if let Some(rest) = rest.strip_prefix('[') {
            let quoted = rest.trim_start().strip_prefix(['\'', '"']).map(name);
            secrets.insert(quoted.unwrap_or_else(|| "*".to_owned()));
        } else if inside {
            secrets.insert("*".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(on: &str) -> Vec<&'static str> {
        let text = format!("on: {on}\njobs: {{}}\n");
        read(&text, "main")
            .unwrap()
            .map_or(Vec::new(), |r| r.events)
    }

    #[test]
    fn which_events_are_ours() {
        for (on, events) in [
            ("push", &["push"][..]),
            ("[push, pull_request]", &["push", "pull_request"]),
            ("{push: , workflow_dispatch: }", &["push"]),
            ("{push: {branches: [main]}}", &[]),
            ("{push: {branches: main}}", &[]),
            ("{push: {branches: ['**']}}", &["push"]),
            ("{push: {branches: ['*']}}", &[]),
            ("{push: {branches: ['*/**']}}", &["push"]),
            ("{push: {branches: ['pertask/**', '!pertask/**']}}", &[]),
            ("{push: {branches: ['!main', 'pertask/*/main']}}", &["push"]),
            ("{push: {branches: ['per+task?/x']}}", &["push"]),
            ("{push: {branches-ignore: ['pertask/**']}}", &[]),
            ("{push: {branches-ignore: ['pertask/*']}}", &["push"]),
            ("{push: {tags: ['v*']}}", &[]),
            ("{push: {tags: ['v*'], branches: ['**']}}", &["push"]),
            ("{push: {paths: ['docs/**']}}", &["push"]),
            ("{pull_request: {branches: [main]}}", &["pull_request"]),
            ("{pull_request: {branches: [release]}}", &[]),
            (
                "{pull_request: {branches-ignore: ['pertask/**', main]}}",
                &[],
            ),
            ("{pull_request_target: {branches: [release]}}", &[]),
            ("pull_request_target", &["pull_request_target"]),
            ("{issue_comment: {types: [created]}}", &["issue_comment"]),
            ("{push: {branches: ['pertask/*/kept/**']}}", &["push"]),
            ("{workflow_run: {workflows: [CI]}}", &["workflow_run"]),
            ("{workflow_run: {workflows: [CI], branches: [main]}}", &[]),
            ("{merge_group: {branches: [main]}}", &["merge_group"]),
            (
                "[status, check_run, check_suite, delete]",
                &["status", "check_run", "check_suite", "delete"],
            ),
            ("workflow_dispatch", &[]),
            ("{schedule: [{cron: '1 2 * * *'}]}", &[]),
            ("7", &[]),
        ] {
            assert_eq!(runs(on), events, "{on}");
        }
    }

    #[test]
    fn which_secrets_are_used() {
        let text = r#"
name: Deploy
on:
  push:
permissions:
  contents: read
env:
  A: ${{ secrets.DEPLOY_KEY }}
jobs:
  one:
    permissions: {packages: write}
    steps:
      - if: secrets.maybe != ''
        run: echo "${{ secrets['OTHER'] }}" ${{ secrets.GITHUB_TOKEN }} my-secrets.txt
      - run: cat secrets
  two:
    uses: ./.github/workflows/other.yml
    secrets: inherit
"#;
        let found = read(text, "main").unwrap().unwrap();
        assert_eq!(found.events, ["push"]);
        assert_eq!(found.secrets, ["*", "DEPLOY_KEY", "MAYBE", "OTHER"]);
        assert!(found.writes);
        assert!(!found.privileged);
        let all = "on: push\nenv: {A: \"${{ toJSON(secrets) }}\"}";
        assert_eq!(read(all, "main").unwrap().unwrap().secrets, ["*"]);
        let none = "on: pull_request_target\njobs: {a: {env: {T: '${{ secrets.GITHUB_TOKEN }}'}}}";
        let found = read(none, "main").unwrap().unwrap();
        assert!(found.secrets.is_empty() && !found.writes && found.privileged);
        let after = "on: {workflow_run: {workflows: [CI]}}\njobs: {}";
        assert!(read(after, "main").unwrap().unwrap().privileged);
    }

    #[test]
    fn what_is_no_workflow_is_no_panic() {
        for text in [
            "",
            "- a",
            "on",
            "on: {push: 7}",
            "on: {push: {branches: {a: b}}}",
            "7",
            "\u{0}",
        ] {
            let _ = read(text, "main");
        }
        assert!(read("on: [push\n", "main").is_err());
    }
}
