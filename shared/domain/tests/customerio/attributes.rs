//! Values of a profile: the latest fact wins, what is there is not written, and what was not taken does not count as given.

use super::vendor::{Does, REFUSED};
use super::{Bench, NOW, at, id, track, update, user, world};
use serde_json::json;
use trefoil_domain::action::{CustomerioVerb, UpdatePerson};
use trefoil_domain::event::IdKind;
use trefoil_domain::time::Span;

fn email(email: &str) -> CustomerioVerb {
    CustomerioVerb::UpdatePerson(UpdatePerson { email: Some(email.to_owned()), ..UpdatePerson::default() })
}

#[test]
fn what_changes_nothing_is_not_written() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, NOW);
    let plan = |name: &str| bench.asks(name, &person, at(1), vec![update(json!({"plan": "pro"}))]);
    assert_eq!(bench.handle(&[plan("e1"), bench.state("e2", &person)]), ["done"; 2]);
    assert_eq!(bench.handle(&[plan("e3"), bench.state("e4", &person)]), ["already_there"; 2]);
    assert_eq!((bench.vendor.calls().len(), bench.vendor.looks()), (1, 1));
}

#[test]
fn an_older_fact_comes_too_late() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let plan = |name: &str, value: &str, when| bench.asks(name, &person, at(when), vec![update(json!({"plan": value}))]);
    assert_eq!(bench.handle(&[plan("e1", "pro", 10)]), ["done"]);
    assert_eq!(bench.handle(&[plan("e2", "free", 5)]), ["already_there"]);
    assert_eq!(bench.handle(&[plan("e3", "old", 7), plan("e4", "trial", 20), plan("e5", "older", 15)])[1], "done");
    assert_eq!(bench.vendor.profile("0a").get("plan"), json!("trial"));
}

#[test]
fn what_was_said_before_the_same_was_said_again_comes_too_late() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let plan = |name: &str, value: &str, when| bench.asks(name, &person, at(when), vec![update(json!({"plan": value}))]);
    bench.handle(&[plan("e1", "pro", 10)]);
    bench.handle(&[plan("e2", "pro", 30)]);
    bench.handle(&[plan("e3", "free", 20)]);
    assert_eq!(bench.vendor.profile("0a").get("plan"), json!("pro"));
    assert_eq!(bench.vendor.calls().len(), 1);
}

#[test]
fn an_older_fact_comes_too_late_after_a_merge_too() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    let other = bench.person(&[(IdKind::IntercomId, "c1")]);
    let plan = |name: &str, value: &str, when| bench.asks(name, &person, at(when), vec![update(json!({"plan": value}))]);
    bench.handle(&[plan("e1", "pro", 10)]);
    bench.merge(&person, &other);
    bench.handle(&[plan("e2", "free", 5)]);
    assert_eq!(bench.vendor.profile("0a").get("plan"), json!("pro"));
    assert_eq!(bench.handle(&[plan("e3", "pro", 11)]), ["done"], "which profile has it is not known any more");
}

#[test]
fn a_lost_answer_is_written_again() {
    for does in [Does::Fails, Does::TakesAndDrops] {
        let world = world(1);
        let bench = Bench::new(&world);
        let person = user(&bench);
        bench.rated(&person, 2, NOW);
        bench.vendor.next_calls(&[does]);
        let jobs = [bench.state("e1", &person), bench.asks("e2", &person, at(1), vec![update(json!({"plan": "pro"})), track("x")])];
        assert_eq!(bench.handle(&jobs), ["retry"; 2]);
        assert!(bench.mark(&person).dirty);
        assert_eq!(bench.settle(&jobs), ["done"; 2]);
        let profile = bench.vendor.profile("0a");
        assert_eq!((profile.get("plan"), profile.get("last_csat_score"), profile.events.len()), (json!("pro"), json!(2), 1));
        assert!(!bench.mark(&person).dirty);
    }
}

#[test]
fn a_refused_attribute_does_not_hold_the_state() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, NOW);
    let jobs = [bench.asks("e1", &person, at(1), vec![update(json!({REFUSED: 1}))]), bench.state("e2", &person)];
    assert_eq!(bench.settle(&jobs), ["refused", "done"]);
    assert_eq!(bench.vendor.profile("0a").get("last_csat_score"), json!(2));
}

#[test]
fn another_profile_has_nothing_of_what_the_first_was_given() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, NOW);
    bench.handle(&[bench.state("e1", &person), bench.asks("e2", &person, at(1), vec![update(json!({"plan": "pro"}))])]);
    bench.vendor.remove("0a");
    bench.vendor.add("0b", Some("42"), None);
    // Long enough for it to be looked for again.
    bench.wait(Span::from_hours(25));
    assert_eq!(bench.handle(&[bench.asks("e3", &person, at(99), vec![update(json!({"size": 5}))])]), ["done"]);
    let profile = bench.vendor.profile("0b");
    assert_eq!((profile.get("size"), profile.get("last_csat_score")), (json!(5), json!(2)));
    assert_eq!(bench.handle(&[bench.asks("e4", &person, at(100), vec![update(json!({"plan": "pro"}))])]), ["done"]);
    assert_eq!(bench.vendor.profile("0b").get("plan"), json!("pro"));
}

#[test]
fn state_goes_where_customerio_says_that_the_person_is_now() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, NOW);
    bench.handle(&[bench.state("e1", &person)]);
    // Somebody has merged the profile away by hand; then a webhook names the one that is left.
    bench.vendor.remove("0a");
    bench.vendor.add("0b", Some("42"), None);
    bench.wait(Span::from_mins(5));
    bench.gains(&person, &id(IdKind::CioId, "0b"), world_now(&bench));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0b").get("last_csat_score"), json!(2));
    assert_eq!(bench.handle(&[bench.state("e3", &person)]), ["already_there"]);
}

fn world_now(bench: &Bench<'_>) -> trefoil_domain::time::Timestamp {
    use trefoil_domain::ports::Clock;
    bench.world.now()
}

#[test]
fn what_was_blocked_is_told_to_the_profile_that_comes() {
    let world = world(1);
    let bench = Bench::new(&world);
    let person = user(&bench);
    bench.rated(&person, 2, NOW);
    bench.handle(&[bench.state("e1", &person)]);
    bench.vendor.remove("0a");
    bench.wait(Span::from_hours(25));
    bench.rated(&person, 3, at(1));
    assert_eq!(bench.handle(&[bench.state("e2", &person)]), ["no_profile"]);
    // Back to what the profile that is gone had.
    bench.rated(&person, 2, at(2));
    bench.vendor.add("0b", Some("42"), None);
    assert_eq!(bench.handle(&[bench.state("e3", &person)]), ["done"]);
    assert_eq!(bench.vendor.profile("0b").get("last_csat_score"), json!(2));
}

#[test]
fn a_changed_address_is_read_back() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.lag = Span::from_secs(20);
    let person = user(&bench);
    bench.handle(&[bench.asks("e0", &person, at(0), vec![update(json!({"plan": "pro"}))])]);
    let job = bench.asks("e1", &person, at(1), vec![email("New@example.com")]);
    // However long it has waited before.
    bench.wait(Span::from_mins(10));
    assert_eq!(bench.handle(std::slice::from_ref(&job)), ["retry"]);
    let calls = bench.vendor.calls().len();
    let ended = bench.settle(std::slice::from_ref(&job));
    assert_eq!(ended, ["done"]);
    assert_eq!(bench.vendor.calls().len(), calls, "written once");
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("new@example.com"));
    assert_eq!(bench.handle(&[bench.asks("e2", &person, at(2), vec![email("new@example.com")])]), ["already_there"]);
}

#[test]
fn an_address_that_another_profile_has_is_told_of() {
    let world = world(1);
    let bench = Bench::new(&world);
    bench.vendor.add("0b", Some("43"), Some("b@example.com"));
    let person = user(&bench);
    let job = bench.asks("e1", &person, at(1), vec![email("b@example.com"), update(json!({"plan": "pro"}))]);
    assert_eq!(bench.settle(&[job]), ["email_not_taken"]);
    let profile = bench.vendor.profile("0a");
    assert_eq!((profile.email.as_deref(), profile.get("plan")), (Some("a@example.com"), json!("pro")));
}

#[test]
fn without_a_key_nobody_can_say_that_an_address_was_not_taken() {
    let world = world(1);
    let mut bench = Bench::new(&world);
    bench.vendor.has_key = false;
    bench.vendor.add("0a", Some("42"), Some("a@example.com"));
    let person = bench.person(&[(IdKind::UserId, "42"), (IdKind::CioId, "0a"), (IdKind::Email, "a@example.com")]);
    assert_eq!(bench.settle(&[bench.asks("e1", &person, at(1), vec![email("new@example.com")])]), ["done"]);
    assert_eq!(bench.vendor.profile("0a").email.as_deref(), Some("new@example.com"));
}
