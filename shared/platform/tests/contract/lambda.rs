//! The glue around a handler, run by the real runtime against a Runtime API of our own.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use crate::queue::Receiver;
use crate::{aws, emulator};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use trefoil_domain::ports::{Disposition, Message, Queue, QueueName};
use trefoil_domain::time::Span;
use trefoil_platform::aws::Aws;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::lambda::sqs::run_sqs;
use trefoil_platform::lambda::webhook;

const QUEUE_URL: &str = "TREFOIL_TEST_QUEUE_URL";
const ENDPOINT: &str = "TREFOIL_TEST_ENDPOINT";
const NOT_READY: &str = "TREFOIL_TEST_NOT_READY";

/// Not a test: a function, when [`a_batch_is_answered_item_by_item`] starts it; else nothing.
#[tokio::test]
async fn function_of_a_queue() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let client = Aws::new(&aws::settings(&endpoint)).sqs();
    let url = std::env::var(QUEUE_URL).expect("set");
    let back = Disposition::Retry(Span::ZERO);
    let handler = async |queue: QueueName, deliveries: Vec<trefoil_domain::ports::Delivery>| {
        assert_eq!(queue, QueueName::Events);
        assert!(deliveries.iter().all(|delivery| delivery.body != "panic"), "on purpose");
        let decide = |body: &str| if body == "back" { back.clone() } else { Disposition::Delete };
        deliveries.into_iter().map(|delivery| (delivery.id, decide(&delivery.body))).collect()
    };
    run_sqs(&[(QueueName::Events, &url)], &client, &SystemClock, handler).await.expect("the runtime runs");
}

/// Not a test: a function, when [`a_request_is_answered`] or [`whoever_is_not_ready_says_come_again`] starts it; else nothing.
#[tokio::test]
async fn function_behind_a_url() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let attempts = std::cell::Cell::new(0);
    webhook::start(async |_| {
        attempts.set(attempts.get() + 1);
        match std::env::var(NOT_READY).ok().as_deref() {
            Some("error") if attempts.get() < 3 => return Err("a secret could not be read".into()),
            Some("panic") if attempts.get() < 3 => panic!("on purpose"),
            _ => {}
        }
        let greeting = "hello ".to_owned();
        Ok(async move |request: webhook::Request| {
            let name = String::from_utf8(request.body).expect("text");
            assert_ne!(name, "panic", "on purpose");
            webhook::Response { status: 202, body: format!("{greeting}{name}") }
        })
    })
    .await
    .expect("the runtime runs");
}

/// A running function, and its invocations: send an event, read what it was answered with.
struct Function {
    child: Child,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<(String, Value)>,
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Function {
    async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let api = listener.local_addr().expect("bound").to_string();
        let (events, next) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        tokio::spawn(async move {
            // The runtime keeps to one connection; another one would wait here until it is closed.
            let mut next = next;
            while let Ok((connection, _)) = listener.accept().await {
                serve(connection, &mut next, &answered).await;
            }
        });
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", name, "--nocapture"])
            .envs([("AWS_LAMBDA_RUNTIME_API", api.as_str()), ("AWS_LAMBDA_FUNCTION_NAME", "test")])
            .envs([("AWS_LAMBDA_FUNCTION_VERSION", "1"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")])
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        Self { child, events, answers }
    }

    /// What the function answered, and where to: `response` or `error`.
    async fn invoke(&mut self, event: Value) -> (String, Value) {
        self.events.send(event).await.expect("the function asks for it");
        let answer = tokio::time::timeout(aws::PATIENCE, self.answers.recv()).await;
        answer.expect("the function answers").expect("the function lives")
    }
}

/// Hands out invocations on one connection.
async fn serve(connection: TcpStream, events: &mut mpsc::Receiver<Value>, answers: &mpsc::Sender<(String, Value)>) {
    let mut connection = BufReader::new(connection);
    while let Some((request, body)) = read(&mut connection).await {
        let reply = if request.ends_with("/invocation/next") {
            let Some(event) = events.recv().await else { return };
            let event = event.to_string();
            format!(
                "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: 4000000000000\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:test\r\n\
                 content-length: {}\r\n\r\n{event}",
                event.len()
            )
        } else {
            let place = request.rsplit('/').next().unwrap_or_default().to_owned();
            answers.send((place, serde_json::from_slice(&body).expect("JSON"))).await.expect("somebody listens");
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()
        };
        connection.write_all(reply.as_bytes()).await.expect("the function listens");
    }
}

/// The path and the body of the next request.
async fn read(connection: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some((path, body))
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item() {
    let _turn = emulator::turn().await;
    let queue = aws::queue("lambda").await;
    let message = |n: &str, body: &str| Message { body: body.to_owned(), group: n.to_owned(), dedup: n.to_owned() };
    queue.send(QueueName::Events, vec![message("1", "done"), message("2", "back")]).await.expect("accepted");
    let mut received = Vec::new();
    for _ in 0..2 {
        received.extend(queue.receive(QueueName::Events, 10, Span::from_secs(300)).await);
    }
    assert_eq!(received.len(), 2);
    let record = |id: &str, body: &str, receipt: &str, group: &str| {
        let attributes = json!({"ApproximateReceiveCount": "1", "MessageGroupId": group});
        let arn = format!("arn:aws:sqs:eu-west-1:000000000000:{}", queue.url(QueueName::Events).rsplit('/').next().expect("a name"));
        json!({"messageId": id, "receiptHandle": receipt, "body": body, "attributes": attributes, "eventSourceARN": arn})
    };
    let records: Vec<Value> = received.iter().map(|d| record(&format!("id-{}", d.body), &d.body, &d.id, &d.group)).collect();

    let variables = [(QUEUE_URL, queue.url(QueueName::Events)), (ENDPOINT, emulator::endpoint())];
    let mut function = Function::start("lambda::function_of_a_queue", &variables).await;
    let answer = function.invoke(json!({"Records": records})).await;
    assert_eq!(answer, ("response".to_owned(), json!({"batchItemFailures": [{"itemIdentifier": "id-back"}]})));
    let again = queue.receive_after(Span::ZERO, QueueName::Events, 10, Span::from_secs(300)).await;
    assert_eq!(again.iter().map(|delivery| delivery.body.as_str()).collect::<Vec<_>>(), ["back"], "it is visible again");

    // A panic fails the whole batch, and the function lives on.
    let (place, _) = function.invoke(json!({"Records": [record("3", "panic", "r", "3"), record("4", "done", "r", "4")]})).await;
    assert_eq!(place, "error");
    let answer = function.invoke(json!({"Records": [record("5", "done", "r", "5")]})).await;
    assert_eq!(answer, ("response".to_owned(), json!({"batchItemFailures": []})));
    let (place, _) = function.invoke(json!({"something": "else"})).await;
    assert_eq!(place, "error");
}

#[tokio::test]
async fn a_request_is_answered() {
    let mut function = Function::start("lambda::function_behind_a_url", &[]).await;
    let event = json!({"requestContext": {"http": {"method": "POST"}}, "headers": {}, "body": "world", "isBase64Encoded": false});
    let answer = json!({"statusCode": 202, "headers": {"content-type": "text/plain"}, "body": "hello world"});
    assert_eq!(function.invoke(event).await, ("response".to_owned(), answer));
    let (place, answer) = function.invoke(json!({"body": "!", "isBase64Encoded": true})).await;
    assert_eq!((place.as_str(), &answer["statusCode"]), ("response", &json!(400)));
    // A panic is answered as well, and the function lives on.
    let (place, answer) = function.invoke(json!({"body": "panic"})).await;
    assert_eq!((place.as_str(), &answer["statusCode"]), ("response", &json!(503)));
    assert_eq!(function.invoke(json!({"body": "again"})).await.1["statusCode"], json!(202));
}

#[tokio::test]
async fn whoever_is_not_ready_says_come_again() {
    for why in ["error", "panic"] {
        let mut function = Function::start("lambda::function_behind_a_url", &[(NOT_READY, why)]).await;
        // The first attempt is made before there is a request, the second with it.
        let (place, answer) = function.invoke(json!({"body": "world"})).await;
        assert_eq!(
            (place.as_str(), &answer),
            ("response", &json!({"statusCode": 503, "headers": {"content-type": "text/plain"}, "body": ""}))
        );
        assert_eq!(function.invoke(json!({"body": "world"})).await.1["body"], json!("hello world"), "{why}");
    }
}
