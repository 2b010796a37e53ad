//! Asks Intercom what a webhook left open; the answer goes back to the beginning of the road, as events.

use super::{GIVE_UP_AFTER, MALFORMED_AGAIN, Parked, close, malformed, record, retry_all};
use crate::event::{Event, IdKind, Identifier, Kind, Source, event_id};
use crate::job::{Job, LookUp, Work, event_message};
use crate::outcome::{Outcome, Reason};
use crate::ports::{Clock, Delivery, Disposition, IntercomLookUps, Jitter, LookedUp, Message, Queue, QueueName, Store};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// A contact that is not found may be too new. After this long it is taken at its word.
const TOO_NEW_FOR: Span = Span::from_mins(10);

pub struct LookUps<'a, S, Q, C, J, V> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub intercom: &'a V,
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, V: IntercomLookUps> LookUps<'_, S, Q, C, J, V> {
    pub async fn handle(&self, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        if let Some(pause) = self.intercom.pause(self.clock.now()) {
            return retry_all(&deliveries, pause, self.jitter);
        }
        // Questions asked several times in one batch are asked once.
        let mut jobs: BTreeMap<String, (Job, LookUp, Vec<Delivery>)> = BTreeMap::new();
        let mut done = Vec::new();
        for delivery in deliveries {
            match serde_json::from_str::<Job>(&delivery.body) {
                Ok(Job { work: Work::IntercomLookUp(question), event, workspace, person, created_at }) => {
                    let key = serde_json::to_string(&question).unwrap_or_else(|_| delivery.id.clone());
                    let job = Job { work: Work::IntercomLookUp(question.clone()), event, workspace, person, created_at };
                    jobs.entry(key).or_insert_with(|| (job, question, Vec::new())).2.push(delivery);
                }
                // Whoever calls this has looked.
                Ok(_) => done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN))),
                Err(error) => {
                    malformed(&delivery, &error);
                    done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN)));
                }
            }
        }
        let answers =
            futures::future::join_all(jobs.into_values().map(|(job, question, deliveries)| self.one(job, question, deliveries))).await;
        done.extend(answers.into_iter().flatten());
        done
    }

    async fn one(&self, job: Job, question: LookUp, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        let now = self.clock.now();
        let answer = self.intercom.look_up(&job.workspace, &question, &job.event, now).await;
        let LookedUp { outcome, events } = take_at_its_word(answer, &job, &question, now);
        let outcome = match outcome {
            Outcome::RetryAfter { reason, .. } if now.since(job.created_at) > GIVE_UP_AFTER => Outcome::Rejected { reason },
            Outcome::RetryAfter { delay, reason } => {
                tracing::info!(event = %job.event, reason = reason.code, "the question comes again");
                return retry_all(&deliveries, delay, self.jitter);
            }
            outcome => outcome,
        };
        let messages: Result<Vec<Message>, _> = events.iter().map(event_message).collect();
        let sent = match messages {
            Ok(messages) => self.queue.send(QueueName::Events, messages).await.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let parked = match &outcome {
            Outcome::Rejected { reason } if reason.code != NOT_FOUND => self.park(&job, reason, &deliveries, now),
            Outcome::Rejected { .. } | Outcome::Done | Outcome::Skipped { .. } | Outcome::RetryAfter { .. } | Outcome::Blocked { .. } => {
                Vec::new()
            }
        };
        let records = vec![record(&job.event, &format!("{}#{}", QueueName::IntercomState, what(&question)), now, what(&question), outcome)];
        let closed = match sent {
            Ok(()) => close(self.store, self.queue, records, parked).await,
            Err(error) => Err(error),
        };
        match closed {
            Ok(()) => deliveries.into_iter().map(|d| (d.id, Disposition::Delete)).collect(),
            Err(error) => {
                tracing::warn!(event = %job.event, %error, "the answer could not be made durable; the question comes again");
                retry_all(&deliveries, Span::ZERO, self.jitter)
            }
        }
    }

    fn park(&self, job: &Job, reason: &Reason, deliveries: &[Delivery], now: Timestamp) -> Vec<Message> {
        let first = deliveries.first().into_iter();
        first
            .filter_map(|d| {
                Parked::new(QueueName::IntercomState.as_str(), &job.workspace, reason.clone(), now, d.body.as_bytes()).to_message().ok()
            })
            .collect()
    }
}

/// The code with which a connector says that Intercom knows no such contact.
pub const NOT_FOUND: &str = "contact_not_found";

/// The same of a conversation; its events then say that it was deleted.
pub const CONVERSATION_NOT_FOUND: &str = "conversation_not_found";

fn what(question: &LookUp) -> &'static str {
    match question {
        LookUp::Contact { .. } => "look_up_contact",
        LookUp::Conversation { .. } => "re_read_conversation",
    }
}

/// A contact that was not found for long enough does not exist: the person is told so, and nobody asks again.
fn take_at_its_word(answer: LookedUp, job: &Job, question: &LookUp, now: Timestamp) -> LookedUp {
    // So with a conversation: that it was deleted is said only then, since nothing takes that back.
    if matches!(&answer.outcome, Outcome::RetryAfter { reason, .. } if reason.code == CONVERSATION_NOT_FOUND)
        && now.since(job.created_at) >= TOO_NEW_FOR
    {
        return LookedUp { outcome: Outcome::Done, ..answer };
    }
    let not_found = matches!(&answer.outcome, Outcome::RetryAfter { reason, .. } if reason.code == NOT_FOUND);
    let LookUp::Contact { contact } = question else { return answer };
    if !not_found || now.since(job.created_at) < TOO_NEW_FOR {
        return answer;
    }
    let event = Event {
        id: event_id(Source::Intercom, &job.workspace, &["not_found", job.event.as_str(), contact]),
        source: Source::Intercom,
        workspace: job.workspace.clone(),
        occurred_at: now,
        received_at: now,
        ids: Identifier::new(IdKind::IntercomId, contact).into_iter().collect(),
        person: None,
        origin: None,
        kind: Kind::PersonNotFound,
    };
    LookedUp { outcome: Outcome::Rejected { reason: Reason::new(NOT_FOUND) }, events: vec![event] }
}
