//! Interruptions, second terminals and races: one wins, the others say so, nothing is lost.
//!
//! `cargo test` holds a few rounds of runners on one run; `bench/reliability races` holds a thousand
//! and more (docs/reliability.md).

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/campaign.rs"]
mod campaign;
#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "races/rounds.rs"]
mod rounds;
#[path = "support/site.rs"]
mod site;
#[path = "support/story.rs"]
mod story;
mod support;
#[path = "support/trial.rs"]
mod trial;

use campaign::Campaign;
use rounds::{Round, What};
use rustix::process::Signal;
use site::Site;
use story::Story;
use trial::Dice;

const PLAN: &str = r#"
build = [["true"]]
[[task]]
id = "a"
file = "a.txt"
purpose = "The first file"
[[task]]
id = "b"
file = "b.txt"
purpose = "The second file"
"#;

/// Writes its file at once, but waits for the test in the tasks of `$OUT/hold-<attempt's key>`.
const AGENT: &str = r#"
echo "half $key" > $PERTASK_TASK.txt
touch $OUT/working-$key
[ ! -e $OUT/hold-$key ] || await $OUT/go-$key
echo "$key" > $PERTASK_TASK.txt
complete
"#;

const START: &[&str] = &["start", "wiz", "--mode", "per-task"];

fn site() -> Site {
    let site = Site::new();
    site.agent(AGENT);
    site.plan(PLAN, "", "");
    site
}

/// Each step of the ledger has one parent: nobody wrote beside anybody.
fn ledger_is_linear(site: &Site) {
    let parents = site.git(&["log", "--format=%p", "refs/pertask/runs/wiz"]);
    assert!(parents.lines().all(|l| !l.contains(' ')), "{parents}");
}

fn reviews(site: &Site, key: &str) -> usize {
    let state = site.state();
    let items = state["items"].as_array().unwrap();
    let item = items.iter().find(|i| i["key"] == key).unwrap();
    item["reviews"].as_array().map_or(0, Vec::len)
}

fn interrupted(signal: Signal, group: bool) {
    let site = site();
    let before = site.users_own();
    site.touch("hold-a-1");
    let run = site.spawn(START);
    site.wait_for("working-a-1");
    if group {
        run.signal_group(signal);
    } else {
        run.signal(signal);
    }
    let out = run.end();
    assert_eq!(out.code, 130, "{}", out.all());
    assert!(
        out.stderr.contains("git pertask continue wiz"),
        "{}",
        out.stderr
    );
    assert_eq!(site.processes(), Vec::<String>::new());
    assert_eq!(
        site.git(&["show", "pertask/wiz/kept/1-a-1:a.txt"]),
        "half a-1"
    );
    assert_eq!(site.users_own(), before);
    let out = site.pertask(&["continue"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!((&*site.task("a"), &*site.task("b")), ("review", "review"));
    assert_eq!(site.git(&["show", "pertask/wiz/1-a:a.txt"]), "a-2");
}

#[test]
fn an_interrupt_ends_the_agent_and_keeps_its_work() {
    interrupted(Signal::INT, false);
}

#[test]
fn so_does_a_terminal_that_signals_the_whole_group() {
    interrupted(Signal::INT, true);
}

#[test]
fn so_does_sigterm() {
    interrupted(Signal::TERM, false);
}

/// A terminal's Ctrl-C reaches the git programs that we run, too.
#[test]
fn an_interrupt_while_the_workspace_is_filled_is_no_error() {
    let site = site();
    site.write("big.txt", "big\n");
    site.write(".gitattributes", "big.txt filter=slow\n");
    site.commit("A file that is slow to write");
    let place = site.path("out").display().to_string();
    let filter = format!(
        "touch {place}/smudging; n=0; while [ ! -e {place}/go ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done; cat"
    );
    let config = std::fs::read_to_string(site.path("home/.gitconfig")).unwrap();
    let config = format!("{config}[filter \"slow\"]\n\tclean = cat\n\tsmudge = \"{filter}\"\n");
    std::fs::write(site.path("home/.gitconfig"), config).unwrap();
    let run = site.spawn(START);
    site.wait_for("smudging");
    run.signal_group(Signal::INT);
    site.touch("go");
    let out = run.end();
    assert_eq!(out.code, 130, "{}", out.all());
    let out = site.pertask(&["continue"]);
    assert_eq!(out.code, 0, "{}", out.all());
}

#[test]
fn an_interrupt_during_the_checks_does_not_ask_the_agent_again() {
    let site = Site::new();
    site.agent(AGENT);
    let check = format!(
        "[ -e a.txt ] && [ ! -e {0}/once ] || exit 0; touch {0}/once {0}/checking; sleep 300",
        site.path("out").display()
    );
    site.write("check.sh", &check);
    site.plan(
        &PLAN.replace("[\"true\"]", "[\"sh\", \"check.sh\"]"),
        "",
        "",
    );
    let run = site.spawn(START);
    site.wait_for("checking");
    run.signal(Signal::INT);
    let out = run.end();
    assert_eq!(out.code, 130, "{}", out.all());
    assert_eq!(site.processes(), Vec::<String>::new());
    let out = site.pertask(&["continue"]);
    assert_eq!((out.code, &*site.task("a")), (0, "review"), "{}", out.all());
    let asked = site.out("asked");
    assert_eq!(
        asked.lines().filter(|l| l.starts_with("a-")).count(),
        1,
        "{asked}"
    );
}

#[test]
fn a_second_terminal_is_told_and_can_look_and_decide() {
    let site = site();
    site.touch("hold-b-1");
    let run = site.spawn(START);
    site.wait_for("working-b-1");
    assert_eq!(site.task("b"), "running");
    assert_eq!(site.status()["state"], "running");
    let out = site.pertask(&["continue"]);
    let text = out.all().replace(&run.pid().to_string(), "<pid>");
    insta::assert_snapshot!(site.plain(&text), @r"
    exit 75
    --- stdout

    --- stderr
    git-pertask: process <pid> is already working on run wiz; `git pertask status wiz` shows what it does
    ");
    // What the other decides is taken up by the one that runs.
    let out = site.pertask(&["approve", "wiz", "a"]);
    assert_eq!(out.code, 0, "{}", out.all());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while site.task("a") != "merged" {
        assert!(
            std::time::Instant::now() < deadline,
            "the approval was not taken up"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let out = site.pertask(&["abort"]);
    assert_eq!(out.code, 2, "{}", out.all());
    site.touch("go-b-1");
    let out = run.end();
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.task("b"), "review");
    ledger_is_linear(&site);
}

#[test]
fn an_approval_from_elsewhere_starts_what_became_ready() {
    let site = Site::new();
    site.agent(AGENT);
    let plan = format!(
        "{PLAN}[[task]]\nid = \"c\"\nfile = \"c.txt\"\npurpose = \"Third\"\ndepends_on = [\"a\"]\n"
    );
    site.plan(&plan, "", "");
    site.touch("hold-b-1");
    let run = site.spawn(&["start", "wiz", "--mode", "per-task", "--jobs", "2"]);
    site.wait_for("working-b-1");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while site.task("a") != "review" {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let out = site.pertask(&["approve", "wiz", "a"]);
    assert_eq!(out.code, 0, "{}", out.all());
    site.wait_for("working-c-1");
    site.touch("go-b-1");
    assert_eq!(run.end().code, 0);
    assert_eq!(site.task("c"), "review");
    ledger_is_linear(&site);
}

#[test]
fn of_two_starts_one_wins() {
    for _ in 0..4 {
        let site = site();
        let runs: Vec<_> = (0..3).map(|_| site.spawn(START)).collect();
        let outs: Vec<_> = runs.into_iter().map(site::Running::end).collect();
        let mut codes: Vec<_> = outs.iter().map(|o| o.code).collect();
        codes.sort_unstable();
        let text = outs
            .iter()
            .map(site::Output::all)
            .collect::<Vec<_>>()
            .join("\n\n");
        assert_eq!(codes[0], 0, "{text}");
        assert!(codes[1..].iter().all(|c| matches!(c, 2 | 75)), "{text}");
        for loser in outs.iter().filter(|o| o.code != 0) {
            assert!(
                loser.stderr.contains("git pertask continue")
                    || loser.stderr.contains("git pertask status"),
                "{text}"
            );
        }
        assert_eq!(
            site.git(&["for-each-ref", "refs/pertask"]).lines().count(),
            1
        );
        assert_eq!(site.out("asked"), "a-1\nb-1\n");
        ledger_is_linear(&site);
    }
}

#[test]
fn of_two_continues_one_works() {
    let site = site();
    site.touch("hold-a-1");
    let run = site.spawn(START);
    site.wait_for("working-a-1");
    run.signal(Signal::KILL);
    run.end();
    site.touch("go-a-1");
    let runs: Vec<_> = (0..3).map(|_| site.spawn(&["continue"])).collect();
    let outs: Vec<_> = runs.into_iter().map(site::Running::end).collect();
    let text = outs
        .iter()
        .map(site::Output::all)
        .collect::<Vec<_>>()
        .join("\n\n");
    assert!(outs.iter().any(|o| o.code == 0), "{text}");
    assert!(outs.iter().all(|o| matches!(o.code, 0 | 75)), "{text}");
    assert_eq!((&*site.task("a"), &*site.task("b")), ("review", "review"));
    assert_eq!(site.out("asked"), "a-1\na-1\nb-1\n");
    ledger_is_linear(&site);
}

#[test]
fn of_two_approvals_of_one_task_one_counts() {
    let site = site();
    assert_eq!(site.pertask(START).code, 0);
    let runs: Vec<_> = (0..3)
        .map(|_| site.spawn(&["approve", "wiz", "a"]))
        .collect();
    let outs: Vec<_> = runs.into_iter().map(site::Running::end).collect();
    let text = outs
        .iter()
        .map(site::Output::all)
        .collect::<Vec<_>>()
        .join("\n\n");
    assert_eq!(outs.iter().filter(|o| o.code == 0).count(), 1, "{text}");
    assert!(outs.iter().all(|o| matches!(o.code, 0 | 2)), "{text}");
    assert_eq!(reviews(&site, "a"), 1);
    assert_eq!(site.task("a"), "merged");
    ledger_is_linear(&site);
}

#[test]
fn of_two_approvals_of_two_tasks_both_count() {
    for _ in 0..4 {
        let site = site();
        assert_eq!(site.pertask(START).code, 0);
        let runs = [
            site.spawn(&["approve", "wiz", "a"]),
            site.spawn(&["approve", "wiz", "b"]),
        ];
        let outs: Vec<_> = runs.into_iter().map(site::Running::end).collect();
        let text = outs
            .iter()
            .map(site::Output::all)
            .collect::<Vec<_>>()
            .join("\n\n");
        assert!(outs.iter().all(|o| o.code == 0), "{text}");
        assert_eq!((reviews(&site, "a"), reviews(&site, "b")), (1, 1));
        // Whoever came second left it to the first, or went on with it: nobody is needed any more.
        assert_eq!(site.status()["state"], "complete", "{text}");
        ledger_is_linear(&site);
    }
}

/// So many rounds with each number of runners, most of them of steps that have one winner.
fn rounds(each: usize, seed: u64) -> Vec<Round> {
    // An order is ready; an approval is given, and the next task begins; the last approval; and so on.
    let turns = [
        What::GoOn(3),
        What::GoOn(1),
        What::GoOn(6),
        What::Start,
        What::Note,
        What::GoOn(3),
        What::GoOn(2),
        What::GoOn(5),
        What::NoteHere,
        What::GoOn(6),
    ];
    let all = (0..each).flat_map(|number| {
        [2, 8].map(|runners| Round {
            runners,
            what: turns[number % turns.len()],
            number,
        })
    });
    let mut all: Vec<_> = all.collect();
    Dice(seed).shuffle(&mut all);
    all
}

#[test]
fn of_many_runners_one_wins_each_step() {
    let story = Story::told();
    let mut wrong = Vec::new();
    for (runners, what) in [
        (2, What::GoOn(3)),
        (8, What::GoOn(1)),
        (3, What::GoOn(6)),
        (4, What::Start),
        (4, What::Note),
        (8, What::NoteHere),
    ] {
        let round = Round {
            runners,
            what,
            number: 0,
        };
        wrong.extend(rounds::hold(&story, round).wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
#[ignore = "one round, named by PERTASK_TRIAL"]
fn one_trial() {
    let name = std::env::var("PERTASK_TRIAL").expect("PERTASK_TRIAL names a round");
    let round: Round = name.parse().unwrap();
    assert_eq!(round.to_string(), name);
    if let Some(what) = rounds::hold(&Story::told(), round).wrong {
        panic!("{what}");
    }
    println!("{round}: as it should be");
}

#[test]
#[ignore = "takes half an hour: bench/reliability --long races"]
fn campaign() {
    let campaign = Campaign::from_env("races", 50);
    let seed = campaign.seed;
    let sum = campaign.drive(
        Story::told,
        |_| rounds(1000, seed),
        |story, round| rounds::hold(story, *round),
    );
    campaign.report(
        &sum,
        &[
            ("winners", "runners that took a step"),
            (
                "losers",
                "runners that took none and said so (75, or 2 where the run was there already)",
            ),
            ("late", "runners that found all done"),
            (
                "doubled",
                "rounds after which a comment stood there twice, until the next command",
            ),
            (
                "withdrawn",
                "rounds in which one did, until another of the runners looked",
            ),
        ],
    );
}
