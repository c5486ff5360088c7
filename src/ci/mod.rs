//! Runs in GitHub Actions: what an event asks for, and what a job prints and hands on.
//!
//! | module | what it is for |
//! |---|---|
//! | [`artifact`] | a result as it passes from one job to another |
//! | [`event`] | what an event asks for; pure |
//! | [`console`] | what a job prints while attempts run |
//! | [`outputs`] | what a step hands on to the next, and its part of the job summary |
//! | [`random`] | words that nobody can guess |
//! | [`schema`] | JSON Schemas of what passes between the steps |
//! | [`secrets`] | tokens and keys, taken out of what leaves this machine |

pub mod artifact;
pub mod console;
pub mod event;
pub mod outputs;
pub mod random;
pub mod schema;

pub use crate::secrets;

pub use event::{Actor, Asks, read};
