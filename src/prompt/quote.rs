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
