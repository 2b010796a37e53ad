//! `trefoil demo`: the story of two people whom three tools know, without an account anywhere.
//!
//! Nothing is faked on our side: a real `trefoil serve` in this process gets really signed webhooks over HTTP and calls the
//! APIs of Intercom, Customer.io and Segment over HTTP. Only behind those stand built-in stand-ins, in a time of their own.
//! What they tell of our own writing is delivered too.

mod facts;
mod hook;
mod page;
mod story;
mod teller;

use crate::serve::{Node, block_on, embedded};
use hook::Readers;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use trefoil_domain::ports::{Clock as _, QueueName};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;
use trefoil_platform::telemetry;
use trefoil_standins::Clock;
use trefoil_standins::{customerio, intercom, segment};

#[derive(clap::Args)]
#[command(after_help = "Exit code 0 when the story came out right, 1 when it did not.\n\nExample:\n  trefoil demo")]
pub struct Arguments {
    /// Show the log of the process as well.
    #[arg(long)]
    log: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    telemetry::log_human(if arguments.log { "info" } else { "off" });
    match block_on(play()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            anstream::eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that takes part.
struct Stage {
    clock: Clock,
    intercom: intercom::Intercom,
    customerio: customerio::CustomerIo,
    segment: segment::Segment,
    node: Node,
    readers: Readers,
}

/// As long as nothing happens for this long, something is broken.
const PATIENCE: Duration = Duration::from_mins(2);

impl Stage {
    async fn set_up() -> Result<(Self, tempfile::TempDir), String> {
        let clock = Clock::manual(story::begins(SystemClock.now()).secs());
        let options = intercom::Options { clock: clock.clone(), ..intercom::Options::default() };
        let intercom = intercom::Intercom::start(options).await.map_err(|e| format!("the Intercom stand-in cannot start: {e}"))?;
        let options = customerio::Options { clock: clock.clone(), ..customerio::Options::default() };
        let customerio = customerio::CustomerIo::start(options).await.map_err(|e| format!("the Customer.io stand-in cannot start: {e}"))?;
        let options = segment::Options { clock: clock.clone(), ..segment::Options::default() };
        let segment = segment::Segment::start(options).await.map_err(|e| format!("the Segment stand-in cannot start: {e}"))?;
        let keys = customerio.options();
        let variables = [
            ("TREFOIL_INTERCOM_CLIENT_SECRET", intercom.options().client_secret.clone()),
            ("TREFOIL_INTERCOM_TOKEN", intercom.options().access_token.clone()),
            ("TREFOIL_INTERCOM_ADMIN_ID", intercom.options().admins.first().map(u64::to_string).unwrap_or_default()),
            ("TREFOIL_INTERCOM_URL", intercom.url()),
            ("TREFOIL_CUSTOMERIO_SIGNING_KEYS", format!("{},{}", keys.reporting_key, keys.action_key)),
            ("TREFOIL_CUSTOMERIO_SITE_ID", keys.site_id.clone()),
            ("TREFOIL_CUSTOMERIO_API_KEY", keys.track_api_key.clone()),
            ("TREFOIL_CUSTOMERIO_APP_API_KEY", keys.app_api_key.clone()),
            ("TREFOIL_CUSTOMERIO_URL", customerio.track_url()),
            ("TREFOIL_CUSTOMERIO_APP_URL", customerio.app_url()),
            ("TREFOIL_SEGMENT_SHARED_SECRET", segment.options().webhooks.clone().unwrap_or_default()),
            ("TREFOIL_SEGMENT_WRITE_KEY", segment.options().write_key.clone()),
            ("TREFOIL_SEGMENT_URL", format!("{}/v1", segment.url())),
        ];
        let environment = Environment::new(move |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
        let settings = environment.serve().map_err(|e| e.to_string())?;
        let (config, routes) = embedded()?;
        let readers = Readers::new(&settings, &config)?;
        let data = tempfile::tempdir().map_err(|e| format!("no place for temporary files: {e}"))?;
        let node = Node::start(settings, config, routes, data.path(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        Ok((Self { clock, intercom, customerio, segment, node, readers }, data))
    }

    /// Time goes by, in the stand-ins alone.
    fn after(&self, mins: u64) {
        self.clock.advance(Duration::from_mins(mins));
    }

    /// Waits until nothing is queued any more. Queues are filled before they are emptied, so that this cannot come too
    /// early.
    async fn quiet(&self) -> Result<(), String> {
        let quiet = async {
            loop {
                let depths = self.node.queue.depths(SystemClock.now()).await.map_err(|e| e.to_string())?;
                if depths.iter().all(|(name, depth)| *name == QueueName::Parked || depth.visible + depth.in_flight == 0) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, quiet).await.map_err(|_| "the queues did not become empty; run again with --log".to_owned())?
    }
}

async fn play() -> Result<bool, String> {
    let (stage, _data) = Stage::set_up().await?;
    let right = story::tell(&stage).await?;
    stage.node.stop(Duration::from_secs(5)).await;
    Ok(right)
}
