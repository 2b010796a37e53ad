//! The Segment client against a server that answers as the vendor's notes say. What each message looks like stands in the
//! cases; here is what goes together, and what becomes of the answers.

mod stand_in;

use secrecy::SecretString;
use serde_json::{Value, json};
use stand_in::{FixedClock, NOW, Reply, StandIn, hang, http, impatient_http, nobody, reply};
use trefoil_connectors::http::Http;
use trefoil_connectors::segment::{Region, SegmentClient, SegmentSettings};
use trefoil_domain::action::SegmentVerb;
use trefoil_domain::event::{Attributes, Source};
use trefoil_domain::id::ActionId;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Segment, SegmentMessage};
use trefoil_domain::time::{Span, Timestamp};

fn client(url: &str, http: &Http) -> SegmentClient<FixedClock> {
    let mut settings = SegmentSettings::new(Region::Eu, SecretString::from("a-write-key"));
    settings.url = Some(format!("{url}/v1"));
    SegmentClient::new(&settings, http, FixedClock).expect("settings")
}

async fn with(replies: impl IntoIterator<Item = Reply>) -> (SegmentClient<FixedClock>, StandIn) {
    let (stand_in, url) = StandIn::start(replies).await;
    (client(&url, &http()), stand_in)
}

fn message(id: &str, what: SegmentVerb) -> SegmentMessage {
    SegmentMessage {
        user_id: Some("42".to_owned()),
        anonymous_id: None,
        email: None,
        at: Timestamp::from_secs(1_795_219_100),
        id: ActionId::from_stored(id),
        origin: Source::Intercom,
        what,
    }
}

fn padded(id: &str, padding: usize) -> SegmentMessage {
    let properties: Attributes = [("padding".to_owned(), Value::from("x".repeat(padding)))].into();
    message(id, SegmentVerb::Track { name: format!("event {id}"), properties })
}

fn track(id: &str) -> SegmentMessage {
    padded(id, 1)
}

fn alias(id: &str) -> SegmentMessage {
    message(id, SegmentVerb::Alias { previous_id: "d1".to_owned() })
}

fn yes() -> Reply {
    reply(200, json!({"success": true}))
}

fn codes(outcomes: &[Outcome]) -> Vec<&str> {
    outcomes.iter().map(|outcome| outcome.reason().map_or(outcome.name(), |reason| reason.code.as_str())).collect()
}

/// Path and ids of what went in each request.
fn requests(stand_in: &StandIn) -> Vec<(String, Vec<String>)> {
    let id = |item: &Value| item["messageId"].as_str().and_then(|id| id.rsplit('-').next()).unwrap_or_default().to_owned();
    let read = |asked: &stand_in::Asked| {
        let body = asked.json();
        let ids = body["batch"].as_array().map_or_else(|| vec![id(&body)], |items| items.iter().map(id).collect());
        (asked.target.clone(), ids)
    };
    stand_in.asked().iter().map(read).collect()
}

#[tokio::test]
async fn everything_goes_in_one_batch_in_order() {
    let (client, stand_in) = with([yes(), yes()]).await;
    assert_eq!(client.write(&[track("a"), track("b")]).await, [Outcome::Done, Outcome::Done]);
    assert_eq!(client.write(&[track("c")]).await, [Outcome::Done]);
    assert_eq!(client.write(&[]).await, []);
    let asked = stand_in.asked();
    assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/v1/batch"));
    assert_eq!(asked[0].header("authorization"), "Basic YS13cml0ZS1rZXk6", "the key, a colon and nothing");
    assert_eq!(asked[0].header("content-type"), "application/json");
    let body = asked[0].json();
    assert_eq!(body["sentAt"], "2026-11-21T00:00:00.000Z");
    assert_eq!(body["batch"][0]["timestamp"], "2026-11-20T23:58:20.000Z");
    assert_eq!((&body["batch"][0]["sentAt"], &body["batch"][0]["originalTimestamp"]), (&Value::Null, &Value::Null));
    let expected = [("/v1/batch".to_owned(), vec!["a".to_owned(), "b".to_owned()]), ("/v1/batch".to_owned(), vec!["c".to_owned()])];
    assert_eq!(requests(&stand_in), expected);
}

#[tokio::test]
async fn an_alias_goes_alone_and_in_its_place() {
    let (client, stand_in) = with([yes(), yes(), yes(), yes()]).await;
    let outcomes = client.write(&[track("a"), track("b"), alias("c"), alias("d"), track("e")]).await;
    assert_eq!(codes(&outcomes), ["done"; 5]);
    let told: Vec<String> = requests(&stand_in).into_iter().map(|(path, ids)| format!("{path} {}", ids.join(" "))).collect();
    assert_eq!(told, ["/v1/batch a b", "/v1/alias c", "/v1/alias d", "/v1/batch e"]);
    let body = stand_in.asked()[1].json();
    assert_eq!((&body["previousId"], &body["userId"], &body["sentAt"]), (&json!("d1"), &json!("42"), &json!("2026-11-21T00:00:00.000Z")));
}

#[tokio::test]
async fn a_batch_is_never_too_large() {
    let (client, stand_in) = with([yes(), yes()]).await;
    let messages: Vec<_> = (0..17).map(|n| padded(&format!("m{n}"), 31_000)).collect();
    assert_eq!(codes(&client.write(&messages).await), ["done"; 17]);
    let asked = stand_in.asked();
    assert!(asked.len() == 2 && asked.iter().all(|asked| asked.body.len() <= 500_000), "{}", asked.len());

    let (client, stand_in) = with([yes(), yes()]).await;
    let small = |n| SegmentMessage {
        id: ActionId::from_stored(format!("{n}")),
        ..message("", SegmentVerb::Identify { traits: Attributes::new() })
    };
    let messages: Vec<_> = (0..900).map(small).collect();
    assert!(client.write(&messages).await.iter().all(|outcome| *outcome == Outcome::Done));
    let ids: Vec<String> = requests(&stand_in).into_iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!(ids, (0..900).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(stand_in.asked().iter().all(|asked| asked.body.len() <= 500_000));
}

#[tokio::test]
async fn what_can_never_be_sent_is_not_and_keeps_nobody_back() {
    let (client, stand_in) = with([yes()]).await;
    let nobody = SegmentMessage { user_id: None, ..track("b") };
    assert_eq!(
        codes(&client.write(&[track("a"), nobody, padded("c", 33_000), track("d")]).await),
        ["done", "names_nobody", "too_large", "done"]
    );
    assert_eq!(requests(&stand_in)[0].1, ["a", "d"]);
    let (client, stand_in) = with([]).await;
    assert_eq!(codes(&client.write(&[padded("c", 33_000)]).await), ["too_large"]);
    assert_eq!(stand_in.asked().len(), 0);
}

#[tokio::test]
async fn a_refused_batch_is_sent_one_by_one_in_its_place() {
    for refusal in [reply(400, "event too large"), reply(413, ""), reply(200, json!({"success": false}))] {
        let (client, stand_in) = with([refusal.clone(), yes(), refusal, yes(), yes()]).await;
        let outcomes = client.write(&[track("a"), track("b"), track("c"), alias("d")]).await;
        assert_eq!(outcomes.iter().map(Outcome::name).collect::<Vec<_>>(), ["done", "rejected", "done", "done"]);
        let told: Vec<String> = requests(&stand_in).into_iter().map(|(_, ids)| ids.join(" ")).collect();
        assert_eq!(told, ["a b c", "a", "b", "c", "d"]);
    }
}

#[tokio::test]
async fn every_answer_means_what_the_table_says() {
    let later = |secs, code| Outcome::retry(Span::from_secs(secs), code);
    for (answer, expected) in [
        (reply(200, ""), Outcome::Done),
        (reply(200, "OK"), Outcome::Done),
        (reply(200, "<html>please log in</html>"), later(0, "unreadable_answer")),
        (reply(200, json!({"success": false})), Outcome::rejected("refused_by_segment", "")),
        (reply(400, "jo@example.com is no number"), Outcome::rejected("refused_by_segment", "")),
        (reply(413, ""), Outcome::rejected("too_large", "")),
        (reply(401, ""), later(60, "destination_refused_key")),
        (reply(403, ""), later(60, "destination_refused_key")),
        (reply(307, "").with("location", "http://127.0.0.1:1/"), later(60, "destination_redirected")),
        (reply(429, "").with("retry-after", 7), later(7, "rate_limited")),
        (reply(429, "").with("x-ratelimit-reset", 9), later(9, "rate_limited")),
        (reply(429, "").with("x-ratelimit-reset", NOW.secs() + 11), later(11, "rate_limited")),
        (reply(429, "").with("retry-after", 7).with("x-ratelimit-reset", 9), later(7, "rate_limited")),
        (reply(429, "").with("x-ratelimit-reset", "soon"), later(0, "rate_limited")),
        (reply(503, "").with("retry-after", 3), later(3, "destination_failed")),
        (reply(500, ""), later(0, "destination_failed")),
    ] {
        let (client, _) = with([answer]).await;
        assert_eq!(client.write(&[track("a")]).await, [expected]);
    }
}

#[tokio::test]
async fn once_one_request_has_to_wait_so_do_those_after_it() {
    let (client, stand_in) = with([yes(), reply(503, "")]).await;
    let outcomes = client.write(&[track("a"), alias("b"), track("c")]).await;
    assert_eq!(codes(&outcomes), ["done", "destination_failed", "destination_failed"]);
    assert_eq!(stand_in.asked().len(), 2);
}

#[tokio::test]
async fn after_a_429_nothing_is_sent_until_it_ends() {
    let (client, stand_in) = with([reply(429, "").with("x-ratelimit-reset", 9)]).await;
    assert_eq!(client.pause(NOW), None);
    client.write(&[track("a")]).await;
    assert_eq!(client.pause(NOW), Some(Span::from_secs(9)));
    assert_eq!(codes(&client.write(&[track("a")]).await), ["over_our_rate"]);
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn without_an_answer_it_is_tried_again() {
    let (_stand_in, url) = StandIn::start([hang()]).await;
    assert_eq!(codes(&client(&url, &impatient_http()).write(&[track("a")]).await), ["destination_timed_out"]);
    assert_eq!(codes(&client(&nobody(), &http()).write(&[track("a")]).await), ["destination_unreachable"]);
}

#[test]
fn settings_that_cannot_be_used_say_so_without_the_key() {
    let with = |change: &dyn Fn(&mut SegmentSettings)| {
        let mut settings = SegmentSettings::new(Region::Us, SecretString::from("a-write-key"));
        change(&mut settings);
        let error = SegmentClient::new(&settings, &http(), FixedClock).err().map(|error| error.to_string());
        assert!(!format!("{settings:?}{error:?}").contains("a-write-key"));
        error
    };
    assert_eq!(with(&|_| {}), None);
    assert!(with(&|settings| settings.url = Some("ftp://x".to_owned())).is_some_and(|error| error.contains("url")));
    for key in [" ", "a\nkey"] {
        let error = with(&|settings| settings.write_key = SecretString::from(key));
        assert_eq!(error.is_some(), key == " ", "what is encoded may hold anything");
    }
    assert_eq!(Region::Us.url(), "https://api.segment.io/v1");
    assert_eq!(Region::Eu.url(), "https://events.eu1.segmentapis.com/v1");
}
