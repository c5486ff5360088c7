//! What a run waits for, in words that name the command which moves it on.

use std::collections::BTreeMap;

use super::clean::{line, short_line};
use super::words;
use crate::run::budget::Reached;
use crate::run::decide::{BaseHeld, Limit, Wait};
use crate::run::state::{Claim, Item, Phase, State};
use crate::run::transition::{round_of, short};

/// Longest reason or question quoted in a sentence, in characters.
const QUOTE: usize = 200;

/// What it waits for: a phrase that completes "waiting for …", then the commands in backticks.
#[must_use]
pub fn sentence(state: &State, wait: &Wait) -> String {
    Names::of(state).sentence(state, wait)
}

/// [`sentence`] for each. A run that has not ended and waits for nothing can go on: says so.
#[must_use]
pub fn sentences(state: &State, waits: &[Wait]) -> Vec<String> {
    if waits.is_empty() && state.end.is_none() {
        return vec![format!(
            "somebody to carry on: `git pertask continue {}`",
            line(&state.run)
        )];
    }
    let names = Names::of(state);
    waits.iter().map(|w| names.sentence(state, w)).collect()
}

/// The commands for a stopped item, one per line of a list: command and what it does.
#[must_use]
pub fn commands(state: &State, item: &Item) -> Vec<(String, &'static str)> {
    let at = format!("{} {}", line(&state.run), line(&item.key));
    let asked = matches!(
        &item.phase,
        Phase::Blocked {
            question: Some(_),
            ..
        }
    );
    let run = line(&state.run);
    let mut commands = Vec::new();
    if asked {
        commands.push((
            format!("git pertask revise {at} -m …"),
            "answer the question, and go on",
        ));
    }
    commands.push((
        format!("git pertask retry {at}"),
        "try again, from where it stopped",
    ));
    commands.push((
        format!("git pertask retry --fresh {at}"),
        "try again, from the run branch",
    ));
    if !asked {
        commands.push((
            format!("git pertask revise {at} -m …"),
            "say what to do differently, and try again",
        ));
    }
    commands.push((
        format!("git pertask skip {at} -m …"),
        "leave it out, saying why",
    ));
    commands.push((
        format!("git pertask abort {run}"),
        "end the run; every branch is kept",
    ));
    commands
}

/// Items by key with their names, so that a thousand waits need not search a thousand items.
struct Names<'s> {
    items: BTreeMap<&'s str, &'s Item>,
    total: usize,
}

impl<'s> Names<'s> {
    fn of(state: &'s State) -> Self {
        let items = state.items.iter().map(|i| (i.key.as_str(), i)).collect();
        let total = state.total();
        Self { items, total }
    }

    /// As `transition::name_of`, without counting the tasks each time.
    fn name(&self, key: &str) -> String {
        let item = self.items.get(key);
        match item.map(|i| i.tasks.as_slice()) {
            Some([t]) => line(&format!(
                "task {} of {}, {} ({}){}",
                t.position,
                self.total,
                t.id,
                t.title,
                item.map(|i| round_of(i)).unwrap_or_default()
            )),
            Some(tasks) => format!("all {} tasks", tasks.len()),
            None if key == crate::run::BASE => "the build of the base".to_owned(),
            None if key == crate::run::GATE => "the final checklist".to_owned(),
            None => line(key),
        }
    }

    fn sentence(&self, state: &State, wait: &Wait) -> String {
        let run = line(&state.run);
        match wait {
            Wait::Review { item } => {
                let (name, at) = (self.name(item), format!("{run} {}", line(item)));
                let pull = self.items.get(item.as_str()).and_then(|i| i.pull.as_ref());
                if let Some(pull) = pull {
                    return format!(
                        "a review of {name} on {}, or `git pertask approve {at}` or `git pertask revise {at} -m …`",
                        line(&pull.url)
                    );
                }
                format!(
                    "a review of {name}: read it with `git pertask show {at}`, then `git pertask approve {at}` or `git pertask revise {at} -m …`"
                )
            }
            Wait::Stopped { item } => self.stopped(&run, item),
            Wait::Rewritten { branch, at, ours } => {
                let branch = line(branch);
                let (at, ours) = (line(at), line(ours));
                format!(
                    "branch {branch}, which was rewritten: it is at {}, the run knows it at {}; put it back with `git branch --force {branch} {ours}` (first `git branch <name> {at}` to keep what is there), then `git pertask continue {run}`",
                    short(&at),
                    short(&ours)
                )
            }
            Wait::Elsewhere { item, claim } => {
                let place = match &claim.holder.workflow {
                    Some(workflow) => format!("in workflow run {}", workflow.run),
                    None => format!(
                        "on {} (process {})",
                        short_line(&claim.holder.host, 60),
                        claim.holder.pid
                    ),
                };
                format!(
                    "{} on {}, under way since {} {place}, until {} at the latest",
                    attempt(claim),
                    self.name(item),
                    words::time(claim.since),
                    words::time(claim.deadline)
                )
            }
            Wait::Here { item } => {
                let claim = self.items.get(item.as_str()).map(|i| &i.phase);
                match claim {
                    Some(Phase::Running { claim }) => format!(
                        "{} on {}, under way here since {}",
                        attempt(claim),
                        self.name(item),
                        words::time(claim.since)
                    ),
                    _ => format!("an attempt on {}, under way here", self.name(item)),
                }
            }
            Wait::Budget { item, reached } => self.budget(&run, item.as_deref(), reached),
            Wait::SetAside { item } => format!(
                "the end of an attempt under way, before {} begins: what it may still cost leaves too little of `run_cost_usd` (`max_cost_usd` under `[agents.NAME]` or `task_cost_usd` lets more run side by side)",
                self.name(item)
            ),
            Wait::Limited { agent, until } => {
                let agent = line(agent);
                let until = words::time(*until);
                format!(
                    "the usage limit of the agent {agent} to end at {until}; then `git pertask continue {run}` goes on (`git pertask retry {run}` tries it before), or name another agent in `.pertask/config.toml`, commit it, and `git pertask amend {run}`"
                )
            }
            Wait::Votes { item, why } => format!(
                "an approval that counts, for {}: {}",
                self.name(item),
                short_line(&why.join("; "), 2 * QUOTE)
            ),
            Wait::Closed { item } => format!(
                "its pull request to be opened again, for {}, or `git pertask skip {run} {} -m …`",
                self.name(item),
                line(item)
            ),
            Wait::Held { item, why } => format!(
                "the merge of {}: {}",
                self.name(item),
                short_line(why, 2 * QUOTE)
            ),
            Wait::Base { commit, held } => base(state, commit, held),
            Wait::BaseBroken => base_broken(state, &run),
            Wait::Gate => gate(state, &run),
        }
    }

    fn budget(&self, run: &str, item: Option<&str>, reached: &Reached) -> String {
        let (what, amount): (_, fn(u64) -> String) = match reached.limit {
            Limit::RunCost | Limit::TaskCost => ("a larger budget", cents),
            Limit::RunTime | Limit::TaskTime => ("more time", words::duration),
        };
        let of = match item {
            Some(key) => format!("for {}", self.name(key)),
            None => "for the run".to_owned(),
        };
        format!(
            "{what} {of}: {} of {} are spent; raise `{}` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend {run}` and `git pertask continue {run}`",
            amount(reached.spent),
            amount(reached.of),
            reached.limit.setting(),
        )
    }

    fn stopped(&self, run: &str, key: &str) -> String {
        let name = self.name(key);
        let at = format!("{run} {}", line(key));
        let other = format!(
            "`git pertask retry {at}`, `git pertask revise {at} -m …` or `git pertask skip {at} -m …`"
        );
        match self.items.get(key).map(|i| &i.phase) {
            Some(Phase::Blocked {
                question: Some(question),
                ..
            }) => format!(
                "an answer to the agent's question on {name}, “{}”: `git pertask revise {at} -m …`",
                short_line(question, QUOTE)
            ),
            Some(Phase::Blocked { reason, .. }) => format!(
                "a decision on {name}, where the agent is blocked ({}): {other}",
                short_line(reason, QUOTE)
            ),
            Some(Phase::Failed { reasons }) => {
                let reason = reasons.first().map_or("no reason recorded", String::as_str);
                format!(
                    "a decision on {name}, which failed ({}): {other}",
                    short_line(reason, QUOTE)
                )
            }
            _ => format!("a decision on {name}: {other}"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "cents below 2^52")]
fn cents(cents: u64) -> String {
    words::money(cents as f64 / 100.0)
}

fn attempt(claim: &Claim) -> String {
    use crate::run::order::OrderKind;
    match claim.kind {
        OrderKind::Forward => "checking the run branch merged in".to_owned(),
        OrderKind::Person => "checking a person's commit".to_owned(),
        OrderKind::Build => "work".to_owned(),
        _ => format!("attempt {}", claim.attempt),
    }
}

/// The base has moved on, and only a person can bring it in.
fn base(state: &State, commit: &str, held: &BaseHeld) -> String {
    let base = line(&state.base.branch);
    let branch = line(&state.run_branch.name);
    let commands = format!(
        "`git fetch origin`, `git switch --detach origin/{branch}`, `git merge origin/{base}`, `git push origin HEAD:refs/heads/{branch}`, then `git pertask continue {}`",
        line(&state.run)
    );
    match held {
        BaseHeld::Conflicts { files } => format!(
            "{base} (at {}) to be merged into {branch} by hand, it conflicts in {}: {commands}",
            short(commit),
            short_line(&files.join(", "), QUOTE)
        ),
        BaseHeld::Refused { why } => format!(
            "{base} (at {}) to be merged into {branch} by somebody who may push it ({}): {commands}",
            short(commit),
            short_line(why, QUOTE)
        ),
    }
}

fn base_broken(state: &State, run: &str) -> String {
    let checks = state.base_build.iter().flat_map(|b| &b.checks);
    let bad = checks
        .filter(|c| !c.passed)
        .map(|c| short_line(&c.name, 60))
        .next()
        .unwrap_or_else(|| "the build".to_owned());
    let base = line(&state.base.branch);
    let plan = line(&state.plan);
    format!(
        "a base that builds: `{bad}` fails on {base} at {}; if this machine lacks something, install it and `git pertask continue {run}`; if the code is broken, mend it on {base}, then `git pertask abort {run}` and `git pertask start {plan}`",
        short(&line(&state.base.commit))
    )
}

fn gate(state: &State, run: &str) -> String {
    let bad: Vec<_> = state.gate.iter().filter(|g| !g.holds).collect();
    let said = bad.first().map_or_else(String::new, |g| {
        let detail = short_line(&g.detail, QUOTE);
        let item = short_line(&g.item, QUOTE);
        if detail.is_empty() {
            format!(" ({item})")
        } else {
            format!(" ({item}: {detail})")
        }
    });
    format!(
        "a gate that holds: {} of {} items do not{said}; mend it with a commit on {}, then `git pertask continue {run}`",
        bad.len(),
        state.gate.len(),
        line(&state.run_branch.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, at, oid};
    use crate::run::order::{CheckKind, CheckOutcome};
    use crate::run::state::{BaseBuild, GateItem};

    #[test]
    fn every_wait_names_its_command() {
        let mut state = sample::midway();
        sample::fail(&mut state, "types");
        state.item_mut("handler").unwrap().phase = Phase::Blocked {
            reason: "the agent asks".to_owned(),
            attempted: Vec::new(),
            question: Some("Which region?\n# x".to_owned()),
        };
        state.base_build = Some(BaseBuild {
            at: at(0),
            checks: vec![CheckOutcome {
                kind: CheckKind::Build,
                name: "go build ./...".to_owned(),
                passed: false,
                detail: "exit status 1".to_owned(),
                output: String::new(),
                duration_ms: 1,
            }],
        });
        state.gate = vec![GateItem {
            item: "Handler registered".to_owned(),
            holds: false,
            detail: "integrations.go was not touched".to_owned(),
        }];
        let item = |key: &str| key.to_owned();
        let waits = [
            Wait::Review {
                item: item("client"),
            },
            Wait::Stopped {
                item: item("types"),
            },
            Wait::Stopped {
                item: item("handler"),
            },
            Wait::Rewritten {
                branch: "pertask/wiz/2-client".to_owned(),
                at: oid('1'),
                ours: oid('2'),
            },
            Wait::Elsewhere {
                item: item("transform"),
                claim: sample::claim(1),
            },
            Wait::Here {
                item: item("transform"),
            },
            Wait::Budget {
                item: None,
                reached: Reached {
                    limit: Limit::RunCost,
                    spent: 202,
                    of: 200,
                },
            },
            Wait::Budget {
                item: Some(item("types")),
                reached: Reached {
                    limit: Limit::TaskTime,
                    spent: 3900,
                    of: 3600,
                },
            },
            Wait::SetAside {
                item: item("client"),
            },
            Wait::Limited {
                agent: "claude".to_owned(),
                until: at(0),
            },
            Wait::BaseBroken,
            Wait::Gate,
            Wait::Review {
                item: item("nobody"),
            },
        ];
        let said: Vec<_> = waits.iter().map(|w| sentence(&state, w)).collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        a review of task 2 of 4, client (HTTP client): read it with `git pertask show wiz client`, then `git pertask approve wiz client` or `git pertask revise wiz client -m …`
        a decision on task 1 of 4, types (API types), which failed (go build ./... fails: undefined: Asset): `git pertask retry wiz types`, `git pertask revise wiz types -m …` or `git pertask skip wiz types -m …`
        an answer to the agent's question on task 4 of 4, handler (Primary handler), “Which region? # x”: `git pertask revise wiz handler -m …`
        branch pertask/wiz/2-client, which was rewritten: it is at 1111111111, the run knows it at 2222222222; put it back with `git branch --force pertask/wiz/2-client 2222222222222222222222222222222222222222` (first `git branch <name> 1111111111111111111111111111111111111111` to keep what is there), then `git pertask continue wiz`
        attempt 1 on task 3 of 4, transform (Transformations), under way since 2026-01-14T15:46:40Z on laptop (process 4711), until 2026-01-14T16:16:40Z at the latest
        attempt 1 on task 3 of 4, transform (Transformations), under way here since 2026-01-14T15:46:40Z
        a larger budget for the run: $2.02 of $2.00 are spent; raise `run_cost_usd` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
        more time for task 1 of 4, types (API types): 1 hour 5 minutes of 1 hour are spent; raise `task_time` under `[limits]` in `.pertask/config.toml` and commit it, then `git pertask amend wiz` and `git pertask continue wiz`
        the end of an attempt under way, before task 2 of 4, client (HTTP client) begins: what it may still cost leaves too little of `run_cost_usd` (`max_cost_usd` under `[agents.NAME]` or `task_cost_usd` lets more run side by side)
        the usage limit of the agent claude to end at 2026-01-14T15:30:00Z; then `git pertask continue wiz` goes on (`git pertask retry wiz` tries it before), or name another agent in `.pertask/config.toml`, commit it, and `git pertask amend wiz`
        a base that builds: `go build ./...` fails on main at aaaaaaaaaa; if this machine lacks something, install it and `git pertask continue wiz`; if the code is broken, mend it on main, then `git pertask abort wiz` and `git pertask start wiz`
        a gate that holds: 1 of 1 items do not (Handler registered: integrations.go was not touched); mend it with a commit on pertask/wiz/main, then `git pertask continue wiz`
        a review of nobody: read it with `git pertask show wiz nobody`, then `git pertask approve wiz nobody` or `git pertask revise wiz nobody -m …`
        ");
        assert_eq!(
            sentences(&state, &[]),
            ["somebody to carry on: `git pertask continue wiz`"]
        );
    }
}
