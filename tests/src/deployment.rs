//! The product, deployed once for all tests of a run, with stand-ins for the vendors.

use crate::emulator::{Emulator, root};
use crate::vendors::{Customerio, Intercom};
use crate::waiting::until;
use crate::webhooks;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Runtime;

const STACK: &str = "trefoil";
/// The binaries that the template names.
const BINARIES: [&str; 5] = ["ingest-intercom", "route-events", "send-customerio", "send-intercom", "scan-people"];
/// Long enough for a busy machine with two cores; a state that does not come costs this once.
const LIMIT: Duration = Duration::from_secs(60);

/// A queue of the template, with its dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Events,
    CustomerioState,
    Customerio,
    Intercom,
}

impl Queue {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "Events",
            Self::CustomerioState => "CustomerioState",
            Self::Customerio => "Customerio",
            Self::Intercom => "Intercom",
        }
    }
}

pub struct Deployment {
    emulator: Emulator,
    outputs: BTreeMap<String, String>,
    sqs: Client,
    http: reqwest::Client,
    pub customerio: Customerio,
    pub intercom: Intercom,
}

impl Deployment {
    /// Runs `test` against the one deployment of this run, which the first test makes.
    pub fn test(test: impl AsyncFnOnce(&Self)) {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
        // One runtime for all tests: the stand-ins live in it.
        let runtime = RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"));
        let deployment = DEPLOYMENT.get_or_init(|| runtime.block_on(Self::make()));
        runtime.block_on(test(deployment));
    }

    async fn make() -> Self {
        let binaries = build();
        let customerio = Customerio::start().await;
        let intercom = Intercom::start().await;
        // reqwest wants one even for plain HTTP; a second one installed is no harm.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::new();
        let emulator = Emulator::start(&http).await;
        let parameters = [
            format!("Architecture={}", std::env::consts::ARCH.replace("aarch64", "arm64")),
            format!("ConfigPath={}", root().join("trefoil.yaml").display()),
            "IntercomRegion=eu".to_owned(),
            format!("IntercomAppId={}", webhooks::APP_ID),
            format!("IntercomUrl={}", intercom.url),
            "CustomerioRegion=eu".to_owned(),
            format!("CustomerioUrl={}", customerio.url),
            // A batch that is lost with its function comes back after 5 s, a poison message is given up after two deliveries.
            "WorkerTimeout=20".to_owned(),
            "QueueVisibility=5".to_owned(),
            "RouteMaxReceives=2".to_owned(),
        ];
        let mut deploy = emulator.python(&root().join("tests/emulated.py"));
        deploy.args(["deploy", STACK]).args([&binaries, &emulator.folder]).args(parameters);
        let done = deploy.output().expect("the deployment starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "the template could not be deployed:\n{said}\n{}", emulator.log());
        let outputs = serde_json::from_slice(&done.stdout).expect("the outputs of the stack");
        Self { sqs: sqs(&emulator), http, emulator, outputs, customerio, intercom }
    }

    /// Sends a webhook as Intercom does, with this signature. Answers the status and the body.
    pub async fn intercom_sends(&self, body: &str, signature: &str) -> (u16, String) {
        let request = self.http.post(self.webhook_url()).header("content-type", "application/json");
        let answer = request.header("x-hub-signature", signature).body(body.to_owned()).send().await.expect("an answer to the webhook");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// Intercom's check of the URL when it is saved.
    pub async fn intercom_asks_head(&self) -> u16 {
        self.http.head(self.webhook_url()).send().await.expect("an answer to HEAD").status().as_u16()
    }

    fn webhook_url(&self) -> String {
        let url = &self.outputs["IntercomWebhookUrl"];
        let id = url.trim_start_matches("https://").split('.').next().unwrap_or_default();
        format!("{}/_aws/lambda-url/{id}/", self.emulator.url())
    }

    /// Puts a message straight on a queue.
    pub async fn put(&self, queue: Queue, body: &str, group: &str, dedup: &str) {
        let message = self.sqs.send_message().queue_url(self.queue_url(queue)).message_body(body);
        message.message_group_id(group).message_deduplication_id(dedup).send().await.expect("the queue accepts the message");
    }

    /// The messages that were given up, as far as one look shows; they stay where they are.
    pub async fn dead_letters(&self, queue: Queue) -> Vec<String> {
        self.look(&self.outputs[&format!("{}DeadQueueUrl", queue.name())]).await
    }

    /// The payloads that could not be used, as far as one look shows.
    pub async fn parked(&self) -> Vec<String> {
        self.look(&self.outputs["ParkedQueueUrl"]).await
    }

    async fn look(&self, url: &str) -> Vec<String> {
        let request = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(0);
        let messages = request.send().await.expect("the queue can be read").messages.unwrap_or_default();
        messages.into_iter().filter_map(|message: Message| message.body).collect()
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
        let mut command = self.emulator.python(&root().join("tests/emulated.py"));
        let printed = command.args(["logs", STACK]).output().expect("the logs can be read");
        String::from_utf8_lossy(&printed.stdout).into_owned()
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

/// Builds the functions for this machine, and says in which folder they are.
fn build() -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["build", "--workspace", "--locked", "--message-format=json-render-diagnostics"]);
    command.args(BINARIES.iter().flat_map(|name| ["--bin", name])).stderr(Stdio::inherit());
    let built = command.output().expect("cargo starts");
    assert!(built.status.success(), "the functions could not be built; see above");
    let messages = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let executable = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    executable.and_then(|path| path.parent().map(PathBuf::from)).expect("cargo names what it built")
}
