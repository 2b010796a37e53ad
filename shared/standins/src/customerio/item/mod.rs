//! One entity operation of the Track API v2: what is refused, and what it asks for.
//! <https://docs.customer.io/integrations/api/track/> (v2 "entity", "batch"; limits under "Track API limits").
//!
//! The page gives the shape of an error (`reason`, `field`, `message`) but no list of reasons; the words here are ours.

mod fields;
mod objects;

pub(crate) use objects::{DeviceChange, NamedObject, ObjectAction, ToObject, ToPerson};

use fields::{attributes, identifier, is_ulid, limits, timestamp, word};
use serde::Serialize;
use serde_json::{Map, Value};

/// How a call names a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    Id(String),
    /// Compared without regard to case.
    Email(String),
    Phone(String),
    CioId(String),
}

impl Identifier {
    /// A text with an `@` is an e-mail address, anything else an id.
    #[must_use]
    pub fn guess(text: &str) -> Self {
        if text.contains('@') { Self::Email(text.to_owned()) } else { Self::Id(text.to_owned()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Event,
    Page,
    Screen,
}

#[derive(Debug)]
pub(crate) enum Item {
    Identify { who: Identifier, attributes: Map<String, Value>, update_only: bool, timestamp: Option<i64>, relationships: Vec<ToObject> },
    Event(EventItem),
    Delete(Identifier),
    Suppress(Identifier),
    Unsuppress(Identifier),
    Merge { primary: Identifier, secondary: Identifier },
    Device(Identifier, DeviceChange),
    AddToObjects(Identifier, Vec<ToObject>),
    TakeFromObjects(Identifier, Vec<ToObject>),
    Object(NamedObject, ObjectAction),
    Delivery(ReportedMetric),
}

/// A metric that somebody reported of a message.
/// <https://docs.customer.io/integrations/api/track/> ("Report metrics", and "delivery" of v2)
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedMetric {
    pub delivery_id: String,
    /// `opened`, `clicked`, `converted` and so on.
    pub metric: String,
    /// Unix seconds, if it was said.
    pub timestamp: Option<i64>,
    /// Whatever else was said: `recipient`, `reason`, `href`, `device_token`.
    pub data: Map<String, Value>,
}

#[derive(Debug)]
pub(crate) struct EventItem {
    pub(crate) who: Identifier,
    pub(crate) kind: EventKind,
    pub(crate) ulid: Option<String>,
    pub(crate) name: String,
    pub(crate) timestamp: Option<i64>,
    pub(crate) attributes: Map<String, Value>,
}

/// Why an operation is refused. In a batch `batch_index` is its 0-based place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ItemError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch_index: Option<usize>,
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl ItemError {
    pub(crate) fn new(reason: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self { batch_index: None, reason, field: field.to_owned(), message: message.into() }
    }

    fn required(field: &str) -> Self {
        Self::new("required", field, format!("{field} is required"))
    }
}

/// The limits that the page states in "kb".
pub(crate) const ITEM_KB: usize = 32;
pub(crate) const BATCH_KB: usize = 500;
const MAX_EVENT_NAME_BYTES: usize = 100;

/// What one operation asks for. `email_identifies` is false in a workspace that knows people by id only.
pub(crate) fn parse(raw: &str, kilobyte: usize, email_identifies: bool) -> Result<Item, ItemError> {
    if raw.len() > ITEM_KB * kilobyte {
        return Err(ItemError::new("too_large", "", format!("an operation must be smaller than {ITEM_KB}kb")));
    }
    let value: Value = serde_json::from_str(raw).map_err(|_| ItemError::new("invalid", "", "not valid JSON"))?;
    let Value::Object(mut item) = value else {
        return Err(ItemError::new("invalid", "", "an operation must be an object"));
    };
    let kind = word(&item, "type")?;
    let action = word(&item, "action")?;
    match kind.as_str() {
        "person" => person(&mut item, &action, email_identifies),
        "object" => objects::object(&mut item, &action, email_identifies),
        "delivery" => objects::delivery(&mut item, &action),
        _ => Err(ItemError::new("invalid", "type", "type must be person, object or delivery")),
    }
}

fn person(item: &mut Map<String, Value>, action: &str, email_identifies: bool) -> Result<Item, ItemError> {
    if action == "merge" {
        let primary = identifier(item.get("primary"), "primary", email_identifies)?;
        let secondary = identifier(item.get("secondary"), "secondary", email_identifies)?;
        return Ok(Item::Merge { primary, secondary });
    }
    let who = identifier(item.get("identifiers"), "identifiers", email_identifies)?;
    match action {
        "identify" => identify(item, who),
        "event" => event(item, who, EventKind::Event),
        "page" => event(item, who, EventKind::Page),
        "screen" => event(item, who, EventKind::Screen),
        "delete" => Ok(Item::Delete(who)),
        "suppress" => Ok(Item::Suppress(who)),
        "unsuppress" => Ok(Item::Unsuppress(who)),
        "add_relationships" => Ok(Item::AddToObjects(who, objects::to_objects(item, true)?)),
        "delete_relationships" => Ok(Item::TakeFromObjects(who, objects::to_objects(item, true)?)),
        "add_device" => objects::add_device(item).map(|change| Item::Device(who, change)),
        "delete_device" => objects::delete_device(item).map(|change| Item::Device(who, change)),
        _ => Err(ItemError::new("invalid", "action", "no such action for a person")),
    }
}

fn identify(item: &mut Map<String, Value>, who: Identifier) -> Result<Item, ItemError> {
    let relationships = objects::to_objects(item, false)?;
    let timestamp = timestamp(item)?;
    let mut attributes = attributes(item)?;
    let update_only = match attributes.remove("_update") {
        None => false,
        Some(Value::Bool(update_only)) => update_only,
        Some(_) => return Err(ItemError::new("invalid", "attributes._update", "_update must be a boolean")),
    };
    limits(&attributes, "attributes")?;
    Ok(Item::Identify { who, attributes, update_only, timestamp, relationships })
}

fn event(item: &mut Map<String, Value>, who: Identifier, kind: EventKind) -> Result<Item, ItemError> {
    let name = word(item, "name")?;
    if name.len() > MAX_EVENT_NAME_BYTES {
        return Err(ItemError::new("too_long", "name", format!("an event name has at most {MAX_EVENT_NAME_BYTES} bytes")));
    }
    let ulid = match item.get("id") {
        None => None,
        Some(Value::String(id)) if is_ulid(id) => Some(id.clone()),
        Some(_) => return Err(ItemError::new("invalid", "id", "id must be a ULID")),
    };
    let timestamp = timestamp(item)?;
    Ok(Item::Event(EventItem { who, kind, ulid, name, timestamp, attributes: attributes(item)? }))
}
