//! Brings Customer.io up to date: absolute state first, then what rests on it, in one call a batch.
//!
//! Both lanes run this. What the destination is known to have is kept in a mark for each person. A write is claimed in the
//! mark before it is made and confirmed in it afterwards: a crash in between leaves the mark dirty, and whoever comes next
//! writes again. Each claim takes a greater `timestamp` than the one before, so that of two writers who overlap the later
//! claim wins at Customer.io too, which drops what is older than what it has.
//!
//! `target` gathers what a batch asks for each person and what of it is news, `profiles` finds out who they are there, `names` what
//! they are to go by, `write` makes the calls and remembers. A 200 means accepted, not applied: what must have happened (a profile made, merged or given
//! another address) is read back, and its job comes again until it shows.

mod campaign_names;
mod names;
mod profiles;
mod target;
mod write;

use super::ended::{Ended, end};
use super::people::People;
use super::{MALFORMED_AGAIN, back_off, job_of, retry_all};
use crate::action::{CustomerioAction, CustomerioVerb};
use crate::config::Config;
use crate::event::WakeReason;
use crate::job::{Job, Work};
use crate::outcome::Outcome;
use crate::person::Person;
use crate::ports::{Clock, Customerio, Delivery, Destination, Disposition, Jitter, Queue, QueueName, Store, StoreError, Wake};
use crate::time::{Span, Timestamp};
use target::{Target, targets};

/// Somebody else is writing the same person.
const OVERLAP_AGAIN: Span = Span::from_secs(1);

/// Customer.io shows what was written after seconds, sometimes thirty of them.
const READ_BACK_AFTER: Span = Span::from_secs(5);
const SHOWS_WITHIN: Span = Span::from_mins(2);
/// What has not happened by then, although it was asked for several times, never will.
const GIVES_UP_READING: Span = Span::from_mins(10);
const READS_BACK: &str = "reads_back";

/// How long until a profile that was not there, or could not be confirmed, is looked for again: doubling.
fn repair_after(tries: u32) -> Span {
    Span::from_mins((1_i64 << tries.min(9)).min(360))
}

/// A refused state is tried again as if it had failed this often: after about an hour.
const REJECTED_TRIES: u32 = 6;

/// A person whom nobody has heard of for this long is no longer looked for.
const REPAIR_TRIES: u32 = 150;

pub struct CustomerioSender<'a, S, Q, C, J, D> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub customerio: &'a D,
    pub config: &'a Config,
}

/// A job that could be read, with where it came from.
struct Incoming {
    delivery: Delivery,
    job: Job,
}

/// What came of the jobs of a batch, by their places in it.
struct Results {
    outcomes: Vec<Option<Outcome>>,
    notes: Vec<Vec<String>>,
}

impl Results {
    fn set(&mut self, index: usize, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }

    fn set_all(&mut self, jobs: &[usize], outcome: &Outcome) {
        jobs.iter().for_each(|index| self.set(*index, outcome.clone()));
    }
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// Handles one batch of the queue `lane`. Every delivery is answered.
    pub async fn handle(&self, lane: QueueName, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        if let Some(pause) = self.customerio.pause(self.clock.now()) {
            return retry_all(&deliveries, pause, self.jitter);
        }
        let mut done = Vec::new();
        let mut incoming = Vec::new();
        let mut questions = Vec::new();
        for delivery in deliveries {
            match job_of(&delivery, lane, Destination::Customerio) {
                Some(Job { work: Work::CustomerioLookUp(campaign), event, workspace, person, created_at }) => {
                    let job = Job { work: Work::CustomerioLookUp(campaign.clone()), event, workspace, person, created_at };
                    questions.push((Incoming { delivery, job }, campaign));
                }
                Some(job) => incoming.push(Incoming { delivery, job }),
                None => done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN))),
            }
        }
        done.extend(self.bring_up_to_date(lane, incoming).await);
        done.extend(self.name(lane, questions).await);
        done
    }

    async fn bring_up_to_date(&self, lane: QueueName, incoming: Vec<Incoming>) -> Vec<(String, Disposition)> {
        if incoming.is_empty() {
            return Vec::new();
        }
        match self.work(&incoming).await {
            Ok(results) => self.finish(lane, incoming, results).await,
            Err(error) => {
                tracing::warn!(%error, jobs = incoming.len(), "the jobs come again");
                let again = |i: &Incoming| (i.delivery.id.clone(), Disposition::Retry(back_off(i.delivery.receive_count, self.jitter)));
                incoming.iter().map(again).collect()
            }
        }
    }

    async fn work(&self, incoming: &[Incoming]) -> Result<Results, StoreError> {
        let mut results = Results { outcomes: vec![None; incoming.len()], notes: vec![Vec::new(); incoming.len()] };
        let wanted = incoming.iter().filter_map(|i| i.job.person.clone()).collect();
        let known = People::read(self.store, Destination::Customerio, wanted).await?;
        let mut targets: Vec<Target> = targets(&known, incoming, self.config, self.clock.now(), &mut results);
        self.find_profiles(&mut targets, incoming).await?;
        self.settle_unreachable(&mut targets, incoming, &mut results).await?;
        let targets = self.claim(targets, incoming, &mut results).await?;
        self.write(targets, incoming, &mut results).await?;
        Ok(results)
    }

    async fn finish(&self, lane: QueueName, incoming: Vec<Incoming>, results: Results) -> Vec<(String, Disposition)> {
        let results = results.outcomes.into_iter().zip(results.notes);
        let ended = incoming.into_iter().zip(results).map(|(Incoming { delivery, job }, (outcome, notes))| {
            let what = match &job.work {
                Work::CustomerioFacet { .. } => "support_facet",
                Work::Consent { .. } => "consent",
                _ => "actions",
            };
            Ended { delivery, job, what, outcome: outcome.unwrap_or_else(|| Outcome::retry(Span::ZERO, "not_attempted")), notes }
        });
        end((self.store, self.queue, self.clock, self.jitter), lane, Vec::new(), ended.collect()).await
    }
}

fn actions(job: &Job) -> &[CustomerioAction] {
    if let Work::Customerio(actions) = &job.work { actions } else { &[] }
}

/// All that it asks for can be done without knowing which profile is theirs.
fn needs_no_profile(job: &Job) -> bool {
    let goes = |action: &CustomerioAction| match &action.what {
        // Named by the person's own ids, which is what is to be blocked.
        CustomerioVerb::SuppressPerson
        | CustomerioVerb::UnsuppressPerson
        | CustomerioVerb::UpsertObject(_)
        | CustomerioVerb::DeleteObject(_) => true,
        CustomerioVerb::UpdatePerson(_)
        | CustomerioVerb::CreatePerson { .. }
        | CustomerioVerb::TrackEvent(_)
        | CustomerioVerb::TrackPage(_)
        | CustomerioVerb::TrackScreen(_)
        | CustomerioVerb::SetSubscription { .. }
        | CustomerioVerb::AddToSegment { .. }
        | CustomerioVerb::RemoveFromSegment { .. }
        | CustomerioVerb::RemoveRelationship(_)
        | CustomerioVerb::MergePeople { .. }
        | CustomerioVerb::DeletePerson
        | CustomerioVerb::AddDevice(_)
        | CustomerioVerb::DeleteDevice { .. } => false,
    };
    let actions = actions(job);
    !actions.is_empty() && actions.iter().all(goes)
}

fn repair(person: &Person, tries: u32, now: Timestamp) -> Wake {
    Wake {
        workspace: person.workspace.clone(),
        person: person.id.clone(),
        reason: WakeReason::RepairCustomerio,
        due: now.plus(repair_after(tries)),
    }
}
