//! The real Claude Code and Codex, driven by a scripted model; started by `tests/agents/run`.

use super::*;
use crate::model::{Model, Turn};

/// Where nothing lies in a temporary folder: Codex's sandbox refuses to work from there.
fn cache() -> PathBuf {
    let cache = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/git-pertask/tests");
    fs::create_dir_all(&cache).unwrap();
    cache
}

fn program(name: &str) -> String {
    let bin = std::env::var("PERTASK_TEST_AGENTS_BIN").expect("run by tests/agents/run");
    format!("{bin}/{name}")
}

fn claude(model: &Model) -> Attempt {
    let mut attempt = Attempt::new(&cache(), Adapter::Claude, &[&program("claude")]);
    attempt.set("HOME", attempt.path("home"));
    attempt.set("ANTHROPIC_BASE_URL", model.url());
    attempt.set("ANTHROPIC_API_KEY", "sk-not-a-real-key");
    attempt.inv.config.max_cost_usd = Some(5.0);
    attempt
}

fn codex(model: &Model) -> Attempt {
    let mut attempt = Attempt::new(&cache(), Adapter::Codex, &[&program("codex")]);
    attempt.inv.config.command.extend(model.codex_arguments());
    attempt.inv.config.model = Some("scripted".into());
    attempt.inv.config.env = vec!["STUB_KEY".into()];
    attempt.set("HOME", attempt.path("home"));
    attempt.set("STUB_KEY", "sk-not-a-real-key");
    attempt
}

const HANDOFF: &str = "Done.\n```json\n{\"status\": \"complete\", \"file_created\": \"pkg/x.go\", \
                       \"lines\": 1}\n```";

/// Writes a file in the workspace, looks at its environment, writes into the output folder, hands
/// off. The paths are known only once the attempt is, so the prompt carries them.
fn at_work() -> Model {
    Model::start(|request| {
        let folder = request.prompt.split("FOLDER ").nth(1).unwrap_or_default();
        let folder = folder.lines().next().unwrap_or_default();
        match request.results {
            0 => Turn::Write {
                path: format!("{folder}/workspace/pkg/x.go"),
                content: "package x".into(),
            },
            1 => Turn::Shell("env; echo run=$PERTASK_RUN".into()),
            2 => Turn::Write {
                path: format!("{folder}/output/notes.md"),
                content: "n".into(),
            },
            _ => Turn::Say(HANDOFF.into()),
        }
    })
}

fn works(attempt: &mut Attempt, model: &Model) -> (Outcome, Vec<String>) {
    attempt.inv.prompt = format!("Write it. FOLDER {}\n", attempt.folder.path().display());
    let mut seen = Vec::new();
    let outcome = attempt.run_with(&Cancel::never(), &mut |event| {
        if let Progress::Activity(line) = event {
            seen.push(line);
        }
    });
    let outcome = outcome.unwrap();
    assert_eq!(failure(&outcome), "", "{}", outcome.report.output_tail);
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 0 });
    assert_eq!(attempt.read("workspace/pkg/x.go").trim(), "package x");
    assert_eq!(attempt.read("output/notes.md").trim(), "n");
    assert_eq!(outcome.report.tokens, Some(4400));
    let handoff = outcome.handoff.as_ref().unwrap();
    assert_eq!(
        (handoff.status, handoff.lines),
        (HandoffStatus::Complete, Some(1))
    );
    assert_eq!(outcome.handoff_problem, None);
    let environment = model
        .requests()
        .iter()
        .find(|r| r.results == 2)
        .cloned()
        .unwrap();
    assert!(environment.last_result.unwrap().contains("run=wiz"));
    assert!(!attempt.path("settings").exists());
    assert_eq!(outcome.report.left_behind, 0);
    (outcome, seen)
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn claude_works() {
    let model = at_work();
    let mut attempt = claude(&model);
    let (outcome, seen) = works(&mut attempt, &model);
    assert_eq!(seen[0], "Write pkg/x.go");
    assert_eq!(seen[1], "$ env; echo run=$PERTASK_RUN");
    assert!(outcome.report.cost_usd.unwrap() > 0.0);
    assert_eq!(outcome.report.turns, Some(4));
    assert_eq!(outcome.report.version.as_deref(), Some("2.1.330"));
    assert!(outcome.report.model.is_some() && outcome.report.session.is_some());
    assert!(
        !attempt.path("home").exists(),
        "it wrote into the person's home"
    );
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn codex_works() {
    let model = at_work();
    let mut attempt = codex(&model);
    let (outcome, seen) = works(&mut attempt, &model);
    assert!(seen[0].starts_with("$ "), "{seen:?}");
    assert_eq!(outcome.report.cost_usd, None);
    assert!(outcome.report.session.is_some());
    let environment = model
        .requests()
        .iter()
        .find(|r| r.results == 2)
        .cloned()
        .unwrap();
    assert!(
        !environment
            .last_result
            .unwrap()
            .contains("sk-not-a-real-key"),
        "the key is seen"
    );
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn a_model_that_is_not_there_is_a_failure() {
    let model = Model::scripted(vec![Turn::Fail {
        status: 404,
        message: "no such model".into(),
    }]);
    for attempt in [claude(&model), codex(&model)] {
        let outcome = attempt.run();
        let error = outcome.report.error.clone().unwrap_or_default();
        assert!(!error.is_empty(), "{:?}", outcome.report);
        assert!(!failure(&outcome).is_empty());
        assert_eq!(outcome.handoff, None);
    }
}

/// With the login of a subscription: a key has no windows of usage.
#[test]
#[ignore = "real agents: tests/agents/run"]
fn usage_limits_are_recognised_with_their_end() {
    let until = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() + 7200).unwrap();
    let model = Model::scripted(vec![Turn::Limit {
        until: until.as_second(),
    }]);
    let mut claude = claude(&model);
    claude.unset("ANTHROPIC_API_KEY");
    claude.set("CLAUDE_CODE_OAUTH_TOKEN", "not-a-real-token");
    for attempt in [claude, codex(&model)] {
        let outcome = attempt.run();
        let report = &outcome.report;
        assert_eq!(
            (report.limited, report.limited_until),
            (true, Some(until)),
            "{report:?}"
        );
        assert!(!attempt.path("settings").exists());
    }
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn rate_limits_are_recognised() {
    let model = Model::scripted(vec![Turn::Fail {
        status: 429,
        message: "Too many requests in this minute".into(),
    }]);
    for attempt in [claude(&model), codex(&model)] {
        let before = jiff::Timestamp::now();
        let outcome = attempt.run();
        let report = &outcome.report;
        assert!(report.limited, "{report:?}");
        let minutes = std::time::Duration::from_mins(5);
        let until = report.limited_until.unwrap();
        assert!(before + minutes <= until && until <= jiff::Timestamp::now() + minutes);
    }
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn claude_stops_at_its_money_limit() {
    let model = Model::scripted(vec![
        Turn::Shell("true".into()),
        Turn::Shell("true".into()),
        Turn::Say(HANDOFF.into()),
    ]);
    let mut attempt = claude(&model);
    attempt.inv.config.max_cost_usd = Some(0.01);
    let outcome = attempt.run();
    assert_eq!(
        outcome.report.exit,
        AgentExit::OverBudget { limit_cents: 1 }
    );
    assert!(outcome.report.cost_usd.unwrap() >= 0.01);
}

#[test]
#[ignore = "real agents: tests/agents/run"]
fn settings_of_the_project_are_not_obeyed() {
    let model = Model::scripted(vec![Turn::Shell("true".into()), Turn::Say(HANDOFF.into())]);
    let attempt = claude(&model);
    let hook = r#"{"hooks":{"PreToolUse":[{"matcher":"","hooks":[
        {"type":"command","command":"touch hooked"}]}]}}"#;
    fs::create_dir(attempt.path("workspace/.claude")).unwrap();
    fs::write(attempt.path("workspace/.claude/settings.json"), hook).unwrap();
    fs::create_dir_all(attempt.path("home/.claude")).unwrap();
    fs::write(attempt.path("home/.claude/settings.json"), hook).unwrap();
    let outcome = attempt.run();
    assert_eq!(failure(&outcome), "");
    assert!(!attempt.path("workspace/hooked").exists());
}
