//! Which token is used, and for which server only.
//!
//! Safe against a token that shows up where it should not: it lives in a type that does not print,
//! is never an argument of a program, and one of the environment is used for a server only if it was
//! meant for it. `GITHUB_TOKEN` and `GH_TOKEN` are for `github.com` and `*.ghe.com`, or for the server
//! that the environment names ([`Naming`]); `GH_ENTERPRISE_TOKEN` and `GITHUB_ENTERPRISE_TOKEN` for
//! any other server. That is how `gh` has it: <https://cli.github.com/manual/gh_help_environment>.

use std::process::{Command, Stdio};

use base64::Engine as _;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use super::place::{Env, Naming, Place, Transport, environment};
use crate::git::{GitError, Repo};

/// A token for one server, with where it came from. Does not print.
#[derive(Clone)]
pub struct Token {
    secret: SecretString,
    source: Source,
}

/// Where a token came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The environment variable of this name.
    Variable(&'static str),
    /// `gh auth token`.
    Gh,
    /// git's credential helper.
    CredentialHelper,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Gh => f.write_str("gh auth token"),
            Self::CredentialHelper => f.write_str("git's credential helper"),
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(from {})", self.source)
    }
}

/// Why there is no [`Token`].
#[derive(Debug, Error)]
pub enum TokenError {
    /// None was found anywhere.
    #[error("there is no token for {host}{note}; {ways}")]
    None {
        /// The server.
        host: String,
        /// Variables that are set and not used, and why.
        note: String,
        /// What a person can do.
        ways: String,
    },
    /// What was found cannot be a token.
    #[error("what {from} holds cannot be a token: it has characters that no token has")]
    NotAToken {
        /// Where it came from.
        from: Source,
    },
    /// Git could not be asked.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Variables of a token for `github.com` or for the server that the environment names.
const GENERAL: &[&str] = &["GITHUB_TOKEN", "GH_TOKEN"];
/// Variables of a token for a GitHub Enterprise Server.
const ENTERPRISE: &[&str] = &["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

impl Token {
    /// Finds the token for this place: the environment, else `gh`, else git's credential helper.
    ///
    /// # Errors
    /// When there is none, in words that name the ways to give one.
    pub fn find(place: &Place, repo: &Repo) -> Result<Self, TokenError> {
        if let Some(token) = Self::of_environment(place, &environment)? {
            return Ok(token);
        }
        let found = match of_gh(&place.host()) {
            Some(secret) => Some((secret, Source::Gh)),
            None => of_helper(place, repo)?.map(|s| (s, Source::CredentialHelper)),
        };
        match found {
            Some((secret, source)) => Self::new(secret, source),
            None => Err(missing(place, &environment)),
        }
    }

    /// The token that the environment has for this place, if any.
    ///
    /// # Errors
    /// [`TokenError::NotAToken`].
    pub fn of_environment(place: &Place, env: Env<'_>) -> Result<Option<Self>, TokenError> {
        let names: &[&[&'static str]] = match (place.naming, place.is_public()) {
            (Naming::Another, _) => &[],
            (_, true) => &[GENERAL],
            (Naming::This, false) => &[GENERAL, ENTERPRISE],
            (Naming::None, false) => &[ENTERPRISE],
        };
        for name in names.iter().copied().flatten() {
            if let Some(secret) = env(name) {
                return Self::new(secret, Source::Variable(name)).map(Some);
            }
        }
        Ok(None)
    }

    /// A token from this source.
    ///
    /// # Errors
    /// [`TokenError::NotAToken`] when it cannot stand in a header.
    pub fn new(secret: impl Into<String>, source: Source) -> Result<Self, TokenError> {
        let secret: String = secret.into();
        let trimmed = secret.trim();
        if trimmed.is_empty() || !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::NotAToken { from: source });
        }
        Ok(Self {
            secret: SecretString::from(trimmed.to_owned()),
            source,
        })
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Environment with which `git` uses this token for this place's server and for no other.
    ///
    /// Empty unless git talks to it by http and the token came from the environment: a token of
    /// `gh` or of a helper is one that git finds itself. `env` is the environment git will have
    /// otherwise, whose own `GIT_CONFIG_COUNT` is continued. A header that somebody configured for the
    /// same server (`actions/checkout` does) is replaced: two of them are refused by GitHub.
    #[must_use]
    pub fn for_git(&self, place: &Place, env: Env<'_>) -> GitEnvironment {
        let mut found = GitEnvironment::default();
        if place.transport != Transport::Http || !matches!(self.source, Source::Variable(_)) {
            return found;
        }
        let before: usize = env("GIT_CONFIG_COUNT")
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0);
        let pair = format!("x-access-token:{}", self.secret.expose_secret());
        let basic = base64::engine::general_purpose::STANDARD.encode(pair);
        let key = format!("http.{}/.extraheader", place.web);
        let values = [String::new(), format!("Authorization: Basic {basic}")];
        let mut set = |name: String, value: String| {
            found.variables.push((name, SecretString::from(value)));
        };
        set(
            "GIT_CONFIG_COUNT".to_owned(),
            (before + values.len()).to_string(),
        );
        for (n, value) in values.into_iter().enumerate() {
            set(format!("GIT_CONFIG_KEY_{}", before + n), key.clone());
            set(format!("GIT_CONFIG_VALUE_{}", before + n), value);
        }
        found
    }
}

/// Variables for the program git, of which one holds the token. Does not print.
#[derive(Clone, Default)]
pub struct GitEnvironment {
    variables: Vec<(String, SecretString)>,
}

impl GitEnvironment {
    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }
}

impl std::fmt::Debug for GitEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.variables.iter().map(|(name, _)| name))
            .finish()
    }
}

/// What `gh` is logged in with at this server; `None` also when there is no `gh`.
fn of_gh(host: &str) -> Option<String> {
    let mut gh = Command::new("gh");
    gh.args(["auth", "token", "--hostname", host]);
    // These were looked at already, and may be about another server.
    for name in GENERAL.iter().chain(ENTERPRISE) {
        gh.env_remove(name);
    }
    let out = gh
        .env("GH_PROMPT_DISABLED", "1")
        .env("GH_NO_UPDATE_NOTIFIER", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !out.status.success() {
        return None;
    }
    let token = String::from_utf8(out.stdout).ok()?;
    Some(token.trim().to_owned()).filter(|t| !t.is_empty())
}

fn of_helper(place: &Place, repo: &Repo) -> Result<Option<String>, TokenError> {
    let Some((scheme, host)) = place.web.split_once("://") else {
        return Ok(None);
    };
    let path = format!("{}/{}.git", place.owner, place.name);
    Ok(repo.credential(scheme, host, &path)?)
}

fn missing(place: &Place, env: Env<'_>) -> TokenError {
    let host = place.host();
    let unused: Vec<&str> = GENERAL
        .iter()
        .chain(ENTERPRISE)
        .copied()
        .filter(|name| env(name).is_some())
        .collect();
    let note = match (unused.as_slice(), place.naming) {
        ([], _) => String::new(),
        (names, Naming::Another) => format!(
            " ({} is not used: GITHUB_SERVER_URL or GITHUB_API_URL says that it is for another server)",
            names.join(", ")
        ),
        (names, _) => format!(
            " ({} is not used: nothing says that it is for this server; if it is, set GITHUB_SERVER_URL={} too)",
            names.join(", "),
            place.web
        ),
    };
    let variable = if place.is_public() || place.naming == Naming::This {
        "GITHUB_TOKEN"
    } else {
        "GH_ENTERPRISE_TOKEN"
    };
    TokenError::None {
        note,
        ways: format!(
            "set {variable} (make one at {}/settings/personal-access-tokens/new with read and write of Contents, Pull requests, Issues and Commit statuses for {}), or log in: gh auth login --hostname {host}, or give git a credential helper",
            place.web,
            place.slug()
        ),
        host,
    }
}

#[cfg(test)]
mod tests;
