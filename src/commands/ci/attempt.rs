//! `git pertask ci attempt`: carries one order out, in steps that have different keys in reach.
//!
//! | step | needs |
//! |---|---|
//! | `fetch` | a token that may read: ledger, order and objects come into the clone |
//! | `agent` | the agent's key |
//! | `checks` | nothing |
//! | `pack` | nothing; does its part however the others ended |

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use super::super::cli::{AttemptStep, CiAttemptArgs, CiOrderArgs};
use super::super::{Exit, context, usage};
use super::teller::Teller;
use super::{claimed, interruptible, order_in};
use crate::attempt::folder::{self, Folder};
use crate::attempt::sandbox::{Confinement, Subject};
use crate::attempt::{self, Event, Place};
use crate::ci::artifact;
use crate::driver::home::Home;
use crate::driver::{Audience as _, Begun};
use crate::forge::Forge as _;
use crate::forge::github::GitHub;
use crate::git::{Repo, Worktree};
use crate::ledger::{self, Ledger};
use crate::run::order::AttemptResult;

/// Our note of what went wrong in a step.
const FAILED: &str = "failed.json";

/// `git pertask ci attempt`.
pub(super) fn run(args: &CiAttemptArgs, teller: &mut Teller) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    if matches!(args.step, AttemptStep::Fetch | AttemptStep::All) {
        fetch(&repo, &args.order).map_err(|e| context::explained(&repo, e))?;
    }
    let Some(work) = Work::find(&repo, &args.order)? else {
        teller.said("The order is not current any more; nothing is done");
        return Ok(Exit::Done);
    };
    if let Some(agent) = &work.begun.order.agent {
        // Only now the names of its keys are known.
        teller.mask(&agent.config.env);
    }
    match args.step {
        AttemptStep::Fetch => {
            work.prepare()?;
            Ok(Exit::Done)
        }
        AttemptStep::Agent if work.begun.order.agent.is_none() => {
            teller.said("This order asks no agent, for checks alone");
            Ok(Exit::Done)
        }
        AttemptStep::Agent => work.noting(Work::ask, teller),
        AttemptStep::Checks if work.is_unanswered() => {
            teller.said("The agent has not answered; there is nothing to check");
            Ok(Exit::Done)
        }
        AttemptStep::Checks => work.noting(Work::check, teller),
        AttemptStep::Pack => work.pack(&args.result, teller),
        AttemptStep::All => {
            work.prepare()?;
            let done = work.noting(Work::check, teller);
            work.pack(&args.result, teller)?;
            done
        }
    }
}

/// Brings ledger and branches of the run into the clone.
fn fetch(repo: &Repo, order: &CiOrderArgs) -> anyhow::Result<()> {
    let forge = GitHub::open(repo, context::patience())?;
    let Some(remote) = forge.remote().cloned() else {
        return Err(usage!("there is no remote on GitHub").into());
    };
    if !crate::plan::valid_name(&order.run) {
        return Err(usage!("`{}` is no name of a run", order.run).into());
    }
    let run = &order.run;
    let refspecs = [
        format!("+{0}{run}:{0}{run}", ledger::PREFIX),
        format!(
            "+refs/heads/pertask/{run}/*:refs/remotes/{}/pertask/{run}/*",
            remote.name
        ),
    ];
    Ok(repo.fetch_more(&remote, &refspecs)?)
}

/// An order at hand.
struct Work<'r> {
    repo: &'r Repo,
    begun: Begun,
    folder: Folder,
    worktree: Worktree,
}

impl<'r> Work<'r> {
    /// What is to be carried out; `None` when somebody else has the order by now.
    fn find(repo: &'r Repo, args: &CiOrderArgs) -> anyhow::Result<Option<Self>> {
        let snapshot = Ledger::of(repo, &args.run).read()?;
        let state = &snapshot.state;
        let Some((claim, leaf)) = claimed(state, &args.task, &args.order) else {
            return Ok(None);
        };
        let order = order_in(repo, &args.order, state, &args.task)?;
        let home = Home::of(repo)?;
        let folder = Folder::open(home.attempt(&state.run, &leaf, claim.attempt))?;
        let worktree = Worktree::open(repo, &home.workspace(&state.run, 0))?;
        Ok(Some(Self {
            repo,
            begun: Begun {
                order,
                claim: claim.id.clone(),
                slot: 0,
            },
            folder,
            worktree,
        }))
    }

    /// Notes the order; what lies there of an earlier one is put away.
    fn prepare(&self) -> anyhow::Result<()> {
        let earlier: Option<Begun> = self.folder.read(folder::ORDER)?;
        if earlier.is_some_and(|b| b != self.begun) {
            self.folder.remove();
            Folder::open(self.folder.root().to_owned())?;
        }
        self.folder.write(folder::ORDER, &self.begun)
    }

    /// Whether an agent is still to be asked, for which its key is in reach of one step only.
    fn is_unanswered(&self) -> bool {
        self.begun.order.agent.is_some() && !self.folder.path(folder::ANSWERED).exists()
    }

    /// Does a part; what goes wrong is noted, for the result to say.
    fn noting(
        &self,
        part: fn(&Self, &mut Teller) -> anyhow::Result<Exit>,
        teller: &mut Teller,
    ) -> anyhow::Result<Exit> {
        let noted: Option<Begun> = self.folder.read(folder::ORDER)?;
        if noted.as_ref() != Some(&self.begun) {
            return Err(usage!(
                "the order was not fetched here; first: git pertask ci attempt --step fetch"
            )
            .into());
        }
        let done = part(self, teller);
        if let Err(e) = &done {
            self.folder.write(FAILED, &format!("{e:#}"))?;
        }
        done
    }

    fn with_place<T>(
        &self,
        with_agent: bool,
        teller: &mut Teller,
        part: impl AsyncFnOnce(
            &Place<'_>,
            &crate::attempt::process::Cancel,
            &mut dyn FnMut(Event),
        ) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let environment: Vec<_> = std::env::vars_os().collect();
        let agent = self.begun.order.agent.as_ref().filter(|_| with_agent);
        let subject = Subject {
            repo: self.repo,
            worktree: &self.worktree,
            agent: agent.map(|a| (self.folder.root(), a.config.command.as_slice())),
            environment: &environment,
        };
        let confinement = Confinement::prepare(self.begun.order.sandbox, &subject)?;
        let place = Place {
            repo: self.repo,
            worktree: &self.worktree,
            folder: &self.folder,
            claim: &self.begun.claim,
            environment,
            confinement,
        };
        let cancel = interruptible()?;
        let item = self.begun.order.item.clone();
        let name = format!("{item}, attempt {}", self.begun.order.attempt);
        teller.begins(&item, &name);
        let mut tell = |event| teller.event(&item, &event);
        let done = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?
            .block_on(part(&place, &cancel, &mut tell));
        teller.ends(&item);
        done
    }

    fn ask(&self, teller: &mut Teller) -> anyhow::Result<Exit> {
        self.with_place(true, teller, async |place, cancel, tell| {
            attempt::answer(place, &self.begun.order, cancel, &Timestamp::now, tell).await?;
            Ok(if cancel.is_cancelled() {
                Exit::Interrupted
            } else {
                Exit::Done
            })
        })
    }

    fn check(&self, teller: &mut Teller) -> anyhow::Result<Exit> {
        self.with_place(self.is_unanswered(), teller, async |place, cancel, tell| {
            attempt::run(place, &self.begun.order, cancel, &Timestamp::now, tell).await?;
            Ok(if cancel.is_cancelled() {
                Exit::Interrupted
            } else {
                Exit::Done
            })
        })
    }

    /// Hands on what there is.
    fn pack(&self, dir: &Path, teller: &mut Teller) -> anyhow::Result<Exit> {
        let (order, claim) = (&self.begun.order, &self.begun.claim);
        let now = Timestamp::now();
        let done: Option<AttemptResult> = self.folder.read(folder::RESULT)?;
        let done = done.filter(|r| r.claim == *claim);
        let failed: Option<String> = self.folder.read(FAILED)?;
        let result = match (done, failed) {
            (Some(result), _) => Some(result),
            (None, Some(why)) => Some(artifact::failed(order, claim, &why, now)),
            (None, None) => {
                let left =
                    attempt::cut_off(self.repo, &self.worktree, &self.folder, order, claim, now)?;
                left.map(|(result, leaks)| {
                    for leak in leaks {
                        teller.said(&leak);
                    }
                    result
                })
            }
        };
        let Some(result) = result else {
            teller.said("The order was not begun; there is nothing to hand on");
            return Ok(Exit::Done);
        };
        artifact::pack(self.repo, dir, order, &result, &self.folder)?;
        teller.result(&result)?;
        Ok(Exit::Done)
    }
}
