//! What is done to profiles, objects, segments and devices.

use super::{Bench, actions, at, merge, track, update, user, world};
use serde_json::{Value, json};
use trefoil_domain::action::CustomerioVerb;
use trefoil_domain::event::IdKind;
use trefoil_domain::job::Work;
use trefoil_domain::ports::CustomerioWrite;
use trefoil_domain::time::Span;

fn verb(name: &str, mut value: Value) -> CustomerioVerb {
    value["verb"] = name.into();
    serde_json::from_value(value).expect("a verb")
}

fn company() -> CustomerioVerb {
    verb("upsert_object", json!({"type": "1", "id": "acme", "attributes": {"plan": "scale"}}))
}

fn merges(bench: &Bench<'_>) -> usize {
    bench.vendor.calls().iter().flatten().filter(|write| matches!(write, CustomerioWrite::Merge { .. })).count()
}

#[test]
fn the_other_profile_goes_up_in_the_persons() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.lag = Span::from_secs(20);
    let person = user(&bench);
    bench.vendor.add("0b", Some("old"), None);
    for from in ["old", "cio_0b"] {
        assert_eq!(bench.settle(&[bench.asks(from, &person, at(1), vec![merge(from)])]), ["done"]);
    }
    assert_eq!(bench.vendor.all().keys().collect::<Vec<_>>(), ["0a"]);
    assert!(merges(&bench) <= 6, "asked for until it is gone: {}", merges(&bench));
}

#[test]
fn nobody_goes_up_in_themselves() {
    for has_key in [true, false] {
        for from in ["42", "cio_0a", "a@example.com", "A@Example.com"] {
            let world = world(1);
            let mut bench = Bench::new(&world);
            bench.vendor.has_key = has_key;
            let person = user(&bench);
            if from == "cio_0a" {
                bench.gains(&person, &super::id(IdKind::CioId, "0a"), at(0));
            }
            let ended = bench.settle(&[bench.asks("e1", &person, at(1), vec![merge(from)])]);
            assert_eq!((merges(&bench), ended), (0, vec![if has_key { "done" } else { "profile_unverified" }.to_owned()]), "{from}");
        }
    }
    let world = world(1);
    let mut bench = Bench::with(&world, "version: 1\ncustomerio: { profiles_exist: true }\n");
    bench.vendor.has_key = false;
    let person = user(&bench);
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![merge("A@Example.com")])]), ["done"]);
    assert_eq!(merges(&bench), 0);
}

#[test]
fn nobody_elses_profile_is_taken() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.vendor.add("0b", Some("43"), Some("b@example.com"));
    bench.person(&[(IdKind::UserId, "43"), (IdKind::Email, "b@example.com")]);
    // By whatever id, known to be theirs or not.
    for from in ["43", "b@example.com", "cio_0b"] {
        let job = bench.asks(from, &person, at(1), vec![merge(from)]);
        bench.wait(Span::from_hours(80));
        assert_eq!(bench.settle(&[job]), ["belongs_to_another_person"], "{from}");
    }
    assert_eq!((merges(&bench), bench.vendor.all().len()), (0, 2));
}

#[test]
fn a_merge_that_never_shows_is_told_of() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.lag = Span::from_hours(9);
    let person = user(&bench);
    bench.vendor.add("0b", Some("old"), None);
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![merge("old")])]), ["merge_not_applied"]);
}

#[test]
fn a_deleted_profile_is_looked_for_anew() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, at(0));
    bench.handle(&[bench.state("e1", &person)]);
    let delete = |name: &str| bench.asks(name, &person, at(1), vec![CustomerioVerb::DeletePerson]);
    assert_eq!(bench.handle(&[delete("e2")]), ["done"]);
    assert!(bench.vendor.all().is_empty());
    assert_eq!(bench.handle(&[delete("e3")]), ["no_profile"]);
    bench.vendor.add("0b", Some("42"), None);
    assert_eq!(bench.handle(&[bench.state("e4", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0b").get("last_csat_score"), json!(2));
}

#[test]
fn who_is_blocked_is_named_by_their_own_id() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), vec![CustomerioVerb::SuppressPerson])]), ["done"]);
    assert!(bench.vendor.all().is_empty());
    let create = || vec![verb("create_person", json!({}))];
    let job = bench.asks("e2", &person, at(2), create());
    bench.wait(Span::from_hours(80));
    assert_eq!(bench.settle(&[job]), ["creation_not_applied"]);
    assert_eq!(bench.handle(&[bench.asks("e3", &person, at(3), vec![CustomerioVerb::UnsuppressPerson])]), ["done"]);
    bench.wait(Span::from_hours(24));
    assert_eq!(bench.settle(&[bench.asks("e4", &person, at(4), create())]), ["done"]);
    assert_eq!(bench.vendor.all().len(), 1);
    let nobody = bench.person(&[(IdKind::IntercomId, "c1")]);
    assert_eq!(bench.handle(&[bench.asks("e5", &nobody, at(1), vec![CustomerioVerb::SuppressPerson])]), ["no_identity"]);
}

#[test]
fn an_object_goes_with_its_person_alone_or_of_nobody() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), vec![company()])]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").acts, ["object acme"]);
    // Without a profile at once, and again as soon as there is one to be related to it.
    let other = bench.person(&[(IdKind::UserId, "43")]);
    let job = bench.asks("e2", &other, at(1), vec![company()]);
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    assert_eq!(bench.handle_again(std::slice::from_ref(&job), 2), ["retry"]);
    assert_eq!(bench.vendor.acts_of_nobody(), ["object acme"]);
    bench.vendor.add("0b", Some("43"), None);
    assert_eq!(bench.settle(std::slice::from_ref(&job)), ["done"]);
    assert_eq!(bench.vendor.profile("0b").acts, ["object acme"]);
    let of_nobody = bench.job("e3", None, Work::Customerio(actions("e3", at(1), vec![verb("delete_object", json!({"id": "acme"}))])));
    assert_eq!(bench.handle(&[of_nobody]), ["done"]);
    assert_eq!(bench.vendor.acts_of_nobody(), ["object acme", "no object acme"]);
    assert_eq!(bench.vendor.strays(), 0);
}

#[test]
fn an_object_is_not_kept_from_going_for_ever() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = bench.person(&[(IdKind::UserId, "43")]);
    let job = bench.asks("e1", &person, at(1), vec![company()]);
    bench.handle(std::slice::from_ref(&job));
    bench.wait(Span::from_hours(80));
    assert_eq!(bench.handle_again(&[job], 9), ["done"]);
}

#[test]
fn segments_and_devices_are_the_profiles() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let verbs = || {
        vec![
            verb("add_to_segment", json!({"segment": "3"})),
            verb("remove_from_segment", json!({"segment": "4"})),
            verb("add_device", json!({"token": "t", "platform": "ios"})),
            verb("delete_device", json!({"token": "u"})),
            verb("remove_relationship", json!({"id": "acme"})),
        ]
    };
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(1), verbs())]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").acts, ["in 3", "out of 4", "device t", "no device u", "without acme"]);
    let other = bench.person(&[(IdKind::UserId, "43")]);
    assert_eq!(bench.handle(&[bench.asks("e2", &other, at(1), verbs())]), ["retry"]);
    assert_eq!((bench.vendor.strays(), bench.vendor.calls().len()), (0, 1));
}

#[test]
fn without_a_key_events_go_only_to_who_is_known_to_be_there() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.has_key = false;
    let person = user(&bench);
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![track("x"), update(json!({"plan": "x"}))])]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").get("plan"), json!("x"), "updates of nobody do nothing");
    assert_eq!(bench.vendor.profile("0a").events.len(), 0);
}
