//! Every effect that outlives the process goes through [`perform`], which numbers it.
//!
//! The number is what a test needs to stop the program exactly before or after any one of them
//! (`PERTASK_TEST_CRASH=before:12`); the switch exists in builds with debug assertions only. What
//! the program promises is that, stopped at any of these points, the next `git pertask continue`
//! comes to the same end (docs/reliability.md).

use std::sync::atomic::{AtomicU64, Ordering};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Does `effect` as the next numbered effect of this process. `name` says what it is, for traces.
pub fn perform<T>(name: &str, effect: impl FnOnce() -> T) -> T {
    let number = NUMBER.fetch_add(1, Ordering::SeqCst) + 1;
    tracing::debug!(target: "pertask::effect", number, name, "effect");
    crash::point("before", number, name);
    let value = effect();
    crash::point("after", number, name);
    value
}

#[cfg(debug_assertions)]
mod crash {
    use std::io::Write as _;

    /// Kills this process and its group, when the environment asks for this very point.
    pub(super) fn point(when: &str, number: u64, name: &str) {
        if when == "before"
            && let Ok(path) = std::env::var("PERTASK_TEST_EFFECTS")
            && let Ok(mut file) = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
        {
            let _ = writeln!(file, "{number} {name}");
        }
        let Ok(wanted) = std::env::var("PERTASK_TEST_CRASH") else {
            return;
        };
        if wanted == format!("{when}:{number}") {
            use rustix::process::{Signal, getpgrp, getpid, kill_process, kill_process_group};
            // With the git programs it has started, where the group is its own.
            let _ = if getpgrp() == getpid() {
                kill_process_group(getpid(), Signal::KILL)
            } else {
                kill_process(getpid(), Signal::KILL)
            };
        }
    }
}

#[cfg(not(debug_assertions))]
mod crash {
    pub(super) fn point(_when: &str, _number: u64, _name: &str) {}
}
