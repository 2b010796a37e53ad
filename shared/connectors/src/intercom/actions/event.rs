//! Data events. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-events>

use super::values::{cut_text, flat_text};
use crate::intercom::OWN_EVENT;
use crate::intercom::request::Request;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use trefoil_domain::event::Attributes;

/// Intercom looks at no more, ours among them.
const MOST_METADATA: usize = 10;
const CURRENCY: &str = "USD";

/// Intercom keeps one for contact, name and second, whatever is sent twice.
pub(super) fn track(contact: &str, name: &str, at: i64, metadata: &Attributes) -> (Request, Vec<String>) {
    let (metadata, notes) = flat(metadata);
    let body = json!({"event_name": name, "created_at": at, "id": contact, "metadata": metadata});
    (Request::post(&["events"], body), notes)
}

/// One level of bare values, links and money.
fn flat(metadata: &Attributes) -> (Map<String, Value>, Vec<String>) {
    let mut all = Vec::new();
    let price = price(metadata);
    for (name, value) in metadata {
        let is_taken = name == OWN_EVENT || price.is_some() && ["revenue", "currency", "price"].contains(&name.as_str());
        if !is_taken {
            flatten(name.clone(), value, &mut all);
        }
    }
    // What was written flat, before what only became so.
    all.sort_by_key(|(depth, ..)| *depth);
    let (mut kept, mut notes, mut left_out) = (Map::new(), Vec::new(), BTreeSet::new());
    // Whatever else is sent, we must know it for ours when it comes back.
    kept.insert(OWN_EVENT.to_owned(), json!("1"));
    kept.extend(price.map(|price| ("price".to_owned(), price)));
    for (_, name, value) in all {
        if kept.contains_key(&name) || kept.len() >= MOST_METADATA {
            left_out.insert(name);
            continue;
        }
        // Half a link leads nowhere.
        let is_link = value.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"));
        let value = if is_link { value } else { cut_text(&name, value, &mut notes) };
        kept.insert(name, value);
    }
    if !left_out.is_empty() {
        notes.push(format!("metadata_left_out: {}", left_out.len()));
    }
    (kept, notes)
}

fn flatten(name: String, value: &Value, all: &mut Vec<(usize, String, Value)>) {
    let mut open = vec![(0, name, value)];
    while let Some((depth, name, value)) = open.pop() {
        match value {
            Value::Null => {}
            Value::Object(fields) if !is_special(fields) => {
                open.extend(fields.iter().rev().map(|(key, value)| (depth + 1, format!("{name}_{key}"), value)));
            }
            Value::Array(_) => all.push((depth, name, flat_text(value))),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => all.push((depth, name, value.clone())),
        }
    }
}

/// A link with a text, or money: the two that Intercom takes as objects.
fn is_special(fields: &Map<String, Value>) -> bool {
    let is = |first, second| fields.len() == 2 && fields.contains_key(first) && fields.contains_key(second);
    is("url", "value") || is("amount", "currency")
}

/// What Segment's own destination makes of a revenue: money, which Intercom counts in hundredths.
fn price(metadata: &Attributes) -> Option<Value> {
    let revenue = match metadata.get("revenue")? {
        Value::Number(revenue) => revenue.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    // Beyond 2^53 there are no hundredths left to tell apart.
    let cents = (revenue? * 100.0).round();
    let cents = (cents.abs() < 9e15).then_some(cents as i64)?;
    let currency = metadata.get("currency").and_then(Value::as_str).filter(|currency| !currency.is_empty()).unwrap_or(CURRENCY);
    Some(json!({"amount": cents, "currency": currency}))
}
