//! The webhooks of what happened, whether by hand or through the API. (notes 1.5, 1.6)

use super::Shared;
use super::shapes::{self, Form};
use super::variants::TaggedShape;
use super::webhook::Webhook;
use super::world::{Contact, Conversation, Part, SubscriptionType, Tag, World};
use serde_json::{Value, json};

impl Shared {
    pub(super) fn notify(&self, world: &mut World, topic: &str, item: &Value) -> Webhook {
        let id = notification_id(world);
        Webhook::new(topic, Some(id), &self.options.app_id, item, self.options.clock.now(), &self.options.client_secret)
    }

    pub(super) fn webhook_form<'a>(&self, cause: Option<&'a Part>) -> Form<'a> {
        Form::Webhook(self.options.api_version, cause)
    }

    pub(super) fn contact_item(&self, world: &World, contact: &Contact) -> Value {
        shapes::contact(world, contact, &self.options.app_id, self.webhook_form(None))
    }

    /// `contact.user.<what>` or `contact.lead.<what>`.
    pub(super) fn about_contact(&self, world: &mut World, contact: &Contact, what: &str) -> Webhook {
        let item = self.contact_item(world, contact);
        self.notify(world, &format!("contact.{}.{what}", contact.role.as_str()), &item)
    }

    pub(super) fn merged(&self, world: &mut World, lead: &str, survivor: &Contact) -> Webhook {
        let mut item = self.contact_item(world, survivor);
        if self.options.variants.merged_from {
            item["merged_from"] = json!({"type": "contact", "id": lead});
        }
        self.notify(world, "contact.merged", &item)
    }

    /// `contact.user.tag.<what>`, with the whole contact as it is after that.
    pub(super) fn contact_tag(&self, world: &mut World, contact: &Contact, tag: &Tag, what: &str) -> Webhook {
        let mut item = json!({"type": "contact_tag", "tag": {"type": "tag", "id": tag.id, "name": tag.name},
                              "contact": self.contact_item(world, contact)});
        if self.options.variants.contact_tag_time {
            item["created_at"] = json!(self.options.clock.now());
        }
        self.notify(world, &format!("contact.{}.tag.{what}", contact.role.as_str()), &item)
    }

    /// `contact.unsubscribed` and `.subscribed` without a type of subscription, `granular.unsubscribe` and `.subscribe`
    /// with one.
    pub(super) fn consent(&self, world: &mut World, contact: &Contact, kind: Option<&SubscriptionType>, wants: bool) -> Webhook {
        let (topic, composite) = match (kind, wants) {
            (None, false) => ("contact.unsubscribed", "contact_unsubscribe"),
            (None, true) => ("contact.subscribed", "contact_subscribe"),
            (Some(_), false) => ("granular.unsubscribe", "granular_unsubscribe"),
            (Some(_), true) => ("granular.subscribe", "granular_subscribe"),
        };
        let types: Vec<Value> = kind.into_iter().map(shapes::subscription_type).collect();
        let item = json!({"type": composite, "contact": self.contact_item(world, contact),
                          "subscription_types": {"type": "list", "data": types}, "created_at": self.options.clock.now()});
        self.notify(world, topic, &item)
    }

    pub(super) fn conversation_tagged(&self, world: &mut World, conversation: &Conversation, tag: &Tag) -> Webhook {
        let mut item = shapes::conversation(world, conversation, self.webhook_form(conversation.parts.last()));
        let added = json!({"type": "tag", "id": tag.id, "name": tag.name});
        let item = match self.options.variants.tagged {
            TaggedShape::TagsAdded => {
                item["tags_added"] = json!({"type": "tag.list", "tags": [added]});
                item
            }
            TaggedShape::ConversationAndTag => json!({"conversation": item, "tag": added}),
        };
        self.notify(world, "conversation_part.tag.created", &item)
    }
}

/// `{type,id,external_id,deleted:true}`, or `archived`. (notes 1.7)
pub(super) fn ended(contact: &Contact, how: &str) -> Value {
    json!({"type": "contact", "id": contact.id, "external_id": contact.external_id, how: true})
}

pub(super) fn notification_id(world: &mut World) -> String {
    format!("notif_{}", world.seeded.uuid())
}
