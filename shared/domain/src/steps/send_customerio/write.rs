//! Claim, write, confirm.

use super::names::{give_up, is_name};
use super::profiles::waits_for;
use super::target::{EMAIL, NO_IDENTITY, ReadsBack, Target, is_against_opt_out, object_news, trim};
use super::{
    CustomerioSender, GIVES_UP_READING, Incoming, OVERLAP_AGAIN, READ_BACK_AFTER, READS_BACK, REJECTED_TRIES, REPAIR_TRIES, Results,
    SHOWS_WITHIN, actions, repair,
};
use crate::action::{CustomerioAction, CustomerioVerb};
use crate::consent::Told;
use crate::event::IdKind;
use crate::id::PersonId;
use crate::job::{Job, Work};
use crate::outcome::{Outcome, Reason};
use crate::ports::{
    Clock, Commit, Customerio, CustomerioWrite, Destination, Given, Jitter, Mark, ProfileLookUp, ProfileRef, Queue, Store, StoreError, Wake,
};
use crate::steps::ended::worst;
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// What an action comes to.
enum Step {
    /// Nothing is written.
    Ends(Outcome),
    /// It is part of the person's attributes. `read_back`: whether it was applied shows later.
    Attributes { read_back: bool },
    /// A write of its own, by its place.
    Write(usize),
    /// As `Write`; whether it was applied shows later.
    WriteAndReadBack(usize),
}

/// What is written for one person.
struct Planned {
    target: Target,
    /// Place of the attributes among the writes.
    attributes: Option<usize>,
    jobs: Vec<(usize, Vec<Step>)>,
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// Takes the next `timestamp` for each person whose attributes will be written, and keeps what was learnt about profiles.
    pub(super) async fn claim(
        &self,
        mut targets: Vec<Target>,
        incoming: &[Incoming],
        results: &mut Results,
    ) -> Result<Vec<Target>, StoreError> {
        let now = self.clock.now();
        self.name_profiles(&mut targets, incoming).await?;
        for target in &mut targets {
            self.read_back_email(target, incoming, results);
        }
        let (mut to_put, mut rest): (Vec<Target>, Vec<Target>) =
            targets.into_iter().partition(|t| t.profile.is_ok() && (t.writes() || t.learnt));
        if !to_put.is_empty() {
            let mut marks = Vec::new();
            for target in &mut to_put {
                if target.writes() {
                    target.mark.dirty = true;
                    target.mark.told.extend(target.telling.iter().map(|(key, told)| (key.clone(), told.doubted())));
                    target.mark.last_timestamp = now.secs().max(target.mark.last_timestamp + 1);
                    target.leave_open();
                }
                if target.creates == Some(ReadsBack::Can) {
                    // From the first attempt on, unless that is long forgotten.
                    let since = target.mark.creating_since.filter(|since| now.since(*since) < GIVES_UP_READING);
                    target.mark.creating_since = since.or(Some(now));
                }
                marks.push((target.person.id.clone(), target.mark.clone()));
            }
            let commits = self.store.put_marks(Destination::Customerio, marks).await?;
            for (mut target, commit) in to_put.into_iter().zip(commits) {
                match commit {
                    Commit::Done => {
                        target.mark.version += 1;
                        rest.push(target);
                    }
                    Commit::Conflict => results.set_all(&target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap")),
                }
            }
        }
        Ok(rest)
    }

    /// An address that was written, and was looked for just now.
    fn read_back_email(&self, target: &mut Target, incoming: &[Incoming], results: &mut Results) {
        let Some(wanted) = target.update.unseen_email.clone() else { return };
        let Some(given) = target.mark.given.get_mut(EMAIL) else { return };
        let shows = match (&target.profile, target.seen.as_ref().filter(|seen| seen.says_who_it_is())) {
            (Ok(_), Some(seen)) => seen.email.as_ref() == Some(&wanted),
            // Nobody can be asked.
            (Ok(_), None) => true,
            (Err(_), _) => return,
        };
        if shows {
            given.refused = false;
            target.update.unseen_email = None;
            (target.learnt, target.email_shows) = (true, true);
            return;
        }
        let now = self.clock.now();
        // The job may have waited long before it was written.
        let written_at = Timestamp::from_secs(target.mark.last_timestamp);
        for index in &target.jobs {
            let Some(Incoming { job, .. }) = incoming.get(*index) else { continue };
            let waits = |action: &CustomerioAction| matches!(&action.what, CustomerioVerb::UpdatePerson(update) if update.email.is_some());
            if actions(job).iter().any(waits) {
                let outcome = if now.since(job.created_at.max(written_at)) < SHOWS_WITHIN {
                    Outcome::retry(READ_BACK_AFTER, READS_BACK)
                } else {
                    Outcome::rejected("email_not_taken", "another profile may have this address; merge the two at Customer.io")
                };
                results.set(*index, outcome);
            }
        }
    }

    /// One call for everything, attributes of a person before their events; then the marks.
    pub(super) async fn write(&self, targets: Vec<Target>, incoming: &[Incoming], results: &mut Results) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        let mut of_nobody = Vec::new();
        for (index, Incoming { job, .. }) in incoming.iter().enumerate().filter(|(_, i)| i.job.person.is_none()) {
            // Of nobody: there is no mark to keep. What concerns somebody has been settled.
            if results.outcomes.get(index).is_some_and(Option::is_none) {
                let steps: Vec<Step> = actions(job).iter().map(|action| act(&mut writes, None, action)).collect();
                of_nobody.push((index, steps));
            }
        }
        let mut planned = Vec::new();
        for target in targets {
            planned.push(self.plan(target, incoming, results, &mut writes).await?);
        }
        let answers = if writes.is_empty() { Vec::new() } else { self.customerio.write(&writes).await };
        let mut answer = answers.into_iter();
        let answers: Vec<Outcome> =
            writes.iter().map(|_| answer.next().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer"))).collect();
        for (index, steps) in of_nobody {
            let outcomes: Vec<Outcome> = steps.into_iter().map(|step| ended(&step, &Outcome::Done, &answers)).collect();
            results.set(index, worst(&outcomes));
        }
        self.confirm(planned, incoming, results, &answers).await
    }

    async fn plan(
        &self,
        target: Target,
        incoming: &[Incoming],
        results: &Results,
        writes: &mut Vec<CustomerioWrite>,
    ) -> Result<Planned, StoreError> {
        let attributes = match &target.profile {
            Ok(profile) if target.writes() => {
                writes.push(CustomerioWrite::Attributes {
                    profile: profile.clone(),
                    timestamp: target.mark.last_timestamp,
                    create: target.creates.is_some(),
                    attributes: target.attributes(),
                    own: target.own(),
                });
                Some(writes.len() - 1)
            }
            Ok(_) | Err(_) => None,
        };
        let mut jobs = Vec::new();
        for index in &target.jobs {
            let Some(Incoming { delivery, job }) = incoming.get(*index) else { continue };
            if results.outcomes.get(*index).is_some_and(Option::is_some) {
                continue;
            }
            let mut steps = Vec::new();
            for action in actions(job) {
                steps.push(self.step(&target, job, action, delivery.receive_count, writes).await?);
            }
            jobs.push((*index, steps));
        }
        Ok(Planned { target, attributes, jobs })
    }

    async fn step(
        &self,
        target: &Target,
        job: &Job,
        action: &CustomerioAction,
        receive_count: u32,
        writes: &mut Vec<CustomerioWrite>,
    ) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let age = now.since(job.created_at);
        let creates_for = |asked: bool| match target.creates {
            Some(made) if asked => Step::Attributes { read_back: made == ReadsBack::Can },
            None if asked && target.was_made => Step::Ends(Outcome::Done),
            Some(_) | None => Step::Ends(Outcome::skipped("already_there")),
        };
        Ok(match &action.what {
            CustomerioVerb::UpdatePerson(update) if target.update.of.contains(&action.id) => {
                Step::Attributes { read_back: update.email.is_some() && target.update.own.contains_key("email") && target.verified }
            }
            CustomerioVerb::SetSubscription { .. } if target.update.of.contains(&action.id) => Step::Attributes { read_back: false },
            CustomerioVerb::SetSubscription { topic, subscribed: true }
                if is_against_opt_out(&target.person, topic.as_deref(), self.config) =>
            {
                Step::Ends(Outcome::skipped("opted_out"))
            }
            CustomerioVerb::UpdatePerson(update) if update.email.is_some() && target.email_shows => Step::Ends(Outcome::Done),
            CustomerioVerb::UpdatePerson(update) => creates_for(update.create),
            CustomerioVerb::CreatePerson { .. } => creates_for(true),
            CustomerioVerb::SetSubscription { .. } => Step::Ends(Outcome::skipped("already_there")),
            CustomerioVerb::SuppressPerson | CustomerioVerb::UnsuppressPerson => {
                let name = self.own_name(&target.person).await?;
                match (&target.profile, name) {
                    // A profile that goes by an address knows nothing of the user id, which is to be blocked as well.
                    (Ok(profile @ ProfileRef::Own(_)), name) if action.what == CustomerioVerb::SuppressPerson => {
                        writes.extend(name.map(|name| CustomerioWrite::Act { profile: Some(name), action: action.clone() }));
                        act(writes, Some(profile.clone()), action)
                    }
                    (_, Some(name)) => act(writes, Some(name), action),
                    (_, None) => Step::Ends(Outcome::skipped(NO_IDENTITY)),
                }
            }
            CustomerioVerb::UpsertObject(object)
                if target.profile.is_ok() && object_news(&target.mark, object, action.occurred_at).is_none() =>
            {
                Step::Ends(Outcome::skipped("already_there"))
            }
            CustomerioVerb::UpsertObject(_) | CustomerioVerb::DeleteObject(_) => match &target.profile {
                Ok(profile) if self.may_act(target) => act(writes, Some(profile.clone()), action),
                Ok(_) | Err(Outcome::Skipped { .. } | Outcome::Done | Outcome::Rejected { .. }) => act(writes, None, action),
                Err(Outcome::Blocked { reason } | Outcome::RetryAfter { reason, .. }) => {
                    self.object_alone(reason, age, receive_count, action, writes)
                }
            },
            CustomerioVerb::MergePeople { .. } => self.merge(target, action, age, writes),
            CustomerioVerb::TrackEvent(_)
            | CustomerioVerb::TrackPage(_)
            | CustomerioVerb::TrackScreen(_)
            | CustomerioVerb::AddToSegment { .. }
            | CustomerioVerb::RemoveFromSegment { .. }
            | CustomerioVerb::RemoveRelationship(_)
            | CustomerioVerb::DeletePerson
            | CustomerioVerb::AddDevice(_)
            | CustomerioVerb::DeleteDevice { .. } => match &target.profile {
                // It is sent once the profile is seen.
                Ok(_) if target.creates == Some(ReadsBack::Can) => Step::Ends(Outcome::retry(READ_BACK_AFTER, READS_BACK)),
                Ok(profile) if self.may_act(target) => act(writes, Some(profile.clone()), action),
                Ok(_) => Step::Ends(Outcome::skipped("profile_unverified")),
                Err(outcome) => Step::Ends(outcome.clone()),
            },
        })
    }

    /// Whatever is sent to a profile that is not there may make one.
    fn may_act(&self, target: &Target) -> bool {
        target.verified || self.config.customerio.profiles_exist || target.creates == Some(ReadsBack::Cannot)
    }

    /// The object is there at once, the relationship as soon as there is somebody to have it.
    fn object_alone(
        &self,
        reason: &Reason,
        age: Span,
        receive_count: u32,
        action: &CustomerioAction,
        writes: &mut Vec<CustomerioWrite>,
    ) -> Step {
        let relates = matches!(&action.what, CustomerioVerb::UpsertObject(_));
        let waits = relates && age < waits_for(reason);
        let doubled = Span::from_secs((1_i64 << receive_count.min(12)).min(3600));
        match (waits, receive_count <= 1) {
            (false, _) => act(writes, None, action),
            (true, true) => {
                writes.push(CustomerioWrite::Act { profile: None, action: action.clone() });
                Step::Ends(Outcome::RetryAfter { delay: doubled, reason: reason.clone() })
            }
            (true, false) => Step::Ends(Outcome::RetryAfter { delay: doubled, reason: reason.clone() }),
        }
    }

    /// Asked for until the other profile is gone.
    fn merge(&self, target: &Target, action: &CustomerioAction, age: Span, writes: &mut Vec<CustomerioWrite>) -> Step {
        let secondary = match target.merges.get(&action.id) {
            Some(ProfileLookUp::Found(seen)) => ProfileRef::Own(seen.own.clone()),
            Some(ProfileLookUp::FoundBy(kind, value) | ProfileLookUp::Unverified(kind, value)) => ProfileRef::By(*kind, value.clone()),
            // It has gone up in the other one, or never was.
            Some(ProfileLookUp::Absent) => return Step::Ends(Outcome::Done),
            Some(ProfileLookUp::Ambiguous) => return Step::Ends(Outcome::blocked("ambiguous_profile")),
            Some(ProfileLookUp::Failed(outcome)) => return Step::Ends(outcome.clone()),
            None => return Step::Ends(Outcome::rejected("unusable_id", "`from` is no id that Customer.io has")),
        };
        let can_read_back = matches!(target.merges.get(&action.id), Some(ProfileLookUp::Found(_) | ProfileLookUp::FoundBy(..)));
        let primary = match &target.profile {
            Ok(_) if target.creates == Some(ReadsBack::Can) => return Step::Ends(Outcome::retry(READ_BACK_AFTER, READS_BACK)),
            Ok(profile) if self.may_act(target) => profile.clone(),
            Ok(_) => return Step::Ends(Outcome::skipped("profile_unverified")),
            Err(outcome) => return Step::Ends(outcome.clone()),
        };
        let (kind, value) = named_by(&secondary);
        let theirs = matches!(kind, IdKind::UserId | IdKind::Email) && target.person.id_of(kind) == Some(value);
        let is_itself = theirs || named_by(&primary) == (kind, value);
        if is_itself {
            return Step::Ends(Outcome::Done);
        }
        if age > GIVES_UP_READING && can_read_back {
            return Step::Ends(Outcome::rejected("merge_not_applied", "Customer.io still shows the other profile"));
        }
        writes.push(CustomerioWrite::Merge { primary, secondary });
        if can_read_back { Step::WriteAndReadBack(writes.len() - 1) } else { Step::Write(writes.len() - 1) }
    }

    async fn confirm(
        &self,
        planned: Vec<Planned>,
        incoming: &[Incoming],
        results: &mut Results,
        answers: &[Outcome],
    ) -> Result<(), StoreError> {
        // Look once more: whoever has been merged away meanwhile may have been written over their survivor. Their mark stays
        // open, and the job, coming again, finds it so.
        let written: Vec<PersonId> = planned.iter().filter(|p| p.attributes.is_some()).map(|p| p.target.person.id.clone()).collect();
        let since = if written.is_empty() { BTreeMap::new() } else { self.store.with_marks(Destination::Customerio, &written).await? };
        let now = self.clock.now();
        let mut confirmed: Vec<(&Planned, Mark)> = Vec::new();
        let mut wakes = Vec::new();
        for one in &planned {
            let Planned { target, attributes, jobs } = one;
            let merged = since.get(&target.person.id).is_some_and(|(person, _)| person.merged_into.is_some());
            let state = match attributes {
                Some(_) if merged => Outcome::retry(OVERLAP_AGAIN, "merged_meanwhile"),
                // What was written is written once more when the profile shows.
                Some(at) if target.creates == Some(ReadsBack::Can) && answers.get(*at) == Some(&Outcome::Done) => {
                    Outcome::retry(READ_BACK_AFTER, READS_BACK)
                }
                Some(at) => answers.get(*at).cloned().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer")),
                None => Outcome::Done,
            };
            let mixed = target.holds_what_routes_say();
            // Then it is tried again without them.
            let names_refused = !target.names.news.is_empty() && matches!(state, Outcome::Rejected { .. });
            let mut gone = false;
            for (index, steps) in jobs {
                let Some(Incoming { job, .. }) = incoming.get(*index) else { continue };
                gone |= actions(job).iter().zip(steps).any(|(action, step)| {
                    let deletes = matches!(action.what, CustomerioVerb::DeletePerson | CustomerioVerb::SuppressPerson);
                    deletes && matches!(step, Step::Write(at) if answers.get(*at) == Some(&Outcome::Done))
                });
                let outcome = match (&job.work, &state) {
                    // What routes gave may be what was refused: state comes again, and alone.
                    (_, Outcome::Rejected { .. }) if names_refused => Outcome::retry(OVERLAP_AGAIN, "refused_with_names"),
                    (Work::CustomerioFacet { .. } | Work::Consent { .. }, Outcome::Rejected { .. }) if mixed => {
                        Outcome::retry(OVERLAP_AGAIN, "refused_with_others")
                    }
                    (Work::CustomerioFacet { .. } | Work::Consent { .. }, state) => state.clone(),
                    // An event rests on the state before it: while that is not there, the event waits with it.
                    (_, Outcome::RetryAfter { .. }) if attributes.is_some() => state.clone(),
                    _ => worst(&steps.iter().map(|step| ended(step, &state, answers)).collect::<Vec<_>>()),
                };
                results.set(*index, outcome);
                if let Some(notes) = results.notes.get_mut(*index) {
                    notes.extend(target.names.left_undone().map(str::to_owned));
                }
            }
            if matches!(state, Outcome::Rejected { .. }) && !names_refused && (target.facet.is_some() || target.tells_consent()) {
                // Parked for a human; once it is mended, the state should not have to wait for the next ticket.
                wakes.push(repair(&target.person, REJECTED_TRIES, now));
            }
            let mut mark = target.mark.clone();
            for (index, steps) in jobs {
                let asked = incoming.get(*index).map(|i| actions(&i.job)).unwrap_or_default();
                for (action, step) in asked.iter().zip(steps) {
                    if let (CustomerioVerb::UpsertObject(object), Step::Write(at)) = (&action.what, step)
                        && target.profile.is_ok()
                        && answers.get(*at) == Some(&Outcome::Done)
                    {
                        mark.given.extend(object_news(&target.mark, object, action.occurred_at));
                    }
                }
            }
            if target.creates == Some(ReadsBack::Can) && attributes.and_then(|at| answers.get(at)) == Some(&Outcome::Done) {
                for (key, hash, at) in target.names.gives(now) {
                    mark.given.insert(key, Given { hash, at, refused: true });
                }
            }
            if target.names.waits {
                wakes.push(Wake { due: now.plus(SHOWS_WITHIN), ..repair(&target.person, 0, now) });
            }
            if names_refused {
                give_up(&target.names, &mut mark, now);
            }
            if attributes.is_some() && state == Outcome::Done {
                if !target.names.news.is_empty() && target.verified {
                    wakes.push(Wake { due: now.plus(SHOWS_WITHIN), ..repair(&target.person, 0, now) });
                }
                mark.dirty = false;
                for (name, hash, at) in target.gives() {
                    // Whether a name was taken shows later.
                    let shows = target.verified || target.creates == Some(ReadsBack::Can);
                    let refused = (name == EMAIL && target.verified) || (is_name(&name) && shows);
                    mark.given.insert(name, Given { hash, at, refused });
                }
                for key in target.update.own.keys() {
                    match target.telling.get(key) {
                        Some(told) => mark.told.insert(key.clone(), *told),
                        // A route has said something else.
                        None => mark.told.remove(key),
                    };
                }
                if let Some(facet) = &target.facet {
                    mark = Mark { facet_hash: Some(facet.hash.clone()), facet_version: target.person.facet.version, ..mark };
                }
                if target.facet.is_some() || target.tells_consent() {
                    let unconfirmed = if target.verified { 0 } else { target.mark.unconfirmed + 1 };
                    mark.unconfirmed = unconfirmed;
                    // Nobody could say whether the profile exists, and an update of none is answered like any other.
                    let made = target.creates.is_some();
                    if !target.verified && !made && target.is_urgent(self.config, now) && unconfirmed < REPAIR_TRIES {
                        wakes.push(repair(&target.person, unconfirmed, now));
                        mark.facet_hash = None;
                        mark.told.values_mut().for_each(Told::doubt);
                    }
                }
            }
            let answer = attributes.and_then(|at| answers.get(at));
            if target.creates == Some(ReadsBack::Can) && matches!(answer, Some(Outcome::RetryAfter { .. })) {
                // An attempt that may not have come through says nothing about whom Customer.io takes.
                mark.creating_since = Some(now);
            }
            if gone {
                mark = Mark {
                    last_timestamp: mark.last_timestamp,
                    version: mark.version,
                    generation: mark.generation,
                    profile_seen_at: Timestamp::default(),
                    ..Mark::default()
                };
            }
            if mark != target.mark {
                trim(&mut mark.given);
                confirmed.push((one, mark));
            }
        }
        if !wakes.is_empty() {
            self.store.set_wakes(wakes).await?;
        }
        if !confirmed.is_empty() {
            let marks = confirmed.iter().map(|(one, mark)| (one.target.person.id.clone(), mark.clone())).collect();
            let commits = self.store.put_marks(Destination::Customerio, marks).await?;
            for ((one, _), commit) in confirmed.iter().zip(commits) {
                if commit == Commit::Conflict {
                    // Another writer began after us: which of the two came last is not known here. Look again.
                    results.set_all(&one.target.jobs, &Outcome::retry(OVERLAP_AGAIN, "overlap"));
                }
            }
        }
        Ok(())
    }
}

fn named_by(profile: &ProfileRef) -> (IdKind, &str) {
    match profile {
        ProfileRef::Own(own) => (IdKind::CioId, own),
        ProfileRef::By(kind, value) => (*kind, value),
    }
}

fn act(writes: &mut Vec<CustomerioWrite>, profile: Option<ProfileRef>, action: &CustomerioAction) -> Step {
    writes.push(CustomerioWrite::Act { profile, action: action.clone() });
    Step::Write(writes.len() - 1)
}

fn ended(step: &Step, state: &Outcome, answers: &[Outcome]) -> Outcome {
    let answer = |at: &usize| answers.get(*at).cloned().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer"));
    match step {
        Step::Ends(outcome) => outcome.clone(),
        Step::Attributes { read_back: true } if *state == Outcome::Done => Outcome::retry(READ_BACK_AFTER, READS_BACK),
        Step::Attributes { .. } => state.clone(),
        Step::Write(at) => answer(at),
        Step::WriteAndReadBack(at) => match answer(at) {
            Outcome::Done => Outcome::retry(READ_BACK_AFTER, READS_BACK),
            outcome => outcome,
        },
    }
}
