use super::load_toml;
use crate::plan::mode::{Mode, choose};

fn chosen(head: &str, tasks: &[&str], forced: Option<Mode>) -> String {
    use std::fmt::Write as _;

    let mut text = format!("{head}\n");
    for (index, extra) in tasks.iter().enumerate() {
        writeln!(
            text,
            "[[task]]\nid = 't{index}'\nfile = 'f{index}'\n{extra}"
        )
        .expect("a string");
    }
    let choice = choose(&load_toml(&text).expect("valid").plan, forced);
    format!("{:?}: {}", choice.mode, choice.reason)
}

#[test]
fn the_first_row_that_fits_decides() {
    let (high, complex) = ("risk = 'high'", "complex_data = true");
    let hurry = "time_constrained = true";
    let cases = [
        (
            chosen("", &[""; 3], None),
            "Batch: 1-3 implementation tasks: 3",
        ),
        (
            chosen("", &[""; 4], None),
            "PerTask: 4+ implementation tasks: 4",
        ),
        (
            chosen(hurry, &[""; 4], None),
            "Batch: time-constrained session",
        ),
        (
            chosen("time_constrained = true\nnew_patterns = true", &[""], None),
            "PerTask: learning new patterns",
        ),
        (
            chosen(hurry, &["", complex], None),
            "PerTask: complex data transformations: t1",
        ),
        (
            chosen(hurry, &[high, complex], None),
            "PerTask: high-risk implementation: t0",
        ),
        (
            chosen("", &[high; 5], None),
            "PerTask: high-risk implementation: t0 and 4 more",
        ),
        (
            chosen("", &[high], Some(Mode::Batch)),
            "Batch: asked for with --mode",
        ),
        (
            chosen("", &[""], Some(Mode::PerTask)),
            "PerTask: asked for with --mode",
        ),
    ];
    for (got, wanted) in cases {
        assert_eq!(got, wanted);
    }
}
