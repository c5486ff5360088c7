//! The run: its state, and what is to be done next. Pure: no I/O, no clock of its own.

pub mod amend;
pub mod decide;
pub mod order;
pub mod state;
pub mod transition;

/// Key of the one item of a run in batch mode.
pub const BATCH: &str = "batch";
