//! Jobs: what one event asks of one destination.
//!
//! A job names the person by our own id alone. Vendor ids and current values are looked up when it is done, so that an
//! old job never carries an old truth. Of a company there is nothing to look up, so what is asked of one alone names nobody.

use crate::action::{CustomerioAction, CustomerioVerb, IntercomAction, IntercomVerb, SegmentAction};
use crate::event::{Event, Parent, Workspace};
use crate::id::{Digest, EventId, PersonId};
use crate::ports::{Destination, Message, QueueName};
use crate::tickets::TicketId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The event that asked for it.
    pub event: EventId,
    pub workspace: Workspace,
    /// `None`: it is about a company or a ticket, and nobody is known to belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    pub created_at: Timestamp,
    #[serde(flatten)]
    pub work: Work,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", content = "data", rename_all = "snake_case")]
pub enum Work {
    /// Bring Customer.io's copy of the support facet up to date, at least to this version of it.
    CustomerioFacet { version: u64 },
    /// Bring Segment's copy of it up to date.
    SegmentFacet { version: u64 },
    /// Tell the tool what it has not been told yet of the person's consent.
    Consent { destination: Destination, version: u64 },
    /// Do these at Customer.io, in order.
    Customerio(Vec<CustomerioAction>),
    /// Ask Customer.io what this is called; the answer comes back as an event.
    CustomerioLookUp(Parent),
    /// Do these at Intercom, in order.
    Intercom(Vec<IntercomAction>),
    /// Ask Intercom.
    IntercomLookUp(LookUp),
    /// Send these to Segment, in order.
    Segment(Vec<SegmentAction>),
}

impl Work {
    /// Whoever does it.
    pub fn destination(&self) -> Destination {
        match self {
            Self::CustomerioFacet { .. } | Self::Customerio(_) | Self::CustomerioLookUp(_) => Destination::Customerio,
            Self::Intercom(_) | Self::IntercomLookUp(_) => Destination::Intercom,
            Self::SegmentFacet { .. } | Self::Segment(_) => Destination::Segment,
            Self::Consent { destination, .. } => *destination,
        }
    }

    /// The routes that asked for it.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        let routes: BTreeSet<&str> = match self {
            Self::Customerio(actions) => actions.iter().map(|action| action.route.as_str()).collect(),
            Self::Intercom(actions) => actions.iter().map(|action| action.route.as_str()).collect(),
            Self::Segment(actions) => actions.iter().map(|action| action.route.as_str()).collect(),
            Self::CustomerioFacet { .. }
            | Self::SegmentFacet { .. }
            | Self::Consent { .. }
            | Self::CustomerioLookUp(_)
            | Self::IntercomLookUp(_) => BTreeSet::new(),
        };
        routes.into_iter()
    }

    /// What it says holds of a lead, not of a customer.
    pub fn is_of_lead(&self) -> bool {
        match self {
            Self::Customerio(actions) => actions.iter().any(|action| action.of_lead),
            Self::Segment(actions) => actions.iter().any(|action| action.of_lead),
            // What is done there is done to the lead's own record.
            Self::Intercom(_)
            | Self::CustomerioFacet { .. }
            | Self::SegmentFacet { .. }
            | Self::Consent { .. }
            | Self::CustomerioLookUp(_)
            | Self::IntercomLookUp(_) => false,
        }
    }

    /// As true as ever however old it is, and nobody would tell it again.
    pub fn is_state(&self) -> bool {
        match self {
            Self::CustomerioFacet { .. } | Self::SegmentFacet { .. } | Self::Consent { .. } => true,
            Self::Customerio(_) | Self::CustomerioLookUp(_) | Self::Intercom(_) | Self::IntercomLookUp(_) | Self::Segment(_) => false,
        }
    }
}

/// A question to Intercom; the answer comes back as events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "look_up", rename_all = "snake_case")]
pub enum LookUp {
    /// Who is behind this contact id?
    Contact { contact: String },
    /// What is the state of this conversation, and does this person, who goes by all of these ids, still take part in it?
    /// Without any id: who takes part in it?
    Conversation { ticket: TicketId, contacts: Vec<String> },
}

impl Job {
    pub fn queue(&self) -> QueueName {
        match &self.work {
            Work::CustomerioFacet { .. } | Work::Consent { destination: Destination::Customerio, .. } => QueueName::CustomerioState,
            Work::Consent { destination: Destination::Intercom, .. } => QueueName::IntercomState,
            Work::SegmentFacet { .. } | Work::Segment(_) | Work::Consent { destination: Destination::Segment, .. } => QueueName::Segment,
            Work::Customerio(actions) if actions.iter().any(|action| action.what.is_urgent()) => QueueName::CustomerioState,
            Work::Customerio(_) | Work::CustomerioLookUp(_) => QueueName::Customerio,
            // What somebody waits for, or has forbidden, does not queue behind a newsletter's events.
            Work::Intercom(actions) if actions.iter().any(|action| action.what.is_urgent()) => QueueName::IntercomState,
            Work::Intercom(_) => QueueName::Intercom,
            Work::IntercomLookUp(_) => QueueName::IntercomState,
        }
    }

    /// Whom it is about, for records: our own id of the person.
    pub fn about(&self) -> &str {
        self.person.as_ref().map_or("nobody", PersonId::as_str)
    }

    /// The company that it is about, where it is about nobody.
    fn company(&self) -> &str {
        let company = match &self.work {
            Work::Intercom(actions) => actions.iter().find_map(|action| match &action.what {
                IntercomVerb::UpsertCompany(company) => Some(&company.company_id),
                _ => None,
            }),
            Work::Customerio(actions) => actions.iter().find_map(|action| match &action.what {
                CustomerioVerb::UpsertObject(object) => Some(&object.name.id),
                CustomerioVerb::DeleteObject(object) => Some(&object.id),
                _ => None,
            }),
            Work::CustomerioFacet { .. }
            | Work::SegmentFacet { .. }
            | Work::Consent { .. }
            | Work::CustomerioLookUp(_)
            | Work::IntercomLookUp(_)
            | Work::Segment(_) => None,
        };
        company.map_or("", String::as_str)
    }

    /// The queue message that carries this job: grouped by person, or else by company, deduplicated by what it asks. A question
    /// about a campaign is a group of its own, so that no person's work waits behind it.
    ///
    /// # Errors
    /// The job cannot be written as JSON.
    pub fn to_message(&self) -> Result<Message, serde_json::Error> {
        let digest = Digest::new("job").with(self.about());
        let dedup = match &self.work {
            // The version makes two moves of the facet two messages, and one move one message.
            Work::CustomerioFacet { version } => digest.with("facet").with(&version.to_string()).with(self.event.as_str()),
            Work::SegmentFacet { version } => digest.with("traits").with(&version.to_string()).with(self.event.as_str()),
            Work::Consent { destination, version } => {
                digest.with("consent").with(destination.as_str()).with(&version.to_string()).with(self.event.as_str())
            }
            Work::Segment(actions) => actions.iter().fold(digest.with("segment"), |d, a| d.with(a.id.as_str())),
            Work::Customerio(actions) => actions.iter().fold(digest.with("actions"), |d, a| d.with(a.id.as_str())),
            Work::CustomerioLookUp(Parent { kind, id }) => digest.with("campaign").with(kind.as_str()).with(id).with(self.event.as_str()),
            Work::Intercom(actions) => actions.iter().fold(digest.with("intercom"), |d, a| d.with(a.id.as_str())),
            Work::IntercomLookUp(LookUp::Contact { contact }) => digest.with("contact").with(contact),
            Work::IntercomLookUp(LookUp::Conversation { ticket, .. }) => {
                digest.with("conversation").with(ticket.as_str()).with(self.event.as_str())
            }
        };
        let dedup = dedup.hex();
        let group = Digest::new("group").with(self.workspace.as_str());
        let group = match (&self.work, &self.person) {
            // It tells what holds when it is done, so that no order matters; and nothing that has to wait may hold it up.
            (Work::Consent { .. }, _) => group.with(&dedup),
            (Work::CustomerioLookUp(Parent { kind, id }), _) => group.with("campaign").with(kind.as_str()).with(id),
            (_, Some(person)) => group.with(person.as_str()),
            (Work::IntercomLookUp(LookUp::Conversation { ticket, .. }), None) => group.with("ticket").with(ticket.as_str()),
            (_, None) => group.with("company").with(self.company()),
        };
        Message::json(self, group.hex(), dedup)
    }
}

/// The queue message that carries an event, grouped by the strongest id of its person.
///
/// # Errors
/// The event cannot be written as JSON.
pub fn event_message(event: &Event) -> Result<Message, serde_json::Error> {
    let digest = Digest::new("group").with(event.workspace.as_str());
    let digest = match (&event.person, event.ids.first(), &event.kind) {
        (Some(person), _, _) => digest.with(person.as_str()),
        (None, Some(id), _) => digest.with(id.kind.name()).with(&id.value),
        (None, None, crate::event::Kind::Ticket(report)) => digest.with("ticket").with(report.ticket.as_str()),
        (None, None, _) => digest.with(event.id.as_str()),
    };
    Message::json(event, digest.hex(), event.id.as_str().to_owned())
}
