//! Contacts. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts>

use super::values::Writing;
use crate::intercom::request::Request;
use serde_json::{Map, Value, json};
use trefoil_domain::action::ContactRole;
use trefoil_domain::ports::ContactFields;

/// Of the contacts that share an address. More of them than this are no use to anybody.
const MOST_FOUND: usize = 50;

/// Leads are not found by it.
pub(super) fn find_by_user_id(user_id: &str) -> Request {
    Request::get(&["contacts", "find_by_external_id", user_id])
}

pub(super) fn find(contact: &str) -> Request {
    Request::get(&["contacts", contact])
}

pub(super) fn search_by_email(email: &str) -> Request {
    let body = json!({"query": {"field": "email", "operator": "=", "value": email}, "pagination": {"per_page": MOST_FOUND}});
    Request { asks: true, ..Request::post(&["contacts", "search"], body) }
}

pub(super) fn create(fields: &ContactFields, attributes: &Map<String, Value>) -> (Request, Vec<String>) {
    let role = fields.role.unwrap_or(if fields.user_id.is_some() { ContactRole::User } else { ContactRole::Lead });
    let (body, notes) = body(&ContactFields { role: Some(role), ..fields.clone() }, attributes);
    // Intercom refuses a second user, and not a second lead.
    (Request::post(&["contacts"], body).once(), notes)
}

/// What is not named stays as it is.
pub(super) fn update(contact: &str, fields: &ContactFields, attributes: &Map<String, Value>) -> (Request, Vec<String>) {
    let (body, notes) = body(fields, attributes);
    (Request::put(&["contacts", contact], body), notes)
}

fn body(fields: &ContactFields, attributes: &Map<String, Value>) -> (Value, Vec<String>) {
    let mut body = Writing::default();
    body.text("role", fields.role.map(ContactRole::as_str));
    body.text("external_id", fields.user_id.as_deref());
    body.text("email", fields.email.as_deref());
    body.text("name", fields.name.as_deref());
    body.text("phone", fields.phone.as_deref());
    body.text("avatar", fields.avatar.as_deref());
    body.time("signed_up_at", fields.signed_up_at.as_ref());
    body.time("last_seen_at", fields.last_seen_at.as_ref());
    body.text("owner_id", fields.owner_id.as_deref());
    if fields.unsubscribed {
        body.put("unsubscribed_from_emails", Value::Bool(true));
    }
    body.attributes(attributes);
    body.finish()
}

/// All e-mail.
pub(super) fn subscribe(contact: &str, subscribed: bool) -> Request {
    Request::put(&["contacts", contact], json!({"unsubscribed_from_emails": !subscribed}))
}

pub(super) fn archive(contact: &str) -> Request {
    Request::post_nothing(&["contacts", contact, "archive"])
}

pub(super) fn unarchive(contact: &str) -> Request {
    Request::post_nothing(&["contacts", contact, "unarchive"])
}

pub(super) fn delete(contact: &str) -> Request {
    Request::delete(&["contacts", contact])
}

/// From 2.16 on the two must share an address or a number, unless we say that we know better: whoever merges here knows that
/// they are one person.
pub(super) fn merge(from: &str, into: &str) -> Request {
    Request::post(&["contacts", "merge"], json!({"from": from, "into": into, "skip_duplicate_validation": true}))
}
