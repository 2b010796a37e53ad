//! What a store must do.

use std::collections::BTreeMap;
use std::sync::Arc;
use trefoil_domain::event::{IdKind, Identifier, WakeReason, Workspace};
use trefoil_domain::id::{ConflictId, EventId, PersonId};
use trefoil_domain::identity::ConflictKind;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Alias, AliasKey, Commit, ConflictNote, Destination, HISTORY_KEPT, Mark, Put, Record, Store, Wake};
use trefoil_domain::tickets::TicketId;
use trefoil_domain::time::{Span, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) fn workspace() -> Workspace {
    Workspace::new("main").expect("valid")
}

fn email(n: usize) -> Identifier {
    Identifier::new(IdKind::Email, &format!("person{n}@example.com")).expect("valid")
}

pub(crate) fn alias_key(n: usize) -> AliasKey {
    AliasKey::of_identifier(&workspace(), &email(n))
}

/// A person that has not been stored, as it is to be stored first.
pub(crate) fn person(n: usize) -> Person {
    let mut person = Person::new(&workspace(), &email(n), NOW);
    person.version = 1;
    person.ids.entry(IdKind::Email).or_default().insert(email(n).value, NOW);
    person
}

pub(crate) fn put(person: &Person, expected: u64) -> Put {
    Put::Person { person: Box::new(person.clone()), expected }
}

fn alias(people: &[&Person]) -> Alias {
    Alias { claimants: people.iter().map(|person| person.id.clone()).collect(), ..Alias::default() }
}

async fn commit(store: &impl Store, puts: Vec<Put>) -> Commit {
    store.commit(puts).await.expect("the store answers")
}

async fn stored(store: &impl Store, id: &PersonId) -> Option<Person> {
    store.find(&[], std::slice::from_ref(id)).await.expect("the store answers").people.remove(id)
}

pub(crate) async fn a_write_applies_to_the_expected_version_only(store: impl Store) {
    let mut person = person(1);
    assert_eq!(stored(&store, &person.id).await, None);
    assert_eq!(commit(&store, vec![put(&person, 0)]).await, Commit::Done);
    assert_eq!(commit(&store, vec![put(&person, 0)]).await, Commit::Conflict);
    assert_eq!(stored(&store, &person.id).await.as_ref(), Some(&person));

    person.version = 2;
    person.looked_up_at = Some(NOW);
    assert_eq!(commit(&store, vec![put(&person, 1)]).await, Commit::Done);
    let late = Person { version: 2, looked_up_at: None, ..person.clone() };
    assert_eq!(commit(&store, vec![put(&late, 1)]).await, Commit::Conflict);
    assert_eq!(commit(&store, vec![put(&late, 3)]).await, Commit::Conflict);
    assert_eq!(stored(&store, &person.id).await.as_ref(), Some(&person));

    // A merge makes versions jump.
    person.version = 7;
    assert_eq!(commit(&store, vec![put(&person, 2)]).await, Commit::Done);
    assert_eq!(commit(&store, vec![put(&person, 3)]).await, Commit::Conflict);
    assert_eq!(commit(&store, vec![put(&person, 7)]).await, Commit::Done);
    assert_eq!(commit(&store, Vec::new()).await, Commit::Done);
}

pub(crate) async fn several_writes_apply_together_or_not_at_all(store: impl Store) {
    let (one, two) = (person(1), person(2));
    let claim = |expected| Put::Alias { key: alias_key(1), alias: alias(&[&one, &two]), expected };
    let found = async || store.find(&[alias_key(1)], &[one.id.clone(), two.id.clone()]).await.expect("the store answers");

    assert_eq!(commit(&store, vec![put(&one, 0), put(&two, 0), claim(1)]).await, Commit::Conflict);
    assert_eq!(found().await, Default::default(), "the people were not written");
    assert_eq!(commit(&store, vec![claim(0), put(&one, 0), put(&two, 0)]).await, Commit::Done);
    let all = found().await;
    assert_eq!(all.people.len(), 2);
    assert_eq!(all.aliases[&alias_key(1)], Alias { version: 1, ..alias(&[&one, &two]) });

    let older = Person { created_at: Timestamp::from_secs(1), version: 2, ..one.clone() };
    assert_eq!(commit(&store, vec![put(&older, 1), claim(0)]).await, Commit::Conflict);
    assert_eq!(found().await, all);
    assert_eq!(commit(&store, vec![put(&older, 1), claim(1)]).await, Commit::Done);
    assert_eq!(found().await.aliases[&alias_key(1)].version, 2);
}

pub(crate) async fn one_read_finds_many_keys(store: impl Store) {
    let people: Vec<Person> = (0..60).map(person).collect();
    for some in people.chunks(30) {
        let puts = some.iter().map(|person| put(person, 0)).collect();
        assert_eq!(commit(&store, puts).await, Commit::Done);
    }
    let claims = (0..90).map(|n| Put::Alias { key: alias_key(n), alias: alias(&[&people[n % 60]]), expected: 0 });
    assert_eq!(commit(&store, claims.collect()).await, Commit::Done);

    // Some of these do not exist, some are asked for twice.
    let keys: Vec<AliasKey> = (0..150).map(|n| alias_key(n % 120)).collect();
    let ids: Vec<PersonId> = (0..140).map(|n| person(n % 100).id).collect();
    let found = store.find(&keys, &ids).await.expect("the store answers");
    assert_eq!(found.aliases.len(), 90);
    assert_eq!(found.people.len(), 60);
    assert_eq!(found.aliases[&alias_key(61)].claimants, [people[1].id.clone()]);
    assert!(people.iter().all(|person| found.people[&person.id] == *person));
    assert_eq!(store.find(&[], &[]).await, Ok(Default::default()));
}

pub(crate) async fn a_deleted_ticket_stays_known(store: impl Store) {
    let key = AliasKey::of_ticket(&workspace(), &TicketId::new("4711").expect("valid"));
    let deleted = Alias { deleted_at: Some(NOW), ..Alias::default() };
    assert_eq!(commit(&store, vec![Put::Alias { key: key.clone(), alias: deleted, expected: 0 }]).await, Commit::Done);
    let found = store.find(std::slice::from_ref(&key), &[]).await.expect("the store answers");
    assert_eq!(found.aliases[&key], Alias { claimants: Vec::new(), deleted_at: Some(NOW), label: None, version: 1 });
}

pub(crate) async fn marks_are_written_each_on_its_own(store: impl Store) {
    let (one, two, stranger) = (person(1), person(2), person(3));
    assert_eq!(commit(&store, vec![put(&one, 0), put(&two, 0)]).await, Commit::Done);
    let ids = [one.id.clone(), two.id.clone(), stranger.id.clone(), one.id.clone()];
    let read = async |destination| store.with_marks(destination, &ids).await.expect("the store answers");
    let write = async |marks| store.put_marks(Destination::Customerio, marks).await.expect("the store answers");

    let unmarked = BTreeMap::from([(one.id.clone(), (one.clone(), Mark::default())), (two.id.clone(), (two.clone(), Mark::default()))]);
    assert_eq!(read(Destination::Customerio).await, unmarked);

    let mark = Mark { dirty: true, last_timestamp: 1_800_000_000, ..Mark::default() };
    assert_eq!(write(vec![(one.id.clone(), mark.clone())]).await, [Commit::Done]);
    let both = vec![(one.id.clone(), Mark::default()), (two.id.clone(), mark.clone())];
    assert_eq!(write(both).await, [Commit::Conflict, Commit::Done]);
    let marked = Mark { version: 1, ..mark };
    assert_eq!(read(Destination::Customerio).await[&one.id], (one.clone(), marked.clone()));
    assert_eq!(read(Destination::Intercom).await, unmarked, "each destination has its own");

    let sent = Mark { dirty: false, facet_hash: Some("abc".to_owned()), facet_version: 3, ..marked.clone() };
    assert_eq!(write(vec![(one.id.clone(), sent.clone())]).await, [Commit::Done]);
    assert_eq!(write(vec![(one.id.clone(), marked)]).await, [Commit::Conflict]);
    assert_eq!(read(Destination::Customerio).await[&one.id].1, Mark { version: 2, ..sent });
    assert_eq!(write(Vec::new()).await, []);
}

fn wake(n: usize, reason: WakeReason, in_secs: i64) -> Wake {
    Wake { workspace: workspace(), person: person(n).id, reason, due: NOW.plus(Span::from_secs(in_secs)) }
}

async fn due(store: &impl Store, in_secs: i64, limit: usize) -> Vec<Wake> {
    store.due_wakes(NOW.plus(Span::from_secs(in_secs)), limit).await.expect("the store answers")
}

pub(crate) async fn wakes_are_due_in_order_and_replaced(store: impl Store) {
    // More than one write's worth, the latest first.
    let many: Vec<Wake> = (0..40).map(|n| wake(n, WakeReason::Facet, 100 - i64::try_from(n).expect("small"))).collect();
    store.set_wakes(many.clone()).await.expect("the store answers");
    let mut ordered = many.clone();
    ordered.reverse();
    assert_eq!(due(&store, 100, 100).await, ordered);
    assert_eq!(due(&store, 100, 7).await, ordered[..7]);
    assert_eq!(due(&store, 70, 100).await, ordered[..10], "due means due by then");
    assert_eq!(due(&store, 60, 100).await, []);

    // A second reason stands beside the first; the same one replaces it; of two in one call the last holds.
    let other = wake(0, WakeReason::RepairCustomerio, 1);
    let (superseded, moved) = (wake(0, WakeReason::Facet, 3), wake(0, WakeReason::Facet, 2));
    store.set_wakes(vec![other.clone(), superseded, moved.clone()]).await.expect("the store answers");
    assert_eq!(due(&store, 10, 100).await, [other, moved]);
    assert_eq!(due(&store, 100, 100).await.len(), 41);
    store.set_wakes(Vec::new()).await.expect("the store answers");
}

pub(crate) async fn a_wake_that_was_moved_is_not_cleared(store: impl Store) {
    let (kept, gone, moved) = (wake(1, WakeReason::Facet, 1), wake(2, WakeReason::Facet, 2), wake(3, WakeReason::Facet, 3));
    store.set_wakes(vec![kept.clone(), gone.clone(), moved.clone()]).await.expect("the store answers");
    let later = wake(3, WakeReason::Facet, 4);
    store.set_wakes(vec![later.clone()]).await.expect("the store answers");
    // Clearing twice is no error.
    for _ in 0..2 {
        store.clear_wakes(vec![gone.clone(), moved.clone()]).await.expect("the store answers");
        assert_eq!(due(&store, 10, 10).await, [kept.clone(), later.clone()]);
    }
}

fn record(event: &str, stage: &str, outcome: Outcome) -> Record {
    let (event, stage) = (EventId::from_stored(event), stage.to_owned());
    Record { event, stage, at: NOW, what: "test".to_owned(), outcome, skipped: Vec::new(), notes: Vec::new() }
}

pub(crate) async fn history_keeps_the_last_outcome_of_a_stage(store: impl Store) {
    let history = async |event: &str, now| store.history(&EventId::from_stored(event), now).await.expect("the store answers");
    let retried = record("e1", "customerio", Outcome::retry(Span::from_secs(9), "unreachable"));
    let done = record("e1", "customerio", Outcome::Done);
    let mut routed = record("e1", "route", Outcome::Done);
    routed.skipped = vec![("ticket opened".to_owned(), "condition".to_owned())];
    store.record(vec![retried.clone()]).await.expect("the store answers");
    assert_eq!(history("e1", NOW).await, std::slice::from_ref(&retried));
    store.record(vec![routed.clone(), retried.clone(), done.clone()]).await.expect("the store answers");
    assert_eq!(history("e1", NOW).await, [done, routed]);
    assert_eq!(history("e2", NOW).await, []);

    // More than one write's worth.
    let many: Vec<Record> = (0..60).map(|n| record("e3", &format!("stage {n:02}"), Outcome::Done)).collect();
    store.record(many.clone()).await.expect("the store answers");
    assert_eq!(history("e3", NOW).await, many);

    let end = NOW.plus(HISTORY_KEPT);
    assert_eq!(history("e3", end.minus(Span::from_secs(1))).await.len(), 60);
    assert_eq!(history("e3", end).await, [], "what has expired is not shown, deleted or not");
}

pub(crate) fn elsewhere() -> Workspace {
    Workspace::new("other").expect("valid")
}

fn conflict(workspace: &Workspace, n: usize, at: i64) -> ConflictNote {
    ConflictNote {
        id: ConflictId::from_stored(format!("{n:032x}")),
        workspace: workspace.clone(),
        kind: ConflictKind::Ambiguous,
        over: email(n),
        people: [person(n).id, person(n + 1000).id].into(),
        event: EventId::from_stored(format!("event {n}")),
        at: NOW.plus(Span::from_secs(at)),
    }
}

async fn noted(store: &impl Store, workspace: &Workspace) -> Vec<ConflictNote> {
    store.conflicts(workspace).await.expect("the store answers")
}

pub(crate) async fn conflicts_are_replaced_and_listed_latest_first(store: impl Store) {
    let here = workspace();
    assert_eq!(noted(&store, &here).await, []);
    let other = conflict(&elsewhere(), 1, 5);
    let notes = [conflict(&here, 1, 10), conflict(&here, 2, 30), conflict(&here, 3, 20)];
    store.note_conflicts([notes.to_vec(), vec![other.clone()]].concat()).await.expect("the store answers");
    assert_eq!(noted(&store, &here).await, [&notes[1], &notes[2], &notes[0]].map(Clone::clone));
    assert_eq!(noted(&store, &elsewhere()).await, std::slice::from_ref(&other));

    // It happens again, to somebody else as well; of two in one call the last holds. Two at once come by their ids.
    let superseded = conflict(&here, 1, 40);
    let again = ConflictNote { people: [person(7).id].into(), event: EventId::from_stored("again"), ..conflict(&here, 1, 30) };
    store.note_conflicts(vec![superseded, again.clone()]).await.expect("the store answers");
    assert_eq!(noted(&store, &here).await, [&again, &notes[1], &notes[2]].map(Clone::clone));
    assert_eq!(noted(&store, &elsewhere()).await, [other], "the same id, and not the same conflict");
    store.note_conflicts(Vec::new()).await.expect("the store answers");
}

pub(crate) async fn conflicts_are_cleared_by_id(store: impl Store) {
    let here = workspace();
    let other = conflict(&elsewhere(), 1, 0);
    let notes: Vec<ConflictNote> = (0..3).map(|n| conflict(&here, n, 0)).collect();
    store.note_conflicts(notes.iter().chain([&other]).cloned().collect()).await.expect("the store answers");
    let unknown = ConflictId::from_stored("ffff");
    // Named twice, cleared twice, never there: no error.
    for _ in 0..2 {
        let ids = vec![notes[1].id.clone(), unknown.clone(), notes[1].id.clone()];
        store.clear_conflicts(&here, ids).await.expect("the store answers");
        assert_eq!(noted(&store, &here).await, [&notes[0], &notes[2]].map(Clone::clone));
    }
    assert_eq!(noted(&store, &elsewhere()).await, [other]);
    store.clear_conflicts(&here, Vec::new()).await.expect("the store answers");
    // Cleared is not forbidden.
    store.note_conflicts(vec![notes[1].clone()]).await.expect("the store answers");
    assert_eq!(noted(&store, &here).await, notes);
}

pub(crate) async fn conflicts_of_many_calls_and_pages_are_all_there(store: impl Store) {
    let here = workspace();
    // A page of DynamoDB ends at 1 MiB: these are 1.5.
    let people: std::collections::BTreeSet<PersonId> = (0..700).map(|n| person(n).id).collect();
    let mut notes: Vec<ConflictNote> = (0..60).map(|n| ConflictNote { people: people.clone(), ..conflict(&here, n, 0) }).collect();
    store.note_conflicts(notes.clone()).await.expect("the store answers");
    assert!(noted(&store, &here).await == notes, "all are there, as they were");
    let last = notes.split_off(59);
    store.clear_conflicts(&here, notes.into_iter().map(|note| note.id).collect()).await.expect("the store answers");
    assert!(noted(&store, &here).await == last, "the one that was not cleared is left");
}

pub(crate) async fn any_text_comes_back_as_it_was(store: impl Store) {
    let odd = Identifier::new(IdKind::UserId, "a\u{FFFE}b\u{FFFF}c\u{0}d\u{1F980}'\"\\").expect("valid");
    let mut person = Person::new(&workspace(), &odd, NOW);
    person.version = 1;
    person.ids.entry(IdKind::UserId).or_default().insert(odd.value.clone(), NOW);
    let key = AliasKey::of_identifier(&workspace(), &odd);
    let claim = Put::Alias { key: key.clone(), alias: alias(&[&person]), expected: 0 };
    assert_eq!(commit(&store, vec![put(&person, 0), claim]).await, Commit::Done);
    let found = store.find(std::slice::from_ref(&key), std::slice::from_ref(&person.id)).await.expect("the store answers");
    assert_eq!(found.people[&person.id], person);
    assert_eq!(found.aliases[&key].claimants, [person.id]);
}

const RACERS: i64 = 20;
const ROUNDS: u64 = 3;

pub(crate) fn wins(outcomes: &[Commit]) -> usize {
    outcomes.iter().filter(|outcome| **outcome == Commit::Done).count()
}

/// Runs `write` for every racer at once.
pub(crate) async fn race<F: Future<Output = Commit> + Send + 'static>(write: impl Fn(i64) -> F) -> Vec<Commit> {
    let racers: Vec<_> = (0..RACERS).map(|racer| tokio::spawn(write(racer))).collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.expect("no panic"));
    }
    outcomes
}

pub(crate) async fn of_racing_writers_one_wins(store: impl Store + 'static) {
    let store = Arc::new(store);
    for expected in 0..ROUNDS {
        let attempt = |racer: i64| {
            let store = Arc::clone(&store);
            let racing = Person { version: expected + 1, looked_up_at: Some(Timestamp::from_secs(racer)), ..person(1) };
            async move { commit(&*store, vec![put(&racing, expected)]).await }
        };
        let outcomes = race(attempt).await;
        assert_eq!(wins(&outcomes), 1, "version {expected}");
        let winner = outcomes.iter().position(|outcome| *outcome == Commit::Done).and_then(|n| i64::try_from(n).ok());
        let stored = stored(&*store, &person(1).id).await.expect("written");
        assert_eq!(stored.looked_up_at.map(Timestamp::secs), winner);
    }
}

pub(crate) async fn of_racing_transactions_one_wins(store: impl Store + 'static) {
    let store = Arc::new(store);
    for expected in 0..ROUNDS {
        let attempt = |racer: i64| {
            let store = Arc::clone(&store);
            let racing = Person { version: expected + 1, looked_up_at: Some(Timestamp::from_secs(racer)), ..person(1) };
            let claim = Put::Alias { key: alias_key(1), alias: alias(&[&racing]), expected };
            async move { commit(&*store, vec![put(&racing, expected), claim]).await }
        };
        // On AWS all of them may lose at once to each other's locks; somebody tries again then.
        let mut won = wins(&race(attempt).await);
        for _ in 0..10 {
            if won > 0 {
                break;
            }
            won = wins(&race(attempt).await);
        }
        assert_eq!(won, 1, "version {expected}");
    }
}

pub(crate) async fn of_racing_senders_one_wins(store: impl Store + 'static) {
    let store = Arc::new(store);
    for version in 0..ROUNDS {
        // All of them write the very same mark: one of them holds it all the same.
        let attempt = |_| {
            let store = Arc::clone(&store);
            let mark = Mark { dirty: true, version, ..Mark::default() };
            async move {
                let outcome = store.put_marks(Destination::Customerio, vec![(person(1).id, mark)]).await;
                outcome.expect("the store answers").remove(0)
            }
        };
        assert_eq!(wins(&race(attempt).await), 1, "version {version}");
    }
}
