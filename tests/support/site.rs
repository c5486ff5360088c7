//! A repository with an agent that is a shell script: what the tests of a whole run stand on.
//!
//! Nothing of the person's machine reaches it: home, workspaces, identity and environment are its
//! own. The agent's script finds a folder of the test in `$OUT`, where it leaves what it saw.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a program came to.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Exit code and everything said, for a snapshot.
    pub fn all(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}

/// `Next` and what follows is the same for every stop; this is what differs.
pub fn until_next(stdout: &str) -> &str {
    let said = stdout.split("\nNext\n").next().unwrap_or_default();
    said.trim_end()
}

/// A program that runs.
pub struct Running {
    child: Option<Child>,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// To the whole group of the process, as a terminal does it.
    pub fn signal_group(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process_group(pid, signal).unwrap();
    }

    pub fn said_so_far(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits for its end; after 60 s it is killed and the test fails.
    pub fn end(mut self) -> Output {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!(
                    "it did not end within a minute; it said:\n{}\n{}",
                    fs::read_to_string(&self.out).unwrap_or_default(),
                    fs::read_to_string(&self.err).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Output {
            code: status
                .code()
                .unwrap_or_else(|| -status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&fs::read(&self.out).unwrap()).into_owned(),
            stderr: String::from_utf8_lossy(&fs::read(&self.err).unwrap()).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The places of a test.
pub struct Site {
    dir: TempDir,
    vars: Vec<(String, String)>,
    started: std::cell::Cell<u32>,
}

/// What every agent script begins with.
const PREAMBLE: &str = r#"
key="$PERTASK_TASK-$PERTASK_ATTEMPT"
echo "$key" >> "$OUT/asked"
cat > "$OUT/prompt-$key"
say() { printf '%s\n' "$1" > "$PERTASK_HANDOFF_FILE"; }
complete() { say '{"status": "complete"}'; }
# Waits until the test says so, or until nobody would any more.
await() { n=0; while [ ! -e "$1" ] && [ $n -lt 3000 ]; do sleep 0.01; n=$((n+1)); done; }
"#;

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

impl Site {
    /// A repository whose branch `main` has one commit.
    pub fn new() -> Self {
        Self::in_folder(tempfile::Builder::new().prefix("site-").tempdir().unwrap())
    }

    pub fn in_folder(dir: TempDir) -> Self {
        let site = Self {
            dir,
            vars: Vec::new(),
            started: std::cell::Cell::new(0),
        };
        for name in ["repo", "home", "work", "out", "bin", "tmp"] {
            fs::create_dir_all(site.path(name)).unwrap();
        }
        site.git(&["init", "-q", "-b", "main"]);
        fs::write(
            site.path("home/.gitconfig"),
            "[user]\n\tname = Ada\n\temail = ada@example.com\n[gc]\n\tauto = 0\n",
        )
        .unwrap();
        site.write("README.md", "A sample.\n");
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn repo(&self, name: &str) -> PathBuf {
        self.path("repo").join(name)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.push((name.to_owned(), value.to_owned()));
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.repo(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What the agent left in `$OUT`.
    pub fn out(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap_or_default()
    }

    pub fn touch(&self, name: &str) {
        fs::write(self.path("out").join(name), "").unwrap();
    }

    /// Waits until the agent has left a file in `$OUT`.
    pub fn wait_for(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.path("out").join(name).exists() {
            assert!(Instant::now() < deadline, "{name} did not appear");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn hermetic(&self, program: &Path) -> Command {
        let mut command = if program == Path::new("git") {
            Command::new(git_program())
        } else {
            Command::new(program)
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("PERTASK_HOME", self.path("work"))
            .env("LANG", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(std::env::vars_os().filter(|(name, _)| name == "PERTASK_TEST_PLANT"))
            .current_dir(self.path("repo"))
            .stdin(Stdio::null());
        for (name, value) in &self.vars {
            command.env(name, value);
        }
        command
    }

    /// Any program in this place's environment.
    pub fn command(&self, program: &str) -> Command {
        self.hermetic(Path::new(program))
    }

    /// Runs git in the repository; it must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let out = self
            .hermetic(Path::new("git"))
            .env("GIT_OPTIONAL_LOCKS", "0")
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The agent's script; what it prints, does and answers is all up to it.
    pub fn agent(&self, script: &str) {
        let path = self.path("bin/agent");
        let text = format!(
            "#!/bin/sh\nOUT='{}'\n{PREAMBLE}\n{script}\n",
            self.path("out").display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The agent's script where copies of this place share it; `$OUT` then comes from the
    /// environment, so the configuration must let it through.
    pub fn agent_elsewhere(&mut self, script: &str) {
        let path = self.path("bin/agent");
        let text = format!("#!/bin/sh\n{PREAMBLE}\n{script}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let out = self.path("out").display().to_string();
        self.set("OUT", &out);
    }

    /// The same place once more, at another path.
    pub fn copied(&self, copy: &dyn Fn(&Path, &Path)) -> Self {
        let dir = tempfile::Builder::new().prefix("site-").tempdir().unwrap();
        copy(&self.path(""), dir.path());
        let mut site = Self {
            dir,
            vars: self.vars.clone(),
            started: std::cell::Cell::new(self.started.get()),
        };
        let out = site.path("out").display().to_string();
        site.vars.retain(|(name, _)| name != "OUT");
        site.set("OUT", &out);
        site
    }

    /// Plan `wiz` and a configuration that names the script, committed. `agent` is added to the
    /// agent's settings, `config` to the top of the configuration.
    pub fn plan(&self, plan: &str, agent: &str, config: &str) {
        self.write(".pertask/wiz/plan.toml", plan);
        // Its scripts leave notes for the test outside their workspace.
        let sandbox = if config.contains("sandbox") {
            ""
        } else {
            "sandbox = \"off\"\n"
        };
        self.write(
            ".pertask/config.toml",
            &format!(
                "agent = \"script\"\n{sandbox}{config}\n[agents.script]\ncommand = [\"{}\"]\n{agent}\n",
                self.path("bin/agent").display()
            ),
        );
        self.commit("Add the plan");
    }

    pub fn pertask(&self, arguments: &[&str]) -> Output {
        self.spawn(arguments).end()
    }

    pub fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_with(arguments, &[])
    }

    pub fn spawn_with(&self, arguments: &[&str], vars: &[(&str, &str)]) -> Running {
        use std::os::unix::process::CommandExt as _;
        let number = self.started.get();
        self.started.set(number + 1);
        let out = self.path("tmp").join(format!("stdout-{number}"));
        let err = self.path("tmp").join(format!("stderr-{number}"));
        let mut command = self.hermetic(Path::new(env!("CARGO_BIN_EXE_git-pertask")));
        for (name, value) in vars {
            command.env(name, value);
        }
        let child = command
            .args(arguments)
            .process_group(0)
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Running {
            child: Some(child),
            out,
            err,
        }
    }

    pub fn status(&self) -> serde_json::Value {
        let out = self.pertask(&["status", "wiz", "--json"]);
        assert_eq!(out.code, 0, "{}", out.stderr);
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// State of a task in `status --json`.
    pub fn task(&self, id: &str) -> String {
        let status = self.status();
        let tasks = status["tasks"].as_array().unwrap();
        let task = tasks.iter().find(|t| t["id"] == id).unwrap();
        task["state"].as_str().unwrap().to_owned()
    }

    /// The one file of `src/` as the first attempt on the only task left it.
    pub fn kept(&self) -> String {
        self.git(&["show", "pertask/wiz/kept/1-one-1:src/one.txt"])
    }

    /// The newest state in the ledger.
    pub fn state(&self) -> serde_json::Value {
        let text = self.git(&["show", "refs/pertask/runs/wiz:state.json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// What is the user's in this repository: refs, configuration, hooks, index and files.
    pub fn users_own(&self) -> String {
        let refs = self.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        let refs: Vec<&str> = refs
            .lines()
            .filter(|l| !l.starts_with("refs/pertask/") && !l.starts_with("refs/heads/pertask/"))
            .collect();
        let mut text = refs.join("\n");
        for name in [".git/config", ".git/HEAD", ".git/index"] {
            let _ = write!(text, "\n{name} {:?}", fs::read(self.repo(name)).unwrap());
        }
        let mut files = Vec::new();
        walk(&self.path("repo"), &mut files);
        for file in files {
            let name = file.strip_prefix(self.path("repo")).unwrap().to_owned();
            let inside_git = name.starts_with(".git") && !name.starts_with(".git/hooks");
            if !inside_git || name.starts_with(".github") || name.starts_with(".gitattributes") {
                let _ = write!(text, "\n{} {:?}", name.display(), fs::read(&file));
            }
        }
        text
    }

    /// Lock files in the repository that somebody would have to remove by hand. Our own is one that
    /// the kernel unlocks.
    pub fn locks(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.repo(".git"), &mut files);
        walk(&self.path("work"), &mut files);
        let ours = self.repo(".git/pertask");
        files.retain(|f| f.extension().is_some_and(|e| e == "lock") && !f.starts_with(&ours));
        files
    }

    /// Processes that still run with this place in their environment, or in a folder of it.
    pub fn processes(&self) -> Vec<String> {
        let place = self.path("work").display().to_string();
        let site = self.path("").display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let path = entry.path();
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            let cwd = fs::read_link(path.join("cwd")).unwrap_or_default();
            let works = cwd.display().to_string().starts_with(&site);
            if works || String::from_utf8_lossy(&environ).contains(&place) {
                let line = fs::read(path.join("cmdline")).unwrap_or_default();
                found.push(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
        found
    }

    /// Exit code and what stopped the run, for a snapshot.
    pub fn short(&self, out: &Output) -> String {
        let mut said = until_next(&out.stdout).to_owned();
        // What is an error has nothing on stdout.
        if !matches!(out.code, 0 | 1) {
            said.push_str(out.stderr.lines().last().unwrap_or_default());
        }
        self.plain(&format!("exit {}\n{said}", out.code))
    }

    /// Places, object names, times and durations replaced, so that a whole output can be compared.
    pub fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.path("").display().to_string(), "/site/");
        let text = text.replace(
            self.path("").display().to_string().trim_end_matches('/'),
            "/site",
        );
        let mut out = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_alphanumeric() {
                word.push(c);
                continue;
            }
            let hex = word
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
            if hex && (word.len() == 10 || word.len() == 16 || word.len() == 40) {
                "<id>".clone_into(&mut word);
            }
            out.push_str(&word);
            word.clear();
            out.push(c);
        }
        durations(out.trim_end())
    }
}

/// `3.1 s`, `12 ms`, `0s` become `<time>`.
fn durations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let end = tail
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(tail.len());
        let (number, after) = tail.split_at(end);
        let glued = before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/');
        let unit = [" seconds", " second", " ms", " s", "ms", "s"]
            .into_iter()
            .find(|u| {
                after.starts_with(u)
                    && !after[u.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
            });
        match unit {
            Some(unit) if !glued => {
                out.push_str("<time>");
                rest = &after[unit.len()..];
            }
            _ => {
                out.push_str(number);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
