//! What the driver of the simulation does about what people said and did on pull requests:
//! `pulls/hear.rs` and `pulls/taken.rs`.

use git_pertask::driver::pulls::hear::{Said, follow};
use git_pertask::driver::pulls::taken::{closed as closed_there, merged_because};
use git_pertask::forge::Asked;
use git_pertask::run::LAST;
use git_pertask::run::decide::BaseHeld;
use git_pertask::run::seen::{OwnComment, PullStanding, Voice, VoiceKind};
use git_pertask::run::state::{Item, Merged, State};
use git_pertask::run::transition;

use super::driver::Driver;
use super::store::{Snapshot, Step};
use super::world::{Fail, person};

impl Driver {
    /// `Driver::hear`
    pub async fn hear(&mut self, snapshot: &Snapshot, key: &str, voice: &str) -> Result<(), Fail> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let voice = pull.voices.iter().find(|v| v.id == voice).cloned();
        let voice = voice.ok_or_else(|| Fail::Error("what was said is gone".to_owned()))?;
        let said = Said {
            key,
            pull: &pull,
            voice: &voice,
            policy: self.policy(),
            now: self.now(),
        };
        if matches!(voice.kind, VoiceKind::ChangesRequested { .. }) {
            // The threads are read.
            self.sim
                .call("the threads", self.machine, false, |_, _| Ok(()))
                .await?;
        }
        let mut read = |requests: &[Voice]| {
            let text: Vec<String> = requests
                .iter()
                .map(|v| format!("{}: {}", v.by.login, v.text))
                .collect();
            Ok(Asked {
                text: text.join("\n"),
                threads: Vec::new(),
            })
        };
        let followed = follow(snapshot.state(), &said, &mut read);
        let followed = followed.map_err(|e| match e.downcast::<transition::NotPossible>() {
            Ok(not) => Fail::Not(not.0),
            Err(e) => Fail::Error(format!("{e:#}")),
        })?;
        match followed {
            Some((state, said)) => {
                let step = Step::of(said);
                self.record(snapshot, state, step).await
            }
            None => Ok(()),
        }
    }

    /// `Driver::answer`, and `github::talk::answer`: a reply where there is something to say, then a
    /// mark.
    pub async fn answer(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        voice: &str,
    ) -> Result<(), Fail> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let heard = ours
            .and_then(|p| p.heard.iter().find(|h| h.id == voice))
            .cloned();
        let said = pull.voices.iter().find(|v| v.id == voice).cloned();
        if let (Some(heard), Some(said)) = (heard, said) {
            if let Some(reply) = &heard.reply {
                let marker = format!("<!-- pertask:answer {} -->", said.number);
                if !pull.ours.contains_key(&marker) {
                    let number = self.sim.w().new_id();
                    let body = reply.clone();
                    let answered =
                        self.sim
                            .edit("an answer", self.machine, pull.number, |p, us| {
                                p.ours.push((us, marker, OwnComment { number, body }));
                            });
                    answered.await?;
                }
            }
            let id = said.id.clone();
            let marked = self.sim.edit("a mark", self.machine, pull.number, |p, us| {
                if let Some(said) = p.said.iter_mut().find(|s| s.id == id) {
                    said.marks.insert(us);
                }
            });
            marked.await?;
            let viewer = self.there.seen.as_ref().map(|(s, _)| s.viewer.id);
            if viewer != Some(pull.author.id) {
                self.there.answered.insert(voice.to_owned());
                let what = transition::answered(&mut state, key, voice, &said.by.login)?;
                return self.record(snapshot, state, Step::of(what)).await;
            }
        }
        self.there.answered.insert(voice.to_owned());
        Ok(())
    }

    /// `Driver::take_merged`
    pub async fn take_merged(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let pull = self.pull(key).cloned();
        let pull = pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
        let PullStanding::Merged {
            commit,
            by,
            permitted,
            at,
        } = &pull.standing
        else {
            return Ok(());
        };
        let viewer = self.there.seen.as_ref().map(|(s, _)| s.viewer.id);
        let viewer = viewer.unwrap_or_default();
        let because = merged_because(&state, key, &pull.head, (by, *permitted), viewer);
        let merged = Merged {
            commit: commit.clone(),
            head: pull.head.clone(),
            at: *at,
            because,
            by_hand: false,
        };
        if key == LAST {
            let said = transition::last_merged(&mut state, merged);
            return self.record(snapshot, state, Step::of(said)).await;
        }
        self.sim.refresh(self.machine).await?;
        let (there, known) = {
            let w = self.sim.w();
            let there = w.branch(self.machine, &state.run_branch.name);
            let known = w.git.knows(commit) && w.git.is_in(&state.run_branch.head, commit);
            (there, known)
        };
        let there = there.ok_or_else(|| Fail::Error("the run branch is gone".to_owned()))?;
        let head = if known { commit.clone() } else { there };
        let merged = Merged {
            commit: head.clone(),
            ..merged
        };
        let mut said = transition::taken(&mut state, key, merged, &head)?;
        said.push_str(&self.taken_along(&mut state, &head));
        said.push_str(&self.judged(&mut state));
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::inside`
    pub fn inside(&self, state: &State, commit: &str) -> Vec<String> {
        let w = self.sim.w();
        let inside = |i: &&Item| {
            let branch = i.branch.as_ref();
            branch.is_some_and(|b| w.git.is_in(&b.head, commit))
        };
        let open = state.items.iter().filter(|i| !i.is_settled());
        open.filter(inside).map(|i| i.key.clone()).collect()
    }

    /// `Driver::taken_along`
    pub fn taken_along(&self, state: &mut State, head: &str) -> String {
        let others = self.inside(state, head);
        if others.is_empty() {
            return String::new();
        }
        let by = person(&self.sim.w().git.get(head).by);
        let said = transition::run_adopted(state, head, &others, &by, self.now());
        format!("; {said}")
    }

    /// `Driver::close`
    pub async fn close(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let pull = self.pull(key).cloned();
        let pull = pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
        let edit = self.sim.edit("closing", self.machine, pull.number, |p, _| {
            if p.standing == PullStanding::Open {
                p.standing = PullStanding::Closed;
            }
        });
        edit.await?;
        if let Some((seen, _)) = &mut self.there.seen {
            seen.pulls.remove(key);
            if key == LAST {
                seen.last = None;
            }
        }
        let at = self.seen_at();
        let said = closed_there(&mut state, key, &pull, true, at)?;
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::merge_base`
    pub async fn merge_base(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        base: &str,
    ) -> Result<(), Fail> {
        let head = state.run_branch.head.clone();
        let now = self.now();
        let commit = {
            let mut w = self.sim.w();
            let (tree, conflicts) = w.git.merge(&head, base);
            if !conflicts.is_empty() {
                let why = BaseHeld::Conflicts { files: conflicts };
                self.there.base_held = Some((base.to_owned(), why));
                return Ok(());
            }
            w.git.commit(&tree, &[head, base.to_owned()], &self.by, now)
        };
        let mut said = transition::base_merged(&mut state, &commit, base);
        said.push_str(&self.judged(&mut state));
        match self.record(snapshot, state, Step::of(said)).await {
            Err(Fail::Refused(why)) => {
                self.there.base_held = Some((base.to_owned(), BaseHeld::Refused { why }));
                Ok(())
            }
            other => other,
        }
    }
}
