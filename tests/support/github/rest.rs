//! The REST interface: routes, who may use them, pages, conditional reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;
use super::render;
use super::routes::ROUTES;
use super::schema;
use super::serve::{Incoming, Outgoing, Shared};
use super::state::{Id, Kind, Permission, Pull, Repo, State, Token};

/// A route that this server knows.
pub struct Route {
    pub method: &'static str,
    pub template: &'static str,
    /// As in `X-Accepted-GitHub-Permissions`: alternatives after `;`.
    pub accepts: &'static str,
    /// What the person must be allowed in the repository.
    pub least: Permission,
    pub run: fn(&mut Call) -> Answered,
}

/// What a handler answers.
pub type Answered = Result<Answer, Refusal>;

/// A good answer.
pub struct Answer {
    pub status: u16,
    pub body: Option<Value>,
    pub link: Option<String>,
}

impl Answer {
    /// 200 with a document.
    pub fn ok(body: Value) -> Answered {
        Self::with(200, body)
    }

    /// A status with a document.
    pub fn with(status: u16, body: Value) -> Answered {
        Ok(Self {
            status,
            body: Some(body),
            link: None,
        })
    }

    /// 204.
    pub fn nothing() -> Answered {
        Ok(Self {
            status: 204,
            body: None,
            link: None,
        })
    }
}

/// A request to a route.
pub struct Call<'a> {
    pub state: &'a mut State,
    pub token: Option<Token>,
    /// The repository of the path; 0 where there is none.
    pub rid: Id,
    pub params: Vec<(&'static str, String)>,
    pub query: Vec<(String, String)>,
    pub body: Value,
    /// The path below the repository, for links.
    pub below: String,
}

impl Call<'_> {
    /// A part of the path.
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(n, _)| *n == name);
        found.map_or("", |(_, value)| value)
    }

    /// A number in the path.
    pub fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::missing())
    }

    /// A part of the query.
    pub fn asked(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A text of the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// Who asks.
    pub fn me(&self) -> Result<Id, Refusal> {
        let refusal = || Refusal::new(401, "Requires authentication");
        self.token.as_ref().map(|t| t.account).ok_or_else(refusal)
    }

    /// The repository of the path.
    pub fn repo(&self) -> &Repo {
        &self.state.repos[&self.rid]
    }

    /// The repository of the path, to change it.
    pub fn repo_mut(&mut self) -> &mut Repo {
        self.state.repos.get_mut(&self.rid).unwrap()
    }

    /// The number of the pull request of the path, which exists.
    pub fn pull_number(&self) -> Result<u64, Refusal> {
        let name = if self.param("pull_number").is_empty() {
            "issue_number"
        } else {
            "pull_number"
        };
        let number = self.number(name)?;
        self.state
            .find(self.rid, number)
            .map(|p| p.number)
            .ok_or_else(Refusal::missing)
    }

    /// The pull request of the path.
    pub fn pull(&self) -> Result<&Pull, Refusal> {
        Ok(self.state.pull(self.rid, self.pull_number()?))
    }

    /// What who asks may do in the repository.
    pub fn level(&self) -> Permission {
        match &self.token {
            Some(token) => self.state.permission(self.repo(), token.account),
            None if self.repo().private => Permission::None,
            None => Permission::Read,
        }
    }

    /// One page of a list, with the links to the others.
    pub fn page(&self, items: Vec<Value>) -> (Vec<Value>, Option<String>) {
        let number = |name: &str| self.asked(name).and_then(|v| v.parse::<usize>().ok());
        let size = number("per_page").filter(|n| *n > 0).unwrap_or(30).min(100);
        let page = number("page").filter(|n| *n > 0).unwrap_or(1);
        let last = items.len().div_ceil(size).max(1);
        let mut rest = String::new();
        for (name, value) in self.query.iter().filter(|(n, _)| n != "page") {
            rest.push('&');
            rest.push_str(&encode(name));
            rest.push('=');
            rest.push_str(&encode(value));
        }
        let base = format!(
            "{}/repositories/{}{}",
            self.state.api(),
            self.rid,
            self.below
        );
        let mut links = Vec::new();
        let mut link = |to: usize, rel: &str| {
            links.push(format!("<{base}?page={to}{rest}>; rel=\"{rel}\""));
        };
        if page > 1 {
            link(page - 1, "prev");
        }
        if page < last {
            link(page + 1, "next");
            link(last, "last");
        }
        if page > 1 {
            link(1, "first");
        }
        let links = (!links.is_empty()).then(|| links.join(", "));
        let items = items.into_iter().skip((page - 1) * size).take(size);
        (items.collect(), links)
    }

    /// Answers with a page of a list.
    pub fn list(&self, items: Vec<Value>) -> Answered {
        let (items, link) = self.page(items);
        Ok(Answer {
            status: 200,
            body: Some(Value::Array(items)),
            link,
        })
    }
}

/// A text as part of an address.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A part of an address as text.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Names and values of a query.
fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The parts of a path that a template names; branches and revisions may have slashes.
fn matches(template: &'static str, path: &[String]) -> Option<Vec<(&'static str, String)>> {
    fn go(
        template: &[&'static str],
        path: &[String],
        found: &mut Vec<(&'static str, String)>,
    ) -> bool {
        let Some((first, rest)) = template.split_first() else {
            return path.is_empty();
        };
        let Some(name) = first.strip_prefix('{').and_then(|f| f.strip_suffix('}')) else {
            return path.first().is_some_and(|p| p == first) && go(rest, &path[1..], found);
        };
        let longest = if matches!(name, "branch" | "ref") {
            path.len()
        } else {
            path.len().min(1)
        };
        for taken in (1..=longest).rev() {
            found.push((name, path[..taken].join("/")));
            if go(rest, &path[taken..], found) {
                return true;
            }
            found.pop();
        }
        false
    }
    let parts: Vec<&'static str> = template.split('/').skip(1).collect();
    let mut found = Vec::new();
    go(&parts, path, &mut found).then_some(found)
}

/// The path with the name of a repository in place of its number.
fn named(state: &State, path: &str) -> String {
    let Some(rest) = path.strip_prefix("/repositories/") else {
        return path.to_owned();
    };
    let (id, rest) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(id, rest)| (id, format!("/{rest}")));
    match id.parse().ok().and_then(|id: Id| state.repos.get(&id)) {
        Some(repo) => format!("/repos/{}{rest}", state.full_name(repo)),
        None => path.to_owned(),
    }
}

type Found = (&'static Route, Vec<(&'static str, String)>);

fn find(method: &str, path: &str) -> Option<Found> {
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    ROUTES.iter().find_map(|route| {
        let params = (route.method == method).then(|| matches(route.template, &parts))??;
        Some((route, params))
    })
}

/// The route of a request for faults and the log; the path itself where none is known.
pub fn route_name(shared: &Shared, method: &str, path: &str) -> String {
    let path = named(&shared.state.lock().unwrap(), path);
    match find(method, &path) {
        Some((route, _)) => format!("{method} {}", route.template),
        None => format!("{method} {path}"),
    }
}

/// The token of a request: `None` without one, an error when it is no good.
pub fn authenticate(
    state: &State,
    incoming: &Incoming,
) -> Result<Option<(String, Token)>, Refusal> {
    if incoming.header("user-agent").is_none_or(str::is_empty) {
        let what = "Request forbidden by administrative rules. Please make sure your request has \
                    a User-Agent header";
        return Err(Refusal::new(403, what));
    }
    let Some(header) = incoming.header("authorization") else {
        return Ok(None);
    };
    let secret = header
        .split_once(' ')
        .map_or("", |(_, secret)| secret.trim());
    match state.tokens.get(secret).filter(|t| !t.expired) {
        Some(token) => Ok(Some((secret.to_owned(), token.clone()))),
        None => Err(Refusal::new(401, "Bad credentials")),
    }
}

fn spent(shared: &Shared, token: Option<&(String, Token)>, now: i64) -> bool {
    let secret = token.map_or("", |(secret, _)| secret);
    shared.desk.lock().unwrap().spent(secret, "core", now)
}

/// Serves a request.
pub fn answer(shared: &Shared, incoming: &Incoming) -> Outgoing {
    let mut state = shared.state.lock().unwrap();
    state.sync();
    let stale = (incoming.method == "GET").then(|| shared.desk.lock().unwrap().stale_state());
    let mut stale = stale.flatten();
    let state = stale.as_mut().unwrap_or(&mut state);
    let path = incoming.path.trim_start_matches("/api/v3").to_owned();
    let path = named(state, &path);
    let found = find(&incoming.method, &path);
    let query = pairs(&incoming.query);
    let body: Result<Value, _> = if incoming.body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&incoming.body)
    };
    let mut wrong = Vec::new();
    let now = state.now().as_second();
    let (token, answered) = match (authenticate(state, incoming), &found) {
        (Err(refusal), _) => (None, Err(refusal)),
        (Ok(token), _) if spent(shared, token.as_ref(), now) => {
            let id = token.as_ref().map_or(0, |(_, token)| token.account);
            let what = format!("API rate limit exceeded for user ID {id}.");
            (token, Err(Refusal::new(403, what)))
        }
        (Ok(token), None) => {
            wrong.push("the server has no such route".to_owned());
            (token, Err(Refusal::missing()))
        }
        (Ok(token), Some((route, params))) => match body {
            Err(error) => {
                wrong.push(format!("the body is not JSON: {error}"));
                (token, Err(Refusal::new(400, "Problems parsing JSON")))
            }
            Ok(body) => {
                wrong.extend(schema::request(route, params, &query, &body));
                let mut call = Call {
                    state: &mut *state,
                    token: token.as_ref().map(|(_, token)| token.clone()),
                    rid: 0,
                    params: params.clone(),
                    query: query.clone(),
                    body,
                    below: path
                        .split('/')
                        .skip(4)
                        .fold(String::new(), |b, p| b + "/" + p),
                };
                let done = perform(route, &mut call);
                (token, done)
            }
        },
    };
    state.compute_asked();
    let accepts = found.as_ref().map_or("", |(route, _)| route.accepts);
    let moved = found.as_ref().and_then(|(route, params)| {
        let get = |n: &str| {
            params
                .iter()
                .find(|(name, _)| *name == n)
                .map(|(_, v)| v.as_str())
        };
        let (owner, name) = (get("owner")?, get("repo")?);
        let gone = state.repo_named(owner, name).is_none();
        let rid = state.repo_moved(owner, name).filter(|_| gone)?;
        let below: String = path.split('/').skip(4).flat_map(|p| ["/", p]).collect();
        let query = if incoming.query.is_empty() { "" } else { "?" };
        let to = format!(
            "{}/repositories/{rid}{below}{query}{}",
            state.api(),
            incoming.query
        );
        Some((if route.method == "GET" { 301 } else { 307 }, to))
    });
    let mut out = render_answer(answered, moved);
    if let Some((route, _)) = &found {
        let body = (!out.body.is_empty()).then(|| serde_json::from_slice(&out.body).unwrap());
        wrong.extend(schema::response(route, out.status, body.as_ref()));
    }
    out = conditional(incoming, out);
    if !accepts.is_empty() {
        out = out.with("x-accepted-github-permissions", accepts);
    }
    out.account = token.as_ref().map(|(_, t)| t.account);
    let mut desk = shared.desk.lock().unwrap();
    for what in wrong {
        desk.violations.push(format!("{}: {what}", incoming.route));
    }
    let cost = u64::from(out.status != 304);
    let secret = token.map_or(String::new(), |(secret, _)| secret);
    let rate = desk.charge(&secret, "core", cost, now);
    with_rate(out, rate, "core")
}

/// The headers of the rate limit.
pub fn with_rate(out: Outgoing, rate: super::faults::Rate, resource: &str) -> Outgoing {
    out.with("x-ratelimit-limit", rate.limit.to_string())
        .with(
            "x-ratelimit-remaining",
            rate.limit.saturating_sub(rate.used).to_string(),
        )
        .with("x-ratelimit-used", rate.used.to_string())
        .with("x-ratelimit-reset", rate.reset.to_string())
        .with("x-ratelimit-resource", resource)
}

fn render_answer(answered: Answered, moved: Option<(u16, String)>) -> Outgoing {
    if let Some((status, to)) = moved {
        let said = if status == 301 {
            "Moved Permanently"
        } else {
            "Temporary Redirect"
        };
        let body = json!({"message": said, "url": to, "documentation_url": render::DOCS});
        return Outgoing::json(status, &body).with("location", to);
    }
    match answered {
        Ok(answer) => {
            let mut out = match answer.body {
                Some(body) => Outgoing::json(answer.status, &body),
                None => Outgoing {
                    headers: Vec::new(),
                    ..Outgoing::text(answer.status, "")
                },
            };
            if let Some(link) = answer.link {
                out = out.with("link", link);
            }
            out
        }
        Err(refusal) => {
            let mut body = json!({
                "message": refusal.message,
                "documentation_url": render::DOCS,
                "status": refusal.status.to_string(),
            });
            if !refusal.errors.is_empty() {
                body["errors"] = Value::Array(refusal.errors);
            }
            Outgoing::json(refusal.status, &body)
        }
    }
}

/// Adds the tag of the content; 304 when the client has it.
fn conditional(incoming: &Incoming, out: Outgoing) -> Outgoing {
    if incoming.method != "GET" || out.status != 200 {
        return out;
    }
    let hash = Sha256::digest(&out.body);
    let hash = STANDARD.encode(&hash[..15]);
    let tag = format!("W/\"{hash}\"");
    let bare = |t: &str| t.trim().trim_start_matches("W/").to_owned();
    let same = incoming
        .header("if-none-match")
        .is_some_and(|tags| tags.split(',').any(|t| bare(t) == bare(&tag)));
    let mut out = if same {
        Outgoing {
            status: 304,
            headers: Vec::new(),
            body: Vec::new(),
            account: None,
        }
    } else {
        out
    };
    out = out.with("etag", tag);
    out.with("cache-control", "private, max-age=60, s-maxage=60")
}

fn perform(route: &Route, call: &mut Call) -> Answered {
    let changes = route.method != "GET";
    if route.template.starts_with("/repos/") {
        let found = call
            .state
            .repo_named(call.param("owner"), call.param("repo"));
        call.rid = found.ok_or_else(Refusal::missing)?;
        if call.level() == Permission::None {
            return Err(Refusal::missing());
        }
    }
    if changes || call.rid == 0 {
        call.me()?;
    }
    let needed = !route.accepts.is_empty();
    if let Some(token) = &call.token {
        let open = !changes && call.rid != 0 && !call.repo().private;
        let administration = route.accepts.starts_with("administration");
        if needed && (!open || administration) && !token.may(route.accepts) {
            let kind = call.state.who(token.account).kind;
            return Err(Refusal::new(403, inaccessible(kind)));
        }
    }
    if call.rid != 0 {
        if changes && call.repo().archived {
            let what = "Repository was archived so is read-only.";
            return Err(Refusal::new(403, what));
        }
        if call.level() < route.least {
            return Err(if changes {
                Refusal::new(403, "Must have push access to repository.")
            } else {
                Refusal::missing()
            });
        }
    }
    (route.run)(call)
}

/// What GitHub says where a permission of the token is missing.
pub fn inaccessible(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "Resource not accessible by personal access token",
        Kind::Bot => "Resource not accessible by integration",
    }
}
