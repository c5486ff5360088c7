//! Whatever comes in: within its size, and nothing in it but our own markup.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::*;
use crate::report::clean::refers;
use crate::report::sample::Random;
use crate::rules::Finding;
use crate::run::transition;

/// Our own markup and no other: no image, no foreign HTML, no reference outside of code, no box.
fn harmless(text: &str) {
    assert!(text.len() <= MOST, "{} bytes", text.len());
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let (mut links, mut code) = (0, 0);
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let mut rest = html.trim().to_owned();
                for tag in ["details", "summary", "code"] {
                    rest = rest
                        .replace(&format!("<{tag}>"), "")
                        .replace(&format!("</{tag}>"), "");
                }
                let comment = rest.starts_with("<!-- pertask:")
                    && rest.ends_with("-->")
                    && rest.matches("-->").count() == 1;
                assert!(comment || !rest.contains(['<', '>']), "{html:?} in\n{text}");
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                assert!(
                    dest_url.starts_with("https://github.com/o/r/"),
                    "{dest_url} in\n{text}"
                );
                links += 1;
            }
            Event::End(TagEnd::Link) => links -= 1,
            Event::Start(Tag::CodeBlock(_)) => code += 1,
            Event::End(TagEnd::CodeBlock) => code -= 1,
            Event::Text(said) if links == 0 && code == 0 => {
                let alone = said.split_whitespace().any(refers);
                assert!(!alone, "{said:?} in\n{text}");
            }
            Event::Start(Tag::Image { .. } | Tag::FootnoteDefinition(_))
            | Event::TaskListMarker(_)
            | Event::FootnoteReference(_)
            | Event::Rule => panic!("{event:?} in\n{text}"),
            _ => {}
        }
    }
    for c in text.chars() {
        assert!(c == '\n' || c == '\t' || !c.is_control(), "{c:?}");
        assert!(!crate::text::is_hidden(c), "{c:?}");
    }
}

fn headings(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut open: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_GFM) {
        match event {
            Event::Start(Tag::Heading { .. }) => open = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => all.extend(open.take()),
            Event::Text(said) => {
                if let Some(open) = &mut open {
                    open.push_str(&said);
                }
            }
            _ => {}
        }
    }
    all
}

const OURS: [&str; 19] = [
    "Files",
    "Checks",
    "Kept work",
    "Success criteria",
    "The agent's words",
    "The author's words",
    "How to decide",
    "How to answer",
    "How to go on",
    "Where it comes from",
    "All tasks",
    "Gate",
    "What was done",
    "Exceptions",
    "P0 validation",
    "Files Created",
    "API Methods Implemented",
    "Review Notes",
    "P0 violations in merged tasks",
];

fn whole(text: &str) {
    harmless(text);
    for heading in headings(text) {
        let ours = OURS.contains(&heading.as_str())
            || heading == "Earlier attempts"
            || heading.starts_with("Task ");
        assert!(ours, "{heading:?} in\n{text}");
    }
    for (marker, wanted) in [("begin ", 1), ("end", 1), ("tasks", 1), ("tasks-end", 1)] {
        let start = format!("<!-- pertask:{marker}");
        let count = text.lines().filter(|l| l.starts_with(&start)).count();
        let wanted = if marker == "tasks" {
            wanted + 1
        } else {
            wanted
        };
        assert_eq!(count, wanted, "{marker} in\n{text}");
    }
    assert_eq!(updated(text, text), None);
    let mine = format!("Mine\r\n\r\n{}\r\n\r\nToo", text.replace('\n', " \r\n"));
    assert_eq!(updated(&mine, text), None);
    let other = text
        .replacen("In a clone", "In the clone", 1)
        .replacen("### ", "#### ", 1);
    let new = updated(&mine, &other).unwrap();
    assert!(
        new.starts_with("Mine\n\n") && new.ends_with("\n\nToo"),
        "{new}"
    );
    assert_eq!(updated(&new, &other), None);
}

fn outcome(random: &mut Random) -> CheckOutcome {
    let kinds = [
        CheckKind::Files,
        CheckKind::Build,
        CheckKind::Rules,
        CheckKind::Command,
    ];
    let kind = kinds[random.below(kinds.len())];
    let output = if random.flip() {
        let (file, said) = (random.hostile(), random.hostile());
        format!(
            "{file}:7:3: {said} [rule{}]\n    {}\n",
            random.hostile(),
            random.hostile()
        )
    } else {
        random.hostile()
    };
    check(
        kind,
        &random.hostile(),
        random.flip(),
        &random.hostile(),
        &output,
    )
}

/// A page about any state at all.
fn desk(random: &mut Random) -> Desk {
    let mut desk = Desk::new(random.state());
    for task in &mut desk.plan.tasks {
        task.purpose = random.hostile();
        task.success = vec![random.hostile(), random.hostile()];
    }
    let checks = (0..random.below(4)).map(|_| outcome(random)).collect();
    desk.result = random.flip().then(|| result(checks));
    desk.patch = random.flip().then(|| random.hostile());
    desk.state.gate = vec![GateItem {
        item: random.hostile(),
        holds: random.flip(),
        detail: random.hostile(),
    }];
    let finding = Finding {
        rule: random.hostile(),
        file: random.hostile(),
        line: 1,
        column: 1,
        message: random.hostile(),
        hint: String::new(),
    };
    transition::judged(&mut desk.state, "c", vec![finding]);
    if random.flip() {
        let (why, by) = (random.hostile(), sample::ada());
        let _ = transition::excepted(&mut desk.state, &why, &by, sample::at(0));
    }
    if let Some(pull) = desk.pulls.get_mut("1-types") {
        pull.url = random.hostile();
    }
    for item in &mut desk.state.items {
        item.merged = random.flip().then(|| Merged {
            commit: random.hostile(),
            head: random.hostile(),
            at: sample::at(0),
            because: format!("policy {}", random.hostile()),
            by_hand: false,
        });
    }
    desk
}

#[test]
fn nothing_breaks_out() {
    let mut random = Random::new(99);
    for _ in 0..400 {
        let desk = desk(&mut random);
        for item in &desk.state.items {
            let sheet = desk.sheet(&item.key);
            whole(&body(&sheet));
            harmless(&progress(&sheet));
            assert!(title(&desk.state, item).chars().count() <= TITLE_MOST);
            for one in status(&desk.state, item) {
                assert!(one.description.chars().count() <= 140);
            }
        }
        whole(&desk.last());
        if let Some(result) = &desk.result {
            for one in annotations(result) {
                assert!(!one.message.is_empty() && one.start_line > 0);
            }
        }
        let (a, b) = (random.hostile(), random.hostile());
        let reply = ThreadReply {
            thread: &a,
            commit: &b,
            path: &b,
            added: 1,
            removed: 1,
            near: Near::Unknown,
            answer: Some(&a),
        };
        harmless(&thread_reply(&reply, &desk.links));
        for answer in [
            Answer::Done(&a),
            Answer::Refused(&a),
            Answer::Misread(&a),
            Answer::OtherCommit {
                given: &a,
                head: &b,
            },
            Answer::Status(&a),
        ] {
            harmless(&command_answer(&b, answer));
        }
        harmless(&dismissed_answer(&a, &a, &b, &desk.links));
        harmless(&moved_answer(&a, &a, &b, Settled::Older, &desk.links));
    }
}

/// However much there is, what is sent stays within what GitHub takes, and says how to act.
#[test]
fn nothing_is_too_large() {
    let mut random = Random::new(5);
    for piece in ["\u{1f600}", "| @bob ", "<!-- ", "&<\"\n#"] {
        let long = piece.repeat(8_000);
        let some = piece.repeat(1_000);
        let mut desk = desk(&mut random);
        desk.state = sample::midway();
        for n in 5..150 {
            let task = sample::task(n, &format!("t{n}"), &some, &some);
            desk.state
                .items
                .push(sample::item(&format!("t{n}"), n, vec![task], &["types"]));
        }
        let file = |n: u32| sample::added(&format!("{n}{}", &some), n);
        sample::finish(&mut desk.state, "client", |a| {
            a.files = (0..100).map(file).collect();
            a.notes = vec![long.clone(); 62];
            a.api = vec![some.clone(); 62];
            a.reasons = vec![long.clone(); 10];
            a.by.clone_from(&long);
        });
        for _ in 0..70 {
            sample::finish(&mut desk.state, "transform", |a| {
                a.reasons = vec![some.clone(); 2];
            });
        }
        for task in &mut desk.plan.tasks {
            task.purpose.clone_from(&long);
            task.success = vec![some.clone(); 62];
        }
        let one = check(CheckKind::Build, &long, false, &long, &long);
        desk.result = Some(result(vec![one; 12]));
        desk.patch = Some(long.clone());
        let said = body(&desk.sheet("client"));
        whole(&said);
        assert!(said.contains("/pertask approve cccc"));
        harmless(&progress(&desk.sheet("transform")));
        desk.state.gate = vec![
            GateItem {
                item: long.clone(),
                holds: true,
                detail: long.clone(),
            };
            300
        ];
        whole(&desk.last());
        desk.state.item_mut("client").unwrap().phase = Phase::Failed {
            reasons: vec![long.clone(); 50],
        };
        let said = body(&desk.sheet("client"));
        whole(&said);
        assert!(said.contains("/pertask retry --fresh"));
        harmless(&command_answer(&long, Answer::Status(&long)));
        harmless(&command_answer(&long, Answer::Done(&long)));
    }
}
