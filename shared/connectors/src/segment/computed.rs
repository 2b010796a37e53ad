//! What Segment works out by itself (Engage): who is in an audience or at a step of a journey, and computed traits. Told
//! by `context.personas`, never by the name of the event, which everybody can choose.
//!
//! <https://segment.com/docs/engage/using-engage-data/>

use super::wire::{Personas, Unreadable, value_at};
use serde_json::value::RawValue;
use trefoil_domain::event::{Attributes, Kind, List, ListKind, Value};

/// Keys of the steps of version 1 journeys, which report under the class of audiences, and write `true` as text.
const JOURNEY_KEY: &str = "j_o_";

pub(super) struct Computed<'a> {
    /// Chosen by the customer.
    key: &'a str,
    id: &'a str,
    value: What<'a>,
}

enum What<'a> {
    Member { kind: ListKind, is_in: bool },
    Trait(&'a RawValue),
}

impl<'a> Computed<'a> {
    /// `values`: the traits of an identify call, the properties of a track call. `None`: the call says no more than it says
    /// by itself.
    ///
    /// # Errors
    /// The values cannot be read.
    pub(super) fn of(personas: Option<&'a Personas<'a>>, values: Option<&'a RawValue>) -> Result<Option<Self>, Unreadable> {
        let Some(personas) = personas else { return Ok(None) };
        let (Some(class), Some(key)) = (personas.computation_class.get(), personas.computation_key.get()) else { return Ok(None) };
        let id = personas.computation_id.get().unwrap_or(key);
        let found = value_at(values, key)?;
        let value = match (class, found) {
            ("audience" | "journey_step", Some(found)) => {
                let of_journey = class == "journey_step" || key.starts_with(JOURNEY_KEY);
                let kind = if of_journey { ListKind::JourneyStep } else { ListKind::Audience };
                match (found.get(), key.starts_with(JOURNEY_KEY)) {
                    ("true", _) | ("\"true\"", true) => Some(What::Member { kind, is_in: true }),
                    ("false", _) | ("\"false\"", true) => Some(What::Member { kind, is_in: false }),
                    (_, true | false) => None,
                }
            }
            ("trait", Some(found)) => Some(What::Trait(found)),
            // Steps of version 2 journeys are events of their own, and carry no such value.
            _ => None,
        };
        if value.is_none() {
            tracing::debug!(class, "a message of Engage without a value under its key; taken as an ordinary call");
        }
        Ok(value.map(|value| Self { key, id, value }))
    }

    /// `None`: the value cannot be read.
    pub(super) fn kind(&self) -> Option<Kind> {
        let list = |kind| List { kind, id: self.id.to_owned(), name: self.key.to_owned(), attributes: Attributes::new() };
        Some(match self.value {
            What::Member { kind, is_in: true } => Kind::ListEntered(list(kind)),
            What::Member { kind, is_in: false } => Kind::ListLeft(list(kind)),
            What::Trait(raw) => Kind::TraitComputed { name: self.key.to_owned(), value: serde_json::from_str::<Value>(raw.get()).ok()? },
        })
    }

    /// What a route may call it. A trait has no name but its key.
    pub(super) fn names(&self) -> Vec<&'a str> {
        match self.value {
            What::Member { .. } => vec![self.key, self.id],
            What::Trait(_) => vec![self.key],
        }
    }

    pub(super) fn what(&self) -> trefoil_domain::config::What {
        use trefoil_domain::config::What as On;
        match self.value {
            What::Member { kind: ListKind::JourneyStep, is_in: true } => On::JourneyStepReached,
            What::Member { kind: ListKind::Audience | ListKind::Segment, is_in: true } => On::ListEntered,
            What::Member { is_in: false, .. } => On::ListLeft,
            What::Trait(_) => On::TraitComputed,
        }
    }
}
