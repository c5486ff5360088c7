//! Small words that several views share: times, durations, money, cutting and wrapping.

use jiff::Timestamp;

use super::clean;
use crate::run::order::{Change, OrderKind};
use crate::run::state::{Item, Outcome, State};
use crate::run::transition;

/// Columns of a terminal that everything fits into.
pub const WIDTH: usize = 80;

/// A time: RFC 3339, in UTC, to the second.
#[must_use]
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whole seconds between two times; 0 when they are the wrong way round.
#[must_use]
pub fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_second().saturating_sub(from.as_second())).unwrap_or(0)
}

/// A duration in words: `42 seconds`, `15 minutes`, `1 hour 5 minutes`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let parts = if hours > 0 {
        [(hours, "hour"), (minutes, "minute")]
    } else {
        [(minutes, "minute"), (rest, "second")]
    };
    let said: Vec<_> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| counted(*n, unit))
        .collect();
    if said.is_empty() {
        "0 seconds".to_owned()
    } else {
        said.join(" ")
    }
}

/// A duration for a table: `42s`, `15m03s`, `1h05m`.
#[must_use]
pub fn short_duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

/// A number with its noun: `1 task`, `2 tasks`.
#[must_use]
pub fn counted(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{s}")
}

/// US dollars, to the cent.
#[must_use]
pub fn money(usd: f64) -> String {
    format!("${usd:.2}")
}

/// At most `max` characters, the middle replaced by `…`: for names and paths, whose ends tell most.
#[must_use]
pub fn middle(text: &str, max: usize) -> String {
    let length = text.chars().count();
    if length <= max {
        return text.to_owned();
    }
    let kept = max.saturating_sub(1);
    let head: String = text.chars().take(kept / 2).collect();
    let tail: String = text.chars().skip(length - (kept - kept / 2)).collect();
    if max == 0 {
        String::new()
    } else {
        format!("{head}…{tail}")
    }
}

/// At most `max` characters, cut at the end of a word if there is one, with `…` behind it.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let head: String = text.chars().take(max.saturating_sub(1)).collect();
    // A word that began before the limit is left out whole, unless it is nearly all there is.
    let ends_word = text.chars().nth(head.chars().count()) == Some(' ');
    let head = match head.rfind(' ') {
        Some(i) if !ends_word && i > head.len() / 2 => &head[..i],
        _ => &head,
    };
    let head = head.trim_end_matches([' ', ',', ';', ':', '(']);
    if max == 0 {
        String::new()
    } else {
        format!("{head}…")
    }
}

/// Lines of at most `width` characters, broken between words; longer words stay whole. What stands
/// between backticks (a command to copy) is broken only when it does not fit on a line.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for piece in pieces(text) {
        let length = piece.chars().count();
        let words: Vec<&str> = if length > width {
            piece.split(' ').collect()
        } else {
            vec![piece]
        };
        for word in words {
            let length = word.chars().count();
            match lines.last_mut() {
                Some(last) if length < room => {
                    last.push(' ');
                    last.push_str(word);
                    room -= length + 1;
                }
                _ => {
                    lines.push(word.to_owned());
                    room = width.saturating_sub(length);
                }
            }
        }
    }
    lines
}

/// Words, with what is between backticks in one piece.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut in_code) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            '`' => in_code = !in_code,
            ' ' if !in_code => {
                pieces.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces.retain(|p| !p.is_empty());
    pieces
}

/// The last part of a path.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|p| !p.is_empty()).unwrap_or(path)
}

/// A mark before a path: `+` added, `~` modified, `-` deleted.
#[must_use]
pub fn mark(change: Change) -> &'static str {
    match change {
        Change::Added => "+",
        Change::Modified => "~",
        Change::Deleted => "-",
    }
}

/// An item's name on one line, e.g. `task 2 of 4, client (HTTP client)`.
#[must_use]
pub fn name(state: &State, item: &Item) -> String {
    clean::line(&transition::name_of(state, item))
}

/// What an attempt came to, in a word or two.
#[must_use]
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Blocked => "blocked",
        Outcome::Question => "asked",
        Outcome::Interrupted => "interrupted",
    }
}

/// Why there was an attempt, in a few words.
#[must_use]
pub fn kind(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::First => "first",
        OrderKind::Retry => "retry",
        OrderKind::Revision => "revision",
        OrderKind::Conflict => "resolving a conflict",
        OrderKind::Reopened => "reopened",
        OrderKind::Resumed => "resumed",
        OrderKind::Forward => "run branch merged in",
        OrderKind::Person => "a person's commit",
        OrderKind::Build => "a build",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let said: Vec<_> = [0, 1, 42, 60, 192, 900, 3600, 3900, 90_061]
            .map(|s| format!("{} | {}", duration(s), short_duration(s)))
            .to_vec();
        insta::assert_snapshot!(said.join("\n"), @r"
        0 seconds | 0s
        1 second | 1s
        42 seconds | 42s
        1 minute | 1m00s
        3 minutes 12 seconds | 3m12s
        15 minutes | 15m00s
        1 hour | 1h00m
        1 hour 5 minutes | 1h05m
        25 hours 1 minute | 25h01m
        ");
    }

    #[test]
    fn cutting() {
        assert_eq!(middle("wiz_client_test.go", 11), "wiz_c…st.go");
        assert_eq!(middle("wiz", 3), "wiz");
        assert_eq!(middle("wizard", 1), "…");
        assert_eq!(middle("wizard", 0), "");
        assert_eq!(cut("one two three", 13), "one two three");
        assert_eq!(cut("one two three", 11), "one two…");
        assert_eq!(cut("one two three", 8), "one two…");
        assert_eq!(cut("onetwothree four", 9), "onetwoth…");
        assert_eq!(cut("éééé éééé", 6), "éééé…");
        assert_eq!(cut("x y", 0), "");
    }

    #[test]
    fn wrapping() {
        assert_eq!(wrap("a bb ccc dddd", 5), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrap("say `a b c` now", 9), ["say", "`a b c`", "now"]);
        assert_eq!(wrap("`a b c d e f` x", 5), ["`a b", "c d e", "f` x"]);
        assert_eq!(wrap("", 5), Vec::<String>::new());
        assert_eq!(wrap("toolongword", 5), ["toolongword"]);
    }
}
