//! What pull requests do: follow their branches, close, become merged, be refused.

use super::bare::MergeTree;
use super::diff;
use super::refusal::{Refusal, check_body};
use super::state::{
    Id, Kind, Merged, Permission, Protection, Pull, PullState, Repo, ReviewState, State,
};

/// A new pull request, as asked for.
pub struct NewPull<'a> {
    pub title: &'a str,
    /// `branch` or `owner:branch`.
    pub head: &'a str,
    pub base: &'a str,
    pub body: Option<&'a str>,
    pub draft: bool,
}

impl State {
    /// Opens a pull request.
    pub fn open_pull(&mut self, rid: Id, author: Id, new: &NewPull) -> Result<u64, Refusal> {
        let base_repo = &self.repos[&rid];
        if new.title.trim().is_empty() {
            return Err(Refusal::field("PullRequest", "title", "missing_field"));
        }
        check_body("PullRequest", new.body)?;
        let owner = self.who(base_repo.owner).login();
        let (head_owner, head_ref) = new.head.split_once(':').unwrap_or((&owner, new.head));
        let invalid_head = || Refusal::field("PullRequest", "head", "invalid");
        let head_repo = if head_owner.eq_ignore_ascii_case(&owner) {
            base_repo
        } else {
            self.repos
                .values()
                .find(|r| {
                    r.fork_of == Some(rid)
                        && self.who(r.owner).login().eq_ignore_ascii_case(head_owner)
                })
                .ok_or_else(invalid_head)?
        };
        let head_sha = head_repo.heads.get(head_ref).ok_or_else(invalid_head)?;
        let base_sha = base_repo
            .heads
            .get(new.base)
            .ok_or_else(|| Refusal::field("PullRequest", "base", "invalid"))?;
        let taken = base_repo.pulls.iter().any(|p| {
            p.open()
                && p.head_repo == head_repo.id
                && p.head_ref == head_ref
                && p.base_ref == new.base
        });
        if taken {
            let what = format!("A pull request already exists for {head_owner}:{head_ref}.");
            return Err(Refusal::invalid("PullRequest", what));
        }
        let number = base_repo.pulls.len() as u64 + 1;
        if head_repo.id != rid {
            let spec = format!("+refs/heads/{head_ref}:refs/pull/{number}/head");
            base_repo
                .bare
                .git(["fetch", "--quiet", head_repo.bare.text(), &spec]);
        }
        if base_repo.bare.contains(base_sha, head_sha) {
            let what = format!("No commits between {} and {head_ref}", new.base);
            return Err(Refusal::invalid("PullRequest", what));
        }
        let pull = Pull {
            id: 0,
            number,
            author,
            title: new.title.to_owned(),
            body: new.body.map(str::to_owned),
            state: PullState::Open,
            draft: new.draft,
            head_repo: head_repo.id,
            head_ref: head_ref.to_owned(),
            head_sha: head_sha.clone(),
            base_ref: new.base.to_owned(),
            base_sha: base_sha.clone(),
            created: self.now(),
            updated: self.now(),
            closed: None,
            merged: None,
            labels: Vec::new(),
            requested: Vec::new(),
            reviews: Vec::new(),
            threads: Vec::new(),
            comments: Vec::new(),
            edited: None,
            computed: None,
            queued: None,
        };
        let name = format!("refs/pull/{number}/head");
        base_repo.bare.set_ref(&name, &pull.head_sha, None).unwrap();
        let id = self.fresh();
        let pulls = &mut self.repos.get_mut(&rid).unwrap().pulls;
        pulls.push(Pull { id, ..pull });
        Ok(number)
    }

    /// Looks at the branches of every repository and lets the pull requests follow.
    pub fn sync(&mut self) {
        let mut moved = Vec::new();
        let now = self.now();
        for repo in self.repos.values_mut() {
            let heads = repo.bare.heads();
            if heads == repo.heads {
                continue;
            }
            let before = std::mem::replace(&mut repo.heads, heads);
            repo.pushed = now;
            let names = before.keys().chain(repo.heads.keys());
            let mut names: Vec<String> = names.cloned().collect();
            names.sort();
            names.dedup();
            for name in names {
                if before.get(&name) != repo.heads.get(&name) {
                    moved.push((repo.id, name));
                }
            }
        }
        if moved.is_empty() {
            return;
        }
        let open: Vec<(Id, u64)> = self
            .repos
            .values()
            .flat_map(|r| {
                r.pulls
                    .iter()
                    .filter(|p| p.open())
                    .map(|p| (r.id, p.number))
            })
            .collect();
        for (rid, number) in open {
            let pull = self.pull(rid, number);
            let head_moved = moved.contains(&(pull.head_repo, pull.head_ref.clone()));
            let base_moved = moved.contains(&(rid, pull.base_ref.clone()));
            if head_moved {
                self.head_moved(rid, number, base_moved);
            }
            if base_moved && self.pull(rid, number).open() {
                self.base_moved(rid, number);
            }
        }
    }

    /// Who is pushing to a repository, or its owner when nobody says.
    fn pusher(&self, rid: Id) -> Id {
        let repo = &self.repos[&rid];
        repo.pushing.last().copied().unwrap_or(repo.owner)
    }

    fn close(&mut self, rid: Id, number: u64) {
        let now = self.now();
        let pull = self.pull_mut(rid, number);
        pull.state = PullState::Closed;
        pull.closed = Some(now);
        pull.updated = now;
        pull.queued = None;
    }

    fn head_moved(&mut self, rid: Id, number: u64, base_moved: bool) {
        let now = self.now();
        let pull = self.pull(rid, number).clone();
        let Some(head) = self.repos[&pull.head_repo]
            .heads
            .get(&pull.head_ref)
            .cloned()
        else {
            self.close(rid, number);
            return;
        };
        let repo = &self.repos[&rid];
        let pull_ref = format!("refs/pull/{number}/head");
        if pull.head_repo != rid {
            let from = self.repos[&pull.head_repo].bare.text().to_owned();
            let spec = format!("+refs/heads/{}:{pull_ref}", pull.head_ref);
            repo.bare.git(["fetch", "--quiet", &from, &spec]);
        }
        let Some(base) = repo.heads.get(&pull.base_ref).cloned() else {
            return;
        };
        if !base_moved && repo.bare.contains(&base, &head) {
            self.close(rid, number);
            return;
        }
        repo.bare.set_ref(&pull_ref, &head, None).unwrap();
        let dismisses = repo
            .protection(&pull.base_ref)
            .is_some_and(|p| p.dismiss_stale);
        let stale = dismisses
            && diff::patch(&repo.bare, &pull.base_sha, &pull.head_sha)
                != diff::patch(&repo.bare, &base, &head);
        let bare = repo.bare.clone();
        let pull = self.pull_mut(rid, number);
        for thread in pull.threads.iter_mut().filter(|t| !t.outdated) {
            diff::move_thread(&bare, thread, &head);
        }
        for review in &mut pull.reviews {
            if stale && review.state == ReviewState::Approved {
                review.state = ReviewState::Dismissed;
            }
        }
        pull.head_sha = head;
        pull.base_sha = base;
        pull.updated = now;
        pull.queued = None;
    }

    fn base_moved(&mut self, rid: Id, number: u64) {
        let pull = self.pull(rid, number);
        let repo = &self.repos[&rid];
        let Some(base) = repo.heads.get(&pull.base_ref) else {
            self.close(rid, number);
            return;
        };
        if repo.bare.contains(base, &pull.head_sha) {
            // The oldest commit of the base's own line that has the head in it.
            let range = format!("{}..{base}", pull.head_sha);
            let line = repo
                .bare
                .try_git(["rev-list", "--first-parent", "--reverse", &range])
                .unwrap_or_default();
            let commit = line
                .lines()
                .find(|c| repo.bare.contains(c, &pull.head_sha))
                .filter(|_| !on_first_parents(repo, base, &pull.head_sha))
                .unwrap_or(&pull.head_sha)
                .to_owned();
            let by = self.pusher(rid);
            self.set_merged(rid, number, by, commit);
        }
    }

    /// Marks a pull request as merged.
    pub fn set_merged(&mut self, rid: Id, number: u64, by: Id, commit: String) {
        self.close(rid, number);
        let at = self.now();
        self.pull_mut(rid, number).merged = Some(Merged { at, by, commit });
    }

    /// Closes or opens again.
    pub fn set_state(&mut self, rid: Id, number: u64, open: bool) -> Result<(), Refusal> {
        let pull = self.pull(rid, number);
        if open == pull.open() {
            return Ok(());
        }
        if !open {
            self.close(rid, number);
            return Ok(());
        }
        let refuse = |what: &str| Err(Refusal::invalid("PullRequest", what));
        if pull.merged.is_some() {
            return refuse("state cannot be changed. The pull request is already merged.");
        }
        let Some(head) = self.repos[&pull.head_repo]
            .heads
            .get(&pull.head_ref)
            .cloned()
        else {
            return refuse("state cannot be changed. The branch has been deleted.");
        };
        let repo = &self.repos[&rid];
        if !repo.heads.contains_key(&pull.base_ref) {
            return refuse("state cannot be changed. The base branch has been deleted.");
        }
        if !repo.bare.contains(&head, &pull.head_sha) {
            let what = format!(
                "state cannot be changed. The {} branch was force-pushed or recreated.",
                pull.head_ref
            );
            return refuse(&what);
        }
        let taken = repo.pulls.iter().any(|p| {
            p.open()
                && p.head_repo == pull.head_repo
                && p.head_ref == pull.head_ref
                && p.base_ref == pull.base_ref
        });
        if taken {
            return refuse("state cannot be changed. There is already an open pull request.");
        }
        let now = self.now();
        let pull = self.pull_mut(rid, number);
        pull.state = PullState::Open;
        pull.closed = None;
        pull.updated = now;
        self.head_moved(rid, number, false);
        Ok(())
    }

    /// What merging the two would give, by git.
    pub fn merge_result(&self, rid: Id, number: u64) -> MergeTree {
        let pull = self.pull(rid, number);
        let repo = &self.repos[&rid];
        match repo.heads.get(&pull.base_ref) {
            Some(base) => repo.bare.merge_tree(base, &pull.head_sha),
            None => MergeTree::Conflict,
        }
    }

    /// Whether it can be merged: `None` until GitHub has worked it out.
    pub fn mergeable(&mut self, rid: Id, number: u64) -> Option<bool> {
        let pull = self.pull(rid, number);
        if !pull.open() {
            return None;
        }
        let base = self.repos[&rid].heads.get(&pull.base_ref)?.clone();
        let pair = (pull.head_sha.clone(), base);
        self.asked.insert((rid, number));
        (self.pull(rid, number).computed.as_ref() == Some(&pair))
            .then(|| self.merge_result(rid, number) != MergeTree::Conflict)
    }

    /// What was asked for is worked out now.
    pub fn compute_asked(&mut self) {
        for (rid, number) in std::mem::take(&mut self.asked) {
            let pull = self.pull(rid, number);
            if let Some(base) = self.repos[&rid].heads.get(&pull.base_ref) {
                let pair = (pull.head_sha.clone(), base.clone());
                self.pull_mut(rid, number).computed = Some(pair);
            }
        }
    }

    /// `mergeStateStatus`.
    pub fn merge_state(&mut self, rid: Id, number: u64) -> &'static str {
        match self.mergeable(rid, number) {
            None => return "UNKNOWN",
            Some(false) => return "DIRTY",
            Some(true) => {}
        }
        let pull = self.pull(rid, number);
        let repo = &self.repos[&rid];
        if pull.draft {
            return "DRAFT";
        }
        if self.blocked(rid, number).is_some() {
            return "BLOCKED";
        }
        let behind = !repo
            .bare
            .contains(&pull.head_sha, &repo.heads[&pull.base_ref]);
        if behind
            && repo
                .protection(&pull.base_ref)
                .is_some_and(|p| p.up_to_date)
        {
            return "BEHIND";
        }
        if matches!(self.rollup(rid, &pull.head_sha), None | Some("SUCCESS")) {
            "CLEAN"
        } else {
            "UNSTABLE"
        }
    }

    /// The newest opinion of each person with write access.
    pub fn opinions(&self, rid: Id, number: u64) -> Vec<(Id, ReviewState)> {
        let repo = &self.repos[&rid];
        let mut newest: Vec<(Id, ReviewState)> = Vec::new();
        for review in &self.pull(rid, number).reviews {
            if review.state == ReviewState::Commented {
                continue;
            }
            newest.retain(|(user, _)| *user != review.user);
            newest.push((review.user, review.state));
        }
        newest.retain(|(user, _)| self.permission(repo, *user) >= Permission::Write);
        newest
    }

    /// `reviewDecision`; `None` where no review is required.
    pub fn decision(&self, rid: Id, number: u64) -> Option<&'static str> {
        let repo = &self.repos[&rid];
        let needed = repo.protection(&self.pull(rid, number).base_ref)?.approvals;
        let opinions = self.opinions(rid, number);
        let count = |state| opinions.iter().filter(|(_, s)| *s == state).count();
        if needed == 0 {
            None
        } else if count(ReviewState::ChangesRequested) > 0 {
            Some("CHANGES_REQUESTED")
        } else if count(ReviewState::Approved) >= needed {
            Some("APPROVED")
        } else {
            Some("REVIEW_REQUIRED")
        }
    }

    /// Why protection keeps it from being merged, as GitHub words it.
    pub fn blocked(&self, rid: Id, number: u64) -> Option<String> {
        let repo = &self.repos[&rid];
        let pull = self.pull(rid, number);
        let rules = repo.protection(&pull.base_ref)?;
        match self.decision(rid, number) {
            Some("CHANGES_REQUESTED") => {
                return Some("Changes were requested by reviewers with write access.".into());
            }
            Some("REVIEW_REQUIRED") => {
                let (n, s) = (rules.approvals, if rules.approvals == 1 { "" } else { "s" });
                let verb = if n == 1 { "is" } else { "are" };
                return Some(format!(
                    "At least {n} approving review{s} {verb} required by reviewers with write access."
                ));
            }
            _ => {}
        }
        if rules.conversations && pull.threads.iter().any(|t| t.resolved_by.is_none()) {
            return Some("All comments must be resolved.".into());
        }
        rules.checks.iter().find_map(|context| {
            match self.context(rid, &pull.head_sha, context).as_deref() {
                Some("success" | "neutral" | "skipped") => None,
                Some("pending" | "queued" | "in_progress") => {
                    Some(format!("Required status check \"{context}\" is pending."))
                }
                Some(_) => Some(format!("Required status check \"{context}\" is failing.")),
                None => Some(format!("Required status check \"{context}\" is expected.")),
            }
        })
    }

    /// State of one context on a commit, from statuses and check runs.
    fn context(&self, rid: Id, sha: &str, context: &str) -> Option<String> {
        let repo = &self.repos[&rid];
        let check = repo
            .checks
            .iter()
            .rev()
            .find(|c| c.sha == sha && c.name == context);
        let check = check.map(|c| c.conclusion.clone().unwrap_or_else(|| c.status.clone()));
        let status = repo.statuses.iter().rev();
        check.or_else(|| {
            status
                .into_iter()
                .find(|s| s.sha == sha && s.context == context)
                .map(|s| s.state.clone())
        })
    }

    /// All statuses and check runs of a commit in one word; `None` when there is none.
    pub fn rollup(&self, rid: Id, sha: &str) -> Option<&'static str> {
        let repo = &self.repos[&rid];
        let statuses = repo
            .statuses
            .iter()
            .filter(|s| s.sha == sha)
            .map(|s| &s.context);
        let checks = repo.checks.iter().filter(|c| c.sha == sha).map(|c| &c.name);
        let mut worst = None;
        for context in statuses.chain(checks) {
            let state = match self.context(rid, sha, context).as_deref() {
                Some("success" | "neutral" | "skipped") => "SUCCESS",
                Some("pending" | "queued" | "in_progress") | None => "PENDING",
                Some(_) => "FAILURE",
            };
            let rank = |s: &str| {
                ["SUCCESS", "PENDING", "FAILURE"]
                    .iter()
                    .position(|x| *x == s)
            };
            if worst.is_none_or(|w| rank(state) > rank(w)) {
                worst = Some(state);
            }
        }
        worst
    }

    /// Asks people for their review.
    pub fn request_reviews(&mut self, rid: Id, number: u64, whom: &[&str]) -> Result<(), Refusal> {
        let repo = &self.repos[&rid];
        let pull = self.pull(rid, number);
        let mut found = Vec::new();
        for login in whom {
            let account = self.account(login);
            if account.is_some_and(|a| a.id == pull.author) {
                let what = "Review cannot be requested from pull request author.";
                return Err(Refusal::new(422, what));
            }
            let outsider = "Reviews may only be requested from collaborators. One or more of \
                            the users or teams you specified is not a collaborator";
            let account = account
                .filter(|a| {
                    a.kind == Kind::User
                        && (repo.owner == a.id || repo.collaborators.contains_key(&a.id))
                })
                .ok_or_else(|| {
                    let what = format!("{outsider} of the {} repository.", self.full_name(repo));
                    Refusal::new(422, what)
                })?;
            found.push(account.id);
        }
        let now = self.now();
        let pull = self.pull_mut(rid, number);
        for id in found {
            if !pull.requested.contains(&id) {
                pull.requested.push(id);
            }
        }
        pull.updated = now;
        Ok(())
    }
}

fn on_first_parents(repo: &Repo, tip: &str, commit: &str) -> bool {
    repo.bare
        .try_git(["rev-list", "--first-parent", tip])
        .is_ok_and(|line| line.lines().any(|c| c == commit))
}
