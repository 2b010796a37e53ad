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
    /// A relationship that names a person nobody has.
    pub person_for_relationship: ForUnknown,
    /// A relationship that names an object that is not there, by its two ids.
    pub object_for_relationship: ForUnknown,
    /// `add_device` for an identifier that nobody has.
    pub person_for_device: ForUnknown,
    pub topic_order: TopicOrder,
    pub manual_segments: ManualSegments,
    pub unknown_segment: UnknownSegment,
    /// Relationships and devices of the secondary go over in a merge: the page lists what goes over, and not these.
    pub merge_takes_the_unlisted: bool,
    /// A merge, through which the survivor's subscriptions change, tells of it.
    pub merge_tells: bool,
    /// `unsuppress` by one identifier frees the other one that was blocked with it.
    pub unsuppress_frees_both: bool,
    /// A consent that is written as it was tells again. (notes 9 and 12.5)
    pub identical_consent_tells: bool,
    pub unsubscribe_click: UnsubscribeClick,
    pub preference_content: PreferenceContent,
    /// Changes of preferences have `object_type_type` for `object_type`, as the published schema has.
    pub object_type_type: bool,
    pub retry: Retry,
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

/// "Any call by id can recreate a deleted customer"; nothing is said of relationships and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForUnknown {
    Creates,
    Drops,
}

/// Which `timestamp` one topic is compared with: its own, or that of the preferences as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicOrder {
    PerTopic,
    AllTogether,
}

/// Track API, "Add people to a manual segment" takes `id`, `email` and `cio_id`; "Remove" "requires people to have `id`
/// attributes"; another text says: not in workspaces that identify by e-mail and id. (notes 5.2 and 12.10)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualSegments {
    EveryIdType,
    /// Taking out works with ids only; anything else is refused with 400.
    RemovalById,
    /// 400 in workspaces that identify by e-mail and id.
    IdOnlyWorkspaces,
}

/// The answer for a segment that is not there or is data-driven: the page lists 200, 400 and 401 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSegment {
    BadRequest,
    NotFound,
    Unprocessable,
}

/// What a click on a message's unsubscribe link tells, besides changing the person. (notes 2.3 and 12.4)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsubscribeClick {
    /// The message's metric only.
    Metric,
    /// And the person's change, with the channel for its `object_type`: "the channel that triggered the change".
    MetricAndChannel,
    /// And the person's change as `customer`: "or we can't determine which message triggered the change".
    MetricAndCustomer,
}

/// `content` of `cio_subscription_preferences_changed`: "the subscription preferences that a person changed".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreferenceContent {
    Changed,
    All,
}

/// Whether a second try is signed anew: "when the request was sent". (notes 2.4 and 12.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    SignedAnew,
    AsFirst,
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
            person_for_relationship: ForUnknown::Creates,
            object_for_relationship: ForUnknown::Creates,
            person_for_device: ForUnknown::Creates,
            topic_order: TopicOrder::PerTopic,
            manual_segments: ManualSegments::EveryIdType,
            unknown_segment: UnknownSegment::NotFound,
            merge_takes_the_unlisted: true,
            merge_tells: true,
            unsuppress_frees_both: true,
            identical_consent_tells: false,
            unsubscribe_click: UnsubscribeClick::MetricAndChannel,
            preference_content: PreferenceContent::Changed,
            object_type_type: false,
            retry: Retry::SignedAnew,
        }
    }
}

impl Variants {
    /// The same choices for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let mut coin = || seeded.coin();
        let for_unknown = |coin| if coin { ForUnknown::Creates } else { ForUnknown::Drops };
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
            person_for_relationship: for_unknown(coin()),
            object_for_relationship: for_unknown(coin()),
            person_for_device: for_unknown(coin()),
            topic_order: if coin() { TopicOrder::PerTopic } else { TopicOrder::AllTogether },
            manual_segments: match (coin(), coin()) {
                (true, true) => ManualSegments::RemovalById,
                (true, false) => ManualSegments::IdOnlyWorkspaces,
                (false, _) => ManualSegments::EveryIdType,
            },
            unknown_segment: match (coin(), coin()) {
                (true, true) => UnknownSegment::BadRequest,
                (true, false) => UnknownSegment::Unprocessable,
                (false, _) => UnknownSegment::NotFound,
            },
            merge_takes_the_unlisted: coin(),
            merge_tells: coin(),
            unsuppress_frees_both: coin(),
            identical_consent_tells: coin(),
            unsubscribe_click: match (coin(), coin()) {
                (true, true) => UnsubscribeClick::MetricAndChannel,
                (true, false) => UnsubscribeClick::MetricAndCustomer,
                (false, _) => UnsubscribeClick::Metric,
            },
            preference_content: if coin() { PreferenceContent::Changed } else { PreferenceContent::All },
            object_type_type: coin(),
            retry: if coin() { Retry::SignedAnew } else { Retry::AsFirst },
        }
    }
}
