//! What a workflow is told of an event: payloads in the shape of GitHub's published examples.
//!
//! A payload has the keys of an example, with what this server knows in their places. What differs
//! by kind of review is not in the examples; a comment on a pull request is not either.

use serde_json::{Value, json};

use super::npm::package_file;
use super::state::{Id, Permission, State};
use super::{GitHub, rid};

/// An example that has this action, of any when there is none.
fn example(event: &str, action: Option<&str>) -> Value {
    let file = package_file("@octokit/webhooks-examples", "api.github.com/index.json");
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let all = all.as_array().unwrap();
    let kind = all.iter().find(|one| one["name"] == event);
    let examples = kind.unwrap()["examples"].as_array().unwrap();
    let fits = |one: &&Value| action.is_none_or(|action| one["action"] == action);
    let found = examples.iter().find(fits).or(examples.first());
    let mut found = found.unwrap().clone();
    // The repositories of the tests are a person's, and workflows are not told of an App.
    for key in ["organization", "installation"] {
        found.as_object_mut().unwrap().remove(key);
    }
    found
}

/// The example with the values that are known, at every depth.
fn fill(example: Value, known: &Value) -> Value {
    match (example, known) {
        (Value::Object(map), Value::Object(ours)) => map
            .into_iter()
            .map(|(key, value)| match ours.get(&key) {
                Some(ours) => (key, fill(value, ours)),
                None => (key, value),
            })
            .collect(),
        (_, known) => known.clone(),
    }
}

impl State {
    fn payload(&self, event: &str, action: Option<&str>, known: &Value) -> Value {
        let mut payload = fill(example(event, action), known);
        // What the example says of its own repository and this server knows nothing of.
        let text = payload.to_string();
        let text = text
            .replace("https://api.github.com", &self.api())
            .replace("https://github.com", &self.address);
        payload = serde_json::from_str(&text).unwrap();
        payload
    }
}

impl GitHub {
    /// `pull_request_review`: `submitted`, `edited` or `dismissed`, by the reviewer.
    pub fn event_review(&self, repo: &str, number: u64, review: Id, action: &str) -> Value {
        let state = self.state();
        let repo = &state.repos[&rid(&state, repo)];
        let pull = state.pull(repo.id, number);
        let review = pull.reviews.iter().find(|r| r.id == review).unwrap();
        let mut said = state.review_json(repo, pull, review);
        // REST has it in capitals.
        said["state"] = json!(review.state.name().to_lowercase());
        let known = json!({
            "action": action, "review": said, "pull_request": state.pull_json(repo, pull),
            "repository": state.repo_json(repo, Permission::Read),
            "sender": state.user_json(review.user),
        });
        state.payload("pull_request_review", Some(action), &known)
    }

    /// `pull_request`, by somebody.
    pub fn event_pull(&self, repo: &str, number: u64, action: &str, login: &str) -> Value {
        let sender = self.account(login);
        let mut state = self.state();
        let id = rid(&state, repo);
        let pull = state.full_pull_json(id, number, true);
        let known = json!({
            "action": action, "number": number, "pull_request": pull,
            "repository": state.repo_json(&state.repos[&id], Permission::Read),
            "sender": state.user_json(sender),
        });
        state.payload("pull_request", Some(action), &known)
    }

    /// `issue_comment` on a pull request, by its author.
    pub fn event_comment(&self, repo: &str, number: u64, comment: Id, action: &str) -> Value {
        let state = self.state();
        let repo = &state.repos[&rid(&state, repo)];
        let pull = state.pull(repo.id, number);
        let comment = pull.comments.iter().find(|c| c.id == comment).unwrap();
        let shown = state.pull_json(repo, pull);
        let url = shown["issue_url"].as_str().unwrap();
        let mut issue = json!({
            "url": url, "repository_url": format!("{}/repos/{}", state.api(), state.full_name(repo)),
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"),
            "comments": pull.comments.len(),
        });
        for same in [
            "html_url",
            "id",
            "node_id",
            "number",
            "title",
            "user",
            "labels",
            "state",
            "locked",
            "assignee",
            "assignees",
            "milestone",
            "created_at",
            "updated_at",
            "closed_at",
            "author_association",
            "active_lock_reason",
            "draft",
            "body",
        ] {
            issue[same] = shown[same].clone();
        }
        let known = json!({
            "action": action, "issue": issue, "comment": state.comment_json(repo, pull, comment),
            "repository": state.repo_json(repo, Permission::Read),
            "sender": state.user_json(comment.user),
        });
        let mut payload = state.payload("issue_comment", Some(action), &known);
        let mut links = json!({"merged_at": shown["merged_at"]});
        for link in ["url", "html_url", "diff_url", "patch_url"] {
            links[link] = shown[link].clone();
        }
        payload["issue"]["pull_request"] = links;
        payload
    }

    /// `workflow_dispatch` on a branch with these inputs, by somebody.
    pub fn event_dispatch(
        &self,
        repo: &str,
        workflow: &str,
        branch: &str,
        inputs: &Value,
        login: &str,
    ) -> Value {
        let sender = self.account(login);
        let state = self.state();
        let repo = &state.repos[&rid(&state, repo)];
        let known = json!({
            "inputs": inputs, "ref": format!("refs/heads/{branch}"),
            "workflow": format!(".github/workflows/{workflow}"),
            "repository": state.repo_json(repo, Permission::Read),
            "sender": state.user_json(sender),
        });
        let mut payload = state.payload("workflow_dispatch", None, &known);
        payload["inputs"] = inputs.clone();
        payload
    }

    /// `schedule`.
    pub fn event_schedule(&self, repo: &str, cron: &str) -> Value {
        let state = self.state();
        let repo = &state.repos[&rid(&state, repo)];
        // There is no example: it is no webhook.
        json!({
            "schedule": cron, "repository": state.repo_json(repo, Permission::Read),
            "sender": state.user_json(repo.owner),
        })
    }

    /// A run of a workflow begins: its number.
    pub fn run_begins(&self, repo: &str, path: &str, sha: &str, event: &str) -> Id {
        let mut state = self.state();
        let id = state.fresh();
        let run = super::state::WorkflowRun {
            id,
            attempt: 1,
            path: path.to_owned(),
            sha: sha.to_owned(),
            event: event.to_owned(),
            status: "in_progress".to_owned(),
            conclusion: None,
            at: state.now(),
        };
        let rid = rid(&state, repo);
        state.repos.get_mut(&rid).unwrap().runs.push(run);
        id
    }

    /// Failed jobs of it run once more: the number of this attempt.
    pub fn run_again(&self, repo: &str, id: Id) -> u64 {
        self.change(repo, |r| {
            let run = r.runs.iter_mut().find(|run| run.id == id).unwrap();
            run.attempt += 1;
            "in_progress".clone_into(&mut run.status);
            run.conclusion = None;
            run.attempt
        })
    }

    /// It ends: `success`, `failure` or `cancelled`.
    pub fn run_ends(&self, repo: &str, id: Id, conclusion: &str) {
        self.change(repo, |r| {
            let run = r.runs.iter_mut().find(|run| run.id == id).unwrap();
            "completed".clone_into(&mut run.status);
            run.conclusion = Some(conclusion.to_owned());
        });
    }
}
