//! Random histories of people and their tickets, told as webhooks would tell them, with the truth beside it.

use crate::sim::Dice;
use std::sync::atomic::{AtomicUsize, Ordering};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::tickets::*;
use trefoil_domain::time::{Span, Timestamp};

pub(crate) fn workspace() -> Workspace {
    Workspace::new("main").expect("valid")
}

pub(crate) const START: Timestamp = Timestamp::from_secs(1_768_000_000);
/// When the first webhook arrives: everything told has happened by then, and its seconds are over.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_768_020_000);

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: String,
    pub(crate) human: usize,
    /// Leads have no user id of ours.
    pub(crate) user_id: Option<String>,
    pub(crate) email: String,
}

impl Contact {
    pub(crate) fn ids(&self) -> Vec<Identifier> {
        let user = self.user_id.iter().filter_map(|id| Identifier::new(IdKind::UserId, id));
        let ids = [Identifier::new(IdKind::IntercomId, &self.id), Identifier::new(IdKind::Email, &self.email)];
        ids.into_iter().flatten().chain(user).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: TicketId,
    pub(crate) contact: usize,
    /// What the webhooks said, in the order in which it happened.
    pub(crate) events: Vec<Event>,
    /// The truth after each of them.
    pub(crate) after: Vec<Truth>,
    pub(crate) last: Truth,
    /// How far the telling has come: what Intercom answers when asked.
    pub(crate) step: AtomicUsize,
}

/// The state of a ticket as Intercom has it.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) conversation: State,
    pub(crate) ticket: Option<State>,
    /// By the rule that is shipped.
    pub(crate) open: bool,
    pub(crate) human: bool,
    /// An AI takes part, and had come to this.
    pub(crate) ai: Option<Option<AiResolution>>,
    pub(crate) deleted: bool,
    pub(crate) at: Timestamp,
    pub(crate) part: u64,
    pub(crate) opened_at: Timestamp,
    pub(crate) priority: Priority,
    /// Times at which some sighting showed it open and hot.
    pub(crate) hot_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) humans: usize,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) tickets: Vec<Told>,
    /// Webhooks about the contacts themselves.
    pub(crate) profiles: Vec<Event>,
}

impl History {
    /// Nothing ever happened at Intercom.
    pub(crate) fn silent() -> Self {
        Self { humans: 0, contacts: Vec::new(), tickets: Vec::new(), profiles: Vec::new() }
    }

    pub(crate) fn random(dice: &Dice) -> Self {
        let humans = 1 + dice.below(3);
        let mut contacts = Vec::new();
        for human in 0..humans {
            let email = format!("person{human}@example.com");
            contacts.push(Contact { id: format!("c{human}a"), human, user_id: Some(format!("u{human}")), email: email.clone() });
            if dice.percent(40) {
                contacts.push(Contact { id: format!("c{human}b"), human, user_id: None, email });
            }
        }
        let mut part = 100;
        let mut tickets = Vec::new();
        for (index, contact) in contacts.iter().enumerate() {
            for _ in 0..1 + dice.below(2) {
                let number = tickets.len();
                tickets.push(tell(dice, contact, index, number, &mut part));
            }
        }
        let mut profiles = Vec::new();
        for contact in &contacts {
            if dice.percent(40) {
                profiles.push(profile(contact, Kind::PersonCreated(Profile::default()), "created", START));
            }
        }
        Self { humans, contacts, tickets, profiles }
    }

    /// Tickets of a human, whichever contact they came through.
    pub(crate) fn of(&self, human: usize) -> impl Iterator<Item = &Told> {
        self.tickets.iter().filter(move |t| self.contacts[t.contact].human == human)
    }

    pub(crate) fn contact(&self, id: &str) -> Option<&Contact> {
        self.contacts.iter().find(|c| c.id == id)
    }
}

pub(crate) fn profile(contact: &Contact, kind: Kind, salt: &str, at: Timestamp) -> Event {
    Event {
        id: event_id(Source::Intercom, &workspace(), &["profile", &contact.id, salt]),
        source: Source::Intercom,
        workspace: workspace(),
        occurred_at: at,
        received_at: at,
        ids: contact.ids(),
        person: None,
        origin: None,
        kind,
    }
}

fn tell(dice: &Dice, contact: &Contact, index: usize, number: usize, part: &mut u64) -> Told {
    let id = TicketId::new(&format!("{}", 1000 + number)).expect("valid");
    let mut at = START.plus(Span::from_secs(dice.below(5000) as i64));
    let opened_at = at;
    let with_ticket = dice.percent(30);
    let with_ai = !with_ticket && dice.percent(50);
    // Who began the conversation is the one thing that tells more than a bare contact id.
    let reveals = dice.percent(50);
    let mut truth = Truth {
        conversation: State::Open,
        ticket: with_ticket.then_some(State::Open),
        open: true,
        human: false,
        ai: with_ai.then_some(None),
        deleted: false,
        at,
        part: 0,
        opened_at,
        priority: if dice.percent(25) { Priority::High } else { Priority::None },
        hot_at: None,
    };
    let mut events = Vec::new();
    let mut after = Vec::new();
    let steps = 1 + dice.below(9);
    for step in 0..steps {
        // Ties are the rule in a busy conversation.
        at = at.plus(Span::from_secs(if dice.percent(20) { dice.below(900) as i64 } else { dice.below(2) as i64 }));
        truth.at = at;
        let mut has_part = true;
        let mut evidence = Evidence::Plain;
        let mut register = Register::Conversation;
        let fact = if step == 0 {
            has_part = false;
            evidence = Evidence::Cause;
            TicketFact::Opened
        } else {
            match (dice.below(if with_ai { 16 } else { 11 }), truth.conversation, truth.ticket) {
                (11..=12, _, _) => {
                    // The customer's word takes a resolution back, and opens what was closed.
                    if truth.conversation == State::Closed {
                        evidence = Evidence::Cause;
                    }
                    truth.conversation = State::Open;
                    truth.ai = Some(None);
                    TicketFact::Replied { by: Author::Customer }
                }
                (13..=15, _, _) => {
                    let states = [
                        None,
                        Some(AiResolution::AssumedResolution),
                        Some(AiResolution::ConfirmedResolution),
                        Some(AiResolution::Escalated),
                    ];
                    truth.ai = Some(states[dice.below(states.len())]);
                    TicketFact::Replied { by: Author::Bot }
                }
                (0..=2, State::Open | State::Snoozed, _) => {
                    truth.conversation = State::Closed;
                    truth.open = false;
                    evidence = Evidence::Cause;
                    TicketFact::Closed
                }
                (0..=2, State::Closed, _) => {
                    truth.conversation = State::Open;
                    truth.open = true;
                    evidence = Evidence::Cause;
                    TicketFact::Reopened
                }
                (3, State::Open, _) => {
                    truth.conversation = State::Snoozed;
                    TicketFact::Snoozed
                }
                (3, State::Snoozed, _) => {
                    truth.conversation = State::Open;
                    TicketFact::Updated
                }
                (4 | 5, _, Some(state)) => {
                    register = Register::Ticket;
                    evidence = Evidence::Cause;
                    let closes = state != State::Closed;
                    truth.ticket = Some(if closes { State::Closed } else { State::Open });
                    truth.open = !closes;
                    TicketFact::Updated
                }
                (6, _, _) => {
                    has_part = false;
                    TicketFact::Rated { score: 1 + dice.below(5) as u8, of: RatingOf::Teammate }
                }
                (7, _, _) => TicketFact::Tagged { tag: if dice.percent(50) { "churn-risk" } else { "billing" }.to_owned() },
                (8, _, _) => {
                    truth.priority = if truth.priority == Priority::High { Priority::None } else { Priority::High };
                    TicketFact::Prioritised
                }
                (9, _, _) if dice.percent(30) => {
                    has_part = false;
                    truth.deleted = true;
                    TicketFact::Deleted
                }
                _ => {
                    truth.human = true;
                    TicketFact::Replied { by: Author::Teammate }
                }
            }
        };
        if !with_ticket {
            let resolved = truth.ai.flatten().is_some_and(AiResolution::is_resolved) && !truth.human;
            truth.open = truth.conversation != State::Closed && !resolved;
        }
        let this_part = if has_part {
            *part += 1;
            truth.part = *part;
            *part
        } else {
            0
        };
        let state = match register {
            Register::Conversation => truth.conversation,
            Register::Ticket => truth.ticket.unwrap_or(State::Open),
        };
        let deleted = fact == TicketFact::Deleted;
        let seen = if deleted { Vec::new() } else { vec![Sighting { register, state, at, part: this_part, evidence }] };
        if !deleted && state != State::Closed && truth.priority == Priority::High {
            truth.hot_at = truth.hot_at.or(Some(at));
        }
        let mut ids = if reveals { contact.ids() } else { Vec::new() };
        ids.extend(Identifier::new(IdKind::IntercomId, &contact.id));
        ids.sort();
        ids.dedup();
        if deleted {
            ids.clear();
        }
        let report = TicketReport {
            seen,
            opened_at: (!deleted).then_some(opened_at),
            priority: (!deleted).then_some(truth.priority),
            started_by: (!deleted).then_some(StartedBy::Customer),
            human: truth.human,
            ai: truth.ai.map(|resolution| AiReport { resolution, ..AiReport::default() }),
            ..TicketReport::new(id.clone(), fact)
        };
        events.push(Event {
            id: event_id(Source::Intercom, &workspace(), &["webhook", id.as_str(), &step.to_string()]),
            source: Source::Intercom,
            workspace: workspace(),
            occurred_at: at,
            received_at: NOW,
            ids,
            person: None,
            origin: None,
            kind: Kind::Ticket(report),
        });
        after.push(truth.clone());
        if truth.deleted {
            break;
        }
    }
    let step = AtomicUsize::new(events.len() - 1);
    Told { id, contact: index, events, after, last: truth, step }
}

/// What Intercom answers when asked for a conversation.
pub(crate) fn re_read(told: &Told, contact: &Contact, salt: &str) -> Event {
    let truth = &told.after[told.step.load(Ordering::Relaxed)];
    let sighting = |register, state| Sighting { register, state, at: truth.at, part: truth.part, evidence: Evidence::ReRead };
    let mut seen = vec![sighting(Register::Conversation, truth.conversation)];
    seen.extend(truth.ticket.map(|state| sighting(Register::Ticket, state)));
    let report = TicketReport {
        seen: if truth.deleted { Vec::new() } else { seen },
        opened_at: Some(truth.opened_at),
        priority: (!truth.deleted).then_some(truth.priority),
        started_by: Some(StartedBy::Customer),
        human: truth.human,
        ai: truth.ai.map(|resolution| AiReport { resolution, ..AiReport::default() }),
        ..TicketReport::new(told.id.clone(), if truth.deleted { TicketFact::Deleted } else { TicketFact::ReRead })
    };
    Event {
        id: event_id(Source::Intercom, &workspace(), &["re_read", told.id.as_str(), salt]),
        source: Source::Intercom,
        workspace: workspace(),
        occurred_at: truth.at,
        received_at: NOW,
        ids: Identifier::new(IdKind::IntercomId, &contact.id).into_iter().collect(),
        person: None,
        origin: None,
        kind: Kind::Ticket(report),
    }
}
