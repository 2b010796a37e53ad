//! The end of a job: written down, parked or given back to its queue, the same for every sender.

use super::{GIVE_UP_AFTER, Parked, back_off, close, record};
use crate::job::{Job, Work};
use crate::outcome::Outcome;
use crate::ports::{Clock, Delivery, Disposition, Jitter, Message, Queue, QueueName, Record, Store};

/// A job, and what came of it.
pub(super) struct Ended {
    pub(super) delivery: Delivery,
    pub(super) job: Job,
    pub(super) what: &'static str,
    pub(super) outcome: Outcome,
    /// For the record.
    pub(super) notes: Vec<String>,
}

/// Turns outcomes into what becomes of the messages, after sending `learnt` and writing down whatever is final.
pub(super) async fn end<S: Store, Q: Queue, C: Clock, J: Jitter>(
    (store, queue, clock, jitter): (&S, &Q, &C, &J),
    lane: QueueName,
    learnt: Vec<Message>,
    ended: Vec<Ended>,
) -> Vec<(String, Disposition)> {
    let now = clock.now();
    let mut records: Vec<Record> = Vec::new();
    let mut parked = Vec::new();
    let mut done = Vec::new();
    let mut again = Vec::new();
    for Ended { delivery, job, what, outcome, notes } in ended {
        let outcome = match outcome {
            Outcome::RetryAfter { reason, .. } if now.since(job.created_at) > GIVE_UP_AFTER && !job.work.is_state() => {
                Outcome::Rejected { reason }
            }
            outcome => outcome,
        };
        match &outcome {
            Outcome::RetryAfter { delay, reason } => {
                let delay = (*delay).max(back_off(delivery.receive_count, jitter));
                tracing::info!(event = %job.event, queue = lane.as_str(), reason = reason.code, receive_count = delivery.receive_count, delay_ms = delay.millis(), "the job comes again");
                again.push((delivery.id, Disposition::Retry(delay)));
                continue;
            }
            Outcome::Rejected { reason } => {
                let parking = Parked::new(lane.as_str(), &job.workspace, reason.clone(), now, delivery.body.as_bytes());
                parked.extend(parking.to_message());
            }
            // Listed by its own command.
            Outcome::Blocked { reason } if reason.code == "unknown_outcome" => {}
            // Nothing else would tell anybody; what is blocked at Customer.io the scan tries again.
            Outcome::Blocked { reason } if matches!(lane, QueueName::Intercom | QueueName::IntercomState) => {
                let parking = Parked::new(lane.as_str(), &job.workspace, reason.clone(), now, delivery.body.as_bytes());
                parked.extend(parking.to_message());
            }
            Outcome::Blocked { .. } | Outcome::Done | Outcome::Skipped { .. } => {}
        }
        let stage = match &job.work {
            // The same event may ask something else of the lane, for its person.
            Work::CustomerioLookUp(_) => format!("{lane}#{what}"),
            Work::CustomerioFacet { .. } | Work::SegmentFacet { .. } | Work::Consent { .. } => format!("{lane}#{what}#{}", job.about()),
            Work::Customerio(_) | Work::Intercom(_) | Work::IntercomLookUp(_) | Work::Segment(_) => format!("{lane}#{}", job.about()),
        };
        records.push(Record { notes, ..record(&job.event, &stage, now, what, outcome) });
        done.push((delivery.id, delivery.receive_count));
    }
    let sent = if learnt.is_empty() { Ok(()) } else { queue.send(QueueName::Events, learnt).await.map_err(|e| e.to_string()) };
    let closed = match sent {
        Ok(()) => close(store, queue, records, parked).await,
        Err(error) => Err(error),
    };
    match closed {
        Ok(()) => again.extend(done.into_iter().map(|(id, _)| (id, Disposition::Delete))),
        Err(error) => {
            tracing::warn!(%error, "the outcomes could not be written down; the jobs come again");
            again.extend(done.into_iter().map(|(id, count)| (id, Disposition::Retry(back_off(count, jitter)))));
        }
    }
    again
}

/// One job's actions share its fate: retrying one that is done already is harmless, losing one is not.
pub(super) fn worst(outcomes: &[Outcome]) -> Outcome {
    let severity = |outcome: &Outcome| match outcome {
        Outcome::RetryAfter { .. } => 4,
        Outcome::Rejected { .. } => 3,
        Outcome::Blocked { .. } => 2,
        Outcome::Done => 1,
        Outcome::Skipped { .. } => 0,
    };
    outcomes.iter().max_by_key(|o| severity(o)).cloned().unwrap_or(Outcome::Done)
}
