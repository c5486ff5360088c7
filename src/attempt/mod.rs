//! From order to result.

pub mod agent;
pub mod process;
