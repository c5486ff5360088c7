//! Looking at what is in the working tree now: one pass over it, by two processes side by side.

use std::fmt::Write as _;
use std::fs;

use super::super::objects::SYMLINK;
use super::super::{GitError, Repo, Result};
use super::{Oddity, Scan, Worktree};

/// How many folders may lie in each other: what follows them does so by recursion.
const DEEPEST: usize = 256;

/// What git does not track.
#[derive(Debug, Default)]
struct Others {
    files: Vec<String>,
    ignored: Vec<String>,
    odd: Vec<Oddity>,
}

/// A path with its new mode and object, or with nothing when it is gone.
type Edit = (String, Option<(u32, String)>);

impl Worktree {
    /// What is in the tree, as a change to the tree `index`, which the judge's index holds.
    pub(super) fn look(&self, repo: &Repo, index: &str) -> Result<Scan> {
        let (changed, others) = std::thread::scope(|scope| {
            let others = scope.spawn(|| self.others());
            (self.changed(), others.join())
        });
        let Others {
            files: mut present,
            mut ignored,
            mut odd,
        } = others.unwrap_or_else(|_| Ok(Others::default()))?;
        let mut edits: Vec<Edit> = Vec::new();
        let mut replacing = Vec::new();
        // Status and path by turns. A file behind a link that replaced its folder counts as deleted:
        // git says so, and a look at the path here would follow the link.
        let mut fields = names(&changed?, &mut odd).into_iter();
        while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
            if status.starts_with('D') {
                // Git names no untracked file in a folder that took a tracked file's place.
                if self.is_real_folder(&path) {
                    self.walk(&path, &mut replacing, &mut odd);
                }
                edits.push((path, None));
            } else if self.tree.join(&path).join(".git").exists() {
                odd.push(Oddity::NestedRepository(path));
            } else {
                present.push(path);
            }
        }
        for path in self.submodules(repo, index)? {
            let inside = fs::read_dir(self.tree.join(&path));
            if inside.is_ok_and(|mut entries| entries.next().is_some()) {
                odd.push(Oddity::NestedRepository(path));
            }
        }
        let (kept, more) = self.split_ignored(replacing)?;
        present.extend(kept);
        ignored.extend(more);
        edits.extend(self.hash(repo, &present, &mut odd)?);
        odd.sort();
        odd.dedup();
        Ok(Scan {
            tree: repo.with_entries(Some(index), &edits)?,
            ignored,
            odd,
        })
    }

    /// Tracked files that are not as the index has them: status and path by turns.
    ///
    /// `git diff` instead of `git diff-files`, because it alone leaves a sparse index as it is;
    /// what a person may have configured for it is set aside. Looking into submodules would run git
    /// in there, with the configuration that the agent wrote.
    fn changed(&self) -> Result<Vec<u8>> {
        self.git()
            .args(["-c", "diff.autoRefreshIndex=false"])
            .args(["-c", "diff.orderFile=/dev/null"])
            .args(["diff", "-z", "--name-status", "--no-renames"])
            .args([
                "--no-ext-diff",
                "--no-relative",
                "--ignore-submodules=dirty",
            ])
            .output()
    }

    /// Everything git does not track, what it ignores apart.
    fn others(&self) -> Result<Others> {
        let out = self
            .git()
            .args(["ls-files", "-z", "--others", "--directory"])
            .output()?;
        let mut found = Others::default();
        let (kept, ignored) = self.split_ignored(names(&out, &mut found.odd))?;
        found.ignored = ignored;
        let mut inside = Vec::new();
        for path in kept {
            if path.ends_with('/') {
                self.walk(&path, &mut inside, &mut found.odd);
            } else {
                self.walk(&path, &mut found.files, &mut found.odd);
            }
        }
        // A folder may hold both: what is wanted and what is ignored.
        let (kept, ignored) = self.split_ignored(inside)?;
        found.files.extend(kept);
        found.ignored.extend(ignored);
        Ok(found)
    }

    /// Which of these untracked paths git ignores. The index is not asked whether they are tracked:
    /// reading it takes longer than all the rest.
    fn split_ignored(&self, paths: Vec<String>) -> Result<(Vec<String>, Vec<String>)> {
        if paths.is_empty() {
            return Ok((paths, Vec::new()));
        }
        let input = paths.join("\0").into_bytes();
        let (status, out) = self
            .git()
            .args(["check-ignore", "--no-index", "-z", "--stdin"])
            .stdin(input)
            .status()?;
        if status != 0 && status != 1 {
            return Ok((paths, Vec::new()));
        }
        let ignored: std::collections::HashSet<String> =
            names(&out, &mut Vec::new()).into_iter().collect();
        Ok(paths.into_iter().partition(|p| !ignored.contains(p)))
    }

    /// Whether there is a folder at this path, no link on the way to it.
    fn is_real_folder(&self, path: &str) -> bool {
        let mut at = self.tree.clone();
        path.split('/').all(|part| {
            at.push(part);
            at.symlink_metadata().is_ok_and(|meta| meta.is_dir())
        })
    }

    /// Folders of the base's submodules, which git looks into for nobody. They are empty here.
    pub(super) fn submodules(&self, repo: &Repo, tree: &str) -> Result<Vec<String>> {
        // A look at one path instead of at the whole index, where there are none.
        if repo.entry(tree, ".gitmodules")?.is_none() {
            return Ok(Vec::new());
        }
        let out = self.git().args(["ls-files", "-z", "--stage"]).output()?;
        let entries = names(&out, &mut Vec::new()).into_iter();
        Ok(entries
            .filter(|entry| entry.starts_with("160000 "))
            .filter_map(|entry| Some(entry.split_once('\t')?.1.to_owned()))
            .collect())
    }

    fn walk(&self, path: &str, found: &mut Vec<String>, odd: &mut Vec<Oddity>) {
        let path = path.trim_end_matches('/');
        let full = self.tree.join(path);
        let Ok(meta) = full.symlink_metadata() else {
            return;
        };
        if !meta.is_dir() {
            if meta.is_file() || meta.is_symlink() {
                found.push(path.to_owned());
            } else {
                odd.push(Oddity::Special(path.to_owned()));
            }
            return;
        }
        if path.matches('/').count() > DEEPEST {
            odd.push(Oddity::Unreadable(path.to_owned()));
            return;
        }
        if full.join(".git").symlink_metadata().is_ok() {
            odd.push(Oddity::NestedRepository(path.to_owned()));
            return;
        }
        let Ok(entries) = fs::read_dir(&full) else {
            odd.push(Oddity::Unreadable(path.to_owned()));
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if let Some(name) = name.to_str() {
                self.walk(&format!("{path}/{name}"), found, odd);
            } else {
                let name = format!("{path}/{}", name.to_string_lossy());
                odd.push(Oddity::BadName(name));
            }
        }
    }

    /// Writes the files as blobs, filters applied, and says where they belong.
    fn hash(&self, repo: &Repo, paths: &[String], odd: &mut Vec<Oddity>) -> Result<Vec<Edit>> {
        let mut edits = Vec::with_capacity(paths.len());
        let mut regular = Vec::new();
        for path in paths {
            let full = self.tree.join(path);
            let Ok(meta) = full.symlink_metadata() else {
                continue;
            };
            if meta.is_symlink() {
                let target =
                    fs::read_link(&full).map_err(GitError::io(format!("reading {path}")))?;
                let blob = repo.write_blob(target.as_os_str().as_encoded_bytes())?;
                edits.push((path.clone(), Some((SYMLINK, blob))));
            } else if !meta.is_file() {
                // Opening a pipe would wait for somebody to write into it.
                odd.push(Oddity::Special(path.clone()));
            } else if fs::File::open(&full).is_err() {
                odd.push(Oddity::Unreadable(path.clone()));
            } else if path.contains('\n') || !repo.may_be_named(path)? {
                odd.push(Oddity::BadName(path.escape_debug().to_string()));
            } else {
                regular.push((
                    path,
                    if is_executable(&meta) {
                        0o100_755
                    } else {
                        0o100_644
                    },
                ));
            }
        }
        if !regular.is_empty() {
            let input = regular
                .iter()
                .flat_map(|(p, _)| format!("{}\n", quoted(p)).into_bytes())
                .collect();
            let out = self
                .git()
                .args(["hash-object", "-w", "--stdin-paths"])
                .stdin(input)
                .output()?;
            let oids = String::from_utf8_lossy(&out)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>();
            for ((path, mode), oid) in regular.into_iter().zip(oids) {
                edits.push((path.clone(), Some((mode, oid))));
            }
        }
        Ok(edits)
    }
}

/// A path as a line that git reads as this very path: it takes a line that begins with a quote for
/// one written in C's manner, which could name any file of the machine, and drops a carriage return
/// at the end of any other.
fn quoted(path: &str) -> String {
    let mut line = String::from("\"");
    for c in path.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if c.is_ascii_control() => {
                let _ = write!(line, "\\{:03o}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
    line
}

fn names(bytes: &[u8], odd: &mut Vec<Oddity>) -> Vec<String> {
    bytes
        .split(|b| *b == 0)
        .filter(|n| !n.is_empty())
        .filter_map(|name| {
            if let Ok(name) = std::str::from_utf8(name) {
                return Some(name.to_owned());
            }
            odd.push(Oddity::BadName(String::from_utf8_lossy(name).into_owned()));
            None
        })
        .collect()
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}
