//! Reporting webhooks: what became of a message, and what a person chose to receive.
//!
//! Whatever is authentic and names somebody becomes an event, also where the vendor has invented a new word for it.
//! <https://docs.customer.io/integrations/api/webhooks>

use super::named::{Delivery, No, identifiers};
use super::wire::{Data, Head, Report};
use crate::cut::cut;
use crate::lenient::{Object, Text};
use crate::preferences::preferences;
use trefoil_domain::event::{Attributes, Channel, Choice, ConsentChange, Event, Kind, MessageReport, Metric, Parent, ParentKind, Value};

const LONGEST_UNKNOWN_CHARS: usize = 100;

/// What a pair of object type and metric is about.
enum About {
    /// All that the person gets.
    Everything(Choice),
    /// Single topics or channels.
    Preferences,
    Message {
        channel: Channel,
        metric: Metric,
        /// The pair, where a part of it is not known.
        unknown: Option<String>,
    },
}

pub(super) fn report(delivery: &Delivery<'_>, head: &Head<'_>, body: &[u8]) -> Result<Vec<Event>, No> {
    let report: Object<Report<'_>> = serde_json::from_slice(body).map_err(|_| No::Unusable("unreadable"))?;
    let Report { timestamp, data } = report.0.unwrap_or_default();
    let data = data.0.unwrap_or_default();
    let about = about(head, &data)?;
    let ids = identifiers(data.identifiers.0.as_ref(), &data.customer_id, &data.email_address);
    if ids.is_empty() {
        return Err(No::Unusable("names_nobody"));
    }
    let at = delivery.credible(timestamp.0).unwrap_or(delivery.now);
    let event = |part, kind| delivery.event(["report", part], at, &ids, kind);
    match about {
        About::Everything(choice) => Ok(vec![event("", Kind::ConsentChanged(vec![ConsentChange { channel: None, topic: None, choice }]))]),
        About::Preferences => {
            // Without body content the vendor tells that they have changed, and not which.
            let changes = preferences(data.content).map_err(No::Unusable)?.ok_or(No::Ignored("preferences_without_content"))?;
            Ok(vec![event("", Kind::ConsentChanged(changes))])
        }
        About::Message { channel, metric, unknown } => {
            let mut events = vec![event("", Kind::Message(message(channel, metric, unknown, &data)))];
            events.extend(opt_out(channel, metric).map(|change| event("consent", Kind::ConsentChanged(vec![change]))));
            Ok(events)
        }
    }
}

/// The object type of a change of subscription is the channel that caused it, so that the pair alone does not tell.
fn about(head: &Head<'_>, data: &Data<'_>) -> Result<About, No> {
    let said = head.metric.get().ok_or(No::Unusable("no_metric"))?;
    let object = head.object_type.get().or(head.object_type_type.get()).unwrap_or("unknown");
    let of_the_person = object == "customer" || (data.email_address.get().is_some() && data.delivery_id.get().is_none());
    Ok(match said {
        "subscribed" => About::Everything(Choice::In),
        "unsubscribed" if of_the_person => About::Everything(Choice::Out),
        // The second is its name in the settings of the webhook.
        "cio_subscription_preferences_changed" | "subscription_preferences_changed" => About::Preferences,
        _ => {
            let channel = Channel::KNOWN.into_iter().find(|channel| channel.as_str() == object);
            let metric = Metric::KNOWN.into_iter().find(|metric| metric.as_str() == said);
            let known = channel.is_some() && metric.is_some();
            let pair = || format!("{object}_{said}").chars().take(LONGEST_UNKNOWN_CHARS).collect();
            About::Message {
                channel: channel.unwrap_or(Channel::Other),
                metric: metric.unwrap_or(Metric::Other),
                unknown: (!known).then(pair),
            }
        }
    })
}

/// What the metric of a message says about the person. Customer.io's `unsubscribed` is one switch for all channels.
fn opt_out(channel: Channel, metric: Metric) -> Option<ConsentChange> {
    let of = |channel| Some(ConsentChange { channel, topic: None, choice: Choice::Out });
    match metric {
        Metric::Unsubscribed => of(None),
        Metric::Spammed => of((channel != Channel::Other).then_some(channel)),
        Metric::Drafted
        | Metric::Attempted
        | Metric::Deferred
        | Metric::Sent
        | Metric::Delivered
        | Metric::Opened
        | Metric::Clicked
        | Metric::Replied
        | Metric::Converted
        | Metric::Bounced
        | Metric::Dropped
        | Metric::Failed
        | Metric::Undeliverable
        | Metric::Other => None,
    }
}

fn message(channel: Channel, metric: Metric, unknown: Option<String>, data: &Data<'_>) -> MessageReport {
    let text = |text: &Text<'_>| text.get().map(|text| cut(text.to_owned()));
    let recipients = || data.recipients.iter();
    MessageReport {
        channel,
        metric,
        unknown,
        // That a proxy fetched an image says nothing: it does so when a human looks as well.
        machine: [&data.machine, &data.prefetched, &data.synthetic].into_iter().any(|flag| flag.truth() == Some(true)),
        delivery_id: text(&data.delivery_id),
        parent: parent(data),
        subject: text(&data.subject),
        link: text(&data.href),
        failure: text(&data.failure_message).or_else(|| recipients().find_map(|recipient| text(&recipient.failure_message))),
        attributes: attributes(data),
    }
}

/// Exactly one kind is said to be there; the others may be null.
fn parent(data: &Data<'_>) -> Option<Parent> {
    let of = |kind, id: &Text<'_>| id.get().filter(|id| *id != "0").map(|id| Parent { kind, id: cut(id.to_owned()) });
    of(ParentKind::Broadcast, &data.broadcast_id)
        .or_else(|| of(ParentKind::Campaign, &data.campaign_id))
        .or_else(|| of(ParentKind::Newsletter, &data.newsletter_id))
        .or_else(|| of(ParentKind::Transactional, &data.transactional_message_id))
}

/// Ids are text, whatever they come as.
fn attributes(data: &Data<'_>) -> Attributes {
    let nothing = Text::default();
    let platform = data.recipients.iter().map(|recipient| &recipient.device_platform).find(|platform| platform.get().is_some());
    let texts = [
        ("action_id", &data.action_id),
        ("parent_action_id", &data.parent_action_id),
        ("journey_id", &data.journey_id),
        ("trigger_id", &data.trigger_id),
        ("trigger_event_id", &data.trigger_event_id),
        ("content_id", &data.content_id),
        ("link_id", &data.link_id),
        ("inbound_event_id", &data.inbound_event_id),
        ("tracked_response", &data.tracked_response),
        ("device_platform", platform.unwrap_or(&nothing)),
    ];
    let flags = [("proxied", &data.proxied), ("prefetched", &data.prefetched), ("synthetic", &data.synthetic)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Value::String(cut(text.get()?.to_owned())))));
    let flags = flags.into_iter().filter_map(|(name, flag)| Some((name, Value::Bool(flag.truth()?))));
    texts.chain(flags).map(|(name, value)| (name.to_owned(), value)).collect()
}
