//! Remotes, ssh's aliases and credential helpers, as git's configuration has them; reading only.
//!
//! Safe against prompts: nothing here ever asks a person, not even through a helper's window.

use std::path::Path;
use std::process::{Command, Stdio};

use super::cli::Git;
use super::{Repo, Result};

/// What `git --version` prints, and major and minor version if they are understood.
///
/// # Errors
/// When there is no git.
pub fn program_version() -> Result<(String, Option<(u32, u32)>)> {
    let out = Git::user(Path::new("/")).args(["--version"]).output()?;
    let text = String::from_utf8_lossy(&out).trim().to_owned();
    let version = text.split(' ').nth(2).and_then(|version| {
        let mut parts = version.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    Ok((text, version))
}

impl Repo {
    /// Names of all remotes, sorted.
    ///
    /// # Errors
    /// When git's configuration cannot be read.
    pub fn remotes(&self) -> Result<Vec<String>> {
        let out = Git::user(self.workdir()).args(["remote"]).output()?;
        let text = String::from_utf8_lossy(&out).into_owned();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// The address that is fetched from, with `url.<base>.insteadOf` applied. It may hold a
    /// password: never show it as it is.
    ///
    /// # Errors
    /// When there is no such remote.
    pub fn remote_url(&self, remote: &str) -> Result<String> {
        let out = Git::user(self.workdir())
            .args(["remote", "get-url", "--", remote])
            .output()?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// The host that ssh's configuration has for this name, which may be an alias.
    #[must_use]
    pub fn ssh_host_name(&self, host: &str) -> Option<String> {
        if host.starts_with('-') {
            return None;
        }
        let out = Command::new("ssh")
            .args(["-G", "--", host])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .find_map(|line| line.strip_prefix("hostname "))
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
    }

    /// The password that git's credential helpers have for this server and path, without asking
    /// anybody.
    ///
    /// # Errors
    /// When git cannot be started.
    pub fn credential(&self, scheme: &str, host: &str, path: &str) -> Result<Option<String>> {
        // A line feed would begin another attribute.
        if [scheme, host, path]
            .iter()
            .any(|t| t.contains(['\n', '\0']))
        {
            return Ok(None);
        }
        let question = format!("protocol={scheme}\nhost={host}\npath={path}\n\n");
        let (status, out) = Git::user(self.workdir())
            .args(["-c", "credential.interactive=false", "credential", "fill"])
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS", "")
            .env("GCM_INTERACTIVE", "never")
            .stdin(question.into_bytes())
            .status()?;
        if status != 0 {
            return Ok(None);
        }
        Ok(String::from_utf8_lossy(&out)
            .lines()
            .find_map(|line| line.strip_prefix("password="))
            .map(str::to_owned)
            .filter(|password| !password.is_empty()))
    }

    /// Whether git has a credential helper for this address.
    #[must_use]
    pub fn has_credential_helper(&self, address: &str) -> bool {
        Git::user(self.workdir())
            .args(["config", "--get-urlmatch", "credential.helper", address])
            .status()
            .is_ok_and(|(status, out)| status == 0 && !out.trim_ascii().is_empty())
    }
}
