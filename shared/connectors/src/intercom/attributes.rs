//! Attributes of people, companies and events: standard fields and custom ones side by side, flat and of bounded size.

use super::lenient::{Flat, Text};
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::time::Timestamp;

/// Customer.io refuses longer values, and nothing of use is that long.
pub(super) const LONGEST_TEXT_BYTES: usize = 1000;
/// Marks text that was cut.
pub(super) const CUT: &str = "…";
/// Customer.io's limit for the name of an attribute.
const LONGEST_NAME_BYTES: usize = 150;
/// Intercom allows this many custom attributes a workspace.
const MOST_CUSTOM_ATTRIBUTES: usize = 250;

/// What is null or empty is left out. Custom attributes never take the name of a standard field, be it there or not, nor one
/// of `reserved`: what Intercom itself says under these must not be made up by anybody else.
pub(super) fn side_by_side<const N: usize>(standard: [(&str, Option<Value>); N], custom: &Flat, reserved: &[&str]) -> Attributes {
    let is_standard = |name: &str| reserved.contains(&name) || standard.iter().any(|(taken, _)| *taken == name);
    let mut attributes: Attributes = custom
        .0
        .iter()
        .filter(|(name, _)| !is_standard(name) && name.len() <= LONGEST_NAME_BYTES)
        .take(MOST_CUSTOM_ATTRIBUTES)
        .map(|(name, value)| (name.clone(), shortened(value.clone())))
        .collect();
    attributes.extend(standard.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    attributes
}

pub(super) fn text(value: &Text<'_>) -> Option<Value> {
    value.get().map(|text| Value::String(cut(text.to_owned())))
}

/// As RFC 3339 text.
pub(super) fn time(value: Option<Timestamp>) -> Option<Value> {
    value.and_then(Timestamp::to_rfc3339).map(Value::String)
}

pub(super) fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value,
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TEXT_BYTES {
        let end = text.floor_char_boundary(LONGEST_TEXT_BYTES - CUT.len());
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}
