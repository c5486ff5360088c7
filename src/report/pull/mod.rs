//! What GitHub shows of a run: titles, bodies and comments of its pull requests.
//!
//! Pure: texts are rendered from the state and what only git or the forge know. Everything of ours
//! stands between markers, so that what people write around it stays. What agents, compilers and
//! people wrote is shown as text and nothing else ([`super::markdown`]): it calls nobody, refers to
//! nothing, closes nothing and cannot forge a marker. Whatever comes in, a text stays below
//! [`MOST`] bytes, and so below GitHub's 65,536 characters; what is left out is said, with the
//! command that shows it.

mod body;
mod last;
mod links;
mod parts;
mod progress;
mod region;
mod replies;
mod status;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::clean;
use super::words;
use crate::plan::Plan;
use crate::run::order::AttemptResult;
use crate::run::state::{Attempt, Item, Phase, State};
use crate::run::{BATCH, P0, REPAIR};

pub use body::{body, body_within, fitted};
pub use last::{last_body, last_fitted, last_title};
pub use links::Links;
pub use progress::{progress, progress_marker};
pub use replies::{
    Answer, Near, Settled, ThreadReply, answer_marker, command_answer, dismissed_answer,
    dismissed_marker, moved_answer, reply_marker, thread_reply,
};
pub use status::{Annotation, CheckState, Level, StatusLine, annotations, status};
pub use tasks::{tasks_block, updated_tasks};

pub(in crate::report) use parts::pull as pull_link;
pub(in crate::report) use tasks::{counts, graph};

/// Most bytes of a text of ours. GitHub refuses bodies above 65,536 characters.
pub const MOST: usize = 60_000;

/// Most characters that GitHub takes in a body.
const GITHUB_MOST: usize = 65_536;

/// Most characters that GitHub takes in a title.
const TITLE_MOST: usize = 256;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRef {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// Everything that the texts of one item's pull request are made of.
#[derive(Debug, Clone, Copy)]
pub struct Sheet<'a> {
    /// The run.
    pub state: &'a State,
    /// The item.
    pub item: &'a Item,
    /// The pinned plan.
    pub plan: &'a Plan,
    /// The result of the latest work, for the output of its checks.
    pub result: Option<&'a AttemptResult>,
    /// Known pull requests by the last part of their branch ([`Item::branch_leaf`]; `main` for the
    /// final one).
    pub pulls: &'a BTreeMap<String, PullRef>,
    /// Addresses.
    pub links: &'a Links,
    /// The difference that a failed attempt's kept work makes.
    pub kept_patch: Option<&'a str>,
    /// Whether the pull request's author may decide by comment (`author_may_approve`).
    pub author_may_approve: bool,
    /// How many approvals it takes.
    pub approvals: u32,
}

impl<'a> Sheet<'a> {
    /// The attempt that is shown: the latest of an agent or a person.
    fn attempt(&self) -> Option<&'a Attempt> {
        self.item.latest_work()
    }

    /// The commit that holds the work shown, if it is anywhere.
    fn commit(&self) -> Option<&'a str> {
        let stopped = is_draft(self.item);
        let attempt = self.attempt().and_then(|a| a.commit.as_deref());
        let head = self.item.branch.as_ref().map(|b| b.head.as_str());
        let found = if stopped { attempt } else { head.or(attempt) };
        found.filter(|c| !c.is_empty())
    }

    /// `git pertask show wiz client`, without backticks.
    fn show(&self) -> String {
        show(self.state, self.item)
    }
}

fn show(state: &State, item: &Item) -> String {
    format!(
        "git pertask show {} {}",
        clean::line(&state.run),
        clean::line(&item.key)
    )
}

/// Whether the item's pull request is a draft: the item failed, is blocked, or its agent asks.
#[must_use]
pub fn is_draft(item: &Item) -> bool {
    matches!(item.phase, Phase::Failed { .. } | Phase::Blocked { .. })
}

/// Whether the item is none of the plan's tasks, but made when these were done.
fn is_extra(item: &Item) -> bool {
    crate::run::is_extra(&item.key)
}

/// Number of the plan's tasks.
fn total(state: &State) -> usize {
    let items = state.items.iter().filter(|i| !is_extra(i));
    items.map(|i| i.tasks.len()).sum()
}

/// The item in a few words, without its number: `HTTP client`, `P0 validation`.
pub(in crate::report) fn name(state: &State, item: &Item) -> String {
    let title = match item.tasks.as_slice() {
        _ if item.key == P0 => "P0 validation",
        _ if item.key == REPAIR => "Repair after the final review",
        [task] => &task.title,
        _ => &state.title,
    };
    let title = clean::line(title);
    if item.round > 1 {
        format!("{title}, round {}", item.round)
    } else {
        title
    }
}

/// Its number among the plan's tasks: `2/4`, `1-4/4`; none for what is none of them.
fn number(state: &State, item: &Item) -> Option<String> {
    if is_extra(item) {
        return None;
    }
    let total = total(state);
    let which = match item.tasks.as_slice() {
        [first, .., last] => format!("{}-{}", first.position, last.position),
        [task] => task.position.to_string(),
        [] => item.position.to_string(),
    };
    Some(format!("{which}/{total}"))
}

/// The title of an item's pull request: `[wiz 2/4] HTTP client`.
#[must_use]
pub fn title(state: &State, item: &Item) -> String {
    let run = clean::line(&state.run);
    let which = number(state, item).map_or_else(String::new, |n| format!(" {n}"));
    let said = format!("[{run}{which}] {}", name(state, item));
    words::cut(&said, TITLE_MOST)
}

/// What the pull request's page is called in a sentence: `Task 2 of 4`, `All 4 tasks`.
fn heading(state: &State, item: &Item) -> String {
    let total = total(state);
    match item.tasks.as_slice() {
        _ if item.key == P0 => "P0 validation".to_owned(),
        _ if item.key == REPAIR => "Repair".to_owned(),
        _ if item.key == BATCH => format!("All {total} tasks"),
        [task] => format!("Task {} of {total}", task.position),
        tasks => format!("{} of {total} tasks", tasks.len()),
    }
}

/// `old`, the body as it is now, with our region replaced by `new` as [`body`] or [`last_body`]
/// made it. What people wrote around it stays. `None` when nothing differs.
#[must_use]
pub fn updated(old: &str, new: &str) -> Option<String> {
    region::replaced(old, new, region::WHOLE, true)
}

/// A line of ours by which a comment is found again; nothing in `name` can end it early.
fn marker(kind: &str, name: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || " /-_.=:".contains(*c);
    let name: String = name.chars().filter(plain).take(300).collect();
    format!("<!-- pertask:{kind} {} -->", name.trim())
}

/// How much each kind of foreign text may take, in characters or entries.
#[derive(Debug, Clone, Copy)]
struct Caps {
    /// All check outputs together.
    output: usize,
    /// The patch of kept work.
    patch: usize,
    /// Entries of one list.
    entries: usize,
    /// One text.
    text: usize,
    /// The log entry.
    log: usize,
    /// Rows and nodes of the tasks' block.
    tasks: usize,
}

/// From roomy to tight; the outputs give way first, then the lists, then the texts.
const CAPS: [Caps; 6] = [
    Caps::new(24_000, 12_000, 60, 2_000, 12_000, 60),
    Caps::new(12_000, 6_000, 60, 2_000, 8_000, 60),
    Caps::new(4_000, 2_000, 40, 1_000, 4_000, 60),
    Caps::new(1_000, 500, 20, 400, 0, 40),
    Caps::new(0, 0, 8, 160, 0, 20),
    Caps::new(0, 0, 3, 80, 0, 6),
];

impl Caps {
    const fn new(
        output: usize,
        patch: usize,
        entries: usize,
        text: usize,
        log: usize,
        tasks: usize,
    ) -> Self {
        Self {
            output,
            patch,
            entries,
            text,
            log,
            tasks,
        }
    }
}

/// The first rendering of at most `most` bytes, from roomy to tight; else `least`.
fn fit(most: usize, render: &dyn Fn(Caps) -> String, least: &dyn Fn() -> String) -> String {
    CAPS.iter()
        .map(|caps| render(*caps))
        .find(|text| text.len() <= most)
        .unwrap_or_else(least)
}
