//! Customer.io's reporting webhooks and webhook actions: verify, normalize, enqueue, answer. Touches its own secret and SQS,
//! nothing else.
//! <https://docs.customer.io/integrations/api/webhooks> and <https://docs.customer.io/journeys/webhooks-action>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_connectors::customerio::CustomerioWebhooks;
use trefoil_domain::event::Source;
use trefoil_domain::ports::Clock;
use trefoil_domain::steps::ingest::ingest;
use trefoil_platform::aws::{Aws, SqsQueue};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::lambda::answer::answered;
use trefoil_platform::lambda::{Error, webhook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    webhook::start(async |mut environment| {
        let aws = Aws::new(&environment.aws()?);
        aws.resolve_secrets(&mut environment).await;
        let settings = environment.ingest_customerio()?;
        let customerio = CustomerioWebhooks::new(&settings.webhook.signing_keys, settings.workspace.clone(), settings.webhook.max_skew)?;
        let queue = SqsQueue::new(aws.sqs(), settings.queues);
        if settings.warm {
            queue.warm().await;
        }
        let clock = SystemClock;
        Ok(async move |request: webhook::Request| {
            // A look from outside whether anybody is there; there is nothing to verify.
            match request.method.as_str() {
                "HEAD" | "GET" => return webhook::Response::status(200),
                "POST" => {}
                _ => return webhook::Response::status(405),
            }
            let (sent_at, signature) = (request.header("x-cio-timestamp"), request.header("x-cio-signature"));
            let received = customerio.receive(sent_at, signature, &request.body, clock.now());
            let answer = ingest(&queue, &clock, "ingest-customerio", &settings.workspace, received, &request.body).await;
            answered(Source::Customerio, &answer)
        })
    })
    .await
}
