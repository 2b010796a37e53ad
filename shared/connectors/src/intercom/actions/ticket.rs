//! Tickets. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/tickets>

use super::values::{flat_text, whole_number};
use crate::intercom::request::{MOST_CONVERSATION_BYTES, Request};
use serde_json::{Map, Value, json};
use trefoil_domain::event::Attributes;

/// Attributes of a ticket belong to its type, and lists may stand in them.
pub(super) fn create(contact: &str, ticket_type: &str, title: &str, description: Option<&str>, attributes: &Attributes) -> Request {
    let mut written: Map<String, Value> = attributes
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::Object(_) => Some((name.clone(), flat_text(value))),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Some((name.clone(), value.clone())),
        })
        .collect();
    written.insert("_default_title_".to_owned(), Value::from(title));
    written.extend(description.map(|text| ("_default_description_".to_owned(), Value::from(text))));
    let body = json!({"ticket_type_id": ticket_type, "contacts": [{"id": contact}], "ticket_attributes": written});
    Request::post(&["tickets"], body).once()
}

/// To a teammate or a team.
pub(super) fn assign(ticket: &str, assignee: &str, admin: &str) -> Request {
    let body = json!({"admin_id": whole_number(admin), "assignee_id": assignee});
    Request { most_answer_bytes: Some(MOST_CONVERSATION_BYTES), ..Request::put(&["tickets", ticket], body) }
}
