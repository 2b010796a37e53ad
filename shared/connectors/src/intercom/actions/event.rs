//! Data events. <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-events>

use super::values::{LONGEST_TEXT_CHARS, cut_text, flat_text};
use crate::intercom::OWN_EVENT;
use crate::intercom::request::Request;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use trefoil_domain::event::Attributes;

/// Intercom looks at no more, ours among them.
const MOST_METADATA: usize = 10;
const CURRENCY: &str = "USD";
/// Holds, as a text for people, what has no key of its own.
const REST: &str = "more";

/// Intercom keeps one for contact, name and second, whatever is sent twice.
pub(super) fn track(contact: &str, name: &str, at: i64, metadata: &Attributes) -> (Request, Vec<String>) {
    let (metadata, notes) = flat(metadata);
    let body = json!({"event_name": name, "created_at": at, "id": contact, "metadata": metadata});
    (Request::post(&["events"], body), notes)
}

/// One level of bare values, links and money. What is too much for keys of its own becomes one text.
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
    all.sort_by_key(|(depth, name, _)| (name == REST, *depth));
    let mut names = BTreeSet::new();
    let (all, doubles): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, name, _)| names.insert(name.clone()));
    let (mut kept, mut notes) = (Map::new(), Vec::new());
    // Whatever else is sent, we must know it for ours when it comes back.
    kept.insert(OWN_EVENT.to_owned(), json!("1"));
    kept.extend(price.map(|price| ("price".to_owned(), price)));
    let room = MOST_METADATA - kept.len();
    let own = if all.len() <= room { room } else { room - 1 };
    let mut left_out = doubles.len();
    let mut rest = String::new();
    for (place, (_, name, value)) in all.into_iter().enumerate() {
        if place < own {
            // Half a link leads nowhere.
            let is_link = value.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"));
            let value = if is_link { value } else { cut_text(&name, value, &mut notes) };
            kept.insert(name, value);
            continue;
        }
        let said = format!(
            "{}{name}: {}",
            if rest.is_empty() { "" } else { ", " },
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        );
        if rest.chars().count() + said.chars().count() <= LONGEST_TEXT_CHARS {
            rest.push_str(&said);
        } else {
            left_out += 1;
        }
    }
    if !rest.is_empty() {
        kept.insert(REST.to_owned(), Value::String(rest));
    }
    if left_out > 0 {
        notes.push(format!("metadata_left_out: {left_out}"));
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
