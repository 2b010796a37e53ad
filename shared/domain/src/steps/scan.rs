//! Turns time into ordinary events: what is due takes the same road as everything else.

use crate::event::{Event, Kind, Source, event_id};
use crate::job::event_message;
use crate::ports::{Clock, Message, Queue, QueueName, Store, Wake};

/// How many wakes one look takes; a scan looks again as long as it finds this many.
const PAGE: usize = 100;
/// Looks in one scan, so that it ends well within its time: 5,000 wakes a minute.
const PAGES: usize = 50;

/// Enqueues an event for everything that is due, then clears it. Answers how many.
///
/// # Errors
/// The store or the queue failed. What was not cleared is found again by the next scan, and its event has the same id.
pub async fn scan<S: Store, Q: Queue, C: Clock>(store: &S, queue: &Q, clock: &C) -> Result<usize, String> {
    let mut done = 0;
    for _ in 0..PAGES {
        let now = clock.now();
        let wakes = store.due_wakes(now, PAGE).await.map_err(|e| e.to_string())?;
        let messages: Result<Vec<Message>, _> = wakes.iter().map(|wake| event_message(&due_event(wake, now))).collect();
        queue.send(QueueName::Events, messages.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
        let found = wakes.len();
        store.clear_wakes(wakes).await.map_err(|e| e.to_string())?;
        done += found;
        if found < PAGE {
            break;
        }
    }
    Ok(done)
}

fn due_event(wake: &Wake, now: crate::time::Timestamp) -> Event {
    Event {
        id: event_id(Source::Trefoil, &wake.workspace, &["due", wake.person.as_str(), wake.reason.name(), &wake.due.millis().to_string()]),
        source: Source::Trefoil,
        workspace: wake.workspace.clone(),
        occurred_at: wake.due,
        received_at: now,
        ids: Vec::new(),
        person: Some(wake.person.clone()),
        origin: None,
        kind: Kind::Due(wake.reason),
    }
}
