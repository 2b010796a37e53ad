//! What single actions come to, in calls and outcomes.

use super::*;
use trefoil_domain::action::UpsertCompany;
use trefoil_domain::event::{Channel, Choice, Company, ConsentChange};
use trefoil_domain::ledger::{Entry, Review, Step};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Store;

/// A workspace with one human, known under `u1` and an address, and nothing in it yet.
pub(crate) struct Quiet {
    pub(crate) world: World,
    pub(crate) config: Config,
    pub(crate) routes: Routes,
}

impl Quiet {
    pub(crate) fn new() -> Self {
        let file = "version: 1\nroutes:\n  - name: campaigns\n    on: customerio.email.sent\n    do:\n      - intercom.track_event: { name: \"c${event.id}\", fallback: campaign_activity }\n";
        let (config, routes) = config::check("trefoil.yaml", file).expect("a file");
        // Of a seed without delays and with a queue that forgets nothing.
        let world = World::new(7, NOW);
        world.forgets.store(0, Ordering::Relaxed);
        Self { world, config, routes }
    }

    pub(crate) fn with<T>(&self, test: impl FnOnce(&Bench<'_>, PersonId) -> T) -> T {
        let intercom = Simulated::calm(&self.world);
        let names = EventNameBudget::new(&self.config);
        let bench = Bench { world: &self.world, intercom: &intercom, config: &self.config, routes: &self.routes, names };
        let user = id(IdKind::UserId, "u1");
        let person = Person::id_for(&workspace(), &user);
        bench.hear(vec![user, id(IdKind::Email, "one@example.com")], Source::Segment, Kind::PersonUpdated(Profile::default()));
        bench.settle();
        // Nobody is new any more.
        self.world.advance_to(NOW.plus(Span::from_hours(1)));
        test(&bench, person)
    }
}

impl Bench<'_> {
    /// Works off what can be done within a day.
    pub(crate) fn settle(&self) {
        self.run(1, 0, self.world.now().plus(Span::from_hours(24)), |_| {});
    }

    /// Does these now, and answers the outcome and the calls that it took.
    pub(crate) fn does(&self, person: &PersonId, name: &str, at: Timestamp, verbs: Vec<IntercomVerb>) -> (Outcome, u64) {
        let before = self.intercom.calls.load(Ordering::Relaxed);
        self.ask(person.clone(), at, name, verbs);
        self.run(1, 0, self.world.now(), |_| {});
        let event = event_id(Source::Segment, &workspace(), &[name]);
        let records = now_or_never(self.world.history(&event, self.world.now())).expect("reads");
        let outcome = records.last().map_or(Outcome::retry(Span::ZERO, "waits"), |record| record.outcome.clone());
        (outcome, self.intercom.calls.load(Ordering::Relaxed) - before)
    }

    pub(crate) fn knows(&self, person: &PersonId) -> String {
        let contact = self.intercom.add(ContactRole::User, Some("u1"), Some("one@example.com"), Life::Active);
        let ids = vec![id(IdKind::IntercomId, &contact), id(IdKind::UserId, "u1")];
        self.hear(ids, Source::Intercom, Kind::PersonUpdated(Profile::default()));
        self.run(1, 0, self.world.now(), |_| {});
        assert_eq!(self.world.survivor(person), *person);
        contact
    }

    pub(crate) fn seconds(&self, name: &str) -> Vec<i64> {
        let inside = self.intercom.inside.lock().expect("lock");
        inside.events.keys().filter(|(_, n, _)| n == name).map(|(.., at)| at - NOW.secs()).collect()
    }

    fn entry(&self) -> Entry {
        now_or_never(self.world.wanting_review(&workspace())).expect("reads").pop().expect("an entry")
    }
}

fn named(name: &str, fallback: &str) -> IntercomVerb {
    let fallback = Some(fallback.to_owned());
    IntercomVerb::TrackEvent(TrackEvent { name: name.to_owned(), fallback, metadata: BTreeMap::new() })
}

fn message(channel: MessageChannel) -> IntercomVerb {
    let subject = Some("Hello".to_owned());
    IntercomVerb::SendMessage(SendMessage { channel, subject, body: "Text".to_owned() })
}

#[test]
fn an_event_for_a_known_contact_is_one_call_and_no_search() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        for n in 0..5 {
            assert_eq!(bench.does(&person, &format!("e{n}"), NOW, vec![track(&n.to_string())]), (Outcome::Done, 1));
        }
        assert_eq!(bench.intercom.searches.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_contact_that_was_found_is_not_looked_for_again() {
    Quiet::new().with(|bench, person| {
        bench.intercom.add(ContactRole::User, Some("u1"), None, Life::Active);
        assert_eq!(bench.does(&person, "e1", NOW, vec![track("1")]), (Outcome::Done, 2));
        assert_eq!(bench.does(&person, "e2", NOW, vec![track("2")]), (Outcome::Done, 1));
    });
}

#[test]
fn who_has_no_contact_is_looked_for_once_an_hour() {
    Quiet::new().with(|bench, person| {
        let none = Outcome::skipped("no_contact");
        assert_eq!(bench.does(&person, "e1", NOW, vec![track("1")]), (none.clone(), 2));
        assert_eq!(bench.does(&person, "e2", NOW, vec![track("2")]), (none, 0));
        bench.intercom.add(ContactRole::User, Some("u1"), None, Life::Active);
        bench.world.advance_to(bench.world.now().plus(Span::from_mins(61)));
        assert_eq!(bench.does(&person, "e3", NOW, vec![track("3")]).0, Outcome::Done);
    });
}

#[test]
fn events_of_one_name_and_second_get_seconds_of_their_own_and_keep_them() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        for n in ["1", "2", "3", "2"] {
            assert_eq!(bench.does(&person, &format!("e{n}"), NOW, vec![track(n)]).0, Outcome::Done);
        }
        assert_eq!(bench.seconds("Used"), [0, 1, 2]);
    });
}

#[test]
fn what_changes_nothing_is_no_call_and_what_is_older_comes_too_late() {
    Quiet::new().with(|bench, person| {
        let contact = bench.knows(&person);
        let at = |secs| NOW.plus(Span::from_secs(secs));
        assert_eq!(bench.does(&person, "a", at(10), vec![upsert(1)]), (Outcome::Done, 1));
        assert_eq!(bench.does(&person, "b", at(20), vec![upsert(1)]), (Outcome::Done, 0));
        assert_eq!(bench.does(&person, "c", at(30), vec![upsert(2)]), (Outcome::Done, 1));
        assert_eq!(bench.does(&person, "d", at(5), vec![upsert(3)]), (Outcome::Done, 0));
        let inside = bench.intercom.inside.lock().expect("lock");
        assert_eq!(inside.contacts[&contact].attributes["plan"], json!(2));
    });
}

#[test]
fn a_contact_is_made_only_where_the_route_says_so_and_out_of_e_mail_where_the_person_is() {
    Quiet::new().with(|bench, person| {
        let update = IntercomVerb::UpsertContact(UpsertContact { create: false, ..UpsertContact::default() });
        assert_eq!(bench.does(&person, "update", NOW, vec![update]).0, Outcome::skipped("no_contact"));
        let out = ConsentChange { channel: Some(Channel::Email), topic: None, choice: Choice::Out };
        bench.hear(vec![id(IdKind::UserId, "u1")], Source::Segment, Kind::ConsentChanged(vec![out]));
        bench.run(1, 0, bench.world.now(), |_| {});
        // By id, by address, then made.
        assert_eq!(bench.does(&person, "create", NOW, vec![upsert(1)]), (Outcome::Done, 3));
        let made = bench.intercom.active(Some("u1"), "one@example.com");
        assert!(made[0].1.unsubscribed);
        // An opt-in that a route makes of something else goes against nobody's wish.
        let back = IntercomVerb::SetSubscription { topic: None, subscribed: true };
        assert_eq!(bench.does(&person, "back", NOW, vec![back]), (Outcome::skipped("opted_out"), 0));
        assert_eq!(bench.does(&person, "mail", NOW, vec![message(MessageChannel::Email)]), (Outcome::skipped("opted_out"), 0));
        assert_eq!(bench.does(&person, "in app", NOW, vec![message(MessageChannel::InApp)]), (Outcome::Done, 1));
    });
}

#[test]
fn names_beyond_the_budget_give_way_to_the_fallback() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        for n in 0..130 {
            let event = named(&format!("campaign_{n}"), "campaign_activity");
            assert_eq!(bench.does(&person, &format!("e{n}"), NOW, vec![event]).0, Outcome::Done);
        }
        let names = now_or_never(trefoil_domain::ports::EventNames::event_names(bench.world, &workspace())).expect("reads").names;
        assert_eq!((names.len(), bench.seconds("campaign_activity").len()), (119, 11));
    });
}

#[test]
fn where_others_have_used_the_names_up_the_fallback_is_taken_as_well() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        assert_eq!(bench.does(&person, "first", NOW, vec![named("campaign_activity", "campaign_activity")]).0, Outcome::Done);
        bench.intercom.most_names.store(1, Ordering::Relaxed);
        assert_eq!(bench.does(&person, "e", NOW, vec![named("campaign_1", "campaign_activity")]), (Outcome::Done, 2));
        assert_eq!(bench.seconds("campaign_activity"), [0, 1]);
        let (outcome, _) = bench.does(&person, "f", NOW, vec![track("1")]);
        assert_eq!(outcome.reason().map(|reason| reason.code.as_str()), Some("too_many_event_names"));
    });
}

#[test]
fn outreach_comes_in_time_or_not_at_all() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        bench.ask(person.clone(), NOW, "late", vec![message(MessageChannel::InApp)]);
        bench.world.advance_to(bench.world.now().plus(Span::from_hours(73)));
        bench.run(1, 0, bench.world.now(), |_| {});
        let event = event_id(Source::Segment, &workspace(), &["late"]);
        let records = now_or_never(bench.world.history(&event, bench.world.now())).expect("reads");
        assert_eq!(records[0].outcome, Outcome::skipped("too_late"));
        assert_eq!(bench.intercom.calls.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn what_may_have_been_seen_waits_for_a_human() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        let open = || {
            let note = Some("why".to_owned());
            IntercomVerb::OpenConversation(OpenConversation { body: "Hello".to_owned(), note, ..OpenConversation::default() })
        };
        bench.intercom.failing.store(100, Ordering::Relaxed);
        let mut outcome = Outcome::Done;
        // A call that was certainly not made is tried again.
        for n in 0..20 {
            outcome = bench.does(&person, &format!("open {n}"), NOW, vec![open()]).0;
            if !matches!(outcome, Outcome::RetryAfter { .. }) {
                break;
            }
        }
        assert_eq!(outcome, Outcome::blocked("unknown_outcome"));
        bench.intercom.failing.store(0, Ordering::Relaxed);
        let mut entry = bench.entry();
        assert_eq!(entry.unknown().map(|(step, _)| step.to_owned()), Some("open".to_owned()));
        let calls = bench.intercom.calls.load(Ordering::Relaxed);
        bench.world.put(QueueName::Intercom, entry.job.to_message().expect("JSON"));
        bench.run(1, 0, bench.world.now(), |_| {});
        assert_eq!(bench.intercom.calls.load(Ordering::Relaxed), calls, "nothing is done until somebody has looked");

        // It had been opened; the note follows.
        entry.steps.insert("open".to_owned(), Step::Done { at: NOW, made: Some("55".to_owned()) });
        entry.review = Review::Given;
        assert_eq!(now_or_never(bench.world.put_entry(entry.clone(), NOW)), Ok(trefoil_domain::ports::Commit::Done));
        bench.world.put(QueueName::Intercom, entry.job.to_message().expect("JSON"));
        bench.run(1, 0, bench.world.now(), |_| {});
        let inside = bench.intercom.inside.lock().expect("lock");
        assert_eq!(inside.seen_by_people.get("why"), Some(&1));
    });
}

#[test]
fn a_company_is_written_without_a_contact_and_joined_with_one() {
    Quiet::new().with(|bench, person| {
        let company = || IntercomVerb::UpsertCompany(UpsertCompany { company_id: "g1".to_owned(), ..UpsertCompany::default() });
        // By id, by address, then the company.
        assert_eq!(bench.does(&person, "alone", NOW, vec![company()]), (Outcome::Done, 3));
        assert_eq!(bench.does(&person, "again", NOW, vec![company()]), (Outcome::Done, 0));
        bench.knows(&person);
        assert_eq!(bench.does(&person, "with", NOW, vec![company()]), (Outcome::Done, 2));
        assert_eq!(bench.does(&person, "with again", NOW, vec![company()]), (Outcome::Done, 0));
    });
}

#[test]
fn deleting_takes_every_contact_of_the_person() {
    Quiet::new().with(|bench, person| {
        let contact = bench.knows(&person);
        assert_eq!(bench.does(&person, "delete", NOW, vec![IntercomVerb::DeleteContact]), (Outcome::Done, 1));
        assert_eq!(bench.intercom.inside.lock().expect("lock").contacts[&contact].life, Life::Deleted);
        assert_eq!(bench.does(&person, "event", NOW, vec![track("1")]).0, Outcome::skipped("no_contact"));
    });
}

#[test]
fn leads_of_a_person_go_up_in_their_user() {
    Quiet::new().with(|bench, person| {
        bench.knows(&person);
        let lead = bench.intercom.add(ContactRole::Lead, None, Some("one@example.com"), Life::Active);
        assert_eq!(bench.does(&person, "merge", NOW, vec![IntercomVerb::MergeContacts]).0, Outcome::Done);
        assert!(matches!(bench.intercom.inside.lock().expect("lock").contacts[&lead].life, Life::MergedInto(_)));
    });
}

/// Of a company to which nobody is known to belong, what needs no person is done, and nobody is made of it.
#[test]
fn a_company_of_nobody_is_written_and_nothing_else() {
    let file = "version: 1\nroutes:\n  - name: companies\n    on: [segment.company.joined, segment.company.updated]\n    do:\n\
        \x20     - intercom.upsert_company: { company_id: \"${event.company_id}\" }\n\
        \x20 - name: tags\n    on: segment.company.joined\n    do: [ intercom.add_tag: { tag: member } ]\n\
        \x20 - name: of people\n    on: segment.company.joined\n    when: person.unsubscribed == false\n    do: [ intercom.upsert_company: { company_id: other } ]\n";
    let (config, routes) = config::check("trefoil.yaml", file).expect("a file");
    let world = World::new(7, NOW);
    world.forgets.store(0, Ordering::Relaxed);
    let intercom = Simulated::calm(&world);
    let bench = Bench { world: &world, intercom: &intercom, config: &config, routes: &routes, names: EventNameBudget::new(&config) };
    let company = || Company { id: "g1".to_owned(), own_id: None, attributes: BTreeMap::new() };
    let browser = vec![id(IdKind::AnonymousId, "a1")];
    for (ids, kind) in [(browser, Kind::CompanyJoined(company())), (Vec::new(), Kind::CompanyUpdated(company()))] {
        let event = event_id(Source::Segment, &workspace(), &[&format!("{ids:?} {}", kind.name())]);
        let before = intercom.calls.load(Ordering::Relaxed);
        bench.hear(ids, Source::Segment, kind.clone());
        bench.settle();
        assert_eq!(intercom.calls.load(Ordering::Relaxed) - before, 1, "{}", kind.name());
        let records = now_or_never(world.history(&event, world.now())).expect("reads");
        let told: Vec<(&str, &Outcome)> = records.iter().map(|record| (record.stage.as_str(), &record.outcome)).collect();
        assert_eq!(told, [("route", &Outcome::Done), ("intercom#nobody", &Outcome::Done)], "{}", kind.name());
        let skipped: Vec<(&str, &str)> = records[0].skipped.iter().map(|(route, why)| (route.as_str(), why.as_str())).collect();
        match kind {
            Kind::CompanyJoined(_) => assert_eq!(skipped, [("tags", "concerns_no_person"), ("of people", "when_failed")]),
            _ => assert_eq!(skipped, []),
        }
    }
    assert!(world.people().is_empty(), "nobody is made of it");
}

/// Where a route deletes people, also whom we never heard of.
#[test]
fn who_is_deleted_at_segment_is_looked_for_where_a_route_deletes() {
    for (file, calls) in [
        ("version: 1\n", 0),
        ("version: 1\nroutes:\n  - { name: gone, on: segment.person.deleted, do: [ intercom.delete_contact: {} ] }\n", 2),
    ] {
        let (config, routes) = config::check("trefoil.yaml", file).expect("a file");
        let world = World::new(7, NOW);
        world.forgets.store(0, Ordering::Relaxed);
        let intercom = Simulated::calm(&world);
        intercom.add(ContactRole::User, Some("u1"), None, Life::Active);
        let bench = Bench { world: &world, intercom: &intercom, config: &config, routes: &routes, names: EventNameBudget::new(&config) };
        bench.hear(vec![id(IdKind::UserId, "u1")], Source::Segment, Kind::PersonDeleted);
        bench.settle();
        assert_eq!(intercom.calls.load(Ordering::Relaxed), calls);
        assert_eq!(intercom.active(Some("u1"), "").is_empty(), calls > 0);
    }
}
