//! What the REST interface shows of the state, whole as GitHub's description asks for it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::state::{
    CheckRun, Comment, Id, Kind, Label, Permission, Pull, Reaction, Repo, Review, ReviewComment,
    State, Status, Thread,
};

/// Where answers point to.
pub const DOCS: &str = "https://docs.github.com/rest";

/// The words of reactions: REST's and GraphQL's.
pub const REACTIONS: [(&str, &str); 8] = [
    ("+1", "THUMBS_UP"),
    ("-1", "THUMBS_DOWN"),
    ("laugh", "LAUGH"),
    ("confused", "CONFUSED"),
    ("heart", "HEART"),
    ("hooray", "HOORAY"),
    ("rocket", "ROCKET"),
    ("eyes", "EYES"),
];

/// ISO 8601 with `Z`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn maybe(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(time(at)))
}

/// Adds `<key>_url` fields, each the base with something after it.
fn urls(map: &mut Map<String, Value>, base: &str, list: &[(&str, &str)]) {
    for (key, tail) in list {
        map.insert(format!("{key}_url"), json!(format!("{base}{tail}")));
    }
}

impl State {
    /// `simple-user`.
    pub fn user_json(&self, id: Id) -> Value {
        let account = self.who(id);
        let login = account.login();
        let base = format!("{}/users/{}", self.api(), super::rest::encode(&login));
        let (prefix, kind) = match account.kind {
            Kind::User => ("", "User"),
            Kind::Bot => ("apps/", "Bot"),
        };
        let mut user = json!({
            "login": login,
            "id": id,
            "node_id": node("U", id),
            "avatar_url": format!("{}/avatars/{id}", self.address),
            "gravatar_id": "",
            "url": base,
            "html_url": format!("{}/{prefix}{}", self.address, account.name),
            "type": kind,
            "user_view_type": "public",
            "site_admin": false,
        });
        let list = [
            ("followers", "/followers"),
            ("following", "/following{/other_user}"),
            ("gists", "/gists{/gist_id}"),
            ("starred", "/starred{/owner}{/repo}"),
            ("subscriptions", "/subscriptions"),
            ("organizations", "/orgs"),
            ("repos", "/repos"),
            ("events", "/events{/privacy}"),
            ("received_events", "/received_events"),
        ];
        urls(user.as_object_mut().unwrap(), &base, &list);
        user
    }

    /// `public-user`.
    pub fn self_json(&self, id: Id) -> Value {
        let mut user = self.user_json(id);
        let now = time(self.now());
        let more = json!({
            "name": self.who(id).name, "company": null, "blog": "", "location": null,
            "email": null, "hireable": null, "bio": null, "twitter_username": null,
            "public_repos": 1, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": now, "updated_at": now,
        });
        merge(&mut user, more);
        user
    }

    /// `full-repository`, which has all that the smaller forms have.
    pub fn repo_json(&self, repo: &Repo, level: Permission) -> Value {
        let full = self.full_name(repo);
        let base = format!("{}/repos/{full}", self.api());
        let html = format!("{}/{full}", self.address);
        let open = repo.pulls.iter().filter(|p| p.open()).count();
        let host = self.address.rsplit('/').next().unwrap();
        let mut out = json!({
            "id": repo.id, "node_id": node("R", repo.id), "name": repo.name, "full_name": full,
            "owner": self.user_json(repo.owner), "private": repo.private, "html_url": html,
            "description": null, "fork": repo.fork_of.is_some(), "url": base, "license": null,
            "git_url": format!("git://{host}/{full}.git"),
            "ssh_url": format!("ssh://git@{host}/{full}.git"),
            "clone_url": format!("{html}.git"), "svn_url": html, "mirror_url": null,
        });
        let counts = json!({
            "homepage": null, "language": null, "forks_count": 0, "stargazers_count": 0,
            "watchers_count": 0, "size": 1, "default_branch": repo.default_branch,
            "open_issues_count": open, "has_issues": true, "has_projects": true,
            "has_wiki": false, "has_pages": false, "has_downloads": true,
            "has_discussions": false, "archived": repo.archived, "disabled": false,
            "pushed_at": time(repo.pushed), "created_at": time(repo.created),
            "updated_at": time(repo.pushed), "subscribers_count": 0, "network_count": 0,
            "forks": 0, "open_issues": open, "watchers": 0, "topics": [],
            "visibility": if repo.private { "private" } else { "public" },
        });
        merge(&mut out, counts);
        merge(
            &mut out,
            json!({
                "is_template": false, "web_commit_signoff_required": false,
                "allow_forking": true, "allow_merge_commit": repo.allow_merge,
                "allow_squash_merge": repo.allow_squash,
                "allow_rebase_merge": repo.allow_rebase, "allow_auto_merge": false,
                "delete_branch_on_merge": repo.delete_branch_on_merge,
                "allow_update_branch": false,
                "permissions": levels(level),
            }),
        );
        let map = out.as_object_mut().unwrap();
        for same in [
            "contributors",
            "deployments",
            "downloads",
            "events",
            "forks",
            "hooks",
            "languages",
            "merges",
            "stargazers",
            "subscribers",
            "subscription",
            "tags",
            "teams",
        ] {
            map.insert(format!("{same}_url"), json!(format!("{base}/{same}")));
        }
        let list = [
            ("archive", "/{archive_format}{/ref}"),
            ("assignees", "/assignees{/user}"),
            ("blobs", "/git/blobs{/sha}"),
            ("branches", "/branches{/branch}"),
            ("collaborators", "/collaborators{/collaborator}"),
            ("comments", "/comments{/number}"),
            ("commits", "/commits{/sha}"),
            ("compare", "/compare/{base}...{head}"),
            ("contents", "/contents/{+path}"),
            ("git_commits", "/git/commits{/sha}"),
            ("git_refs", "/git/refs{/sha}"),
            ("git_tags", "/git/tags{/sha}"),
            ("issue_comment", "/issues/comments{/number}"),
            ("issue_events", "/issues/events{/number}"),
            ("issues", "/issues{/number}"),
            ("keys", "/keys{/key_id}"),
            ("labels", "/labels{/name}"),
            ("milestones", "/milestones{/number}"),
            ("notifications", "/notifications{?since,all,participating}"),
            ("pulls", "/pulls{/number}"),
            ("releases", "/releases{/id}"),
            ("statuses", "/statuses/{sha}"),
            ("trees", "/git/trees{/sha}"),
        ];
        urls(map, &base, &list);
        out
    }

    /// `pull-request-simple`.
    pub fn pull_json(&self, repo: &Repo, pull: &Pull) -> Value {
        let full = self.full_name(repo);
        let base = format!("{}/repos/{full}", self.api());
        let url = format!("{base}/pulls/{}", pull.number);
        let issue = format!("{base}/issues/{}", pull.number);
        let html = format!("{}/{full}/pull/{}", self.address, pull.number);
        let statuses = format!("{base}/statuses/{}", pull.head_sha);
        let labels: Vec<Value> = pull
            .labels
            .iter()
            .filter_map(|name| repo.labels.iter().find(|l| l.name == *name))
            .map(|label| self.label_json(repo, label))
            .collect();
        let requested: Vec<Value> = pull
            .requested
            .iter()
            .map(|id| self.user_json(*id))
            .collect();
        let review_comment = format!("{base}/pulls/comments{{/number}}");
        let mut out = json!({
            "url": url, "id": pull.id, "node_id": node("PR", pull.id), "html_url": html,
            "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
            "issue_url": issue, "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": review_comment, "comments_url": format!("{issue}/comments"),
            "statuses_url": statuses, "number": pull.number,
            "state": if pull.open() { "open" } else { "closed" }, "locked": false,
            "title": pull.title, "user": self.user_json(pull.author), "body": pull.body,
            "labels": labels, "milestone": null, "created_at": time(pull.created),
            "updated_at": time(pull.updated), "closed_at": maybe(pull.closed),
            "merged_at": maybe(pull.merged.as_ref().map(|m| m.at)),
            "merge_commit_sha": pull.merged.as_ref().map(|m| &m.commit), "assignee": null,
            "assignees": [], "requested_reviewers": requested, "requested_teams": [],
            "head": self.side(pull.head_repo, &pull.head_ref, &pull.head_sha),
            "base": self.side(repo.id, &pull.base_ref, &pull.base_sha),
            "author_association": self.association(repo, pull.author), "auto_merge": null,
            "active_lock_reason": null, "draft": pull.draft,
        });
        out["_links"] = json!({
            "self": {"href": url}, "html": {"href": html}, "issue": {"href": issue},
            "comments": {"href": format!("{issue}/comments")},
            "review_comments": {"href": format!("{url}/comments")},
            "review_comment": {"href": review_comment},
            "commits": {"href": format!("{url}/commits")}, "statuses": {"href": statuses},
        });
        out
    }

    /// One side of a pull request.
    fn side(&self, rid: Id, name: &str, sha: &str) -> Value {
        let repo = &self.repos[&rid];
        json!({
            "label": format!("{}:{name}", self.who(repo.owner).login()), "ref": name,
            "sha": sha, "user": self.user_json(repo.owner),
            "repo": self.repo_json(repo, Permission::Read),
        })
    }

    /// `pull-request`; `known` is whether mergeability may be shown.
    pub fn full_pull_json(&mut self, rid: Id, number: u64, known: bool) -> Value {
        let (mergeable, state) = if known {
            let mergeable = self.mergeable(rid, number);
            (mergeable, self.merge_state(rid, number).to_lowercase())
        } else {
            (None, "unknown".to_owned())
        };
        let repo = &self.repos[&rid];
        let pull = self.pull(rid, number);
        let mut out = self.pull_json(repo, pull);
        let (files, additions, deletions) = repo.bare.stat(&pull.base_sha, &pull.head_sha);
        let remarks: usize = pull.threads.iter().map(|t| t.comments.len()).sum();
        let merged_by = pull.merged.as_ref().map(|m| self.user_json(m.by));
        merge(
            &mut out,
            json!({
                "merged": pull.merged.is_some(), "mergeable": mergeable,
                "mergeable_state": state, "merged_by": merged_by,
                "comments": pull.comments.len(), "review_comments": remarks,
                "maintainer_can_modify": false, "rebaseable": mergeable,
                "commits": repo.bare.commits(&pull.base_sha, &pull.head_sha).len(),
                "additions": additions, "deletions": deletions, "changed_files": files,
            }),
        );
        out
    }

    /// `pull-request-review`.
    pub fn review_json(&self, repo: &Repo, pull: &Pull, review: &Review) -> Value {
        let full = self.full_name(repo);
        let url = format!("{}/repos/{full}/pulls/{}", self.api(), pull.number);
        let html = format!("{}/{full}/pull/{}", self.address, pull.number);
        let html = format!("{html}#pullrequestreview-{}", review.id);
        json!({
            "id": review.id, "node_id": node("PRR", review.id),
            "user": self.user_json(review.user), "body": review.body,
            "state": review.state.name(), "html_url": html, "pull_request_url": url,
            "_links": {"html": {"href": html}, "pull_request": {"href": url}},
            "commit_id": review.commit, "submitted_at": time(review.at),
            "author_association": self.association(repo, review.user),
        })
    }

    /// `pull-request-review-comment`.
    pub fn remark_json(
        &self,
        repo: &Repo,
        pull: &Pull,
        thread: &Thread,
        comment: &ReviewComment,
    ) -> Value {
        let full = self.full_name(repo);
        let base = format!("{}/repos/{full}/pulls", self.api());
        let (url, pr) = (
            format!("{base}/comments/{}", comment.id),
            format!("{base}/{}", pull.number),
        );
        let html = format!(
            "{}/{full}/pull/{}#discussion_r{}",
            self.address, pull.number, comment.id
        );
        let edited = comment.edited.map_or(comment.at, |(at, _)| at);
        let mut out = json!({
            "url": url, "pull_request_review_id": comment.review, "id": comment.id,
            "node_id": node("PRRC", comment.id), "diff_hunk": thread.hunk, "path": thread.path,
            "commit_id": thread.commit, "original_commit_id": thread.original_commit,
            "user": self.user_json(comment.user), "body": comment.body,
            "created_at": time(comment.at), "updated_at": time(edited), "html_url": html,
            "pull_request_url": pr, "author_association": self.association(repo, comment.user),
            "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pr}},
            "line": thread.line, "original_line": thread.original_line,
            "start_line": thread.start_line, "original_start_line": thread.original_start_line,
            "start_side": thread.original_start_line.map(|_| "RIGHT"), "side": "RIGHT",
            "subject_type": if thread.on_file { "file" } else { "line" },
            "position": thread.line.map(|_| 1), "original_position": 1,
        });
        if let Some(id) = comment.reply_to {
            out["in_reply_to_id"] = json!(id);
        }
        out
    }

    /// `issue-comment`.
    pub fn comment_json(&self, repo: &Repo, pull: &Pull, comment: &Comment) -> Value {
        let full = self.full_name(repo);
        let base = format!("{}/repos/{full}/issues", self.api());
        let url = format!("{base}/comments/{}", comment.id);
        let html = format!("{}/{full}/pull/{}", self.address, pull.number);
        let count = |content: &str| {
            comment
                .reactions
                .iter()
                .filter(|r| r.content == content)
                .count()
        };
        let mut reactions = json!({
            "url": format!("{url}/reactions"), "total_count": comment.reactions.len(),
        });
        for (content, _) in REACTIONS {
            reactions[content] = json!(count(content));
        }
        json!({
            "id": comment.id, "node_id": node("IC", comment.id), "url": url,
            "html_url": format!("{html}#issuecomment-{}", comment.id),
            "user": self.user_json(comment.user), "body": comment.body,
            "created_at": time(comment.at),
            "updated_at": time(comment.edited.map_or(comment.at, |(at, _)| at)),
            "issue_url": format!("{base}/{}", pull.number), "reactions": reactions,
            "author_association": self.association(repo, comment.user),
        })
    }

    /// `reaction`.
    pub fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id, "node_id": node("REA", reaction.id),
            "user": self.user_json(reaction.user), "content": reaction.content,
            "created_at": time(reaction.at),
        })
    }

    /// `label`.
    pub fn label_json(&self, repo: &Repo, label: &Label) -> Value {
        let name = super::rest::encode(&label.name);
        json!({
            "id": label.id, "node_id": node("LA", label.id),
            "url": format!("{}/repos/{}/labels/{name}", self.api(), self.full_name(repo)),
            "name": label.name, "color": label.color, "default": false,
            "description": label.description,
        })
    }

    /// `status`.
    pub fn status_json(&self, repo: &Repo, status: &Status) -> Value {
        let base = format!("{}/repos/{}", self.api(), self.full_name(repo));
        json!({
            "url": format!("{base}/statuses/{}", status.sha),
            "avatar_url": format!("{}/avatars/{}", self.address, status.creator),
            "id": status.id, "node_id": node("SC", status.id), "state": status.state,
            "description": status.description, "target_url": status.target_url,
            "context": status.context, "created_at": time(status.at),
            "updated_at": time(status.at), "creator": self.user_json(status.creator),
        })
    }

    /// `check-run`.
    pub fn check_json(&self, repo: &Repo, check: &CheckRun) -> Value {
        let base = format!("{}/repos/{}", self.api(), self.full_name(repo));
        let url = format!("{base}/check-runs/{}", check.id);
        let account = self.who(check.app);
        let app = json!({
            "id": check.app, "node_id": node("A", check.app), "slug": account.name,
            "owner": self.user_json(check.app), "name": account.name, "description": "",
            "external_url": self.address, "html_url": format!("{}/apps/{}", self.address, account.name),
            "created_at": time(repo.created), "updated_at": time(repo.created),
            "permissions": {"checks": "write"}, "events": [],
        });
        let html = format!(
            "{}/{}/runs/{}",
            self.address,
            self.full_name(repo),
            check.id
        );
        json!({
            "id": check.id, "head_sha": check.sha, "node_id": node("CR", check.id),
            "external_id": check.external_id.clone().unwrap_or_default(), "url": url,
            "html_url": html, "details_url": check.details_url.clone().unwrap_or(html.clone()),
            "status": check.status, "conclusion": check.conclusion,
            "started_at": maybe(check.started), "completed_at": maybe(check.completed),
            "name": check.name, "check_suite": {"id": check.app}, "app": app,
            "pull_requests": [],
            "output": {
                "title": check.title, "summary": check.summary, "text": check.text,
                "annotations_count": check.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
        })
    }
}

/// What somebody may do, in GitHub's five boxes.
pub fn levels(level: Permission) -> Value {
    json!({
        "admin": level >= Permission::Admin, "maintain": level >= Permission::Maintain,
        "push": level >= Permission::Write, "triage": level >= Permission::Triage,
        "pull": level >= Permission::Read,
    })
}

/// A node id: GitHub's have the kind in front too.
pub fn node(kind: &str, id: Id) -> String {
    format!("{kind}_kw{id}")
}

/// Adds the fields of one document to another.
pub fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
