//! What an expression may see of an event, and how it gets there: every field on its own, only when it is asked for.
//!
//! All points in time are unix seconds. Where there is nothing, a field is null; an attribute that the source gave as null
//! is taken as not given, so that `has(event.attributes.plan)` means "there is a plan".

use super::title::title;
use crate::config::{CampaignNames, What};
use crate::event::{Attributes, Channel, Choice, Company, ConsentChange, Device, Event, IdKind, Kind, List, MessageReport};
use crate::tickets::{Author, TicketFact};
use crate::time::Timestamp;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// What expressions may see, for one event. Make one for an event and ask all its routes: its attributes are converted at most once.
pub struct Scope<'a> {
    event: &'a Event,
    person: Option<&'a PersonView<'a>>,
    ticket: Option<&'a TicketView<'a>>,
    now: Timestamp,
    campaign_name: Option<&'a str>,
    campaign_events: CampaignNames,
    attributes: OnceLock<Box<dyn Val + 'a>>,
}

/// The person as `person.…`, after the event has been taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonView<'a> {
    /// Trefoil's own id.
    pub id: &'a str,
    pub user_id: Option<&'a str>,
    pub email: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub cio_id: Option<&'a str>,
    /// Opted out of e-mail, or of everything.
    pub unsubscribed: bool,
    pub has_open_ticket: bool,
    pub open_ticket_count: u32,
    /// The hottest among the open tickets.
    pub open_ticket_priority: Option<&'a str>,
    /// 1 to 5.
    pub last_csat_score: Option<u8>,
    /// Windows by name: is it open at `now`? One that is not named here is not.
    pub suppressed: BTreeMap<String, bool>,
}

/// The ticket that the event is about, as `ticket.…`, after the event has been taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct TicketView<'a> {
    pub id: &'a str,
    pub priority: Option<&'a str>,
    pub category: Option<&'a str>,
    pub opened_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// Hours from opening to resolution; rounded to two decimals when seen by an expression.
    pub resolution_time_hrs: Option<f64>,
    /// From 1: which opening of the ticket this is.
    pub episode: u32,
    /// `human`, `ai` or `nobody`.
    pub handled_by: &'a str,
    /// What an AI had come to by itself.
    pub ai_resolution: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// `ticket` must be given for the triggers of tickets; an expression finds nothing in it otherwise. Without a `person`,
    /// which only a company can do, whatever speaks of one fails.
    pub fn new(
        event: &'a Event,
        person: impl Into<Option<&'a PersonView<'a>>>,
        ticket: Option<&'a TicketView<'a>>,
        now: Timestamp,
    ) -> Self {
        Self {
            event,
            person: person.into(),
            ticket,
            now,
            campaign_name: None,
            campaign_events: CampaignNames::default(),
            attributes: OnceLock::new(),
        }
    }

    /// Of a message: what its campaign is called, which is no part of the event, and what to call the event itself.
    #[must_use]
    pub fn with_campaign(self, campaign_name: Option<&'a str>, campaign_events: CampaignNames) -> Self {
        Self { campaign_name, campaign_events, ..self }
    }

    /// An attribute of the event that has a value.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a Json> {
        self.event_attributes()?.get(name).filter(|value| !value.is_null())
    }

    fn event_attributes(&self) -> Option<&'a Attributes> {
        self.event.kind.attributes()
    }

    fn fact(&self) -> Option<&'a TicketFact> {
        match &self.event.kind {
            Kind::Ticket(report) => Some(&report.fact),
            _ => None,
        }
    }

    fn tag(&self) -> Option<&'a str> {
        match &self.event.kind {
            Kind::PersonTagged(tag) | Kind::PersonUntagged(tag) => Some(&tag.name),
            _ => self.fact().and_then(|fact| if let TicketFact::Tagged { tag } = fact { Some(tag.as_str()) } else { None }),
        }
    }

    fn message(&self) -> Option<&'a MessageReport> {
        if let Kind::Message(report) = &self.event.kind { Some(report) } else { None }
    }

    fn device(&self) -> Option<&'a Device> {
        if let Kind::Tracked(behaviour) = &self.event.kind { behaviour.device.as_ref() } else { None }
    }

    fn list(&self) -> Option<&'a List> {
        if let Kind::ListEntered(list) | Kind::ListLeft(list) = &self.event.kind { Some(list) } else { None }
    }

    fn company(&self) -> Option<&'a Company> {
        match &self.event.kind {
            Kind::CompanyUpdated(c) | Kind::CompanyDeleted(c) | Kind::CompanyJoined(c) | Kind::CompanyLeft(c) => Some(c),
            _ => None,
        }
    }

    /// One notification may opt out of some topics and into others; a route is about one of the two.
    fn consent(&self, on: What) -> impl Iterator<Item = &'a ConsentChange> {
        let choice = match on {
            What::PersonUnsubscribed => Some(Choice::Out),
            What::PersonSubscribed => Some(Choice::In),
            _ => None,
        };
        let changes = if let Kind::ConsentChanged(changes) = &self.event.kind { changes.as_slice() } else { &[] };
        changes.iter().filter(move |change| Some(change.choice) == choice)
    }
}

/// The name under which the source reports this, where it is one that people choose, and beside it the id that a list has.
pub(super) fn names_of(kind: &Kind) -> (Option<&str>, Option<&str>) {
    match kind {
        Kind::Tracked(b) | Kind::PageViewed(b) | Kind::ScreenViewed(b) | Kind::Custom(b) => (Some(&b.name), None),
        Kind::TraitComputed { name, .. } => (Some(name), None),
        Kind::Converted(conversion) => (Some(&conversion.name), None),
        Kind::ListEntered(list) | Kind::ListLeft(list) => (Some(&list.name), Some(&list.id)),
        Kind::PersonCreated(_)
        | Kind::PersonUpdated(_)
        | Kind::PersonSignedUp(_)
        | Kind::PersonIdentified(_)
        | Kind::PersonNotFound
        | Kind::PersonMerged(_)
        | Kind::PersonDeleted
        | Kind::PersonArchived
        | Kind::PersonRestored
        | Kind::PersonTagged(_)
        | Kind::PersonUntagged(_)
        | Kind::ConsentChanged(_)
        | Kind::CompanyUpdated(_)
        | Kind::CompanyDeleted(_)
        | Kind::CompanyJoined(_)
        | Kind::CompanyLeft(_)
        | Kind::Ticket(_)
        | Kind::Message(_)
        | Kind::ChurnRisk(_)
        | Kind::Due(_)
        | Kind::Settled(_)
        | Kind::CampaignNamed(_) => (None, None),
    }
}

/// The scope as one route sees it.
pub(super) struct View<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) on: What,
}

impl VariableResolver for View<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.scope.value(variable, self.on)
    }
}

impl Scope<'_> {
    /// CEL asks for the longest dotted name first. The names are those of `fields::FIELDS`.
    fn value<'b>(&'b self, variable: &str, on: What) -> Option<CowVal<'b, 'b>> {
        let value = match variable {
            "now" => seconds(Some(self.now)),
            "event.id" => text(Some(self.event.id.as_str())),
            "event.source" => text(Some(self.event.source.name())),
            "event.kind" => text(Some(self.event.kind.name())),
            "event.occurred_at" => seconds(Some(self.event.occurred_at)),
            "event.attributes" => {
                let attributes = self
                    .attributes
                    .get_or_init(|| self.event_attributes().map_or_else(|| map(std::iter::empty()), |attributes| map(attributes.iter())));
                return Some(CowVal::Borrowed(attributes.as_ref()));
            }
            "event.tag" => text(self.tag()),
            "event.name" => text(names_of(&self.event.kind).0),
            "event.channel" => {
                let of_message = self.message().map(|report| report.channel);
                text(of_message.or_else(|| self.consent(on).next()?.channel).map(Channel::as_str))
            }
            "event.topics" => {
                let topics = self.consent(on).filter_map(|change| change.topic.as_ref()).map(|topic| topic.id.as_str());
                CowVal::owned(CelList::from(topics.map(|topic| boxed(CelString::from(topic))).collect::<Vec<_>>()))
            }
            "event.metric" => text(self.message().map(|report| report.metric.as_str())),
            "event.machine" => CowVal::owned(CelBool::from(self.message().is_some_and(|report| report.machine))),
            "event.delivery_id" => text(self.message().and_then(|report| report.delivery_id.as_deref())),
            "event.campaign_kind" => text(self.message().and_then(|report| Some(report.parent.as_ref()?.kind.as_str()))),
            "event.campaign_id" => text(self.message().and_then(|report| Some(report.parent.as_ref()?.id.as_str()))),
            "event.campaign_name" => text(self.campaign_name),
            "event.title" => {
                let title = self.message().map(|report| title(report.channel, report.metric, self.campaign_events));
                title.map_or_else(null, |title| CowVal::owned(CelString::from(title)))
            }
            "event.subject" => text(self.message().and_then(|report| report.subject.as_deref())),
            "event.link" => text(self.message().and_then(|report| report.link.as_deref())),
            "event.failure" => text(self.message().and_then(|report| report.failure.as_deref())),
            "event.previous_id" => {
                let merged = if let Kind::PersonMerged(merged) = &self.event.kind { merged.from.first() } else { None };
                match merged {
                    // As Segment and Customer.io write it, so that it is told from a user id.
                    Some(id) if id.kind == IdKind::CioId => CowVal::owned(CelString::from(format!("cio_{}", id.value))),
                    Some(id) => text(Some(&id.value)),
                    None => null(),
                }
            }
            "event.device_token" => text(self.device().map(|device| device.token.as_str())),
            "event.device_platform" => text(self.device().and_then(|device| device.platform.as_deref())),
            "event.list_id" => text(self.list().map(|list| list.id.as_str())),
            "event.company_id" => text(self.company().map(|company| company.id.as_str())),
            "event.value" => match &self.event.kind {
                Kind::Converted(conversion) => conversion.value.map_or_else(null, |value| CowVal::owned(CelDouble::from(value))),
                Kind::TraitComputed { value, .. } => CowVal::Owned(from_json(value)),
                _ => null(),
            },
            "event.currency" => {
                text(if let Kind::Converted(conversion) = &self.event.kind { conversion.currency.as_deref() } else { None })
            }
            "event.reason" => text(if let Kind::ChurnRisk(risk) = &self.event.kind { risk.reason.as_deref() } else { None }),
            "event.score" => {
                let score = self.fact().and_then(|fact| match fact {
                    TicketFact::Rated { score, .. } | TicketFact::AiRated { score } => Some(i64::from(*score)),
                    _ => None,
                });
                number(score)
            }
            "event.rating_of" => text(self.fact().and_then(|fact| match fact {
                TicketFact::Rated { of, .. } => Some(of.as_str()),
                TicketFact::AiRated { .. } => Some("ai"),
                _ => None,
            })),
            "event.replied_by" => {
                text(self.fact().and_then(|fact| if let TicketFact::Replied { by } = fact { Some(author(*by)) } else { None }))
            }
            "ticket.id" => text(self.ticket.map(|ticket| ticket.id)),
            "ticket.priority" => text(self.ticket.and_then(|ticket| ticket.priority)),
            "ticket.category" => text(self.ticket.and_then(|ticket| ticket.category)),
            "ticket.opened_at" => seconds(self.ticket.and_then(|ticket| ticket.opened_at)),
            "ticket.resolved_at" => seconds(self.ticket.and_then(|ticket| ticket.resolved_at)),
            "ticket.resolution_time_hrs" => {
                let hours = self.ticket.and_then(|ticket| ticket.resolution_time_hrs);
                hours.map_or_else(null, |hours| CowVal::owned(CelDouble::from((hours * 100.0).round() / 100.0)))
            }
            "ticket.handled_by" => text(self.ticket.map(|ticket| ticket.handled_by)),
            "ticket.ai_resolution" => text(self.ticket.and_then(|ticket| ticket.ai_resolution)),
            "ticket.episode" => number(self.ticket.map(|ticket| i64::from(ticket.episode))),
            // Most routes want a few of many attributes: those are handed over one by one. What is not found here is looked for in
            // the whole map, where its absence becomes the right error.
            _ => {
                if let Some(field) = variable.strip_prefix("person.") {
                    return of_person(self.person?, field);
                }
                let name = variable.strip_prefix("event.attributes.").filter(|name| !name.contains('.'))?;
                CowVal::Owned(from_json(self.attribute(name)?))
            }
        };
        Some(value)
    }
}

fn of_person<'b>(person: &'b PersonView<'_>, field: &str) -> Option<CowVal<'b, 'b>> {
    let value = match field {
        "id" => text(Some(person.id)),
        "user_id" => text(person.user_id),
        "email" => text(person.email),
        "phone" => text(person.phone),
        "cio_id" => text(person.cio_id),
        "unsubscribed" => CowVal::owned(CelBool::from(person.unsubscribed)),
        "has_open_ticket" => CowVal::owned(CelBool::from(person.has_open_ticket)),
        "open_ticket_count" => number(Some(i64::from(person.open_ticket_count))),
        "open_ticket_priority" => text(person.open_ticket_priority),
        "last_csat_score" => number(person.last_csat_score.map(i64::from)),
        _ => CowVal::owned(CelBool::from(person.suppressed.get(field.strip_prefix("suppressed.")?).copied().unwrap_or(false))),
    };
    Some(value)
}

fn author(by: Author) -> &'static str {
    match by {
        Author::Customer => "customer",
        Author::Teammate => "teammate",
        Author::Bot => "bot",
    }
}

fn null<'b>() -> CowVal<'b, 'b> {
    CowVal::owned(CelNull)
}

fn text(value: Option<&str>) -> CowVal<'_, '_> {
    value.map_or_else(null, |value| CowVal::owned(CelString::from(value)))
}

fn number<'b>(value: Option<i64>) -> CowVal<'b, 'b> {
    value.map_or_else(null, |value| CowVal::owned(CelInt::from(value)))
}

fn seconds<'b>(value: Option<Timestamp>) -> CowVal<'b, 'b> {
    number(value.map(Timestamp::secs))
}

fn boxed<'a>(value: impl Val + 'a) -> Box<dyn Val + 'a> {
    Box::new(value)
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::from(name)
}

fn map<'a>(entries: impl Iterator<Item = (&'a String, &'a Json)>) -> Box<dyn Val + 'a> {
    let mut map = HashMap::with_capacity(entries.size_hint().0);
    map.extend(entries.filter(|(_, value)| !value.is_null()).map(|(name, value)| (key(name), from_json(value))));
    boxed(CelMap::from(map))
}

fn from_json(value: &Json) -> Box<dyn Val + '_> {
    match value {
        Json::Null => boxed(CelNull),
        Json::Bool(value) => boxed(CelBool::from(*value)),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), _, _) => boxed(CelInt::from(value)),
            (None, Some(value), _) => boxed(CelUInt::from(value)),
            (None, None, Some(value)) => boxed(CelDouble::from(value)),
            (None, None, None) => boxed(CelNull),
        },
        Json::String(value) => boxed(CelString::from(value.as_str())),
        Json::Array(items) => boxed(CelList::from(items.iter().map(from_json).collect::<Vec<_>>())),
        Json::Object(entries) => map(entries.iter()),
    }
}
