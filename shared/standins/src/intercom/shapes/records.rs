//! The JSON of everything that is neither a contact nor a conversation. Shapes from the examples of the API's description.

use super::{Form, admin_reference, contact_reference};
use crate::intercom::world::{
    ADMIN_EMAIL, ADMIN_ID, ADMIN_NAME, Assignee, Company, Contact, DataAttribute, DataEvent, DataType, Message, Note, SubscriptionType,
    Tag, Ticket, TicketState, World,
};
use serde_json::{Value, json};

/// (notes 1.6: the webhook has ISO times)
pub(crate) fn company(world: &World, company: &Company, app_id: &str, form: Form<'_>) -> Value {
    let plan = company.plan.as_ref().map_or_else(|| json!({}), |name| json!({"type": "plan", "id": "1", "name": name}));
    let remote = company.remote_created_at.map(|secs| time(secs, form));
    let mut object = json!({
        "type": "company", "id": company.id, "company_id": company.company_id, "app_id": app_id, "name": company.name,
        "plan": plan, "remote_created_at": remote, "created_at": form.time(company.created_at_ms),
        "updated_at": form.time(company.updated_at_ms), "size": company.size, "website": company.website,
        "industry": company.industry, "monthly_spend": company.monthly_spend, "session_count": 0,
        "user_count": world.members(&company.id).len(), "custom_attributes": company.custom_attributes,
        "tags": {"type": "tag.list", "tags": []}, "segments": {"type": "segment.list", "segments": []},
    });
    match form {
        Form::Rest(_) => {}
        Form::Webhook(..) => object["tag_ids"] = json!([]),
    }
    object
}

/// Unix seconds in REST, ISO text in webhooks.
fn time(secs: i64, form: Form<'_>) -> Value {
    form.time(secs.saturating_mul(1000))
}

pub(crate) fn data_attribute(attribute: &DataAttribute) -> Value {
    let options = match &attribute.data_type {
        DataType::Options(options) => Some(options.iter().map(|value| json!({"value": value})).collect::<Vec<_>>()),
        DataType::String | DataType::Integer | DataType::Float | DataType::Boolean | DataType::Datetime | DataType::Date => None,
    };
    let mut object = json!({
        "type": "data_attribute", "name": attribute.name, "full_name": format!("custom_attributes.{}", attribute.name),
        "label": attribute.name, "data_type": attribute.data_type.as_str(), "api_writable": true, "ui_writable": false,
        "messenger_writable": false, "custom": true, "archived": attribute.archived, "model": attribute.model.as_str(),
    });
    if let Some(options) = options {
        object["options"] = json!(options);
    }
    object
}

pub(crate) fn tag(tag: &Tag) -> Value {
    json!({"type": "tag", "id": tag.id, "name": tag.name, "applied_at": tag.applied_at, "applied_by": admin_reference()})
}

pub(crate) fn subscription_type(kind: &SubscriptionType) -> Value {
    let translation = json!({"name": kind.name, "description": "What we write about", "locale": "en"});
    json!({"type": "subscription", "id": kind.id, "state": "live", "consent_type": kind.consent.as_str(),
           "default_translation": translation, "translations": [translation], "content_types": ["email"]})
}

/// `data.item` of `event.created`. (notes 1.6)
pub(crate) fn event(event: &DataEvent, contact: &Contact) -> Value {
    json!({"type": "event", "event_name": event.name, "id": event.id, "intercom_user_id": contact.id,
           "user_id": contact.external_id, "email": contact.email, "metadata": event.metadata,
           "created_at": event.created_at, "ext_metadata": {}})
}

pub(crate) fn note(note: &Note, contact: &str, form: Form<'_>) -> Value {
    json!({"type": "note", "id": note.id.to_string(), "created_at": note.created_at, "contact": {"type": "contact", "id": contact},
           "author": admin(), "body": form.body(&note.body)})
}

pub(crate) fn message(message: &Message) -> Value {
    let spelled = if message.channel == "email" { "email" } else { "inapp" };
    json!({"type": "admin_message", "id": message.id.to_string(), "created_at": message.created_at, "subject": message.subject,
           "body": message.body, "message_type": spelled, "owner": admin()})
}

/// (notes 1.6)
pub(crate) fn ticket(world: &World, ticket: &Ticket, form: Form<'_>) -> Value {
    let assignee = |id: Option<u64>| match form {
        Form::Rest(_) => json!(id.unwrap_or(0)),
        Form::Webhook(..) => json!(id.unwrap_or(0).to_string()),
    };
    let kind = &ticket.ticket_type;
    let parts: Vec<Value> = ticket
        .parts
        .iter()
        .map(|part| {
            let assigned_to = match part.assigned_to {
                Some(Assignee::Admin(id)) => json!({"type": "admin", "id": id.to_string()}),
                Some(Assignee::Team(id)) => json!({"type": "team", "id": id.to_string()}),
                Some(Assignee::Nobody) | None => Value::Null,
            };
            json!({"type": "ticket_part", "id": part.id.to_string(), "part_type": part.part_type, "created_at": part.created_at,
                   "updated_at": part.created_at, "assigned_to": assigned_to, "ticket_state": part.state.category(),
                   "previous_ticket_state": part.previous_state.category(), "author": admin(), "app_package_code": super::APP_PACKAGE_CODE})
        })
        .collect();
    json!({
        "type": "ticket", "id": ticket.id.to_string(), "ticket_id": ticket.ticket_id.to_string(), "category": kind.category,
        "ticket_attributes": ticket.attributes, "ticket_state": ticket_state(ticket.state),
        "ticket_type": {"type": "ticket_type", "id": kind.id, "name": kind.name, "category": kind.category,
                        "is_internal": kind.category != "Customer", "archived": false},
        "contacts": {"type": "contact.list", "contacts": [contact_reference(world, &ticket.contact)]},
        "admin_assignee_id": assignee(ticket.admin_assignee), "team_assignee_id": assignee(ticket.team_assignee),
        "created_at": ticket.created_at, "updated_at": ticket.updated_at, "open": ticket.open, "snoozed_until": null,
        "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": false}, "is_shared": true,
        "ticket_parts": {"type": "ticket_part.list", "total_count": parts.len(), "ticket_parts": parts},
    })
}

fn ticket_state(state: TicketState) -> Value {
    json!({"type": "ticket_state", "id": state.id(), "category": state.category(), "internal_label": state.label(),
           "external_label": state.label()})
}

fn admin() -> Value {
    json!({"type": "admin", "id": ADMIN_ID.to_string(), "name": ADMIN_NAME, "email": ADMIN_EMAIL})
}
