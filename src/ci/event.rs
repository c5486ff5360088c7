//! What an event of GitHub asks for.
//!
//! Pure. An event is never an authorisation: at most it says that there may be something to do, and
//! what that is, is read from GitHub and the ledger afterwards. Safe against a payload of any content
//! and size: what is missing, malformed, of another repository, from a fork or by a bot asks for
//! nothing, and nothing but a plan, its mode, agent and parameters is taken from an input.

use serde_json::Value;

use crate::forge::words;
use crate::plan::{NAME_SHAPE, valid_name};
use crate::text;

/// Largest payload that is read, in bytes. GitHub's own limit for webhooks
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads>).
const LARGEST: usize = 25 * 1024 * 1024;
/// Longest input for the parameters, in bytes.
const PARAMETERS: usize = 16 * 1024;
/// Most parameters.
const COUNT: usize = 100;
/// Where branches of ours are.
const OURS: &str = "pertask/";

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// A run of a plan.
    Start {
        /// Name of the plan.
        plan: String,
        /// `auto`, `per-task` or `batch`.
        mode: Option<String>,
        /// Name of an agent of the configuration.
        agent: Option<String>,
        /// Each `key=value`.
        parameters: Vec<String>,
    },
    /// That every run goes on, wherever it stands.
    GoOn {
        /// Who caused it, when that person's permission has to be looked up first.
        by: Option<Actor>,
    },
    /// Nothing.
    Nothing {
        /// Why, in one sentence.
        why: String,
    },
}

/// Who caused the event, when that person's permission has to be looked up first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the account.
    pub login: String,
    /// Its number, which stays when it is renamed.
    pub id: u64,
}

/// What the event `name` asks for
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>).
/// `payload` is what lies at `GITHUB_EVENT_PATH`, `repository` the `owner/name` for which we work.
#[must_use]
pub fn read(name: &str, payload: Option<&[u8]>, repository: &str) -> Asks {
    match asked(name, payload, repository) {
        Ok(asks) => asks,
        Err(why) => Asks::Nothing { why },
    }
}

type Result<T> = std::result::Result<T, String>;

fn asked(name: &str, payload: Option<&[u8]>, repository: &str) -> Result<Asks> {
    let Some(event) = Event::of(name) else {
        return Err(format!("the event {} asks for nothing", quoted(name)));
    };
    let Some(payload) = payload else {
        // It has nothing to say, and is there for the days on which events are lost.
        return match event {
            Event::Schedule => Ok(Asks::GoOn { by: None }),
            _ => Err(format!("the event {name} came without its payload")),
        };
    };
    let payload = parse(name, payload)?;
    let here = of_repository(name, &payload, repository, event != Event::Schedule)?;
    match event {
        Event::Dispatch => start(&payload),
        Event::Schedule | Event::RepositoryDispatch => Ok(Asks::GoOn { by: None }),
        Event::Review => {
            action(name, &payload, &["submitted", "edited", "dismissed"])?;
            ours(&payload, here)?;
            let state = word(&payload, "/review/state");
            if state.is_empty() {
                return Err(missing(name, "the state of the review"));
            }
            if state.eq_ignore_ascii_case("commented") {
                return Err("the review only comments".to_owned());
            }
            if is_bot(&payload["review"]["user"]) {
                return Err("the review is by a bot".to_owned());
            }
            go_on(name, &payload)
        }
        Event::Pull => {
            action(name, &payload, &["closed", "reopened"])?;
            ours(&payload, here)?;
            go_on(name, &payload)
        }
        Event::Comment => {
            action(name, &payload, &["created", "edited"])?;
            if !payload["issue"]["pull_request"].is_object() {
                return Err("the comment is not on a pull request".to_owned());
            }
            if words::read(word(&payload, "/comment/body")).is_none() {
                return Err("the comment does not begin with /pertask".to_owned());
            }
            if is_bot(&payload["comment"]["user"]) {
                return Err("the comment is by a bot".to_owned());
            }
            go_on(name, &payload)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    Dispatch,
    RepositoryDispatch,
    Schedule,
    Review,
    Comment,
    Pull,
}

impl Event {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "workflow_dispatch" => Self::Dispatch,
            "repository_dispatch" => Self::RepositoryDispatch,
            "schedule" => Self::Schedule,
            "pull_request_review" => Self::Review,
            "issue_comment" => Self::Comment,
            "pull_request" => Self::Pull,
            _ => return None,
        })
    }
}

/// Something others wrote, for a sentence.
fn quoted(text: &str) -> String {
    let text = text::clipped(text::line(text), 60);
    if text.is_empty() {
        "without a name".to_owned()
    } else {
        format!("“{text}”")
    }
}

fn missing(name: &str, what: &str) -> String {
    format!("the payload of {name} does not have {what}")
}

fn parse(name: &str, payload: &[u8]) -> Result<Value> {
    if payload.len() > LARGEST {
        return Err(format!(
            "the payload of {name} has {} bytes, more than any of GitHub's",
            payload.len()
        ));
    }
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    // Deep nesting is an error of the parser, not a deep stack.
    let value: Value = serde_json::from_slice(payload)
        .map_err(|e| format!("the payload of {name} cannot be read: {e}"))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(format!("the payload of {name} is no object"))
    }
}

fn word<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// Sees to it that the event is of this repository; returns the repository's number, 0 when the
/// payload need not name one and does not.
fn of_repository(name: &str, payload: &Value, repository: &str, needed: bool) -> Result<u64> {
    let ours = repository.split_once('/');
    if !ours.is_some_and(|(o, n)| !o.is_empty() && !n.is_empty() && !n.contains('/')) {
        return Err(format!(
            "{} is not the owner and name of a repository",
            quoted(repository)
        ));
    }
    if payload["repository"].is_null() && !needed {
        return Ok(0);
    }
    let theirs = word(payload, "/repository/full_name");
    if theirs.is_empty() {
        return Err(missing(name, "a repository"));
    }
    if !theirs.eq_ignore_ascii_case(repository) && !crate::plant::is("other-repository-is-heard") {
        return Err(format!(
            "the event is of the repository {}, not of {}",
            quoted(theirs),
            text::line(repository)
        ));
    }
    match payload["repository"]["id"].as_u64() {
        Some(id) if id > 0 => Ok(id),
        _ if !needed => Ok(0),
        _ => Err(missing(name, "the number of the repository")),
    }
}

fn action(name: &str, payload: &Value, known: &[&str]) -> Result<()> {
    let action = word(payload, "/action");
    if known.contains(&action) {
        return Ok(());
    }
    let action = if action.is_empty() {
        "without an action".to_owned()
    } else {
        format!("with the action {}", quoted(action))
    };
    Err(format!("the event {name} {action} asks for nothing"))
}

/// Sees to it that a pull request is from a branch of ours in this very repository.
fn ours(payload: &Value, here: u64) -> Result<()> {
    let pull = &payload["pull_request"];
    let is_here = |side: &str| pull[side]["repo"]["id"].as_u64() == Some(here);
    if !pull["head"].is_object() {
        return Err("the event is about no pull request".to_owned());
    }
    // By number: a name can be given away and taken by another.
    if (!is_here("head") || !is_here("base")) && !crate::plant::is("fork-is-heard") {
        return Err("the pull request is from another repository".to_owned());
    }
    if !word(pull, "/head/ref").starts_with(OURS) {
        return Err(format!(
            "the pull request's branch does not begin with {OURS}"
        ));
    }
    Ok(())
}

/// An account that is an app or one of GitHub's own.
fn is_bot(account: &Value) -> bool {
    let kind = account["type"].as_str().unwrap_or_default();
    kind.eq_ignore_ascii_case("bot") || word(account, "/login").ends_with("[bot]")
}

/// Names the person who caused the event.
fn go_on(name: &str, payload: &Value) -> Result<Asks> {
    let sender = &payload["sender"];
    let login = word(sender, "/login");
    if is_bot(sender) {
        return Err("the event was caused by a bot".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match sender["id"].as_u64() {
        Some(id)
            if id > 0 && !login.is_empty() && login.len() <= 100 && login.chars().all(plain) =>
        {
            let login = login.to_owned();
            Ok(Asks::GoOn {
                by: Some(Actor { login, id }),
            })
        }
        _ => Err(missing(name, "an account that caused it")),
    }
}

/// What the form asks for. GitHub lets nobody fill it in who may not write.
fn start(payload: &Value) -> Result<Asks> {
    let inputs = &payload["inputs"];
    if !inputs.is_object() && !inputs.is_null() {
        return Err("the inputs of workflow_dispatch are no object".to_owned());
    }
    let plan = input(inputs, "plan")?.trim();
    if plan.is_empty() {
        return Ok(Asks::GoOn { by: None });
    }
    if !valid_name(plan) {
        return Err(format!(
            "the input plan, {}, cannot be the name of a plan: use {NAME_SHAPE}",
            quoted(plan)
        ));
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mode = input(inputs, "mode")?.trim();
    if !matches!(mode, "" | "auto" | "per-task" | "batch") {
        return Err(format!(
            "the input mode is {}; it takes auto, per-task or batch",
            quoted(mode)
        ));
    }
    let agent = input(inputs, "agent")?.trim();
    if !agent.is_empty() && !valid_name(agent) {
        return Err(format!(
            "the input agent, {}, cannot be the name of an agent: use {NAME_SHAPE}",
            quoted(agent)
        ));
    }
    Ok(Asks::Start {
        plan: plan.to_owned(),
        mode: some(mode),
        agent: some(agent),
        parameters: parameters(input(inputs, "parameters")?)?,
    })
}

fn input<'v>(inputs: &'v Value, name: &str) -> Result<&'v str> {
    match &inputs[name] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text),
        _ => Err(format!("the input {name} is no text")),
    }
}

/// Lines `key=value`; empty ones do not count.
fn parameters(text: &str) -> Result<Vec<String>> {
    let wrong = |what: &str| Err(format!("the input parameters {what}"));
    if text.len() > PARAMETERS {
        return wrong(&format!("is longer than {PARAMETERS} bytes"));
    }
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let key = line.split_once('=').map_or("", |(key, _)| key);
        let mut letters = key.chars();
        let named = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named {
            return wrong(&format!(
                "has the line {}; write key=value, one to a line",
                quoted(line)
            ));
        }
        if line.chars().any(|c| c.is_control() || text::is_hidden(c)) {
            return wrong(&format!("has characters in {key} that cannot be seen"));
        }
        if found.len() == COUNT {
            return wrong(&format!("has more than {COUNT} lines"));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
