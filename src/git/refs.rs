//! Refs: read, and moved by compare-and-swap.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{GitError, Repo, Result};
use crate::effect;
use crate::plant;
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
                if plant::is("no-compare-and-swap") {
                    return self.inner.reference(full_name, new, true, why).map(drop);
                }
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
        let mut patience = Patience::default();
        loop {
            let error = match attempt() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.code() {
                git2::ErrorCode::Locked => {
                    patience.wait(self, full_name, self.lock_of(full_name))?;
                }
                git2::ErrorCode::Modified | git2::ErrorCode::Exists | git2::ErrorCode::NotFound => {
                    return Err(GitError::Raced {
                        name: full_name.to_owned(),
                    });
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// Runs the git program where it moves refs of this repository; a lock in its way is waited for,
    /// as in [`Repo::swap`].
    ///
    /// # Errors
    /// [`GitError::Locked`] when the lock stays; what `run` says.
    pub(super) fn past_locks<T>(&self, mut run: impl FnMut() -> Result<T>) -> Result<T> {
        let mut patience = Patience::default();
        loop {
            let error = match run() {
                Err(error @ GitError::Program { .. }) => error,
                other => return other,
            };
            let GitError::Program { detail, .. } = &error else {
                return Err(error);
            };
            let Some(lock) = self.lock_named_in(detail) else {
                return Err(error);
            };
            let name = lock.with_extension("");
            let name = name.strip_prefix(self.common_dir()).unwrap_or(&name);
            patience.wait(self, &name.display().to_string(), lock)?;
        }
    }

    /// Removes the lock of a process that is gone. One at a time: who looked a moment ago must not
    /// remove the lock that another has taken since.
    fn remove_abandoned(&self, lock: &Path) -> Result<()> {
        let folder = self.common_dir().join("pertask");
        let path = folder.join("locks");
        let one_at_a_time = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::File::create(&path))
            .and_then(|file| file.lock().map(|()| file))
            .map_err(GitError::io(format!("locking {}", path.display())))?;
        if abandoned(lock) {
            tracing::warn!(lock = %lock.display(), "removing the lock of a process that is gone");
            let _ = std::fs::remove_file(lock);
        }
        drop(one_at_a_time);
        Ok(())
    }

    /// The file that locks a ref: its own, or that of the refs that are packed.
    fn lock_of(&self, full_name: &str) -> PathBuf {
        let mut own = self.common_dir().join(full_name).into_os_string();
        own.push(".lock");
        let packed = self.common_dir().join("packed-refs.lock");
        if !Path::new(&own).exists() && packed.exists() {
            return packed;
        }
        own.into()
    }

    /// The lock of a ref that git says it cannot take.
    fn lock_named_in(&self, detail: &str) -> Option<PathBuf> {
        let (_, rest) = detail.split_once("Unable to create '")?;
        let (path, why) = rest.split_once("': ")?;
        let path = PathBuf::from(path);
        let common = self.common_dir();
        // Git may say it with links resolved.
        let real = common.canonicalize().unwrap_or_else(|_| common.to_owned());
        let inside = path
            .strip_prefix(common)
            .or_else(|_| path.strip_prefix(&real))
            .ok()?;
        let of_refs = inside.starts_with("refs") || inside == Path::new("packed-refs.lock");
        let is_lock = path.extension().is_some_and(|e| e == "lock");
        (of_refs && is_lock && why.starts_with("File exists")).then(|| common.join(inside))
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

/// Waits for a lock, at most about two seconds.
struct Patience {
    pause: Duration,
    waited: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(2),
            waited: Duration::ZERO,
        }
    }
}

impl Patience {
    /// Waits a little, and removes the lock if it is nobody's.
    fn wait(&mut self, repo: &Repo, name: &str, lock: PathBuf) -> Result<()> {
        if abandoned(&lock) {
            repo.remove_abandoned(&lock)?;
        } else if self.waited >= Duration::from_secs(2) {
            return Err(GitError::Locked {
                name: name.to_owned(),
                lock,
            });
        }
        std::thread::sleep(self.pause);
        self.waited += self.pause;
        self.pause = (self.pause * 2).min(Duration::from_millis(100));
        Ok(())
    }
}

/// How long a lock has to be there before it can be nobody's: many times what lies between closing and
/// renaming it, and short enough that a run goes on within a second of a kill.
const OLD: Duration = Duration::from_millis(600);

/// A lock file of which no living process of this machine holds a descriptor, older than [`OLD`].
///
/// Git and libgit2 keep the descriptor open from creating the lock until just before the rename,
/// so an old lock that nobody has open belongs to a process that was killed. What another user's
/// processes have open cannot be seen, so their locks are left alone.
fn abandoned(lock: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(lock) = lock.canonicalize() else {
        return false;
    };
    let user = rustix::process::geteuid();
    let old = lock.metadata().is_ok_and(|m| {
        let age = m.modified().ok().and_then(|t| t.elapsed().ok());
        let visible = user.is_root() || m.uid() == user.as_raw();
        visible && age.is_some_and(|age| age > OLD)
    });
    if plant::is("living-lock-is-taken") {
        return lock.exists();
    }
    if !old || plant::is("dead-lock-stays") {
        return false;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    !processes.flatten().any(|process| {
        std::fs::read_dir(process.path().join("fd")).is_ok_and(|mut fds| {
            fds.any(|fd| {
                fd.is_ok_and(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
            })
        })
    })
}
