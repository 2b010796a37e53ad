//! Brings Customer.io up to date: absolute state first, then the events that rest on it, in one call a batch.
//!
//! Both lanes run this. What the destination is known to have is kept in a mark for each person. A write is claimed in the
//! mark before it is made and confirmed in it afterwards: a crash in between leaves the mark dirty, and whoever comes next
//! writes again. Each claim takes a greater `timestamp` than the one before, so that of two writers who overlap the later
//! claim wins at Customer.io too, which drops what is older than what it has.

mod campaign_names;

use super::ended::{Ended, end, worst};
use super::people::{People, is_theirs_alone};
use super::{MALFORMED_AGAIN, back_off, job_of, retry_all};

use crate::action::CustomerioAction;
use crate::config::Config;
use crate::event::{IdKind, Identifier, WakeReason};
use crate::facet::{self, Facet, Summary};
use crate::id::PersonId;
use crate::job::{Job, Work};
use crate::outcome::{CONCERNS_NO_PERSON, Outcome, Reason};
use crate::person::Person;
use crate::ports::{
    Address, AliasKey, Clock, Commit, Customerio, CustomerioWrite, Delivery, Destination, Disposition, Jitter, Mark, ProfileLookUp,
    ProfileRef, Queue, QueueName, Store, StoreError, Wake,
};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Somebody else is writing the same person.
const OVERLAP_AGAIN: Span = Span::from_secs(1);

/// An event for someone without a profile waits this long; older ones cannot start a campaign any more.
const WAITS_FOR_PROFILE: Span = Span::from_hours(72);
/// For someone whom nothing but Intercom's own id is known of, only as long as an answer may be on its way, or a lead may
/// still leave an address.
const WAITS_FOR_IDENTITY: Span = Span::from_hours(1);

fn waits_for(reason: &Reason) -> Span {
    if reason.code == NO_IDENTITY { WAITS_FOR_IDENTITY } else { WAITS_FOR_PROFILE }
}

const NO_IDENTITY: &str = "no_identity";

/// Customer.io answers 200 to writes for a profile that is gone. After this long it is looked for again before its state
/// is written.
const TRUSTED_FOR: Span = Span::from_hours(24);

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
pub(super) struct Incoming {
    pub(super) delivery: Delivery,
    pub(super) job: Job,
}

/// All that a batch asks for one person.
struct Target {
    person: Person,
    mark: Mark,
    /// Indices into the incoming jobs.
    jobs: Vec<usize>,
    /// What has to be written, unless the mark says that it is there already.
    facet: Option<Facet>,
    profile: Result<ProfileRef, Outcome>,
    /// The profile was found just now and is to be remembered.
    learnt: bool,
    /// It is known to exist.
    verified: bool,
}

impl Target {
    fn summary_is_urgent(&self, config: &Config, now: Timestamp) -> bool {
        let summary = Summary::of(&self.person, config, now);
        summary.has_open_ticket() || summary.windows.values().any(|until| *until > now)
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
            Ok(outcomes) => self.finish(lane, incoming, outcomes).await,
            Err(error) => {
                tracing::warn!(%error, jobs = incoming.len(), "the jobs come again");
                let again = |i: &Incoming| (i.delivery.id.clone(), Disposition::Retry(back_off(i.delivery.receive_count, self.jitter)));
                incoming.iter().map(again).collect()
            }
        }
    }

    async fn work(&self, incoming: &[Incoming]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; incoming.len()];
        let mut targets = self.targets(incoming, &mut outcomes).await?;
        self.find_profiles(&mut targets).await?;
        self.settle_unreachable(&mut targets, incoming, &mut outcomes).await?;
        let targets = self.claim(targets, &mut outcomes).await?;
        self.write(targets, incoming, &mut outcomes).await?;
        Ok(outcomes.into_iter().map(|o| o.unwrap_or_else(|| Outcome::retry(Span::ZERO, "not_attempted"))).collect())
    }

    /// Reads people and marks, follows merges, and settles what needs no writing.
    async fn targets(&self, incoming: &[Incoming], outcomes: &mut [Option<Outcome>]) -> Result<Vec<Target>, StoreError> {
        let now = self.clock.now();
        let known =
            People::read(self.store, Destination::Customerio, incoming.iter().filter_map(|i| i.job.person.clone()).collect()).await?;
        let mut targets: BTreeMap<PersonId, Target> = BTreeMap::new();
        for (index, Incoming { job, .. }) in incoming.iter().enumerate() {
            let Some(person) = &job.person else {
                outcomes[index] = Some(Outcome::skipped(CONCERNS_NO_PERSON));
                continue;
            };
            let Some((person, mark, left_open)) = known.survivor(person) else {
                outcomes[index] = Some(Outcome::skipped("person_forgotten"));
                continue;
            };
            let target = targets.entry(person.id.clone()).or_insert_with(|| {
                let mark = if mark.generation == person.generation() { mark.clone() } else { forget(mark, person) };
                Target {
                    person: person.clone(),
                    mark,
                    jobs: Vec::new(),
                    facet: None,
                    profile: Err(Outcome::blocked(NO_IDENTITY)),
                    learnt: false,
                    verified: false,
                }
            });
            target.mark.dirty |= left_open;
            target.jobs.push(index);
        }
        for target in targets.values_mut() {
            let Target { person, mark, .. } = target;
            let absorbed = known.absorbed(person).map(|mark| mark.last_timestamp);
            mark.last_timestamp = absorbed.fold(mark.last_timestamp, i64::max);
            target.facet = facet::render(person, self.config, now).filter(|f| mark.dirty || mark.facet_hash.as_ref() != Some(&f.hash));
            if target.facet.is_none() {
                target.jobs.retain(|index| match &incoming[*index].job.work {
                    Work::CustomerioFacet { .. } => {
                        outcomes[*index] = Some(Outcome::skipped("already_there"));
                        false
                    }
                    _ => true,
                });
            }
        }
        Ok(targets.into_values().filter(|t| !t.jobs.is_empty()).collect())
    }

    /// Finds out which profile each person is, before anything is written. A known one costs nothing.
    async fn find_profiles(&self, targets: &mut [Target]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut asked = Vec::new();
        for (index, target) in targets.iter_mut().enumerate() {
            match &target.mark.profile {
                Some(own) if now.since(target.mark.profile_seen_at) < TRUSTED_FOR || target.facet.is_none() => {
                    target.profile = Ok(ProfileRef::Own(own.clone()));
                    target.verified = true;
                }
                Some(_) | None => asked.push((index, address(&target.person, self.config))),
            }
        }
        self.drop_ambiguous_addresses(targets, &mut asked).await?;
        asked.retain(|(_, address)| !address.ids.is_empty());
        if asked.is_empty() {
            return Ok(());
        }
        let (indices, addresses): (Vec<usize>, Vec<Address>) = asked.into_iter().unzip();
        let answers = self.customerio.find_profiles(&addresses).await;
        for (index, answer) in indices.into_iter().zip(answers) {
            let target = &mut targets[index];
            target.profile = match answer {
                ProfileLookUp::Found(own) => {
                    let own = own.own;
                    target.mark.profile = Some(own.clone());
                    target.mark.profile_seen_at = now;
                    (target.learnt, target.verified) = (true, true);
                    Ok(ProfileRef::Own(own))
                }
                ProfileLookUp::FoundBy(kind, value) => {
                    target.verified = true;
                    Ok(ProfileRef::By(kind, value))
                }
                ProfileLookUp::Unverified(kind, value) => Ok(ProfileRef::By(kind, value)),
                ProfileLookUp::Absent => Err(Outcome::blocked("no_profile")),
                ProfileLookUp::Ambiguous => Err(Outcome::blocked("ambiguous_profile")),
                ProfileLookUp::Failed(outcome) => Err(outcome),
            };
        }
        Ok(())
    }

    /// An address that several people claim finds nobody. Asked only for people whose profile is not known yet.
    async fn drop_ambiguous_addresses(&self, targets: &[Target], asked: &mut [(usize, Address)]) -> Result<(), StoreError> {
        let key = |index: usize, value: &str| {
            let id = Identifier { kind: IdKind::Email, value: value.to_owned() };
            AliasKey::of_identifier(&targets[index].person.workspace, &id)
        };
        let mut keys = Vec::new();
        for (index, address) in asked.iter() {
            keys.extend(address.ids.iter().filter(|(kind, _)| *kind == IdKind::Email).map(|(_, value)| key(*index, value)));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let found = self.store.find(&keys, &[]).await?;
        for (index, address) in asked.iter_mut() {
            address.ids.retain(|(kind, value)| {
                let person = &targets[*index].person;
                *kind != IdKind::Email || is_theirs_alone(person, found.aliases.get(&key(*index, value)))
            });
        }
        Ok(())
    }

    /// People without a profile: the state waits for the scan or for a new id, events wait in their queue.
    async fn settle_unreachable(
        &self,
        targets: &mut Vec<Target>,
        incoming: &[Incoming],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut wakes = Vec::new();
        let mut marks = Vec::new();
        for target in targets.iter() {
            let Err(outcome) = &target.profile else { continue };
            for index in &target.jobs {
                let job = &incoming[*index].job;
                outcomes[*index] = Some(match (&job.work, outcome) {
                    (Work::Customerio(_), Outcome::Blocked { reason }) if now.since(job.created_at) < waits_for(reason) => {
                        // Soon at first, since the answer to a look-up may be on its way; then rarely.
                        let doubled = Span::from_secs((1_i64 << incoming[*index].delivery.receive_count.min(12)).min(3600));
                        Outcome::RetryAfter { delay: doubled, reason: reason.clone() }
                    }
                    // Most who write to support have no profile and never will: that is no failure.
                    (Work::Customerio(_), Outcome::Blocked { reason }) => Outcome::Skipped { reason: reason.clone() },
                    (_, outcome) => outcome.clone(),
                });
            }
            let asks_for_state = target.jobs.iter().any(|index| matches!(incoming[*index].job.work, Work::CustomerioFacet { .. }));
            // What has changed since is worth looking soon again.
            let tries = if target.mark.facet_version == target.person.facet.version { target.mark.unconfirmed } else { 0 };
            if matches!(outcome, Outcome::Blocked { .. })
                && asks_for_state
                && tries < REPAIR_TRIES
                && target.summary_is_urgent(self.config, now)
            {
                wakes.push(repair(&target.person, tries, now));
                let mark =
                    Mark { unconfirmed: tries + 1, facet_version: target.person.facet.version, profile: None, ..target.mark.clone() };
                marks.push((target.person.id.clone(), mark));
            }
        }
        if !wakes.is_empty() {
            self.store.set_wakes(wakes).await?;
            // A conflict here means that somebody has just written the person: nothing to hold on to.
            let _superseded = self.store.put_marks(Destination::Customerio, marks).await?;
        }
        targets.retain(|t| t.profile.is_ok());
        Ok(())
    }

    /// Takes the next `timestamp` for each facet that will be written, and keeps what was learnt about profiles.
    async fn claim(&self, targets: Vec<Target>, outcomes: &mut [Option<Outcome>]) -> Result<Vec<Target>, StoreError> {
        let now = self.clock.now().secs();
        let (mut to_write, mut rest): (Vec<Target>, Vec<Target>) = targets.into_iter().partition(|t| t.facet.is_some() || t.learnt);
        if !to_write.is_empty() {
            let mut marks = Vec::new();
            for target in &mut to_write {
                if target.facet.is_some() {
                    target.mark.dirty = true;
                    target.mark.last_timestamp = now.max(target.mark.last_timestamp + 1);
                }
                marks.push((target.person.id.clone(), target.mark.clone()));
            }
            let commits = self.store.put_marks(Destination::Customerio, marks).await?;
            for (mut target, commit) in to_write.into_iter().zip(commits) {
                match commit {
                    Commit::Done => {
                        target.mark.version += 1;
                        rest.push(target);
                    }
                    Commit::Conflict => set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap")),
                }
            }
        }
        Ok(rest)
    }

    /// One call for everything, attributes of a person before their events; then the marks.
    async fn write(&self, targets: Vec<Target>, incoming: &[Incoming], outcomes: &mut [Option<Outcome>]) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        let mut plan = Vec::new();
        for target in targets {
            let Ok(profile) = target.profile.clone() else { continue };
            let verified = target.verified;
            let facet_at = target.facet.as_ref().map(|facet| {
                writes.push(CustomerioWrite::Attributes {
                    profile: profile.clone(),
                    timestamp: target.mark.last_timestamp,
                    create: false,
                    attributes: facet.attributes.clone(),
                    own: BTreeMap::new(),
                });
                writes.len() - 1
            });
            let mut events_at = Vec::new();
            for index in &target.jobs {
                let first = writes.len();
                if verified || self.config.customerio.profiles_exist {
                    let actions = actions(&incoming[*index].job);
                    writes.extend(
                        actions.iter().map(|action| CustomerioWrite::Act { profile: Some(profile.clone()), action: action.clone() }),
                    );
                }
                events_at.push((*index, first..writes.len()));
            }
            plan.push((target, verified, facet_at, events_at));
        }
        if writes.is_empty() {
            for (_, _, _, events_at) in plan {
                for (index, _) in events_at {
                    outcomes[index] = Some(Outcome::skipped("profile_unverified"));
                }
            }
            return Ok(());
        }
        let answers = self.customerio.write(&writes).await;
        let mut answer = answers.into_iter();
        let answers: Vec<Outcome> =
            writes.iter().map(|_| answer.next().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer"))).collect();

        // Look once more: whoever has been merged away meanwhile may have been written over their survivor. Their mark stays
        // open, and the job, coming again, finds it so.
        let written: Vec<PersonId> =
            plan.iter().filter(|(_, _, facet_at, _)| facet_at.is_some()).map(|(t, ..)| t.person.id.clone()).collect();
        let since = if written.is_empty() { BTreeMap::new() } else { self.store.with_marks(Destination::Customerio, &written).await? };

        let now = self.clock.now();
        let mut confirmed = Vec::new();
        let mut wakes = Vec::new();
        for (target, verified, facet_at, events_at) in &plan {
            let merged = since.get(&target.person.id).is_some_and(|(person, _)| person.merged_into.is_some());
            let facet_outcome = match facet_at {
                Some(_) if merged => Outcome::retry(OVERLAP_AGAIN, "merged_meanwhile"),
                Some(at) => answers[*at].clone(),
                None => Outcome::Done,
            };
            for (index, range) in events_at {
                let job = &incoming[*index].job;
                outcomes[*index] = Some(match &job.work {
                    Work::CustomerioFacet { .. } => facet_outcome.clone(),
                    // An event rests on the state before it: while that is not there, the event waits with it.
                    _ if matches!(facet_outcome, Outcome::RetryAfter { .. }) => facet_outcome.clone(),
                    _ if range.is_empty() => Outcome::skipped("profile_unverified"),
                    _ => worst(&answers[range.clone()]),
                });
            }
            if matches!(facet_outcome, Outcome::Rejected { .. }) {
                // Parked for a human; once it is mended, the state should not have to wait for the next ticket.
                wakes.push(repair(&target.person, REJECTED_TRIES, now));
            }
            if let (Some(facet), Outcome::Done) = (&target.facet, &facet_outcome) {
                let unconfirmed = if *verified { 0 } else { target.mark.unconfirmed + 1 };
                let mark = Mark {
                    dirty: false,
                    facet_hash: Some(facet.hash.clone()),
                    facet_version: target.person.facet.version,
                    unconfirmed,
                    ..target.mark.clone()
                };
                // Nobody could say whether the profile exists, and an update of none is answered like any other.
                if !verified && target.summary_is_urgent(self.config, now) && unconfirmed < REPAIR_TRIES {
                    wakes.push(repair(&target.person, unconfirmed, now));
                    confirmed.push((target, Mark { facet_hash: None, ..mark }));
                } else {
                    confirmed.push((target, mark));
                }
            }
        }
        if !wakes.is_empty() {
            self.store.set_wakes(wakes).await?;
        }
        if !confirmed.is_empty() {
            let marks = confirmed.iter().map(|(t, mark)| (t.person.id.clone(), mark.clone())).collect();
            let commits = self.store.put_marks(Destination::Customerio, marks).await?;
            for ((target, _), commit) in confirmed.iter().zip(commits) {
                if commit == Commit::Conflict {
                    // Another writer began after us: which of the two came last is not known here. Look again.
                    set(outcomes, &target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap"));
                }
            }
        }
        Ok(())
    }

    async fn finish(&self, lane: QueueName, incoming: Vec<Incoming>, outcomes: Vec<Outcome>) -> Vec<(String, Disposition)> {
        let ended = incoming.into_iter().zip(outcomes).map(|(Incoming { delivery, job }, outcome)| {
            let what = if job.work.is_state() { "support_facet" } else { "actions" };
            Ended { delivery, job, what, outcome, notes: Vec::new() }
        });
        end((self.store, self.queue, self.clock, self.jitter), lane, Vec::new(), ended.collect()).await
    }
}

fn set(outcomes: &mut [Option<Outcome>], jobs: &[usize], outcome: &Outcome) {
    for index in jobs {
        outcomes[*index] = Some(outcome.clone());
    }
}

/// A mark of which only the timestamp remains, for a person who has absorbed another since, or given up an id: they may live in the other's
/// profile now.
fn forget(mark: &Mark, person: &Person) -> Mark {
    Mark { last_timestamp: mark.last_timestamp, version: mark.version, generation: person.generation(), dirty: true, ..Mark::default() }
}

fn address(person: &Person, config: &Config) -> Address {
    let ids = config.customerio.found_by().filter_map(|kind| Some((kind, person.id_of(kind)?.to_owned()))).collect();
    Address { ids }
}

fn actions(job: &Job) -> &[CustomerioAction] {
    match &job.work {
        Work::Customerio(actions) => actions,
        _ => &[],
    }
}

fn repair(person: &Person, tries: u32, now: Timestamp) -> Wake {
    Wake {
        workspace: person.workspace.clone(),
        person: person.id.clone(),
        reason: WakeReason::RepairCustomerio,
        due: now.plus(repair_after(tries)),
    }
}
