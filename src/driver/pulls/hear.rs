//! What people said on pull requests is acted on, once.

use anyhow::Context as _;
use jiff::Timestamp;

use super::super::{Audience, Driver};
use crate::forge::Asked;
use crate::ledger::Snapshot;
use crate::run::approval::{self, Policy};
use crate::run::seen::{Command, SeenPull, Voice, VoiceKind};
use crate::run::state::{Decision, Phase, Review, Source, State, ThreadRef};
use crate::run::transition::{self, Hearing, NotPossible};
use crate::run::{LAST, P0};

impl Driver<'_> {
    pub(super) fn hear(
        &mut self,
        snapshot: &Snapshot,
        key: &str,
        voice: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let voice = pull.voices.iter().find(|v| v.id == voice).cloned();
        let voice = voice.context("what was said is gone")?;
        let said = Said {
            key,
            pull: &pull,
            voice: &voice,
            policy: self.policy(),
            now: Timestamp::now(),
        };
        let forge = &mut self.forge;
        let mut asked = |requests: &[Voice]| forge.asked_for(&pull, requests);
        match follow(&snapshot.state, &said, &mut asked)? {
            Some((state, said)) => self.record(snapshot, state, &said, Vec::new(), audience),
            None => Ok(()),
        }
    }

    pub(super) fn answer(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        voice: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let heard = ours.and_then(|p| p.heard.iter().find(|h| h.id == voice));
        let said = pull.voices.iter().find(|v| v.id == voice);
        if let (Some(heard), Some(said)) = (heard, said) {
            let reply = Self::answer_text(said, heard);
            let answered = self.forge.answer(&pull, said, heard.followed, reply);
            // What may pass is tried again; what does not would be tried for ever.
            if let Err(e) = answered {
                if !crate::forge::is_passing(&e) {
                    self.there.answered.insert(voice.to_owned());
                }
                return Err(e);
            }
            // With another token than this one, the answer would not be known for ours.
            let viewer = self.there.seen.as_ref().map(|(s, _)| s.viewer.id);
            if viewer != Some(pull.author.id) {
                self.there.answered.insert(voice.to_owned());
                let what = transition::answered(&mut state, key, voice, &said.by.login)?;
                return self.record(snapshot, state, &what, Vec::new(), audience);
            }
        }
        self.there.answered.insert(voice.to_owned());
        Ok(())
    }
}

/// Something said on a pull request that was not acted on yet.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Key of the item.
    pub key: &'a str,
    /// The pull request as it was seen.
    pub pull: &'a SeenPull,
    /// What was said there.
    pub voice: &'a Voice,
    /// What an approval takes.
    pub policy: Policy,
    /// The time.
    pub now: Timestamp,
}

/// What follows from something said: the state in which it was acted on, and that in words. `None`
/// when it is nothing to act on. `read` reads what reviewers ask for.
///
/// # Errors
/// Those of `read`; [`NotPossible`] when the item has no pull request.
pub fn follow(
    before: &State,
    said: &Said<'_>,
    read: &mut dyn FnMut(&[Voice]) -> anyhow::Result<Asked>,
) -> anyhow::Result<Option<(State, String)>> {
    let Said {
        key,
        pull,
        voice,
        policy,
        now,
    } = *said;
    let mut state = before.clone();
    let by = voice.by.login.clone();
    let mut hearing = Hearing {
        ids: vec![voice.id.clone()],
        reply: None,
        followed: true,
        answer: false,
    };
    let outcome = match &voice.kind {
        VoiceKind::Command(_) if approval::may_decide(pull, voice, policy).is_err() => {
            let why = approval::may_decide(pull, voice, policy).err().flatten();
            hearing.followed = false;
            hearing.reply = why;
            Ok(format!("A comment of {by} does not count"))
        }
        VoiceKind::Command(Command::Revise { .. }) if !approval::stands(pull, voice, policy) => {
            hearing.followed = false;
            hearing.reply = Some(format!("{by} has approved since"));
            Ok(format!("A request of {by} does not stand any more"))
        }
        // The open threads belong to a comment, too: who opened the pull request can leave no
        // review that asks for changes, and others may remark first and ask afterwards.
        VoiceKind::ChangesRequested { .. } | VoiceKind::Command(Command::Revise { .. }) => {
            let requests = unheard_requests(&state, key, pull, policy);
            hearing.ids = requests.iter().map(|v| v.id.clone()).collect();
            hearing.answer = asks(&state, key);
            let asked = read(&requests)?;
            let mut review = review(voice, &hearing.ids, asked.text, asked.threads);
            review.by.name = names(&requests);
            if review.commit.is_empty() && !hearing.answer {
                review.commit.clone_from(&pull.head);
            }
            take_review(&mut state, key, review)
        }
        VoiceKind::Command(command) => obey(&mut state, key, voice, command, &mut hearing, now),
        VoiceKind::Approval { .. } | VoiceKind::Dismissed => return Ok(None),
    };
    let said = match outcome {
        Ok(said) => said,
        Err(NotPossible(why)) => {
            state.clone_from(before);
            hearing.followed = false;
            hearing.reply = Some(why);
            format!("A comment of {by} cannot be followed")
        }
    };
    transition::heard(&mut state, key, &hearing)?;
    Ok(Some((state, said)))
}

/// Every request for changes that was not acted on yet: one revision for all.
fn unheard_requests(state: &State, key: &str, pull: &SeenPull, policy: Policy) -> Vec<Voice> {
    let ours = if key == LAST {
        state.pull.as_ref()
    } else {
        state.item(key).and_then(|i| i.pull.as_ref())
    };
    let heard = |id: &str| ours.is_some_and(|p| p.heard.iter().any(|h| h.id == id));
    let request = |voice: &Voice| {
        let text = match &voice.kind {
            VoiceKind::ChangesRequested { .. } => voice.text.clone(),
            VoiceKind::Command(Command::Revise { text }) => text.clone(),
            _ => return None,
        };
        Some(Voice {
            text,
            ..voice.clone()
        })
    };
    pull.voices
        .iter()
        .filter(|v| !heard(&v.id) && approval::stands(pull, v, policy))
        .filter_map(request)
        .collect()
}

fn obey(
    state: &mut State,
    key: &str,
    voice: &Voice,
    command: &Command,
    hearing: &mut Hearing,
    now: Timestamp,
) -> Result<String, NotPossible> {
    let login = &voice.by.login;
    let by = transition::person(voice.by.id, login);
    let task = |what: &str| {
        if key == LAST {
            Err(NotPossible(format!(
                "this pull request takes the whole run into its base; {what} is for the pull requests of its tasks"
            )))
        } else {
            Ok(())
        }
    };
    match command {
        Command::Approve { commit } => {
            task("approving with a comment")?;
            let item = state.item(key);
            let head = item.and_then(|i| i.branch.as_ref()).map(|b| b.head.clone());
            let head = head.unwrap_or_default();
            let carried = item.is_some_and(|i| i.carries.iter().any(|c| c.commit == *commit));
            if !item.is_some_and(|i| i.phase == Phase::Review) {
                Err(NotPossible(
                    "there is nothing here to approve now: it does not wait for a review"
                        .to_owned(),
                ))
            } else if *commit != head && !carried {
                Err(NotPossible(format!(
                    "the commit to approve is `{head}`; look at it, then write `/pertask approve {head}`"
                )))
            } else {
                Ok(format!("{login} approves {}", transition::short(commit)))
            }
        }
        // With the threads, see `follow`.
        Command::Revise { .. } => Err(NotPossible("nothing was read of it".to_owned())),
        Command::Retry { fresh } => {
            task("trying again")?;
            transition::retried(state, key, *fresh, &by)
        }
        Command::Skip { why } => {
            task("leaving out")?;
            if key == P0 {
                transition::excepted(state, why, &by, voice.at)
            } else {
                transition::skipped(state, key, why, &by)
            }
        }
        Command::Abort => transition::aborted(state, &by, now),
        Command::Status => {
            hearing.reply = Some(Driver::status_text(state, now));
            Ok(format!("{login} asks how it stands"))
        }
        Command::Misread { hint } => {
            let waits = state.item(key).filter(|i| i.phase == Phase::Review);
            let head = waits
                .and_then(|i| i.branch.as_ref())
                .map(|b| b.head.as_str());
            let help = match crate::forge::words::read(&voice.text) {
                Some(Err(misread)) => misread.help(head),
                _ => hint.clone(),
            };
            hearing.followed = false;
            hearing.reply = Some(help);
            Ok(format!("A comment of {login} cannot be read as a command"))
        }
    }
}

fn review(voice: &Voice, ids: &[String], text: String, threads: Vec<ThreadRef>) -> Review {
    let commit = match &voice.kind {
        VoiceKind::ChangesRequested { commit } => commit.clone(),
        _ => String::new(),
    };
    Review {
        decision: Decision::Revise,
        by: transition::person(voice.by.id, &voice.by.login),
        at: voice.at,
        commit,
        text,
        round: 0,
        source: Some(Source {
            ids: ids.to_vec(),
            url: voice.url.clone(),
            login: voice.by.login.clone(),
            threads,
        }),
    }
}

fn take_review(state: &mut State, key: &str, review: Review) -> Result<String, NotPossible> {
    if key == LAST {
        Ok(transition::repair_opened(state, review))
    } else {
        transition::reviewed(state, key, review)
    }
}

/// Whether an item's agent asked something.
fn asks(state: &State, key: &str) -> bool {
    state.item(key).is_some_and(|i| {
        matches!(
            i.phase,
            Phase::Blocked {
                question: Some(_),
                ..
            }
        )
    })
}

/// `olive and mallory`: who said something, each once.
fn names(voices: &[Voice]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for voice in voices {
        if !names.contains(&voice.by.login.as_str()) {
            names.push(&voice.by.login);
        }
    }
    names.join(" and ")
}
