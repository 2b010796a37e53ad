//! An opt-out reaches every living record in every tool, whatever the order, the repeats, the crashes and the outages, and
//! whatever becomes of the records. The oracle knows nothing but what people did, and when.

#[path = "../road/sim.rs"]
#[allow(dead_code, reason = "the road uses the rest")]
mod sim;

mod single;
mod tools;

use sim::World;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tools::Tools;
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::Choice;
use trefoil_domain::job::event_message;
use trefoil_domain::ports::{Clock, Destination, Disposition, QueueName};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::route::Router;
use trefoil_domain::steps::scan::scan;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::steps::send_segment::SegmentSender;
use trefoil_domain::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const QUEUES: [QueueName; 6] = [
    QueueName::Events,
    QueueName::CustomerioState,
    QueueName::Customerio,
    QueueName::IntercomState,
    QueueName::Intercom,
    QueueName::Segment,
];

const ROUTES: &str = "
routes:
  - name: people to Customer.io and Intercom
    on: segment.person.updated
    do:
      - customerio.update_person: { create: true, attributes: { step: \"${event.attributes.step}\" } }
      - intercom.upsert_contact: { create: true, attributes: { step: \"${event.attributes.step}\" } }
";

type Work<'w> = Pin<Box<dyn Future<Output = Vec<(String, Disposition)>> + 'w>>;

struct Human {
    user: String,
    browser: String,
    /// What they did, when, in whichever tool.
    acts: Vec<(i64, Choice)>,
}

impl Human {
    /// The latest act was an opt-out. Of two in one second nobody knows which was the later.
    fn is_out(&self) -> bool {
        self.acts.iter().map(|(at, choice)| (*at, *choice == Choice::Out)).max().is_some_and(|(_, out)| out)
    }
}

struct Case<'w> {
    world: &'w World,
    tools: &'w Tools<'w>,
    config: &'w Config,
    routes: &'w Routes,
    names: EventNameBudget,
    crashes: usize,
}

impl Case<'_> {
    /// Lets workers work until nothing is left to do before `until`; `happens` is asked now and then for the next thing that
    /// happens outside, and says whether there was one.
    fn run(&self, until: Timestamp, mut happens: impl FnMut() -> bool) {
        let Self { world, tools, config, routes, names, crashes } = self;
        let router = Router { store: *world, queue: *world, clock: *world, jitter: *world, config, routes };
        let customerio = CustomerioSender { store: *world, queue: *world, clock: *world, jitter: *world, customerio: *tools, config };
        let intercom = IntercomSender { store: *world, queue: *world, clock: *world, jitter: *world, intercom: *tools, config, names };
        let segment = SegmentSender { store: *world, queue: *world, clock: *world, jitter: *world, segment: *tools, config };
        let mut running: Vec<(QueueName, Work<'_>)> = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut goes_on = true;
        for turn in 0.. {
            assert!(turn < 1_000_000, "it goes on for ever");
            for event in tools.arrived() {
                world.put(QueueName::Events, event_message(&event).expect("an event is JSON"));
            }
            if goes_on && world.dice.percent(2) {
                goes_on = happens();
            }
            if running.len() < 3 && (running.is_empty() || world.dice.percent(50)) {
                let first = world.dice.below(QUEUES.len());
                let next = (0..QUEUES.len()).map(|i| QUEUES[(first + i) % QUEUES.len()]).find_map(|queue| {
                    let batch = world.receive(queue, 1 + world.dice.below(10));
                    (!batch.is_empty()).then_some((queue, batch))
                });
                if let Some((queue, batch)) = next {
                    let work: Work<'_> = match queue {
                        QueueName::Events => Box::pin(router.handle(batch)),
                        QueueName::CustomerioState | QueueName::Customerio => Box::pin(customerio.handle(queue, batch)),
                        QueueName::IntercomState | QueueName::Intercom => Box::pin(intercom.handle(queue, batch)),
                        QueueName::Segment => Box::pin(segment.handle(batch)),
                        QueueName::Parked => unreachable!("nobody works on these"),
                    };
                    running.push((queue, work));
                } else if running.is_empty() {
                    if goes_on && world.dice.percent(30) {
                        goes_on = happens();
                        continue;
                    }
                    let next = [world.next_time(), tools.next_arrival()].into_iter().flatten().min();
                    match next.filter(|at| *at <= until) {
                        Some(at) => world.advance_to(at),
                        None if goes_on => goes_on = happens(),
                        None => return,
                    }
                    let mut scanning = Box::pin(scan(*world, *world, *world));
                    while scanning.as_mut().poll(&mut context).is_pending() {}
                }
                continue;
            }
            let Some(chosen) = (!running.is_empty()).then(|| world.dice.below(running.len())) else { continue };
            if world.dice.percent(*crashes) && world.dice.percent(20) {
                drop(running.swap_remove(chosen));
                continue;
            }
            if let Poll::Ready(dispositions) = running[chosen].1.as_mut().poll(&mut context) {
                let (queue, _) = running.swap_remove(chosen);
                world.settle(queue, dispositions);
            }
        }
    }

    fn drain(&self, for_: Span) {
        let until = self.world.now().plus(for_);
        self.run(until, || false);
        self.world.advance_to(until);
    }
}

/// One thing that happens outside.
fn happens(world: &World, tools: &Tools<'_>, human: &mut Human, pause: Span) {
    let dice = &world.dice;
    world.advance_to(Timestamp::from_secs(world.now().plus(pause).secs() + 1));
    let tool = Destination::ALL[dice.below(3)];
    let user = human.user.clone();
    match dice.below(12) {
        0..=3 => {
            let choice = if tool == Destination::Segment || dice.percent(50) { Choice::Out } else { Choice::In };
            if tools.chooses(tool, &user, choice) {
                human.acts.push((world.now().secs(), choice));
            }
        }
        4 => {
            tools.browser_opts_out(&human.browser);
            human.acts.push((world.now().secs(), Choice::Out));
        }
        5 => tools.signs_in(&user, &human.browser),
        6 => tools.identifies(&user, dice.percent(50)),
        7 => tools.states(tool, &user),
        8 => tools.delete(tool, &user, dice.percent(70)),
        9 => tools.merges(&user, dice.percent(50)),
        10 | 11 => tools.make(tool, &user, dice.percent(70)),
        _ => unreachable!("a dice of twelve"),
    }
}

fn play(seed: u64) {
    let world = World::new(seed, NOW);
    let tools = Tools::new(&world);
    let explicit =
        ["", "intercom.person.subscribed", "customerio.person.subscribed", "intercom.person.subscribed, customerio.person.subscribed"];
    let explicit = explicit[world.dice.below(4)];
    let file = format!("version: 1\nconsent:\n  explicit_opt_ins: [{explicit}]\n{ROUTES}");
    let (config, routes) = config::check("trefoil.yaml", &file).unwrap_or_else(|problems| panic!("{problems:?}"));
    let crashes = [0, 5][world.dice.below(2)];
    let case = Case { world: &world, tools: &tools, config: &config, routes: &routes, names: EventNameBudget::new(&config), crashes };
    let mut humans: Vec<Human> =
        (0..1 + world.dice.below(2)).map(|n| Human { user: format!("u{n}"), browser: format!("b{n}"), acts: Vec::new() }).collect();
    for human in &humans {
        for tool in Destination::ALL {
            if world.dice.percent(80) {
                tools.make(tool, &human.user, world.dice.percent(80));
            }
        }
        tools.identifies(&human.user, false);
    }
    let mut left = 2 + world.dice.below(16);
    let pauses = [Span::ZERO, Span::from_secs(3), Span::from_mins(10), Span::from_hours(3)];
    case.run(NOW.plus(Span::from_days(2)), || {
        let pause = pauses[world.dice.below(4)];
        let chosen = world.dice.below(humans.len());
        happens(&world, &tools, &mut humans[chosen], pause);
        left -= 1;
        left > 0
    });
    // In the end the outages are over, it is known whose each browser is, and life goes on for a while.
    tools.failing.store(0, Ordering::Relaxed);
    for round in 0..2 {
        case.drain(Span::from_hours(30));
        for human in &humans {
            if round == 0 {
                tools.signs_in(&human.user, &human.browser);
            }
            tools.identifies(&human.user, false);
        }
    }
    case.drain(Span::from_hours(30));
    for human in humans.iter().filter(|human| human.is_out()) {
        assert_eq!(tools.still_in(&human.user), Vec::<String>::new(), "seed {seed}: {} is out: {:?}", human.user, human.acts);
    }
}

#[test]
fn an_opt_out_reaches_every_living_record() {
    // One case alone: SEED=… cargo test --test opt_outs
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        return play(seed);
    }
    let cases = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000);
    (0..cases).for_each(play);
}
