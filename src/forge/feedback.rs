//! A review as text for the prompt of a revision.
//!
//! Only words of people who may decide get into it, only from threads that are open and about the
//! present change, cleaned and within sizes; what is left out for its length is said. Foreign text
//! is indented, so that no line of it looks like one of ours. The prompt quotes the whole as data.

use std::fmt::Write as _;

use super::spoken::spoken;
use crate::run::state::THREADS_BELOW;
use crate::text;

/// Most characters of a review's text, in all.
pub const MOST: usize = 16_000;

/// Longest body of a review, in characters.
const BODY: usize = 5_000;

/// Most comments of one thread: the first, and the latest.
const COMMENTS: usize = 6;

/// Room for what is said at the end about what was left out.
const END: usize = 400;

/// A review, or a comment that asks for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub by: String,
    /// Whether they may decide; otherwise nothing of it is taken.
    pub permitted: bool,
    /// Somebody else changed the words since; then they are not taken.
    pub altered: bool,
    /// Their words, as Markdown.
    pub body: String,
    /// Its page.
    pub url: String,
}

/// A review thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id on the forge.
    pub id: String,
    /// Path of the file it is about.
    pub path: String,
    /// Last line it is about, from 1, as the file is now; `None` when it is gone.
    pub line: Option<u32>,
    /// First line, when it is about several.
    pub start_line: Option<u32>,
    /// The line when the thread was begun.
    pub original_line: Option<u32>,
    /// Which side of the difference.
    pub side: Side,
    /// Whether the lines changed since.
    pub outdated: bool,
    /// Whether somebody resolved it.
    pub resolved: bool,
    /// Lines, or the whole file.
    pub subject: Subject,
    /// What was written, oldest first.
    pub comments: Vec<ThreadComment>,
}

/// A side of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it was.
    Left,
    /// As it is.
    Right,
}

/// What a thread is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Lines.
    Line,
    /// The file.
    File,
}

/// A comment in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadComment {
    /// Its id on the forge.
    pub id: String,
    /// Who.
    pub by: String,
    /// Whether they may decide; otherwise nothing of it is taken.
    pub permitted: bool,
    /// Somebody else changed the words since; then they are not taken.
    pub altered: bool,
    /// Their words, as Markdown.
    pub body: String,
    /// The part of the difference it stands below.
    pub hunk: String,
}

/// A review as a revision's prompt quotes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The text, at most [`MOST`] characters.
    pub text: String,
    /// The threads in it, in order.
    pub threads: Vec<Numbered>,
    /// How many open threads of permitted people did not fit.
    pub left_out: usize,
}

/// A thread under the name that the text gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// `T1`, `T2`, …
    pub name: String,
    /// Id of the thread on the forge.
    pub id: String,
}

/// How much of each thread is shown: lines of its hunk, characters of each comment.
const SIZES: [(usize, usize); 4] = [(14, 2_000), (8, 800), (4, 300), (2, 160)];

/// The review and its threads as one text.
#[must_use]
pub fn compose(review: &Said, threads: &[Thread]) -> Feedback {
    compose_all(std::slice::from_ref(review), threads)
}

/// Several reviews, and the threads of all, as one text.
#[must_use]
pub fn compose_all(reviews: &[Said], threads: &[Thread]) -> Feedback {
    let open: Vec<&Thread> = threads.iter().filter(|t| counts(t)).collect();
    let head = head(reviews, !open.is_empty());
    let room = MOST.saturating_sub(head.chars().count() + END);
    let mut blocks = Vec::new();
    for (lines, words) in SIZES {
        blocks = open
            .iter()
            .enumerate()
            .map(|(i, thread)| block(i + 1, thread, lines, words))
            .collect();
        if blocks.iter().map(|b| b.chars().count()).sum::<usize>() <= room {
            break;
        }
    }
    let mut text = head;
    let mut left = room;
    let mut taken = 0;
    for block in &blocks {
        let length = block.chars().count();
        if length > left {
            break;
        }
        left -= length;
        text.push_str(block);
        taken += 1;
    }
    let left_out = open.len() - taken;
    if left_out > 0 {
        let url = reviews.last().map_or("", |r| &r.url);
        let url = text::clipped(text::line(url), 200);
        let _ = writeln!(
            text,
            "{left_out} of {} threads are left out here for their length; a later review can bring them again ({url}).",
            open.len()
        );
    }
    let threads = open.iter().take(taken).enumerate();
    Feedback {
        text: text.trim_end().to_owned(),
        threads: threads
            .map(|(i, thread)| Numbered {
                name: format!("T{}", i + 1),
                id: thread.id.clone(),
            })
            .collect(),
        left_out,
    }
}

/// Open, about the present change, and with something to say.
fn counts(thread: &Thread) -> bool {
    let said = |c: &ThreadComment| c.permitted && !c.altered && !spoken(&c.body).is_empty();
    !thread.resolved && !thread.outdated && thread.comments.iter().any(said)
}

fn head(reviews: &[Said], threads: bool) -> String {
    let mut out = String::new();
    let many = reviews.len() > 1;
    let most = BODY / reviews.len().max(1);
    for review in reviews.iter().filter(|r| r.permitted) {
        let by = text::clipped(text::line(&review.by), 60);
        if review.altered {
            let _ = writeln!(
                out,
                "What {by} wrote here is left out: somebody else has changed it.\n"
            );
            continue;
        }
        let body = text::shorten(&spoken(&review.body), most);
        if body.is_empty() {
            continue;
        }
        if many {
            let _ = writeln!(out, "{by}:");
        }
        for line in body.lines() {
            // What begins a thread, or another's words, is ours.
            let ours = line.starts_with("[T") || line == THREADS_BELOW;
            let gap = match (many, ours) {
                (true, _) if line.is_empty() => "",
                (true, _) => "  ",
                (false, true) => " ",
                (false, false) => "",
            };
            let _ = writeln!(out, "{gap}{line}");
        }
        out.push('\n');
    }
    if out.is_empty() && !threads {
        out.push_str("Changes are requested, without a word about which.\n");
    }
    if threads {
        let _ = writeln!(out, "{THREADS_BELOW}\n");
    }
    out
}

fn block(number: usize, thread: &Thread, lines: usize, words: usize) -> String {
    let mut out = format!("[T{number}] {}\n", place(thread));
    let first = thread.comments.iter().find(|c| !c.hunk.trim().is_empty());
    if thread.subject == Subject::Line
        && let Some(first) = first
    {
        let hunk = text::lines(&first.hunk);
        let all: Vec<&str> = hunk.lines().collect();
        // The hunk ends with the line the thread is about.
        let shown = &all[all.len().saturating_sub(lines)..];
        out.push_str("  the difference there:\n");
        for line in shown {
            let line = text::clipped((*line).to_owned(), 200);
            let _ = writeln!(out, "    {line}");
        }
    }
    let said: Vec<(&ThreadComment, String)> = thread
        .comments
        .iter()
        .filter(|c| c.permitted)
        .map(|c| {
            if c.altered {
                let words = "(left out: somebody else has changed it)";
                return (c, words.to_owned());
            }
            (c, spoken(&c.body))
        })
        .filter(|(_, words)| !words.is_empty())
        .collect();
    for (i, (comment, body)) in said.iter().enumerate() {
        let skipped = said.len().saturating_sub(COMMENTS);
        if i > 0 && i <= skipped {
            if i == 1 {
                let _ = writeln!(out, "  {skipped} comments between are left out");
            }
            continue;
        }
        let by = text::clipped(text::line(&comment.by), 60);
        let _ = writeln!(out, "  {by}:");
        let body = suggestions(body, thread);
        for line in text::shorten(&body, words).lines() {
            let _ = writeln!(out, "{}", format!("    {line}").trim_end());
        }
    }
    out.push('\n');
    out
}

/// `pkg/a.go, lines 3 to 5`.
fn place(thread: &Thread) -> String {
    let path = text::clipped(text::line(&thread.path), 300);
    let lines = match (thread.subject, thread.start_line, thread.line) {
        (Subject::File, ..) => return format!("{path}, the file as a whole"),
        (_, Some(start), Some(end)) if start != end => format!("lines {start} to {end}"),
        (_, _, Some(line)) => format!("line {line}"),
        (_, _, None) => match thread.original_line {
            Some(line) => format!("line {line} of the version reviewed"),
            None => return path,
        },
    };
    match thread.side {
        Side::Right => format!("{path}, {lines}"),
        Side::Left => format!("{path}, {lines} of the file before the change"),
    }
}

/// GitHub's suggestion blocks in words: which lines are to be replaced by what.
fn suggestions(body: &str, thread: &Thread) -> String {
    let lines = match (thread.start_line, thread.line.or(thread.original_line)) {
        (Some(start), Some(end)) if start != end => format!("lines {start} to {end}"),
        (_, Some(line)) => format!("line {line}"),
        (_, None) => "the lines above".to_owned(),
    };
    let mut out = String::with_capacity(body.len());
    let mut open: Option<(usize, bool)> = None;
    let mut empty = true;
    for line in body.lines() {
        let text = line.trim();
        let ticks = text.bytes().take_while(|b| *b == b'`').count();
        match open {
            None if ticks >= 3 => {
                let is_suggestion = text[ticks..].trim() == "suggestion";
                open = Some((ticks, is_suggestion));
                empty = true;
                if is_suggestion {
                    let _ = writeln!(out, "Suggestion: replace {lines} by");
                    continue;
                }
            }
            Some((count, is_suggestion)) if ticks >= count && text.len() == ticks => {
                open = None;
                if is_suggestion {
                    out.push_str(if empty {
                        "  (nothing: take them out)\n"
                    } else {
                        ""
                    });
                    continue;
                }
            }
            Some((_, true)) => {
                empty = false;
                let _ = writeln!(out, "  | {line}");
                continue;
            }
            _ => {}
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
