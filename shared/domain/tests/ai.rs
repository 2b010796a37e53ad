//! What an AI answers, and how it counts: each rule as a small story, and all evidence in any order against an oracle that
//! knows what happened.

use proptest::prelude::*;
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Source, Workspace, event_id};
use trefoil_domain::facet::Summary;
use trefoil_domain::fold::fold;
use trefoil_domain::person::Person;
use trefoil_domain::tickets::*;
use trefoil_domain::time::{Span, Timestamp};

const T: i64 = 1_768_000_000;

fn secs(n: i64) -> Timestamp {
    Timestamp::from_secs(T + n)
}

fn identifier() -> Identifier {
    Identifier::new(IdKind::IntercomId, "c1").expect("valid")
}

fn nobody_yet() -> Person {
    Person::new(&Workspace::new("main").expect("valid"), &identifier(), secs(0))
}

fn counting(ai: &str) -> Config {
    let text = format!("version: 1\ntickets: {{ count: {{ ai: {ai} }} }}\nsuppress: {{ renewal: {{ csat_at_most: 2, for: 30d }} }}\n");
    config::check("t.yaml", &text).expect("a file").0
}

fn ticket_id() -> TicketId {
    TicketId::new("1").expect("valid")
}

/// A notification about the one conversation, with the state it shows.
fn told(fact: TicketFact, state: State, at: i64, part: u64, evidence: Evidence) -> TicketReport {
    let seen = vec![Sighting { register: Register::Conversation, state, at: secs(at), part, evidence }];
    TicketReport { seen, started_by: Some(StartedBy::Customer), opened_at: Some(secs(0)), ..TicketReport::new(ticket_id(), fact) }
}

fn with_ai(report: TicketReport, resolution: Option<AiResolution>) -> TicketReport {
    TicketReport { ai: Some(AiReport { resolution, preview: false, answered_at: None }), ..report }
}

fn event(name: &str, report: TicketReport) -> Event {
    let workspace = Workspace::new("main").expect("valid");
    let at = report.seen.first().map_or(secs(0), |seen| seen.at);
    Event {
        id: event_id(Source::Intercom, &workspace, &[name]),
        source: Source::Intercom,
        workspace,
        occurred_at: at,
        received_at: at,
        ids: vec![identifier()],
        person: None,
        origin: None,
        kind: Kind::Ticket(report),
    }
}

struct Story<'c> {
    person: Person,
    config: &'c Config,
    events: u32,
}

impl<'c> Story<'c> {
    fn new(config: &'c Config) -> Self {
        Self { person: nobody_yet(), config, events: 0 }
    }

    fn hears(&mut self, report: TicketReport) -> &mut Self {
        self.events += 1;
        let event = event(&self.events.to_string(), report);
        fold(&mut self.person, &event, None, self.config, event.received_at);
        self
    }

    fn ticket(&self) -> &Ticket {
        &self.person.tickets[&ticket_id()]
    }

    /// Whether it is open, and whether Intercom is to be asked.
    fn comes_to(&self) -> (bool, bool) {
        let count = &self.config.tickets.count;
        (self.ticket().status(count) == Status::Open, self.ticket().needs_re_read(count))
    }

    fn edges(&self) -> Vec<(EdgeKind, u32)> {
        let all = (1..=self.events).map(|n| event_id(Source::Intercom, &self.person.workspace, &[&n.to_string()]));
        all.flat_map(|id| self.ticket().edges_proved_by(&id).into_iter().map(|(kind, n, _)| (kind, n)).collect::<Vec<_>>()).collect()
    }
}

use AiResolution::{AssumedResolution, ConfirmedResolution, Escalated, NegativeFeedback, ProcedureHandoff};
use Evidence::{Cause, Plain, ReRead};
use State::{Closed, Open};

fn opened() -> TicketReport {
    told(TicketFact::Opened, Open, 0, 0, Cause)
}

/// The AI's answer, after which it had come to this.
fn answered(at: i64, part: u64, resolution: Option<AiResolution>) -> TicketReport {
    with_ai(told(TicketFact::Replied { by: Author::Bot }, Open, at, part, Plain), resolution)
}

fn replied(at: i64, part: u64, resolution: Option<AiResolution>) -> TicketReport {
    with_ai(told(TicketFact::Replied { by: Author::Customer }, Open, at, part, Plain), resolution)
}

const OPEN: (bool, bool) = (true, false);
const OVER: (bool, bool) = (false, false);
const OPEN_AND_ASK: (bool, bool) = (true, true);

#[test]
fn a_conversation_is_over_when_the_ai_has_resolved_it_and_open_again_when_the_customer_comes_back() {
    let config = counting("until_resolved");
    for resolution in [AssumedResolution, ConfirmedResolution] {
        let mut story = Story::new(&config);
        story.hears(opened()).hears(answered(5, 10, None));
        assert_eq!(story.comes_to(), OPEN, "the AI is still talking");
        story.hears(answered(9, 11, Some(resolution)));
        assert_eq!(story.comes_to(), OVER);
        assert_eq!(story.ticket().status(&config.tickets.count), Status::Closed { at: secs(9) });
        story.hears(replied(20, 12, None));
        assert_eq!(story.comes_to(), OPEN);
        story.hears(answered(25, 13, Some(resolution)));
        assert_eq!(story.comes_to(), OVER);
        let edges = [(EdgeKind::Opened, 1), (EdgeKind::Resolved, 1), (EdgeKind::Reopened, 2), (EdgeKind::Resolved, 2)];
        assert_eq!(story.edges(), edges);
        assert_eq!(story.ticket().handled_by(), HandledBy::Ai);
    }
}

/// Whether the state is taken back in the very notification that tells of the return is not written down.
#[test]
fn a_return_that_still_shows_the_old_state_is_open_and_asked_about() {
    let config = counting("until_resolved");
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(9, 11, Some(AssumedResolution))).hears(replied(20, 12, Some(AssumedResolution)));
    assert_eq!(story.comes_to(), OPEN_AND_ASK);
    let answer = |resolution| with_ai(told(TicketFact::ReRead, Open, 20, 12, ReRead), resolution);
    let mut back = Story { person: story.person.clone(), ..story };
    back.hears(answer(None));
    assert_eq!(back.comes_to(), OPEN);
    // "That helped": it was a word of the customer that confirmed.
    story = Story { person: back.person.clone(), config: &config, events: 9 };
    story.hears(answer(Some(ConfirmedResolution)));
    assert_eq!(story.comes_to(), OVER);
}

#[test]
fn a_state_that_is_shown_no_more_was_taken_back() {
    let config = counting("until_resolved");
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(9, 11, Some(AssumedResolution)));
    story.hears(with_ai(told(TicketFact::Updated, Open, 30, 12, Plain), None));
    assert_eq!(story.comes_to(), OPEN);
    // An app of an older version shows no AI at all, and takes nothing back.
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(9, 11, Some(AssumedResolution))).hears(told(TicketFact::Updated, Open, 30, 12, Plain));
    assert_eq!(story.comes_to(), OVER);
}

/// By the passing of time alone: the item's own time stays what it was.
#[test]
fn what_was_assumed_is_found_by_asking_again() {
    let config = counting("until_resolved");
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(5, 10, None));
    let asked = |resolution| with_ai(told(TicketFact::ReRead, Open, 5, 10, ReRead), resolution);
    story.hears(asked(None));
    assert_eq!(story.comes_to(), OPEN);
    story.hears(asked(Some(AssumedResolution)));
    assert_eq!(story.comes_to(), OVER);
}

#[test]
fn a_conversation_that_an_ai_alone_has_answered_is_asked_about_when_its_day_is_over() {
    let config = counting("until_resolved");
    let mut story = Story::new(&config);
    story.hears(opened());
    assert_eq!(story.ticket().quiet_until(), Some(secs(0).plus(Span::from_hours(24))));
    let ai = AiReport { resolution: None, preview: false, answered_at: Some(secs(70)) };
    let noted = TicketReport { ai: Some(ai), ..told(TicketFact::Updated, Open, 90, 3, Plain) };
    story.hears(noted);
    assert_eq!(story.ticket().quiet_until(), Some(secs(70).plus(Span::from_mins(24 * 60 + 15))));
    story.hears(TicketReport { human: true, ..told(TicketFact::Updated, Open, 95, 4, Plain) });
    assert_eq!(story.ticket().quiet_until(), Some(secs(95).plus(Span::from_hours(24))), "a human takes care of it");
}

#[test]
fn an_ai_resolves_nothing_where_a_human_takes_part_or_an_intercom_ticket_waits_for_one() {
    let config = counting("until_resolved");
    let by_human: [fn(&mut TicketReport); 3] = [
        |report| report.human = true,
        |report| report.fact = TicketFact::Replied { by: Author::Teammate },
        |report| report.audience = Some(Audience::Customer),
    ];
    for takes_part in by_human {
        // Before and after the state is shown.
        for first in [true, false] {
            let mut noted = told(TicketFact::Updated, Open, 3, 2, Plain);
            takes_part(&mut noted);
            let resolved = answered(9, 11, Some(AssumedResolution));
            let mut story = Story::new(&config);
            story.hears(opened());
            for report in if first { [noted, resolved] } else { [resolved, noted] } {
                story.hears(report);
            }
            assert_eq!(story.comes_to(), OPEN);
        }
    }
}

#[test]
fn the_operator_may_count_by_the_state_of_the_conversation_alone() {
    let config = counting("always");
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(9, 11, Some(ConfirmedResolution)));
    assert_eq!(story.comes_to(), OPEN);
    // Nothing hangs on it, so nobody is asked.
    story.hears(replied(20, 12, Some(ConfirmedResolution)));
    assert_eq!(story.comes_to(), OPEN);
    story.hears(told(TicketFact::Closed, Closed, 30, 13, Cause));
    assert_eq!(story.comes_to(), OVER);
}

#[test]
fn the_operator_may_count_from_the_hand_over_on() {
    let config = counting("when_handed_over");
    let handed_over: [fn(&mut TicketReport); 4] = [
        |report| *report = with_ai(report.clone(), Some(Escalated)),
        |report| *report = with_ai(report.clone(), Some(NegativeFeedback)),
        |report| *report = with_ai(report.clone(), Some(ProcedureHandoff)),
        |report| report.human = true,
    ];
    for hand_over in handed_over {
        let mut story = Story::new(&config);
        story.hears(opened()).hears(answered(5, 10, None)).hears(replied(7, 11, None));
        assert_eq!(story.comes_to(), OVER, "the AI takes care of it");
        assert!(!Summary::of(&story.person, &config, secs(9)).has_open_ticket());
        let mut report = told(TicketFact::Updated, Open, 9, 12, Plain);
        hand_over(&mut report);
        story.hears(report);
        assert_eq!(story.comes_to(), OPEN);
    }
}

#[test]
fn that_an_ai_could_not_help_is_told_once() {
    let config = counting("until_resolved");
    let mut story = Story::new(&config);
    story.hears(opened()).hears(answered(5, 10, Some(NegativeFeedback))).hears(answered(6, 11, Some(Escalated)));
    story.hears(told(TicketFact::Closed, Closed, 9, 12, Cause)).hears(replied(20, 13, Some(Escalated)));
    assert_eq!(story.edges(), [(EdgeKind::Opened, 1), (EdgeKind::AiEscalated, 1), (EdgeKind::Resolved, 1), (EdgeKind::Reopened, 2)]);
}

#[test]
fn a_trial_by_a_teammate_never_counts() {
    for ai in ["until_resolved", "always", "when_handed_over"] {
        let config = counting(ai);
        let mut story = Story::new(&config);
        let preview =
            |report: TicketReport| TicketReport { ai: Some(AiReport { preview: true, ..AiReport::default() }), human: true, ..report };
        let mut rated = preview(told(TicketFact::Updated, Open, 9, 0, Plain));
        rated.fact = TicketFact::Rated { score: 1, of: RatingOf::Teammate };
        story.hears(preview(opened())).hears(replied(5, 10, None)).hears(rated);
        assert_eq!(story.ticket().status(&config.tickets.count), Status::Gone);
        assert!(story.person.windows.is_empty() && story.person.csat.is_none(), "{:?}", story.person);
    }
}

#[test]
fn a_score_of_the_ai_opens_no_window_and_is_not_the_last_score() {
    let config = counting("until_resolved");
    let rated = |fact| told(fact, Closed, 9, 0, Plain);
    let mut story = Story::new(&config);
    story.hears(opened()).hears(rated(TicketFact::AiRated { score: 1 }));
    assert!(story.person.windows.is_empty() && story.person.csat.is_none());
    for of in [RatingOf::Teammate, RatingOf::Workflow] {
        let mut story = Story::new(&config);
        story.hears(opened()).hears(rated(TicketFact::Rated { score: 1, of }));
        assert!(story.person.windows.contains_key("renewal") && story.person.csat.is_some());
    }
}

#[test]
fn marketing_is_told_who_takes_care() {
    let config = counting("until_resolved");
    let with = |story: &Story<'_>| Summary::of(&story.person, &config, secs(9)).with;
    let mut story = Story::new(&config);
    assert_eq!(with(&story), None);
    assert_eq!(with(story.hears(opened())), Some(HandledBy::Nobody));
    assert_eq!(with(story.hears(answered(5, 10, None))), Some(HandledBy::Ai));
    assert_eq!(with(story.hears(TicketReport { human: true, ..answered(6, 11, None) })), Some(HandledBy::Human));
}

// ------------------------------------------------------------------------------------------------ any order

/// What can happen in a conversation.
#[derive(Clone, Copy, Debug)]
enum Happens {
    CustomerWrites,
    AiAnswers(Option<AiResolution>),
    HumanWrites,
    Closes,
    Reopens,
    TimePasses,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::CustomerWrites),
        5 => prop_oneof![Just(None), Just(Some(AssumedResolution)), Just(Some(ConfirmedResolution)), Just(Some(NegativeFeedback))].prop_map(Happens::AiAnswers),
        1 => Just(Happens::HumanWrites),
        2 => Just(Happens::Closes),
        1 => Just(Happens::Reopens),
        2 => Just(Happens::TimePasses),
    ]
}

/// The conversation as Intercom has it, and whether it is open by the rule: the oracle knows nothing of registers.
#[derive(Clone, Copy)]
struct Truth {
    closed: bool,
    human: bool,
    handed_over: bool,
    resolution: Option<AiResolution>,
}

impl Truth {
    fn is_open(self, count: AiCounting) -> bool {
        let resolved = self.resolution.is_some_and(AiResolution::is_resolved) && !self.human;
        match count {
            AiCounting::Always => !self.closed,
            AiCounting::UntilResolved => !self.closed && !resolved,
            AiCounting::WhenHandedOver => !self.closed && !resolved && (self.human || self.handed_over),
        }
    }
}

/// What each happening is told as, and the truth in the end. Seconds tie as often as in a busy conversation; part ids tell then.
fn history(steps: &[(Happens, i64)]) -> (Vec<TicketReport>, Truth) {
    let mut truth = Truth { closed: false, human: false, handed_over: false, resolution: None };
    let mut reports = vec![opened()];
    let mut at = 1;
    for (part, (step, pause)) in (1..).zip(steps) {
        at += pause;
        let mut evidence = Plain;
        let fact = match *step {
            Happens::CustomerWrites => {
                (truth.resolution, truth.closed) = (None, false);
                TicketFact::Replied { by: Author::Customer }
            }
            Happens::AiAnswers(resolution) => {
                truth.resolution = resolution;
                truth.handed_over |= resolution.is_some_and(|resolution| !resolution.is_resolved());
                TicketFact::Replied { by: Author::Bot }
            }
            Happens::HumanWrites => {
                truth.human = true;
                TicketFact::Replied { by: Author::Teammate }
            }
            Happens::Closes => {
                truth.closed = true;
                evidence = Cause;
                TicketFact::Closed
            }
            Happens::Reopens => {
                truth.closed = false;
                evidence = Cause;
                TicketFact::Reopened
            }
            // Nothing tells of it; the next notification shows it.
            Happens::TimePasses => {
                truth.resolution = Some(AssumedResolution);
                TicketFact::Updated
            }
        };
        let state = if truth.closed { Closed } else { Open };
        let report = told(fact, state, at, part, evidence);
        reports.push(TicketReport { human: truth.human, ..with_ai(report, truth.resolution) });
    }
    (reports, truth)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evidence_of_ai_and_humans_in_any_order_ends_at_the_truth(
        steps in prop::collection::vec((happens(), 0..3_i64), 0..12),
        count in prop_oneof![Just("until_resolved"), Just("always"), Just("when_handed_over")],
        order in any::<u64>(),
        lost_at in 0..14_usize,
    ) {
        let config = counting(count);
        let (mut reports, truth) = history(&steps);
        // Each comes twice, in any order; a worker that dies forgets what it has not stored, and hears it again.
        reports.extend(reports.clone());
        let mut order = order;
        for i in (1..reports.len()).rev() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            reports.swap(i, usize::try_from(order >> 33).expect("fits") % (i + 1));
        }
        let mut story = Story::new(&config);
        for (n, report) in reports.into_iter().enumerate() {
            let before = story.person.clone();
            story.hears(report.clone());
            if n == lost_at {
                story.person = before;
                story.hears(report);
            }
        }
        prop_assert_eq!(story.comes_to(), (truth.is_open(config.tickets.count.ai), false), "{:?}", steps);
        // Stored and read again it is the same.
        let stored = serde_json::to_string(&story.person).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Person>(&stored).expect("JSON"), story.person);
    }
}
