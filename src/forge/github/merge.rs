//! Merges a pull request, by the commit that was approved, and says why GitHub would not.

use http::Method;
use serde_json::json;

use super::{ApiError, Client};
use crate::forge::Merging;
use crate::plan::MergeMethod;
use crate::run::seen::SeenPull;

/// How many times GitHub is asked whether it has worked out by now if the pull request merges.
const ASK_AGAIN: u32 = 4;

/// Merges `pull` at `head`
/// (<https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request>).
pub(super) fn merge(
    client: &mut Client,
    pull: &SeenPull,
    head: &str,
    method: MergeMethod,
    message: &str,
) -> Result<Merging, ApiError> {
    let at = format!("{}/pulls/{}", client.place().repository(), pull.number);
    let (title, text) = message.split_once('\n').unwrap_or((message, ""));
    let mut body = json!({
        "sha": head,
        "merge_method": match method {
            MergeMethod::Squash => "squash",
            MergeMethod::Merge => "merge",
            MergeMethod::Rebase => "rebase",
        },
    });
    if crate::plant::is("merge-names-no-commit")
        && let Some(body) = body.as_object_mut()
    {
        body.remove("sha");
    }
    if method != MergeMethod::Rebase {
        body["commit_title"] = json!(title);
        body["commit_message"] = json!(text.trim());
    }
    let answer = client.send(Method::PUT, &format!("{at}/merge"), &body);
    let answer = match answer {
        // It does not know yet whether it merges: it works that out when it is asked.
        Err(e @ ApiError::Refused { status: 405, .. })
            if !e.says("merge queue") && is_worked_out(client, &at)? =>
        {
            client.send(Method::PUT, &format!("{at}/merge"), &body)
        }
        other => other,
    };
    match answer {
        Ok(answer) => match answer.body["sha"].as_str() {
            Some(sha) => Ok(Merging::Done(sha.to_owned())),
            None => Err(ApiError::Unknown {
                asked: "the merge".to_owned(),
                detail: "the answer names no commit".to_owned(),
            }),
        },
        Err(ApiError::Refused { status: 409, .. }) => Ok(Merging::Moved),
        Err(e @ ApiError::Refused { .. }) if e.says("merge queue") => queue(client, pull, head),
        Err(ApiError::Refused {
            status, message, ..
        }) => held(client, &at, status, &message),
        Err(e) => Err(e),
    }
}

/// Whether GitHub had not worked out if the pull request merges, and now has: it does.
fn is_worked_out(client: &mut Client, at: &str) -> Result<bool, ApiError> {
    for n in 0..ASK_AGAIN {
        let answer = client.get(at)?;
        match answer.body["mergeable"].as_bool() {
            Some(mergeable) => {
                let state = answer.body["mergeable_state"].as_str().unwrap_or_default();
                // Known from the first: then the refusal was about something else.
                return Ok(n > 0
                    && mergeable
                    && matches!(state, "clean" | "unstable" | "has_hooks"));
            }
            None => client.rest(std::time::Duration::from_secs(1 << n))?,
        }
    }
    Ok(false)
}

/// Why it cannot be merged now.
fn held(client: &mut Client, at: &str, status: u16, message: &str) -> Result<Merging, ApiError> {
    let now = client.get(at)?.body;
    if now["merged"].as_bool() == Some(true) || now["state"].as_str() == Some("closed") {
        return Ok(Merging::Moved);
    }
    let why = match (now["mergeable"].as_bool(), now["mergeable_state"].as_str()) {
        (Some(false), _) | (_, Some("dirty")) => "it conflicts with the run branch".to_owned(),
        (_, Some("blocked")) => {
            "the branch's protection wants something first, such as required checks or more reviews"
                .to_owned()
        }
        (_, Some("behind")) => "the branch's protection wants it up to date first".to_owned(),
        (_, Some("draft")) => "it is a draft".to_owned(),
        (None, _) => "GitHub has not worked out yet whether it merges".to_owned(),
        _ => format!("GitHub will not merge it ({status})"),
    };
    Ok(Merging::Held(format!("{why}: {message}")))
}

/// Puts it into the merge queue, where the branch has one.
fn queue(client: &mut Client, pull: &SeenPull, head: &str) -> Result<Merging, ApiError> {
    let text = "mutation Queue($id: ID!, $head: GitObjectID!) { enqueuePullRequest(input: {pullRequestId: $id, expectedHeadOid: $head}) { mergeQueueEntry { position } } }";
    let variables = json!({ "id": pull.id, "head": head });
    match client.mutate("Queue", text, &variables) {
        Ok(_) | Err(ApiError::Refused { .. }) => {}
        Err(e) => return Err(e),
    }
    Ok(Merging::Held(
        "it is in the merge queue of its branch".to_owned(),
    ))
}
