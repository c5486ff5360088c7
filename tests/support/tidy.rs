//! Replaces in outputs what differs from run to run, so that whole outputs can be compared.

use std::path::Path;

/// The replacements of one sandbox: its paths, object ids, times and durations.
#[derive(Debug, Clone)]
pub struct Tidy {
    root: String,
}

/// The port of a server on loopback.
fn port(text: &str) -> Option<(&'static str, usize)> {
    let host = "127.0.0.1:";
    let digits = text
        .strip_prefix(host)?
        .bytes()
        .take_while(u8::is_ascii_digit);
    Some(("[HOST]", host.len() + digits.count()))
}

impl Tidy {
    /// For a sandbox in this folder, which becomes `[ROOT]`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.display().to_string(),
        }
    }

    /// Replaces the folder, ids of 40 (`[OID]`) and 10 digits (`[ID]`), sha256 (`[SHA256]`), times
    /// (`[TIME]`), durations (`[T]`) and process numbers.
    pub fn apply(&self, text: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let text = text.replace(&self.root, "[ROOT]");
        let text = if path.is_empty() {
            text
        } else {
            text.replace(&path, "[PATH]")
        };
        let text = confinement(&text);
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut before = ' ';
        while let Some(c) = rest.chars().next() {
            let found = if before.is_alphanumeric() {
                None
            } else {
                id(rest)
                    .or_else(|| port(rest))
                    .or_else(|| time(rest))
                    .or_else(|| duration(rest))
            };
            let taken = if let Some((name, length)) = found {
                out.push_str(name);
                length
            } else {
                out.push(c);
                c.len_utf8()
            };
            before = rest[..taken].chars().next_back().unwrap_or(' ');
            rest = &rest[taken..];
        }
        out
    }
}

/// Whether and how agents are confined depends on the kernel (`[CONFINED]`).
fn confinement(text: &str) -> String {
    const NOTE: &str = "note: agents and checks run ";
    let lines = text
        .split_inclusive('\n')
        .map(|line| match line.split_once(NOTE) {
            Some((before, _)) => format!("{before}{NOTE}[CONFINED]\n"),
            None => line.to_owned(),
        });
    lines.collect()
}

fn id(text: &str) -> Option<(&'static str, usize)> {
    let length = text
        .bytes()
        .take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        .count();
    if ends_word(text, length) {
        match length {
            10 => Some(("[ID]", 10)),
            16 => Some(("[CLAIM]", 16)),
            40 => Some(("[OID]", 40)),
            64 => Some(("[SHA256]", 64)),
            _ => None,
        }
    } else {
        None
    }
}

/// `2026-01-14T15:30:00Z`, `2026-01-14 15:30`.
fn time(text: &str) -> Option<(&'static str, usize)> {
    let shape = b"dddd-dd-dd dd:dd";
    let bytes = text.as_bytes();
    if bytes.len() < shape.len() {
        return None;
    }
    let fits = shape.iter().zip(bytes).all(|(s, b)| match s {
        b'd' => b.is_ascii_digit(),
        b' ' => matches!(b, b' ' | b'T'),
        s => s == b,
    });
    if !fits {
        return None;
    }
    let more = bytes[shape.len()..]
        .iter()
        .take_while(|b| matches!(b, b':' | b'.' | b'Z' | b'0'..=b'9'))
        .count();
    // What a sentence goes on with is not part of it.
    let mut end = shape.len() + more;
    while matches!(bytes[end - 1], b'.' | b':') {
        end -= 1;
    }
    Some(("[TIME]", end))
}

/// `0.1s`, `3s`, `2m03s`, `1 second`, `2 seconds`, `less than a second`.
fn duration(text: &str) -> Option<(&'static str, usize)> {
    if text.starts_with("less than a second") {
        return Some(("[T]", "less than a second".len()));
    }
    let digits = |t: &str| {
        t.bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count()
    };
    let first = digits(text);
    if first == 0 {
        return None;
    }
    for unit in [" seconds", " second", " s", "s"] {
        if text[first..].starts_with(unit) && ends_word(text, first + unit.len()) {
            return Some(("[T]", first + unit.len()));
        }
    }
    None
}

fn ends_word(text: &str, at: usize) -> bool {
    at > 0
        && text[at..]
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric() && c != '_')
}
