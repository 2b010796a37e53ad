//! One human, whatever ids the tools use: what Trefoil knows and has to keep.
//!
//! Everything here is either absolute or a register that only moves forward, so that folding the same facts in any
//! order, any number of times, gives the same person.

use crate::event::{IdKind, Identifier, Workspace};
use crate::id::{Digest, EventId, PersonId};
use crate::tickets::{Ticket, TicketId};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Intercom was asked about this person then and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_up_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tickets: BTreeMap<TicketId, Ticket>,
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
}

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
            looked_up_at: None,
            tickets: BTreeMap::new(),
            pruned_before: None,
            overflow: false,
            csat: None,
            windows: BTreeMap::new(),
            forgotten_opened_at: None,
            forgotten_resolved_at: None,
            facet: FacetState::default(),
        }
    }

    pub fn id_for(workspace: &Workspace, first: &Identifier) -> PersonId {
        PersonId::from(Digest::new("person").with(workspace.as_str()).with(first.kind.name()).with(&first.value))
    }

    /// Intercom is to be asked about this person: nobody has, or the answer was of no use and is an hour old.
    pub fn may_be_looked_up(&self, now: Timestamp) -> bool {
        let unknown = self.ids.keys().all(|kind| *kind == IdKind::IntercomId);
        self.looked_up_at.is_none_or(|at| unknown && now.since(at) > ASK_AGAIN_AFTER)
    }

    /// The id of this kind that was seen last; of two seen at once, the greater text, so that every reader agrees.
    pub fn id_of(&self, kind: IdKind) -> Option<&str> {
        let (value, _) = self.ids.get(&kind)?.iter().max_by_key(|(value, at)| (**at, *value))?;
        Some(value)
    }

    pub fn has_id(&self, id: &Identifier) -> bool {
        self.ids.get(&id.kind).is_some_and(|values| values.contains_key(&id.value))
    }

    /// Takes note of an id.
    pub fn learn(&mut self, id: &Identifier, at: Timestamp) {
        let seen = self.ids.entry(id.kind).or_default().entry(id.value.clone()).or_insert(at);
        *seen = match id.kind {
            // Addresses change: the one that was seen last is the one to write to.
            IdKind::Email | IdKind::Phone | IdKind::CioId => at.max(*seen),
            // These are never chosen among by time; the first sighting is a write less for every later one.
            IdKind::IntercomId | IdKind::UserId | IdKind::AnonymousId => at.min(*seen),
        };
    }

    /// Takes over everything of another record of the same human: open tickets united, windows at their latest.
    pub fn absorb(&mut self, other: Self) {
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
        self.looked_up_at = self.looked_up_at.max(other.looked_up_at);
        for (id, ticket) in other.tickets {
            self.tickets.entry(id).or_default().merge(ticket);
        }
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
