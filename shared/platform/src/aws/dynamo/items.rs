//! How records stand in the tables.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;
use std::fmt::Display;
use trefoil_domain::ports::{AliasKey, Destination, HISTORY_KEPT, Record, StoreError};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The people table's index on what is due.
pub const DUE_INDEX: &str = "due";

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
pub(super) const BODY: &str = "body";
pub(super) const VERSION: &str = "version";
pub(super) const WRITER: &str = "writer";
pub(super) const DUE: &str = "due";
pub(super) const DUE_SHARD: &str = "due_shard";
pub(super) const EXPIRES_AT: &str = "expires_at";

/// The sort key of a person's state.
pub(super) const STATE: &str = "state";

/// The sort key of the mark for a destination.
pub(super) fn sent(destination: Destination) -> String {
    format!("sent#{}", destination.as_str())
}

/// A key of the tables that have a sort key.
pub(super) fn sorted_key(id: &str, sort: &str) -> Item {
    HashMap::from([(PK.to_owned(), text(id)), (SK.to_owned(), text(sort))])
}

pub(super) fn alias_key(key: &AliasKey) -> Item {
    HashMap::from([(PK.to_owned(), text(key.as_str()))])
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl Display + Copy) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with a body, a version, and the write that it came by.
pub(super) fn versioned<T: Serialize>(doing: &'static str, key: Item, body: &T, version: u64, writer: u64) -> Result<Item, StoreError> {
    let mut item = key;
    item.insert(BODY.to_owned(), json(doing, body)?);
    item.insert(VERSION.to_owned(), number(version));
    item.insert(WRITER.to_owned(), number(writer));
    Ok(item)
}

pub(super) fn record(doing: &'static str, record: &Record) -> Result<WriteRequest, StoreError> {
    let mut item = sorted_key(record.event.as_str(), &record.stage);
    item.insert(BODY.to_owned(), json(doing, record)?);
    item.insert(EXPIRES_AT.to_owned(), number(record.at.plus(HISTORY_KEPT).secs()));
    put(doing, item)
}

pub(super) fn put(doing: &'static str, item: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(|_| super::unbuildable(doing))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

pub(super) fn json<T: Serialize>(doing: &'static str, value: &T) -> Result<AttributeValue, StoreError> {
    // serde_json's text can quote the value that it stumbled over.
    let written = serde_json::to_string(value).map_err(|_| StoreError { doing, message: "a record cannot be written as JSON".to_owned() });
    written.map(AttributeValue::S)
}

/// Reads an item's attributes.
pub(super) trait Text {
    fn text(&self, doing: &'static str, name: &'static str) -> Result<&str, StoreError>;
    fn integer(&self, doing: &'static str, name: &'static str) -> Result<i64, StoreError>;
    fn body<T: DeserializeOwned>(&self, doing: &'static str) -> Result<T, StoreError>;
}

impl Text for Item {
    fn text(&self, doing: &'static str, name: &'static str) -> Result<&str, StoreError> {
        let value = self.get(name).and_then(|value| value.as_s().ok());
        value.map(String::as_str).ok_or_else(|| unreadable(doing, name))
    }

    fn integer(&self, doing: &'static str, name: &'static str) -> Result<i64, StoreError> {
        let value = self.get(name).and_then(|value| value.as_n().ok());
        value.and_then(|digits| digits.parse().ok()).ok_or_else(|| unreadable(doing, name))
    }

    fn body<T: DeserializeOwned>(&self, doing: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(doing, BODY)?).map_err(|_| unreadable(doing, BODY))
    }
}

fn unreadable(doing: &'static str, attribute: &'static str) -> StoreError {
    StoreError { doing, message: format!("an item's `{attribute}` is missing or cannot be read; was it written by a newer version?") }
}
