//! Agents as they come, good and bad, against the public interface of `attempt::agent`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[path = "support/model.rs"]
mod model;

#[path = "agents/real.rs"]
mod real;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use git_pertask::attempt::agent::{self, Invocation, Outcome, Progress};
use git_pertask::attempt::process::{Cancel, Canceller};
use git_pertask::plan::{Adapter, AgentConfig};
use git_pertask::run::order::{AgentExit, HandoffStatus};

/// An attempt in a folder of its own.
struct Attempt {
    folder: tempfile::TempDir,
    inv: Invocation,
}

impl Attempt {
    /// Below `parent`, for an agent driven by `adapter` as `command`.
    fn new(parent: &Path, adapter: Adapter, command: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("workspace")).unwrap();
        let inv = Invocation {
            name: "mine".into(),
            config: AgentConfig {
                adapter,
                command: command.iter().map(|&part| part.to_owned()).collect(),
                env: Vec::new(),
                // So that a test that fails ends.
                timeout_s: 120,
                max_cost_usd: None,
                prices: std::collections::BTreeMap::new(),
                model: None,
            },
            workdir: path("workspace"),
            prompt: "Write the file.\n".into(),
            prompt_file: path("prompt.md"),
            handoff_file: path("handoff.json"),
            output_dir: path("output"),
            settings_dir: path("settings"),
            run: "wiz".into(),
            task: "client".into(),
            attempt: 2,
            wrapper: Vec::new(),
            parent_env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        };
        Self { folder, inv }
    }

    /// A shell script as agent.
    fn script(script: &str) -> Self {
        Self::new(
            &std::env::temp_dir(),
            Adapter::Command,
            &["/bin/sh", "-c", script],
        )
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.inv.parent_env.push((name.into(), value.into()));
    }

    fn unset(&mut self, name: &str) {
        self.inv.parent_env.retain(|(found, _)| found != name);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self) -> Outcome {
        self.run_with(&Cancel::never(), &mut |_| {}).unwrap()
    }

    fn run_with(
        &self,
        cancel: &Cancel,
        progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(agent::run(&self.inv, cancel, progress))
    }
}

fn failure(outcome: &Outcome) -> String {
    agent::failure(&outcome.report).unwrap_or_default()
}

fn gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z'),
        Err(_) => true,
    }
}

#[test]
fn a_good_agent_reads_the_prompt_and_hands_off_by_file() {
    let attempt = Attempt::script(
        r#"cat > from-stdin; cmp from-stdin "$PERTASK_PROMPT_FILE" || exit 9
           echo "thinking about $PERTASK_RUN/$PERTASK_TASK/$PERTASK_ATTEMPT"
           echo note > "$PERTASK_OUTPUT_DIR/notes.md"
           echo '{"status":"complete","file_created":"from-stdin","lines":1}' > "$PERTASK_HANDOFF_FILE"
           echo '{"status":"blocked"}'"#,
    );
    fs::write(
        &attempt.inv.handoff_file,
        r#"{"status":"of an earlier attempt"}"#,
    )
    .unwrap();
    let mut seen = Vec::new();
    let outcome = attempt
        .run_with(&Cancel::never(), &mut |event| seen.push(event))
        .unwrap();
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 0 });
    assert_eq!(failure(&outcome), "");
    assert_eq!(attempt.read("workspace/from-stdin"), "Write the file.\n");
    assert_eq!(attempt.read("output/notes.md"), "note\n");
    let handoff = outcome.handoff.unwrap();
    assert_eq!(
        (handoff.status, handoff.lines),
        (HandoffStatus::Complete, Some(1))
    );
    assert_eq!(handoff.files_created, ["from-stdin"]);
    assert_eq!(outcome.handoff_problem, None);
    assert!(matches!(seen[0], Progress::Started { pid } if pid > 0));
    assert!(seen.len() >= 2, "no activity was shown: {seen:?}");
    assert!(
        !attempt.path("settings").exists(),
        "the settings folder stays"
    );
}

#[test]
fn a_handoff_may_be_printed() {
    let outcome = Attempt::script(
        r#"cat >/dev/null; echo '{"status":"needs-review","x":{"y":"}"}}'; echo 'bye }{'"#,
    )
    .run();
    let handoff = outcome.handoff.unwrap();
    assert_eq!(handoff.status, HandoffStatus::NeedsReview);
    assert_eq!(handoff.status_word, "needs-review");
}

#[test]
fn the_environment_is_this_and_nothing_else() {
    let mut attempt =
        Attempt::script(r#"cat >/dev/null; /usr/bin/env -0 > "$PERTASK_OUTPUT_DIR/environment""#);
    for name in [
        "HOME",
        "LANG",
        "LC_TIME",
        "TERM",
        "TMPDIR",
        "https_proxy",
        "SSL_CERT_FILE",
        "GOCACHE",
        "CARGO_HOME",
        "MY_AGENT_KEY",
        "SECRET",
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GIT_DIR",
        "GIT_ASKPASS",
        "SSH_AUTH_SOCK",
        "RUNNER_TEMP",
        "ACTIONS_RUNTIME_TOKEN",
        "PERTASK_FORGED",
        "LD_PRELOAD",
        "BASH_ENV",
        "NODE_OPTIONS",
    ] {
        attempt.set(name, "/value");
    }
    attempt.inv.config.env = ["MY_AGENT_KEY", "GITHUB_TOKEN", "GIT_DIR", "PERTASK_FORGED"]
        .map(str::to_owned)
        .to_vec();
    let outcome = attempt.run();
    assert_eq!(failure(&outcome), "");
    let environment = attempt.read("output/environment");
    let mut names: Vec<&str> = environment
        .split_terminator('\0')
        .map(|entry| entry.split_once('=').unwrap().0)
        // What the shell sets by itself.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "CARGO_HOME",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_KEY_0",
            "GIT_CONFIG_VALUE_0",
            "GIT_TERMINAL_PROMPT",
            "GOCACHE",
            "HOME",
            "LANG",
            "LC_TIME",
            "MY_AGENT_KEY",
            "PATH",
            "PERTASK_ATTEMPT",
            "PERTASK_HANDOFF_FILE",
            "PERTASK_OUTPUT_DIR",
            "PERTASK_PROCESS",
            "PERTASK_PROMPT_FILE",
            "PERTASK_RUN",
            "PERTASK_TASK",
            "SSL_CERT_FILE",
            "TERM",
            "TMPDIR",
            "https_proxy",
        ]
    );
}

#[test]
fn git_in_there_finds_no_credentials() {
    let mut attempt = Attempt::script(
        "cat >/dev/null
         printf 'protocol=https\nhost=example.invalid\n\n' | git credential fill; exit 0",
    );
    let home = attempt.path("home");
    fs::create_dir(&home).unwrap();
    let helper = "!printf 'username=me\\npassword=stolen\\n'";
    let config = format!(
        "[credential]\n\thelper = \"{0}\"\n[credential \"https://example.invalid\"]\n\thelper = \"{0}\"\n",
        helper.replace('\\', "\\\\")
    );
    fs::write(home.join(".gitconfig"), &config).unwrap();
    // The helper does answer where nothing is switched off.
    let fill = "printf 'protocol=https\nhost=example.invalid\n\n' | git credential fill";
    let output = std::process::Command::new("sh")
        .args(["-c", fill])
        .env("HOME", &home)
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("stolen"));
    attempt.set("HOME", &home);
    let outcome = attempt.run();
    assert!(
        !outcome.report.output_tail.contains("stolen"),
        "{}",
        outcome.report.output_tail
    );
    assert!(
        outcome
            .report
            .output_tail
            .contains("terminal prompts disabled")
    );
}

#[test]
fn a_key_is_taken_out_of_what_is_kept() {
    let mut attempt = Attempt::script(
        r#"cat >/dev/null; echo "my key is $MY_AGENT_KEY"
           echo "{\"status\":\"blocked\",\"blocked_reason\":\"$MY_AGENT_KEY\",\"attempted\":[]}" \
               > "$PERTASK_HANDOFF_FILE""#,
    );
    attempt.set("MY_AGENT_KEY", "sk-very-secret");
    attempt.inv.config.env = vec!["MY_AGENT_KEY".into()];
    let mut seen = Vec::new();
    let outcome = attempt
        .run_with(&Cancel::never(), &mut |event| seen.push(event))
        .unwrap();
    let all = format!("{outcome:?} {seen:?}");
    assert!(!all.contains("sk-very-secret"), "{all}");
    assert!(outcome.report.output_tail.starts_with("my key is ***\n"));
    assert_eq!(
        outcome.handoff.unwrap().blocked_reason.as_deref(),
        Some("***")
    );
}

#[test]
fn an_agent_that_fails_says_so() {
    let outcome = Attempt::script("cat >/dev/null; echo sorry >&2; exit 1").run();
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 1 });
    assert_eq!(outcome.report.output_tail, "sorry\n");
    assert_eq!(failure(&outcome), "the agent ended with exit status 1");
    assert_eq!(outcome.handoff, None);
    assert_eq!(
        outcome.handoff_problem.as_deref(),
        Some("the agent ended without a handoff (a JSON object with a `status`)")
    );
}

#[test]
fn an_agent_that_is_killed() {
    let outcome = Attempt::script("kill -KILL $$").run();
    assert_eq!(outcome.report.exit, AgentExit::Signalled { signal: 9 });
    assert_eq!(failure(&outcome), "the agent was killed by signal 9");
}

#[test]
fn an_agent_that_hangs() {
    let mut attempt = Attempt::script("echo $$ > pid; echo working; sleep 1000");
    attempt.inv.config.timeout_s = 1;
    let outcome = attempt.run();
    assert_eq!(outcome.report.exit, AgentExit::TimedOut { limit_s: 1 });
    assert_eq!(
        failure(&outcome),
        "the agent was ended at its time limit of 1 s"
    );
    assert_eq!(outcome.report.output_tail, "working\n");
    assert!(gone(&attempt.read("workspace/pid")));
}

#[test]
fn an_agent_that_is_interrupted() {
    let attempt = Attempt::script("echo half > done; echo half done; sleep 1000");
    let (canceller, cancel) = Canceller::new();
    let outcome = attempt.run_with(&cancel, &mut |event| {
        if matches!(event, Progress::Activity(line) if line == "half done") {
            canceller.cancel();
        }
    });
    assert_eq!(outcome.unwrap().report.exit, AgentExit::Interrupted);
    assert_eq!(attempt.read("workspace/done"), "half\n");
}

#[test]
fn an_agent_that_prints_without_end() {
    let outcome = Attempt::script("head -c 67108864 /dev/zero; echo; echo the end").run();
    assert_eq!(outcome.report.output_bytes, 67_108_864 + 9);
    assert!(outcome.report.output_tail.len() <= 16 * 1024);
    assert!(outcome.report.output_tail.ends_with("the end\n"));
}

#[test]
fn an_agent_that_prints_no_text() {
    let outcome = Attempt::script(r"cat >/dev/null; printf 'a\377\376b\n\033[2J{\n'").run();
    assert_eq!(
        outcome.report.output_tail,
        "a\u{fffd}\u{fffd}b\n\u{1b}[2J{\n"
    );
}

#[test]
fn an_agent_that_leaves_children_behind() {
    let attempt = Attempt::script(
        "cat >/dev/null
         sleep 1000 & echo $! > group
         (setsid sh -c 'echo $$ > daemon; exec sleep 1000' &)
         until [ -s daemon ]; do :; done
         echo '{\"status\":\"complete\"}'",
    );
    let outcome = attempt.run();
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 0 });
    assert_eq!(outcome.report.left_behind, 2);
    assert_eq!(outcome.handoff.unwrap().status, HandoffStatus::Complete);
    for name in ["group", "daemon"] {
        assert!(gone(&attempt.read(&format!("workspace/{name}"))), "{name}");
    }
}

#[test]
fn an_agent_that_does_not_read() {
    for script in [
        "echo '{\"status\":\"complete\"}'",
        "exec <&-; echo '{\"status\":\"complete\"}'",
    ] {
        let mut attempt = Attempt::script(script);
        attempt.inv.prompt = "x".repeat(1024 * 1024);
        let outcome = attempt.run();
        assert_eq!(failure(&outcome), "", "{script}");
        assert_eq!(outcome.handoff.unwrap().status, HandoffStatus::Complete);
    }
}

#[test]
fn an_agent_that_closes_its_output() {
    let attempt = Attempt::script("exec >&- 2>&-; cat > prompt; exit 3");
    let outcome = attempt.run();
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 3 });
    assert_eq!(attempt.read("workspace/prompt"), "Write the file.\n");
}

#[test]
fn an_agent_that_plants_something_in_place_of_its_handoff() {
    let outcome =
        Attempt::script(r#"mkfifo "$PERTASK_HANDOFF_FILE"; echo '{"status":"complete"}'"#).run();
    assert_eq!(outcome.handoff.unwrap().status, HandoffStatus::Complete);
    assert_eq!(
        outcome.handoff_problem.as_deref(),
        Some("the handoff file is not a plain file")
    );
}

#[test]
fn an_agent_that_is_not_there_says_what_to_do() {
    let started = |adapter, command: &[&str], wrapper: &[&str]| {
        let mut attempt = Attempt::new(&std::env::temp_dir(), adapter, command);
        attempt.inv.parent_env = vec![("PATH".into(), "/nowhere".into())];
        attempt.inv.wrapper = wrapper.iter().map(|&part| part.to_owned()).collect();
        let outcome = attempt.run();
        assert_eq!(outcome.report.exit, AgentExit::NotStarted);
        failure(&outcome)
    };
    assert_eq!(
        started(Adapter::Command, &["my-agent"], &[]),
        "the agent `mine` cannot be started: there is no program `my-agent` on the PATH (/nowhere). \
         Name the program in `command` under `[agents.mine]` in .pertask/config.toml"
    );
    // Not hidden by the wrapper, which is there.
    assert_eq!(
        started(Adapter::Claude, &[], &["/usr/bin/env"]),
        "the agent `mine` cannot be started: there is no program `claude` on the PATH (/nowhere). \
         Install it with `npm install -g @anthropic-ai/claude-code`, or name the program in \
         `command` under `[agents.mine]` in .pertask/config.toml"
    );
    assert_eq!(
        started(Adapter::Command, &[], &[]),
        "the agent `mine` cannot be started: the command is empty. \
         Name the program in `command` under `[agents.mine]` in .pertask/config.toml"
    );
}

/// A program that stands in for Claude Code: it reports what it was given and stays.
const LIKE_CLAUDE: &str = r#"#!/bin/sh
cat > /dev/null
printf '%s\n' "$@" > "$PERTASK_OUTPUT_DIR/arguments"
ls -A "$CLAUDE_CONFIG_DIR" > "$PERTASK_OUTPUT_DIR/settings"
cat "$CLAUDE_CONFIG_DIR/.credentials.json" > "$PERTASK_OUTPUT_DIR/login"
echo renewed > "$CLAUDE_CONFIG_DIR/.credentials.json"
echo '{"type":"system","subtype":"init","model":"m"}'
echo '{"type":"result","subtype":"success","is_error":false,"total_cost_usd":1.5,"result":"{\"status\":\"complete\"}"}'
echo '{"type":"result","subtype":"error_during_execution","is_error":true}'
exec sleep 1000
"#;

#[test]
fn claude_gets_its_login_alone_and_is_not_waited_for_after_its_result() {
    let mut attempt = Attempt::new(
        &std::env::temp_dir(),
        Adapter::Claude,
        &["./claude", "--own"],
    );
    let program = attempt.path("workspace/claude");
    fs::write(&program, LIKE_CLAUDE).unwrap();
    fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let login = attempt.path("home/.claude/.credentials.json");
    fs::create_dir_all(login.parent().unwrap()).unwrap();
    fs::write(&login, "the login\n").unwrap();
    fs::write(attempt.path("home/.claude/settings.json"), "{}").unwrap();
    attempt.set("HOME", attempt.path("home"));
    attempt.inv.config.model = Some("opus".into());
    attempt.inv.config.max_cost_usd = Some(2.5);
    let outcome = attempt.run();
    assert_eq!(failure(&outcome), "", "{:?}", outcome.report);
    assert_eq!(outcome.report.exit, AgentExit::Exited { code: 0 });
    assert_eq!(outcome.report.cost_usd, Some(1.5));
    assert_eq!(outcome.handoff.unwrap().status, HandoffStatus::Complete);
    assert_eq!(attempt.read("output/settings"), ".credentials.json\n");
    assert_eq!(attempt.read("output/login"), "the login\n");
    assert_eq!(fs::read_to_string(&login).unwrap(), "the login\n");
    let arguments = attempt.read("output/arguments");
    let output = attempt.path("output").display().to_string();
    assert_eq!(
        arguments.replace(&output, "OUTPUT"),
        "--own\n-p\n--verbose\n--output-format\nstream-json\n--permission-mode\nacceptEdits\n\
         --allowedTools\nBash,Edit,Write,Read,Glob,Grep,NotebookEdit,Skill,Task,TodoWrite,ToolSearch\n\
         --disallowedTools\nAskUserQuestion,CronCreate,EnterPlanMode,EnterWorktree,ExitWorktree,\
         ScheduleWakeup,SendMessage\n--setting-sources\n\n--strict-mcp-config\n\
         --no-session-persistence\n--add-dir\nOUTPUT\n--max-budget-usd\n2.5\n--model\nopus\n"
    );

    // More spent than allowed is never a success.
    attempt.inv.config.max_cost_usd = Some(1.25);
    let outcome = attempt.run();
    assert_eq!(
        outcome.report.exit,
        AgentExit::OverBudget { limit_cents: 125 }
    );
    assert_eq!(
        failure(&outcome),
        "the agent reached its money limit of $1.25"
    );
}

#[test]
fn codex_is_not_started_where_it_cannot_work() {
    let attempt = Attempt::new(Path::new("/tmp"), Adapter::Codex, &[]);
    let error = attempt
        .run_with(&Cancel::never(), &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("settings in a temporary folder (/tmp/"),
        "{error}"
    );
}

#[test]
fn what_was_left_running_is_killed() {
    let attempt = Attempt::script("exit 0");
    let mut left = std::process::Command::new("sleep")
        .arg("1000")
        .env("PERTASK_HANDOFF_FILE", &attempt.inv.handoff_file)
        .spawn()
        .unwrap();
    assert_eq!(agent::kill_leftovers(&attempt.inv.handoff_file), 1);
    assert!(!left.wait().unwrap().success());
    assert_eq!(agent::kill_leftovers(&attempt.inv.handoff_file), 0);
}

#[test]
fn a_wrapper_stands_before_the_command() {
    let mut attempt = Attempt::script("cat >/dev/null; echo $WRAPPED");
    attempt.inv.wrapper = ["/usr/bin/env", "WRAPPED=yes"].map(str::to_owned).to_vec();
    assert_eq!(attempt.run().report.output_tail, "yes\n");
}

#[test]
fn a_money_limit_that_cannot_hold_is_refused() {
    let mut attempt = Attempt::script("exit 0");
    attempt.inv.config.max_cost_usd = Some(1.0);
    let error = attempt.run_with(&Cancel::never(), &mut |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "money cannot be limited for the agent `mine`: it does not say what it costs; limit its \
         time with `timeout`, `task_time` and `run_time`; only the adapter \"claude\" reports cost, \
         and only \"codex\" the tokens for a price table"
    );
}
