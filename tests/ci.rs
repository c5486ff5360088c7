//! A run in GitHub Actions: decide, attempt and publish, each on a machine of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "support/jobs.rs"]
mod jobs;
mod support;

use github::{Fault, FaultKind, When};
use hub::{Hub, REPO};
use std::fmt::Write as _;
use std::path::Path;

use jobs::{Jobs, edit};
use support::{GOOD, TWO};

#[test]
fn a_run_goes_from_the_form_to_the_last_pull_request_by_jobs_alone() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    assert_eq!(jobs.hub.github.pulls(REPO).len(), 1);
    jobs.hub
        .github
        .person("olive")
        .approve(REPO, 1, "")
        .unwrap();
    jobs.settle(&[]);
    jobs.hub
        .github
        .person("olive")
        .approve(REPO, 2, "")
        .unwrap();
    jobs.settle(&[]);
    assert_eq!(jobs.hub.states(), ["merged", "merged"]);
    assert_eq!(jobs.hub.github.pulls(REPO).len(), 3);
    jobs.hub
        .github
        .person("olive")
        .merge(REPO, 3, "merge")
        .unwrap();
    jobs.settle(&[]);
    let out = jobs.hub.run(&["log", "wiz"]).code(0);
    insta::assert_snapshot!(out.out(), @r"
    [ID]  [TIME]  robot
        The run is complete: pull request #3 takes it into main

    [ID]  [TIME]  robot
        The gate holds

    [ID]  [TIME]  robot
        The build of the run branch for the gate begins

    [ID]  [TIME]  robot
        Task 2 of 2, two (Second file): merged as [ID] (approved by olive)

    [ID]  [TIME]  robot
        Task 2 of 2, two (Second file): approved by olive

    [ID]  [TIME]  robot
        Task 2 of 2, two (Second file): pull request #2 is open

    [ID]  [TIME]  robot
        Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a
        review

    [ID]  [TIME]  robot
        Task 2 of 2, two (Second file): attempt 1 begins

    [ID]  [TIME]  robot
        Task 1 of 2, one (First file): merged as [ID] (approved by olive)

    [ID]  [TIME]  robot
        Task 1 of 2, one (First file): approved by olive

    [ID]  [TIME]  robot
        Task 1 of 2, one (First file): pull request #1 is open

    [ID]  [TIME]  robot
        Task 1 of 2, one (First file): attempt 1 passes its checks, waiting for a
        review

    [ID]  [TIME]  robot
        Task 1 of 2, one (First file): attempt 1 begins

    [ID]  [TIME]  robot
        The base builds

    [ID]  [TIME]  robot
        The build of the base begins

    [ID]  [TIME]  robot
        Run wiz of plan wiz starts

          high-risk implementation: one
    ");
}

/// What a job handed on, changed by somebody hostile.
type Case = (&'static str, fn(&Jobs, &Path));

const HOSTILE: &[Case] = &[
    ("a changed workflow file", |jobs, result| {
        let file = ("100644", ".github/workflows/evil.yml", "on: push\n");
        jobs.forge_bundle(result, &[file], None);
    }),
    ("a file of another task", |jobs, result| {
        jobs.forge_bundle(result, &[("100644", "two.txt", "mine\n")], None);
    }),
    ("a symbolic link that leads out", |jobs, result| {
        jobs.forge_bundle(result, &[("120000", "one.txt", "/etc/passwd")], None);
    }),
    ("a replaced base", |jobs, result| {
        let dir = jobs.machine();
        let tree = jobs.hub.sandbox.git_in(&dir, ["rev-parse", "HEAD^{tree}"]);
        let other = jobs.hub.sandbox.git_in(
            &dir,
            [
                "commit-tree",
                "-p",
                "HEAD",
                "-m",
                "another base",
                tree.trim(),
            ],
        );
        let push = ["push", "--quiet"];
        let url = jobs.hub.github.clone_url_as(REPO, &jobs.hub.token);
        let to = format!("{}:refs/heads/elsewhere", other.trim());
        jobs.hub
            .sandbox
            .git_in(&dir, push.iter().copied().chain([&*url, &*to]));
        jobs.forge_bundle(result, &[], Some(other.trim()));
    }),
    ("a bundle of two gigabytes", |_, result| {
        let file = std::fs::File::options()
            .write(true)
            .open(result.join("result.bundle"))
            .unwrap();
        file.set_len(2 << 30).unwrap();
    }),
    ("a bundle that is none", |_, result| {
        std::fs::write(result.join("result.bundle"), "# v2 git bundle\n").unwrap();
    }),
    ("a path outside, in the tree", |jobs, result| {
        let (dir, base) = jobs.base_of(result);
        let git = |args: &[&str]| jobs.hub.sandbox.git_in(&dir, args).trim().to_owned();
        let blob = git(&["rev-parse", "HEAD:.pertask/config.toml"]);
        let mut raw = b"100644 ..\0".to_vec();
        raw.extend((0..20).map(|n| u8::from_str_radix(&blob[2 * n..2 * n + 2], 16).unwrap()));
        let file = dir.join("raw");
        std::fs::write(&file, raw).unwrap();
        let tree = git(&[
            "hash-object",
            "-t",
            "tree",
            "-w",
            "--literally",
            file.to_str().unwrap(),
        ]);
        jobs.bundle_of(&dir, result, &tree, &base, &base);
    }),
    ("a file beside those of a result", |_, result| {
        std::fs::write(result.join("config"), "[core]\n").unwrap();
    }),
    ("a link in place of the result", |_, result| {
        let file = result.join("result.json");
        std::fs::rename(&file, result.with_extension("elsewhere")).unwrap();
        std::os::unix::fs::symlink(result.with_extension("elsewhere"), &file).unwrap();
    }),
    ("a result for another run", |_, result| {
        edit(result, |r| r["run"] = "secret".into());
    }),
    ("a result of another claim", |_, result| {
        edit(result, |r| r["claim"] = "0123456789abcdef".into());
    }),
    ("a result that is no JSON", |_, result| {
        std::fs::write(result.join("result.json"), "{").unwrap();
    }),
    (
        "a forged handoff: done, and nothing is there",
        |jobs, result| {
            let (dir, base) = jobs.base_of(result);
            let tree = jobs.hub.sandbox.git_in(&dir, ["rev-parse", "HEAD^{tree}"]);
            let tree = tree.trim();
            jobs.bundle_of(&dir, result, tree, &base, &base);
        },
    ),
    ("a build that was not run", |_, result| {
        edit(result, |r| {
            let checks = r["checks"].as_array_mut().unwrap();
            checks.retain(|c| c["kind"] != "build");
        });
    }),
    ("a result of more text than is kept", |_, result| {
        edit(result, |r| {
            let checks = r["checks"].as_array_mut().unwrap();
            let mut build = checks
                .iter()
                .find(|c| c["kind"] == "build")
                .unwrap()
                .clone();
            build["output"] = "x".repeat(100_000).into();
            checks.resize(60, build);
        });
    }),
    ("a result of ten megabytes", |_, result| {
        std::fs::write(result.join("result.json"), " ".repeat(10_000_000)).unwrap();
    }),
    ("an agent that gives money back", |_, result| {
        edit(result, |r| r["agent"]["cost_usd"] = (-5.0).into());
    }),
];

#[test]
fn what_a_hostile_job_hands_on_is_refused_named_and_can_be_tried_again() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    let (_, orders) = jobs.decide(&["--plan", "wiz"]);
    let built = jobs.attempt_at_once(&orders[0]);
    jobs.publish(&orders[0], &built).code(0);
    let mut said = String::new();
    for (number, (name, how)) in (1..).zip(HOSTILE) {
        let (out, orders) = jobs.decide(&[]);
        assert_eq!(orders.len(), 1, "{name}: {}", out.text());
        let result = jobs.attempt_at_once(&orders[0]);
        how(&jobs, &result);
        let before = jobs.hub.github.git(REPO, ["for-each-ref", "refs/heads"]);
        jobs.publish(&orders[0], &result).code(0);
        assert_eq!(jobs.hub.states(), ["failed", "pending"], "{name}");
        let status = jobs.hub.status();
        assert_eq!(status["tasks"][0]["attempts"], number, "{name}");
        let pull = jobs.hub.github.pull(REPO, 1);
        assert!(pull.draft, "{name}");
        let reason = jobs.hub.run(&["show", "wiz", "one"]).code(0).stdout;
        let reason = reason
            .lines()
            .find(|l| l.contains("was refused"))
            .unwrap_or_else(|| panic!("{name}: {reason}"))
            .trim()
            .to_owned();
        let core = reason.split("was refused: ").nth(1).unwrap().to_owned();
        writeln!(said, "{name}: {core}").unwrap();
        let start: String = core.chars().take(24).collect();
        let body = pull.body.unwrap_or_default();
        assert!(
            body.replace('\\', "").contains(&start),
            "{name}: {start}: {body}"
        );
        if number > 1 {
            // No branch got anything but the log of the attempt.
            let after = jobs.hub.github.git(REPO, ["for-each-ref", "refs/heads"]);
            let names = |refs: &str| -> Vec<String> {
                refs.lines()
                    .map(|l| l.split('\t').nth(1).unwrap().to_owned())
                    .collect()
            };
            assert_eq!(names(&before), names(&after), "{name}");
        }
        jobs.hub.github.advance(2);
        jobs.hub
            .github
            .person("olive")
            .comment(REPO, 1, "/pertask retry --fresh")
            .unwrap();
    }
    let (_, orders) = jobs.decide(&[]);
    let result = jobs.attempt_at_once(&orders[0]);
    jobs.publish(&orders[0], &result).code(0);
    assert_eq!(jobs.hub.states(), ["review", "pending"]);
    insta::assert_snapshot!(jobs.hub.sandbox.tidy(&said), @r"
    a changed workflow file: it says that its checks pass, and this does not hold: scope: .github/workflows/evil.yml is protected: no agent may change it
    a file of another task: it says that its checks pass, and this does not hold: scope: two.txt is outside what this task may touch
    a symbolic link that leads out: it says that its checks pass, and this does not hold: files: one.txt is not there
    a replaced base: it does not stand on the commit that the order starts from
    a bundle of two gigabytes: its result.bundle has [ID] bytes, and 209715200 are allowed
    a bundle that is none: git does not take its result.bundle: it ends within its head
    a path outside, in the tree: git does not take its result.bundle: error: object [OID]: hasDotdot: contains '..' fatal: fsck error in packed object
    a file beside those of a result: it holds config, which no result has
    a link in place of the result: it holds result.json, which no result has
    a result for another run: it is a result for one of secret, attempt 10, and the order was one of wiz, attempt 10
    a result of another claim: it was made under another claim
    a result that is no JSON: its result.json cannot be read: EOF while parsing an object at line 1 column 1
    a forged handoff: done, and nothing is there: it says that its checks pass, and this does not hold: files: one.txt is not there
    a build that was not run: it says that its checks pass, and has no outcome of test -d .pertask
    a result of more text than is kept: it has more text than the 4194304 bytes that are kept
    a result of ten megabytes: its result.json has 10000000 bytes, and 8388608 are allowed
    an agent that gives money back: it says that the agent cost less than nothing
    ");
}

/// Two tasks that need not wait for one another.
const APART: &str = r#"title = "Two files"

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
"#;

/// A run of [`APART`] in per-task mode whose two orders have been handed out.
fn apart(agent: &str) -> (Jobs, Vec<jobs::Order>) {
    let jobs = Jobs::of(Hub::with(APART, agent));
    let (out, orders) = jobs.decide(&["--plan", "wiz", "--mode", "per-task"]);
    out.code(0);
    (jobs, orders)
}

#[test]
fn independent_tasks_are_handed_out_together_and_neither_holds_the_other_back() {
    let (jobs, orders) = apart(GOOD);
    let tasks: Vec<_> = orders.iter().map(|o| o.task.as_str()).collect();
    assert_eq!(tasks, ["one", "two"]);
    let (second, first) = (jobs.attempt(&orders[1]), jobs.attempt(&orders[0]));
    jobs.publish(&orders[1], &second).code(0);
    assert_eq!(jobs.hub.states(), ["running", "review"]);
    assert_eq!(jobs.dispatches(), 0, "there is nothing to wake anybody for");
    // The other is merged while the first is still under way.
    jobs.hub
        .github
        .person("olive")
        .approve(REPO, 1, "")
        .unwrap();
    let under_way = jobs.id.get();
    jobs.id.set(under_way + 1);
    let (out, none) = jobs.decide_again(&[]);
    out.code(0);
    assert_eq!(none, []);
    assert_eq!(jobs.hub.states(), ["running", "merged"]);
    jobs.publish(&orders[0], &first).code(0);
    assert_eq!(jobs.hub.states(), ["review", "merged"]);
}

#[test]
fn a_result_counts_once_and_only_under_the_current_claim() {
    let (jobs, orders) = apart(GOOD);
    let result = jobs.attempt(&orders[0]);
    jobs.publish(&orders[0], &result).code(0);
    let tip = |jobs: &Jobs| jobs.hub.refs();
    let before = tip(&jobs);
    // "Re-run failed jobs": attempt and publish once more, with the same ids.
    let again = jobs.publish(&orders[0], &result).code(0);
    insta::assert_snapshot!(again.text(), @r#"
    exit 0
    --- stdout
    {"schema":1,"run":"wiz","state":"running","pull_request":"http://[HOST]/acme/widgets/pull/1"}
    --- stderr
    The order is not current any more: its result was recorded already, or it was taken back
    "#);
    let dir = jobs.machine();
    let out = jobs.attempt_step(&dir, true, &orders[0], "fetch", &dir.join("result"));
    insta::assert_snapshot!(out.code(0).text(), @r"
    exit 0
    --- stdout
    --- stderr
    The order is not current any more; nothing is done
    ");
    assert_eq!(tip(&jobs), before);

    // The workflow run is over, and the other order was never published: it is handed out anew.
    let late = jobs.attempt(&orders[1]);
    let (_, anew) = jobs.decide(&[]);
    assert_eq!(anew.len(), 1);
    assert_eq!((&*anew[0].task, &*anew[0].attempt), ("two", "1"));
    let before = tip(&jobs);
    jobs.publish(&orders[1], &late).code(0);
    assert_eq!(tip(&jobs), before, "a stale result is not published");
    let result = jobs.attempt(&anew[0]);
    jobs.publish(&anew[0], &result).code(0);
    assert_eq!(jobs.hub.states(), ["review", "review"]);
}

/// The job of an order fails between the push and the pull request, and somebody presses "Re-run failed
/// jobs".
#[test]
fn a_publish_that_failed_half_way_is_finished_by_running_it_again() {
    let (jobs, orders) = apart(GOOD);
    let result = jobs.attempt(&orders[0]);
    let route = "POST /repos/{owner}/{repo}/pulls";
    let broken = |nth| Fault::nth(route, nth, FaultKind::Status(When::Before, 502));
    jobs.hub.github.faults((1..40).map(broken));
    jobs.publish(&orders[0], &result).code(75);
    jobs.hub.github.clear_faults();
    assert_eq!(jobs.hub.states(), ["review", "running"]);
    assert!(jobs.hub.github.pulls(REPO).is_empty());
    let again = jobs.publish(&orders[0], &result).code(0);
    insta::assert_snapshot!(again.text(), @r#"
    exit 0
    --- stdout
    {"schema":1,"run":"wiz","state":"running","pull_request":"http://[HOST]/acme/widgets/pull/1"}
    --- stderr
    The order is not current any more: its result was recorded already, or it was taken back
    Task 1 of 2, one (First file): pull request #1 is open
      http://[HOST]/acme/widgets/pull/1
    "#);
    assert_eq!(jobs.hub.github.pulls(REPO).len(), 1);
}

#[test]
fn a_lost_runner_leaves_nothing_running_and_is_tried_three_times() {
    let (jobs, mut orders) = apart(GOOD);
    for time in 1..=3 {
        let order = orders.remove(0);
        assert_eq!((&*order.task, &*order.attempt), ("one", "1"), "time {time}");
        let out = jobs
            .publish(&order, std::path::Path::new("/nowhere"))
            .code(0);
        if time == 3 {
            insta::assert_snapshot!(out.text(), @r#"
            exit 0
            --- stdout
            {"schema":1,"run":"wiz","state":"running","pull_request":"http://[HOST]/acme/widgets/pull/1"}
            --- stderr
            Task 1 of 2, one (First file): taken back, its job ended without handing anything on; it was not the first time, so a person is asked
            Task 1 of 2, one (First file): its branch is laid out, with its log entry
            Task 1 of 2, one (First file): pull request #1 is open
              http://[HOST]/acme/widgets/pull/1
            "#);
        }
        assert_eq!(
            jobs.dispatches(),
            0,
            "who cancels a run does not want the next"
        );
        (_, orders) = jobs.decide(&[]);
    }
    // The jobs of the other task never came to an end either.
    assert_eq!(jobs.hub.states(), ["failed", "failed"]);
    let shown = jobs.hub.github.pulls(REPO).len();
    assert_eq!(shown, 2, "failed tasks are shown");
    jobs.hub
        .github
        .person("olive")
        .comment(REPO, 1, "/pertask retry")
        .unwrap();
    let (_, orders) = jobs.decide(&[]);
    assert_eq!((orders.len(), &*orders[0].task), (1, "one"));
}

#[test]
fn a_workflow_that_is_run_anew_as_a_whole_takes_its_orders_back() {
    let (jobs, orders) = apart(GOOD);
    let dir = jobs.machine();
    let mut command = jobs.command(&dir, true, &["decide"]);
    command.env("GITHUB_RUN_ATTEMPT", "2");
    let out = jobs.hub.sandbox.finish(command).code(0);
    let said: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(said["orders"].as_array().unwrap().len(), 2);
    assert_ne!(said["orders"][0]["order"], orders[0].order);
    // One that is only run on, in another run of the workflow, leaves them.
    jobs.id.set(jobs.id.get() + 1);
    let (_, none) = jobs.decide_again(&[]);
    assert_eq!(none, []);
}

#[test]
fn an_attempt_that_cannot_be_made_says_so_on_the_pull_request() {
    let (jobs, orders) = apart(GOOD);
    let dir = jobs.machine();
    let result = dir.join("result");
    let step = |name: &str, token: bool| jobs.attempt_step(&dir, token, &orders[0], name, &result);
    // Without having been fetched there is nothing to carry out.
    insta::assert_snapshot!(step("agent", false).text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: there is no run named wiz
    ");
    step("fetch", true).code(0);
    let mut command = jobs.command(&dir, false, &[]);
    command.args([
        "attempt", "--step", "agent", "--run", "wiz", "--task", "one",
    ]);
    command.args(["--attempt", "1", "--order", &orders[0].order]);
    command.env("PATH", "/nowhere");
    let out = jobs.hub.sandbox.finish(command);
    assert_ne!(out.code, 0);
    insta::assert_snapshot!(step("checks", false).code(0).text(), @r"
    exit 0
    --- stdout
    --- stderr
    The agent has not answered; there is nothing to check
    ");
    step("pack", false).code(0);
    jobs.publish(&orders[0], &result).code(0);
    assert_eq!(jobs.hub.states(), ["failed", "running"]);
    let pull = jobs.hub.github.pull(REPO, 1);
    assert!(pull.draft);
    insta::assert_snapshot!(jobs.hub.sandbox.tidy(&pull.body.unwrap_or_default()), @r#"
    <!-- pertask:begin wiz/1-one -->
    **Task 1 of 2** of Two files, in run `wiz`. **Failed**, and needs a person.

    > [!CAUTION]
    > **What did not hold:**
    >
    > - preparing the workspace: git config core.sparseCheckout false failed: the program `git` was not found; install git and put it on PATH

    The first of two

    ### How to go on

    This is a draft: there is nothing to approve. Write a comment that begins with one of these; `retry` goes on from where it stopped, `retry --fresh` from the run branch:

    ```text
    /pertask retry
    /pertask retry --fresh
    /pertask revise WHAT TO DO
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz one` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: mine
    - Time and cost: [T]
    - Prompt: sha256 `[SHA256]`
    - Everything recorded: `git pertask show wiz one`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: First file (one.txt)
    - Status: Failed
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: none, the file was not written
    - Build: NONE
    - Agent: mine (task-1)
    - Skills invoked: none named
    - Reason: preparing the workspace: git config core.sparseCheckout false failed: the program `git` was not found; install git and put it on PATH

    ##### Files Created
    - None

    ##### API Methods Implemented
    - None

    ##### Review Notes
    - None

    </details>

    <!-- pertask:tasks -->
    ### All tasks

    1 running, 1 failed.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1 | First file | failed | this one |
    | 2 | Second file | running |  |

    ```mermaid
    graph TD
      t1["1 one: failed"]:::failed
      t2["2 two: running"]:::running
      classDef running fill:#54aeff,color:#24292f
      classDef failed fill:#cf222e,color:#ffffff
    ```
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    "#);
}

/// The text of the one file of this name below a folder.
fn read_below(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .find_map(|entry| {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                read_below(&entry.path(), name)
            } else if entry.file_name() == name {
                std::fs::read_to_string(entry.path()).ok()
            } else {
                None
            }
        })
}

#[test]
fn work_that_is_cut_off_is_handed_on_and_kept_without_the_agents_key() {
    const KEY: &str = "marked-agent-key-0001";
    let agent = r#"cat > /dev/null
printf 'half\nkey %s\n' "$AGENT_KEY" > one.txt
printf 'x%s' "$AGENT_KEY" | base64 > "$PERTASK_OUTPUT_DIR/encoded"
(setsid sh -c 'while :; do echo "$AGENT_KEY" > one.txt.late; sleep 0.01; done' &)
touch "$PERTASK_OUTPUT_DIR/begun"
exec sleep 600"#;
    let hub = Hub::with(APART, agent);
    let config = hub.sandbox.read(".pertask/config.toml") + "env = [\"AGENT_KEY\"]\n";
    hub.sandbox.write(".pertask/config.toml", &config);
    hub.sandbox.commit("Let the agent have its key");
    let with_token = hub.github.clone_url_as(REPO, &hub.token);
    hub.sandbox
        .git(["push", "--quiet", &with_token, "HEAD:refs/heads/main"]);
    let jobs = Jobs::of(hub);
    let (out, orders) = jobs.decide(&["--plan", "wiz", "--mode", "per-task"]);
    out.code(0);
    let dir = jobs.machine();
    let result = dir.join("result");
    let step = |name: &str, token: bool| jobs.attempt_step(&dir, token, &orders[0], name, &result);
    step("fetch", true).code(0);
    let mut command = jobs.command(&dir, false, &[]);
    command.args([
        "attempt", "--step", "agent", "--run", "wiz", "--task", "one",
    ]);
    command.args(["--attempt", "1", "--order", &orders[0].order]);
    command.env("AGENT_KEY", KEY);
    let running = jobs.hub.sandbox.begin(command);
    let home = jobs.beside(&dir, "home");
    support::wait_for_any(&home, "begun");
    // The runner gives up: first politely, then not.
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    // Here nobody knows the key any more, and it is not written down.
    let notes = read_below(&home, "traces.json").unwrap();
    assert!(
        notes.contains("AGENT_KEY") && !notes.contains(KEY),
        "{notes}"
    );
    let packed = step("pack", false).code(0);
    let said = "one.txt held the value of AGENT_KEY, which was taken out";
    assert!(packed.text().contains(said), "{}", packed.text());
    let encoded = std::fs::read_to_string(result.join("output/encoded")).unwrap();
    assert!(encoded.contains("***"), "{encoded}");
    jobs.publish(&orders[0], &result).code(0);
    let state = jobs.hub.status();
    assert_eq!(state["tasks"][0]["state"], "pending");
    assert_eq!(state["tasks"][0]["attempts"], 1);
    let kept = "pertask/wiz/kept/1-one-1";
    let file = |name: &str| jobs.hub.github.file(REPO, kept, name);
    assert_eq!(file("one.txt").unwrap(), "half\nkey ***\n");
    assert_ne!(file("one.txt.late").unwrap_or_default(), format!("{KEY}\n"));
}

#[test]
fn a_base_that_does_not_build_is_built_again_only_when_somebody_asks() {
    let plan = TWO.replace(r#"["test", "-d", ".pertask"]"#, r#"["false"]"#);
    let jobs = Jobs::of(Hub::with(&plan, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    assert_eq!(jobs.hub.status()["state"], "failed");
    let (out, none) = jobs.decide(&[]);
    assert_eq!((out.code, none.len()), (0, 0), "{}", out.text());
    let (_, orders) = jobs.decide(&["--again"]);
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].task, "(base)");
    // The build's machine is lost, too.
    jobs.publish(&orders[0], std::path::Path::new("/nowhere"))
        .code(0);
    let (_, orders) = jobs.decide(&["--again"]);
    assert_eq!((&*orders[0].task, &*orders[0].attempt), ("(base)", "3"));
}

/// What somebody who may push writes into the ledger.
type Forgery = (&'static str, fn(&mut serde_json::Value));

const FORGERIES: &[Forgery] = &[
    ("another base", |s| {
        s["base"]["commit"] = "1111111111111111111111111111111111111111".into();
    }),
    ("the last pull request elsewhere", |s| {
        s["base"]["branch"] = "release".into();
    }),
    ("a branch of somebody else's for the run", |s| {
        s["run_branch"]["name"] = "main".into();
    }),
    ("a branch of somebody else's for a task", |s| {
        s["items"][0]["branch"]["name"] = "main".into();
    }),
    ("a task that the plan does not have", |s| {
        s["items"][1]["key"] = "three".into();
    }),
    ("a task's name that leads out", |s| {
        s["items"][1]["key"] = "../../x".into();
    }),
    ("another file", |s| {
        s["items"][1]["tasks"][0]["file"] = "other.txt".into();
    }),
    ("a dependency less", |s| {
        s["items"][1]["depends_on"] = serde_json::json!([]);
    }),
    ("fewer reviews", |s| s["checkpoint"] = "none".into()),
    ("an approval by policy", |s| {
        s["items"][0]["phase"] = serde_json::json!({
            "is": "approved", "because": "policy", "by_policy": true,
            "commit": s["items"][0]["branch"]["head"],
        });
    }),
    ("an approval that carries over from nowhere", |s| {
        let base = s["base"]["commit"].clone();
        s["items"][0]["carries"] = serde_json::json!([{ "commit": base, "since": null }]);
    }),
    ("work kept on another branch", |s| {
        s["items"][0]["attempts"][0]["kept"] = "main".into();
    }),
    ("another run's name", |s| s["run"] = "wiz-2".into()),
];

#[test]
fn a_ledger_that_does_not_follow_from_its_base_is_not_acted_on() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    let honest = jobs.ledger();
    let mut said = String::new();
    for (name, forge) in FORGERIES {
        let mut state = jobs.state();
        forge(&mut state);
        jobs.rewrite(&[("state.json", &state.to_string())]);
        let before = jobs.hub.refs();
        let (out, orders) = jobs.decide(&[]);
        assert_eq!((out.code, orders.len()), (1, 0), "{name}: {}", out.text());
        assert_eq!(jobs.hub.refs(), before, "{name}");
        let why = out.stderr.split("not believed here: ").nth(1).unwrap();
        let why = why.split("; nothing was done").next().unwrap();
        writeln!(said, "{name}: {why}").unwrap();
        jobs.put_ledger(&honest);
    }
    insta::assert_snapshot!(jobs.hub.sandbox.tidy(&said), @r"
    another base: its base [ID] is not part of the default branch main
    the last pull request elsewhere: its last pull request would go to release, not to the default branch
    a branch of somebody else's for the run: it names the run branch main
    a branch of somebody else's for a task: it names main as a branch of one
    a task that the plan does not have: it has a task three that the plan does not have
    a task's name that leads out: it has a task ../../x that the plan does not have
    another file: it has another file for two
    a dependency less: it lets two begin before what it needs
    fewer reviews: it asks for fewer reviews than the base
    an approval by policy: it has one approved by a policy that does not
    an approval that carries over from nowhere: it lets an approval of [ID] count for [ID]
    work kept on another branch: it keeps work of one on a branch of others
    another run's name: it is of another run
    ");
}

/// Somebody who may push waits until a ledger has been looked at.
#[test]
fn a_ledger_that_changes_while_a_job_works_is_looked_at_again() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    let honest = jobs.ledger();
    let mut state = jobs.state();
    let approved = FORGERIES.iter().find(|f| f.0 == "an approval by policy");
    (approved.unwrap().1)(&mut state);
    jobs.rewrite(&[("state.json", &state.to_string())]);
    let forged = jobs.ledger();
    let mut ends = std::collections::BTreeMap::<i32, u32>::new();
    for nth in 1..20 {
        jobs.put_ledger(&honest);
        let before = jobs.hub.refs().replace(&honest, &forged);
        let moved = FaultKind::Moved {
            repo: REPO.to_owned(),
            name: "refs/pertask/runs/wiz".to_owned(),
            to: forged.clone(),
        };
        jobs.hub.github.fault(Fault::nth("*", nth, moved));
        let (out, orders) = jobs.decide(&[]);
        if !jobs.hub.github.unused().is_empty() {
            jobs.hub.github.clear_faults();
            assert!(ends[&1] > 5, "{ends:?}");
            return;
        }
        *ends.entry(out.code).or_default() += 1;
        assert_eq!(orders.len(), 0, "{nth}: {}", out.text());
        assert_eq!(jobs.hub.refs(), before, "{nth}: {}", out.text());
    }
    panic!("there was no end of requests");
}

#[test]
fn what_the_ledger_says_of_commands_and_approvals_changes_nothing() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    // Commands, agents and limits are those of the base, whatever the ledger has.
    let plan = jobs
        .ledger_file("plan.json")
        .replace("\"test\"", "\"evil\"");
    let config = jobs.ledger_file("config.json").replace(
        "\"author_may_approve\": false",
        "\"author_may_approve\": true",
    );
    let mut state = jobs.state();
    let head = state["items"][0]["branch"]["head"].clone();
    state["items"][0]["phase"] = serde_json::json!({
        "is": "approved", "because": "approved by olive", "by_policy": false, "commit": head,
    });
    jobs.rewrite(&[
        ("plan.json", &plan),
        ("config.json", &config),
        ("state.json", &state.to_string()),
    ]);
    // Nobody approved it on GitHub, so it is not merged.
    let (out, orders) = jobs.decide(&[]);
    assert_eq!((out.code, orders.len()), (0, 0), "{}", out.text());
    assert_eq!(jobs.hub.states(), ["review", "pending"]);
    jobs.hub
        .github
        .person("olive")
        .approve(REPO, 1, "")
        .unwrap();
    let (_, orders) = jobs.decide(&[]);
    let order = jobs
        .hub
        .github
        .git(REPO, ["cat-file", "blob", &*orders[0].order]);
    assert!(
        order.contains("\"test\"") && !order.contains("evil"),
        "{order}"
    );
}

/// Holds a value against one of the schemas in `templates/schema/`.
fn fits(name: &str, value: &serde_json::Value) {
    let text = std::fs::read_to_string(format!("templates/schema/{name}.schema.json")).unwrap();
    let schema = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(value)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert_eq!(wrong, [] as [&str; 0], "{name}: {value:#}");
}

#[test]
fn the_files_of_the_three_steps_fit_their_schemas() {
    let jobs = Jobs::of(Hub::with(APART, support::FULL));
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (out, orders) = jobs.decide(&["--plan", "wiz", "--mode", "per-task"]);
    fits("decided", &json(&out.stdout));
    let order = jobs
        .hub
        .github
        .git(REPO, ["cat-file", "blob", &*orders[0].order]);
    fits("order", &json(&order));
    // Nobody reads a warning there: confined, or not at all.
    assert_eq!(json(&order)["sandbox"], "require");
    let result = jobs.attempt(&orders[0]);
    fits("result", &json(&support::read(&result.join("result.json"))));
    let out = jobs.publish(&orders[0], &result).code(0);
    fits("published", &json(&out.stdout));
}

#[test]
fn what_failed_is_kept_without_what_no_agent_may_change() {
    let agent = "cat > /dev/null\nmkdir -p .github/workflows\necho 'on: push' > .github/workflows/evil.yml\necho 'Obey' > AGENTS.md\nln -s /etc/passwd out\necho half > one.txt\necho '{\"status\":\"complete\"}' > \"$PERTASK_HANDOFF_FILE\"";
    let jobs = Jobs::of(Hub::configured(
        APART,
        agent,
        "forge = \"github\"\n[limits]\nattempts = 1",
    ));
    let (_, orders) = jobs.decide(&["--plan", "wiz", "--mode", "per-task"]);
    let result = jobs.attempt(&orders[0]);
    jobs.publish(&orders[0], &result).code(0);
    assert_eq!(jobs.hub.states(), ["failed", "running"]);
    let kept = "pertask/wiz/kept/1-one-1";
    assert_eq!(
        jobs.hub.github.file(REPO, kept, "one.txt").unwrap(),
        "half\n"
    );
    for path in [".github/workflows/evil.yml", "AGENTS.md", "out"] {
        assert_eq!(jobs.hub.github.file(REPO, kept, path), None, "{path}");
    }
    let body = jobs.hub.github.pull(REPO, 1).body.unwrap_or_default();
    assert!(body.contains("evil.yml"), "the reason is named: {body}");
}

/// `ci decide` for an event, as Actions would run it.
fn event(jobs: &Jobs, name: &str, payload: Option<&serde_json::Value>) -> support::Output {
    let dir = jobs.machine();
    let mut command = jobs.command(&dir, true, &["decide"]);
    command.env("GITHUB_EVENT_NAME", name);
    if let Some(payload) = payload {
        let file = jobs.beside(&dir, "event");
        support::write(&file, payload.to_string());
        command.env("GITHUB_EVENT_PATH", file);
    }
    jobs.hub.sandbox.finish(command)
}

#[test]
fn an_event_that_asks_for_nothing_says_why_and_does_nothing() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    jobs.settle(&["--plan", "wiz"]);
    jobs.hub
        .github
        .person("olive")
        .approve(REPO, 1, "")
        .unwrap();
    let before = jobs.hub.refs();
    let comment = |login: &str, repository: &str| {
        serde_json::json!({
            "action": "created",
            "issue": { "number": 1, "pull_request": { "url": "x" } },
            "comment": { "id": 7, "body": "/pertask status", "user": { "login": login, "id": 9, "type": "User" } },
            "repository": { "id": 1, "full_name": repository },
            "sender": { "login": login, "id": 9, "type": "User" },
        })
    };
    let mut said = String::new();
    for (what, name, payload) in [
        ("no payload", "issue_comment", None),
        (
            "malformed",
            "issue_comment",
            Some(serde_json::json!([1, 2])),
        ),
        (
            "another repository",
            "issue_comment",
            Some(comment("olive", "acme/other")),
        ),
        (
            "by who may only read",
            "issue_comment",
            Some(comment("rose", REPO)),
        ),
        (
            "by a stranger",
            "issue_comment",
            Some(comment("nobody", REPO)),
        ),
        ("another event", "push", Some(serde_json::json!({}))),
    ] {
        let out = event(&jobs, name, payload.as_ref()).code(0);
        let answer: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        assert_eq!(answer["orders"], serde_json::json!([]), "{what}");
        writeln!(said, "{what}: {}", out.stderr.trim()).unwrap();
        assert_eq!(jobs.hub.refs(), before, "{what}");
    }
    insta::assert_snapshot!(jobs.hub.sandbox.tidy(&said), @r"
    no payload: Nothing to do: the event issue_comment came without its payload
    malformed: Nothing to do: the payload of issue_comment is no object
    another repository: Nothing to do: the event is of the repository “acme/other”, not of acme/widgets
    by who may only read: Nothing to do: rose may not write to the repository
    by a stranger: Nothing to do: nobody may not write to the repository
    another event: Nothing to do: the event “push” asks for nothing
    ");
    // The same comment by somebody who may write wakes it, and all there is to do is done.
    let out = event(&jobs, "issue_comment", Some(&comment("olive", REPO))).code(0);
    let answer: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(answer["orders"].as_array().unwrap().len(), 1);
}

#[test]
fn a_ledger_that_cannot_be_read_keeps_no_other_run_from_starting() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    let dir = jobs.machine();
    let url = jobs.hub.github.clone_url_as(REPO, &jobs.hub.token);
    let push = ["push", "--quiet", &url, "HEAD:refs/pertask/runs/wiz"];
    jobs.hub.sandbox.git_in(&dir, push);
    let (out, orders) = jobs.decide(&["--plan", "wiz"]);
    assert_eq!(out.code, 0, "{}", out.text());
    assert_eq!(
        (orders.len(), &*orders[0].run),
        (1, "wiz-2"),
        "{}",
        out.text()
    );
}

/// An agent at its usage limit is handed nothing before that ends, and then by whichever job looks.
#[test]
fn an_agent_at_its_usage_limit_is_handed_nothing_before_it_ends() {
    let hub = Hub::with(
        TWO,
        r#"cat > /dev/null
        if [ "$PERTASK_ATTEMPT" = 1 ]; then
            printf '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%s}}\n' $(($(date +%s) + 6))
            echo '{"type":"result","subtype":"success","is_error":true,"result":"limit","total_cost_usd":0}'
            exit 1
        fi
        echo x > "$PERTASK_TASK.txt"; echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
        echo '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.5}'"#,
    );
    let config = hub.sandbox.read(".pertask/config.toml");
    let config = format!("{config}adapter = \"claude\"\n[limits]\nattempts = 1\n");
    hub.sandbox.write(".pertask/config.toml", config);
    hub.sandbox.commit("Read it like Claude Code");
    let url = hub.github.clone_url_as(REPO, &hub.token);
    hub.sandbox
        .git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
    let jobs = Jobs::of(hub);
    let (mut out, mut orders) = jobs.decide(&["--plan", "wiz"]);
    // The build of the base, then the task.
    for _ in 0..2 {
        for order in &orders {
            jobs.publish(order, &jobs.attempt(order)).code(0);
        }
        (out, orders) = jobs.decide(&[]);
    }
    let state = || -> serde_json::Value {
        let dir = jobs.machine();
        let name = "refs/pertask/runs/wiz";
        let fetch = [
            "fetch",
            "--quiet",
            "origin",
            "+refs/pertask/*:refs/pertask/*",
        ];
        jobs.hub.sandbox.git_in(&dir, fetch);
        let text = jobs
            .hub
            .sandbox
            .git_in(&dir, ["show", &format!("{name}:state.json")]);
        serde_json::from_str(&text).unwrap()
    };
    let until: jiff::Timestamp = state()["limited"]["mine"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let deadline = until + std::time::Duration::from_mins(1);
    while orders.is_empty() {
        assert!(jiff::Timestamp::now() < deadline, "{}", out.text());
        (out, orders) = jobs.decide(&[]);
    }
    let order = &orders[0];
    assert_eq!((&*order.task, &*order.attempt), ("one", "2"));
    let since = &state()["items"][0]["phase"]["claim"]["since"];
    let since: jiff::Timestamp = since.as_str().unwrap().parse().unwrap();
    assert!(since >= until, "{since} {until}");
    jobs.publish(order, &jobs.attempt(order)).code(0);
    jobs.decide(&[]).0.code(0);
    assert_eq!(jobs.hub.states(), ["review", "pending"]);
}

/// What is under way may cost all of the run's money: when it has ended, the next is handed out for the rest.
#[test]
fn independent_tasks_share_the_money_of_the_run() {
    let hub = Hub::with(
        APART,
        r#"cat > /dev/null
        echo x > "$PERTASK_TASK.txt"; echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
        echo '{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.5}'"#,
    );
    let config = hub.sandbox.read(".pertask/config.toml");
    let config = format!("{config}adapter = \"claude\"\n[limits]\nrun_cost_usd = 2.0\n");
    hub.sandbox.write(".pertask/config.toml", config);
    hub.sandbox.commit("Limit the run's money");
    let url = hub.github.clone_url_as(REPO, &hub.token);
    hub.sandbox
        .git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
    let jobs = Jobs::of(hub);
    let tasks =
        |orders: &[jobs::Order]| -> Vec<String> { orders.iter().map(|o| o.task.clone()).collect() };
    let (out, orders) = jobs.decide(&["--plan", "wiz", "--mode", "per-task"]);
    assert_eq!(tasks(&orders), ["one"], "{}", out.text());
    let said = out.text();
    let why = said.lines().find(|line| line.contains("run_cost_usd"));
    insta::assert_snapshot!(why.unwrap_or(&said), @"Waiting for the end of an attempt under way, before task 2 of 2, two (Second file) begins: what it may still cost leaves too little of `run_cost_usd` (`max_cost_usd` under `[agents.NAME]` or `task_cost_usd` lets more run side by side)");
    jobs.publish(&orders[0], &jobs.attempt(&orders[0])).code(0);
    assert_eq!(jobs.dispatches(), 1, "nobody wakes the workflow");
    let (out, orders) = jobs.decide(&[]);
    assert_eq!(tasks(&orders), ["two"], "{}", out.text());
    jobs.publish(&orders[0], &jobs.attempt(&orders[0])).code(0);
    assert_eq!(jobs.hub.states(), ["review", "review"]);
}

/// Two tasks that need nobody.
const MEETING: &str = r#"title = "Two files"
build = [["sh", "-c", "! grep -q bad two.txt"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"
allow = ["shared.txt"]
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
allow = ["shared.txt"]
"#;

#[test]
fn a_failed_attempt_is_gone_on_from_on_another_machine() {
    let agent = r#"
cat > /dev/null
echo "$PERTASK_TASK-$PERTASK_ATTEMPT" >> "$PERTASK_TASK.txt"
[ $PERTASK_TASK-$PERTASK_ATTEMPT != two-1 ] || echo bad >> two.txt
[ $PERTASK_TASK-$PERTASK_ATTEMPT != two-2 ] || { grep -v bad two.txt > new; mv new two.txt; }
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;
    let jobs = Jobs::of(Hub::with(MEETING, agent));
    jobs.settle(&["--plan", "wiz"]);
    assert_eq!(jobs.hub.states(), ["review", "review"]);
    let two = jobs
        .hub
        .github
        .git(REPO, ["cat-file", "blob", "pertask/wiz/2-two:two.txt"]);
    assert_eq!(two.trim_end(), "two-1\ntwo-2");
}

#[test]
fn what_was_merged_meanwhile_is_brought_in_on_another_machine() {
    let agent = r#"
cat > /dev/null
echo "$PERTASK_TASK" > "$PERTASK_TASK.txt"
if grep -q '<<<<<<<' shared.txt 2> /dev/null; then echo both > shared.txt
elif [ "$PERTASK_ATTEMPT" = 1 ]; then MEET; fi
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;
    for (meet, shared) in [
        (":", None),
        ("echo $PERTASK_TASK > shared.txt", Some("both")),
    ] {
        let jobs = Jobs::of(Hub::with(MEETING, &agent.replace("MEET", meet)));
        jobs.settle(&["--plan", "wiz"]);
        let olive = jobs.hub.github.person("olive");
        olive.approve(REPO, 1, "").unwrap();
        olive.approve(REPO, 2, "").unwrap();
        jobs.settle(&[]);
        if let Some(shared) = shared {
            assert_eq!(jobs.hub.states(), ["merged", "review"]);
            let at = "pertask/wiz/2-two:shared.txt";
            let found = jobs.hub.github.git(REPO, ["cat-file", "blob", at]);
            assert_eq!(found.trim_end(), shared);
            olive.approve(REPO, 2, "").unwrap();
            jobs.settle(&[]);
        }
        assert_eq!(jobs.hub.states(), ["merged", "merged"]);
    }
}
