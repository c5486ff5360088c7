//! The run: its state, and what is to be done next. Pure: no I/O, no clock of its own.

pub mod amend;
pub mod approval;
pub mod blame;
pub mod budget;
pub mod compliance;
pub mod decide;
pub mod order;
pub mod seen;
pub mod state;
pub mod transition;

/// Key of the one item of a run in batch mode.
pub const BATCH: &str = "batch";

/// Key of the item that puts P0 violations right together, after the plan's tasks.
pub const P0: &str = crate::plan::VALIDATION;

/// Key of the item that puts right what was asked for on the final pull request.
pub const REPAIR: &str = "repair";

/// Stands for the pull request from the run branch to the base where an item's key is asked for. No
/// task can be named like this.
pub const LAST: &str = "(final)";

/// Stands for the build of the base where an item's key is asked for.
pub const BASE: &str = "(base)";

/// Stands for the commands of the final checklist where an item's key is asked for.
pub const GATE: &str = "(gate)";

/// Whether a key is that of an item which is none of the plan's tasks: it may touch what they all may.
#[must_use]
pub fn is_extra(key: &str) -> bool {
    key == P0 || key == REPAIR
}
