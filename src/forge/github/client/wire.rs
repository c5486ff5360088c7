//! One request, sent once: octocrab, its runtime and its time limits.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use http::HeaderMap;
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::super::limits::{self, Signs};
use super::super::token::Token;

/// The longest to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest a request may take in all.
const WHOLE: Duration = Duration::from_secs(30);
/// A connection that was not used for so long is not trusted with a change: the server may be about
/// to close it, and a change that was lost that way cannot be told from one that happened.
const STALE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// No connection came about, so nothing was sent.
    NotSent(String),
    /// It was sent, or may have been.
    Underway(String),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    /// The text as JSON, if it is.
    pub(super) body: Option<Value>,
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    fn errors(&self) -> &[Value] {
        let errors = self.body.as_ref().and_then(|b| b["errors"].as_array());
        errors.map_or(&[], Vec::as_slice)
    }

    fn message(&self) -> &str {
        let body = self.body.as_ref();
        body.and_then(|b| b["message"].as_str())
            .or_else(|| self.errors().first().and_then(|e| e["message"].as_str()))
            .unwrap_or_default()
    }

    fn now(&self) -> Timestamp {
        let date = self.header("date").and_then(limits::date);
        date.unwrap_or_else(Timestamp::now)
    }

    /// What of it says whether a limit was reached.
    pub(super) fn signs(&self, strikes: u32) -> Signs<'_> {
        let graphql = self.errors().iter().any(|e| {
            e["type"] == "RATE_LIMITED"
                || e["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("rate limit"))
        });
        Signs {
            status: self.status,
            retry_after: self.header("retry-after"),
            remaining: self.header("x-ratelimit-remaining"),
            reset: self.header("x-ratelimit-reset"),
            message: self.message(),
            graphql: graphql && (200..300).contains(&self.status),
            now: self.now(),
            strikes,
        }
    }

    /// Whether the server failed, which may pass. GraphQL says so with status 200 as well, without a
    /// type.
    pub(super) fn failed(&self) -> bool {
        self.status >= 500
            || self.status == 408
            || self.is_cut()
            || (self.status == 200
                && self.errors().iter().any(|e| {
                    e["message"].as_str().is_some_and(|m| {
                        m.starts_with("Something went wrong while executing your query")
                    })
                }))
    }

    /// Whether it should be JSON and is not: it was cut off, or garbled on the way.
    fn is_cut(&self) -> bool {
        let json = self
            .header("content-type")
            .is_some_and(|t| t.contains("json"));
        json && self.status < 300 && self.body.is_none() && !self.text.trim().is_empty()
    }

    /// What the failure was.
    pub(super) fn failure(&self) -> String {
        if self.is_cut() {
            return format!("status {}, and an answer that is cut off", self.status);
        }
        match self.message() {
            "" => format!("status {}", self.status),
            message => format!("status {}, {message}", self.status),
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        limits::seconds(self.header("retry-after")?, self.now())
    }
}

/// octocrab on a runtime of its own.
pub(super) struct Wire {
    // Before the runtime, which it needs to the end.
    crab: Octocrab,
    runtime: tokio::runtime::Runtime,
    origin: String,
    token: Token,
    used: Instant,
    whole: Duration,
}

impl Wire {
    /// For this server, with this token.
    pub(super) fn new(origin: &str, token: &Token) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("no connection can be made: {e}"))?;
        Ok(Self {
            crab: crab(&runtime, origin, token)?,
            runtime,
            origin: origin.to_owned(),
            token: token.clone(),
            used: Instant::now(),
            whole: whole(),
        })
    }

    /// Gives requests another time limit.
    #[cfg(test)]
    pub(super) fn limit(&mut self, whole: Duration) {
        self.whole = whole;
    }

    /// Sends it once and reads the answer to its end. With `careful` it goes over a connection that
    /// is known to be good.
    pub(super) fn send(
        &mut self,
        message: http::Request<String>,
        careful: bool,
    ) -> Result<Reply, Lost> {
        if careful && self.used.elapsed() > STALE {
            self.crab = crab(&self.runtime, &self.origin, &self.token).map_err(Lost::NotSent)?;
        }
        let crab = &self.crab;
        let exchange = async {
            if careful {
                // Nothing ran since the last request: lets a connection see that it was closed.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let reply = crab.execute(message).await?;
            let (parts, body) = reply.into_parts();
            let text = crab.body_to_string(http::Response::new(body)).await?;
            Ok::<_, octocrab::Error>((parts, text))
        };
        let limit = self.whole;
        let outcome = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, exchange).await });
        self.used = Instant::now();
        match outcome {
            Ok(Ok((parts, text))) => Ok(Reply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: serde_json::from_str(&text).ok(),
                text,
            }),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(Lost::Underway(format!(
                "no answer within {} s",
                limit.as_secs().max(1)
            ))),
        }
    }
}

fn crab(
    runtime: &tokio::runtime::Runtime,
    origin: &str,
    token: &Token,
) -> Result<Octocrab, String> {
    // octocrab starts a task of its own when it is made.
    let _inside = runtime.enter();
    Octocrab::builder()
        .base_uri(origin)
        .map_err(|e| chain(&e))?
        .set_connect_timeout(Some(CONNECT.min(whole())))
        .personal_token(token.secret().expose_secret())
        .build()
        .map_err(|e| format!("no connection can be made: {}", chain(&e)))
}

/// Tells an error before the request left from one after. hyper has no public type for it that
/// octocrab hands on; it says so in these words, which a test holds it to.
fn lost(error: &octocrab::Error) -> Lost {
    let mut connecting = false;
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        connecting |= cause.to_string().starts_with("client error (Connect)");
        next = cause.source();
    }
    if connecting {
        Lost::NotSent(chain(error))
    } else {
        Lost::Underway(chain(error))
    }
}

/// The causes of an error that say something of their own.
fn chain(error: &octocrab::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        next = cause.source();
        // Outer layers repeat the inner ones, and name only themselves.
        let hollow = ["Service Error", "Hyper Error", "client error ("]
            .iter()
            .any(|outer| text.starts_with(outer));
        if !hollow && !said.iter().any(|s| s.contains(&text)) {
            said.push(text);
        }
    }
    if said.is_empty() {
        "the connection failed".to_owned()
    } else {
        said.join(": ")
    }
}

#[cfg(debug_assertions)]
fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The longest a request may take; tests have less time.
fn whole() -> Duration {
    #[cfg(debug_assertions)]
    if let Some(ms) = number("PERTASK_TEST_HTTP_TIMEOUT_MS") {
        return Duration::from_millis(ms.into());
    }
    WHOLE
}

/// A pause as it is really made: tests divide it.
pub(super) fn scaled(time: Duration) -> Duration {
    #[cfg(debug_assertions)]
    if let Some(divisor) = number("PERTASK_TEST_PAUSE_DIVISOR").filter(|d| *d > 0) {
        return time / divisor;
    }
    time
}
