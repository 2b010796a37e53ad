//! Devices that pushes are sent to.

use super::fit::Fit;
use super::{Item, Name};
use crate::customerio::dates::unix_seconds;
use crate::lenient::Time;
use serde::Serialize;
use serde_json::Map;
use trefoil_domain::action;
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::Timestamp;

/// Customer.io alone says how the last push went.
const RESERVED: &str = "_last_status";

#[derive(Serialize)]
pub(super) struct Device<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'static str>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Map<String, Value>>,
}

/// Without a time of its own it was used when what is behind the action happened.
pub(super) fn add<'a>(profile: Name<'a>, device: &'a action::Device, at: Timestamp, fit: &mut Fit) -> Result<Item<'a>, Outcome> {
    let token = token(&device.token)?;
    let platform = match device.platform.trim().to_ascii_lowercase().as_str() {
        "ios" => "ios",
        "android" => "android",
        _ => return Err(Outcome::rejected("device_platform", "ios and android are known")),
    };
    let said = device.last_used.as_ref().filter(|value| !value.is_null());
    let last_used = said.and_then(seconds);
    if said.is_some() && last_used.is_none() {
        fit.unreadable();
    }
    let device = Device {
        token,
        platform: Some(platform),
        last_used: last_used.or(Some(at.secs())),
        attributes: Some(texts(&device.attributes, fit)),
    };
    Ok(Item { device: Some(device), ..Item::of_person("add_device", profile) })
}

pub(super) fn delete<'a>(profile: Name<'a>, gone: &'a str) -> Result<Item<'a>, Outcome> {
    let device = Device { token: token(gone)?, platform: None, last_used: None, attributes: None };
    Ok(Item { device: Some(device), ..Item::of_person("delete_device", profile) })
}

fn token(token: &str) -> Result<&str, Outcome> {
    if token.trim().is_empty() { Err(Outcome::rejected("no_device_token", "")) } else { Ok(token) }
}

fn seconds(value: &Value) -> Option<i64> {
    let date = value.as_str().and_then(unix_seconds);
    date.or_else(|| serde_json::from_value::<Time>(value.clone()).ok()?.0.map(Timestamp::secs))
}

/// Those of a device are texts, its truths included.
fn texts(attributes: &Attributes, fit: &mut Fit) -> Map<String, Value> {
    let kept = fit.attributes(attributes, |name| name == RESERVED, 0).into_iter();
    kept.filter(|(_, value)| !value.is_null())
        .map(|(name, value)| match value {
            Value::String(_) => (name, value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                (name, Value::String(value.to_string()))
            }
        })
        .collect()
}
