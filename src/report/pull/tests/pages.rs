//! What the page of a task looks like, whole.

use super::*;

#[test]
fn for_a_review() {
    let mut desk = Desk::new(sample::midway());
    let finding = "pkg/wiz/wiz_client.go:7:3: err is dropped [error-handling]\n    wrap it with %w\n1 finding\n";
    desk.result = Some(result(vec![
        check(CheckKind::Files, "files", true, "the file is there", ""),
        check(
            CheckKind::Build,
            "go build ./...",
            true,
            "succeeds",
            "ok  wiz  0.3s\n```\n<!-- pertask:end -->",
        ),
        check(
            CheckKind::Rules,
            "rules",
            false,
            "pkg/wiz/wiz_client.go:7: err is dropped",
            finding,
        ),
    ]));
    insta::assert_snapshot!(terse(above(&body(&desk.sheet("client")))), @r#"
    <!-- pertask:begin wiz/2-client -->
    **Task 2 of 4** of Wiz integration, in run `wiz`. **Waits for a review** of [`cccccccccc`](…/commit/c…c).

    HTTP client with authentication, the rate limit and the four API methods.

    ### Files

    | File | Change | Lines | At most |
    |---|---|---|---|
    | [`go.mod`](…/blob/c…c/go.mod) | modified | 12 |  |
    | [`pkg/wiz/wiz_client.go`](…/blob/c…c/pkg/wiz/wiz_client.go) | added | 185 | 199 |
    | [`pkg/wiz/wiz_client_test.go`](…/blob/c…c/pkg/wiz/wiz_client_test.go) | added | 90 |  |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | the file is there (1s) |
    | `go build ./...` | holds | succeeds (1s) |
    | `rules` | **fails** | pkg/wiz/wiz_client.go:7: err is dropped (1s) |

    What the rules found:

    - [`pkg/wiz/wiz_client.go:7`](…/blob/c…c/pkg/wiz/wiz_client.go#L7) `error-handling`: err is dropped. wrap it with %w

    <details><summary>Output of <code>go build ./...</code></summary>

    ````text
    ok  wiz  0.3s
    ```
    <! -- pertask:end -->
    ````

    </details>

    ### Success criteria

    Yours to judge; no check ticks them.

    - ☐ Uses the types of wiz_types.go
    - ☐ Every API method in architecture.md is there

    ### The agent's words

    Not verified.

    - All errors wrapped with context

    ### How to decide

    - **Approve** in a review of this pull request: exactly what you saw is merged into `pertask/wiz/main`, and what waits for it starts.
    - **Request changes** in a review: a fresh agent revises it with your words and the unresolved threads before it, and you are asked again.
    - Push a commit of your own to this branch, or apply a suggestion: it is checked, and needs an approval like any other.
    - Or write a comment that begins with one of these:

    ```text
    /pertask approve cccccccccccccccccccccccccccccccccccccccc
    /pertask revise WHAT TO CHANGE
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz client` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: claude 2.1.0, model opus; it calls itself integration-developer
    - Time and cost: 15 minutes, $0.82 (2 attempts: 30 minutes, $1.22)
    - Prompt: sha256 `5555555555555555555555555555555555555555555555555555555555555555`
    - Everything recorded: `git pertask show wiz client`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 2: HTTP client (wiz_client.go)
    - Status: Complete
    - Started: 2026-01-14T15:46:40Z
    - Completed: 2026-01-14T16:01:40Z
    - Duration: 15 minutes
    - Lines: 185
    - Build: SUCCESS
    - Agent: integration-developer, claude 2.1.0, model opus (task-2)
    - Skills invoked: developing-with-tdd

    ##### Files Created
    - go.mod (modified)
    - pkg/wiz/wiz_client.go
    - pkg/wiz/wiz_client_test.go

    ##### API Methods Implemented
    - `newClient(apiKey string) *client`
    - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

    ##### Review Notes
    - Agent's words: All errors wrapped with context

    ##### Earlier attempts
    - Attempt 1 (first, claude 2.1.0, model opus): failed: go build ./... fails: undefined: Asset

    </details>
    "#);
}

#[test]
fn the_block_of_all_tasks() {
    let desk = Desk::new(sample::midway());
    let said = body(&desk.sheet("client"));
    insta::assert_snapshot!(terse(&said[above(&said).len()..]), @r#"
    <!-- pertask:tasks -->
    ### All tasks

    1 merged, 1 in review, 1 running, 1 pending.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1 | API types | merged | [#7](…/pull/7) |
    | 2 | HTTP client | in review | this one |
    | 3 | Transformations | running |  |
    | 4 | Primary handler | pending |  |

    ```mermaid
    graph TD
      t1["1 types: merged"]:::merged
      t2["2 client: in review"]:::review
      t3["3 transform: running"]:::running
      t4["4 handler: pending"]:::pending
      t1 --> t2
      t1 --> t3
      t2 --> t4
      t3 --> t4
      classDef pending fill:#eaeef2,color:#24292f
      classDef running fill:#54aeff,color:#24292f
      classDef review fill:#d4a72c,color:#24292f
      classDef merged fill:#8250df,color:#ffffff
    ```
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    "#);
}

#[test]
fn failed() {
    let mut state = sample::midway();
    sample::fail(&mut state, "client");
    let mut desk = Desk::new(state);
    desk.patch = Some("--- a/x\n+++ b/x\n+\tfixes #1 for @bob\u{202e}\n".to_owned());
    insta::assert_snapshot!(terse(above(&body(&desk.sheet("client")))), @r"
    <!-- pertask:begin wiz/2-client -->
    **Task 2 of 4** of Wiz integration, in run `wiz`. **Failed**, and needs a person.

    > [!CAUTION]
    > **What did not hold:**
    >
    > - go build ./... fails: undefined: Asset

    HTTP client with authentication, the rate limit and the four API methods.

    ### Files

    | File | Change | Lines | At most |
    |---|---|---|---|
    | [`go.mod`](…/blob/c…c/go.mod) | modified | 12 |  |
    | [`pkg/wiz/wiz_client.go`](…/blob/c…c/pkg/wiz/wiz_client.go) | added | 185 | 199 |
    | [`pkg/wiz/wiz_client_test.go`](…/blob/c…c/pkg/wiz/wiz_client_test.go) | added | 90 |  |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | the file is there |
    | `go build ./...` | **fails** | exit status 1 |

    ### Kept work

    What attempt 3 left is kept on [`pertask/wiz/kept/client-3`](…/tree/pertask/wiz/kept/client-3) at [`cccccccccc`](…/commit/c…c) ([comparison](…/compare/pertask/wiz/main...pertask/wiz/kept/client-3) with the run branch). Nothing of it is merged.

    <details><summary>What it changes</summary>

    ```diff
    --- a/x
    +++ b/x
    +	fixes #1 for @bob<U+202E>
    ```

    </details>

    ### The agent's words

    Not verified.

    - All errors wrapped with context

    ### How to go on

    This is a draft: there is nothing to approve. Write a comment that begins with one of these; `retry` goes on from where it stopped, `retry --fresh` from the run branch:

    ```text
    /pertask retry
    /pertask retry --fresh
    /pertask revise WHAT TO DO
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz client` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: claude 2.1.0, model opus; it calls itself integration-developer
    - Time and cost: 15 minutes, $0.40 (3 attempts: 45 minutes, $1.62)
    - Prompt: sha256 `5555555555555555555555555555555555555555555555555555555555555555`
    - Everything recorded: `git pertask show wiz client`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 2: HTTP client (wiz_client.go)
    - Status: Failed
    - Started: 2026-01-14T16:03:20Z
    - Completed: 2026-01-14T16:18:20Z
    - Duration: 15 minutes
    - Lines: 185
    - Build: FAILURE
    - Agent: integration-developer, claude 2.1.0, model opus (task-2)
    - Skills invoked: developing-with-tdd
    - Reason: go build ./... fails: undefined: Asset

    ##### Files Created
    - go.mod (modified)
    - pkg/wiz/wiz_client.go
    - pkg/wiz/wiz_client_test.go

    ##### API Methods Implemented
    - `newClient(apiKey string) *client`
    - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

    ##### Review Notes
    - Agent's words: All errors wrapped with context

    ##### Earlier attempts
    - Attempt 1 (first, claude 2.1.0, model opus): failed: go build ./... fails: undefined: Asset
    - Attempt 2 (retry, claude 2.1.0, model opus): passed

    </details>
    ");
    assert!(is_draft(desk.sheet("client").item));
}

#[test]
fn a_question() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |a| {
        a.outcome = Outcome::Question;
        a.commit = None;
        a.files.clear();
        a.checks.clear();
        a.notes.clear();
    });
    let item = state.item_mut("types").unwrap();
    item.branch = None;
    item.phase = Phase::Blocked {
        reason: "the agent asks".to_owned(),
        attempted: Vec::new(),
        question: Some("Which region?\n\n- eu (see #12)\n- us, ask @bob\n\n# Now".to_owned()),
    };
    let desk = Desk::new(state);
    let sheet = desk.sheet("types");
    insta::assert_snapshot!(terse(above(&body(&sheet))), @r"
    <!-- pertask:begin wiz/1-types -->
    **Task 1 of 4** of Wiz integration, in run `wiz`. **Waits for an answer** to the agent's question.

    > [!IMPORTANT]
    > **The agent asks** (its own words):
    >
    > Which region?
    >
    > \- eu (see `#12`)
    > \- us, ask `@bob`
    >
    > \# Now

    Go types for every answer of the vendor's API.

    ### How to answer

    Write a comment that begins with one of these; `revise` answers the question:

    ```text
    /pertask revise YOUR ANSWER
    /pertask retry
    /pertask retry --fresh
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz types` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: claude 2.1.0, model opus; it calls itself integration-developer
    - Time and cost: 15 minutes, $0.40
    - Prompt: sha256 `5555555555555555555555555555555555555555555555555555555555555555`
    - Everything recorded: `git pertask show wiz types`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: API types (wiz_types.go)
    - Status: Needs clarification
    - Started: 2026-01-14T15:30:00Z
    - Completed: 2026-01-14T15:45:00Z
    - Duration: 15 minutes
    - Lines: none, the file was not written
    - Build: NONE
    - Agent: integration-developer, claude 2.1.0, model opus (task-1)
    - Skills invoked: developing-with-tdd

    ##### Files Created
    - None

    ##### API Methods Implemented
    - `newClient(apiKey string) *client`
    - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

    ##### Review Notes
    - None

    </details>
    ");
    insta::assert_snapshot!(terse(&progress(&sheet)), @r"
    <!-- pertask:progress wiz/1-types -->
    **Waits for an answer** to the agent's question.

    Answer with a comment that begins with `/pertask revise`.

    | Attempt | Why | By | Outcome | Commit | Time | Cost |
    |---|---|---|---|---|---|---|
    | 1 | first | claude 2.1.0, model opus | asked |  | 15m00s | $0.40 |
    ");
}

#[test]
fn blocked() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |a| a.outcome = Outcome::Blocked);
    state.item_mut("types").unwrap().phase = Phase::Blocked {
        reason: "No key.".to_owned(),
        attempted: vec!["the environment".to_owned(), "the vault".to_owned()],
        question: None,
    };
    let said = body(&Desk::new(state).sheet("types"));
    let alert = said.split("\n\n").find(|p| p.starts_with("> [!")).unwrap();
    insta::assert_snapshot!(alert, @r"
    > [!WARNING]
    > **The agent cannot go on.** It says:
    >
    > No key.
    >
    > What it says it tried:
    >
    > - the environment
    > - the vault
    ");
}

#[test]
fn a_second_round() {
    let mut state = sample::midway();
    let item = state.item_mut("types").unwrap();
    item.rounds.push(Round {
        number: 1,
        branch: Some(Branch {
            name: "pertask/wiz/1-types".to_owned(),
            head: oid('c'),
        }),
        merged: item.merged.take(),
        reopened: "the build of client fails in it".to_owned(),
        errors: String::new(),
        pull: None,
    });
    item.round = 2;
    sample::finish(&mut state, "types", |a| a.kind = OrderKind::Reopened);
    let mut desk = Desk::new(state);
    desk.plan.tasks[0].success.clear();
    let mut sheet = desk.sheet("types");
    sheet.author_may_approve = true;
    sheet.approvals = 2;
    let said = body(&sheet);
    assert_eq!(
        title(&desk.state, sheet.item),
        "[wiz 1/4] API types, round 2"
    );
    insta::assert_snapshot!(terse(above(&said)), @r"
    <!-- pertask:begin wiz/1-types-r2 -->
    **Task 1 of 4** of Wiz integration, round 2, in run `wiz`. **Waits for a review** of [`cccccccccc`](…/commit/c…c).

    Go types for every answer of the vendor's API.

    Round 1 ([#7](…/pull/7)) was merged and is open again: the build of client fails in it

    ### Files

    | File | Change | Lines |
    |---|---|---|
    | [`pkg/wiz/wiz_types.go`](…/blob/c…c/pkg/wiz/wiz_types.go) | added | 185 |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | the file is there |
    | `go build ./...` | holds | succeeds |

    ### The agent's words

    Not verified.

    - All errors wrapped with context

    ### How to decide

    - **Approve** in a review of this pull request: exactly what you saw is merged into `pertask/wiz/main`, and what waits for it starts. It takes 2 approvals.
    - **Request changes** in a review: a fresh agent revises it with your words and the unresolved threads before it, and you are asked again.
    - Push a commit of your own to this branch, or apply a suggestion: it is checked, and needs an approval like any other.
    - Or write a comment that begins with one of these:

    ```text
    /pertask approve cccccccccccccccccccccccccccccccccccccccc
    /pertask revise WHAT TO CHANGE
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may too, by comment, as `author_may_approve` says. In a clone, `git pertask show wiz types` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: claude 2.1.0, model opus; it calls itself integration-developer
    - Time and cost: 15 minutes, $0.40 (2 attempts: 30 minutes, $0.80)
    - Prompt: sha256 `5555555555555555555555555555555555555555555555555555555555555555`
    - Everything recorded: `git pertask show wiz types`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: API types (wiz_types.go)
    - Status: Complete
    - Started: 2026-01-14T15:46:40Z
    - Completed: 2026-01-14T16:01:40Z
    - Duration: 15 minutes
    - Lines: 185
    - Build: SUCCESS
    - Agent: integration-developer, claude 2.1.0, model opus (task-1)
    - Skills invoked: developing-with-tdd

    ##### Files Created
    - pkg/wiz/wiz_types.go

    ##### API Methods Implemented
    - `newClient(apiKey string) *client`
    - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

    ##### Review Notes
    - Agent's words: All errors wrapped with context
    - Review by Ada Lovelace, 2026-01-14T15:45:50Z: approved cccccccccc

    ##### Earlier attempts
    - Attempt 1 (first, claude 2.1.0, model opus): passed

    </details>
    ");
}
