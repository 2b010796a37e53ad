//! What is written to Customer.io, as items of Track v2, by whatever call it goes.

use super::stage::{People, guessed};
use serde_json::{Map, Value, json};
use trefoil_standins::customerio::CustomerIo;
use trefoil_standins::journal::Recorded;

#[derive(Clone, Debug)]
pub(super) struct Item {
    /// `person identify`, `object delete` and so on.
    pub(super) what: &'static str,
    pub(super) body: Map<String, Value>,
    /// A relationship that came with somebody's attributes.
    pub(super) of_identify: bool,
}

impl Item {
    fn new(body: Value) -> Self {
        let Value::Object(mut body) = body else { panic!("an item is an object: {body}") };
        let (kind, action) = (body.remove("type").unwrap_or_default(), body.remove("action").unwrap_or_default());
        let what = match (kind.as_str(), action.as_str()) {
            (Some("person"), Some("identify")) => "person identify",
            (Some("person"), Some("event")) => "person event",
            (Some("person"), Some("page")) => "person page",
            (Some("person"), Some("screen")) => "person screen",
            (Some("person"), Some("merge")) => "person merge",
            (Some("person"), Some("add_device")) => "person add_device",
            (Some("person"), Some("delete_device")) => "person delete_device",
            (Some("person"), Some("delete")) => "person delete",
            (Some("person"), Some("suppress")) => "person suppress",
            (Some("person"), Some("unsuppress")) => "person unsuppress",
            (Some("object"), Some("identify")) => "object identify",
            (Some("object"), Some("identify_anonymous")) => "object identify_anonymous",
            (Some("object"), Some("delete")) => "object delete",
            (Some("object"), Some("delete_relationships")) => "object delete_relationships",
            (Some("delivery"), None) => "delivery report",
            _ => panic!("{kind} {action} is new"),
        };
        Self { what, body, of_identify: false }
    }

    pub(super) fn field(&self, name: &str) -> &Value {
        self.body.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn fields(&self, name: &str) -> Map<String, Value> {
        self.field(name).as_object().cloned().unwrap_or_default()
    }

    pub(super) fn relationships(&self) -> &[Value] {
        self.field("cio_relationships").as_array().map_or(&[], Vec::as_slice)
    }

    /// Everybody who is named.
    pub(super) fn people(&self) -> impl Iterator<Item = &Value> {
        let named = ["identifiers", "primary", "secondary"].into_iter().filter_map(|name| self.body.get(name));
        let related = self.relationships().iter().map(|one| &one["identifiers"]);
        named.chain(related).filter(|who| who.get("object_id").is_none())
    }

    /// It says the same of the same, of what is the same for everybody.
    fn is_part_of(&self, other: &Self) -> bool {
        let about = |item: &Self| {
            let mut body = item.body.clone();
            body.retain(|name, _| !matches!(name.as_str(), "attributes" | "timestamp" | "cio_relationships" | "identifiers"));
            body
        };
        let there = other.fields("attributes");
        self.what == other.what
            && about(self) == about(other)
            && self.fields("attributes").iter().all(|(name, value)| name == "_update" || there.get(name) == Some(value))
    }
}

/// The items of one request; of what is no item of version 2, what says the same there.
fn items(method: &str, path: &str, body: Option<Value>) -> Vec<Item> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, parts.as_slice(), body) {
        ("POST", ["api", "v2", "entity"], Some(body)) => vec![Item::new(body)],
        ("POST", ["api", "v2", "batch"], Some(mut body)) => {
            let Value::Array(batch) = body["batch"].take() else { panic!("a batch is a list") };
            batch.into_iter().map(Item::new).collect()
        }
        ("POST", ["api", "v1", "metrics"], Some(mut body)) => {
            body["type"] = json!("delivery");
            vec![Item::new(body)]
        }
        ("DELETE", ["api", "v1", "customers", name], _) => {
            vec![Item::new(json!({"type": "person", "action": "delete", "identifiers": guessed(name)}))]
        }
        // Questions.
        ("GET", _, _) | ("POST", ["v1", "customers", "attributes"], _) => Vec::new(),
        _ => panic!("{method} {path} is new"),
    }
}

/// What was recorded. The relationships of an identify are items of their own.
pub(super) fn expected(case: &Value) -> Vec<Item> {
    let requests = case["expected"]["requests"].as_array().expect("requests");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let path = |url: String| url.strip_prefix("https://track.customer.io").expect("the region is the United States").to_owned();
    let mut expected = Vec::new();
    for request in requests {
        for mut item in items(&text(&request["method"]), &path(text(&request["url"])), Some(request["body"].clone())) {
            let mut related = Vec::new();
            if item.what == "person identify"
                && let Some(Value::Array(relationships)) = item.body.remove("cio_relationships")
            {
                let who = item.field("identifiers").clone();
                related = relationships.into_iter().map(|one| turned(&who, one)).collect();
            }
            expected.push(item);
            expected.extend(related);
        }
    }
    expected
}

fn turned(who: &Value, mut relationship: Value) -> Item {
    let object = relationship["identifiers"].take();
    relationship["identifiers"] = who.clone();
    let body =
        json!({"type": "object", "action": "identify", "identifiers": object, "attributes": {}, "cio_relationships": [relationship]});
    Item { of_identify: true, ..Item::new(body) }
}

/// What Customer.io saw of a case.
pub(super) struct Saw {
    /// What was written, once: not what was said again, since it was refused, or had to be seen first.
    pub(super) items: Vec<Item>,
    pub(super) people: People,
    /// A profile was made that nobody asked for.
    pub(super) by_accident: bool,
    /// Of the events that reached a profile.
    pub(super) events: Vec<String>,
}

impl Saw {
    pub(super) fn of(requests: &[Recorded], people: People, customerio: &CustomerIo) -> Self {
        let mut once: Vec<Item> = Vec::new();
        for item in requests.iter().flat_map(|asked| items(&asked.method, &asked.path, asked.json())) {
            let same = |other: &Item| match (item.field("identifiers"), other.field("identifiers")) {
                (Value::Null, Value::Null) => true,
                (one, other) => one == other || people.are_one(one, other),
            };
            match once.iter_mut().find(|before| same(before) && (item.is_part_of(before) || before.is_part_of(&item))) {
                Some(before) if item.relationships().len() > before.relationships().len() => *before = item,
                Some(_) => {}
                None => once.push(item),
            }
        }
        let events = customerio.events().into_iter().map(|event| event.name).collect();
        Self { items: once, people, by_accident: customerio.profile_created_by_accident(), events }
    }
}
