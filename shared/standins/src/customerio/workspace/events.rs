//! Events: who they are for, which were heard before, and which are young enough to start a campaign.
//! <https://docs.customer.io/integrations/api/track/> (v2 "event")

use super::Workspace;
use crate::customerio::item::{EventItem, EventKind, Identifier};
use crate::customerio::profile::CreatedBy;
use crate::customerio::variants::{EventForUnknown, UlidScope};
use crate::journal::Keep;
use serde_json::{Map, Value};

/// Older events are stored but start no campaign. (Track API, "event": timestamp)
const TRIGGER_WINDOW_SECS: i64 = 72 * 60 * 60;

/// In event data these override the campaign's own settings. (Track API, "event": attributes)
const OVERRIDES: [&str; 3] = ["recipient", "from_address", "reply_to"];

/// An event as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Whose it is; `None` if it vanished because nobody had the identifier.
    pub cio_id: Option<String>,
    /// How the call named the person.
    pub who: Identifier,
    pub kind: EventKind,
    pub ulid: Option<String>,
    pub name: String,
    /// Unix seconds: the call's `timestamp`, else the time it came.
    pub timestamp: i64,
    /// Unix milliseconds.
    pub received_at_ms: i64,
    pub attributes: Map<String, Value>,
    /// Whether it is young enough to start a campaign.
    pub can_trigger: bool,
    /// Keys of its data that override the campaign's recipient or sender.
    pub overrides: Vec<&'static str>,
}

impl Workspace {
    pub(super) fn event(&mut self, event: EventItem, now_ms: i64) {
        if self.is_suppressed(&event.who) {
            return;
        }
        let now = now_ms.div_euclid(1000);
        let found = self.live.find_one(&event.who);
        if let Some(ulid) = &event.ulid
            && self.heard(ulid, found.as_deref(), now_ms)
        {
            self.duplicate_events += 1;
            return;
        }
        let cio_id = match (found, self.variants.event_for_unknown) {
            (Some(cio_id), _) => Some(cio_id),
            (None, EventForUnknown::CreatesProfile) => self.create(&event.who, CreatedBy::Event, now, now_ms),
            (None, EventForUnknown::Vanishes) => None,
        };
        if let (Some(ulid), Some(cio_id)) = (&event.ulid, &cio_id) {
            let scope = self.ulid_scope(Some(cio_id));
            self.ulids.insert((scope, ulid.to_uppercase()), now_ms);
        }
        if cio_id.is_some() {
            *self.event_counts.entry(event.name.clone()).or_default() += 1;
        }
        let timestamp = event.timestamp.unwrap_or(now);
        let can_trigger = now.saturating_sub(timestamp) <= TRIGGER_WINDOW_SECS;
        if let (Some(cio_id), true, EventKind::Event) = (&cio_id, can_trigger, event.kind) {
            self.convert(cio_id, &event, timestamp, now_ms);
        }
        match self.keep {
            Keep::Counters => {}
            Keep::Everything => {
                self.events.push(StoredEvent {
                    cio_id,
                    who: event.who,
                    kind: event.kind,
                    ulid: event.ulid,
                    name: event.name,
                    timestamp,
                    received_at_ms: now_ms,
                    can_trigger,
                    overrides: OVERRIDES.into_iter().filter(|key| event.attributes.contains_key(*key)).collect(),
                    attributes: event.attributes,
                });
            }
        }
    }

    /// "If an event repeats a value we've already received, we ignore the duplicate." (Track API, "event": id)
    fn heard(&self, ulid: &str, cio_id: Option<&str>, now_ms: i64) -> bool {
        let memory_ms = self.variants.ulid_memory.map_or(i64::MAX, |memory| i64::try_from(memory.as_millis()).unwrap_or(i64::MAX));
        let heard_at = self.ulids.get(&(self.ulid_scope(cio_id), ulid.to_uppercase()));
        heard_at.is_some_and(|heard_at| now_ms.saturating_sub(*heard_at) < memory_ms)
    }

    fn ulid_scope(&self, cio_id: Option<&str>) -> Option<String> {
        match self.variants.ulid_scope {
            UlidScope::Workspace => None,
            UlidScope::Person => cio_id.map(str::to_owned),
        }
    }
}
