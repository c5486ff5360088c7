//! Refs: read, and moved by compare-and-swap.

use std::path::PathBuf;
use std::time::Duration;

use super::{GitError, Repo, Result};
use crate::effect;
use crate::run::decide::Standing;

impl Repo {
    /// The commit a ref points to, by its full name.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn target(&self, full_name: &str) -> Result<Option<String>> {
        match self.inner.refname_to_id(full_name) {
            Ok(oid) => Ok(Some(oid.to_string())),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Full names and targets of the refs below a prefix such as `refs/pertask/runs/`.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn refs_below(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for reference in self.inner.references_glob(&format!("{prefix}*"))? {
            let reference = reference?;
            if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
                found.push((name.to_owned(), target.to_string()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Moves a ref from `expected` (`None`: it must not exist) to `new`, or leaves it alone.
    ///
    /// A lock held by another process is waited for, for about two seconds.
    ///
    /// # Errors
    /// [`GitError::Raced`] when it is elsewhere, [`GitError::Locked`] when the lock stays.
    pub fn swap(
        &self,
        full_name: &str,
        expected: Option<&str>,
        new: &str,
        why: &str,
    ) -> Result<()> {
        let new = git2::Oid::from_str(new)?;
        let old = expected.map_or(Ok(git2::Oid::ZERO_SHA1), git2::Oid::from_str)?;
        effect::perform(&format!("move {full_name}"), || {
            self.retry_locked(full_name, || {
                self.inner
                    .reference_matching(full_name, new, true, old, why)
                    .map(drop)
            })
        })
    }

    /// Deletes a ref if it still points to `expected`.
    ///
    /// # Errors
    /// As [`Repo::swap`].
    pub fn delete(&self, full_name: &str, expected: &str) -> Result<()> {
        let old = git2::Oid::from_str(expected)?;
        effect::perform(&format!("delete {full_name}"), || {
            self.retry_locked(full_name, || {
                let mut reference = self.inner.find_reference(full_name)?;
                if reference.target() != Some(old) {
                    return Err(git2::Error::new(
                        git2::ErrorCode::Modified,
                        git2::ErrorClass::Reference,
                        "moved",
                    ));
                }
                reference.delete()
            })
        })
    }

    fn retry_locked(
        &self,
        full_name: &str,
        mut attempt: impl FnMut() -> std::result::Result<(), git2::Error>,
    ) -> Result<()> {
        let mut pause = Duration::from_millis(2);
        let mut waited = Duration::ZERO;
        loop {
            let error = match attempt() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let raced = || {
                Err(GitError::Raced {
                    name: full_name.to_owned(),
                })
            };
            match error.code() {
                git2::ErrorCode::Locked if waited < Duration::from_secs(2) => {}
                git2::ErrorCode::Locked => {
                    let lock = self.lock_file(full_name);
                    if !abandoned(&lock) {
                        return Err(GitError::Locked {
                            name: full_name.to_owned(),
                            lock,
                        });
                    }
                    tracing::warn!(lock = %lock.display(), "removing the lock of a process that is gone");
                    let _ = std::fs::remove_file(&lock);
                }
                git2::ErrorCode::Modified | git2::ErrorCode::Exists | git2::ErrorCode::NotFound => {
                    return raced();
                }
                _ => return Err(error.into()),
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn lock_file(&self, full_name: &str) -> PathBuf {
        let mut path = self.common_dir().join(full_name).into_os_string();
        path.push(".lock");
        path.into()
    }

    /// Where a ref, by its full name, stands beside `ours`.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn standing(&self, full_name: &str, ours: &str) -> Result<Standing> {
        let Some(at) = self.target(full_name)? else {
            return Ok(Standing::Missing);
        };
        if at == ours {
            return Ok(Standing::Same);
        }
        if self.is_ancestor(&at, ours)? {
            Ok(Standing::Behind { at })
        } else if self.is_ancestor(ours, &at)? {
            Ok(Standing::Ahead { at })
        } else {
            Ok(Standing::Diverged { at })
        }
    }

    /// Whether `older` is an ancestor of `newer`, or the same commit.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn is_ancestor(&self, older: &str, newer: &str) -> Result<bool> {
        let (older, newer) = (git2::Oid::from_str(older)?, git2::Oid::from_str(newer)?);
        Ok(older == newer || self.inner.graph_descendant_of(newer, older)?)
    }
}

/// A lock file of which no living process of this machine holds a descriptor, older than a second.
///
/// Git and libgit2 keep the descriptor open from creating the lock until just before the rename,
/// so an old lock that nobody has open belongs to a process that was killed.
fn abandoned(lock: &std::path::Path) -> bool {
    let Ok(lock) = lock.canonicalize() else {
        return false;
    };
    let old = lock
        .metadata()
        .and_then(|m| m.modified())
        .is_ok_and(|t| t.elapsed().is_ok_and(|age| age > Duration::from_secs(1)));
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    old && !processes.flatten().any(|process| {
        std::fs::read_dir(process.path().join("fd")).is_ok_and(|mut fds| {
            fds.any(|fd| {
                fd.is_ok_and(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
            })
        })
    })
}
