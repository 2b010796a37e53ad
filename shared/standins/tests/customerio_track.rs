//! The Track API: what it refuses, and what becomes of what it accepts.

mod support;

use serde_json::{Value, json};
use support::{BASIC, Cio, Http, NOW, event, identify};
use trefoil_standins::customerio::{
    BatchOrder, CreatedBy, CustomerIo, EventForUnknown, ForUnknown, Identification, Identifier, Kilobyte, ManualSegments, Options,
    PreferenceContent, Removal, Retry, StaleUpdate, TopicOrder, UlidScope, UnknownSegment, UnsubscribeClick, Variants,
};

const ULID: &str = "01HV3Z8M9QF0Q2T9ZK3B3V6W7X";

fn id(text: &str) -> Identifier {
    Identifier::Id(text.to_owned())
}

fn email(text: &str) -> Identifier {
    Identifier::Email(text.to_owned())
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_change_nothing() {
    let t = Cio::start(Variants::default()).await;
    let item = identify(&json!({"id": "u1"}), &json!({"plan": "pro"}), NOW).to_string();
    for headers in [vec![], vec![("authorization", "Basic d3Jvbmc6d3Jvbmc=")], vec![("authorization", "Bearer standin-app-key")]] {
        for path in ["/api/v2/entity", "/api/v2/batch", "/api/v1/accounts/region"] {
            let method = if path.ends_with("region") { "GET" } else { "POST" };
            let url = format!("{}{path}", t.cio.track_url());
            let answer = t.http.call(method, &url, &headers, item.clone()).await.expect("an answer");
            assert_eq!((answer.status, answer.body.len()), (401, 0));
        }
    }
    assert!(t.cio.profiles().is_empty());
    assert_eq!(t.cio.journal().counter("/api/v2/entity").refused, 3);
}

#[tokio::test]
async fn region_check_names_the_workspace() {
    let t = Cio::with(Options { region: "eu".to_owned(), environment_id: 77, ..Options::default() }).await;
    let url = format!("{}/api/v1/accounts/region", t.cio.track_url());
    let answer = t.http.call("GET", &url, &[BASIC], "").await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"url": t.cio.track_url(), "region": "eu", "environment_id": 77}));
}

#[tokio::test]
async fn the_two_apis_do_not_answer_for_each_other() {
    let t = Cio::start(Variants::default()).await;
    let wrong = format!("{}/api/v2/batch", t.cio.app_url());
    assert_eq!(t.http.call("POST", &wrong, &[BASIC], "{}").await.expect("an answer").status, 404);
    let wrong = format!("{}/v1/customers?email=a@example.com", t.cio.track_url());
    assert_eq!(t.http.call("GET", &wrong, &[support::BEARER], "").await.expect("an answer").status, 404);
}

#[tokio::test]
async fn update_only_never_creates() {
    let t = Cio::start(Variants::default()).await;
    let update = json!({"plan": "pro", "_update": true});
    for who in [json!({"id": "u1"}), json!({"email": "ada@example.com"}), json!({"cio_id": "0a0b06000001"})] {
        let answer = t.entity(&identify(&who, &update, NOW)).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }
    // Without `_update` an unknown cio_id creates nobody either.
    assert_eq!(t.entity(&identify(&json!({"cio_id": "0a0b06000001"}), &json!({"plan": "pro"}), NOW)).await.status, 200);
    assert!(t.cio.profiles().is_empty());

    assert_eq!(t.entity(&identify(&json!({"id": "u1"}), &json!({"plan": "free"}), NOW)).await.status, 200);
    assert_eq!(t.entity(&identify(&json!({"id": "u1"}), &update, NOW)).await.status, 200);
    let profile = t.cio.profile(&id("u1")).expect("a profile");
    assert_eq!(profile.text("plan").as_deref(), Some("pro"));
    assert_eq!(profile.text("_update"), None);
    assert_eq!(profile.created_by, CreatedBy::Identify);
    assert!(!t.cio.profile_created_by_accident());
}

#[tokio::test]
async fn cio_ids_are_hex_text_some_with_zeros_in_front() {
    let t = Cio::start(Variants::default()).await;
    let ids: Vec<String> = (0..8).map(|n| t.cio.add_profile(Some(&format!("u{n}")), None, &[])).collect();
    assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    assert!(ids.iter().any(|id| id.starts_with('0')));
    t.entity(&identify(&json!({"cio_id": ids[1]}), &json!({"plan": "pro", "_update": true}), NOW)).await;
    assert_eq!(t.cio.profile(&id("u1")).expect("a profile").text("plan").as_deref(), Some("pro"));
}

#[tokio::test]
async fn an_older_update_is_dropped_attribute_by_attribute() {
    let t = Cio::start(Variants { stale_update: StaleUpdate::PerAttribute, ..Variants::default() }).await;
    let who = json!({"id": "u1"});
    t.entity(&identify(&who, &json!({"plan": "pro"}), NOW)).await;
    let answer = t.entity(&identify(&who, &json!({"plan": "free", "seats": 3}), NOW - 10)).await;
    assert_eq!(answer.status, 200);
    let profile = t.cio.profile(&id("u1")).expect("a profile");
    assert_eq!(profile.text("plan").as_deref(), Some("pro"));
    assert_eq!(profile.text("seats").as_deref(), Some("3"));
    assert_eq!(profile.attributes["seats"].set_at, NOW - 10);
    assert_eq!(t.cio.stale_updates(), 1);
}

#[tokio::test]
async fn an_older_update_is_dropped_altogether() {
    let t = Cio::start(Variants { stale_update: StaleUpdate::WholeProfile, ..Variants::default() }).await;
    let who = json!({"id": "u1"});
    t.entity(&identify(&who, &json!({"plan": "pro"}), NOW)).await;
    assert_eq!(t.entity(&identify(&who, &json!({"seats": 3}), NOW - 10)).await.status, 200);
    assert_eq!(t.cio.profile(&id("u1")).expect("a profile").text("seats"), None);
    // The same second is not older.
    t.entity(&identify(&who, &json!({"seats": 4}), NOW)).await;
    assert_eq!(t.cio.profile(&id("u1")).expect("a profile").text("seats").as_deref(), Some("4"));
    // An edit by hand moves the profile's last edit.
    t.clock.set(NOW + 60);
    let cio_id = t.cio.profile(&id("u1")).expect("a profile").cio_id;
    t.cio.edit_profile(&cio_id, &[("note", json!("called"))]);
    t.entity(&identify(&who, &json!({"seats": 5}), NOW + 30)).await;
    assert_eq!(t.cio.profile(&id("u1")).expect("a profile").text("seats").as_deref(), Some("4"));
}

#[tokio::test]
async fn null_and_empty_remove_or_stay_by_variant() {
    for (removal, after_null, after_empty) in
        [(Removal::NullOrEmpty, None, None), (Removal::Null, None, Some("")), (Removal::Empty, Some(""), None)]
    {
        let t = Cio::start(Variants { removal, ..Variants::default() }).await;
        let who = json!({"id": "u1"});
        t.entity(&identify(&who, &json!({"a": 1, "b": 1}), NOW)).await;
        t.entity(&identify(&who, &json!({"a": null, "b": ""}), NOW)).await;
        let profile = t.cio.profile(&id("u1")).expect("a profile");
        assert_eq!((profile.text("a").as_deref(), profile.text("b").as_deref()), (after_null, after_empty), "{removal:?}");
    }
}

#[tokio::test]
async fn one_topic_is_set_without_the_others() {
    let t = Cio::start(Variants::default()).await;
    let who = json!({"id": "u1"});
    t.entity(&identify(&who, &json!({"cio_subscription_preferences": {"topics": {"topic_1": true}}}), NOW)).await;
    t.entity(&identify(&who, &json!({"cio_subscription_preferences.topics.topic_3": false}), NOW)).await;
    let preferences = t.cio.profile(&id("u1")).expect("a profile").text("cio_subscription_preferences").expect("preferences");
    assert_eq!(serde_json::from_str::<Value>(&preferences).expect("JSON"), json!({"topics": {"topic_1": true, "topic_3": false}}));
}

#[tokio::test]
async fn repeated_events_are_ignored() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), None, &[]);
    t.cio.add_profile(Some("u2"), None, &[]);
    for _ in 0..3 {
        assert_eq!(t.entity(&event(&json!({"id": "u1"}), "opened", ULID)).await.status, 200);
    }
    t.entity(&event(&json!({"id": "u2"}), "opened", &ULID.to_lowercase())).await;
    assert_eq!((t.cio.event_count(), t.cio.duplicate_events()), (1, 3));

    let per_person = Cio::start(Variants { ulid_scope: UlidScope::Person, ..Variants::default() }).await;
    per_person.cio.add_profile(Some("u1"), None, &[]);
    per_person.cio.add_profile(Some("u2"), None, &[]);
    for who in ["u1", "u2", "u1"] {
        per_person.entity(&event(&json!({"id": who}), "opened", ULID)).await;
    }
    assert_eq!((per_person.cio.event_count(), per_person.cio.duplicate_events()), (2, 1));
}

#[tokio::test]
async fn event_ids_can_be_forgotten() {
    let memory = Some(std::time::Duration::from_secs(60));
    let t = Cio::start(Variants { ulid_memory: memory, ..Variants::default() }).await;
    t.cio.add_profile(Some("u1"), None, &[]);
    for seconds in [0, 59, 59 + 60] {
        t.clock.set(NOW + seconds);
        t.entity(&event(&json!({"id": "u1"}), "opened", ULID)).await;
    }
    assert_eq!((t.cio.event_count(), t.cio.duplicate_events()), (2, 1));
}

#[tokio::test]
async fn an_event_for_nobody_creates_or_vanishes() {
    let creates = Cio::start(Variants { event_for_unknown: EventForUnknown::CreatesProfile, ..Variants::default() }).await;
    assert_eq!(creates.entity(&event(&json!({"email": "ada@example.com"}), "opened", ULID)).await.status, 200);
    assert!(creates.cio.profile_created_by_accident());
    assert_eq!(creates.cio.profile(&email("ADA@example.com")).expect("a profile").created_by, CreatedBy::Event);
    assert_eq!(creates.cio.events().len(), 1);

    let vanishes = Cio::start(Variants { event_for_unknown: EventForUnknown::Vanishes, ..Variants::default() }).await;
    assert_eq!(vanishes.entity(&event(&json!({"email": "ada@example.com"}), "opened", ULID)).await.status, 200);
    assert!(!vanishes.cio.profile_created_by_accident());
    assert!(vanishes.cio.profiles().is_empty() && vanishes.cio.events().is_empty());
    assert_eq!(vanishes.cio.vanished_events().len(), 1);
    // What vanished was not heard: the same event counts once the person is there.
    vanishes.cio.add_profile(None, Some("ada@example.com"), &[]);
    vanishes.entity(&event(&json!({"email": "ada@example.com"}), "opened", ULID)).await;
    assert_eq!(vanishes.cio.event_count(), 1);

    // A cio_id cannot be made up.
    creates.entity(&event(&json!({"cio_id": "ffff06ffffff"}), "opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7Y")).await;
    assert_eq!((creates.cio.profiles().len(), creates.cio.vanished_events().len()), (1, 1));
}

#[tokio::test]
async fn old_events_start_no_campaign_and_overrides_are_named() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), None, &[]);
    let mut old = event(&json!({"id": "u1"}), "opened", ULID);
    old["timestamp"] = json!(NOW - 72 * 3600 - 1);
    t.entity(&old).await;
    let mut overriding = event(&json!({"id": "u1"}), "opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7Y");
    overriding["attributes"] = json!({"recipient": "eve@example.com", "ticket_id": "42"});
    t.entity(&overriding).await;
    let events = t.cio.events();
    assert_eq!(events.iter().map(|event| event.can_trigger).collect::<Vec<_>>(), [false, true]);
    assert_eq!(events[1].overrides, ["recipient"]);
}

#[tokio::test]
async fn batch_order_is_kept_or_shuffled() {
    let items: Vec<Value> = (0..20).map(|n| identify(&json!({"id": "u1"}), &json!({"n": n}), NOW)).collect();
    let last = async |batch_order, seed| {
        let variants = Variants { batch_order, ..Variants::default() };
        let t = Cio::with(Options { variants, seed, ..Options::default() }).await;
        assert_eq!(t.batch(&json!(items)).await.status, 200);
        t.cio.profile(&id("u1")).expect("a profile").text("n").expect("n")
    };
    for seed in 1..4 {
        assert_eq!(last(BatchOrder::Kept, seed).await, "19");
        assert_eq!(last(BatchOrder::Shuffled, seed).await, last(BatchOrder::Shuffled, seed).await, "the seed decides");
    }
    assert_ne!((last(BatchOrder::Shuffled, 1).await, last(BatchOrder::Shuffled, 2).await), ("19".to_owned(), "19".to_owned()));
}

#[tokio::test]
async fn identifiers_are_claimed_merged_or_left_alone() {
    let t = Cio::start(Variants::default()).await;
    // A profile known by e-mail only is claimed by the id that names its address.
    let only_email = t.cio.add_profile(None, Some("ada@example.com"), &[("plan", json!("pro"))]);
    t.entity(&identify(&json!({"id": "u1"}), &json!({"email": "Ada@example.com"}), NOW)).await;
    assert_eq!(t.cio.profile(&id("u1")).expect("a profile").cio_id, only_email);

    // The address of somebody else is silently left out, the rest is applied.
    t.cio.add_profile(Some("u2"), None, &[]);
    assert_eq!(t.entity(&identify(&json!({"id": "u2"}), &json!({"email": "ada@example.com", "seats": 2}), NOW)).await.status, 200);
    let second = t.cio.profile(&id("u2")).expect("a profile");
    assert_eq!((second.email.as_deref(), second.text("seats").as_deref()), (None, Some("2")));
    assert_eq!(t.cio.failed_changes()[0].attribute, "email");

    // Two halves become one; the older survives.
    let half = t.cio.add_profile(None, Some("bob@example.com"), &[]);
    t.clock.set(NOW + 5);
    t.cio.add_profile(Some("u3"), None, &[("seats", json!(1))]);
    t.entity(&identify(&json!({"id": "u3"}), &json!({"email": "bob@example.com"}), NOW + 6)).await;
    let whole = t.cio.profile(&id("u3")).expect("a profile");
    assert_eq!((whole.cio_id, whole.email.as_deref()), (half, Some("bob@example.com")));
    assert_eq!(whole.attributes["seats"].value, 1);

    // A known address changes by cio_id only.
    t.entity(&identify(&json!({"id": "u3"}), &json!({"email": "rob@example.com"}), NOW + 7)).await;
    assert!(t.cio.profile(&email("rob@example.com")).is_none());
    let cio_id = t.cio.profile(&id("u3")).expect("a profile").cio_id;
    t.entity(&identify(&json!({"cio_id": cio_id}), &json!({"email": "rob@example.com"}), NOW + 8)).await;
    assert_eq!(t.cio.profile(&email("rob@example.com")).expect("a profile").id.as_deref(), Some("u3"));
}

#[tokio::test]
async fn people_known_by_id_only_may_share_an_address() {
    let t = Cio::with(Options { identification: Identification::IdOnly, ..Options::default() }).await;
    for who in ["u1", "u2"] {
        t.entity(&identify(&json!({"id": who}), &json!({"email": "team@example.com"}), NOW)).await;
    }
    assert_eq!(t.app("/v1/customers?email=team%40example.com").await.json()["results"].as_array().expect("a list").len(), 2);
    assert!(t.cio.profile(&email("team@example.com")).is_none(), "not one person");
    assert_eq!(t.entity(&identify(&json!({"email": "team@example.com"}), &json!({}), NOW)).await.status, 400);
}

#[tokio::test]
async fn refused_operations() {
    let t = Cio::start(Variants::default()).await;
    let who = json!({"id": "u1"});
    let long = "x".repeat(151);
    let many: serde_json::Map<String, Value> = (0..301).map(|n| (format!("a{n}"), json!(n))).collect();
    let identify = |attributes: Value| identify(&who, &attributes, NOW);
    let person = |identifiers: Value| json!({"type": "person", "action": "identify", "identifiers": identifiers});
    let named = |name: &str, id: &str| event(&who, name, id);
    let cases = [
        (json!(5), ""),
        (json!({"action": "identify", "identifiers": who}), "type"),
        (json!({"type": "human", "action": "identify", "identifiers": who}), "type"),
        (json!({"type": "person", "identifiers": who}), "action"),
        (json!({"type": "person", "action": "update", "identifiers": who}), "action"),
        (json!({"type": "person", "action": "identify"}), "identifiers"),
        (person(json!({})), "identifiers"),
        (person(json!({"id": "u1", "email": "ada@example.com"})), "identifiers"),
        (person(json!({"id": ""})), "identifiers.id"),
        (person(json!({"id": 42})), "identifiers.id"),
        (person(json!({"id": long})), "identifiers.id"),
        (person(json!({"email": "ada"})), "identifiers.email"),
        (person(json!({"phone": "0123"})), "identifiers.phone"),
        (person(json!({"cio_id": "cio_0a0b06000001"})), "identifiers.cio_id"),
        (person(json!({"user_id": "u1"})), "identifiers.user_id"),
        (identify(json!([])), "attributes"),
        (identify(json!({"_update": "true"})), "attributes._update"),
        (identify(json!({"a": "x".repeat(1001)})), "attributes.a"),
        (identify(json!({"a": ["x".repeat(1000)]})), "attributes.a"),
        (identify(json!({"x".repeat(151): 1})), &format!("attributes.{long}")),
        (identify(Value::Object(many)), "attributes"),
        (named("", ULID), "name"),
        (named(&"x".repeat(101), ULID), "name"),
        (named("opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7"), "id"),
        (named("opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7U"), "id"),
        (named("opened", "81HV3Z8M9QF0Q2T9ZK3B3V6W7X"), "id"),
        (json!({"type": "person", "action": "event", "identifiers": who, "name": "a", "timestamp": "2026-01-10"}), "timestamp"),
        (json!({"type": "person", "action": "event", "identifiers": who, "name": "a", "timestamp": 1.5}), "timestamp"),
        (json!({"type": "person", "action": "add_device", "identifiers": who}), "device.token"),
        (json!({"type": "person", "action": "add_relationships", "identifiers": who}), "cio_relationships"),
        (json!({"type": "person", "action": "merge", "primary": who}), "secondary"),
        (json!({"type": "object", "action": "identify", "identifiers": {"object_id": "acme"}}), "identifiers"),
        (json!({"type": "delivery", "action": "event", "identifiers": {"id": "d"}, "name": "seen"}), "name"),
    ];
    for (item, field) in &cases {
        let answer = t.entity(item).await;
        let error = &answer.json()["errors"][0];
        assert_eq!((answer.status, error["field"].as_str()), (400, Some(*field)), "{item}");
        assert!(error["reason"].is_string() && error["message"].is_string() && error.get("batch_index").is_none(), "{error}");
    }
    assert!(t.cio.profiles().is_empty() && t.cio.events().is_empty());

    // In a batch the good ones are accepted, and the bad ones named by their place.
    let answer = t.batch(&json!([identify(json!({"plan": "pro"})), cases[4].0, named("opened", ULID), cases[23].0])).await;
    assert_eq!(answer.status, 207);
    let errors = answer.json()["errors"].clone();
    assert_eq!((errors[0]["batch_index"].as_u64(), errors[1]["batch_index"].as_u64()), (Some(1), Some(3)));
    assert_eq!(errors.as_array().map(Vec::len), Some(2));
    assert_eq!((t.cio.profiles().len(), t.cio.event_count()), (1, 1));
}

#[tokio::test]
async fn accepted_operations() {
    let t = Cio::start(Variants::default()).await;
    let who = json!({"id": "u1"});
    let object = json!({"object_type_id": "1", "object_id": "acme"});
    let items = json!([
        {"type": "person", "action": "identify", "identifiers": who},
        {"type": "person", "action": "page", "identifiers": who, "name": "https://www.example.com/pricing"},
        {"type": "person", "action": "screen", "identifiers": who, "name": "Home"},
        {"type": "person", "action": "add_device", "identifiers": who, "device": {"token": "t", "platform": "ios"}},
        {"type": "person", "action": "delete_relationships", "identifiers": who, "cio_relationships": []},
        {"type": "object", "action": "identify", "identifiers": object, "attributes": {"name": "Acme"}, "cio_relationships": []},
        {"type": "object", "action": "delete", "identifiers": {"cio_object_id": "ob01"}},
        {"type": "delivery", "action": "event", "identifiers": {"id": "d"}, "name": "opened", "attributes": {"device_token": "t"}},
    ]);
    let answer = t.batch(&items).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert_eq!(t.cio.event_count(), 2);
}

#[tokio::test]
async fn sizes_are_limited() {
    for (kilobyte, bytes) in [(Kilobyte::Of1000, 1000), (Kilobyte::Of1024, 1024)] {
        let t = Cio::start(Variants { kilobyte, ..Variants::default() }).await;
        let item = |size: usize| {
            let mut item = event(&json!({"id": "u1"}), "opened", ULID);
            item["attributes"]["text"] = json!("");
            let rest = item.to_string().len();
            item["attributes"]["text"] = json!("x".repeat(size - rest));
            item
        };
        let fits = item(32 * bytes);
        assert_eq!(fits.to_string().len(), 32 * bytes);
        assert_eq!(t.entity(&fits).await.status, 200);
        assert_eq!(t.entity(&item(32 * bytes + 1)).await.json()["errors"][0]["reason"], "too_large");
        assert_eq!(t.batch(&json!([fits, item(32 * bytes + 1)])).await.status, 207);
        assert_eq!(t.batch(&json!(vec![&fits; 15])).await.status, 200);
        assert_eq!(t.batch(&json!(vec![&fits; 16])).await.status, 400);
    }
}

#[tokio::test]
async fn unusable_batches_are_refused_whole() {
    let t = Cio::start(Variants::default()).await;
    for body in ["", "nonsense", "[]", "{}", r#"{"batch": {}}"#, r#"{"batch": []}"#, r#"{"batch": [{]}"#] {
        let answer = t.track("/api/v2/batch", body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["errors"][0]["message"].is_string());
    }
    // More than is read at all.
    assert_eq!(t.track("/api/v2/batch", vec![b' '; 2 * 1024 * 1024 + 1]).await.status, 413);
    assert_eq!(t.cio.journal().counter("/api/v2/batch").refused, 8);
}

#[tokio::test]
async fn a_seed_gives_both_readings_of_everything_open() {
    let all: Vec<Variants> = (0..64).map(Variants::seeded).collect();
    assert_eq!(all[7], Variants::seeded(7));
    assert!(all.iter().any(|v| v.event_for_unknown == EventForUnknown::Vanishes));
    assert!(all.iter().any(|v| v.event_for_unknown == EventForUnknown::CreatesProfile));
    assert!(all.iter().any(|v| v.batch_order == BatchOrder::Shuffled));
    assert!(all.iter().any(|v| v.stale_update == StaleUpdate::WholeProfile));
    assert!([Removal::NullOrEmpty, Removal::Null, Removal::Empty].iter().all(|r| all.iter().any(|v| v.removal == *r)));
    assert!(all.iter().any(|v| v.ulid_scope == UlidScope::Person) && all.iter().any(|v| v.ulid_memory.is_some()));
    // Of every choice that has two readings, both come.
    let both: [fn(&Variants) -> bool; 11] = [
        |v| v.person_for_relationship == ForUnknown::Creates,
        |v| v.object_for_relationship == ForUnknown::Creates,
        |v| v.person_for_device == ForUnknown::Creates,
        |v| v.topic_order == TopicOrder::PerTopic,
        |v| v.merge_takes_the_unlisted,
        |v| v.merge_tells,
        |v| v.unsuppress_frees_both,
        |v| v.identical_consent_tells,
        |v| v.preference_content == PreferenceContent::Changed,
        |v| v.object_type_type,
        |v| v.retry == Retry::SignedAnew,
    ];
    for (place, reading) in both.iter().enumerate() {
        assert!(all.iter().any(reading) && !all.iter().all(reading), "{place}");
    }
    let segments = [ManualSegments::EveryIdType, ManualSegments::RemovalById, ManualSegments::IdOnlyWorkspaces];
    assert!(segments.iter().all(|reading| all.iter().any(|v| v.manual_segments == *reading)));
    let unknown = [UnknownSegment::BadRequest, UnknownSegment::NotFound, UnknownSegment::Unprocessable];
    assert!(unknown.iter().all(|reading| all.iter().any(|v| v.unknown_segment == *reading)));
    let clicks = [UnsubscribeClick::Metric, UnsubscribeClick::MetricAndChannel, UnsubscribeClick::MetricAndCustomer];
    assert!(clicks.iter().all(|reading| all.iter().any(|v| v.unsubscribe_click == *reading)));
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let cio = CustomerIo::start(Options::default()).await.expect("a free port");
    let url = format!("{}/api/v1/accounts/region", cio.track_url());
    let http = Http::new();
    assert_eq!(http.call("GET", &url, &[BASIC], "").await.expect("an answer").status, 200);
    drop(cio);
    // The listening task ends at its next turn; until then a call may still get through.
    tokio::time::timeout(support::LIMIT, async {
        while http.call("GET", &url, &[BASIC], "").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it stops listening");
}
