//! Jobs to Customer.io: resolve the profile, bring its state up to date, send its events. Both lanes run here.
//! <https://docs.customer.io/integrations/api/track/>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use secrecy::ExposeSecret;
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_domain::config;
use trefoil_domain::ports::QueueName;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::lambda::{self, Error, sqs};
use trefoil_platform::settings::CustomerioRegion;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda::start(async |mut environment| {
        let aws = Aws::new(&environment.aws()?);
        aws.resolve_secrets(&mut environment).await;
        let settings = environment.send_customerio()?;
        let (file, text) = lambda::read_config(&settings.config)?;
        let config = config::parse(&file, &text)?;
        let http = Http::new(HttpSettings::default())?;
        let api = settings.customerio;
        let customerio = CustomerioClient::new(
            &CustomerioSettings {
                // Without a region both addresses are given.
                region: if api.region == Some(CustomerioRegion::Eu) { Region::Eu } else { Region::Us },
                track_url: api.url,
                app_url: api.app_url,
                site_id: api.site_id.expose_secret().to_owned(),
                api_key: api.api_key,
                app_key: api.app_api_key,
                track_per_second: api.requests_per_sec,
                app_per_second: api.app_requests_per_sec,
                // The settings have divided already.
                copies: 1,
                dates_as_seconds: config.customerio.dates_as_seconds,
            },
            &http,
            SystemClock,
        )?;
        let store = DynamoStore::new(aws.dynamodb(), settings.tables);
        let queue = SqsQueue::new(aws.sqs(), settings.queues.clone());
        if settings.warm {
            tokio::join!(store.warm(), queue.warm());
        }
        let sender = CustomerioSender {
            store: &store,
            queue: &queue,
            clock: &SystemClock,
            jitter: &SystemJitter,
            customerio: &customerio,
            config: &config,
        };
        let from = lambda::fed_by(&settings.queues, &[QueueName::CustomerioState, QueueName::Customerio])?;
        sqs::run_sqs(&from, &aws.sqs(), &SystemClock, async |lane, deliveries| sender.handle(lane, deliveries).await).await
    })
    .await
}
