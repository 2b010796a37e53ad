//! The product, deployed once for all tests of a run, with stand-ins for the vendors.

use crate::build::{self, root};
use crate::emulator::Emulator;
use crate::waiting::until;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use trefoil_standins::intercom::{SendError, Webhook};
use trefoil_standins::{CustomerIo, Intercom, Segment, customerio, intercom, segment};

/// As in `emulated.py`.
pub const CLIENT_SECRET: &str = "client-secret-of-the-tests";
/// One of the two that Customer.io signs with.
pub const CUSTOMERIO_ACTIONS_KEY: &str = "actions-key-of-the-tests";
pub const SEGMENT_SECRET: &str = "segment-secret-of-the-tests";
pub const PIPELINES_SECRET: &str = "pipelines-secret-of-the-tests";
const STACK: &str = "trefoil";
/// The binaries that the template names.
const BINARIES: [&str; 8] = [
    "ingest-intercom",
    "ingest-customerio",
    "ingest-segment",
    "route-events",
    "send-customerio",
    "send-intercom",
    "send-segment",
    "scan-people",
];
/// Ends a test that hangs. Nothing takes nearly as long, even on a busy machine.
const LIMIT: Duration = Duration::from_mins(10);
/// After so many deliveries a message of events.fifo is given up. What cannot be read takes a second for each; what a busy
/// emulator did not answer in time waits longer each time, for more than ten minutes in all.
const ROUTE_MAX_RECEIVES: u32 = 12;

/// A queue of the template, with its dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Events,
    CustomerioState,
    Customerio,
    IntercomState,
    Intercom,
    /// What is to be written there.
    SegmentOut,
}

impl Queue {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "Events",
            Self::CustomerioState => "CustomerioState",
            Self::Customerio => "Customerio",
            Self::IntercomState => "IntercomState",
            Self::Intercom => "Intercom",
            Self::SegmentOut => "SegmentOut",
        }
    }
}

/// Who has an address to send webhooks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Intercom,
    Customerio,
    /// And Customer.io's data pipelines.
    Segment,
}

pub struct Deployment {
    emulator: Emulator,
    outputs: BTreeMap<String, String>,
    sqs: Client,
    http: reqwest::Client,
    pub customerio: CustomerIo,
    pub intercom: Intercom,
    pub segment: Segment,
}

impl Deployment {
    /// Runs `test` against the one deployment of this run, which the first test makes. One test at a time: they share
    /// queues that they stop and vendors that they break.
    pub fn test(test: impl AsyncFnOnce(&Self)) {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // One runtime for all tests: the stand-ins live in it.
        let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
        let deployment = DEPLOYMENT.get_or_init(|| runtime.block_on(Self::make()));
        runtime.block_on(test(deployment));
    }

    async fn make() -> Self {
        let binaries = build::functions(&BINARIES);
        let customerio = CustomerIo::start(customerio_options()).await.expect("a port for Customer.io");
        let intercom = Intercom::start(intercom_options()).await.expect("a port for Intercom");
        let segment = Segment::start(segment_options()).await.expect("a port for Segment");
        // reqwest wants one even for plain HTTP; a second one installed is no harm.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::new();
        let emulator = Emulator::start(&http).await;
        let parameters = [
            format!("Architecture={}", std::env::consts::ARCH.replace("aarch64", "arm64")),
            format!("ConfigPath={}", root().join("trefoil.yaml").display()),
            "IntercomRegion=eu".to_owned(),
            format!("IntercomAppId={}", intercom.options().app_id),
            format!("IntercomUrl={}", intercom.url()),
            format!("IntercomAdminId={}", intercom.options().admins[0]),
            "CustomerioRegion=eu".to_owned(),
            format!("CustomerioUrl={}", customerio.track_url()),
            format!("CustomerioAppUrl={}", customerio.app_url()),
            "CustomerioAppApiKeyName=trefoil/customerio-app-api-key".to_owned(),
            "CustomerioSigningKeysName=trefoil/customerio-signing-keys".to_owned(),
            "SegmentSharedSecretName=trefoil/segment-shared-secret".to_owned(),
            "PipelinesSharedSecretName=trefoil/pipelines-shared-secret".to_owned(),
            "SegmentEventBus=default".to_owned(),
            "SegmentWriteKeyName=trefoil/segment-write-key".to_owned(),
            "SegmentRegion=us".to_owned(),
            format!("SegmentUrl={}/v1", segment.url()),
            // A batch that is lost with its function comes back after a minute. Looking at a queue counts as a delivery.
            "WorkerTimeout=60".to_owned(),
            "QueueVisibility=60".to_owned(),
            format!("RouteMaxReceives={ROUTE_MAX_RECEIVES}"),
        ];
        let mut deploy = emulator.python(&root().join("tests/emulated.py"));
        deploy.args(["deploy", STACK]).args([&binaries, &emulator.folder]).args(parameters);
        let done = deploy.output().expect("the deployment starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "the template could not be deployed:\n{said}\n{}", emulator.log());
        let outputs = serde_json::from_slice(&done.stdout).expect("the outputs of the stack");
        Self { sqs: sqs(&emulator), http, emulator, outputs, customerio, intercom, segment }
    }

    /// Sends a body as Intercom does, with this signature. Answers the status and the body.
    pub async fn post(&self, body: impl Into<Vec<u8>>, signature: &str) -> (u16, String) {
        self.post_to(Tool::Intercom, &[("x-hub-signature", signature)], body).await
    }

    /// Sends a body to the address for this tool. Answers the status and the body.
    pub async fn post_to(&self, tool: Tool, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> (u16, String) {
        let body = body.into();
        self.until_not_told_to_come_again(async || {
            let request = self.http.post(self.webhook_url(tool)).header("content-type", "application/json");
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let answer = request.body(body.clone()).send().await.expect("an answer to the webhook");
            (answer.status().as_u16(), answer.text().await.expect("a body"))
        })
        .await
    }

    /// What cannot be made durable in time is answered 503, and the tools come again. A busy machine may need that.
    async fn until_not_told_to_come_again<T>(&self, mut send: impl AsyncFnMut() -> (u16, T)) -> (u16, T) {
        let answered = async || Some(send().await).filter(|(status, _)| *status != 503);
        self.until("a webhook is taken or refused", answered).await
    }

    /// Puts an event on the queue that Segment's rule fills, as EventBridge does.
    pub async fn put_from_event_bridge(&self, envelope: &str) {
        let message = self.sqs.send_message().queue_url(&self.outputs["SegmentQueueUrl"]).message_body(envelope);
        message.send().await.expect("the queue accepts the message");
    }

    /// Has Intercom send a webhook, which must be taken.
    pub async fn deliver(&self, webhook: &Webhook) {
        self.deliver_by(async || self.intercom.send(&self.webhook_url(Tool::Intercom), webhook).await, &webhook.topic).await;
    }

    /// Has Customer.io send webhooks in this order, which must be taken.
    pub async fn deliver_from_customerio(&self, webhooks: &[customerio::Webhook]) {
        for webhook in webhooks {
            self.deliver_by(async || self.customerio.send(&self.webhook_url(Tool::Customerio), webhook).await, &webhook.name).await;
        }
    }

    /// Has Segment send all that it has to tell, in the order of its coming, which must be taken. Among it is what the product
    /// wrote there. Answers what was sent.
    pub async fn deliver_from_segment(&self) -> Vec<segment::Webhook> {
        let webhooks = self.segment.take_webhooks();
        for webhook in &webhooks {
            let what = webhook.ids.join(", ");
            self.deliver_by(async || self.segment.send(&self.webhook_url(Tool::Segment), webhook).await, &what).await;
        }
        webhooks
    }

    async fn deliver_by(&self, mut send: impl AsyncFnMut() -> Result<u16, SendError>, what: &str) {
        let send = async || (send().await.expect("an answer to the webhook"), ());
        let (status, ()) = self.until_not_told_to_come_again(send).await;
        assert_eq!(status, 200, "{what}\n{}", self.logs());
    }

    /// Intercom's check of the URL when it is saved.
    pub async fn head(&self) -> u16 {
        self.http.head(self.webhook_url(Tool::Intercom)).send().await.expect("an answer to HEAD").status().as_u16()
    }

    fn webhook_url(&self, tool: Tool) -> String {
        let url = &self.outputs[match tool {
            Tool::Intercom => "IntercomWebhookUrl",
            Tool::Customerio => "CustomerioWebhookUrl",
            Tool::Segment => "SegmentWebhookUrl",
        }];
        let id = url.trim_start_matches("https://").split('.').next().unwrap_or_default();
        format!("{}/_aws/lambda-url/{id}/", self.emulator.url())
    }

    /// Stops reading a queue, so that what is sent meanwhile meets in one batch, and can be looked at.
    pub fn pause(&self, queue: Queue) -> Paused<'_> {
        self.emulated(&["read", STACK, queue.name(), "off"]);
        Paused { deployment: self, queue }
    }

    /// Makes it seem that so much time has passed for everything that is due some day, and runs the scan.
    pub fn scan_after(&self, time: Duration) {
        self.emulated(&["scan", STACK, &time.as_millis().to_string()]);
    }

    fn emulated(&self, arguments: &[&str]) -> String {
        let done = self.emulator.python(&root().join("tests/emulated.py")).args(arguments).output().expect("python starts");
        assert!(done.status.success(), "emulated.py {arguments:?}:\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Puts a message straight on a queue.
    pub async fn put(&self, queue: Queue, body: &str, group: &str, dedup: &str) {
        let message = self.sqs.send_message().queue_url(self.queue_url(queue)).message_body(body);
        message.message_group_id(group).message_deduplication_id(dedup).send().await.expect("the queue accepts the message");
    }

    /// The messages that were given up, as far as one look shows; they stay where they are.
    pub async fn dead_letters(&self, queue: Queue) -> Vec<String> {
        bodies(self.look(&self.outputs[&format!("{}DeadQueueUrl", queue.name())]).await)
    }

    /// Waits until nothing is left in these queues. What follows from a message is in its queue before the message is gone, but
    /// that may be a queue that was looked at already: only what is empty twice in a row is empty.
    pub async fn until_drained(&self, queues: &[Queue]) {
        let drained = async || {
            for queue in queues.iter().chain(queues) {
                if self.depth(*queue).await > 0 {
                    return None;
                }
            }
            Some(())
        };
        self.until(&format!("nothing is left in {queues:?}"), drained).await;
    }

    /// Panics if anything was given up on the way to a destination.
    pub async fn assert_nothing_was_given_up(&self) {
        for queue in [Queue::CustomerioState, Queue::Customerio, Queue::IntercomState, Queue::Intercom, Queue::SegmentOut] {
            assert_eq!(self.dead_letters(queue).await, [""; 0], "{queue:?}\n{}", self.logs());
        }
    }

    /// The payloads that could not be used, as far as one look shows.
    pub async fn parked(&self) -> Vec<String> {
        bodies(self.look(&self.outputs["ParkedQueueUrl"]).await)
    }

    /// The message on a paused queue that speaks of `text`: its body and its group.
    pub async fn waiting(&self, queue: Queue, text: &str) -> Option<(String, String)> {
        let mut messages = self.look(self.queue_url(queue)).await.into_iter();
        messages.find_map(|mut message| {
            let group = message.attributes.take()?.remove(&MessageSystemAttributeName::MessageGroupId)?;
            message.body.filter(|body| body.contains(text)).map(|body| (body, group))
        })
    }

    async fn look(&self, url: &str) -> Vec<Message> {
        let request = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(0);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
        request.send().await.expect("the queue can be read").messages.unwrap_or_default()
    }

    /// How many messages wait or are being worked on.
    pub async fn depth(&self, queue: Queue) -> u64 {
        let counts = [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
        let request = self.sqs.get_queue_attributes().queue_url(self.queue_url(queue)).set_attribute_names(Some(counts.to_vec()));
        let attributes = request.send().await.expect("the queue has attributes").attributes.unwrap_or_default();
        attributes.values().filter_map(|count| count.parse::<u64>().ok()).sum()
    }

    fn queue_url(&self, queue: Queue) -> &str {
        &self.outputs[&format!("{}QueueUrl", queue.name())]
    }

    /// Waits for `state`; when it does not come, fails with what the functions said.
    pub async fn until<T>(&self, what: &str, state: impl AsyncFnMut() -> Option<T>) -> T {
        match until(LIMIT, state).await {
            Some(found) => found,
            None => panic!("not within {LIMIT:?}: {what}\n{}", self.logs()),
        }
    }

    /// The last lines that each function printed.
    pub fn logs(&self) -> String {
        self.emulated(&["logs", STACK])
    }
}

/// A queue that is not read as long as this lives.
pub struct Paused<'a> {
    deployment: &'a Deployment,
    queue: Queue,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.deployment.emulated(&["read", STACK, self.queue.name(), "on"]);
    }
}

fn bodies(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().filter_map(|message| message.body).collect()
}

/// The credentials as in `emulated.py`.
fn customerio_options() -> customerio::Options {
    customerio::Options {
        site_id: "site-id-of-the-tests".to_owned(),
        track_api_key: "api-key-of-the-tests".to_owned(),
        app_api_key: "app-api-key-of-the-tests".to_owned(),
        reporting_key: "reporting-key-of-the-tests".to_owned(),
        action_key: CUSTOMERIO_ACTIONS_KEY.to_owned(),
        deadline: Some(LIMIT),
        ..customerio::Options::default()
    }
}

/// The credentials as in `emulated.py`.
fn intercom_options() -> intercom::Options {
    intercom::Options {
        access_token: "access-token-of-the-tests".to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
        deadline: Some(LIMIT),
        ..intercom::Options::default()
    }
}

/// The credentials as in `emulated.py`.
fn segment_options() -> segment::Options {
    segment::Options {
        write_key: "write-key-of-the-tests".to_owned(),
        webhooks: Some(SEGMENT_SECRET.to_owned()),
        deadline: Some(LIMIT),
        ..segment::Options::default()
    }
}

fn sqs(emulator: &Emulator) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "emulator"))
        .endpoint_url(emulator.url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::standard())
        .build();
    Client::from_conf(config)
}
