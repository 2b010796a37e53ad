//! What we send against Customer.io's description of its data pipelines, which speak the same protocol, since Segment
//! publishes none: `specs/customerio-pipelines.openapi.json` beside the repository, or in the folder named by
//! `TREFOIL_SHARED`.

use super::tests::samples;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn description() -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(beside, PathBuf::from);
    let text = fs::read(shared.join("specs/customerio-pipelines.openapi.json")).ok()?;
    let mut description = serde_json::from_slice(&text).expect("the description is JSON");
    any_of(&mut description);
    Some(description)
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should see that this one had nothing to do")]
fn skipped() {
    eprintln!(
        "SKIPPED: there is no specs/customerio-pipelines.openapi.json beside the repository or in TREFOIL_SHARED; what we send was not checked"
    );
}

/// Somebody with a user id and an anonymous id is both of what it says only one of may be.
fn any_of(node: &mut Value) {
    match node {
        Value::Object(fields) => {
            if let Some(choices) = fields.remove("oneOf") {
                fields.insert("anyOf".to_owned(), choices);
            }
            fields.values_mut().for_each(any_of);
        }
        Value::Array(items) => items.iter_mut().for_each(any_of),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn judge(description: &Value, schema: &str) -> Validator {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}"), "components": description["components"]});
    jsonschema::options().with_draft(Draft::Draft202012).build(&schema).expect("the schema can be used")
}

fn is_valid(description: &Value, item: &Value) -> bool {
    let kind = item["type"].as_str().unwrap_or_default();
    let alone = judge(description, kind).is_valid(item);
    alone && (kind == "alias" || judge(description, "batch").is_valid(&json!({"batch": [item]})))
}

#[test]
fn what_we_send_is_what_is_described() {
    let Some(description) = description() else { return skipped() };
    let wrong: Vec<String> = samples().into_iter().filter(|(_, item)| !is_valid(&description, item)).map(|(name, _)| name).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// A judge that finds nothing wrong proves nothing.
#[test]
fn what_is_wrong_is_found() {
    let Some(description) = description() else { return skipped() };
    let samples = samples();
    for (name, field, value) in [
        ("identify", "userId", Value::Null),
        ("identify", "userId", json!(42)),
        ("identify", "traits", json!([])),
        ("identify", "type", json!("identity")),
        ("track", "event", Value::Null),
        ("track", "properties", json!("x")),
        ("track", "timestamp", json!(5)),
        ("group", "groupId", json!(5)),
        ("group", "traits", json!([])),
        ("alias", "previousId", Value::Null),
        ("alias", "userId", Value::Null),
    ] {
        let mut item = samples[name].clone();
        assert!(is_valid(&description, &item), "{name}");
        let fields = item.as_object_mut().expect("an object");
        let was = if value.is_null() { fields.remove(field) } else { fields.insert(field.to_owned(), value) };
        assert!(was.is_some(), "{name} has no {field}");
        let caught = item["type"].as_str().is_none_or(|kind| !samples.contains_key(kind)) || !is_valid(&description, &item);
        assert!(caught, "{name} {field}");
    }
}
