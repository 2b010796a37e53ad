//! What stands between AWS Lambda and a handler: one file for each kind of event that starts a function.

pub mod answer;
pub mod schedule;
pub mod sqs;
pub mod webhook;

use crate::settings::{Environment, QueueUrls};
use crate::telemetry;
use std::path::Path;
use trefoil_domain::ports::QueueName;
use trefoil_domain::time::Timestamp;

pub use lambda_runtime::Error;

/// When the function is stopped, by Lambda's account.
fn deadline(context: &lambda_runtime::Context) -> Timestamp {
    Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

/// Starts a function: logs first, so that whatever is wrong with the settings can be read in them.
///
/// # Errors
/// `run` failed; it has been logged.
pub async fn start(run: impl AsyncFnOnce(Environment) -> Result<(), Error>) -> Result<(), Error> {
    let environment = Environment::of_process();
    telemetry::log_json(&environment.log_level());
    let ended = run(environment).await;
    if let Err(error) = &ended {
        tracing::error!(error = %telemetry::Chain(error.as_ref()), "the function cannot run");
    }
    ended
}

/// Reads the configuration; answers its name for messages, and its text.
///
/// # Errors
/// The file cannot be read.
pub fn read_config(path: &Path) -> Result<(String, String), Error> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            Err(format!("{name} cannot be read: {error}; set TREFOIL_CONFIG to where the layer puts it, /opt/trefoil.yaml").into())
        }
    }
}

/// The queues that feed a function, with their addresses.
///
/// # Errors
/// One has no address.
pub fn fed_by<'a>(urls: &'a QueueUrls, names: &[QueueName]) -> Result<Vec<(QueueName, &'a str)>, Error> {
    names.iter().map(|name| Ok((*name, urls.get(*name).ok_or_else(|| format!("no address of the queue {name}"))?))).collect()
}
