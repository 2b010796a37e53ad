//! Leads: somebody who may be a customer after all, or who says for long not who they are.

use crate::counts::{Bench, finish};
use crate::history::{NOW, workspace};
use serde_json::json;
use trefoil_domain::event::{Attributes, Event, IdKind, Identifier, Kind, Merged, Profile, Source, event_id};
use trefoil_domain::job::{Job, Work, event_message};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Clock, QueueName};
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::time::Span;

fn profile(role: &str, name: &str) -> Profile {
    let attributes: Attributes = [("role", json!(role)), ("name", json!(name))].map(|(key, value)| (key.to_owned(), value)).into();
    Profile { attributes, whole: true, ..Profile::default() }
}

fn event(bench: &Bench, name: &str, source: Source, ids: &[(IdKind, &str)], kind: Kind) -> Event {
    Event {
        id: event_id(source, &workspace(), &[name]),
        source,
        workspace: workspace(),
        occurred_at: bench.world.now(),
        received_at: bench.world.now(),
        ids: ids.iter().filter_map(|(kind, value)| Identifier::new(*kind, value)).collect(),
        person: None,
        origin: None,
        kind,
    }
}

fn lead_created(bench: &Bench, ids: &[(IdKind, &str)]) -> Event {
    event(bench, "lead created", Source::Intercom, ids, Kind::PersonCreated(profile("lead", "Visitor from Cork")))
}

/// What routes have asked of Customer.io since.
fn asked(bench: &Bench, events: &[&Event]) -> Vec<Job> {
    for event in events {
        bench.world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    }
    bench.route();
    let deliveries = [QueueName::CustomerioState, QueueName::Customerio].into_iter().flat_map(|queue| bench.world.receive(queue, 20));
    let jobs = deliveries.filter_map(|delivery| serde_json::from_str::<Job>(&delivery.body).ok());
    jobs.filter(|job| matches!(job.work, Work::Customerio(_))).collect()
}

fn says(jobs: &[Job], word: &str) -> usize {
    jobs.iter().filter(|job| serde_json::to_string(job).expect("JSON").contains(word)).count()
}

#[test]
fn a_lead_is_told_of_once_there_is_an_address_however_late() {
    for hours in [2, 26, 24 * 29] {
        let bench = Bench::new();
        let created = lead_created(&bench, &[(IdKind::IntercomId, "c1")]);
        assert_eq!(says(&asked(&bench, &[&created]), "intercom_lead_created"), 0);
        bench.world.advance_to(bench.world.now().plus(Span::from_hours(hours)));
        let ids = [(IdKind::IntercomId, "c1"), (IdKind::Email, "lead@example.com")];
        let address = event(&bench, "address", Source::Intercom, &ids, Kind::PersonUpdated(profile("lead", "Ada")));
        let jobs = asked(&bench, &[&address]);
        assert_eq!((says(&jobs, "intercom_lead_created"), says(&jobs, "create_person")), (1, 1), "{hours} h: {jobs:#?}");
        let told = jobs.iter().find(|job| job.event == created.id).expect("of the event that asked for it");
        // The same once more, in case it was lost in a crash; and never again with another event.
        bench.world.advance_to(bench.world.now().plus(Span::from_mins(6)));
        let again = asked(&bench, &[&address]);
        assert_eq!(again.iter().find(|job| job.event == created.id).map(|job| &job.work), Some(&told.work));
        let later = event(&bench, "later", Source::Intercom, &ids, Kind::PersonUpdated(profile("lead", "Ada L")));
        assert_eq!(says(&asked(&bench, &[&later]), "intercom_lead_created"), 0);
    }
}

#[test]
fn after_a_month_a_lead_is_no_news() {
    let bench = Bench::new();
    asked(&bench, &[&lead_created(&bench, &[(IdKind::IntercomId, "c1")])]);
    bench.world.advance_to(bench.world.now().plus(Span::from_hours(24 * 31)));
    let ids = [(IdKind::IntercomId, "c1"), (IdKind::Email, "lead@example.com")];
    let address = event(&bench, "address", Source::Intercom, &ids, Kind::PersonUpdated(profile("lead", "Ada")));
    assert_eq!(says(&asked(&bench, &[&address]), "intercom_lead_created"), 0);
}

/// Known by a user id, by a user's record at Intercom, or by nothing but an address that Segment calls by.
fn customers(bench: &Bench) -> Vec<Event> {
    let user = Kind::PersonUpdated(profile("user", "Ada Lovelace"));
    vec![
        event(bench, "user", Source::Segment, &[(IdKind::UserId, "u1"), (IdKind::Email, "ada@example.com")], user.clone()),
        event(bench, "user", Source::Intercom, &[(IdKind::IntercomId, "c9"), (IdKind::Email, "ada@example.com")], user.clone()),
        event(bench, "user", Source::Segment, &[(IdKind::UserId, "Ada@example.com"), (IdKind::Email, "ada@example.com")], user),
    ]
}

#[test]
fn a_lead_who_is_a_customer_is_neither_enrolled_nor_renames_them() {
    for which in 0..3 {
        let bench = Bench::new();
        let customer = customers(&bench).remove(which);
        asked(&bench, &[&customer]);
        let ids = [(IdKind::IntercomId, "c1"), (IdKind::Email, "ada@example.com")];
        let jobs = asked(&bench, &[&lead_created(&bench, &ids)]);
        assert_eq!((says(&jobs, "intercom_lead_created"), says(&jobs, "Visitor from Cork")), (0, 0), "{which}: {jobs:#?}");
    }
}

#[test]
fn a_lead_who_turns_out_to_be_a_customer_is_not_enrolled() {
    let bench = Bench::new();
    asked(&bench, &[&customers(&bench)[0]]);
    let created = lead_created(&bench, &[(IdKind::IntercomId, "c1"), (IdKind::Email, "other@example.com")]);
    bench.world.put(QueueName::Events, event_message(&created).expect("JSON"));
    bench.route();
    // The job is on its way when Intercom says who it is.
    let jobs = bench.world.receive(QueueName::Customerio, 10);
    assert!(jobs.iter().any(|delivery| delivery.body.contains("intercom_lead_created")));
    let from = vec![Identifier::new(IdKind::IntercomId, "c1").expect("an id")];
    let merged = Merged { from, profile: profile("user", "Ada Lovelace") };
    let ids = [(IdKind::IntercomId, "c9"), (IdKind::UserId, "u1")];
    asked(&bench, &[&event(&bench, "merged", Source::Intercom, &ids, Kind::PersonMerged(merged))]);

    let profiles = crate::sim::Profiles::new(&bench.world);
    let (store, queue, clock, jitter) = (&bench.world, &bench.world, &bench.world, &bench.world);
    let sender = CustomerioSender { store, queue, clock, jitter, customerio: &profiles, config: &bench.config };
    finish(sender.handle(QueueName::Customerio, jobs));
    let told = bench.world.records().into_iter().rfind(|record| record.event == created.id && record.stage.starts_with("customerio"));
    assert_eq!(told.map(|record| record.outcome), Some(Outcome::skipped("lead_of_a_customer")));
}

#[test]
fn an_id_that_names_nobody_leaves_nobody_behind() {
    let mut bench = Bench::new();
    bench.config.identity.no_ids = ["test-user".to_owned(), "noreply@example.com".to_owned()].into();
    let said = || Kind::PersonUpdated(Profile::default());
    let one = event(&bench, "1", Source::Segment, &[(IdKind::UserId, "Test-User"), (IdKind::Email, "noreply@example.com")], said());
    let two = event(&bench, "2", Source::Segment, &[(IdKind::UserId, "u1"), (IdKind::Email, "NoReply@example.com")], said());
    asked(&bench, &[&one, &two]);
    let people = bench.world.people();
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].id_of(IdKind::UserId), people[0].id_of(IdKind::Email)), (Some("u1"), None));
    let first = bench.world.records().into_iter().find(|record| record.event == one.id);
    assert_eq!(first.map(|record| record.outcome), Some(Outcome::skipped("names_nobody")));
    assert!(NOW <= bench.world.now());
}

/// Whatever field and case it comes in, and from whichever tool, an address is one person.
#[test]
fn an_address_in_an_id_field_is_that_address() {
    let said = || Kind::PersonUpdated(Profile::default());
    let of_user = |text: &str| Identifier::of_user(text).collect::<Vec<_>>();
    let user = |bench: &Bench, name, source, ids| Event { ids, ..event(bench, name, source, &[], said()) };
    let email = Identifier::new(IdKind::Email, "ada@example.com").expect("an address");
    let known = Identifier::new(IdKind::UserId, "u1").expect("an id");
    for first in [vec![known, email.clone()], vec![email.clone()], of_user("ADA@example.com")] {
        let bench = Bench::new();
        let contact = Identifier::new(IdKind::IntercomId, "c1").into_iter().chain(of_user("Ada@Example.com")).collect();
        let profile = Identifier::new(IdKind::CioId, "0a").into_iter().chain(of_user("ada@EXAMPLE.com")).collect();
        let events = [
            user(&bench, "1", Source::Segment, first),
            user(&bench, "2", Source::Segment, of_user("ada@example.com")),
            user(&bench, "3", Source::Intercom, contact),
            user(&bench, "4", Source::Customerio, profile),
        ];
        asked(&bench, &events.iter().collect::<Vec<_>>());
        let people: Vec<_> = bench.world.people().into_iter().filter(|person| person.merged_into.is_none()).collect();
        assert_eq!(people.len(), 1, "{people:#?}");
        assert_eq!(people[0].id_of(IdKind::Email), Some("ada@example.com"));
        assert!(finish(trefoil_domain::ports::Store::conflicts(&bench.world, &workspace())).expect("a store").is_empty());
    }
}

#[test]
fn an_alias_of_an_address_or_of_a_profile_joins_the_two() {
    let said = || Kind::PersonUpdated(Profile::default());
    for (ids, from) in [
        (vec![(IdKind::AnonymousId, "b1"), (IdKind::Email, "hal@example.com")], vec![(IdKind::Email, "hal@example.com")]),
        (vec![(IdKind::CioId, "d9c106000002")], vec![(IdKind::CioId, "d9c106000002")]),
        (vec![(IdKind::UserId, "cio_shop_5")], vec![(IdKind::UserId, "cio_shop_5"), (IdKind::AnonymousId, "cio_shop_5")]),
    ] {
        let bench = Bench::new();
        let own = [(IdKind::UserId, "u11"), (IdKind::Email, "own@example.com")];
        let from = from.iter().filter_map(|(kind, value)| Identifier::new(*kind, value)).collect();
        let alias = Kind::PersonMerged(Merged { from, profile: Profile::default() });
        let events = [
            event(&bench, "1", Source::Segment, &ids, said()),
            event(&bench, "2", Source::Segment, &own, said()),
            event(&bench, "3", Source::Segment, &own[..1], alias),
        ];
        let jobs = asked(&bench, &events.iter().collect::<Vec<_>>());
        assert_eq!(says(&jobs, "merge_people"), 1);
        let people: Vec<_> = bench.world.people().into_iter().filter(|person| person.merged_into.is_none()).collect();
        assert_eq!(people.len(), 1, "{people:#?}");
        assert_eq!((people[0].id_of(IdKind::UserId), people[0].id_of(IdKind::Email)), (Some("u11"), Some("own@example.com")));
    }
}
