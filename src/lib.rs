//! `git-pertask` lets coding agents into a repository one reviewed task at a time.
//!
//! The map of the house, from the ground up; lower modules never import higher ones:
//!
//! | module | what it is for |
//! |---|---|
//! | [`effect`] | the one place every lasting effect goes through, numbered |
//! | [`plant`] | faults planted on purpose, in debug builds only |
//! | [`beneath`] | files that agents wrote, opened without following links |
//! | [`text`] | text that others wrote: cleaned, cut, quoted; pure |
//! | [`secrets`] | tokens and keys, taken out of what leaves this machine; pure but for the environment |
//! | [`plan`] | what the job is: plan, tasks, order, mode, template; pure |
//! | [`facts`] | what source code says: API, names, diagnostics; pure |
//! | [`rules`] | P0 rules on syntax trees; pure |
//! | [`run`] | the run's state and `decide`; pure, no I/O, no clock of its own |
//! | [`report`] | terminal and Markdown: views of the state; pure |
//! | [`workflow`] | the workflows for GitHub Actions that `init --github` writes; pure |
//! | [`git`] | the only module that uses git2 or runs git |
//! | [`ledger`] | the one ref: versioned state, compare-and-swap, history |
//! | [`forge`] | where checkpoints happen and tasks are merged |
//! | [`attempt`] | order to result: workspace, agent, checks |
//! | [`publish`] | result to commit, log entry, ledger |
//! | [`driver`] | the loop: gather facts, decide, act, record |
//! | [`ci`] | runs in GitHub Actions: what an event asks for, what a job prints and hands on |
//! | [`doctor`] | whether all that a run needs is there |
//! | [`demo`] | the sample repository and the scripted agent of `git pertask demo` |
//! | [`commands`] | one file per subcommand |

pub mod attempt;
pub mod beneath;
pub mod ci;
pub mod commands;
pub mod demo;
pub mod doctor;
pub mod driver;
pub mod effect;
pub mod facts;
pub mod forge;
pub mod git;
pub mod ledger;
pub mod plan;
pub mod plant;
pub mod prompt;
pub mod publish;
pub mod report;
pub mod rules;
pub mod run;
pub mod secrets;
pub mod text;
pub mod workflow;
