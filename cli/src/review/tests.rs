use super::super::show;
use super::*;
use std::collections::BTreeSet;
use trefoil_domain::action::{Action, CreateTicket, MessageChannel, OpenConversation, SendMessage};
use trefoil_domain::event::{IdKind, Identifier, Source};
use trefoil_domain::id::EventId;
use trefoil_domain::job::Job;
use trefoil_domain::ledger::Next;
use trefoil_domain::ports::{Delivery, Message, Put, QueueError, QueueName};
use trefoil_domain::time::Span;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const BEGUN: Timestamp = NOW.minus(Span::from_hours(3));

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

    fn person(&self, user: &str) -> Person {
        let id = Identifier::new(IdKind::UserId, user).expect("valid");
        let mut person = Person::new(&self.workspace, &id, BEGUN);
        person.version = 1;
        person.ids.entry(id.kind).or_default().insert(id.value, BEGUN);
        person
    }

    async fn put_person(&self, person: &Person) {
        let put = Put::Person { person: Box::new(person.clone()), expected: 0 };
        assert_eq!(self.store.commit(vec![put]).await, Ok(Commit::Done));
    }

    /// An entry whose step `step` is unknown.
    async fn unknown(&self, id: &str, person: &Person, what: IntercomVerb, step: &str) -> Entry {
        let mut entry = self.entry(id, person, what);
        entry.begin(step, BEGUN);
        entry.review = Review::Wanted;
        self.put(entry).await
    }

    fn entry(&self, id: &str, person: &Person, what: IntercomVerb) -> Entry {
        let id = ActionId::from_stored(id);
        let action = Action {
            id: id.clone(),
            route: "renewal is due".to_owned(),
            occurred_at: BEGUN,
            origin: Source::Customerio,
            of_lead: false,
            what,
        };
        let (event, work) = (EventId::from_stored("e1"), Work::Intercom(vec![action]));
        let job = Job { event, workspace: self.workspace.clone(), person: Some(person.id.clone()), created_at: BEGUN, work };
        Entry::new(job, id, BEGUN)
    }

    async fn put(&self, entry: Entry) -> Entry {
        assert_eq!(self.store.put_entry(entry.clone(), NOW).await, Ok(Commit::Done));
        Entry { version: entry.version + 1, ..entry }
    }

    async fn stored(&self, entry: &Entry) -> Entry {
        self.store.entry(&entry.action).await.expect("the store answers").expect("kept")
    }

    async fn sent(&self) -> Vec<Delivery> {
        let later = NOW.plus(Span::from_days(3650));
        self.queue.receive(QueueName::IntercomState, 10, Span::from_mins(1), later).await.expect("the file answers")
    }

    async fn listed(&self) -> Vec<String> {
        let cases = self.desk().list().await.expect("the store answers");
        cases.into_iter().map(|case| case.entry.action.as_str().to_owned()).collect()
    }
}

fn open(note: Option<&str>) -> IntercomVerb {
    let body = "Your renewal is due next week, and\nthere is still a ticket open that we should look at together".to_owned();
    IntercomVerb::OpenConversation(OpenConversation { body, note: note.map(str::to_owned), ..OpenConversation::default() })
}

fn message() -> IntercomVerb {
    IntercomVerb::SendMessage(SendMessage { channel: MessageChannel::Email, subject: Some("Renewal".to_owned()), body: "…".to_owned() })
}

/// As the sender finds it.
fn job(delivery: &Delivery) -> Job {
    serde_json::from_str(&delivery.body).expect("a job")
}

#[tokio::test]
async fn what_was_done_goes_on_with_what_is_left() {
    let office = Office::new();
    let person = office.person("u1");
    office.put_person(&person).await;
    let entry = office.unknown("abcdef11", &person, open(Some("High value")), "open").await;
    let desk = office.desk();
    let case = desk.find("abcdef").await.expect("the only one");
    assert_eq!((&case.entry, case.person.as_ref()), (&entry, Some(&person)));
    assert!(desk.done(&entry, None).expect_err("the note needs a conversation").contains("--made"));
    for bad in ["", "conversations/215468", "215 468", "2\u{e9}", &"1".repeat(65)] {
        assert!(desk.done(&entry, Some(bad)).is_err(), "{bad:?}");
    }

    desk.settle(desk.done(&entry, Some("215468")).expect("decided")).await.expect("accepted");
    let stored = office.stored(&entry).await;
    assert_eq!((stored.next("open"), stored.next("note")), (Next::Made(Some("215468".to_owned())), Next::Make));
    assert_eq!((stored.review, stored.version), (Review::Given, 2));
    assert_eq!(office.listed().await, [""; 0]);
    let sent = office.sent().await;
    assert_eq!(
        sent.iter().map(job).collect::<Vec<_>>(),
        [Job { created_at: NOW, ..entry.job.clone() }],
        "as of now: it does not come too late"
    );

    assert!(desk.settle(desk.done(&entry, Some("1")).expect("from before")).await.expect_err("too late").contains("somebody else"));
    assert!(desk.find("abcdef").await.is_err(), "only the whole id finds what is not listed");
    let case = desk.find("abcdef11").await.expect("by its whole id");
    desk.done(&case.entry, None).expect_err("nothing is unknown");
}

#[tokio::test]
async fn what_was_not_done_is_done_again() {
    let office = Office::new();
    let person = office.person("u1");
    let entry = office.unknown("abcdef11", &person, message(), "send").await;
    // The job that ended in the review was sent moments ago: the queue must not take the next one for a repetition of it.
    let first = entry.job.to_message().expect("JSON");
    office.queue.send(QueueName::IntercomState, vec![first.clone()]).await.expect("accepted");
    let desk = office.desk();
    desk.settle(desk.send_again(&entry).expect("decided")).await.expect("accepted");
    let stored = office.stored(&entry).await;
    assert_eq!((stored.next("send"), stored.review), (Next::Make, Review::Given));
    let sent = office.sent().await;
    assert_eq!(sent.iter().map(job).collect::<Vec<_>>(), [entry.job.clone(), Job { created_at: NOW, ..entry.job.clone() }]);
    assert!(sent.iter().all(|delivery| delivery.group == first.group), "behind each other");

    // Said again, it goes on with what is left, and takes nothing back.
    let mut going_on = stored;
    going_on.done("send", None, NOW);
    let going_on = office.put(going_on).await;
    let again = desk.send_again(&going_on).expect("nothing is unknown");
    assert_eq!(again.steps, going_on.steps);
    // What somebody is at right now is left alone, and so is what has simply been done.
    let mut begun = going_on.clone();
    begun.begin("note", NOW);
    assert!(desk.send_again(&begun).is_err() && desk.done(&begun, None).is_err());
    desk.send_again(&Entry { review: Review::None, ..going_on }).expect_err("nobody has asked");
}

#[tokio::test]
async fn only_the_deduplication_id_of_the_message_is_new_and_each_moment_has_its_own() {
    let office = Office::new();
    let entry = office.unknown("abcdef11", &office.person("ada@example.com"), message(), "send").await;
    let first = entry.job.to_message().expect("JSON");
    let at = |now| Desk { now, ..office.desk() }.again(&entry).expect("JSON");
    let (again, later) = (at(NOW), at(NOW.plus(Span::from_millis(1))));
    assert_eq!(Message { dedup: first.dedup.clone(), ..again.clone() }, first);
    assert_eq!(BTreeSet::from([&first.dedup, &again.dedup, &later.dedup]).len(), 3);
    assert_eq!(at(NOW), again);
    assert!(again.dedup.bytes().all(|byte| byte.is_ascii_hexdigit()), "nothing of a person");
}

struct Closed;

impl Queue for Closed {
    async fn send(&self, queue: QueueName, _: Vec<Message>) -> Result<(), QueueError> {
        Err(QueueError { queue, message: "closed".to_owned() })
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_sent_can_be_sent_later() {
    let office = Office::new();
    let entry = office.unknown("abcdef1122", &office.person("u1"), message(), "send").await;
    let desk = Desk { store: &office.store, queue: &Closed, workspace: &office.workspace, now: NOW };
    let error = desk.settle(desk.done(&entry, None).expect("decided")).await.expect_err("nobody takes it");
    assert!(error.contains("trefoil review send-again abcdef1122"), "{error}");
    let desk = office.desk();
    let case = desk.find("abcdef1122").await.expect("by its whole id");
    desk.settle(desk.send_again(&case.entry).expect("what is left")).await.expect("accepted");
    assert_eq!((office.stored(&entry).await.next("send"), office.sent().await.len()), (Next::Made(None), 1));
}

#[tokio::test]
async fn all_are_listed_with_what_to_look_for_and_survivors_are_followed() {
    let office = Office::new();
    let (one, mut merged, forgotten) = (office.person("u1"), office.person("u2\u{1b}[2J"), office.person("u3"));
    merged.merged_into = Some(one.id.clone());
    office.put_person(&one).await;
    office.put_person(&merged).await;
    office.unknown("aaaaaaaa11", &merged, open(None), "open").await;
    office.unknown("aaaaaaaa22", &forgotten, message(), "send").await;
    let ticket = CreateTicket { title: "Renewal".to_owned(), assign_to_team: Some("77".to_owned()), ..CreateTicket::default() };
    let mut assigning = office.entry("bbbbbbbb", &one, IntercomVerb::CreateTicket(ticket));
    assigning.begun_at = NOW;
    assigning.done("open", Some("31".to_owned()), BEGUN);
    assigning.begin("assign", BEGUN);
    assigning.review = Review::Wanted;
    let assigning = office.put(assigning).await;
    // These want none.
    office.put(office.entry("cccccccc", &one, message())).await;
    let mut elsewhere = office.entry("dddddddd", &one, message());
    (elsewhere.workspace, elsewhere.review) = (Workspace::new("other").expect("valid"), Review::Wanted);
    office.put(elsewhere).await;

    assert_eq!(office.listed().await, ["bbbbbbbb", "aaaaaaaa11", "aaaaaaaa22"]);
    let desk = office.desk();
    for (prefix, problem) in [("aaaaa", "too short"), ("aaaaaa", "2 actions"), ("ffffff", "no action"), ("dddddddd", "no action")] {
        let error = desk.find(prefix).await.expect_err("not one of them");
        assert!(error.contains(problem), "{error}");
    }
    desk.done(&assigning, None).expect("the ticket is known");

    let pages = show::pages(&desk.list().await.expect("the store answers"));
    for part in [
        "bbbbbbbb  intercom.create_ticket of route \"renewal is due\"\n              `assign` was begun 2027-01-15T05:00:00Z; nobody knows",
        "whether ticket 31 is assigned to team 77",
        "it is there:      trefoil review done bbbbbbbb\n",
        "a conversation of this person, from 2027-01-15T05:00:00Z, that begins \"Your renewal is due next week, and there is still a ticket o…\"",
        "an e-mail to this person, subject \"Renewal\"",
        "it is not there:  trefoil review send-again aaaaaaaa22",
        "who has been forgotten",
        "3 actions want a review.",
    ] {
        assert!(pages.contains(part), "{part}\nin\n{pages}");
    }
    assert!(!pages.contains('\u{1b}'));
    let lines = show::lines(&desk.list().await.expect("the store answers"));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_conversation = &lines[1];
    assert_eq!((&of_conversation["id"], &of_conversation["step"]), (&"aaaaaaaa11".into(), &"open".into()));
    assert_eq!((&of_conversation["verb"], &of_conversation["route"]), (&"intercom.open_conversation".into(), &"renewal is due".into()));
    let expected = serde_json::json!({ "id": one.id, "ids": { "user": ["u1"] } });
    assert_eq!(of_conversation["person"], expected, "the survivor");
    assert_eq!(lines[2]["person"]["ids"], serde_json::Value::Null);
}
