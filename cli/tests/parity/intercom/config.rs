//! The mapping of a case as a `trefoil.yaml`: Segment's default mapping, and what the case says instead. Of calls that went
//! through all default mappings, the shipped file, with what it has in comments.

use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

pub(super) fn of(case: &Value, root: &Path) -> String {
    let id = case["id"].as_str().expect("id");
    let none = Map::new();
    let overrides = case["mapping_overrides"].as_object().unwrap_or(&none);
    let routes = match (case["kind"].as_str(), case["action"].as_str()) {
        (Some("routed"), _) => return shipped(root),
        (Some("delete"), _) => vec![route("deletions", json!("segment.person.deleted"), None, json!({"intercom.delete_contact": {}}))],
        (_, Some("identifyContact")) => identify(id, overrides),
        (_, Some("groupIdentifyContact")) => vec![group(id, overrides)],
        (_, Some("trackEvent")) => vec![track(id, overrides, case)],
        other => panic!("{id}: {other:?} is new"),
    };
    // JSON is YAML too.
    json!({"version": 1, "identity": {"address_in_properties": true}, "routes": routes}).to_string()
}

/// With what people let in from comments: an event for support, and addresses as Segment reads them.
fn shipped(root: &Path) -> String {
    let text = fs::read_to_string(root.join("trefoil.yaml")).expect("the shipped file");
    let behaviour = "\n  - name: behaviour to Intercom\n    on: segment.event.tracked\n    do:\n      - intercom.track_event:\n          \
                     name: \"${event.name}\"\n          fallback: product_activity\n          metadata: \"${event.attributes}\"\n";
    format!("{text}\n{behaviour}\nidentity: {{ address_in_properties: true }}\n")
}

#[expect(clippy::needless_pass_by_value, reason = "they are put together in the call")]
fn route(name: &str, on: Value, when: Option<&str>, action: Value) -> Value {
    let mut route = json!({"name": name, "on": on, "do": [action]});
    if let Some(when) = when {
        route["when"] = json!(when);
    }
    route
}

/// A value of Segment's mapping as one of ours.
fn value(id: &str, mapping: &Value) -> Value {
    let Value::Object(directive) = mapping else { return mapping.clone() };
    let path = directive.get("@path").and_then(Value::as_str).unwrap_or_else(|| panic!("{id}: {mapping} is new"));
    match path {
        "$.timestamp" => json!("${event.occurred_at}"),
        "$.event" => json!("${event.name}"),
        "$.traits" | "$.properties" => json!("${event.attributes}"),
        _ => {
            let name = ["$.traits.", "$.properties."].iter().find_map(|before| path.strip_prefix(before));
            let name = match name.unwrap_or_else(|| panic!("{id}: {path} is new")) {
                "createdAt" => "created_at",
                "firstName" => "first_name",
                "lastName" => "last_name",
                name => name,
            };
            json!(format!("${{event.attributes.{name}}}"))
        }
    }
}

fn identify(id: &str, overrides: &Map<String, Value>) -> Vec<Value> {
    let mut fields = json!({
        "create": true, "name": "${event.attributes.name}", "phone": "${event.attributes.phone}",
        "avatar": "${event.attributes.avatar}", "last_seen_at": "${event.occurred_at}",
    });
    let mut roles: Vec<(Option<String>, Option<Value>)> = vec![(None, None)];
    for (name, mapping) in overrides {
        match name.as_str() {
            "role" if mapping.is_string() => roles = vec![(None, Some(mapping.clone()))],
            // A role is a word as it stands, so that each has its route.
            "role" => {
                let expression = value(id, mapping);
                let expression = expression.as_str().expect("an expression").trim_start_matches("${").trim_end_matches('}').to_owned();
                roles = ["lead", "user"].map(|role| (Some(format!("{expression} == \"{role}\"")), Some(json!(role)))).into();
            }
            "custom_attributes" => {
                let attributes = mapping.as_object().expect("names and values");
                fields["attributes"] = attributes.iter().map(|(name, mapping)| (name.clone(), value(id, mapping))).collect();
            }
            // Whoever says that they are out is out, without a route. Who somebody is, the call says by itself.
            "unsubscribed_from_emails" | "external_id" | "email" => {}
            "signed_up_at" | "last_seen_at" | "owner_id" | "name" | "phone" | "avatar" => fields[name] = value(id, mapping),
            other => panic!("{id}: {other} is new"),
        }
    }
    let mut routes = Vec::new();
    for (place, (when, role)) in roles.into_iter().enumerate() {
        let mut fields = fields.clone();
        if let Some(role) = role {
            fields["role"] = role;
        }
        let name = |what| format!("{what} {place}");
        routes.push(route(&name("people"), json!("segment.person.updated"), when.as_deref(), json!({"intercom.upsert_contact": fields})));
        // What Engage says comes in place of the call that carries it.
        if when.is_none() {
            for (on, is_in) in [("segment.audience.entered", true), ("segment.audience.left", false)] {
                let mut of_engage = json!({"create": true, "last_seen_at": "${event.occurred_at}", "attributes": {"${event.name}": is_in}});
                if let Some(role) = fields.get("role") {
                    of_engage["role"] = role.clone();
                }
                routes.push(route(&name(on), json!(on), None, json!({"intercom.upsert_contact": of_engage})));
            }
        }
    }
    routes
}

fn group(id: &str, overrides: &Map<String, Value>) -> Value {
    let mut fields = json!({
        "company_id": "${event.company_id}", "name": "${event.attributes.name}", "plan": "${event.attributes.plan}",
        "size": "${event.attributes.employees}", "website": "${event.attributes.website}",
        "industry": "${event.attributes.industry}", "monthly_spend": "${event.attributes.monthly_spend}",
        "remote_created_at": "${event.attributes.created_at}",
    });
    for (name, mapping) in overrides {
        match name.as_str() {
            "custom_attributes" => {
                let attributes = mapping.as_object().expect("names and values");
                fields["attributes"] = attributes.iter().map(|(name, mapping)| (name.clone(), value(id, mapping))).collect();
            }
            "name" | "plan" | "size" | "website" | "industry" | "monthly_spend" | "remote_created_at" => fields[name] = value(id, mapping),
            other => panic!("{id}: {other} is new"),
        }
    }
    route("companies", json!(["segment.company.joined", "segment.company.updated"]), None, json!({"intercom.upsert_company": fields}))
}

fn track(id: &str, overrides: &Map<String, Value>, case: &Value) -> Value {
    let mut fields = json!({"name": "${event.name}", "fallback": "product_activity", "metadata": "${event.attributes}"});
    let mut money = Map::new();
    for (name, mapping) in overrides {
        match name.as_str() {
            "revenue" | "currency" => {
                money.insert(name.clone(), value(id, mapping));
            }
            "metadata" => {
                let metadata = mapping.as_object().expect("names and values");
                fields["metadata"] = if metadata.contains_key("@path") {
                    value(id, mapping)
                } else {
                    metadata.iter().map(|(name, mapping)| (name.clone(), value(id, mapping))).collect()
                };
            }
            "event_name" => fields["name"] = value(id, mapping),
            other => panic!("{id}: {other} is new"),
        }
    }
    if !money.is_empty() {
        // Where one is under another name, each is named.
        let properties = case["input"][0]["properties"].as_object().into_iter().flat_map(Map::keys).filter(|name| *name != "email");
        let mut metadata: Map<String, Value> =
            properties.map(|name| (name.clone(), json!(format!("${{event.attributes.{name}}}")))).collect();
        metadata.extend(money);
        fields["metadata"] = Value::Object(metadata);
    }
    route("behaviour", json!("segment.event.tracked"), None, json!({"intercom.track_event": fields}))
}
