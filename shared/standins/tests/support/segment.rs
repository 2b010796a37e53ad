//! Segment, to be written to.

use super::{Answer, Http, NOW};
use serde_json::{Value, json};
use trefoil_standins::Clock;
use trefoil_standins::segment::{Message, Options, Reason, Segment, Variants, Webhook};

/// `standin-write-key:`
pub(crate) const KEY: (&str, &str) = ("authorization", "Basic c3RhbmRpbi13cml0ZS1rZXk6");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
/// [`NOW`]
pub(crate) const NOW_ISO: &str = "2026-01-10T07:56:29.000Z";

/// A stand-in of Segment whose clock stands still, and how to talk to it.
pub(crate) struct Seg {
    pub(crate) http: Http,
    pub(crate) segment: Segment,
    pub(crate) clock: Clock,
}

impl Seg {
    pub(crate) async fn start(variants: Variants) -> Self {
        Self::with(Options { variants, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Clock::manual(NOW);
        let segment = Segment::start(Options { clock: clock.clone(), ..options }).await.expect("a free port");
        Self { http: Http::new(), segment, clock }
    }

    pub(crate) async fn raw(&self, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        self.http.call("POST", &format!("{}{path}", self.segment.url()), headers, body).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.raw(path, &[KEY, JSON], body.to_string()).await
    }

    /// What must be answered with 200.
    pub(crate) async fn batch(&self, batch: Value) {
        let answer = self.post("/v1/batch", &json!({"batch": batch, "sentAt": NOW_ISO})).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// Why messages were lost, in order; forgotten never.
    pub(crate) fn reasons(&self) -> Vec<Reason> {
        self.segment.lost().into_iter().map(|loss| loss.reason).collect()
    }

    pub(crate) fn only_message(&self) -> Message {
        let messages = self.segment.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.into_iter().next().expect("one message")
    }

    pub(crate) fn told(&self) -> Vec<Value> {
        self.segment.take_webhooks().iter().map(Webhook::json).collect()
    }
}
