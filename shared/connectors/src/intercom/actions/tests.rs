//! Every request that can be built, as it is written. What each must look like stands in `tests/cases/intercom-requests.json`.

use super::data_attributes::{self, Model};
use super::message::{self, Message};
use super::subscription::{self, SubscriptionType, Types};
use super::*;
use super::{company, contact, conversation, event, tag, ticket};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;
use trefoil_domain::action::{CreateTicket, IntercomVerb, MessageChannel, OpenConversation, UpsertCompany};
use trefoil_domain::event::Attributes;
use trefoil_domain::ports::ContactFields;
use trefoil_domain::tickets::opening;

const CONTACT: &str = "6961d4041c1e12de4c5499cc";
const LEAD: &str = "696205460674dbb9050aa7fd";
const ADMIN: &str = "394051";

pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) request: Request,
    notes: Vec<String>,
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

fn types() -> Vec<SubscriptionType> {
    let listed = json!({"type": "list", "data": [
        {"type": "subscription", "id": "1", "state": "live", "consent_type": "opt_out", "default_translation": {"name": "Newsletter"}},
        {"type": "subscription", "id": "2", "state": "live", "consent_type": "opt_in", "default_translation": {"name": "Announcements"}},
        {"type": "subscription", "id": "3", "state": "archived", "consent_type": "opt_out", "default_translation": {"name": "Announcements"}},
        {"type": "subscription", "id": "4", "state": "live", "consent_type": "opt_out", "default_translation": {"name": "Twins"}},
        {"type": "subscription", "id": "5", "state": "live", "consent_type": "opt_out", "default_translation": {"name": "twins"}},
        {"type": "subscription", "id": "6", "state": "live", "default_translation": {"name": "Unclear"}},
    ]});
    serde_json::from_str::<Types<'_>>(&listed.to_string()).expect("types").read()
}

fn fields() -> ContactFields {
    ContactFields {
        user_id: Some("42".to_owned()),
        email: Some("user@example.com".to_owned()),
        name: Some("Sample User".to_owned()),
        phone: Some("+15555550100".to_owned()),
        avatar: Some("https://example.com/a.png".to_owned()),
        signed_up_at: Some(json!("2026-01-10T04:22:28.240+00:00")),
        last_seen_at: Some(json!(1_768_018_948_240_i64)),
        owner_id: Some("9608799".to_owned()),
        unsubscribed: true,
        ..ContactFields::default()
    }
}

/// One of each, and the odd ones.
pub(super) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut told = |name, (request, notes): (Request, Vec<String>)| samples.push(Sample { name, request, notes });

    told("create a user", contact::create(&fields(), &object(json!({"plan": "growth", "seats": 7}))));
    let lead = ContactFields { email: Some("lead@example.com".to_owned()), ..ContactFields::default() };
    told("create a lead", contact::create(&lead, &Map::new()));
    let unreadable =
        ContactFields { signed_up_at: Some(json!("soon")), last_seen_at: Some(json!(0)), name: Some("N".to_owned()), ..Default::default() };
    told("update with times that cannot be read", contact::update(CONTACT, &unreadable, &Map::new()));
    let with_text = ContactFields { signed_up_at: Some(json!("1768018948")), ..ContactFields::default() };
    told("update", contact::update(CONTACT, &with_text, &object(json!({"plan": "growth"}))));

    let company = UpsertCompany {
        company_id: "acme".to_owned(),
        name: Some("Acme".to_owned()),
        plan: Some("growth".to_owned()),
        size: Some(json!("85")),
        website: Some("https://acme.example.com".to_owned()),
        industry: Some("Anvils".to_owned()),
        monthly_spend: Some(json!(155.98)),
        remote_created_at: Some(json!("2026-01-10T04:22:28Z")),
        attributes: Attributes::new(),
    };
    told("company", company::upsert(&company, &object(json!({"tier": 2}))));
    let odd = UpsertCompany { size: Some(json!("many")), monthly_spend: Some(json!(3e9)), remote_created_at: Some(json!(true)), ..company };
    told("company with values that cannot be written", company::upsert(&odd, &Map::new()));

    told("event", event::track(CONTACT, "ticket resolved", 1_768_018_948, &attributes(json!({"plan": "pro", "score": 4.5, "vip": true}))));
    let nested = json!({"order": {"id": 7, "items": {"first": "x"}}, "order_id": "flat wins", "tags": ["a", {"b": 1}], "none": null,
        "link": {"url": "https://example.com", "value": "here"}, "paid": {"amount": 499, "currency": "EUR"}, "trefoil": "not theirs to say"});
    told("event with nested metadata", event::track(CONTACT, "order", 1, &attributes(nested)));
    let revenue = json!({"revenue": 19.99, "currency": "EUR", "a": 1});
    told("event with a revenue", event::track(CONTACT, "order", 1, &attributes(revenue)));
    told("event with no revenue, in dollars", event::track(CONTACT, "order", 1, &attributes(json!({"revenue": 0}))));
    told(
        "event with a revenue that is none",
        event::track(CONTACT, "order", 1, &attributes(json!({"revenue": "lots", "currency": "EUR"}))),
    );
    let many: Attributes = (0..12).map(|n| (format!("k{n:02}"), json!(n))).chain([("revenue".to_owned(), json!("3.5"))]).collect();
    told("event with too much metadata", event::track(CONTACT, "big", 1, &many));
    told(
        "event with a long text",
        event::track(CONTACT, "long", 1, &attributes(json!({"text": "é".repeat(256), "fits": "é".repeat(255)}))),
    );

    let ticket_attributes = json!({"Severity": "high", "list": [1], "nothing": null, "nested": {"a": 1}});
    let bug = ticket::create(CONTACT, "88", "Cannot log in", Some("Since Monday"), &attributes(ticket_attributes));
    told("ticket", (bug, Vec::new()));
    told("ticket without a description", (ticket::create(CONTACT, "88", "Cannot log in", None, &Attributes::new()), Vec::new()));

    let mut plain = |name, request| samples.push(Sample { name, request, notes: Vec::new() });
    plain("look for a user", contact::find_by_user_id("42/a"));
    plain("look for an address", contact::search_by_email("user@example.com"));
    plain("look for a contact", contact::find(CONTACT));
    plain("archive", contact::archive(CONTACT));
    plain("unarchive", contact::unarchive(CONTACT));
    plain("delete", contact::delete(CONTACT));
    plain("merge", contact::merge(LEAD, CONTACT));
    plain("subscribe to all mail", contact::subscribe(CONTACT, true));
    plain("unsubscribe from all mail", contact::subscribe(CONTACT, false));
    let types = types();
    let kind = |topic| subscription::find(&types, topic).expect("a type");
    plain("types of subscriptions", subscription::list());
    plain("subscribe where everybody gets it who is not listed", subscription::set(CONTACT, kind("newsletter"), true));
    plain("unsubscribe where everybody gets it who is not listed", subscription::set(CONTACT, kind("1"), false));
    plain("subscribe where only those get it who are listed", subscription::set(CONTACT, kind("Announcements"), true));
    plain("unsubscribe where only those get it who are listed", subscription::set(CONTACT, kind("2"), false));
    plain("tag by name", tag::find_or_make("At-Risk"));
    plain("all tags", tag::list());
    plain("tag a contact", tag::attach(CONTACT, "7522907"));
    plain("untag a contact", tag::detach(CONTACT, "7522907"));
    plain("tag a conversation", tag::attach_to_conversation("215472621202693", "7522907", ADMIN));
    plain("open a conversation", conversation::open(CONTACT, "I need a hand"));
    plain("assign to a teammate", conversation::assign("215472621202693", Assignee::Admin("9608799"), ADMIN));
    plain("assign to a team", conversation::assign("215472621202693", Assignee::Team("77"), ADMIN));
    plain("note on a conversation", conversation::note("215472621202693", "Called them", ADMIN));
    plain("note on a contact", conversation::note_on_contact(CONTACT, "Called them", ADMIN));
    plain("assign a ticket", ticket::assign("215472629311235", "9608799", ADMIN));
    plain("attach a company", company::attach(CONTACT, "58a430d35458202d41b1e65b"));
    for model in [Model::Contact, Model::Company] {
        plain(if model == Model::Contact { "attributes of contacts" } else { "attributes of companies" }, data_attributes::list(model));
    }
    for (name, value) in [
        ("make a text attribute", json!("x")),
        ("make a whole attribute", json!(1)),
        ("make a number attribute", json!(1.5)),
        ("make a truth attribute", json!(true)),
    ] {
        plain(name, data_attributes::create(Model::Contact, "has_open_ticket", &value));
    }
    let said = |channel, role, subject| Message { contact: CONTACT, role, channel, subject, body: "Hello" };
    let sent = |message, admin| message::send(&message, admin, "in_app").expect("a request");
    plain("message in the product", sent(said(MessageChannel::InApp, ContactRole::Lead, None), ADMIN));
    plain("message by mail", sent(said(MessageChannel::Email, ContactRole::User, Some("News")), ADMIN));
    samples
}

fn written(sample: &Sample) -> Value {
    let Request { method, path, query, body, repeatable, asks, most_answer_bytes: _ } = &sample.request;
    let mut written = json!({"method": method.as_str(), "path": path.join(" / ")});
    let mut put =
        |name: &str, value: Option<Value>| written.as_object_mut().expect("an object").extend(value.map(|value| (name.to_owned(), value)));
    put("query", query.map(|(name, value)| json!(format!("{name}={value}"))));
    put("body", body.clone());
    put("once", (!repeatable).then_some(json!(true)));
    put("asks", asks.then_some(json!(true)));
    put("notes", (!sample.notes.is_empty()).then(|| json!(sample.notes)));
    written
}

#[test]
fn every_request_is_written_as_its_case_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/intercom-requests.json");
    let actual: Map<String, Value> = samples().iter().map(|sample| (sample.name.to_owned(), written(sample))).collect();
    assert_eq!(actual.len(), samples().len(), "two samples have one name");
    if std::env::var_os("TREFOIL_ACCEPT").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&actual).expect("JSON") + "\n").expect("the cases are written");
        panic!("{} was rewritten: review it, then run without TREFOIL_ACCEPT", path.display());
    }
    let expected: Map<String, Value> = serde_json::from_slice(&fs::read(&path).expect("the cases")).expect("the cases are JSON");
    for (name, request) in &actual {
        assert_eq!(Some(request), expected.get(name), "{name}");
    }
    assert_eq!(actual.len(), expected.len(), "a case has no sample");
}

#[test]
fn a_type_of_subscription_is_found_by_id_or_by_a_name_that_is_its_alone() {
    let types = types();
    let found = |topic| subscription::find(&types, topic).map(|kind| subscription::set("c", kind, false).path.join("/"));
    assert_eq!(found(" announcements "), Ok("contacts/c/subscriptions/2".to_owned()), "the one in the archive does not count");
    assert_eq!(found("3"), Ok("contacts/c/subscriptions".to_owned()));
    assert_eq!(found("TWINS"), Err("ambiguous_subscription_type"));
    assert_eq!(found("Unclear"), Err("unknown_subscription_type"), "what its list means is not known");
    assert_eq!(found(""), Err("unknown_subscription_type"));
}

#[test]
fn an_email_has_a_subject() {
    for subject in [None, Some(""), Some(" ")] {
        let message = Message { contact: CONTACT, role: ContactRole::User, channel: MessageChannel::Email, subject, body: "Hello" };
        assert!(message::send(&message, ADMIN, "in_app").is_none());
    }
}

#[test]
fn the_existing_contact_is_read_from_the_text() {
    for (message, expected) in [
        ("A contact matching those details already exists with id=5da6f18e3d7cf967e4582d05", Some(("5da6f18e3d7cf967e4582d05", false))),
        ("An archived contact matching those details already exists with id=5da6.", Some(("5da6", true))),
        ("Multiple existing users match this email address - must be more specific using user_id", None),
        ("id=", None),
        ("id=é", None),
        ("", None),
    ] {
        assert_eq!(existing(message), expected.map(|(id, archived): (&str, bool)| (id.to_owned(), archived)), "{message}");
    }
}

#[test]
fn what_we_open_is_known_when_its_webhook_comes() {
    let said = |item: Value, register| {
        let text = item.to_string();
        let item: wire::Item<'_> = serde_json::from_str(&text).expect("an item");
        let id = trefoil_domain::tickets::TicketId::new("1").expect("an id");
        let fact = trefoil_domain::tickets::TicketFact::Opened;
        super::super::ticket::report(id, register, &item, super::super::ticket::Around::default(), fact, Vec::new()).opening
    };
    use trefoil_domain::tickets::Register::{Conversation, Ticket};
    let opens = |verb: IntercomVerb| opening(&verb.opens_with().expect("a text")).expect("letters");
    let body = "I need a hand, Jo & co!";
    let ours = opens(IntercomVerb::OpenConversation(OpenConversation { body: body.to_owned(), ..Default::default() }));
    let html = json!({"source": {"body": "<p>I need a hand, Jo &amp; co!</p>"}});
    assert_eq!(said(html, Conversation), Some(ours.clone()));
    assert_eq!(said(json!({"source": {"body": body}}), Conversation), Some(ours));
    for description in [None, Some("Since <b>Monday</b>".to_owned())] {
        let ticket = CreateTicket { title: "Cannot log in".to_owned(), description: description.clone(), ..Default::default() };
        let attributes = json!({"_default_title_": "Cannot log in", "_default_description_": description});
        let expected = Some(opens(IntercomVerb::CreateTicket(ticket)));
        assert_eq!(said(json!({"ticket_attributes": attributes}), Ticket), expected);
        assert_eq!(said(json!({"ticket": {"ticket_attributes": attributes}, "source": {"body": ""}}), Conversation), expected);
    }
    assert_eq!(said(json!({}), Ticket), None);
}
