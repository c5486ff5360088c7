//! Correcting course: a changed plan or configuration is applied to what has not started.
//!
//! Pure. A task that has started keeps the definition it started with, and its position: its branch
//! and reviews bear that number. What has not started follows the new plan; new tasks get the numbers
//! that are free.

use std::collections::BTreeSet;

use serde_json::Value;

use super::BATCH;
use super::state::{Item, Phase, State, TaskRef};
use super::transition::NotPossible;
use crate::plan::{Config, ForgeKind, Plan, Risk, Task};

/// What an amendment comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Amendment {
    /// The plan from now on: started tasks as they were, the others as the base says.
    pub plan: Plan,
    /// The configuration from now on.
    pub config: Config,
    /// The items from now on.
    pub items: Vec<Item>,
    /// What changes, one line each.
    pub changes: Vec<String>,
    /// What the base changes but cannot be applied any more, one line each.
    pub too_late: Vec<String>,
}

/// Compares the pinned plan and configuration with those the base has now.
///
/// # Errors
/// [`NotPossible`] when the run has ended, or is a batch that has started and would get other tasks.
pub fn amend(
    state: &State,
    old: (&Plan, &Config),
    new: (&Plan, &Config),
) -> Result<Amendment, NotPossible> {
    if state.end.is_some() {
        return Err(NotPossible(format!(
            "run {} has ended; start anew: git pertask start {}",
            state.run, state.plan
        )));
    }
    let (old_plan, old_config) = old;
    let (new_plan, new_config) = new;
    let mut amendment = Amendment {
        plan: new_plan.clone(),
        config: new_config.clone(),
        items: Vec::new(),
        changes: Vec::new(),
        too_late: Vec::new(),
    };
    // Fixed for a run when it starts.
    amendment.config.forge = state.forge;
    amendment.config.agent.clone_from(&new_config.agent);
    amendment
        .changes
        .extend(differences("plan", &header(old_plan), &header(new_plan)));
    amendment.changes.extend(differences(
        "configuration",
        &json(old_config),
        &json(&amendment.config),
    ));
    if state.item(BATCH).is_some_and(|i| i.key == BATCH) {
        batch(state, old_plan, &mut amendment)?;
    } else {
        per_task(state, old_plan, &mut amendment);
    }
    if state.forge == ForgeKind::Github {
        follows(state, new_plan)?;
    }
    Ok(amendment)
}

/// On GitHub a run must go on following from the plan on its base, which its jobs read there: what has
/// started can neither be gone from it, nor be something else, nor need more.
fn follows(state: &State, plan: &Plan) -> Result<(), NotPossible> {
    for item in state.items.iter().filter(|i| started(i)) {
        let key = &item.key;
        let of_plan = !super::is_extra(key) && key != BATCH;
        let why = match plan.tasks.iter().find(|t| t.id == *key) {
            None if of_plan && !item.is_settled() => "is gone from the plan",
            Some(new) if item.tasks.iter().any(|t| t.file != new.file) => "has another file there",
            Some(new) if new.depends_on.iter().any(|d| !item.depends_on.contains(d)) => {
                "needs other tasks there"
            }
            Some(new) if new.risk == Risk::High && item.risk != Risk::High => {
                "has a higher risk there"
            }
            _ => continue,
        };
        return Err(NotPossible(format!(
            "task {key} has started and {why}; on GitHub the plan on the base keeps what has started as it is, until it is merged or left out (git pertask skip {} {key} -m …)",
            state.run
        )));
    }
    Ok(())
}

fn started(item: &Item) -> bool {
    item.phase != Phase::Pending || !item.attempts.is_empty() || item.pending.is_some()
}

fn batch(state: &State, old: &Plan, amendment: &mut Amendment) -> Result<(), NotPossible> {
    let old_tasks: Vec<&Task> = old.tasks.iter().collect();
    let item = state.items.first().cloned();
    let Some(mut item) = item.filter(|i| !started(i)) else {
        let all = old.tasks.iter().map(|t| t.id.clone()).collect();
        compare_tasks(&old_tasks, &amendment.plan.tasks.clone(), &all, amendment);
        if amendment.too_late.is_empty() && amendment.plan.tasks.len() == old.tasks.len() {
            // Limits, say, which are what it may wait for.
            amendment.items.clone_from(&state.items);
            return Ok(());
        }
        return Err(NotPossible(format!(
            "run {} works on all tasks at once and has started, so none of its tasks can change any more; say what to change with `git pertask revise {}`, or start anew after `git pertask abort {}`",
            state.run, state.run, state.run
        )));
    };
    compare_tasks(
        &old_tasks,
        &amendment.plan.tasks.clone(),
        &BTreeSet::new(),
        amendment,
    );
    item.tasks = amendment
        .plan
        .tasks
        .iter()
        .zip(1..)
        .map(|(t, n)| reference(t, n))
        .collect();
    amendment.items = vec![item];
    Ok(())
}

fn per_task(state: &State, old: &Plan, amendment: &mut Amendment) {
    let kept: BTreeSet<String> = state
        .items
        .iter()
        .filter(|i| started(i))
        .map(|i| i.key.clone())
        .collect();
    let old_tasks: Vec<&Task> = old.tasks.iter().collect();
    let wanted = amendment.plan.tasks.clone();
    compare_tasks(&old_tasks, &wanted, &kept, amendment);
    let mut numbers: BTreeSet<u32> = BTreeSet::new();
    let mut placed: Vec<(u32, Option<Task>, Item)> = Vec::new();
    for item in state.items.iter().filter(|i| kept.contains(&i.key)) {
        numbers.insert(item.position);
        let task = old.tasks.iter().find(|t| t.id == item.key).cloned();
        placed.push((item.position, task, item.clone()));
    }
    let mut next = 1;
    for task in wanted.into_iter().filter(|t| !kept.contains(&t.id)) {
        while numbers.contains(&next) {
            next += 1;
        }
        numbers.insert(next);
        let item = Item {
            key: task.id.clone(),
            position: next,
            tasks: vec![reference(&task, next)],
            depends_on: task.depends_on.clone(),
            risk: task.risk,
            ..blank()
        };
        placed.push((next, Some(task), item));
    }
    placed.sort_by_key(|(n, _, _)| *n);
    amendment.plan.tasks = placed
        .iter()
        .filter_map(|(_, task, _)| task.clone())
        .collect();
    amendment.items = placed.into_iter().map(|(_, _, item)| item).collect();
}

fn reference(task: &Task, position: u32) -> TaskRef {
    TaskRef {
        id: task.id.clone(),
        position,
        title: task.title.clone(),
        file: task.file.clone(),
    }
}

fn blank() -> Item {
    Item::new("", 0, Vec::new(), Vec::new(), crate::plan::Risk::Low)
}

fn compare_tasks(old: &[&Task], new: &[Task], kept: &BTreeSet<String>, amendment: &mut Amendment) {
    for task in new {
        match old.iter().find(|t| t.id == task.id) {
            None => amendment
                .changes
                .push(format!("task {}: new, {}", task.id, task.file)),
            Some(before) => {
                let found = differences(&format!("task {}", task.id), &json(*before), &json(task));
                if kept.contains(&task.id) {
                    amendment.too_late.extend(found);
                } else {
                    amendment.changes.extend(found);
                }
            }
        }
    }
    for task in old.iter().filter(|t| new.iter().all(|n| n.id != t.id)) {
        if kept.contains(&task.id) {
            amendment
                .too_late
                .push(format!("task {}: gone from the plan", task.id));
        } else {
            amendment
                .changes
                .push(format!("task {}: left out of the plan", task.id));
        }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// The plan without its tasks, and without what only says where it was read.
fn header(plan: &Plan) -> Value {
    let mut value = json(plan);
    if let Some(map) = value.as_object_mut() {
        map.remove("tasks");
        map.remove("source");
    }
    value
}

/// `plan: check_timeout_s: 600 → 900`, one line for each key that differs.
fn differences(what: &str, old: &Value, new: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return Vec::new();
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let nothing = Value::Null;
    keys.into_iter()
        .filter_map(|key| {
            let (a, b) = (
                old.get(key).unwrap_or(&nothing),
                new.get(key).unwrap_or(&nothing),
            );
            (a != b).then(|| match (a.as_object(), b.as_object()) {
                (Some(_), Some(_)) => differences(&format!("{what}: {key}"), a, b).join("\n"),
                _ => format!("{what}: {key}: {} → {}", brief(a), brief(b)),
            })
        })
        .flat_map(|lines| lines.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 60 {
        format!("{}…", line.chars().take(59).collect::<String>())
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::{Base, Person};
    use crate::run::transition;

    fn plan(tasks: &[(&str, &[&str])]) -> Plan {
        let tasks = tasks
            .iter()
            .map(|(id, deps)| Task {
                id: (*id).to_owned(),
                title: id.to_uppercase(),
                file: format!("{id}.go"),
                depends_on: deps.iter().map(|d| (*d).to_owned()).collect(),
                ..Task::default()
            })
            .collect();
        let text = serde_json::json!({
            "name": "wiz", "title": "Wiz", "base": null, "inputs": [], "skills": [], "directory": "",
            "build": [], "check_timeout_s": 600, "sparse": [], "time_constrained": false,
            "new_patterns": false, "tasks": [], "gate": {"build": [], "items": []}, "parameters": {},
            "source": {"kind": "plan-toml", "path": "plan.toml"}
        });
        let mut plan: Plan = serde_json::from_value(text).unwrap();
        plan.tasks = tasks;
        plan
    }

    fn begun(plan: &Plan, config: &Config) -> State {
        let person = Person {
            name: "Ada".into(),
            email: "ada@example.com".into(),
        };
        let mut state = transition::start(transition::Start {
            run: "wiz",
            number: 1,
            plan,
            config,
            mode: (crate::plan::Mode::PerTask, String::new()),
            base: Base {
                branch: "main".into(),
                commit: "0".repeat(40),
            },
            by: person.clone(),
            at: jiff::Timestamp::UNIX_EPOCH,
        });
        transition::skipped(&mut state, "types", "there already", &person).unwrap();
        state
    }

    #[test]
    fn started_tasks_keep_definition_and_number_and_new_ones_take_what_is_free() {
        let config = Config::default();
        let old = plan(&[
            ("types", &[]),
            ("client", &["types"]),
            ("handler", &["client"]),
        ]);
        let state = begun(&old, &config);
        let mut new = plan(&[("auth", &[]), ("types", &["auth"]), ("handler", &["auth"])]);
        new.tasks[2].max_lines = Some(9);
        new.tasks[1].purpose = "another".into();
        let done = amend(&state, (&old, &config), (&new, &config)).unwrap();
        let items: Vec<_> = done
            .items
            .iter()
            .map(|i| (i.position, i.key.as_str()))
            .collect();
        assert_eq!(items, [(1, "types"), (2, "auth"), (3, "handler")]);
        assert_eq!(done.plan.tasks[0].purpose, "");
        insta::assert_snapshot!(done.changes.join("\n"), @r#"
        task auth: new, auth.go
        task handler: depends_on: ["client"] → ["auth"]
        task handler: max_lines: nothing → 9
        task client: left out of the plan
        "#);
        insta::assert_snapshot!(done.too_late.join("\n"), @r#"
        task types: depends_on: [] → ["auth"]
        task types: purpose:  → another
        "#);
    }

    #[test]
    fn nothing_changed_is_nothing_to_do() {
        let config = Config::default();
        let old = plan(&[("types", &[]), ("client", &["types"])]);
        let state = begun(&old, &config);
        let done = amend(&state, (&old, &config), (&old, &config)).unwrap();
        assert_eq!((done.changes.len(), done.too_late.len()), (0, 0));
        assert_eq!(done.items, state.items);
    }

    #[test]
    fn a_batch_that_has_started_takes_settings_but_no_other_tasks() {
        let config = Config::default();
        let old = plan(&[("types", &[]), ("client", &["types"])]);
        let mut state = begun(&old, &config);
        let mut item = state.items[0].clone();
        BATCH.clone_into(&mut item.key);
        item.phase = Phase::Review;
        state.items = vec![item];
        let mut more = config.clone();
        more.limits.run_cost_usd = Some(80.0);
        let done = amend(&state, (&old, &config), (&old, &more)).unwrap();
        assert_eq!(done.items, state.items);
        assert_eq!(
            done.changes,
            ["configuration: limits: run_cost_usd: nothing → 80.0"]
        );
        let mut other = old.clone();
        other.tasks[1].purpose = "another".to_owned();
        let added = plan(&[("types", &[]), ("client", &["types"]), ("auth", &[])]);
        for new in [&other, &added, &plan(&[("types", &[])])] {
            let refused = amend(&state, (&old, &config), (new, &config)).unwrap_err();
            assert!(refused.0.contains("none of its tasks"), "{}", refused.0);
        }
    }

    #[test]
    fn on_github_what_has_started_stays_in_the_plan_as_it_is() {
        let config = Config::default();
        let old = plan(&[("types", &[]), ("client", &[]), ("handler", &["client"])]);
        let mut state = begun(&old, &config);
        let client = state.item_mut("client").unwrap();
        client.phase = Phase::Review;
        let refused = |state: &State, new: &Plan| {
            amend(state, (&old, &config), (new, &config)).map_err(|e| e.0)
        };
        // What was left out may go, what has not begun too.
        let fewer = plan(&[("client", &[])]);
        let gone = plan(&[("types", &[]), ("handler", &[])]);
        let mut other = old.clone();
        other.tasks[1].file = "else.go".to_owned();
        let more = plan(&[("types", &[]), ("auth", &[]), ("client", &["auth"])]);
        for new in [&fewer, &gone, &other, &more] {
            assert!(
                refused(&state, new).is_ok(),
                "in the terminal it goes on as it was"
            );
        }
        state.forge = ForgeKind::Github;
        assert!(refused(&state, &fewer).is_ok());
        let said: Vec<String> = [&gone, &other, &more]
            .map(|new| refused(&state, new).unwrap_err())
            .map(|e| e.split(';').next().unwrap().to_owned())
            .to_vec();
        assert_eq!(
            said,
            [
                "task client has started and is gone from the plan",
                "task client has started and has another file there",
                "task client has started and needs other tasks there",
            ]
        );
    }
}
