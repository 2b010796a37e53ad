//! Listening on 127.0.0.1, with the journal and the faults in front of a vendor's routes. `hyper` is driven directly,
//! since a connection that closes without an answer is one of the faults.

use crate::clock::Clock;
use crate::fault::{Fault, Faults};
use crate::journal::{Journal, Keep, Recorded};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// More than any of the vendors takes; beyond it a request is refused unread.
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// What stands in front of a vendor's routes.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// How this vendor words a status that a fault asks for.
    refuse: fn(StatusCode, Option<Duration>, &Clock) -> Response,
}

impl Desk {
    pub(crate) fn new(clock: Clock, keep: Keep, refuse: fn(StatusCode, Option<Duration>, &Clock) -> Response) -> Arc<Self> {
        let journal = Journal::new(keep);
        let faults = Faults::new(clock.clone());
        Arc::new(Self { clock, journal, faults, refuse })
    }
}

/// A listening socket and its connections; both end when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port.
    pub(crate) async fn start(router: Router, desk: Arc<Desk>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = router.layer(middleware::from_fn_with_state(desk, attend));
        let task = tokio::spawn(accept(listener, router));
        Ok(Self { address, task })
    }

    /// Without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone()));
                }
                // Out of file handles, most likely: let some connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    // Only a matter of speed.
    stream.set_nodelay(true).ok();
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = routes.call(request);
        async move {
            let response: Response = answer.await.unwrap_or_else(|never| match never {});
            if response.extensions().get::<CloseConnection>().is_some() { Err(Closed) } else { Ok(response) }
        }
    });
    // A client that goes away is the client's affair.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Marks an answer that must not be sent.
#[derive(Clone, Copy)]
struct CloseConnection;

#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault closed the connection")
    }
}

impl std::error::Error for Closed {}

fn close() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CloseConnection);
    response
}

async fn attend(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT_BYTES).await;
    let route = parts.extensions.get::<MatchedPath>().map_or(parts.uri.path(), MatchedPath::as_str).to_owned();
    let mut record = Recorded::new(
        desk.clock.now_ms(),
        parts.method.to_string(),
        route,
        &parts.uri,
        parts.headers.clone(),
        body.as_ref().cloned().unwrap_or_default(),
    );
    let Ok(body) = body else {
        record.status = Some(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
        desk.journal.record(record);
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let happening = desk.faults.next(&record.method, &record.route, parts.uri.path());
    if !happening.latency.is_zero() {
        tokio::time::sleep(happening.latency).await;
    }
    let ordinary = |body: Bytes| next.run(Request::from_parts(parts, Body::from(body)));
    let response = match happening.then {
        None => {
            record.handled = true;
            ordinary(body).await
        }
        Some(Fault::Answer { status, wait }) => {
            (desk.refuse)(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), wait, &desk.clock)
        }
        Some(Fault::Drop { applied }) => {
            if applied {
                ordinary(body).await;
            }
            record.handled = applied;
            desk.journal.record(record);
            return close();
        }
        Some(Fault::Hang { applied }) => {
            if applied {
                ordinary(body).await;
            }
            record.handled = applied;
            let released = desk.faults.released();
            desk.journal.record(record);
            released.await;
            return close();
        }
        // Folded into `happening.latency`.
        Some(Fault::Latency(_)) => close(),
    };
    record.status = Some(response.status().as_u16());
    desk.journal.record(record);
    response
}
