//! A function that is fed from an SQS queue. Needs `ReportBatchItemFailures` on the event source mapping: without it,
//! Lambda deletes what is reported here as failed.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>

use super::{Error, deadline};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use trefoil_domain::ports::{Clock, Delivery, Disposition};
use trefoil_domain::time::Span;

/// SQS accepts no longer visibility timeout.
const LONGEST_RETRY: Span = Span::from_hours(12);

/// Left of an invocation for giving messages back.
const TO_FINISH: Span = Span::from_millis(1500);

/// Where an invocation's time is over, what has not been answered comes back after this long.
const OUT_OF_TIME: Span = Span::from_secs(1);

/// Runs `handler` for each batch. What it gives back returns to the queue after its delay; what it leaves out, after the
/// queue's own visibility timeout. Each alone: nothing rests on the order within a group. A handler that takes too long is
/// given up in time to say so. A panic returns the whole batch.
///
/// `queues`: those that feed this function, under the names by which the handler tells them apart; a batch comes from one of
/// them.
///
/// # Errors
/// The runtime cannot be reached.
pub async fn run_sqs<N: Copy, F>(queues: &[(N, &str)], client: &Client, clock: &impl Clock, handler: F) -> Result<(), Error>
where
    F: AsyncFn(N, Vec<Delivery>) -> Vec<(String, Disposition)>,
{
    let handler = &handler;
    let service = service_fn(async |event: LambdaEvent<Event>| {
        let left = deadline(&event.context).minus(TO_FINISH).since(clock.now()).millis().max(0);
        let batch = Batch::read(event.payload)?;
        let Some((name, url)) = queues.iter().find(|(_, url)| batch.is_from(url)) else {
            return Err(Error::from("the batch comes from a queue that is none of this function's"));
        };
        let timely = async |deliveries: Vec<Delivery>| {
            let ids: Vec<String> = deliveries.iter().map(|delivery| delivery.id.clone()).collect();
            let time = Duration::from_millis(left.unsigned_abs());
            tokio::time::timeout(time, handler(*name, deliveries)).await.unwrap_or_else(|_| {
                tracing::warn!(messages = ids.len(), "out of time; the messages come again");
                ids.into_iter().map(|id| (id, Disposition::Retry(OUT_OF_TIME))).collect()
            })
        };
        let answer = batch.handle(timely).await?;
        set_visibility(client, url, &answer.delays).await;
        Ok(answer.response)
    });
    lambda_runtime::run(service).await
}

#[derive(Deserialize)]
struct Event {
    /// Each is read on its own, so that an odd one does not fail the others.
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

#[derive(Debug)]
struct Answer {
    response: Response,
    /// Receipt handle and how long the message stays away.
    delays: Vec<(String, Span)>,
}

/// The messages of an invocation.
#[derive(Debug, Default)]
struct Batch {
    deliveries: Vec<Delivery>,
    /// One for each delivery, if it had one.
    receipts: Vec<Option<String>>,
    /// Name of the queue, from its ARN.
    queue: String,
    /// Those without a body. Nobody can handle them, and only the queue's receive count ends them.
    unreadable: HashSet<String>,
}

impl Batch {
    /// # Errors
    /// A record has no id. It cannot be reported as failed, so the whole batch must be.
    fn read(event: Event) -> Result<Self, Error> {
        let mut batch = Self::default();
        let mut seen = HashSet::new();
        for record in event.records {
            let text = |name: &str| record.get(name).and_then(Value::as_str);
            let attribute = |name: &str| record.get("attributes").and_then(|attributes| attributes.get(name)).and_then(Value::as_str);
            let id = text("messageId").filter(|id| !id.is_empty()).ok_or("a record of the batch has no messageId")?;
            if let Some(name) = text("eventSourceARN").and_then(|arn| arn.rsplit(':').next()) {
                name.clone_into(&mut batch.queue);
            }
            // A standard queue may deliver a message twice at once; the id stands for both.
            if !seen.insert(id.to_owned()) {
                continue;
            }
            if text("body").is_none() {
                batch.unreadable.insert(id.to_owned());
            }
            batch.receipts.push(text("receiptHandle").map(str::to_owned));
            batch.deliveries.push(Delivery {
                id: id.to_owned(),
                body: text("body").unwrap_or_default().to_owned(),
                group: attribute("MessageGroupId").unwrap_or_default().to_owned(),
                receive_count: attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1),
            });
        }
        Ok(batch)
    }

    fn is_from(&self, queue_url: &str) -> bool {
        queue_url.rsplit('/').next() == Some(self.queue.as_str())
    }

    /// # Errors
    /// The handler panicked.
    async fn handle<R>(self, handler: impl FnOnce(Vec<Delivery>) -> R) -> Result<Answer, Error>
    where
        R: Future<Output = Vec<(String, Disposition)>>,
    {
        let readable: Vec<Delivery> = self.deliveries.iter().filter(|delivery| !self.unreadable.contains(&delivery.id)).cloned().collect();
        // The call itself may panic too, before there is a future.
        let handled = AssertUnwindSafe(async { handler(readable).await }).catch_unwind().await;
        let dispositions: HashMap<String, Disposition> =
            handled.map_err(|_| "the handler panicked; the whole batch is returned")?.into_iter().collect();
        let mut answer = Answer { response: Response { batch_item_failures: Vec::new() }, delays: Vec::new() };
        for (delivery, receipt) in self.deliveries.into_iter().zip(self.receipts) {
            let disposition = dispositions.get(&delivery.id).filter(|_| !self.unreadable.contains(&delivery.id));
            match disposition {
                Some(Disposition::Delete) => continue,
                Some(Disposition::Retry(delay)) => answer.delays.extend(receipt.map(|receipt| (receipt, *delay))),
                None => {}
            }
            answer.response.batch_item_failures.push(Failure { item_identifier: delivery.id });
        }
        Ok(answer)
    }
}

/// Makes messages come back when they should. If that fails they come back after the queue's own visibility timeout.
async fn set_visibility(client: &Client, queue_url: &str, delays: &[(String, Span)]) {
    for chunk in delays.chunks(10) {
        let entry = |(n, (receipt, delay)): (usize, &(String, Span))| {
            let secs = (*delay).clamp(Span::ZERO, LONGEST_RETRY).secs_ceil();
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(n.to_string()).receipt_handle(receipt);
            entry.visibility_timeout(i32::try_from(secs).unwrap_or_default()).build().ok()
        };
        let entries: Vec<_> = chunk.iter().enumerate().filter_map(entry).collect();
        let call = client.change_message_visibility_batch().queue_url(queue_url).set_entries(Some(entries));
        match call.send().await {
            Ok(answer) if answer.failed.is_empty() => {}
            Ok(answer) => tracing::warn!(count = answer.failed.len(), "the delay of some messages could not be set"),
            Err(error) => tracing::warn!(error = crate::aws::failure(&error), "the delay of messages could not be set"),
        }
    }
}

#[cfg(test)]
mod tests;
