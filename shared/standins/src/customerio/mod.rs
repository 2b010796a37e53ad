//! Customer.io: the Track API and the part of the App API that finds people and segments, over one made-up workspace, and
//! the webhooks that tell of it. "Notes" with a number are the team's engineering notes on Customer.io.
//!
//! - Track API, <https://docs.customer.io/integrations/api/track/>: `POST /api/v2/entity`, `POST /api/v2/batch`,
//!   `POST /api/v1/segments/{id}/add_customers` and `/remove_customers`, `POST /api/v1/metrics`, `GET /api/v1/accounts/region`.
//! - App API, <https://docs.customer.io/integrations/api/app/>: `GET /v1/customers`, `GET /v1/customers/{id}/attributes`,
//!   `POST /v1/customers/attributes`, `GET /v1/customers/{id}/segments`, `GET /v1/segments`, `GET /v1/segments/{id}/membership`,
//!   `GET /v1/subscription_topics`, `GET /v1/campaigns/{id}` and the same of `broadcasts`, `newsletters` and `transactional`.
//! - Webhooks: <https://docs.customer.io/integrations/api/webhooks>, <https://docs.customer.io/journeys/webhooks-action>.
//!   What the API does leaves its webhooks in [`CustomerIo::take_webhooks`]; what is done by hand (`happenings`) returns them.
//!   Sending them, in order, twice, late or never is up to the caller.
//!
//! A 200 of the Track API means accepted, not applied: see `workspace` for all that is dropped without a word.

mod app;
mod campaign;
mod happenings;
mod item;
mod message;
mod profile;
mod query;
mod track;
mod variants;
mod webhook;
mod workspace;

pub use crate::sender::SendError;
pub use campaign::{Campaign, Decision, Hold};
pub use happenings::NoProfile;
pub use item::{EventKind, Identifier, ReportedMetric};
pub use message::{Channel, Message, SentBy};
pub use profile::{Attribute, CreatedBy, Device, Profile};
pub use variants::{
    BatchOrder, EventForUnknown, ForUnknown, Kilobyte, ManualSegments, PreferenceContent, Removal, Retry, StaleUpdate, TopicOrder,
    UlidScope, UnknownSegment, UnsubscribeClick, Variants,
};
pub use webhook::{DEADLINE, Endpoint, Webhook, sign};
pub use workspace::{FailedChange, Object, Segment, SegmentKind, StoredEvent, Topic};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::journal::{Journal, Keep, NotInTime};
use crate::sender::Sender;
use crate::server::{Desk, Server};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use workspace::Workspace;

/// How a workspace tells people apart. <https://docs.customer.io/journeys/identifying-people/>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identification {
    #[default]
    EmailAndId,
    /// An e-mail address is an ordinary attribute: several profiles may share it.
    IdOnly,
}

/// How a stand-in is set up. The credentials are the ones that it accepts.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// Makes `cio_id`s and shuffles batches. It does not choose `variants`: that is [`Variants::seeded`].
    pub seed: u64,
    pub variants: Variants,
    pub identification: Identification,
    /// "Auto-merge", on in workspaces made after 2021-09-24.
    pub auto_merge: bool,
    /// The workspace setting "allow updates to email using ID".
    pub change_email_using_id: bool,
    /// How long a write stays invisible to the App API. With a manual clock it takes no real time.
    pub visible_after: Duration,
    pub keep: Keep,
    pub site_id: String,
    pub track_api_key: String,
    pub app_api_key: String,
    /// `us` or `eu`, as the region check tells it.
    pub region: String,
    /// The workspace, as the region check tells it.
    pub environment_id: u64,
    /// Signs reporting webhooks.
    pub reporting_key: String,
    /// Signs webhook actions: "Webhook Signing Key" of the workspace.
    pub action_key: String,
    /// "Body content" of the reporting webhook.
    pub with_content: bool,
    /// Campaigns that work by themselves.
    pub campaigns: Vec<Campaign>,
    /// Names of events that are refused, whatever stands in them: one operation of a batch, while the others are taken.
    pub refused_events: BTreeSet<String>,
    /// How long a receiver of webhooks may take to answer, instead of [`DEADLINE`]: on a busy machine it may need longer.
    pub deadline: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            seed: 1,
            variants: Variants::default(),
            identification: Identification::EmailAndId,
            auto_merge: true,
            change_email_using_id: false,
            visible_after: Duration::ZERO,
            keep: Keep::Everything,
            site_id: "standin-site".to_owned(),
            track_api_key: "standin-track-key".to_owned(),
            app_api_key: "standin-app-key".to_owned(),
            region: "us".to_owned(),
            environment_id: 3,
            reporting_key: "standin-reporting-key".to_owned(),
            action_key: "standin-action-key".to_owned(),
            with_content: false,
            campaigns: Vec::new(),
            refused_events: BTreeSet::new(),
            deadline: None,
        }
    }
}

/// A running stand-in. It stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct CustomerIo {
    shared: Arc<Shared>,
    track: Server,
    app: Server,
    sender: Sender,
}

#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    desk: Arc<Desk>,
    workspace: Mutex<Workspace>,
}

impl Shared {
    fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CustomerIo {
    /// Starts both APIs, each on its own free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let desk = Desk::new(options.clock.clone(), options.keep, track::refuse);
        let workspace = Mutex::new(Workspace::new(&options));
        let shared = Arc::new(Shared { options, desk: Arc::clone(&desk), workspace });
        let track = Server::start(track::routes(Arc::clone(&shared)), Arc::clone(&desk)).await?;
        let app = Server::start(app::routes(Arc::clone(&shared)), desk).await?;
        let sender = Sender::new(shared.options.deadline.unwrap_or(DEADLINE));
        Ok(Self { shared, track, app, sender })
    }

    /// Base address of the Track API, such as `http://127.0.0.1:4711`.
    #[must_use]
    pub fn track_url(&self) -> String {
        self.track.url()
    }

    /// Base address of the App API, such as `http://127.0.0.1:4712`.
    #[must_use]
    pub fn app_url(&self) -> String {
        self.app.url()
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Faults of both APIs: `/api/` is the Track API, `/v1/` the App API.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.desk.faults
    }

    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.shared.desk.journal
    }

    /// Waits until `check` holds: it is tried at once and after every request.
    ///
    /// # Errors
    /// It did not hold within `limit` of real time.
    pub async fn wait_until(&self, limit: Duration, mut check: impl FnMut(&Self) -> bool) -> Result<(), NotInTime> {
        self.shared.desk.journal.wait(limit, || check(self)).await
    }

    // ------------------------------------------------------------------------------------ the workspace by hand

    /// A profile that is there already, visible everywhere at once. Returns its `cio_id`.
    pub fn add_profile(&self, id: Option<&str>, email: Option<&str>, attributes: &[(&str, Value)]) -> String {
        let now_ms = self.now_ms();
        let set_at = now_ms.div_euclid(1000);
        let attribute = |(name, value): &(&str, Value)| ((*name).to_owned(), Attribute { value: value.clone(), set_at });
        let attributes = attributes.iter().map(attribute).collect();
        let mut workspace = self.shared.workspace();
        let cio_id = workspace.add(id.map(str::to_owned), email.map(str::to_owned), attributes, CreatedBy::Hand, set_at, now_ms);
        workspace.show_all();
        cio_id
    }

    /// As [`CustomerIo::add_profile`], under a `cio_id` that is known beforehand and that no other profile has.
    pub fn add_profile_as(&self, cio_id: &str, id: Option<&str>, email: Option<&str>) {
        let now_ms = self.now_ms();
        let mut workspace = self.shared.workspace();
        workspace.add_as(cio_id, id.map(str::to_owned), email.map(str::to_owned), now_ms);
        workspace.show_all();
    }

    /// Sets attributes as a person in the vendor's own pages would: it counts as the profile's newest edit. A name of
    /// `cio_subscription_preferences.topics.topic_<id>` is that topic alone.
    pub fn edit_profile(&self, cio_id: &str, attributes: &[(&str, Value)]) -> Vec<Webhook> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.by_hand(|workspace, now_ms| workspace.edit(cio_id, attributes, Some("customer"), now_ms)).1
    }

    pub fn delete_profile(&self, cio_id: &str) {
        let mut workspace = self.shared.workspace();
        workspace.remove(cio_id, self.now_ms());
        workspace.show_all();
    }

    /// What the App API says that something is called; `kind` is the word in its path: `campaigns`, `broadcasts`, `newsletters`
    /// or `transactional`.
    pub fn set_name(&self, kind: &str, id: u64, name: &str) {
        self.shared.workspace().names.insert((kind.to_owned(), id), name.to_owned());
    }

    /// A manual segment, for the API to fill.
    pub fn add_segment(&self, id: u64, name: &str) {
        self.put_segment(id, name, SegmentKind::Manual(BTreeSet::new()));
    }

    /// The segment of the people in whose `attribute` is `value`, as text.
    pub fn add_data_driven_segment(&self, id: u64, name: &str, attribute: &str, value: &str) {
        self.put_segment(id, name, SegmentKind::DataDriven { attribute: attribute.to_owned(), value: value.to_owned() });
    }

    fn put_segment(&self, id: u64, name: &str, kind: SegmentKind) {
        self.shared.workspace().segments.insert(id, Segment { id, name: name.to_owned(), kind });
    }

    /// The topic `topic_<id>`.
    pub fn add_topic(&self, id: u64, name: &str, subscribed_by_default: bool) {
        self.shared.workspace().topics.insert(id, Topic { id, name: name.to_owned(), subscribed_by_default });
    }

    // ------------------------------------------------------------------------------------------ what came of it

    /// Every profile as it is, whatever the App API shows yet, in order of `cio_id`.
    #[must_use]
    pub fn profiles(&self) -> Vec<Profile> {
        let mut profiles: Vec<Profile> = self.shared.workspace().live.all().cloned().collect();
        profiles.sort_by(|one, other| one.cio_id.cmp(&other.cio_id));
        profiles
    }

    /// The one profile that goes by this identifier; `None` if there is none, or several.
    #[must_use]
    pub fn profile(&self, who: &Identifier) -> Option<Profile> {
        let workspace = self.shared.workspace();
        workspace.live.get(&workspace.live.find_one(who)?).cloned()
    }

    /// Events that reached a profile, in order of application. Empty with [`Keep::Counters`].
    #[must_use]
    pub fn events(&self) -> Vec<StoredEvent> {
        self.shared.workspace().events.iter().filter(|event| event.cio_id.is_some()).cloned().collect()
    }

    /// Events that were accepted and vanished, since nobody had the identifier. Empty with [`Keep::Counters`].
    #[must_use]
    pub fn vanished_events(&self) -> Vec<StoredEvent> {
        self.shared.workspace().events.iter().filter(|event| event.cio_id.is_none()).cloned().collect()
    }

    /// How many events reached a profile, by name; repeats are not counted.
    #[must_use]
    pub fn event_counts(&self) -> BTreeMap<String, u64> {
        self.shared.workspace().event_counts.clone()
    }

    /// How many events reached a profile; repeats are not counted.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.shared.workspace().event_counts.values().sum()
    }

    /// How many events were ignored since their id had come before.
    #[must_use]
    pub fn duplicate_events(&self) -> u64 {
        self.shared.workspace().duplicate_events
    }

    /// How many updates, or attributes of updates, were dropped as older than what was there.
    #[must_use]
    pub fn stale_updates(&self) -> u64 {
        self.shared.workspace().stale_updates
    }

    /// Identifiers that calls wanted to set and that were silently left as they were.
    #[must_use]
    pub fn failed_changes(&self) -> Vec<FailedChange> {
        self.shared.workspace().failed_changes.clone()
    }

    /// Whether an event, a relationship or a device ever made a profile: people are billed by the profile.
    #[must_use]
    pub fn profile_created_by_accident(&self) -> bool {
        self.shared.workspace().profiles_made_by_accident > 0
    }

    /// Every object, in order of type and id.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        self.shared.workspace().objects.values().cloned().collect()
    }

    #[must_use]
    pub fn object(&self, object_type_id: &str, object_id: &str) -> Option<Object> {
        self.shared.workspace().objects.get(&(object_type_id.to_owned(), object_id.to_owned())).cloned()
    }

    /// The `cio_id`s of who is in a segment, in order; nobody if there is no such segment.
    #[must_use]
    pub fn members(&self, segment: u64) -> Vec<String> {
        let workspace = self.shared.workspace();
        let members = workspace.segments.get(&segment).map(|segment| segment.members(&workspace.live)).unwrap_or_default();
        members.into_iter().map(|profile| profile.cio_id.clone()).collect()
    }

    /// Metrics of messages that were reported, in the order of their coming.
    #[must_use]
    pub fn reported_metrics(&self) -> Vec<ReportedMetric> {
        self.shared.workspace().reported_metrics.clone()
    }

    /// Whether `campaign` would reach this person now, and if not, why.
    #[must_use]
    pub fn would_send(&self, who: &Identifier, campaign: &str) -> Decision {
        campaign::decide(self.profile(who).as_ref(), campaign, self.shared.options.clock.now())
    }

    fn now_ms(&self) -> i64 {
        self.shared.options.clock.now_ms()
    }
}
