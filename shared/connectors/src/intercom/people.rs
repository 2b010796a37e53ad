//! Notifications about people: who they are, what they are tagged with, what they want to hear of, what they did.
//!
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

use super::OWN_EVENT;
use super::contact::{identifiers, profile, whole_channel};
use super::normalize::{LONGEST_NAME_CHARS, Unusable, read};
use super::topic::{About, Asks};
use super::webhooks::Notification;
use super::wire::{self, BesideContact, Contact, DataEvent, OldUser, SubscriptionType};
use crate::cut::{LONGEST_NAME_BYTES, shortened};
use crate::lenient::{Flat, List, Object, Scalar, Text};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use trefoil_domain::event::{
    Attributes, Behaviour, Channel, Choice, ConsentChange, Event, IdKind, Identifier, Kind, Merged, Profile, Source, Tag, Topic, Value,
};
use trefoil_domain::time::Timestamp;

/// More than any workspace has in use. Taking the first hundred would lose an opt-out silently.
const MOST_SUBSCRIPTION_TYPES: usize = 100;
/// Intercom itself keeps ten.
const MOST_METADATA: usize = 50;
/// Money and links have two.
const MOST_FIELDS: usize = 10;

pub(super) fn people(notification: &Notification<'_>, about: About, item: &RawValue) -> Result<Event, Unusable> {
    let beside: BesideContact<'_> = match about {
        About::Merged | About::Tagged | About::Untagged => read(item)?,
        About::Created | About::Updated | About::SignedUp | About::VisitorSignedUp | About::Deleted | About::Archived | About::Restored => {
            BesideContact::default()
        }
    };
    let contact: Contact<'_> = match about {
        About::Tagged | About::Untagged => beside.contact.0.ok_or(Unusable("no_contact_id"))?,
        About::VisitorSignedUp => visitor(item)?,
        About::Created | About::Updated | About::SignedUp | About::Merged | About::Deleted | About::Archived | About::Restored => {
            read(item)?
        }
    };
    let told_at = notification.time();
    let changed_at = contact.updated_at.0.or(contact.created_at.0).unwrap_or(told_at);
    let tag_id = beside.tag.0.as_ref().and_then(|tag| tag.id.get()).unwrap_or_default().to_owned();
    let (at, kind) = match about {
        About::Created => (contact.created_at.0.unwrap_or(changed_at), Kind::PersonCreated(profile(&contact))),
        About::Updated => (changed_at, Kind::PersonUpdated(profile(&contact))),
        About::SignedUp => (changed_at, Kind::PersonSignedUp(profile(&contact))),
        // Nobody says that nothing was left out of the older model.
        About::VisitorSignedUp => (changed_at, Kind::PersonSignedUp(Profile { whole: false, ..profile(&contact) })),
        About::Merged => {
            let from = beside.merged_from.0.as_ref().and_then(|from| Identifier::new(IdKind::IntercomId, from.id.get()?));
            let from = from.filter(|from| Some(from.value.as_str()) != contact.id.get()).into_iter().collect();
            (told_at, Kind::PersonMerged(Merged { from, profile: profile(&contact) }))
        }
        About::Deleted => (told_at, Kind::PersonDeleted),
        About::Archived => (told_at, Kind::PersonArchived),
        About::Restored => (told_at, Kind::PersonRestored),
        About::Tagged => (beside.created_at.0.unwrap_or(told_at), Kind::PersonTagged(tag(beside.tag.0)?)),
        About::Untagged => (beside.created_at.0.unwrap_or(told_at), Kind::PersonUntagged(tag(beside.tag.0)?)),
    };
    event(notification, &contact, &tag_id, at, kind)
}

fn tag(tag: Option<wire::Tag<'_>>) -> Result<Tag, Unusable> {
    let tag = tag.unwrap_or_default();
    let name = tag.name.get().ok_or(Unusable("no_tag"))?;
    Ok(Tag { id: tag.id.get().map(str::to_owned), name: name.chars().take(LONGEST_NAME_CHARS).collect() })
}

/// A contact as it was called before there were contacts. Intercom makes up a `user_id` for everybody but a user.
fn visitor<'a>(item: &'a RawValue) -> Result<Contact<'a>, Unusable> {
    let who: OldUser<'a> = read(item)?;
    let is_user = who.kind.get() == Some("user") && who.anonymous.0 != Some(true);
    let (external_id, role) = if is_user { (who.user_id, who.kind) } else { (Text::default(), Text::default()) };
    Ok(Contact { external_id, role, ..read(item)? })
}

/// An event about the contact. `beside` is the id of whatever else it is about: it tells apart notifications without an id.
pub(super) fn event(
    notification: &Notification<'_>,
    contact: &Contact<'_>,
    beside: &str,
    occurred_at: Timestamp,
    kind: Kind,
) -> Result<Event, Unusable> {
    let id = contact.id.get().ok_or(Unusable("no_contact_id"))?;
    let ids = identifiers(contact, None);
    if ids.is_empty() {
        return Err(Unusable("no_contact_id"));
    }
    Ok(Event {
        id: notification.event_id(id, beside, &[id]),
        source: Source::Intercom,
        workspace: notification.workspace.clone(),
        occurred_at,
        received_at: notification.now,
        ids,
        person: None,
        origin: None,
        kind,
    })
}

pub(super) fn consent(notification: &Notification<'_>, asks: Asks, item: &RawValue) -> Result<Event, Unusable> {
    let beside: BesideContact<'_> = read(item)?;
    // Below 2.7 it was the bare contact; what `contact.unsubscribed_from_sms` is has never been written down.
    let (contact, asked_at) = match beside.contact.0 {
        Some(contact) => (contact, beside.created_at.0),
        // What has its time there is the contact.
        None => (read(item)?, None),
    };
    let changes = match asks {
        Asks::Email(choice) => {
            let types = types(&beside.subscription_types, choice)?;
            let all = match contact.unsubscribed_from_emails.0 {
                Some(true) => Some(Choice::Out),
                // It was about these alone.
                Some(false) | None if !types.is_empty() => None,
                // Where flag and topic disagree, whichever says no.
                Some(false) | None => Some(choice),
            };
            all.map(|all| whole_channel(Channel::Email, all)).into_iter().chain(types).collect()
        }
        Asks::Types(choice) => types(&beside.subscription_types, choice)?,
        Asks::NoSms => vec![whole_channel(Channel::Sms, Choice::Out)],
    };
    if changes.is_empty() {
        return Err(Unusable("no_subscription_types"));
    }
    let first_type = beside.subscription_types.iter().next().and_then(|kind| kind.id.get()).unwrap_or_default();
    event(notification, &contact, first_type, asked_at.unwrap_or(notification.time()), Kind::ConsentChanged(changes))
}

/// One change for each subscription type and channel.
fn types(types: &List<SubscriptionType<'_>>, choice: Choice) -> Result<Vec<ConsentChange>, Unusable> {
    if types.iter().len() > MOST_SUBSCRIPTION_TYPES {
        return Err(Unusable("over_100_subscription_types"));
    }
    let mut changes = Vec::new();
    for kind in types.iter() {
        let Some(id) = kind.id.get() else { continue };
        let name = kind.default_translation.name.get().map(|name| name.chars().take(LONGEST_NAME_CHARS).collect());
        let topic = Topic { id: id.to_owned(), name };
        changes.extend(channels(kind).into_iter().map(|channel| ConsentChange {
            channel: Some(channel),
            topic: Some(topic.clone()),
            choice,
        }));
    }
    Ok(changes)
}

/// How messages of the type travel. Older payloads do not say, and then there was only mail.
fn channels(kind: &SubscriptionType<'_>) -> BTreeSet<Channel> {
    let words: Vec<Text<'_>> = kind.content_types.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let all: BTreeSet<Channel> = words
        .iter()
        .filter_map(|word| match word.get()? {
            "email" => Some(Channel::Email),
            "sms_message" | "sms" => Some(Channel::Sms),
            _ => Some(Channel::Other),
        })
        .collect();
    let known: BTreeSet<Channel> = all.iter().copied().filter(|channel| *channel != Channel::Other).collect();
    match (known.is_empty(), all.is_empty()) {
        (false, _) => known,
        (true, false) => all,
        (true, true) => BTreeSet::from([Channel::Email]),
    }
}

/// `None` where we wrote the event ourselves.
pub(super) fn behaviour(notification: &Notification<'_>, item: &RawValue) -> Result<Option<Event>, Unusable> {
    let told: DataEvent<'_> = read(item)?;
    let metadata = told.metadata.0.unwrap_or_default();
    if metadata.contains_key(OWN_EVENT) {
        return Ok(None);
    }
    let name: String = told.event_name.get().ok_or(Unusable("no_event_name"))?.chars().take(LONGEST_NAME_CHARS).collect();
    let id = |kind, value: Option<&str>| Identifier::new(kind, value?);
    let intercom_id = id(IdKind::IntercomId, told.intercom_user_id.get());
    // Nothing says whether this is a lead, for whom Intercom makes up a UUID. Where there is a better name, it can do without.
    let user_id = told.user_id.get().filter(|id| intercom_id.is_none() || !is_uuid(id));
    let user_id = user_id.map(Identifier::of_user).into_iter().flatten();
    let mut ids: Vec<Identifier> = intercom_id.into_iter().chain(user_id).collect();
    ids.extend(id(IdKind::Email, told.email.get()).filter(|email| !ids.contains(email)));
    let first = ids.first().ok_or(Unusable("no_contact_id"))?.value.clone();
    let mut attributes = Attributes::new();
    for (key, raw) in metadata.into_iter().filter(|(key, _)| key.len() <= LONGEST_NAME_BYTES).take(MOST_METADATA) {
        attributes.extend(metadatum(raw)?.map(|value| (key, value)));
    }
    Ok(Some(Event {
        id: notification.event_id(told.id.get().unwrap_or_default(), "", &[&first, &name]),
        source: Source::Intercom,
        workspace: notification.workspace.clone(),
        occurred_at: told.created_at.0.unwrap_or(notification.time()),
        received_at: notification.now,
        ids,
        person: None,
        origin: None,
        kind: Kind::Tracked(Behaviour { name, device: None, attributes }),
    }))
}

/// Bare, or money (`amount`, `currency`) or a link (`url`, `value`).
fn metadatum(raw: &RawValue) -> Result<Option<Value>, Unusable> {
    let unreadable = |_| Unusable("unreadable_item");
    let Scalar(bare) = serde_json::from_str(raw.get()).map_err(unreadable)?;
    if let Some(bare) = bare {
        return Ok(Some(shortened(&bare)));
    }
    let Object(fields) = serde_json::from_str::<Object<Flat>>(raw.get()).map_err(unreadable)?;
    let fields = fields.map(|Flat(fields)| fields.into_iter().filter(|(key, _)| key.len() <= LONGEST_NAME_BYTES).take(MOST_FIELDS));
    Ok(fields.map(|fields| Value::Object(fields.map(|(key, value)| (key, shortened(&value))).collect())))
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36 && text.bytes().enumerate().all(|(at, b)| if hyphens.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() })
}
