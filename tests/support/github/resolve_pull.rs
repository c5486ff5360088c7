//! The fields of the GraphQL interface: pull requests, reviews, threads, comments.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::{Got, Node, Resolved, leaf};
use super::render::{REACTIONS, node, time};
use super::state::{Comment, Edit, Id, Kind, Permission, Pull, Repo, ReviewState, State};

/// `OPEN`, `CLOSED` or `MERGED`.
pub fn state_name(pull: &Pull) -> &'static str {
    match (&pull.merged, pull.open()) {
        (Some(_), _) => "MERGED",
        (None, true) => "OPEN",
        (None, false) => "CLOSED",
    }
}

fn maybe_time(at: Option<Timestamp>) -> Resolved {
    leaf(at.map(time))
}

/// A page's address and what is the same in all that people write.
struct Written<'a> {
    state: &'a State,
    repo: &'a Repo,
    pull: &'a Pull,
    me: Id,
    user: Id,
    body: &'a str,
    at: Timestamp,
    edited: Option<Edit>,
    anchor: String,
}

impl Written<'_> {
    fn field(&self, name: &str) -> Resolved {
        let path = format!(
            "/{}/pull/{}{}",
            self.state.full_name(self.repo),
            self.pull.number,
            self.anchor
        );
        let level = self.state.permission(self.repo, self.me);
        match name {
            "author" => Ok(Got::One(Node::Actor(self.user))),
            "authorAssociation" => leaf(self.state.association(self.repo, self.user)),
            "body" | "bodyText" => leaf(self.body),
            "bodyHTML" => leaf(format!("<p>{}</p>", self.body)),
            "createdAt" | "publishedAt" | "submittedAt" => leaf(time(self.at)),
            "updatedAt" => leaf(time(self.edited.map_or(self.at, |(at, _)| at))),
            "lastEditedAt" => maybe_time(self.edited.map(|(at, _)| at)),
            "editor" => Ok(Got::maybe(self.edited.map(|(_, by)| Node::Actor(by)))),
            "includesCreatedEdit" => leaf(self.edited.is_some()),
            "viewerDidAuthor" => leaf(self.me == self.user),
            "viewerCanUpdate" => leaf(self.me == self.user || level >= Permission::Write),
            "viewerCanReact" => leaf(true),
            "isMinimized" | "createdViaEmail" => leaf(false),
            "url" => leaf(format!("{}{path}", self.state.address)),
            "resourcePath" => leaf(path),
            "repository" => Ok(Got::One(Node::Repo(self.repo.id))),
            "pullRequest" => Ok(Got::One(Node::Pull(self.repo.id, self.pull.number))),
            _ => Err(String::new()),
        }
    }
}

pub fn pull(state: &mut State, me: Id, at: (Id, u64), name: &str, args: &Value) -> Resolved {
    let (rid, number) = at;
    match name {
        "mergeable" => {
            return leaf(match state.mergeable(rid, number) {
                None => "UNKNOWN",
                Some(true) => "MERGEABLE",
                Some(false) => "CONFLICTING",
            });
        }
        "mergeStateStatus" => {
            let word = if state.pull(rid, number).open() {
                state.merge_state(rid, number)
            } else {
                "UNKNOWN"
            };
            return leaf(word);
        }
        _ => {}
    }
    let state = &*state;
    let (repo, pull) = (&state.repos[&rid], state.pull(rid, number));
    match name {
        "id" => leaf(node("PR", pull.id)),
        "databaseId" => leaf(pull.id),
        "fullDatabaseId" => leaf(pull.id.to_string()),
        "number" => leaf(number),
        "title" => leaf(pull.title.as_str()),
        "state" => leaf(state_name(pull)),
        "isDraft" => leaf(pull.draft),
        "closed" => leaf(!pull.open()),
        "closedAt" => maybe_time(pull.closed),
        "updatedAt" => leaf(time(pull.updated)),
        "merged" => leaf(pull.merged.is_some()),
        "mergedAt" => maybe_time(pull.merged.as_ref().map(|m| m.at)),
        "mergedBy" => Ok(Got::maybe(pull.merged.as_ref().map(|m| Node::Actor(m.by)))),
        "mergeCommit" => {
            let commit = pull
                .merged
                .as_ref()
                .map(|m| Node::Commit(rid, m.commit.clone()));
            Ok(Got::maybe(commit))
        }
        "permalink" => leaf(format!(
            "{}/{}/pull/{number}",
            state.address,
            state.full_name(repo)
        )),
        "headRefName" => leaf(pull.head_ref.as_str()),
        "headRefOid" => leaf(pull.head_sha.as_str()),
        "baseRefName" => leaf(pull.base_ref.as_str()),
        "baseRefOid" => leaf(
            repo.heads
                .get(&pull.base_ref)
                .unwrap_or(&pull.base_sha)
                .as_str(),
        ),
        "headRef" => {
            let there = state.repos[&pull.head_repo]
                .heads
                .contains_key(&pull.head_ref);
            let branch = there.then(|| Node::Ref(pull.head_repo, pull.head_ref.clone()));
            Ok(Got::maybe(branch))
        }
        "baseRef" => {
            let there = repo.heads.contains_key(&pull.base_ref);
            Ok(Got::maybe(
                there.then(|| Node::Ref(rid, pull.base_ref.clone())),
            ))
        }
        "headRepository" => Ok(Got::One(Node::Repo(pull.head_repo))),
        "headRepositoryOwner" => Ok(Got::One(Node::Actor(state.repos[&pull.head_repo].owner))),
        "baseRepository" => Ok(Got::One(Node::Repo(rid))),
        "isCrossRepository" => leaf(pull.head_repo != rid),
        "locked" | "maintainerCanModify" => leaf(false),
        "isInMergeQueue" => leaf(pull.queued.is_some()),
        "isMergeQueueEnabled" => leaf(repo.protection(&pull.base_ref).is_some_and(|p| p.queue)),
        "mergeQueueEntry" => match pull.queued {
            Some(_) => Ok(queue_entry(state, rid, number)),
            None => leaf(Value::Null),
        },
        "autoMergeRequest" => leaf(Value::Null),
        "reviewDecision" => leaf(state.decision(rid, number)),
        "statusCheckRollup" => {
            let some = state.rollup(rid, &pull.head_sha).is_some();
            Ok(Got::maybe(
                some.then(|| Node::Rollup(rid, pull.head_sha.clone())),
            ))
        }
        "totalCommentsCount" => leaf(pull.comments.len()),
        "reactionGroups" => leaf(json!([])),
        "changedFiles" | "additions" | "deletions" => size(repo, pull, name),
        "labels"
        | "reviewRequests"
        | "reviews"
        | "latestReviews"
        | "latestOpinionatedReviews"
        | "reviewThreads"
        | "comments"
        | "commits"
        | "assignees" => Ok(lists(state, repo, pull, name, args)),
        _ => Written {
            state,
            repo,
            pull,
            me,
            user: pull.author,
            body: pull.body.as_deref().unwrap_or_default(),
            at: pull.created,
            edited: pull.edited,
            anchor: String::new(),
        }
        .field(name),
    }
}

fn size(repo: &Repo, pull: &Pull, name: &str) -> Resolved {
    let (files, additions, deletions) = repo.bare.stat(&pull.base_sha, &pull.head_sha);
    leaf(match name {
        "additions" => additions,
        "deletions" => deletions,
        _ => files,
    })
}

fn lists(state: &State, repo: &Repo, pull: &Pull, name: &str, args: &Value) -> Got {
    let (rid, number) = (repo.id, pull.number);
    let review = |id: Id| Node::Review(rid, number, id);
    match name {
        "labels" => {
            let labels = pull.labels.iter().map(|l| Node::Label(rid, l.clone()));
            Got::Connection("Label", labels.collect())
        }
        "reviewRequests" => {
            let whom = pull.requested.iter();
            let whom = whom
                .map(|id| Node::ReviewRequest(rid, number, *id))
                .collect();
            Got::Connection("ReviewRequest", whom)
        }
        "reviews" => {
            let author = args["author"].as_str();
            let states = args["states"].as_array();
            let reviews = pull.reviews.iter().filter(|r| {
                author.is_none_or(|a| state.who(r.user).name == a)
                    && states.is_none_or(|s| s.iter().any(|s| s == r.state.name()))
            });
            Got::Connection("PullRequestReview", reviews.map(|r| review(r.id)).collect())
        }
        "latestReviews" | "latestOpinionatedReviews" => {
            let opinions = name == "latestOpinionatedReviews";
            let mut newest: Vec<(Id, Id)> = Vec::new();
            for one in &pull.reviews {
                if opinions && one.state == ReviewState::Commented {
                    continue;
                }
                newest.retain(|(user, _)| *user != one.user);
                newest.push((one.user, one.id));
            }
            if args["writersOnly"] == true {
                newest.retain(|(user, _)| state.permission(repo, *user) >= Permission::Write);
            }
            let nodes = newest.iter().map(|(_, id)| review(*id)).collect();
            Got::Connection("PullRequestReview", nodes)
        }
        "reviewThreads" => {
            let threads = pull.threads.iter().map(|t| Node::Thread(rid, number, t.id));
            Got::Connection("PullRequestReviewThread", threads.collect())
        }
        "comments" => {
            let comments = pull
                .comments
                .iter()
                .map(|c| Node::Comment(rid, number, c.id));
            Got::Connection("IssueComment", comments.collect())
        }
        "commits" => {
            let commits = repo.bare.commits(&pull.base_sha, &pull.head_sha);
            let nodes = commits.into_iter().map(|sha| {
                let fields = json!({"id": format!("PRC_{sha}")});
                let inside = vec![
                    ("commit", Got::One(Node::Commit(rid, sha))),
                    ("pullRequest", Got::One(Node::Pull(rid, number))),
                ];
                match Got::plain("PullRequestCommit", fields, inside) {
                    Got::One(node) => node,
                    _ => unreachable!("a plain object is one"),
                }
            });
            Got::Connection("PullRequestCommit", nodes.collect())
        }
        _ => Got::Connection("User", Vec::new()),
    }
}

/// The place of a pull request in the merge queue.
pub fn queue_entry(state: &State, rid: Id, number: u64) -> Got {
    let pull = state.pull(rid, number);
    let fields = json!({
        "id": format!("MQE_kw{}", pull.id), "enqueuedAt": time(pull.updated), "jump": false,
        "position": 1, "solo": false, "state": "QUEUED", "estimatedTimeToMerge": null,
    });
    let head = Got::maybe(pull.queued.clone().map(|sha| Node::Commit(rid, sha)));
    let inside = vec![
        ("pullRequest", Got::One(Node::Pull(rid, number))),
        ("headCommit", head),
        ("enqueuer", Got::One(Node::Actor(pull.author))),
    ];
    Got::plain("MergeQueueEntry", fields, inside)
}

pub fn review(state: &State, me: Id, at: (Id, u64, Id), name: &str) -> Resolved {
    let (rid, number, id) = at;
    let (repo, pull) = (&state.repos[&rid], state.pull(rid, number));
    let review = pull.reviews.iter().find(|r| r.id == id).unwrap();
    match name {
        "id" => leaf(node("PRR", id)),
        "databaseId" => leaf(id),
        "fullDatabaseId" => leaf(id.to_string()),
        "state" => leaf(review.state.name()),
        "commit" => {
            let there = review
                .commit
                .clone()
                .filter(|sha| repo.bare.has_commit(sha));
            Ok(Got::maybe(there.map(|sha| Node::Commit(rid, sha))))
        }
        "authorCanPushToRepository" => {
            leaf(state.permission(repo, review.user) >= Permission::Write)
        }
        "comments" => {
            let mut nodes = Vec::new();
            for thread in &pull.threads {
                let mine = thread.comments.iter().filter(|c| c.review == id);
                nodes.extend(mine.map(|c| Node::Remark(rid, number, thread.id, c.id)));
            }
            Ok(Got::Connection("PullRequestReviewComment", nodes))
        }
        "reactionGroups" => leaf(json!([])),
        _ => Written {
            state,
            repo,
            pull,
            me,
            user: review.user,
            body: &review.body,
            at: review.at,
            edited: review.edited,
            anchor: format!("#pullrequestreview-{id}"),
        }
        .field(name),
    }
}

pub fn thread(state: &State, me: Id, at: (Id, u64, Id), name: &str) -> Resolved {
    let (rid, number, id) = at;
    let (repo, pull) = (&state.repos[&rid], state.pull(rid, number));
    let thread = pull.threads.iter().find(|t| t.id == id).unwrap();
    let may = state.permission(repo, me) >= Permission::Write || pull.author == me;
    match name {
        "id" => leaf(node("PRRT", id)),
        "path" => leaf(thread.path.as_str()),
        "isResolved" | "isCollapsed" => leaf(thread.resolved_by.is_some()),
        "isOutdated" => leaf(thread.outdated),
        "line" => leaf(thread.line),
        "startLine" => leaf(thread.start_line),
        "originalLine" => leaf(thread.original_line),
        "originalStartLine" => leaf(thread.original_start_line),
        "diffSide" => leaf("RIGHT"),
        "startDiffSide" => leaf(thread.original_start_line.map(|_| "RIGHT")),
        "subjectType" => leaf(if thread.on_file { "FILE" } else { "LINE" }),
        "resolvedBy" => {
            let by = thread
                .resolved_by
                .filter(|id| state.who(*id).kind == Kind::User);
            Ok(Got::maybe(by.map(Node::Actor)))
        }
        "viewerCanReply" => leaf(true),
        "viewerCanResolve" => leaf(may && thread.resolved_by.is_none()),
        "viewerCanUnresolve" => leaf(may && thread.resolved_by.is_some()),
        "comments" => {
            let remarks = thread
                .comments
                .iter()
                .map(|c| Node::Remark(rid, number, id, c.id));
            Ok(Got::Connection(
                "PullRequestReviewComment",
                remarks.collect(),
            ))
        }
        "pullRequest" => Ok(Got::One(Node::Pull(rid, number))),
        "repository" => Ok(Got::One(Node::Repo(rid))),
        _ => Err(String::new()),
    }
}

pub fn remark(state: &State, me: Id, at: (Id, u64, Id, Id), name: &str) -> Resolved {
    let (rid, number, thread, id) = at;
    let (repo, pull) = (&state.repos[&rid], state.pull(rid, number));
    let thread = pull.threads.iter().find(|t| t.id == thread).unwrap();
    let remark = thread.comments.iter().find(|c| c.id == id).unwrap();
    let commit = |sha: &str| Ok(Got::One(Node::Commit(rid, sha.to_owned())));
    match name {
        "id" => leaf(node("PRRC", id)),
        "databaseId" => leaf(id),
        "fullDatabaseId" => leaf(id.to_string()),
        "diffHunk" => leaf(thread.hunk.as_str()),
        "path" => leaf(thread.path.as_str()),
        "line" => leaf(thread.line),
        "startLine" => leaf(thread.start_line),
        "originalLine" => leaf(thread.original_line),
        "originalStartLine" => leaf(thread.original_start_line),
        "outdated" => leaf(thread.outdated),
        "subjectType" => leaf(if thread.on_file { "FILE" } else { "LINE" }),
        "state" => leaf("SUBMITTED"),
        "draftedAt" => leaf(time(remark.at)),
        "commit" => commit(&thread.commit),
        "originalCommit" => commit(&thread.original_commit),
        "pullRequestReview" => Ok(Got::One(Node::Review(rid, number, remark.review))),
        "replyTo" => {
            let to = remark
                .reply_to
                .map(|to| Node::Remark(rid, number, thread.id, to));
            Ok(Got::maybe(to))
        }
        "reactionGroups" => leaf(json!([])),
        _ => Written {
            state,
            repo,
            pull,
            me,
            user: remark.user,
            body: &remark.body,
            at: remark.at,
            edited: remark.edited,
            anchor: format!("#discussion_r{id}"),
        }
        .field(name),
    }
}

pub fn comment(state: &State, me: Id, at: (Id, u64, Id), name: &str) -> Resolved {
    let (rid, number, id) = at;
    let (repo, pull) = (&state.repos[&rid], state.pull(rid, number));
    let comment = pull.comments.iter().find(|c| c.id == id).unwrap();
    match name {
        "id" => leaf(node("IC", id)),
        "databaseId" => leaf(id),
        "fullDatabaseId" => leaf(id.to_string()),
        "reactionGroups" => Ok(reaction_groups(comment, me)),
        _ => Written {
            state,
            repo,
            pull,
            me,
            user: comment.user,
            body: &comment.body,
            at: comment.at,
            edited: comment.edited,
            anchor: format!("#issuecomment-{id}"),
        }
        .field(name),
    }
}

/// One group for each kind of reaction, used or not.
fn reaction_groups(comment: &Comment, me: Id) -> Got {
    let groups = REACTIONS.iter().map(|(content, name)| {
        let given = || {
            comment
                .reactions
                .iter()
                .filter(move |r| r.content == *content)
        };
        let fields = json!({
            "content": name,
            "createdAt": given().next().map(|r| time(r.at)),
            "viewerHasReacted": given().any(|r| r.user == me),
        });
        let people: Vec<Node> = given().map(|r| Node::Actor(r.user)).collect();
        let inside = vec![
            ("reactors", Got::Connection("Reactor", people.clone())),
            ("users", Got::Connection("ReactingUser", people)),
        ];
        match Got::plain("ReactionGroup", fields, inside) {
            Got::One(node) => node,
            _ => unreachable!("a plain object is one"),
        }
    });
    Got::List(groups.collect())
}
