//! The action itself: `action.yml` and its scripts, run as a runner does it, with releases on loopback
//! and a script in place of the program.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[path = "action/environment.rs"]
mod environment;
#[path = "action/release.rs"]
mod release;
#[path = "action/runner.rs"]
mod runner;
#[path = "action/source.rs"]
mod source;

use std::fmt::Write as _;
use std::fs;

use insta::assert_snapshot;
use runner::{PROGRAM, Runner, description, hash};

const TARGET: &str = "x86_64-unknown-linux-musl";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const DECIDE: &[(&str, &str)] = &[("command", "decide"), ("token", "t0ken")];

fn attempt<'a>(step: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let order = [
        ("command", "attempt"),
        ("step", step),
        ("run", "wiz"),
        ("task", "one"),
        ("attempt", "1"),
        ("order", "0123abcd"),
    ];
    [&order[..], more].concat()
}

/// Without what changes with each release.
fn plain(text: &str) -> String {
    text.replace(VERSION, "<version>")
}

/// Where a runner on Linux keeps the binary.
fn cached(runner: &Runner) -> std::path::PathBuf {
    runner.path(&format!("cache/git-pertask/{VERSION}/x64/git-pertask"))
}

#[test]
fn the_release_is_fetched_once_and_its_outputs_pass_through() {
    let runner = Runner::new();
    let hash = runner.release(VERSION, TARGET, PROGRAM);
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert_eq!(
        used.log,
        format!("Fetching git-pertask {VERSION} for {TARGET}\nthe program ran\n")
    );
    assert_eq!(
        runner.server.asked(),
        [format!("/v{VERSION}/git-pertask-{VERSION}-{TARGET}.tar.gz")]
    );
    let outputs: Vec<(&str, &str)> = used
        .outputs
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        outputs,
        [
            ("orders", "[{\"run\":\"wiz\",\n\"task\":\"one\"}]"),
            ("pull-request", "https://github.com/o/r/pull/7"),
            ("run", "wiz"),
            ("sha256", hash.as_str()),
            ("state", "waiting"),
        ]
    );
    assert_eq!(runner.arguments().unwrap(), ["ci", "decide"]);

    // Again, and with everything that can be said of it: nothing is asked of the server.
    let version = format!("v{VERSION}");
    let used = runner.uses(&[DECIDE, &[("version", &version), ("sha256", &hash)]].concat());
    assert_eq!((used.code, used.log.as_str()), (0, "the program ran\n"));
    assert!(runner.server.asked().is_empty());

    // What is left is what the runner's own tool cache looks like.
    let folder = runner.path(&format!("cache/git-pertask/{VERSION}"));
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["x64", "x64.complete"]);
}

#[test]
fn each_system_has_its_archive_and_what_has_none_is_named() {
    for (system, machine, target) in [
        ("Linux", "X64", "x86_64-unknown-linux-musl"),
        ("Linux", "ARM64", "aarch64-unknown-linux-musl"),
        ("macOS", "X64", "x86_64-apple-darwin"),
        ("macOS", "ARM64", "aarch64-apple-darwin"),
    ] {
        let mut runner = Runner::new();
        runner.set("RUNNER_OS", system);
        runner.set("RUNNER_ARCH", machine);
        runner.release(VERSION, target, PROGRAM);
        let used = runner.uses(DECIDE);
        assert_eq!(used.code, 0, "{}", used.log);
        assert!(used.log.contains(target), "{}", used.log);
    }
    let mut said = String::new();
    for (system, machine) in [
        ("Windows", "X64"),
        ("Windows", "ARM64"),
        ("Linux", "ARM"),
        ("Linux", "X86"),
        ("Plan 9", "X64"),
        ("", ""),
    ] {
        let mut runner = Runner::new();
        runner.set("RUNNER_OS", system);
        runner.set("RUNNER_ARCH", machine);
        let used = runner.uses(DECIDE);
        assert_eq!(used.code, 1);
        assert!(runner.arguments().is_none());
        said.push_str(&used.log);
    }
    assert_snapshot!(plain(&said), @r#"
    ::error title=git-pertask::git-pertask does not support Windows yet. Let this job run on Linux or macOS: runs-on: ubuntu-latest
    ::error title=git-pertask::git-pertask does not support Windows yet. Let this job run on Linux or macOS: runs-on: ubuntu-latest
    ::error title=git-pertask::git-pertask does not support the architecture "ARM" (RUNNER_ARCH) on Linux, only X64 and ARM64
    ::error title=git-pertask::git-pertask does not support the architecture "X86" (RUNNER_ARCH) on Linux, only X64 and ARM64
    ::error title=git-pertask::git-pertask does not support the system "Plan 9" (RUNNER_OS), only Linux and macOS
    ::error title=git-pertask::git-pertask does not support the system "" (RUNNER_OS), only Linux and macOS
    "#);
}

#[test]
fn a_cached_binary_that_was_changed_is_thrown_away() {
    let runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    runner.uses(DECIDE);
    runner.server.asked();
    runner.arguments();
    fs::write(cached(&runner), "#!/bin/sh\ntouch \"$SAW/evil\"\n").unwrap();

    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert!(
        used.log.contains("::warning title=git-pertask::"),
        "{}",
        used.log
    );
    assert_eq!(runner.server.asked().len(), 1);
    assert!(runner.arguments().is_some());
    assert_eq!(fs::read_to_string(cached(&runner)).unwrap(), PROGRAM);

    // A link to the right content could point elsewhere a moment later.
    fs::rename(cached(&runner), runner.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(runner.path("elsewhere"), cached(&runner)).unwrap();
    runner.uses(DECIDE);
    assert!(!cached(&runner).is_symlink());

    // Without a server there is nothing to run.
    runner.arguments();
    fs::write(cached(&runner), "#!/bin/sh\ntouch \"$SAW/evil\"\n").unwrap();
    runner.server.offer(
        &format!("/v{VERSION}/git-pertask-{VERSION}-{TARGET}.tar.gz"),
        b"gone".to_vec(),
    );
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 1);
    assert!(runner.arguments().is_none());
    assert!(!cached(&runner).exists());
    assert!(!runner.path("saw/evil").exists());
}

#[test]
fn what_is_not_the_release_is_not_run() {
    let archive = format!("git-pertask-{VERSION}-{TARGET}.tar.gz");
    let binary = format!("git-pertask-{VERSION}-{TARGET}/git-pertask");
    let sums = "action/action/checksums.txt";
    let mut said = String::new();
    for case in [
        "another archive",
        "another binary in it",
        "half a line",
        "twice",
        "input",
    ] {
        let runner = Runner::new();
        let right = runner.release(VERSION, TARGET, PROGRAM);
        let text = fs::read_to_string(runner.path(sums)).unwrap();
        let another = hash(b"another");
        let mut inputs = DECIDE.to_vec();
        match case {
            "another archive" => {
                runner
                    .server
                    .offer(&format!("/v{VERSION}/{archive}"), b"not it".to_vec());
            }
            "another binary in it" => runner.write(sums, &text.replace(&right, &another)),
            "half a line" => runner.write(sums, &text.replace(&right, &right[..40])),
            "twice" => runner.know(&binary, &another),
            _ => inputs.push(("sha256", &another)),
        }
        let used = runner.uses(&inputs);
        assert_eq!(used.code, 1, "{case}: {}", used.log);
        assert!(runner.arguments().is_none(), "{case}");
        assert!(!cached(&runner).exists(), "{case}");
        let mut log = used
            .log
            .replace(&right, "<right>")
            .replace(&another, "<another>");
        for line in text.lines().filter(|l| l.ends_with(&archive)) {
            log = log.replace(line.split(' ').next().unwrap(), "<archive>");
        }
        log = log.replace(&hash(b"not it"), "<found>");
        let _ = write!(said, "{case}\n{log}");
    }
    assert_snapshot!(plain(&said), @r#"
    another archive
    Fetching git-pertask <version> for x86_64-unknown-linux-musl
    ::error title=git-pertask::http://releases/v<version>/git-pertask-<version>-x86_64-unknown-linux-musl.tar.gz has the SHA-256 <found>, not <archive> as the release had: it is not used
    another binary in it
    Fetching git-pertask <version> for x86_64-unknown-linux-musl
    ::error title=git-pertask::the binary in http://releases/v<version>/git-pertask-<version>-x86_64-unknown-linux-musl.tar.gz is not the one of the release: it is not used
    half a line
    ::error title=git-pertask::action/checksums.txt is broken at git-pertask-<version>-x86_64-unknown-linux-musl/git-pertask
    twice
    ::error title=git-pertask::action/checksums.txt is broken at git-pertask-<version>-x86_64-unknown-linux-musl/git-pertask
    input
    ::error title=git-pertask::the binary of git-pertask <version> for x86_64-unknown-linux-musl has the SHA-256 <right>, not <another> of the input sha256
    "#);
}

#[test]
fn a_binary_changed_after_it_was_verified_is_not_run() {
    let runner = Runner::new();
    let right = runner.release(VERSION, TARGET, PROGRAM);
    runner.uses(DECIDE);
    runner.arguments();
    fs::write(cached(&runner), PROGRAM.replace("ran", "RAN")).unwrap();
    let out = runner
        .machine("bash")
        .arg(runner.path("action/action/run.sh"))
        .env("PERTASK_ACTION_BINARY", cached(&runner))
        .env("PERTASK_ACTION_BINARY_SHA256", right)
        .env("PERTASK_ACTION_COMMAND", "decide")
        .env("PERTASK_ACTION_TOKEN", "t0ken")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("was changed after it was verified"));
    assert!(runner.arguments().is_none());
}

#[test]
fn fetching_is_tried_again_and_never_in_the_clear() {
    let mut runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    runner.server.fail(1);
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert_eq!(runner.server.asked().len(), 2);

    fs::remove_dir_all(runner.path("cache/git-pertask")).unwrap();
    for url in [
        "http://127.0.0.1.invalid",
        "http://127.0.0.1:1@host.invalid",
        "http://host.invalid",
    ] {
        runner.set("PERTASK_RELEASES", url);
        let used = runner.uses(DECIDE);
        assert_eq!(used.code, 1);
        assert!(
            used.log.contains("rotocol") && used.log.contains("could not be fetched"),
            "{}",
            used.log
        );
    }
}

#[test]
fn inputs_are_arguments_and_nothing_else() {
    let runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    let nasty = "$(touch pwned) `touch pwned` \"'; touch pwned #\n::error::no\n\\ %0A * ~ é";
    let used = runner.uses(&[
        ("command", "decide"),
        ("token", "t0ken"),
        ("plan", nasty),
        ("mode", "--help"),
        ("agent", "-x; touch pwned"),
        (
            "parameters",
            "vendor=a b  c\r\n\n  indented=$(touch pwned)\nempty=\neq=a=b\nquote=\"x\" 'y'\n--mode=x\n",
        ),
    ]);
    assert_eq!(used.code, 0, "{}", used.log);
    assert_eq!(
        runner.arguments().unwrap(),
        [
            "ci",
            "decide",
            &format!("--plan={nasty}"),
            "--mode=--help",
            "--agent=-x; touch pwned",
            "--param=vendor=a b  c",
            "--param=indented=$(touch pwned)",
            "--param=empty=",
            "--param=eq=a=b",
            "--param=quote=\"x\" 'y'",
            "--param=--mode=x",
        ]
    );
    for inputs in [
        attempt("fetch", &[("result", nasty)]),
        attempt("agent", &[("result", nasty)]),
    ] {
        let used = runner.uses(&inputs);
        assert_eq!(used.code, 0, "{}", used.log);
        let order = ["--run=wiz", "--task=one", "--attempt=1", "--order=0123abcd"];
        let step = format!("--step={}", inputs[1].1);
        let result = format!("--result={nasty}");
        let wanted = [&["ci", "attempt"][..], &order, &[&step, &result]].concat();
        assert_eq!(runner.arguments().unwrap(), wanted);
    }
    let used = runner.uses(&[
        ("command", "publish"),
        ("token", "t0ken"),
        ("run", nasty),
        ("task", nasty),
        ("attempt", "$(touch pwned)"),
        ("order", "`touch pwned`"),
    ]);
    assert_eq!(used.code, 0, "{}", used.log);
    assert_eq!(
        runner.arguments().unwrap(),
        [
            "ci",
            "publish",
            &format!("--run={nasty}"),
            &format!("--task={nasty}"),
            "--attempt=$(touch pwned)",
            "--order=`touch pwned`",
        ]
    );
    assert_eq!(fs::read_dir(runner.path("repo")).unwrap().count(), 0);

    // The folder is one, whatever it is called.
    for (name, wanted) in [("$(touch pwned) x", 0), ("-", 0), ("nowhere", 1)] {
        if wanted == 0 {
            fs::create_dir_all(runner.path("repo").join(name)).unwrap();
        }
        let used = runner.uses(&[DECIDE, &[("working-directory", name)]].concat());
        assert_eq!(used.code, wanted, "{}", used.log);
        if wanted == 0 {
            let folder = fs::read_to_string(runner.path("saw/folder")).unwrap();
            assert_eq!(
                folder.trim_end(),
                runner.path("repo").join(name).display().to_string()
            );
        }
    }
}

#[test]
fn the_program_understands_what_it_is_given() {
    let mut runner = Runner::new();
    let program = env!("CARGO_BIN_EXE_git-pertask");
    runner.release(
        VERSION,
        TARGET,
        &format!("#!/bin/sh\nexec '{program}' \"$@\"\n"),
    );
    runner.tool("git", &runner::which("git"));
    runner.set("GIT_CONFIG_NOSYSTEM", "1");
    let made = runner.machine("git").args(["init", "-q"]).status().unwrap();
    assert!(made.success());
    let start = [
        ("run", "w"),
        ("plan", "wiz"),
        ("mode", "batch"),
        ("agent", "claude"),
        ("parameters", "vendor=a b"),
    ];
    let result = ("result", "out");
    let order = [
        ("run", "w"),
        ("task", "one"),
        ("attempt", "1"),
        ("order", "ab"),
    ];
    let publish = [&[("command", "publish"), DECIDE[1], result], &order[..]].concat();
    for inputs in [
        DECIDE.to_vec(),
        [DECIDE, &start].concat(),
        attempt("fetch", &[result]),
        publish,
    ] {
        let used = runner.uses(&inputs);
        // As far as it gets in a repository without a remote; what is misspelt would not get there.
        assert!(
            used.log.contains("there is no GitHub to ask"),
            "{inputs:?}: {}",
            used.log
        );
    }
    for step in ["agent", "checks", "pack"] {
        let used = runner.uses(&attempt(step, &[result]));
        assert!(
            used.log.contains("there is no run named wiz"),
            "{step}: {}",
            used.log
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_runs() {
    let runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    let token = ("token", "s3cret");
    let mut said = String::new();
    for inputs in [
        vec![],
        vec![("command", "decode\n::set-env::x")],
        vec![("command", "decide")],
        [DECIDE, &[("order", "1")]].concat(),
        [DECIDE, &[("parameters", "a=b\nno\n")]].concat(),
        [DECIDE, &[("parameters", "=b")]].concat(),
        vec![("command", "attempt"), ("step", "fetch"), ("run", "wiz")],
        attempt("all", &[]),
        attempt("fetch", &[("plan", "wiz")]),
        attempt("agent", &[token]),
        attempt("checks", &[token]),
        attempt("pack", &[token]),
        vec![("command", "publish"), token, ("run", "wiz")],
    ] {
        let used = runner.uses(&inputs);
        assert_eq!(used.code, 1, "{inputs:?}: {}", used.log);
        assert!(runner.arguments().is_none(), "{inputs:?}");
        assert!(!used.log.contains("s3cret"));
        let log = used.log.lines().filter(|l| !l.starts_with("Fetching"));
        said.extend(log.map(|l| format!("{l}\n")));
    }
    assert_snapshot!(plain(&said), @r#"
    ::error title=git-pertask::input command is missing: one of decide, attempt, publish
    ::error title=git-pertask::input command: "decode%0A::set-env::x" is none of decide, attempt, publish
    ::error title=git-pertask::input token is missing; command: decide needs it
    ::error title=git-pertask::command: decide has no use for the input order; leave it out
    ::error title=git-pertask::input parameters, line 2: "no" is not key=value
    ::error title=git-pertask::input parameters, line 1: "=b" is not key=value
    ::error title=git-pertask::input task is missing; command: attempt needs it
    ::error title=git-pertask::input step: "all" is none of fetch, agent, checks, pack
    ::error title=git-pertask::command: attempt has no use for the input plan; leave it out
    ::error title=git-pertask::command: attempt, step: agent takes no token: give it to step: fetch only
    ::error title=git-pertask::command: attempt, step: checks takes no token: give it to step: fetch only
    ::error title=git-pertask::command: attempt, step: pack takes no token: give it to step: fetch only
    ::error title=git-pertask::input task is missing; command: publish needs it
    "#);
}

#[test]
fn the_programs_exit_code_is_the_steps() {
    let mut runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    runner.set("EXIT", "75");
    assert_eq!(runner.uses(DECIDE).code, 75);
}

#[test]
fn shasum_serves_where_sha256sum_is_missing() {
    let runner = Runner::new();
    let sums = fs::read_link(runner.path("bin/sha256sum")).unwrap();
    runner.without("sha256sum");
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 1);
    assert!(
        used.log.contains("neither sha256sum nor shasum"),
        "{}",
        used.log
    );
    let sums = sums.display();
    runner.script(
        "shasum",
        &format!("#!/bin/sh\n[ \"$*\" = '-a 256' ] && exec {sums}\n"),
    );
    runner.release(VERSION, TARGET, PROGRAM);
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
}

#[test]
fn a_tool_cache_that_cannot_be_written_is_done_without() {
    let mut runner = Runner::new();
    runner.release(VERSION, TARGET, PROGRAM);
    runner.write("file", "");
    runner.set(
        "RUNNER_TOOL_CACHE",
        &runner.path("file").display().to_string(),
    );
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert!(
        runner
            .path(&format!("temp/git-pertask/{VERSION}/x64/git-pertask"))
            .exists()
    );
}

#[test]
fn action_yml_hands_every_input_on_and_puts_none_into_a_script() {
    let action = description();
    let steps = action["runs"]["steps"].as_array().unwrap();
    for step in steps {
        assert!(!step["run"].as_str().unwrap().contains("${{"));
    }
    for input in action["inputs"].as_object().unwrap().keys() {
        let name = format!("PERTASK_ACTION_{}", input.replace('-', "_").to_uppercase());
        let value = format!("${{{{ inputs.{input} }}}}");
        let times = steps
            .iter()
            .filter(|s| s["env"][&name] == value.as_str())
            .count();
        assert_eq!(times, 1, "{input}");
    }
    // No default of ours is a token.
    assert_eq!(action["inputs"]["token"]["default"], "");
}
