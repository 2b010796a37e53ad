//! The people and conversations of one made-up workspace, and what can happen to them.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations>

use crate::seed::Seeded;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The one teammate.
pub(crate) const ADMIN_ID: u64 = 9_608_799;
pub(crate) const ADMIN_NAME: &str = "Jo Doe";
pub(crate) const ADMIN_EMAIL: &str = "jo@example.com";

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
    MergedInto(String),
    Deleted,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Contact {
    /// 24 hex digits.
    pub id: String,
    pub role: Role,
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub custom_attributes: Map<String, Value>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds; in a captured payload it was 2 ms before the creation.
    pub updated_at_ms: i64,
    pub life: Life,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    None,
    Low,
    Medium,
    High,
    Urgent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationState {
    Open,
    Snoozed,
    Closed,
}

impl ConversationState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Snoozed => "snoozed",
            Self::Closed => "closed",
        }
    }
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A contact, by id.
    Contact(String),
    /// The one teammate, 9608799.
    Admin,
    /// Fin or a workflow.
    Bot,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub id: String,
    pub name: String,
    /// Unix seconds.
    pub applied_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// 1 to 5.
    pub rating: u8,
    pub remark: Option<String>,
    /// Unix seconds: when it was asked for.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// The contact who gave it.
    pub contact: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Digits; a later part has a greater one.
    pub id: u64,
    /// `comment`, `close`, `open`, `snoozed`, `priority_changed`, `participant_added`, `participant_removed`.
    pub part_type: &'static str,
    /// Plain text.
    pub body: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub author: Author,
    /// The state after it.
    pub state: ConversationState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Digits.
    pub id: u64,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
    /// Unix seconds: the customer waits for an answer since.
    pub waiting_since: Option<i64>,
    /// Unix seconds.
    pub snoozed_until: Option<i64>,
    pub state: ConversationState,
    pub priority: Priority,
    pub assigned: bool,
    pub source_id: u64,
    pub started_by: Author,
    /// Plain text.
    pub body: String,
    /// Contact ids.
    pub contacts: Vec<String>,
    pub tags: Vec<Tag>,
    pub rating: Option<Rating>,
    pub parts: Vec<Part>,
}

/// A test or a demo named something that does not exist (any more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInWorld {
    /// `contact` or `conversation`.
    pub what: &'static str,
    pub id: String,
}

impl fmt::Display for NotInWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stand-in of Intercom has no {} {}; make it first", self.what, self.id)
    }
}

impl std::error::Error for NotInWorld {}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seeded: Seeded,
    contacts: BTreeMap<String, Contact>,
    conversations: BTreeMap<u64, Conversation>,
    last_conversation: u64,
    last_part: u64,
    last_tag: u64,
    tag_ids: BTreeMap<String, String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seeded: Seeded::new(seed),
            contacts: BTreeMap::new(),
            conversations: BTreeMap::new(),
            last_conversation: 215_472_621_202_692,
            last_part: 37_358_461_335,
            last_tag: 12_934_043,
            tag_ids: BTreeMap::new(),
        }
    }

    /// A contact in whatever state.
    pub(crate) fn any_contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.get(id)
    }

    pub(crate) fn contact(&self, id: &str) -> Result<&Contact, NotInWorld> {
        let contact = self.contacts.get(id).filter(|contact| contact.life == Life::Active);
        contact.ok_or_else(|| NotInWorld { what: "contact", id: id.to_owned() })
    }

    fn contact_mut(&mut self, id: &str) -> Result<&mut Contact, NotInWorld> {
        let contact = self.contacts.get_mut(id).filter(|contact| contact.life == Life::Active);
        contact.ok_or_else(|| NotInWorld { what: "contact", id: id.to_owned() })
    }

    pub(crate) fn conversation(&self, id: &str) -> Result<&Conversation, NotInWorld> {
        let found = id.parse().ok().and_then(|number: u64| self.conversations.get(&number));
        found.ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }

    fn conversation_mut(&mut self, id: &str) -> Result<&mut Conversation, NotInWorld> {
        let found = id.parse().ok().and_then(|number: u64| self.conversations.get_mut(&number));
        found.ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }

    // ------------------------------------------------------------------------------------------------ contacts

    pub(crate) fn create_contact(&mut self, new: NewContact, now_ms: i64) -> Contact {
        let id = format!("{:08x}{:016x}", now_ms.div_euclid(1000) & 0xffff_ffff, self.seeded.next());
        self.create_contact_as(id, new, now_ms)
    }

    pub(crate) fn create_contact_as(&mut self, id: String, new: NewContact, now_ms: i64) -> Contact {
        let role = new.role.unwrap_or(Role::User);
        let external_id = new.external_id.or_else(|| match role {
            Role::User => None,
            Role::Lead => Some(self.seeded.uuid()),
        });
        let contact = Contact {
            id: id.clone(),
            role,
            external_id,
            email: new.email,
            name: new.name,
            custom_attributes: new.custom_attributes,
            created_at_ms: now_ms,
            updated_at_ms: now_ms - 2,
            life: Life::Active,
        };
        self.contacts.insert(id, contact.clone());
        contact
    }

    pub(crate) fn update_contact(&mut self, id: &str, change: ContactChange, now_ms: i64) -> Result<Contact, NotInWorld> {
        let contact = self.contact_mut(id)?;
        contact.external_id = change.external_id.or(contact.external_id.take());
        contact.email = change.email.or(contact.email.take());
        contact.name = change.name.or(contact.name.take());
        contact.custom_attributes.extend(change.custom_attributes);
        contact.updated_at_ms = now_ms;
        Ok(contact.clone())
    }

    pub(crate) fn delete_contact(&mut self, id: &str) -> Result<Contact, NotInWorld> {
        let contact = self.contact_mut(id)?;
        contact.life = Life::Deleted;
        Ok(contact.clone())
    }

    /// The lead is gone; its conversations are the survivor's.
    pub(crate) fn merge_contacts(&mut self, lead: &str, into: &str, now_ms: i64) -> Result<Contact, NotInWorld> {
        self.contact(into)?;
        self.contact_mut(lead)?.life = Life::MergedInto(into.to_owned());
        for conversation in self.conversations.values_mut() {
            for contact in conversation.contacts.iter_mut().filter(|contact| *contact == lead) {
                into.clone_into(contact);
            }
        }
        let survivor = self.contact_mut(into)?;
        survivor.updated_at_ms = now_ms;
        Ok(survivor.clone())
    }

    // ------------------------------------------------------------------------------------------- conversations

    pub(crate) fn open(&mut self, contact: &str, by: Author, priority: Priority, body: &str, now: i64) -> Result<Conversation, NotInWorld> {
        self.contact(contact)?;
        self.last_conversation += 1 + self.seeded.next() % 10_000;
        self.last_part += 1 + self.seeded.next() % 10_000;
        let conversation = Conversation {
            id: self.last_conversation,
            created_at: now,
            updated_at: now,
            waiting_since: matches!(by, Author::Contact(_)).then_some(now),
            snoozed_until: None,
            state: ConversationState::Open,
            priority,
            assigned: by == Author::Admin,
            source_id: self.last_part / 11,
            started_by: by,
            body: body.to_owned(),
            contacts: vec![contact.to_owned()],
            tags: Vec::new(),
            rating: None,
            parts: Vec::new(),
        };
        self.conversations.insert(conversation.id, conversation.clone());
        Ok(conversation)
    }

    /// Adds a part, and whatever `change` makes of the conversation before that.
    pub(crate) fn add_part(
        &mut self,
        id: &str,
        part_type: &'static str,
        author: Author,
        body: Option<&str>,
        now: i64,
        change: impl FnOnce(&mut Conversation),
    ) -> Result<(Conversation, Part), NotInWorld> {
        self.conversation(id)?;
        self.last_part += 1 + self.seeded.next() % 10_000;
        let part_id = self.last_part;
        let conversation = self.conversation_mut(id)?;
        change(conversation);
        conversation.updated_at = now;
        conversation.assigned |= author == Author::Admin;
        let part = Part { id: part_id, part_type, body: body.map(str::to_owned), created_at: now, author, state: conversation.state };
        conversation.parts.push(part.clone());
        Ok((conversation.clone(), part))
    }

    /// A change that leaves no part.
    pub(crate) fn change(&mut self, id: &str, now: i64, change: impl FnOnce(&mut Conversation)) -> Result<Conversation, NotInWorld> {
        let conversation = self.conversation_mut(id)?;
        change(conversation);
        conversation.updated_at = now;
        Ok(conversation.clone())
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<Conversation, NotInWorld> {
        let number = self.conversation(id)?.id;
        self.conversations.remove(&number).ok_or_else(|| NotInWorld { what: "conversation", id: id.to_owned() })
    }

    /// One id for a name, in any case of letters.
    pub(crate) fn tag(&mut self, name: &str, now: i64) -> Tag {
        let last = &mut self.last_tag;
        let id = self.tag_ids.entry(name.to_lowercase()).or_insert_with(|| {
            *last += 1;
            last.to_string()
        });
        Tag { id: id.clone(), name: name.to_owned(), applied_at: now }
    }
}
