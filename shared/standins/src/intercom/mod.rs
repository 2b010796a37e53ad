//! Intercom: a small world of contacts and conversations, the webhooks that tell of it, and the REST API that looks it
//! up (`GET /me`, `/contacts/{id}`, `/conversations/{id}`).
//!
//! - Webhooks: <https://developers.intercom.com/docs/references/webhooks/webhook-models>
//! - REST: <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io>
//!
//! Each thing that happens is a method here. It changes the world at the clock's time and returns the webhook that
//! Intercom would send, signed; sending it, twice, late or never is up to the caller.

mod rest;
mod shapes;
mod variants;
mod webhook;
mod world;

pub use shapes::ApiVersion;
pub use variants::{CustomerReopens, MergedContact, RatedParts, Redelivery, TaggedShape, Variants};
pub use webhook::{DEADLINE, SendError, USER_AGENT, Webhook, sign};
pub use world::{
    Author, Contact, ContactChange, Conversation, ConversationState, Life, NewContact, NotInWorld, Part, Priority, Rating, Role, Tag,
};

use crate::clock::Clock;
use crate::fault::Faults;
use crate::journal::{Journal, Keep, NotInTime};
use crate::server::{Desk, Server};
use serde_json::{Value, json};
use shapes::Form;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use webhook::Sender;
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
        let inside = Mutex::new(Inside { world: World::new(options.seed), window: (0, 0) });
        let shared = Arc::new(Shared { options, desk: Arc::clone(&desk), inside });
        let server = Server::start(rest::routes(Arc::clone(&shared)), desk).await?;
        Ok(Self { shared, server, sender: Sender::new() })
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
        self.sender.send(url, webhook).await
    }

    /// The second delivery of a notification.
    #[must_use]
    pub fn redelivery(&self, webhook: &Webhook) -> Webhook {
        let new_id = match self.shared.options.variants.redelivery {
            Redelivery::SameId => None,
            Redelivery::NewId => Some(notification_id(&mut self.shared.inside().world)),
        };
        webhook.again(new_id, &self.shared.options.client_secret)
    }

    /// The notification that Intercom sends to try a subscription.
    #[must_use]
    pub fn ping(&self) -> Webhook {
        let item = json!({"type": "ping", "message": "something something interzen"});
        Webhook::new("ping", None, &self.shared.options.app_id, &item, self.now(), &self.shared.options.client_secret)
    }

    // ---------------------------------------------------------------------------------------------- the world

    /// A contact in whatever state of its life.
    #[must_use]
    pub fn contact(&self, id: &str) -> Option<Contact> {
        self.shared.inside().world.any_contact(id).cloned()
    }

    #[must_use]
    pub fn conversation(&self, id: &str) -> Option<Conversation> {
        self.shared.inside().world.conversation(id).ok().cloned()
    }

    /// Returns the contact's id and `contact.user.created` or `contact.lead.created`.
    pub fn create_contact(&self, new: NewContact) -> (String, Webhook) {
        let mut inside = self.shared.inside();
        let contact = inside.world.create_contact(new, self.shared.options.clock.now_ms());
        let webhook = self.about_contact(&mut inside.world, &contact, "created");
        (contact.id, webhook)
    }

    /// A contact that is there already, under an id that is known beforehand and that no other contact has.
    pub fn add_contact_as(&self, id: &str, new: NewContact) {
        self.shared.inside().world.create_contact_as(id.to_owned(), new, self.shared.options.clock.now_ms());
    }

    /// Returns `contact.user.updated` or `contact.lead.updated`.
    ///
    /// # Errors
    /// No such contact.
    pub fn update_contact(&self, id: &str, change: ContactChange) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let contact = inside.world.update_contact(id, change, self.shared.options.clock.now_ms())?;
        Ok(self.about_contact(&mut inside.world, &contact, "updated"))
    }

    /// Returns `contact.deleted`.
    ///
    /// # Errors
    /// No such contact.
    pub fn delete_contact(&self, id: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let contact = inside.world.delete_contact(id)?;
        let item = json!({"type": "contact", "id": contact.id, "external_id": contact.external_id, "deleted": true});
        Ok(self.notify(&mut inside.world, "contact.deleted", &item))
    }

    /// A lead goes up in a user. Returns `contact.merged`.
    ///
    /// # Errors
    /// No such contact.
    pub fn merge_contacts(&self, lead: &str, into: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let survivor = inside.world.merge_contacts(lead, into, self.shared.options.clock.now_ms())?;
        let mut item = shapes::contact(&survivor, &self.shared.options.app_id, self.webhook_form(None));
        if self.shared.options.variants.merged_from {
            item["merged_from"] = json!({"type": "contact", "id": lead});
        }
        Ok(self.notify(&mut inside.world, "contact.merged", &item))
    }

    /// The contact starts a conversation. Returns its id and `conversation.user.created`.
    ///
    /// # Errors
    /// No such contact.
    pub fn open_conversation(&self, contact: &str, priority: Priority) -> Result<(String, Webhook), NotInWorld> {
        self.open(contact, Author::Contact(contact.to_owned()), priority, "conversation.user.created")
    }

    /// The teammate starts a conversation. Returns its id and `conversation.admin.single.created`.
    ///
    /// # Errors
    /// No such contact.
    pub fn open_conversation_as_teammate(&self, contact: &str, priority: Priority) -> Result<(String, Webhook), NotInWorld> {
        self.open(contact, Author::Admin, priority, "conversation.admin.single.created")
    }

    /// Returns `conversation.admin.closed`, also if Fin closes; whether Intercom does so then is not documented.
    ///
    /// # Errors
    /// No such conversation.
    pub fn close(&self, conversation: &str, by: Author) -> Result<Webhook, NotInWorld> {
        self.part(conversation, "conversation.admin.closed", "close", by, |conversation| {
            conversation.state = ConversationState::Closed;
            conversation.snoozed_until = None;
            conversation.waiting_since = None;
        })
    }

    /// The teammate opens it again. Returns `conversation.admin.opened`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn reopen(&self, conversation: &str) -> Result<Webhook, NotInWorld> {
        self.part(conversation, "conversation.admin.opened", "open", Author::Admin, reopened)
    }

    /// `until` is in unix seconds. Returns `conversation.admin.snoozed`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn snooze(&self, conversation: &str, until: i64) -> Result<Webhook, NotInWorld> {
        self.part(conversation, "conversation.admin.snoozed", "snoozed", Author::Admin, |conversation| {
            conversation.state = ConversationState::Snoozed;
            conversation.snoozed_until = Some(until);
        })
    }

    /// The snooze ends. Returns `conversation.admin.unsnoozed`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn unsnooze(&self, conversation: &str) -> Result<Webhook, NotInWorld> {
        self.part(conversation, "conversation.admin.unsnoozed", "open", Author::Admin, reopened)
    }

    /// Returns `conversation.user.replied`, `conversation.admin.replied`, or for Fin both `conversation.operator.replied`
    /// and `conversation.admin.replied`. A contact's reply opens a closed or snoozed conversation again, by
    /// [`Variants::customer_reopens`] with `conversation.admin.opened` in addition.
    ///
    /// # Errors
    /// No such conversation.
    pub fn reply(&self, conversation: &str, by: Author, text: &str) -> Result<Vec<Webhook>, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let reopens = matches!(by, Author::Contact(_)) && inside.world.conversation(conversation)?.state != ConversationState::Open;
        let topics: &[&str] = match (&by, reopens, self.shared.options.variants.customer_reopens) {
            (Author::Contact(_), true, CustomerReopens::RepliedAndOpened) => &["conversation.user.replied", "conversation.admin.opened"],
            (Author::Contact(_), ..) => &["conversation.user.replied"],
            (Author::Admin, ..) => &["conversation.admin.replied"],
            (Author::Bot, ..) => &["conversation.operator.replied", "conversation.admin.replied"],
        };
        let from_contact = matches!(by, Author::Contact(_));
        let part_type = if reopens { "open" } else { "comment" };
        let (conversation, part) = inside.world.add_part(conversation, part_type, by, Some(text), now, |conversation| {
            if reopens {
                reopened(conversation);
            }
            conversation.waiting_since = from_contact.then_some(conversation.waiting_since.unwrap_or(now));
        })?;
        let item = shapes::conversation(&inside.world, &conversation, self.webhook_form(Some(&part)));
        Ok(topics.iter().map(|topic| self.notify(&mut inside.world, topic, &item)).collect())
    }

    /// Returns `conversation_part.tag.created`. Taking a tag away has no topic.
    ///
    /// # Errors
    /// No such conversation.
    pub fn tag(&self, conversation: &str, name: &str) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let tag = inside.world.tag(name, now);
        let conversation = inside.world.change(conversation, now, |conversation| {
            if !conversation.tags.iter().any(|known| known.id == tag.id) {
                conversation.tags.push(tag.clone());
            }
        })?;
        let mut item = shapes::conversation(&inside.world, &conversation, self.webhook_form(conversation.parts.last()));
        let added = json!({"type": "tag", "id": tag.id, "name": tag.name});
        let item = match self.shared.options.variants.tagged {
            TaggedShape::TagsAdded => {
                item["tags_added"] = json!({"type": "tag.list", "tags": [added]});
                item
            }
            TaggedShape::ConversationAndTag => json!({"conversation": item, "tag": added}),
        };
        Ok(self.notify(&mut inside.world, "conversation_part.tag.created", &item))
    }

    /// The first contact rates the conversation, 1 to 5. Returns `conversation.rating.added`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn rate(&self, conversation: &str, rating: u8, remark: Option<&str>) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let conversation = inside.world.change(conversation, now, |conversation| {
            let contact = conversation.contacts.first().cloned().unwrap_or_default();
            conversation.rating = Some(Rating { rating, remark: remark.map(str::to_owned), created_at: now, updated_at: now, contact });
        })?;
        let cause = match self.shared.options.variants.rated {
            RatedParts::None => None,
            RatedParts::Last => conversation.parts.last(),
        };
        let item = shapes::conversation(&inside.world, &conversation, self.webhook_form(cause));
        Ok(self.notify(&mut inside.world, "conversation.rating.added", &item))
    }

    /// Returns `conversation.priority.updated`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn set_priority(&self, conversation: &str, priority: Priority) -> Result<Webhook, NotInWorld> {
        self.part(conversation, "conversation.priority.updated", "priority_changed", Author::Admin, |conversation| {
            conversation.priority = priority;
        })
    }

    /// Returns `conversation.deleted`, which names no contact.
    ///
    /// # Errors
    /// No such conversation.
    pub fn delete(&self, conversation: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let conversation = inside.world.delete(conversation)?;
        let item = json!({"type": "conversation", "conversation_id": conversation.id.to_string()});
        Ok(self.notify(&mut inside.world, "conversation.deleted", &item))
    }

    /// Returns `conversation.contact.attached`.
    ///
    /// # Errors
    /// No such conversation or contact.
    pub fn attach(&self, conversation: &str, contact: &str) -> Result<Webhook, NotInWorld> {
        self.participants(conversation, contact, "conversation.contact.attached", "participant_added", |contacts| {
            if !contacts.iter().any(|known| known == contact) {
                contacts.push(contact.to_owned());
            }
        })
    }

    /// Returns `conversation.contact.detached`.
    ///
    /// # Errors
    /// No such conversation or contact.
    pub fn detach(&self, conversation: &str, contact: &str) -> Result<Webhook, NotInWorld> {
        self.participants(conversation, contact, "conversation.contact.detached", "participant_removed", |contacts| {
            contacts.retain(|known| known != contact);
        })
    }

    // ------------------------------------------------------------------------------------------------- inside

    fn open(&self, contact: &str, by: Author, priority: Priority, topic: &str) -> Result<(String, Webhook), NotInWorld> {
        let mut inside = self.shared.inside();
        let conversation = inside.world.open(contact, by, priority, "Hello, I need help", self.now())?;
        let item = shapes::conversation(&inside.world, &conversation, self.webhook_form(None));
        let webhook = self.notify(&mut inside.world, topic, &item);
        Ok((conversation.id.to_string(), webhook))
    }

    fn part(
        &self,
        conversation: &str,
        topic: &str,
        part_type: &'static str,
        by: Author,
        change: impl FnOnce(&mut Conversation),
    ) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let (conversation, part) = inside.world.add_part(conversation, part_type, by, None, self.now(), change)?;
        let item = shapes::conversation(&inside.world, &conversation, self.webhook_form(Some(&part)));
        Ok(self.notify(&mut inside.world, topic, &item))
    }

    fn participants(
        &self,
        conversation: &str,
        contact: &str,
        topic: &str,
        part_type: &'static str,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let contact = shapes::contact(inside.world.contact(contact)?, &self.shared.options.app_id, self.webhook_form(None));
        let changed = |conversation: &mut Conversation| change(&mut conversation.contacts);
        let (conversation, part) = inside.world.add_part(conversation, part_type, Author::Admin, None, self.now(), changed)?;
        let item = shapes::participants_changed(&inside.world, &conversation, &part, &contact);
        Ok(self.notify(&mut inside.world, topic, &item))
    }

    fn about_contact(&self, world: &mut World, contact: &Contact, what: &str) -> Webhook {
        let item = shapes::contact(contact, &self.shared.options.app_id, self.webhook_form(None));
        self.notify(world, &format!("contact.{}.{what}", contact.role.as_str()), &item)
    }

    fn notify(&self, world: &mut World, topic: &str, item: &Value) -> Webhook {
        let id = notification_id(world);
        Webhook::new(topic, Some(id), &self.shared.options.app_id, item, self.now(), &self.shared.options.client_secret)
    }

    fn webhook_form<'a>(&self, cause: Option<&'a Part>) -> Form<'a> {
        Form::Webhook(self.shared.options.api_version, cause)
    }

    fn now(&self) -> i64 {
        self.shared.options.clock.now()
    }
}

fn reopened(conversation: &mut Conversation) {
    conversation.state = ConversationState::Open;
    conversation.snoozed_until = None;
}

fn notification_id(world: &mut World) -> String {
    format!("notif_{}", world.seeded.uuid())
}
