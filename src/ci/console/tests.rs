//! The whole of what is printed.

use super::*;
use crate::report::sample::Random;
use crate::run::order::CheckKind;

/// The secrets of most tests.
fn secrets() -> Secrets {
    let mut secrets = Secrets::default();
    secrets.add("GITHUB_TOKEN", "marked-token-0001");
    secrets.add("MY_AGENT_KEY", "two\nlines-of-a-key 100%");
    secrets
}

/// What is printed, each token by a name of its own.
fn printed(tell: impl FnOnce(&mut Console<&mut Vec<u8>>)) -> String {
    let mut out = Vec::new();
    let mut console = Console::new(&mut out, secrets(), Words::known());
    tell(&mut console);
    drop(console);
    let mut text = String::from_utf8(out).unwrap();
    let mut words = Words::known();
    for n in 1..100 {
        text = text.replace(&words.give(), &format!("<token {n}>"));
    }
    text
}

fn activity(said: &str) -> Event {
    Event::Agent(Progress::Activity(said.to_owned()))
}

fn checked(passed: bool, output: &str) -> Event {
    Event::Checked(CheckOutcome {
        kind: CheckKind::Build,
        name: "go build ./...".to_owned(),
        passed,
        detail: "ended with exit status 1".to_owned(),
        output: output.to_owned(),
        duration_ms: 1_240,
    })
}

#[test]
fn an_attempt_is_a_group() {
    let text = printed(|console| {
        console.said("Attempt 1 on task 1 of 2, types (API types), begins\n\nmore\n::error::x");
        console.begins("types", "types, attempt 1 with claude");
        console.event("types", &Event::Agent(Progress::Started { pid: 7 }));
        for said in [
            "Write pkg/x.go",
            "Write pkg/x.go",
            "::set-output name=orders::[1]\n::endgroup::",
            "##[add-mask]x \u{1b}[2J marked-token-0001",
        ] {
            console.event("types", &activity(said));
        }
        let cost = Progress::Cost {
            usd: Some(0.816),
            tokens: Some(7),
        };
        console.event("types", &Event::Agent(cost));
        console.event("types", &Event::Checking);
        console.event("types", &Event::Check("go build ./...".to_owned()));
        console.event(
            "types",
            &checked(
                false,
                "a.go:1:2: undefined\r\n::warning::x\n\tbWFya2VkLXRva2VuLTAwMDE\n",
            ),
        );
        console.ends("types");
        console.warn("no such label\n::x::");
        console.remarks(&Remarks {
            commands: actions::remark(Gravity::Error, "build", Some(("a.go", 1)), "undefined"),
            rest: Vec::new(),
        });
        console.said("done");
        console.error("the result cannot be written: marked-token-0001");
    });
    insta::assert_snapshot!(text, @r"
    ::add-mask::marked-token-0001
    ::add-mask::two%0Alines-of-a-key 100%25
    ::stop-commands::<token 1>
    Attempt 1 on task 1 of 2, types (API types), begins

    more
    ::error::x
    ::<token 1>::
    ::group::types, attempt 1 with claude
    ::stop-commands::<token 2>
    the agent has started
    | Write pkg/x.go
    | ::set-output name=orders::[1] ::endgroup::
    | ## [add-mask]x ***
    checking
    checking: go build ./...
    FAILED go build ./... (1.2s): ended with exit status 1
    | a.go:1:2: undefined
    | ::warning::x
    | 	***E
    cost: $0.82
    ::<token 2>::
    ::endgroup::
    ::warning::no such label%0A::x::
    ::error file=a.go,line=1,title=build::undefined
    ::stop-commands::<token 3>
    done
    ::<token 3>::
    ::error::the result cannot be written: ***
    ");
}

#[test]
fn a_key_is_masked_as_soon_as_it_is_known() {
    let text = printed(|console| {
        console.said("the key is marked-key-0003");
        let mut more = secrets();
        more.add("MY_OTHER_KEY", "marked-key-0003");
        console.mask(more);
        console.said("the key is marked-key-0003");
    });
    insta::assert_snapshot!(text, @r"
    ::add-mask::marked-token-0001
    ::add-mask::two%0Alines-of-a-key 100%25
    ::stop-commands::<token 1>
    the key is marked-key-0003
    ::<token 1>::
    ::add-mask::marked-key-0003
    ::stop-commands::<token 2>
    the key is ***
    ::<token 2>::
    ");
}

#[test]
fn attempts_side_by_side_have_a_group_each() {
    let text = printed(|console| {
        console.event("", &Event::Check("go build ./...".to_owned()));
        console.event("", &checked(true, "not shown"));
        console.begins("a", "a, attempt 1");
        console.begins("b", "b, attempt 1");
        console.begins("c", "c, attempt 1");
        console.event("a", &activity("one of a"));
        console.event("c", &activity("one of c"));
        console.event("b", &activity("one of b"));
        console.ends("c");
        console.event("a", &activity("two of a"));
        console.ends("a");
        console.event("b", &activity("two of b"));
        console.event("nobody", &activity("not shown"));
        console.ends("nobody");
    });
    insta::assert_snapshot!(text, @r"
    ::add-mask::marked-token-0001
    ::add-mask::two%0Alines-of-a-key 100%25
    ::group::Build
    ::stop-commands::<token 1>
    checking: go build ./...
    ok go build ./... (1.2s)
    ::<token 1>::
    ::endgroup::
    ::group::a, attempt 1
    ::stop-commands::<token 2>
    | one of a
    | two of a
    ::<token 2>::
    ::endgroup::
    ::group::b, attempt 1
    ::stop-commands::<token 3>
    | one of b
    | two of b
    ::<token 3>::
    ::endgroup::
    ::group::c, attempt 1
    ::stop-commands::<token 4>
    | one of c
    ::<token 4>::
    ::endgroup::
    ");
}

#[test]
fn an_agent_that_never_ends_talking_is_cut() {
    let text = printed(|console| {
        console.begins("a", "a");
        for n in 0..10_000 {
            console.event("a", &activity(&format!("line {n}")));
        }
    });
    assert_eq!(
        text.lines().filter(|l| l.starts_with("| line")).count(),
        LINES
    );
    let mut last = text.lines().rev();
    assert_eq!(
        last.nth(2),
        Some("| … the agent goes on, and more of it is not shown here")
    );
}

/// Reads lines as the runner does; returns the names of the commands it would follow.
fn followed(text: &str) -> Vec<String> {
    let (mut token, mut names): (Option<String>, Vec<String>) = (None, Vec::new());
    for line in text.split(['\n', '\r']) {
        let Some((head, data)) = line
            .trim_start()
            .strip_prefix("::")
            .and_then(|l| l.split_once("::"))
        else {
            assert!(token.is_some() || line.is_empty(), "outside of all: {line}");
            continue;
        };
        let name = head.split(' ').next().unwrap().to_owned();
        match &token {
            Some(wanted) if name == *wanted => token = None,
            Some(_) => {}
            None if name == "stop-commands" => token = Some(data.to_owned()),
            None => names.push(name),
        }
    }
    assert_eq!(token, None, "commands stay stopped");
    names
}

#[test]
fn whatever_is_said_the_runner_follows_our_commands_only() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut out = Vec::new();
        let mut console = Console::new(&mut out, secrets(), Words::known());
        let evil = |random: &mut Random| {
            let pieces = [
                "\n::set-env name=x::y",
                "\n ::endgroup::",
                "##[set-output]",
                "mar\u{200b}ked-\u{1b}[0mtoken-0001",
            ];
            format!(
                "{}{}{}",
                random.hostile(),
                pieces[random.below(4)],
                random.hostile()
            )
        };
        for _ in 0..40 {
            let item = ["", "a", "b"][random.below(3)];
            let said = evil(&mut random);
            match random.below(9) {
                0 => console.said(&said),
                1 => console.warn(&said),
                2 => console.begins(item, &said),
                3 => console.ends(item),
                4 => console.error(&said),
                5 => console.event(item, &Event::Check(said)),
                6 => console.event(item, &checked(random.flip(), &said)),
                _ => console.event(item, &activity(&said)),
            }
        }
        drop(console);
        let text = String::from_utf8(out).unwrap();
        let mut open = 0;
        for name in followed(&text) {
            match name.as_str() {
                "group" => open += 1,
                "endgroup" => open -= 1,
                "add-mask" | "warning" | "error" => {}
                other => panic!("{other} in\n{text}"),
            }
            assert!(open == 0 || open == 1, "{open} in\n{text}");
        }
        assert_eq!(open, 0, "{text}");
        let told = "::add-mask::marked-token-0001\n";
        assert_eq!(text.matches("marked-token-0001").count(), 1, "{text}");
        assert!(text.starts_with(told));
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']));
        let older = |l: &str| l.contains("##[") && !l.starts_with("::");
        assert!(!text.lines().any(older), "{text}");
    }
}
