//! Segment: the HTTP Tracking API over one made-up workspace with Unify, Engage and webhooks. "Notes" are the team's
//! engineering notes on Segment.
//!
//! - Tracking API: <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api>
//! - Messages: <https://www.twilio.com/docs/segment/connections/spec/common>
//! - Webhooks: <https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook>
//!
//! A 200 means next to nothing: see [`Segment::lost`]. Every message, those that were written through the API included, comes
//! back as a webhook, unless its `integrations` say otherwise: whoever writes here hears an echo. Sending webhooks, twice, late,
//! out of order or never, is up to the caller; see [`tries_again`].

mod api;
mod app;
mod destinations;
mod engage;
mod message;
mod variants;
mod webhook;
mod workspace;
mod world;

pub use crate::sender::SendError;
pub use app::{Caller, Library};
pub use destinations::{Native, WebhookKind};
pub use engage::{Audience, IdSync, SentAs};
pub use message::{Kind, Loss, Message, Reason, Via};
pub use variants::{
    Alias, BatchSignature, EmailMessage, Kilobyte, LastWriter, Memory, NativeKind, Success, Unfit, UnreadableTime, UserIds, Variants,
};
pub use webhook::{Webhook, sign, tries_again};
pub use world::{Event, Group, Profile};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::journal::{Journal, Keep, NotInTime};
use crate::sender::Sender;
use crate::server::{Desk, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use workspace::Workspace;

/// "For each workspace, Segment recommends you to not exceed 1,000 requests per second." (HTTP API, Rate limits)
pub const REQUESTS_PER_SECOND: u32 = 1000;

/// How a stand-in is set up. The credentials are the ones that it accepts or signs with.
#[derive(Clone, Debug)]
pub struct Options {
    pub clock: Clock,
    /// Makes ids, and chooses which of them are forgotten. It does not choose `variants`: that is [`Variants::seeded`].
    pub seed: u64,
    pub variants: Variants,
    pub keep: Keep,
    /// User name of the Basic authentication, with an empty password, or `writeKey` in the body.
    pub write_key: String,
    /// A key that is good in the other region only.
    pub other_region_write_key: String,
    /// Requests in one second of the clock, a batch being one: while a manual clock stands still, requests at all.
    pub requests_per_second: u32,
    /// The shared secret of the webhook destination; `""`: webhooks are not signed; `None`: there is no such destination.
    pub webhooks: Option<String>,
    pub webhook_kind: WebhookKind,
    /// Tools that Segment feeds by itself: see [`Segment::forwarded`].
    pub native: BTreeSet<Native>,
    pub id_sync: IdSync,
    /// How long a receiver of webhooks may take to answer, instead of [`WebhookKind::deadline`]: on a busy machine it may need longer.
    pub deadline: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            seed: 1,
            variants: Variants::default(),
            keep: Keep::Everything,
            write_key: "standin-write-key".to_owned(),
            other_region_write_key: "standin-write-key-elsewhere".to_owned(),
            requests_per_second: REQUESTS_PER_SECOND,
            webhooks: Some("standin-shared-secret".to_owned()),
            webhook_kind: WebhookKind::default(),
            native: BTreeSet::new(),
            id_sync: IdSync::default(),
            deadline: None,
        }
    }
}

/// A running stand-in. It stops, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Segment {
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
    workspace: Workspace,
    /// The current second (unix), and the requests in it.
    second: (i64, u32),
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    /// Starts the Tracking API on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let desk = Desk::new(options.clock.clone(), options.keep, api::refuse);
        let inside = Mutex::new(Inside { workspace: Workspace::new(&options), second: (0, 0) });
        let sender = Sender::new(options.deadline.unwrap_or(options.webhook_kind.deadline()));
        let shared = Arc::new(Shared { options, desk: Arc::clone(&desk), inside });
        let server = Server::start(api::routes(Arc::clone(&shared)), desk).await?;
        Ok(Self { shared, server, sender })
    }

    /// Base address without `/v1`, such as `http://127.0.0.1:4714`.
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

    // ------------------------------------------------------------------------------------------ what came of it

    /// Every message that the API accepted, in the order of its coming. What was lost or a repeat is not among them; what
    /// Unify dropped is. Empty with [`Keep::Counters`].
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.shared.inside().workspace.messages.clone()
    }

    /// How many messages the API accepted, by kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        self.shared.inside().workspace.counts.clone()
    }

    /// What was answered with 200 and went nowhere, or never reached a profile.
    #[must_use]
    pub fn lost(&self) -> Vec<Loss> {
        self.shared.inside().workspace.lost.clone()
    }

    /// `messageId`s that had come before, one for each repeat.
    #[must_use]
    pub fn duplicates(&self) -> Vec<String> {
        self.shared.inside().workspace.duplicates.clone()
    }

    /// The profile with this user id.
    #[must_use]
    pub fn profile(&self, user_id: &str) -> Option<Profile> {
        self.shared.inside().workspace.world.profile(user_id)
    }

    /// In the order of their making. Their events are left out with [`Keep::Counters`].
    #[must_use]
    pub fn profiles(&self) -> Vec<Profile> {
        self.shared.inside().workspace.world.profiles()
    }

    #[must_use]
    pub fn group(&self, id: &str) -> Option<Group> {
        self.shared.inside().workspace.world.group(id)
    }

    /// How often an address in `properties` said that two profiles with different user ids are one person. It counts too
    /// where [`UserIds::One`] then kept them apart; never where the space does not read `properties.email`.
    #[must_use]
    pub fn merged_by_accident(&self) -> u64 {
        self.shared.inside().workspace.world.accidents
    }

    /// What Segment itself has told this tool, in order: whatever the product tells it too, is told twice.
    #[must_use]
    pub fn forwarded(&self, native: Native) -> Vec<Message> {
        let inside = self.shared.inside();
        inside.workspace.forwarded.iter().filter(|(to, _)| *to == native).map(|(_, message)| message.clone()).collect()
    }

    // ------------------------------------------------------------------------------------------------- webhooks

    /// One webhook for each message since the last call, in the order of their coming.
    pub fn take_webhooks(&self) -> Vec<Webhook> {
        let (messages, secret) = self.take_outbox();
        messages.iter().map(|message| Webhook::single(message, &secret)).collect()
    }

    /// As [`Segment::take_webhooks`], in arrays of up to `size` messages.
    pub fn batch_webhooks(&self, size: usize) -> Vec<Webhook> {
        let (messages, secret) = self.take_outbox();
        let over = self.shared.options.variants.batch_signature;
        messages.chunks(size.max(1)).map(|messages| Webhook::batch(messages, &secret, over)).collect()
    }

    fn take_outbox(&self) -> (Vec<Message>, String) {
        let messages = std::mem::take(&mut self.shared.inside().workspace.outbox);
        (messages, self.shared.options.webhooks.clone().unwrap_or_default())
    }

    /// Posts a webhook as Segment does and returns the status of the answer. Trying again is up to the caller: see
    /// [`tries_again`].
    ///
    /// # Errors
    /// There was no answer, or none in time.
    pub async fn send(&self, url: &str, webhook: &Webhook) -> Result<u16, SendError> {
        let kind = self.shared.options.webhook_kind;
        let mut headers = vec![("User-Agent", kind.user_agent())];
        headers.extend(webhook.signature.as_deref().map(|signature| ("X-Signature", signature)));
        self.sender.post(url, &headers, webhook.body.clone()).await
    }
}
