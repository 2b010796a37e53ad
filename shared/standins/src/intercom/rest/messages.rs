//! Messages from the teammate, and notes on contacts. (notes 2.8)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/messages>

use super::asked::{Asked, Object, invalid, missing};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use crate::intercom::variants::InApp;
use crate::intercom::world::{Author, Contact, Message, Priority, Role};
use serde_json::json;

/// No topic tells of it.
pub(super) fn note(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let contact = call.contact(asked.named("id"))?;
    call.admin(object.digits("admin_id")?)?;
    let now = call.now();
    let note = call.world().note_on_contact(&contact.id, object.needed("body")?, now)?;
    ok(&shapes::note(&note, &contact.id, call.form()))
}

/// "No conversation exists until the contact replies, unless `create_conversation_without_contact_reply:true`."
pub(super) fn send(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let kind = object.needed("message_type")?;
    let channel = match (kind, call.shared.options.variants.in_app) {
        ("email", _) => "email",
        ("in_app", InApp::Underscored | InApp::Either) | ("inapp", InApp::Plain | InApp::Either) => "in_app",
        _ => return Err(invalid(format!("message_type {kind} is not known"))),
    };
    let body = object.text("body")?.filter(|body| !body.is_empty()).ok_or_else(|| invalid("Body is required"))?;
    let subject = object.text("subject")?;
    if channel == "email" && subject.is_none_or(str::is_empty) {
        return Err(Refusal::new(422, "parameter_not_found", "No subject supplied for email message"));
    }
    let from = object.inner("from")?.ok_or_else(|| missing("from"))?;
    if from.text("type")? != Some("admin") {
        return Err(invalid("this stand-in sends messages of admins only"));
    }
    let admin = call.admin(from.digits("id")?)?;
    let to = object.inner("to")?.ok_or_else(|| missing("to"))?;
    let contact = of_type(call.settled_contact(to.needed("id")?)?, &to)?;
    let now = call.now();
    let message = call.world().send_message(|id| Message {
        id,
        contact: contact.id.clone(),
        channel,
        subject: subject.map(str::to_owned),
        body: body.to_owned(),
        created_at: now,
        from_admin: admin.to_string(),
    });
    let mut answer = shapes::message(&message);
    if object.boolean("create_conversation_without_contact_reply")? == Some(true) {
        let conversation = call.world().open(&contact.id, Author::Admin, Priority::None, body, now)?;
        answer["conversation_id"] = json!(conversation.id.to_string());
        call.tell(|shared, world| {
            let item = shapes::conversation(world, &conversation, shared.webhook_form(None));
            shared.notify(world, "conversation.admin.single.created", &item)
        });
    }
    ok(&answer)
}

/// `user`, `lead` or, where it is allowed, `contact`. A user under `lead` or a lead under `user` is not found: UNCONFIRMED,
/// so that nobody relies on a kinder reading.
pub(super) fn of_type(contact: Contact, reference: &Object) -> Result<Contact, Refusal> {
    match (reference.needed("type")?, contact.role) {
        ("contact", _) | ("user", Role::User) | ("lead", Role::Lead) => Ok(contact),
        ("user" | "lead", _) => Err(Refusal::no_contact()),
        _ => Err(invalid("type must be user or lead")),
    }
}
