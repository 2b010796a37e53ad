//! A message as reporting webhooks tell of it. <https://docs.customer.io/integrations/api/webhooks>

use super::profile::Profile;
use serde_json::{Map, Value, json};

/// `object_type` of a message's webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Email,
    Push,
    InApp,
    Sms,
    Whatsapp,
    Slack,
    Webhook,
}

impl Channel {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Push => "push",
            Self::InApp => "in_app",
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }
}

/// What a message is part of: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentBy {
    Campaign { campaign_id: u64, action_id: u64, trigger_event_id: Option<String> },
    Broadcast { broadcast_id: u64, trigger_id: u64, action_id: u64 },
    Newsletter { newsletter_id: u64, content_id: u64 },
    Transactional { transactional_message_id: u64 },
}

impl Default for SentBy {
    fn default() -> Self {
        Self::Campaign { campaign_id: 7, action_id: 96, trigger_event_id: None }
    }
}

/// A message and what is told of one metric of it. What is `None` is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub sent_by: SentBy,
    /// Made up if it is not given.
    pub delivery_id: Option<String>,
    pub subject: Option<String>,
    /// Of clicks.
    pub href: Option<String>,
    pub link_id: Option<u64>,
    pub machine: Option<bool>,
    /// Of opens.
    pub proxied: Option<bool>,
    pub prefetched: Option<bool>,
    pub synthetic: Option<bool>,
    /// Of failures; push tells it for each device.
    pub failure_message: Option<String>,
    /// Of clicks in the app.
    pub tracked_response: Option<String>,
    /// Rendered content: told of `sent` alone, and only with body content switched on.
    pub content: Option<String>,
}

impl Message {
    /// Campaigns and broadcasts have journeys.
    pub(super) fn in_journey(&self) -> bool {
        match self.sent_by {
            SentBy::Campaign { .. } | SentBy::Broadcast { .. } => true,
            SentBy::Newsletter { .. } | SentBy::Transactional { .. } => false,
        }
    }

    /// `data` without the person and the delivery.
    pub(super) fn data(&self, channel: Channel, metric: &str, profile: Option<&Profile>, with_content: bool) -> Map<String, Value> {
        let mut data = Map::new();
        let parent = match &self.sent_by {
            SentBy::Campaign { campaign_id, action_id, trigger_event_id } => {
                json!({"campaign_id": campaign_id, "action_id": action_id, "trigger_event_id": trigger_event_id})
            }
            SentBy::Broadcast { broadcast_id, trigger_id, action_id } => {
                json!({"broadcast_id": broadcast_id, "trigger_id": trigger_id, "action_id": action_id})
            }
            SentBy::Newsletter { newsletter_id, content_id } => json!({"newsletter_id": newsletter_id, "content_id": content_id}),
            SentBy::Transactional { transactional_message_id } => json!({"transactional_message_id": transactional_message_id}),
        };
        let by_device = match channel {
            Channel::Push => true,
            Channel::Email | Channel::InApp | Channel::Sms | Channel::Whatsapp | Channel::Slack | Channel::Webhook => false,
        };
        let content = self.content.as_ref().filter(|_| with_content && metric == "sent");
        let said = json!({
            "subject": self.subject, "href": self.href, "link_id": self.link_id, "machine": self.machine, "proxied": self.proxied,
            "prefetched": self.prefetched, "synthetic": self.synthetic, "tracked_response": self.tracked_response,
            "failure_message": self.failure_message.as_ref().filter(|_| !by_device), "content": content,
        });
        for (values, keep_null) in [(parent, true), (said, false)] {
            if let Value::Object(values) = values {
                data.extend(values.into_iter().filter(|(_, value)| keep_null || !value.is_null()));
            }
        }
        if by_device {
            let mut device = json!({"device_id": "a-device", "device_platform": "ios"});
            if let Some(known) = profile.and_then(|profile| profile.devices.first()) {
                device = json!({"device_id": known.token, "device_platform": known.platform});
            }
            if let Some(failure) = &self.failure_message {
                device["failure_message"] = json!(failure);
            }
            data.insert("recipients".to_owned(), json!([device]));
        } else if !["attempted", "failed"].contains(&metric)
            && let Some(recipient) = recipient(channel, profile)
        {
            data.insert("recipient".to_owned(), recipient.into());
        }
        data
    }
}

fn recipient(channel: Channel, profile: Option<&Profile>) -> Option<String> {
    let profile = profile?;
    match channel {
        Channel::Email => profile.email.clone(),
        Channel::Sms | Channel::Whatsapp => profile.text("phone"),
        Channel::InApp => profile.id.clone().or_else(|| profile.email.clone()),
        Channel::Slack => Some("#marketing".to_owned()),
        Channel::Webhook => Some("https://hooks.example.com/in".to_owned()),
        Channel::Push => None,
    }
}
