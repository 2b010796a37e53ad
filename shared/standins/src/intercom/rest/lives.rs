//! Archiving, deleting and merging contacts. (notes 2.3)

use super::asked::Asked;
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::notices;
use crate::intercom::shapes::ApiVersion;
use crate::intercom::world::{Contact, Life, Role};
use serde_json::json;

pub(super) fn delete(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let contact = there(call, asked.named("id"))?;
    call.world().set_life(&contact.id, Life::Deleted)?;
    call.tell(|shared, world| shared.notify(world, "contact.deleted", &notices::ended(&contact, "deleted")));
    ok(&notices::ended(&contact, "deleted"))
}

/// A second time is a 200 that tells nobody: UNCONFIRMED.
pub(super) fn archive(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let contact = there(call, asked.named("id"))?;
    if contact.life == Life::Active {
        call.world().set_life(&contact.id, Life::Archived)?;
        call.tell(|shared, world| shared.notify(world, "contact.archived", &notices::ended(&contact, "archived")));
    }
    ok(&notices::ended(&contact, "archived"))
}

/// As [`archive`].
pub(super) fn unarchive(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let contact = there(call, asked.named("id"))?;
    if contact.life == Life::Archived {
        let contact = call.world().set_life(&contact.id, Life::Active)?;
        call.tell(|shared, world| {
            let item = shared.contact_item(world, &contact);
            shared.notify(world, "contact.unarchive", &item)
        });
    }
    ok(&json!({"type": "contact", "id": contact.id, "external_id": contact.external_id, "archived": false}))
}

/// "Lead into user only"; from 2.16 they must share address or phone, unless that check is waived.
pub(super) fn merge(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let (from, into) = (call.contact(object.needed("from")?)?, call.contact(object.needed("into")?)?);
    let waived = object.boolean("skip_duplicate_validation")?.unwrap_or(false);
    if from.role != Role::Lead || into.role != Role::User {
        return Err(Refusal::new(400, "invalid_merge", "A lead can only be merged into a user"));
    }
    if call.version >= ApiVersion::V2_16 && !waived && !alike(&from, &into) {
        let message = "Contacts can only be merged when they are duplicates (matching email or phone). Pass skip_duplicate_validation=true to override this check.";
        return Err(Refusal::new(400, "invalid_merge", message));
    }
    let now_ms = call.now_ms();
    let survivor = call.world().merge_contacts(&from.id, &into.id, now_ms)?;
    call.tell(|shared, world| shared.merged(world, &from.id, &survivor));
    call.show(&survivor)
}

fn alike(from: &Contact, into: &Contact) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| {
        one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one.to_lowercase() == other.to_lowercase())
    };
    same(&from.email, &into.email) || same(&from.phone, &into.phone)
}

/// Active or archived.
fn there(call: &Call<'_>, id: &str) -> Result<Contact, Refusal> {
    match call.inside.world.any_contact(id) {
        Some(contact) if contact.life == Life::Archived => Ok(contact.clone()),
        Some(_) | None => call.contact(id),
    }
}
