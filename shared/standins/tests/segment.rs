//! Segment's Tracking API: what is taken, refused, lost or ignored, and when it happened.

mod support;

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::segment::{JSON, KEY, NOW_ISO, Seg};
use support::{LIMIT, NOW};
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::journal::Keep;
use trefoil_standins::segment::{Kilobyte, Kind, Memory, Native, Options, Reason, Success, Unfit, UnreadableTime, Variants, Via};

fn track(id: &str) -> Value {
    json!({"type": "track", "userId": "u1", "event": "Trial Started", "messageId": id})
}

fn object(size: usize) -> Map<String, Value> {
    (0..size).map(|n| (format!("k{n}"), json!(n))).collect()
}

#[tokio::test]
async fn each_call_is_taken_or_lost_for_a_reason() {
    let fates: Vec<Value> = serde_json::from_str(include_str!("segment_fates.json")).expect("fates");
    for fate in fates {
        let t = Seg::start(Variants::default()).await;
        let answer = t.post(fate["path"].as_str().expect("a path"), &fate["body"]).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"success": true})), "{fate}");
        let reasons: Vec<String> = t.reasons().iter().map(|reason| format!("{reason:?}")).collect();
        let expected: Vec<String> = fate["reason"].as_str().map(str::to_owned).into_iter().collect();
        assert_eq!(reasons, expected, "{fate}");
        // What only Unify drops still goes to destinations.
        let passed_on = expected.first().is_none_or(|reason| reason.starts_with("Unify"));
        assert_eq!((t.segment.messages().len(), t.told().len()), if passed_on { (1, 1) } else { (0, 0) }, "{fate}");
        assert_eq!(t.segment.profiles().is_empty(), !expected.is_empty() || fate["path"] == "/v1/alias", "{fate}");
    }
}

#[tokio::test]
async fn unify_has_limits_of_its_own() {
    let t = Seg::start(Variants::default()).await;
    let id = |length: usize| "m".repeat(length);
    let group = |length: usize| json!({"type": "group", "userId": "u1", "groupId": "g".repeat(length)});
    let identify = |size| json!({"type": "identify", "userId": "u1", "traits": object(size)});
    let tracked = |size| json!({"type": "track", "userId": "u1", "event": "E", "properties": object(size)});
    t.batch(json!([track(&id(99)), group(500), identify(299), tracked(300)])).await;
    assert_eq!(t.reasons(), []);
    t.batch(json!([track(&id(100)), group(501), identify(300), tracked(301)])).await;
    use Reason::{UnifyGroupId, UnifyMessageIdTooLong, UnifyTooManyTraits};
    assert_eq!(t.reasons(), [UnifyMessageIdTooLong, UnifyGroupId, UnifyTooManyTraits, UnifyTooManyTraits]);
    assert_eq!(t.segment.messages().len(), 8);
    let profile = t.segment.profile("u1").expect("a profile");
    assert_eq!((profile.events.len(), profile.groups.len(), profile.traits.len()), (2, 1, 299));
}

#[tokio::test]
async fn a_wrong_key_is_answered_with_200_and_everything_is_lost() {
    let t = Seg::start(Variants::default()).await;
    let call = json!({"userId": "u1", "event": "E"});
    let without_colon = ("authorization", "Basic c3RhbmRpbi13cml0ZS1rZXk=");
    for headers in
        [vec![JSON], vec![JSON, ("authorization", "Basic d3Jvbmc6")], vec![JSON, without_colon], vec![JSON, ("authorization", "Basic ?")]]
    {
        assert_eq!(t.raw("/v1/track", &headers, call.to_string()).await.status, 200, "{headers:?}");
    }
    assert_eq!(t.raw("/v1/batch", &[JSON], json!({"batch": [track("a"), track("b")]}).to_string()).await.status, 200);
    assert_eq!(t.reasons(), [Reason::WrongWriteKey; 6]);
    assert!(t.segment.messages().is_empty() && t.told().is_empty());
    // In the body it is as good, and goes no further.
    let with_key = |key: &str| json!({"writeKey": key, "userId": "u1", "event": "E"}).to_string();
    t.raw("/v1/track", &[JSON], with_key("standin-write-key")).await;
    assert_eq!(t.only_message().json.get("writeKey"), None);
    t.raw("/v1/track", &[JSON, KEY], with_key("another")).await;
    assert_eq!(t.reasons().len(), 7);
    let recorded = t.segment.journal().requests_to("/v1/track");
    assert!(recorded.iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn what_is_open_in_the_vendors_pages_runs_both_ways() {
    let elsewhere = json!({"writeKey": "standin-write-key-elsewhere", "userId": "u1", "event": "E"}).to_string();
    let nobody = json!({"event": "E"});
    for (unfit, status) in [(Unfit::Refused, 400), (Unfit::Lost, 200)] {
        let t = Seg::start(Variants { other_region: unfit, content_type: unfit, nobody: unfit, ..Variants::default() }).await;
        assert_eq!(t.raw("/v1/track", &[JSON], elsewhere.clone()).await.status, status);
        assert_eq!(t.raw("/v1/track", &[KEY], track("m").to_string()).await.status, status);
        assert_eq!(t.raw("/v1/track", &[KEY, ("content-type", "text/plain")], track("m").to_string()).await.status, status);
        let answer = t.post("/v1/track", &nobody).await;
        assert_eq!(answer.status, status);
        let lost = match unfit {
            Unfit::Refused => {
                assert_eq!(answer.json()["message"], "no_user_anon_id");
                vec![]
            }
            Unfit::Lost => vec![Reason::OtherRegion, Reason::ContentType, Reason::ContentType, Reason::NoUserOrAnonymousId],
        };
        assert_eq!(t.reasons(), lost);
        // In a batch it never spoils the others.
        t.batch(json!([nobody, track("m")])).await;
        assert_eq!(t.segment.messages().len(), 1);
        assert_eq!(
            t.raw("/v1/track", &[KEY, ("content-type", "application/json; charset=utf-8")], track("n").to_string()).await.status,
            200
        );
        assert_eq!(t.segment.messages().len(), 2);
    }
    for (success, body) in [(Success::SuccessTrue, "{\"success\":true}"), (Success::Empty, ""), (Success::EmptyObject, "{}")] {
        let t = Seg::start(Variants { success, ..Variants::default() }).await;
        assert_eq!(t.post("/v1/track", &track("m")).await.body, body);
    }
    let t = Seg::start(Variants { unreadable_time: UnreadableTime::Received, ..Variants::default() }).await;
    t.batch(json!([{"type": "track", "userId": "u1", "event": "E", "timestamp": "yesterday"}])).await;
    assert_eq!(t.only_message().timestamp_ms, NOW * 1000);
    let t = Seg::start(Variants { sent_at_filled: false, unknown_keys: true, ..Variants::default() }).await;
    t.post("/v1/track", &track("m")).await;
    let json = t.only_message().json;
    assert_eq!((json.get("sentAt"), json["channel"].as_str()), (None, Some("server")));
    // Every choice comes up among a few seeds, and a seed always chooses the same.
    let many: Vec<Variants> = (0..64).map(Variants::seeded).collect();
    assert!(many.iter().any(|v| v.success == Success::Empty) && many.iter().any(|v| v.memory == Memory::ForgetsOnePercent));
    assert!(many.iter().any(|v| v.nobody == Unfit::Refused) && many.iter().any(|v| !v.properties_email));
    assert_eq!(many[7], Variants::seeded(7));
}

#[tokio::test]
async fn sizes_are_limited() {
    for (kilobyte, bytes) in [(Kilobyte::Of1000, 1000), (Kilobyte::Of1024, 1024)] {
        let t = Seg::start(Variants { kilobyte, ..Variants::default() }).await;
        let event = |id: &str, size: usize| {
            let empty = json!({"event": "E", "messageId": id, "properties": {"text": ""}, "type": "track", "userId": "u1"}).to_string();
            empty.replace("\"\"", &format!("\"{}\"", "x".repeat(size - empty.len())))
        };
        let status = async |path: &str, body: String| t.raw(path, &[KEY, JSON], body).await.status;
        assert_eq!(status("/v1/track", event("a", 32 * bytes)).await, 200);
        assert_eq!(status("/v1/track", event("b", 32 * bytes + 1)).await, 400);
        let batch = |events: &[String]| format!("{{\"batch\":[{}]}}", events.join(","));
        assert_eq!(status("/v1/batch", batch(&[event("c", 32 * bytes)])).await, 200);
        // One that is too large takes the others with it.
        assert_eq!(status("/v1/batch", batch(&[event("d", 100), event("e", 32 * bytes + 1)])).await, 400);
        // Twenty events of 25 KB, less the punctuation: exactly 500 KB.
        let mut events: Vec<String> = (0..19).map(|n| event(&format!("f{n:02}"), 25 * bytes)).collect();
        let rest = 500 * bytes - batch(&events).len() - 1;
        events.push(event("g", rest));
        assert_eq!(batch(&events).len(), 500 * bytes);
        assert_eq!(status("/v1/batch", batch(&events)).await, 200);
        events.pop();
        events.push(event("h", rest + 1));
        assert_eq!(status("/v1/batch", batch(&events)).await, 400);
        assert_eq!(t.segment.messages().len(), 22);
        assert!(t.segment.lost().is_empty());
        for malformed in ["", "{", "[]", "{\"batch\":{}}", "{}"] {
            assert_eq!(status("/v1/batch", malformed.to_owned()).await, 400, "{malformed}");
        }
    }
}

#[tokio::test]
async fn too_many_events_in_a_batch_are_all_lost() {
    let t = Seg::start(Variants::default()).await;
    let batch = |count: usize| Value::from((0..count).map(|n| track(&format!("m{n}"))).collect::<Vec<_>>());
    t.batch(batch(2501)).await;
    assert_eq!(t.reasons(), vec![Reason::TooManyInBatch; 2501]);
    t.batch(batch(2500)).await;
    assert_eq!(t.segment.messages().len(), 2500);
}

#[tokio::test]
async fn what_a_batch_says_once_holds_for_each_item() {
    let t = Seg::start(Variants::default()).await;
    let item = json!({"type": "track", "userId": "u1", "event": "E", "context": {"library": {"name": "own"}}, "integrations": {"A": true}});
    let plain = json!({"type": "track", "userId": "u1", "event": "E"});
    let body = json!({"batch": [item, plain], "sentAt": NOW_ISO,
                      "context": {"library": {"name": "shared"}, "app": {"name": "x"}}, "integrations": {"A": false, "B": false}});
    t.post("/v1/batch", &body).await;
    let messages = t.segment.messages();
    assert_eq!(messages[0].json["context"], json!({"library": {"name": "own"}, "app": {"name": "x"}}));
    assert_eq!(messages[0].json["integrations"], json!({"A": true, "B": false}));
    assert_eq!(messages[1].json["context"], json!({"library": {"name": "shared"}, "app": {"name": "x"}}));
    assert_eq!((&messages[1].json["sentAt"], messages[1].via, messages[1].kind), (&json!(NOW_ISO), Via::Api, Kind::Track));
    assert!(messages[1].id.starts_with("api_") && messages[0].id != messages[1].id);
    // The batch's time of sending corrects each item, unless it has its own; a key goes no further.
    let item = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-10T07:00:00Z", "writeKey": "standin-write-key"});
    let own = json!({"type": "track", "userId": "u1", "event": "E", "timestamp": "2026-01-10T07:00:00Z", "sentAt": NOW_ISO});
    t.post("/v1/batch", &json!({"batch": [item, own], "sentAt": "2026-01-10T07:51:29Z"})).await;
    let messages = t.segment.messages();
    let times: Vec<_> = messages[2..].iter().map(|message| message.json["timestamp"].as_str().expect("a time")).collect();
    assert_eq!(times, ["2026-01-10T07:05:00.000Z", "2026-01-10T07:00:00.000Z"]);
    assert_eq!(messages[2].json.get("writeKey"), None);
}

#[tokio::test]
async fn times_are_corrected_for_the_senders_clock() {
    let hour_ago = "2026-01-10T06:56:29.000Z";
    // sentAt, and what becomes of an event of an hour ago
    for (sent_at, expected) in [
        (json!(NOW_ISO), hour_ago),
        // The sender's clock is five minutes behind.
        (json!("2026-01-10T07:51:29Z"), "2026-01-10T07:01:29.000Z"),
        // The mistake: the time of the event instead of the time of sending.
        (json!(hour_ago), NOW_ISO),
        (Value::Null, hour_ago),
        (json!("now"), hour_ago),
    ] {
        let t = Seg::start(Variants::default()).await;
        let call = json!({"userId": "u1", "event": "E", "timestamp": "2026-01-10T07:56:29.000+01:00", "sentAt": sent_at});
        t.post("/v1/track", &call).await;
        let json = t.only_message().json;
        assert_eq!((json["timestamp"].as_str(), json["originalTimestamp"].as_str()), (Some(expected), Some(hour_ago)), "{sent_at}");
        assert_eq!(json["receivedAt"], NOW_ISO);
        if sent_at.is_null() {
            assert_eq!(json["sentAt"], NOW_ISO);
        }
    }
    let t = Seg::start(Variants::default()).await;
    t.post("/v1/track", &json!({"userId": "u1", "event": "E"})).await;
    assert_eq!(t.only_message().timestamp_ms, NOW * 1000);
}

#[tokio::test]
async fn repeats_of_a_day_are_ignored() {
    let t = Seg::start(Variants::default()).await;
    t.batch(json!([track("m1"), track("m1"), track("m2")])).await;
    t.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    t.post("/v1/identify", &json!({"userId": "u2", "messageId": "m2"})).await;
    assert_eq!((t.segment.messages().len(), t.segment.duplicates()), (2, vec!["m1".to_owned(), "m2".to_owned()]));
    assert!(t.segment.profile("u2").is_none());
    t.clock.advance(Duration::from_secs(1));
    t.batch(json!([track("m2")])).await;
    assert_eq!((t.segment.messages().len(), t.segment.duplicates().len(), t.reasons().len()), (3, 2, 0));
    // What was lost is not remembered.
    t.post("/v1/track", &json!({"userId": "u1", "messageId": "m3"})).await;
    t.batch(json!([track("m3")])).await;
    assert_eq!(t.segment.messages().len(), 4);
}

#[tokio::test]
async fn one_id_in_a_hundred_may_be_forgotten() {
    let all: Vec<Value> = (0..2000).map(|n| track(&format!("m{n}"))).collect();
    let mut forgotten = Vec::new();
    for seed in [1, 1, 2] {
        let variants = Variants { memory: Memory::ForgetsOnePercent, ..Variants::default() };
        let t = Seg::with(Options { variants, seed, ..Options::default() }).await;
        t.batch(json!(all)).await;
        t.batch(json!(all)).await;
        let messages = t.segment.messages();
        let twice: Vec<String> = messages[2000..].iter().map(|message| message.id.clone()).collect();
        assert_eq!(twice.len() + t.segment.duplicates().len(), 2000);
        assert!((5..50).contains(&twice.len()), "{}", twice.len());
        forgotten.push(twice);
    }
    assert_eq!(forgotten[0], forgotten[1]);
    assert_ne!(forgotten[0], forgotten[2]);
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let t = Seg::with(Options { requests_per_second: 2, ..Options::default() }).await;
    for (id, status) in [("a", 200), ("b", 200), ("c", 429)] {
        let answer = t.post("/v1/track", &track(id)).await;
        assert_eq!(answer.status, status, "{id}");
        let wait = if status == 429 { Some("1") } else { None };
        assert_eq!((answer.header("retry-after"), answer.header("x-ratelimit-reset")), (wait, wait));
    }
    t.clock.advance(Duration::from_secs(1));
    assert_eq!(t.post("/v1/track", &track("c")).await.status, 200);
    assert_eq!(t.segment.messages().len(), 3);
}

#[tokio::test]
async fn faults_stand_in_front() {
    let t = Seg::start(Variants::default()).await;
    let wait = Some(Duration::from_secs(7));
    t.segment.faults().set("/v1/batch", Fault::Answer { status: 429, wait }, During::Requests(1));
    let answer = t.post("/v1/batch", &json!({"batch": [track("m")]})).await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.header("x-ratelimit-reset")), (429, Some("7"), Some("7")));
    // Done, and the client does not know: it sends again.
    t.segment.faults().set("/v1/", Fault::Drop { applied: true }, During::Requests(1));
    let url = format!("{}/v1/track", t.segment.url());
    t.http.call("POST", &url, &[KEY, JSON], track("m").to_string()).await.err().expect("no answer");
    t.post("/v1/track", &track("m")).await;
    assert_eq!((t.segment.messages().len(), t.segment.duplicates().len()), (1, 1));
    t.segment.wait_until(LIMIT, |segment| segment.journal().counter("/v1/track").total() == 2).await.expect("both recorded");
    assert_eq!(t.post("/v1/nothing", &json!({})).await.status, 404);
    let get = t.http.call("GET", &url, &[KEY], "").await.expect("an answer");
    assert_eq!(get.status, 405);
}

#[tokio::test]
async fn a_load_run_keeps_counts_only() {
    let t = Seg::with(Options { keep: Keep::Counters, webhooks: None, ..Options::default() }).await;
    t.batch(json!([track("a"), track("b"), {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}])).await;
    assert!(t.segment.messages().is_empty() && t.told().is_empty());
    assert_eq!(t.segment.counts().into_iter().collect::<Vec<_>>(), [(Kind::Identify, 1), (Kind::Track, 2)]);
    let profile = t.segment.profile("u1").expect("a profile");
    assert_eq!((profile.events.len(), &profile.traits["plan"]), (0, &json!("pro")));
}

#[tokio::test]
async fn a_careful_client_is_heard_whatever_is_open() {
    let call = |kind: &str, rest: Value| {
        let mut call = json!({"type": kind, "userId": "u1", "messageId": format!("careful-{kind}"), "timestamp": NOW_ISO});
        call.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        call
    };
    let off = json!({"Customer.io": false, "Actions Customerio": false, "Customer.io Actions": false, "Customer.io (Actions)": false});
    for seed in 0..64 {
        let native = BTreeSet::from([Native::CustomerIo]);
        let t = Seg::with(Options { variants: Variants::seeded(seed), seed, native, ..Options::default() }).await;
        t.batch(json!([
            call("identify", json!({"traits": {"has_open_ticket": true}, "integrations": off})),
            call("track", json!({"event": "Support Ticket Opened", "integrations": off})),
            call("group", json!({"groupId": "acme", "traits": {"open_tickets": 1}, "integrations": off})),
        ]))
        .await;
        let profile = t.segment.profile("u1").expect("a profile");
        assert_eq!((&profile.traits["has_open_ticket"], profile.events.len(), profile.groups.len()), (&json!(true), 1, 1), "{seed}");
        assert_eq!((t.reasons().len(), t.told().len(), t.segment.forwarded(Native::CustomerIo).len()), (0, 3, 0), "{seed}");
        assert!(t.segment.messages().iter().all(|message| message.timestamp_ms == NOW * 1000), "{seed}");
    }
}
