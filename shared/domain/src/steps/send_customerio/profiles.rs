//! Which profile each person is, found out before anything is written.

use super::target::{NO_IDENTITY, ReadsBack, Target};
use super::{
    CustomerioSender, GIVES_UP_READING, Incoming, READ_BACK_AFTER, READS_BACK, REPAIR_TRIES, Results, SHOWS_WITHIN, actions,
    needs_no_profile, repair,
};
use crate::action::CustomerioVerb;
use crate::config::Config;
use crate::event::{IdKind, Identifier};
use crate::id::{ActionId, PersonId};
use crate::identifier::{cio_digits, is_address, trimmed};
use crate::job::Work;
use crate::outcome::{Outcome, Reason};
use crate::person::Person;
use crate::ports::{
    Address, Alias, AliasKey, Clock, Customerio, Destination, Found, Jitter, Mark, ProfileLookUp, ProfileRef, Queue, SeenProfile, Store,
    StoreError,
};
use crate::steps::people::is_theirs_alone;
use crate::time::Span;
use std::collections::BTreeMap;

/// An event for someone without a profile waits this long; older ones cannot start a campaign any more.
const WAITS_FOR_PROFILE: Span = Span::from_hours(72);
/// For someone whom nothing but Intercom's own id is known of, only as long as an answer may be on its way, or a lead may
/// still leave an address.
const WAITS_FOR_IDENTITY: Span = Span::from_hours(1);

/// Customer.io answers 200 to writes for a profile that is gone. After this long it is looked for again before its state
/// is written.
const TRUSTED_FOR: Span = Span::from_hours(24);

pub(super) fn waits_for(reason: &Reason) -> Span {
    if reason.code == NO_IDENTITY { WAITS_FOR_IDENTITY } else { WAITS_FOR_PROFILE }
}

/// What is asked of Customer.io for one person.
enum Question {
    /// Who they are.
    Person(usize),
    /// Who is to go up in them.
    Merge(usize, ActionId),
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// One call for all, or none. A profile that is known costs nothing.
    pub(super) async fn find_profiles(&self, targets: &mut [Target], incoming: &[Incoming]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut asked: Vec<(Question, Address)> = Vec::new();
        for (index, target) in targets.iter_mut().enumerate() {
            let asks_for_state =
                target.jobs.iter().filter_map(|job| incoming.get(*job)).any(|i| matches!(i.job.work, Work::CustomerioFacet { .. }));
            let must_look = target.mark.creating_since.is_some()
                || target.update.unseen_email.is_some()
                || target.may_have_moved
                || target.must_look_at_names(asks_for_state, now)
                // An opt-out must not be written to a profile that is gone: that is answered with a 200 as well.
                || target.tells_out();
            match &target.mark.profile {
                Some(own) if !must_look && (now.since(target.mark.profile_seen_at) < TRUSTED_FOR || !target.writes()) => {
                    target.profile = Ok(ProfileRef::Own(own.clone()));
                    target.verified = true;
                }
                Some(_) | None => {
                    let mut own = address(&target.person, &target.mark, self.config);
                    // What is to go into theirs is not theirs to be found by.
                    let jobs = target.jobs.iter().filter_map(|job| incoming.get(*job));
                    let goes: Vec<(IdKind, String)> = jobs
                        .flat_map(|i| actions(&i.job))
                        .filter_map(|action| if let CustomerioVerb::MergePeople { from } = &action.what { named(from) } else { None })
                        .collect();
                    if own.ids.iter().any(|id| !goes.contains(id)) {
                        own.ids.retain(|id| !goes.contains(id));
                    }
                    asked.push((Question::Person(index), own));
                }
            }
            let jobs = target.jobs.iter().filter_map(|job| incoming.get(*job));
            for action in jobs.flat_map(|i| actions(&i.job)) {
                if let CustomerioVerb::MergePeople { from } = &action.what {
                    asked.push((Question::Merge(index, action.id.clone()), Address { ids: named(from).into_iter().collect() }));
                }
            }
        }
        self.drop_what_is_not_theirs(targets, &mut asked).await?;
        asked.retain(|(_, address)| !address.ids.is_empty());
        if asked.is_empty() {
            return Ok(());
        }
        let (questions, addresses): (Vec<Question>, Vec<Address>) = asked.into_iter().unzip();
        let mut answers = self.customerio.find_profiles(&addresses).await;
        self.look_for_former(targets, &questions, &mut answers).await?;
        self.spare_other_people(targets, &questions, &mut answers).await?;
        for ((question, address), answer) in questions.into_iter().zip(addresses).zip(answers) {
            match question {
                Question::Person(index) => {
                    if let Some(target) = targets.get_mut(index) {
                        self.learn(target, &address, answer, incoming);
                    }
                }
                Question::Merge(index, action) => {
                    if let Some(target) = targets.get_mut(index) {
                        target.merges.insert(action, answer);
                    }
                }
            }
        }
        Ok(())
    }

    fn learn(&self, target: &mut Target, address: &Address, answer: ProfileLookUp, incoming: &[Incoming]) {
        let now = self.clock.now();
        target.profile = match answer {
            ProfileLookUp::Found(seen) => {
                let own = seen.own.clone();
                let is_made_just_now = target.mark.profile.is_none() && target.mark.creating_since.is_some();
                let is_another = target.mark.profile.as_ref() != Some(&own) && !is_made_just_now && target.was_given_something();
                let is_unexpected = target.supposed_profile().is_some_and(|supposed| supposed != own);
                target.mark.profile = Some(own.clone());
                target.mark.profile_seen_at = now;
                if is_another {
                    target.forget_what_was_given();
                }
                if is_another || is_unexpected {
                    target.gather(incoming, self.config, now);
                }
                target.was_made = target.mark.creating_since.take().is_some();
                target.seen = Some(seen);
                (target.learnt, target.verified) = (true, true);
                Ok(ProfileRef::Own(own))
            }
            ProfileLookUp::FoundBy(kind, value) => {
                target.verified = true;
                target.was_made = target.mark.creating_since.take().is_some();
                target.learnt |= target.was_made;
                Ok(ProfileRef::By(kind, value))
            }
            ProfileLookUp::Unverified(kind, value) => {
                if target.update.create {
                    target.creates = Some(ReadsBack::Cannot);
                    target.gather(incoming, self.config, now);
                }
                Ok(ProfileRef::By(kind, value))
            }
            // It has been made, and does not show yet.
            ProfileLookUp::Absent if target.mark.creating_since.is_some_and(|since| now.since(since) < SHOWS_WITHIN) => {
                Err(Outcome::retry(READ_BACK_AFTER, READS_BACK))
            }
            // Made several times, and never there: Customer.io takes nobody by these ids.
            ProfileLookUp::Absent
                if target.mark.creating_since.is_some_and(|since| (GIVES_UP_READING..TRUSTED_FOR).contains(&now.since(since))) =>
            {
                Err(Outcome::blocked("creation_not_applied"))
            }
            ProfileLookUp::Absent => match made_by(address).filter(|_| target.update.create) {
                Some((kind, value)) => {
                    // The profile of before is gone, and the new one has nothing of what it had.
                    if target.was_given_something() {
                        target.forget_what_was_given();
                    }
                    target.mark.profile = None;
                    target.creates = Some(ReadsBack::Can);
                    target.gather(incoming, self.config, now);
                    Ok(ProfileRef::By(kind, value))
                }
                None => Err(Outcome::blocked("no_profile")),
            },
            ProfileLookUp::Ambiguous => Err(Outcome::blocked("ambiguous_profile")),
            ProfileLookUp::Failed(outcome) => Err(outcome),
        };
    }

    /// An address that several people claim finds nobody, and nobody goes up in a person who is known as somebody else.
    async fn drop_what_is_not_theirs(&self, targets: &mut [Target], asked: &mut [(Question, Address)]) -> Result<(), StoreError> {
        // However it is spelt, an address is claimed as one.
        let key = |target: &Target, kind: IdKind, value: &str| {
            let id = Identifier { kind, value: value.to_owned() };
            let id = if id.is_address_as_id() { Identifier { kind: IdKind::Email, value: value.to_lowercase() } } else { id };
            AliasKey::of_identifier(&target.person.workspace, &id)
        };
        let is_shared = |kind: IdKind, value: &str| kind == IdKind::Email || (kind == IdKind::UserId && is_address(value));
        let of = |question: &Question| match question {
            Question::Person(index) | Question::Merge(index, _) => *index,
        };
        let is_asked = |question: &Question, kind: IdKind, value: &str| is_shared(kind, value) || matches!(question, Question::Merge(..));
        let mut keys = Vec::new();
        for (question, address) in asked.iter() {
            let Some(target) = targets.get(of(question)) else { continue };
            let asked = address.ids.iter().filter(|(kind, value)| is_asked(question, *kind, value));
            keys.extend(asked.map(|(kind, value)| key(target, *kind, value)));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let found = self.store.find(&keys, &[]).await?;
        for (question, address) in asked.iter_mut() {
            let Some(target) = targets.get_mut(of(question)) else { continue };
            let claimed = |kind: IdKind, value: &str| found.aliases.get(&key(target, kind, value));
            match question {
                Question::Person(_) => {
                    let person = &target.person;
                    address.ids.retain(|(kind, value)| !is_shared(*kind, value) || is_theirs_alone(person, claimed(*kind, value)));
                }
                Question::Merge(_, action) => {
                    let is_anothers = |alias: &Alias| !alias.claimants.is_empty() && !is_theirs_alone(&target.person, Some(alias));
                    if address.ids.iter().any(|(kind, value)| claimed(*kind, value).is_some_and(is_anothers)) {
                        address.ids.clear();
                        let refused = ProfileLookUp::Failed(Outcome::blocked("belongs_to_another_person"));
                        target.merges.insert(action.clone(), refused);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whose address has changed may have a profile that nothing but the old one leads to.
    async fn look_for_former(&self, targets: &[Target], questions: &[Question], answers: &mut [ProfileLookUp]) -> Result<(), StoreError> {
        let mut open: Vec<(usize, &Person, String)> = Vec::new();
        for (place, (question, answer)) in questions.iter().zip(answers.iter()).enumerate() {
            let (Question::Person(index), ProfileLookUp::Absent) = (question, answer) else { continue };
            let Some(Target { person, former: Some(former), .. }) = targets.get(*index) else { continue };
            open.push((place, person, former.clone()));
        }
        if open.is_empty() {
            return Ok(());
        }
        let addresses: Vec<Address> = open.iter().map(|(_, _, own)| Address { ids: vec![(IdKind::CioId, own.clone())] }).collect();
        let found = self.customerio.find_profiles(&addresses).await;
        let keys = |person: &Person, seen: &SeenProfile| -> Vec<AliasKey> {
            let of_user = seen.user_id.as_deref().map(Identifier::of_user).into_iter().flatten().filter(|id| !id.is_address_as_id());
            let email = seen.email.as_deref().and_then(|email| Identifier::new(IdKind::Email, email));
            of_user.chain(email).map(|id| AliasKey::of_identifier(&person.workspace, &id)).collect()
        };
        let mut wanted: Vec<AliasKey> = Vec::new();
        for ((_, person, _), answer) in open.iter().zip(&found) {
            if let ProfileLookUp::Found(seen) = answer {
                wanted.extend(keys(person, seen));
            }
        }
        let claimed = if wanted.is_empty() { Found::default() } else { self.store.find(&wanted, &[]).await? };
        for ((place, person, _), answer) in open.into_iter().zip(found) {
            let is_free = |alias: &Alias| alias.claimants.is_empty() || is_theirs_alone(person, Some(alias));
            let is_theirs = match &answer {
                ProfileLookUp::Found(seen) => {
                    // By another user id it may be another's whom we have not met.
                    let own = seen.user_id.as_deref().is_none_or(|id| is_address(id) || person.user_ids().any(|own| own == id));
                    own && keys(person, seen).iter().filter_map(|key| claimed.aliases.get(key)).all(is_free)
                }
                ProfileLookUp::Failed(_) => true,
                ProfileLookUp::FoundBy(..) | ProfileLookUp::Absent | ProfileLookUp::Ambiguous | ProfileLookUp::Unverified(..) => false,
            };
            if let Some(place) = answers.get_mut(place).filter(|_| is_theirs) {
                *place = answer;
            }
        }
        Ok(())
    }

    /// However a route names the profile, or an address leads to it: it may go by an id that is known to be somebody else's.
    async fn spare_other_people(
        &self,
        targets: &[Target],
        questions: &[Question],
        answers: &mut [ProfileLookUp],
    ) -> Result<(), StoreError> {
        let refused = || ProfileLookUp::Failed(Outcome::blocked("belongs_to_another_person"));
        let mut found: Vec<(usize, &Person, Vec<AliasKey>, ProfileLookUp)> = Vec::new();
        for (place, (question, answer)) in questions.iter().zip(answers.iter()).enumerate() {
            let ProfileLookUp::Found(seen) = answer else { continue };
            let (Question::Person(index) | Question::Merge(index, _)) = question;
            let Some(Target { person, .. }) = targets.get(*index) else { continue };
            let user_id = seen.user_id.as_deref().map(Identifier::of_user).into_iter().flatten();
            let (ids, otherwise): (Vec<Identifier>, ProfileLookUp) = match question {
                Question::Merge(..) => {
                    let email = seen.email.as_deref().and_then(|email| Identifier::new(IdKind::Email, email));
                    (user_id.filter(|id| !id.is_address_as_id()).chain(email).collect(), refused())
                }
                // An address may lead a user to the profile of another, who has left it to them since: they have none yet.
                Question::Person(_) if person.user_ids().next().is_some() => {
                    let anothers = |id: &Identifier| id.kind == IdKind::UserId && !id.is_address_as_id() && !person.has_id(id);
                    (user_id.filter(anothers).collect(), ProfileLookUp::Absent)
                }
                Question::Person(_) => continue,
            };
            found.push((place, person, ids.iter().map(|id| AliasKey::of_identifier(&person.workspace, id)).collect(), otherwise));
        }
        let keys: Vec<AliasKey> = found.iter().flat_map(|(_, _, keys, _)| keys.clone()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let aliases = self.store.find(&keys, &[]).await?.aliases;
        for (place, person, keys, otherwise) in found {
            let is_anothers = |alias: &Alias| {
                let theirs = |claimant: &PersonId| *claimant == person.id || person.absorbed.contains(claimant);
                !alias.claimants.is_empty() && !alias.claimants.iter().any(theirs)
            };
            if keys.iter().filter_map(|key| aliases.get(key)).any(is_anothers)
                && let Some(answer) = answers.get_mut(place)
            {
                *answer = otherwise;
            }
        }
        Ok(())
    }

    /// People without a profile: the state waits for the scan or for a new id, events wait in their queue.
    pub(super) async fn settle_unreachable(
        &self,
        targets: &mut Vec<Target>,
        incoming: &[Incoming],
        results: &mut Results,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut wakes = Vec::new();
        let mut marks = Vec::new();
        for target in targets.iter_mut() {
            let Err(outcome) = target.profile.clone() else { continue };
            let mut asks_for_state = false;
            for index in &target.jobs {
                let Some(Incoming { delivery, job }) = incoming.get(*index) else { continue };
                if needs_no_profile(job) {
                    continue;
                }
                asks_for_state |= job.work.is_state();
                let deletes = || actions(job).iter().all(|action| action.what == CustomerioVerb::DeletePerson);
                let age = now.since(job.created_at);
                results.set(
                    *index,
                    match (&job.work, &outcome) {
                        // There is nothing to delete.
                        (Work::Customerio(_), Outcome::Blocked { reason }) if reason.code == "no_profile" && deletes() => {
                            Outcome::Skipped { reason: reason.clone() }
                        }
                        (Work::Customerio(_), Outcome::Blocked { reason }) if age < waits_for(reason) => {
                            // Soon at first, since the answer to a look-up may be on its way; then rarely.
                            let doubled = Span::from_secs((1_i64 << delivery.receive_count.min(12)).min(3600));
                            Outcome::RetryAfter { delay: doubled, reason: reason.clone() }
                        }
                        // Most who write to support have no profile and never will: that is no failure.
                        (Work::Customerio(_), Outcome::Blocked { reason }) => Outcome::Skipped { reason: reason.clone() },
                        (_, outcome) => outcome.clone(),
                    },
                );
            }
            // What has changed since is worth looking soon again.
            let tries = if target.mark.facet_version == target.person.facet.version { target.mark.unconfirmed } else { 0 };
            if matches!(outcome, Outcome::Blocked { .. }) && asks_for_state && tries < REPAIR_TRIES && target.is_urgent(self.config, now) {
                wakes.push(repair(&target.person, tries, now));
                target.forget_what_was_given();
                let mark =
                    Mark { unconfirmed: tries + 1, facet_version: target.person.facet.version, profile: None, ..target.mark.clone() };
                marks.push((target.person.id.clone(), mark));
            }
            target.jobs.retain(|index| incoming.get(*index).is_some_and(|i| needs_no_profile(&i.job)));
        }
        if !wakes.is_empty() {
            self.store.set_wakes(wakes).await?;
            // A conflict here means that somebody has just written the person: nothing to hold on to.
            let _superseded = self.store.put_marks(Destination::Customerio, marks).await?;
        }
        targets.retain(|t| t.profile.is_ok() || !t.jobs.is_empty());
        Ok(())
    }

    /// By which a person without a profile is named: what is to be blocked, or let in again.
    pub(super) async fn own_name(&self, person: &Person) -> Result<Option<ProfileRef>, StoreError> {
        let (user_id, email) = (person.id_of(IdKind::UserId), person.id_of(IdKind::Email));
        let by_id = || user_id.map(|id| ProfileRef::By(IdKind::UserId, id.to_owned()));
        // Where the user id is an address, the profile goes by that.
        let Some(email) = email.filter(|_| user_id.is_none_or(is_address)) else { return Ok(by_id()) };
        let key = AliasKey::of_identifier(&person.workspace, &Identifier { kind: IdKind::Email, value: email.to_owned() });
        let found = self.store.find(std::slice::from_ref(&key), &[]).await?;
        let alone = is_theirs_alone(person, found.aliases.get(&key));
        Ok(if alone { Some(ProfileRef::By(IdKind::Email, email.to_owned())) } else { by_id() })
    }
}

/// How a person may be found: by their ids and, where a tool has an address of theirs as an id, by that as it is spelt there.
fn address(person: &Person, mark: &Mark, config: &Config) -> Address {
    let known = mark.profile.iter().map(|own| (IdKind::CioId, own.clone()));
    let is_id = |kind: IdKind, id: &str| kind != IdKind::UserId || !is_address(id);
    let ids = config.customerio.found_by().filter_map(|kind| Some((kind, person.id_of(kind)?.to_owned())));
    let by_id = config.customerio.found_by().any(|kind| kind == IdKind::UserId);
    let spellings = person.ids.get(&IdKind::UserId).into_iter().flat_map(BTreeMap::keys).filter(|id| by_id && is_address(id));
    let spellings = spellings.map(|id| (IdKind::UserId, id.clone()));
    let mut all: Vec<(IdKind, String)> = Vec::new();
    for id in known.chain(ids.filter(|(kind, id)| is_id(*kind, id))).chain(spellings) {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    Address { ids: all }
}

/// As a route names another profile.
fn named(from: &str) -> Option<(IdKind, String)> {
    let kind = match from {
        _ if cio_digits(from).is_some() => IdKind::CioId,
        _ if is_address(trimmed(from)) => IdKind::Email,
        _ => IdKind::UserId,
    };
    Identifier::new(kind, from).map(|id| (id.kind, id.value))
}

/// By which a new profile is made: never by an id that is Customer.io's own to give. An address is none: it goes by that, so that it
/// can be given an id later.
fn made_by(address: &Address) -> Option<(IdKind, String)> {
    address.ids.iter().find(|(kind, _)| matches!(kind, IdKind::UserId | IdKind::Email)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Workspace;
    use crate::time::Timestamp;
    use IdKind::{CioId, Email, UserId};

    #[test]
    fn an_address_is_looked_for_as_one_and_then_as_it_is_spelt_as_an_id() {
        let workspace = Workspace::new("main").expect("a name");
        let first = Identifier::new(CioId, "0a").expect("an id");
        let mut person = Person::new(&workspace, &first, Timestamp::default());
        for (kind, value) in [(UserId, "Ann@Example.com"), (UserId, "u1"), (Email, "ann@example.com")] {
            person.ids.entry(kind).or_default().insert(value.to_owned(), Timestamp::default());
        }
        let found_by = |yaml: &str| {
            let config = crate::config::parse("trefoil.yaml", yaml).expect("a file");
            address(&person, &Mark::default(), &config).ids
        };
        let owned = |ids: &[(IdKind, &str)]| -> Vec<(IdKind, String)> { ids.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect() };
        assert_eq!(found_by("version: 1\n"), owned(&[(UserId, "u1"), (Email, "ann@example.com"), (UserId, "Ann@Example.com")]));
        assert_eq!(found_by("version: 1\ncustomerio: { identify_by: [id] }\n"), owned(&[(UserId, "u1"), (UserId, "Ann@Example.com")]));
        assert_eq!(found_by("version: 1\ncustomerio: { identify_by: [email] }\n"), owned(&[(Email, "ann@example.com")]));
    }

    #[test]
    fn a_profile_is_named_by_customerios_own_id_only_with_hex_digits() {
        for (from, kind, value) in [
            ("cio_d9c106000001", CioId, "d9c106000001"),
            ("cio_shop_5", UserId, "cio_shop_5"),
            ("Ann@Example.com", Email, "ann@example.com"),
            ("ann@", UserId, "ann@"),
        ] {
            assert_eq!(named(from), Some((kind, value.to_owned())), "{from}");
        }
        assert_eq!(named("undefined"), None);
    }
}
