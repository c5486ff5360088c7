//! What events ask for, by payloads as GitHub publishes them, and whatever else comes in.

use serde_json::{Map, Value, json};

use super::*;
use crate::report::sample::Random;

#[path = "../../../tests/support/github/npm.rs"]
mod npm;

const HERE: &str = "Codertocat/Hello-World";

/// The published examples of an event
/// (<https://github.com/octokit/webhooks/tree/main/payload-examples>).
fn examples(name: &str) -> Vec<Value> {
    let file = npm::package_file("@octokit/webhooks-examples", "api.github.com/index.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let all = all.as_array().unwrap();
    let of = all.iter().find(|e| e["name"] == name).unwrap();
    of["examples"].as_array().unwrap().clone()
}

fn example(name: &str, action: &str) -> Value {
    let mut all = examples(name).into_iter();
    all.find(|e| e["action"] == action).unwrap()
}

/// `example` with some of it changed, by JSON pointer.
fn with(mut example: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        example.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    example
}

/// In a line: what an event asks for.
fn said(name: &str, payload: &Value, repository: &str) -> String {
    said_of(name, Some(payload.to_string().as_bytes()), repository)
}

fn said_of(name: &str, payload: Option<&[u8]>, repository: &str) -> String {
    match read(name, payload, repository) {
        Asks::Start {
            plan,
            mode,
            agent,
            parameters,
        } => format!("start {plan} {mode:?} {agent:?} {parameters:?}"),
        Asks::GoOn { by: None } => "go on".to_owned(),
        Asks::GoOn { by: Some(by) } => format!("go on, if {} ({}) may", by.login, by.id),
        Asks::Nothing { why } => why,
    }
}

fn branch(payload: Value) -> Value {
    with(
        payload,
        &[("/pull_request/head/ref", json!("pertask/wiz/1-types"))],
    )
}

#[test]
fn reviews_as_github_publishes_them() {
    let name = "pull_request_review";
    let submitted = branch(example(name, "submitted"));
    let state = |state: &str| with(submitted.clone(), &[("/review/state", json!(state))]);
    let says = |payload: &Value| said(name, payload, HERE);
    assert_eq!(
        says(&state("approved")),
        "go on, if Codertocat (21031067) may"
    );
    assert_eq!(
        says(&state("changes_requested")),
        "go on, if Codertocat (21031067) may"
    );
    assert_eq!(
        says(&state("CHANGES_REQUESTED")),
        "go on, if Codertocat (21031067) may"
    );
    // A state of a later day.
    assert_eq!(
        says(&state("doubted")),
        "go on, if Codertocat (21031067) may"
    );
    assert_eq!(says(&state("commented")), "the review only comments");
    let edited = with(state("approved"), &[("/action", json!("edited"))]);
    assert_eq!(says(&edited), "go on, if Codertocat (21031067) may");
    let dismissed = branch(example(name, "dismissed"));
    assert_eq!(says(&dismissed), "go on, if Codertocat (21031067) may");
    assert_eq!(
        said(name, &dismissed, "codertocat/hello-world"),
        "go on, if Codertocat (21031067) may"
    );
}

#[test]
fn reviews_that_ask_for_nothing() {
    let name = "pull_request_review";
    let approved = with(
        branch(example(name, "submitted")),
        &[("/review/state", json!("approved"))],
    );
    let cases: [(&str, &[(&str, Value)]); 14] = [
        ("another action", &[("/action", json!("requested\u{202e}"))]),
        ("no action", &[("/action", Value::Null)]),
        ("no state", &[("/review/state", json!(7))]),
        (
            "another branch",
            &[("/pull_request/head/ref", json!("changes"))],
        ),
        (
            "a fork of the same name",
            &[("/pull_request/head/repo/id", json!(186_853_003))],
        ),
        (
            "a fork that is gone",
            &[("/pull_request/head/repo", Value::Null)],
        ),
        (
            "an id as text",
            &[("/pull_request/head/repo/id", json!("186853002"))],
        ),
        ("another base", &[("/pull_request/base/repo/id", json!(1))]),
        ("no number", &[("/repository/id", Value::Null)]),
        ("no repository", &[("/repository", Value::Null)]),
        ("no pull request", &[("/pull_request", Value::Null)]),
        ("a bot", &[("/sender/type", json!("Bot"))]),
        ("a bot's review", &[("/review/user/login", json!("x[bot]"))]),
        (
            "a strange account",
            &[("/sender/login", json!("../../admin"))],
        ),
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|(what, changes)| {
            let payload = with(approved.clone(), changes);
            format!("{what}: {}", said(name, &payload, HERE))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    another action: the event pull_request_review with the action “requested” asks for nothing
    no action: the event pull_request_review without an action asks for nothing
    no state: the payload of pull_request_review does not have the state of the review
    another branch: the pull request's branch does not begin with pertask/
    a fork of the same name: the pull request is from another repository
    a fork that is gone: the pull request is from another repository
    an id as text: the pull request is from another repository
    another base: the pull request is from another repository
    no number: the payload of pull_request_review does not have the number of the repository
    no repository: the payload of pull_request_review does not have a repository
    no pull request: the event is about no pull request
    a bot: the event was caused by a bot
    a bot's review: the review is by a bot
    a strange account: the payload of pull_request_review does not have an account that caused it
    ");
    assert_eq!(
        said_of(name, Some(approved.to_string().as_bytes()), "acme/widgets"),
        "the event is of the repository “Codertocat/Hello-World”, not of acme/widgets"
    );
    assert_eq!(
        said_of(name, Some(approved.to_string().as_bytes()), "acme"),
        "“acme” is not the owner and name of a repository"
    );
}

#[test]
fn comments_that_are_commands() {
    let name = "issue_comment";
    let created = with(
        example(name, "created"),
        &[
            (
                "/issue/pull_request",
                json!({ "url": "https://api.github.com/x" }),
            ),
            ("/comment/body", json!("\r\n/pertask retry\r\n")),
        ],
    );
    let says = |changes: &[(&str, Value)]| said(name, &with(created.clone(), changes), HERE);
    assert_eq!(says(&[]), "go on, if Codertocat (21031067) may");
    assert_eq!(
        says(&[("/action", json!("edited"))]),
        "go on, if Codertocat (21031067) may"
    );
    assert_eq!(
        says(&[("/action", json!("deleted"))]),
        "the event issue_comment with the action “deleted” asks for nothing"
    );
    assert_eq!(
        says(&[("/issue/pull_request", Value::Null)]),
        "the comment is not on a pull request"
    );
    for body in [
        "/pertasks",
        "thanks\n/pertask retry",
        "> /pertask retry",
        "    /pertask retry",
    ] {
        assert_eq!(
            says(&[("/comment/body", json!(body))]),
            "the comment does not begin with /pertask",
            "{body}"
        );
    }
    assert_eq!(
        says(&[("/comment/user/type", json!("Bot"))]),
        "the comment is by a bot"
    );
    assert_eq!(
        says(&[("/sender/login", json!("github-actions[bot]"))]),
        "the event was caused by a bot"
    );
    for example in examples(name) {
        let said = said(name, &example, HERE);
        assert!(!said.starts_with("go on"), "on an issue: {said}");
    }
}

#[test]
fn pull_requests_that_are_closed_or_opened_again() {
    let name = "pull_request";
    for payload in examples(name) {
        let action = payload["action"].as_str().unwrap().to_owned();
        let wanted = if matches!(action.as_str(), "closed" | "reopened") {
            "go on, if Codertocat (21031067) may".to_owned()
        } else {
            format!("the event pull_request with the action “{action}” asks for nothing")
        };
        assert_eq!(said(name, &branch(payload), HERE), wanted);
    }
    assert_eq!(
        said(name, &example(name, "closed"), HERE),
        "the pull request's branch does not begin with pertask/"
    );
}

#[test]
fn what_only_says_that_it_is_time() {
    let dispatched = &examples("repository_dispatch")[0];
    assert_eq!(
        said("repository_dispatch", dispatched, "octo-org/octo-repo"),
        "go on"
    );
    let schedule = json!({ "schedule": "17 * * * *" });
    assert_eq!(said("schedule", &schedule, HERE), "go on");
    assert_eq!(said_of("schedule", None, HERE), "go on");
    let of_another =
        json!({ "schedule": "17 * * * *", "repository": { "full_name": "a/b", "id": 1 } });
    assert_eq!(
        said("schedule", &of_another, HERE),
        "the event is of the repository “a/b”, not of Codertocat/Hello-World"
    );
    assert_eq!(
        said_of("schedule", Some(b"{"), HERE),
        "the payload of schedule cannot be read: EOF while parsing an object at line 1 column 1"
    );
}

fn dispatch(inputs: Value) -> String {
    let mut payload = examples("workflow_dispatch").pop().unwrap();
    payload["inputs"] = inputs;
    said("workflow_dispatch", &payload, "octo-org/octo-repo")
}

#[test]
fn a_form_starts_a_run() {
    for inputs in [
        Value::Null,
        json!({}),
        json!({ "plan": "", "mode": "batch" }),
        json!({ "plan": " ", "checkpoint": "none" }),
    ] {
        assert_eq!(dispatch(inputs), "go on");
    }
    assert_eq!(dispatch(json!({ "plan": "wiz" })), "start wiz None None []");
    // What a form leaves empty is empty text; what it does not have is not looked at.
    assert_eq!(
        dispatch(json!({
            "plan": "wiz", "mode": "per-task", "agent": "codex",
            "parameters": "vendor=wiz\r\n\r\n title=A = b, c\n",
            "checkpoint": "none", "sandbox": "off", "author_may_approve": "true", "base": "evil",
        })),
        r#"start wiz Some("per-task") Some("codex") ["vendor=wiz", "title=A = b, c"]"#
    );
    assert_eq!(
        dispatch(json!({ "plan": "wiz", "mode": "auto", "agent": "", "parameters": "" })),
        r#"start wiz Some("auto") None []"#
    );
}

#[test]
fn a_form_that_is_filled_in_wrongly_starts_nothing() {
    let cases = [
        json!([]),
        json!({ "plan": 7 }),
        json!({ "plan": "../wiz" }),
        json!({ "plan": "Wiz\n::set-output name=x::y" }),
        json!({ "plan": "w".repeat(101) }),
        json!({ "plan": "wiz", "mode": "none" }),
        json!({ "plan": "wiz", "agent": "a b" }),
        json!({ "plan": "wiz", "agent": "--help" }),
        json!({ "plan": "wiz", "parameters": "vendor" }),
        json!({ "plan": "wiz", "parameters": "=x" }),
        json!({ "plan": "wiz", "parameters": "a-b=x" }),
        json!({ "plan": "wiz", "parameters": "a=x\u{1b}[2J" }),
        json!({ "plan": "wiz", "parameters": "a=x\u{202e}" }),
        json!({ "plan": "wiz", "parameters": "a=x\n".repeat(101) }),
        json!({ "plan": "wiz", "parameters": "a".repeat(20_000) }),
        json!({ "plan": "wiz", "parameters": ["a=b"] }),
    ];
    let said: Vec<String> = cases.into_iter().map(dispatch).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    the inputs of workflow_dispatch are no object
    the input plan is no text
    the input plan, “../wiz”, cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    the input plan, “Wiz ::set-output name=x::y”, cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    the input plan, “wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww…”, cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    the input mode is “none”; it takes auto, per-task or batch
    the input agent, “a b”, cannot be the name of an agent: use lower-case letters, digits and hyphens, not starting with a hyphen
    the input agent, “--help”, cannot be the name of an agent: use lower-case letters, digits and hyphens, not starting with a hyphen
    the input parameters has the line “vendor”; write key=value, one to a line
    the input parameters has the line “=x”; write key=value, one to a line
    the input parameters has the line “a-b=x”; write key=value, one to a line
    the input parameters has characters in a that cannot be seen
    the input parameters has characters in a that cannot be seen
    the input parameters has more than 100 lines
    the input parameters is longer than 16384 bytes
    the input parameters is no text
    ");
}

#[test]
fn what_is_no_payload_and_what_is_no_event() {
    let none = |name: &str, payload: Option<&[u8]>| said_of(name, payload, HERE);
    let name = "issue_comment";
    assert_eq!(
        none("push", Some(b"{}")),
        "the event “push” asks for nothing"
    );
    assert_eq!(none("", None), "the event without a name asks for nothing");
    assert_eq!(
        none("pull_request_target", Some(b"{}")),
        "the event “pull_request_target” asks for nothing"
    );
    assert_eq!(
        none(name, None),
        "the event issue_comment came without its payload"
    );
    assert_eq!(
        none(name, Some(b"\xef\xbb\xbf[]")),
        "the payload of issue_comment is no object"
    );
    assert_eq!(
        none(name, Some(b"\xff\xfe{}")),
        "the payload of issue_comment cannot be read: expected value at line 1 column 1"
    );
    let deep = format!("{}{}", "{\"a\":".repeat(200_000), "[".repeat(200_000));
    assert_eq!(
        none(name, Some(deep.as_bytes())),
        "the payload of issue_comment cannot be read: recursion limit exceeded at line 1 column 636"
    );
    let large = vec![b' '; LARGEST + 1];
    assert_eq!(
        none(name, Some(&large)),
        "the payload of issue_comment has 26214401 bytes, more than any of GitHub's"
    );
}

/// Changes one place of a value at random.
fn mangle(value: &mut Value, random: &mut Random) {
    match value {
        Value::Object(map) if !map.is_empty() && random.below(8) > 0 => {
            let key = map.keys().nth(random.below(map.len())).unwrap().clone();
            match random.below(8) {
                0 => drop(map.remove(&key)),
                1 => {
                    let name = random.hostile();
                    let inner = map[&key].clone();
                    map.insert(name, inner);
                }
                _ => mangle(&mut map[&key], random),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = random.below(list.len());
            mangle(&mut list[at], random);
        }
        other => {
            *other = match random.below(8) {
                0 => Value::Null,
                1 => json!(random.hostile()),
                2 => json!(-1),
                3 => json!(u64::MAX),
                4 => json!([{}]),
                5 => Value::Object(Map::new()),
                6 => json!("pertask/x"),
                _ => json!(random.flip()),
            };
        }
    }
}

/// A small payload of each event that asks for something.
fn asking() -> [(&'static str, Value); 4] {
    let person = json!({ "login": "olive", "id": 7, "type": "User" });
    let repository = json!({ "full_name": "acme/widgets", "id": 9 });
    let pull = json!({
        "head": { "ref": "pertask/wiz/1-types", "repo": { "id": 9 } },
        "base": { "ref": "pertask/wiz/main", "repo": { "id": 9 } },
    });
    [
        (
            "pull_request_review",
            json!({ "action": "submitted", "review": { "state": "approved", "user": person },
                "pull_request": pull, "repository": repository, "sender": person }),
        ),
        (
            "pull_request",
            json!({ "action": "closed", "pull_request": pull, "repository": repository, "sender": person }),
        ),
        (
            "issue_comment",
            json!({ "action": "created", "issue": { "pull_request": {} },
                "comment": { "body": "/pertask status", "user": person },
                "repository": repository, "sender": person }),
        ),
        (
            "workflow_dispatch",
            json!({ "inputs": { "plan": "wiz", "mode": "batch", "agent": "claude", "parameters": "a=b\nc=d" },
                "repository": repository, "sender": person }),
        ),
    ]
}

#[test]
fn whatever_comes_in_asks_for_what_it_may_or_nothing() {
    let (mut asked, mut nothing) = (0, 0);
    for seed in 1..6_000 {
        let mut random = Random::new(seed);
        let (name, mut payload) = asking()[random.below(4)].clone();
        for _ in 0..random.below(4) {
            mangle(&mut payload, &mut random);
        }
        let mut bytes = payload.to_string().into_bytes();
        if random.below(10) == 0 {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        let asks = read(name, Some(&bytes), "ACME/widgets");
        if let Asks::Nothing { why } = &asks {
            nothing += 1;
            assert!(!why.is_empty() && why.len() < 1_000, "{seed}: {why}");
            assert_eq!(*why, text::line(why), "{seed}");
            continue;
        }
        asked += 1;
        assert_eq!(asks, read(name, Some(&bytes), "acme/widgets"), "{seed}");
        let seen: Value = serde_json::from_slice(&bytes).unwrap();
        let of = seen["repository"]["full_name"].as_str().unwrap();
        assert!(of.eq_ignore_ascii_case("acme/widgets"), "{seed}");
        match asks {
            Asks::Start {
                plan, parameters, ..
            } => {
                assert_eq!(
                    (name, plan.as_str()),
                    (
                        "workflow_dispatch",
                        seen["inputs"]["plan"].as_str().unwrap().trim()
                    )
                );
                assert!(parameters.iter().all(|p| p.contains('=')), "{seed}");
            }
            Asks::GoOn { by: None } => assert_eq!(name, "workflow_dispatch", "{seed}"),
            Asks::GoOn { by: Some(by) } => {
                assert_ne!(name, "workflow_dispatch", "{seed}");
                assert_eq!(seen["sender"]["login"], by.login, "{seed}");
                assert_eq!(seen["sender"]["id"], by.id, "{seed}");
                if name != "issue_comment" {
                    let pull = &seen["pull_request"];
                    assert_eq!(
                        pull["head"]["repo"]["id"], seen["repository"]["id"],
                        "{seed}"
                    );
                    assert!(
                        pull["head"]["ref"]
                            .as_str()
                            .unwrap()
                            .starts_with("pertask/")
                    );
                }
            }
            Asks::Nothing { .. } => unreachable!(),
        }
    }
    assert!(asked > 1_500 && nothing > 1_500, "{asked} {nothing}");
}
