//! What the tool verifies itself, whatever a handoff claims.

pub mod commands;
pub mod design;
pub mod draft;
pub mod faults;
pub mod files;
pub mod registered;
pub mod rules;
pub mod scope;

pub use scope::is_protected;

use crate::run::order::{CheckKind, CheckOutcome};

/// An outcome that took no time worth telling.
fn outcome(
    kind: CheckKind,
    name: &str,
    passed: bool,
    detail: String,
    output: String,
) -> CheckOutcome {
    CheckOutcome {
        kind,
        name: name.to_owned(),
        passed,
        detail,
        output,
        duration_ms: 0,
    }
}
