//! What Customer.io and Segment tell is written to Intercom, and what Intercom tells of that leads to nothing more.

use crate::ada::{AT, Ada, EMAIL, USER, tell};
use crate::door::Door;
use serde_json::{Value, json};
use std::time::Duration;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{Contact, DataType, Intercom, Life, Model, NewContact, RefusedAs, Role, RoleByUpdate, Variants};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_human_does_with_a_mail_stands_beside_their_conversations() {
    let ada = Ada::new().await;
    // It happens, and no answer tells of it, not even at the second attempt.
    ada.stage.intercom.faults().set_on("POST", "/events", Fault::Drop { applied: true }, During::Requests(2));
    let serve = ada.stage.serve().await;
    let clicked = |event| ada.report(event, "clicked", &json!({"href": "https://example.com/upgrade", "machine": false}));
    tell(&serve, Door::Customerio, &clicked("d1")).await;
    tell(&serve, Door::Customerio, &ada.report("d2", "opened", &json!({"machine": true}))).await;
    // Of the same second, of which Intercom keeps one event of a name.
    tell(&serve, Door::Customerio, &clicked("d3")).await;
    // The same webhook once more.
    tell(&serve, Door::Customerio, &clicked("d1")).await;
    // Two of the calls are lost, and both events are there before the last answer is.
    ada.until("both clicks arrive", |intercom| intercom.events(&ada.contact).len() >= 2 && ada.calls("POST", "/events") >= 4).await;
    ada.stop(serve).await;

    let events = ada.stage.intercom.events(&ada.contact);
    assert!(events.iter().all(|event| event.name == "campaign_23"), "{events:#?}");
    // Which of them takes its own second is nobody's promise.
    let mut seconds: Vec<_> = events.iter().map(|event| event.created_at).collect();
    seconds.sort_unstable();
    assert_eq!(seconds, [AT, AT + 1]);
    let mut deliveries: Vec<_> = events.iter().map(|event| event.metadata["delivery_id"].as_str()).collect();
    deliveries.sort_unstable();
    assert_eq!(deliveries, [Some("d1"), Some("d3")]);
    for event in &events {
        let told = ["metric", "channel", "subject", "link"].map(|name| &event.metadata[name]);
        assert_eq!(told, ["clicked", "email", "Ready for more?", "https://example.com/upgrade"]);
    }
    ada.hears_its_echo().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_enters_a_segment_has_its_tag_until_they_leave() {
    let ada = Ada::new().await;
    let serve = ada.stage.serve().await;
    let segment = json!({"segment": {"id": 42, "name": "At risk"}});
    let tags = || -> Vec<String> { ada.contact().tags.into_iter().map(|tag| tag.name).collect() };
    tell(&serve, Door::Customerio, &ada.action("d1", "segment.entered", &segment)).await;
    ada.until("the tag is on the contact", |_| tags() == ["cio: At risk"]).await;
    tell(&serve, Door::Customerio, &ada.action("d2", "segment.left", &segment)).await;
    ada.until("the tag is off again", |_| tags().is_empty()).await;
    ada.stop(serve).await;
    ada.hears_its_echo().await;
    assert_eq!(tags(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_risk_of_churn_is_a_tag_and_one_note() {
    let ada = Ada::new().await;
    let serve = ada.stage.serve().await;
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.until("the note is on the contact", |_| !ada.contact().notes.is_empty()).await;
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.stop(serve).await;
    ada.hears_its_echo().await;
    let Contact { tags, notes, .. } = ada.contact();
    assert_eq!(tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["churn-risk"]);
    let bodies: Vec<_> = notes.iter().map(|note| note.body.as_str()).collect();
    assert_eq!(bodies, ["Customer.io sees a risk of churn: no login for 30 days"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_mail_at_customerio_is_out_of_it_at_intercom() {
    let ada = Ada::new().await;
    let serve = ada.stage.serve().await;
    assert!(!ada.contact().unsubscribed_from_emails);
    tell(&serve, Door::Customerio, &ada.unsubscribed()).await;
    ada.until("she is out of mail at Intercom", |_| ada.contact().unsubscribed_from_emails).await;
    ada.stop(serve).await;
    // Who she is there may be asked, since her contact has changed.
    let writes = || ada.stage.customerio.journal().requests().iter().filter(|request| request.route.starts_with("/api/")).count();
    let before = writes();
    ada.hears_its_echo().await;
    assert_eq!((ada.calls("PUT", "/contacts/{id}"), writes()), (1, before));
}

const OF_SEGMENT: &str = r#"
  - name: people
    on: segment.person.updated
    do:
      - intercom.upsert_contact:
          create: true
          name: "${event.attributes.name}"
          attributes: { plan: "${event.attributes.plan}", favourite_colour: "${event.attributes.colour}" }
  - name: behaviour
    on: segment.event.tracked
    do:
      - intercom.track_event: { name: "${event.name}", fallback: product_activity, metadata: "${event.attributes}" }
  - name: companies
    on: segment.company.joined
    do:
      - intercom.upsert_company:
          company_id: "${event.company_id}"
          name: "${event.attributes.name}"
          size: "${event.attributes.employees}"
"#;

/// A message of Segment's about Bo, whom nobody knows yet.
fn of_bo(kind: &str, message: &str, more: &Value) -> Value {
    let mut body = json!({"type": kind, "messageId": message, "userId": "u2", "timestamp": "2026-01-10T08:00:00Z"});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn identify(message: &str, plan: &str) -> Value {
    of_bo("identify", message, &json!({"traits": {"email": "bo@example.com", "name": "Bo", "plan": plan, "colour": "green"}}))
}

/// Who is there under this address.
fn with_email(ada: &Ada, email: &str) -> Vec<Contact> {
    let is_it = |contact: &Contact| contact.email.as_deref() == Some(email) && contact.life == Life::Active;
    ada.stage.intercom.contacts().into_iter().filter(is_it).collect()
}

/// A search of a new contact finds nothing for minutes, and these tests move no clock of Intercom's.
fn slow_to_search() -> Variants {
    Variants { search_lag_secs: 300, ..Variants::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_segment_identifies_is_made_once_however_often_it_says_so() {
    let ada = Ada::on(slow_to_search(), Some(OF_SEGMENT)).await;
    ada.stage.intercom.add_attribute(Model::Contact, "plan", DataType::String);
    // The first creation happens, and no answer tells of it.
    ada.stage.intercom.faults().set_on("POST", "/contacts", Fault::Drop { applied: true }, During::Requests(1));
    let serve = ada.stage.serve().await;
    let messages = ["m1", "m2", "m3", "m4"].map(|message| identify(message, "growth"));
    futures::future::join_all(messages.iter().map(|message| tell(&serve, Door::Segment, message))).await;
    let plans = || -> Vec<Option<Value>> {
        with_email(&ada, "bo@example.com").iter().map(|bo| bo.custom_attributes.get("plan").cloned()).collect()
    };
    ada.until("Bo is there", |_| plans() == [Some(json!("growth"))]).await;
    tell(&serve, Door::Segment, &identify("m5", "pro")).await;
    ada.until("Bo has another plan", |_| plans() == [Some(json!("pro"))]).await;
    tell(&serve, Door::Segment, &of_bo("track", "m6", &json!({"event": "Trial Started", "properties": {"seats": 3}}))).await;
    tell(&serve, Door::Segment, &of_bo("group", "m7", &json!({"groupId": "acme", "traits": {"name": "Acme", "employees": 12}}))).await;
    let [bo] = with_email(&ada, "bo@example.com").try_into().expect("one contact");
    let members = |intercom: &Intercom| intercom.companies().first().map(|company| intercom.members(&company.id)).unwrap_or_default();
    ada.until("Bo belongs to a company", |intercom| members(intercom) == [bo.id.clone()]).await;
    ada.until("Bo's event has come", |intercom| !intercom.events(&bo.id).is_empty()).await;
    ada.stop(serve).await;

    assert_eq!((bo.role, bo.external_id.as_deref(), bo.name.as_deref()), (Role::User, Some("u2"), Some("Bo")));
    // An attribute that Intercom does not have is left out, and nothing else for it.
    assert_eq!(Value::from(bo.custom_attributes), json!({"plan": "pro"}));
    let events = ada.stage.intercom.events(&bo.id);
    assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["Trial Started"]);
    assert_eq!(events[0].metadata["seats"], json!(3));
    let [company] = ada.stage.intercom.companies().try_into().expect("one company");
    assert_eq!((company.company_id.as_str(), company.name.as_deref(), company.size), ("acme", Some("Acme"), Some(12)));

    ada.hears_its_echo().await;
    assert_eq!(ada.stage.intercom.contacts().len(), 2, "Ada and Bo");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whom_only_an_address_is_known_one_lead_is_made() {
    let ada = Ada::on(slow_to_search(), Some(OF_SEGMENT)).await;
    let serve = ada.stage.serve().await;
    let messages = ["m1", "m2", "m3", "m4"].map(|message| {
        let traits = json!({"email": "cleo@example.com", "name": format!("Cleo {message}")});
        json!({"type": "identify", "messageId": message, "timestamp": "2026-01-10T08:00:00Z", "traits": traits})
    });
    futures::future::join_all(messages.iter().map(|message| tell(&serve, Door::Segment, message))).await;
    ada.until("Cleo is there", |_| !with_email(&ada, "cleo@example.com").is_empty()).await;
    ada.stop(serve).await;
    ada.hears_its_echo().await;
    let [cleo] = with_email(&ada, "cleo@example.com").try_into().expect("one contact");
    assert_eq!((cleo.role, ada.calls("POST", "/contacts")), (Role::Lead, 1));
}

/// Whichever way Intercom reads its own manual.
async fn all_of_it(seed: u64) {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../trefoil.yaml")).expect("the shipped configuration");
    let (_, shipped) = shipped.split_once("\nroutes:\n").expect("routes");
    let ada = Ada::on(Variants::seeded(seed), Some(&shipped.replace("# create: true", "create: true"))).await;
    let lead = NewContact { role: Some(Role::Lead), email: Some("dan@example.com".to_owned()), ..NewContact::default() };
    let (lead, _) = ada.stage.intercom.create_contact(lead);
    ada.stage.clock.advance(Duration::from_hours(1));
    let serve = ada.stage.serve().await;
    let segment = json!({"segment": {"id": 42, "name": "At risk"}});
    tell(&serve, Door::Customerio, &ada.report("d1", "clicked", &json!({"machine": false}))).await;
    tell(&serve, Door::Customerio, &ada.action("d2", "segment.entered", &segment)).await;
    tell(&serve, Door::Customerio, &ada.action("d3", "segment.left", &segment)).await;
    tell(&serve, Door::Customerio, &ada.action("d4", "segment.left", &segment)).await;
    tell(&serve, Door::Customerio, &ada.action("d5", "conversion", &json!({"conversion": {"name": "Renewed", "value": 9}}))).await;
    tell(&serve, Door::Customerio, &ada.churn_risk("d6")).await;
    tell(&serve, Door::Customerio, &ada.unsubscribed()).await;
    tell(&serve, Door::Segment, &identify("m1", "growth")).await;
    tell(&serve, Door::Segment, &of_bo("group", "m2", &json!({"groupId": "acme", "traits": {"name": "Acme"}}))).await;
    let mut of_dan = identify("m3", "growth");
    (of_dan["userId"], of_dan["traits"]["email"]) = (json!("u3"), json!("dan@example.com"));
    tell(&serve, Door::Segment, &of_dan).await;
    ada.until("Ada is out of mail", |_| ada.contact().unsubscribed_from_emails).await;
    ada.until("Bo belongs to a company", |_| with_email(&ada, "bo@example.com").iter().any(|bo| !bo.companies.is_empty())).await;
    let is_dan = |dan: &Contact| dan.role == Role::User && dan.external_id.as_deref() == Some("u3") && dan.name.as_deref() == Some("Bo");
    let is_one = |dans: &[Contact]| matches!(dans, [dan] if is_dan(dan));
    ada.until("Dan is a user, and the lead has gone up in him", |_| is_one(&with_email(&ada, "dan@example.com"))).await;
    let is_whole = |ada: &Contact| ada.tags.len() == 2 && !ada.notes.is_empty();
    ada.until("Ada has her tags and the note", |_| is_whole(&ada.contact())).await;
    ada.until("Ada's event has come", |_| !ada.stage.intercom.events(&ada.contact).is_empty()).await;
    ada.stop(serve).await;
    ada.hears_its_echo().await;
    let Contact { tags, notes, .. } = ada.contact();
    // In whichever order the lanes came to them.
    let mut tags: Vec<_> = tags.iter().map(|tag| tag.name.as_str()).collect();
    tags.sort_unstable();
    assert_eq!((tags, notes.len(), ada.stage.intercom.events(&ada.contact).len()), (vec!["churn-risk", "converted"], 1, 1));
    assert_eq!((with_email(&ada, "bo@example.com").len(), with_email(&ada, "dan@example.com").len()), (1, 1), "{lead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_seed_1() {
    all_of_it(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_seed_2() {
    all_of_it(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_seed_3() {
    all_of_it(3).await;
}

/// Or the tests above would pass whatever the stand-in does.
#[test]
fn the_seeds_differ_in_what_is_written() {
    let variants = [1, 2, 3].map(Variants::seeded);
    let differ = |one: fn(&Variants) -> bool| variants.iter().any(one) && !variants.iter().all(one);
    assert!(differ(|v| v.role_by_update == RoleByUpdate::Works));
    assert!(variants.iter().any(|v| v.search_lag_secs > 0));
    assert!(differ(|v| v.absent_is_refused));
    assert!(differ(|v| v.unknown_attribute == RefusedAs::DataInvalid));
}

/// With the shipped configuration Segment's people are brought up to date where they are, and nobody is made.
#[tokio::test(flavor = "multi_thread")]
async fn as_shipped_nobody_is_made() {
    let ada = Ada::new().await;
    let serve = ada.stage.serve().await;
    tell(&serve, Door::Segment, &identify("m1", "growth")).await;
    let of_ada = json!({"type": "identify", "messageId": "m2", "userId": USER, "timestamp": "2026-01-10T08:00:00Z",
                        "traits": {"email": EMAIL, "firstName": "Ada", "lastName": "Example"}});
    tell(&serve, Door::Segment, &of_ada).await;
    ada.until("Ada has a name", |_| ada.contact().name.as_deref() == Some("Ada Example")).await;
    let (status, output) = serve.stop().await;
    assert!(status.success(), "{output}");
    assert_eq!(ada.stage.intercom.contacts().len(), 1);
    assert_eq!(ada.writes().len(), 1, "{:#?}", ada.writes());
}
