//! What people do: they review, comment, commit, merge and close as they like, on what they saw a while
//! ago, and change their minds.

use std::rc::Rc;

use git_pertask::forge::Merging;
use git_pertask::plan::{MergeMethod, Plan};
use git_pertask::run::P0;
use git_pertask::run::amend::amend;
use git_pertask::run::decide::Standing;
use git_pertask::run::seen::PullStanding;
use git_pertask::run::state::{Decision, Item, Phase, Review, State};
use git_pertask::run::transition;

use super::hub::{ADA, Kind, QUEUE, Said};
use super::setup::Deed;
use super::store::Step;
use super::world::{BASE_BRANCH, Fail, Pid, Sim, World, person};

/// A command that somebody types in a terminal.
#[derive(Debug, Clone)]
pub enum Typed {
    Approve(String),
    Revise(String),
    Retry(String, bool),
    Skip(String),
    Abort,
    Note(Option<String>),
    Amend,
}

impl World {
    /// Somebody says something on a pull request.
    pub fn say(&mut self, number: u64, who: usize, kind: Kind, before_eyes: &str) {
        let id = self.new_id();
        let login = self.hub.members[who].account.login.clone();
        self.note(|| format!("{login} on #{number}: {kind:?}"));
        let said = Said {
            id: format!("S{id}"),
            number: id,
            who,
            at: self.forge_time(),
            kind,
            before_eyes: before_eyes.to_owned(),
            altered: false,
            marks: std::collections::BTreeSet::new(),
        };
        if let Some(pull) = self.hub.pull_mut(number) {
            pull.said.push(said);
        }
        self.effects += 1;
        self.remember();
        self.event();
    }

    pub fn comment(&mut self, number: u64, who: usize, text: &str) {
        self.say(
            number,
            who,
            Kind::Comment {
                text: text.to_owned(),
            },
            "",
        );
    }

    /// What somebody has on their screen: the head of a pull request now, or a while ago.
    fn on_screen(&mut self, number: u64) -> Option<String> {
        let head = self.hub.pull(number)?.head.clone();
        if self.calm || self.random.chance(650) {
            return Some(head);
        }
        let heads = self.hub.heads_of(number);
        self.random.pick(&heads).cloned()
    }

    fn open_pulls(&self) -> Vec<u64> {
        let open = self
            .hub
            .pulls
            .iter()
            .filter(|p| p.standing == PullStanding::Open);
        open.map(|p| p.number).collect()
    }

    fn anybody(&mut self) -> usize {
        let all: Vec<usize> = (ADA..self.hub.members.len()).collect();
        // Those who may write are around more often.
        self.random
            .weighed(&[(3, ADA), (8, 3), (6, 4), (4, 5), (2, 6), (1, 7), (1, QUEUE)])
            .unwrap_or(all[0])
    }

    fn who_may_write(&mut self) -> Option<usize> {
        let may: Vec<usize> = (ADA..self.hub.members.len())
            .filter(|n| self.hub.members[*n].may_write)
            .collect();
        self.random.pick(&may).copied()
    }

    /// The branches of items that are open, with the item's key.
    fn open_branches(&self) -> Vec<(String, String)> {
        let Some(entry) = self.state() else {
            return Vec::new();
        };
        let items = entry.state.items.iter().filter(|i| !i.is_settled());
        items
            .filter_map(|i| Some((i.key.clone(), i.branch.as_ref()?.name.clone())))
            .filter(|(_, name)| self.refs.contains_key(name))
            .collect()
    }

    /// Does something, or nothing when there is nothing of its kind to do. What is typed in a terminal
    /// is done by a process.
    #[expect(clippy::too_many_lines, reason = "a few lines for each deed")]
    pub fn deed(&mut self, deed: Deed) -> Option<Typed> {
        if self.is_local() {
            return self.deed_here(deed);
        }
        let open = self.open_pulls();
        let run_branch = format!("pertask/{}/main", super::world::RUN);
        match deed {
            Deed::Approve => self.approve_there(&open),
            Deed::Revise => {
                let number = *self.random.pick(&open)?;
                let who = self.anybody();
                let eyes = self.on_screen(number)?;
                let author = self.hub.pull(number)?.author;
                if self.random.chance(200) {
                    // And thinks better of it in the same second.
                    let text = format!("/pertask approve {eyes}");
                    self.say(number, who, Kind::Comment { text }, &eyes);
                }
                if self.random.chance(500) && who != author {
                    self.say(
                        number,
                        who,
                        Kind::Changes {
                            commit: eyes.clone(),
                        },
                        &eyes,
                    );
                } else {
                    self.comment(number, who, "/pertask revise make it better");
                }
            }
            Deed::Retry => {
                let number = *self.random.pick(&open)?;
                let who = self.anybody();
                let text = if self.random.chance(300) {
                    "/pertask retry --fresh"
                } else {
                    "/pertask retry"
                };
                self.comment(number, who, text);
            }
            Deed::Skip => {
                if self.random.chance(300) {
                    let state = self.state()?.state.clone();
                    let all: Vec<&Item> = state.items.iter().filter(|i| i.pull.is_none()).collect();
                    let item = self.random.pick(&all)?;
                    return Some(Typed::Skip(item.key.clone()));
                }
                let all: Vec<u64> = self.hub.pulls.iter().map(|p| p.number).collect();
                let number = *self.random.pick(&all)?;
                let who = self.anybody();
                self.comment(number, who, "/pertask skip not needed");
            }
            Deed::Abort => {
                if self.random.chance(500) {
                    return Some(Typed::Abort);
                }
                let number = *self.random.pick(&open)?;
                let who = self.anybody();
                self.comment(number, who, "/pertask abort");
            }
            Deed::Note => return self.note_typed(),
            Deed::Chat => {
                let number = *self.random.pick(&open)?;
                let who = self.anybody();
                let texts = [
                    "/pertask status",
                    "/pertask approve",
                    "/pertask aprove it",
                    "hello",
                    "/pertask approve deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
                ];
                let text = *self.random.pick(&texts)?;
                self.comment(number, who, text);
            }
            Deed::Dismiss => {
                let number = *self.random.pick(&open)?;
                let pull = self.hub.pull_mut(number)?;
                let reviews: Vec<usize> = (0..pull.said.len())
                    .filter(|n| {
                        matches!(
                            pull.said[*n].kind,
                            Kind::Approval { .. } | Kind::Changes { .. }
                        )
                    })
                    .collect();
                let n = *self.random.pick(&reviews)?;
                self.hub.pull_mut(number)?.said[n].kind = Kind::Dismissed;
                self.note(|| format!("a review of #{number} is dismissed"));
                self.remember();
                self.event();
            }
            Deed::Alter => {
                let number = *self.random.pick(&open)?;
                let pull = self.hub.pull_mut(number)?;
                let comments: Vec<usize> = (0..pull.said.len())
                    .filter(|n| matches!(pull.said[*n].kind, Kind::Comment { .. }))
                    .collect();
                let n = *self.random.pick(&comments)?;
                let head = self.hub.pull(number)?.head.clone();
                let said = &mut self.hub.pull_mut(number)?.said[n];
                said.altered = true;
                said.kind = Kind::Comment {
                    text: format!("/pertask approve {head}"),
                };
                self.note(|| format!("a comment on #{number} is changed by somebody else"));
                self.remember();
                self.event();
            }
            Deed::Commit => {
                let branches = self.open_branches();
                let (key, branch) = self.random.pick(&branches)?.clone();
                self.commit_on(&branch, Some(&key));
            }
            Deed::CommitRun => self.commit_on(&run_branch, None),
            Deed::Update => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.join(&branch, &run_branch);
            }
            Deed::PushMerge => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.join(&run_branch, &branch);
            }
            Deed::MergeByHand => {
                let number = *self.random.pick(&open)?;
                let who = self.who_may_write()?;
                let head = self.hub.pull(number)?.head.clone();
                let methods = [MergeMethod::Squash, MergeMethod::Merge, MergeMethod::Rebase];
                let method = *self.random.pick(&methods)?;
                if let Merging::Done(_) = self.merge_pull(number, &head, method, who) {
                    self.event();
                }
            }
            Deed::Close => {
                let number = *self.random.pick(&open)?;
                self.hub.pull_mut(number)?.standing = PullStanding::Closed;
                self.audit.touched.insert(number, self.now);
                self.note(|| format!("#{number} is closed by somebody"));
                self.remember();
                self.event();
            }
            Deed::Reopen => self.reopen()?,
            Deed::Retarget => {
                let number = *self.random.pick(&open)?;
                let pull = self.hub.pull_mut(number)?;
                pull.base = if pull.base == run_branch && pull.branch != run_branch {
                    BASE_BRANCH.to_owned()
                } else if pull.branch == run_branch {
                    return None;
                } else {
                    run_branch
                };
                let base = pull.base.clone();
                self.audit.touched.insert(number, self.now);
                self.note(|| format!("#{number} goes to {base} now"));
                self.remember();
            }
            Deed::DeleteBranch => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.note(|| format!("{branch} is deleted by somebody"));
                self.set_by_person(&branch, None);
            }
            Deed::Rewrite => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.rewrite(&branch);
            }
            Deed::Permission => {
                let who = *self.random.pick(&[4, 5, 6])?;
                let member = &mut self.hub.members[who];
                member.may_write = !member.may_write;
                let (login, may) = (member.account.login.clone(), member.may_write);
                let now = self.now;
                self.audit.permission(now, who, may);
                self.note(|| format!("{login} may write: {may}"));
            }
            Deed::Base => self.commit_on(BASE_BRANCH, None),
            Deed::Last => self.last(),
            Deed::Draft => {
                let number = *self.random.pick(&open)?;
                let pull = self.hub.pull_mut(number)?;
                pull.draft = !pull.draft;
                let draft = pull.draft;
                self.note(|| format!("#{number} is made a draft: {draft}"));
                self.remember();
            }
            Deed::Amend => return self.amended(),
        }
        None
    }

    fn approve_there(&mut self, open: &[u64]) {
        let Some(number) = self.random.pick(open).copied() else {
            return;
        };
        let who = self.anybody();
        let Some(eyes) = self.on_screen(number) else {
            return;
        };
        let author = self.hub.pull(number).map(|p| p.author);
        if self.random.chance(700) && Some(who) != author {
            self.say(
                number,
                who,
                Kind::Approval {
                    commit: eyes.clone(),
                },
                &eyes,
            );
        } else {
            let text = format!("/pertask approve {eyes}");
            self.say(number, who, Kind::Comment { text }, &eyes);
        }
    }

    fn note_typed(&mut self) -> Option<Typed> {
        let state = self.state()?.state.clone();
        let keys: Vec<String> = state.items.iter().map(|i| i.key.clone()).collect();
        let key = self.random.pick(&keys).cloned();
        Some(Typed::Note(key.filter(|_| self.random.chance(700))))
    }

    /// Somebody opens a pull request again that was closed.
    pub fn reopen(&mut self) -> Option<()> {
        let closed: Vec<u64> = self
            .hub
            .pulls
            .iter()
            .filter(|p| p.standing == PullStanding::Closed && self.refs.contains_key(&p.branch))
            .map(|p| p.number)
            .collect();
        let number = *self.random.pick(&closed)?;
        self.open_again(number);
        Some(())
    }

    pub fn open_again(&mut self, number: u64) {
        let Some(pull) = self.hub.pull(number).cloned() else {
            return;
        };
        let Some(head) = self.refs.get(&pull.branch).cloned() else {
            return;
        };
        let other = self.hub.pulls.iter().any(|p| {
            p.branch == pull.branch && p.base == pull.base && p.standing == PullStanding::Open
        });
        if other {
            return;
        }
        if let Some(pull) = self.hub.pull_mut(number) {
            pull.standing = PullStanding::Open;
            pull.head = head;
        }
        self.audit.reopened.insert(number);
        self.note(|| format!("#{number} is opened again by somebody"));
        self.remember();
        self.event();
    }

    fn set_by_person(&mut self, branch: &str, to: Option<&str>) {
        let who = self.who_may_write().unwrap_or(ADA);
        self.audit.by_person = true;
        self.set_ref(branch, to, who);
        self.audit.by_person = false;
        self.event();
    }

    /// A commit of somebody's own on top of a branch.
    fn commit_on(&mut self, branch: &str, key: Option<&str>) {
        let Some(head) = self.refs.get(branch).cloned() else {
            return;
        };
        let n = self.new_id();
        let mark = self.random.weighed(&[(8, ""), (1, "!bad"), (1, "!rule")]);
        let mark = mark.filter(|m| !m.is_empty() && !self.calm).unwrap_or("");
        let piece = match key {
            Some(key) if self.random.chance(600) => super::content::file_of(key),
            _ if self.random.chance(400) => format!("shared.x#{}", self.random.below(3)),
            _ => {
                let files: Vec<String> = self
                    .setup
                    .plan
                    .tasks
                    .iter()
                    .map(|t| t.file.clone())
                    .collect();
                let file = self.random.pick(&files).cloned();
                file.filter(|_| key.is_none() && branch != BASE_BRANCH)
                    .filter(|f| self.git.tree(&self.git.tree_of(&head)).contains_key(f))
                    .unwrap_or_else(|| format!("other.x#{n}"))
            }
        };
        let word = format!("person.{n}{mark}");
        let tree = self.git.tree_of(&head);
        let tree = self.git.with(&tree, &[(&piece, Some(&word))]);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[head], "olive", now);
        self.note(|| {
            format!(
                "olive commits {piece} = {word} on {branch}: {}",
                &commit[..6]
            )
        });
        self.set_by_person(branch, Some(&commit));
    }

    /// Somebody merges one branch into another with git.
    pub fn join(&mut self, into: &str, from: &str) {
        let (Some(a), Some(b)) = (self.refs.get(into).cloned(), self.refs.get(from).cloned())
        else {
            return;
        };
        if self.git.is_in(&b, &a) {
            return;
        }
        let (tree, _) = self.git.merge(&a, &b);
        let tree = self.with_both_logs(&tree, &a, &b);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[a, b], "olive", now);
        self.note(|| format!("olive merges {from} into {into}: {}", &commit[..6]));
        self.set_by_person(into, Some(&commit));
    }

    /// Where two logs meet, a person keeps the sections of both.
    fn with_both_logs(&mut self, tree: &str, a: &str, b: &str) -> String {
        let path = ".pertask/wiz/implementation-log.md";
        let (Some(one), Some(other)) = (self.git.file(a, path), self.git.file(b, path)) else {
            return tree.to_owned();
        };
        let name = |section: &str| section.split(':').next().unwrap_or("").to_owned();
        let mut both = one.clone();
        let known: Vec<String> = one.split("\n## ").skip(1).map(name).collect();
        for section in other.split("\n## ").skip(1) {
            if !known.contains(&name(section)) {
                both.push_str("\n## ");
                both.push_str(section);
            }
        }
        let word = self.git.text(&both);
        self.git.with(tree, &[(path, Some(&word))])
    }

    /// Somebody rewrites a branch under review.
    fn rewrite(&mut self, branch: &str) {
        let Some(head) = self.refs.get(branch).cloned() else {
            return;
        };
        let commit = self.git.get(&head).clone();
        let Some(parent) = commit.parents.first().cloned() else {
            return;
        };
        let to = match self.random.below(3) {
            0 => parent,
            // The same difference on another commit.
            1 => {
                let now = World::time(self.now);
                self.git.commit(&commit.tree, &[parent], "mallory", now)
            }
            _ => {
                let n = self.new_id();
                let word = format!("person.{n}");
                let tree = self.git.with(&commit.tree, &[("other.x", Some(&word))]);
                let now = World::time(self.now);
                self.git.commit(&tree, &[parent], "mallory", now)
            }
        };
        self.note(|| format!("mallory rewrites {branch}: {}", &to[..6]));
        self.set_by_person(branch, Some(&to));
    }

    /// Somebody decides about the last pull request.
    fn last(&mut self) {
        let main = format!("pertask/{}/main", super::world::RUN);
        let last = self.hub.of_branch(&main).map(|p| p.number);
        let Some(number) = last else { return };
        let who = self.anybody();
        let Some(eyes) = self.on_screen(number) else {
            return;
        };
        let author = self.hub.pull(number).map(|p| p.author);
        match self.random.below(6) {
            0 if Some(who) != author => {
                self.say(
                    number,
                    who,
                    Kind::Changes {
                        commit: eyes.clone(),
                    },
                    &eyes,
                );
            }
            1 => self.comment(number, who, "/pertask revise all of it"),
            2 => self.comment(number, who, "/pertask approve it"),
            3 if self.hub.members[who].may_write => {
                let head = self
                    .hub
                    .pull(number)
                    .map(|p| p.head.clone())
                    .unwrap_or_default();
                self.merge_pull(number, &head, MergeMethod::Merge, who);
                self.event();
            }
            _ => {}
        }
    }

    /// The plan changes on the base, and somebody types `git pertask amend`.
    fn amended(&mut self) -> Option<Typed> {
        let head = self.refs.get(BASE_BRANCH)?.clone();
        let (plan, config) = self.pinned_at(&head);
        let (mut plan, mut config): (Plan, _) = ((*plan).clone(), (*config).clone());
        let n = self.new_id();
        match self.random.below(5) {
            0 if plan.tasks.len() > 1 => {
                let gone = self.random.below(plan.tasks.len());
                let gone = plan.tasks.remove(gone).id;
                for task in &mut plan.tasks {
                    task.depends_on.retain(|d| *d != gone);
                }
            }
            1 => {
                let task = plan.tasks.first()?.clone();
                let id = format!("n{n}");
                plan.tasks.push(git_pertask::plan::Task {
                    file: super::content::file_of(&id),
                    title: format!("Task {id}"),
                    depends_on: Vec::new(),
                    id,
                    ..task
                });
            }
            2 => plan.title = format!("Wiz {n}"),
            3 => config.limits.attempts = 4,
            _ => config.limits.run_cost_usd = None,
        }
        let tree = self.git.tree_of(&head);
        let word = format!("plan.{n}");
        let tree = self
            .git
            .with(&tree, &[(".pertask/wiz/plan.toml", Some(&word))]);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[head], "olive", now);
        let pinned = (Rc::new(plan), Rc::new(config));
        self.documents.insert(commit.clone(), pinned);
        self.note(|| format!("olive changes the plan on the base: {}", &commit[..6]));
        self.set_by_person(BASE_BRANCH, Some(&commit));
        Some(Typed::Amend)
    }

    /// What people do where the repository itself is the forge.
    fn deed_here(&mut self, deed: Deed) -> Option<Typed> {
        let state = self.state()?.state.clone();
        let run_branch = state.run_branch.name.clone();
        let mut meant = |wanted: &dyn Fn(&Item) -> bool| {
            let fit: Vec<&Item> = state.items.iter().filter(|i| wanted(i)).collect();
            self.random.pick(&fit).map(|i| i.key.clone())
        };
        let stopped = |i: &Item| matches!(i.phase, Phase::Failed { .. } | Phase::Blocked { .. });
        let waits = |i: &Item| i.phase == Phase::Review || stopped(i);
        match deed {
            Deed::Approve | Deed::Last => {
                return Some(Typed::Approve(meant(&|i| i.phase == Phase::Review)?));
            }
            Deed::Revise => return Some(Typed::Revise(meant(&waits)?)),
            Deed::Retry => {
                let key = meant(&stopped)?;
                return Some(Typed::Retry(key, self.random.chance(300)));
            }
            Deed::Skip => {
                let key = meant(&waits)?;
                return Some(Typed::Skip(key));
            }
            Deed::Abort => return Some(Typed::Abort),
            Deed::Note => return self.note_typed(),
            Deed::Amend => return self.amended(),
            Deed::Commit => {
                let branches = self.open_branches();
                let (key, branch) = self.random.pick(&branches)?.clone();
                self.commit_on(&branch, Some(&key));
            }
            Deed::CommitRun => self.commit_on(&run_branch, None),
            Deed::Update => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.join(&branch, &run_branch);
            }
            Deed::PushMerge => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.join(&run_branch, &branch);
            }
            Deed::DeleteBranch => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.note(|| format!("{branch} is deleted by somebody"));
                self.set_by_person(&branch, None);
            }
            Deed::Rewrite => {
                let branches = self.open_branches();
                let (_, branch) = self.random.pick(&branches)?.clone();
                self.rewrite(&branch);
            }
            _ => {}
        }
        None
    }

    /// A process for a command that somebody types.
    pub fn typing(&mut self) -> Pid {
        let own = self.setup.machines;
        let machine = self.random.below(own);
        self.process(machine, None)
    }
}

/// What a typed command does: `src/commands/decide.rs`, `note.rs`, `amend.rs`.
pub async fn typed(sim: Sim, pid: Pid, typed: Typed) {
    let machine = sim.w().processes[&pid].machine;
    let done = type_it(&sim, pid, machine, &typed).await;
    let mut w = sim.w();
    w.note(|| format!("typed {typed:?}: {done:?}"));
    w.end(pid);
}

async fn type_it(sim: &Sim, pid: Pid, machine: usize, typed: &Typed) -> Result<(), Fail> {
    sim.refresh(machine).await?;
    let snapshot = sim.w().read(machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    if snapshot.state().end.is_some() {
        return Err(Fail::Not("the run has ended".to_owned()));
    }
    let now = sim.w().clock(machine);
    let ada = person("ada");
    match typed {
        Typed::Approve(key) => {
            let Some(branch) = snapshot.state().item(key).and_then(|i| i.branch.clone()) else {
                return Ok(());
            };
            {
                let mut w = sim.w();
                let at = w.branch(machine, &branch.name);
                if at.is_some_and(|at| !w.git.is_in(&at, &branch.head)) {
                    return Err(Fail::Not("commits that are not checked yet".to_owned()));
                }
                w.audit.approved_here(key, &branch.head);
            }
            let review = review(Decision::Approve, &branch.head, "", now);
            sim.change(machine, |s| {
                Ok(transition::reviewed(s, key, review.clone())?)
            })
            .await?;
        }
        Typed::Revise(key) => {
            let item = snapshot.state().item(key);
            let head = item.and_then(|i| i.branch.as_ref()).map(|b| b.head.clone());
            let review = review(Decision::Revise, &head.unwrap_or_default(), "better", now);
            sim.change(machine, |s| {
                Ok(transition::reviewed(s, key, review.clone())?)
            })
            .await?;
        }
        Typed::Retry(key, fresh) => {
            sim.change(machine, |s| Ok(transition::retried(s, key, *fresh, &ada)?))
                .await?;
        }
        Typed::Skip(key) => {
            sim.w().audit.skip_asked(key);
            sim.change(machine, |s| {
                Ok(if key == P0 {
                    transition::excepted(s, "not needed", &ada, now)?
                } else {
                    transition::skipped(s, key, "not needed", &ada)?
                })
            })
            .await?;
        }
        Typed::Abort => {
            if sim.w().machines[machine].lock.is_some() {
                return Err(Fail::Not("somebody works on it".to_owned()));
            }
            sim.w().machines[machine].lock = Some(pid);
            sim.w().audit.abort_asked = true;
            sim.change(machine, |s| Ok(transition::aborted(s, &ada, now)?))
                .await?;
        }
        Typed::Note(key) => {
            let text = format!("note {pid}");
            sim.change(machine, |s| {
                Ok(transition::noted(s, key.as_deref(), &text, &ada, now)?)
            })
            .await?;
        }
        Typed::Amend => amend_it(sim, pid, machine).await?,
    }
    Ok(())
}

pub fn review(decision: Decision, commit: &str, text: &str, at: jiff::Timestamp) -> Review {
    Review {
        decision,
        by: person("ada"),
        at,
        commit: commit.to_owned(),
        text: text.to_owned(),
        round: 0,
        source: None,
    }
}

/// `commands::amend`
async fn amend_it(sim: &Sim, pid: Pid, machine: usize) -> Result<(), Fail> {
    if sim.w().machines[machine].lock.is_some() {
        return Err(Fail::Not("somebody works on it".to_owned()));
    }
    sim.w().machines[machine].lock = Some(pid);
    let snapshot = sim.w().read(machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    let state = snapshot.state();
    let base = sim.w().branch(machine, BASE_BRANCH);
    let base = base.ok_or_else(|| Fail::Error("there is no base".to_owned()))?;
    let new = sim.w().pinned_at(&base);
    let old = (&*snapshot.entry.plan, &*snapshot.entry.config);
    let amendment = amend(state, old, (&new.0, &new.1))?;
    if amendment.changes.is_empty() && base == state.base.commit {
        return Ok(());
    }
    let mut state: State = state.clone();
    let now = sim.w().clock(machine);
    {
        // `taken_in`
        let w = sim.w();
        let branch = &state.run_branch;
        let at = w.standing(machine, &branch.name, &branch.head);
        if let Standing::Ahead { .. } | Standing::Diverged { .. } = at {
            return Err(Fail::Not(
                "what others committed is not taken in".to_owned(),
            ));
        }
    }
    {
        let mut w = sim.w();
        let path = ".pertask/wiz/plan.toml";
        let word = w.git.file(&base, path);
        let head = state.run_branch.head.clone();
        if word.is_some() && w.git.file(&head, path) != word {
            let tree = w.git.tree_of(&head);
            let tree = w.git.with(&tree, &[(path, word.as_deref())]);
            state.run_branch.head = w.git.commit(&tree, &[head], "ada", now);
        }
    }
    base.clone_into(&mut state.base.commit);
    state.items = amendment.items;
    state.compliance.judged = None;
    state.checkpoint = amendment.config.checkpoint;
    state.merge = amendment.config.merge;
    state.title.clone_from(&amendment.plan.title);
    let step = Step {
        said: "Plan amended".to_owned(),
        records: Vec::new(),
        pinned: Some((Rc::new(amendment.plan), Rc::new(amendment.config))),
    };
    sim.append(machine, Some(&snapshot), state, step, now)
        .await?;
    Ok(())
}
