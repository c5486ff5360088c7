//! Requests to the API, one after the other, that obey GitHub's limits.
//!
//! octocrab carries them (connection, TLS, the token's header and where it may go); status,
//! redirects, limits and repetition are decided here, because what may be sent twice depends on what
//! the request does. Safe against:
//! - a change that is made twice: a changing request is sent again only where the answer, or its
//!   failure to leave, proves that nothing happened; else it is [`ApiError::Unknown`];
//! - a token or key in what agents, builds and people wrote ([`crate::secrets`]);
//! - a token that leaves the server it is for: redirects and links to another server are refused;
//! - a server that never stops asking to wait: beyond [`Patience::longest`] the request is given up.
//!
//! Not for use inside an asynchronous runtime: it has its own.

use std::time::{Duration, Instant};

use http::{Method, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::error::{ApiError, Kind, Result};
use super::limits::{self, Bucket};
use super::place::{Origin, Place};
use super::token::Token;
use crate::effect;
use crate::secrets::Secrets;

mod link;
mod redirect;
mod verdict;
mod wire;

pub use link::segment;
use wire::{Lost, Reply, Wire};

/// How often a request that failed is sent again, if it may be.
const AGAIN: u32 = 3;
/// How often a limit is waited for in one request.
const STRIKES: u32 = 8;
/// How many redirects are followed in one request.
const REDIRECTS: u32 = 5;
/// How many pages are read of one list.
const PAGES: u32 = 200;
/// A wait longer than this is announced.
const ANNOUNCED: Duration = Duration::from_mins(1);
/// The version of the API, <https://docs.github.com/en/rest/about-the-rest-api/api-versions>.
pub(super) const VERSION: &str = "2022-11-28";

/// What a successful answer says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status, 2xx.
    pub status: u16,
    /// The entity tag, for [`Client::get_if_changed`].
    pub etag: Option<String>,
    /// The server's clock.
    pub date: Option<Timestamp>,
    /// Scopes of the token, where the API tells them: `x-oauth-scopes`.
    pub scopes: Option<String>,
    /// The body; `null` when there is none.
    pub body: Value,
    /// Path of the next page.
    next: Option<String>,
}

/// How long to wait for GitHub, and how.
pub struct Patience {
    /// The longest to wait within one request, all pauses together.
    pub longest: Duration,
    /// Told about a wait of more than a minute, in words for people.
    pub tell: Box<dyn FnMut(&str) + Send>,
    /// Waits; `false` when it was interrupted.
    pub pause: Box<dyn FnMut(Duration) -> bool + Send>,
}

impl Default for Patience {
    /// A quarter of an hour, silently.
    fn default() -> Self {
        Self {
            longest: Duration::from_mins(15),
            tell: Box::new(|_| {}),
            pause: Box::new(|time| {
                std::thread::sleep(wire::scaled(time));
                true
            }),
        }
    }
}

impl std::fmt::Debug for Patience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patience({:?})", self.longest)
    }
}

/// How many requests were sent, repetitions included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// GETs and queries.
    pub reads: u64,
    /// Requests that change something.
    pub changes: u64,
    /// Of the reads, those answered with "not modified", which cost no rate limit.
    pub not_modified: u64,
}

/// A connection to the API of one place.
pub struct Client {
    place: Place,
    token: Token,
    kind: Kind,
    wire: Wire,
    origin: Origin,
    /// The API's own path, `/api/v3` or nothing.
    base: String,
    graphql: String,
    /// What no request that changes something may say.
    secrets: Secrets,
    patience: Patience,
    bucket: Bucket,
    counts: Counts,
    moved: Option<Moved>,
    clock: Option<Timestamp>,
    /// A limit that was too long to wait for: when it ends, and that for people.
    limited: Option<(Instant, Timestamp)>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.place.api)
            .field("token", &self.token)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// Where the repository is now.
#[derive(Debug, Clone)]
struct Moved {
    /// What stands for `/repos/owner/name` now, below the API's own path.
    route: String,
    /// `owner/name`, once it was asked for.
    name: Option<String>,
}

/// One request, as often as it is sent.
struct Request<'a> {
    method: Method,
    /// Path and query, below the server.
    path: String,
    body: Option<&'a Value>,
    etag: Option<&'a str>,
    /// Whether it changes something.
    changes: bool,
    /// Whether it holds only as long as what was looked at before: it is not sent again after a wait.
    at_once: bool,
    /// Method and route, for people.
    asked: String,
}

impl Client {
    /// A client for this place. Nothing is sent yet.
    ///
    /// # Errors
    /// When the addresses cannot be used or the system's certificates cannot be read.
    pub fn new(place: &Place, token: Token, patience: Patience) -> Result<Self> {
        let bad = |detail: String| ApiError::Malformed {
            asked: place.api.clone(),
            detail,
        };
        let origin =
            Origin::parse(&place.api).ok_or_else(|| bad("it is not an address".to_owned()))?;
        if Origin::parse(&place.graphql).as_ref() != Some(&origin) {
            return Err(bad(format!("{} is on another server", place.graphql)));
        }
        let path = |address: &str| {
            let uri: Option<http::Uri> = address.parse().ok();
            uri.map_or(String::new(), |u| u.path().trim_end_matches('/').to_owned())
        };
        let kind = Kind::of(token.secret().expose_secret());
        let wire = Wire::new(&origin.text(), &token).map_err(bad)?;
        let mut secrets = Secrets::of_process(&[]);
        secrets.add("the token", token.secret().expose_secret());
        Ok(Self {
            base: path(&place.api),
            graphql: path(&place.graphql),
            place: place.clone(),
            token,
            kind,
            wire,
            origin,
            secrets,
            patience,
            bucket: Bucket::default(),
            counts: Counts::default(),
            moved: None,
            clock: None,
            limited: None,
        })
    }

    /// The place it asks.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The token it uses.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// What no request that changes something may say.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// How many requests were sent.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The server's clock, as its last answer had it.
    #[must_use]
    pub fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Reads `path`, such as `/repos/o/r/pulls/7`, with everything in it [encoded](segment).
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.get_if_changed(path, None)?
            .ok_or_else(|| ApiError::Malformed {
                asked: format!("GET {path}"),
                detail: "it is not modified, but that was not the question".to_owned(),
            })
    }

    /// Reads `path` unless it still has this entity tag; `None` when it has, which costs no rate
    /// limit.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn get_if_changed(&mut self, path: &str, etag: Option<&str>) -> Result<Option<Answer>> {
        let path = self.route(path);
        self.read(path, etag)
    }

    /// Reads a list to its end, page by page. `per_page=100` is for the caller to say.
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::Malformed`] when it is no list, or does not end.
    pub fn pages(&mut self, path: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut next = Some(self.route(path));
        let malformed = |detail: &str| ApiError::Malformed {
            asked: format!("GET {path}"),
            detail: detail.to_owned(),
        };
        for _ in 0..PAGES {
            let Some(page) = next.take() else {
                return Ok(all);
            };
            let answer = self.read(page.clone(), None)?;
            let answer = answer.ok_or_else(|| malformed("it is not modified"))?;
            let items = items(answer.body).ok_or_else(|| malformed("it is not a list"))?;
            all.extend(items);
            if answer.next.as_deref() == Some(page.as_str()) {
                return Err(malformed("a page names itself as the next"));
            }
            next = answer.next;
        }
        match next {
            None => Ok(all),
            Some(_) => Err(malformed("the list does not end")),
        }
    }

    /// Sends a request that changes something; once, unless the answer proves that nothing happened.
    /// Secrets are taken out of all that it says.
    ///
    /// # Errors
    /// [`ApiError`]; after [`ApiError::Unknown`] it may have happened: look.
    pub fn send(&mut self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        self.send_as(method, path, body, false)
    }

    /// The same for what is right only as long as what was looked at before it holds: once a limit was
    /// waited for, or the server was not reached, it fails, so that everything is looked at again.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn send_at_once(&mut self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        self.send_as(method, path, body, !crate::plant::is("opened-after-a-wait"))
    }

    fn send_as(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
        at_once: bool,
    ) -> Result<Answer> {
        let asked = format!("{method} {}", short(path));
        let mut body = body.clone();
        if !crate::plant::is("outgoing-not-scanned") {
            self.secrets.clean_json(&mut body);
        }
        let request = Request {
            asked: asked.clone(),
            path: self.route(path),
            body: (!body.is_null()).then_some(&body),
            etag: None,
            changes: true,
            at_once,
            method,
        };
        let reply = effect::perform(&asked, || self.exchange(&request))?;
        self.answer(&request, reply)
    }

    /// Asks GraphQL. `name` is for messages. Returns the `data`; an answer with errors is an error
    /// even if there is data beside them.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn query(&mut self, name: &str, query: &str, variables: &Value) -> Result<Value> {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let request = self.graphql(format!("the query {name}"), &body, false);
        let reply = self.exchange(&request)?;
        self.data(&request, &reply)
    }

    /// Changes something through GraphQL; once, as [`Client::send`].
    ///
    /// # Errors
    /// [`ApiError`]; after [`ApiError::Unknown`] it may have happened: look.
    pub fn mutate(&mut self, name: &str, mutation: &str, variables: &Value) -> Result<Value> {
        let mut variables = variables.clone();
        self.secrets.clean_json(&mut variables);
        let body = serde_json::json!({ "query": mutation, "variables": variables });
        let request = self.graphql(format!("the mutation {name}"), &body, true);
        let reply = effect::perform(&request.asked, || self.exchange(&request))?;
        self.data(&request, &reply)
    }

    /// The repository's new `owner/name`, if an answer said that it has moved.
    ///
    /// # Errors
    /// [`ApiError`] when the new name has to be asked for and cannot.
    pub fn moved_to(&mut self) -> Result<Option<String>> {
        let Some(moved) = self.moved.clone() else {
            return Ok(None);
        };
        if moved.name.is_some() {
            return Ok(moved.name);
        }
        let answer = self.get(&moved.route)?;
        let name = answer.body["full_name"].as_str().map(str::to_owned);
        if let Some(moved) = &mut self.moved {
            moved.name.clone_from(&name);
        }
        Ok(name)
    }

    fn graphql<'a>(&self, asked: String, body: &'a Value, changes: bool) -> Request<'a> {
        Request {
            method: Method::POST,
            path: self.graphql.clone(),
            body: Some(body),
            etag: None,
            changes,
            at_once: false,
            asked,
        }
    }

    fn read(&mut self, path: String, etag: Option<&str>) -> Result<Option<Answer>> {
        let request = Request {
            asked: format!(
                "GET {}",
                short(path.strip_prefix(&self.base).unwrap_or(&path))
            ),
            method: Method::GET,
            path,
            body: None,
            etag,
            changes: false,
            at_once: false,
        };
        let reply = self.exchange(&request)?;
        if reply.status == 304 && etag.is_some() {
            self.counts.not_modified += 1;
            return Ok(None);
        }
        self.answer(&request, reply).map(Some)
    }

    /// The path on the server: below the API's own path, and at the repository's new place.
    fn route(&self, path: &str) -> String {
        let path = path.trim_start_matches('/');
        let path = format!("/{path}");
        if let Some(moved) = &self.moved
            && let Some(rest) = link::below(&path, &self.place.repository())
        {
            return format!("{}{}{rest}", self.base, moved.route);
        }
        format!("{}{path}", self.base)
    }

    /// Sends a request until there is an answer to go by: not a redirect, a limit or, for reads, a
    /// failure that may pass.
    fn exchange(&mut self, request: &Request<'_>) -> Result<Reply> {
        let mut path = request.path.clone();
        // Whoever asks within the time of a limit makes it longer.
        if let Some((end, until)) = self.limited
            && Instant::now() < end
        {
            return Err(ApiError::Limited { until });
        }
        let (mut failures, mut strikes, mut redirects) = (0, 0, 0);
        let mut waited = Duration::ZERO;
        loop {
            let (detail, may_repeat, pause) = match self.once(request, &path)? {
                Ok(reply) => {
                    if matches!(reply.status, 301 | 302 | 307 | 308) {
                        redirects += 1;
                        path = self.redirect(request, &path, &reply, redirects)?;
                        continue;
                    }
                    if let Some(wait) = limits::wait(&reply.signs(strikes))
                        && !crate::plant::is("limits-are-ignored")
                    {
                        strikes += 1;
                        waited = waited.saturating_add(wait);
                        self.limited(wait, waited, strikes)?;
                        if request.at_once {
                            let detail = "a rate limit was waited for".to_owned();
                            return Err(self.temporary(request, detail));
                        }
                        continue;
                    }
                    if !reply.failed() {
                        return Ok(reply);
                    }
                    let pause = reply.retry_after();
                    (reply.failure(), !request.changes, pause)
                }
                Err(Lost::NotSent(detail)) => (detail, true, None),
                Err(Lost::Underway(detail)) => (detail, !request.changes, None),
            };
            let detail = self.clean(&detail);
            if !may_repeat && !crate::plant::is("change-is-sent-again") {
                return Err(ApiError::Unknown {
                    asked: request.asked.clone(),
                    detail,
                });
            }
            if request.at_once {
                return Err(self.temporary(request, detail));
            }
            failures += 1;
            let pause = pause
                .unwrap_or_default()
                .max(Duration::from_secs(3u64.pow(failures - 1)));
            waited = waited.saturating_add(pause);
            if failures > AGAIN || waited > self.patience.longest {
                return Err(self.temporary(request, detail));
            }
            tracing::debug!(target: "pertask::github", "{}: {detail}; again in {pause:?}", request.asked);
            self.pause(pause)?;
        }
    }

    fn temporary(&self, request: &Request<'_>, detail: String) -> ApiError {
        ApiError::Temporary {
            asked: request.asked.clone(),
            host: self.origin.host.clone(),
            detail,
        }
    }

    fn once(&mut self, request: &Request<'_>, path: &str) -> Result<Result<Reply, Lost>> {
        if request.changes {
            let wait = self.bucket.take(Instant::now());
            if !wait.is_zero() {
                self.pause(wait)?;
            }
            self.counts.changes += 1;
        } else {
            self.counts.reads += 1;
        }
        let mut message = http::Request::builder()
            .method(request.method.clone())
            .uri(path)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", VERSION);
        if let Some(etag) = request.etag {
            message = message.header(header::IF_NONE_MATCH, etag);
        }
        let body = request.body.map(Value::to_string);
        if body.is_some() {
            message = message.header(header::CONTENT_TYPE, "application/json");
        }
        let message = message
            .body(body.unwrap_or_default())
            .map_err(|e| ApiError::Malformed {
                asked: request.asked.clone(),
                detail: format!("it cannot be asked: {e}"),
            })?;
        let began = Instant::now();
        let reply = self.wire.send(message, request.changes);
        tracing::debug!(
            target: "pertask::github",
            took = ?began.elapsed(),
            status = reply.as_ref().ok().map(|r| r.status),
            "{}", request.asked
        );
        if let Ok(reply) = &reply {
            let date = wire::header(&reply.headers, "date").and_then(limits::date);
            self.clock = date.or(self.clock);
        }
        Ok(reply)
    }

    fn limited(&mut self, wait: Duration, waited: Duration, strikes: u32) -> Result<()> {
        let until = Timestamp::now()
            .checked_add(jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX);
        if waited > self.patience.longest || strikes > STRIKES {
            let until = whole(until);
            let end = Instant::now().checked_add(wire::scaled(wait));
            self.limited = end.map(|end| (end, until));
            return Err(ApiError::Limited { until });
        }
        if wait > ANNOUNCED {
            let text = format!(
                "GitHub's rate limit is reached; waiting until {} ({})",
                whole(until),
                words(wait)
            );
            (self.patience.tell)(&text);
        }
        self.pause(wait)
    }

    /// Tells the person something they should know.
    pub(super) fn tell(&mut self, text: &str) {
        (self.patience.tell)(text);
    }

    /// Waits a while.
    pub(super) fn rest(&mut self, time: Duration) -> Result<()> {
        self.pause(time)
    }

    /// The error for an account that may only read.
    pub(super) fn may_not_write(&self, permission: &str) -> ApiError {
        ApiError::Permission {
            asked: format!("write to {}", self.place.slug()),
            from: self.token.source().clone(),
            message: format!("its account has the permission \"{permission}\" there"),
            needed: "contents=write, pull_requests=write".to_owned(),
            mend: format!(
                "ask somebody who administers {} for write permission, or use another token",
                self.place.slug()
            ),
        }
    }

    /// The error for a token with which git may not push.
    pub(super) fn may_not_push(&self, message: &str) -> ApiError {
        super::error::Lack {
            place: &self.place,
            from: self.token.source(),
            kind: self.kind,
            method: "push to",
            path: &self.place.slug(),
            message,
            permissions: Some("contents=write"),
            scopes: None,
            granted: None,
            sso: None,
        }
        .error()
    }

    /// Whether the token is one of an app's installation, as `GITHUB_TOKEN` in Actions is.
    #[must_use]
    pub fn is_of_app(&self) -> bool {
        self.kind == Kind::Installation
    }

    fn pause(&mut self, time: Duration) -> Result<()> {
        if (self.patience.pause)(time) {
            Ok(())
        } else {
            Err(ApiError::Interrupted)
        }
    }
}

/// The items of a page: the list, or the only list in an object (`check_runs`, `workflows`).
fn items(body: Value) -> Option<Vec<Value>> {
    match body {
        Value::Array(items) => Some(items),
        Value::Object(map) => {
            let mut lists = map.into_iter().filter_map(|(_, v)| match v {
                Value::Array(items) => Some(items),
                _ => None,
            });
            let first = lists.next()?;
            lists.next().is_none().then_some(first)
        }
        _ => None,
    }
}

/// A route without its query.
fn short(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn words(time: Duration) -> String {
    let s = time.as_secs();
    if s < 60 {
        format!("{s} s")
    } else {
        format!("{} min {:02} s", s / 60, s % 60)
    }
}

#[cfg(test)]
mod tests;
