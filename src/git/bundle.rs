//! Bundles: objects that pass from one machine to another as a file.
//!
//! Safe against a file made by somebody hostile: it holds one head under our name and nothing else, git
//! checks every object (`fsck`) and every link within a time limit; no ref of anybody's is touched, and
//! nothing is checked out.

use std::path::Path;
use std::time::Duration;

use super::cli::Git;
use super::{GitError, Repo, Result};

/// Name of the head in a bundle.
const HEAD: &str = "refs/pertask/handed";

/// How long git may take to check a bundle.
const LIMIT: Duration = Duration::from_mins(5);

/// What git only warns of, and nobody honest makes
/// (<https://git-scm.com/docs/git-fsck#_fsck_messages>).
const FAULTS: &[&str] = &[
    "hasDot",
    "hasDotdot",
    "hasDotgit",
    "fullPathname",
    "emptyName",
    "nullSha1",
    "zeroPaddedFilemode",
];

fn wrong(detail: &str) -> GitError {
    GitError::Program {
        command: "git bundle".to_owned(),
        detail: detail.to_owned(),
    }
}

/// The one commit that a bundle names, and its packfile
/// (<https://git-scm.com/docs/gitformat-bundle>, version 2).
fn parts(bytes: &[u8]) -> Result<(String, &[u8])> {
    let mut rest = bytes
        .strip_prefix(b"# v2 git bundle\n")
        .ok_or_else(|| wrong("it is no bundle of version 2"))?;
    let mut heads = Vec::new();
    loop {
        let end = rest.iter().take(4096).position(|b| *b == b'\n');
        let Some((line, after)) = end.and_then(|at| rest.split_at_checked(at)) else {
            return Err(wrong("it ends within its head"));
        };
        rest = &after[1..];
        match line {
            [] => break,
            // What it builds on; that it is here is found when links are followed.
            [b'-', ..] => {}
            line => heads.push(String::from_utf8_lossy(line).into_owned()),
        }
        if heads.len() > 1 {
            return Err(wrong("it holds more than what is handed over"));
        }
    }
    let named = heads.first().and_then(|h| h.split_once(' '));
    match named {
        Some((commit, HEAD)) if git2::Oid::from_str(commit).is_ok() => {
            Ok((commit.to_owned(), rest))
        }
        _ => Err(wrong("it does not hold what is handed over")),
    }
}

/// What [`Repo::read_bundle`] takes from a file before git sees it, for `fuzz/` alone.
///
/// # Errors
/// As there.
#[doc(hidden)]
pub fn head(bytes: &[u8]) -> Result<(String, &[u8])> {
    parts(bytes)
}

impl Repo {
    /// Writes a bundle that holds a commit and what it needs beside the history of `base`.
    ///
    /// # Errors
    /// When git fails.
    pub fn write_bundle(&self, file: &Path, commit: &str, base: &str) -> Result<()> {
        let before = self.target(HEAD)?;
        if before.as_deref() != Some(commit) {
            self.swap(
                HEAD,
                before.as_deref(),
                commit,
                "pertask: to be handed over",
            )?;
        }
        let made = Git::user(self.workdir())
            .args(["bundle", "create", "--quiet"])
            .args([file.as_os_str()])
            .args([HEAD, &format!("^{base}")])
            .output();
        self.delete(HEAD, commit)?;
        made.map(drop)
    }

    /// Takes in the one commit of a bundle, with every object and every link checked. Nothing refers
    /// to it then.
    ///
    /// # Errors
    /// [`GitError::Program`] with what git finds wrong about it.
    pub fn read_bundle(&self, file: &Path) -> Result<String> {
        let bytes =
            std::fs::read(file).map_err(GitError::io(format!("reading {}", file.display())))?;
        let (commit, pack) = parts(&bytes)?;
        // Not `git fetch`: up to 2.45 it takes objects from a bundle without looking at them.
        Git::user(self.workdir())
            .within(LIMIT)
            .args(["index-pack", "--stdin", "--fix-thin"])
            .args([if crate::plant::is("path-outside-accepted") {
                "--keep".to_owned()
            } else {
                format!("--strict={}", FAULTS.join("=error,") + "=error")
            }])
            .stdin(pack.to_vec())
            .output()?;
        if !self.has(&commit) {
            return Err(wrong("it does not bring the commit it names"));
        }
        Ok(commit)
    }

    /// Whether an object is here.
    #[must_use]
    pub fn has(&self, oid: &str) -> bool {
        let found = git2::Oid::from_str(oid).and_then(|oid| Ok(self.inner.odb()?.exists(oid)));
        found.unwrap_or(false)
    }

    /// Size in bytes of an object, without reading it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn size_of(&self, oid: &str) -> Result<u64> {
        let odb = self.inner.odb()?;
        let (size, _) = odb.read_header(git2::Oid::from_str(oid)?)?;
        Ok(size as u64)
    }
}
