//! What we send against Intercom's own description, which is no part of the repository: `specs/intercom.openapi.yaml` beside
//! it, or in the folder named by `TREFOIL_SHARED`. Some of the description contradicts Intercom's behaviour and itself; it is
//! corrected first.

use super::tests::{Sample, samples};
use jsonschema::{Draft, Validator};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

fn description() -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(beside, PathBuf::from);
    let text = fs::read_to_string(shared.join("specs/intercom.openapi.yaml")).ok()?;
    let mut documents = Yaml::load_from_str(&text).expect("the description is YAML");
    Some(corrected(as_json(documents.pop().expect("a document"))))
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should see that this one had nothing to do")]
fn skipped() {
    eprintln!("SKIPPED: there is no specs/intercom.openapi.yaml beside the repository or in TREFOIL_SHARED; what we send was not checked");
}

fn as_json(node: Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(truth)) => Value::Bool(truth),
        Yaml::Value(Scalar::Integer(number)) => Value::from(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::from(f64::from(number)),
        Yaml::Value(Scalar::String(text)) => Value::from(text.into_owned()),
        Yaml::Sequence(items) => items.into_iter().map(as_json).collect(),
        Yaml::Mapping(fields) => {
            let name = |key| match as_json(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(fields.into_iter().map(|(key, value)| (name(key), as_json(value))).collect())
        }
        Yaml::Tagged(_, node) => as_json(*node),
        Yaml::Value(Scalar::Null) | Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

/// The place in the description, which must be there: a correction that corrects nothing has had its day.
fn place<'d>(description: &'d mut Value, pointer: &str) -> &'d mut Value {
    description.pointer_mut(pointer).unwrap_or_else(|| panic!("the description has no {pointer}"))
}

fn corrected(mut description: Value) -> Value {
    let schemas = "/components/schemas";
    // A real contact id has 24 hex digits, and no UUID has.
    let id = place(&mut description, &format!("{schemas}/create_conversation_request/properties/from/properties/id"));
    assert!(id.as_object_mut().is_some_and(|id| id.remove("format").is_some()));
    // Its own examples have numbers and truths.
    for owner in ["create_data_event_request/properties/metadata", "create_or_update_company_request/properties/custom_attributes"] {
        *place(&mut description, &format!("{schemas}/{owner}/additionalProperties")) = json!({});
    }
    place(&mut description, &format!("{schemas}/single_filter_search_request"))["required"] = json!(["field", "operator", "value"]);
    let several = place(&mut description, &format!("{schemas}/multiple_filter_search_request"));
    several["required"] = json!(["operator", "value"]);
    let nested = several.pointer_mut("/properties/value").and_then(Value::as_object_mut).expect("values");
    let choices = nested.remove("oneOf").expect("oneOf");
    nested.insert("anyOf".to_owned(), choices);
    nullable(&mut description);
    description
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a second type. Without a type it means nothing.
fn nullable(node: &mut Value) {
    match node {
        Value::Object(fields) => {
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                let nullable = fields.remove("nullable") == Some(Value::Bool(true));
                if let (true, Some(Value::String(kind))) = (nullable, fields.get("type").cloned()) {
                    fields.insert("type".to_owned(), json!([kind, "null"]));
                }
            }
            fields.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The operation for this method and path. A path without parameters wins.
fn operation<'d>(description: &'d Value, sample: &Sample) -> Option<(&'d str, &'d Map<String, Value>)> {
    let is_parameter = |segment: &str| segment.starts_with('{');
    let fits = |template: &&String| {
        let segments: Vec<&str> = template.trim_start_matches('/').split('/').collect();
        segments.len() == sample.request.path.len()
            && segments.iter().zip(&sample.request.path).all(|(wanted, given)| is_parameter(wanted) || wanted == given)
    };
    let paths = description["paths"].as_object()?;
    let template = paths.keys().filter(fits).min_by_key(|template| template.matches('{').count())?;
    let method = sample.request.method.as_str().to_lowercase();
    Some((template, paths[template].get(&method)?.as_object()?))
}

fn validator(description: &Value, schema: &Value) -> Validator {
    let schema = json!({"allOf": [schema], "components": description["components"]});
    jsonschema::options().with_draft(Draft::Draft4).build(&schema).expect("the schema can be used")
}

fn problems(description: &Value, sample: &Sample) -> Vec<String> {
    let Some((_, operation)) = operation(description, sample) else {
        return vec![format!("there is no {} {}", sample.request.method, sample.request.path.join("/"))];
    };
    let mut problems = Vec::new();
    let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let in_query = |name: &str| parameters.iter().find(|parameter| parameter["in"] == "query" && parameter["name"] == name);
    if let Some((name, value)) = sample.request.query {
        match in_query(name) {
            None => problems.push(format!("there is no query parameter {name}")),
            Some(parameter) if validator(description, &parameter["schema"]).is_valid(&json!(value)) => {}
            Some(_) => problems.push(format!("{name}={value} is not taken")),
        }
    }
    let schema = operation.get("requestBody").and_then(|body| body.pointer("/content/application~1json/schema"));
    match (&sample.request.body, schema) {
        (None, None) => {}
        (None, Some(_)) => problems.push("has no body".to_owned()),
        (Some(_), None) => problems.push("has a body, and none is described".to_owned()),
        (Some(body), Some(schema)) => {
            problems.extend(validator(description, schema).iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())));
            problems.extend(unknown_fields(description, schema, body));
        }
    }
    problems
}

/// Fields that no branch of the schema names; the description nowhere says that there may be no others.
fn unknown_fields(description: &Value, schema: &Value, body: &Value) -> Vec<String> {
    let mut known = Vec::new();
    let mut open = vec![schema];
    while let Some(schema) = open.pop() {
        if let Some(reference) = schema["$ref"].as_str() {
            open.extend(description.pointer(reference.trim_start_matches('#')));
        }
        known.extend(schema["properties"].as_object().into_iter().flat_map(Map::keys));
        for branches in ["oneOf", "anyOf", "allOf"] {
            open.extend(schema[branches].as_array().into_iter().flatten());
        }
    }
    let fields = body.as_object().into_iter().flat_map(Map::keys);
    fields.filter(|field| !known.contains(field)).map(|field| format!("/{field}: is not described")).collect()
}

#[test]
fn what_we_send_is_what_intercom_describes() {
    let Some(description) = description() else { return skipped() };
    let wrong: Vec<String> = samples()
        .iter()
        .flat_map(|sample| problems(&description, sample).into_iter().map(|problem| format!("{}: {problem}", sample.name)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A judge that finds nothing wrong proves nothing.
#[test]
fn what_is_wrong_is_found() {
    let Some(description) = description() else { return skipped() };
    let spoilt = |name: &str, spoil: &dyn Fn(&mut Sample)| {
        let mut sample = samples().into_iter().find(|sample| sample.name == name).expect("a sample");
        spoil(&mut sample);
        problems(&description, &sample)
    };
    fn body(sample: &mut Sample) -> &mut Value {
        sample.request.body.as_mut().expect("a body")
    }
    type Spoil<'s> = &'s dyn Fn(&mut Sample);
    let cases: [(&str, Spoil<'_>); 9] = [
        ("event", &|sample| body(sample)["created_at"] = json!("2026-01-10T04:22:28Z")),
        ("event", &|sample| body(sample)["id"] = Value::Null),
        ("create a user", &|sample| body(sample)["owner_id"] = json!(9_608_799)),
        ("create a user", &|sample| body(sample)["signed_up_at"] = json!("2026-01-10T04:22:28Z")),
        ("create a user", &|sample| body(sample)["nickname"] = json!("x")),
        ("assign to a team", &|sample| body(sample)["message_type"] = json!("assign")),
        ("look for an address", &|sample| body(sample)["query"] = json!(5)),
        ("delete", &|sample| sample.request.method = reqwest::Method::PUT),
        ("tag a contact", &|sample| sample.request.path.push("more".to_owned())),
    ];
    for (index, (name, spoil)) in cases.into_iter().enumerate() {
        assert_ne!(spoilt(name, spoil), Vec::<String>::new(), "{index}: {name}");
    }
}
