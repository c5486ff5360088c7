//! `scripts/release`, with a stub of `gh`: what it writes into `checksums.txt` is what the action reads.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use super::runner::{PROGRAM, Runner, which};
use super::{DECIDE, VERSION, plain};

/// A gh that notes what it is asked, keeps files that are handed to it, and names what it makes.
const GH: &str = r#"#!/bin/sh
{ printf 'gh'; for argument in "$@"; do printf ' %s' "$argument"; done; echo; } >> "$SAW/gh"
for argument in "$@"; do
    case $argument in *=@*) cat "${argument#*=@}" > "$SAW/checksums" ;; esac
done
case "$*" in
*PATCH*) exit 1 ;;
*git/trees*) echo treeY ;;
*POST*git/commits*) echo commitY ;;
*git/commits*) echo treeX ;;
esac
"#;

#[test]
fn what_a_release_records_is_what_the_action_takes() {
    let mut runner = Runner::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(runner.path("action/scripts")).unwrap();
    fs::copy(
        from.join("scripts/release"),
        runner.path("action/scripts/release"),
    )
    .unwrap();
    let sums = "action/action/checksums.txt";
    let earlier = "# Sums\n0000  git-pertask-0.0.1-x/git-pertask\n";
    for target in [
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-apple-darwin",
        "aarch64-apple-darwin",
    ] {
        runner.release(VERSION, target, &format!("{PROGRAM}# {target}\n"));
    }
    runner.write(sums, earlier);
    for name in ["awk", "grep", "tee", "cp"] {
        runner.tool(name, &which(name));
    }
    runner.script("gh", GH);
    runner.set("TMPDIR", &runner.path("temp").display().to_string());
    runner.set("GITHUB_REPOSITORY", "o/git-pertask");
    let release = || {
        let mut command = runner.machine("bash");
        command
            .arg(runner.path("action/scripts/release"))
            .arg("commitX")
            .arg(runner.path(""));
        let out = command.output().unwrap();
        let out = [out.stdout, out.stderr].concat();
        plain(String::from_utf8_lossy(&out).lines().last().unwrap())
    };

    runner.write(
        "action/CHANGELOG.md",
        "# Changelog\n\n## [Unreleased]\n\n- new\n",
    );
    assert_snapshot!(release(), @r###"CHANGELOG.md has nothing under "## [<version>]""###);
    let log = format!("# Changelog\n\n## [{VERSION}] - today\n\n- new\n\n## [0.0.1]\n\n- old\n");
    runner.write("action/CHANGELOG.md", &log);
    let said = release();
    let asked = fs::read_to_string(runner.path("saw/gh")).unwrap();
    let mut asked = asked.replace(&runner.path("").display().to_string(), "/");
    while let Some((before, after)) = asked.split_once("/temp/tmp.") {
        asked = format!("{before}/stage{}", &after[10..]);
    }
    let major = format!("tags/v{} ", env!("CARGO_PKG_VERSION_MAJOR"));
    let asked = plain(&asked).replace(&major, "tags/<major> ");
    assert_snapshot!(asked, @r"
    gh api repos/o/git-pertask/git/commits/commitX --jq .tree.sha
    gh api --method POST repos/o/git-pertask/git/trees --jq .sha -f base_tree=treeX -f tree[][path]=action/checksums.txt -f tree[][mode]=100644 -f tree[][type]=blob -F tree[][content]=@/stage/checksums.txt
    gh api --method POST repos/o/git-pertask/git/commits --jq .sha -f message=Release <version> -f tree=treeY -f parents[]=commitX
    gh api --method POST repos/o/git-pertask/git/refs --jq .ref -f ref=refs/tags/v<version> -f sha=commitY
    gh release create v<version> --repo o/git-pertask --verify-tag --title git-pertask <version> --notes-file /stage/notes.md /git-pertask-<version>-x86_64-unknown-linux-musl.tar.gz /git-pertask-<version>-aarch64-unknown-linux-musl.tar.gz /git-pertask-<version>-x86_64-apple-darwin.tar.gz /git-pertask-<version>-aarch64-apple-darwin.tar.gz /stage/SHA256SUMS
    gh api --method PATCH repos/o/git-pertask/git/refs/tags/<major> --jq .ref -f sha=commitY -F force=true
    gh api --method POST repos/o/git-pertask/git/refs --jq .ref -f ref=refs/tags/<major> -f sha=commitY
    ");
    assert_snapshot!(said, @"Released v<version>, commitY. It is one commit ahead of commitX: git merge --ff-only v<version>");

    // That commit's file, and nothing else, makes the action take these archives.
    let recorded = fs::read_to_string(runner.path("saw/checksums")).unwrap();
    assert!(recorded.starts_with(earlier), "{recorded}");
    runner.write(sums, &recorded);
    for (system, machine) in [
        ("Linux", "X64"),
        ("Linux", "ARM64"),
        ("macOS", "X64"),
        ("macOS", "ARM64"),
    ] {
        runner.set("RUNNER_OS", system);
        runner.set("RUNNER_ARCH", machine);
        let used = runner.uses(DECIDE);
        assert_eq!(used.code, 0, "{}", used.log);
    }
}
