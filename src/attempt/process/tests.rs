use std::fs;

use super::*;

fn shell(script: &str) -> Supervised {
    let mut env = Env::default();
    env.set("PATH", std::env::var_os("PATH").unwrap());
    let argv = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
    let mut command = Supervised::new(argv, std::env::temp_dir(), env);
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

fn gone(pid: &str) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z'),
        Err(_) => true,
    }
}

#[test]
fn status_and_both_streams_are_reported() {
    let ended = run(&shell("echo out; echo err >&2; exit 3"));
    assert_eq!(ended.exit, Exit::Code(3));
    let mut lines: Vec<_> = ended.output.text().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    assert_eq!(ended.stdout.tail(), "out\n");
    assert_eq!(ended.output.total(), 8);
    assert_eq!(ended.left_behind, 0);
}

#[test]
fn a_signal_of_its_own_is_told_from_ours() {
    assert_eq!(run(&shell("kill -9 $$")).exit, Exit::Signal(9));
}

#[test]
fn the_time_limit_ends_it_even_if_it_will_not_hear() {
    let mut command = shell("trap '' TERM; sleep 1000 & wait; wait; sleep 1000");
    command.limit = Some(Duration::from_millis(100));
    command.grace = Duration::from_millis(50);
    let ended = run(&command);
    assert_eq!(ended.exit, Exit::TimedOut);
    assert_eq!(ended.left_behind, 0);
}

#[test]
fn cancelling_ends_it() {
    let (canceller, cancel) = Canceller::new();
    let mut seen = 0;
    let ended = block_on(shell("echo one; sleep 1000").run(&cancel, &mut |event| {
        if let Event::Started { pid } = event {
            seen = pid;
            canceller.cancel();
        }
        Flow::Continue
    }));
    assert_eq!(ended.unwrap().exit, Exit::Cancelled);
    assert!(gone(&seen.to_string()));
}

#[test]
fn a_complete_answer_ends_a_process_that_stays() {
    let mut command = shell("echo one; echo done; echo more; sleep 1000");
    command.lines = Lines::Every { max: 100 };
    let mut lines = Vec::new();
    let ended = block_on(command.run(&Cancel::never(), &mut |event| match event {
        Event::Line(line) => {
            lines.push(line.to_owned());
            if line == "done" {
                Flow::Finish
            } else {
                Flow::Continue
            }
        }
        Event::Started { .. } => Flow::Continue,
    }));
    assert_eq!(ended.unwrap().exit, Exit::Finished);
    assert_eq!(lines, ["one", "done"]);
}

#[test]
fn a_complete_answer_leaves_the_status_of_a_process_that_ends() {
    let mut command = shell("echo done; exit 4");
    command.lines = Lines::Every { max: 100 };
    let ended = block_on(command.run(&Cancel::never(), &mut |event| match event {
        Event::Line("done") => Flow::Finish,
        _ => Flow::Continue,
    }));
    assert_eq!(ended.unwrap().exit, Exit::Code(4));
}

#[test]
fn children_are_ended_wherever_they_went() {
    let folder = tempfile::tempdir().unwrap();
    // In the group; in a session of its own; a daemon (its parent gone) with the output open; one
    // that cleared its environment but kept its parent, which is marked.
    let mut command = shell(
        "sleep 1000 >/dev/null 2>&1 & echo $! > group
         setsid sh -c 'echo $$ > session; exec sleep 1000' >/dev/null 2>&1 &
         (setsid sh -c 'echo $$ > daemon; exec sleep 1000' &)
         setsid sh -c 'env -i sleep 1000 & echo $! > scrubbed; wait' >/dev/null 2>&1 &
         until [ -s session ] && [ -s daemon ] && [ -s scrubbed ]; do :; done
         echo ready",
    );
    command.cwd = folder.path().to_owned();
    let ended = run(&command);
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(ended.output.text(), "ready\n");
    // The shell around the scrubbed one is the fifth.
    assert_eq!(ended.left_behind, 5);
    for name in ["group", "session", "daemon", "scrubbed"] {
        let pid = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(gone(&pid), "{name} {pid}");
    }
}

#[test]
fn dropping_the_run_kills_the_family() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell("setsid sleep 1000 & echo $! > pid.new; mv pid.new pid; wait");
    command.cwd = folder.path().to_owned();
    let file = folder.path().join("pid");
    block_on(async {
        let cancel = Cancel::never();
        let mut ignore = |_: Event<'_>| Flow::Continue;
        tokio::select! {
            _ = command.run(&cancel, &mut ignore) => panic!("it ended"),
            () = async { while !file.exists() { tokio::task::yield_now().await; } } => {}
        }
    });
    let pid = fs::read_to_string(&file).unwrap();
    while !gone(&pid) {
        std::thread::yield_now();
    }
}

#[test]
fn what_an_earlier_process_left_is_found_by_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().as_os_str();
    let script = "sleep 1000 & exec sleep 1000";
    let mut first = std::process::Command::new("sh")
        .args(["-c", script])
        .env("PERTASK_TEST_MARK", mark)
        .spawn()
        .unwrap();
    // The shell has its environment at once, its child once it is forked.
    let mut killed = 0;
    while killed == 0 {
        killed = kill_carriers("PERTASK_TEST_MARK", mark);
    }
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    assert_eq!(kill_carriers("PERTASK_TEST_MARK", mark), 0);
}

#[test]
fn a_limit_beyond_the_clock_is_none() {
    let mut command = shell("exit 0");
    command.limit = Some(Duration::MAX);
    assert_eq!(run(&command).exit, Exit::Code(0));
}

#[test]
fn input_is_written_while_output_is_read() {
    let mut command = shell("cat");
    command.stdin = vec![b'x'; 3_000_000];
    let ended = run(&command);
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(ended.output.total(), 3_000_000);
    assert!(ended.output.tail().len() <= 64 * 1024);
}

#[test]
fn input_nobody_reads_does_no_harm() {
    for script in ["exit 0", "exec <&-; echo still here", "echo still here"] {
        let mut command = shell(script);
        command.stdin = vec![b'x'; 3_000_000];
        assert_eq!(run(&command).exit, Exit::Code(0), "{script}");
    }
}

#[test]
fn closing_the_output_early_is_not_the_end() {
    assert_eq!(
        run(&shell("exec >&- 2>&-; cd /; exit 5")).exit,
        Exit::Code(5)
    );
}

#[test]
fn nothing_is_inherited() {
    let ended = run(&shell(
        "/usr/bin/env | cut -d= -f1 | grep -v -e '^_$' -e PWD -e SHLVL | sort",
    ));
    assert_eq!(ended.output.text(), "PATH\nPERTASK_PROCESS\n");
}

#[test]
fn what_cannot_start_says_why() {
    let started = |argv: &[&str], cwd: &str| {
        let mut env = Env::default();
        env.set("PATH", ".:relative:/nowhere");
        let argv = argv.iter().map(OsString::from).collect();
        let command = Supervised::new(argv, cwd.into(), env);
        block_on(command.run(&Cancel::never(), &mut |_| Flow::Continue))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(started(&[], "/"), "the command is empty");
    assert_eq!(
        started(&["no-agent"], "/"),
        "there is no program `no-agent` on the PATH (.:relative:/nowhere)"
    );
    assert_eq!(
        started(&["./no"], "/"),
        "there is no program `./no` at that path"
    );
    assert_eq!(
        started(&["/bin/sh"], "/no/such"),
        "the folder /no/such to run `/bin/sh` in does not exist"
    );
    assert_eq!(
        started(&["/etc/passwd"], "/"),
        "`/etc/passwd` could not be started: Permission denied (os error 13)"
    );
}
