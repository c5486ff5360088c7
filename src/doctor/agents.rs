//! The agents that a run would start, and what they are kept from.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::Known;
use super::{Finding, Level};
use crate::attempt::agent::env::{self, For};
use crate::attempt::process::{Cancel, Env, Exit, Flow, Supervised, find_program};
use crate::attempt::sandbox;
use crate::plan::{Adapter, AgentConfig, Sandbox};
use crate::report::clean;

const SECTION: &str = "agents";

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(15);

/// Looks at each agent and at the confinement.
pub(super) fn look(known: &Known, dir: &Path, out: &mut Vec<Finding>) {
    for name in &known.agents {
        if let Some(agent) = known.config.agents.get(name) {
            one(name, agent, dir, out);
        } else {
            let text = format!("the settings know no agent named {name}");
            let finding = Finding::new(SECTION, "agents.program", Level::Bad, text);
            let add = format!("add [agents.{name}] with its command to .pertask/config.toml");
            out.push(finding.mend(add));
        }
    }
    out.push(confinement(known.config.sandbox));
}

fn one(name: &str, agent: &AgentConfig, dir: &Path, out: &mut Vec<Finding>) {
    let program = agent.command.first().map_or("", String::as_str);
    let environment = env::allowed(std::env::vars_os(), For::Agent(agent.adapter), &agent.env);
    let path = environment.get("PATH");
    let finding =
        |check, level, text: String| Finding::new(SECTION, check, level, clean::line(&text));
    let found = match find_program(OsStr::new(program), path, dir) {
        Ok(found) => found,
        Err(error) => {
            let text = format!("the agent {name} cannot be started: {error}");
            out.push(finding("agents.program", Level::Bad, text).mend(install(name, agent)));
            return;
        }
    };
    let shown = found.display();
    let version = match agent.adapter {
        // What other commands do with this argument, nobody knows.
        Adapter::Command => Ok(String::new()),
        Adapter::Claude | Adapter::Codex => version(program, dir, environment.clone()),
    };
    out.push(match version {
        Ok(version) if version.is_empty() => {
            finding("agents.program", Level::Ok, format!("{name}: {shown}"))
        }
        Ok(version) => finding(
            "agents.program",
            Level::Ok,
            format!("{name}: {version}, {shown}"),
        ),
        Err(why) => finding(
            "agents.program",
            Level::Bad,
            format!("the agent {name} ({shown}) does not say its version: {why}"),
        )
        .mend(format!("{program} --version")),
    });
    if let Some((level, text, mend)) = login(name, agent, &environment) {
        let login = finding("agents.login", level, text);
        out.push(match mend {
            Some(mend) => login.mend(mend),
            None => login,
        });
    }
}

fn install(name: &str, agent: &AgentConfig) -> String {
    match agent.adapter {
        Adapter::Claude => "npm install --global @anthropic-ai/claude-code".to_owned(),
        Adapter::Codex => "npm install --global @openai/codex".to_owned(),
        Adapter::Command => {
            format!(
                "install it, or correct `command` under [agents.{name}] in .pertask/config.toml"
            )
        }
    }
}

/// The first line that `program --version` prints.
fn version(program: &str, dir: &Path, environment: Env) -> Result<String, String> {
    let argv = vec![OsString::from(program), OsString::from("--version")];
    let mut supervised = Supervised::new(argv, dir.to_owned(), environment);
    supervised.limit = Some(LIMIT);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let ended = runtime
        .block_on(supervised.run(&Cancel::never(), &mut |_| Flow::Continue))
        .map_err(|e| e.to_string())?;
    let said = ended.output.text();
    let line = clean::short_line(said.lines().next().unwrap_or_default(), 100);
    match ended.exit {
        Exit::Code(0) => Ok(line),
        Exit::Code(code) => Err(format!("it ends with {code}: {line}")),
        Exit::TimedOut => Err(format!("it takes longer than {} s", LIMIT.as_secs())),
        _ => Err("it was ended by a signal".to_owned()),
    }
}

/// Where the login of an agent can be seen from outside.
fn login(
    name: &str,
    agent: &AgentConfig,
    environment: &Env,
) -> Option<(Level, String, Option<String>)> {
    let (variables, folder, below, file, how) = match agent.adapter {
        Adapter::Claude => (
            &[
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_AUTH_TOKEN",
                "CLAUDE_CODE_OAUTH_TOKEN",
            ][..],
            "CLAUDE_CONFIG_DIR",
            ".claude",
            ".credentials.json",
            "claude /login",
        ),
        Adapter::Codex => (
            &["OPENAI_API_KEY", "CODEX_API_KEY"][..],
            "CODEX_HOME",
            ".codex",
            "auth.json",
            "codex login",
        ),
        Adapter::Command => return keys(name, agent),
    };
    let set = |variable: &&&str| environment.get(variable).is_some_and(|v| !v.is_empty());
    if let Some(variable) = variables.iter().find(set) {
        return Some((Level::Ok, format!("{name} has the key of {variable}"), None));
    }
    if let Some(variable) = agent.env.iter().find(|v| set(&&v.as_str())) {
        return Some((Level::Ok, format!("{name} gets {variable}"), None));
    }
    let own = std::env::var_os(folder).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(below));
    let file = own.or_else(home)?.join(file);
    if file.is_file() {
        let text = format!("{name} has the login {}", file.display());
        return Some((Level::Ok, text, None));
    }
    let text = format!(
        "no login of {name} is to be seen: neither {} nor {}",
        variables.join(", "),
        file.display()
    );
    Some((Level::Warn, text, Some(how.to_owned())))
}

/// A command's keys are the variables that its settings name.
fn keys(name: &str, agent: &AgentConfig) -> Option<(Level, String, Option<String>)> {
    let unset = |v: &&String| std::env::var_os(v.as_str()).is_none_or(|value| value.is_empty());
    let unset: Vec<&str> = agent.env.iter().filter(unset).map(String::as_str).collect();
    let first = unset.first()?;
    let text = format!(
        "{name} would get {}, which {} not set",
        unset.join(", "),
        if unset.len() == 1 { "is" } else { "are" }
    );
    Some((Level::Warn, text, Some(format!("export {first}=…"))))
}

fn confinement(wanted: Sandbox) -> Finding {
    let here = sandbox::available().is_some();
    let level = match (wanted, here) {
        (Sandbox::Require, false) => Level::Bad,
        (Sandbox::Off, _) | (_, false) => Level::Warn,
        (_, true) => Level::Ok,
    };
    let finding = Finding::new(
        SECTION,
        "agents.confinement",
        level,
        sandbox::statement(wanted),
    );
    match (wanted, here) {
        (Sandbox::Off, true) => {
            finding.mend("remove sandbox = \"off\" from .pertask/config.toml")
        }
        (Sandbox::Require, false) => finding.mend(
            "use a Linux kernel with Landlock (5.13 or newer), or set sandbox = \"auto\" in .pertask/config.toml",
        ),
        _ => finding,
    }
}
