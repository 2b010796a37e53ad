use super::*;
use serde_json::json;

fn record(id: &str, group: &str) -> Value {
    json!({
        "messageId": id, "receiptHandle": format!("receipt-{id}"), "body": format!("body of {id}"),
        "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": "3"},
        "eventSource": "aws:sqs",
    })
}

fn read(records: Vec<Value>) -> Batch {
    Batch::read(Event { records }).expect("readable")
}

async fn handled(records: Vec<Value>, dispositions: Vec<(&str, Disposition)>) -> (Vec<String>, Vec<(String, Span)>) {
    let dispositions: Vec<_> = dispositions.into_iter().map(|(id, disposition)| (id.to_owned(), disposition)).collect();
    let answer = read(records).handle(async |_| dispositions).await.expect("handled");
    (answer.response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect(), answer.delays)
}

#[test]
fn a_record_becomes_a_delivery() {
    let batch = read(vec![record("1", "a")]);
    let expected = Delivery { id: "1".to_owned(), body: "body of 1".to_owned(), group: "a".to_owned(), receive_count: 3 };
    assert_eq!(batch.deliveries, [expected]);
}

#[tokio::test]
async fn a_failure_is_reported_once_and_alone() {
    let minute = Span::from_mins(1);
    let records = vec![record("1", "a"), record("2", "b"), record("3", "a"), record("3", "a"), record("4", "a")];
    let dispositions = vec![
        ("1", Disposition::Delete),
        ("2", Disposition::Delete),
        ("3", Disposition::Retry(minute)),
        ("3", Disposition::Retry(minute)),
        ("4", Disposition::Delete),
        ("", Disposition::Retry(minute)),
        ("99", Disposition::Retry(minute)),
    ];
    let (failed, delays) = handled(records, dispositions).await;
    assert_eq!(failed, ["3"]);
    assert_eq!(delays, [("receipt-3".to_owned(), minute)]);
}

#[tokio::test]
async fn a_malformed_record_fails_alone() {
    let mut odd = record("2", "b");
    odd["body"] = json!(null);
    odd["attributes"] = json!("none");
    let records = vec![record("1", "a"), odd, record("3", "c")];
    let everything = vec![("1", Disposition::Delete), ("2", Disposition::Delete), ("3", Disposition::Delete)];
    let (failed, delays) = handled(records, everything).await;
    assert_eq!((failed, delays), (vec!["2".to_owned()], vec![]));
}

#[tokio::test]
async fn what_the_handler_leaves_out_comes_back() {
    let (failed, delays) = handled(vec![record("1", "a"), record("2", "b")], vec![("2", Disposition::Delete)]).await;
    assert_eq!((failed, delays), (vec!["1".to_owned()], vec![]));
}

#[test]
fn a_record_that_cannot_be_named_fails_the_batch() {
    for id in [json!(null), json!("")] {
        let mut odd = record("1", "a");
        odd["messageId"] = id;
        Batch::read(Event { records: vec![odd] }).expect_err("nothing to report it by");
    }
}

#[tokio::test]
async fn a_panic_fails_the_batch() {
    let outcome = read(vec![record("1", "a")]).handle(async |_| panic!("on purpose")).await;
    assert!(outcome.is_err());
}

#[test]
fn the_response_is_what_lambda_reads() {
    let response = Response { batch_item_failures: vec![Failure { item_identifier: "1".to_owned() }] };
    assert_eq!(serde_json::to_value(response).expect("JSON"), json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
}
