//! The private settings folder of an agent: its login and nothing else.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::attempt::inside;

/// Makes a fresh folder that only we may read, with a copy of `login` in it if there is such a
/// file. Changes the agent makes to the copy, a renewed token for one, stay there and are lost.
pub(super) fn private_folder(folder: &Path, login: Option<&Path>) -> anyhow::Result<()> {
    let cannot = || {
        format!(
            "cannot make the private settings folder {}",
            folder.display()
        )
    };
    // What an attempt left that was cut off: of a link, only the link goes.
    match folder.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(folder).with_context(cannot)?,
        Ok(_) => fs::remove_file(folder).with_context(cannot)?,
        Err(_) => {}
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(cannot)?;
    let Some((login, name)) = login.and_then(|login| Some((login, login.file_name()?))) else {
        return Ok(());
    };
    if !login.is_file() {
        return Ok(());
    }
    let bytes = fs::read(login)
        .with_context(|| format!("cannot read the agent's login {}", login.display()))?;
    let (Some(root), Some(own)) = (folder.parent(), folder.file_name()) else {
        return Ok(());
    };
    inside::write(root, &Path::new(own).join(name), &bytes, 0o600).with_context(cannot)
}

/// Removes the settings folder when the attempt is over, the copied login with it.
pub(super) struct Removed(pub(super) PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("the settings folder {} stays: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_login_is_there_and_only_for_us() {
        let folder = tempfile::tempdir().unwrap();
        let login = folder.path().join("auth.json");
        let private = folder.path().join("settings/codex");
        private_folder(&private, Some(&login)).unwrap();
        assert_eq!(fs::read_dir(&private).unwrap().count(), 0);
        fs::write(&login, "{}").unwrap();
        fs::write(private.join("left-over"), "").unwrap();
        private_folder(&private, Some(&login)).unwrap();
        let names: Vec<_> = fs::read_dir(&private)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["auth.json"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&private), 0o700);
        assert_eq!(mode(&private.join("auth.json")), 0o600);
        // A link that an attempt left leads nowhere.
        let elsewhere = folder.path().join("elsewhere");
        for there in [false, true] {
            fs::remove_dir_all(&private).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &private).unwrap();
            private_folder(&private, Some(&login)).unwrap();
            assert!(private.symlink_metadata().unwrap().is_dir());
            assert!(!elsewhere.join("auth.json").exists());
            if !there {
                fs::create_dir(&elsewhere).unwrap();
            }
        }
        drop(Removed(folder.path().join("settings")));
        assert!(!private.exists());
        assert!(login.exists());
    }
}
