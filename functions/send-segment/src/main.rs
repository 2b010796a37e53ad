//! Jobs to Segment: what routes ask for, and the person's state as traits.
//! <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::segment::{Region, SegmentClient, SegmentSettings};
use trefoil_domain::config;
use trefoil_domain::ports::QueueName;
use trefoil_domain::steps::send_segment::SegmentSender;
use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::lambda::{self, Error, sqs};
use trefoil_platform::settings::SegmentRegion;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |mut environment| {
        let aws = Aws::new(&environment.aws()?);
        aws.resolve_secrets(&mut environment).await;
        let settings = environment.send_segment()?;
        let (file, text) = lambda::read_config(&settings.config)?;
        let config = config::parse(&file, &text)?;
        let http = Http::new(HttpSettings::default())?;
        let api = settings.segment;
        let region = match api.region {
            Some(SegmentRegion::Eu) => Region::Eu,
            // Without a region the address is given.
            Some(SegmentRegion::Us) | None => Region::Us,
        };
        let segment = SegmentClient::new(
            &SegmentSettings {
                region,
                url: api.url,
                write_key: api.write_key,
                per_second: api.requests_per_sec,
                // The settings have divided already.
                copies: 1,
            },
            &http,
            SystemClock,
        )?;
        let store = DynamoStore::new(aws.dynamodb(), settings.tables);
        let queue = SqsQueue::new(aws.sqs(), settings.queues.clone());
        if settings.warm {
            tokio::join!(store.warm(), queue.warm());
        }
        let sender =
            SegmentSender { store: &store, queue: &queue, clock: &SystemClock, jitter: &SystemJitter, segment: &segment, config: &config };
        let from = lambda::fed_by(&settings.queues, &[QueueName::Segment])?;
        sqs::run_sqs(&from, &aws.sqs(), &SystemClock, async |_, deliveries| sender.handle(deliveries).await).await
    })
    .await
}
