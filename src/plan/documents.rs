//! The documents a plan is read from, as the caller hands them in.

use std::collections::{BTreeMap, BTreeSet};

/// Reads files of one commit. Paths are from the repository's root, `/` between their parts.
///
/// Plans come from a commit and never from the working tree, so that nothing an agent or a stray
/// edit left behind can change them; the implementation over a git tree is elsewhere.
pub trait Documents {
    /// The text of a file; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8.
    fn read(&self, path: &str) -> anyhow::Result<Option<String>>;

    /// Whether there is a file of that path.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn exists(&self, path: &str) -> anyhow::Result<bool>;

    /// Names of the files directly in a folder, sorted; empty when there is no such folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self, dir: &str) -> anyhow::Result<Vec<String>>;
}

/// Documents in memory: path to text.
impl Documents for BTreeMap<String, String> {
    fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        Ok(self.get(path).cloned())
    }

    fn exists(&self, path: &str) -> anyhow::Result<bool> {
        Ok(self.contains_key(path))
    }

    fn list(&self, dir: &str) -> anyhow::Result<Vec<String>> {
        let dir = dir.trim_end_matches('/');
        let names: BTreeSet<&str> = self
            .keys()
            .filter_map(|path| {
                if dir.is_empty() {
                    Some(&**path)
                } else {
                    path.strip_prefix(dir)?.strip_prefix('/')
                }
            })
            .filter(|rest| !rest.contains('/'))
            .collect();
        Ok(names.into_iter().map(ToOwned::to_owned).collect())
    }
}
