//! The SQLite side of the contract, and what only a file can get wrong.

use crate::queue::{MAX_RECEIVE_COUNT, Receiver};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trefoil_domain::ports::{Clock, Commit, Delivery, Disposition, Message, Queue, QueueError, QueueName, Store};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, Depth, OpenError, SqliteQueue, SqliteStore};

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Hands(AtomicI64);

impl Hands {
    fn pass(&self, span: Span) {
        self.0.fetch_add(span.millis(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).plus(Span::from_millis(self.0.load(Ordering::SeqCst)))
    }
}

/// A store or a queue, and the folder that goes when it does.
pub(crate) struct InFolder<T> {
    inner: T,
    clock: Arc<Hands>,
    _folder: TempDir,
}

fn in_folder<T>(make: impl FnOnce(Db, Arc<Hands>) -> T) -> InFolder<T> {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(Hands::default());
    let db = Db::open(folder.path()).expect("a new file");
    InFolder { inner: make(db, Arc::clone(&clock)), clock, _folder: folder }
}

pub(crate) fn store() -> SqliteStore {
    // An unlinked file lives on while it is open.
    in_folder(|db, _| SqliteStore::new(db)).inner
}

pub(crate) fn ledger() -> SqliteStore {
    store()
}

pub(crate) fn queue() -> InFolder<SqliteQueue> {
    in_folder(|db, clock| SqliteQueue::new(db, clock, MAX_RECEIVE_COUNT))
}

impl Queue for InFolder<SqliteQueue> {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.inner.send(queue, messages).await
    }
}

impl Receiver for InFolder<SqliteQueue> {
    async fn receive(&self, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery> {
        self.inner.receive(queue, max, visibility, self.clock.now()).await.expect("the file answers")
    }

    async fn receive_after(&self, after: Span, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery> {
        self.clock.pass(after);
        self.receive(queue, max, visibility).await
    }

    async fn settle(&self, queue: QueueName, settled: Vec<(String, Disposition)>) {
        self.inner.settle(queue, settled, self.clock.now()).await.expect("the file answers");
    }

    async fn dead(&self, queue: QueueName) -> u64 {
        self.inner.depths(self.clock.now()).await.expect("the file answers")[&queue].dead
    }
}

const EVENTS: QueueName = QueueName::Events;
const MINUTE: Span = Span::from_mins(1);

fn message(group: &str, text: &str) -> Message {
    Message { body: text.to_owned(), group: group.to_owned(), dedup: text.to_owned() }
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.body.as_str()).collect()
}

#[tokio::test]
async fn deduplication_ends_after_five_minutes() {
    let queue = queue();
    queue.send(EVENTS, vec![message("a", "1")]).await.expect("accepted");
    queue.clock.pass(Span::from_millis(5 * 60_000 - 1));
    queue.send(EVENTS, vec![message("a", "1")]).await.expect("accepted");
    assert_eq!(queue.inner.depths(queue.clock.now()).await.expect("depths")[&EVENTS].visible, 1);
    queue.clock.pass(Span::from_millis(1));
    queue.send(EVENTS, vec![message("a", "1")]).await.expect("accepted");
    assert_eq!(queue.inner.depths(queue.clock.now()).await.expect("depths")[&EVENTS].visible, 2);
}

#[tokio::test]
async fn a_large_receive_serves_many_groups_and_none_twice() {
    let queue = queue();
    let messages = (0..1000).map(|n| message(&format!("g{}", n % 300), &format!("{n}"))).collect();
    queue.send(EVENTS, messages).await.expect("accepted");
    let first = queue.receive(EVENTS, 200, MINUTE).await;
    assert_eq!(first.len(), 200);
    let depth = queue.inner.depths(queue.clock.now()).await.expect("depths")[&EVENTS];
    assert_eq!(depth, Depth { visible: 800, in_flight: 200, dead: 0 });

    let mut received: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut batch = first;
    while !batch.is_empty() {
        for delivery in &batch {
            received.entry(delivery.group.clone()).or_default().push(delivery.body.parse().expect("a number"));
        }
        queue.settle(EVENTS, batch.iter().map(|delivery| (delivery.id.clone(), Disposition::Delete)).collect()).await;
        batch = queue.receive(EVENTS, 200, MINUTE).await;
    }
    assert_eq!((received.len(), received.values().map(Vec::len).sum::<usize>()), (300, 1000));
    assert!(received.values().all(|numbers| numbers.is_sorted()));
    assert_eq!(queue.inner.depths(queue.clock.now()).await.expect("depths")[&EVENTS], Depth::default());
}

#[tokio::test]
async fn a_receipt_that_has_run_out_changes_nothing() {
    let queue = queue();
    queue.send(EVENTS, vec![message("a", "1")]).await.expect("accepted");
    let late = queue.receive(EVENTS, 1, MINUTE).await;
    queue.clock.pass(MINUTE);
    queue.settle(EVENTS, vec![(late[0].id.clone(), Disposition::Delete), ("nonsense".to_owned(), Disposition::Delete)]).await;
    assert_eq!(bodies(&queue.receive(EVENTS, 1, MINUTE).await), ["1"]);
}

#[tokio::test]
async fn a_file_opened_again_has_everything_and_nobody_works_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(Hands::default());
    let person = crate::store::person(1);
    {
        let db = Db::open(folder.path()).expect("a new file");
        let queue = SqliteQueue::new(db.clone(), clock.clone(), 5);
        queue.send(EVENTS, vec![message("a", "held"), message("a", "behind"), message("b", "later")]).await.expect("accepted");
        let received = queue.receive(EVENTS, 10, MINUTE, clock.now()).await.expect("received");
        let later = received.iter().find(|delivery| delivery.body == "later").expect("received").id.clone();
        queue.settle(EVENTS, vec![(later, Disposition::Retry(MINUTE))], clock.now()).await.expect("settled");
        let committed = SqliteStore::new(db).commit(vec![crate::store::put(&person, 0)]).await;
        assert_eq!(committed, Ok(Commit::Done));
    }
    let db = Db::open(folder.path()).expect("the same file");
    let queue = SqliteQueue::new(db.clone(), clock.clone(), 5);
    let now = clock.now();
    let received = queue.receive(EVENTS, 10, MINUTE, now).await.expect("received");
    assert_eq!(bodies(&received), ["held", "behind"], "what was held is free, what waits goes on waiting");
    assert_eq!(received[0].receive_count, 2);
    let received = queue.receive(EVENTS, 10, MINUTE, now.plus(MINUTE)).await.expect("received");
    assert!(bodies(&received).contains(&"later"));
    let found = SqliteStore::new(db).find(&[], std::slice::from_ref(&person.id)).await.expect("found");
    assert_eq!(found.people[&person.id], person);
}

#[test]
fn a_file_in_use_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = Db::open(folder.path()).expect("a new file");
    let Err(refused) = Db::open(folder.path()) else { panic!("opened twice") };
    assert!(matches!(refused, OpenError::InUse(_)));
    assert!(refused.to_string().contains("trefoil.db is in use by another process"), "{refused}");
    drop(open);
    drop(Db::open(folder.path()).expect("free again"));
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_send_and_by_a_settle() {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = SqliteQueue::new(Db::open(folder.path()).expect("a new file"), Arc::new(SystemClock), 5);
    let forever = Duration::from_mins(10);
    let begun = Instant::now();

    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.wait(EVENTS, forever).await }
    });
    tokio::task::yield_now().await;
    queue.send(EVENTS, vec![message("a", "1"), message("a", "2")]).await.expect("accepted");
    waiting.await.expect("woken");

    queue.wait(EVENTS, forever).await;
    let first = queue.receive(EVENTS, 1, Span::from_mins(10), SystemClock.now()).await.expect("received");
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.wait(EVENTS, forever).await }
    });
    tokio::task::yield_now().await;
    queue.settle(EVENTS, vec![(first[0].id.clone(), Disposition::Delete)], SystemClock.now()).await.expect("settled");
    waiting.await.expect("woken");

    // And when the time of what was given back has come.
    let second = queue.receive(EVENTS, 1, Span::from_mins(10), SystemClock.now()).await.expect("received");
    let soon = Disposition::Retry(Span::from_millis(50));
    queue.settle(EVENTS, vec![(second[0].id.clone(), soon)], SystemClock.now()).await.expect("settled");
    let mut again = Vec::new();
    while again.is_empty() {
        queue.wait(EVENTS, forever).await;
        again = queue.receive(EVENTS, 1, MINUTE, SystemClock.now()).await.expect("received");
    }
    assert_eq!(bodies(&again), ["2"]);
    assert!(begun.elapsed() < forever, "somebody slept on");
}

const CHILD_FOLDER: &str = "TREFOIL_TEST_CHILD_FOLDER";

/// Not a test: what [`a_killed_process_loses_nothing_that_was_acknowledged`] starts and kills; else nothing.
#[tokio::test(flavor = "multi_thread")]
async fn writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let db = Db::open(Path::new(&folder)).expect("the parent has closed it");
    let queue = SqliteQueue::new(db.clone(), Arc::new(SystemClock), 5);
    let store = SqliteStore::new(db);
    let out = Arc::new(Mutex::new(std::io::stdout()));
    for task in 0..16 {
        let (queue, store, out) = (queue.clone(), store.clone(), Arc::clone(&out));
        tokio::spawn(async move {
            for n in 0.. {
                let n = task + n * 16;
                queue.send(EVENTS, vec![message(&format!("g{}", n % 7), &n.to_string())]).await.expect("accepted");
                let done = store.commit(vec![crate::store::put(&crate::store::person(n), 0)]).await;
                assert_eq!(done, Ok(Commit::Done));
                writeln!(out.lock().expect("not poisoned"), "acknowledged {n}").expect("the parent reads");
            }
        });
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged: Vec<usize> = Vec::new();
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "sqlite::writes_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut killed = false;
    for line in lines {
        let line = line.expect("text");
        acknowledged.extend(line.split_once("acknowledged ").and_then(|(_, n)| n.parse::<usize>().ok()));
        if acknowledged.len() == 400 && !killed {
            // SIGKILL, in the middle of things. What is in the pipe still counts.
            child.kill().expect("killed");
            killed = true;
        }
    }
    assert!(!child.wait().expect("ended").success() && killed, "it wrote until it was killed");

    let db = Db::open(folder.path()).expect("the file is whole");
    let queue = SqliteQueue::new(db.clone(), Arc::new(SystemClock), 5);
    let mut received = BTreeSet::new();
    loop {
        let batch = queue.receive(EVENTS, 200, MINUTE, SystemClock.now()).await.expect("received");
        if batch.is_empty() {
            break;
        }
        received.extend(batch.iter().map(|delivery| delivery.body.parse::<usize>().expect("a number")));
        let settled = batch.into_iter().map(|delivery| (delivery.id, Disposition::Delete)).collect();
        queue.settle(EVENTS, settled, SystemClock.now()).await.expect("settled");
    }
    let store = SqliteStore::new(db);
    for n in acknowledged {
        assert!(received.contains(&n), "message {n} was acknowledged and is gone");
        let person = crate::store::person(n);
        let found = store.find(&[], std::slice::from_ref(&person.id)).await.expect("found");
        assert!(found.people.contains_key(&person.id), "person {n} was acknowledged and is gone");
    }
}

#[tokio::test]
async fn who_is_attached_sends_beside_whoever_has_it_open_and_releases_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(Db::attach(folder.path()), Err(OpenError::Missing(_))), "there is nothing yet");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "and nothing was made");

    let clock = Arc::new(Hands::default());
    let owner = SqliteQueue::new(Db::open(folder.path()).expect("a new file"), Arc::clone(&clock) as Arc<dyn Clock>, MAX_RECEIVE_COUNT);
    owner.send(EVENTS, vec![message("a", "1")]).await.expect("accepted");
    let held = owner.receive(EVENTS, 10, MINUTE, clock.now()).await.expect("the file answers");
    assert_eq!(bodies(&held), ["1"]);

    let beside = SqliteQueue::new(Db::attach(folder.path()).expect("it is there"), Arc::clone(&clock) as Arc<dyn Clock>, MAX_RECEIVE_COUNT);
    beside.send(EVENTS, vec![message("b", "2")]).await.expect("accepted");
    // The one in work stays with whoever has it; nobody tells the owner of the new one, and it is found all the same.
    owner.wait(EVENTS, Duration::from_secs(600)).await;
    assert_eq!(bodies(&owner.receive(EVENTS, 10, MINUTE, clock.now()).await.expect("the file answers")), ["2"]);
    owner.settle(EVENTS, vec![(held[0].id.clone(), Disposition::Delete)], clock.now()).await.expect("the file answers");
    assert_eq!(beside.depths(clock.now()).await.expect("the file answers")[&EVENTS], Depth { visible: 0, in_flight: 1, dead: 0 });

    // Neither end of the other takes the file away, and who is attached keeps nobody from opening it.
    drop(owner);
    drop(Db::open(folder.path()).expect("free"));
    beside.send(EVENTS, vec![message("c", "3")]).await.expect("accepted");
}
