//! One entity operation of the Track API v2: what is refused, and what it asks for.
//! <https://docs.customer.io/integrations/api/track/> (v2 "entity", "batch"; limits under "Track API limits").
//!
//! The page gives the shape of an error (`reason`, `field`, `message`) but no list of reasons; the words here are ours.

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
    Identify {
        who: Identifier,
        attributes: Map<String, Value>,
        update_only: bool,
        timestamp: Option<i64>,
    },
    Event(EventItem),
    Delete(Identifier),
    Suppress(Identifier),
    Unsuppress(Identifier),
    Merge {
        primary: Identifier,
        secondary: Identifier,
    },
    /// Devices, relationships, objects, deliveries: checked, accepted, and without effect here.
    WithoutEffect,
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
const MAX_ID_BYTES: usize = 150;
const MAX_ATTRIBUTES: usize = 300;
const MAX_ATTRIBUTE_NAME_BYTES: usize = 150;
const MAX_ATTRIBUTE_VALUE_BYTES: usize = 1000;
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
        "object" => object(&item, &action),
        "delivery" => delivery(&item, &action),
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
        "add_relationships" | "delete_relationships" => relationships(item, true).map(|()| Item::WithoutEffect),
        "add_device" | "delete_device" => {
            let token = item.get("device").and_then(|device| device.get("token")).and_then(Value::as_str).unwrap_or("");
            if token.is_empty() { Err(ItemError::required("device.token")) } else { Ok(Item::WithoutEffect) }
        }
        _ => Err(ItemError::new("invalid", "action", "no such action for a person")),
    }
}

fn identify(item: &mut Map<String, Value>, who: Identifier) -> Result<Item, ItemError> {
    relationships(item, false)?;
    let timestamp = timestamp(item)?;
    let mut attributes = attributes(item)?;
    let update_only = match attributes.remove("_update") {
        None => false,
        Some(Value::Bool(update_only)) => update_only,
        Some(_) => return Err(ItemError::new("invalid", "attributes._update", "_update must be a boolean")),
    };
    limits(&attributes)?;
    Ok(Item::Identify { who, attributes, update_only, timestamp })
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

fn object(item: &Map<String, Value>, action: &str) -> Result<Item, ItemError> {
    let identifiers = item.get("identifiers").and_then(Value::as_object).ok_or_else(|| ItemError::required("identifiers"))?;
    let has = |key: &str| identifiers.get(key).and_then(Value::as_str).is_some_and(|value| !value.is_empty());
    if !(has("cio_object_id") || has("object_type_id") && has("object_id")) {
        return Err(ItemError::new("required", "identifiers", "object_type_id and object_id, or cio_object_id, are required"));
    }
    match action {
        "identify" | "identify_anonymous" => {
            relationships(item, false)?;
            match item.get("attributes") {
                None => Ok(Item::WithoutEffect),
                Some(Value::Object(attributes)) => limits(attributes).map(|()| Item::WithoutEffect),
                Some(_) => Err(ItemError::new("invalid", "attributes", "attributes must be an object")),
            }
        }
        "delete" => Ok(Item::WithoutEffect),
        "add_relationships" | "delete_relationships" => relationships(item, true).map(|()| Item::WithoutEffect),
        _ => Err(ItemError::new("invalid", "action", "no such action for an object")),
    }
}

fn delivery(item: &Map<String, Value>, action: &str) -> Result<Item, ItemError> {
    if action != "event" {
        return Err(ItemError::new("invalid", "action", "no such action for a delivery"));
    }
    let name = word(item, "name")?;
    if !["opened", "converted", "delivered"].contains(&name.as_str()) {
        return Err(ItemError::new("invalid", "name", "name must be opened, converted or delivered"));
    }
    let token = item.get("attributes").and_then(|attributes| attributes.get("device_token")).and_then(Value::as_str);
    if token.is_none() { Err(ItemError::required("attributes.device_token")) } else { Ok(Item::WithoutEffect) }
}

/// Exactly one of `id`, `email`, `phone`, `cio_id`, as text. A `cio_id` is hex and has no `cio_` in front here.
fn identifier(value: Option<&Value>, field: &str, email_identifies: bool) -> Result<Identifier, ItemError> {
    let identifiers = value.and_then(Value::as_object).ok_or_else(|| ItemError::required(field))?;
    let mut entries = identifiers.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(ItemError::new("invalid", field, "exactly one identifier is needed"));
    };
    let field = format!("{field}.{key}");
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
        return Err(ItemError::new("invalid", &field, "an identifier must be a text that is not empty"));
    };
    if text.len() > MAX_ID_BYTES {
        return Err(ItemError::new("too_long", &field, format!("an identifier has at most {MAX_ID_BYTES} bytes")));
    }
    let text = text.to_owned();
    match key.as_str() {
        "id" => Ok(Identifier::Id(text)),
        "email" if !email_identifies => Err(ItemError::new("invalid", &field, "people are identified by id in this workspace")),
        "email" if is_email(&text) => Ok(Identifier::Email(text)),
        "email" => Err(ItemError::new("invalid", &field, "not an e-mail address")),
        "phone" if is_e164(&text) => Ok(Identifier::Phone(text)),
        "phone" => Err(ItemError::new("invalid", &field, "not a phone number in E.164 form")),
        "cio_id" if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(Identifier::CioId(text)),
        "cio_id" => Err(ItemError::new("invalid", &field, "not a cio_id")),
        _ => Err(ItemError::new("invalid", &field, "no such identifier for a person")),
    }
}

fn relationships(item: &Map<String, Value>, required: bool) -> Result<(), ItemError> {
    match item.get("cio_relationships") {
        None if required => Err(ItemError::required("cio_relationships")),
        None | Some(Value::Array(_)) => Ok(()),
        Some(_) => Err(ItemError::new("invalid", "cio_relationships", "cio_relationships must be an array")),
    }
}

fn word(item: &Map<String, Value>, field: &str) -> Result<String, ItemError> {
    match item.get(field) {
        None => Err(ItemError::required(field)),
        Some(Value::String(word)) if !word.is_empty() => Ok(word.clone()),
        Some(_) => Err(ItemError::new("invalid", field, format!("{field} must be a text that is not empty"))),
    }
}

fn timestamp(item: &Map<String, Value>) -> Result<Option<i64>, ItemError> {
    match item.get("timestamp") {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds >= 0 => Ok(Some(seconds)),
            Some(_) | None => Err(ItemError::new("invalid", "timestamp", "timestamp must be an integer of unix seconds")),
        },
    }
}

fn attributes(item: &mut Map<String, Value>) -> Result<Map<String, Value>, ItemError> {
    match item.remove("attributes") {
        None => Ok(Map::new()),
        Some(Value::Object(attributes)) => Ok(attributes),
        Some(_) => Err(ItemError::new("invalid", "attributes", "attributes must be an object")),
    }
}

fn limits(attributes: &Map<String, Value>) -> Result<(), ItemError> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(ItemError::new("too_many", "attributes", format!("at most {MAX_ATTRIBUTES} attributes in a call")));
    }
    for (name, value) in attributes {
        let field = || format!("attributes.{name}");
        if name.len() > MAX_ATTRIBUTE_NAME_BYTES {
            return Err(ItemError::new("too_long", &field(), format!("an attribute name has at most {MAX_ATTRIBUTE_NAME_BYTES} bytes")));
        }
        let bytes = match value {
            Value::String(text) => text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::Array(_) | Value::Object(_) => value.to_string().len(),
        };
        if bytes > MAX_ATTRIBUTE_VALUE_BYTES {
            let message = format!("an attribute value has at most {MAX_ATTRIBUTE_VALUE_BYTES} bytes");
            return Err(ItemError::new("too_long", &field(), message));
        }
    }
    Ok(())
}

/// 26 characters of Crockford's base 32; the first is at most 7, since 128 bits fit no more. <https://github.com/ulid/spec>
fn is_ulid(text: &str) -> bool {
    let crockford = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_alphabetic() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    text.len() == 26 && text.as_bytes()[0] <= b'7' && text.bytes().all(crockford)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace))
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
