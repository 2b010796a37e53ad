//! One human, whatever ids the tools use: what Trefoil knows and has to keep.
//!
//! Everything here is either absolute or a register that only moves forward, so that folding the same facts in any
//! order, any number of times, gives the same person.

use crate::consent::Consent;
use crate::echo::Wrote;
use crate::event::{IdKind, Identifier, Source, Workspace};
use crate::id::{Digest, EventId, PersonId};
use crate::identifier::is_address;
use crate::job::Work;
use crate::tickets::{Ticket, TicketId};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub workspace: Workspace,
    /// Grows by one with every write. 0 = not stored yet.
    pub version: u64,
    pub created_at: Timestamp,
    /// This person turned out to be that one. Nothing else here counts any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<PersonId>,
    /// Records of the same human that this one has taken over, oldest first. Marks written before the last of them do not
    /// count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<PersonId>,
    /// Ids by kind, each with the time at which it was last seen: where one value is wanted, the latest is taken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ids: BTreeMap<IdKind, BTreeMap<String, Timestamp>>,
    /// Of each record that a tool keeps of this person, the addresses and numbers that it was last heard to hold. What none of
    /// them holds any more is no id of the person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub records: BTreeMap<RecordKey, BTreeMap<IdKind, Held>>,
    /// Ids that a human has said are not this person's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disclaimed: BTreeSet<Identifier>,
    /// Where a source has renamed the person: the user id to go by, since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_by: Option<(Timestamp, String)>,
    /// How often an id was given up by which profiles are found. Marks written before the last time do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: usize,
    /// Intercom has had a user's record of this person. Once a user, nobody is a mere lead any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_user: bool,
    /// What a lead was to be told by as soon as a tool can name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
    /// Intercom contacts that were deleted or archived, or came back: they still name the person, and cannot be written to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone: BTreeMap<String, Gone>,
    /// Intercom contacts that were deleted, which is for good, and when. Tickets that live in these alone are over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deleted: BTreeMap<String, Timestamp>,
    /// Intercom contacts that were merged into another one, and into which: their tickets live on in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub merged_contacts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Consent::is_empty")]
    pub consent: Consent,
    /// Intercom was asked about this person then and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_up_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tickets: BTreeMap<TicketId, Ticket>,
    /// What conversations that Trefoil opens for this person begin with, by [`crate::tickets::opening`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub openings: BTreeMap<String, Opening>,
    /// Closed tickets last heard of before this have been forgotten: what claims to be older is asked about, not folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned_before: Option<Timestamp>,
    /// More open tickets than can be kept: counts as "has open tickets" until a human has looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overflow: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csat: Option<Csat>,
    /// Suppression windows by rule: marketing of that sort waits until then. Only ever moves later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<String, Timestamp>,
    /// Latest opening and latest resolution among the forgotten tickets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten_opened_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten_resolved_at: Option<Timestamp>,
    #[serde(default)]
    pub facet: FacetState,
    /// What was last written to the tools, as far as they could report it as news.
    #[serde(default, skip_serializing_if = "Wrote::is_empty")]
    pub wrote: Wrote,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One record of one tool: `intercom/intercom:<contact id>`, `segment/user:<user id>`, … . Two tools may well say different
/// things of one user id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordKey(String);

impl RecordKey {
    /// The record that an event of this source, with these ids, speaks of. `None`: the event names nobody.
    pub fn of(source: Source, ids: &[Identifier]) -> Option<Self> {
        let own: &[IdKind] = match source {
            Source::Intercom => &[IdKind::IntercomId],
            Source::Customerio => &[IdKind::CioId, IdKind::UserId],
            Source::Segment | Source::Pipelines => &[IdKind::UserId, IdKind::AnonymousId],
            Source::Trefoil => &[],
        };
        let named = own.iter().find_map(|kind| ids.iter().find(|id| id.kind == *kind));
        let id = named.or_else(|| ids.iter().min())?;
        Some(Self::named(source, id.kind, &id.value))
    }

    /// The record that a tool keeps under this id.
    pub fn named(source: Source, kind: IdKind, value: &str) -> Self {
        Self(format!("{}/{}:{value}", source.name(), kind.name()))
    }

    pub fn is_of(&self, source: Source) -> bool {
        self.0.strip_prefix(source.name()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The record of the same tool that goes by this user id.
    fn under(&self, user_id: &str) -> Self {
        let source = self.0.split_once('/').map_or("", |(source, _)| source);
        Self(format!("{source}/{}:{user_id}", IdKind::UserId.name()))
    }

    /// The tool's own name for the record is this address.
    fn is_named_by(&self, address: &str) -> bool {
        let user = format!("/{}:", IdKind::UserId.name());
        self.0.split_once(&user).is_some_and(|(_, name)| name.to_lowercase() == address)
    }
}

/// What a record held of one kind of id, at that time: the last one heard of wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
    /// Somebody said so, or the record held others before: they were not merely found there when it was first seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

/// A conversation or ticket that Trefoil is about to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub planned_at: Timestamp,
    /// The first that began so since: no other is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
}

/// Work for one tool, kept until that tool can name the person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// The event that asked for it.
    pub event: EventId,
    pub since: Timestamp,
    /// The event after which it was left: seeing that event again leaves it again, in case it was lost in a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_by: Option<EventId>,
    pub work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gone {
    pub at: Timestamp,
    pub gone: bool,
}

/// Seen again within this time, an id is not seen anew: the busiest sources repeat themselves with every event, and each
/// new time would be a write.
const SEEN_ANEW_AFTER: Span = Span::from_hours(1);

/// The kinds that people change, so that a record holds only what it was last heard to hold.
const CHANGEABLE: [IdKind; 2] = [IdKind::Email, IdKind::Phone];

/// Browsers and devices kept of one person; the ones seen first are dropped. Their claims stay, so that they still lead
/// here.
const DEVICES_KEPT: usize = 20;

/// Records kept of one person, and with each its address: far beyond any human.
const RECORDS_KEPT: usize = 100;

/// How long a lead may take to leave an address, after which what it was owed is no news any more.
pub const OWED_FOR: Span = Span::from_days(30);
/// Of one person. A lead is created once; more come together only by merges.
const OWED_KEPT: usize = 10;

/// The latest satisfaction score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Csat {
    /// 1 to 5.
    pub score: u8,
    pub at: Timestamp,
}

/// Where the support facet stands, so that it is sent when its values change and only then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetState {
    /// Moves only when the rendered values change. 0 = there has never been anything to say.
    #[serde(default)]
    pub version: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// The event that moved it last: seeing that event again leaves the job again, in case it was lost in a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<EventId>,
}

/// Someone without any id but Intercom's own is asked about again with the next event after this long: leads give their
/// address late, and a wrong token is mended.
const ASK_AGAIN_AFTER: Span = Span::from_hours(1);

impl Person {
    /// A person first heard of under `first`. The id follows from it, so that two workers who meet a stranger at the same
    /// time make the same person, and one of them is told so.
    pub fn new(workspace: &Workspace, first: &Identifier, now: Timestamp) -> Self {
        Self {
            id: Self::id_for(workspace, first),
            workspace: workspace.clone(),
            version: 0,
            created_at: now,
            merged_into: None,
            absorbed: Vec::new(),
            ids: BTreeMap::new(),
            records: BTreeMap::new(),
            disclaimed: BTreeSet::new(),
            goes_by: None,
            given_up: 0,
            is_user: false,
            owed: Vec::new(),
            gone: BTreeMap::new(),
            deleted: BTreeMap::new(),
            merged_contacts: BTreeMap::new(),
            consent: Consent::default(),
            looked_up_at: None,
            tickets: BTreeMap::new(),
            openings: BTreeMap::new(),
            pruned_before: None,
            overflow: false,
            csat: None,
            windows: BTreeMap::new(),
            forgotten_opened_at: None,
            forgotten_resolved_at: None,
            facet: FacetState::default(),
            wrote: Wrote::default(),
        }
    }

    pub fn id_for(workspace: &Workspace, first: &Identifier) -> PersonId {
        PersonId::from(Digest::new("person").with(workspace.as_str()).with(first.kind.name()).with(&first.value))
    }

    /// As [`Person::id_for`], where others have claimed `first` before and nobody does any more: who was first heard of by it
    /// may go on without it. `claim` is the version of the empty claim, so that again two workers make the same person.
    pub fn id_after(workspace: &Workspace, first: &Identifier, claim: u64) -> PersonId {
        let digest = Digest::new("person").with(workspace.as_str()).with(first.kind.name()).with(&first.value);
        PersonId::from(digest.with(&claim.to_string()))
    }

    /// Intercom is to be asked about this person: nobody has, or the answer was of no use and is an hour old.
    pub fn may_be_looked_up(&self, now: Timestamp) -> bool {
        let unknown = self.ids.keys().all(|kind| *kind == IdKind::IntercomId);
        self.looked_up_at.is_none_or(|at| unknown && now.since(at) > ASK_AGAIN_AFTER)
    }

    /// The id of this kind that was seen last; of two seen at once, the greater text, so that every reader agrees.
    pub fn id_of(&self, kind: IdKind) -> Option<&str> {
        if let (IdKind::UserId, Some((_, user_id))) = (kind, &self.goes_by)
            && self.ids.get(&kind).is_some_and(|ids| ids.contains_key(user_id))
        {
            return Some(user_id);
        }
        let values = self.ids.get(&kind)?;
        if values.len() < 2 {
            return values.keys().next().map(String::as_str);
        }
        let comes_first = |value: &str| match kind {
            // An address is gone by as a user id only where there is none.
            IdKind::UserId => !is_address(value),
            IdKind::Email => self.is_said_address(value),
            IdKind::IntercomId | IdKind::CioId | IdKind::Phone | IdKind::AnonymousId => true,
        };
        let (value, _) = values.iter().max_by_key(|(value, at)| (comes_first(value), **at, *value))?;
        Some(value)
    }

    /// They have an account: leads have none.
    pub fn is_customer(&self) -> bool {
        self.is_user || self.ids.contains_key(&IdKind::UserId)
    }

    /// Keeps work until its tool can name the person; of too many, what came last.
    pub fn owe(&mut self, owed: Owed) {
        let same = |other: &Owed| other.event == owed.event && other.work.destination() == owed.work.destination();
        if !self.owed.iter().any(same) {
            self.owed.push(owed);
            let too_many = self.owed.len().saturating_sub(OWED_KEPT);
            self.owed.drain(..too_many);
        }
    }

    /// The user ids that are no addresses: those of one human, each nobody else's.
    pub fn user_ids(&self) -> impl Iterator<Item = &str> {
        self.ids.get(&IdKind::UserId).into_iter().flat_map(BTreeMap::keys).map(String::as_str).filter(|id| !is_address(id))
    }

    /// Somebody has said that this is the person's address, rather than that it was found in a record.
    pub fn is_told_address(&self, value: &str) -> bool {
        let told = |held: &Held| held.told && held.values.contains(value);
        self.records.iter().any(|(record, kinds)| !record.is_named_by(value) && kinds.get(&IdKind::Email).is_some_and(told))
    }

    /// Some tool has it as the person's address, rather than as a name for a record of theirs, which stays when the address changes.
    fn is_said_address(&self, value: &str) -> bool {
        let (mut is_held, mut is_said) = (false, false);
        for (record, kinds) in &self.records {
            if kinds.get(&IdKind::Email).is_some_and(|held| held.values.contains(value)) {
                is_held = true;
                is_said |= !record.is_named_by(value);
            }
        }
        is_said || !is_held
    }

    pub fn has_id(&self, id: &Identifier) -> bool {
        self.ids.get(&id.kind).is_some_and(|values| values.contains_key(&id.value))
    }

    /// Takes note of the ids that an event about `record` named. `whole`: they are all that the record holds. `profile`: the event is about
    /// the record as such, rather than about something that happened to it, so that what it names replaces what was held.
    pub fn learn(&mut self, record: &RecordKey, ids: &[Identifier], at: Timestamp, profile: bool, whole: bool) {
        for id in ids.iter().filter(|id| !CHANGEABLE.contains(&id.kind) && !self.disclaimed.contains(id)) {
            let seen = self.ids.entry(id.kind).or_default().entry(id.value.clone()).or_insert(at);
            *seen = match id.kind {
                // Of several the one that was seen last is written to.
                IdKind::CioId if at.since(*seen) >= SEEN_ANEW_AFTER => at,
                IdKind::CioId => *seen,
                // These are never chosen among by time; the first sighting is a write less for every later one.
                IdKind::IntercomId | IdKind::UserId | IdKind::AnonymousId | IdKind::Email | IdKind::Phone => at.min(*seen),
            };
        }
        // An address that the tool has as a user id is one that it goes on knowing the person by when the address changes.
        let mut names: BTreeSet<String> = BTreeSet::new();
        for id in ids.iter().filter(|id| id.is_address_as_id()) {
            let (named, address) = (record.under(&id.value), id.value.to_lowercase());
            if named != *record && ids.iter().any(|id| id.kind == IdKind::Email && id.value == address) {
                if self.records.contains_key(&named) || self.records.len() < RECORDS_KEPT {
                    let held = Held { at, values: BTreeSet::from([address.clone()]), told: false };
                    self.records.entry(named).or_default().entry(IdKind::Email).or_insert(held);
                }
                names.insert(address);
            }
        }
        for kind in CHANGEABLE {
            let of_this_kind = ids.iter().filter(|id| id.kind == kind && !(kind == IdKind::Email && names.contains(&id.value)));
            let mut values: BTreeSet<String> = of_this_kind.map(|id| id.value.clone()).collect();
            if values.is_empty() && !whole {
                continue;
            }
            let known = self.records.get(record).and_then(|held| held.get(&kind));
            // The name of the record alone says nothing of which address it holds.
            if let Some(held) = known.filter(|_| !whole && values.iter().all(|value| record.is_named_by(value))) {
                values.extend(held.values.iter().cloned());
            }
            let news = match known {
                None => !values.is_empty() && self.records.len() < RECORDS_KEPT,
                // In passing an address is mentioned that may be an old one.
                Some(_) if !profile => false,
                Some(held) if held.values == values => at.since(held.at) >= SEEN_ANEW_AFTER,
                // Of two told at once the one that came last.
                Some(held) => at >= held.at,
            };
            if news {
                // A call that names an address beside little else says that this is the one; whole records are told for any reason.
                let told = (profile && !whole) || known.is_some_and(|held| held.told || held.values != values);
                self.records.entry(record.clone()).or_default().insert(kind, Held { at, values, told });
            }
        }
        self.take_stock();
    }

    /// Its own record holds something newer than what an event of that time says.
    pub fn is_outdated(&self, record: &RecordKey, id: &Identifier, at: Timestamp) -> bool {
        let held = self.records.get(record).and_then(|kinds| kinds.get(&id.kind));
        held.is_some_and(|held| held.at > at && !held.values.contains(&id.value))
    }

    /// A claim that must stay where it was: the id is held, or it is a device that was merely dropped.
    pub fn still_claims(&self, id: &Identifier) -> bool {
        self.has_id(id) || (id.kind == IdKind::AnonymousId && !self.disclaimed.contains(id))
    }

    /// A human has said that this id is another's.
    pub fn disclaim(&mut self, id: &Identifier) {
        self.disclaimed.insert(id.clone());
        if let Some(values) = self.ids.get_mut(&id.kind) {
            values.remove(&id.value);
        }
        self.take_stock();
    }

    /// A source has renamed the person: the last time it did holds.
    pub fn go_by(&mut self, user_id: &str, at: Timestamp) {
        self.goes_by = self.goes_by.take().max(Some((at, user_id.to_owned())));
    }

    /// Changes whenever a profile that was found for the person may be another's, or another may be theirs.
    pub fn generation(&self) -> usize {
        self.absorbed.len() + self.given_up
    }

    /// Addresses and numbers are what the records hold, each with the time at which it was last heard of.
    fn take_stock(&mut self) {
        for kind in CHANGEABLE {
            let mut values: BTreeMap<String, Timestamp> = BTreeMap::new();
            for held in self.records.values().filter_map(|kinds| kinds.get(&kind)) {
                for value in &held.values {
                    if self.disclaimed.contains(&Identifier { kind, value: value.clone() }) {
                        continue;
                    }
                    let at = values.entry(value.clone()).or_insert(held.at);
                    *at = held.at.max(*at);
                }
            }
            self.ids.insert(kind, values);
        }
        // How an address is spelt somewhere is known as long as the address is theirs.
        if let Some(mut user_ids) = self.ids.remove(&IdKind::UserId) {
            let emails = self.ids.get(&IdKind::Email);
            user_ids.retain(|id, _| !is_address(id) || emails.is_some_and(|emails| emails.contains_key(&id.to_lowercase())));
            self.ids.insert(IdKind::UserId, user_ids);
        }
        if let Some(devices) = self.ids.get_mut(&IdKind::AnonymousId) {
            while devices.len() > DEVICES_KEPT {
                let Some(oldest) = devices.iter().min_by_key(|(value, at)| (**at, (*value).clone())).map(|(value, _)| value.clone()) else {
                    break;
                };
                devices.remove(&oldest);
            }
        }
        self.ids.retain(|_, values| !values.is_empty());
    }

    /// Takes over everything of another record of the same human: open tickets united, windows at their latest.
    pub fn absorb(&mut self, other: Self) {
        // What one of the two rightly has, the other has not to give away any more.
        let ours = self.disclaimed.iter().filter(|id| !other.has_id(id)).cloned();
        let theirs = other.disclaimed.iter().filter(|id| !self.has_id(id)).cloned();
        self.disclaimed = ours.chain(theirs).collect();
        self.goes_by = self.goes_by.take().max(other.goes_by);
        self.given_up += other.given_up;
        self.is_user |= other.is_user;
        other.owed.into_iter().for_each(|owed| self.owe(owed));
        self.absorbed.extend(other.absorbed);
        self.absorbed.push(other.id);
        self.version = self.version.max(other.version);
        self.created_at = self.created_at.min(other.created_at);
        for (kind, values) in other.ids {
            let mine = self.ids.entry(kind).or_default();
            for (value, at) in values {
                let seen = mine.entry(value).or_insert(at);
                *seen = at.max(*seen);
            }
        }
        for (record, kinds) in other.records {
            let mine = self.records.entry(record).or_default();
            for (kind, held) in kinds {
                let known = mine.entry(kind).or_default();
                if held > *known {
                    *known = held;
                }
            }
        }
        self.take_stock();
        for (contact, gone) in other.gone {
            self.note_gone(contact, gone);
        }
        for (contact, at) in other.deleted {
            self.note_deleted(contact, at);
        }
        for (contact, survivor) in other.merged_contacts {
            self.note_merged(contact, survivor);
        }
        self.consent.absorb(other.consent);
        self.looked_up_at = self.looked_up_at.max(other.looked_up_at);
        for (id, ticket) in other.tickets {
            self.tickets.entry(id).or_default().merge(ticket);
        }
        self.openings.extend(other.openings);
        self.pruned_before = self.pruned_before.max(other.pruned_before);
        self.overflow |= other.overflow;
        if let Some(csat) = other.csat {
            self.rate(csat);
        }
        for (name, until) in other.windows {
            self.extend_window(&name, until);
        }
        self.forgotten_opened_at = self.forgotten_opened_at.max(other.forgotten_opened_at);
        self.forgotten_resolved_at = self.forgotten_resolved_at.max(other.forgotten_resolved_at);
        self.facet.version = self.facet.version.max(other.facet.version);
        self.wrote.absorb(other.wrote);
    }

    /// What is left of a record whose human goes on under `survivor`: the way there.
    #[must_use]
    pub fn husk(&self, survivor: &PersonId, now: Timestamp) -> Self {
        let nobody = Identifier { kind: IdKind::IntercomId, value: String::new() };
        Self {
            id: self.id.clone(),
            version: self.version + 1,
            merged_into: Some(survivor.clone()),
            ..Self::new(&self.workspace, &nobody, now)
        }
    }

    /// An Intercom contact was deleted or archived, or came back: the last one heard of wins, of two at once the deletion.
    pub fn note_gone(&mut self, contact: String, news: Gone) {
        let known = self.gone.entry(contact).or_insert(news);
        *known = news.max(*known);
    }

    pub fn note_deleted(&mut self, contact: String, at: Timestamp) {
        let known = self.deleted.entry(contact).or_insert(at);
        *known = at.min(*known);
    }

    /// A contact is merged once; the greater text keeps readers agreed if two survivors should be named.
    pub fn note_merged(&mut self, contact: String, survivor: String) {
        let known = self.merged_contacts.entry(contact).or_default();
        if *known < survivor {
            *known = survivor;
        }
    }

    /// Since when all of these contacts, or those that they were merged into, are deleted; `None` as long as one of them is not.
    pub fn left_at(&self, contacts: &BTreeSet<String>) -> Option<Timestamp> {
        let mut left_at = None;
        for contact in contacts {
            left_at = left_at.max(Some(*self.deleted.get(self.lives_on_as(contact))?));
        }
        left_at
    }

    /// The contact that this one has become by merging.
    pub fn lives_on_as<'a>(&'a self, contact: &'a str) -> &'a str {
        let mut contact = contact;
        // Nobody can merge in a circle; a payload that says so must not stop us.
        for _ in 0..self.merged_contacts.len() {
            match self.merged_contacts.get(contact) {
                Some(survivor) => contact = survivor,
                None => break,
            }
        }
        contact
    }

    /// The later score wins; of two given at once the lower one, so that every order ends the same.
    pub fn rate(&mut self, csat: Csat) {
        let newer = self.csat.as_ref().is_none_or(|old| (csat.at, std::cmp::Reverse(csat.score)) > (old.at, std::cmp::Reverse(old.score)));
        if newer {
            self.csat = Some(csat);
        }
    }

    /// A window only ever ends later than before.
    pub fn extend_window(&mut self, name: &str, until: Timestamp) {
        match self.windows.get_mut(name) {
            Some(end) => *end = until.max(*end),
            None => {
                self.windows.insert(name.to_owned(), until);
            }
        }
    }
}
