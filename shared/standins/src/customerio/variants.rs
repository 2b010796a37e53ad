//! What Customer.io's pages leave open, and the choices for it.

use crate::seed::Seeded;
use std::time::Duration;

/// A reading of everything the vendor's pages do not settle. The default is the reading that a careful client expects
/// most; [`Variants::seeded`] mixes them, so that a test cannot rely on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variants {
    pub event_for_unknown: EventForUnknown,
    pub batch_order: BatchOrder,
    pub stale_update: StaleUpdate,
    pub removal: Removal,
    pub ulid_scope: UlidScope,
    /// For how long event ids are remembered; `None` is for ever.
    pub ulid_memory: Option<Duration>,
    pub kilobyte: Kilobyte,
}

/// "Any call by id can recreate a deleted customer", and `_update` exists for `identify` only (Track API, v2 "entity"):
/// whether an event for an identifier that nobody has makes a profile is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventForUnknown {
    CreatesProfile,
    Vanishes,
}

/// In which order the operations of a batch are applied (Track API, v2 "batch") is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOrder {
    Kept,
    Shuffled,
}

/// What `timestamp` of an `identify` is compared with (Track API, v2 "identify").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleUpdate {
    /// An attribute is left alone if it was set at a later time.
    PerAttribute,
    /// The whole update is dropped if anything of the profile was set at a later time. Reported from the field.
    WholeProfile,
}

/// How an attribute of a person is taken away: `null` or `""` is documented for objects, nothing for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    NullOrEmpty,
    Null,
    Empty,
}

/// Whether an event's `id` is compared within a person or a workspace is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UlidScope {
    Workspace,
    Person,
}

/// Limits are stated in "kb".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kilobyte {
    Of1000,
    Of1024,
}

impl Kilobyte {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Of1000 => 1000,
            Self::Of1024 => 1024,
        }
    }
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            event_for_unknown: EventForUnknown::CreatesProfile,
            batch_order: BatchOrder::Kept,
            stale_update: StaleUpdate::PerAttribute,
            removal: Removal::NullOrEmpty,
            ulid_scope: UlidScope::Workspace,
            ulid_memory: None,
            kilobyte: Kilobyte::Of1000,
        }
    }
}

impl Variants {
    /// The same choices for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut coin = || seeded.coin();
        Self {
            event_for_unknown: if coin() { EventForUnknown::CreatesProfile } else { EventForUnknown::Vanishes },
            batch_order: if coin() { BatchOrder::Kept } else { BatchOrder::Shuffled },
            stale_update: if coin() { StaleUpdate::PerAttribute } else { StaleUpdate::WholeProfile },
            removal: match (coin(), coin()) {
                (true, true) => Removal::NullOrEmpty,
                (true, false) => Removal::Null,
                (false, _) => Removal::Empty,
            },
            ulid_scope: if coin() { UlidScope::Workspace } else { UlidScope::Person },
            ulid_memory: if coin() { None } else { Some(Duration::from_secs(24 * 60 * 60)) },
            kilobyte: if coin() { Kilobyte::Of1000 } else { Kilobyte::Of1024 },
        }
    }
}
