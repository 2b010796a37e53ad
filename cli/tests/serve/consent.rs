//! Out in one tool is out in all three, of everything and of one topic; and what the tools then tell of it changes nothing.

use crate::ada::EMAIL;
use crate::process::Serve;
use crate::stage::request_with;
use crate::three::Three;
use hyper::Method;
use serde_json::{Value, json};

/// Of Intercom's two types, the one that people are in until they leave.
const TYPE: &str = "37846";
const TOPICS: &str = "consent:\n  topics:\n    - { customerio: topic_1, intercom: 37846, segment: product_news }\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Tool {
    Customerio,
    Intercom,
    Segment,
}

impl Three {
    async fn with_a_topic() -> Self {
        let three = Self::new(Some(TOPICS)).await;
        three.ada.stage.customerio.add_topic(1, "Product news", true);
        three
    }

    /// Ada leaves, everything or the topic.
    async fn leaves(&self, serve: &Serve, tool: Tool, topic: bool) {
        let stage = &self.ada.stage;
        match tool {
            Tool::Customerio => {
                let cio_id = self.cio_id();
                let told = if topic { stage.customerio.set_topic(&cio_id, 1, false) } else { stage.customerio.unsubscribe(&cio_id) };
                self.of_customerio(serve, &told.expect("she is there")).await;
            }
            Tool::Intercom => {
                // Some other program of the customer's does it for her: there is nothing else that tells of it.
                let contact = format!("{}/contacts/{}", stage.intercom.url(), self.ada.contact);
                let bearer = format!("Bearer {}", stage.intercom.options().access_token);
                let headers = [("authorization", bearer), ("intercom-version", "2.16".to_owned())];
                let (method, url, body) = if topic {
                    (Method::POST, format!("{contact}/subscriptions"), json!({"id": TYPE, "consent_type": "opt_out"}))
                } else {
                    (Method::PUT, contact, json!({"unsubscribed_from_emails": true}))
                };
                let answer = request_with(method, &url, &headers, body.to_string()).await.expect("an answer");
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                self.of_intercom(serve, &stage.intercom.take_webhooks()).await;
            }
            Tool::Segment => {
                let properties = if topic { json!({"list_id": "product_news"}) } else { json!({}) };
                self.segment.app_track(&Self::caller(), "Unsubscribed", &properties);
                self.of_segment(serve).await;
            }
        }
    }

    fn is_out(&self, tool: Tool, topic: bool) -> bool {
        match tool {
            Tool::Customerio => {
                let profile = self.ada.stage.customerio.profiles().into_iter().find(|profile| profile.email.as_deref() == Some(EMAIL));
                profile.is_some_and(|profile| if topic { profile.topic(1) == Some(false) } else { profile.is_unsubscribed() })
            }
            Tool::Intercom => {
                let contact = self.ada.contact();
                if topic { contact.subscriptions.contains(TYPE) } else { contact.unsubscribed_from_emails }
            }
            Tool::Segment => {
                let name = if topic { "unsubscribed_product_news" } else { "unsubscribed" };
                self.at_segment(EMAIL).and_then(|profile| profile.traits.get(name).cloned()) == Some(Value::Bool(true))
            }
        }
    }

    async fn until_out(&self, tool: Tool, topic: bool) {
        let what = format!("out at {tool:?}");
        match tool {
            Tool::Customerio => self.until_customerio(&what, |_| self.is_out(tool, topic)).await,
            Tool::Intercom => self.ada.until(&what, |_| self.is_out(tool, topic)).await,
            Tool::Segment => self.until_segment(&what, |_| self.is_out(tool, topic)).await,
        }
    }
}

async fn out_of(tool: Tool) {
    let others = [Tool::Customerio, Tool::Intercom, Tool::Segment].into_iter().filter(|other| *other != tool);
    let three = Three::with_a_topic().await;
    for topic in [true, false] {
        let serve = three.ada.stage.serve().await;
        three.leaves(&serve, tool, topic).await;
        for other in others.clone() {
            three.until_out(other, topic).await;
        }
        three.silence(serve).await;
        for other in others.clone() {
            assert!(three.is_out(other, topic), "{other:?}");
            assert_eq!(three.is_out(other, !topic), !topic, "leaving one topic is not leaving everything: {other:?}");
        }
        three.ada.stage.clock.advance(std::time::Duration::from_mins(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_at_customerio_is_out_everywhere() {
    out_of(Tool::Customerio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_at_intercom_is_out_everywhere() {
    out_of(Tool::Intercom).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_at_segment_is_out_everywhere() {
    out_of(Tool::Segment).await;
}
