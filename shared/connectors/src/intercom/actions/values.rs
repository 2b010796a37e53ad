//! How values are written: times, whole numbers, and texts of the length that Intercom takes.

use crate::cut::cut_to_chars;
use crate::lenient::Time;
use serde_json::{Map, Value};

/// Older help pages say so; whether a longer one is refused or cut is nowhere said.
pub(super) const LONGEST_TEXT_CHARS: usize = 255;
/// Intercom keeps such numbers in 31 bits.
const WHOLE_BELOW: f64 = 2_147_483_648.0;

/// A body that is being written. What cannot be written is left out and noted by its name.
#[derive(Debug, Default)]
pub(super) struct Writing {
    body: Map<String, Value>,
    notes: Vec<String>,
}

impl Writing {
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.body.insert(name.to_owned(), value);
    }

    pub(super) fn text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(name, Value::from(text));
        }
    }

    /// In unix seconds.
    pub(super) fn time(&mut self, name: &str, value: Option<&Value>) {
        self.put_if_read(name, value, "time_unreadable", unix_seconds);
    }

    /// What is behind the point is cut off.
    pub(super) fn whole(&mut self, name: &str, value: Option<&Value>) {
        self.put_if_read(name, value, "number_unreadable", whole);
    }

    fn put_if_read(&mut self, name: &str, value: Option<&Value>, problem: &str, read: impl Fn(&Value) -> Option<i64>) {
        match value.filter(|value| !value.is_null()).map(read) {
            Some(Some(number)) => self.put(name, Value::from(number)),
            Some(None) => self.notes.push(format!("{problem}: {name}")),
            None => {}
        }
    }

    pub(super) fn attributes(&mut self, attributes: &Map<String, Value>) {
        if !attributes.is_empty() {
            self.put("custom_attributes", Value::Object(attributes.clone()));
        }
    }

    pub(super) fn finish(self) -> (Value, Vec<String>) {
        (Value::Object(self.body), self.notes)
    }
}

/// From unix seconds, milliseconds or ISO 8601 text.
pub(super) fn unix_seconds(value: &Value) -> Option<i64> {
    serde_json::from_value::<Time>(value.clone()).ok()?.0.map(|at| at.secs())
}

fn whole(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.map(f64::trunc).filter(|number| number.abs() < WHOLE_BELOW).map(|number| number as i64)
}

/// An id that the description wants as a number; as text where it is none.
pub(super) fn whole_number(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from)
}

/// A list or an object as compact JSON.
pub(super) fn flat_text(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A text that is too long with a mark where it ends.
pub(super) fn cut_text(name: &str, value: Value, notes: &mut Vec<String>) -> Value {
    match value.as_str().and_then(|text| cut_to_chars(text, LONGEST_TEXT_CHARS)) {
        Some(cut) => {
            notes.push(format!("text_cut: {name}"));
            Value::String(cut)
        }
        None => value,
    }
}
