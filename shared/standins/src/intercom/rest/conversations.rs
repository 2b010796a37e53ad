//! Opening conversations as a contact, and what a teammate does in them. (notes 2.8)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations>

use super::asked::{Asked, invalid, missing};
use super::call::{Answered, Call, Refusal, ok};
use super::{contacts, messages};
use crate::intercom::happenings::reopened;
use crate::intercom::shapes;
use crate::intercom::world::{Assignee, Author, Conversation, ConversationState, NewPart, Priority};
use serde_json::json;

/// "Opened **as the contact**; answer is a message with `conversation_id`."
pub(super) fn create(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let from = object.inner("from")?.ok_or_else(|| missing("from"))?;
    let contact = messages::of_type(call.contact(from.needed("id")?)?, &from)?;
    let body = object.text("body")?.filter(|body| !body.is_empty()).ok_or_else(|| invalid("Body is required"))?;
    let at = contacts::seconds(&object, "created_at")?.unwrap_or(call.now());
    let conversation = call.world().open(&contact.id, Author::Contact(contact.id.clone()), Priority::None, body, at)?;
    call.tell(|shared, world| {
        let item = shapes::conversation(world, &conversation, shared.webhook_form(None));
        shared.notify(world, "conversation.user.created", &item)
    });
    ok(&json!({"type": "user_message", "id": conversation.source_id.to_string(), "created_at": at, "body": body,
               "message_type": "inapp", "conversation_id": conversation.id.to_string()}))
}

pub(super) fn read(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let conversation = call.inside.world.conversation(asked.named("id"))?;
    ok(&shapes::conversation(&call.inside.world, conversation, call.form()))
}

/// Assign, close, open, snooze.
pub(super) fn manage(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let id = call.inside.world.conversation(asked.named("id"))?.id.to_string();
    let kind = object.needed("message_type")?;
    call.admin(object.digits("admin_id")?)?;
    let now = call.now();
    match kind {
        "assignment" => {
            let assignee = object.digits("assignee_id")?.ok_or_else(|| missing("assignee_id"))?;
            let assigned_to = match object.needed("type")? {
                "admin" | "team" if assignee == 0 => Assignee::Nobody,
                "admin" if call.shared.options.has_admin(assignee) => Assignee::Admin(assignee),
                "team" if call.shared.options.has_team(assignee) => Assignee::Team(assignee),
                "admin" | "team" => return Err(Refusal::new(404, "assignee_not_found", "Assignee not found")),
                _ => return Err(invalid("type must be admin or team")),
            };
            let part = NewPart { assigned_to: Some(assigned_to), ..NewPart::by_app("assignment", None) };
            add(call, &id, part, "conversation.admin.assigned", |_| {})
        }
        "close" => {
            if object.text("type")? != Some("admin") {
                return Err(invalid("type must be admin"));
            }
            add(call, &id, NewPart::by_app("close", None), "conversation.admin.closed", |conversation| {
                conversation.state = ConversationState::Closed;
                conversation.snoozed_until = None;
                conversation.waiting_since = None;
            })
        }
        "open" => add(call, &id, NewPart::by_app("open", None), "conversation.admin.opened", reopened),
        "snoozed" => {
            let until = contacts::seconds(&object, "snoozed_until")?.ok_or_else(|| missing("snoozed_until"))?;
            if until <= now {
                return Err(invalid("snoozed_until must be in the future"));
            }
            add(call, &id, NewPart::by_app("snoozed", None), "conversation.admin.snoozed", |conversation| {
                conversation.state = ConversationState::Snoozed;
                conversation.snoozed_until = Some(until);
            })
        }
        _ => Err(invalid("message_type must be assignment, close, open or snoozed")),
    }
}

/// A note, or a comment, of a teammate.
pub(super) fn reply(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let id = call.inside.world.conversation(asked.named("id"))?.id.to_string();
    if object.text("type")? != Some("admin") {
        return Err(invalid("this stand-in takes replies of admins only"));
    }
    call.admin(object.digits("admin_id")?)?;
    let body = object.text("body")?.filter(|body| !body.is_empty()).ok_or_else(|| invalid("Body is required"))?;
    let (part_type, topic) = match object.needed("message_type")? {
        "note" => ("note", "conversation.admin.noted"),
        "comment" => ("comment", "conversation.admin.replied"),
        _ => return Err(invalid("message_type must be note or comment")),
    };
    add(call, &id, NewPart::by_app(part_type, Some(body)), topic, |conversation| {
        // A note is not for the customer, who goes on waiting.
        if part_type == "comment" {
            conversation.waiting_since = None;
        }
    })
}

/// By the tag's id; needs an `admin_id`. (notes 2.6)
pub(super) fn tag(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let now = call.now();
    let conversation = call.inside.world.conversation(asked.named("id"));
    let conversation = conversation.map_err(|_| Refusal::new(404, "not_found", "Conversation not found"))?.clone();
    call.admin(object.digits("admin_id")?)?;
    let tag = call.inside.world.tag_with(object.needed("id")?, now).ok_or_else(Refusal::not_found)?;
    if !conversation.tags.iter().any(|known| known.id == tag.id) {
        let conversation = call.world().change(asked.named("id"), now, |conversation| conversation.put_tag(&tag))?;
        call.tell(|shared, world| shared.conversation_tagged(world, &conversation, &tag));
    }
    ok(&shapes::tag(&tag))
}

fn add(call: &mut Call<'_>, id: &str, part: NewPart<'_>, topic: &str, change: impl FnOnce(&mut Conversation)) -> Answered {
    let now = call.now();
    let (conversation, part) = call.world().add_part(id, part, now, change)?;
    call.tell(|shared, world| {
        let item = shapes::conversation(world, &conversation, shared.webhook_form(Some(&part)));
        shared.notify(world, topic, &item)
    });
    ok(&shapes::conversation(&call.inside.world, &conversation, call.form()))
}
