//! Codex: `codex exec --json` with its stream of JSON events (openai/codex
//! `codex-rs/exec/src/exec_events.rs`).
//!
//! A turn that ends as completed says nothing about the work: with its sandbox broken every command
//! fails and the turn still completes. Only what keeps its sandbox from breaking is seen to here.
//!
//! Its sandbox (bubblewrap, Codex 0.169) cannot be set up inside Landlock, which forbids mounts: none
//! of its commands would run. So inside our confinement it runs with its own switched off.
//!
//! Why a turn failed its events say in prose alone. What it is in words for programs, and when a limit
//! ends, is in the session that it records in its settings folder (`codex-rs/protocol/src/protocol.rs`,
//! `CodexErrorInfo` and `RateLimitSnapshot`). An agent can write there too: the worst that comes of it
//! is an attempt that does not count, as often as such attempts may follow each other.

use std::ffi::OsString;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::bail;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    ERROR_MAX, EVENT_MAX, Invocation, Limit, Prepared, Progress, Reader, Said, Usage, activity,
    configured, handoff, login, shown_path, text,
};
use crate::attempt::process::{Env, Flow, Lines};
use crate::beneath::{Beneath, Found};

/// How much of a session's end is read, in bytes.
const SESSION_END: u64 = 256 * 1024;

/// Most that are looked at in a folder of sessions.
const SESSIONS: usize = 100;

/// Longest message kept, in characters.
const MESSAGE_MAX: usize = 256 * 1024;

pub(super) fn prepare(inv: &Invocation, env: &mut Env) -> anyhow::Result<Prepared> {
    let folder = inv.settings_dir.join("codex");
    let temporary = env
        .get("TMPDIR")
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    if folder.starts_with("/tmp") || folder.starts_with(temporary) {
        bail!(
            "Codex does not work with its settings in a temporary folder ({}): its sandbox refuses \
             every command. Set XDG_CACHE_HOME or TMPDIR so that they are different places",
            folder.display()
        );
    }
    let login = login::file(inv.config.adapter, &inv.parent_env);
    let copy = login::private_folder(&folder, login.as_deref())?;
    env.set("CODEX_HOME", &folder);
    Ok(Prepared {
        argv: arguments(inv, &folder.join(LAST_MESSAGE)),
        lines: Lines::Every { max: EVENT_MAX },
        reader: reader(inv.workdir.clone(), folder),
        login: copy,
    })
}

/// Reads the events of a run in this workspace, and then what it left in its settings folder.
pub(super) fn reader(workdir: PathBuf, settings: PathBuf) -> Box<dyn Reader> {
    Box::new(Events {
        workdir,
        settings,
        ..Events::default()
    })
}

/// Where it writes its last message, in its settings folder.
const LAST_MESSAGE: &str = "last-message";

/// The configured arguments come before `exec`: there Codex takes its `-c`, and a command like
/// `npx @openai/codex` stays whole.
fn arguments(inv: &Invocation, last_file: &Path) -> Vec<OsString> {
    let mut argv = configured(inv, "codex");
    argv.extend(
        [
            "exec",
            "--json",
            "--color",
            "never",
            "--skip-git-repo-check",
            "--ignore-user-config",
            "--ignore-rules",
            // Keeps its own key from the commands it runs.
            "-c",
            "shell_environment_policy.ignore_default_excludes=false",
            "-s",
            // Its own cannot be set up inside ours.
            if inv.wrapper.is_empty() {
                "workspace-write"
            } else {
                "danger-full-access"
            },
            "-C",
        ]
        .map(OsString::from),
    );
    argv.push(inv.workdir.clone().into());
    argv.extend(["--add-dir".into(), inv.output_dir.clone().into()]);
    argv.extend(["-o".into(), last_file.into()]);
    if let Some(model) = &inv.config.model {
        argv.extend(["-m".into(), model.into()]);
    }
    argv.push("-".into());
    argv
}

#[derive(Default)]
struct Events {
    workdir: PathBuf,
    settings: PathBuf,
    said: Said,
    usage: Option<Usage>,
    turns: u32,
    finished: bool,
    last_error: Option<String>,
}

impl Reader for Events {
    fn line(&mut self, line: &str, progress: &mut dyn FnMut(Progress)) -> Flow {
        if !line.starts_with('{') {
            return Flow::Continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return Flow::Continue;
        };
        match event["type"].as_str() {
            Some("thread.started") => {
                let id = event["thread_id"].as_str();
                self.said.session = id.map(|id| text::clean_line(id, 200));
            }
            Some("turn.started") => self.turns = self.turns.saturating_add(1),
            Some("item.started") => {
                if let Some(line) = started(&event["item"]) {
                    progress(activity(&line));
                }
            }
            Some("item.completed") => self.item(&event["item"], progress),
            Some("turn.completed") => {
                self.finished = true;
                self.add(&event["usage"]);
                progress(Progress::Cost {
                    usd: None,
                    tokens: self.tokens(),
                });
            }
            Some("turn.failed") => {
                self.add(&event["usage"]);
                let message = event["error"]["message"]
                    .as_str()
                    .unwrap_or("the turn failed");
                self.said.error = Some(text::clean(message, ERROR_MAX));
            }
            // Also sent when it connects anew, so it counts only if nothing better follows.
            Some("error") => {
                let message = event["message"].as_str().unwrap_or("an error");
                self.last_error = Some(text::clean(message, ERROR_MAX));
            }
            _ => {}
        }
        Flow::Continue
    }

    fn finish(mut self: Box<Self>) -> Said {
        if !self.finished && self.said.error.is_none() {
            let ended = || "it ended without completing its turn".to_owned();
            self.said.error = Some(self.last_error.take().unwrap_or_else(ended));
        }
        if self.said.error.is_some()
            && let Some(id) = &self.said.session
            && let Ok(session) = session(&self.settings, id)
        {
            self.said.limit = limit(&session);
        }
        // Whole, where the event may have been too long for a line.
        if let Ok(Some(message)) = handoff::read(&self.settings.join(LAST_MESSAGE)) {
            self.said.last_message = Some(text::clean(&message, MESSAGE_MAX));
        }
        self.said.tokens = self.tokens();
        self.said.usage = self.usage;
        self.said.turns = (self.turns > 0).then_some(self.turns);
        self.said
    }
}

impl Events {
    fn item(&mut self, item: &Value, progress: &mut dyn FnMut(Progress)) {
        match item["type"].as_str() {
            Some("agent_message") => {
                let text = item["text"].as_str().unwrap_or_default();
                self.said.last_message = Some(text::clean(text, MESSAGE_MAX));
                if let Some(line) = text.lines().find(|line| !line.trim().is_empty()) {
                    progress(activity(line));
                }
            }
            Some("file_change") => {
                for change in item["changes"].as_array().into_iter().flatten() {
                    let kind = match change["kind"].as_str() {
                        Some("add") => "Add",
                        Some("delete") => "Delete",
                        _ => "Edit",
                    };
                    let path = change["path"].as_str().unwrap_or("a file");
                    progress(activity(&format!(
                        "{kind} {}",
                        shown_path(path, &self.workdir)
                    )));
                }
            }
            _ => {}
        }
    }

    /// Cached input is part of the input, reasoning part of the output.
    fn add(&mut self, usage: &Value) {
        let of = |name: &str| usage[name].as_u64();
        if of("input_tokens").or(of("output_tokens")).is_none() {
            return;
        }
        let sum = self.usage.get_or_insert_default();
        for (sum, name) in [
            (&mut sum.input, "input_tokens"),
            (&mut sum.cached, "cached_input_tokens"),
            (&mut sum.output, "output_tokens"),
        ] {
            *sum = sum.saturating_add(of(name).unwrap_or(0));
        }
    }

    fn tokens(&self) -> Option<u64> {
        self.usage.map(|u| u.input.saturating_add(u.output))
    }
}

/// The end of what it recorded of a session.
fn session(settings: &Path, id: &str) -> io::Result<String> {
    let folder = Beneath::open(settings)?;
    // sessions/2026/11/23/rollout-2026-11-23T18-12-09-ID.jsonl
    let mut folders = vec![PathBuf::from("sessions")];
    for _ in 0..3 {
        let mut inner = Vec::new();
        for folder_in in folders {
            // What is none is passed over.
            let names = folder.names(&folder_in, SESSIONS).unwrap_or_default();
            inner.extend(names.into_iter().map(|name| folder_in.join(name)));
        }
        inner.truncate(SESSIONS);
        folders = inner;
    }
    let name = format!("-{id}.jsonl");
    let mut files = folders.iter().filter_map(|folder_in| {
        let there = folder.names(folder_in, SESSIONS).ok()?;
        let found = there
            .into_iter()
            .find(|found| found.to_string_lossy().ends_with(&name))?;
        Some(folder_in.join(found))
    });
    let file = files.next().ok_or(io::ErrorKind::NotFound)?;
    let Found::File(mut file, meta) = folder.look(&file)? else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    file.seek(SeekFrom::Start(meta.len().saturating_sub(SESSION_END)))?;
    let mut end = Vec::new();
    file.take(SESSION_END).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The limit because of which a session's last turn failed, from the end of its record.
pub(super) fn limit(session: &str) -> Option<Limit> {
    let mut why = Value::Null;
    let mut limits = Value::Null;
    for line in session.lines() {
        // The first may be a part of one.
        let Ok(mut event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if event["type"] != "event_msg" {
            continue;
        }
        match event["payload"]["type"].as_str() {
            Some("task_complete") => why = event["payload"]["error"]["codex_error_info"].take(),
            Some("token_count") if event["payload"]["rate_limits"].is_object() => {
                limits = event["payload"]["rate_limits"].take();
            }
            _ => {}
        }
    }
    let failed = &why["response_too_many_failed_attempts"];
    if failed["http_status_code"] == 429 {
        return Some(Limit::Rate);
    }
    if why != "usage_limit_exceeded" {
        return None;
    }
    // It is let in again when the last of the windows that are full ends.
    let ends = ["primary", "secondary"].iter().filter_map(|name| {
        let window = &limits[name];
        window["used_percent"]
            .as_f64()
            .filter(|used| *used >= 100.0)?;
        Timestamp::from_second(window["resets_at"].as_i64()?).ok()
    });
    Some(Limit::Usage { until: ends.max() })
}

/// What begins, in one line.
fn started(item: &Value) -> Option<String> {
    match item["type"].as_str()? {
        "command_execution" => Some(format!("$ {}", plain(item["command"].as_str()?))),
        "mcp_tool_call" => Some(format!("Tool {}", item["tool"].as_str()?)),
        "web_search" => Some(format!("Search {}", item["query"].as_str()?)),
        _ => None,
    }
}

/// The command without the shell around it, where that can be seen at once.
fn plain(command: &str) -> &str {
    let Some((shell, inner)) = command.split_once(" -lc ") else {
        return command;
    };
    if Path::new(shell)
        .file_name()
        .is_none_or(|name| !name.to_string_lossy().ends_with("sh"))
    {
        return command;
    }
    let quoted = |quote: char| inner.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Said, Vec<Progress>) {
        let mut events: Box<dyn Reader> = Box::new(Events {
            workdir: "/ws".into(),
            ..Events::default()
        });
        let mut seen = Vec::new();
        for line in lines {
            assert_eq!(
                events.line(line, &mut |progress| seen.push(progress)),
                Flow::Continue
            );
        }
        (events.finish(), seen)
    }

    #[test]
    fn a_good_run() {
        let (said, seen) = read(&[
            r#"{"type":"thread.started","thread_id":"t1"}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"error","message":"Reconnecting... 1/5"}"#,
            r#"{"type":"item.started","item":{"type":"command_execution",
                "command":"/bin/bash -lc 'go build ./...'"}}"#,
            r#"{"type":"item.completed","item":{"type":"command_execution","exit_code":1}}"#,
            r#"{"type":"item.completed","item":{"type":"file_change","changes":[
                {"path":"/ws/pkg/x.go","kind":"add"},{"path":"y.go","kind":"update"}]}}"#,
            r#"{"type":"item.completed","item":{"type":"agent_message","text":"All done."}}"#,
            r#"{"type":"item.telepathy"}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":90,
                "output_tokens":7}}"#,
            r#"{"type":"turn.started"}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}"#,
        ]);
        assert_eq!(said.session.as_deref(), Some("t1"));
        assert_eq!(
            (said.tokens, said.turns, said.cost_usd),
            (Some(109), Some(2), None)
        );
        assert_eq!(said.error, None);
        assert_eq!(said.last_message.as_deref(), Some("All done."));
        let activities: Vec<_> = seen
            .iter()
            .filter_map(|progress| match progress {
                Progress::Activity(line) => Some(line.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            activities,
            ["$ go build ./...", "Add pkg/x.go", "Edit y.go", "All done."]
        );
    }

    #[test]
    fn failures_are_told_from_success() {
        let failed = r#"{"type":"turn.failed","error":{"message":"no such model"}}"#;
        assert_eq!(read(&[failed]).0.error.as_deref(), Some("no such model"));
        let error = r#"{"type":"error","message":"stream closed"}"#;
        assert_eq!(read(&[error]).0.error.as_deref(), Some("stream closed"));
        let ended = "it ended without completing its turn";
        assert_eq!(read(&[]).0.error.as_deref(), Some(ended));
        assert_eq!(
            read(&["{", r#"{"type":5}"#, "[]"]).0.error.as_deref(),
            Some(ended)
        );
    }

    const TOLD: &str = r#"{"type":"event_msg","payload":{"type":"token_count","info":null,"rate_limits":{
        "primary":{"used_percent":100.0,"window_minutes":300,"resets_at":1795464730},
        "secondary":{"used_percent":80.0,"window_minutes":10080,"resets_at":1795764730}}}}"#;

    /// The end of a session that ended so.
    fn ended(how: &str, limits: &str) -> String {
        let told = TOLD.replace('\n', "");
        let [told, of] = [told.as_str(), limits].map(|l| if l.is_empty() { "{" } else { l });
        let of = of.replace("TOLD", told);
        format!(
            "cut off\\n\"}}}}\n{of}\n{{\"type\":\"event_msg\",\"payload\":{{\"type\":\"task_complete\",\
             \"error\":{how}}}}}\n"
        )
    }

    #[test]
    fn limits_are_told_from_other_failures() {
        let usage = r#"{"message":"Wait.","codex_error_info":"usage_limit_exceeded"}"#;
        let at = |s| Timestamp::from_second(s).ok();
        let until = |text: &str| match limit(text) {
            Some(Limit::Usage { until }) => until,
            other => panic!("{other:?}"),
        };
        assert_eq!(until(&ended(usage, "TOLD")), at(1_795_464_730));
        let both = TOLD.replace('\n', "").replace("80.0", "100.0");
        assert_eq!(until(&ended(usage, &both)), at(1_795_764_730));
        // Without a word on when it ends.
        assert_eq!(until(&ended(usage, "")), None);
        let none = TOLD.replace('\n', "").replace("1795464730", "null");
        assert_eq!(until(&ended(usage, &none)), None);
        let rate = |status: u16| {
            format!(
                r#"{{"codex_error_info":{{"response_too_many_failed_attempts":{{"http_status_code":{status}}}}}}}"#
            )
        };
        assert_eq!(limit(&ended(&rate(429), "TOLD")), Some(Limit::Rate));
        for other in [
            &rate(503),
            "null",
            r#"{"message":"usage_limit_exceeded","codex_error_info":"other"}"#,
        ] {
            assert_eq!(limit(&ended(other, "TOLD")), None, "{other}");
        }
        assert_eq!(limit(""), None);
        // A later turn that went well.
        let later = ended(usage, "TOLD") + &ended("null", "");
        assert_eq!(limit(&later), None);
    }

    /// Wherever an agent puts a link, nothing is read through it.
    #[test]
    fn its_session_is_found_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let day = "codex/sessions/2026/11/23";
        let file = format!("{day}/rollout-2026-11-23T18-12-09-t1.jsonl");
        std::fs::create_dir_all(at(day)).unwrap();
        std::fs::write(at("codex/sessions/2026/file"), "").unwrap();
        std::fs::write(at(&format!("{day}/rollout-a-t2.jsonl")), "other").unwrap();
        std::fs::write(at(&file), "x".repeat(300 * 1024) + "end").unwrap();
        let read = || session(&at("codex"), "t1").map_err(|e| e.kind());
        let text = read().unwrap();
        assert_eq!((text.len(), text.ends_with("xend")), (256 * 1024, true));
        assert_eq!(
            session(&at("codex"), "t3").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        for part in [file.as_str(), day, "codex/sessions/2026", "codex/sessions"] {
            std::fs::rename(at(part), at("elsewhere")).unwrap();
            std::os::unix::fs::symlink(at("elsewhere"), at(part)).unwrap();
            assert!(read().is_err(), "{part}");
            std::fs::remove_file(at(part)).unwrap();
            std::fs::rename(at("elsewhere"), at(part)).unwrap();
        }
        assert!(read().is_ok());
    }
}
