//! The App API, the campaigns, the journal and the faults of Customer.io.

mod support;

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{BEARER, Cio, LIMIT, NOW, event, identify};
use trefoil_standins::customerio::{Decision, Hold, Identifier, Options, Variants};
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::journal::{Keep, NotInTime};

const BATCH: &str = "/api/v2/batch";

#[tokio::test]
async fn people_are_found_by_address() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("u1"), Some("ada+test@example.com"), &[]);
    let found = json!({"results": [{"email": "ada+test@example.com", "id": "u1", "cio_id": cio_id}]});
    assert_eq!(t.app("/v1/customers?email=ada%2Btest%40example.com").await.json(), found);
    assert_eq!(t.app("/v1/customers?email=ADA%2Btest%40EXAMPLE.com").await.json(), found);
    let unencoded = t.app("/v1/customers?email=ada+test@example.com").await;
    assert_eq!((unencoded.status, unencoded.json()), (200, json!({"results": []})));
    assert_eq!(t.app("/v1/customers").await.status, 400);
}

#[tokio::test]
async fn campaigns_have_the_names_that_they_were_given() {
    let t = Cio::start(Variants::default()).await;
    for (kind, key) in [("campaigns", "campaign"), ("broadcasts", "broadcast"), ("newsletters", "newsletter"), ("transactional", "message")]
    {
        let path = format!("/v1/{kind}/7");
        assert_eq!(t.app(&path).await.status, 404, "{kind}");
        t.cio.set_name(kind, 7, "Trial ends soon");
        assert_eq!(t.app(&path).await.json(), json!({key: {"id": 7, "name": "Trial ends soon"}}));
    }
    assert_eq!(t.app("/v1/campaigns/8").await.status, 404);
}

#[tokio::test]
async fn attributes_come_back_as_text() {
    let t = Cio::start(Variants::default()).await;
    let attributes = json!({"has_open_ticket": true, "open_ticket_count": 2, "score": 1.5, "tags": ["a"], "name": "Ada"});
    t.entity(&identify(&json!({"id": "u1"}), &attributes, NOW - 5)).await;
    let answer = t.app("/v1/customers/u1/attributes").await;
    assert_eq!(answer.status, 200);
    let customer = &answer.json()["customer"];
    let cio_id = customer["identifiers"]["cio_id"].clone();
    assert_eq!(customer["id"], "u1");
    assert_eq!(customer["identifiers"], json!({"id": "u1", "email": null, "cio_id": cio_id}));
    let expected = json!({"has_open_ticket": "true", "open_ticket_count": "2", "score": "1.5", "tags": "[\"a\"]", "name": "Ada",
                          "id": "u1", "cio_id": cio_id});
    assert_eq!(customer["attributes"], expected);
    assert_eq!(customer["timestamps"]["has_open_ticket"], NOW - 5);
    assert_eq!(customer["unsubscribed"], false);
}

#[tokio::test]
async fn people_are_named_by_the_kind_that_is_said() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("team/1"), Some("ada@example.com"), &[("phone", json!("+15550100123"))]);
    for path in [
        "/v1/customers/team%2F1/attributes".to_owned(),
        "/v1/customers/team%2F1/attributes?id_type=id".to_owned(),
        "/v1/customers/ada%40example.com/attributes?id_type=email".to_owned(),
        "/v1/customers/%2B15550100123/attributes?id_type=phone".to_owned(),
        format!("/v1/customers/{cio_id}/attributes?id_type=cio_id"),
    ] {
        assert_eq!(t.app(&path).await.json()["customer"]["identifiers"]["cio_id"], cio_id, "{path}");
    }
    for path in ["/v1/customers/ada%40example.com/attributes", "/v1/customers/u9/attributes", "/v1/customers/u9/attributes?id_type=uid"] {
        let answer = t.app(path).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["status"].as_str()), (404, Some("404")), "{path}");
    }
}

#[tokio::test]
async fn unknown_people_are_left_out_of_the_bulk_answer() {
    let t = Cio::start(Variants::default()).await;
    let cio_id = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[("plan", json!("pro"))]);
    let ask = async |id_type: &str, ids: Value| {
        let url = format!("{}/v1/customers/attributes?id_type={id_type}", t.cio.app_url());
        t.http.call("POST", &url, &[BEARER], json!({ "ids": ids }).to_string()).await.expect("an answer")
    };
    let answer = ask("cio_id", json!(["ffff06ffffff", cio_id])).await.json();
    assert_eq!(answer["customers"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["customers"][0]["customer"]["attributes"]["plan"], "pro");
    assert_eq!(ask("email", json!(["ada@example.com"])).await.json()["customers"].as_array().map(Vec::len), Some(1));
    for wrong in [json!([]), json!([1]), json!("u1"), json!(vec!["u1"; 101])] {
        assert_eq!(ask("id", wrong).await.status, 400);
    }
}

#[tokio::test]
async fn the_key_is_checked() {
    let t = Cio::start(Variants::default()).await;
    for headers in [vec![], vec![("authorization", "Bearer wrong")], vec![support::BASIC]] {
        for path in ["/v1/customers?email=a@example.com", "/v1/customers/u1/attributes"] {
            let url = format!("{}{path}", t.cio.app_url());
            assert_eq!(t.http.call("GET", &url, &headers, "").await.expect("an answer").status, 401);
        }
    }
    assert_eq!(t.cio.journal().counter("/v1/customers/{id}/attributes").refused, 3);
}

#[tokio::test]
async fn writes_can_be_visible_late() {
    let t = Cio::with(Options { visible_after: Duration::from_secs(30), ..Options::default() }).await;
    t.entity(&identify(&json!({"id": "u1"}), &json!({"plan": "free"}), NOW)).await;
    assert_eq!(t.cio.profiles().len(), 1);
    t.clock.advance(Duration::from_secs(29));
    assert_eq!(t.app("/v1/customers/u1/attributes").await.status, 404);
    t.entity(&identify(&json!({"id": "u1"}), &json!({"plan": "pro"}), NOW + 29)).await;
    t.clock.advance(Duration::from_secs(1));
    assert_eq!(t.app("/v1/customers/u1/attributes").await.json()["customer"]["attributes"]["plan"], "free");
    t.clock.advance(Duration::from_secs(29));
    assert_eq!(t.app("/v1/customers/u1/attributes").await.json()["customer"]["attributes"]["plan"], "pro");
    t.entity(&json!({"type": "person", "action": "delete", "identifiers": {"id": "u1"}})).await;
    assert_eq!(t.app("/v1/customers/u1/attributes").await.status, 200);
    t.clock.advance(Duration::from_secs(30));
    assert_eq!(t.app("/v1/customers/u1/attributes").await.status, 404);
}

#[tokio::test]
async fn campaigns_wait_for_the_ticket_and_for_the_window() {
    let t = Cio::start(Variants::default()).await;
    let who = Identifier::guess("ada@example.com");
    assert_eq!(t.cio.would_send(&who, "newsletter"), Decision::Hold(Hold::NoProfile));
    let cio_id = t.cio.add_profile(None, Some("ada@example.com"), &[]);
    // People whom nobody ever marked are not held back.
    assert!(t.cio.would_send(&who, "newsletter").sends());
    t.cio.edit_profile(&cio_id, &[("has_open_ticket", json!(true)), ("suppress_renewal_until", json!(NOW + 60))]);
    for campaign in ["newsletter", "renewal", "expansion", "adoption"] {
        assert_eq!(t.cio.would_send(&who, campaign), Decision::Hold(Hold::OpenTicket));
    }
    t.cio.edit_profile(&cio_id, &[("has_open_ticket", json!(false))]);
    assert_eq!(t.cio.would_send(&who, "newsletter"), Decision::Send);
    assert_eq!(t.cio.would_send(&who, "renewal"), Decision::Hold(Hold::SuppressedUntil(NOW + 60)));
    assert_eq!(t.cio.would_send(&who, "renewal").to_string(), "held: suppressed until 2026-01-10T07:57:29Z");
    t.clock.advance(Duration::from_secs(60));
    assert_eq!(t.cio.would_send(&who, "renewal").to_string(), "sent");
    t.cio.edit_profile(&cio_id, &[("unsubscribed", json!("TRUE"))]);
    assert_eq!(t.cio.would_send(&who, "renewal"), Decision::Hold(Hold::Unsubscribed));
}

#[tokio::test]
async fn the_journal_keeps_what_came_without_credentials() {
    let t = Cio::start(Variants::default()).await;
    t.batch(&json!([event(&json!({"id": "u1"}), "opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7X")])).await;
    t.track(BATCH, "nonsense").await;
    t.clock.advance(Duration::from_secs(1));
    t.track(BATCH, "nonsense").await;
    let [good, bad, _] = t.cio.journal().requests_to(BATCH).try_into().expect("three requests");
    assert_eq!((good.at_ms, good.method.as_str(), good.status, good.handled), (NOW * 1000, "POST", Some(200), true));
    assert_eq!(good.json().expect("JSON")["batch"][0]["name"], "opened");
    assert_eq!(good.header("content-type"), Some("application/json"));
    assert_eq!(good.header("authorization"), None);
    assert!(!format!("{good:?}").contains(support::BASIC.1));
    assert!(good.accepted() && !bad.accepted() && bad.json().is_none());
    let counter = t.cio.journal().counter(BATCH);
    assert_eq!((counter.accepted, counter.refused, counter.total()), (1, 2, 3));
    assert_eq!((counter.per_second[&NOW], counter.per_second[&(NOW + 1)], counter.peak_per_second()), (2, 1, 2));
    t.cio.journal().clear();
    assert!(t.cio.journal().requests().is_empty() && t.cio.journal().counters().is_empty());
}

#[tokio::test]
async fn load_runs_keep_counters_only() {
    let t = Cio::with(Options { keep: Keep::Counters, ..Options::default() }).await;
    t.cio.add_profile(Some("u1"), None, &[]);
    let item = event(&json!({"id": "u1"}), "opened", "01HV3Z8M9QF0Q2T9ZK3B3V6W7X");
    t.batch(&json!([item, item])).await;
    assert!(t.cio.journal().requests().is_empty() && t.cio.events().is_empty());
    assert_eq!(t.cio.journal().counter(BATCH).accepted, 1);
    assert_eq!((t.cio.event_counts()["opened"], t.cio.duplicate_events()), (1, 1));
}

#[tokio::test]
async fn a_state_is_waited_for_with_a_limit() {
    let t = Arc::new(Cio::start(Variants::default()).await);
    let other = Arc::clone(&t);
    let writes = tokio::spawn(async move {
        for n in 0..3 {
            other.entity(&identify(&json!({"id": format!("u{n}")}), &json!({}), NOW)).await;
        }
    });
    t.cio.wait_until(LIMIT, |cio| cio.profiles().len() == 3).await.expect("three profiles");
    writes.await.expect("writes");
    let limit = Duration::from_millis(20);
    assert_eq!(t.cio.wait_until(limit, |cio| cio.profiles().len() == 4).await, Err(NotInTime(limit)));
}

// ---------------------------------------------------------------------------------------------------- faults

async fn one(t: &Cio, n: u32) -> Result<support::Answer, String> {
    let item = identify(&json!({"id": format!("u{n}")}), &json!({}), NOW).to_string();
    let url = format!("{}/api/v2/entity", t.cio.track_url());
    t.http.call("POST", &url, &[support::BASIC], item).await
}

#[tokio::test]
async fn faults_answer_for_so_many_requests_or_so_long() {
    let t = Cio::start(Variants::default()).await;
    t.cio.faults().set("/api/", Fault::status(503), During::Requests(2));
    let wait = Some(Duration::from_secs(7));
    t.cio.faults().set("/api/v2/", Fault::Answer { status: 429, wait }, During::Requests(1));
    let statuses = async |n| one(&t, n).await.map(|answer| (answer.status, answer.header("retry-after").map(str::to_owned)));
    assert_eq!(statuses(1).await, Ok((503, None)));
    // Another path is not concerned.
    assert_eq!(t.app("/v1/customers?email=a%40example.com").await.status, 200);
    assert_eq!(statuses(1).await, Ok((503, None)));
    assert_eq!(statuses(1).await, Ok((429, Some("7".to_owned()))));
    assert!(t.cio.profiles().is_empty());
    assert_eq!(statuses(1).await, Ok((200, None)));

    t.cio.faults().set("", Fault::status(401), During::Time(Duration::from_secs(60)));
    t.clock.advance(Duration::from_secs(59));
    assert_eq!(statuses(2).await, Ok((401, None)));
    t.clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(2).await, Ok((200, None)));

    t.cio.faults().set("", Fault::status(500), During::Always);
    assert_eq!(statuses(3).await, Ok((500, None)));
    t.cio.faults().clear();
    assert_eq!(statuses(3).await, Ok((200, None)));
    assert_eq!(t.cio.profiles().len(), 3);
    let unhandled = t.cio.journal().requests().into_iter().filter(|request| !request.handled).count();
    assert_eq!(unhandled, 5);
}

#[tokio::test]
async fn connections_drop_before_or_after_applying() {
    let t = Cio::start(Variants::default()).await;
    t.cio.faults().set("", Fault::Drop { applied: false }, During::Requests(1));
    assert!(one(&t, 1).await.is_err());
    assert!(t.cio.profiles().is_empty());
    t.cio.faults().set("", Fault::Drop { applied: true }, During::Requests(1));
    assert!(one(&t, 1).await.is_err());
    assert_eq!(t.cio.profiles().len(), 1);
    assert_eq!(one(&t, 1).await.expect("an answer").status, 200);
    let counter = t.cio.journal().counter("/api/v2/entity");
    assert_eq!((counter.unanswered, counter.accepted), (2, 1));
}

#[tokio::test]
async fn requests_hang_until_they_are_released() {
    for applied in [false, true] {
        let t = Arc::new(Cio::start(Variants::default()).await);
        t.cio.faults().set("", Fault::Hang { applied }, During::Always);
        let other = Arc::clone(&t);
        let hanging = tokio::spawn(async move { one(&other, 1).await.map(|answer| answer.status) });
        t.cio.wait_until(LIMIT, |cio| cio.journal().counter("/api/v2/entity").unanswered == 1).await.expect("a hanging request");
        assert!(!hanging.is_finished());
        assert_eq!(t.cio.profiles().len(), usize::from(applied));
        t.cio.faults().clear();
        let ended = tokio::time::timeout(LIMIT, hanging).await.expect("released").expect("ended");
        assert!(ended.is_err(), "the connection is dropped");
    }
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let t = Cio::start(Variants::default()).await;
    t.cio.faults().set("", Fault::Latency(Duration::from_millis(30)), During::Requests(1));
    t.cio.faults().set("", Fault::Latency(Duration::from_millis(30)), During::Requests(1));
    let started = std::time::Instant::now();
    assert_eq!(one(&t, 1).await.expect("an answer").status, 200);
    assert!(started.elapsed() >= Duration::from_millis(60));
    // A client that gives up first leaves nothing behind.
    t.cio.faults().set("", Fault::Latency(LIMIT), During::Requests(1));
    assert!(tokio::time::timeout(Duration::from_millis(50), one(&t, 2)).await.is_err());
    assert_eq!(t.cio.profiles().len(), 1);
}
