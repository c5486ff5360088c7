//! Where there is no release of the version for the system.

use std::fs;

use insta::assert_snapshot;

use super::runner::{PROGRAM, Runner, hash};
use super::{DECIDE, TARGET, VERSION, plain};

/// A cargo that leaves the program where it is asked to, and notes how it was asked.
const CARGO: &str = r#"#!/bin/sh
{ pwd; printf '%s\n' "$@"; } > "$SAW/cargo"
while [ $# -gt 0 ]; do if [ "$1" = --root ]; then root=$2; fi; shift; done
[ ! -e "$SAW/broken" ] || exit 101
mkdir -p "$root/bin" && cat "$SAW/source" > "$root/bin/git-pertask"
/bin/chmod +x "$root/bin/git-pertask"
"#;

#[test]
fn without_a_release_it_is_built_from_the_actions_own_source() {
    let runner = Runner::new();
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 1);
    assert_snapshot!(plain(&used.log), @"::error title=git-pertask::there is no release of git-pertask <version> for x86_64-unknown-linux-musl yet, and no cargo here to build it: use a released version of the action, or install Rust in a step before");

    runner.script("cargo", CARGO);
    runner.write("saw/source", PROGRAM);
    // Another release is of no use, nor another system's.
    runner.release("9.9.9", TARGET, "#!/bin/sh\n");
    runner.release(VERSION, "aarch64-apple-darwin", "#!/bin/sh\n");
    let used = runner.uses(DECIDE);
    assert_eq!(used.code, 0, "{}", used.log);
    assert_eq!(used.outputs["sha256"], hash(PROGRAM.as_bytes()));
    assert!(runner.arguments().is_some());
    let asked = fs::read_to_string(runner.path("saw/cargo")).unwrap();
    assert_snapshot!(asked.replace(&runner.path("").display().to_string(), "/"), @r"
    /action
    install
    --locked
    --path
    /action
    --bin
    git-pertask
    --root
    /temp/git-pertask/source
    --target-dir
    /temp/git-pertask/source/target
    --force
    ");

    // Later in the job, the hash is known: the same is used, not built again.
    fs::remove_file(runner.path("saw/cargo")).unwrap();
    let known = used.outputs["sha256"].clone();
    let again = [DECIDE, &[("sha256", known.as_str())]].concat();
    assert_eq!(runner.uses(&again).code, 0);
    assert!(!runner.path("saw/cargo").exists());
    // Without it nothing is known of the file that lies there, and it is built again.
    assert_eq!(runner.uses(DECIDE).code, 0);
    assert!(runner.path("saw/cargo").exists());

    runner.arguments();
    let mut said = String::new();
    runner.write("temp/git-pertask/source/bin/git-pertask", "#!/bin/sh\n");
    let mut fails = |inputs: &[(&str, &str)]| {
        let used = runner.uses(inputs);
        assert_eq!(used.code, 1, "{}", used.log);
        assert!(runner.arguments().is_none());
        said.push_str(&used.log.replace(&known, "<known>"));
    };
    fails(&again);
    fs::remove_dir_all(runner.path("temp/git-pertask/source")).unwrap();
    runner.write("saw/source", "#!/bin/sh\nexit 0\n");
    fails(&again);
    runner.write("saw/broken", "");
    fails(DECIDE);
    fails(&[DECIDE, &[("version", "9.9.8")]].concat());
    fails(&[DECIDE, &[("version", "../../9.9.9")]].concat());
    fails(&[DECIDE, &[("sha256", "abc")]].concat());
    let said = said.replace(&hash(b"#!/bin/sh\nexit 0\n"), "<found>");
    let said = said.replace(env!("CARGO_PKG_RUST_VERSION"), "<rust>");
    assert_snapshot!(plain(&said), @r#"
    ::error title=git-pertask::/temp/git-pertask/source/bin/git-pertask is not what an earlier step of this job built (input sha256): something changed it
    ::group::Building git-pertask <version> from source, as there is no release of it for x86_64-unknown-linux-musl
    ::endgroup::
    ::error title=git-pertask::what was built has the SHA-256 <found>, not <known> of the input sha256; give that input only within the job of the step it comes from
    ::group::Building git-pertask <version> from source, as there is no release of it for x86_64-unknown-linux-musl
    ::endgroup::
    ::error title=git-pertask::git-pertask <version> could not be built; it needs Rust <rust> or newer and a C compiler
    ::error title=git-pertask::this action knows no checksum of git-pertask 9.9.8 for x86_64-unknown-linux-musl; take the action of that release (uses: …@v9.9.8), or leave the input version out
    ::error title=git-pertask::input version: "../../9.9.9" is no version such as <version>
    ::error title=git-pertask::input sha256: "abc" is no SHA-256, which has 64 digits of 0-9a-f
    "#);
}
