//! What happens beside a run that works: commits of the person, a second process, an interrupt.

mod support;

use std::fs;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO, wait_for};

#[test]
fn the_person_commits_while_an_agent_works() {
    let s = Sandbox::with(TWO, "");
    s.unconfined();
    let (working, go_on) = (s.root().join("working"), s.root().join("go-on"));
    s.script(&format!(
        "touch '{}'\nwhile ! test -e '{}'; do sleep 0.02; done\n{GOOD}",
        working.display(),
        go_on.display()
    ));
    let run = s.spawn(["start", "wiz"]);
    wait_for(&working);
    s.write("mine.txt", "mine\n");
    let mine = s.commit("My own work");
    fs::write(&go_on, "").unwrap();
    run.wait().code(0);
    s.pertask(["approve"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.oid("main"), mine);
    assert_eq!(s.git(["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(s.git(["status", "--porcelain"]), "");
    assert!(!s.files_at("pertask/wiz/main").contains("mine.txt"));
}

#[test]
fn two_processes_on_one_run_do_not_both_work() {
    let s = Sandbox::with(TWO, "");
    s.unconfined();
    let (working, go_on) = (s.root().join("working"), s.root().join("go-on"));
    s.script(&format!(
        "touch '{}'\nwhile ! test -e '{}'; do sleep 0.02; done\n{GOOD}",
        working.display(),
        go_on.display()
    ));
    let run = s.spawn(["start", "wiz"]);
    wait_for(&working);
    let id = run.id().to_string();
    let out = s.pertask(["continue"]).code(75);
    assert_snapshot!(out.text().replace(&id, "[PID]"), @"
    exit 75
    --- stdout
    --- stderr
    git-pertask: process [PID] is already working on run wiz; `git pertask status wiz` shows what it does
    ");
    let out = s.pertask(["abort"]).code(2);
    assert_snapshot!(out.text().replace(&id, "[PID]"), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: process [PID] is working on run wiz; interrupt it first (kill -INT [PID])
    ");
    let out = s.pertask(["start", "wiz"]).code(2);
    assert!(
        out.stderr.contains("git pertask continue wiz"),
        "{}",
        out.text()
    );
    // Reading is always possible.
    assert_eq!(s.states("wiz"), "one=running two=pending");
    let said = s.pertask(["status"]).code(0).out();
    assert!(said.contains(&id), "{said}");
    for args in [
        &["approve", "one"][..],
        &["revise", "one", "-m", "x"],
        &["retry", "one"],
        &["skip", "one", "-m", "x"],
    ] {
        s.pertask(args).code(2);
    }
    fs::write(&go_on, "").unwrap();
    run.wait().code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

#[test]
fn an_interrupted_run_continues() {
    let s = Sandbox::with(TWO, "");
    s.unconfined();
    let working = s.root().join("working");
    s.script(&format!(
        "echo half > one.txt\ntouch '{}'\nsleep 100",
        working.display()
    ));
    let run = s.spawn(["start", "wiz"]);
    wait_for(&working);
    run.signal(rustix::process::Signal::INT);
    let out = run.wait().code(130);
    assert_snapshot!(out.err(), @"
    Run wiz: 2 tasks in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run [CONFINED]
    Building the base, so that old breakage is not blamed on an agent
      ok test -d .pertask ([T])
    The base builds
    Task 1 of 2, one (First file): attempt 1 begins

    Ending the agents and keeping their work; once more does not wait.
    Task 1 of 2, one (First file): attempt 1 was interrupted
      its work is kept on pertask/wiz/kept/1-one-1
    Interrupted; go on with: git pertask continue wiz
    ");
    s.script(GOOD);
    s.pertask(["continue"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}
