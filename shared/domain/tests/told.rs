//! What the tools are told of consent, under any interleaving of acts, beliefs and echoes: never looser than it has to be, and
//! at rest.

#[path = "support/cases.rs"]
mod cases;

use proptest::prelude::*;
use std::collections::BTreeMap;
use trefoil_domain::config::ConsentConfig;
use trefoil_domain::consent::{Channels, Consent, Subject, switches};
use trefoil_domain::event::{Channel, Choice, ConsentChange, Source, Topic, event_id};
use trefoil_domain::id::EventId;
use trefoil_domain::ports::Destination;
use trefoil_domain::time::Timestamp;

#[derive(Clone, Debug)]
enum Step {
    /// The second: when it is said to have been done, before now.
    Act(usize, Change, i64),
    Belief(usize, Change, i64),
    /// The tool says what it was told last.
    Echo(usize, Destination, bool),
    Merge(usize, usize),
    /// The same again.
    Repeat,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    source: Source,
    /// Everything, e-mail, or the topic.
    about: u8,
    choice: Choice,
}

const RECORDS: usize = 2;
const TOOLS: [Destination; 3] = Destination::ALL;

fn rules(explicit: &[Source]) -> ConsentConfig {
    let ids = |tool: &Destination| if *tool == Destination::Intercom { "194" } else { "topic_1" }.to_owned();
    let topics = TOOLS.iter().map(|tool| (*tool, ids(tool))).collect();
    ConsentConfig { explicit_opt_ins: explicit.to_vec(), switches: switches(&Channels::new(), &[topics]) }
}

fn said(change: Change) -> ConsentChange {
    let id = if change.source == Source::Intercom { "194" } else { "topic_1" };
    let topic = (change.about == 2).then(|| Topic { id: id.to_owned(), name: None });
    // Of each tool what it has: Intercom knows e-mail, the others everything.
    let channel = (change.about == 1 || (change.about == 0 && change.source == Source::Intercom)).then_some(Channel::Email);
    ConsentChange { channel, topic, choice: change.choice }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(1_768_000_000 + second)
}

fn name(step: usize) -> EventId {
    event_id(Source::Trefoil, &trefoil_domain::event::Workspace::new("main").expect("a workspace"), &[&step.to_string()])
}

fn step() -> impl Strategy<Value = Step> {
    let source = prop_oneof![Just(Source::Intercom), Just(Source::Customerio), Just(Source::Segment)];
    let choice = prop_oneof![Just(Choice::Out), Just(Choice::In)];
    let change = (source, 0..3_u8, choice).prop_map(|(source, about, choice)| Change { source, about, choice });
    let tool = prop_oneof![Just(TOOLS[0]), Just(TOOLS[1]), Just(TOOLS[2])];
    prop_oneof![
        5 => (0..RECORDS, change.clone(), 0..4_i64).prop_map(|(r, c, ago)| Step::Act(r, c, ago)),
        2 => (0..RECORDS, change, 0..4_i64).prop_map(|(r, c, ago)| Step::Belief(r, c, ago)),
        3 => (0..RECORDS, tool, any::<bool>()).prop_map(|(r, tool, act)| Step::Echo(r, tool, act)),
        1 => (0..RECORDS, 0..RECORDS).prop_map(|(a, b)| Step::Merge(a, b)),
        1 => Just(Step::Repeat),
    ]
}

type Told = BTreeMap<(Destination, String), (Choice, Timestamp)>;

fn told(consent: &Consent) -> Told {
    let of = |tool: Destination| consent.told(tool).map(move |(key, belief)| ((tool, key.to_owned()), (belief.choice, belief.at)));
    TOOLS.into_iter().flat_map(of).collect()
}

fn out_of(consent: &Consent) -> Vec<Subject> {
    consent.out().cloned().collect()
}

fn echo(tool: Destination, key: &str, choice: Choice) -> Change {
    let about = match key {
        "email" | "unsubscribed" => 0,
        _ => 2,
    };
    Change { source: tool.source(), about, choice }
}

struct Case {
    records: Vec<Consent>,
    rules: ConsentConfig,
    now: i64,
}

impl Case {
    fn take(&mut self, step: &Step, number: usize) {
        let now = at(self.now);
        let record = match step {
            Step::Act(record, change, ago) => {
                self.records[*record].note_act(change.source, &said(*change), at(self.now - ago), &self.rules);
                *record
            }
            Step::Belief(record, change, ago) => {
                self.records[*record].note_belief(change.source, &said(*change), at(self.now - ago), &self.rules);
                *record
            }
            Step::Echo(record, tool, act) => {
                for ((_, key), (choice, _)) in told(&self.records[*record]).into_iter().filter(|((t, _), _)| t == tool) {
                    let change = echo(*tool, &key, choice);
                    let consent = &mut self.records[*record];
                    // An event of Segment is never ours: it says what somebody did.
                    if *act && *tool != Destination::Segment {
                        consent.note_act(change.source, &said(change), now, &self.rules);
                    } else {
                        consent.note_belief(change.source, &said(change), now, &self.rules);
                    }
                }
                *record
            }
            Step::Merge(into, from) if into != from => {
                let gone = std::mem::take(&mut self.records[*from]);
                self.records[*into].absorb(gone);
                self.records[*into].settle(&name(number), true, &[], &self.rules, now);
                return;
            }
            Step::Merge(..) | Step::Repeat => return,
        };
        self.records[record].settle(&name(number), false, &[], &self.rules, now);
    }
}

fn play(steps: &[Step], explicit: &[Source]) -> Result<(), TestCaseError> {
    let mut case = Case { records: vec![Consent::default(); RECORDS], rules: rules(explicit), now: 100 };
    let mut last: Option<Step> = None;
    for (number, step) in steps.iter().enumerate() {
        case.now += 1;
        let step = if let (Step::Repeat, Some(last)) = (step, &last) { last.clone() } else { step.clone() };
        let before: Vec<Consent> = case.records.clone();
        case.take(&step, number);
        for (record, was) in before.iter().enumerate() {
            let is = &case.records[record];
            // Settled is settled.
            let mut again = is.clone();
            again.settle(&name(1_000_000), false, &[], &case.rules, at(case.now + 50));
            prop_assert_eq!(&again, is, "settled twice after {:?}", step);
            if !matches!(&step, Step::Merge(..)) && was == is {
                continue;
            }
            let (out, now) = (out_of(was), out_of(is));
            let lost: Vec<&Subject> = out.iter().filter(|subject| !now.contains(subject)).collect();
            match &step {
                Step::Act(_, Change { source, choice: Choice::In, .. }, _) if explicit.contains(source) => {}
                Step::Merge(_, from) if *from == record => {}
                _ => prop_assert!(lost.is_empty(), "{:?} loosened {:?}", step, lost),
            }
            if let Step::Echo(..) = step {
                prop_assert_eq!(&out, &now, "an echo is no news");
                // A human may have done it as well: so it may tighten.
                for (switch, belief) in told(is) {
                    prop_assert!(belief.0 == Choice::Out || told(was).get(&switch) == Some(&belief), "{:?} loosens {:?}", step, switch);
                }
            }
            if let Step::Merge(into, from) = &step
                && into != from
                && *into == record
            {
                let both = out.iter().cloned().chain(out_of(&before[*from]));
                for subject in both {
                    prop_assert!(now.contains(&subject), "{} was resurrected", subject);
                }
            }
            // A tool is told to take somebody in again only where they are out of nothing that it covers.
            for ((tool, key), (choice, _)) in told(is) {
                let everything = is.is_out_of(Channel::Email);
                let is_global = matches!(key.as_str(), "email" | "unsubscribed");
                let newly = told(was).get(&(tool, key.clone())) != told(is).get(&(tool, key.clone()));
                if choice == Choice::In && is_global && newly {
                    prop_assert!(!everything, "{:?} {} is told in though out", tool, key);
                    prop_assert!(!explicit.is_empty());
                }
            }
        }
        last = Some(step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases::many())]

    #[test]
    fn tools_are_never_told_looser(
        steps in proptest::collection::vec(step(), 0..25),
        explicit in prop_oneof![
            Just(Vec::new()),
            Just(vec![Source::Segment]),
            Just(vec![Source::Customerio, Source::Intercom]),
        ],
    ) {
        play(&steps, &explicit)?;
    }

    /// Whoever is out, and has not taken that back in the tool itself, is out in every tool that knows what they are out of.
    #[test]
    fn an_opt_out_reaches_every_other_tool(source in 0..3_usize, about in 0..3_u8, before in proptest::collection::vec(step(), 0..10)) {
        let mut case = Case { records: vec![Consent::default(); RECORDS], rules: rules(&[]), now: 100 };
        for (number, step) in before.iter().enumerate() {
            case.now += 1;
            case.take(step, number);
        }
        case.now += 10;
        let change = Change { source: TOOLS[source].source(), about, choice: Choice::Out };
        case.take(&Step::Act(0, change, 0), 99);
        // Everything and e-mail are one switch, but for Customer.io's own word on e-mail alone, which has none.
        for tool in TOOLS.into_iter().filter(|tool| *tool != TOOLS[source]) {
            let key = match (about, tool) {
                (0 | 1, Destination::Intercom) => "email",
                (0 | 1, _) => "unsubscribed",
                (_, Destination::Customerio) => "cio_subscription_preferences.topics.topic_1",
                (_, Destination::Intercom) => "194",
                (_, Destination::Segment) => "unsubscribed_topic_1",
            };
            let told = told(&case.records[0]).get(&(tool, key.to_owned())).map(|(choice, _)| *choice);
            // It may have said so itself.
            let knows = before.iter().any(|step| matches!(step, Step::Act(_, c, _) | Step::Belief(_, c, _) if c.source == tool.source() && c.choice == Choice::Out));
            prop_assert!(told == Some(Choice::Out) || knows, "{:?} {} was told {:?}", tool, key, told);
        }
    }
}

#[test]
fn a_tool_whose_clock_is_ahead_is_told_once() {
    let (rules, mut consent) = (rules(&[]), Consent::default());
    let change = |source, choice| said(Change { source, about: 0, choice });
    consent.note_act(Source::Segment, &change(Source::Segment, Choice::Out), at(1), &rules);
    consent.note_belief(Source::Intercom, &change(Source::Intercom, Choice::In), at(9000), &rules);
    consent.settle(&name(1), false, &[], &rules, at(2));
    let version = consent.version();
    for n in 2..20 {
        consent.settle(&name(n), false, &[], &rules, at(2));
    }
    assert_eq!(consent.version(), version);
}
