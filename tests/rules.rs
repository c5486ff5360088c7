//! The shipped rules against handlers written for them, right and wrong in every way a rule names.
//!
//! A fixture holds packages (`-- directory/file.go --`). A line that ends in `// want` must have
//! exactly one finding of the fixture's rule, `// want-1` the line before; every other line none.

use std::collections::BTreeSet;
use std::path::Path;

use git_pertask::rules::{self, Context, SourceFile};

/// The files of a fixture with their paths.
fn fixture(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/rules")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("-- ").and_then(|l| l.strip_suffix(" --")) {
            files.push((path.to_owned(), String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

fn expected(files: &[(String, String)]) -> BTreeSet<(String, u32)> {
    let mut places = BTreeSet::new();
    for (path, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            if line.ends_with("// want") {
                places.insert((path.clone(), number));
            } else if line.ends_with("// want-1") {
                places.insert((path.clone(), number - 1));
            }
        }
    }
    places
}

fn judged(files: &[(String, String)], context: &Context, rule: &str) -> Vec<rules::Finding> {
    let sources: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(path, text)| SourceFile { path, text })
        .collect();
    rules::check(&sources, &|_, id| id == rule, context, &[])
}

fn holds(name: &str, rule: &str, context: &Context) {
    let files = fixture(name);
    let cases: BTreeSet<&str> = files
        .iter()
        .filter_map(|(path, _)| Some(path.split_once('/')?.0))
        .collect();
    assert!(cases.len() >= 2);
    let findings = judged(&files, context, rule);
    let mut problems = Vec::new();
    let wanted = expected(&files);
    assert!(!wanted.is_empty());
    let found: BTreeSet<(String, u32)> =
        findings.iter().map(|f| (f.file.clone(), f.line)).collect();
    for (file, line) in wanted.difference(&found) {
        problems.push(format!("missed: {file}:{line}"));
    }
    for finding in &findings {
        if !wanted.contains(&(finding.file.clone(), finding.line)) {
            problems.push(format!(
                "false alarm: {}:{}:{}: {}",
                finding.file, finding.line, finding.column, finding.message
            ));
        }
        assert_eq!(finding.rule, rule);
        assert!(finding.column >= 1 && !finding.message.is_empty() && !finding.hint.is_empty());
    }
    if findings.len() != found.len() {
        problems.push("more than one finding on a line".to_owned());
    }
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

#[test]
fn vmfilter() {
    holds("vmfilter.txtar", "vmfilter", &Context::default());
}

#[test]
fn check_affiliation() {
    holds(
        "check-affiliation.txtar",
        "check-affiliation",
        &Context::default(),
    );
}

#[test]
fn validate_credentials() {
    holds(
        "validate-credentials.txtar",
        "validate-credentials",
        &Context::default(),
    );
}

#[test]
fn errgroup() {
    holds("errgroup.txtar", "errgroup", &Context::default());
}

#[test]
fn errgroup_before_loop_variables_were_per_turn() {
    let old = Context {
        go_version: Some((1, 21)),
        ..Context::default()
    };
    holds("errgroup-before-1.22.txtar", "errgroup", &old);
    // The same code is right for a newer Go, and for an unknown one.
    let files = fixture("errgroup-before-1.22.txtar");
    for go_version in [Some((1, 22)), Some((2, 0)), None] {
        let context = Context {
            go_version,
            ..Context::default()
        };
        assert_eq!(judged(&files, &context, "errgroup"), []);
    }
}

#[test]
fn pagination() {
    holds("pagination.txtar", "pagination", &Context::default());
}

#[test]
fn error_handling() {
    holds(
        "error-handling.txtar",
        "error-handling",
        &Context::default(),
    );
}
