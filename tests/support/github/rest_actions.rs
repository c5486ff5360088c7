//! REST: what is set up for GitHub Actions: workflows, environments.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::render::time;
use super::rest::{Answer, Answered, Call};
use super::state::{Branches, Environment};

pub fn workflow(call: &mut Call) -> Answered {
    let file = call.param("workflow_id").to_owned();
    let repo = call.repo();
    let path = format!(".github/workflows/{file}");
    let there = repo.bare.file(&repo.default_branch, &path).is_some();
    if !there {
        return Err(Refusal::missing());
    }
    let state = repo.workflow_states.get(&file);
    let state = state.map_or("active", String::as_str);
    let full = call.state.full_name(repo);
    let at = time(repo.created);
    Answer::ok(json!({
        "id": 1, "node_id": "W_1", "name": file, "path": path, "state": state,
        "created_at": at, "updated_at": at,
        "url": format!("{}/repos/{full}/actions/workflows/1", call.state.api()),
        "html_url": format!("{}/{full}/blob/{}/{path}", call.state.address, repo.default_branch),
        "badge_url": format!("{}/{full}/workflows/{file}/badge.svg", call.state.address),
    }))
}

fn environment_of(call: &Call) -> Result<Environment, Refusal> {
    let name = call.param("environment_name");
    let found = call.repo().environments.get(name);
    found.cloned().ok_or_else(Refusal::missing)
}

pub fn environment(call: &mut Call) -> Answered {
    let environment = environment_of(call)?;
    let name = call.param("environment_name");
    let repo = call.repo();
    let full = call.state.full_name(repo);
    let at = time(repo.created);
    let mut rules = Vec::new();
    if environment.reviewed {
        rules.push(json!({
            "id": 1, "node_id": "GA_1", "type": "required_reviewers",
            "prevent_self_review": false,
            "reviewers": [{"type": "User", "reviewer": call.state.user_json(repo.owner)}],
        }));
    }
    let policy = match &environment.branches {
        Branches::All => Value::Null,
        Branches::Protected => json!({"protected_branches": true, "custom_branch_policies": false}),
        Branches::Named(_) => json!({"protected_branches": false, "custom_branch_policies": true}),
    };
    if !policy.is_null() {
        rules.push(json!({"id": 2, "node_id": "GA_2", "type": "branch_policy"}));
    }
    Answer::ok(json!({
        "id": 1, "node_id": "EN_1", "name": name, "created_at": at, "updated_at": at,
        "url": format!("{}/repos/{full}/environments/{name}", call.state.api()),
        "html_url": format!(
            "{}/{full}/deployments/activity_log?environments_filter={name}", call.state.address
        ),
        "protection_rules": rules, "deployment_branch_policy": policy,
    }))
}

pub fn branch_policies(call: &mut Call) -> Answered {
    let environment = environment_of(call)?;
    let names = match environment.branches {
        Branches::Named(names) => names,
        Branches::All | Branches::Protected => Vec::new(),
    };
    let policies: Vec<Value> = names
        .iter()
        .map(|name| json!({"id": 1, "node_id": "DBP_1", "name": name, "type": "branch"}))
        .collect();
    Answer::ok(json!({"total_count": policies.len(), "branch_policies": policies}))
}

pub fn environment_secrets(call: &mut Call) -> Answered {
    let environment = environment_of(call)?;
    let at = time(call.repo().created);
    let secrets: Vec<Value> = environment
        .secrets
        .iter()
        .map(|name| json!({"name": name, "created_at": at, "updated_at": at}))
        .collect();
    Answer::ok(json!({"total_count": secrets.len(), "secrets": secrets}))
}
