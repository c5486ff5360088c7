//! The plan: what a job consists of, read from the documents a team writes.
//!
//! Everything here is a pure function from text to data or to [`diagnostic`]s: files are handed in
//! by the caller, which reads them from a commit, so nothing in the working tree can change a plan.
//! No input makes it panic, and every problem of a document is reported, not only the first.

mod combine;
pub mod config;
pub mod diagnostic;
mod documents;
mod draft;
mod load;
mod markdown;
pub mod mode;
mod names;
pub mod order;
mod params;
mod reader;
pub mod schema;
#[cfg(test)]
mod tests;
mod types;
mod validate;

pub use config::{
    Adapter, AgentConfig, CheckpointPolicy, Config, ForgeKind, Github, Limits, MergeMethod, Sandbox,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use documents::Documents;
pub use load::{Found, INTEGRATION, Loaded, RULES, load};
pub use markdown::architecture::method_name;
pub use markdown::discovery;
pub use mode::Mode;
pub use names::{
    LONGEST_NAME, NAME_SHAPE, glob, inside_problem, path_problem, protected, valid_name,
};
pub use types::*;
