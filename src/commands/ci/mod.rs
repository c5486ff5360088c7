//! `git pertask ci`: the three steps as jobs of a workflow, each on a machine of its own. Each can be
//! run by hand with the same files.
//!
//! | step | token | agent's key | runs what the repository holds |
//! |---|---|---|---|
//! | [`decide`] | may write | no | no |
//! | [`attempt`] | may read, for fetching alone | for the agent alone | yes |
//! | [`publish`] | may write | no | no |

mod attempt;
mod decide;
mod publish;
mod teller;

use super::cli::CiCommand;
use super::{Exit, context, usage};
use crate::attempt::process::{Cancel, Canceller};
use crate::forge::Forge as _;
use crate::forge::github::GitHub;
use crate::git::Repo;
use crate::ledger::{self, Ledger, Snapshot};
use crate::plan::ForgeKind;
use crate::report;
use crate::run::decide::Wait;
use crate::run::state::{Claim, Person, Phase, State, Workflow};
use teller::Teller;

/// `git pertask ci`.
pub(super) fn run(command: &CiCommand) -> anyhow::Result<Exit> {
    let mut teller = Teller::new()?;
    let done = match command {
        CiCommand::Decide(args) => decide::run(args, &mut teller),
        CiCommand::Attempt(args) => attempt::run(args, &mut teller),
        CiCommand::Publish(args) => publish::run(args, &mut teller),
    };
    let done = done.or_else(|e| {
        // An annotation where Actions shows it; else as every command says it.
        if !teller::in_actions() {
            return Err(e);
        }
        teller.error(&e);
        Ok(super::classify(&e))
    });
    teller.finish();
    done
}

/// Repository and forge of a job, and in whose name it acts.
struct Site {
    forge: GitHub,
    /// The account whose token is used.
    by: Person,
    /// Full name of the ref where the remote's default branch is known.
    trusted: String,
    /// Name of the default branch.
    branch: String,
    /// The repository's page.
    web: String,
}

impl Site {
    /// Looks who we are, and fetches every ledger and the default branch.
    fn open(repo: &Repo) -> anyhow::Result<Self> {
        let mut forge = GitHub::open(repo, context::patience())?;
        let seen = forge.look(&[])?;
        let by = match (repo.identity(), seen) {
            (Ok(person), _) => person,
            (Err(_), Some(seen)) => Person {
                email: format!(
                    "{}+{}@users.noreply.github.com",
                    seen.viewer.id, seen.viewer.login
                ),
                name: seen.viewer.login,
            },
            (Err(e), None) => return Err(e.into()),
        };
        let Some(remote) = forge.remote().cloned() else {
            return Err(usage!("there is no remote on GitHub").into());
        };
        let branch = repo
            .remote_default_branch(&remote)?
            .ok_or_else(|| usage!("the remote {} has no default branch yet", remote.name))?;
        let trusted = format!("refs/remotes/{}/{branch}", remote.name);
        repo.fetch(&remote, &[format!("+refs/heads/{branch}:{trusted}")])?;
        ledger::fetch_all(repo, &remote)?;
        Ok(Self {
            web: forge.web().unwrap_or_default(),
            forge,
            by,
            trusted,
            branch,
        })
    }
}

/// A cancellation that SIGINT and SIGTERM set off.
fn interruptible() -> anyhow::Result<Cancel> {
    let (canceller, cancel) = Canceller::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
            );
            let _ = ready.send(());
            let (Ok(mut int), Ok(mut term)) = signals else {
                return;
            };
            loop {
                tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
                canceller.cancel();
            }
        });
    });
    // From here on no signal ends us in the middle of an effect.
    let _ = is_ready.recv();
    Ok(cancel)
}

/// The workflow run this job is of; id 0 when it is run by hand.
fn workflow() -> Workflow {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse().ok());
    Workflow {
        run: number("GITHUB_RUN_ID").unwrap_or(0),
        attempt: u32::try_from(number("GITHUB_RUN_ATTEMPT").unwrap_or(1)).unwrap_or(1),
    }
}

/// The claim under which an order was handed out, if it is the current one, and the name of its
/// folder.
fn claimed<'s>(state: &'s State, task: &str, order: &str) -> Option<(&'s Claim, String)> {
    let current = |claim: &&Claim| claim.order.as_deref() == Some(order);
    if let Some(building) = state.building.as_ref().filter(|b| b.key == task) {
        return Some(&building.claim)
            .filter(current)
            .map(|claim| (claim, building.key.clone()));
    }
    let item = state.items.iter().find(|i| i.key == task)?;
    match &item.phase {
        Phase::Running { claim } => Some(claim)
            .filter(current)
            .map(|claim| (claim, item.branch_leaf())),
        _ => None,
    }
}

/// The order with this object id, as it lies in the ledger.
fn order_in(
    repo: &Repo,
    order: &str,
    state: &State,
    task: &str,
) -> anyhow::Result<crate::run::order::Order> {
    let bytes = repo.blob(order)?;
    let order: crate::run::order::Order = serde_json::from_slice(&bytes)
        .map_err(|e| usage!("the order {order} cannot be read: {e}"))?;
    if order.run != state.run || order.item != task {
        return Err(usage!(
            "the order is one for {} of run {}, not for {task} of run {}",
            order.item,
            order.run,
            state.run
        )
        .into());
    }
    Ok(order)
}

/// Where a run stands, in the words of `status --json`.
fn standing(snapshot: &Snapshot, waits: &[Wait]) -> String {
    let now = jiff::Timestamp::now();
    let view = report::status::json(&snapshot.state, waits, now);
    view["state"].as_str().unwrap_or_default().to_owned()
}

/// The pull request that a person is asked about: the last one, else the first that is open.
fn pull_request(state: &State) -> Option<String> {
    let open = state.items.iter().filter(|i| !i.is_settled());
    let pulls = open.filter_map(|i| i.pull.as_ref().filter(|p| !p.closed));
    let last = state.pull.as_ref();
    last.or_else(|| pulls.into_iter().next())
        .map(|p| p.url.clone())
}

/// The runs on GitHub about which there may be something to do.
fn open_runs(repo: &Repo, teller: &mut Teller) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for run in ledger::runs(repo)? {
        let state = match Ledger::of(repo, &run).read() {
            Ok(snapshot) => snapshot.state,
            Err(e) => {
                teller.error(&e.into());
                continue;
            }
        };
        let aborted = state.end.as_ref().is_some_and(|e| e.aborted);
        let shown = state.items.iter().filter_map(|i| i.pull.as_ref());
        let open = match &state.end {
            None => true,
            // What became of the last pull request is still to be seen.
            Some(_) if !aborted => state.merged.is_none(),
            Some(_) => shown.chain(&state.pull).any(|p| !p.closed),
        };
        if open && state.forge == ForgeKind::Github {
            found.push(run);
        }
    }
    Ok(found)
}
