//! Intercom, to be written to.

use super::{Answer, Http, NOW};
use serde_json::{Value, json};
use trefoil_standins::Clock;
use trefoil_standins::intercom::{Intercom, Options, Variants, Webhook, sign};

const HEADERS: [(&str, &str); 3] =
    [("authorization", "Bearer standin-access-token"), ("intercom-version", "2.16"), ("content-type", "application/json")];
/// The one teammate.
pub(crate) const ADMIN: &str = "9608799";

/// A stand-in of Intercom whose clock stands still, and how to write to it.
pub(crate) struct Desk {
    http: Http,
    pub(crate) intercom: Intercom,
    pub(crate) clock: Clock,
}

impl Desk {
    pub(crate) async fn new(variants: Variants) -> Self {
        Self::with(Options { variants, ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Clock::manual(NOW);
        let intercom = Intercom::start(Options { clock: clock.clone(), ..options }).await.expect("a free port");
        Self { http: Http::new(), intercom, clock }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_ask(method, path, body).await.expect("an answer")
    }

    pub(crate) async fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Answer, String> {
        let body = match body {
            Value::Null => String::new(),
            // Not JSON, to be sent as it is.
            Value::String(raw) => raw.clone(),
            body => body.to_string(),
        };
        self.http.call(method, &format!("{}{path}", self.intercom.url()), &HEADERS, body).await
    }

    /// What must be a 200 with JSON.
    pub(crate) async fn done(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.done("POST", path, body).await
    }

    pub(crate) async fn made(&self, body: &Value) -> String {
        text(&self.post("/contacts", body).await["id"])
    }

    /// Ids of the contacts with this address, as the search knows it.
    pub(crate) async fn search(&self, email: &str) -> Vec<String> {
        let query = json!({"query": {"operator": "AND", "value": [{"field": "email", "operator": "=", "value": email}]}});
        let found = self.post("/contacts/search", &query).await;
        found["data"].as_array().expect("a list").iter().map(|contact| text(&contact["id"])).collect()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.intercom.take_webhooks().into_iter().map(|webhook| webhook.topic).collect()
    }

    pub(crate) fn told(&self) -> (Vec<Value>, Vec<String>) {
        let webhooks = self.intercom.take_webhooks();
        (webhooks.iter().map(item).collect(), webhooks.into_iter().map(|webhook| webhook.topic).collect())
    }
}

pub(crate) fn item(webhook: &Webhook) -> Value {
    assert_eq!(webhook.signature, sign("standin-client-secret", &webhook.body));
    webhook.json()["data"]["item"].clone()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

pub(crate) fn error(answer: &Answer) -> (u16, String, String) {
    let error = &answer.json()["errors"][0];
    (answer.status, text(&error["code"]), text(&error["message"]))
}
