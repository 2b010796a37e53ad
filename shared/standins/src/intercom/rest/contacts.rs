//! Making, reading and changing contacts. (notes 2.3)

use super::asked::{Asked, Object, invalid};
use super::attributes;
use super::call::{Answered, Call, Refusal};
use crate::intercom::variants::RoleByUpdate;
use crate::intercom::world::{Contact, Life, Model, NewContact, Role};
use serde_json::Value;

/// There is no upsert: who is there already is a 409 with the id in its text.
pub(super) fn create(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let fields = Fields::of(call, &object)?;
    let (external_id, email) = (object.text("external_id")?, object.text("email")?);
    let given_role = role(&object)?;
    if external_id.is_none() && email.is_none() && given_role.is_none() {
        return Err(invalid("one of email, external_id and role is needed"));
    }
    // Without a role it is a user if it has an id or an address, else a lead: UNCONFIRMED.
    let role = given_role.unwrap_or(if external_id.is_some() || email.is_some() { Role::User } else { Role::Lead });
    match role {
        Role::User if external_id.is_none() && email.is_none() => return Err(invalid("a user needs external_id or email")),
        Role::User => vacant(call, external_id, email, None)?,
        // "Leads at least" share addresses; its external id is Intercom's invention.
        Role::Lead => {}
    }
    let new = NewContact {
        role: Some(role),
        external_id: external_id.filter(|_| role == Role::User).map(str::to_owned),
        email: email.map(str::to_owned),
        ..NewContact::default()
    };
    let now_ms = call.now_ms();
    let made = call.world().create_contact(new, now_ms);
    // The new contact has what it was made with at once: one change, one notification.
    let contact = call.world().edit_contact(&made.id, now_ms, |contact| {
        fields.apply(contact);
        contact.updated_at_ms = made.updated_at_ms;
    })?;
    call.tell(|shared, world| shared.about_contact(world, &contact, "created"));
    call.show(&contact)
}

pub(super) fn read(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let contact = call.contact(asked.named("id"))?;
    call.show(&contact)
}

/// "Users only, not leads."
pub(super) fn find(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let found = call.inside.world.user_with(asked.named("external_id")).cloned().ok_or_else(Refusal::no_contact)?;
    call.show(&found)
}

/// Partial: what is left out stays. `null` takes a value away, which is in no page.
pub(super) fn update(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let before = call.contact(asked.named("id"))?;
    let fields = Fields::of(call, &object)?;
    let (external_id, email) = (object.text("external_id")?, object.text("email")?);
    let role = match (role(&object)?, call.shared.options.variants.role_by_update) {
        (Some(Role::User), RoleByUpdate::Works) => Role::User,
        // A user never becomes a lead again.
        (Some(_) | None, RoleByUpdate::Works | RoleByUpdate::Ignored) => before.role,
    };
    if role == Role::User {
        vacant(call, external_id, email, Some(&before.id))?;
    }
    let now_ms = call.now_ms();
    let contact = call.world().edit_contact(&before.id, now_ms, |contact| {
        contact.role = role;
        match role {
            // The id that Intercom made for the lead is not the user's.
            Role::User if before.role == Role::Lead => contact.external_id = external_id.map(str::to_owned),
            Role::User => set(&mut contact.external_id, &object, "external_id", external_id),
            Role::Lead => {}
        }
        set(&mut contact.email, &object, "email", email);
        fields.apply(contact);
    })?;
    tell_of_change(call, &before, &contact);
    call.show(&contact)
}

/// Which topics follow a write of the API is in no page, except that `contact.user.updated` is assumed. (notes 1.10)
fn tell_of_change(call: &mut Call<'_>, before: &Contact, contact: &Contact) {
    if call.shared.options.variants.updating_tells {
        call.tell(|shared, world| shared.about_contact(world, contact, "updated"));
        let topic = match (before.role, contact.role) {
            (Role::Lead, Role::User) => Some("contact.lead.signed_up"),
            (Role::Lead, Role::Lead) if before.email.is_none() && contact.email.is_some() => Some("contact.lead.added_email"),
            _ if before.email != contact.email => Some("contact.email.updated"),
            _ => None,
        };
        if let Some(topic) = topic {
            call.tell(|shared, world| {
                let item = shared.contact_item(world, contact);
                shared.notify(world, topic, &item)
            });
        }
    }
    let changed = before.unsubscribed_from_emails != contact.unsubscribed_from_emails;
    if changed && call.shared.options.variants.unsubscribing_tells {
        call.tell(|shared, world| shared.consent(world, contact, None, !contact.unsubscribed_from_emails));
    }
}

/// What creating and updating have in common, checked. All of a request is taken or nothing.
struct Fields<'a> {
    object: &'a Object,
    name: Option<&'a str>,
    phone: Option<&'a str>,
    avatar: Option<&'a str>,
    owner_id: Option<&'a str>,
    signed_up_at: Option<i64>,
    last_seen_at: Option<i64>,
    unsubscribed: Option<bool>,
    custom_attributes: Vec<(String, Value)>,
}

impl<'a> Fields<'a> {
    fn of(call: &Call<'_>, object: &'a Object) -> Result<Self, Refusal> {
        Ok(Self {
            object,
            name: object.text("name")?,
            phone: object.text("phone")?,
            avatar: object.text("avatar")?,
            // "A string from 2.16, an integer before."
            owner_id: object.text("owner_id")?,
            signed_up_at: seconds(object, "signed_up_at")?,
            last_seen_at: seconds(object, "last_seen_at")?,
            unsubscribed: object.boolean("unsubscribed_from_emails")?,
            custom_attributes: attributes::checked(call, Model::Contact, &object.inner_or_empty("custom_attributes")?)?,
        })
    }

    fn apply(self, contact: &mut Contact) {
        let object = self.object;
        set(&mut contact.name, object, "name", self.name);
        set(&mut contact.phone, object, "phone", self.phone);
        set(&mut contact.avatar, object, "avatar", self.avatar);
        set(&mut contact.owner_id, object, "owner_id", self.owner_id);
        contact.signed_up_at = self.signed_up_at.or(contact.signed_up_at);
        contact.last_seen_at = self.last_seen_at.or(contact.last_seen_at);
        contact.unsubscribed_from_emails = self.unsubscribed.unwrap_or(contact.unsubscribed_from_emails);
        attributes::apply(&mut contact.custom_attributes, self.custom_attributes);
    }
}

fn set(target: &mut Option<String>, object: &Object, name: &str, value: Option<&str>) {
    if object.raw(name).is_some() {
        *target = value.map(str::to_owned);
    }
}

/// Milliseconds are refused: "they corrupted data; validation was being added". (notes 2.1)
pub(super) fn seconds(object: &Object, name: &str) -> Result<Option<i64>, Refusal> {
    match object.integer(name)? {
        Some(at) if at > 100_000_000_000 => Err(invalid(format!("{name} must be in seconds"))),
        at => Ok(at),
    }
}

fn role(object: &Object) -> Result<Option<Role>, Refusal> {
    match object.text("role")? {
        None => Ok(None),
        Some("user") => Ok(Some(Role::User)),
        Some("lead") => Ok(Some(Role::Lead)),
        Some(_) => Err(invalid("role must be user or lead")),
    }
}

/// The text is the only place of the id.
fn vacant(call: &Call<'_>, external_id: Option<&str>, email: Option<&str>, except: Option<&str>) -> Result<(), Refusal> {
    let Some(holder) = call.inside.world.holder(external_id, email, except) else { return Ok(()) };
    let whose = if holder.life == Life::Archived { "An archived contact" } else { "A contact" };
    Err(Refusal::new(409, "conflict", format!("{whose} matching those details already exists with id={}", holder.id)))
}
