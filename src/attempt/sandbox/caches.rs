//! Where toolchains keep what they have downloaded and built.
//!
//! Nobody who is confined writes to the person's caches, because the person's own builds believe
//! what is in them. Agents have caches of their own, for the run; checks, for the repository: no
//! agent writes to those either. What the person has downloaded is read where the tool can do that.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Policy;
use super::grants::Machine;
use super::private::Private;
use super::settings;

/// Variables that name a cache, and its folder.
const FOLDERS: &[(&str, &str)] = &[
    ("XDG_CACHE_HOME", "xdg"),
    ("GOCACHE", "go-build"),
    ("GOPATH", "go"),
    ("GOMODCACHE", "go/pkg/mod"),
    ("CARGO_HOME", "cargo"),
    ("npm_config_cache", "npm"),
    ("PIP_CACHE_DIR", "pip"),
    ("UV_CACHE_DIR", "uv"),
    ("YARN_CACHE_FOLDER", "yarn"),
    ("GRADLE_USER_HOME", "gradle"),
    ("NUGET_PACKAGES", "nuget"),
];

/// Variables that name a toolchain's folder, found in the person's home where they are not set:
/// programs that look for it in their own home would find none.
const TOOLCHAINS: &[(&str, &str)] = &[
    ("RUSTUP_HOME", ".rustup"),
    ("NVM_DIR", ".nvm"),
    ("VOLTA_HOME", ".volta"),
    ("PYENV_ROOT", ".pyenv"),
    ("RBENV_ROOT", ".rbenv"),
    ("PYTHONUSERBASE", ".local"),
];

/// Variables that would lead to a place nobody may write to, or override a cache.
const UNSET: &[&str] = &["GOBIN", "GOTMPDIR", "NPM_CONFIG_CACHE"];

/// Grants the caches under `root`, and the home and temporary folder of `private`.
pub(super) fn grant(
    machine: &Machine,
    root: &Path,
    private: &Private,
    policy: &mut Policy,
) -> anyhow::Result<()> {
    fs::create_dir_all(root).with_context(|| format!("creating {}", root.display()))?;
    policy.write.push(root.to_owned());
    policy.set("HOME", &private.home());
    for name in ["TMPDIR", "TMP", "TEMP", "CLAUDE_CODE_TMPDIR"] {
        policy.set(name, &private.temporary());
    }
    for (name, folder) in FOLDERS {
        policy.set(name, &root.join(folder));
    }
    for (name, in_home) in TOOLCHAINS {
        if let Some(folder) = machine.folder(name, in_home) {
            policy.set(name, &folder);
        }
    }
    policy
        .unset
        .extend(UNSET.iter().map(|&name| name.to_owned()));
    settings::copy(machine, &private.home(), root, "cargo");
    go(machine, private, policy);
    Ok(())
}

/// Go reads modules from the person's cache as from a proxy, and asks the real one for the rest. Its
/// settings are a copy without passwords.
fn go(machine: &Machine, private: &Private, policy: &mut Policy) {
    let home = machine.home();
    let file = machine.variable("GOENV").map(PathBuf::from);
    let file = file.or_else(|| Some(home.as_ref()?.join(".config/go/env")));
    let file = file.filter(|file| file.is_absolute() && file.is_file());
    let text = file
        .as_deref()
        .map(|f| settings::plain_go(&fs::read_to_string(f).unwrap_or_default()));
    let setting = |name: &str| {
        let variable = machine
            .variable(name)
            .map(|v| v.to_string_lossy().into_owned());
        variable.or_else(|| {
            let lines = text.as_deref()?.lines();
            let found = lines
                .filter_map(|line| line.split_once('='))
                .find(|(n, _)| *n == name)?;
            Some(found.1.to_owned()).filter(|value| !value.is_empty())
        })
    };
    if let Some(text) = &text {
        let copy = ".config/go/env";
        settings::write(&private.home(), Path::new(copy), text);
        policy.set("GOENV", &private.home().join(copy));
    }
    let flags = setting("GOFLAGS").unwrap_or_default();
    // So that the cache can be removed like any other folder.
    policy.set.insert(
        "GOFLAGS".to_owned(),
        format!("{flags} -modcacherw").trim().to_owned(),
    );
    let modules = setting("GOMODCACHE").map(PathBuf::from);
    let path = || setting("GOPATH").and_then(|path| std::env::split_paths(&path).next());
    let modules = modules
        .or_else(|| {
            Some(
                path()
                    .or_else(|| Some(home.as_ref()?.join("go")))?
                    .join("pkg/mod"),
            )
        })
        .and_then(|folder| machine.granted(&folder));
    if let Some(modules) = modules {
        let Some(proxy) = setting("GOPROXY").or_else(default_proxy) else {
            return;
        };
        let download = modules.join("cache/download");
        if let Some(path) = download
            .to_str()
            .filter(|path| !path.contains([',', '|', '%', '?', '#', ' ']))
        {
            policy
                .set
                .insert("GOPROXY".to_owned(), format!("file://{path},{proxy}"));
            policy.read.push(download);
        }
    }
}

/// Where Go gets modules when nothing says so: it is asked, once, for its own default.
fn default_proxy() -> Option<String> {
    static DEFAULT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    DEFAULT
        .get_or_init(|| {
            let mut go = std::process::Command::new("go");
            // A home that cannot hold anything: Go would leave its counters in the person's.
            go.env("HOME", "/dev/null").env_remove("XDG_CONFIG_HOME");
            let out = go.args(["env", "GOPROXY"]).output().ok()?;
            let text = String::from_utf8(out.stdout).ok()?.trim().to_owned();
            (out.status.success() && !text.is_empty()).then_some(text)
        })
        .clone()
}
