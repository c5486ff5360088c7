//! What a campaign must meet: a kind of trouble that never happens in it was never tried.

use super::setup::{Deed, Mood};
use super::world::Fault;

pub const fn of_fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Before => "fault: a push or fetch that never arrives",
        Fault::After => "fault: a push whose answer is lost",
        Fault::NotSent => "fault: a request that never leaves",
        Fault::Fails => "fault: 5xx, nothing done",
        Fault::FailsAfter => "fault: 5xx, done",
        Fault::NoAnswer => "fault: no answer in time, done",
        Fault::Secondary => "fault: 403 with retry-after",
        Fault::SecondaryUnsaid => "fault: 403 without retry-after",
        Fault::TooMany => "fault: 429",
        Fault::Spent => "fault: 403, nothing remaining",
        Fault::Stale => "fault: what is read is old",
        Fault::Held => "fault: a merge that is not wanted now",
        Fault::Refuse => "fault: a push that is refused",
        Fault::Kill => "fault: a process killed",
        Fault::Reboot => "fault: a machine started anew",
        Fault::Interrupt => "fault: a process interrupted",
        Fault::LostJob => "fault: a job's machine lost",
        Fault::Clock => "fault: a clock that jumps",
        Fault::Drop => "fault: an event dropped",
        Fault::Double => "fault: an event that comes three times",
        Fault::Again => "fault: a workflow run again",
        Fault::Flake => "fault: a build that fails by itself",
    }
}

pub const fn of_deed(deed: Deed) -> &'static str {
    match deed {
        Deed::Approve => "people: approve",
        Deed::Revise => "people: ask for changes",
        Deed::Retry => "people: want it tried again",
        Deed::Skip => "people: leave out",
        Deed::Abort => "people: end the run",
        Deed::Note => "people: note a finding",
        Deed::Chat => "people: write something else",
        Deed::Dismiss => "people: dismiss a review",
        Deed::Alter => "people: change a comment of somebody else",
        Deed::Commit => "people: commit on a task branch",
        Deed::CommitRun => "people: commit on the run branch",
        Deed::MergeByHand => "people: merge by hand",
        Deed::PushMerge => "people: push a merge into the run branch",
        Deed::Close => "people: close",
        Deed::Reopen => "people: open again",
        Deed::Retarget => "people: send to another branch",
        Deed::DeleteBranch => "people: delete a branch",
        Deed::Rewrite => "people: rewrite a branch",
        Deed::Permission => "people: gain or lose permission",
        Deed::Base => "people: commit on the base",
        Deed::Last => "people: decide at the end",
        Deed::Update => "people: merge the run branch into a task branch",
        Deed::Amend => "people: amend the plan",
        Deed::Draft => "people: make it a draft, or ready",
    }
}

pub const fn of_mood(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "agent: does it",
        Mood::Unsure => "agent: wants a review",
        Mood::Breaks => "agent: breaks the build",
        Mood::Trap => "agent: breaks what comes later",
        Mood::Lazy => "agent: writes nothing",
        Mood::Rude => "agent: breaks a rule",
        Mood::Blocked => "agent: is blocked",
        Mood::Asks => "agent: asks",
        Mood::Spent => "agent: is at its limit",
        Mood::Dead => "agent: fails for good",
    }
}

/// What must have been met, beside every fault, deed and mood.
const OTHERS: &[&str] = &[
    "decide: repair",
    "decide: adopt run",
    "decide: build base",
    "decide: publish",
    "decide: free",
    "decide: adopt",
    "decide: merge",
    "decide: forward",
    "decide: start",
    "decide: judge",
    "decide: validate",
    "decide: report",
    "decide: gate",
    "decide: show",
    "decide: hear",
    "decide: answer",
    "decide: approve",
    "decide: withdraw",
    "decide: take merged",
    "decide: take closed",
    "decide: close",
    "decide: merge base",
    "P0 validation",
    "round two",
    "batch",
    "local forge",
    "GitHub, people's machines",
    "GitHub, jobs",
    "several processes at once",
    "a lost race",
    "a claim freed by its deadline",
    "an approval that carries over",
    "a review moved to another commit",
    "a merge by policy",
    "a merge queue",
    "a limit of money or time",
    "money set aside for what is under way",
    "an event that comes before an earlier one",
    "a pull request that exists already",
    "a pull request from a branch that is gone",
    "a limit too long to wait for",
    "a wait for a limit that is interrupted",
    "a request kept back within a limit",
    "a run that ends complete",
    "a run that is ended",
];

/// Everything that a campaign must meet.
pub fn all() -> Vec<&'static str> {
    use Fault::{
        After, Again, Before, Clock, Double, Drop, Fails, FailsAfter, Flake, Held, Interrupt, Kill,
        LostJob, NoAnswer, NotSent, Reboot, Refuse, Secondary, SecondaryUnsaid, Spent, Stale,
        TooMany,
    };
    let faults = [
        After,
        Again,
        Before,
        Clock,
        Double,
        Drop,
        Fails,
        FailsAfter,
        Flake,
        Held,
        Interrupt,
        Kill,
        LostJob,
        NoAnswer,
        NotSent,
        Reboot,
        Refuse,
        Secondary,
        SecondaryUnsaid,
        Spent,
        Stale,
        TooMany,
    ];
    let deeds = super::setup::DEEDS.iter().map(|(_, deed)| of_deed(*deed));
    let moods = super::setup::MOODS.iter().map(|mood| of_mood(*mood));
    let mut found: Vec<&'static str> = faults.into_iter().map(of_fault).collect();
    found.extend(deeds);
    found.extend([Mood::Good].map(of_mood).into_iter().chain(moods));
    found.extend(OTHERS);
    found
}
