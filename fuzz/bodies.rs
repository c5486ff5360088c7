//! What is done with each input, by libFuzzer here and by `cargo test` with what is in `corpus/`
//! (tests/corpus.rs). Nothing may panic; the assertions are what else must hold of any input.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use git_pertask::attempt::agent::{Progress, fuzzing, handoff};
use git_pertask::ci::{artifact, event};
use git_pertask::forge::feedback::{self, Said, Side, Subject, Thread, ThreadComment};
use git_pertask::forge::words;
use git_pertask::git::Repo;
use git_pertask::plan::{self, Adapter, Config, Plan, RULES};
use git_pertask::report::pull::{self, Links, PullRef, Sheet};
use git_pertask::report::{
    actions, checkpoint, commit, compliance, log, show, status, style::Style, waits,
};
use git_pertask::rules::{self, Context, SourceFile, user};
use git_pertask::run::decide::{BaseHeld, Facts, Standing, decide};
use git_pertask::run::order::{AttemptResult, Order};
use git_pertask::run::seen::{Account, Seen, SeenPull, Voice, VoiceKind};
use git_pertask::run::state::State;
use git_pertask::{facts, prompt, text};
use jiff::Timestamp;

/// A name, and what is done with its input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target: its name, and what it does with an input.
pub const TARGETS: [Target; 14] = [
    ("plan_toml", plan_toml),
    ("architecture", architecture),
    ("file_placement", file_placement),
    ("handoff", handoff),
    ("claude_stream", claude_stream),
    ("codex_stream", codex_stream),
    ("event", event),
    ("state", state),
    ("diagnostics", diagnostics),
    ("source", source),
    ("user_rules", user_rules),
    ("bundle", bundle),
    ("result", result),
    ("comment", comment),
];

/// Longest input, in bytes, as libFuzzer is told.
pub const LONGEST: usize = 65_536;

/// Nothing in it that a terminal would obey or a reader would not see.
#[track_caller]
fn plain(text: &str) {
    let odd = |c: char| (c.is_control() && c != '\n' && c != '\t') || text::is_hidden(c);
    if let Some(c) = text.chars().find(|c| odd(*c)) {
        panic!("{c:?} in {text:?}");
    }
}

/// The same, on one line.
#[track_caller]
fn plain_line(text: &str) {
    plain(text);
    assert!(!text.contains('\n'), "{text:?}");
}

fn utf8(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

fn documents(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    files.iter().map(pair).collect()
}

/// Reads configuration and plan from these documents, and shows what there is to say.
fn load(files: &[(&str, &str)]) {
    let docs = documents(files);
    let given = documents(&[("vendor", "wiz")]);
    let config = plan::config::load(&docs).unwrap_or_else(|found| {
        plain(&found.render(false));
        Config::default()
    });
    for given in [&given, &BTreeMap::new()] {
        match plan::load("wiz", &docs, &config, given, &RULES) {
            Ok(loaded) => {
                plain(&loaded.warnings.render(false));
                let _ = loaded.warnings.render(true);
                sound(&loaded.plan);
            }
            Err(found) => {
                assert!(found.has_errors());
                plain(&found.render(false));
                let _ = found.render(true);
                for one in &found {
                    let _ = one.place();
                }
            }
        }
    }
}

/// What holds of every plan that was accepted.
fn sound(plan: &Plan) {
    let json = serde_json::to_string(plan).expect("a plan is JSON");
    assert_eq!(*plan, serde_json::from_str(&json).expect("its own JSON"));
    let mut seen = Vec::new();
    for task in &plan.tasks {
        assert!(plan::valid_name(&task.id), "{:?}", task.id);
        assert_eq!(plan::path_problem(&task.file), None, "{:?}", task.file);
        for needed in &task.depends_on {
            assert!(seen.contains(needed), "{} before {needed}", task.id);
        }
        seen.push(task.id.clone());
    }
    let _ = plan::mode::choose(plan, None);
}

/// `plan.toml`.
pub fn plan_toml(data: &[u8]) {
    let said = utf8(data);
    load(&[(".pertask/wiz/plan.toml", &said)]);
    load(&[
        (".pertask/config.toml", &said),
        (".pertask/wiz/plan.toml", SMALL),
    ]);
}

const SMALL: &str = "build = [['true']]\n[[task]]\nid = 'a'\nfile = 'a.go'\n[[task]]\nid = 'b'\n\
    file = 'x/b_client.go'\ndepends_on = ['a']\n";

/// `architecture.md`, with the built-in template and beside a `plan.toml`.
pub fn architecture(data: &[u8]) {
    let said = utf8(data);
    load(&[(".pertask/wiz/architecture.md", &said)]);
    load(&[
        (".pertask/wiz/plan.toml", SMALL),
        (".pertask/wiz/architecture.md", &said),
    ]);
    let docs = documents(&[(".pertask/wiz/plan.toml", SMALL)]);
    let loaded = plan::load("wiz", &docs, &Config::default(), &BTreeMap::new(), &RULES);
    for task in &loaded.expect("a good plan").plan.tasks {
        // Documents of the discovery are of the same kind.
        if let Some(excerpt) = plan::discovery::excerpt(&said, task, 2_000) {
            // Gaps between sections and the line about what is left out come on top.
            assert!(
                excerpt.chars().count() <= 3 * 2_000 + 100,
                "{}",
                excerpt.len()
            );
        }
    }
}

/// `file-placement.md`.
pub fn file_placement(data: &[u8]) {
    load(&[
        (".pertask/wiz/plan.toml", SMALL),
        (".pertask/wiz/file-placement.md", &utf8(data)),
    ]);
}

/// What an agent says at its end.
pub fn handoff(data: &[u8]) {
    let said = utf8(data);
    let found = handoff::find(Path::new("/nowhere/handoff.json"), &[&said], &str::to_owned);
    if let Some(problem) = &found.problem {
        plain(problem);
    }
    if let Some(handoff) = &found.handoff {
        let json = serde_json::to_string(handoff).expect("a handoff is JSON");
        // Lists and texts have sizes, so this has one.
        assert!(json.len() < 64 * LONGEST, "{}", json.len());
        let again = serde_json::from_str(&json).expect("its own JSON");
        assert_eq!(*handoff, again);
    }
}

fn stream(adapter: Adapter, data: &[u8]) {
    let mut shown = String::new();
    let mut progress = |one: Progress| {
        if let Progress::Activity(line) = &one {
            plain_line(line);
            assert!(line.chars().count() <= 161, "{line:?}");
        }
        let _ = write!(shown, "{one:?}");
    };
    let whole = fuzzing::stream(adapter, data, 1 << 20, &mut progress);
    for text in &whole {
        assert!(text.len() <= 4 * 256 * 1024, "{}", text.len());
    }
    let pieces = fuzzing::stream(adapter, data, 7, &mut |_| ());
    assert_eq!(whole, pieces);
}

/// What Claude Code prints.
pub fn claude_stream(data: &[u8]) {
    stream(Adapter::Claude, data);
}

/// What Codex prints.
pub fn codex_stream(data: &[u8]) {
    stream(Adapter::Codex, data);
}

/// The payload of an event. The first line is the event's name.
pub fn event(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (name, payload) = (utf8(&data[..end]), data.get(end + 1..));
    for repository in ["octo/shop", "octo"] {
        match event::read(&name, payload, repository) {
            event::Asks::Start {
                plan,
                mode,
                agent,
                parameters,
            } => {
                assert!(plan::valid_name(&plan));
                assert!(agent.is_none_or(|a| plan::valid_name(&a)));
                assert!(mode.is_none_or(|m| ["auto", "per-task", "batch"].contains(&&*m)));
                for p in &parameters {
                    plain_line(p);
                }
            }
            event::Asks::GoOn { by } => {
                if let Some(by) = by {
                    assert!(by.id > 0 && !by.login.ends_with("[bot]"));
                    plain_line(&by.login);
                }
            }
            event::Asks::Nothing { why } => {
                // Written in a job's log, where `::` at the beginning of a line is a command.
                let line = actions::remark(actions::Gravity::Notice, "event", None, &why);
                assert_eq!(line.lines().count(), 1, "{line:?}");
            }
        }
    }
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../tests/formats/plan-1.json")).expect("a plan")
});

static RESULT: LazyLock<AttemptResult> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../tests/formats/result-1.json")).expect("a result")
});

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// A look at GitHub that goes with a state: its pull requests are open, and people speak there.
fn seen(state: &State) -> Seen {
    let person = |id: u64| Account {
        id,
        login: format!("person{id}"),
        bot: false,
    };
    let head = |item: &git_pertask::run::state::Item| {
        item.branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default()
    };
    let pull = |number: u64, head: String| {
        let kinds = [
            VoiceKind::Approval {
                commit: head.clone(),
            },
            VoiceKind::ChangesRequested {
                commit: head.clone(),
            },
        ];
        let voice = |(n, kind)| Voice {
            id: format!("V{n}"),
            number: n,
            by: person(n),
            permitted: true,
            at: now(),
            altered: false,
            text: "please".to_owned(),
            url: String::new(),
            kind,
            marked: false,
        };
        SeenPull {
            number,
            head,
            author: person(9),
            mergeable: Some(true),
            voices: (1..)
                .zip(kinds)
                .take(usize::from(!number.is_multiple_of(3)))
                .map(voice)
                .collect(),
            ..SeenPull::default()
        }
    };
    Seen {
        at: now(),
        viewer: person(9),
        pulls: (1..)
            .zip(&state.items)
            .map(|(n, item)| (item.key.clone(), pull(n, head(item))))
            .collect(),
        last: Some(pull(100, state.run_branch.head.clone())),
    }
}

/// What decide is told: nothing; that all is well; that nothing is.
fn told(state: &State) -> Vec<Facts> {
    let branches = state.items.iter().flat_map(|i| &i.branch);
    let branches: Vec<_> = branches.chain([&state.run_branch]).collect();
    let stand = |standing: &dyn Fn(&str) -> Standing| {
        let one = |b: &&git_pertask::run::state::Branch| (b.name.clone(), standing(&b.head));
        branches.iter().map(one).collect::<BTreeMap<_, _>>()
    };
    let keys: Vec<String> = state.items.iter().map(|i| i.key.clone()).collect();
    let well = Facts {
        now: now(),
        slots: 2,
        base_built: true,
        rules_named: true,
        up_to_date: keys.iter().cloned().collect(),
        seen: Some(seen(state)),
        ..Facts::default()
    };
    let ill = Facts {
        standings: stand(&|head| Standing::Diverged {
            at: head.to_owned(),
        }),
        held: keys.iter().map(|k| (k.clone(), "no".to_owned())).collect(),
        differs: keys.iter().cloned().collect(),
        base_ahead: Some("1".repeat(40)),
        base_held: Some(BaseHeld::Refused {
            why: "no".to_owned(),
        }),
        ..well.clone()
    };
    vec![Facts::default(), well, ill]
}

/// The state of a run, as the ledger may hold it: decided on, and shown everywhere.
pub fn state(data: &[u8]) {
    let Ok(state) = serde_json::from_slice::<State>(data) else {
        return;
    };
    let links = Links::new("https://github.com/o/r");
    let mut all_waits = Vec::new();
    for facts in told(&state) {
        all_waits.extend(decide(&state, &facts).waits);
    }
    for s in waits::sentences(&state, &all_waits) {
        plain(&s);
    }
    plain(&status::text(&state, &all_waits, now(), Style::PLAIN));
    let _ = status::text(&state, &all_waits, now(), Style { colour: true });
    let _ = status::json(&state, &all_waits, now()).to_string();
    plain(&status::checklist(&state, &state.gate, Style::PLAIN));
    plain(&log::render(&state, &["a note"]));
    plain(&commit::report_message(&state));
    plain(&commit::base_message(&state, &state.base.branch));
    plain(&compliance::render(&state, &[]));
    plain(&compliance::result(&state.compliance));
    let shown = actions::Shown {
        state: &state,
        waits: &all_waits,
        links: &links,
        now: now(),
    };
    let summary = actions::summary(&[shown]);
    plain(&summary);
    assert!(summary.len() <= actions::MOST, "{}", summary.len());
    let pulls: BTreeMap<String, PullRef> = (1..)
        .zip(&state.items)
        .map(|(number, item)| {
            let url = format!("https://github.com/o/r/pull/{number}");
            (item.branch_leaf(), PullRef { number, url })
        })
        .collect();
    let fits = |body: &str| {
        plain(body);
        assert!(body.len() <= pull::MOST, "{}", body.len());
    };
    plain_line(&pull::last_title(&state));
    fits(&pull::last_body(&state, &PLAN, &state.gate, &links, &pulls));
    for item in &state.items {
        plain(&log::entry(item));
        plain(&checkpoint::text(
            &state,
            item,
            &["it works".to_owned()],
            Style::PLAIN,
        ));
        plain(&checkpoint::question(&state, item));
        plain(&checkpoint::stopped(
            &state,
            item,
            Some("said"),
            Style::PLAIN,
        ));
        plain(&show::text(
            &state,
            item,
            show::Details::default(),
            Style::PLAIN,
        ));
        let _ = waits::commands(&state, item);
        for message in [
            commit::squash_message(&state, item, "why"),
            commit::forward_message(&state, item),
            commit::laid_out_message(&state, item),
        ] {
            plain(&message);
        }
        for attempt in &item.attempts {
            plain(&commit::message(&state, item, attempt, "why"));
            plain(&commit::kept_message(&state, item, attempt));
        }
        let sheet = Sheet {
            state: &state,
            item,
            plan: &PLAN,
            result: Some(&RESULT),
            pulls: &pulls,
            links: &links,
            kept_patch: Some("+x"),
            author_may_approve: false,
            approvals: 1,
        };
        plain_line(&pull::title(&state, item));
        let body = pull::body(&sheet);
        fits(&body);
        assert_eq!(pull::updated(&body, &body), None);
        fits(&pull::progress(&sheet));
        for line in pull::status(&state, item) {
            plain_line(&line.description);
        }
        let _ = git_pertask::run::blame::blame(&state, item, &RESULT);
    }
    let json = serde_json::to_string(&state).expect("a state is JSON");
    // Numbers that are not finite come back as none, so it is read, but need not be the same.
    let _ = serde_json::from_str::<State>(&json);
}

/// What compilers print.
pub fn diagnostics(data: &[u8]) {
    let said = utf8(data);
    let places = facts::diagnostics::parse(&said);
    for place in &places {
        assert!(place.line > 0 && !place.file.is_empty() && place.file.len() <= 4096);
    }
    let kept: usize = places.iter().map(|p| p.file.len() + p.message.len()).sum();
    assert!(
        kept <= 2 * LONGEST.max(said.len()),
        "{kept} of {}",
        said.len()
    );
    plain(&prompt::quoted(&said));
    let _ = checkpoint::excerpt(&said);
}

/// Files of source code, which the rules and the readers of the API look at.
pub fn source(data: &[u8]) {
    let said = utf8(data);
    for path in ["a.go", "b.rs", "c.ts", "d.tsx", "e.js", "f.py", "g.java"] {
        // Each look parses the file again.
        for item in facts::api(path, &said).iter().take(2) {
            let _ = facts::names(path, &said, &item.name);
        }
        let _ = facts::declared(path, &said);
        let _ = facts::uses((path, &said), (path, CLIENT));
    }
    let _ = (facts::go_version(&said), facts::go_module(&said));
    let files = [
        SourceFile {
            path: "x/wiz.go",
            text: &said,
        },
        SourceFile {
            path: "x/wiz_client.go",
            text: CLIENT,
        },
    ];
    let found = rules::check(&files, &|_, _| true, &Context::default(), &[]);
    assert!(found.iter().all(|f| f.line > 0 && f.column > 0));
    // What stands in place of findings when the rules themselves fail.
    assert!(
        !found
            .iter()
            .any(|f| f.message.contains("could not be judged")),
        "{found:?}"
    );
}

const CLIENT: &str = include_str!("../templates/demo/final/wiz_client.go");

/// A team's own rules: first the rules, then after a line of `===` the code they judge.
pub fn user_rules(data: &[u8]) {
    let said = utf8(data);
    let (yaml, code) = said.split_once("\n===\n").unwrap_or((&said, CLIENT));
    let rules = match user::parse(".pertask/rules/own.yml", yaml) {
        Ok(rules) => rules,
        Err(e) => {
            let _ = e.to_string();
            return;
        }
    };
    for rule in &rules {
        let _ = rule.prompt_text();
    }
    let paths = ["x/a.go", "b.rs", "c.ts", "d.tsx", "e.js", "f.py", "g.java"];
    let file = |path| SourceFile { path, text: code };
    let files = paths.map(file);
    let _ = rules::check(&files, &|_, _| true, &Context::default(), &rules);
}

/// What a bundle begins with, before git sees it.
pub fn bundle(data: &[u8]) {
    if let Ok((commit, pack)) = git_pertask::git::bundle::head(data) {
        assert!(commit.len() <= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(data.ends_with(pack));
    }
}

/// A repository without commits, and a folder that is handed on.
struct Handed {
    repo: Repo,
    dir: tempfile::TempDir,
}

static ORDER: LazyLock<Order> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../tests/formats/order-1.json")).expect("an order")
});

thread_local! {
    static HANDED: Handed = {
        let base = Path::new("/dev/shm");
        let dir = if base.is_dir() { tempfile::tempdir_in(base) } else { tempfile::tempdir() };
        let dir = dir.expect("a folder");
        let made = std::process::Command::new("git")
            .args(["init", "--quiet"])
            .arg(dir.path().join("repo"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .status();
        assert!(made.is_ok_and(|s| s.success()), "git init");
        let repo = Repo::discover(&dir.path().join("repo")).expect("a repository");
        std::fs::create_dir_all(dir.path().join("result")).expect("a folder");
        Handed { repo, dir }
    };
}

/// `result.json` of a job that carried an order out: received, shown.
pub fn result(data: &[u8]) {
    HANDED.with(|handed| {
        let dir = handed.dir.path().join("result");
        std::fs::write(dir.join(artifact::RESULT), data).expect("a file is written");
        let expected = artifact::Expected {
            order: &ORDER,
            claim: "2731ac73c4abc560",
            now: now(),
        };
        match artifact::receive(&handed.repo, &dir, expected) {
            Ok(Ok(Some(result))) => {
                // Only without a tree does one come so far here.
                assert!(result.tree.is_none() && result.started <= result.finished);
                assert!(result.finished <= now());
            }
            Ok(Ok(None)) => panic!("it is there"),
            Ok(Err(refused)) => {
                let shown = actions::remark(actions::Gravity::Error, "", None, &refused.0);
                assert_eq!(shown.lines().count(), 1, "{shown:?}");
            }
            Err(e) => panic!("{e:#}"),
        }
    });
    let Ok(result) = serde_json::from_slice::<AttemptResult>(data) else {
        return;
    };
    let remarks = actions::annotations(&result);
    assert!(remarks.commands.lines().all(|l| l.starts_with("::")));
    plain(&remarks.commands);
    let said = actions::attempt(&result, &remarks.rest);
    plain(&said);
    assert!(said.len() <= actions::MOST, "{}", said.len());
    for note in pull::annotations(&result) {
        plain_line(&note.title);
        plain(&note.message);
    }
}

/// A comment on GitHub: read as a command; taken into a review of a permitted person, and left out
/// of it as a stranger's.
pub fn comment(data: &[u8]) {
    const OURS: &str = "Begins with this.";
    let said = utf8(data);
    if let Some(read) = words::read(&said) {
        match read {
            Ok(_) => {}
            Err(misread) => {
                let help = misread.help(Some(&"0".repeat(40)));
                plain(&pull::command_answer("C1", pull::Answer::Misread(&help)));
            }
        }
    }
    let whole = |permitted: bool, said: &str| {
        let comment = |n: usize, permitted: bool, body: &str| ThreadComment {
            id: format!("C{n}"),
            by: "somebody".to_owned(),
            permitted,
            altered: false,
            body: body.to_owned(),
            hunk: "@@ -1 +1 @@\n+x".to_owned(),
        };
        let thread = Thread {
            id: "T".to_owned(),
            path: "a.go".to_owned(),
            line: Some(3),
            start_line: Some(2),
            original_line: Some(3),
            side: Side::Right,
            outdated: false,
            resolved: false,
            subject: Subject::Line,
            comments: vec![comment(1, true, OURS), comment(2, permitted, said)],
        };
        let review = |permitted: bool, body: &str| Said {
            by: "somebody".to_owned(),
            permitted,
            altered: false,
            body: body.to_owned(),
            url: "https://github.com/o/r/pull/1".to_owned(),
        };
        feedback::compose_all(&[review(true, OURS), review(permitted, said)], &[thread])
    };
    let mine = whole(true, &said);
    assert!(
        mine.text.chars().count() <= feedback::MOST,
        "{}",
        mine.text.len()
    );
    plain(&mine.text);
    // Every line that looks like the beginning of a thread is one.
    assert_eq!(prompt::threads_in(&mine.text), ["T1"], "{}", mine.text);
    let quoted = prompt::quoted(&mine.text);
    let fence: String = quoted.chars().take_while(|c| *c == '`').collect();
    let closed = quoted
        .lines()
        .skip(1)
        .filter(|l| l.trim_start().starts_with(&fence));
    assert_eq!(closed.count(), 1, "{quoted}");
    // A stranger's words change nothing at all.
    assert_eq!(whole(false, &said), whole(false, "other words"));
}
