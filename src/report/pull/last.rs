//! The pull request from the run branch to the base, which ends the run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::parts::{self, paragraph};
use super::{
    Caps, GITHUB_MOST, Links, MOST, PullRef, TITLE_MOST, fit, is_extra, name, number, region, tasks,
};
use crate::plan::Plan;
use crate::report::markdown::{cell, code, line, link, prose};
use crate::report::{clean, compliance, facts, words};
use crate::run::P0;
use crate::run::state::{GateItem, Item, Phase, State};
use crate::run::transition::short;

/// The last part of the run branch's name, under which the final pull request is known.
const MAIN: &str = "main";

/// The title of the final pull request: `[wiz] Wiz integration`.
#[must_use]
pub fn last_title(state: &State) -> String {
    let said = format!(
        "[{}] {}",
        clean::line(&state.run),
        clean::line(&state.title)
    );
    words::cut(&said, TITLE_MOST)
}

/// The body of the final pull request, below [`MOST`] bytes: the gate, every task with its cost and
/// time, what was left out or let pass, and how to decide.
#[must_use]
pub fn last_body(
    state: &State,
    plan: &Plan,
    gate: &[GateItem],
    links: &Links,
    pulls: &BTreeMap<String, PullRef>,
) -> String {
    within(state, plan, gate, links, pulls, MOST)
}

/// What is to be sent when the final pull request's body is `old` now; see [`super::fitted`].
#[must_use]
pub fn last_fitted(
    state: &State,
    plan: &Plan,
    gate: &[GateItem],
    links: &Links,
    pulls: &BTreeMap<String, PullRef>,
    old: &str,
) -> Option<String> {
    let room = GITHUB_MOST.saturating_sub(region::outside(old) + 16);
    let new = within(state, plan, gate, links, pulls, room);
    let new = super::updated(old, &new)?;
    (new.chars().count() <= GITHUB_MOST).then_some(new)
}

fn within(
    state: &State,
    plan: &Plan,
    gate: &[GateItem],
    links: &Links,
    pulls: &BTreeMap<String, PullRef>,
    most: usize,
) -> String {
    let around = |content: &str| region::WHOLE.around(&format!("{}/{MAIN}", state.run), content);
    let page = Page {
        state,
        plan,
        gate,
        links,
        pulls,
    };
    fit(most.min(MOST), &|caps| around(&page.content(caps)), &|| {
        around(&format!(
            "The result of run {}. What belongs here is too long; read it with {}.",
            code(&clean::short_line(&state.run, 100)),
            code(&page.show())
        ))
    })
}

struct Page<'a> {
    state: &'a State,
    plan: &'a Plan,
    gate: &'a [GateItem],
    links: &'a Links,
    pulls: &'a BTreeMap<String, PullRef>,
}

impl Page<'_> {
    fn show(&self) -> String {
        format!(
            "git pertask show {}",
            clean::short_line(&self.state.run, 100)
        )
    }

    fn content(&self, caps: Caps) -> String {
        let mut out = String::new();
        paragraph(&mut out, &self.opening(caps));
        paragraph(&mut out, &self.parameters(caps));
        self.gate(&mut out, caps);
        self.tasks(&mut out, caps);
        self.exceptions(&mut out, caps);
        self.p0(&mut out);
        self.deciding(&mut out);
        out.push_str(&tasks::block(
            self.state, self.pulls, self.links, caps.tasks, None,
        ));
        out
    }

    fn opening(&self, caps: Caps) -> String {
        let state = self.state;
        let seconds: u64 = state
            .items
            .iter()
            .flat_map(|i| &i.attempts)
            .fold(0, |sum, a| {
                words::seconds(a.started, a.finished).saturating_add(sum)
            });
        let costs: Vec<f64> = state.items.iter().filter_map(facts::cost).collect();
        let cost = if costs.is_empty() {
            String::new()
        } else {
            format!(" and {}", words::money(costs.iter().sum()))
        };
        format!(
            "**{}**: the result of run {}, started {} by {} from {} at {}. All attempts together took {}{cost}.",
            line(&state.title, caps.text.min(200)),
            code(&state.run),
            words::time(state.created),
            line(&state.started_by.name, 60),
            code(&clean::short_line(&state.base.branch, 200)),
            link(
                &code(short(&clean::line(&state.base.commit))),
                &self.links.commit(&state.base.commit)
            ),
            words::duration(seconds),
        )
    }

    /// The values that the plan was read with, which no document of the repository shows.
    fn parameters(&self, caps: Caps) -> String {
        let all = self.plan.parameters.iter().take(caps.entries);
        let all: Vec<String> = all
            .map(|(name, value)| {
                let value = clean::short_line(value, caps.text.min(200));
                format!("{} = {}", code(&clean::short_line(name, 60)), code(&value))
            })
            .collect();
        match all.as_slice() {
            [] => String::new(),
            all => format!("Parameters of the plan: {}.", all.join(", ")),
        }
    }

    fn gate(&self, out: &mut String, caps: Caps) {
        if self.gate.is_empty() {
            return;
        }
        out.push_str("### Gate\n\n| Item | Holds | Found |\n|---|---|---|\n");
        for one in self.gate.iter().take(caps.entries) {
            let holds = if one.holds { "yes" } else { "**no**" };
            let _ = writeln!(
                out,
                "| {} | {holds} | {} |",
                cell(&line(&one.item, caps.text.min(200))),
                cell(&line(&one.detail, caps.text.min(400)))
            );
        }
        out.push('\n');
        self.more(out, self.gate.len(), caps);
    }

    fn more(&self, out: &mut String, all: usize, caps: Caps) {
        if let Some(rest) = all.checked_sub(caps.entries).filter(|n| *n > 0) {
            paragraph(out, &format!("… and {rest} more: {}", code(&self.show())));
        }
    }

    fn tasks(&self, out: &mut String, caps: Caps) {
        out.push_str("### What was done\n\n| | Task | What it is for | Lines | Attempts | Time | Cost | In |\n|---|---|---|---|---|---|---|---|\n");
        let mut rows = 0;
        for item in &self.state.items {
            // One row for each task; what is the item's stands in its first.
            for (i, task) in item.tasks.iter().enumerate() {
                rows += 1;
                if rows > caps.entries {
                    continue;
                }
                let title = match item.tasks.as_slice() {
                    [_] => name(self.state, item),
                    _ => clean::line(&task.title),
                };
                let which = match number(self.state, item) {
                    Some(_) => task.position.to_string(),
                    None => String::new(),
                };
                let purpose = match item.tasks.as_slice() {
                    _ if item.key == crate::run::REPAIR => String::new(),
                    _ => self.plan.purpose_of(&task.id),
                };
                let files = item.latest_work().map(|a| facts::files(item, a));
                let lines = files.and_then(|f| facts::lines(&f, task));
                let lines = lines.map_or_else(String::new, |n| n.to_string());
                let _ = write!(
                    out,
                    "| {which} | {} | {} | {lines} | ",
                    cell(&line(&title, caps.text.min(120))),
                    parts::summary(&purpose, caps.text.min(300)),
                );
                out.push_str(&if i == 0 {
                    self.spent(item)
                } else {
                    "| | | |\n".to_owned()
                });
            }
        }
        out.push('\n');
        self.more(out, rows, caps);
    }

    /// The columns of an item: attempts, time, cost, and where it joined the run branch.
    fn spent(&self, item: &Item) -> String {
        let seconds = item.attempts.iter().fold(0u64, |sum, a| {
            sum.saturating_add(words::seconds(a.started, a.finished))
        });
        let cost = facts::cost(item).map_or_else(String::new, words::money);
        let mut joined = match (&item.phase, &item.merged) {
            (Phase::Skipped { .. }, _) => "left out".to_owned(),
            (_, Some(merged)) => link(
                &code(short(&clean::line(&merged.commit))),
                &self.links.commit(&merged.commit),
            ),
            _ => String::new(),
        };
        if let Some(pull) = self.pulls.get(&item.branch_leaf()) {
            let _ = write!(joined, " {}", parts::pull(pull, self.links));
        }
        format!(
            "{} | {} | {cost} | {} |\n",
            item.attempts.len(),
            words::short_duration(seconds),
            cell(joined.trim())
        )
    }

    /// What differs from every task reviewed and merged: left out, or merged by policy.
    fn exceptions(&self, out: &mut String, caps: Caps) {
        let mut said = Vec::new();
        for item in &self.state.items {
            let called = line(&name(self.state, item), 120);
            if let Phase::Skipped { why, by } = &item.phase {
                said.push(format!(
                    "{called} was left out by {}: {}",
                    line(&by.name, 60),
                    line(why, caps.text.min(400))
                ));
            }
            let merges = item.rounds.iter().filter_map(|r| r.merged.as_ref());
            for merged in merges.chain(&item.merged) {
                if merged.because.starts_with("policy") {
                    said.push(format!(
                        "{called} was merged without a review: {}",
                        line(&merged.because, 200)
                    ));
                }
            }
        }
        for one in &self.state.compliance.exceptions {
            let place = match (one.file.as_str(), one.line) {
                ("", _) => "the whole".to_owned(),
                (file, 0) => code(&words::middle(&clean::line(file), 200)),
                (file, at) => code(&words::middle(&clean::line(&format!("{file}:{at}")), 200)),
            };
            said.push(format!(
                "{} let pass {} at {place}, {}: {}",
                line(&one.by.name, 60),
                code(&clean::short_line(&one.rule, 80)),
                line(&one.message, caps.text.min(200)),
                line(&one.why, caps.text.min(400))
            ));
        }
        if said.is_empty() {
            return;
        }
        out.push_str("### Exceptions\n\n");
        for one in said.iter().take(caps.entries) {
            let _ = writeln!(out, "- {one}");
        }
        out.push('\n');
        self.more(out, said.len(), caps);
    }

    fn p0(&self, out: &mut String) {
        let rules = self.plan.tasks.iter().any(|t| !t.rules.is_empty());
        let compliance = &self.state.compliance;
        if !rules && compliance.is_blank() && self.state.item(P0).is_none() {
            return;
        }
        out.push_str("### P0 validation\n\n");
        let said = compliance::result(compliance);
        let put_right = self
            .state
            .item(P0)
            .filter(|i| is_extra(i) && i.was_merged());
        let put_right = put_right.map_or(
            "",
            |_| " What was found was put right in a task of its own.",
        );
        paragraph(out, &format!("{}.{put_right}", prose(&said, 200)));
    }

    fn deciding(&self, out: &mut String) {
        out.push_str("### How to decide\n\n");
        let base = code(&clean::short_line(&self.state.base.branch, 200));
        let run_branch = code(&clean::short_line(&self.state.run_branch.name, 200));
        let _ = writeln!(
            out,
            "- **Merge** this pull request as you merge any other: everything on {run_branch} comes into {base}, and the run records it."
        );
        out.push_str("- **Request changes** in a review, or comment `/pertask revise` with what to change: a repair task puts it right on the run branch, in a pull request of its own.\n- `/pertask abort` ends the run; every branch stays.\n\n");
        paragraph(
            out,
            &format!(
                "Prompts, attempts, outputs and reviews: {}, or {} offline.",
                code(&self.show()),
                code(&format!(
                    "git pertask log {}",
                    clean::short_line(&self.state.run, 100)
                ))
            ),
        );
    }
}
