//! What routes make of events: exact actions, and the reason for every one not taken.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use trefoil_domain::action::{CustomerioEvent, CustomerioVerb, Verb};
use trefoil_domain::config::{self, EMBEDDED, Trigger, What};
use trefoil_domain::event::{Attributes, Behaviour, Event, Kind, List, ListKind, Profile, Source, Workspace, event_id};
use trefoil_domain::rules::{Decision, PersonView, Rendered, Routes, Scope, TicketView, fields};
use trefoil_domain::tickets::{Author, RatingOf, TicketFact, TicketId, TicketReport};
use trefoil_domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_768_018_948_240);

fn event(kind: Kind) -> Event {
    let workspace = Workspace::new("main").expect("a valid name");
    let id = event_id(Source::Intercom, &workspace, &["notif_1"]);
    let (occurred_at, received_at) = (Timestamp::from_secs(1_768_018_900), NOW);
    Event { id, source: Source::Intercom, workspace, occurred_at, received_at, ids: Vec::new(), person: None, origin: None, kind }
}

fn attributes(values: Value) -> Attributes {
    serde_json::from_value(values).expect("an object")
}

fn ticket_event(fact: TicketFact, values: Value) -> Event {
    event(Kind::Ticket(TicketReport {
        attributes: attributes(values),
        ..TicketReport::new(TicketId::new("215468").expect("a valid id"), fact)
    }))
}

fn person() -> PersonView<'static> {
    PersonView {
        id: "p1",
        user_id: Some("user-1"),
        email: None,
        phone: None,
        cio_id: None,
        unsubscribed: false,
        has_open_ticket: true,
        open_ticket_count: 2,
        open_ticket_priority: Some("high"),
        last_csat_score: None,
        suppressed: BTreeMap::from([("renewal".to_owned(), true)]),
    }
}

fn ticket() -> TicketView<'static> {
    TicketView {
        id: "215468",
        priority: None,
        category: Some("conversation"),
        opened_at: Some(Timestamp::from_millis(1_768_000_000_999)),
        resolved_at: None,
        resolution_time_hrs: Some(5.263_888),
        episode: 1,
        handled_by: "human",
        ai_resolution: Some("escalated"),
    }
}

fn decide_all(routes: &Routes, on: Trigger, event: &Event) -> Vec<Decision> {
    let (person, ticket) = (person(), ticket());
    let scope = Scope::new(event, &person, on.is_about_a_ticket().then_some(&ticket), NOW);
    routes.on(on, &event.kind).map(|route| route.decide(&scope)).collect()
}

fn took(name: &str, properties: Value) -> Vec<Decision> {
    let what =
        Ok(Verb::Customerio(CustomerioVerb::TrackEvent(CustomerioEvent { name: name.to_owned(), properties: attributes(properties) })));
    vec![Decision::Take(vec![Rendered { index: 0, what }])]
}

/// Decides a route on `intercom.ticket.tagged` with these lines under it.
fn tagged(lines: &str, values: Value) -> Decision {
    let text = format!(
        "version: 1\nsuppress:\n  renewal: {{ csat_at_most: 2, for: 30d }}\n  expansion: {{ tag: a, for: 7d }}\n\
         routes:\n  - name: a\n    on: intercom.ticket.tagged\n{lines}"
    );
    let (_, routes) = config::check("test.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let event = ticket_event(TicketFact::Tagged { tag: "vip".to_owned() }, values);
    decide_all(&routes, Trigger::intercom(What::TicketTagged), &event).pop().expect("one route")
}

fn when(condition: &str, values: Value) -> Decision {
    tagged(&format!("    when: >-\n      {condition}\n    do: [ customerio.track_event: {{ name: x }} ]\n"), values)
}

/// What one property comes to; `None` when it is left out.
fn property(value: &str, values: Value) -> Result<Option<Value>, String> {
    let yaml = Value::from(value).to_string();
    let lines = format!("    do: [ customerio.track_event: {{ name: x, properties: {{ p: {yaml} }} }} ]\n");
    match tagged(&lines, values) {
        Decision::Take(mut rendered) => {
            let Verb::Customerio(CustomerioVerb::TrackEvent(CustomerioEvent { mut properties, .. })) = rendered.remove(0).what? else {
                panic!("another action");
            };
            Ok(properties.remove("p"))
        }
        Decision::Skip(reason) => Err(reason),
    }
}

fn expression(source: &str, values: Value) -> Result<Option<Value>, String> {
    property(&format!("${{{source}}}"), values)
}

#[test]
fn the_shipped_routes() {
    let (_, routes) = config::check(config::FILE_NAME, EMBEDDED).unwrap_or_else(|problems| panic!("{problems}"));
    let cases = [
        // No priority is known, so none is sent.
        (
            Trigger::intercom(What::TicketOpened),
            TicketFact::Opened,
            "support_ticket_opened",
            json!({"ticket_id": "215468", "category": "conversation"}),
        ),
        (
            Trigger::intercom(What::TicketTagged),
            TicketFact::Tagged { tag: "churn-risk".to_owned() },
            "support_tag_applied",
            json!({"tag_name": "churn-risk", "ticket_id": "215468"}),
        ),
        (
            Trigger::intercom(What::TicketRated),
            TicketFact::Rated { score: 2, of: RatingOf::Teammate },
            "csat_score_submitted",
            json!({"score": 2, "ticket_id": "215468"}),
        ),
        (
            Trigger::intercom(What::TicketResolved),
            TicketFact::Closed,
            "support_ticket_resolved",
            json!({"resolution_time_hrs": 5.26, "ticket_id": "215468", "handled_by": "human"}),
        ),
    ];
    for (on, fact, name, properties) in cases {
        // What goes to the other tools has cases of its own, in tests/config/actions.
        let decided = decide_all(&routes, on, &ticket_event(fact, json!({})));
        assert_eq!(decided.first(), took(name, properties).first());
    }
    let profile = attributes(json!({"plan": "pro", "mrr": 49.5, "signed_up_at": null, "name": "Ann"}));
    let created = event(Kind::PersonCreated(Profile { attributes: profile, ..Profile::default() }));
    let decided = decide_all(&routes, Trigger::intercom(What::PersonCreated), &created);
    assert_eq!(decided.first(), took("intercom_user_synced", json!({"plan": "pro", "mrr": 49.5})).first());
}

#[test]
fn every_field_is_there() {
    let now = json!(1_768_018_948);
    let cases = [
        ("event.source", json!("intercom")),
        ("event.kind", json!("ticket_tagged")),
        ("event.occurred_at", json!(1_768_018_900)),
        ("event.tag", json!("vip")),
        ("event.attributes", json!({"seats": 3})),
        ("person.id", json!("p1")),
        ("person.user_id", json!("user-1")),
        ("person.has_open_ticket", json!(true)),
        ("person.open_ticket_count", json!(2)),
        ("person.open_ticket_priority", json!("high")),
        ("person.suppressed.renewal", json!(true)),
        ("person.suppressed.expansion", json!(false)),
        ("ticket.id", json!("215468")),
        ("ticket.category", json!("conversation")),
        ("ticket.opened_at", json!(1_768_000_000)),
        ("ticket.resolution_time_hrs", json!(5.26)),
        ("ticket.episode", json!(1)),
        ("now", now),
    ];
    for (source, expected) in cases {
        assert_eq!(expression(source, json!({"seats": 3})), Ok(Some(expected)), "{source}");
    }
    assert!(matches!(expression("event.id", json!({})), Ok(Some(Value::String(id))) if id.len() == 32));
    // What is not known is null, and null is not sent.
    for source in ["person.email", "person.last_csat_score", "ticket.priority", "ticket.resolved_at"] {
        assert_eq!(expression(source, json!({})), Ok(None), "{source}");
    }
}

#[test]
fn score_and_author_are_there_on_their_own_events() {
    let text = "version: 1\nroutes:\n\
        \x20 - { name: a, on: intercom.ticket.rated, when: event.score <= 2, do: [ customerio.track_event: { name: a } ] }\n\
        \x20 - { name: b, on: intercom.ticket.replied, when: event.replied_by == \"teammate\", do: [ customerio.track_event: { name: b } ] }\n";
    let (_, routes) = config::check("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let skipped = vec![Decision::Skip("when_false".to_owned())];
    let rated = |score| {
        decide_all(
            &routes,
            Trigger::intercom(What::TicketRated),
            &ticket_event(TicketFact::Rated { score, of: RatingOf::Teammate }, json!({})),
        )
    };
    assert_eq!((rated(2), rated(3)), (took("a", json!({})), skipped.clone()));
    let replied = |by| decide_all(&routes, Trigger::intercom(What::TicketReplied), &ticket_event(TicketFact::Replied { by }, json!({})));
    assert_eq!(
        (replied(Author::Teammate), replied(Author::Bot), replied(Author::Customer)),
        (took("b", json!({})), skipped.clone(), skipped)
    );
}

#[test]
fn an_expression_alone_keeps_its_type_and_in_text_becomes_text() {
    let values = json!({"a.b": 9, "seats": 3, "mrr": 49.5, "big": 18_446_744_073_709_551_615_u64, "trial": false, "tags": ["a", 1, null], "deep": {"x": {"y": 1}}});
    let whole = [
        ("event.attributes.seats", json!(3)),
        ("event.attributes.mrr", json!(49.5)),
        ("event.attributes.big", json!(18_446_744_073_709_551_615_u64)),
        ("event.attributes.trial", json!(false)),
        ("event.attributes.tags", json!(["a", 1, null])),
        ("event.attributes.deep", json!({"x": {"y": 1}})),
        ("event.attributes.deep.x.y", json!(1)),
        ("event.attributes['a.b']", json!(9)),
        ("event.attributes['deep']['x'].y", json!(1)),
        ("event.attributes.seats * 2 + 1", json!(7)),
        ("event.attributes.mrr > 40", json!(true)),
        ("event.attributes.seats > 2.5", json!(true)),
        ("'a' in event.attributes.tags", json!(true)),
        ("event.attributes.tags.exists(t, t == 'a')", json!(true)),
        ("event.attributes.tags.filter(t, t == 'a')", json!(["a"])),
        ("ticket.priority == null ? 'none' : ticket.priority", json!("none")),
        ("{'id': ticket.id, 'brace': '}'}", json!({"id": "215468", "brace": "}"})),
        ("'${'", json!("${")),
    ];
    for (source, expected) in whole {
        assert_eq!(expression(source, values.clone()), Ok(Some(expected)), "{source}");
    }
    let mixed = "${event.attributes.seats} seats, ${event.attributes.mrr}, ${event.attributes.trial}, ${event.tag}!";
    assert_eq!(property(mixed, values), Ok(Some(json!("3 seats, 49.5, false, vip!"))));
    assert_eq!(property("no expression, $5 {or so}", json!({})), Ok(Some(json!("no expression, $5 {or so}"))));
}

#[test]
fn a_field_without_a_value_is_left_out() {
    let values = json!({"nothing": null, "address": {"city": null}, "plan": "pro"});
    let absent = [
        "event.attributes.never",
        "event.attributes.a.b",
        "event.attributes.nothing",
        "event.attributes.nothing.deeper",
        "event.attributes.address.city",
        "event.attributes.address.street.number",
        "event.attributes['never']",
        "event.attributes.nothing * 12",
        "person.last_csat_score * 20",
        "person.email.contains('x')",
        "size(person.email)",
    ];
    for source in absent {
        assert_eq!(expression(source, values.clone()), Ok(None), "{source}");
    }
    assert_eq!(property("Plan: ${event.attributes.never}", values.clone()), Ok(None), "a text with a hole is left out whole");
    assert_eq!(expression("has(event.attributes.nothing) ? 1 : 2", values.clone()), Ok(Some(json!(2))));
    assert_eq!(expression("has(event.attributes.plan) ? 1 : 2", values), Ok(Some(json!(1))));
}

#[test]
fn a_value_that_cannot_be_worked_out_or_sent_skips_the_action() {
    let values = json!({"plan": "pro", "zero": 0, "list": [1]});
    let failed = Err("value_failed: properties.p".to_owned());
    for source in [
        "event.attributes.plan * 2",
        "1 / event.attributes.zero",
        "int(event.attributes.plan)",
        "1.0 / double(event.attributes.zero)",
        "{event.attributes.zero: 1}",
        "event.attributes.list[7]",
        "event.attributes.plan.name",
    ] {
        assert_eq!(expression(source, values.clone()), failed, "{source}");
    }
    assert_eq!(property("a list in text: ${event.attributes.list}", values.clone()), failed);

    for name in ["${event.attributes.never}", "${event.attributes.zero}", "${event.attributes.list}", "x_${person.email}"] {
        let decision = tagged(&format!("    do: [ customerio.track_event: {{ name: \"{name}\" }} ]\n"), values.clone());
        assert_eq!(decision, Decision::Skip("value_failed: name".to_owned()), "{name}");
    }
    let name = |text: String| tagged("    do: [ customerio.track_event: { name: \"${event.attributes.name}\" } ]\n", json!({"name": text}));
    assert_eq!(vec![name("x".repeat(100))], took(&"x".repeat(100), json!({})));
    assert_eq!(name("x".repeat(101)), Decision::Skip("value_failed: name".to_owned()));
    assert_eq!(name("  ".to_owned()), Decision::Skip("value_failed: name".to_owned()));
}

#[test]
fn one_action_that_fails_leaves_the_others() {
    let lines = "    do:\n\
        \x20     - customerio.track_event: { name: a, properties: { p: \"${event.attributes.plan * 2}\" } }\n\
        \x20     - customerio.track_event: { name: b, properties: { constant: [1, { x: y }] } }\n";
    let properties = attributes(json!({"constant": [1, {"x": "y"}]}));
    let what = Ok(Verb::Customerio(CustomerioVerb::TrackEvent(CustomerioEvent { name: "b".to_owned(), properties })));
    let expected = vec![Rendered { index: 0, what: Err("value_failed: properties.p".to_owned()) }, Rendered { index: 1, what }];
    assert_eq!(tagged(lines, json!({"plan": "pro"})), Decision::Take(expected));
}

#[test]
fn a_condition_is_met_not_met_failed_or_not_boolean() {
    let values = json!({"plan": "pro", "seats": 3, "nothing": null});
    let met = [
        "event.tag == 'vip'",
        "ticket.priority != 'low'",
        "ticket.priority == null",
        "event.attributes.plan == 'pro' || 1 / 0 == 1",
        "true",
    ];
    for condition in met {
        assert_eq!(vec![when(condition, values.clone())], took("x", json!({})), "{condition}");
    }
    let skipped = [
        ("event.tag == 'other'", "when_false"),
        ("person.suppressed.expansion", "when_false"),
        ("has(event.attributes.never) && event.attributes.never > 1", "when_false"),
        ("event.attributes.never == 'x'", "when_failed"),
        ("event.attributes.nothing == 'x'", "when_failed"),
        ("event.attributes.plan > 3", "when_failed"),
        ("person.last_csat_score <= 2", "when_failed"),
        ("event.attributes.plan", "when_not_boolean"),
        ("event.attributes.seats", "when_not_boolean"),
    ];
    for (condition, reason) in skipped {
        assert_eq!(when(condition, values.clone()), Decision::Skip(reason.to_owned()), "{condition}");
    }
}

#[test]
fn a_ticket_that_is_not_given_is_empty() {
    let text = "version: 1\nroutes:\n  - { name: a, on: intercom.ticket.opened, do: [ customerio.track_event: { name: a, properties: { t: \"${ticket.id}\" } } ] }\n";
    let (_, routes) = config::check("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let (event, person) = (ticket_event(TicketFact::Opened, json!({})), person());
    let scope = Scope::new(&event, &person, None, NOW);
    let decisions: Vec<_> = routes.on(Trigger::intercom(What::TicketOpened), &event.kind).map(|route| route.decide(&scope)).collect();
    assert_eq!(decisions, took("a", json!({})));
}

/// A case of `tests/config/events`: what expressions see of an event.
#[derive(serde::Deserialize)]
struct Seen {
    on: String,
    /// Of the event, its kind and data.
    event: Value,
    /// Value by expression.
    sees: BTreeMap<String, Value>,
}

/// Every field that an event has of its own must be named in each of its cases, and every kind of event must have a case.
#[test]
fn what_is_seen_of_each_kind_of_event() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/events");
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        let case = fs::read_to_string(&path).expect("a readable file");
        let case: Seen = serde_json::from_str(&case).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let found = Trigger::all().find(|(_, name)| *name == case.on);
        let (on, name) = found.unwrap_or_else(|| panic!("{}: no event is named {}", path.display(), case.on));
        let mut event = event(serde_json::from_value(case.event).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        event.source = on.source;
        // What concerns no person can have no such action yet, but is looked at all the same.
        let text = "version: 1\nroutes:\n  - { name: a, on: intercom.person.created, do: [ customerio.track_event: { name: x, properties: { p: \"${EXPRESSION}\" } } ] }\n";
        for (expression, expected) in &case.sees {
            let text = text.replace("EXPRESSION", expression);
            let mut config = config::parse("test.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"));
            config.routes[0].on = vec![on];
            let routes = Routes::compile(&config).unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
            let properties = if expected.is_null() { json!({}) } else { json!({ "p": expected }) };
            assert_eq!(decide_all(&routes, on, &event), took("x", properties), "{}: {expression}", path.display());
        }
        for (field, everywhere) in fields(on) {
            assert!(everywhere || case.sees.contains_key(&field), "{} says nothing of {field}", path.display());
        }
        seen.insert(kind_of(on, name));
    }
    let tickets = |on: &Trigger| on.is_about_a_ticket();
    let expected = Trigger::all().filter(|(on, _)| !tickets(on)).map(|(on, name)| kind_of(on, name)).collect::<BTreeSet<_>>();
    assert_eq!(seen, expected);
}

/// One word for all messages, one for each other kind of fact whatever the source.
fn kind_of(on: Trigger, name: &'static str) -> String {
    match on.what {
        What::Message(..) => "message".to_owned(),
        What::ListEntered | What::ListLeft => format!("{:?}", on.what),
        _ => name.split_once('.').map_or(name, |(_, fact)| fact).to_owned(),
    }
}

#[test]
fn a_route_for_other_names_is_not_on_the_event() {
    let route = |name: &str, on: &str, named: &str| {
        format!(
            "  - {{ name: {name}, on: {on}, named: {named}, when: event.name != \"\", do: [ customerio.track_event: {{ name: x }} ] }}\n"
        )
    };
    let text = [
        "version: 1\nroutes:\n  - { name: all, on: segment.event.tracked, do: [ customerio.track_event: { name: x } ] }\n".to_owned(),
        route("one", "segment.event.tracked", "Trial Started"),
        route("two", "segment.event.tracked", "[Order Completed, Trial Started]"),
        route("pipelines", "pipelines.event.tracked", "Trial Started"),
        route("by id", "customerio.segment.entered", "\"7\""),
        route("by name", "customerio.segment.entered", "[Trial users]"),
    ];
    let (_, routes) = config::check("test.yaml", &text.concat()).unwrap_or_else(|problems| panic!("{problems}"));
    let on = |source, what, kind: &Kind| -> Vec<String> {
        routes.on(Trigger { source, what }, kind).map(|route| route.name().to_owned()).collect()
    };
    let tracked = |name: &str| {
        let kind = Kind::Tracked(Behaviour { name: name.to_owned(), device: None, attributes: Attributes::new() });
        on(Source::Segment, What::EventTracked, &kind)
    };
    assert_eq!(tracked("Trial Started"), ["all", "one", "two"]);
    assert_eq!(tracked("Order Completed"), ["all", "two"]);
    assert_eq!((tracked("trial started"), tracked("")), (vec!["all".to_owned()], vec!["all".to_owned()]));
    let entered = |id: &str, name: &str| {
        let list = List { kind: ListKind::Segment, id: id.to_owned(), name: name.to_owned(), attributes: Attributes::new() };
        on(Source::Customerio, What::ListEntered, &Kind::ListEntered(list))
    };
    assert_eq!(entered("7", "Renamed"), ["by id"]);
    assert_eq!(entered("8", "Trial users"), ["by name"]);
    assert_eq!(entered("7", "Trial users"), ["by id", "by name"]);
    assert!(entered("8", "Others").is_empty());
}

/// The thread of a test has 2 MiB of stack, as has a worker thread of the runtime.
#[test]
fn the_worst_expressions_within_the_limits_are_bearable() {
    let chain = format!("event.attributes{}", ".a".repeat(490));
    assert_eq!(expression(&chain, json!({})), Ok(None));
    let sum = format!("1{}", "+1".repeat(60));
    assert_eq!(expression(&sum, json!({})), Ok(Some(json!(61))));
    let nots = format!("{}true", "!".repeat(990));
    assert_eq!(expression(&nots, json!({})), Ok(Some(json!(true))));
    let negations = format!("{}person.open_ticket_count", "-".repeat(970));
    assert_eq!(expression(&negations, json!({})), Ok(Some(json!(2))));
    let brackets = format!("{}1{}", "[".repeat(90), "]".repeat(90));
    assert!(expression(&brackets, json!({})).is_ok());
    let or = format!("false{}", "||false".repeat(140));
    assert_eq!(expression(&or, json!({})), Ok(Some(json!(false))));
}

#[test]
fn compile_finds_what_parse_does_not_look_into() {
    let text = "version: 1\nroutes:\n  - { name: a, on: intercom.ticket.opened, when: nobody == 1, do: [ customerio.track_event: { name: a } ] }\n";
    let config = config::parse("my.yaml", text).expect("expressions are not looked into");
    let problems = Routes::compile(&config).expect_err("an unknown name");
    assert_eq!(
        problems.to_string(),
        "error: 1 problem in trefoil.yaml\n\n  trefoil.yaml:3:50  routes[0].when\n    \
         unknown name `nobody`; known: event, person, ticket, now; text needs quotes"
    );
}
