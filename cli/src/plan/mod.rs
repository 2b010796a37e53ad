//! `trefoil plan`: what webhook bodies would lead to, without an account anywhere.
//!
//! The same connectors and steps as the functions. The vendors are stand-ins on 127.0.0.1, whose journals say what was
//! asked; nothing leaves the machine. The clock stands still, and one thing is done after the other, so that the same input
//! gives the same output.

mod asked;
mod bodies;
mod known;
mod line;
mod road;
mod source;
mod watch;

use crate::check::BAD_CONFIG;
use crate::serve::embedded;
use bodies::Body;
use road::Road;
use source::{Reader, Source};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use trefoil_domain::config::{self, Config};
use trefoil_domain::ports::{Clock, Received};
use trefoil_domain::rules::Routes;
use trefoil_domain::time::Timestamp;
use trefoil_domain::wanted::Wanted;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;

#[derive(clap::Args)]
#[command(
    after_help = "One line of JSON for each body: `events`, as they were understood; `requests`, as they would go to the vendors; `skipped`,\n\
what ended otherwise than done, or waits. Nothing leaves this machine, and no signature or secret is needed.\n\
Bodies build on each other; two with the same id of the vendor's are one webhook, delivered twice (`duplicate`).\n\
What is due later is not waited for; it says `waits: …` and until when. Of the environment only TREFOIL_WORKSPACE,\n\
TREFOIL_CONFIG, TREFOIL_INTERCOM_APP_ID, TREFOIL_INTERCOM_REGION, TREFOIL_CUSTOMERIO_REGION and TREFOIL_SEGMENT_REGION are read.\n\n\
Exit code 0; 65 when a file cannot be read or a body is not JSON; 78 when the configuration is wrong.\n\n\
Examples:\n  trefoil plan --source intercom --assume-known webhook.json\n  \
trefoil plan --source intercom --state people.db opened.json\n  \
trefoil plan --source intercom --state people.db closed.json     goes on where the line above ended\n  \
trefoil plan --source segment --config trefoil.yaml --now 2026-11-21T00:00:00Z < batch.jsonl"
)]
pub struct Arguments {
    /// Whose webhooks these are.
    #[arg(long, value_enum)]
    source: Source,
    /// The configuration; without it TREFOIL_CONFIG or trefoil.yaml, and without that the built-in one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keeps people and what was learnt in this file, for the next run. Without it every run begins with nothing.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The time at which all of it happens: RFC 3339, or unix seconds. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,
    /// Everybody whom the bodies name has a profile at Customer.io and a contact in Intercom. A contact of whom they tell
    /// nothing but its id gets a made-up user id. Without this the vendors know nobody.
    #[arg(long)]
    assume_known: bool,
    /// Webhook bodies: one JSON document, or several after each other. Without any, or for `-`, standard input is read.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// `EX_DATAERR` of sysexits.h.
const BAD_DATA: u8 = 65;

/// Stands still.
#[derive(Clone, Copy)]
pub(crate) struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

enum Trouble {
    Configuration(String),
    Other(String),
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let planned = runtime.map_err(|e| Trouble::Other(format!("no runtime: {e}"))).and_then(|runtime| runtime.block_on(plan(arguments)));
    match planned {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BAD_DATA),
        Err(Trouble::Configuration(message)) => {
            anstream::eprintln!("{message}");
            ExitCode::from(BAD_CONFIG)
        }
        Err(Trouble::Other(message)) => {
            anstream::eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all input could be read.
async fn plan(arguments: &Arguments) -> Result<bool, Trouble> {
    let settings = Environment::of_process().plan().map_err(|problems| Trouble::Configuration(problems.to_string()))?;
    let file = arguments.config.clone().or_else(|| settings.config.exists().then(|| settings.config.clone()));
    let (config, routes) = configuration(file)?;
    let clock = Still(arguments.now.unwrap_or_else(|| SystemClock.now()));
    let reader = Reader::new(arguments.source, &settings, Wanted::of(&config))?;
    let (bodies, complete) = bodies::read(&arguments.files);
    let received: Vec<(Body, Received)> = bodies
        .into_iter()
        .map(|body| {
            let received = reader.read(&body, clock.0)?;
            Ok((body, received))
        })
        .collect::<Result<_, String>>()?;

    let road = Road::open(arguments.state.as_deref(), &settings, config, routes, clock).await?;
    if arguments.assume_known {
        road.assume_known(received.iter().flat_map(|(_, received)| source::events(received)));
    }
    let mut out = std::io::stdout().lock();
    for (body, received) in received {
        let line = road.line(reader.stage(), received, &body).await?;
        let text = serde_json::to_string(&line).map_err(|e| format!("a line cannot be written as JSON: {e}"))?;
        writeln!(out, "{text}").map_err(|e| format!("cannot write: {e}"))?;
    }
    Ok(complete)
}

fn configuration(file: Option<PathBuf>) -> Result<(Config, Routes), Trouble> {
    let Some(file) = file else { return embedded().map_err(Trouble::Configuration) };
    let name = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|e| Trouble::Configuration(format!("error: {name} cannot be read: {e}")))?;
    config::check(&name, &text).map_err(|problems| Trouble::Configuration(problems.to_string()))
}

fn time(text: &str) -> Result<Timestamp, String> {
    let read = text.parse().ok().map(Timestamp::from_secs).or_else(|| Timestamp::parse_rfc3339(text));
    // What cannot be written as a date is no time either: milliseconds, most likely.
    read.filter(|time| time.to_rfc3339().is_some()).ok_or_else(|| "write it as 2026-11-21T00:00:00Z or as unix seconds".to_owned())
}
