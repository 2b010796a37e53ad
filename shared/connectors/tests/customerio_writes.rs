//! What the Customer.io client makes of writes: what can never be sent, what is cut and left out, and the calls beside the
//! batch. What each request looks like stands in the cases of `customerio_requests`.

mod stand_in;

use secrecy::SecretString;
use serde_json::{Value, json};
use stand_in::{FixedClock, NOW, Reply, StandIn, http, reply};
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_domain::action::{CustomerioAction, CustomerioVerb};
use trefoil_domain::event::{Attributes, IdKind, Source};
use trefoil_domain::id::ActionId;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Customerio, CustomerioWrite, ProfileRef};
use trefoil_domain::time::{Span, Timestamp};

async fn with(replies: impl IntoIterator<Item = Reply>) -> (CustomerioClient<FixedClock>, StandIn) {
    let (stand_in, url) = StandIn::start(replies).await;
    let mut settings = CustomerioSettings::new(Region::Eu, "site".to_owned(), SecretString::from("track-key"), None);
    settings.track_url = Some(url);
    settings.track_per_second = 1000.0;
    (CustomerioClient::new(&settings, &http(), FixedClock).expect("settings"), stand_in)
}

fn own(cio_id: &str) -> ProfileRef {
    ProfileRef::Own(cio_id.to_owned())
}

fn user(id: &str) -> ProfileRef {
    ProfileRef::By(IdKind::UserId, id.to_owned())
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn identify(profile: ProfileRef, values: Value, own: Value) -> CustomerioWrite {
    CustomerioWrite::Attributes { profile, timestamp: 1_795_219_200, create: false, attributes: attributes(values), own: attributes(own) }
}

fn act(profile: impl Into<Option<ProfileRef>>, verb: &str, fields: Value) -> CustomerioWrite {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    let action = CustomerioAction {
        id: ActionId::from_stored("a1"),
        route: "a route".to_owned(),
        occurred_at: Timestamp::from_secs(1_795_219_100),
        origin: Source::Intercom,
        of_lead: false,
        what: CustomerioVerb::of(verb, fields).expect("a verb"),
    };
    CustomerioWrite::Act { profile: profile.into(), action }
}

fn enter(profile: ProfileRef, segment: &str) -> CustomerioWrite {
    act(profile, "add_to_segment", json!({ "segment": segment }))
}

fn leave(profile: ProfileRef, segment: &str) -> CustomerioWrite {
    act(profile, "remove_from_segment", json!({ "segment": segment }))
}

fn code(outcome: &Outcome) -> &str {
    outcome.reason().map_or(outcome.name(), |reason| reason.code.as_str())
}

fn codes(outcomes: &[Outcome]) -> Vec<&str> {
    outcomes.iter().map(code).collect()
}

async fn sent(write: CustomerioWrite) -> Value {
    let (client, stand_in) = with([reply(200, "{}")]).await;
    assert_eq!(client.write(&[write]).await, [Outcome::Done]);
    stand_in.asked().remove(0).json()
}

#[tokio::test]
async fn what_can_never_be_sent_is_rejected_before_it_is_and_costs_no_other() {
    let long = "x".repeat(151);
    let event = |name: &str| act(user("42"), "track_event", json!({ "name": name }));
    let object = |kind: &str, id: &str| act(user("42"), "upsert_object", json!({"type": kind, "id": id}));
    let device = |token: &str, platform: &str| act(user("42"), "add_device", json!({"token": token, "platform": platform}));
    let by = |kind| ProfileRef::By(kind, "+15555550100".to_owned());
    let cases = [
        (event(&"n".repeat(101)), "event_name_length"),
        (event(""), "event_name_length"),
        (act(user("42"), "track_page", json!({"name": ""})), "event_name_length"),
        (act(user("42"), "track_event", json!({"name": "n", "properties": {"long": "x".repeat(32_000)}})), "too_large"),
        (identify(by(IdKind::IntercomId), json!({}), json!({})), "no_customerio_identifier"),
        (identify(by(IdKind::Phone), json!({}), json!({})), "no_customerio_identifier"),
        (identify(by(IdKind::AnonymousId), json!({}), json!({})), "no_customerio_identifier"),
        (identify(user(&long), json!({}), json!({})), "id_length"),
        (identify(user(""), json!({}), json!({})), "id_length"),
        (identify(own("cio_"), json!({}), json!({})), "id_length"),
        (identify(own("1"), json!({}), json!({ "id": long })), "id_length"),
        (object(&long, "acme"), "id_length"),
        (object("1", &long), "id_length"),
        (object("1", ""), "id_length"),
        (act(None, "delete_person", json!({})), "concerns_no_person"),
        (act(None, "track_event", json!({"name": "n"})), "concerns_no_person"),
        (act(None, "remove_relationship", json!({"id": "acme"})), "concerns_no_person"),
        (act(None, "add_to_segment", json!({"segment": "7"})), "concerns_no_person"),
        (device(" ", "ios"), "no_device_token"),
        (device("t", "windows"), "device_platform"),
        (act(user("42"), "delete_device", json!({"token": ""})), "no_device_token"),
        (enter(user("42"), "at risk"), "segment_id"),
        (leave(user("42"), "7/../8"), "segment_id"),
        (CustomerioWrite::Merge { primary: own("1"), secondary: own("cio_1") }, "merge_with_itself"),
        // The sender has to find out first what these come to.
        (act(user("42"), "update_person", json!({"attributes": {"plan": "pro"}})), "unexpected_verb"),
        (act(user("42"), "create_person", json!({})), "unexpected_verb"),
        (act(user("42"), "set_subscription", json!({"subscribed": false})), "unexpected_verb"),
        (act(user("42"), "merge_people", json!({"from": "43"})), "unexpected_verb"),
    ];
    let (client, stand_in) = with([reply(200, "{}")]).await;
    let (mut writes, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    writes.push(event("n"));
    let outcomes = client.write(&writes).await;
    assert_eq!(codes(&outcomes), [expected, vec!["done"]].concat());
    assert!(outcomes[..outcomes.len() - 1].iter().all(|outcome| outcome.name() == "rejected"));
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn what_is_just_short_enough_is_sent_as_it_is() {
    let (name, text, id) = ("n".repeat(150), "x".repeat(1000), "i".repeat(150));
    // With its brackets and quotes.
    let nested = json!(["y".repeat(996)]);
    let values = json!({ name.clone(): text.clone(), "nested": nested.clone() });
    let body = sent(identify(user(&id), values, json!({}))).await;
    assert_eq!(body["attributes"], json!({ name: text, "nested": nested, "_update": true }));
    let body = sent(act(user(&id), "track_event", json!({"name": "n".repeat(100), "properties": {"long": "x".repeat(31_000)}}))).await;
    assert_eq!(body["attributes"]["long"], json!("x".repeat(31_000)));
}

#[tokio::test]
async fn a_value_that_is_too_long_costs_itself_alone() {
    let values = json!({
        "plan": "pro",
        "text": "é".repeat(501),
        "list": ["y".repeat(997)],
        "object": {"deep": "y".repeat(1000)},
        "n".repeat(151): 1,
        "": 2,
    });
    let cut = format!("{}…", "é".repeat(498));
    assert_eq!(cut.len(), 999);
    let expected = json!({"plan": "pro", "text": cut});
    let body = sent(identify(own("1"), values.clone(), json!({}))).await;
    let mut updated = expected.clone();
    updated["_update"] = json!(true);
    assert_eq!(body["attributes"], updated);
    let body = sent(act(user("42"), "upsert_object", json!({"id": "acme", "attributes": values, "relationship": values}))).await;
    assert_eq!(body["attributes"], expected);
    assert_eq!(body["cio_relationships"][0]["relationship_attributes"], expected);
    let body = sent(act(user("42"), "add_device", json!({"token": "t", "platform": "ios", "attributes": values}))).await;
    assert_eq!(body["device"]["attributes"], expected);
}

#[tokio::test]
async fn of_too_many_attributes_the_first_ones_go_and_what_is_customerios_own() {
    let many: Value = (0..310).map(|n| (format!("a{n:03}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let names = |body: Value| body["attributes"].as_object().expect("attributes").keys().cloned().collect::<Vec<_>>();
    let first = |count: usize| (0..count).map(|n| format!("a{n:03}")).collect::<Vec<_>>();
    let update = || "_update".to_owned();
    let body = sent(identify(own("1"), many.clone(), json!({}))).await;
    assert_eq!(names(body), [vec![update()], first(300)].concat());
    let body = sent(identify(own("1"), many.clone(), json!({"unsubscribed": true, "zzz": 1}))).await;
    assert_eq!(names(body), [vec![update()], first(298), vec!["unsubscribed".to_owned(), "zzz".to_owned()]].concat());
    let body = sent(act(None, "upsert_object", json!({"id": "acme", "attributes": many}))).await;
    assert_eq!(names(body), first(300));
    // What could not go anyway takes nobody's place.
    let mut odd = many;
    odd["a000"] = json!(["x".repeat(1000)]);
    odd["_timestamp"] = json!(1);
    let body = sent(identify(own("1"), odd, json!({}))).await;
    assert_eq!(names(body)[1..], first(301)[1..]);
}

#[tokio::test]
async fn the_time_of_a_device_is_read_or_that_of_the_event() {
    for (said, seconds) in [
        (json!(1_768_018_948), 1_768_018_948),
        (json!(1_768_018_948_240_i64), 1_768_018_948),
        (json!("2026-01-10T04:22:28.240+00:00"), 1_768_018_948),
        (json!("2026-01-10"), 1_768_003_200),
        (json!("1768018948"), 1_768_018_948),
        (json!("yesterday"), 1_795_219_100),
        (json!(true), 1_795_219_100),
        (Value::Null, 1_795_219_100),
    ] {
        let body = sent(act(user("42"), "add_device", json!({"token": "t", "platform": "iOS", "last_used": said}))).await;
        assert_eq!(body["device"], json!({"token": "t", "platform": "ios", "last_used": seconds, "attributes": {}}), "{said}");
    }
}

#[tokio::test]
async fn segments_are_changed_after_the_batch_each_in_one_call() {
    let (client, stand_in) = with(std::iter::repeat_n(reply(200, "{}"), 5)).await;
    let writes = [
        enter(own("cio_03000001"), "7"),
        identify(own("03000001"), json!({"plan": "pro"}), json!({})),
        enter(user("42"), "7"),
        leave(own("03000002"), "7"),
        enter(own("03000003"), "7"),
        enter(ProfileRef::By(IdKind::Email, "a@example.com".to_owned()), "7"),
        act(user("42"), "delete_person", json!({})),
    ];
    assert!(client.write(&writes).await.iter().all(|outcome| *outcome == Outcome::Done));
    let asked: Vec<(String, Value)> = stand_in.asked().iter().skip(1).map(|asked| (asked.target.clone(), asked.json())).collect();
    let call = |target: &str, ids: Value| (format!("/api/v1/segments/7/{target}"), json!({ "ids": ids }));
    assert_eq!(
        asked,
        [
            call("add_customers?id_type=cio_id", json!(["03000001", "03000003"])),
            call("add_customers?id_type=id", json!(["42"])),
            call("remove_customers?id_type=cio_id", json!(["03000002"])),
            call("add_customers?id_type=email", json!(["a@example.com"])),
        ]
    );
    let first = &stand_in.asked()[0];
    assert_eq!(first.target, "/api/v2/batch");
    assert_eq!(first.json()["batch"].as_array().map(Vec::len), Some(2));
    assert!(stand_in.asked().iter().all(|asked| asked.method == "POST" && asked.header("authorization") == "Basic c2l0ZTp0cmFjay1rZXk="));
}

#[tokio::test]
async fn every_answer_about_a_segment_is_its_members_and_a_missing_one_stops_nothing() {
    let (client, stand_in) = with([reply(404, ""), reply(200, "{}"), reply(400, json!({"meta": {"errors": ["42 is no id"]}}))]).await;
    let writes = [enter(own("1"), "7"), enter(own("2"), "7"), enter(own("1"), "8"), leave(own("1"), "9")];
    let outcomes = client.write(&writes).await;
    let no_such = || Outcome::rejected("no_such_segment", "");
    assert_eq!(outcomes, [no_such(), no_such(), Outcome::Done, Outcome::rejected("refused_by_customerio", "")]);
    assert_eq!((client.pause(NOW), stand_in.asked().len()), (None, 3));
}

#[tokio::test]
async fn a_segment_call_that_has_to_wait_holds_the_later_ones_and_so_does_the_batch() {
    let (client, stand_in) = with([reply(503, ""), reply(200, "{}")]).await;
    let later = || Outcome::retry(Span::ZERO, "destination_failed");
    assert_eq!(client.write(&[enter(own("1"), "7"), enter(own("1"), "8")]).await, [later(), later()]);
    assert_eq!(stand_in.asked().len(), 1);
    let (client, stand_in) = with([reply(503, ""), reply(200, "{}")]).await;
    assert_eq!(client.write(&[enter(own("1"), "7"), identify(own("1"), json!({}), json!({}))]).await, [later(), later()]);
    assert_eq!(stand_in.asked().len(), 1);
    let (client, _) = with([reply(200, "<html>"), reply(401, "")]).await;
    assert_eq!(client.write(&[enter(own("1"), "7")]).await, [Outcome::retry(Span::ZERO, "unreadable_answer")]);
    let refused = Outcome::retry(Span::from_mins(1), "destination_refused_key");
    assert_eq!(client.write(&[enter(own("1"), "7")]).await, [refused]);
    assert_eq!(client.pause(NOW), Some(Span::from_mins(1)));
}
