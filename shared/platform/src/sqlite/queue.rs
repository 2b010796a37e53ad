//! The queues on the SQLite file, with the rules of SQS FIFO: order and one batch at a time within a group, five minutes
//! of deduplication per group (deleted messages included), visibility timeouts, receive counts, dead letters.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>

use super::Db;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use trefoil_domain::id::Digest;
use trefoil_domain::ports::{Clock, Delivery, Disposition, Message, Queue, QueueError, QueueName};
use trefoil_domain::time::{Span, Timestamp};

/// Two messages of one group with one dedup id within this are one message.
const DEDUP_WINDOW: Span = Span::from_mins(5);
/// Messages of one group in one receive.
const PER_GROUP: usize = 10;
/// One send in this many clears old sends away, at most four times as many, so that they never pile up.
const CLEARING_EVERY: i64 = 64;

/// The queues. Clones share them.
#[derive(Clone)]
pub struct SqliteQueue {
    db: Db,
    clock: Arc<dyn Clock>,
    max_receive_count: u32,
    arrivals: Arc<[Notify; QueueName::ALL.len()]>,
}

/// How much is in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received, or behind such a message of its group.
    pub visible: u64,
    /// Received and not yet settled, or given back for later.
    pub in_flight: u64,
    /// Received too often.
    pub dead: u64,
}

impl SqliteQueue {
    /// A message that has been received `max_receive_count` times and is visible once more becomes a dead letter.
    pub fn new(db: Db, clock: Arc<dyn Clock>, max_receive_count: u32) -> Self {
        Self { db, clock, max_receive_count, arrivals: Arc::default() }
    }

    /// Takes up to `max` messages, in order within each group, of as many groups as there are and at most ten of one; they
    /// are invisible for `visibility`.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub async fn receive(&self, queue: QueueName, max: usize, visibility: Span, now: Timestamp) -> Result<Vec<Delivery>, QueueError> {
        let max_receive_count = self.max_receive_count;
        let receive = move |db: &Connection| receive(db, queue, max, now, now.plus(visibility), max_receive_count);
        self.db.write(receive).await.map_err(|message| QueueError { queue, message })
    }

    /// Says what becomes of deliveries. One that is no longer held, since its visibility has run out, is left alone: somebody
    /// else has it, or will.
    ///
    /// # Errors
    /// The file cannot be written. All of it may be settled again.
    pub async fn settle(&self, queue: QueueName, settled: Vec<(String, Disposition)>, now: Timestamp) -> Result<(), QueueError> {
        let settle = move |db: &Connection| settle(db, queue, &settled, now);
        let freed = self.db.write(settle).await.map_err(|message| QueueError { queue, message })?;
        if freed {
            self.arrivals[index(queue)].notify_one();
        }
        Ok(())
    }

    /// Returns as soon as there may be something to receive, at the latest after `timeout`. Wakes one of those who wait.
    pub async fn wait(&self, queue: QueueName, timeout: Duration) {
        // Reading fails only where receiving will fail too, and that tells.
        let free_at = self.free_at(queue).await.ok().flatten();
        let until = free_at.map_or(timeout, |at| millis(at.since(self.clock.now())).min(timeout));
        drop(tokio::time::timeout(until, self.arrivals[index(queue)].notified()).await);
    }

    /// When the first of its groups may be received, which may have been long ago. `None`: the queue is empty.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn free_at(&self, queue: QueueName) -> Result<Option<Timestamp>, QueueError> {
        let first = move |db: &Connection| {
            let mut first = db.prepare_cached("SELECT free_at FROM groups WHERE queue = ?1 ORDER BY free_at LIMIT 1")?;
            first.query_row([number(queue)], |row| row.get(0)).optional()
        };
        let first = self.db.read(first).await.map_err(|message| QueueError { queue, message })?;
        Ok(first.map(Timestamp::from_millis))
    }

    /// How much is in each queue.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn depths(&self, now: Timestamp) -> Result<BTreeMap<QueueName, Depth>, QueueError> {
        let read = move |db: &Connection| {
            let mut alive = db.prepare_cached("SELECT count(*), count(*) FILTER (WHERE visible_at > ?2) FROM messages WHERE queue = ?1")?;
            let mut dead = db.prepare_cached("SELECT count(*) FROM dead WHERE queue = ?1")?;
            let depth = |queue| {
                let (all, in_flight): (u64, u64) = alive.query_row([number(queue), now.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let dead = dead.query_row([number(queue)], |row| row.get(0))?;
                Ok((queue, Depth { visible: all - in_flight, in_flight, dead }))
            };
            QueueName::ALL.into_iter().map(depth).collect::<rusqlite::Result<BTreeMap<_, _>>>()
        };
        self.db.read(read).await.map_err(|message| QueueError { queue: QueueName::Events, message })
    }
}

impl Queue for SqliteQueue {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        let now = self.clock.now();
        let send = move |db: &Connection| send(db, queue, &messages, now);
        self.db.write(send).await.map_err(|message| QueueError { queue, message })?;
        self.arrivals[index(queue)].notify_one();
        Ok(())
    }
}

fn send(db: &Connection, queue: QueueName, messages: &[Message], now: Timestamp) -> rusqlite::Result<()> {
    let era = now.millis().div_euclid(DEDUP_WINDOW.millis());
    let mut seen = db.prepare_cached("SELECT 1 FROM sent WHERE era = ?1 AND digest = ?2 AND sent_at > ?3")?;
    let mut remember = db.prepare_cached("INSERT INTO sent (era, digest, sent_at) VALUES (?1, ?2, ?3)")?;
    let mut forget = db.prepare_cached(
        "DELETE FROM sent WHERE (era, digest) IN (SELECT era, digest FROM sent WHERE era < ?1 ORDER BY era, digest LIMIT ?2)",
    )?;
    let mut message = db.prepare_cached("INSERT INTO messages (queue, grp, body) VALUES (?1, ?2, ?3)")?;
    let mut group = db.prepare_cached("INSERT INTO groups (queue, grp, free_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    for Message { body, group: name, dedup } in messages {
        let digest = &Digest::new("dedup").with(queue.as_str()).with(name).with(dedup).bytes()[..16];
        let window = now.minus(DEDUP_WINDOW).millis();
        if seen.exists(params![era, digest, window])? || seen.exists(params![era - 1, digest, window])? {
            continue;
        }
        remember.execute(params![era, digest, now.millis()])?;
        if message.insert(params![number(queue), name, body])? % CLEARING_EVERY == 0 {
            forget.execute([era - 1, 4 * CLEARING_EVERY])?;
        }
        group.execute(params![number(queue), name, now.millis()])?;
    }
    Ok(())
}

fn receive(
    db: &Connection,
    queue: QueueName,
    max: usize,
    now: Timestamp,
    visible_at: Timestamp,
    max_receive_count: u32,
) -> rusqlite::Result<Vec<Delivery>> {
    let mut free = db.prepare_cached("SELECT grp FROM groups WHERE queue = ?1 AND free_at <= ?2 ORDER BY free_at LIMIT ?3")?;
    let mut first = db.prepare_cached("SELECT n, received, body FROM messages WHERE queue = ?1 AND grp = ?2 ORDER BY n LIMIT ?3")?;
    let mut hold = db.prepare_cached("UPDATE messages SET visible_at = ?2, received = received + 1, held = 1 WHERE n = ?1")?;
    let groups: Vec<String> =
        free.query_map(params![number(queue), now.millis(), limit(max)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    // Whoever handles them does so one after the other within a group: better a few of many groups than many of a few.
    let fair = (max / groups.len().max(1)).clamp(1, PER_GROUP);
    let mut deliveries = Vec::new();
    for group in groups {
        let room = (max - deliveries.len()).min(fair);
        if room == 0 {
            break;
        }
        let rows = first.query_map(params![number(queue), group, limit(room)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows: Vec<(i64, u32, String)> = rows.collect::<rusqlite::Result<_>>()?;
        for (n, received, body) in rows {
            if received >= max_receive_count {
                bury(db, n, now)?;
                continue;
            }
            hold.execute([n, visible_at.millis()])?;
            let id = Receipt { n, received: received + 1 }.to_string();
            deliveries.push(Delivery { id, body, group: group.clone(), receive_count: received + 1 });
        }
        free_group(db, queue, &group, now)?;
    }
    Ok(deliveries)
}

/// Makes a message a dead letter.
fn bury(db: &Connection, n: i64, now: Timestamp) -> rusqlite::Result<()> {
    let copy = "INSERT INTO dead (n, queue, grp, body, received, died_at) \
                SELECT n, queue, grp, body, received, ?2 FROM messages WHERE n = ?1";
    db.prepare_cached(copy)?.execute([n, now.millis()])?;
    db.prepare_cached("DELETE FROM messages WHERE n = ?1")?.execute([n]).map(drop)
}

/// Whether any group is free again with messages left in it.
fn settle(db: &Connection, queue: QueueName, settled: &[(String, Disposition)], now: Timestamp) -> rusqlite::Result<bool> {
    // Only whoever received it last, and only while nobody else can.
    let delete = "DELETE FROM messages WHERE n = ?1 AND queue = ?2 AND received = ?3 AND held = 1 AND visible_at > ?4 RETURNING grp";
    let give_back = "UPDATE messages SET visible_at = ?5, held = 0 \
                     WHERE n = ?1 AND queue = ?2 AND received = ?3 AND held = 1 AND visible_at > ?4 RETURNING grp";
    let mut delete = db.prepare_cached(delete)?;
    let mut give_back = db.prepare_cached(give_back)?;
    let mut groups: Vec<String> = Vec::new();
    for (id, disposition) in settled {
        let Some(Receipt { n, received }) = Receipt::parse(id) else {
            continue;
        };
        let group = match disposition {
            Disposition::Delete => delete.query_row(params![n, number(queue), received, now.millis()], |row| row.get(0)),
            Disposition::Retry(delay) => {
                let visible_at = now.plus(*delay).millis();
                give_back.query_row(params![n, number(queue), received, now.millis(), visible_at], |row| row.get(0))
            }
        };
        groups.extend(group.optional()?);
    }
    groups.sort_unstable();
    groups.dedup();
    let mut freed = false;
    for group in groups {
        freed |= free_group(db, queue, &group, now)?;
    }
    Ok(freed)
}

/// Writes down when a group is free; `true` if it is now.
fn free_group(db: &Connection, queue: QueueName, group: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached("SELECT visible_at, received FROM messages WHERE queue = ?1 AND grp = ?2 ORDER BY n")?;
    let mut rows = select.query(params![number(queue), group])?;
    let mut free_at = None;
    while let Some(row) = rows.next()? {
        let visible_at: i64 = row.get(0)?;
        // A group that is free queues up behind those that have been free for longer.
        free_at = Some(free_at.unwrap_or_else(|| now.millis()).max(visible_at));
        // Messages are received from the front, so those behind the first that never was are not being worked on.
        if row.get::<_, u32>(1)? == 0 {
            break;
        }
    }
    match free_at {
        None => db.prepare_cached("DELETE FROM groups WHERE queue = ?1 AND grp = ?2")?.execute(params![number(queue), group])?,
        Some(free_at) => db.prepare_cached("UPDATE groups SET free_at = ?3 WHERE queue = ?1 AND grp = ?2")?.execute(params![
            number(queue),
            group,
            free_at
        ])?,
    };
    Ok(free_at.is_some_and(|at| at <= now.millis()))
}

/// After a restart nobody works on anything: what was held is visible at once.
pub(super) fn release_held(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "BEGIN;
         UPDATE groups SET free_at = (
             SELECT coalesce(max(visible_at), 0) FROM messages
             WHERE messages.queue = groups.queue AND messages.grp = groups.grp AND held = 0
         ) WHERE (queue, grp) IN (SELECT queue, grp FROM messages WHERE held = 1);
         UPDATE messages SET visible_at = 0, held = 0 WHERE held = 1;
         COMMIT;",
    )
}

/// Names a message and the receive that delivered it.
struct Receipt {
    n: i64,
    received: u32,
}

impl Receipt {
    fn parse(text: &str) -> Option<Self> {
        let (n, received) = text.split_once('-')?;
        Some(Self { n: n.parse().ok()?, received: received.parse().ok()? })
    }
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.n, self.received)
    }
}

/// The queue's number in the file; never to be changed.
fn number(queue: QueueName) -> i64 {
    match queue {
        QueueName::Events => 1,
        QueueName::CustomerioState => 2,
        QueueName::Customerio => 3,
        QueueName::Intercom => 4,
        QueueName::Parked => 5,
        QueueName::IntercomState => 6,
        QueueName::Segment => 7,
    }
}

/// The queue's place in an array of all.
fn index(queue: QueueName) -> usize {
    match queue {
        QueueName::Events => 0,
        QueueName::CustomerioState => 1,
        QueueName::Customerio => 2,
        QueueName::Intercom => 3,
        QueueName::Parked => 4,
        QueueName::IntercomState => 5,
        QueueName::Segment => 6,
    }
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn millis(span: Span) -> Duration {
    Duration::from_millis(u64::try_from(span.millis()).unwrap_or(0))
}
