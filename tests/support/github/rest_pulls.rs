//! REST: pull requests, reviews, remarks, merging.

use serde_json::{Value, json};

use super::merge::Merge;
use super::pulls::NewPull;
use super::refusal::{Refusal, check_body};
use super::rest::{Answer, Answered, Call};
use super::state::{Permission, Pull, ReviewState};

fn full(call: &mut Call, number: u64, known: bool) -> Value {
    call.state.full_pull_json(call.rid, number, known)
}

pub fn list(call: &mut Call) -> Answered {
    let repo = call.repo();
    let wanted = |p: &Pull| {
        let state = call.asked("state").unwrap_or("open");
        // Without an owner in front GitHub passes over it.
        let asked = call.asked("head").filter(|head| head.contains(':'));
        let head = asked.is_none_or(|head| {
            let owner = call.state.who(call.state.repos[&p.head_repo].owner).login();
            head == format!("{owner}:{}", p.head_ref)
        });
        let base = call.asked("base").is_none_or(|base| base == p.base_ref);
        (state == "all" || (state == "open") == p.open()) && head && base
    };
    let mut found: Vec<&Pull> = repo.pulls.iter().filter(|p| wanted(p)).collect();
    // The newest first, unless asked otherwise.
    if call.asked("sort") == Some("updated") {
        found.sort_by_key(|p| p.updated);
    }
    if call.asked("direction").unwrap_or("desc") == "desc" {
        found.reverse();
    }
    let items = found
        .iter()
        .map(|p| call.state.pull_json(repo, p))
        .collect();
    call.list(items)
}

pub fn create(call: &mut Call) -> Answered {
    let me = call.me()?;
    if call.state.who(me).name == "github-actions" && !call.repo().actions_may_approve {
        let what = "GitHub Actions is not permitted to create or approve pull requests.";
        return Err(Refusal::new(403, what));
    }
    let text = |name: &str| call.text(name);
    let (title, head, base, body) = (text("title"), text("head"), text("base"), text("body"));
    let missing = |field| Refusal::field("PullRequest", field, "missing_field");
    let new = NewPull {
        title: title.as_deref().ok_or_else(|| missing("title"))?,
        head: head.as_deref().ok_or_else(|| missing("head"))?,
        base: base.as_deref().ok_or_else(|| missing("base"))?,
        body: body.as_deref(),
        draft: call.body["draft"] == true,
    };
    let number = call.state.open_pull(call.rid, me, &new)?;
    Answer::with(201, full(call, number, false))
}

pub fn get(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    Answer::ok(full(call, number, true))
}

pub fn update(call: &mut Call) -> Answered {
    let (me, number) = (call.me()?, call.pull_number()?);
    if call.level() < Permission::Triage && call.pull()?.author != me {
        return Err(Refusal::new(403, "Must have push access to repository."));
    }
    check_body("PullRequest", call.body["body"].as_str())?;
    if let Some(state) = call.text("state") {
        call.state.set_state(call.rid, number, state == "open")?;
    }
    if let Some(base) = call.text("base") {
        if !call.repo().heads.contains_key(&base) {
            return Err(Refusal::field("PullRequest", "base", "invalid"));
        }
        call.state.pull_mut(call.rid, number).base_ref = base;
    }
    let (title, body) = (call.text("title"), call.text("body"));
    let now = call.state.now();
    let pull = call.state.pull_mut(call.rid, number);
    if let Some(title) = title {
        pull.title = title;
    }
    if let Some(body) = body
        && pull.body.as_ref() != Some(&body)
    {
        pull.body = Some(body);
        pull.edited = Some((now, me));
    }
    pull.updated = now;
    Answer::ok(full(call, number, false))
}

pub fn reviews(call: &mut Call) -> Answered {
    let (repo, pull) = (call.repo(), call.pull()?);
    let items = pull
        .reviews
        .iter()
        .map(|r| call.state.review_json(repo, pull, r));
    call.list(items.collect())
}

pub fn review(call: &mut Call) -> Answered {
    let (me, number) = (call.me()?, call.pull_number()?);
    let state = match call.text("event").as_deref() {
        Some("APPROVE") => ReviewState::Approved,
        Some("REQUEST_CHANGES") => ReviewState::ChangesRequested,
        Some("COMMENT") => ReviewState::Commented,
        _ => {
            return Err(Refusal::invalid(
                "PullRequestReview",
                "pending is not served here",
            ));
        }
    };
    let body = call.text("body").unwrap_or_default();
    let commit = call.text("commit_id");
    let given = call
        .state
        .review(call.rid, number, me, state, &body, commit.as_deref(), &[])?;
    let (repo, pull) = (call.repo(), call.pull()?);
    let review = pull.reviews.iter().find(|r| r.id == given).unwrap();
    Answer::ok(call.state.review_json(repo, pull, review))
}

pub fn dismiss(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    let id = call.number("review_id")?;
    call.state.dismiss(call.rid, number, id)?;
    let (repo, pull) = (call.repo(), call.pull()?);
    let review = pull.reviews.iter().find(|r| r.id == id).unwrap();
    Answer::ok(call.state.review_json(repo, pull, review))
}

pub fn remarks(call: &mut Call) -> Answered {
    let (repo, pull) = (call.repo(), call.pull()?);
    let mut all: Vec<_> = pull
        .threads
        .iter()
        .flat_map(|t| t.comments.iter().map(move |c| (t, c)))
        .collect();
    all.sort_by_key(|(_, c)| c.id);
    if call.asked("direction") == Some("desc") {
        all.reverse();
    }
    let items = all
        .iter()
        .map(|(t, c)| call.state.remark_json(repo, pull, t, c));
    call.list(items.collect())
}

pub fn reply(call: &mut Call) -> Answered {
    let (me, number) = (call.me()?, call.pull_number()?);
    let to = call.number("comment_id")?;
    let thread = call.pull()?.threads.iter();
    let thread = thread
        .into_iter()
        .find(|t| t.comments.first().is_some_and(|c| c.id == to))
        .map(|t| t.id)
        .ok_or_else(Refusal::missing)?;
    let body = call.text("body").unwrap_or_default();
    let id = call.state.reply(call.rid, number, me, thread, &body)?;
    let (repo, pull) = (call.repo(), call.pull()?);
    let thread = pull.threads.iter().find(|t| t.id == thread).unwrap();
    let comment = thread.comments.iter().find(|c| c.id == id).unwrap();
    Answer::with(201, call.state.remark_json(repo, pull, thread, comment))
}

pub fn merge(call: &mut Call) -> Answered {
    let (me, number) = (call.me()?, call.pull_number()?);
    let (title, message) = (call.text("commit_title"), call.text("commit_message"));
    let (sha, method) = (call.text("sha"), call.text("merge_method"));
    let how = Merge {
        method: method.as_deref().unwrap_or("merge"),
        title: title.as_deref(),
        message: message.as_deref(),
        sha: sha.as_deref(),
        workflows: call
            .token
            .as_ref()
            .is_some_and(|t| t.may("workflows=write")),
    };
    let sha = call.state.merge(call.rid, number, me, &how)?;
    let said = "Pull Request successfully merged";
    Answer::ok(json!({"sha": sha, "merged": true, "message": said}))
}

pub fn merged(call: &mut Call) -> Answered {
    if call.pull()?.merged.is_some() {
        Answer::nothing()
    } else {
        Err(Refusal::missing())
    }
}

fn reviewers(call: &Call) -> Vec<String> {
    let list = call.body["reviewers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    list.iter()
        .filter_map(|l| l.as_str().map(str::to_owned))
        .collect()
}

pub fn requested_reviewers(call: &mut Call) -> Answered {
    let asked = call
        .pull()?
        .requested
        .iter()
        .map(|id| call.state.user_json(*id));
    Answer::ok(json!({"users": asked.collect::<Vec<_>>(), "teams": []}))
}

pub fn request_reviewers(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    let whom = reviewers(call);
    let whom: Vec<&str> = whom.iter().map(String::as_str).collect();
    call.state.request_reviews(call.rid, number, &whom)?;
    Answer::with(201, call.state.pull_json(call.repo(), call.pull()?))
}

pub fn remove_reviewers(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    let gone: Vec<_> = reviewers(call)
        .iter()
        .filter_map(|login| call.state.account(login).map(|a| a.id))
        .collect();
    let pull = call.state.pull_mut(call.rid, number);
    pull.requested.retain(|id| !gone.contains(id));
    Answer::ok(call.state.pull_json(call.repo(), call.pull()?))
}
