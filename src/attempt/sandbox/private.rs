//! A folder for one attempt: temporary files, and a home with nothing in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder in the system's temporary folder: its path is short, as names of sockets must be. It is
/// removed when this is dropped; after a crash, when the next takes its place.
#[derive(Debug)]
pub(super) struct Private {
    path: PathBuf,
    note: PathBuf,
}

const PREFIX: &str = "pertask-";

impl Private {
    /// Makes one; `note` is where it is remembered.
    pub(super) fn new(note: &Path) -> anyhow::Result<Self> {
        let temporary = std::env::temp_dir();
        let temporary = temporary.canonicalize().unwrap_or(temporary);
        if let Ok(left) = fs::read_to_string(note) {
            let left = PathBuf::from(left);
            let name = left.file_name().and_then(|name| name.to_str());
            if left.parent() == Some(&*temporary) && name.is_some_and(|n| n.starts_with(PREFIX)) {
                remove(&left);
            }
        }
        let cannot = || format!("making a folder in {}", temporary.display());
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&temporary)
            .with_context(cannot)?
            .keep();
        let private = Self {
            path,
            note: note.to_owned(),
        };
        fs::write(note, private.path.as_os_str().as_encoded_bytes())
            .with_context(|| format!("writing {}", note.display()))?;
        for folder in [private.temporary(), private.home()] {
            fs::create_dir(folder).with_context(cannot)?;
        }
        Ok(private)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For `TMPDIR`.
    pub(super) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// For `HOME`.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        remove(&self.path);
        if !self.path.exists() {
            let _ = fs::remove_file(&self.note);
        }
    }
}

fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_err() {
        open_up(path);
        let _ = fs::remove_dir_all(path);
    }
}

/// Gives back the permissions that Go, for one, takes from its folders.
fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
