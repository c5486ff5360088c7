//! A working tree outside the user's repository, judged with a git directory the agent cannot write.
//!
//! Three places belong to a [`Worktree`]:
//! - the *tree*, which the agent sees, with a throw-away repository in its `.git` that borrows the
//!   user's objects and has no remote: what the agent does to it reaches nobody;
//! - the *judge*, a git directory beside it with an index of its own, which alone says what changed;
//! - the user's object database, into which the judge writes blobs and trees (never refs).
//!
//! Moving to another tree writes only what differs. Looking for changes is one pass over the tree:
//! modified and deleted files from `git diff`, everything else from `git ls-files --others`,
//! side by side. The index is not written by that pass, so a crash leaves nothing half-done: the
//! judge's note of the tree it is at is removed before anything runs in the tree, and without that
//! note the next [`Worktree::move_to`] starts from a full reset.

mod look;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::objects::GITLINK;
use super::{Change, Entry, GitError, Repo, Result, cli::Git};
use crate::effect;

/// A working tree with its judge.
#[derive(Debug, Clone)]
pub struct Worktree {
    tree: PathBuf,
    judge: PathBuf,
    objects: PathBuf,
}

/// What a look at the tree found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The tree as it is, ignored files left out.
    pub tree: String,
    /// Ignored files and folders that lie around, from the root.
    pub ignored: Vec<String>,
    /// What cannot be part of a tree.
    pub odd: Vec<Oddity>,
}

/// Something in the tree that cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oddity {
    /// A repository inside the tree.
    NestedRepository(String),
    /// A file that cannot be read.
    Unreadable(String),
    /// A name that is not UTF-8, or that git does not allow.
    BadName(String),
    /// A pipe, a socket or a device.
    Special(String),
}

impl Oddity {
    /// Where it is, from the root.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::NestedRepository(path)
            | Self::Unreadable(path)
            | Self::BadName(path)
            | Self::Special(path) => path,
        }
    }
}

/// Above this many differing paths a move is left to git as a whole.
const MANY: usize = 500;

/// What the judge's `HEAD` says: a branch that never is.
const HEAD: &[u8] = b"ref: refs/heads/none\n";

impl Worktree {
    /// The working tree whose places are under `home`, made if they are not there.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(repo: &Repo, home: &Path) -> Result<Self> {
        let made = |p: &Path| {
            fs::create_dir_all(p).map_err(GitError::io(format!("creating {}", p.display())))
        };
        let worktree = Self {
            tree: home.join("tree"),
            judge: home.join("judge"),
            objects: repo.common_dir().join("objects"),
        };
        made(home)?;
        worktree.stand()?;
        // Written last. Whoever is killed while writing it leaves it empty, so that it is there says
        // nothing.
        let head = worktree.judge.join("HEAD");
        if fs::read(&head).ok().as_deref() != Some(HEAD) {
            made(&worktree.judge.join("objects/info"))?;
            made(&worktree.judge.join("refs"))?;
            made(&worktree.judge.join("info"))?;
            let config = "[include]\n\tpath = content.config\n[core]\n\tsafecrlf = false\n\trepositoryformatversion = 0\n\tbare = false\n\tlogAllRefUpdates = false\n[index]\n\tversion = 4\n[gc]\n\tauto = 0\n[advice]\n\taddEmbeddedRepo = false\n";
            write(&worktree.judge.join("config"), config.as_bytes())?;
            write(
                &worktree.judge.join("objects/info/alternates"),
                format!("{}\n", worktree.objects.display()).as_bytes(),
            )?;
            write(&head, HEAD)?;
        }
        worktree.take_over_settings(repo)?;
        Ok(worktree)
    }

    /// Takes the person's settings over; when they are others than before, what is known about the
    /// tree is worth nothing.
    fn take_over_settings(&self, repo: &Repo) -> Result<()> {
        repo.copy_content_files(&self.judge)?;
        let settings = repo.content_settings()?;
        let path = self.judge.join("content.config");
        if fs::read(&path).is_ok_and(|before| before == settings.as_bytes()) {
            return Ok(());
        }
        let _ = fs::remove_file(self.note());
        write(&path, settings.as_bytes())
    }

    /// The folder the agent works in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.tree
    }

    /// Sees to it that the tree is a folder: an agent may have removed it, or put a link to another
    /// folder in its place, which would then be taken for the tree, and cleaned.
    fn stand(&self) -> Result<()> {
        if self.tree.symlink_metadata().is_ok_and(|m| m.is_dir()) {
            return Ok(());
        }
        remove_any(&self.tree)?;
        fs::create_dir_all(&self.tree)
            .map_err(GitError::io(format!("creating {}", self.tree.display())))
    }

    fn git(&self) -> Git {
        Git::separate(&self.judge, &self.tree).env("GIT_OBJECT_DIRECTORY", &self.objects)
    }

    fn note(&self) -> PathBuf {
        self.judge.join("pertask-at")
    }

    /// What the note says: the index's tree, the tree on disk, and the cone.
    fn noted(&self) -> Option<[String; 3]> {
        let text = fs::read_to_string(self.note()).ok()?;
        let mut lines = text.lines().map(str::to_owned);
        Some([
            lines.next()?,
            lines.next()?,
            lines.next().unwrap_or_default(),
        ])
    }

    fn set_note(&self, index: &str, disk: &str, sparse: &[String]) -> Result<()> {
        write(
            &self.note(),
            format!("{index}\n{disk}\n{}\n", sparse.join(" ")).as_bytes(),
        )
    }

    /// Forgets what is known about the tree: call before anything runs in it.
    fn forget_disk(&self) -> Result<()> {
        if let Some([index, _, sparse]) = self.noted() {
            write(&self.note(), format!("{index}\n?\n{sparse}\n").as_bytes())?;
        }
        Ok(())
    }

    /// Makes the tree exactly `target`, ignored and untracked leftovers removed, and gives the agent
    /// a throw-away repository in it whose branch `branch` is at `head`.
    ///
    /// # Errors
    /// When git or the file system fails (a full disk, for example).
    pub fn move_to(
        &self,
        repo: &Repo,
        target: &str,
        sparse: &[String],
        head: &str,
        branch: &str,
    ) -> Result<()> {
        effect::perform("move the workspace", || {
            self.stand()?;
            // Nobody else works here, so they are of a process that was killed.
            for lock in ["index.lock", "config.lock", "some.index.lock"] {
                let _ = fs::remove_file(self.judge.join(lock));
            }
            if let Err(error) = self.move_files(repo, target, sparse) {
                // Folders without permissions, say: a full reset makes its way through them.
                tracing::info!(%error, "moving the workspace from scratch");
                self.reset(repo, target, sparse)?;
            }
            self.agent_repository(repo, head, branch, sparse)?;
            self.forget_disk()
        })
    }

    /// Makes the tree exactly `target`; what was in it before is gone.
    fn move_files(&self, repo: &Repo, target: &str, sparse: &[String]) -> Result<()> {
        let wanted = sparse.join(" ");
        let Some([index, disk, cone]) = self.noted() else {
            return self.reset(repo, target, sparse);
        };
        if cone != wanted {
            return self.reset(repo, target, sparse);
        }
        let disk = if disk == "?" {
            // Something ran here and was not looked at: look, then treat it like a known state.
            let scan = self.look(repo, &index)?;
            if !scan.odd.is_empty() {
                return self.reset(repo, target, sparse);
            }
            self.remove(&scan.ignored)?;
            scan.tree
        } else {
            disk
        };
        let on_disk = repo.changes(&disk, target)?;
        let in_index = repo.changes(&index, target)?;
        if !is_plain(&on_disk)
            || in_index.len() > MANY
            || in_index
                .iter()
                .any(|c| is_submodule(c.before.as_ref()) || is_submodule(c.after.as_ref()))
        {
            return self.reset(repo, target, sparse);
        }
        let _ = fs::remove_file(self.note());
        effect::perform("write files of the workspace", || {
            self.write_changes(&on_disk)
        })?;
        if !in_index.is_empty() {
            let mut lines = Vec::new();
            for change in &in_index {
                match &change.after {
                    Some(e) => {
                        lines.extend(format!("{:o} {}\t{}\0", e.mode, e.oid, e.path).bytes());
                    }
                    None => {
                        lines.extend(format!("0 {}\t{}\0", "0".repeat(40), change.path).bytes());
                    }
                }
            }
            self.git()
                .args(["update-index", "-z", "--index-info"])
                .stdin(lines)
                .output()?;
        }
        self.set_note(target, target, sparse)
    }

    /// Everything anew: index, files, leftovers.
    fn reset(&self, repo: &Repo, target: &str, sparse: &[String]) -> Result<()> {
        let _ = fs::remove_file(self.note());
        make_writable(&self.tree);
        self.agent_repository_away()?;
        if sparse.is_empty() {
            let _ = fs::remove_file(self.judge.join("info/sparse-checkout"));
            self.git()
                .args(["config", "core.sparseCheckout", "false"])
                .output()?;
        } else {
            self.git()
                .args(["config", "core.sparseCheckout", "true"])
                .output()?;
            self.git()
                .args(["config", "core.sparseCheckoutCone", "true"])
                .output()?;
            self.git()
                .args(["config", "index.sparse", "true"])
                .output()?;
            write(
                &self.judge.join("info/sparse-checkout"),
                cone(sparse).as_bytes(),
            )?;
        }
        effect::perform("fill the workspace", || {
            self.git()
                .args(["read-tree", "--reset", "-u", target])
                .output()
        })?;
        // Tracked files that something changed without git noticing (a killed run) come back too.
        self.git().args(["clean", "-ffdxq"]).output()?;
        for path in self.submodules(repo, target)? {
            self.remove(std::slice::from_ref(&path))?;
            let path = self.tree.join(path);
            fs::create_dir_all(&path)
                .map_err(GitError::io(format!("creating {}", path.display())))?;
        }
        self.git()
            .args(["checkout-index", "-f", "-a", "-u", "-q"])
            .output()?;
        self.set_note(target, target, sparse)
    }

    /// Writes some entries of a tree to disk, through git so that its filters apply.
    fn write_entries(&self, entries: &[&Entry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for entry in entries {
            // A folder where a file must come, or a link on the way to it, would mislead checkout.
            self.clear_the_way(&entry.path)?;
            lines.extend(format!("{:o} {}\t{}\0", entry.mode, entry.oid, entry.path).bytes());
        }
        let index = self.judge.join("some.index");
        let _ = fs::remove_file(&index);
        let plain = || {
            self.git()
                .env("GIT_INDEX_FILE", &index)
                .args(["-c", "core.sparseCheckout=false"])
        };
        plain()
            .args(["update-index", "-z", "--add", "--index-info"])
            .stdin(lines)
            .output()?;
        plain()
            .args(["checkout-index", "-f", "-a", "-q"])
            .output()?;
        let _ = fs::remove_file(&index);
        Ok(())
    }

    fn clear_the_way(&self, path: &str) -> Result<()> {
        let mut at = self.tree.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            at.push(part);
            let Ok(meta) = at.symlink_metadata() else {
                return Ok(());
            };
            let last = parts.peek().is_none();
            if last == meta.is_dir() {
                remove_any(&at)?;
                return Ok(());
            }
        }
        Ok(())
    }

    fn remove(&self, paths: &[String]) -> Result<()> {
        paths
            .iter()
            .try_for_each(|path| remove_any(&self.tree.join(path.trim_end_matches('/'))))
    }

    fn prune_empty(&self, path: &str) {
        let mut dir = Path::new(path).parent();
        while let Some(d) = dir.filter(|d| !d.as_os_str().is_empty()) {
            if fs::remove_dir(self.tree.join(d)).is_err() {
                return;
            }
            dir = d.parent();
        }
    }

    /// Looks at what is in the tree now, compared with the tree it was last moved to.
    ///
    /// # Errors
    /// When git or the file system fails.
    pub fn scan(&self, repo: &Repo) -> Result<Scan> {
        let Some([index, _, sparse]) = self.noted() else {
            return Err(GitError::Io {
                what: format!("reading {}", self.note().display()),
                source: io::ErrorKind::NotFound.into(),
            });
        };
        self.stand()?;
        let scan = self.look(repo, &index)?;
        if scan.odd.is_empty() && scan.ignored.is_empty() {
            write(
                &self.note(),
                format!("{index}\n{}\n{sparse}\n", scan.tree).as_bytes(),
            )?;
        }
        Ok(scan)
    }

    /// Removes what is not part of the scanned tree, so that checks run on exactly what will be
    /// committed.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_leftovers(&self, scan: &Scan) -> Result<()> {
        self.remove(&scan.ignored)?;
        self.forget_disk()
    }

    /// Puts the tree back to `target`, which it was at, after something ran in it. What git ignores
    /// stays: the next command may need what the last one has built. Returns the paths that were not
    /// as they were.
    ///
    /// # Errors
    /// As [`Worktree::move_to`].
    pub fn put_back(
        &self,
        repo: &Repo,
        target: &str,
        sparse: &[String],
        head: &str,
        branch: &str,
    ) -> Result<Vec<String>> {
        let scan = self.scan(repo)?;
        let changes = repo.changes(&scan.tree, target)?;
        let odd = scan.odd.iter().map(|o| o.path().to_owned());
        let other: Vec<String> = odd.chain(changes.iter().map(|c| c.path.clone())).collect();
        if is_plain(&changes) && scan.odd.is_empty() {
            effect::perform("write files of the workspace", || {
                self.write_changes(&changes)
            })?;
            self.forget_disk()?;
        } else {
            self.move_to(repo, target, sparse, head, branch)?;
        }
        Ok(other)
    }

    /// Brings what is on disk to what it is after these changes.
    fn write_changes(&self, changes: &[Change]) -> Result<()> {
        for change in changes.iter().filter(|c| c.after.is_none()) {
            self.remove(std::slice::from_ref(&change.path))?;
            self.prune_empty(&change.path);
        }
        let written: Vec<_> = changes.iter().filter_map(|c| c.after.as_ref()).collect();
        self.write_entries(&written)
    }

    fn agent_repository_away(&self) -> Result<()> {
        remove_any(&self.tree.join(".git"))
    }

    /// The repository the agent may do with as it likes.
    fn agent_repository(
        &self,
        repo: &Repo,
        head: &str,
        branch: &str,
        sparse: &[String],
    ) -> Result<()> {
        self.agent_repository_away()?;
        let git_dir = self.tree.join(".git");
        let made = |p: PathBuf| {
            fs::create_dir_all(&p).map_err(GitError::io(format!("creating {}", p.display())))
        };
        made(git_dir.join("objects/info"))?;
        made(git_dir.join("info"))?;
        let reference = git_dir.join("refs/heads").join(branch);
        made(reference.parent().unwrap_or(&git_dir).to_owned())?;
        let mut config = String::from(
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[gc]\n\tauto = 0\n[user]\n\tname = agent\n\temail = agent@localhost\n",
        );
        if !sparse.is_empty() {
            config.push_str("[index]\n\tsparse = true\n[extensions]\n");
            config = config.replace(
                "\tbare = false\n",
                "\tbare = false\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n",
            );
            config = config.replace("[extensions]\n", "");
            write(
                &git_dir.join("info/sparse-checkout"),
                cone(sparse).as_bytes(),
            )?;
        }
        config.push_str(&repo.content_settings()?);
        repo.copy_content_files(&git_dir)?;
        write(&git_dir.join("config"), config.as_bytes())?;
        write(
            &git_dir.join("HEAD"),
            format!("ref: refs/heads/{branch}\n").as_bytes(),
        )?;
        write(&reference, format!("{head}\n").as_bytes())?;
        write(
            &git_dir.join("objects/info/alternates"),
            format!("{}\n", self.objects.display()).as_bytes(),
        )?;
        let shallow = repo.common_dir().join("shallow");
        if shallow.exists() {
            fs::copy(&shallow, git_dir.join("shallow")).map_err(GitError::io("copying shallow"))?;
        }
        let index = self.judge.join("index");
        fs::copy(&index, git_dir.join("index"))
            .map(drop)
            .map_err(GitError::io("copying the index"))
    }
}

fn is_submodule(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|e| e.mode == GITLINK)
}

/// Whether changes can be written to disk one by one.
fn is_plain(changes: &[Change]) -> bool {
    changes.len() <= MANY
        && !changes.iter().any(|c| {
            is_submodule(c.before.as_ref())
                || is_submodule(c.after.as_ref())
                || c.path.rsplit('/').next() == Some(".gitattributes")
        })
}

/// Patterns of a cone, as `git sparse-checkout set --cone` writes them.
fn cone(dirs: &[String]) -> String {
    let mut lines = vec!["/*".to_owned(), "!/*/".to_owned()];
    let mut parents = std::collections::BTreeSet::new();
    let dirs: std::collections::BTreeSet<_> = dirs
        .iter()
        .map(|d| d.trim_matches('/').to_owned())
        .filter(|d| !d.is_empty())
        .collect();
    for dir in &dirs {
        let mut at = 0;
        while let Some(slash) = dir[at..].find('/') {
            at += slash;
            parents.insert(dir[..at].to_owned());
            at += 1;
        }
    }
    for parent in parents.iter().filter(|p| !dirs.contains(*p)) {
        lines.push(format!("/{parent}/"));
        lines.push(format!("!/{parent}/*/"));
    }
    lines.extend(dirs.iter().map(|d| format!("/{d}/")));
    lines.join("\n") + "\n"
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(GitError::io(format!("writing {}", path.display())))
}

fn remove_any(path: &Path) -> Result<()> {
    let Ok(meta) = path.symlink_metadata() else {
        return Ok(());
    };
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path).or_else(|_| {
            make_writable(path);
            fs::remove_dir_all(path)
        })
    } else {
        fs::remove_file(path)
    };
    removed.map_err(GitError::io(format!("removing {}", path.display())))
}

/// Undoes what `chmod` did to folders, so that they can be read and removed (Go's module cache does
/// this to its own).
fn make_writable(path: &Path) {
    let Ok(meta) = path.symlink_metadata() else {
        return;
    };
    if !meta.is_dir() {
        return;
    }
    open_up(path, &meta);
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries
            .flatten()
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        {
            make_writable(&entry.path());
        }
    }
}

#[cfg(unix)]
fn open_up(path: &Path, meta: &fs::Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = meta.permissions();
    if permissions.mode() & 0o700 != 0o700 {
        permissions.set_mode(permissions.mode() | 0o700);
        let _ = fs::set_permissions(path, permissions);
    }
}

#[cfg(not(unix))]
fn open_up(_: &Path, _: &fs::Metadata) {}
