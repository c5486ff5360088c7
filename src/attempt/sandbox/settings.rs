//! Where packages come from, as the person has set it: mirrors and proxies, without the keys to them.

use std::fs;
use std::path::Path;

use super::grants::Machine;
use crate::attempt::inside;
use crate::secrets::without_userinfo;

/// What a setting's name may not hold.
const KEYS: &[&str] = &[
    "auth", "cert", "email", "key", "otp", "pass", "secret", "token", "user",
];

/// Copies what npm, pip and cargo need to know into a home and a cargo folder of one's own, which is
/// below the caches. What cannot be read or written is left out: then the tools ask where everybody
/// does.
pub(super) fn copy(machine: &Machine, home: &Path, caches: &Path, cargo: &str) {
    let Some(from) = machine.home() else {
        return;
    };
    for name in [".npmrc", ".config/pip/pip.conf"] {
        if let Ok(text) = fs::read_to_string(from.join(name)) {
            write(home, Path::new(name), &plain_lines(&text));
        }
    }
    if let Some(text) = machine
        .folder("CARGO_HOME", ".cargo")
        .and_then(|folder| fs::read_to_string(folder.join("config.toml")).ok())
    {
        let to = Path::new(cargo).join("config.toml");
        write(caches, &to, &plain_toml(&text));
    }
}

pub(super) fn write(root: &Path, path: &Path, text: &str) {
    // Whoever was confined before may have put links on the way.
    if let Err(error) = inside::write(root, path, text.as_bytes(), 0o644) {
        tracing::debug!(%error, "leaving out {}", path.display());
    }
}

fn is_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    KEYS.iter().any(|key| name.contains(key))
}

/// Whether a value is an address with a name or password in it.
fn names_somebody(value: &str) -> bool {
    value.contains("://") && value.contains('@')
}

/// Lines `name = value` and headings, those of keys left out.
fn plain_lines(text: &str) -> String {
    let keep = |line: &&str| match line.split_once('=') {
        Some((name, value)) => !is_key(name) && !names_somebody(value),
        None => line.trim_start().starts_with('['),
    };
    let lines = text.lines().filter(keep).map(|line| format!("{line}\n"));
    lines.collect()
}

/// Go's settings without keys. An address stays where only its password goes: without it, Go would
/// ask somebody else for modules by their names.
pub(super) fn plain_go(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.split_once('=').is_some_and(|(name, _)| !is_key(name)) {
            out.push_str(&without_userinfo(line));
            out.push('\n');
        }
    }
    out
}

/// TOML without keys, and without what cargo would run.
fn plain_toml(text: &str) -> String {
    fn clean(table: &mut toml::Table) {
        table.retain(|name, value| match value {
            toml::Value::Table(inner) => {
                clean(inner);
                true
            }
            toml::Value::String(text) => !is_key(name) && !names_somebody(text),
            _ => !is_key(name) && !name.contains("credential"),
        });
    }
    let Ok(mut table) = text.parse::<toml::Table>() else {
        return String::new();
    };
    let wanted = ["source", "registries", "registry", "http", "net"];
    table.retain(|name, _| wanted.contains(&name));
    clean(&mut table);
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_stay_and_keys_do_not() {
        let npm = "registry=https://mirror.example/npm/\n//mirror.example/npm/:_authToken=s\n\
                   @me:registry = https://me.example\n_password=s\nproxy=http://me:s@proxy\n; s\n";
        assert_eq!(
            plain_lines(npm),
            "registry=https://mirror.example/npm/\n@me:registry = https://me.example\n"
        );
        let cargo = "[source.crates-io]\nreplace-with = \"m\"\n[source.m]\nregistry = \"https://m\"\n\
                     [registries.own]\nindex = \"https://me:s@own\"\ntoken = \"s\"\n\
                     [build]\nrustc-wrapper = \"x\"\n[registry]\n\
                     global-credential-providers = [\"s\"]\n";
        assert_eq!(
            plain_toml(cargo),
            "[registries.own]\n\n[registry]\n\n[source.crates-io]\nreplace-with = \"m\"\n\n\
             [source.m]\nregistry = \"https://m\"\n"
        );
        assert_eq!(plain_toml("token = ["), "");
    }
}
