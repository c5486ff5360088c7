//! From order to result.

pub mod agent;
