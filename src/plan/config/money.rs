//! Limits of money, and prices: what cannot be kept is refused when it is read.

use super::{ANY_MODEL, Adapter, AgentConfig, Config, Price};
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Sited};
use crate::plan::reader::{Table, Text};

/// Reads prices and money limit of an agent.
pub(super) fn agent(
    name: &Text,
    agent: &mut AgentConfig,
    table: &mut Table,
    out: &mut Diagnostics,
) {
    let written = table.named("prices");
    if let Some(prices) = &written
        && agent.adapter != Adapter::Codex
    {
        let why = match agent.adapter {
            Adapter::Claude => "says itself what it costs",
            _ => "reports no tokens",
        };
        out.push(
            Diagnostic::error(
                &prices.at,
                format!("the agent `{}` {why}, so prices are of no use", name.value),
            )
            .help("remove them; they are for the adapter \"codex\""),
        );
    }
    let mut broken = table.broken("prices");
    for (model, mut table) in written.map(|named| named.value).unwrap_or_default() {
        match price(&model, &mut table, out) {
            Some(price) => {
                agent.prices.insert(model.value, price);
            }
            None => broken = true,
        }
    }
    if let Some(Sited { value, at }) = table.money("max_cost_usd") {
        agent.max_cost_usd = Some(value);
        // What is wrong with the prices is said already.
        if !agent.tells_cost() && !broken {
            out.push(unpriced(&at, "max_cost_usd", &name.value, agent));
        }
    }
}

fn price(model: &Text, table: &mut Table, out: &mut Diagnostics) -> Option<Price> {
    let mut needed = |key: &str| {
        let found = table.money(key).map(|money| money.value);
        if found.is_none() && !table.broken(key) {
            let message = format!("the price of `{}` has no `{key}`", model.value);
            let error = Diagnostic::error(&model.at, message);
            out.push(error.help("both `input` and `output` are US dollars per million tokens"));
        }
        found
    };
    let (input, output) = (needed("input"), needed("output"));
    Some(Price {
        input: input?,
        cached_input: table.money("cached_input").map(|money| money.value),
        output: output?,
    })
}

/// Reads the limits of money and time of tasks and runs. The agents are read before.
pub(super) fn limits(config: &mut Config, table: &mut Table, out: &mut Diagnostics) {
    let seconds = |limit: Sited<u64>| limit.value;
    config.limits.task_time_s = table.seconds("task_time").map(seconds);
    config.limits.run_time_s = table.seconds("run_time").map(seconds);
    let (task, run) = (table.money("task_cost_usd"), table.money("run_cost_usd"));
    if let Some(agent) = config.agents.get(&config.agent)
        && !agent.tells_cost()
    {
        for (name, limit) in [("task_cost_usd", &task), ("run_cost_usd", &run)] {
            if let Some(limit) = limit {
                out.push(unpriced(&limit.at, name, &config.agent, agent));
            }
        }
    }
    config.limits.task_cost_usd = task.map(|limit| limit.value);
    config.limits.run_cost_usd = run.map(|limit| limit.value);
}

/// The diagnostic for a limit of money that an agent cannot be held to.
#[must_use]
pub fn unpriced(at: &At, limit: &str, name: &str, agent: &AgentConfig) -> Diagnostic {
    let message = format!("the agent `{name}` reports no cost, so `{limit}` cannot be kept");
    Diagnostic::error(at, message).help(how_to_hold(name, agent))
}

/// What makes a limit of money one that can be kept.
#[must_use]
pub fn how_to_hold(name: &str, agent: &AgentConfig) -> String {
    match (agent.adapter, &agent.model) {
        (Adapter::Codex, Some(model)) if !agent.prices.is_empty() => format!(
            "its prices have neither its model \"{model}\" nor `{ANY_MODEL}`; add one of them"
        ),
        (Adapter::Codex, None) if !agent.prices.is_empty() => format!(
            "say with `model` which of its prices holds, or add [agents.{name}.prices.{ANY_MODEL}]"
        ),
        (Adapter::Codex, _) => format!(
            "give `input` and `output` under [agents.{name}.prices.{ANY_MODEL}], in US dollars per million tokens, or limit its time"
        ),
        _ => "limit its time with `timeout`, `task_time` and `run_time`; only the adapter \"claude\" reports cost, and only \"codex\" the tokens for a price table".to_owned(),
    }
}
