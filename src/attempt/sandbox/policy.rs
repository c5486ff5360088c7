//! What a confined program may do, as a file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What a confined program may do. Nothing else is allowed; what is not there is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Files and folders it may read and execute, with all below.
    pub read: Vec<PathBuf>,
    /// Files and folders it may do anything with but make devices, with all below.
    pub write: Vec<PathBuf>,
    /// Variables it gets beside what it is given.
    pub set: BTreeMap<String, String>,
    /// Variables it does not get.
    pub unset: Vec<String>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When the file cannot be read, or is no policy of this version.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("reading {}", file.display()))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written, or a path in it is not text.
    pub fn store(&self, file: &Path) -> anyhow::Result<()> {
        let mut kept = self.clone();
        // A folder whose name is not text is granted to nobody.
        kept.read.retain(|path| path.to_str().is_some());
        let bytes = serde_json::to_vec_pretty(&kept)
            .with_context(|| format!("writing {}", file.display()))?;
        fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
    }

    /// Sets a variable.
    pub(super) fn set(&mut self, name: &str, value: &Path) {
        self.set
            .insert(name.to_owned(), value.to_string_lossy().into_owned());
    }
}
