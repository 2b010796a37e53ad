//! Looks over the shoulder of the steps: what they send on, and why they give something back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use trefoil_domain::ports::{Message, Queue, QueueError, QueueName};
use trefoil_platform::sqlite::SqliteQueue;

/// The queues, with a memory of what was sent.
pub(crate) struct Watched {
    pub(crate) queue: SqliteQueue,
    sent: Mutex<Vec<(QueueName, Message)>>,
}

impl Watched {
    pub(crate) fn new(queue: SqliteQueue) -> Self {
        Self { queue, sent: Mutex::default() }
    }

    /// What was sent since the last time.
    pub(crate) fn take_sent(&self) -> Vec<(QueueName, Message)> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queue for Watched {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        let sent: Vec<_> = messages.iter().map(|message| (queue, message.clone())).collect();
        self.queue.send(queue, messages).await?;
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
        Ok(())
    }
}

/// A step says in the log alone why something comes again: this keeps the `reason` of each `event`, and prints what went
/// wrong.
#[derive(Clone, Default)]
pub(crate) struct Reasons(Arc<Mutex<BTreeMap<String, String>>>);

impl Reasons {
    /// The reasons given since the last time, by event.
    pub(crate) fn take(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Reasons {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("trefoil")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        if *event.metadata().level() <= Level::WARN {
            let said: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            anstream::eprintln!("{}: {}", event.metadata().level().as_str().to_lowercase(), said.join(" "));
        }
        if let (Some(event), Some(reason)) = (fields.remove("event"), fields.remove("reason")) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(event, reason);
        }
    }

    // There are no spans of interest.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
