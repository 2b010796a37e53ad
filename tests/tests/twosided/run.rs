//! One seed from the first event to rest: the clock jumps from one thing that happens to the next.

use crate::checks;
use crate::life::{LIST, Life, Rules, TOPIC};
use crate::oracle::Tool;
use crate::post::{Body, LONGEST_DELAY, Mail};
use crate::road::{Hand, Road, Tools};
use crate::writes::{self, Write, by_tool};
use fastrand::Rng;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use trefoil_domain::config::EMBEDDED;
use trefoil_domain::ports::Clock as _;
use trefoil_domain::steps::ingest::Answer;
use trefoil_domain::time::{Span, Timestamp};
use trefoil_standins::Clock;
use trefoil_standins::customerio::{self, Campaign, CustomerIo};
use trefoil_standins::intercom::{self, Intercom};
use trefoil_standins::segment::{self, BatchSignature, Segment};

/// 2024-05-14T09:30:00Z
const BEGIN: Timestamp = Timestamp::from_secs(1_715_679_000);
/// Whoever is there already has been told of by then.
const SETTLED: Span = Span::from_mins(30);
const LAST_EVENT: Span = Span::from_mins(3_000);
const END: Span = Span::from_mins(10_000);
/// Nothing is written from then on: what waits for a profile waits for 72 hours.
const QUIET: Span = Span::from_mins(8_000);

pub(crate) struct Outcome {
    pub(crate) summary: String,
    /// What does not hold.
    pub(crate) problems: Vec<String>,
    /// All that was written, in order.
    pub(crate) trace: Vec<String>,
}

pub(crate) struct World {
    pub(crate) tools: Tools,
    pub(crate) road: Road,
    pub(crate) life: Life,
    pub(crate) writes: Vec<Write>,
    pub(crate) problems: Vec<String>,
    mail: Mail,
    /// Of our own messages, that came back.
    pub(crate) echoes: (usize, usize),
}

/// `events` things happen outside.
pub(crate) async fn run(seed: u64, events: usize) -> Outcome {
    let mut dice = Rng::with_seed(seed);
    let millis = Arc::new(AtomicI64::new(BEGIN.millis()));
    let tools = tools(seed, &Clock::Manual(Arc::clone(&millis)), &mut dice).await;
    let (rules, yaml) = rules(&mut dice);
    // Whatever is durable there is so only as long as the machine runs: enough for a test.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
    let road = Road::open(folder.path(), Hand(millis), &yaml, &tools);
    let (life, posts) = Life::begin(&tools, rules);
    let mut world = World { tools, road, life, writes: Vec::new(), problems: Vec::new(), mail: Mail::default(), echoes: (0, 0) };
    world.send(posts, &mut dice);

    let mut moments: Vec<Timestamp> = (0..events)
        .map(|_| SETTLED.secs_ceil() + dice.i64(0..(LAST_EVENT.secs_ceil() - SETTLED.secs_ceil())))
        .map(|secs| BEGIN.plus(Span::from_secs(secs)))
        .collect();
    // Now and then two at once.
    for place in 1..moments.len() {
        if dice.u8(..20) == 0 {
            moments[place] = moments[place - 1];
        }
    }
    moments.sort();
    let mut moments = moments.into_iter().peekable();
    let mut outside = 0;
    let (mut steps, begun) = (0, std::time::Instant::now());
    loop {
        steps += 1;
        let now = world.road.hand.now();
        world.road.work().await;
        world.collect(&mut dice);
        if world.mail.next().is_none() && world.road.waiting().await.is_empty() {
            checks::nobody_is_written_to_against_their_wish(&mut world);
        }
        let next = [moments.peek().copied(), world.mail.next(), world.road.next().await].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= BEGIN.plus(END)) else { break };
        assert!(
            next > now || moments.peek() == Some(&next) || world.mail.next() == Some(next),
            "seed {seed}: the clock stands still at {now:?}"
        );
        world.road.hand.set(next.max(now));
        while moments.next_if(|at| *at <= next).is_some() {
            // What cannot happen to this one happens to another.
            let posts = (0..50).find_map(|_| world.life.happens(&world.tools, next.secs(), &mut dice));
            outside += usize::from(posts.is_some());
            world.send(posts.unwrap_or_default(), &mut dice);
            world.collect(&mut dice);
        }
        for post in world.mail.take(next) {
            let answer = world.road.take_in(&post).await;
            world.count_echoes(&post, &answer);
        }
    }
    world.road.hand.set(BEGIN.plus(END));
    checks::at_rest(&mut world, BEGIN.plus(QUIET), BEGIN.plus(LAST_EVENT).plus(LONGEST_DELAY)).await;
    let parked = world.road.parked().await;
    let summary = format!(
        "{outside} events, {steps} steps in {:?}, written {:?}, woken {}, echoes {:?}, {:?}, parked {parked:?}",
        begun.elapsed(),
        by_tool(&world.writes),
        world.road.woken,
        world.echoes,
        world.road.answers,
    );
    if std::env::var("DIARY").is_ok() {
        world.life.diary.iter().for_each(|line| println!("{line}"));
        world.writes.iter().for_each(|write| println!("{}", write.line));
    }
    let trace = world.writes.into_iter().map(|write| write.line).collect();
    Outcome { summary, problems: world.problems, trace }
}

impl World {
    fn send(&mut self, posts: Vec<Body>, dice: &mut Rng) {
        let now = self.road.hand.now();
        posts.into_iter().for_each(|post| self.mail.send(post, now, dice));
    }

    /// What the tools say by themselves, and of what was done to them.
    fn collect(&mut self, dice: &mut Rng) {
        self.life.follow_merges(&self.tools);
        writes::take(&self.tools, &mut self.life, &mut self.writes);
        let mut posts: Vec<Body> = self.tools.intercom.take_webhooks().into_iter().map(Body::Intercom).collect();
        posts.extend(self.tools.customerio.take_webhooks().into_iter().map(Body::Customerio));
        let whole = self.tools.segment.options().variants.batch_signature == BatchSignature::Whole;
        let webhooks = if whole { self.tools.segment.batch_webhooks(dice.usize(1..4)) } else { self.tools.segment.take_webhooks() };
        posts.extend(webhooks.into_iter().map(Body::Segment));
        for post in &posts {
            checks::note_evidence(post, &mut self.life);
        }
        self.send(posts, dice);
    }

    /// Our own messages are known by their ids here, and by something else there.
    fn count_echoes(&mut self, body: &Body, answer: &Answer) {
        let Body::Segment(webhook) = body else { return };
        self.echoes.0 += webhook.ids.iter().filter(|id| id.starts_with("trefoil-")).count();
        if let Answer::Accepted { dropped, .. } = answer {
            self.echoes.1 += dropped.get("own_echo").copied().unwrap_or_default();
        }
    }
}

async fn tools(seed: u64, clock: &Clock, dice: &mut Rng) -> Tools {
    let attributes = ["name", "subscription_plan", "has_open_ticket", "unsubscribed"].map(str::to_owned).to_vec();
    let campaigns = vec![
        Campaign::AttributesChanged(attributes),
        Campaign::EventConverts("Order Completed".to_owned()),
        Campaign::EventConverts("support_ticket_opened".to_owned()),
        Campaign::SegmentOf {
            attribute: "has_open_ticket".to_owned(),
            value: "true".to_owned(),
            segment: 9,
            name: "In support".to_owned(),
        },
    ];
    let customerio = customerio::Options {
        clock: clock.clone(),
        seed,
        variants: customerio::Variants::seeded(seed),
        visible_after: Duration::from_secs(dice.choice([0, 5, 30]).unwrap_or(0)),
        with_content: true,
        campaigns,
        ..customerio::Options::default()
    };
    let intercom = intercom::Options {
        clock: clock.clone(),
        seed,
        variants: intercom::Variants::seeded(seed),
        requests_per_window: u32::MAX,
        has_everything: true,
        ..intercom::Options::default()
    };
    let segment = segment::Options {
        clock: clock.clone(),
        seed,
        variants: segment::Variants::seeded(seed),
        requests_per_second: u32::MAX,
        ..segment::Options::default()
    };
    let tools = Tools {
        intercom: Intercom::start(intercom).await.expect("a free port"),
        customerio: CustomerIo::start(customerio).await.expect("a free port"),
        segment: Segment::start(segment).await.expect("a free port"),
    };
    tools.customerio.add_topic(TOPIC, "Product news", true);
    tools.customerio.set_name("campaigns", 7, "Welcome");
    tools
}

/// The shipped file; in half of the runs with a topic, opt-ins that count everywhere, and a route that passes back what the shipped
/// ones pass on.
fn rules(dice: &mut Rng) -> (Rules, String) {
    const NEWSLETTER: &str = "37846";
    const BACK: &str = "routes:\n  - name: back to Intercom\n    on: customerio.person.updated\n    do:\n      - intercom.upsert_contact:\n          name: \"${event.attributes.name}\"\n          attributes:\n            plan: \"${event.attributes.subscription_plan}\"\n";
    if dice.bool() {
        return (Rules { topic: None, explicit: Vec::new() }, EMBEDDED.to_owned());
    }
    let mut explicit = Vec::new();
    for tool in [Tool::Intercom, Tool::Customerio] {
        if dice.u8(..3) > 0 {
            explicit.push(tool);
        }
    }
    let words: Vec<&str> = explicit
        .iter()
        .map(|tool| if *tool == Tool::Intercom { "intercom.person.subscribed" } else { "customerio.person.subscribed" })
        .collect();
    let consent = format!(
        "\nconsent:\n  explicit_opt_ins: [{}]\n  topics:\n    - {{ customerio: topic_{TOPIC}, intercom: \"{NEWSLETTER}\", segment: {LIST} }}\n",
        words.join(", ")
    );
    let yaml = EMBEDDED.replacen("\nroutes:\n", &format!("\n{BACK}"), 1) + &consent;
    (Rules { topic: Some(NEWSLETTER), explicit }, yaml)
}
