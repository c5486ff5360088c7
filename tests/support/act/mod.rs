//! GitHub Actions for the tests: the workflows of a [`Hub`]'s repository run by act, on the host
//! without containers, with the GitHub of the tests in place of github.com.
//!
//! An event is run as GitHub would: the workflow files are those of the event's commit, each job's
//! token may do what its `permissions` say, secrets of the environment are there only in the jobs
//! that name it ([`tailor`]). What the workflow dispatches is run next ([`Act::settle`]). Every job
//! has a workspace and a temporary folder of its own. The actions that workflows use are those of
//! `tests/actions` and the folders given with [`Act::action`].

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::allow_attributes,
    reason = "each test program uses its own part; a helper that fails is a failed test"
)]

pub mod leaks;
pub mod log;
pub mod product;
pub mod tailor;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::hub::{Hub, REPO};
use log::Job;
use tailor::Workflow;

/// Longest a run of a workflow may take.
const LIMIT: Duration = Duration::from_mins(5);

/// More runs than this in one go is a loop without end.
const MOST: usize = 40;

/// Who `GITHUB_TOKEN` is.
pub const ROBOT: &str = "github-actions[bot]";

/// bash as it is on a runner: act gives every step a terminal, which GitHub does not.
fn plain_bash(real: &Path) -> String {
    let real = real.display();
    format!(
        "#!{real}\nset -o pipefail\nif [ -t 1 ]; then\n    \"{real}\" \"$@\" </dev/null 2>&1 | cat\n\
         else\n    exec \"{real}\" \"$@\"\nfi\n"
    )
}

/// Something that happened, for workflows to run on.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: &'static str,
    pub payload: Value,
    /// `refs/heads/main`, `refs/pull/3/merge`.
    pub reference: String,
}

/// A run of the workflows for an event.
#[derive(Debug, Clone)]
pub struct Run {
    /// `GITHUB_RUN_ID`
    pub id: u64,
    /// `GITHUB_RUN_ATTEMPT`
    pub attempt: u64,
    pub event: Event,
    pub success: bool,
    pub jobs: Vec<Job>,
    /// act's log, as it is.
    pub log: String,
}

impl Run {
    /// A job by its name.
    #[track_caller]
    pub fn job(&self, name: &str) -> &Job {
        let found = self.jobs.iter().find(|job| job.name == name);
        found.unwrap_or_else(|| panic!("{name} did not run\n{}", self.text()))
    }

    /// The event, and each job with its result: `workflow_dispatch: decide=success`.
    pub fn line(&self) -> String {
        let jobs = self
            .jobs
            .iter()
            .map(|job| format!(" {}={}", job.name, job.result));
        let mut jobs: Vec<String> = jobs.collect();
        jobs.sort();
        format!("{}:{}", self.event.name, jobs.concat())
    }

    /// What the jobs printed.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n", self.line());
        for job in &self.jobs {
            out.push_str(&format!("--- {}\n{}", job.name, job.text));
            for (command, rest) in &job.commands {
                out.push_str(&format!("[{command}] {rest}\n"));
            }
        }
        for line in self.log.lines().filter(|line| line.starts_with("Error:")) {
            out.push_str(&format!("{line}\n"));
        }
        out
    }
}

/// GitHub Actions of the repository.
pub struct Act<'a> {
    hub: &'a Hub,
    root: PathBuf,
    path: OsString,
    environment: BTreeMap<String, BTreeMap<String, String>>,
    secrets: BTreeMap<String, String>,
    vars: BTreeMap<String, String>,
    env: BTreeMap<String, OsString>,
    actions: BTreeMap<String, PathBuf>,
    keep: Option<PathBuf>,
    skip: RefCell<Vec<String>>,
    dispatched: Cell<usize>,
    tokens: RefCell<Vec<String>>,
}

impl<'a> Act<'a> {
    /// For this repository; its runs so far are not seen.
    pub fn new(hub: &'a Hub) -> Self {
        let root = hub.sandbox.root().join("act");
        for folder in ["home", "tmp", "bin", "artifacts", "cache"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let bash = root.join("bin/bash");
        let real = std::env::split_paths(tools())
            .map(|folder| folder.join("bash"))
            .find(|bash| bash.exists());
        fs::write(&bash, plain_bash(&real.expect("there is no bash"))).unwrap();
        fs::set_permissions(&bash, fs::Permissions::from_mode(0o755)).unwrap();
        let mut path = root.join("bin").into_os_string();
        path.push(":");
        path.push(tools());
        hub.github.account(ROBOT);
        let write = super::github::Permission::Write;
        hub.github.collaborator(REPO, ROBOT, write);
        let stand_ins = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/actions"));
        let actions = ["checkout", "upload-artifact", "download-artifact"];
        let actions = actions.map(|name| (format!("actions/{name}"), stand_ins.join(name)));
        Self {
            hub,
            root,
            path,
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            vars: BTreeMap::new(),
            env: BTreeMap::new(),
            actions: actions.into(),
            keep: None,
            skip: RefCell::default(),
            dispatched: Cell::new(hub.github.repo(REPO).dispatches.len()),
            tokens: RefCell::default(),
        }
    }

    /// The folder of everything that belongs to it: logs, artifacts, what jobs left.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `RUNNER_TOOL_CACHE` of every job is.
    pub fn tool_cache(&self) -> PathBuf {
        self.root.join("cache/tool_cache")
    }

    /// Uses this folder as the action `owner/name`, at any version.
    pub fn action(&mut self, name: &str, folder: &Path) {
        self.actions.insert(name.to_owned(), folder.to_owned());
    }

    /// Gives an environment a secret.
    pub fn environment_secret(&mut self, environment: &str, name: &str, value: &str) {
        let secrets = self.environment.entry(environment.to_owned()).or_default();
        secrets.insert(name.to_owned(), value.to_owned());
    }

    /// Gives the repository a secret.
    pub fn secret(&mut self, name: &str, value: &str) {
        self.secrets.insert(name.to_owned(), value.to_owned());
    }

    /// Gives the repository a variable.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.vars.insert(name.to_owned(), value.to_owned());
    }

    /// Gives every job an environment variable, as a machine would have.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.env.insert(name.to_owned(), value.into());
    }

    /// From now on copies of every job's workspace and temporary folder, as they are at its end,
    /// are put into a folder: this one.
    pub fn keep(&mut self) -> PathBuf {
        let folder = self.root.join("kept");
        fs::create_dir_all(&folder).unwrap();
        self.keep = Some(folder.clone());
        folder
    }

    /// From now on steps of these names are not run.
    pub fn skip_steps(&self, names: &[&str]) {
        self.skip
            .replace(names.iter().map(|&name| name.to_owned()).collect());
    }

    /// Every token that a job was given so far.
    pub fn tokens(&self) -> Vec<String> {
        self.tokens.borrow().clone()
    }

    /// Somebody starts a workflow by its form.
    pub fn dispatch(&self, login: &str, inputs: &Value) -> Event {
        let github = &self.hub.github;
        Event {
            name: "workflow_dispatch",
            payload: github.event_dispatch(REPO, "pertask.yml", "main", inputs, login),
            reference: "refs/heads/main".into(),
        }
    }

    /// A review was `submitted`, `edited` or `dismissed`.
    pub fn review(&self, number: u64, review: u64, action: &str) -> Event {
        Event {
            name: "pull_request_review",
            payload: self.hub.github.event_review(REPO, number, review, action),
            reference: format!("refs/pull/{number}/merge"),
        }
    }

    /// A pull request was `closed` or `reopened`.
    pub fn pull(&self, number: u64, action: &str, login: &str) -> Event {
        Event {
            name: "pull_request",
            payload: self.hub.github.event_pull(REPO, number, action, login),
            reference: format!("refs/pull/{number}/merge"),
        }
    }

    /// A comment was `created` or `edited`.
    pub fn comment(&self, number: u64, comment: u64, action: &str) -> Event {
        Event {
            name: "issue_comment",
            payload: self.hub.github.event_comment(REPO, number, comment, action),
            reference: "refs/heads/main".into(),
        }
    }

    /// It is time.
    pub fn schedule(&self, cron: &str) -> Event {
        Event {
            name: "schedule",
            payload: self.hub.github.event_schedule(REPO, cron),
            reference: "refs/heads/main".into(),
        }
    }

    /// Runs the workflows for an event, then everything that they dispatch, until there is no more.
    pub fn settle(&self, event: Event) -> Vec<Run> {
        let mut runs = vec![self.run(event)];
        while let Some(next) = self.dispatched() {
            runs.push(self.run(next));
            assert!(runs.len() < MOST, "workflows wake each other without end");
        }
        runs
    }

    /// The next dispatch that GitHub got and that has not run.
    pub fn dispatched(&self) -> Option<Event> {
        let github = &self.hub.github;
        let dispatch = github
            .repo(REPO)
            .dispatches
            .get(self.dispatched.get())
            .cloned()?;
        self.dispatched.set(self.dispatched.get() + 1);
        let workflow = dispatch
            .workflow
            .expect("no workflow listens to repository_dispatch");
        let branch = dispatch.body["ref"].as_str().unwrap();
        let branch = branch.trim_start_matches("refs/heads/");
        let inputs = &dispatch.body["inputs"];
        let login = github.login(dispatch.by);
        Some(Event {
            name: "workflow_dispatch",
            payload: github.event_dispatch(REPO, &workflow, branch, inputs, &login),
            reference: format!("refs/heads/{branch}"),
        })
    }

    /// Runs the workflows for an event.
    pub fn run(&self, event: Event) -> Run {
        let sha = self.commit(&event);
        let path = ".github/workflows/pertask.yml";
        let id = self.hub.github.run_begins(REPO, path, &sha, event.name);
        self.attempt(id, 1, event, &sha)
    }

    /// Runs them once more under the same number, as "Re-run all jobs" does.
    pub fn again(&self, run: &Run) -> Run {
        let attempt = self.hub.github.run_again(REPO, run.id);
        let sha = self.commit(&run.event);
        self.attempt(run.id, attempt, run.event.clone(), &sha)
    }

    /// The commit that an event is about.
    fn commit(&self, event: &Event) -> String {
        let github = &self.hub.github;
        if let Some(branch) = event.reference.strip_prefix("refs/heads/") {
            return github.tip(REPO, branch).unwrap();
        }
        // GitHub keeps a commit that merges head and base.
        let pull = &event.payload["pull_request"];
        let side = |side: &str| pull[side]["sha"].as_str().unwrap().to_owned();
        let (base, head) = (side("base"), side("head"));
        let tree = github.git(REPO, ["merge-tree", "--write-tree", &base, &head]);
        let tree = tree.lines().next().unwrap();
        let who = [
            "-c",
            "user.name=GitHub",
            "-c",
            "user.email=noreply@github.com",
        ];
        let merge = ["commit-tree", tree, "-p", &base, "-p", &head, "-m", "Merge"];
        let sha = github.git(REPO, who.into_iter().chain(merge));
        let sha = sha.trim().to_owned();
        github.git(REPO, ["update-ref", &event.reference, &sha]);
        sha
    }

    fn attempt(&self, id: u64, attempt: u64, event: Event, sha: &str) -> Run {
        let folder = self.root.join(format!("run-{id}-{attempt}"));
        let replacements = self.lay_out(&folder, sha);
        fs::create_dir_all(self.root.join(format!("artifacts/{id}"))).unwrap();
        let event_file = folder.join("event.json");
        fs::write(&event_file, event.payload.to_string()).unwrap();
        let all = self.environment.values().flatten().chain(&self.secrets);
        let mut secrets: String = all
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        // What an action's own default gets that no workflow named.
        let token = self.token("contents:read");
        secrets.push_str(&format!("GITHUB_TOKEN={token}\n"));
        let secret_file = folder.join("secrets");
        fs::write(&secret_file, secrets).unwrap();

        let (owner, _) = REPO.split_once('/').unwrap();
        let github = &self.hub.github;
        let env = [
            ("GITHUB_SERVER_URL", github.url()),
            ("GITHUB_API_URL", github.api()),
            ("GITHUB_GRAPHQL_URL", github.graphql()),
            ("GITHUB_REPOSITORY", REPO.to_owned()),
            ("GITHUB_REPOSITORY_OWNER", owner.to_owned()),
            ("GITHUB_REF", event.reference.clone()),
            ("GITHUB_RUN_ID", id.to_string()),
            ("GITHUB_RUN_ATTEMPT", attempt.to_string()),
            ("SHA_REF", sha.to_owned()),
            (
                "GITHUB_WORKFLOW_REF",
                format!("{REPO}/.github/workflows/pertask.yml@{}", event.reference),
            ),
        ];
        let mut command = Command::new("act");
        command
            .arg(event.name)
            .arg("--json")
            .arg("--insecure-secrets")
            .args(["--rm", "--no-cache-server", "--action-offline-mode"])
            .arg("--no-skip-checkout")
            .args(["-P", "ubuntu-latest=-self-hosted"])
            .args(["--artifact-server-addr", "127.0.0.1"])
            .args(["--artifact-server-port", &free_port().to_string()])
            .args([
                "--actor",
                event.payload["sender"]["login"].as_str().unwrap(),
            ])
            .args(["--env-file", "/dev/null", "--input-file", "/dev/null"])
            .arg("--artifact-server-path")
            .arg(self.root.join("artifacts"))
            .arg("--action-cache-path")
            .arg(self.root.join("cache"))
            .arg("-C")
            .arg(folder.join("tree"))
            .arg("--eventpath")
            .arg(&event_file)
            .arg("--secret-file")
            .arg(&secret_file)
            .arg("--var-file")
            .arg("/dev/null");
        for (name, value) in env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        for (name, value) in &self.vars {
            command.arg("--var").arg(format!("{name}={value}"));
        }
        for replacement in replacements {
            command.arg("--local-repository").arg(replacement);
        }
        let (code, log) = self.finish(command, &folder);
        let success = code == 0;
        let conclusion = if success { "success" } else { "failure" };
        github.run_ends(REPO, id, conclusion);
        Run {
            id,
            attempt,
            event,
            success,
            jobs: log::jobs(&log),
            log,
        }
    }

    fn finish(&self, mut command: Command, folder: &Path) -> (i32, String) {
        let log = folder.join("log.json");
        let out = File::create(&log).unwrap();
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.root.join("home"))
            .env("TMPDIR", self.root.join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(&self.env)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        let mut act = command.spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&act);
        let (send, ended) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let code = act.wait().unwrap().code().unwrap_or(-1);
            send.send(code).ok();
        });
        let code = ended.recv_timeout(LIMIT);
        if code.is_err() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        waiting.join().unwrap();
        let said = fs::read_to_string(&log).unwrap();
        // GitHub shows nobody what it is told to mask.
        let masks = |line: &&str| line.contains("\"command\":\"add-mask\"");
        let said: String = said
            .split_inclusive('\n')
            .filter(|line| !masks(line))
            .collect();
        fs::write(&log, &said).unwrap();
        let code = code.unwrap_or_else(|_| panic!("act took longer than {LIMIT:?}\n{said}"));
        (code, said)
    }

    /// Writes the workflow files of a commit below `tree`, made as GitHub makes them; what act is to
    /// take for the actions that they use.
    fn lay_out(&self, folder: &Path, sha: &str) -> BTreeSet<OsString> {
        let github = &self.hub.github;
        let target = folder.join("tree/.github/workflows");
        fs::create_dir_all(&target).unwrap();
        let files = github.git(REPO, ["ls-tree", "--name-only", sha, ".github/workflows/"]);
        let mut workflows: BTreeMap<&str, Workflow> = BTreeMap::new();
        for path in files.lines() {
            let text = github.file(REPO, sha, path).unwrap();
            workflows.insert(path, Workflow::read(path, &text));
        }
        for workflow in workflows.values() {
            for calling in &workflow.jobs {
                let Some(path) = &calling.calls else { continue };
                let called = workflows.get(path.trim_start_matches("./"));
                let called = called.unwrap_or_else(|| panic!("there is no {path}"));
                for job in &called.jobs {
                    tailor::check_granted(calling, job);
                }
            }
        }
        let mut used = BTreeSet::new();
        for (path, mut workflow) in workflows {
            for (action, inputs) in workflow.actions() {
                used.insert(self.replacement(&action, &inputs));
            }
            for nth in 0..workflow.jobs.len() {
                let job = &workflow.jobs[nth];
                let calls = job.calls.is_some();
                let scopes = job.permissions.iter();
                let scopes = scopes.filter(|(_, access)| *access != "none");
                let scopes = scopes.map(|(name, access)| format!("{name}:{access}"));
                let scopes = scopes.collect::<Vec<_>>().join(",").replace('-', "_");
                let environment = job.environment.clone();
                let token = format!("'{}'", self.token(&scopes));
                workflow.replace(nth, "github.token", &token);
                workflow.replace(nth, "secrets.GITHUB_TOKEN", &token);
                for (name, secrets) in &self.environment {
                    // A calling job hands on what the called one has of its environment.
                    if calls || environment.as_ref() == Some(name) {
                        continue;
                    }
                    for secret in secrets.keys() {
                        workflow.replace(nth, &format!("secrets.{secret}"), "''");
                    }
                }
            }
            workflow.mind_empty_matrices();
            workflow.skip_steps(&self.skip.borrow());
            if let Some(keep) = &self.keep {
                workflow.add_step(&format!(
                    "- name: Keep what is there\n  if: always()\n  shell: bash\n  env:\n    \
                     KEEP: {}\n  run: |\n    to=$(mktemp -d \"$KEEP/$GITHUB_JOB.XXXXXX\")\n    \
                     cp -a \"$RUNNER_TEMP\" \"$to/temp\"\n    \
                     cp -a \"$GITHUB_WORKSPACE\" \"$to/workspace\"\n    \
                     cp -a \"${{GITHUB_ENV%/*}}\" \"$to/files\"",
                    keep.display()
                ));
            }
            let name = path.rsplit('/').next().unwrap();
            fs::write(target.join(name), workflow.text()).unwrap();
        }
        used
    }

    /// `owner/name@version=folder` for an action, whose inputs the stand-in must have.
    fn replacement(&self, action: &str, inputs: &BTreeSet<String>) -> OsString {
        let (name, version) = action.split_once('@').unwrap();
        let folder = self.actions.get(name);
        let folder = folder.unwrap_or_else(|| panic!("there is no stand-in for {action}"));
        let text = fs::read_to_string(folder.join("action.yml")).unwrap();
        for input in inputs {
            let key = format!("\n  {input}:");
            assert!(text.contains(&key), "{name} has no input {input}");
        }
        let mut replacement = OsString::from(format!("{name}@{version}="));
        replacement.push(folder);
        replacement
    }

    /// A token of `GITHUB_TOKEN`'s account.
    fn token(&self, scopes: &str) -> String {
        let token = self.hub.github.token(ROBOT, scopes);
        self.tokens.borrow_mut().push(token.clone());
        token
    }
}

/// The `PATH` with act and what workflows use, each got if need be.
fn tools() -> &'static OsString {
    static PATH: OnceLock<OsString> = OnceLock::new();
    PATH.get_or_init(|| {
        let with = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with");
        // Test programs that want it at once wait for the first.
        let guard = File::create(std::env::temp_dir().join("git-pertask-act.lock")).unwrap();
        guard.lock().unwrap();
        let out = Command::new(with)
            .args(["act", "sh", "-c", "printf %s \"$PATH\""])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "act, which runs workflows in tests, could not be had"
        );
        String::from_utf8(out.stdout).unwrap().into()
    })
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The inputs of the form, none given.
pub fn no_inputs() -> Value {
    json!({})
}
