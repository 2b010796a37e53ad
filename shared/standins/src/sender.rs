//! Sends webhooks to whoever is being tried, over plain HTTP, and keeps the connections.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::time::Duration;

/// Why a webhook got no status.
#[derive(Debug)]
pub enum SendError {
    /// No answer within the vendor's deadline, which is given.
    TooLate(Duration),
    /// The address is no URL.
    Address(hyper::http::Error),
    /// The connection failed or ended without an answer.
    Connection(hyper_util::client::legacy::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLate(deadline) => write!(f, "the webhook's receiver did not answer within {deadline:?}"),
            Self::Address(_) => f.write_str("the webhook's address is no URL; it should look like http://127.0.0.1:8080/intercom"),
            Self::Connection(_) => f.write_str("the connection to the webhook's receiver failed"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLate(_) => None,
            Self::Address(error) => Some(error),
            Self::Connection(error) => Some(error),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    deadline: Duration,
}

impl Sender {
    /// Later answers than `deadline` are failed deliveries.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), deadline }
    }

    /// Posts JSON and returns the status of the answer.
    pub(crate) async fn post(&self, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<u16, SendError> {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(SendError::Address)?;
        match tokio::time::timeout(self.deadline, self.client.request(request)).await {
            Err(_) => Err(SendError::TooLate(self.deadline)),
            Ok(Err(error)) => Err(SendError::Connection(error)),
            Ok(Ok(response)) => Ok(response.status().as_u16()),
        }
    }
}
