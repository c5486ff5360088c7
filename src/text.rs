//! Text that others wrote: cleaned, cut, quoted.
//!
//! Agents, reviewers, check commands and file names can hold anything. What comes out of here holds
//! no escape sequences of terminals, no control characters, nothing invisible and nothing that turns
//! the direction of writing (the "Trojan Source" characters), and a fence that nothing in it can
//! close. Every function accepts any input and is linear in it.

use std::borrow::Cow;

/// Characters that are drawn as nothing, or change the order in which others are drawn: Unicode's
/// `Default_Ignorable_Code_Point` and `Bidi_Control`.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Text without the escape sequences of terminals (ECMA-48), whole sequences at a time.
fn without_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\u{9b}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kind = match c {
            '\u{9b}' => Some('['),
            '\u{1b}' => chars.next_if(|c| matches!(c, ' '..='~')),
            _ => {
                out.push(c);
                continue;
            }
        };
        match kind {
            Some('[') => {
                while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                chars.next_if(|c| matches!(c, '@'..='~'));
            }
            // Ends with BEL or ESC \; one that is not closed ends with its line.
            Some(']' | 'P' | 'X' | '^' | '_') => {
                while chars
                    .next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n'))
                    .is_some()
                {}
                if chars.next_if_eq(&'\u{7}').is_none() && chars.next_if_eq(&'\u{1b}').is_some() {
                    chars.next_if_eq(&'\\');
                }
            }
            // A character set: more of these, then one final character.
            Some(' '..='/') => {
                while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
                chars.next_if(|c| matches!(c, '0'..='~'));
            }
            _ => {}
        }
    }
    Cow::Owned(out)
}

/// One line: white space and line breaks become single spaces, what cannot be seen is dropped.
#[must_use]
pub fn line(text: &str) -> String {
    let text = without_escapes(text);
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() {
            gap = !out.is_empty();
        } else if !c.is_control() && !is_hidden(c) {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

/// Several lines: every kind of line break is `\n`, tabs stay, what cannot be seen is dropped. Ends
/// without a line break or other white space.
#[must_use]
pub fn lines(text: &str) -> String {
    let text = without_escapes(text);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            // A progress bar's lone return starts the line anew.
            '\r' if chars.peek() != Some(&'\n') => out.push('\n'),
            '\t' => out.push('\t'),
            c if c.is_control() || is_hidden(c) => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// At most `max` characters, the last of them `…` when something was cut.
#[must_use]
pub fn clipped(mut text: String, max: usize) -> String {
    if let Some((cut, _)) = text.char_indices().nth(max) {
        text.truncate(cut);
        if text.pop().is_some() {
            text.push('…');
        }
    }
    text
}

/// The longest run of backticks in a text.
fn ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// One line as Markdown code, whatever backticks are in it; empty when there is nothing to show.
#[must_use]
pub fn code(text: &str) -> String {
    let text = line(text);
    if text.is_empty() {
        return text;
    }
    let fence = "`".repeat(ticks(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// [`lines`] in a fence of backticks that nothing in them can close; `info` is the language.
#[must_use]
pub fn fenced(text: &str, info: &str) -> String {
    let text = lines(text);
    let fence = "`".repeat((ticks(&text) + 1).max(3));
    format!("{fence}{info}\n{text}\n{fence}")
}

/// The text as what follows the second `::` of one of GitHub's workflow commands: it stays on its
/// line and is read back as it was
/// (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>).
#[must_use]
pub fn command_data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The text as the value of a property in one of GitHub's workflow commands.
#[must_use]
pub fn command_property(text: &str) -> String {
    command_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The text cut to at most `most` characters, head and tail kept, with a line between them that
/// says how many characters were left out. The tail gets the larger part: errors end there.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    /// Room for the line that says what was left out.
    const MARK: usize = 60;
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(MARK);
    let head = kept / 3;
    let tail = kept - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    let left_out = count - head - tail;
    let short = format!("{start}\n[… {left_out} characters left out …]\n{end}");
    if most >= MARK {
        short
    } else {
        short.chars().take(most).collect()
    }
}

/// How many characters each text may have so that all together have at most `most`: short ones
/// stay whole, the rest share what is left evenly.
#[must_use]
pub fn share(lengths: &[usize], most: usize) -> Vec<usize> {
    let mut by_length: Vec<usize> = (0..lengths.len()).collect();
    by_length.sort_by_key(|index| lengths[*index]);
    let (mut left, mut shares) = (most, vec![0; lengths.len()]);
    for (done, index) in by_length.iter().enumerate() {
        let even = left / (lengths.len() - done);
        shares[*index] = lengths[*index].min(even);
        left -= shares[*index];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_nothing_hidden_in_it() {
        assert_eq!(line("  a\r\n\tb\u{2028}c \n"), "a b c");
        assert_eq!(line("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x"), "red x");
        assert_eq!(line("open \u{1b}]8;;http://x\nnext"), "open next");
        assert_eq!(line("\u{9b}2Jgone\u{1b}(B\u{1b}"), "gone");
        assert_eq!(line("user\u{202e}nimda\u{2066}\u{200b}\u{0}"), "usernimda");
        assert_eq!(line("tag\u{E0041}s\u{FE0F}"), "tags");
        assert_eq!(line(""), "");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\r\n\tb\u{1b}[1m!\u{1b}[0m\n\n"), "a\n\tb!");
        assert_eq!(lines("10%\r20%\r"), "10%\n20%");
        assert_eq!(lines("a\u{2028}b\u{202e}c\u{0}"), "a\nbc");
    }

    #[test]
    fn a_fence_cannot_be_closed_from_inside() {
        assert_eq!(fenced("a", "text"), "```text\na\n```");
        assert_eq!(fenced("x ```` y\n```\n", ""), "`````\nx ```` y\n```\n`````");
        assert_eq!(code("f(a []T)"), "`f(a []T)`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(" \n"), "");
    }

    #[test]
    fn cutting_never_exceeds_the_size() {
        for (length, most) in [
            (0, 0),
            (5, 5),
            (100, 99),
            (100, 60),
            (100, 3),
            (70_000, 20_000),
        ] {
            let short = shorten(&"ä".repeat(length), most);
            assert!(short.chars().count() <= most, "{length} {most}");
            let short = clipped("ä".repeat(length), most);
            assert_eq!(short.chars().count(), length.min(most), "{length} {most}");
        }
        assert_eq!(clipped("€€€€€".to_owned(), 4), "€€€…");
        assert_eq!(share(&[10, 1, 100], 61), [10, 1, 50]);
        assert_eq!(share(&[], 5), [0; 0]);
        assert_eq!(share(&[9, 9], 3).iter().sum::<usize>(), 3);
    }
}
