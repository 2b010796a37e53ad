//! Where a message goes on to: whether `integrations` lets it, and under which names.
//! <https://www.twilio.com/docs/segment/guides/filtering-data>; the names are on each destination's page, case sensitive.

use super::message::{Kind, Message};
use super::variants::NativeKind;
use serde_json::{Map, Value};

/// Which webhook destination the workspace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookKind {
    /// <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook>
    #[default]
    Actions,
    /// The only one that is told of deletions. <https://www.twilio.com/docs/segment/connections/destinations/catalog/webhooks>
    Classic,
}

impl WebhookKind {
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Actions => &["Webhook", "Webhooks (Actions)"],
            Self::Classic => &["Webhooks"],
        }
    }

    pub(crate) fn takes(self, message: &Message) -> bool {
        let knows = match self {
            Self::Actions => message.kind != Kind::Delete,
            Self::Classic => true,
        };
        knows && switched_on(&message.json, self.names())
    }
}

/// A tool that Segment feeds by itself, beside the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Native {
    /// <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-customerio>
    CustomerIo,
    /// <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-intercom-cloud>
    Intercom,
}

impl Native {
    fn names(self, kind: NativeKind) -> &'static [&'static str] {
        match (self, kind) {
            (Self::CustomerIo, NativeKind::Classic) => &["Customer.io"],
            (Self::CustomerIo, NativeKind::Actions) => &["Actions Customerio", "Customer.io Actions", "Customer.io (Actions)"],
            (Self::Intercom, NativeKind::Classic) => &["Intercom"],
            (Self::Intercom, NativeKind::Actions) => &["Intercom Cloud Mode (Actions)"],
        }
    }

    /// Whether the tool hears of it.
    pub(crate) fn takes(self, message: &Message, kind: NativeKind) -> bool {
        let knows = match (self, message.kind) {
            // A page without an address is rejected by the default mapping.
            (Self::CustomerIo, Kind::Page) => {
                message.json.get("properties").and_then(|properties| properties.get("url")).is_some_and(Value::is_string)
            }
            (Self::CustomerIo, Kind::Screen) => message.text("name").is_some(),
            (Self::CustomerIo, Kind::Identify | Kind::Track | Kind::Group | Kind::Alias | Kind::Delete) => true,
            (Self::Intercom, Kind::Identify | Kind::Track | Kind::Group | Kind::Delete) => true,
            (Self::Intercom, Kind::Page | Kind::Screen | Kind::Alias) => false,
        };
        knows && switched_on(&message.json, self.names(kind))
    }
}

/// A destination's own entry beats `All`; an object of settings means yes.
fn switched_on(message: &Map<String, Value>, names: &[&str]) -> bool {
    let Some(integrations) = message.get("integrations").and_then(Value::as_object) else { return true };
    let said: Vec<bool> = names.iter().filter_map(|name| integrations.get(*name)).map(is_on).collect();
    if said.is_empty() { ["All", "all"].iter().filter_map(|all| integrations.get(*all)).all(is_on) } else { said.into_iter().all(|on| on) }
}

fn is_on(value: &Value) -> bool {
    value != &Value::Bool(false)
}
