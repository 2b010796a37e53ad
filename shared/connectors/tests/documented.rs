//! The bodies that `docs/customerio.md` gives to paste, rendered as Customer.io would, are taken.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_domain::event::{Event, IdKind, Kind, Value, Workspace};
use trefoil_domain::ports::Received;
use trefoil_domain::time::Timestamp;

const DOCUMENT: &str = include_str!("../../../docs/customerio.md");
const KEY: &str = "a-key-for-the-document";
const SENT: &str = "1795219190";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

fn bodies() -> Vec<&'static str> {
    DOCUMENT.split("```liquid\n").skip(1).map(|rest| rest.split("```").next().expect("an end")).collect()
}

/// Whom and what the templates are rendered for.
const SOMEBODY: [(&str, &str); 13] = [
    ("delivery_id", "RPILAgUBcRhIBqSfeiIwdIYJKxTY"),
    ("'now'", "1795219180"),
    ("event_timestamp", "1795219180"),
    ("event_id", "01E4C4CT6YDC7Y5M7FE1GWWPQJ"),
    ("event_name", "order_completed"),
    ("customer.id", "42"),
    ("customer.email", "jo@example.com"),
    ("customer.cio_id", "03000001"),
    ("customer.plan", "pro \"yearly\""),
    ("customer.mrr", "49.5"),
    ("campaign.id", "7"),
    ("event.total", "99.9"),
    ("event.currency", "EUR"),
];

/// What is there for everybody. Whatever else has no default would fail the delivery.
const NOBODY: [(&str, &str); 6] = [
    ("delivery_id", "RPILAgUBcRhIBqSfeiIwdIYJKxTY"),
    ("'now'", "1795219180"),
    ("event_timestamp", ""),
    ("event_name", "order_completed"),
    ("customer.cio_id", "03000001"),
    ("campaign.id", "7"),
];

/// As much of Liquid as the document uses: a variable, and the filters `default`, `plus: 0`, `date: '%s'` and `to_json`.
fn render(template: &str, values: &[(&str, &str)]) -> String {
    let mut pieces = template.split("{{");
    let mut rendered = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (expression, rest) = piece.split_once("}}").expect("an end of the expression");
        let mut parts = expression.split('|').map(str::trim);
        let variable = parts.next().expect("a variable");
        let mut value = values.iter().find(|(name, _)| *name == variable).map_or(String::new(), |(_, value)| (*value).to_owned());
        for filter in parts {
            value = match filter.split_once(':').map_or((filter, ""), |(name, argument)| (name, argument.trim())) {
                ("default", other) if value.is_empty() => other.trim_matches('\'').to_owned(),
                ("default" | "date", _) => value,
                ("plus", "0") => value.parse::<f64>().expect("a number").to_string(),
                ("to_json", "") => Value::String(value).to_string(),
                other => panic!("{other:?} is not known here"),
            };
        }
        rendered.push_str(&value);
        rendered.push_str(rest);
    }
    rendered
}

fn receive(body: &str) -> Received {
    let workspace = Workspace::new("main").expect("a name");
    let webhooks = CustomerioWebhooks::new(&[SecretString::from(KEY)], workspace, None).expect("a key");
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(format!("v0:{SENT}:{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    webhooks.receive(Some(SENT), Some(&signature), body.as_bytes(), NOW).expect("a good signature")
}

fn event(body: &str) -> Event {
    match receive(body) {
        Received::Events(mut events) if events.len() == 1 => events.remove(0),
        other => panic!("{other:?} of {body}"),
    }
}

#[test]
fn every_body_becomes_the_event_that_it_is_for() {
    let events: Vec<Event> = bodies().into_iter().map(|body| event(&render(body, &SOMEBODY))).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["list_entered", "list_left", "converted", "person_updated", "churn_risk", "custom"]);
    for event in &events {
        let ids: Vec<(IdKind, &str)> = event.ids.iter().map(|id| (id.kind, id.value.as_str())).collect();
        assert_eq!(ids, [(IdKind::CioId, "03000001"), (IdKind::UserId, "42"), (IdKind::Email, "jo@example.com")]);
        assert_eq!(event.occurred_at.secs(), 1_795_219_180);
    }
    let Kind::Converted(conversion) = &events[2].kind else { panic!("{:?}", events[2].kind) };
    assert_eq!((conversion.name.as_str(), conversion.value, conversion.currency.as_deref()), ("order_completed", Some(99.9), Some("EUR")));
    let attributes = events[3].kind.attributes().expect("attributes");
    assert_eq!((&attributes["plan"], &attributes["mrr"]), (&Value::from("pro \"yearly\""), &Value::from(49.5)));
}

#[test]
fn a_person_without_any_attribute_is_taken_as_well() {
    for body in bodies() {
        let event = event(&render(body, &NOBODY));
        assert_eq!(event.ids.len(), 1);
        // Where the event's own time is missing, the time of sending takes its place.
        assert!([1_795_219_180, 1_795_219_190].contains(&event.occurred_at.secs()), "{:?}", event.occurred_at);
    }
}

#[test]
fn tests_and_previews_are_no_events() {
    let test = Received::Ignored("test_delivery");
    for body in bodies() {
        assert_eq!(receive(body), test, "{body}");
        let mut preview = SOMEBODY;
        preview[0].1 = "unsent";
        assert_eq!(receive(&render(body, &preview)), test, "{body}");
    }
}

#[test]
fn the_document_names_every_word_of_a_refusal() {
    let sources = [include_str!("../src/customerio/actions.rs"), include_str!("../src/customerio/webhooks.rs")];
    let refusals =
        sources.iter().flat_map(|source| source.split("No::Refused(\"").skip(1)).map(|rest| rest.split('"').next().expect("a word"));
    let required = sources[0].split("required(&").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let words: std::collections::BTreeSet<&str> = refusals.chain(required).collect();
    assert!(words.len() >= 8, "{words:?}");
    // Whatever has no schema at all is never taken for a webhook action.
    for word in words.into_iter().filter(|word| *word != "no_schema") {
        assert!(DOCUMENT.contains(&format!("`{word}`")), "{word}");
    }
}
