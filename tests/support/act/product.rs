//! The Action with the program under test as its release.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::Act;

/// Where the workflows that `init --github` writes say the Action is.
pub const ACTION: &str = "OWNER/git-pertask";

/// Lets the Action's workflows use the program under test: as the released binary, which lies in the
/// machines' tool cache as if fetched before.
pub fn install(act: &mut Act<'_>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let action = act.root().join("action");
    fs::create_dir_all(action.join("action")).unwrap();
    fs::copy(source.join("action.yml"), action.join("action.yml")).unwrap();
    fs::copy(source.join("Cargo.toml"), action.join("Cargo.toml")).unwrap();
    for entry in fs::read_dir(source.join("action")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), action.join("action").join(entry.file_name())).unwrap();
    }

    let version = env!("CARGO_PKG_VERSION");
    let (arch, machine) = match std::env::consts::ARCH {
        "x86_64" => ("x64", "x86_64"),
        "aarch64" => ("arm64", "aarch64"),
        other => panic!("there is no release for {other}"),
    };
    let cache = act.tool_cache().join(format!("git-pertask/{version}"));
    let binary = cache.join(arch).join("git-pertask");
    fs::create_dir_all(binary.parent().unwrap()).unwrap();
    // Smaller, as it is read whole before every use.
    let strip = Command::new("strip")
        .arg("-o")
        .args([&binary, Path::new(env!("CARGO_BIN_EXE_git-pertask"))])
        .status();
    if !strip.is_ok_and(|status| status.success()) {
        fs::copy(env!("CARGO_BIN_EXE_git-pertask"), &binary).unwrap();
    }
    fs::write(cache.join(format!("{arch}.complete")), "").unwrap();
    let hash = Sha256::digest(fs::read(&binary).unwrap());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("git-pertask-{version}-{machine}-unknown-linux-musl");
    // The archive is never fetched.
    let archive = "0".repeat(64);
    let sums = format!("{archive}  {name}.tar.gz\n{hash}  {name}/git-pertask\n");
    fs::write(action.join("action/checksums.txt"), sums).unwrap();
    act.action(ACTION, &action);
}
