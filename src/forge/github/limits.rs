//! How long GitHub asks to wait, and how fast to send; pure.
//!
//! Follows <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api> and
//! <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>: an
//! exceeded limit is answered with 403 or 429; then `retry-after` counts, else the time of
//! `x-ratelimit-reset` where `x-ratelimit-remaining` is 0, else at least a minute, longer each time.
//! GraphQL says it with status 200 too. Safe against taking a missing permission, also a 403, for a
//! limit, which would wait for nothing.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The least to wait when an answer does not say for how long.
const UNSAID: Duration = Duration::from_mins(1);

/// What of an answer says whether a limit was reached.
#[derive(Debug, Clone, Copy)]
pub struct Signs<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `retry-after`.
    pub retry_after: Option<&'a str>,
    /// `x-ratelimit-remaining`.
    pub remaining: Option<&'a str>,
    /// `x-ratelimit-reset`, seconds since 1970.
    pub reset: Option<&'a str>,
    /// The message of the body.
    pub message: &'a str,
    /// Whether a GraphQL error has the type `RATE_LIMITED`.
    pub graphql: bool,
    /// The server's clock, else ours.
    pub now: Timestamp,
    /// How often in a row this request was limited before.
    pub strikes: u32,
}

/// How long to wait before the same request may be sent again; `None` if no limit was reached.
#[must_use]
pub fn wait(signs: &Signs<'_>) -> Option<Duration> {
    let message = signs.message.to_ascii_lowercase();
    let spent = signs.remaining.is_some_and(|r| r.trim() == "0");
    let said = message.contains("rate limit") || message.contains("abuse detection");
    let limited = match signs.status {
        429 => true,
        403 => said || signs.retry_after.is_some() || (spent && !is_permission(&message)),
        200..=299 => signs.graphql,
        _ => false,
    };
    if !limited {
        return None;
    }
    if let Some(after) = signs.retry_after.and_then(|text| seconds(text, signs.now)) {
        if crate::plant::is("retry-after-is-ignored") {
            return Some(Duration::from_secs(1));
        }
        return Some(after);
    }
    if spent && let Some(reset) = signs.reset.and_then(|r| r.trim().parse::<i64>().ok()) {
        // One second more, because the header is cut to whole seconds.
        let left = reset
            .saturating_sub(signs.now.as_second())
            .saturating_add(1);
        return Some(Duration::from_secs(u64::try_from(left).unwrap_or(1).max(1)));
    }
    Some(UNSAID.saturating_mul(2u32.saturating_pow(signs.strikes.min(16))))
}

/// `retry-after` in either of its forms: seconds, or a date.
#[must_use]
pub fn seconds(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let left = date(text)?.as_second().saturating_sub(now.as_second());
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

/// An HTTP date.
#[must_use]
pub fn date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp())
}

fn is_permission(message: &str) -> bool {
    [
        "not accessible",
        "not permitted",
        "must have",
        "permission",
        "saml",
        "archived",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

/// Keeps changes to one a second on average and lets a short burst through at once: GitHub asks for
/// a second between changing requests when there are many.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Tokens now, as time: each change costs [`Bucket::COST`].
    level: Duration,
    since: Option<Instant>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            level: Self::FULL,
            since: None,
        }
    }
}

impl Bucket {
    /// What one change costs.
    const COST: Duration = Duration::from_secs(1);
    /// How much may be sent at once: eight changes, more than one task needs.
    const FULL: Duration = Duration::from_secs(8);

    /// Takes leave to send one change; returns how long to wait before it.
    pub fn take(&mut self, now: Instant) -> Duration {
        let passed = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.level = self.level.saturating_add(passed).min(Self::FULL);
        let missing = Self::COST.saturating_sub(self.level);
        self.level = self.level.saturating_sub(Self::COST);
        // What is waited for now is not gained a second time at the next change.
        self.since = Some(now + missing);
        missing
    }
}

#[cfg(test)]
mod tests;
