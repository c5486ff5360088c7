//! What source code says: the API a file offers, the names it uses, the places diagnostics name.
//!
//! Everything here is a pure function of text, read from syntax trees, so a comment or a string
//! never counts as code. Safe against any input: text that does not parse gives what is readable
//! of it, nesting is walked without recursion, and nothing panics.

mod api;
pub mod diagnostics;
mod go_mod;
mod names;
pub mod syntax;

pub use api::{ApiItem, ApiKind, api};
pub use go_mod::{go_module, go_version};
pub use names::{declared, names, uses};
