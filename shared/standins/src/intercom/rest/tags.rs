//! Tags, and tags of contacts. (notes 2.6)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/tags>

use super::asked::{Asked, invalid};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use serde_json::{Value, json};

pub(super) fn list(call: &mut Call<'_>, _: &Asked) -> Answered {
    let data: Vec<Value> = call.inside.world.tags().map(|tag| json!({"type": "tag", "id": tag.id, "name": tag.name})).collect();
    ok(&json!({"type": "list", "data": data}))
}

/// "Creates or returns (names are case-insensitive)."
pub(super) fn create(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let name = object.text("name")?.filter(|name| !name.is_empty()).ok_or_else(|| invalid("invalid tag parameters"))?;
    if object.raw("users").or(object.raw("companies")).is_some() {
        return Err(invalid("this stand-in does not tag several contacts at once; use POST /contacts/{id}/tags"));
    }
    let now = call.now();
    let tag = call.world().tag(name, now);
    ok(&json!({"type": "tag", "id": tag.id, "name": tag.name}))
}

/// By the tag's id. A tag that is there already stays and nobody is told.
pub(super) fn attach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let (now, now_ms) = (call.now(), call.now_ms());
    let before = call.contact(asked.named("id"))?;
    let tag = call.inside.world.tag_with(object.needed("id")?, now).ok_or_else(Refusal::not_found)?;
    if !before.tags.iter().any(|known| known.id == tag.id) {
        let contact = call.world().edit_contact(&before.id, now_ms, |contact| contact.tags.push(tag.clone()))?;
        call.tell(|shared, world| shared.contact_tag(world, &contact, &tag, "created"));
    }
    ok(&shapes::tag(&tag))
}

/// 404 if contact or tag is unknown.
pub(super) fn detach(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let (now, now_ms) = (call.now(), call.now_ms());
    let before = call.contact(asked.named("id"))?;
    let tag = call.inside.world.tag_with(asked.named("tag_id"), now).ok_or_else(Refusal::not_found)?;
    if before.tags.iter().any(|known| known.id == tag.id) {
        let contact = call.world().edit_contact(&before.id, now_ms, |contact| contact.tags.retain(|known| known.id != tag.id))?;
        call.tell(|shared, world| shared.contact_tag(world, &contact, &tag, "deleted"));
    } else if call.shared.options.variants.absent_is_refused {
        return Err(Refusal::not_found());
    }
    ok(&shapes::tag(&tag))
}
