//! The rules of one ticket and of forgetting, each as one small story.

use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Source, Workspace, event_id};
use trefoil_domain::facet::Summary;
use trefoil_domain::fold::{Folded, TICKETS_KEPT, fold};
use trefoil_domain::person::Person;
use trefoil_domain::tickets::*;
use trefoil_domain::time::{Span, Timestamp};

const T: i64 = 1_768_000_000;

fn secs(n: i64) -> Timestamp {
    Timestamp::from_secs(T + n)
}

fn person() -> Person {
    let workspace = Workspace::new("main").expect("valid");
    Person::new(&workspace, &Identifier::new(IdKind::IntercomId, "c1").expect("valid"), secs(0))
}

fn report(ticket: &str, fact: TicketFact, seen: Vec<Sighting>) -> TicketReport {
    TicketReport { seen, started_by: Some(StartedBy::Customer), ..TicketReport::new(TicketId::new(ticket).expect("valid"), fact) }
}

fn take(person: &mut Person, config: &Config, at: Timestamp, report: TicketReport) -> Folded {
    let workspace = person.workspace.clone();
    let event = Event {
        id: event_id(
            Source::Intercom,
            &workspace,
            &[report.ticket.as_str(), report.fact.name(), &format!("{:?}", report.seen), &at.secs().to_string()],
        ),
        source: Source::Intercom,
        workspace,
        occurred_at: at,
        received_at: at,
        ids: vec![Identifier::new(IdKind::IntercomId, "c1").expect("valid")],
        person: None,
        origin: None,
        kind: Kind::Ticket(report),
    };
    fold(person, &event, None, config, at)
}

fn id(ticket: &str) -> TicketId {
    TicketId::new(ticket).expect("valid")
}

fn status(person: &Person, config: &Config) -> Status {
    person.tickets[&id("1")].status(&config.tickets.count)
}

fn saw(register: Register, state: State, at: i64, part: u64, evidence: Evidence) -> Sighting {
    Sighting { register, state, at: secs(at), part, evidence }
}

/// Shows the sightings in every order; answers whether the ticket is open, and whether Intercom is to be asked.
fn comes_to(sightings: &[Sighting]) -> (bool, bool) {
    let config = config::embedded();
    let mut results = Vec::new();
    for turn in 0..sightings.len() {
        let mut order = sightings.to_vec();
        order.rotate_left(turn);
        for reversed in [false, true] {
            if reversed {
                order.reverse();
            }
            let mut person = person();
            for sighting in &order {
                take(&mut person, &config, sighting.at, report("1", TicketFact::Updated, vec![*sighting]));
            }
            let ticket = &person.tickets[&TicketId::new("1").expect("valid")];
            results.push((ticket.status(&config.tickets.count) == Status::Open, ticket.needs_re_read(&config.tickets.count)));
        }
    }
    assert!(results.windows(2).all(|w| w[0] == w[1]), "order matters: {results:?}");
    results[0]
}

use Evidence::{Cause, Plain, ReRead};
use Register::{Conversation, Ticket};
use State::{Closed, Open, Snoozed};

const OPEN: (bool, bool) = (true, false);
const CLOSED: (bool, bool) = (false, false);
const OPEN_AND_ASK: (bool, bool) = (true, true);

#[test]
fn the_later_second_wins_then_the_greater_part() {
    assert_eq!(comes_to(&[saw(Conversation, Open, 1, 0, Cause), saw(Conversation, Closed, 2, 7, Cause)]), CLOSED);
    assert_eq!(comes_to(&[saw(Conversation, Closed, 2, 7, Cause), saw(Conversation, Open, 2, 8, Plain)]), OPEN);
    assert_eq!(comes_to(&[saw(Conversation, Closed, 2, 9, Plain), saw(Conversation, Open, 2, 8, Cause)]), CLOSED);
    assert_eq!(comes_to(&[saw(Conversation, Closed, 1, 5, Cause), saw(Conversation, Snoozed, 3, 6, Plain)]), OPEN);
}

#[test]
fn within_a_second_without_part_ids_a_causing_close_wins_and_else_intercom_is_asked() {
    assert_eq!(comes_to(&[saw(Conversation, Open, 1, 0, Cause), saw(Conversation, Closed, 1, 7, Cause)]), CLOSED);
    assert_eq!(comes_to(&[saw(Conversation, Open, 1, 0, Plain), saw(Conversation, Closed, 1, 0, Plain)]), OPEN_AND_ASK);
    assert_eq!(
        comes_to(&[saw(Conversation, Open, 1, 0, Plain), saw(Conversation, Closed, 1, 0, Plain), saw(Conversation, Closed, 1, 0, ReRead)]),
        CLOSED
    );
    assert_eq!(
        comes_to(&[saw(Conversation, Open, 1, 0, Plain), saw(Conversation, Closed, 1, 0, Plain), saw(Conversation, Open, 1, 0, ReRead)]),
        OPEN
    );
}

#[test]
fn either_end_signal_closes_and_only_a_later_opening_opens_again() {
    let opened = saw(Conversation, Open, 1, 1, Cause);
    let resolved = saw(Ticket, Closed, 5, 5, Cause);
    assert_eq!(comes_to(&[opened, resolved]), CLOSED);
    // Still open is not open again: a note in a conversation that nobody closed.
    assert_eq!(comes_to(&[opened, resolved, saw(Conversation, Open, 9, 9, Plain)]), CLOSED);
    assert_eq!(comes_to(&[opened, resolved, saw(Conversation, Open, 9, 9, Cause)]), OPEN);
    // Closed in the conversation, left in progress in the ticket, as workflows do.
    assert_eq!(comes_to(&[saw(Ticket, Open, 2, 2, Cause), saw(Conversation, Closed, 5, 5, Cause)]), CLOSED);
    // A note on the closed conversation does not close it anew.
    let reopened = saw(Ticket, Open, 7, 7, Cause);
    assert_eq!(comes_to(&[saw(Conversation, Closed, 5, 5, Cause), reopened, saw(Conversation, Closed, 9, 9, Plain)]), OPEN);
}

#[test]
fn what_somebody_else_began_counts_once_the_customer_has_spoken() {
    let config = config::embedded();
    for by in [StartedBy::Teammate, StartedBy::Automation] {
        let mut person = person();
        let began = |fact, at| TicketReport { started_by: Some(by), ..report("1", fact, vec![saw(Conversation, Open, at, 0, Plain)]) };
        let has_open_ticket = |person: &Person| Summary::of(person, &config, secs(9)).has_open_ticket();
        take(&mut person, &config, secs(1), began(TicketFact::Opened, 1));
        take(&mut person, &config, secs(2), began(TicketFact::Replied { by: Author::Bot }, 2));
        assert!(!has_open_ticket(&person));
        // A note, of which the payload shows that the customer has written meanwhile.
        let mut noted = began(TicketFact::Updated, 5);
        noted.spoke_at = Some(secs(4));
        take(&mut person, &config, secs(5), noted);
        assert!(has_open_ticket(&person));
        assert_eq!(Summary::of(&person, &config, secs(9)).opened_at, Some(secs(4)), "it is a ticket since then");
    }
}

#[test]
fn where_nobody_says_who_began_it_counts() {
    let config = config::embedded();
    let mut person = person();
    let unknown = |fact, at| TicketReport { started_by: None, ..report("1", fact, vec![saw(Conversation, Open, at, 0, Plain)]) };
    take(&mut person, &config, secs(1), unknown(TicketFact::Updated, 1));
    assert!(Summary::of(&person, &config, secs(1)).has_open_ticket());
}

#[test]
fn an_intercom_ticket_for_customers_counts_no_matter_who_opened_its_conversation() {
    let config = config::embedded();
    for (audience, counts) in [(Audience::Customer, true), (Audience::BackOffice, false), (Audience::Tracker, false)] {
        let mut person = person();
        let mut opened = report("1", TicketFact::Opened, vec![saw(Ticket, Open, 1, 0, Cause)]);
        (opened.started_by, opened.audience) = (None, Some(audience));
        let mut assigned = report("1", TicketFact::Updated, vec![saw(Conversation, Open, 5, 7, Plain)]);
        assigned.started_by = Some(StartedBy::Teammate);
        for report in [opened, assigned] {
            take(&mut person, &config, secs(5), report);
            assert_eq!(Summary::of(&person, &config, secs(5)).has_open_ticket(), counts, "{audience:?}");
        }
    }
}

#[test]
fn who_began_is_a_narrowing_that_an_intercom_ticket_is_free_of() {
    let (config, _) = config::check("t.yaml", "version: 1\ntickets: { count: { started_by: [customer] } }\n").expect("a file");
    let mut person = person();
    let mut replied = report("1", TicketFact::Replied { by: Author::Customer }, vec![saw(Conversation, Open, 1, 3, Plain)]);
    replied.started_by = Some(StartedBy::Automation);
    take(&mut person, &config, secs(1), replied);
    assert!(!Summary::of(&person, &config, secs(1)).has_open_ticket());
    let mut became = report("1", TicketFact::Updated, vec![saw(Conversation, Open, 2, 4, Plain)]);
    became.audience = Some(Audience::Customer);
    take(&mut person, &config, secs(2), became);
    assert!(Summary::of(&person, &config, secs(2)).has_open_ticket());
}

/// A reply of the customer at a resolved ticket, whose conversation never closed: they wait.
#[test]
fn a_word_of_the_customer_after_the_end_opens_again() {
    let config = config::embedded();
    let mut person = person();
    let told = |fact, seen| report("1", fact, vec![seen]);
    take(&mut person, &config, secs(1), told(TicketFact::Opened, saw(Conversation, Open, 1, 1, Cause)));
    take(&mut person, &config, secs(5), told(TicketFact::Closed, saw(Ticket, Closed, 5, 5, Cause)));
    take(&mut person, &config, secs(9), told(TicketFact::Updated, saw(Conversation, Open, 9, 8, Plain)));
    assert_eq!(status(&person, &config), Status::Closed { at: secs(5) });
    let replied = TicketFact::Replied { by: Author::Customer };
    take(&mut person, &config, secs(9), told(replied, saw(Conversation, Open, 9, 9, Plain)));
    assert_eq!(status(&person, &config), Status::Open);
    take(&mut person, &config, secs(11), told(TicketFact::Closed, saw(Conversation, Closed, 11, 11, Cause)));
    assert_eq!(status(&person, &config), Status::Closed { at: secs(5) });
}

#[test]
fn a_merge_into_another_conversation_is_no_resolution() {
    let config = config::embedded();
    let mut person = person();
    take(&mut person, &config, secs(1), report("1", TicketFact::Opened, vec![saw(Conversation, Open, 1, 1, Cause)]));
    let merged = TicketReport { merged: true, ..report("1", TicketFact::Closed, vec![saw(Conversation, Closed, 5, 5, Plain)]) };
    take(&mut person, &config, secs(5), merged);
    assert_eq!(status(&person, &config), Status::Gone);
    let ticket = &person.tickets[&id("1")];
    assert!(ticket.episodes().iter().all(|episode| episode.resolved.is_none()), "nothing was resolved");
}

#[test]
fn whoever_is_taken_out_of_a_conversation_is_free_and_a_tie_is_asked_about() {
    let config = config::embedded();
    let mut person = person();
    take(&mut person, &config, secs(1), report("1", TicketFact::Opened, vec![saw(Conversation, Open, 1, 0, Cause)]));
    take(&mut person, &config, secs(1), report("1", TicketFact::Detached, Vec::new()));
    assert!(Summary::of(&person, &config, secs(1)).has_open_ticket(), "the safe side");
    assert!(person.tickets[&TicketId::new("1").expect("valid")].needs_re_read(&config.tickets.count));
    take(&mut person, &config, secs(2), report("1", TicketFact::Detached, Vec::new()));
    assert!(!Summary::of(&person, &config, secs(2)).has_open_ticket());
}

#[test]
fn a_ticket_that_was_over_long_ago_is_forgotten_and_never_opened_by_an_old_webhook() {
    let config = config::embedded();
    let mut person = person();
    let day = 24 * 3600;
    take(&mut person, &config, secs(1), report("1", TicketFact::Closed, vec![saw(Conversation, Closed, 1, 5, Cause)]));
    let later = secs(40 * day);
    take(&mut person, &config, later, report("2", TicketFact::Opened, vec![saw(Conversation, Open, 40 * day, 6, Cause)]));
    assert_eq!(person.tickets.len(), 1, "the first is forgotten");
    assert_eq!(person.forgotten_resolved_at, Some(secs(1)));
    let stale = report("1", TicketFact::Replied { by: Author::Customer }, vec![saw(Conversation, Open, 0, 4, Plain)]);
    assert_eq!(take(&mut person, &config, later, stale), Folded::AskFirst);
    assert_eq!(person.tickets.len(), 1);
    // The answer is believed, however old.
    let answer = report("1", TicketFact::ReRead, vec![saw(Conversation, Open, 0, 4, ReRead)]);
    assert_eq!(take(&mut person, &config, later, answer), Folded::Taken);
    assert_eq!(Summary::of(&person, &config, later).open, 2);
}

#[test]
fn a_full_person_forgets_what_is_over_first_and_stays_suppressed_if_nothing_is() {
    let config = config::embedded();
    let mut person = person();
    for n in 0..TICKETS_KEPT as i64 {
        let state = if n == 0 { saw(Conversation, Closed, n, 9, Cause) } else { saw(Conversation, Open, n, 9, Cause) };
        take(&mut person, &config, secs(n), report(&format!("{n}"), TicketFact::Updated, vec![state]));
    }
    let next = |n: i64| report(&format!("{n}"), TicketFact::Opened, vec![saw(Conversation, Open, n, 9, Cause)]);
    assert_eq!(take(&mut person, &config, secs(1000), next(1000)), Folded::Taken);
    assert!(!person.tickets.contains_key(&TicketId::new("0").expect("valid")), "the closed one made room");
    assert_eq!(take(&mut person, &config, secs(1001), next(1001)), Folded::Overflow);
    assert_eq!(person.tickets.len(), TICKETS_KEPT);
    for n in (1..TICKETS_KEPT as i64).chain([1000]) {
        take(
            &mut person,
            &config,
            secs(2000),
            report(&format!("{n}"), TicketFact::Closed, vec![saw(Conversation, Closed, 2000, 99, Cause)]),
        );
    }
    let summary = Summary::of(&person, &config, secs(2000));
    assert_eq!(summary.open, 0);
    assert!(summary.has_open_ticket(), "one was never kept: a human has to look");
}

#[test]
fn a_window_never_becomes_shorter() {
    let config = config::embedded();
    let mut person = person();
    let rate = |score, at: i64| {
        let mut rated = report("1", TicketFact::Rated { score, of: RatingOf::Teammate }, vec![saw(Conversation, Closed, at, 0, Plain)]);
        rated.priority = Some(Priority::High);
        rated
    };
    take(&mut person, &config, secs(100), rate(1, 100));
    let until = secs(100).plus(Span::from_days(30));
    assert_eq!(person.windows["renewal"], until);
    take(&mut person, &config, secs(200), rate(5, 200));
    take(&mut person, &config, secs(50), rate(2, 50));
    assert_eq!(person.windows["renewal"], until);
    assert_eq!(person.csat.as_ref().map(|c| c.score), Some(5), "the latest score");
    assert!(!Summary::of(&person, &config, secs(200)).windows.contains_key("expansion"), "a closed ticket opens no window, however hot");
}
