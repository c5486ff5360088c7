//! The settings shared by all plans: `.pertask/config.toml`.

mod money;
mod types;

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Diagnostics, Document, Severity, suggest};
use super::documents::Documents;
use super::names::{NAME_SHAPE, valid_name};
use super::reader::{self, Key, Kind, Table, Text};
pub use money::{how_to_hold, unpriced};
pub use types::*;

/// Path of the settings, from the repository's root.
pub const PATH: &str = ".pertask/config.toml";

/// Time limit of an attempt when none is set.
const TIMEOUT_S: u64 = 30 * 60;

/// What `config.toml` holds.
pub static CONFIG: &[Key] = &[
    Key {
        name: "template",
        kind: Kind::Text,
        about: "Template for plans without tasks of their own; `integration` when absent.",
    },
    Key {
        name: "agent",
        kind: Kind::Text,
        about: "Agent of tasks that name none; `claude`.",
    },
    Key {
        name: "forge",
        kind: Kind::Choice(&["local", "github"]),
        about: "Where checkpoints happen.",
    },
    Key {
        name: "checkpoint",
        kind: Kind::Choice(&["every", "high-risk", "none"]),
        about: "After which tasks a person decides.",
    },
    Key {
        name: "merge",
        kind: Kind::Choice(&["squash", "merge", "rebase"]),
        about: "How a task joins the run branch.",
    },
    Key {
        name: "sandbox",
        kind: Kind::Choice(&["auto", "require", "off"]),
        about: "Whether agents and checks are confined.",
    },
    Key {
        name: "agents",
        kind: Kind::Named(AGENT),
        about: "Agents by name.",
    },
    Key {
        name: "limits",
        kind: Kind::Table(LIMITS),
        about: "Limits across attempts.",
    },
    Key {
        name: "github",
        kind: Kind::Table(GITHUB),
        about: "Settings of the GitHub forge.",
    },
];

static AGENT: &[Key] = &[
    Key {
        name: "adapter",
        kind: Kind::Choice(&["claude", "codex", "command"]),
        about: "How its output is read; for other names than claude and codex: command.",
    },
    Key {
        name: "command",
        kind: Kind::Command,
        about: "Argument list; the prompt is on stdin.",
    },
    Key {
        name: "env",
        kind: Kind::Texts,
        about: "Environment variables it gets beside the basic.",
    },
    Key {
        name: "timeout",
        kind: Kind::Duration,
        about: "Time limit of an attempt; 30m.",
    },
    Key {
        name: "max_cost_usd",
        kind: Kind::Money,
        about: "Money limit of an attempt, for agents that report their cost or have prices.",
    },
    Key {
        name: "model",
        kind: Kind::Text,
        about: "Model to ask for.",
    },
    Key {
        name: "prices",
        kind: Kind::Named(PRICE),
        about: "What tokens cost by model, `default` for the rest; for the adapter codex.",
    },
];

static PRICE: &[Key] = &[
    Key {
        name: "input",
        kind: Kind::Money,
        about: "US dollars per million tokens that go in.",
    },
    Key {
        name: "cached_input",
        kind: Kind::Money,
        about: "US dollars per million of those that were there before; as input.",
    },
    Key {
        name: "output",
        kind: Kind::Money,
        about: "US dollars per million tokens that come out.",
    },
];

static LIMITS: &[Key] = &[
    Key {
        name: "attempts",
        kind: Kind::Count,
        about: "Automatic attempts per task; 3.",
    },
    Key {
        name: "task_cost_usd",
        kind: Kind::Money,
        about: "Money limit of a task with all its attempts.",
    },
    Key {
        name: "task_time",
        kind: Kind::Duration,
        about: "Time limit of a task with all its attempts.",
    },
    Key {
        name: "run_cost_usd",
        kind: Kind::Money,
        about: "Money limit of a run.",
    },
    Key {
        name: "run_time",
        kind: Kind::Duration,
        about: "Time limit of all attempts of a run together.",
    },
];

static GITHUB: &[Key] = &[
    Key {
        name: "approvals",
        kind: Kind::Count,
        about: "How many people must approve; 1.",
    },
    Key {
        name: "reviewers",
        kind: Kind::Texts,
        about: "Logins and org/team names to ask.",
    },
    Key {
        name: "author_may_approve",
        kind: Kind::Flag,
        about: "Whether the pull request's author may decide by comment.",
    },
];

impl Default for Config {
    fn default() -> Self {
        let agent = |adapter, program: &str| (program.to_owned(), default_agent(adapter, program));
        Self {
            template: "integration".to_owned(),
            agent: "claude".to_owned(),
            forge: ForgeKind::default(),
            checkpoint: CheckpointPolicy::default(),
            merge: MergeMethod::default(),
            sandbox: Sandbox::default(),
            agents: BTreeMap::from([
                agent(Adapter::Claude, "claude"),
                agent(Adapter::Codex, "codex"),
            ]),
            limits: Limits {
                attempts: 3,
                task_cost_usd: None,
                task_time_s: None,
                run_cost_usd: None,
                run_time_s: None,
            },
            github: Github {
                approvals: 1,
                reviewers: Vec::new(),
                author_may_approve: false,
            },
        }
    }
}

fn default_agent(adapter: Adapter, program: &str) -> AgentConfig {
    AgentConfig {
        adapter,
        command: vec![program.to_owned()],
        env: Vec::new(),
        timeout_s: TIMEOUT_S,
        max_cost_usd: None,
        model: None,
        prices: BTreeMap::new(),
    }
}

/// Reads the settings; without the file, the defaults.
///
/// # Errors
/// Everything that is wrong with the file, each with its place.
pub fn load(docs: &dyn Documents) -> Result<Config, Diagnostics> {
    let mut out = Diagnostics::default();
    let text = match docs.read(PATH) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Config::default()),
        Err(error) => {
            let message = format!("it cannot be read: {error:#}");
            return Err(Diagnostic::whole(Severity::Error, PATH, message).into());
        }
    };
    let document = Document::new(PATH, text);
    let config = reader::read(&document, CONFIG, None, &mut out).map(|table| fill(table, &mut out));
    out.sort();
    match config {
        Some(config) if !out.has_errors() => Ok(config),
        _ => Err(out),
    }
}

fn fill(mut table: Table, out: &mut Diagnostics) -> Config {
    let mut config = Config::default();
    if let Some(template) = table.text("template") {
        check_name(&template, "a template", out);
        config.template = template.value;
    }
    // The words of a choice were checked by the reader; serde names the same ones.
    choose(&mut config.forge, table.text("forge"));
    choose(&mut config.checkpoint, table.text("checkpoint"));
    choose(&mut config.merge, table.text("merge"));
    choose(&mut config.sandbox, table.text("sandbox"));
    for (name, table) in table
        .named("agents")
        .map(|named| named.value)
        .unwrap_or_default()
    {
        check_name(&name, "an agent", out);
        let agent = agent(&name, table, config.agents.get(&name.value), out);
        config.agents.insert(name.value, agent);
    }
    if let Some(agent) = table.text("agent") {
        if !config.agents.contains_key(&agent.value) {
            out.push(unknown_agent(&agent, &config.agents));
        }
        config.agent = agent.value;
    }
    if let Some(mut limits) = table.table("limits") {
        let attempts = limits.count("attempts");
        config.limits.attempts = attempts.map_or(config.limits.attempts, |count| count.value);
        money::limits(&mut config, &mut limits, out);
    }
    if let Some(mut github) = table.table("github") {
        let approvals = github.count("approvals");
        config.github.approvals = approvals.map_or(config.github.approvals, |count| count.value);
        for reviewer in github
            .texts("reviewers")
            .map(|list| list.value)
            .unwrap_or_default()
        {
            if reviewer_name(&reviewer.value) {
                config.github.reviewers.push(reviewer.value);
            } else {
                out.push(
                    Diagnostic::error(
                        &reviewer.at,
                        format!("\"{}\" is no reviewer", reviewer.value),
                    )
                    .help("write a login like \"octocat\" or a team like \"my-org/my-team\""),
                );
            }
        }
        config.github.author_may_approve = github
            .flag("author_may_approve")
            .is_some_and(|flag| flag.value);
    }
    config
}

fn choose<T: serde::de::DeserializeOwned>(setting: &mut T, word: Option<Text>) {
    let word = word.map(|word| serde_json::from_value(serde_json::Value::String(word.value)));
    if let Some(Ok(value)) = word {
        *setting = value;
    }
}

fn agent(
    name: &Text,
    mut table: Table,
    default: Option<&AgentConfig>,
    out: &mut Diagnostics,
) -> AgentConfig {
    let mut agent = default
        .cloned()
        .unwrap_or_else(|| default_agent(Adapter::Command, &name.value));
    choose(&mut agent.adapter, table.text("adapter"));
    let command = table.command("command");
    if command.is_none() && default.is_none() && !table.broken("command") {
        out.push(
            Diagnostic::error(
                &name.at,
                format!("the agent `{}` has no command", name.value),
            )
            .help("give `command` as an argument list, like [\"my-agent\", \"--stdin\"]"),
        );
    }
    agent.command = command.map_or(agent.command, |command| command.value);
    for variable in table
        .texts("env")
        .map(|list| list.value)
        .unwrap_or_default()
    {
        if variable.value.is_empty() || variable.value.contains(['=', '\0']) {
            out.push(
                Diagnostic::error(
                    &variable.at,
                    format!(
                        "\"{}\" is not the name of an environment variable",
                        variable.value
                    ),
                )
                .help("only names stand here; the values come from your environment"),
            );
        } else {
            agent.env.push(variable.value);
        }
    }
    agent.timeout_s = table
        .seconds("timeout")
        .map_or(agent.timeout_s, |limit| limit.value);
    agent.model = table.text("model").map(|model| model.value);
    money::agent(name, &mut agent, &mut table, out);
    agent
}

/// The diagnostic for an agent that the settings do not know.
#[must_use]
pub fn unknown_agent(name: &Text, agents: &BTreeMap<String, AgentConfig>) -> Diagnostic {
    let known: Vec<&str> = agents.keys().map(String::as_str).collect();
    let help = match suggest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "known are {}; others stand in {PATH} as [agents.NAME]",
            known.join(", ")
        ),
    };
    Diagnostic::error(&name.at, format!("unknown agent `{}`", name.value)).help(help)
}

fn check_name(name: &Text, what: &str, out: &mut Diagnostics) {
    if !valid_name(&name.value) {
        out.push(
            Diagnostic::error(
                &name.at,
                format!("`{}` cannot be the name of {what}", name.value),
            )
            .help(format!("use {NAME_SHAPE}")),
        );
    }
}

/// A login, or an organisation and a team, as GitHub spells them.
fn reviewer_name(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.[]".contains(c))
    };
    match name.split_once('/') {
        Some((organisation, team)) => word(organisation) && word(team),
        None => word(name),
    }
}
