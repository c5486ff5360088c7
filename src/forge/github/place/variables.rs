//! What the environment says about the server, and for which server that counts.

use super::{
    Env, Naming, Origin, Place, PlaceError, Target, Transport, is_loopback, is_public, shown, slug,
};

/// What the environment says, read and checked.
pub(super) struct Variables {
    server: Option<(String, Origin)>,
    api: Option<(String, Origin)>,
    graphql: Option<(String, Origin)>,
    repository: Option<(String, String)>,
}

pub(super) const SERVER: &str = "GITHUB_SERVER_URL";
pub(super) const API: &str = "GITHUB_API_URL";
pub(super) const GRAPHQL: &str = "GITHUB_GRAPHQL_URL";
pub(super) const REPOSITORY: &str = "GITHUB_REPOSITORY";

impl Variables {
    pub(super) fn read(env: Env<'_>) -> Result<Self, PlaceError> {
        let address = |variable: &'static str| {
            let Some(value) = env(variable).filter(|v| !v.trim().is_empty()) else {
                return Ok(None);
            };
            let value = value.trim().trim_end_matches('/').to_owned();
            let wrong = |why| PlaceError::Variable {
                variable,
                value: shown(&value),
                why,
            };
            let origin = Origin::parse(&value)
                .filter(|_| !value.contains(['?', '#']))
                .ok_or_else(|| wrong("that is not an https address"))?;
            if origin.scheme == "http" && !is_loopback(&origin.host) {
                return Err(wrong(
                    "over plain http the token could be read on the way; use https",
                ));
            }
            Ok(Some((value, origin)))
        };
        let repository = env(REPOSITORY).filter(|v| !v.trim().is_empty());
        let repository = match repository {
            Some(value) => Some(slug(value.trim()).ok_or(PlaceError::Variable {
                variable: REPOSITORY,
                value: shown(&value),
                why: "that is not OWNER/NAME",
            })?),
            None => None,
        };
        let read = Self {
            server: address(SERVER)?,
            api: address(API)?,
            graphql: address(GRAPHQL)?,
            repository,
        };
        Ok(read)
    }

    /// What they say about the server of this name.
    fn naming(&self, host: &str) -> Naming {
        let api = self.api.as_ref().or(self.graphql.as_ref());
        let same = match (&self.server, api) {
            (Some((_, server)), _) => server.host == host,
            (None, Some((_, api))) => api.host == host || api.host == format!("api.{host}"),
            (None, None) => return Naming::None,
        };
        if same { Naming::This } else { Naming::Another }
    }

    pub(super) fn about(self, remote: &str, target: Target) -> Place {
        let naming = self.naming(&target.host);
        let port = target.port.map_or(String::new(), |p| format!(":{p}"));
        let mut web = format!("{}://{}{port}", target.scheme, target.host);
        let mut notes = Vec::new();
        let (mut owner, mut name) = (target.owner, target.name);
        let (mut api, mut graphql) = (None, None);
        match naming {
            Naming::Another => {
                let (variable, other) = self.server.as_ref().map_or_else(
                    || (API, self.api.as_ref().or(self.graphql.as_ref())),
                    |server| (SERVER, Some(server)),
                );
                let other = other.map_or("another server", |(_, o)| o.host.as_str());
                notes.push(format!(
                    "{variable} is about {other}, the remote {remote} is at {}: the GITHUB_ variables and tokens of the environment are left aside",
                    target.host
                ));
            }
            Naming::This | Naming::None => {
                if let Some((text, _)) = self.server {
                    web = text;
                }
                api = self.api;
                graphql = self.graphql;
                if let Some((o, n)) = self.repository {
                    let same = o.eq_ignore_ascii_case(&owner) && n.eq_ignore_ascii_case(&name);
                    if !same {
                        notes.push(format!(
                            "GITHUB_REPOSITORY says {o}/{n}, the remote {remote} is {owner}/{name}: pull requests are looked for in {o}/{n}"
                        ));
                    }
                    (owner, name) = (o, n);
                }
            }
        }
        let (api, graphql) = apis(&web, &target.host, api, graphql, &mut notes);
        Place {
            web,
            api,
            graphql,
            owner,
            name,
            remote: remote.to_owned(),
            transport: target.transport,
            naming,
            notes,
        }
    }

    /// The place when the remote is a folder: only if server and repository are both said.
    pub(super) fn alone(self, remote: &str) -> Option<Place> {
        let (web, origin) = self.server?;
        let (owner, name) = self.repository?;
        let mut notes = Vec::new();
        let (api, graphql) = apis(&web, &origin.host, self.api, self.graphql, &mut notes);
        Some(Place {
            web,
            api,
            graphql,
            owner,
            name,
            remote: remote.to_owned(),
            transport: Transport::Folder,
            naming: Naming::This,
            notes,
        })
    }
}

/// Both APIs of a server: as said, else where that kind of server has them. They are on one server,
/// which is the only one that gets the token.
fn apis(
    web: &str,
    host: &str,
    api: Option<(String, Origin)>,
    graphql: Option<(String, Origin)>,
    notes: &mut Vec<String>,
) -> (String, String) {
    let (api, origin) = api.unwrap_or_else(|| {
        let text = if is_public(host) {
            format!("https://api.{host}")
        } else {
            format!("{web}/api/v3")
        };
        let origin = Origin::parse(&text);
        let origin = origin.unwrap_or_else(|| Origin {
            scheme: "https".to_owned(),
            host: host.to_owned(),
            port: None,
        });
        (text, origin)
    });
    let beside = match api.strip_suffix("/api/v3") {
        Some(root) => format!("{root}/api/graphql"),
        None => format!("{api}/graphql"),
    };
    let graphql = match graphql {
        Some((text, at)) if at == origin => text,
        Some((_, at)) => {
            notes.push(format!(
                "GITHUB_GRAPHQL_URL is about {}, the REST API is at {}: {beside} is asked instead",
                at.host, origin.host
            ));
            beside
        }
        None => beside,
    };
    (api, graphql)
}
