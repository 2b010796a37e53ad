//! Manual and data-driven segments, subscription topics, and metrics that are reported.

mod support;

use serde_json::{Value, json};
use support::{BASIC, BEARER, Cio, NOW, identify};
use trefoil_standins::customerio::{Identification, ManualSegments, Options, UnknownSegment, Variants};

async fn change(t: &Cio, path: &str, ids: &Value) -> u16 {
    t.track(&format!("/api/v1/segments/{path}"), json!({ "ids": ids }).to_string()).await.status
}

#[tokio::test]
async fn people_are_put_into_manual_segments_and_taken_out() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_segment(7, "Beta testers");
    let ada = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
    let bob = t.cio.add_profile(Some("u2"), None, &[]);
    let eve = t.cio.add_profile(None, Some("eve@example.com"), &[]);
    let mut everybody = [ada.clone(), bob.clone(), eve.clone()];
    everybody.sort();
    // Ids that nobody has are ignored, and so is what another kind of id would have found.
    assert_eq!(change(&t, "7/add_customers", &json!(["u1", "u9", "eve@example.com"])).await, 200);
    assert_eq!(t.cio.members(7), [ada.as_str()]);
    assert_eq!(change(&t, "7/add_customers?id_type=email", &json!(["EVE@example.com", "u2"])).await, 200);
    assert_eq!(change(&t, "7/add_customers?id_type=cio_id", &json!([bob, ada])).await, 200);
    assert_eq!(t.cio.members(7), everybody);
    assert_eq!(change(&t, "7/remove_customers", &json!(["u1", "u9"])).await, 200);
    assert_eq!(change(&t, "7/remove_customers?id_type=email", &json!(["eve@example.com"])).await, 200);
    assert_eq!(t.cio.members(7), [bob.as_str()]);
    // A segment that is changed by hand tells of nothing.
    assert!(t.cio.take_webhooks().is_empty());
    t.cio.delete_profile(&bob);
    assert!(t.cio.members(7).is_empty());
}

#[tokio::test]
async fn what_is_refused_of_manual_segments() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_segment(7, "Beta testers");
    t.cio.add_profile(Some("u1"), None, &[]);
    let path = "7/add_customers";
    assert_eq!(change(&t, path, &json!(vec!["u1"; 1000])).await, 200);
    for wrong in [json!(vec!["u1"; 1001]), json!([]), json!([1]), json!("u1")] {
        assert_eq!(change(&t, "7/remove_customers", &wrong).await, 400);
    }
    assert_eq!(change(&t, "7/remove_customers?id_type=phone", &json!(["u1"])).await, 400);
    let answer = t.track("/api/v1/segments/7/add_customers", "nonsense").await;
    assert!(answer.json()["meta"]["errors"][0].is_string(), "the shape of v1");
    let url = format!("{}/api/v1/segments/7/remove_customers", t.cio.track_url());
    let answer = t.http.call("POST", &url, &[BEARER], r#"{"ids":["u1"]}"#).await.expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (401, 0));
    assert_eq!(t.cio.members(7).len(), 1);
}

#[tokio::test]
async fn what_is_no_manual_segment_is_refused_by_variant() {
    for (unknown_segment, status) in
        [(UnknownSegment::BadRequest, 400), (UnknownSegment::NotFound, 404), (UnknownSegment::Unprocessable, 422)]
    {
        let t = Cio::start(Variants { unknown_segment, ..Variants::default() }).await;
        t.cio.add_data_driven_segment(8, "Pro", "plan", "pro");
        t.cio.add_profile(Some("u1"), None, &[]);
        for segment in ["8", "9", "vip"] {
            for operation in ["add_customers", "remove_customers"] {
                assert_eq!(change(&t, &format!("{segment}/{operation}"), &json!(["u1"])).await, status, "{segment}");
            }
        }
        assert!(t.cio.members(8).is_empty());
    }
}

#[tokio::test]
async fn the_pages_differ_on_who_can_be_in_a_manual_segment() {
    let statuses = async |manual_segments, identification| {
        let variants = Variants { manual_segments, ..Variants::default() };
        let t = Cio::with(Options { variants, identification, ..Options::default() }).await;
        t.cio.add_segment(7, "Beta testers");
        let cio_id = t.cio.add_profile(Some("u1"), None, &[]);
        let add = change(&t, "7/add_customers?id_type=cio_id", &json!([cio_id])).await;
        let remove = change(&t, "7/remove_customers?id_type=cio_id", &json!([cio_id])).await;
        (add, remove, change(&t, "7/remove_customers", &json!(["u1"])).await)
    };
    let (both, id_only) = (Identification::EmailAndId, Identification::IdOnly);
    assert_eq!(statuses(ManualSegments::EveryIdType, both).await, (200, 200, 200));
    assert_eq!(statuses(ManualSegments::RemovalById, both).await, (200, 400, 200));
    assert_eq!(statuses(ManualSegments::IdOnlyWorkspaces, both).await, (400, 400, 400));
    assert_eq!(statuses(ManualSegments::IdOnlyWorkspaces, id_only).await, (200, 200, 200));
}

#[tokio::test]
async fn the_app_api_lists_segments_members_and_topics() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_segment(7, "Beta testers");
    t.cio.add_data_driven_segment(8, "Pro", "plan", "pro");
    t.cio.add_topic(3, "News", true);
    let ada = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[("plan", json!("pro"))]);
    let eve = t.cio.add_profile(None, Some("eve@example.com"), &[("plan", json!("pro"))]);
    change(&t, "7/add_customers", &json!(["u1"])).await;

    let segments = t.app("/v1/segments").await.json()["segments"].clone();
    let kinds: Vec<_> = segments.as_array().expect("a list").iter().map(|segment| (&segment["id"], &segment["type"])).collect();
    assert_eq!(kinds, [(&json!(7), &json!("manual")), (&json!(8), &json!("dynamic"))]);
    assert_eq!((&segments[0]["name"], &segments[0]["state"]), (&json!("Beta testers"), &json!("finished")));

    let of_ada = json!({"segments": [{"id": 7, "name": "Beta testers", "description": ""}, {"id": 8, "name": "Pro", "description": ""}]});
    assert_eq!(t.app("/v1/customers/u1/segments").await.json(), of_ada);
    assert_eq!(t.app("/v1/customers/eve%40example.com/segments?id_type=email").await.json()["segments"][0]["id"], 8);
    assert_eq!(t.app("/v1/customers/u9/segments").await.status, 404);

    // Page by page; people without an id have an empty text for it.
    let mut people = Vec::new();
    let mut start = String::new();
    for _ in 0..2 {
        let page = t.app(&format!("/v1/segments/8/membership?limit=1&start={start}")).await.json();
        people.push((page["identifiers"][0]["cio_id"].clone(), page["ids"][0].clone()));
        start = page["next"].as_str().expect("a text").to_owned();
    }
    assert_eq!(start, "");
    let mut expected = [(json!(ada), json!("u1")), (json!(eve), json!(""))];
    expected.sort_by_key(|(cio_id, _)| cio_id.to_string());
    assert_eq!(people, expected);
    assert_eq!(t.app("/v1/segments/9/membership").await.status, 404);
    for limit in ["0", "30001", "many"] {
        assert_eq!(t.app(&format!("/v1/segments/8/membership?limit={limit}")).await.status, 400);
    }

    let topic = json!({"id": 3, "identifier": "topic_3", "name": "News", "description": "", "subscribed_by_default": true});
    assert_eq!(t.app("/v1/subscription_topics").await.json(), json!({"topics": [topic]}));
    for path in ["/v1/segments", "/v1/segments/8/membership", "/v1/customers/u1/segments", "/v1/subscription_topics"] {
        let url = format!("{}{path}", t.cio.app_url());
        assert_eq!(t.http.call("GET", &url, &[BASIC], "").await.expect("an answer").status, 401, "{path}");
    }
}

#[tokio::test]
async fn data_driven_segments_follow_the_attribute() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_data_driven_segment(8, "Waiting", "has_open_ticket", "true");
    t.entity(&identify(&json!({"id": "u1"}), &json!({"has_open_ticket": true}), NOW)).await;
    assert_eq!(t.cio.members(8).len(), 1);
    t.entity(&identify(&json!({"id": "u1"}), &json!({"has_open_ticket": false}), NOW)).await;
    assert!(t.cio.members(8).is_empty());
}

#[tokio::test]
async fn reported_metrics_are_kept() {
    let t = Cio::start(Variants::default()).await;
    let url = format!("{}/api/v1/metrics", t.cio.track_url());
    let good = json!({"delivery_id": "RPILAgUBcRhIBqSfeiIwdIYJKxTY", "metric": "clicked", "timestamp": NOW, "href": "https://example.com"});
    // "It does not require authentication."
    assert_eq!(t.http.call("POST", &url, &[], good.to_string()).await.expect("an answer").status, 200);
    for wrong in [
        json!({"metric": "clicked"}),
        json!({"delivery_id": "", "metric": "clicked"}),
        json!({"delivery_id": "d"}),
        json!({"delivery_id": "d", "metric": "seen"}),
        json!({"delivery_id": "d", "metric": "clicked", "timestamp": "today"}),
    ] {
        assert_eq!(t.track("/api/v1/metrics", wrong.to_string()).await.status, 400, "{wrong}");
    }
    let pushed = json!({"type": "delivery", "action": "event", "identifiers": {"id": "d2"}, "name": "opened",
                        "attributes": {"device_token": "t"}});
    assert_eq!(t.entity(&pushed).await.status, 200);
    let [one, two] = t.cio.reported_metrics().try_into().expect("two metrics");
    assert_eq!((one.delivery_id.as_str(), one.metric.as_str(), one.timestamp), ("RPILAgUBcRhIBqSfeiIwdIYJKxTY", "clicked", Some(NOW)));
    assert_eq!(one.data["href"], "https://example.com");
    assert_eq!((two.delivery_id.as_str(), two.metric.as_str(), two.timestamp), ("d2", "opened", None));
}
