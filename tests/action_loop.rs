//! The Action as it is used: workflows run by act against the GitHub of the tests.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/act/mod.rs"]
mod act;
#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use act::leaks::Search;
use act::{Act, Run};
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
        panic!("{}", runs.iter().map(Run::text).collect::<String>());
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
    fatal: unable to access 'http://[HOST]/acme/widgets/': The requested URL returned error: 403
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
    let lines: Vec<String> = runs.iter().map(Run::line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success
    ");
    insta::assert_snapshot!(runs[0].job("wake").text, @r"
    no terminal
    403
    ");
}

/// The repository with the workflows of `init --github`, its agent having a key; its Actions.
fn actions(hub: &Hub) -> Act<'_> {
    let config = hub.sandbox.read(".pertask/config.toml") + "env = [\"AGENT_KEY\"]\n";
    hub.sandbox.write(".pertask/config.toml", config);
    let action = format!("{}@{}", act::product::ACTION, "0123456789".repeat(4));
    hub.run(&["init", "--github", "--action", &action]).code(0);
    hub.sandbox.commit("Carry runs on in GitHub Actions");
    let token = hub.github.token("olive", "contents,workflows");
    let url = hub.github.clone_url_as(REPO, &token);
    hub.sandbox
        .git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
    let mut act = Act::new(hub);
    act::product::install(&mut act);
    act.set("PERTASK_TEST_POLL_MS", "50");
    act.set("PERTASK_TEST_PAUSE_DIVISOR", "100");
    act
}

#[test]
fn a_secret_is_found_in_commits_bundles_and_artifacts() {
    let hub = Hub::with(TWO, GOOD);
    let secret = "ghs_this-is-a-secret".to_owned();
    let folder = hub.sandbox.root().join("left");
    let artifact = folder.join("artifact");
    std::fs::create_dir_all(&artifact).unwrap();
    hub.sandbox.git(["switch", "--quiet", "-c", "leak"]);
    hub.sandbox.write("one.txt", &secret);
    hub.sandbox.commit("Leak");
    let bundle = hub.sandbox.root().join("result.bundle");
    let path = bundle.to_str().unwrap();
    hub.sandbox
        .git(["bundle", "create", "--quiet", path, "main..leak"]);
    let bundle = std::fs::read(bundle).unwrap();
    let zip = [b"PK\x03\x04", &bundle[..], b"PK\x01\x02"].concat();
    std::fs::write(artifact.join("result.zip"), zip).unwrap();
    let login = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("x-access-token:{secret}"),
    );
    std::fs::write(
        folder.join("config"),
        format!("AUTHORIZATION: basic {login}\n"),
    )
    .unwrap();
    std::fs::write(folder.join("clean"), "ghs_another-secret").unwrap();
    hub.sandbox.git([
        "clone",
        "--quiet",
        "--bare",
        ".",
        folder.join("copy").to_str().unwrap(),
    ]);

    let mut search = Search::new(&[secret], &hub.github.repo(REPO).bare.path);
    search.folder(&folder, &[]);
    let mut found = search.found();
    found.sort();
    insta::assert_snapshot!(hub.sandbox.tidy(&found.join("\n")), @r"
    [ROOT]/left/config
    bundle in [ROOT]/left/artifact/result.zip
    objects of [ROOT]/left/copy
    ");
}

/// Two tasks; whatever is built sees neither the agent's key nor a token.
const PLAN: &str = r#"title = "Two files"
build = [["sh", "-c", "! env | grep -e AGENT_KEY -e TOKEN -e ghs_"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
depends_on = ["one"]
"#;

/// An agent that looks at its environment and that of every process above it. What it saw is in its
/// file, with letters shifted, so that it is not mistaken for something that leaked.
const CURIOUS: &str = r#"
cat > /dev/null
{
    echo "attempt $PERTASK_ATTEMPT"
    pid=$$
    while [ "$pid" -gt 1 ]; do
        echo "process $pid"
        tr '\0' '\n' < "/proc/$pid/environ" 2>/dev/null
        pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
    done
    env
} | tr 'A-Za-z' 'N-ZA-Mn-za-m' > "$PERTASK_TASK.txt"
echo "::set-output name=orders::[]"
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

const KEY: &str = "sk-the-agents-own-key";

fn unshifted(text: &str) -> String {
    let shift = |c: char| match c {
        'A'..='M' | 'a'..='m' => char::from(c as u8 + 13),
        'N'..='Z' | 'n'..='z' => char::from(c as u8 - 13),
        c => c,
    };
    text.chars().map(shift).collect()
}

fn lines(runs: &[Run]) -> String {
    let lines: Vec<String> = runs.iter().map(Run::line).collect();
    lines.join("\n")
}

/// The pull requests, by branch: those of tasks side by side come in any order.
fn pulls(hub: &Hub) -> String {
    let pulls = hub.github.pulls(REPO).into_iter().map(|pull| {
        let state = match (&pull.merged, pull.open()) {
            (Some(merged), _) => format!("merged by {}", hub.github.login(merged.by)),
            (None, open) => if open { "open" } else { "closed" }.to_owned(),
        };
        format!(
            "{} -> {} by {}, {state}",
            pull.head_ref,
            pull.base_ref,
            hub.github.login(pull.author)
        )
    });
    let mut pulls: Vec<String> = pulls.collect();
    pulls.sort();
    pulls.join("\n")
}

#[test]
fn reviews_move_a_run_from_its_start_to_its_end_and_nothing_leaks() {
    let hub = Hub::with(PLAN, CURIOUS);
    let mut act = actions(&hub);
    act.environment_secret("pertask", "AGENT_KEY", KEY);
    let kept = act.keep();
    let person = |login| hub.github.person(login);

    // Started by the form.
    let runs = act.settle(act.dispatch("olive", &json!({"plan": "wiz"})));
    insta::assert_snapshot!(lines(&runs), @r"
    workflow_dispatch: decide=success wiz (base)/attempt=success wiz (base)/publish=success
    workflow_dispatch: decide=success wiz one/attempt=success wiz one/publish=success
    ");
    insta::assert_snapshot!(pulls(&hub), @"pertask/wiz/1-one -> pertask/wiz/main by github-actions[bot], open");
    assert!(runs[1].job("decide").summary.contains("```mermaid\n"));
    // What the agent says is shown, and is no command of the job.
    let attempt = runs[1].job("wiz one/attempt");
    assert!(attempt.text.contains("::set-output name=orders::[]"));
    let command = |name: &str| attempt.commands.iter().any(|(command, _)| command == name);
    assert!(command("stop-commands") && !command("set-output") && !command("error"));
    let mut all = runs;

    // Who may not write does not approve.
    let review = person("rose").approve(REPO, 1, "Fine").unwrap();
    let runs = act.settle(act.review(1, review, "submitted"));
    insta::assert_snapshot!(lines(&runs), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success
    ");
    all.extend(runs);

    // Changes are requested, and made.
    let before = hub.github.pull(REPO, 1).head_sha;
    let review = person("olive")
        .request_changes(REPO, 1, "Say more", &[])
        .unwrap();
    let runs = act.settle(act.review(1, review, "submitted"));
    insta::assert_snapshot!(lines(&runs), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success wiz one/attempt=success wiz one/publish=success
    ");
    all.extend(runs);
    let head = hub.github.pull(REPO, 1).head_sha;
    assert_ne!(head, before);
    let saw = unshifted(&hub.github.file(REPO, &head, "one.txt").unwrap());
    assert!(saw.starts_with("attempt 2\n"), "{saw}");

    // An approval merges, and the next task begins.
    let review = person("olive").approve(REPO, 1, "").unwrap();
    let runs = act.settle(act.review(1, review, "submitted"));
    insta::assert_snapshot!(lines(&runs), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success wiz two/attempt=success wiz two/publish=success
    ");
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/wiz/1-one -> pertask/wiz/main by github-actions[bot], merged by github-actions[bot]
    pertask/wiz/2-two -> pertask/wiz/main by github-actions[bot], open
    ");
    all.extend(runs);

    // So does a comment.
    let head = hub.github.pull(REPO, 2).head_sha;
    let comment = person("mallory")
        .comment(REPO, 2, &format!("/pertask approve {head}"))
        .unwrap();
    let runs = act.settle(act.comment(2, comment, "created"));
    insta::assert_snapshot!(lines(&runs), @"issue_comment: decide=success wiz (gate)/attempt=success wiz (gate)/publish=success");
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/wiz/1-one -> pertask/wiz/main by github-actions[bot], merged by github-actions[bot]
    pertask/wiz/2-two -> pertask/wiz/main by github-actions[bot], merged by github-actions[bot]
    pertask/wiz/main -> main by github-actions[bot], open
    ");
    all.extend(runs);

    // The last pull request is merged by hand.
    person("olive").merge(REPO, 3, "merge").unwrap();
    let runs = act.settle(act.pull(3, "closed", "olive"));
    insta::assert_snapshot!(lines(&runs), @r"
    pull_request: wake=success
    workflow_dispatch: decide=success
    ");
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/wiz/1-one -> pertask/wiz/main by github-actions[bot], merged by github-actions[bot]
    pertask/wiz/2-two -> pertask/wiz/main by github-actions[bot], merged by github-actions[bot]
    pertask/wiz/main -> main by github-actions[bot], merged by olive
    ");
    all.extend(runs);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let files = hub.github.git(REPO, ["ls-tree", "--name-only", "main"]);
    insta::assert_snapshot!(files, @r"
    .github
    .pertask
    README.md
    one.txt
    two.txt
    ");
    for run in &all {
        assert!(run.success, "{}\n{}", run.text(), run.log);
    }

    nothing_leaked(&hub, &act);
    assert!(std::fs::read_dir(kept).unwrap().count() > 10);
}

/// Looks through everything that is there at the end.
fn nothing_leaked(hub: &Hub, act: &Act<'_>) {
    // The agent had its key, and nothing else that opens anything.
    for task in ["one", "two"] {
        let saw = unshifted(
            &hub.github
                .file(REPO, "main", &format!("{task}.txt"))
                .unwrap(),
        );
        assert!(saw.contains(&format!("AGENT_KEY={KEY}")), "{saw}");
        for token in act.tokens() {
            assert!(!saw.contains(&token), "{saw}");
        }
        assert!(!saw.contains("TOKEN="), "{saw}");
    }
    let mut secrets = act.tokens();
    secrets.push(KEY.to_owned());
    let bare = hub.github.repo(REPO).bare.path.clone();
    let mut search = Search::new(&secrets, &bare);
    // `tree` has workflow files with the tokens in them, `secrets` is what act is given: no job
    // sees either.
    search.folder(act.root(), &["tree", "secrets", "tool_cache"]);
    search.folder(&bare, &[]);
    search.bytes("GitHub", format!("{:?}", hub.github.repo(REPO)).as_bytes());
    let (files, repositories) = search.seen;
    assert!(files > 1000 && repositories > 30, "{:?}", search.seen);
    let found = search.found();
    assert!(found.is_empty(), "{found:#?}");
}

/// An agent for [`APART`]: the second task takes until the test lets it go on.
const SLOW: &str = r#"
cat > /dev/null
while [ "$PERTASK_TASK" = slow ] && [ ! -e "ROOT/go" ]; do sleep 0.1; done
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

/// Two tasks that do not depend on one another, and nothing to build.
const APART: &str = r#"title = "Two files"

[[task]]
id = "quick"
title = "First file"
file = "quick.txt"
purpose = "The first"

[[task]]
id = "slow"
title = "Second file"
file = "slow.txt"
purpose = "The second"
"#;

#[test]
fn orders_are_carried_out_side_by_side_and_a_lost_machine_is_no_lost_task() {
    let hub = Hub::with(APART, "");
    let root = hub.sandbox.root();
    hub.sandbox
        .script(&SLOW.replace("ROOT", &root.display().to_string()));
    let act = actions(&hub);
    let person = |login| hub.github.person(login);

    // The slow one is let go when the quick one is shown: neither waits for the other.
    let shown = || {
        hub.github
            .pulls(REPO)
            .iter()
            .any(|pull| pull.head_ref.contains("quick"))
    };
    let runs = std::thread::scope(|scope| {
        scope.spawn(|| {
            let until = std::time::Instant::now() + support::LIMIT;
            while !shown() && std::time::Instant::now() < until {
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
            std::fs::write(root.join("go"), "").unwrap();
        });
        act.settle(act.dispatch("olive", &json!({"plan": "wiz", "mode": "per-task"})))
    });
    insta::assert_snapshot!(lines(&runs), @"workflow_dispatch: decide=success wiz quick-1/attempt=success wiz quick-1/publish=success wiz slow-2/attempt=success wiz slow-2/publish=success");
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/wiz/1-quick -> pertask/wiz/main by github-actions[bot], open
    pertask/wiz/2-slow -> pertask/wiz/main by github-actions[bot], open
    ");

    // The same workflow run once more: everything is done already.
    let again = act.again(&runs[0]);
    insta::assert_snapshot!(again.line(), @"workflow_dispatch: decide=success");
    let said = &again.job("decide").text;
    assert!(
        said.contains("Run wiz was started before; it goes on"),
        "{said}"
    );
    assert_eq!(act.dispatched().map(|event| event.payload), None);
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/wiz/1-quick -> pertask/wiz/main by github-actions[bot], open
    pertask/wiz/2-slow -> pertask/wiz/main by github-actions[bot], open
    ");

    // Changes are requested, but the machine is lost before it hands anything on.
    act.skip_steps(&["Agent", "Checks", "Pack the result", "Hand it on"]);
    let number = hub
        .github
        .pulls(REPO)
        .iter()
        .find(|p| p.head_ref.contains("slow"))
        .unwrap()
        .number;
    let review = person("olive")
        .request_changes(REPO, number, "Say more", &[])
        .unwrap();
    let runs = act.settle(act.review(number, review, "submitted"));
    insta::assert_snapshot!(lines(&runs), @r"
    pull_request_review: wake=success
    workflow_dispatch: decide=success wiz slow/attempt=success wiz slow/publish=success
    ");
    act.skip_steps(&[]);

    // When it is time, it is tried again.
    let runs = act.settle(act.schedule("23 */3 * * *"));
    insta::assert_snapshot!(lines(&runs), @"schedule: decide=success wiz slow/attempt=success wiz slow/publish=success");
    let file = hub
        .github
        .file(REPO, &hub.github.pull(REPO, number).head_sha, "slow.txt");
    insta::assert_snapshot!(file.unwrap(), @"slow, attempt 2");
}

#[test]
fn events_that_ask_for_nothing_end_well_and_give_out_nothing() {
    let hub = Hub::with(TWO, GOOD);
    let act = actions(&hub);
    let person = |login| hub.github.person(login);
    // A pull request of somebody's own, a fork's whose branch has a run's name, and an issue's comment.
    person("olive")
        .push(REPO, "fix", &[("a.txt", "a\n")], "Fix")
        .unwrap();
    let own = person("olive").open(REPO, "fix", "main", "Fix").unwrap();
    let review = person("mallory").approve(REPO, own, "").unwrap();
    let mut runs = vec![act.run(act.review(own, review, "submitted"))];
    let fork = person("rose").fork(REPO);
    person("rose")
        .push(&fork, "pertask/wiz/1-one", &[("b.txt", "b\n")], "Mine")
        .unwrap();
    let foreign = person("rose")
        .open(REPO, "rose:pertask/wiz/1-one", "main", "Mine")
        .unwrap();
    let review = person("mallory").approve(REPO, foreign, "").unwrap();
    runs.push(act.run(act.review(foreign, review, "submitted")));
    let comment = person("rose")
        .comment(REPO, own, "/pertask start wiz")
        .unwrap();
    runs.push(act.run(act.comment(own, comment, "created")));
    let comment = person("rose")
        .comment(REPO, own, "I like /pertask")
        .unwrap();
    runs.push(act.run(act.comment(own, comment, "created")));
    let mut event = act.comment(own, comment, "created");
    event.payload = json!({"comment": {"body": "/pertask"}, "issue": {"pull_request": {}}});
    event.payload["sender"] = json!({"login": "rose"});
    runs.push(act.run(event));

    insta::assert_snapshot!(lines(&runs), @r"
    pull_request_review:
    pull_request_review:
    issue_comment: decide=success
    issue_comment:
    issue_comment: decide=success
    ");
    let said = |nth: usize| runs[nth].job("decide").text.clone();
    assert!(said(2).contains("rose may not write to the repository"));
    assert!(said(4).contains("does not have a repository"));
    assert_eq!(act.dispatched().map(|event| event.payload), None);
    assert!(!hub.refs().contains("pertask"), "{}", hub.refs());
}

#[test]
fn a_run_that_cannot_go_on_does_not_hold_up_the_others() {
    let hub = Hub::with(APART, GOOD);
    hub.sandbox.write(".pertask/other/plan.toml", APART);
    let act = actions(&hub);
    let form = |plan: &str| act.dispatch("olive", &json!({"plan": plan, "mode": "per-task"}));
    act.run(form("wiz"));
    // A ledger that is not the one of its name is not believed.
    let refs = ["refs/pertask/runs/zombie", "refs/pertask/runs/wiz"];
    hub.github.git(REPO, ["update-ref", refs[0], refs[1]]);
    let runs = act.settle(form("other"));
    insta::assert_snapshot!(lines(&runs), @"workflow_dispatch: decide=failure other quick-1/attempt=success other quick-1/publish=success other slow-2/attempt=success other slow-2/publish=success");
    insta::assert_snapshot!(pulls(&hub), @r"
    pertask/other/1-quick -> pertask/other/main by github-actions[bot], open
    pertask/other/2-slow -> pertask/other/main by github-actions[bot], open
    pertask/wiz/1-quick -> pertask/wiz/main by github-actions[bot], open
    pertask/wiz/2-slow -> pertask/wiz/main by github-actions[bot], open
    ");
}
