//! Where a run may be started, and what a person's repository looks like afterwards.

mod support;

use support::{GOOD, Sandbox, TWO};

#[test]
fn two_tasks_are_approved_one_after_the_other() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "one=merged two=review");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    assert_eq!(
        s.files_at("pertask/wiz/main").lines().collect::<Vec<_>>(),
        [
            ".pertask/config.toml",
            ".pertask/wiz/implementation-log.md",
            ".pertask/wiz/plan.toml",
            "README.md",
            "one.txt",
            "two.txt"
        ]
    );
}
