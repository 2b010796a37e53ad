//! Tickets that would never end: contacts that are deleted, merged or archived, and notifications that name nobody.

use crate::counts::Bench;
use crate::history::workspace;
use crate::people::id;
use std::collections::BTreeSet;
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Merged, Profile, Source, event_id};
use trefoil_domain::facet::Summary;
use trefoil_domain::job::{Job, LookUp, Work, event_message};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Clock, QueueName};
use trefoil_domain::tickets::*;
use trefoil_domain::time::{Span, Timestamp};

const USER: &str = "c-user";
const LEAD: &str = "c-lead";

fn at(step: i64) -> Timestamp {
    crate::history::START.plus(Span::from_secs(step))
}

/// Each event happens at its step.
fn event(step: i64, ids: Vec<Identifier>, kind: Kind) -> Event {
    Event {
        id: event_id(Source::Intercom, &workspace(), &["ends", &step.to_string(), kind.name()]),
        source: Source::Intercom,
        workspace: workspace(),
        occurred_at: at(step),
        received_at: at(step),
        ids,
        person: None,
        origin: None,
        kind,
    }
}

/// Both contacts are of the one user u1.
fn contact(name: &str) -> Vec<Identifier> {
    vec![id(IdKind::IntercomId, name), id(IdKind::UserId, "u1")]
}

fn told(ticket: &str, step: i64, ids: Vec<Identifier>, fact: TicketFact, register: Register, state: State) -> Event {
    let seen = vec![Sighting { register, state, at: at(step), part: 0, evidence: Evidence::Cause }];
    let started_by = Some(StartedBy::Customer);
    event(step, ids, Kind::Ticket(TicketReport { seen, started_by, ..TicketReport::new(TicketId::new(ticket).expect("valid"), fact) }))
}

fn opened(ticket: &str, step: i64, contact_name: &str) -> Event {
    told(ticket, step, contact(contact_name), TicketFact::Opened, Register::Conversation, State::Open)
}

fn deleted(step: i64, name: &str) -> Event {
    event(step, vec![id(IdKind::IntercomId, name)], Kind::PersonDeleted)
}

fn merged(step: i64) -> Event {
    let from = vec![id(IdKind::IntercomId, LEAD)];
    event(step, contact(USER), Kind::PersonMerged(Merged { from, profile: Profile::default() }))
}

struct Road(Bench);

impl Road {
    fn of(events: &[Event]) -> Self {
        let road = Self(Bench::new());
        events.iter().for_each(|event| road.hears(event));
        road
    }

    fn hears(&self, event: &Event) {
        self.0.world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
        self.0.route();
    }

    fn open(&self, person: &Person) -> u32 {
        Summary::of(person, &self.0.config, self.0.world.now()).open
    }

    /// Open tickets of the one person there is.
    fn open_tickets(&self) -> u32 {
        let people = self.0.world.people();
        assert_eq!(people.len(), 1, "{people:#?}");
        self.open(&people[0])
    }

    fn jobs(&self) -> Vec<Job> {
        let queues = [QueueName::IntercomState, QueueName::Customerio];
        let waiting = queues.into_iter().flat_map(|queue| self.0.world.receive(queue, 100));
        waiting.map(|delivery| serde_json::from_str(&delivery.body).expect("a job")).collect()
    }

    fn asked_about(&self) -> Vec<(String, Vec<String>)> {
        let questions = self.jobs().into_iter().filter_map(|job| match job.work {
            Work::IntercomLookUp(LookUp::Conversation { ticket, contacts }) => Some((ticket.as_str().to_owned(), contacts)),
            _ => None,
        });
        questions.collect()
    }
}

/// All orders of a few events.
fn orders(events: &[Event]) -> Vec<Vec<Event>> {
    let Some((first, rest)) = events.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

/// In every order of these, so many tickets are open in the end; told once more, nothing changes.
fn comes_to(events: &[Event], open: u32) {
    for order in orders(events) {
        let road = Road::of(&order);
        // A contact that is first heard of by its deletion is nobody's until something says whose it is.
        assert_eq!(road.0.world.people().iter().map(|person| road.open(person)).sum::<u32>(), open, "{order:#?}");
        order.iter().for_each(|event| road.hears(event));
        assert_eq!(road.0.world.people().iter().map(|person| road.open(person)).sum::<u32>(), open, "again: {order:#?}");
    }
}

#[test]
fn a_deleted_contact_ends_what_lives_in_it_alone_in_any_order() {
    comes_to(&[opened("1", 1, USER), deleted(5, USER)], 0);
    // Later reports of the ticket open nothing.
    let replied = told("1", 9, contact(USER), TicketFact::Replied { by: Author::Customer }, Register::Conversation, State::Open);
    comes_to(&[opened("1", 1, USER), deleted(5, USER), replied], 0);
    let ticket = told("1", 1, contact(USER), TicketFact::Opened, Register::Ticket, State::Open);
    comes_to(&[ticket, deleted(5, USER)], 0);
    // A duplicate lead: the user's own ticket stays.
    comes_to(&[opened("1", 1, LEAD), opened("2", 2, USER), deleted(5, LEAD)], 1);
    // One that lives in both goes on in the other.
    let also = told("1", 3, contact(USER), TicketFact::Attached, Register::Conversation, State::Open);
    comes_to(&[opened("1", 1, LEAD), also.clone(), deleted(5, LEAD)], 1);
    comes_to(&[opened("1", 1, LEAD), also, deleted(5, LEAD), deleted(6, USER)], 0);
}

#[test]
fn a_merged_leads_tickets_go_along_with_the_user_in_any_order() {
    comes_to(&[opened("1", 1, LEAD), merged(3)], 1);
    comes_to(&[opened("1", 1, LEAD), merged(3), deleted(4, LEAD)], 1);
    comes_to(&[opened("1", 1, LEAD), merged(3), deleted(4, LEAD), deleted(9, USER)], 0);
}

#[test]
fn a_deletion_is_no_resolution() {
    let road = Road::of(&[opened("1", 1, USER), deleted(5, USER)]);
    let people = road.0.world.people();
    let ticket = people[0].tickets.values().next().expect("kept, so that nothing opens it again");
    assert!(ticket.episodes().iter().all(|episode| episode.resolved.is_none()));
}

#[test]
fn an_archived_contacts_open_tickets_are_asked_about_and_a_restored_ones_closed_ones_too() {
    let closed = told("2", 3, contact(USER), TicketFact::Closed, Register::Conversation, State::Closed);
    let road = Road::of(&[opened("1", 1, USER), closed, opened("3", 4, LEAD)]);
    assert!(road.asked_about().is_empty());
    let names = || vec![LEAD.to_owned(), USER.to_owned()];
    road.hears(&event(5, vec![id(IdKind::IntercomId, USER)], Kind::PersonArchived));
    assert_eq!(road.asked_about(), [("1".to_owned(), names())]);
    assert_eq!(road.open_tickets(), 2, "nothing is over before Intercom has said so");
    road.hears(&event(6, vec![id(IdKind::IntercomId, USER)], Kind::PersonRestored));
    let asked: BTreeSet<_> = road.asked_about().into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(asked, ["1", "2"].map(str::to_owned).into());
}

#[test]
fn what_names_nobody_concerns_everybody_who_takes_part_and_says_nothing_of_who_does() {
    let other = || vec![id(IdKind::IntercomId, "c-other"), id(IdKind::UserId, "u2")];
    let road = Road::of(&[
        opened("1", 1, USER),
        told("1", 1, other(), TicketFact::Opened, Register::Conversation, State::Open),
        event(3, other(), Kind::Ticket(TicketReport::new(TicketId::new("1").expect("valid"), TicketFact::Detached))),
    ]);
    let open = |road: &Road| -> BTreeSet<(Option<String>, u32)> {
        road.0.world.people().iter().map(|person| (person.id_of(IdKind::UserId).map(str::to_owned), road.open(person))).collect()
    };
    let both = |first, second| BTreeSet::from([(Some("u1".to_owned()), first), (Some("u2".to_owned()), second)]);
    assert_eq!(open(&road), both(1, 0));
    road.hears(&told("1", 5, Vec::new(), TicketFact::Reopened, Register::Conversation, State::Open));
    assert_eq!(open(&road), both(1, 0), "who has left does not come back by it");
    road.hears(&told("1", 7, Vec::new(), TicketFact::Closed, Register::Conversation, State::Closed));
    assert_eq!(open(&road), both(0, 0));
}

#[test]
fn of_what_names_nobody_each_persons_actions_are_their_own_and_stay_the_same() {
    let other = vec![id(IdKind::IntercomId, "c-other"), id(IdKind::UserId, "u2")];
    let closing = told("1", 7, Vec::new(), TicketFact::Closed, Register::Conversation, State::Closed);
    let road = Road::of(&[opened("1", 1, USER), told("1", 2, other, TicketFact::Opened, Register::Conversation, State::Open)]);
    road.jobs();
    let resolved = |road: &Road| -> BTreeSet<String> {
        let of_job = |job: Job| match job.work {
            Work::Customerio(actions) => actions,
            _ => Vec::new(),
        };
        let actions = road.jobs().into_iter().flat_map(of_job).filter(|action| action.route == "ticket resolved");
        actions.map(|action| action.id.as_str().to_owned()).collect()
    };
    road.hears(&closing);
    let first = resolved(&road);
    assert_eq!(first.len(), 2, "one for each of the two");
    road.0.world.advance_to(road.0.world.now().plus(Span::from_hours(1)));
    road.jobs();
    road.hears(&closing);
    assert_eq!(resolved(&road), first, "heard again");
}

#[test]
fn where_nobody_is_known_to_take_part_intercom_is_asked_who_does() {
    let closing = |step| told("1", step, Vec::new(), TicketFact::Closed, Register::Conversation, State::Closed);
    let road = Road::of(&[closing(5)]);
    assert_eq!(road.asked_about(), [("1".to_owned(), Vec::new())]);
    assert!(road.0.world.people().is_empty());
    // Nobody asks about one that is known to be deleted.
    let gone = event(1, Vec::new(), Kind::Ticket(TicketReport::new(TicketId::new("1").expect("valid"), TicketFact::Deleted)));
    let road = Road::of(&[gone, closing(5)]);
    assert!(road.asked_about().is_empty());
    assert!(road.0.world.records().iter().any(|record| record.outcome == Outcome::skipped("unknown_ticket")));
}

#[test]
fn a_conversation_that_only_an_ai_answers_is_asked_about_a_day_after_its_last_answer() {
    let answered = |step| {
        let ai = Some(AiReport { answered_at: Some(at(step)), ..AiReport::default() });
        let seen =
            vec![Sighting { register: Register::Conversation, state: State::Open, at: at(step), part: 0, evidence: Evidence::Plain }];
        let report = TicketReport::new(TicketId::new("1").expect("valid"), TicketFact::Replied { by: Author::Bot });
        event(step, contact(USER), Kind::Ticket(TicketReport { seen, ai, started_by: Some(StartedBy::Customer), ..report }))
    };
    let road = Road(Bench::new());
    // The world's clock is ahead of these by the time that the history takes.
    let begin = road.0.world.now().since(crate::history::START).millis() / 1000;
    road.hears(&opened("1", begin, USER));
    let last = begin + 600;
    road.0.world.advance_to(at(last));
    road.hears(&answered(last));
    let due = at(last).plus(Span::from_mins(24 * 60 + 15));
    for now in [at(begin).plus(Span::from_hours(24)), due.minus(Span::from_secs(1)), due] {
        road.0.world.advance_to(now);
        crate::counts::finish(trefoil_domain::steps::scan::scan(&road.0.world, &road.0.world, &road.0.world)).expect("it scans");
        road.0.route();
        let asked = road.asked_about();
        assert_eq!(!asked.is_empty(), now == due, "{now:?}: {asked:?}");
    }
}
