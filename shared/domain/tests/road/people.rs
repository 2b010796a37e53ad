//! Who is who: links, merges, things given up, repeats, in any order, against a simple oracle that knows no tables.

use crate::history::{NOW, workspace};
use crate::sim::{Dice, World};
use crate::{Weather, shipped_rules};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::task::{Context, Poll, Waker};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Merged, Profile, Settlement, Source, event_id};
use trefoil_domain::id::PersonId;
use trefoil_domain::job::event_message;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{AliasKey, QueueName, Store};
use trefoil_domain::steps::route::Router;
use trefoil_domain::time::{Span, Timestamp};

type Id = (IdKind, String);

pub(crate) fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("valid")
}

pub(crate) fn event(number: usize, source: Source, ids: Vec<Identifier>, at: i64, kind: Kind) -> Event {
    Event {
        id: event_id(source, &workspace(), &["people", &number.to_string()]),
        source,
        workspace: workspace(),
        occurred_at: NOW.plus(Span::from_secs(at)),
        received_at: NOW,
        ids,
        person: None,
        origin: None,
        kind,
    }
}

pub(crate) fn said(whole: bool) -> Kind {
    Kind::PersonUpdated(Profile { whole, ..Profile::default() })
}

// ------------------------------------------------------------------------------------------------ the oracle

/// One human, as somebody with pencil and paper would keep them.
#[derive(Clone, Debug, Default)]
struct Human {
    own: BTreeSet<Id>,
    /// Record → kind → when it was last said, and what.
    records: BTreeMap<String, BTreeMap<IdKind, (Timestamp, BTreeSet<String>)>>,
    /// What a human said is not theirs.
    disclaimed: BTreeSet<Id>,
}

impl Human {
    fn ids(&self) -> BTreeSet<Id> {
        let held = self.records.values().flatten();
        let held = held.flat_map(|(kind, (_, values))| values.iter().map(|value| (*kind, value.clone())));
        self.own.iter().cloned().chain(held).filter(|id| !self.disclaimed.contains(id)).collect()
    }

    fn of(&self, kind: IdKind) -> BTreeSet<String> {
        self.ids().into_iter().filter(|(k, _)| *k == kind).map(|(_, value)| value).collect()
    }

    fn is_named(&self) -> bool {
        !self.of(IdKind::UserId).is_empty() || !self.of(IdKind::Email).is_empty()
    }
}

#[derive(Debug, Default)]
struct Paper(Vec<Human>);

fn apart(a: &BTreeSet<String>, b: &BTreeSet<String>) -> bool {
    !a.is_empty() && !b.is_empty() && a.is_disjoint(b)
}

impl Paper {
    /// Whether the event was taken for somebody's.
    fn take(&mut self, event: &Event) -> bool {
        let ids: BTreeSet<Id> = event.ids.iter().map(|id| (id.kind, id.value.clone())).collect();
        let tools_own = |kind: IdKind| matches!(kind, IdKind::IntercomId | IdKind::CioId | IdKind::UserId);
        let by_source: &[IdKind] = match event.source {
            Source::Intercom => &[IdKind::IntercomId],
            Source::Customerio => &[IdKind::CioId, IdKind::UserId],
            Source::Segment | Source::Pipelines | Source::Trefoil => &[IdKind::UserId, IdKind::AnonymousId],
        };
        let record = by_source.iter().find_map(|kind| ids.iter().find(|(k, _)| k == kind)).or_else(|| ids.first());
        let record = record.map(|(kind, value)| format!("{:?} {kind:?} {value}", event.source)).expect("named");
        let named = ids.iter().any(|(kind, _)| matches!(kind, IdKind::UserId | IdKind::Email));

        let mut group: BTreeSet<usize> = BTreeSet::new();
        let mut user_ids: BTreeSet<String> = BTreeSet::new();
        let mut cio_ids: BTreeSet<String> = BTreeSet::new();
        let mut hold: BTreeSet<Id> = BTreeSet::new();
        let mut unclear = false;
        for (kind, value) in &ids {
            let outdated = group.iter().any(|g| {
                let held = self.0[*g].records.get(&record).and_then(|kinds| kinds.get(kind));
                held.is_some_and(|(at, values)| *at > event.occurred_at && !values.contains(value))
            });
            let this = (*kind, value.clone());
            if outdated || group.iter().any(|g| self.0[*g].disclaimed.contains(&this)) {
                continue;
            }
            let holders: Vec<usize> = (0..self.0.len()).filter(|h| self.0[*h].ids().contains(&this)).collect();
            let own_user: BTreeSet<String> = (*kind == IdKind::UserId).then(|| value.clone()).into_iter().collect();
            match holders.as_slice() {
                [] if !apart(&user_ids, &own_user) => {
                    user_ids.extend(own_user);
                    cio_ids.extend((*kind == IdKind::CioId).then(|| value.clone()));
                    hold.insert(this);
                }
                [] => unclear = true,
                [one] if group.contains(one) => {
                    hold.insert(this);
                }
                [one] => {
                    let human = &self.0[*one];
                    let theirs = human.of(IdKind::UserId);
                    let fits = !apart(&user_ids, &theirs) && !apart(&user_ids, &own_user);
                    let profiles = !apart(&cio_ids, &human.of(IdKind::CioId)) && human.disclaimed.is_disjoint(&hold);
                    let both_named = human.is_named() && (named || group.iter().any(|g| self.0[*g].is_named()));
                    let joins = match kind {
                        IdKind::IntercomId | IdKind::CioId | IdKind::UserId => fits,
                        IdKind::Email => fits && profiles,
                        IdKind::Phone | IdKind::AnonymousId => fits && profiles && !both_named,
                    };
                    if joins {
                        group.insert(*one);
                        user_ids.extend(theirs);
                        cio_ids.extend(self.0[*one].of(IdKind::CioId));
                    } else {
                        unclear = true;
                    }
                    if joins || !tools_own(*kind) {
                        hold.insert(this);
                    }
                }
                [_, _, ..] => {
                    unclear = true;
                    hold.insert(this);
                }
            }
        }
        if let Kind::PersonMerged(merged) = &event.kind {
            for from in &merged.from {
                let this = (from.kind, from.value.clone());
                let holders: Vec<usize> = (0..self.0.len()).filter(|h| self.0[*h].ids().contains(&this)).collect();
                // Whoever has a name is not somebody else's browser.
                let another = from.kind == IdKind::AnonymousId && holders.iter().any(|h| self.0[*h].is_named() && !group.contains(h));
                if holders.len() < 2 {
                    if !another {
                        group.extend(holders);
                    }
                    hold.insert(this);
                }
            }
        }
        let first = hold.iter().map(|(kind, _)| *kind).min();
        if group.is_empty() && (matches!(first, None | Some(IdKind::AnonymousId)) || (unclear && first >= Some(IdKind::Email))) {
            return false;
        }
        // Nobody is made in order to be deleted.
        if group.is_empty() && event.kind == Kind::PersonDeleted && event.source != Source::Intercom {
            return false;
        }
        let mut human = Human::default();
        for (n, index) in group.into_iter().rev().enumerate() {
            let other = self.0.swap_remove(index);
            let (ours, theirs) = (human.ids(), other.ids());
            let still = |whose: &BTreeSet<Id>, has: &BTreeSet<Id>| whose.difference(has).cloned().collect::<BTreeSet<Id>>();
            human.disclaimed =
                if n == 0 { other.disclaimed } else { &still(&human.disclaimed, &theirs) | &still(&other.disclaimed, &ours) };
            human.own.extend(other.own);
            for (record, kinds) in other.records {
                for (kind, said) in kinds {
                    let known = human.records.entry(record.clone()).or_default().entry(kind).or_default();
                    *known = said.max(known.clone());
                }
            }
        }
        human.own.extend(hold.iter().filter(|(kind, _)| !matches!(kind, IdKind::Email | IdKind::Phone)).cloned());
        let profile = event.kind.profile();
        for kind in [IdKind::Email, IdKind::Phone] {
            let values: BTreeSet<String> = hold.iter().filter(|(k, _)| *k == kind).map(|(_, value)| value.clone()).collect();
            let known = human.records.get(&record).and_then(|kinds| kinds.get(&kind)).cloned();
            let says = !values.is_empty() || profile.is_some_and(|p| p.whole && known.is_some());
            let now = (event.occurred_at, values);
            // What is said again within the hour is nothing new, and its time is not kept.
            let news = |known: &(Timestamp, BTreeSet<String>)| {
                if known.1 == now.1 { now.0.since(known.0) >= Span::from_hours(1) } else { now.0 >= known.0 }
            };
            if says && known.as_ref().is_none_or(|known| profile.is_some() && news(known)) {
                human.records.entry(record.clone()).or_default().insert(kind, now);
            }
        }
        self.0.push(human);
        true
    }

    fn partition(&self) -> BTreeSet<BTreeSet<Id>> {
        self.0.iter().map(Human::ids).collect()
    }
}

// ------------------------------------------------------------------------------------------------ the real thing

fn partition(world: &World) -> BTreeSet<BTreeSet<Id>> {
    world.people().iter().map(ids_of).collect()
}

fn ids_of(person: &Person) -> BTreeSet<Id> {
    person.ids.iter().flat_map(|(kind, values)| values.keys().map(|value| (*kind, value.clone()))).collect()
}

pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
    }
}

/// Routes one event by itself, and what came of it.
pub(crate) fn route(world: &World, event: &Event) -> Outcome {
    let shipped = shipped_rules();
    let (config, routes) = &*shipped;
    let router = Router { store: world, queue: world, clock: world, jitter: world, config, routes };
    world.put(QueueName::Events, event_message(event).expect("an event is JSON"));
    loop {
        let batch = world.receive(QueueName::Events, 10);
        if batch.is_empty() {
            break;
        }
        let done = finish(router.handle(batch));
        world.settle(QueueName::Events, done);
    }
    let records = world.records();
    records.iter().rev().find(|record| record.event == event.id).expect("every event ends in an outcome").outcome.clone()
}

/// Every id is claimed by exactly those who hold it.
pub(crate) fn claims_are_as_held(world: &World) -> Result<(), TestCaseError> {
    let people = world.people();
    let by_id: BTreeMap<PersonId, &Person> = people.iter().map(|person| (person.id.clone(), person)).collect();
    let mut holders: BTreeMap<Id, BTreeSet<PersonId>> = BTreeMap::new();
    for person in &people {
        for id in ids_of(person) {
            holders.entry(id).or_default().insert(person.id.clone());
        }
    }
    for (one, whose) in &holders {
        let key = AliasKey::of_identifier(&workspace(), &Identifier { kind: one.0, value: one.1.clone() });
        let found = finish(world.find(std::slice::from_ref(&key), &[])).expect("the store answers");
        let claimants: BTreeSet<PersonId> =
            found.aliases.get(&key).into_iter().flat_map(|a| &a.claimants).map(|c| world.survivor(c)).collect();
        prop_assert_eq!(&claimants, whose, "{:?}", one);
        prop_assert!(claimants.iter().all(|claimant| by_id.contains_key(claimant)));
        if matches!(one.0, IdKind::IntercomId | IdKind::CioId | IdKind::UserId) {
            prop_assert_eq!(whose.len(), 1, "{:?} names one person", one);
        }
    }
    // And nobody claims what nobody holds; but a browser that is not kept still leads to whoever used it.
    for (key, claimants) in world.claims() {
        let held = holders
            .keys()
            .any(|(kind, value)| key == AliasKey::of_identifier(&workspace(), &Identifier { kind: *kind, value: value.clone() }));
        prop_assert!(
            held || claimants.is_empty() || key.as_str().starts_with("anonymous#"),
            "{} is claimed by {:?}",
            key.as_str(),
            claimants
        );
    }
    Ok(())
}

// ------------------------------------------------------------------------------------------------ any history at all

fn some_ids(dice: &Dice, source: Source) -> Vec<Identifier> {
    let mut ids = Vec::new();
    let pick = |kind, prefix: &str, of: usize, suffix: &str| id(kind, &format!("{prefix}{}{suffix}", dice.below(of)));
    match source {
        Source::Intercom => ids.push(pick(IdKind::IntercomId, "c", 4, "")),
        Source::Customerio => ids.push(pick(IdKind::CioId, "0a", 3, "")),
        Source::Segment | Source::Pipelines | Source::Trefoil => {}
    }
    if dice.percent(40) {
        ids.push(pick(IdKind::UserId, "u", 3, ""));
    }
    if dice.percent(50) {
        ids.push(pick(IdKind::Email, "person", 4, "@example.com"));
    }
    if dice.percent(15) {
        ids.push(pick(IdKind::Phone, "+1555000000", 3, ""));
    }
    if source == Source::Segment && (ids.is_empty() || dice.percent(40)) {
        ids.push(pick(IdKind::AnonymousId, "a", 3, ""));
    }
    ids
}

fn some_event(dice: &Dice, number: usize) -> Event {
    let source = [Source::Intercom, Source::Intercom, Source::Customerio, Source::Segment, Source::Segment][dice.below(5)];
    let ids = some_ids(dice, source);
    let at = dice.below(40) as i64;
    let kind = match dice.below(10) {
        0 if source == Source::Intercom => {
            let from = vec![id(IdKind::IntercomId, &format!("c{}", dice.below(4)))];
            Kind::PersonMerged(Merged { from, profile: Profile { whole: true, ..Profile::default() } })
        }
        0 if ids[0].kind == IdKind::UserId => {
            let old = ["u0", "u1", "u2", "a0", "a1"][dice.below(5)];
            let from = vec![id(IdKind::UserId, old), id(IdKind::AnonymousId, old)];
            Kind::PersonMerged(Merged { from, profile: Profile::default() })
        }
        1 | 2 => Kind::PersonDeleted,
        _ => said(source == Source::Intercom && dice.percent(70)),
    };
    event(number, source, ids, at, kind)
}

fn as_on_paper(seed: u64) -> Result<(), TestCaseError> {
    let dice = Dice::new(seed);
    let world = World::new(seed, NOW);
    world.forgets.store(0, std::sync::atomic::Ordering::Relaxed);
    let mut paper = Paper::default();
    let mut told: Vec<Event> = Vec::new();
    for number in 0..4 + dice.below(14) {
        if dice.percent(10) && !paper.0.is_empty() {
            // A human looks into it, and takes an id away from somebody.
            let index = dice.below(paper.0.len());
            let human = paper.0[index].ids();
            let shared = |(kind, _): &&Id| matches!(kind, IdKind::Email | IdKind::Phone | IdKind::AnonymousId);
            let shared: Vec<&Id> = human.iter().filter(shared).collect();
            if let Some((kind, value)) = shared.get(dice.below(shared.len())) {
                let person = world.people().into_iter().find(|person| ids_of(person) == human).expect("as on paper");
                let id = Identifier { kind: *kind, value: value.clone() };
                let settled = Kind::Settled(Settlement::Disclaimed { id });
                let event = Event { person: Some(person.id), ..event(1000 + number, Source::Trefoil, Vec::new(), 0, settled) };
                paper.0[index].disclaimed.insert((*kind, value.clone()));
                route(&world, &event);
                prop_assert_eq!(partition(&world), paper.partition(), "after {:#?}", event);
            }
        }
        // Now and then something comes again.
        let event = if !told.is_empty() && dice.percent(20) { told[dice.below(told.len())].clone() } else { some_event(&dice, number) };
        let before = partition(&world);
        let taken = paper.take(&event);
        let outcome = route(&world, &event);
        told.push(event);
        let event = told.last().expect("just told");
        prop_assert_eq!(partition(&world), paper.partition(), "after {:#?}\nbefore: {:#?}", event, before);
        // Nothing is attributed to somebody whom the rules call ambiguous.
        let refused = matches!(&outcome, Outcome::Blocked { reason } | Outcome::Skipped { reason }
            if ["ambiguous_person", "not_matched_by", "anonymous_stranger", "nobody_known"].contains(&reason.code.as_str()));
        prop_assert_eq!(!refused, taken, "{:?} of {:#?}", outcome, event);
        prop_assert!(taken || partition(&world) == before);
    }
    claims_are_as_held(&world)
}

// ------------------------------------------------------------------------------------------------ humans without riddles

/// Ids that fit together, told in pieces, by several workers who crash: whatever the order, the humans come out.
fn humans_come_out(seed: u64) -> Result<(), TestCaseError> {
    let dice = Dice::new(seed ^ 0x1DE7);
    let humans = 1 + dice.below(3);
    let mut events = Vec::new();
    let mut links: Vec<Vec<Id>> = Vec::new();
    for human in 0..humans {
        let user = id(IdKind::UserId, &format!("u{human}"));
        let email = id(IdKind::Email, &format!("person{human}@example.com"));
        let profile = id(IdKind::CioId, &format!("0{human}"));
        let browser = id(IdKind::AnonymousId, &format!("a{human}"));
        for contact in 0..1 + dice.below(3) {
            let contact = id(IdKind::IntercomId, &format!("c{human}{contact}"));
            let mut ids = vec![contact.clone()];
            ids.extend(dice.percent(50).then(|| user.clone()));
            ids.extend(dice.percent(60).then(|| email.clone()));
            events.push((Source::Intercom, ids, said(true)));
            events.push((Source::Intercom, vec![contact], Kind::PersonDeleted));
        }
        let mut ids = vec![profile];
        ids.extend(dice.percent(50).then(|| user.clone()));
        ids.extend(dice.percent(60).then(|| email.clone()));
        events.push((Source::Customerio, ids, said(false)));
        if dice.percent(70) {
            events.push((Source::Segment, vec![user.clone(), email.clone(), browser], said(false)));
        }
    }
    let mut events: Vec<Event> = events
        .into_iter()
        .enumerate()
        .map(|(number, (source, ids, kind))| {
            links.push(ids.iter().map(|id| (id.kind, id.value.clone())).collect());
            event(number, source, ids, 0, kind)
        })
        .collect();
    for event in events.clone() {
        if dice.percent(30) {
            events.push(event);
        }
    }
    dice.shuffle(&mut events);

    // Whatever was ever named together is one human.
    let mut expected: Vec<BTreeSet<Id>> = Vec::new();
    for link in links {
        let (touching, apart): (Vec<_>, Vec<_>) = expected.into_iter().partition(|group| link.iter().any(|id| group.contains(id)));
        expected = apart;
        expected.push(touching.into_iter().flatten().chain(link).collect());
    }

    let world = World::new(seed, NOW);
    let weather = Weather { crashes: dice.below(10), failing: 0, workers: 1 + dice.below(4) };
    crate::run_alone(&world, &weather, events);
    prop_assert_eq!(partition(&world), expected.into_iter().collect::<BTreeSet<_>>());
    claims_are_as_held(&world)
}

proptest! {
    // Another seed is another history, so that there is nothing to shrink.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..crate::cases::many() })]

    #[test]
    fn links_merges_and_what_is_given_up_end_as_on_paper(seed in any::<u64>()) {
        as_on_paper(seed)?;
    }

    #[test]
    fn ids_that_fit_together_make_the_same_people_in_any_order(seed in any::<u64>()) {
        humans_come_out(seed)?;
    }
}

// ------------------------------------------------------------------------------------------------ single cases

fn still() -> World {
    let world = World::new(1, NOW);
    world.forgets.store(0, std::sync::atomic::Ordering::Relaxed);
    world
}

#[test]
fn the_new_name_stays_the_one_to_go_by_whatever_comes_late() {
    let world = still();
    let (user, browser) = (id(IdKind::UserId, "u1"), id(IdKind::AnonymousId, "a1"));
    let identify = event(1, Source::Segment, vec![user.clone(), browser], 50, said(false));
    let from = vec![id(IdKind::UserId, "a1"), id(IdKind::AnonymousId, "a1")];
    let alias = event(2, Source::Segment, vec![user.clone()], 100, Kind::PersonMerged(Merged { from, profile: Profile::default() }));
    for event in [&identify, &alias, &identify] {
        route(&world, event);
        assert_eq!(world.people()[0].id_of(IdKind::UserId), Some("u1"));
    }
    // And an older renaming does not undo a newer one.
    let from = vec![id(IdKind::UserId, "u0")];
    let older =
        event(3, Source::Segment, vec![id(IdKind::UserId, "a1")], 60, Kind::PersonMerged(Merged { from, profile: Profile::default() }));
    route(&world, &older);
    assert_eq!((world.people().len(), world.people()[0].id_of(IdKind::UserId)), (1, Some("u1")));
}

#[test]
fn a_user_id_that_changes_is_shown_to_a_human_though_nothing_else_changes() {
    let world = still();
    let contact = id(IdKind::IntercomId, "c1");
    route(&world, &event(1, Source::Intercom, vec![contact.clone(), id(IdKind::UserId, "u1")], 0, said(true)));
    route(&world, &event(2, Source::Segment, vec![id(IdKind::UserId, "u2")], 0, said(false)));
    route(&world, &event(3, Source::Intercom, vec![contact, id(IdKind::UserId, "u2")], 1, said(true)));
    let noted = finish(world.conflicts(&workspace())).expect("the store answers");
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].over.value.as_str(), noted[0].people.len()), ("u2", 2));
}

#[test]
fn an_opt_out_of_a_browser_nobody_knows_is_kept_for_the_person_it_turns_out_to_be() {
    use trefoil_domain::event::{Channel, Choice, ConsentChange};
    let world = still();
    let out = ConsentChange { channel: Some(Channel::Email), topic: None, choice: Choice::Out };
    let browser = vec![id(IdKind::AnonymousId, "a1")];
    route(&world, &event(1, Source::Segment, browser.clone(), 0, Kind::ConsentChanged(vec![out])));
    assert!(world.people()[0].consent.is_out_of(Channel::Email));
    let of_another = vec![id(IdKind::AnonymousId, "a2")];
    route(&world, &event(2, Source::Segment, of_another, 0, said(false)));
    assert_eq!((world.depth(QueueName::Parked), world.people().len()), (0, 1), "nobody is made of a browser without one");
    let signed_in = vec![id(IdKind::UserId, "u1"), id(IdKind::AnonymousId, "a1")];
    route(&world, &event(3, Source::Segment, signed_in, 0, said(false)));
    let people = world.people();
    assert_eq!(people.len(), 1);
    assert!(people[0].consent.is_out_of(Channel::Email) && people[0].has_id(&id(IdKind::UserId, "u1")));
}

/// The busiest sources repeat themselves with every event.
#[test]
fn who_is_known_already_is_not_written_again() {
    let world = still();
    let of_customerio = [id(IdKind::CioId, "0a"), id(IdKind::UserId, "u1"), id(IdKind::Email, "ann@example.com")];
    let of_segment = [id(IdKind::UserId, "u1"), id(IdKind::Email, "ann@example.com"), id(IdKind::AnonymousId, "a1")];
    let tell = |number: usize, at: i64| {
        route(&world, &event(number, Source::Customerio, of_customerio.to_vec(), at, Kind::PersonDeleted));
        route(&world, &event(number + 1, Source::Segment, of_segment.to_vec(), at, said(false)));
    };
    // Nobody is made by a deletion: it takes both twice until all is known.
    tell(101, 0);
    tell(103, 0);
    let (_, writes, transactions) = world.store_calls();
    (1..20).for_each(|n| tell(2 * n + 1, n as i64 * 60));
    let after = world.store_calls();
    assert_eq!((after.1 - writes, after.2 - transactions), (0, 0));
}
