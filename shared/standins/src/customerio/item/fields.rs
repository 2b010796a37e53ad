//! The fields of an operation, checked one by one. <https://docs.customer.io/integrations/api/track/> ("Track API limits")

use super::{Identifier, ItemError};
use serde_json::{Map, Value};

pub(super) const MAX_ID_BYTES: usize = 150;
const MAX_ATTRIBUTES: usize = 300;
const MAX_ATTRIBUTE_NAME_BYTES: usize = 150;
const MAX_ATTRIBUTE_VALUE_BYTES: usize = 1000;

/// Exactly one of `id`, `email`, `phone`, `cio_id`, as text. A `cio_id` is hex and has no `cio_` in front here.
pub(super) fn identifier(value: Option<&Value>, field: &str, email_identifies: bool) -> Result<Identifier, ItemError> {
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

pub(super) fn word(item: &Map<String, Value>, field: &str) -> Result<String, ItemError> {
    match item.get(field) {
        None => Err(ItemError::required(field)),
        Some(Value::String(word)) if !word.is_empty() => Ok(word.clone()),
        Some(_) => Err(ItemError::new("invalid", field, format!("{field} must be a text that is not empty"))),
    }
}

pub(super) fn timestamp(item: &Map<String, Value>) -> Result<Option<i64>, ItemError> {
    match item.get("timestamp") {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if seconds >= 0 => Ok(Some(seconds)),
            Some(_) | None => Err(ItemError::new("invalid", "timestamp", "timestamp must be an integer of unix seconds")),
        },
    }
}

pub(super) fn attributes(item: &mut Map<String, Value>) -> Result<Map<String, Value>, ItemError> {
    match item.remove("attributes") {
        None => Ok(Map::new()),
        Some(Value::Object(attributes)) => Ok(attributes),
        Some(_) => Err(ItemError::new("invalid", "attributes", "attributes must be an object")),
    }
}

/// Of the attributes of a person, an object or a relationship, which are at `field`.
pub(super) fn limits(attributes: &Map<String, Value>, field: &str) -> Result<(), ItemError> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(ItemError::new("too_many", field, format!("at most {MAX_ATTRIBUTES} attributes in a call")));
    }
    for (name, value) in attributes {
        let field = || format!("{field}.{name}");
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
pub(super) fn is_ulid(text: &str) -> bool {
    let crockford = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_alphabetic() && !b"ILOU".contains(&byte.to_ascii_uppercase());
    text.len() == 26 && text.as_bytes()[0] <= b'7' && text.bytes().all(crockford)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace))
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
