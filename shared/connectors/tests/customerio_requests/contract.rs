//! What we send against Customer.io's own description, which is no part of the repository: `specs/customerio-track.openapi.json`
//! beside it, or in the folder named by `TREFOIL_SHARED`. Some of the description contradicts itself; it is corrected first.

use super::{Request, requests};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

fn description() -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(beside, PathBuf::from);
    let text = fs::read(shared.join("specs/customerio-track.openapi.json")).ok()?;
    Some(corrected(serde_json::from_slice(&text).expect("the description is JSON")))
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should see that this one had nothing to do")]
fn skipped() {
    eprintln!(
        "SKIPPED: there is no specs/customerio-track.openapi.json beside the repository or in TREFOIL_SHARED; what we send was not checked"
    );
}

/// The place in the description, which must be there: a correction that corrects nothing has had its day.
fn place<'d>(description: &'d mut Value, pointer: &str) -> &'d mut Value {
    description.pointer_mut(pointer).unwrap_or_else(|| panic!("the description has no {pointer}"))
}

fn corrected(mut description: Value) -> Value {
    let schemas = "/components/schemas";
    // One of three kinds of names is to fit, and without a field that must be there all three fit everything.
    let names = place(&mut description, &format!("{schemas}/v2_cio_relationships/items/properties/identifiers/oneOf"));
    for name in names.as_array_mut().expect("a list") {
        let field = name["title"].clone();
        assert!(name["properties"].get(field.as_str().expect("a title")).is_some() && name.get("required").is_none());
        name["required"] = json!([field]);
    }
    place(&mut description, &format!("{schemas}/v2_cio_relationships/items"))["required"] = json!(["identifiers"]);
    // Without its name an object cannot be found, whatever is to be done to it.
    place(&mut description, &format!("{schemas}/object_identifiers"))["required"] = json!(["identifiers"]);
    description
}

/// As described, and what the request says in it.
type Parameters<'d> = Vec<(&'d Value, Option<String>)>;

/// The operation for this method and path, with the parameters of both.
fn operation<'d>(description: &'d Value, request: &Request) -> Option<(&'d Value, Parameters<'d>)> {
    let given: Vec<&str> = request.path.split('/').collect();
    let paths = description["paths"].as_object()?;
    let (template, path) = paths.iter().find(|(template, _)| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == given.len() && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
    })?;
    let operation = path.get(request.method.to_lowercase())?;
    let parameters = [path, operation].into_iter().filter_map(|owner| owner["parameters"].as_array()).flatten();
    let resolved = parameters.map(|parameter| resolve(description, parameter));
    let in_path: Vec<(&str, &str)> = template.split('/').zip(given.iter().copied()).collect();
    let in_query: Vec<(&str, &str)> =
        request.query.iter().flat_map(|query| query.split('&')).filter_map(|pair| pair.split_once('=')).collect();
    let value = |parameter: &Value| {
        let name = parameter["name"].as_str()?;
        let found = match parameter["in"].as_str()? {
            "path" => in_path.iter().find(|(wanted, _)| *wanted == format!("{{{name}}}")),
            _ => in_query.iter().find(|(wanted, _)| *wanted == name),
        };
        found.map(|(_, value)| (*value).to_owned())
    };
    Some((operation, resolved.map(|parameter| (parameter, value(parameter))).collect()))
}

fn resolve<'d>(description: &'d Value, node: &'d Value) -> &'d Value {
    node["$ref"].as_str().and_then(|reference| description.pointer(reference.trim_start_matches('#'))).unwrap_or(node)
}

fn validator(description: &Value, schema: &Value) -> Validator {
    let schema = json!({"allOf": [schema], "components": description["components"]});
    jsonschema::options().with_draft(Draft::Draft202012).build(&schema).expect("the schema can be used")
}

fn problems(description: &Value, request: &Request) -> Vec<String> {
    let Some((operation, parameters)) = operation(description, request) else {
        return vec![format!("there is no {} {}", request.method, request.path)];
    };
    let mut problems = Vec::new();
    for (parameter, value) in &parameters {
        let Some(value) = value else { continue };
        // What is a number stands there as text.
        let value =
            if parameter["schema"]["type"] == "integer" { value.parse::<i64>().map_or(json!(value), Value::from) } else { json!(value) };
        if !validator(description, &parameter["schema"]).is_valid(&value) {
            problems.push(format!("{}={value} is not taken", parameter["name"]));
        }
    }
    let asked_for = request.query.iter().flat_map(|query| query.split('&')).count();
    if asked_for != parameters.iter().filter(|(parameter, value)| parameter["in"] == "query" && value.is_some()).count() {
        problems.push("has a query that is not described".to_owned());
    }
    let schema = operation.pointer("/requestBody/content/application~1json/schema").expect("a described body");
    problems.extend(validator(description, schema).iter_errors(&request.body).map(|error| format!("{}: {error}", error.instance_path())));
    // Which of the many forms is meant, its fields say; that there may be no others, the description nowhere says.
    match request.body.get("batch").and_then(Value::as_array) {
        Some(items) => problems.extend(items.iter().flat_map(|item| unknown_fields(description, item))),
        None if request.body.get("action").is_some() => problems.extend(unknown_fields(description, &request.body)),
        None => {}
    }
    problems
}

/// Fields that the form of the item's action does not name.
fn unknown_fields(description: &Value, item: &Value) -> Vec<String> {
    let forms =
        description["components"]["schemas"][format!("{}_operations", item["type"].as_str().unwrap_or_default())]["oneOf"].as_array();
    let known = forms.into_iter().flatten().map(|form| known_fields(description, form));
    let Some(known) = known.into_iter().find(|known| known.get("action").is_some_and(|action| action["enum"][0] == item["action"])) else {
        return vec![format!("there is no {} {}", item["type"], item["action"])];
    };
    let mut unknown = unknown_of("", item, &known);
    if let Some(device) = known.get("device") {
        unknown.extend(unknown_of("device.", &item["device"], &known_fields(description, device)));
    }
    unknown
}

fn unknown_of(owner: &str, fields: &Value, known: &Map<String, Value>) -> Vec<String> {
    let fields = fields.as_object().into_iter().flat_map(Map::keys);
    fields.filter(|name| !known.contains_key(*name)).map(|name| format!("{owner}{name} is not described")).collect()
}

/// With those of all its parts.
fn known_fields(description: &Value, form: &Value) -> Map<String, Value> {
    let mut known = Map::new();
    let mut open = vec![form];
    while let Some(part) = open.pop() {
        let part = resolve(description, part);
        known.extend(part["properties"].as_object().cloned().unwrap_or_default());
        open.extend(part["allOf"].as_array().into_iter().flatten());
    }
    known
}

#[tokio::test]
async fn what_we_send_is_what_is_described() {
    let Some(description) = description() else { return skipped() };
    let requests = requests().await;
    let wrong = requests
        .iter()
        .flat_map(|request| problems(&description, request).into_iter().map(|problem| format!("{}: {problem}", request.name)));
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A judge that finds nothing wrong proves nothing.
#[tokio::test]
async fn what_is_wrong_is_found() {
    let Some(description) = description() else { return skipped() };
    let requests = requests().await;
    type Spoil<'s> = &'s dyn Fn(&mut Request);
    let cases: [(&str, Spoil<'_>); 22] = [
        ("update by id", &|request| request.body["identifiers"]["email"] = json!("user@example.com")),
        ("update by id", &|request| request.body["identifiers"] = json!({})),
        ("update by id", &|request| request.body["action"] = json!("update")),
        ("update by id", &|request| request.body["timestamp"] = json!("2026-01-10T04:22:28Z")),
        ("update by id", &|request| request.body["attributes"]["_update"] = json!("yes")),
        ("update by id", &|request| request.body["data"] = json!({})),
        ("event", &|request| request.body["name"] = Value::Null),
        ("event", &|request| request.body["timestamp"] = json!(1.5)),
        ("event", &|request| request.path = "/api/v2/events".to_owned()),
        ("page", &|request| request.body["attributes"]["title"] = json!(5)),
        ("object of somebody", &|request| request.body["identifiers"]["object_type_id"] = json!(1)),
        ("object of somebody", &|request| request.body["cio_relationships"][0]["identifiers"]["id"] = json!("42")),
        ("object of somebody", &|request| request.body["cio_relationships"][0]["identifiers"] = json!({})),
        ("delete an object", &|request| request.body["identifiers"] = json!({"id": "acme"})),
        ("remove a relationship", &|request| request.body["cio_relationships"] = json!({})),
        ("add a device", &|request| request.body["device"]["platform"] = json!("iOS")),
        ("add a device", &|request| request.body["device"]["attributes"]["push_enabled"] = json!(true)),
        ("add a device", &|request| request.body["device"]["id"] = json!("device_123")),
        ("merge", &|request| request.body["secondary"] = json!({})),
        ("add to a segment", &|request| request.query = Some("id_type=phone".to_owned())),
        ("add to a segment", &|request| request.path = "/api/v1/segments/seven/add_customers".to_owned()),
        ("batch", &|request| request.body["batch"][1]["name"] = Value::Null),
    ];
    for (index, (name, spoil)) in cases.into_iter().enumerate() {
        let mut request = requests.iter().find(|request| request.name == name).expect("a request").clone();
        spoil(&mut request);
        assert_ne!(problems(&description, &request), Vec::<String>::new(), "{index}: {name}");
    }
}
