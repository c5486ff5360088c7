//! Forges: where checkpoints happen and tasks are merged.
//!
//! A forge reports what is there and what people said, shows what it is told to show, and merges.
//! What follows from it is decided elsewhere, the same for all.

pub mod feedback;
pub mod github;
mod local;
pub mod spoken;
pub mod words;

use crate::git::Repo;
use crate::git::remote::Remote;
use crate::plan::{ForgeKind, Plan};
use crate::run::seen::{Seen, SeenPull, Voice};
use crate::run::state::{Item, Person, State, ThreadRef, Workflow};

pub use local::Local;

/// A pull request to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Key of the item.
    pub key: String,
    /// The branch it comes from.
    pub branch: String,
    /// Its number, once it is known.
    pub number: Option<u64>,
}

/// What a pull request should show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The branch it comes from.
    pub branch: String,
    /// The commit that branch is at.
    pub head: String,
    /// The branch it goes to.
    pub base: String,
    /// Title.
    pub title: String,
    /// Body: what of it is ours.
    pub body: String,
    /// Not for review yet.
    pub draft: bool,
    /// Labels it has at least.
    pub labels: Vec<String>,
    /// Who is to be asked to review, if nobody asked them yet.
    pub reviewers: Vec<String>,
    /// Commit statuses of the head: context, state, description.
    pub statuses: Vec<(String, String, String)>,
    /// The one comment that says how it stands: its marker and its text.
    pub progress: Option<(String, String)>,
    /// Comments that stand there once, by the line that they are found again by, which they begin with.
    pub said: Vec<(String, String)>,
    /// Check run with notes on lines, where the token may make one.
    pub notes: Option<Notes>,
}

/// A check run with notes on lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// Its name.
    pub name: String,
    /// `success` or `failure`.
    pub conclusion: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// The notes.
    pub lines: Vec<LineNote>,
}

/// A note on lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineNote {
    /// Path from the root.
    pub path: String,
    /// First line, from 1.
    pub start: u32,
    /// Last line.
    pub end: u32,
    /// `notice`, `warning` or `failure`.
    pub level: String,
    /// One line.
    pub title: String,
    /// Text.
    pub message: String,
}

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merging {
    /// It is merged: the commit on the run branch.
    Done(String),
    /// It is not, for a reason that must go away first.
    Held(String),
    /// It is not as it was when it was looked at.
    Moved,
}

/// What reviewers ask for, as a prompt quotes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The text.
    pub text: String,
    /// The threads in it, in the order of their numbers.
    pub threads: Vec<ThreadRef>,
}

/// What is said in a review thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The thread.
    pub thread: ThreadRef,
    /// The line by which it is found again.
    pub marker: String,
    /// The text, marker included.
    pub text: String,
}

/// Whether an error may pass when everything is looked at again: the forge or the remote could not be
/// reached, or it is not known what came of a call.
#[must_use]
pub fn is_passing(error: &anyhow::Error) -> bool {
    use crate::git::GitError;
    use crate::ledger::LedgerError;
    let of_git = |e: &GitError| matches!(e, GitError::Remote { denied: false, .. });
    error.chain().any(|cause| {
        cause.downcast_ref::<GitError>().is_some_and(of_git)
            || matches!(cause.downcast_ref::<LedgerError>(), Some(LedgerError::Git(e)) if of_git(e))
            || cause
                .downcast_ref::<github::ApiError>()
                .is_some_and(github::ApiError::is_temporary)
    })
}

/// Whether an error is a rate limit that lasts longer than we wait.
#[must_use]
pub fn is_limit(error: &anyhow::Error) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|c| c.downcast_ref::<github::ApiError>());
    causes.any(|e| matches!(e, github::ApiError::Limited { .. }))
}

/// The words of a review or comment, cleaned.
#[must_use]
pub fn plain(voice: &Voice) -> String {
    crate::text::clipped(crate::text::lines(&voice.text), 4_000)
}

/// What a forge is asked by the driver.
pub trait Forge {
    /// The remote where run and branches are kept; `None`: in this repository.
    fn remote(&self) -> Option<&Remote>;

    /// The repository's page, e.g. `https://github.com/octocat/hello`; `None` where there is none.
    fn web(&self) -> Option<String>;

    /// What is there now. `None` where there is nothing to look at.
    ///
    /// # Errors
    /// When the forge cannot be asked, or what it says makes going on impossible.
    fn look(&mut self, targets: &[Target]) -> anyhow::Result<Option<Seen>>;

    /// Whether anything has changed since it was last asked, without asking for it all.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    fn changed(&mut self, seen: &Seen) -> anyhow::Result<bool>;

    /// Whether a workflow run is over, so that none of its jobs will hand in anything any more. False
    /// as well when that cannot be found out.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    fn is_over(&mut self, workflow: &Workflow) -> anyhow::Result<bool>;

    /// Merges an approved item into the run branch. Moves no ref that the ledger can restore.
    ///
    /// # Errors
    /// When the forge cannot be asked, or it is not known what came of it.
    fn merge(
        &mut self,
        plan: &Plan,
        state: &State,
        item: &Item,
        by: &Person,
        pull: Option<&SeenPull>,
    ) -> anyhow::Result<Merging>;

    /// Whether a pull request shows something else than it should.
    fn differs(&self, page: &Page, pull: Option<&SeenPull>) -> bool;

    /// Makes a pull request show what it should, opening it if there is none; returns it as it then
    /// is, and what could not be done though the rest could.
    ///
    /// # Errors
    /// When the forge cannot be asked, or it is not known what came of it.
    fn show(
        &mut self,
        page: &Page,
        pull: Option<&SeenPull>,
    ) -> anyhow::Result<(SeenPull, Vec<String>)>;

    /// Closes a pull request without a merge.
    ///
    /// # Errors
    /// As [`Forge::show`].
    fn close(&mut self, pull: &SeenPull) -> anyhow::Result<()>;

    /// Tells somebody that a comment was acted on: with a mark, and with a reply (its marker and its
    /// text) where there is something to say.
    ///
    /// # Errors
    /// As [`Forge::show`].
    fn answer(
        &mut self,
        pull: &SeenPull,
        voice: &Voice,
        followed: bool,
        reply: Option<(String, String)>,
    ) -> anyhow::Result<()>;

    /// What these reviews ask for, with their threads.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    fn asked_for(&mut self, pull: &SeenPull, reviews: &[Voice]) -> anyhow::Result<Asked>;

    /// Says in each thread what was done about it, where that does not stand there already. Returns
    /// what could not be said, in words.
    ///
    /// # Errors
    /// As [`Forge::show`].
    fn reply(&mut self, pull: &SeenPull, replies: &[Reply]) -> anyhow::Result<Vec<String>>;

    /// Says something on a pull request under the person's own name.
    ///
    /// # Errors
    /// As [`Forge::show`].
    fn say(&mut self, pull: &SeenPull, text: &str) -> anyhow::Result<()>;
}

/// The forge of this kind, for a repository.
///
/// # Errors
/// When this program cannot serve it.
pub fn open<'r>(
    kind: ForgeKind,
    repo: &'r Repo,
    patience: github::Patience,
) -> anyhow::Result<Box<dyn Forge + 'r>> {
    match kind {
        ForgeKind::Local => Ok(Box::new(Local::new(repo))),
        ForgeKind::Github => Ok(Box::new(github::GitHub::open(repo, patience)?)),
    }
}
