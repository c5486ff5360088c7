//! `discovery.md`: the parts that concern a task, for its prompt.

use super::{Kind, blocks, plain};
use crate::plan::Task;

/// Most characters of `discovery.md` that a prompt quotes.
pub const QUOTED: usize = 6_000;

/// Words of titles that say nothing about a task.
const COMMON: &[&str] = &[
    "file", "files", "the", "and", "for", "with", "data", "primary", "main", "module", "code",
    "api",
];

/// The sections that name the task's file, its id or a word of its title, the best first until
/// `most` characters are used up, given in the document's order; what was left out is said.
/// `None` when no section concerns the task.
#[must_use]
pub fn excerpt(text: &str, task: &Task, most: usize) -> Option<String> {
    let blocks = blocks(text);
    let mut starts: Vec<(usize, &str)> = vec![(0, "")];
    for block in blocks
        .iter()
        .filter(|block| matches!(block.kind, Kind::Heading(_)))
    {
        starts.push((block.span.start, &block.text));
    }
    let ends = starts
        .iter()
        .skip(1)
        .map(|(start, _)| *start)
        .chain([text.len()]);
    let mut parts: Vec<(usize, usize, &str)> = starts
        .iter()
        .zip(ends)
        .enumerate()
        .filter_map(|(index, ((start, heading), end))| {
            let part = text.get(*start..end)?.trim();
            let score = score(heading, part, task);
            (score > 0).then_some((index, score, part))
        })
        .collect();
    if parts.is_empty() {
        return None;
    }
    parts.sort_by_key(|(index, score, _)| (std::cmp::Reverse(*score), *index));
    let (mut left, mut kept, mut omitted) = (most, Vec::new(), 0_usize);
    for (index, _, part) in parts {
        let count = part.chars().count();
        if count <= left {
            left -= count;
            kept.push((index, part.to_owned()));
        } else if kept.is_empty() {
            let cut: String = part.chars().take(left).collect();
            omitted += count - left;
            left = 0;
            kept.push((index, cut));
        } else {
            omitted += count;
        }
    }
    kept.sort_by_key(|(index, _)| *index);
    let mut quoted = kept
        .into_iter()
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        .join("\n\n");
    if omitted > 0 {
        use std::fmt::Write as _;
        let _ = write!(
            quoted,
            "\n\n[… {omitted} characters left out; read the document]"
        );
    }
    Some(quoted)
}

/// How much a section has to do with a task: the file's name counts most, a heading's word more
/// than one in the text.
fn score(heading: &str, part: &str, task: &Task) -> usize {
    let name = task.file.rsplit('/').next().unwrap_or(&task.file);
    let (heading, body) = (plain(heading), plain(part));
    let has = |text: &str, word: &str| {
        text.split(' ')
            .any(|w| w == word || w.strip_suffix('s') == Some(word))
    };
    let mut score = 0;
    if part.contains(name) {
        score += 8;
    }
    let title = plain(&task.title);
    let id = task.id.clone();
    let mut words: Vec<&str> = title.split(' ').filter(|word| word.len() > 2).collect();
    words.extend(id.split('-'));
    words.sort_unstable();
    words.dedup();
    for word in words
        .iter()
        .filter(|word| !COMMON.contains(word) && word.len() > 2)
    {
        let singular = word.strip_suffix('s').unwrap_or(word);
        if has(&heading, singular) {
            score += 4;
        } else if has(&body, singular) {
            score += 1;
        }
    }
    score
}
