//! The login of an agent: where it is, and the private settings folder that holds it and nothing else.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::handoff;
use crate::attempt::inside;
use crate::plan::Adapter;
use crate::secrets::Secrets;

/// What a secret of the login is called.
const NAME: &str = "the agent's login";

/// The login that an agent driven by this adapter gets a copy of, as an environment has it.
pub(super) fn file(adapter: Adapter, environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| PathBuf::from(value))
    };
    let filled = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let (own, in_home, name) = match adapter {
        Adapter::Claude => ("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),
        Adapter::Codex => ("CODEX_HOME", ".codex", "auth.json"),
        Adapter::Command => return None,
    };
    let folder = filled(own).or_else(|| Some(filled("HOME")?.join(in_home)))?;
    Some(folder.join(name))
}

/// What is secret in the login that an agent gets; nothing when it has none.
#[must_use]
pub fn secrets(adapter: Adapter, environment: &[(OsString, OsString)]) -> Secrets {
    let mut secrets = Secrets::default();
    let text = file(adapter, environment).and_then(|file| fs::read(file).ok());
    if let Some(login) = text.and_then(|text| serde_json::from_slice(&text).ok()) {
        secrets.add_login(NAME, &login);
    }
    secrets
}

/// What is secret in the copy that an agent which was cut off left in its settings folder.
#[must_use]
pub fn left(adapter: Adapter, settings: &Path) -> Secrets {
    match adapter {
        Adapter::Claude => renewed(&settings.join("claude/.credentials.json")),
        Adapter::Codex => renewed(&settings.join("codex/auth.json")),
        Adapter::Command => Secrets::default(),
    }
}

/// What is secret in what an agent has made of its copy.
pub(super) fn renewed(copy: &Path) -> Secrets {
    let mut secrets = Secrets::default();
    let text = handoff::read(copy).ok().flatten();
    if let Some(login) = text.and_then(|text| serde_json::from_str(&text).ok()) {
        secrets.add_renewed(NAME, &login);
    }
    secrets
}

/// Makes a fresh folder that only we may read, with a copy of `login` in it if there is such a
/// file; returns where the copy is, or would be. Changes the agent makes to it, a renewed token for
/// one, stay there and are lost.
pub(super) fn private_folder(
    folder: &Path,
    login: Option<&Path>,
) -> anyhow::Result<Option<PathBuf>> {
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
        return Ok(None);
    };
    let copy = folder.join(name);
    if !login.is_file() {
        return Ok(Some(copy));
    }
    let bytes = fs::read(login)
        .with_context(|| format!("cannot read the agent's login {}", login.display()))?;
    let (Some(root), Some(own)) = (folder.parent(), folder.file_name()) else {
        return Ok(None);
    };
    inside::write(root, &Path::new(own).join(name), &bytes, 0o600).with_context(cannot)?;
    Ok(Some(copy))
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
