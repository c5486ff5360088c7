//! The folder of one attempt, outside the tree: prompt, handoff, the agent's outputs, our notes.
//!
//! Everything is written to a temporary name and renamed, so a reader finds a whole file or none.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::beneath::Beneath;

/// Our note of the agent's answer.
pub const ANSWERED: &str = "answered.json";
/// Our note of the result.
pub const RESULT: &str = "result.json";
/// Our note of the secrets in the agent's reach, as hashes.
pub const TRACES: &str = "traces.json";
/// Our note of the order, with the claim it was taken under.
pub const ORDER: &str = "order.json";

/// Largest total size of the agent's outputs that go into the ledger, in bytes.
const OUTPUT_CAP: u64 = 4 * 1024 * 1024;
/// Largest number of them.
const OUTPUT_FILES: usize = 200;

/// The folder of one attempt.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at this path, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(root.join("output"))
            .with_context(|| format!("creating {}", root.display()))?;
        Ok(Self { root })
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the agent puts what is to be kept beside the tree (`PERTASK_OUTPUT_DIR`).
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    /// Reads one of our notes; `None` when it is not there, or not of this program's making.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("reading {}", self.path(name).display())),
        }
    }

    /// Writes one of our notes, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
            // Not straight into the file: a full disk would then look like a defect of ours.
            file.write_all(&serde_json::to_vec_pretty(value)?)?;
            file.flush()?;
            file.persist(self.path(name))?;
            Ok(())
        };
        write().with_context(|| format!("writing {}", self.path(name).display()))
    }

    /// The agent's outputs as (path, bytes), up to a cap; and how many were left out.
    /// `may_be_named` says whether git keeps a file or folder of that name.
    #[must_use]
    pub fn outputs(&self, may_be_named: &dyn Fn(&str) -> bool) -> (Vec<(String, Vec<u8>)>, usize) {
        Self::outputs_in(&self.output(), may_be_named)
    }

    /// The same of any folder. Links are not followed.
    #[must_use]
    pub fn outputs_in(
        folder: &Path,
        may_be_named: &dyn Fn(&str) -> bool,
    ) -> (Vec<(String, Vec<u8>)>, usize) {
        let (mut found, mut left_out, mut size) = (Vec::new(), 0, 0);
        let Ok(beneath) = Beneath::open(folder) else {
            return (found, 0);
        };
        let mut stack = vec![(folder.to_owned(), String::new())];
        while let Some((dir, prefix)) = stack.pop() {
            let Ok(entries) = fs::read_dir(&dir) else {
                continue;
            };
            let mut entries: Vec<_> = entries.flatten().collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let (Ok(kind), Some(name)) = (
                    entry.file_type(),
                    entry.file_name().to_str().map(str::to_owned),
                ) else {
                    left_out += 1;
                    continue;
                };
                // Git keeps nothing of such a name, in any of its spellings.
                if !may_be_named(&name) {
                    left_out += 1;
                    continue;
                }
                let path = if prefix.is_empty() {
                    name.clone()
                } else {
                    format!("{prefix}/{name}")
                };
                if kind.is_dir() {
                    stack.push((entry.path(), path));
                    continue;
                }
                let length = entry.metadata().map_or(u64::MAX, |m| m.len());
                if !kind.is_file() || found.len() >= OUTPUT_FILES || size + length > OUTPUT_CAP {
                    left_out += 1;
                } else if let Ok(bytes) = beneath.read(path.as_ref(), OUTPUT_CAP - size) {
                    size += bytes.len() as u64;
                    found.push((path, bytes));
                }
            }
        }
        (found, left_out)
    }

    /// Takes secrets out of the agent's outputs: `redact` makes of a file's content what may be kept.
    /// What is too large to be kept is left as it is; nothing outside is touched, wherever links lead.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn clean_outputs(&self, redact: &dyn Fn(Vec<u8>) -> Vec<u8>) -> anyhow::Result<()> {
        let output = self.output();
        let Ok(beneath) = Beneath::open(&output) else {
            return Ok(());
        };
        let mut stack = vec![output.clone()];
        while let Some(dir) = stack.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
                    continue;
                };
                if kind.is_dir() {
                    stack.push(path);
                    continue;
                }
                if !kind.is_file() || entry.metadata().map_or(u64::MAX, |m| m.len()) > OUTPUT_CAP {
                    continue;
                }
                let Ok(inside) = path.strip_prefix(&output) else {
                    continue;
                };
                let Ok(bytes) = beneath.read(inside, OUTPUT_CAP) else {
                    continue;
                };
                let clean = redact(bytes.clone());
                if clean != bytes {
                    // A new file in its place: the old one may be linked from elsewhere.
                    beneath
                        .replace(inside, &clean)
                        .with_context(|| format!("cleaning {}", path.display()))?;
                }
            }
        }
        Ok(())
    }

    /// Removes it with all that is in it: the ledger has it.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.root);
    }

    /// Its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}
