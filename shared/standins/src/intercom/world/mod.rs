//! The people, conversations and companies of one made-up workspace, and what can happen to them. It knows nothing of HTTP.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io>

mod catalogue;
mod companies;
mod contacts;
mod conversations;
mod events;
mod tickets;

pub use catalogue::{Consent, DataAttribute, DataType, Model, SubscriptionType, Tag};
pub use companies::Company;
pub use contacts::{Contact, ContactChange, Life, NewContact, Note, Role};
pub(crate) use conversations::NewPart;
pub use conversations::{AiAgent, Assignee, Author, Conversation, ConversationState, Part, Priority, Rating};
pub(crate) use events::Tracked;
pub use events::{DataEvent, Message};
pub(crate) use tickets::default_type;
pub use tickets::{Ticket, TicketPart, TicketState, TicketType};

use crate::seed::Seeded;
use contacts::Indexed;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The one teammate who does things by hand.
pub(crate) const ADMIN_ID: u64 = 9_608_799;
pub(crate) const ADMIN_NAME: &str = "Jo Doe";
pub(crate) const ADMIN_EMAIL: &str = "jo@example.com";

/// A test or a demo named something that does not exist (any more).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInWorld {
    /// `contact`, `conversation`, `company`, `ticket` or `subscription type`.
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
    /// What the search has of each contact, oldest first.
    index: BTreeMap<String, Vec<Indexed>>,
    conversations: BTreeMap<u64, Conversation>,
    tickets: BTreeMap<u64, Ticket>,
    companies: BTreeMap<String, Company>,
    events: Vec<DataEvent>,
    /// Contact, name and second of each event that is kept.
    event_keys: BTreeSet<(String, String, i64)>,
    event_names: BTreeSet<String>,
    messages: Vec<Message>,
    tags: BTreeMap<String, Tag>,
    pub(crate) attributes: Vec<DataAttribute>,
    pub(crate) subscription_types: Vec<SubscriptionType>,
    pub(crate) ticket_types: Vec<TicketType>,
    last_conversation: u64,
    last_part: u64,
    last_tag: u64,
    last_ticket: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seeded: Seeded::new(seed),
            contacts: BTreeMap::new(),
            index: BTreeMap::new(),
            conversations: BTreeMap::new(),
            tickets: BTreeMap::new(),
            companies: BTreeMap::new(),
            events: Vec::new(),
            event_keys: BTreeSet::new(),
            event_names: BTreeSet::new(),
            messages: Vec::new(),
            tags: BTreeMap::new(),
            attributes: Vec::new(),
            subscription_types: catalogue::subscription_types(),
            ticket_types: vec![tickets::default_type()],
            last_conversation: 215_472_621_202_692,
            last_part: 37_358_461_335,
            last_tag: 12_934_043,
            last_ticket: 66_040_341,
        }
    }

    /// Digits; a later one is greater.
    fn next_part(&mut self) -> u64 {
        self.last_part += 1 + self.seeded.next() % 10_000;
        self.last_part
    }

    /// 24 hex digits, beginning with the time.
    fn next_object(&mut self, now_ms: i64) -> String {
        format!("{:08x}{:016x}", now_ms.div_euclid(1000) & 0xffff_ffff, self.seeded.next())
    }
}
