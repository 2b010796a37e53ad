//! Events that concern more people than one transaction takes.

use crate::counts::finish;
use crate::history::{NOW, workspace};
use crate::shipped;
use crate::sim::World;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Source, event_id};
use trefoil_domain::job::event_message;
use trefoil_domain::ports::{Clock, QueueName};
use trefoil_domain::steps::route::Router;
use trefoil_domain::tickets::{Evidence, Register, Sighting, StartedBy, State, TicketFact, TicketId, TicketReport};
use trefoil_domain::time::Span;

const PEOPLE: usize = 120;

fn about_the_ticket(name: &str, contact: Option<usize>, fact: TicketFact) -> Event {
    let seen = Sighting { register: Register::Conversation, state: State::Open, at: NOW, part: 0, evidence: Evidence::Plain };
    let report = TicketReport {
        seen: if fact == TicketFact::Deleted { Vec::new() } else { vec![seen] },
        opened_at: Some(NOW),
        started_by: Some(StartedBy::Customer),
        ..TicketReport::new(TicketId::new("9").expect("an id"), fact)
    };
    Event {
        id: event_id(Source::Intercom, &workspace(), &[name]),
        source: Source::Intercom,
        workspace: workspace(),
        occurred_at: NOW,
        received_at: NOW,
        ids: contact.and_then(|n| Identifier::new(IdKind::IntercomId, &format!("c{n}"))).into_iter().collect(),
        person: None,
        origin: None,
        kind: Kind::Ticket(report),
    }
}

/// A group conversation is deleted; the worker dies after any number of the transactions that it takes.
#[test]
fn a_deletion_reaches_everybody_whenever_the_worker_dies() {
    let (config, routes) = shipped();
    for dies_after in [0, 2, 5, 30, 90, 140, usize::MAX] {
        let world = World::new(3, NOW);
        world.forgets.store(0, Ordering::Relaxed);
        let router = Router { store: &world, queue: &world, clock: &world, jitter: &world, config: &config, routes: &routes };
        let route = |polls: usize| {
            loop {
                let batch = world.receive(QueueName::Events, 10);
                if batch.is_empty() {
                    return;
                }
                let mut work = Box::pin(router.handle(batch));
                let mut context = Context::from_waker(Waker::noop());
                let mut polled = 0;
                loop {
                    if polled == polls {
                        return;
                    }
                    polled += 1;
                    if let std::task::Poll::Ready(dispositions) = work.as_mut().poll(&mut context) {
                        world.settle(QueueName::Events, dispositions);
                        break;
                    }
                }
            }
        };
        for n in 0..PEOPLE {
            let opened = about_the_ticket(&format!("opened {n}"), Some(n), TicketFact::Opened);
            world.put(QueueName::Events, event_message(&opened).expect("an event is JSON"));
        }
        // All of them write who takes part in it.
        while world.depth(QueueName::Events) > 0 {
            route(usize::MAX);
            world.advance_to(world.now().plus(Span::from_mins(4)));
        }
        world.put(QueueName::Events, event_message(&about_the_ticket("deleted", None, TicketFact::Deleted)).expect("JSON"));
        route(dies_after);
        world.advance_to(world.now().plus(Span::from_mins(4)));
        route(usize::MAX);
        let people = world.people();
        assert_eq!(people.len(), PEOPLE);
        let ticket = TicketId::new("9").expect("an id");
        assert!(people.iter().all(|person| person.tickets[&ticket].is_deleted()), "died after {dies_after}");
        let told = finish(trefoil_domain::ports::Store::history(&world, &about_the_ticket("deleted", None, TicketFact::Deleted).id, NOW));
        assert_eq!(told.expect("reads").len(), 1, "died after {dies_after}: one outcome");
    }
}
