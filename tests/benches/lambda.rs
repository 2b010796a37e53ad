//! What a function costs to start: the release binaries against a stand-in of Lambda's runtime API, an AWS that remembers
//! items and takes messages, and the stand-ins of the vendors, all on loopback and without TLS.
//! `cargo bench -p trefoil-tests --bench lambda`; builds the binaries first, which takes minutes each when they changed.
//!
//! The event of each function is what the one before it in the road has left. Real AWS adds TLS and distance; what shows
//! here is our own part: loading, parsing, building clients, and how many round trips there are.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

#![expect(clippy::print_stdout, reason = "a bench reports to the terminal")]
#![expect(clippy::expect_used, reason = "there is nobody to answer to but the terminal")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use trefoil_standins::intercom::{NewContact, Priority};
use trefoil_standins::{CustomerIo, Intercom, Segment, customerio, intercom, segment};
use trefoil_tests::build;

const STARTS: usize = 20;
const LIMIT: Duration = Duration::from_mins(2);
const FUNCTIONS: [&str; 6] = ["ingest-intercom", "route-events", "send-intercom", "send-customerio", "send-segment", "scan-people"];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let aws = Arc::<Aws>::default();
    let (aws_url, _server) = serve(Router::new().fallback(Aws::answer).with_state(Arc::clone(&aws))).await;
    let intercom = Intercom::start(intercom::Options::default()).await.expect("a port");
    let customerio = CustomerIo::start(customerio::Options::default()).await.expect("a port");
    let segment = Segment::start(segment::Options::default()).await.expect("a port");
    let new = NewContact { external_id: Some("user-1".to_owned()), email: Some("sam@example.com".to_owned()), ..NewContact::default() };
    let (contact, _) = intercom.create_contact(new);
    customerio.add_profile(Some("user-1"), Some("sam@example.com"), &[]);
    let (_, webhook) = intercom.open_conversation(&contact, Priority::High).expect("the contact");

    println!("{STARTS} starts each; times in ms: median (least to most)");
    println!("function         binary   zip      start to first poll   RSS there  first invocation      RSS after");
    for function in FUNCTIONS {
        let event = match function {
            "ingest-intercom" => json!({
                "version": "2.0", "rawPath": "/", "rawQueryString": "", "isBase64Encoded": false,
                "headers": { "x-hub-signature": webhook.signature, "content-type": "application/json" },
                "requestContext": { "http": { "method": "POST", "path": "/" } }, "body": String::from_utf8_lossy(&webhook.body),
            }),
            "route-events" => aws.batch_of("events"),
            "send-intercom" => aws.batch_of("intercom-state"),
            "send-customerio" => aws.batch_of("customerio-state"),
            "send-segment" => aws.batch_of("segment-out"),
            _ => json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} }),
        };
        let binary = build::release(function);
        let before = lock(&aws.items).clone();
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            lock(&aws.items).clone_from(&before);
            starts.push(start(&binary, &event, &environment(&aws_url, &intercom, &customerio, &segment)).await);
        }
        report(function, &binary, &starts);
    }
}

fn environment(aws_url: &str, intercom: &Intercom, customerio: &CustomerIo, segment: &Segment) -> Vec<(String, String)> {
    let queue = |name: &str| format!("{aws_url}/000000000000/{name}.fifo");
    let (intercom_options, customerio_options) = (intercom.options(), customerio.options());
    let variables = [
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_ENDPOINT_URL", aws_url.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench".to_owned()),
        ("TREFOIL_CONFIG", build::root().join("trefoil.yaml").display().to_string()),
        ("TREFOIL_TABLE_PEOPLE", "people".to_owned()),
        ("TREFOIL_TABLE_ALIASES", "aliases".to_owned()),
        ("TREFOIL_TABLE_HISTORY", "history".to_owned()),
        ("TREFOIL_QUEUE_EVENTS", queue("events")),
        ("TREFOIL_QUEUE_CUSTOMERIO_STATE", queue("customerio-state")),
        ("TREFOIL_QUEUE_CUSTOMERIO", queue("customerio")),
        ("TREFOIL_QUEUE_INTERCOM_STATE", queue("intercom-state")),
        ("TREFOIL_QUEUE_INTERCOM", queue("intercom")),
        ("TREFOIL_QUEUE_SEGMENT", queue("segment-out")),
        ("TREFOIL_QUEUE_PARKED", queue("parked")),
        ("TREFOIL_INTERCOM_CLIENT_SECRET", intercom_options.client_secret.clone()),
        ("TREFOIL_INTERCOM_TOKEN", intercom_options.access_token.clone()),
        ("TREFOIL_INTERCOM_URL", intercom.url()),
        ("TREFOIL_CUSTOMERIO_SITE_ID", customerio_options.site_id.clone()),
        ("TREFOIL_CUSTOMERIO_API_KEY", customerio_options.track_api_key.clone()),
        ("TREFOIL_CUSTOMERIO_APP_API_KEY", customerio_options.app_api_key.clone()),
        ("TREFOIL_CUSTOMERIO_URL", customerio.track_url()),
        ("TREFOIL_CUSTOMERIO_APP_URL", customerio.app_url()),
        ("TREFOIL_SEGMENT_WRITE_KEY", segment.options().write_key.clone()),
        ("TREFOIL_SEGMENT_URL", format!("{}/v1", segment.url())),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

// ---------------------------------------------------------------------------------------------------- one start

struct Start {
    to_first_poll: Duration,
    /// KiB.
    resident_at_first_poll: u64,
    first_invocation: Duration,
    /// KiB.
    resident_after: u64,
}

async fn start(binary: &Path, event: &Value, environment: &[(String, String)]) -> Start {
    let (tell, mut told) = mpsc::unbounded_channel();
    let lambda = Arc::new(Lambda { tell, may_answer: Semaphore::new(0), event: event.to_string() });
    let (url, server) = serve(Router::new().fallback(Lambda::answer).with_state(Arc::clone(&lambda))).await;
    let mut command = Command::new(binary);
    command.env_clear().envs(environment.iter().cloned()).env("AWS_LAMBDA_RUNTIME_API", url.trim_start_matches("http://"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let started = Instant::now();
    let mut process = command.spawn().expect("the function starts");
    let Told::Polled(polled) = next(&mut told).await else { panic!("{} does not poll", binary.display()) };
    let resident_at_first_poll = resident(&process);
    let invoked = Instant::now();
    lambda.may_answer.add_permits(1);
    let Told::Answered(answered, answer) = next(&mut told).await else { panic!("{} does not answer", binary.display()) };
    assert!(answer.is_null() || answer["statusCode"] == 200 || answer["batchItemFailures"] == json!([]), "{}: {answer}", binary.display());
    let resident_after = resident(&process);
    process.kill().await.expect("the function ends");
    server.abort();
    Start { to_first_poll: polled - started, resident_at_first_poll, first_invocation: answered - invoked, resident_after }
}

async fn next(told: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    tokio::time::timeout(LIMIT, told.recv()).await.expect("the function says something in time").expect("the server runs")
}

/// KiB of memory in use.
fn resident(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().expect("it runs"))).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn report(function: &str, binary: &Path, starts: &[Start]) {
    let times = |of: fn(&Start) -> Duration| {
        let mut times: Vec<f64> = starts.iter().map(|start| of(start).as_secs_f64() * 1000.0).collect();
        times.sort_by(f64::total_cmp);
        format!("{:.1} ({:.1} to {:.1})", times[times.len() / 2], times[0], times[times.len() - 1])
    };
    let memory = |of: fn(&Start) -> u64| format!("{:.1} MiB", starts.iter().map(of).max().unwrap_or_default() as f64 / 1024.0);
    let megabytes = |path: &Path| format!("{:.2} MB", std::fs::metadata(path).map_or(0, |file| file.len()) as f64 / 1e6);
    println!(
        "{function:<16} {:<8} {:<8} {:<21} {:<10} {:<21} {}",
        megabytes(binary),
        zip(binary).as_deref().map_or("?".to_owned(), megabytes),
        times(|start| start.to_first_poll),
        memory(|start| start.resident_at_first_poll),
        times(|start| start.first_invocation),
        memory(|start| start.resident_after),
    );
}

/// Zips as `sam package` does; `None` where the tools are not installed.
fn zip(binary: &Path) -> Option<PathBuf> {
    let path = binary.with_extension("zip");
    let mut python = std::process::Command::new(build::root().join(".tools/venv/bin/python"));
    python.args(["-m", "zipfile", "-c"]).arg(&path).arg(binary).status().ok()?.success().then_some(path)
}

// ------------------------------------------------------------------------------------------------------- Lambda

enum Told {
    Polled(Instant),
    Answered(Instant, Value),
    Failed,
}

/// Lambda's runtime API for one process: its first poll is answered when it may be, the next never.
struct Lambda {
    tell: mpsc::UnboundedSender<Told>,
    may_answer: Semaphore,
    event: String,
}

impl Lambda {
    async fn answer(State(lambda): State<Arc<Self>>, uri: Uri, body: Bytes) -> Response {
        let path = uri.path();
        if path.ends_with("/invocation/next") {
            lambda.tell.send(Told::Polled(Instant::now())).ok();
            if let Ok(permit) = lambda.may_answer.acquire().await {
                permit.forget();
            }
            let deadline = SystemTime::now() + Duration::from_secs(30);
            let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis().to_string();
            let headers = [
                ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
                ("lambda-runtime-deadline-ms", &deadline),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:000000000000:function:bench"),
                ("content-type", "application/json"),
            ];
            return (headers, lambda.event.clone()).into_response();
        }
        let told = if path.ends_with("/response") {
            Told::Answered(Instant::now(), serde_json::from_slice(&body).unwrap_or_default())
        } else {
            println!("{path}: {}", String::from_utf8_lossy(&body));
            Told::Failed
        };
        lambda.tell.send(told).ok();
        StatusCode::ACCEPTED.into_response()
    }
}

// ---------------------------------------------------------------------------------------------------------- AWS

/// Items that were put can be read; conditions always hold; messages are remembered.
#[derive(Default)]
struct Aws {
    /// Table and item.
    items: Mutex<Vec<(String, Value)>>,
    /// The bodies that were last sent to each queue.
    sent: Mutex<BTreeMap<String, Vec<Value>>>,
}

impl Aws {
    async fn answer(State(aws): State<Arc<Self>>, headers: HeaderMap, body: Bytes) -> Response {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let ids = |entries: &Value| {
            let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
            entries.iter().map(|entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" })).collect::<Vec<_>>()
        };
        let answer = match target.rsplit('.').next().unwrap_or_default() {
            "SendMessageBatch" if body["Entries"].as_array().is_none_or(Vec::is_empty) => {
                return (StatusCode::BAD_REQUEST, json!({ "__type": "com.amazonaws.sqs#EmptyBatchRequest" }).to_string()).into_response();
            }
            "SendMessageBatch" => {
                let queue = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
                let entries = body["Entries"].as_array().into_iter().flatten();
                lock(&aws.sent)
                    .insert(queue.trim_end_matches(".fifo").to_owned(), entries.map(|entry| entry["MessageBody"].clone()).collect());
                json!({ "Successful": ids(&body["Entries"]), "Failed": [] })
            }
            "BatchGetItem" => json!({ "Responses": aws.get(&body["RequestItems"]), "UnprocessedKeys": {} }),
            "PutItem" => {
                aws.put(&body);
                json!({})
            }
            "TransactWriteItems" => {
                for action in body["TransactItems"].as_array().into_iter().flatten() {
                    aws.put(&action["Put"]);
                }
                json!({})
            }
            "BatchWriteItem" => json!({ "UnprocessedItems": {} }),
            "Query" => json!({ "Items": [], "Count": 0, "ScannedCount": 0 }),
            other => panic!("the functions do not call {other}"),
        };
        ([("content-type", "application/x-amz-json-1.0")], answer.to_string()).into_response()
    }

    fn put(&self, put: &Value) {
        let (table, item) = (put["TableName"].as_str().unwrap_or_default().to_owned(), put["Item"].clone());
        let mut items = lock(&self.items);
        items.retain(|(t, i)| (t, &i["pk"], &i["sk"]) != (&table, &item["pk"], &item["sk"]));
        items.push((table, item));
    }

    fn get(&self, wanted: &Value) -> Value {
        let items = lock(&self.items);
        let found = |table: &str, keys: &Value| {
            let keys = keys["Keys"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_wanted = |item: &&Value| keys.iter().any(|key| key["pk"] == item["pk"] && key["sk"] == item["sk"]);
            items.iter().filter(|(t, _)| t == table).map(|(_, item)| item).filter(is_wanted).cloned().collect::<Vec<_>>()
        };
        wanted.as_object().into_iter().flatten().map(|(table, keys)| (table.clone(), json!(found(table, keys)))).collect()
    }

    /// What was sent to a queue, as Lambda hands it over.
    fn batch_of(&self, queue: &str) -> Value {
        let bodies = lock(&self.sent).get(queue).cloned().unwrap_or_default();
        assert!(!bodies.is_empty(), "nothing was sent to {queue}");
        let record = |(n, body): (usize, Value)| {
            json!({
                "messageId": n.to_string(), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
                "attributes": { "ApproximateReceiveCount": "1", "MessageGroupId": "g" },
                "eventSourceARN": format!("arn:aws:sqs:eu-west-1:000000000000:{queue}.fifo"), "awsRegion": "eu-west-1",
            })
        };
        json!({ "Records": bodies.into_iter().enumerate().map(record).collect::<Vec<_>>() })
    }
}

async fn serve(routes: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (url, tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() }))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
