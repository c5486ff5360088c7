//! The mutations of the GraphQL interface.

use serde_json::{Value, json};

use super::merge::Merge;
use super::objects::{Ctx, Got, Node, Resolved, error};
use super::refusal::Refusal;
use super::resolve::{find, text};
use super::resolve_pull::queue_entry;
use super::rest::inaccessible;
use super::state::{Id, Permission, State};

/// Does a mutation; what it answers with.
pub fn field(ctx: &Ctx, name: &str, input: &Value) -> Resolved {
    let state: &mut State = &mut ctx.state.borrow_mut();
    let me = ctx.token.account;
    let subject = [
        "pullRequestId",
        "pullRequestReviewThreadId",
        "threadId",
        "id",
    ];
    let id = subject
        .iter()
        .find_map(|key| input[key].as_str())
        .unwrap_or_default();
    let found = find(state, id)?;
    let (Node::Pull(rid, _) | Node::Thread(rid, ..)) = found else {
        return Err(String::new());
    };
    let forbidden = |state: &State| error("FORBIDDEN", inaccessible(state.who(me).kind));
    let needed = if name == "mergePullRequest" {
        "contents=write"
    } else {
        "pull_requests=write"
    };
    if !ctx.token.may(needed) {
        return forbidden(state);
    }
    if state.repos[&rid].archived {
        return error("UNPROCESSABLE", "Repository was archived so is read-only.");
    }
    let writes = state.permission(&state.repos[&rid], me) >= Permission::Write;
    let payload = format!("{}{}Payload", name[..1].to_uppercase(), &name[1..]);
    let answer = |key, got| {
        let fields = json!({"clientMutationId": input["clientMutationId"]});
        Ok(Got::plain(&payload, fields, vec![(key, got)]))
    };
    match (name, found) {
        ("markPullRequestReadyForReview" | "convertPullRequestToDraft", Node::Pull(rid, n)) => {
            if !writes && state.pull(rid, n).author != me {
                return forbidden(state);
            }
            let now = state.now();
            let pull = state.pull_mut(rid, n);
            if !pull.open() {
                return error("UNPROCESSABLE", "Pull request is closed");
            }
            pull.draft = name == "convertPullRequestToDraft";
            pull.updated = now;
            answer("pullRequest", Got::One(Node::Pull(rid, n)))
        }
        ("addPullRequestReviewThreadReply", Node::Thread(rid, n, thread)) => {
            let done = state.reply(rid, n, me, thread, text(&input["body"]));
            let id = done.or_else(|refusal| refuse(&refusal))?;
            answer("comment", Got::One(Node::Remark(rid, n, thread, id)))
        }
        ("resolveReviewThread" | "unresolveReviewThread", Node::Thread(rid, n, thread)) => {
            let resolved = name == "resolveReviewThread";
            if state.resolve(rid, n, me, thread, resolved).is_err() {
                return forbidden(state);
            }
            answer("thread", Got::One(Node::Thread(rid, n, thread)))
        }
        ("enqueuePullRequest", Node::Pull(rid, n)) => {
            if !writes {
                return forbidden(state);
            }
            enqueue(state, rid, n, input["expectedHeadOid"].as_str())?;
            answer("mergeQueueEntry", queue_entry(state, rid, n))
        }
        ("dequeuePullRequest", Node::Pull(rid, n)) => {
            let entry = queue_entry(state, rid, n);
            state.pull_mut(rid, n).queued = None;
            answer("mergeQueueEntry", entry)
        }
        ("mergePullRequest", Node::Pull(rid, n)) => {
            if !writes {
                return forbidden(state);
            }
            let method = input["mergeMethod"]
                .as_str()
                .unwrap_or("MERGE")
                .to_lowercase();
            let how = Merge {
                method: &method,
                title: input["commitHeadline"].as_str(),
                message: input["commitBody"].as_str(),
                sha: input["expectedHeadOid"].as_str(),
                workflows: ctx.token.may("workflows=write"),
            };
            state
                .merge(rid, n, me, &how)
                .map(drop)
                .or_else(|refusal| refuse(&refusal))?;
            answer("pullRequest", Got::One(Node::Pull(rid, n)))
        }
        _ => Err(String::new()),
    }
}

fn refuse<T>(refusal: &Refusal) -> Result<T, String> {
    let said = refusal.errors.first().and_then(|e| e["message"].as_str());
    error("UNPROCESSABLE", said.unwrap_or(&refusal.message))
}

fn enqueue(state: &mut State, rid: Id, number: u64, head: Option<&str>) -> Result<(), String> {
    let pull = state.pull(rid, number);
    let repo = &state.repos[&rid];
    let refuse = |what: &str| error("UNPROCESSABLE", what);
    if !repo.protection(&pull.base_ref).is_some_and(|p| p.queue) {
        return refuse("The merge queue is not enabled for this branch");
    }
    if !pull.open() || pull.draft {
        return refuse("Pull request is not ready to be merged");
    }
    if head.is_some_and(|head| head != pull.head_sha) {
        return refuse("Head branch was modified. Review and try the merge again.");
    }
    if pull.queued.is_some() {
        return refuse("The pull request is already in the merge queue");
    }
    if let Some(why) = state.blocked(rid, number) {
        return refuse(&why);
    }
    let now = state.now();
    let pull = state.pull_mut(rid, number);
    pull.queued = Some(pull.head_sha.clone());
    pull.updated = now;
    Ok(())
}
