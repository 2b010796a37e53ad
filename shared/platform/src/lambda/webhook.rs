//! A function behind a function URL, or an HTTP API: both send payload format 2.0.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>
//!
//! The event is read leniently with own types: whatever a stranger puts into headers must not fail the invocation, which
//! the sender would see as our error.

use super::{Error, deadline};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use trefoil_domain::time::Timestamp;

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    pub path: String,
    /// The raw bytes, as they were signed.
    pub body: Vec<u8>,
    /// When the function is stopped.
    pub deadline: Timestamp,
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

/// Runs `handler` for each request.
///
/// # Errors
/// The runtime cannot be reached.
pub async fn run_webhook<F>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Request) -> Response,
{
    let handler = &handler;
    let service = service_fn(async |event: LambdaEvent<Value>| {
        let response = match request(event.payload, deadline(&event.context)) {
            Some(request) => handler(request).await,
            None => Response::status(400),
        };
        Ok::<_, Error>(Wire { status_code: response.status, headers: Headers { content_type: "text/plain" }, body: response.body })
    });
    lambda_runtime::run(service).await
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
fn request(event: Value, deadline: Timestamp) -> Option<Request> {
    let event: Event = serde_json::from_value(event).ok()?;
    let body = event.body.unwrap_or_default();
    let body = if event.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let text = |(name, value): (String, Value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned()));
    Some(Request {
        method: event.request_context.http.method.to_ascii_uppercase(),
        path: event.raw_path,
        body,
        deadline,
        headers: event.headers.into_iter().filter_map(text).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEADLINE: Timestamp = Timestamp::from_secs(9);

    #[test]
    fn a_request_is_read_with_its_bytes() {
        let event = json!({
            "version": "2.0", "rawPath": "/intercom", "rawQueryString": "",
            "headers": {"X-Hub-Signature": "sha1=00", "odd": 7},
            "requestContext": {"http": {"method": "post", "path": "/intercom"}},
            "body": "eyJhIjoi77+9In0=", "isBase64Encoded": true,
        });
        let request = request(event, DEADLINE).expect("a request");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/intercom"));
        assert_eq!(request.header("x-hub-signature"), Some("sha1=00"));
        assert_eq!(request.header("X-HUB-SIGNATURE"), Some("sha1=00"));
        assert_eq!(request.header("odd"), None);
        assert_eq!(request.body, "{\"a\":\"\u{fffd}\"}".as_bytes());
        assert_eq!(request.deadline, DEADLINE);
    }

    #[test]
    fn text_is_taken_as_it_is_and_no_body_is_empty() {
        let with = |body: Value| request(json!({"body": body, "isBase64Encoded": false}), DEADLINE).expect("a request").body;
        assert_eq!(with(json!("{\"a\": 1}\n")), b"{\"a\": 1}\n");
        assert_eq!(with(Value::Null), b"");
    }

    #[test]
    fn what_cannot_be_decoded_is_no_request() {
        assert_eq!(request(json!({"body": "not base64!", "isBase64Encoded": true}), DEADLINE), None);
        assert_eq!(request(json!("text"), DEADLINE), None);
    }
}
