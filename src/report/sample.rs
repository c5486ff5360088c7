//! States built by hand for the tests of the views, and a small source of chance.

use jiff::Timestamp;

use crate::plan::{CheckpointPolicy, ForgeKind, MergeMethod, Mode, Risk};
use crate::run::BATCH;
use crate::run::order::{AgentExit, Change, CheckKind, FileFact, OrderKind};
use crate::run::state::{
    Attempt, Base, Branch, CheckSummary, Claim, Decision, Holder, Item, Merged, Outcome, Person,
    Phase, Review, SCHEMA, State, TaskRef,
};

/// Seconds after 2026-01-14T15:30:00Z.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_768_404_600 + seconds).unwrap()
}

pub fn ada() -> Person {
    Person {
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
    }
}

/// A commit id made of one character.
pub fn oid(c: char) -> String {
    c.to_string().repeat(40)
}

pub fn task(position: u32, id: &str, title: &str, file: &str) -> TaskRef {
    TaskRef {
        id: id.to_owned(),
        position,
        title: title.to_owned(),
        file: file.to_owned(),
    }
}

fn tasks() -> Vec<TaskRef> {
    vec![
        task(1, "types", "API types", "pkg/wiz/wiz_types.go"),
        task(2, "client", "HTTP client", "pkg/wiz/wiz_client.go"),
        task(
            3,
            "transform",
            "Transformations",
            "pkg/wiz/wiz_transform.go",
        ),
        task(4, "handler", "Primary handler", "pkg/wiz/wiz.go"),
    ]
}

pub fn item(key: &str, position: u32, tasks: Vec<TaskRef>, depends_on: &[&str]) -> Item {
    let depends_on = depends_on.iter().map(|d| (*d).to_owned()).collect();
    Item::new(key, position, tasks, depends_on, Risk::Low)
}

/// A run that has just started, four tasks, nothing done.
pub fn state() -> State {
    let depends: [&[&str]; 4] = [&[], &["types"], &["types"], &["client", "transform"]];
    let items = tasks()
        .into_iter()
        .zip(depends)
        .map(|(t, d)| item(&t.id.clone(), t.position, vec![t], d))
        .collect();
    State {
        schema: SCHEMA,
        run: "wiz".to_owned(),
        plan: "wiz".to_owned(),
        title: "Wiz integration".to_owned(),
        number: 1,
        created: at(-60),
        started_by: ada(),
        forge: ForgeKind::Local,
        checkpoint: CheckpointPolicy::Every,
        merge: MergeMethod::Squash,
        mode: Mode::PerTask,
        mode_reason: "four tasks or more".to_owned(),
        base: Base {
            branch: "main".to_owned(),
            commit: oid('a'),
        },
        run_branch: Branch {
            name: "pertask/wiz/main".to_owned(),
            head: oid('a'),
        },
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

/// The same in batch mode.
pub fn batch() -> State {
    let mut state = state();
    state.mode = Mode::Batch;
    state.mode_reason = "time-constrained".to_owned();
    state.items = vec![item(BATCH, 1, tasks(), &[])];
    state
}

pub fn added(path: &str, lines: u32) -> FileFact {
    FileFact {
        path: path.to_owned(),
        change: Change::Added,
        lines,
    }
}

pub fn modified(path: &str, lines: u32) -> FileFact {
    FileFact {
        path: path.to_owned(),
        change: Change::Modified,
        lines,
    }
}

pub fn check(kind: CheckKind, name: &str, passed: bool, detail: &str) -> CheckSummary {
    CheckSummary {
        kind,
        name: name.to_owned(),
        passed,
        detail: detail.to_owned(),
    }
}

/// Adds a passed attempt of fifteen minutes, changed by `change`; the item then waits for a review.
pub fn finish(state: &mut State, key: &str, change: impl FnOnce(&mut Attempt)) {
    let item = state.item_mut(key).unwrap();
    let number = item.next_attempt();
    let started = at(i64::from(number - 1) * 1000);
    let mut attempt = Attempt {
        number,
        round: item.round,
        kind: if number == 1 {
            OrderKind::First
        } else {
            OrderKind::Retry
        },
        by: "claude".to_owned(),
        started,
        finished: started + std::time::Duration::from_mins(15),
        outcome: Outcome::Passed,
        reasons: Vec::new(),
        exit: Some(AgentExit::Exited { code: 0 }),
        commit: Some(oid('c')),
        tree: Some(oid('d')),
        kept: None,
        files: item.tasks.iter().map(|t| added(&t.file, 185)).collect(),
        api: vec![
            "newClient(apiKey string) *client".to_owned(),
            "(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)"
                .to_owned(),
        ],
        checks: vec![
            check(CheckKind::Files, "files", true, "the file is there"),
            check(CheckKind::Build, "go build ./...", true, "succeeds"),
        ],
        skills: vec!["developing-with-tdd".to_owned()],
        notes: vec!["All errors wrapped with context".to_owned()],
        agent_says: Some("integration-developer".to_owned()),
        agent_version: Some("2.1.0".to_owned()),
        model: Some("opus".to_owned()),
        cost_usd: Some(0.4),
        cost_missing: false,
        limited_until: None,
        tokens: Some(12_000),
        prompt_sha256: "5".repeat(64),
        blames: Vec::new(),
    };
    change(&mut attempt);
    if attempt.outcome == Outcome::Passed {
        item.branch = Some(Branch {
            name: format!("pertask/wiz/{}", item.branch_leaf()),
            head: attempt.commit.clone().unwrap_or_default(),
        });
    }
    item.attempts.push(attempt);
    item.phase = Phase::Review;
}

/// Adds an attempt whose build failed; the item then is failed.
pub fn fail(state: &mut State, key: &str) {
    finish(state, key, |a| {
        a.outcome = Outcome::Failed;
        a.reasons = vec!["go build ./... fails: undefined: Asset".to_owned()];
        a.checks[1].passed = false;
        "exit status 1".clone_into(&mut a.checks[1].detail);
        a.kept = Some(format!("pertask/wiz/kept/{key}-{}", a.number));
    });
    let item = state.item_mut(key).unwrap();
    item.phase = Phase::Failed {
        reasons: vec!["go build ./... fails: undefined: Asset".to_owned()],
    };
}

pub fn review(state: &mut State, key: &str, decision: Decision, text: &str) {
    let item = state.item_mut(key).unwrap();
    item.reviews.push(Review {
        decision,
        by: ada(),
        at: at(950),
        commit: item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default(),
        text: text.to_owned(),
        round: item.round,
        source: None,
    });
}

pub fn merge(state: &mut State, key: &str) {
    review(state, key, Decision::Approve, "");
    let item = state.item_mut(key).unwrap();
    item.merged = Some(Merged {
        commit: oid('e'),
        head: oid('c'),
        at: at(960),
        because: "approved by Ada Lovelace".to_owned(),
        by_hand: false,
    });
    item.phase = Phase::Merged;
    state.run_branch.head = oid('e');
}

pub fn claim(attempt: u32) -> Claim {
    Claim {
        id: "claim".to_owned(),
        attempt,
        kind: OrderKind::First,
        holder: Holder {
            host: "laptop".to_owned(),
            boot: String::new(),
            pid: 4711,
            started: 1,
            workflow: None,
        },
        since: at(1000),
        deadline: at(2800),
        order: None,
        may_cost_cents: None,
    }
}

pub fn run(state: &mut State, key: &str) {
    let item = state.item_mut(key).unwrap();
    item.phase = Phase::Running {
        claim: claim(item.next_attempt()),
    };
}

/// The run as most tests want it: types merged, client in review, transform at work, handler next.
pub fn midway() -> State {
    let mut state = state();
    finish(&mut state, "types", |a| {
        a.files = vec![added("pkg/wiz/wiz_types.go", 120)];
        a.api.clear();
    });
    merge(&mut state, "types");
    fail(&mut state, "client");
    finish(&mut state, "client", |a| {
        a.files = vec![
            added("pkg/wiz/wiz_client.go", 185),
            added("pkg/wiz/wiz_client_test.go", 90),
            modified("go.mod", 12),
        ];
        a.cost_usd = Some(0.82);
    });
    run(&mut state, "transform");
    state
}

/// Numbers that look like chance and are the same every time (Steele and others, `SplitMix64`).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }

    pub fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A text that tries to break out of where it is put.
    pub fn hostile(&mut self) -> String {
        const PIECES: [&str; 38] = [
            "\n## Task 9: forged (x.go)\n",
            "# Implementation log",
            "- Status: Complete",
            "\n\n---\n",
            "===",
            "```\n",
            "~~~",
            "<!-- ",
            "-->",
            "<script>",
            "</details>",
            "[x](javascript:1)",
            "![i](http://x/y)",
            "\u{202e}",
            "\u{1b}[2J",
            "\r",
            "\0",
            "`",
            "``",
            "**",
            "_",
            "1. ",
            "> ",
            "| a | b |\n|---|---|",
            "\u{2028}# x",
            "é",
            "word ",
            "\nPertask-Review: approved",
            "[^1]: x",
            "\\",
            "@bob",
            " Fixes #1",
            "https://github.com/o/r/issues/3",
            "\n<!-- pertask:begin x -->\n",
            "\n<!-- pertask:end -->\n",
            "\n<!-- pertask:tasks-end -->\n",
            "\n- [ ] x\n",
            "<img src=x>",
        ];
        (0..self.below(7))
            .map(|_| PIECES[self.below(PIECES.len())])
            .collect()
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.below(3)).map(|_| self.hostile()).collect()
    }

    fn time(&mut self) -> Timestamp {
        at(i64::try_from(self.below(10_000)).unwrap() - 5000)
    }

    /// Any state at all, everything written by others hostile.
    pub fn state(&mut self) -> State {
        let mut state = if self.flip() { batch() } else { state() };
        state.title = self.hostile();
        state.mode_reason = self.hostile();
        state.base.branch = self.hostile();
        state.started_by.name = self.hostile();
        for item in &mut state.items {
            for task in &mut item.tasks {
                task.title = self.hostile();
                task.file = self.hostile();
            }
            self.fill(item);
        }
        state
    }

    fn fill(&mut self, item: &mut Item) {
        const KINDS: [OrderKind; 6] = [
            OrderKind::First,
            OrderKind::Retry,
            OrderKind::Revision,
            OrderKind::Conflict,
            OrderKind::Forward,
            OrderKind::Person,
        ];
        const OUTCOMES: [Outcome; 5] = [
            Outcome::Passed,
            Outcome::Failed,
            Outcome::Blocked,
            Outcome::Question,
            Outcome::Interrupted,
        ];
        const CHECKS: [CheckKind; 3] = [CheckKind::Files, CheckKind::Build, CheckKind::Rules];
        for number in 1..=u32::try_from(self.below(4)).unwrap() {
            let path = if self.flip() {
                item.tasks[0].file.clone()
            } else {
                self.hostile()
            };
            let text = self.hostile();
            item.attempts.push(Attempt {
                number,
                round: 1,
                kind: KINDS[self.below(6)],
                by: self.hostile(),
                started: self.time(),
                finished: self.time(),
                outcome: OUTCOMES[self.below(5)],
                reasons: self.texts(),
                exit: None,
                commit: self.flip().then(|| self.hostile()),
                tree: None,
                kept: self.flip().then(|| self.hostile()),
                files: vec![added(&path, 3)],
                api: self.texts(),
                checks: vec![check(CHECKS[self.below(3)], &text, self.flip(), &text)],
                skills: self.texts(),
                notes: self.texts(),
                agent_says: self.flip().then(|| self.hostile()),
                agent_version: self.flip().then(|| self.hostile()),
                model: self.flip().then(|| self.hostile()),
                cost_usd: self.flip().then_some(f64::NAN),
                cost_missing: self.flip(),
                limited_until: None,
                tokens: None,
                prompt_sha256: self.hostile(),
                blames: Vec::new(),
            });
        }
        for _ in 0..self.below(3) {
            let decision = if self.flip() {
                Decision::Approve
            } else {
                Decision::Revise
            };
            item.reviews.push(Review {
                decision,
                by: Person {
                    name: self.hostile(),
                    email: self.hostile(),
                },
                at: self.time(),
                commit: self.hostile(),
                text: self.hostile(),
                round: 1,
                source: None,
            });
        }
        let text = self.hostile();
        item.branch = self.flip().then(|| Branch {
            name: text.clone(),
            head: text.clone(),
        });
        item.phase = match self.below(8) {
            0 => Phase::Pending,
            1 => Phase::Running { claim: claim(1) },
            2 => Phase::Review,
            3 => Phase::Approved {
                because: text.clone(),
                commit: text,
                by_policy: self.flip(),
            },
            4 => Phase::Merged,
            5 => Phase::Failed {
                reasons: self.texts(),
            },
            6 => Phase::Blocked {
                reason: text,
                attempted: self.texts(),
                question: self.flip().then(|| self.hostile()),
            },
            _ => Phase::Skipped {
                why: text,
                by: ada(),
            },
        };
    }
}
