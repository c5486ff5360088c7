//! The documents of a plan, read from one commit.

use anyhow::Context as _;

use super::Repo;
use crate::plan::Documents;

/// The files of a commit.
pub struct AtCommit<'r> {
    repo: &'r Repo,
    commit: String,
}

impl<'r> AtCommit<'r> {
    /// The files of `commit`.
    #[must_use]
    pub fn new(repo: &'r Repo, commit: &str) -> Self {
        Self {
            repo,
            commit: commit.to_owned(),
        }
    }
}

impl Documents for AtCommit<'_> {
    fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        let bytes = self.repo.file(&self.commit, path)?;
        bytes
            .map(|b| String::from_utf8(b).with_context(|| format!("{path} is not UTF-8")))
            .transpose()
    }

    fn exists(&self, path: &str) -> anyhow::Result<bool> {
        Ok(self
            .repo
            .entry(&self.commit, path)?
            .is_some_and(|e| e.mode & 0o170_000 == 0o100_000))
    }

    fn list(&self, dir: &str) -> anyhow::Result<Vec<String>> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{}/", dir.trim_end_matches('/'))
        };
        let mut names = Vec::new();
        for path in self.repo.list(&self.commit, dir.trim_end_matches('/'))? {
            if self.exists(&path)? {
                names.push(path.strip_prefix(&prefix).unwrap_or(&path).to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}
