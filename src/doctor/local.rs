//! git and the repository.

use std::path::Path;

use super::{Finding, Level};
use crate::git::{self, GitError, Repo};
use crate::report::clean;

const SECTION: &str = "git";

/// Looks at git; the repository if it can be worked on.
pub(super) fn git(dir: &Path, out: &mut Vec<Finding>) -> Option<Repo> {
    out.push(version());
    let repo = match Repo::discover(dir) {
        Ok(repo) => repo,
        Err(error) => {
            out.push(bad("git.repository", &error, "git init"));
            return None;
        }
    };
    match repo.head() {
        Ok(head) => {
            let at = clean::line(&repo.workdir().to_string_lossy());
            let on = match head.branch {
                Some(branch) => format!("on branch {}", clean::line(&branch)),
                None => "on no branch".to_owned(),
            };
            let text = format!("the repository {at}, {on}, can be worked on");
            out.push(Finding::new(SECTION, "git.repository", Level::Ok, text));
        }
        Err(error) => out.push(bad(
            "git.repository",
            &error,
            "git commit --allow-empty -m \"First commit\"",
        )),
    }
    out.push(match repo.identity() {
        Ok(person) => {
            let text = format!("commits are made by {} <{}>", person.name, person.email);
            Finding::new(SECTION, "git.identity", Level::Ok, clean::line(&text))
        }
        Err(error) => bad(
            "git.identity",
            &error,
            "git config user.name \"Your Name\" && git config user.email you@example.com",
        ),
    });
    Some(repo)
}

/// What is wrong, with the command that mends it if the words do not name it themselves.
fn bad(check: &'static str, error: &GitError, mend: &str) -> Finding {
    let text = clean::line(&error.to_string());
    let finding = Finding::new(SECTION, check, Level::Bad, text);
    match error {
        GitError::NotARepository(_) => finding.mend(mend),
        GitError::NoCommits | GitError::NoIdentity => {
            // The words end with the command, after a semicolon.
            let (what, _) = finding.text.split_once(';').unwrap_or((&finding.text, ""));
            let text = what.to_owned();
            Finding { text, ..finding }.mend(mend)
        }
        _ => finding,
    }
}

fn version() -> Finding {
    let (major, minor) = git::oldest_git();
    let finding = |level, text| Finding::new(SECTION, "git.version", level, text);
    let get = format!("install git {major}.{minor} or newer: https://git-scm.com/downloads");
    match git::program_version() {
        Err(error) => finding(Level::Bad, clean::line(&error.to_string())).mend(get),
        Ok((text, None)) => finding(
            Level::Warn,
            format!(
                "the version of git is not understood: {}",
                clean::line(&text)
            ),
        ),
        Ok((_, Some(found))) if found < (major, minor) => finding(
            Level::Bad,
            format!(
                "git {}.{} is older than {major}.{minor}, with which this is known to work",
                found.0, found.1
            ),
        )
        .mend(get),
        Ok((text, Some(_))) => finding(Level::Ok, clean::line(&text)),
    }
}
