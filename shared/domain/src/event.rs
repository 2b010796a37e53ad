//! Canonical events: facts in the past tense that one of the tools reported, in our own words.
//!
//! A connector turns a vendor's payload into these; nothing behind a connector ever sees vendor JSON. An event concerns
//! one person: a conversation with three contacts becomes three events. Its id is derived from the source's own id, so
//! that a redelivery carries the same one.

use crate::id::{ActionId, Digest, EventId, PersonId};
use crate::identifier::{is_address, is_placeholder, trimmed};
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
    /// The source says that these were one human all along, and go on under the event's own ids.
    PersonMerged(Merged),
    PersonDeleted,
    PersonArchived,
    /// Out of the archive.
    PersonRestored,
    PersonTagged(Tag),
    PersonUntagged(Tag),
    /// The person, or somebody for them, opted out or in.
    ConsentChanged(Vec<ConsentChange>),
    /// Concerns no person, as [`Kind::CompanyDeleted`].
    CompanyUpdated(Company),
    CompanyDeleted(Company),
    CompanyJoined(Company),
    CompanyLeft(Company),
    Ticket(TicketReport),
    /// Something happened to a message of a campaign.
    Message(MessageReport),
    ListEntered(List),
    ListLeft(List),
    /// Something that the person did in the customer's product.
    Tracked(Behaviour),
    PageViewed(Behaviour),
    ScreenViewed(Behaviour),
    /// A value that the source works out by itself has changed.
    TraitComputed {
        name: String,
        value: Value,
    },
    /// A purchase, or whatever else a campaign is for.
    Converted(Conversion),
    ChurnRisk(Risk),
    /// What an operator's own campaign sends under a name of their choice.
    Custom(Behaviour),
    /// Time has come for something; written by the scan.
    Due(WakeReason),
    /// A human has decided what the ids alone could not tell.
    Settled(Settlement),
    /// What something is called that messages are part of: the answer to our question. Concerns no person.
    CampaignNamed(Named),
}

/// What [`Origin`] says of what we have made ourselves.
pub const OURS: &str = "trefoil";

impl Event {
    /// Our own writing has brought it about.
    pub fn is_ours(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.0 == OURS)
    }

    /// It tells of a lead's record at Intercom: somebody who may well turn out to be a customer who was not signed in.
    /// <https://www.intercom.com/help/en/articles/310-what-are-leads-and-users-in-intercom>
    pub fn is_of_lead(&self) -> bool {
        match &self.kind {
            Kind::PersonCreated(profile) | Kind::PersonUpdated(profile) => self.source == Source::Intercom && profile.has_role("lead"),
            _ => false,
        }
    }
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
            Self::PersonMerged(_) => "person_merged",
            Self::PersonDeleted => "person_deleted",
            Self::PersonArchived => "person_archived",
            Self::PersonRestored => "person_restored",
            Self::PersonTagged(_) => "person_tagged",
            Self::PersonUntagged(_) => "person_untagged",
            Self::ConsentChanged(_) => "consent_changed",
            Self::CompanyUpdated(_) => "company_updated",
            Self::CompanyDeleted(_) => "company_deleted",
            Self::CompanyJoined(_) => "company_joined",
            Self::CompanyLeft(_) => "company_left",
            Self::Ticket(report) => report.fact.name(),
            Self::Message(_) => "message",
            Self::ListEntered(_) => "list_entered",
            Self::ListLeft(_) => "list_left",
            Self::Tracked(_) => "tracked",
            Self::PageViewed(_) => "page_viewed",
            Self::ScreenViewed(_) => "screen_viewed",
            Self::TraitComputed { .. } => "trait_computed",
            Self::Converted(_) => "converted",
            Self::ChurnRisk(_) => "churn_risk",
            Self::Custom(_) => "custom",
            Self::Due(_) => "due",
            Self::Settled(_) => "settled",
            Self::CampaignNamed(_) => "campaign_named",
        }
    }

    /// Whatever free-form values came with it.
    pub fn attributes(&self) -> Option<&Attributes> {
        match self {
            Self::PersonMerged(Merged { profile, .. }) => Some(&profile.attributes),
            Self::CompanyUpdated(c) | Self::CompanyDeleted(c) | Self::CompanyJoined(c) | Self::CompanyLeft(c) => Some(&c.attributes),
            Self::Ticket(report) => Some(&report.attributes),
            Self::Message(report) => Some(&report.attributes),
            Self::ListEntered(list) | Self::ListLeft(list) => Some(&list.attributes),
            Self::Tracked(b) | Self::PageViewed(b) | Self::ScreenViewed(b) | Self::Custom(b) => Some(&b.attributes),
            Self::Converted(conversion) => Some(&conversion.attributes),
            Self::ChurnRisk(risk) => Some(&risk.attributes),
            Self::PersonCreated(_)
            | Self::PersonUpdated(_)
            | Self::PersonSignedUp(_)
            | Self::PersonIdentified(_)
            | Self::PersonNotFound
            | Self::PersonDeleted
            | Self::PersonArchived
            | Self::PersonRestored
            | Self::PersonTagged(_)
            | Self::PersonUntagged(_)
            | Self::ConsentChanged(_)
            | Self::TraitComputed { .. }
            | Self::Due(_)
            | Self::Settled(_)
            | Self::CampaignNamed(_) => self.profile().map(|profile| &profile.attributes),
        }
    }

    /// What the event says about the person as such.
    pub fn profile(&self) -> Option<&Profile> {
        match self {
            Self::PersonCreated(p) | Self::PersonUpdated(p) | Self::PersonSignedUp(p) | Self::PersonIdentified(p) => Some(p),
            Self::PersonMerged(merged) => Some(&merged.profile),
            Self::PersonNotFound
            | Self::PersonDeleted
            | Self::PersonArchived
            | Self::PersonRestored
            | Self::PersonTagged(_)
            | Self::PersonUntagged(_)
            | Self::ConsentChanged(_)
            | Self::CompanyUpdated(_)
            | Self::CompanyDeleted(_)
            | Self::CompanyJoined(_)
            | Self::CompanyLeft(_)
            | Self::Ticket(_)
            | Self::Message(_)
            | Self::ListEntered(_)
            | Self::ListLeft(_)
            | Self::Tracked(_)
            | Self::PageViewed(_)
            | Self::ScreenViewed(_)
            | Self::TraitComputed { .. }
            | Self::Converted(_)
            | Self::ChurnRisk(_)
            | Self::Custom(_)
            | Self::Due(_)
            | Self::Settled(_)
            | Self::CampaignNamed(_) => None,
        }
    }
}

/// What a source says about a person: standard fields and custom attributes side by side, the vendor's custom ones
/// never overwriting a standard one. Times are RFC 3339 text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// This is everything that the source has: an address or phone number that is not among the event's ids is one that the
    /// source no longer has. Where false, what is left out is unchanged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// What the source believes at that time, changed or not. An act of the person is [`Kind::ConsentChanged`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consent: Vec<ConsentChange>,
}

impl Profile {
    /// At Intercom: `user` or `lead`.
    pub fn has_role(&self, role: &str) -> bool {
        self.attributes.get("role").and_then(Value::as_str) == Some(role)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Who has gone into the person of the event. Each is another name for one that may be of either kind, so that all of
    /// them are meant: a Segment `previousId` is a user id or an anonymous id, and does not say which.
    pub from: Vec<Identifier>,
    #[serde(default)]
    pub profile: Profile,
}

/// What a human decided; the event names the person by our own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "settled", rename_all = "snake_case")]
pub enum Settlement {
    /// These two are one human, whatever their ids say.
    Same { with: PersonId },
    /// This id is not the person's, whoever says so from now on.
    Disclaimed { id: Identifier },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub name: String,
}

/// One opt-out or opt-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentChange {
    /// `None`: every channel that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// `None`: the whole channel. Else one topic, as the event's source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    pub choice: Choice,
}

/// One subscription type, topic or category of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// The tool's own id.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    In,
    Out,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Company {
    /// The customer's own id of the company (Intercom `company_id`, Segment `groupId`).
    pub id: String,
    /// The source's own id, where it has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<String>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Sms,
    Push,
    InApp,
    Whatsapp,
    Slack,
    Webhook,
    /// One that we do not know yet.
    Other,
}

impl Channel {
    pub const KNOWN: [Self; 7] = [Self::Email, Self::Sms, Self::Push, Self::InApp, Self::Whatsapp, Self::Slack, Self::Webhook];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::InApp => "in_app",
            Self::Whatsapp => "whatsapp",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
            Self::Other => "other",
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Drafted,
    Attempted,
    Deferred,
    Sent,
    Delivered,
    Opened,
    Clicked,
    Replied,
    Converted,
    Unsubscribed,
    Bounced,
    Dropped,
    Failed,
    Undeliverable,
    Spammed,
    /// One that we do not know yet.
    Other,
}

impl Metric {
    pub const KNOWN: [Self; 15] = [
        Self::Drafted,
        Self::Attempted,
        Self::Deferred,
        Self::Sent,
        Self::Delivered,
        Self::Opened,
        Self::Clicked,
        Self::Replied,
        Self::Converted,
        Self::Unsubscribed,
        Self::Bounced,
        Self::Dropped,
        Self::Failed,
        Self::Undeliverable,
        Self::Spammed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drafted => "drafted",
            Self::Attempted => "attempted",
            Self::Deferred => "deferred",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
            Self::Replied => "replied",
            Self::Converted => "converted",
            Self::Unsubscribed => "unsubscribed",
            Self::Bounced => "bounced",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Undeliverable => "undeliverable",
            Self::Spammed => "spammed",
            Self::Other => "other",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageReport {
    pub channel: Channel,
    pub metric: Metric,
    /// `<object_type>_<metric>` as the source wrote it, where one of the two is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// A machine opened or clicked, or the source only concluded that somebody did: no human is known to have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub machine: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// What the message was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of a click: where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Of a failure: why, in the words of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What else was told, flat.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub kind: ParentKind,
    /// The source's id of it.
    pub id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentKind {
    Campaign,
    Broadcast,
    Newsletter,
    Transactional,
}

impl ParentKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Campaign => "campaign",
            Self::Broadcast => "broadcast",
            Self::Newsletter => "newsletter",
            Self::Transactional => "transactional",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub campaign: Parent,
    /// `None`: the source knows no such thing, or it has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A set of people that a source keeps: a Customer.io segment, a Segment audience, a step of a Segment journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List {
    pub kind: ListKind,
    /// The source's own id.
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    Segment,
    Audience,
    JourneyStep,
}

/// Something done, under a name that the customer chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behaviour {
    pub name: String,
    /// On which it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// One that pushes can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub token: String,
    /// `ios` or `android`, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversion {
    pub name: String,
    /// In units of the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The source's id of the event behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_event: Option<String>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    Customerio,
    Segment,
    /// Customer.io's data pipelines, which speak Segment's language.
    Pipelines,
    /// Trefoil itself: something due.
    Trefoil,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::Intercom => "intercom",
            Self::Customerio => "customerio",
            Self::Segment => "segment",
            Self::Pipelines => "pipelines",
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

/// Declared strongest first: resolution goes in this order, unless the operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// Intercom's own id of a contact: 24 hex digits. A person may have many.
    IntercomId,
    /// Customer.io's own id of a profile: hex digits, without the `cio_` of its URLs. One a person.
    CioId,
    /// The customer's own user id. One a person, unless it is an address: see [`Identifier::is_address_as_id`].
    UserId,
    /// Lower case. Several people may claim one address; it binds only while a single one does.
    Email,
    /// Digits, with a `+` before them where the country is known. Claimed like an address.
    Phone,
    /// A browser or device that has not said whose it is (Segment). Claimed like an address.
    AnonymousId,
}

impl IdKind {
    pub const ALL: [Self; 6] = [Self::IntercomId, Self::CioId, Self::UserId, Self::Email, Self::Phone, Self::AnonymousId];

    pub fn name(self) -> &'static str {
        match self {
            Self::IntercomId => "intercom",
            Self::CioId => "cio",
            Self::UserId => "user",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::AnonymousId => "anonymous",
        }
    }
}

impl Identifier {
    /// `None` when nothing is left after trimming, or the value is longer than any tool allows (320 bytes), or cannot be an
    /// id of this kind: a placeholder is no id, and an address is nothing but one address.
    pub fn new(kind: IdKind, value: &str) -> Option<Self> {
        let trimmed = trimmed(value);
        if trimmed.is_empty() || trimmed.len() > 320 {
            return None;
        }
        let value = match kind {
            IdKind::Email if !is_address(trimmed) => return None,
            // Customer.io compares addresses without regard to case; so does everybody's mail provider in practice.
            IdKind::Email => trimmed.to_lowercase(),
            IdKind::Phone => phone(trimmed)?,
            // In URLs and in older events it has its prefix.
            IdKind::CioId => trimmed.strip_prefix("cio_").unwrap_or(trimmed).to_owned(),
            // Intercom gives its own ids itself.
            IdKind::UserId | IdKind::AnonymousId if is_placeholder(trimmed) => return None,
            IdKind::IntercomId | IdKind::UserId | IdKind::AnonymousId => trimmed.to_owned(),
        };
        Some(Self { kind, value })
    }

    /// What stands in the field that a tool has for the customer's own id of a person. An address there is that address, in whatever
    /// case; the spelling stays beside it, since a tool may know the record by that alone.
    pub fn of_user(text: &str) -> impl Iterator<Item = Self> {
        let id = Self::new(IdKind::UserId, text);
        let email = id.as_ref().filter(|id| id.is_address_as_id()).and_then(|id| Self::new(IdKind::Email, &id.value));
        id.into_iter().chain(email)
    }

    /// An address that some tool has in the field for a user id. It names whom the address names, and never tells two people apart.
    pub fn is_address_as_id(&self) -> bool {
        self.kind == IdKind::UserId && is_address(&self.value)
    }
}

/// Only what tells two numbers apart. E.164 has at most 15 digits; below 7 it is an extension or a short code, which many
/// have.
fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let international = text.starts_with('+') || text.starts_with("00");
    let digits = if text.starts_with("00") { digits.strip_prefix("00").unwrap_or(&digits).to_owned() } else { digits };
    let separators = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}');
    let fits = (7..=15).contains(&digits.len()) && text.chars().all(separators);
    fits.then(|| if international { format!("+{digits}") } else { digits })
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
