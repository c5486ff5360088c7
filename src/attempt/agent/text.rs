//! Making what an agent says fit to be shown and kept.
//!
//! Safe against terminal sequences, text that runs the other way, and text nobody sees.

/// Longest string kept of a handoff, in characters.
pub const STRING_MAX: usize = 4_000;

/// `text` without what a terminal would obey or a reader would not see (control characters except
/// line break and tab, bidirectional and invisible format characters), at most `max` characters.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut kept: String = text
        .chars()
        .filter(|c| is_shown(*c))
        .take(max + 1)
        .collect();
    if let Some((cut, _)) = kept.char_indices().nth(max) {
        kept.truncate(cut);
        kept.pop();
        kept.push('…');
    }
    kept
}

/// The same on one line: every run of white space is one space.
#[must_use]
pub fn clean_line(text: &str, max: usize) -> String {
    // Far more than can be shown need not be looked at.
    let some: String = text.chars().take(max * 8).collect();
    let line = without_escapes(&some)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    clean(&line, max)
}

fn is_shown(c: char) -> bool {
    let invisible = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    matches!(c, '\n' | '\t') || !(invisible || c.is_control())
}

/// Without terminal sequences: colours, cursor movements, titles.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('[') => {
                while chars
                    .next()
                    .is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c))
                {}
            }
            Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\\') {},
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{7}\nc\td\u{202e}e\u{200b}", 100),
            "a[2Jb\nc\tde"
        );
        assert_eq!(
            clean_line("\u{1b}[31mred\u{1b}[0m\r\n \u{1b}]0;title\u{7}x  y", 100),
            "red x y"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(clean("€€€€", 4), "€€€€");
        assert_eq!(clean("€€€€€", 4), "€€€…");
        assert_eq!(clean_line("one two three", 7), "one tw…");
    }
}
