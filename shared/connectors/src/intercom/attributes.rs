//! Attributes of people, companies and events: standard fields and custom ones side by side, flat and of bounded size.

use crate::cut::{LONGEST_NAME_BYTES, cut, shortened};
use crate::lenient::{Flat, Text};
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::time::Timestamp;

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
        .map(|(name, value)| (name.clone(), shortened(value)))
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
