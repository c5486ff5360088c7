//! The remote of a run on a forge: fetched from, pushed to, by the `git` program.
//!
//! Races: every push is atomic and names for each ref the commit it must be at, so it either moves all
//! of them from what was seen, or none. Crashes and lost connections: whether a push that was cut off
//! took effect is found out by fetching; nothing here repeats one.
//!
//! Branches of the remote are kept as `refs/remotes/<remote>/…`, as git itself does. No branch of the
//! person's own is made or moved.

use std::time::Duration;

use super::{GitError, Repo, Result, cli};
use crate::effect;
use crate::plant;

/// The longest that git may take for a fetch or a push with our token.
const LONGEST: Duration = Duration::from_mins(15);

/// A remote with what git needs to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name in the configuration, e.g. `origin`.
    pub name: String,
    /// Variables for git's environment that carry the token; empty when git finds its own way in.
    pub access: Vec<(String, String)>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What lets git in is nobody's to read.
        write!(f, "Remote({})", self.name)
    }
}

/// One ref that a push moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Full name at the remote.
    pub name: String,
    /// Where it must be; `None`: it must not be there.
    pub from: Option<String>,
    /// Where it goes; `None`: away.
    pub to: Option<String>,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// All refs have moved.
    Done,
    /// Somebody was first; nothing has moved.
    Raced,
    /// The remote was sent the push and says that a ref is not where it was seen. Somebody was first;
    /// or it had taken it, the connection ended before it could say so, and it went there once more:
    /// curl repeats a request by itself on a connection that it has used before. Whoever asked looks
    /// where the refs are.
    Unsure,
    /// The remote will not have it; nothing has moved.
    Refused {
        /// What the remote says, one line.
        why: String,
    },
}

impl Repo {
    /// The branch that the remote's `HEAD` names: its default branch.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn remote_default_branch(&self, remote: &Remote) -> Result<Option<String>> {
        let out = self
            .at_remote(remote)
            .args(["ls-remote", "--symref", &remote.name, "HEAD"])
            .output()
            .map_err(|e| of_remote(remote, e))?;
        let text = String::from_utf8_lossy(&out);
        Ok(text.lines().find_map(|line| {
            let target = line.strip_prefix("ref: ")?.split('\t').next()?;
            Some(target.strip_prefix("refs/heads/")?.to_owned())
        }))
    }

    /// The commit that a tag or a branch of another repository names, by its address.
    ///
    /// # Errors
    /// [`GitError::Remote`].
    pub fn commit_elsewhere(&self, address: &str, name: &str) -> Result<Option<String>> {
        let elsewhere = Remote {
            name: address.to_owned(),
            access: Vec::new(),
        };
        // A tag with a message is an object of its own, and what it is about comes with `^{}`.
        let tag = format!("refs/tags/{name}");
        let names = [format!("{tag}^{{}}"), tag, format!("refs/heads/{name}")];
        let out = self
            .at_remote(&elsewhere)
            .args(["ls-remote", "--quiet", "--", address])
            .args(&names)
            .within(longest())
            .output()
            .map_err(|e| of_remote(&elsewhere, e))?;
        let text = String::from_utf8_lossy(&out);
        let at = |name: &String| {
            let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
            lines
                .find(|(_, found)| found == name)
                .map(|(id, _)| id.to_owned())
        };
        Ok(names.iter().find_map(at))
    }

    /// Fetches these refspecs and nothing else. Local refs below their right sides that the remote
    /// does not have any more are removed.
    ///
    /// # Errors
    /// [`GitError::Remote`].
    pub fn fetch(&self, remote: &Remote, refspecs: &[String]) -> Result<()> {
        self.fetch_with(remote, refspecs, "--prune")
    }

    /// As [`Repo::fetch`]; nothing is removed.
    ///
    /// # Errors
    /// [`GitError::Remote`].
    pub fn fetch_more(&self, remote: &Remote, refspecs: &[String]) -> Result<()> {
        self.fetch_with(remote, refspecs, "--no-prune")
    }

    fn fetch_with(&self, remote: &Remote, refspecs: &[String], prune: &str) -> Result<()> {
        let run = || {
            self.at_remote(remote)
                .args([
                    "fetch",
                    "--quiet",
                    "--no-tags",
                    prune,
                    "--no-write-fetch-head",
                ])
                .args([
                    "--no-recurse-submodules",
                    "--no-auto-maintenance",
                    "--refmap=",
                ])
                .args(["--", &remote.name])
                .args(refspecs)
                .output()
        };
        self.past_locks(run)
            .map(drop)
            .map_err(|e| of_remote(remote, e))
    }

    /// Moves refs of the remote, all or none, each from where it is said to be. What the remote
    /// then has is noted under `refs/remotes`.
    ///
    /// # Errors
    /// [`GitError::Remote`] when it is not known whether it took effect, or access was denied.
    pub fn push(&self, remote: &Remote, moves: &[Move]) -> Result<Pushed> {
        let names: Vec<&str> = moves.iter().map(|m| m.name.as_str()).collect();
        let pushed = effect::perform(&format!("push {}", names.join(" ")), || {
            self.push_now(remote, moves)
        })?;
        if pushed == Pushed::Done {
            for moved in moves {
                self.note_remote(remote, &moved.name, moved.to.as_deref())?;
            }
        }
        Ok(pushed)
    }

    fn push_now(&self, remote: &Remote, moves: &[Move]) -> Result<Pushed> {
        let leases = moves.iter().map(|m| {
            let from = m.from.as_deref().unwrap_or_default();
            if plant::is("push-without-lease") {
                return "--force".to_owned();
            }
            format!("--force-with-lease={}:{from}", m.name)
        });
        let refspecs = moves
            .iter()
            .map(|m| format!("{}:{}", m.to.as_deref().unwrap_or_default(), m.name));
        let (status, stdout, stderr) = self
            .at_remote(remote)
            .args([
                "push",
                "--porcelain",
                "--atomic",
                "--no-verify",
                "--no-follow-tags",
            ])
            .args(["--no-recurse-submodules", "--no-signed"])
            .args(leases)
            .args(["--", &remote.name])
            .args(refspecs)
            .all()?;
        let (out, err) = (
            String::from_utf8_lossy(&stdout).into_owned(),
            String::from_utf8_lossy(&stderr).into_owned(),
        );
        if status == 0 {
            // Already there: somebody made the very same commit in the same second, and was first.
            let was_there = out.lines().any(|l| l.starts_with('='));
            return Ok(if was_there {
                Pushed::Raced
            } else {
                Pushed::Done
            });
        }
        let refusals: Vec<&str> = out
            .lines()
            .filter_map(|l| l.strip_prefix('!'))
            .filter_map(|l| l.split('\t').nth(2))
            // The report was lost: nothing is known.
            .filter(|r| !r.starts_with("[remote failure]"))
            .collect();
        // Who comes between the remote's look at its refs and its taking them all is told why in the
        // remote's own words alone.
        let within = refusals
            .iter()
            .any(|r| r.contains("atomic transaction failed"))
            && err.lines().any(|l| l.starts_with("remote:") && is_race(l))
            && !plant::is("race-within-is-unreachable");
        if within || refusals.iter().any(|r| is_race(r)) {
            let sent = refusals.iter().any(|r| r.starts_with("[remote rejected]"));
            return Ok(if plant::is("lost-race-is-success") {
                Pushed::Done
            } else if sent {
                Pushed::Unsure
            } else {
                Pushed::Raced
            });
        }
        let told = refusals.iter().find(|r| {
            !r.contains("atomic push failed") && !r.contains("atomic transaction failed")
        });
        if let Some(refusal) = told {
            let why = refusal
                .trim_start_matches("[remote rejected]")
                .trim_start_matches("[rejected]")
                .trim()
                .trim_start_matches('(')
                .trim_end_matches(')');
            // The remote explains itself before it refuses.
            let remote_lines = err
                .lines()
                .filter_map(|l| l.strip_prefix("remote: "))
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .take(5)
                .collect::<Vec<_>>()
                .join(" ");
            let explained = why.contains("declined");
            let why = if remote_lines.is_empty() || !explained {
                why.to_owned()
            } else {
                format!("{why}: {remote_lines}")
            };
            return Ok(Pushed::Refused { why });
        }
        Err(of_remote(
            remote,
            GitError::Program {
                command: "git push".to_owned(),
                detail: err.trim().to_owned(),
            },
        ))
    }

    /// Notes where a ref of the remote is, as a fetch would.
    fn note_remote(&self, remote: &Remote, name: &str, to: Option<&str>) -> Result<()> {
        let Some(branch) = name.strip_prefix("refs/heads/") else {
            return self.put(name, to);
        };
        self.put(&format!("refs/remotes/{}/{branch}", remote.name), to)
    }

    /// Points a ref somewhere, wherever it was: for refs that only repeat what the remote has.
    fn put(&self, full_name: &str, to: Option<&str>) -> Result<()> {
        let at = self.target(full_name)?;
        match (at, to) {
            (at, Some(to)) if at.as_deref() != Some(to) => {
                match self.swap(full_name, at.as_deref(), to, "as the remote has it") {
                    // Another process of this machine has fetched meanwhile.
                    Err(GitError::Raced { .. }) => Ok(()),
                    other => other,
                }
            }
            (Some(at), None) => match self.delete(full_name, &at) {
                Err(GitError::Raced { .. }) => Ok(()),
                other => other,
            },
            _ => Ok(()),
        }
    }

    fn at_remote(&self, remote: &Remote) -> cli::Git {
        let mut git = cli::Git::user(self.workdir());
        for (name, value) in &remote.access {
            git = git.env(name, value);
        }
        if !remote.access.is_empty() {
            git = git.within(longest());
        }
        // Our own waiting is for the remote's answer, never for a person's.
        git.env("GCM_INTERACTIVE", "never")
    }
}

/// Whether a ref was refused because it is not, or is just ceasing to be, where it was seen. What
/// git's receive-pack says of that, in its versions and with each kind of ref storage.
fn is_race(refusal: &str) -> bool {
    [
        "stale info",
        "cannot lock ref",
        "failed to lock",
        "failed to update ref",
        "incorrect old value",
        "reference already exists",
        "reference does not exist",
        "fetch first",
        "non-fast-forward",
    ]
    .iter()
    .any(|words| refusal.contains(words))
}

/// The longest that git may take; tests have less time.
fn longest() -> Duration {
    if cfg!(debug_assertions)
        && let Ok(text) = std::env::var("PERTASK_TEST_GIT_TIMEOUT_MS")
        && let Ok(ms) = text.parse()
    {
        return Duration::from_millis(ms);
    }
    LONGEST
}

/// What git said about a remote, told apart by what can be done about it. Its messages are in
/// English, because it runs with `LC_ALL=C`.
fn of_remote(remote: &Remote, error: GitError) -> GitError {
    let GitError::Program { detail, .. } = error else {
        return error;
    };
    let has = |words: &[&str]| words.iter().any(|w| detail.contains(w));
    let denied = has(&[
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "Permission denied",
        "Permission to ",
        "The requested URL returned error: 401",
        "The requested URL returned error: 403",
        "Write access to repository not granted",
    ]);
    let missing = has(&[
        "Repository not found",
        "does not appear to be a git repository",
        "The requested URL returned error: 404",
        "not found",
    ]);
    let line = detail
        .lines()
        .map(|l| {
            l.trim_start_matches("fatal: ")
                .trim_start_matches("error: ")
        })
        .find(|l| !l.trim().is_empty())
        .unwrap_or("no reason given")
        .to_owned();
    if has(&["couldn't find remote ref"]) {
        GitError::NoSuchRef {
            remote: remote.name.clone(),
            detail: line,
        }
    } else {
        GitError::Remote {
            remote: remote.name.clone(),
            denied: denied || missing,
            detail: line,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Somebody moves a ref after the remote has looked at it and before it takes ours. All that it
    /// says of the refs then is that the transaction failed.
    #[test]
    fn a_push_that_loses_within_the_remote_has_lost_a_race() {
        const LEDGER: &str = "refs/pertask/runs/wiz";
        let dir = tempfile::tempdir().unwrap();
        let files = [("a.txt".to_owned(), b"a\n".to_vec())];
        let root = dir.path().join("repo");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.txt"), "a\n").unwrap();
        let repo = Repo::create_with(&root, &files, "First").unwrap();
        let first = repo.head().unwrap().commit;
        let info = repo.commit_info(&first).unwrap();
        let later = |message: &str| {
            repo.commit(&super::super::NewCommit {
                tree: &repo.tree_of(&first).unwrap(),
                parents: std::slice::from_ref(&first),
                message,
                author: &info.author,
                committer: &info.author,
                time: info.time,
            })
            .unwrap()
        };
        let (ours, theirs) = (later("Ours"), later("Theirs"));
        let bare = dir.path().join("bare");
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(repo.workdir()).args(args);
            assert!(command.status().unwrap().success(), "{args:?}");
        };
        let place = bare.to_str().unwrap();
        git(&["init", "--quiet", "--bare", place]);
        git(&["remote", "add", "origin", place]);
        let all = [&first, &theirs].map(|c| format!("{c}:refs/heads/keep-{c}"));
        git(&["push", "--quiet", "origin", &all[0], &all[1]]);
        let remote = Remote {
            name: "origin".to_owned(),
            access: Vec::new(),
        };
        let hook = |lines: &str| {
            let path = bare.join("hooks/pre-receive");
            let text = format!("#!/bin/sh\ncat > /dev/null\nunset GIT_QUARANTINE_PATH\n{lines}\n");
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let moves = |from: Option<&String>| {
            [(LEDGER, from), ("refs/heads/pertask/wiz/main", None)].map(|(name, from)| Move {
                name: name.to_owned(),
                from: from.cloned(),
                to: Some(ours.clone()),
            })
        };
        let there = |name: &str| fs::read_to_string(bare.join(name)).ok();
        for from in [None, Some(&first)] {
            fs::remove_file(bare.join("hooks/pre-receive")).ok();
            fs::remove_file(bare.join(LEDGER)).ok();
            if from.is_some() {
                git(&["push", "--quiet", "origin", &format!("{first}:{LEDGER}")]);
            }
            hook(&format!("git update-ref {LEDGER} {theirs}"));
            assert_eq!(repo.push(&remote, &moves(from)).unwrap(), Pushed::Unsure);
            let at = there(LEDGER);
            assert_eq!(at.as_deref().map(str::trim), Some(&*theirs));
            assert_eq!(there("refs/heads/pertask/wiz/main"), None);
        }
        // It has moved since it was seen.
        fs::remove_file(bare.join("hooks/pre-receive")).unwrap();
        let raced = repo.push(&remote, &moves(Some(&first))).unwrap();
        assert_eq!(raced, Pushed::Raced);
        assert_eq!(there(LEDGER).as_deref().map(str::trim), Some(&*theirs));
        // Somebody is about to move it.
        fs::write(bare.join(Path::new(LEDGER).with_extension("lock")), "").unwrap();
        let raced = repo.push(&remote, &moves(Some(&theirs))).unwrap();
        assert_eq!(raced, Pushed::Unsure);
        fs::remove_file(bare.join(Path::new(LEDGER).with_extension("lock"))).unwrap();
        // A refusal is none.
        hook("echo not today >&2; exit 1");
        let refused = repo.push(&remote, &moves(Some(&theirs))).unwrap();
        assert!(matches!(refused, Pushed::Refused { .. }), "{refused:?}");
    }
}
