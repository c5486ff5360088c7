//! Build and check commands: run without the agent's keys, with a time limit, output capped.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::attempt::process::{Cancel, Env, Event, Exit, Flow, Supervised, find_program};
use crate::run::order::{CheckCommand, CheckOutcome};

/// Runs one command in `dir`; `wrapper` stands before it and confines it.
pub async fn run(
    check: &CheckCommand,
    dir: &Path,
    env: Env,
    wrapper: &[String],
    limit: Duration,
    cancel: &Cancel,
) -> CheckOutcome {
    let name = shell_words(&check.command);
    let failed = |detail: String, output: String, duration_ms: u64| CheckOutcome {
        kind: check.kind,
        name: name.clone(),
        passed: false,
        detail,
        output,
        duration_ms,
    };
    if !dir.is_dir() {
        return failed(
            format!("the folder to run it in, {}, is not there", dir.display()),
            String::new(),
            0,
        );
    }
    let mut argv: Vec<OsString> = wrapper.iter().map(OsString::from).collect();
    argv.extend(check.command.iter().map(OsString::from));
    if let (false, Some(program)) = (wrapper.is_empty(), check.command.first()) {
        // Looked up here, because a wrapper could only end with some status.
        match find_program(program.as_ref(), env.get("PATH"), dir) {
            Ok(path) => argv[wrapper.len()] = path.into_os_string(),
            Err(e) => return failed(e.to_string(), String::new(), 0),
        }
    }
    let mut command = Supervised::new(argv, dir.to_owned(), env);
    command.limit = Some(limit);
    command.head_cap = 48 * 1024;
    command.tail_cap = 16 * 1024;
    let ended = match command
        .run(cancel, &mut |_: Event<'_>| Flow::Continue)
        .await
    {
        Ok(ended) => ended,
        Err(e) => return failed(e.to_string(), String::new(), 0),
    };
    let duration_ms = u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX);
    let output = ended.output.text();
    match ended.exit {
        Exit::Code(0) => CheckOutcome {
            kind: check.kind,
            name: name.clone(),
            passed: true,
            detail: "succeeded".to_owned(),
            output,
            duration_ms,
        },
        Exit::Code(code) => failed(
            format!("ended with exit status {code}"),
            output,
            duration_ms,
        ),
        Exit::Signal(signal) => failed(
            format!("was killed by signal {signal}"),
            output,
            duration_ms,
        ),
        Exit::TimedOut => failed(
            format!("did not end within {} s", limit.as_secs()),
            output,
            duration_ms,
        ),
        Exit::Cancelled | Exit::Finished => {
            failed("was interrupted".to_owned(), output, duration_ms)
        }
    }
}

/// An argument list as a person would type it.
#[must_use]
pub fn shell_words(command: &[String]) -> String {
    let plain = |w: &str| {
        !w.is_empty()
            && w.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c))
    };
    let words: Vec<String> = command
        .iter()
        .map(|w| {
            if plain(w) {
                w.clone()
            } else {
                format!("'{}'", w.replace('\'', "'\\''"))
            }
        })
        .collect();
    words.join(" ")
}
