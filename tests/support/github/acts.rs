//! What people do to pull requests besides opening and merging them.

use super::diff;
use super::refusal::{Refusal, check_body};
use super::state::{Comment, Id, Permission, Review, ReviewComment, ReviewState, State, Thread};

/// A remark for a review: on lines of the new side, or on a file as a whole.
#[derive(Debug, Clone)]
pub struct Remark {
    pub path: String,
    pub lines: Option<(u64, u64)>,
    pub body: String,
}

impl Remark {
    /// On one line.
    pub fn line(path: &str, line: u64, body: &str) -> Self {
        Self::lines(path, line, line, body)
    }

    /// From one line to another.
    pub fn lines(path: &str, first: u64, last: u64, body: &str) -> Self {
        Self {
            path: path.into(),
            lines: Some((first, last)),
            body: body.into(),
        }
    }

    /// On the file.
    pub fn file(path: &str, body: &str) -> Self {
        Self {
            path: path.into(),
            lines: None,
            body: body.into(),
        }
    }

    /// Suggests other text for the lines.
    pub fn suggesting(mut self, text: &str) -> Self {
        let text = text.trim_end_matches('\n');
        self.body
            .push_str(&format!("\n```suggestion\n{text}\n```\n"));
        self
    }
}

impl State {
    /// Gives a review on the head, or on an older commit.
    #[expect(clippy::too_many_arguments, reason = "all that a review is made of")]
    pub fn review(
        &mut self,
        rid: Id,
        number: u64,
        user: Id,
        state: ReviewState,
        body: &str,
        commit: Option<&str>,
        remarks: &[Remark],
    ) -> Result<Id, Refusal> {
        let refuse = |what: &str| Err(Refusal::invalid("PullRequestReview", what));
        let pull = self.pull(rid, number);
        let own = pull.author == user;
        match state {
            ReviewState::Approved if own => {
                return refuse("Can not approve your own pull request");
            }
            ReviewState::ChangesRequested if own => {
                return refuse("Can not request changes on your own pull request");
            }
            ReviewState::ChangesRequested if body.is_empty() && remarks.is_empty() => {
                return refuse("You need to leave a comment indicating the requested changes.");
            }
            _ => {}
        }
        check_body("PullRequestReview", Some(body))?;
        let head = pull.head_sha.clone();
        let commit = commit.unwrap_or(&head).to_owned();
        let bare = self.repos[&rid].bare.clone();
        let base = self.repos[&rid].heads.get(&pull.base_ref);
        let base = base.unwrap_or(&pull.base_sha).clone();
        let now = self.now();
        let id = self.fresh();
        let mut threads = Vec::new();
        for remark in remarks {
            check_body("PullRequestReviewComment", Some(&remark.body))?;
            let last = remark.lines.map(|(_, last)| last);
            let hunk = diff::hunk(&bare, &base, &commit, &remark.path, last).ok_or_else(|| {
                let field = if last.is_some() { "line" } else { "path" };
                Refusal::field("PullRequestReviewComment", field, "could not be resolved")
            })?;
            let first = remark
                .lines
                .and_then(|(first, last)| (first < last).then_some(first));
            let comment = ReviewComment {
                id: self.fresh(),
                review: id,
                user,
                body: remark.body.clone(),
                at: now,
                edited: None,
                reply_to: None,
            };
            let mut thread = Thread {
                id: self.fresh(),
                path: remark.path.clone(),
                line: last,
                start_line: first,
                original_line: last,
                original_start_line: first,
                on_file: last.is_none(),
                outdated: false,
                resolved_by: None,
                commit: commit.clone(),
                original_commit: commit.clone(),
                hunk,
                comments: vec![comment],
            };
            diff::move_thread(&bare, &mut thread, &head);
            threads.push(thread);
        }
        let review = Review {
            id,
            user,
            body: body.to_owned(),
            state,
            commit: Some(commit),
            at: now,
            edited: None,
        };
        let pull = self.pull_mut(rid, number);
        pull.reviews.push(review);
        pull.threads.extend(threads);
        pull.requested.retain(|one| *one != user);
        pull.updated = now;
        Ok(id)
    }

    /// Answers in a thread, which GitHub keeps as a review without words.
    pub fn reply(
        &mut self,
        rid: Id,
        number: u64,
        user: Id,
        thread: Id,
        body: &str,
    ) -> Result<Id, Refusal> {
        if body.trim().is_empty() {
            return Err(Refusal::field(
                "PullRequestReviewComment",
                "body",
                "missing_field",
            ));
        }
        check_body("PullRequestReviewComment", Some(body))?;
        let (now, review, id) = (self.now(), self.fresh(), self.fresh());
        let pull = self.pull_mut(rid, number);
        let head = pull.head_sha.clone();
        let thread = pull
            .threads
            .iter_mut()
            .find(|t| t.id == thread)
            .ok_or_else(Refusal::missing)?;
        let first = thread.comments.first().map(|c| c.id);
        thread.comments.push(ReviewComment {
            id,
            review,
            user,
            body: body.to_owned(),
            at: now,
            edited: None,
            reply_to: first,
        });
        pull.reviews.push(Review {
            id: review,
            user,
            body: String::new(),
            state: ReviewState::Commented,
            commit: Some(head),
            at: now,
            edited: None,
        });
        pull.updated = now;
        Ok(id)
    }

    /// Dismisses an approval or a request for changes.
    pub fn dismiss(&mut self, rid: Id, number: u64, review: Id) -> Result<(), Refusal> {
        let now = self.now();
        let pull = self.pull_mut(rid, number);
        pull.updated = now;
        let review = pull.reviews.iter_mut().find(|r| r.id == review);
        let review = review.ok_or_else(Refusal::missing)?;
        if review.state == ReviewState::Commented {
            let what = "Can not dismiss a commented pull request review";
            return Err(Refusal::invalid("PullRequestReview", what));
        }
        review.state = ReviewState::Dismissed;
        Ok(())
    }

    /// Comments in the conversation.
    pub fn comment(&mut self, rid: Id, number: u64, user: Id, body: &str) -> Result<Id, Refusal> {
        check_comment(body)?;
        let (id, at) = (self.fresh(), self.now());
        let pull = self.pull_mut(rid, number);
        pull.comments.push(Comment {
            id,
            user,
            body: body.to_owned(),
            at,
            edited: None,
            reactions: Vec::new(),
        });
        pull.updated = at;
        Ok(id)
    }

    /// Changes a comment's text.
    pub fn edit_comment(&mut self, rid: Id, id: Id, by: Id, body: &str) -> Result<(), Refusal> {
        check_comment(body)?;
        let now = self.now();
        let pulls = &mut self.repos.get_mut(&rid).unwrap().pulls;
        let comment = pulls
            .iter_mut()
            .flat_map(|p| &mut p.comments)
            .find(|c| c.id == id)
            .ok_or_else(Refusal::missing)?;
        if comment.body != body {
            body.clone_into(&mut comment.body);
            comment.edited = Some((now, by));
        }
        Ok(())
    }

    /// Resolves a thread, or opens it again.
    pub fn resolve(
        &mut self,
        rid: Id,
        number: u64,
        by: Id,
        thread: Id,
        resolved: bool,
    ) -> Result<(), Refusal> {
        let repo = &self.repos[&rid];
        let may = self.permission(repo, by) >= Permission::Write;
        let pull = self.pull_mut(rid, number);
        let own = pull.author == by;
        let thread = pull.threads.iter_mut().find(|t| t.id == thread);
        let thread = thread.ok_or_else(Refusal::missing)?;
        if !may && !own && thread.comments.first().is_none_or(|c| c.user != by) {
            return Err(Refusal::new(
                403,
                "Resource not accessible by personal access token",
            ));
        }
        thread.resolved_by = resolved.then_some(by);
        Ok(())
    }
}

fn check_comment(body: &str) -> Result<(), Refusal> {
    if body.trim().is_empty() {
        return Err(Refusal::field("IssueComment", "body", "missing_field"));
    }
    check_body("IssueComment", Some(body)).map_err(|mut refusal| {
        refusal.errors[0]["code"] = "unprocessable".into();
        refusal.errors[0]["field"] = "data".into();
        refusal.errors[0]["message"] = "Body is too long (maximum is 65536 characters)".into();
        refusal
    })
}
