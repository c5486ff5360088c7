//! `git-pertask` lets coding agents into a repository one reviewed task at a time.
//!
//! The map of the house, from the ground up; lower modules never import higher ones:
//!
//! | module | what it is for |
//! |---|---|
//! | [`effect`] | the one place every lasting effect goes through, numbered |
//! | [`plan`] | what the job is: plan, tasks, order, mode, template; pure |
//! | [`prompt`] | what an agent is told: templates a project may replace; pure |
//! | [`rules`] | P0 rules on syntax trees; pure |
//! | [`run`] | the run's state and `decide`; pure, no I/O, no clock of its own |
//! | [`git`] | the only module that uses git2 or runs git |
//! | [`ledger`] | the one ref: versioned state, compare-and-swap, history |
//! | [`demo`] | the sample repository and the scripted agent of `git pertask demo` |
//! | [`attempt`] | order to result: workspace, agent, checks |
//! | [`report`] | terminal and Markdown: views of the state; pure |

pub mod attempt;
pub mod demo;
pub mod effect;
pub mod git;
pub mod ledger;
pub mod plan;
pub mod prompt;
pub mod report;
pub mod rules;
pub mod run;
