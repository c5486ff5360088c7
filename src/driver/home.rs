//! Places on this machine: workspaces and attempt folders, the run's lock, and who we are.
//!
//! Races: [`RunLock`] is an advisory lock the kernel drops when its process ends in whatever way, so
//! it is never stale. It only keeps two processes of one machine from doing the same work twice;
//! what makes a race harmless is the ledger's compare-and-swap.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::orders::sha256;
use crate::git::Repo;
use crate::run::state::Holder;

/// Where the work on one repository happens: outside it, under the user's cache folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home for this repository: `$PERTASK_HOME`, else `git-pertask` in the cache folder, and in
    /// it a folder for the repository, told apart from another that later has the same path.
    ///
    /// # Errors
    /// When neither variable nor home folder says where.
    pub fn of(repo: &Repo) -> anyhow::Result<Self> {
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        let top = absolute("PERTASK_HOME")
            .or_else(|| absolute("XDG_CACHE_HOME").map(|p| p.join("git-pertask")))
            .or_else(|| absolute("HOME").map(|p| p.join(".cache/git-pertask")));
        let Some(top) = top else {
            bail!("there is no place for workspaces: set HOME, or PERTASK_HOME to a folder");
        };
        let common = repo
            .common_dir()
            .canonicalize()
            .unwrap_or_else(|_| repo.common_dir().to_owned());
        let (device, inode) = identity_of(&common.join("objects"));
        let mut identity = common.as_os_str().as_encoded_bytes().to_vec();
        identity.extend(device.to_le_bytes());
        identity.extend(inode.to_le_bytes());
        let mut id = sha256(&identity);
        id.truncate(16);
        let name = repo
            .workdir()
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .take(32)
            .collect();
        Ok(Self {
            root: top.join(format!("{name}-{id}")),
        })
    }

    /// The folder of a run.
    #[must_use]
    pub fn run(&self, run: &str) -> PathBuf {
        self.root.join(run)
    }

    /// The folder of an attempt.
    #[must_use]
    pub fn attempt(&self, run: &str, leaf: &str, attempt: u32) -> PathBuf {
        self.run(run)
            .join("attempts")
            .join(format!("{leaf}-{attempt}"))
    }

    /// The places of a workspace.
    #[must_use]
    pub fn workspace(&self, run: &str, slot: usize) -> PathBuf {
        self.run(run).join(format!("workspace-{slot}"))
    }
}

#[cfg(unix)]
fn identity_of(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().map_or((0, 0), |m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn identity_of(_: &Path) -> (u64, u64) {
    (0, 0)
}

/// The right to drive a run on this machine, for as long as the value lives.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// Another process of this machine drives the run.
#[derive(Debug, thiserror::Error)]
#[error(
    "process {pid} is already working on run {run}; `git pertask status {run}` shows what it does"
)]
pub struct Held {
    /// The run.
    pub run: String,
    /// The process, as it noted itself.
    pub pid: String,
}

impl RunLock {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// [`Held`] when another process has it; otherwise when the lock file cannot be made.
    pub fn take(repo: &Repo, run: &str) -> anyhow::Result<Self> {
        let dir = repo.common_dir().join("pertask");
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let path = dir.join(format!("{run}.lock"));
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        if let Err(e) = file.try_lock()
            && !crate::plant::is("run-lock-is-ignored")
        {
            if matches!(e, fs::TryLockError::Error(_)) {
                return Err(e).with_context(|| format!("locking {}", path.display()));
            }
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() {
                "unknown".to_owned()
            } else {
                pid.trim().to_owned()
            };
            return Err(Held {
                run: run.to_owned(),
                pid,
            }
            .into());
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// This process, for a claim.
#[must_use]
pub fn myself() -> Holder {
    let pid = std::process::id();
    Holder {
        host: host(),
        boot: boot(),
        pid,
        started: start_time(pid).unwrap_or(0),
        workflow: None,
    }
}

/// Whether a holder is known to be gone: it was on this machine, and its process is not there.
#[must_use]
pub fn is_gone(holder: &Holder) -> bool {
    // Jobs of a workflow are on other machines, or will be, whatever they are called.
    if holder.workflow.is_some() || holder.host != host() {
        return false;
    }
    if holder.boot != boot() {
        return true;
    }
    if Path::new("/proc/self/stat").exists() {
        return start_time(holder.pid) != Some(holder.started);
    }
    let pid = i32::try_from(holder.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Start time of a process in clock ticks since boot: field 22 of its `stat`, counted behind the
/// name, which may hold spaces.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    // A zombie does nothing any more.
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone_and_an_older_one_of_its_number_is() {
        let mut me = myself();
        assert!(!is_gone(&me));
        if me.started > 0 {
            me.started -= 1;
            assert!(is_gone(&me));
        }
        me = myself();
        me.host.push('x');
        assert!(!is_gone(&me), "nothing is known of another machine");
    }
}
