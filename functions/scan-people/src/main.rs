//! Every minute: whatever is due becomes an event.

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_domain::steps::scan::scan;
use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::lambda::{self, Error, schedule};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |environment| {
        let aws = Aws::new(&environment.aws()?);
        let settings = environment.scan_people()?;
        let store = DynamoStore::new(aws.dynamodb(), settings.tables);
        let queue = SqsQueue::new(aws.sqs(), settings.queues);
        schedule::run_schedule(async |_| {
            let found = scan(&store, &queue, &SystemClock).await?;
            tracing::info!(found, "scanned");
            Ok(())
        })
        .await
    })
    .await
}
