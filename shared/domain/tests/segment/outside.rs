//! The store, the queue, the clock and Segment in memory. A call to Segment may hang, so that a worker can be left or
//! overtaken there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use trefoil_domain::action::SegmentVerb;
use trefoil_domain::event::{Attributes, Workspace};
use trefoil_domain::id::{ConflictId, EventId, PersonId};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::*;
use trefoil_domain::time::{Span, Timestamp};

#[derive(Default)]
pub(crate) struct Outside {
    now: AtomicI64,
    pub(crate) people: Mutex<BTreeMap<PersonId, Person>>,
    pub(crate) aliases: Mutex<BTreeMap<AliasKey, Alias>>,
    pub(crate) marks: Mutex<BTreeMap<PersonId, Mark>>,
    pub(crate) mark_writes: AtomicUsize,
    pub(crate) records: Mutex<Vec<Record>>,
    pub(crate) parked: Mutex<Vec<Message>>,
    pub(crate) segment: Mutex<AtSegment>,
}

/// What Segment does with a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Does {
    Takes,
    /// Takes it, and the answer is lost.
    TakesAndDrops,
    Fails,
    /// Refuses the messages at these places.
    Refuses(BTreeSet<usize>),
    /// Takes it, and does not answer until it is asked once more.
    Hangs,
}

#[derive(Default)]
pub(crate) struct AtSegment {
    /// For the next calls. Beyond them it takes everything.
    pub(crate) does: VecDeque<Does>,
    pub(crate) calls: Vec<Vec<SegmentMessage>>,
    /// By user id, or else anonymous id.
    pub(crate) traits: BTreeMap<String, Attributes>,
    seen: BTreeSet<String>,
}

impl AtSegment {
    fn take(&mut self, message: &SegmentMessage) {
        // What it has seen before it ignores.
        if !self.seen.insert(message.id.to_string()) {
            return;
        }
        if let SegmentVerb::Identify { traits } = &message.what {
            let name = message.user_id.clone().or_else(|| message.anonymous_id.clone()).expect("a name");
            self.traits.entry(name).or_default().extend(traits.clone());
        }
    }
}

impl Outside {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.millis()), ..Self::default() }
    }

    pub(crate) fn advance(&self, span: Span) {
        self.now.fetch_add(span.millis(), Ordering::Relaxed);
    }

    pub(crate) fn calls(&self) -> Vec<Vec<SegmentMessage>> {
        self.segment.lock().expect("lock").calls.clone()
    }

    pub(crate) fn next_calls(&self, does: impl IntoIterator<Item = Does>) {
        self.segment.lock().expect("lock").does = does.into_iter().collect();
    }

    pub(crate) fn mark(&self, person: &PersonId) -> Mark {
        self.marks.lock().expect("lock").get(person).cloned().unwrap_or_default()
    }

    pub(crate) fn mark_writes(&self) -> usize {
        self.mark_writes.load(Ordering::Relaxed)
    }
}

/// Runs until it ends, or hangs: then `None`.
pub(crate) fn go_on<T>(work: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Ready at the second poll.
struct Once(bool);

impl Future for Once {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

impl Jitter for Outside {
    fn unit(&self) -> f64 {
        0.5
    }
}

impl Queue for Outside {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        assert_eq!(queue, QueueName::Parked);
        self.parked.lock().expect("lock").extend(messages);
        Ok(())
    }
}

impl Segment for Outside {
    async fn write(&self, messages: &[SegmentMessage]) -> Vec<Outcome> {
        let lost = |code| messages.iter().map(|_| Outcome::retry(Span::ZERO, code)).collect();
        let does = {
            let mut segment = self.segment.lock().expect("lock");
            segment.calls.push(messages.to_vec());
            let does = segment.does.pop_front().unwrap_or(Does::Takes);
            for (place, message) in messages.iter().enumerate() {
                match &does {
                    Does::Fails => {}
                    Does::Refuses(places) if places.contains(&place) => {}
                    Does::Refuses(_) | Does::Takes | Does::TakesAndDrops | Does::Hangs => segment.take(message),
                }
            }
            does
        };
        match does {
            Does::Takes => messages.iter().map(|_| Outcome::Done).collect(),
            Does::TakesAndDrops => lost("answer_lost"),
            Does::Fails => lost("unavailable"),
            Does::Refuses(places) => {
                let answer = |place| if places.contains(&place) { Outcome::rejected("refused", "") } else { Outcome::Done };
                (0..messages.len()).map(answer).collect()
            }
            Does::Hangs => {
                Once(false).await;
                messages.iter().map(|_| Outcome::Done).collect()
            }
        }
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl Store for Outside {
    async fn find(&self, aliases: &[AliasKey], people: &[PersonId]) -> Result<Found, StoreError> {
        assert_eq!(people, []);
        let stored = self.aliases.lock().expect("lock");
        let aliases = aliases.iter().filter_map(|key| Some((key.clone(), stored.get(key)?.clone()))).collect();
        Ok(Found { aliases, people: BTreeMap::new() })
    }

    async fn with_marks(&self, _: Destination, people: &[PersonId]) -> Result<BTreeMap<PersonId, (Person, Mark)>, StoreError> {
        let stored = self.people.lock().expect("lock");
        Ok(people.iter().filter_map(|id| Some((id.clone(), (stored.get(id)?.clone(), self.mark(id))))).collect())
    }

    async fn put_marks(&self, destination: Destination, marks: Vec<(PersonId, Mark)>) -> Result<Vec<Commit>, StoreError> {
        assert_eq!(destination, Destination::Segment);
        let mut stored = self.marks.lock().expect("lock");
        let put = |(person, mut mark): (PersonId, Mark)| {
            self.mark_writes.fetch_add(1, Ordering::Relaxed);
            if stored.get(&person).map_or(0, |mark| mark.version) != mark.version {
                return Commit::Conflict;
            }
            mark.version += 1;
            stored.insert(person, mark);
            Commit::Done
        };
        Ok(marks.into_iter().map(put).collect())
    }

    async fn record(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.records.lock().expect("lock").extend(records);
        Ok(())
    }

    async fn commit(&self, _: Vec<Put>) -> Result<Commit, StoreError> {
        unreachable!("a sender owns no person")
    }

    async fn set_wakes(&self, _: Vec<Wake>) -> Result<(), StoreError> {
        unreachable!("nothing is due")
    }

    async fn due_wakes(&self, _: Timestamp, _: usize) -> Result<Vec<Wake>, StoreError> {
        unreachable!("nothing is due")
    }

    async fn clear_wakes(&self, _: Vec<Wake>) -> Result<(), StoreError> {
        unreachable!("nothing is due")
    }

    async fn note_conflicts(&self, _: Vec<ConflictNote>) -> Result<(), StoreError> {
        unreachable!("a sender sees none")
    }

    async fn conflicts(&self, _: &Workspace) -> Result<Vec<ConflictNote>, StoreError> {
        unreachable!("a sender sees none")
    }

    async fn clear_conflicts(&self, _: &Workspace, _: Vec<ConflictId>) -> Result<(), StoreError> {
        unreachable!("a sender sees none")
    }

    async fn history(&self, _: &EventId, _: Timestamp) -> Result<Vec<Record>, StoreError> {
        unreachable!("a sender looks at none")
    }
}
