//! One message as the Tracking API wants it, and whether it can be sent at all: Segment answers 200 to most of what it will
//! lose. <https://segment.com/docs/connections/spec/>

use super::ORIGIN_KEY;
use serde::Serialize;
use serde_json::{Map, json};
use trefoil_domain::action::SegmentVerb;
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::id::Digest;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::SegmentMessage;
use trefoil_domain::time::Timestamp;

/// The vendor says 32 KB, without saying which.
const MOST_BYTES: usize = 32_000;
/// Segment's profiles drop a message with more without a word.
const MOST_VALUES: usize = 300;
/// As [`MOST_VALUES`].
const MOST_GROUP_ID_CHARS: usize = 500;
/// As [`MOST_VALUES`]; it must have fewer.
const MOST_MESSAGE_ID_CHARS: usize = 99;

/// What Segment would pass our messages on to: Trefoil itself carries between these. Each of Segment's destinations for them
/// goes by another name.
const NOT_TO: [&str; 7] = [
    "Customer.io",
    "Customer.io (Actions)",
    "Actions Customerio",
    "Customer.io Actions",
    "Intercom",
    "Intercom Cloud Mode (Actions)",
    "Intercom Web (Actions)",
];

/// Segment joins profiles by it, wherever it stands.
const EMAIL: &str = "email";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a str>,
    message_id: String,
    /// Of the fact. There is no `originalTimestamp`: with one, Segment would correct this for a clock of ours.
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Map<String, Value>>,
    context: Value,
    integrations: Map<String, Value>,
    /// Of a message that goes alone; a batch has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
}

/// Keeps the message ids of one source apart from all others: Segment compares them over every workspace that it has, so that
/// two deployments that hear the same would silence each other.
pub(super) fn namespace(write_key: &str) -> String {
    let mut hex = Digest::new("segment_source").with(write_key).hex();
    hex.truncate(8);
    hex
}

/// It must go alone: batches do not take it.
pub(super) fn goes_alone(message: &SegmentMessage) -> bool {
    match message.what {
        SegmentVerb::Alias { .. } => true,
        SegmentVerb::Identify { .. } | SegmentVerb::Track { .. } | SegmentVerb::Group { .. } => false,
    }
}

/// ISO 8601 in UTC with milliseconds; `None` beyond the years that it can say.
pub(super) fn iso(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.millis()).ok().map(|at| format!("{at:.3}"))
}

/// The message as it would be sent in a batch; `None`: it can never be. For whoever measures or shows what goes out.
pub fn as_sent(message: &SegmentMessage, now: Timestamp) -> Option<String> {
    render(message, "0", now).ok()
}

/// The message as JSON.
///
/// # Errors
/// It can never be sent: the outcome says why.
pub(super) fn render(message: &SegmentMessage, namespace: &str, now: Timestamp) -> Result<String, Outcome> {
    let named = |id: &'_ Option<String>| id.as_ref().is_some_and(|id| !id.trim().is_empty());
    if !named(&message.user_id) && !named(&message.anonymous_id) {
        return Err(Outcome::rejected("names_nobody", ""));
    }
    let out_of_range = || Outcome::rejected("time_out_of_range", "");
    let mut wire = Wire {
        kind: "identify",
        user_id: message.user_id.as_deref().filter(|id| !id.trim().is_empty()),
        anonymous_id: message.anonymous_id.as_deref().filter(|id| !id.trim().is_empty()),
        message_id: format!("trefoil-{namespace}-{}", message.id),
        timestamp: iso(message.at).ok_or_else(out_of_range)?,
        event: None,
        group_id: None,
        previous_id: None,
        traits: None,
        properties: None,
        context: Value::Null,
        integrations: NOT_TO.iter().map(|name| ((*name).to_owned(), Value::Bool(false))).collect(),
        sent_at: None,
    };
    if wire.message_id.chars().count() > MOST_MESSAGE_ID_CHARS {
        return Err(Outcome::rejected("message_id_too_long", format!("at most {MOST_MESSAGE_ID_CHARS} characters are allowed")));
    }
    let email = message.email.as_deref();
    let mut left_out = 0;
    let mut told_beside = email;
    match &message.what {
        SegmentVerb::Identify { traits } => {
            // Of an identify, fewer than that.
            let room = MOST_VALUES - 1 - usize::from(email.is_some());
            let mut traits = fitting(traits.iter().filter(|(name, _)| *name != EMAIL), room, &mut left_out);
            traits.extend(told_beside.take().map(|email| (EMAIL.to_owned(), email.into())));
            wire.traits = Some(traits);
        }
        SegmentVerb::Track { name, properties } => {
            if name.trim().is_empty() {
                return Err(Outcome::rejected("no_event_name", ""));
            }
            (wire.kind, wire.event) = ("track", Some(name.as_str()));
            wire.properties = Some(fitting(without_others(properties, email), MOST_VALUES, &mut left_out));
        }
        SegmentVerb::Group { group_id, traits } => {
            if group_id.trim().is_empty() || group_id.chars().nth(MOST_GROUP_ID_CHARS).is_some() {
                return Err(Outcome::rejected("group_id_length", format!("1 to {MOST_GROUP_ID_CHARS} characters are allowed")));
            }
            (wire.kind, wire.group_id) = ("group", Some(group_id.as_str()));
            wire.traits = Some(fitting(without_others(traits, email), MOST_VALUES, &mut left_out));
        }
        SegmentVerb::Alias { previous_id } => {
            if wire.user_id.is_none() {
                return Err(Outcome::rejected("no_user_id", ""));
            }
            if previous_id.trim().is_empty() {
                return Err(Outcome::rejected("no_previous_id", ""));
            }
            (wire.kind, wire.previous_id, wire.anonymous_id) = ("alias", Some(previous_id.as_str()), None);
            wire.sent_at = Some(iso(now).ok_or_else(out_of_range)?);
            told_beside = None;
        }
    }
    let mut context = json!({
        "library": {"name": "trefoil", "version": env!("CARGO_PKG_VERSION")},
        ORIGIN_KEY: {"origin": message.origin.name()},
    });
    if let Some(email) = told_beside {
        context["traits"] = json!({EMAIL: email});
    }
    if left_out > 0 {
        tracing::warn!(kind = wire.kind, left_out, "Segment's profiles take at most {MOST_VALUES} values of a message");
        context[ORIGIN_KEY]["left_out"] = left_out.into();
    }
    wire.context = context;
    let json = serde_json::to_string(&wire).map_err(|_| Outcome::rejected("unwritable", ""))?;
    if json.len() > MOST_BYTES {
        return Err(Outcome::rejected("too_large", format!("{} bytes, of at most {MOST_BYTES}", json.len())));
    }
    Ok(json)
}

/// Without an address that is another's: a teammate's, say, would make one profile of the two.
fn without_others<'v>(values: &'v Attributes, email: Option<&'v str>) -> impl Iterator<Item = (&'v String, &'v Value)> {
    let is_own = move |value: &Value| {
        let (Some(email), Value::String(text)) = (email, value) else { return false };
        text.trim().eq_ignore_ascii_case(email.trim())
    };
    values.iter().filter(move |(name, value)| *name != EMAIL || is_own(value))
}

fn fitting<'v>(values: impl Iterator<Item = (&'v String, &'v Value)>, most: usize, left_out: &mut usize) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in values {
        if kept.len() < most {
            kept.insert(name.clone(), value.clone());
        } else {
            *left_out += 1;
        }
    }
    kept
}

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;
