//! Whose a contact is, and what is remembered of it.

use super::acts::Quiet;
use super::*;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Store;

#[test]
fn more_events_of_one_second_than_are_remembered_are_all_kept() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        for n in 0..70 {
            assert_eq!(bench.does(&person, &format!("e{n}"), NOW, vec![track(&n.to_string())]).0, Outcome::Done);
        }
        assert_eq!(bench.seconds("Used").len(), 70);
    });
}

#[test]
fn a_value_said_again_later_is_not_undone_by_what_lies_between() {
    Quiet::new().with(|bench, person| {
        let contact = bench.knows(&person);
        let at = |secs| NOW.plus(Span::from_secs(secs));
        bench.does(&person, "a", at(10), vec![upsert(1)]);
        bench.does(&person, "b", at(20), vec![upsert(1)]);
        bench.does(&person, "c", at(15), vec![upsert(2)]);
        let inside = bench.intercom.inside.lock().expect("lock");
        assert_eq!(inside.contacts[&contact].attributes["plan"], json!(1));
    });
}

#[test]
fn a_contact_that_a_human_gave_to_somebody_else_is_left_alone() {
    Quiet::new().with(|bench, person| {
        let contact = bench.intercom.add(ContactRole::User, Some("u1"), Some("one@example.com"), Life::Active);
        bench.does(&person, "a", NOW, vec![track("1")]);
        let it = id(IdKind::IntercomId, &contact);
        let event = Event {
            id: event_id(Source::Trefoil, &workspace(), &["give"]),
            source: Source::Trefoil,
            workspace: workspace(),
            occurred_at: NOW,
            received_at: bench.world.now(),
            ids: Vec::new(),
            person: Some(person.clone()),
            origin: None,
            kind: Kind::Settled(trefoil_domain::event::Settlement::Disclaimed { id: it }),
        };
        bench.world.put(QueueName::Events, event_message(&event).expect("json"));
        bench.run(1, 0, bench.world.now(), |_| {});
        assert!(bench.world.people().iter().all(|p| !p.has_id(&id(IdKind::IntercomId, &contact))), "disclaimed");
        // now belongs to another user
        bench.intercom.inside.lock().expect("lock").contacts.get_mut(&contact).expect("c").user_id = Some("u2".to_owned());
        bench.intercom.inside.lock().expect("lock").contacts.get_mut(&contact).expect("c").email = Some("two@example.com".to_owned());
        let (outcome, calls) = bench.does(&person, "b", NOW, vec![IntercomVerb::AddTag { tag: "secret".to_owned() }]);
        let inside = bench.intercom.inside.lock().expect("lock");
        assert!(!inside.contacts[&contact].tags.contains("secret"), "{outcome:?} {calls}");
    });
}

#[test]
fn somebody_new_is_looked_for_a_few_times() {
    let quiet = Quiet::new();
    let intercom = Simulated::calm(&quiet.world);
    let names = EventNameBudget::new(&quiet.config);
    let bench = Bench { world: &quiet.world, intercom: &intercom, config: &quiet.config, routes: &quiet.routes, names };
    let user = id(IdKind::UserId, "u1");
    let person = Person::id_for(&workspace(), &user);
    bench.hear(vec![user, id(IdKind::Email, "one@example.com")], Source::Segment, Kind::PersonUpdated(Profile::default()));
    bench.run(1, 0, quiet.world.now(), |_| {});
    bench.ask(person, NOW, "e", vec![track("1")]);
    bench.settle();
    assert!(bench.intercom.calls.load(Ordering::Relaxed) <= 6, "{} calls", bench.intercom.calls.load(Ordering::Relaxed));
}

#[test]
fn a_creation_of_which_nothing_is_known_holds_nobody_up_for_ever() {
    Quiet::new().with(|bench, person| {
        let (found, mark) =
            now_or_never(bench.world.with_marks(trefoil_domain::ports::Destination::Intercom, std::slice::from_ref(&person)))
                .expect("reads")
                .remove(&person)
                .expect("one");
        let _ = found;
        let mark = trefoil_domain::ports::Mark { creating_since: Some(NOW), ..mark };
        now_or_never(bench.world.put_marks(trefoil_domain::ports::Destination::Intercom, vec![(person.clone(), mark)])).expect("puts");
        bench.world.advance_to(NOW.plus(Span::from_hours(24)));
        bench.ask(person.clone(), NOW, "e", vec![track("1")]);
        bench.settle();
        assert!(
            bench.world.depth(QueueName::Intercom) == 0,
            "still waiting after a day, {} calls",
            bench.intercom.calls.load(Ordering::Relaxed)
        );
    });
}

#[test]
fn what_others_have_in_the_archive_stays_there() {
    Quiet::new().with(|bench, person| {
        let theirs = bench.intercom.add(ContactRole::User, Some("u2"), Some("one@example.com"), Life::Archived);
        let (outcome, _) = bench.does(&person, "a", NOW, vec![upsert(1)]);
        let inside = bench.intercom.inside.lock().expect("lock");
        assert_eq!(inside.contacts[&theirs].life, Life::Archived, "{outcome:?}");
    });
}

#[test]
fn an_address_does_not_find_the_contact_of_somebody_known() {
    Quiet::new().with(|bench, _| {
        // Trefoil knows u2 with another address and with the contact; the contact at Intercom still has the old one.
        let contact = bench.intercom.add(ContactRole::User, Some("u2"), Some("shared@example.com"), Life::Active);
        bench.hear(
            vec![id(IdKind::IntercomId, &contact), id(IdKind::UserId, "u2"), id(IdKind::Email, "new@example.com")],
            Source::Intercom,
            Kind::PersonUpdated(Profile::default()),
        );
        bench.hear(vec![id(IdKind::Email, "shared@example.com")], Source::Segment, Kind::PersonUpdated(Profile::default()));
        bench.run(1, 0, bench.world.now(), |_| {});
        let other = Person::id_for(&workspace(), &id(IdKind::Email, "shared@example.com"));
        bench.world.advance_to(bench.world.now().plus(Span::from_hours(1)));
        let (outcome, _) = bench.does(&other, "a", NOW, vec![IntercomVerb::AddTag { tag: "secret".to_owned() }]);
        let inside = bench.intercom.inside.lock().expect("lock");
        assert!(!inside.contacts[&contact].tags.contains("secret"), "{outcome:?}");
    });
}

#[test]
fn what_a_sender_found_out_is_told_until_it_is_known() {
    Quiet::new().with(|bench, person| {
        let contact = bench.intercom.add(ContactRole::User, Some("u1"), None, Life::Active);
        // Somebody has written down the contact, and died before telling of it.
        let mark = trefoil_domain::ports::Mark { profile: Some(contact.clone()), ..Default::default() };
        let put = bench.world.put_marks(trefoil_domain::ports::Destination::Intercom, vec![(person.clone(), mark)]);
        now_or_never(put).expect("puts");
        assert_eq!(bench.does(&person, "e", NOW, vec![track("1")]), (Outcome::Done, 1));
        assert!(bench.world.people()[0].has_id(&id(IdKind::IntercomId, &contact)));
    });
}
