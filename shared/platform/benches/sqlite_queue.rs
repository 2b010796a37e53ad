//! How much the SQLite file takes: events sent by many callers at once, as webhooks are, then routed and sent on, with
//! the statements an event costs on its whole way. Prints a table; measures nothing else than this machine's disk and cores.
//!
//! `cargo bench -p trefoil-platform --bench sqlite_queue [-- <events>]`

#![expect(clippy::print_stdout, reason = "the table is what this is for")]

use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use trefoil_domain::event::{IdKind, Identifier, Workspace};
use trefoil_domain::id::{Digest, EventId, PersonId};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Clock, Commit, Delivery, Destination, Disposition, Message, Put, Queue, QueueName, Record, Store};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};

/// Webhooks answered at once.
const SENDERS: usize = 64;
/// Messages received at once by the one loop of a queue.
const BATCH: usize = 200;
/// People that the events are about.
const PEOPLE: usize = 2_000;
/// Bytes of an event's JSON.
const BODY: usize = 1_500;
const VISIBILITY: Span = Span::from_mins(3);
const OK: &str = "the file answers";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let events = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(20_000);
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let db = Db::open(folder.path()).expect("a new file");
    let bench = Arc::new(Bench { queue: SqliteQueue::new(db.clone(), Arc::new(SystemClock), 30), store: SqliteStore::new(db), events });

    println!("{events} events of {BODY} bytes about {PEOPLE} people\n");
    report("ingest alone (64 callers, each waits for the disk)", events, ingest(&bench).await);
    let begun = Instant::now();
    let first = bench.queue.receive(QueueName::Events, 10, Span::ZERO, SystemClock.now()).await.expect(OK);
    println!("{:>52}: {} µs for {}", "a receive before so many", begun.elapsed().as_micros(), first.len());
    report("route and send what has piled up", events, follow(&bench).await);
    let both = Instant::now();
    let begin = events;
    let done = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { follow(&bench).await }
    });
    ingest_from(&bench, begin).await;
    done.await.expect("no panic");
    report("all at once, end to end", events, both.elapsed());
    latency(&bench).await;
}

struct Bench {
    queue: SqliteQueue,
    store: SqliteStore,
    events: usize,
}

fn report(what: &str, events: usize, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read by eye")]
    let rate = events as f64 / took.as_secs_f64();
    println!("{what:>52}: {rate:.0} events/s ({} ms)", took.as_millis());
}

fn message(n: usize, body: &str) -> Message {
    Message { body: body.to_owned(), group: format!("group-{:028}", n % PEOPLE), dedup: n.to_string() }
}

async fn ingest(bench: &Arc<Bench>) -> Duration {
    let begun = Instant::now();
    ingest_from(bench, 0).await;
    begun.elapsed()
}

async fn ingest_from(bench: &Arc<Bench>, first: usize) {
    let next = Arc::new(AtomicUsize::new(first));
    let end = first + bench.events;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (bench, next) = (Arc::clone(bench), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return;
                    }
                    let body = format!("{n} {}", "x".repeat(BODY));
                    bench.queue.send(QueueName::Events, vec![message(n, &body)]).await.expect(OK);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("no panic");
    }
}

/// Routes every event to one job and sends every job, until all have been sent.
async fn follow(bench: &Arc<Bench>) -> Duration {
    let begun = Instant::now();
    let route = tokio::spawn({
        let bench = Arc::clone(bench);
        async move { drain(&bench, QueueName::Events).await }
    });
    drain(bench, QueueName::CustomerioState).await;
    route.await.expect("no panic");
    begun.elapsed()
}

async fn drain(bench: &Bench, queue: QueueName) {
    let mut handled = 0;
    while handled < bench.events {
        let batch = bench.queue.receive(queue, BATCH, VISIBILITY, SystemClock.now()).await.expect(OK);
        if batch.is_empty() {
            bench.queue.wait(queue, Duration::from_secs(1)).await;
            continue;
        }
        if queue == QueueName::Events {
            route(bench, &batch).await;
        } else {
            send(bench, &batch).await;
        }
        handled += batch.len();
        let settled = batch.into_iter().map(|delivery| (delivery.id, Disposition::Delete)).collect();
        bench.queue.settle(queue, settled, SystemClock.now()).await.expect(OK);
    }
}

fn person(delivery: &Delivery) -> Person {
    let workspace = Workspace::new("main").expect("valid");
    let id = Identifier::new(IdKind::UserId, &delivery.group).expect("valid");
    Person::new(&workspace, &id, Timestamp::from_secs(1_800_000_000))
}

/// Groups at once, messages of a group one after the other, as the steps do it.
async fn route(bench: &Bench, batch: &[Delivery]) {
    let mut groups: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
    for delivery in batch {
        groups.entry(&delivery.group).or_default().push(delivery);
    }
    join_all(groups.into_values().map(|deliveries| route_group(bench, deliveries))).await;
}

async fn route_group(bench: &Bench, deliveries: Vec<&Delivery>) {
    for delivery in deliveries {
        let stranger = person(delivery);
        let found = bench.store.find(&[], std::slice::from_ref(&stranger.id)).await.expect(OK);
        let mut person = found.people.into_values().next().unwrap_or(stranger);
        let expected = person.version;
        person.version += 1;
        let done = bench.store.commit(vec![Put::Person { person: Box::new(person), expected }]).await;
        assert_eq!(done, Ok(Commit::Done));
        let n = delivery.body.split_once(' ').expect("numbered").0;
        let job = Message { body: delivery.body[..200].to_owned(), group: delivery.group.clone(), dedup: n.to_owned() };
        bench.queue.send(QueueName::CustomerioState, vec![job]).await.expect(OK);
        bench.store.record(vec![record(n, "route")]).await.expect(OK);
    }
}

async fn send(bench: &Bench, batch: &[Delivery]) {
    let people: Vec<PersonId> = batch.iter().map(|delivery| person(delivery).id).collect();
    let marks = bench.store.with_marks(Destination::Customerio, &people).await.expect(OK);
    // Once before the call to the vendor, once after.
    let marks: Vec<_> = marks.into_iter().map(|(id, (_, mark))| (id, mark)).collect();
    bench.store.put_marks(Destination::Customerio, marks.clone()).await.expect(OK);
    let next = marks.into_iter().map(|(id, mut mark)| {
        mark.version += 1;
        (id, mark)
    });
    bench.store.put_marks(Destination::Customerio, next.collect()).await.expect(OK);
    let records = batch.iter().map(|delivery| record(delivery.body.split_once(' ').expect("numbered").0, "customerio-state"));
    bench.store.record(records.collect()).await.expect(OK);
}

fn record(event: &str, stage: &str) -> Record {
    let event = EventId::from(Digest::new("event").with(event));
    let at = SystemClock.now();
    let stage = stage.to_owned();
    Record { event, stage, at, what: "test".to_owned(), outcome: Outcome::Done, skipped: Vec::new(), notes: Vec::new() }
}

/// From a send to the receive that it wakes, with nothing else going on.
async fn latency(bench: &Arc<Bench>) {
    let mut took = Vec::new();
    for n in 0..200 {
        let waiting = tokio::spawn({
            let bench = Arc::clone(bench);
            async move {
                loop {
                    bench.queue.wait(QueueName::Intercom, Duration::from_secs(5)).await;
                    let batch = bench.queue.receive(QueueName::Intercom, BATCH, VISIBILITY, SystemClock.now()).await.expect(OK);
                    if !batch.is_empty() {
                        return Instant::now();
                    }
                }
            }
        });
        tokio::task::yield_now().await;
        let begun = Instant::now();
        bench.queue.send(QueueName::Intercom, vec![message(n, "x")]).await.expect(OK);
        took.push(waiting.await.expect("no panic").duration_since(begun));
    }
    took.sort_unstable();
    println!("{:>52}: median {} µs, slowest of 200 {} µs", "from a send to its receive", took[100].as_micros(), took[199].as_micros());
}
