//! Bundles: objects that pass from one machine to another as a file.
//!
//! Safe against a file made by somebody hostile: one head under our name is asked for and nothing
//! else, git checks every object (`fsck`) and what the packfile claims, within a time limit; no ref of
//! anybody's is touched, and nothing is checked out.

use std::path::Path;
use std::time::Duration;

use super::cli::Git;
use super::{GitError, Repo, Result};

/// Name of the head in a bundle.
const HEAD: &str = "refs/pertask/handed";

/// How long git may take to check a bundle.
const LIMIT: Duration = Duration::from_mins(5);

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

    /// Takes in the one commit of a bundle, with every object checked. Nothing refers to it then.
    ///
    /// # Errors
    /// [`GitError::Program`] with what git finds wrong about it.
    pub fn read_bundle(&self, file: &Path) -> Result<String> {
        let listed = Git::user(self.workdir())
            .within(LIMIT)
            .args(["bundle", "list-heads"])
            .args([file.as_os_str()])
            .output()?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let wrong = |detail: &str| GitError::Program {
            command: "git bundle list-heads".to_owned(),
            detail: detail.to_owned(),
        };
        let mut lines = listed.lines();
        let head = lines
            .next()
            .and_then(|line| line.split_once(' '))
            .filter(|(_, name)| *name == HEAD)
            .map(|(commit, _)| commit.to_owned())
            .ok_or_else(|| wrong("it does not hold what is handed over"))?;
        if lines.next().is_some() {
            return Err(wrong("it holds more than what is handed over"));
        }
        Git::user(self.workdir())
            .within(LIMIT)
            .args(["-c", "transfer.fsckObjects=true"])
            .args(["-c", "fetch.fsckObjects=true"])
            .args(["-c", "protocol.file.allow=always"])
            .args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"])
            .args(["--no-recurse-submodules", "--no-auto-maintenance"])
            .args(["--refmap=", "--"])
            .args([file.as_os_str()])
            .args([HEAD])
            .output()?;
        Ok(head)
    }

    /// Kind (`blob`, `tree`, `commit`, `tag`) and size in bytes of an object, without reading it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn size_of(&self, oid: &str) -> Result<u64> {
        let odb = self.inner.odb()?;
        let (size, _) = odb.read_header(git2::Oid::from_str(oid)?)?;
        Ok(size as u64)
    }
}
