//! Everything a process has started, wherever it went.
//!
//! On Linux all of it is below its supervisor (`supervisor.rs`), wherever it went: a process that
//! loses its parent becomes the supervisor's child. Beside that a process belongs to the family when
//! it is in the group of its own that the first process got, when it carries the family's mark in its
//! environment (which children inherit, also those that make themselves daemons), or when its parent
//! belongs to it: those are found without a supervisor, when it was killed say.
//!
//! Out of reach remain: what has left the group, cleared its environment and lost its parent where
//! there is no supervisor any more; a chain of processes that each fork and end faster than we look, as
//! long as they do; what another program started on its behalf (`systemd-run`, `at`, Docker). Outside
//! Linux only the group is known.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use rustix::process::{Pid, Signal, kill_process_group};

/// The variable that carries the mark.
pub(super) const MARK: &str = "PERTASK_PROCESS";

/// A mark no other process carries.
pub(in crate::attempt) fn new_mark() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let first = hasher.finish();
    hasher.write_u64(RandomState::new().build_hasher().finish());
    format!("{first:016x}{:016x}", hasher.finish())
}

/// The family of one process; whatever is left of it is killed when this is dropped armed.
#[derive(Debug)]
pub(super) struct Family {
    group: Option<Pid>,
    #[cfg(target_os = "linux")]
    search: linux::Search,
    armed: bool,
}

impl Family {
    /// The family of `main`, which was just started as the leader of its own group with `mark` in
    /// its environment.
    pub(super) fn new(main: Pid, mark: &str) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = mark;
        Self {
            group: Some(main),
            #[cfg(target_os = "linux")]
            search: linux::Search::new(main, format!("{MARK}={mark}").into_bytes()),
            armed: true,
        }
    }

    /// What a supervisor was started for with `mark`: itself is not part of it.
    pub(super) fn of(supervisor: Pid, mark: &str) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = (supervisor, mark);
        Self {
            group: None,
            #[cfg(target_os = "linux")]
            search: linux::Search::below(supervisor, None, format!("{MARK}={mark}").into_bytes()),
            armed: true,
        }
    }

    /// All below the supervisor that we are, which started `main` as the leader of its own group.
    #[cfg(target_os = "linux")]
    pub(super) fn below(supervisor: Pid, main: Pid) -> Self {
        Self {
            group: Some(main),
            search: linux::Search::below(supervisor, Some(main), Vec::new()),
            armed: false,
        }
    }

    /// Everything has ended: nothing to do on drop.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// How many of it are alive (1 for "some" where they cannot be counted).
    #[cfg(target_os = "linux")]
    pub(super) fn alive(&self) -> u32 {
        u32::try_from(self.search.members().len()).unwrap_or(u32::MAX)
    }

    /// Sends `signal` to all of it.
    #[cfg(target_os = "linux")]
    pub(super) fn signal(&self, signal: Signal) {
        let members = self.search.members();
        // The group at once, so that nobody in it can fork away between two of us.
        let grouped = |member: &&linux::Member| Some(member.group) == self.group;
        if let (Some(group), true) = (self.group, members.iter().any(|m| grouped(&m))) {
            let _ = kill_process_group(group, signal);
        }
        for member in members.iter().filter(|member| !grouped(member)) {
            member.signal(signal);
        }
    }

    /// How many of it are alive (1 for "some" where they cannot be counted).
    #[cfg(not(target_os = "linux"))]
    pub(super) fn alive(&self) -> u32 {
        let test = rustix::process::test_kill_process_group;
        u32::from(self.group.is_some_and(|group| test(group).is_ok()))
    }

    /// Sends `signal` to all of it.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.armed {
            // It goes on until nothing is left; a look of ours is only one.
            #[cfg(target_os = "linux")]
            self.search.tell_supervisor();
            self.signal(Signal::KILL);
        }
    }
}

/// Kills every process that carries `name=value` in its environment, with the children of those,
/// and says how many there were. It is for what an earlier process of ours started and could not end
/// because it was killed itself. Does nothing outside Linux.
#[cfg(target_os = "linux")]
#[expect(
    clippy::must_use_candidate,
    reason = "it is called to kill, not to count"
)]
pub fn kill_carriers(name: &str, value: &std::ffi::OsStr) -> u32 {
    let mut entry = format!("{name}=").into_bytes();
    entry.extend_from_slice(value.as_encoded_bytes());
    let search = linux::Search::anywhere(entry);
    let mut killed = 0;
    if crate::plant::is("agents-outlive-us") {
        return killed;
    }
    // Again for what was forked between the look and the signal; bounded, as one that cannot be
    // killed would be found for ever.
    for _ in 0..100 {
        let members = search.members();
        if members.is_empty() {
            break;
        }
        killed = killed.max(u32::try_from(members.len()).unwrap_or(u32::MAX));
        for member in members {
            member.signal(Signal::KILL);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    killed
}

/// Kills every process that carries `name=value` in its environment; not possible here.
#[cfg(not(target_os = "linux"))]
pub fn kill_carriers(_name: &str, _value: &std::ffi::OsStr) -> u32 {
    0
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::Read as _;

    use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

    /// Most of an environment that is read: what the kernel allows on one `execve`.
    const ENVIRON_MAX: u64 = 2 * 1024 * 1024;

    #[derive(Debug)]
    pub(super) struct Search {
        /// Process whose descendants belong in any case, though not itself.
        root: Option<Pid>,
        /// Group whose members belong in any case.
        group: Option<Pid>,
        /// Entry of the environment that marks a member.
        mark: Vec<u8>,
        /// Only what was started since counts, in the kernel's ticks.
        since: u64,
    }

    #[derive(Debug, Clone, Copy)]
    pub(super) struct Member {
        pid: Pid,
        parent: i32,
        pub(super) group: Pid,
        started: u64,
    }

    impl Search {
        pub(super) fn anywhere(mark: Vec<u8>) -> Self {
            Self {
                root: None,
                group: None,
                mark,
                since: 0,
            }
        }

        pub(super) fn below(root: Pid, group: Option<Pid>, mark: Vec<u8>) -> Self {
            Self {
                root: Some(root),
                group,
                mark,
                since: stat(root).map_or(0, |member| member.started),
            }
        }

        /// The root, unless it has ended: then its number may be somebody else's.
        fn root(&self) -> Option<Member> {
            stat(self.root?).filter(|root| root.started == self.since)
        }

        /// Has the supervisor end everything.
        pub(super) fn tell_supervisor(&self) {
            if let Some(root) = self.root() {
                root.signal(Signal::TERM);
            }
        }

        pub(super) fn new(main: Pid, mark: Vec<u8>) -> Self {
            let since = stat(main).map_or(0, |member| member.started);
            Self {
                root: None,
                group: Some(main),
                mark,
                since,
            }
        }

        /// All living members. Those started before the first process cannot be of its family, so
        /// most of the machine is passed over by one small read each.
        pub(super) fn members(&self) -> Vec<Member> {
            let Ok(entries) = std::fs::read_dir("/proc") else {
                return Vec::new();
            };
            let mut strangers: Vec<Member> = Vec::new();
            let mut members: Vec<Member> = Vec::new();
            let mut environ = Vec::new();
            let root = self.root().map(|root| root.pid);
            for entry in entries.flatten() {
                let pid = entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok());
                let Some(pid) = pid.and_then(Pid::from_raw) else {
                    continue;
                };
                let Some(process) = stat(pid) else { continue };
                if process.started < self.since || Some(pid) == self.root {
                    continue;
                }
                let mut marked = || {
                    !self.mark.is_empty()
                        && !crate::plant::is("session-leaders-live")
                        && self.marked(pid, &mut environ)
                };
                if Some(process.group) == self.group || marked() {
                    members.push(process);
                } else {
                    strangers.push(process);
                }
            }
            loop {
                let before = members.len();
                strangers.retain(|stranger| {
                    let child = root.is_some_and(|root| root.as_raw_pid() == stranger.parent)
                        || members
                            .iter()
                            .any(|member| member.pid.as_raw_pid() == stranger.parent);
                    if child {
                        members.push(*stranger);
                    }
                    !child
                });
                if members.len() == before {
                    return members;
                }
            }
        }

        fn marked(&self, pid: Pid, environ: &mut Vec<u8>) -> bool {
            environ.clear();
            let read = File::open(format!("/proc/{}/environ", pid.as_raw_pid()))
                .and_then(|file| file.take(ENVIRON_MAX).read_to_end(environ));
            read.is_ok()
                && environ
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == self.mark)
        }
    }

    impl Member {
        /// Signals this very process, not one that got its number since.
        pub(super) fn signal(&self, signal: Signal) {
            if let Ok(handle) = pidfd_open(self.pid, PidfdFlags::empty()) {
                if stat(self.pid).is_some_and(|now| now.started == self.started) {
                    let _ = pidfd_send_signal(handle, signal);
                }
            } else if stat(self.pid).is_some_and(|now| now.started == self.started) {
                // Kernels before 5.3.
                let _ = kill_process(self.pid, signal);
            }
        }
    }

    /// What `/proc/<pid>/stat` says of a living process; `None` for one that has ended, also when
    /// nobody has collected it yet.
    fn stat(pid: Pid) -> Option<Member> {
        let text = std::fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        // The name stands in brackets and may hold anything, brackets too.
        let after = text.iter().rposition(|byte| *byte == b')')? + 1;
        let fields: Vec<&str> = std::str::from_utf8(&text[after..])
            .ok()?
            .split_ascii_whitespace()
            .collect();
        if matches!(*fields.first()?, "Z" | "X" | "x") {
            return None;
        }
        Some(Member {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: Pid::from_raw(fields.get(2)?.parse().ok()?)?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}
