//! What the plan's documents promise about the code, looked for in syntax trees: the API methods
//! they name, that a task's file uses those it depends on, that a handler is registered.
//!
//! What cannot be seen: whether a method does what its name says, and whether a use is more than a
//! mention in code. Files in languages without a grammar are left alone.

use super::{outcome, registered};
use crate::facts::syntax::Language;
use crate::facts::{ApiKind, api, uses};
use crate::git::Repo;
use crate::plan;
use crate::run::order::{CheckKind, CheckOutcome, Design, FileFact};

/// Looks at everything that `design` names; no outcome for what it does not name.
///
/// # Errors
/// When the tree cannot be read.
pub fn run(
    repo: &Repo,
    tree: &str,
    design: &Design,
    changed: &[FileFact],
) -> anyhow::Result<Vec<CheckOutcome>> {
    let read = |path: &str| -> anyhow::Result<Option<String>> {
        let bytes = repo.file(tree, path)?;
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    };
    let changed: Vec<&str> = changed.iter().map(|f| f.path.as_str()).collect();
    let mut outcomes = Vec::new();
    outcomes.extend(methods(&read, design)?);
    outcomes.extend(dependencies(&read, design)?);
    outcomes.extend(registration(&read, design, &changed)?);
    Ok(outcomes)
}

/// Every API method that the documents name is declared in the file they name it for.
fn methods(read: registered::Read<'_>, design: &Design) -> anyhow::Result<Option<CheckOutcome>> {
    let mut missing = Vec::new();
    let mut there = 0_usize;
    for file in &design.methods {
        let Some(source) = read(&file.path)?.filter(|_| Language::of_path(&file.path).is_some())
        else {
            continue;
        };
        let offered = api(&file.path, &source);
        for written in &file.names {
            let Some(name) = plan::method_name(written) else {
                continue;
            };
            if offered
                .iter()
                .any(|i| i.kind != ApiKind::Type && i.name == name)
            {
                there += 1;
            } else {
                missing.push(format!("{} has no {name}", file.path));
            }
        }
    }
    if there == 0 && missing.is_empty() {
        return Ok(None);
    }
    let detail = match missing.as_slice() {
        [] => format!("{there} that the plan names are there"),
        missing => missing.join("; "),
    };
    let output = lines(&missing);
    Ok(Some(outcome(
        CheckKind::Design,
        "API methods",
        missing.is_empty(),
        detail,
        output,
    )))
}

/// A Go file uses the files beside it that its task depends on. Only the `integration` template
/// means by a dependency that the code is used; elsewhere it may be an order of work, so there it
/// is a remark.
fn dependencies(
    read: registered::Read<'_>,
    design: &Design,
) -> anyhow::Result<Option<CheckOutcome>> {
    let go = |path: &str| Language::of_path(path) == Some(Language::Go);
    let folder = |path: &str| path.rsplit_once('/').map_or("", |(f, _)| f).to_owned();
    let mut unused = Vec::new();
    let mut used = 0_usize;
    for file in &design.uses {
        let Some(present) = read(&file.path)? else {
            continue;
        };
        for other in &file.names {
            if !go(&file.path) || !go(other) || folder(&file.path) != folder(other) {
                continue;
            }
            let Some(source) = read(other)? else {
                continue;
            };
            if uses((&file.path, &present), (other, &source)).is_empty() {
                unused.push(format!("{} uses nothing of {other}", file.path));
            } else {
                used += 1;
            }
        }
    }
    if used == 0 && unused.is_empty() {
        return Ok(None);
    }
    let detail = match (unused.as_slice(), design.strict) {
        ([], _) => format!("{used} used"),
        (unused, true) => unused.join("; "),
        (unused, false) => format!("a remark: {}", unused.join("; ")),
    };
    let passed = unused.is_empty() || !design.strict;
    let output = lines(&unused);
    Ok(Some(outcome(
        CheckKind::Design,
        "dependencies",
        passed,
        detail,
        output,
    )))
}

/// What a task makes is named where the plan wants it registered.
fn registration(
    read: registered::Read<'_>,
    design: &Design,
    changed: &[&str],
) -> anyhow::Result<Option<CheckOutcome>> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for file in &design.registered {
        for glob in &file.names {
            match registered::look(read, &file.path, glob, changed)? {
                Some(Ok(said)) => found.push(said),
                Some(Err(why)) => missing.push(why),
                // That nothing was changed there is what the scope check says.
                None => {}
            }
        }
    }
    if found.is_empty() && missing.is_empty() {
        return Ok(None);
    }
    let passed = missing.is_empty();
    let detail = if passed {
        found.join("; ")
    } else {
        missing.join("; ")
    };
    let output = lines(&missing);
    Ok(Some(outcome(
        CheckKind::Design,
        "registration",
        passed,
        detail,
        output,
    )))
}

fn lines(all: &[String]) -> String {
    let mut text = all.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::order::FileNames;

    fn files<'a>(
        all: &'a [(&'a str, &'a str)],
    ) -> impl Fn(&str) -> anyhow::Result<Option<String>> + 'a {
        |path| {
            Ok(all
                .iter()
                .find(|(p, _)| *p == path)
                .map(|(_, text)| (*text).to_owned()))
        }
    }

    fn about(path: &str, names: &[&str]) -> Vec<FileNames> {
        vec![FileNames {
            path: path.to_owned(),
            names: names.iter().map(|n| (*n).to_owned()).collect(),
        }]
    }

    #[test]
    fn a_method_is_there_when_the_code_declares_it() {
        let client = "package wiz\n\n// GetAsset is for later.\nvar s = \"func GetUser()\"\n\ntype GetRisk struct{}\n\nfunc (c *client) ListAssets() error { return nil }\n";
        let design = |names: &[&str]| Design {
            methods: about("c.go", names),
            ..Design::default()
        };
        let all = [("c.go", client)];
        let read = files(&all);
        let good = methods(&read, &design(&["`ListAssets(ctx) error`"]))
            .unwrap()
            .unwrap();
        assert!(good.passed, "{good:?}");
        let bad = methods(
            &read,
            &design(&["ListAssets", "GetAsset", "GetUser", "GetRisk"]),
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            bad.detail,
            "c.go has no GetAsset; c.go has no GetUser; c.go has no GetRisk"
        );
        assert!(!bad.passed && bad.kind == CheckKind::Design);
        assert_eq!(methods(&read, &design(&[])).unwrap(), None);
    }

    #[test]
    fn an_unused_dependency_fails_the_template_only() {
        let all = [
            ("in/t.go", "package wiz\n\ntype Asset struct{}\n"),
            (
                "in/c.go",
                "package wiz\n\n// Asset\nfunc list() string { return \"Asset\" }\n",
            ),
            (
                "in/h.go",
                "package wiz\n\nfunc run() []Asset { list(); return nil }\n",
            ),
        ];
        let read = files(&all);
        let ask = |file: &str, used: &[&str], strict: bool| {
            let design = Design {
                uses: about(file, used),
                strict,
                ..Design::default()
            };
            dependencies(&read, &design).unwrap()
        };
        let unused = ask("in/c.go", &["in/t.go"], true).unwrap();
        assert!(!unused.passed);
        assert_eq!(unused.detail, "in/c.go uses nothing of in/t.go");
        let remark = ask("in/c.go", &["in/t.go"], false).unwrap();
        assert!(remark.passed && remark.detail.starts_with("a remark: "));
        let used = ask("in/h.go", &["in/t.go", "in/c.go"], true).unwrap();
        assert_eq!((used.passed, used.detail.as_str()), (true, "2 used"));
        // A left-out task's file is not there; another folder is another package.
        assert_eq!(ask("in/h.go", &["in/gone.go"], true), None);
        assert_eq!(ask("in/h.go", &["other/t.go"], true), None);
    }
}
