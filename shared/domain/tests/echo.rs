//! What we have said ourselves, coming back.

use serde_json::{Value, json};
use trefoil_domain::action::{CustomerioVerb, IntercomVerb, UpdatePerson, UpsertContact};
use trefoil_domain::echo::Wrote;
use trefoil_domain::event::{Attributes, Event, Kind, Profile, Source, Workspace, event_id};
use trefoil_domain::time::Timestamp;

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn wrote(values: Value) -> Wrote {
    let mut wrote = Wrote::default();
    writes(&mut wrote, values);
    wrote
}

fn writes(wrote: &mut Wrote, values: Value) {
    writes_at(wrote, 0, values);
}

fn writes_at(wrote: &mut Wrote, minute: i64, values: Value) {
    let update = UpdatePerson { attributes: attributes(values), ..UpdatePerson::default() };
    wrote.note_customerio(&CustomerioVerb::UpdatePerson(update), at(minute));
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 + 60 * minute)
}

fn says(source: Source, minute: i64, values: Value) -> Event {
    let at = at(minute);
    let workspace = Workspace::new("main").expect("a workspace");
    Event {
        id: event_id(source, &workspace, &[&values.to_string()]),
        source,
        workspace,
        occurred_at: at,
        received_at: at,
        ids: Vec::new(),
        person: None,
        origin: None,
        kind: Kind::PersonUpdated(Profile { attributes: attributes(values), ..Profile::default() }),
    }
}

/// What of it is news.
fn news(wrote: &mut Wrote, source: Source, values: Value) -> Value {
    news_at(wrote, source, 0, values)
}

fn news_at(wrote: &mut Wrote, source: Source, minute: i64, values: Value) -> Value {
    let event = says(source, minute, values);
    match &wrote.strip(&event).kind {
        Kind::PersonUpdated(profile) => serde_json::to_value(&profile.attributes).expect("JSON"),
        other => panic!("{}", other.name()),
    }
}

#[test]
fn the_same_value_is_an_echo_of_whatever_type() {
    let same = [
        (json!(490), json!("490")),
        (json!("490"), json!(490)),
        (json!(490), json!(490.0)),
        (json!(490.0), json!("490")),
        (json!(true), json!("true")),
        (json!(false), json!(false)),
        (json!("pro"), json!(" pro ")),
        (json!(["a", 1]), json!("[\"a\",1]")),
        (json!({"a": 1}), json!({"a": 1})),
        (json!(-0.5), json!("-0.5")),
    ];
    for (ours, theirs) in same {
        assert_eq!(news(&mut wrote(json!({"x": ours})), Source::Customerio, json!({"x": theirs})), json!({}), "{ours} {theirs}");
    }
}

#[test]
fn another_value_is_news() {
    let other = [
        (json!(490), json!(491)),
        (json!("pro"), json!("Pro")),
        (json!("01"), json!("1")),
        (json!(true), json!(1)),
        (json!("x"), json!("")),
    ];
    for (ours, theirs) in other {
        let told = json!({"x": theirs, "y": 1});
        assert_eq!(news(&mut wrote(json!({"x": ours, "y": 1})), Source::Customerio, told), json!({"x": theirs}), "{ours} {theirs}");
    }
}

#[test]
fn of_another_tool_nothing_is_an_echo() {
    let mut wrote = wrote(json!({"x": 1}));
    for source in [Source::Intercom, Source::Segment] {
        assert_eq!(news(&mut wrote, source, json!({"x": 1})), json!({"x": 1}));
    }
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"x": 1})), json!({}), "and it is ours still");
}

#[test]
fn a_value_that_a_human_brings_back_is_news() {
    let mut wrote = wrote(json!({"x": 2}));
    let mut says = |minute, value: i64| news_at(&mut wrote, Source::Customerio, minute, json!({"x": value}));
    assert_eq!(says(1, 2), json!({}));
    assert_eq!(says(10, 5), json!({"x": 5}), "by hand");
    assert_eq!(says(20, 2), json!({"x": 2}), "by hand, back");
}

#[test]
fn two_writes_in_flight_come_back_as_two_echoes_in_any_order() {
    let mut wrote = wrote(json!({"x": "a"}));
    writes_at(&mut wrote, 1, json!({"x": "b"}));
    for value in ["a", "b", "a", "b"] {
        assert_eq!(news_at(&mut wrote, Source::Customerio, 2, json!({"x": value})), json!({}), "{value}");
    }
    // Its own word from before our second write, told late, is news; our own are echoes none the less.
    assert_eq!(news_at(&mut wrote, Source::Customerio, 1, json!({"x": "c"})), json!({"x": "c"}));
    assert_eq!(news_at(&mut wrote, Source::Customerio, 2, json!({"x": "b"})), json!({}));
}

#[test]
fn a_date_and_its_seconds_are_one_value_and_a_text_that_was_cut_is_known() {
    let mut wrote = wrote(json!({"on": "2026-01-10T04:22:28Z", "text": "x".repeat(2000)}));
    let told = json!({"on": 1_768_018_948, "text": format!("{}…", "x".repeat(996))});
    assert_eq!(news(&mut wrote, Source::Customerio, told), json!({}));
}

#[test]
fn a_contacts_own_fields_come_back_too() {
    let mut wrote = Wrote::default();
    let name = UpsertContact { name: Some("Ada".to_owned()), attributes: attributes(json!({"plan": "pro"})), ..UpsertContact::default() };
    wrote.note_intercom(&IntercomVerb::UpsertContact(name), at(0));
    assert_eq!(news(&mut wrote, Source::Intercom, json!({"name": "Ada", "plan": "pro", "city": "x"})), json!({"city": "x"}));
}

#[test]
fn a_few_hundred_values_are_kept_and_those_go_on_changing() {
    let mut wrote = Wrote::default();
    for n in 0..300 {
        writes(&mut wrote, json!({format!("a{n}"): 1}));
    }
    assert_eq!(serde_json::to_value(&wrote).expect("JSON").as_object().map(serde_json::Map::len), Some(200));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a0": 1, "a299": 1})), json!({"a299": 1}));
    writes(&mut wrote, json!({"a0": 2}));
    assert_eq!(news(&mut wrote, Source::Customerio, json!({"a0": 2})), json!({}));
}

#[test]
fn what_was_written_to_either_of_two_records_may_come_back() {
    let mut one = wrote(json!({"x": 1}));
    one.absorb(wrote(json!({"x": 2, "y": 3})));
    assert_eq!(news(&mut one, Source::Customerio, json!({"x": 1, "y": 3})), json!({}));
}
