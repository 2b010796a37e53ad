//! The AWS side of the contract, and what only AWS can get wrong.

use crate::emulator;
use crate::queue::{MAX_RECEIVE_COUNT, Receiver};
use crate::store::{NOW, alias_key, person, put};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use aws_types::SdkConfig;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use trefoil_domain::event::WakeReason;
use trefoil_domain::id::{EventId, PersonId};
use trefoil_domain::ledger::{Entry, LEDGER_KEPT, Ledger, Review};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{
    AliasKey, Commit, Delivery, Destination, Disposition, EventNames, Mark, Message, NamesTaken, Queue, QueueError, QueueName, Record,
    Store, Wake,
};
use trefoil_domain::time::Span;
use trefoil_platform::aws::{Aws, DUE_INDEX, DynamoStore, SqsQueue};
use trefoil_platform::settings::{AwsSettings, Environment, QueueUrls, SegmentWayIn, TableNames, variable};

/// Ends a test that hangs. Nothing takes nearly as long, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn settings(endpoint: &str) -> AwsSettings {
    AwsSettings {
        region: "us-east-1".to_owned(),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned().into(),
        session_token: None,
        endpoint: Some(endpoint.to_owned()),
    }
}

fn aws() -> Aws {
    Aws::new(&settings(emulator::endpoint()))
}

/// Makes the tables of a test.
pub(crate) async fn tables(test: &str) -> TableNames {
    let name = |table: &str| format!("{table}-{test}");
    let names = TableNames { people: name("people"), aliases: name("aliases"), history: name("history") };
    let client = aws_sdk_dynamodb::Client::new(&patient());
    let text = |name: &str| attribute(name, ScalarAttributeType::S);
    let due = GlobalSecondaryIndex::builder()
        .index_name(DUE_INDEX)
        .key_schema(key("due_shard", KeyType::Hash))
        .key_schema(key("due", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build());
    let table = || client.create_table().billing_mode(BillingMode::PayPerRequest);
    let people = table().table_name(&names.people).key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
    let people = people.attribute_definitions(text("pk")).attribute_definitions(text("sk")).attribute_definitions(text("due_shard"));
    let people = people.attribute_definitions(attribute("due", ScalarAttributeType::N));
    people.global_secondary_indexes(due.build().expect("complete")).send().await.expect("a table");
    let aliases = table().table_name(&names.aliases).key_schema(key("pk", KeyType::Hash)).attribute_definitions(text("pk"));
    aliases.send().await.expect("a table");
    let history = table().table_name(&names.history).key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
    history.attribute_definitions(text("pk")).attribute_definitions(text("sk")).send().await.expect("a table");
    names
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().expect("complete")
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete")
}

pub(crate) async fn store(test: &str) -> DynamoStore {
    DynamoStore::new(aws().dynamodb(), tables(test).await)
}

pub(crate) async fn ledger(test: &str) -> DynamoStore {
    store(test).await
}

/// The queue, with a receiving side for the tests: an id is the receipt handle.
pub(crate) struct Sqs {
    inner: SqsQueue,
    client: aws_sdk_sqs::Client,
    urls: QueueUrls,
    dead: String,
}

pub(crate) async fn queue(test: &str) -> Sqs {
    let client = aws_sdk_sqs::Client::new(&patient());
    let create = async |name: &str, attributes: Vec<(QueueAttributeName, String)>| {
        let mut call = client.create_queue().queue_name(format!("{name}-{}.fifo", test.replace('_', "-")));
        let fifo = [
            (QueueAttributeName::FifoQueue, "true"),
            (QueueAttributeName::DeduplicationScope, "messageGroup"),
            (QueueAttributeName::FifoThroughputLimit, "perMessageGroupId"),
        ];
        for (name, value) in fifo.map(|(name, value)| (name, value.to_owned())).into_iter().chain(attributes) {
            call = call.attributes(name, value);
        }
        call.send().await.expect("a queue").queue_url.expect("a URL")
    };
    let dead = create("dead", Vec::new()).await;
    let attributes = client.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn).send().await;
    let arn = attributes.expect("attributes").attributes.expect("attributes")[&QueueAttributeName::QueueArn].clone();
    let redrive = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVE_COUNT}).to_string();
    let mut urls = Vec::new();
    for queue in QueueName::ALL {
        urls.push((queue, create(queue.as_str(), vec![(QueueAttributeName::RedrivePolicy, redrive.clone())]).await));
    }
    let urls: QueueUrls = urls.into_iter().collect();
    Sqs { inner: SqsQueue::new(aws().sqs(), urls.clone()), client, urls, dead }
}

impl Sqs {
    pub(crate) fn url(&self, queue: QueueName) -> &str {
        self.urls.get(queue).expect("all queues exist")
    }
}

impl Queue for Sqs {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        self.inner.send(queue, messages).await
    }
}

impl Receiver for Sqs {
    async fn receive(&self, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery> {
        let call = self.client.receive_message().queue_url(self.url(queue)).max_number_of_messages(i32::try_from(max).expect("small"));
        let call = call.visibility_timeout(i32::try_from(visibility.secs_ceil()).expect("small")).wait_time_seconds(0);
        let call = call.message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = call.send().await.expect("the queue answers").messages.unwrap_or_default();
        let delivery = |message: aws_sdk_sqs::types::Message| {
            let attributes = message.attributes.expect("asked for");
            Delivery {
                id: message.receipt_handle.expect("always there"),
                body: message.body.expect("always there"),
                group: attributes[&MessageSystemAttributeName::MessageGroupId].clone(),
                receive_count: attributes[&MessageSystemAttributeName::ApproximateReceiveCount].parse().expect("a number"),
            }
        };
        messages.into_iter().map(delivery).collect()
    }

    async fn receive_after(&self, after: Span, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery> {
        // The emulator's clock cannot be moved; ask until it is time.
        let begun = Instant::now();
        let limit = PATIENCE + Duration::from_secs(after.secs_ceil().unsigned_abs());
        loop {
            let received = self.receive(queue, max, visibility).await;
            if !received.is_empty() || begun.elapsed() > limit {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn settle(&self, queue: QueueName, settled: Vec<(String, Disposition)>) {
        for (receipt, disposition) in settled {
            // A refusal is what some of the tests want.
            match disposition {
                Disposition::Delete => drop(self.client.delete_message().queue_url(self.url(queue)).receipt_handle(receipt).send().await),
                Disposition::Retry(delay) => {
                    let call = self.client.change_message_visibility().queue_url(self.url(queue)).receipt_handle(receipt);
                    drop(call.visibility_timeout(i32::try_from(delay.secs_ceil()).expect("small")).send().await);
                }
            }
        }
    }

    async fn dead(&self, _: QueueName) -> u64 {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.client.get_queue_attributes().queue_url(&self.dead).attribute_names(name.clone());
        call.send().await.expect("attributes").attributes.expect("attributes")[&name].parse().expect("a number")
    }
}

#[tokio::test]
async fn calls_do_not_creep() {
    let _turn = emulator::turn().await;
    let store = store("calls").await;
    let people: Vec<PersonId> = (0..10).map(|n| person(n).id).collect();
    let keys: Vec<AliasKey> = (0..90).map(alias_key).collect();
    let wake = |n| Wake { workspace: crate::store::workspace(), person: person(n).id, reason: WakeReason::Facet, due: NOW };
    let record = |n: usize| Record {
        event: EventId::from_stored(person(n).id.as_str()),
        stage: "route".to_owned(),
        at: NOW,
        what: "test".to_owned(),
        outcome: Outcome::Done,
        skipped: Vec::new(),
        notes: Vec::new(),
    };

    assert_eq!(store.find(&keys, &people).await.map(drop), Ok(()));
    assert_eq!(store.commit(vec![put(&person(1), 0)]).await, Ok(Commit::Done));
    assert_eq!(store.commit((2..10).map(|n| put(&person(n), 0)).collect()).await, Ok(Commit::Done));
    assert_eq!(store.with_marks(Destination::Customerio, &people).await.map(drop), Ok(()));
    let marks = people.iter().take(2).map(|id| (id.clone(), Mark::default())).collect();
    assert_eq!(store.put_marks(Destination::Customerio, marks).await, Ok(vec![Commit::Done; 2]));
    assert_eq!(store.set_wakes((0..25).map(wake).collect()).await, Ok(()));
    assert_eq!(store.record((0..26).map(record).collect()).await, Ok(()));
    let expected =
        [("BatchGetItem", 2), ("BatchWriteItem", 3), ("PutItem", 3), ("TransactWriteItems", 1)].into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(store.calls(), expected);

    let queue = queue("calls").await;
    let messages = (0..21).map(|n| Message { body: n.to_string(), group: "g".to_owned(), dedup: n.to_string() }).collect();
    queue.send(QueueName::Events, messages).await.expect("accepted");
    assert_eq!(queue.inner.calls(), BTreeMap::from([("SendMessageBatch", 3)]));
}

#[tokio::test]
async fn a_step_is_one_write_and_a_review_one_transaction() {
    let _turn = emulator::turn().await;
    let store = store("ledger_calls").await;
    let first = crate::ledger::entry(&crate::store::workspace(), 1, 0);
    assert_eq!(store.entry(&first.action).await, Ok(None));
    assert_eq!(store.put_entry(first.clone(), NOW).await, Ok(Commit::Done));
    assert_eq!(store.calls(), BTreeMap::from([("BatchGetItem", 1), ("PutItem", 1)]));
    for (version, review) in [(1, Review::Wanted), (2, Review::Given)] {
        assert_eq!(store.put_entry(Entry { version, review, ..first.clone() }, NOW).await, Ok(Commit::Done));
    }
    assert_eq!(store.wanting_review(&first.workspace).await, Ok(Vec::new()));
    let names = store.event_names(&first.workspace).await.expect("the store answers");
    assert_eq!(store.put_event_names(&first.workspace, names).await, Ok(Commit::Done));
    assert_eq!(store.calls(), BTreeMap::from([("BatchGetItem", 2), ("PutItem", 2), ("Query", 1), ("TransactWriteItems", 2)]));
}

#[tokio::test]
async fn an_entry_and_its_place_in_the_list_expire_together_and_names_do_not() {
    let _turn = emulator::turn().await;
    let (client, names) = (aws_sdk_dynamodb::Client::new(&patient()), tables("ledger_expiry").await);
    let store = DynamoStore::new(aws().dynamodb(), names.clone());
    let wanted = Entry { review: Review::Wanted, ..crate::ledger::entry(&crate::store::workspace(), 1, -100) };
    assert_eq!(store.put_entry(wanted, NOW).await, Ok(Commit::Done));
    assert_eq!(store.put_event_names(&crate::store::workspace(), NamesTaken::default()).await, Ok(Commit::Done));
    let items = client.scan().table_name(&names.history).send().await.expect("the table").items.unwrap_or_default();
    let mut expiry: Vec<(String, Option<String>)> = Vec::new();
    for item in items {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().or_else(|_| value.as_n()).ok()).cloned();
        expiry.push((text("pk").expect("a key").split('#').next().unwrap_or_default().to_owned(), text("expires_at")));
    }
    expiry.sort();
    let end = Some(NOW.plus(LEDGER_KEPT).secs().to_string());
    assert_eq!(expiry, [("action".to_owned(), end.clone()), ("names".to_owned(), None), ("reviews".to_owned(), end)]);
}

#[tokio::test]
async fn an_error_names_no_person() {
    let _turn = emulator::turn().await;
    let names = TableNames { people: "none".to_owned(), aliases: "none".to_owned(), history: "none".to_owned() };
    let store = DynamoStore::new(aws().dynamodb(), names);
    let error = store.find(&[alias_key(1)], &[]).await.expect_err("there is no such table").to_string();
    assert!(error.contains("the store failed to find people: ResourceNotFoundException"), "{error}");
    assert!(!error.contains("example.com"), "{error}");

    let queue = queue("errors").await;
    let large = Message { body: "person@example.com".repeat(60_000), group: "g".to_owned(), dedup: "d".to_owned() };
    let error = queue.send(QueueName::Events, vec![large]).await.expect_err("over the limit").to_string();
    assert!(error.contains("1080000 bytes") && !error.contains("example.com"), "{error}");
    let error = SqsQueue::new(aws().sqs(), QueueUrls::default()).send(QueueName::Events, Vec::new()).await.expect_err("no URL");
    assert_eq!(error.queue, QueueName::Events);
}

#[tokio::test]
async fn nothing_listening_is_an_error_and_no_hang() {
    let nowhere = Aws::new(&settings("http://127.0.0.1:9"));
    let begun = Instant::now();
    let names = TableNames { people: "p".to_owned(), aliases: "a".to_owned(), history: "h".to_owned() };
    let store = DynamoStore::new(nowhere.dynamodb(), names);
    store.warm().await;
    let error = store.find(&[alias_key(1)], &[]).await.expect_err("nobody there");
    assert_eq!(error.message, "no connection");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn connections_are_opened_without_side_effects() {
    let _turn = emulator::turn().await;
    let store = store("warm").await;
    store.warm().await;
    let queue = queue("warm").await;
    queue.inner.warm().await;
    assert_eq!(queue.receive(QueueName::Events, 10, Span::from_secs(1)).await, []);
    assert_eq!((store.calls().len(), queue.inner.calls().len()), (0, 0));
}

#[tokio::test]
async fn secrets_are_read_with_the_one_before() {
    let _turn = emulator::turn().await;
    let client = aws_sdk_secretsmanager::Client::new(&patient());
    let put = async |name: &str, value: &str| {
        client.create_secret().name(name).secret_string(value).send().await.expect("a secret");
    };
    put("trefoil/intercom", "0123456789abcdef-old").await;
    let changed = client.put_secret_value().secret_id("trefoil/intercom").secret_string("0123456789abcdef-new").send().await;
    changed.expect("changed");
    put("trefoil/fresh", "0123456789abcdef-one").await;
    put("trefoil/token", "before").await;
    client.put_secret_value().secret_id("trefoil/token").secret_string("after").send().await.expect("changed");

    let resolved = async |variables: &'static [(&'static str, &'static str)]| {
        let get = move |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        let mut environment = Environment::new(get);
        aws().resolve_secrets(&mut environment).await;
        environment
    };
    const ROTATED: &[(&str, &str)] = &[
        ("TREFOIL_INTERCOM_CLIENT_SECRET_SECRET", "trefoil/intercom"),
        (variable::QUEUE_EVENTS, "http://127.0.0.1/events"),
        (variable::QUEUE_PARKED, "http://127.0.0.1/parked"),
    ];
    let secrets = resolved(ROTATED).await.ingest_intercom().expect("complete").webhook.client_secrets;
    let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["0123456789abcdef-new", "0123456789abcdef-old"]);
    const SEGMENT: &[(&str, &str)] = &[
        ("TREFOIL_SEGMENT_SHARED_SECRET_SECRET", "trefoil/intercom"),
        ("TREFOIL_PIPELINES_SHARED_SECRET_SECRET", "trefoil/pipelines"),
        (variable::QUEUE_EVENTS, "http://127.0.0.1/events"),
        (variable::QUEUE_PARKED, "http://127.0.0.1/parked"),
    ];
    put("trefoil/pipelines", "0123456789abcdef-new").await;
    // What both held before does not count, and what is in use now differs.
    client.put_secret_value().secret_id("trefoil/pipelines").secret_string("0123456789abcdef-own").send().await.expect("changed");
    let SegmentWayIn::Webhooks(webhook) = resolved(SEGMENT).await.ingest_segment().expect("complete").way_in else { panic!("a queue") };
    assert_eq!((webhook.segment_secrets.len(), webhook.pipelines_secrets.len()), (2, 2));
    const FRESH: &[(&str, &str)] = &[
        ("TREFOIL_INTERCOM_CLIENT_SECRET_SECRET", "trefoil/fresh"),
        (variable::QUEUE_EVENTS, "http://127.0.0.1/events"),
        (variable::QUEUE_PARKED, "http://127.0.0.1/parked"),
    ];
    assert_eq!(resolved(FRESH).await.ingest_intercom().expect("complete").webhook.client_secrets.len(), 1);
    const MISSING: &[(&str, &str)] = &[("TREFOIL_INTERCOM_CLIENT_SECRET_SECRET", "trefoil/missing")];
    let problems = resolved(MISSING).await.ingest_intercom().expect_err("no such secret");
    assert_eq!(problems.0.len(), 3, "the queues are missing too: {problems}");
    assert!(problems.to_string().contains("TREFOIL_INTERCOM_CLIENT_SECRET_SECRET names a secret that could not be read: there is no"));
    const TOKEN: &[(&str, &str)] = &[("TREFOIL_INTERCOM_TOKEN_SECRET", "trefoil/token"), (variable::INTERCOM_REGION, "eu")];
    let problems = resolved(TOKEN).await.send_intercom().expect_err("tables and queues are missing");
    assert!(problems.0.iter().all(|problem| problem.variable.contains("TABLE") || problem.variable.contains("QUEUE")), "{problems}");
}

/// For setting up and looking after, where a slow machine is no failure: a call that is given up and repeated may already
/// have been carried out.
fn patient() -> SdkConfig {
    let credentials = Credentials::from_keys("test", "test", None);
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).region(Region::new("us-east-1"));
    let config = config.credentials_provider(SharedCredentialsProvider::new(credentials)).endpoint_url(emulator::endpoint());
    config.http_client(aws_smithy_http_client::Builder::new().build_http()).build()
}
