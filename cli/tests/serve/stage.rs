//! The stand-ins, the settings that lead to them, and plain HTTP.

use crate::process::{PATIENCE, Serve, Variables};
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use trefoil_domain::ports::{Clock as _, Delivery, QueueName};
use trefoil_domain::time::Span;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, Depth, SqliteQueue};
use trefoil_standins::intercom::{Webhook, sign};
use trefoil_standins::{Clock, customerio, intercom};

/// Webhooks under way at a time.
const AT_ONCE: usize = 8;
/// What met others at work on the same person comes again within this time.
const SOON: Span = Span::from_secs(2);

pub(crate) struct Stage {
    /// Moved by hand: what is told happened days ago.
    pub(crate) clock: Clock,
    pub(crate) intercom: intercom::Intercom,
    pub(crate) customerio: customerio::CustomerIo,
    pub(crate) data: TempDir,
    pub(crate) variables: Variables,
}

impl Stage {
    pub(crate) async fn new(intercom: intercom::Variants, customerio: customerio::Variants) -> Self {
        let clock = Clock::manual(SystemClock.now().minus(Span::from_days(6)).secs());
        let deadline = Some(PATIENCE);
        let options = intercom::Options { clock: clock.clone(), variants: intercom, deadline, ..intercom::Options::default() };
        let intercom = intercom::Intercom::start(options).await.expect("a port");
        // Without body content nobody is told which topics have changed.
        let options = customerio::Options {
            clock: clock.clone(),
            variants: customerio,
            with_content: true,
            deadline,
            ..customerio::Options::default()
        };
        let customerio = customerio::CustomerIo::start(options).await.expect("a port");
        let variables = [
            ("TREFOIL_INTERCOM_CLIENT_SECRET", intercom.options().client_secret.as_str()),
            ("TREFOIL_INTERCOM_TOKEN", &intercom.options().access_token),
            ("TREFOIL_INTERCOM_URL", &intercom.url()),
            ("TREFOIL_CUSTOMERIO_SITE_ID", &customerio.options().site_id),
            ("TREFOIL_CUSTOMERIO_API_KEY", &customerio.options().track_api_key),
            ("TREFOIL_CUSTOMERIO_APP_API_KEY", &customerio.options().app_api_key),
            ("TREFOIL_CUSTOMERIO_URL", &customerio.track_url()),
            ("TREFOIL_CUSTOMERIO_APP_URL", &customerio.app_url()),
            ("TREFOIL_CUSTOMERIO_APP_RATE", "200"),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { clock, intercom, customerio, data: TempDir::new().expect("a folder"), variables }
    }

    pub(crate) async fn plain() -> Self {
        Self::new(intercom::Variants::default(), customerio::Variants::default()).await
    }

    pub(crate) async fn serve(&self) -> Serve {
        Serve::start(&self.variables, self.data.path()).await
    }

    /// Posts all of them, a few at a time, in about this order; gives back those that were not answered with 200.
    pub(crate) async fn deliver(&self, url: &str, webhooks: &[Webhook]) -> Vec<Webhook> {
        let send = async |webhook: &Webhook| {
            let accepted = matches!(self.intercom.send(url, webhook).await, Ok(200));
            (!accepted).then(|| webhook.clone())
        };
        let failed: Vec<Option<Webhook>> = futures::stream::iter(webhooks).map(send).buffer_unordered(AT_ONCE).collect().await;
        failed.into_iter().flatten().collect()
    }

    /// A webhook of ours around `item`, signed as Intercom signs.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        sign(&self.intercom.options().client_secret, body)
    }

    /// Stops it, and runs it again until nothing is left that would be tried within seconds: on a busy machine the time that a stop
    /// has may not suffice. Answers what all of them wrote.
    pub(crate) async fn finish(&self, mut serve: Serve) -> String {
        let begun = Instant::now();
        let mut written = String::new();
        loop {
            let (status, output) = serve.stop().await;
            assert!(status.success(), "{output}");
            written += &output;
            let (queues, soon) = (self.queues(), SystemClock.now().plus(SOON));
            let mut left = Vec::new();
            for queue in QueueName::ALL.into_iter().filter(|queue| *queue != QueueName::Parked) {
                left.extend(queues.free_at(queue).await.expect("the file can be read").filter(|at| *at <= soon).map(|_| queue));
            }
            drop(queues);
            if left.is_empty() {
                return written;
            }
            assert!(begun.elapsed() < PATIENCE, "there is always something left to do in {left:?}\n{written}");
            serve = self.serve().await;
        }
    }

    /// The queues of a program that has stopped.
    pub(crate) fn queues(&self) -> SqliteQueue {
        SqliteQueue::new(Db::open(self.data.path()).expect("the file is free"), Arc::new(SystemClock), 1000)
    }

    /// What has been parked by a program that has stopped.
    pub(crate) async fn parked(&self) -> Vec<Delivery> {
        let parked = self.queues().receive(QueueName::Parked, 1000, Span::from_mins(1), SystemClock.now()).await;
        parked.expect("the file can be read")
    }

    /// Asserts that a program that has stopped had worked off what came in, and that nothing is dead. What was to be tried
    /// again later, at Customer.io or for somebody who is not at Intercom yet, waits for that.
    pub(crate) async fn nothing_left(&self) {
        let depths = self.queues().depths(SystemClock.now()).await.expect("the file can be read");
        for (queue, Depth { visible, in_flight, dead }) in depths {
            let undone = match queue {
                QueueName::Events | QueueName::IntercomState | QueueName::Segment => visible + in_flight,
                QueueName::CustomerioState | QueueName::Customerio | QueueName::Intercom | QueueName::Parked => 0,
            };
            assert_eq!((undone, dead), (0, 0), "left in {queue}");
        }
    }
}

/// What came back of one request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// One request, on a connection of its own. `None`: the connection ended without an answer.
pub(crate) async fn request(method: Method, url: &str, signature: Option<&str>, body: impl Into<Bytes>) -> Option<Answer> {
    let signature = signature.map(|signature| ("x-hub-signature", signature.to_owned()));
    request_with(method, url, signature.as_slice(), body).await
}

/// As [`request`], with these headers.
pub(crate) async fn request_with(method: Method, url: &str, headers: &[(&str, String)], body: impl Into<Bytes>) -> Option<Answer> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let answer = client.request(request.body(Full::new(body.into())).expect("a request")).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some(Answer { status, body })
}
