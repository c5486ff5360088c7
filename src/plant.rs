//! Faults that are planted in the product on purpose, to see whether the tests of its promises would
//! notice. `PERTASK_TEST_PLANT` names one; builds without debug assertions have none of this.
//!
//! A campaign that does not notice a planted fault says nothing about a real one of its kind
//! (docs/reliability.md).

/// Each fault's name and what it breaks.
pub const ALL: &[(&str, &str)] = &[
    ("no-budget", "limits of tasks and runs stop nothing"),
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
