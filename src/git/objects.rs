//! Objects: files at a commit, trees with a few paths changed, commits, differences, merges.

use std::path::Path;

use jiff::Timestamp;

use super::{GitError, Repo, Result, cli};
use crate::effect;
use crate::run::state::Person;

/// A file in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root.
    pub path: String,
    /// Mode as git writes it, e.g. `0o100644`.
    pub mode: u32,
    /// The object.
    pub oid: String,
}

/// Mode of a symbolic link.
pub const SYMLINK: u32 = 0o120_000;
/// Mode of a folder.
pub const FOLDER: u32 = 0o040_000;
/// Mode of a submodule.
pub const GITLINK: u32 = 0o160_000;

/// How one path differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path from the root.
    pub path: String,
    /// What stood there before.
    pub before: Option<Entry>,
    /// What stands there now.
    pub after: Option<Entry>,
}

/// What a commit is made of.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// Its tree.
    pub tree: &'a str,
    /// Its parents, the first one first.
    pub parents: &'a [String],
    /// The whole message.
    pub message: &'a str,
    /// Author.
    pub author: &'a Person,
    /// Committer.
    pub committer: &'a Person,
    /// Time of both.
    pub time: Timestamp,
}

/// What a merge of two commits gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeOutcome {
    /// The merged tree, with conflict markers where it conflicts.
    pub tree: String,
    /// Paths in conflict.
    pub conflicts: Vec<String>,
    /// What git says about them.
    pub messages: String,
}

impl Repo {
    fn tree(&self, treeish: &str) -> Result<git2::Tree<'_>> {
        let object = self
            .inner
            .find_object(git2::Oid::from_str(treeish)?, None)?;
        Ok(object.peel_to_tree()?)
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// When the commit is missing.
    pub fn tree_of(&self, commit: &str) -> Result<String> {
        Ok(self.tree(commit)?.id().to_string())
    }

    /// The entry at `path` in a commit or tree; symbolic links are not followed.
    ///
    /// # Errors
    /// When the tree is missing.
    pub fn entry(&self, treeish: &str, path: &str) -> Result<Option<Entry>> {
        match self.tree(treeish)?.get_path(Path::new(path)) {
            Ok(entry) => Ok(Some(Entry {
                path: path.to_owned(),
                mode: mode(entry.filemode()),
                oid: entry.id().to_string(),
            })),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The content of the regular file at `path` in a commit or tree.
    ///
    /// # Errors
    /// When the tree or blob is missing.
    pub fn file(&self, treeish: &str, path: &str) -> Result<Option<Vec<u8>>> {
        match self.entry(treeish, path)? {
            Some(entry) if entry.mode & 0o170_000 == 0o100_000 => self.blob(&entry.oid).map(Some),
            _ => Ok(None),
        }
    }

    /// The content of a blob.
    ///
    /// # Errors
    /// When it is missing.
    pub fn blob(&self, oid: &str) -> Result<Vec<u8>> {
        Ok(self
            .inner
            .find_blob(git2::Oid::from_str(oid)?)?
            .content()
            .to_vec())
    }

    /// Paths of everything directly in `dir` (files and folders), from the root.
    ///
    /// # Errors
    /// When the tree is missing.
    pub fn list(&self, treeish: &str, dir: &str) -> Result<Vec<String>> {
        let root = self.tree(treeish)?;
        let tree = if dir.is_empty() {
            root
        } else {
            match root.get_path(Path::new(dir)) {
                Ok(entry) if entry.kind() == Some(git2::ObjectType::Tree) => {
                    self.inner.find_tree(entry.id())?
                }
                Ok(_) => return Ok(Vec::new()),
                Err(e) if e.code() == git2::ErrorCode::NotFound => return Ok(Vec::new()),
                Err(e) => return Err(e.into()),
            }
        };
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        Ok(tree
            .iter()
            .filter_map(|e| e.name().ok().map(|name| format!("{prefix}{name}")))
            .collect())
    }

    /// Writes a blob.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<String> {
        Ok(self.inner.blob(bytes)?.to_string())
    }

    /// The tree `base` (or none) with some paths set to files of these contents, or removed.
    ///
    /// # Errors
    /// When the object database cannot be read or written.
    pub fn with_files(
        &self,
        base: Option<&str>,
        edits: &[(String, Option<Vec<u8>>)],
    ) -> Result<String> {
        let mut entries = Vec::with_capacity(edits.len());
        for (path, content) in edits {
            let entry = match content {
                Some(bytes) => Some((0o100_644, self.write_blob(bytes)?)),
                None => None,
            };
            entries.push((path.clone(), entry));
        }
        self.with_entries(base, &entries)
    }

    /// The tree `base` (or none) with some paths set to objects (mode, oid), or removed.
    ///
    /// # Errors
    /// When the object database cannot be read or written.
    pub fn with_entries(
        &self,
        base: Option<&str>,
        edits: &[(String, Option<(u32, String)>)],
    ) -> Result<String> {
        let baseline = match base {
            Some(base) => self.tree(base)?,
            None => self
                .inner
                .find_tree(self.inner.treebuilder(None)?.write()?)?,
        };
        let baseline = self.cleared(baseline, edits)?;
        let mut builder = git2::build::TreeUpdateBuilder::new();
        for (path, entry) in edits {
            match entry {
                Some((mode, oid)) => {
                    let kind = match *mode {
                        SYMLINK => git2::FileMode::Link,
                        GITLINK => git2::FileMode::Commit,
                        FOLDER => git2::FileMode::Tree,
                        m if m & 0o111 != 0 => git2::FileMode::BlobExecutable,
                        _ => git2::FileMode::Blob,
                    };
                    builder.upsert(path.as_str(), git2::Oid::from_str(oid)?, kind);
                }
                None => {
                    if baseline.get_path(Path::new(path)).is_ok() {
                        builder.remove(path.as_str());
                    }
                }
            }
        }
        Ok(builder.create_updated(&self.inner, &baseline)?.to_string())
    }

    /// The tree without the folders that files of `edits` replace, and without the files that stand
    /// where their folders must come: libgit2 does not put one in the place of the other.
    fn cleared<'r>(
        &'r self,
        tree: git2::Tree<'r>,
        edits: &[(String, Option<(u32, String)>)],
    ) -> Result<git2::Tree<'r>> {
        let is_tree = |path: &Path| {
            let entry = tree.get_path(path).ok()?;
            Some(entry.kind() == Some(git2::ObjectType::Tree))
        };
        let mut in_the_way = std::collections::BTreeSet::new();
        let mut folders = std::collections::BTreeSet::new();
        for (path, _) in edits.iter().filter(|(_, entry)| entry.is_some()) {
            let path = Path::new(path);
            if is_tree(path) == Some(true) {
                in_the_way.insert(path.to_owned());
            }
            for folder in path
                .ancestors()
                .skip(1)
                .filter(|f| !f.as_os_str().is_empty())
            {
                if folders.insert(folder.to_owned()) && is_tree(folder) == Some(false) {
                    in_the_way.insert(folder.to_owned());
                }
            }
        }
        if in_the_way.is_empty() {
            return Ok(tree);
        }
        let mut builder = git2::build::TreeUpdateBuilder::new();
        for path in in_the_way {
            builder.remove(path);
        }
        let oid = builder.create_updated(&self.inner, &tree)?;
        Ok(self.inner.find_tree(oid)?)
    }

    /// Whether git lets each part of this path stand in a tree: `.git` in none of its spellings.
    ///
    /// # Errors
    /// When the object database cannot be written.
    pub fn may_be_named(&self, path: &str) -> Result<bool> {
        let blob = self.inner.blob(&[])?;
        let mut builder = self.inner.treebuilder(None)?;
        Ok(path
            .split('/')
            .all(|part| builder.insert(part, blob, 0o100_644).is_ok()))
    }

    /// Writes a commit; the same input gives the same object id.
    ///
    /// # Errors
    /// When the object database cannot be written, or a name is unusable for git.
    pub fn commit(&self, new: &NewCommit<'_>) -> Result<String> {
        let time = git2::Time::new(new.time.as_second(), 0);
        let author = git2::Signature::new(&new.author.name, &new.author.email, &time)?;
        let committer = git2::Signature::new(&new.committer.name, &new.committer.email, &time)?;
        let tree = self.tree(new.tree)?;
        let mut parents = Vec::with_capacity(new.parents.len());
        for parent in new.parents {
            parents.push(self.inner.find_commit(git2::Oid::from_str(parent)?)?);
        }
        let parents: Vec<_> = parents.iter().collect();
        let oid = effect::perform("write a commit", || {
            self.inner
                .commit(None, &author, &committer, new.message, &tree, &parents)
        })?;
        Ok(oid.to_string())
    }

    /// A commit as git stores it, to be taken elsewhere.
    ///
    /// # Errors
    /// When it is missing.
    pub fn raw_commit(&self, oid: &str) -> Result<Vec<u8>> {
        let odb = self.inner.odb()?;
        Ok(odb.read(git2::Oid::from_str(oid)?)?.data().to_vec())
    }

    /// Takes in a commit as git stores it, if it is this one. Nothing refers to it then.
    ///
    /// # Errors
    /// When it is another, or the object database cannot be written.
    pub fn put_commit(&self, oid: &str, bytes: &[u8]) -> Result<()> {
        let kind = git2::ObjectType::Commit;
        if git2::Oid::hash_object(kind, bytes)?.to_string() == oid {
            self.inner.odb()?.write(kind, bytes)?;
            return Ok(());
        }
        Err(GitError::Io {
            what: format!("taking in commit {oid}"),
            source: std::io::ErrorKind::InvalidData.into(),
        })
    }

    /// First line, whole message, parents and author of a commit.
    ///
    /// # Errors
    /// When the commit is missing.
    pub fn commit_info(&self, oid: &str) -> Result<CommitInfo> {
        let commit = self.inner.find_commit(git2::Oid::from_str(oid)?)?;
        let author = commit.author();
        Ok(CommitInfo {
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            parents: commit.parent_ids().map(|p| p.to_string()).collect(),
            author: Person {
                name: String::from_utf8_lossy(author.name_bytes()).into_owned(),
                email: String::from_utf8_lossy(author.email_bytes()).into_owned(),
            },
            time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }

    /// Every path that differs between two trees (or commits), sorted; renames are not followed.
    ///
    /// Folders that are the same are not opened, which libgit2's own difference does: it would take
    /// as long as the repository is large.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn changes(&self, before: &str, after: &str) -> Result<Vec<Change>> {
        let folder = |entry: Option<&git2::TreeEntry<'_>>| {
            entry
                .filter(|e| e.kind() == Some(git2::ObjectType::Tree))
                .map(git2::TreeEntry::id)
        };
        let mut changes = Vec::new();
        // Not by recursion: how deep folders lie is up to whoever made the tree.
        let mut left = vec![(
            Some(self.tree(before)?.id()),
            Some(self.tree(after)?.id()),
            Vec::new(),
        )];
        while let Some((before, after, prefix)) = left.pop() {
            if before == after {
                continue;
            }
            let open = |id: Option<git2::Oid>| id.map(|id| self.inner.find_tree(id)).transpose();
            let (before, after) = (open(before)?, open(after)?);
            let mut compare =
                |a: Option<&git2::TreeEntry<'_>>, b: Option<&git2::TreeEntry<'_>>, name: &[u8]| {
                    let same = |a: &git2::TreeEntry<'_>, b: &git2::TreeEntry<'_>| {
                        a.id() == b.id() && a.filemode() == b.filemode()
                    };
                    if a.zip(b).is_some_and(|(a, b)| same(a, b)) {
                        return;
                    }
                    let path = [prefix.as_slice(), name].concat();
                    let (in_a, in_b) = (folder(a), folder(b));
                    let file = |entry: Option<&git2::TreeEntry<'_>>, folder: Option<git2::Oid>| {
                        entry.filter(|_| folder.is_none()).map(|entry| Entry {
                            path: String::from_utf8_lossy(&path).into_owned(),
                            mode: mode(entry.filemode()),
                            oid: entry.id().to_string(),
                        })
                    };
                    let (before, after) = (file(a, in_a), file(b, in_b));
                    if before.is_some() || after.is_some() {
                        let path = String::from_utf8_lossy(&path).into_owned();
                        changes.push(Change {
                            path,
                            before,
                            after,
                        });
                    }
                    if in_a.is_some() || in_b.is_some() {
                        left.push((in_a, in_b, [path.as_slice(), b"/"].concat()));
                    }
                };
            for a in before.iter().flat_map(git2::Tree::iter) {
                let b = after
                    .as_ref()
                    .and_then(|t| t.get_name_bytes(a.name_bytes()));
                compare(Some(&a), b.as_ref(), a.name_bytes());
            }
            for b in after.iter().flat_map(git2::Tree::iter) {
                let known = before
                    .as_ref()
                    .is_some_and(|t| t.get_name_bytes(b.name_bytes()).is_some());
                if !known {
                    compare(None, Some(&b), b.name_bytes());
                }
            }
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// A number that two differences share when they change the same lines in the same way,
    /// wherever those lines stand. `apart_from` is left out of account.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn patch_id(&self, before: &str, after: &str, apart_from: &str) -> Result<String> {
        let drop_path = |treeish: &str| {
            self.with_entries(
                Some(&self.tree_of(treeish)?),
                &[(apart_from.to_owned(), None)],
            )
        };
        let (a, b) = (drop_path(before)?, drop_path(after)?);
        let diff =
            self.inner
                .diff_tree_to_tree(Some(&self.tree(&a)?), Some(&self.tree(&b)?), None)?;
        Ok(diff.patchid(None)?.to_string())
    }

    /// Merges two commits in memory, as `git merge` would.
    ///
    /// # Errors
    /// When the `git` program fails for another reason than a conflict.
    pub fn merge(&self, ours: &str, theirs: &str) -> Result<MergeOutcome> {
        let git = cli::Git::user(self.common_dir()).args([
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--messages",
            ours,
            theirs,
        ]);
        let (status, out) = git.status()?;
        if status != 0 && status != 1 {
            return Err(GitError::Program {
                command: format!("git merge-tree {ours} {theirs}"),
                detail: format!("exit status {status}"),
            });
        }
        let mut fields = out
            .split(|b| *b == 0)
            .map(|f| String::from_utf8_lossy(f).into_owned());
        let tree = fields.next().unwrap_or_default().trim().to_owned();
        let conflicts: Vec<String> = fields.by_ref().take_while(|f| !f.is_empty()).collect();
        // What follows are groups of: count, that many paths, a type, a message.
        let mut messages = String::new();
        let rest: Vec<String> = fields.collect();
        let mut at = 0;
        while let Some(count) = rest.get(at).and_then(|c| c.trim().parse::<usize>().ok()) {
            if let Some(message) = rest.get(at + count + 2) {
                messages.push_str(message.trim_end());
                messages.push('\n');
            }
            at += count + 3;
        }
        Ok(MergeOutcome {
            tree,
            conflicts: if status == 1 { conflicts } else { Vec::new() },
            messages,
        })
    }

    /// The commits from `from` (not included) to `to`, oldest first, along first parents.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn first_parents(&self, from: &str, to: &str) -> Result<Vec<String>> {
        let mut walk = self.inner.revwalk()?;
        walk.push(git2::Oid::from_str(to)?)?;
        walk.hide(git2::Oid::from_str(from)?)?;
        walk.simplify_first_parent()?;
        let mut found = walk
            .map(|oid| Ok(oid?.to_string()))
            .collect::<Result<Vec<_>>>()?;
        found.reverse();
        Ok(found)
    }

    /// The newest common ancestor of two commits.
    ///
    /// # Errors
    /// When there is none.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String> {
        Ok(self
            .inner
            .merge_base(git2::Oid::from_str(a)?, git2::Oid::from_str(b)?)?
            .to_string())
    }

    /// Which lines of one file differ between two trees, without context.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn line_changes(&self, before: &str, after: &str, path: &str) -> Result<Vec<Hunk>> {
        let mut options = git2::DiffOptions::new();
        options
            .pathspec(path)
            .disable_pathspec_match(true)
            .context_lines(0);
        let diff = self.inner.diff_tree_to_tree(
            Some(&self.tree(before)?),
            Some(&self.tree(after)?),
            Some(&mut options),
        )?;
        let mut hunks = Vec::new();
        diff.foreach(
            &mut |_, _| true,
            None,
            Some(&mut |_, hunk| {
                hunks.push(Hunk {
                    old_start: hunk.old_start(),
                    removed: hunk.old_lines(),
                    added: hunk.new_lines(),
                });
                true
            }),
            None,
        )?;
        Ok(hunks)
    }

    /// The difference between two trees as a patch, for people.
    ///
    /// # Errors
    /// When a tree is missing.
    pub fn patch(&self, before: &str, after: &str) -> Result<String> {
        let diff = self.inner.diff_tree_to_tree(
            Some(&self.tree(before)?),
            Some(&self.tree(after)?),
            None,
        )?;
        let mut text = Vec::new();
        diff.print(git2::DiffFormat::Patch, |_, _, line| {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(line.origin() as u8);
            }
            text.extend_from_slice(line.content());
            true
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Lines of a file that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hunk {
    /// The first line before, from 1; the line behind which lines were added, when none went.
    pub old_start: u32,
    /// Lines that went.
    pub removed: u32,
    /// Lines that came.
    pub added: u32,
}

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The whole message.
    pub message: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Its author.
    pub author: Person,
    /// When it was committed.
    pub time: Timestamp,
}

fn mode(filemode: i32) -> u32 {
    u32::try_from(filemode).unwrap_or(0)
}
