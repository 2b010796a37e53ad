//! The road of one case: ingest, route, send, until nothing can be received any more. The clock stands still.

use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, Region};
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::config;
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Clock, Disposition, Jitter, QueueName};
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::steps::route::Router;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_standins::intercom::{Intercom, Options, sign};
use trefoil_standins::journal::Recorded;

/// 2024-05-14T09:30:20Z: right after what was recorded.
const NOW: Timestamp = Timestamp::from_secs(1_715_679_020);
const LANES: [QueueName; 3] = [QueueName::Events, QueueName::IntercomState, QueueName::Intercom];
const SECRET: &str = "a-secret-that-protects-nothing";

#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Steady;

impl Jitter for Steady {
    fn unit(&self) -> f64 {
        0.0
    }
}

/// What Intercom saw of a case.
pub(crate) struct Ran {
    /// In order, questions included.
    pub(crate) requests: Vec<Recorded>,
    /// How each event and job ended: `done`, `skipped anonymous_stranger`, `waits`.
    pub(crate) ended: Vec<String>,
}

impl Ran {
    /// Something will be tried again.
    pub(crate) fn waits(&self) -> bool {
        self.ended.iter().any(|ended| ended == "waits")
    }
}

pub(crate) async fn run(yaml: &str, calls: &[Value], set: impl FnOnce(&Intercom)) -> Ran {
    let (config, routes) = config_of(yaml);
    let workspace = Workspace::new("main").expect("a name");
    let hands = trefoil_standins::Clock::manual(NOW.secs());
    let options = Options { clock: hands, has_everything: true, ..Options::default() };
    let standin = Intercom::start(options).await.expect("a stand-in");
    set(&standin);
    let settings = IntercomSettings {
        region: Region::Us,
        url: Some(standin.url()),
        access_token: SecretString::from(standin.options().access_token.as_str()),
        per_second: 1e9,
        copies: 1,
        admin_id: None,
        create_attributes: false,
        in_app_message_type: "in_app".to_owned(),
    };
    let http = Http::new(HttpSettings::default()).expect("a client");
    let client = IntercomClient::new(&settings, &http).expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(folder.path()).expect("a file");
    let queue = SqliteQueue::new(db.clone(), Arc::new(Still), 1000);
    let store = SqliteStore::new(db);
    let names = EventNameBudget::new(&config);

    let secrets = [SecretString::from(SECRET)];
    let webhooks = SegmentWebhooks::new(&secrets, workspace.clone(), Source::Segment, Wanted::of(&config), BatchSignature::Full);
    let webhooks = webhooks.expect("a long secret");
    let mut ended = Vec::new();
    for call in calls {
        let body = serde_json::to_vec(call).expect("JSON");
        let received = webhooks.receive(Some(sign(SECRET, &body).trim_start_matches("sha1=")), &body, NOW).expect("our own signature");
        ended.push(format!("{received:?}").chars().take_while(|c| c.is_alphanumeric()).collect());
        let answer = ingest(&queue, &Still, "ingest-segment", &workspace, Ok(received), &body).await;
        assert!(!matches!(answer, Answer::Unavailable(_)), "the queue takes it");
    }
    let (store, queue, clock, jitter, config) = (&store, &queue, &Still, &Steady, &config);
    'busy: loop {
        for lane in LANES {
            let batch = queue.receive(lane, 1, Span::from_mins(3), NOW).await.expect("a queue");
            if batch.is_empty() {
                continue;
            }
            let bodies: Vec<Value> = batch.iter().map(|delivery| serde_json::from_str(&delivery.body).expect("JSON")).collect();
            let dispositions = if lane == QueueName::Events {
                Router { store, queue, clock, jitter, config, routes: &routes }.handle(batch).await
            } else {
                IntercomSender { store, queue, clock, jitter, intercom: &client, config, names: &names }.handle(lane, batch).await
            };
            for (body, (_, disposition)) in bodies.iter().zip(&dispositions) {
                if let Disposition::Retry(_) = disposition {
                    ended.push("waits".to_owned());
                    continue;
                }
                let event = serde_json::from_value(body["event"].clone()).or_else(|_| serde_json::from_value(body["id"].clone()));
                let history = store.records(&event.expect("an event")).await;
                ended.extend(history.into_iter().filter(|record| (record.stage == "route") == (lane == QueueName::Events)).map(|record| {
                    let reason = record.outcome.reason().map(|reason| format!(" {}", reason.code)).unwrap_or_default();
                    let skipped: String = record.skipped.iter().map(|(route, why)| format!(" ({route}: {why})")).collect();
                    format!("{}{reason}{skipped}", record.outcome.name())
                }));
            }
            queue.settle(lane, dispositions, NOW).await.expect("a queue");
            continue 'busy;
        }
        break;
    }
    Ran { requests: standin.journal().requests(), ended }
}

fn config_of(yaml: &str) -> (config::Config, trefoil_domain::rules::Routes) {
    config::check("case.yaml", yaml).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}

trait Records {
    async fn records(&self, event: &trefoil_domain::id::EventId) -> Vec<trefoil_domain::ports::Record>;
}

impl Records for SqliteStore {
    async fn records(&self, event: &trefoil_domain::id::EventId) -> Vec<trefoil_domain::ports::Record> {
        use trefoil_domain::ports::Store as _;
        self.history(event, NOW).await.expect("a history")
    }
}
