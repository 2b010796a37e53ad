//! Jobs to Intercom: what routes ask for, and questions, whose answers become events. Both lanes run here.
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, Region};
use trefoil_domain::config;
use trefoil_domain::ports::QueueName;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::lambda::{self, Error, sqs};
use trefoil_platform::settings::IntercomRegion;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |mut environment| {
        let aws = Aws::new(&environment.aws()?);
        aws.resolve_secrets(&mut environment).await;
        let settings = environment.send_intercom()?;
        let (file, text) = lambda::read_config(&settings.config)?;
        let config = config::parse(&file, &text)?;
        let http = Http::new(HttpSettings::default())?;
        let api = settings.intercom;
        let region = match api.region {
            Some(IntercomRegion::Eu) => Region::Eu,
            Some(IntercomRegion::Au) => Region::Au,
            // Without a region the address is given.
            Some(IntercomRegion::Us) | None => Region::Us,
        };
        let intercom = IntercomClient::new(
            &IntercomSettings {
                region,
                url: api.url,
                access_token: api.token,
                per_second: api.requests_per_10_secs / 10.0,
                copies: 1,
                admin_id: api.admin_id,
                create_attributes: api.create_attributes,
                in_app_message_type: api.in_app_message_type,
            },
            &http,
        )?;
        let store = DynamoStore::new(aws.dynamodb(), settings.tables);
        let queue = SqsQueue::new(aws.sqs(), settings.queues.clone());
        if settings.warm {
            tokio::join!(store.warm(), queue.warm());
        }
        let sender = IntercomSender {
            store: &store,
            queue: &queue,
            clock: &SystemClock,
            jitter: &SystemJitter,
            intercom: &intercom,
            config: &config,
            names: &EventNameBudget::new(&config),
        };
        let from = lambda::fed_by(&settings.queues, &[QueueName::IntercomState, QueueName::Intercom])?;
        sqs::run_sqs(&from, &aws.sqs(), &SystemClock, async |lane, deliveries| sender.handle(lane, deliveries).await).await
    })
    .await
}
