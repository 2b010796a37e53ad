//! What accepted operations do to profiles and events. Everything here has already been answered with 200: whatever does
//! not fit is dropped without a word, as the vendor does ("Attribute Update Failure" shows in its activity log only).
//! <https://docs.customer.io/integrations/api/track/> (v2), <https://docs.customer.io/journeys/identifying-people/>

use super::item::{EventItem, EventKind, Identifier, Item};
use super::profile::{Attribute, CreatedBy, Directory, Profile};
use super::variants::{BatchOrder, EventForUnknown, Removal, StaleUpdate, UlidScope, Variants};
use super::{Identification, Options};
use crate::journal::Keep;
use crate::seed::Seeded;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

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

/// An identifier that a call wanted to set and that was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedChange {
    pub cio_id: String,
    /// `id` or `email`.
    pub attribute: &'static str,
    pub wanted: String,
}

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
    suppressed: HashSet<Identifier>,
    ulids: HashMap<(Option<String>, String), i64>,
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) event_counts: BTreeMap<String, u64>,
    pub(crate) duplicate_events: u64,
    pub(crate) stale_updates: u64,
    pub(crate) failed_changes: Vec<FailedChange>,
    pub(crate) profiles_made_by_events: u64,
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
            suppressed: HashSet::new(),
            ulids: HashMap::new(),
            events: Vec::new(),
            event_counts: BTreeMap::new(),
            duplicate_events: 0,
            stale_updates: 0,
            failed_changes: Vec::new(),
            profiles_made_by_events: 0,
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
            Item::Identify { who, attributes, update_only, timestamp } => {
                self.identify(&who, attributes, update_only, timestamp.unwrap_or(now), now_ms);
            }
            Item::Event(event) => self.event(event, now_ms),
            Item::Delete(who) => {
                if let Some(cio_id) = self.live.find_one(&who) {
                    self.remove(&cio_id, now_ms);
                }
            }
            Item::Suppress(who) => {
                if let Some(profile) = self.live.find_one(&who).and_then(|cio_id| self.remove(&cio_id, now_ms)) {
                    self.suppressed.extend(profile.id.map(Identifier::Id));
                    self.suppressed.extend(profile.email.map(|email| Identifier::Email(email.to_lowercase())));
                }
                self.suppressed.insert(folded(&who));
            }
            Item::Unsuppress(who) => {
                self.suppressed.remove(&folded(&who));
            }
            Item::Merge { primary, secondary } => {
                if let (Some(primary), Some(secondary)) = (self.live.find_one(&primary), self.live.find_one(&secondary))
                    && primary != secondary
                {
                    self.merge(&primary, &secondary, now_ms);
                }
            }
            Item::WithoutEffect => {}
        }
    }

    // ------------------------------------------------------------------------------------------------ identify

    fn identify(&mut self, who: &Identifier, mut attributes: Map<String, Value>, update_only: bool, at: i64, now_ms: i64) {
        if self.suppressed.contains(&folded(who)) {
            return;
        }
        let wanted_id = take_text(&mut attributes, "id");
        let wanted_email = take_text(&mut attributes, "email");
        attributes.remove("cio_id");
        let cio_id = match self.live.find_one(who) {
            Some(cio_id) => cio_id,
            // "Does nothing if no match": v2, `_update`. An unknown `cio_id` is dropped too.
            None if update_only => return,
            None => match self.claimed(who, wanted_id.as_deref(), wanted_email.as_deref()) {
                Some(cio_id) => cio_id,
                None => match self.create(who, CreatedBy::Identify, at, now_ms) {
                    Some(cio_id) => cio_id,
                    None => return,
                },
            },
        };
        let by_cio_id = matches!(who, Identifier::CioId(_));
        // What addressed the person is theirs, if they were claimed just now.
        let (named_id, named_email) = match who {
            Identifier::Id(id) => (Some(id.clone()), None),
            Identifier::Email(email) => (None, Some(email.clone())),
            Identifier::Phone(_) | Identifier::CioId(_) => (None, None),
        };
        let stale = self.live.get(&cio_id).is_some_and(|profile| at < profile.last_edit);
        if stale && self.variants.stale_update == StaleUpdate::WholeProfile {
            self.stale_updates += 1;
            return;
        }
        let cio_id = match named_id.or(wanted_id) {
            Some(id) => self.set_id(&cio_id, id, by_cio_id, now_ms),
            None => cio_id,
        };
        let cio_id = match named_email.or(wanted_email) {
            Some(email) => self.set_email(&cio_id, email, by_cio_id, now_ms),
            None => cio_id,
        };
        self.write(&cio_id, attributes, at);
        self.show(&cio_id, now_ms);
    }

    /// A profile that lacks what the call is addressed to and owns the other identifier in it: the call claims it, so
    /// that the same `cio_id` goes on. (Seen in a live workspace; Track API v1: "the known person gets the new id".)
    fn claimed(&self, who: &Identifier, wanted_id: Option<&str>, wanted_email: Option<&str>) -> Option<String> {
        match (self.identification, who) {
            (Identification::IdOnly, _) | (_, Identifier::Phone(_) | Identifier::CioId(_)) => None,
            (Identification::EmailAndId, Identifier::Id(_)) => {
                let cio_id = self.live.find_one(&Identifier::Email(wanted_email?.to_owned()))?;
                self.live.get(&cio_id)?.id.is_none().then_some(cio_id)
            }
            (Identification::EmailAndId, Identifier::Email(_)) => {
                let cio_id = self.live.find_one(&Identifier::Id(wanted_id?.to_owned()))?;
                self.live.get(&cio_id)?.email.is_none().then_some(cio_id)
            }
        }
    }

    /// Returns the `cio_id` that goes on, which differs if two profiles became one.
    fn set_id(&mut self, cio_id: &str, id: String, by_cio_id: bool, now_ms: i64) -> String {
        let Some(mut profile) = self.live.get(cio_id).cloned() else { return cio_id.to_owned() };
        if profile.id.as_ref() == Some(&id) {
            return cio_id.to_owned();
        }
        let owner = self.live.find_one(&Identifier::Id(id.clone())).and_then(|owner| self.live.get(&owner).cloned());
        match owner {
            None if profile.id.is_none() || by_cio_id => {
                profile.id = Some(id);
                self.live.put(profile);
                cio_id.to_owned()
            }
            Some(owner) if self.auto_merge && profile.id.is_none() && owner.email.is_none() => {
                self.merge_older(cio_id, &owner.cio_id, now_ms)
            }
            None | Some(_) => self.failed(cio_id, "id", id),
        }
    }

    /// Returns the `cio_id` that goes on, which differs if two profiles became one.
    fn set_email(&mut self, cio_id: &str, email: String, by_cio_id: bool, now_ms: i64) -> String {
        let Some(mut profile) = self.live.get(cio_id).cloned() else { return cio_id.to_owned() };
        if profile.email.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(&email)) {
            return cio_id.to_owned();
        }
        let ordinary = match self.identification {
            Identification::IdOnly => true,
            Identification::EmailAndId => false,
        };
        let owner = self.live.find_one(&Identifier::Email(email.clone())).and_then(|owner| self.live.get(&owner).cloned());
        match owner {
            _ if ordinary => {
                profile.email = Some(email);
                self.live.put(profile);
                cio_id.to_owned()
            }
            None if profile.email.is_none() || by_cio_id || self.change_email_using_id => {
                profile.email = Some(email);
                self.live.put(profile);
                cio_id.to_owned()
            }
            // Customer.io release notes, 2021-10-05 "auto-merge".
            Some(owner) if self.auto_merge && profile.email.is_none() && owner.id.is_none() => {
                self.merge_older(cio_id, &owner.cio_id, now_ms)
            }
            None | Some(_) => self.failed(cio_id, "email", email),
        }
    }

    fn failed(&mut self, cio_id: &str, attribute: &'static str, wanted: String) -> String {
        self.failed_changes.push(FailedChange { cio_id: cio_id.to_owned(), attribute, wanted });
        cio_id.to_owned()
    }

    fn write(&mut self, cio_id: &str, attributes: Map<String, Value>, at: i64) {
        let removal = self.variants.removal;
        let mut stale_updates = 0;
        self.live.edit(cio_id, |profile| {
            for (name, value) in attributes {
                if profile.attributes.get(&name).is_some_and(|known| at < known.set_at) {
                    stale_updates += 1;
                    continue;
                }
                // One topic without touching the others. (Manage subscription preferences: dot notation)
                if let Some(topic) = name.strip_prefix("cio_subscription_preferences.topics.") {
                    set_topic(profile, topic, value, at);
                    continue;
                }
                let removes = match removal {
                    Removal::NullOrEmpty => value.is_null() || value == "",
                    Removal::Null => value.is_null(),
                    Removal::Empty => value == "",
                };
                if removes {
                    profile.attributes.remove(&name);
                } else {
                    profile.attributes.insert(name, Attribute { value, set_at: at });
                }
            }
            profile.last_edit = profile.last_edit.max(at);
        });
        self.stale_updates += stale_updates;
    }

    fn create(&mut self, who: &Identifier, created_by: CreatedBy, at: i64, now_ms: i64) -> Option<String> {
        let (id, email, phone) = match who {
            Identifier::Id(id) => (Some(id.clone()), None, None),
            Identifier::Email(email) => (None, Some(email.clone()), None),
            Identifier::Phone(phone) => (None, None, Some(phone.clone())),
            Identifier::CioId(_) => return None,
        };
        let attributes = phone.map(|phone| ("phone".to_owned(), Attribute { value: phone.into(), set_at: at })).into_iter().collect();
        Some(self.add(id, email, attributes, created_by, at, now_ms))
    }

    /// A new profile, as it stands.
    pub(crate) fn add(
        &mut self,
        id: Option<String>,
        email: Option<String>,
        attributes: BTreeMap<String, Attribute>,
        created_by: CreatedBy,
        at: i64,
        now_ms: i64,
    ) -> String {
        self.made += 1;
        let head = self.seeded.next() & 0xffff;
        // Every other one starts with a zero: a client that reads it as a number must fall over.
        let head = if self.made.is_multiple_of(2) { head & 0x0fff } else { head };
        let cio_id = format!("{head:04x}06{:06x}", self.made);
        if created_by == CreatedBy::Event {
            self.profiles_made_by_events += 1;
        }
        self.live.put(Profile { cio_id: cio_id.clone(), id, email, attributes, created_by, created_at: at, last_edit: at });
        self.show(&cio_id, now_ms);
        cio_id
    }

    pub(crate) fn add_as(&mut self, cio_id: &str, id: Option<String>, email: Option<String>, now_ms: i64) {
        let at = now_ms.div_euclid(1000);
        let (cio_id, attributes) = (cio_id.to_owned(), BTreeMap::new());
        self.live.put(Profile { cio_id, id, email, attributes, created_by: CreatedBy::Hand, created_at: at, last_edit: at });
    }

    pub(crate) fn remove(&mut self, cio_id: &str, now_ms: i64) -> Option<Profile> {
        let profile = self.live.remove(cio_id);
        self.show(cio_id, now_ms);
        profile
    }

    /// The older of the two survives; returns it.
    fn merge_older(&mut self, one: &str, other: &str, now_ms: i64) -> String {
        let created = |cio_id: &str| self.live.get(cio_id).map(|profile| profile.created_at);
        let (primary, secondary) = if created(one) <= created(other) { (one, other) } else { (other, one) };
        self.merge(primary, secondary, now_ms);
        primary.to_owned()
    }

    /// Only what is empty in the primary is filled. (Track API, "merge")
    fn merge(&mut self, primary: &str, secondary: &str, now_ms: i64) {
        let (Some(mut survivor), Some(gone)) = (self.live.get(primary).cloned(), self.remove(secondary, now_ms)) else { return };
        survivor.id = survivor.id.or(gone.id);
        survivor.email = survivor.email.or(gone.email);
        survivor.last_edit = survivor.last_edit.max(gone.last_edit);
        for (name, attribute) in gone.attributes {
            survivor.attributes.entry(name).or_insert(attribute);
        }
        self.live.put(survivor);
        for event in self.events.iter_mut().filter(|event| event.cio_id.as_deref() == Some(secondary)) {
            event.cio_id = Some(primary.to_owned());
        }
        self.show(primary, now_ms);
    }

    // -------------------------------------------------------------------------------------------------- events

    fn event(&mut self, event: EventItem, now_ms: i64) {
        if self.suppressed.contains(&folded(&event.who)) {
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
        match self.keep {
            Keep::Counters => {}
            Keep::Everything => {
                let timestamp = event.timestamp.unwrap_or(now);
                self.events.push(StoredEvent {
                    cio_id,
                    who: event.who,
                    kind: event.kind,
                    ulid: event.ulid,
                    name: event.name,
                    timestamp,
                    received_at_ms: now_ms,
                    can_trigger: now.saturating_sub(timestamp) <= TRIGGER_WINDOW_SECS,
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

    // ---------------------------------------------------------------------------------------------- visibility

    /// Queues what has become of a profile for the App API, which shows writes some seconds late.
    fn show(&mut self, cio_id: &str, now_ms: i64) {
        if self.delay_ms > 0 {
            self.to_show.push_back((now_ms.saturating_add(self.delay_ms), cio_id.to_owned(), self.live.get(cio_id).cloned()));
        }
    }

    /// What the App API shows now.
    pub(crate) fn visible(&mut self, now_ms: i64) -> &Directory {
        if self.delay_ms == 0 {
            return &self.live;
        }
        while self.to_show.front().is_some_and(|(from_ms, ..)| *from_ms <= now_ms) {
            match self.to_show.pop_front() {
                Some((_, _, Some(profile))) => self.shown.put(profile),
                Some((_, cio_id, None)) => {
                    self.shown.remove(&cio_id);
                }
                None => {}
            }
        }
        &self.shown
    }

    /// Shows everything at once: for what a test sets up by hand.
    pub(crate) fn show_all(&mut self) {
        if self.delay_ms > 0 {
            self.to_show.clear();
            self.shown = self.live.clone();
        }
    }

    /// An edit by hand, as in the vendor's own pages: it is new whatever stood there.
    pub(crate) fn edit(&mut self, cio_id: &str, attributes: Map<String, Value>, now_ms: i64) {
        let now = now_ms.div_euclid(1000);
        self.live.edit(cio_id, |profile| {
            for (name, value) in attributes {
                profile.attributes.insert(name, Attribute { value, set_at: now });
            }
            profile.last_edit = profile.last_edit.max(now);
        });
    }
}

fn take_text(attributes: &mut Map<String, Value>, name: &str) -> Option<String> {
    match attributes.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) | None => None,
    }
}

fn set_topic(profile: &mut Profile, topic: &str, value: Value, at: i64) {
    let preferences = profile
        .attributes
        .entry("cio_subscription_preferences".to_owned())
        .or_insert_with(|| Attribute { value: serde_json::json!({"topics": {}}), set_at: at });
    preferences.set_at = at;
    if !preferences.value.get("topics").is_some_and(Value::is_object) {
        preferences.value = serde_json::json!({"topics": {}});
    }
    preferences.value["topics"][topic] = value;
}

fn folded(who: &Identifier) -> Identifier {
    match who {
        Identifier::Email(email) => Identifier::Email(email.to_lowercase()),
        Identifier::Id(_) | Identifier::Phone(_) | Identifier::CioId(_) => who.clone(),
    }
}
