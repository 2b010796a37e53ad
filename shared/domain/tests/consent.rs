//! Consent under any interleaving: it never loosens by itself.

#[path = "support/cases.rs"]
mod cases;

use proptest::prelude::*;
use trefoil_domain::config::ConsentConfig;
use trefoil_domain::consent::{Consent, How, Said, Subject};
use trefoil_domain::event::{Channel, Choice, ConsentChange, IdKind, Source, Topic, Workspace, event_id};
use trefoil_domain::person::RecordKey;
use trefoil_domain::ports::Destination;
use trefoil_domain::time::Timestamp;

/// What happens to one of several records of one human.
#[derive(Clone, Debug)]
enum Step {
    Act {
        record: usize,
        source: Source,
        change: ConsentChange,
        at: i64,
        explicit: bool,
    },
    Belief {
        record: usize,
        source: Source,
        change: ConsentChange,
        at: i64,
    },
    /// The second goes into the first.
    Merge(usize, usize),
}

const RECORDS: usize = 3;

fn change() -> impl Strategy<Value = ConsentChange> {
    let channel = prop_oneof![Just(None), Just(Some(Channel::Email)), Just(Some(Channel::Sms))];
    let topic = prop_oneof![3 => Just(None), 1 => Just(Some(Topic { id: "topic_1".to_owned(), name: None }))];
    let choice = prop_oneof![Just(Choice::Out), Just(Choice::In)];
    (channel, topic, choice).prop_map(|(channel, topic, choice)| ConsentChange { channel, topic, choice })
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![Just(Source::Intercom), Just(Source::Customerio), Just(Source::Segment)]
}

fn step() -> impl Strategy<Value = Step> {
    let act = (0..RECORDS, source(), change(), 0..12_i64, any::<bool>()).prop_map(|(record, source, change, at, explicit)| Step::Act {
        record,
        source,
        change,
        at,
        explicit,
    });
    let belief =
        (0..RECORDS, source(), change(), 0..12_i64).prop_map(|(record, source, change, at)| Step::Belief { record, source, change, at });
    let merge = (0..RECORDS, 0..RECORDS).prop_map(|(into, from)| Step::Merge(into, from));
    prop_oneof![5 => act, 3 => belief, 1 => merge]
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_768_000_000 + secs)
}

fn rules(explicit_opt_ins: Vec<Source>) -> ConsentConfig {
    ConsentConfig { explicit_opt_ins, ..ConsentConfig::default() }
}

/// Into everything is into each channel, though not into a topic.
fn covers(into: &Subject, subject: &Subject) -> bool {
    *into == Subject::new(None, None) && !subject.to_string().contains('/')
}

/// What is said of the one record that a tool has of the person.
fn hear(consent: &mut Consent, source: Source, change: &ConsentChange, second: i64, how: How, rules: &ConsentConfig) {
    let record = RecordKey::named(source, IdKind::UserId, "u1");
    consent.hear(&Said { source, record: &record, change, at: at(second), how }, rules);
}

fn act(consent: &mut Consent, source: Source, change: &ConsentChange, second: i64, explicit: Vec<Source>) {
    hear(consent, source, change, second, How::Act, &rules(explicit));
}

fn state(consent: &mut Consent, source: Source, change: &ConsentChange, second: i64) {
    hear(consent, source, change, second, How::State, &rules(Vec::new()));
}

fn is_out(consent: &Consent, subject: &Subject) -> bool {
    consent.is_out(subject)
}

fn out_of(consent: &Consent) -> Vec<Subject> {
    consent.out().cloned().collect()
}

fn take(records: &mut [Consent], step: &Step) {
    match step {
        Step::Act { record, source, change, at: when, explicit } => {
            let explicit = if *explicit { vec![*source] } else { Vec::new() };
            act(&mut records[*record], *source, change, *when, explicit);
        }
        Step::Belief { record, source, change, at: when } => state(&mut records[*record], *source, change, *when),
        Step::Merge(into, from) if into != from => {
            let gone = std::mem::take(&mut records[*from]);
            records[*into].absorb(gone);
        }
        Step::Merge(..) => {}
    }
}

proptest! {
    #![proptest_config(cases::many())]

    /// Whoever is out stays out, unless an explicit opt-in is later than every opt-out that was ever told.
    #[test]
    fn it_never_loosens_by_itself(steps in proptest::collection::vec(step(), 0..25)) {
        let mut records = vec![Consent::default(); RECORDS];
        let mut told_out: Vec<(usize, Subject, i64)> = Vec::new();
        for step in &steps {
            let before: Vec<Vec<Subject>> = records.iter().map(out_of).collect();
            take(&mut records, step);
            if let Step::Merge(into, from) = step {
                // The opt-outs of both are those of the one that is left.
                for (record, ..) in told_out.iter_mut().filter(|(record, ..)| record == from) {
                    *record = *into;
                }
                if into != from {
                    for subject in before[*into].iter().chain(&before[*from]) {
                        prop_assert!(is_out(&records[*into], subject), "{subject} was out before the merge");
                    }
                }
                continue;
            }
            for (record, before) in before.iter().enumerate() {
                for subject in before.iter().filter(|subject| !is_out(&records[record], subject)) {
                    let Step::Act { record: acting, source, change, at, explicit: true } = step else {
                        panic!("{subject} loosened by {step:?}");
                    };
                    let into = Subject::of(*source, change);
                    prop_assert!(*acting == record && change.choice == Choice::In && (into == *subject || covers(&into, subject)));
                    let latest = told_out.iter().filter(|(r, s, _)| *r == record && s == subject).map(|(_, _, at)| *at).max();
                    prop_assert!(latest.is_none_or(|out| out < *at), "{subject} is in since {at}, and was told out at {latest:?}");
                }
            }
            if let Step::Act { record, source, change, at, .. } = step
                && change.choice == Choice::Out
            {
                told_out.push((*record, Subject::of(*source, change), *at));
            }
        }
    }

    /// What tools believe, told late, may tighten; it never leaves somebody in who would be out had it come in order. Of those
    /// whom a tool believes to be in from the first on nothing is remembered, so they are left out.
    #[test]
    fn told_late_it_is_never_looser(
        told in proptest::collection::vec((source(), change(), 0..12_i64, any::<bool>()), 0..10),
        order in proptest::collection::vec(any::<u32>(), 10),
    ) {
        let explicit = Source::Segment;
        let tell = |told: &[(Source, ConsentChange, i64, bool)]| {
            let mut consent = Consent::default();
            for (source, change, when, is_act) in told {
                if *is_act { act(&mut consent, *source, change, *when, vec![explicit]) } else { state(&mut consent, *source, change, *when) }
            }
            consent
        };
        let believed_in = |(_, change, _, act): &(Source, ConsentChange, i64, bool)| change.choice == Choice::In && !*act;
        let told: Vec<_> = told.into_iter().filter(|one| !believed_in(one)).collect();
        let mut in_order = told.clone();
        // Of what is told of one second, in before out: the tie is out.
        in_order.sort_by_key(|(_, change, when, _)| (*when, change.choice));
        let mut shuffled: Vec<_> = told.iter().zip(&order).collect();
        shuffled.sort_by_key(|(_, key)| **key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(one, _)| one.clone()).collect();
        let late = tell(&shuffled);
        for subject in out_of(&tell(&in_order)) {
            prop_assert!(is_out(&late, &subject), "{}: {:?}", subject, shuffled);
        }
    }

    /// Of acts alone the order and the repeats do not matter, and the answer is the obvious one.
    #[test]
    fn acts_end_the_same_in_any_order(
        acts in proptest::collection::vec((source(), change(), 0..12_i64), 0..12),
        explicit in proptest::collection::vec(source(), 0..2),
        order in any::<proptest::sample::Index>(),
        again in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let tell = |told: &[(Source, ConsentChange, i64)]| {
            let mut consent = Consent::default();
            for (source, change, when) in told {
                act(&mut consent, *source, change, *when, explicit.clone());
            }
            consent
        };
        let mut shuffled = acts.clone();
        if !acts.is_empty() {
            shuffled.extend(again.iter().map(|index| index.get(&acts).clone()));
            let turned = order.index(shuffled.len());
            shuffled.rotate_left(turned);
            shuffled.reverse();
        }
        let wishes = |consent: &Consent| -> Vec<_> { consent.wishes().map(|(s, w)| (s.clone(), (w.out_at, w.in_at))).collect() };
        prop_assert_eq!(wishes(&tell(&acts)), wishes(&tell(&shuffled)));

        let consent = tell(&acts);
        for (source, change, _) in &acts {
            let subject = Subject::of(*source, change);
            let of = |choice: Choice| {
                let is = |other: Subject| other == subject || (choice == Choice::In && covers(&other, &subject));
                let this = acts.iter().filter(|(s, c, _)| is(Subject::of(*s, c)) && c.choice == choice);
                this.filter(|(s, c, _)| c.choice == Choice::Out || explicit.contains(s)).map(|(_, _, at)| *at).max()
            };
            // The last writer wins; a tie is out; who never opted out is in.
            let expected = of(Choice::Out).is_some_and(|out| of(Choice::In).is_none_or(|back_in| out >= back_in));
            prop_assert_eq!(is_out(&consent, &subject), expected, "{}", subject);
        }
    }
}

#[test]
fn a_tool_that_goes_on_reporting_an_opt_out_tells_no_news() {
    let mut consent = Consent::default();
    let email = |choice| ConsentChange { channel: Some(Channel::Email), topic: None, choice };
    state(&mut consent, Source::Intercom, &email(Choice::Out), 1);
    assert!(consent.is_out_of(Channel::Email), "an opt-out from before we came counts");
    act(&mut consent, Source::Customerio, &email(Choice::In), 5, vec![Source::Customerio]);
    assert!(!consent.is_out_of(Channel::Email));
    // Intercom has not been told yet, and says so with every change of the contact.
    state(&mut consent, Source::Intercom, &email(Choice::Out), 6);
    assert!(!consent.is_out_of(Channel::Email));
    act(&mut consent, Source::Intercom, &email(Choice::Out), 6, Vec::new());
    assert!(consent.is_out_of(Channel::Email), "an act is news");
}

#[test]
fn an_opt_in_holds_for_its_own_tool_alone() {
    let mut consent = Consent::default();
    let all = |choice| ConsentChange { channel: None, topic: None, choice };
    act(&mut consent, Source::Customerio, &all(Choice::Out), 1, Vec::new());
    act(&mut consent, Source::Customerio, &all(Choice::In), 2, Vec::new());
    assert!(consent.is_out_of(Channel::Email) && consent.is_out_of(Channel::Sms));
    let rules = rules(Vec::new());
    let out_at = |tool| consent.wants_out(tool, &rules);
    assert_eq!(Destination::ALL.map(out_at), [false, true, true], "Customer.io alone is left as it is");
}

#[test]
fn what_is_told_of_one_tool_does_not_widen_by_its_echo() {
    let mut consent = Consent::default();
    let change = |channel| ConsentChange { channel, topic: None, choice: Choice::Out };
    act(&mut consent, Source::Intercom, &change(Some(Channel::Email)), 1, Vec::new());
    let event = event_id(Source::Intercom, &Workspace::new("main").expect("a workspace"), &["out"]);
    consent.settle(&event, false, &rules(Vec::new()));
    // Customer.io, told so, has but one switch and reports that.
    act(&mut consent, Source::Customerio, &change(None), 3, Vec::new());
    act(&mut consent, Source::Customerio, &change(None), 3, Vec::new());
    state(&mut consent, Source::Customerio, &change(None), 4);
    assert!(consent.is_out_of(Channel::Email) && !consent.is_out_of(Channel::Sms));
    act(&mut consent, Source::Customerio, &change(None), 9, Vec::new());
    assert!(consent.is_out_of(Channel::Sms), "a second one is the person's own");
}

#[test]
fn more_topics_than_can_be_kept_close_the_channel() {
    let mut consent = Consent::default();
    for n in 0..300 {
        let topic = Some(Topic { id: format!("topic_{n}"), name: None });
        let change = ConsentChange { channel: Some(Channel::Email), topic, choice: Choice::Out };
        act(&mut consent, Source::Customerio, &change, n, Vec::new());
    }
    assert!(consent.is_out_of(Channel::Email), "no opt-out is lost");
    assert!(consent.wishes().count() <= 201);
}

#[test]
fn a_new_record_leaves_the_jobs_again() {
    let rules = rules(Vec::new());
    let event = |name: &str| event_id(Source::Intercom, &Workspace::new("main").expect("a workspace"), &[name]);
    let mut consent = Consent::default();
    act(&mut consent, Source::Segment, &ConsentChange { channel: None, topic: None, choice: Choice::Out }, 1, Vec::new());
    consent.settle(&event("out"), false, &rules);
    assert!(Destination::ALL.iter().all(|tool| consent.moved_by(&event("out"), *tool).is_some()));
    consent.settle(&event("nothing new"), false, &rules);
    assert!(Destination::ALL.iter().all(|tool| consent.moved_by(&event("nothing new"), *tool).is_none()));
    consent.settle(&event("new record"), true, &rules);
    assert!(Destination::ALL.iter().all(|tool| consent.moved_by(&event("new record"), *tool).is_some()));
}

#[test]
fn the_latest_report_counts_and_not_the_last_webhook() {
    let all = |choice| ConsentChange { channel: None, topic: None, choice };
    let rules = rules(Vec::new());
    let record = RecordKey::named(Source::Customerio, IdKind::UserId, "u1");
    for late_first in [false, true] {
        let mut consent = Consent::default();
        act(&mut consent, Source::Segment, &all(Choice::Out), 1, Vec::new());
        let reports = [(2, Choice::In), (3, Choice::Out)];
        let order = if late_first { [reports[1], reports[0]] } else { reports };
        order.iter().for_each(|(second, choice)| state(&mut consent, Source::Customerio, &all(*choice), *second));
        let wanted = consent.wanted(Destination::Customerio, &rules).next().expect("out");
        assert!(!wanted.must_be_told(Some(&record), None), "the profile said so itself, last");
    }
}

#[test]
fn an_opt_in_that_may_be_the_echo_of_ours_takes_nobody_back_in() {
    let explicit = vec![Source::Intercom, Source::Customerio];
    let rules = rules(explicit.clone());
    let all = |choice| ConsentChange { channel: None, topic: None, choice };
    let mut consent = Consent::default();
    let said = [(Source::Segment, 1, Choice::Out), (Source::Intercom, 2, Choice::In), (Source::Segment, 3, Choice::Out)];
    for (source, second, choice) in said {
        act(&mut consent, source, &all(choice), second, explicit.clone());
        let event = event_id(source, &Workspace::new("main").expect("a workspace"), &[&second.to_string()]);
        consent.settle(&event, false, &rules);
    }
    // Customer.io was told of the opt-in at 2, and reports that.
    act(&mut consent, Source::Customerio, &all(Choice::In), 4, explicit);
    assert!(consent.is_out_of(Channel::Email), "the latest act is the opt-out at 3");
}
