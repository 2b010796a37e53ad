//! One person at Segment: by what they are named, what they were given last, and what is to be sent now.

use super::{key_of, worst};
use crate::action::{SegmentAction, SegmentVerb};
use crate::config::Config;
use crate::consent::Told;
use crate::event::{Attributes, Choice, IdKind, Source, Value, action_id};
use crate::facet;
use crate::id::{ActionId, Digest, PersonId};
use crate::job::{Job, Work};
use crate::outcome::Outcome;
use crate::person::{Person, RecordKey};
use crate::ports::{Alias, AliasKey, Destination, Given, Mark, SegmentMessage};
use crate::steps::people::is_theirs_alone;
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Longer than any call takes; whoever ends in between keeps others away no longer than that.
const BUSY_FOR: Span = Span::from_mins(1);

/// Values remembered of one person: a mark is paid for by its size. What is dropped is told once more.
const GIVEN_KEPT: usize = 500;

pub(super) struct Target<'k> {
    pub(super) person: &'k Person,
    /// Indices into the incoming jobs.
    pub(super) jobs: Vec<usize>,
    mark: Mark,
    /// The made-up id that the store knows of.
    known_as: Option<String>,
    name: Name,
    /// Names of traits that are the person's state: no action goes against it.
    ours: BTreeSet<String>,
    planned: Vec<Planned>,
    /// What the person will have been given once all that is planned has been taken, and by which of it.
    given: BTreeMap<String, (Given, Option<usize>)>,
    /// Where a job's outcome comes from.
    comes_from: BTreeMap<usize, Vec<Came>>,
    state: State,
    /// The right to give the person values was taken.
    claimed: bool,
    /// What they had been given then, of what they are to be given.
    before: BTreeMap<String, Option<Given>>,
    /// A value was said again, later than before.
    said_again: bool,
}

/// Where among what the person was given it stands by what they were named then.
const NAMED: &str = "name";

#[derive(Default)]
struct Name {
    /// Of the id that Segment knows them by.
    hash: String,
    user_id: Option<String>,
    anonymous_id: Option<String>,
    email: Option<String>,
}

impl Name {
    /// What Segment keeps of the person.
    fn record(&self) -> Option<RecordKey> {
        let user = self.user_id.as_ref().map(|id| (IdKind::UserId, id));
        let (kind, id) = user.or_else(|| self.anonymous_id.as_ref().map(|id| (IdKind::AnonymousId, id)))?;
        Some(RecordKey::named(Source::Segment, kind, id))
    }
}

struct Planned {
    message: SegmentMessage,
    /// What the person has been given once it is taken.
    gives: Vec<(String, Given)>,
}

enum Came {
    Planned(usize),
    Settled(Outcome),
}

/// Which parts of the state are to be sent. They go in the first message.
#[derive(Default)]
struct State {
    facet_hash: Option<String>,
    /// Of consent, by trait.
    telling: BTreeMap<String, Told>,
}

impl<'k> Target<'k> {
    pub(super) fn new<'m>(person: &'k Person, mark: &'m Mark, absorbed: impl Iterator<Item = &'m Mark>) -> Self {
        let mut target = Self {
            person,
            jobs: Vec::new(),
            mark: mark.clone(),
            known_as: mark.profile.clone(),
            name: Name::default(),
            ours: BTreeSet::new(),
            planned: Vec::new(),
            given: BTreeMap::new(),
            comes_from: BTreeMap::new(),
            state: State::default(),
            claimed: false,
            before: BTreeMap::new(),
            said_again: false,
        };
        if mark.generation != person.generation() {
            // Two records at Segment may have become one, in whatever order it was told of both.
            target.mark.generation = person.generation();
            for old in absorbed {
                let mark = &mut target.mark;
                mark.last_timestamp = mark.last_timestamp.max(old.last_timestamp);
                mark.busy_until = mark.busy_until.max(old.busy_until);
                mark.profile = mark.profile.take().or_else(|| old.profile.clone());
                for (key, told) in &old.told {
                    mark.told.entry(key.clone()).or_insert(*told);
                }
                for (key, given) in &old.given {
                    let known = mark.given.entry(key.clone()).or_insert_with(|| given.clone());
                    known.at = given.at.max(known.at);
                }
            }
            target.forget();
        }
        target
    }

    /// What Segment has is not known any more; that older facts come too late still holds.
    pub(super) fn forget(&mut self) {
        self.mark.given.values_mut().for_each(|given| given.hash.clear());
        self.mark.told.values_mut().for_each(Told::doubt);
        self.mark.facet_hash = None;
        self.mark.dirty = true;
    }

    // ---------------------------------------------------------------------------------------- who it is

    /// Ids that the person may have to be named by, and that several people may claim.
    pub(super) fn shared_ids(&self, config: &Config) -> impl Iterator<Item = AliasKey> {
        let by_device = config.segment.identify_by.contains(&IdKind::AnonymousId);
        let kinds = [Some(IdKind::Email), by_device.then_some(IdKind::AnonymousId)];
        kinds.into_iter().flatten().filter_map(|kind| Some(key_of(self, kind, self.person.id_of(kind)?)))
    }

    /// Decides how Segment is told who it is. `false`: it cannot be told.
    pub(super) fn find_name(&mut self, config: &Config, aliases: &BTreeMap<AliasKey, Alias>) -> bool {
        let person = self.person;
        let alone = |kind| {
            let value = person.id_of(kind)?;
            is_theirs_alone(person, aliases.get(&key_of(self, kind, value))).then(|| value.to_owned())
        };
        let (email, device) = (alone(IdKind::Email), alone(IdKind::AnonymousId));
        let named = |kind: &IdKind| match kind {
            IdKind::UserId => person.id_of(*kind).map(|user_id| (Some(user_id.to_owned()), None)),
            IdKind::AnonymousId => device.clone().map(|device| (None, Some(device))),
            IdKind::Email => email.is_some().then_some((None, None)),
            IdKind::IntercomId | IdKind::CioId | IdKind::Phone => None,
        };
        let Some((user_id, mut anonymous_id)) = config.segment.identify_by.iter().find_map(named) else { return false };
        if user_id.is_none() && anonymous_id.is_none() {
            self.mark.profile.get_or_insert_with(|| made_up(&person.id));
        }
        // Beside a user id too, once it has been used: so Segment joins the two.
        anonymous_id = anonymous_id.or_else(|| self.mark.profile.clone());
        let hash = hash(&user_id.as_deref().or(anonymous_id.as_deref()).into());
        // Not every tool behind Segment joins what it was told under another name.
        if self.mark.given.get(NAMED).is_some_and(|named| !named.hash.is_empty() && named.hash != hash) {
            self.forget();
        }
        self.name = Name { hash, user_id, anonymous_id, email };
        true
    }

    // ---------------------------------------------------------------------------------------- what to send

    /// The person's state, as far as Segment has another one or none.
    pub(super) fn plan_state(&mut self, config: &Config, now: Timestamp) {
        self.given = self.mark.given.iter().map(|(key, given)| (key.clone(), (given.clone(), None))).collect();
        let mut traits = Attributes::new();
        let facet = config.segment.support_traits.then(|| facet::render(self.person, config, now)).flatten();
        if let Some(facet) = facet {
            self.ours.extend(facet.attributes.keys().cloned());
            if self.mark.dirty || self.mark.facet_hash.as_ref() != Some(&facet.hash) {
                traits.extend(facet.attributes);
                self.state.facet_hash = Some(facet.hash);
            }
        }
        let record = self.name.record();
        for wanted in self.person.consent.wanted(Destination::Segment, &config.consent) {
            self.ours.insert(wanted.key.to_owned());
            if wanted.must_be_told(record.as_ref(), self.mark.told.get(wanted.key)) {
                traits.insert(wanted.key.to_owned(), Value::Bool(wanted.choice == Choice::Out));
                self.state.telling.insert(wanted.key.to_owned(), wanted.told());
            }
        }
        if traits.is_empty() {
            return;
        }
        // Each claim has its own: so that a value that comes back is told again. A repeat of what was not confirmed is then
        // another message, which changes nothing.
        self.mark.last_timestamp = now.secs().max(self.mark.last_timestamp + 1);
        let id = action_id(&["segment_state", self.person.id.as_str(), &self.mark.last_timestamp.to_string()]);
        let message = self.message(id, now, Source::Trefoil, SegmentVerb::Identify { traits });
        self.planned.push(Planned { message, gives: Vec::new() });
    }

    /// What a job asks for, in order.
    pub(super) fn plan(&mut self, index: usize, job: &Job) {
        let already_there = || Came::Settled(Outcome::skipped("already_there"));
        let came = match &job.work {
            Work::SegmentFacet { .. } if self.state.facet_hash.is_some() => vec![Came::Planned(0)],
            Work::Consent { .. } if !self.state.telling.is_empty() => vec![Came::Planned(0)],
            Work::SegmentFacet { .. } | Work::Consent { .. } => vec![already_there()],
            Work::Segment(actions) => actions.iter().flat_map(|action| self.plan_action(action)).collect(),
            Work::CustomerioFacet { .. }
            | Work::Customerio(_)
            | Work::CustomerioLookUp(_)
            | Work::Intercom(_)
            | Work::IntercomLookUp(_) => vec![Came::Settled(Outcome::skipped("not_for_segment"))],
        };
        self.comes_from.insert(index, came);
    }

    fn plan_action(&mut self, action: &SegmentAction) -> Vec<Came> {
        let at = action.occurred_at;
        match &action.what {
            SegmentVerb::Track { .. } => vec![self.send(action, action.what.clone(), Vec::new())],
            SegmentVerb::Alias { previous_id } => match &self.name.user_id {
                None => vec![Came::Settled(Outcome::skipped("no_user_id"))],
                Some(user_id) if user_id == previous_id => vec![Came::Settled(Outcome::skipped("same_id"))],
                Some(_) => vec![self.send(action, action.what.clone(), Vec::new())],
            },
            SegmentVerb::Identify { traits } => {
                let (mut news, mut gives, mut came) = (Attributes::new(), Vec::new(), Vec::new());
                for (name, value) in traits {
                    if self.ours.contains(name) {
                        continue;
                    }
                    let key = format!("trait:{name}");
                    match self.is_news(&key, hash(value), at) {
                        Ok(given) => {
                            gives.push((key, given));
                            news.insert(name.clone(), value.clone());
                        }
                        Err(by) => came.push(by),
                    }
                }
                if !news.is_empty() {
                    came.push(self.send(action, SegmentVerb::Identify { traits: news }, gives));
                }
                if came.is_empty() {
                    came.push(Came::Settled(Outcome::skipped("nothing_to_tell")));
                }
                came
            }
            SegmentVerb::Group { group_id, traits } => {
                let key = format!("group:{group_id}");
                let all = Value::Object(traits.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
                vec![match self.is_news(&key, hash(&all), at) {
                    Ok(given) => self.send(action, action.what.clone(), vec![(key, given)]),
                    Err(by) => by,
                }]
            }
        }
    }

    /// What the person is to be given, unless it is an older fact or no other value than last. Then: by what they have it.
    fn is_news(&mut self, key: &str, hash: String, at: Timestamp) -> Result<Given, Came> {
        let came = |by: &Option<usize>| by.map_or_else(|| Came::Settled(Outcome::skipped("already_there")), Came::Planned);
        match self.given.get_mut(key) {
            Some((given, by)) if given.at > at => Err(came(by)),
            Some((given, by)) if given.hash == hash => {
                // The same, said again later: what was said in between comes too late.
                given.at = at;
                if let Some(gives) = by.and_then(|by| self.planned.get_mut(by)).map(|planned| &mut planned.gives) {
                    gives.iter_mut().filter(|(other, _)| other == key).for_each(|(_, given)| given.at = at);
                } else if let Some(given) = self.mark.given.get_mut(key) {
                    self.said_again |= given.at < at;
                    given.at = at;
                }
                Err(came(by))
            }
            Some(_) | None => Ok(Given { hash, at, refused: false }),
        }
    }

    fn send(&mut self, action: &SegmentAction, what: SegmentVerb, gives: Vec<(String, Given)>) -> Came {
        let place = self.planned.len();
        for (key, given) in &gives {
            self.given.insert(key.clone(), (given.clone(), Some(place)));
        }
        let message = self.message(action.id.clone(), action.occurred_at, action.origin, what);
        self.planned.push(Planned { message, gives });
        Came::Planned(place)
    }

    fn message(&self, id: ActionId, at: Timestamp, origin: Source, what: SegmentVerb) -> SegmentMessage {
        let Name { user_id, anonymous_id, email, .. } = &self.name;
        let (user_id, anonymous_id, email) = (user_id.clone(), anonymous_id.clone(), email.clone());
        SegmentMessage { user_id, anonymous_id, email, at, id, origin, what }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = SegmentMessage> {
        self.planned.iter().map(|planned| planned.message.clone())
    }

    // ---------------------------------------------------------------------------------------- what is remembered

    /// Something is to be written that a later value takes the place of.
    pub(super) fn gives_values(&self) -> bool {
        self.state.facet_hash.is_some() || !self.state.telling.is_empty() || self.planned.iter().any(|planned| !planned.gives.is_empty())
    }

    /// Somebody else is giving the person values now.
    pub(super) fn is_busy(&self, now: Timestamp) -> bool {
        self.mark.busy_until.is_some_and(|until| until > now)
    }

    /// Writes into the mark what must be known before anything is sent. `false`: nothing.
    pub(super) fn claim(&mut self, now: Timestamp) -> bool {
        if !self.gives_values() {
            return self.mark.profile != self.known_as;
        }
        self.claimed = true;
        self.mark.busy_until = Some(now.plus(BUSY_FOR));
        self.mark.dirty = true;
        self.mark.told.extend(self.state.telling.iter().map(|(key, told)| (key.clone(), told.doubted())));
        self.mark.given.insert(NAMED.to_owned(), Given { hash: self.name.hash.clone(), at: now, refused: false });
        for (key, given) in self.planned.iter().flat_map(|planned| &planned.gives) {
            let was = self.mark.given.insert(key.clone(), Given { hash: String::new(), ..given.clone() });
            self.before.entry(key.clone()).or_insert(was);
        }
        true
    }

    /// The mark has been written.
    pub(super) fn stored(&mut self) {
        self.mark.version += 1;
    }

    /// Takes in what became of the messages.
    pub(super) fn close(&mut self, answers: &[Outcome]) {
        if !self.claimed {
            return;
        }
        self.mark.busy_until = None;
        let is_taken = answers.first() == Some(&Outcome::Done);
        let has_state = self.state.facet_hash.is_none() || is_taken;
        if is_taken {
            self.mark.told.append(&mut self.state.telling);
        }
        let mut has = std::mem::take(&mut self.before);
        for (Planned { gives, .. }, answer) in self.planned.iter().zip(answers) {
            for (key, given) in gives {
                let has = has.entry(key.clone()).or_default();
                match answer {
                    Outcome::Done => *has = Some(given.clone()),
                    // It may be there, and comes again: under the same id, so that nothing older may come in between.
                    Outcome::RetryAfter { .. } => *has = Some(Given { hash: String::new(), ..given.clone() }),
                    Outcome::Rejected { .. } | Outcome::Blocked { .. } | Outcome::Skipped { .. } => {
                        has.iter_mut().for_each(|has| has.hash.clear());
                    }
                }
            }
        }
        for (key, has) in has {
            match has {
                Some(has) => self.mark.given.insert(key, has),
                None => self.mark.given.remove(&key),
            };
        }
        self.mark.dirty = !has_state;
        if let Some(hash) = self.state.facet_hash.take_if(|_| has_state) {
            self.mark.facet_hash = Some(hash);
            self.mark.facet_version = self.person.facet.version;
        }
        while self.mark.given.len() > GIVEN_KEPT {
            let Some(oldest) = self.mark.given.iter().min_by_key(|(_, given)| given.at).map(|(key, _)| key.clone()) else { break };
            self.mark.given.remove(&oldest);
        }
    }

    /// Lets others write, with what was written unconfirmed.
    pub(super) fn leave_open(&mut self) {
        self.mark.busy_until = None;
        self.mark.dirty = true;
    }

    /// The mark is to be written after the messages.
    pub(super) fn is_to_be_stored(&self) -> bool {
        self.claimed || self.said_again
    }

    pub(super) fn for_store(&self) -> (PersonId, Mark) {
        (self.person.id.clone(), self.mark.clone())
    }

    pub(super) fn outcome_of(&self, job: usize, answers: &[Outcome]) -> Outcome {
        let came = self.comes_from.get(&job).into_iter().flatten();
        let outcomes: Vec<Outcome> = came
            .map(|came| match came {
                Came::Planned(place) => answers.get(*place).cloned().unwrap_or_else(|| Outcome::retry(Span::ZERO, "no_answer")),
                Came::Settled(outcome) => outcome.clone(),
            })
            .collect();
        worst(&outcomes)
    }
}

/// An id for somebody who has none but an address: the same every time, and nobody else's.
fn made_up(person: &PersonId) -> String {
    format!("trefoil-{}", Digest::new("segment_anonymous").with(person.as_str()).hex())
}

fn hash(value: &Value) -> String {
    let mut hex = Digest::new("given").with(&value.to_string()).hex();
    hex.truncate(16);
    hex
}
