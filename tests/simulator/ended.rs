//! What the design promises of tasks that are left out and of runs that end.

use std::rc::Rc;

use git_pertask::run::seen::PullStanding;
use git_pertask::run::state::{Phase, State};

use super::hub::Kind;
use super::invariants::{Held, held, pairs};
use super::store::Entry;
use super::world::World;

/// Whether somebody who may has said so on a pull request from one of these branches, whatever others made
/// of it later: it may have been read before.
fn commanded(w: &World, what: &str, of: impl Fn(&str) -> bool) -> bool {
    let there = w.hub.pulls.iter().flat_map(|p| {
        let said = p.said.iter().filter(|s| !s.altered);
        said.map(|s| (p.branch.as_str(), s.who, &s.kind))
    });
    let mut there = there.filter_map(|(branch, who, kind)| match kind {
        Kind::Comment { text } => Some((branch, who, text.as_str())),
        _ => None,
    });
    let before = w.audit.altered.iter();
    let mut before = before.map(|(branch, who, text)| (branch.as_str(), *who, text.as_str()));
    let says = |(branch, who, text): (&str, usize, &str)| {
        of(branch) && w.ever_permitted(who) && text.starts_with(what)
    };
    there.any(says) || before.any(says)
}

/// "A person leaves it out: skipped."
pub fn skipped_by_person(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let skips = matches!(b.phase, Phase::Skipped { .. }) && a.phase != b.phase;
        let gives_up = a.phase != Phase::Merged
            && b.phase == Phase::Merged
            && !a.rounds.is_empty()
            && b.merged == a.rounds.last().and_then(|r| r.merged.clone());
        if !skips && !gives_up {
            continue;
        }
        let said = commanded(w, "/pertask skip", |branch| {
            branch.ends_with(&format!("-{}", a.key))
                || branch.contains(&format!("-{}-r", a.key))
                || branch.ends_with("/batch")
        });
        let typed = w.audit.skips.contains(&a.key);
        held(said || typed, || format!("nobody said so of {}", a.key))?;
    }
    Ok(())
}

/// "The last pull request is open: the run is complete", after the final checklist.
pub fn end_is_earned(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let Some(end) = after
        .state
        .end
        .as_ref()
        .filter(|_| before.state.end.is_none())
    else {
        return Ok(());
    };
    let state = &after.state;
    if end.aborted {
        let said = commanded(w, "/pertask abort", |_| true);
        return held(said || w.audit.abort_asked, || "nobody ended it".to_owned());
    }
    let open: Vec<&str> = state
        .items
        .iter()
        .filter(|i| !i.is_settled())
        .map(|i| i.key.as_str())
        .collect();
    held(open.is_empty(), || format!("{open:?} are open"))?;
    held(
        !state.gate.is_empty() && state.gate.iter().all(|g| g.holds),
        || "the gate does not hold".to_owned(),
    )?;
    let tree = w.git.tree(&w.git.tree_of(&state.run_branch.head));
    let bad = super::content::broken(&tree, &w.setup.plan);
    held(bad.is_empty() || after.plan.build.is_empty(), || {
        format!("{bad:?} do not build")
    })
}

/// A run that was ended by a person: nobody works in it any more.
pub fn nothing_after_end(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    if !before.state.end.as_ref().is_some_and(|e| e.aborted) {
        return Ok(());
    }
    for (a, b) in pairs(&before.state, &after.state) {
        held(a.phase == b.phase && a.attempts == b.attempts, || {
            format!("{} went on", a.key)
        })?;
    }
    Ok(())
}

/// Whether what somebody commanded was told to them: looked at when all is over.
pub fn everybody_is_answered(w: &World, state: &State) -> Held {
    let pulls = state.items.iter().flat_map(|i| &i.pull).chain(&state.pull);
    for pull in pulls {
        let Some(there) = w.hub.pull(pull.number) else {
            continue;
        };
        let reopened = w.audit.reopened.contains(&pull.number);
        if !matches!(there.standing, PullStanding::Open) || reopened {
            continue;
        }
        for heard in pull.heard.iter().filter(|h| !h.answered) {
            let said = there.said.iter().find(|s| s.id == heard.id);
            let marked = said.is_none_or(|s| {
                !s.marks.is_empty()
                    || !matches!(&s.kind, Kind::Comment { text } if is_command(text))
            });
            held(marked, || {
                format!("{} was heard, and nobody told so", heard.id)
            })?;
        }
    }
    Ok(())
}

pub fn is_command(text: &str) -> bool {
    git_pertask::forge::words::read(text).is_some()
}

/// "A skipped task … its pull request is closed; `abort` closes all."
pub fn what_is_over_is_closed(w: &World, state: &State) -> Held {
    let aborted = state.end.as_ref().is_some_and(|e| e.aborted);
    for pull in &w.hub.pulls {
        // Who opens one again wants it open.
        if pull.standing != PullStanding::Open || w.audit.reopened.contains(&pull.number) {
            continue;
        }
        // Of two that came of a race only one is known.
        if w.audit.twins.contains(&pull.number) {
            continue;
        }
        let main = pull.branch == state.run_branch.name;
        let item = state
            .items
            .iter()
            .find(|i| pull.branch == format!("pertask/{}/{}", state.run, i.branch_leaf()));
        let skipped = item.is_some_and(|i| matches!(i.phase, Phase::Skipped { .. }));
        held(!aborted && (main || !skipped), || {
            format!("#{} from {} is open", pull.number, pull.branch)
        })?;
    }
    Ok(())
}
