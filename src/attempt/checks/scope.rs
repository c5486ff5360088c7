//! Nothing was touched that the task may not touch.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::outcome;
use crate::git::{Change, GITLINK, Repo, Result, SYMLINK};
use crate::run::order::{CheckKind, CheckOutcome, Scope};

/// Names of agents' settings: who can write them can steer the next agent.
const AGENT_SETTINGS: &[&str] = &[
    ".claude",
    ".claude.json",
    ".codex",
    ".cursor",
    ".gemini",
    ".mcp.json",
    ".aider.conf.yml",
    ".opencode",
    "opencode.json",
    "CLAUDE.md",
    "AGENTS.md",
    "GEMINI.md",
    ".husky",
];

/// Whether an agent may never touch this path: `.github/`, `.pertask/`, `.git*` anywhere, and the
/// settings of agents.
#[must_use]
pub fn is_protected(path: &str) -> bool {
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    if crate::plant::is("workflows-may-change") && first == ".github" {
        return false;
    }
    first.eq_ignore_ascii_case(".pertask")
        || path.split('/').any(|part| {
            part.get(..4)
                .is_some_and(|p| p.eq_ignore_ascii_case(".git"))
                || AGENT_SETTINGS
                    .iter()
                    .any(|name| part.eq_ignore_ascii_case(name))
        })
}

/// The globs as one matcher; `*` does not cross a `/`. Globs were checked when the plan was read.
#[must_use]
pub fn matcher(globs: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        if let Ok(glob) = GlobBuilder::new(glob).literal_separator(true).build() {
            set.add(glob);
        }
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

/// One thing that may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// What in these changes an agent may not do.
///
/// # Errors
/// When a link's target cannot be read.
pub fn violations(repo: &Repo, changes: &[Change], scope: &Scope) -> Result<Vec<Violation>> {
    let mut allowed = scope.allow.clone();
    allowed.extend(scope.requires.iter().cloned());
    let allowed = matcher(&allowed);
    let mut found = Vec::new();
    for change in changes {
        let mut say = |what: String| {
            found.push(Violation {
                path: change.path.clone(),
                what,
            });
        };
        if let Some(what) = impossible(repo, change)? {
            say(what);
        } else if scope.files.iter().any(|f| f.path == change.path) {
            // A plan cannot name a protected file; only our own order for a draft does.
        } else if is_protected(&change.path) {
            say("is protected: no agent may change it".to_owned());
        } else if !allowed.is_match(&change.path) {
            say("is outside what this task may touch".to_owned());
        }
    }
    Ok(found)
}

/// What may be in no commit of a task, whoever made it: submodules and links that lead out.
///
/// # Errors
/// When a link's target cannot be read.
pub fn impossible(repo: &Repo, change: &Change) -> Result<Option<String>> {
    let Some(after) = &change.after else {
        return Ok(None);
    };
    Ok(match after.mode {
        GITLINK => Some("is a submodule or a repository of its own".to_owned()),
        SYMLINK => {
            let target = String::from_utf8_lossy(&repo.blob(&after.oid)?).into_owned();
            leads_out(&change.path, &target).then(|| {
                format!("is a symbolic link that leads out of the repository, to {target}")
            })
        }
        _ => None,
    })
}

/// Whether a link at `path` to `target` leaves the tree, or enters a `.git`.
fn leads_out(path: &str, target: &str) -> bool {
    if target.starts_with('/') {
        return true;
    }
    let mut depth: Vec<&str> = path.split('/').collect();
    depth.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if depth.pop().is_none() {
                    return true;
                }
            }
            name => depth.push(name),
        }
    }
    depth.iter().any(|part| part.eq_ignore_ascii_case(".git"))
}

/// The scope check: every violation, and what could not be read at all.
#[must_use]
pub fn check(violations: &[Violation], odd: &[String], changed: usize) -> CheckOutcome {
    let mut problems: Vec<String> = violations
        .iter()
        .map(|v| format!("{} {}", v.path, v.what))
        .collect();
    problems.extend_from_slice(odd);
    let detail = match problems.as_slice() {
        [] => format!(
            "{changed} {} changed, all within the task",
            if changed == 1 { "file" } else { "files" }
        ),
        [only] => only.clone(),
        [first, ..] => format!(
            "{} paths are not within the task, the first: {first}",
            problems.len()
        ),
    };
    outcome(
        CheckKind::Scope,
        "scope",
        problems.is_empty(),
        detail,
        problems.join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_paths_are_known_in_any_letter_case_and_depth() {
        for path in [
            ".github/workflows/x.yml",
            ".pertask/wiz/plan.toml",
            "a/.gitignore",
            ".gitattributes",
            ".GitModules",
            "sub/CLAUDE.md",
            ".mcp.json",
            "x/.claude/settings.json",
            "a/.git/hooks/x",
        ] {
            assert!(is_protected(path), "{path}");
        }
        for path in ["github/x", "a/gitignore", "src/claude.rs", "a/.pertaskish"] {
            assert!(!is_protected(path), "{path}");
        }
    }

    #[test]
    fn links_may_stay_inside() {
        assert!(!leads_out("a/b/link", "../c"));
        assert!(!leads_out("link", "a/../b"));
        assert!(leads_out("link", ".."));
        assert!(leads_out("a/link", "../../etc/passwd"));
        assert!(leads_out("a/link", "/etc/passwd"));
        assert!(leads_out("a/link", "../.git/config"));
    }
}
