//! What a conversation or a ticket object says: its state as sightings, and the rest of a report. Webhooks and REST carry
//! the same objects.
//!
//! State comes from the object and never from the topic: topics arrive late, twice and out of order.

use super::wire::{Item, Part, nested};
use trefoil_domain::event::Value;
use trefoil_domain::tickets::{
    Audience, Evidence, Priority, Register, Sighting, StartedBy, State, TicketFact, TicketId, TicketReport, opening,
};
use trefoil_domain::time::{Span, Timestamp};

/// Longer text is prose, and prose does not travel on.
const LONGEST_TEXT_CHARS: usize = 255;
const MOST_ATTRIBUTES: usize = 60;
/// Title and description of a ticket: written by people, about people.
const PROSE: [&str; 2] = ["_default_title_", "_default_description_"];
/// A part that is older than the ticket's last change by more than this did not cause it.
const CAUSE_LAG: Span = Span::from_secs(2);

/// How much the parts in the object can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The parts are what caused the notification.
    PartsAreCauses,
    /// The notification is the birth of a conversation or ticket.
    Birth,
    /// The parts are history, of which the last may or may not be the cause: it is if it is as young as the last change.
    PartsAreHistory,
    /// The parts are what the notification is about, and changed nothing.
    Nothing,
    /// We asked.
    Asked,
}

/// The latest part. Ids grow with time.
pub(super) fn last_part<'p, 'a>(parts: impl Iterator<Item = &'p Part<'a>>) -> Option<&'p Part<'a>>
where
    'a: 'p,
{
    parts.max_by_key(|part| part.number())
}

/// When the object was as it is, in whole seconds.
pub(super) fn seen_at(item: &Item<'_>, last: Option<&Part<'_>>, otherwise: Timestamp) -> Timestamp {
    let at = item.updated_at.0.or_else(|| last.and_then(|part| part.created_at.0)).or(item.created_at.0).unwrap_or(otherwise);
    Timestamp::from_secs(at.secs())
}

/// The conversation's state, or `None` where the object does not show it.
pub(super) fn conversation_sighting(item: &Item<'_>, at: Timestamp, proof: Proof) -> Option<Sighting> {
    let state = match (item.state.get(), item.open.0) {
        (Some("closed"), _) | (None, Some(false)) => State::Closed,
        (Some("snoozed"), _) => State::Snoozed,
        (Some(_), _) | (None, Some(true)) => State::Open,
        (None, None) => return None,
    };
    let parts = &item.conversation_parts;
    let says_so = |part: &Part<'_>| match state {
        State::Open => part.part_type.get() == Some("open"),
        State::Closed => part.part_type.get() == Some("close"),
        State::Snoozed => false,
    };
    let evidence = match proof {
        Proof::Asked => Evidence::ReRead,
        Proof::Birth if state == State::Open && parts.iter().next().is_none() => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory if parts.iter().any(says_so) => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory | Proof::Nothing => Evidence::Plain,
    };
    Some(Sighting { register: Register::Conversation, state, at, part: last_part(parts.iter()).map_or(0, Part::number), evidence })
}

/// The ticket's state, or `None` where the object does not show it. `last` is its latest part, wherever it stands.
pub(super) fn ticket_sighting(item: &Item<'_>, last: Option<&Part<'_>>, at: Timestamp, proof: Proof) -> Option<Sighting> {
    let category = item.ticket_state.category.get();
    if category.is_none() && item.open.0.is_none() {
        return None;
    }
    let state = if category == Some("resolved") || item.open.0 == Some(false) { State::Closed } else { State::Open };
    let caused = last.is_some_and(|part| match transition(part) {
        Some(Transition::Resolved) => state == State::Closed,
        Some(Transition::Reopened) => state == State::Open,
        None => false,
    });
    let young = last.is_some_and(|part| part.created_at.0.is_some_and(|created| at.since(created) <= CAUSE_LAG));
    let evidence = match proof {
        Proof::Asked => Evidence::ReRead,
        Proof::Birth if state == State::Open => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses if caused => Evidence::Cause,
        Proof::PartsAreHistory if caused && young => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory | Proof::Nothing => Evidence::Plain,
    };
    Some(Sighting { register: Register::Ticket, state, at, part: last.map_or(0, Part::number), evidence })
}

/// What a part of a ticket did to the ticket's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    Resolved,
    Reopened,
}

pub(super) fn transition(part: &Part<'_>) -> Option<Transition> {
    let kind = part.part_type.get()?;
    let (to, from) = (part.ticket_state.category.get(), part.previous_ticket_state.category.get());
    match kind {
        "close" => Some(Transition::Resolved),
        "open" => Some(Transition::Reopened),
        _ if !kind.starts_with("ticket_state_updated") => None,
        _ if to == Some("resolved") => Some(Transition::Resolved),
        _ if from == Some("resolved") && to.is_some() => Some(Transition::Reopened),
        _ => None,
    }
}

/// Everything but the sightings, which depend on where the object comes from.
pub(super) fn report(ticket: TicketId, register: Register, item: &Item<'_>, fact: TicketFact, seen: Vec<Sighting>) -> TicketReport {
    // A conversation that became a ticket holds it; what sort of ticket it is stands there.
    let embedded = nested(item.ticket);
    let (ticket_item, attributes) = match register {
        Register::Conversation => (embedded.as_ref(), &item.custom_attributes),
        Register::Ticket => (Some(item), &item.ticket_attributes),
    };
    let attributes = attributes
        .0
        .iter()
        .filter(|(name, value)| !PROSE.contains(&name.as_str()) && is_short(name) && value.as_str().is_none_or(is_short))
        .take(MOST_ATTRIBUTES)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    TicketReport {
        ticket,
        fact,
        seen,
        opened_at: item.created_at.0,
        priority: item.priority.0.as_ref().and_then(priority),
        started_by: item.source.0.as_ref().and_then(|source| source.delivered_as.get()).map(started_by),
        audience: ticket_item.and_then(|t| t.category.get()).and_then(audience),
        ticket_type: ticket_item.and_then(|t| t.ticket_type.name.get()).filter(|name| is_short(name)).map(str::to_owned),
        opening: began_with(register, item, embedded.as_ref()),
        attributes,
    }
}

/// The first message, or title and description: what [`opens_with`] gives of the action that may have opened it.
///
/// [`opens_with`]: trefoil_domain::action::IntercomVerb::opens_with
fn began_with(register: Register, item: &Item<'_>, embedded: Option<&Item<'_>>) -> Option<String> {
    let said = |item: &Item<'_>| {
        let text = |name| item.ticket_attributes.0.get(name).and_then(Value::as_str).unwrap_or_default();
        opening(&format!("{} {}", text(PROSE[0]), text(PROSE[1])))
    };
    match register {
        Register::Ticket => said(item),
        Register::Conversation => {
            let body = item.source.0.as_ref().and_then(|source| source.body.get());
            body.and_then(opening).or_else(|| said(embedded?))
        }
    }
}

fn is_short(text: &str) -> bool {
    text.chars().nth(LONGEST_TEXT_CHARS).is_none()
}

/// Payloads of apps below 2.16 know two priorities only, in words or as a boolean.
fn priority(value: &Value) -> Option<Priority> {
    match value {
        Value::Bool(true) => Some(Priority::High),
        Value::Bool(false) => Some(Priority::None),
        Value::String(text) => match text.as_str() {
            "priority" => Some(Priority::High),
            "not_priority" => Some(Priority::None),
            other => Priority::parse(other),
        },
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn started_by(delivered_as: &str) -> StartedBy {
    match delivered_as {
        "customer_initiated" => StartedBy::Customer,
        "admin_initiated" => StartedBy::Teammate,
        // automated, campaigns_initiated, operator_initiated, and what may be added to them.
        _ => StartedBy::Automation,
    }
}

fn audience(category: &str) -> Option<Audience> {
    match category {
        "Customer" => Some(Audience::Customer),
        "Back-office" => Some(Audience::BackOffice),
        "Tracker" => Some(Audience::Tracker),
        _ => None,
    }
}
