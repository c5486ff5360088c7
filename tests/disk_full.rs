//! A disk that is full: a clear message, nothing half-done, and once there is room the run goes on.
//!
//! Needs the right to mount a small file system in a mount namespace of its own.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/needs.rs"]
mod needs;
#[path = "support/site.rs"]
mod site;

use std::process::Command;

use site::Site;

const PLAN: &str = r#"
build = [["true"]]
[[task]]
id = "a"
file = "a.txt"
purpose = "The first file"
"#;

/// Runs the program with a file system of a few megabytes at `place`, of which so many bytes are
/// left; then again with room. Prints both exit codes and what the first said.
const SCRIPT: &str = r#"
mkdir -p "$place"
mount -t tmpfs -o size=6m,mode=755 none "$place" || exit 99
[ ! -d "$place-before" ] || cp -a "$place-before/." "$place"
head -c 20000000 /dev/zero > "$place/ballast" 2>/dev/null
truncate -s -"$left" "$place/ballast"
"$program" $command; echo "code $?" >&2
rm "$place/ballast"
"$program" $again; echo "code $?" >&2
git fsck --no-dangling >&2
"#;

fn may_mount() -> bool {
    let out = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    out.is_ok_and(|o| o.status.success())
}

fn full(place: &str, left: &str) -> Option<(String, String)> {
    let why = "this machine lets nobody mount a file system (unshare -rm)";
    if needs::lacks("mount", may_mount(), why) {
        return None;
    }
    let site = Site::new();
    site.agent("head -c 600000 /dev/urandom | base64 > a.txt; complete");
    site.plan(PLAN, "", "");
    if place == "repo" {
        std::fs::rename(site.path("repo"), site.path("repo-before")).unwrap();
    }
    let script = format!("cd '{}'\n{SCRIPT}", site.path("").display());
    let script = script
        .replace("\"$program\" ", "cd repo; \"$program\" ")
        .replace("cd repo; \"$program\" $again", "\"$program\" $again");
    let out = site
        .command("unshare")
        .current_dir(site.path(""))
        .args(["-rm", "sh", "-c", &script])
        .env("place", site.path(place))
        .env("left", left)
        .env("program", env!("CARGO_BIN_EXE_git-pertask"))
        .env("command", "start wiz --mode per-task")
        .env("again", "continue wiz")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let (first, second) = said.split_once("code ").unwrap();
    let (code, second) = second.split_once('\n').unwrap();
    Some((format!("{code} {first}"), second.to_owned()))
}

fn is_temporary(place: &str, left: &str) {
    let Some((first, second)) = full(place, left) else {
        return;
    };
    assert!(first.starts_with("75 "), "{first}\n{second}");
    // The git program does not always say why it could not write.
    let said = [
        "No space left on device",
        "failed to write",
        "unable to write",
    ];
    assert!(said.iter().any(|words| first.contains(words)), "{first}");
    assert!(second.contains("code 0"), "{first}\n---\n{second}");
}

#[test]
fn no_room_for_a_workspace() {
    is_temporary("work", "20K");
}

#[test]
fn no_room_for_what_the_agent_writes() {
    let Some((first, second)) = full("work", "400K") else {
        return;
    };
    // The agent's own trouble: its file is cut off, and it is for the checks to find out.
    assert!(
        first.starts_with("0 ") || first.starts_with("1 ") || first.starts_with("75 "),
        "{first}"
    );
    assert!(second.contains("code 0"), "{first}\n---\n{second}");
}

#[test]
fn no_room_in_the_repository_for_the_result() {
    is_temporary("repo", "200K");
}

#[test]
fn no_room_in_the_repository_for_the_ledger() {
    let Some((first, second)) = full("repo", "0") else {
        return;
    };
    assert!(first.starts_with("75 "), "{first}");
    assert!(first.contains("No space left on device"), "{first}");
    // Nothing was started, so there is nothing to go on with.
    assert!(second.contains("there is no run named wiz"), "{second}");
}
