//! Data events. (notes 2.7)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/data-events>

use super::asked::{Asked, Object, invalid, missing};
use super::call::{Answered, Call, Refusal};
use super::contacts;
use crate::intercom::shapes;
use crate::intercom::world::{Contact, Role, Tracked};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Map, Value};

/// "At most 10 keys per event are tracked (first 10 in order sent; the rest ignored)."
const MAX_METADATA: usize = 10;

pub(super) fn track(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let name = object.needed("event_name")?;
    let created_at = contacts::seconds(&object, "created_at")?.ok_or_else(|| missing("created_at"))?;
    let contact = person(call, &object)?;
    let metadata: Map<String, Value> = object.inner_or_empty("metadata")?.into_iter().take(MAX_METADATA).collect();
    if metadata.values().any(|value| !allowed(value)) {
        return Err(invalid("metadata takes texts, numbers, booleans, links and amounts of money"));
    }
    match call.world().track(&contact.id, name, created_at, metadata) {
        Tracked::Kept(event) => {
            call.tell(|shared, world| shared.notify(world, "event.created", &shapes::event(&event, &contact)));
        }
        // 202 as well.
        Tracked::Vanished => {}
        Tracked::TooManyNames => {
            return Err(Refusal::open(call.shared.options.variants.too_many_names, "Cannot have more than 120 active event names"));
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Flat, but for a rich link and an amount of money.
fn allowed(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(_) => false,
        Value::Object(object) => {
            object.len() == 2
                && (object.contains_key("url") && object.contains_key("value")
                    || object.contains_key("amount") && object.contains_key("currency"))
        }
    }
}

/// "`user_id`|`id`|`email`; for leads only `id`."
fn person(call: &Call<'_>, object: &Object) -> Result<Contact, Refusal> {
    if let Some(id) = object.text("id")? {
        return call.settled_contact(id);
    }
    if let Some(user_id) = object.text("user_id")? {
        let user = call.inside.world.user_with(user_id).ok_or_else(Refusal::no_contact)?;
        return call.settled_contact(&user.id);
    }
    let email = object.text("email")?.ok_or_else(|| missing("id, user_id or email"))?;
    let found: Vec<&Contact> = call.inside.world.with_email(email).collect();
    match found.as_slice() {
        [] => Err(Refusal::no_contact()),
        [one] if one.role == Role::User => call.settled_contact(&one.id),
        [_] => Err(Refusal::no_contact()),
        // Whether leads count is not said: they do here. (notes 2.3)
        [..] => {
            let message = "Multiple existing users match this email address - must be more specific using user_id";
            Err(Refusal::new(409, "conflict", message))
        }
    }
}
