//! What a human has settled holds, whatever the ids would make of it.

use crate::history::{NOW, workspace};
use crate::people::{claims_are_as_held, event, finish, id, route, said};
use crate::sim::World;
use std::sync::atomic::Ordering;
use trefoil_domain::event::IdKind::{AnonymousId, Email, IntercomId, UserId};
use trefoil_domain::event::{Event, IdKind, Kind, Settlement, Source, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::identity::ConflictKind;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{ConflictNote, Store};

const ADDRESS: &str = "ada@example.com";

/// A contact's webhook: all that Intercom has of it.
fn contact(number: usize, contact: &str, user: Option<&str>, email: Option<&str>) -> Event {
    let mut ids = vec![id(IntercomId, contact)];
    ids.extend(user.map(|user| id(UserId, user)));
    ids.extend(email.map(|email| id(Email, email)));
    event(number, Source::Intercom, ids, number as i64, said(true))
}

fn settle(world: &World, person: &PersonId, what: &Settlement) -> Outcome {
    let with = match what {
        Settlement::Same { with } => with.as_str(),
        Settlement::Disclaimed { id } => &id.value,
    };
    let settled = Event {
        id: event_id(Source::Trefoil, &workspace(), &["settled", person.as_str(), with]),
        person: Some(person.clone()),
        ids: Vec::new(),
        ..event(0, Source::Trefoil, Vec::new(), 0, Kind::Settled(what.clone()))
    };
    route(world, &settled)
}

fn of(world: &World, kind: IdKind, value: &str) -> Person {
    let mut people = world.people();
    people.retain(|person| person.has_id(&id(kind, value)));
    assert_eq!(people.len(), 1, "who has {} {value}", kind.name());
    people.remove(0)
}

fn conflicts(world: &World) -> Vec<ConflictNote> {
    finish(world.conflicts(&workspace())).expect("the store answers")
}

/// Two users whose contacts have one address.
fn two_with_one_address() -> (World, PersonId, PersonId) {
    let world = World::new(7, NOW);
    world.forgets.store(0, Ordering::Relaxed);
    route(&world, &contact(1, "c1", Some("u1"), Some(ADDRESS)));
    route(&world, &contact(2, "c2", Some("u2"), Some(ADDRESS)));
    let (one, two) = (of(&world, UserId, "u1").id, of(&world, UserId, "u2").id);
    let [note] = conflicts(&world).try_into().expect("one conflict");
    assert_eq!((note.kind, &note.over), (ConflictKind::Ambiguous, &id(Email, ADDRESS)));
    assert_eq!(note.people, [one.clone(), two.clone()].into());
    (world, one, two)
}

/// Whom an event with nothing but the address is taken for.
fn by_address(world: &World, number: usize) -> Option<PersonId> {
    let browser = id(AnonymousId, &format!("a{number}"));
    let seen = event(number, Source::Segment, vec![id(Email, ADDRESS), browser.clone()], number as i64, said(false));
    route(world, &seen);
    world.people().into_iter().find(|person| person.has_id(&browser)).map(|person| person.id)
}

#[test]
fn people_with_different_user_ids_become_one_and_stay_it() {
    for swapped in [false, true] {
        let (world, one, two) = two_with_one_address();
        let (person, with) = if swapped { (two, one.clone()) } else { (one.clone(), two) };
        assert_eq!(settle(&world, &person, &Settlement::Same { with: with.clone() }), Outcome::Done);
        assert_eq!(world.people().len(), 1);
        let survivor = of(&world, UserId, "u1");
        assert_eq!(survivor.id, one, "the elder goes on");
        for (kind, value) in [(UserId, "u2"), (IntercomId, "c1"), (IntercomId, "c2"), (Email, ADDRESS)] {
            assert!(survivor.has_id(&id(kind, value)), "{} {value}", kind.name());
        }
        claims_are_as_held(&world).expect("claims have moved");

        // Whatever comes for either of them, by any of their ids, is the survivor's.
        route(&world, &contact(3, "c2", Some("u2"), Some("ada@home.example.com")));
        route(&world, &contact(4, "c1", Some("u1"), Some(ADDRESS)));
        assert_eq!(by_address(&world, 5).as_ref(), Some(&one), "the address binds again");
        assert_eq!(of(&world, Email, "ada@home.example.com").id, one);
        assert_eq!(world.people().len(), 1);

        // Said again, it changes nothing.
        let before = world.people();
        assert_eq!(settle(&world, &person, &Settlement::Same { with }), Outcome::skipped("no_change"));
        assert_eq!(world.people(), before);
        claims_are_as_held(&world).expect("nothing has changed");
    }
}

#[test]
fn an_address_that_is_given_up_binds_the_other_for_good() {
    let (world, one, two) = two_with_one_address();
    assert_eq!(by_address(&world, 3), None, "it binds nobody");
    assert_eq!(settle(&world, &two, &Settlement::Disclaimed { id: id(Email, ADDRESS) }), Outcome::Done);
    assert!(!of(&world, UserId, "u2").has_id(&id(Email, ADDRESS)));
    assert_eq!(by_address(&world, 4).as_ref(), Some(&one));

    finish(world.clear_conflicts(&workspace(), conflicts(&world).into_iter().map(|note| note.id).collect())).expect("the store answers");
    // Intercom goes on telling of it.
    route(&world, &contact(5, "c2", Some("u2"), Some(ADDRESS)));
    route(&world, &contact(6, "c2", None, Some(ADDRESS)));
    route(&world, &contact(7, "c1", Some("u1"), Some(ADDRESS)));
    assert!(!of(&world, IntercomId, "c2").has_id(&id(Email, ADDRESS)));
    assert_eq!(by_address(&world, 8).as_ref(), Some(&one));
    assert_eq!(conflicts(&world), [], "nor is it a conflict any more");
    claims_are_as_held(&world).expect("claims are as held");
}

#[test]
fn whoever_comes_by_an_id_that_was_given_up_is_somebody_else() {
    let world = World::new(7, NOW);
    world.forgets.store(0, Ordering::Relaxed);
    route(&world, &contact(1, "c1", Some("u1"), None));
    let one = of(&world, UserId, "u1").id;
    // The person got their own id from the very one that they give up.
    assert_eq!(settle(&world, &one, &Settlement::Disclaimed { id: id(IntercomId, "c1") }), Outcome::Done);
    assert_eq!(route(&world, &contact(2, "c1", None, Some(ADDRESS))), Outcome::Done);
    let other = of(&world, IntercomId, "c1");
    assert_ne!(other.id, one);
    assert_eq!(of(&world, Email, ADDRESS).id, other.id);
    assert_eq!(route(&world, &contact(3, "c1", None, Some("new@example.com"))), Outcome::Done);
    assert_eq!(world.people().len(), 2);
    claims_are_as_held(&world).expect("claims are as held");
}

#[test]
fn the_survivor_of_a_merge_gives_nothing_up() {
    let (world, one, two) = two_with_one_address();
    settle(&world, &one, &Settlement::Same { with: two.clone() });
    let late = settle(&world, &two, &Settlement::Disclaimed { id: id(Email, ADDRESS) });
    assert_eq!(late, Outcome::skipped("merged_meanwhile"));
    assert_eq!(of(&world, Email, ADDRESS).id, one);
}
