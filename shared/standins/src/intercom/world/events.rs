//! Data events of contacts, and messages from the teammate to them.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/data-events>

use super::World;
use serde_json::{Map, Value};

/// "Max 120 active event names." (notes 2.7)
const MAX_NAMES: usize = 120;

#[derive(Clone, Debug, PartialEq)]
pub struct DataEvent {
    pub id: String,
    /// The contact's Intercom id.
    pub contact: String,
    pub name: String,
    /// Unix seconds.
    pub created_at: i64,
    /// At most 10 keys.
    pub metadata: Map<String, Value>,
}

/// From the teammate to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u64,
    /// The contact's Intercom id.
    pub contact: String,
    /// `in_app` or `email`, whichever spelling was used.
    pub channel: &'static str,
    pub subject: Option<String>,
    /// Plain text.
    pub body: String,
    /// Unix seconds.
    pub created_at: i64,
    pub from_admin: String,
}

/// What became of an event.
pub(crate) enum Tracked {
    Kept(DataEvent),
    /// One of that name in that second is there already: the first stays.
    Vanished,
    TooManyNames,
}

impl World {
    pub(crate) fn track(&mut self, contact: &str, name: &str, created_at: i64, metadata: Map<String, Value>) -> Tracked {
        if !self.event_names.contains(name) && self.event_names.len() >= MAX_NAMES {
            return Tracked::TooManyNames;
        }
        self.event_names.insert(name.to_owned());
        if !self.event_keys.insert((contact.to_owned(), name.to_owned(), created_at)) {
            return Tracked::Vanished;
        }
        let event = DataEvent { id: self.seeded.uuid(), contact: contact.to_owned(), name: name.to_owned(), created_at, metadata };
        self.events.push(event.clone());
        Tracked::Kept(event)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &DataEvent> {
        self.events.iter()
    }

    pub(crate) fn send_message(&mut self, message: impl FnOnce(u64) -> Message) -> Message {
        let message = message(self.next_part() / 11);
        self.messages.push(message.clone());
        message
    }

    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }
}
