//! Which action the workflows use: a repository, pinned to a commit.

use crate::commands::{Usage, usage};
use crate::forge::github::{Place, environment};
use crate::git::Repo;

/// Where this program is published, and so its action.
const PUBLISHED: &str = env!("CARGO_PKG_REPOSITORY");

/// The release that this program is.
const RELEASE: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// An action as somebody names it.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    /// `OWNER/REPO`.
    repository: &'a str,
    /// Commit, tag or branch.
    reference: &'a str,
}

/// What stands behind `uses:`. `option` is the command line's `OWNER/REPO[@REF]`; without it the action
/// that belongs to this program. Anything but the full id of a commit is resolved once, now, as what a
/// tag or a branch names can change.
pub(super) fn line(
    repo: &Repo,
    place: Option<&Place>,
    option: Option<&str>,
) -> anyhow::Result<String> {
    let (named, server) = match option {
        Some(option) => (parse(option)?, server(place)),
        None => published(PUBLISHED)?,
    };
    let Named {
        repository,
        reference,
    } = named;
    if is_commit(reference) {
        return Ok(format!("{repository}@{}", reference.to_ascii_lowercase()));
    }
    let address = format!("{server}/{repository}");
    let found = repo.commit_elsewhere(&address, reference).map_err(|e| {
        anyhow::Error::from(e).context(format!(
            "looking up {reference} of {repository}, which the full id of a commit would not need"
        ))
    })?;
    let commit = found.ok_or_else(|| {
        usage!(
            "{address} has no tag or branch {reference}, and {reference} is not the full id of a commit, which has 40 digits"
        )
    })?;
    Ok(format!("{repository}@{commit} # {reference}"))
}

/// The server that `--action` is on.
fn server(place: Option<&Place>) -> String {
    let server = environment("GITHUB_SERVER_URL").or_else(|| place.map(|p| p.web.clone()));
    let server = server.unwrap_or_else(|| "https://github.com".to_owned());
    server.trim_end_matches('/').to_owned()
}

/// The action at the address that this program was published at.
fn published(address: &str) -> Result<(Named<'_>, String), Usage> {
    let repository = address
        .strip_prefix("https://github.com/")
        .filter(|repository| is_repository(repository) && !repository.starts_with("OWNER/"));
    let named = repository.map(|repository| Named {
        repository,
        reference: RELEASE,
    });
    let server = "https://github.com".to_owned();
    named.map(|named| (named, server)).ok_or_else(|| {
        usage!(
            "this git-pertask was not built from a release, so it does not know where its action is; name it: git pertask init --github --action OWNER/REPO@<full id of a commit, or a tag>"
        )
    })
}

fn parse(option: &str) -> Result<Named<'_>, Usage> {
    let (repository, reference) = option.split_once('@').unwrap_or((option, RELEASE));
    let named = Named {
        repository,
        reference,
    };
    if is_repository(repository) && is_reference(reference) {
        return Ok(named);
    }
    Err(usage!(
        "\"{option}\" names no action; --action takes OWNER/REPO@REF, where REF is the full id of a commit, a tag or a branch"
    ))
}

/// `OWNER/REPO`, as GitHub names them.
fn is_repository(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['-', '.'])
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split_once('/')
        .is_some_and(|(owner, name)| word(owner) && word(name))
}

/// A name that a tag or branch can have and that a workflow can hold: git has more of them.
fn is_reference(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '/'])
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./+".contains(c))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_action() {
        let named = |repository, reference| Named {
            repository,
            reference,
        };
        assert_eq!(parse("a/b@v1").unwrap(), named("a/b", "v1"));
        assert_eq!(parse("a/b").unwrap(), named("a/b", RELEASE));
        assert_eq!(parse("a/b@x/y").unwrap(), named("a/b", "x/y"));
        for option in [
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "a/b@",
            "-a/b",
            "a/..",
            "a/b@-x",
            "a/b@x y",
            "a/b@x\ny",
            "a/b@$(x)",
            "a b/c",
            "https://github.com/a/b",
        ] {
            assert!(parse(option).is_err(), "{option}");
        }
    }

    #[test]
    fn only_a_release_knows_its_own_action() {
        for address in [
            "",
            "https://github.com/OWNER/git-pertask",
            "https://example.com/a/b",
        ] {
            assert!(published(address).is_err(), "{address}");
        }
        let (named, server) = published("https://github.com/octo/git-pertask").unwrap();
        assert_eq!(
            (named.repository, named.reference),
            ("octo/git-pertask", RELEASE)
        );
        assert_eq!(server, "https://github.com");
    }
}
