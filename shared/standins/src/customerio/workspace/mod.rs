//! What accepted operations do to profiles and events. Everything here has already been answered with 200: whatever does
//! not fit is dropped without a word, as the vendor does ("Attribute Update Failure" shows in its activity log only).
//! <https://docs.customer.io/integrations/api/track/> (v2), <https://docs.customer.io/journeys/identifying-people/>

mod events;
mod identify;
mod lives;
mod objects;
mod segments;
mod telling;

pub use events::StoredEvent;
pub use identify::FailedChange;
pub use objects::Object;
pub use segments::{Segment, SegmentKind, Topic};

use super::item::{Identifier, Item, ReportedMetric};
use super::profile::{Directory, Profile};
use super::variants::{BatchOrder, Variants};
use super::{Identification, Options};
use crate::journal::Keep;
use crate::seed::Seeded;
use std::collections::{BTreeMap, HashMap, VecDeque};
use telling::Teller;

pub(crate) use identify::ONE_TOPIC;
pub(crate) use telling::{CAMPAIGN_BY_HAND, Said};

#[derive(Debug)]
pub(crate) struct Workspace {
    variants: Variants,
    identification: Identification,
    auto_merge: bool,
    change_email_using_id: bool,
    keep: Keep,
    delay_ms: i64,
    seeded: Seeded,
    made: u64,
    pub(crate) live: Directory,
    /// What the App API shows, if it lags behind.
    shown: Directory,
    to_show: VecDeque<(i64, String, Option<Profile>)>,
    /// Identifiers that were blocked together.
    suppressed: Vec<Vec<Identifier>>,
    ulids: HashMap<(Option<String>, String), i64>,
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) event_counts: BTreeMap<String, u64>,
    pub(crate) duplicate_events: u64,
    pub(crate) stale_updates: u64,
    pub(crate) failed_changes: Vec<FailedChange>,
    /// By events, relationships or devices, of which none asked for a profile.
    pub(crate) profiles_made_by_accident: u64,
    pub(crate) objects: BTreeMap<(String, String), Object>,
    pub(crate) segments: BTreeMap<u64, Segment>,
    pub(crate) topics: BTreeMap<u64, Topic>,
    pub(crate) reported_metrics: Vec<ReportedMetric>,
    pub(crate) teller: Teller,
    /// Of campaigns and the like, by the word in their path and id.
    pub(crate) names: HashMap<(String, u64), String>,
}

impl Workspace {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            variants: options.variants,
            identification: options.identification,
            auto_merge: options.auto_merge,
            change_email_using_id: options.change_email_using_id,
            keep: options.keep,
            delay_ms: i64::try_from(options.visible_after.as_millis()).unwrap_or(i64::MAX),
            seeded: Seeded::new(options.seed),
            made: 0,
            live: Directory::default(),
            shown: Directory::default(),
            to_show: VecDeque::new(),
            suppressed: Vec::new(),
            ulids: HashMap::new(),
            events: Vec::new(),
            event_counts: BTreeMap::new(),
            duplicate_events: 0,
            stale_updates: 0,
            failed_changes: Vec::new(),
            profiles_made_by_accident: 0,
            objects: BTreeMap::new(),
            segments: segments::of_campaigns(&options.campaigns),
            topics: BTreeMap::new(),
            reported_metrics: Vec::new(),
            teller: Teller::new(options),
            names: HashMap::new(),
        }
    }

    pub(crate) fn apply_batch(&mut self, mut items: Vec<Item>, now_ms: i64) {
        match self.variants.batch_order {
            BatchOrder::Kept => {}
            BatchOrder::Shuffled => self.seeded.shuffle(&mut items),
        }
        for item in items {
            self.apply(item, now_ms);
        }
    }

    pub(crate) fn apply(&mut self, item: Item, now_ms: i64) {
        let now = now_ms.div_euclid(1000);
        match item {
            Item::Identify { who, attributes, update_only, timestamp, relationships } => {
                if let Some(cio_id) = self.identify(&who, attributes, update_only, timestamp.unwrap_or(now), now_ms) {
                    self.add_to_objects(&cio_id, relationships);
                }
            }
            Item::Event(event) => self.event(event, now_ms),
            Item::Delete(who) => {
                if let Some(cio_id) = self.live.find_one(&who) {
                    self.remove(&cio_id, now_ms);
                }
            }
            Item::Suppress(who) => self.suppress(&who, now_ms),
            Item::Unsuppress(who) => self.unsuppress(&who),
            Item::Merge { primary, secondary } => {
                // "If the primary profile doesn't exist, your request won't do anything."
                if let (Some(primary), Some(secondary)) = (self.live.find_one(&primary), self.live.find_one(&secondary))
                    && primary != secondary
                {
                    self.merge(&primary, &secondary, now_ms);
                }
            }
            Item::Device(who, change) => self.device(&who, change, now_ms),
            Item::AddToObjects(who, relationships) => {
                if let Some(cio_id) = self.known_or(self.variants.person_for_relationship, &who, now_ms) {
                    self.add_to_objects(&cio_id, relationships);
                }
            }
            Item::TakeFromObjects(who, relationships) => {
                if let Some(cio_id) = self.live.find_one(&who) {
                    self.take_from_objects(&cio_id, &relationships);
                }
            }
            Item::Object(object, action) => self.object(&object, action, now_ms),
            Item::Delivery(metric) => self.reported_metrics.push(metric),
        }
    }

    // ---------------------------------------------------------------------------------------------- visibility

    /// Queues what has become of a profile for the App API, which shows writes some seconds late.
    fn show(&mut self, cio_id: &str, now_ms: i64) {
        if self.delay_ms > 0 {
            self.to_show.push_back((now_ms.saturating_add(self.delay_ms), cio_id.to_owned(), self.live.get(cio_id).cloned()));
        }
    }

    /// Lets the App API show whatever is old enough.
    pub(crate) fn catch_up(&mut self, now_ms: i64) {
        while self.to_show.front().is_some_and(|(from_ms, ..)| *from_ms <= now_ms) {
            match self.to_show.pop_front() {
                Some((_, _, Some(profile))) => self.shown.put(profile),
                Some((_, cio_id, None)) => {
                    self.shown.remove(&cio_id);
                }
                None => {}
            }
        }
    }

    /// What the App API shows since [`Workspace::catch_up`].
    pub(crate) fn visible(&self) -> &Directory {
        if self.delay_ms == 0 { &self.live } else { &self.shown }
    }

    /// Shows everything at once: for what a test sets up by hand.
    pub(crate) fn show_all(&mut self) {
        if self.delay_ms > 0 {
            self.to_show.clear();
            self.shown = self.live.clone();
        }
    }
}

fn folded(who: &Identifier) -> Identifier {
    match who {
        Identifier::Email(email) => Identifier::Email(email.to_lowercase()),
        Identifier::Id(_) | Identifier::Phone(_) | Identifier::CioId(_) => who.clone(),
    }
}
