//! What people do on pull requests beside reviewing: commands in comments and from a clone, merging
//! by hand, closing, and what GitHub refuses to merge.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use github::{Protection, PullState};
use hub::{Hub, REPO};
use support::{GOOD, Output, THREE, TWO};

/// One task, so that the end is near.
const ONE: &str = r#"title = "One file"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The only one"
risk = "high"
"#;

/// Writes nothing at its first attempt.
const FAILING: &str = r#"
cat > /dev/null
if [ "$PERTASK_ATTEMPT" -gt 1 ]; then echo ok > "$PERTASK_TASK.txt"; fi
printf '{"status":"complete","summary":"tried"}' > "$PERTASK_HANDOFF_FILE"
"#;

const MERGE: &str = "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge";

const BRANCH: &str = "pertask/wiz/1-one";

impl Hub {
    fn head(&self) -> String {
        self.github.tip(REPO, BRANCH).unwrap()
    }

    /// A comment, what `continue` makes of it, and then nothing more.
    fn says(&self, who: &str, number: u64, text: &str) -> Said {
        let person = self.github.person(who);
        let id = person.comment(REPO, number, text).unwrap();
        let before = self.github.comments(REPO, number).len();
        let out = self.run(&["continue", "wiz"]);
        self.still(out.code);
        let comments = self.github.comments(REPO, number);
        let (_, ours) = comments.iter().find(|(_, c)| c.id == id).unwrap();
        let reactions = ours.reactions.iter().map(|r| r.content.clone()).collect();
        let replies = comments[before..]
            .iter()
            .map(|(by, c)| format!("{by}: {}", hidden(&c.body)))
            .collect();
        Said {
            out,
            reactions,
            replies,
        }
    }

    /// Another `continue` ends the same way and changes nothing.
    #[track_caller]
    fn still(&self, code: i32) {
        let refs = self.refs();
        self.github.clear_log();
        self.run(&["continue", "wiz"]).code(code);
        let log = self.github.log();
        let changing: Vec<_> = log.iter().filter(|l| l.changes).collect();
        assert!(changing.is_empty(), "{changing:?}");
        assert_eq!(self.refs(), refs);
    }

    fn merges(&self) -> usize {
        self.github.count_of(MERGE)
    }
}

/// A comment without its marker.
fn hidden(body: &str) -> String {
    let lines = body.lines().filter(|l| !l.starts_with("<!--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What came of a comment.
struct Said {
    out: Output,
    reactions: Vec<String>,
    replies: Vec<String>,
}

impl Said {
    fn text(&self, hub: &Hub) -> String {
        let replies = hub.sandbox.tidy(&self.replies.join("\n---\n"));
        format!("reactions {:?}\n{replies}", self.reactions)
    }
}

#[test]
fn an_approval_by_comment_takes_the_whole_commit_id() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let head = hub.head();

    let short = hub.says("olive", 1, &format!("/pertask approve {}", &head[..9]));
    assert!(short.replies[0].contains(&head), "with the one to copy");
    insta::assert_snapshot!(short.text(&hub).replace(&head[..9], "[PART]"), @r#"
    reactions ["confused"]
    robot[bot]: Nothing was done. “[PART]” is not a whole commit id, and an approval is never completed from a part of one: what waits for a review is `/pertask approve [OID]`.
    "#);
    assert_eq!(hub.states(), ["review", "pending"]);

    let other = "0123456789012345678901234567890123456789";
    let wrong = hub.says("olive", 1, &format!("/pertask approve {other}"));
    insta::assert_snapshot!(wrong.text(&hub), @r#"
    reactions ["confused"]
    robot[bot]: Nothing was done: the commit to approve is `[OID]`; look at it, then write `/pertask approve [OID]`.
    "#);
    assert_eq!(hub.states(), ["review", "pending"]);

    // Who may not write is not answered, and nor is the comment acted on.
    let stranger = hub.says("rose", 1, &format!("/pertask approve {head}"));
    assert_eq!(stranger.text(&hub), "reactions []\n");
    assert_eq!(hub.states(), ["review", "pending"]);

    let right = hub.says("mallory", 1, &format!("/pertask approve {head}"));
    right.out.clone().code(0);
    insta::assert_snapshot!(right.text(&hub), @r#"reactions ["+1"]"#);
    insta::assert_snapshot!(right.out.text(), @r"
    exit 0
    --- stdout
    Task 2 of 2 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-two at [ID]

    Waiting for:
    - a review of task 2 of 2, two (Second file) on http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    --- stderr
    mallory approves [ID]
    Task 1 of 2, one (First file): approved by mallory
    Task 1 of 2, one (First file): merged as [ID] (approved by mallory)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    Task 2 of 2, two (Second file): pull request #2 is open
      http://[HOST]/acme/widgets/pull/2
    ");
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn a_person_asks_by_comment_how_it_stands_and_is_told_of_words_that_are_none() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let status = hub.says("olive", 1, "/pertask status");
    insta::assert_snapshot!(status.text(&hub), @r#"
    reactions ["+1"]
    robot[bot]: ```text
    Run wiz: Two files
    State    waiting
    Mode     per task (high-risk implementation: one)
    Base     main at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID   TITLE        STATE    TRY  LINES  BUILD    TIME
    1/2   one  First file   review     1      1  success    [T]
    2/2   two  Second file  pending    0      -  -           -

    Waiting for
    - a review of task 1 of 2, one (First file) on
      http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one`
      or `git pertask revise wiz one -m …`
    ```
    "#);
    let unknown = hub.says("olive", 1, "/pertask aprove");
    insta::assert_snapshot!(unknown.text(&hub), @r#"
    reactions ["confused"]
    robot[bot]: Nothing was done. There is no command “aprove”. Did you mean `/pertask approve <full commit id>`? They are `/pertask approve <full commit id>`, `/pertask revise <what to change>`, `/pertask retry [--fresh]`, `/pertask skip <why>`, `/pertask abort`, `/pertask status`.
    "#);
    let now = hub.says("olive", 1, "/pertask retry");
    insta::assert_snapshot!(now.text(&hub), @r#"
    reactions ["confused"]
    robot[bot]: Nothing was done: task 1 of 2, one (First file) is neither failed nor blocked; `git pertask status wiz` says where it stands.
    "#);
    for quiet in [
        "/pertask status",
        "/pertask nonsense",
        "/pertask abort",
        "/pertask skip No",
    ] {
        let said = hub.says("rose", 1, quiet);
        assert_eq!(said.text(&hub), "reactions []\n", "{quiet}");
    }
    assert_eq!(hub.states(), ["review", "pending"]);
}

#[test]
fn a_revision_by_comment_and_the_end_of_the_run_by_comment() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let first = hub.head();
    let revise = hub.says("olive", 1, "/pertask revise Say it louder.");
    revise.out.clone().code(0);
    insta::assert_snapshot!(revise.text(&hub), @r#"reactions ["+1"]"#);
    assert_ne!(hub.head(), first);
    assert_eq!(hub.states(), ["review", "pending"]);
    assert_eq!(hub.github.requested(REPO, 1), ["olive"]);

    let skip = hub.says("olive", 1, "/pertask skip Not needed");
    insta::assert_snapshot!(skip.text(&hub), @r#"reactions ["+1"]"#);
    assert_eq!(hub.states(), ["skipped", "review"]);
    assert_eq!(hub.github.pull(REPO, 1).state, PullState::Closed);

    let abort = hub.says("olive", 2, "/pertask abort");
    insta::assert_snapshot!(abort.text(&hub), @r#"reactions ["+1"]"#);
    insta::assert_snapshot!(abort.out.text(), @r"
    exit 0
    --- stdout
    Run wiz was ended by olive; every branch is kept. Start anew: git pertask start wiz
    --- stderr
    Ended by olive before all was done; every branch is kept
    Task 2 of 2, two (Second file): pull request #2 was closed
    ");
    assert_eq!(hub.github.pull(REPO, 2).state, PullState::Closed);
    assert_eq!(hub.status()["state"], "aborted");
}

#[test]
fn a_failed_task_is_tried_again_by_comment() {
    let hub = Hub::configured(ONE, FAILING, "forge = \"github\"\n[limits]\nattempts = 1");
    hub.run(&["start", "wiz"]).code(1);
    assert_eq!(hub.states(), ["failed"]);
    assert!(hub.github.pull(REPO, 1).draft);
    let retry = hub.says("olive", 1, "/pertask retry");
    retry.out.clone().code(0);
    insta::assert_snapshot!(retry.text(&hub), @r#"reactions ["+1"]"#);
    assert_eq!(hub.states(), ["review"]);
    assert!(!hub.github.pull(REPO, 1).draft);
}

/// A clone in which a person works with a token of their own.
fn as_person(hub: &Hub, who: &str, args: &[&str]) -> Output {
    let token = hub.github.token(who, "*");
    let mut command = hub.sandbox.program(&hub.sandbox.repo);
    command.args(args).env("GITHUB_TOKEN", token);
    hub.sandbox.finish(command)
}

/// Who commented, and the first line.
fn conversation(hub: &Hub, number: u64) -> String {
    let list = hub.github.comments(REPO, number);
    let lines = list.iter().map(|(by, c)| {
        let reactions: Vec<_> = c.reactions.iter().map(|r| r.content.as_str()).collect();
        let text = hidden(&c.body);
        format!(
            "{by} {reactions:?}: {}",
            text.lines().next().unwrap_or_default()
        )
    });
    hub.sandbox.tidy(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn decisions_from_a_clone_are_comments_of_the_person() {
    let hub = Hub::with(THREE, GOOD);
    hub.run(&["start", "wiz", "--jobs", "3"]).code(0);
    assert_eq!(hub.states(), ["review", "review", "review"]);
    // The token of an App decides nothing.
    let bot = hub.run(&["approve", "wiz", "one"]).code(2);
    insta::assert_snapshot!(bot.text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: the token is one of robot, which is no person: decide on http://[HOST]/acme/widgets/pull/1 itself, or with a token of your own
    ");
    // Nor does that of somebody who may only read.
    let rose = as_person(&hub, "rose", &["approve", "wiz", "one"]);
    insta::assert_snapshot!(rose.text(), @r#"
    exit 1
    --- stdout
    --- stderr
    git-pertask: the token of GITHUB_TOKEN may not write to acme/widgets: its account has the permission "read" there (it takes contents=write, pull_requests=write); ask somebody who administers acme/widgets for write permission, or use another token
    "#);
    assert_eq!(hub.states(), ["review", "review", "review"]);

    as_person(&hub, "olive", &["approve", "wiz", "one"]).code(0);
    assert_eq!(hub.states(), ["merged", "review", "review"]);
    insta::assert_snapshot!(conversation(&hub, 1), @r#"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    olive ["+1"]: /pertask approve [OID]
    "#);
    as_person(&hub, "olive", &["revise", "wiz", "two", "-m", "Louder"]).code(0);
    insta::assert_snapshot!(conversation(&hub, 2), @r#"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    olive ["+1"]: /pertask revise Louder
    "#);
    as_person(&hub, "olive", &["skip", "wiz", "three", "-m", "Not needed"]).code(0);
    insta::assert_snapshot!(conversation(&hub, 3), @r#"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    olive ["+1"]: /pertask skip Not needed
    "#);
    assert_eq!(hub.states(), ["merged", "review", "skipped"]);
    hub.still(0);
    let out = as_person(&hub, "olive", &["abort", "wiz"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz was ended by olive; every branch is kept. Start anew: git pertask start wiz
    --- stderr
    Ended by olive before all was done; every branch is kept
    Task 2 of 3, two (Second file): the comment of olive is answered
    Task 2 of 3, two (Second file): pull request #2 was closed
    ");
    insta::assert_snapshot!(conversation(&hub, 2), @r#"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    olive ["+1"]: /pertask revise Louder
    olive ["+1"]: /pertask abort
    "#);
    assert_eq!(hub.github.pull(REPO, 2).state, PullState::Closed);
}

#[test]
fn a_merge_by_hand_is_an_approval() {
    for method in ["merge", "squash", "rebase"] {
        let hub = Hub::with(TWO, GOOD);
        hub.run(&["start", "wiz"]).code(0);
        let olive = hub.github.person("olive");
        olive.merge(REPO, 1, method).unwrap();
        let out = hub.run(&["continue"]).code(0);
        if method == "merge" {
            insta::assert_snapshot!(out.text(), @r"
            exit 0
            --- stdout
            Task 2 of 2 complete: two.txt

            Created: + two.txt
            Lines:   1
            Build:   SUCCESS
            Rules:   none to check
            Spent:   [T]
            Branch:  pertask/wiz/2-two at [ID]

            Waiting for:
            - a review of task 2 of 2, two (Second file) on http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two` or `git pertask revise wiz two -m …`
            --- stderr
            Task 1 of 2, one (First file): merged as [ID] (merged by hand by olive)
            Task 2 of 2, two (Second file): attempt 1 begins
              ok test -d .pertask ([T])
            Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
            Task 2 of 2, two (Second file): pull request #2 is open
              http://[HOST]/acme/widgets/pull/2
            ");
        }
        assert_eq!(hub.states(), ["merged", "review"], "{method}");
        assert_eq!(hub.merges(), 0);
        hub.still(0);
        hub.approve(2).code(0);
        assert_eq!(hub.states(), ["merged", "merged"], "{method}");
    }
}

#[test]
fn a_merge_with_git_is_an_approval() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let olive = hub.github.person("olive");
    olive
        .merge_by_git(REPO, "pertask/wiz/main", BRANCH)
        .unwrap();
    assert!(hub.github.pull(REPO, 1).merged.is_some());
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 2 of 2 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-two at [ID]

    Waiting for:
    - a review of task 2 of 2, two (Second file) on http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    --- stderr
    Task 1 of 2, one (First file): merged as [ID] (merged by hand by olive)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    Task 2 of 2, two (Second file): pull request #2 is open
      http://[HOST]/acme/widgets/pull/2
    ");
    assert_eq!(hub.states(), ["merged", "review"]);
    hub.still(0);
}

#[test]
fn closing_is_a_stop_and_opening_again_ends_it() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let olive = hub.github.person("olive");
    olive.close(REPO, 1).unwrap();
    let out = hub.run(&["continue"]).code(1);
    insta::assert_snapshot!(out.text(), @r"
    exit 1
    --- stdout
    Waiting for:
    - its pull request to be opened again, for task 1 of 2, one (First file), or `git pertask skip wiz one -m …`
    --- stderr
    Task 1 of 2, one (First file): pull request #1 was closed
    ");
    hub.still(1);
    // An approval does not open it again.
    olive.approve(REPO, 1, "").unwrap();
    hub.still(1);
    olive.reopen(REPO, 1).unwrap();
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 2 of 2 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-two at [ID]

    Waiting for:
    - a review of task 2 of 2, two (Second file) on http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    --- stderr
    Task 1 of 2, one (First file): pull request #1 was opened again
    Task 1 of 2, one (First file): approved by olive
    Task 1 of 2, one (First file): merged as [ID] (approved by olive)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    Task 2 of 2, two (Second file): pull request #2 is open
      http://[HOST]/acme/widgets/pull/2
    ");
    assert_eq!(hub.states(), ["merged", "review"]);

    // What stays closed can be left out with the command that is named.
    olive.close(REPO, 2).unwrap();
    hub.run(&["continue"]).code(1);
    let skip = ["skip", "wiz", "two", "-m", "Not wanted"];
    as_person(&hub, "olive", &skip).code(0);
    assert_eq!(hub.states(), ["merged", "skipped"]);
    insta::assert_snapshot!(conversation(&hub, 2), @r#"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    olive ["+1"]: /pertask skip Not wanted
    "#);
    hub.still(0);
}

/// Says that a check of somebody else has this state.
fn check(hub: &Hub, head: &str, state: &str) {
    let olive = hub.github.person("olive").id;
    hub.github.change(REPO, |r| {
        r.statuses.push(github::state::Status {
            id: 900_000 + r.statuses.len() as u64,
            sha: head.to_owned(),
            context: "ci".to_owned(),
            state: state.to_owned(),
            description: None,
            target_url: None,
            creator: olive,
            at: jiff::Timestamp::now(),
        });
    });
}

#[test]
fn a_required_check_that_is_pending_is_waited_for() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let rules = Protection {
        checks: vec!["ci".to_owned()],
        ..Protection::default()
    };
    hub.github.protect(REPO, "pertask/wiz/main", rules);
    check(&hub, &hub.head(), "pending");
    let out = hub.approve(1).code(0);
    insta::assert_snapshot!(out.text(), @r#"
    exit 0
    --- stdout
    Waiting for:
    - the merge of task 1 of 2, one (First file): the branch's protection wants something first, such as required checks or more reviews: Required status check "ci" is pending.
    --- stderr
    Task 1 of 2, one (First file): approved by olive
    "#);
    assert!(hub.merges() <= 1, "{}", hub.merges());
    hub.github.clear_log();
    let again = hub.run(&["continue"]).code(0);
    assert!(again.stdout.contains("ci"), "{}", again.text());
    assert!(hub.merges() <= 1, "{}", hub.merges());
    assert_eq!(hub.states(), ["approved", "pending"]);
    check(&hub, &hub.head(), "success");
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

/// Polls without news since the log was cleared.
fn wait_for_polls(hub: &Hub, times: usize) {
    let free = || hub.github.log().iter().filter(|l| l.status == 304).count();
    while free() < times {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_process_that_watches_goes_on_when_a_required_check_has_succeeded() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let rules = Protection {
        checks: vec!["ci".to_owned()],
        ..Protection::default()
    };
    hub.github.protect(REPO, "pertask/wiz/main", rules);
    check(&hub, &hub.head(), "pending");
    let merges = watched(&hub, || check(&hub, &hub.head(), "success"));
    assert!(merges <= 3, "{merges}");
}

#[test]
fn a_process_that_watches_goes_on_when_a_setting_has_changed() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github.change(REPO, |r| r.allow_squash = false);
    watched(&hub, || {
        hub.github.change(REPO, |r| r.allow_squash = true);
    });
}

/// An approved task that may not be merged, until this is done; how often the merge was asked for
/// before.
fn watched(hub: &Hub, lift: impl FnOnce()) -> usize {
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    hub.github.clear_log();
    let mut command = hub.sandbox.program(&hub.sandbox.repo);
    command.args(["continue", "--watch"]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut watching = command.spawn().unwrap();
    wait_for_polls(hub, 10);
    let merges = hub.merges();
    lift();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while hub.github.pull(REPO, 1).merged.is_none() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let is_merged = hub.github.pull(REPO, 1).merged.is_some();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(is_merged, "{merges} merges were asked for before");
    merges
}

#[test]
fn a_merge_queue_is_waited_for() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let rules = Protection {
        queue: true,
        ..Protection::default()
    };
    hub.github.protect(REPO, "pertask/wiz/main", rules);
    let out = hub.approve(1).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Waiting for:
    - the merge of task 1 of 2, one (First file): it is in the merge queue of its branch
    --- stderr
    Task 1 of 2, one (First file): approved by olive
    ");
    assert!(hub.github.pull(REPO, 1).queued.is_some());
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert!(hub.merges() <= 1);
    assert_eq!(hub.states(), ["approved", "pending"]);
    hub.github
        .person("olive")
        .run_queue(REPO, 1, "squash")
        .unwrap();
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.err(), @r"
    Task 1 of 2, one (First file): merged as [ID] (merged by hand by olive)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    Task 2 of 2, two (Second file): pull request #2 is open
      http://[HOST]/acme/widgets/pull/2
    ");
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn a_method_that_is_not_allowed_is_said_until_it_is() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github.change(REPO, |r| r.allow_squash = false);
    let out = hub.approve(1).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Waiting for:
    - the merge of task 1 of 2, one (First file): GitHub will not merge it (405): Squash merges are not allowed on this repository.
    --- stderr
    Task 1 of 2, one (First file): approved by olive
    ");
    assert!(hub.merges() <= 1, "{}", hub.merges());
    assert_eq!(hub.states(), ["approved", "pending"]);
    hub.github.change(REPO, |r| r.allow_squash = true);
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn a_conflict_that_appears_is_worked_on_and_asked_about_again() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let olive = hub.github.person("olive");
    olive
        .push(REPO, "pertask/wiz/main", &[("one.txt", "theirs\n")], "Mine")
        .unwrap();
    let out = hub.approve(1);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 1 of 2 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 2, one (First file): the approval of olive is for [ID], not for [ID]
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    olive committed on the run branch
    Task 1 of 2, one (First file): approved by olive
    Task 1 of 2, one (First file): the run branch has moved on and conflicts in one.txt
    Task 1 of 2, one (First file): attempt 2 begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 2 passes its checks, waiting for a review
    Task 1 of 2, one (First file): pull request #1 shows [ID]
    ");
    assert!(hub.merges() <= 1, "{}", hub.merges());
    hub.still(out.code);
    // Who had approved is asked again.
    assert_eq!(hub.github.requested(REPO, 1), ["olive"]);
    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn an_approval_carries_over_when_the_run_branch_is_brought_in() {
    let hub = Hub::with(THREE, GOOD);
    hub.run(&["start", "wiz", "--jobs", "3"]).code(0);
    for number in 1..=3 {
        hub.github
            .person("olive")
            .approve(REPO, number, "")
            .unwrap();
    }
    let out = hub.run(&["continue", "--jobs", "3"]).code(0);
    assert_eq!(hub.states(), ["merged", "merged", "merged"]);
    insta::assert_snapshot!(out.err(), @r"
    Task 1 of 3, one (First file): approved by olive
    Task 2 of 3, two (Second file): approved by olive
    Task 3 of 3, three (Third file): approved by olive
    Task 1 of 3, one (First file): merged as [ID] (approved by olive)
    Task 2 of 3, two (Second file): the run branch has moved on and is merged in
    Task 3 of 3, three (Third file): the run branch has moved on and is merged in
    Task 2 of 3, two (Second file): checking with the run branch merged in begins
    Task 3 of 3, three (Third file): checking with the run branch merged in begins
    Task 2 of 3, two (Second file): still passes with the run branch merged in; the approval carries over
    Task 2 of 3, two (Second file): pull request #2 shows [ID]
    Task 3 of 3, three (Third file): still passes with the run branch merged in; the approval carries over
    Task 3 of 3, three (Third file): pull request #3 shows [ID]
    Task 2 of 3, two (Second file): merged as [ID] (approved by olive)
    Task 3 of 3, three (Third file): the run branch has moved on and is merged in
    Task 3 of 3, three (Third file): checking with the run branch merged in begins
    Task 3 of 3, three (Third file): still passes with the run branch merged in; the approval carries over
    Task 3 of 3, three (Third file): pull request #3 shows [ID]
    Task 3 of 3, three (Third file): merged as [ID] (approved by olive)
    The gate holds
    The run is complete: pull request #4 takes it into main
      http://[HOST]/acme/widgets/pull/4
    ");
    for number in 1..=3 {
        let pull = hub.github.pull(REPO, number);
        assert_eq!((pull.reviews.len(), pull.requested.len()), (1, 0));
    }
}

#[test]
fn an_approval_that_protection_dismisses_is_asked_for_again_with_the_reason() {
    let hub = Hub::with(THREE, GOOD);
    hub.run(&["start", "wiz", "--jobs", "3"]).code(0);
    let rules = Protection {
        dismiss_stale: true,
        approvals: 1,
        ..Protection::default()
    };
    hub.github.protect(REPO, "pertask/*", rules);
    let olive = hub.github.person("olive");
    olive.approve(REPO, 1, "").unwrap();
    olive.approve(REPO, 2, "").unwrap();
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 2 of 3 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   NONE
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/2-two at [ID]

    Task 3 of 3 complete: three.txt

    Created: + three.txt
    Lines:   1
    Build:   NONE
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/3-three at [ID]

    Waiting for:
    - an approval that counts, for task 2 of 3, two (Second file): the review of olive was dismissed
    - a review of task 2 of 3, two (Second file) on http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    - a review of task 3 of 3, three (Third file) on http://[HOST]/acme/widgets/pull/3, or `git pertask approve wiz three` or `git pertask revise wiz three -m …`
    --- stderr
    Task 1 of 3, one (First file): approved by olive
    Task 2 of 3, two (Second file): approved by olive
    Task 1 of 3, one (First file): merged as [ID] (approved by olive)
    Task 2 of 3, two (Second file): the run branch has moved on and is merged in
    Task 2 of 3, two (Second file): checking with the run branch merged in begins
    Task 2 of 3, two (Second file): still passes with the run branch merged in; the approval carries over
    Task 2 of 3, two (Second file): pull request #2 shows [ID]
    Task 2 of 3, two (Second file): waiting for a review again: the review of olive was dismissed
    ");
    assert_eq!(hub.states(), ["merged", "review", "review"]);
    hub.still(0);
    insta::assert_snapshot!(conversation(&hub, 2), @r"
    robot[bot] []: **Waits for a review** of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]).
    robot[bot] []: The approval of [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]) by olive was dismissed by this repository's branch protection. [`[ID]`](http://[HOST]/acme/widgets/commit/[OID]) differs from it by nothing but the run branch, which was merged in and passes the checks. It needs an approval again all the same.
    ");
    assert_eq!(hub.github.requested(REPO, 2), ["olive"]);
    hub.approve(2).code(0);
    assert_eq!(hub.states(), ["merged", "merged", "review"]);
}

#[test]
fn a_batch_is_one_pull_request() {
    let hub = Hub::with(
        TWO,
        "cat > /dev/null\necho 1 > one.txt\necho 2 > two.txt\nprintf '{\"status\":\"complete\",\"summary\":\"wrote both\"}' > \"$PERTASK_HANDOFF_FILE\"\n",
    );
    hub.run(&["start", "wiz", "--mode", "batch"]).code(0);
    assert_eq!(hub.states(), ["review", "review"]);
    let pull = hub.github.pull(REPO, 1);
    assert_eq!(pull.head_ref, "pertask/wiz/batch");
    insta::assert_snapshot!(hub.sandbox.tidy(&pull.title), @r"[wiz 1-2/2] Two files");
    hub.still(0);
    hub.github
        .person("olive")
        .request_changes(REPO, 1, "Again", &[])
        .unwrap();
    hub.run(&["continue"]).code(0);
    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let pulls = hub.github.pulls(REPO);
    assert_eq!(pulls.len(), 2);
    assert_eq!(pulls[1].base_ref, "main");
}

#[test]
fn tasks_join_the_run_branch_as_configured() {
    for (method, parents) in [("merge", 2), ("rebase", 1), ("squash", 1)] {
        let settings = format!("forge = \"github\"\nmerge = \"{method}\"");
        let hub = Hub::configured(THREE, GOOD, &settings);
        hub.run(&["start", "wiz", "--jobs", "2"]).code(0);
        for number in 1..=3 {
            hub.approve(number).code(0);
        }
        assert_eq!(hub.states(), ["merged", "merged", "merged"], "{method}");
        let run = "pertask/wiz/main";
        for file in ["one.txt", "two.txt", "three.txt"] {
            assert!(
                hub.github.file(REPO, run, file).is_some(),
                "{method} {file}"
            );
        }
        let last = hub.github.git(REPO, ["log", "-1", "--format=%P", run]);
        assert_eq!(last.split_whitespace().count(), parents, "{method}");
        assert_eq!(hub.github.pulls(REPO).len(), 4, "{method}");
        hub.still(0);
    }
}
