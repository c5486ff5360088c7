//! A model of GitHub: pull requests, what people say there, merges; slow, forgetful, and sometimes out
//! of order, as `docs/github.md` and the stateful GitHub of `tests/support/github` have it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use git_pertask::forge::words;
use git_pertask::forge::{Merging, Target};
use git_pertask::plan::MergeMethod;
use git_pertask::run::LAST;
use git_pertask::run::seen::{
    Account, Command, OwnComment, PullStanding, Seen, SeenPull, Voice, VoiceKind,
};
use jiff::Timestamp;

use super::setup::Setup;
use super::world::{Fault, LEDGER, Machine, World};

/// How old what is read may be, in milliseconds.
pub const LAG: i64 = 4_000;

/// An account with what it may do.
#[derive(Debug, Clone)]
pub struct Member {
    pub account: Account,
    pub may_write: bool,
}

/// Something said on a pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub id: String,
    pub number: u64,
    /// Index of the account.
    pub who: usize,
    pub at: Timestamp,
    pub kind: Kind,
    /// The commit whose content its author had before their eyes: what no forge remembers.
    pub before_eyes: String,
    pub altered: bool,
    /// Who reacted to it.
    pub marks: BTreeSet<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Approval { commit: String },
    Changes { commit: String },
    Dismissed,
    Comment { text: String },
}

/// A pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    pub number: u64,
    pub branch: String,
    pub base: String,
    pub author: usize,
    pub standing: PullStanding,
    pub draft: bool,
    pub head: String,
    pub title: String,
    pub body: String,
    pub said: Vec<Said>,
    pub ours: Vec<(usize, String, OwnComment)>,
    pub opened: i64,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Hub {
    pub members: Vec<Member>,
    pub pulls: Vec<Pull>,
    pub statuses: BTreeMap<String, BTreeMap<String, (String, String)>>,
    /// As they were: for readers that see what was.
    past: BTreeMap<u64, Vec<(i64, Rc<Pull>)>>,
    /// Numbers of pull requests in the merge queue, with the commit.
    pub queue: Vec<(u64, String)>,
    /// Index of the account whose token people's machines use, and the jobs'.
    tokens: (usize, usize),
    /// Approvals go when somebody pushes.
    dismisses: bool,
    pub has_queue: bool,
}

/// Index of the account of jobs.
pub const ROBOT: usize = 0;
/// Index of the account of the merge queue.
pub const QUEUE: usize = 1;
/// Index of the person who started the run.
pub const ADA: usize = 2;

impl Hub {
    pub fn new(setup: &Setup) -> Self {
        let member = |n: u64, login: &str, bot, may_write| Member {
            account: Account {
                id: n + 1,
                login: login.to_owned(),
                bot,
            },
            may_write,
        };
        Self {
            members: vec![
                member(0, "robot", true, true),
                member(1, "queue", true, true),
                member(2, "ada", false, true),
                member(3, "olive", false, true),
                member(4, "mallory", false, true),
                member(5, "peggy", false, true),
                member(6, "rose", false, false),
                member(7, "eve", false, false),
            ],
            tokens: (if setup.robot_everywhere { ROBOT } else { ADA }, ROBOT),
            dismisses: setup.dismisses,
            has_queue: setup.queue,
            ..Self::default()
        }
    }

    /// Index of the account whose token a machine has.
    pub fn token_of(&self, _: usize, machine: &Machine) -> usize {
        if machine.of_job {
            self.tokens.1
        } else {
            self.tokens.0
        }
    }

    pub fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|p| p.number == number)
    }

    pub fn pull_mut(&mut self, number: u64) -> Option<&mut Pull> {
        self.pulls.iter_mut().find(|p| p.number == number)
    }

    /// How a pull request has been since some time.
    pub fn versions(&self, number: u64, since: i64) -> Vec<Rc<Pull>> {
        let past = self
            .past
            .get(&number)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let first = past.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        past[first..]
            .iter()
            .map(|(_, pull)| Rc::clone(pull))
            .collect()
    }

    /// Every head it ever had.
    pub fn heads_of(&self, number: u64) -> Vec<String> {
        let past = self
            .past
            .get(&number)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut heads: Vec<String> = past.iter().map(|(_, p)| p.head.clone()).collect();
        heads.dedup();
        heads
    }

    /// Every head it had before some time.
    pub fn heads_before(&self, number: u64, time: i64) -> Vec<String> {
        let past = self.past.get(&number);
        let past = past.map(Vec::as_slice).unwrap_or_default();
        let past = past.iter().filter(|(at, _)| *at <= time);
        past.map(|(_, p)| p.head.clone()).collect()
    }

    /// Index of the account whose token people's machines use.
    pub fn owner(&self) -> usize {
        self.tokens.0
    }

    /// The pull request meant by a branch: the open one, else the newest.
    pub fn of_branch(&self, branch: &str) -> Option<&Pull> {
        let ours = || self.pulls.iter().rev().filter(|p| p.branch == branch);
        ours()
            .find(|p| p.standing == PullStanding::Open)
            .or_else(|| ours().next())
    }
}

impl World {
    /// Keeps how pull requests are, for readers that see what was.
    pub fn remember(&mut self) {
        let now = self.now;
        for pull in &self.hub.pulls {
            let past = self.hub.past.entry(pull.number).or_default();
            if past.last().is_none_or(|(_, last)| **last != *pull) {
                past.push((now, Rc::new(pull.clone())));
                self.effects += 1;
            }
        }
    }

    /// A ref of the remote has moved: pull requests follow.
    pub fn moved_there(&mut self, name: &str, before: Option<&str>, to: Option<&str>, by: usize) {
        if self.is_local() || name == LEDGER {
            return;
        }
        let at = self.forge_time();
        let rewritten = match (before, to) {
            (Some(before), Some(to)) => !self.git.is_in(before, to),
            _ => false,
        };
        for n in 0..self.hub.pulls.len() {
            let pull = &self.hub.pulls[n];
            if pull.standing != PullStanding::Open {
                continue;
            }
            if pull.branch == name {
                let Some(to) = to else {
                    self.audit.touched.insert(pull.number, self.now);
                    self.hub.pulls[n].standing = PullStanding::Closed;
                    continue;
                };
                // GitHub binds reviews to the commit with the same difference after a rewrite.
                let log = ".pertask/wiz/implementation-log.md";
                let rebinds = rewritten
                    && self.refs.get(&pull.base).is_some_and(|base| {
                        let patch = |head: &str| {
                            let origin = self.git.base_of(base, head);
                            self.git.patch(&origin, head, log)
                        };
                        patch(&pull.head) == patch(to)
                    });
                let old = pull.head.clone();
                let dismisses = self.hub.dismisses && !rebinds;
                let pull = &mut self.hub.pulls[n];
                to.clone_into(&mut pull.head);
                for said in &mut pull.said {
                    match &mut said.kind {
                        Kind::Approval { commit } | Kind::Changes { commit }
                            if rebinds && *commit == old =>
                        {
                            to.clone_into(commit);
                            self.audit.meets("a review moved to another commit");
                        }
                        Kind::Approval { .. } if dismisses => said.kind = Kind::Dismissed,
                        _ => {}
                    }
                }
            }
            let pull = &self.hub.pulls[n];
            if pull.base == name
                && let Some(to) = to
                && pull.branch != name
                && self.git.is_in(&pull.head, to)
                && before != Some(to)
            {
                // What a push to the base contains is taken for merged.
                let standing = PullStanding::Merged {
                    commit: to.to_owned(),
                    by: self.hub.members[by].account.clone(),
                    permitted: false,
                    at,
                };
                let number = pull.number;
                self.audit.touched.insert(number, self.now);
                if by == self.hub.owner() {
                    let at = (pull.branch.clone(), pull.head.clone());
                    self.audit.merged_by_owner.insert(at);
                }
                self.hub.pulls[n].standing = standing;
                self.note(|| {
                    format!("  forge: #{number} is in what was pushed, and merged with it")
                });
            }
        }
        self.remember();
    }

    /// What a machine's token sees of one pull request.
    fn shown(&self, viewer: usize, pull: &Pull) -> SeenPull {
        let account = |n: usize| self.hub.members[n].account.clone();
        let may = |n: usize| self.hub.members[n].may_write && !self.hub.members[n].account.bot;
        let standing = match &pull.standing {
            PullStanding::Merged { commit, by, at, .. } => PullStanding::Merged {
                commit: commit.clone(),
                by: by.clone(),
                permitted: self
                    .hub
                    .members
                    .iter()
                    .any(|m| m.account == *by && m.may_write && !by.bot),
                at: *at,
            },
            other => other.clone(),
        };
        let mut voices: Vec<Voice> = Vec::new();
        for said in &pull.said {
            let mut text = String::new();
            let kind = match &said.kind {
                Kind::Approval { commit } => VoiceKind::Approval {
                    commit: commit.clone(),
                },
                Kind::Changes { commit } => VoiceKind::ChangesRequested {
                    commit: commit.clone(),
                },
                Kind::Dismissed => VoiceKind::Dismissed,
                Kind::Comment { text: said } => {
                    text.clone_from(said);
                    match words::read(said) {
                        None => continue,
                        Some(read) => VoiceKind::Command(command(read)),
                    }
                }
            };
            voices.push(Voice {
                id: said.id.clone(),
                number: said.number,
                by: account(said.who),
                permitted: may(said.who),
                at: said.at,
                altered: said.altered,
                text,
                url: format!("https://hub/{}", said.id),
                kind,
                marked: said.marks.contains(&viewer),
            });
        }
        // Reviews first, then comments, and then by time: as `look::read` does it.
        voices.sort_by_key(|v| matches!(v.kind, VoiceKind::Command(_)));
        voices.sort_by_key(|v| v.at);
        let ours = pull
            .ours
            .iter()
            .filter(|(who, _, _)| *who == viewer || *who == pull.author)
            .map(|(_, marker, comment)| (marker.clone(), comment.clone()))
            .collect();
        let mergeable = self.refs.get(&pull.base).map(|base| {
            let origin = self.git.base_of(base, &pull.head);
            let (a, b) = (self.git.tree_of(base), self.git.tree_of(&pull.head));
            let root = self.git.tree_of(&origin);
            let theirs = self.git.changes(&root, &a);
            let ours = self.git.changes(&root, &b);
            !ours.iter().any(|(piece, _, to)| {
                theirs
                    .iter()
                    .any(|(other, _, was)| other == piece && was != to)
            })
        });
        SeenPull {
            number: pull.number,
            id: format!("PR{}", pull.number),
            url: format!("https://hub/pull/{}", pull.number),
            author: account(pull.author),
            standing,
            draft: pull.draft,
            head: pull.head.clone(),
            base: pull.base.clone(),
            title: pull.title.clone(),
            body: pull.body.clone(),
            statuses: self
                .hub
                .statuses
                .get(&pull.head)
                .cloned()
                .unwrap_or_default(),
            mergeable,
            voices,
            ours,
            ..SeenPull::default()
        }
    }

    /// What is there, or was some seconds ago.
    pub fn look_at(&mut self, viewer: usize, targets: &[Target]) -> Seen {
        let stale = self.fault(Fault::Stale);
        let until = if stale {
            let back = self.random.between(0, LAG);
            self.note(|| format!("  forge: shows what was {back} ms ago"));
            self.now - back
        } else {
            self.now
        };
        let mut seen = Seen {
            at: self.forge_time(),
            viewer: self.hub.members[viewer].account.clone(),
            ..Seen::default()
        };
        for target in targets {
            let number = match target.number {
                Some(number) => Some(number),
                None => self.hub.of_branch(&target.branch).map(|p| p.number),
            };
            let Some(number) = number else { continue };
            let pull = if stale {
                let past = self.hub.past.get(&number);
                let then = past.and_then(|p| p.iter().rev().find(|(at, _)| *at <= until));
                match then {
                    Some((_, pull)) => Rc::clone(pull),
                    None => continue,
                }
            } else {
                match self.hub.pull(number) {
                    Some(pull) => Rc::new(pull.clone()),
                    None => continue,
                }
            };
            let shown = self.shown(viewer, &pull);
            if target.key == LAST {
                seen.last = Some(shown);
            } else {
                seen.pulls.insert(target.key.clone(), shown);
            }
        }
        seen
    }

    /// Merges a pull request at `head`, in the name of an account.
    pub fn merge_pull(
        &mut self,
        number: u64,
        head: &str,
        method: MergeMethod,
        by: usize,
    ) -> Merging {
        let Some(pull) = self.hub.pull(number).cloned() else {
            return Merging::Moved;
        };
        if pull.standing != PullStanding::Open || pull.head != head {
            return Merging::Moved;
        }
        if pull.draft {
            return Merging::Held("it is a draft".to_owned());
        }
        let Some(base) = self.refs.get(&pull.base).cloned() else {
            return Merging::Moved;
        };
        if self.git.is_in(head, &base) {
            return Merging::Held("there is nothing to merge".to_owned());
        }
        let (tree, conflicts) = self.git.merge(&base, head);
        if !conflicts.is_empty() {
            return Merging::Held("it conflicts with the run branch".to_owned());
        }
        let at = self.forge_time();
        let name = self.hub.members[by].account.login.clone();
        let commit = match method {
            MergeMethod::Squash => self.git.commit(&tree, &[base], &name, at),
            MergeMethod::Merge => self.git.commit(&tree, &[base, head.to_owned()], &name, at),
            MergeMethod::Rebase => {
                let own = self.git.first_parents(&base, head);
                let linear = own.iter().all(|c| self.git.get(c).parents.len() == 1);
                if !linear {
                    return Merging::Held("it cannot be rebased".to_owned());
                }
                let mut at_commit = base.clone();
                for commit in own {
                    let (tree, _) = self.git.merge(&base, &commit);
                    at_commit = self.git.commit(&tree, &[at_commit], &name, at);
                }
                at_commit
            }
        };
        let standing = PullStanding::Merged {
            commit: commit.clone(),
            by: self.hub.members[by].account.clone(),
            permitted: false,
            at,
        };
        self.note(|| format!("  forge: #{number} is merged by {name} as {}", &commit[..6]));
        self.audit.touched.insert(number, self.now);
        if by == self.hub.owner() {
            let at = (pull.branch.clone(), head.to_owned());
            self.audit.merged_by_owner.insert(at);
        }
        if let Some(pull) = self.hub.pull_mut(number) {
            pull.standing = standing;
        }
        self.set_ref(&pull.base, Some(&commit), by);
        Merging::Done(commit)
    }

    /// Whether any of these pull requests has changed since.
    pub fn changed_since(&self, numbers: &[u64], at: i64) -> bool {
        numbers.iter().any(|n| {
            let past = self.hub.past.get(n).and_then(|p| p.last());
            past.is_some_and(|(last, _)| *last >= at)
        })
    }

    /// Whether an account may decide now, or might at any moment since.
    pub fn permitted_since(&self, who: usize, since: i64) -> bool {
        let changes = &self.audit.permissions;
        self.hub.members[who].may_write
            || changes
                .iter()
                .any(|(at, n, may)| *n == who && !may && *at >= since)
    }

    /// Whether an account may decide now, and might at every moment since.
    pub fn always_permitted_since(&self, who: usize, since: i64) -> bool {
        let changes = &self.audit.permissions;
        self.hub.members[who].may_write
            && !changes.iter().any(|(at, n, _)| *n == who && *at >= since)
    }

    /// Whether an account might ever decide.
    pub fn ever_permitted(&self, who: usize) -> bool {
        let member = &self.hub.members[who];
        !member.account.bot && self.permitted_since(who, i64::MIN)
    }

    /// The merge queue merges what it has.
    pub fn run_queue(&mut self) {
        let queue = std::mem::take(&mut self.hub.queue);
        for (number, head) in queue {
            self.audit.meets("a merge queue");
            self.merge_pull(number, &head, MergeMethod::Squash, QUEUE);
        }
    }
}

fn command(read: Result<words::Command, words::Misread>) -> Command {
    match read {
        Ok(words::Command::Approve { sha }) => Command::Approve { commit: sha },
        Ok(words::Command::Revise { text }) => Command::Revise { text },
        Ok(words::Command::Retry { fresh }) => Command::Retry { fresh },
        Ok(words::Command::Skip { why }) => Command::Skip { why },
        Ok(words::Command::Abort) => Command::Abort,
        Ok(words::Command::Status) => Command::Status,
        Err(misread) => Command::Misread {
            hint: misread.help(None),
        },
    }
}
