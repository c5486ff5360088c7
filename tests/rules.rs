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

const HANDLER: &str =
    "package wiz\n\ntype Wiz struct{}\n\nfunc (w *Wiz) Invoke() error { return nil }\n";

fn places(files: &[(&str, &str)]) -> Vec<(String, String, u32)> {
    let sources: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(path, text)| SourceFile { path, text })
        .collect();
    rules::check(&sources, &|_, _| true, &Context::default(), &[])
        .into_iter()
        .map(|f| (f.file, f.rule, f.line))
        .collect()
}

#[test]
fn packages_are_judged_each_by_itself() {
    let client = "package wiz\n\nimport \"net/http\"\n\n\
        func (w *Wiz) CheckAffiliation(id string) (bool, error) {\n\
        \t_, err := http.Get(id)\n\treturn err == nil, err\n}\n";
    let affiliation = |files: &[(&str, &str)]| -> Vec<String> {
        places(files)
            .into_iter()
            .filter(|(_, rule, _)| rule == "check-affiliation")
            .map(|(file, _, _)| file)
            .collect()
    };
    assert!(affiliation(&[("a/wiz.go", HANDLER), ("a/client.go", client)]).is_empty());
    // The same file in another directory, or in a package of another name, is no help.
    assert_eq!(
        affiliation(&[("a/wiz.go", HANDLER), ("b/client.go", client)]),
        ["a/wiz.go"]
    );
    let other = client.replace("package wiz", "package other");
    assert_eq!(
        affiliation(&[("a/wiz.go", HANDLER), ("a/client.go", &other)]),
        ["a/wiz.go"]
    );
    // Neither is what a test or an excluded file declares; generated code is.
    assert_eq!(
        affiliation(&[("a/wiz.go", HANDLER), ("a/wiz_test.go", client)]),
        ["a/wiz.go"]
    );
    let excluded = format!("//go:build ignore\n\n{client}");
    assert_eq!(
        affiliation(&[("a/wiz.go", HANDLER), ("a/client.go", &excluded)]),
        ["a/wiz.go"]
    );
    let generated = format!("// Code generated by x. DO NOT EDIT.\n\n{client}");
    assert!(affiliation(&[("a/wiz.go", HANDLER), ("a/client.go", &generated)]).is_empty());
}

#[test]
fn tests_generated_and_excluded_files_are_not_judged() {
    assert_eq!(places(&[("a/wiz.go", HANDLER)]).len(), 3);
    assert_eq!(places(&[("a/wiz_test.go", HANDLER)]), []);
    for mark in [
        "// Code generated by x. DO NOT EDIT.",
        "//go:build ignore",
        "// +build ignore",
    ] {
        assert_eq!(
            places(&[("a/wiz.go", &format!("{mark}\n\n{HANDLER}"))]),
            [],
            "{mark}"
        );
    }
    // A mark below the package clause is a comment like any other.
    let below = HANDLER.replace("\n\ntype", "\n\n//go:build ignore\ntype");
    assert_eq!(places(&[("a/wiz.go", &below)]).len(), 3);
}

#[test]
fn file_size_counts_lines() {
    let of = |lines: usize| format!("package a\n{}", "// line\n".repeat(lines - 1));
    let files = [
        ("a/a.go", of(399)),
        ("a/b.go", of(400)),
        ("a/c.go", of(1200)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (*p, t.as_str())).collect();
    let size = |file: &str| (file.to_owned(), "file-size".to_owned(), 400);
    assert_eq!(places(&files), [size("a/b.go"), size("a/c.go")]);
    // The last line need not end in a line break, and one that does opens no new line.
    let bare = of(400).trim_end().to_owned();
    assert_eq!(places(&[("a/a.go", &bare)]), [size("a/a.go")]);
    assert_eq!(
        places(&[
            ("a/a.py", &of(900)),
            ("README.md", &of(900)),
            ("a/a_test.go", &of(900))
        ]),
        []
    );
    let generated = format!("// Code generated by x. DO NOT EDIT.\n{}", of(900));
    assert_eq!(places(&[("a/a.go", &generated)]), []);
    let crlf = of(399).replace('\n', "\r\n");
    assert_eq!(places(&[("a/a.go", &crlf)]), []);
    let sources = [SourceFile {
        path: "a.go",
        text: &of(10),
    }];
    let short = Context {
        max_file_lines: 10,
        ..Context::default()
    };
    assert_eq!(
        rules::check(&sources, &|_, _| true, &short, &[])[0].line,
        10
    );
}

#[test]
fn only_what_is_wanted_is_reported() {
    let sources = [SourceFile {
        path: "a/wiz.go",
        text: HANDLER,
    }];
    let found = rules::check(
        &sources,
        &|path, rule| path == "a/wiz.go" && rule == "vmfilter",
        &Context::default(),
        &[],
    );
    assert_eq!(found.len(), 1);
    assert!(rules::check(&sources, &|_, _| false, &Context::default(), &[]).is_empty());
}

#[test]
fn a_teams_rule_is_judged_beside_the_shipped_ones() {
    let yaml = "id: no-println\nlanguage: go\nmessage: use the logger\nnote: log.Info\n\
        rule: {pattern: println($$$)}\n";
    let own = rules::user::parse(".pertask/rules/log.yml", yaml).unwrap();
    let text = "package a\n\nfunc f() {\n\t// println(1)\n\tprintln(2)\n}\n";
    let sources = [SourceFile {
        path: "a/a.go",
        text,
    }];
    let found = rules::check(&sources, &|_, _| true, &Context::default(), &own);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].rule.as_str(), found[0].line, found[0].column),
        ("no-println", 5, 2)
    );
    assert_eq!(found[0].hint, "log.Info");
}

#[test]
fn nesting_that_hides_code_is_reported() {
    let deep = HANDLER.replace(
        "return nil",
        &format!(
            "_ = {}1{}; return nil",
            "(".repeat(50_000),
            ")".repeat(50_000)
        ),
    );
    let found = places(&[("a/wiz.go", &deep)]);
    assert_eq!(found.len(), rules::all().len(), "{found:?}");
    // As deep as is judged: found, not reported as too deep.
    let just = HANDLER.replace(
        "return nil",
        &format!("_ = {}1{}; return nil", "(".repeat(900), ")".repeat(900)),
    );
    assert_eq!(places(&[("a/wiz.go", &just)]).len(), 3);
}

#[test]
fn broken_code_is_judged_as_far_as_it_is_readable() {
    let fixtures = [
        "vmfilter",
        "pagination",
        "errgroup",
        "error-handling",
        "validate-credentials",
    ];
    for name in fixtures {
        for (path, text) in fixture(&format!("{name}.txtar")) {
            // Cut anywhere, and with a piece missing: no panic, whatever is left.
            for step in (1..text.len())
                .step_by(53)
                .filter(|at| text.is_char_boundary(*at))
            {
                let cut = &text[..step];
                let holed = format!("{}{}", cut, text.get(step + 7..).unwrap_or_default());
                for piece in [cut, holed.as_str()] {
                    let found = places(&[(path.as_str(), piece)]);
                    assert!(
                        found.len() < 100 && found.iter().all(|(_, _, line)| *line > 0),
                        "{path} at {step}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_file_nobody_wrote_is_not_passed_in_silence() {
    let long = format!("{HANDLER}{}", "// x\n".repeat(300_000));
    let found = places(&[("a/wiz.go", &long)]);
    assert_eq!(found.len(), rules::all().len());
    assert_eq!(places(&[("a/wiz_test.go", &long)]), []);
}
