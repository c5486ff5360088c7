//! What the driver of the simulation makes pull requests show: `Driver::show`, `pulls/pages.rs` and
//! `github/show.rs`, in fewer words.

use git_pertask::forge::Page;
use git_pertask::publish::{log_for, log_path};
use git_pertask::report::pull::{is_draft, status};
use git_pertask::run::LAST;
use git_pertask::run::seen::{OwnComment, PullStanding, Seen, SeenPull};
use git_pertask::run::state::{Branch, Item, Phase, Pull, State};
use git_pertask::run::transition;

use super::driver::Driver;
use super::store::{Snapshot, Step, base_at};
use super::world::{BASE_BRANCH, Fail};

impl Driver {
    /// `Driver::show`
    pub async fn show(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        if let Some(item) = state.item(key).filter(|i| i.branch.is_none()) {
            let branch = self.lay_out(&state, item);
            let said = transition::laid_out(&mut state, key, branch)?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        if key == LAST && state.end.is_none() && self.is_all_in_base(&state) {
            let said = transition::completed_empty(&mut state, self.now())?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        let seen = self.there.seen.as_ref().map(|(s, _)| s.clone());
        let seen = seen.ok_or_else(|| Fail::Error("nothing was seen of the forge".to_owned()))?;
        let page = pages(&state, &seen).into_iter().find(|(k, _)| k == key);
        let Some((_, page)) = page else {
            return Ok(());
        };
        let before = self.pull(key).cloned();
        let pull = self.show_page(&page, before.as_ref()).await?;
        self.there.troubles = 0;
        let at = self
            .there
            .seen
            .as_ref()
            .map_or_else(|| self.now(), |(s, _)| s.at);
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let since = ours.filter(|p| p.head == page.head).map(|p| p.since);
        let record = Pull {
            number: pull.number,
            url: pull.url.clone(),
            head: page.head.clone(),
            since: since.unwrap_or(at),
            closed: false,
            replied: ours.and_then(|p| p.replied),
            heard: Vec::new(),
        };
        let known = ours.map(|p| Pull {
            heard: Vec::new(),
            ..p.clone()
        });
        self.there.shown.insert(key.to_owned(), page);
        if let Some((seen, _)) = &mut self.there.seen {
            if key == LAST {
                seen.last = Some(pull);
            } else {
                seen.pulls.insert(key.to_owned(), pull);
            }
        }
        if key == LAST && state.end.is_none() {
            let said = transition::completed(&mut state, record, self.now())?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        if known.as_ref() == Some(&record) || key == LAST {
            return Ok(());
        }
        let said = transition::shown(&mut state, key, record)?;
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::is_all_in_base`
    pub fn is_all_in_base(&self, state: &State) -> bool {
        let w = self.sim.w();
        let base = base_at(&w, self.machine);
        self.pull(LAST).is_none()
            && base.is_some_and(|base| w.git.is_in(&state.run_branch.head, &base))
    }

    /// `Driver::lay_out`
    pub fn lay_out(&self, state: &State, item: &Item) -> Branch {
        let now = self.now();
        let mut w = self.sim.w();
        let base = state.run_branch.head.clone();
        let text = log_for(state, &item.key);
        let word = w.git.text(&String::from_utf8_lossy(&text));
        let tree = w.git.tree_of(&base);
        let tree = w.git.with(&tree, &[(&log_path(state), Some(&word))]);
        let at = item.attempts.last().map_or(now, |a| a.finished);
        let head = w.git.commit(&tree, &[base], &self.by, at);
        Branch {
            name: format!("pertask/{}/{}", state.run, item.branch_leaf()),
            head,
        }
    }

    /// `github::show`
    pub async fn show_page(&self, page: &Page, pull: Option<&SeenPull>) -> Result<SeenPull, Fail> {
        let machine = self.machine;
        let mut now = pull.cloned().unwrap_or_default();
        for step in steps(page, pull) {
            match step {
                Do::Open => {
                    let looked = self.there.seen.as_ref().map_or(0, |(_, at)| *at);
                    let number = self.sim.open_pull(machine, page, looked).await?;
                    let w = self.sim.w();
                    let us = w.hub.token_of(machine, &w.machines[machine]);
                    let there = w.hub.pull(number).cloned();
                    let there = there.ok_or_else(|| Fail::Error("it is gone".to_owned()))?;
                    now = SeenPull {
                        number,
                        id: format!("PR{number}"),
                        url: format!("https://hub/pull/{number}"),
                        author: w.hub.members[us].account.clone(),
                        draft: page.draft,
                        head: there.head,
                        base: page.base.clone(),
                        title: page.title.clone(),
                        body: page.body.clone(),
                        ..SeenPull::default()
                    };
                }
                Do::Body => {
                    let body = page.body.clone();
                    let edit = self
                        .sim
                        .edit("the body", machine, now.number, |p, _| p.body = body);
                    edit.await?;
                    now.body.clone_from(&page.body);
                }
                Do::Draft => {
                    let draft = page.draft;
                    let edit = self
                        .sim
                        .edit("draft or not", machine, now.number, |p, _| p.draft = draft);
                    edit.await?;
                    now.draft = draft;
                }
                Do::Status(context, state, said) => {
                    let head = page.head.clone();
                    let set = self.sim.call("a status", machine, true, |w, _| {
                        let all = w.hub.statuses.entry(head).or_default();
                        all.insert(context.clone(), (state.clone(), said.clone()));
                        w.effects += 1;
                        Ok(())
                    });
                    set.await?;
                    now.statuses.insert(context, (state, said));
                }
                Do::Comment(marker, text) => {
                    let number = self.sim.w().new_id();
                    let own = OwnComment { number, body: text };
                    let (said, name) = (own.clone(), marker.clone());
                    let edit = self.sim.edit("a comment", machine, now.number, |p, us| {
                        p.ours.push((us, name, said));
                    });
                    edit.await?;
                    now.ours.insert(marker, own);
                }
                Do::Rewrite(number, marker, text) => {
                    let body = text.clone();
                    let edit = self.sim.edit("our comment", machine, now.number, |p, _| {
                        if let Some((_, _, own)) =
                            p.ours.iter_mut().find(|(_, _, o)| o.number == number)
                        {
                            own.body = body;
                        }
                    });
                    edit.await?;
                    now.ours.insert(marker, OwnComment { number, body: text });
                }
            }
        }
        if page.head != now.head && !now.head.is_empty() {
            now.head.clone_from(&page.head);
        }
        Ok(now)
    }
}

/// One thing to be done so that a pull request shows a page: as `github::show::Step`.
pub enum Do {
    Open,
    Body,
    Draft,
    Status(String, String, String),
    Comment(String, String),
    Rewrite(u64, String, String),
}

/// As `github::show::steps`.
pub fn steps(page: &Page, pull: Option<&SeenPull>) -> Vec<Do> {
    let mut found = Vec::new();
    let nothing = SeenPull {
        draft: page.draft,
        title: page.title.clone(),
        body: page.body.clone(),
        ..SeenPull::default()
    };
    let pull = pull.unwrap_or_else(|| {
        found.push(Do::Open);
        &nothing
    });
    if pull.standing != PullStanding::Open {
        return Vec::new();
    }
    if pull.body != page.body {
        found.push(Do::Body);
    }
    if pull.draft != page.draft {
        found.push(Do::Draft);
    }
    for (context, state, said) in &page.statuses {
        let there = pull
            .statuses
            .get(context)
            .filter(|_| pull.head == page.head);
        if there.is_none_or(|(s, d)| s != state || d != said) {
            found.push(Do::Status(context.clone(), state.clone(), said.clone()));
        }
    }
    if let Some((marker, text)) = &page.progress {
        match pull.ours.get(marker) {
            None => found.push(Do::Comment(marker.clone(), text.clone())),
            Some(own) if own.body != *text => {
                found.push(Do::Rewrite(own.number, marker.clone(), text.clone()));
            }
            Some(_) => {}
        }
    }
    found
}

/// As `Driver::pages`, in fewer words.
pub fn pages(state: &State, seen: &Seen) -> Vec<(String, Page)> {
    let mut found = Vec::new();
    if state.end.is_none() {
        for item in &state.items {
            let there = seen.pulls.get(&item.key);
            let wanted = match &item.phase {
                Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. } => true,
                Phase::Approved { .. } => {
                    item.branch.as_ref().map(|b| &b.head) != item.pull.as_ref().map(|p| &p.head)
                }
                Phase::Pending | Phase::Running { .. } => there.is_some(),
                Phase::Merged | Phase::Skipped { .. } => false,
            };
            if wanted {
                found.push((item.key.clone(), page(state, item, there)));
            }
        }
    }
    let complete = state.end.as_ref().is_some_and(|e| !e.aborted);
    if complete || state.gate_of.as_ref() == Some(&state.run_branch.head) {
        let page = Page {
            branch: state.run_branch.name.clone(),
            head: state.run_branch.head.clone(),
            base: BASE_BRANCH.to_owned(),
            title: "all of it".to_owned(),
            body: format!("{} tasks", state.items.len()),
            ..Page::default()
        };
        found.push((LAST.to_owned(), page));
    }
    found
}

pub fn page(state: &State, item: &Item, there: Option<&SeenPull>) -> Page {
    let leaf = item.branch_leaf();
    let phase = match &item.phase {
        Phase::Running { claim } => format!("attempt {}", claim.attempt),
        Phase::Review => "review".to_owned(),
        Phase::Approved { because, .. } => because.clone(),
        other => format!("{other:?}"),
    };
    let page = Page {
        branch: format!("pertask/{}/{leaf}", state.run),
        head: item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default(),
        base: state.run_branch.name.clone(),
        progress: Some((format!("<!-- pertask:progress {leaf} -->"), phase)),
        ..Page::default()
    };
    if let (Phase::Pending | Phase::Running { .. }, Some(there)) = (&item.phase, there) {
        return Page {
            title: there.title.clone(),
            body: there.body.clone(),
            draft: there.draft,
            ..page
        };
    }
    Page {
        title: leaf,
        body: format!("attempt {}", item.attempts.len()),
        draft: is_draft(item),
        statuses: status(state, item)
            .into_iter()
            .map(|s| {
                (
                    s.context.to_owned(),
                    s.state.word().to_owned(),
                    s.description,
                )
            })
            .collect(),
        ..page
    }
}
