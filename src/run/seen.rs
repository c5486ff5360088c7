//! What a forge shows of a run: pull requests and what people said there, as data.
//!
//! Gathered anew at every look and never stored: what of it counts is decided here and in
//! [`super::approval`], what was acted on is remembered in the state by its id.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A look at a run's pull requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// When, by the forge's clock.
    pub at: Timestamp,
    /// The account whose token is used.
    pub viewer: Account,
    /// Pull requests of the tasks, by key of the item.
    pub pulls: BTreeMap<String, SeenPull>,
    /// The pull request from the run branch to the base.
    pub last: Option<SeenPull>,
}

/// An account of the forge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its number, which stays when it is renamed; 0 when the account is gone.
    pub id: u64,
    /// Its name.
    pub login: String,
    /// An app or a machine user of the forge, never a person.
    pub bot: bool,
}

/// A pull request as it is now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeenPull {
    /// Its number.
    pub number: u64,
    /// The forge's own id, for GraphQL.
    pub id: String,
    /// Its address.
    pub url: String,
    /// Who opened it.
    pub author: Account,
    /// Whether it is open.
    pub standing: PullStanding,
    /// Not for review yet.
    pub draft: bool,
    /// The commit it is at.
    pub head: String,
    /// The branch it goes to.
    pub base: String,
    /// Title.
    pub title: String,
    /// Body as it stands there.
    pub body: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Who is asked to review: logins, and `org/team`.
    pub asked: Vec<String>,
    /// Commit statuses of the head by context: state and description.
    pub statuses: BTreeMap<String, (String, String)>,
    /// Whether it merges cleanly; `None` while the forge has not worked it out.
    pub mergeable: Option<bool>,
    /// The forge's word for what stands in the way of a merge, e.g. `BLOCKED`.
    pub merge_state: String,
    /// What people said, oldest first.
    pub voices: Vec<Voice>,
    /// Comments that this tool made under the token's account, by their marker.
    pub ours: BTreeMap<String, OwnComment>,
    /// Comments of this token's account with a marker that an older one of ours has: marker and number.
    /// Two programs that opened the page at once wrote it twice.
    pub doubled: Vec<(String, u64)>,
}

/// Whether a pull request is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PullStanding {
    /// It is.
    #[default]
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged {
        /// The commit that came of it on the branch it goes to.
        commit: String,
        /// Who merged it.
        by: Account,
        /// Whether that account may write to the repository.
        permitted: bool,
        /// When.
        at: Timestamp,
    },
}

/// A comment of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnComment {
    /// Its number.
    pub number: u64,
    /// Its text.
    pub body: String,
}

/// Something somebody said on a pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    /// The forge's id of it.
    pub id: String,
    /// Its number.
    pub number: u64,
    /// Who.
    pub by: Account,
    /// Whether that person may write to the repository.
    pub permitted: bool,
    /// When.
    pub at: Timestamp,
    /// Somebody else changed the words since.
    pub altered: bool,
    /// The words, as they stand there.
    pub text: String,
    /// Its address.
    pub url: String,
    /// What it is.
    pub kind: VoiceKind,
    /// We have put our mark (a reaction) on it.
    pub marked: bool,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoiceKind {
    /// A review that approves.
    Approval {
        /// The commit, as the forge has it now.
        commit: String,
    },
    /// A review that asks for changes.
    ChangesRequested {
        /// The commit, as the forge has it now.
        commit: String,
    },
    /// A review that was dismissed.
    Dismissed,
    /// A comment that begins with `/pertask`.
    Command(Command),
}

/// A command in a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/pertask approve <full sha>`.
    Approve {
        /// The commit.
        commit: String,
    },
    /// `/pertask revise <text>`.
    Revise {
        /// The text.
        text: String,
    },
    /// `/pertask retry [--fresh]`.
    Retry {
        /// From the run branch.
        fresh: bool,
    },
    /// `/pertask skip <reason>`.
    Skip {
        /// The reason.
        why: String,
    },
    /// `/pertask abort`.
    Abort,
    /// `/pertask status`.
    Status,
    /// It cannot be read as any of these.
    Misread {
        /// What to write instead.
        hint: String,
    },
}
