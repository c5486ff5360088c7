//! Making what an agent says fit to be shown and kept.
//!
//! Safe against terminal sequences, text that runs the other way, and text nobody sees.

use crate::text;

/// Longest string kept of a handoff, in characters.
pub const STRING_MAX: usize = 4_000;

/// `text` without what a terminal would obey or a reader would not see (control characters except
/// line break and tab, bidirectional and invisible characters), at most `max` characters.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    text::clipped(text::lines(text), max)
}

/// The same on one line: every run of white space is one space.
#[must_use]
pub fn clean_line(line: &str, max: usize) -> String {
    // Far more than can be shown need not be looked at.
    let some: String = line.chars().take(max.saturating_mul(8)).collect();
    text::clipped(text::line(&some), max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        assert_eq!(
            clean("a\u{1b}[2Jb\u{7}\nc\td\u{202e}e\u{200b}", 100),
            "ab\nc\tde"
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
