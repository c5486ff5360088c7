//! Which files of the repository a failing build names.
//!
//! Compilers print paths relative to the folder they ran in, or absolute within the workspace; what
//! lies elsewhere (a toolchain, a cache) is nobody's here. A file that the attempt changed and that
//! the output names beside an error (`other declaration of X`) is taken as at fault: another task is
//! disturbed only when nothing points at this one.

use std::collections::BTreeSet;
use std::path::Path;

use crate::facts::diagnostics;
use crate::git::{Repo, Result};
use crate::run::order::{CheckKind, CheckOutcome, Fault, FileFact, Order};

/// The places that the failing builds among `outcomes` name, in the order they were printed.
///
/// # Errors
/// When the tree cannot be read.
pub fn find(
    repo: &Repo,
    tree: &str,
    workspace: &Path,
    order: &Order,
    touched: &[FileFact],
    outcomes: &[CheckOutcome],
) -> Result<Vec<Fault>> {
    let mut allow = order.scope.allow.clone();
    allow.extend(order.scope.requires.iter().cloned());
    let allowed = super::scope::matcher(&allow);
    let mut mine: BTreeSet<&str> = touched.iter().map(|f| f.path.as_str()).collect();
    mine.extend(order.scope.files.iter().map(|f| f.path.as_str()));
    let is_there = |path: &str| repo.entry(tree, path).map(|e| e.is_some());
    let mut found: Vec<Fault> = Vec::new();
    let failed = |c: &&CheckOutcome| c.kind == CheckKind::Build && !c.passed;
    for outcome in outcomes.iter().filter(failed) {
        for place in diagnostics::parse(&outcome.output) {
            let Some(file) = locate(&place.file, workspace, &order.directory, &is_there)? else {
                continue;
            };
            let own = mine.contains(file.as_str()) || allowed.is_match(&file) || ends(&mine, &file);
            found.push(Fault {
                file,
                line: place.line,
                message: place.message,
                own,
            });
        }
        for (path, line) in mentions(&outcome.output) {
            let Some(file) = locate(path, workspace, &order.directory, &is_there)? else {
                continue;
            };
            if mine.contains(file.as_str()) && !found.iter().any(|f| f.file == file) {
                found.push(Fault {
                    file,
                    line,
                    message: "named beside the errors".to_owned(),
                    own: true,
                });
            }
        }
    }
    Ok(found)
}

/// A file name without its folder, as test runners print it.
fn ends(mine: &BTreeSet<&str>, file: &str) -> bool {
    mine.iter()
        .any(|own| own.strip_suffix(file).is_some_and(|p| p.ends_with('/')))
}

/// The path from the repository's root; as it was printed when no such file is there; `None` when it
/// lies outside.
fn locate(
    printed: &str,
    workspace: &Path,
    directory: &str,
    is_there: &dyn Fn(&str) -> Result<bool>,
) -> Result<Option<String>> {
    if Path::new(printed).is_absolute() {
        let real = workspace.canonicalize();
        let inside = Path::new(printed)
            .strip_prefix(workspace)
            .ok()
            .or_else(|| Path::new(printed).strip_prefix(real.as_deref().ok()?).ok());
        return Ok(inside.and_then(|p| normal("", p.to_str()?)));
    }
    let mut shown = None;
    for from in [directory, ""] {
        if let Some(path) = normal(from, printed) {
            if is_there(&path)? {
                return Ok(Some(path));
            }
            shown = Some(path);
        }
    }
    Ok(shown)
}

/// `path` below `from` without `.` and `..`; `None` when it leads out.
fn normal(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Every `path:line` in lines that are no warnings.
fn mentions(output: &str) -> impl Iterator<Item = (&str, u32)> {
    let mut muted = false;
    output
        .lines()
        .filter(move |line| {
            let start = line.trim_start();
            if start.starts_with("warning") {
                muted = true;
            } else if start.starts_with("error") {
                muted = false;
            }
            !muted && !line.contains("warning")
        })
        .flat_map(str::split_whitespace)
        .filter_map(|word| {
            let word = word.trim_start_matches(['(', '[', '"', '\'', '`']);
            let at = word.find([':', '('])?;
            let digits = word.get(at + 1..)?;
            let end = digits.bytes().take_while(u8::is_ascii_digit).count();
            let line = digits.get(..end)?.parse().ok()?;
            Some((word.get(..at)?, line))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(printed: &str, directory: &str, there: &[&str]) -> Option<String> {
        let is_there = |path: &str| Ok(there.contains(&path));
        locate(printed, Path::new("/space/tree"), directory, &is_there).unwrap()
    }

    #[test]
    fn paths_are_made_relative_to_the_root() {
        let there = ["a/b/x.go", "y.go", "a/y.go"];
        for (printed, directory, want) in [
            ("./b/x.go", "a", Some("a/b/x.go")),
            ("b/x.go", "a/", Some("a/b/x.go")),
            ("../y.go", "a", Some("y.go")),
            // The folder where the command ran goes before the root.
            ("y.go", "a", Some("a/y.go")),
            ("a/b/x.go", "a", Some("a/b/x.go")),
            ("/space/tree/a/b/x.go", "a", Some("a/b/x.go")),
            ("/usr/lib/go/x.go", "a", None),
            ("../../x.go", "a", None),
            ("x_test.go", "", Some("x_test.go")),
            (".", "", None),
        ] {
            assert_eq!(
                located(printed, directory, &there).as_deref(),
                want,
                "{printed} in {directory}"
            );
        }
    }

    #[test]
    fn what_stands_beside_an_error_is_mentioned_and_a_warning_is_not() {
        let go = "./a.go:3:6: X redeclared in this block\n\t./b.go:8:6: other declaration of X\n";
        assert_eq!(
            mentions(go).collect::<Vec<_>>(),
            [("./a.go", 3), ("./b.go", 8)]
        );
        let rust = "warning: unused\n --> src/b.rs:1:1\nerror: bad\n --> src/a.rs:2:3\n";
        assert_eq!(mentions(rust).collect::<Vec<_>>(), [("src/a.rs", 2)]);
        assert_eq!(mentions("b.c:9:3: warning: unused\n").count(), 0);
    }
}
