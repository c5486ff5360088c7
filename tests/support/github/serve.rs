//! The server: every request goes through here, with its fault, its log entry and its validation.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::faults::{Desk, Door, FaultKind, Logged, When};
use super::state::{Id, State};
use super::{git, graphql, rest};

/// What all requests share.
pub struct Shared {
    pub state: Mutex<State>,
    pub desk: Mutex<Desk>,
}

/// A request with its whole body.
pub struct Incoming {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub door: Door,
    /// As in [`super::faults::Fault::route`].
    pub route: String,
    pub changes: bool,
}

impl Incoming {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer.
pub struct Outgoing {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Who asked.
    pub account: Option<Id>,
}

impl Outgoing {
    /// A JSON document.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let kind = "application/json; charset=utf-8";
        Self {
            status,
            headers: vec![("content-type".into(), kind.into())],
            body: body.to_string().into_bytes(),
            account: None,
        }
    }

    /// Plain text, as the git side answers.
    pub fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: text.as_bytes().to_vec(),
            account: None,
        }
    }

    /// With a header more.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Listens until the sender of `stop` is gone.
pub async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: tokio::sync::oneshot::Receiver<()>,
) {
    let app = Router::new().fallback(handle).with_state(shared);
    let service = app.into_make_service_with_connect_info::<Kill>();
    let server = axum::serve(Doorway(listener), service);
    tokio::select! {
        _ = server.into_future() => {}
        _ = stop => {}
    }
}

async fn handle(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(kill): ConnectInfo<Kill>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return kill.now();
    };
    let path = parts.uri.path().to_owned();
    let mut incoming = Incoming {
        method: parts.method.as_str().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_vec(),
        door: Door::Git,
        route: String::new(),
        changes: false,
        path,
    };
    classify(&shared, &mut incoming);
    let fault = shared.desk.lock().unwrap().due(&incoming.route);
    let disturbed = fault.is_some();
    let mut logged = Logged {
        door: incoming.door,
        method: incoming.method.clone(),
        path: parts.uri.to_string(),
        route: incoming.route.clone(),
        status: 0,
        changes: incoming.changes,
        conditional: incoming.headers.contains_key("if-none-match"),
        disturbed,
        account: None,
    };
    let early = match &fault {
        Some(FaultKind::Drop(When::Before)) => {
            shared.desk.lock().unwrap().log.push(logged);
            return kill.now();
        }
        Some(FaultKind::Stall(When::Before, time)) => {
            tokio::time::sleep(*time).await;
            None
        }
        Some(kind) => instead(&shared, kind),
        None => None,
    };
    let door = incoming.door;
    let mut out = if let Some(early) = early {
        early
    } else {
        let worker = Arc::clone(&shared);
        let kind = fault.clone();
        let work = move || effect(&worker, &incoming, kind.as_ref());
        match tokio::task::spawn_blocking(work).await {
            Ok(out) => out,
            Err(error) => {
                let mut desk = shared.desk.lock().unwrap_or_else(PoisonError::into_inner);
                desk.violations
                    .push(format!("{}: the server panicked: {error}", logged.route));
                Outgoing::json(500, &json!({"message": "Server Error"}))
            }
        }
    };
    logged.account = out.account;
    match fault {
        Some(FaultKind::Drop(When::After)) => {
            shared.desk.lock().unwrap().log.push(logged);
            return kill.now();
        }
        Some(FaultKind::Stall(When::After, time)) => tokio::time::sleep(time).await,
        Some(FaultKind::Status(When::After, status)) => out = broken(status),
        Some(FaultKind::Malformed) => out.body.truncate(out.body.len() / 2),
        _ => {}
    }
    logged.status = out.status;
    let now = shared.state.lock().map(|s| s.now());
    shared.desk.lock().unwrap().log.push(logged);
    let now = now.unwrap_or_default();
    if door != Door::Git {
        out = out.with("x-github-media-type", "github.v3; format=json");
        let id = format!("{:04X}:{:08X}", out.body.len(), now.as_second());
        out = out.with("x-github-request-id", id);
    }
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response(out.with("date", date))
}

fn classify(shared: &Shared, incoming: &mut Incoming) {
    if let Some(path) = incoming.path.strip_prefix("/api/v3") {
        incoming.door = Door::Rest;
        incoming.changes = !matches!(incoming.method.as_str(), "GET" | "HEAD");
        incoming.route = rest::route_name(shared, &incoming.method, path);
    } else if incoming.path == "/api/graphql" {
        incoming.door = Door::GraphQl;
        (incoming.route, incoming.changes) = graphql::name(&incoming.body);
    } else {
        incoming.door = Door::Git;
        (incoming.route, incoming.changes) = git::name(incoming);
    }
}

/// Does what was asked.
fn effect(shared: &Shared, incoming: &Incoming, fault: Option<&FaultKind>) -> Outgoing {
    if let Some(FaultKind::Stale { reads }) = fault {
        let mut state = shared.state.lock().unwrap();
        state.sync();
        shared.desk.lock().unwrap().stale = Some((state.clone(), *reads));
    }
    if let Some(FaultKind::Moved { repo, name, to }) = fault {
        let state = shared.state.lock().unwrap();
        let (owner, of_owner) = repo.split_once('/').unwrap();
        let id = state.repo_named(owner, of_owner).unwrap();
        state.repos[&id].bare.git(["update-ref", name, to]);
    }
    match incoming.door {
        Door::Rest => rest::answer(shared, incoming),
        Door::GraphQl => graphql::answer(shared, incoming),
        Door::Git => git::answer(shared, incoming),
    }
}

/// The answer of a fault that keeps the effect from happening.
fn instead(shared: &Shared, kind: &FaultKind) -> Option<Outgoing> {
    let now = shared.state.lock().unwrap().now().as_second();
    let spent = |out: Outgoing, reset: i64| {
        out.with("x-ratelimit-limit", "5000")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-used", "5000")
            .with("x-ratelimit-reset", reset.to_string())
            .with("x-ratelimit-resource", "core")
    };
    let secondary = json!({
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before \
                    you try again.",
        "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
    });
    let later = |seconds: u64| now + i64::try_from(seconds).unwrap();
    Some(match kind {
        FaultKind::Status(When::Before, status) => broken(*status),
        FaultKind::Forbidden { retry_after } => {
            let out = Outgoing::json(403, &secondary);
            match retry_after {
                Some(seconds) => out.with("retry-after", seconds.to_string()),
                None => out,
            }
        }
        FaultKind::TooMany {
            retry_after,
            reset_in,
        } => {
            let out = Outgoing::json(429, &secondary);
            spent(out, later(*reset_in)).with("retry-after", retry_after.to_string())
        }
        FaultKind::Exhausted { reset_in } => {
            let body = json!({
                "message": "API rate limit exceeded for user ID 1.",
                "documentation_url":
                    "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
            });
            spent(Outgoing::json(403, &body), later(*reset_in))
        }
        FaultKind::GraphQlRateLimited => {
            let error = json!({"type": "RATE_LIMITED", "message": "API rate limit exceeded"});
            let out = Outgoing::json(200, &json!({"errors": [error]}));
            spent(out, now + 60)
        }
        _ => return None,
    })
}

/// What comes when GitHub's own machines fail.
fn broken(status: u16) -> Outgoing {
    if matches!(status, 502 | 504) {
        let mut out = Outgoing::text(status, "<html><body>Unicorn! 🦄</body></html>");
        out.headers = vec![("content-type".into(), "text/html".into())];
        return out;
    }
    Outgoing::json(status, &json!({"message": "Server Error"}))
}

fn response(out: Outgoing) -> Response<Body> {
    let mut response = Response::new(Body::from(out.body));
    *response.status_mut() = StatusCode::from_u16(out.status).unwrap();
    for (name, value) in out.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().append(name, value);
    }
    response
}

/// Accepts connections that can be ended in the middle of a request.
struct Doorway(TcpListener);

/// Ends a connection without an answer.
#[derive(Clone, Default)]
struct Kill(Arc<AtomicBool>);

impl Kill {
    fn now(&self) -> Response<Body> {
        self.0.store(true, Ordering::SeqCst);
        Response::new(Body::empty())
    }
}

struct Wire {
    stream: TcpStream,
    kill: Kill,
}

impl Listener for Doorway {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let kill = Kill::default();
        (Wire { stream, kill }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Doorway>> for Kill {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        stream.io().kill.clone()
    }
}

impl Wire {
    fn killed(&self) -> io::Result<()> {
        if self.kill.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Err(error) = self.killed() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
