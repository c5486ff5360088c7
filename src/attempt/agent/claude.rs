//! Claude Code: `claude -p` with its stream of JSON events.
//!
//! Event and result fields as `claude` 2.1 prints them. Unknown events are passed over; only the
//! `result` event says how it went, whatever the exit status, and nothing is read after it.

use std::ffi::OsString;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    ERROR_MAX, EVENT_MAX, Invocation, Limit, Prepared, Progress, Reader, Said, activity,
    configured, login, shown_path, text,
};
use crate::attempt::process::{Env, Flow, Lines};

/// What it may use without asking; nobody is there to be asked, so all else is refused. Nothing
/// here reaches the network by itself.
const ALLOWED: &str = "Bash,Edit,Write,Read,Glob,Grep,NotebookEdit,Skill,Task,TodoWrite,ToolSearch";

/// What would outlive the attempt, leave the workspace or wait for a person.
const DISALLOWED: &str = "AskUserQuestion,CronCreate,EnterPlanMode,EnterWorktree,ExitWorktree,ScheduleWakeup,SendMessage";

/// Longest message kept, in characters.
const MESSAGE_MAX: usize = 256 * 1024;

pub(super) fn prepare(inv: &Invocation, env: &mut Env) -> anyhow::Result<Prepared> {
    let folder = inv.settings_dir.join("claude");
    let login = login::file(inv.config.adapter, &inv.parent_env);
    let copy = login::private_folder(&folder, login.as_deref())?;
    env.set("CLAUDE_CONFIG_DIR", &folder);
    env.set("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    env.set("DISABLE_AUTOUPDATER", "1");
    Ok(Prepared {
        argv: arguments(inv),
        lines: Lines::Every { max: EVENT_MAX },
        reader: reader(inv.workdir.clone()),
        login: copy,
    })
}

/// Reads the events of a run in this workspace.
pub(super) fn reader(workdir: PathBuf) -> Box<dyn Reader> {
    Box::new(Events {
        workdir,
        ..Events::default()
    })
}

/// The configured arguments come first, so that an option of theirs that takes any number of values
/// ends where ours begin.
fn arguments(inv: &Invocation) -> Vec<OsString> {
    let mut argv = configured(inv, "claude");
    argv.extend(
        [
            "-p",
            "--verbose",
            "--output-format",
            "stream-json",
            "--permission-mode",
            "acceptEdits",
            "--allowedTools",
            ALLOWED,
            "--disallowedTools",
            DISALLOWED,
            "--setting-sources",
            "",
            "--strict-mcp-config",
            "--no-session-persistence",
            "--add-dir",
        ]
        .map(OsString::from),
    );
    argv.push(inv.output_dir.clone().into());
    if let Some(max) = inv.config.max_cost_usd {
        argv.extend(["--max-budget-usd".into(), max.to_string().into()]);
    }
    if let Some(model) = &inv.config.model {
        argv.extend(["--model".into(), model.into()]);
    }
    argv
}

#[derive(Default)]
struct Events {
    workdir: PathBuf,
    said: Said,
    finished: bool,
    message_id: Option<String>,
    tokens: u64,
}

impl Reader for Events {
    fn line(&mut self, line: &str, progress: &mut dyn FnMut(Progress)) -> Flow {
        if self.finished || !line.starts_with('{') {
            return Flow::Continue;
        }
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return Flow::Continue;
        };
        match event["type"].as_str() {
            Some("system") if event["subtype"] == "init" => {
                self.said.session = string(&event["session_id"]);
                self.said.model = string(&event["model"]);
                self.said.version = string(&event["claude_code_version"]);
            }
            Some("assistant") => self.assistant(&event["message"], progress),
            Some("rate_limit_event") => self.limit(&event["rate_limit_info"]),
            Some("result") => {
                self.result(&event);
                self.finished = true;
                progress(Progress::Cost {
                    usd: self.said.cost_usd,
                    tokens: self.said.tokens,
                });
                return Flow::Finish;
            }
            _ => {}
        }
        Flow::Continue
    }

    fn finish(mut self: Box<Self>) -> Said {
        if !self.finished {
            self.said.error = Some("it ended without giving a result".to_owned());
            self.said.tokens = (self.tokens > 0).then_some(self.tokens);
        }
        if self.said.error.is_none() {
            // Whatever limit was near, the work got done.
            self.said.limit = None;
        }
        self.said
    }
}

impl Events {
    fn assistant(&mut self, message: &Value, progress: &mut dyn FnMut(Progress)) {
        for part in message["content"].as_array().into_iter().flatten() {
            match part["type"].as_str() {
                Some("tool_use") => progress(activity(&tool(part, &self.workdir))),
                Some("text") => {
                    let text = part["text"].as_str().unwrap_or_default();
                    self.said.last_message = Some(text::clean(text, MESSAGE_MAX));
                    if let Some(line) = text.lines().find(|line| !line.trim().is_empty()) {
                        progress(activity(line));
                    }
                }
                _ => {}
            }
        }
        // A message comes in several events, each with the usage of the whole.
        let id = string(&message["id"]);
        if id.is_some() && id != self.message_id {
            self.message_id = id;
            self.tokens = self
                .tokens
                .saturating_add(usage(&message["usage"]).unwrap_or(0));
            progress(Progress::Cost {
                usd: None,
                tokens: Some(self.tokens),
            });
        }
    }

    fn limit(&mut self, info: &Value) {
        // The newest word counts: after a refusal it may have been let through.
        let until = || Timestamp::from_second(info["resetsAt"].as_i64()?).ok();
        self.said.limit = (info["status"] == "rejected").then(|| Limit::Usage { until: until() });
    }

    fn result(&mut self, event: &Value) {
        let said = &mut self.said;
        said.session = string(&event["session_id"]).or_else(|| said.session.take());
        said.cost_usd = event["total_cost_usd"].as_f64().filter(|cost| *cost >= 0.0);
        said.tokens = usage(&event["usage"]).or((self.tokens > 0).then_some(self.tokens));
        said.turns = event["num_turns"]
            .as_u64()
            .and_then(|turns| u32::try_from(turns).ok());
        let answer = event["result"].as_str();
        match &event["structured_output"] {
            Value::Null => {}
            structured => said.last_message = Some(structured.to_string()),
        }
        let subtype = event["subtype"].as_str().unwrap_or("no subtype");
        said.over_budget = subtype == "error_max_budget_usd";
        if subtype == "success" && event["is_error"] != true {
            if let Some(answer) = answer.filter(|_| event["structured_output"].is_null()) {
                said.last_message = Some(text::clean(answer, MESSAGE_MAX));
            }
            return;
        }
        let errors = event["errors"].as_array().into_iter().flatten();
        let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
        let what = match (
            answer.filter(|answer| !answer.is_empty()),
            errors.is_empty(),
        ) {
            (Some(answer), _) => answer.to_owned(),
            (None, false) => errors.join("; "),
            (None, true) => subtype.to_owned(),
        };
        said.error = Some(text::clean(&what, ERROR_MAX));
        // That of requests for each minute, say, is told by the status alone.
        if event["api_error_status"] == 429 && said.limit.is_none() {
            said.limit = Some(match event["api_error"].as_str() {
                Some("usage_limit_reached") => Limit::Usage { until: None },
                _ => Limit::Rate,
            });
        }
    }
}

fn string(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(|text| text::clean_line(text, 200))
        .filter(|text| !text.is_empty())
}

/// Tokens in, those read from and written to the cache too, and out.
fn usage(usage: &Value) -> Option<u64> {
    usage.as_object()?;
    let names = [
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
    ];
    Some(
        names
            .iter()
            .filter_map(|name| usage[name].as_u64())
            .fold(0, u64::saturating_add),
    )
}

/// What a tool is used for, in one line.
fn tool(part: &Value, workdir: &std::path::Path) -> String {
    let name = part["name"].as_str().unwrap_or("a tool");
    let input = &part["input"];
    if let Some(command) = input["command"].as_str() {
        return format!("$ {command}");
    }
    let subject = [
        "file_path",
        "notebook_path",
        "path",
        "pattern",
        "query",
        "skill",
        "description",
    ]
    .iter()
    .find_map(|key| input[key].as_str());
    match subject {
        Some(subject) => format!("{name} {}", shown_path(subject, workdir)),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Said, Vec<Progress>, Flow) {
        let mut events: Box<dyn Reader> = Box::new(Events {
            workdir: "/ws".into(),
            ..Events::default()
        });
        let mut seen = Vec::new();
        let mut flow = Flow::Continue;
        for line in lines {
            flow = events.line(line, &mut |progress| seen.push(progress));
        }
        (events.finish(), seen, flow)
    }

    const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s1","model":"opus",
        "claude_code_version":"2.1.330"}"#;

    #[test]
    fn a_good_run() {
        let (said, seen, flow) = read(&[
            INIT,
            "not json",
            r#"{"type":"news","from":"the future"}"#,
            r#"{"type":"assistant","message":{"id":"m1","usage":{"input_tokens":10,
                "cache_read_input_tokens":5,"output_tokens":1},"content":[
                {"type":"tool_use","name":"Write","input":{"file_path":"/ws/pkg/x.go"}}]}}"#,
            r#"{"type":"assistant","message":{"id":"m1","usage":{"input_tokens":10},"content":[
                {"type":"tool_use","name":"Bash","input":{"command":"go build\n./..."}}]}}"#,
            r#"{"type":"assistant","message":{"id":"m2","content":[
                {"type":"text","text":"\nDone: \u001b[31mall\nof it"},7]}}"#,
            r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":99}}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"the end",
                "session_id":"s1","num_turns":3,"total_cost_usd":0.25,
                "usage":{"input_tokens":20,"output_tokens":2}}"#,
            r#"{"type":"result","subtype":"error_during_execution","is_error":true}"#,
        ]);
        assert_eq!(flow, Flow::Continue);
        assert_eq!(said.version.as_deref(), Some("2.1.330"));
        assert_eq!(said.model.as_deref(), Some("opus"));
        assert_eq!(said.session.as_deref(), Some("s1"));
        assert_eq!(
            (said.cost_usd, said.tokens, said.turns),
            (Some(0.25), Some(22), Some(3))
        );
        assert_eq!(said.error, None);
        assert_eq!(said.limit, None);
        assert_eq!(said.last_message.as_deref(), Some("the end"));
        let tokens = |tokens| Progress::Cost {
            usd: None,
            tokens: Some(tokens),
        };
        assert_eq!(
            seen,
            [
                Progress::Activity("Write pkg/x.go".into()),
                tokens(16),
                Progress::Activity("$ go build ./...".into()),
                Progress::Activity("Done: all".into()),
                tokens(16),
                Progress::Cost {
                    usd: Some(0.25),
                    tokens: Some(22)
                },
            ]
        );
    }

    #[test]
    fn the_result_is_the_end() {
        let result = r#"{"type":"result","subtype":"success"}"#;
        assert_eq!(read(&[INIT, result]).2, Flow::Finish);
    }

    #[test]
    fn failures_are_told_from_success() {
        let error = |line: &str| read(&[INIT, line]).0;
        let said = error(
            r#"{"type":"result","subtype":"success","is_error":true,"result":"API Error: 404"}"#,
        );
        assert_eq!(said.error.as_deref(), Some("API Error: 404"));
        let said = error(r#"{"type":"result","subtype":"error_max_turns"}"#);
        assert_eq!(said.error.as_deref(), Some("error_max_turns"));
        let said = error(r#"{"type":"result","subtype":"error_x","errors":["one","two"]}"#);
        assert_eq!(said.error.as_deref(), Some("one; two"));
        let said = error(r#"{"type":"result","subtype":"error_max_budget_usd"}"#);
        assert!(said.over_budget);
        let said = error(r#"{"type":"result","subtype":7,"usage":[],"num_turns":"x"}"#);
        assert!(said.error.is_some());
        assert_eq!(
            read(&[INIT]).0.error.as_deref(),
            Some("it ended without giving a result")
        );
    }

    #[test]
    fn a_limit_counts_when_the_structured_output_says_so() {
        let failed = r#"{"type":"result","subtype":"success","is_error":true,"result":"limit"}"#;
        let event = r#"{"type":"rate_limit_event",
            "rate_limit_info":{"status":"rejected","resetsAt":1800000000}}"#;
        let limit = |lines: &[&str]| read(lines).0.limit;
        let until = "2027-01-15T08:00:00Z".parse().ok();
        assert_eq!(limit(&[INIT, event, failed]), Some(Limit::Usage { until }));
        let when = event.replace("1800000000", "null");
        let unknown = Some(Limit::Usage { until: None });
        assert_eq!(limit(&[INIT, &when, failed]), unknown);
        let warned = event.replace("rejected", "allowed_warning");
        assert_eq!(limit(&[INIT, &warned, failed]), None);
        let prose = r#"{"type":"assistant","message":{"content":[{"type":"text",
            "text":"rate_limit_event rejected resetsAt 1800000000"}]}}"#;
        assert_eq!(limit(&[INIT, prose, failed]), None);
        // Without an event there is the status.
        let status = |how: &str| failed.replace("\"limit\"", how);
        let refused = status(r#""limit","api_error_status":429"#);
        assert_eq!(limit(&[INIT, &refused]), Some(Limit::Rate));
        assert_eq!(
            limit(&[INIT, event, &refused]),
            Some(Limit::Usage { until })
        );
        let reached = status(r#""","api_error_status":429,"api_error":"usage_limit_reached""#);
        assert_eq!(limit(&[INIT, &reached]), unknown);
        let overloaded = status(r#""limit","api_error_status":529"#);
        assert_eq!(limit(&[INIT, &overloaded]), None);
        let worked = refused.replace("true", "false");
        assert_eq!(limit(&[INIT, event, &worked]), None);
    }
}
