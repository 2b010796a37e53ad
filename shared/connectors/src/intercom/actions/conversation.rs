//! Conversations, and notes on them and on contacts.
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations>

use crate::intercom::request::{MOST_CONVERSATION_BYTES, Request};
use serde_json::json;

/// Who is assigned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Assignee<'a> {
    Admin(&'a str),
    Team(&'a str),
}

/// As the contact. A user and a lead are both `contact`, and what was a lead may be a user by now.
pub(super) fn open(contact: &str, body: &str) -> Request {
    Request::post(&["conversations"], json!({"from": {"type": "contact", "id": contact}, "body": body})).once()
}

pub(super) fn assign(conversation: &str, to: Assignee<'_>, admin: &str) -> Request {
    let (kind, assignee) = match to {
        Assignee::Admin(id) => ("admin", id),
        Assignee::Team(id) => ("team", id),
    };
    let body = json!({"message_type": "assignment", "type": kind, "admin_id": admin, "assignee_id": assignee});
    Request { most_answer_bytes: Some(MOST_CONVERSATION_BYTES), ..Request::post(&["conversations", conversation, "parts"], body) }
}

pub(super) fn note(conversation: &str, body: &str, admin: &str) -> Request {
    let body = json!({"message_type": "note", "type": "admin", "admin_id": admin, "body": body});
    Request { most_answer_bytes: Some(MOST_CONVERSATION_BYTES), ..Request::post(&["conversations", conversation, "reply"], body).once() }
}

pub(super) fn note_on_contact(contact: &str, body: &str, admin: &str) -> Request {
    Request::post(&["contacts", contact, "notes"], json!({"body": body, "admin_id": admin})).once()
}
