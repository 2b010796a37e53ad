//! The whole road in memory: webhooks in any order, repeated, with crashes and overlapping workers, against the truth.

mod blind;
#[path = "../support/cases.rs"]
mod cases;
mod counts;
mod ends;
mod history;
mod leads;
mod many;
mod names;
mod people;
mod settled;
mod sim;

use history::{History, NOW, profile, re_read};
use proptest::prelude::*;
use sim::{Dice, Profiles, Truth, World};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Event, Kind, Profile};
use trefoil_domain::id::EventId;
use trefoil_domain::job::{LookUp, event_message};
use trefoil_domain::ports::{Clock, Disposition, QueueName};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::{look_up::LookUps, route::Router, scan::scan, send_customerio::CustomerioSender};
use trefoil_domain::time::{Span, Timestamp};

type Work<'a> = Pin<Box<dyn Future<Output = Vec<(String, Disposition)>> + 'a>>;

/// What a case plays in.
struct Case<'a> {
    world: &'a World,
    history: &'a History,
    profiles: &'a Profiles<'a>,
    config: &'a Config,
    routes: &'a Routes,
}

/// How a case is run.
struct Weather {
    /// Percent of scheduler turns at which a running worker dies.
    crashes: usize,
    /// Percent of calls to Customer.io that fail.
    failing: u64,
    workers: usize,
}

/// When each human's profile comes into being at Customer.io.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Appears {
    Before,
    AnHourLater,
    Never,
}

fn cio_id(human: usize) -> String {
    format!("0{human}0000ab")
}

fn answer(history: &History) -> impl Fn(&World, &LookUp, &EventId) -> Option<Vec<Event>> + Send + Sync {
    |_: &World, question: &LookUp, asked_by: &EventId| match question {
        LookUp::Contact { contact } => {
            let contact = history.contact(contact)?;
            Some(vec![profile(contact, Kind::PersonIdentified(Profile::default()), asked_by.as_str(), NOW)])
        }
        LookUp::Conversation { ticket, contacts } => {
            let told = history.tickets.iter().find(|t| t.id == *ticket)?;
            let own = &history.contacts[told.contact];
            Some(contacts.iter().filter(|c| **c == own.id).map(|_| re_read(told, own, asked_by.as_str())).collect())
        }
    }
}

/// Runs workers over the queues until nothing is left to do before `until`.
fn run(case: &Case<'_>, weather: &Weather, mut incoming: Vec<Event>, until: Timestamp) {
    let Case { world, history, profiles, config, routes } = *case;
    let router = Router { store: world, queue: world, clock: world, jitter: world, config, routes };
    let sender = CustomerioSender { store: world, queue: world, clock: world, jitter: world, customerio: profiles, config };
    let truth = Truth { world, answer: answer(history) };
    let look_ups = LookUps { store: world, queue: world, clock: world, jitter: world, intercom: &truth };
    incoming.reverse();

    const QUEUES: [QueueName; 4] = [QueueName::Events, QueueName::CustomerioState, QueueName::Customerio, QueueName::IntercomState];
    let mut running: Vec<(QueueName, Work<'_>)> = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut turns = 0;
    loop {
        turns += 1;
        assert!(turns < 2_000_000, "it goes on for ever");
        if !incoming.is_empty() && world.dice.percent(30) {
            if let Some(event) = incoming.pop() {
                world.put(QueueName::Events, event_message(&event).expect("an event is JSON"));
            }
            continue;
        }
        if running.len() < weather.workers && (running.is_empty() || world.dice.percent(50)) {
            let first = world.dice.below(QUEUES.len());
            let next = (0..QUEUES.len()).map(|i| QUEUES[(first + i) % QUEUES.len()]).find_map(|queue| {
                let batch = world.receive(queue, 1 + world.dice.below(10));
                (!batch.is_empty()).then_some((queue, batch))
            });
            if let Some((queue, batch)) = next {
                let work: Work<'_> = match queue {
                    QueueName::Events => Box::pin(router.handle(batch)),
                    QueueName::CustomerioState | QueueName::Customerio => Box::pin(sender.handle(queue, batch)),
                    QueueName::IntercomState => Box::pin(async {
                        // Telling Intercom of consent is tried elsewhere.
                        let (told, asked): (Vec<_>, Vec<_>) = batch.into_iter().partition(|d| d.body.contains("\"work\":\"consent\""));
                        let mut done: Vec<_> = told.into_iter().map(|d| (d.id, Disposition::Delete)).collect();
                        done.extend(look_ups.handle(asked).await);
                        done
                    }),
                    QueueName::Intercom | QueueName::Segment | QueueName::Parked => unreachable!("nobody works on these here"),
                };
                running.push((queue, work));
            } else if running.is_empty() {
                if !incoming.is_empty() {
                    continue;
                }
                match world.next_time().filter(|at| *at <= until) {
                    Some(at) => world.advance_to(at),
                    None => return,
                }
                let mut scanning = Box::pin(scan(world, world, world));
                while scanning.as_mut().poll(&mut context).is_pending() {}
            }
            continue;
        }
        if running.is_empty() {
            continue;
        }
        let chosen = world.dice.below(running.len());
        if world.dice.percent(weather.crashes) && world.dice.percent(20) {
            drop(running.swap_remove(chosen));
            continue;
        }
        if let Poll::Ready(dispositions) = running[chosen].1.as_mut().poll(&mut context) {
            let (queue, _) = running.swap_remove(chosen);
            world.settle(queue, dispositions);
        }
    }
}

fn shipped() -> (Config, Routes) {
    // Leads get a profile by the shipped routes, on purpose; here nobody is to get one.
    let of_leads = |line: &str| line.contains("has(event.attributes.role)") || line.contains("person.user_id == null && person.email");
    let never = |line| if of_leads(line) { "    when: event.kind == \"never\"" } else { line };
    let text: Vec<&str> = config::EMBEDDED.lines().map(never).collect();
    let (mut config, routes) = config::check("trefoil.yaml", &text.join("\n")).expect("the shipped file is right");
    config.off.insert(trefoil_domain::ports::Destination::Segment);
    (config, routes)
}

fn converges(seed: u64) -> Result<(), TestCaseError> {
    let shipped = shipped_rules();
    let (config, routes) = &*shipped;
    let dice = Dice::new(seed ^ 0xA5A5);
    let history = History::random(&dice);
    let world = World::new(seed, NOW);
    let profiles = Profiles::new(&world);
    let mut appears = Vec::new();
    for human in 0..history.humans {
        let when = [Appears::Before, Appears::Before, Appears::AnHourLater, Appears::Never][dice.below(4)];
        appears.push(when);
        if when == Appears::Before {
            add_profile(&profiles, human, dice.percent(50));
        }
    }

    // What arrives: some openings lost, some repeated, all in any order.
    let mut incoming: Vec<Event> = history.profiles.clone();
    let mut heard = Vec::new();
    for told in &history.tickets {
        let lost = if told.last.ticket.is_none() && dice.percent(15) { dice.below(told.events.len()) } else { 0 };
        heard.push(lost);
        incoming.extend(told.events[lost..].iter().cloned());
    }
    for event in incoming.clone() {
        if dice.percent(30) {
            incoming.push(event);
        }
    }
    dice.shuffle(&mut incoming);

    let weather = Weather { crashes: dice.below(8), failing: 10 * dice.below(3) as u64, workers: 1 + dice.below(4) };
    profiles.failing.store(weather.failing, Ordering::Relaxed);
    let case = Case { world: &world, history: &history, profiles: &profiles, config, routes };
    run(&case, &weather, incoming, NOW.plus(Span::from_mins(55)));
    for (human, when) in appears.iter().enumerate() {
        if *when == Appears::AnHourLater {
            add_profile(&profiles, human, true);
        }
    }
    profiles.failing.store(0, Ordering::Relaxed);
    world.advance_to(NOW.plus(Span::from_hours(1)));
    let calm = Weather { crashes: 0, failing: 0, workers: 3 };
    run(&case, &calm, Vec::new(), NOW.plus(Span::from_hours(6)));

    let all = profiles.all();
    let expected_profiles = appears.iter().filter(|a| **a != Appears::Never).count();
    prop_assert_eq!(all.len(), expected_profiles, "no profile is created by accident");
    prop_assert_eq!(world.depth(QueueName::Parked), 0, "nothing here is unusable");
    for human in (0..history.humans).filter(|h| appears[*h] != Appears::Never) {
        let profile = &all[&cio_id(human)];
        let tickets: Vec<_> = history.of(human).collect();
        let open = tickets.iter().filter(|t| t.last.open && !t.last.deleted).count();
        let told_of = tickets.iter().any(|t| !t.last.deleted);
        if told_of || profile.attributes.contains_key("has_open_ticket") {
            prop_assert_eq!(&profile.attributes["has_open_ticket"], &serde_json::json!(open > 0), "human {} of {:#?}", human, history);
            prop_assert_eq!(&profile.attributes["open_ticket_count"], &serde_json::json!(open), "human {}", human);
        }
        let hot = tickets
            .iter()
            .zip(history.tickets.iter().enumerate().filter(|(_, t)| history.contacts[t.contact].human == human).map(|(i, _)| heard[i]));
        let full: Vec<_> = hot.filter(|(_, lost)| *lost == 0).map(|(t, _)| t).collect();
        if full.len() == tickets.len() {
            let until = tickets.iter().filter_map(|t| t.last.hot_at).max().map(|at| at.plus(Span::from_days(7)).secs());
            let shown = profile.attributes.get("suppress_expansion_until").and_then(serde_json::Value::as_i64);
            prop_assert_eq!(shown, until, "human {}: the window of the hottest ticket", human);
        }
        for told in tickets {
            let of_ticket = |name: &str| {
                profile.events.values().filter(|(n, p)| n == name && p.get("ticket_id") == Some(&told.id.as_str().into())).count()
            };
            let opened = of_ticket("support_ticket_opened");
            prop_assert!(opened <= 1, "ticket {} was opened {} times", told.id, opened);
            let lost = heard[history.tickets.iter().position(|t| t.id == told.id).expect("there")];
            if lost == 0 && !told.last.deleted {
                prop_assert_eq!(opened, 1, "ticket {}", &told.id);
            }
            if !told.last.open && !told.last.deleted {
                prop_assert!(of_ticket("support_ticket_resolved") >= 1, "ticket {} was never resolved", told.id);
            }
        }
    }
    // One human is one person, however many contacts told of them.
    let known: BTreeSet<usize> = history
        .tickets
        .iter()
        .zip(&heard)
        .filter(|(t, lost)| t.events[**lost..].iter().any(|e| !e.ids.is_empty()))
        .map(|(t, _)| t)
        .map(|t| history.contacts[t.contact].human)
        .collect();
    let people = world.people().len();
    prop_assert!(people <= history.humans && people >= usize::from(!known.is_empty()), "{} people for {} humans", people, history.humans);
    Ok(())
}

fn add_profile(profiles: &Profiles<'_>, human: usize, by_email_alone: bool) {
    let user_id = (!by_email_alone).then(|| format!("u{human}"));
    profiles.add(&cio_id(human), user_id, Some(format!("person{human}@example.com")));
}

/// Told in order, nobody is ever shown as free while a ticket of theirs is open.
fn never_free_while_open(seed: u64) -> Result<(), TestCaseError> {
    let shipped = shipped_rules();
    let (config, routes) = &*shipped;
    let dice = Dice::new(seed ^ 0x5A5A);
    let history = History::random(&dice);
    let world = World::new(seed, NOW);
    let profiles = Profiles::new(&world);
    world.forgets.store(0, Ordering::Relaxed);
    (0..history.humans).for_each(|human| add_profile(&profiles, human, false));
    let calm = Weather { crashes: 0, failing: 0, workers: 1 };
    let case = Case { world: &world, history: &history, profiles: &profiles, config, routes };
    // All tickets' webhooks by time; within a second as they happened.
    let mut steps: Vec<(usize, usize)> =
        history.tickets.iter().enumerate().flat_map(|(t, told)| (0..told.events.len()).map(move |e| (t, e))).collect();
    steps.sort_by_key(|(t, e)| (history.tickets[*t].events[*e].occurred_at, *e));
    let mut open: Vec<bool> = vec![false; history.tickets.len()];
    for (ticket, step) in steps {
        let told = &history.tickets[ticket];
        open[ticket] = told.after[step].open && !told.after[step].deleted;
        told.step.store(step, Ordering::Relaxed);
        let now = world.now();
        run(&case, &calm, vec![told.events[step].clone()], now.plus(Span::from_secs(30)));
        for human in 0..history.humans {
            let really = history.tickets.iter().zip(&open).any(|(t, open)| *open && history.contacts[t.contact].human == human);
            let shown = profiles.all()[&cio_id(human)].attributes.get("has_open_ticket").and_then(serde_json::Value::as_bool);
            prop_assert!(!(really && shown == Some(false)), "human {} is shown as free after step {} of ticket {}", human, step, told.id);
        }
    }
    Ok(())
}

/// The rules that are shipped, compiled once a thread.
fn shipped_rules() -> std::rc::Rc<(Config, Routes)> {
    SHIPPED.with(std::rc::Rc::clone)
}

/// As [`run`], where nobody knows anything beyond what the events say.
fn run_alone(world: &World, weather: &Weather, incoming: Vec<Event>) {
    let shipped = shipped_rules();
    let (config, routes) = &*shipped;
    let (history, profiles) = (History::silent(), Profiles::new(world));
    let case = Case { world, history: &history, profiles: &profiles, config, routes };
    run(&case, weather, incoming, NOW.plus(Span::from_mins(30)));
}

thread_local! {
    static SHIPPED: std::rc::Rc<(Config, Routes)> = std::rc::Rc::new(shipped());
}

proptest! {
    // Another seed is another history, so that there is nothing to shrink.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..cases::many() })]

    #[test]
    fn any_order_with_repeats_and_crashes_ends_at_the_truth(seed in any::<u64>()) {
        converges(seed)?;
    }

    #[test]
    fn told_in_order_nobody_is_free_while_a_ticket_is_open(seed in any::<u64>()) {
        never_free_while_open(seed)?;
    }
}
