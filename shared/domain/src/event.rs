//! Canonical events: facts in the past tense that one of the tools reported, in our own words.
//!
//! A connector turns a vendor's payload into these; nothing behind a connector ever sees vendor JSON. An event concerns
//! one person: a conversation with three contacts becomes three events. Its id is derived from the source's own id, so
//! that a redelivery carries the same one.

use crate::id::{ActionId, Digest, EventId, PersonId};
use crate::tickets::TicketReport;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

pub use serde_json::Value;

/// Free-form attributes of a person or an event, by canonical name.
pub type Attributes = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub source: Source,
    /// The Trefoil workspace that this belongs to: one Intercom app, one Customer.io workspace, one Segment workspace.
    pub workspace: Workspace,
    /// When it happened, as far as the source says; never used to decide order between tickets' states.
    pub occurred_at: Timestamp,
    /// When it reached us.
    pub received_at: Timestamp,
    /// What the source calls the person, strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Identifier>,
    /// Set when the event is about a person that we already know by our own id (something due, see [`Kind::Due`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// Set when the source says that the change was made through an API, and by which app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Kind {
    PersonCreated(Profile),
    PersonUpdated(Profile),
    /// A lead became a user.
    PersonSignedUp(Profile),
    /// The answer to a look-up of a contact.
    PersonIdentified(Profile),
    /// The look-up found nobody under that id.
    PersonNotFound,
    Ticket(TicketReport),
    /// Time has come for something; written by the scan.
    Due(WakeReason),
}

impl Kind {
    /// The name used in outcomes and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PersonCreated(_) => "person_created",
            Self::PersonUpdated(_) => "person_updated",
            Self::PersonSignedUp(_) => "person_signed_up",
            Self::PersonIdentified(_) => "person_identified",
            Self::PersonNotFound => "person_not_found",
            Self::Ticket(report) => report.fact.name(),
            Self::Due(_) => "due",
        }
    }

    /// The attributes that came with a profile event.
    pub fn attributes(&self) -> Option<&Attributes> {
        match self {
            Self::PersonCreated(p) | Self::PersonUpdated(p) | Self::PersonSignedUp(p) | Self::PersonIdentified(p) => Some(&p.attributes),
            Self::PersonNotFound | Self::Ticket(_) | Self::Due(_) => None,
        }
    }
}

/// What a source says about a person: standard fields and custom attributes side by side, the vendor's custom ones
/// never overwriting a standard one. Times are RFC 3339 text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// Why something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeReason {
    /// A value of the support facet changes by the passing of time alone.
    Facet,
    /// An open ticket has been quiet for long: is it still open?
    ReRead,
    /// A destination has no profile for the person yet, or could not confirm that it has; try again.
    RepairCustomerio,
}

impl WakeReason {
    pub fn name(self) -> &'static str {
        match self {
            Self::Facet => "facet",
            Self::ReRead => "re_read",
            Self::RepairCustomerio => "repair_customerio",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Intercom,
    /// Trefoil itself: something due.
    Trefoil,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::Intercom => "intercom",
            Self::Trefoil => "trefoil",
        }
    }
}

/// The app that made a change through the vendor's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(pub String);

/// Name of a Trefoil workspace; part of every key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Workspace(String);

impl Workspace {
    /// # Errors
    /// The name is empty, longer than 64 characters, or has anything but letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, String> {
        let fits = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits { Ok(Self(name.to_owned())) } else { Err("a workspace name is 1 to 64 letters, digits, `-` or `_`".to_owned()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One name of a person in one of the tools.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: IdKind,
    pub value: String,
}

/// Declared strongest first: resolution goes in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// Intercom's own id of a contact: 24 hex digits. A person may have many.
    IntercomId,
    /// The customer's own user id. One a person.
    UserId,
    /// Lower case. Several people may claim one address; it binds only while a single one does.
    Email,
}

impl IdKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::IntercomId => "intercom",
            Self::UserId => "user",
            Self::Email => "email",
        }
    }
}

impl Identifier {
    /// `None` when nothing is left after trimming, or the value is longer than any tool allows (320 bytes).
    pub fn new(kind: IdKind, value: &str) -> Option<Self> {
        let trimmed = value.trim();
        if trimmed.is_empty() || trimmed.len() > 320 {
            return None;
        }
        let value = match kind {
            // Customer.io compares addresses without regard to case; so does everybody's mail provider in practice.
            IdKind::Email if !trimmed.contains('@') => return None,
            IdKind::Email => trimmed.to_lowercase(),
            IdKind::IntercomId | IdKind::UserId => trimmed.to_owned(),
        };
        Some(Self { kind, value })
    }
}

/// Derives the id of an event from what the source calls it. `parts` must not change between redeliveries.
pub fn event_id(source: Source, workspace: &Workspace, parts: &[&str]) -> EventId {
    let mut digest = Digest::new("event").with(source.name()).with(workspace.as_str());
    for part in parts {
        digest = digest.with(part);
    }
    EventId::from(digest)
}

/// Derives the id of an action. See DESIGN of the edges: the parts name the edge, the route and the place in it.
pub fn action_id(parts: &[&str]) -> ActionId {
    let mut digest = Digest::new("action");
    for part in parts {
        digest = digest.with(part);
    }
    ActionId::from(digest)
}
