//! Tickets. (notes 2.10)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/tickets>

use super::asked::{Asked, Object, invalid, missing};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use crate::intercom::world::{Assignee, Contact, NewContact, Role, Ticket, TicketState, TicketType, default_type};
use serde_json::{Map, Value};

pub(super) fn create(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let kind = object.needed("ticket_type_id")?;
    let known = call.inside.world.ticket_types.iter().find(|known| known.id == kind).cloned();
    let made_up = || call.shared.options.has_everything.then(|| TicketType { id: kind.to_owned(), ..default_type() });
    let kind = known.or_else(made_up).ok_or_else(Refusal::not_found)?;
    let attributes = checked(call, &kind, &object)?;
    let title = attributes.get("_default_title_").and_then(Value::as_str).unwrap_or_default();
    if title.is_empty() {
        return Err(invalid("_default_title_ is required"));
    }
    let contact = contact(call, &object)?;
    let now = call.now();
    let ticket = call.world().create_ticket(&contact.id, kind, attributes, now);
    tell(call, "ticket.created", &ticket);
    ok(&shapes::ticket(&call.inside.world, &ticket, call.form()))
}

pub(super) fn read(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let ticket = call.inside.world.ticket(asked.named("id"))?;
    ok(&shapes::ticket(&call.inside.world, ticket, call.form()))
}

/// `assignee_id` names a teammate or a team, `"0"` nobody; it needs an `admin_id`.
pub(super) fn update(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let mut ticket = call.inside.world.ticket(asked.named("id"))?.clone();
    let id = ticket.id.to_string();
    // Everything is read before anything is changed.
    let assigned_to = assignee(call, &object)?;
    let state = match object.text("ticket_state_id")? {
        None => None,
        Some(state) => Some(TicketState::ALL.into_iter().find(|known| known.id() == state).ok_or_else(|| {
            let message = "Ticket state id is not valid or is not associated with the ticket type";
            Refusal::new(400, "ticket_state_id_invalid", message)
        })?),
    };
    let open = object.boolean("open")?;
    let attributes = checked(call, &ticket.ticket_type, &object)?;
    let now = call.now();
    if let Some(assigned_to) = assigned_to {
        ticket = call.world().change_ticket(&id, "assignment", Some(assigned_to), now, |_| {})?;
        let topic = match assigned_to {
            Assignee::Admin(_) | Assignee::Nobody => "ticket.admin.assigned",
            Assignee::Team(_) => "ticket.team.assigned",
        };
        tell(call, topic, &ticket);
    }
    if let Some(state) = state {
        ticket = call.world().change_ticket(&id, "ticket_state_updated_by_admin", None, now, |ticket| ticket.state = state)?;
        tell(call, "ticket.state.updated", &ticket);
    }
    if let Some(open) = open {
        let part_type = if open { "open" } else { "close" };
        ticket = call.world().change_ticket(&id, part_type, None, now, |ticket| ticket.open = open)?;
        if !open {
            tell(call, "ticket.closed", &ticket);
        }
    }
    if !attributes.is_empty() {
        let change = |ticket: &mut Ticket| ticket.attributes.extend(attributes);
        ticket = call.world().change_ticket(&id, "ticket_attribute_updated_by_admin", None, now, change)?;
        tell(call, "ticket.attribute.updated", &ticket);
    }
    ok(&shapes::ticket(&call.inside.world, &ticket, call.form()))
}

fn assignee(call: &Call<'_>, object: &Object) -> Result<Option<Assignee>, Refusal> {
    let not_found = || Refusal::new(404, "assignee_not_found", "Assignee not found");
    let Some(assignee) = object.digits("assignee_id")? else { return Ok(None) };
    let admin = object.digits("admin_id")?.ok_or_else(|| missing("admin_id"))?;
    if !call.shared.options.has_admin(admin) {
        return Err(not_found());
    }
    if assignee == 0 {
        Ok(Some(Assignee::Nobody))
    } else if call.shared.options.has_admin(assignee) {
        Ok(Some(Assignee::Admin(assignee)))
    } else if call.shared.options.has_team(assignee) {
        Ok(Some(Assignee::Team(assignee)))
    } else {
        Err(not_found())
    }
}

/// By name. What the type of ticket does not have is refused as an unknown custom attribute is: UNCONFIRMED.
fn checked(call: &Call<'_>, kind: &TicketType, object: &Object) -> Result<Map<String, Value>, Refusal> {
    let given = object.inner_or_empty("ticket_attributes")?;
    for (name, value) in &given {
        let known = matches!(name.as_str(), "_default_title_" | "_default_description_")
            || kind.attributes.contains(name)
            || call.shared.options.has_everything;
        if !known {
            let message = format!("Ticket attribute '{name}' does not exist");
            return Err(Refusal::open(call.shared.options.variants.unknown_attribute, message));
        }
        if value.is_array() || value.is_object() {
            return Err(invalid(format!("Ticket attribute '{name}' takes a text, a number or a boolean")));
        }
    }
    Ok(given)
}

/// "Exactly one contact, by exactly one key (unknown email creates a contact)."
fn contact(call: &mut Call<'_>, object: &Object) -> Result<Contact, Refusal> {
    let one = match object.raw("contacts").and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::Object(one)]) if one.len() == 1 => one,
        Some(_) | None => return Err(invalid("contacts takes exactly one contact by exactly one of id, external_id and email")),
    };
    let by = |key: &str| one.get(key).and_then(Value::as_str);
    if let Some(id) = by("id") {
        return call.contact(id);
    }
    if let Some(external_id) = by("external_id") {
        return call.inside.world.user_with(external_id).cloned().ok_or_else(Refusal::no_contact);
    }
    let email = by("email").ok_or_else(|| invalid("contacts takes id, external_id or email"))?;
    if let Some(known) = call.inside.world.with_email(email).next() {
        return Ok(known.clone());
    }
    let now_ms = call.now_ms();
    let new = NewContact { role: Some(Role::Lead), email: Some(email.to_owned()), ..NewContact::default() };
    let made = call.world().create_contact(new, now_ms);
    call.tell(|shared, world| shared.about_contact(world, &made, "created"));
    Ok(made)
}

/// From 2.15 `ticket.closed` has the ticket one step deeper. (notes 1.8)
fn tell(call: &mut Call<'_>, topic: &str, ticket: &Ticket) {
    call.tell(|shared, world| {
        let item = shapes::ticket(world, ticket, shared.webhook_form(None));
        let nested = topic == "ticket.closed" && shared.options.api_version >= shapes::ApiVersion::V2_15;
        let item = if nested { serde_json::json!({ "ticket": item }) } else { item };
        shared.notify(world, topic, &item)
    });
}
