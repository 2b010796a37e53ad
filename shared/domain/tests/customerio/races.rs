//! Workers that overlap and die at any point: at rest the profile has the latest fact of everything.

use super::vendor::Vendor;
use super::{Bench, at, attributes, email_in, finish, id, track};
use crate::sim::{Dice, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::{CustomerioVerb, UpdatePerson};
use trefoil_domain::event::{Choice, IdKind, Source};
use trefoil_domain::id::PersonId;
use trefoil_domain::job::Job;
use trefoil_domain::ports::{Clock, Disposition, QueueName, Store};
use trefoil_domain::time::{Span, Timestamp};

type Working<'w> = Pin<Box<dyn Future<Output = Vec<(String, Disposition)>> + 'w>>;

const QUEUES: [QueueName; 2] = [QueueName::CustomerioState, QueueName::Customerio];

/// Runs workers until nothing is left to do before `until`. `crashes`: percent of turns.
fn run<'b>(bench: &'b Bench<'_>, crashes: usize, until: Timestamp, mut happens: impl FnMut()) {
    let world = bench.world;
    let mut running: Vec<(QueueName, Working<'b>)> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    for turn in 0.. {
        assert!(turn < 200_000, "it goes on for ever");
        if world.dice.percent(5) {
            happens();
        }
        if running.len() < 2 && (running.is_empty() || world.dice.percent(50)) {
            let first = world.dice.below(QUEUES.len());
            let next = (0..QUEUES.len()).map(|i| QUEUES[(first + i) % QUEUES.len()]).find_map(|queue| {
                // All at once now and then: what waits for a profile at the head of a group holds up what makes one.
                let batch = world.receive(queue, if world.dice.percent(50) { 20 } else { 1 + world.dice.below(4) });
                (!batch.is_empty()).then_some((queue, batch))
            });
            if let Some((queue, batch)) = next {
                running.push((queue, Box::pin(async move { bench.sender().handle(queue, batch).await })));
            } else if running.is_empty() {
                match world.next_time().filter(|at| *at <= until) {
                    Some(at) => world.advance_to(at),
                    None => return,
                }
                // The scan, and what follows from it.
                let due = finish(world.due_wakes(world.now(), 100)).expect("a store");
                for wake in &due {
                    let name = format!("{} {}", wake.person, wake.due.millis());
                    put(bench, &bench.state(&name, &wake.person));
                    put(bench, &bench.consent(&name, &wake.person));
                }
                finish(world.clear_wakes(due)).expect("a store");
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
            let (queue, _) = running.swap_remove(chosen);
            world.settle(queue, answered);
        }
    }
}

fn put(bench: &Bench<'_>, job: &Job) {
    bench.world.put(job.queue(), job.to_message().expect("a job is JSON"));
}

struct Human {
    people: Vec<PersonId>,
    user_id: String,
    has_profile: bool,
    creates: bool,
    latest: BTreeMap<&'static str, (i64, Value)>,
    said: BTreeMap<&'static str, BTreeSet<String>>,
    events: BTreeSet<String>,
    score: Option<u8>,
    is_out: bool,
    merged: bool,
}

fn race(seed: u64) {
    let world = World::new(seed, super::NOW);
    let dice = Dice::new(seed ^ 0xC105);
    let mut bench = Bench { world: &world, vendor: Vendor::new(&world), config: Bench::new(&world).config };
    bench.vendor.lag = Span::from_secs([0, 10, 30][dice.below(3)]);
    (bench.vendor.whole_profile, bench.vendor.shuffles) = (dice.percent(50), dice.percent(50));
    bench.vendor.failing.store([0, 10, 30][dice.below(3)], Ordering::Relaxed);
    let mut humans: Vec<Human> = (0..1 + dice.below(2)).map(|n| human(&bench, &dice, n)).collect();
    let mut jobs = Vec::new();
    for (n, human) in humans.iter_mut().enumerate() {
        for fact in 0..1 + dice.below(7) {
            let name = ["plan", "size"][dice.below(2)];
            let value = json!(dice.below(3));
            let person = &human.people[dice.below(human.people.len())];
            let when = i64::try_from(dice.below(1000) * 10 + fact).expect("small");
            let create = human.creates && dice.percent(50);
            let mut verbs =
                vec![CustomerioVerb::UpdatePerson(UpdatePerson { create, attributes: attributes(json!({name: value})), email: None })];
            let event = format!("{n} {fact}");
            if dice.percent(40) {
                verbs.push(track(&event));
                human.events.insert(event.clone());
            }
            human.said.entry(name).or_default().insert(value.to_string());
            let newest = human.latest.entry(name).or_insert((when, value.clone()));
            if when >= newest.0 {
                *newest = (when, value);
            }
            let job = bench.asks(&event, person, at(when - 20_000), verbs);
            for _ in 0..1 + usize::from(dice.percent(20)) {
                jobs.push(job.clone());
            }
        }
        if human.creates {
            // Somebody asks for it in the end.
            let verbs = vec![CustomerioVerb::CreatePerson { attributes: attributes(json!({})) }];
            jobs.push(bench.asks(&format!("{n} create"), &human.people[0], at(-20_000), verbs));
        }
    }
    dice.shuffle(&mut jobs);
    let humans = std::cell::RefCell::new(humans);
    let mut count = 0;
    let mut happens = || {
        count += 1;
        if let Some(job) = jobs.pop() {
            put(&bench, &job);
        }
        let humans = &mut *humans.borrow_mut();
        let n = dice.below(humans.len());
        let human = &mut humans[n];
        let person = bench.world.survivor(&human.people[0]);
        if dice.percent(10) {
            let score = 1 + u8::try_from(dice.below(5)).expect("small");
            human.score = Some(score);
            bench.rated(&person, score, at(count));
            put(&bench, &bench.state(&format!("{n} rated {count}"), &person));
        }
        if dice.percent(5) && !human.is_out {
            human.is_out = true;
            bench.says(&person, Source::Intercom, &email_in(Choice::Out), at(count));
            put(&bench, &bench.consent(&format!("{n} out {count}"), &person));
        }
        if human.people.len() > 1 && !human.merged && dice.percent(10) {
            human.merged = true;
            bench.merge(&human.people[0], &human.people[1]);
            bench.change(&human.people[0], |person| person.facet.version += 1);
            for job in [bench.state(&format!("{n} merged"), &human.people[0]), bench.consent(&format!("{n} merged c"), &human.people[0])] {
                put(&bench, &job);
            }
        }
        jobs.is_empty()
    };
    let start = world.now();
    let crashes = [0, 2, 8][dice.below(3)];
    run(&bench, crashes, start.plus(Span::from_mins(30)), || {
        happens();
    });
    while !happens() {}
    bench.vendor.failing.store(0, Ordering::Relaxed);
    run(&bench, 0, start.plus(Span::from_hours(60)), || {});
    for (n, human) in humans.borrow().iter().enumerate() {
        check(seed, &bench, n, human);
    }
    assert_eq!(bench.vendor.strays(), 0, "RACE={seed}");
}

fn human(bench: &Bench<'_>, dice: &Dice, n: usize) -> Human {
    let (user_id, email) = (format!("u{n}"), format!("p{n}@example.com"));
    let has_profile = dice.percent(60);
    let mut people = vec![bench.person(&[(IdKind::UserId, &user_id)])];
    if has_profile {
        bench.vendor.add(&format!("0{n}"), Some(&user_id), Some(&email));
    }
    // Seems to be somebody else at first, who leads to the same profile.
    if dice.percent(30) && has_profile {
        people.push(bench.person(&[(IdKind::Email, &email)]));
    } else {
        bench.gains(&people[0], &id(IdKind::Email, &email), at(0));
    }
    Human {
        people,
        user_id,
        has_profile,
        creates: !has_profile,
        latest: BTreeMap::new(),
        said: BTreeMap::new(),
        events: BTreeSet::new(),
        score: None,
        is_out: false,
        merged: false,
    }
}

fn check(seed: u64, bench: &Bench<'_>, n: usize, human: &Human) {
    let all = bench.vendor.all();
    let theirs: Vec<_> = all.values().filter(|p| p.user_id.as_deref() == Some(human.user_id.as_str())).collect();
    assert_eq!(theirs.len(), 1, "RACE={seed}: profiles of {n}");
    let profile = theirs[0];
    for (name, (_, value)) in &human.latest {
        if human.people.len() == 1 {
            assert_eq!(profile.get(name), *value, "RACE={seed}: {name} of {n}");
        } else {
            // Two people who write one profile do not know of each other's facts.
            assert!(human.said[name].contains(&profile.get(name).to_string()), "RACE={seed}: {name} of {n}");
        }
    }
    if let Some(score) = human.score.filter(|_| human.people.len() == 1 || human.merged) {
        assert_eq!(profile.get("last_csat_score"), json!(score), "RACE={seed}: state of {n}");
    }
    if human.is_out {
        assert_eq!(profile.get("unsubscribed"), json!(true), "RACE={seed}: consent of {n}");
    }
    let events: Vec<&String> = profile.events.values().collect();
    let wanted: Vec<&String> = human.events.iter().collect();
    let once: BTreeSet<&String> = events.iter().copied().collect();
    assert_eq!((events.len(), once.into_iter().collect::<Vec<_>>()), (wanted.len(), wanted), "RACE={seed}: events of {n}");
    assert!(human.has_profile || profile.email.is_some(), "RACE={seed}: the address of {n}");
}

/// `RACES=20000` runs more of them, `RACE=299` one alone.
#[test]
fn a_thousand_races() {
    let races = std::env::var("RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(1000);
    let only = std::env::var("RACE").ok().and_then(|seed| seed.parse().ok());
    match only {
        Some(seed) => race(seed),
        None => (0..races).for_each(race),
    }
}
