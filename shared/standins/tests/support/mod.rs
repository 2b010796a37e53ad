//! A plain HTTP client and the few requests that the tests repeat.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod desk;
pub(crate) mod segment;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use trefoil_standins::Clock;
use trefoil_standins::customerio::{CustomerIo, Options, Variants};

/// Ends a test that hangs. Nothing takes nearly as long, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);
/// 2026-01-10T07:56:29Z.
pub(crate) const NOW: i64 = 1_768_031_789;

pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON answer")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// The answer, or the text of what went wrong with the connection.
    pub(crate) async fn call(&self, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let response = self.0.request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// A stand-in of Customer.io whose clock stands still, and how to talk to it.
pub(crate) struct Cio {
    pub(crate) http: Http,
    pub(crate) cio: CustomerIo,
    pub(crate) clock: Clock,
}

/// `standin-site:standin-track-key`
pub(crate) const BASIC: (&str, &str) = ("authorization", "Basic c3RhbmRpbi1zaXRlOnN0YW5kaW4tdHJhY2sta2V5");
pub(crate) const BEARER: (&str, &str) = ("authorization", "Bearer standin-app-key");

impl Cio {
    pub(crate) async fn start(variants: Variants) -> Self {
        Self::with(Options { variants, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Clock::manual(NOW);
        let cio = CustomerIo::start(Options { clock: clock.clone(), ..options }).await.expect("a free port");
        Self { http: Http::new(), cio, clock }
    }

    pub(crate) async fn batch(&self, items: &Value) -> Answer {
        self.track("/api/v2/batch", json!({ "batch": items }).to_string()).await
    }

    pub(crate) async fn entity(&self, item: &Value) -> Answer {
        self.track("/api/v2/entity", item.to_string()).await
    }

    pub(crate) async fn track(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let url = format!("{}{path}", self.cio.track_url());
        self.http.call("POST", &url, &[BASIC, ("content-type", "application/json")], body).await.expect("an answer")
    }

    pub(crate) async fn app(&self, path: &str) -> Answer {
        self.http.call("GET", &format!("{}{path}", self.cio.app_url()), &[BEARER], "").await.expect("an answer")
    }
}

/// Where webhooks can be sent to, and what comes there. It answers 202.
pub(crate) async fn receiver() -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (told, tells) = mpsc::unbounded_channel();
    let hook = async |State(told): State<mpsc::UnboundedSender<(HeaderMap, Bytes)>>, headers: HeaderMap, body: Bytes| {
        told.send((headers, body)).expect("the test listens");
        StatusCode::ACCEPTED
    };
    let routes = Router::new().route("/webhooks", post(hook)).with_state(told);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, tells)
}

pub(crate) fn identify(who: &Value, attributes: &Value, timestamp: i64) -> Value {
    json!({"type": "person", "action": "identify", "identifiers": who, "attributes": attributes, "timestamp": timestamp})
}

pub(crate) fn event(who: &Value, name: &str, ulid: &str) -> Value {
    json!({"type": "person", "action": "event", "identifiers": who, "name": name, "id": ulid, "timestamp": NOW, "attributes": {}})
}
