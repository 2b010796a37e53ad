//! One call: what it must have, and what Segment makes of it before anybody sees it.
//!
//! - <https://www.twilio.com/docs/segment/connections/spec/common>
//! - <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api>
//! - <https://www.twilio.com/docs/segment/unify/product-limits>

use super::variants::{UnreadableTime, Variants};
use serde_json::{Map, Value, json};
use std::fmt;

/// Beyond this an event's properties are dropped. (Rate limits)
const MAX_PROPERTIES: usize = 10_000;
/// "Engage rejects Identify events with 300 or more traits"; other events are dropped with more than 300. (Unify Limits)
const UNIFY_MAX_TRAITS: usize = 300;
/// "Longer than 100 characters" is dropped, by this page; 100 themselves are too many by others. (Unify Limits)
const UNIFY_MAX_MESSAGE_ID: usize = 99;
/// (Unify Limits)
const UNIFY_MAX_GROUP_ID: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Identify,
    Track,
    Page,
    Screen,
    Group,
    Alias,
    /// Only ever sent by Segment.
    Delete,
}

impl Kind {
    /// As `type` has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
            Self::Delete => "delete",
        }
    }

    /// What a client may send.
    pub(crate) fn of_call(word: &str) -> Option<Self> {
        [Self::Identify, Self::Track, Self::Page, Self::Screen, Self::Group, Self::Alias].into_iter().find(|kind| kind.word() == word)
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The Tracking API: what is tested.
    Api,
    /// The customer's own product, by one of the methods of the stand-in.
    App,
    /// Engage, or a deletion: made by Segment itself.
    Segment,
}

/// A message as it is stored and passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub via: Via,
    pub kind: Kind,
    pub id: String,
    /// Unix milliseconds, corrected for the sender's clock.
    pub timestamp_ms: i64,
    /// Unix milliseconds.
    pub received_at_ms: i64,
    /// All of it, with the times that Segment has filled in.
    pub json: Map<String, Value>,
}

impl Message {
    /// Its text at a key of the top level; none if it is absent, empty or no text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.json.get(key)?.as_str().filter(|text| !text.is_empty())
    }
}

/// Something that Segment answered with 200 and that went nowhere, or that profiles never saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub reason: Reason,
    /// The message as it came; for a whole request that is lost, one entry for each of its messages.
    pub json: Value,
}

/// Why a message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    WrongWriteKey,
    OtherRegion,
    ContentType,
    /// More than 2500 in a batch.
    TooManyInBatch,
    /// Not an object.
    NoObject,
    UnknownType,
    /// `no_user_anon_id`
    NoUserOrAnonymousId,
    NoEventName,
    NoGroupId,
    NoPreviousId,
    AliasInBatch,
    TooManyProperties,
    UnreadableTime,
    /// Passed on to destinations; profiles never saw it.
    UnifyMessageIdTooLong,
    /// As above.
    UnifyTooManyTraits,
    /// As above.
    UnifyGroupId,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongWriteKey => "the write key is of no source",
            Self::OtherRegion => "the write key is of a source in the other region",
            Self::ContentType => "the content type is not application/json",
            Self::TooManyInBatch => "there are more than 2500 messages in the batch",
            Self::NoObject => "the message is not an object",
            Self::UnknownType => "the type is none of the calls",
            Self::NoUserOrAnonymousId => "no_user_anon_id",
            Self::NoEventName => "a track call has no event",
            Self::NoGroupId => "a group call has no groupId",
            Self::NoPreviousId => "an alias call has no userId or no previousId",
            Self::AliasInBatch => "an alias call came in a batch",
            Self::TooManyProperties => "there are more than 10,000 traits or properties",
            Self::UnreadableTime => "the timestamp is no ISO 8601 time with a zone",
            Self::UnifyMessageIdTooLong => "Unify: the messageId has 100 characters or more",
            Self::UnifyTooManyTraits => "Unify: there are too many traits or properties",
            Self::UnifyGroupId => "Unify: the groupId is empty or has more than 500 characters",
        })
    }
}

/// Why Segment's API drops a call, if it does.
pub(crate) fn check(call: &Map<String, Value>, variants: &Variants) -> Result<Kind, Reason> {
    let Some(kind) = call.get("type").and_then(Value::as_str).and_then(Kind::of_call) else { return Err(Reason::UnknownType) };
    let has = |key: &str| call.get(key).is_some_and(is_id);
    match kind {
        Kind::Alias if !has("userId") || !has("previousId") => return Err(Reason::NoPreviousId),
        Kind::Alias => {}
        _ if !has("userId") && !has("anonymousId") => return Err(Reason::NoUserOrAnonymousId),
        Kind::Track if !has("event") => return Err(Reason::NoEventName),
        // An empty one is for Unify to drop.
        Kind::Group if !call.get("groupId").is_some_and(|id| id.is_string() || id.is_number()) => return Err(Reason::NoGroupId),
        Kind::Track | Kind::Group | Kind::Identify | Kind::Page | Kind::Screen | Kind::Delete => {}
    }
    if size(call, "properties").max(size(call, "traits")) > MAX_PROPERTIES {
        return Err(Reason::TooManyProperties);
    }
    match variants.unreadable_time {
        UnreadableTime::Lost if given_time(call).is_some_and(|time| millis(time).is_none()) => Err(Reason::UnreadableTime),
        UnreadableTime::Lost | UnreadableTime::Received => Ok(kind),
    }
}

/// Why profiles do not see a message, if they do not.
pub(crate) fn unify_drops(message: &Message) -> Option<Reason> {
    let call = &message.json;
    if message.id.chars().count() > UNIFY_MAX_MESSAGE_ID {
        return Some(Reason::UnifyMessageIdTooLong);
    }
    let most = if message.kind == Kind::Identify { UNIFY_MAX_TRAITS - 1 } else { UNIFY_MAX_TRAITS };
    if size(call, "properties").max(size(call, "traits")) > most {
        return Some(Reason::UnifyTooManyTraits);
    }
    let group = match message.kind {
        Kind::Group => call.get("groupId"),
        // "Or `context.groupId` is empty in a Track call."
        Kind::Track => call.get("context").and_then(|context| context.get("groupId")),
        Kind::Identify | Kind::Page | Kind::Screen | Kind::Alias | Kind::Delete => None,
    };
    let fits = |group: &Value| group.as_str().is_none_or(|id| (1..=UNIFY_MAX_GROUP_ID).contains(&id.chars().count()));
    if group.is_some_and(|group| !fits(group)) { Some(Reason::UnifyGroupId) } else { None }
}

/// Fills in what Segment fills in. The corrected time is "`receivedAt` - (`sentAt` - `originalTimestamp`)"; without `sentAt`
/// there is nothing to correct by. (Spec: Common Fields, "Timestamps in Segment calls")
pub(crate) fn finish(
    mut json: Map<String, Value>,
    kind: Kind,
    via: Via,
    received_at_ms: i64,
    variants: &Variants,
    make_id: impl FnOnce() -> String,
) -> Message {
    let original_ms = given_time(&json).and_then(millis).unwrap_or(received_at_ms);
    let sent_ms = json.get("sentAt").and_then(millis);
    let timestamp_ms = sent_ms.map_or(original_ms, |sent| received_at_ms.saturating_sub(sent.saturating_sub(original_ms)));
    let id = match json.get("messageId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        // "The HTTP API assigns each event a unique messageId." (Handling Duplicate Data)
        None => make_id(),
    };
    json.insert("type".to_owned(), kind.word().into());
    json.insert("messageId".to_owned(), id.as_str().into());
    json.insert("originalTimestamp".to_owned(), iso(original_ms).into());
    json.insert("timestamp".to_owned(), iso(timestamp_ms).into());
    json.insert("receivedAt".to_owned(), iso(received_at_ms).into());
    if sent_ms.is_none() {
        json.remove("sentAt");
        if variants.sent_at_filled {
            json.insert("sentAt".to_owned(), iso(received_at_ms).into());
        }
    }
    if variants.unknown_keys {
        for (key, value) in
            [("projectId", json!("p1a2b3c4")), ("version", json!("1.1")), ("channel", json!("server")), ("_metadata", json!({}))]
        {
            json.entry(key).or_insert(value);
        }
    }
    for key in ["context", "integrations"] {
        if !json.get(key).is_some_and(Value::is_object) {
            json.insert(key.to_owned(), json!({}));
        }
    }
    Message { via, kind, id, timestamp_ms, received_at_ms, json }
}

/// As Segment writes times.
pub(crate) fn iso(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |time| format!("{time:.3}"))
}

/// Unix milliseconds of an ISO 8601 time with a zone.
fn millis(time: &Value) -> Option<i64> {
    time.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// `originalTimestamp` is "the `timestamp` value manually passed in through server-side libraries". (Spec: Common Fields)
fn given_time(call: &Map<String, Value>) -> Option<&Value> {
    ["originalTimestamp", "timestamp"].into_iter().filter_map(|key| call.get(key)).find(|time| !time.is_null())
}

fn is_id(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Number(_) => true,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn size(call: &Map<String, Value>, key: &str) -> usize {
    call.get(key).and_then(Value::as_object).map_or(0, Map::len)
}
