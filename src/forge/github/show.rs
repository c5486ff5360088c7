//! Makes a pull request show what it should, with as few requests as that takes.
//!
//! What is to be done is worked out from what is there, so a call that was cut off is gone on with
//! and nothing is made twice.

use http::Method;
use serde_json::{Value, json};

use super::look::{account, string};
use super::{ApiError, Client};
use crate::forge::{Notes, Page};
use crate::run::seen::{OwnComment, PullStanding, SeenPull};
use crate::secrets::Secrets;

/// Most notes that one request takes
/// (<https://docs.github.com/en/rest/checks/runs#create-a-check-run>).
const NOTES_AT_ONCE: usize = 50;

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Open it.
    Open,
    /// Change title, body, or the branch it goes to.
    Edit { title: bool, body: bool },
    /// It is for review now.
    Ready,
    /// It is not for review any more.
    Draft,
    /// Add these labels.
    Label(Vec<String>),
    /// Ask these people.
    Ask(Vec<String>),
    /// Set a commit status.
    Status(String, String, String),
    /// Add notes on lines.
    Note(Notes),
    /// Write the one comment on how it stands.
    Comment(String),
    /// Write it anew.
    Rewrite(u64, String),
    /// Take away a comment that says the same as an older one.
    Withdraw(u64),
    /// Write a comment, found again by this marker.
    Say(String, String),
}

/// The page as it may be shown: what is sent is cleaned of secrets in any case, and what is there is
/// held against this, or it would be sent anew each time.
pub(super) fn cleaned(page: &Page, secrets: &Secrets) -> Page {
    let mut page = page.clone();
    if crate::plant::is("outgoing-not-scanned") {
        return page;
    }
    let one = |text: &mut String| secrets.clean(text);
    one(&mut page.title);
    one(&mut page.body);
    page.statuses.iter_mut().for_each(|(_, _, said)| one(said));
    page.progress.iter_mut().for_each(|(_, said)| one(said));
    page.said.iter_mut().for_each(|(_, said)| one(said));
    if let Some(notes) = &mut page.notes {
        one(&mut notes.title);
        one(&mut notes.summary);
        for line in &mut notes.lines {
            one(&mut line.title);
            one(&mut line.message);
        }
    }
    page
}

/// What is to be done so that the pull request shows the page.
pub(super) fn steps(page: &Page, pull: Option<&SeenPull>, notes: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let nothing = SeenPull {
        draft: page.draft,
        title: page.title.clone(),
        body: page.body.clone(),
        ..SeenPull::default()
    };
    let pull = pull.unwrap_or_else(|| {
        steps.push(Step::Open);
        &nothing
    });
    if pull.standing != PullStanding::Open {
        return Vec::new();
    }
    let (title, body) = (pull.title != page.title, !same(&pull.body, &page.body));
    if title || body {
        steps.push(Step::Edit { title, body });
    }
    match (pull.draft, page.draft) {
        (true, false) => steps.push(Step::Ready),
        (false, true) => steps.push(Step::Draft),
        _ => {}
    }
    let has = |have: &[String], want: &String| have.iter().any(|h| h.eq_ignore_ascii_case(want));
    let labels: Vec<String> = page
        .labels
        .iter()
        .filter(|l| !has(&pull.labels, l))
        .cloned()
        .collect();
    if !labels.is_empty() {
        steps.push(Step::Label(labels));
    }
    let ask: Vec<String> = page
        .reviewers
        .iter()
        .filter(|r| !has(&pull.asked, r) && !r.eq_ignore_ascii_case(&pull.author.login))
        .cloned()
        .collect();
    if !ask.is_empty() {
        steps.push(Step::Ask(ask));
    }
    // What is known may still be about an older commit.
    let same_head = pull.head == page.head;
    let statuses: Vec<Step> = page
        .statuses
        .iter()
        .filter(|(context, state, description)| {
            let there = pull.statuses.get(context).filter(|_| same_head);
            there.is_none_or(|(s, d)| s != state || d != description)
        })
        .map(|(context, state, description)| {
            Step::Status(context.clone(), state.clone(), description.clone())
        })
        .collect();
    // Before the statuses, because these are what is looked at to see whether both are done.
    if !statuses.is_empty()
        && notes
        && let Some(notes) = &page.notes
    {
        steps.push(Step::Note(notes.clone()));
    }
    steps.extend(statuses);
    if let Some((marker, text)) = &page.progress {
        match pull.ours.get(marker) {
            None => steps.push(Step::Comment(text.clone())),
            Some(own) if !same(&own.body, text) => {
                steps.push(Step::Rewrite(own.number, text.clone()));
            }
            Some(_) => {}
        }
    }
    for (marker, text) in &page.said {
        if !pull.ours.contains_key(marker) {
            steps.push(Step::Say(marker.clone(), text.clone()));
        }
    }
    // Two programs may show a page at the same moment, and a comment is made without a condition.
    let once = page.progress.iter().chain(&page.said);
    for (marker, _) in once {
        let doubled = pull.doubled.iter().filter(|(m, _)| m == marker);
        steps.extend(doubled.map(|(_, number)| Step::Withdraw(*number)));
    }
    steps
}

/// GitHub ends lines as it likes, and drops white space at the end.
fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    plain(a) == plain(b)
}

/// Does the steps. Returns the pull request as it then is, and what could not be done.
pub(super) fn show(
    client: &mut Client,
    page: &Page,
    pull: Option<&SeenPull>,
    notes: &mut bool,
) -> Result<(SeenPull, Vec<String>), ApiError> {
    let mut now = pull.cloned().unwrap_or_default();
    let mut doubts = Vec::new();
    for step in steps(page, pull, *notes) {
        let essential = matches!(
            step,
            Step::Open | Step::Edit { .. } | Step::Ready | Step::Draft
        );
        let is_note = matches!(step, Step::Note(_));
        match perform(client, page, &mut now, step, &mut doubts) {
            Ok(()) => {}
            // Installation tokens may lack the permission; the statuses say the same.
            Err(ApiError::Permission { .. }) if is_note => *notes = false,
            Err(e) if essential || e.is_temporary() => return Err(e),
            Err(e) => doubts.push(e.to_string()),
        }
    }
    if page.head != now.head && !now.head.is_empty() {
        now.head.clone_from(&page.head);
    }
    Ok((now, doubts))
}

fn perform(
    client: &mut Client,
    page: &Page,
    now: &mut SeenPull,
    step: Step,
    doubts: &mut Vec<String>,
) -> Result<(), ApiError> {
    let repository = client.place().repository();
    let pull = format!("{repository}/pulls/{}", now.number);
    let issue = format!("{repository}/issues/{}", now.number);
    match step {
        Step::Open => *now = open(client, page)?,
        Step::Edit { title, body } => {
            let mut change = json!({});
            if title {
                change["title"] = json!(page.title);
            }
            if body {
                change["body"] = json!(page.body);
            }
            client.send(Method::PATCH, &pull, &change)?;
            now.title.clone_from(&page.title);
            now.body.clone_from(&page.body);
        }
        Step::Ready => {
            mark(client, &now.id, "markPullRequestReadyForReview", "Ready")?;
            now.draft = false;
        }
        Step::Draft => {
            mark(client, &now.id, "convertPullRequestToDraft", "Draft")?;
            now.draft = true;
        }
        Step::Label(labels) => {
            client.send(
                Method::POST,
                &format!("{issue}/labels"),
                &json!({ "labels": labels }),
            )?;
            now.labels.extend(labels);
        }
        Step::Ask(people) => {
            let at = format!("{pull}/requested_reviewers");
            if people.len() > 1 && ask(client, &at, &people).is_ok() {
                now.asked.extend(people);
                return Ok(());
            }
            // One that cannot be asked must not keep the others from being asked.
            for person in people {
                match ask(client, &at, std::slice::from_ref(&person)) {
                    Ok(()) => now.asked.push(person),
                    Err(e) if e.is_temporary() => return Err(e),
                    Err(e) => doubts.push(format!("{person} was not asked to review: {e}")),
                }
            }
        }
        Step::Status(context, state, description) => {
            let at = format!("{repository}/statuses/{}", page.head);
            let status = json!({ "context": context, "state": state, "description": description });
            client.send(Method::POST, &at, &status)?;
            now.statuses.insert(context, (state, description));
        }
        Step::Note(notes) => note(client, &repository, &page.head, &notes)?,
        Step::Comment(text) => {
            let at = format!("{issue}/comments");
            let answer = client.send(Method::POST, &at, &json!({ "body": text }))?;
            if let Some((marker, _)) = &page.progress {
                let own = OwnComment {
                    number: answer.body["id"].as_u64().unwrap_or(0),
                    body: text,
                };
                now.ours.insert(marker.clone(), own);
            }
        }
        Step::Withdraw(number) => {
            let at = format!("{repository}/issues/comments/{number}");
            match client.send(Method::DELETE, &at, &serde_json::Value::Null) {
                // Somebody was first.
                Err(ApiError::NotFound { .. } | ApiError::Gone { .. }) => {}
                other => drop(other?),
            }
            now.doubled.retain(|(_, n)| *n != number);
        }
        Step::Say(marker, text) => {
            let at = format!("{issue}/comments");
            let answer = client.send(Method::POST, &at, &json!({ "body": text }))?;
            let number = answer.body["id"].as_u64().unwrap_or(0);
            now.ours.insert(marker, OwnComment { number, body: text });
        }
        Step::Rewrite(number, text) => {
            let at = format!("{repository}/issues/comments/{number}");
            client.send(Method::PATCH, &at, &json!({ "body": text }))?;
            if let Some((marker, _)) = &page.progress {
                now.ours
                    .insert(marker.clone(), OwnComment { number, body: text });
            }
        }
    }
    Ok(())
}

fn open(client: &mut Client, page: &Page) -> Result<SeenPull, ApiError> {
    let repository = client.place().repository();
    let new = json!({
        "title": page.title,
        "head": page.branch,
        "base": page.base,
        "body": page.body,
        "draft": page.draft,
        "maintainer_can_modify": true,
    });
    // Somebody may have opened it, and closed it, in the time of a wait.
    let answer = client.send_at_once(Method::POST, &format!("{repository}/pulls"), &new);
    let answer = match answer {
        // Somebody was first, or it is ours and the answer was lost: look again.
        Err(e @ ApiError::Refused { status: 422, .. }) if e.says("already exists") => {
            return Err(ApiError::Unknown {
                asked: "opening a pull request".to_owned(),
                detail: e.to_string(),
            });
        }
        other => other?,
    };
    let body = &answer.body;
    Ok(SeenPull {
        number: body["number"].as_u64().unwrap_or(0),
        id: string(&body["node_id"]),
        url: string(&body["html_url"]),
        author: crate::run::seen::Account {
            id: body["user"]["id"].as_u64().unwrap_or(0),
            login: string(&body["user"]["login"])
                .trim_end_matches("[bot]")
                .to_owned(),
            bot: body["user"]["type"].as_str() == Some("Bot") || account(&body["user"]).bot,
        },
        standing: PullStanding::Open,
        draft: page.draft,
        head: string(&body["head"]["sha"]),
        base: page.base.clone(),
        title: page.title.clone(),
        body: page.body.clone(),
        ..SeenPull::default()
    })
}

fn mark(client: &mut Client, id: &str, mutation: &str, name: &str) -> Result<(), ApiError> {
    let text = format!(
        "mutation {name}($id: ID!) {{ {mutation}(input: {{pullRequestId: $id}}) {{ pullRequest {{ isDraft }} }} }}"
    );
    client.mutate(name, &text, &json!({ "id": id })).map(drop)
}

fn ask(client: &mut Client, at: &str, people: &[String]) -> Result<(), ApiError> {
    let (teams, people): (Vec<&String>, Vec<&String>) =
        people.iter().partition(|p| p.contains('/'));
    let teams: Vec<&str> = teams
        .into_iter()
        .filter_map(|t| t.rsplit('/').next())
        .collect();
    let mut body = json!({});
    if !people.is_empty() {
        body["reviewers"] = json!(people);
    }
    if !teams.is_empty() {
        body["team_reviewers"] = json!(teams);
    }
    client.send(Method::POST, at, &body).map(drop)
}

/// A check run with notes on lines, in as many requests as they take.
fn note(client: &mut Client, repository: &str, head: &str, notes: &Notes) -> Result<(), ApiError> {
    let lines: Vec<Value> = notes
        .lines
        .iter()
        .map(|l| {
            json!({
                "path": l.path,
                "start_line": l.start,
                "end_line": l.end,
                "annotation_level": l.level,
                "title": l.title,
                "message": l.message,
            })
        })
        .collect();
    let at = format!("{repository}/check-runs");
    let output = |lines: &[Value]| json!({ "title": notes.title, "summary": notes.summary, "annotations": lines });
    if let Some((id, has)) = noted(client, repository, head, notes)? {
        return note_more(
            client,
            &at,
            id,
            lines.get(has..).unwrap_or_default(),
            output,
        );
    }
    let (first, more) = lines.split_at(lines.len().min(NOTES_AT_ONCE));
    let new = json!({
        "name": notes.name,
        "head_sha": head,
        "status": "completed",
        "conclusion": notes.conclusion,
        "output": output(first),
    });
    let made = client.send(Method::POST, &at, &new)?;
    let id = made.body["id"].as_u64().unwrap_or(0);
    note_more(client, &at, id, more, output)
}

/// The check run that says so already, and how many lines it has: a call that was cut off may have
/// made it
/// (<https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference>).
fn noted(
    client: &mut Client,
    repository: &str,
    head: &str,
    notes: &Notes,
) -> Result<Option<(u64, usize)>, ApiError> {
    let name = super::segment(&notes.name);
    let at = format!("{repository}/commits/{head}/check-runs?check_name={name}&per_page=100");
    let answer = client.get(&at)?;
    let runs = answer.body["check_runs"].as_array();
    let found = runs.into_iter().flatten().find(|run| {
        let output = &run["output"];
        run["conclusion"].as_str() == Some(notes.conclusion.as_str())
            && output["title"].as_str() == Some(notes.title.as_str())
            && output["summary"].as_str() == Some(notes.summary.as_str())
    });
    Ok(found.and_then(|run| {
        let has = run["output"]["annotations_count"].as_u64().unwrap_or(0);
        Some((run["id"].as_u64()?, usize::try_from(has).ok()?))
    }))
}

fn note_more(
    client: &mut Client,
    at: &str,
    id: u64,
    lines: &[Value],
    output: impl Fn(&[Value]) -> Value,
) -> Result<(), ApiError> {
    for part in lines.chunks(NOTES_AT_ONCE) {
        client.send(
            Method::PATCH,
            &format!("{at}/{id}"),
            &json!({ "output": output(part) }),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_a_secret_is_sent_once() {
        let mut secrets = Secrets::default();
        secrets.add("KEY", "marked-key-0001");
        let said = |what: &str| format!("{what} says marked-key-0001");
        let page = Page {
            head: "c".to_owned(),
            title: said("title"),
            body: said("body"),
            statuses: vec![("pertask/build".to_owned(), "failure".to_owned(), said("it"))],
            progress: Some(("<!-- p -->".to_owned(), said("progress"))),
            said: vec![("<!-- s -->".to_owned(), said("said"))],
            ..Page::default()
        };
        let clean = cleaned(&page, &secrets);
        assert!(!format!("{clean:?}").contains("marked-key"), "{clean:?}");
        let own = |number, text: &str| OwnComment {
            number,
            body: text.replace("marked-key-0001", "***"),
        };
        let there = SeenPull {
            head: "c".to_owned(),
            title: "title says ***".to_owned(),
            body: "body says ***".to_owned(),
            statuses: [(
                "pertask/build".to_owned(),
                ("failure".to_owned(), "it says ***".to_owned()),
            )]
            .into(),
            ours: [
                ("<!-- p -->".to_owned(), own(1, &said("progress"))),
                ("<!-- s -->".to_owned(), own(2, &said("said"))),
            ]
            .into(),
            ..SeenPull::default()
        };
        assert_eq!(steps(&clean, Some(&there), true), []);
        assert_ne!(steps(&page, Some(&there), true), []);
    }

    #[test]
    fn a_comment_that_two_programs_wrote_at_once_is_taken_away() {
        let page = Page {
            progress: Some(("<!-- p -->".to_owned(), "so far".to_owned())),
            said: vec![("<!-- s -->".to_owned(), "an answer".to_owned())],
            ..Page::default()
        };
        let own = |number, text: &str| OwnComment {
            number,
            body: text.to_owned(),
        };
        let ours = [
            ("<!-- p -->".to_owned(), own(1, "so far")),
            ("<!-- s -->".to_owned(), own(4, "an answer")),
        ];
        let there = SeenPull {
            ours: ours.into(),
            doubled: vec![
                ("<!-- p -->".to_owned(), 2),
                ("<!-- another -->".to_owned(), 3),
                ("<!-- s -->".to_owned(), 5),
            ],
            ..SeenPull::default()
        };
        let wanted = [Step::Withdraw(2), Step::Withdraw(5)];
        assert_eq!(steps(&page, Some(&there), true), wanted);
    }
}
