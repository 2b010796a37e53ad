//! `trefoil serve`: the whole road in one process, all state in one SQLite file.
//!
//! The same steps and connectors as the functions; only what feeds them differs. What was acknowledged is on the disk:
//! the process may be killed at any time and goes on where it was.

mod endpoints;

use secrecy::ExposeSecret;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use trefoil_connectors::customerio::{self, CustomerioClient, CustomerioSettings};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{self, IntercomClient, IntercomSettings};
use trefoil_connectors::segment::{self, SegmentClient, SegmentSettings};
use trefoil_domain::config::{self, Config};
use trefoil_domain::ports::{Clock, Customerio, Delivery, Destination, Disposition, Intercom, QueueError, QueueName, Segment};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::steps::{route::Router, scan::scan, send_customerio::CustomerioSender, send_segment::SegmentSender};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::settings::{CustomerioRegion, Environment, IntercomRegion, SegmentRegion, Serve};
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_platform::telemetry;

#[derive(clap::Args)]
#[command(
    after_help = "The settings come from the environment: TREFOIL_INTERCOM_CLIENT_SECRET, TREFOIL_INTERCOM_TOKEN, TREFOIL_INTERCOM_REGION,\n\
TREFOIL_CUSTOMERIO_SITE_ID, TREFOIL_CUSTOMERIO_API_KEY, TREFOIL_CUSTOMERIO_APP_API_KEY (optional), TREFOIL_CUSTOMERIO_REGION;\n\
to take webhooks of the other tools TREFOIL_CUSTOMERIO_SIGNING_KEYS, TREFOIL_SEGMENT_SHARED_SECRET, TREFOIL_PIPELINES_SHARED_SECRET;\n\
to write to Segment TREFOIL_SEGMENT_WRITE_KEY, TREFOIL_SEGMENT_REGION.\n\
README.md lists all of them.\n\nExample:\n  trefoil serve --listen 127.0.0.1:8787 --data /var/lib/trefoil --config trefoil.yaml"
)]
pub struct Arguments {
    /// Where to listen. Put a proxy that speaks TLS in front of it.
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Folder of the one file that holds everything.
    #[arg(long, default_value = "trefoil-data", value_name = "DIR")]
    data: PathBuf,
    /// The configuration; without it TREFOIL_CONFIG, and without that the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// As on AWS: longer than any batch takes.
const VISIBILITY: Span = Span::from_mins(3);
/// Only a backstop: giving up goes by age. Poison is not worth a thousand rounds, but nor is an outage worth a dead letter.
const MAX_RECEIVES: u32 = 1000;
/// How long a stop waits for what is queued.
pub const DRAIN_FOR: Duration = Duration::from_secs(10);
/// How often a worker with nothing to do looks whether the others are done too.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// Messages in one batch. Larger than on SQS, where ten is the most: the vendors' batches take more.
const BATCH: usize = 100;

pub fn run(arguments: &Arguments) -> ExitCode {
    let environment = Environment::of_process();
    telemetry::log_human(&environment.log_level());
    finished(block_on(serve(arguments, &environment)))
}

/// How a command ends that says nothing of its own when it succeeds.
pub(crate) fn finished(ended: Result<(), String>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            anstream::eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a future on a runtime of its own.
///
/// # Errors
/// The runtime cannot be made, or the future failed.
pub fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| format!("no runtime: {e}"))?.block_on(future)
}

async fn serve(arguments: &Arguments, environment: &Environment) -> Result<(), String> {
    let settings = environment.serve().map_err(|problems| problems.to_string())?;
    let (config, routes) = configured(arguments.config.as_deref(), &settings.config)?;
    let node = Node::start(settings, config, routes, &arguments.data, arguments.listen).await?;
    // Before anybody is told that it runs, or a stop that comes at once would end it in the middle.
    let mut told = Told::to_stop().map_err(|e| format!("cannot wait for Ctrl-C: {e}"))?;
    tracing::info!(address = %node.address, data = %arguments.data.display(), "listening; paste <public address>/webhooks/intercom into Intercom's Developer Hub");
    told.again().await;
    tracing::info!("stopping: finishing what is queued; Ctrl-C again stops at once, and loses nothing either");
    tokio::select! {
        () = node.stop(DRAIN_FOR) => {}
        () = told.again() => {}
    }
    Ok(())
}

/// What asks a process to end: Ctrl-C, and the termination that service managers and containers send.
struct Told {
    interrupt: Signal,
    terminate: Signal,
}

impl Told {
    fn to_stop() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The configuration in the file that was named, else in `usual` where that exists, else the shipped one.
///
/// # Errors
/// The file cannot be read, or is not right; all that is wrong is named.
pub(crate) fn configured(named: Option<&Path>, usual: &Path) -> Result<(Config, Routes), String> {
    let Some(file) = named.or_else(|| usual.exists().then_some(usual)) else { return embedded() };
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{name} cannot be read: {e}"))?;
    config::check(&name, &text).map_err(|problems| problems.to_string())
}

/// The shipped configuration.
///
/// # Errors
/// Never, unless the program was built from a broken file.
pub fn embedded() -> Result<(Config, Routes), String> {
    config::check(config::FILE_NAME, config::EMBEDDED).map_err(|problems| problems.to_string())
}

/// Everything that the workers share.
struct Parts {
    store: SqliteStore,
    queue: SqliteQueue,
    config: Config,
    routes: Routes,
    customerio: CustomerioClient<SystemClock>,
    intercom: IntercomClient,
    names: EventNameBudget,
    /// `None`: nothing is written there.
    segment: Option<SegmentClient<SystemClock>>,
}

/// A running Trefoil.
pub struct Node {
    pub address: SocketAddr,
    pub store: SqliteStore,
    pub queue: SqliteQueue,
    stop: watch::Sender<Stage>,
    tasks: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Stage {
    Running,
    /// No webhooks any more; workers go on until nothing can be done now.
    Draining,
    Stopped,
}

impl Node {
    /// Opens the file, binds the address and starts the workers.
    ///
    /// # Errors
    /// A setting, the file or the address cannot be used; the text says which, and what to do.
    pub async fn start(settings: Serve, mut config: Config, routes: Routes, data: &Path, listen: SocketAddr) -> Result<Self, String> {
        let db = Db::open(data).map_err(|e| e.to_string())?;
        let queue = SqliteQueue::new(db.clone(), Arc::new(SystemClock), MAX_RECEIVES);
        let store = SqliteStore::new(db);
        let endpoints = endpoints::endpoints(&settings, &config, queue.clone())?;
        let http = Http::new(HttpSettings::default()).map_err(|e| e.to_string())?;
        let (customerio, intercom) = (customerio(&settings, &config, &http)?, intercom(&settings, &http)?);
        let segment = segment(&settings, &http)?;
        if segment.is_none() {
            // Nobody would do what is asked of it.
            config.off.insert(Destination::Segment);
        }
        if settings.customerio.app_api_key.is_none() {
            tracing::warn!(
                "TREFOIL_CUSTOMERIO_APP_API_KEY is not set: profiles cannot be looked up. State is written update-only; events are held back unless \
                 trefoil.yaml says `customerio: {{ profiles_exist: true }}`"
            );
        }
        let names = EventNameBudget::new(&config);
        let parts = Arc::new(Parts { store: store.clone(), queue: queue.clone(), config, routes, customerio, intercom, names, segment });
        let listener =
            TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}; choose another address with --listen"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let (stop, stage) = watch::channel(Stage::Running);

        let mut tasks = JoinSet::new();
        let working = Arc::new(AtomicUsize::new(1));
        let (mut until, accepting) = (stage.clone(), Arc::clone(&working));
        tasks.spawn(async move {
            let stopped = async move { drop(until.wait_for(|stage| *stage > Stage::Running).await) };
            if let Err(error) = axum::serve(listener, endpoints).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the webhook endpoint ended");
            }
            accepting.fetch_sub(1, Ordering::SeqCst);
        });
        let feed = |queue_name| Feed { name: queue_name, queue: queue.clone(), stage: stage.clone(), working: Arc::clone(&working) };
        for _ in 0..2 {
            let parts = Arc::clone(&parts);
            let work = move |deliveries| {
                let p = Arc::clone(&parts);
                async move {
                    let (store, queue, clock, jitter) = (&p.store, &p.queue, &SystemClock, &SystemJitter);
                    Router { store, queue, clock, jitter, config: &p.config, routes: &p.routes }.handle(deliveries).await
                }
            };
            tasks.spawn(worker(feed(QueueName::Events), |_| None, work));
        }
        for lane in [QueueName::CustomerioState, QueueName::CustomerioState, QueueName::Customerio, QueueName::Customerio] {
            let (p, q) = (Arc::clone(&parts), Arc::clone(&parts));
            let work = move |deliveries| {
                let p = Arc::clone(&p);
                async move {
                    let (store, queue, clock, jitter) = (&p.store, &p.queue, &SystemClock, &SystemJitter);
                    CustomerioSender { store, queue, clock, jitter, customerio: &p.customerio, config: &p.config }
                        .handle(lane, deliveries)
                        .await
                }
            };
            tasks.spawn(worker(feed(lane), move |now| q.customerio.pause(now), work));
        }
        for lane in [QueueName::IntercomState, QueueName::Intercom, QueueName::Intercom] {
            let (p, q) = (Arc::clone(&parts), Arc::clone(&parts));
            let work = move |deliveries| {
                let p = Arc::clone(&p);
                async move {
                    let (store, queue, clock, jitter) = (&p.store, &p.queue, &SystemClock, &SystemJitter);
                    let (intercom, config, names) = (&p.intercom, &p.config, &p.names);
                    IntercomSender { store, queue, clock, jitter, intercom, config, names }.handle(lane, deliveries).await
                }
            };
            tasks.spawn(worker(feed(lane), move |now| Intercom::pause(&q.intercom, now), work));
        }
        if parts.segment.is_some() {
            let (p, q) = (Arc::clone(&parts), Arc::clone(&parts));
            let work = move |deliveries| {
                let p = Arc::clone(&p);
                async move {
                    let (store, queue, clock, jitter) = (&p.store, &p.queue, &SystemClock, &SystemJitter);
                    let Some(segment) = &p.segment else { return Vec::new() };
                    SegmentSender { store, queue, clock, jitter, segment, config: &p.config }.handle(deliveries).await
                }
            };
            tasks.spawn(worker(feed(QueueName::Segment), move |now| q.segment.as_ref().and_then(|segment| segment.pause(now)), work));
        }
        tasks.spawn(scanner(parts, stage));
        Ok(Self { address, store, queue, stop, tasks })
    }

    /// Takes no more webhooks, works off what is queued, at most for `limit`, and ends. What is left waits in the file.
    pub async fn stop(mut self, limit: Duration) {
        self.stop.send_replace(Stage::Draining);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, drained).await.is_err() {
            self.stop.send_replace(Stage::Stopped);
            self.tasks.shutdown().await;
        }
    }
}

fn customerio(settings: &Serve, config: &Config, http: &Http) -> Result<CustomerioClient<SystemClock>, String> {
    let api = &settings.customerio;
    let settings = CustomerioSettings {
        // Without a region both addresses are given.
        region: if api.region == Some(CustomerioRegion::Eu) { customerio::Region::Eu } else { customerio::Region::Us },
        track_url: api.url.clone(),
        app_url: api.app_url.clone(),
        site_id: api.site_id.expose_secret().to_owned(),
        api_key: api.api_key.clone(),
        app_key: api.app_api_key.clone(),
        track_per_second: api.requests_per_sec,
        app_per_second: api.app_requests_per_sec,
        copies: 1,
        dates_as_seconds: config.customerio.dates_as_seconds,
    };
    CustomerioClient::new(&settings, http, SystemClock).map_err(|e| e.to_string())
}

fn intercom(settings: &Serve, http: &Http) -> Result<IntercomClient, String> {
    let api = &settings.intercom;
    let region = match api.region {
        Some(IntercomRegion::Eu) => intercom::Region::Eu,
        Some(IntercomRegion::Au) => intercom::Region::Au,
        // Without a region the address is given.
        Some(IntercomRegion::Us) | None => intercom::Region::Us,
    };
    let settings = IntercomSettings {
        region,
        url: api.url.clone(),
        access_token: api.token.clone(),
        per_second: api.requests_per_10_secs / 10.0,
        copies: 1,
        admin_id: api.admin_id.clone(),
        create_attributes: api.create_attributes,
        in_app_message_type: api.in_app_message_type.clone(),
    };
    IntercomClient::new(&settings, http).map_err(|e| e.to_string())
}

fn segment(settings: &Serve, http: &Http) -> Result<Option<SegmentClient<SystemClock>>, String> {
    let Some(api) = &settings.segment_api else { return Ok(None) };
    let region = match api.region {
        Some(SegmentRegion::Eu) => segment::Region::Eu,
        // Without a region the address is given.
        Some(SegmentRegion::Us) | None => segment::Region::Us,
    };
    let (url, write_key) = (api.url.clone(), api.write_key.clone());
    let settings = SegmentSettings { region, url, write_key, per_second: api.requests_per_sec, copies: 1 };
    SegmentClient::new(&settings, http, SystemClock).map(Some).map_err(|e| e.to_string())
}

/// Where a worker gets its batches from, and how it knows when to end.
struct Feed {
    name: QueueName,
    queue: SqliteQueue,
    stage: watch::Receiver<Stage>,
    /// How many could still put something into a queue: the endpoint, and the workers that have found something.
    working: Arc<AtomicUsize>,
}

/// Takes batches off one queue for as long as the node runs; while draining, until nobody has anything left to do.
async fn worker<R: Future<Output = Vec<(String, Disposition)>> + Send>(
    Feed { name, queue, mut stage, working }: Feed,
    pause: impl Fn(Timestamp) -> Option<Span> + Send + Sync,
    work: impl Fn(Vec<Delivery>) -> R + Send + Sync,
) {
    loop {
        let now = *stage.borrow();
        if now == Stage::Stopped {
            return;
        }
        // An open breaker pauses consumption: the messages stay where they are, untouched.
        if let Some(pause) = pause(SystemClock.now()) {
            if now == Stage::Draining {
                return;
            }
            idle(&mut stage, tokio::time::sleep(Duration::from_millis(pause.millis().max(1).unsigned_abs()))).await;
            continue;
        }
        working.fetch_add(1, Ordering::SeqCst);
        let found = busy(name, &queue, &pause, &work).await;
        let others = working.fetch_sub(1, Ordering::SeqCst) - 1;
        match found {
            Ok(()) if now == Stage::Draining && others == 0 => return,
            Ok(()) if now == Stage::Draining => idle(&mut stage, queue.wait(name, DRAIN_LOOK)).await,
            Ok(()) => idle(&mut stage, queue.wait(name, Duration::from_secs(1))).await,
            Err(error) => {
                tracing::error!(%error, "cannot receive");
                idle(&mut stage, tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

/// Batch after batch, until there is none or the destination wants a pause.
async fn busy<R: Future<Output = Vec<(String, Disposition)>> + Send>(
    name: QueueName,
    queue: &SqliteQueue,
    pause: &(impl Fn(Timestamp) -> Option<Span> + Sync),
    work: &(impl Fn(Vec<Delivery>) -> R + Sync),
) -> Result<(), QueueError> {
    while pause(SystemClock.now()).is_none() {
        let batch = queue.receive(name, BATCH, VISIBILITY, SystemClock.now()).await?;
        if batch.is_empty() {
            break;
        }
        let settled = work(batch).await;
        if let Err(error) = queue.settle(name, settled, SystemClock.now()).await {
            tracing::error!(%error, "cannot settle; the messages come again");
        }
    }
    Ok(())
}

/// Waits for `what`, or for the node to be told to end.
async fn idle(stage: &mut watch::Receiver<Stage>, what: impl Future<Output = ()>) {
    tokio::select! {
        () = what => {}
        _ = stage.changed() => {}
    }
}

async fn scanner(parts: Arc<Parts>, mut stage: watch::Receiver<Stage>) {
    while *stage.borrow() == Stage::Running {
        if let Err(error) = scan(&parts.store, &parts.queue, &SystemClock).await {
            tracing::error!(error, "the scan failed; it runs again");
        }
        idle(&mut stage, tokio::time::sleep(Duration::from_secs(1))).await;
    }
}
