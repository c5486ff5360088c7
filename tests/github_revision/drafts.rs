//! Tasks that failed: drafts, and how they become ready.

use super::github::Remark;
use super::hub::{Hub, REPO};
use super::{OPEN, feedback, own_comments, page, prompt, replies};

/// An agent that writes a half until there is a file `go` beside it.
const FAILING: &str = r#"
root=$(dirname "$0")
cat > "$root/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
echo "half, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
if [ -e "$root/go" ]; then echo "whole" > "$PERTASK_TASK.txt"; fi
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

/// A plan whose build fails while a file says `half`.
const WHOLE: &str = r#"title = "Two files"
build = [["sh", "-c", "if grep -n half *.txt; then echo 'one.txt:1:1: only half'; exit 1; fi"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"
risk = "high"
success = ["It says the whole", "Nobody is called"]

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
depends_on = ["one"]
"#;

fn failed() -> Hub {
    let hub = Hub::configured(
        WHOLE,
        FAILING,
        &format!("{OPEN}\nlimits = {{ attempts = 2 }}"),
    );
    hub.run(&["start", "wiz"]).code(1);
    assert_eq!(hub.states(), ["failed", "pending"]);
    hub
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "whole pages, as they stand on GitHub"
)]
fn a_failed_task_is_a_draft_and_becomes_ready_after_retry() {
    let hub = failed();
    let pull = hub.github.pull(REPO, 1);
    assert!(pull.draft);
    insta::assert_snapshot!(page(&hub, &format!("{}\n\n{}", pull.title, pull.body.unwrap())), @r#"
    [wiz 1/2] First file

    <!-- pertask:begin wiz/1-one -->
    **Task 1 of 2** of Two files, in run `wiz`. **Failed**, and needs a person.

    > [!CAUTION]
    > **What did not hold:**
    >
    > - sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1

    The first of two

    ### Files

    | File | Change | Lines |
    |---|---|---|
    | [`one.txt`]([GITHUB]/acme/widgets/blob/[OID]/one.txt) | added | 1 |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | one.txt |
    | `scope` | holds | 1 file changed, all within the task |
    | `line limit` | holds | one.txt has 1 line |
    | `sh -c 'if grep -n half *.txt; then echo '\''one.txt:1:1: only half'\''; exit 1; fi'` | **fails** | ended with exit status 1 |

    <details><summary>Output of <code>sh -c 'if grep -n half *.txt; then echo '\''one.txt:1:1: only half'\''; exit 1; fi'</code></summary>

    ```text
    1:half, attempt 2
    one.txt:1:1: only half
    ```

    </details>

    ### Kept work

    What attempt 2 left is kept on [`pertask/wiz/kept/1-one-2`]([GITHUB]/acme/widgets/tree/pertask/wiz/kept/1-one-2) at [`[ID]`]([GITHUB]/acme/widgets/commit/[OID]) ([comparison]([GITHUB]/acme/widgets/compare/pertask/wiz/main...pertask/wiz/kept/1-one-2) with the run branch). Nothing of it is merged.

    <details><summary>What it changes</summary>

    ```diff
    diff --git a/one.txt b/one.txt
    new file mode 100644
    index 0000000..e2dc5b0
    --- /dev/null
    +++ b/one.txt
    @@ -0,0 +1 @@
    +half, attempt 2
    ```

    </details>

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

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz one` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: mine
    - Time and cost: [T] (2 attempts: [T])
    - Prompt: sha256 `[SHA256]`
    - Everything recorded: `git pertask show wiz one`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: First file (one.txt)
    - Status: Failed
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: FAILURE
    - Agent: mine (task-1)
    - Skills invoked: none named
    - Reason: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1

    ##### Files Created
    - one.txt

    ##### API Methods Implemented
    - None

    ##### Review Notes
    - None

    ##### Earlier attempts
    - Attempt 1 (first, mine): failed: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1

    </details>

    <!-- pertask:tasks -->
    ### All tasks

    1 failed, 1 pending.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1 | First file | failed | this one |
    | 2 | Second file | pending |  |

    ```mermaid
    graph TD
      t1["1 one: failed"]:::failed
      t2["2 two: pending"]:::pending
      t1 --> t2
      classDef pending fill:#eaeef2,color:#24292f
      classDef failed fill:#cf222e,color:#ffffff
    ```
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    "#);
    insta::assert_snapshot!(page(&hub, &own_comments(&hub, 1).join("\n=====\n")), @r"
    <!-- pertask:progress wiz/1-one -->
    **Failed**, and needs a person.

    Comment `/pertask retry`, `/pertask revise` with what to do, or `/pertask skip` with why.

    | Attempt | Why | By | Outcome | Commit | Time | Cost |
    |---|---|---|---|---|---|---|
    | 1 | first | mine | failed: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1 | [`[ID]`]([GITHUB]/acme/widgets/commit/[OID]) | [T] |  |
    | 2 | retry | mine | failed: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1 | [`[ID]`]([GITHUB]/acme/widgets/commit/[OID]) | [T] |  |
    ");
    let statuses: Vec<String> = hub
        .github
        .statuses(REPO, &pull.head_sha)
        .iter()
        .map(|s| {
            format!(
                "{} {}: {}",
                s.context,
                s.state,
                s.description.as_deref().unwrap_or("")
            )
        })
        .collect();
    insta::assert_snapshot!(statuses.join("\n"), @r"
    pertask/build failure: sh -c 'if grep -n half *.txt; then echo '\''one.txt:1:1: only half'\''; exit 1; fi': ended with exit status 1
    pertask/rules failure: not run: attempt 2 failed before
    ");
    hub.github.clear_log();
    hub.run(&["continue"]).code(1);
    assert_eq!(hub.github.count().changing, 0, "{:#?}", hub.github.log());

    hub.sandbox.write("../go", "");
    hub.github
        .person("olive")
        .comment(REPO, 1, "/pertask retry")
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    assert_eq!(hub.github.pulls(REPO).len(), 1);
    let now = hub.github.pull(REPO, 1);
    assert!(!now.draft);
    assert_eq!(
        hub.github
            .git(REPO, ["rev-parse", &format!("{}^1", now.head_sha)])
            .trim(),
        pull.head_sha
    );
    assert!(
        hub.github
            .comments(REPO, 1)
            .iter()
            .any(|(_, c)| !c.reactions.is_empty())
    );
    insta::assert_snapshot!(page(&hub, &now.body.unwrap()), @r#"
    <!-- pertask:begin wiz/1-one -->
    **Task 1 of 2** of Two files, in run `wiz`. **Waits for a review** of [`[ID]`]([GITHUB]/acme/widgets/commit/[OID]).

    The first of two

    ### Files

    | File | Change | Lines |
    |---|---|---|
    | [`one.txt`]([GITHUB]/acme/widgets/blob/[OID]/one.txt) | added | 1 |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | one.txt |
    | `scope` | holds | 1 file changed, all within the task |
    | `line limit` | holds | one.txt has 1 line |
    | `sh -c 'if grep -n half *.txt; then echo '\''one.txt:1:1: only half'\''; exit 1; fi'` | holds | succeeded |

    ### Success criteria

    Yours to judge; no check ticks them.

    - ☐ It says the whole
    - ☐ Nobody is called

    ### How to decide

    **Continue to task 2 (Second file)?**

    - **Approve** in a review of this pull request: exactly what you saw is merged into `pertask/wiz/main`, and what waits for it starts.
    - **Request changes** in a review: a fresh agent revises it with your words and the unresolved threads before it, and you are asked again.
    - Push a commit of your own to this branch, or apply a suggestion: it is checked, and needs an approval like any other.
    - Or write a comment that begins with one of these:

    ```text
    /pertask approve [OID]
    /pertask revise WHAT TO CHANGE
    /pertask skip WHY
    /pertask abort
    /pertask status
    ```

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz one` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: mine
    - Time and cost: [T] (3 attempts: [T])
    - Prompt: sha256 `[SHA256]`
    - Everything recorded: `git pertask show wiz one`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: First file (one.txt)
    - Status: Complete
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: SUCCESS
    - Agent: mine (task-1)
    - Skills invoked: none named

    ##### Files Created
    - one.txt

    ##### API Methods Implemented
    - None

    ##### Review Notes
    - None

    ##### Earlier attempts
    - Attempt 1 (first, mine): failed: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1
    - Attempt 2 (retry, mine): failed: sh -c 'if grep -n half \*.txt; then echo '\\''one.txt:1:1: only half'\\''; exit 1; fi': ended with exit status 1

    </details>

    <!-- pertask:tasks -->
    ### All tasks

    1 in review, 1 pending.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1 | First file | in review | this one |
    | 2 | Second file | pending |  |

    ```mermaid
    graph TD
      t1["1 one: in review"]:::review
      t2["2 two: pending"]:::pending
      t1 --> t2
      classDef pending fill:#eaeef2,color:#24292f
      classDef review fill:#d4a72c,color:#24292f
    ```
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    "#);
    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
    assert_eq!(
        hub.github
            .file(REPO, "pertask/wiz/main", "one.txt")
            .unwrap(),
        "whole\n"
    );
}

#[test]
fn a_draft_is_revised_by_comment() {
    let hub = failed();
    hub.sandbox.write("../go", "");
    hub.github
        .person("olive")
        .comment(REPO, 1, "/pertask revise Say the whole,\nnot half")
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    let said = feedback(&hub, "one", 3);
    assert!(
        said.contains("olive:") && said.contains("Say the whole,\nnot half"),
        "{said}"
    );
    assert!(prompt(&hub, "one", 3).contains("only half"));
    assert!(!hub.github.pull(REPO, 1).draft);
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.github.count().changing, 0);
}

#[test]
fn a_draft_is_revised_by_a_review() {
    let hub = failed();
    hub.sandbox.write("../go", "");
    hub.github
        .person("olive")
        .request_changes(REPO, 1, "Say the whole", &[])
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    assert!(feedback(&hub, "one", 3).contains("Say the whole"));
    assert!(!hub.github.pull(REPO, 1).draft);
    assert_eq!(hub.github.requested(REPO, 1), ["olive"]);
}

#[test]
fn a_draft_is_mended_by_a_person() {
    let hub = failed();
    let pull = hub.github.pull(REPO, 1);
    hub.github
        .person("olive")
        .push(
            REPO,
            &pull.head_ref,
            &[("one.txt", "whole, by olive\n")],
            "Write it",
        )
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    let now = hub.github.pull(REPO, 1);
    assert!(!now.draft);
    hub.github.person("mallory").approve(REPO, 1, "").unwrap();
    hub.run(&["continue"]).code(1);
    assert_eq!(hub.states(), ["merged", "failed"]);
    assert_eq!(
        hub.github
            .file(REPO, "pertask/wiz/main", "one.txt")
            .unwrap(),
        "whole, by olive\n"
    );
}

#[test]
fn a_revision_that_fails_makes_a_draft_of_the_page_and_answers_later() {
    let hub = Hub::configured(
        WHOLE,
        FAILING,
        &format!("{OPEN}\nlimits = {{ attempts = 1 }}"),
    );
    hub.sandbox.write("../go", "");
    hub.run(&["start", "wiz"]).code(0);
    let first = hub.github.pull(REPO, 1);
    assert!(!first.draft);
    std::fs::remove_file(hub.sandbox.root().join("go")).unwrap();
    let olive = hub.github.person("olive");
    olive
        .request_changes(
            REPO,
            1,
            "Say more",
            &[Remark::line("one.txt", 1, "More of this")],
        )
        .unwrap();
    hub.run(&["continue"]).code(1);
    assert_eq!(hub.states(), ["failed", "pending"]);
    let pull = hub.github.pull(REPO, 1);
    assert!(pull.draft);
    assert_eq!(
        pull.head_sha, first.head_sha,
        "the branch has only what passed"
    );
    assert_eq!(replies(&hub, 1)[0].1.len(), 0);
    let body = page(&hub, &pull.body.unwrap());
    assert!(
        body.contains("What attempt 2 left is kept on [`pertask/wiz/kept/1-one-2`]"),
        "{body}"
    );

    hub.sandbox
        .script(&FAILING.replace("half, attempt", "more, attempt"));
    olive.comment(REPO, 1, "/pertask retry").unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    let pull = hub.github.pull(REPO, 1);
    assert!(!pull.draft);
    assert_eq!(
        hub.github
            .git(REPO, ["rev-parse", &format!("{}^@", pull.head_sha)])
            .trim(),
        first.head_sha
    );
    assert!(
        feedback(&hub, "one", 3).contains("More of this"),
        "the retry knows what was asked for"
    );
    assert_eq!(replies(&hub, 1)[0].1.len(), 1);
    assert_eq!(hub.github.requested(REPO, 1), ["olive"]);
    hub.github.clear_log();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.github.count().changing, 0, "{:#?}", hub.github.log());
}
