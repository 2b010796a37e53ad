//! What people do in Intercom by hand. Each is a method that changes the world at the clock's time and returns the webhook
//! that Intercom would send. What is done through the API tells of itself in [`Intercom::take_webhooks`].

use super::notices;
use super::shapes;
use super::webhook::Webhook;
use super::world::{
    AiAgent, Author, Consent, Contact, ContactChange, Conversation, ConversationState, Life, NewContact, NewPart, NotInWorld, Priority,
    Rating,
};
use super::{CustomerReopens, Intercom, RatedParts};
use serde_json::json;

impl Intercom {
    /// Returns the contact's id and `contact.user.created` or `contact.lead.created`.
    pub fn create_contact(&self, new: NewContact) -> (String, Webhook) {
        let mut inside = self.shared.inside();
        let contact = inside.world.create_contact(new, self.shared.options.clock.now_ms());
        let webhook = self.shared.about_contact(&mut inside.world, &contact, "created");
        (contact.id, webhook)
    }

    /// Returns `contact.user.updated` or `contact.lead.updated`.
    ///
    /// # Errors
    /// No such contact.
    pub fn update_contact(&self, id: &str, change: ContactChange) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let contact = inside.world.update_contact(id, change, self.shared.options.clock.now_ms())?;
        Ok(self.shared.about_contact(&mut inside.world, &contact, "updated"))
    }

    /// Returns `contact.deleted`.
    ///
    /// # Errors
    /// No such contact.
    pub fn delete_contact(&self, id: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        inside.world.contact(id)?;
        let contact = inside.world.set_life(id, Life::Deleted)?;
        Ok(self.shared.notify(&mut inside.world, "contact.deleted", &notices::ended(&contact, "deleted")))
    }

    /// The contact wants no more e-mail of any kind. Returns `contact.unsubscribed`. (notes 2.4)
    ///
    /// # Errors
    /// No such contact.
    pub fn unsubscribe(&self, id: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let out = |contact: &mut Contact| contact.unsubscribed_from_emails = true;
        let contact = inside.world.edit_contact(id, self.shared.options.clock.now_ms(), out)?;
        Ok(self.shared.consent(&mut inside.world, &contact, None, false))
    }

    /// A lead goes up in a user. Returns `contact.merged`.
    ///
    /// # Errors
    /// No such contact.
    pub fn merge_contacts(&self, lead: &str, into: &str) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let survivor = inside.world.merge_contacts(lead, into, self.shared.options.clock.now_ms())?;
        Ok(self.shared.merged(&mut inside.world, lead, &survivor))
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

    /// A workflow starts a conversation, as it does where a bot asks first. Returns its id and `conversation.user.created`;
    /// which topic Intercom sends then is not documented.
    ///
    /// # Errors
    /// No such contact.
    pub fn open_conversation_as_bot(&self, contact: &str, priority: Priority) -> Result<(String, Webhook), NotInWorld> {
        self.open(contact, Author::Bot, priority, "conversation.user.created")
    }

    /// A teammate tries out what Fin would say, as the contact. Returns its id and `conversation.user.created`.
    /// (schema `ai_agent`, `source_type`)
    ///
    /// # Errors
    /// No such contact.
    pub fn preview_fin(&self, contact: &str) -> Result<(String, Webhook), NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let opened = inside.world.open(contact, Author::Contact(contact.to_owned()), Priority::None, "Hello, I need help", now)?;
        let id = opened.id.to_string();
        let conversation = inside.world.change(&id, now, |conversation| {
            conversation.ai = Some(AiAgent { source_type: "fin_preview", resolution_state: None, rating: None });
        })?;
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(None));
        Ok((id, self.shared.notify(&mut inside.world, "conversation.user.created", &item)))
    }

    /// Fin's part comes to this, in the words of 2.15: `assumed_resolution` after 24 hours of silence, `escalated` and so on. No
    /// webhook: whether one fires at that moment is not documented. The item's own time stays.
    /// <https://www.intercom.com/help/en/articles/8205718>
    ///
    /// # Errors
    /// No such conversation, or Fin took no part.
    pub fn fin_comes_to(&self, conversation: &str, resolution_state: &'static str) -> Result<(), NotInWorld> {
        let mut inside = self.shared.inside();
        let known = inside.world.conversation(conversation)?;
        fin(known)?;
        let at = known.updated_at;
        inside.world.change(conversation, at, |conversation| {
            if let Some(ai) = &mut conversation.ai {
                ai.resolution_state = Some(resolution_state);
            }
        })?;
        Ok(())
    }

    /// The secondary conversation is closed, and the primary goes on. Returns `conversation.admin.closed` of the secondary: which
    /// topic Intercom sends is not documented. The last part's name of the primary is (`merged_primary_conversation`); that of the
    /// secondary is not, programs that read it through the API call it `merged_secondary_conversation`.
    /// <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/mergeconversation>
    ///
    /// # Errors
    /// No such conversations.
    pub fn merge_conversations(&self, secondary: &str, primary: &str) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        self.shared.inside().world.add_part(primary, NewPart::by_hand("merged_primary_conversation", Author::Bot, None), now, |_| {})?;
        self.part(secondary, "conversation.admin.closed", "merged_secondary_conversation", Author::Bot, |conversation| {
            conversation.state = ConversationState::Closed;
            conversation.snoozed_until = None;
            conversation.waiting_since = None;
        })
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
        let from_bot = by == Author::Bot;
        let part_type = if reopens { "open" } else { "comment" };
        let (conversation, part) =
            inside.world.add_part(conversation, NewPart::by_hand(part_type, by, Some(text)), now, |conversation| {
                if reopens {
                    reopened(conversation);
                }
                conversation.waiting_since = from_contact.then_some(conversation.waiting_since.unwrap_or(now));
                if from_bot && conversation.ai.is_none() {
                    conversation.ai = Some(AiAgent { source_type: "workflow", resolution_state: None, rating: None });
                }
                // "Deducted" when the customer comes back. <https://www.intercom.com/help/en/articles/8205718>
                if let Some(ai) = conversation.ai.as_mut().filter(|_| from_contact) {
                    ai.resolution_state = None;
                }
            })?;
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(Some(&part)));
        Ok(topics.iter().map(|topic| self.shared.notify(&mut inside.world, topic, &item)).collect())
    }

    /// Returns `conversation_part.tag.created`. Taking a tag away has no topic.
    ///
    /// # Errors
    /// No such conversation.
    pub fn tag(&self, conversation: &str, name: &str) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let tag = inside.world.tag(name, now);
        let conversation = inside.world.change(conversation, now, |conversation| conversation.put_tag(&tag))?;
        Ok(self.shared.conversation_tagged(&mut inside.world, &conversation, &tag))
    }

    /// The first contact rates the conversation, 1 to 5. Returns `conversation.rating.added`.
    ///
    /// # Errors
    /// No such conversation.
    pub fn rate(&self, conversation: &str, rating: u8, remark: Option<&str>) -> Result<Webhook, NotInWorld> {
        self.rating(conversation, rating, remark, false)
    }

    /// As [`Intercom::rate`], where a workflow asked for it and no teammate took part.
    /// <https://developers.intercom.com/docs/references/2.17/changelog>
    ///
    /// # Errors
    /// No such conversation.
    pub fn rate_for_workflow(&self, conversation: &str, rating: u8) -> Result<Webhook, NotInWorld> {
        self.rating(conversation, rating, None, true)
    }

    /// The customer rates Fin's answers, 1 to 5. Returns `conversation.rating.added`; whether Intercom tells of it is not
    /// documented.
    ///
    /// # Errors
    /// No such conversation, or Fin took no part.
    pub fn rate_fin(&self, conversation: &str, rating: u8) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        fin(inside.world.conversation(conversation)?)?;
        let conversation = inside.world.change(conversation, now, |conversation| {
            if let Some(ai) = &mut conversation.ai {
                ai.rating = Some((rating, now));
            }
        })?;
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(None));
        Ok(self.shared.notify(&mut inside.world, "conversation.rating.added", &item))
    }

    fn rating(&self, conversation: &str, rating: u8, remark: Option<&str>, asked_by_workflow: bool) -> Result<Webhook, NotInWorld> {
        let now = self.now();
        let mut inside = self.shared.inside();
        let conversation = inside.world.change(conversation, now, |conversation| {
            let contact = conversation.contacts.first().cloned().unwrap_or_default();
            conversation.rating =
                Some(Rating { rating, remark: remark.map(str::to_owned), created_at: now, updated_at: now, contact, asked_by_workflow });
        })?;
        let cause = match self.shared.options.variants.rated {
            RatedParts::None => None,
            RatedParts::Last => conversation.parts.last(),
        };
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(cause));
        Ok(self.shared.notify(&mut inside.world, "conversation.rating.added", &item))
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
        Ok(self.shared.notify(&mut inside.world, "conversation.deleted", &item))
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

    /// The person leaves all mail, or wants it again. Returns `contact.unsubscribed` or `contact.subscribed`.
    ///
    /// # Errors
    /// No such contact.
    pub fn choose_mail(&self, contact: &str, wants: bool) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let contact =
            inside.world.edit_contact(contact, self.shared.options.clock.now_ms(), |contact| contact.unsubscribed_from_emails = !wants)?;
        Ok(self.shared.consent(&mut inside.world, &contact, None, wants))
    }

    /// The person chooses one type of subscription, or against it. Returns `granular.subscribe` or `granular.unsubscribe`.
    ///
    /// # Errors
    /// No such contact or type.
    pub fn choose_subscription(&self, contact: &str, kind: &str, wants: bool) -> Result<Webhook, NotInWorld> {
        let mut inside = self.shared.inside();
        let unknown = || NotInWorld { what: "subscription type", id: kind.to_owned() };
        let kind = inside.world.subscription_type(kind).cloned().ok_or_else(unknown)?;
        let contact = inside.world.edit_contact(contact, self.shared.options.clock.now_ms(), |contact| {
            let attached = match kind.consent {
                Consent::OptIn => wants,
                Consent::OptOut => !wants,
            };
            if attached {
                contact.subscriptions.insert(kind.id.clone());
            } else {
                contact.subscriptions.remove(&kind.id);
            }
        })?;
        Ok(self.shared.consent(&mut inside.world, &contact, Some(&kind), wants))
    }

    fn open(&self, contact: &str, by: Author, priority: Priority, topic: &str) -> Result<(String, Webhook), NotInWorld> {
        let mut inside = self.shared.inside();
        let conversation = inside.world.open(contact, by, priority, "Hello, I need help", self.now())?;
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(None));
        let webhook = self.shared.notify(&mut inside.world, topic, &item);
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
        let (conversation, part) = inside.world.add_part(conversation, NewPart::by_hand(part_type, by, None), self.now(), change)?;
        let item = shapes::conversation(&inside.world, &conversation, self.shared.webhook_form(Some(&part)));
        Ok(self.shared.notify(&mut inside.world, topic, &item))
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
        let contact = self.shared.contact_item(&inside.world, inside.world.contact(contact)?);
        let changed = |conversation: &mut Conversation| change(&mut conversation.contacts);
        let (conversation, part) =
            inside.world.add_part(conversation, NewPart::by_hand(part_type, Author::Admin, None), self.now(), changed)?;
        let item = shapes::participants_changed(&inside.world, &conversation, &part, &contact);
        Ok(self.shared.notify(&mut inside.world, topic, &item))
    }

    fn now(&self) -> i64 {
        self.shared.options.clock.now()
    }
}

fn fin(conversation: &Conversation) -> Result<&AiAgent, NotInWorld> {
    conversation.ai.as_ref().ok_or_else(|| NotInWorld { what: "Fin in conversation", id: conversation.id.to_string() })
}

pub(super) fn reopened(conversation: &mut Conversation) {
    conversation.state = ConversationState::Open;
    conversation.snoozed_until = None;
}
