//! Asks Customer.io what campaigns are called; the answer goes back to the beginning of the road, as events.
//!
//! A name is a convenience: where it cannot be had, nothing is parked and nobody is bothered. Route asks again by and by.

use super::{CustomerioSender, Incoming};
use crate::event::{Event, Kind, Named, Parent, Source, event_id};
use crate::job::{Job, event_message};
use crate::label::ASKED_AGAIN_AFTER;
use crate::outcome::Outcome;
use crate::ports::{Clock, Customerio, Disposition, Jitter, Message, Queue, QueueName, Store};
use crate::steps::ended::{Ended, end};
use crate::time::Timestamp;

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// Every delivery is answered.
    pub(super) async fn name(&self, lane: QueueName, questions: Vec<(Incoming, Parent)>) -> Vec<(String, Disposition)> {
        if questions.is_empty() {
            return Vec::new();
        }
        let asked = questions.into_iter().map(async |(Incoming { delivery, job }, campaign)| {
            let answer = self.customerio.campaign_name(&campaign).await;
            let now = self.clock.now();
            let answer = answer.and_then(|name| told(&job, campaign, name, now));
            let (learnt, outcome) = match answer {
                Ok(message) => (Some(message), Outcome::Done),
                Err(Outcome::RetryAfter { delay, reason }) if now.since(job.created_at) < ASKED_AGAIN_AFTER => {
                    (None, Outcome::RetryAfter { delay, reason })
                }
                Err(Outcome::RetryAfter { reason, .. } | Outcome::Rejected { reason } | Outcome::Blocked { reason }) => {
                    (None, Outcome::Skipped { reason })
                }
                Err(outcome @ (Outcome::Skipped { .. } | Outcome::Done)) => (None, outcome),
            };
            (learnt, Ended { delivery, job, what: "campaign_name", outcome, notes: Vec::new() })
        });
        let (learnt, ended): (Vec<_>, Vec<_>) = futures::future::join_all(asked).await.into_iter().unzip();
        end((self.store, self.queue, self.clock, self.jitter), lane, learnt.into_iter().flatten().collect(), ended).await
    }
}

fn told(job: &Job, campaign: Parent, name: Option<String>, now: Timestamp) -> Result<Message, Outcome> {
    let Parent { kind, id } = &campaign;
    let event = Event {
        id: event_id(Source::Customerio, &job.workspace, &["campaign_named", job.event.as_str(), kind.as_str(), id]),
        source: Source::Customerio,
        workspace: job.workspace.clone(),
        occurred_at: now,
        received_at: now,
        ids: Vec::new(),
        person: None,
        origin: None,
        kind: Kind::CampaignNamed(Named { campaign, name }),
    };
    event_message(&event).map_err(|_| Outcome::rejected("unwritable_answer", ""))
}
