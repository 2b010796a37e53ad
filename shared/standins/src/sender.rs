//! Sends webhooks over plain HTTP.

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
    /// No answer within the vendor's deadline.
    TooLate,
    /// The address is no URL.
    Address(hyper::http::Error),
    /// The connection failed or ended without an answer.
    Connection(hyper_util::client::legacy::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLate => f.write_str("the webhook's receiver did not answer within the time that the vendor waits"),
            Self::Address(_) => f.write_str("the webhook's address is no URL; it should look like http://127.0.0.1:8080/intercom"),
            Self::Connection(_) => f.write_str("the connection to the webhook's receiver failed"),
        }
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TooLate => None,
            Self::Address(error) => Some(error),
            Self::Connection(error) => Some(error),
        }
    }
}

/// Keeps its connections.
#[derive(Debug)]
pub(crate) struct Sender(Client<HttpConnector, Full<Bytes>>);

impl Sender {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Posts JSON with these further headers and returns the status of the answer.
    pub(crate) async fn post(&self, url: &str, headers: &[(&str, &str)], body: Bytes, deadline: Duration) -> Result<u16, SendError> {
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(SendError::Address)?;
        match tokio::time::timeout(deadline, self.0.request(request)).await {
            Err(_) => Err(SendError::TooLate),
            Ok(Err(error)) => Err(SendError::Connection(error)),
            Ok(Ok(response)) => Ok(response.status().as_u16()),
        }
    }
}
