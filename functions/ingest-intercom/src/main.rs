//! Intercom's webhooks: verify, normalize, enqueue, answer. Touches its own secret and SQS, nothing else.
//! <https://developers.intercom.com/docs/webhooks/webhook-notifications>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use trefoil_connectors::intercom::IntercomWebhooks;
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
        let settings = environment.ingest_intercom()?;
        let intercom = IntercomWebhooks::new(&settings.webhook.client_secrets, settings.workspace.clone(), settings.webhook.app_id)?;
        let queue = SqsQueue::new(aws.sqs(), settings.queues);
        if settings.warm {
            queue.warm().await;
        }
        let clock = SystemClock;
        Ok(async move |request: webhook::Request| {
            // Intercom asks with HEAD whether anybody is there when the address is saved; there is nothing to verify.
            match request.method.as_str() {
                "HEAD" => return webhook::Response::status(200),
                "POST" => {}
                _ => return webhook::Response::status(405),
            }
            let received = intercom.receive(request.header("x-hub-signature"), &request.body, clock.now());
            let answer = ingest(&queue, &clock, "ingest-intercom", &settings.workspace, received, &request.body).await;
            answered(Source::Intercom, &answer)
        })
    })
    .await
}
