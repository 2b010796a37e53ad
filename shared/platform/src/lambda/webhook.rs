//! A function behind a function URL, or an HTTP API: both send payload format 2.0.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>
//!
//! The event is read leniently with own types: whatever a stranger puts into headers must not fail the invocation, which
//! the sender would see as our error.

use super::{Error, deadline};
use crate::clock::SystemClock;
use crate::settings::Environment;
use crate::telemetry::Chain;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::OnceCell;
use trefoil_domain::ports::Clock;
use trefoil_domain::time::Span;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    pub path: String,
    /// The raw bytes, as they were signed.
    pub body: Vec<u8>,
    headers: BTreeMap<String, String>,
}

impl Request {
    /// A header by its name in any case; several of one name are joined by commas.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }
}

/// An answer: a status, and a word or nothing. The sender gets no more than that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Response {
    pub fn status(status: u16) -> Self {
        Self { status, body: String::new() }
    }
}

/// The most patient sender waits for five seconds, the least for four, and a cold start comes before this. An answer that is
/// too late counts as none, and a function that is stopped answers 502, after which Customer.io holds everything back for an
/// hour.
const ANSWER_WITHIN: Duration = Duration::from_millis(2500);
/// What is left of the function's own time for the answer to get out.
const TO_GET_OUT: Span = Span::from_millis(500);

/// Starts a function behind a URL. `ready` reads the settings and makes the handler; the handler answers each request. What is
/// not answered in time, or ends in a panic, is answered 503, so that the sender comes again.
///
/// Where `ready` fails the answer is 503 as well, and the next request tries it anew: a process that ends instead is answered
/// 502 in its place.
///
/// # Errors
/// The runtime cannot be reached.
pub async fn start<R, H>(ready: R) -> Result<(), Error>
where
    R: AsyncFn(Environment) -> Result<H, Error>,
    H: AsyncFn(Request) -> Response,
{
    super::start(async |environment| {
        let made = OnceCell::new();
        let (ready, made) = (&ready, &made);
        let handler = async |environment| {
            let handler = made.get_or_try_init(async || ready(environment).await).await;
            handler.inspect_err(|error| {
                tracing::error!(error = %Chain(error.as_ref()), "the function cannot run; the sender is told to come again");
            })
        };
        let handler = &handler;
        // Before the first request: this time is not the sender's.
        drop(AssertUnwindSafe(handler(environment)).catch_unwind().await);
        let service = service_fn(async |event: LambdaEvent<Value>| {
            let left = deadline(&event.context).minus(TO_GET_OUT).since(SystemClock.now()).millis().max(0).unsigned_abs();
            let answer = async |request| match handler(Environment::of_process()).await {
                Ok(handler) => handler(request).await,
                Err(_) => Response::status(503),
            };
            let response = match request(event.payload) {
                Some(request) => in_time(ANSWER_WITHIN.min(Duration::from_millis(left)), answer(request)).await,
                None => Response::status(400),
            };
            Ok::<_, Error>(Wire { status_code: response.status, headers: Headers { content_type: "text/plain" }, body: response.body })
        });
        lambda_runtime::run(service).await
    })
    .await
}

async fn in_time(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("the handler panicked; the sender was told to come again");
            Response::status(503)
        }
        Err(_) => {
            tracing::error!(
                limit_ms = limit.as_millis(),
                "the webhook could not be made durable in time; the sender was told to come again"
            );
            Response::status(503)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status_code: u16,
    headers: Headers,
    body: String,
}

#[derive(Serialize)]
struct Headers {
    #[serde(rename = "content-type")]
    content_type: &'static str,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    raw_path: String,
    headers: BTreeMap<String, Value>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    http: Http,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Http {
    method: String,
}

/// `None`: not a request in this format, or a body that cannot be decoded.
fn request(event: Value) -> Option<Request> {
    let event: Event = serde_json::from_value(event).ok()?;
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let text = |(name, value): (String, Value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()));
    Some(Request {
        method: event.request_context.http.method.to_ascii_uppercase(),
        path: event.raw_path,
        body,
        headers: event.headers.into_iter().filter_map(text).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_is_read_with_its_bytes() {
        let event = json!({
            "version": "2.0", "rawPath": "/intercom", "rawQueryString": "",
            "headers": {"X-Hub-Signature": "sha1=00", "odd": 7},
            "requestContext": {"http": {"method": "post", "path": "/intercom"}},
            "body": "eyJhIjoi77+9In0=", "isBase64Encoded": true,
        });
        let request = request(event).expect("a request");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/intercom"));
        assert_eq!(request.header("x-hub-signature"), Some("sha1=00"));
        assert_eq!(request.header("X-HUB-SIGNATURE"), Some("sha1=00"));
        assert_eq!(request.header("odd"), None);
        assert_eq!(request.body, "{\"a\":\"\u{fffd}\"}".as_bytes());
    }

    #[test]
    fn text_is_taken_as_it_is_and_no_body_is_empty() {
        let with = |body: Value| request(json!({"body": body, "isBase64Encoded": false})).expect("a request").body;
        assert_eq!(with(json!("{\"a\": 1}\n")), b"{\"a\": 1}\n");
        assert_eq!(with(Value::Null), b"");
    }

    #[test]
    fn what_cannot_be_decoded_is_no_request() {
        assert_eq!(request(json!({"body": "not base64!", "isBase64Encoded": true})), None);
        assert_eq!(request(json!("text")), None);
    }

    #[tokio::test]
    async fn whoever_cannot_answer_says_come_again() {
        assert_eq!(in_time(Duration::from_millis(1), std::future::pending()).await, Response::status(503));
        assert_eq!(in_time(Duration::from_secs(60), async { panic!("on purpose") }).await, Response::status(503));
        assert_eq!(in_time(Duration::from_secs(60), async { Response::status(200) }).await, Response::status(200));
    }
}
