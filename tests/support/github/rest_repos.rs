//! REST: the person, the repository, its branches and their rules, workflows.

use git2::Oid;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::render::{levels, merge, time};
use super::rest::{Answer, Answered, Call};
use super::state::{Dispatch, Kind, Permission, Protection};

pub fn user(call: &mut Call) -> Answered {
    let me = call.me()?;
    if call.state.who(me).kind == Kind::Bot {
        // Installation tokens are nobody's.
        return Err(Refusal::new(403, "Resource not accessible by integration"));
    }
    Answer::ok(call.state.self_json(me))
}

pub fn rate_limit(call: &mut Call) -> Answered {
    let reset = call.state.now().as_second() + 3600;
    let full = json!({"limit": 5000, "used": 0, "remaining": 5000, "reset": reset});
    let resources = json!({"core": full, "search": full, "graphql": full});
    Answer::ok(json!({"resources": resources, "rate": full}))
}

pub fn meta(_: &mut Call) -> Answered {
    Answer::ok(json!({"verifiable_password_authentication": true, "installed_version": "3.19.0"}))
}

pub fn get(call: &mut Call) -> Answered {
    Answer::ok(call.state.repo_json(call.repo(), call.level()))
}

pub fn permission(call: &mut Call) -> Answered {
    if call.level() < Permission::Write {
        let what = "Must have push access to view collaborator permission.";
        return Err(Refusal::new(403, what));
    }
    let login = call.param("username");
    let account = call.state.account(login).filter(|a| a.kind == Kind::User);
    let account = account.ok_or_else(|| Refusal::new(404, format!("{login} is not a user")))?;
    let level = call.state.permission(call.repo(), account.id);
    let mut user = call.state.user_json(account.id);
    merge(
        &mut user,
        json!({"role_name": level.role(), "permissions": levels(level)}),
    );
    let body = json!({"permission": level.legacy(), "role_name": level.role(), "user": user});
    Answer::ok(body)
}

fn branch_name(call: &Call) -> Result<String, Refusal> {
    let name = call.param("branch");
    if call.repo().heads.contains_key(name) {
        Ok(name.to_owned())
    } else {
        Err(Refusal::new(404, "Branch not found"))
    }
}

fn protection_json(base: &str, name: &str, rules: &Protection) -> Value {
    let url = format!("{base}/branches/{name}/protection");
    let mut body = json!({
        "url": url, "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": true},
        "required_linear_history": {"enabled": rules.linear},
        "allow_force_pushes": {"enabled": false}, "allow_deletions": {"enabled": false},
        "block_creations": {"enabled": false}, "lock_branch": {"enabled": false},
        "required_conversation_resolution": {"enabled": rules.conversations},
        "allow_fork_syncing": {"enabled": false},
        "required_signatures":
            {"url": format!("{url}/required_signatures"), "enabled": false},
    });
    if rules.approvals > 0 {
        body["required_pull_request_reviews"] = json!({
            "url": format!("{url}/required_pull_request_reviews"),
            "dismiss_stale_reviews": rules.dismiss_stale, "require_code_owner_reviews": false,
            "required_approving_review_count": rules.approvals,
            "require_last_push_approval": false,
        });
    }
    if !rules.checks.is_empty() {
        let checks: Vec<Value> = rules
            .checks
            .iter()
            .map(|context| json!({"context": context, "app_id": null}))
            .collect();
        body["required_status_checks"] = json!({
            "url": format!("{url}/required_status_checks"), "strict": rules.up_to_date,
            "contexts": rules.checks, "checks": checks,
            "contexts_url": format!("{url}/required_status_checks/contexts"),
        });
    }
    body
}

pub fn protection(call: &mut Call) -> Answered {
    let name = branch_name(call)?;
    let base = format!(
        "{}/repos/{}",
        call.state.api(),
        call.state.full_name(call.repo())
    );
    match call.repo().protection(&name) {
        Some(rules) => Answer::ok(protection_json(&base, &name, rules)),
        None => Err(Refusal::new(404, "Branch not protected")),
    }
}

pub fn branch(call: &mut Call) -> Answered {
    let name = branch_name(call)?;
    let repo = call.repo();
    let full = call.state.full_name(repo);
    let base = format!("{}/repos/{full}", call.state.api());
    let html = format!("{}/{full}", call.state.address);
    let sha = &repo.heads[&name];
    let git = repo.bare.open();
    let commit = git.find_commit(Oid::from_str(sha).unwrap()).unwrap();
    let person = |who: &git2::Signature<'_>, at: git2::Time| {
        let at = jiff::Timestamp::from_second(at.seconds()).unwrap_or_default();
        json!({
            "name": who.name().unwrap_or_default(), "email": who.email().unwrap_or_default(),
            "date": time(at),
        })
    };
    let parents: Vec<Value> = commit
        .parent_ids()
        .map(|id| {
            json!({
                "sha": id.to_string(), "url": format!("{base}/commits/{id}"),
                "html_url": format!("{html}/commit/{id}"),
            })
        })
        .collect();
    let url = format!("{base}/commits/{sha}");
    let inner = json!({
        "url": format!("{base}/git/commits/{sha}"),
        "author": person(&commit.author(), commit.author().when()),
        "committer": person(&commit.committer(), commit.committer().when()),
        "message": commit.message().unwrap_or_default(), "comment_count": 0,
        "tree": {
            "sha": commit.tree_id().to_string(),
            "url": format!("{base}/git/trees/{}", commit.tree_id()),
        },
        "verification": {
            "verified": false, "reason": "unsigned", "signature": null, "payload": null,
            "verified_at": null,
        },
    });
    let rules = repo.protection(&name);
    let contexts = rules.map(|r| r.checks.clone()).unwrap_or_default();
    Answer::ok(json!({
        "name": name, "protected": rules.is_some(),
        "protection_url": format!("{base}/branches/{name}/protection"),
        "protection": {
            "enabled": rules.is_some(),
            "required_status_checks": {
                "enforcement_level": if contexts.is_empty() { "off" } else { "everyone" },
                "contexts": contexts, "checks": [],
            },
        },
        "_links": {
            "html": format!("{html}/tree/{name}"), "self": format!("{base}/branches/{name}"),
        },
        "commit": {
            "url": url, "sha": sha, "node_id": format!("C_{sha}"),
            "html_url": format!("{html}/commit/{sha}"), "comments_url": format!("{url}/comments"),
            "commit": inner, "author": call.state.user_json(repo.owner),
            "committer": call.state.user_json(repo.owner), "parents": parents,
        },
    }))
}

pub fn rules(call: &mut Call) -> Answered {
    let repo = call.repo();
    let mut list = Vec::new();
    if let Some(rules) = repo.protection(call.param("branch")) {
        let source = call.state.full_name(repo);
        let mut add = |kind: &str, parameters: Value| {
            let mut rule = json!({
                "type": kind, "ruleset_source_type": "Repository", "ruleset_source": source,
                "ruleset_id": 1,
            });
            if !parameters.is_null() {
                rule["parameters"] = parameters;
            }
            list.push(rule);
        };
        add(
            "pull_request",
            json!({
                "dismiss_stale_reviews_on_push": rules.dismiss_stale,
                "require_code_owner_review": false, "require_last_push_approval": false,
                "required_approving_review_count": rules.approvals,
                "required_review_thread_resolution": rules.conversations,
            }),
        );
        if !rules.checks.is_empty() {
            let checks: Vec<Value> = rules
                .checks
                .iter()
                .map(|context| json!({"context": context}))
                .collect();
            add(
                "required_status_checks",
                json!({
                    "required_status_checks": checks,
                    "strict_required_status_checks_policy": rules.up_to_date,
                }),
            );
        }
        if rules.linear {
            add("required_linear_history", Value::Null);
        }
        if rules.queue {
            add(
                "merge_queue",
                json!({
                    "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN",
                    "max_entries_to_build": 5, "max_entries_to_merge": 5,
                    "merge_method": "MERGE", "min_entries_to_merge": 1,
                    "min_entries_to_merge_wait_minutes": 5,
                }),
            );
        }
    }
    call.list(list)
}

pub fn workflow_permissions(call: &mut Call) -> Answered {
    let may = call.repo().actions_may_approve;
    let body = json!({
        "default_workflow_permissions": "read", "can_approve_pull_request_reviews": may,
    });
    Answer::ok(body)
}

fn record(call: &mut Call, workflow: Option<String>) -> Answered {
    let dispatch = Dispatch {
        by: call.me()?,
        workflow,
        body: call.body.clone(),
    };
    call.repo_mut().dispatches.push(dispatch);
    Answer::nothing()
}

pub fn workflow_dispatch(call: &mut Call) -> Answered {
    let wanted = call.text("ref").unwrap_or_default();
    let wanted = wanted.trim_start_matches("refs/heads/");
    if !call.repo().heads.contains_key(wanted) {
        return Err(Refusal::new(422, format!("No ref found for: {wanted}")));
    }
    let workflow = call.param("workflow_id").to_owned();
    record(call, Some(workflow))
}

pub fn dispatch(call: &mut Call) -> Answered {
    record(call, None)
}

pub fn run(call: &mut Call) -> Answered {
    let id = call.number("run_id")?;
    let repo = call.repo();
    let run = repo
        .runs
        .iter()
        .find(|r| r.id == id)
        .ok_or_else(Refusal::missing)?;
    let url = format!(
        "{}/repos/{}/actions/runs/{id}",
        call.state.api(),
        call.state.full_name(repo)
    );
    let shown = call.state.repo_json(repo, Permission::Read);
    let mut body = json!({
        "id": id, "node_id": format!("WFR_{id}"), "head_branch": repo.default_branch,
        "head_sha": run.sha, "path": run.path, "run_number": 1, "run_attempt": run.attempt,
        "event": run.event, "status": run.status, "conclusion": run.conclusion,
        "workflow_id": 1, "url": url, "pull_requests": [], "created_at": time(run.at),
        "updated_at": time(run.at), "head_commit": null, "repository": shown,
        "head_repository": shown, "display_title": run.path, "name": run.path,
        "html_url": format!("{}/{}/actions/runs/{id}", call.state.address, call.state.full_name(repo)),
        "check_suite_url": format!("{url}/check-suite"), "workflow_url": format!("{url}/workflow"),
    });
    for part in ["jobs", "logs", "artifacts", "cancel", "rerun"] {
        body[format!("{part}_url")] = json!(format!("{url}/{part}"));
    }
    Answer::ok(body)
}
