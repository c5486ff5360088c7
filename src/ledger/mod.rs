//! The ledger: a run's state and history behind one ref, `refs/pertask/runs/<run>`.
//!
//! Each commit is one transition: its message says it in words, its tree holds the versioned state,
//! the pinned plan, configuration and prompts, and a folder for each attempt. The newest commit's
//! `state.json` is all that is needed to go on, so reading takes the same time however long the
//! history is.
//!
//! In a run on a forge the ref is the remote's, and what is here repeats it: recording is a push, which
//! moves the run's branches together with it, all or none.
//!
//! Races: the ref moves by compare-and-swap from the commit that was read; who loses gets
//! [`LedgerError::Raced`], reads again and decides again. Crashes: blobs, tree and commit are written
//! before the ref moves, so the ref names either the old state or the new one, whole.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::git::remote::{Move, Pushed, Remote};
use crate::git::{FOLDER, GitError, NewCommit, Repo};
use crate::plan::{Config, Plan};
use crate::run::decide::Standing;
use crate::run::state::{self, Person, State};

/// Where the ledgers' refs are.
pub const PREFIX: &str = "refs/pertask/runs/";

const STATE: &str = "state.json";
const PLAN: &str = "plan.json";
const CONFIG: &str = "config.json";

/// What can go wrong with a ledger in ways a caller tells apart.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Somebody else recorded something first.
    #[error("somebody else recorded a step of {0} first")]
    Raced(String),
    /// The remote will not have what was to be recorded; nothing was.
    #[error("the remote refuses to record a step of {run}: {why}")]
    Refused {
        /// The run.
        run: String,
        /// What it says.
        why: String,
    },
    /// The remote's ledger is not a continuation of what was here.
    #[error(
        "the ledger of run {run} was rewritten at the remote: here it is at {ours}, there at {theirs}, which does not follow from it; nothing was taken over. Find out who did that; to go on from theirs: git update-ref {name} {theirs}", name = format!("{PREFIX}{run}")
    )]
    Rewritten {
        /// The run.
        run: String,
        /// The commit here.
        ours: String,
        /// The commit there.
        theirs: String,
    },
    /// There is no such run.
    #[error("there is no run named {0}")]
    Unknown(String),
    /// The state was written by a newer program.
    #[error(
        "run {run} was written by a newer git-pertask (its state has version {found}, this program knows up to {known}); update git-pertask"
    )]
    Newer {
        /// The run.
        run: String,
        /// Version found.
        found: u64,
        /// Newest version known here.
        known: u32,
    },
    /// The state cannot be read.
    #[error("the ledger of run {run} cannot be read: {file} at {commit}: {why}")]
    Damaged {
        /// The run.
        run: String,
        /// The file in the ledger's tree.
        file: String,
        /// The ledger's commit.
        commit: String,
        /// What is wrong.
        why: String,
    },
    /// Anything git says.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Result of the functions here.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// The ledger of one run.
#[derive(Clone)]
pub struct Ledger<'r> {
    repo: &'r Repo,
    run: String,
    remote: Option<Remote>,
}

/// The state with the commit it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The ledger's commit.
    pub commit: String,
    /// The state in it.
    pub state: State,
}

/// One step of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The ledger's commit.
    pub commit: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Person,
    /// What happened: the first line.
    pub what: String,
    /// The rest of the message.
    pub detail: String,
}

/// All that is read of a state whose shape is not known.
#[derive(serde::Deserialize)]
struct Version {
    schema: u64,
}

/// Files that a transition adds to the ledger's tree.
pub type Files = Vec<(String, Vec<u8>)>;

/// Trees that a transition adds to the ledger's tree as folders, so that they are wherever it is.
pub type Trees = Vec<(String, String)>;

/// The names of all runs, oldest name first.
///
/// # Errors
/// When the refs cannot be read.
pub fn runs(repo: &Repo) -> Result<Vec<String>> {
    let refs = repo.refs_below(PREFIX)?;
    Ok(refs
        .into_iter()
        .filter_map(|(name, _)| Some(name.strip_prefix(PREFIX)?.to_owned()))
        .collect())
}

/// Brings the ledgers of all runs up to the remote. Those that are here alone stay.
///
/// # Errors
/// [`LedgerError::Rewritten`], after everything else was taken over; the remote cannot be reached.
pub fn fetch_all(repo: &Repo, remote: &Remote) -> Result<()> {
    growing(repo, || {
        Ok(repo.fetch_more(remote, &[format!("+{PREFIX}*:{PREFIX}*")])?)
    })
}

/// A ledger only grows: what a fetch made of one that does not is taken back.
fn growing(repo: &Repo, fetch: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = repo.refs_below(PREFIX)?;
    fetch()?;
    let mut rewritten = None;
    for (name, ours) in before {
        let Some(theirs) = repo.target(&name)? else {
            continue;
        };
        if theirs != ours && !repo.is_ancestor(&ours, &theirs)? {
            repo.swap(&name, Some(&theirs), &ours, "a ledger only grows")?;
            rewritten = Some(LedgerError::Rewritten {
                run: name.trim_start_matches(PREFIX).to_owned(),
                ours,
                theirs,
            });
        }
    }
    rewritten.map_or(Ok(()), Err)
}

impl<'r> Ledger<'r> {
    /// The ledger of `run`, whether or not it is there yet.
    #[must_use]
    pub fn of(repo: &'r Repo, run: &str) -> Self {
        Self {
            repo,
            run: run.to_owned(),
            remote: None,
        }
    }

    /// The same, kept at a remote.
    #[must_use]
    pub fn kept_at(mut self, remote: Option<Remote>) -> Self {
        self.remote = remote;
        self
    }

    /// The remote it is kept at.
    #[must_use]
    pub fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Brings what is here up to the remote: ledger, branches of the run, the base.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`] when the remote has no such run; the remote cannot be reached.
    pub fn refresh(&self, base: &str) -> Result<()> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let ours = self.ref_name();
        let name = &remote.name;
        let refspecs = [
            format!("+{ours}:{ours}"),
            format!(
                "+refs/heads/pertask/{run}/*:refs/remotes/{name}/pertask/{run}/*",
                run = self.run
            ),
            format!("+refs/heads/{base}:refs/remotes/{name}/{base}"),
        ];
        growing(self.repo, || match self.repo.fetch(remote, &refspecs) {
            Err(GitError::NoSuchRef { detail, .. }) if detail.contains(PREFIX) => {
                Err(LedgerError::Unknown(self.run.clone()))
            }
            other => Ok(other?),
        })
    }

    /// Brings the ledger alone up to the remote.
    ///
    /// # Errors
    /// As [`Ledger::refresh`].
    pub fn refresh_run(&self) -> Result<()> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let ours = self.ref_name();
        growing(self.repo, || {
            match self.repo.fetch_more(remote, &[format!("+{ours}:{ours}")]) {
                Err(GitError::NoSuchRef { .. }) => Err(LedgerError::Unknown(self.run.clone())),
                other => Ok(other?),
            }
        })
    }

    /// Full name of the ref where a branch of the run is, as far as is known here.
    fn branch_ref(&self, branch: &str) -> String {
        match &self.remote {
            Some(remote) => format!("refs/remotes/{}/{branch}", remote.name),
            None => format!("refs/heads/{branch}"),
        }
    }

    /// The commit a branch of the run is at.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn branch(&self, branch: &str) -> Result<Option<String>> {
        Ok(self.repo.target(&self.branch_ref(branch))?)
    }

    /// Where a branch of the run stands beside `ours`.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn standing(&self, branch: &str, ours: &str) -> Result<Standing> {
        Ok(self.repo.standing(&self.branch_ref(branch), ours)?)
    }

    /// Moves a branch of the run, at the remote if that is where the run is.
    ///
    /// # Errors
    /// [`GitError::Raced`] when it is elsewhere; [`LedgerError::Refused`].
    pub fn move_branch(&self, branch: &str, from: Option<&str>, to: &str, why: &str) -> Result<()> {
        let full = format!("refs/heads/{branch}");
        let Some(remote) = &self.remote else {
            return Ok(self.repo.swap(&full, from, to, why)?);
        };
        let moved = Move {
            name: full.clone(),
            from: from.map(str::to_owned),
            to: Some(to.to_owned()),
        };
        match self.repo.push(remote, &[moved])? {
            Pushed::Done => Ok(()),
            Pushed::Raced | Pushed::Unsure => Err(GitError::Raced { name: full }.into()),
            Pushed::Refused { why } => Err(LedgerError::Refused {
                run: self.run.clone(),
                why,
            }),
        }
    }

    /// The branches that a transition moves, for the push that records it. One that is not where it
    /// can be moved from is left for `decide` to look at.
    fn branch_moves(&self, before: Option<&State>, after: &State) -> Result<Vec<Move>> {
        let mut moves = Vec::new();
        let known: BTreeSet<_> = before.map(heads).unwrap_or_default().into_iter().collect();
        for (branch, head) in heads(after) {
            if known.contains(&(branch.clone(), head.clone())) {
                continue;
            }
            let at = self.branch(&branch)?;
            let forward = match at.as_deref() {
                Some(at) => at != head && self.repo.is_ancestor(at, &head)?,
                None => true,
            };
            if forward {
                moves.push(Move {
                    name: format!("refs/heads/{branch}"),
                    from: at,
                    to: Some(head),
                });
            }
        }
        Ok(moves)
    }

    fn push_step(
        &self,
        remote: &Remote,
        from: Option<&Snapshot>,
        commit: &str,
        state: &State,
    ) -> Result<()> {
        let mut moves = vec![Move {
            name: self.ref_name(),
            from: from.map(|s| s.commit.clone()),
            to: Some(commit.to_owned()),
        }];
        moves.extend(self.branch_moves(from.map(|s| &s.state), state)?);
        match self.repo.push(remote, &moves) {
            Ok(Pushed::Done) => Ok(()),
            Ok(Pushed::Raced) => Err(LedgerError::Raced(self.run.clone())),
            Ok(Pushed::Unsure) => {
                self.refresh(&state.base.branch)?;
                if self.tip()?.as_deref() == Some(commit) {
                    Ok(())
                } else {
                    Err(LedgerError::Raced(self.run.clone()))
                }
            }
            Ok(Pushed::Refused { why }) => Err(LedgerError::Refused {
                run: self.run.clone(),
                why,
            }),
            // The line may have gone dead after the remote took it: look, once.
            Err(e @ GitError::Remote { denied: false, .. }) => {
                if self.refresh(&state.base.branch).is_ok()
                    && self.tip()?.as_deref() == Some(commit)
                {
                    Ok(())
                } else {
                    Err(e.into())
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Full name of its ref.
    #[must_use]
    pub fn ref_name(&self) -> String {
        format!("{PREFIX}{}", self.run)
    }

    /// The commit its ref is at; cheap.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn tip(&self) -> Result<Option<String>> {
        Ok(self.repo.target(&self.ref_name())?)
    }

    /// The newest state.
    ///
    /// # Errors
    /// [`LedgerError::Unknown`], [`LedgerError::Newer`], [`LedgerError::Damaged`].
    pub fn read(&self) -> Result<Snapshot> {
        let commit = self
            .tip()?
            .ok_or_else(|| LedgerError::Unknown(self.run.clone()))?;
        self.at(commit)
    }

    /// The state at one of its commits.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn at(&self, commit: String) -> Result<Snapshot> {
        let bytes = self.required(&commit, STATE)?;
        let damaged = |why: String| LedgerError::Damaged {
            run: self.run.clone(),
            file: STATE.to_owned(),
            commit: commit.clone(),
            why,
        };
        let newer = |found: u64| LedgerError::Newer {
            run: self.run.clone(),
            found,
            known: state::SCHEMA,
        };
        match serde_json::from_slice::<State>(&bytes) {
            Ok(state) if state.schema > state::SCHEMA => Err(newer(state.schema.into())),
            Ok(state) => Ok(Snapshot { commit, state }),
            // A newer state need not have the shape we know.
            Err(e) => match serde_json::from_slice::<Version>(&bytes) {
                Ok(v) if v.schema > u64::from(state::SCHEMA) => Err(newer(v.schema)),
                _ => Err(damaged(e.to_string())),
            },
        }
    }

    fn required(&self, commit: &str, path: &str) -> Result<Vec<u8>> {
        self.repo
            .file(commit, path)?
            .ok_or_else(|| LedgerError::Damaged {
                run: self.run.clone(),
                file: path.to_owned(),
                commit: commit.to_owned(),
                why: "it is not there".to_owned(),
            })
    }

    fn json<T: DeserializeOwned>(&self, commit: &str, path: &str) -> Result<T> {
        let bytes = self.required(commit, path)?;
        serde_json::from_slice(&bytes).map_err(|e| LedgerError::Damaged {
            run: self.run.clone(),
            file: path.to_owned(),
            commit: commit.to_owned(),
            why: e.to_string(),
        })
    }

    /// The pinned plan.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`].
    pub fn plan(&self, commit: &str) -> Result<Plan> {
        self.json(commit, PLAN)
    }

    /// The pinned configuration.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`].
    pub fn config(&self, commit: &str) -> Result<Config> {
        self.json(commit, CONFIG)
    }

    /// A file of the ledger's tree.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn file(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.repo.file(commit, path)?)
    }

    /// Paths directly in a folder of the ledger's tree.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn list(&self, commit: &str, dir: &str) -> Result<Vec<String>> {
        Ok(self.repo.list(commit, dir)?)
    }

    /// Records the first state with the pinned plan and configuration.
    ///
    /// # Errors
    /// [`LedgerError::Raced`] when the run exists.
    pub fn create(
        &self,
        state: State,
        plan: &Plan,
        config: &Config,
        message: &str,
        by: &Person,
        at: Timestamp,
    ) -> Result<Snapshot> {
        let files = vec![
            (PLAN.to_owned(), to_json(plan)),
            (CONFIG.to_owned(), to_json(config)),
        ];
        self.write(None, state, message, (files, Vec::new()), by, at)
    }

    /// Records one transition from `from`.
    ///
    /// # Errors
    /// [`LedgerError::Raced`] when somebody else was first; nothing is recorded then.
    pub fn append(
        &self,
        from: &Snapshot,
        state: State,
        message: &str,
        files: Files,
        by: &Person,
        at: Timestamp,
    ) -> Result<Snapshot> {
        self.append_with(from, state, message, (files, Vec::new()), by, at)
    }

    /// As [`Ledger::append`], with trees beside the files.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn append_with(
        &self,
        from: &Snapshot,
        state: State,
        message: &str,
        added: (Files, Trees),
        by: &Person,
        at: Timestamp,
    ) -> Result<Snapshot> {
        self.write(Some(from), state, message, added, by, at)
    }

    /// Records a transition that changes the pinned plan and configuration.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    #[expect(clippy::too_many_arguments, reason = "one record, all of it")]
    pub fn amend(
        &self,
        from: &Snapshot,
        state: State,
        plan: &Plan,
        config: &Config,
        message: &str,
        by: &Person,
        at: Timestamp,
    ) -> Result<Snapshot> {
        let files = vec![
            (PLAN.to_owned(), to_json(plan)),
            (CONFIG.to_owned(), to_json(config)),
        ];
        self.write(Some(from), state, message, (files, Vec::new()), by, at)
    }

    fn write(
        &self,
        from: Option<&Snapshot>,
        mut state: State,
        message: &str,
        (mut files, trees): (Files, Trees),
        by: &Person,
        at: Timestamp,
    ) -> Result<Snapshot> {
        files.push((STATE.to_owned(), state_json(&mut state)));
        let edits: Vec<_> = files
            .into_iter()
            .map(|(path, bytes)| (path, Some(bytes)))
            .collect();
        let parent = from.map(|s| s.commit.as_str());
        let mut tree = self.repo.with_files(parent, &edits)?;
        if !trees.is_empty() {
            let folder = |(path, oid)| (path, Some((FOLDER, oid)));
            let folders: Vec<_> = trees.into_iter().map(folder).collect();
            tree = self.repo.with_entries(Some(&tree), &folders)?;
        }
        let parents: Vec<String> = parent.iter().map(|p| (*p).to_owned()).collect();
        let commit = self.repo.commit(&NewCommit {
            tree: &tree,
            parents: &parents,
            message,
            author: by,
            committer: by,
            time: at,
        })?;
        if let Some(remote) = &self.remote {
            self.push_step(remote, from, &commit, &state)?;
            return Ok(Snapshot { commit, state });
        }
        let why = message.lines().next().unwrap_or_default();
        match self.repo.swap(&self.ref_name(), parent, &commit, why) {
            Ok(()) => Ok(Snapshot { commit, state }),
            Err(GitError::Raced { .. }) => Err(LedgerError::Raced(self.run.clone())),
            Err(e) => Err(e.into()),
        }
    }

    /// The steps so far, newest first.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn history(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let mut at = self.tip()?;
        while let Some(commit) = at {
            let info = self.repo.commit_info(&commit)?;
            let (what, detail) = info.message.split_once('\n').unwrap_or((&info.message, ""));
            steps.push(Step {
                at: info.time,
                by: info.author,
                what: what.to_owned(),
                detail: detail.trim().to_owned(),
                commit,
            });
            at = info.parents.first().cloned();
        }
        Ok(steps)
    }
}

/// Every branch that a state names, with the commit it belongs at.
fn heads(state: &State) -> Vec<(String, String)> {
    let mut found = vec![(state.run_branch.name.clone(), state.run_branch.head.clone())];
    for item in &state.items {
        if let Some(branch) = item.branch.as_ref().filter(|_| !item.is_settled()) {
            found.push((branch.name.clone(), branch.head.clone()));
        }
        for attempt in &item.attempts {
            if let (Some(kept), Some(commit)) = (&attempt.kept, &attempt.commit) {
                found.push((kept.clone(), commit.clone()));
            }
        }
    }
    found
}

/// The state as the ledger stores it: JSON with a line for each item, so that `git diff` reads well
/// and a thousand tasks are still small.
pub fn state_json(state: &mut State) -> Vec<u8> {
    let items = std::mem::take(&mut state.items);
    // As with `to_json`: this cannot fail, and if it did, the reader would refuse what comes of it.
    let frame = serde_json::to_string(&state).unwrap_or_default();
    let mut lines = String::from("\"items\":[");
    for (item, n) in items.iter().zip(0..) {
        lines.push_str(if n == 0 { "\n" } else { ",\n" });
        lines.push_str(&serde_json::to_string(item).unwrap_or_default());
    }
    lines.push_str("\n]");
    state.items = items;
    // Inside a string the quotes would be escaped, so only the field itself is found.
    let mut text = frame.replacen("\"items\":[]", &lines, 1);
    text.push('\n');
    text.into_bytes()
}

/// A value as the ledger stores it: JSON with line breaks, so that `git diff` reads well.
#[must_use]
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    // Our own types have string keys and finite numbers only, so this cannot fail; if it ever did,
    // an empty object is refused by the reader instead of being taken for a state.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_else(|_| b"{}".to_vec());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_item_by_item_and_read_as_it_was() {
        let text = include_str!("../../tests/formats/state-1.json");
        let mut state: State = serde_json::from_str(text).unwrap();
        state.title = "\"items\":[]".to_owned();
        let before = state.clone();
        let written = state_json(&mut state);
        assert_eq!(state, before);
        let read: State = serde_json::from_slice(&written).unwrap();
        assert_eq!(read, before);
        let lines = String::from_utf8(written).unwrap().lines().count();
        assert_eq!(lines, state.items.len() + 2);
    }
}
