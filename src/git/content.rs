//! What of the person's git settings decides how files in a working tree become blobs and back.
//!
//! A working tree of ours has git directories of its own, which know nothing of the repository's
//! configuration. Without these settings a file would be committed with the wrong line endings, or
//! past a filter that the person relies on (`git help attributes`, section "filter").

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{GitError, Repo, Result};

/// Settings that are taken over, beside those of filters.
const KEYS: &[&str] = &[
    "core.attributesfile",
    "core.autocrlf",
    "core.checkroundtripencoding",
    "core.eol",
    "core.excludesfile",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.symlinks",
];

/// What is taken over of a filter.
const FILTER: &[&str] = &["clean", "smudge", "process", "required"];

/// Files in a git directory that are taken over.
const FILES: &[&str] = &["info/attributes", "info/exclude"];

impl Repo {
    /// The settings as the text of a configuration file; as the person's repository has them, from
    /// whatever level they come.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub(super) fn content_settings(&self) -> Result<String> {
        let mut text = String::new();
        for (name, value) in self.content_values()? {
            let (section, key) = name.rsplit_once('.').unwrap_or((name.as_str(), ""));
            let section = match section.split_once('.') {
                Some((section, sub)) => format!("{section} {}", quoted(sub)),
                None => section.to_owned(),
            };
            let _ = writeln!(text, "[{section}]\n\t{key} = {}", quoted(&value));
        }
        Ok(text)
    }

    /// The settings by which git runs programs for us, or that say which server it talks to and what
    /// it shows there: filters, merge drivers, ways in, addresses; by name. Hooks and the file-system
    /// monitor are not among them, they are never run.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn programs(&self) -> Result<BTreeMap<String, String>> {
        self.values(of_program)
    }

    fn content_values(&self) -> Result<BTreeMap<String, String>> {
        self.values(|name| KEYS.contains(&name) || of_filter(name))
    }

    fn values(&self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, String>> {
        let config = self.inner.config()?.snapshot()?;
        let mut names = std::collections::BTreeSet::new();
        config.entries(None)?.for_each(|entry| {
            if let Ok(name) = entry.name()
                && wanted(name)
            {
                names.insert(name.to_owned());
            }
        })?;
        let mut values = BTreeMap::new();
        for name in names {
            // Asked for by name, so that the level counts which counts for git.
            let entry = config.get_entry(&name)?;
            let value = if entry.has_value() {
                entry.value().unwrap_or_default().to_owned()
            } else {
                "true".to_owned()
            };
            values.insert(name, value);
        }
        Ok(values)
    }

    /// Takes over the files that belong to them into a git directory of ours.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub(super) fn copy_content_files(&self, git_dir: &Path) -> Result<()> {
        for name in FILES {
            let to = git_dir.join(name);
            match std::fs::read(self.common_dir().join(name)) {
                Ok(bytes) => std::fs::write(&to, bytes)
                    .map_err(GitError::io(format!("writing {}", to.display())))?,
                Err(_) => {
                    let _ = std::fs::remove_file(&to);
                }
            }
        }
        Ok(())
    }
}

fn of_program(name: &str) -> bool {
    let (section, rest) = name.split_once('.').unwrap_or((name, ""));
    let key = rest.rsplit_once('.').map_or(rest, |(_, key)| key);
    match section {
        "core" => ["sshcommand", "gitproxy", "askpass", "attributesfile"].contains(&key),
        "filter" => FILTER.contains(&key),
        "merge" => key == "driver",
        "credential" | "url" | "http" | "protocol" => true,
        "remote" => [
            "url",
            "pushurl",
            "proxy",
            "vcs",
            "uploadpack",
            "receivepack",
        ]
        .contains(&key),
        _ => false,
    }
}

fn of_filter(name: &str) -> bool {
    name.strip_prefix("filter.")
        .and_then(|rest| rest.rsplit_once('.'))
        .is_some_and(|(_, key)| FILTER.contains(&key))
}

/// A value or subsection in quotes, as `git help config` has it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
