//! Quoting what others wrote, as data and within a size.

pub use crate::text::{share, shorten};

/// Most characters of all check outputs together in one prompt.
pub const OUTPUT_MOST: usize = 20_000;

/// The text in a fence that nothing in it can close, without control characters, and without
/// characters that are invisible or turn the direction of writing.
#[must_use]
pub fn quoted(text: &str) -> String {
    crate::text::fenced(text, "text")
}

/// Names of the review threads in a reviewer's words: what stands in brackets at the beginning of a
/// line, as `forge::feedback` writes it.
#[must_use]
pub fn threads_in(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let (name, _) = line.strip_prefix('[')?.split_once("] ")?;
        let number = name.strip_prefix('T')?;
        let plain = (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}
