//! The person's state: absolute values, told when they are other ones.

use super::outside::{Does, go_on};
use super::{Bench, NOW, at, identify, track, traits_of, user};
use serde_json::json;
use std::collections::BTreeSet;
use trefoil_domain::consent::{How, Said};
use trefoil_domain::event::{Channel, Choice, ConsentChange, IdKind, Source, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::person::RecordKey;
use trefoil_domain::ports::Clock;
use trefoil_domain::time::Span;

fn score(bench: &Bench) -> serde_json::Value {
    bench.traits("42").get("last_csat_score").cloned().unwrap_or_default()
}

#[test]
fn what_has_not_changed_is_not_told_again() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["done"]);
    assert_eq!(score(&bench), json!(2));
    let writes = bench.outside.mark_writes();
    assert_eq!(writes, 2, "claimed and confirmed");
    assert_eq!(bench.handle(&[bench.state("e2", &person), bench.state("e3", &person)]), ["already_there"; 2]);
    assert_eq!((bench.outside.calls().len(), bench.outside.mark_writes()), (1, writes));
}

#[test]
fn a_value_that_comes_back_is_another_message() {
    let bench = Bench::new();
    let person = user(&bench);
    for (n, value) in [2, 5, 2].into_iter().enumerate() {
        bench.rated(&person, value);
        // All within one second.
        assert_eq!(bench.handle(&[bench.state(&format!("e{n}"), &person)]), ["done"]);
        assert_eq!(score(&bench), json!(value));
    }
    let ids: BTreeSet<String> = bench.outside.calls().iter().map(|call| call[0].id.to_string()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn any_visit_brings_the_state_up_to_date() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    assert_eq!(bench.handle(&[bench.asks("e1", &person, at(0), vec![track("x")])]), ["done"]);
    let call = bench.last_call();
    assert_eq!((call.len(), traits_of(&call[0]).get("last_csat_score")), (2, Some(&json!(2))));
    assert_eq!((call[0].origin, call[0].at), (Source::Trefoil, NOW));
}

#[test]
fn the_operator_may_keep_it_from_segment() {
    let bench = Bench::with("version: 1\nsegment:\n  support_traits: false\n");
    let person = user(&bench);
    bench.rated(&person, 2);
    assert_eq!(bench.handle(&[bench.state("e1", &person)]), ["already_there"]);
    assert_eq!(bench.outside.calls().len(), 0);
}

#[test]
fn a_crash_between_claim_and_confirmation_makes_the_next_one_write_again() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    bench.outside.next_calls([Does::Hangs]);
    let job = bench.state("e1", &person);
    {
        let mut dies = bench.begin(std::slice::from_ref(&job));
        assert_eq!(go_on(&mut dies), None);
    }
    assert!(bench.outside.mark(&person).dirty);
    // It may still be at it.
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    assert_eq!(bench.outside.calls().len(), 1);
    bench.outside.advance(Span::from_mins(2));
    assert_eq!(bench.handle(&[job]), ["done"]);
    let calls = bench.outside.calls();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0][0].id, calls[1][0].id);
    assert!(!bench.outside.mark(&person).dirty);
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["already_there"]);
}

#[test]
fn a_lost_answer_is_written_again_and_keeps_nobody_away() {
    for does in [Does::TakesAndDrops, Does::Fails] {
        let bench = Bench::new();
        let person = user(&bench);
        bench.rated(&person, 2);
        bench.outside.next_calls([does]);
        let job = bench.state("e1", &person);
        assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
        assert_eq!(bench.handle(&[job]), ["done"]);
        assert_eq!((score(&bench), bench.outside.calls().len()), (json!(2), 2));
    }
}

#[test]
fn a_refused_state_is_offered_again_with_the_next_visit() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    bench.outside.next_calls([Does::Refuses([0].into())]);
    let jobs = [bench.state("e1", &person), bench.asks("e2", &person, at(0), vec![track("x")])];
    assert_eq!(bench.handle(&jobs), ["refused", "done"]);
    assert_eq!(bench.handle(&[bench.asks("e3", &person, at(1), vec![track("y")])]), ["done"]);
    assert_eq!(score(&bench), json!(2));
}

#[test]
fn of_two_workers_the_second_waits_for_the_first() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    bench.outside.next_calls([Does::Hangs]);
    let (first, second) = ([bench.state("e1", &person)], [bench.state("e2", &person)]);
    let mut slow = bench.begin(&first);
    assert_eq!(go_on(&mut slow), None);
    bench.rated(&person, 5);
    assert_eq!(bench.handle(&second), ["retry"]);
    let answered = go_on(&mut slow).expect("an end");
    assert_eq!(bench.told(&first, &answered, 0), ["done"]);
    assert_eq!(bench.handle(&second), ["done"]);
    assert_eq!(score(&bench), json!(5));
}

#[test]
fn a_worker_who_was_given_up_on_looks_again() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    bench.outside.next_calls([Does::Hangs]);
    let (first, second) = ([bench.state("e1", &person)], [bench.state("e2", &person)]);
    let mut slow = bench.begin(&first);
    assert_eq!(go_on(&mut slow), None);
    bench.outside.advance(Span::from_mins(2));
    bench.rated(&person, 5);
    assert_eq!(bench.handle(&second), ["done"]);
    let answered = go_on(&mut slow).expect("an end");
    assert_eq!(bench.told(&first, &answered, 0), ["retry"]);
    assert_eq!(bench.handle(&first), ["already_there"]);
}

fn chooses(bench: &Bench, person: &PersonId, choice: Choice, name: &str) {
    let rules = bench.config.consent.clone();
    let now = bench.outside.now();
    bench.change(person, |person| {
        let change = ConsentChange { channel: Some(Channel::Email), topic: None, choice };
        let record = RecordKey::named(Source::Intercom, IdKind::IntercomId, "c1");
        person.consent.hear(&Said { source: Source::Intercom, record: &record, change: &change, at: now, how: How::Act }, &rules);
        person.consent.settle(&event_id(Source::Intercom, &super::workspace(), &[name]), false, &rules);
    });
}

#[test]
fn consent_goes_along_with_the_state_and_is_told_once() {
    let bench = Bench::with("version: 1\nconsent:\n  explicit_opt_ins: [intercom.person.subscribed]\n");
    let person = user(&bench);
    bench.rated(&person, 2);
    chooses(&bench, &person, Choice::Out, "out");
    assert_eq!(bench.handle(&[bench.consent("e1", &person), bench.state("e2", &person)]), ["done"; 2]);
    let call = bench.last_call();
    assert_eq!(call.len(), 1);
    assert_eq!(traits_of(&call[0]).get("unsubscribed"), Some(&json!(true)));
    assert_eq!(bench.handle(&[bench.consent("e3", &person)]), ["already_there"]);
    bench.outside.advance(Span::from_secs(60));
    chooses(&bench, &person, Choice::In, "in");
    assert_eq!(bench.handle(&[bench.consent("e4", &person)]), ["done"]);
    assert_eq!(traits_of(&bench.last_call()[0]), super::attributes(json!({"unsubscribed": false})));
}

#[test]
fn no_route_goes_against_the_state() {
    let bench = Bench::new();
    let person = user(&bench);
    bench.rated(&person, 2);
    chooses(&bench, &person, Choice::Out, "out");
    let stale = json!({"unsubscribed": false, "last_csat_score": 5, "plan": "pro"});
    let jobs = [
        bench.asks("e1", &person, at(0), vec![identify(stale)]),
        bench.asks("e2", &person, at(0), vec![identify(json!({"unsubscribed": false}))]),
    ];
    assert_eq!(bench.handle(&jobs), ["done", "nothing_to_tell"]);
    let has = bench.traits("42");
    assert_eq!((&has["unsubscribed"], &has["last_csat_score"], &has["plan"]), (&json!(true), &json!(2), &json!("pro")));
}
