//! What routes tell of people and companies: only news, and no older fact after a newer one.

use super::outside::Does;
use super::{Bench, at, attributes, identify, traits_of, user};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trefoil_domain::action::SegmentVerb;
use trefoil_domain::job::Job;
use trefoil_domain::time::Span;

#[test]
fn only_news_is_told() {
    let bench = Bench::new();
    let person = user(&bench);
    let asks = |name: &str, seconds, traits: Value| bench.asks(name, &person, at(seconds), vec![identify(traits)]);
    assert_eq!(bench.handle(&[asks("e1", 0, json!({"plan": "pro", "seats": 5}))]), ["done"]);
    assert_eq!(bench.handle(&[asks("e2", 1, json!({"plan": "pro", "seats": 6}))]), ["done"]);
    assert_eq!(traits_of(&bench.last_call()[0]), attributes(json!({"seats": 6})));
    assert_eq!(bench.handle(&[asks("e3", 2, json!({"plan": "pro", "seats": 6}))]), ["already_there"]);
    assert_eq!(bench.handle(&[asks("e4", 1, json!({"plan": "free", "seats": 7}))]), ["already_there"]);
    assert_eq!(bench.outside.calls().len(), 2);
    assert_eq!(bench.handle(&[asks("e5", 3, json!({"plan": null}))]), ["done"]);
    assert_eq!(traits_of(&bench.last_call()[0]), attributes(json!({"plan": null})));
}

#[test]
fn within_a_batch_as_well_and_what_rests_on_another_shares_its_fate() {
    let bench = Bench::new();
    let person = user(&bench);
    let asks = |name: &str, seconds, plan: &str| bench.asks(name, &person, at(seconds), vec![identify(json!({"plan": plan}))]);
    let jobs = [asks("e1", 0, "pro"), asks("e2", 1, "pro"), asks("e3", 2, "free"), asks("e4", 3, "pro")];
    bench.outside.next_calls([Does::Fails]);
    assert_eq!(bench.handle(&jobs), ["retry"; 4]);
    let told: Vec<_> = bench.last_call().iter().map(|message| traits_of(message)["plan"].clone()).collect();
    assert_eq!(told, ["pro", "free", "pro"]);
    // The last one may be there, and under the id that it comes again with: an older one would take its place for good.
    assert_eq!(bench.handle(&jobs), ["already_there", "already_there", "already_there", "done"]);
    assert_eq!(bench.traits("42")["plan"], json!("pro"));
}

#[test]
fn what_was_refused_is_told_with_the_next_fact() {
    let bench = Bench::new();
    let person = user(&bench);
    let asks = |name: &str, seconds, plan: &str| bench.asks(name, &person, at(seconds), vec![identify(json!({"plan": plan}))]);
    assert_eq!(bench.handle(&[asks("e1", 0, "pro")]), ["done"]);
    bench.outside.next_calls([Does::Refuses([0].into())]);
    assert_eq!(bench.handle(&[asks("e2", 1, "free")]), ["refused"]);
    assert_eq!(bench.handle(&[asks("e3", 2, "pro")]), ["done"]);
    assert_eq!(bench.outside.calls().len(), 3, "nobody knows what it has");
}

#[test]
fn a_company_is_told_as_a_whole_when_any_of_it_is_news() {
    let bench = Bench::new();
    let person = user(&bench);
    let asks = |name: &str, seconds, id: &str, traits: Value| {
        let group = SegmentVerb::Group { group_id: id.to_owned(), traits: attributes(traits) };
        bench.asks(name, &person, at(seconds), vec![group])
    };
    assert_eq!(bench.handle(&[asks("e1", 0, "acme", json!({"plan": "pro", "seats": 5}))]), ["done"]);
    assert_eq!(bench.handle(&[asks("e2", 1, "acme", json!({"plan": "pro", "seats": 5}))]), ["already_there"]);
    assert_eq!(bench.handle(&[asks("e3", 2, "acme", json!({"plan": "pro", "seats": 6}))]), ["done"]);
    assert_eq!(bench.handle(&[asks("e4", 1, "acme", json!({"plan": "old"}))]), ["already_there"]);
    assert_eq!(bench.handle(&[asks("e5", 2, "other", json!({}))]), ["done"]);
    let SegmentVerb::Group { traits, .. } = &bench.outside.calls()[1][0].what else { panic!("a group") };
    assert_eq!(*traits, attributes(json!({"plan": "pro", "seats": 6})));
}

#[test]
fn many_values_of_one_person_are_not_all_remembered() {
    let bench = Bench::new();
    let person = user(&bench);
    for batch in 0..4 {
        let traits: serde_json::Map<String, Value> = (0..200).map(|n| (format!("t{}", batch * 200 + n), json!(n))).collect();
        bench.handle(&[bench.asks(&format!("e{batch}"), &person, at(batch), vec![identify(traits.into())])]);
    }
    assert_eq!(bench.outside.mark(&person).given.len(), 500);
    assert_eq!(bench.traits("42").len(), 800);
}

#[derive(Clone, Debug)]
struct Fact {
    seconds: i64,
    traits: BTreeMap<String, u8>,
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let traits = prop::collection::btree_map("[ab]", 0_u8..3, 1..3);
    prop::collection::vec(traits, 1..8)
        .prop_map(|all| (0..).zip(all).map(|(seconds, traits)| Fact { seconds, traits }).collect::<Vec<_>>())
        .prop_shuffle()
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![3 => Just(Does::Takes), 1 => Just(Does::TakesAndDrops), 1 => Just(Does::Fails), 1 => Just(Does::Hangs)]
}

proptest! {
    /// In whatever order facts come, in whatever batches, whatever is lost on the way: the latest one of each trait holds.
    #[test]
    fn the_latest_fact_holds(facts in facts(), does in prop::collection::vec(does(), 0..8), sizes in prop::collection::vec(1_usize..4, 1..8)) {
        let bench = Bench::new();
        let person = user(&bench);
        let mut latest: BTreeMap<&String, (i64, u8)> = BTreeMap::new();
        for fact in &facts {
            for (name, value) in &fact.traits {
                let known = latest.entry(name).or_insert((fact.seconds, *value));
                *known = (*known).max((fact.seconds, *value));
            }
        }
        let job = |fact: &Fact| bench.asks(&format!("e{}", fact.seconds), &person, at(fact.seconds), vec![identify(json!(fact.traits))]);
        let mut waiting: Vec<Job> = facts.iter().map(job).collect();
        bench.outside.next_calls(does);
        let mut sizes = sizes.iter().cycle();
        for turn in 0.. {
            prop_assert!(turn < 100, "it goes on for ever");
            if waiting.is_empty() {
                break;
            }
            let size = (*sizes.next().expect("a cycle")).min(waiting.len());
            let batch: Vec<Job> = waiting.drain(..size).collect();
            let mut work = bench.begin(&batch);
            // Whoever hangs dies there.
            let answered = super::go_on(&mut work);
            drop(work);
            let again = |place: &usize| answered.as_ref().is_none_or(|answered| {
                answered.iter().any(|(id, does)| *id == place.to_string() && *does != trefoil_domain::ports::Disposition::Delete)
            });
            waiting.extend((0..batch.len()).filter(again).map(|place| batch[place].clone()));
            bench.outside.advance(Span::from_mins(2));
        }
        let expected = latest.into_iter().map(|(name, (_, value))| (name.clone(), json!(value))).collect::<BTreeMap<_, _>>();
        prop_assert_eq!(bench.traits("42"), expected);
    }
}
