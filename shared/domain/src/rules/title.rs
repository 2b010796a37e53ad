//! What an event about a message is called at Segment.
//!
//! Segment's e-mail spec names six of them, and nobody names those of other channels:
//! <https://segment.com/docs/connections/spec/email/>. Customer.io's own connection names all:
//! <https://docs.customer.io/integrations/data-in/connections/cio-journeys/>.

use crate::config::CampaignNames;
use crate::event::{Channel, Metric};

pub(super) fn title(channel: Channel, metric: Metric, names: CampaignNames) -> String {
    // The one name of the spec without a channel.
    if (channel, metric, names) == (Channel::Email, Metric::Unsubscribed, CampaignNames::SegmentSpec) {
        return "Unsubscribed".to_owned();
    }
    let channel = match channel {
        Channel::Email => "Email",
        Channel::Sms => "SMS",
        Channel::Push => "Push",
        Channel::InApp => "In-App",
        Channel::Whatsapp => "WhatsApp",
        Channel::Slack => "Slack",
        Channel::Webhook => "Webhook",
        Channel::Other => "Message",
    };
    let metric = match metric {
        Metric::Drafted => "Drafted",
        Metric::Attempted => "Attempted",
        Metric::Deferred => "Deferred",
        Metric::Sent => "Sent",
        Metric::Delivered => "Delivered",
        Metric::Opened => "Opened",
        Metric::Clicked => "Link Clicked",
        Metric::Replied => "Replied",
        Metric::Converted => "Converted",
        Metric::Unsubscribed => "Unsubscribed",
        Metric::Bounced => "Bounced",
        Metric::Dropped => "Suppressed",
        Metric::Failed => "Failed",
        Metric::Undeliverable => "Undeliverable",
        Metric::Spammed => "Marked as Spam",
        Metric::Other => "Reported",
    };
    format!("{channel} {metric}")
}
