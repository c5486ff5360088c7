use insta::assert_snapshot;

use super::docs;
use crate::plan::config::{self, Adapter, ForgeKind, Sandbox};
use crate::plan::{CheckpointPolicy, Config, MergeMethod};

fn load(text: &str) -> Result<Config, String> {
    config::load(&docs(&[(config::PATH, text)])).map_err(|found| found.to_string())
}

#[test]
fn defaults_hold_without_a_file_and_with_an_empty_one() {
    let absent = config::load(&docs(&[])).expect("no file is fine");
    assert_eq!(absent, load("").expect("an empty file is fine"));
    assert_eq!(absent.template, "integration");
    assert_eq!(absent.agent, "claude");
    assert_eq!(absent.forge, ForgeKind::Local);
    assert_eq!(absent.checkpoint, CheckpointPolicy::Every);
    assert_eq!(absent.merge, MergeMethod::Squash);
    assert_eq!(absent.sandbox, Sandbox::Auto);
    assert_eq!(absent.limits.attempts, 3);
    assert_eq!(absent.github.approvals, 1);
    assert_eq!(absent.agents["claude"].command, ["claude"]);
    assert_eq!(absent.agents["codex"].adapter, Adapter::Codex);
    assert_eq!(absent.agents["codex"].timeout_s, 1800);
}

#[test]
fn every_setting_is_read() {
    let config = load(
        r#"
template = "migration"
agent = "codex"
forge = "github"
checkpoint = "high-risk"
merge = "rebase"
sandbox = "require"
[agents.mine]
command = ["my-agent", "--stdin"]
env = ["MY_AGENT_KEY"]
timeout = "1h 30m"
[agents.claude]
max_cost_usd = 5
model = "opus"
[agents.wrapped]
adapter = "claude"
command = ["nix", "run", "claude"]
max_cost_usd = 2.5
[agents.codex]
max_cost_usd = 3
model = "big"
[agents.codex.prices.default]
input = 1.25
output = 10
[agents.codex.prices."big"]
input = 2
cached_input = 0.5
output = 20.0
[limits]
attempts = 5
task_cost_usd = 9
task_time = "2h"
run_cost_usd = 50.0
run_time = "10h"
[github]
approvals = 2
reviewers = ["octocat", "my-org/my-team"]
author_may_approve = true
"#,
    )
    .expect("a valid file");
    let mine = &config.agents["mine"];
    assert_eq!((mine.adapter, mine.timeout_s), (Adapter::Command, 5400));
    assert_eq!(mine.env, ["MY_AGENT_KEY"]);
    assert_eq!(config.agents["claude"].command, ["claude"]);
    assert_eq!(config.agents["claude"].max_cost_usd, Some(5.0));
    assert_eq!(config.agents["claude"].model.as_deref(), Some("opus"));
    assert_eq!(config.agents["wrapped"].max_cost_usd, Some(2.5));
    assert_eq!(config.checkpoint, CheckpointPolicy::HighRisk);
    assert_eq!(config.merge, MergeMethod::Rebase);
    assert_eq!(config.limits.task_cost_usd, Some(9.0));
    assert_eq!(config.limits.task_time_s, Some(7200));
    assert_eq!(config.limits.run_cost_usd, Some(50.0));
    assert_eq!(config.limits.run_time_s, Some(36_000));
    assert_eq!(config.limits.of_money(), ["task_cost_usd", "run_cost_usd"]);
    let codex = &config.agents["codex"];
    assert_eq!(codex.max_cost_usd, Some(3.0));
    let price = codex.price().expect("its model has a price");
    assert_eq!(
        (price.input, price.cached_input, price.output),
        (2.0, Some(0.5), 20.0)
    );
    assert!(codex.tells_cost() && config.agents["wrapped"].tells_cost());
    assert!(!config.agents["mine"].tells_cost());
    assert_eq!(config.github.reviewers, ["octocat", "my-org/my-team"]);
    assert!(config.github.author_may_approve);
}

#[test]
fn every_problem_is_reported_at_once() {
    let errors = load(
        r#"agnet = "claude"
forge = "gitub"
checkpoint = 3
[agents.mine]
command = []
timeout = "soon"
env = ["KEY=secret"]
[agents.codex]
max_cost_usd = 5.0
[agents.Bad]
command = "run"
[limits]
attempts = 0
run_cost_usd = -1.0
[github]
reviewers = ["a b"]
"#,
    )
    .expect_err("errors");
    assert_snapshot!(errors, @r#"
    error: unknown key `agnet`
     --> .pertask/config.toml:1:1
      |
    1 | agnet = "claude"
      | ^^^^^
      |
      = help: did you mean `agent`?

    error: `forge` cannot be "gitub"
     --> .pertask/config.toml:2:9
      |
    2 | forge = "gitub"
      |         ^^^^^^^
      |
      = help: did you mean "github"?

    error: `checkpoint` must be one of "every", "high-risk", "none", not an integer
     --> .pertask/config.toml:3:14
      |
    3 | checkpoint = 3
      |              ^

    error: `command` has an empty command
     --> .pertask/config.toml:5:11
      |
    5 | command = []
      |           ^^
      |
      = help: a command is an argument list with the program first: ["go", "build", "./..."]

    error: `timeout` is not a duration
     --> .pertask/config.toml:6:11
      |
    6 | timeout = "soon"
      |           ^^^^^^
      |
      = help: write it like "90s", "10m" or "1h 30m"

    error: "KEY=secret" is not the name of an environment variable
     --> .pertask/config.toml:7:8
      |
    7 | env = ["KEY=secret"]
      |        ^^^^^^^^^^^^
      |
      = help: only names stand here; the values come from your environment

    error: the agent `codex` reports no cost, so `max_cost_usd` cannot be kept
     --> .pertask/config.toml:9:16
      |
    9 | max_cost_usd = 5.0
      |                ^^^
      |
      = help: give `input` and `output` under [agents.codex.prices.default], in US dollars per million tokens, or limit its time

    error: `Bad` cannot be the name of an agent
      --> .pertask/config.toml:10:9
       |
    10 | [agents.Bad]
       |         ^^^
       |
       = help: use lower-case letters, digits and hyphens, not starting with a hyphen

    error: `command` must be an argument list, like ["go", "build"], not a string
      --> .pertask/config.toml:11:11
       |
    11 | command = "run"
       |           ^^^^^

    error: `attempts` must be a whole number from 1 to 4294967295
      --> .pertask/config.toml:13:12
       |
    13 | attempts = 0
       |            ^

    error: `run_cost_usd` must be an amount in US dollars above zero
      --> .pertask/config.toml:14:16
       |
    14 | run_cost_usd = -1.0
       |                ^^^^

    error: "a b" is no reviewer
      --> .pertask/config.toml:16:14
       |
    16 | reviewers = ["a b"]
       |              ^^^^^
       |
       = help: write a login like "octocat" or a team like "my-org/my-team"
    "#);
}

#[test]
fn a_limit_of_money_that_cannot_be_kept_is_an_error() {
    let errors = load(
        r#"agent = "mine"
[agents.mine]
command = ["my-agent"]
max_cost_usd = 1
[agents.mine.prices.default]
input = 1
output = 1
[agents.claude.prices.opus]
input = 1
output = 1
[agents.other]
adapter = "codex"
command = ["codex"]
model = "small"
max_cost_usd = 2
[agents.other.prices.big]
input = 1
output = 1
[agents.codex]
max_cost_usd = 2
[agents.codex.prices.big]
input = 1
[limits]
task_cost_usd = 3
run_cost_usd = 4
task_time = "0s"
"#,
    )
    .expect_err("errors");
    assert_snapshot!(errors, @r#"
    error: the agent `mine` reports no cost, so `max_cost_usd` cannot be kept
     --> .pertask/config.toml:4:16
      |
    4 | max_cost_usd = 1
      |                ^
      |
      = help: limit its time with `timeout`, `task_time` and `run_time`; only the adapter "claude" reports cost, and only "codex" the tokens for a price table

    error: the agent `mine` reports no tokens, so prices are of no use
     --> .pertask/config.toml:5:14
      |
    5 | [agents.mine.prices.default]
      |              ^^^^^^
      |
      = help: remove them; they are for the adapter "codex"

    error: the agent `claude` says itself what it costs, so prices are of no use
     --> .pertask/config.toml:8:16
      |
    8 | [agents.claude.prices.opus]
      |                ^^^^^^
      |
      = help: remove them; they are for the adapter "codex"

    error: the agent `other` reports no cost, so `max_cost_usd` cannot be kept
      --> .pertask/config.toml:15:16
       |
    15 | max_cost_usd = 2
       |                ^
       |
       = help: its prices have neither its model "small" nor `default`; add one of them

    error: the price of `big` has no `output`
      --> .pertask/config.toml:21:22
       |
    21 | [agents.codex.prices.big]
       |                      ^^^
       |
       = help: both `input` and `output` are US dollars per million tokens

    error: the agent `mine` reports no cost, so `task_cost_usd` cannot be kept
      --> .pertask/config.toml:24:17
       |
    24 | task_cost_usd = 3
       |                 ^
       |
       = help: limit its time with `timeout`, `task_time` and `run_time`; only the adapter "claude" reports cost, and only "codex" the tokens for a price table

    error: the agent `mine` reports no cost, so `run_cost_usd` cannot be kept
      --> .pertask/config.toml:25:16
       |
    25 | run_cost_usd = 4
       |                ^
       |
       = help: limit its time with `timeout`, `task_time` and `run_time`; only the adapter "claude" reports cost, and only "codex" the tokens for a price table

    error: `task_time` must be between a second and 720 hours
      --> .pertask/config.toml:26:13
       |
    26 | task_time = "0s"
       |             ^^^^
    "#);
}
