//! REST: comments, reactions, labels, statuses, check runs.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::render::merge;
use super::rest::{Answer, Answered, Call};
use super::state::{CheckRun, Comment, Id, Kind, Label, Permission, Reaction, Status};

pub fn comments(call: &mut Call) -> Answered {
    let (repo, pull) = (call.repo(), call.pull()?);
    let items = pull
        .comments
        .iter()
        .map(|c| call.state.comment_json(repo, pull, c));
    call.list(items.collect())
}

pub fn comment(call: &mut Call) -> Answered {
    let (me, number) = (call.me()?, call.pull_number()?);
    let body = call.text("body").unwrap_or_default();
    let id = call.state.comment(call.rid, number, me, &body)?;
    shown(call, 201, id)
}

/// The pull request and the place of a comment.
fn place(call: &Call, id: Id) -> Result<(u64, usize), Refusal> {
    call.repo()
        .pulls
        .iter()
        .find_map(|p| Some((p.number, p.comments.iter().position(|c| c.id == id)?)))
        .ok_or_else(Refusal::missing)
}

fn found<'a>(call: &'a mut Call, id: Id) -> Result<&'a mut Comment, Refusal> {
    let (number, at) = place(call, id)?;
    Ok(&mut call.state.pull_mut(call.rid, number).comments[at])
}

fn shown(call: &mut Call, status: u16, id: Id) -> Answered {
    let (number, at) = place(call, id)?;
    let pull = call.state.pull(call.rid, number);
    let body = call
        .state
        .comment_json(call.repo(), pull, &pull.comments[at]);
    Answer::with(status, body)
}

pub fn get_comment(call: &mut Call) -> Answered {
    let id = call.number("comment_id")?;
    shown(call, 200, id)
}

/// Own comments may be changed, those of others only with write access.
fn mine(call: &mut Call, id: Id) -> Result<Id, Refusal> {
    let me = call.me()?;
    let level = call.level();
    if found(call, id)?.user != me && level < Permission::Write {
        return Err(Refusal::new(403, "Must have push access to repository."));
    }
    Ok(me)
}

pub fn edit_comment(call: &mut Call) -> Answered {
    let id = call.number("comment_id")?;
    let me = mine(call, id)?;
    let body = call.text("body").unwrap_or_default();
    call.state.edit_comment(call.rid, id, me, &body)?;
    shown(call, 200, id)
}

pub fn delete_comment(call: &mut Call) -> Answered {
    let id = call.number("comment_id")?;
    mine(call, id)?;
    let (number, at) = place(call, id)?;
    call.state.pull_mut(call.rid, number).comments.remove(at);
    Answer::nothing()
}

pub fn reactions(call: &mut Call) -> Answered {
    let id = call.number("comment_id")?;
    let wanted = call.asked("content").map(str::to_owned);
    let list = found(call, id)?.reactions.clone();
    let list = list
        .iter()
        .filter(|r| wanted.as_ref().is_none_or(|w| *w == r.content));
    let items = list.map(|r| call.state.reaction_json(r)).collect();
    call.list(items)
}

pub fn react(call: &mut Call) -> Answered {
    let (me, id) = (call.me()?, call.number("comment_id")?);
    let content = call.text("content").unwrap_or_default();
    let (new, at) = (call.state.fresh(), call.state.now());
    let comment = found(call, id)?;
    let there = comment
        .reactions
        .iter()
        .find(|r| r.user == me && r.content == content);
    if let Some(there) = there.cloned() {
        return Answer::ok(call.state.reaction_json(&there));
    }
    let reaction = Reaction {
        id: new,
        user: me,
        content,
        at,
    };
    comment.reactions.push(reaction.clone());
    Answer::with(201, call.state.reaction_json(&reaction))
}

pub fn unreact(call: &mut Call) -> Answered {
    let (me, id) = (call.me()?, call.number("comment_id")?);
    let gone = call.number("reaction_id")?;
    let comment = found(call, id)?;
    let before = comment.reactions.len();
    comment.reactions.retain(|r| r.id != gone || r.user != me);
    if comment.reactions.len() == before {
        return Err(Refusal::missing());
    }
    Answer::nothing()
}

fn show_labels(call: &Call) -> Answered {
    let (repo, pull) = (call.repo(), call.pull()?);
    let known = |name: &String| repo.labels.iter().find(|l| l.name == *name);
    let shown = pull.labels.iter().filter_map(known);
    let items = shown.map(|l| call.state.label_json(repo, l)).collect();
    call.list(items)
}

pub fn labels(call: &mut Call) -> Answered {
    show_labels(call)
}

pub fn add_labels(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    let list = match &call.body {
        Value::Array(list) => list.clone(),
        body => body["labels"].as_array().cloned().unwrap_or_default(),
    };
    for one in list {
        let name = one
            .as_str()
            .or(one["name"].as_str())
            .unwrap_or_default()
            .to_owned();
        let known = call.repo().labels.iter();
        let known = known
            .into_iter()
            .find(|l| l.name.eq_ignore_ascii_case(&name));
        let name = if let Some(label) = known {
            label.name.clone()
        } else {
            new_label(call, &name, "ededed", "");
            name
        };
        let pull = call.state.pull_mut(call.rid, number);
        if !pull.labels.contains(&name) {
            pull.labels.push(name);
        }
    }
    show_labels(call)
}

pub fn remove_label(call: &mut Call) -> Answered {
    let number = call.pull_number()?;
    let name = call.param("name").to_owned();
    let pull = call.state.pull_mut(call.rid, number);
    if !pull.labels.contains(&name) {
        return Err(Refusal::new(404, "Label does not exist"));
    }
    pull.labels.retain(|l| *l != name);
    show_labels(call)
}

fn new_label(call: &mut Call, name: &str, color: &str, description: &str) -> Label {
    let label = Label {
        id: call.state.fresh(),
        name: name.to_owned(),
        color: color.to_owned(),
        description: description.to_owned(),
    };
    call.repo_mut().labels.push(label.clone());
    label
}

pub fn all_labels(call: &mut Call) -> Answered {
    let repo = call.repo();
    let items = repo.labels.iter().map(|l| call.state.label_json(repo, l));
    call.list(items.collect())
}

pub fn create_label(call: &mut Call) -> Answered {
    let name = call.text("name").unwrap_or_default();
    if call
        .repo()
        .labels
        .iter()
        .any(|l| l.name.eq_ignore_ascii_case(&name))
    {
        return Err(Refusal::field("Label", "name", "already_exists"));
    }
    let color = call.text("color").unwrap_or_else(|| "ededed".into());
    let description = call.text("description").unwrap_or_default();
    let label = new_label(call, &name, &color, &description);
    Answer::with(201, call.state.label_json(call.repo(), &label))
}

pub fn create_status(call: &mut Call) -> Answered {
    let me = call.me()?;
    let sha = call.param("sha").to_owned();
    if !call.repo().bare.has_commit(&sha) {
        let what = format!("No commit found for SHA: {sha}");
        return Err(Refusal::new(422, what));
    }
    let state = call.text("state").unwrap_or_default();
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        return Err(Refusal::field("Status", "state", "custom"));
    }
    if call
        .text("description")
        .is_some_and(|d| d.chars().count() > 140)
    {
        let what = "description is too long (maximum is 140 characters)";
        return Err(Refusal::invalid("Status", what));
    }
    let status = Status {
        id: call.state.fresh(),
        sha,
        context: call.text("context").unwrap_or_else(|| "default".into()),
        state,
        description: call.text("description"),
        target_url: call.text("target_url"),
        creator: me,
        at: call.state.now(),
    };
    call.repo_mut().statuses.push(status.clone());
    Answer::with(201, call.state.status_json(call.repo(), &status))
}

/// The commit that a path names: itself, a branch, or a ref.
fn commit(call: &Call) -> Result<String, Refusal> {
    let name = call.param("ref");
    let repo = call.repo();
    if repo.bare.has_commit(name) {
        return Ok(name.to_owned());
    }
    let branch = name.strip_prefix("heads/").unwrap_or(name);
    let unknown = || Refusal::new(422, format!("No commit found for SHA: {name}"));
    repo.heads.get(branch).cloned().ok_or_else(unknown)
}

pub fn statuses(call: &mut Call) -> Answered {
    let sha = commit(call)?;
    let repo = call.repo();
    let list = repo.statuses.iter().rev().filter(|s| s.sha == sha);
    let items = list.map(|s| call.state.status_json(repo, s)).collect();
    call.list(items)
}

pub fn combined_status(call: &mut Call) -> Answered {
    let sha = commit(call)?;
    let repo = call.repo();
    let mut newest: Vec<&Status> = Vec::new();
    for status in repo.statuses.iter().rev().filter(|s| s.sha == sha) {
        if !newest.iter().any(|s| s.context == status.context) {
            newest.push(status);
        }
    }
    let any = |states: &[&str]| newest.iter().any(|s| states.contains(&s.state.as_str()));
    let state = if any(&["error", "failure"]) {
        "failure"
    } else if newest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let total = newest.len();
    let items = newest
        .iter()
        .map(|s| call.state.status_json(repo, s))
        .collect();
    let (items, link) = call.page(items);
    let base = format!("{}/repos/{}", call.state.api(), call.state.full_name(repo));
    let body = json!({
        "state": state, "statuses": items, "sha": sha, "total_count": total,
        "repository": call.state.repo_json(repo, call.level()),
        "commit_url": format!("{base}/commits/{sha}"),
        "url": format!("{base}/commits/{sha}/status"),
    });
    Ok(Answer {
        status: 200,
        body: Some(body),
        link,
    })
}

/// Only Apps have check runs.
fn app(call: &Call) -> Result<Id, Refusal> {
    let me = call.me()?;
    if call.state.who(me).kind == Kind::Bot {
        Ok(me)
    } else {
        Err(Refusal::new(403, "You must authenticate via a GitHub App."))
    }
}

fn fill(check: &mut CheckRun, body: &Value, now: Timestamp) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let when = |value: &Value| value.as_str().and_then(|t| t.parse::<Timestamp>().ok());
    if let Some(status) = text(&body["status"]) {
        check.status = status;
    }
    if let Some(conclusion) = text(&body["conclusion"]) {
        check.status = "completed".into();
        check.conclusion = Some(conclusion);
        check.completed = when(&body["completed_at"]).or(Some(now));
    }
    check.started = when(&body["started_at"]).or(check.started);
    check.details_url = text(&body["details_url"]).or(check.details_url.take());
    check.external_id = text(&body["external_id"]).or(check.external_id.take());
    let output = &body["output"];
    check.title = text(&output["title"]).or(check.title.take());
    check.summary = text(&output["summary"]).or(check.summary.take());
    check.text = text(&output["text"]).or(check.text.take());
    if let Some(more) = output["annotations"].as_array() {
        check.annotations.extend(more.iter().cloned());
    }
}

fn too_many(body: &Value) -> Result<(), Refusal> {
    let given = body["output"]["annotations"].as_array().map_or(0, Vec::len);
    let long = |key: &str| {
        let text = body["output"][key].as_str();
        text.is_some_and(|t| t.chars().count() > 65_535)
    };
    if given > 50 || long("summary") || long("text") {
        return Err(Refusal::new(
            422,
            "Invalid request.\n\nOutput is too large.",
        ));
    }
    Ok(())
}

pub fn create_check(call: &mut Call) -> Answered {
    let app = app(call)?;
    let sha = call.text("head_sha").unwrap_or_default();
    if !call.repo().bare.has_commit(&sha) {
        return Err(Refusal::new(422, format!("No commit found for SHA: {sha}")));
    }
    too_many(&call.body)?;
    let now = call.state.now();
    let mut check = CheckRun {
        id: call.state.fresh(),
        sha,
        name: call.text("name").unwrap_or_default(),
        app,
        status: "queued".into(),
        conclusion: None,
        started: Some(now),
        completed: None,
        details_url: None,
        external_id: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
    };
    fill(&mut check, &call.body, now);
    call.repo_mut().checks.push(check.clone());
    Answer::with(201, call.state.check_json(call.repo(), &check))
}

pub fn update_check(call: &mut Call) -> Answered {
    app(call)?;
    too_many(&call.body)?;
    let (id, now, body) = (
        call.number("check_run_id")?,
        call.state.now(),
        call.body.clone(),
    );
    let checks = &mut call.repo_mut().checks;
    let check = checks
        .iter_mut()
        .find(|c| c.id == id)
        .ok_or_else(Refusal::missing)?;
    if let Some(name) = body["name"].as_str() {
        name.clone_into(&mut check.name);
    }
    fill(check, &body, now);
    let check = check.clone();
    Answer::ok(call.state.check_json(call.repo(), &check))
}

pub fn check(call: &mut Call) -> Answered {
    let id = call.number("check_run_id")?;
    let found = call.repo().checks.iter().find(|c| c.id == id);
    let found = found.ok_or_else(Refusal::missing)?;
    Answer::ok(call.state.check_json(call.repo(), found))
}

pub fn checks(call: &mut Call) -> Answered {
    let sha = commit(call)?;
    let repo = call.repo();
    let wanted =
        |c: &&CheckRun| c.sha == sha && call.asked("check_name").is_none_or(|name| name == c.name);
    let found: Vec<&CheckRun> = repo.checks.iter().rev().filter(wanted).collect();
    let items = found
        .iter()
        .map(|c| call.state.check_json(repo, c))
        .collect();
    let (items, link) = call.page(items);
    let mut body = json!({"total_count": found.len()});
    merge(&mut body, json!({"check_runs": items}));
    Ok(Answer {
        status: 200,
        body: Some(body),
        link,
    })
}
