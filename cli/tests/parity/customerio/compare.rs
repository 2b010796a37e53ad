//! When two sets of writes are the same: they say the same of the same profiles and objects, by whatever identifier and in
//! whatever call.

use super::item::{Item, Saw, expected};
use super::stage;
use crate::difference::Difference;
use crate::road::Ran;
use serde_json::{Map, Value};
use trefoil_domain::time::Timestamp;

pub(super) fn differences(case: &Value, ran: &Ran, saw: &Saw) -> Vec<Difference> {
    let mut found = Vec::new();
    let error = &case["expected"]["error"];
    let mut say = |of, what: &str, expected: Value, ours: Value| {
        found.push(Difference { of, what: what.to_owned(), expected, ours, error: error.clone() });
    };
    let mut ours = saw.items.clone();
    let wrote = !ours.is_empty();
    for expected in expected(case) {
        let Some(place) = ours.iter().position(|ours| same_subject(&expected, ours, saw)) else {
            say(expected.what, "request", Value::Object(expected.body), Value::Null);
            continue;
        };
        let ours = ours.remove(place);
        if ours.what != expected.what {
            say(expected.what, "request", Value::from(expected.what), Value::from(ours.what));
        }
        for (what, there, here) in values(&expected, &ours) {
            if !same(&what, &there, &here) {
                say(expected.what, &what, there, here);
            }
        }
        relationships(&expected, &ours, saw).into_iter().for_each(|(what, there, here)| say(expected.what, &what, there, here));
        if expected.what == "person identify" && !saw.people.has(expected.field("identifiers")) {
            say("person identify", "profile", expected.field("identifiers").clone(), Value::Null);
        }
    }
    for extra in ours {
        say(extra.what, "request", Value::Null, Value::Object(extra.body));
    }
    if saw.by_accident {
        say("outcome", "profile", Value::Null, Value::from("made by accident"));
    }
    let there = match error["retryable"].as_bool() {
        None => "done",
        Some(true) => "tries again",
        Some(false) => "gives up",
    };
    let here = match (ran.waits(), wrote) {
        (true, _) => "tries again",
        (false, true) => "done",
        (false, false) => "gives up",
    };
    // That nothing was written has been said, request by request.
    if there != here && (there, here) != ("done", "gives up") {
        say("outcome", "error", Value::from(there), Value::from(here));
    }
    found
}

fn same_subject(expected: &Item, ours: &Item, saw: &Saw) -> bool {
    let anonymous = (expected.what, ours.what) == ("object identify_anonymous", "object identify");
    (expected.what == ours.what || anonymous)
        && ["identifiers", "primary", "secondary"].into_iter().all(|name| {
            let (there, here) = (expected.field(name), ours.field(name));
            there == here || saw.people.are_one(there, here)
        })
        && expected.field("name") == ours.field("name")
}

/// Everything but who is meant: path, what is there, what is here.
fn values(expected: &Item, ours: &Item) -> Vec<(String, Value, Value)> {
    let plain = |item: &Item| -> Map<String, Value> {
        let mut values = Map::new();
        for (name, value) in &item.body {
            match name.as_str() {
                "identifiers" | "primary" | "secondary" | "cio_relationships" => {}
                "attributes" | "device" | "metadata" => {
                    values.extend(value.as_object().into_iter().flatten().map(|(key, value)| (format!("{name}.{key}"), value.clone())));
                }
                _ => {
                    values.insert(name.clone(), value.clone());
                }
            }
        }
        values
    };
    let (there, mut here) = (plain(expected), plain(ours));
    let mut all: Vec<(String, Value, Value)> =
        there.into_iter().map(|(name, value)| (name.clone(), value, here.remove(&name).unwrap_or_default())).collect();
    all.extend(here.into_iter().map(|(name, value)| (name, Value::Null, value)));
    all
}

fn relationships(expected: &Item, ours: &Item, saw: &Saw) -> Vec<(String, Value, Value)> {
    let mut here = ours.relationships().to_vec();
    let mut found = Vec::new();
    for there in expected.relationships() {
        let Some(place) = here.iter().position(|here| saw.people.are_one(&there["identifiers"], &here["identifiers"])) else {
            found.push(("relationship".to_owned(), there.clone(), Value::Null));
            continue;
        };
        let here = here.remove(place);
        let attributes = |one: &Value| one.get("relationship_attributes").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        if attributes(there) != attributes(&here) {
            found.push(("relationship_attributes".to_owned(), attributes(there), attributes(&here)));
        }
    }
    found.extend(here.into_iter().map(|here| ("relationship".to_owned(), Value::Null, here)));
    found
}

/// The same value, as Customer.io takes it.
fn same(what: &str, expected: &Value, ours: &Value) -> bool {
    match what {
        _ if expected == ours => true,
        // Seconds as a number or as text, or ISO text with or without a fraction.
        "attributes.created_at" | "device.last_used" => instant(expected).is_some() && instant(expected) == instant(ours),
        // Of a device all are texts.
        "device.attributes" => expected.as_object().is_some_and(Map::is_empty) && ours.is_null(),
        _ => matches!((expected.as_f64(), ours.as_f64()), (Some(one), Some(other)) if one == other),
    }
}

fn instant(value: &Value) -> Option<i64> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.or_else(|| Timestamp::parse_rfc3339(value.as_str()?).map(Timestamp::secs))
}

/// How a defect of the destination is none here.
pub(super) fn better(case: &Value, ran: &Ran, saw: &Saw) -> Result<String, String> {
    let one = |what: &str| -> Result<&Item, String> {
        let mut all = saw.items.iter().filter(|item| item.what == what);
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!("no {what} was written: {:?}", ran.ended)),
            (Some(_), Some(_)) => Err(format!("several of {what} were written")),
        }
    };
    let refused = stage::refused_events(case);
    if !refused.is_empty() {
        let told = ran.ended.iter().filter(|ended| ended.starts_with("rejected")).count();
        let done = ran.ended.iter().filter(|ended| *ended == "done").count();
        return match (told == refused.len(), saw.events.iter().any(|name| refused.contains(name))) {
            (true, false) if done > 0 => Ok(format!("the refusal of {refused:?} is told and kept, and {:?} arrives", saw.events)),
            _ => Err(format!("of {refused:?} it is said {:?}", ran.ended)),
        };
    }
    // What is to arrive, and under which verb, stands in the case.
    let wanted = case["better"].as_object().ok_or("nothing here knows what would be better: say so in the case, under `better`")?;
    let what = wanted.get("what").and_then(Value::as_str).ok_or("`better` says of what")?;
    if wanted.get("nothing").is_some() {
        return if saw.items.iter().any(|item| item.what == what) {
            Err(format!("there is a {what}: {:?}", saw.items))
        } else {
            Ok(format!("there is no {what}"))
        };
    }
    let ours = one(what)?;
    for (name, value) in wanted.get("fields").and_then(Value::as_object).into_iter().flatten() {
        let here = ours.body.get(name).or_else(|| ours.field("attributes").get(name)).unwrap_or(&Value::Null);
        if !same(name, value, here) {
            return Err(format!("{name}: {here}, not {value}"));
        }
    }
    Ok(wanted.get("how").and_then(Value::as_str).ok_or("`better` says how")?.to_owned())
}
