//! Operations on objects, on what people have to do with them, on devices and deliveries.
//! <https://docs.customer.io/integrations/api/track/> (v2 "object", "add_relationships", "add_device", "delivery"),
//! <https://docs.customer.io/journeys/objects-data/objects/create/>

use super::fields::{MAX_ID_BYTES, attributes, identifier, limits, word};
use super::{Identifier, Item, ItemError, ReportedMetric};
use crate::customerio::profile::Device;
use serde_json::{Map, Value};

/// How a call names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NamedObject {
    Known {
        object_type_id: String,
        object_id: String,
    },
    /// For updates only: this id is made by Customer.io.
    CioObjectId(String),
}

/// A relationship as a call on a person names it.
#[derive(Clone, Debug)]
pub(crate) struct ToObject {
    pub(crate) object: NamedObject,
    pub(crate) attributes: Map<String, Value>,
}

/// A relationship as a call on an object names it; `P` is how the person is named.
#[derive(Clone, Debug)]
pub(crate) struct ToPerson<P = Identifier> {
    pub(crate) who: P,
    pub(crate) attributes: Map<String, Value>,
}

#[derive(Debug)]
pub(crate) enum ObjectAction {
    Identify {
        attributes: Map<String, Value>,
        people: Vec<ToPerson>,
    },
    /// The people are named by `anonymous_id`.
    IdentifyAnonymous {
        attributes: Map<String, Value>,
        people: Vec<ToPerson<String>>,
    },
    Delete,
    AddRelationships(Vec<ToPerson>),
    DeleteRelationships(Vec<ToPerson>),
}

#[derive(Debug)]
pub(crate) enum DeviceChange {
    /// `last_used` as it was said.
    Add(Device, Option<i64>),
    Delete(String),
}

pub(super) fn object(item: &mut Map<String, Value>, action: &str, email_identifies: bool) -> Result<Item, ItemError> {
    let object = named_object(item.get("identifiers"), "identifiers")?;
    let action = match action {
        "identify" => ObjectAction::Identify { attributes: object_attributes(item)?, people: to_people(item, false, email_identifies)? },
        "identify_anonymous" => {
            ObjectAction::IdentifyAnonymous { attributes: object_attributes(item)?, people: to_anonymous_people(item)? }
        }
        "delete" => ObjectAction::Delete,
        "add_relationships" => ObjectAction::AddRelationships(to_people(item, true, email_identifies)?),
        "delete_relationships" => ObjectAction::DeleteRelationships(to_people(item, true, email_identifies)?),
        _ => return Err(ItemError::new("invalid", "action", "no such action for an object")),
    };
    Ok(Item::Object(object, action))
}

fn object_attributes(item: &mut Map<String, Value>) -> Result<Map<String, Value>, ItemError> {
    let attributes = attributes(item)?;
    limits(&attributes, "attributes")?;
    Ok(attributes)
}

/// `object_type_id` ("string-formatted integers that begin at 1") and `object_id`, or `cio_object_id`.
fn named_object(value: Option<&Value>, field: &str) -> Result<NamedObject, ItemError> {
    let identifiers = value.and_then(Value::as_object).ok_or_else(|| ItemError::required(field))?;
    let text = |key: &str| identifiers.get(key).and_then(Value::as_str).filter(|value| !value.is_empty());
    match (text("object_type_id"), text("object_id"), text("cio_object_id")) {
        (Some(_), Some(object_id), None) if object_id.len() > MAX_ID_BYTES => {
            Err(ItemError::new("too_long", field, format!("an identifier has at most {MAX_ID_BYTES} bytes")))
        }
        (Some(object_type_id), Some(object_id), None) => match object_type_id.parse::<u64>() {
            Ok(1..) => Ok(NamedObject::Known { object_type_id: object_type_id.to_owned(), object_id: object_id.to_owned() }),
            Ok(0) | Err(_) => Err(ItemError::new("invalid", field, "object_type_id must be a whole number from 1, as text")),
        },
        (None, None, Some(cio_object_id)) => Ok(NamedObject::CioObjectId(cio_object_id.to_owned())),
        _ => Err(ItemError::new("required", field, "object_type_id and object_id, or cio_object_id, are required")),
    }
}

/// The relationships of a call on a person.
pub(super) fn to_objects(item: &Map<String, Value>, required: bool) -> Result<Vec<ToObject>, ItemError> {
    let each = |field: &str, entry: &Map<String, Value>| {
        let object = named_object(entry.get("identifiers"), &format!("{field}.identifiers"))?;
        Ok(ToObject { object, attributes: relationship_attributes(entry, field)? })
    };
    relationships(item, required, each)
}

fn to_people(item: &Map<String, Value>, required: bool, email_identifies: bool) -> Result<Vec<ToPerson>, ItemError> {
    let each = |field: &str, entry: &Map<String, Value>| {
        let who = identifier(entry.get("identifiers"), &format!("{field}.identifiers"), email_identifies)?;
        Ok(ToPerson { who, attributes: relationship_attributes(entry, field)? })
    };
    relationships(item, required, each)
}

/// The schema has the ids in `cio_relationships`, its example one `anonymous_id` beside `identifiers`.
fn to_anonymous_people(item: &Map<String, Value>) -> Result<Vec<ToPerson<String>>, ItemError> {
    let each = |field: &str, entry: &Map<String, Value>| {
        let who = entry.get("identifiers").and_then(|identifiers| identifiers.get("anonymous_id")).and_then(Value::as_str);
        let who = who.filter(|who| !who.is_empty()).ok_or_else(|| ItemError::required(&format!("{field}.identifiers.anonymous_id")))?;
        Ok(ToPerson { who: who.to_owned(), attributes: relationship_attributes(entry, field)? })
    };
    let mut people = relationships(item, false, each)?;
    if let Some(who) = item.get("anonymous_id").and_then(Value::as_str).filter(|who| !who.is_empty()) {
        people.push(ToPerson { who: who.to_owned(), attributes: Map::new() });
    }
    Ok(people)
}

fn relationships<R>(
    item: &Map<String, Value>,
    required: bool,
    each: impl Fn(&str, &Map<String, Value>) -> Result<R, ItemError>,
) -> Result<Vec<R>, ItemError> {
    let entries = match item.get("cio_relationships") {
        None if required => return Err(ItemError::required("cio_relationships")),
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(ItemError::new("invalid", "cio_relationships", "cio_relationships must be an array")),
    };
    let entry = |(index, entry): (usize, &Value)| {
        let field = format!("cio_relationships[{index}]");
        match entry {
            Value::Object(entry) => each(&field, entry),
            _ => Err(ItemError::new("invalid", &field, "a relationship must be an object")),
        }
    };
    entries.iter().enumerate().map(entry).collect()
}

fn relationship_attributes(entry: &Map<String, Value>, field: &str) -> Result<Map<String, Value>, ItemError> {
    let field = format!("{field}.relationship_attributes");
    match entry.get("relationship_attributes") {
        None => Ok(Map::new()),
        Some(Value::Object(attributes)) => limits(attributes, &field).map(|()| attributes.clone()),
        Some(_) => Err(ItemError::new("invalid", &field, "relationship_attributes must be an object")),
    }
}

pub(super) fn add_device(item: &Map<String, Value>) -> Result<DeviceChange, ItemError> {
    let token = token(item)?;
    let device = item.get("device").unwrap_or(&Value::Null);
    let platform = match device.get("platform").and_then(Value::as_str) {
        Some(platform @ ("ios" | "android")) => platform.to_owned(),
        Some(_) => return Err(ItemError::new("invalid", "device.platform", "platform must be ios or android")),
        None => return Err(ItemError::required("device.platform")),
    };
    let last_used = match device.get("last_used") {
        None => None,
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds >= 0 => Some(seconds),
            Some(_) | None => return Err(ItemError::new("invalid", "device.last_used", "last_used must be unix seconds")),
        },
    };
    let attributes = match device.get("attributes") {
        None => Map::new(),
        Some(Value::Object(attributes)) => attributes.clone(),
        Some(_) => return Err(ItemError::new("invalid", "device.attributes", "attributes must be an object")),
    };
    let device = Device { token, platform, last_used: 0, attributes: attributes.into_iter().collect() };
    Ok(DeviceChange::Add(device, last_used))
}

pub(super) fn delete_device(item: &Map<String, Value>) -> Result<DeviceChange, ItemError> {
    token(item).map(DeviceChange::Delete)
}

fn token(item: &Map<String, Value>) -> Result<String, ItemError> {
    let token = item.get("device").and_then(|device| device.get("token")).and_then(Value::as_str).filter(|token| !token.is_empty());
    token.map(str::to_owned).ok_or_else(|| ItemError::required("device.token"))
}

pub(super) fn delivery(item: &mut Map<String, Value>, action: &str) -> Result<Item, ItemError> {
    if action != "event" {
        return Err(ItemError::new("invalid", "action", "no such action for a delivery"));
    }
    let metric = word(item, "name")?;
    if !["opened", "converted", "delivered"].contains(&metric.as_str()) {
        return Err(ItemError::new("invalid", "name", "name must be opened, converted or delivered"));
    }
    let delivery_id = item.get("identifiers").and_then(|identifiers| identifiers.get("id")).and_then(Value::as_str);
    let delivery_id = delivery_id.filter(|id| !id.is_empty()).ok_or_else(|| ItemError::required("identifiers.id"))?.to_owned();
    let timestamp = super::timestamp(item)?;
    let data = attributes(item)?;
    if data.get("device_token").and_then(Value::as_str).is_none() {
        return Err(ItemError::required("attributes.device_token"));
    }
    Ok(Item::Delivery(ReportedMetric { delivery_id, metric, timestamp, data }))
}
