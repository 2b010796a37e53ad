//! What actions become once they are filled in. `tests/config/actions/*.json`: an event, and either actions as they stand in a
//! file (`do`) or a route of the shipped file (`route`); then what they give, each an action or the reason why there is none,
//! or why the whole route is not taken.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use trefoil_domain::action::{Action, CustomerioVerb, IntercomVerb, SegmentVerb, Verb};
use trefoil_domain::config::{self, ACTIONS, CampaignNames, EMBEDDED, Need, Shape, Trigger};
use trefoil_domain::event::{Attributes, Behaviour, Event, Kind, Source, Workspace, action_id, event_id};
use trefoil_domain::ports::Destination;
use trefoil_domain::rules::{Decision, PersonView, Routes, Scope};
use trefoil_domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_768_018_948);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    on: String,
    /// Of the event, its kind and data.
    event: Value,
    #[serde(default)]
    unsubscribed: bool,
    campaign_name: Option<String>,
    #[serde(rename = "do")]
    actions: Option<Value>,
    route: Option<String>,
    gives: Gives,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Gives {
    Actions(Vec<Value>),
    Skipped(String),
}

fn trigger(name: &str) -> Trigger {
    Trigger::all().find(|(_, known)| *known == name).unwrap_or_else(|| panic!("no event is named {name}")).0
}

fn event(on: Trigger, kind: Kind) -> Event {
    let workspace = Workspace::new("main").expect("a valid name");
    let id = event_id(on.source, &workspace, &["1"]);
    let occurred_at = Timestamp::from_secs(1_768_018_900);
    Event { id, source: on.source, workspace, occurred_at, received_at: NOW, ids: Vec::new(), person: None, origin: None, kind }
}

fn person(unsubscribed: bool) -> PersonView<'static> {
    PersonView {
        id: "p1",
        user_id: Some("user-1"),
        email: Some("ann@example.com"),
        phone: None,
        cio_id: None,
        unsubscribed,
        has_open_ticket: false,
        open_ticket_count: 0,
        open_ticket_priority: None,
        last_csat_score: None,
        suppressed: BTreeMap::new(),
    }
}

/// Of each route on it, its name and what it gives.
fn decided(routes: &Routes, on: Trigger, event: &Event, unsubscribed: bool, campaign_name: Option<&str>) -> Vec<(String, Gives)> {
    let person = person(unsubscribed);
    let scope = Scope::new(event, &person, None, NOW).with_campaign(campaign_name, CampaignNames::default());
    let gives = |decision| match decision {
        Decision::Skip(reason) => Gives::Skipped(reason),
        Decision::Take(rendered) => Gives::Actions(rendered.into_iter().map(|one| one.what.map_or_else(Value::from, told)).collect()),
    };
    routes.on(on, &event.kind).map(|route| (route.name().to_owned(), gives(route.decide(&scope)))).collect()
}

/// Without what is null: it is left out.
fn told(verb: Verb) -> Value {
    let told = match verb {
        Verb::Customerio(verb) => serde_json::to_value(verb),
        Verb::Intercom(verb) => serde_json::to_value(verb),
        Verb::Segment(verb) => serde_json::to_value(verb),
    };
    let mut told = told.expect("JSON");
    if let Some(fields) = told.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    told
}

#[test]
fn cases_give_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/actions");
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        let name = path.display();
        let case: Case =
            serde_json::from_str(&fs::read_to_string(&path).expect("a readable file")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = match &case.actions {
            // JSON is YAML too.
            Some(actions) => json!({"version": 1, "routes": [{"name": "a", "on": case.on, "do": actions}]}).to_string(),
            None => EMBEDDED.to_owned(),
        };
        let (_, routes) = config::check("case.yaml", &text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let on = trigger(&case.on);
        let event = event(on, serde_json::from_value(case.event).unwrap_or_else(|e| panic!("{name}: {e}")));
        let route = case.route.as_deref().unwrap_or("a");
        let found =
            decided(&routes, on, &event, case.unsubscribed, case.campaign_name.as_deref()).into_iter().find(|(found, _)| found == route);
        let (_, gives) = found.unwrap_or_else(|| panic!("{name}: no route {route} on {}", case.on));
        assert_eq!(gives, case.gives, "{name}");
        if let (Some(Value::Array(actions)), Gives::Actions(given)) = (&case.actions, &gives) {
            let done = actions.iter().zip(given).filter(|(_, given)| given.is_object());
            seen.extend(done.flat_map(|(action, _)| action.as_object().expect("an action").keys().cloned()));
        }
    }
    assert_eq!(seen, ACTIONS.iter().map(|action| action.name.to_owned()).collect(), "every action has a case in which it is done");
}

/// The table knows every field of every verb, and no others.
#[test]
fn the_table_and_the_types_agree() {
    for kind in ACTIONS {
        let value = |shape: &Shape| match shape {
            Shape::Name { .. } | Shape::Text { .. } => json!("text"),
            Shape::Value => json!(1),
            Shape::Flag => json!(true),
            Shape::Word(words) => json!(words[0]),
            Shape::Map(_) => json!({"key": "value"}),
        };
        let all: serde_json::Map<String, Value> = kind.fields.iter().map(|field| (field.name.to_owned(), value(&field.shape))).collect();
        let of = |fields: &serde_json::Map<String, Value>| match kind.destination {
            Destination::Customerio => CustomerioVerb::of(kind.verb(), fields.clone()).map(Verb::Customerio),
            Destination::Intercom => IntercomVerb::of(kind.verb(), fields.clone()).map(Verb::Intercom),
            Destination::Segment => SegmentVerb::of(kind.verb(), fields.clone()).map(Verb::Segment),
        };
        let mut expected = all.clone();
        expected.insert("verb".to_owned(), kind.verb().into());
        let verb = of(&all).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        if let Verb::Intercom(verb) = &verb {
            assert_eq!(verb.name(), kind.verb());
        }
        // Reading by the tag is the same.
        let by_tag = match kind.destination {
            Destination::Customerio => serde_json::from_value(Value::Object(expected.clone())).map(Verb::Customerio),
            Destination::Intercom => serde_json::from_value(Value::Object(expected.clone())).map(Verb::Intercom),
            Destination::Segment => serde_json::from_value(Value::Object(expected.clone())).map(Verb::Segment),
        };
        assert_eq!(by_tag.expect("a verb"), verb);
        survives_a_queue(verb.clone());
        assert_eq!(told(verb), Value::Object(expected), "{}", kind.name);
        for field in kind.fields {
            let mut fewer = all.clone();
            fewer.remove(field.name);
            assert_eq!(of(&fewer).is_err(), matches!(field.need, Need::Required(_)), "{} without {}", kind.name, field.name);
            if let Shape::Word(words) = &field.shape {
                for word in *words {
                    let mut other = all.clone();
                    other.insert(field.name.to_owned(), json!(word));
                    assert!(of(&other).is_ok(), "{}: {word}", kind.name);
                }
            }
        }
    }
}

/// An action is written beside its verb's fields: none of its own names may be one of theirs.
fn survives_a_queue(verb: Verb) {
    fn again<V: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(what: V) {
        let (id, route) = (action_id(&["1"]), "a".to_owned());
        let action = Action { id, route, occurred_at: NOW, origin: Source::Segment, of_lead: false, what };
        let json = serde_json::to_string(&action).expect("JSON");
        let read: Action<V> = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{json}: {e}"));
        assert_eq!(read, action);
    }
    match verb {
        Verb::Customerio(verb) => again(verb),
        Verb::Intercom(verb) => again(verb),
        Verb::Segment(verb) => again(verb),
    }
}

#[test]
fn a_route_on_several_events_is_on_each_and_sees_what_each_has() {
    let text = "version: 1\nroutes:\n  - name: a\n    on: [segment.event.tracked, customerio.conversion, customerio.churn_risk]\n    do:\n\
        \x20     - customerio.track_event: { name: x, properties: { name: \"${event.name}\", value: \"${event.value}\", reason: \"${event.reason}\", machine: \"${event.machine}\" } }\n\
        \x20 - { name: b, on: segment.event.tracked, named: Other, do: [ customerio.track_event: { name: x } ] }\n";
    // A field that none of them has is refused.
    let problems = config::check("test.yaml", text).expect_err("no message among them").to_string();
    assert!(problems.contains("`event.machine` is only there on"), "{problems}");
    let (_, routes) = config::check("test.yaml", &text.replace(", machine: \"${event.machine}\"", "")).expect("right");
    let given = |on: &str, kind: Value| {
        let on = trigger(on);
        let event = event(on, serde_json::from_value(kind).expect("a kind"));
        decided(&routes, on, &event, false, None)
    };
    let took = |properties: Value| {
        vec![("a".to_owned(), Gives::Actions(vec![json!({"verb": "track_event", "name": "x", "properties": properties})]))]
    };
    assert_eq!(given("segment.event.tracked", json!({"kind": "tracked", "data": {"name": "Bought"}})), took(json!({"name": "Bought"})));
    let converted = json!({"kind": "converted", "data": {"name": "order", "value": 2.5}});
    assert_eq!(given("customerio.conversion", converted), took(json!({"name": "order", "value": 2.5})));
    assert_eq!(
        given("customerio.churn_risk", json!({"kind": "churn_risk", "data": {"reason": "quiet"}})),
        took(json!({"reason": "quiet"}))
    );
    assert_eq!(given("pipelines.event.tracked", json!({"kind": "tracked", "data": {"name": "Bought"}})), vec![]);
    let other = Kind::Tracked(Behaviour { name: "Other".to_owned(), device: None, attributes: Attributes::new() });
    assert_eq!(routes.on(trigger("segment.event.tracked"), &other).map(|route| route.name().to_owned()).collect::<Vec<_>>(), ["a", "b"]);
}
