//! Faults that are planted in the product on purpose, to see whether the tests of its promises would
//! notice. `PERTASK_TEST_PLANT` names one; builds without debug assertions have none of this.
//!
//! A campaign that does not notice a planted fault says nothing about a real one of its kind
//! (docs/reliability.md).

/// Each fault's name and what it breaks.
pub const ALL: &[(&str, &str)] = &[
    ("no-budget", "limits of tasks and runs stop nothing"),
    (
        "nothing-is-set-aside",
        "attempts side by side may each cost all that is left to the run",
    ),
    (
        "missing-cost-is-nothing",
        "a cost that does not come is no stop",
    ),
    (
        "limited-agent-is-asked",
        "an agent at its usage limit is asked again at once",
    ),
    (
        "limited-attempt-counts",
        "an attempt that met a usage limit counts as one",
    ),
    (
        "planted-filters-pass",
        "filters that appear while an agent works are no stop",
    ),
    // rules
    (
        "stale-approval-counts",
        "an approval of an earlier commit counts for the head",
    ),
    (
        "moved-approval-counts",
        "the commit that GitHub names for a review is believed, whenever it was given",
    ),
    (
        "author-decides",
        "who opened the pull request decides about it",
    ),
    ("bot-decides", "what bots say counts"),
    (
        "stranger-decides",
        "what people say who may not write counts",
    ),
    (
        "altered-comment-counts",
        "a comment that somebody else has changed counts",
    ),
    (
        "dismissed-approval-counts",
        "a dismissed review counts as an approval",
    ),
    (
        "requests-are-ignored",
        "a request for changes that stands is no obstacle",
    ),
    (
        "approval-wins-a-tie",
        "of a review and a comment of the same second the approval is the last word",
    ),
    (
        "approval-stays",
        "an approval that goes away before the merge is not taken back",
    ),
    (
        "approval-carries-over-anything",
        "an approval carries over to a merge that changes the task's own difference",
    ),
    (
        "failed-commit-keeps-approval",
        "an approval carries over to a person's commit whose checks fail",
    ),
    (
        "merged-wherever-it-goes",
        "a pull request that goes to another branch is merged all the same",
    ),
    (
        "merged-without-the-rest",
        "a branch that lacks what was merged meanwhile is merged",
    ),
    (
        "merge-names-no-commit",
        "a merge does not name the commit that was approved",
    ),
    ("heard-again", "what was acted on is acted on once more"),
    (
        "dependent-begins-early",
        "a task begins before what it needs is merged",
    ),
    (
        "dependent-is-merged-early",
        "a task is merged before what it needs is",
    ),
    (
        "living-claim-is-freed",
        "a claim is freed whose holder is at work",
    ),
    ("dead-claim-is-kept", "a claim is kept whose holder is gone"),
    (
        "claim-is-not-compared",
        "a result is taken under whichever claim it was made",
    ),
    (
        "attempts-without-end",
        "failed attempts are followed by more of them without end",
    ),
    (
        "policy-asks-nobody",
        "a policy merges what an agent or a person wants looked at",
    ),
    (
        "base-is-not-built",
        "agents begin on a base that was not built",
    ),
    (
        "gate-is-not-asked",
        "a run is complete although the final checklist does not hold",
    ),
    // races
    (
        "no-compare-and-swap",
        "refs move from wherever they are, not from what was seen",
    ),
    (
        "push-without-lease",
        "a push moves refs from wherever they are",
    ),
    ("lost-race-is-success", "a push that lost a race has worked"),
    (
        "race-within-is-unreachable",
        "a push that loses within the remote's transaction is taken for a dead line",
    ),
    (
        "run-lock-is-ignored",
        "two processes of one machine work on a run at once",
    ),
    (
        "living-lock-is-taken",
        "a lock that somebody holds is removed",
    ),
    ("dead-lock-stays", "a lock of a process that is gone stays"),
    // kills
    (
        "agents-outlive-us",
        "what a killed process had started runs on",
    ),
    (
        "answer-is-asked-again",
        "an agent's noted answer is not looked for",
    ),
    (
        "no-repair",
        "branches are not put where the ledger has them",
    ),
    (
        "branch-before-ledger",
        "a task branch moves before the ledger says so",
    ),
    (
        "key-stays-in-kept-work",
        "what a killed agent left is not searched for its key",
    ),
    // faults
    (
        "pull-request-unlooked",
        "a pull request is opened without looking for one",
    ),
    (
        "opened-after-a-wait",
        "a pull request is opened by what was seen before a limit was waited for",
    ),
    (
        "change-is-sent-again",
        "a change whose answer was lost is sent again",
    ),
    ("limits-are-ignored", "GitHub's limits are not waited for"),
    (
        "retry-after-is-ignored",
        "a limit's retry-after is not waited for",
    ),
    // hostile agents and input
    ("environment-kept", "agents get the whole environment"),
    ("home-granted", "confined agents may read the person's home"),
    (
        "session-leaders-live",
        "children that left the process group are not found",
    ),
    (
        "orphans-go-free",
        "a command's processes that lose their parent go to the system",
    ),
    ("hooks-run", "git runs hooks when we call it"),
    (
        "fsmonitor-runs",
        "git runs a file-system monitor when we call it",
    ),
    ("outgoing-not-scanned", "keys go out to GitHub"),
    (
        "strangers-heard",
        "words of strangers in threads reach the prompt",
    ),
    (
        "edited-words-heard",
        "words that somebody else changed reach the prompt",
    ),
    (
        "fork-is-heard",
        "an event of a fork's pull request asks for something",
    ),
    (
        "other-repository-is-heard",
        "an event of another repository asks for something",
    ),
    (
        "any-file-accepted",
        "a result of another job may bring any file",
    ),
    (
        "path-outside-accepted",
        "git takes a tree with paths that lead out of it",
    ),
    (
        "replaced-base-accepted",
        "a result may stand on another commit than its order",
    ),
    (
        "ledger-is-examined-once",
        "a ledger that changes while a job works is believed",
    ),
    (
        "checks-see-what-checks-wrote",
        "a check runs on what the one before has made of the tree",
    ),
    (
        "checks-plant-programs",
        "filters and the like that appear while a check runs are no stop",
    ),
    ("workflows-may-change", "agents may change workflow files"),
    (
        "controls-shown",
        "a plan writes to the terminal of who reads what is wrong with it",
    ),
    (
        "merged-by-hand-waits",
        "a task that was merged by hand goes on waiting for others",
    ),
];

/// Whether this fault is planted.
#[must_use]
#[cfg(debug_assertions)]
pub fn is(name: &str) -> bool {
    use std::sync::LazyLock;
    static PLANTED: LazyLock<Option<String>> =
        LazyLock::new(|| std::env::var("PERTASK_TEST_PLANT").ok());
    debug_assert!(ALL.iter().any(|(n, _)| *n == name), "{name} is not listed");
    PLANTED.as_deref() == Some(name)
}

/// Whether this fault is planted.
#[must_use]
#[cfg(not(debug_assertions))]
pub const fn is(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// A fault that no test is named for is not part of the campaign.
    #[test]
    fn each_fault_has_a_test_that_must_notice_it() {
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/plants.txt");
        let list = std::fs::read_to_string(list).unwrap();
        let lines = list.lines().filter(|l| !l.starts_with('#'));
        let named: Vec<&str> = lines.filter_map(|l| Some(l.split_once('\t')?.0)).collect();
        let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, known);
    }
}
