//! What Customer.io takes of attributes. One value that it does not take must not cost the others: what is too long is cut or
//! left out, and counted, without names and values, for those may say who somebody is.
//!
//! <https://docs.customer.io/integrations/api/track/#section/Limits>

use crate::customerio::dates::with_seconds;
use crate::cut::{LONGEST_NAME_BYTES, LONGEST_TEXT_BYTES, cut};
use serde_json::Map;
use trefoil_domain::event::{Attributes, Value};

/// Of a person, an object, or one call.
const MOST_ATTRIBUTES: usize = 300;

#[derive(Debug)]
pub(super) struct Fit {
    dates_as_seconds: bool,
    cut: usize,
    reserved: usize,
    too_long: usize,
    too_many: usize,
    unreadable: usize,
}

impl Fit {
    pub(super) fn new(dates_as_seconds: bool) -> Self {
        Self { dates_as_seconds, cut: 0, reserved: 0, too_long: 0, too_many: 0, unreadable: 0 }
    }

    /// Of a person, an object, a relationship or a device. `beside`: how many there are besides, which count as well.
    pub(super) fn attributes(&mut self, attributes: &Attributes, is_reserved: impl Fn(&str) -> bool, beside: usize) -> Map<String, Value> {
        let most = MOST_ATTRIBUTES.saturating_sub(beside);
        let mut kept = Map::new();
        for (name, value) in attributes {
            if is_reserved(name) {
                self.reserved += 1;
            } else if name.is_empty() || name.len() > LONGEST_NAME_BYTES {
                self.too_long += 1;
            } else if kept.len() == most {
                self.too_many += 1;
            } else if let Some(value) = self.value(value) {
                kept.insert(name.clone(), value);
            }
        }
        kept
    }

    /// Of an event, whose values have no limit but that of the whole.
    pub(super) fn properties(&mut self, properties: &Attributes, is_reserved: impl Fn(&str) -> bool) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in properties {
            if is_reserved(name) {
                self.reserved += 1;
            } else {
                kept.insert(name.clone(), self.dated(value));
            }
        }
        kept
    }

    /// A text that may be cut.
    pub(super) fn text(&mut self, text: &str) -> String {
        self.cut += usize::from(text.len() > LONGEST_TEXT_BYTES);
        cut(text.to_owned())
    }

    /// A value that says nothing was left out.
    pub(super) fn unreadable(&mut self) {
        self.unreadable += 1;
    }

    fn dated(&self, value: &Value) -> Value {
        if self.dates_as_seconds { with_seconds(value) } else { value.clone() }
    }

    fn value(&mut self, value: &Value) -> Option<Value> {
        match self.dated(value) {
            Value::String(text) => Some(Value::String(self.text(&text))),
            // Half of one would be none.
            nested @ (Value::Array(_) | Value::Object(_)) if nested.to_string().len() > LONGEST_TEXT_BYTES => {
                self.too_long += 1;
                None
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Some(other),
        }
    }

    pub(super) fn tell(&self) {
        let Self { dates_as_seconds: _, cut, reserved, too_long, too_many, unreadable } = self;
        if cut + reserved + too_long + too_many + unreadable > 0 {
            tracing::info!(cut, reserved, too_long, too_many, unreadable, "Customer.io does not take all values of a write as they are");
        }
    }
}
