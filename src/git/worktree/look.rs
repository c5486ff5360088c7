//! Looking at what is in the working tree now: one pass over it, by two processes side by side.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::super::objects::SYMLINK;
use super::super::{GitError, Repo, Result};
use super::{Oddity, Scan, Worktree};
use crate::beneath::{Beneath, Found};

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
    ///
    /// Somebody may still be at work in the tree, and put a link to anything of the person's where a
    /// file was. So git is never sent to a path in there: what it reads are files that were opened
    /// without following links.
    pub(super) fn hash(
        &self,
        repo: &Repo,
        paths: &[String],
        odd: &mut Vec<Oddity>,
    ) -> Result<Vec<Edit>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let tree = Beneath::open(&self.tree)
            .map_err(GitError::io(format!("opening {}", self.tree.display())))?;
        let mut edits = Vec::with_capacity(paths.len());
        let mut copies = Copies::new(self, &tree)?;
        for path in paths {
            match tree.look(path.as_ref()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(_) => odd.push(Oddity::Unreadable(path.clone())),
                Ok(Found::Link(target)) => {
                    edits.push((path.clone(), Some((SYMLINK, repo.write_blob(&target)?))));
                }
                Ok(Found::Other) => odd.push(Oddity::Special(path.clone())),
                Ok(Found::File(..)) if path.contains('\n') || !repo.may_be_named(path)? => {
                    odd.push(Oddity::BadName(path.escape_debug().to_string()));
                }
                Ok(Found::File(file, meta)) => {
                    copies.add(path, file, &meta)?;
                    if copies.bytes > BATCH {
                        copies.hash(&mut edits, odd)?;
                    }
                }
            }
        }
        copies.hash(&mut edits, odd)?;
        Ok(edits)
    }
}

/// Above this many bytes of copies they are hashed before there are more.
const BATCH: u64 = 64 * 1024 * 1024;

/// Copies of files of the tree, at the same paths in a folder that no agent can write to, for git
/// to read.
struct Copies<'a> {
    worktree: &'a Worktree,
    tree: &'a Beneath,
    folder: PathBuf,
    files: Vec<(String, u32)>,
    bytes: u64,
    /// Folders whose attributes are there.
    attributes: HashSet<PathBuf>,
    /// Whether the person has filters, which are programs.
    filters: bool,
}

impl<'a> Copies<'a> {
    fn new(worktree: &'a Worktree, tree: &'a Beneath) -> Result<Self> {
        let settings = fs::read_to_string(worktree.judge.join("content.config"));
        let copies = Self {
            worktree,
            tree,
            folder: worktree.judge.join("copies"),
            files: Vec::new(),
            bytes: 0,
            attributes: HashSet::new(),
            filters: settings.is_ok_and(|text| text.contains("[filter ")),
        };
        // Of a process that was killed.
        super::remove_any(&copies.folder)?;
        fs::create_dir(&copies.folder).map_err(copies.cannot())?;
        Ok(copies)
    }

    fn cannot(&self) -> impl FnOnce(io::Error) -> GitError + use<> {
        GitError::io(format!("copying files to {}", self.folder.display()))
    }

    fn add(&mut self, path: &str, mut file: fs::File, meta: &fs::Metadata) -> Result<()> {
        let copy = self.folder.join(path);
        let folder = copy.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(self.cannot())?;
        let mut to = fs::File::create(&copy).map_err(self.cannot())?;
        self.bytes += io::copy(&mut file, &mut to).map_err(self.cannot())?;
        // Git asks the attributes of a path in its folder and in all above.
        for above in Path::new(path).ancestors().skip(1) {
            if !self.attributes.insert(above.to_owned()) {
                break;
            }
            let attributes = above.join(".gitattributes");
            if let Ok(Found::File(mut file, _)) = self.tree.look(&attributes) {
                let to = fs::File::create(self.folder.join(attributes));
                let copied = to.and_then(|mut to| io::copy(&mut file, &mut to));
                copied.map_err(self.cannot())?;
            }
        }
        let mode = if is_executable(meta) {
            0o100_755
        } else {
            0o100_644
        };
        self.files.push((path.to_owned(), mode));
        Ok(())
    }

    fn git(&self) -> super::Git {
        super::Git::separate(&self.worktree.judge, &self.folder)
            .env("GIT_OBJECT_DIRECTORY", &self.worktree.objects)
    }

    /// Which of the files a program of the person's is to read before git does.
    fn filtered(&self) -> Result<HashSet<String>> {
        if !self.filters {
            return Ok(HashSet::new());
        }
        let paths: Vec<&str> = self.files.iter().map(|(path, _)| path.as_str()).collect();
        let out = self
            .git()
            .args(["check-attr", "-z", "--stdin", "filter"])
            .stdin(paths.join("\0").into_bytes())
            .output()?;
        let mut fields = out.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut found = HashSet::new();
        // Path, attribute and value by turns.
        while let (Some(path), Some(_), Some(value)) = (fields.next(), fields.next(), fields.next())
        {
            if !matches!(&*value, "unspecified" | "unset" | "set") {
                found.insert(path.into_owned());
            }
        }
        Ok(found)
    }

    /// Hashes what is there, and removes it.
    fn hash(&mut self, edits: &mut Vec<Edit>, odd: &mut Vec<Oddity>) -> Result<()> {
        let filtered = self.filtered()?;
        let files = std::mem::take(&mut self.files);
        let (alone, together): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|(path, _)| filtered.contains(path));
        for (path, mode) in alone {
            // In the tree, where a filter may look for files beside it.
            let copy = fs::File::open(self.folder.join(&path)).map_err(self.cannot())?;
            let out = self
                .worktree
                .git()
                .args(["hash-object", "-w", "--stdin"])
                .args([format!("--path={path}")])
                .stdin_file(copy)
                .output()?;
            let oid = String::from_utf8_lossy(&out).trim().to_owned();
            edits.push((path, Some((mode, oid))));
        }
        if !together.is_empty() {
            let input = together
                .iter()
                .flat_map(|(path, _)| format!("{}\n", quoted(path)).into_bytes())
                .collect();
            let out = self
                .git()
                .args(["hash-object", "-w", "--stdin-paths"])
                .stdin(input)
                .output()?;
            let oids = String::from_utf8_lossy(&out);
            let mut oids = oids.lines();
            for (path, mode) in together {
                match oids.next() {
                    Some(oid) => edits.push((path, Some((mode, oid.to_owned())))),
                    None => odd.push(Oddity::Unreadable(path)),
                }
            }
        }
        super::remove_any(&self.folder)?;
        fs::create_dir(&self.folder).map_err(self.cannot())?;
        self.attributes.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl Drop for Copies<'_> {
    fn drop(&mut self) {
        let _ = super::remove_any(&self.folder);
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
