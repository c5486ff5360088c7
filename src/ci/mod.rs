//! Runs in GitHub Actions: what an event asks for, and what a job prints and hands on.
//!
//! | module | what it is for |
//! |---|---|
//! | [`artifact`] | a result as it passes from one job to another |
//! | [`event`] | what an event asks for; pure |

pub mod artifact;
pub mod event;

pub use event::{Actor, Asks, read};
