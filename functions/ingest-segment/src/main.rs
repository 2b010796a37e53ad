//! Messages of Segment, and of Customer.io's data pipelines: verify, normalize, enqueue, answer. Touches its own secrets and
//! SQS, nothing else. The configuration says which messages anything can want; the others go no further.
//!
//! Deployed behind a function URL for webhooks, or a second time behind a queue that an EventBridge rule fills.
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>,
//! <https://segment.com/docs/connections/destinations/catalog/actions-amazon-eventbridge/>

// The SDK's futures nest deeper than the compiler's default allows.
#![recursion_limit = "256"]

use std::collections::BTreeMap;
use trefoil_connectors::segment::{BatchSignature, SegmentEvents, SegmentOrPipelines, SegmentWebhooks};
use trefoil_domain::config;
use trefoil_domain::event::Source;
use trefoil_domain::ports::{Clock, Delivery, Disposition};
use trefoil_domain::steps::back_off;
use trefoil_domain::steps::ingest::{Answer, ingest};
use trefoil_domain::wanted::Wanted;
use trefoil_platform::aws::{Aws, SqsQueue};
use trefoil_platform::clock::{SystemClock, SystemJitter};
use trefoil_platform::lambda::answer::{answered, log};
use trefoil_platform::lambda::{self, Error, sqs, webhook};
use trefoil_platform::settings::{Environment, IngestSegment, SegmentWayIn};
use trefoil_platform::telemetry::{Dimension, emit};

const STAGE: &str = "ingest-segment";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // Only a webhook is answered where the settings are wrong; a queue keeps its messages.
    if Environment::of_process().is_fed_by_eventbridge() { lambda::start(events).await } else { webhook::start(webhooks).await }
}

/// What both ways in need.
async fn ready(environment: &mut Environment) -> Result<(Aws, IngestSegment, SqsQueue, Wanted), Error> {
    let aws = Aws::new(&environment.aws()?);
    aws.resolve_secrets(environment).await;
    let settings = environment.ingest_segment()?;
    let (file, text) = lambda::read_config(&settings.config)?;
    let wanted = Wanted::of(&config::parse(&file, &text)?);
    let queue = SqsQueue::new(aws.sqs(), settings.queues.clone());
    if settings.warm {
        queue.warm().await;
    }
    Ok((aws, settings, queue, wanted))
}

async fn webhooks(mut environment: Environment) -> Result<impl AsyncFn(webhook::Request) -> webhook::Response, Error> {
    let (_, IngestSegment { workspace, way_in, .. }, queue, wanted) = ready(&mut environment).await?;
    let SegmentWayIn::Webhooks(settings) = way_in else { return Err("it is fed from a queue, and takes no webhooks".into()) };
    let batches = if settings.first_of_batch { BatchSignature::First } else { BatchSignature::Full };
    let sources = [(Source::Segment, &settings.segment_secrets), (Source::Pipelines, &settings.pipelines_secrets)];
    let sources = sources
        .into_iter()
        .filter(|(_, secrets)| !secrets.is_empty())
        .map(|(source, secrets)| SegmentWebhooks::new(secrets, workspace.clone(), source, wanted.clone(), batches))
        .collect::<Result<Vec<_>, _>>()?;
    let sources = SegmentOrPipelines::new(sources);
    Ok(async move |request: webhook::Request| {
        // The destination's own setting says which of the three it sends.
        if !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
            return webhook::Response::status(405);
        }
        let received = sources.receive(request.header("x-signature"), &request.body, SystemClock.now());
        // Who did not sign is nobody's; what it claims to be is not known.
        let source = received.as_ref().map_or(Source::Segment, |(source, _)| *source);
        let received = received.map(|(_, received)| received);
        let answer = ingest(&queue, &SystemClock, STAGE, &workspace, received, &request.body).await;
        count(source, &messages(&answer));
        answered(source, &answer)
    })
}

async fn events(mut environment: Environment) -> Result<(), Error> {
    let (aws, IngestSegment { workspace, way_in, .. }, queue, wanted) = ready(&mut environment).await?;
    let SegmentWayIn::Queue(url) = way_in else { return Err("it takes webhooks, and is fed from no queue".into()) };
    let segment = SegmentEvents::new(workspace.clone(), wanted);
    sqs::run_sqs(&[((), url.as_str())], &aws.sqs(), &SystemClock, async |(), deliveries: Vec<Delivery>| {
        let mut dispositions = Vec::with_capacity(deliveries.len());
        let mut counted = BTreeMap::new();
        for Delivery { id, body, receive_count, .. } in deliveries {
            let received = Ok(segment.receive_event(body.as_bytes(), SystemClock.now()));
            let answer = ingest(&queue, &SystemClock, STAGE, &workspace, received, body.as_bytes()).await;
            for (outcome, messages) in messages(&answer) {
                *counted.entry(outcome).or_default() += messages;
            }
            log(&answer);
            let disposition = match answer {
                Answer::Accepted { .. } | Answer::Ignored(_) | Answer::Parked(_) | Answer::Refused(_) => Disposition::Delete,
                Answer::Unauthorized | Answer::Unavailable(_) => Disposition::Retry(back_off(receive_count, &SystemJitter)),
            };
            dispositions.push((id, disposition));
        }
        // Once a batch: each line is paid for.
        count(Source::Segment, &counted);
        dispositions
    })
    .await
}

/// How many messages came to what: a bounded set of words.
fn messages(answer: &Answer) -> BTreeMap<&'static str, usize> {
    match answer {
        Answer::Accepted { events, parked, dropped } => {
            let known = [("accepted", *events), ("parked", *parked)];
            known.into_iter().chain(dropped.iter().map(|(why, count)| (*why, *count))).filter(|(_, count)| *count > 0).collect()
        }
        Answer::Ignored(_) | Answer::Parked(_) | Answer::Refused(_) | Answer::Unauthorized | Answer::Unavailable(_) => {
            BTreeMap::from([(answer.name(), 1)])
        }
    }
}

fn count(source: Source, messages: &BTreeMap<&'static str, usize>) {
    for (outcome, count) in messages {
        let dimensions = [(Dimension::Source, source.name()), (Dimension::Outcome, *outcome)];
        emit(SystemClock.now(), &[("messages", *count as f64)], &dimensions);
    }
}
