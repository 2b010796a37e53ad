//! Webhook in, queue message out. Answers only once the queue has everything.

use super::Parked;
use crate::event::{Event, Workspace};
use crate::job::event_message;
use crate::outcome::Reason;
use crate::ports::{Clock, Message, Queue, QueueName, Received, Several, Unauthorized, UnusablePart};
use std::collections::BTreeMap;

/// SQS takes no larger message. An event may be larger than the body that it comes from: it names each thing in full.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MOST_MESSAGE_BYTES: usize = 1024 * 1024;
/// Why a body is parked one of whose events does not fit the queue: that would be so however often it came again.
const TOO_LARGE: &str = "too_large";

/// What to tell the sender, and what to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: durable. Of several messages in one body, some may have been parked, and some dropped for the reasons named.
    Accepted { events: usize, parked: usize, dropped: BTreeMap<&'static str, usize> },
    /// 200: authentic, nothing for us.
    Ignored(&'static str),
    /// 200: authentic, of no use, kept with the reason.
    Parked(&'static str),
    /// 400: authentic, of no use, kept with the reason, and the sender should know.
    Refused(&'static str),
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
        Ok(Received::Unusable { reason, about }) => park(reason, about, Answer::Parked(reason)).await,
        Ok(Received::Refused { reason, about }) => park(reason, about, Answer::Refused(reason)).await,
        Ok(Received::Events(events)) => {
            let accepted = Answer::Accepted { events: events.len(), parked: 0, dropped: BTreeMap::new() };
            match messages(&events) {
                Ok((messages, 0)) => send(queue, QueueName::Events, messages, accepted).await,
                Ok((messages, _)) => match parked(stage, workspace, TOO_LARGE, None, clock, body) {
                    Ok(whole) => send_both(queue, messages, vec![whole], Answer::Parked(TOO_LARGE)).await,
                    Err(error) => Answer::Unavailable(error.to_string()),
                },
                Err(error) => Answer::Unavailable(error.to_string()),
            }
        }
        Ok(Received::Several(Several { events, unusable, dropped })) => {
            let part = |part: UnusablePart| parked(stage, workspace, part.reason, part.about, clock, &part.body);
            let mut all: Result<Vec<_>, _> = unusable.into_iter().map(part).collect();
            let messages = messages(&events);
            // Which of the messages it was in is not known any more.
            if let (Ok((_, 1..)), Ok(all)) = (&messages, &mut all) {
                match parked(stage, workspace, TOO_LARGE, None, clock, body) {
                    Ok(whole) => all.push(whole),
                    Err(error) => return Answer::Unavailable(error.to_string()),
                }
            }
            match (messages, all) {
                (Ok((messages, _)), Ok(all)) => {
                    let accepted = Answer::Accepted { events: messages.len(), parked: all.len(), dropped };
                    send_both(queue, messages, all, accepted).await
                }
                (Err(error), _) | (_, Err(error)) => Answer::Unavailable(error.to_string()),
            }
        }
    }
}

/// Those that fit the queue, and how many do not.
fn messages(events: &[Event]) -> Result<(Vec<Message>, usize), serde_json::Error> {
    let mut messages = events.iter().map(event_message).collect::<Result<Vec<_>, _>>()?;
    messages.retain(|message| message.body.len() <= MOST_MESSAGE_BYTES);
    let too_large = events.len() - messages.len();
    Ok((messages, too_large))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Attributes, Behaviour, IdKind, Identifier, Kind, Source, Value, event_id};
    use crate::ports::QueueError;
    use crate::time::Timestamp;
    use futures::FutureExt;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Sent(Mutex<Vec<(QueueName, Message)>>);

    impl Queue for Sent {
        async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
            if messages.iter().any(|message| message.body.len() > MOST_MESSAGE_BYTES) {
                return Err(QueueError { queue, message: "as SQS would".to_owned() });
            }
            self.0.lock().expect("whole").extend(messages.into_iter().map(|message| (queue, message)));
            Ok(())
        }
    }

    struct Midnight;

    impl Clock for Midnight {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(1_795_219_200)
        }
    }

    fn event(id: &str, bytes: usize) -> Event {
        let workspace = Workspace::new("main").expect("a name");
        let attributes = Attributes::from_iter([("note".to_owned(), Value::String("x".repeat(bytes)))]);
        Event {
            id: event_id(Source::Intercom, &workspace, &[id]),
            source: Source::Intercom,
            workspace,
            occurred_at: Midnight.now(),
            received_at: Midnight.now(),
            ids: Identifier::new(IdKind::UserId, "1").into_iter().collect(),
            person: None,
            origin: None,
            kind: Kind::Tracked(Behaviour { name: "x".to_owned(), device: None, attributes }),
        }
    }

    fn come_in(received: Received, body: &[u8]) -> (Answer, Vec<(QueueName, Message)>) {
        let sent = Sent::default();
        let workspace = Workspace::new("main").expect("a name");
        let answer = ingest(&sent, &Midnight, "ingest-intercom", &workspace, Ok(received), body).now_or_never().expect("nothing waits");
        (answer, sent.0.into_inner().expect("whole"))
    }

    fn queues(sent: &[(QueueName, Message)]) -> Vec<QueueName> {
        sent.iter().map(|(queue, _)| *queue).collect()
    }

    #[test]
    fn what_does_not_fit_the_queue_is_parked_and_costs_nothing_beside_it() {
        let both = || vec![event("small", 10), event("large", MOST_MESSAGE_BYTES)];
        let body = vec![b'x'; MOST_MESSAGE_BYTES];
        let (answer, sent) = come_in(Received::Events(both()), &body);
        assert_eq!(answer, Answer::Parked("too_large"));
        assert_eq!(queues(&sent), [QueueName::Parked, QueueName::Events]);
        let parked: Parked = serde_json::from_str(&sent[0].1.body).expect("parked");
        assert_eq!((parked.reason.code.as_str(), parked.size, parked.body), ("too_large", MOST_MESSAGE_BYTES, None));

        let (answer, sent) = come_in(Received::Several(Several { events: both(), ..Several::default() }), &body);
        assert_eq!(answer, Answer::Accepted { events: 1, parked: 1, dropped: BTreeMap::new() });
        assert_eq!(queues(&sent), [QueueName::Parked, QueueName::Events]);

        let (answer, sent) = come_in(Received::Events(vec![event("large", MOST_MESSAGE_BYTES)]), b"{}");
        assert_eq!((answer, queues(&sent)), (Answer::Parked("too_large"), vec![QueueName::Parked]));
    }
}
