//! A run begins, and its base is built.

use jiff::Timestamp;

use super::Said;
use crate::plan::{Config, Mode, Plan, Risk};
use crate::run::BATCH;
use crate::run::order::CheckOutcome;
use crate::run::state::{Base, BaseBuild, Branch, Item, Person, SCHEMA, State, TaskRef};

/// What a run starts from.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// Its name.
    pub run: &'a str,
    /// Its number among the runs of the plan.
    pub number: u32,
    /// The plan.
    pub plan: &'a Plan,
    /// The configuration, with the command line's choices in it.
    pub config: &'a Config,
    /// Mode and why.
    pub mode: (Mode, String),
    /// Where everything was read from.
    pub base: Base,
    /// Who starts it.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// The first state of a run.
#[must_use]
pub fn start(start: Start<'_>) -> State {
    let Start {
        run,
        number,
        plan,
        config,
        mode,
        base,
        by,
        at,
    } = start;
    let refs = |ids: &dyn Fn(&str) -> bool| -> Vec<TaskRef> {
        let tasks = plan.tasks.iter().zip(1u32..).filter(|(t, _)| ids(&t.id));
        tasks
            .map(|(t, position)| TaskRef {
                id: t.id.clone(),
                position,
                title: t.title.clone(),
                file: t.file.clone(),
            })
            .collect()
    };
    let items = match mode.0 {
        Mode::Batch => {
            let high = plan.tasks.iter().any(|t| t.risk == Risk::High);
            let risk = if high { Risk::High } else { Risk::Low };
            vec![Item::new(BATCH, 1, refs(&|_| true), Vec::new(), risk)]
        }
        Mode::PerTask => plan
            .tasks
            .iter()
            .zip(1u32..)
            .map(|(t, n)| {
                Item::new(
                    &t.id,
                    n,
                    refs(&|id| id == t.id),
                    t.depends_on.clone(),
                    t.risk,
                )
            })
            .collect(),
    };
    State {
        schema: SCHEMA,
        run: run.to_owned(),
        plan: plan.name.clone(),
        title: plan.title.clone(),
        number,
        created: at,
        started_by: by,
        forge: config.forge,
        checkpoint: config.checkpoint,
        merge: config.merge,
        mode: mode.0,
        mode_reason: mode.1,
        run_branch: Branch {
            name: format!("pertask/{run}/main"),
            head: base.commit.clone(),
        },
        base,
        base_build: None,
        items,
        gate: Vec::new(),
        compliance: crate::run::compliance::Compliance::default(),
        gate_of: None,
        pull: None,
        merged: None,
        building: None,
        builds: 0,
        limited: std::collections::BTreeMap::new(),
        end: None,
    }
}

/// The build on the base has ended.
pub fn base_built(state: &mut State, checks: Vec<CheckOutcome>, at: Timestamp) -> Said {
    let said = match checks.iter().find(|c| !c.passed) {
        None if checks.is_empty() => "No build to try on the base".to_owned(),
        None => "The base builds".to_owned(),
        Some(bad) => format!("The base does not build: {}", bad.name),
    };
    state.base_build = Some(BaseBuild { at, checks });
    said
}
