//! The files are there, and within their line limits.

use super::outcome;
use crate::git::{Repo, Result};
use crate::run::order::{Change, CheckKind, CheckOutcome, FileFact, Scope};

/// The files of the task exist as regular files with something in them, and what must also be
/// touched was. `ignored` says whether git ignores a path that lies there.
///
/// # Errors
/// When the tree cannot be read.
pub fn exist(
    repo: &Repo,
    tree: &str,
    scope: &Scope,
    facts: &[FileFact],
    ignored: &dyn Fn(&str) -> bool,
) -> Result<CheckOutcome> {
    let mut problems = Vec::new();
    for file in &scope.files {
        match repo.file(tree, &file.path)? {
            None if ignored(&file.path) => problems.push(format!(
                "{} is ignored by git, so it cannot be committed: see .gitignore",
                file.path
            )),
            None => problems.push(format!("{} is not there", file.path)),
            Some(bytes) if bytes.is_empty() => problems.push(format!("{} is empty", file.path)),
            Some(_) => {}
        }
    }
    for glob in &scope.requires {
        let matcher = super::scope::matcher(std::slice::from_ref(glob));
        if !facts
            .iter()
            .any(|f| f.change != Change::Deleted && matcher.is_match(&f.path))
        {
            problems.push(format!(
                "nothing matching {glob} was changed, and the task asks for it"
            ));
        }
    }
    let passed = problems.is_empty();
    let detail = match problems.as_slice() {
        [] => scope
            .files
            .iter()
            .map(|f| f.path.as_str())
            .collect::<Vec<_>>()
            .join(", "),
        [only] => only.clone(),
        [first, ..] => format!("{} problems, the first: {first}", problems.len()),
    };
    Ok(outcome(
        CheckKind::Files,
        "files",
        passed,
        detail,
        problems.join("\n"),
    ))
}

/// The files keep their line limits.
#[must_use]
pub fn lines(scope: &Scope, lines_of: &dyn Fn(&str) -> Option<u32>) -> CheckOutcome {
    let mut found = Vec::new();
    let mut over = Vec::new();
    for file in &scope.files {
        let Some(lines) = lines_of(&file.path) else {
            continue;
        };
        match file.max_lines {
            Some(max) if lines > max => {
                over.push(format!(
                    "{} has {lines} lines, {max} are allowed",
                    file.path
                ));
            }
            Some(max) => found.push(format!("{} has {lines} of {max} lines", file.path)),
            None => found.push(format!(
                "{} has {lines} {}",
                file.path,
                if lines == 1 { "line" } else { "lines" }
            )),
        }
    }
    let passed = over.is_empty();
    let detail = if passed {
        found.join("; ")
    } else {
        over.join("; ")
    };
    outcome(
        CheckKind::Lines,
        "line limit",
        passed,
        detail,
        String::new(),
    )
}

/// Lines of a file as editors count them: a last line without a line break counts too; a binary
/// file has none.
#[must_use]
#[expect(
    clippy::naive_bytecount,
    reason = "files of a task are small; a crate for it is not worth its place"
)]
pub fn count(bytes: &[u8]) -> u32 {
    if bytes.iter().take(8000).any(|b| *b == 0) {
        return 0;
    }
    let breaks = bytes.iter().filter(|b| **b == b'\n').count();
    let open = usize::from(bytes.last().is_some_and(|b| *b != b'\n'));
    u32::try_from(breaks + open).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_editors_do() {
        assert_eq!(count(b""), 0);
        assert_eq!(count(b"a"), 1);
        assert_eq!(count(b"a\n"), 1);
        assert_eq!(count(b"a\nb"), 2);
        assert_eq!(count(b"a\0\n"), 0);
    }
}
