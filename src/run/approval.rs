//! Whether a task may be merged: the rule of approval, as a pure function.
//!
//! A task may be merged only as the commit that *we* recorded, when enough people who may write to
//! the repository have approved that very commit as their newest decision, and nobody who may write
//! still asks for changes. What the forge says of a review is not taken as it stands: GitHub moves an
//! approval to another commit when a branch is rewritten with the same difference, so an approval
//! that is older than our commit's first appearance is not one of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::seen::{Account, Command, SeenPull, Voice, VoiceKind};
use super::state::{Decision, Item};
use crate::plant;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many people must approve; at least one.
    pub approvals: u32,
    /// Whether the pull request's author may decide by comment.
    pub author_may_approve: bool,
}

/// What approval is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The commit we recorded.
    pub head: &'a str,
    /// When it was first seen on the pull request, by the forge's clock.
    pub since: Option<Timestamp>,
    /// Earlier commits whose approval holds for it, because it only brings the run branch in.
    pub carries: &'a [Carried],
    /// Ids of what was said in answer to an agent's question: no request for changes.
    pub answers: &'a [&'a str],
}

/// An earlier head whose approval holds for the present one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Carried {
    /// The commit.
    pub commit: String,
    /// When it was first seen on the pull request, by the forge's clock.
    pub since: Option<Timestamp>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be merged.
    Approved {
        /// By whom.
        by: Vec<Account>,
    },
    /// It may not yet.
    Open {
        /// What is missing, and what was said that does not count, one sentence each.
        why: Vec<String>,
    },
}

/// Whether what was said about the pull request is enough.
#[must_use]
pub fn verdict(pull: &SeenPull, asked: &Asked<'_>, policy: Policy) -> Verdict {
    let mut why = Vec::new();
    let newest = last_words(opinions(pull, asked.answers).filter(|voice| {
        match may_decide(pull, voice, policy) {
            Ok(()) => true,
            Err(reason) => {
                why.extend(reason);
                false
            }
        }
    }));
    let mut by = Vec::new();
    let mut stands = Vec::new();
    for voice in newest.values() {
        match opinion(voice) {
            Opinion::Approves(commit) => match approves(commit, voice.at, asked) {
                Ok(()) => by.push(voice.by.clone()),
                Err(reason) => why.push(format!("the approval of {} {reason}", voice.by.login)),
            },
            Opinion::Refuses => stands.push(format!(
                "{} asked for changes and has not approved since",
                voice.by.login
            )),
            Opinion::None if plant::is("dismissed-approval-counts") => by.push(voice.by.clone()),
            Opinion::None => why.push(format!("the review of {} was dismissed", voice.by.login)),
        }
    }
    if plant::is("requests-are-ignored") {
        stands.clear();
    }
    if pull.head != asked.head {
        why.push(format!(
            "the pull request is at {}, not at {}, which was checked",
            short(&pull.head),
            short(asked.head)
        ));
        return Verdict::Open { why };
    }
    let needed = policy.approvals.max(1) as usize;
    if stands.is_empty() && by.len() >= needed {
        return Verdict::Approved { by };
    }
    if !by.is_empty() && by.len() < needed {
        why.push(format!("{} of {needed} approvals are there", by.len()));
    }
    why.extend(stands);
    Verdict::Open { why }
}

/// People whose request for changes still stands, for asking them again.
#[must_use]
pub fn outstanding<'p>(pull: &'p SeenPull, answers: &[&str], policy: Policy) -> Vec<&'p Account> {
    let may = |v: &&Voice| may_decide(pull, v, policy).is_ok();
    last_words(opinions(pull, answers).filter(may))
        .into_values()
        .filter(|v| matches!(opinion(v), Opinion::Refuses))
        .map(|v| &v.by)
        .collect()
}

/// Whether what somebody asks for still stands: they may decide, and have not changed their mind.
#[must_use]
pub fn stands(pull: &SeenPull, voice: &Voice, policy: Policy) -> bool {
    may_decide(pull, voice, policy).is_ok()
        && outstanding(pull, &[], policy)
            .iter()
            .any(|who| who.id == voice.by.id)
}

/// An approval that was taken, and does not hold for what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed<'p> {
    /// Whose.
    pub by: &'p Account,
    /// The commit that was approved.
    pub commit: &'p str,
    /// It would have carried over, but the forge dismissed it.
    pub dismissed: bool,
}

/// People whose approval was taken before our own commits made another necessary, and who have said
/// nothing since: they are asked again.
#[must_use]
pub fn lapsed<'p>(item: &'p Item, pull: &'p SeenPull, policy: Policy) -> Vec<Lapsed<'p>> {
    let newest = item.reviews.iter().rev().find(|r| r.round == item.round);
    let head = item.branch.as_ref().map(|b| &b.head);
    let Some(taken) = newest.filter(|r| r.decision == Decision::Approve && Some(&r.commit) != head)
    else {
        return Vec::new();
    };
    let carried = |commit: &str| item.carries.iter().any(|c| c.commit == commit);
    let may = |v: &&Voice| may_decide(pull, v, policy).is_ok();
    last_words(opinions(pull, &[]).filter(may))
        .into_values()
        .filter(|v| v.at <= taken.at)
        .filter_map(|voice| {
            let dismissed = match opinion(voice) {
                Opinion::Approves(commit) if commit == taken.commit && !carried(commit) => false,
                Opinion::None => carried(&taken.commit),
                _ => return None,
            };
            Some(Lapsed {
                by: &voice.by,
                commit: &taken.commit,
                dismissed,
            })
        })
        .collect()
}

/// Whether this person may decide about this pull request in this way. `Err(None)`: no, and nobody
/// need be told.
///
/// # Errors
/// Why not, as a sentence.
pub fn may_decide(pull: &SeenPull, voice: &Voice, policy: Policy) -> Result<(), Option<String>> {
    let login = &voice.by.login;
    if voice.by.bot && plant::is("bot-decides") {
        return Ok(());
    }
    if voice.by.bot || voice.by.id == 0 {
        return Err(None);
    }
    if !voice.permitted && !plant::is("stranger-decides") {
        return Err(Some(format!(
            "what {login} said does not count: they may not write to this repository"
        )));
    }
    let is_command = matches!(voice.kind, VoiceKind::Command(_));
    let author = voice.by.id == pull.author.id && !plant::is("author-decides");
    if author && !(is_command && policy.author_may_approve) {
        return Err(is_command.then(|| {
            format!(
                "what {login} said does not count: they opened the pull request, and `author_may_approve` is not set on the base"
            )
        }));
    }
    if is_command && voice.altered && !plant::is("altered-comment-counts") {
        return Err(Some(format!(
            "a comment of {login} does not count: somebody else has changed it"
        )));
    }
    Ok(())
}

/// What each of them said last. Of a review and a comment of the same second nobody can tell which was
/// first: then the approval is not taken for the last word.
fn last_words<'p>(voices: impl Iterator<Item = &'p Voice>) -> BTreeMap<u64, &'p Voice> {
    let approves = |v: &Voice| matches!(opinion(v), Opinion::Approves(_));
    // The last review and the last comment of each: among its like it is known which was first.
    let mut last: BTreeMap<u64, [Option<&'p Voice>; 2]> = BTreeMap::new();
    for voice in voices {
        let of = usize::from(matches!(voice.kind, VoiceKind::Command(_)));
        last.entry(voice.by.id).or_default()[of] = Some(voice);
    }
    let of_both = |both: [Option<&'p Voice>; 2]| match both {
        [Some(review), Some(comment)] => Some(match review.at.cmp(&comment.at) {
            Ordering::Less => comment,
            Ordering::Equal if approves(review) != plant::is("approval-wins-a-tie") => comment,
            Ordering::Equal | Ordering::Greater => review,
        }),
        [one, other] => one.or(other),
    };
    let last = last.into_iter();
    last.filter_map(|(who, both)| Some((who, of_both(both)?)))
        .collect()
}

enum Opinion<'v> {
    Approves(&'v str),
    Refuses,
    None,
}

fn opinion(voice: &Voice) -> Opinion<'_> {
    match &voice.kind {
        VoiceKind::Approval { commit } | VoiceKind::Command(Command::Approve { commit }) => {
            Opinion::Approves(commit)
        }
        VoiceKind::ChangesRequested { .. } | VoiceKind::Command(Command::Revise { .. }) => {
            Opinion::Refuses
        }
        _ => Opinion::None,
    }
}

/// What was said that is a decision about the content, oldest first.
fn opinions<'p>(pull: &'p SeenPull, answers: &[&str]) -> impl Iterator<Item = &'p Voice> {
    let voices = pull.voices.iter();
    voices.filter(|v| is_opinion(&v.kind) && !answers.contains(&v.id.as_str()))
}

fn is_opinion(kind: &VoiceKind) -> bool {
    !matches!(
        kind,
        VoiceKind::Command(
            Command::Retry { .. }
                | Command::Skip { .. }
                | Command::Abort
                | Command::Status
                | Command::Misread { .. }
        )
    )
}

/// Whether an approval of `commit` given `at` is one of what is asked about.
fn approves(commit: &str, at: Timestamp, asked: &Asked<'_>) -> Result<(), String> {
    let heads = std::iter::once((asked.head, asked.since))
        .chain(asked.carries.iter().map(|c| (c.commit.as_str(), c.since)));
    for (head, since) in heads {
        if commit != head && !plant::is("stale-approval-counts") {
            continue;
        }
        // Given before that commit was there: it was given for another, and moved.
        return match since {
            Some(since) if at < since && !plant::is("moved-approval-counts") => Err(format!(
                "was given before {} was there, for another commit",
                short(head)
            )),
            _ => Ok(()),
        };
    }
    Err(if commit.is_empty() {
        "names no commit that still exists".to_owned()
    } else {
        format!("is for {}, not for {}", short(commit), short(asked.head))
    })
}

fn short(commit: &str) -> &str {
    super::transition::short(commit)
}

#[cfg(test)]
mod tests;
