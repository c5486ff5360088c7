//! What the pull requests of a run should show, and what reviewers are told of a revision.

use std::collections::BTreeMap;

use super::{Audience, Driver, last_request, unreplied};
use crate::forge::{LineNote, Notes, Page, Reply};
use crate::ledger::Snapshot;
use crate::publish;
use crate::report::pull::{self, Answer, Links, Near, PullRef, Sheet, ThreadReply};
use crate::run::LAST;
use crate::run::approval;
use crate::run::decide::{Facts, decide};
use crate::run::order::AttemptResult;
use crate::run::seen::{Seen, SeenPull, Voice};
use crate::run::state::{Heard, Item, Phase, Pull, State};

impl Driver<'_> {
    fn links(&self) -> Links {
        Links::new(&self.forge.web().unwrap_or_default())
    }

    /// Every page that should be shown now, by key of the item.
    pub(super) fn pages(
        &self,
        snapshot: &Snapshot,
        seen: &Seen,
    ) -> anyhow::Result<Vec<(String, Page)>> {
        let state = &snapshot.state;
        let mut found = Vec::new();
        let (links, pulls) = (self.links(), known(state));
        if state.end.is_none() {
            for item in &state.items {
                let there = seen.pulls.get(&item.key);
                let wanted = match &item.phase {
                    Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. } => true,
                    // Being merged is no reason to write anything, unless it was never shown.
                    Phase::Approved { .. } => {
                        item.branch.as_ref().map(|b| &b.head) != item.pull.as_ref().map(|p| &p.head)
                    }
                    Phase::Pending | Phase::Running { .. } => there.is_some(),
                    Phase::Merged | Phase::Skipped { .. } => false,
                };
                if wanted {
                    let page =
                        self.page(snapshot, item, there, &links, &pulls, &seen.viewer.login)?;
                    found.push((item.key.clone(), page));
                }
            }
        }
        let complete = state.end.as_ref().is_some_and(|e| !e.aborted);
        if complete || state.gate_of.as_ref() == Some(&state.run_branch.head) {
            let there = seen.last.as_ref();
            let body = match there {
                Some(p) => {
                    pull::last_fitted(state, &self.plan, &state.gate, &links, &pulls, &p.body)
                        .unwrap_or_else(|| p.body.clone())
                }
                None => pull::last_body(state, &self.plan, &state.gate, &links, &pulls),
            };
            let mut reviewers = self.reviewers(state, state.pull.is_some(), &seen.viewer.login);
            if let Some(there) = there {
                reviewers.extend(self.to_ask_again(state.pull.as_ref(), there));
            }
            let page = Page {
                branch: state.run_branch.name.clone(),
                head: state.run_branch.head.clone(),
                base: self.base_branch.clone(),
                title: there.map_or_else(|| pull::last_title(state), |p| p.title.clone()),
                body,
                labels: vec!["pertask".to_owned()],
                reviewers,
                ..Page::default()
            };
            found.push((LAST.to_owned(), page));
        }
        Ok(found)
    }

    fn page(
        &self,
        snapshot: &Snapshot,
        item: &Item,
        there: Option<&SeenPull>,
        links: &Links,
        pulls: &BTreeMap<String, PullRef>,
        viewer: &str,
    ) -> anyhow::Result<Page> {
        let state = &snapshot.state;
        // Its own number is known only once it is open: it is not worth a change of the body.
        let mut pulls = pulls.clone();
        pulls.remove(&item.branch_leaf());
        let pulls = &pulls;
        let result = self.result(snapshot, item)?;
        let kept_patch = self.kept_patch(state, item)?;
        let sheet = Sheet {
            state,
            item,
            plan: &self.plan,
            result: result.as_ref(),
            pulls,
            links,
            kept_patch: kept_patch.as_deref(),
            author_may_approve: self.config.github.author_may_approve,
            approvals: self.config.github.approvals,
        };
        let leaf = item.branch_leaf();
        let page = Page {
            branch: format!("pertask/{}/{leaf}", state.run),
            head: item
                .branch
                .as_ref()
                .map(|b| b.head.clone())
                .unwrap_or_default(),
            base: state.run_branch.name.clone(),
            progress: Some((pull::progress_marker(state, &leaf), pull::progress(&sheet))),
            ..Page::default()
        };
        if let (Phase::Pending | Phase::Running { .. }, Some(there)) = (&item.phase, there) {
            // Under way: nothing but where it stands.
            return Ok(Page {
                title: there.title.clone(),
                body: there.body.clone(),
                draft: there.draft,
                ..page
            });
        }
        let mut reviewers = self.reviewers(state, item.pull.is_some(), viewer);
        if let (Phase::Review, Some(there)) = (&item.phase, there) {
            reviewers.extend(self.to_ask_again(item.pull.as_ref(), there));
        }
        let mut said = Vec::new();
        if let (Phase::Review, Some(there)) = (&item.phase, there) {
            for lapsed in approval::lapsed(item, there, self.policy()) {
                reviewers.push(lapsed.by.login.clone());
                if lapsed.dismissed {
                    said.push((
                        pull::dismissed_marker(&page.head),
                        pull::dismissed_answer(&lapsed.by.login, lapsed.commit, &page.head, links),
                    ));
                }
            }
        }
        Ok(Page {
            said,
            // A person may word it better; it is ours only when it is opened.
            title: there.map_or_else(|| pull::title(state, item), |p| p.title.clone()),
            body: match there {
                Some(p) => pull::fitted(&sheet, &p.body).unwrap_or_else(|| p.body.clone()),
                None => pull::body(&sheet),
            },
            draft: pull::is_draft(item),
            labels: vec!["pertask".to_owned()],
            reviewers,
            statuses: pull::status(state, item)
                .into_iter()
                .map(|s| {
                    (
                        s.context.to_owned(),
                        s.state.word().to_owned(),
                        s.description,
                    )
                })
                .collect(),
            notes: result.as_ref().map(|r| notes(item, r)),
            ..page
        })
    }

    /// Who is asked first: those of the configuration, else who started the run.
    fn reviewers(&self, state: &State, asked: bool, viewer: &str) -> Vec<String> {
        if asked {
            return Vec::new();
        }
        if !self.config.github.reviewers.is_empty() {
            return self.config.github.reviewers.clone();
        }
        let starter = login_of(&state.started_by.email);
        starter
            .filter(|l| *l != viewer)
            .map(str::to_owned)
            .into_iter()
            .collect()
    }

    /// Those whose request for changes was worked on, and who have not said since whether it will do.
    fn to_ask_again(&self, ours: Option<&Pull>, there: &SeenPull) -> Vec<String> {
        let heard: Vec<&str> = ours
            .iter()
            .flat_map(|p| &p.heard)
            .map(|h: &Heard| h.id.as_str())
            .collect();
        // Who answered a question wants to see what became of it, too.
        let outstanding = approval::outstanding(there, &[], self.policy());
        outstanding
            .into_iter()
            .filter(|who| {
                let newest = there.voices.iter().rev().find(|v| v.by.id == who.id);
                newest.is_some_and(|v| heard.contains(&v.id.as_str()))
            })
            .map(|who| who.login.clone())
            .collect()
    }

    /// The result of the work that is shown.
    fn result(&self, snapshot: &Snapshot, item: &Item) -> anyhow::Result<Option<AttemptResult>> {
        match item.latest_work() {
            Some(attempt) => self.result_of(snapshot, item, attempt.number),
            None => Ok(None),
        }
    }

    fn result_of(
        &self,
        snapshot: &Snapshot,
        item: &Item,
        number: u32,
    ) -> anyhow::Result<Option<AttemptResult>> {
        let path = format!("{}/result.json", publish::attempt_dir(item, number));
        let bytes = self.ledger.file(&snapshot.commit, &path)?;
        Ok(bytes.and_then(|b| serde_json::from_slice(&b).ok()))
    }

    /// What the kept work of a stopped item changes.
    fn kept_patch(&self, state: &State, item: &Item) -> anyhow::Result<Option<String>> {
        if !pull::is_draft(item) {
            return Ok(None);
        }
        let kept = item.latest_work().filter(|a| a.kept.is_some());
        let Some(commit) = kept.and_then(|a| a.commit.as_ref()) else {
            return Ok(None);
        };
        let origin = self.repo.merge_base(&state.run_branch.head, commit)?;
        let log = [(publish::log_path(state), None)];
        let tree = |at: &str| {
            let tree = self.repo.tree_of(at)?;
            self.repo.with_entries(Some(&tree), &log)
        };
        // The log is ours, and shown elsewhere.
        Ok(Some(self.repo.patch(&tree(&origin)?, &tree(commit)?)?))
    }

    /// Where a run stands, for somebody who asks with a comment.
    pub(super) fn status_text(state: &State, now: jiff::Timestamp) -> String {
        let style = crate::report::Style { colour: false };
        let facts = Facts {
            now,
            base_built: true,
            gate_seen: true,
            ..Facts::default()
        };
        let waits = decide(state, &facts).waits;
        crate::report::status::text(state, &waits, now, style)
    }

    /// The reply to a comment, with the marker by which it is found again.
    pub(super) fn answer_text(voice: &Voice, heard: &Heard) -> Option<(String, String)> {
        let reply = heard.reply.as_deref()?;
        let about = voice.number.to_string();
        let answer = match &voice.kind {
            crate::run::seen::VoiceKind::Command(crate::run::seen::Command::Status) => {
                Answer::Status(reply)
            }
            crate::run::seen::VoiceKind::Command(crate::run::seen::Command::Misread { .. }) => {
                Answer::Misread(reply)
            }
            _ if heard.followed => Answer::Done(reply),
            _ => Answer::Refused(reply),
        };
        Some((
            pull::answer_marker(&about),
            pull::command_answer(&about, answer),
        ))
    }

    /// Says in each thread of the last review what the revision did about it.
    pub(super) fn reply(
        &mut self,
        snapshot: &Snapshot,
        key: &str,
        there: &SeenPull,
        number: u32,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let state = &snapshot.state;
        let Some(item) = state.item(key) else {
            return Ok(());
        };
        let attempt = item.attempts.iter().find(|a| a.number == number);
        let commit = attempt.and_then(|a| a.commit.as_ref());
        let (Some(head), Some(review)) = (commit, last_request(item)) else {
            return Ok(());
        };
        if unreplied(item) != Some(number) {
            return Ok(());
        }
        let said = self
            .result_of(snapshot, item, number)?
            .and_then(|r| r.handoff);
        let before = if review.commit.is_empty() {
            self.repo.merge_base(&state.run_branch.head, head)?
        } else {
            review.commit.clone()
        };
        let links = self.links();
        let threads = review.source.iter().flat_map(|s| &s.threads);
        let mut replies = Vec::new();
        for (thread, n) in threads.zip(1..) {
            let (added, removed, near) =
                self.changed_near(&before, head, &thread.path, thread.line);
            let name = format!("T{n}");
            let answer = said.as_ref().and_then(|h| {
                let found = h.threads.iter().find(|t| t.thread == name);
                found.map(|t| t.done.as_str())
            });
            let text = pull::thread_reply(
                &ThreadReply {
                    thread: &thread.id,
                    commit: head,
                    path: &thread.path,
                    added,
                    removed,
                    near,
                    answer,
                },
                &links,
            );
            replies.push(Reply {
                thread: thread.clone(),
                marker: pull::reply_marker(&thread.id, head),
                text,
            });
        }
        for doubt in self.forge.reply(there, &replies)? {
            audience.warn(&doubt);
        }
        Ok(())
    }

    /// How much of a file changed between two commits, and whether the lines near `line` did.
    fn changed_near(
        &self,
        before: &str,
        after: &str,
        path: &str,
        line: Option<u32>,
    ) -> (u32, u32, Near) {
        // What the reviewer saw may be gone since: then nothing is known.
        let Ok(hunks) = self.repo.line_changes(before, after, path) else {
            return (0, 0, Near::Unknown);
        };
        let added = hunks.iter().map(|h| h.added).sum();
        let removed = hunks.iter().map(|h| h.removed).sum();
        let near = match line {
            None => Near::Unknown,
            Some(line) => {
                let touches = hunks.iter().any(|h| {
                    h.old_start <= line.saturating_add(1)
                        && line <= h.old_start.saturating_add(h.removed.max(1))
                });
                if touches { Near::Changed } else { Near::Same }
            }
        };
        (added, removed, near)
    }
}

/// The pull requests that the ledger knows, by the last part of their branch.
fn known(state: &State) -> BTreeMap<String, PullRef> {
    let mut found = BTreeMap::new();
    for item in &state.items {
        if let Some(pull) = &item.pull {
            found.insert(
                item.branch_leaf(),
                PullRef {
                    number: pull.number,
                    url: pull.url.clone(),
                },
            );
        }
    }
    if let Some(pull) = &state.pull {
        found.insert(
            "main".to_owned(),
            PullRef {
                number: pull.number,
                url: pull.url.clone(),
            },
        );
    }
    found
}

fn notes(item: &Item, result: &AttemptResult) -> Notes {
    let lines: Vec<LineNote> = pull::annotations(result)
        .into_iter()
        .map(|a| LineNote {
            path: a.path,
            start: a.start_line,
            end: a.end_line,
            level: a.level.word().to_owned(),
            title: a.title,
            message: a.message,
        })
        .collect();
    let passed = matches!(item.phase, Phase::Review | Phase::Approved { .. });
    Notes {
        name: "pertask".to_owned(),
        conclusion: if passed { "success" } else { "failure" }.to_owned(),
        title: if passed {
            "The checks pass".to_owned()
        } else {
            "The checks do not pass".to_owned()
        },
        summary: format!("Attempt {} of {}.", result.attempt, result.item),
        lines,
    }
}

/// The account in an address of the form that GitHub gives people who keep theirs private.
fn login_of(email: &str) -> Option<&str> {
    let name = email.strip_suffix("@users.noreply.github.com")?;
    let login = name.split_once('+').map_or(name, |(_, login)| login);
    (!login.is_empty()).then_some(login)
}
