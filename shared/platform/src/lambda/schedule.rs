//! A function that is started by the clock.

use super::{Error, deadline};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use trefoil_domain::time::Timestamp;

/// Runs `handler` at each invocation, with the time at which the function is stopped. An error makes the invocation a
/// failed one; Lambda may start it again.
///
/// # Errors
/// The runtime cannot be reached.
pub async fn run_schedule<F>(handler: F) -> Result<(), Error>
where
    F: AsyncFn(Timestamp) -> Result<(), Error>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| handler(deadline(&event.context)).await)).await
}
