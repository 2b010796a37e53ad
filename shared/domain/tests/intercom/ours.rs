//! A conversation that Trefoil opens is no ticket until a human replies, however fast its webhook is.

use super::*;
use trefoil_domain::event::Risk;
use trefoil_domain::tickets::{
    Author, Evidence, Register, Sighting, StartedBy, State, Status, TicketFact, TicketId, TicketReport, Word, opening,
};

const FILE: &str = "\
version: 1
routes:
  - name: at risk
    on: customerio.churn_risk
    do:
      - intercom.open_conversation: { body: \"Is anything missing, ${event.reason}?\" }
";

struct Story<'b, 'w> {
    bench: &'b Bench<'w>,
    step: std::cell::Cell<i64>,
    /// The conversation that the webhooks are about.
    conversation: std::cell::Cell<&'static str>,
}

impl Story<'_, '_> {
    fn works(&self) {
        self.bench.run(1, 0, self.bench.world.now(), |_| {});
    }

    /// A webhook about the conversation, shown open, in the words that it began with.
    fn webhook(&self, fact: TicketFact, body: Option<&str>) {
        self.webhook_with(fact, body, |_| {});
    }

    /// With more in it.
    fn webhook_with(&self, fact: TicketFact, body: Option<&str>, more: impl Fn(&mut TicketReport)) {
        self.step.set(self.step.get() + 1);
        let at = NOW.plus(Span::from_secs(self.step.get()));
        let mut report = TicketReport {
            seen: vec![Sighting { register: Register::Conversation, state: State::Open, at, part: 0, evidence: Evidence::Plain }],
            opened_at: Some(NOW),
            started_by: Some(StartedBy::Customer),
            opening: body.and_then(opening),
            ..TicketReport::new(TicketId::new(self.conversation.get()).expect("an id"), fact)
        };
        more(&mut report);
        self.bench.hear(vec![id(IdKind::IntercomId, "c0001")], Source::Intercom, Kind::Ticket(report));
        self.works();
    }

    fn status(&self) -> Option<Status> {
        let people = self.bench.world.people();
        assert_eq!(people.len(), 1);
        let ticket = people[0].tickets.get(&TicketId::new(self.conversation.get()).expect("an id"))?;
        Some(ticket.status(&self.bench.config.tickets.count))
    }
}

/// Everything up to the moment at which Intercom has the conversation; the rest is `tell`'s.
fn opened(tell: impl FnOnce(&Story<'_, '_>)) {
    let (config, routes) = config::check("trefoil.yaml", FILE).expect("a file");
    let world = World::new(11, NOW);
    world.forgets.store(0, Ordering::Relaxed);
    let intercom = Simulated::calm(&world);
    let names = EventNameBudget::new(&config);
    let bench = Bench { world: &world, intercom: &intercom, config: &config, routes: &routes, names };
    let contact = intercom.add(ContactRole::User, Some("u1"), None, Life::Active);
    let ids = vec![id(IdKind::IntercomId, &contact), id(IdKind::UserId, "u1")];
    bench.hear(ids, Source::Intercom, Kind::PersonUpdated(Profile::default()));
    bench.run(1, 0, NOW, |_| {});
    tell(&Story { bench: &bench, step: std::cell::Cell::new(0), conversation: std::cell::Cell::new("7") });
}

fn at_risk(story: &Story<'_, '_>) {
    let risk = Risk { reason: Some("Ada".to_owned()), attributes: BTreeMap::new() };
    story.bench.hear(vec![id(IdKind::UserId, "u1")], Source::Customerio, Kind::ChurnRisk(risk));
}

/// What the workspace calls the first thing that is made in it after the contact.
const OPENED: &str = "2";
/// As Intercom gives it back.
const BODY: &str = "<p class=\"no-margin\">Is anything missing,&nbsp;Ada?</p>";

#[test]
fn it_counts_from_the_first_answer_of_the_customer() {
    opened(|story| {
        at_risk(story);
        story.works();
        assert_eq!(story.bench.intercom.inside.lock().expect("lock").seen_by_people.len(), 1);
        story.conversation.set(OPENED);
        story.webhook(TicketFact::Opened, Some(BODY));
        assert_eq!(story.status(), Some(Status::Gone));
        for by in [Author::Bot, Author::Teammate] {
            story.webhook(TicketFact::Replied { by }, Some(BODY));
            assert_eq!(story.status(), Some(Status::Gone));
        }
        story.webhook(TicketFact::Replied { by: Author::Customer }, Some(BODY));
        assert_eq!(story.status(), Some(Status::Open));
    });
}

/// Intercom takes what we wrote as the contact for the contact's first word, and says so in each notification.
#[test]
fn what_we_wrote_in_the_customers_name_is_no_word_of_theirs() {
    opened(|story| {
        at_risk(story);
        story.works();
        story.conversation.set(OPENED);
        let spoke = |report: &mut TicketReport| report.spoke_at = Some(NOW);
        story.webhook_with(TicketFact::Opened, Some(BODY), spoke);
        story.webhook_with(TicketFact::Updated, Some(BODY), spoke);
        assert_eq!(story.status(), Some(Status::Gone));
        let answered = |report: &mut TicketReport| report.word = Some(Word { at: NOW.plus(Span::from_secs(9)), part: 7 });
        story.webhook_with(TicketFact::Updated, Some(BODY), answered);
        assert_eq!(story.status(), Some(Status::Open));
    });
}

#[test]
fn it_does_so_where_the_webhook_is_faster_than_our_record() {
    opened(|story| {
        at_risk(story);
        let world = story.bench.world;
        // The route is done, and the sender has not begun.
        let batch = world.receive(QueueName::Events, 10);
        let router =
            Router { store: world, queue: world, clock: world, jitter: world, config: story.bench.config, routes: story.bench.routes };
        world.settle(QueueName::Events, now_or_never(router.handle(batch)));
        let held = world.receive(QueueName::IntercomState, 10);
        assert_eq!(held.len(), 1);
        story.webhook(TicketFact::Opened, Some(BODY));
        assert_eq!(story.status(), Some(Status::Gone));
    });
}

#[test]
fn another_conversation_of_the_same_person_counts() {
    opened(|story| {
        at_risk(story);
        story.works();
        story.webhook(TicketFact::Opened, Some("<p>I cannot log in</p>"));
        assert_eq!(story.status(), Some(Status::Open));
    });
}

#[test]
fn our_own_record_is_enough_where_the_text_has_changed() {
    opened(|story| {
        story.webhook(TicketFact::Opened, None);
        assert_eq!(story.status(), Some(Status::Open));
        story.webhook(TicketFact::Ours, None);
        assert_eq!(story.status(), Some(Status::Gone));
    });
}

#[test]
fn a_conversation_of_the_customer_in_the_same_words_stays_theirs() {
    opened(|story| {
        story.webhook(TicketFact::Opened, Some(BODY));
        assert_eq!(story.status(), Some(Status::Open));
        at_risk(story);
        story.works();
        story.webhook(TicketFact::Updated, Some(BODY));
        assert_eq!(story.status(), Some(Status::Open));
    });
}

#[test]
fn the_words_are_known_whatever_is_made_of_their_marks() {
    for (plain, html) in [
        ("Q&A session; AT&T", "<p>Q&amp;A session; AT&amp;T</p>"),
        ("usage < 5 logins", "<p>usage &lt; 5 logins</p>"),
        ("I <3 you & more", "<p class=\"no-margin\">I &lt;3 you &amp; more</p>"),
        ("two\nlines", "<p>two<br>lines</p>"),
    ] {
        assert_eq!(opening(plain), opening(html), "{plain}");
    }
    assert_ne!(opening("usage < 5 logins"), opening("usage"));
}

/// Our record came first, and the words are free for nobody else.
#[test]
fn the_next_conversation_in_our_words_is_the_customers() {
    opened(|story| {
        at_risk(story);
        story.works();
        // The sender's own record has been folded; its conversation is not 7.
        story.webhook(TicketFact::Opened, Some(BODY));
        assert_eq!(story.status(), Some(Status::Open));
    });
}
