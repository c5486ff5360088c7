//! Files of npm packages that are used by tests only: GitHub's descriptions of its interfaces.
//!
//! `tests/schemas/package-lock.json` says which, and their hashes. A file is fetched once into the
//! user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`); any number of test processes may want
//! it at once. One file is taken out of a package, not all of it: one of them has 400 MB.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

const LOCK: &str = include_str!("../../schemas/package-lock.json");

/// Where a file of a package is, fetched if need be.
pub fn package_file(package: &str, member: &str) -> PathBuf {
    let lock: Value = serde_json::from_str(LOCK).unwrap();
    let entry = &lock["packages"][format!("node_modules/{package}")];
    let version = entry["version"]
        .as_str()
        .unwrap_or_else(|| panic!("tests/schemas/package-lock.json does not have {package}"));
    let home = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let cache = home("XDG_CACHE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".cache")))
        .expect("neither XDG_CACHE_HOME nor HOME is set");
    let folder = cache.join("git-pertask/tools").join(format!(
        "{}-{version}",
        package.trim_start_matches('@').replace('/', "-")
    ));
    let file = folder.join(member);
    if file.exists() {
        return file;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    // Whoever comes second waits, and finds it there.
    let guard = File::create(folder.join("lock")).unwrap();
    guard.lock().unwrap();
    if !file.exists() {
        fetch(
            package,
            version,
            entry["integrity"].as_str().unwrap(),
            member,
            &file,
        );
    }
    file
}

fn fetch(package: &str, version: &str, integrity: &str, member: &str, file: &Path) {
    let folder = tempfile::tempdir_in(file.parent().unwrap()).unwrap();
    let wanted = format!("{package}@{version}");
    let with = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with");
    let pack = Command::new(with)
        .args(["node", "npm", "pack", "--silent", &wanted])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        pack.status.success(),
        "{wanted}, which tests hold their requests against, could not be had: {}\nBring the \
         network up and try again; it is kept in {}",
        String::from_utf8_lossy(&pack.stderr),
        file.display()
    );
    let packed = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.path());
    let packed = packed
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "tgz"));
    let packed = packed.expect("npm pack wrote nothing");
    let hash = STANDARD.encode(Sha512::digest(fs::read(&packed).unwrap()));
    assert_eq!(
        format!("sha512-{hash}"),
        integrity,
        "{wanted} is not what tests/schemas/package-lock.json says"
    );
    let member = format!("package/{member}");
    let tar = Command::new("tar")
        .args(["xzf".as_ref(), packed.as_os_str(), member.as_ref()])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(tar.success(), "{wanted} has no {member}");
    fs::rename(folder.path().join(member), file).unwrap();
}
