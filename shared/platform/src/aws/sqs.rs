//! Sending to SQS. Receiving is Lambda's business, see `lambda::sqs`.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>

use super::{Calls, WARM_LIMIT, failure, pause};
use crate::settings::QueueUrls;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use std::collections::BTreeMap;
use trefoil_domain::ports::{Message, Queue, QueueError, QueueName};

/// Messages in one call.
const BATCH_COUNT: usize = 10;
/// Bytes of one message, and of all messages of one call.
const BATCH_BYTES: usize = 1024 * 1024;
/// How often entries that were refused for no fault of theirs are sent.
const ATTEMPTS: u32 = 4;

/// The queues on SQS. A queue whose URL does not end in `.fifo` is a standard queue: messages keep their group there, and
/// are not deduplicated.
pub struct SqsQueue {
    client: Client,
    urls: QueueUrls,
    calls: Calls,
}

impl SqsQueue {
    pub fn new(client: Client, urls: QueueUrls) -> Self {
        Self { client, urls, calls: Calls::default() }
    }

    /// Calls so far, by operation.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.calls.snapshot()
    }

    /// Opens the connection. A batch without messages is refused, and that is enough; it needs no further permission.
    pub async fn warm(&self) {
        if let Some(url) = QueueName::ALL.iter().find_map(|queue| self.urls.get(*queue)) {
            let call = self.client.send_message_batch().queue_url(url).set_entries(Some(Vec::new())).send();
            drop(tokio::time::timeout(WARM_LIMIT, call).await);
        }
    }

    async fn send_batch(&self, url: &str, messages: &[Message]) -> Result<(), String> {
        let mut entries = messages.iter().enumerate().map(|(n, message)| entry(n, message, url)).collect::<Result<Vec<_>, _>>()?;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            self.calls.count("SendMessageBatch");
            let call = self.client.send_message_batch().queue_url(url).set_entries(Some(entries.clone()));
            let answer = call.send().await.map_err(|error| failure(&error))?;
            if let Some(refused) = answer.failed.iter().find(|refused| refused.sender_fault) {
                return Err(format!("a message was refused: {}", refused.code));
            }
            // What is named in neither list counts as not sent.
            entries.retain(|entry| !answer.successful.iter().any(|sent| sent.id == entry.id));
            if entries.is_empty() {
                return Ok(());
            }
        }
        Err(format!("{} of {} messages were refused {ATTEMPTS} times", entries.len(), messages.len()))
    }
}

impl Queue for SqsQueue {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        let failed = |message: String| QueueError { queue, message };
        let Some(url) = self.urls.get(queue) else {
            return Err(failed("this function has no URL for it".to_owned()));
        };
        if let Some(message) = messages.iter().find(|message| message.body.len() > BATCH_BYTES) {
            return Err(failed(format!("a message of {} bytes is over the limit of {BATCH_BYTES}", message.body.len())));
        }
        // One after the other: two calls at once could swap messages of one group.
        for batch in batches(&messages) {
            self.send_batch(url, batch).await.map_err(failed)?;
        }
        Ok(())
    }
}

fn entry(n: usize, message: &Message, url: &str) -> Result<SendMessageBatchRequestEntry, String> {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(n.to_string())
        .message_body(message.body.as_str())
        .message_group_id(message.group.as_str());
    let entry = if url.ends_with(".fifo") { entry.message_deduplication_id(message.dedup.as_str()) } else { entry };
    entry.build().map_err(|_| "the request could not be built".to_owned())
}

/// Cuts messages into runs that fit a call.
fn batches(messages: &[Message]) -> Vec<&[Message]> {
    let mut batches = Vec::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |message: &&Message| {
            bytes += message.body.len();
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take(BATCH_COUNT).take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count);
        batches.push(batch);
        rest = after;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: &[usize]) -> Vec<usize> {
        let message = |bytes: &usize| Message { body: "x".repeat(*bytes), group: "g".to_owned(), dedup: "d".to_owned() };
        batches(&bytes.iter().map(message).collect::<Vec<_>>()).iter().map(|batch| batch.len()).collect()
    }

    #[test]
    fn a_call_takes_ten_messages_and_a_mebibyte() {
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[1; 10]), [10]);
        assert_eq!(sizes(&[1; 21]), [10, 10, 1]);
        assert_eq!(sizes(&[BATCH_BYTES / 2, BATCH_BYTES / 2, 1]), [2, 1]);
        assert_eq!(sizes(&[1, BATCH_BYTES, 1]), [1, 1, 1]);
    }
}
