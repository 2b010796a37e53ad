//! A server that answers what it is told to, in order, and remembers what it was asked.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::needless_pass_by_value, reason = "literals read better than references to them")]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_domain::ports::Clock;
use trefoil_domain::time::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    hangs: bool,
}

pub(crate) fn reply(status: u16, body: impl ToString) -> Reply {
    Reply { status, headers: Vec::new(), body: body.to_string(), hangs: false }
}

pub(crate) fn hang() -> Reply {
    Reply { hangs: true, ..reply(200, "") }
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
struct Inner {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

#[derive(Clone, Default)]
pub(crate) struct StandIn(Arc<Mutex<Inner>>);

impl StandIn {
    /// Starts a server on a free port; what is asked beyond the replies gets a 418. Gives its address.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> (Self, String) {
        let stand_in = Self::default();
        stand_in.0.lock().expect("lock").replies.extend(replies);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (stand_in, address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().expect("lock").asked.clone()
    }

    pub(crate) fn unused_replies(&self) -> usize {
        self.0.lock().expect("lock").replies.len()
    }
}

async fn answer(State(stand_in): State<StandIn>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 10_000_000).await.expect("a body");
    let reply = {
        let mut inner = stand_in.0.lock().expect("lock");
        inner.asked.push(Asked {
            method: parts.method.to_string(),
            target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).expect("UTF-8"),
        });
        inner.replies.pop_front().unwrap_or_else(|| reply(418, "nothing more to say"))
    };
    if reply.hangs {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).expect("a response")
}

pub(crate) fn http() -> Http {
    Http::new(HttpSettings::default()).expect("a client")
}

/// Waits for a second, for whom does not answer at all; a busy machine has been asked by then.
pub(crate) fn impatient_http() -> Http {
    Http::new(HttpSettings { total_timeout: Duration::from_secs(1), ..HttpSettings::default() }).expect("a client")
}

/// Reads at most 2,000 bytes.
pub(crate) fn brief_http() -> Http {
    Http::new(HttpSettings { most_answer_bytes: 2_000, ..HttpSettings::default() }).expect("a client")
}

/// An address at which nobody listens: nobody is given this port.
pub(crate) fn nobody() -> String {
    "http://127.0.0.1:1".to_owned()
}
