//! The road of one body: ingest, then one lane after the other until nothing can be received any more.

use super::Still;
use super::asked::{CAMPAIGN_NAME, actions, asked_of_app, job, look_up, routes};
use super::bodies::Body;
use super::known;
use super::line::{Line, Request};
use super::source;
use super::watch::{Reasons, Watched};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use trefoil_connectors::customerio::{self, CustomerioClient, CustomerioSettings};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{self, IntercomClient, IntercomSettings};
use trefoil_connectors::segment::{self, SegmentClient, SegmentSettings};
use trefoil_domain::config::Config;
use trefoil_domain::event::{Event, Workspace};
use trefoil_domain::id::EventId;
use trefoil_domain::job::{LookUp, Work};
use trefoil_domain::ports::{Clock, Delivery, Disposition, Jitter, Message, QueueName, Received, Record, Store as _};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::steps::{route::Router, send_customerio::CustomerioSender, send_segment::SegmentSender};
use trefoil_domain::time::Span;
use trefoil_platform::settings::{CustomerioRegion, IntercomRegion, Plan, SegmentRegion};
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_standins::journal::Recorded;
use trefoil_standins::{customerio as standin_customerio, intercom as standin_intercom, segment as standin_segment};

/// As on AWS. The clock stands still, so that it never runs out.
const VISIBILITY: Span = Span::from_mins(3);
const MAX_RECEIVES: u32 = 1000;
/// As many as SQS gives at once.
const BATCH: usize = 10;
/// No limit of a vendor matters where no time passes.
const UNLIMITED: f64 = 1e9;
/// In this order, from the front again after each batch: what a look-up answers comes before what waits for it.
const LANES: [QueueName; 6] = [
    QueueName::Events,
    QueueName::IntercomState,
    QueueName::Intercom,
    QueueName::CustomerioState,
    QueueName::Customerio,
    QueueName::Segment,
];

/// The shortest wait, always.
struct Steady;

impl Jitter for Steady {
    fn unit(&self) -> f64 {
        0.0
    }
}

pub(crate) struct Road {
    clock: Still,
    workspace: Workspace,
    config: Config,
    routes: Routes,
    store: SqliteStore,
    queue: Watched,
    customerio: CustomerioClient<Still>,
    intercom: IntercomClient,
    names: EventNameBudget,
    segment: SegmentClient<Still>,
    /// Real addresses, to show.
    customerio_region: customerio::Region,
    intercom_region: intercom::Region,
    segment_region: segment::Region,
    customerio_standin: standin_customerio::CustomerIo,
    intercom_standin: standin_intercom::Intercom,
    segment_standin: standin_segment::Segment,
    reasons: Reasons,
    _logged: tracing::subscriber::DefaultGuard,
    /// Last, so that the file in it is closed before.
    _folder: Option<tempfile::TempDir>,
}

impl Road {
    /// Starts the stand-ins, and opens `state` or a file for this run alone.
    ///
    /// # Errors
    /// The file cannot be used, or no port can be had.
    pub(crate) async fn open(state: Option<&Path>, settings: &Plan, config: Config, routes: Routes, clock: Still) -> Result<Self, String> {
        let reasons = Reasons::default();
        let logged = tracing::subscriber::set_default(reasons.clone());
        let hands = trefoil_standins::Clock::manual(clock.now().secs());
        let options = standin_customerio::Options { clock: hands.clone(), ..standin_customerio::Options::default() };
        let customerio_standin = standin_customerio::CustomerIo::start(options).await.map_err(|e| format!("no stand-in: {e}"))?;
        let options = standin_intercom::Options {
            clock: hands.clone(),
            requests_per_window: u32::MAX,
            has_everything: true,
            ..standin_intercom::Options::default()
        };
        let intercom_standin = standin_intercom::Intercom::start(options).await.map_err(|e| format!("no stand-in: {e}"))?;

        let options = standin_segment::Options { clock: hands, requests_per_second: u32::MAX, ..standin_segment::Options::default() };
        let segment_standin = standin_segment::Segment::start(options).await.map_err(|e| format!("no stand-in: {e}"))?;

        let (db, folder) = match state {
            Some(file) => (Db::open_file(file).map_err(|e| e.to_string())?, None),
            None => {
                let folder = tempfile::tempdir().map_err(|e| format!("no place for temporary files: {e}"))?;
                (Db::open(folder.path()).map_err(|e| e.to_string())?, Some(folder))
            }
        };
        let queue = Watched::new(SqliteQueue::new(db.clone(), Arc::new(clock), MAX_RECEIVES));
        let http = Http::new(HttpSettings::default()).map_err(|e| e.to_string())?;
        let customerio_region = match settings.customerio {
            Some(CustomerioRegion::Eu) => customerio::Region::Eu,
            Some(CustomerioRegion::Us) | None => customerio::Region::Us,
        };
        let intercom_region = match settings.intercom {
            Some(IntercomRegion::Eu) => intercom::Region::Eu,
            Some(IntercomRegion::Au) => intercom::Region::Au,
            Some(IntercomRegion::Us) | None => intercom::Region::Us,
        };
        let segment_region = match settings.segment {
            Some(SegmentRegion::Eu) => segment::Region::Eu,
            Some(SegmentRegion::Us) | None => segment::Region::Us,
        };
        let known = customerio_standin.options();
        let customerio = CustomerioSettings {
            region: customerio_region,
            track_url: Some(customerio_standin.track_url()),
            app_url: Some(customerio_standin.app_url()),
            site_id: known.site_id.clone(),
            api_key: SecretString::from(known.track_api_key.as_str()),
            app_key: Some(SecretString::from(known.app_api_key.as_str())),
            track_per_second: UNLIMITED,
            app_per_second: UNLIMITED,
            copies: 1,
            dates_as_seconds: config.customerio.dates_as_seconds,
        };
        let intercom = IntercomSettings {
            region: intercom_region,
            url: Some(intercom_standin.url()),
            access_token: SecretString::from(intercom_standin.options().access_token.as_str()),
            per_second: UNLIMITED,
            copies: 1,
            // Nothing leaves the machine, so that any will do.
            admin_id: intercom_standin.options().admins.first().map(u64::to_string),
            create_attributes: false,
            in_app_message_type: "in_app".to_owned(),
        };
        let segment = SegmentSettings {
            region: segment_region,
            url: Some(format!("{}/v1", segment_standin.url())),
            write_key: SecretString::from(segment_standin.options().write_key.as_str()),
            per_second: UNLIMITED,
            copies: 1,
        };
        Ok(Self {
            clock,
            workspace: settings.workspace.clone(),
            names: EventNameBudget::new(&config),
            config,
            routes,
            store: SqliteStore::new(db),
            queue,
            customerio: CustomerioClient::new(&customerio, &http, clock).map_err(|e| e.to_string())?,
            intercom: IntercomClient::new(&intercom, &http).map_err(|e| e.to_string())?,
            segment: SegmentClient::new(&segment, &http, clock).map_err(|e| e.to_string())?,
            customerio_region,
            intercom_region,
            segment_region,
            customerio_standin,
            intercom_standin,
            segment_standin,
            reasons,
            _logged: logged,
            _folder: folder,
        })
    }

    /// Everybody whom these events name is known to the vendors from now on.
    pub(crate) fn assume_known<'e>(&self, events: impl Iterator<Item = &'e Event>) {
        known::introduce(events, &self.customerio_standin, &self.intercom_standin);
    }

    /// Takes a body in, and does all that can be done now.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) async fn line(&self, stage: &str, received: Received, body: &Body) -> Result<Line, String> {
        let mut line = Line { events: source::events(&received).to_vec(), ..Line::default() };
        ingested(&received, &mut line);
        let answer = ingest(&self.queue, &self.clock, stage, &self.workspace, Ok(received), body).await;
        if let Answer::Unavailable(why) = answer {
            return Err(why);
        }
        // What has been sent and not been received yet; in the end, what never was.
        let mut open = self.queue.take_sent();
        while let Some((lane, deliveries)) = self.receive().await? {
            let dispositions = self.handle(lane, deliveries.clone()).await;
            self.queue.queue.settle(lane, dispositions.clone(), self.clock.now()).await.map_err(|e| e.to_string())?;
            self.requests(&deliveries, &mut line);
            self.outcomes(lane, &deliveries, &dispositions, &mut line).await?;
            for delivery in &deliveries {
                if let Some(at) = open.iter().position(|(queue, message)| *queue == lane && message.body == delivery.body) {
                    open.remove(at);
                }
            }
            open.extend(self.queue.take_sent());
        }
        for (lane, message) in open {
            never_received(lane, &message, &mut line);
        }
        Ok(line)
    }

    /// The next batch, of the first lane that has one. Where order could show, it is one message.
    async fn receive(&self) -> Result<Option<(QueueName, Vec<Delivery>)>, String> {
        for lane in LANES {
            let most = if matches!(lane, QueueName::Events | QueueName::IntercomState | QueueName::Intercom) { 1 } else { BATCH };
            let batch = self.queue.queue.receive(lane, most, VISIBILITY, self.clock.now()).await.map_err(|e| e.to_string())?;
            if !batch.is_empty() {
                return Ok(Some((lane, batch)));
            }
        }
        Ok(None)
    }

    async fn handle(&self, lane: QueueName, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        let (store, queue, clock, jitter, config) = (&self.store, &self.queue, &self.clock, &Steady, &self.config);
        match lane {
            QueueName::Events => Router { store, queue, clock, jitter, config, routes: &self.routes }.handle(deliveries).await,
            QueueName::IntercomState | QueueName::Intercom => {
                let (intercom, names) = (&self.intercom, &self.names);
                IntercomSender { store, queue, clock, jitter, intercom, config, names }.handle(lane, deliveries).await
            }
            QueueName::CustomerioState | QueueName::Customerio => {
                CustomerioSender { store, queue, clock, jitter, customerio: &self.customerio, config }.handle(lane, deliveries).await
            }
            QueueName::Segment => SegmentSender { store, queue, clock, jitter, segment: &self.segment, config }.handle(deliveries).await,
            // Nobody receives it.
            QueueName::Parked => Vec::new(),
        }
    }

    /// Takes the requests of a batch out of the journals.
    fn requests(&self, deliveries: &[Delivery], line: &mut Line) {
        let work: BTreeSet<String> = deliveries.iter().filter_map(|delivery| job(&delivery.body)).flat_map(|job| actions(&job)).collect();
        let work = work.into_iter().collect::<Vec<_>>().join("+");
        let show = |recorded: Recorded, destination, action: &str, base: &str| Request {
            destination,
            action: action.to_owned(),
            url: format!("{base}{}{}", recorded.path, recorded.query.map(|query| format!("?{query}")).unwrap_or_default()),
            body: serde_json::from_slice(&recorded.body).ok(),
            method: recorded.method,
        };
        let (track, app) = (self.customerio_region.track_url(), self.customerio_region.app_url());
        let mut asked: Vec<Recorded> = self.customerio_standin.journal().requests();
        // Several addresses are asked for at a time: which answer came first is chance.
        for together in asked.chunk_by_mut(|one, next| one.method == "GET" && next.method == "GET") {
            together.sort_by_cached_key(|one| (one.path.clone(), one.query.clone()));
        }
        for recorded in asked {
            let (action, base) = asked_of_app(&recorded).map_or((work.as_str(), track), |action| (action, app));
            line.requests.push(show(recorded, "customerio", action, base));
        }
        for recorded in self.intercom_standin.journal().requests() {
            line.requests.push(show(recorded, "intercom", &work, self.intercom_region.url()));
        }
        for recorded in self.segment_standin.journal().requests() {
            line.requests.push(show(recorded, "segment", &work, self.segment_region.url().trim_end_matches("/v1")));
        }
        self.segment_standin.journal().clear();
        self.customerio_standin.journal().clear();
        self.intercom_standin.journal().clear();
    }

    /// How each delivery ended.
    async fn outcomes(
        &self,
        lane: QueueName,
        deliveries: &[Delivery],
        dispositions: &[(String, Disposition)],
        line: &mut Line,
    ) -> Result<(), String> {
        let reasons = self.reasons.take();
        for delivery in deliveries {
            let Some(item) = Item::of(lane, delivery) else { continue };
            match dispositions.iter().find(|(id, _)| *id == delivery.id).map(|(_, disposition)| disposition) {
                Some(Disposition::Delete) => {
                    let history = self.store.history(&item.event, self.clock.now()).await.map_err(|e| e.to_string())?;
                    let Some(record) = history.into_iter().find(|record| record.stage == item.stage) else { continue };
                    ended(&record, &item, line);
                }
                Some(Disposition::Retry(delay)) => {
                    let reason = reasons.get(item.event.as_str()).map_or("trouble", String::as_str);
                    for route in &item.routes {
                        line.waits(route, reason, Some(self.clock.now().plus(*delay)));
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Something that was received, as its outcome is told.
struct Item {
    event: EventId,
    /// Under which the outcome is written down.
    stage: String,
    /// The routes that asked for it, or what it is.
    routes: Vec<String>,
}

impl Item {
    fn of(lane: QueueName, delivery: &Delivery) -> Option<Self> {
        if lane == QueueName::Events {
            let event: Event = serde_json::from_str(&delivery.body).ok()?;
            return Some(Self { event: event.id, stage: "route".to_owned(), routes: vec!["route".to_owned()] });
        }
        let job = job(&delivery.body)?;
        let stage = match &job.work {
            Work::IntercomLookUp(question) => format!("{lane}#{}", look_up(question)),
            Work::CustomerioLookUp(_) => format!("{lane}#{CAMPAIGN_NAME}"),
            Work::Consent { .. } => format!("{lane}#consent#{}", job.about()),
            Work::CustomerioFacet { .. } | Work::SegmentFacet { .. } | Work::Customerio(_) | Work::Intercom(_) | Work::Segment(_) => {
                format!("{lane}#{}", job.about())
            }
        };
        let routes = routes(&job);
        Some(Self { event: job.event, stage, routes })
    }
}

fn ended(record: &Record, item: &Item, line: &mut Line) {
    if let Some(reason) = record.outcome.reason() {
        for route in &item.routes {
            line.skip(route, &reason.code);
        }
    }
    for (route, reason) in &record.skipped {
        line.skip(route, reason);
    }
}

/// What the way in left.
fn ingested(received: &Received, line: &mut Line) {
    match received {
        Received::Events(_) => {}
        Received::Ignored(reason) | Received::Unusable { reason, .. } | Received::Refused { reason, .. } => line.skip("ingest", reason),
        Received::Several(several) => {
            several.unusable.iter().for_each(|part| line.skip("ingest", part.reason));
            for (reason, count) in &several.dropped {
                (0..*count).for_each(|_| line.skip("ingest", reason));
            }
        }
    }
}

/// A message that was sent and did not come: the queue has had the same within the last minutes, or something of the same
/// person waits before it.
fn never_received(lane: QueueName, message: &Message, line: &mut Line) {
    match lane {
        QueueName::Parked => {}
        QueueName::Events => line.skip("ingest", "duplicate"),
        QueueName::CustomerioState | QueueName::Customerio | QueueName::IntercomState | QueueName::Intercom | QueueName::Segment => {
            let Some(job) = job(&message.body) else { return };
            for route in routes(&job) {
                match &job.work {
                    Work::IntercomLookUp(LookUp::Contact { .. }) => line.skip(&route, "asked_already"),
                    Work::IntercomLookUp(LookUp::Conversation { .. })
                    | Work::CustomerioFacet { .. }
                    | Work::SegmentFacet { .. }
                    | Work::Consent { .. }
                    | Work::Segment(_)
                    | Work::Customerio(_)
                    | Work::CustomerioLookUp(_)
                    | Work::Intercom(_) => {
                        line.waits(&route, "behind_earlier_work", None);
                    }
                }
            }
        }
    }
}
