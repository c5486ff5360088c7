//! How it answers: pages, conditional reads, redirects, faults, and what it holds against requests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::github::client::Client;
use super::github::{Fault, FaultKind, GitHub, When};
use super::{REPO, Site, git};

#[test]
fn a_read_that_changes_nothing_costs_nothing() {
    let site = Site::with_pull();
    let path = "/api/v3/repos/octo/app/issues/1/comments";
    let read = |tag: &str| {
        site.client
            .send("GET", path, &[("if-none-match", tag)], "")
            .unwrap()
    };
    let first = site.client.get("/repos/octo/app/issues/1/comments");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let used = first.header("x-ratelimit-used").unwrap().to_owned();
    let same = read(&tag);
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(same.header("x-ratelimit-used"), Some(used.as_str()));
    site.github.person("ada").comment(REPO, 1, "Hello").unwrap();
    let other = read(&tag);
    assert_eq!(other.status, 200);
    assert_ne!(other.header("etag"), Some(tag.as_str()));
    let count = site.github.count();
    assert_eq!((count.rest, count.not_modified), (4, 1));
    assert_eq!(site.github.charged(&site.token), (3, 0));
    assert!(site.github.log().last().unwrap().conditional);
    site.github.rate_limit(4);
    assert_eq!(read("").header("x-ratelimit-remaining"), Some("0"));
    assert!(read("").refused(403).starts_with("API rate limit exceeded"));
    let said = site
        .client
        .graphql("query { viewer { login } }", &Value::Null);
    assert_eq!(said["data"]["viewer"]["login"], "wiz[bot]");
}

#[test]
fn lists_have_pages_with_links_by_number() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    for n in 0..205 {
        ada.comment(REPO, 1, &format!("{n}")).unwrap();
    }
    let mut path = "/repos/octo/app/issues/1/comments?per_page=100".to_owned();
    let mut all = Vec::new();
    loop {
        let page = site.client.get(&path);
        all.extend(page.expect(200).as_array().unwrap().clone());
        let link = page.header("link").unwrap().to_owned();
        let Some(next) = link.split(", ").find(|l| l.ends_with("rel=\"next\"")) else {
            break;
        };
        let next = next.split(['<', '>']).nth(1).unwrap();
        assert!(next.contains("/repositories/"), "{next}");
        path = next.split_once("/api/v3").unwrap().1.to_owned();
    }
    assert_eq!(all.len(), 205);
    assert_eq!(all[204]["body"], "204");
    assert_eq!(
        site.github
            .count_of("GET /repos/{owner}/{repo}/issues/{issue_number}/comments"),
        3
    );
    let ask = |state: &str, head: &str| {
        let path = format!("/repos/octo/app/pulls?state={state}&head={head}&base=main");
        site.client.get(&path).expect(200).as_array().unwrap().len()
    };
    assert_eq!(
        (ask("open", "octo:task"), ask("closed", "octo:task")),
        (1, 0)
    );
    assert_eq!(ask("all", "eve:task"), 0);
    // GitHub passes over a head without its owner.
    assert_eq!(ask("all", "other"), 1);
}

#[test]
fn a_renamed_repository_leads_on() {
    let site = Site::with_pull();
    let id = site.github.repo(REPO).id;
    site.github.rename(REPO, "octo/new");
    let read = site.client.get("/repos/octo/app/pulls/1");
    read.expect(301);
    let to = read.header("location").unwrap().to_owned();
    assert!(
        to.ends_with(&format!("/api/v3/repositories/{id}/pulls/1")),
        "{to}"
    );
    let path = to.split_once("/api/v3").unwrap().1;
    assert_eq!(
        site.client.get(path).expect(200)["base"]["repo"]["full_name"],
        "octo/new"
    );
    let write = site
        .client
        .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}));
    write.expect(307);
    assert!(site.github.comments("octo/new", 1).is_empty());
    let query = "query { repository(owner: \"octo\", name: \"app\") { nameWithOwner } }";
    let said = site.client.graphql(query, &Value::Null);
    assert_eq!(said["data"]["repository"]["nameWithOwner"], "octo/new");
    let home = tempfile::tempdir().unwrap();
    let old = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &old, "w"]);
    assert!(ok, "{said}");
}

#[test]
fn faults_come_when_told_and_can_be_read_back() {
    const OPEN: &str = "POST /repos/{owner}/{repo}/pulls";
    let site = Site::new();
    let body = json!({"title": "T", "head": "task", "base": "main"}).to_string();
    let path = "/api/v3/repos/octo/app/pulls";
    let open = || site.client.send("POST", path, &[], &body);
    let fault = |kind| site.github.fault(Fault::next(OPEN, kind));
    let none = || site.github.pulls(REPO).is_empty();

    fault(FaultKind::Status(When::Before, 502));
    assert_eq!(open().unwrap().status, 502);
    fault(FaultKind::Drop(When::Before));
    open().unwrap_err();
    fault(FaultKind::Forbidden {
        retry_after: Some(7),
    });
    assert_eq!(open().unwrap().header("retry-after"), Some("7"));
    fault(FaultKind::Forbidden { retry_after: None });
    let refused = open().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (403, None));
    fault(FaultKind::TooMany {
        retry_after: 3,
        reset_in: 60,
    });
    let refused = open().unwrap();
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-remaining")),
        (429, Some("0"))
    );
    fault(FaultKind::Exhausted { reset_in: 60 });
    assert!(open().unwrap().text.contains("API rate limit exceeded"));
    assert!(none());
    let pause = Duration::from_millis(60);
    site.github.fault(Fault::next(
        "GET /user",
        FaultKind::Stall(When::After, pause),
    ));
    let before = Instant::now();
    site.as_user("ada").get("/user").expect(200);
    assert!(before.elapsed() >= pause);
    fault(FaultKind::Drop(When::After));
    open().unwrap_err();
    assert!(!none());
    assert_eq!(
        open().unwrap().refused(422),
        "A pull request already exists for octo:task."
    );
}

#[test]
fn answers_go_wrong_after_the_effect_and_reads_lag() {
    let site = Site::with_pull();
    let second = FaultKind::Status(When::After, 500);
    let comment = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    site.github.fault(Fault::nth(comment, 2, second));
    site.github
        .fault(Fault::next("GET /user", FaultKind::Malformed));
    let say = || {
        site.client
            .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}))
    };
    say().expect(201);
    assert_eq!(site.github.unused().len(), 2);
    say().expect(500);
    assert_eq!(site.github.comments(REPO, 1).len(), 2);
    let cut = site.as_user("ada").get("/user");
    assert!(cut.status == 200 && serde_json::from_str::<Value>(&cut.text).is_err());
    assert!(site.github.unused().is_empty());

    site.github
        .fault(Fault::next(comment, FaultKind::Stale { reads: Some(2) }));
    say().expect(201);
    let seen = || {
        let all = site
            .client
            .get("/repos/octo/app/issues/1/comments")
            .expect(200);
        all.as_array().unwrap().len()
    };
    let query = "query n { repository(owner: \"octo\", name: \"app\") { pullRequest(number: 1) \
        { comments(first: 1) { totalCount } } } }";
    let count = || {
        let said = site.client.graphql(query, &Value::Null);
        said["data"]["repository"]["pullRequest"]["comments"]["totalCount"].clone()
    };
    assert_eq!((seen(), count(), seen()), (2, json!(2), 3));
    site.github.freeze();
    say().expect(201);
    assert_eq!(seen(), 3);
    site.github.thaw();
    assert_eq!(seen(), 4);

    site.github
        .fault(Fault::next("graphql:n", FaultKind::GraphQlRateLimited));
    let said = site.client.graphql(query, &Value::Null);
    assert_eq!(said["errors"][0]["type"], "RATE_LIMITED");

    let home = tempfile::tempdir().unwrap();
    let url = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &url, "w"]);
    assert!(ok, "{said}");
    site.github.fault(Fault::next(
        "git:receive-pack",
        FaultKind::Drop(When::After),
    ));
    let (ok, _) = git(
        &home.path().join("w"),
        &["push", "-q", "origin", "HEAD:refs/heads/late"],
    );
    assert!(!ok);
    assert!(site.github.tip(REPO, "late").is_some());
}

#[test]
fn what_github_does_not_describe_is_a_violation() {
    let site = Site::with_pull();
    let found = || site.github.take_violations().join("\n");
    let has = |what: &str| {
        let said = found();
        assert!(said.contains(what), "{said}");
    };
    site.client
        .get("/repos/octo/app/pulls?stat=open")
        .expect(200);
    has("there is no query parameter stat");
    site.client
        .get("/repos/octo/app/pulls?state=merged")
        .expect(200);
    has("query state");
    site.client
        .get("/repos/octo/app/pulls?per_page=many")
        .expect(200);
    has("per_page");
    site.client
        .post("/repos/octo/app/issues/1/comments", &json!({"text": "Hi"}))
        .expect(422);
    has("\"body\" is a required property");
    let draft = json!({"draft": true});
    site.client
        .rest("PATCH", "/repos/octo/app/pulls/1", &draft)
        .expect(200);
    has("the body has no field draft");
    // What a client library is known to send instead of PATCH.
    site.client
        .post("/repos/octo/app/issues/comments/1", &json!({"body": "Hi"}))
        .expect(404);
    has("POST /repos/octo/app/issues/comments/1: the server has no such route");
    site.client.rest(
        "PUT",
        "/repos/octo/app/pulls/1/merge",
        &json!({"merge_method": "fast"}),
    );
    has("merge_method");
    let said = site
        .client
        .graphql("query { viewer { nickname } }", &Value::Null);
    assert!(said["errors"][0]["message"].is_string(), "{said}");
    has("nickname");
    let query = "query look($n: Int!) { repository(owner: \"octo\", name: \"app\") { \
        pullRequest(number: $n) { id } } }";
    site.client.graphql(query, &json!({"n": "one"}));
    has("n");
    assert_eq!(found(), "");
}

#[test]
fn a_violation_fails_the_test_it_is_in() {
    let failed = std::panic::catch_unwind(|| {
        let github = GitHub::start();
        Client::new(&github.url(), None)
            .get("/no/such/route")
            .expect(404);
    });
    let said = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("GET /no/such/route"), "{said}");
}

#[test]
fn time_is_what_the_test_says() {
    let site = Site::new();
    site.github.at("2031-02-03T04:05:06Z");
    let made = site.open("task");
    assert_eq!(made.header("date"), Some("Mon, 03 Feb 2031 04:05:06 GMT"));
    assert_eq!(made.expect(201)["created_at"], "2031-02-03T04:05:06Z");
    site.github.advance(60);
    let id = site.github.person("ada").comment(REPO, 1, "Late").unwrap();
    let path = format!("/repos/octo/app/issues/comments/{id}");
    assert_eq!(
        site.client.get(&path).expect(200)["created_at"],
        "2031-02-03T04:06:06Z"
    );
}
