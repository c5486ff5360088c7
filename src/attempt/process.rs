//! Running one command under supervision: agents and checks alike.
//!
//! Safe against a command that prints without end or never a line break, prints bytes that are no
//! text, never reads its input or never ends, leaves children behind in or out of its process group,
//! or leaves one that holds its output open. Whatever it does, the memory used is bounded, the time
//! limit holds, and at the end all of it is gone. Nothing is ever given to a shell, and nothing is
//! inherited from our own environment.

mod cancel;
mod capture;
mod env;
mod family;
mod supervisor;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::ChildStdin;
use tokio::time::{Instant, sleep_until};

pub use cancel::{Cancel, Canceller};
pub use capture::{Captured, Lines};
pub use env::{Env, Secret};

pub use family::kill_carriers;
pub(in crate::attempt) use family::new_mark;
pub use supervisor::{Orders, supervise, supervise_by};

pub(in crate::attempt) use capture::Splitter;
use family::Family;
use supervisor::{Noted, Supervisor};

/// How long output may still come after the process has ended, before its children are ended.
const SETTLE: Duration = Duration::from_millis(250);
/// How long a process may take to end by itself once its answer is complete.
const FINISH: Duration = Duration::from_secs(2);
/// How often we look whether signalled processes are gone.
const POLL: Duration = Duration::from_millis(20);
/// How long we look for after SIGKILL; only a process stuck in the kernel outlives it.
const KILLED: Duration = Duration::from_secs(2);
/// How long we wait for the end of the output when all processes we know are gone.
const DRAIN: Duration = Duration::from_millis(300);
/// Size of a read, that of a pipe.
const PIECE: usize = 64 * 1024;

/// A command to be run under supervision.
#[derive(Debug, Clone)]
pub struct Supervised {
    /// Program and arguments; the program is looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// Working directory.
    pub cwd: PathBuf,
    /// Its whole environment.
    pub env: Env,
    /// What it may read from stdin.
    pub stdin: Vec<u8>,
    /// Time limit; one beyond what the clock can count is none.
    pub limit: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// Bytes kept of the beginning of the output.
    pub head_cap: usize,
    /// Bytes kept of the end of the output.
    pub tail_cap: usize,
    /// Which lines of stdout are handed over while it runs.
    pub lines: Lines,
}

/// What happens while a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// It was started.
    Started {
        /// Its process id, or that of its supervisor.
        pid: u32,
    },
    /// It printed a line on stdout, invalid UTF-8 replaced; which ones, [`Lines`] says.
    Line(&'a str),
}

/// The answer to an [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// All that matters was said: the process gets a moment to end by itself, then it is ended.
    Finish,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// Ended by us at its time limit.
    TimedOut,
    /// Ended by us because of [`Canceller::cancel`].
    Cancelled,
    /// Ended by us some time after [`Flow::Finish`].
    Finished,
}

/// What came of a process.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How it ended.
    pub exit: Exit,
    /// How long it ran, its children's end included.
    pub duration: Duration,
    /// Stdout and stderr in the order in which they came.
    pub output: Captured,
    /// The end of stdout alone.
    pub stdout: Captured,
    /// Processes still there after it had ended by itself; 0 when we ended it. They are gone.
    pub left_behind: u32,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The argument list is empty.
    #[error("the command is empty")]
    Empty,
    /// There is no such program.
    #[error("there is no program `{program}` {}", where_looked(path.as_deref()))]
    NotFound {
        /// The program as it was named.
        program: String,
        /// Where it was looked for; `None` when it was named by its path.
        path: Option<String>,
    },
    /// The working directory is not there.
    #[error("the folder {} to run `{program}` in does not exist", .cwd.display())]
    NoDirectory {
        /// The program.
        program: String,
        /// The folder.
        cwd: PathBuf,
    },
    /// Anything else, e.g. no permission.
    #[error("`{program}` could not be started: {source}")]
    Other {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
}

fn where_looked(path: Option<&str>) -> String {
    match path {
        None => "at that path".to_owned(),
        Some("") => "(PATH is empty)".to_owned(),
        Some(path) => format!("on the PATH ({path})"),
    }
}

/// Looks a program up as the system would, except that relative folders on the `PATH` do not count:
/// they would mean whatever lies in the working directory. A name with a slash is taken from `cwd`.
///
/// # Errors
///
/// [`StartError::NotFound`] when there is none that may be executed.
pub fn find_program(name: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, StartError> {
    let program = || name.to_string_lossy().into_owned();
    if name.as_encoded_bytes().contains(&b'/') {
        let candidate = cwd.join(name);
        if candidate.exists() {
            return Ok(candidate);
        }
        return Err(StartError::NotFound {
            program: program(),
            path: None,
        });
    }
    let path = path.unwrap_or_default();
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|candidate| {
            candidate
                .metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| StartError::NotFound {
            program: program(),
            path: Some(path.to_string_lossy().into_owned()),
        })
}

impl Supervised {
    /// A command with no input, no time limit, 64 KiB kept of each end of its output and no lines
    /// handed over; the fields are there to be changed.
    #[must_use]
    pub fn new(argv: Vec<OsString>, cwd: PathBuf, env: Env) -> Self {
        Self {
            argv,
            cwd,
            env,
            stdin: Vec::new(),
            limit: None,
            grace: Duration::from_secs(2),
            head_cap: 64 * 1024,
            tail_cap: 64 * 1024,
            lines: Lines::None,
        }
    }

    /// Runs the command until it and all it started are gone. Dropping the future kills them too.
    ///
    /// # Errors
    ///
    /// [`StartError`] when it could not be started; nothing else is an error here.
    pub async fn run(
        &self,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> Result<Ended, StartError> {
        let mut run = Run::start(self)?;
        let mut deadline = self.limit.and_then(|limit| run.started.checked_add(limit));
        if on_event(Event::Started { pid: run.pid }) == Flow::Finish {
            run.finish(&mut deadline);
        }
        let mut out = vec![0; PIECE];
        let mut err = vec![0; PIECE];
        let mut sent = 0;
        loop {
            if run.done() {
                break;
            }
            tokio::select! {
                read = read(&mut run.stdout, &mut out) => {
                    let piece = &out[..read.unwrap_or(0)];
                    if run.take_stdout(piece, on_event) == Flow::Finish {
                        run.finish(&mut deadline);
                    }
                }
                read = read(&mut run.stderr, &mut err) => {
                    let length = read.unwrap_or(0);
                    run.output.push(&err[..length]);
                    if length == 0 {
                        run.stderr = None;
                    }
                }
                written = write(&mut run.stdin, &self.stdin[sent..]) => {
                    // A child that closes its stdin is within its rights.
                    let length = written.unwrap_or(0);
                    sent += length;
                    if length == 0 || sent == self.stdin.len() {
                        run.stdin = None;
                    }
                }
                status = wait(&mut run.child, run.status.is_none()) => {
                    run.status = Some(status);
                    if matches!(run.phase, Phase::Running | Phase::Finishing) {
                        run.phase = Phase::Settling;
                        deadline = Some(Instant::now() + SETTLE);
                    }
                }
                () = until(deadline) => run.deadline_reached(&mut deadline, self.grace),
                () = cancel.cancelled(), if run.may_be_ended() => {
                    run.end(Exit::Cancelled, &mut deadline, self.grace);
                }
            }
            if run.phase == Phase::Settling && run.stdout.is_none() && run.stderr.is_none() {
                deadline = Some(Instant::now());
            }
        }
        run.into_ended().map_err(|source| StartError::Other {
            program: self.argv[0].to_string_lossy().into_owned(),
            source,
        })
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The process works.
    Running,
    /// It has said all that matters and may end by itself.
    Finishing,
    /// It has ended; output may still come.
    Settling,
    /// SIGTERM was sent, SIGKILL follows at that instant.
    Terminating(Instant),
    /// SIGKILL was sent; no use in looking after that instant.
    Killing(Instant),
    /// All are gone; the rest of the output is read.
    Draining,
    /// Nothing is waited for any more.
    Over,
}

/// Nothing: the environment of a command is what it was given.
fn leaked() -> impl Iterator<Item = (OsString, OsString)> {
    let planted = crate::plant::is("environment-kept");
    planted.then(std::env::vars_os).into_iter().flatten()
}

struct Run {
    // Dropped first: the process id is ours until the child is let go.
    family: Family,
    supervisor: Option<Supervisor>,
    child: tokio::process::Child,
    pid: u32,
    stdin: Option<ChildStdin>,
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
    status: Option<ExitStatus>,
    ended_by_us: Option<Exit>,
    phase: Phase,
    started: Instant,
    splitter: Splitter,
    output: Captured,
    stdout_tail: Captured,
    left_behind: u32,
}

impl Run {
    fn start(what: &Supervised) -> Result<Self, StartError> {
        let (name, arguments) = what.argv.split_first().ok_or(StartError::Empty)?;
        let shown = || name.to_string_lossy().into_owned();
        if !what.cwd.is_dir() {
            return Err(StartError::NoDirectory {
                program: shown(),
                cwd: what.cwd.clone(),
            });
        }
        let program = find_program(name, what.env.get("PATH"), &what.cwd)?;
        let mark = family::new_mark();
        let other = |source| StartError::Other {
            program: shown(),
            source,
        };
        let supervisor = Supervisor::prepare().map_err(other)?;
        let mut command = match &supervisor {
            Some(supervisor) => {
                let mut command = tokio::process::Command::new(&supervisor.program);
                command.args(supervisor.words(what)).arg(program);
                command
            }
            None => tokio::process::Command::new(program),
        };
        let mut child = command
            .args(arguments)
            .current_dir(&what.cwd)
            .env_clear()
            .envs(leaked())
            .envs(what.env.reveal())
            .env(family::MARK, &mark)
            .stdin(if what.stdin.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            // A supervisor outlives us until it has ended the rest.
            .kill_on_drop(supervisor.is_none())
            .spawn()
            .map_err(other)?;
        let started = Instant::now();
        // Both are there until the process is waited for.
        let pid = child.id().unwrap_or_default();
        let main = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let main = main.ok_or_else(|| other(io::Error::other("it got no process id")))?;
        Ok(Self {
            pid,
            family: if supervisor.is_some() {
                Family::of(main, &mark)
            } else {
                Family::new(main, &mark)
            },
            supervisor,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            status: None,
            ended_by_us: None,
            phase: Phase::Running,
            started,
            splitter: Splitter::new(what.lines),
            output: Captured::new(what.head_cap, what.tail_cap),
            stdout_tail: Captured::new(0, what.tail_cap),
            left_behind: 0,
        })
    }

    fn take_stdout(&mut self, piece: &[u8], on_event: &mut dyn FnMut(Event<'_>) -> Flow) -> Flow {
        let mut flow = Flow::Continue;
        let mut each = |line: &str| {
            flow = on_event(Event::Line(line));
            flow == Flow::Continue
        };
        // Nothing after the line that finished matters to the listener.
        let listening = matches!(self.phase, Phase::Running | Phase::Settling)
            || self.ended_by_us == Some(Exit::TimedOut);
        if piece.is_empty() {
            self.stdout = None;
            if listening {
                self.splitter.finish(&mut each);
            }
        } else {
            self.output.push(piece);
            self.stdout_tail.push(piece);
            if listening {
                self.splitter.push(piece, &mut each);
            }
        }
        flow
    }

    fn may_be_ended(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Finishing)
    }

    fn finish(&mut self, deadline: &mut Option<Instant>) {
        if self.phase == Phase::Running {
            self.phase = Phase::Finishing;
            *deadline = Some(Instant::now() + FINISH);
        }
    }

    /// Starts to end the family.
    fn end(&mut self, why: Exit, deadline: &mut Option<Instant>, grace: Duration) {
        // It may have ended by itself, and the supervisor waits for what it left behind.
        if self.noted().is_none() {
            self.ended_by_us = Some(why);
        }
        self.terminate(deadline, grace);
    }

    fn noted(&self) -> Option<Noted> {
        self.supervisor.as_ref().and_then(Supervisor::noted)
    }

    fn terminate(&mut self, deadline: &mut Option<Instant>, grace: Duration) {
        self.family.signal(Signal::TERM);
        let now = Instant::now();
        self.phase = Phase::Terminating(now + grace);
        *deadline = Some(now + POLL);
    }

    fn deadline_reached(&mut self, deadline: &mut Option<Instant>, grace: Duration) {
        let now = Instant::now();
        match self.phase {
            Phase::Running => self.end(Exit::TimedOut, deadline, grace),
            Phase::Finishing => self.end(Exit::Finished, deadline, grace),
            Phase::Settling => {
                self.left_behind = self.family.alive();
                if self.left_behind > 0 {
                    self.terminate(deadline, grace);
                } else {
                    self.drain(deadline);
                }
            }
            Phase::Terminating(_) | Phase::Killing(_) if self.family.alive() == 0 => {
                self.drain(deadline);
            }
            Phase::Terminating(until) => {
                if now >= until {
                    self.family.signal(Signal::KILL);
                    self.phase = Phase::Killing(now + KILLED);
                }
                *deadline = Some(now + POLL);
            }
            Phase::Killing(until) if now >= until => self.drain(deadline),
            Phase::Killing(_) => {
                // Again: it may have forked between our look and the signal.
                self.family.signal(Signal::KILL);
                *deadline = Some(now + POLL);
            }
            Phase::Draining | Phase::Over => self.phase = Phase::Over,
        }
    }

    fn drain(&mut self, deadline: &mut Option<Instant>) {
        self.phase = Phase::Draining;
        *deadline = Some(Instant::now() + DRAIN);
    }

    fn done(&self) -> bool {
        let all_read = self.stdout.is_none() && self.stderr.is_none();
        self.phase == Phase::Over
            || (self.phase == Phase::Draining && all_read && self.status.is_some())
    }

    fn into_ended(mut self) -> Result<Ended, io::Error> {
        self.family.disarm();
        let by_itself = self.status.map_or(Exit::Signal(9), |status| {
            status
                .code()
                .map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
        });
        let by_itself = match self.noted() {
            Some(Noted::NotStarted(number)) => return Err(io::Error::from_raw_os_error(number)),
            Some(Noted::Ended(exit)) => exit,
            None => by_itself,
        };
        if let (None, Some(supervisor)) = (self.ended_by_us, &self.supervisor) {
            self.left_behind += supervisor.left();
        }
        Ok(Ended {
            exit: self.ended_by_us.unwrap_or(by_itself),
            duration: self.started.elapsed(),
            output: self.output,
            stdout: self.stdout_tail,
            left_behind: self.left_behind,
        })
    }
}

async fn read(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn write(stream: &mut Option<ChildStdin>, bytes: &[u8]) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.write(bytes).await,
        None => std::future::pending().await,
    }
}

async fn wait(child: &mut tokio::process::Child, wanted: bool) -> ExitStatus {
    if wanted && let Ok(status) = child.wait().await {
        return status;
    }
    std::future::pending().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
