//! How long it takes from an event to the agent's start: `bench/run action` prints it.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be set up has failed"
)]

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "action/runner.rs"]
#[expect(dead_code, reason = "the tests of the action use the rest")]
mod runner;
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use hub::{Hub, REPO};
use runner::Runner;

const PLAN: &str = r#"title = "One file"

[[task]]
id = "one"
title = "A file"
file = "one.txt"
purpose = "The only one"
"#;

/// An agent that says when it was started.
const AGENT: &str = r#"
date +%s%N > "$PERTASK_OUTPUT_DIR/started"
cat > /dev/null
echo one > one.txt
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;

fn millis(from: SystemTime, to: SystemTime) -> u128 {
    to.duration_since(from).unwrap().as_millis()
}

/// A fresh machine with the programs of this one, and a clone on it.
fn machine(hub: &Hub, program: &[u8], id: &str) -> (Runner, PathBuf) {
    let mut runner = Runner::new();
    runner.release_of(
        env!("CARGO_PKG_VERSION"),
        "x86_64-unknown-linux-musl",
        program,
    );
    for name in ["git", "date", "jq", "uname"] {
        if let Some(path) = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
        {
            runner.tool(name, &path);
        }
    }
    for (name, value) in [
        ("GITHUB_API_URL", hub.github.api()),
        ("GITHUB_GRAPHQL_URL", hub.github.graphql()),
        ("GITHUB_SERVER_URL", hub.github.url()),
        ("GITHUB_REPOSITORY", REPO.to_owned()),
        ("GITHUB_RUN_ID", id.to_owned()),
        ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
        ("GITHUB_EVENT_NAME", "schedule".to_owned()),
    ] {
        runner.set(name, &value);
    }
    (runner, hub.clone())
}

#[test]
#[ignore = "a measurement: bench/run action"]
fn from_an_event_to_the_agent() {
    let program = std::env::var_os("PERTASK_BENCH_PROGRAM").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_git-pertask")),
        PathBuf::from,
    );
    let program = std::fs::read(program).unwrap();
    let hub = Hub::with(PLAN, AGENT);
    let work = hub.clone();
    for folder in 0..100 {
        for file in 0..100 {
            let mut text = String::new();
            for line in 0..20 {
                writeln!(text, "line {line} of file {file} in folder {folder}").unwrap();
            }
            support::write(&work.join(format!("src/{folder}/{file}.txt")), text);
        }
    }
    hub.sandbox.git_in(&work, ["add", "."]);
    hub.sandbox
        .git_in(&work, ["commit", "--quiet", "-m", "Ten thousand files"]);
    let url = hub.github.clone_url_as(REPO, &hub.token);
    hub.sandbox
        .git_in(&work, ["push", "--quiet", &url, "HEAD:refs/heads/main"]);
    let (first, clone) = machine(&hub, &program, "1");
    let here = clone.to_str().unwrap();
    let began = Instant::now();
    let decided = first.uses(&[
        ("command", "decide"),
        ("plan", "wiz"),
        ("mode", "per-task"),
        ("token", &hub.token),
        ("working-directory", here),
    ]);
    let decide = began.elapsed().as_millis();
    assert_eq!(decided.code, 0, "{}", decided.log);
    let orders: serde_json::Value = serde_json::from_str(&decided.outputs["orders"]).unwrap();
    let order = orders[0]["order"].as_str().unwrap().to_owned();

    let (second, clone) = machine(&hub, &program, "1");
    let here = clone.to_str().unwrap();
    let result = second.path("result");
    let step = |name: &str, token: &str| {
        let used = second.uses(&[
            ("command", "attempt"),
            ("step", name),
            ("run", "wiz"),
            ("task", "one"),
            ("attempt", "1"),
            ("order", &order),
            ("result", result.to_str().unwrap()),
            ("token", token),
            ("working-directory", here),
        ]);
        assert_eq!(used.code, 0, "{}", used.log);
    };
    let began = SystemTime::now();
    step("fetch", &hub.token);
    let fetched = SystemTime::now();
    step("agent", "");
    let nanos: u64 = support::read(&find(&second.path("temp"), "started"))
        .trim()
        .parse()
        .unwrap();
    let started = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(nanos);
    let (fetch, agent) = (millis(began, fetched), millis(fetched, started));
    println!("| installing and deciding | {decide} |");
    println!("| installing and fetching the order | {fetch} |");
    println!("| preparing the workspace, until the agent starts | {agent} |");
    println!("| **event to agent** | **{}** |", decide + fetch + agent);
}

fn find(dir: &Path, name: &str) -> PathBuf {
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_name() == name {
                return entry.path();
            }
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    panic!("there is no {name} below {}", dir.display());
}
