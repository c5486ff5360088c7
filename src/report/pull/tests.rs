//! Tests of the texts: whole pages, small ones, and any input.

mod any;
mod pages;
mod run;
mod said;

use super::*;
use crate::plan::Mode;
use crate::report::sample::{self, oid};
use crate::run::order::{AttemptResult, CheckKind, CheckOutcome, Fault, OrderKind, Verdict};
use crate::run::state::{Branch, Decision, GateItem, Merged, Outcome, Round};

/// The sample's tasks with a little of what a plan says of them.
fn plan() -> Plan {
    let mut plan: Plan =
        serde_json::from_str(include_str!("../../../tests/formats/plan-1.json")).unwrap();
    let files = ["wiz_types", "wiz_client", "wiz_transform", "wiz"];
    for (task, file) in plan.tasks.iter_mut().zip(files) {
        task.file = format!("pkg/wiz/{file}.go");
        task.success.truncate(2);
        task.max_lines = (task.id == "client").then_some(199);
    }
    plan
}

fn check(kind: CheckKind, name: &str, passed: bool, detail: &str, output: &str) -> CheckOutcome {
    CheckOutcome {
        kind,
        name: name.to_owned(),
        passed,
        detail: detail.to_owned(),
        output: output.to_owned(),
        duration_ms: 1_400,
    }
}

fn result(checks: Vec<CheckOutcome>) -> AttemptResult {
    AttemptResult {
        schema: 1,
        run: "wiz".to_owned(),
        item: "client".to_owned(),
        attempt: 1,
        claim: String::new(),
        started: sample::at(0),
        finished: sample::at(900),
        verdict: Verdict::Passed {
            needs_review: false,
        },
        tree: None,
        files: vec![
            sample::added("pkg/wiz/wiz_client.go", 185),
            sample::modified("go.mod", 12),
        ],
        api: Vec::new(),
        checks,
        faults: Vec::new(),
        agent: None,
        handoff: None,
        handoff_problem: None,
    }
}

/// A page with everything that a sheet borrows.
struct Desk {
    state: State,
    plan: Plan,
    result: Option<AttemptResult>,
    pulls: BTreeMap<String, PullRef>,
    links: Links,
    patch: Option<String>,
}

impl Desk {
    fn new(state: State) -> Self {
        let pull = |leaf: &str, number| {
            let url = format!("https://github.com/o/r/pull/{number}");
            (leaf.to_owned(), PullRef { number, url })
        };
        Self {
            state,
            plan: plan(),
            result: None,
            pulls: BTreeMap::from([pull("1-types", 7), pull("2-client", 8), pull("batch", 9)]),
            links: Links::new("https://github.com/o/r"),
            patch: None,
        }
    }

    fn sheet(&self, key: &str) -> Sheet<'_> {
        Sheet {
            state: &self.state,
            item: self.state.item(key).unwrap(),
            plan: &self.plan,
            result: self.result.as_ref(),
            pulls: &self.pulls,
            links: &self.links,
            kept_patch: self.patch.as_deref(),
            author_may_approve: false,
            approvals: 1,
        }
    }

    fn last(&self) -> String {
        last_body(
            &self.state,
            &self.plan,
            &self.state.gate,
            &self.links,
            &self.pulls,
        )
    }
}

/// What stands before the block of all tasks, where a test is not about that.
fn above(body: &str) -> &str {
    body.split("\n<!-- pertask:tasks -->").next().unwrap()
}

/// Without the addresses, which only make lines long.
fn terse(body: &str) -> String {
    let long = oid('c');
    body.replace("https://github.com/o/r", "…")
        .replace(&format!("/{long}"), "/c…c")
}

#[test]
fn titles() {
    let mut state = sample::midway();
    let mut extra = |key: &str, position| {
        let task = sample::task(position, key, "x", "report.md");
        state
            .items
            .push(sample::item(key, position, vec![task], &[]));
    };
    extra(P0, 5);
    extra(REPAIR, 6);
    state.item_mut("types").unwrap().round = 2;
    let mut said: Vec<String> = state.items.iter().map(|i| title(&state, i)).collect();
    let batch = sample::batch();
    said.push(title(&batch, &batch.items[0]));
    said.push(last_title(&state));
    insta::assert_snapshot!(said.join("\n"), @r"
    [wiz 1/4] API types, round 2
    [wiz 2/4] HTTP client
    [wiz 3/4] Transformations
    [wiz 4/4] Primary handler
    [wiz] P0 validation
    [wiz] Repair after the final review
    [wiz 1-4/4] Wiz integration
    [wiz] Wiz integration
    ");
    "long "
        .repeat(200)
        .clone_into(&mut state.items[1].tasks[0].title);
    assert!(title(&state, &state.items[1]).chars().count() <= TITLE_MOST);
}

#[test]
fn a_large_run_lists_what_is_open() {
    let mut state = sample::state();
    for n in 5..=200 {
        let task = sample::task(n, &format!("t{n}"), "More", "x.go");
        state
            .items
            .push(sample::item(&format!("t{n}"), n, vec![task], &[]));
    }
    for item in state.items.iter_mut().take(190) {
        item.phase = Phase::Merged;
    }
    let desk = Desk::new(state);
    let block = tasks_block(&desk.state, &desk.pulls, &desk.links, None);
    insta::assert_snapshot!(block, @r"
    <!-- pertask:tasks -->
    ### All tasks

    190 merged, 10 pending.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 191 | More | pending |  |
    | 192 | More | pending |  |
    | 193 | More | pending |  |
    | 194 | More | pending |  |
    | 195 | More | pending |  |
    | 196 | More | pending |  |
    | 197 | More | pending |  |
    | 198 | More | pending |  |
    | 199 | More | pending |  |
    | 200 | More | pending |  |

    10 of 200 are listed, the open ones first to last.
    <!-- pertask:tasks-end -->
    ");
}

#[test]
fn only_the_block_of_tasks_is_renewed() {
    let mut desk = Desk::new(sample::midway());
    let old = format!("Mine\n\n{}\n\nToo", body(&desk.sheet("client"))).replace('\n', "\r\n");
    let block = tasks_block(
        &desk.state,
        &desk.pulls,
        &desk.links,
        desk.state.item("client"),
    );
    assert_eq!(updated_tasks(&old, &block), None);
    sample::merge(&mut desk.state, "transform");
    let block = tasks_block(
        &desk.state,
        &desk.pulls,
        &desk.links,
        desk.state.item("client"),
    );
    let new = updated_tasks(&old, &block).unwrap();
    assert!(new.contains("| 3 | Transformations | merged |  |"), "{new}");
    assert!(new.starts_with("Mine\n\n<!-- pertask:begin wiz/2-client -->\n"));
    assert!(new.ends_with("<!-- pertask:tasks-end -->\n<!-- pertask:end -->\n\nToo"));
    assert_eq!(new.matches("### All tasks").count(), 1);
}

#[test]
fn what_people_wrote_leaves_us_the_rest_of_the_room() {
    let mut desk = Desk::new(sample::midway());
    let long = "output\n".repeat(10_000);
    desk.result = Some(result(vec![check(
        CheckKind::Build,
        "go",
        true,
        "ok",
        &long,
    )]));
    let sheet = desk.sheet("client");
    assert!(body(&sheet).len() > 20_000);
    let mine = "word ".repeat(11_000);
    let new = fitted(&sheet, &mine).unwrap();
    assert!(new.chars().count() <= GITHUB_MOST && new.starts_with(mine.trim_end()));
    assert_eq!(fitted(&sheet, &new), None);
    assert_eq!(fitted(&sheet, &"x".repeat(GITHUB_MOST)), None);
    assert_eq!(fitted(&sheet, ""), Some(body(&sheet)));
}

#[test]
fn a_review_is_counted_for_nothing_but_itself() {
    let mut state = sample::midway();
    sample::review(&mut state, "client", Decision::Revise, "x");
    let item = state.item_mut("client").unwrap();
    item.phase = Phase::Pending;
    let desk = Desk::new(state);
    let said = body(&desk.sheet("client"));
    assert!(said.contains("Another attempt comes next."));
    assert!(!said.contains("/pertask approve"), "{said}");
}
