//! Takes an event into a person. Pure; the same events in any order, any number of times, end in the same person, but for
//! the evidence kept of each edge, which is the first that was seen.

use crate::config::{Config, WindowTrigger};
use crate::consent::{How, Said};
use crate::event::{ConsentChange, Event, IdKind, Kind, Source};
use crate::facet;
use crate::person::{Csat, Gone, OWED_FOR, Person, RecordKey};
use crate::tickets::{Proof, RatingOf, Shown, Sighting, State, Status, Ticket, TicketFact, TicketReport};
use crate::time::{Span, Timestamp};

/// Tickets kept of one person, closed ones included. Beyond it the closed ones that were quiet longest are forgotten.
pub const TICKETS_KEPT: usize = 200;

/// How long a closed ticket is remembered, so that a late webhook cannot open it again. Longer than any source retries,
/// plus the queue's retention, plus the dead letters'.
pub const TOMBSTONE_KEPT: Span = Span::from_days(35);

/// How long a conversation that we are about to open may take to be told of: longer than its job lives.
const OPENINGS_KEPT: Span = Span::from_days(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    Taken,
    /// About a ticket that may have been forgotten: Intercom must be asked before anything is believed.
    AskFirst,
    /// A re-read found a forgotten ticket closed, or a deletion of one: nothing to remember.
    OfNoUse,
    /// No room for another open ticket. The person counts as having open tickets until a human has looked.
    Overflow,
}

impl Folded {
    /// For the record.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Self::Taken => None,
            Self::AskFirst => Some("asks_intercom_first"),
            Self::OfNoUse => Some("long_closed"),
            Self::Overflow => Some("too_many_open_tickets"),
        }
    }
}

/// Folds one event. `ticket_deleted_at`: the ticket that the event names is known to have been deleted then.
pub fn fold(person: &mut Person, event: &Event, ticket_deleted_at: Option<Timestamp>, config: &Config, now: Timestamp) -> Folded {
    if let Some(profile) = event.kind.profile() {
        hear(person, event, &profile.consent, How::State, config);
        person.is_user |= event.source == Source::Intercom && profile.has_role("user");
        // A whole contact is as good as an answer to a question about it. The time is moved rarely, so that the next one is
        // no change.
        if event.source == Source::Intercom && person.may_be_looked_up(event.received_at) {
            person.looked_up_at = Some(event.received_at);
        }
    }
    let folded = match &event.kind {
        Kind::Ticket(report) => fold_ticket(person, event, report, ticket_deleted_at, config),
        Kind::PersonNotFound => {
            if person.may_be_looked_up(event.received_at) {
                person.looked_up_at = Some(event.received_at);
            }
            Folded::Taken
        }
        Kind::ConsentChanged(changes) => {
            hear(person, event, changes, How::Act, config);
            Folded::Taken
        }
        Kind::PersonDeleted | Kind::PersonArchived | Kind::PersonRestored => {
            let gone = Gone { at: event.occurred_at, gone: event.kind != Kind::PersonRestored };
            if let Some(contact) = event.ids.iter().find(|id| id.kind == IdKind::IntercomId) {
                person.note_gone(contact.value.clone(), gone);
                // An id of another source may stand beside it.
                if event.kind == Kind::PersonDeleted && event.source == Source::Intercom {
                    person.note_deleted(contact.value.clone(), event.occurred_at);
                }
            }
            Folded::Taken
        }
        Kind::PersonMerged(merged) => {
            if let Some(survivor) = event.ids.iter().find(|id| id.kind == IdKind::IntercomId) {
                for gone in merged.from.iter().filter(|id| id.kind == IdKind::IntercomId && id.value != survivor.value) {
                    person.note_merged(gone.value.clone(), survivor.value.clone());
                }
            }
            Folded::Taken
        }
        // Who the person is has been settled before; the rest is only passed on.
        Kind::PersonCreated(_)
        | Kind::PersonUpdated(_)
        | Kind::PersonSignedUp(_)
        | Kind::PersonIdentified(_)
        | Kind::PersonTagged(_)
        | Kind::PersonUntagged(_)
        | Kind::CompanyUpdated(_)
        | Kind::CompanyDeleted(_)
        | Kind::CompanyJoined(_)
        | Kind::CompanyLeft(_)
        | Kind::Message(_)
        | Kind::ListEntered(_)
        | Kind::ListLeft(_)
        | Kind::Tracked(_)
        | Kind::PageViewed(_)
        | Kind::ScreenViewed(_)
        | Kind::TraitComputed { .. }
        | Kind::Converted(_)
        | Kind::ChurnRisk(_)
        | Kind::Custom(_)
        | Kind::Due(_)
        | Kind::Settled(_)
        | Kind::CampaignNamed(_) => Folded::Taken,
    };
    leave_deleted_contacts(person, event, config);
    prune(person, config, now);
    folded
}

fn hear(person: &mut Person, event: &Event, changes: &[ConsentChange], how: How, config: &Config) {
    let (source, at) = (event.source, event.occurred_at);
    let Some(record) = RecordKey::of(source, &event.ids) else { return };
    for change in changes {
        person.consent.hear(&Said { source, record: &record, change, at, how }, &config.consent);
    }
}

/// Intercom deletes the conversations of a contact along with it, and does not tell of each.
/// <https://www.intercom.com/help/en/articles/1815435>
fn leave_deleted_contacts(person: &mut Person, event: &Event, config: &Config) {
    if person.deleted.is_empty() {
        return;
    }
    let mut tickets = std::mem::take(&mut person.tickets);
    for ticket in tickets.values_mut() {
        ticket.leave(person.left_at(ticket.contacts()));
        // What brings it back is the next that is heard of it.
        if ticket.status(&config.tickets.count) == Status::Gone {
            let proof = Proof { event: &event.id, at: event.occurred_at, whose: None };
            ticket.note_edges(Status::Gone, true, Shown::Over, proof);
        }
    }
    person.tickets = tickets;
}

/// Brings the facet's version in line with its values. `identity_grew`: the person has just gained an id or absorbed
/// another, so that even unchanged values have a new place to go. `renamed`: they go by another user id or address now, which their
/// profile is to have, whether or not there is anything to say of support.
pub fn move_facet(person: &mut Person, event: &Event, identity_grew: bool, renamed: bool, config: &Config, now: Timestamp) {
    match facet::render(person, config, now) {
        Some(facet) if facet.hash != person.facet.hash || identity_grew || renamed => {
            person.facet.version += 1;
            person.facet.hash = facet.hash;
            person.facet.moved_by = Some(event.id.clone());
        }
        None if renamed => person.facet.moved_by = Some(event.id.clone()),
        Some(_) | None => {}
    }
}

fn fold_ticket(person: &mut Person, event: &Event, report: &TicketReport, deleted_at: Option<Timestamp>, config: &Config) -> Folded {
    let counting = &config.tickets.count;
    if !person.tickets.contains_key(&report.ticket) {
        let heard_at = report.seen.iter().map(|s| s.at).max().unwrap_or(event.occurred_at);
        let may_be_forgotten = person.pruned_before.is_some_and(|before| heard_at < before);
        let shows_open = report.seen.iter().any(shows_open);
        match &report.fact {
            TicketFact::ReRead if may_be_forgotten && !shows_open => return Folded::OfNoUse,
            TicketFact::Deleted | TicketFact::Detached if may_be_forgotten => return Folded::OfNoUse,
            TicketFact::ReRead => {}
            _ if may_be_forgotten => return Folded::AskFirst,
            _ => {}
        }
        if person.tickets.len() >= TICKETS_KEPT {
            forget_quietest(person, config);
        }
        if person.tickets.len() >= TICKETS_KEPT {
            person.overflow = true;
            return Folded::Overflow;
        }
    }
    let ours = is_ours(person, report);
    let mut ticket = person.tickets.remove(&report.ticket).unwrap_or_default();
    if ours {
        ticket.is_ours();
    }
    let names_somebody = !event.ids.is_empty() || event.person.is_some();
    let contacts = event.ids.iter().filter(|id| id.kind == IdKind::IntercomId).map(|id| id.value.as_str());
    ticket.see(report, event.occurred_at, names_somebody.then_some(contacts));
    ticket.leave(person.left_at(ticket.contacts()));
    if let Some(at) = deleted_at {
        ticket.delete(at);
    }
    if let Some(category) = category(report, config) {
        ticket.categorise(&category, event.occurred_at);
    }
    hold_windows(&mut ticket, report, config);
    let status = ticket.status(counting);
    let shown = match (&report.fact, report.seen.iter().any(shows_open)) {
        (_, false) => Shown::Over,
        (TicketFact::Opened, true) => Shown::Creation,
        (_, true) => Shown::Open,
    };
    let sure = !ticket.needs_re_read(counting);
    let whose = (!names_somebody).then_some(person.id.as_str());
    ticket.note_edges(status, sure, shown, Proof { event: &event.id, at: event.occurred_at, whose });
    person.tickets.insert(report.ticket.clone(), ticket);
    if report.ai.is_some_and(|ai| ai.preview) {
        return Folded::Taken;
    }
    match &report.fact {
        TicketFact::Rated { score, of: RatingOf::Teammate | RatingOf::Workflow } => {
            person.rate(Csat { score: *score, at: event.occurred_at });
            open_windows(person, config, event.occurred_at, |trigger| matches!(trigger, WindowTrigger::CsatAtMost(most) if score <= most));
        }
        TicketFact::Tagged { tag } => {
            open_windows(
                person,
                config,
                event.occurred_at,
                |trigger| matches!(trigger, WindowTrigger::Tag(name) if name.to_lowercase() == tag.to_lowercase()),
            );
        }
        TicketFact::Opened
        | TicketFact::Replied { .. }
        | TicketFact::Snoozed
        | TicketFact::Closed
        | TicketFact::Reopened
        | TicketFact::Prioritised
        | TicketFact::Attached
        | TicketFact::Detached
        | TicketFact::Deleted
        | TicketFact::AiRated { .. }
        | TicketFact::Updated
        | TicketFact::Ours
        | TicketFact::ReRead => {}
    }
    Folded::Taken
}

fn shows_open(sighting: &Sighting) -> bool {
    match sighting.state {
        State::Open | State::Snoozed => true,
        State::Closed => false,
    }
}

/// It begins with what we were about to write, and is the first since then to do so: what was known of before is the customer's
/// own.
fn is_ours(person: &mut Person, report: &TicketReport) -> bool {
    let is_known = person.tickets.contains_key(&report.ticket);
    let Some(opening) = report.opening.as_ref().and_then(|opening| person.openings.get_mut(opening)) else { return false };
    match &opening.ticket {
        Some(ticket) => *ticket == report.ticket,
        None if is_known && report.fact != TicketFact::Ours => false,
        None => {
            opening.ticket = Some(report.ticket.clone());
            true
        }
    }
}

/// Ticket type, else the chosen attribute, else unknown.
fn category(report: &TicketReport, config: &Config) -> Option<String> {
    if report.ticket_type.is_some() {
        return report.ticket_type.clone();
    }
    let value = report.attributes.get(config.tickets.category_from.as_ref()?)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A window opens when the open ticket is first seen with the priority. Judged by what this one report shows, so that
/// the order of reports does not matter.
fn hold_windows(ticket: &mut Ticket, report: &TicketReport, config: &Config) {
    let Some(priority) = report.priority.filter(|_| report.seen.iter().all(shows_open)) else { return };
    let Some(seen_at) = report.seen.iter().map(|s| s.at).min() else { return };
    for rule in &config.suppress {
        if matches!(&rule.opens_on, WindowTrigger::Priority(hot) if hot.contains(&priority)) {
            ticket.hold_window(&rule.name, seen_at);
        }
    }
}

fn open_windows(person: &mut Person, config: &Config, from: Timestamp, opens: impl Fn(&WindowTrigger) -> bool) {
    for rule in &config.suppress {
        if opens(&rule.opens_on) {
            person.extend_window(&rule.name, from.plus(rule.lasts));
        }
    }
}

/// Forgets tickets that have been over for long enough.
fn prune(person: &mut Person, config: &Config, now: Timestamp) {
    person.openings.retain(|_, opening| now.since(opening.planned_at) < OPENINGS_KEPT);
    person.owed.retain(|owed| now.since(owed.since) < OWED_FOR);
    let horizon = now.minus(TOMBSTONE_KEPT);
    let over: Vec<_> = person
        .tickets
        .iter()
        .filter(|(_, t)| t.status(&config.tickets.count) != Status::Open && t.last_seen().is_some_and(|at| at < horizon))
        .map(|(id, _)| id.clone())
        .collect();
    for id in over {
        if let Some(ticket) = person.tickets.remove(&id) {
            remember_forgotten(person, &ticket, config);
            person.pruned_before = person.pruned_before.max(Some(horizon));
        }
    }
}

/// Makes room: forgets the ticket that is over and was quiet longest, and remembers not to believe anything older.
fn forget_quietest(person: &mut Person, config: &Config) {
    let quietest = person
        .tickets
        .iter()
        .filter(|(_, t)| t.status(&config.tickets.count) != Status::Open)
        .min_by_key(|(_, t)| t.last_seen())
        .map(|(id, _)| id.clone());
    if let Some(ticket) = quietest.and_then(|id| person.tickets.remove(&id)) {
        remember_forgotten(person, &ticket, config);
        let after_it = ticket.last_seen().map(|at| at.plus(Span::from_secs(1)));
        person.pruned_before = person.pruned_before.max(after_it);
    }
}

/// What outlives a forgotten ticket: its windows and the latest times.
fn remember_forgotten(person: &mut Person, ticket: &Ticket, config: &Config) {
    let mut windows = std::mem::take(&mut person.windows);
    facet::add_windows(&mut windows, ticket, config);
    person.windows = windows;
    if let Status::Closed { at } = ticket.status(&config.tickets.count) {
        person.forgotten_resolved_at = person.forgotten_resolved_at.max(Some(at));
        person.forgotten_opened_at = person.forgotten_opened_at.max(ticket.opened_at());
    }
}
