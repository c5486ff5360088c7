//! Agents and checks, confined: which doors are closed, and that work goes on behind them.
//!
//! Skipped, loudly, where the kernel has no Landlock.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panic; a skipped test must say so"
)]

mod support;

use std::fs;
use std::path::Path;

use git_pertask::attempt::sandbox;
use support::{Sandbox, write};

/// Whether to leave a test out.
fn skipped() -> bool {
    let skip = sandbox::available().is_none();
    if skip {
        eprintln!("SKIPPED: this kernel has no Landlock, so confinement is not tested");
    }
    skip
}

/// What an agent does all day, and every door it may try.
const DOORS: &str = include_str!("confinement/doors.sh");

const PLAN: &str = r#"title = "Doors"

[[task]]
id = "one"
title = "Doors"
file = "one.txt"
purpose = "Which doors are open"
risk = "high"
checks = [["sh", "doors.sh", "ROOT"]]
"#;

/// A person with keys, and an agent that tries them.
fn person(agent: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("GITHUB_TOKEN", "only-for-the-parent");
    for secret in [
        "home/.ssh/id_rsa",
        "home/.netrc",
        "home/.git-credentials",
        "home/.config/gh/hosts.yml",
        "home/.claude/.credentials.json",
        "home/.cargo/credentials.toml",
        "home/.cache/go-build/README",
        "pertask/other/wiz/workspace-0/tree/secret",
        "tmp/secret",
    ] {
        write(&sandbox.root().join(secret), "secret\n");
    }
    sandbox.write(".gitignore", ".env\n");
    sandbox.write(".env", "secret\n");
    sandbox.write("doors.sh", DOORS);
    sandbox.agent(agent);
    let root = sandbox.root();
    sandbox.plan(&PLAN.replace("ROOT", root.to_str().unwrap()));
    sandbox.commit("Add the plan");
    sandbox
}

/// What is below the person's folders, to see whether anything changed; objects left out, because
/// the run adds some.
fn persons(sandbox: &Sandbox) -> Vec<(std::path::PathBuf, u32, Vec<u8>)> {
    ["home", "repo", "tmp", "pertask/other"]
        .iter()
        .flat_map(|name| support::everything_in(&sandbox.root().join(name)))
        .filter(|(path, _, _)| {
            let path = path.to_string_lossy();
            !path.contains("/.git/objects/")
                && !path.contains("/.git/refs/")
                && !path.contains("/.git/logs/")
                && !path.contains("/.git/pertask/")
        })
        .collect()
}

#[test]
fn every_door() {
    if skipped() {
        return;
    }
    let root = "\"$(dirname \"$0\")\"";
    let sandbox = person(&format!(
        "cat > \"$TMPDIR/prompt\"\nsh doors.sh {root} $PPID > one.txt\necho '{{\"status\":\"complete\"}}' > \"$PERTASK_HANDOFF_FILE\""
    ));
    let before = persons(&sandbox);
    let out = sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.text());
    let agent = sandbox.file_at("pertask/wiz/1-one", "one.txt");
    insta::assert_snapshot!(agent, @r"
    # work
    works   write in the tree
    works   git status
    works   git log
    works   git commit
    works   a temporary file
    works   a pipe in it
    works   the null device
    works   a home
    works   its own children
    works   the prompt
    works   a cache
    # the person's home
    closed  read ~/.ssh/id_rsa
    closed  read ~/.netrc
    closed  read ~/.git-credentials
    closed  read ~/.config/gh/hosts.yml
    closed  read ~/.claude/.credentials
    closed  read ~/.cargo/credentials.toml
    closed  list the home
    closed  write ~/.bashrc
    closed  write ~/.ssh/authorized_keys
    closed  write into a build cache
    # the person's repository
    closed  read the working tree
    closed  read what is not committed
    closed  read the configuration
    closed  list the refs
    closed  write the configuration
    closed  write a hook
    closed  write an object
    closed  push to it
    closed  empty an object
    closed  write the working tree
    # our own places
    closed  read another workspace
    closed  list the workspaces
    closed  read the judge
    closed  write the judge
    closed  write its index
    closed  write our policy
    closed  write beside the tree
    closed  rename the tree
    closed  link out of the tree
    closed  read the order
    closed  write the order
    closed  write the answer
    closed  write the result
    closed  write into the checks caches
    # the one that started it
    closed  read its environment
    closed  read any with the secret
    closed  read its memory
    closed  follow its folder
    closed  signal it
    # the system
    closed  write into /tmp
    closed  write into /var/tmp
    closed  write into /dev/shm
    closed  read what others left in /tmp
    closed  read /etc/shadow
    closed  write into /etc
    closed  write into /usr
    closed  open the terminal
    closed  make a device
    closed  mount
    closed  signal the first process
    ");
    let names = sandbox.files_at("refs/pertask/runs/wiz");
    let check = names.lines().find(|n| n.contains("/checks/")).unwrap();
    let check = sandbox.file_at("refs/pertask/runs/wiz", check);
    assert_eq!(
        check.trim(),
        agent.trim(),
        "checks are confined like the agent"
    );
    assert_eq!(
        persons(&sandbox),
        before,
        "something of the person's changed"
    );
    let left: Vec<_> = fs::read_dir(sandbox.root().join("tmp")).unwrap().collect();
    assert_eq!(left.len(), 1, "temporary folders stay: {left:?}");
}

#[test]
fn unconfined_every_door_is_open() {
    // So that a closed door is one that was there.
    let sandbox =
        person("root=$(dirname \"$0\"); sh doors.sh \"$root\" $PPID harmless > \"$root/report\"");
    sandbox.config("sandbox = \"off\"");
    sandbox.commit("Confine nobody");
    sandbox.pertask(["start", "wiz", "--mode", "per-task"]);
    let report = support::read(&sandbox.root().join("report"));
    assert!(report.lines().count() > 50, "{report}");
    for line in report.lines() {
        assert!(
            !line.starts_with("closed") && !line.starts_with("BROKEN"),
            "{line}"
        );
    }
}

/// Runs a program confined to the system's folders and what is named.
fn confine(sandbox: &Sandbox, policy: &str, command: &[&str]) -> support::Output {
    let file = sandbox.root().join("policy");
    write(&file, policy);
    let mut program = sandbox.program(&sandbox.root());
    program
        .args(["confine", "--policy"])
        .arg(&file)
        .arg("--")
        .args(command);
    sandbox.finish(program)
}

const SYSTEM: &str =
    r#""read": ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"], "set": {}, "unset": []"#;

#[test]
fn what_cannot_be_confined_is_not_started() {
    if skipped() {
        return;
    }
    let sandbox = Sandbox::empty();
    let policy = format!("{{{SYSTEM}, \"write\": []}}");
    let out = confine(&sandbox, &policy, &["sh", "-c", "echo here; echo x > x"]);
    assert_eq!(out.stdout, "here\n");
    assert_eq!(out.code, 2);
    assert!(!Path::new(&sandbox.root().join("x")).exists());
    for wrong in ["", "{}", "{\"read\": 1}", &policy.replace("read", "raed")] {
        let out = confine(&sandbox, wrong, &["sh", "-c", "echo here"]);
        assert_eq!(
            (out.code, &*out.stdout),
            (70, ""),
            "{wrong}: {}",
            out.text()
        );
    }
}
