//! What belongs to more than one task: a batch, the progress, the final pull request.

use super::*;

#[test]
fn a_batch() {
    let mut state = sample::batch();
    sample::finish(&mut state, "batch", |_| {});
    assert_eq!(state.mode, Mode::Batch);
    let desk = Desk::new(state);
    let said = body(&desk.sheet("batch"));
    let (head, rest) = said.split_once("### The agent's words").unwrap();
    insta::assert_snapshot!(terse(head), @r"
    <!-- pertask:begin wiz/batch -->
    **All 4 tasks**, in run `wiz`. **Waits for a review** of [`cccccccccc`](…/commit/c…c).

    wiz integration

    ### Files

    | File | Change | Lines | At most |
    |---|---|---|---|
    | [`pkg/wiz/wiz.go`](…/blob/c…c/pkg/wiz/wiz.go) | added | 185 |  |
    | [`pkg/wiz/wiz_client.go`](…/blob/c…c/pkg/wiz/wiz_client.go) | added | 185 | 199 |
    | [`pkg/wiz/wiz_transform.go`](…/blob/c…c/pkg/wiz/wiz_transform.go) | added | 185 |  |
    | [`pkg/wiz/wiz_types.go`](…/blob/c…c/pkg/wiz/wiz_types.go) | added | 185 |  |

    ### Checks

    | Check | Result | Found |
    |---|---|---|
    | `files` | holds | the file is there |
    | `go build ./...` | holds | succeeds |

    ### Success criteria

    Yours to judge; no check ticks them.

    - ☐ types: Every API response in architecture.md has a struct
    - ☐ types: Every answer documented above has its struct
    - ☐ client: Uses the types of wiz_types.go
    - ☐ client: Every API method in architecture.md is there
    - ☐ transform: Matches the Tabularium mapping in architecture.md
    - ☐ transform: Uses the types of wiz_types.go
    - ☐ handler: Uses the client of wiz_client.go
    - ☐ handler: Uses the transformations of wiz_transform.go
    ");
    let (_, block) = rest.split_once("<!-- pertask:tasks -->").unwrap();
    insta::assert_snapshot!(terse(block), @r"
    ### All tasks

    1 in review.

    | | Task | State | Pull request |
    |---|---|---|---|
    | 1-4 | Wiz integration | in review | this one |
    <!-- pertask:tasks-end -->
    <!-- pertask:end -->
    ");
}

#[test]
fn progress_of_a_task_in_review() {
    let desk = Desk::new(sample::midway());
    insta::assert_snapshot!(terse(&progress(&desk.sheet("client"))), @r"
    <!-- pertask:progress wiz/2-client -->
    **Waits for a review** of [`cccccccccc`](…/commit/c…c).

    Approve or request changes in a review, or comment `/pertask approve cccccccccccccccccccccccccccccccccccccccc`.

    | Attempt | Why | By | Outcome | Commit | Time | Cost |
    |---|---|---|---|---|---|---|
    | 1 | first | claude 2.1.0, model opus | failed: go build ./... fails: undefined: Asset | [`cccccccccc`](…/commit/c…c) | 15m00s | $0.40 |
    | 2 | retry | claude 2.1.0, model opus | passed | [`cccccccccc`](…/commit/c…c) | 15m00s | $0.82 |
    ");
}

#[test]
fn the_final_pull_request() {
    let mut state = sample::midway();
    sample::merge(&mut state, "client");
    sample::finish(&mut state, "transform", |a| a.cost_usd = None);
    let item = state.item_mut("transform").unwrap();
    item.phase = Phase::Merged;
    item.merged = Some(Merged {
        commit: oid('f'),
        head: oid('c'),
        at: sample::at(3000),
        because: "policy: checkpoint high-risk".to_owned(),
        by_hand: false,
    });
    state.item_mut("handler").unwrap().phase = Phase::Skipped {
        why: "comes later, see #4".to_owned(),
        by: sample::ada(),
    };
    state.gate = vec![
        GateItem {
            item: "All files created".to_owned(),
            holds: true,
            detail: "4 of 4".to_owned(),
        },
        GateItem {
            item: "Handler registered".to_owned(),
            holds: true,
            detail: "left out by Ada | see above".to_owned(),
        },
    ];
    let mut desk = Desk::new(state);
    let parameters = [("package", "wiz"), ("service", "W`z](x)\n## no")];
    desk.plan.parameters = BTreeMap::from(parameters.map(|(k, v)| (k.to_owned(), v.to_owned())));
    insta::assert_snapshot!(terse(above(&desk.last())), @r"
    <!-- pertask:begin wiz/main -->
    **Wiz integration**: the result of run `wiz`, started 2026-01-14T15:29:00Z by Ada Lovelace from `main` at [`aaaaaaaaaa`](…/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa). All attempts together took 1 hour and $1.62.

    Parameters of the plan: `package` = `wiz`, `service` = ``W`z](x) ## no``.

    ### Gate

    | Item | Holds | Found |
    |---|---|---|
    | All files created | yes | 4 of 4 |
    | Handler registered | yes | left out by Ada \| see above |

    ### What was done

    | | Task | What it is for | Lines | Attempts | Time | Cost | In |
    |---|---|---|---|---|---|---|---|
    | 1 | API types | Go types for every answer of the vendor's API. | 120 | 1 | 15m00s | $0.40 | [`eeeeeeeeee`](…/commit/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee) [#7](…/pull/7) |
    | 2 | HTTP client | HTTP client with authentication, the rate limit and the four API methods. | 185 | 2 | 30m00s | $1.22 | [`eeeeeeeeee`](…/commit/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee) [#8](…/pull/8) |
    | 3 | Transformations | Turns the vendor's answers into assets and risks of the platform. | 185 | 1 | 15m00s |  | [`ffffffffff`](…/commit/ffffffffffffffffffffffffffffffffffffffff) |
    | 4 | Primary handler | The capability: matches jobs, validates credentials, enumerates, filters and sends. |  | 0 | 0s |  | left out |

    ### Exceptions

    - Transformations was merged without a review: policy: checkpoint high-risk
    - Primary handler was left out by Ada Lovelace: comes later, see `#4`

    ### P0 validation

    COMPLIANT.

    ### How to decide

    - **Merge** this pull request as you merge any other: everything on `pertask/wiz/main` comes into `main`, and the run records it.
    - **Request changes** in a review, or comment `/pertask revise` with what to change: a repair task puts it right on the run branch, in a pull request of its own.
    - `/pertask abort` ends the run; every branch stays.

    Prompts, attempts, outputs and reviews: `git pertask show wiz`, or `git pertask log wiz` offline.
    ");
}
