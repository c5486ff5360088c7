//! What can go wrong at the API, in words that say what happened, where, and what mends it.
//!
//! Safe against a secret in a message: what the server said is cut, cleaned of control characters,
//! and the token is struck out of it, before it gets here.

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

use super::place::Place;
use super::token::Source;

/// Result of the functions of the client.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// What can go wrong at the API, in ways a caller tells apart. `asked` is method and route.
#[derive(Debug, Error)]
pub enum ApiError {
    /// 401: the token is no longer, or was never, one of this server.
    #[error(
        "{host} does not know the token of {from} ({message}); it may have expired or been revoked: {mend}"
    )]
    Unauthorized {
        /// The server.
        host: String,
        /// Where the token came from.
        from: Source,
        /// What the server said.
        message: String,
        /// What to do.
        mend: String,
    },
    /// 403, or its like in GraphQL: the token may not do this.
    #[error("the token of {from} may not {asked}: {message}{}; {mend}", needs(.needed))]
    Permission {
        /// What was asked.
        asked: String,
        /// Where the token came from.
        from: Source,
        /// What the server said.
        message: String,
        /// The permissions it would take, such as `pull_requests=write`; empty if not known.
        needed: String,
        /// What to change.
        mend: String,
    },
    /// 404, or its like in GraphQL.
    #[error(
        "{host} answers \"not found\" to {asked}: it is not there, or the token of {from} may not see it (for private repositories that is the same answer)"
    )]
    NotFound {
        /// What was asked.
        asked: String,
        /// The server.
        host: String,
        /// Where the token came from.
        from: Source,
    },
    /// The repository is archived and takes no changes.
    #[error("{repository} is archived, so nothing can be changed there; unarchive it: {settings}")]
    Archived {
        /// `owner/name`.
        repository: String,
        /// Where that is done.
        settings: String,
    },
    /// 410: the feature is switched off there, or what was asked for was deleted.
    #[error("{asked}: it is gone: {message}")]
    Gone {
        /// What was asked.
        asked: String,
        /// What the server said.
        message: String,
    },
    /// Another 4xx: GitHub understood and will not do it.
    #[error("GitHub refuses {asked} ({status}): {message}{}", faults(.errors))]
    Refused {
        /// What was asked.
        asked: String,
        /// The HTTP status; 200 when GraphQL said it.
        status: u16,
        /// What the server said.
        message: String,
        /// The `errors` of the answer.
        errors: Vec<Value>,
    },
    /// A limit was reached and lasts longer than we wait.
    #[error("GitHub's rate limit is reached until {until}; nothing is lost, run it again then")]
    Limited {
        /// When it may be tried again.
        until: Timestamp,
    },
    /// The server could not be reached, or failed, and nothing was changed by this request.
    #[error("{asked} did not work: {detail}; run it again when {host} can be reached")]
    Temporary {
        /// What was asked.
        asked: String,
        /// The server.
        host: String,
        /// What happened.
        detail: String,
    },
    /// The answer to a change did not come, or was a failure of the server: it may have happened.
    #[error(
        "the answer to {asked} is unknown ({detail}): it may or may not have happened; run it again, it will look first"
    )]
    Unknown {
        /// What was asked.
        asked: String,
        /// What happened.
        detail: String,
    },
    /// An answer that GitHub does not give.
    #[error("the answer to {asked} is not to be understood: {detail}")]
    Malformed {
        /// What was asked.
        asked: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The server is none that speaks GitHub's API.
    #[error(
        "{api} does not answer like GitHub's API ({detail}); is the remote on GitHub? For a server whose API is elsewhere set GITHUB_SERVER_URL and GITHUB_API_URL"
    )]
    NotGitHub {
        /// Where the API was looked for.
        api: String,
        /// What was answered.
        detail: String,
    },
    /// The server sent us to another server.
    #[error(
        "the answer to {asked} points to another server ({to}), which does not get the token; if the repository has moved there, change the remote's address"
    )]
    Elsewhere {
        /// What was asked.
        asked: String,
        /// Where it points to.
        to: String,
    },
    /// A pause was interrupted.
    #[error("interrupted while waiting for GitHub")]
    Interrupted,
}

impl ApiError {
    /// Whether the same may work later without anybody changing anything: exit code 75.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Limited { .. }
                | Self::Temporary { .. }
                | Self::Unknown { .. }
                | Self::Interrupted
        )
    }

    /// Whether it is certain that the request changed nothing.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        !matches!(self, Self::Unknown { .. } | Self::Malformed { .. })
    }

    /// Whether what the server said has this text in it, in whatever case.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |said: &str| said.to_lowercase().contains(&text);
        match self {
            Self::Refused {
                message, errors, ..
            } => has(message) || errors.iter().any(|e| has(&fault(e))),
            Self::Permission { message, .. }
            | Self::Unauthorized { message, .. }
            | Self::Gone { message, .. } => has(message),
            _ => false,
        }
    }
}

fn needs(needed: &str) -> String {
    if needed.is_empty() {
        String::new()
    } else {
        format!(" (it takes {needed})")
    }
}

/// The errors of an answer as one text, each at most once.
fn faults(errors: &[Value]) -> String {
    let mut said: Vec<String> = Vec::new();
    for error in errors.iter().take(10) {
        let text = fault(error);
        if !text.is_empty() && !said.contains(&text) {
            said.push(text);
        }
    }
    match said.as_slice() {
        [] => String::new(),
        _ => format!(": {}", said.join("; ")),
    }
}

/// One of the `errors`: a text, or an object with resource, field, code and maybe a message
/// (<https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>).
fn fault(error: &Value) -> String {
    let part = |key: &str| error.get(key).and_then(Value::as_str);
    match (error.as_str(), part("message")) {
        (Some(text), _) | (None, Some(text)) => text.to_owned(),
        (None, None) => {
            let field = match (part("resource"), part("field")) {
                (Some(resource), Some(field)) => format!("{resource}.{field}"),
                (one, other) => one.or(other).unwrap_or_default().to_owned(),
            };
            let code = part("code").unwrap_or_default().replace('_', " ");
            format!("{field} {code}").trim().to_owned()
        }
    }
}

/// What kind of token it is, by GitHub's prefixes
/// (<https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `github_pat_`: a fine-grained personal access token.
    FineGrained,
    /// `ghp_`: a classic personal access token.
    Classic,
    /// `gho_`: given to a program such as `gh`.
    Oauth,
    /// `ghs_`: of an App's installation; `GITHUB_TOKEN` in Actions is one.
    Installation,
    /// `ghu_`: of an App for a person.
    App,
    /// None of these.
    Other,
}

impl Kind {
    /// Of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let known = [
            ("github_pat_", Self::FineGrained),
            ("ghp_", Self::Classic),
            ("gho_", Self::Oauth),
            ("ghs_", Self::Installation),
            ("ghu_", Self::App),
        ];
        known
            .iter()
            .find(|(prefix, _)| token.starts_with(prefix))
            .map_or(Self::Other, |(_, kind)| *kind)
    }
}

/// What is known about a refusal for lack of permission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lack<'a> {
    pub(super) place: &'a Place,
    pub(super) from: &'a Source,
    pub(super) kind: Kind,
    pub(super) method: &'a str,
    /// The route, without the API's own path.
    pub(super) path: &'a str,
    pub(super) message: &'a str,
    /// `x-accepted-github-permissions`.
    pub(super) permissions: Option<&'a str>,
    /// `x-accepted-oauth-scopes`.
    pub(super) scopes: Option<&'a str>,
    /// `x-oauth-scopes`, there for classic tokens and those of programs.
    pub(super) granted: Option<&'a str>,
    /// `x-github-sso`.
    pub(super) sso: Option<&'a str>,
}

impl Lack<'_> {
    /// The error for it.
    pub(super) fn error(&self) -> ApiError {
        let message = self.message.to_lowercase();
        let place = self.place;
        if message.contains("archived") {
            return ApiError::Archived {
                repository: place.slug(),
                settings: format!("{}/{}/settings", place.web, place.slug()),
            };
        }
        let needed = self.needed();
        let mend = self.mend(&message, &needed);
        ApiError::Permission {
            asked: format!("{} {}", self.method, self.path),
            from: self.from.clone(),
            message: self.message.to_owned(),
            needed,
            mend,
        }
    }

    fn needed(&self) -> String {
        if self.message.contains("workflow") {
            return "workflows=write".to_owned();
        }
        let said = self.permissions.map(str::trim).filter(|p| !p.is_empty());
        if let Some(permissions) = said {
            return permissions.to_owned();
        }
        if let Some(granted) = self.granted {
            let accepted = self.scopes.map(str::trim).filter(|s| !s.is_empty());
            let missing = accepted.unwrap_or("repo");
            let has = if granted.trim().is_empty() {
                "none"
            } else {
                granted.trim()
            };
            return format!("the scope {missing}; it has {has}");
        }
        of_route(self.method, self.path)
    }

    fn mend(&self, message: &str, needed: &str) -> String {
        let place = self.place;
        let (web, slug) = (&place.web, place.slug());
        if let Some(sso) = self.sso {
            let url = sso.split_once("url=").map(|(_, url)| url.trim());
            return format!(
                "the organisation wants single sign-on: authorise the token at {}",
                url.unwrap_or("its settings")
            );
        }
        if message.contains("not permitted to create or approve pull requests") {
            return format!(
                "tick \"Allow GitHub Actions to create and approve pull requests\" at {web}/{slug}/settings/actions (or use the token of a GitHub App)"
            );
        }
        if message.contains("forbids access via a") {
            return format!(
                "make another kind of token: {web}/settings/personal-access-tokens/new"
            );
        }
        let what = if needed.is_empty() {
            "the permission".to_owned()
        } else {
            needed.to_owned()
        };
        match self.kind {
            Kind::FineGrained => {
                format!("give the token {what} for {slug}: {web}/settings/personal-access-tokens")
            }
            Kind::Classic => format!("give the token the scope repo: {web}/settings/tokens"),
            Kind::Oauth => format!(
                "log in with the scope: gh auth refresh --hostname {} --scopes repo",
                place.host()
            ),
            Kind::Installation => format!(
                "in a workflow add it under `permissions:`{}; for a GitHub App change the App's permissions and accept them for {slug}",
                yaml(needed)
            ),
            Kind::App | Kind::Other => format!(
                "give the token {what} for {slug}, or ask somebody with the right to change {slug}"
            ),
        }
    }
}

/// Permissions as a workflow's `permissions:` spells them.
fn yaml(needed: &str) -> String {
    let keys: Vec<String> = needed
        .split([';', ','])
        .filter_map(|one| one.trim().split_once('='))
        .map(|(key, level)| format!("{}: {level}", key.replace('_', "-")))
        .collect();
    if keys.is_empty() {
        String::new()
    } else {
        format!(" (`{}`)", keys.join(", "))
    }
}

/// The permission that a route takes, for servers that do not say it
/// (<https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens>).
fn of_route(method: &str, path: &str) -> String {
    let level = if method == "GET" { "read" } else { "write" };
    let path = path.split('?').next().unwrap_or_default();
    let mut parts = path.trim_matches('/').split('/');
    let rest: Vec<&str> = match parts.next() {
        Some("repos") => parts.skip(2).collect(),
        Some("repositories") => parts.skip(1).collect(),
        _ => return String::new(),
    };
    let key = match rest.as_slice() {
        ["pulls", _, "merge"] | ["git" | "contents" | "merges" | "dispatches", ..] => "contents",
        ["pulls", ..] => "pull_requests",
        ["issues" | "labels", ..] => "issues",
        ["statuses", ..] => "statuses",
        ["check-runs" | "check-suites", ..] => "checks",
        ["actions", "permissions", ..] | ["branches", _, "protection", ..] => "administration",
        ["actions", ..] => "actions",
        _ => return String::new(),
    };
    format!("{key}={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_said_once_in_words() {
        let errors = vec![
            serde_json::json!({"resource": "PullRequest", "field": "head", "code": "invalid"}),
            serde_json::json!({"message": "No commits between main and x", "code": "custom"}),
            serde_json::json!("Could not add requested reviewers"),
            serde_json::json!("Could not add requested reviewers"),
            serde_json::json!(7),
        ];
        assert_eq!(
            faults(&errors),
            ": PullRequest.head invalid; No commits between main and x; Could not add requested reviewers"
        );
        let error = ApiError::Refused {
            asked: "POST /repos/o/r/pulls".to_owned(),
            status: 422,
            message: "Validation Failed".to_owned(),
            errors,
        };
        assert!(error.says("no commits between"));
        assert!(error.says("validation failed"));
        assert!(!error.says("already exists"));
        assert!(error.nothing_happened());
        assert!(!error.is_temporary());
    }

    #[test]
    fn a_route_tells_the_permission() {
        for (method, path, needed) in [
            ("POST", "/repos/o/r/pulls", "pull_requests=write"),
            (
                "GET",
                "/repos/o/r/pulls/7/reviews?x=1",
                "pull_requests=read",
            ),
            ("PUT", "/repos/o/r/pulls/7/merge", "contents=write"),
            ("POST", "/repositories/17/statuses/abc", "statuses=write"),
            ("POST", "/repos/o/r/issues/7/comments", "issues=write"),
            ("POST", "/repos/o/r/check-runs", "checks=write"),
            (
                "GET",
                "/repos/o/r/branches/main/protection",
                "administration=read",
            ),
            ("GET", "/repos/o/r", ""),
            ("GET", "/user", ""),
        ] {
            assert_eq!(of_route(method, path), needed, "{method} {path}");
        }
    }

    #[test]
    fn kinds_by_prefix() {
        for (token, kind) in [
            ("github_pat_11AAA", Kind::FineGrained),
            ("ghp_x", Kind::Classic),
            ("gho_x", Kind::Oauth),
            ("ghs_x", Kind::Installation),
            ("ghu_x", Kind::App),
            ("0123456789abcdef", Kind::Other),
        ] {
            assert_eq!(Kind::of(token), kind);
        }
    }
}
