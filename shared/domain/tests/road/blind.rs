//! Without an App API key nobody can say which profiles exist.

use crate::counts::{Bench, finish, known};
use std::sync::Mutex;
use trefoil_domain::config;
use trefoil_domain::event::{IdKind, Parent};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Address, Clock, Customerio, CustomerioWrite, ProfileLookUp, ProfileRef, QueueName};
use trefoil_domain::steps::scan::scan;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::time::{Span, Timestamp};

/// Takes whatever is written and says yes, as Customer.io does.
#[derive(Default)]
pub(crate) struct Blind {
    written: Mutex<Vec<CustomerioWrite>>,
}

impl Customerio for Blind {
    async fn find_profiles(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        people.iter().map(|address| ProfileLookUp::Unverified(address.ids[0].0, address.ids[0].1.clone())).collect()
    }

    async fn write(&self, writes: &[CustomerioWrite]) -> Vec<Outcome> {
        self.written.lock().expect("lock").extend_from_slice(writes);
        writes.iter().map(|_| Outcome::Done).collect()
    }

    async fn campaign_name(&self, _: &Parent) -> Result<Option<String>, Outcome> {
        Err(Outcome::skipped("no_app_api_key"))
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl Blind {
    /// (states, events) written so far.
    fn counts(&self) -> (usize, usize) {
        let written = self.written.lock().expect("lock");
        let states = written.iter().filter(|w| matches!(w, CustomerioWrite::Attributes { .. })).count();
        (states, written.len() - states)
    }
}

fn send(bench: &Bench, blind: &Blind, queue: QueueName) {
    let world = &bench.world;
    let sender = CustomerioSender { store: world, queue: world, clock: world, jitter: world, customerio: blind, config: &bench.config };
    let dispositions = finish(sender.handle(queue, world.receive(queue, 10)));
    world.settle(queue, dispositions);
}

#[test]
fn state_is_written_update_only_by_the_first_id_and_events_are_held_back() {
    let bench = Bench::new();
    let blind = Blind::default();
    known(&bench, 1);
    send(&bench, &blind, QueueName::CustomerioState);
    send(&bench, &blind, QueueName::Customerio);
    assert_eq!(blind.counts().1, 0, "no event for a profile that is not known to exist");
    let written = blind.written.lock().expect("lock");
    let CustomerioWrite::Attributes { profile, attributes, .. } = &written[0] else { panic!("{written:?}") };
    assert_eq!(*profile, ProfileRef::By(IdKind::UserId, "u1".to_owned()));
    assert_eq!(attributes["has_open_ticket"], true);
    assert_eq!(bench.world.depth(QueueName::Customerio), 0);
    let outcomes: Vec<_> = bench.world.records().into_iter().filter(|r| r.stage.starts_with("customerio#")).map(|r| r.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::skipped("profile_unverified"), Outcome::skipped("already_there")],
        "the person synced, the ticket opened"
    );
}

#[test]
fn an_operator_who_vouches_for_the_profiles_gets_the_events() {
    let mut bench = Bench::new();
    let text = config::EMBEDDED.replace("customerio:\n", "customerio:\n  profiles_exist: true\n");
    (bench.config, bench.routes) = config::check("trefoil.yaml", &text).expect("right");
    let blind = Blind::default();
    known(&bench, 1);
    send(&bench, &blind, QueueName::CustomerioState);
    send(&bench, &blind, QueueName::Customerio);
    assert_eq!(blind.counts().1, 2, "the person is synced, the ticket opened");
}

#[test]
fn what_nobody_could_confirm_is_written_again_as_long_as_it_matters() {
    let bench = Bench::new();
    let blind = Blind::default();
    known(&bench, 1);
    send(&bench, &blind, QueueName::CustomerioState);
    let mut states = blind.counts().0;
    for _ in 0..7 {
        bench.world.advance_to(bench.world.now().plus(Span::from_hours(7)));
        let found = finish(scan(&bench.world, &bench.world, &bench.world)).expect("scans");
        assert!(found >= 1, "the repair, and now and then a look at the quiet ticket");
        bench.route();
        send(&bench, &blind, QueueName::CustomerioState);
        let now = blind.counts().0;
        assert!(now > states, "the state is written again: a profile may have come into being");
        states = now;
    }
}
