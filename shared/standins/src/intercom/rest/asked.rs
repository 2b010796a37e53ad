//! What a request holds: names in the path, a query, a JSON object.

use super::call::Refusal;
use axum::body::Bytes;
use axum::extract::RawPathParams;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) struct Asked {
    path: BTreeMap<String, String>,
    query: Option<String>,
    body: Bytes,
}

impl Asked {
    pub(super) fn new(path: Option<&RawPathParams>, query: Option<String>, body: Bytes) -> Self {
        let path = path.into_iter().flat_map(|path| path.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { path, query, body }
    }

    /// A part of the path, decoded. The routes name it, so that it is there.
    pub(super) fn named(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let value = self.query.as_deref()?.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
        percent_decode_str(&value.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    }

    pub(super) fn object(&self) -> Result<Object, Refusal> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(Object(object)),
            Ok(_) | Err(_) => Err(Refusal::new(400, "bad_request", "the body is no JSON object")),
        }
    }
}

/// A JSON object whose fields are read with their types. `null` reads as left out.
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// As it came, `null` included.
    pub(super) fn raw(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(mismatch(name, "a string")),
        }
    }

    /// A text that must be there and must not be empty.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| mismatch(name, "an integer")),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_bool().map(Some).ok_or_else(|| mismatch(name, "a boolean")),
        }
    }

    pub(super) fn inner(&self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Self(object.clone()))),
            Some(_) => Err(mismatch(name, "an object")),
        }
    }

    pub(super) fn inner_or_empty(&self, name: &str) -> Result<Map<String, Value>, Refusal> {
        Ok(self.inner(name)?.map(|object| object.0).unwrap_or_default())
    }

    /// Ids of teammates and teams: digits, as text or as a number. The description has texts in some operations and
    /// numbers in others.
    pub(super) fn digits(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| mismatch(name, "an id of digits")),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| mismatch(name, "an id of digits")),
        }
    }
}

/// 422 `type_mismatch`. (notes 2.1)
fn mismatch(name: &str, wanted: &str) -> Refusal {
    Refusal::new(422, "type_mismatch", format!("{name} must be {wanted}"))
}

pub(super) fn missing(name: &str) -> Refusal {
    Refusal::new(400, "parameter_not_found", format!("{name} not specified"))
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "parameter_invalid", message)
}
