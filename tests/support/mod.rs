//! What the end-to-end tests share: a sandbox with a home, a real git repository and a scripted
//! agent, and the real binary run in it.
//!
//! Hermetic: programs see an environment of the sandbox's making only. Every program is killed with
//! its process group when it takes longer than [`LIMIT`].

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file uses a part of this; a sandbox that cannot be set up is a failed test"
)]

pub mod tidy;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest a program may take.
pub const LIMIT: Duration = Duration::from_mins(1);

/// An agent that writes `<task>.txt` and says so.
pub const GOOD: &str = r#"
cat > /dev/null
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

/// An agent that fills in everything a handoff may say.
pub const FULL: &str = r#"
cat > /dev/null
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
cat > "$PERTASK_HANDOFF_FILE" <<END
{"agent":"writer","status":"complete","task":"Task 1 of 2","file_created":"$PERTASK_TASK.txt","lines":99,
 "skills_invoked":["developing-with-tdd","verifying-before-completion"],
 "review_notes":["Names are short"],"handoff":{"next_task":"Task 2","context":"mind the gap"}}
END
"#;

/// A plan of two tasks, the second after the first, for an agent like [`GOOD`].
pub const TWO: &str = r#"title = "Two files"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
depends_on = ["one"]
"#;

/// Three tasks without dependencies, reviewed one by one.
pub const THREE: &str = r#"title = "Three files"

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first"
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second"

[[task]]
id = "three"
title = "Third file"
file = "three.txt"
purpose = "The third"
"#;

/// What a program did.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed, as it is.
    pub stdout: String,
    /// What it printed to stderr, as it is.
    pub stderr: String,
    tidy: tidy::Tidy,
}

impl Output {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the exit code is another\n{}", self.text());
        self
    }

    /// Code, stdout and stderr, with what differs from run to run replaced.
    pub fn text(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code,
            self.out(),
            self.err()
        )
    }

    /// stdout, with what differs from run to run replaced.
    pub fn out(&self) -> String {
        self.tidy.apply(&self.stdout)
    }

    /// stderr, with what differs from run to run replaced.
    pub fn err(&self) -> String {
        self.tidy.apply(&self.stderr)
    }
}

/// Where git is. A program named by its path is started without copying this process's memory map
/// first, which is large.
fn git_program() -> &'static Path {
    static GIT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    GIT.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|folder| folder.join("git"));
        places.find(|p| p.is_file()).unwrap_or_else(|| "git".into())
    })
}

/// A temporary folder with a home, a repository, and an agent.
pub struct Sandbox {
    root: TempDir,
    /// The repository's working tree.
    pub repo: PathBuf,
    /// `HOME`, with the git identity.
    pub home: PathBuf,
    env: Vec<(OsString, OsString)>,
}

impl Sandbox {
    /// A home without a repository: `repo` is an empty folder.
    pub fn empty() -> Self {
        let root = tempfile::Builder::new()
            .prefix("pertask-test-")
            .tempdir()
            .unwrap();
        let path = root.path().canonicalize().unwrap();
        let home = path.join("home");
        let repo = path.join("repo");
        fs::create_dir(&home).unwrap();
        fs::create_dir(&repo).unwrap();
        fs::write(
            home.join(".gitconfig"),
            "[user]\n\tname = Ada Example\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[advice]\n\tdetachedHead = false\n",
        )
        .unwrap();
        let sandbox = Self {
            root,
            repo,
            home,
            env: Vec::new(),
        };
        fs::create_dir(sandbox.root().join("tmp")).unwrap();
        sandbox
    }

    /// A repository on branch `main` with one commit: a README.
    pub fn new() -> Self {
        let sandbox = Self::empty();
        sandbox.git(["init", "--quiet"]);
        sandbox.write("README.md", "A test.\n");
        sandbox.commit("First commit");
        sandbox
    }

    /// A repository with this plan, named `wiz`, and this agent, all committed.
    pub fn with(plan: &str, agent: &str) -> Self {
        let sandbox = Self::new();
        sandbox.agent(agent);
        sandbox.plan(plan);
        sandbox.commit("Add the plan");
        sandbox
    }

    /// The folder that everything is in.
    pub fn root(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    /// Adds a variable to the environment of every program.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.push((name.into(), value.into()));
    }

    /// Writes a file of the repository, with its folders.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        write(&self.repo.join(path), text);
    }

    /// A file of the repository's working tree.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        read(&self.repo.join(path))
    }

    /// Commits everything there is.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "-m", message]);
        self.oid("HEAD")
    }

    /// Runs git in the repository; it must succeed. What it printed, without the last line break.
    #[track_caller]
    pub fn git<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> String {
        self.git_in(&self.repo, args)
    }

    /// Runs git in a folder; it must succeed.
    #[track_caller]
    pub fn git_in<I: IntoIterator<Item: AsRef<OsStr>>>(&self, dir: &Path, args: I) -> String {
        let mut command = self.command("git", dir);
        command.args(args);
        let out = self.finish(command).code(0);
        out.stdout.trim_end_matches('\n').to_owned()
    }

    /// Whether git succeeds.
    pub fn git_ok<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> bool {
        let mut command = self.command("git", &self.repo);
        command.args(args);
        self.finish(command).code == 0
    }

    /// The object a name stands for.
    #[track_caller]
    pub fn oid(&self, name: &str) -> String {
        self.git(["rev-parse", "--verify", name])
    }

    /// Every ref with what it points to.
    pub fn refs(&self) -> String {
        self.git(["for-each-ref", "--format=%(refname) %(objectname)"])
    }

    /// Names of the branches, one per line.
    pub fn branches(&self) -> String {
        self.git(["for-each-ref", "--format=%(refname:short)", "refs/heads"])
    }

    /// A file of a commit.
    #[track_caller]
    pub fn file_at(&self, commit: &str, path: &str) -> String {
        self.git(["cat-file", "blob", &format!("{commit}:{path}")])
    }

    /// Files of a commit, one per line.
    pub fn files_at(&self, commit: &str) -> String {
        self.git(["ls-tree", "-r", "--name-only", commit])
    }

    /// Writes the plan `wiz`.
    pub fn plan(&self, toml: &str) {
        self.write(".pertask/wiz/plan.toml", toml);
    }

    /// Makes this sh script the agent: a program outside the repository, named `mine` in
    /// `.pertask/config.toml`.
    pub fn agent(&self, script: &str) {
        self.script(script);
        self.config("");
    }

    /// Replaces the agent's program, nothing in the repository.
    pub fn script(&self, script: &str) {
        let path = self.root().join("agent");
        let new = self.root().join("agent.new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Writes `.pertask/config.toml`: the agent `mine`, and these settings.
    pub fn config(&self, settings: &str) {
        let agent = self.root().join("agent");
        self.write(
            ".pertask/config.toml",
            format!(
                "agent = \"mine\"\n{settings}\n[agents.mine]\ncommand = ['{}']\n",
                agent.display()
            ),
        );
    }

    /// Confines nobody, for an agent that leaves notes for the test outside its workspace.
    pub fn unconfined(&self) {
        self.config("sandbox = \"off\"");
        self.commit("Confine nobody");
    }

    /// A command in the environment of the sandbox.
    pub fn command(&self, program: impl AsRef<OsStr>, dir: &Path) -> Command {
        let program = program.as_ref();
        let mut command = if program == "git" {
            Command::new(git_program())
        } else {
            Command::new(program)
        };
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("PERTASK_HOME", self.root().join("pertask"))
            .env("TMPDIR", self.root().join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .envs(std::env::vars_os().filter(|(k, _)| k == "PERTASK_TEST_PLANT"));
        command
    }

    /// The program under test, in this folder.
    pub fn program(&self, dir: &Path) -> Command {
        self.command(env!("CARGO_BIN_EXE_git-pertask"), dir)
    }

    /// Runs `git-pertask` in the repository.
    pub fn pertask<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Output {
        self.pertask_in(&self.repo, args)
    }

    /// Runs `git-pertask` in a folder.
    pub fn pertask_in<I: IntoIterator<Item: AsRef<OsStr>>>(&self, dir: &Path, args: I) -> Output {
        let mut command = self.program(dir);
        command.args(args);
        self.finish(command)
    }

    /// Runs a shell line in the repository, with the program as `git-pertask`.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = self.command("sh", &self.repo);
        command.args([
            "-c",
            &line.replace("git-pertask", env!("CARGO_BIN_EXE_git-pertask")),
        ]);
        self.finish(command)
    }

    /// Starts `git-pertask` in the repository and does not wait.
    pub fn spawn<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Running {
        let mut command = self.program(&self.repo);
        command.args(args);
        self.begin(command)
    }

    /// Runs a command to its end.
    pub fn finish(&self, command: Command) -> Output {
        self.begin(command).wait()
    }

    /// Starts a command in a process group of its own.
    pub fn begin(&self, mut command: Command) -> Running {
        let words = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{words}: {e}"));
        let stdout = read_all(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        Running {
            child,
            stdout,
            stderr,
            words,
            tidy: tidy::Tidy::new(&self.root()),
        }
    }

    /// The state of the run as `status --json` says it.
    #[track_caller]
    pub fn status(&self, run: &str) -> serde_json::Value {
        let out = self.pertask(["status", run, "--json"]).code(0);
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// The states of a run's tasks: `one=review two=pending`.
    #[track_caller]
    pub fn states(&self, run: &str) -> String {
        let status = self.status(run);
        let tasks = status["tasks"].as_array().unwrap();
        let words: Vec<_> = tasks
            .iter()
            .map(|t| {
                format!(
                    "{}={}",
                    t["id"].as_str().unwrap(),
                    t["state"].as_str().unwrap()
                )
            })
            .collect();
        words.join(" ")
    }

    /// Text with what differs from run to run replaced.
    pub fn tidy(&self, text: &str) -> String {
        tidy::Tidy::new(&self.root()).apply(text)
    }
}

/// A program that runs.
pub struct Running {
    child: Child,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
    words: String,
    tidy: tidy::Tidy,
}

impl Running {
    /// Its process id, which is its group's too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to its process alone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits for its end, at most [`LIMIT`].
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let until = Instant::now() + LIMIT;
        let left = || until.saturating_duration_since(Instant::now());
        let (stdout, stderr) = (
            self.stdout.recv_timeout(left()),
            self.stderr.recv_timeout(left()),
        );
        if stdout.is_err() || stderr.is_err() {
            let _ = rustix::process::kill_process_group(self.pid(), rustix::process::Signal::KILL);
            let _ = self.child.wait();
            panic!(
                "took longer than {LIMIT:?}: {}\n{}",
                self.words,
                String::from_utf8_lossy(
                    &stderr.or_else(|_| self.stderr.recv()).unwrap_or_default()
                )
            );
        }
        let status = self.child.wait().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output {
            code: status.code().unwrap_or(-1),
            stdout: text(stdout.unwrap()),
            stderr: text(stderr.unwrap()),
            tidy: self.tidy.clone(),
        }
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// Waits until a file is there; it fails the test when that takes longer than [`LIMIT`].
#[track_caller]
pub fn wait_for(path: &Path) {
    let until = Instant::now() + LIMIT;
    while !path.exists() {
        assert!(Instant::now() < until, "{} never came", path.display());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Waits until a file of this name is somewhere below a folder.
#[track_caller]
pub fn wait_for_any(dir: &Path, name: &str) {
    let until = Instant::now() + LIMIT;
    let there = |dir: &Path| {
        let mut left = vec![dir.to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.file_name() == name {
                    return true;
                }
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    left.push(entry.path());
                }
            }
        }
        false
    };
    while !there(dir) {
        assert!(Instant::now() < until, "{name} never came");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Writes a file with its folders.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Reads a file.
#[track_caller]
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder with its mode and content, to see whether anything changed.
pub fn everything_in(dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let mode = meta.permissions().mode();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let to = fs::read_link(&path).unwrap().into_os_string();
                found.push((path, mode, to.into_encoded_bytes()));
            } else {
                let bytes = fs::read(&path).unwrap();
                found.push((path, mode, bytes));
            }
        }
    }
    found.sort();
    found
}
