//! A run in GitHub Actions: decide, attempt and publish, each on a machine of its own.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "support/jobs.rs"]
mod jobs;
mod support;

use hub::{Hub, REPO};
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
        The commands of the final checklist begins

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
        jobs.forge_bundle(result, &[("100644", "two.txt", "mine\n")], None)
    }),
    ("a symbolic link that leads out", |jobs, result| {
        jobs.forge_bundle(result, &[("120000", "one.txt", "/etc/passwd")], None)
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
        std::fs::write(result.join("result.bundle"), "# v2 git bundle\n").unwrap()
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
        std::fs::write(result.join("config"), "[core]\n").unwrap()
    }),
    ("a link in place of the result", |_, result| {
        let file = result.join("result.json");
        std::fs::rename(&file, result.with_extension("elsewhere")).unwrap();
        std::os::unix::fs::symlink(result.with_extension("elsewhere"), &file).unwrap();
    }),
    ("a result for another run", |_, result| {
        edit(result, |r| r["run"] = "secret".into())
    }),
    ("a result of another claim", |_, result| {
        edit(result, |r| r["claim"] = "0123456789abcdef".into())
    }),
    ("a result that is no JSON", |_, result| {
        std::fs::write(result.join("result.json"), "{").unwrap()
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
    ("an agent that gives money back", |_, result| {
        edit(result, |r| r["agent"]["cost_usd"] = (-5.0).into())
    }),
];

#[test]
fn what_a_hostile_job_hands_on_is_refused_named_and_can_be_tried_again() {
    let jobs = Jobs::of(Hub::with(TWO, GOOD));
    let (_, orders) = jobs.decide(&["--plan", "wiz"]);
    let built = jobs.attempt(&orders[0]);
    jobs.publish(&orders[0], &built).code(0);
    let mut said = String::new();
    for (number, (name, how)) in (1..).zip(HOSTILE) {
        let (out, orders) = jobs.decide(&[]);
        assert_eq!(orders.len(), 1, "{name}: {}", out.text());
        let result = jobs.attempt(&orders[0]);
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
        said.push_str(&format!("{name}: {core}\n"));
        let start: String = core.chars().take(24).collect();
        let body = pull.body.unwrap_or_default();
        assert!(
            body.replace('\\', "").contains(&start),
            "{name}: {start}: {}",
            body
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
    let result = jobs.attempt(&orders[0]);
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
    an agent that gives money back: it says that the agent cost less than nothing
    ");
}
