//! Runs the `git` program with an environment of our making.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{GitError, Result};

/// The oldest git that is known to work, as (major, minor).
#[must_use]
pub fn oldest_supported() -> (u32, u32) {
    (2, 38)
}

/// What of `GIT_*` says how a person likes to work, and nothing about which repository is meant.
const KEPT: &[&str] = &[
    "GIT_EDITOR",
    "GIT_PAGER",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
];

/// One call of the `git` program.
///
/// Hardly any variable named `GIT_*` is handed down, so nothing in the caller's environment can point it at
/// another repository; hooks and the file-system monitor are off, so nothing that an agent left in a
/// repository is run.
pub(super) struct Git {
    command: Command,
    stdin: Option<Vec<u8>>,
    file: Option<std::fs::File>,
    limit: Option<Duration>,
}

impl Git {
    fn bare(dir: &Path) -> Self {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GIT_")
                && !KEPT.contains(&&*text)
                && !text.starts_with("GIT_CONFIG_")
            {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(dir)
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0");
        for (setting, fault) in [
            ("core.hooksPath=/dev/null", "hooks-run"),
            ("core.fsmonitor=false", "fsmonitor-runs"),
        ] {
            if !crate::plant::is(fault) {
                command.args(["-c", setting]);
            }
        }
        Self {
            command,
            stdin: None,
            file: None,
            limit: None,
        }
    }

    /// In the user's repository, reading only.
    pub(super) fn user(dir: &Path) -> Self {
        Self::bare(dir)
    }

    /// With a git directory and a working tree that need not belong together.
    pub(super) fn separate(git_dir: &Path, worktree: &Path) -> Self {
        let mut git = Self::bare(worktree);
        git.command
            .env("GIT_DIR", git_dir)
            .env("GIT_WORK_TREE", worktree);
        git
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    pub(super) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// What it reads is a file, whole and never in memory.
    pub(super) fn stdin_file(mut self, file: std::fs::File) -> Self {
        self.file = Some(file);
        self
    }

    /// Ends it with all it started when it takes longer: a push over HTTP whose answer is cut off
    /// waits for itself for ever. It gets a process group of its own, so it must not ask at the
    /// terminal.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.command.process_group(0);
        self.limit = Some(limit);
        self
    }

    fn line(&self) -> String {
        let words: Vec<OsString> = self.command.get_args().map(OsStr::to_owned).collect();
        let words: Vec<_> = words.iter().skip(4).map(|w| w.to_string_lossy()).collect();
        format!("git {}", words.join(" "))
    }

    /// Runs it and returns what it printed.
    pub(super) fn output(self) -> Result<Vec<u8>> {
        let (status, stdout, stderr, line) = self.run()?;
        if status == 0 {
            return Ok(stdout);
        }
        let detail = String::from_utf8_lossy(&stderr).trim().to_owned();
        let detail = if detail.is_empty() {
            format!("exit status {status}")
        } else {
            detail
        };
        Err(GitError::Program {
            command: line,
            detail,
        })
    }

    /// Runs it and returns exit status and stdout, for commands that answer by their status.
    pub(super) fn status(self) -> Result<(i32, Vec<u8>)> {
        let (status, stdout, _, _) = self.run()?;
        Ok((status, stdout))
    }

    /// Runs it and returns exit status, stdout and stderr, whatever the status.
    pub(super) fn all(self) -> Result<(i32, Vec<u8>, Vec<u8>)> {
        let (status, stdout, stderr, _) = self.run()?;
        Ok((status, stdout, stderr))
    }

    /// Runs it with the person's terminal; how it ends does not matter.
    pub(super) fn interactive(mut self) -> Result<()> {
        let line = self.line();
        self.command
            .status()
            .map(drop)
            .map_err(|e| GitError::Program {
                command: line,
                detail: e.to_string(),
            })
    }

    fn run(mut self) -> Result<(i32, Vec<u8>, Vec<u8>, String)> {
        let line = self.line();
        let began = std::time::Instant::now();
        let input = self.stdin.take();
        self.command
            .stdin(match (self.file.take(), &input) {
                (Some(file), _) => Stdio::from(file),
                (None, Some(_)) => Stdio::piped(),
                (None, None) => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let failed = |e: std::io::Error| GitError::Program {
            command: line.clone(),
            detail: if e.kind() == std::io::ErrorKind::NotFound {
                "the program `git` was not found; install git and put it on PATH".to_owned()
            } else {
                e.to_string()
            },
        };
        let mut child = self.command.spawn().map_err(failed)?;
        // Written from a thread of its own: git may print before it has read everything.
        let writer = child.stdin.take().zip(input).map(|(mut pipe, bytes)| {
            std::thread::spawn(move || {
                let _ = pipe.write_all(&bytes);
            })
        });
        let watch = self.limit.map(|limit| Watch::over(&child, limit));
        let mut out = child.wait_with_output().map_err(failed)?;
        if let Some(why) = watch.and_then(Watch::end) {
            out.stderr = why.into_bytes();
        }
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        tracing::debug!(target: "pertask::git", took = ?began.elapsed(), "{line}");
        Ok((
            out.status.code().unwrap_or(-1),
            out.stdout,
            out.stderr,
            line,
        ))
    }
}

/// Ends a process group that takes too long.
struct Watch {
    done: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Option<String>>,
}

impl Watch {
    fn over(child: &Child, limit: Duration) -> Self {
        let (done, wait) = mpsc::channel();
        let group = rustix::process::Pid::from_child(child);
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout) {
                return None;
            }
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            Some(format!("no answer within {} s", limit.as_secs().max(1)))
        });
        Self { done, thread }
    }

    /// Why it was ended, if it was.
    fn end(self) -> Option<String> {
        let _ = self.done.send(());
        self.thread.join().ok().flatten()
    }
}
