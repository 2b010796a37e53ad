//! What one notification says about a ticket. What is kept of it is in [`super`].

use crate::event::Value;
use crate::id::Digest;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Intercom's id of the conversation, which its ticket shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(String);

impl TicketId {
    /// `None` for an empty id or one over 64 characters, or with anything but letters, digits, `-` and `_`.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one notification says about a ticket, for one of its people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketReport {
    pub ticket: TicketId,
    /// What the notification is about. Routes hang on it; the state never does.
    pub fact: TicketFact,
    /// The states seen in the payload; empty where it carried none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Sighting>,
    /// When the ticket was opened, by its own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<StartedBy>,
    /// When the customer first wrote, where somebody else began. Of a conversation that we began in their name it may be what
    /// we wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoke_at: Option<Timestamp>,
    /// The customer's latest answer that the payload shows, unless that is what the notification is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// A teammate has written in it, or it is assigned to a teammate or a team.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub human: bool,
    /// What an AI does in it; `None`: it takes no part, as far as the payload shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiReport>,
    /// It was merged into another conversation, which goes on in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merged: bool,
    /// Only Intercom tickets have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Name of the ticket type, where the payload has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<String>,
    /// What it began with, as [`opening`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
    /// Attributes of the conversation or ticket, flat, for the category and for routes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
}

impl TicketReport {
    /// One that says no more than this.
    pub fn new(ticket: TicketId, fact: TicketFact) -> Self {
        Self {
            ticket,
            fact,
            seen: Vec::new(),
            opened_at: None,
            priority: None,
            started_by: None,
            spoke_at: None,
            word: None,
            human: false,
            ai: None,
            merged: false,
            audience: None,
            ticket_type: None,
            opening: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// Tells texts that a conversation began with apart, whatever the vendor makes of their marks and spaces. `None`: there is no
/// text in it.
pub fn opening(text: &str) -> Option<String> {
    let mut letters = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let marked = match c {
            '<' => tag(rest),
            '&' => entity(rest),
            _ => None,
        };
        if marked.is_none() && c.is_alphanumeric() {
            letters.extend(c.to_lowercase());
        }
        rest = &rest[marked.unwrap_or(c.len_utf8())..];
    }
    (!letters.is_empty()).then(|| Digest::new("opening").with(&letters).hex())
}

/// How long the tag is that the text begins with, if it does: a `<` before a letter, and not one in a sentence.
fn tag(text: &str) -> Option<usize> {
    let begins = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
    if begins { text.find('>').map(|end| end + 1) } else { None }
}

/// The same of an entity, such as `&amp;` or `&#39;`.
fn entity(text: &str) -> Option<usize> {
    let end = text.find(';').filter(|end| (2..=10).contains(end))?;
    text[1..end].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#').then_some(end + 1)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum TicketFact {
    Opened,
    Replied {
        by: Author,
    },
    Snoozed,
    Closed,
    Reopened,
    Prioritised,
    Tagged {
        tag: String,
    },
    /// The customer rated those who helped.
    Rated {
        score: u8,
        #[serde(default, skip_serializing_if = "RatingOf::is_teammate")]
        of: RatingOf,
    },
    /// The customer rated the AI.
    AiRated {
        score: u8,
    },
    /// The contact has been made part of it.
    Attached,
    /// The contact is no longer part of it.
    Detached,
    Deleted,
    /// Anything else that showed us the state.
    Updated,
    /// We asked, and this is what it was.
    ReRead,
    /// We have just opened it ourselves.
    Ours,
}

impl TicketFact {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened => "ticket_opened",
            Self::Replied { .. } => "ticket_replied",
            Self::Snoozed => "ticket_snoozed",
            Self::Closed => "ticket_closed",
            Self::Reopened => "ticket_reopened",
            Self::Prioritised => "ticket_prioritised",
            Self::Tagged { .. } => "ticket_tagged",
            Self::Rated { .. } => "ticket_rated",
            Self::AiRated { .. } => "ticket_ai_rated",
            Self::Attached => "ticket_contact_attached",
            Self::Detached => "ticket_contact_detached",
            Self::Deleted => "ticket_deleted",
            Self::Updated => "ticket_updated",
            Self::ReRead => "ticket_re_read",
            Self::Ours => "ticket_ours",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    Customer,
    Teammate,
    Bot,
}

/// Whom a rating is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatingOf {
    #[default]
    Teammate,
    /// A workflow asked for it, and no teammate had taken part.
    Workflow,
}

impl RatingOf {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teammate => "teammate",
            Self::Workflow => "workflow",
        }
    }

    fn is_teammate(&self) -> bool {
        *self == Self::Teammate
    }
}

/// An answer of the customer, in the time of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub at: Timestamp,
    /// Numeric id of the part; 0 where it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u64,
}

/// What a payload shows of an AI that takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiReport {
    /// `None`: it has given no answer that could have resolved anything, or the customer has come back since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<AiResolution>,
    /// A teammate tries out what the AI would say: there is no customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Its latest answer that the payload shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
}

/// How far an AI has come by itself (`ai_agent.resolution_state`), in the words of API version 2.15.
/// <https://developers.intercom.com/docs/references/2.15/changelog>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiResolution {
    /// The customer did not come back within 24 hours of its answer.
    AssumedResolution,
    /// The customer said that the answer helped.
    ConfirmedResolution,
    /// The customer wanted a human, or a rule did.
    Escalated,
    /// The customer said that the answer did not help.
    NegativeFeedback,
    /// A procedure ended with a human.
    ProcedureHandoff,
}

impl AiResolution {
    pub const ALL: [Self; 5] =
        [Self::AssumedResolution, Self::ConfirmedResolution, Self::Escalated, Self::NegativeFeedback, Self::ProcedureHandoff];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AssumedResolution => "assumed_resolution",
            Self::ConfirmedResolution => "confirmed_resolution",
            Self::Escalated => "escalated",
            Self::NegativeFeedback => "negative_feedback",
            Self::ProcedureHandoff => "procedure_handoff",
        }
    }

    /// Nothing is left to do.
    pub fn is_resolved(self) -> bool {
        matches!(self, Self::AssumedResolution | Self::ConfirmedResolution)
    }
}

/// Who has taken part on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HandledBy {
    Nobody,
    /// An AI, and no human.
    Ai,
    Human,
}

impl HandledBy {
    pub const ALL: [Self; 3] = [Self::Human, Self::Ai, Self::Nobody];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Ai => "ai",
            Self::Human => "human",
        }
    }
}

/// Who began the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartedBy {
    Customer,
    Teammate,
    /// A campaign, a bot or a workflow.
    Automation,
}

/// Whom an Intercom ticket type is for (`ticket.category`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Customer,
    BackOffice,
    Tracker,
}

/// Declared calm to hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    None,
    Low,
    Medium,
    High,
    Urgent,
}

impl Priority {
    pub const ALL: [Self; 5] = [Self::None, Self::Low, Self::Medium, Self::High, Self::Urgent];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// Reads our own word for it, as it stands in the configuration.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

/// One register's state as a payload showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub register: Register,
    pub state: State,
    /// Time in the item (`updated_at`), whole seconds.
    pub at: Timestamp,
    /// Numeric id of the part that caused the notification, which grows with time; 0 where the payload has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u64,
    #[serde(default, skip_serializing_if = "Evidence::is_plain")]
    pub evidence: Evidence,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    Conversation,
    Ticket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    /// Still waiting for us: counts as open.
    Snoozed,
    Closed,
}

/// How much a sighting proves when seconds and part ids cannot decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The payload happened to show the state.
    #[default]
    Plain,
    /// The causing part itself made the change to this state.
    Cause,
    /// We asked afterwards.
    ReRead,
}

impl Evidence {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}
