//! The road of one case: ingest, route, send, until nothing can be received any more. The clock moves only to let what waits
//! for seconds come again.

use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use trefoil_connectors::segment::{BatchSignature, SegmentWebhooks};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Clock, Delivery, Disposition, Jitter, QueueName, Store as _};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::steps::route::Router;
use trefoil_domain::time::{Span, Timestamp};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_standins::intercom::sign;
use trefoil_standins::journal::Recorded;

/// 2024-05-14T09:30:20Z: right after what was recorded.
pub(crate) const HAND_AT: Timestamp = Timestamp::from_secs(1_715_679_020);
const SECRET: &str = "a-secret-that-protects-nothing";
const MOST_IN_BATCH: usize = 10;

/// One hand for the road and the stand-in.
#[derive(Clone, Debug)]
pub(crate) struct Hand(pub(crate) trefoil_standins::Clock);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.now())
    }
}

pub(crate) struct Steady;

impl Jitter for Steady {
    fn unit(&self) -> f64 {
        0.0
    }
}

/// What the destination saw of a case.
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

pub(crate) struct Road {
    pub(crate) config: Config,
    routes: Routes,
    workspace: Workspace,
    pub(crate) store: SqliteStore,
    pub(crate) queue: SqliteQueue,
    pub(crate) clock: Hand,
    pub(crate) jitter: Steady,
    _folder: tempfile::TempDir,
}

impl Road {
    pub(crate) fn new(yaml: &str, clock: Hand) -> Self {
        let (config, routes) = config::check("case.yaml", yaml).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(folder.path()).expect("a file");
        let queue = SqliteQueue::new(db.clone(), Arc::new(clock.clone()), 1000);
        let workspace = Workspace::new("main").expect("a name");
        Self { config, routes, workspace, store: SqliteStore::new(db), queue, clock, jitter: Steady, _folder: folder }
    }

    /// How all of it ended. `patience`: for how long what is to be tried again is waited for.
    pub(crate) async fn run(
        &self,
        case: &Value,
        lanes: &[QueueName],
        patience: Span,
        send: impl AsyncFn(QueueName, Vec<Delivery>) -> Vec<(String, Disposition)>,
    ) -> Vec<String> {
        let Self { store, queue, clock, jitter, config, routes, .. } = self;
        let mut ended = self.receive(case["input"].as_array().expect("input")).await;
        let until = clock.now().plus(patience);
        'busy: loop {
            for lane in std::iter::once(&QueueName::Events).chain(lanes) {
                let batch = queue.receive(*lane, MOST_IN_BATCH, Span::from_mins(3), clock.now()).await.expect("a queue");
                if batch.is_empty() {
                    continue;
                }
                let bodies: Vec<(String, Value)> =
                    batch.iter().map(|one| (one.id.clone(), serde_json::from_str(&one.body).expect("JSON"))).collect();
                let dispositions = match lane {
                    QueueName::Events => Router { store, queue, clock, jitter, config, routes }.handle(batch).await,
                    _ => send(*lane, batch).await,
                };
                for (id, disposition) in &dispositions {
                    let (_, body) = bodies.iter().find(|(of, _)| of == id).expect("one of the batch");
                    if let Disposition::Delete = disposition {
                        ended.extend(self.told(*lane, body).await);
                    }
                }
                queue.settle(*lane, dispositions, clock.now()).await.expect("a queue");
                continue 'busy;
            }
            if clock.now() >= until || !self.is_left(lanes).await {
                break;
            }
            clock.0.advance(Duration::from_secs(1));
        }
        if self.is_left(lanes).await {
            ended.push("waits".to_owned());
        }
        ended
    }

    async fn receive(&self, calls: &[Value]) -> Vec<String> {
        let secrets = [SecretString::from(SECRET)];
        let wanted = Wanted::of(&self.config);
        let webhooks = SegmentWebhooks::new(&secrets, self.workspace.clone(), Source::Segment, wanted, BatchSignature::Full);
        let webhooks = webhooks.expect("a long secret");
        let mut ended = Vec::new();
        for call in calls {
            let body = serde_json::to_vec(call).expect("JSON");
            let signature = sign(SECRET, &body);
            let received = webhooks.receive(Some(signature.trim_start_matches("sha1=")), &body, self.clock.now());
            let received = received.expect("our own signature");
            ended.push(format!("{received:?}").chars().take_while(|c| c.is_alphanumeric()).collect());
            let answer = ingest(&self.queue, &self.clock, "ingest-segment", &self.workspace, Ok(received), &body).await;
            assert!(!matches!(answer, Answer::Unavailable(_)), "the queue takes it");
        }
        ended
    }

    /// What the history says of the event, or the job of it, in `body`.
    async fn told(&self, lane: QueueName, body: &Value) -> Vec<String> {
        let event = serde_json::from_value(body["event"].clone()).or_else(|_| serde_json::from_value(body["id"].clone()));
        let history = self.store.history(&event.expect("an event"), self.clock.now()).await.expect("a history");
        let of_lane = history.into_iter().filter(|record| (record.stage == "route") == (lane == QueueName::Events));
        of_lane
            .map(|record| {
                let reason = record.outcome.reason().map(|reason| format!(" {}", reason.code)).unwrap_or_default();
                let skipped: String = record.skipped.iter().map(|(route, why)| format!(" ({route}: {why})")).collect();
                format!("{}{reason}{skipped}", record.outcome.name())
            })
            .collect()
    }

    async fn is_left(&self, lanes: &[QueueName]) -> bool {
        let depths = self.queue.depths(self.clock.now()).await.expect("a queue");
        lanes.iter().any(|lane| depths.get(lane).is_some_and(|depth| depth.visible + depth.in_flight > 0))
    }
}
