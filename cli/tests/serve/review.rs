//! Reviews are given from beside the file.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use trefoil_domain::action::{Action, IntercomVerb, NoteOn};
use trefoil_domain::event::{IdKind, Identifier, Source, Workspace};
use trefoil_domain::id::{ActionId, EventId};
use trefoil_domain::job::{Job, Work};
use trefoil_domain::ledger::{Entry, Ledger as _, Next, Review};
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Clock as _, Commit, Put, QueueName, Store as _};
use trefoil_domain::time::Span;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};

/// Runs `trefoil review` as an operator does, without a terminal: whether it succeeded, and all it said.
pub(crate) fn review(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
    command.arg("review").args(arguments).arg("--data").arg(data).env_clear().current_dir(data).stdin(Stdio::null());
    let output = command.output().expect("the program runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn what_nobody_knows_of_is_listed_and_goes_on_as_a_human_says() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(!review(folder.path(), &[]).0, "there is no file yet");
    let db = Db::open(folder.path()).expect("a new file");
    let store = SqliteStore::new(db.clone());
    let workspace = Workspace::new("main").expect("valid");
    assert_eq!(review(folder.path(), &[]), (true, "Nothing wants a review.\n".to_owned()));
    let address = Identifier::new(IdKind::Email, "ada@example.com").expect("valid");
    let now = SystemClock.now();
    let mut person = Person::new(&workspace, &address, now);
    person.version = 1;
    person.ids.entry(address.kind).or_default().insert(address.value, now);
    let put = Put::Person { person: Box::new(person.clone()), expected: 0 };
    assert_eq!(store.commit(vec![put]).await, Ok(Commit::Done));
    let ids = ["a1a1a1a1a1a1", "b2b2b2b2b2b2"];
    for id in ids {
        let action = ActionId::from_stored(id);
        let what = IntercomVerb::AddNote { body: "Renewal is due".to_owned(), on: NoteOn::Contact };
        let actions = vec![Action {
            id: action.clone(),
            route: "renewal".to_owned(),
            occurred_at: now,
            origin: Source::Customerio,
            of_lead: false,
            what,
        }];
        let (event, person, workspace) = (EventId::from_stored("e"), person.id.clone(), workspace.clone());
        let job = Job { event, workspace, person: Some(person), created_at: now, work: Work::Intercom(actions) };
        let mut entry = Entry { review: Review::Wanted, ..Entry::new(job, action, now) };
        entry.begin("note", now);
        assert_eq!(store.put_entry(entry, now).await, Ok(Commit::Done));
    }

    let (_, page) = review(folder.path(), &[]);
    let parts =
        ["a1a1a1a1a1a1  intercom.add_note of route \"renewal\"", "email      ada@example.com", "a note on the contact", "2 actions"];
    assert!(parts.iter().all(|part| page.contains(part)), "{page}");
    let (_, lines) = review(folder.path(), &["list", "--json"]);
    let listed: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(listed.iter().map(|line| line["id"].as_str().expect("an id")).collect::<Vec<_>>(), ids);

    // What cannot be meant is not done, and what people would see twice not without asking.
    for refused in
        [&["done", "a1a1a"][..], &["done", "cccccc"], &["done", ids[0], "--made", "a/b"], &["send-again", ids[1]], &["list", "--aws"]]
    {
        let (done, said) = review(folder.path(), refused);
        assert!(!done && said.starts_with("error: "), "{refused:?}: {said}");
    }
    let done = review(folder.path(), &["done", "a1a1a1", "--made", "215468"]);
    assert!(done.0, "{}", done.1);
    let again = review(folder.path(), &["send-again", "b2b2b2", "--yes"]);
    assert!(again.0, "{}", again.1);
    assert_eq!(review(folder.path(), &[]), (true, "Nothing wants a review.\n".to_owned()));

    let next = async |id| store.entry(&ActionId::from_stored(id)).await.expect("the file answers").expect("kept").next("note");
    assert_eq!((next(ids[0]).await, next(ids[1]).await), (Next::Made(Some("215468".to_owned())), Next::Make));
    let queue = SqliteQueue::new(db, Arc::new(SystemClock), 10);
    let sent = queue.receive(QueueName::IntercomState, 10, Span::from_mins(1), SystemClock.now()).await.expect("the file answers");
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|delivery| !delivery.group.contains("ada")), "queue attributes carry nothing of a person");
}
