//! Threads that carry out orders, one each, with a runtime of their own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::Audience;
use crate::attempt::folder::Folder;
use crate::attempt::process::Cancel;
use crate::attempt::sandbox::{Confinement, Subject};
use crate::attempt::{self, BuildOrder, Event, Place};
use crate::git::{Repo, Worktree};
use crate::run::order::{CheckOutcome, Order};

/// The attempts this process works on.
pub struct Workers {
    repo: PathBuf,
    cancel: Cancel,
    sender: Sender<News>,
    receiver: Receiver<News>,
    running: Vec<Running>,
    known: BTreeSet<String>,
}

struct Running {
    claim: String,
    slot: usize,
}

enum News {
    Event { item: String, event: Event },
    Done(Done),
}

/// One order to carry out.
pub struct Job {
    /// Key of the item.
    pub item: String,
    /// The order.
    pub order: Order,
    /// Id of the claim.
    pub claim: String,
    /// Number of the workspace.
    pub slot: usize,
    /// The attempt's folder.
    pub folder: Folder,
    /// The workspace.
    pub worktree: Worktree,
}

/// An order was carried out; the result is in its folder.
pub struct Done {
    /// Key of the item.
    pub item: String,
    /// Id of the claim.
    pub claim: String,
    /// Whether our own part worked.
    pub outcome: anyhow::Result<()>,
}

impl Workers {
    /// No workers yet.
    #[must_use]
    pub fn new(repo: &Repo, cancel: Cancel) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self {
            repo: repo.workdir().to_owned(),
            cancel,
            sender,
            receiver,
            running: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    /// How many orders are being carried out.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether nothing is being carried out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// The claims being worked on.
    #[must_use]
    pub fn claims(&self) -> BTreeSet<String> {
        self.running.iter().map(|r| r.claim.clone()).collect()
    }

    /// Whether this process ever worked on the claim.
    #[must_use]
    pub fn knew(&self, claim: &str) -> bool {
        self.known.contains(claim)
    }

    /// The lowest workspace number nobody uses.
    #[must_use]
    pub fn free_slot(&self) -> usize {
        // One more slot than there are takers: one of them is free.
        (0..=self.running.len())
            .find(|n| self.running.iter().all(|r| r.slot != *n))
            .unwrap_or(0)
    }

    /// Carries out an order on a thread of its own.
    pub fn start(&mut self, job: Job) {
        self.known.insert(job.claim.clone());
        self.running.push(Running {
            claim: job.claim.clone(),
            slot: job.slot,
        });
        let (sender, cancel, repo) = (self.sender.clone(), self.cancel.clone(), self.repo.clone());
        std::thread::spawn(move || {
            let item = job.item.clone();
            let claim = job.claim.clone();
            let events = sender.clone();
            // A panic in here must not leave the driver waiting for ever.
            let work = std::panic::AssertUnwindSafe(|| carry_out(&repo, &job, &cancel, &events));
            let outcome = std::panic::catch_unwind(work).unwrap_or_else(|_| {
                Err(anyhow::anyhow!(
                    "the attempt on {item} ended in a defect of git-pertask"
                ))
            });
            let _ = sender.send(News::Done(Done {
                item,
                claim,
                outcome,
            }));
        });
    }

    /// Waits up to `time` for an order to be finished, passing on what happens meanwhile.
    pub fn next(&mut self, time: Duration, audience: &mut dyn Audience) -> Option<Done> {
        let end = std::time::Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(News::Event { item, event }) => audience.event(&item, &event),
                Ok(News::Done(done)) => {
                    self.running.retain(|r| r.claim != done.claim);
                    return Some(done);
                }
                Err(_) => return None,
            }
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn carry_out(
    repo: &std::path::Path,
    job: &Job,
    cancel: &Cancel,
    news: &Sender<News>,
) -> anyhow::Result<()> {
    let repo = Repo::discover(repo)?;
    let environment: Vec<_> = std::env::vars_os().collect();
    let command = job
        .order
        .agent
        .as_ref()
        .map(|a| a.config.command.as_slice());
    let subject = Subject {
        repo: &repo,
        worktree: &job.worktree,
        agent: command.map(|command| (job.folder.root(), command)),
        environment: &environment,
    };
    let confinement = Confinement::prepare(job.order.sandbox, &subject)?;
    let place = Place {
        repo: &repo,
        worktree: &job.worktree,
        folder: &job.folder,
        claim: &job.claim,
        environment,
        confinement,
    };
    let mut tell = |event| {
        let _ = news.send(News::Event {
            item: job.item.clone(),
            event,
        });
    };
    runtime()?.block_on(attempt::run(
        &place,
        &job.order,
        cancel,
        &Timestamp::now,
        &mut tell,
    ))?;
    Ok(())
}

/// Runs build commands on a commit, in this thread.
///
/// # Errors
/// When the workspace cannot be prepared.
pub fn build(
    repo: &Repo,
    worktree: &Worktree,
    commit: &str,
    order: &BuildOrder,
    cancel: &Cancel,
    audience: &mut dyn Audience,
) -> anyhow::Result<Vec<CheckOutcome>> {
    let environment = std::env::vars_os().collect();
    let mut tell = |event| audience.event("", &event);
    runtime()?.block_on(attempt::build(
        repo,
        worktree,
        commit,
        order,
        environment,
        cancel,
        &mut tell,
    ))
}
