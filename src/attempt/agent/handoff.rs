//! The handoff: the JSON an agent ends with, in the seed's step 1 form or that of `agent-handoffs`.
//!
//! Safe against anything that can stand in its place: no file, a pipe or link instead of a file, a
//! gigabyte, no JSON, other types than expected. What is readable is kept, what is odd is said, and
//! nothing of it is ever taken for a fact.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::text::{STRING_MAX, clean, clean_line};
use crate::attempt::inside;
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
    let opened = match inside::open_file(file) {
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
mod tests;
