//! What the steps need of the outside world. `platform` implements these against AWS and against one SQLite file; the
//! tests implement them in memory, with crashes.

mod intercom;

use crate::consent::Told;
use crate::event::{Event, IdKind, Identifier, Parent, Source, WakeReason, Workspace};
use crate::id::{ActionId, ConflictId, EventId, PersonId};
use crate::identity::ConflictKind;
use crate::label::Label;
use crate::outcome::Outcome;
use crate::person::Person;
use crate::tickets::TicketId;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;

pub use intercom::{
    Called, ContactFields, EventNames, Intercom, IntercomCall, IntercomLookUps, LookedUp, Made, NamesTaken, SeenContact, Sought,
};

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Randomness, for jitter only: nothing that is stored may depend on it.
pub trait Jitter: Send + Sync {
    /// Uniform in 0.0 to 1.0.
    fn unit(&self) -> f64;
}

// ---------------------------------------------------------------------------------------------------- queues

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueName {
    Events,
    CustomerioState,
    Customerio,
    /// Questions, what people see, and what keeps mail from them.
    IntercomState,
    Intercom,
    Segment,
    /// What cannot be used, with the reason, kept for a human.
    Parked,
}

impl QueueName {
    pub const ALL: [Self; 7] =
        [Self::Events, Self::CustomerioState, Self::Customerio, Self::IntercomState, Self::Intercom, Self::Segment, Self::Parked];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::CustomerioState => "customerio-state",
            Self::Customerio => "customerio",
            Self::IntercomState => "intercom-state",
            Self::Intercom => "intercom",
            Self::Segment => "segment",
            Self::Parked => "parked",
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message to send. Messages of one group are delivered in order, one batch at a time; two with one `dedup` within five
/// minutes are one message. Both are hashes: queue attributes carry nothing of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub body: String,
    pub group: String,
    pub dedup: String,
}

impl Message {
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json<T: Serialize>(value: &T, group: String, dedup: String) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_string(value)?;
        // SQS refuses these two for ever, and serde_json writes them raw. Inside JSON they can only stand in strings.
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        let body =
            if body.contains(['\u{FFFE}', '\u{FFFF}']) { body.replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff") } else { body };
        Ok(Self { body, group, dedup })
    }
}

pub trait Queue: Send + Sync {
    /// Sends all messages; `Ok` means that every one of them is durable.
    ///
    /// # Errors
    /// At least one was not accepted. Some may have been: sending all again is safe, they carry dedup ids.
    fn send(&self, queue: QueueName, messages: Vec<Message>) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Unique within the batch.
    pub id: String,
    pub body: String,
    pub group: String,
    /// 1 on the first delivery.
    pub receive_count: u32,
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    Delete,
    /// Back to the queue, visible again after this long. It alone: nothing here rests on the order within a group.
    Retry(Span),
}

#[derive(Debug, PartialEq, Eq)]
pub struct QueueError {
    pub queue: QueueName,
    pub message: String,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} did not accept the messages: {}", self.queue, self.message)
    }
}

impl std::error::Error for QueueError {}

// ---------------------------------------------------------------------------------------------------- people

/// Key of the aliases table: `<kind>#<workspace>#<value>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasKey(String);

impl AliasKey {
    pub fn of_identifier(workspace: &Workspace, id: &Identifier) -> Self {
        Self::new(id.kind.name(), workspace, &id.value)
    }

    /// Some payloads name a ticket and no contact; this finds the people.
    pub fn of_ticket(workspace: &Workspace, ticket: &TicketId) -> Self {
        Self::new("ticket", workspace, ticket.as_str())
    }

    /// What the campaign is called.
    pub fn of_campaign(workspace: &Workspace, campaign: &Parent) -> Self {
        Self::new("campaign", workspace, &format!("{}-{}", campaign.kind.as_str(), campaign.id))
    }

    fn new(kind: &str, workspace: &Workspace, value: &str) -> Self {
        Self(format!("{kind}#{workspace}#{value}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a key that was stored before.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Who claims an id, or who takes part in a ticket, or what a campaign is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Sorted, without repeats.
    pub claimants: Vec<PersonId>,
    /// Of a ticket: it was deleted then. Stays, so that a late webhook of a deleted conversation opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Of a campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// 0 = not stored yet.
    #[serde(default)]
    pub version: u64,
}

/// What one read found. Absent keys are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub aliases: BTreeMap<AliasKey, Alias>,
    pub people: BTreeMap<PersonId, Person>,
}

/// One conditional write. It applies only if the stored version is `expected` (0 = the item must be absent); the stored
/// version becomes `expected + 1`, except for people, who carry their own.
#[derive(Clone, Debug, PartialEq)]
pub enum Put {
    Person { person: Box<Person>, expected: u64 },
    Alias { key: AliasKey, alias: Alias, expected: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    Done,
    /// Somebody else was faster; nothing was written. Read again.
    Conflict,
}

/// What a sender knows about one person at its destination. Owned by the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Hash of the facet that the destination was last known to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet_hash: Option<String>,
    #[serde(default)]
    pub facet_version: u64,
    /// A write was begun and has not been confirmed: what the destination has is unknown, whatever the hash says.
    #[serde(default)]
    pub dirty: bool,
    /// The greatest `timestamp` (unix seconds) ever sent; the next one is greater.
    #[serde(default)]
    pub last_timestamp: i64,
    /// The destination's own id of the profile, once known (Customer.io: `cio_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When that was last seen to exist. Profiles are deleted and merged without a word to us.
    #[serde(default)]
    pub profile_seen_at: Timestamp,
    /// How often in a row no profile was found, or none could be confirmed.
    #[serde(default)]
    pub unconfirmed: u32,
    /// A contact or a profile was about to be made then, and whether it was is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating_since: Option<Timestamp>,
    /// Intercom: the lead that is to go up in a user who is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoting: Option<String>,
    /// Intercom, Segment: somebody is writing to the person, and nobody else may until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_until: Option<Timestamp>,
    /// Intercom: hash of the ids that no contact was found by, last at `profile_seen_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_for: Option<String>,
    /// What the person was last given there, by name of field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, Given>,
    /// What its records were last told of consent: by attribute or trait, at Intercom by contact and switch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<String, Told>,
    /// Intercom: the seconds that the last events of this person took, since it keeps one event for name and second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seconds: Vec<TakenSecond>,
    /// Intercom: seconds without a gap that earlier ones took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<TakenRun>,
    /// Intercom: contacts of theirs that are not there any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dead: BTreeSet<String>,
    /// The person's generation when this was written: in a later one only the timestamp still holds.
    #[serde(default)]
    pub generation: usize,
    /// 0 = not stored yet.
    #[serde(default)]
    pub version: u64,
}

/// The value that a field was last given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub hash: String,
    /// When the fact behind it happened: an older one comes too late.
    pub at: Timestamp,
    /// The destination did not take it. It may one day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// An event's place in time at Intercom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenSecond {
    /// Of the event's name.
    pub name: String,
    /// Unix seconds.
    pub at: i64,
    pub action: ActionId,
}

/// Seconds that events of one name took, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenRun {
    /// Of the events' name.
    pub name: String,
    /// Unix seconds.
    pub from: i64,
    pub to: i64,
}

/// Something due for a person: at most one for each reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    pub workspace: Workspace,
    pub person: PersonId,
    pub reason: WakeReason,
    pub due: Timestamp,
}

/// One line of the history: how something ended at one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub event: EventId,
    /// `ingest`, `route`, or the queue that the job came from; with the person where an event concerned several.
    pub stage: String,
    pub at: Timestamp,
    /// What it was: the event's kind or the work.
    pub what: String,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Routes not taken, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(String, String)>,
    /// What else was noticed: an id that contradicts, a ticket that had to be asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Ids that do not fit together, kept until a human has settled it or it no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictNote {
    pub id: ConflictId,
    pub workspace: Workspace,
    pub kind: ConflictKind,
    /// The id over which they differ.
    pub over: Identifier,
    /// Everybody whom it concerns, as far as known then. Each may have been merged since.
    pub people: BTreeSet<PersonId>,
    /// The event that ran into it last.
    pub event: EventId,
    pub at: Timestamp,
}

/// How long outcomes are kept.
pub const HISTORY_KEPT: Span = Span::from_days(35);

pub trait Store: Send + Sync {
    /// One strongly consistent read of all these keys, in one round trip.
    ///
    /// # Errors
    /// The store cannot be reached, or holds something unreadable.
    fn find(&self, aliases: &[AliasKey], people: &[PersonId]) -> impl Future<Output = Result<Found, StoreError>> + Send;

    /// Applies all or nothing. One put is one conditional write; several are one transaction (at most 100).
    ///
    /// # Errors
    /// The store cannot be reached. Whether the write was applied is then unknown; reading again tells.
    fn commit(&self, puts: Vec<Put>) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// People with their marks for one destination, strongly consistent, in one round trip.
    ///
    /// # Errors
    /// As [`Store::find`].
    fn with_marks(
        &self,
        destination: Destination,
        people: &[PersonId],
    ) -> impl Future<Output = Result<BTreeMap<PersonId, (Person, Mark)>, StoreError>> + Send;

    /// Writes marks, each on its own: it applies if the stored version is `mark.version` (0 = absent), and is stored with
    /// `mark.version + 1`. Answers in the same order.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn put_marks(
        &self,
        destination: Destination,
        marks: Vec<(PersonId, Mark)>,
    ) -> impl Future<Output = Result<Vec<Commit>, StoreError>> + Send;

    /// Sets wakes, each replacing the one for the same person and reason.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn set_wakes(&self, wakes: Vec<Wake>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Wakes that are due by `now`, earliest first, at most `limit`. May lag behind writes (it reads an index).
    ///
    /// # Errors
    /// As [`Store::find`].
    fn due_wakes(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<Vec<Wake>, StoreError>> + Send;

    /// Removes a wake, unless it has been set to another time meanwhile.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn clear_wakes(&self, wakes: Vec<Wake>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes outcomes; one for the same event and stage is replaced. Kept for [`HISTORY_KEPT`].
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn record(&self, records: Vec<Record>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes conflicts; one with the same id is replaced.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn note_conflicts(&self, notes: Vec<ConflictNote>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All conflicts noted of a workspace, latest first.
    ///
    /// # Errors
    /// As [`Store::find`].
    fn conflicts(&self, workspace: &Workspace) -> impl Future<Output = Result<Vec<ConflictNote>, StoreError>> + Send;

    /// Forgets conflicts; what is not there is no error.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn clear_conflicts(&self, workspace: &Workspace, ids: Vec<ConflictId>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All outcomes of one event, by stage. Expired ones are left out.
    ///
    /// # Errors
    /// As [`Store::find`].
    fn history(&self, event: &EventId, now: Timestamp) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;
}

#[derive(Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What was being done, in the words of this trait.
    pub doing: &'static str,
    pub message: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed to {}: {}", self.doing, self.message)
    }
}

impl std::error::Error for StoreError {}

// ---------------------------------------------------------------------------------------------------- destinations

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    Customerio,
    Intercom,
    Segment,
}

impl Destination {
    pub const ALL: [Self; 3] = [Self::Customerio, Self::Intercom, Self::Segment];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customerio => "customerio",
            Self::Intercom => "intercom",
            Self::Segment => "segment",
        }
    }

    /// As what it reports.
    pub fn source(self) -> Source {
        match self {
            Self::Customerio => Source::Customerio,
            Self::Intercom => Source::Intercom,
            Self::Segment => Source::Segment,
        }
    }
}

/// How a person may be found at a destination, best first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub ids: Vec<(IdKind, String)>,
}

/// What looking for a profile gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileLookUp {
    /// It exists, and has an id of the destination's own.
    Found(SeenProfile),
    /// It exists, and the destination has no better name for it than this one.
    FoundBy(IdKind, String),
    Absent,
    /// Several profiles match: choose none.
    Ambiguous,
    /// Nobody can be asked (no key for it): address by this identifier and trust nothing.
    Unverified(IdKind, String),
    Failed(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProfile {
    /// The destination's own stable id.
    pub own: String,
    /// By which ids it goes besides; an e-mail address in lower case.
    pub user_id: Option<String>,
    pub email: Option<String>,
}

impl SeenProfile {
    /// It is not merely known to be there: what it does not go by then is not its own.
    pub fn says_who_it_is(&self) -> bool {
        self.user_id.is_some() || self.email.is_some()
    }
}

/// How a write names the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileRef {
    Own(String),
    By(IdKind, String),
}

/// One thing to write at Customer.io.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomerioWrite {
    /// Absolute values. `timestamp` in unix seconds orders it against other writes.
    Attributes {
        profile: ProfileRef,
        timestamp: i64,
        /// Makes a profile where there is none. Otherwise nothing happens there.
        create: bool,
        attributes: crate::event::Attributes,
        /// Those that mean something to Customer.io: ids, consent.
        own: crate::event::Attributes,
    },
    /// Whatever else a verb asks for. `action.id` makes a repeat harmless. `None`: of nobody.
    Act { profile: Option<ProfileRef>, action: crate::action::CustomerioAction },
    /// The second goes up in the first. Cannot be undone, and says nothing where one of them is not there.
    Merge { primary: ProfileRef, secondary: ProfileRef },
}

/// The Customer.io connector, as the send step sees it.
pub trait Customerio: Send + Sync {
    /// Looks for these profiles, in as few calls as the vendor allows. Answers in the same order.
    fn find_profiles(&self, people: &[Address]) -> impl Future<Output = Vec<ProfileLookUp>> + Send;

    /// Writes these in order, in as few calls as the vendor allows. Answers in the same order.
    fn write(&self, writes: &[CustomerioWrite]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// What a campaign, broadcast, newsletter or transactional message is called; `None` where there is none, or it has no name.
    ///
    /// # Errors
    /// What became of the question instead: `no_app_api_key` is skipped.
    fn campaign_name(&self, campaign: &Parent) -> impl Future<Output = Result<Option<String>, Outcome>> + Send;

    /// How long the connector wants to be left alone (its breaker is open), if at all.
    fn pause(&self, now: Timestamp) -> Option<Span>;
}

/// One message to Segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentMessage {
    pub user_id: Option<String>,
    /// Where there is no user id; beside one, what the person went by before.
    pub anonymous_id: Option<String>,
    /// The person's own address, which profiles are joined by.
    pub email: Option<String>,
    pub at: Timestamp,
    /// Of whatever asks for it: the same for every repeat, and no two things' alike.
    pub id: ActionId,
    /// Who reported the fact: told along.
    pub origin: Source,
    pub what: crate::action::SegmentVerb,
}

/// The Segment connector, as the send step sees it.
pub trait Segment: Send + Sync {
    /// Writes these in order, in as few calls as the vendor allows. Answers in the same order.
    fn write(&self, messages: &[SegmentMessage]) -> impl Future<Output = Vec<Outcome>> + Send;

    /// As [`Customerio::pause`].
    fn pause(&self, now: Timestamp) -> Option<Span>;
}

// ---------------------------------------------------------------------------------------------------- sources

/// What an authentic webhook came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Events(Vec<Event>),
    /// Understood, and nothing for us: a ping, a topic that we do not know or do not use. The word is for a counter.
    Ignored(&'static str),
    /// Authentic, but we cannot use it. It is parked with the reason, so that nothing is lost. The reason is a word of ours, so
    /// that it may be logged whatever the body held.
    Unusable {
        reason: &'static str,
        /// What the source calls it: topic and id of the notification, as far as they could be read.
        about: Option<String>,
    },
    /// As [`Received::Unusable`], and whoever wrote the body should be told: only where nothing else waits behind it.
    Refused {
        reason: &'static str,
        about: Option<String>,
    },
    /// The source sends several messages in one body. Each was judged on its own, so that one of no use costs no other.
    Several(Several),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Several {
    pub events: Vec<Event>,
    /// Parked one by one.
    pub unusable: Vec<UnusablePart>,
    /// How many messages were left, and why: one of a few words for a counter.
    pub dropped: BTreeMap<&'static str, usize>,
}

/// As [`Received::Unusable`], of one message among several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusablePart {
    pub reason: &'static str,
    pub about: Option<String>,
    /// The message as it was sent, without its neighbours.
    pub body: Vec<u8>,
}

/// The signature is missing or wrong. Says no more than that, to the sender and to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthorized;
