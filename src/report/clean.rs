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
    super::words::cut(&line(text), max)
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
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = line(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = escape_start(&text, &mut out);
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            let run = rest.len() - rest.trim_start_matches('`').len();
            let (ticks, after) = rest.split_at(run);
            if run == 1 && let Some(end) = after.find('`').filter(|i| *i > 0)
                // A longer run does not close a single backtick, so such a text is no code.
                && !after[end + 1..].starts_with('`')
            {
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
        rest = &rest[c.len_utf8()..];
        let after = rest.chars().next();
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
        before = Some(c);
    }
    out
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
        assert_eq!(markdown("![p](http://x)"), "\\!\\[p\\](http://x)");
        assert_eq!(markdown("&lt; A & B"), "\\&lt; A & B");
    }

    /// Whatever goes in, a renderer shows one paragraph with text and code in it, and that text is
    /// what went in.
    #[test]
    fn a_renderer_agrees() {
        let pieces = [
            "#", "##", "-", "*", "**", "_", "__", "`", "``", "```", "~~~", "1.", "2)", "<b>",
            "<!--", "-->", "[x]", "(y)", "![", "]", "&amp;", "\\", "|", "---", "===", " ", "\n",
            "word", "é", ":", ">", "$", "a_b", "[^1]:", "http://x",
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
                    Event::Text(t) | Event::Code(t) => seen.push_str(&t),
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
