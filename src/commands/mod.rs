//! The subcommands, one file each, and what they share: arguments, errors, exit codes.

mod amend;
mod check;
mod ci;
mod cli;
mod confine;
mod context;
mod decide;
mod demo;
mod doctor;
mod draft;
mod drive;
mod generate;
mod init;
mod log;
mod note;
mod plan;
mod show;
mod start;
mod status;
mod supervise;
mod terminal;
mod there;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::driver::home::Held;
use crate::driver::trust::Untrusted;
use crate::forge::github::{ApiError, PlaceError, TokenError};
use crate::git::GitError;
use crate::ledger::LedgerError;
use crate::plan::Diagnostics;
use crate::run::transition::NotPossible;
use cli::{Cli, Command};

/// Exit codes of the command-line contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that can be done now is done.
    Done = 0,
    /// A person is needed.
    PersonNeeded = 1,
    /// Bad usage, plan or configuration; nothing was changed.
    Usage = 2,
    /// A defect of ours.
    Defect = 70,
    /// Temporary: run it again.
    Temporary = 75,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command cannot be carried out as given; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Makes a [`Usage`] error.
macro_rules! usage {
    ($($arg:tt)*) => { $crate::commands::Usage(format!($($arg)*)) };
}
use usage;

/// The program: parses the arguments, runs the command, prints what went wrong.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    trace();
    // By this name it is found even after it was replaced by a newer version.
    crate::attempt::process::supervise_by("/proc/self/exe");
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            say_error(&error);
            classify(&error).into()
        }
    }
}

fn trace() {
    // Only when asked for: setting up a subscriber costs every start of the program.
    if std::env::var_os("PERTASK_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("PERTASK_LOG"))
            .with_writer(std::io::stderr)
            .init();
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    if cli.command.changes_something() && std::env::var_os("PERTASK_ATTEMPT").is_some() {
        return Err(usage!(
            "this is an attempt of a run (PERTASK_ATTEMPT is set): commands that change something are for people, outside of it"
        )
        .into());
    }
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Start(args) => start::run(&args),
        Command::Continue(args) => drive::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Approve(args) => decide::approve(&args),
        Command::Revise(args) => decide::revise(&args),
        Command::Retry(args) => decide::retry(&args),
        Command::Skip(args) => decide::skip(&args),
        Command::Note(args) => note::run(&args),
        Command::Abort(args) => decide::abort(&args),
        Command::Amend(args) => amend::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Log(args) => log::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Ci(command) => ci::run(&command),
        Command::Demo(args) => demo::run(&args),
        Command::DemoAgent => demo::agent(),
        Command::Confine(args) => confine::run(&args),
        Command::Supervise(args) => supervise::run(args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// Prints to stdout; a reader that went away (`| head`) ends the program quietly.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing the answer to stdout"),
    }
}

fn say_error(error: &anyhow::Error) {
    let mut err = std::io::stderr().lock();
    if let Some(diagnostics) = error.downcast_ref::<Diagnostics>() {
        let text = diagnostics.render(terminal::colour(&std::io::stderr()));
        let _ = writeln!(err, "{}", text.trim_end());
        return;
    }
    let _ = writeln!(err, "git-pertask: {}", words_of(error));
}

/// An error with its causes, each said once.
fn words_of(error: &anyhow::Error) -> String {
    if let Some(diagnostics) = error.downcast_ref::<Diagnostics>() {
        return diagnostics.render(false).trim_end().to_owned();
    }
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn of_git(error: &GitError) -> Exit {
    match error {
        GitError::NotARepository(_)
        | GitError::Bare(_)
        | GitError::Unsupported(_)
        | GitError::NoCommits
        | GitError::NoIdentity => Exit::Usage,
        GitError::Remote { denied: true, .. } => Exit::PersonNeeded,
        _ => Exit::Temporary,
    }
}

fn of_api(error: &ApiError) -> Exit {
    match error {
        ApiError::Unauthorized { .. }
        | ApiError::NotFound { .. }
        | ApiError::NotGitHub { .. }
        | ApiError::Archived { .. } => Exit::Usage,
        ApiError::Malformed { .. } => Exit::Temporary,
        _ if error.is_temporary() => Exit::Temporary,
        _ => Exit::PersonNeeded,
    }
}

fn classify(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<Usage>() || cause.is::<NotPossible>() || cause.is::<Diagnostics>() {
            return Exit::Usage;
        }
        if cause.is::<Untrusted>() {
            return Exit::PersonNeeded;
        }
        if cause.is::<Held>() {
            return Exit::Temporary;
        }
        if let Some(git) = cause.downcast_ref::<GitError>() {
            return of_git(git);
        }
        // Transparent, so a git error in them is no link of the chain.
        match cause.downcast_ref::<PlaceError>() {
            Some(PlaceError::Git(git)) => return of_git(git),
            Some(_) => return Exit::Usage,
            None => {}
        }
        match cause.downcast_ref::<TokenError>() {
            Some(TokenError::Git(git)) => return of_git(git),
            Some(_) => return Exit::Usage,
            None => {}
        }
        if let Some(ledger) = cause.downcast_ref::<LedgerError>() {
            return match ledger {
                LedgerError::Unknown(_) | LedgerError::Newer { .. } => Exit::Usage,
                LedgerError::Raced(_) => Exit::Temporary,
                LedgerError::Damaged { .. }
                | LedgerError::Refused { .. }
                | LedgerError::Rewritten { .. } => Exit::PersonNeeded,
                // Transparent, so the git error itself is no link of the chain.
                LedgerError::Git(git) => of_git(git),
            };
        }
        if let Some(api) = cause.downcast_ref::<ApiError>() {
            return of_api(api);
        }
        if cause.is::<PlaceError>() || cause.is::<TokenError>() {
            return Exit::Usage;
        }
        if cause.is::<std::io::Error>() {
            return Exit::Temporary;
        }
    }
    Exit::Defect
}
