//! Does at Intercom what routes asked for, and asks what webhooks left open.
//!
//! Intercom has no upsert, a search that lags, and nothing that makes a repeat harmless. So: one worker at a time writes to a
//! contact (`visit`), whose id is remembered and looked for only where it is not known (`contact`); what was given to it last
//! is remembered, so that a value that changes nothing is no call; what people see (`seen`) is written down before it is made (`once`);
//! events of one name get seconds of their own (`verbs`).

mod consent;
mod contact;
mod names;
mod once;
mod seen;
mod verbs;
mod visit;

pub use names::EventNameBudget;

use super::ended::{Ended, end, worst};
use super::look_up::{LookUps, NOT_FOUND};
use super::people::People;
use super::{MALFORMED_AGAIN, job_of, retry_all};
use crate::action::{IntercomAction, IntercomVerb};
use crate::config::Config;
use crate::id::PersonId;
use crate::job::{Job, Work};
use crate::ledger::Ledger;
use crate::outcome::{CONCERNS_NO_PERSON, Outcome};
use crate::ports::{
    Clock, Delivery, Destination, Disposition, EventNames, Intercom, IntercomLookUps, Jitter, Message, Queue, QueueName, Store,
};
use crate::time::Span;
use contact::UNCLEAR;
use std::collections::BTreeMap;
use visit::Visit;

pub struct IntercomSender<'a, S, Q, C, J, V> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub intercom: &'a V,
    pub config: &'a Config,
    /// Shared by all batches of a process.
    pub names: &'a EventNameBudget,
}

/// A job that could be read, with where it came from.
struct Incoming {
    delivery: Delivery,
    job: Job,
}

/// What came of a job.
struct Came {
    index: usize,
    outcome: Outcome,
    notes: Vec<String>,
}

impl<S, Q, C, J, V> IntercomSender<'_, S, Q, C, J, V>
where
    S: Store + Ledger + EventNames,
    Q: Queue,
    C: Clock,
    J: Jitter,
    V: Intercom + IntercomLookUps,
{
    /// Handles one batch of the queue `lane`. Every delivery is answered.
    pub async fn handle(&self, lane: QueueName, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        if let Some(pause) = Intercom::pause(self.intercom, self.clock.now()) {
            return retry_all(&deliveries, pause, self.jitter);
        }
        let mut done = Vec::new();
        let mut questions = Vec::new();
        let mut incoming = Vec::new();
        for delivery in deliveries {
            match job_of(&delivery, lane, Destination::Intercom) {
                Some(Job { work: Work::IntercomLookUp(_), .. }) => questions.push(delivery),
                Some(job) => incoming.push(Incoming { delivery, job }),
                None => done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN))),
            }
        }
        let look_ups = LookUps { store: self.store, queue: self.queue, clock: self.clock, jitter: self.jitter, intercom: self.intercom };
        let (answered, acted) = futures::future::join(look_ups.handle(questions), self.act(lane, incoming)).await;
        done.extend(answered);
        done.extend(acted);
        done
    }

    async fn act(&self, lane: QueueName, incoming: Vec<Incoming>) -> Vec<(String, Disposition)> {
        if incoming.is_empty() {
            return Vec::new();
        }
        let wanted = incoming.iter().filter_map(|i| i.job.person.clone()).collect();
        let known = match People::read(self.store, Destination::Intercom, wanted).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, jobs = incoming.len(), "the jobs come again");
                let deliveries: Vec<Delivery> = incoming.into_iter().map(|i| i.delivery).collect();
                return retry_all(&deliveries, Span::ZERO, self.jitter);
            }
        };
        let mut of_person: BTreeMap<&PersonId, Vec<usize>> = BTreeMap::new();
        let mut results: Vec<Option<Came>> = incoming.iter().map(|_| None).collect();
        let mut of_nobody = Vec::new();
        for (index, Incoming { delivery, job }) in incoming.iter().enumerate() {
            let Some(person) = &job.person else {
                of_nobody.push((index, delivery.group.as_str(), job));
                continue;
            };
            match known.survivor(person) {
                Some((person, _, _)) => of_person.entry(&person.id).or_default().push(index),
                None => results[index] = Some(Came { index, outcome: Outcome::skipped("person_forgotten"), notes: Vec::new() }),
            }
        }
        let visits = of_person.into_iter().filter_map(|(person, jobs)| {
            let (person, mark) = known.get(person)?;
            let jobs: Vec<(usize, &Job)> = jobs.into_iter().filter_map(|index| Some((index, &incoming.get(index)?.job))).collect();
            Some(self.visit(Visit::new(person, mark, known.absorbed(person)), jobs))
        });
        let mut learnt = Vec::new();
        let (ended, companies) = futures::future::join(futures::future::join_all(visits), self.companies(of_nobody)).await;
        let (ended, told): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        learnt.extend(told.into_iter().flatten());
        for result in ended.into_iter().flatten().chain(companies) {
            let index = result.index;
            results[index] = Some(result);
        }
        let ended = incoming.into_iter().zip(results).map(|(Incoming { delivery, job }, result)| {
            let (outcome, notes) =
                result.map_or((Outcome::retry(Span::ZERO, "not_attempted"), Vec::new()), |result| (result.outcome, result.notes));
            let what = if job.work.is_state() { "consent" } else { "actions" };
            Ended { delivery, job, what, outcome, notes }
        });
        end((self.store, self.queue, self.clock, self.jitter), lane, learnt, ended.collect()).await
    }

    /// All jobs for one person, in order. What has to wait makes those behind it wait.
    async fn visit(&self, mut visit: Visit<'_>, jobs: Vec<(usize, &Job)>) -> (Vec<Came>, Vec<Message>) {
        let mut results: Vec<Came> = Vec::new();
        let mut halted: Option<Outcome> = None;
        if let Err(halt) = self.prepare(&mut visit, &jobs).await {
            halted = Some(halt.outcome());
        }
        for (index, job) in &jobs {
            let outcome = match &halted {
                Some(outcome) => outcome.clone(),
                None => self.job(&mut visit, job).await,
            };
            // What concerns this one call alone keeps no other back.
            if let Outcome::RetryAfter { reason, .. } = &outcome
                && CONCERNS_ALL.contains(&reason.code.as_str())
            {
                halted = Some(outcome.clone());
            }
            results.push(Came { index: *index, outcome, notes: std::mem::take(&mut visit.notes) });
        }
        // Where a job asks for it, a contact is looked for.
        let asks = jobs.iter().find(|(_, job)| matches!(job.work, Work::Consent { .. })).or(jobs.first());
        if halted.is_none()
            && let Some(&(_, job)) = asks
            && let Err(halt) = self.tell_consent(&mut visit, job).await
        {
            let outcome = kept_for_a_human(halt.outcome());
            let is_asked = matches!(job.work, Work::Consent { .. });
            let waits = matches!(outcome, Outcome::RetryAfter { .. });
            // What else was done is done, whether there is a contact to keep out or not.
            let concerned = results.iter_mut().zip(&jobs).filter(|(result, (_, job))| {
                result.outcome == Outcome::Done && (matches!(job.work, Work::Consent { .. }) || (waits && !is_asked))
            });
            concerned.for_each(|(result, _)| result.outcome = outcome.clone());
        }
        if let Err(halt) = self.leave(&mut visit).await {
            // What was written is not remembered: it is written again.
            let outcome = halt.outcome();
            results.iter_mut().filter(|result| result.outcome == Outcome::Done).for_each(|result| result.outcome = outcome.clone());
        }
        (results, visit.learnt)
    }

    /// Jobs that are about a company and nobody, each with its place and its group. There is no contact that would remember what
    /// was written: a repeat writes the same again. What has to wait makes those behind it in its group wait.
    async fn companies(&self, jobs: Vec<(usize, &str, &Job)>) -> Vec<Came> {
        let mut results = Vec::new();
        let mut halted: BTreeMap<&str, Outcome> = BTreeMap::new();
        for (index, group, job) in jobs {
            let (mut outcomes, mut notes) = (Vec::new(), Vec::new());
            for action in actions(job) {
                let outcome = match (halted.get(group), &action.what) {
                    (Some(halted), _) => halted.clone(),
                    (None, IntercomVerb::UpsertCompany(company)) => match self.write_company(company).await {
                        Ok(made) => {
                            notes.extend(made.notes);
                            Outcome::Done
                        }
                        Err(halt) => halt.outcome(),
                    },
                    (None, _) => Outcome::skipped(CONCERNS_NO_PERSON),
                };
                if let Outcome::RetryAfter { .. } = outcome {
                    halted.insert(group, outcome.clone());
                }
                outcomes.push(outcome);
            }
            results.push(Came { index, outcome: worst(&outcomes), notes });
        }
        results
    }

    async fn job(&self, visit: &mut Visit<'_>, job: &Job) -> Outcome {
        let mut outcomes = Vec::new();
        for action in actions(job) {
            let outcome = match self.action(visit, job, action).await {
                Ok(()) => Outcome::Done,
                Err(halt) => unclear(halt.outcome(), action),
            };
            let waits = matches!(outcome, Outcome::RetryAfter { .. });
            outcomes.push(outcome);
            if waits {
                break;
            }
        }
        worst(&outcomes)
    }
}

/// Reasons to wait that hold for everything that is to be done for a person.
const CONCERNS_ALL: [&str; 11] = [
    "overlap",
    "store_failed",
    "over_our_rate",
    "rate_limited",
    "destination_paused",
    "destination_refused_key",
    "destination_redirected",
    "no_contact",
    NOT_FOUND,
    "search_lags",
    "unreachable",
];

/// Nobody can tell which contact is theirs: of what people see, and of what keeps mail from them, a human is told.
fn unclear(outcome: Outcome, action: &IntercomAction) -> Outcome {
    if action.what.is_urgent() { kept_for_a_human(outcome) } else { outcome }
}

fn kept_for_a_human(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Skipped { reason } if UNCLEAR.contains(&reason.code.as_str()) => Outcome::Blocked { reason },
        outcome => outcome,
    }
}

fn actions(job: &Job) -> &[IntercomAction] {
    match &job.work {
        Work::Intercom(actions) => actions,
        Work::CustomerioFacet { .. }
        | Work::SegmentFacet { .. }
        | Work::Consent { .. }
        | Work::Customerio(_)
        | Work::CustomerioLookUp(_)
        | Work::IntercomLookUp(_)
        | Work::Segment(_) => &[],
    }
}
