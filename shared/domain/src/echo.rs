//! Our own words, coming back: a tool that was given a value reports it as if it were news.
//!
//! Intercom and Customer.io do not say who changed a value. So what was last written to a tool is kept with the person, as
//! hashes, and what a tool says that is the same is taken out of its event before the routes see it. Two writes in quick
//! succession come back as two words, so the last few are kept. What a tool says that is different is news; once it has
//! said something of its own, an older word of ours counts as its own too. Segment's messages carry our mark instead.
//!
//! This keeps two routes from passing a value to and fro for ever. That a value which is already there is not written once
//! more is the senders' affair.

use crate::action::{CustomerioVerb, IntercomVerb, UpsertContact};
use crate::event::{Attributes, Event, Kind, Profile, Source, Value};
use crate::id::Digest;
use crate::ports::Destination;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Names kept of one person: of a tool's hundreds of attributes, routes write some tens.
const KEPT: usize = 200;
/// Values kept of a name: writes that may be under way at once.
const VALUES_KEPT: usize = 4;
/// A tool may tell of our write this much later than of its own change, though that came after.
const OVERLAPS: Span = Span::from_mins(1);
/// Values that a tool cut to fit begin alike.
const COMPARED_BYTES: usize = 900;

/// What was last written to the tools, by tool and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wrote(BTreeMap<String, Name>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    /// Hashes of values, and when each was to be written; latest last.
    ours: Vec<(String, Timestamp)>,
    /// When the tool last said something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own_at: Option<Timestamp>,
}

impl Name {
    fn forget_old(&mut self) {
        let old = self.ours.len().saturating_sub(VALUES_KEPT);
        self.ours.drain(..old);
    }

    fn is_echo(&self, value: &str, at: Timestamp) -> bool {
        let Some((_, written)) = self.ours.iter().rev().find(|(ours, _)| ours == value) else { return false };
        // What it says again long after a word of its own is its own.
        self.own_at.is_none_or(|own_at| *written > own_at || at <= own_at.plus(OVERLAPS))
    }
}

impl Wrote {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Two records of one human: what was written to either may come back.
    pub fn absorb(&mut self, other: Self) {
        for (name, theirs) in other.0 {
            let known = self.0.entry(name).or_default();
            known.ours.extend(theirs.ours);
            known.ours.sort_by_key(|(_, at)| *at);
            known.forget_old();
            known.own_at = known.own_at.max(theirs.own_at);
        }
    }

    pub fn note_customerio(&mut self, verb: &CustomerioVerb, now: Timestamp) {
        match verb {
            CustomerioVerb::UpdatePerson(update) => self.note_all(Destination::Customerio, &update.attributes, now),
            CustomerioVerb::CreatePerson { attributes } => self.note_all(Destination::Customerio, attributes, now),
            CustomerioVerb::TrackEvent(_)
            | CustomerioVerb::TrackPage(_)
            | CustomerioVerb::TrackScreen(_)
            | CustomerioVerb::SetSubscription { .. }
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
    }

    pub fn note_intercom(&mut self, verb: &IntercomVerb, now: Timestamp) {
        match verb {
            IntercomVerb::UpsertContact(UpsertContact { name, phone, attributes, .. }) => {
                self.note_all(Destination::Intercom, attributes, now);
                for (field, value) in [("name", name), ("phone", phone)] {
                    if let Some(value) = value {
                        self.note(Destination::Intercom, field, &Value::String(value.clone()), now);
                    }
                }
            }
            IntercomVerb::AddTag { .. }
            | IntercomVerb::RemoveTag { .. }
            | IntercomVerb::TrackEvent(_)
            | IntercomVerb::SetSubscription { .. }
            | IntercomVerb::OpenConversation(_)
            | IntercomVerb::SendMessage(_)
            | IntercomVerb::AddNote { .. }
            | IntercomVerb::CreateTicket(_)
            | IntercomVerb::UpsertCompany(_)
            | IntercomVerb::ArchiveContact
            | IntercomVerb::DeleteContact
            | IntercomVerb::MergeContacts => {}
        }
    }

    fn note_all(&mut self, destination: Destination, attributes: &Attributes, now: Timestamp) {
        attributes.iter().for_each(|(name, value)| self.note(destination, name, value, now));
    }

    fn note(&mut self, destination: Destination, name: &str, value: &Value, now: Timestamp) {
        let key = key(destination.source(), name);
        if self.0.len() >= KEPT && !self.0.contains_key(&key) {
            return;
        }
        let name = self.0.entry(key).or_default();
        let value = hash(value);
        // Planned again is not written again.
        if name.ours.last().is_none_or(|(last, _)| *last != value) {
            name.ours.push((value, now));
            name.forget_old();
        }
    }

    /// The event without what we have said ourselves.
    pub fn strip<'e>(&mut self, event: &'e Event) -> Cow<'e, Event> {
        let Some(profile) = said(&event.kind).filter(|_| !self.0.is_empty()) else { return Cow::Borrowed(event) };
        let mut echoes = Vec::new();
        for (name, value) in &profile.attributes {
            let Some(ours) = self.0.get_mut(&key(event.source, name)) else { continue };
            if ours.is_echo(&hash(value), event.occurred_at) {
                echoes.push(name.clone());
            } else {
                ours.own_at = ours.own_at.max(Some(event.occurred_at));
            }
        }
        if echoes.is_empty() {
            return Cow::Borrowed(event);
        }
        let mut event = event.clone();
        if let Kind::PersonCreated(profile) | Kind::PersonUpdated(profile) | Kind::PersonSignedUp(profile) = &mut event.kind {
            profile.attributes.retain(|name, _| !echoes.contains(name));
        }
        Cow::Owned(event)
    }
}

fn said(kind: &Kind) -> Option<&Profile> {
    if let Kind::PersonCreated(profile) | Kind::PersonUpdated(profile) | Kind::PersonSignedUp(profile) = kind {
        Some(profile)
    } else {
        None
    }
}

fn key(source: Source, name: &str) -> String {
    short(&Digest::new("wrote").with(source.name()).with(name).hex())
}

/// Of what a value is once a tool has had it: Customer.io's templates make text of everything, dates are seconds there, and long
/// texts are cut.
fn hash(value: &Value) -> String {
    let number = |number: f64| format!("{number}");
    let text = match value {
        Value::String(text) => {
            let text = text.trim();
            let date = || Timestamp::parse_rfc3339(text).map(|at| number(at.secs() as f64));
            let plain = || text.get(..text.floor_char_boundary(COMPARED_BYTES)).unwrap_or(text).to_owned();
            // Longer ones are names of something rather than amounts, and two of them may be one number.
            let is_name = text.len() > 15 || text.starts_with('+') || (text.starts_with('0') && text.len() > 1 && !text.starts_with("0."));
            let amount = || text.parse::<f64>().ok().filter(|value| value.is_finite() && !is_name);
            amount().map(number).or_else(date).unwrap_or_else(plain)
        }
        Value::Number(value) => value.as_f64().map_or_else(|| value.to_string(), number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    short(&Digest::new("value").with(&text).hex())
}

/// Of a few hundred values, 64 bits tell any two apart.
fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}
