//! What a batch asks for each person, and what of it is news to Customer.io. Pure.

use super::{Incoming, Results, actions};
use crate::action::{CustomerioVerb, UpdatePerson};
use crate::config::Config;
use crate::consent::Belief;
use crate::event::{Attributes, Channel, Choice, IdKind, Value};
use crate::facet::{self, Facet, Summary};
use crate::id::{ActionId, Digest, PersonId};
use crate::job::Work;
use crate::outcome::{CONCERNS_NO_PERSON, Outcome};
use crate::person::Person;
use crate::ports::{Destination, Given, Mark, ProfileLookUp, ProfileRef, SeenProfile};
use crate::steps::people::People;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const NO_IDENTITY: &str = "no_identity";
/// Among what was given: the address.
pub(super) const EMAIL: &str = "own:email";
const TOPICS: &str = "cio_subscription_preferences.topics.";

/// All that a batch asks for one person.
pub(super) struct Target {
    pub(super) person: Person,
    pub(super) mark: Mark,
    /// Places of the incoming jobs.
    pub(super) jobs: Vec<usize>,
    /// What has to be written, unless the mark says that it is there already.
    pub(super) facet: Option<Facet>,
    pub(super) update: Update,
    pub(super) profile: Result<ProfileRef, Outcome>,
    /// As it was seen just now.
    pub(super) seen: Option<SeenProfile>,
    /// The profile was found just now and is to be remembered.
    pub(super) learnt: bool,
    /// It is known to exist.
    pub(super) verified: bool,
    /// It was made not long ago, and has been seen now.
    pub(super) was_made: bool,
    /// It is not there, and this write makes it; whether that worked can be read back.
    pub(super) creates: Option<ReadsBack>,
    /// Whom the profiles to merge are, by action.
    pub(super) merges: BTreeMap<ActionId, ProfileLookUp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadsBack {
    Can,
    /// Nobody can be asked.
    Cannot,
}

/// What is to be written of a person besides the facet: values with the time of the fact behind each.
#[derive(Default)]
pub(super) struct Update {
    pub(super) attributes: BTreeMap<String, (Value, Timestamp)>,
    /// Those that mean something to Customer.io itself.
    pub(super) own: BTreeMap<String, (Value, Timestamp)>,
    /// Only where the profile is made.
    pub(super) for_new: BTreeMap<String, (Value, Timestamp)>,
    /// A profile is wanted where there is none.
    pub(super) create: bool,
    /// Actions of which something is to be written.
    pub(super) of: BTreeSet<ActionId>,
    /// The address that was written and has not been seen there yet.
    pub(super) unseen_email: Option<String>,
}

impl Update {
    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.own.is_empty()
    }
}

impl Target {
    fn new(person: &Person, mark: &Mark) -> Self {
        let mark = if mark.generation == person.generation() { mark.clone() } else { forget(mark, person) };
        Self {
            person: person.clone(),
            mark,
            jobs: Vec::new(),
            facet: None,
            update: Update::default(),
            profile: Err(Outcome::blocked(NO_IDENTITY)),
            seen: None,
            learnt: false,
            verified: false,
            was_made: false,
            creates: None,
            merges: BTreeMap::new(),
        }
    }

    /// Something that keeps mail from the person waits for a profile.
    pub(super) fn is_urgent(&self, config: &Config, now: Timestamp) -> bool {
        let summary = Summary::of(&self.person, config, now);
        summary.has_open_ticket()
            || summary.windows.values().any(|until| *until > now)
            || self.person.consent.tells_out(Destination::Customerio)
    }

    /// What Customer.io has silently left as it was, for the record.
    pub(super) fn left_undone(&self) -> Option<&'static str> {
        let seen = self.seen.as_ref().filter(|_| self.was_made)?;
        // Another profile has it, and nobody is told.
        let email = self.person.id_of(IdKind::Email)?;
        (seen.email.as_deref() != Some(email)).then_some("email_not_taken")
    }

    /// There is something to write under a claim.
    pub(super) fn writes(&self) -> bool {
        self.facet.is_some() || !self.update.is_empty() || self.creates.is_some()
    }

    /// What the write will give, by the names under which it is remembered.
    pub(super) fn gives(&self) -> impl Iterator<Item = (String, String, Timestamp)> {
        let named = |before: &'static str, values: &BTreeMap<String, (Value, Timestamp)>| -> Vec<(String, String, Timestamp)> {
            values.iter().map(|(name, (value, at))| (format!("{before}:{name}"), hash(value), *at)).collect()
        };
        let for_new = if self.creates.is_some() { named("attribute", &self.update.for_new) } else { Vec::new() };
        for_new.into_iter().chain(named("attribute", &self.update.attributes)).chain(named("own", &self.update.own))
    }

    /// Attributes of the write: what routes say, under what support says.
    pub(super) fn attributes(&self) -> Attributes {
        let plain = |values: &BTreeMap<String, (Value, Timestamp)>| -> Vec<(String, Value)> {
            values.iter().map(|(name, (value, _))| (name.clone(), value.clone())).collect()
        };
        let mut attributes = Attributes::new();
        if self.creates.is_some() {
            attributes.extend(plain(&self.update.for_new));
        }
        attributes.extend(plain(&self.update.attributes));
        attributes.extend(self.facet.iter().flat_map(|facet| facet.attributes.clone()));
        attributes
    }
}

/// Gathers what needs to be written for whom, follows merges, and settles what needs no writing.
pub(super) fn targets(known: &People, incoming: &[Incoming], config: &Config, now: Timestamp, results: &mut Results) -> Vec<Target> {
    let mut targets: BTreeMap<PersonId, Target> = BTreeMap::new();
    for (index, Incoming { job, .. }) in incoming.iter().enumerate() {
        let Some(person) = &job.person else {
            if !super::needs_no_profile(job) {
                results.set(index, Outcome::skipped(CONCERNS_NO_PERSON));
            }
            continue;
        };
        let Some((person, mark, left_open)) = known.survivor(person) else {
            results.set(index, Outcome::skipped("person_forgotten"));
            continue;
        };
        let target = targets.entry(person.id.clone()).or_insert_with(|| Target::new(person, mark));
        target.mark.dirty |= left_open;
        target.jobs.push(index);
    }
    for target in targets.values_mut() {
        let absorbed = known.absorbed(&target.person).map(|mark| mark.last_timestamp);
        target.mark.last_timestamp = absorbed.fold(target.mark.last_timestamp, i64::max);
        let mark = &target.mark;
        target.facet = facet::render(&target.person, config, now).filter(|f| mark.dirty || mark.facet_hash.as_ref() != Some(&f.hash));
        for index in &target.jobs {
            let Some(Incoming { job, .. }) = incoming.get(*index) else { continue };
            for action in actions(job) {
                let news = ask(&mut target.update, &target.mark, &target.person, &action.what, action.occurred_at);
                if news {
                    target.update.of.insert(action.id.clone());
                }
            }
        }
        // Whoever works for them sees to it, however old it is.
        for (key, Belief { choice, at }) in target.person.consent.told(Destination::Customerio) {
            let value = Value::Bool(if key.starts_with(TOPICS) { choice == Choice::In } else { choice == Choice::Out });
            let given = target.mark.given.get(&format!("own:{key}"));
            if target.mark.dirty || given.is_none_or(|given| given.at < at || given.hash != hash(&value)) {
                target.update.own.insert(key.to_owned(), (value, at));
            }
        }
        let (facet, own) = (target.facet.is_some(), !target.update.own.is_empty());
        target.jobs.retain(|index| {
            let news = match incoming.get(*index).map(|i| &i.job.work) {
                Some(Work::CustomerioFacet { .. }) => facet,
                Some(Work::Consent { .. }) => own,
                Some(_) | None => true,
            };
            if !news {
                results.set(*index, Outcome::skipped("already_there"));
            }
            news
        });
    }
    targets.into_values().filter(|t| !t.jobs.is_empty()).collect()
}

/// Takes over what a verb asks of the profile's own values. Whether anything of it is news.
fn ask(update: &mut Update, mark: &Mark, person: &Person, verb: &CustomerioVerb, at: Timestamp) -> bool {
    let put = |values: &mut BTreeMap<String, (Value, Timestamp)>, name: &str, value: &Value| {
        // Of two facts in one batch the later one counts.
        if values.get(name).is_none_or(|(_, known)| *known <= at) {
            values.insert(name.to_owned(), (value.clone(), at));
        }
    };
    match verb {
        CustomerioVerb::UpdatePerson(UpdatePerson { create, email, attributes }) => {
            update.create |= create;
            let mut news = false;
            for (name, value) in attributes {
                if is_news(mark, &format!("attribute:{name}"), value, at) {
                    put(&mut update.attributes, name, value);
                    news = true;
                }
            }
            if let Some(email) = email {
                let value = Value::String(email.to_lowercase());
                let waits = mark.given.get(EMAIL).is_some_and(|given| given.refused && given.hash == hash(&value));
                if waits {
                    update.unseen_email = Some(email.to_lowercase());
                } else if is_news(mark, EMAIL, &value, at) {
                    put(&mut update.own, "email", &value);
                    news = true;
                }
            }
            news
        }
        CustomerioVerb::CreatePerson { attributes } => {
            update.create = true;
            attributes.iter().for_each(|(name, value)| put(&mut update.for_new, name, value));
            false
        }
        // Nobody is taken back in against an opt-out.
        CustomerioVerb::SetSubscription { subscribed: true, .. } if person.consent.is_out_of(Channel::Email) => false,
        CustomerioVerb::SetSubscription { topic, subscribed } => {
            let (key, value) = match topic {
                Some(topic) => (topic_key(topic), Value::Bool(*subscribed)),
                None => ("unsubscribed".to_owned(), Value::Bool(!subscribed)),
            };
            let news = is_news(mark, &format!("own:{key}"), &value, at);
            if news {
                put(&mut update.own, &key, &value);
            }
            news
        }
        CustomerioVerb::TrackEvent(_)
        | CustomerioVerb::TrackPage(_)
        | CustomerioVerb::TrackScreen(_)
        | CustomerioVerb::AddToSegment { .. }
        | CustomerioVerb::RemoveFromSegment { .. }
        | CustomerioVerb::UpsertObject(_)
        | CustomerioVerb::DeleteObject(_)
        | CustomerioVerb::RemoveRelationship(_)
        | CustomerioVerb::MergePeople { .. }
        | CustomerioVerb::DeletePerson
        | CustomerioVerb::SuppressPerson
        | CustomerioVerb::UnsuppressPerson
        | CustomerioVerb::AddDevice(_)
        | CustomerioVerb::DeleteDevice { .. } => false,
    }
}

/// In Customer.io's list a topic is a number, and where it is set it is `topic_1`.
fn topic_key(topic: &str) -> String {
    let id = if topic.bytes().all(|b| b.is_ascii_digit()) { format!("topic_{topic}") } else { topic.to_owned() };
    format!("{TOPICS}{id}")
}

/// It is not what was given last, and not older than it.
fn is_news(mark: &Mark, name: &str, value: &Value, at: Timestamp) -> bool {
    mark.given.get(name).is_none_or(|Given { hash: known, at: since, .. }| *since <= at && (mark.dirty || *known != hash(value)))
}

pub(super) fn hash(value: &Value) -> String {
    Digest::new("given").with(&value.to_string()).hex().chars().take(16).collect()
}

/// A mark of which only the timestamp remains, for a person who has absorbed another since, or given up an id: they may live in the other's
/// profile now.
fn forget(mark: &Mark, person: &Person) -> Mark {
    Mark { last_timestamp: mark.last_timestamp, version: mark.version, generation: person.generation(), dirty: true, ..Mark::default() }
}
