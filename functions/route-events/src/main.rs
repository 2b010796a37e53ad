//! Events to jobs: read, fold, plan, write, enqueue. The only writer of a person's state; never calls a vendor.

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_domain::config;
use trefoil_domain::ports::{Destination, QueueName};
use trefoil_domain::steps::route::Router;
use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::lambda::{self, Error, sqs};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |environment| {
        let aws = Aws::new(&environment.aws()?);
        let settings = environment.route_events()?;
        let (file, text) = lambda::read_config(&settings.config)?;
        let (mut config, routes) = config::check(&file, &text)?;
        // Without it nobody would do what is asked of Segment.
        if settings.queues.get(QueueName::Segment).is_none() {
            config.off.insert(Destination::Segment);
        }
        let store = DynamoStore::new(aws.dynamodb(), settings.tables);
        let queue = SqsQueue::new(aws.sqs(), settings.queues.clone());
        if settings.warm {
            tokio::join!(store.warm(), queue.warm());
        }
        let router = Router { store: &store, queue: &queue, clock: &SystemClock, jitter: &SystemJitter, config: &config, routes: &routes };
        let from = lambda::fed_by(&settings.queues, &[QueueName::Events])?;
        sqs::run_sqs(&from, &aws.sqs(), &SystemClock, async |_, deliveries| router.handle(deliveries).await).await
    })
    .await
}
