//! Makes text that others wrote harmless before it is shown.
//!
//! Agents, reviewers, check commands and file names can hold anything. Cleaned text holds no escape
//! sequences, control characters, invisible or bidirectional characters (the "Trojan Source" ones),
//! and, for Markdown, nothing that a renderer takes for structure. Every function is linear in its
//! input and accepts any input.

use std::fmt::Write;

use crate::text::is_hidden;
pub use crate::text::{code, line};

/// [`line()`], cut to `max` characters.
#[must_use]
pub fn short_line(text: &str, max: usize) -> String {
    // Far more than can be shown need not be looked at.
    let some = text.char_indices().nth(max.saturating_mul(8).max(256));
    let some = some.map_or(text, |(end, _)| &text[..end]);
    super::words::cut(&line(some), max)
}

/// Several lines for a terminal: line breaks stay, tabs become spaces, the rest as in [`line()`].
/// Ends without a line break.
#[must_use]
pub fn block(text: &str) -> String {
    crate::text::lines(text).replace('\t', "    ")
}

/// Several lines for a reviewer: what [`block`] drops is shown by its number instead, so that code
/// that hides something looks like code that hides something. Tabs stay.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if c.is_control() || is_hidden(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// One line of Markdown that is rendered as the text itself: no heading, list, fence, table, link,
/// image, emphasis or HTML can come of it. Code between single backticks stays code.
///
/// What GitHub would take for a mention, a reference to an issue or an address is made code, where
/// it notifies nobody, refers to nothing and closes nothing.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = if refers(word(&text)) {
        text.as_str()
    } else {
        escape_start(&text, &mut out)
    };
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            let run = rest.len() - rest.trim_start_matches('`').len();
            let (ticks, after) = rest.split_at(run);
            if run == 1 && let Some(end) = after.find('`').filter(|i| *i > 0)
                // A longer run does not close a single backtick, so such a text is no code.
                && !after[end + 1..].starts_with('`')
            {
                apart(&mut out);
                out.push('`');
                out.push_str(&after[..=end]);
                rest = &after[end + 1..];
            } else {
                for _ in ticks.chars() {
                    out.push_str("\\`");
                }
                rest = after;
            }
            before = Some('`');
            continue;
        }
        let starts = matches!(before, None | Some(' ' | '`'));
        if starts && refers(word(rest)) {
            let all = word(rest);
            let core = all.trim_start_matches(['(', '[', '{', '"', '\'', '<', '*', '_', '~']);
            let (lead, tail) = all.split_at(all.len() - core.len());
            let core = tail.trim_end_matches(PUNCTUATION);
            plain(&mut out, lead, &mut before);
            apart(&mut out);
            out.push_str(&code(core));
            before = core.chars().last();
            plain(&mut out, &tail[core.len()..], &mut before);
            rest = &rest[all.len()..];
            continue;
        }
        let length = if starts {
            word(rest).len().max(c.len_utf8())
        } else {
            c.len_utf8()
        };
        let (piece, after) = rest.split_at(length);
        plain(&mut out, piece, &mut before);
        rest = after;
    }
    out
}

/// What ends a sentence or a bracket and is no part of what stands before it.
const PUNCTUATION: [char; 15] = [
    '.', ',', ';', ':', '!', '?', ')', ']', '}', '"', '\'', '>', '*', '_', '~',
];

/// Up to the next white space or backtick.
fn word(text: &str) -> &str {
    text.split([' ', '`']).next().unwrap_or_default()
}

/// Two pieces of code that touch would be one.
fn apart(out: &mut String) {
    if out.ends_with('`') {
        out.push(' ');
    }
}

/// Whether GitHub would make a mention, a reference or a link of something in a word
/// (<https://docs.github.com/en/get-started/writing-on-github>): `@name`, `#1`, `GH-1`, addresses.
#[must_use]
pub fn refers(word: &str) -> bool {
    let bytes = word.as_bytes();
    let follows = |i: usize, what: fn(&u8) -> bool| bytes.get(i).is_some_and(what);
    let digit: fn(&u8) -> bool = u8::is_ascii_digit;
    bytes.iter().enumerate().any(|(i, b)| match b {
        b'@' => follows(i + 1, u8::is_ascii_alphanumeric),
        b'#' => follows(i + 1, digit),
        b':' => bytes[i..].starts_with(b"://"),
        b'g' | b'G' => {
            bytes[i..].len() > 3
                && bytes[i..i + 3].eq_ignore_ascii_case(b"gh-")
                && follows(i + 3, digit)
        }
        b'w' | b'W' => bytes[i..].len() > 3 && bytes[i..i + 4].eq_ignore_ascii_case(b"www."),
        _ => false,
    })
}

/// One line for a commit message, where nothing can be made code: a space breaks what GitHub would
/// take for a mention or a reference, so that no agent closes an issue with a commit of ours.
#[must_use]
pub fn quiet(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len());
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let loud = refers(word);
        let mut before = ['\0'; 2];
        for c in word.chars() {
            let after_gh = before == ['g', 'h'] && c == '-';
            let address = (before[1], c) == (':', '/') || (before, c) == (['w', 'w'], '.');
            if loud && address {
                out.push(' ');
            }
            out.push(c);
            if loud && (matches!(c, '@' | '#') || after_gh) {
                out.push(' ');
            }
            before = [before[1], c.to_ascii_lowercase()];
        }
    }
    out
}

/// Escapes what means something within a line.
fn plain(out: &mut String, text: &str, before: &mut Option<char>) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        let escape = match c {
            '\\' | '<' | '>' | '[' | ']' | '*' | '~' | '|' => true,
            '_' => {
                !(before.is_some_and(char::is_alphanumeric)
                    && after.is_some_and(char::is_alphanumeric))
            }
            '&' => after.is_some_and(|c| c == '#' || c.is_ascii_alphanumeric()),
            '!' => after == Some('['),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        out.push(c);
        *before = Some(c);
    }
}

/// Escapes what means something only at the start of a block; returns what is left.
fn escape_start<'t>(text: &'t str, out: &mut String) -> &'t str {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let marker = match digits {
        0 => ['#', '-', '+', '=', ':'].as_slice(),
        _ => ['.', ')'].as_slice(),
    };
    out.push_str(number);
    if rest.starts_with(marker) {
        out.push('\\');
        out.push_str(&rest[..1]);
        return &rest[1..];
    }
    rest
}

/// A path in Markdown: as it is when nothing in it could be taken for markup, else as [`code`].
#[must_use]
pub fn path(text: &str) -> String {
    let bytes = text.as_bytes();
    let inner = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_alphanumeric);
    let harmless = !text.is_empty()
        && !refers(text)
        && !text.ends_with('.')
        && !text.starts_with('-')
        && bytes.iter().enumerate().all(|(i, b)| match b {
            b'/' | b'.' | b'-' => true,
            b'_' => i > 0 && inner(i - 1) && inner(i + 1),
            b => b.is_ascii_alphanumeric(),
        });
    if harmless {
        text.to_owned()
    } else {
        code(text)
    }
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    #[test]
    fn a_block_keeps_its_lines() {
        assert_eq!(block("a\r\n\tb\u{1b}[1m!\u{1b}[0m\n\n"), "a\n    b!");
        assert_eq!(block("10%\r20%\r"), "10%\n20%");
    }

    #[test]
    fn what_hides_is_made_visible() {
        assert_eq!(
            visible("+\tif\u{202e} x\r\n\u{1b}[2K"),
            "+\tif<U+202E> x\n<U+001B>[2K"
        );
    }

    #[test]
    fn markdown_says_only_the_text() {
        assert_eq!(markdown("# Task 9"), "\\# Task 9");
        assert_eq!(markdown("1. one"), "1\\. one");
        assert_eq!(markdown("- a\n## Task 3: x"), "\\- a ## Task 3: x");
        assert_eq!(markdown("``` fence"), "\\`\\`\\` fence");
        assert_eq!(
            markdown("uses `a < b` in wiz_client.go"),
            "uses `a < b` in wiz_client.go"
        );
        assert_eq!(markdown("open ` tick"), "open \\` tick");
        assert_eq!(markdown("<!-- x -->"), "\\<!-- x --\\>");
        assert_eq!(markdown("![p](x)"), "\\!\\[p\\](x)");
        assert_eq!(markdown("&lt; A & B"), "\\&lt; A & B");
    }

    #[test]
    fn nobody_is_called_and_nothing_closed() {
        assert_eq!(
            markdown("Fixes #1, gh-2 and o/r#3 (thanks @bob)."),
            "Fixes `#1`, `gh-2` and `o/r#3` (thanks `@bob`)."
        );
        assert_eq!(markdown("#7"), "`#7`");
        assert_eq!(markdown("`a`@bob`b`"), "`a` `@bob` `b`");
        assert_eq!(
            markdown("see https://github.com/o/r/issues/1"),
            "see `https://github.com/o/r/issues/1`"
        );
        assert_eq!(markdown("a @ b # c"), "a @ b # c");
        assert_eq!(path("www.x/y"), "`www.x/y`");
    }

    #[test]
    fn a_commit_message_closes_nothing() {
        assert_eq!(
            quiet("Fixes #1, GH-2, o/r#3\nand https://x/y for @bob"),
            "Fixes # 1, GH- 2, o/r# 3 and https: //x/y for @ bob"
        );
        assert_eq!(quiet("a @ b # c: /d gh-x"), "a @ b # c: /d gh-x");
        let mut random = crate::report::sample::Random::new(8);
        for _ in 0..2000 {
            let said = quiet(&format!("{}www.x{}", random.hostile(), random.hostile()));
            assert!(!said.split(' ').any(refers), "{said}");
        }
    }

    /// Whatever goes in, a renderer shows one paragraph with text and code in it, and that text is
    /// what went in.
    #[test]
    fn a_renderer_agrees() {
        let pieces = [
            "#", "##", "-", "*", "**", "_", "__", "`", "``", "```", "~~~", "1.", "2)", "<b>",
            "<!--", "-->", "[x]", "(y)", "![", "]", "&amp;", "\\", "|", "---", "===", " ", "\n",
            "word", "é", ":", ">", "$", "a_b", "[^1]:", "http://x", "@bob", "#1", "GH-2", "www.x",
            "(", ")",
        ];
        let mut random = crate::report::sample::Random::new(7);
        for _ in 0..4000 {
            let text: String = (0..random.below(9))
                .map(|_| pieces[random.below(pieces.len())])
                .collect();
            let cleaned = markdown(&text);
            let mut seen = String::new();
            for event in Parser::new_ext(
                &cleaned,
                Options::all() - Options::ENABLE_SMART_PUNCTUATION - Options::ENABLE_MATH,
            ) {
                match event {
                    Event::Text(t) => {
                        assert!(!t.split(' ').any(refers), "{t:?} in {cleaned:?}");
                        seen.push_str(&t);
                    }
                    Event::Code(t) => seen.push_str(&t),
                    Event::Start(Tag::Paragraph) | Event::End(_) => {}
                    other => panic!("{text:?} became {cleaned:?}, which holds {other:?}"),
                }
            }
            let plain = |s: &str| s.replace(['`', ' '], "");
            assert_eq!(plain(&seen), plain(&line(&text)), "from {cleaned:?}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(path("pkg/wiz/wiz_client.go"), "pkg/wiz/wiz_client.go");
        assert_eq!(path("pkg/__init__.py"), "`pkg/__init__.py`");
        assert_eq!(path("a\n## b"), "`a ## b`");
    }
}
