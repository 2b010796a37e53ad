//! What a profile goes by: it gets the person's user id and address, and nobody else's.

use super::{Bench, at, finish, id, user, workspace, world};
use crate::sim::{Dice, World};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::{CustomerioVerb, UpdatePerson};
use trefoil_domain::config;
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Profile, Source, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::job::event_message;
use trefoil_domain::person::RecordKey;
use trefoil_domain::ports::{Alias, AliasKey, Clock, Disposition, Put, QueueName, Store};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::route::Router;
use trefoil_domain::time::{Span, Timestamp};

/// A call of Segment says it of the person.
fn told(bench: &Bench<'_>, person: &PersonId, email: &str, when: Timestamp) {
    let ids = [id(IdKind::UserId, "42"), id(IdKind::Email, email)];
    let record = RecordKey::of(Source::Segment, &ids).expect("named");
    bench.change(person, |person| person.learn(&record, &ids, when, true, false));
    bench.gains(person, &ids[1], when);
}

fn notes(bench: &Bench<'_>) -> Vec<String> {
    bench.world.records().into_iter().flat_map(|record| record.notes).collect()
}

fn conflicts(bench: &Bench<'_>) -> Vec<String> {
    let notes = finish(bench.world.conflicts(&workspace())).expect("a store");
    notes.into_iter().map(|note| format!("{} {}", note.over.kind.name(), note.over.value)).collect()
}

#[test]
fn a_profile_without_an_address_gets_the_persons() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0a", Some("42"), None);
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")]);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), vec![super::update(json!({"plan": "x"}))])]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("a@example.com"));
    assert_eq!((bench.vendor.calls().len(), bench.vendor.looks()), (1, 2), "in the same write, once it is seen that nobody else has it");
}

#[test]
fn a_profile_that_goes_by_an_address_gets_the_user_id() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0a", None, Some("a@example.com"));
    let person = bench.person(&[(IdKind::Email, "a@example.com")]);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), vec![super::update(json!({"plan": "x"}))])]), ["done"]);
    bench.gains(&person, &id(IdKind::UserId, "42"), at(2));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").user_id.as_deref(), Some("42"));
    assert_eq!(bench.vendor.looks(), 2, "that it had none was seen before; that nobody else has this one is asked");
    assert_eq!(bench.handle(&[bench.state("e3", &person)]), ["already_there"]);
}

#[test]
fn a_changed_address_is_changed_and_looked_at_once() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    told(&bench, &person, "a@example.com", at(0));
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    assert_eq!(bench.vendor.calls().len(), 0, "it has it");
    told(&bench, &person, "new@example.com", at(5));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("new@example.com"));
    let looks = bench.vendor.looks();
    // An older call that comes late says nothing new.
    told(&bench, &person, "old@example.com", at(3));
    assert_eq!(bench.handle(&[bench.state("e3", &person)]), ["already_there"]);
    bench.wait(Span::from_mins(3));
    assert_eq!(bench.handle(&[bench.state("e4", &person)]), ["done"]);
    assert_eq!(bench.handle(&[bench.state("e5", &person)]), ["already_there"]);
    assert_eq!((bench.vendor.looks(), bench.vendor.calls().len()), (looks + 1, 1));
    assert!(conflicts(&bench).is_empty());
}

/// The person is known by their address alone, and it changes: what the profile was found by is not theirs any more.
fn gives_up(bench: &Bench<'_>, person: &PersonId, old: &str, new: &str) {
    let key = AliasKey::of_identifier(&workspace(), &id(IdKind::Email, old));
    let alias = finish(bench.world.find(std::slice::from_ref(&key), &[])).expect("a store").aliases[&key].clone();
    let expected = alias.version;
    let claimants = alias.claimants.iter().filter(|claimant| *claimant != person).cloned().collect();
    bench.commit(vec![Put::Alias { key, alias: Alias { claimants, ..alias }, expected }]);
    // As Intercom tells of the whole contact, before and after.
    bench.change(person, |person| {
        for (email, when) in [(old, at(1)), (new, at(5))] {
            let ids = [id(IdKind::IntercomId, "c1"), id(IdKind::Email, email)];
            person.learn(&RecordKey::of(Source::Intercom, &ids).expect("named"), &ids, when, true, true);
        }
        person.given_up += 1;
    });
    bench.gains(person, &id(IdKind::Email, new), at(5));
}

#[test]
fn a_person_known_by_an_address_alone_keeps_the_profile_when_it_changes() {
    for taken in [false, true] {
        let world = world(1);
        let bench = Bench::new(&world);
        bench.vendor.add("0a", None, Some("a@example.com"));
        let person = bench.person(&[(IdKind::IntercomId, "c1"), (IdKind::Email, "a@example.com")]);
        assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
        gives_up(&bench, &person, "a@example.com", "new@example.com");
        if taken {
            let other = bench.person(&[(IdKind::UserId, "43")]);
            bench.gains(&other, &id(IdKind::Email, "a@example.com"), at(6));
        }
        let ended = bench.handle(&[bench.state("e2", &person)]);
        let email = bench.vendor.profile("0a").email;
        if taken {
            assert_eq!((ended, email.as_deref()), (vec!["no_profile".to_owned()], Some("a@example.com")), "it is the other's now");
        } else {
            assert_eq!((ended, email.as_deref()), (vec!["done".to_owned()], Some("new@example.com")));
        }
    }
}

#[test]
fn an_address_that_nobody_told_is_left() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0a", Some("42"), Some("theirs@example.com"));
    // As a record that was looked up has it, however old that is.
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")]);
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("theirs@example.com"));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["already_there"]);
    told(&bench, &person, "new@example.com", at(5));
    assert_eq!(bench.handle(&[bench.state("e3", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("new@example.com"));
}

#[test]
fn a_name_of_another_profile_is_a_conflict_and_tried_once() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    told(&bench, &person, "a@example.com", at(0));
    bench.vendor.add("0b", Some("43"), Some("taken@example.com"));
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    told(&bench, &person, "taken@example.com", at(5));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["done"]);
    for n in 0..4 {
        bench.wait(Span::from_mins(3));
        bench.handle(&[bench.state(&format!("again {n}"), &person)]);
    }
    assert_eq!(
        (bench.vendor.profile("0a").email.as_deref(), bench.vendor.calls().len()),
        (Some("a@example.com"), 0),
        "it is never written"
    );
    assert_eq!((notes(&bench), conflicts(&bench)), (vec!["email_not_taken".to_owned()], vec!["email taken@example.com".to_owned()]));
}

#[test]
fn an_address_of_several_people_is_nobodys() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0a", Some("42"), None);
    let person = bench.person(&[(IdKind::UserId, "42")]);
    let other = bench.person(&[(IdKind::UserId, "43")]);
    for person in [&person, &other] {
        bench.gains(person, &id(IdKind::Email, "shared@example.com"), at(0));
    }
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    assert!(bench.vendor.calls().is_empty());
}

#[test]
fn an_address_that_a_route_says_wins() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let email = |email: &str| CustomerioVerb::UpdatePerson(UpdatePerson { email: Some(email.to_owned()), ..UpdatePerson::default() });
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![email("billing@example.com")])]), ["done"]);
    told(&bench, &person, "new@example.com", at(5));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["already_there"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("billing@example.com"));
    // What is no address is left out alone.
    let wrong = bench.asks("e3", &person, at(6), vec![email("Ada <ada@example.com>"), super::track("x")]);
    assert_eq!(bench.handle(&[wrong]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("billing@example.com"));
}

#[test]
fn of_two_user_ids_the_profile_keeps_its_own_until_a_source_renames_the_person() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.gains(&person, &id(IdKind::UserId, "43"), at(9));
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").user_id.as_deref(), Some("42"), "found by the address");
    bench.change(&person, |person| person.go_by("43", at(10)));
    bench.wait(Span::from_hours(25));
    assert_eq!(bench.settle(&[bench.asks("e2", &person, at(11), vec![super::update(json!({"plan": "x"}))])]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").user_id.as_deref(), Some("43"));
}

// ------------------------------------------------------------------------------------------------ any order, with crashes

const FILE: &str = "version: 1\n\
routes:\n\
\x20 - name: people\n\
\x20   on: segment.person.updated\n\
\x20   do:\n\
\x20     - customerio.update_person: { create: true, attributes: { owner: \"${event.attributes.owner}\" } }\n";

type Working<'w> = Pin<Box<dyn Future<Output = Vec<(String, Disposition)>> + 'w>>;

/// Routes, sends and wakes until nothing is left; work is dropped anywhere, in `crashes` percent of turns.
fn run<'b>(bench: &'b Bench<'_>, routes: &'b Routes, crashes: usize, until: Timestamp) {
    const LANES: [QueueName; 3] = [QueueName::Events, QueueName::CustomerioState, QueueName::Customerio];
    let world: &World = bench.world;
    let mut running: Vec<(QueueName, Working<'b>)> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for turn in 0.. {
        assert!(turn < 300_000, "it goes on for ever");
        if running.len() < 3 && (running.is_empty() || world.dice.percent(50)) {
            let first = world.dice.below(LANES.len());
            let next = (0..LANES.len()).map(|i| LANES[(first + i) % LANES.len()]).find_map(|lane| {
                let batch = world.receive(lane, 1 + world.dice.below(5));
                (!batch.is_empty()).then_some((lane, batch))
            });
            if let Some((lane, batch)) = next {
                running.push((
                    lane,
                    Box::pin(async move {
                        let (store, queue, clock, jitter) = (world, world, world, world);
                        match lane {
                            QueueName::Events => Router { store, queue, clock, jitter, config: &bench.config, routes }.handle(batch).await,
                            _ => bench.sender().handle(lane, batch).await,
                        }
                    }),
                ));
            } else if running.is_empty() {
                match world.next_time().filter(|at| *at <= until) {
                    Some(at) => world.advance_to(at),
                    None => return,
                }
                finish(trefoil_domain::steps::scan::scan(world, world, world)).expect("a scan");
            }
            continue;
        }
        if running.is_empty() {
            continue;
        }
        let chosen = world.dice.below(running.len());
        if world.dice.percent(crashes) {
            drop(running.swap_remove(chosen));
            continue;
        }
        if let Poll::Ready(answered) = running[chosen].1.as_mut().poll(&mut context) {
            let (lane, _) = running.swap_remove(chosen);
            world.settle(lane, answered);
        }
    }
}

/// Three users change their addresses, and take over those that others have left. Whatever comes when, each ends with one profile,
/// nothing in it is another's, and the address is their latest, unless others claim it or it was another profile's: then a human knows.
fn addresses_wander(seed: u64) {
    let world = World::new(seed, super::NOW);
    let dice = Dice::new(seed ^ 0x0ADD);
    let (config, routes) = config::check("trefoil.yaml", FILE).expect("a file");
    let mut bench = Bench { world: &world, vendor: super::vendor::Vendor::new(&world), config };
    bench.vendor.lag = Span::from_secs([0, 10, 30][dice.below(3)]);
    bench.vendor.failing.store([0, 10][dice.below(2)], Ordering::Relaxed);
    for user in 0..3 {
        if dice.percent(40) {
            let email = format!("first{user}@example.com");
            bench.vendor.add(&format!("0{user}"), Some(&format!("u{user}")), dice.percent(50).then_some(email.as_str()));
        }
    }
    let mut latest: BTreeMap<usize, (i64, String)> = BTreeMap::new();
    let mut said: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut events = Vec::new();
    for number in 0..3 + dice.below(8) {
        let user = dice.below(3);
        let when = i64::try_from(dice.below(5000) * 20 + number).expect("small");
        // In an id field or not, in whatever case.
        let email = format!("{}{}@example.com", ["Moved", "moved"][dice.below(2)], dice.below(4));
        let ids = [Identifier::new(IdKind::UserId, &format!("u{user}")), Identifier::new(IdKind::Email, &email)];
        let email = email.to_lowercase();
        said.entry(user).or_default().insert(email.clone());
        if latest.get(&user).is_none_or(|(known, _)| when > *known) {
            latest.insert(user, (when, email));
        }
        let attributes = [("owner".to_owned(), json!(format!("u{user}")))].into_iter().collect();
        events.push(Event {
            id: event_id(Source::Segment, &workspace(), &[&number.to_string()]),
            source: Source::Segment,
            workspace: workspace(),
            occurred_at: at(when - 200_000),
            received_at: world.now(),
            ids: ids.into_iter().flatten().collect(),
            person: None,
            origin: None,
            kind: Kind::PersonUpdated(Profile { attributes, ..Profile::default() }),
        });
    }
    dice.shuffle(&mut events);
    let again: Vec<Event> = events.iter().filter(|_| dice.percent(20)).cloned().collect();
    events.extend(again);
    for event in &events {
        world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    }
    let start = world.now();
    run(&bench, &routes, [0, 3, 8][dice.below(3)], start.plus(Span::from_mins(60)));
    bench.vendor.failing.store(0, Ordering::Relaxed);
    run(&bench, &routes, 0, start.plus(Span::from_hours(60)));

    let all = bench.vendor.all();
    let noted: BTreeSet<String> = conflicts(&bench).into_iter().collect();
    for (user, (_, email)) in &latest {
        let own = format!("u{user}");
        let theirs: Vec<_> = all.values().filter(|profile| profile.user_id.as_deref() == Some(own.as_str())).collect();
        assert_eq!(theirs.len(), 1, "SEED={seed}: profiles of {own}");
        assert_eq!(theirs[0].get("owner"), json!(own), "SEED={seed}");
        let has = theirs[0].email.as_deref().unwrap_or_default();
        let ever = has.is_empty() || has == format!("first{user}@example.com") || said[user].contains(has);
        assert!(ever, "SEED={seed}: {own} has {has}, which is another's");
        let wanted_by_others = latest.iter().any(|(other, (_, address))| other != user && address == email)
            || said.iter().any(|(other, all)| other != user && all.contains(email));
        if !wanted_by_others {
            assert!(has == email || noted.contains(&format!("email {email}")), "SEED={seed}: {own} has {has} and not {email}");
        }
    }
}

/// `SEEDS=20000` runs more of them, `SEED=17` one alone.
#[test]
fn addresses_that_wander_end_where_they_belong() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SEED") {
        Some(seed) => addresses_wander(seed),
        None => (0..number("SEEDS").unwrap_or(300)).for_each(addresses_wander),
    }
}
