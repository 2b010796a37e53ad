//! The one place where HTTP clients are made: timeouts, a cap on answers, no redirects, and errors that carry nothing of
//! what was sent. Knows no vendor.
//!
//! TLS is rustls with ring and Mozilla's roots compiled in: reading the system's certificates costs milliseconds in every
//! cold start. Plain `http://` is allowed for stand-ins on the same machine.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Request, Url};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trefoil_domain::time::{Span, Timestamp};

use crate::limit::LONGEST_WAIT;

#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    pub connect_timeout: Duration,
    /// From the first byte sent to the last byte read.
    pub total_timeout: Duration,
    /// Larger answers are not read to their end.
    pub most_answer_bytes: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(2), total_timeout: Duration::from_secs(10), most_answer_bytes: 1024 * 1024 }
    }
}

/// A client with its pool of connections; copies share it.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    /// Takes a new connection for every call.
    fresh: Client,
    most_answer_bytes: usize,
}

/// The client cannot be made.
#[derive(Debug)]
pub struct HttpSetUpError(String);

impl fmt::Display for HttpSetUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the HTTP client cannot be made: {}", self.0)
    }
}

impl std::error::Error for HttpSetUpError {}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// There is no usable answer. Whether the vendor acted on the request is unknown, except for [`CallError::Unreachable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// No connection: refused, no such host, TLS failed.
    Unreachable,
    TimedOut,
    /// The connection broke.
    BrokenOff,
    /// The answer is larger than the cap.
    TooLarge,
    /// The request cannot be written as HTTP. Our mistake.
    Unsendable,
}

impl CallError {
    /// The word for outcomes and counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "destination_unreachable",
            Self::TimedOut => "destination_timed_out",
            Self::BrokenOff => "connection_broken_off",
            Self::TooLarge => "answer_too_large",
            Self::Unsendable => "request_unsendable",
        }
    }
}

/// One request. Its `Debug` shows neither credentials nor the body.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) authorization: HeaderValue,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    /// JSON.
    pub(crate) body: Option<Bytes>,
    /// Twice is as good as once.
    pub(crate) repeatable: bool,
    /// Instead of the client's own cap.
    pub(crate) most_answer_bytes: Option<usize>,
}

impl Http {
    /// # Errors
    /// TLS or the client cannot be set up, which has nothing to do with any network.
    pub fn new(settings: HttpSettings) -> Result<Self, HttpSetUpError> {
        let failed = |error: &dyn fmt::Display| HttpSetUpError(error.to_string());
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = |tls| {
            Client::builder()
                .tls_backend_preconfigured(tls)
                .connect_timeout(settings.connect_timeout)
                .timeout(settings.total_timeout)
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .user_agent(concat!("trefoil/", env!("CARGO_PKG_VERSION")))
        };
        let built = |builder: reqwest::ClientBuilder| builder.build().map_err(|e| failed(&e.without_url()));
        Ok(Self {
            client: built(client(tls.clone()))?,
            fresh: built(client(tls).pool_max_idle_per_host(0))?,
            most_answer_bytes: settings.most_answer_bytes,
        })
    }

    /// Sends `call`. A connection may be dead since its last use: a function sleeps for minutes between invocations, and the
    /// other side does not wait. What may be repeated is sent again if its connection broke; what may not takes a new one, so
    /// that it does not end in doubt for that.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, CallError> {
        if !call.repeatable {
            return self.send_once(&self.fresh, call).await;
        }
        match self.send_once(&self.client, call).await {
            Err(CallError::BrokenOff) => self.send_once(&self.client, call).await,
            other => other,
        }
    }

    async fn send_once(&self, client: &Client, call: &Call) -> Result<Answer, CallError> {
        let mut request = Request::new(call.method.clone(), call.url.clone());
        let headers = request.headers_mut();
        headers.insert(reqwest::header::AUTHORIZATION, call.authorization.clone());
        headers.insert(reqwest::header::ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &call.headers {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        if let Some(body) = &call.body {
            headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.clone().into());
        }
        let mut response = client.execute(request).await.map_err(|e| classify(&e))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let cap = call.most_answer_bytes.unwrap_or(self.most_answer_bytes);
        if response.content_length().is_some_and(|length| length > cap as u64) {
            return Err(CallError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| classify(&e))? {
            if body.len() + chunk.len() > cap {
                return Err(CallError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

fn classify(error: &reqwest::Error) -> CallError {
    // Connecting may time out as well, and then nothing was sent.
    if error.is_connect() {
        CallError::Unreachable
    } else if error.is_timeout() {
        CallError::TimedOut
    } else if error.is_builder() {
        CallError::Unsendable
    } else {
        CallError::BrokenOff
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the vendor asks us to wait, at most [`LONGEST_WAIT`].
    pub(crate) fn retry_after(&self, now: Timestamp) -> Option<Span> {
        retry_after(self.header(RETRY_AFTER.as_str())?, now)
    }
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, 10.2.3). `None` when it is neither.
fn retry_after(value: &str, now: Timestamp) -> Option<Span> {
    let value = value.trim();
    let wait = match value.parse::<u32>() {
        Ok(secs) => Span::from_secs(secs.into()),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Timestamp::from_millis(date.as_millisecond()).since(now)
        }
    };
    Some(wait.clamp(Span::ZERO, LONGEST_WAIT))
}

/// `Bearer <token>`, marked as secret.
///
/// # Errors
/// The token has characters that no header can carry.
#[cfg(any(test, feature = "customerio-out", feature = "intercom-out"))]
pub(crate) fn bearer(token: &SecretString) -> Result<HeaderValue, InvalidCredential> {
    sensitive(format!("Bearer {}", token.expose_secret().trim()))
}

/// Basic authentication, marked as secret.
///
/// # Errors
/// The key has characters that no header can carry.
#[cfg(any(feature = "customerio-out", feature = "segment-out"))]
pub(crate) fn basic(user: &str, password: &SecretString) -> Result<HeaderValue, InvalidCredential> {
    use base64::Engine as _;
    let pair = format!("{}:{}", user.trim(), password.expose_secret().trim());
    sensitive(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

fn sensitive(text: String) -> Result<HeaderValue, InvalidCredential> {
    let mut value = HeaderValue::try_from(text).map_err(|_| InvalidCredential)?;
    value.set_sensitive(true);
    Ok(value)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidCredential;

/// The base address of a vendor's API, without a slash at its end.
///
/// # Errors
/// It is not an `http` or `https` address, or carries more than host, port and path.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("is not an address: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("must be http:// or https:// with a host and nothing but a path".to_owned());
    }
    Ok(url)
}

/// `base` with these path segments, each encoded.
pub(crate) fn at(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_a_quarter_of_an_hour() {
        let now = Timestamp::parse_rfc3339("1994-11-06T08:49:07Z").expect("a time");
        for (value, expected) in [
            ("7", Some(Span::from_secs(7))),
            (" 7 ", Some(Span::from_secs(7))),
            ("0", Some(Span::ZERO)),
            ("86400", Some(LONGEST_WAIT)),
            ("99999999999999999999", None),
            ("-3", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Span::from_secs(30))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(Span::ZERO)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(LONGEST_WAIT)),
        ] {
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        let base = base_url("https://api.example.com/v9/").expect("an address");
        assert_eq!(at(&base, &["contacts", "../../a b?c#d"]).as_str(), "https://api.example.com/v9/contacts/..%2F..%2Fa%20b%3Fc%23d");
        assert_eq!(at(&base, &["contacts", ".."]).path(), "/v9/contacts");
        for bad in ["api.example.com", "ftp://example.com", "https://user:secret@example.com", "https://example.com/?a=b"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_do_not_show() {
        let value = bearer(&SecretString::from("very-secret-token")).expect("a header");
        assert!(!format!("{value:?}").contains("very"));
        assert!(bearer(&SecretString::from("two\nlines")).is_err());
    }

    /// Serves connections one after the other: each answers as many requests as its number says and then breaks off in the
    /// middle of the next. Gives the address and the number of requests seen.
    async fn breaking(connections: Vec<usize>) -> (Url, Arc<std::sync::atomic::AtomicUsize>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = base_url(&format!("http://{}", listener.local_addr().expect("an address"))).expect("an address");
        let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = seen.clone();
        tokio::spawn(async move {
            for answers in connections {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                for served in 0..=answers {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { break };
                        request.push(byte);
                    }
                    if request.is_empty() {
                        break;
                    }
                    counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if served < answers {
                        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("written");
                    }
                }
            }
        });
        (url, seen)
    }

    fn get(url: Url) -> Call {
        let authorization = bearer(&SecretString::from("very-secret-token")).expect("a header");
        Call { method: Method::GET, url, authorization, headers: Vec::new(), body: None, repeatable: true, most_answer_bytes: None }
    }

    #[tokio::test]
    async fn a_connection_that_died_since_its_last_use_is_replaced_once() {
        let http = Http::new(HttpSettings::default()).expect("a client");
        let (url, seen) = breaking(vec![1, 1]).await;
        let call = get(url);
        assert_eq!(http.send(&call).await.map(|a| a.status), Ok(200));
        assert_eq!(http.send(&call).await.map(|a| a.status), Ok(200));
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 3);
        let (url, seen) = breaking(vec![0, 0, 1]).await;
        assert_eq!(http.send(&get(url)).await.map(|a| a.status), Err(CallError::BrokenOff));
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_must_not_be_repeated_is_sent_once_and_never_over_a_used_connection() {
        let http = Http::new(HttpSettings::default()).expect("a client");
        // Each connection would serve two.
        let (url, seen) = breaking(vec![1, 1, 0, 1]).await;
        let call = Call { repeatable: false, ..get(url) };
        assert_eq!(http.send(&call).await.map(|a| a.status), Ok(200));
        assert_eq!(http.send(&call).await.map(|a| a.status), Ok(200));
        assert_eq!(http.send(&call).await.map(|a| a.status), Err(CallError::BrokenOff));
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 3);
    }
}
