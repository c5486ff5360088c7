//! Which server and which repository: from the remote's address and the environment.
//!
//! Safe against a token that reaches a server it was not made for. The rule: **the remote decides
//! which server it is.** `GITHUB_SERVER_URL`, `GITHUB_API_URL` and `GITHUB_GRAPHQL_URL` describe one
//! server, and count only when that server is the remote's: when the host of `GITHUB_SERVER_URL` is
//! the remote's host, or, where that variable is not set, when the host of `GITHUB_API_URL` is the
//! remote's host or `api.` and the remote's host. Otherwise all of them, `GITHUB_REPOSITORY` and the
//! tokens of the environment are left aside, and [`Place::notes`] says so. A remote without a host
//! (a folder) has only the environment to go by: `GITHUB_SERVER_URL` and `GITHUB_REPOSITORY`.
//!
//! Nothing is asked over plain http but a loopback address: the token would travel readable.
//!
//! Where APIs are: <https://docs.github.com/en/enterprise-server@3.19/rest/quickstart> (`/api/v3`,
//! `/api/graphql`) and <https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency>
//! (`api.SUBDOMAIN.ghe.com`).

use http::Uri;
use thiserror::Error;

use crate::git::{GitError, Repo};

mod variables;

use variables::Variables;

/// Looks up a variable of the environment; empty counts as not set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// This process's environment, as an [`Env`].
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// A repository on a server that speaks GitHub's API. Addresses have no slash at their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where people look: `https://github.com`.
    pub web: String,
    /// Where the REST API is: `https://api.github.com`.
    pub api: String,
    /// Where the GraphQL API is: `https://api.github.com/graphql`; on the server of `api`.
    pub graphql: String,
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub name: String,
    /// Name of the git remote: `origin`.
    pub remote: String,
    /// How git talks to the remote.
    pub transport: Transport,
    /// What the environment says about this server.
    pub naming: Naming,
    /// What a person should know about how this was found.
    pub notes: Vec<String>,
}

/// How git talks to a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// http or https, with a token or password.
    Http,
    /// ssh, with keys.
    Ssh,
    /// A folder.
    Folder,
}

/// Whether the environment's `GITHUB_*` variables are about this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// They name it.
    This,
    /// They name another one.
    Another,
    /// They name none.
    None,
}

/// Why there is no [`Place`]: each is about how the repository or the environment is set up.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// There is no remote.
    #[error(
        "this repository has no remote, so there is no GitHub to ask; add it: git remote add origin https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)"
    )]
    NoRemote,
    /// None of several remotes is `origin`.
    #[error(
        "this repository has several remotes ({}) and none is named origin; say which one is meant: git config pertask.remote {}", .0.join(", "), .0.first().map_or("NAME", String::as_str)
    )]
    Several(Vec<String>),
    /// `pertask.remote` names one that is not there.
    #[error(
        "git config pertask.remote says {wanted}, and there is no such remote{}; correct it: git config pertask.remote NAME", listed(.known)
    )]
    NoSuchRemote {
        /// The name it says.
        wanted: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The remote is a folder.
    #[error(
        "the remote {remote} is the folder {address}, not a repository on GitHub; point it there: git remote set-url {remote} https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)"
    )]
    Folder {
        /// The remote's name.
        remote: String,
        /// Its address.
        address: String,
    },
    /// The remote's address is not one of a repository on GitHub.
    #[error(
        "the remote {remote} has the address {address}, which names no repository on GitHub: {why}; correct it: git remote set-url {remote} https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)"
    )]
    Unreadable {
        /// The remote's name.
        remote: String,
        /// Its address, without user and password.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A variable of the environment cannot be meant.
    #[error("{variable} is set to {value}: {why}; correct it or unset it")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value, without user and password.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Git could not be asked.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" (there are: {})", names.join(", ")),
    }
}

impl Place {
    /// Finds the repository's place from git's configuration and this process's environment.
    ///
    /// The remote is the one of `git config pertask.remote`, else `origin`, else the only one.
    ///
    /// # Errors
    /// When there is none, or it is not one of a server like GitHub.
    pub fn find(repo: &Repo) -> Result<Self, PlaceError> {
        let remotes = repo.remotes()?;
        let remote = choose(repo.config_value("pertask.remote"), remotes)?;
        let address = repo.remote_url(&remote)?;
        Self::at(&remote, &address, &environment, &|host| {
            repo.ssh_host_name(host)
        })
    }

    /// The place of a remote with this address. `ssh_host` resolves an alias of ssh's configuration.
    ///
    /// # Errors
    /// As [`Place::find`].
    pub fn at(
        remote: &str,
        address: &str,
        env: Env<'_>,
        ssh_host: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, PlaceError> {
        let mut parsed = parse(address).map_err(|why| PlaceError::Unreadable {
            remote: remote.to_owned(),
            address: shown(address),
            why,
        })?;
        if let Some(target) = &mut parsed
            && target.transport == Transport::Ssh
            && !is_public(&target.host)
            && let Some(host) = ssh_host(&target.host)
            && valid_host(&host)
        {
            target.host = canonical(&host);
        }
        let variables = Variables::read(env)?;
        let Some(target) = parsed else {
            return variables.alone(remote).ok_or_else(|| PlaceError::Folder {
                remote: remote.to_owned(),
                address: address.to_owned(),
            });
        };
        if target.scheme == "http" && !is_loopback(&target.host) && !is_public(&target.host) {
            return Err(PlaceError::Unreadable {
                remote: remote.to_owned(),
                address: shown(address),
                why: "over plain http the token could be read on the way; use https",
            });
        }
        Ok(variables.about(remote, target))
    }

    /// `owner/name`.
    #[must_use]
    pub fn slug(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The beginning of the repository's routes: `/repos/owner/name`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("/repos/{}/{}", self.owner, self.name)
    }

    /// The server's name without port, as `gh` and credential helpers know it.
    #[must_use]
    pub fn host(&self) -> String {
        Origin::parse(&self.web).map_or_else(|| self.web.clone(), |o| o.host)
    }

    /// Whether this is `github.com` or one of GitHub's own `ghe.com` servers.
    #[must_use]
    pub fn is_public(&self) -> bool {
        is_public(&self.host())
    }
}

fn choose(wanted: Option<String>, remotes: Vec<String>) -> Result<String, PlaceError> {
    if let Some(wanted) = wanted {
        return if remotes.contains(&wanted) {
            Ok(wanted)
        } else {
            Err(PlaceError::NoSuchRemote {
                wanted,
                known: remotes,
            })
        };
    }
    match remotes.as_slice() {
        [] => Err(PlaceError::NoRemote),
        [only] => Ok(only.clone()),
        several if several.iter().any(|r| r == "origin") => Ok("origin".to_owned()),
        _ => Err(PlaceError::Several(remotes)),
    }
}

/// What a remote's address says.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    transport: Transport,
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    owner: String,
    name: String,
}

/// Takes a remote's address apart; `None` for a folder.
fn parse(address: &str) -> Result<Option<Target>, &'static str> {
    let address = address.trim();
    if address.chars().any(char::is_control) {
        return Err("it has characters that no address has");
    }
    if let Some((scheme, _)) = address.split_once("://") {
        let (transport, web) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (Transport::Http, "https"),
            "http" => (Transport::Http, "http"),
            "ssh" | "git+ssh" | "ssh+git" => (Transport::Ssh, "https"),
            "file" => return Ok(None),
            "git" => return Err("nothing can be pushed over git://"),
            _ => return Err("only https and ssh are known"),
        };
        let uri: Uri = address.parse().map_err(|_| "it is not an address")?;
        let authority = uri.authority().ok_or("it names no server")?;
        let port = authority
            .port_u16()
            .filter(|_| transport == Transport::Http);
        return target(transport, web, authority.host(), port, uri.path()).map(Some);
    }
    // As git reads it: `host:path` unless a slash comes before the colon.
    let Some((host, path)) = scp(address) else {
        return Ok(None);
    };
    target(Transport::Ssh, "https", host, None, path).map(Some)
}

/// `[user@]host:path`, also with host and port, or all before the path, in brackets.
fn scp(address: &str) -> Option<(&str, &str)> {
    let before_slash = address.split('/').next().unwrap_or_default();
    let after_user = |text: &str| text.rfind('@').map_or(0, |at| at + 1);
    let start = if before_slash.starts_with('[') {
        0
    } else {
        after_user(before_slash)
    };
    let rest = address.get(start..)?;
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, path) = inner.split_once("]:")?;
        let host = host.get(after_user(host)..)?;
        let host = match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        return Some((host, path));
    }
    if !before_slash.get(start..)?.contains(':') {
        return None;
    }
    rest.split_once(':')
}

fn target(
    transport: Transport,
    scheme: &'static str,
    host: &str,
    port: Option<u16>,
    path: &str,
) -> Result<Target, &'static str> {
    let host = canonical(host);
    if !valid_host(&host) {
        return Err("the server's name is none");
    }
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let Some((owner, name)) = slug(path) else {
        return Err("after the server it must say OWNER/NAME and nothing else");
    };
    let public = is_public(&host);
    Ok(Target {
        transport,
        scheme: if public { "https" } else { scheme },
        port: port.filter(|_| !public),
        host,
        owner,
        name,
    })
}

/// Splits `owner/name` if both are such as GitHub gives out.
fn slug(text: &str) -> Option<(String, String)> {
    let word = |w: &str| {
        !w.is_empty()
            && w.len() <= 100
            && w != "."
            && w != ".."
            && w.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (owner, name) = text.split_once('/')?;
    (word(owner) && word(name)).then(|| (owner.to_owned(), name.to_owned()))
}

/// One server under one name.
fn canonical(host: &str) -> String {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.as_str() {
        "www.github.com" | "ssh.github.com" => "github.com".to_owned(),
        _ => host,
    }
}

fn valid_host(host: &str) -> bool {
    let name = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .map_or(host, |inner| inner);
    let v6 = name.len() != host.len();
    !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b) || (v6 && b == b':'))
}

fn is_public(host: &str) -> bool {
    host == "github.com" || host.ends_with(".ghe.com")
}

fn is_loopback(host: &str) -> bool {
    let number = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || number
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// An address as it may be shown: without user and password.
pub(super) fn shown(address: &str) -> String {
    let clean: String = address.chars().filter(|c| !c.is_control()).collect();
    let Some((scheme, rest)) = clean.split_once("://") else {
        return clean;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => clean,
    }
}

/// Scheme, host and port of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Origin {
    /// As an address without a path.
    pub(super) fn text(&self) -> String {
        let port = self.port.map_or(String::new(), |p| format!(":{p}"));
        format!("{}://{}{port}", self.scheme, self.host)
    }

    /// Of an http or https address; the scheme's own port counts as none.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = canonical(authority.host());
        valid_host(&host).then(|| Self {
            scheme,
            host,
            port: authority.port_u16().filter(|p| *p != usual),
        })
    }
}

#[cfg(test)]
mod tests;
