//! Agents that ask, or cannot go on.

use super::hub::{Hub, REPO};
use super::support::TWO;
use super::{OPEN, feedback, page, prompt};

/// Asks until it is told `tabs`.
const ASKING: &str = r#"
root=$(dirname "$0")
cat > "$root/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
if ! grep -q 'tabs, please' "$root/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"; then
    printf '{"status":"needs_clarification","question":"Tabs or spaces? @olive"}' > "$PERTASK_HANDOFF_FILE"
    exit 0
fi
echo tabs > "$PERTASK_TASK.txt"
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

#[test]
fn a_question_is_answered_by_comment() {
    let hub = Hub::configured(TWO, ASKING, OPEN);
    hub.run(&["start", "wiz"]).code(1);
    assert_eq!(hub.states(), ["blocked", "pending"]);
    let pull = hub.github.pull(REPO, 1);
    assert!(pull.draft);
    insta::assert_snapshot!(page(&hub, &format!("{}\n\n{}", pull.title, pull.body.unwrap())), @r#"
    [wiz 1/2] First file

    <!-- pertask:begin wiz/1-one -->
    **Task 1 of 2** of Two files, in run `wiz`. **Waits for an answer** to the agent's question.

    > [!IMPORTANT]
    > **The agent asks** (its own words):
    >
    > Tabs or spaces? `@olive`

    The first of two

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

    Whoever may write to this repository decides. The author of this pull request may not. In a clone, `git pertask show wiz one` shows everything, and the same commands are there.

    ### Where it comes from

    - Agent: mine
    - Time and cost: [T]
    - Prompt: sha256 `[SHA256]`
    - Everything recorded: `git pertask show wiz one`, from `refs/pertask/runs/wiz`

    <details><summary>Log entry</summary>

    #### Task 1: First file (one.txt)
    - Status: Needs clarification
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: none, the file was not written
    - Build: NONE
    - Agent: mine (task-1)
    - Skills invoked: none named
    - Reason: Tabs or spaces? `@olive`

    ##### Files Created
    - None

    ##### API Methods Implemented
    - None

    ##### Review Notes
    - None

    </details>

    <!-- pertask:tasks -->
    ### All tasks

    1 blocked, 1 pending.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1 | First file | blocked | this one |
    | 2 | Second file | pending |  |

    ```mermaid
    graph TD
      t1["1 one: blocked"]:::blocked
      t2["2 two: pending"]:::pending
      t1 --> t2
      classDef pending fill:#eaeef2,color:#24292f
      classDef blocked fill:#bc4c00,color:#ffffff
    ```
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    "#);
    hub.github
        .person("olive")
        .comment(REPO, 1, "/pertask revise tabs, please")
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    assert!(feedback(&hub, "one", 2).contains("tabs, please"));
    assert!(prompt(&hub, "one", 2).contains("Tabs or spaces?"));
    assert!(!hub.github.pull(REPO, 1).draft);
    // An answer is no request for changes.
    hub.github.person("mallory").approve(REPO, 1, "").unwrap();
    hub.run(&["continue"]).code(1);
    assert_eq!(hub.states(), ["merged", "blocked"]);
}

#[test]
fn a_question_is_answered_by_a_review() {
    let hub = Hub::configured(TWO, ASKING, OPEN);
    hub.run(&["start", "wiz"]).code(1);
    hub.github
        .person("olive")
        .request_changes(REPO, 1, "tabs, please", &[])
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"]);
    assert!(feedback(&hub, "one", 2).contains("tabs, please"));
    assert_eq!(
        hub.github.requested(REPO, 1),
        ["olive"],
        "who answered may want to see it"
    );
    hub.github.person("mallory").approve(REPO, 1, "").unwrap();
    hub.run(&["continue"]).code(1);
    assert_eq!(hub.states(), ["merged", "blocked"]);
}

#[test]
fn a_blocked_task_says_why() {
    let hub = Hub::configured(
        TWO,
        r#"cat > /dev/null
printf '{"status":"blocked","blocked_reason":"No key for <b>the service</b>","attempted":["asked the vault"]}' > "$PERTASK_HANDOFF_FILE""#,
        OPEN,
    );
    let out = hub.run(&["start", "wiz"]);
    assert_eq!(hub.states(), ["blocked", "pending"], "{}", out.text());
    let pull = hub.github.pull(REPO, 1);
    assert!(pull.draft);
    let body = page(&hub, &pull.body.unwrap());
    let (head, _) = body.split_once("### How").unwrap();
    insta::assert_snapshot!(head, @r"
    <!-- pertask:begin wiz/1-one -->
    **Task 1 of 2** of Two files, in run `wiz`. **Blocked**, and needs a person.

    > [!WARNING]
    > **The agent cannot go on.** It says:
    >
    > No key for \<b\>the service\</b\>
    >
    > What it says it tried:
    >
    > - asked the vault

    The first of two
    ");
}
