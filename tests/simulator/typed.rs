//! What people type in a terminal: `src/commands/decide.rs`, `note.rs` and `amend.rs`.

use std::rc::Rc;

use git_pertask::run::P0;
use git_pertask::run::amend::amend;
use git_pertask::run::decide::Standing;
use git_pertask::run::state::{Decision, Review, State};
use git_pertask::run::transition;

use super::people::Typed;
use super::store::Step;
use super::world::{BASE_BRANCH, Fail, Pid, Sim, person};

/// What a typed command does: `src/commands/decide.rs`, `note.rs`, `amend.rs`.
pub async fn typed(sim: Sim, pid: Pid, typed: Typed) {
    let machine = sim.w().processes[&pid].machine;
    let done = type_it(&sim, pid, machine, &typed).await;
    let mut w = sim.w();
    w.note(|| format!("typed {typed:?}: {done:?}"));
    w.end(pid);
}

pub async fn type_it(sim: &Sim, pid: Pid, machine: usize, typed: &Typed) -> Result<(), Fail> {
    sim.refresh(machine).await?;
    let snapshot = sim.w().read(machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    if snapshot.state().end.is_some() {
        return Err(Fail::Not("the run has ended".to_owned()));
    }
    let now = sim.w().clock(machine);
    let ada = person("ada");
    match typed {
        Typed::Approve(key) => {
            let Some(branch) = snapshot.state().item(key).and_then(|i| i.branch.clone()) else {
                return Ok(());
            };
            {
                let mut w = sim.w();
                let at = w.branch(machine, &branch.name);
                if at.is_some_and(|at| !w.git.is_in(&at, &branch.head)) {
                    return Err(Fail::Not("commits that are not checked yet".to_owned()));
                }
                w.audit.approved_here(key, &branch.head);
            }
            let review = review(Decision::Approve, &branch.head, "", now);
            sim.change(machine, |s| {
                Ok(transition::reviewed(s, key, review.clone())?)
            })
            .await?;
        }
        Typed::Revise(key) => {
            let item = snapshot.state().item(key);
            let head = item.and_then(|i| i.branch.as_ref()).map(|b| b.head.clone());
            let review = review(Decision::Revise, &head.unwrap_or_default(), "better", now);
            sim.change(machine, |s| {
                Ok(transition::reviewed(s, key, review.clone())?)
            })
            .await?;
        }
        Typed::Retry(key, fresh) => {
            sim.change(machine, |s| Ok(transition::retried(s, key, *fresh, &ada)?))
                .await?;
        }
        Typed::Skip(key) => {
            sim.w().audit.skip_asked(key);
            sim.change(machine, |s| {
                Ok(if key == P0 {
                    transition::excepted(s, "not needed", &ada, now)?
                } else {
                    transition::skipped(s, key, "not needed", &ada)?
                })
            })
            .await?;
        }
        Typed::Abort => {
            if sim.w().machines[machine].lock.is_some() {
                return Err(Fail::Not("somebody works on it".to_owned()));
            }
            sim.w().machines[machine].lock = Some(pid);
            sim.w().audit.abort_asked = true;
            sim.change(machine, |s| Ok(transition::aborted(s, &ada, now)?))
                .await?;
        }
        Typed::Note(key) => {
            let text = format!("note {pid}");
            sim.change(machine, |s| {
                Ok(transition::noted(s, key.as_deref(), &text, &ada, now)?)
            })
            .await?;
        }
        Typed::Amend => amend_it(sim, pid, machine).await?,
    }
    Ok(())
}

pub fn review(decision: Decision, commit: &str, text: &str, at: jiff::Timestamp) -> Review {
    Review {
        decision,
        by: person("ada"),
        at,
        commit: commit.to_owned(),
        text: text.to_owned(),
        round: 0,
        source: None,
    }
}

/// `commands::amend`
pub async fn amend_it(sim: &Sim, pid: Pid, machine: usize) -> Result<(), Fail> {
    if sim.w().machines[machine].lock.is_some() {
        return Err(Fail::Not("somebody works on it".to_owned()));
    }
    sim.w().machines[machine].lock = Some(pid);
    let snapshot = sim.w().read(machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    let state = snapshot.state();
    let base = sim.w().branch(machine, BASE_BRANCH);
    let base = base.ok_or_else(|| Fail::Error("there is no base".to_owned()))?;
    let new = sim.w().pinned_at(&base);
    let old = (&*snapshot.entry.plan, &*snapshot.entry.config);
    let amendment = amend(state, old, (&new.0, &new.1))?;
    if amendment.changes.is_empty() && base == state.base.commit {
        return Ok(());
    }
    let mut state: State = state.clone();
    let now = sim.w().clock(machine);
    {
        // `taken_in`
        let w = sim.w();
        let branch = &state.run_branch;
        let at = w.standing(machine, &branch.name, &branch.head);
        if let Standing::Ahead { .. } | Standing::Diverged { .. } = at {
            return Err(Fail::Not(
                "what others committed is not taken in".to_owned(),
            ));
        }
    }
    {
        let mut w = sim.w();
        let path = ".pertask/wiz/plan.toml";
        let word = w.git.file(&base, path);
        let head = state.run_branch.head.clone();
        if word.is_some() && w.git.file(&head, path) != word {
            let tree = w.git.tree_of(&head);
            let tree = w.git.with(&tree, &[(path, word.as_deref())]);
            state.run_branch.head = w.git.commit(&tree, &[head], "ada", now);
        }
    }
    base.clone_into(&mut state.base.commit);
    state.items = amendment.items;
    state.compliance.judged = None;
    state.checkpoint = amendment.config.checkpoint;
    state.merge = amendment.config.merge;
    state.title.clone_from(&amendment.plan.title);
    let step = Step {
        said: "Plan amended".to_owned(),
        records: Vec::new(),
        pinned: Some((Rc::new(amendment.plan), Rc::new(amendment.config))),
    };
    sim.append(machine, Some(&snapshot), state, step, now)
        .await?;
    Ok(())
}
