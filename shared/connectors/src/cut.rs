//! How much of a text is passed on.

use trefoil_domain::event::Value;

/// Customer.io refuses longer values, and nothing of use is that long.
pub(crate) const LONGEST_TEXT_BYTES: usize = 1000;
/// Customer.io's limit for the name of an attribute.
pub(crate) const LONGEST_NAME_BYTES: usize = 150;
/// Marks text that was cut.
pub(crate) const CUT: &str = "…";

pub(crate) fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TEXT_BYTES {
        let end = text.floor_char_boundary(LONGEST_TEXT_BYTES - CUT.len());
        text.truncate(end);
        text.push_str(CUT);
    }
    text
}

pub(crate) fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

/// The text with at most `most` characters, or `None` where it has no more.
#[cfg(feature = "intercom-out")]
pub(crate) fn cut_to_chars(text: &str, most: usize) -> Option<String> {
    text.chars().nth(most)?;
    let kept: String = text.chars().take(most - CUT.chars().count()).collect();
    Some(kept + CUT)
}
