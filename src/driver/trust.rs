//! What of a ledger is believed where a write token is at stake: nothing that decides what is run,
//! who may approve, or which refs are moved.
//!
//! Anyone who can push can write the ledger's ref. So plan, commands, agents, limits and rules are
//! read again from the pinned commit, which must be part of the default branch's history; names of
//! branches and items must be those that follow from the plan; an approval that is said to carry
//! over is worked out again; and approvals themselves are read from the forge at every look anyway.
//! What remains of the ledger's word: how attempts went (the checks' outcomes among it), which tasks
//! were left out, which violations were let pass and with which parameters the plan was read. A person
//! sees all of that on a task's pull request or on the last one before anything reaches the base.
//!
//! Races: the ledger can be written while a job works, too. Every commit of it is examined before it
//! is acted on, whenever it is read.

use std::collections::BTreeMap;

use super::orders;
use crate::git::{AtCommit, Repo};
use crate::ledger::{Ledger, Snapshot};
use crate::plan::{self, CheckpointPolicy, Config, ForgeKind, Plan, Risk};
use crate::publish;
use crate::rules::user::UserRule;
use crate::run::state::{Item, Phase, State};
use crate::run::transition::short;
use crate::run::{BASE, BATCH, GATE, P0, REPAIR, is_extra};

/// A ledger says something that does not follow from the base.
#[derive(Debug, thiserror::Error)]
#[error(
    "the ledger of run {run} is not believed here: {why}; nothing was done with it. Whoever may write to the repository can look at it with `git pertask log {run}`, and go on from another machine or end it with `git pertask abort {run}`"
)]
pub struct Untrusted {
    /// The run.
    pub run: String,
    /// What does not follow.
    pub why: String,
}

/// Which of two policies asks for more reviews: the larger.
#[must_use]
pub fn strictness(policy: CheckpointPolicy) -> u8 {
    match policy {
        CheckpointPolicy::Every => 2,
        CheckpointPolicy::HighRisk => 1,
        CheckpointPolicy::None => 0,
    }
}

/// Plan and configuration of a run as its base has them, and the ledger's commit that was found to
/// follow from them: the only one that may be acted on.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The run.
    pub run: String,
    /// The plan.
    pub plan: Plan,
    /// The configuration.
    pub config: Config,
    /// Full name of the ref of the default branch.
    pub trusted: String,
    /// The ledger's commit.
    pub commit: String,
}

/// Plan and configuration of a run as its base has them, once the ledger was found to follow from
/// them. `trusted` is the full name of the ref of the default branch.
///
/// # Errors
/// [`Untrusted`]; when the repository cannot be read.
pub fn examine(
    repo: &Repo,
    run: &str,
    snapshot: &Snapshot,
    trusted: &str,
) -> anyhow::Result<Pinned> {
    let state = &snapshot.state;
    let not = |why: String| Untrusted {
        run: run.to_owned(),
        why,
    };
    if state.run != run || !plan::valid_name(run) || !plan::valid_name(&state.plan) {
        return Err(not("it is of another run".to_owned()).into());
    }
    if state.forge != ForgeKind::Github {
        return Err(not("it is not reviewed on GitHub".to_owned()).into());
    }
    let base = &state.base.commit;
    let default = trusted.rsplit('/').next().unwrap_or(trusted);
    let head = repo.target(trusted)?;
    let reachable = match &head {
        Some(head) => head == base || repo.is_ancestor(base, head).unwrap_or(false),
        None => false,
    };
    if !reachable {
        return Err(not(format!(
            "its base {} is not part of the default branch {default}",
            short(base)
        ))
        .into());
    }
    let ledger = Ledger::of(repo, run);
    let (mut plan, mut config) = read(repo, state, &ledger.plan(&snapshot.commit)?)?;
    let said = ledger.config(&snapshot.commit)?;
    if config.agents.contains_key(&said.agent) {
        config.agent = said.agent;
    }
    config.forge = ForgeKind::Github;
    if strictness(state.checkpoint) < strictness(config.checkpoint) {
        return Err(not("it asks for fewer reviews than the base".to_owned()).into());
    }
    config.checkpoint = state.checkpoint;
    if plan.base.is_none() && !trusted.ends_with(&format!("/{}", state.base.branch)) {
        return Err(not(format!(
            "its last pull request would go to {}, not to the default branch",
            state.base.branch
        ))
        .into());
    }
    // A task that was settled before the plan was amended is only looked back at.
    for task in ledger.plan(&snapshot.commit)?.tasks {
        let known = plan.tasks.iter().any(|t| t.id == task.id);
        let settled = state.item(&task.id).is_some_and(Item::is_settled);
        if !known && settled {
            plan.tasks.push(task);
        } else if !known {
            return Err(not(format!("the base has no task named {}", task.id)).into());
        }
    }
    shape(state, &plan).map_err(not)?;
    for item in &state.items {
        carried(repo, state, item)?.map_err(not)?;
    }
    Ok(Pinned {
        run: run.to_owned(),
        plan,
        config,
        trusted: trusted.to_owned(),
        commit: snapshot.commit.clone(),
    })
}

fn read(repo: &Repo, state: &State, pinned: &Plan) -> anyhow::Result<(Plan, Config)> {
    let docs = AtCommit::new(repo, &state.base.commit);
    let config = plan::config::load(&docs)?;
    let team = orders::parse_rules(&orders::rule_files(&docs)?)?;
    let mut rules: Vec<&str> = plan::RULES.to_vec();
    rules.extend(team.iter().map(UserRule::id));
    let parameters: BTreeMap<String, String> = pinned.parameters.clone();
    let loaded = plan::load(&state.plan, &docs, &config, &parameters, &rules)?;
    Ok((loaded.plan, config))
}

/// Names and dependencies are those that follow from the plan.
///
/// # Errors
/// What does not, in words.
pub fn shape(state: &State, plan: &Plan) -> Result<(), String> {
    let ours = format!("pertask/{}/", state.run);
    let named = |branch: &str, leaf: &str| branch == format!("{ours}{leaf}");
    if !named(&state.run_branch.name, "main") {
        return Err(format!("it names the run branch {}", state.run_branch.name));
    }
    let mut last = 0;
    for item in &state.items {
        let key = &item.key;
        let task = plan.tasks.iter().find(|t| t.id == *key);
        if task.is_none() && key != BATCH && !is_extra(key) {
            return Err(format!("it has a task {key} that the plan does not have"));
        }
        // What was left out of an amended plan leaves a gap.
        if item.position <= last {
            return Err(format!("it has {key} in another place"));
        }
        last = item.position;
        if state.items.iter().filter(|i| i.key == *key).count() > 1 {
            return Err(format!("it has {key} twice"));
        }
        for told in &item.tasks {
            if file_of(state, plan, &told.id).is_none_or(|file| file != told.file) {
                return Err(format!("it has another file for {}", told.id));
            }
        }
        let high = match task {
            Some(task) => {
                let needed = task.depends_on.iter();
                if needed.clone().any(|id| !item.depends_on.contains(id)) {
                    return Err(format!("it lets {key} begin before what it needs"));
                }
                task.risk == Risk::High
            }
            None => key == BATCH && plan.tasks.iter().any(|t| t.risk == Risk::High),
        };
        if high && item.risk != Risk::High {
            return Err(format!("it calls {key} less risky than the plan"));
        }
        branches(item, &ours)?;
        if let Phase::Approved {
            by_policy: true, ..
        } = &item.phase
        {
            let allowed = match state.checkpoint {
                CheckpointPolicy::Every => false,
                CheckpointPolicy::HighRisk => !high,
                CheckpointPolicy::None => true,
            };
            if !allowed {
                return Err(format!("it has {key} approved by a policy that does not"));
            }
        }
    }
    let handed = state.building.as_ref();
    if handed.is_some_and(|b| b.key != BASE && b.key != GATE) {
        return Err("it has a build of something else".to_owned());
    }
    Ok(())
}

/// The file that a task writes, one of the plan's or one that is made when these are done.
fn file_of(state: &State, plan: &Plan, id: &str) -> Option<String> {
    let task = plan.tasks.iter().find(|t| t.id == id);
    match id {
        _ if task.is_some() => task.map(|t| t.file.clone()),
        P0 => Some(publish::report_path(state)),
        REPAIR => Some(String::new()),
        _ => None,
    }
}

/// Every branch an item names is one of its own: recording pushes them.
fn branches(item: &Item, ours: &str) -> Result<(), String> {
    let own = |name: &str| {
        name.strip_prefix(ours).is_some_and(|leaf| {
            let mut round = item.clone();
            (1..=item.round).any(|n| {
                round.round = n;
                leaf == round.branch_leaf()
            })
        })
    };
    let rounds = item.rounds.iter().filter_map(|r| r.branch.as_ref());
    for branch in item.branch.iter().chain(rounds) {
        if !own(&branch.name) {
            return Err(format!(
                "it names {} as a branch of {}",
                branch.name, item.key
            ));
        }
    }
    for attempt in &item.attempts {
        let fits = |kept: &String| {
            kept.strip_prefix(&format!("{ours}kept/"))
                .is_some_and(plan::valid_name)
        };
        if !attempt.kept.as_ref().is_none_or(fits) {
            return Err(format!(
                "it keeps work of {} on a branch of others",
                item.key
            ));
        }
    }
    Ok(())
}

/// An approval carries over to a head that brings the run branch in, or our log and report, and nothing
/// else.
fn carried(repo: &Repo, state: &State, item: &Item) -> anyhow::Result<Result<(), String>> {
    let Some(branch) = &item.branch else {
        return Ok(Ok(()));
    };
    let log = publish::log_path(state);
    let mut at = branch.head.clone();
    for earlier in item.carries.iter().rev() {
        let parents = repo.commit_info(&at)?.parents;
        let holds = match parents.as_slice() {
            [first] if *first == earlier.commit => {
                let changes = repo.changes(first, &at)?;
                let own = publish::own_files(state, &item.key);
                changes.iter().all(|c| own.contains(&c.path))
            }
            [first, second] if *first == earlier.commit => {
                let origin = repo.merge_base(first, second)?;
                let merged = repo.is_ancestor(second, &state.run_branch.head)?
                    || *second == state.run_branch.head;
                merged
                    && repo.patch_id(&origin, first, &log)? == repo.patch_id(second, &at, &log)?
            }
            _ => false,
        };
        if !holds {
            return Ok(Err(format!(
                "it lets an approval of {} count for {}",
                short(&earlier.commit),
                short(&branch.head)
            )));
        }
        at.clone_from(&earlier.commit);
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Task;
    use crate::report::sample;
    use crate::run::state::{Decision, Review};
    use crate::run::transition;

    /// The plan of [`sample::state`].
    fn plan(state: &State) -> Plan {
        let text = serde_json::json!({
            "name": "wiz", "title": "Wiz", "base": null, "inputs": [], "skills": [], "directory": "",
            "build": [], "check_timeout_s": 600, "sparse": [], "time_constrained": false,
            "new_patterns": false, "tasks": [], "gate": {"build": [], "items": []}, "parameters": {},
            "source": {"kind": "plan-toml", "path": "plan.toml"}
        });
        let mut plan: Plan = serde_json::from_value(text).unwrap();
        plan.tasks = state
            .items
            .iter()
            .map(|i| Task {
                id: i.key.clone(),
                file: i.tasks[0].file.clone(),
                depends_on: i.depends_on.clone(),
                ..Task::default()
            })
            .collect();
        plan
    }

    #[test]
    fn what_is_made_when_the_tasks_are_done_follows_from_the_plan() {
        let mut state = sample::state();
        let plan = plan(&state);
        assert_eq!(shape(&state, &plan), Ok(()));
        transition::noted(
            &mut state,
            None,
            "a key is printed",
            &sample::ada(),
            sample::at(0),
        )
        .unwrap();
        let path = publish::report_path(&state);
        transition::validation_opened(&mut state, &path);
        assert_eq!(shape(&state, &plan), Ok(()));
        let review = Review {
            decision: Decision::Revise,
            by: sample::ada(),
            at: sample::at(1),
            commit: String::new(),
            text: "all of it".to_owned(),
            round: 1,
            source: None,
        };
        transition::repair_opened(&mut state, review);
        assert_eq!(shape(&state, &plan), Ok(()));
        state.items[1].position = 0;
        let said = "it has client in another place".to_owned();
        assert_eq!(shape(&state, &plan), Err(said));
        state.items[1].position = 2;
        state.items[0].phase = Phase::Merged;
        let gap = state.items.remove(1);
        assert_eq!(gap.key, "client");
        assert_eq!(shape(&state, &plan), Ok(()));
        for key in [P0, REPAIR] {
            let mut forged = state.clone();
            forged.item_mut(key).unwrap().tasks[0].file = "src/main.go".to_owned();
            let said = format!("it has another file for {key}");
            assert_eq!(shape(&forged, &plan), Err(said));
        }
    }
}
