//! What people do: they review, comment, commit, merge and close as they like, on what they saw a while
//! ago, and change their minds.

use std::rc::Rc;

use git_pertask::forge::Merging;
use git_pertask::plan::{MergeMethod, Plan};
use git_pertask::run::seen::PullStanding;
use git_pertask::run::state::{Item, Phase};

use super::hub::{ADA, Kind, QUEUE, Said};
use super::setup::Deed;
use super::world::{BASE_BRANCH, Pid, World};

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
    pub fn on_screen(&mut self, number: u64) -> Option<String> {
        let head = self.hub.pull(number)?.head.clone();
        if self.calm || self.random.chance(650) {
            return Some(head);
        }
        let heads = self.hub.heads_of(number);
        self.random.pick(&heads).cloned()
    }

    pub fn open_pulls(&self) -> Vec<u64> {
        let open = self
            .hub
            .pulls
            .iter()
            .filter(|p| p.standing == PullStanding::Open);
        open.map(|p| p.number).collect()
    }

    pub fn anybody(&mut self) -> usize {
        let all: Vec<usize> = (ADA..self.hub.members.len()).collect();
        // Those who may write are around more often.
        self.random
            .weighed(&[(3, ADA), (8, 3), (6, 4), (4, 5), (2, 6), (1, 7), (1, QUEUE)])
            .unwrap_or(all[0])
    }

    pub fn who_may_write(&mut self) -> Option<usize> {
        let may: Vec<usize> = (ADA..self.hub.members.len())
            .filter(|n| self.hub.members[*n].may_write)
            .collect();
        self.random.pick(&may).copied()
    }

    /// The branches of items that are open, with the item's key.
    pub fn open_branches(&self) -> Vec<(String, String)> {
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
                let branch = self.hub.pull(number)?.branch.clone();
                let said = &mut self.hub.pull_mut(number)?.said[n];
                if let Kind::Comment { text } = &said.kind {
                    let was = (branch, said.who, text.clone());
                    self.audit.altered.push(was);
                }
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
                self.effects += 1;
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

    pub fn approve_there(&mut self, open: &[u64]) {
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

    pub fn note_typed(&mut self) -> Option<Typed> {
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

    /// Somebody decides about the last pull request.
    pub fn last(&mut self) {
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
    pub fn amended(&mut self) -> Option<Typed> {
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
    pub fn deed_here(&mut self, deed: Deed) -> Option<Typed> {
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
