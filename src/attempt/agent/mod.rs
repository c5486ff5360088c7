//! Coding agents as processes: one fresh process per attempt, driven through an adapter.
//!
//! Safe against an agent that lies (its word is kept as its word), that never ends or spends without
//! end (time and money limits), that prints anything (see [`crate::attempt::process`]), and against
//! settings, hooks and servers that the workspace or the person's home would hand to it: it gets a
//! settings folder of its own that holds the login and nothing else, and nothing flows back.
//!
//! What holds an agent inside its workspace is not here but in the wrapper around its command.

mod claude;
mod codex;
mod command;
pub mod env;
#[doc(hidden)]
pub mod fuzzing;
pub mod handoff;
pub mod login;
pub mod text;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::attempt::process::{
    Cancel, Ended, Env, Event, Exit, Flow, Lines, StartError, Supervised, find_program,
    kill_carriers,
};
use crate::plan::config::Price;
use crate::plan::{Adapter, AgentConfig};
use crate::run::order::{AgentExit, AgentReport, Handoff};
use crate::secrets::Secrets;

/// Bytes kept of the end of an agent's output.
const TAIL: usize = 256 * 1024;
/// Of which this much goes into the report.
const REPORT_TAIL: usize = 16 * 1024;
/// Longest line of an event stream; events hold whole files.
const EVENT_MAX: usize = 1024 * 1024;
/// Longest activity, in characters.
const ACTIVITY_MAX: usize = 160;
/// Longest error message kept, in characters.
const ERROR_MAX: usize = 2_000;

/// Everything an agent needs to be asked once.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its name in the configuration.
    pub name: String,
    /// Its settings.
    pub config: AgentConfig,
    /// The workspace; its working directory.
    pub workdir: PathBuf,
    /// The prompt, given on stdin.
    pub prompt: String,
    /// Where the prompt is also written, for `PERTASK_PROMPT_FILE`.
    pub prompt_file: PathBuf,
    /// Where it may write its handoff; whatever is there before is removed. Best inside `output_dir`:
    /// Codex's own sandbox lets it write nowhere else outside the workspace.
    pub handoff_file: PathBuf,
    /// `PERTASK_OUTPUT_DIR`; made if it is not there.
    pub output_dir: PathBuf,
    /// Private folder of this attempt for the agent's settings and its login; made if it is not
    /// there, and what was put into it is removed at the end. For Codex it must not lie in a
    /// temporary folder: its own sandbox refuses to work from there.
    pub settings_dir: PathBuf,
    /// The run.
    pub run: String,
    /// The task's id, or `batch`.
    pub task: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Arguments before the command, which confine it; empty when it is not confined.
    pub wrapper: Vec<String>,
    /// The environment from which it gets what is allowed.
    pub parent_env: Vec<(OsString, OsString)>,
}

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Its process was started.
    Started {
        /// Process id.
        pid: u32,
    },
    /// One short line, fit for a terminal: `Write pkg/x.go`, `$ go build ./...`.
    Activity(String),
    /// What it has spent so far.
    Cost {
        /// US dollars, when it says so; mostly only at the end.
        usd: Option<f64>,
        /// Tokens in and out together.
        tokens: Option<u64>,
    },
}

/// What came of asking an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The process as observed.
    pub report: AgentReport,
    /// Its closing statement.
    pub handoff: Option<Handoff>,
    /// Why there is none, or what is odd about it.
    pub handoff_problem: Option<String>,
    /// What is secret in its copy of the login, at the end.
    pub renewed: Secrets,
}

/// What an adapter read from the agent's structured output.
#[derive(Debug, Default)]
struct Said {
    version: Option<String>,
    model: Option<String>,
    session: Option<String>,
    cost_usd: Option<f64>,
    tokens: Option<u64>,
    usage: Option<Usage>,
    turns: Option<u32>,
    error: Option<String>,
    limit: Option<Limit>,
    over_budget: bool,
    last_message: Option<String>,
}

/// A limit of the model's service that ended an agent's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// What its account may use, and when there is more, if that is known.
    Usage { until: Option<Timestamp> },
    /// Too many requests or tokens in a short time.
    Rate,
}

/// How long a rate limit lasts at most, as far as the agent's own attempts to outwait it have not
/// shown: those of today's services are counted by the minute.
const RATE_LIMIT: Duration = Duration::from_mins(5);

/// Tokens by what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    /// In all that went in.
    input: u64,
    /// Of these, those that were there before.
    cached: u64,
    output: u64,
}

impl Usage {
    /// In US dollars.
    #[expect(
        clippy::cast_precision_loss,
        reason = "token counts are far below 2^52, and money is not counted that finely"
    )]
    fn cost(&self, price: &Price) -> f64 {
        let cached = self.cached.min(self.input);
        let of = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        of(self.input - cached, price.input)
            + of(cached, price.cached_input.unwrap_or(price.input))
            + of(self.output, price.output)
    }
}

/// How one kind of program is driven. The reader sees each line of its stdout.
trait Reader {
    /// Takes a line and says whether more is wanted.
    fn line(&mut self, line: &str, progress: &mut dyn FnMut(Progress)) -> Flow;
    /// What was read, once the process has ended.
    fn finish(self: Box<Self>) -> Said;
}

/// A command that is ready to be run.
struct Prepared {
    argv: Vec<OsString>,
    lines: Lines,
    reader: Box<dyn Reader>,
    /// Where its copy of the login is.
    login: Option<PathBuf>,
}

/// Asks the agent once and waits until it and all it started are gone. A program that cannot be
/// started gives a report too, [`AgentExit::NotStarted`] with the reason and the mend as its error.
///
/// # Errors
///
/// When our own preparations fail: a folder that cannot be made, a login that cannot be copied, a
/// money limit for an agent that names no cost.
pub async fn run(
    inv: &Invocation,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Outcome> {
    if inv.config.max_cost_usd.is_some() && !inv.config.tells_cost() {
        bail!(
            "money cannot be limited for the agent `{}`: it does not say what it costs; {}",
            inv.name,
            crate::plan::config::how_to_hold(&inv.name, &inv.config)
        );
    }
    let mut environment = env::allowed(
        inv.parent_env.iter().cloned(),
        env::For::Agent(inv.config.adapter),
        &inv.config.env,
    );
    let keys = env::keys(&environment, &inv.config.env);
    prepare_files(inv)?;
    set_own_variables(inv, &mut environment);
    let _settings = login::Removed(inv.settings_dir.clone());
    let mut prepared = match inv.config.adapter {
        Adapter::Claude => claude::prepare(inv, &mut environment)?,
        Adapter::Codex => codex::prepare(inv, &mut environment)?,
        Adapter::Command => command::prepare(inv),
    };
    if let Err(error) = wrap(inv, &environment, &mut prepared.argv) {
        return Ok(not_started(inv, &error));
    }
    let mut supervised = Supervised::new(prepared.argv, inv.workdir.clone(), environment);
    supervised.stdin = inv.prompt.clone().into_bytes();
    supervised.limit = Some(Duration::from_secs(inv.config.timeout_s));
    supervised.head_cap = 0;
    supervised.tail_cap = TAIL;
    supervised.lines = prepared.lines;

    let login = login::secrets(inv.config.adapter, &inv.parent_env);
    let mut masked_progress = |event: Progress| {
        progress(match event {
            Progress::Activity(line) => {
                let line = login.redact(&line);
                Progress::Activity(env::masked(&line, &keys))
            }
            other => other,
        });
    };
    let reader = &mut prepared.reader;
    let ended = supervised
        .run(cancel, &mut |event| match event {
            Event::Started { pid } => {
                masked_progress(Progress::Started { pid });
                Flow::Continue
            }
            Event::Line(line) => reader.line(line, &mut masked_progress),
        })
        .await;
    match ended {
        Ok(ended) => {
            let mut outcome = outcome(inv, &ended, prepared.reader.finish(), &keys);
            if let Some(copy) = &prepared.login {
                outcome.renewed = login::renewed(copy);
            }
            Ok(outcome)
        }
        Err(error) => Ok(not_started(inv, &error)),
    }
}

fn prepare_files(inv: &Invocation) -> anyhow::Result<()> {
    for folder in [&inv.output_dir, &inv.settings_dir] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    fs::write(&inv.prompt_file, &inv.prompt)
        .with_context(|| format!("cannot write the prompt to {}", inv.prompt_file.display()))?;
    match fs::remove_file(&inv.handoff_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", inv.handoff_file.display()))
        }
        _ => Ok(()),
    }
}

fn set_own_variables(inv: &Invocation, environment: &mut Env) {
    environment.set("PERTASK_RUN", &inv.run);
    environment.set("PERTASK_TASK", &inv.task);
    environment.set("PERTASK_ATTEMPT", inv.attempt.to_string());
    environment.set("PERTASK_PROMPT_FILE", &inv.prompt_file);
    environment.set("PERTASK_HANDOFF_FILE", &inv.handoff_file);
    environment.set("PERTASK_OUTPUT_DIR", &inv.output_dir);
}

/// The configured command, or the adapter's own program.
fn configured(inv: &Invocation, program: &str) -> Vec<OsString> {
    if inv.config.command.is_empty() {
        return vec![program.into()];
    }
    inv.config.command.iter().map(OsString::from).collect()
}

/// Finds the program and puts the wrapper before it. The program is looked up here, because a
/// wrapper could only say that it ended with some status.
fn wrap(inv: &Invocation, environment: &Env, argv: &mut Vec<OsString>) -> Result<(), StartError> {
    let name = argv.first().ok_or(StartError::Empty)?;
    let program = find_program(name, environment.get("PATH"), &inv.workdir)?;
    argv[0] = program.into_os_string();
    argv.splice(0..0, inv.wrapper.iter().map(OsString::from));
    Ok(())
}

fn not_started(inv: &Invocation, error: &StartError) -> Outcome {
    let name = &inv.name;
    let own = match inv.config.adapter {
        Adapter::Claude => "Install it with `npm install -g @anthropic-ai/claude-code`, or name",
        Adapter::Codex => "Install it with `npm install -g @openai/codex`, or name",
        Adapter::Command => "Name",
    };
    let mend = match error {
        StartError::Empty | StartError::NotFound { .. } => format!(
            ". {own} the program in `command` under `[agents.{name}]` in .pertask/config.toml"
        ),
        _ => String::new(),
    };
    let report = AgentReport {
        exit: AgentExit::NotStarted,
        error: Some(format!(
            "the agent `{name}` cannot be started: {error}{mend}"
        )),
        ..AgentReport::default()
    };
    Outcome {
        report,
        handoff: None,
        handoff_problem: None,
        renewed: Secrets::default(),
    }
}

fn outcome(inv: &Invocation, ended: &Ended, said: Said, keys: &[String]) -> Outcome {
    let masked = |text: &str| env::masked(text, keys);
    // Events quote whole files; only from a plain command is what it prints its own statement.
    let printed = match inv.config.adapter {
        Adapter::Command => ended.stdout.tail(),
        Adapter::Claude | Adapter::Codex => String::new(),
    };
    let message = said.last_message.as_deref().unwrap_or_default();
    let found = handoff::find(&inv.handoff_file, &[message, &printed], &masked);
    let cost_usd = said.cost_usd.or_else(|| {
        let price = inv.config.price().filter(|_| inv.config.tells_cost())?;
        Some(said.usage?.cost(&price))
    });
    let over_budget = said.over_budget
        || matches!((cost_usd, inv.config.max_cost_usd), (Some(cost), Some(max)) if cost > max);
    let exit = match ended.exit {
        Exit::TimedOut => AgentExit::TimedOut {
            limit_s: inv.config.timeout_s,
        },
        Exit::Cancelled => AgentExit::Interrupted,
        _ if over_budget => AgentExit::OverBudget {
            limit_cents: cents(inv.config.max_cost_usd.unwrap_or(0.0)),
        },
        Exit::Code(code) => AgentExit::Exited { code },
        Exit::Signal(signal) => AgentExit::Signalled { signal },
        // It had given its result and stayed; the result says how it ended.
        Exit::Finished => AgentExit::Exited {
            code: i32::from(said.error.is_some()),
        },
    };
    let tail = masked(&ended.output.tail());
    let report = AgentReport {
        exit,
        version: said.version,
        model: said.model,
        session: said.session,
        cost_usd,
        cost_missing: inv.config.max_cost_usd.is_some() && cost_usd.is_none(),
        tokens: said.tokens,
        turns: said.turns,
        error: said
            .error
            .map(|error| text::clean(&masked(&error), ERROR_MAX)),
        limited: said.limit.is_some(),
        limited_until: said.limit.and_then(|limit| match limit {
            Limit::Usage { until } => until,
            Limit::Rate => Some(Timestamp::now() + RATE_LIMIT),
        }),
        output_tail: last_bytes(&tail, REPORT_TAIL).to_owned(),
        output_bytes: ended.output.total(),
        left_behind: ended.left_behind,
        duration_ms: u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX),
    };
    Outcome {
        report,
        handoff: found.handoff,
        handoff_problem: found.problem,
        renewed: Secrets::default(),
    }
}

/// At most the last `max` bytes, from a line's beginning where there is one.
fn last_bytes(text: &str, max: usize) -> &str {
    let mut from = text.len().saturating_sub(max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let last = &text[from..];
    match last.find('\n') {
        Some(end) if from > 0 && end + 1 < last.len() => &last[end + 1..],
        _ => last,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float too large or negative becomes the nearest whole number, which is meant"
)]
fn cents(usd: f64) -> u64 {
    (usd * 100.0).round() as u64
}

/// Kills what an attempt left running when our own process was killed in its middle, found by the
/// handoff file its processes have in their environment, and says how many there were. To be called
/// before an attempt's workspace is used again.
#[expect(
    clippy::must_use_candidate,
    reason = "it is called to kill, not to count"
)]
pub fn kill_leftovers(handoff_file: &Path) -> u32 {
    kill_carriers("PERTASK_HANDOFF_FILE", handoff_file.as_os_str())
}

/// In one line, why the agent's own part failed; `None` when it ended well. Says nothing about its
/// work.
#[must_use]
pub fn failure(report: &AgentReport) -> Option<String> {
    let error = report
        .error
        .as_deref()
        .map(|error| text::clean_line(error, 400));
    let with = |what: String| match &error {
        Some(error) => format!("{what}: {error}"),
        None => what,
    };
    match report.exit {
        AgentExit::Exited { .. } if report.limited => Some(with(match report.limited_until {
            Some(until) => format!("the agent is at its usage limit until {until}"),
            None => "the agent is at its usage limit".to_owned(),
        })),
        AgentExit::Exited { code: 0 } => {
            error.map(|error| format!("the agent reported an error: {error}"))
        }
        AgentExit::Exited { code } => {
            Some(with(format!("the agent ended with exit status {code}")))
        }
        AgentExit::Signalled { signal } => {
            Some(with(format!("the agent was killed by signal {signal}")))
        }
        AgentExit::TimedOut { limit_s } => Some(format!(
            "the agent was ended at its time limit of {limit_s} s"
        )),
        AgentExit::OverBudget { limit_cents } => Some(format!(
            "the agent reached its money limit of ${}.{:02}",
            limit_cents / 100,
            limit_cents % 100
        )),
        AgentExit::Interrupted => Some("the agent was interrupted".to_owned()),
        AgentExit::NotStarted => Some(
            report
                .error
                .clone()
                .unwrap_or_else(|| "the agent was not started".to_owned()),
        ),
    }
}

/// A path as it is shown: from the workspace, where it lies in it.
fn shown_path<'a>(path: &'a str, workdir: &Path) -> &'a str {
    Path::new(path)
        .strip_prefix(workdir)
        .ok()
        .and_then(Path::to_str)
        .unwrap_or(path)
}

fn activity(line: &str) -> Progress {
    Progress::Activity(text::clean_line(line, ACTIVITY_MAX))
}
