//! The fields of the GraphQL interface: the viewer, repositories, branches, commits, checks.

use git2::Oid;
use serde_json::{Value, json};

use super::mutate;
use super::objects::{Ctx, Got, Node, Resolved, error, leaf};
use super::render::{node, time};
use super::resolve_pull as pull;
use super::state::{Id, Kind, Permission, Pull, Repo, State};

/// A field of an object of the state; an empty error: there is none of that name here.
pub fn field(ctx: &Ctx, of: &Node, name: &str, args: &Value) -> Resolved {
    if let Node::Mutation = of {
        return mutate::field(ctx, name, &args["input"]);
    }
    let state: &mut State = &mut ctx.state.borrow_mut();
    let me = ctx.token.account;
    match of {
        Node::Query => query(ctx, state, name, args),
        Node::Viewer(id) if name == "login" => leaf(state.who(*id).login()),
        Node::Viewer(id) | Node::Actor(id) => actor(state, *id, name),
        Node::Repo(rid) => repository(state, me, *rid, name, args),
        Node::Pull(rid, n) => pull::pull(state, me, (*rid, *n), name, args),
        Node::Review(rid, n, id) => pull::review(state, me, (*rid, *n, *id), name),
        Node::Thread(rid, n, id) => pull::thread(state, me, (*rid, *n, *id), name),
        Node::Remark(rid, n, thread, id) => pull::remark(state, me, (*rid, *n, *thread, *id), name),
        Node::Comment(rid, n, id) => pull::comment(state, me, (*rid, *n, *id), name),
        Node::ReviewRequest(rid, n, whom) => match name {
            "id" => leaf(format!("RR_kw{n}_{whom}")),
            "asCodeOwner" => leaf(false),
            "pullRequest" => Ok(Got::One(Node::Pull(*rid, *n))),
            "requestedReviewer" => Ok(Got::One(Node::Actor(*whom))),
            _ => Err(String::new()),
        },
        Node::Label(rid, label) => self::label(state, *rid, label, name),
        Node::Ref(rid, branch) => match name {
            "id" => leaf(format!("REF_{rid}_{branch}")),
            "name" => leaf(branch.as_str()),
            "prefix" => leaf("refs/heads/"),
            "repository" => Ok(Got::One(Node::Repo(*rid))),
            "target" => {
                let target = state.repos[rid].heads.get(branch).cloned();
                Ok(Got::maybe(target.map(|sha| Node::Commit(*rid, sha))))
            }
            "branchProtectionRule" => leaf(Value::Null),
            _ => Err(String::new()),
        },
        Node::Commit(rid, sha) => commit(state, *rid, sha, name, args),
        Node::Status(rid, sha) => status(state, *rid, sha, name, args),
        Node::Context(rid, id) => context(state, *rid, *id, name),
        Node::Check(rid, id) => check(state, *rid, *id, name),
        Node::Rollup(rid, sha) => match name {
            "id" => leaf(format!("SCR_{sha}")),
            "commit" => Ok(Got::One(Node::Commit(*rid, sha.clone()))),
            "state" => leaf(state.rollup(*rid, sha).unwrap_or("EXPECTED")),
            "contexts" => Ok(contexts(state, *rid, sha)),
            _ => Err(String::new()),
        },
        Node::Mutation | Node::Many(_) | Node::Plain(_) => Err(String::new()),
    }
}

fn query(ctx: &Ctx, state: &State, name: &str, args: &Value) -> Resolved {
    match name {
        "viewer" => Ok(Got::One(Node::Viewer(ctx.token.account))),
        "repository" => {
            let (owner, repo) = (text(&args["owner"]), text(&args["name"]));
            let follow = args["followRenames"] != false;
            let found = state.repo_named(owner, repo).or_else(|| {
                let moved = state.repo_moved(owner, repo);
                moved.filter(|_| follow)
            });
            let seen = found.filter(|rid| {
                state.permission(&state.repos[rid], ctx.token.account) > Permission::None
            });
            match seen {
                Some(rid) => Ok(Got::One(Node::Repo(rid))),
                None => error(
                    "NOT_FOUND",
                    format!("Could not resolve to a Repository with the name '{owner}/{repo}'."),
                ),
            }
        }
        "user" => match state.account(text(&args["login"])) {
            Some(account) if account.kind == Kind::User => Ok(Got::One(Node::Actor(account.id))),
            _ => {
                let login = text(&args["login"]);
                let what = format!("Could not resolve to a User with the login of '{login}'.");
                error("NOT_FOUND", what)
            }
        },
        "node" => find(state, text(&args["id"])).map(Got::One),
        "nodes" => {
            let ids = args["ids"].as_array().cloned().unwrap_or_default();
            let found: Result<Vec<Node>, String> =
                ids.iter().map(|id| find(state, text(id))).collect();
            found.map(Got::List)
        }
        "rateLimit" => {
            let reset = state.now().as_second() + 3600;
            let reset = jiff::Timestamp::from_second(reset).unwrap();
            let fields = json!({
                "cost": 1, "limit": 5000, "nodeCount": 1, "remaining": 4999, "used": 1,
                "resetAt": time(reset),
            });
            Ok(Got::plain("RateLimit", fields, Vec::new()))
        }
        _ => Err(String::new()),
    }
}

/// A text argument.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The object of a node id.
pub fn find(state: &State, id: &str) -> Result<Node, String> {
    let found = id.split_once("_kw").and_then(|(kind, number)| {
        let number: Id = number.parse().ok()?;
        if kind == "R" {
            return state
                .repos
                .contains_key(&number)
                .then_some(Node::Repo(number));
        }
        if kind == "U" {
            return state
                .accounts
                .contains_key(&number)
                .then_some(Node::Actor(number));
        }
        let mut pulls = state
            .repos
            .values()
            .flat_map(|r| r.pulls.iter().map(move |p| (r.id, p)));
        pulls.find_map(|(rid, p)| {
            let n = p.number;
            match kind {
                "PR" => (p.id == number).then_some(Node::Pull(rid, n)),
                "PRR" => {
                    let mut reviews = p.reviews.iter();
                    reviews
                        .any(|r| r.id == number)
                        .then_some(Node::Review(rid, n, number))
                }
                "PRRT" => {
                    let mut threads = p.threads.iter();
                    threads
                        .any(|t| t.id == number)
                        .then_some(Node::Thread(rid, n, number))
                }
                "IC" => {
                    let mut comments = p.comments.iter();
                    comments
                        .any(|c| c.id == number)
                        .then_some(Node::Comment(rid, n, number))
                }
                _ => None,
            }
        })
    });
    found.map_or_else(
        || {
            let what = format!("Could not resolve to a node with the global id of '{id}'.");
            error("NOT_FOUND", what)
        },
        Ok,
    )
}

fn actor(state: &State, id: Id, name: &str) -> Resolved {
    let account = state.who(id);
    match name {
        // Without [bot], unlike REST.
        "login" | "name" => leaf(account.name.as_str()),
        "databaseId" => leaf(id),
        "id" => leaf(node("U", id)),
        "url" => leaf(state.user_json(id)["html_url"].clone()),
        "resourcePath" => leaf(format!("/{}", account.name)),
        "avatarUrl" => leaf(format!("{}/avatars/{id}", state.address)),
        "createdAt" | "updatedAt" => leaf(time(state.now())),
        "email" => leaf(""),
        _ => Err(String::new()),
    }
}

/// `viewerPermission` and the like.
pub fn permission_name(level: Permission) -> Value {
    match level {
        Permission::None => Value::Null,
        level => json!(level.role().to_uppercase()),
    }
}

fn repository(state: &State, me: Id, rid: Id, name: &str, args: &Value) -> Resolved {
    let repo = &state.repos[&rid];
    let full = state.full_name(repo);
    match name {
        "id" => leaf(node("R", rid)),
        "databaseId" => leaf(rid),
        "name" => leaf(repo.name.as_str()),
        "nameWithOwner" => leaf(full),
        "owner" => Ok(Got::One(Node::Actor(repo.owner))),
        "url" => leaf(format!("{}/{full}", state.address)),
        "resourcePath" => leaf(format!("/{full}")),
        "isArchived" => leaf(repo.archived),
        "isPrivate" => leaf(repo.private),
        "isFork" => leaf(repo.fork_of.is_some()),
        "isDisabled" | "isLocked" | "autoMergeAllowed" | "isTemplate" => leaf(false),
        "isEmpty" => leaf(repo.heads.is_empty()),
        "visibility" => leaf(if repo.private { "PRIVATE" } else { "PUBLIC" }),
        "mergeCommitAllowed" => leaf(repo.allow_merge),
        "squashMergeAllowed" => leaf(repo.allow_squash),
        "rebaseMergeAllowed" => leaf(repo.allow_rebase),
        "deleteBranchOnMerge" => leaf(repo.delete_branch_on_merge),
        "viewerPermission" => leaf(permission_name(state.permission(repo, me))),
        "viewerCanAdminister" => leaf(state.permission(repo, me) == Permission::Admin),
        "parent" => Ok(Got::maybe(repo.fork_of.map(Node::Repo))),
        "defaultBranchRef" => {
            let there = repo.heads.contains_key(&repo.default_branch);
            let branch = there.then(|| Node::Ref(rid, repo.default_branch.clone()));
            Ok(Got::maybe(branch))
        }
        "ref" => {
            let branch = text(&args["qualifiedName"]);
            let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
            let there = repo.heads.contains_key(branch);
            Ok(Got::maybe(there.then(|| Node::Ref(rid, branch.to_owned()))))
        }
        "object" => {
            let wanted = args["oid"].as_str().or(args["expression"].as_str());
            let git = repo.bare.open();
            let found = wanted.and_then(|w| git.revparse_single(w).ok());
            let found = found.and_then(|o| o.peel_to_commit().ok());
            Ok(Got::maybe(
                found.map(|c| Node::Commit(rid, c.id().to_string())),
            ))
        }
        "pullRequest" => {
            let number = args["number"].as_u64().unwrap_or_default();
            if state.find(rid, number).is_none() {
                let what = "Could not resolve to a PullRequest with the number of";
                return error("NOT_FOUND", format!("{what} {number}."));
            }
            Ok(Got::One(Node::Pull(rid, number)))
        }
        "pullRequests" => Ok(Got::Connection("PullRequest", pulls(repo, args))),
        "labels" => {
            let labels = repo.labels.iter().map(|l| Node::Label(rid, l.name.clone()));
            Ok(Got::Connection("Label", labels.collect()))
        }
        // What protects branches here are rules, which REST tells.
        "branchProtectionRules" => Ok(Got::Connection("BranchProtectionRule", Vec::new())),
        "label" => {
            let wanted = text(&args["name"]);
            let found = repo
                .labels
                .iter()
                .find(|l| l.name.eq_ignore_ascii_case(wanted));
            Ok(Got::maybe(found.map(|l| Node::Label(rid, l.name.clone()))))
        }
        "mergeQueue" => {
            let branch = args["branch"].as_str().unwrap_or(&repo.default_branch);
            if repo.protection(branch).is_some_and(|p| p.queue) {
                let url = format!("{}/{full}/queue/{branch}", state.address);
                let path = format!("/{full}/queue/{branch}");
                let fields = json!({"id": format!("MQ_kw{rid}"), "url": url, "resourcePath": path});
                Ok(Got::plain("MergeQueue", fields, Vec::new()))
            } else {
                leaf(Value::Null)
            }
        }
        _ => Err(String::new()),
    }
}

fn pulls(repo: &Repo, args: &Value) -> Vec<Node> {
    let one_of = |list: &Value, value: &str| match list.as_array() {
        Some(list) => list.iter().any(|v| v == value),
        None => true,
    };
    let same = |wanted: &Value, value: &str| wanted.as_str().is_none_or(|w| w == value);
    let mut found: Vec<&Pull> = repo
        .pulls
        .iter()
        .filter(|p| {
            one_of(&args["states"], pull::state_name(p))
                && same(&args["headRefName"], &p.head_ref)
                && same(&args["baseRefName"], &p.base_ref)
                && args["labels"]
                    .as_array()
                    .is_none_or(|list| list.iter().any(|l| p.labels.iter().any(|x| l == x)))
        })
        .collect();
    if args["orderBy"]["field"] == "UPDATED_AT" {
        found.sort_by_key(|p| p.updated);
    }
    if args["orderBy"]["direction"] == "DESC" {
        found.reverse();
    }
    found
        .iter()
        .map(|p| Node::Pull(repo.id, p.number))
        .collect()
}

fn label(state: &State, rid: Id, label: &str, name: &str) -> Resolved {
    let repo = &state.repos[&rid];
    let Some(found) = repo.labels.iter().find(|l| l.name == label) else {
        return error("NOT_FOUND", "the label is gone");
    };
    match name {
        "id" => leaf(node("LA", found.id)),
        "name" => leaf(found.name.as_str()),
        "color" => leaf(found.color.as_str()),
        "description" => leaf(found.description.as_str()),
        "isDefault" => leaf(false),
        _ => Err(String::new()),
    }
}

fn commit(state: &State, rid: Id, sha: &str, name: &str, args: &Value) -> Resolved {
    let repo = &state.repos[&rid];
    let base = format!("/{}/commit/{sha}", state.full_name(repo));
    match name {
        "id" => return leaf(format!("C_{rid}_{sha}")),
        "oid" => return leaf(sha),
        "abbreviatedOid" => return leaf(&sha[..7]),
        "url" | "commitUrl" => return leaf(format!("{}{base}", state.address)),
        "resourcePath" | "commitResourcePath" => return leaf(base),
        "repository" => return Ok(Got::One(Node::Repo(rid))),
        "status" => {
            let some = repo.statuses.iter().any(|s| s.sha == sha);
            return Ok(Got::maybe(some.then(|| Node::Status(rid, sha.to_owned()))));
        }
        "statusCheckRollup" => {
            let some = state.rollup(rid, sha).is_some();
            return Ok(Got::maybe(some.then(|| Node::Rollup(rid, sha.to_owned()))));
        }
        _ => {}
    }
    let git = repo.bare.open();
    let Some(found) = Oid::from_str(sha)
        .ok()
        .and_then(|oid| git.find_commit(oid).ok())
    else {
        return error("NOT_FOUND", "the commit is gone");
    };
    let person = |who: git2::Signature<'_>| {
        let at = jiff::Timestamp::from_second(who.when().seconds()).unwrap_or_default();
        let (person, email) = (
            who.name().unwrap_or_default(),
            who.email().unwrap_or_default(),
        );
        let user = email
            .split_once('+')
            .and_then(|(id, _)| id.parse::<Id>().ok());
        let user = user.filter(|id| {
            state
                .accounts
                .get(id)
                .is_some_and(|account| account.kind == Kind::User)
        });
        let fields = json!({"name": person, "email": email, "date": time(at)});
        let user = Got::maybe(user.map(Node::Actor));
        Ok(Got::plain("GitActor", fields, vec![("user", user)]))
    };
    let when = |at: git2::Time| {
        leaf(time(
            jiff::Timestamp::from_second(at.seconds()).unwrap_or_default(),
        ))
    };
    let message = found.message().unwrap_or_default();
    let (headline, body) = message.split_once('\n').unwrap_or((message, ""));
    match name {
        "message" => leaf(message),
        "messageHeadline" => leaf(headline),
        "messageBody" => leaf(body.trim()),
        "author" => person(found.author()),
        "committer" => person(found.committer()),
        "authoredDate" => when(found.author().when()),
        "committedDate" => when(found.committer().when()),
        "tree" => {
            let oid = found.tree_id().to_string();
            let fields = json!({"oid": oid, "id": format!("T_{oid}"), "abbreviatedOid": &oid[..7]});
            Ok(Got::plain("Tree", fields, Vec::new()))
        }
        "parents" => {
            let parents = found
                .parent_ids()
                .map(|id| Node::Commit(rid, id.to_string()));
            Ok(Got::Connection("Commit", parents.collect()))
        }
        "associatedPullRequests" => {
            let mut list = pulls(repo, args);
            list.retain(|node| {
                let Node::Pull(_, number) = node else {
                    return false;
                };
                let p = state.pull(rid, *number);
                p.head_sha == sha || p.merged.as_ref().is_some_and(|m| m.commit == sha)
            });
            Ok(Got::Connection("PullRequest", list))
        }
        _ => Err(String::new()),
    }
}

/// Number of the newest status of each context of a commit.
fn newest(repo: &Repo, sha: &str) -> Vec<Id> {
    let mut seen: Vec<&str> = Vec::new();
    let mut ids = Vec::new();
    for status in repo.statuses.iter().rev().filter(|s| s.sha == sha) {
        if !seen.contains(&status.context.as_str()) {
            seen.push(&status.context);
            ids.push(status.id);
        }
    }
    ids.reverse();
    ids
}

fn contexts(state: &State, rid: Id, sha: &str) -> Got {
    let repo = &state.repos[&rid];
    let statuses = newest(repo, sha)
        .into_iter()
        .map(|id| Node::Context(rid, id));
    let checks = repo
        .checks
        .iter()
        .filter(|c| c.sha == sha)
        .map(|c| Node::Check(rid, c.id));
    Got::Connection("StatusCheckRollupContext", checks.chain(statuses).collect())
}

fn status(state: &State, rid: Id, sha: &str, name: &str, args: &Value) -> Resolved {
    let repo = &state.repos[&rid];
    let ids = newest(repo, sha);
    match name {
        "id" => leaf(format!("ST_{sha}")),
        "commit" => Ok(Got::One(Node::Commit(rid, sha.to_owned()))),
        "contexts" => Ok(Got::List(
            ids.into_iter().map(|id| Node::Context(rid, id)).collect(),
        )),
        "context" => {
            let wanted = text(&args["name"]);
            let found = repo
                .statuses
                .iter()
                .find(|s| ids.contains(&s.id) && s.context == wanted);
            Ok(Got::maybe(found.map(|s| Node::Context(rid, s.id))))
        }
        "state" => {
            let of = |s: &super::state::Status| ids.contains(&s.id).then(|| s.state.clone());
            let states: Vec<String> = repo.statuses.iter().filter_map(of).collect();
            let any = |wanted: &str| states.iter().any(|s| s == wanted);
            leaf(match (any("error"), any("failure"), any("pending")) {
                (true, ..) => "ERROR",
                (_, true, _) => "FAILURE",
                (.., true) => "PENDING",
                _ => "SUCCESS",
            })
        }
        "combinedContexts" => Ok(contexts(state, rid, sha)),
        _ => Err(String::new()),
    }
}

fn context(state: &State, rid: Id, id: Id, name: &str) -> Resolved {
    let repo = &state.repos[&rid];
    let status = repo.statuses.iter().find(|s| s.id == id).unwrap();
    match name {
        "id" => leaf(node("SC", id)),
        "context" => leaf(status.context.as_str()),
        "state" => leaf(status.state.to_uppercase()),
        "description" => leaf(status.description.clone()),
        "targetUrl" => leaf(status.target_url.clone()),
        "createdAt" => leaf(time(status.at)),
        "creator" => Ok(Got::One(Node::Actor(status.creator))),
        "commit" => Ok(Got::One(Node::Commit(rid, status.sha.clone()))),
        "isRequired" => leaf(required(repo, &status.context)),
        _ => Err(String::new()),
    }
}

fn required(repo: &Repo, context: &str) -> bool {
    let mut rules = repo.protections.values();
    rules.any(|p| p.checks.iter().any(|c| c == context))
}

fn check(state: &State, rid: Id, id: Id, name: &str) -> Resolved {
    let repo = &state.repos[&rid];
    let check = repo.checks.iter().find(|c| c.id == id).unwrap();
    match name {
        "id" => leaf(node("CR", id)),
        "databaseId" => leaf(id),
        "name" => leaf(check.name.as_str()),
        "status" => leaf(check.status.to_uppercase()),
        "conclusion" => leaf(check.conclusion.as_ref().map(|c| c.to_uppercase())),
        "title" => leaf(check.title.clone()),
        "summary" => leaf(check.summary.clone()),
        "text" => leaf(check.text.clone()),
        "externalId" => leaf(check.external_id.clone()),
        "detailsUrl" => leaf(check.details_url.clone()),
        "startedAt" => leaf(check.started.map(time)),
        "completedAt" => leaf(check.completed.map(time)),
        "isRequired" => leaf(required(repo, &check.name)),
        _ => Err(String::new()),
    }
}
