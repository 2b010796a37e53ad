//! By what a person is named, before and after it is known who they are.

use super::outside::{Does, go_on};
use super::{Bench, at, identify, track, user};
use serde_json::json;
use trefoil_domain::action::SegmentVerb;
use trefoil_domain::event::{IdKind, Identifier};
use trefoil_domain::time::Span;

fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("an id")
}

#[test]
fn an_address_alone_gets_an_id_of_our_making_which_a_user_id_is_joined_with() {
    let bench = Bench::new();
    let person = bench.person(&[(IdKind::Email, "a@example.com")]);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(0), vec![track("x")])]), ["done"]);
    let first = bench.last_call().remove(0);
    let made_up = first.anonymous_id.clone().expect("an id");
    assert!(made_up.starts_with("trefoil-") && made_up.len() == 40, "{made_up}");
    assert_eq!((first.user_id, first.email.as_deref()), (None, Some("a@example.com")));
    let writes = bench.outside.mark_writes();
    assert_eq!(writes, 1, "remembered before it is used");
    assert_eq!(bench.handle(&[bench.asks("e2", &person, at(0), vec![track("x")])]), ["done"]);
    assert_eq!(bench.outside.mark_writes(), writes);

    bench.gains(&person, &id(IdKind::UserId, "42"));
    assert_eq!(bench.handle(&[bench.asks("e3", &person, at(0), vec![track("x")])]), ["done"]);
    let later = bench.last_call().remove(0);
    assert_eq!((later.user_id.as_deref(), later.anonymous_id), (Some("42"), Some(made_up)));
}

#[test]
fn nobody_gets_an_id_of_our_making_who_has_one() {
    let bench = Bench::new();
    let person = user(&bench);
    let device = bench.person(&[(IdKind::AnonymousId, "d1"), (IdKind::Email, "b@example.com")]);
    let jobs = [bench.asks("e1", &person, at(0), vec![track("x")]), bench.asks("e2", &device, at(0), vec![track("x")])];
    assert_eq!(bench.handle(&jobs), ["done"; 2]);
    let mut named: Vec<_> = bench.last_call().into_iter().map(|m| (m.user_id, m.anonymous_id)).collect();
    named.sort();
    assert_eq!(named, [(None, Some("d1".to_owned())), (Some("42".to_owned()), None)]);
}

#[test]
fn what_several_people_claim_names_nobody() {
    let bench = Bench::new();
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::Email, "shared@example.com")]);
    let other = bench.person(&[(IdKind::IntercomId, "i1"), (IdKind::Email, "shared@example.com"), (IdKind::AnonymousId, "d1")]);
    let _third = bench.person(&[(IdKind::UserId, "44"), (IdKind::AnonymousId, "d1")]);
    let jobs = [bench.asks("e1", &person, at(0), vec![track("x")]), bench.asks("e2", &other, at(0), vec![track("x")])];
    assert_eq!(bench.handle(&jobs), ["done", "retry"]);
    assert_eq!(bench.last_call()[0].email, None);
}

#[test]
fn who_cannot_be_named_is_waited_for() {
    let bench = Bench::new();
    let person = bench.person(&[(IdKind::IntercomId, "i1")]);
    bench.rated(&person, 2);
    let job = bench.asks("e1", &person, at(0), vec![track("x")]);
    assert_eq!(
        bench.handle(&[job.clone(), bench.state("e2", &person), bench.consent("e3", &person)]),
        ["retry", "no_identity", "no_identity"]
    );
    let blocked = bench.outside.records.lock().expect("lock").iter().filter(|record| record.outcome.name() == "blocked").count();
    assert_eq!(blocked, 2);
    bench.outside.advance(Span::from_mins(61));
    assert_eq!(bench.handle(&[job]), ["no_identity"]);
    assert_eq!(bench.outside.records.lock().expect("lock").last().expect("a record").outcome.name(), "skipped");
    bench.gains(&person, &id(IdKind::UserId, "42"));
    assert_eq!(bench.handle(&[bench.state("e4", &person)]), ["done"]);
}

#[test]
fn the_operator_says_by_what_people_are_named() {
    let bench = Bench::with("version: 1\nsegment:\n  identify_by: [anonymous_id, user_id]\n");
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::AnonymousId, "d1")]);
    let by_mail = bench.person(&[(IdKind::Email, "a@example.com")]);
    let jobs = [bench.asks("e1", &person, at(0), vec![track("x")]), bench.asks("e2", &by_mail, at(0), vec![track("x")])];
    assert_eq!(bench.handle(&jobs), ["done", "retry"]);
    let message = bench.last_call().remove(0);
    assert_eq!((message.user_id, message.anonymous_id.as_deref()), (None, Some("d1")));
}

#[test]
fn an_alias_needs_a_user_id_that_is_another_one() {
    let bench = Bench::new();
    let (person, device) = (user(&bench), bench.person(&[(IdKind::AnonymousId, "d1")]));
    let alias = |previous_id: &str| vec![SegmentVerb::Alias { previous_id: previous_id.to_owned() }];
    let jobs = [
        bench.asks("e1", &person, at(0), alias("d9")),
        bench.asks("e2", &person, at(0), alias("42")),
        bench.asks("e3", &device, at(0), alias("d9")),
    ];
    assert_eq!(bench.handle(&jobs), ["done", "same_id", "no_user_id"]);
    assert_eq!(bench.last_call().len(), 1);
}

#[test]
fn after_a_merge_the_survivor_is_told_everything() {
    let bench = Bench::new();
    let (survivor, other) = (user(&bench), bench.person(&[(IdKind::Email, "b@example.com")]));
    bench.rated(&survivor, 2);
    let told = identify(json!({"plan": "pro"}));
    let jobs = [bench.asks("e1", &survivor, at(0), vec![told.clone()]), bench.asks("e2", &other, at(0), vec![told.clone()])];
    assert_eq!(bench.handle(&jobs), ["done"; 2]);
    let made_up = bench.outside.mark(&other).profile.expect("an id");
    bench.merge(&survivor, &other);
    // A job for the record that is gone goes to whoever goes on for it.
    assert_eq!(bench.handle(&[bench.asks("e3", &other, at(1), vec![told.clone()])]), ["done"]);
    let call = bench.last_call();
    assert_eq!(call.len(), 2, "state and trait");
    assert!(call.iter().all(|m| m.user_id.as_deref() == Some("42") && m.anonymous_id.as_ref() == Some(&made_up)));
    assert_eq!(bench.handle(&[bench.asks("e4", &survivor, at(2), vec![told])]), ["already_there"]);
    // What is older than what either was told comes too late.
    assert_eq!(bench.handle(&[bench.asks("e5", &survivor, at(-1), vec![identify(json!({"plan": "old"}))])]), ["already_there"]);
}

#[test]
fn a_merge_while_writing_leaves_it_open() {
    let bench = Bench::new();
    let (survivor, other) = (user(&bench), bench.person(&[(IdKind::Email, "b@example.com")]));
    bench.rated(&other, 2);
    bench.outside.next_calls([Does::Hangs]);
    let jobs = [bench.state("e1", &other)];
    let mut slow = bench.begin(&jobs);
    assert_eq!(go_on(&mut slow), None);
    bench.merge(&survivor, &other);
    // Whoever goes on for them does not write as long as that one may.
    assert_eq!(bench.handle(&[bench.state("e2", &survivor)]), ["retry"]);
    let answered = go_on(&mut slow).expect("an end");
    assert_eq!(bench.told(&jobs, &answered, 0), ["retry"]);
    assert_eq!(bench.handle(&jobs), ["done"]);
    assert_eq!(bench.traits("42")["last_csat_score"], json!(2));
    assert_eq!(bench.handle(&[bench.state("e3", &survivor)]), ["already_there"]);
}
