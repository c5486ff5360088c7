//! Commands that nothing breaks out of, and summaries that stay within their size.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::report::sample::{self, Random, at};
use crate::run::order::{CheckKind, CheckOutcome};
use crate::run::state::{GateItem, Phase, Pull};

fn links() -> Links {
    Links::new("https://github.com/o/r")
}

fn shown<'a>(state: &'a State, waits: &'a [Wait], links: &'a Links) -> Shown<'a> {
    Shown {
        state,
        waits,
        links,
        now: at(1130),
    }
}

#[test]
fn commands_stay_on_their_line() {
    let evil = "100%\r\n::set-output name=x::1\u{1b}[2J";
    insta::assert_snapshot!(
        [
            group(evil),
            END_GROUP.to_owned(),
            add_mask("a%\nb"),
            stop_commands("0123"),
            go_on("0123"),
            remark(Gravity::Error, evil, Some(("a,b:c%.go", 7)), evil),
            remark(Gravity::Warning, "", None, "x: y, z"),
            remark(Gravity::Notice, "only a title", None, " \n"),
        ]
        .concat(),
        @r"
    ::group::100%25 ::set-output name=x::1
    ::endgroup::
    ::add-mask::a%25%0Ab
    ::stop-commands::0123
    ::0123::
    ::error file=a%2Cb%3Ac%25.go,line=7,title=100%25 %3A%3Aset-output name=x%3A%3A1::100%25%0A::set-output name=x::1
    ::warning::x: y, z
    ::notice title=only a title::only a title
    "
    );
    let mut random = Random::new(5);
    for _ in 0..2_000 {
        let (title, file, message) = (random.hostile(), random.hostile(), random.hostile());
        let said = remark(Gravity::Error, &title, Some((&file, 1)), &message);
        let lines: Vec<&str> = said.split(['\n', '\r', '\u{85}', '\u{2028}']).collect();
        assert_eq!((lines.len(), lines[1]), (2, ""), "{said:?}");
        assert!(said.starts_with("::error file="), "{said:?}");
        // What ends the properties is the first `::` behind the name.
        let (properties, _) = said[2..].split_once("::").unwrap();
        let names = properties.split(',').map(|p| p.split('=').next().unwrap());
        let known = ["error file", "line", "title"];
        assert!(
            names.enumerate().all(|(i, n)| known.get(i) == Some(&n)),
            "{said:?}"
        );
    }
}

/// A result with so many errors of the compiler and so many remarks of the rules.
fn result(errors: u32, warnings: u32) -> AttemptResult {
    let lines = |count: u32, text: &str, end: &str| {
        (1..=count).fold(String::new(), |all, n| {
            format!("{all}pkg/wiz/wiz_client.go:{n}:3: {text} {n}{end}\n")
        })
    };
    let check = |kind, name: &str, passed, output: String| CheckOutcome {
        kind,
        name: name.to_owned(),
        passed,
        detail: if passed {
            "holds"
        } else {
            "ended with exit status 1"
        }
        .to_owned(),
        output,
        duration_ms: 1_200,
    };
    AttemptResult {
        schema: 1,
        run: "wiz".to_owned(),
        item: "client".to_owned(),
        attempt: 2,
        claim: "c".to_owned(),
        started: at(0),
        finished: at(95),
        verdict: Verdict::Failed {
            reasons: vec!["go build ./... ended with exit status 1".to_owned()],
            retryable: true,
        },
        tree: None,
        files: vec![sample::added("pkg/wiz/wiz_client.go", 200)],
        api: Vec::new(),
        checks: vec![
            check(
                CheckKind::Build,
                "go build ./...",
                false,
                lines(errors, "undefined: x", ""),
            ),
            check(
                CheckKind::Rules,
                "rules",
                true,
                lines(warnings, "look at", " [vmfilter]"),
            ),
        ],
        faults: Vec::new(),
        agent: None,
        handoff: None,
        handoff_problem: None,
    }
}

#[test]
fn what_failed_stands_beside_its_line() {
    let remarks = annotations(&result(2, 1));
    insta::assert_snapshot!(remarks.commands, @r"
    ::error title=client%2C attempt 2::go build ./... ended with exit status 1
    ::error file=pkg/wiz/wiz_client.go,line=1,title=go build ./...::undefined: x 1
    ::error file=pkg/wiz/wiz_client.go,line=2,title=go build ./...::undefined: x 2
    ::warning file=pkg/wiz/wiz_client.go,line=1,title=vmfilter::look at 1
    ");
    assert_eq!(remarks.rest, []);
    let mut asking = result(0, 0);
    asking.verdict = Verdict::Question {
        question: "Which region?\n::error::x".to_owned(),
    };
    assert_eq!(
        annotations(&asking).commands,
        "::notice title=client%2C attempt 2::the agent asks: Which region?%0A::error::x\n"
    );
    asking.verdict = Verdict::Passed {
        needs_review: false,
    };
    asking.checks[0].passed = true;
    assert_eq!(annotations(&asking), Remarks::default());
}

#[test]
fn what_actions_would_drop_is_in_the_summary() {
    let result = result(12, 13);
    let remarks = annotations(&result);
    let count = |what: &str| {
        let lines = remarks.commands.lines();
        lines.filter(|l| l.starts_with(what)).count()
    };
    assert_eq!((count("::error"), count("::warning")), (10, 10));
    assert_eq!(remarks.rest.len(), 3 + 3);
    insta::assert_snapshot!(attempt(&result, &remarks.rest), @r"
    ## `client` of run `wiz`, attempt 2: failed

    - go build ./... ended with exit status 1

    Spent: 1 minute 35 seconds.

    | Check | Result | Found |
    |---|---|---|
    | `go build ./...` | **fails** | ended with exit status 1 |
    | `rules` | holds | holds |

    Beyond the 10 that Actions shows beside the lines:

    - `pkg/wiz/wiz_client.go:10` go build ./...: undefined: x 10
    - `pkg/wiz/wiz_client.go:11` go build ./...: undefined: x 11
    - `pkg/wiz/wiz_client.go:12` go build ./...: undefined: x 12
    - `pkg/wiz/wiz_client.go:11` vmfilter: look at 11
    - `pkg/wiz/wiz_client.go:12` vmfilter: look at 12
    - `pkg/wiz/wiz_client.go:13` vmfilter: look at 13
    ");
}

#[test]
fn a_run_in_the_summary() {
    let mut state = sample::midway();
    for (key, number) in [("types", 7), ("client", 8)] {
        state.item_mut(key).unwrap().pull = Some(Pull {
            number,
            url: format!("https://github.com/o/r/pull/{number}"),
            ..Pull::default()
        });
    }
    state.item_mut("handler").unwrap().phase = Phase::Failed {
        reasons: vec!["go vet | fails @bob".to_owned()],
    };
    state.gate = vec![GateItem {
        item: "go build ./...".to_owned(),
        holds: false,
        detail: "exit status 1 <b>".to_owned(),
    }];
    let waits = [Wait::Review {
        item: "client".to_owned(),
    }];
    let links = links();
    insta::assert_snapshot!(summary(&[shown(&state, &waits, &links)]), @r#"
    ## Run [`wiz`](https://github.com/o/r/tree/pertask/wiz/main): Wiz integration

    **waiting**: 1 merged, 1 in review, 1 running, 1 failed. Spent: $1.62 in 47 minutes 10 seconds.

    Waiting for:

    - a review of task 2 of 4, client (HTTP client) on `https://github.com/o/r/pull/8`, or `git pertask approve wiz client` or `git pertask revise wiz client -m …`

    ```mermaid
    graph TD
      t1["1 types: merged"]:::merged
      t2["2 client: in review"]:::review
      t3["3 transform: running"]:::running
      t4["4 handler: failed"]:::failed
      t1 --> t2
      t1 --> t3
      t2 --> t4
      t3 --> t4
      classDef running fill:#54aeff,color:#24292f
      classDef review fill:#d4a72c,color:#24292f
      classDef merged fill:#8250df,color:#ffffff
      classDef failed fill:#cf222e,color:#ffffff
    ```

    | | Task | State | Attempts | Lines | Build | Time | Cost | Pull request |
    |---|---|---|---|---|---|---|---|---|
    | 1 | `types`: API types | merged | 1 | 120 | success | 15m00s | $0.40 | [#7](https://github.com/o/r/pull/7) |
    | 2 | `client`: HTTP client | review | 2 | 185 | success | 30m00s | $1.22 | [#8](https://github.com/o/r/pull/8) |
    | 3 | `transform`: Transformations | running | 0 |  |  | 2m10s |  |  |
    | 4 | `handler`: Primary handler | failed: go vet \| fails `@bob` | 0 |  |  | 0s |  |  |

    | Gate | Holds | Found |
    |---|---|---|
    | go build ./... | **no** | exit status 1 \<b\> |
    "#);
    let mut batch = sample::batch();
    batch.item_mut("batch").unwrap().pull = Some(Pull {
        number: 9,
        ..Pull::default()
    });
    insta::assert_snapshot!(summary(&[shown(&batch, &[], &links)]), @r"
    ## Run [`wiz`](https://github.com/o/r/tree/pertask/wiz/main): Wiz integration

    **waiting**: 1 pending. Spent: 0 seconds.

    Waiting for:

    - somebody to carry on: `git pertask continue wiz`

    | | Task | State | Attempts | Lines | Build | Time | Cost | Pull request |
    |---|---|---|---|---|---|---|---|---|
    | 1 | `types`: API types | pending | 0 |  |  | 0s |  | [#9](https://github.com/o/r/pull/9) |
    | 2 | `client`: HTTP client | pending |  |  |  | | | |
    | 3 | `transform`: Transformations | pending |  |  |  | | | |
    | 4 | `handler`: Primary handler | pending |  |  |  | | | |
    ");
    assert_eq!(summary(&[]), "No run is unfinished.\n");
}

/// Nothing but our own markup: headings, lists, tables, code, links into the repository.
fn harmless(text: &str) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let (mut links, mut code, mut heading) = (0, 0, false);
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => {
                assert!(
                    dest_url.starts_with("https://github.com/o/r/"),
                    "{dest_url}"
                );
                links += 1;
            }
            Event::End(TagEnd::Link) => links -= 1,
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code -= 1,
            Event::Start(Tag::Heading { .. }) => heading = true,
            Event::Text(said) if heading => {
                assert!(said.starts_with("Run "), "{said:?} in\n{text}");
                heading = false;
            }
            Event::Text(said) if links == 0 && code == 0 => {
                assert!(
                    !said.split_whitespace().any(clean::refers),
                    "{said:?} in\n{text}"
                );
            }
            Event::Text(drawn) if code == 1 => {
                for line in drawn.lines().skip(1) {
                    let node = line.starts_with("  t")
                        && line.ends_with(|c: char| c.is_ascii_alphanumeric());
                    let plain = line
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || " []\":->.,#_".contains(c));
                    assert!(
                        (node || line.starts_with("  classDef ")) && plain,
                        "{line:?}"
                    );
                    assert!(line.matches('"').count() % 2 == 0 && line.matches('[').count() <= 1);
                }
            }
            Event::Html(_)
            | Event::InlineHtml(_)
            | Event::Start(Tag::Image { .. } | Tag::FootnoteDefinition(_) | Tag::BlockQuote(_))
            | Event::TaskListMarker(_)
            | Event::FootnoteReference(_)
            | Event::Rule => panic!("{event:?} in\n{text}"),
            _ => {}
        }
    }
    for c in text.chars() {
        assert!(c == '\n' || !c.is_control(), "{c:?}");
        assert!(!crate::text::is_hidden(c), "{c:?}");
    }
}

#[test]
fn whatever_a_plan_says_it_is_shown_as_text() {
    let links = links();
    let mut tables = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut state = random.state();
        for item in &mut state.items {
            if random.below(4) == 0 {
                let key = random.hostile();
                item.tasks[0].id.clone_from(&key);
                item.key = key;
            }
        }
        state.gate = vec![GateItem {
            item: random.hostile(),
            holds: random.flip(),
            detail: random.hostile(),
        }];
        let text = summary(&[shown(&state, &[], &links)]);
        harmless(&text);
        tables += usize::from(text.contains("\n| 2 | "));
    }
    assert!(tables > 300, "{tables}");
}

#[test]
fn a_summary_stays_within_its_size_and_cuts_no_row() {
    let links = links();
    let mut state = sample::state();
    let mut random = Random::new(9);
    let template = state.items[1].clone();
    for n in 5..4_000 {
        let mut item = template.clone();
        item.key = format!("task-{n}");
        item.position = n;
        item.tasks[0].id.clone_from(&item.key);
        item.tasks[0].position = n;
        item.tasks[0].title = random.hostile().repeat(20);
        item.phase = Phase::Failed {
            reasons: vec!["ä|".repeat(300)],
        };
        state.items.push(item);
    }
    let one = shown(&state, &[], &links);
    let text = summary(&[one]);
    assert!(
        text.len() <= MOST && text.len() > MOST * 9 / 10,
        "{}",
        text.len()
    );
    assert!(text.ends_with(" of 3999 tasks not shown: `git pertask status wiz`\n\n"));
    for row in text.lines().filter(|l| l.starts_with('|')) {
        let bars = row.replace("\\\\", "").replace("\\|", "");
        assert_eq!(bars.matches('|').count(), 10, "{row}");
    }
    let small = sample::midway();
    let many = vec![shown(&small, &[], &links); 3_000];
    let text = summary(&many);
    assert!(text.len() <= MOST, "{}", text.len());
    assert!(text.ends_with(" runs not shown: `git pertask status`\n"));
    let text = summary(&[one, shown(&small, &[], &links)]);
    assert!(text.len() <= MOST && text.contains("| 4 | `handler`: Primary handler |"));
    for most in [0, 300, 3_000, 9_000] {
        let text = summary_within(&[one, one], most);
        assert!(text.len() <= most.max(100), "{most}: {}", text.len());
    }
    let long = AttemptResult {
        verdict: Verdict::Failed {
            reasons: vec!["🦀".repeat(9_000); 500],
            retryable: false,
        },
        ..result(400, 400)
    };
    let text = attempt(&long, &annotations(&long).rest);
    assert!(text.len() <= MOST, "{}", text.len());
}

#[test]
fn what_cannot_be_drawn_is_not() {
    let links = links();
    let mut state = sample::state();
    let template = state.items[0].clone();
    state.items.clear();
    for n in 1..=30 {
        let mut item = template.clone();
        item.key = format!("t{n}");
        item.depends_on = (1..n).map(|d| format!("t{d}")).collect();
        state.items.push(item);
        let text = summary(&[shown(&state, &[], &links)]);
        let edges = n * (n - 1) / 2;
        assert_eq!(text.contains("```mermaid"), n > 1 && edges <= 400, "{n}");
        if n > 1 && edges <= 400 {
            assert_eq!(text.matches(" --> ").count(), edges);
        }
    }
}
