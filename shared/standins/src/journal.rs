//! What was asked of a stand-in and what it answered. Credentials are left out; bodies stay as they came, so that
//! recording costs little while a load test runs.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How much a stand-in remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Every request with its body, and every event.
    #[default]
    Everything,
    /// Counts only, for load runs: requests by route and second, events by name.
    Counters,
}

/// One request and how it ended.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Unix milliseconds by the stand-in's clock.
    pub at_ms: i64,
    pub method: String,
    /// The path with its variable parts as `{name}`, as in the vendor's reference; the path itself if it is no such route.
    pub route: String,
    /// As sent: not decoded.
    pub path: String,
    /// As sent: not decoded.
    pub query: Option<String>,
    pub body: Bytes,
    /// What the client got; `None` if the connection was dropped or left hanging.
    pub status: Option<u16>,
    /// Whether the request reached the stand-in's logic. False if a fault answered in its place.
    pub handled: bool,
    headers: HeaderMap,
}

impl Recorded {
    pub(crate) fn new(at_ms: i64, method: String, route: String, uri: &axum::http::Uri, mut headers: HeaderMap, body: Bytes) -> Self {
        headers.remove(axum::http::header::AUTHORIZATION);
        let query = uri.query().map(str::to_owned);
        Self { at_ms, method, route, path: uri.path().to_owned(), query, body, status: None, handled: false, headers }
    }

    /// The body, decoded; `None` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header of the request, except `Authorization`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[must_use]
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// What happened on one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Answered with 2xx.
    pub accepted: u64,
    /// Answered with anything else.
    pub refused: u64,
    /// Dropped or left hanging.
    pub unanswered: u64,
    /// Requests by unix second, whatever came of them.
    pub per_second: BTreeMap<i64, u64>,
}

impl Counter {
    #[must_use]
    pub fn total(&self) -> u64 {
        self.accepted + self.refused + self.unanswered
    }

    /// The busiest second.
    #[must_use]
    pub fn peak_per_second(&self) -> u64 {
        self.per_second.values().copied().max().unwrap_or(0)
    }
}

/// A state that did not come within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInTime(pub Duration);

impl fmt::Display for NotInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was waited for did not happen within {:?}", self.0)
    }
}

impl std::error::Error for NotInTime {}

#[derive(Debug)]
pub struct Journal {
    keep: Keep,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    counters: BTreeMap<String, Counter>,
}

impl Journal {
    pub(crate) fn new(keep: Keep) -> Self {
        Self { keep, state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Every request in the order of its ending. Empty with [`Keep::Counters`].
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// The requests of one route, such as `/api/v2/batch` or `/v1/customers/{id}/attributes`.
    #[must_use]
    pub fn requests_to(&self, route: &str) -> Vec<Recorded> {
        self.state().requests.iter().filter(|request| request.route == route).cloned().collect()
    }

    /// The counts of one route; zeros if nobody asked.
    #[must_use]
    pub fn counter(&self, route: &str) -> Counter {
        self.state().counters.get(route).cloned().unwrap_or_default()
    }

    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, Counter> {
        self.state().counters.clone()
    }

    /// Forgets requests and counts; what the requests changed stays.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    pub(crate) fn record(&self, request: Recorded) {
        let second = request.at_ms.div_euclid(1000);
        let mut state = self.state();
        if !state.counters.contains_key(&request.route) {
            state.counters.insert(request.route.clone(), Counter::default());
        }
        if let Some(counter) = state.counters.get_mut(&request.route) {
            *counter.per_second.entry(second).or_default() += 1;
            match request.status {
                Some(_) if request.accepted() => counter.accepted += 1,
                Some(_) => counter.refused += 1,
                None => counter.unanswered += 1,
            }
        }
        match self.keep {
            Keep::Everything => state.requests.push(request),
            Keep::Counters => {}
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Waits for `check` to hold; it is tried now and after every request.
    pub(crate) async fn wait(&self, limit: Duration, mut check: impl FnMut() -> bool) -> Result<(), NotInTime> {
        let mut changes = self.changed.subscribe();
        let met = async {
            while !check() {
                // The sender lives as long as `self`.
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, met).await.map_err(|_| NotInTime(limit))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
