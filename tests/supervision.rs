//! What a command leaves behind, however it hides: nothing of it is left when it is over.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use git_pertask::attempt::process::{
    Cancel, Canceller, Ended, Env, Event, Exit, Flow, Supervised, supervise_by,
};
use tempfile::TempDir;

fn shell(folder: &TempDir, script: &str) -> Supervised {
    supervise_by(env!("CARGO_BIN_EXE_git-pertask"));
    let mut env = Env::default();
    env.set("PATH", std::env::var_os("PATH").unwrap());
    let argv = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
    let mut command = Supervised::new(argv, folder.path().to_owned(), env);
    // So that a test that fails ends.
    command.limit = Some(Duration::from_mins(1));
    command
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn run(command: &Supervised) -> Ended {
    block_on(command.run(&Cancel::never(), &mut |_| Flow::Continue)).unwrap()
}

/// Processes, dead ones aside, that work in a folder.
fn in_folder(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder) {
            let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            found.push(line.replace('\0', " "));
        }
    }
    found
}

fn wait_until_empty(folder: &Path) {
    while !in_folder(folder).is_empty() {
        std::thread::yield_now();
    }
}

/// Starts one that has left the group and the session, has no environment and no parent, and waits
/// until it is there. In `$1` it says so.
const HIDES: &str = r#"
hide() {
    setsid env -i /bin/sh -c "(/bin/sh -c 'trap \"\" TERM; echo \$\$ > $1.new; mv $1.new $1; exec sleep 1000' &) &" >/dev/null 2>&1
    until [ -s "$1" ]; do sleep 0.01; done
}
"#;

#[test]
fn one_that_hides_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell(&folder, &format!("{HIDES} hide one; hide two; exit 3"));
    command.grace = Duration::from_millis(50);
    let ended = run(&command);
    assert_eq!(in_folder(folder.path()), Vec::<String>::new());
    assert_eq!(ended.exit, Exit::Code(3));
    assert_eq!(ended.left_behind, 2);
}

#[test]
fn one_that_hides_is_ended_with_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell(&folder, &format!("{HIDES} hide one; echo here; sleep 1000"));
    command.grace = Duration::from_millis(50);
    let (canceller, cancel) = Canceller::new();
    command.lines = git_pertask::attempt::process::Lines::Every { max: 100 };
    let ended = block_on(command.run(&cancel, &mut |event| {
        if matches!(event, Event::Line("here")) {
            canceller.cancel();
        }
        Flow::Continue
    }));
    assert_eq!(in_folder(folder.path()), Vec::<String>::new());
    let ended = ended.unwrap();
    assert_eq!((ended.exit, ended.left_behind), (Exit::Cancelled, 0));
}

#[test]
fn one_that_hides_is_ended_when_nobody_waits_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let command = shell(&folder, &format!("{HIDES} hide one; sleep 1000"));
    let file = folder.path().join("one");
    block_on(async {
        let cancel = Cancel::never();
        let mut ignore = |_: Event<'_>| Flow::Continue;
        tokio::select! {
            _ = command.run(&cancel, &mut ignore) => panic!("it ended"),
            () = async { while !file.exists() { tokio::time::sleep(Duration::from_millis(1)).await; } } => {}
        }
    });
    wait_until_empty(folder.path());
}

#[test]
fn those_that_fork_on_and_on_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    // Each puts two in its place, in a session of its own and with no environment, up to a number.
    fs::write(
        folder.path().join("bomb"),
        "n=$1; [ $n -gt 0 ] || exec /bin/sleep 1000\n\
         /usr/bin/setsid /usr/bin/env -i /bin/sh ./bomb $((n - 1)) &\n\
         /usr/bin/setsid /usr/bin/env -i /bin/sh ./bomb $((n - 1)) &\n",
    )
    .unwrap();
    let mut command = shell(&folder, "sh ./bomb 7 >/dev/null 2>&1 & exit 0");
    command.grace = Duration::from_millis(50);
    let ended = run(&command);
    assert_eq!(in_folder(folder.path()), Vec::<String>::new());
    assert_eq!(ended.exit, Exit::Code(0));
}

#[test]
fn how_it_ended_is_told_as_without() {
    let folder = tempfile::tempdir().unwrap();
    let exit = |script: &str| run(&shell(&folder, script)).exit;
    assert_eq!(exit("exit 7"), Exit::Code(7));
    assert_eq!(exit("kill -9 $$"), Exit::Signal(9));
    assert_eq!(exit("kill -TERM $$"), Exit::Signal(15));
    let ended = run(&shell(&folder, "echo out; echo err >&2; rm -rf /nothing"));
    assert_eq!((ended.output.total(), ended.left_behind), (8, 0));
    let mut limited = shell(&folder, "trap '' TERM; sleep 1000 & wait; wait; sleep 1000");
    limited.limit = Some(Duration::from_millis(300));
    limited.grace = Duration::from_millis(50);
    let ended = run(&limited);
    assert_eq!((ended.exit, ended.left_behind), (Exit::TimedOut, 0));
    let mut wrong = shell(&folder, "");
    wrong.argv = vec!["/etc/passwd".into()];
    let error = block_on(wrong.run(&Cancel::never(), &mut |_| Flow::Continue)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`/etc/passwd` could not be started: Permission denied (os error 13)"
    );
}

#[test]
fn input_is_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell(&folder, "head -c 3; exec <&-; sleep 0.1; exit 4");
    command.stdin = vec![b'x'; 1 << 20];
    let ended = run(&command);
    assert_eq!((ended.exit, &*ended.output.text()), (Exit::Code(4), "xxx"));
}
