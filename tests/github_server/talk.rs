//! Reviews, threads, comments, and everything else about a pull request.

use serde_json::{Value, json};

use super::github::client::Client;
use super::github::{Permission, Protection, Remark};
use super::{REPO, Site};

#[test]
fn threads_move_with_their_lines_and_can_be_answered() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let remarks = [
        Remark::line("a.txt", 1, "First?").suggesting("one"),
        Remark::lines("a.txt", 4, 5, "Both"),
        Remark::file("a.txt", "All of it"),
    ];
    ada.request_changes(REPO, 1, "Please", &remarks).unwrap();
    assert!(
        ada.remark(REPO, 1, "", &[Remark::line("a.txt", 9, "?")])
            .is_err()
    );
    let threads = site.github.pull(REPO, 1).threads;
    assert_eq!(threads[1].hunk, "@@ -0,0 +1,5 @@\n+1\n+2\n+3\n+4\n+5");
    let query = "query threads($n: Int!, $after: String) { repository(owner: \"octo\", \
        name: \"app\") { pullRequest(number: $n) { reviewThreads(first: 2, after: $after) { \
        pageInfo { hasNextPage endCursor } nodes { id isResolved isOutdated path line startLine \
        originalLine diffSide subjectType comments(first: 10) { nodes { databaseId body diffHunk \
        author { login } createdAt } } } } } } }";
    let ask = |after: Value| {
        let said = site.client.graphql(query, &json!({"n": 1, "after": after}));
        said["data"]["repository"]["pullRequest"]["reviewThreads"].clone()
    };
    let first = ask(Value::Null);
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let second = ask(first["pageInfo"]["endCursor"].clone());
    assert_eq!(second["nodes"][0]["subjectType"], "FILE");
    assert_eq!(second["pageInfo"]["hasNextPage"], false);

    // Two lines more above, and the first line is another.
    let new = [("a.txt", "0\n0\none\n2\n3\n4\n5\n")];
    site.github
        .person("wiz[bot]")
        .push(REPO, "task", &new, "Revise")
        .unwrap();
    let now = ask(Value::Null);
    assert_eq!(now["nodes"][0]["isOutdated"], true);
    assert_eq!(now["nodes"][0]["line"], Value::Null);
    assert_eq!(now["nodes"][0]["originalLine"], 1);
    assert_eq!(now["nodes"][1]["isOutdated"], false);
    assert_eq!(
        (&now["nodes"][1]["startLine"], &now["nodes"][1]["line"]),
        (&json!(6), &json!(7))
    );
    let listed = site
        .client
        .get("/repos/octo/app/pulls/1/comments")
        .expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 3);

    let first = &now["nodes"][0]["comments"]["nodes"][0]["databaseId"];
    let path = format!("/repos/octo/app/pulls/1/comments/{first}/replies");
    let reply = site
        .client
        .post(&path, &json!({"body": "Done"}))
        .expect(201);
    assert_eq!(reply["in_reply_to_id"], *first);
    let last = site.github.pull(REPO, 1).reviews.pop().unwrap();
    assert_eq!((last.state.name(), last.body.as_str()), ("COMMENTED", ""));
    let resolve = "mutation resolve($id: ID!) { resolveReviewThread(input: {threadId: $id}) { \
        thread { isResolved resolvedBy { login } } } }";
    let said = site
        .client
        .graphql(resolve, &json!({"id": now["nodes"][0]["id"]}));
    assert_eq!(
        said["data"]["resolveReviewThread"]["thread"]["isResolved"], true,
        "{said}"
    );

    let remark = Remark::line("a.txt", 3, "Say it in full").suggesting("the first");
    ada.remark(REPO, 1, "", &[remark]).unwrap();
    let thread = site.github.pull(REPO, 1).threads.pop().unwrap().id;
    ada.apply_suggestion(REPO, 1, thread).unwrap();
    assert_eq!(
        site.github.file(REPO, "task", "a.txt").unwrap(),
        "0\n0\nthe first\n2\n3\n4\n5\n"
    );
}

#[test]
fn drafts_and_the_merge_queue_are_changed_by_mutations() {
    let site = Site::with_pull();
    let id = format!("PR_kw{}", site.github.pull(REPO, 1).id);
    let draft = "mutation draft($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: \
        $id}) { pullRequest { isDraft } } }";
    let ready = "mutation ready($id: ID!) { markPullRequestReadyForReview(input: \
        {pullRequestId: $id}) { pullRequest { isDraft } } }";
    site.client.graphql(draft, &json!({"id": id}));
    assert!(site.github.pull(REPO, 1).draft);
    let weak = site.github.token("wiz[bot]", "pull_requests:read");
    let said = Client::new(&site.github.url(), Some(&weak)).graphql(ready, &json!({"id": id}));
    assert_eq!(said["errors"][0]["type"], "FORBIDDEN", "{said}");
    assert_eq!(said["data"]["markPullRequestReadyForReview"], Value::Null);
    site.client.graphql(ready, &json!({"id": id}));
    assert!(!site.github.pull(REPO, 1).draft);
    let said = site.client.graphql(
        "query { repository(owner: \"octo\", name: \"none\") { id } }",
        &Value::Null,
    );
    assert_eq!(said["errors"][0]["type"], "NOT_FOUND");
    let rules = Protection {
        queue: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let enqueue = "mutation enqueue($id: ID!, $head: GitObjectID!) { enqueuePullRequest(input: \
        {pullRequestId: $id, expectedHeadOid: $head}) { mergeQueueEntry { state } } }";
    let wrong = json!({"id": id, "head": "0".repeat(40)});
    let said = site.client.graphql(enqueue, &wrong);
    assert_eq!(said["errors"][0]["type"], "UNPROCESSABLE", "{said}");
    let right = json!({"id": id, "head": site.github.pull(REPO, 1).head_sha});
    let said = site.client.graphql(enqueue, &right);
    assert_eq!(
        said["data"]["enqueuePullRequest"]["mergeQueueEntry"]["state"], "QUEUED",
        "{said}"
    );
    site.github
        .person("octo")
        .run_queue(REPO, 1, "squash")
        .unwrap();
    assert!(site.github.pull(REPO, 1).merged.is_some());
    assert_eq!(site.github.count_of("graphql:ready"), 2);
    assert_eq!(site.github.count().changing, 1 + 5);
}

#[test]
fn comments_reactions_labels_and_checks_are_kept() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let id = ada.comment(REPO, 1, "/pertask status").unwrap();
    let react = format!("/repos/octo/app/issues/comments/{id}/reactions");
    let eyes = json!({"content": "eyes"});
    let made = site.client.post(&react, &eyes).expect(201);
    assert_eq!(
        site.client.post(&react, &eyes).expect(200)["id"],
        made["id"]
    );
    let groups = "query groups { repository(owner: \"octo\", name: \"app\") { pullRequest(number: \
        1) { comments(last: 100) { nodes { databaseId body lastEditedAt editor { login } \
        reactionGroups { content viewerHasReacted } } } labels(first: 9) { nodes { name } } } } }";
    ada.edit_comment(REPO, id, "/pertask abort").unwrap();
    let labels = "/repos/octo/app/issues/1/labels";
    site.client
        .post(labels, &json!({"labels": ["pertask"]}))
        .expect(200);
    let said = site.client.graphql(groups, &Value::Null);
    let pull = &said["data"]["repository"]["pullRequest"];
    let comment = &pull["comments"]["nodes"][0];
    assert_eq!(comment["editor"]["login"], "ada", "{said}");
    let group = json!({"content": "EYES", "viewerHasReacted": true});
    assert!(
        comment["reactionGroups"]
            .as_array()
            .unwrap()
            .contains(&group)
    );
    assert_eq!(pull["labels"]["nodes"][0]["name"], "pertask");
    let delete = format!("{react}/{}", made["id"]);
    site.client
        .rest("DELETE", &delete, &Value::Null)
        .expect(204);
    let mine = site
        .client
        .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}));
    let path = format!("/repos/octo/app/issues/comments/{}", mine.expect(201)["id"]);
    site.client
        .rest("PATCH", &path, &json!({"body": "Ho"}))
        .expect(200);
    assert_eq!(site.github.comments(REPO, 1)[1].1.body, "Ho");

    let head = site.github.pull(REPO, 1).head_sha;
    let note = json!({"path": "a.txt", "start_line": 1, "end_line": 1,
        "annotation_level": "warning", "message": "m"});
    let mut output = json!({"title": "t", "summary": "s", "annotations": [note]});
    let check = json!({"name": "pertask/rules", "head_sha": head, "output": output});
    let made = site
        .client
        .post("/repos/octo/app/check-runs", &check)
        .expect(201);
    output["annotations"] = json!(vec![note; 50]);
    let path = format!("/repos/octo/app/check-runs/{}", made["id"]);
    let done = json!({"conclusion": "success", "output": output});
    site.client.rest("PATCH", &path, &done).expect(200);
    assert_eq!(site.github.checks(REPO, &head)[0].annotations.len(), 51);
    let context = json!({"state": "failure", "context": "pertask/build"});
    site.client
        .post(&format!("/repos/octo/app/statuses/{head}"), &context)
        .expect(201);
    let combined = site
        .client
        .get(&format!("/repos/octo/app/commits/{head}/status"))
        .expect(200);
    assert_eq!(combined["state"], "failure");
    assert_eq!(site.github.merge_state(REPO, 1), "UNSTABLE");
}

#[test]
fn what_github_refuses_is_refused() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let bot = site.github.person("wiz[bot]");
    assert_eq!(
        bot.approve(REPO, 1, "").unwrap_err(),
        "422 Validation Failed: Can not approve your own pull request"
    );
    assert_eq!(
        bot.request_changes(REPO, 1, "No", &[]).unwrap_err(),
        "422 Validation Failed: Can not request changes on your own pull request"
    );
    assert_eq!(
        site.open("task").refused(422),
        "A pull request already exists for octo:task."
    );
    ada.force_push(REPO, "same", &site.github.tip(REPO, "main").unwrap())
        .unwrap();
    assert_eq!(
        site.open("same").refused(422),
        "No commits between main and same"
    );
    assert_eq!(site.open("nowhere").refused(422), "head invalid");
    let ask = |who: &str| {
        let path = "/repos/octo/app/pulls/1/requested_reviewers";
        site.client.post(path, &json!({"reviewers": [who]}))
    };
    assert_eq!(
        ask("wiz[bot]").refused(422),
        "Review cannot be requested from pull request author."
    );
    assert!(
        ask("eve")
            .refused(422)
            .starts_with("Reviews may only be requested from collabor")
    );
    ask("ada").expect(201);
    assert_eq!(site.github.requested(REPO, 1), ["ada"]);
    let long = json!({"body": "x".repeat(65_537)});
    let path = "/repos/octo/app/pulls/1";
    assert_eq!(
        site.client.rest("PATCH", path, &long).refused(422),
        "body is too long (maximum is 65536 characters)"
    );
    let comments = "/repos/octo/app/issues/1/comments";
    assert_eq!(
        site.client.post(comments, &long).refused(422),
        "Body is too long (maximum is 65536 characters)"
    );
    let head = site.github.pull(REPO, 1).head_sha;
    let check = json!({"name": "rules", "head_sha": head});
    assert_eq!(
        site.as_user("ada")
            .post("/repos/octo/app/check-runs", &check)
            .refused(403),
        "You must authenticate via a GitHub App."
    );
    site.client
        .post("/repos/octo/app/check-runs", &check)
        .expect(201);
    let weak = site.github.token("ada", "contents:write");
    let weak = Client::new(&site.github.url(), Some(&weak));
    let refused = weak.post(comments, &json!({"body": "Hello"}));
    assert_eq!(
        refused.refused(403),
        "Resource not accessible by personal access token"
    );
    assert_eq!(
        refused.header("x-accepted-github-permissions"),
        Some("issues=write; pull_requests=write")
    );
    site.github.change(REPO, |r| r.actions_may_approve = false);
    let body = json!({"title": "T", "head": "task", "base": "main"});
    assert_eq!(
        site.as_user("github-actions[bot]")
            .post("/repos/octo/app/pulls", &body)
            .refused(403),
        "GitHub Actions is not permitted to create or approve pull requests."
    );
    site.github.expire(&site.token);
    assert_eq!(site.client.get("/user").refused(401), "Bad credentials");
    let nobody = Client::new(&site.github.url(), None);
    assert_eq!(nobody.get("/user").refused(401), "Requires authentication");
}

#[test]
fn the_rest_of_the_routes_answer_as_described() {
    let site = Site::with_pull();
    let rules = Protection {
        approvals: 1,
        checks: vec!["build".into()],
        queue: true,
        linear: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let admin = site.github.token("octo", "*,administration,workflows");
    let admin = Client::new(&site.github.url(), Some(&admin));
    let get = |path: &str| admin.get(&format!("/repos/octo/app{path}")).expect(200);
    let may = get("/collaborators/ada/permission");
    assert_eq!(
        (&may["permission"], &may["role_name"]),
        (&json!("write"), &json!("write"))
    );
    site.github.collaborator(REPO, "tom", Permission::Triage);
    let may = get("/collaborators/tom/permission");
    assert_eq!(
        (&may["permission"], &may["role_name"]),
        (&json!("read"), &json!("triage"))
    );
    assert_eq!(get("/branches/main")["protected"], true);
    assert_eq!(
        get("/branches/main/protection")["required_pull_request_reviews"]["required_approving_review_count"],
        1
    );
    assert_eq!(get("/rules/branches/main").as_array().unwrap().len(), 4);
    assert_eq!(
        get("/actions/permissions/workflow")["can_approve_pull_request_reviews"],
        true
    );
    get("");
    get("/labels");
    get("/issues/1/labels");
    get("/pulls/1/requested_reviewers");
    let head = site.github.pull(REPO, 1).head_sha;
    get(&format!("/commits/{head}/check-runs"));
    get(&format!("/commits/{head}/statuses"));
    let label = json!({"name": "pertask", "color": "0e8a16", "description": "d"});
    admin.post("/repos/octo/app/labels", &label).expect(201);
    assert_eq!(
        admin.post("/repos/octo/app/labels", &label).refused(422),
        "name already_exists"
    );
    let go = json!({"ref": "main", "inputs": {"run": "wiz"}});
    admin
        .post("/repos/octo/app/actions/workflows/next.yml/dispatches", &go)
        .expect(204);
    let event = json!({"event_type": "pertask"});
    admin.post("/repos/octo/app/dispatches", &event).expect(204);
    assert_eq!(site.github.repo(REPO).dispatches.len(), 2);
    site.client.get("/repos/octo/app/branches/none").expect(404);
    site.client.get("/repos/octo/none").expect(404);
    site.github.change(REPO, |r| r.private = true);
    let eve = site.as_user("eve");
    eve.get("/repos/octo/app/pulls/1").expect(404);
    assert_eq!(admin.get("/user").expect(200)["login"], "octo");
    site.github.archive(REPO);
    assert_eq!(
        site.open("other").refused(403),
        "Repository was archived so is read-only."
    );
}

#[test]
fn one_query_shows_all_of_a_run() {
    let site = Site::with_pull();
    site.github.at("2031-02-03T04:05:06Z");
    let ada = site.github.person("ada");
    let head = site.github.pull(REPO, 1).head_sha;
    ada.request_changes(REPO, 1, "Please", &[]).unwrap();
    let review = ada.approve(REPO, 1, "").unwrap();
    ada.edit_review(REPO, 1, review, "Edited").unwrap();
    ada.comment(REPO, 1, "/pertask status").unwrap();
    site.github.collaborator(REPO, "tom", Permission::Read);
    ada.request_reviews(REPO, 1, &["tom"]).unwrap();
    let status = json!({"state": "success", "context": "pertask/build", "description": "d"});
    let path = format!("/repos/octo/app/statuses/{head}");
    site.client.post(&path, &status).expect(201);
    let query = "query look($owner: String!, $name: String!, $one: String!) {
        viewer { login databaseId }
        repository(owner: $owner, name: $name) {
            nameWithOwner isArchived viewerPermission defaultBranchRef { name target { oid } }
            one: pullRequests(headRefName: $one, states: [OPEN, CLOSED, MERGED], first: 10) {
                nodes { ...all }
            }
            none: pullRequests(headRefName: \"other\", first: 10) { nodes { ...all } }
        }
    }
    fragment all on PullRequest {
        number databaseId fullDatabaseId author { __typename login ... on Bot { databaseId } }
        isDraft state title body url headRefName headRefOid baseRefName baseRefOid
        isCrossRepository mergeable mergeStateStatus reviewDecision viewerDidAuthor createdAt
        labels(first: 100) { nodes { name } } lastEditedAt editor { login }
        reviewRequests(first: 100) { nodes { requestedReviewer {
            __typename ... on User { login databaseId } } } }
        reviews(last: 100) { nodes { databaseId state body submittedAt lastEditedAt
            author { __typename login ... on User { databaseId } ... on Bot { databaseId } }
            authorCanPushToRepository commit { oid tree { oid } } } }
        latestOpinionatedReviews(first: 100, writersOnly: true) { nodes { databaseId } }
        comments(last: 100) { totalCount nodes { databaseId body createdAt lastEditedAt
            editor { login } viewerDidAuthor author { login }
            reactionGroups { content viewerHasReacted } } pageInfo { hasPreviousPage } }
        commits(last: 1) { nodes { commit { oid status { contexts { context state } }
            statusCheckRollup { state contexts(first: 50) { nodes { __typename
                ... on StatusContext { context state } ... on CheckRun { name } } } } } } }
        headRef { target { ... on Commit { oid status { contexts { context state
            description } } } } }
        mergedAt mergedBy { login } mergeCommit { oid } closedAt
    }";
    let variables = json!({"owner": "octo", "name": "app", "one": "task"});
    let said = site.client.graphql(query, &variables);
    assert_eq!(said["errors"], Value::Null, "{said}");
    let repo = &said["data"]["repository"];
    assert_eq!(repo["viewerPermission"], "WRITE");
    assert_eq!(repo["none"]["nodes"], json!([]));
    let pull = &repo["one"]["nodes"][0];
    assert_eq!(pull["mergeable"], "UNKNOWN");
    assert_eq!(pull["mergeStateStatus"], "UNKNOWN");
    assert_eq!(pull["reviewDecision"], Value::Null);
    assert_eq!(
        pull["reviews"]["nodes"][1]["lastEditedAt"],
        "2031-02-03T04:05:06Z"
    );
    assert_eq!(
        pull["latestOpinionatedReviews"]["nodes"][0]["databaseId"],
        review
    );
    assert_eq!(
        pull["reviewRequests"]["nodes"][0]["requestedReviewer"]["login"],
        "tom"
    );
    let commit = &pull["commits"]["nodes"][0]["commit"];
    let context = json!({"context": "pertask/build", "state": "SUCCESS"});
    assert_eq!(commit["status"]["contexts"][0], context);
    assert_eq!(commit["statusCheckRollup"]["state"], "SUCCESS");
    assert_eq!(pull["mergedBy"], Value::Null);
    ada.merge(REPO, 1, "squash").unwrap();
    let said = site.client.graphql(query, &variables);
    let pull = &said["data"]["repository"]["one"]["nodes"][0];
    assert_eq!(
        (&pull["state"], &pull["mergedBy"]["login"]),
        (&json!("MERGED"), &json!("ada"))
    );
    assert_eq!(
        pull["mergeCommit"]["oid"],
        *site.github.tip(REPO, "main").unwrap()
    );
}

#[test]
fn the_client_library_reads_its_answers() {
    use octocrab::models;
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    ada.request_changes(REPO, 1, "Please", &[Remark::line("a.txt", 2, "?")])
        .unwrap();
    ada.comment(REPO, 1, "Hello").unwrap();
    let get = |path: &str| site.client.get(&format!("/repos/octo/app{path}")).text;
    let pull: models::pulls::PullRequest = serde_json::from_str(&get("/pulls/1")).unwrap();
    assert_eq!(pull.head.sha, site.github.pull(REPO, 1).head_sha);
    let all: Vec<models::pulls::PullRequest> = serde_json::from_str(&get("/pulls")).unwrap();
    assert_eq!(all[0].number, 1);
    let reviews: Vec<models::pulls::Review> =
        serde_json::from_str(&get("/pulls/1/reviews")).unwrap();
    assert_eq!(
        reviews[0].state,
        Some(models::pulls::ReviewState::ChangesRequested)
    );
    let remarks: Vec<models::pulls::Comment> =
        serde_json::from_str(&get("/pulls/1/comments")).unwrap();
    assert_eq!(remarks[0].body, "?");
    let comments: Vec<models::issues::Comment> =
        serde_json::from_str(&get("/issues/1/comments")).unwrap();
    assert_eq!(comments[0].body.as_deref(), Some("Hello"));
    let repo: models::Repository = serde_json::from_str(&get("")).unwrap();
    assert_eq!(repo.full_name.as_deref(), Some(REPO));
}

#[test]
fn nobody_says_two_things_in_one_second() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    for n in 0..3 {
        ada.comment(REPO, 1, &format!("{n}")).unwrap();
    }
    ada.approve(REPO, 1, "").unwrap();
    let pull = site.github.pull(REPO, 1);
    let mut times: Vec<_> = pull.comments.iter().map(|c| c.at).collect();
    times.push(pull.reviews[0].at);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}
