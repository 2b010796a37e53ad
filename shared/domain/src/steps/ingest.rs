//! Webhook in, queue message out. Answers only once the queue has everything.

use super::Parked;
use crate::event::{Event, Workspace};
use crate::job::event_message;
use crate::outcome::Reason;
use crate::ports::{Clock, Message, Queue, QueueName, Received, Several, Unauthorized};
use std::collections::BTreeMap;

/// What to tell the sender, and what to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: durable. Of several messages in one body, some may have been parked, and some dropped for the reasons named.
    Accepted { events: usize, parked: usize, dropped: BTreeMap<&'static str, usize> },
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
    let park = async |reason: &str, about, answer| match parked(stage, workspace, reason, about, clock, body) {
        Ok(message) => send(queue, QueueName::Parked, vec![message], answer).await,
        Err(error) => Answer::Unavailable(error.to_string()),
    };
    match received {
        Err(Unauthorized) => Answer::Unauthorized,
        Ok(Received::Ignored(word)) => Answer::Ignored(word),
        Ok(Received::Unusable { reason, about }) => park(&reason, about, Answer::Parked(reason.clone())).await,
        Ok(Received::Refused { reason, about }) => park(&reason, about, Answer::Refused(reason.clone())).await,
        Ok(Received::Events(events)) => {
            let accepted = Answer::Accepted { events: events.len(), parked: 0, dropped: BTreeMap::new() };
            match messages(&events) {
                Ok(messages) => send(queue, QueueName::Events, messages, accepted).await,
                Err(error) => Answer::Unavailable(error.to_string()),
            }
        }
        Ok(Received::Several(Several { events, unusable, dropped })) => {
            let accepted = Answer::Accepted { events: events.len(), parked: unusable.len(), dropped };
            let unusable: Result<Vec<_>, _> =
                unusable.into_iter().map(|part| parked(stage, workspace, part.reason, part.about, clock, &part.body)).collect();
            match (messages(&events), unusable) {
                (Ok(events), Ok(unusable)) => send_both(queue, events, unusable, accepted).await,
                (Err(error), _) | (_, Err(error)) => Answer::Unavailable(error.to_string()),
            }
        }
    }
}

fn messages(events: &[Event]) -> Result<Vec<Message>, serde_json::Error> {
    events.iter().map(event_message).collect()
}

fn parked<C: Clock>(
    stage: &str,
    workspace: &Workspace,
    reason: &str,
    about: Option<String>,
    clock: &C,
    body: &[u8],
) -> Result<Message, serde_json::Error> {
    Parked { about, ..Parked::new(stage, workspace, Reason::new(reason), clock.now(), body) }.to_message()
}

/// Where one of the two fails the sender comes again with everything: both carry dedup ids.
async fn send_both<Q: Queue>(queue: &Q, events: Vec<Message>, parked: Vec<Message>, accepted: Answer) -> Answer {
    for (name, messages) in [(QueueName::Parked, parked), (QueueName::Events, events)] {
        if messages.is_empty() {
            continue;
        }
        if let Err(error) = queue.send(name, messages).await {
            return Answer::Unavailable(error.to_string());
        }
    }
    accepted
}

async fn send<Q: Queue>(queue: &Q, name: QueueName, messages: Vec<Message>, accepted: Answer) -> Answer {
    match queue.send(name, messages).await {
        Ok(()) => accepted,
        Err(error) => Answer::Unavailable(error.to_string()),
    }
}
