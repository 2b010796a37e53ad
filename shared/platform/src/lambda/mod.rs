//! What stands between AWS Lambda and a handler: one file for each kind of event that starts a function.

pub mod schedule;
pub mod sqs;
pub mod webhook;

use trefoil_domain::time::Timestamp;

pub use lambda_runtime::Error;

/// When the function is stopped, by Lambda's account.
fn deadline(context: &lambda_runtime::Context) -> Timestamp {
    Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}
