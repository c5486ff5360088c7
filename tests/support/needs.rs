//! What a test needs of the machine, and what happens where it is not there: the test is left out,
//! unless `PERTASK_TEST_REQUIRE` names it (a list with commas: `landlock`, `go`, `mount`), then it fails.
//!
//! The harness shows nothing that a passing test prints, so what was left out is also added, a line
//! each, to the file that `PERTASK_TEST_SKIPPED` names.

use std::io::Write as _;

/// Whether to leave the running test out, for want of `what`, for the reason `why`.
pub fn lacks(what: &str, there: bool, why: &str) -> bool {
    if there {
        return false;
    }
    let required = std::env::var("PERTASK_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !names(&required, what),
        "PERTASK_TEST_REQUIRE names {what}: {why}"
    );
    let thread = std::thread::current();
    let said = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or_default());
    let mut out = std::io::stderr();
    let _ = out.write_all(said.as_bytes());
    if let Some(file) = std::env::var_os("PERTASK_TEST_SKIPPED") {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file);
        file.and_then(|mut file| file.write_all(said.as_bytes()))
            .expect("PERTASK_TEST_SKIPPED can be written");
    }
    true
}

/// Whether a list with commas has this name.
fn names(list: &str, what: &str) -> bool {
    list.split(',').any(|name| name.trim() == what)
}

#[test]
fn a_list_is_read_name_by_name() {
    assert!(names("landlock, go", "go"));
    assert!(!names("landlock,gopher", "go"));
    assert!(!names("", "go"));
}
