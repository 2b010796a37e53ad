//! When two sets of requests are the same: they write the same values to the same people, whatever was asked before and
//! whatever else says who is meant.

use super::stage;
use crate::difference::Difference;
use crate::road::Ran;
use serde_json::{Map, Value};
use trefoil_domain::time::Timestamp;

/// What Intercom tracks of an event.
const MOST_METADATA: usize = 10;

/// A request that changes something.
#[derive(Clone, Debug)]
struct Write {
    what: &'static str,
    create: bool,
    /// The contact that the path names.
    contact: Option<String>,
    body: Value,
}

fn write(method: &str, path: &str, body: Value) -> Option<Write> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (what, create, contact) = match (method, parts.as_slice()) {
        ("GET", _) | ("POST", ["contacts", "search"]) => return None,
        ("POST", ["contacts"]) => ("contact", true, None),
        ("PUT", ["contacts", id]) => ("contact", false, Some(*id)),
        ("POST", ["companies"]) => ("company", false, None),
        ("POST", ["contacts", id, "companies"]) => ("attach", false, Some(*id)),
        ("POST", ["events"]) => ("event", false, None),
        ("DELETE", ["contacts", id]) => ("delete", false, Some(*id)),
        _ => ("something else", false, None),
    };
    Some(Write { what, create, contact: contact.map(str::to_owned), body })
}

fn expected(case: &Value) -> Vec<Write> {
    let requests = case["expected"]["requests"].as_array().expect("requests");
    let path = |url: &str| url.strip_prefix("https://api.intercom.io").expect("Intercom").to_owned();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    requests.iter().filter_map(|request| write(&text(&request["method"]), &path(&text(&request["url"])), request["body"].clone())).collect()
}

fn ours(ran: &Ran) -> Vec<Write> {
    ran.requests.iter().filter_map(|asked| write(&asked.method, &asked.path, asked.json().unwrap_or_default())).collect()
}

pub(crate) fn differences(case: &Value, ran: &Ran) -> Vec<Difference> {
    let mut found = Vec::new();
    let error = &case["expected"]["error"];
    let mut ours = ours(ran);
    let wrote = !ours.is_empty();
    for expected in expected(case) {
        let mut say = |what: &str, expected: &Value, ours: &Value, of| {
            found.push(Difference { of, what: what.to_owned(), expected: expected.clone(), ours: ours.clone(), error: error.clone() });
        };
        let Some(place) = ours.iter().position(|ours| ours.what == expected.what) else {
            say("request", &expected.body, &Value::Null, expected.what);
            continue;
        };
        let ours = ours.remove(place);
        if ours.create != expected.create || ours.contact != expected.contact {
            say("whose", &Value::from(expected.contact.clone()), &Value::from(ours.contact.clone()), expected.what);
        }
        let nothing = Map::new();
        let (there, here) = (expected.body.as_object().unwrap_or(&nothing), ours.body.as_object().unwrap_or(&nothing));
        for (name, value) in there {
            match (expected.what, name.as_str()) {
                // By the contact's own id, whatever else names the person.
                ("event", "user_id" | "email") => {}
                // What Intercom calls the company, it says when the company is written.
                ("attach", "id") => {}
                ("event", "metadata") | (_, "custom_attributes") => {
                    let here = here.get(name).and_then(Value::as_object).unwrap_or(&nothing);
                    for (key, value) in value.as_object().into_iter().flatten() {
                        let ours = here.get(key).unwrap_or(&Value::Null);
                        if !same(key, value, ours) {
                            say(&format!("{name}.{key}"), value, ours, expected.what);
                        }
                    }
                    for (key, ours) in here.iter().filter(|(key, _)| value.get(key).is_none()) {
                        say(&format!("{name}.{key}"), &Value::Null, ours, expected.what);
                    }
                }
                (_, _) => {
                    let ours = here.get(name).unwrap_or(&Value::Null);
                    if !same(name, value, ours) {
                        say(name, value, ours, expected.what);
                    }
                }
            }
        }
        for (name, ours) in here.iter().filter(|(name, _)| !there.contains_key(*name)) {
            match (expected.what, name.as_str()) {
                ("event", "id") => {}
                _ => say(name, &Value::Null, ours, expected.what),
            }
        }
        if expected.what == "event" {
            let known = stage::contacts(case);
            if here.get("id").and_then(Value::as_str).is_none_or(|id| !known.iter().any(|known| known == id)) {
                say("whose", &Value::from(known), here.get("id").unwrap_or(&Value::Null), "event");
            }
        }
    }
    for extra in ours {
        let (what, error) = ("request".to_owned(), error.clone());
        found.push(Difference { of: extra.what, what, expected: Value::Null, ours: extra.body, error });
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
        let (what, error) = ("error".to_owned(), error.clone());
        found.push(Difference { of: "outcome", what, expected: Value::from(there), ours: Value::from(here), error });
    }
    found
}

/// The same value, as Intercom takes it.
fn same(name: &str, expected: &Value, ours: &Value) -> bool {
    match name {
        _ if expected == ours => true,
        // Seconds, milliseconds or ISO there, seconds here.
        "created_at" | "signed_up_at" | "last_seen_at" | "remote_created_at" => {
            instant(expected).is_some_and(|at| Some(at) == ours.as_i64())
        }
        // From 2.16 an id of a teammate is text.
        "owner_id" => expected.to_string().trim_matches('"') == ours.to_string().trim_matches('"'),
        // Intercom knows no capitals in it.
        "email" => expected.as_str().map(str::to_lowercase) == ours.as_str().map(str::to_owned),
        // Cut off by Intercom itself.
        "monthly_spend" | "size" => expected.as_f64().map(f64::trunc) == ours.as_f64(),
        "price" => {
            // Whole hundredths, where the destination multiplies and sends what floats make of it.
            let cents = |price: &Value| Some(price["amount"].as_f64()?.round());
            expected["currency"] == ours["currency"] && cents(expected).is_some() && cents(expected) == ours["amount"].as_f64()
        }
        _ => matches!((expected.as_f64(), ours.as_f64()), (Some(one), Some(other)) if one == other),
    }
}

fn instant(value: &Value) -> Option<i64> {
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    number.or_else(|| Timestamp::parse_rfc3339(value.as_str()?).map(Timestamp::secs))
}

/// How a defect of the destination is none here.
pub(crate) fn better(case: &Value, ran: &Ran) -> Result<String, String> {
    let (there, here) = (expected(case), ours(ran));
    let found = stage::contacts(case);
    let one = |what: &str| -> Result<&Write, String> {
        let mut all = here.iter().filter(|write| write.what == what);
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(format!("no {what} was written: {:?}", ran.ended)),
            (Some(_), Some(_)) => Err(format!("several of {what} were written")),
        }
    };
    if case["kind"] == "delete" {
        return match found.as_slice() {
            [id] if one("delete")?.contact.as_ref() == Some(id) => Ok(format!("the contact that was found, {id}, is deleted")),
            [] if here.is_empty() => Ok("nobody was found, and nobody else is deleted".to_owned()),
            _ => Err(format!("of {found:?} not exactly that is deleted: {here:?}")),
        };
    }
    let personas = &case["input"][0]["context"]["personas"];
    if let Some(key) = personas["computation_key"].as_str() {
        let value = [&case["input"][0]["traits"][key], &case["input"][0]["properties"][key]].into_iter().find(|value| !value.is_null());
        let ours = &one("contact")?.body["custom_attributes"][key];
        let same_person = one("contact")?.contact == there.first().and_then(|there| there.contact.clone());
        return if same_person && Some(ours) == value {
            Ok(format!("the membership arrives: {key} = {ours}"))
        } else {
            Err(format!("{key} = {ours} at {:?}", one("contact")?.contact))
        };
    }
    if found.len() > 1 {
        let made = here.iter().any(|write| write.create);
        return if made {
            Err("another contact was made".to_owned())
        } else {
            Ok(format!("no contact is made beside the {} there", found.len()))
        };
    }
    if case["expected"]["error"]["status"] == 409 && here.last().is_some_and(|write| write.what == "contact") {
        return if ran.waits() { Ok("it is tried again".to_owned()) } else { Ok("the contact that is there is written".to_owned()) };
    }
    if let Some(there) = there.iter().find(|there| there.what == "event") {
        let here = one("event")?;
        let empty = Map::new();
        let (there, here) = (there.body["metadata"].as_object().unwrap_or(&empty), here.body["metadata"].as_object().unwrap_or(&empty));
        if here.len() > MOST_METADATA || here.values().any(|value| value.is_object() && value.get("amount").is_none()) {
            return Err(format!("{} keys, or nested ones: {here:?}", here.len()));
        }
        if let Some(price) = there.get("price") {
            let amount = &here.get("price").unwrap_or(&Value::Null)["amount"];
            return if amount.is_i64() && same("price", price, here.get("price").unwrap_or(&Value::Null)) {
                Ok(format!("{amount} whole hundredths"))
            } else {
                Err(format!("a price of {amount}"))
            };
        }
        let more = here.get("more").and_then(Value::as_str).unwrap_or_default();
        let arrives = |name: &str, value: &Value| {
            here.get(name) == Some(value) || more.split(", ").any(|said| said == format!("{name}: {value}").replace('"', ""))
        };
        let lost: Vec<String> = leaves(there).into_iter().filter(|(name, value)| !arrives(name, value)).map(|(name, _)| name).collect();
        return if lost.is_empty() {
            Ok(format!("all {} values arrive, flat, in {} keys", leaves(there).len(), here.len()))
        } else {
            Err(format!("lost: {}", lost.join(", ")))
        };
    }
    Err("nothing here knows what would be better: decide, and say so in `better`".to_owned())
}

fn leaves(values: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (name, value) in values {
        match value {
            Value::Object(inner) => leaves.extend(self::leaves(inner).into_iter().map(|(key, value)| (format!("{name}_{key}"), value))),
            _ => leaves.push((name.clone(), value.clone())),
        }
    }
    leaves
}
