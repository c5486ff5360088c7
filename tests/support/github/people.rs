//! What people do on the site and with git, for tests to act with.

use super::acts::Remark;
use super::merge::Merge;
use super::pulls::NewPull;
use super::refusal::Refusal;
use super::state::{Id, Permission, ReviewState, State};
use super::{GitHub, account, add_repo, rid};

/// Somebody. A refusal comes back as `STATUS message`.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    pub(super) github: &'a GitHub,
    /// Their number.
    pub id: Id,
}

/// What came of it, or how GitHub refused.
pub type Done<T = ()> = Result<T, String>;

impl Person<'_> {
    fn act<T>(
        &self,
        repo: &str,
        how: impl FnOnce(&mut State, Id) -> Result<T, Refusal>,
    ) -> Done<T> {
        let mut state = self.github.state();
        let rid = rid(&state, repo);
        state.repos.get_mut(&rid).unwrap().pushing.push(self.id);
        let done = how(&mut state, rid);
        state.sync();
        if let Some(repo) = state.repos.get_mut(&rid) {
            repo.pushing.pop();
        }
        done.map_err(|refusal| refusal.text())
    }

    /// Reviews: on the head, or on the commit given.
    pub fn review(
        &self,
        repo: &str,
        number: u64,
        state: ReviewState,
        body: &str,
        commit: Option<&str>,
        remarks: &[Remark],
    ) -> Done<Id> {
        self.act(repo, |s, rid| {
            s.clock.speaks(self.id);
            s.review(rid, number, self.id, state, body, commit, remarks)
        })
    }

    /// Approves the head.
    pub fn approve(&self, repo: &str, number: u64, body: &str) -> Done<Id> {
        self.review(repo, number, ReviewState::Approved, body, None, &[])
    }

    /// Requests changes.
    pub fn request_changes(
        &self,
        repo: &str,
        number: u64,
        body: &str,
        remarks: &[Remark],
    ) -> Done<Id> {
        let state = ReviewState::ChangesRequested;
        self.review(repo, number, state, body, None, remarks)
    }

    /// Reviews without an opinion.
    pub fn remark(&self, repo: &str, number: u64, body: &str, remarks: &[Remark]) -> Done<Id> {
        self.review(repo, number, ReviewState::Commented, body, None, remarks)
    }

    /// Answers in a thread.
    pub fn reply(&self, repo: &str, number: u64, thread: Id, body: &str) -> Done<Id> {
        self.act(repo, |s, rid| s.reply(rid, number, self.id, thread, body))
    }

    /// Comments in the conversation.
    pub fn comment(&self, repo: &str, number: u64, body: &str) -> Done<Id> {
        self.act(repo, |s, rid| {
            s.clock.speaks(self.id);
            s.comment(rid, number, self.id, body)
        })
    }

    /// Edits a comment in a conversation.
    pub fn edit_comment(&self, repo: &str, id: Id, body: &str) -> Done {
        self.act(repo, |s, rid| s.edit_comment(rid, id, self.id, body))
    }

    /// Deletes a comment in a conversation.
    pub fn delete_comment(&self, repo: &str, id: Id) -> Done {
        self.act(repo, |s, rid| {
            for pull in &mut s.repos.get_mut(&rid).unwrap().pulls {
                pull.comments.retain(|c| c.id != id);
            }
            Ok(())
        })
    }

    /// Edits a review's text.
    pub fn edit_review(&self, repo: &str, number: u64, id: Id, body: &str) -> Done {
        self.act(repo, |s, rid| {
            let now = s.now();
            let reviews = &mut s.pull_mut(rid, number).reviews;
            let review = reviews.iter_mut().find(|r| r.id == id);
            let review = review.ok_or_else(Refusal::missing)?;
            body.clone_into(&mut review.body);
            review.edited = Some((now, self.id));
            Ok(())
        })
    }

    /// Edits a remark in a thread.
    pub fn edit_remark(&self, repo: &str, number: u64, id: Id, body: &str) -> Done {
        self.act(repo, |s, rid| {
            let now = s.now();
            let threads = &mut s.pull_mut(rid, number).threads;
            let mut all = threads.iter_mut().flat_map(|t| &mut t.comments);
            let remark = all.find(|c| c.id == id).ok_or_else(Refusal::missing)?;
            body.clone_into(&mut remark.body);
            remark.edited = Some((now, self.id));
            Ok(())
        })
    }

    /// Dismisses a review; needs write access.
    pub fn dismiss(&self, repo: &str, number: u64, review: Id) -> Done {
        self.act(repo, |s, rid| {
            write_access(s, rid, self.id)?;
            s.dismiss(rid, number, review)
        })
    }

    /// Resolves a thread.
    pub fn resolve(&self, repo: &str, number: u64, thread: Id) -> Done {
        self.act(repo, |s, rid| s.resolve(rid, number, self.id, thread, true))
    }

    /// Opens a resolved thread again.
    pub fn unresolve(&self, repo: &str, number: u64, thread: Id) -> Done {
        self.act(repo, |s, rid| {
            s.resolve(rid, number, self.id, thread, false)
        })
    }

    /// Closes a pull request.
    pub fn close(&self, repo: &str, number: u64) -> Done {
        self.act(repo, |s, rid| s.set_state(rid, number, false))
    }

    /// Opens a closed pull request again.
    pub fn reopen(&self, repo: &str, number: u64) -> Done {
        self.act(repo, |s, rid| s.set_state(rid, number, true))
    }

    /// Edits the text of a pull request.
    pub fn edit_body(&self, repo: &str, number: u64, body: &str) -> Done {
        self.act(repo, |s, rid| {
            let now = s.now();
            let pull = s.pull_mut(rid, number);
            pull.body = Some(body.to_owned());
            pull.edited = Some((now, self.id));
            pull.updated = now;
            Ok(())
        })
    }

    /// Makes it a draft, or ready.
    pub fn set_draft(&self, repo: &str, number: u64, draft: bool) -> Done {
        self.act(repo, |s, rid| {
            s.pull_mut(rid, number).draft = draft;
            Ok(())
        })
    }

    /// Adds or removes a label by name.
    pub fn set_labels(&self, repo: &str, number: u64, labels: &[&str]) -> Done {
        self.act(repo, |s, rid| {
            let names: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
            s.pull_mut(rid, number).labels = names;
            Ok(())
        })
    }

    /// Presses the green button: `merge`, `squash` or `rebase`.
    pub fn merge(&self, repo: &str, number: u64, method: &str) -> Done<String> {
        self.act(repo, |s, rid| {
            write_access(s, rid, self.id)?;
            let how = Merge {
                method,
                title: None,
                message: None,
                sha: None,
                workflows: true,
            };
            s.merge(rid, number, self.id, &how)
        })
    }

    /// Lets the merge queue do its work: merges what waits in it.
    pub fn run_queue(&self, repo: &str, number: u64, method: &str) -> Done<String> {
        self.act(repo, |s, rid| {
            let branch = s.pull(rid, number).base_ref.clone();
            let repo = s.repos.get_mut(&rid).unwrap();
            let rules = repo.protections.remove(&branch);
            let how = Merge {
                method,
                title: None,
                message: None,
                sha: None,
                workflows: true,
            };
            let done = s.merge(rid, number, self.id, &how);
            if let Some(rules) = rules {
                let repo = s.repos.get_mut(&rid).unwrap();
                repo.protections.insert(branch, rules);
            }
            done
        })
    }

    /// Asks for reviews.
    pub fn request_reviews(&self, repo: &str, number: u64, whom: &[&str]) -> Done {
        self.act(repo, |s, rid| s.request_reviews(rid, number, whom))
    }

    /// Opens a pull request; `head` is a branch, or `owner:branch` of a fork.
    pub fn open(&self, repo: &str, head: &str, base: &str, title: &str) -> Done<u64> {
        self.act(repo, |s, rid| {
            let new = NewPull {
                title,
                head,
                base,
                body: None,
                draft: false,
            };
            s.open_pull(rid, self.id, &new)
        })
    }

    /// Forks a repository with its branches: the fork's full name.
    pub fn fork(&self, repo: &str) -> String {
        let mut state = self.github.state();
        let from = state.repos[&rid(&state, repo)].clone();
        let id = state.fresh();
        let path = self.github.root.path().join(format!("{id}.git"));
        let bare = super::bare::Bare::copy(path, &from.bare);
        add_repo(&mut state, id, self.id, &from.name, bare);
        state.repos.get_mut(&id).unwrap().fork_of = Some(from.id);
        state.full_name(&state.repos[&id])
    }

    /// Pushes a commit with these files on top of a branch, made from the default branch when
    /// missing; an empty text removes the file.
    pub fn push(
        &self,
        repo: &str,
        branch: &str,
        files: &[(&str, &str)],
        message: &str,
    ) -> Done<String> {
        self.act(repo, |s, rid| {
            let (repo, now) = (&s.repos[&rid], s.now());
            let parent = repo
                .heads
                .get(branch)
                .or(repo.heads.get(&repo.default_branch));
            let files: Vec<(&str, Option<&[u8]>)> = files
                .iter()
                .map(|(path, text)| (*path, (!text.is_empty()).then_some(text.as_bytes())))
                .collect();
            let tree = repo.bare.tree_with(parent.map(String::as_str), &files);
            let me = s.who(self.id).signature();
            let parents: Vec<&str> = parent.iter().map(|p| p.as_str()).collect();
            let new = repo.bare.commit(&tree, &parents, message, (&me, &me), now);
            put(s, rid, branch, &new)?;
            Ok(new)
        })
    }

    /// Puts a branch at a commit, whatever it was.
    pub fn force_push(&self, repo: &str, branch: &str, sha: &str) -> Done {
        self.act(repo, |s, rid| put(s, rid, branch, sha))
    }

    /// Merges one branch into another with git, as from a clone, and pushes: the merge commit.
    pub fn merge_by_git(&self, repo: &str, into: &str, from: &str) -> Done<String> {
        self.act(repo, |s, rid| {
            let (repo, now) = (&s.repos[&rid], s.now());
            let (ours, theirs) = (&repo.heads[into], &repo.heads[from]);
            let super::bare::MergeTree::Clean(tree) = repo.bare.merge_tree(ours, theirs) else {
                return Err(Refusal::new(409, "Merge conflict"));
            };
            let me = s.who(self.id).signature();
            let message = format!("Merge branch '{from}' into {into}\n");
            let parents = [ours.as_str(), theirs.as_str()];
            let new = repo.bare.commit(&tree, &parents, &message, (&me, &me), now);
            put(s, rid, into, &new)?;
            Ok(new)
        })
    }

    /// Deletes a branch.
    pub fn delete_branch(&self, repo: &str, branch: &str) -> Done {
        self.act(repo, |s, rid| {
            let name = format!("refs/heads/{branch}");
            s.repos[&rid].bare.git(["update-ref", "-d", &name]);
            Ok(())
        })
    }

    /// Applies the suggestion of a thread: the new commit on the head branch.
    pub fn apply_suggestion(&self, repo: &str, number: u64, thread: Id) -> Done<String> {
        self.act(repo, |s, rid| {
            let pull = s.pull(rid, number).clone();
            let thread = pull.threads.iter().find(|t| t.id == thread);
            let thread = thread.ok_or_else(Refusal::missing)?;
            let outdated = || Refusal::new(422, "Suggestion is outdated");
            let last = usize::try_from(thread.line.ok_or_else(outdated)?).unwrap();
            let first = thread
                .start_line
                .map_or(last, |l| usize::try_from(l).unwrap());
            let said = &thread.comments[0].body;
            let (_, rest) = said.split_once("```suggestion\n").ok_or_else(outdated)?;
            let (text, _) = rest.split_once("```").ok_or_else(outdated)?;
            let head_repo = &s.repos[&pull.head_repo];
            let old = head_repo
                .bare
                .file(&pull.head_sha, &thread.path)
                .ok_or_else(outdated)?;
            let old = String::from_utf8_lossy(&old).into_owned();
            let lines: Vec<&str> = old.split_inclusive('\n').collect();
            let mut new = lines[..first - 1].concat();
            new.push_str(text);
            new.push_str(&lines[last..].concat());
            let files = [(thread.path.as_str(), Some(new.as_bytes()))];
            let tree = head_repo.bare.tree_with(Some(&pull.head_sha), &files);
            let me = s.who(self.id).signature();
            let author = s.who(thread.comments[0].user).signature();
            let message = format!("Update {}\n\nCo-authored-by: {author}\n", thread.path);
            let people = (me.as_str(), "GitHub <noreply@github.com>");
            let new = head_repo
                .bare
                .commit(&tree, &[&pull.head_sha], &message, people, s.now());
            let (head_repo, branch) = (pull.head_repo, pull.head_ref.clone());
            put(s, head_repo, &branch, &new)?;
            Ok(new)
        })
    }

    /// GitHub binds a review to another commit, or to none.
    pub fn rebind(&self, repo: &str, number: u64, review: Id, commit: Option<&str>) -> Done {
        self.act(repo, |s, rid| {
            let reviews = &mut s.pull_mut(rid, number).reviews;
            let review = reviews.iter_mut().find(|r| r.id == review);
            let review = review.ok_or_else(Refusal::missing)?;
            review.commit = commit.map(str::to_owned);
            Ok(())
        })
    }

    /// Gives somebody another role.
    pub fn invite(&self, repo: &str, login: &str, permission: Permission) -> Done {
        self.act(repo, |s, rid| {
            let id = account(s, login);
            let repo = s.repos.get_mut(&rid).unwrap();
            repo.collaborators.insert(id, permission);
            Ok(())
        })
    }
}

fn write_access(state: &State, rid: Id, who: Id) -> Result<(), Refusal> {
    if state.permission(&state.repos[&rid], who) >= Permission::Write {
        return Ok(());
    }
    Err(Refusal::new(403, "Must have push access to repository."))
}

fn put(state: &mut State, rid: Id, branch: &str, sha: &str) -> Result<(), Refusal> {
    let name = format!("refs/heads/{branch}");
    state.repos[&rid]
        .bare
        .set_ref(&name, sha, None)
        .map_err(|error| Refusal::new(422, error))
}
