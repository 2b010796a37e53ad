//! Intercom: a small world of contacts, conversations, companies and tickets, the webhooks that tell of it, and the REST
//! API that looks it up and writes to it. "Notes" with a number are the team's engineering notes on Intercom.
//!
//! - Webhooks: <https://developers.intercom.com/docs/references/webhooks/webhook-models>
//! - REST: <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io>
//!
//! Each thing that people do is a method in `happenings`. It changes the world at the clock's time and returns the webhook
//! that Intercom would send, signed. What the API does leaves its webhooks in [`Intercom::take_webhooks`]. Sending them,
//! twice, late or never is up to the caller.

mod happenings;
mod looks;
mod notices;
mod rest;
mod shapes;
mod variants;
mod webhook;
mod world;

pub use crate::sender::SendError;
pub use shapes::{APP_PACKAGE_CODE, ApiVersion};
pub use variants::{
    CustomerReopens, InApp, LongText, MergedContact, RatedParts, Redelivery, RefusedAs, RoleByUpdate, TaggedShape, Variants,
};
pub use webhook::{DEADLINE, USER_AGENT, Webhook, sign};
pub use world::{
    AiAgent, Assignee, Author, Company, Consent, Contact, ContactChange, Conversation, ConversationState, DataAttribute, DataEvent,
    DataType, Life, Message, Model, NewContact, NotInWorld, Note, Part, Priority, Rating, Role, SubscriptionType, Tag, Ticket, TicketPart,
    TicketState, TicketType,
};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::journal::{Journal, Keep, NotInTime};
use crate::sender::Sender;
use crate::server::{Desk, Server};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use world::World;

/// 10,000 calls a minute, enforced in windows of 10 seconds. (Rate limiting)
pub const REQUESTS_PER_WINDOW: u32 = 1666;

/// How a stand-in is set up. The credentials are the ones that it accepts or signs with.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// Makes ids. It does not choose `variants`: that is [`Variants::seeded`].
    pub seed: u64,
    pub variants: Variants,
    pub keep: Keep,
    /// The workspace: `app_id` of webhooks, `app.id_code` of `GET /me`.
    pub app_id: String,
    pub access_token: String,
    /// Signs webhooks.
    pub client_secret: String,
    /// The app's version in the Developer Hub: it shapes the webhooks.
    pub api_version: ApiVersion,
    /// Refuses REST requests without `Intercom-Version`, where Intercom would answer in the app's version.
    pub version_required: bool,
    /// `US`, `EU` or `AU`, as `GET /me` tells it.
    pub region: String,
    /// As `GET /me` tells it.
    pub timezone: String,
    /// REST requests in 10 seconds.
    pub requests_per_window: u32,
    /// Custom attributes that exist from the start; see also [`Intercom::add_attribute`].
    pub attributes: Vec<DataAttribute>,
    /// Ids of the teammates that REST writes may name.
    pub admins: Vec<u64>,
    /// Ids of the teams that things can be assigned to.
    pub teams: Vec<u64>,
    /// Whatever a request names of what people set up (attributes, teammates, teams, types of ticket) is there: for whoever wants
    /// to see requests rather than refusals.
    pub has_everything: bool,
    /// How long a receiver of webhooks may take to answer, instead of [`DEADLINE`]: on a busy machine it may need longer.
    pub deadline: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            seed: 1,
            variants: Variants::default(),
            keep: Keep::Everything,
            app_id: "abc123def".to_owned(),
            access_token: "standin-access-token".to_owned(),
            client_secret: "standin-client-secret".to_owned(),
            api_version: ApiVersion::V2_16,
            version_required: true,
            region: "US".to_owned(),
            timezone: "America/Los_Angeles".to_owned(),
            requests_per_window: REQUESTS_PER_WINDOW,
            attributes: Vec::new(),
            admins: vec![world::ADMIN_ID],
            teams: vec![814_865],
            has_everything: false,
            deadline: None,
        }
    }
}

/// A running stand-in. It stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Intercom {
    shared: Arc<Shared>,
    server: Server,
    sender: Sender,
}

#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    desk: Arc<Desk>,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
pub(crate) struct Inside {
    world: World,
    /// End of the current rate window (unix seconds), and the requests in it.
    window: (i64, u32),
    /// What the API did and nobody has taken yet, in the order of its making.
    outbox: Vec<Webhook>,
}

impl Options {
    pub(crate) fn has_admin(&self, id: u64) -> bool {
        self.has_everything || self.admins.contains(&id)
    }

    pub(crate) fn has_team(&self, id: u64) -> bool {
        self.has_everything || self.teams.contains(&id)
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercom {
    /// Starts the REST API on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let desk = Desk::new(options.clock.clone(), options.keep, rest::refuse);
        let mut world = World::new(options.seed);
        world.attributes.clone_from(&options.attributes);
        let inside = Mutex::new(Inside { world, window: (0, 0), outbox: Vec::new() });
        let shared = Arc::new(Shared { options, desk: Arc::clone(&desk), inside });
        let server = Server::start(rest::routes(Arc::clone(&shared)), desk).await?;
        let sender = Sender::new(shared.options.deadline.unwrap_or(DEADLINE));
        Ok(Self { shared, server, sender })
    }

    /// Base address of the REST API, such as `http://127.0.0.1:4713`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

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

    /// Posts a webhook as Intercom does and returns the status of the answer. Trying again after a failure, which
    /// Intercom does once after a minute, is up to the caller: see [`Intercom::redelivery`].
    ///
    /// # Errors
    /// There was no answer, or none within 5 seconds.
    pub async fn send(&self, url: &str, webhook: &Webhook) -> Result<u16, SendError> {
        let headers = [("User-Agent", USER_AGENT), ("X-Hub-Signature", webhook.signature.as_str())];
        self.sender.post(url, &headers, webhook.body.clone()).await
    }

    /// The second delivery of a notification.
    #[must_use]
    pub fn redelivery(&self, webhook: &Webhook) -> Webhook {
        let new_id = match self.shared.options.variants.redelivery {
            Redelivery::SameId => None,
            Redelivery::NewId => Some(notices::notification_id(&mut self.shared.inside().world)),
        };
        webhook.again(new_id, &self.shared.options.client_secret)
    }

    /// The notification that Intercom sends to try a subscription.
    #[must_use]
    pub fn ping(&self) -> Webhook {
        let item = json!({"type": "ping", "message": "something something interzen"});
        Webhook::new("ping", None, &self.shared.options.app_id, &item, self.shared.options.clock.now(), &self.shared.options.client_secret)
    }

    /// The webhooks of what the API has done since the last call, in the order of its doing.
    pub fn take_webhooks(&self) -> Vec<Webhook> {
        std::mem::take(&mut self.shared.inside().outbox)
    }
}
