//! Intercom as the steps see it. Each method is one call: whoever decides what comes next knows what was done when the process
//! ends in between.

use crate::action::{ContactRole, MessageChannel, UpsertCompany};
use crate::event::{Attributes, Event, Workspace};
use crate::id::EventId;
use crate::job::LookUp;
use crate::outcome::Outcome;
use crate::ports::Commit;
use crate::ports::StoreError;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;

/// The Intercom connector, as the look-up step sees it.
pub trait IntercomLookUps: Send + Sync {
    /// Asks, and answers as events; `asked_by` makes their ids, so that a repeated answer is the same event.
    fn look_up(
        &self,
        workspace: &Workspace,
        question: &LookUp,
        asked_by: &EventId,
        now: Timestamp,
    ) -> impl Future<Output = LookedUp> + Send;

    /// As [`super::Customerio::pause`].
    fn pause(&self, now: Timestamp) -> Option<Span>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct LookedUp {
    pub outcome: Outcome,
    pub events: Vec<Event>,
}

/// The Intercom connector, as the send step sees it.
pub trait Intercom: Send + Sync {
    /// Looks for the user with this `external_id`. Leads are not found by it.
    fn with_user_id(&self, user_id: &str, now: Timestamp) -> impl Future<Output = Sought> + Send;

    /// Searches by address. A contact made within the last minutes may be missing.
    fn with_email(&self, email: &str, now: Timestamp) -> impl Future<Output = Sought> + Send;

    /// Reads one contact; of one that was merged, the one it went up in.
    fn contact(&self, contact: &str, now: Timestamp) -> impl Future<Output = Sought> + Send;

    /// Makes one call.
    fn call(&self, call: &IntercomCall, now: Timestamp) -> impl Future<Output = Called> + Send;

    /// There is a teammate in whose name things can be written and assigned.
    fn has_teammate(&self) -> bool;

    /// As [`super::Customerio::pause`].
    fn pause(&self, now: Timestamp) -> Option<Span>;
}

/// What looking for a contact gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Sought {
    Found(Vec<SeenContact>),
    Failed(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenContact {
    pub id: String,
    pub role: ContactRole,
    /// The customer's own id; of a lead it is Intercom's invention, and left out.
    pub user_id: Option<String>,
}

/// One call at Intercom. Contacts, conversations and companies by Intercom's own ids.
#[derive(Clone, Debug, PartialEq)]
pub enum IntercomCall {
    CreateContact(ContactFields),
    UpdateContact {
        contact: String,
        fields: ContactFields,
    },
    UnarchiveContact {
        contact: String,
    },
    ArchiveContact {
        contact: String,
    },
    DeleteContact {
        contact: String,
    },
    /// A lead goes up in a user.
    MergeContacts {
        from: String,
        into: String,
    },
    AddTag {
        contact: String,
        tag: String,
    },
    RemoveTag {
        contact: String,
        tag: String,
    },
    /// Intercom keeps one event for contact, name and second (`at`, unix seconds).
    TrackEvent {
        contact: String,
        name: String,
        at: i64,
        metadata: Attributes,
    },
    /// All e-mail, or one subscription type by its name or id.
    SetSubscription {
        contact: String,
        topic: Option<String>,
        subscribed: bool,
    },
    OpenConversation {
        contact: String,
        role: Option<ContactRole>,
        body: String,
    },
    AssignToAdmin {
        conversation: String,
        admin: String,
    },
    AssignToTeam {
        conversation: String,
        team: String,
    },
    NoteOnConversation {
        conversation: String,
        body: String,
    },
    TagConversation {
        conversation: String,
        tag: String,
    },
    NoteOnContact {
        contact: String,
        body: String,
    },
    SendMessage {
        contact: String,
        role: Option<ContactRole>,
        channel: MessageChannel,
        subject: Option<String>,
        body: String,
    },
    CreateTicket {
        contact: String,
        ticket_type: String,
        title: String,
        description: Option<String>,
        attributes: Attributes,
    },
    /// As [`IntercomCall::AssignToAdmin`] and [`IntercomCall::AssignToTeam`]; tickets take either in one field.
    AssignTicket {
        ticket: String,
        assignee: String,
    },
    UpsertCompany(UpsertCompany),
    AttachCompany {
        contact: String,
        company: String,
    },
}

/// What a contact is to have; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactFields {
    pub role: Option<ContactRole>,
    /// The customer's own id: `external_id`.
    pub user_id: Option<String>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub avatar: Option<String>,
    /// A time: unix seconds, or ISO 8601.
    pub signed_up_at: Option<serde_json::Value>,
    pub last_seen_at: Option<serde_json::Value>,
    pub owner_id: Option<String>,
    /// Takes the contact out of all e-mail. Never the other way round: see [`IntercomCall::SetSubscription`].
    pub unsubscribed: bool,
    /// Custom attributes.
    pub attributes: Attributes,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Called {
    Done(Made),
    /// Of [`IntercomCall::CreateContact`]: there is one with that id or address.
    Exists {
        contact: String,
        archived: bool,
    },
    /// It was certainly not done.
    Not(Outcome),
    /// It may have been done: there was no answer, or none that tells.
    Unknown(Outcome),
    /// There is no such contact: too new, or gone.
    NoContact,
    /// The contact lives on under another id.
    MergedInto(String),
    /// Of [`IntercomCall::TrackEvent`]: Intercom has as many names of events as it takes.
    TooManyNames,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Intercom's id of what was made or written.
    pub id: Option<String>,
    /// Of a contact: what it is now.
    pub role: Option<ContactRole>,
    /// What an operator should know: attributes that were left out, texts that were cut. Names of attributes, no values.
    pub notes: Vec<String>,
    /// Names of fields and attributes that Intercom was not given.
    pub left_out: Vec<String>,
}

/// The names of events that were sent to Intercom, of which it takes no more than 120. One list a workspace.
pub trait EventNames: Send + Sync {
    /// # Errors
    /// As [`super::Store::find`].
    fn event_names(&self, workspace: &Workspace) -> impl Future<Output = Result<NamesTaken, StoreError>> + Send;

    /// Applies if the stored version is `names.version` (0 = absent), and is stored with `names.version + 1`.
    ///
    /// # Errors
    /// As [`super::Store::commit`].
    fn put_event_names(&self, workspace: &Workspace, names: NamesTaken) -> impl Future<Output = Result<Commit, StoreError>> + Send;
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesTaken {
    pub names: BTreeSet<String>,
    /// 0 = not stored yet.
    #[serde(default)]
    pub version: u64,
}
