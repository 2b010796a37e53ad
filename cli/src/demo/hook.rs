//! The webhooks of the three tools: sent as each of them sends, and read as the server reads them, to know under which ids
//! it wrote down what came of them.

use super::Stage;
use std::collections::BTreeSet;
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_connectors::intercom::IntercomWebhooks;
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::config::Config;
use trefoil_domain::event::Source;
use trefoil_domain::id::EventId;
use trefoil_domain::ports::{Clock as _, Received, Unauthorized};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Serve;
use trefoil_standins::{customerio, intercom, segment};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Customerio,
    Intercom,
    Segment,
}

impl Tool {
    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Customerio => "Customer.io",
            Self::Intercom => "Intercom",
            Self::Segment => "Segment",
        }
    }
}

/// A webhook that is ready to be sent.
pub(super) enum Hook {
    Customerio(customerio::Webhook),
    Intercom(intercom::Webhook),
    Segment(segment::Webhook),
}

impl Hook {
    pub(super) fn tool(&self) -> Tool {
        match self {
            Self::Customerio(_) => Tool::Customerio,
            Self::Intercom(_) => Tool::Intercom,
            Self::Segment(_) => Tool::Segment,
        }
    }

    /// What the tool calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Customerio(webhook) => webhook.name.clone(),
            Self::Intercom(webhook) => webhook.topic.clone(),
            Self::Segment(webhook) => {
                let message = webhook.json();
                let text = |key: &str| message.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
                match text("event") {
                    event if event.is_empty() => text("type"),
                    event => format!("{} \"{event}\"", text("type")),
                }
            }
        }
    }
}

impl From<intercom::Webhook> for Hook {
    fn from(webhook: intercom::Webhook) -> Self {
        Self::Intercom(webhook)
    }
}

impl From<customerio::Webhook> for Hook {
    fn from(webhook: customerio::Webhook) -> Self {
        Self::Customerio(webhook)
    }
}

impl From<segment::Webhook> for Hook {
    fn from(webhook: segment::Webhook) -> Self {
        Self::Segment(webhook)
    }
}

/// What the server made of a webhook.
#[derive(Default)]
pub(super) struct Read {
    pub(super) events: BTreeSet<EventId>,
    /// Why what it dropped at the door was dropped.
    pub(super) dropped: Option<&'static str>,
}

/// The doors of the server, once more.
pub(super) struct Readers {
    intercom: IntercomWebhooks,
    customerio: CustomerioWebhooks,
    segment: SegmentWebhooks,
}

impl Readers {
    pub(super) fn new(settings: &Serve, config: &Config) -> Result<Self, String> {
        let workspace = || settings.workspace.clone();
        let keys = settings.customerio_webhook.as_ref().map(|keys| keys.signing_keys.as_slice()).unwrap_or_default();
        let secrets = &settings.segment.segment_secrets;
        let segment = SegmentWebhooks::new(secrets, workspace(), Source::Segment, Wanted::of(config), BatchSignature::Full);
        Ok(Self {
            intercom: IntercomWebhooks::new(&settings.webhook.client_secrets, workspace(), None).map_err(|e| e.to_string())?,
            customerio: CustomerioWebhooks::new(keys, workspace(), None).map_err(|e| e.to_string())?,
            segment: segment.map_err(|e| e.to_string())?,
        })
    }

    pub(super) fn read(&self, hook: &Hook) -> Read {
        let now = SystemClock.now();
        let received: Result<Received, Unauthorized> = match hook {
            Hook::Intercom(webhook) => self.intercom.receive(Some(&webhook.signature), &webhook.body, now),
            Hook::Customerio(webhook) => {
                self.customerio.receive(Some(&webhook.sent_at.to_string()), Some(&webhook.signature), &webhook.body, now)
            }
            Hook::Segment(webhook) => self.segment.receive(webhook.signature.as_deref(), &webhook.body, now),
        };
        match received {
            Ok(Received::Events(events)) => Read { events: events.into_iter().map(|event| event.id).collect(), dropped: None },
            Ok(Received::Several(several)) => Read { events: several.events.into_iter().map(|event| event.id).collect(), dropped: None },
            Ok(Received::Ignored(reason) | Received::Unusable { reason, .. } | Received::Refused { reason, .. }) => {
                Read { events: BTreeSet::new(), dropped: Some(reason) }
            }
            Err(_) => Read::default(),
        }
    }
}

impl Stage {
    /// Sends it, and waits until everything that follows from it is done. Returns the status of the answer.
    pub(super) async fn deliver(&self, hook: &Hook) -> Result<u16, String> {
        let url = |path: &str| format!("http://{}/webhooks/{path}", self.node.address);
        let sent = match hook {
            Hook::Intercom(webhook) => self.intercom.send(&url("intercom"), webhook).await,
            Hook::Customerio(webhook) => self.customerio.send(&url("customerio"), webhook).await,
            Hook::Segment(webhook) => self.segment.send(&url("segment"), webhook).await,
        };
        let status = sent.map_err(|e| format!("the webhook could not be sent: {e:?}"))?;
        self.quiet().await?;
        Ok(status)
    }

    /// What the tools tell of what was done through their APIs, since the last call.
    pub(super) fn told_back(&self) -> Vec<Hook> {
        let intercom = self.intercom.take_webhooks().into_iter().map(Hook::from);
        let customerio = self.customerio.take_webhooks().into_iter().map(Hook::from);
        intercom.chain(customerio).chain(self.segment.take_webhooks().into_iter().map(Hook::from)).collect()
    }

    /// Every call to the three APIs, and those among them that were to change something.
    pub(super) fn calls(&self) -> (usize, usize) {
        let (intercom, customerio) = (self.intercom.journal().requests(), self.customerio.journal().requests());
        let segment = self.segment.journal().requests().len();
        let changes = intercom.iter().filter(|call| call.method != "GET" && !call.route.ends_with("/search")).count();
        let told = customerio.iter().filter(|call| call.method != "GET" && call.route.starts_with("/api/")).count();
        (intercom.len() + customerio.len() + segment, changes + told + segment)
    }
}
