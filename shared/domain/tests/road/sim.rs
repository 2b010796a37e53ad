//! The outside world in memory, with every port call a point at which another worker may run or this one may die.
//!
//! Nothing here waits on real time. A port call first yields, so that a scheduler decides who goes on; a worker that is
//! dropped at such a point has crashed there, before the effect of that call and after the effect of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use trefoil_domain::action::{CustomerioEvent, CustomerioVerb};
use trefoil_domain::event::{Attributes, Event, IdKind, Parent, Workspace};
use trefoil_domain::id::{ActionId, ConflictId, EventId, PersonId};
use trefoil_domain::job::LookUp;
use trefoil_domain::ledger::{Entry, Ledger, Review};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::person::Person;
use trefoil_domain::ports::*;
use trefoil_domain::time::{Span, Timestamp};

/// A small generator, so that a case is its seed.
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// SplitMix64.
    pub(crate) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn percent(&self, p: usize) -> bool {
        self.below(100) < p
    }

    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Ready at the second poll.
pub(crate) struct Yield(bool);

impl Future for Yield {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        Poll::Pending
    }
}

pub(crate) fn point() -> Yield {
    Yield(false)
}

#[derive(Default)]
struct Stored {
    people: BTreeMap<PersonId, Person>,
    aliases: BTreeMap<AliasKey, Alias>,
    marks: BTreeMap<(Destination, PersonId), Mark>,
    wakes: BTreeMap<(PersonId, trefoil_domain::event::WakeReason), Wake>,
    conflicts: BTreeMap<ConflictId, ConflictNote>,
    records: Vec<Record>,
    entries: BTreeMap<ActionId, Entry>,
    names: NamesTaken,
    reads: u64,
    writes: u64,
    transactions: u64,
}

struct Waiting {
    message: Message,
    id: u64,
    visible_at: Timestamp,
    receive_count: u32,
}

pub(crate) struct World {
    now: AtomicI64,
    pub(crate) dice: Dice,
    stored: Mutex<Stored>,
    queues: Mutex<BTreeMap<QueueName, Vec<Waiting>>>,
    next_message: AtomicU64,
    sends: Mutex<BTreeMap<QueueName, u64>>,
    /// Group locks as on a FIFO queue; without them any message may overtake any other.
    pub(crate) fifo: bool,
    /// Percent of deletions that the queue forgets.
    pub(crate) forgets: AtomicU64,
    /// Outcomes cannot be written down.
    pub(crate) keeps_no_records: AtomicBool,
}

impl World {
    pub(crate) fn new(seed: u64, start: Timestamp) -> Self {
        let dice = Dice::new(seed);
        let fifo = dice.percent(50);
        Self {
            now: AtomicI64::new(start.millis()),
            dice,
            stored: Mutex::default(),
            queues: Mutex::default(),
            next_message: AtomicU64::new(0),
            sends: Mutex::default(),
            fifo,
            forgets: AtomicU64::new(3),
            keeps_no_records: AtomicBool::new(false),
        }
    }

    pub(crate) fn advance_to(&self, at: Timestamp) {
        self.now.fetch_max(at.millis(), Ordering::Relaxed);
    }

    pub(crate) fn people(&self) -> Vec<Person> {
        self.stored.lock().expect("lock").people.values().filter(|p| p.merged_into.is_none()).cloned().collect()
    }

    /// Who goes on for this one.
    pub(crate) fn survivor(&self, id: &PersonId) -> PersonId {
        let stored = self.stored.lock().expect("lock");
        let mut id = id;
        while let Some(next) = stored.people.get(id).and_then(|person| person.merged_into.as_ref()) {
            id = next;
        }
        id.clone()
    }

    /// Who claims each id, and takes part in each ticket.
    pub(crate) fn claims(&self) -> BTreeMap<AliasKey, Vec<PersonId>> {
        let stored = self.stored.lock().expect("lock");
        stored.aliases.iter().map(|(key, alias)| (key.clone(), alias.claimants.clone())).collect()
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.stored.lock().expect("lock").records.clone()
    }

    /// (reads, single writes, transactions) so far.
    pub(crate) fn store_calls(&self) -> (u64, u64, u64) {
        let stored = self.stored.lock().expect("lock");
        (stored.reads, stored.writes, stored.transactions)
    }

    pub(crate) fn sends(&self, queue: QueueName) -> u64 {
        self.sends.lock().expect("lock").get(&queue).copied().unwrap_or(0)
    }

    pub(crate) fn put(&self, queue: QueueName, message: Message) {
        let id = self.next_message.fetch_add(1, Ordering::Relaxed);
        let visible_at = self.now();
        self.queues.lock().expect("lock").entry(queue).or_default().push(Waiting { message, id, visible_at, receive_count: 0 });
    }

    pub(crate) fn depth(&self, queue: QueueName) -> usize {
        self.queues.lock().expect("lock").get(&queue).map_or(0, Vec::len)
    }

    /// When nothing can be received now: the next time at which a message becomes visible or a wake due.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        let now = self.now();
        let queues = self.queues.lock().expect("lock");
        let messages = queues
            .iter()
            .filter(|(name, _)| **name != QueueName::Parked)
            .flat_map(|(_, q)| q.iter().map(|w| w.visible_at))
            .filter(|at| *at > now)
            .min();
        let wakes = self.stored.lock().expect("lock").wakes.values().map(|w| w.due).min();
        match (messages, wakes) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Takes up to `max` visible messages and hides them for three minutes.
    pub(crate) fn receive(&self, queue: QueueName, max: usize) -> Vec<Delivery> {
        let now = self.now();
        let mut queues = self.queues.lock().expect("lock");
        let waiting = queues.entry(queue).or_default();
        let locked: BTreeSet<String> = waiting.iter().filter(|w| w.visible_at > now).map(|w| w.message.group.clone()).collect();
        let mut order: Vec<usize> = (0..waiting.len())
            .filter(|i| waiting[*i].visible_at <= now && !(self.fifo && locked.contains(&waiting[*i].message.group)))
            .collect();
        if !self.fifo {
            self.dice.shuffle(&mut order);
        }
        order.truncate(max);
        order
            .into_iter()
            .map(|i| {
                let w = &mut waiting[i];
                w.receive_count += 1;
                w.visible_at = now.plus(Span::from_mins(3));
                Delivery {
                    id: w.id.to_string(),
                    body: w.message.body.clone(),
                    group: w.message.group.clone(),
                    receive_count: w.receive_count,
                }
            })
            .collect()
    }

    pub(crate) fn settle(&self, queue: QueueName, dispositions: Vec<(String, Disposition)>) {
        let now = self.now();
        let mut queues = self.queues.lock().expect("lock");
        let waiting = queues.entry(queue).or_default();
        for (id, disposition) in dispositions {
            match disposition {
                // Queues repeat themselves now and then, also after a deletion.
                Disposition::Delete if self.dice.percent(self.forgets.load(Ordering::Relaxed) as usize) => {}
                Disposition::Delete => waiting.retain(|w| w.id.to_string() != id),
                Disposition::Retry(after) => {
                    if let Some(w) = waiting.iter_mut().find(|w| w.id.to_string() == id) {
                        w.visible_at = now.plus(after);
                    }
                }
            }
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

impl Jitter for World {
    fn unit(&self) -> f64 {
        self.dice.below(1000) as f64 / 1000.0
    }
}

impl Queue for World {
    async fn send(&self, queue: QueueName, messages: Vec<Message>) -> Result<(), QueueError> {
        // One message at a time: a crash may leave half of them.
        for message in messages {
            point().await;
            *self.sends.lock().expect("lock").entry(queue).or_default() += 1;
            self.put(queue, message);
        }
        Ok(())
    }
}

impl Store for World {
    async fn find(&self, aliases: &[AliasKey], people: &[PersonId]) -> Result<Found, StoreError> {
        point().await;
        let mut stored = self.stored.lock().expect("lock");
        stored.reads += 1;
        Ok(Found {
            aliases: aliases.iter().filter_map(|k| Some((k.clone(), stored.aliases.get(k)?.clone()))).collect(),
            people: people.iter().filter_map(|k| Some((k.clone(), stored.people.get(k)?.clone()))).collect(),
        })
    }

    async fn commit(&self, puts: Vec<Put>) -> Result<Commit, StoreError> {
        point().await;
        let mut stored = self.stored.lock().expect("lock");
        assert!(puts.len() <= 100, "a transaction of {} actions", puts.len());
        if puts.len() == 1 {
            stored.writes += 1;
        } else {
            stored.transactions += 1;
        }
        let mut keys = BTreeSet::new();
        let fits = puts.iter().all(|put| match put {
            Put::Person { person, expected } => {
                assert!(keys.insert(person.id.to_string()), "two actions on one item");
                assert!(person.version > *expected);
                stored.people.get(&person.id).map_or(0, |p| p.version) == *expected
            }
            Put::Alias { key, expected, .. } => {
                assert!(keys.insert(key.as_str().to_owned()), "two actions on one item");
                stored.aliases.get(key).map_or(0, |a| a.version) == *expected
            }
        });
        if !fits {
            return Ok(Commit::Conflict);
        }
        for put in puts {
            match put {
                Put::Person { person, .. } => {
                    // What is stored must survive the journey through JSON.
                    let json = serde_json::to_string(&person).expect("serializes");
                    stored.people.insert(person.id.clone(), serde_json::from_str(&json).expect("reads back"));
                }
                Put::Alias { key, mut alias, expected } => {
                    alias.version = expected + 1;
                    stored.aliases.insert(key, alias);
                }
            }
        }
        Ok(Commit::Done)
    }

    async fn with_marks(&self, destination: Destination, people: &[PersonId]) -> Result<BTreeMap<PersonId, (Person, Mark)>, StoreError> {
        point().await;
        let stored = self.stored.lock().expect("lock");
        let read = |id: &PersonId| {
            Some((id.clone(), (stored.people.get(id)?.clone(), stored.marks.get(&(destination, id.clone())).cloned().unwrap_or_default())))
        };
        Ok(people.iter().filter_map(read).collect())
    }

    async fn put_marks(&self, destination: Destination, marks: Vec<(PersonId, Mark)>) -> Result<Vec<Commit>, StoreError> {
        let mut commits = Vec::new();
        for (person, mut mark) in marks {
            point().await;
            let mut stored = self.stored.lock().expect("lock");
            let key = (destination, person);
            if stored.marks.get(&key).map_or(0, |m| m.version) != mark.version {
                commits.push(Commit::Conflict);
                continue;
            }
            mark.version += 1;
            stored.marks.insert(key, mark);
            commits.push(Commit::Done);
        }
        Ok(commits)
    }

    async fn set_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        for wake in wakes {
            point().await;
            self.stored.lock().expect("lock").wakes.insert((wake.person.clone(), wake.reason), wake);
        }
        Ok(())
    }

    async fn due_wakes(&self, now: Timestamp, limit: usize) -> Result<Vec<Wake>, StoreError> {
        point().await;
        let mut due: Vec<Wake> = self.stored.lock().expect("lock").wakes.values().filter(|w| w.due <= now).cloned().collect();
        due.sort_by_key(|w| w.due);
        due.truncate(limit);
        Ok(due)
    }

    async fn clear_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        for wake in wakes {
            point().await;
            let mut stored = self.stored.lock().expect("lock");
            let key = (wake.person.clone(), wake.reason);
            if stored.wakes.get(&key) == Some(&wake) {
                stored.wakes.remove(&key);
            }
        }
        Ok(())
    }

    async fn record(&self, records: Vec<Record>) -> Result<(), StoreError> {
        point().await;
        if self.keeps_no_records.load(Ordering::Relaxed) {
            return Err(StoreError { doing: "write outcomes", message: "unreachable".to_owned() });
        }
        self.stored.lock().expect("lock").records.extend(records);
        Ok(())
    }

    async fn note_conflicts(&self, notes: Vec<ConflictNote>) -> Result<(), StoreError> {
        point().await;
        self.stored.lock().expect("lock").conflicts.extend(notes.into_iter().map(|note| (note.id.clone(), note)));
        Ok(())
    }

    async fn conflicts(&self, _: &Workspace) -> Result<Vec<ConflictNote>, StoreError> {
        Ok(self.stored.lock().expect("lock").conflicts.values().cloned().collect())
    }

    async fn clear_conflicts(&self, _: &Workspace, ids: Vec<ConflictId>) -> Result<(), StoreError> {
        self.stored.lock().expect("lock").conflicts.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn history(&self, event: &EventId, _: Timestamp) -> Result<Vec<Record>, StoreError> {
        Ok(self.records().into_iter().filter(|r| r.event == *event).collect())
    }
}

impl Ledger for World {
    async fn entry(&self, action: &ActionId) -> Result<Option<Entry>, StoreError> {
        point().await;
        Ok(self.stored.lock().expect("lock").entries.get(action).cloned())
    }

    async fn put_entry(&self, mut entry: Entry, _: Timestamp) -> Result<Commit, StoreError> {
        point().await;
        let mut stored = self.stored.lock().expect("lock");
        if stored.entries.get(&entry.action).map_or(0, |e| e.version) != entry.version {
            return Ok(Commit::Conflict);
        }
        entry.version += 1;
        stored.entries.insert(entry.action.clone(), entry);
        Ok(Commit::Done)
    }

    async fn wanting_review(&self, _: &Workspace) -> Result<Vec<Entry>, StoreError> {
        Ok(self.stored.lock().expect("lock").entries.values().filter(|e| e.review == Review::Wanted).cloned().collect())
    }
}

impl EventNames for World {
    async fn event_names(&self, _: &Workspace) -> Result<NamesTaken, StoreError> {
        point().await;
        Ok(self.stored.lock().expect("lock").names.clone())
    }

    async fn put_event_names(&self, _: &Workspace, mut names: NamesTaken) -> Result<Commit, StoreError> {
        point().await;
        let mut stored = self.stored.lock().expect("lock");
        if stored.names.version != names.version {
            return Ok(Commit::Conflict);
        }
        names.version += 1;
        stored.names = names;
        Ok(Commit::Done)
    }
}

/// A campaign that was deleted.
pub(crate) const NAMELESS: &str = "404";

/// Customer.io as its documentation describes it: update only, older timestamps dropped, repeated event ids ignored.
pub(crate) struct Profiles<'w> {
    world: &'w World,
    profiles: Mutex<BTreeMap<String, Profile>>,
    pub(crate) calls: AtomicU64,
    /// Share of calls that fail as a whole, in percent; half of those after having been applied.
    pub(crate) failing: AtomicU64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) attributes: Attributes,
    edited_at: i64,
    /// By action id: event name and ticket.
    pub(crate) events: BTreeMap<String, (String, Attributes)>,
}

impl<'w> Profiles<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self { world, profiles: Mutex::default(), calls: AtomicU64::new(0), failing: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, cio_id: &str, user_id: Option<String>, email: Option<String>) {
        self.profiles.lock().expect("lock").insert(cio_id.to_owned(), Profile { user_id, email, ..Profile::default() });
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Profile> {
        self.profiles.lock().expect("lock").clone()
    }

    fn fails(&self) -> bool {
        self.world.dice.percent(self.failing.load(Ordering::Relaxed) as usize)
    }
}

impl Customerio for Profiles<'_> {
    async fn find_profiles(&self, people: &[Address]) -> Vec<ProfileLookUp> {
        point().await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.fails() {
            return people.iter().map(|_| ProfileLookUp::Failed(Outcome::retry(Span::ZERO, "unavailable"))).collect();
        }
        let profiles = self.profiles.lock().expect("lock");
        let seen = |own: &str| {
            let Profile { user_id, email, .. } = profiles.get(own).cloned().unwrap_or_default();
            SeenProfile { own: own.to_owned(), user_id, email }
        };
        let find = |address: &Address| {
            for (kind, value) in &address.ids {
                if *kind == IdKind::CioId && profiles.contains_key(value) {
                    return ProfileLookUp::Found(seen(value));
                }
                let found: Vec<&String> = profiles
                    .iter()
                    .filter(|(_, p)| match kind {
                        IdKind::UserId => p.user_id.as_ref() == Some(value),
                        IdKind::Email => p.email.as_ref() == Some(value),
                        IdKind::IntercomId | IdKind::CioId | IdKind::Phone | IdKind::AnonymousId => false,
                    })
                    .map(|(id, _)| id)
                    .collect();
                match found.as_slice() {
                    [] => {}
                    [one] => return ProfileLookUp::Found(seen(one)),
                    [_, _, ..] => return ProfileLookUp::Ambiguous,
                }
            }
            ProfileLookUp::Absent
        };
        people.iter().map(find).collect()
    }

    async fn write(&self, writes: &[CustomerioWrite]) -> Vec<Outcome> {
        point().await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let fails = self.fails();
        if fails && self.world.dice.percent(50) {
            return writes.iter().map(|_| Outcome::retry(Span::ZERO, "unavailable")).collect();
        }
        for write in writes {
            let mut profiles = self.profiles.lock().expect("lock");
            match write {
                CustomerioWrite::Attributes { profile, timestamp, create, attributes, own } => {
                    let id = match profile {
                        ProfileRef::Own(id) => id.clone(),
                        ProfileRef::By(kind, value) => {
                            assert!(*create, "addressed without looking although looking is possible");
                            let made = format!("made-{}-{value}", kind.name());
                            let profile = profiles.entry(made.clone()).or_default();
                            match kind {
                                IdKind::UserId => profile.user_id = Some(value.clone()),
                                IdKind::Email => profile.email = Some(value.clone()),
                                IdKind::IntercomId | IdKind::CioId | IdKind::Phone | IdKind::AnonymousId => panic!("no id of a profile"),
                            }
                            if let Some(email) = own.get("email").and_then(|email| email.as_str()) {
                                profile.email = Some(email.to_owned());
                            }
                            made
                        }
                    };
                    if let Some(profile) = profiles.get_mut(&id)
                        && *timestamp >= profile.edited_at
                    {
                        profile.edited_at = *timestamp;
                        profile.attributes.extend(attributes.clone());
                        profile.attributes.extend(own.clone());
                    }
                }
                CustomerioWrite::Act { profile: Some(ProfileRef::Own(id)), action } => {
                    let CustomerioVerb::TrackEvent(CustomerioEvent { name, properties }) = &action.what else { continue };
                    let profile = profiles.get_mut(id).expect("no event for a profile that is not known to exist");
                    profile.events.insert(action.id.to_string(), (name.clone(), properties.clone()));
                }
                CustomerioWrite::Act { profile: Some(ProfileRef::By(..)), .. } => {
                    panic!("addressed without looking although looking is possible")
                }
                CustomerioWrite::Act { profile: None, .. } | CustomerioWrite::Merge { .. } => {}
            }
        }
        // The answer may come after others have gone on.
        point().await;
        if fails {
            writes.iter().map(|_| Outcome::retry(Span::ZERO, "answer_lost")).collect()
        } else {
            writes.iter().map(|_| Outcome::Done).collect()
        }
    }

    async fn campaign_name(&self, campaign: &Parent) -> Result<Option<String>, Outcome> {
        point().await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok((campaign.id != NAMELESS).then(|| format!("The {} {}", campaign.kind.as_str(), campaign.id)))
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

/// Answers look-ups from the truth.
pub(crate) struct Truth<'w, F> {
    pub(crate) world: &'w World,
    pub(crate) answer: F,
}

impl<F: Fn(&World, &LookUp, &EventId) -> Option<Vec<Event>> + Send + Sync> IntercomLookUps for Truth<'_, F> {
    async fn look_up(&self, _: &Workspace, question: &LookUp, asked_by: &EventId, _: Timestamp) -> LookedUp {
        point().await;
        match (self.answer)(self.world, question, asked_by) {
            Some(events) => LookedUp { outcome: Outcome::Done, events },
            None => LookedUp { outcome: Outcome::retry(Span::from_secs(2), "too_fresh"), events: Vec::new() },
        }
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}
