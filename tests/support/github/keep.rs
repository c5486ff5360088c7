//! Keeping everything as it is, to go back to it; and tokens of an App's installation.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::GitHub;
use super::faults::{Fault, FaultKind};
use super::faults::{Logged, When};
use super::state::State;

/// All that a server knew at some time.
pub struct Kept {
    state: State,
    folder: PathBuf,
}

/// Copies a folder to a place where there is none.
pub fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(done.unwrap().success());
}

/// Puts a copy back in place of a folder.
pub fn put_back(copied: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(copied, to);
}

/// Every file of a working tree with what is in it, and of its git directory the index, the
/// configuration and `HEAD`.
pub fn plain_files(repo: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![repo.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if !path.is_dir() {
                found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
            } else if !path.ends_with(".git") {
                folders.push(path);
            }
        }
    }
    for name in [".git/index", ".git/config", ".git/HEAD"] {
        found.push((repo.join(name), std::fs::read(repo.join(name)).unwrap()));
    }
    found.sort();
    found
}

impl GitHub {
    /// Keeps what it knows; its repositories are copied to a new folder.
    pub fn keep(&self, folder: &Path) -> Kept {
        let state = self.state();
        copy(self.root.path(), folder);
        Kept {
            state: state.clone(),
            folder: folder.to_owned(),
        }
    }

    /// Is again as it was then, without faults, with an empty log, and as if nobody had asked anything
    /// in this hour.
    pub fn go_back(&self, kept: &Kept) {
        let mut state = self.state();
        put_back(&kept.folder, self.root.path());
        *state = kept.state.clone();
        drop(state);
        self.clear_faults();
        self.clear_log();
        self.shared.desk.lock().unwrap().rates.clear();
    }

    /// A token of an App's installation in place of this one, with the same rights.
    pub fn app_token(&self, secret: &str) -> String {
        let mut state = self.state();
        let token = state.tokens[secret].clone();
        let secret = secret.replace("ghp_", "ghs_");
        state.tokens.insert(secret.clone(), token);
        secret
    }
}

impl FaultKind {
    /// Whether the request does what it asks for all the same.
    pub fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::Status(When::After, _)
                | Self::Drop(When::After)
                | Self::Stall(..)
                | Self::Malformed
                | Self::Stale { .. }
        )
    }
}

impl Logged {
    /// Whether it changed something, as far as is known from outside: `fault` is the only one there
    /// was.
    pub fn took_effect(&self, fault: Option<&Fault>) -> bool {
        match fault {
            Some(fault) if self.disturbed && fault.route == self.route => fault.kind.has_effect(),
            _ => (200..300).contains(&self.status),
        }
    }
}
