//! Views of the state: what people and scripts read of a run.
//!
//! Pure: every function takes the state, and what only git or the clock know, and returns text.
//! Agents, reviewers and file names are not trusted here: whatever they wrote passes through
//! [`clean`] before it is put into Markdown, a commit message or a terminal, so that it cannot forge
//! a heading, a trailer or a line of ours, nor move the cursor.

pub mod actions;
pub mod checkpoint;
pub mod clean;
pub mod commit;
pub mod compliance;
pub mod facts;
pub mod history;
pub mod log;
pub mod markdown;
pub mod pull;
pub mod show;
pub mod status;
pub mod style;
pub mod waits;
pub mod words;

#[cfg(test)]
pub(crate) mod sample;

pub use style::Style;
