//! Contacts: users and leads, their lives, and what the search knows of them.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/contacts>

use super::{Model, NotInWorld, Tag, World};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    /// Its `external_id` is a UUID that Intercom made.
    Lead,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Lead => "lead",
        }
    }
}

/// What becomes of a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Active,
    Archived,
    MergedInto(String),
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub id: u64,
    /// Unix seconds.
    pub created_at: i64,
    /// Plain text.
    pub body: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// 24 hex digits.
    pub id: String,
    pub role: Role,
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    /// Address of a picture.
    pub avatar: Option<String>,
    pub owner_id: Option<String>,
    /// Unix seconds.
    pub signed_up_at: Option<i64>,
    /// Unix seconds.
    pub last_seen_at: Option<i64>,
    pub unsubscribed_from_emails: bool,
    pub custom_attributes: Map<String, Value>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds; in a captured payload it was 2 ms before the creation.
    pub updated_at_ms: i64,
    pub life: Life,
    pub tags: Vec<Tag>,
    /// Intercom's ids.
    pub companies: Vec<String>,
    pub notes: Vec<Note>,
    /// Ids of the subscription types that it is attached to; what that means is [`super::SubscriptionType::consent`].
    pub subscriptions: BTreeSet<String>,
}

/// A contact that does not exist yet.
#[derive(Clone, Debug, Default)]
pub struct NewContact {
    pub role: Option<Role>,
    /// For a lead it is made up if it is not said.
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub custom_attributes: Map<String, Value>,
}

/// What is to change about a contact; `None` stays as it is, attributes are added to those that are there.
#[derive(Clone, Debug, Default)]
pub struct ContactChange {
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub custom_attributes: Map<String, Value>,
}

/// What the search had of a contact from a time on.
#[derive(Debug)]
pub(super) struct Indexed {
    at_ms: i64,
    email: Option<String>,
    external_id: Option<String>,
}

/// Addresses are the same in any case of letters.
fn same_email(one: Option<&str>, other: &str) -> bool {
    one.is_some_and(|one| one.eq_ignore_ascii_case(other))
}

impl World {
    /// A contact in whatever state.
    pub(crate) fn any_contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    pub(crate) fn contacts(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values()
    }

    pub(crate) fn contact(&self, id: &str) -> Result<&Contact, NotInWorld> {
        let contact = self.contacts.get(id).filter(|contact| contact.life == Life::Active);
        contact.ok_or_else(|| NotInWorld { what: "contact", id: id.to_owned() })
    }

    fn contact_mut(&mut self, id: &str) -> Result<&mut Contact, NotInWorld> {
        let contact = self.contacts.get_mut(id).filter(|contact| contact.life == Life::Active);
        contact.ok_or_else(|| NotInWorld { what: "contact", id: id.to_owned() })
    }

    pub(crate) fn create_contact(&mut self, new: NewContact, now_ms: i64) -> Contact {
        let id = self.next_object(now_ms);
        self.create_contact_as(&id, new, now_ms)
    }

    pub(crate) fn create_contact_as(&mut self, id: &str, new: NewContact, now_ms: i64) -> Contact {
        let role = new.role.unwrap_or(Role::User);
        let external_id = new.external_id.or_else(|| match role {
            Role::User => None,
            Role::Lead => Some(self.seeded.uuid()),
        });
        self.attributes_exist(Model::Contact, &new.custom_attributes);
        let contact = Contact {
            id: id.to_owned(),
            role,
            external_id,
            email: new.email,
            name: new.name,
            phone: None,
            avatar: None,
            owner_id: None,
            signed_up_at: None,
            last_seen_at: None,
            unsubscribed_from_emails: false,
            custom_attributes: new.custom_attributes,
            created_at_ms: now_ms,
            updated_at_ms: now_ms - 2,
            life: Life::Active,
            tags: Vec::new(),
            companies: Vec::new(),
            notes: Vec::new(),
            subscriptions: BTreeSet::new(),
        };
        self.contacts.insert(id.to_owned(), contact.clone());
        self.index.remove(id);
        self.note_for_search(id, now_ms);
        contact
    }

    pub(crate) fn update_contact(&mut self, id: &str, change: ContactChange, now_ms: i64) -> Result<Contact, NotInWorld> {
        self.contact(id)?;
        self.attributes_exist(Model::Contact, &change.custom_attributes);
        self.edit_contact(id, now_ms, |contact| {
            contact.external_id = change.external_id.or(contact.external_id.take());
            contact.email = change.email.or(contact.email.take());
            contact.name = change.name.or(contact.name.take());
            contact.custom_attributes.extend(change.custom_attributes);
        })
    }

    /// Whatever `edit` makes of it, as one change.
    pub(crate) fn edit_contact(&mut self, id: &str, now_ms: i64, edit: impl FnOnce(&mut Contact)) -> Result<Contact, NotInWorld> {
        let contact = self.contact_mut(id)?;
        edit(contact);
        contact.updated_at_ms = now_ms;
        let contact = contact.clone();
        self.note_for_search(id, now_ms);
        Ok(contact)
    }

    /// Not for those who went up in another or were deleted for good.
    pub(crate) fn set_life(&mut self, id: &str, life: Life) -> Result<Contact, NotInWorld> {
        let contact = self.contacts.get_mut(id).filter(|contact| matches!(contact.life, Life::Active | Life::Archived));
        let contact = contact.ok_or_else(|| NotInWorld { what: "contact", id: id.to_owned() })?;
        contact.life = life;
        Ok(contact.clone())
    }

    /// The lead is gone; what it had is the survivor's.
    pub(crate) fn merge_contacts(&mut self, lead: &str, into: &str, now_ms: i64) -> Result<Contact, NotInWorld> {
        self.contact(into)?;
        let gone = self.contact_mut(lead)?;
        gone.life = Life::MergedInto(into.to_owned());
        let gone = gone.clone();
        let moved = |contacts: &mut Vec<String>| {
            for contact in contacts.iter_mut().filter(|contact| *contact == lead) {
                into.clone_into(contact);
            }
        };
        self.conversations.values_mut().for_each(|conversation| moved(&mut conversation.contacts));
        for ticket in self.tickets.values_mut().filter(|ticket| ticket.contact == lead) {
            into.clone_into(&mut ticket.contact);
        }
        self.edit_contact(into, now_ms, |survivor| {
            for tag in gone.tags {
                if !survivor.tags.iter().any(|known| known.id == tag.id) {
                    survivor.tags.push(tag);
                }
            }
            for company in gone.companies {
                if !survivor.companies.contains(&company) {
                    survivor.companies.push(company);
                }
            }
            survivor.notes.extend(gone.notes);
            survivor.subscriptions.extend(gone.subscriptions);
        })
    }

    pub(crate) fn note_on_contact(&mut self, id: &str, body: &str, now: i64) -> Result<Note, NotInWorld> {
        self.contact(id)?;
        let note = Note { id: self.next_part(), created_at: now, body: body.to_owned() };
        self.contact_mut(id)?.notes.push(note.clone());
        Ok(note)
    }

    /// Who already has what only one user may have: the id of the customer's own, or the address. An archived contact
    /// keeps both. Leads share addresses. (notes 2.3)
    pub(crate) fn holder(&self, external_id: Option<&str>, email: Option<&str>, except: Option<&str>) -> Option<&Contact> {
        let alive = |contact: &&Contact| matches!(contact.life, Life::Active | Life::Archived);
        self.contacts.values().filter(alive).filter(|contact| contact.role == Role::User && Some(contact.id.as_str()) != except).find(
            |contact| {
                let same_id = external_id.is_some() && contact.external_id.as_deref() == external_id;
                same_id || email.is_some_and(|email| same_email(contact.email.as_deref(), email))
            },
        )
    }

    /// Users who are not archived, by the customer's own id.
    pub(crate) fn user_with(&self, external_id: &str) -> Option<&Contact> {
        self.active().find(|contact| contact.role == Role::User && contact.external_id.as_deref() == Some(external_id))
    }

    pub(crate) fn with_email(&self, email: &str) -> impl Iterator<Item = &Contact> {
        self.active().filter(move |contact| same_email(contact.email.as_deref(), email))
    }

    fn active(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.values().filter(|contact| contact.life == Life::Active)
    }

    /// The contacts that the search has heard of by `until_ms`, with the address and the id that it knows of them.
    pub(crate) fn searchable(&self, until_ms: i64) -> impl Iterator<Item = (&Contact, Option<&str>, Option<&str>)> {
        self.active().filter_map(move |contact| {
            let known = self.index.get(&contact.id)?.iter().rfind(|known| known.at_ms <= until_ms)?;
            Some((contact, known.email.as_deref(), known.external_id.as_deref()))
        })
    }

    fn note_for_search(&mut self, id: &str, at_ms: i64) {
        let Some(contact) = self.contacts.get(id) else { return };
        let known = self.index.entry(id.to_owned()).or_default();
        if known.last().is_none_or(|last| last.email != contact.email || last.external_id != contact.external_id) {
            known.push(Indexed { at_ms, email: contact.email.clone(), external_id: contact.external_id.clone() });
        }
    }
}
