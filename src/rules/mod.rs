//! P0 rules on syntax trees.

/// The text of a rule for prompts.
#[must_use]
pub fn text(_id: &str) -> Option<&'static str> {
    None
}
