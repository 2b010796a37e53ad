//! Customer.io as it is reported to behave: a 200 for whatever it silently leaves as it was, answers of its App API that lag
//! behind, and whatever is not confirmed in both ways.

use crate::sim::{World, point};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use trefoil_domain::action::{CustomerioEvent, CustomerioVerb};
use trefoil_domain::event::{Attributes, IdKind, Parent, Value};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::*;
use trefoil_domain::time::{Span, Timestamp};

/// Customer.io refuses a write that has an attribute of this name.
pub(crate) const REFUSED: &str = "refused";

pub(crate) struct Vendor<'w> {
    world: &'w World,
    inside: Mutex<Inside>,
    /// What is written shows after this long.
    pub(crate) lag: Span,
    /// A write is dropped if its `timestamp` is older than the profile's last, rather than than each attribute's.
    pub(crate) whole_profile: bool,
    /// A batch is not taken in the order given.
    pub(crate) shuffles: bool,
    /// There is a key for the App API.
    pub(crate) has_key: bool,
    /// Percent of calls that fail; half of those after having been applied.
    pub(crate) failing: AtomicU64,
}

#[derive(Default)]
struct Inside {
    profiles: BTreeMap<String, Profile>,
    /// Ids that nobody is taken under.
    suppressed: BTreeSet<(IdKind, String)>,
    calls: Vec<Vec<CustomerioWrite>>,
    looks: u64,
    /// Acts for a profile that is not there.
    strays: u64,
    acts_of_nobody: Vec<String>,
    /// What the next calls come to, instead of chance.
    next: Vec<Does>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Does {
    Fails,
    TakesAndDrops,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) values: BTreeMap<String, (Value, i64)>,
    pub(crate) events: BTreeMap<String, String>,
    pub(crate) acts: Vec<String>,
    edited_at: i64,
    since: Timestamp,
    emails: Vec<(Timestamp, Option<String>)>,
    pub(crate) gone_at: Option<Timestamp>,
}

impl Profile {
    pub(crate) fn get(&self, name: &str) -> Value {
        self.values.get(name).map(|(value, _)| value.clone()).unwrap_or_default()
    }

    fn email_at(&self, at: Timestamp) -> Option<String> {
        self.emails.iter().rev().find(|(since, _)| *since <= at).and_then(|(_, email)| email.clone())
    }
}

impl<'w> Vendor<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self {
            world,
            inside: Mutex::default(),
            lag: Span::ZERO,
            whole_profile: false,
            shuffles: false,
            has_key: true,
            failing: AtomicU64::new(0),
        }
    }

    pub(crate) fn add(&self, own: &str, user_id: Option<&str>, email: Option<&str>) {
        let email = email.map(str::to_owned);
        let since = Timestamp::default();
        let profile =
            Profile { user_id: user_id.map(str::to_owned), emails: vec![(since, email.clone())], email, since, ..Profile::default() };
        self.inside.lock().expect("lock").profiles.insert(own.to_owned(), profile);
    }

    /// A human at Customer.io deletes it.
    pub(crate) fn remove(&self, own: &str) {
        let now = self.world.now();
        self.inside.lock().expect("lock").profiles.get_mut(own).expect("a profile").gone_at = Some(now);
    }

    pub(crate) fn suppress(&self, kind: IdKind, value: &str) {
        self.inside.lock().expect("lock").suppressed.insert((kind, value.to_owned()));
    }

    pub(crate) fn next_calls(&self, does: &[Does]) {
        self.inside.lock().expect("lock").next = does.iter().rev().copied().collect();
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Profile> {
        let inside = self.inside.lock().expect("lock");
        inside.profiles.iter().filter(|(_, p)| p.gone_at.is_none()).map(|(own, p)| (own.clone(), p.clone())).collect()
    }

    pub(crate) fn profile(&self, own: &str) -> Profile {
        self.all().remove(own).expect("a profile")
    }

    pub(crate) fn calls(&self) -> Vec<Vec<CustomerioWrite>> {
        self.inside.lock().expect("lock").calls.clone()
    }

    pub(crate) fn looks(&self) -> u64 {
        self.inside.lock().expect("lock").looks
    }

    pub(crate) fn strays(&self) -> u64 {
        self.inside.lock().expect("lock").strays
    }

    pub(crate) fn acts_of_nobody(&self) -> Vec<String> {
        self.inside.lock().expect("lock").acts_of_nobody.clone()
    }

    fn does(&self) -> Option<Does> {
        if let Some(does) = self.inside.lock().expect("lock").next.pop() {
            return Some(does);
        }
        let fails = self.world.dice.percent(self.failing.load(Ordering::Relaxed) as usize);
        fails.then(|| if self.world.dice.percent(50) { Does::Fails } else { Does::TakesAndDrops })
    }

    fn look(&self, address: &Address, inside: &Inside) -> ProfileLookUp {
        if !self.has_key {
            let own = address.ids.iter().find(|(kind, _)| *kind == IdKind::CioId);
            return match (own, address.ids.first()) {
                (Some((_, own)), _) => ProfileLookUp::Found(SeenProfile { own: own.clone(), user_id: None, email: None }),
                (None, Some((kind, value))) => ProfileLookUp::Unverified(*kind, value.clone()),
                (None, None) => ProfileLookUp::Absent,
            };
        }
        let then = self.world.now().minus(self.lag);
        let shows = |p: &Profile| p.since <= then && p.gone_at.is_none_or(|gone| gone > then);
        for (kind, value) in &address.ids {
            let is = |own: &String, p: &Profile| match kind {
                IdKind::CioId => own == value,
                IdKind::UserId => p.user_id.as_ref() == Some(value),
                IdKind::Email => p.email_at(then).as_ref() == Some(value),
                IdKind::IntercomId | IdKind::Phone | IdKind::AnonymousId => false,
            };
            let found: Vec<_> = inside.profiles.iter().filter(|(own, p)| shows(p) && is(own, p)).collect();
            match found.as_slice() {
                [] => {}
                [(own, p)] => {
                    return ProfileLookUp::Found(SeenProfile { own: (*own).clone(), user_id: p.user_id.clone(), email: p.email_at(then) });
                }
                [_, _, ..] => return ProfileLookUp::Ambiguous,
            }
        }
        ProfileLookUp::Absent
    }
}

impl Inside {
    fn find(&self, name: &ProfileRef) -> Option<String> {
        let is = |own: &String, p: &Profile| match name {
            ProfileRef::Own(value) | ProfileRef::By(IdKind::CioId, value) => own == value,
            ProfileRef::By(IdKind::UserId, value) => p.user_id.as_ref() == Some(value),
            ProfileRef::By(IdKind::Email, value) => p.email.as_ref() == Some(value),
            ProfileRef::By(IdKind::IntercomId | IdKind::Phone | IdKind::AnonymousId, _) => panic!("no id of a profile"),
        };
        self.profiles.iter().find(|(own, p)| p.gone_at.is_none() && is(own, p)).map(|(own, _)| own.clone())
    }

    fn owner(&self, email: &str) -> Option<String> {
        self.find(&ProfileRef::By(IdKind::Email, email.to_owned()))
    }

    /// By id, with an address that an e-mail-only profile has: that one gets the id.
    fn make(&mut self, name: &ProfileRef, own: &Attributes, now: Timestamp) -> Option<String> {
        let ProfileRef::By(kind, value) = name else { return None };
        if self.suppressed.contains(&(*kind, value.clone())) {
            return None;
        }
        let email = own.get("email").and_then(Value::as_str).map(str::to_owned);
        if *kind == IdKind::UserId
            && let Some(owner) = email.as_deref().and_then(|email| self.owner(email))
        {
            let owner_profile = self.profiles.get_mut(&owner).expect("an owner");
            if owner_profile.user_id.is_none() {
                owner_profile.user_id = Some(value.clone());
                return Some(owner);
            }
        }
        let made = format!("m{:04}", self.profiles.len());
        let mut profile = Profile { since: now, ..Profile::default() };
        match kind {
            IdKind::UserId => profile.user_id = Some(value.clone()),
            IdKind::Email => profile.email = Some(value.clone()),
            IdKind::IntercomId | IdKind::CioId | IdKind::Phone | IdKind::AnonymousId => panic!("no profile is made by this"),
        }
        profile.emails.push((now, profile.email.clone()));
        self.profiles.insert(made.clone(), profile);
        Some(made)
    }

    /// Names that are there change only where the call names the profile by its `cio_id`, and one that is another's is silently left
    /// out; the rest is taken all the same. <https://docs.customer.io/journeys/identifying-people/>
    fn set(&mut self, id: &str, by_own: bool, timestamp: i64, values: &Attributes, whole_profile: bool, now: Timestamp) {
        let text = |name: &str| values.get(name).and_then(Value::as_str).map(str::to_owned);
        let is_free = |kind: IdKind, value: &String| self.find(&ProfileRef::By(kind, value.clone())).is_none_or(|owner| owner == id);
        let (user_id, email) =
            (text("id").filter(|id| is_free(IdKind::UserId, id)), text("email").filter(|email| is_free(IdKind::Email, email)));
        let profile = self.profiles.get_mut(id).expect("a profile");
        let user_id = user_id.filter(|_| by_own || profile.user_id.is_none());
        let email = email.filter(|_| by_own || profile.email.is_none());
        if whole_profile && timestamp < profile.edited_at {
            return;
        }
        profile.edited_at = profile.edited_at.max(timestamp);
        profile.user_id = user_id.or(profile.user_id.take());
        for (name, value) in values.iter().filter(|(name, _)| *name != "id") {
            let older = profile.values.get(name).is_some_and(|(_, at)| *at > timestamp);
            if older || (name == "email" && email.is_none()) {
                continue;
            }
            profile.values.insert(name.clone(), (value.clone(), timestamp));
            if name == "email" && profile.email != email {
                profile.email.clone_from(&email);
                profile.emails.push((now, email.clone()));
            }
        }
    }

    fn apply(&mut self, write: &CustomerioWrite, whole_profile: bool, now: Timestamp) -> Outcome {
        match write {
            CustomerioWrite::Attributes { profile, timestamp, create, attributes, own } => {
                if attributes.contains_key(REFUSED) {
                    return Outcome::rejected("refused", "attribute");
                }
                let found = self.find(profile).or_else(|| if *create { self.make(profile, own, now) } else { None });
                if let Some(id) = found {
                    let mut values = attributes.clone();
                    values.extend(own.clone());
                    let by_own = matches!(profile, ProfileRef::Own(_) | ProfileRef::By(IdKind::CioId, _));
                    self.set(&id, by_own, *timestamp, &values, whole_profile, now);
                }
            }
            CustomerioWrite::Merge { primary, secondary } => {
                let (Some(primary), Some(secondary)) = (self.find(primary), self.find(secondary)) else { return Outcome::Done };
                assert_ne!(primary, secondary, "merged with itself");
                let gone = self.profiles.get_mut(&secondary).expect("a profile");
                gone.gone_at = Some(now);
                let (values, events) = (gone.values.clone(), gone.events.clone());
                let stays = self.profiles.get_mut(&primary).expect("a profile");
                for (name, value) in values {
                    stays.values.entry(name).or_insert(value);
                }
                stays.events.extend(events);
            }
            CustomerioWrite::Act { profile, action } => self.act(profile.as_ref(), &action.what, action.id.as_str(), now),
        }
        Outcome::Done
    }

    fn act(&mut self, name: Option<&ProfileRef>, verb: &CustomerioVerb, id: &str, now: Timestamp) {
        let found = name.and_then(|name| self.find(name));
        let of_object = match verb {
            CustomerioVerb::UpsertObject(object) => Some(format!("object {}", object.name.id)),
            CustomerioVerb::DeleteObject(object) => Some(format!("no object {}", object.id)),
            _ => None,
        };
        match (verb, name) {
            (CustomerioVerb::SuppressPerson, Some(ProfileRef::By(kind, value))) => {
                self.suppressed.insert((*kind, value.clone()));
            }
            (CustomerioVerb::UnsuppressPerson, Some(ProfileRef::By(kind, value))) => {
                self.suppressed.remove(&(*kind, value.clone()));
                return;
            }
            // The profile that is there goes by its own id, too.
            (CustomerioVerb::SuppressPerson, Some(ProfileRef::Own(_))) => {}
            (CustomerioVerb::SuppressPerson | CustomerioVerb::UnsuppressPerson, _) => panic!("named by a person's own id"),
            _ => {}
        }
        if let (Some(told), None) = (&of_object, &found) {
            self.acts_of_nobody.push(told.clone());
            return;
        }
        let Some(profile) = found.and_then(|id| self.profiles.get_mut(&id)) else {
            self.strays += u64::from(!matches!(verb, CustomerioVerb::SuppressPerson | CustomerioVerb::DeletePerson));
            return;
        };
        match verb {
            CustomerioVerb::TrackEvent(CustomerioEvent { name, .. })
            | CustomerioVerb::TrackPage(CustomerioEvent { name, .. })
            | CustomerioVerb::TrackScreen(CustomerioEvent { name, .. }) => {
                profile.events.insert(id.to_owned(), name.clone());
            }
            CustomerioVerb::DeletePerson | CustomerioVerb::SuppressPerson => profile.gone_at = Some(now),
            CustomerioVerb::UpsertObject(_) | CustomerioVerb::DeleteObject(_) => profile.acts.push(of_object.expect("of an object")),
            CustomerioVerb::AddToSegment { segment } => profile.acts.push(format!("in {segment}")),
            CustomerioVerb::RemoveFromSegment { segment } => profile.acts.push(format!("out of {segment}")),
            CustomerioVerb::RemoveRelationship(object) => profile.acts.push(format!("without {}", object.id)),
            CustomerioVerb::AddDevice(device) => profile.acts.push(format!("device {}", device.token)),
            CustomerioVerb::DeleteDevice { token } => profile.acts.push(format!("no device {token}")),
            CustomerioVerb::UpdatePerson(_)
            | CustomerioVerb::CreatePerson { .. }
            | CustomerioVerb::SetSubscription { .. }
            | CustomerioVerb::MergePeople { .. }
            | CustomerioVerb::UnsuppressPerson => panic!("no act of its own: {verb:?}"),
        }
    }
}

impl Customerio for Vendor<'_> {
    async fn find_profiles(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        point().await;
        let mut answers: Vec<ProfileLookUp> = {
            let mut inside = self.inside.lock().expect("lock");
            inside.looks += 1;
            people.iter().map(|address| self.look(address, &inside)).collect()
        };
        if self.world.dice.percent(self.failing.load(Ordering::Relaxed) as usize) {
            answers = people.iter().map(|_| ProfileLookUp::Failed(Outcome::retry(Span::ZERO, "unavailable"))).collect();
        }
        point().await;
        answers
    }

    async fn write(&self, writes: &[CustomerioWrite]) -> Vec<Outcome> {
        point().await;
        let does = self.does();
        let now = self.world.now();
        let mut answers = vec![Outcome::retry(Span::ZERO, "unavailable"); writes.len()];
        {
            let mut inside = self.inside.lock().expect("lock");
            inside.calls.push(writes.to_vec());
            if does != Some(Does::Fails) {
                let mut order: Vec<usize> = (0..writes.len()).collect();
                if self.shuffles {
                    self.world.dice.shuffle(&mut order);
                }
                for at in order {
                    answers[at] = inside.apply(&writes[at], self.whole_profile, now);
                }
            }
        }
        // The answer may come after others have gone on.
        point().await;
        match does {
            None => answers,
            Some(Does::Fails | Does::TakesAndDrops) => vec![Outcome::retry(Span::ZERO, "answer_lost"); writes.len()],
        }
    }

    async fn campaign_name(&self, _: &Parent) -> Result<Option<String>, Outcome> {
        Ok(None)
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}
