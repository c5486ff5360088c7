//! `git-pertask` lets coding agents into a repository one reviewed task at a time.
//!
//! The map of the house, from the ground up; lower modules never import higher ones:
//!
//! | module | what it is for |
//! |---|---|
//! | [`plan`] | what the job is: plan, tasks, order, mode, template; pure |
//! | [`rules`] | P0 rules on syntax trees; pure |
//! | [`run`] | the run's state and `decide`; pure, no I/O, no clock of its own |
//! | [`git`] | the only module that uses git2 or runs git |
//! | [`attempt`] | order to result: workspace, agent, checks |

pub mod attempt;
pub mod plan;
pub mod rules;
pub mod run;
