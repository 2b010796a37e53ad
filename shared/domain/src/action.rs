//! Things to do at the destinations: verb and object, filled in, ready for a job.
//!
//! A route renders its fields into JSON, which is read into these types: their field names are those of `trefoil.yaml`.

use crate::event::{Attributes, Source, Value};
use crate::id::ActionId;
use crate::ports::Destination;
use crate::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Of a verb, by name.
pub type Fields = serde_json::Map<String, Value>;

/// One thing to do, with a name that is the same however often it is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action<V> {
    /// `action` in JSON: the verb's own fields stand beside it, and what is done to an object names its `id`.
    #[serde(rename = "action")]
    pub id: ActionId,
    /// The route that asked for it, for the record.
    pub route: String,
    /// When the fact behind it happened.
    pub occurred_at: Timestamp,
    /// Who reported the fact.
    pub origin: Source,
    /// The fact is that there is a lead, or what a lead's record holds: not to be said of a customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_lead: bool,
    #[serde(flatten)]
    pub what: V,
}

pub type CustomerioAction = Action<CustomerioVerb>;
pub type IntercomAction = Action<IntercomVerb>;
pub type SegmentAction = Action<SegmentVerb>;

/// What a route asks for, whichever destination it is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    Customerio(CustomerioVerb),
    Intercom(IntercomVerb),
    Segment(SegmentVerb),
}

impl Verb {
    pub fn destination(&self) -> Destination {
        match self {
            Self::Customerio(_) => Destination::Customerio,
            Self::Intercom(_) => Destination::Intercom,
            Self::Segment(_) => Destination::Segment,
        }
    }
}

/// <https://docs.customer.io/integrations/api/track/>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum CustomerioVerb {
    /// Brings the profile up to date; `create`: makes it where there is none.
    UpdatePerson(UpdatePerson),
    /// Makes the profile where there is none; one that is there is left as it is.
    CreatePerson {
        #[serde(default)]
        attributes: Attributes,
    },
    TrackEvent(CustomerioEvent),
    /// `name`: the page's address.
    TrackPage(CustomerioEvent),
    TrackScreen(CustomerioEvent),
    /// Everything, or one topic by its id. `subscribed: true` never goes against an opt-out.
    SetSubscription {
        #[serde(default)]
        topic: Option<String>,
        subscribed: bool,
    },
    /// A manual segment, by its id.
    AddToSegment {
        segment: String,
    },
    RemoveFromSegment {
        segment: String,
    },
    /// The object, and the person's relationship to it where there is a profile.
    UpsertObject(UpsertObject),
    DeleteObject(ObjectName),
    /// The person's relationship to the object; both stay.
    RemoveRelationship(ObjectName),
    /// The profile that goes by this other id goes up in the person's. Cannot be undone.
    MergePeople {
        /// A user id, an e-mail address, or `cio_` and Customer.io's own id.
        from: String,
    },
    DeletePerson,
    /// Deletes the profile, and takes none under its ids any more.
    SuppressPerson,
    UnsuppressPerson,
    AddDevice(Device),
    DeleteDevice {
        token: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpdatePerson {
    pub create: bool,
    /// The address that the profile is to have from now on. Left out: it keeps its own; a new one gets the person's.
    pub email: Option<String>,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerioEvent {
    pub name: String,
    #[serde(default)]
    pub properties: Attributes,
}

/// <https://docs.customer.io/journeys/objects/>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectName {
    /// Customer.io numbers its kinds of objects; the first one is 1.
    #[serde(rename = "type", default = "first_type")]
    pub kind: String,
    /// The customer's own id of it.
    pub id: String,
}

fn first_type() -> String {
    "1".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpsertObject {
    #[serde(flatten)]
    pub name: ObjectName,
    #[serde(default)]
    pub attributes: Attributes,
    /// Of the person's relationship to it.
    #[serde(default)]
    pub relationship: Attributes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub token: String,
    /// `ios` or `android`.
    pub platform: String,
    /// A time: unix seconds, or ISO 8601.
    #[serde(default)]
    pub last_used: Option<Value>,
    #[serde(default)]
    pub attributes: Attributes,
}

impl CustomerioVerb {
    /// A verb with its fields, by their names: what reading `{"verb": name, …}` gives, without the detour that a tag among the
    /// fields takes.
    ///
    /// # Errors
    /// There is no such verb, or a field is missing or of another type.
    pub fn of(verb: &str, mut fields: Fields) -> serde_json::Result<Self> {
        // The one that nearly every event of a ticket asks for is put together by hand.
        if verb == "track_event"
            && let Some(Value::String(name)) = fields.get_mut("name").map(Value::take)
            && let Value::Object(properties) = fields.get_mut("properties").map_or_else(|| Value::Object(Fields::new()), Value::take)
        {
            return Ok(Self::TrackEvent(CustomerioEvent { name, properties: properties.into_iter().collect() }));
        }
        match verb {
            "update_person" => read(fields).map(Self::UpdatePerson),
            "upsert_object" => read(fields).map(Self::UpsertObject),
            _ => read_tagged(verb, fields),
        }
    }

    /// It keeps mail from people, or it takes them away.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::SetSubscription { .. } | Self::DeletePerson | Self::SuppressPerson => true,
            Self::UpdatePerson(_)
            | Self::CreatePerson { .. }
            | Self::TrackEvent(_)
            | Self::TrackPage(_)
            | Self::TrackScreen(_)
            | Self::AddToSegment { .. }
            | Self::RemoveFromSegment { .. }
            | Self::UpsertObject(_)
            | Self::DeleteObject(_)
            | Self::RemoveRelationship(_)
            | Self::MergePeople { .. }
            | Self::UnsuppressPerson
            | Self::AddDevice(_)
            | Self::DeleteDevice { .. } => false,
        }
    }
}

/// <https://segment.com/docs/connections/spec/>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum SegmentVerb {
    Identify {
        traits: Attributes,
    },
    Track {
        name: String,
        #[serde(default)]
        properties: Attributes,
    },
    Group {
        group_id: String,
        #[serde(default)]
        traits: Attributes,
    },
    /// The person's user id takes the place of this one.
    Alias {
        previous_id: String,
    },
}

impl SegmentVerb {
    /// As [`CustomerioVerb::of`].
    ///
    /// # Errors
    /// As there.
    pub fn of(verb: &str, mut fields: Fields) -> serde_json::Result<Self> {
        if verb == "track"
            && let Some(Value::String(name)) = fields.get_mut("name").map(Value::take)
            && let Value::Object(properties) = fields.get_mut("properties").map_or_else(|| Value::Object(Fields::new()), Value::take)
        {
            return Ok(Self::Track { name, properties: properties.into_iter().collect() });
        }
        read_tagged(verb, fields)
    }
}

fn read<T: DeserializeOwned>(fields: Fields) -> serde_json::Result<T> {
    serde_json::from_value(Value::Object(fields))
}

fn read_tagged<T: DeserializeOwned>(verb: &str, mut fields: Fields) -> serde_json::Result<T> {
    fields.insert("verb".to_owned(), verb.into());
    read(fields)
}

/// <https://developers.intercom.com/docs/references/rest-api/api.intercom.io>
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum IntercomVerb {
    /// Brings the contact up to date; `create`: makes it where there is none.
    UpsertContact(UpsertContact),
    /// By name; a tag that is not there yet is made.
    AddTag {
        tag: String,
    },
    RemoveTag {
        tag: String,
    },
    TrackEvent(TrackEvent),
    /// All e-mail, or one subscription type by its name or id. `subscribed: true` never goes against an opt-out.
    SetSubscription {
        #[serde(default)]
        topic: Option<String>,
        subscribed: bool,
    },
    /// As the contact. People see it.
    OpenConversation(OpenConversation),
    /// From the teammate of the settings to the contact. People see it.
    SendMessage(SendMessage),
    /// For teammates only. People see it.
    AddNote {
        body: String,
        #[serde(default)]
        on: NoteOn,
    },
    /// People see it.
    CreateTicket(CreateTicket),
    /// The company, and the person's part in it where there is a contact.
    UpsertCompany(UpsertCompany),
    ArchiveContact,
    DeleteContact,
    /// Leads of the person go up in their user.
    MergeContacts,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpsertContact {
    pub create: bool,
    /// Left out: a user where there is a user id, else a lead.
    pub role: Option<ContactRole>,
    pub name: Option<String>,
    pub phone: Option<String>,
    /// Address of a picture.
    pub avatar: Option<String>,
    /// A time: unix seconds, or ISO 8601.
    pub signed_up_at: Option<Value>,
    /// As `signed_up_at`.
    pub last_seen_at: Option<Value>,
    /// Id of a teammate.
    pub owner_id: Option<String>,
    pub attributes: Attributes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactRole {
    User,
    Lead,
}

impl ContactRole {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Lead => "lead",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrackEvent {
    pub name: String,
    /// Takes the place of `name` where Intercom has as many names of events as it takes.
    #[serde(default)]
    pub fallback: Option<String>,
    #[serde(default)]
    pub metadata: Attributes,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OpenConversation {
    pub body: String,
    #[serde(default)]
    pub assign_to_admin: Option<String>,
    #[serde(default)]
    pub assign_to_team: Option<String>,
    /// For teammates only.
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub tag: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendMessage {
    pub channel: MessageChannel,
    /// An e-mail must have one.
    #[serde(default)]
    pub subject: Option<String>,
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageChannel {
    InApp,
    Email,
}

/// Where a note goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteOn {
    #[default]
    Contact,
    /// The person's latest open conversation; where there is none, the contact.
    Conversation,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CreateTicket {
    /// Id of the ticket type.
    pub ticket_type: String,
    pub title: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub attributes: Attributes,
    #[serde(default)]
    pub assign_to_admin: Option<String>,
    #[serde(default)]
    pub assign_to_team: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpsertCompany {
    /// The customer's own id of it.
    pub company_id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub plan: Option<String>,
    #[serde(default)]
    pub size: Option<Value>,
    #[serde(default)]
    pub website: Option<String>,
    #[serde(default)]
    pub industry: Option<String>,
    /// Whole units of money.
    #[serde(default)]
    pub monthly_spend: Option<Value>,
    /// A time: unix seconds, or ISO 8601.
    #[serde(default)]
    pub remote_created_at: Option<Value>,
    #[serde(default)]
    pub attributes: Attributes,
}

impl IntercomVerb {
    /// As [`CustomerioVerb::of`].
    ///
    /// # Errors
    /// As there.
    pub fn of(verb: &str, fields: Fields) -> serde_json::Result<Self> {
        match verb {
            "upsert_contact" => read(fields).map(Self::UpsertContact),
            "track_event" => read(fields).map(Self::TrackEvent),
            "upsert_company" => read(fields).map(Self::UpsertCompany),
            _ => read_tagged(verb, fields),
        }
    }

    /// As it stands in `trefoil.yaml`, without the destination.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UpsertContact(_) => "upsert_contact",
            Self::AddTag { .. } => "add_tag",
            Self::RemoveTag { .. } => "remove_tag",
            Self::TrackEvent(_) => "track_event",
            Self::SetSubscription { .. } => "set_subscription",
            Self::OpenConversation(_) => "open_conversation",
            Self::SendMessage(_) => "send_message",
            Self::AddNote { .. } => "add_note",
            Self::CreateTicket(_) => "create_ticket",
            Self::UpsertCompany(_) => "upsert_company",
            Self::ArchiveContact => "archive_contact",
            Self::DeleteContact => "delete_contact",
            Self::MergeContacts => "merge_contacts",
        }
    }

    /// People see it, or it keeps mail from them.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::SetSubscription { .. }
            | Self::OpenConversation(_)
            | Self::SendMessage(_)
            | Self::AddNote { .. }
            | Self::CreateTicket(_)
            | Self::DeleteContact => true,
            Self::UpsertContact(_)
            | Self::AddTag { .. }
            | Self::RemoveTag { .. }
            | Self::TrackEvent(_)
            | Self::UpsertCompany(_)
            | Self::ArchiveContact
            | Self::MergeContacts => false,
        }
    }

    /// The text with which a conversation or ticket that this opens begins: see [`crate::tickets::opening`].
    pub fn opens_with(&self) -> Option<String> {
        match self {
            Self::OpenConversation(open) => Some(open.body.clone()),
            Self::CreateTicket(ticket) => Some(format!("{} {}", ticket.title, ticket.description.as_deref().unwrap_or_default())),
            Self::UpsertContact(_)
            | Self::AddTag { .. }
            | Self::RemoveTag { .. }
            | Self::TrackEvent(_)
            | Self::SetSubscription { .. }
            | Self::SendMessage(_)
            | Self::AddNote { .. }
            | Self::UpsertCompany(_)
            | Self::ArchiveContact
            | Self::DeleteContact
            | Self::MergeContacts => None,
        }
    }
}
