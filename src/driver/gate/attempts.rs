//! Items of the gate about how the work was done, from what the ledger keeps of each attempt.

use std::collections::BTreeMap;

use super::{Evidence, IsIn, counted, excused, merged, unless};
use crate::driver::orders::sha256;
use crate::plan::Plan;
use crate::run::order::{AgentExit, CheckKind, OrderKind};
use crate::run::state::{Attempt, GateItem, Item, Outcome, Phase, State};

fn task_file<'p>(plan: &'p Plan, id: &str) -> Option<&'p str> {
    let task = plan.tasks.iter().find(|t| t.id == id);
    task.map(|t| t.file.as_str())
}

fn attempt<'s>(evidence: &Evidence<'s>) -> Option<&'s Attempt> {
    let attempts = &evidence.item.attempts;
    attempts.iter().find(|a| a.number == evidence.number)
}

/// No task stands before one that it needs, and none began before what it needs was there: in what its
/// first attempt started from. Clocks of machines differ, and are asked only where that is not known.
pub(super) fn ordered(
    state: &State,
    plan: &Plan,
    evidence: &[Evidence<'_>],
    is_in: IsIn<'_>,
) -> GateItem {
    let mut wrong = Vec::new();
    let ids: Vec<&str> = plan.tasks.iter().map(|t| t.id.as_str()).collect();
    for (n, task) in plan.tasks.iter().enumerate() {
        for needed in &task.depends_on {
            if !ids[..n].contains(&needed.as_str()) {
                wrong.push(format!(
                    "{} stands before {needed}, which it needs",
                    task.id
                ));
            }
        }
    }
    for item in merged(state) {
        let first = evidence.iter().find(|e| e.item.key == item.key);
        let began = first
            .and_then(|e| e.result.as_ref())
            .map(|r| r.started)
            .or_else(|| item.attempts.first().map(|a| a.started));
        let Some(began) = began else { continue };
        let from = first.and_then(|e| e.order.as_ref());
        for needed in item.depends_on.iter().filter_map(|key| state.item(key)) {
            if needed.phase != Phase::Merged {
                continue;
            }
            let in_time = needed.first_merged().is_some_and(|m| {
                let there = from.and_then(|o| is_in(&m.commit, &o.origin));
                there.unwrap_or(m.at <= began)
            });
            if !in_time {
                wrong.push(format!(
                    "{} began before {} was merged",
                    item.key, needed.key
                ));
            }
        }
    }
    unless("Tasks ordered by dependency", &wrong, ids.join(", "))
}

/// Every attempt was a process of its own: its own claim, its own session where the agent names one.
pub(super) fn fresh(state: &State, evidence: &[Evidence<'_>]) -> GateItem {
    let mut wrong = Vec::new();
    let mut claims: BTreeMap<&str, String> = BTreeMap::new();
    let mut sessions: BTreeMap<&str, String> = BTreeMap::new();
    let mut asked = 0_usize;
    for one in evidence {
        let name = format!("attempt {} on {}", one.number, one.item.key);
        let agent = one.order.as_ref().is_some_and(|o| o.agent.is_some());
        let Some(result) = &one.result else {
            if attempt(one).is_some_and(|a| a.outcome == Outcome::Passed) {
                wrong.push(format!("no result on record for {name}"));
            }
            continue;
        };
        if let Some(other) = claims.insert(&result.claim, name.clone()) {
            wrong.push(format!("{name} was made under the claim of {other}"));
        }
        if !agent {
            continue;
        }
        let report = result.agent.as_ref();
        let ran = report.filter(|r| r.exit != AgentExit::NotStarted);
        match ran {
            Some(report) => {
                asked += 1;
                if let Some(session) = report.session.as_deref()
                    && let Some(other) = sessions.insert(session, name.clone())
                {
                    wrong.push(format!("{name} went on with the session of {other}"));
                }
            }
            None if attempt(one).is_some_and(|a| a.outcome == Outcome::Passed) => {
                wrong.push(format!("no agent ran in {name}"));
            }
            None => {}
        }
    }
    let (mut by_hand, mut excuses) = (Vec::new(), Vec::new());
    for item in merged(state) {
        if item.attempts.is_empty() {
            let said = format!("no attempt on record for {}", item.key);
            excused(item, vec![said], &mut wrong, &mut excuses);
        } else if !item.attempts.iter().any(|a| is_agents(a.kind)) {
            by_hand.push(item.key.as_str());
        }
    }
    let mut found = format!("{} started, each for one attempt", processes(asked));
    if !by_hand.is_empty() {
        found.push_str("; by a person's own commit: ");
        found.push_str(&by_hand.join(", "));
    }
    let item = unless("Each task spawned with a fresh agent", &wrong, found);
    super::with_exceptions(item, &excuses)
}

fn processes(n: usize) -> String {
    if n == 1 {
        "1 process".to_owned()
    } else {
        format!("{n} processes")
    }
}

fn is_agents(kind: OrderKind) -> bool {
    !matches!(
        kind,
        OrderKind::Forward | OrderKind::Person | OrderKind::Build
    )
}

/// Every prompt is on record as its hash says, and names what the tasks before it made.
pub(super) fn context(
    state: &State,
    plan: &Plan,
    evidence: &[Evidence<'_>],
    is_in: IsIn<'_>,
) -> GateItem {
    let mut wrong = Vec::new();
    let mut looked_at = 0_usize;
    let of_merged = evidence
        .iter()
        .filter(|e| e.item.phase == Phase::Merged)
        .filter_map(|e| attempt(e).map(|a| (e, a)))
        .filter(|(_, a)| is_agents(a.kind));
    for (one, attempt) in of_merged {
        let name = format!("attempt {} on {}", one.number, one.item.key);
        let Some(order) = &one.order else {
            wrong.push(format!("no order on record for {name}"));
            continue;
        };
        let hash = sha256(order.prompt.as_bytes());
        if order.prompt.is_empty() || hash != attempt.prompt_sha256 || hash != order.prompt_sha256 {
            wrong.push(format!(
                "the prompt on record for {name} is not the one whose hash was noted"
            ));
            continue;
        }
        looked_at += 1;
        for prior in before(state, one.item, &order.origin, is_in) {
            for task in &prior.tasks {
                let file = task_file(plan, &task.id).unwrap_or(&task.file);
                if !order.prompt.contains(file) {
                    wrong.push(format!(
                        "the prompt of {name} does not name {file}, which {} made",
                        task.id
                    ));
                }
            }
        }
    }
    let found = match looked_at {
        0 => "no prompt to look at".to_owned(),
        n => format!("{} looked at, each as its hash says", counted(n, "prompt")),
    };
    unless("Each task includes context from prior tasks", &wrong, found)
}

/// The items whose work the prompt of an attempt must name: those it needs, and those that were in the
/// run branch where it started `from`. An order may wait for long, and much be merged meanwhile. What a
/// person merged by hand may have been there before we knew.
fn before<'s>(state: &'s State, item: &Item, from: &str, is_in: IsIn<'_>) -> Vec<&'s Item> {
    let there = |other: &Item| {
        let merged = other.first_merged();
        let merged = merged.filter(|m| !m.because.starts_with("merged by "));
        merged.and_then(|m| is_in(&m.commit, from)) == Some(true)
    };
    merged(state)
        .filter(|other| other.key != item.key)
        .filter(|other| there(other) || item.depends_on.contains(&other.key))
        .collect()
}

/// What was merged is what an attempt left whose checks all passed, the build among them.
pub(super) fn validated(state: &State, plan: &Plan, evidence: &[Evidence<'_>]) -> GateItem {
    let (mut wrong, mut excuses) = (Vec::new(), Vec::new());
    let (mut builds, mut checks) = (0_usize, 0_usize);
    for item in merged(state) {
        let mut found = Vec::new();
        let head = item.merged.as_ref().map(|m| m.head.as_str());
        let Some(checked) = item
            .attempts
            .iter()
            .rev()
            .find(|a| a.commit.is_some() && a.commit.as_deref() == head)
        else {
            let said = format!("{} was merged at a commit that no attempt made", item.key);
            excused(item, vec![said], &mut wrong, &mut excuses);
            continue;
        };
        for bad in checked.checks.iter().filter(|c| !c.passed) {
            found.push(format!(
                "{} was merged although this did not hold: {} ({})",
                item.key, bad.name, bad.detail
            ));
        }
        let one = evidence
            .iter()
            .find(|e| e.item.key == item.key && e.number == checked.number);
        let order = one.and_then(|e| e.order.as_ref());
        let wanted = order.map_or(&[][..], |o| o.checks.as_slice());
        let wanted = wanted.iter().filter(|c| c.kind == CheckKind::Build).count();
        let ran = checked
            .checks
            .iter()
            .filter(|c| c.kind == CheckKind::Build && c.passed)
            .count();
        if ran < wanted || (ran == 0 && !plan.build.is_empty()) {
            found.push(format!("{} was merged without its build", item.key));
        }
        excused(item, found, &mut wrong, &mut excuses);
        builds += ran;
        checks += checked.checks.len();
    }
    let found = if checks == 0 {
        "nothing merged to look at".to_owned()
    } else if plan.build.is_empty() {
        format!("{} hold; the plan names no build", counted(checks, "check"))
    } else {
        format!(
            "{} among {}, all run by the tool on what was merged",
            counted(builds, "build"),
            counted(checks, "check")
        )
    };
    let item = unless("Each task validated (compile check)", &wrong, found);
    super::with_exceptions(item, &excuses)
}
