use super::*;
use std::sync::atomic::{AtomicI64, Ordering};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::{ActionId, EventId, PersonId};
use trefoil_domain::job::{Job, Work};
use trefoil_domain::ledger::{Entry, LEDGER_KEPT, Ledger as _};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Clock, Commit, HISTORY_KEPT, Message, Queue, QueueName, Record, Store};
use trefoil_domain::time::{Span, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        START.plus(Span::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

async fn count(db: &Db, table: &'static str) -> i64 {
    db.read(move |db| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))).await.expect("a count")
}

#[tokio::test]
async fn a_failure_takes_nobody_else_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(folder.path()).expect("a new file");
    let insert = |key: &'static str| {
        move |db: &Connection| db.execute("INSERT INTO aliases (key, version, body) VALUES (?1, 1, '')", [key]).map(drop)
    };
    db.write(insert("taken")).await.expect("the first of its name");
    // Sent before anything is awaited, so that they share a transaction.
    let half_way = |db: &Connection| {
        db.execute("INSERT INTO aliases (key, version, body) VALUES ('half', 1, '')", [])?;
        db.execute("INSERT INTO aliases (key, version, body) VALUES ('taken', 1, '')", []).map(drop)
    };
    let outcomes = tokio::join!(db.write(insert("before")), db.write(half_way), db.write(insert("after")));
    assert!(matches!(outcomes, (Ok(()), Err(_), Ok(()))), "{outcomes:?}");
    assert_eq!(count(&db, "aliases").await, 3, "nothing is left of the one that failed");
}

#[tokio::test]
async fn files_of_any_name_lie_side_by_side_and_each_is_opened_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let insert = |db: &Connection| db.execute("INSERT INTO aliases (key, version, body) VALUES ('one', 1, '')", []).map(drop);
    let paths = ["people.db", "people.lock", "people"].map(|name| folder.path().join(name));
    let open: Vec<Db> = paths.iter().map(|path| Db::open_file(path).expect("a new file")).collect();
    for (path, db) in paths.iter().zip(&open) {
        db.write(insert).await.expect("written");
        assert!(matches!(Db::open_file(path), Err(OpenError::InUse(_))));
    }
    drop(open);
    for path in &paths {
        assert_eq!(count(&Db::open_file(path).expect("the same file"), "aliases").await, 1);
    }
}

#[tokio::test]
async fn what_has_expired_is_cleared_away_as_new_things_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(folder.path()).expect("a new file");
    let clock = Arc::new(Hands(AtomicI64::new(0)));
    let queue = SqliteQueue::new(db.clone(), clock.clone(), 5);
    let store = SqliteStore::new(db.clone());
    let fill = async |from: usize, at: Timestamp| {
        let message = |n: usize| Message { body: String::new(), group: "g".to_owned(), dedup: n.to_string() };
        queue.send(QueueName::Events, (from..from + 1000).map(message).collect()).await.expect("accepted");
        let record = |n: usize| {
            let event = EventId::from_stored(n.to_string());
            let (what, stage) = (String::new(), "route".to_owned());
            Record { event, stage, at, what, outcome: Outcome::Done, skipped: Vec::new(), notes: Vec::new() }
        };
        store.record((from..from + 1000).map(record).collect()).await.expect("recorded");
    };
    fill(0, START).await;
    assert_eq!((count(&db, "sent").await, count(&db, "history").await), (1000, 1000));
    let later = START.plus(HISTORY_KEPT);
    clock.0.store(HISTORY_KEPT.millis(), Ordering::SeqCst);
    fill(1000, later).await;
    assert_eq!((count(&db, "sent").await, count(&db, "history").await), (1000, 1000));
    assert_eq!(count(&db, "messages").await, 2000, "messages do not expire");
}

#[tokio::test]
async fn expired_entries_of_the_ledger_are_cleared_away_as_new_ones_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(folder.path()).expect("a new file");
    let store = SqliteStore::new(db.clone());
    let workspace = Workspace::new("main").expect("valid");
    let put = async |n: usize, now: Timestamp| {
        let (event, person) = (EventId::from_stored(n.to_string()), PersonId::from_stored("p"));
        let job = Job { event, workspace: workspace.clone(), person: Some(person), created_at: now, work: Work::Intercom(Vec::new()) };
        let entry = Entry::new(job, ActionId::from_stored(n.to_string()), now);
        assert_eq!(store.put_entry(entry, now).await, Ok(Commit::Done));
    };
    for n in 0..10 {
        put(n, START).await;
    }
    put(10, START.plus(LEDGER_KEPT).minus(Span::from_millis(1))).await;
    assert_eq!(count(&db, "ledger").await, 11, "kept as long as any queue can bring its job again");
    for n in 11..14 {
        put(n, START.plus(LEDGER_KEPT)).await;
    }
    assert_eq!(count(&db, "ledger").await, 4);
}

#[test]
fn a_file_of_another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Db::open(folder.path()).expect("a new file"));
    let raw = Connection::open(folder.path().join(FILE_NAME)).expect("the file");
    raw.pragma_update(None, "user_version", SCHEMA_VERSION + 1).expect("changed");
    drop(raw);
    assert!(matches!(Db::open(folder.path()), Err(OpenError::Version { found, .. }) if found == SCHEMA_VERSION + 1));
    assert!(matches!(Db::attach(folder.path()), Err(OpenError::Version { found, .. }) if found == SCHEMA_VERSION + 1));
}

#[test]
fn the_lock_goes_with_the_file_and_not_with_whoever_inherited_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = File::create(folder.path().join(format!("{FILE_NAME}{LOCK_SUFFIX}"))).expect("a lock file");
    lock.try_lock().expect("ours");
    // What a child that is being started has, until it is another program.
    let inherited = lock.try_clone().expect("a second handle");
    let db = Connection::open(folder.path().join(FILE_NAME)).expect("a new file");
    drop(Worker::start("trefoil-db-write", db, "BEGIN IMMEDIATE", Some(lock)).expect("a thread"));
    drop(Db::open(folder.path()).expect("free"));
    drop(inherited);
}
