//! Confinement of agents and checks by the kernel (Landlock, Linux 5.13 and newer).
//!
//! A command is confined by the words put before it: this program runs itself as
//! `git-pertask confine --policy FILE -- PROGRAM ARGUMENTS…`, restricts itself as the file says, and
//! becomes the program. What it then starts stays restricted, and nothing lifts it.
//!
//! Safe against an agent, or what it wrote and a check runs, that reads the person's keys, other
//! repositories or our own environment, or writes anywhere but into its workspace, its output, its
//! settings and folders of its own. What it does not hold against, `docs/confinement.md` lists:
//! the network, sockets with a path before ABI 9, and whoever is root.
//!
//! Fails closed: where confinement was announced and cannot be set up, the program is not started.

mod caches;
mod grants;
mod launch;
mod policy;
mod private;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::git::{Repo, Worktree};
use crate::plan::Sandbox;

pub use launch::{available, confine};
pub use policy::Policy;

use grants::Machine;
use private::Private;

/// The kernel's Landlock, by the number of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landlock {
    /// Its ABI, 1 or higher.
    pub abi: u32,
}

impl Landlock {
    /// What this kernel leaves open that a newer one closes.
    #[must_use]
    pub fn gaps(self) -> Vec<&'static str> {
        let gaps = [
            (3, "emptying files"),
            (5, "control of devices"),
            (6, "signals to your processes"),
            (9, "sockets such as ssh-agent's and Docker's"),
        ];
        gaps.iter()
            .filter(|(since, _)| self.abi < *since)
            .map(|(_, what)| *what)
            .collect()
    }
}

/// What a start tells a person about confinement.
#[must_use]
pub fn statement(wanted: Sandbox) -> String {
    let unconfined = |why: &str| {
        format!(
            "agents and checks run unconfined ({why}): they can read and change whatever you can, beyond their workspace"
        )
    };
    match (wanted, available()) {
        (Sandbox::Off, _) => unconfined("as the configuration asks"),
        (_, None) => unconfined("this system has no Landlock"),
        (_, Some(landlock)) => {
            let mut open = vec!["the network"];
            open.extend(landlock.gaps());
            format!(
                "agents and checks run confined (Landlock ABI {}) to their workspace and folders of their own; still open: {}",
                landlock.abi,
                open.join(", ")
            )
        }
    }
}

/// The words before the commands of an attempt, and the folders they may use. Those that are for
/// once are removed when this is dropped.
#[derive(Debug, Default)]
pub struct Confinement {
    /// Before the agent's command; empty when not confined.
    pub agent: Vec<String>,
    /// Before each check; empty when not confined.
    pub checks: Vec<String>,
    private: Vec<Private>,
}

/// What is confined.
pub struct Subject<'a> {
    /// The user's repository, whose objects may be read.
    pub repo: &'a Repo,
    /// The workspace.
    pub worktree: &'a Worktree,
    /// The attempt's folder and the agent's command, where there is one.
    pub agent: Option<(&'a Path, &'a [String])>,
    /// Our own environment.
    pub environment: &'a [(OsString, OsString)],
}

impl Confinement {
    /// Prepares the policies, where the configuration and the kernel allow for it.
    ///
    /// # Errors
    /// When it is required and cannot be had, or a folder cannot be made.
    pub fn prepare(wanted: Sandbox, subject: &Subject<'_>) -> anyhow::Result<Self> {
        if wanted == Sandbox::Off {
            return Ok(Self::default());
        }
        if available().is_none() {
            if wanted == Sandbox::Require {
                bail!(
                    "sandbox = \"require\" asks for agents to be confined, and this system has no Landlock; nothing was started"
                );
            }
            return Ok(Self::default());
        }
        subject.prepare().context("preparing the confinement")
    }
}

impl Subject<'_> {
    fn prepare(&self) -> anyhow::Result<Confinement> {
        // The workspace is <repository>/<run>/workspace-<n>/tree.
        let tree = self.worktree.path();
        let places: Vec<&Path> = tree.ancestors().skip(1).take(3).collect();
        let &[workspace, run, repository] = places.as_slice() else {
            bail!("the workspace {} is at no place of ours", tree.display());
        };
        let machine = Machine::new(self.environment, self.repo, repository);
        let mut confinement = Confinement::default();
        if let Some((attempt, command)) = self.agent {
            let mut policy = self.policy(
                &machine,
                workspace,
                "agent",
                &run.join("caches"),
                &mut confinement,
            )?;
            policy.write.push(attempt.join("output"));
            policy.write.push(attempt.join("settings"));
            policy.read.push(attempt.join("prompt.md"));
            policy.read.extend(machine.programs(command));
            confinement.agent = store(&policy, &workspace.join("agent.policy"))?;
        }
        let caches = repository.join(CHECK_CACHES);
        let policy = self.policy(&machine, workspace, "checks", &caches, &mut confinement)?;
        confinement.checks = store(&policy, &workspace.join("checks.policy"))?;
        Ok(confinement)
    }

    fn policy(
        &self,
        machine: &Machine,
        workspace: &Path,
        whom: &str,
        caches: &Path,
        confinement: &mut Confinement,
    ) -> anyhow::Result<Policy> {
        let private = Private::new(&workspace.join(format!("{whom}.private")))?;
        let mut policy = Policy {
            read: machine.readable(),
            write: vec![self.worktree.path().to_owned(), private.path().to_owned()],
            ..Policy::default()
        };
        policy.read.extend(objects(self.repo));
        if crate::plant::is("home-granted") {
            policy.read.extend(std::env::home_dir());
        }
        caches::grant(machine, caches, &private, &mut policy)?;
        confinement.private.push(private);
        Ok(policy)
    }
}

/// Where checks keep what they have downloaded and built, for all runs of a repository. No run can
/// have this name.
const CHECK_CACHES: &str = "caches.checks";

/// The repository's objects and those it borrows in turn.
fn objects(repo: &Repo) -> Vec<PathBuf> {
    let mut found = vec![repo.common_dir().join("objects")];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned() {
        next += 1;
        let list = std::fs::read_to_string(folder.join("info/alternates")).unwrap_or_default();
        for line in list
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            let other = folder.join(line);
            if found.len() < 32 && !found.contains(&other) {
                found.push(other);
            }
        }
    }
    found
}

/// Writes a policy where what it confines cannot write, and gives the words that apply it.
fn store(policy: &Policy, file: &Path) -> anyhow::Result<Vec<String>> {
    policy.store(file)?;
    let file = file.to_str().context("the workspace's path is not text")?;
    // By this name it is found even after it was replaced by a newer version.
    let words = ["/proc/self/exe", "confine", "--policy", file, "--"];
    Ok(words.map(str::to_owned).to_vec())
}
