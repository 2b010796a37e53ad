//! The product without its processes: the real connectors and steps on the SQLite file, between the three stand-ins, all in one
//! clock that is moved by hand.

use crate::post::Body;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use trefoil_connectors::customerio::{self, CustomerioClient, CustomerioSettings, CustomerioWebhooks};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{self, IntercomClient, IntercomSettings, IntercomWebhooks};
use trefoil_connectors::segment::{self, BatchSignature, SegmentClient, SegmentSettings, SegmentWebhooks};
use trefoil_domain::config::{self, Config};
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::ports::{Clock, Disposition, Jitter, QueueName, Store as _};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::Parked;
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::steps::route::Router;
use trefoil_domain::steps::scan::scan;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::steps::send_segment::SegmentSender;
use trefoil_domain::time::{Span, Timestamp};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_standins::customerio::{CustomerIo, Endpoint};
use trefoil_standins::{Intercom, Segment};

/// Ends a call that hangs. None takes nearly as long, even on a busy machine: a call without an answer is another run.
const PATIENCE: Duration = Duration::from_mins(10);
const VISIBILITY: Span = Span::from_mins(3);
const MAX_RECEIVES: u32 = 1000;
/// No limit of a vendor matters here.
const UNLIMITED: f64 = 1e9;
/// With the most messages of one batch: one where a batch is worked on by several at once, so that a seed is one run.
const LANES: [(QueueName, usize); 6] = [
    (QueueName::Events, 1),
    (QueueName::IntercomState, 1),
    (QueueName::CustomerioState, 10),
    (QueueName::Segment, 10),
    (QueueName::Intercom, 1),
    (QueueName::Customerio, 10),
];
/// Batches at one moment, beyond which something goes round in circles.
const MOST_BATCHES: usize = 5_000;

/// The hand of the clock, in unix milliseconds; the stand-ins have the same.
#[derive(Clone)]
pub(crate) struct Hand(pub(crate) Arc<AtomicI64>);

impl Hand {
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.millis(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

struct Steady;

impl Jitter for Steady {
    fn unit(&self) -> f64 {
        0.5
    }
}

/// The three tools.
pub(crate) struct Tools {
    pub(crate) intercom: Intercom,
    pub(crate) customerio: CustomerIo,
    pub(crate) segment: Segment,
}

pub(crate) struct Road {
    pub(crate) hand: Hand,
    workspace: Workspace,
    config: Config,
    routes: Routes,
    store: SqliteStore,
    queue: SqliteQueue,
    customerio: CustomerioClient<Hand>,
    intercom: IntercomClient,
    segment: SegmentClient<Hand>,
    names: EventNameBudget,
    from_customerio: CustomerioWebhooks,
    from_intercom: IntercomWebhooks,
    from_segment: SegmentWebhooks,
    /// When something that was given back to its queue may be received again.
    looks: BTreeSet<Timestamp>,
    /// How bodies were answered: `intercom accepted`.
    pub(crate) answers: BTreeMap<String, usize>,
    /// How often the clock asked for something: a re-read, a repair.
    pub(crate) woken: usize,
}

impl Road {
    pub(crate) fn open(folder: &Path, hand: Hand, yaml: &str, tools: &Tools) -> Self {
        let (config, routes) = config::check("trefoil.yaml", yaml).unwrap_or_else(|problems| panic!("{problems}"));
        let workspace = Workspace::new("main").expect("a name");
        let http =
            Http::new(HttpSettings { connect_timeout: PATIENCE, total_timeout: PATIENCE, ..HttpSettings::default() }).expect("a client");
        let secret = |text: &str| SecretString::from(text);

        let options = tools.customerio.options();
        let keys = [secret(&options.reporting_key), secret(&options.action_key)];
        let from_customerio = CustomerioWebhooks::new(&keys, workspace.clone(), None).expect("keys");
        let mut settings = CustomerioSettings::new(
            customerio::Region::Us,
            options.site_id.clone(),
            secret(&options.track_api_key),
            Some(secret(&options.app_api_key)),
        );
        settings.track_url = Some(tools.customerio.track_url());
        settings.app_url = Some(tools.customerio.app_url());
        (settings.track_per_second, settings.app_per_second) = (UNLIMITED, UNLIMITED);
        let customerio = CustomerioClient::new(&settings, &http, hand.clone()).expect("a client");

        let options = tools.intercom.options();
        let from_intercom =
            IntercomWebhooks::new(&[secret(&options.client_secret)], workspace.clone(), Some(options.app_id.clone())).expect("a secret");
        let mut settings = IntercomSettings::new(intercom::Region::Us, secret(&options.access_token));
        settings.url = Some(tools.intercom.url());
        settings.per_second = UNLIMITED;
        settings.admin_id = options.admins.first().map(u64::to_string);
        let intercom = IntercomClient::new(&settings, &http).expect("a client");

        let options = tools.segment.options();
        let secrets = [secret(options.webhooks.as_deref().unwrap_or_default())];
        let wanted = Wanted::of(&config);
        let from_segment =
            SegmentWebhooks::new(&secrets, workspace.clone(), Source::Segment, wanted, BatchSignature::Full).expect("a secret");
        let mut settings = SegmentSettings::new(segment::Region::Us, secret(&options.write_key));
        settings.url = Some(format!("{}/v1", tools.segment.url()));
        settings.per_second = UNLIMITED;
        let segment = SegmentClient::new(&settings, &http, hand.clone()).expect("a client");

        let db = Db::open(folder).expect("a file");
        Self {
            workspace,
            names: EventNameBudget::new(&config),
            config,
            routes,
            store: SqliteStore::new(db.clone()),
            queue: SqliteQueue::new(db, Arc::new(hand.clone()), MAX_RECEIVES),
            customerio,
            intercom,
            segment,
            from_customerio,
            from_intercom,
            from_segment,
            looks: BTreeSet::new(),
            answers: BTreeMap::new(),
            woken: 0,
            hand,
        }
    }

    /// A webhook comes in.
    pub(crate) async fn take_in(&mut self, post: &Body) -> Answer {
        let now = self.hand.now();
        let (stage, received, body) = match post {
            Body::Intercom(webhook) => {
                ("intercom", self.from_intercom.receive(Some(&webhook.signature), &webhook.body, now), &webhook.body)
            }
            Body::Customerio(webhook) => {
                let sent_at = webhook.sent_at.to_string();
                let received = self.from_customerio.receive(Some(&sent_at), Some(&webhook.signature), &webhook.body, now);
                let stage = if webhook.endpoint == Endpoint::Action { "action" } else { "customerio" };
                (stage, received, &webhook.body)
            }
            Body::Segment(webhook) => {
                ("segment", self.from_segment.receive(webhook.signature.as_deref(), &webhook.body, now), &webhook.body)
            }
        };
        let answer = ingest(&self.queue, &self.hand, stage, &self.workspace, received, body).await;
        let what = match &answer {
            Answer::Accepted { dropped, .. } if dropped.is_empty() => "accepted".to_owned(),
            Answer::Accepted { dropped, .. } => dropped.keys().copied().collect::<Vec<_>>().join(" "),
            Answer::Ignored(word) | Answer::Parked(word) | Answer::Refused(word) => format!("{} {word}", answer.name()),
            Answer::Unauthorized | Answer::Unavailable(_) => panic!("{answer:?}: {}", String::from_utf8_lossy(body)),
        };
        *self.answers.entry(format!("{stage} {what}")).or_default() += 1;
        answer
    }

    /// Does all that can be done at this moment.
    pub(crate) async fn work(&mut self) {
        let now = self.hand.now();
        self.woken += scan(&self.store, &self.queue, &self.hand).await.expect("a store");
        self.looks = self.looks.split_off(&now.plus(Span::from_millis(1)));
        let (store, queue, clock, jitter, config) = (&self.store, &self.queue, &self.hand, &Steady, &self.config);
        let mut batches = 0;
        'busy: loop {
            for (lane, most) in LANES {
                let batch = queue.receive(lane, most, VISIBILITY, now).await.expect("a queue");
                if batch.is_empty() {
                    continue;
                }
                batches += 1;
                assert!(batches < MOST_BATCHES, "at {now:?} it goes round in circles: {:?}", batch.first());
                let dispositions = match lane {
                    QueueName::Events => Router { store, queue, clock, jitter, config, routes: &self.routes }.handle(batch).await,
                    QueueName::CustomerioState | QueueName::Customerio => {
                        CustomerioSender { store, queue, clock, jitter, customerio: &self.customerio, config }.handle(lane, batch).await
                    }
                    QueueName::IntercomState | QueueName::Intercom => {
                        let names = &self.names;
                        IntercomSender { store, queue, clock, jitter, intercom: &self.intercom, config, names }.handle(lane, batch).await
                    }
                    QueueName::Segment => SegmentSender { store, queue, clock, jitter, segment: &self.segment, config }.handle(batch).await,
                    QueueName::Parked => unreachable!("nobody works on it"),
                };
                for (_, disposition) in &dispositions {
                    match disposition {
                        Disposition::Retry(delay) => drop(self.looks.insert(now.plus(*delay))),
                        Disposition::Delete => {}
                    }
                }
                queue.settle(lane, dispositions, now).await.expect("a queue");
                continue 'busy;
            }
            return;
        }
    }

    /// When there is something to do next, unless something comes in before.
    pub(crate) async fn next(&self) -> Option<Timestamp> {
        let forever = self.hand.now().plus(Span::from_days(1000));
        let due = self.store.due_wakes(forever, 1).await.expect("a store").first().map(|wake| wake.due);
        self.looks.first().copied().into_iter().chain(due).min()
    }

    /// Messages in all queues but the one that a human looks into.
    pub(crate) async fn waiting(&self) -> BTreeMap<QueueName, u64> {
        let depths = self.queue.depths(self.hand.now()).await.expect("a queue");
        let waits = depths.into_iter().filter(|(queue, _)| *queue != QueueName::Parked);
        waits.map(|(queue, depth)| (queue, depth.visible + depth.in_flight + depth.dead)).filter(|(_, messages)| *messages > 0).collect()
    }

    /// What waits, for whoever reads of a failure.
    pub(crate) async fn look(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (lane, _) in LANES {
            let batch = self.queue.receive(lane, 10, VISIBILITY, self.hand.now().plus(Span::from_days(10))).await.expect("a queue");
            all.extend(batch.into_iter().map(|delivery| format!("{lane} {} {}", delivery.receive_count, delivery.body)));
        }
        all
    }

    /// Why things were parked, how often.
    pub(crate) async fn parked(&self) -> BTreeMap<String, usize> {
        let mut reasons = BTreeMap::new();
        loop {
            let batch = self.queue.receive(QueueName::Parked, 10, VISIBILITY, self.hand.now()).await.expect("a queue");
            if batch.is_empty() {
                return reasons;
            }
            for delivery in batch {
                let parked: Parked = serde_json::from_str(&delivery.body).expect("parked");
                *reasons.entry(format!("{} {}", parked.stage, parked.reason.code)).or_default() += 1;
            }
        }
    }
}
