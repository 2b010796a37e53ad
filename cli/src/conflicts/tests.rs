use super::*;
use trefoil_domain::id::EventId;
use trefoil_domain::ports::{Alias, Put};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Office {
    workspace: Workspace,
    store: SqliteStore,
    queue: SqliteQueue,
    _folder: tempfile::TempDir,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(folder.path()).expect("a new file");
        let queue = SqliteQueue::new(db.clone(), std::sync::Arc::new(SystemClock), 10);
        Self { workspace: Workspace::new("main").expect("valid"), store: SqliteStore::new(db), queue, _folder: folder }
    }

    fn desk(&self) -> Desk<'_, SqliteStore, SqliteQueue> {
        Desk { store: &self.store, queue: &self.queue, workspace: &self.workspace, now: NOW }
    }

    /// Somebody with these ids, not stored yet.
    fn person(&self, ids: &[Identifier]) -> Person {
        let mut person = Person::new(&self.workspace, &ids[0], NOW);
        person.version = 1;
        for id in ids {
            person.ids.entry(id.kind).or_default().insert(id.value.clone(), NOW);
        }
        person
    }

    async fn put(&self, people: &[&Person], claims: &[(&Identifier, &[&Person])]) {
        let person = |person: &&Person| Put::Person { person: Box::new((*person).clone()), expected: 0 };
        let alias = |(id, people): &(&Identifier, &[&Person])| {
            let claimants = people.iter().map(|person| person.id.clone()).collect();
            let key = AliasKey::of_identifier(&self.workspace, id);
            Put::Alias { key, alias: Alias { claimants, ..Alias::default() }, expected: 0 }
        };
        let puts = people.iter().map(person).chain(claims.iter().map(alias)).collect();
        assert_eq!(self.store.commit(puts).await, Ok(trefoil_domain::ports::Commit::Done));
    }

    async fn note(&self, id: &str, kind: ConflictKind, over: &Identifier, people: &[&Person], at: Timestamp) {
        let people = people.iter().map(|person| person.id.clone()).collect();
        let (id, event) = (ConflictId::from_stored(id), EventId::from_stored("e"));
        let note = ConflictNote { id, workspace: self.workspace.clone(), kind, over: over.clone(), people, event, at };
        self.store.note_conflicts(vec![note]).await.expect("the store answers");
    }

    async fn held(&self) -> (Vec<String>, usize) {
        let (conflicts, cleared) = self.desk().list().await.expect("the store answers");
        (conflicts.into_iter().map(|conflict| conflict.note.id.as_str().to_owned()).collect(), cleared)
    }
}

fn id(kind: IdKind, value: &str) -> Identifier {
    Identifier::new(kind, value).expect("valid")
}

fn user(value: &str) -> Identifier {
    id(IdKind::UserId, value)
}

const LONG_AGO: Timestamp = NOW.minus(Span::from_days(1));
use ConflictKind::{Ambiguous, Contradiction, TwoProfiles};

#[tokio::test]
async fn what_no_longer_holds_is_cleared_away_and_nothing_else() {
    let office = Office::new();
    let [shared, given, soon, lost] = ["shared", "given", "soon", "lost"].map(|name| id(IdKind::Email, &format!("{name}@example.com")));
    let contact = id(IdKind::IntercomId, "c1");
    let (one, mut two) = (office.person(&[user("u1")]), office.person(&[user("u2"), contact.clone()]));
    let (mut merged, forgotten) = (office.person(&[user("u3")]), office.person(&[user("u4")]));
    let mut doubled = office.person(&[user("u5"), id(IdKind::CioId, "0a"), id(IdKind::CioId, "0b")]);
    doubled.created_at = LONG_AGO;
    merged.merged_into = Some(one.id.clone());
    two.disclaimed.insert(user("u9"));
    let claims: [(&Identifier, &[&Person]); 4] =
        [(&shared, &[&merged, &two]), (&given, &[&one]), (&soon, &[&two]), (&lost, &[&one, &forgotten])];
    office.put(&[&one, &two, &merged, &doubled], &claims).await;

    // Two claim it, one of them under the name of somebody merged; two people, and a contact that named both.
    office.note("shared", Ambiguous, &shared, &[&merged], LONG_AGO).await;
    office.note("contact", Contradiction, &contact, &[&merged, &two], LONG_AGO).await;
    office.note("doubled", TwoProfiles, &id(IdKind::CioId, "0a"), &[&doubled], LONG_AGO).await;
    office.note("alone", Contradiction, &user("u8"), &[&two], LONG_AGO).await;
    // One claims it, one of two is gone, two have become one, one has given it up, the second profile has gone.
    office.note("given", Ambiguous, &given, &[&one, &two], LONG_AGO).await;
    office.note("lost", Ambiguous, &lost, &[&one, &forgotten], LONG_AGO).await;
    office.note("lost too", Contradiction, &contact, &[&two, &forgotten], LONG_AGO).await;
    office.note("one now", Contradiction, &user("u3"), &[&one, &merged], LONG_AGO).await;
    office.note("gave up", Contradiction, &user("u9"), &[&one, &two], LONG_AGO).await;
    office.note("one profile", TwoProfiles, &id(IdKind::CioId, "0c"), &[&one], LONG_AGO).await;
    // What makes it true may be just about to be written.
    office.note("soon", Ambiguous, &soon, &[&one, &two], NOW.minus(Span::from_secs(9))).await;

    let holds = ["alone", "contact", "doubled", "shared"].map(str::to_owned).to_vec();
    assert_eq!(office.held().await, (holds.clone(), 6));
    assert_eq!(office.held().await, (holds, 0));
    assert_eq!(office.store.conflicts(&office.workspace).await.expect("the store answers").len(), 5, "the young one is still there");

    let (conflicts, _) = office.desk().list().await.expect("the store answers");
    let people = |name: &str| {
        let conflict = conflicts.iter().find(|conflict| conflict.note.id.as_str() == name).expect("listed");
        conflict.people.iter().map(|person| person.id.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(people("shared"), [one.id.clone(), two.id.clone()].into(), "survivors are followed");
    assert_eq!(people("contact"), [one.id.clone(), two.id.clone()].into());
}

#[tokio::test]
async fn a_decision_is_one_event_for_each_other_person() {
    let office = Office::new();
    let shared = id(IdKind::Email, "shared@example.com");
    let people: Vec<Person> = (1..=3).map(|n| office.person(&[user(&format!("u{n}")), shared.clone()])).collect();
    let all: Vec<&Person> = people.iter().collect();
    office.put(&all, &[(&shared, &all)]).await;
    office.note("abcdef11", Ambiguous, &shared, &all, LONG_AGO).await;
    office.note("abcdef12", Contradiction, &user("u1"), &all[..2], LONG_AGO).await;
    office.note("abcdef22", TwoProfiles, &id(IdKind::CioId, "0a"), &all[..1], LONG_AGO).await;
    let desk = office.desk();
    for (prefix, problem) in [("abcde", "too short"), ("abcdef", "3 conflicts"), ("abcdef1", "2 conflicts"), ("fedcba", "no conflict")] {
        let error = desk.find(prefix).await.expect_err("not one of them");
        assert!(error.contains(problem), "{error}");
    }

    let conflict = desk.find("abcdef11").await.expect("one of them");
    let merge = desk.merge(&conflict).expect("three people");
    let kinds: Vec<&Kind> = merge.iter().map(|event| &event.kind).collect();
    let one = &conflict.people[0];
    let same = |n: usize| Kind::Settled(Settlement::Same { with: conflict.people[n].id.clone() });
    assert_eq!(kinds, [&same(1), &same(2)]);
    assert!(merge.iter().all(|event| event.person.as_ref() == Some(&one.id) && event.source == Source::Trefoil));
    assert_ne!(merge[0].id, merge[1].id);
    assert_eq!(desk.merge(&conflict).expect("again")[0].id, merge[0].id, "said twice, it is the same event");

    let two = &people[1];
    for name in ["user:u2", two.id.as_str(), &two.id.as_str()[..6]] {
        let give = desk.give(&conflict, name).expect(name);
        let givers: BTreeSet<&PersonId> = give.iter().filter_map(|event| event.person.as_ref()).collect();
        assert_eq!(givers, [&people[0].id, &people[2].id].into(), "{name}");
        assert!(give.iter().all(|event| event.kind == Kind::Settled(Settlement::Disclaimed { id: shared.clone() })));
    }
    for name in ["user:u7", "email:shared@example.com", "", "zzz", "email:nonsense"] {
        desk.give(&conflict, name).expect_err(name);
    }
    let over_user = desk.find("abcdef12").await.expect("one of them");
    desk.give(&over_user, "user:u2").expect_err("nobody has two user ids");
    desk.give(&over_user, "user:u1").expect("the other one gives it up");
    let profiles = desk.find("abcdef22").await.expect("one of them");
    assert!(desk.merge(&profiles).is_err() && desk.give(&profiles, "user:u1").is_err());

    // In the queue first, and then forgotten.
    desk.settle(&conflict, &merge).await.expect("accepted");
    let sent =
        office.queue.receive(QueueName::Events, 10, Span::from_mins(1), NOW.plus(Span::from_days(3650))).await.expect("the file answers");
    let sent: Vec<Event> = sent.iter().map(|delivery| serde_json::from_str(&delivery.body).expect("an event")).collect();
    assert_eq!(sent, merge);
    desk.find("abcdef11").await.expect_err("forgotten");
}
