//! What the GitHub of the tests knows: plain data, cloned whole for a stale read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::bare::Bare;

/// Number of anything: GitHub counts each kind apart, here one counter serves all.
pub type Id = u64;

/// What a person may do in a repository, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// The role's own name.
    pub fn role(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older four words: `maintain` is write, `triage` is read.
    pub fn legacy(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read | Self::Triage => "read",
            Self::Write | Self::Maintain => "write",
            Self::Admin => "admin",
        }
    }
}

/// Whether an account is a person or an App.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Bot,
}

/// A user or an App's bot.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: Id,
    /// Without `[bot]`.
    pub name: String,
    pub kind: Kind,
}

impl Account {
    /// As REST says it: a bot is `name[bot]`.
    pub fn login(&self) -> String {
        match self.kind {
            Kind::User => self.name.clone(),
            Kind::Bot => format!("{}[bot]", self.name),
        }
    }

    /// The identity of commits made on the web, as `Name <address>`.
    pub fn signature(&self) -> String {
        let login = self.login();
        format!("{login} <{}+{login}@users.noreply.github.com>", self.id)
    }
}

/// A secret of an account, with what it may do.
#[derive(Debug, Clone)]
pub struct Token {
    pub account: Id,
    /// Permission (`contents`, `pull_requests`, …) to whether it may write.
    pub scopes: BTreeMap<String, bool>,
    pub expired: bool,
}

impl Token {
    /// Whether one of the alternatives of `contents=write; issues=read` is met.
    pub fn may(&self, accepted: &str) -> bool {
        accepted.split(';').any(|one| {
            let (name, access) = one.trim().split_once('=').unwrap_or((one.trim(), "read"));
            name == "metadata"
                || self
                    .scopes
                    .get(name)
                    .is_some_and(|&write| write || access == "read")
        })
    }
}

/// Rules of a branch.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a box of GitHub's page of settings"
)]
pub struct Protection {
    /// How many people with write access must approve.
    pub approvals: usize,
    /// A push to the head dismisses approvals.
    pub dismiss_stale: bool,
    /// Contexts that must have succeeded on the head.
    pub checks: Vec<String>,
    /// The head must contain the base.
    pub up_to_date: bool,
    /// Every conversation must be resolved.
    pub conversations: bool,
    /// Merges go through a queue.
    pub queue: bool,
    /// Nobody pushes to the branch directly.
    pub no_push: bool,
    /// No merge commits.
    pub linear: bool,
}

/// Whether a pull request is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullState {
    Open,
    Closed,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

impl ReviewState {
    /// As both interfaces say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
            Self::Dismissed => "DISMISSED",
        }
    }
}

/// When something was edited, and by whom.
pub type Edit = (Timestamp, Id);

/// A review of a pull request.
#[derive(Debug, Clone)]
pub struct Review {
    pub id: Id,
    pub user: Id,
    pub body: String,
    pub state: ReviewState,
    /// The head when it was given; GitHub may bind it anew, or forget it.
    pub commit: Option<String>,
    pub at: Timestamp,
    pub edited: Option<Edit>,
}

/// A remark on lines or on a file, with what was answered.
#[derive(Debug, Clone)]
pub struct Thread {
    pub id: Id,
    pub path: String,
    /// `None` when outdated, or on the file as a whole.
    pub line: Option<u64>,
    pub start_line: Option<u64>,
    pub original_line: Option<u64>,
    pub original_start_line: Option<u64>,
    pub on_file: bool,
    pub outdated: bool,
    pub resolved_by: Option<Id>,
    pub commit: String,
    pub original_commit: String,
    pub hunk: String,
    pub comments: Vec<ReviewComment>,
}

/// One remark or answer in a thread.
#[derive(Debug, Clone)]
pub struct ReviewComment {
    pub id: Id,
    pub review: Id,
    pub user: Id,
    pub body: String,
    pub at: Timestamp,
    pub edited: Option<Edit>,
    pub reply_to: Option<Id>,
}

/// A comment in the conversation of a pull request.
#[derive(Debug, Clone)]
pub struct Comment {
    pub id: Id,
    pub user: Id,
    pub body: String,
    pub at: Timestamp,
    pub edited: Option<Edit>,
    pub reactions: Vec<Reaction>,
}

/// A reaction; `content` in REST's words (`+1`, `eyes`, …).
#[derive(Debug, Clone)]
pub struct Reaction {
    pub id: Id,
    pub user: Id,
    pub content: String,
    pub at: Timestamp,
}

/// How a pull request was merged.
#[derive(Debug, Clone)]
pub struct Merged {
    pub at: Timestamp,
    pub by: Id,
    pub commit: String,
}

/// A pull request.
#[derive(Debug, Clone)]
pub struct Pull {
    pub id: Id,
    pub number: u64,
    pub author: Id,
    pub title: String,
    pub body: Option<String>,
    pub state: PullState,
    pub draft: bool,
    /// The repository that the head is in.
    pub head_repo: Id,
    pub head_ref: String,
    pub head_sha: String,
    pub base_ref: String,
    /// The base at the last push to the head.
    pub base_sha: String,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub closed: Option<Timestamp>,
    pub merged: Option<Merged>,
    pub labels: Vec<String>,
    pub requested: Vec<Id>,
    pub reviews: Vec<Review>,
    pub threads: Vec<Thread>,
    pub comments: Vec<Comment>,
    pub edited: Option<Edit>,
    /// Head and base that mergeability is known for.
    pub computed: Option<(String, String)>,
    /// In the merge queue, with the head it was put there with.
    pub queued: Option<String>,
}

impl Pull {
    /// Whether it is open.
    pub fn open(&self) -> bool {
        self.state == PullState::Open
    }
}

/// A commit status.
#[derive(Debug, Clone)]
pub struct Status {
    pub id: Id,
    pub sha: String,
    pub context: String,
    pub state: String,
    pub description: Option<String>,
    pub target_url: Option<String>,
    pub creator: Id,
    pub at: Timestamp,
}

/// A check run.
#[derive(Debug, Clone)]
pub struct CheckRun {
    pub id: Id,
    pub sha: String,
    pub name: String,
    pub app: Id,
    pub status: String,
    pub conclusion: Option<String>,
    pub started: Option<Timestamp>,
    pub completed: Option<Timestamp>,
    pub details_url: Option<String>,
    pub external_id: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    pub text: Option<String>,
    /// As they were sent.
    pub annotations: Vec<serde_json::Value>,
}

/// A label of a repository.
#[derive(Debug, Clone)]
pub struct Label {
    pub id: Id,
    pub name: String,
    pub color: String,
    pub description: String,
}

/// A `repository_dispatch` or `workflow_dispatch` that was asked for.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub by: Id,
    /// The workflow's file or number; `None` for `repository_dispatch`.
    pub workflow: Option<String>,
    /// The request's body.
    pub body: serde_json::Value,
}

/// Which branches may use an environment.
#[derive(Debug, Clone)]
pub enum Branches {
    All,
    Protected,
    Named(Vec<String>),
}

/// An environment of GitHub Actions.
#[derive(Debug, Clone)]
pub struct Environment {
    pub branches: Branches,
    /// Whether somebody approves each job.
    pub reviewed: bool,
    /// Names of its secrets.
    pub secrets: Vec<String>,
}

/// A repository.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of GitHub's"
)]
pub struct Repo {
    pub id: Id,
    pub owner: Id,
    pub name: String,
    pub bare: Bare,
    pub private: bool,
    pub archived: bool,
    pub fork_of: Option<Id>,
    pub default_branch: String,
    pub created: Timestamp,
    pub pushed: Timestamp,
    pub collaborators: BTreeMap<Id, Permission>,
    pub labels: Vec<Label>,
    pub pulls: Vec<Pull>,
    pub statuses: Vec<Status>,
    pub checks: Vec<CheckRun>,
    pub protections: BTreeMap<String, Protection>,
    pub allow_merge: bool,
    pub allow_squash: bool,
    pub allow_rebase: bool,
    pub delete_branch_on_merge: bool,
    pub actions_may_approve: bool,
    pub environments: BTreeMap<String, Environment>,
    /// File of a workflow to its state, if it is not active.
    pub workflow_states: BTreeMap<String, String>,
    pub dispatches: Vec<Dispatch>,
    /// Runs of workflows, which tests make.
    pub runs: Vec<WorkflowRun>,
    /// Branches as they were when last looked at.
    pub heads: BTreeMap<String, String>,
    /// Who is pushing at this moment.
    pub pushing: Vec<Id>,
}

impl Repo {
    /// The rules of a branch, `*` at the end of their name standing for the rest.
    pub fn protection(&self, branch: &str) -> Option<&Protection> {
        self.protections.get(branch).or_else(|| {
            self.protections.iter().find_map(|(name, rules)| {
                let start = name.strip_suffix('*')?;
                branch.starts_with(start).then_some(rules)
            })
        })
    }
}

/// A run of GitHub Actions.
#[derive(Debug, Clone)]
pub struct WorkflowRun {
    pub id: Id,
    /// From 1 on; each "re-run" is one more.
    pub attempt: u64,
    pub path: String,
    pub sha: String,
    pub event: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub at: Timestamp,
}

impl WorkflowRun {
    /// One whose jobs have not all ended.
    pub fn under_way(id: Id) -> Self {
        Self {
            id,
            attempt: 1,
            path: ".github/workflows/pertask.yml".to_owned(),
            sha: "0".repeat(40),
            event: "workflow_dispatch".to_owned(),
            status: "in_progress".to_owned(),
            conclusion: None,
            at: Timestamp::now(),
        }
    }
}

/// Time as the server tells it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
    /// Seconds by which it is ahead of the machine's.
    ahead: i64,
    /// When each person last said something.
    spoke: BTreeMap<Id, Timestamp>,
}

impl Clock {
    /// Stands still at this time.
    pub fn set(&mut self, at: Timestamp) {
        self.fixed = Some(at);
    }

    /// Now, to the second.
    pub fn now(&self) -> Timestamp {
        let now = self.fixed.unwrap_or_else(Timestamp::now).as_second();
        let ahead = if self.fixed.is_none() { self.ahead } else { 0 };
        Timestamp::from_second(now + ahead).unwrap()
    }

    /// Somebody says something. Nobody says two things in one second, unless the clock stands still:
    /// a test is faster than a person, and which of two was the last word would be chance.
    pub fn speaks(&mut self, who: Id) {
        if self.fixed.is_some() {
            return;
        }
        let now = self.now();
        if let Some(before) = self.spoke.get(&who) {
            self.ahead += (before.as_second() + 1 - now.as_second()).max(0);
        }
        self.spoke.insert(who, self.now());
    }
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// `http://127.0.0.1:PORT`
    pub address: String,
    pub clock: Clock,
    pub next: Id,
    pub accounts: BTreeMap<Id, Account>,
    pub tokens: BTreeMap<String, Token>,
    pub repos: BTreeMap<Id, Repo>,
    /// Names that repositories had, in lower case.
    pub moved: BTreeMap<String, Id>,
    /// Pull requests whose mergeability this request asked for: it is known to the next.
    pub asked: BTreeSet<(Id, u64)>,
}

impl State {
    /// A number not given before.
    pub fn fresh(&mut self) -> Id {
        self.next += 1;
        1000 + self.next
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `http://127.0.0.1:PORT/api/v3`
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.address)
    }

    /// The account of a name, with or without `[bot]`, whatever its case.
    pub fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.values().find(|a| {
            a.login().eq_ignore_ascii_case(login)
                || (a.kind == Kind::Bot && a.name.eq_ignore_ascii_case(login))
        })
    }

    /// The account of an id that is known to exist.
    pub fn who(&self, id: Id) -> &Account {
        &self.accounts[&id]
    }

    /// `owner/name` of a repository.
    pub fn full_name(&self, repo: &Repo) -> String {
        format!("{}/{}", self.who(repo.owner).login(), repo.name)
    }

    /// The repository that is called so now.
    pub fn repo_named(&self, owner: &str, name: &str) -> Option<Id> {
        self.repos
            .values()
            .find(|r| {
                r.name.eq_ignore_ascii_case(name)
                    && self.who(r.owner).login().eq_ignore_ascii_case(owner)
            })
            .map(|r| r.id)
    }

    /// The repository that was called so once, and is not any more.
    pub fn repo_moved(&self, owner: &str, name: &str) -> Option<Id> {
        self.moved
            .get(&format!("{owner}/{name}").to_lowercase())
            .copied()
    }

    /// A pull request that is known to exist.
    #[track_caller]
    pub fn pull(&self, repo: Id, number: u64) -> &Pull {
        self.find(repo, number)
            .unwrap_or_else(|| panic!("there is no pull request {number}"))
    }

    /// A pull request.
    pub fn find(&self, repo: Id, number: u64) -> Option<&Pull> {
        self.repos
            .get(&repo)?
            .pulls
            .iter()
            .find(|p| p.number == number)
    }

    /// A pull request that is known to exist, to change it.
    #[track_caller]
    pub fn pull_mut(&mut self, repo: Id, number: u64) -> &mut Pull {
        self.repos
            .get_mut(&repo)
            .unwrap()
            .pulls
            .iter_mut()
            .find(|p| p.number == number)
            .unwrap_or_else(|| panic!("there is no pull request {number}"))
    }

    /// What an account may do in a repository. A bot may what its token may.
    pub fn permission(&self, repo: &Repo, account: Id) -> Permission {
        if repo.owner == account {
            return Permission::Admin;
        }
        if self.who(account).kind == Kind::Bot {
            return Permission::Write;
        }
        let least = if repo.private {
            Permission::None
        } else {
            Permission::Read
        };
        repo.collaborators
            .get(&account)
            .copied()
            .unwrap_or(least)
            .max(least)
    }

    /// How GitHub calls somebody's relation to a repository; never a permission.
    pub fn association(&self, repo: &Repo, account: Id) -> &'static str {
        if repo.owner == account {
            "OWNER"
        } else if repo.collaborators.contains_key(&account) {
            "COLLABORATOR"
        } else if repo
            .pulls
            .iter()
            .any(|p| p.author == account && p.merged.is_some())
        {
            "CONTRIBUTOR"
        } else {
            "NONE"
        }
    }
}
