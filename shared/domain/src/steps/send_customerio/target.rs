//! What a batch asks for each person, and what of it is news to Customer.io. Pure.

use super::names::{Names, is_name};
use super::{Incoming, Results, actions};
use crate::action::{CustomerioVerb, UpdatePerson, UpsertObject};
use crate::config::Config;
use crate::consent::{Subject, Told};
use crate::event::{Attributes, Channel, Choice, IdKind, Source, Value};
use crate::facet::{self, Facet, Summary};
use crate::id::{ActionId, Digest, PersonId};
use crate::identifier::{is_address, trimmed};
use crate::job::Work;
use crate::outcome::{CONCERNS_NO_PERSON, LEAD_OF_A_CUSTOMER, Outcome};
use crate::person::{Person, RecordKey};
use crate::ports::{Destination, Given, Mark, ProfileLookUp, ProfileRef, SeenProfile};
use crate::steps::people::People;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Values remembered of one person: more than Customer.io takes of attributes.
const GIVEN_KEPT: usize = 500;

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
    /// What of the update tells the profile of consent, by attribute.
    pub(super) telling: BTreeMap<String, Told>,
    pub(super) profile: Result<ProfileRef, Outcome>,
    /// As it was seen just now.
    pub(super) seen: Option<SeenProfile>,
    /// The profile was found just now and is to be remembered.
    pub(super) learnt: bool,
    /// It is known to exist.
    pub(super) verified: bool,
    /// It was made not long ago, and has been seen now.
    pub(super) was_made: bool,
    /// Customer.io has named another profile since this one was seen.
    pub(super) may_have_moved: bool,
    /// The address that was written has been seen there.
    pub(super) email_shows: bool,
    /// It is not there, and this write makes it; whether that worked can be read back.
    pub(super) creates: Option<ReadsBack>,
    pub(super) names: Names,
    /// The profile that was known before an id was given up: theirs still, unless it goes by what is somebody else's now.
    pub(super) former: Option<String>,
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
        let known = if mark.generation == person.generation() {
            mark.clone()
        } else {
            Mark {
                last_timestamp: mark.last_timestamp,
                given: forgotten(&mark.given),
                told: doubted(&mark.told),
                version: mark.version,
                generation: person.generation(),
                dirty: true,
                ..Mark::default()
            }
        };
        Self {
            person: person.clone(),
            mark: known,
            jobs: Vec::new(),
            facet: None,
            update: Update::default(),
            telling: BTreeMap::new(),
            profile: Err(Outcome::blocked(NO_IDENTITY)),
            seen: None,
            learnt: false,
            verified: false,
            was_made: false,
            may_have_moved: may_have_moved(person, mark),
            email_shows: false,
            creates: None,
            names: Names::default(),
            former: mark.profile.clone().filter(|_| mark.generation != person.generation()),
            merges: BTreeMap::new(),
        }
    }

    /// What of all that is asked for is news to the profile, as the mark has it.
    pub(super) fn gather(&mut self, incoming: &[Incoming], config: &Config, now: Timestamp) {
        self.update = Update::default();
        self.facet = facet::render(&self.person, config, now).filter(|f| self.mark.dirty || self.mark.facet_hash.as_ref() != Some(&f.hash));
        for action in self.jobs.iter().filter_map(|index| incoming.get(*index)).flat_map(|i| actions(&i.job)) {
            let asked = ask(&mut self.update, &mut self.mark, &self.person, &action.what, action.occurred_at, config);
            if asked.is_news {
                self.update.of.insert(action.id.clone());
            }
            self.learnt |= asked.said_again;
        }
        // Seen to in every batch for the person, however old it is.
        self.telling.clear();
        let record = self.supposed_profile().map(|own| RecordKey::named(Source::Customerio, IdKind::CioId, own));
        for wanted in self.person.consent.wanted(Destination::Customerio, &config.consent) {
            let (key, choice, since) = (wanted.key, wanted.choice, wanted.since);
            let mut told = self.mark.told.get(key).copied();
            if self.mark.dirty {
                told.iter_mut().for_each(Told::doubt);
            }
            // An opt-in leaves alone what a route has said since.
            let is_older = |at: Option<Timestamp>| choice == Choice::In && at.is_some_and(|at| at > since);
            let said_since =
                is_older(self.update.own.get(key).map(|(_, at)| *at)) || is_older(self.mark.given.get(&own(key)).map(|given| given.at));
            if !said_since && wanted.must_be_told(record.as_ref(), told.as_ref()) {
                let value = Value::Bool(if key.starts_with(TOPICS) { choice == Choice::In } else { choice == Choice::Out });
                self.update.own.insert(key.to_owned(), (value, since));
                self.telling.insert(key.to_owned(), wanted.told());
            }
        }
    }

    /// The profile that this is written to, as far as is known without asking. `None` of one that is about to be made.
    pub(super) fn supposed_profile(&self) -> Option<&str> {
        let named = || self.person.id_of(IdKind::CioId);
        self.creates.is_none().then(|| self.mark.profile.as_deref().or_else(named))?
    }

    /// Nothing that was given is known to be there, though what is older still comes too late.
    pub(super) fn forget_what_was_given(&mut self) {
        self.mark.given = forgotten(&self.mark.given);
        self.mark.told = doubted(&self.mark.told);
        self.mark.facet_hash = None;
        self.mark.dirty = true;
    }

    /// What is about to be written is not known to be there until that is confirmed, also if another writer confirms something else meanwhile.
    pub(super) fn leave_open(&mut self) {
        let names: Vec<String> = self.gives().map(|(name, _, _)| name).collect();
        for name in names {
            if let Some(given) = self.mark.given.get_mut(&name) {
                given.hash.clear();
            }
        }
    }

    /// Something of it was given to the profile that was known before.
    pub(super) fn was_given_something(&self) -> bool {
        self.mark.facet_hash.is_some() || !self.mark.told.is_empty() || self.mark.given.values().any(|given| !given.hash.is_empty())
    }

    /// Something that keeps mail from the person waits for a profile.
    pub(super) fn is_urgent(&self, config: &Config, now: Timestamp) -> bool {
        let summary = Summary::of(&self.person, config, now);
        summary.has_open_ticket()
            || summary.windows.values().any(|until| *until > now)
            || self.person.consent.wants_out(Destination::Customerio, &config.consent)
    }

    /// Something in the write is there because a route asked for it.
    pub(super) fn holds_what_routes_say(&self) -> bool {
        !self.update.of.is_empty() || (self.creates.is_some() && !self.update.for_new.is_empty())
    }

    pub(super) fn tells_consent(&self) -> bool {
        !self.telling.is_empty()
    }

    /// The write keeps the person out of something that the profile is not known to be out of.
    pub(super) fn tells_out(&self) -> bool {
        self.telling.values().any(|told| told.choice == Choice::Out)
    }

    /// There is something to write under a claim.
    pub(super) fn writes(&self) -> bool {
        self.facet.is_some() || !self.update.is_empty() || !self.names.news.is_empty() || self.creates.is_some()
    }

    /// What the write will give, by the names under which it is remembered.
    pub(super) fn gives(&self) -> impl Iterator<Item = (String, String, Timestamp)> {
        let named = |before: &'static str, values: &BTreeMap<String, (Value, Timestamp)>| -> Vec<(String, String, Timestamp)> {
            values.iter().map(|(name, (value, at))| (format!("{before}:{name}"), hash(value), *at)).collect()
        };
        let for_new = if self.creates.is_some() { named("attribute", &self.update.for_new) } else { Vec::new() };
        let names = self.names.gives(Timestamp::from_secs(self.mark.last_timestamp));
        for_new.into_iter().chain(named("attribute", &self.update.attributes)).chain(named("own", &self.update.own)).chain(names)
    }

    /// Those of the write that mean something to Customer.io itself.
    pub(super) fn own(&self) -> Attributes {
        let names = self.names.news.iter().map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())));
        names.chain(self.update.own.iter().map(|(name, (value, _))| (name.clone(), value.clone()))).collect()
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
        // It may have turned out since.
        if job.work.is_of_lead() && person.is_customer() {
            results.set(index, Outcome::skipped(LEAD_OF_A_CUSTOMER));
            continue;
        }
        let target = targets.entry(person.id.clone()).or_insert_with(|| Target::new(person, mark));
        target.mark.dirty |= left_open;
        target.jobs.push(index);
    }
    for target in targets.values_mut() {
        for absorbed in known.absorbed(&target.person) {
            target.mark.last_timestamp = target.mark.last_timestamp.max(absorbed.last_timestamp);
            // What was said of either is older for both.
            for (key, theirs) in &absorbed.given {
                match target.mark.given.get(key) {
                    Some(ours) if ours.at >= theirs.at => {}
                    Some(_) | None => {
                        target.mark.given.insert(key.clone(), unknown(theirs));
                    }
                }
            }
            for (key, told) in doubted(&absorbed.told) {
                target.mark.told.entry(key).or_insert(told);
            }
        }
        target.gather(incoming, config, now);
        let moved = target.may_have_moved;
        let facet = target.facet.is_some() || target.has_open_names(now) || moved;
        let own = !target.update.own.is_empty() || target.must_look_at_names(false, now) || moved;
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

#[derive(Default)]
struct Asked {
    is_news: bool,
    /// What the profile has was said once more, and what was said in between comes too late.
    said_again: bool,
}

/// Takes over what a verb asks of the profile's own values.
fn ask(update: &mut Update, mark: &mut Mark, person: &Person, verb: &CustomerioVerb, at: Timestamp, config: &Config) -> Asked {
    let mut asked = Asked::default();
    let put = |values: &mut BTreeMap<String, (Value, Timestamp)>, name: &str, value: &Value| {
        // Of two facts in one batch the later one counts.
        if values.get(name).is_none_or(|(_, known)| *known <= at) {
            values.insert(name.to_owned(), (value.clone(), at));
        }
    };
    match verb {
        CustomerioVerb::UpdatePerson(UpdatePerson { create, email, attributes }) => {
            update.create |= create;
            // What holds marketing back is no route's to say, and least of all an echo's.
            for (name, value) in attributes.iter().filter(|(name, _)| !config.is_state_at_customerio(name)) {
                let key = format!("attribute:{name}");
                if is_news(mark, &key, value, at) {
                    put(&mut update.attributes, name, value);
                    asked.is_news = true;
                } else if says_again(mark, &key, value, at) {
                    asked.said_again = true;
                    if update.attributes.get(name).is_some_and(|(_, known)| *known <= at) {
                        update.attributes.remove(name);
                    }
                }
            }
            // What is no address would cost the whole write.
            if let Some(email) = email.as_deref().map(trimmed).filter(|email| is_address(email)) {
                let value = Value::String(email.to_lowercase());
                let waits = mark.given.get(EMAIL).is_some_and(|given| given.refused && given.hash == hash(&value));
                if waits {
                    update.unseen_email = Some(email.to_lowercase());
                } else if is_news(mark, EMAIL, &value, at) {
                    put(&mut update.own, "email", &value);
                    asked.is_news = true;
                }
            }
        }
        CustomerioVerb::CreatePerson { attributes } => {
            update.create = true;
            let theirs = attributes.iter().filter(|(name, _)| !config.is_state_at_customerio(name));
            theirs.for_each(|(name, value)| put(&mut update.for_new, name, value));
        }
        // Nobody is taken back in against an opt-out.
        CustomerioVerb::SetSubscription { topic, subscribed: true } if is_against_opt_out(person, topic.as_deref(), config) => {}
        CustomerioVerb::SetSubscription { topic, subscribed } => {
            let (key, value) = match topic {
                Some(topic) => (topic_key(topic), Value::Bool(*subscribed)),
                None => ("unsubscribed".to_owned(), Value::Bool(!subscribed)),
            };
            if is_news(mark, &own(&key), &value, at) {
                put(&mut update.own, &key, &value);
                asked.is_news = true;
            } else {
                asked.said_again = says_again(mark, &own(&key), &value, at);
            }
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
        | CustomerioVerb::DeleteDevice { .. } => {}
    }
    asked
}

/// What is remembered of a person is paid for with every write of the mark: what was given first is forgotten, and told once more.
pub(super) fn trim(given: &mut BTreeMap<String, Given>) {
    while given.len() > GIVEN_KEPT {
        let plain = given.iter().filter(|(name, _)| !name.starts_with("own:") && !is_name(name));
        let Some(oldest) = plain.min_by_key(|(_, given)| given.at).map(|(name, _)| name.clone()) else { return };
        given.remove(&oldest);
    }
}

/// What an object was given last, of the person who belongs to it.
pub(super) fn object_news(mark: &Mark, object: &UpsertObject, at: Timestamp) -> Option<(String, Given)> {
    let key = format!("object:{}:{}", object.name.kind, object.name.id);
    let value = serde_json::to_value(object).unwrap_or_default();
    is_news(mark, &key, &value, at).then(|| (key, Given { hash: hash(&value), at, refused: false }))
}

/// Taking the person in there would go against what they wish.
pub(super) fn is_against_opt_out(person: &Person, topic: Option<&str>, config: &Config) -> bool {
    let consent = &person.consent;
    let key = topic.map_or_else(|| "unsubscribed".to_owned(), topic_key);
    let told_out = consent.wanted(Destination::Customerio, &config.consent).any(|wanted| wanted.key == key && wanted.choice == Choice::Out);
    let is_out_of_topic = |id: &str| {
        let sources = [Source::Customerio, Source::Pipelines];
        let by = |channel| sources.iter().any(|source| consent.is_out(&Subject::new(channel, Some((*source, id)))));
        [None, Some(Channel::Email), Some(Channel::Sms)].into_iter().any(by)
    };
    told_out || consent.is_out_of(Channel::Email) || key.strip_prefix(TOPICS).is_some_and(is_out_of_topic)
}

/// Under which name it is remembered that it was given.
pub(super) fn own(name: &str) -> String {
    format!("own:{name}")
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

/// It was given last, and is said to hold at a later time too.
fn says_again(mark: &mut Mark, name: &str, value: &Value, at: Timestamp) -> bool {
    let Some(given) = mark.given.get_mut(name).filter(|given| given.hash == hash(value) && given.at < at) else { return false };
    given.at = at;
    true
}

pub(super) fn hash(value: &Value) -> String {
    Digest::new("given").with(&value.to_string()).hex().chars().take(16).collect()
}

/// A person who has absorbed another since, or given up an id, may live in another profile now, and Customer.io may have taken
/// two profiles for one: what was given is not known to be there.
fn forgotten(given: &BTreeMap<String, Given>) -> BTreeMap<String, Given> {
    given.iter().map(|(key, given)| (key.clone(), unknown(given))).collect()
}

fn doubted(told: &BTreeMap<String, Told>) -> BTreeMap<String, Told> {
    let mut told = told.clone();
    told.values_mut().for_each(Told::doubt);
    told
}

fn unknown(given: &Given) -> Given {
    Given { hash: String::new(), at: given.at, refused: false }
}

/// Profiles are merged by hand; then Customer.io speaks of the one that is left.
fn may_have_moved(person: &Person, mark: &Mark) -> bool {
    let (Some(own), Some(named)) = (&mark.profile, person.id_of(IdKind::CioId)) else { return false };
    let named_at = person.ids.get(&IdKind::CioId).and_then(|ids| ids.get(named));
    named != own && named_at.is_some_and(|at| *at > mark.profile_seen_at)
}
