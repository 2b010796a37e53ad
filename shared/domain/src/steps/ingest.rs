//! Webhook in, queue message out. Answers only once the queue has everything.

use super::Parked;
use crate::event::Workspace;
use crate::job::event_message;
use crate::outcome::Reason;
use crate::ports::{Clock, Message, Queue, QueueName, Received, Unauthorized};

/// What to tell the sender, and what to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: durable.
    Accepted { events: usize },
    /// 200: authentic, nothing for us.
    Ignored(String),
    /// 200: authentic, of no use, kept with the reason.
    Parked(String),
    /// 400: authentic, of no use, kept with the reason, and the sender should know.
    Refused(String),
    /// 401.
    Unauthorized,
    /// 503: could not be made durable; the sender should come again.
    Unavailable(String),
}

impl Answer {
    pub fn status(&self) -> u16 {
        match self {
            Self::Accepted { .. } | Self::Ignored(_) | Self::Parked(_) => 200,
            Self::Refused(_) => 400,
            Self::Unauthorized => 401,
            Self::Unavailable(_) => 503,
        }
    }

    /// For the counter: a bounded set of words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Ignored(_) => "ignored",
            Self::Parked(_) => "parked",
            Self::Refused(_) => "refused",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

pub async fn ingest<Q: Queue, C: Clock>(
    queue: &Q,
    clock: &C,
    stage: &str,
    workspace: &Workspace,
    received: Result<Received, Unauthorized>,
    body: &[u8],
) -> Answer {
    let parked = |reason: &str| Parked::new(stage, workspace, Reason::new(reason), clock.now(), body);
    let park = async |parked: Parked, answer| match parked.to_message() {
        Ok(message) => send(queue, QueueName::Parked, vec![message], answer).await,
        Err(error) => Answer::Unavailable(error.to_string()),
    };
    match received {
        Err(Unauthorized) => Answer::Unauthorized,
        Ok(Received::Ignored(word)) => Answer::Ignored(word),
        Ok(Received::Unusable { reason, about }) => park(Parked { about, ..parked(&reason) }, Answer::Parked(reason)).await,
        Ok(Received::Refused { reason, about }) => park(Parked { about, ..parked(&reason) }, Answer::Refused(reason)).await,
        Ok(Received::Events(events)) => {
            let messages: Result<Vec<Message>, _> = events.iter().map(event_message).collect();
            match messages {
                Ok(messages) => send(queue, QueueName::Events, messages, Answer::Accepted { events: events.len() }).await,
                Err(error) => Answer::Unavailable(error.to_string()),
            }
        }
    }
}

async fn send<Q: Queue>(queue: &Q, name: QueueName, messages: Vec<Message>, accepted: Answer) -> Answer {
    match queue.send(name, messages).await {
        Ok(()) => accepted,
        Err(error) => Answer::Unavailable(error.to_string()),
    }
}
