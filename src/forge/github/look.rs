//! Reads everything about a run's pull requests in one query, and makes our own types of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ApiError, Client, segment};
use crate::forge::{Target, words};
use crate::run::LAST;
use crate::run::seen::{
    Account, Command, OwnComment, PullStanding, Seen, SeenPull, Voice, VoiceKind,
};

/// Most pull requests asked for at once: more make a query that GitHub may refuse as too large.
const AT_ONCE: usize = 20;

/// Most pull requests from branches of one name that are looked at.
const MOST: usize = 10;

/// Most further pages of what people said on one pull request.
const PAGES: usize = 20;

const ACTOR: &str = "__typename login ... on User { databaseId } ... on Bot { databaseId } ... on Mannequin { databaseId }";

const REVIEWS: &str = "id fullDatabaseId state body submittedAt url author { ...Who } commit { oid } lastEditedAt editor { login }";

const COMMENTS: &str = "id fullDatabaseId body createdAt url author { ...Who } lastEditedAt editor { login } viewerDidAuthor reactionGroups { content viewerHasReacted }";

/// What the repository says of itself, and of us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `owner/name` as it is now.
    pub(super) name: String,
    /// Takes no changes.
    pub(super) archived: bool,
    /// What the token's account may do: `WRITE`; empty where it is not said (apps).
    pub(super) permission: String,
    /// Name of the default branch.
    pub(super) default_branch: String,
}

/// Looks.
pub(super) fn look(client: &mut Client, targets: &[Target]) -> Result<(Seen, Facts), ApiError> {
    let mut seen = Seen::default();
    let mut facts = Facts::default();
    let mut merged_by: BTreeMap<String, Account> = BTreeMap::new();
    let mut chunks: Vec<&[Target]> = targets.chunks(AT_ONCE).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for chunk in chunks {
        let data = ask(client, chunk)?;
        seen.at = client.clock().unwrap_or_else(Timestamp::now);
        let viewer = account(&data["viewer"]);
        // An app's token has itself as viewer, under the name of its bot.
        seen.viewer = Account {
            bot: viewer.login.ends_with("[bot]"),
            login: viewer.login.trim_end_matches("[bot]").to_owned(),
            ..viewer
        };
        let repository = &data["repository"];
        facts = Facts {
            name: string(&repository["nameWithOwner"]),
            archived: repository["isArchived"].as_bool().unwrap_or(false),
            permission: string(&repository["viewerPermission"]),
            default_branch: string(&repository["defaultBranchRef"]["name"]),
        };
        for (n, target) in chunk.iter().enumerate() {
            let found = &repository[format!("t{n}").as_str()];
            let node = if target.number.is_some() {
                (!found.is_null()).then(|| found.clone())
            } else {
                let nodes = list(&found["nodes"]);
                match choose(&nodes) {
                    Some(node) => Some(node.clone()),
                    // Nothing but forks', and there may be more: ours is behind them, if it is there.
                    None if nodes.len() >= MOST => behind(client, target)?,
                    None => None,
                }
            };
            let Some(node) = node else { continue };
            let pull = read(client, &node)?;
            if let PullStanding::Merged { by, .. } = &pull.standing {
                merged_by.insert(target.key.clone(), by.clone());
            }
            if target.key == LAST {
                seen.last = Some(pull);
            } else {
                seen.pulls.insert(target.key.clone(), pull);
            }
        }
    }
    permissions(client, &mut seen)?;
    Ok((seen, facts))
}

fn ask(client: &mut Client, targets: &[Target]) -> Result<Value, ApiError> {
    let mut query = String::from("query Look($owner: String!, $name: String!");
    let mut variables = json!({
        "owner": client.place().owner,
        "name": client.place().name,
    });
    let mut wanted = String::new();
    for (n, target) in targets.iter().enumerate() {
        // Any fork may have a branch of this name: by its number it is found whatever they do.
        if let Some(number) = target.number {
            let _ = write!(wanted, " t{n}: pullRequest(number: {number}) {{ ...Pull }}");
            continue;
        }
        let _ = write!(query, ", $h{n}: String!");
        variables[format!("h{n}")] = json!(target.branch);
        let _ = write!(
            wanted,
            " t{n}: pullRequests(headRefName: $h{n}, first: {MOST}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ nodes {{ ...Pull }} }}"
        );
    }
    let _ = write!(
        query,
        ") {{ viewer {{ __typename login databaseId }} repository(owner: $owner, name: $name) {{ nameWithOwner isArchived viewerPermission defaultBranchRef {{ name }}{wanted} }} }}"
    );
    if !targets.is_empty() {
        let _ = write!(
            query,
            " fragment Who on Actor {{ {ACTOR} }} fragment Pull on PullRequest {{ id number url title body isDraft state headRefOid baseRefName isCrossRepository author {{ ...Who }} mergedBy {{ ...Who }} mergedAt mergeCommit {{ oid }} mergeable mergeStateStatus labels(first: 50) {{ nodes {{ name }} }} reviewRequests(first: 50) {{ nodes {{ requestedReviewer {{ __typename ... on User {{ login }} ... on Bot {{ login }} ... on Team {{ combinedSlug }} }} }} }} reviews(last: 100, states: [APPROVED, CHANGES_REQUESTED, DISMISSED]) {{ pageInfo {{ hasPreviousPage startCursor }} nodes {{ {REVIEWS} }} }} comments(last: 100) {{ pageInfo {{ hasPreviousPage startCursor }} nodes {{ {COMMENTS} }} }} opening: comments(first: 10) {{ nodes {{ fullDatabaseId body viewerDidAuthor }} }} commits(last: 1) {{ nodes {{ commit {{ oid status {{ contexts {{ context state description }} }} }} }} }} }}"
        );
    }
    client.query("Look", &query, &variables)
}

/// Looks for our own pull request from a branch where many forks have one of the same name.
fn behind(client: &mut Client, target: &Target) -> Result<Option<Value>, ApiError> {
    let place = client.place();
    let path = format!(
        "{}/pulls?state=all&head={}:{}",
        place.repository(),
        segment(&place.owner),
        segment(&target.branch)
    );
    let answer = client.get(&path)?;
    let Some(number) = answer.body[0]["number"].as_u64() else {
        return Ok(None);
    };
    let known = Target {
        number: Some(number),
        ..target.clone()
    };
    let data = ask(client, std::slice::from_ref(&known))?;
    let node = &data["repository"]["t0"];
    Ok((!node.is_null()).then(|| node.clone()))
}

/// The pull request meant: the open one, else the newest. One from a fork whose branch has the same
/// name is none of ours.
fn choose(nodes: &[Value]) -> Option<&Value> {
    let ours = || {
        nodes
            .iter()
            .filter(|n| n["isCrossRepository"].as_bool() == Some(false))
    };
    ours()
        .find(|n| n["state"].as_str() == Some("OPEN"))
        .or_else(|| ours().next())
}

fn read(client: &mut Client, node: &Value) -> Result<SeenPull, ApiError> {
    let id = string(&node["id"]);
    let mut reviews = list(&node["reviews"]["nodes"]);
    earlier(client, &id, "reviews", &node["reviews"], &mut reviews)?;
    let mut comments = list(&node["comments"]["nodes"]);
    earlier(client, &id, "comments", &node["comments"], &mut comments)?;
    // Their words go into prompts, answers and the ledger.
    for node in reviews.iter_mut().chain(&mut comments) {
        clean(client, node, "body");
    }
    let mut pull = SeenPull {
        number: node["number"].as_u64().unwrap_or(0),
        url: string(&node["url"]),
        author: account(&node["author"]),
        standing: standing(node),
        draft: node["isDraft"].as_bool().unwrap_or(false),
        head: string(&node["headRefOid"]),
        base: string(&node["baseRefName"]),
        title: string(&node["title"]),
        body: string(&node["body"]),
        labels: list(&node["labels"]["nodes"])
            .iter()
            .map(|l| string(&l["name"]))
            .collect(),
        asked: list(&node["reviewRequests"]["nodes"])
            .iter()
            .map(|r| &r["requestedReviewer"])
            .map(|r| {
                let team = string(&r["combinedSlug"]);
                if team.is_empty() {
                    string(&r["login"])
                } else {
                    team
                }
            })
            .collect(),
        statuses: statuses(node),
        mergeable: match node["mergeable"].as_str() {
            Some("MERGEABLE") => Some(true),
            Some("CONFLICTING") => Some(false),
            _ => None,
        },
        merge_state: string(&node["mergeStateStatus"]),
        voices: Vec::new(),
        ours: BTreeMap::new(),
        doubled: Vec::new(),
        id,
    };
    pull.voices = reviews.iter().filter_map(review).collect();
    pull.voices.extend(comments.iter().filter_map(command));
    pull.voices.sort_by_key(|v| v.at);
    let opener = pull.author.id;
    for comment in list(&node["opening"]["nodes"]).iter().chain(&comments) {
        // A run goes on from any clone, with any token: who opened it wrote for us, too.
        let mine = comment["viewerDidAuthor"].as_bool() == Some(true);
        let ours = mine || (opener != 0 && account(&comment["author"]).id == opener);
        if ours && let Some(marker) = marker(&string(&comment["body"])) {
            let own = OwnComment {
                number: number(&comment["fullDatabaseId"]),
                body: string(&comment["body"]),
            };
            let number = own.number;
            let first = pull.ours.entry(marker.clone()).or_insert(own).number;
            // The oldest are read apart, so one may come twice.
            let again = (marker, number);
            if mine && number > first && !pull.doubled.contains(&again) {
                pull.doubled.push(again);
            }
        }
    }
    Ok(pull)
}

/// What was said before the last hundred, oldest pages first in the end.
fn earlier(
    client: &mut Client,
    id: &str,
    what: &str,
    first: &Value,
    found: &mut Vec<Value>,
) -> Result<(), ApiError> {
    let mut page = first["pageInfo"].clone();
    for _ in 0..PAGES {
        if page["hasPreviousPage"].as_bool() != Some(true) {
            break;
        }
        let (fields, states) = if what == "reviews" {
            (
                REVIEWS,
                ", states: [APPROVED, CHANGES_REQUESTED, DISMISSED]",
            )
        } else {
            (COMMENTS, "")
        };
        let query = format!(
            "query Earlier($id: ID!, $before: String) {{ node(id: $id) {{ ... on PullRequest {{ {what}(last: 100, before: $before{states}) {{ pageInfo {{ hasPreviousPage startCursor }} nodes {{ {fields} }} }} }} }} }} fragment Who on Actor {{ {ACTOR} }}"
        );
        let variables = json!({ "id": id, "before": page["startCursor"] });
        let data = client.query("Earlier", &query, &variables)?;
        let more = &data["node"][what];
        let mut nodes = list(&more["nodes"]);
        nodes.append(found);
        *found = nodes;
        page = more["pageInfo"].clone();
    }
    Ok(())
}

/// Takes secrets out of a text that somebody wrote.
pub(super) fn clean(client: &Client, node: &mut Value, name: &str) {
    if let Some(text) = node.get_mut(name) {
        client.secrets().clean_json(text);
    }
}

fn standing(node: &Value) -> PullStanding {
    match node["state"].as_str() {
        Some("MERGED") => PullStanding::Merged {
            commit: string(&node["mergeCommit"]["oid"]),
            by: account(&node["mergedBy"]),
            permitted: false,
            at: time(&node["mergedAt"]),
        },
        Some("CLOSED") => PullStanding::Closed,
        _ => PullStanding::Open,
    }
}

fn statuses(node: &Value) -> BTreeMap<String, (String, String)> {
    let commit = &node["commits"]["nodes"][0]["commit"];
    if commit["oid"] != node["headRefOid"] {
        return BTreeMap::new();
    }
    list(&commit["status"]["contexts"])
        .iter()
        .map(|c| {
            let state = string(&c["state"]).to_lowercase();
            (string(&c["context"]), (state, string(&c["description"])))
        })
        .collect()
}

fn review(node: &Value) -> Option<Voice> {
    let commit = string(&node["commit"]["oid"]);
    let kind = match node["state"].as_str() {
        Some("APPROVED") => VoiceKind::Approval { commit },
        Some("CHANGES_REQUESTED") => VoiceKind::ChangesRequested { commit },
        Some("DISMISSED") => VoiceKind::Dismissed,
        _ => return None,
    };
    Some(voice(node, kind, time(&node["submittedAt"])))
}

fn command(node: &Value) -> Option<Voice> {
    let command = match words::read(&string(&node["body"]))? {
        Ok(words::Command::Approve { sha }) => Command::Approve { commit: sha },
        Ok(words::Command::Revise { text }) => Command::Revise { text },
        Ok(words::Command::Retry { fresh }) => Command::Retry { fresh },
        Ok(words::Command::Skip { why }) => Command::Skip { why },
        Ok(words::Command::Abort) => Command::Abort,
        Ok(words::Command::Status) => Command::Status,
        Err(misread) => Command::Misread {
            hint: misread.help(None),
        },
    };
    let mut voice = voice(node, VoiceKind::Command(command), time(&node["createdAt"]));
    voice.marked = list(&node["reactionGroups"])
        .iter()
        .any(|g| g["viewerHasReacted"].as_bool() == Some(true));
    Some(voice)
}

/// Whether somebody else than who wrote it changed it last: who that was is not said where the account
/// is gone.
pub(super) fn altered(node: &Value, by: &Account) -> bool {
    if crate::plant::is("edited-words-heard") {
        return false;
    }
    match node["editor"]["login"].as_str() {
        Some(editor) => editor != by.login,
        None => !node["lastEditedAt"].is_null(),
    }
}

fn voice(node: &Value, kind: VoiceKind, at: Timestamp) -> Voice {
    let by = account(&node["author"]);
    Voice {
        id: string(&node["id"]),
        number: number(&node["fullDatabaseId"]),
        altered: altered(node, &by),
        by,
        permitted: false,
        at,
        text: string(&node["body"]),
        url: string(&node["url"]),
        kind,
        marked: false,
    }
}

/// Asks, once for each person, who may write to the repository.
fn permissions(client: &mut Client, seen: &mut Seen) -> Result<(), ApiError> {
    let mut people = BTreeSet::new();
    for pull in seen.pulls.values().chain(&seen.last) {
        for voice in &pull.voices {
            people.insert((voice.by.bot || voice.by.id == 0, voice.by.login.clone()));
        }
        if let PullStanding::Merged { by, .. } = &pull.standing {
            people.insert((by.bot || by.id == 0, by.login.clone()));
        }
    }
    let mut may = BTreeMap::new();
    for (nobody, login) in people {
        if !nobody {
            let permitted = may_write(client, &login)?;
            may.insert(login, permitted);
        }
    }
    let permitted = |who: &Account| !who.bot && may.get(&who.login).copied().unwrap_or(false);
    for pull in seen.pulls.values_mut().chain(&mut seen.last) {
        for voice in &mut pull.voices {
            voice.permitted = permitted(&voice.by);
        }
        if let PullStanding::Merged {
            by, permitted: may, ..
        } = &mut pull.standing
        {
            *may = permitted(by);
        }
    }
    Ok(())
}

/// Whether a person may write to the repository
/// (<https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>).
pub(super) fn may_write(client: &mut Client, login: &str) -> Result<bool, ApiError> {
    let path = format!(
        "{}/collaborators/{}/permission",
        client.place().repository(),
        segment(login)
    );
    match client.get(&path) {
        Ok(answer) => Ok(matches!(
            answer.body["permission"].as_str(),
            Some("admin" | "write")
        )),
        Err(ApiError::NotFound { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The marker in the first line of a comment of ours.
pub(super) fn marker(body: &str) -> Option<String> {
    let first = body.lines().next()?.trim();
    (first.starts_with("<!-- pertask:") && first.ends_with("-->")).then(|| first.to_owned())
}

pub(super) fn account(node: &Value) -> Account {
    Account {
        id: node["databaseId"].as_u64().unwrap_or(0),
        login: string(&node["login"]),
        bot: node["__typename"].as_str() == Some("Bot")
            || node["login"].as_str().is_some_and(|l| l.ends_with("[bot]")),
    }
}

pub(super) fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// GraphQL writes large numbers as text.
pub(super) fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|t| t.parse().ok());
    value.as_u64().or(text).unwrap_or(0)
}

pub(super) fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn time(value: &Value) -> Timestamp {
    let parsed = value.as_str().and_then(|t| t.parse().ok());
    parsed.unwrap_or(Timestamp::UNIX_EPOCH)
}
