use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::*;
use crate::plan::{Config, config};

const ACTION: &str = "octo/git-pertask@0123456789abcdef0123456789abcdef01234567 # v0.1.0";

/// The settings as their text says.
fn configured(text: &str) -> Config {
    config::load(&BTreeMap::from([(
        config::PATH.to_owned(),
        text.to_owned(),
    )]))
    .unwrap()
}

fn rendered(settings: &str) -> [String; 2] {
    let config = configured(settings);
    let agent = &config.agents[&config.agent];
    render(ACTION, &config.agent, agent).map(|(_, text)| text)
}

fn yaml(text: &str) -> Value {
    ast_grep_config::from_str(text).unwrap()
}

/// With the App's lines in place of those that it makes needless.
fn with_app(text: &str) -> String {
    let lines = text.lines().filter(|l| !l.ends_with("# no app"));
    lines.map(|l| l.replacen("#app ", "", 1) + "\n").collect()
}

const CUSTOM: &str = "agent = 'mine'\n[agents.mine]\ncommand = ['mine']\n";

#[test]
fn nothing_is_left_to_fill_in() {
    for settings in [
        "",
        "agent = 'codex'",
        CUSTOM,
        "[agents.claude]\nenv = ['A', 'B']",
    ] {
        for text in rendered(settings) {
            let places = text.lines().filter(|l| {
                l.split('@').nth(1).is_some_and(|w| {
                    !w.is_empty() && w.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                })
            });
            assert_eq!(places.count(), 0, "{text}");
            assert!(text.lines().all(|l| l.trim_end() == l), "{text}");
            assert!(yaml(&text).is_object());
            let app = yaml(&with_app(&text));
            assert!(app.is_object());
        }
    }
}

#[test]
fn the_keys_of_the_agent_go_to_its_step_alone() {
    for (settings, expected) in [
        ("", &["ANTHROPIC_API_KEY"][..]),
        ("agent = 'codex'", &["OPENAI_API_KEY"]),
        (
            "[agents.claude]\nenv = ['CLAUDE_CODE_OAUTH_TOKEN']",
            &["CLAUDE_CODE_OAUTH_TOKEN"],
        ),
        (
            "[agents.claude]\nenv = ['EXTRA']",
            &["ANTHROPIC_API_KEY", "EXTRA"],
        ),
        (CUSTOM, &[]),
        (
            "agent = 'mine'\n[agents.mine]\ncommand = ['mine']\nenv = ['KEY_1', 'GITHUB_X', '1A', 'a-b']",
            &["KEY_1"],
        ),
    ] {
        let [main, order] = rendered(settings).map(|text| yaml(&text));
        let names = |value: &Value| -> Vec<String> {
            value
                .as_object()
                .map_or(Vec::new(), |m| m.keys().cloned().collect())
        };
        assert_eq!(
            names(&main["jobs"]["order"]["secrets"]),
            expected,
            "{settings}"
        );
        assert_eq!(names(&order["on"]["workflow_call"]["secrets"]), expected);
        let jobs = [
            &main["jobs"]["wake"],
            &main["jobs"]["decide"],
            &order["jobs"]["publish"],
        ];
        for job in jobs {
            assert!(!job.to_string().contains("secrets."), "{job}");
        }
        for step in order["jobs"]["attempt"]["steps"].as_array().unwrap() {
            if step["name"] == "Agent" {
                assert_eq!(names(&step["env"]), expected);
                assert_eq!(step["with"]["token"], Value::Null);
            } else {
                assert!(!step.to_string().contains("secrets."), "{step}");
            }
        }
    }
}

#[test]
fn jobs_have_what_they_need_and_no_more() {
    let [main, order] = rendered("").map(|text| yaml(&text));
    for workflow in [&main, &order] {
        assert_eq!(workflow["permissions"].to_string(), "{}");
        assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            assert!(job["permissions"].is_object(), "{name}");
            assert!(
                job["timeout-minutes"].is_u64() || job["uses"].is_string(),
                "{name}"
            );
            for step in job["steps"].as_array().into_iter().flatten() {
                let uses = step["uses"].as_str().unwrap_or_default();
                if uses.starts_with("actions/checkout@") {
                    assert_eq!(step["with"]["persist-credentials"], false);
                    assert_eq!(step["with"]["fetch-depth"], 0);
                }
                assert!(!uses.contains("cache"), "{uses}");
                let pinned = uses.is_empty()
                    || uses.split_once('@').is_some_and(|(_, at)| {
                        at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit())
                    });
                assert!(pinned, "{uses}");
                // What somebody else wrote never becomes part of a script.
                assert!(
                    !step["run"].as_str().unwrap_or_default().contains("${{"),
                    "{step}"
                );
            }
        }
    }
    let permissions =
        |workflow: &Value, job: &str| workflow["jobs"][job]["permissions"].to_string();
    assert_eq!(permissions(&main, "wake"), r#"{"actions":"write"}"#);
    assert_eq!(permissions(&order, "attempt"), r#"{"contents":"read"}"#);
    // A called job can have nothing that its caller has not.
    assert_eq!(permissions(&main, "order"), permissions(&order, "publish"));
    assert_eq!(order["jobs"]["attempt"]["environment"], "pertask");
    assert_eq!(order["jobs"]["publish"]["environment"], Value::Null);
    assert_eq!(order["jobs"]["publish"]["if"], "always()");
}

/// Reads GitHub's expressions as far as the workflows use them
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>).
struct Expression<'a> {
    tokens: Vec<String>,
    at: usize,
    event: &'a Value,
}

impl<'a> Expression<'a> {
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '\'' => rest[1..].find('\'').unwrap() + 2,
                '=' | '&' | '|' => 2,
                '!' if rest.starts_with("!=") => 2,
                '!' | '(' | ')' | ',' => 1,
                _ => rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && !"._".contains(c))
                    .unwrap_or(rest.len()),
            };
            assert!(length > 0, "{rest}");
            tokens.push(rest[..length].to_owned());
            rest = rest[length..].trim_start();
        }
        tokens
    }

    fn value(text: &str, event: &'a Value) -> Value {
        let tokens = Self::tokens(text);
        let mut expression = Expression {
            tokens,
            at: 0,
            event,
        };
        let value = expression.any();
        assert_eq!(expression.at, expression.tokens.len(), "{text}");
        value
    }

    fn is(value: &Value) -> bool {
        !(value.is_null() || *value == false || *value == "" || *value == 0)
    }

    fn next_is(&mut self, token: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|t| t == token);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Value {
        let mut value = self.all();
        while self.next_is("||") {
            let next = self.all();
            value = if Self::is(&value) { value } else { next };
        }
        value
    }

    fn all(&mut self) -> Value {
        let mut value = self.equal();
        while self.next_is("&&") {
            let next = self.equal();
            value = if Self::is(&value) { next } else { value };
        }
        value
    }

    fn equal(&mut self) -> Value {
        let value = self.one();
        if self.next_is("==") {
            return Value::Bool(value == self.one());
        }
        value
    }

    fn one(&mut self) -> Value {
        if self.next_is("!") {
            return Value::Bool(!Self::is(&self.one()));
        }
        if self.next_is("(") {
            let value = self.any();
            assert!(self.next_is(")"));
            return value;
        }
        let token = self.tokens[self.at].clone();
        self.at += 1;
        if let Some(text) = token.strip_prefix('\'') {
            return Value::from(text.strip_suffix('\'').unwrap());
        }
        if self.next_is("(") {
            let mut arguments = Vec::new();
            while !self.next_is(")") {
                arguments.push(self.any().as_str().unwrap_or_default().to_owned());
                self.next_is(",");
            }
            return match (&*token, &*arguments) {
                ("startsWith", [text, start]) => Value::Bool(text.starts_with(start)),
                ("format", [form, word]) => Value::from(form.replace("{0}", word)),
                _ => panic!("{token}"),
            };
        }
        let names = token.split('.');
        names.fold(self.event.clone(), |value, name| value[name].clone())
    }

    /// A setting with expressions in it.
    fn text(text: &str, event: &'a Value) -> String {
        let mut parts = text.split("${{");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (inside, after) = part.split_once("}}").unwrap();
            filled += Self::value(inside, event).as_str().unwrap();
            filled += after;
        }
        filled
    }
}

/// What starts the workflow, as its expressions see it.
fn events() -> [(&'static str, Value); 8] {
    let pull =
        serde_json::json!({"head": {"ref": "pertask/wiz/1-types", "repo": {"full_name": "o/r"}}});
    let event = |name: &str, git_ref: &str, inputs: Value, more: Value| {
        let mut event = serde_json::json!({"repository": {"default_branch": "main"}});
        let more = more.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(more);
        serde_json::json!({
            "github": {"event_name": name, "ref": git_ref, "run_id": "7", "repository": "o/r", "event": event},
            "inputs": inputs,
        })
    };
    let none = || serde_json::json!({});
    let comment = |body: &str| serde_json::json!({"comment": {"body": body}, "issue": {"pull_request": {"url": "there"}}});
    let main_ref = "refs/heads/main";
    [
        ("schedule", event("schedule", main_ref, none(), none())),
        ("wake", event("workflow_dispatch", main_ref, none(), none())),
        (
            "form",
            event(
                "workflow_dispatch",
                main_ref,
                serde_json::json!({"plan": "wiz"}),
                none(),
            ),
        ),
        (
            "form elsewhere",
            event(
                "workflow_dispatch",
                "refs/heads/fix",
                serde_json::json!({"plan": "wiz"}),
                none(),
            ),
        ),
        (
            "comment",
            event(
                "issue_comment",
                main_ref,
                none(),
                comment("/pertask status"),
            ),
        ),
        (
            "other comment",
            event("issue_comment", main_ref, none(), comment("thanks")),
        ),
        (
            "review",
            event(
                "pull_request_review",
                "refs/pull/1/merge",
                none(),
                serde_json::json!({"pull_request": pull}),
            ),
        ),
        (
            "closed",
            event(
                "pull_request",
                "refs/pull/1/merge",
                none(),
                serde_json::json!({"pull_request": pull}),
            ),
        ),
    ]
}

/// GitHub cancels a run whose job is to wait for the group that the run holds, and drops a waiting run
/// in favour of the next in its group.
#[test]
fn no_run_waits_for_itself_and_nobody_drops_another() {
    let [main, order] = rendered("").map(|text| yaml(&text));
    let decide = &main["jobs"]["decide"];
    let mut table = String::new();
    for (what, event) in events() {
        let group =
            |of: &Value| Expression::text(of["concurrency"]["group"].as_str().unwrap(), &event);
        let runs = |job: &str| {
            let needed = main["jobs"][job]["if"].as_str().unwrap();
            Expression::is(&Expression::value(needed, &event))
        };
        let of_run = group(&main);
        for (name, job) in main["jobs"].as_object().unwrap() {
            assert!(
                job["concurrency"].is_null() || group(job) != of_run,
                "{what}: {name}"
            );
        }
        let _ = writeln!(
            table,
            "{what}: {}{}{}",
            if runs("wake") { "wakes, " } else { "" },
            if runs("decide") { "decides, " } else { "" },
            group(decide),
        );
    }
    insta::assert_snapshot!(table, @r"
    schedule: decides, pertask-decide
    wake: decides, pertask-decide
    form: decides, pertask-7
    form elsewhere: pertask-7
    comment: decides, pertask-7
    other comment: pertask-7
    review: wakes, pertask-7
    closed: wakes, pertask-7
    ");
    let of_order = order["concurrency"]["group"].as_str().unwrap();
    assert!(of_order.starts_with("pertask-order-"), "{of_order}");
    for (_, job) in order["jobs"].as_object().unwrap() {
        assert!(job["concurrency"].is_null());
    }
}

#[test]
fn who_has_an_app_uses_its_token_for_all_that_writes() {
    for settings in ["", CUSTOM] {
        let [main, order] = rendered(settings);
        assert!(!uses_app(&main) && !uses_app(&order));
        let [main, order] = [main, order].map(|text| with_app(&text));
        assert!(uses_app(&main) && uses_app(&order));
        let [main, order] = [main, order].map(|text| yaml(&text));
        for job in [&main["jobs"]["decide"], &order["jobs"]["publish"]] {
            assert_eq!(job["environment"], "pertask-app");
            let steps = job["steps"].as_array().unwrap();
            let app = steps.iter().find(|s| s["id"] == "app").unwrap();
            assert_eq!(app["with"]["private-key"], "${{ secrets.PERTASK_APP_KEY }}");
            for (permission, level) in job["permissions"].as_object().unwrap() {
                assert_eq!(&app["with"][format!("permission-{permission}")], level);
            }
            let tokens = steps.iter().filter_map(|s| s["with"]["token"].as_str());
            assert!(tokens.eq(["${{ steps.app.outputs.token }}"]));
        }
        assert_eq!(
            main["jobs"]["order"]["secrets"]["PERTASK_APP_KEY"],
            "${{ secrets.PERTASK_APP_KEY }}"
        );
        assert!(order["on"]["workflow_call"]["secrets"]["PERTASK_APP_KEY"].is_object());
    }
}

#[test]
fn agents_are_installed_in_the_versions_that_are_tested() {
    let tested: Value =
        serde_json::from_str(include_str!("../../tests/agents/package.json")).unwrap();
    for (settings, package) in [
        ("", "@anthropic-ai/claude-code"),
        ("agent = 'codex'", "@openai/codex"),
    ] {
        let version = tested["dependencies"][package].as_str().unwrap();
        let line = format!("        run: npm install --global {package}@{version}\n");
        assert!(rendered(settings)[1].contains(&line), "{line}");
    }
}

#[test]
fn the_action_is_found_again() {
    let [main, _] = rendered("");
    assert_eq!(action_in(&main), Some(ACTION));
    assert_eq!(action_in("jobs: {}"), None);
    assert!(same("a\nb\n", "a\r\nb\r\n") && !same("a\n", "b\n"));
}
