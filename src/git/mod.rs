//! Git: the only module that uses git2 or runs the `git` program.
//!
//! git2 serves repositories, refs, objects, trees, commits and compare-and-swap; the `git` program
//! serves what libgit2 does badly (checkout with filters, sparse checkout, looking for changes).
//! Every call to either is here, so that all operations on a repository can be audited in one place.
//!
//! Nothing here ever touches the user's working tree, index, checked-out branch or configuration.
//!
//! Races: refs move by compare-and-swap only ([`Repo::swap`]); a lost race is [`GitError::Raced`],
//! and the caller reads again. Crashes: objects are written before any ref names them.

#[doc(hidden)]
pub mod bundle;
mod cli;
mod content;
mod documents;
mod objects;
mod refs;
pub mod remote;
mod remote_config;
mod worktree;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use cli::oldest_supported as oldest_git;
pub use documents::AtCommit;
pub use objects::{Change, CommitInfo, Entry, FOLDER, GITLINK, MergeOutcome, NewCommit, SYMLINK};
pub use remote_config::program_version;
pub use worktree::{Oddity, Scan, Worktree};

use crate::run::state::Person;

/// What can go wrong with git in ways a caller tells apart.
#[derive(Debug, Error)]
pub enum GitError {
    /// There is no repository here.
    #[error("{} is not inside a git repository", .0.display())]
    NotARepository(PathBuf),
    /// The repository has no working tree.
    #[error("{} is a bare repository: tasks need the files; run this in a clone of it", .0.display())]
    Bare(PathBuf),
    /// The repository is of a kind that is not supported, for the stated reason.
    #[error("this repository cannot be worked on: {0}")]
    Unsupported(String),
    /// There is no commit yet.
    #[error(
        "this repository has no commits yet; make the first one: git commit --allow-empty -m \"First commit\""
    )]
    NoCommits,
    /// Name or address for commits is missing.
    #[error(
        "git does not know who you are; tell it: git config user.name \"Your Name\" && git config user.email you@example.com"
    )]
    NoIdentity,
    /// A ref was moved by somebody else in the meantime.
    #[error("{name} was moved by somebody else")]
    Raced {
        /// The full name of the ref.
        name: String,
    },
    /// A ref's lock file stays.
    #[error("{name} is locked by another process ({}); try again when it is done, or remove the file if no git program runs", lock.display())]
    Locked {
        /// The full name of the ref.
        name: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// The `git` program failed.
    #[error("{command} failed: {detail}")]
    Program {
        /// The command line.
        command: String,
        /// What it printed to stderr, or why it could not be started.
        detail: String,
    },
    /// A remote could not be used; for a push, whether it took effect is not known.
    #[error("the remote {remote} {}: {detail}", if *.denied { "does not let us in" } else { "cannot be reached" })]
    Remote {
        /// Its name.
        remote: String,
        /// It was reached, and refuses us.
        denied: bool,
        /// What git says.
        detail: String,
    },
    /// The remote has no such ref.
    #[error("the remote {remote} does not have it: {detail}")]
    NoSuchRef {
        /// Its name.
        remote: String,
        /// What git says.
        detail: String,
    },
    /// Anything libgit2 says.
    #[error("git: {0}")]
    Libgit2(#[from] git2::Error),
    /// Anything the file system says.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl GitError {
    /// Wraps an I/O error with what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Result of the functions here.
pub type Result<T, E = GitError> = std::result::Result<T, E>;

/// The user's repository.
pub struct Repo {
    inner: git2::Repository,
}

/// What `HEAD` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Short name of the branch; `None` when detached.
    pub branch: Option<String>,
    /// The commit.
    pub commit: String,
}

impl Repo {
    /// Opens the repository that `dir` is in.
    ///
    /// # Errors
    /// [`GitError::NotARepository`], [`GitError::Bare`], or [`GitError::Unsupported`] for a format
    /// that libgit2 cannot read (sha256, reftable) and for partial clones.
    pub fn discover(dir: &Path) -> Result<Self> {
        let inner = git2::Repository::discover(dir).map_err(|e| match e.code() {
            git2::ErrorCode::NotFound => GitError::NotARepository(dir.to_owned()),
            git2::ErrorCode::Owner => GitError::Unsupported(format!(
                "it belongs to another user; if you trust it: git config --global --add safe.directory {}",
                dir.display()
            )),
            _ => unsupported(&e),
        })?;
        // Git does not hash what it reads either; a state of megabytes would be hashed at every look.
        git2::opts::strict_hash_verification(false);
        if inner.is_bare() {
            return Err(GitError::Bare(inner.path().to_owned()));
        }
        let repo = Self { inner };
        repo.refuse_partial()?;
        Ok(repo)
    }

    /// Makes a repository in `dir` with a branch `main` whose first commit holds these files, which
    /// are already there on disk; sets an identity in it when the person has none.
    ///
    /// # Errors
    /// When git fails.
    pub fn create_with(dir: &Path, files: &[(String, Vec<u8>)], message: &str) -> Result<Self> {
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main").external_template(false);
        let repo = Self {
            inner: git2::Repository::init_opts(dir, &options)?,
        };
        if matches!(repo.identity(), Err(GitError::NoIdentity)) {
            let mut config = repo.inner.config()?.open_level(git2::ConfigLevel::Local)?;
            config.set_str("user.name", "You")?;
            config.set_str("user.email", "you@example.com")?;
        }
        let mut index = repo.inner.index()?;
        for (path, _) in files {
            index.add_path(Path::new(path))?;
        }
        index.write()?;
        let tree = repo.inner.find_tree(index.write_tree()?)?;
        let by = repo.identity()?;
        let signature = git2::Signature::now(&by.name, &by.email)?;
        repo.inner.commit(
            Some("refs/heads/main"),
            &signature,
            &signature,
            message,
            &tree,
            &[],
        )?;
        drop(tree);
        Ok(repo)
    }

    fn refuse_partial(&self) -> Result<()> {
        let config = self.inner.config()?.snapshot()?;
        let mut promisor = None;
        config
            .entries(Some("remote\\..*\\.promisor"))?
            .for_each(|entry| {
                promisor = entry.name().ok().map(str::to_owned);
            })?;
        match promisor {
            Some(_) => Err(GitError::Unsupported(
                "it is a partial clone, so files may be missing when an agent needs them; fetch them all: git fetch --refetch --no-filter, then git config --unset remote.origin.promisor and --unset remote.origin.partialclonefilter".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Root of the working tree.
    #[must_use]
    pub fn workdir(&self) -> &Path {
        self.inner.workdir().unwrap_or_else(|| self.inner.path())
    }

    /// The directory shared by all linked worktrees (`.git` of the main one).
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        self.inner.commondir()
    }

    /// What `HEAD` is.
    ///
    /// # Errors
    /// [`GitError::NoCommits`] on an unborn branch.
    pub fn head(&self) -> Result<Head> {
        let head = self.inner.head().map_err(|e| match e.code() {
            git2::ErrorCode::UnbornBranch | git2::ErrorCode::NotFound => GitError::NoCommits,
            _ => e.into(),
        })?;
        let branch = if head.is_branch() {
            head.shorthand().ok().map(str::to_owned)
        } else {
            None
        };
        Ok(Head {
            branch,
            commit: head.peel_to_commit()?.id().to_string(),
        })
    }

    /// The commit that `name` (a branch, tag or object id) stands for, if any.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn resolve(&self, name: &str) -> Result<Option<String>> {
        match self.inner.revparse_single(name) {
            Ok(object) => Ok(object.peel_to_commit().ok().map(|c| c.id().to_string())),
            Err(e)
                if matches!(
                    e.code(),
                    git2::ErrorCode::NotFound
                        | git2::ErrorCode::InvalidSpec
                        | git2::ErrorCode::Ambiguous
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Name and address that commits are made with.
    ///
    /// # Errors
    /// [`GitError::NoIdentity`] when neither configuration nor environment says.
    pub fn identity(&self) -> Result<Person> {
        let config = self.inner.config()?.snapshot()?;
        let get = |variable: &str, key: &str| {
            std::env::var(variable)
                .ok()
                .or_else(|| config.get_str(key).ok().map(str::to_owned))
                .filter(|v| !v.trim().is_empty())
        };
        match (
            get("GIT_AUTHOR_NAME", "user.name"),
            get("GIT_AUTHOR_EMAIL", "user.email"),
        ) {
            (Some(name), Some(email)) => Ok(Person { name, email }),
            _ => Err(GitError::NoIdentity),
        }
    }

    /// A value of git's configuration, if it is set.
    #[must_use]
    pub fn config_value(&self, key: &str) -> Option<String> {
        self.inner
            .config()
            .ok()?
            .snapshot()
            .ok()?
            .get_str(key)
            .ok()
            .map(str::to_owned)
    }

    /// Paths under `dir` whose state in the working tree or index differs from `HEAD`.
    ///
    /// # Errors
    /// When the `git` program fails.
    pub fn uncommitted(&self, dir: &str) -> Result<Vec<String>> {
        let out = cli::Git::user(self.workdir())
            .args([
                "status",
                "--porcelain=v1",
                "-z",
                "--no-renames",
                "-uall",
                "--",
                dir,
            ])
            .output()?;
        Ok(out
            .split(|b| *b == 0)
            .filter(|e| e.len() > 3)
            .map(|e| String::from_utf8_lossy(&e[3..]).into_owned())
            .collect())
    }

    /// Shows the difference between two commits to the person, through their pager.
    ///
    /// # Errors
    /// When the `git` program cannot be started.
    pub fn page_difference(&self, before: &str, after: &str) -> Result<()> {
        cli::Git::user(self.workdir())
            .args(["--paginate", "diff", before, after])
            .interactive()
    }

    /// The person's editor, as git finds it.
    #[must_use]
    pub fn editor(&self) -> String {
        let out = cli::Git::user(self.workdir())
            .args(["var", "GIT_EDITOR"])
            .output();
        let text = out
            .map(|o| String::from_utf8_lossy(&o).trim().to_owned())
            .unwrap_or_default();
        if text.is_empty() {
            "vi".to_owned()
        } else {
            text
        }
    }

    /// Whether a branch is checked out in this or a linked worktree, and where.
    ///
    /// # Errors
    /// When the worktrees cannot be listed.
    pub fn checked_out_at(&self, branch: &str) -> Result<Option<PathBuf>> {
        let full = format!("refs/heads/{branch}");
        let points_there = |git_dir: &Path| {
            std::fs::read_to_string(git_dir.join("HEAD"))
                .is_ok_and(|h| h.strip_prefix("ref: ").is_some_and(|r| r.trim() == full))
        };
        if points_there(self.common_dir()) {
            let root = self
                .common_dir()
                .parent()
                .unwrap_or_else(|| self.common_dir());
            return Ok(Some(root.to_owned()));
        }
        for name in self.inner.worktrees()?.iter().flatten().flatten() {
            if points_there(&self.common_dir().join("worktrees").join(name)) {
                let path = self.inner.find_worktree(name).map(|w| w.path().to_owned());
                return Ok(Some(path.unwrap_or_else(|_| PathBuf::from(name))));
            }
        }
        Ok(None)
    }
}

fn unsupported(e: &git2::Error) -> GitError {
    let text = e.message();
    if text.contains("object format") || text.contains("objectformat") {
        GitError::Unsupported(
            "its objects are named by sha256, which libgit2 cannot read yet".to_owned(),
        )
    } else if text.contains("refstorage") {
        GitError::Unsupported(
            "its refs are kept as reftable, which libgit2 cannot read yet; convert them: git refs migrate --ref-format=files".to_owned(),
        )
    } else {
        GitError::Unsupported(text.to_owned())
    }
}
