//! The Customer.io client against a server that answers as the vendor's notes say.

mod stand_in;

use secrecy::SecretString;
use serde_json::json;
use stand_in::{FixedClock, NOW, Reply, StandIn, brief_http, hang, http, impatient_http, nobody, reply};
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_connectors::http::Http;
use trefoil_domain::action::{CustomerioAction, CustomerioEvent, CustomerioVerb};
use trefoil_domain::event::{Attributes, IdKind, Parent, ParentKind, Source};
use trefoil_domain::id::ActionId;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Address, Customerio, CustomerioWrite, ProfileLookUp, ProfileRef, SeenProfile};
use trefoil_domain::time::{Span, Timestamp};

fn settings(url: &str) -> CustomerioSettings {
    let mut settings =
        CustomerioSettings::new(Region::Eu, "site".to_owned(), SecretString::from("track-key"), Some(SecretString::from("app-key")));
    settings.track_url = Some(url.to_owned());
    settings.app_url = Some(url.to_owned());
    settings.track_per_second = 1000.0;
    settings.app_per_second = 1000.0;
    settings
}

fn client(url: &str, http: &Http) -> CustomerioClient<FixedClock> {
    CustomerioClient::new(&settings(url), http, FixedClock).expect("settings")
}

async fn with(replies: impl IntoIterator<Item = Reply>) -> (CustomerioClient<FixedClock>, StandIn) {
    let (stand_in, url) = StandIn::start(replies).await;
    (client(&url, &http()), stand_in)
}

fn facet(cio_id: &str) -> CustomerioWrite {
    let attributes: Attributes = serde_json::from_value(json!({"has_open_ticket": true})).expect("attributes");
    let profile = ProfileRef::Own(cio_id.to_owned());
    CustomerioWrite::Attributes { profile, timestamp: 1_795_219_200, create: false, attributes, own: Attributes::new() }
}

fn event(user: &str, padding: usize) -> CustomerioWrite {
    let properties = serde_json::from_value(json!({"ticket_id": "7", "padding": "x".repeat(padding)})).expect("properties");
    let action = CustomerioAction {
        id: ActionId::from_stored(format!("action-of-{user}")),
        route: "ticket opened".to_owned(),
        occurred_at: Timestamp::from_secs(1_795_219_100),
        origin: Source::Intercom,
        of_lead: false,
        what: CustomerioVerb::TrackEvent(CustomerioEvent { name: "support_ticket_opened".to_owned(), properties }),
    };
    CustomerioWrite::Act { profile: Some(ProfileRef::By(IdKind::UserId, user.to_owned())), action }
}

fn code(outcome: &Outcome) -> &str {
    outcome.reason().map_or(outcome.name(), |reason| reason.code.as_str())
}

fn codes(outcomes: &[Outcome]) -> Vec<&str> {
    outcomes.iter().map(code).collect()
}

#[tokio::test]
async fn one_write_goes_alone() {
    let (client, stand_in) = with([reply(200, "{}")]).await;
    assert_eq!(client.write(&[facet("03000001")]).await, [Outcome::Done]);
    let asked = stand_in.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/api/v2/entity"));
    assert_eq!(asked.header("authorization"), "Basic c2l0ZTp0cmFjay1rZXk=");
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.json()["attributes"], json!({"has_open_ticket": true, "_update": true}));
}

#[tokio::test]
async fn several_writes_go_together_in_order() {
    let (client, stand_in) = with([reply(200, "{}")]).await;
    assert_eq!(client.write(&[facet("03000001"), event("42", 0)]).await, [Outcome::Done, Outcome::Done]);
    let asked = stand_in.asked();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/api/v2/batch"));
    let body = asked[0].json();
    assert_eq!(body["batch"][0]["action"], "identify");
    assert_eq!(body["batch"][1]["action"], "event");
    assert_eq!(body["batch"][1]["identifiers"], json!({"id": "42"}));
    assert_eq!(client.write(&[]).await, []);
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn of_a_207_only_the_items_it_names_are_refused_and_no_value_is_repeated() {
    let body =
        json!({"errors": [{"batch_index": 1, "reason": "invalid", "field": "attributes.email", "message": "jo@example.com is taken"}]});
    let (client, _) = with([reply(207, body)]).await;
    let outcomes = client.write(&[facet("1"), event("42", 0), facet("3")]).await;
    assert_eq!(codes(&outcomes), ["done", "refused_by_customerio", "done"]);
    assert_eq!(outcomes[1], Outcome::rejected("refused_by_customerio", "attributes.email: invalid"));
    let body = json!({"errors": [{"batch_index": 0, "reason": "jo@example.com", "field": "jo@example.com"}]});
    let (client, _) = with([reply(207, body)]).await;
    assert_eq!(client.write(&[facet("1"), facet("2")]).await[0], Outcome::rejected("refused_by_customerio", ""));
}

#[tokio::test]
async fn a_207_that_cannot_be_attributed_is_tried_again() {
    for body in ["<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":[{"reason":"invalid"}]}"#, r#"{"errors":[{"batch_index":2}]}"#] {
        let (client, _) = with([reply(207, body)]).await;
        assert_eq!(codes(&client.write(&[facet("1"), facet("2")]).await), ["unreadable_answer", "unreadable_answer"], "{body}");
    }
}

#[tokio::test]
async fn a_200_that_is_not_customerios_is_not_believed() {
    let (client, _) = with([reply(200, "<html>please log in</html>"), reply(200, "")]).await;
    assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::ZERO, "unreadable_answer")]);
    assert_eq!(client.write(&[facet("1")]).await, [Outcome::Done]);
}

#[tokio::test]
async fn a_refused_batch_is_sent_item_by_item() {
    let refusal = json!({"errors": [{"reason": "required", "field": "name", "message": "…"}]});
    let (client, stand_in) = with([reply(400, &refusal), reply(200, "{}"), reply(400, &refusal), reply(200, "{}")]).await;
    let outcomes = client.write(&[facet("1"), event("42", 0), facet("3")]).await;
    assert_eq!(codes(&outcomes), ["done", "refused_by_customerio", "done"]);
    assert_eq!(outcomes[1], Outcome::rejected("refused_by_customerio", "name: required"));
    let targets: Vec<_> = stand_in.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(targets, ["/api/v2/batch", "/api/v2/entity", "/api/v2/entity", "/api/v2/entity"]);
}

#[tokio::test]
async fn batches_stay_below_the_vendors_size_and_a_write_over_it_is_not_sent() {
    let (client, stand_in) = with([reply(200, "{}"), reply(200, "{}")]).await;
    let mut writes: Vec<_> = (0..20).map(|n| event(&n.to_string(), 30_000)).collect();
    writes.insert(3, event("big", 32_000));
    let outcomes = client.write(&writes).await;
    assert_eq!(code(&outcomes[3]), "too_large");
    assert_eq!(outcomes.iter().filter(|o| **o == Outcome::Done).count(), 20);
    let asked = stand_in.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.body.len() <= 500_000), "{:?}", asked.iter().map(|a| a.body.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn once_a_request_has_to_wait_nothing_overtakes_it() {
    let (client, stand_in) = with([reply(503, ""), reply(200, "{}")]).await;
    let writes: Vec<_> = (0..20).map(|n| event(&n.to_string(), 30_000)).collect();
    assert!(client.write(&writes).await.iter().all(|outcome| *outcome == Outcome::retry(Span::ZERO, "destination_failed")));
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a_refused_key_keeps_the_messages_and_pauses_the_destination() {
    for status in [401, 403] {
        let (client, stand_in) = with([reply(status, "")]).await;
        assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::from_mins(1), "destination_refused_key")]);
        assert_eq!(client.pause(NOW), Some(Span::from_mins(1)));
        assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::from_mins(1), "destination_paused")]);
        assert_eq!(stand_in.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (client, stand_in) = with([reply(307, "").with("location", "/elsewhere")]).await;
    assert_eq!(codes(&client.write(&[facet("1")]).await), ["destination_redirected"]);
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a_429_waits_as_long_as_it_says_and_not_longer_than_a_quarter_of_an_hour() {
    for (header, delay) in [(None, 0), (Some("7"), 7), (Some("Sat, 21 Nov 2026 00:00:30 GMT"), 30), (Some("86400"), 900)] {
        let answer = reply(429, "");
        let answer = header.into_iter().fold(answer, |answer, value| answer.with("retry-after", value));
        let (client, _) = with([answer]).await;
        assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::from_secs(delay), "rate_limited")], "{header:?}");
        assert_eq!(client.pause(NOW), (delay > 0).then(|| Span::from_secs(delay)), "{header:?}");
    }
}

#[tokio::test]
async fn failures_of_the_destination_are_tried_again_and_open_the_breaker() {
    let (client, stand_in) = with([500, 502, 503, 504, 408].map(|status| reply(status, "oops"))).await;
    for _ in 0..5 {
        assert_eq!(client.pause(NOW), None);
        assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::ZERO, "destination_failed")]);
    }
    assert_eq!(client.pause(NOW), Some(Span::from_secs(1)));
    assert_eq!(codes(&client.write(&[facet("1")]).await), ["destination_paused"]);
    assert_eq!(stand_in.asked().len(), 5);
}

#[tokio::test]
async fn no_connection_and_no_answer_are_tried_again() {
    let nobody = client(&nobody(), &http());
    assert_eq!(nobody.write(&[facet("1")]).await, [Outcome::retry(Span::ZERO, "destination_unreachable")]);
    let (_stand_in, url) = StandIn::start([hang()]).await;
    let hanging = client(&url, &impatient_http());
    assert_eq!(hanging.write(&[facet("1")]).await, [Outcome::retry(Span::ZERO, "destination_timed_out")]);
}

#[tokio::test]
async fn over_our_own_rate_no_call_is_made() {
    let (stand_in, url) = StandIn::start([reply(200, "{}"), reply(200, "{}"), reply(200, "{}")]).await;
    let mut settings = settings(&url);
    settings.track_per_second = 1.25;
    let client = CustomerioClient::new(&settings, &http(), FixedClock).expect("settings");
    for _ in 0..3 {
        assert_eq!(client.write(&[facet("1")]).await, [Outcome::Done]);
    }
    assert_eq!(client.write(&[facet("1")]).await, [Outcome::retry(Span::from_secs(1), "over_our_rate")]);
    assert_eq!(stand_in.asked().len(), 3);
}

#[tokio::test]
async fn one_copy_of_many_still_finds_somebody_by_id_and_then_by_address() {
    let (_stand_in, url) = StandIn::start([reply(200, json!({"customers": []})), reply(200, json!({"results": [{"cio_id": "1"}]}))]).await;
    let mut settings = settings(&url);
    (settings.app_per_second, settings.copies) = (10.0, 32);
    let client = CustomerioClient::new(&settings, &http(), FixedClock).expect("settings");
    let people = [address(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")])];
    assert_eq!(client.find_profiles(&people).await, [seen("1", None, Some("a@example.com"))]);
}

fn address(ids: &[(IdKind, &str)]) -> Address {
    Address { ids: ids.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect() }
}

/// By its own id alone.
fn found(cio_id: &str) -> ProfileLookUp {
    seen(cio_id, None, None)
}

fn seen(cio_id: &str, user_id: Option<&str>, email: Option<&str>) -> ProfileLookUp {
    let text = |text: Option<&str>| text.map(str::to_owned);
    ProfileLookUp::Found(SeenProfile { own: cio_id.to_owned(), user_id: text(user_id), email: text(email) })
}

#[tokio::test]
async fn user_ids_are_asked_for_together_and_addresses_for_whoever_is_left() {
    let by_id = json!({"customers": [
        {"customer": {"id": "42", "identifiers": {"id": "42", "email": "A@example.com", "cio_id": "d9c106000001"}, "attributes": {}}},
        {"id": "43", "attributes": {"id": "43", "cio_id": "d9c106000002"}},
        {"customer": {"id": "44", "attributes": {"id": "44"}}},
    ]});
    let by_email = json!({"results": [{"email": "B+c@Example.com", "id": null, "cio_id": "d9c106000003"}]});
    let several = json!({"results": [{"cio_id": "1"}, {"cio_id": "2"}]});
    let none = json!({"results": []});
    let (client, stand_in) = with([reply(200, by_id), reply(200, by_email), reply(200, none), reply(200, several)]).await;
    let people = [
        address(&[(IdKind::UserId, "42"), (IdKind::Email, "a@example.com")]),
        address(&[(IdKind::UserId, "43")]),
        address(&[(IdKind::UserId, "44")]),
        address(&[(IdKind::UserId, "45"), (IdKind::Email, "b+c@example.com")]),
        address(&[(IdKind::UserId, "46"), (IdKind::Email, "d@example.com")]),
        address(&[(IdKind::UserId, "47"), (IdKind::Email, "e@example.com")]),
        address(&[(IdKind::UserId, "42")]),
        address(&[(IdKind::IntercomId, "6961d4041c1e12de4c5499cc")]),
    ];
    assert_eq!(
        client.find_profiles(&people).await,
        [
            seen("d9c106000001", Some("42"), Some("a@example.com")),
            seen("d9c106000002", Some("43"), None),
            ProfileLookUp::FoundBy(IdKind::UserId, "44".to_owned()),
            seen("d9c106000003", None, Some("b+c@example.com")),
            ProfileLookUp::Absent,
            ProfileLookUp::Ambiguous,
            seen("d9c106000001", Some("42"), Some("a@example.com")),
            ProfileLookUp::Absent,
        ]
    );
    let asked = stand_in.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/v1/customers/attributes?id_type=id"));
    assert_eq!(asked[0].header("authorization"), "Bearer app-key");
    assert_eq!(asked[0].json(), json!({"ids": ["42", "43", "44", "45", "46", "47"]}));
    assert_eq!(asked[1].target, "/v1/customers?email=b%2Bc%40example.com");
}

#[tokio::test]
async fn a_cio_id_is_looked_up_and_the_next_id_is_tried_once_it_is_gone() {
    let by_cio_id = json!({"customers": [
        {"customer": {"id": "42", "identifiers": {"id": "42", "cio_id": "03000001"}, "attributes": {}}},
        {"id": "", "attributes": {"cio_id": "0300000a"}},
    ]});
    let by_id = json!({"customers": [{"customer": {"id": "43", "identifiers": {"id": "43", "cio_id": "03000009"}}}]});
    let (client, stand_in) = with([reply(200, by_cio_id), reply(200, by_id)]).await;
    let people = [
        address(&[(IdKind::CioId, "03000001"), (IdKind::UserId, "42")]),
        address(&[(IdKind::CioId, "03000002"), (IdKind::UserId, "43")]),
        address(&[(IdKind::CioId, "0300000a")]),
        address(&[(IdKind::CioId, "03000003")]),
    ];
    let expected = [seen("03000001", Some("42"), None), seen("03000009", Some("43"), None), found("0300000a"), ProfileLookUp::Absent];
    assert_eq!(client.find_profiles(&people).await, expected);
    let asked = stand_in.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/v1/customers/attributes?id_type=cio_id"));
    assert_eq!(asked[0].json(), json!({"ids": ["03000001", "03000002", "03000003", "0300000a"]}));
    assert_eq!((asked.len(), asked[1].target.as_str()), (2, "/v1/customers/attributes?id_type=id"));
    assert_eq!(asked[1].json(), json!({"ids": ["43"]}));
}

#[tokio::test]
async fn an_answer_that_names_no_cio_id_counts_where_it_has_everybody() {
    let two = json!({"customers": [{"customer": {"id": "42", "attributes": {}}}, {"customer": {"id": "43", "attributes": {}}}]});
    let (client, _) = with([reply(200, &two), reply(200, &two)]).await;
    let people = |ids: &[&str]| ids.iter().map(|id| address(&[(IdKind::CioId, id)])).collect::<Vec<_>>();
    assert_eq!(client.find_profiles(&people(&["01", "02"])).await, [found("01"), found("02")]);
    assert_eq!(client.find_profiles(&people(&["01", "02", "03"])).await, [const { ProfileLookUp::Absent }; 3]);
}

#[tokio::test]
async fn a_user_id_that_looks_like_a_cio_id_is_no_cio_id() {
    let other = json!({"customers": [{"customer": {"id": "03000001", "identifiers": {"id": "03000001", "cio_id": "d9c106000001"}}}]});
    let (client, _) = with([reply(200, other)]).await;
    assert_eq!(client.find_profiles(&[address(&[(IdKind::CioId, "03000001")])]).await, [ProfileLookUp::Absent]);
}

#[tokio::test]
async fn ids_are_tried_in_the_order_given() {
    let (client, stand_in) = with([reply(200, json!({"results": [{"cio_id": "1", "id": "43"}]}))]).await;
    let people = [address(&[(IdKind::Email, "a@example.com"), (IdKind::UserId, "42")])];
    assert_eq!(client.find_profiles(&people).await, [seen("1", Some("43"), Some("a@example.com"))]);
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn more_than_a_hundred_ids_are_asked_for_in_several_calls() {
    let nobody = json!({"customers": []});
    let (client, stand_in) = with([reply(200, &nobody), reply(200, &nobody)]).await;
    let people: Vec<_> = (0..101).map(|n| address(&[(IdKind::UserId, &n.to_string())])).collect();
    assert!(client.find_profiles(&people).await.iter().all(|look_up| *look_up == ProfileLookUp::Absent));
    let mut sizes: Vec<_> = stand_in.asked().iter().map(|asked| asked.json()["ids"].as_array().map(Vec::len)).collect();
    sizes.sort();
    assert_eq!(sizes, [Some(1), Some(100)]);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let customer = |id: &str| json!({"customers": [{"customer": {"id": id, "identifiers": {"id": id, "cio_id": format!("c{id}")}}}]});
    let large = json!({"customers": [], "padding": "x".repeat(3_000)});
    let (_stand_in, url) = StandIn::start([reply(200, large), reply(200, customer("2")), reply(200, customer("1"))]).await;
    let client = client(&url, &brief_http());
    let people = [address(&[(IdKind::UserId, "1")]), address(&[(IdKind::UserId, "2")])];
    assert_eq!(client.find_profiles(&people).await, [seen("c1", Some("1"), None), seen("c2", Some("2"), None)]);
}

#[tokio::test]
async fn a_look_up_that_fails_says_so_and_never_says_absent() {
    for (answer, code) in [
        (reply(500, ""), "destination_failed"),
        (reply(429, ""), "rate_limited"),
        (reply(401, ""), "destination_refused_key"),
        (reply(400, ""), "refused_by_customerio"),
        (reply(404, ""), "destination_refused_key"),
        (reply(200, "<html>"), "unreadable_answer"),
        (reply(200, "{}"), "unreadable_answer"),
    ] {
        for id in [(IdKind::CioId, "03000001"), (IdKind::UserId, "42"), (IdKind::Email, "a@example.com")] {
            let (client, _) = with([answer.clone()]).await;
            match client.find_profiles(&[address(&[id])]).await.as_slice() {
                [ProfileLookUp::Failed(outcome)] => assert_eq!(self::code(outcome), code),
                other => panic!("{other:?} for {code}"),
            }
        }
    }
}

#[tokio::test]
async fn without_an_app_key_nobody_is_asked() {
    let (stand_in, url) = StandIn::start([]).await;
    let settings = CustomerioSettings { app_key: None, ..settings(&url) };
    let client = CustomerioClient::new(&settings, &http(), FixedClock).expect("settings");
    let people = [address(&[(IdKind::IntercomId, "c1"), (IdKind::Email, "a@example.com"), (IdKind::UserId, "42")])];
    assert_eq!(client.find_profiles(&people).await, [ProfileLookUp::Unverified(IdKind::Email, "a@example.com".to_owned())]);
    // Customer.io itself gave that one out.
    let people = [address(&[(IdKind::UserId, "42"), (IdKind::CioId, "03000001")])];
    assert_eq!(client.find_profiles(&people).await, [found("03000001")]);
    assert_eq!(stand_in.asked().len(), 0);
}

#[tokio::test]
async fn an_outage_of_the_app_api_does_not_pause_the_writes() {
    let (client, _) = with([reply(401, ""), reply(200, "{}")]).await;
    client.find_profiles(&[address(&[(IdKind::UserId, "42")])]).await;
    assert_eq!(client.pause(NOW), None);
    assert_eq!(client.write(&[facet("1")]).await, [Outcome::Done]);
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_secrets() {
    let mut settings = settings("not an address");
    let error = CustomerioClient::new(&settings, &http(), FixedClock).expect_err("refused").to_string();
    assert!(error.contains("track_url"), "{error}");
    (settings.track_url, settings.app_url) = (None, None);
    settings.api_key = SecretString::from("secret\u{0}key");
    // Base64 carries anything; the App key goes as it is.
    settings.app_key = Some(SecretString::from("secret\nkey"));
    let error = CustomerioClient::new(&settings, &http(), FixedClock).expect_err("refused").to_string();
    assert!(error.contains("app_key") && !error.contains("secret"), "{error}");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("secret\\n") && !shown.contains("secret\\u"), "{shown}");
}

fn parent(kind: ParentKind, id: &str) -> Parent {
    Parent { kind, id: id.to_owned() }
}

#[tokio::test]
async fn a_campaign_is_asked_for_its_name_where_its_kind_is_kept() {
    for (kind, target, answer) in [
        (ParentKind::Campaign, "/v1/campaigns/7", json!({"campaign": {"id": 7, "name": " Trial ends soon "}})),
        (ParentKind::Broadcast, "/v1/broadcasts/7", json!({"broadcast": {"id": 7, "name": "Trial ends soon"}})),
        (ParentKind::Newsletter, "/v1/newsletters/7", json!({"newsletter": {"id": 7, "name": "Trial ends soon"}})),
        (ParentKind::Transactional, "/v1/transactional/7", json!({"message": {"id": 7, "name": "Trial ends soon"}})),
    ] {
        let (client, stand_in) = with([reply(200, answer)]).await;
        assert_eq!(client.campaign_name(&parent(kind, "7")).await, Ok(Some("Trial ends soon".to_owned())));
        let asked = stand_in.asked().remove(0);
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", target));
        assert_eq!(asked.header("authorization"), "Bearer app-key");
    }
}

#[tokio::test]
async fn what_has_no_name_and_what_cannot_be_asked() {
    let long = json!({"campaign": {"name": "ä".repeat(300)}});
    let (client, stand_in) =
        with([reply(200, long), reply(200, json!({"campaign": {"name": ""}})), reply(404, "{}"), reply(400, "{}")]).await;
    let ask = async || client.campaign_name(&parent(ParentKind::Campaign, "7/../8?")).await;
    assert_eq!(ask().await, Ok(Some("ä".repeat(200))));
    for _ in 0..3 {
        assert_eq!(ask().await, Ok(None));
    }
    assert!(stand_in.asked().iter().all(|asked| asked.target == "/v1/campaigns/7%2F..%2F8%3F"), "{:?}", stand_in.asked());

    let without = CustomerioSettings { app_key: None, ..settings("http://127.0.0.1:9") };
    let client = CustomerioClient::new(&without, &http(), FixedClock).expect("settings");
    assert_eq!(client.campaign_name(&parent(ParentKind::Campaign, "7")).await, Err(Outcome::skipped("no_app_api_key")));
}

#[tokio::test]
async fn a_refused_question_keeps_no_profile_from_being_looked_for() {
    let refusals = [401, 403, 404].into_iter().cycle().take(12).map(|status| reply(status, "{}"));
    let (client, stand_in) = with(refusals.chain([reply(200, json!({"customers": []}))])).await;
    for _ in 0..4 {
        let answers = [
            client.campaign_name(&parent(ParentKind::Campaign, "7")).await,
            client.campaign_name(&parent(ParentKind::Campaign, "7")).await,
            client.campaign_name(&parent(ParentKind::Campaign, "7")).await,
        ];
        let refused = || Err(Outcome::skipped("destination_refused_key"));
        assert_eq!(answers, [refused(), refused(), Ok(None)]);
    }
    let people = [Address { ids: vec![(IdKind::UserId, "42".to_owned())] }];
    assert_eq!(client.find_profiles(&people).await, [ProfileLookUp::Absent]);
    assert_eq!((stand_in.asked().len(), stand_in.unused_replies()), (13, 0));
}

#[tokio::test]
async fn a_name_waits_like_everything_else() {
    let (client, _stand_in) = with([reply(429, ""), reply(200, "<html>"), reply(200, json!({"newsletter": {"name": "x"}}))]).await;
    let ask = async || client.campaign_name(&parent(ParentKind::Campaign, "7")).await.expect_err("no name");
    assert_eq!([code(&ask().await), code(&ask().await), code(&ask().await)], ["rate_limited", "unreadable_answer", "unreadable_answer"]);
}
