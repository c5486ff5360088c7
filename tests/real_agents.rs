//! A whole run with the real Claude Code and Codex, driven by a scripted model on loopback; started
//! by `tests/agents/run`.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/model.rs"]
#[expect(dead_code, reason = "only a part is used here")]
mod model;
#[path = "support/site.rs"]
mod site;

use model::{Model, Turn};
use site::Site;

const PLAN: &str = r#"
build = [["sh", "check.sh"]]
[[task]]
id = "first"
file = "first.txt"
purpose = "The first file"
[[task]]
id = "second"
file = "second.txt"
purpose = "The second file"
depends_on = ["first"]
"#;

/// Writes what the check refuses, unless the prompt says what the check said.
fn model() -> Model {
    Model::start(|request| {
        let second = request.prompt.contains(": task 2 of 2, ");
        let file = if second { "second" } else { "first" };
        let text = if !second && !request.prompt.contains("it is bad") {
            "bad"
        } else {
            "good"
        };
        match request.results {
            0 => Turn::Shell(format!("echo {text} > {file}.txt")),
            _ => Turn::Say("Done.\n```json\n{\"status\": \"complete\"}\n```".into()),
        }
    })
}

fn site(model: &Model, agent: &str) -> Site {
    // Not in a temporary folder: Codex's own sandbox refuses to work from there.
    let cache = std::path::PathBuf::from(std::env::var_os("HOME").unwrap());
    let cache = cache.join(".cache/git-pertask/tests");
    std::fs::create_dir_all(&cache).unwrap();
    let mut site = Site::in_folder(tempfile::tempdir_in(cache).unwrap());
    site.set("ANTHROPIC_BASE_URL", &model.url());
    site.set("ANTHROPIC_API_KEY", "sk-not-a-real-key");
    site.set("STUB_KEY", "sk-not-a-real-key");
    site.write(
        "check.sh",
        "! grep -s bad first.txt || { echo it is bad; exit 1; }\n",
    );
    site.write(".pertask/wiz/plan.toml", PLAN);
    site.write(".pertask/config.toml", agent);
    site.commit("Add the plan");
    site
}

fn whole_run(site: &Site) {
    let before = site.users_own();
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.task("first"), "review", "{}", out.all());
    if git_pertask::attempt::sandbox::available().is_some() {
        assert!(
            out.stderr.contains("run confined (Landlock"),
            "{}",
            out.all()
        );
    }
    assert!(
        out.stderr.contains("attempt 1 fails, another follows"),
        "{}",
        out.all()
    );
    for _ in 0..2 {
        let out = site.pertask(&["approve"]);
        assert_eq!(out.code, 0, "{}", out.all());
    }
    assert_eq!(site.status()["state"], "complete");
    for file in ["first", "second"] {
        assert_eq!(
            site.git(&["show", &format!("pertask/wiz/main:{file}.txt")]),
            "good"
        );
    }
    assert_eq!(site.users_own(), before);
    assert_eq!(site.processes(), Vec::<String>::new());
    // Exit status 1 of git grep: the key is in nothing that the ledger keeps.
    let found = site
        .command("git")
        .args(["grep", "-l", "sk-not-a-real-key", "refs/pertask/runs/wiz"])
        .output();
    assert_eq!(found.unwrap().status.code(), Some(1));
}

fn program(name: &str) -> String {
    let bin = std::env::var("PERTASK_TEST_AGENTS_BIN").expect("run by tests/agents/run");
    format!("{bin}/{name}")
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn a_whole_run_with_claude() {
    let model = model();
    let config = format!(
        "agent = \"claude\"\n[agents.claude]\ncommand = [{:?}]\nmax_cost_usd = 5.0\n",
        program("claude")
    );
    let site = site(&model, &config);
    whole_run(&site);
    let state = site.state();
    let cost = state["items"][0]["attempts"][0]["cost_usd"].as_f64();
    assert!(cost.is_some_and(|c| c > 0.0), "{cost:?}");
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn a_whole_run_with_codex() {
    let model = model();
    let mut command = vec![program("codex")];
    command.extend(model.codex_arguments());
    let config = format!(
        "agent = \"codex\"\n[agents.codex]\ncommand = {command:?}\nmodel = \"scripted\"\nenv = [\"STUB_KEY\"]\n"
    );
    whole_run(&site(&model, &config));
}
