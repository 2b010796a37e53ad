//! Sends to Segment what routes ask for, and the person's state as traits.
//!
//! Segment takes nearly everything with a 200, has no profile to ask for, and ignores a message whose id it has seen within a
//! day: so every message carries an id that follows from what asks for it.
//!
//! What a person was given is kept in a mark (`target`), so that a value that changes nothing is no message. Nothing there
//! tells an older value from a newer one: one worker at a time gives a person values. It claims that in the mark before it
//! writes, with what it is about to write left blank, and fills it in afterwards: a crash in between makes whoever comes next
//! write again. Events need none of this, and cost no write.

mod target;

use super::ended::{Ended, end, worst};
use super::people::People;
use super::{MALFORMED_AGAIN, back_off, job_of, retry_all};
use crate::config::Config;
use crate::event::{IdKind, Identifier};
use crate::id::PersonId;
use crate::job::{Job, Work};
use crate::outcome::{CONCERNS_NO_PERSON, LEAD_OF_A_CUSTOMER, Outcome};
use crate::ports::{
    Alias, AliasKey, Clock, Commit, Delivery, Destination, Disposition, Jitter, Mark, Queue, QueueName, Segment, Store, StoreError,
};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;
use target::Target;

/// Somebody else is writing the same person.
const OVERLAP_AGAIN: Span = Span::from_secs(2);

/// An event for someone whom nothing is known of that Segment could name waits this long: an answer may be on its way, or a
/// lead may still leave an address.
const WAITS_FOR_IDENTITY: Span = Span::from_hours(1);

const NO_IDENTITY: &str = "no_identity";

pub struct SegmentSender<'a, S, Q, C, J, V> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub segment: &'a V,
    pub config: &'a Config,
}

/// A job that could be read, with where it came from.
struct Incoming {
    delivery: Delivery,
    job: Job,
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, V: Segment> SegmentSender<'_, S, Q, C, J, V> {
    /// Handles one batch of the queue. Every delivery is answered.
    pub async fn handle(&self, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        if let Some(pause) = self.segment.pause(self.clock.now()) {
            return retry_all(&deliveries, pause, self.jitter);
        }
        let mut done = Vec::new();
        let mut incoming = Vec::new();
        for delivery in deliveries {
            match job_of(&delivery, QueueName::Segment, Destination::Segment) {
                Some(job) => incoming.push(Incoming { delivery, job }),
                None => done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN))),
            }
        }
        if incoming.is_empty() {
            return done;
        }
        match self.work(&incoming).await {
            Ok(outcomes) => done.extend(self.finish(incoming, outcomes).await),
            Err(error) => {
                tracing::warn!(%error, jobs = incoming.len(), "the jobs come again");
                let again = |i: &Incoming| (i.delivery.id.clone(), Disposition::Retry(back_off(i.delivery.receive_count, self.jitter)));
                done.extend(incoming.iter().map(again));
            }
        }
        done
    }

    async fn work(&self, incoming: &[Incoming]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; incoming.len()];
        let wanted = incoming.iter().filter_map(|i| i.job.person.clone()).collect();
        let known = People::read(self.store, Destination::Segment, wanted).await?;
        let targets = self.targets(&known, incoming, &mut outcomes).await?;
        let targets = self.claim(targets, &mut outcomes).await?;
        let answers = self.write(&targets).await;
        self.close(targets, &answers, &mut outcomes).await?;
        Ok(outcomes.into_iter().map(|o| o.unwrap_or_else(|| Outcome::retry(Span::ZERO, "not_attempted"))).collect())
    }

    /// Who is to be written to and what, and what becomes of everything else.
    async fn targets<'k>(
        &self,
        known: &'k People,
        incoming: &[Incoming],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<Vec<Target<'k>>, StoreError> {
        let now = self.clock.now();
        let mut targets: BTreeMap<&PersonId, Target<'k>> = BTreeMap::new();
        for (index, Incoming { job, .. }) in incoming.iter().enumerate() {
            let Some(person) = &job.person else {
                outcomes[index] = Some(Outcome::skipped(CONCERNS_NO_PERSON));
                continue;
            };
            let Some((person, mark, left_open)) = known.survivor(person) else {
                outcomes[index] = Some(Outcome::skipped("person_forgotten"));
                continue;
            };
            // It may have turned out since.
            if job.work.is_of_lead() && person.is_customer() {
                outcomes[index] = Some(Outcome::skipped(LEAD_OF_A_CUSTOMER));
                continue;
            }
            let target = targets.entry(&person.id).or_insert_with(|| Target::new(person, mark, known.absorbed(person)));
            if left_open {
                target.forget();
            }
            target.jobs.push(index);
        }
        let aliases = self.claims(targets.values()).await?;
        for target in targets.values_mut() {
            if target.find_name(self.config, &aliases) {
                target.plan_state(self.config, now);
                for index in target.jobs.clone() {
                    target.plan(index, &incoming[index].job);
                }
            } else {
                for index in std::mem::take(&mut target.jobs) {
                    outcomes[index] = Some(nobody(&incoming[index], now));
                }
            }
        }
        Ok(targets.into_values().filter(|target| !target.jobs.is_empty()).collect())
    }

    /// Who claims the ids that several people may have.
    async fn claims<'t>(&self, targets: impl Iterator<Item = &'t Target<'t>>) -> Result<BTreeMap<AliasKey, Alias>, StoreError> {
        let mut keys: Vec<AliasKey> = targets.flat_map(|target| target.shared_ids(self.config)).collect();
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        Ok(self.store.find(&keys, &[]).await?.aliases)
    }

    /// Takes the right to give these people values, and remembers new names of our making before they are used.
    async fn claim<'k>(&self, targets: Vec<Target<'k>>, outcomes: &mut [Option<Outcome>]) -> Result<Vec<Target<'k>>, StoreError> {
        let now = self.clock.now();
        let mut ready = Vec::new();
        let mut claiming = Vec::new();
        for mut target in targets {
            if target.gives_values() && target.is_busy(now) {
                set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap"));
            } else if target.claim(now) {
                claiming.push(target);
            } else {
                ready.push(target);
            }
        }
        if claiming.is_empty() {
            return Ok(ready);
        }
        let marks = claiming.iter().map(Target::for_store).collect();
        let commits = self.store.put_marks(Destination::Segment, marks).await?;
        for (mut target, commit) in claiming.into_iter().zip(commits) {
            match commit {
                Commit::Done => {
                    target.stored();
                    ready.push(target);
                }
                Commit::Conflict => set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap")),
            }
        }
        Ok(ready)
    }

    /// One call for everything. Answers for each person, in the order of their messages.
    async fn write(&self, targets: &[Target<'_>]) -> Vec<Vec<Outcome>> {
        let messages: Vec<_> = targets.iter().flat_map(Target::messages).collect();
        let mut answers = if messages.is_empty() { Vec::new() } else { self.segment.write(&messages).await }.into_iter();
        let mut answers = || answers.next().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer"));
        targets.iter().map(|target| target.messages().map(|_| answers()).collect()).collect()
    }

    /// Remembers what was taken, and lets others write.
    async fn close(
        &self,
        mut targets: Vec<Target<'_>>,
        answers: &[Vec<Outcome>],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), StoreError> {
        // Look once more: whoever has been merged away meanwhile may have been written over their survivor. Their mark stays
        // open, and the job, coming again, finds it so.
        let written: Vec<PersonId> = targets.iter().filter(|target| target.gives_values()).map(|target| target.person.id.clone()).collect();
        let since = if written.is_empty() { BTreeMap::new() } else { self.store.with_marks(Destination::Segment, &written).await? };
        for (target, answers) in targets.iter_mut().zip(answers) {
            if since.get(&target.person.id).is_some_and(|(person, _)| person.merged_into.is_some()) {
                target.leave_open();
                set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "merged_meanwhile"));
                continue;
            }
            target.close(answers);
            for index in &target.jobs {
                outcomes[*index] = Some(target.outcome_of(*index, answers));
            }
        }
        targets.retain(Target::is_to_be_stored);
        if targets.is_empty() {
            return Ok(());
        }
        let marks: Vec<(PersonId, Mark)> = targets.iter().map(Target::for_store).collect();
        let commits = self.store.put_marks(Destination::Segment, marks).await?;
        for (target, commit) in targets.iter().zip(commits) {
            if commit == Commit::Conflict {
                // Another writer began after us: which of the two came last is not known here. Look again.
                set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap"));
            }
        }
        Ok(())
    }

    async fn finish(&self, incoming: Vec<Incoming>, outcomes: Vec<Outcome>) -> Vec<(String, Disposition)> {
        let ended = incoming.into_iter().zip(outcomes).map(|(Incoming { delivery, job }, outcome)| {
            let what = match &job.work {
                Work::SegmentFacet { .. } => "support_facet",
                Work::Consent { .. } => "consent",
                Work::Segment(_)
                | Work::CustomerioFacet { .. }
                | Work::Customerio(_)
                | Work::CustomerioLookUp(_)
                | Work::Intercom(_)
                | Work::IntercomLookUp(_) => "actions",
            };
            Ended { delivery, job, what, outcome, notes: Vec::new() }
        });
        end((self.store, self.queue, self.clock, self.jitter), QueueName::Segment, Vec::new(), ended.collect()).await
    }
}

/// Segment cannot be told whom this is about. State comes again by itself once it can.
fn nobody(incoming: &Incoming, now: Timestamp) -> Outcome {
    if incoming.job.work.is_state() {
        return Outcome::blocked(NO_IDENTITY);
    }
    if now.since(incoming.job.created_at) < WAITS_FOR_IDENTITY {
        let doubled = Span::from_secs((1_i64 << incoming.delivery.receive_count.min(10)).min(600));
        return Outcome::retry(doubled, NO_IDENTITY);
    }
    Outcome::skipped(NO_IDENTITY)
}

fn set(outcomes: &mut [Option<Outcome>], jobs: &[usize], outcome: &Outcome) {
    for index in jobs {
        outcomes[*index] = Some(outcome.clone());
    }
}

fn key_of(target: &Target<'_>, kind: IdKind, value: &str) -> AliasKey {
    AliasKey::of_identifier(&target.person.workspace, &Identifier { kind, value: value.to_owned() })
}
