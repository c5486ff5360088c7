//! The handoff: the JSON an agent ends with, in the seed's step 1 form or that of `agent-handoffs`.
//!
//! Safe against anything that can stand in its place: no file, a pipe or link instead of a file, a
//! gigabyte, no JSON, other types than expected. What is readable is kept, what is odd is said, and
//! nothing of it is ever taken for a fact.

use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use serde_json::{Map, Value};

use super::text::{STRING_MAX, clean, clean_line};
use crate::run::order::{Handoff, HandoffStatus, ThreadAnswer};

/// Largest handoff file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// Longest list kept, and most keys of an object.
const LIST_MAX: usize = 100;

/// What was found where a handoff should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The handoff.
    pub handoff: Option<Handoff>,
    /// Why there is none, or what is odd about it; for people.
    pub problem: Option<String>,
}

/// Looks for the handoff in the file the agent was told to write, else in `said`: texts of the
/// agent in the order in which they count. `masked` takes out of a text what must not be kept.
#[must_use]
pub fn find(file: &Path, said: &[&str], masked: &dyn Fn(&str) -> String) -> Found {
    let mut odd = Vec::new();
    let mut value = match read(file) {
        Ok(Some(text)) => {
            let found = from_file(&masked(&text));
            if found.is_none() {
                odd.push("the handoff file holds no JSON object".to_owned());
            }
            found
        }
        Ok(None) => None,
        Err(problem) => {
            odd.push(problem);
            None
        }
    };
    for text in said {
        value = value.or_else(|| last_object(&masked(text)));
    }
    let Some(object) = value else {
        odd.push("the agent ended without a handoff (a JSON object with a `status`)".to_owned());
        return Found {
            handoff: None,
            problem: Some(odd.join("; ")),
        };
    };
    let handoff = parse(&object, &mut odd);
    Found {
        handoff: Some(handoff),
        problem: (!odd.is_empty()).then(|| odd.join("; ")),
    }
}

/// The text of a file an agent wrote, at most 1 MiB; `None` when it is not there or empty.
///
/// # Errors
///
/// What stands there instead, for people.
pub(super) fn read(file: &Path) -> Result<Option<String>, String> {
    // The agent may have put a link or a pipe there: do not follow the one, do not wait on the other.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(file, flags, Mode::empty()) {
        Ok(opened) => std::fs::File::from(opened),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err("the handoff file is a link".to_owned()),
        Err(error) => return Err(format!("the handoff file cannot be read: {error}")),
    };
    let meta = opened
        .metadata()
        .map_err(|e| format!("the handoff file cannot be read: {e}"))?;
    if !meta.is_file() {
        return Err("the handoff file is not a plain file".to_owned());
    }
    if meta.len() > FILE_MAX {
        return Err(format!(
            "the handoff file has {} bytes, more than a handoff needs",
            meta.len()
        ));
    }
    let mut bytes = Vec::new();
    opened
        .take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the handoff file cannot be read: {error}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((!text.trim().is_empty()).then_some(text))
}

/// The object a handoff file holds, with or without a fence around it.
fn from_file(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(object)) => Some(object),
        _ => last_object(text),
    }
}

/// The last object in `text` that is whole, valid and has a `status`; objects inside others do not
/// count. The work is linear: a failed look from one brace ends at nesting 128 at the latest.
#[must_use]
pub fn last_object(text: &str) -> Option<Map<String, Value>> {
    let mut last = None;
    let mut at = 0;
    while let Some(brace) = text[at..].find('{') {
        at += brace;
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        if let Some(Ok(Value::Object(object))) = stream.next() {
            at += stream.byte_offset();
            if object.contains_key("status") {
                last = Some(object);
            }
        } else {
            at += 1;
        }
    }
    last
}

fn parse(object: &Map<String, Value>, odd: &mut Vec<String>) -> Handoff {
    let mut fields = Fields {
        object,
        inner: None,
        odd,
    };
    let inner = match object.get("handoff") {
        Some(Value::Object(inner)) => Some(inner),
        None | Some(Value::Null) => None,
        Some(_) => {
            fields.odd.push("`handoff` is not an object".to_owned());
            None
        }
    };
    fields.inner = inner;

    let (status_word, status) = fields.status();
    let mut files_created = fields.list("file_created");
    for file in fields.list("files_created") {
        if !files_created.contains(&file) {
            files_created.push(file);
        }
    }
    files_created.truncate(LIST_MAX);
    let mut review_notes = fields.list("review_notes");
    review_notes.extend(fields.list("quick_review"));
    review_notes.truncate(LIST_MAX);
    let mut blocked_reason = fields
        .text("blocked_reason")
        .or_else(|| fields.text("reason"));
    let attempted = fields.list("attempted");
    let question = fields.text("question").or_else(|| {
        let questions = fields.list("questions");
        (!questions.is_empty()).then(|| questions.join("\n"))
    });
    match status {
        Some(HandoffStatus::Blocked) => {
            if blocked_reason.is_none() {
                fields
                    .odd
                    .push("it is blocked and gives no `blocked_reason`".to_owned());
            }
            if attempted.is_empty() {
                fields
                    .odd
                    .push("it is blocked and does not say what it `attempted`".to_owned());
            }
        }
        Some(HandoffStatus::NeedsClarification) if question.is_none() => {
            fields
                .odd
                .push("it needs clarification and asks no `question`".to_owned());
        }
        Some(_) => {}
        None => {
            let shown = match status_word.as_str() {
                "" => "the handoff has no status".to_owned(),
                word => format!("the handoff's status `{word}` is not one of the known ones"),
            };
            fields.odd.push(format!("{shown}, so it counts as blocked"));
            blocked_reason = Some(match blocked_reason {
                Some(reason) => clean(&format!("{shown}: {reason}"), STRING_MAX),
                None => shown,
            });
        }
    }
    Handoff {
        status: status.unwrap_or(HandoffStatus::Blocked),
        status_word,
        agent: fields.text("agent"),
        files_created,
        lines: fields.number("lines"),
        skills_invoked: fields.list("skills_invoked"),
        review_notes,
        blocked_reason,
        attempted,
        question,
        context: fields.text("context"),
        threads: fields.threads(),
        raw: clipped(&Value::Object(object.clone())),
    }
}

/// Reads fields of any type: first from the object itself, then from its `handoff`.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    inner: Option<&'a Map<String, Value>>,
    odd: &'a mut Vec<String>,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        let inner = || self.inner.and_then(|inner| inner.get(name));
        self.object
            .get(name)
            .or_else(inner)
            .filter(|value| !value.is_null())
            .cloned()
    }

    fn status(&self) -> (String, Option<HandoffStatus>) {
        let word = match self.object.get("status") {
            Some(Value::String(word)) => clean_line(word, 100),
            None | Some(Value::Null) => String::new(),
            Some(other) => clean_line(&other.to_string(), 100),
        };
        let plain = word.to_ascii_lowercase().replace(['-', ' '], "_");
        let status = match plain.as_str() {
            "complete" => Some(HandoffStatus::Complete),
            "blocked" => Some(HandoffStatus::Blocked),
            "needs_review" => Some(HandoffStatus::NeedsReview),
            "needs_clarification" => Some(HandoffStatus::NeedsClarification),
            _ => None,
        };
        (word, status)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = match self.get(name)? {
            Value::String(text) => clean(text.trim(), STRING_MAX),
            other => {
                self.odd.push(format!("`{name}` is not a string"));
                clean(&other.to_string(), STRING_MAX)
            }
        };
        (!text.is_empty()).then_some(text)
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.get(name)?;
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if !(value.is_number() && number.is_some()) {
            self.odd.push(format!("`{name}` is not a whole number"));
        }
        number
    }

    /// `[{"thread":"T1","done":"…"}]`, or `{"T1":"…"}`. What says nothing is left out; of two answers
    /// to one thread the first counts.
    fn threads(&mut self) -> Vec<ThreadAnswer> {
        let pairs: Vec<(String, Value)> = match self.get("threads") {
            None => return Vec::new(),
            Some(Value::Object(object)) => object.into_iter().collect(),
            Some(Value::Array(entries)) => entries
                .iter()
                .map(|entry| {
                    let name = match entry.get("thread") {
                        Some(Value::String(name)) => name.clone(),
                        Some(Value::Number(number)) => number.to_string(),
                        _ => String::new(),
                    };
                    (name, entry.get("done").cloned().unwrap_or_default())
                })
                .collect(),
            Some(_) => {
                self.odd.push("`threads` is not a list".to_owned());
                return Vec::new();
            }
        };
        let mut all: Vec<ThreadAnswer> = Vec::new();
        let mut other = pairs.len() > LIST_MAX;
        for (name, done) in pairs.into_iter().take(LIST_MAX) {
            let name = thread_name(&name).filter(|n| all.iter().all(|a| a.thread != *n));
            let (Some(thread), Value::String(done)) = (name, &done) else {
                other = true;
                continue;
            };
            let done = clean(done.trim(), STRING_MAX);
            if !done.is_empty() {
                all.push(ThreadAnswer { thread, done });
            }
        }
        if other {
            self.odd
                .push("`threads` holds more than one answer to each thread".to_owned());
        }
        all
    }

    /// A list of strings; one string is a list of one.
    fn list(&mut self, name: &str) -> Vec<String> {
        let entries = match self.get(name) {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(Value::String(entry)) => vec![Value::String(entry)],
            Some(_) => {
                self.odd.push(format!("`{name}` is not a list"));
                return Vec::new();
            }
        };
        if entries.len() > LIST_MAX {
            let length = entries.len();
            self.odd.push(format!(
                "`{name}` has {length} entries, the first {LIST_MAX} are kept"
            ));
        }
        let mut other = false;
        let list = entries
            .iter()
            .take(LIST_MAX)
            .filter_map(|entry| match entry {
                Value::String(text) => Some(clean(text.trim(), STRING_MAX)),
                Value::Null => None,
                entry => {
                    other = true;
                    let path = entry.get("path").or_else(|| entry.get("file"));
                    let text = path.and_then(Value::as_str).map(str::to_owned);
                    Some(clean(
                        &text.unwrap_or_else(|| entry.to_string()),
                        STRING_MAX,
                    ))
                }
            })
            .filter(|text| !text.is_empty())
            .collect();
        if other {
            self.odd.push(format!("`{name}` holds more than strings"));
        }
        list
    }
}

/// `T1` from `t1`, `[T1]` or `1`; nothing from what is no such name.
fn thread_name(said: &str) -> Option<String> {
    let said = clean_line(said, 20);
    let said = said.trim_matches(['[', ']']);
    let number = said.strip_prefix(['T', 't']).unwrap_or(said);
    let number: u32 = number.parse().ok().filter(|n| *n > 0)?;
    Some(format!("T{number}"))
}

/// The same value with long strings and lists cut. Nesting is bounded by the parser.
fn clipped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text, STRING_MAX)),
        Value::Array(entries) => entries.iter().take(LIST_MAX).map(clipped).collect(),
        Value::Object(object) => object
            .iter()
            .take(LIST_MAX)
            .map(|(key, value)| (clean_line(key, 200), clipped(value)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn parsed(json: &str) -> (Handoff, String) {
        let found = find(Path::new("/no/such/file"), &[json], &str::to_owned);
        (found.handoff.unwrap(), found.problem.unwrap_or_default())
    }

    #[test]
    fn the_seeds_form() {
        let (handoff, problem) = parsed(
            r#"{"agent":"integration-developer","status":"complete","task":"client",
                "file_created":"pkg/wiz_client.go","lines":185,
                "handoff":{"next_task":"transform"}}"#,
        );
        assert_eq!(problem, "");
        assert_eq!(handoff.status, HandoffStatus::Complete);
        assert_eq!(handoff.agent.as_deref(), Some("integration-developer"));
        assert_eq!(handoff.files_created, ["pkg/wiz_client.go"]);
        assert_eq!(handoff.lines, Some(185));
        assert_eq!(handoff.raw["handoff"]["next_task"], "transform");
    }

    #[test]
    fn the_form_of_agent_handoffs() {
        let (handoff, problem) = parsed(
            r#"{"agent":"a","output_type":"x","skills_invoked":["tdd","go"],"status":"blocked",
                "files_created":["a.go","b.go"],"blocked_reason":"no key","attempted":["env"],
                "question":"which key?","review_notes":"look at the retry","quick_review":["x"],
                "handoff":{"next_agent":null,"context":"types are done"}}"#,
        );
        assert_eq!(problem, "");
        assert_eq!(handoff.status, HandoffStatus::Blocked);
        assert_eq!(handoff.files_created, ["a.go", "b.go"]);
        assert_eq!(handoff.skills_invoked, ["tdd", "go"]);
        assert_eq!(handoff.blocked_reason.as_deref(), Some("no key"));
        assert_eq!(handoff.attempted, ["env"]);
        assert_eq!(handoff.question.as_deref(), Some("which key?"));
        assert_eq!(handoff.review_notes, ["look at the retry", "x"]);
        assert_eq!(handoff.context.as_deref(), Some("types are done"));
    }

    #[test]
    fn answers_to_threads() {
        let answers = |json: &str| {
            let (handoff, problem) = parsed(json);
            let said: Vec<String> = handoff
                .threads
                .iter()
                .map(|a| format!("{}={}", a.thread, a.done))
                .collect();
            (said.join(","), problem)
        };
        let (said, problem) = answers(
            r#"{"status":"complete","threads":[{"thread":"T1","done":" wrapped it "},{"thread":"[t2]","done":"kept"},{"thread":3,"done":""}]}"#,
        );
        assert_eq!(
            (said.as_str(), problem.as_str()),
            ("T1=wrapped it,T2=kept", "")
        );
        let (said, problem) = answers(r#"{"status":"complete","threads":{"T1":"a"}}"#);
        assert_eq!((said.as_str(), problem.as_str()), ("T1=a", ""));
        let (said, problem) = answers(
            r#"{"status":"complete","threads":["x",{"thread":"T1","done":7},{"thread":"T2","done":"a"},{"thread":"T2","done":"b"},{"thread":"T0","done":"z"}]}"#,
        );
        assert_eq!(said, "T2=a");
        assert_eq!(
            problem,
            "`threads` holds more than one answer to each thread"
        );
        assert_eq!(
            answers(r#"{"status":"complete","threads":5}"#).1,
            "`threads` is not a list"
        );
        let many: Vec<_> = (1..500)
            .map(|i| serde_json::json!({ "thread": format!("T{i}"), "done": "x".repeat(9000) }))
            .collect();
        let json = serde_json::json!({ "status": "complete", "threads": many }).to_string();
        let (handoff, _) = parsed(&json);
        assert_eq!(handoff.threads.len(), LIST_MAX);
        assert!(
            handoff
                .threads
                .iter()
                .all(|a| a.done.chars().count() <= STRING_MAX)
        );
    }

    #[test]
    fn status_words() {
        for (word, status) in [
            ("complete", HandoffStatus::Complete),
            (" Complete ", HandoffStatus::Complete),
            ("needs-review", HandoffStatus::NeedsReview),
            ("NEEDS_REVIEW", HandoffStatus::NeedsReview),
            ("Needs clarification", HandoffStatus::NeedsClarification),
            ("blocked", HandoffStatus::Blocked),
            ("completed", HandoffStatus::Blocked),
            ("p0_compliance_failed", HandoffStatus::Blocked),
            ("", HandoffStatus::Blocked),
        ] {
            let json = serde_json::json!({ "status": word }).to_string();
            assert_eq!(parsed(&json).0.status, status, "{word}");
        }
        let (handoff, problem) = parsed(r#"{"status":"p0_failed","blocked_reason":"errors"}"#);
        assert_eq!(
            handoff.blocked_reason.as_deref(),
            Some("the handoff's status `p0_failed` is not one of the known ones: errors")
        );
        assert_eq!(
            problem,
            "the handoff's status `p0_failed` is not one of the known ones, so it counts as blocked"
        );
        assert_eq!(parsed(r#"{"status":7}"#).0.status_word, "7");
    }

    #[test]
    fn blocked_without_a_reason_is_taken_and_said() {
        let (handoff, problem) = parsed(r#"{"status":"blocked"}"#);
        assert_eq!(handoff.status, HandoffStatus::Blocked);
        assert_eq!(
            problem,
            "it is blocked and gives no `blocked_reason`; \
             it is blocked and does not say what it `attempted`"
        );
        let problem = parsed(r#"{"status":"needs_clarification"}"#).1;
        assert_eq!(problem, "it needs clarification and asks no `question`");
    }

    #[test]
    fn wrong_types_cost_only_themselves() {
        let (handoff, problem) = parsed(
            r#"{"status":"complete","agent":[1],"lines":"12","files_created":{"a":1},
                "skills_invoked":[1,{"path":"p"},null,"s"],"handoff":"next"}"#,
        );
        assert_eq!(handoff.status, HandoffStatus::Complete);
        assert_eq!(handoff.lines, Some(12));
        assert_eq!(handoff.agent.as_deref(), Some("[1]"));
        assert_eq!(handoff.skills_invoked, ["1", "p", "s"]);
        insta::assert_snapshot!(problem, @"`handoff` is not an object; `files_created` is not a list; `agent` is not a string; `lines` is not a whole number; `skills_invoked` holds more than strings");
    }

    #[test]
    fn texts_and_lists_are_capped() {
        let json = serde_json::json!({
            "status": "complete",
            "review_notes": vec!["n"; 5000],
            "context": "x".repeat(10_000),
            "more": vec![vec!["y".repeat(10_000); 3]; 200],
        });
        let (handoff, problem) = parsed(&json.to_string());
        assert_eq!(
            problem,
            "`review_notes` has 5000 entries, the first 100 are kept"
        );
        assert_eq!(handoff.review_notes.len(), 100);
        assert_eq!(handoff.context.unwrap().chars().count(), STRING_MAX);
        assert_eq!(handoff.raw["more"].as_array().unwrap().len(), 100);
        assert_eq!(
            handoff.raw["more"][0][0].as_str().unwrap().chars().count(),
            STRING_MAX
        );
    }

    #[test]
    fn the_last_object_with_a_status_counts() {
        let status = |text: &str| {
            last_object(text).map(|object| object["status"].as_str().unwrap().to_owned())
        };
        let text = "func() { return }\n```json\n{\"status\": \"first\"}\n```\n\
                    so: {\"status\":\"last\",\"a\":{\"b\":\"}{\\\"\"}} {\"other\":{\"status\":\"in\"}} {";
        assert_eq!(status(text).as_deref(), Some("last"));
        assert_eq!(status("…cut\"}, \"status\": \"x\"}"), None);
        assert_eq!(status(""), None);
        assert_eq!(status("{\"status\": \"cut"), None);
    }

    #[test]
    fn hostile_text_is_passed_in_linear_work() {
        for piece in ["{", "{\"a\":", "{\"a\":[", "{\"\\\"", "{\"status\":[{},"] {
            let text = piece.repeat(300_000 / piece.len());
            assert_eq!(last_object(&text), None);
        }
    }

    #[test]
    fn the_file_comes_first_whatever_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("handoff.json");
        let said = r#"{"status":"blocked","blocked_reason":"r","attempted":["a"]}"#;
        let status = |file: &Path| {
            let found = find(file, &[said], &str::to_owned);
            (
                found.handoff.unwrap().status,
                found.problem.unwrap_or_default(),
            )
        };
        let blocked = |problem: &str| (HandoffStatus::Blocked, problem.to_owned());
        let complete = (HandoffStatus::Complete, String::new());

        assert_eq!(status(&file), blocked(""));
        fs::write(&file, r#"{"status":"complete"}"#).unwrap();
        assert_eq!(status(&file), complete);
        fs::write(&file, "```json\n{\"status\":\"complete\"}\n```\n").unwrap();
        assert_eq!(status(&file), complete);
        fs::write(&file, b"\xff\xfe nothing").unwrap();
        assert_eq!(
            status(&file),
            blocked("the handoff file holds no JSON object")
        );
        fs::write(&file, vec![b' '; 2_000_000]).unwrap();
        let large = "the handoff file has 2000000 bytes, more than a handoff needs";
        assert_eq!(status(&file), blocked(large));

        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert_eq!(status(&file), blocked("the handoff file is a link"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(
            status(&file),
            blocked("the handoff file is not a plain file")
        );
        fs::remove_dir(&file).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(
            status(&file),
            blocked("the handoff file is not a plain file")
        );
    }

    #[test]
    fn no_handoff_is_said() {
        let found = find(
            Path::new("/no/such/file"),
            &["I am done.", ""],
            &str::to_owned,
        );
        assert_eq!(found.handoff, None);
        assert_eq!(
            found.problem.as_deref(),
            Some("the agent ended without a handoff (a JSON object with a `status`)")
        );
    }
}
