//! Reads review threads, and answers in them and to comments.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::look::{account, altered, clean, list, marker, may_write, number, string};
use super::{ApiError, Client};
use crate::forge::Reply;
use crate::forge::feedback::{Side, Subject, Thread, ThreadComment};
use crate::run::seen::{SeenPull, Voice};

const THREADS: &str = "query Threads($id: ID!, $after: String) { node(id: $id) { ... on PullRequest { reviewThreads(first: 50, after: $after) { pageInfo { hasNextPage endCursor } nodes { id isResolved isOutdated path line startLine originalLine originalStartLine diffSide subjectType comments(first: 100) { nodes { fullDatabaseId body diffHunk lastEditedAt editor { login } viewerDidAuthor author { __typename login ... on User { databaseId } ... on Bot { databaseId } } } } } } } } }";

/// Most pages of threads that are read: 2,000 threads.
const PAGES: usize = 40;

/// Whether who opened the pull request wrote this: another clone of the run, with another token.
fn opened(pull: &SeenPull, comment: &Value) -> bool {
    pull.author.id != 0 && account(&comment["author"]).id == pull.author.id
}

/// Every thread of a pull request, oldest first.
fn nodes(client: &mut Client, pull: &SeenPull) -> Result<Vec<Value>, ApiError> {
    let mut found = Vec::new();
    let mut after = Value::Null;
    for _ in 0..PAGES {
        let variables = json!({ "id": pull.id, "after": after });
        let data = client.query("Threads", THREADS, &variables)?;
        let page = &data["node"]["reviewThreads"];
        found.extend(list(&page["nodes"]));
        if page["pageInfo"]["hasNextPage"].as_bool() != Some(true) {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    Ok(found)
}

/// The threads with who may write among those who speak in them.
pub(super) fn threads(client: &mut Client, pull: &SeenPull) -> Result<Vec<Thread>, ApiError> {
    let mut may: BTreeMap<String, bool> = BTreeMap::new();
    for voice in &pull.voices {
        may.insert(voice.by.login.clone(), voice.permitted);
    }
    let mut found = Vec::new();
    for node in nodes(client, pull)? {
        let mut comments = Vec::new();
        for mut comment in list(&node["comments"]["nodes"]) {
            clean(client, &mut comment, "body");
            clean(client, &mut comment, "diffHunk");
            let by = account(&comment["author"]);
            let permitted = match may.get(&by.login) {
                _ if by.bot || by.id == 0 => false,
                Some(permitted) => *permitted,
                None => {
                    let permitted = may_write(client, &by.login)?;
                    may.insert(by.login.clone(), permitted);
                    permitted
                }
            };
            // What we answered ourselves asks for nothing.
            let ours = (comment["viewerDidAuthor"].as_bool() == Some(true)
                || opened(pull, &comment))
                && marker(&string(&comment["body"])).is_some();
            let altered = altered(&comment, &by);
            comments.push(ThreadComment {
                id: number(&comment["fullDatabaseId"]).to_string(),
                by: by.login,
                permitted: (permitted || crate::plant::is("strangers-heard")) && !ours,
                altered,
                body: string(&comment["body"]),
                hunk: string(&comment["diffHunk"]),
            });
        }
        let line = |name: &str| node[name].as_u64().and_then(|n| u32::try_from(n).ok());
        found.push(Thread {
            id: string(&node["id"]),
            path: string(&node["path"]),
            line: line("line"),
            start_line: line("startLine"),
            original_line: line("originalLine"),
            side: if node["diffSide"].as_str() == Some("LEFT") {
                Side::Left
            } else {
                Side::Right
            },
            outdated: node["isOutdated"].as_bool().unwrap_or(false),
            resolved: node["isResolved"].as_bool().unwrap_or(false),
            subject: if node["subjectType"].as_str() == Some("FILE") {
                Subject::File
            } else {
                Subject::Line
            },
            comments,
        });
    }
    Ok(found)
}

/// Answers in threads, where the answer does not stand there already
/// (<https://docs.github.com/en/rest/pulls/comments#create-a-reply-for-a-review-comment>).
pub(super) fn reply(
    client: &mut Client,
    pull: &SeenPull,
    replies: &[Reply],
) -> Result<Vec<String>, ApiError> {
    let mut doubts = Vec::new();
    let there = nodes(client, pull)?;
    for reply in replies {
        let Some(thread) = there
            .iter()
            .find(|t| t["id"].as_str() == Some(reply.thread.id.as_str()))
        else {
            continue;
        };
        let answered = list(&thread["comments"]["nodes"]).iter().any(|c| {
            (c["viewerDidAuthor"].as_bool() == Some(true) || opened(pull, c))
                && marker(&string(&c["body"])).as_ref() == Some(&reply.marker)
        });
        if answered {
            continue;
        }
        let at = format!(
            "{}/pulls/{}/comments/{}/replies",
            client.place().repository(),
            pull.number,
            reply.thread.comment
        );
        match client.send(Method::POST, &at, &json!({ "body": reply.text })) {
            Ok(_) => {}
            Err(e) if e.is_temporary() => return Err(e),
            // A locked conversation, or a comment that is gone, keeps nobody else waiting.
            Err(e) => doubts.push(format!(
                "the thread on {} was not answered: {e}",
                crate::text::line(&reply.thread.path)
            )),
        }
    }
    Ok(doubts)
}

/// Answers a comment with a mark, and with a reply where there is one.
pub(super) fn answer(
    client: &mut Client,
    pull: &SeenPull,
    voice: &Voice,
    followed: bool,
    reply: Option<(String, String)>,
) -> Result<(), ApiError> {
    if let Some((marker, text)) = reply
        && !pull.ours.contains_key(&marker)
    {
        say(client, pull, &text)?;
    }
    // The mark comes last: it is what says that nothing is left to be done.
    let at = format!(
        "{}/issues/comments/{}/reactions",
        client.place().repository(),
        voice.number
    );
    let content = if followed { "+1" } else { "confused" };
    client.send(Method::POST, &at, &json!({ "content": content }))?;
    Ok(())
}

/// Writes a comment.
pub(super) fn say(client: &mut Client, pull: &SeenPull, text: &str) -> Result<(), ApiError> {
    let at = format!(
        "{}/issues/{}/comments",
        client.place().repository(),
        pull.number
    );
    client.send(Method::POST, &at, &json!({ "body": text }))?;
    Ok(())
}
