//! How jobs end: nothing is forgotten before its outcome is written down, and what is too old is given up, unless it is state.

use super::vendor::Does;
use super::{Bench, at, email_in, update, user, world};
use serde_json::json;
use std::sync::atomic::Ordering;
use trefoil_domain::event::{Choice, Source};
use trefoil_domain::ports::QueueName;
use trefoil_domain::time::Span;

const AGES: [Span; 2] = [Span::from_days(1), Span::from_days(8)];

#[test]
fn a_job_whose_outcome_cannot_be_written_down_comes_again() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let job = bench.asks("e1", &person, at(1), vec![update(json!({"plan": "x"}))]);
    world.keeps_no_records.store(true, Ordering::Relaxed);
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    world.keeps_no_records.store(false, Ordering::Relaxed);
    assert_eq!(bench.handle(&[job]), ["already_there"]);
}

#[test]
fn what_a_route_asked_for_is_given_up_when_nobody_would_make_use_of_it_any_more() {
    for (age, ended, parked) in [(AGES[0], "retry", 0), (AGES[1], "answer_lost", 1)] {
        let world = world(1);
        let bench = Bench::new(&world);
        let person = user(&bench);
        let job = bench.asks("e1", &person, at(1), vec![update(json!({"plan": "x"}))]);
        bench.wait(age);
        bench.vendor.next_calls(&[Does::Fails]);
        assert_eq!(bench.handle(&[job]), [ended], "after {age:?}");
        assert_eq!(world.depth(QueueName::Parked), parked, "it is kept for a human");
    }
}

#[test]
fn state_is_never_given_up() {
    for age in AGES {
        let world = world(1);
        let bench = Bench::new(&world);
        let person = user(&bench);
        bench.rated(&person, 2, at(0));
        bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(1));
        let jobs = [bench.state("e1", &person), bench.consent("e2", &person)];
        bench.wait(age);
        bench.vendor.next_calls(&[Does::Fails]);
        assert_eq!(bench.handle(&jobs), ["retry"; 2], "after {age:?}");
        assert_eq!(world.depth(QueueName::Parked), 0);
        assert_eq!(bench.handle(&jobs), ["done"; 2]);
    }
}
