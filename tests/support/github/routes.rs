//! The routes that the server knows.

use super::rest::Route;
use super::rest_actions as actions;
use super::rest_issues as issues;
use super::rest_pulls as pulls;
use super::rest_repos as repos;
use super::state::Permission::{None, Read, Triage, Write};

const PULLS: &str = "pull_requests=write";
const EITHER: &str = "issues=write; pull_requests=write";
const READ: &str = "issues=read; pull_requests=read";

macro_rules! routes {
    ($($method:literal $template:literal $accepts:expr, $least:expr, $run:path;)*) => {
        /// All of them.
        pub const ROUTES: &[Route] = &[$(Route {
            method: $method,
            template: $template,
            accepts: $accepts,
            least: $least,
            run: $run,
        },)*];
    };
}

routes! {
    "GET" "/user" "", None, repos::user;
    "GET" "/rate_limit" "", None, repos::rate_limit;
    "GET" "/meta" "", None, repos::meta;
    "GET" "/repos/{owner}/{repo}" "metadata=read", Read, repos::get;
    "GET" "/repos/{owner}/{repo}/collaborators/{username}/permission"
        "metadata=read", Read, repos::permission;
    "GET" "/repos/{owner}/{repo}/branches/{branch}/protection"
        "administration=read", Read, repos::protection;
    "GET" "/repos/{owner}/{repo}/branches/{branch}" "contents=read", Read, repos::branch;
    "GET" "/repos/{owner}/{repo}/rules/branches/{branch}" "metadata=read", Read, repos::rules;
    "GET" "/repos/{owner}/{repo}/actions/permissions/workflow"
        "administration=read", Read, repos::workflow_permissions;
    "GET" "/repos/{owner}/{repo}/actions/workflows/{workflow_id}"
        "actions=read", Read, actions::workflow;
    "GET" "/repos/{owner}/{repo}/environments/{environment_name}"
        "actions=read", Read, actions::environment;
    "GET" "/repos/{owner}/{repo}/environments/{environment_name}/deployment-branch-policies"
        "actions=read", Read, actions::branch_policies;
    "GET" "/repos/{owner}/{repo}/environments/{environment_name}/secrets"
        "environments=read", Write, actions::environment_secrets;
    "POST" "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"
        "actions=write", Write, repos::workflow_dispatch;
    "POST" "/repos/{owner}/{repo}/dispatches" "contents=write", Write, repos::dispatch;
    "GET" "/repos/{owner}/{repo}/actions/runs/{run_id}" "actions=read", Read, repos::run;

    "GET" "/repos/{owner}/{repo}/pulls" "pull_requests=read", Read, pulls::list;
    "POST" "/repos/{owner}/{repo}/pulls" PULLS, Read, pulls::create;
    "GET" "/repos/{owner}/{repo}/pulls/{pull_number}" "pull_requests=read", Read, pulls::get;
    "PATCH" "/repos/{owner}/{repo}/pulls/{pull_number}" PULLS, Read, pulls::update;
    "GET" "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
        "pull_requests=read", Read, pulls::reviews;
    "POST" "/repos/{owner}/{repo}/pulls/{pull_number}/reviews" PULLS, Read, pulls::review;
    "PUT" "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals"
        PULLS, Write, pulls::dismiss;
    "GET" "/repos/{owner}/{repo}/pulls/{pull_number}/comments"
        "pull_requests=read", Read, pulls::remarks;
    "POST" "/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies"
        PULLS, Read, pulls::reply;
    "PUT" "/repos/{owner}/{repo}/pulls/{pull_number}/merge" "contents=write", Write, pulls::merge;
    "GET" "/repos/{owner}/{repo}/pulls/{pull_number}/merge"
        "contents=read", Read, pulls::merged;
    "GET" "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"
        "pull_requests=read", Read, pulls::requested_reviewers;
    "POST" "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"
        PULLS, Triage, pulls::request_reviewers;
    "DELETE" "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"
        PULLS, Triage, pulls::remove_reviewers;

    "GET" "/repos/{owner}/{repo}/issues/{issue_number}/comments" READ, Read, issues::comments;
    "POST" "/repos/{owner}/{repo}/issues/{issue_number}/comments" EITHER, Read, issues::comment;
    "GET" "/repos/{owner}/{repo}/issues/comments/{comment_id}" READ, Read, issues::get_comment;
    "PATCH" "/repos/{owner}/{repo}/issues/comments/{comment_id}"
        EITHER, Read, issues::edit_comment;
    "DELETE" "/repos/{owner}/{repo}/issues/comments/{comment_id}"
        EITHER, Read, issues::delete_comment;
    "GET" "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"
        READ, Read, issues::reactions;
    "POST" "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"
        EITHER, Read, issues::react;
    "DELETE" "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}"
        EITHER, Read, issues::unreact;
    "GET" "/repos/{owner}/{repo}/issues/{issue_number}/labels" READ, Read, issues::labels;
    "POST" "/repos/{owner}/{repo}/issues/{issue_number}/labels"
        EITHER, Triage, issues::add_labels;
    "DELETE" "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}"
        EITHER, Triage, issues::remove_label;
    "GET" "/repos/{owner}/{repo}/labels" READ, Read, issues::all_labels;
    "POST" "/repos/{owner}/{repo}/labels" EITHER, Write, issues::create_label;

    "POST" "/repos/{owner}/{repo}/statuses/{sha}" "statuses=write", Write, issues::create_status;
    "GET" "/repos/{owner}/{repo}/commits/{ref}/statuses" "statuses=read", Read, issues::statuses;
    "GET" "/repos/{owner}/{repo}/commits/{ref}/status"
        "statuses=read", Read, issues::combined_status;
    "POST" "/repos/{owner}/{repo}/check-runs" "checks=write", Write, issues::create_check;
    "PATCH" "/repos/{owner}/{repo}/check-runs/{check_run_id}"
        "checks=write", Write, issues::update_check;
    "GET" "/repos/{owner}/{repo}/check-runs/{check_run_id}" "checks=read", Read, issues::check;
    "GET" "/repos/{owner}/{repo}/commits/{ref}/check-runs" "checks=read", Read, issues::checks;
}
