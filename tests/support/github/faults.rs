//! Faults as data, and the log of all requests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::state::{Id, State};

/// Before or after the request had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// An answer with this status.
    Status(When, u16),
    /// No answer: the connection ends.
    Drop(When),
    /// The answer takes this long.
    Stall(When, Duration),
    /// 403 of a secondary limit, nothing done; `Retry-After` in seconds.
    Forbidden { retry_after: Option<u64> },
    /// 429, nothing done: `Retry-After` and the time of the reset in seconds from now.
    TooMany { retry_after: u64, reset_in: u64 },
    /// 403 of the primary limit, nothing done: none remaining, no `Retry-After`.
    Exhausted { reset_in: u64 },
    /// 200 with an error of type `RATE_LIMITED`, nothing done.
    GraphQlRateLimited,
    /// The effect happens, the answer's body is cut in half.
    Malformed,
    /// The effect happens, but so many reads after it do not see it; `None`: until told.
    Stale { reads: Option<usize> },
    /// Somebody has moved a ref of a repository just before; nothing else goes wrong.
    Moved {
        repo: String,
        name: String,
        to: String,
    },
}

/// Something that goes wrong at one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `POST /repos/{owner}/{repo}/pulls`, `graphql:<operation name>`, `git:receive-pack`,
    /// `git:upload-pack`, `git:info`, or `*`.
    pub route: String,
    /// At which request to that route from now on, from 1.
    pub nth: usize,
    pub kind: FaultKind,
}

impl Fault {
    /// At the next request to this route.
    pub fn next(route: &str, kind: FaultKind) -> Self {
        Self::nth(route, 1, kind)
    }

    /// At that request to this route, from 1.
    pub fn nth(route: &str, nth: usize, kind: FaultKind) -> Self {
        Self {
            route: route.to_owned(),
            nth,
            kind,
        }
    }
}

/// A fault with what became of it.
#[derive(Debug, Clone)]
pub struct Planned {
    pub fault: Fault,
    pub seen: usize,
    pub used: bool,
}

/// Which door a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Rest,
    GraphQl,
    Git,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Logged {
    pub door: Door,
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// As in [`Fault::route`].
    pub route: String,
    /// 0: the connection was dropped.
    pub status: u16,
    /// It is of a kind that changes something.
    pub changes: bool,
    /// It had `If-None-Match`.
    pub conditional: bool,
    /// A fault was put in its way.
    pub disturbed: bool,
    /// Who asked, when known.
    pub account: Option<Id>,
}

/// Numbers of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// REST and GraphQL.
    pub api: usize,
    pub rest: usize,
    pub graphql: usize,
    /// Of `api`, how many are of a kind that changes something.
    pub changing: usize,
    /// Of `api`, how many were answered 304.
    pub not_modified: usize,
    pub git: usize,
    /// Of `git`, how many pushed.
    pub pushes: usize,
}

/// How much of the rate limit is used.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub limit: u64,
    pub used: u64,
    /// Seconds since the epoch.
    pub reset: i64,
}

/// What the server keeps besides the state.
#[derive(Default)]
pub struct Desk {
    pub faults: Vec<Planned>,
    pub log: Vec<Logged>,
    pub violations: Vec<String>,
    /// What reads answer from, and how many more of them.
    pub stale: Option<(State, Option<usize>)>,
    /// By secret and `core` or `graphql`.
    pub rates: BTreeMap<(String, &'static str), Rate>,
    /// How much there is; 5,000 when `None`.
    pub limit: Option<u64>,
}

impl Desk {
    /// The fault that is due at this request.
    pub fn due(&mut self, route: &str) -> Option<FaultKind> {
        let mut due = None;
        for planned in &mut self.faults {
            if planned.fault.route != route && planned.fault.route != "*" {
                continue;
            }
            planned.seen += 1;
            if due.is_none() && !planned.used && planned.seen == planned.fault.nth {
                planned.used = true;
                due = Some(planned.fault.kind.clone());
            }
        }
        due
    }

    /// Counts the log.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for one in &self.log {
            match one.door {
                Door::Git => {
                    count.git += 1;
                    count.pushes += usize::from(one.changes);
                    continue;
                }
                Door::Rest => count.rest += 1,
                Door::GraphQl => count.graphql += 1,
            }
            count.api += 1;
            count.changing += usize::from(one.changes);
            count.not_modified += usize::from(one.status == 304);
        }
        count
    }

    /// Whether nothing is left for a token.
    pub fn spent(&self, secret: &str, resource: &'static str, now: i64) -> bool {
        let rate = self.rates.get(&(secret.to_owned(), resource));
        let limit = self.limit.unwrap_or(5000);
        rate.is_some_and(|rate| rate.used >= limit && now < rate.reset)
    }

    /// One request more of a token; the rate as it is then.
    pub fn charge(&mut self, secret: &str, resource: &'static str, cost: u64, now: i64) -> Rate {
        let limit = self.limit.unwrap_or(5000);
        let rate = self
            .rates
            .entry((secret.to_owned(), resource))
            .or_insert(Rate {
                limit,
                used: 0,
                reset: now + 3600,
            });
        rate.limit = limit;
        if now >= rate.reset {
            rate.used = 0;
            rate.reset = now + 3600;
        }
        rate.used += cost;
        *rate
    }
}

impl Desk {
    /// The state that a read sees, when that is not today's.
    pub fn stale_state(&mut self) -> Option<State> {
        let (state, reads) = self.stale.as_mut()?;
        let state = state.clone();
        if let Some(reads) = reads {
            *reads = reads.saturating_sub(1);
            if *reads == 0 {
                self.stale = None;
            }
        }
        Some(state)
    }
}
