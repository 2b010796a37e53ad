//! Our own words, coming back: a tool that was given a value reports it as if it were news.
//!
//! Intercom and Customer.io do not say who changed a value. So what was last written to a tool is kept with the person, as
//! hashes, and what a tool says that is the same is taken out of its event before the routes see it. What a tool says that
//! is different is news, and from then on the tool has a value of its own. Segment's messages carry our mark instead.
//!
//! This keeps two routes from passing a value to and fro for ever. That a value which is already there is not written once
//! more is the senders' affair.

use crate::action::{CustomerioVerb, IntercomVerb, UpsertContact};
use crate::event::{Attributes, Event, Kind, Profile, Source, Value};
use crate::id::Digest;
use crate::ports::Destination;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Values that a tool cut to fit begin alike.
const COMPARED_BYTES: usize = 900;

/// Values kept of one person: of a tool's hundreds of attributes, routes write some tens.
const KEPT: usize = 200;

/// What was last written to the tools: hashes of values, by tool and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wrote(BTreeMap<String, String>);

impl Wrote {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Two records of one human: what was written to either may come back.
    pub fn absorb(&mut self, other: Self) {
        for (name, value) in other.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    pub fn note_customerio(&mut self, verb: &CustomerioVerb) {
        match verb {
            CustomerioVerb::UpdatePerson(update) => self.note_all(Destination::Customerio, &update.attributes),
            CustomerioVerb::CreatePerson { attributes } => self.note_all(Destination::Customerio, attributes),
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

    pub fn note_intercom(&mut self, verb: &IntercomVerb) {
        match verb {
            IntercomVerb::UpsertContact(UpsertContact { name, phone, attributes, .. }) => {
                self.note_all(Destination::Intercom, attributes);
                for (field, value) in [("name", name), ("phone", phone)] {
                    if let Some(value) = value {
                        self.note(Destination::Intercom, field, &Value::String(value.clone()));
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

    fn note_all(&mut self, destination: Destination, attributes: &Attributes) {
        attributes.iter().for_each(|(name, value)| self.note(destination, name, value));
    }

    fn note(&mut self, destination: Destination, name: &str, value: &Value) {
        let key = key(destination.source(), name);
        if self.0.len() < KEPT || self.0.contains_key(&key) {
            self.0.insert(key, hash(value));
        }
    }

    /// The event without what we have said ourselves. What is news is forgotten as ours.
    pub fn strip<'e>(&mut self, event: &'e Event) -> Cow<'e, Event> {
        let Some(profile) = said(&event.kind).filter(|_| !self.0.is_empty()) else { return Cow::Borrowed(event) };
        let mut echoes = Vec::new();
        for (name, value) in &profile.attributes {
            let key = key(event.source, name);
            match self.0.get(&key) {
                Some(ours) if *ours == hash(value) => echoes.push(name.clone()),
                Some(_) => {
                    self.0.remove(&key);
                }
                None => {}
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
