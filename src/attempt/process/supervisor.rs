//! The process between us and a command, on Linux: whatever the command starts stays below it.
//!
//! `git-pertask supervise … -- PROGRAM` starts the program and is the kernel's "subreaper": a process
//! that loses its parent becomes its child, whatever session, group or environment it has. So all of an
//! attempt hangs on one process that is nobody else's, and when that has no child any more, nothing of
//! it is left. It ends what the program leaves behind, and everything when we are gone.
//!
//! Not safe against a program that kills it, which an unconfined one can, or one confined before
//! Landlock ABI 6: then what has hidden itself goes to the system's first process.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Exit, Supervised};

/// The program that supervises; ourselves, once we know that we are it.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// From now on commands run below this program, a `git-pertask`. Does nothing outside of Linux, and
/// where the program is not there.
pub fn supervise_by(program: impl Into<PathBuf>) {
    let program = program.into();
    if cfg!(target_os = "linux") && program.exists() {
        let _ = PROGRAM.set(program);
    }
}

/// What a supervisor is told.
#[derive(Debug)]
pub struct Orders {
    /// Folder for its notes.
    pub notes: PathBuf,
    /// Process at whose end it ends everything; 0 for none.
    pub parent: i32,
    /// Time between SIGTERM and SIGKILL for what the program leaves behind.
    pub grace: Duration,
    /// Program and arguments.
    pub command: Vec<OsString>,
}

/// How the program ended, as soon as that is known.
const ENDED: &str = "ended";
/// How many processes it left behind.
const LEFT: &str = "left";

/// A supervisor, seen from outside.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) program: PathBuf,
    notes: tempfile::TempDir,
}

/// What a supervisor noted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Noted {
    Ended(Exit),
    NotStarted(i32),
}

impl Supervisor {
    /// One for a command; `None` where there is none to be had.
    pub(super) fn prepare() -> io::Result<Option<Self>> {
        let planted = crate::plant::is("orphans-go-free");
        let Some(program) = PROGRAM.get().cloned().filter(|_| !planted) else {
            return Ok(None);
        };
        let notes = tempfile::Builder::new()
            .prefix("pertask-notes-")
            .tempdir()?;
        Ok(Some(Self { program, notes }))
    }

    /// Its arguments, before the program's.
    pub(super) fn words(&self, what: &Supervised) -> Vec<OsString> {
        let parent = if crate::plant::is("agents-outlive-us") {
            0
        } else {
            std::process::id()
        };
        let mut words: Vec<OsString> = vec!["supervise".into(), "--notes".into()];
        words.push(self.notes.path().into());
        for (name, number) in [
            ("--parent", u128::from(parent)),
            ("--grace", what.grace.as_millis()),
        ] {
            words.extend([name.into(), number.to_string().into()]);
        }
        words.push("--".into());
        words
    }

    /// How the program ended; `None` while it has not, or when the note was lost.
    pub(super) fn noted(&self) -> Option<Noted> {
        let note = fs::read_to_string(self.notes.path().join(ENDED)).ok()?;
        let (kind, number) = note.split_once(' ')?;
        let number = number.parse().ok()?;
        match kind {
            "code" => Some(Noted::Ended(Exit::Code(number))),
            "signal" => Some(Noted::Ended(Exit::Signal(number))),
            "error" => Some(Noted::NotStarted(number)),
            _ => None,
        }
    }

    /// How many processes were still there after the program had ended.
    pub(super) fn left(&self) -> u32 {
        let note = fs::read_to_string(self.notes.path().join(LEFT));
        note.ok().and_then(|note| note.parse().ok()).unwrap_or(0)
    }
}

/// Writes a note whole. One that cannot be written is none: the exit code says nearly the same.
#[cfg(target_os = "linux")]
fn note(folder: &std::path::Path, name: &str, text: &str) {
    let new = folder.join("new");
    if fs::write(&new, text).is_ok() {
        let _ = fs::rename(new, folder.join(name));
    }
}

/// Runs the program as told, until nothing of it is left; gives its exit code, for a signal the
/// usual 128 and more.
///
/// # Errors
/// Where the kernel has no subreaper; then nothing was started.
#[cfg(target_os = "linux")]
pub fn supervise(orders: &Orders) -> anyhow::Result<u8> {
    linux::supervise(orders)
}

/// Only Linux has what it needs.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn supervise(_: &Orders) -> anyhow::Result<u8> {
    anyhow::bail!("only Linux can supervise programs")
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::time::Duration;

    use anyhow::Context as _;
    use rustix::io::Errno;
    use rustix::process::{
        Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, set_child_subreaper, wait,
    };
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::time::{Instant, sleep_until};

    use super::super::family::Family;
    use super::super::{POLL, SETTLE};
    use super::{ENDED, LEFT, Orders, note};

    /// How often it looks whether its parent is there.
    const WATCH: Duration = Duration::from_millis(100);
    /// How often it kills anew: short, for those that fork as fast as they can.
    const AGAIN: Duration = Duration::from_millis(1);
    /// How long it kills; only a process stuck in the kernel outlives that.
    const KILLED: Duration = Duration::from_secs(10);

    #[derive(Debug, Clone, Copy)]
    enum Phase {
        Running,
        Settling(Instant),
        Terminating(Instant),
        Killing(Instant),
    }

    pub(super) fn supervise(orders: &Orders) -> anyhow::Result<u8> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("preparing to supervise")?
            .block_on(watch(orders))
    }

    async fn watch(orders: &Orders) -> anyhow::Result<u8> {
        set_child_subreaper(Some(getpid())).context("becoming the one orphans go to")?;
        let mut child = signal(SignalKind::child())?;
        // We are told to end everything at once.
        let mut told = signal(SignalKind::terminate())?;
        let (program, arguments) = orders.command.split_first().context("no program")?;
        let started = Command::new(program)
            .args(arguments)
            .process_group(0)
            .spawn();
        let main = match started {
            Ok(child) => i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
                note(&orders.notes, ENDED, &format!("error {number}"));
                return Ok(127);
            }
        };
        let main = main.context("it got no process id")?;
        let _ = let_go();
        let family = Family::below(getpid(), main);
        let mut phase = Phase::Running;
        let mut code = None;
        loop {
            // All that have ended, the adopted ones too.
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some((pid, status))) if pid == main => {
                        code = Some(ended(orders, status));
                        if matches!(phase, Phase::Running) {
                            phase = Phase::Settling(Instant::now() + SETTLE);
                        }
                    }
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break,
                    // No child, so nothing is left anywhere.
                    Err(_) => return Ok(code.unwrap_or(0)),
                }
            }
            let now = Instant::now();
            let orphaned =
                orders.parent != 0 && getppid().map(Pid::as_raw_pid) != Some(orders.parent);
            if orphaned && !matches!(phase, Phase::Killing(_)) {
                phase = Phase::Killing(now + KILLED);
            }
            let next = match phase {
                Phase::Running => now + WATCH,
                Phase::Settling(until) if now < until => until,
                Phase::Settling(_) => {
                    note(&orders.notes, LEFT, &family.alive().to_string());
                    family.signal(Signal::TERM);
                    phase = Phase::Terminating(now + orders.grace);
                    now + POLL
                }
                Phase::Terminating(until) if now < until => now + POLL,
                Phase::Terminating(_) => {
                    phase = Phase::Killing(now + KILLED);
                    now
                }
                Phase::Killing(until) if now < until => {
                    family.signal(Signal::KILL);
                    Instant::now() + AGAIN
                }
                Phase::Killing(_) => return Ok(code.unwrap_or(137)),
            };
            tokio::select! {
                _ = child.recv() => {}
                _ = told.recv() => phase = Phase::Killing(Instant::now() + KILLED),
                () = sleep_until(next) => {}
            }
        }
    }

    /// Input and output are the program's: who waits for their end does not wait for us.
    fn let_go() -> std::io::Result<()> {
        let nowhere = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nowhere)?;
        rustix::stdio::dup2_stdout(&nowhere)?;
        rustix::stdio::dup2_stderr(&nowhere)?;
        Ok(())
    }

    fn ended(orders: &Orders, status: WaitStatus) -> u8 {
        let (text, code) = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => (format!("code {code}"), code),
            (None, signal) => {
                let signal = signal.unwrap_or(0);
                (format!("signal {signal}"), 128 + signal)
            }
        };
        note(&orders.notes, ENDED, &text);
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}
