//! The Action as it is used: workflows run by act against the GitHub of the tests.

#[path = "support/act/mod.rs"]
mod act;
#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use act::Act;
use hub::{Hub, REPO};
use serde_json::json;
use support::{GOOD, TWO};

/// What the other tests here rely on.
#[test]
fn jobs_get_the_tokens_and_secrets_that_github_would_give_them() {
    let hub = Hub::with(TWO, GOOD);
    let files = [
        (
            ".github/workflows/pertask.yml",
            include_str!("support/act/fixture/pertask.yml"),
        ),
        (
            ".github/workflows/pertask-order.yml",
            include_str!("support/act/fixture/pertask-order.yml"),
        ),
    ];
    let olive = hub.github.person("olive");
    olive.push(REPO, "main", &files, "Add workflows").unwrap();
    let mut act = Act::new(&hub);
    act.environment_secret("pertask", "AGENT_KEY", "twelve chars");
    let kept = act.keep();

    let runs = act.settle(act.dispatch("olive", &json!({"plan": "wiz"})));
    let [run] = &runs[..] else {
        panic!("{}", runs.iter().map(act::Run::text).collect::<String>());
    };
    insta::assert_snapshot!(run.line(), @"workflow_dispatch: decide=success order-1/attempt=success order-1/publish=success order-2/attempt=failure order-2/publish=success");
    let text = |job: &str| hub.sandbox.tidy(&run.job(job).text);
    insta::assert_snapshot!(text("decide"), @r"
    [OID] Add workflows
    Add workflows
    Configure
    Add the plan
    First commit
    no token left behind
    plan 'wiz' key '' by olive
    ");
    assert_eq!(run.job("decide").summary, "### A table\n");
    assert_eq!(
        run.job("decide").commands,
        [(
            "warning".to_owned(),
            "file=a.txt,line=3::mind the gap".to_owned()
        )]
    );
    insta::assert_snapshot!(text("order-1/attempt"), @r"
    [OID] Add workflows
    key of 12 letters
    remote: Permission to acme/widgets.git denied to github-actions[bot].
    fatal: unable to access 'http://127.0.0.1:/acme/widgets/': The requested URL returned error: 403
    Artifact result-11 has been uploaded: 1 files, 132 bytes
    ");
    insta::assert_snapshot!(text("order-1/publish"), @r"
    [OID] Add workflows
    Artifact result-11 has been downloaded: 1 files
    ./output/said.txt
    one: success, key ''
    ");
    insta::assert_snapshot!(text("order-2/publish"), @r"
    [OID] Add workflows
    Artifact result-22 has been downloaded: 1 files
    ./output/said.txt
    (gate): failure, key ''
    ");
    assert_eq!(hub.github.tip(REPO, "stolen"), None);
    assert_eq!(
        hub.github.tip(REPO, "done-11"),
        hub.github.tip(REPO, "main")
    );
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 5);

    // A review wakes the workflow of the default branch.
    let branch = "pertask/wiz/one";
    olive
        .push(REPO, branch, &[("one.txt", "1\n")], "One")
        .unwrap();
    let number = olive.open(REPO, branch, "main", "One").unwrap();
    let mallory = hub.github.person("mallory");
    let review = mallory.approve(REPO, number, "Fine").unwrap();
    let event = act.review(number, review, "submitted");
    assert_eq!(event.payload["review"]["state"], "approved");
    let runs = act.settle(event);
    let lines: Vec<String> = runs.iter().map(act::Run::line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success
    ");
    insta::assert_snapshot!(runs[0].job("wake").text, @r"
    no terminal
    403
    ");
}
