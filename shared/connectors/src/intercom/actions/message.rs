//! Messages from a teammate. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/messages>

use super::values::whole_number;
use crate::intercom::request::Request;
use serde_json::{Value, json};
use trefoil_domain::action::{ContactRole, MessageChannel};

pub(super) struct Message<'a> {
    pub(super) contact: &'a str,
    pub(super) role: ContactRole,
    pub(super) channel: MessageChannel,
    pub(super) subject: Option<&'a str>,
    pub(super) body: &'a str,
}

/// `in_app` is what the vendor calls the channel of that name. `None`: an e-mail without a subject, which is refused.
pub(super) fn send(message: &Message<'_>, admin: &str, in_app: &str) -> Option<Request> {
    let subject = message.subject.filter(|subject| !subject.trim().is_empty());
    let mut body = json!({
        "message_type": match message.channel {
            MessageChannel::InApp => in_app,
            MessageChannel::Email => "email",
        },
        "body": message.body,
        "from": {"type": "admin", "id": whole_number(admin)},
        // A message knows users and leads, and not contacts.
        "to": {"type": message.role.as_str(), "id": message.contact},
    });
    match message.channel {
        MessageChannel::InApp => {}
        MessageChannel::Email => {
            body["subject"] = Value::from(subject?);
            body["template"] = Value::from("plain");
        }
    }
    Some(Request::post(&["messages"], body).once())
}
