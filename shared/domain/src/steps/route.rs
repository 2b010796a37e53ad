//! The only writer of a person's state: read, fold, plan, one conditional write, enqueue.
//!
//! A crash anywhere in between is mended by the redelivery: what was written is not written again, and what follows from
//! the event is planned again under the same ids.

use super::{MALFORMED_AGAIN, Parked, back_off, close, malformed, record, send_all};
use crate::config::Config;
use crate::event::{Event, IdKind, Identifier, Kind, Workspace};
use crate::fold::{Folded, fold, move_facet};
use crate::id::PersonId;
use crate::identity::{self, Conflict, Resolution};
use crate::job::Job;
use crate::outcome::{Outcome, Reason};
use crate::person::Person;
use crate::plan::{Plan, plan};
use crate::ports::{
    Alias, AliasKey, Clock, Commit, Delivery, Disposition, Found, Jitter, Message, Put, Queue, QueueName, Record, Store, StoreError, Wake,
};
use crate::rules::Routes;
use crate::tickets::{TicketFact, TicketId};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Claims that a merge moves over at once; a transaction takes 100 actions.
const CLAIMS_MOVED: usize = 60;

/// Attempts at one write before the event goes back to the queue: others are busy with the same person.
const ATTEMPTS: usize = 5;

pub struct Router<'a, S, Q, C, J> {
    pub store: &'a S,
    pub queue: &'a Q,
    pub clock: &'a C,
    pub jitter: &'a J,
    pub config: &'a Config,
    pub routes: &'a Routes,
}

/// What one event came to, before anything has left.
struct Routed {
    jobs: Vec<Job>,
    wakes: Vec<Wake>,
    record: Record,
}

enum Trouble {
    Store(StoreError),
    /// Every attempt met a newer version.
    Busy,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter> Router<'_, S, Q, C, J> {
    /// Handles one batch: groups side by side, within a group in order. Every delivery is answered.
    pub async fn handle(&self, deliveries: Vec<Delivery>) -> Vec<(String, Disposition)> {
        let mut groups: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for delivery in deliveries {
            groups.entry(delivery.group.clone()).or_default().push(delivery);
        }
        let routed = futures::future::join_all(groups.into_values().map(|group| self.group(group))).await;

        let mut done = Vec::new();
        let mut finished = Vec::new();
        let mut messages: BTreeMap<QueueName, Vec<Message>> = BTreeMap::new();
        let mut wakes = Vec::new();
        let mut records = Vec::new();
        let mut parked = Vec::new();
        for (delivery, result) in routed.into_iter().flatten() {
            let routed = match result {
                Ok(routed) => routed,
                Err(again) => {
                    done.push((delivery.id, Disposition::Retry(again)));
                    continue;
                }
            };
            let jobs: Result<Vec<(QueueName, Message)>, _> =
                routed.jobs.iter().map(|job| Ok::<_, serde_json::Error>((job.queue(), job.to_message()?))).collect();
            let Ok(jobs) = jobs else {
                tracing::error!(event = %routed.record.event, "a job could not be written as JSON");
                done.push((delivery.id, Disposition::Retry(MALFORMED_AGAIN)));
                continue;
            };
            if let Outcome::Blocked { reason } = &routed.record.outcome
                && let Ok(event) = serde_json::from_str::<Event>(&delivery.body)
                && let Ok(message) =
                    Parked::new(QueueName::Events.as_str(), &event.workspace, reason.clone(), routed.record.at, delivery.body.as_bytes())
                        .to_message()
            {
                parked.push(message);
            }
            for (queue, message) in jobs {
                messages.entry(queue).or_default().push(message);
            }
            wakes.extend(routed.wakes);
            records.push(routed.record);
            finished.push((delivery.id, delivery.receive_count));
        }
        let left = self.leave(messages, wakes, records, parked).await;
        if let Err(error) = &left {
            tracing::warn!(%error, events = finished.len(), "what follows from these events could not be made durable; they come again");
        }
        done.extend(finished.into_iter().map(|(id, count)| match left {
            Ok(()) => (id, Disposition::Delete),
            Err(_) => (id, Disposition::Retry(back_off(count, self.jitter))),
        }));
        done
    }

    /// Everything that must be durable before the events may be forgotten.
    async fn leave(
        &self,
        messages: BTreeMap<QueueName, Vec<Message>>,
        wakes: Vec<Wake>,
        records: Vec<Record>,
        parked: Vec<Message>,
    ) -> Result<(), String> {
        send_all(self.queue, messages).await.map_err(|e| e.to_string())?;
        if !wakes.is_empty() {
            self.store.set_wakes(wakes).await.map_err(|e| e.to_string())?;
        }
        close(self.store, self.queue, records, parked).await
    }

    async fn group(&self, deliveries: Vec<Delivery>) -> Vec<(Delivery, Result<Routed, Span>)> {
        let mut results = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let result = match serde_json::from_str::<Event>(&delivery.body) {
                Err(error) => {
                    malformed(&delivery, &error);
                    Err(MALFORMED_AGAIN)
                }
                Ok(event) => self.event(&event).await.map_err(|trouble| match trouble {
                    Trouble::Busy => {
                        tracing::warn!(event = %event.id, "others kept writing the same person; the event comes again");
                        back_off(1, self.jitter)
                    }
                    Trouble::Store(error) => {
                        tracing::warn!(event = %event.id, %error, "the event comes again");
                        back_off(delivery.receive_count, self.jitter)
                    }
                }),
            };
            results.push((delivery, result));
        }
        results
    }

    async fn event(&self, event: &Event) -> Result<Routed, Trouble> {
        for _ in 0..ATTEMPTS {
            if let Some(routed) = self.attempt(event).await? {
                return Ok(routed);
            }
        }
        Err(Trouble::Busy)
    }

    /// One read, one decision, one write. `None`: somebody else was faster.
    async fn attempt(&self, event: &Event) -> Result<Option<Routed>, Trouble> {
        let now = self.clock.now();
        let found = self.read(event).await?;
        let targets = match targets(event, &found) {
            Ok(targets) => targets,
            Err(outcome) => {
                return Ok(Some(Routed {
                    jobs: Vec::new(),
                    wakes: Vec::new(),
                    record: record(&event.id, "route", now, event.kind.name(), outcome),
                }));
            }
        };
        let found = self.read_absorbed(found, &targets).await?;
        let mut puts = Vec::new();
        let mut whole = Plan::default();
        let mut notes = Vec::new();
        let decided: Vec<Decided> = targets.iter().map(|target| self.decide(event, target, &found, now)).collect();
        puts.extend(ticket_alias(event, &decided, &found));
        for decided in decided {
            puts.extend(decided.puts);
            whole.jobs.extend(decided.plan.jobs);
            whole.wakes.extend(decided.plan.wakes);
            whole.skipped.extend(decided.plan.skipped);
            notes.extend(decided.folded.note());
        }
        notes.extend(targets.iter().flat_map(|t| &t.conflicts).map(Conflict::code));
        let changed = !puts.is_empty();
        if changed && self.store.commit(puts).await? == Commit::Conflict {
            return Ok(None);
        }
        let outcome = match (changed || !whole.jobs.is_empty(), notes.first()) {
            (true, _) => Outcome::Done,
            (false, Some(note)) => Outcome::Skipped { reason: Reason::new(note) },
            (false, None) => Outcome::skipped("no_change"),
        };
        let mut record = record(&event.id, "route", now, event.kind.name(), outcome);
        record.skipped = whole.skipped;
        record.notes = notes.into_iter().map(str::to_owned).collect();
        Ok(Some(Routed { jobs: whole.jobs, wakes: whole.wakes, record }))
    }

    /// Reads every id that the event names, and whom they lead to. One round trip as long as people are found under the
    /// id that they were first heard of by.
    async fn read(&self, event: &Event) -> Result<Found, StoreError> {
        let mut keys: Vec<AliasKey> = event.ids.iter().map(|id| AliasKey::of_identifier(&event.workspace, id)).collect();
        if let Some(ticket) = ticket_of(event) {
            keys.push(AliasKey::of_ticket(&event.workspace, ticket));
        }
        let guess = event.person.clone().or_else(|| event.ids.first().map(|id| Person::id_for(&event.workspace, id)));
        let mut found = self.store.find(&keys, guess.as_slice()).await?;
        // Each round follows one step of a merge; there are rarely any.
        for _ in 0..8 {
            let missing = identity::missing(&found);
            if missing.is_empty() {
                break;
            }
            let more = self.store.find(&[], &missing).await?;
            if more.people.is_empty() {
                break;
            }
            found.people.extend(more.people);
        }
        Ok(found)
    }

    /// A merge moves every claim of those absorbed: reads them, and lets the decision see them.
    async fn read_absorbed(&self, mut found: Found, targets: &[Target]) -> Result<Found, StoreError> {
        let mut keys = Vec::new();
        for person in targets.iter().flat_map(|t| &t.absorb).filter_map(|id| found.people.get(id)) {
            keys.extend(claims(person).filter(|key| !found.aliases.contains_key(key)));
        }
        if !keys.is_empty() {
            found.aliases.extend(self.store.find(&keys, &[]).await?.aliases);
        }
        Ok(found)
    }

    /// Folds and plans for one person. Pure but for the clock's reading, which comes in.
    fn decide(&self, event: &Event, target: &Target, found: &Found, now: Timestamp) -> Decided {
        let before = target.person.as_ref().and_then(|id| found.people.get(id));
        let mut person = match before {
            Some(person) => person.clone(),
            None => Person::new(&event.workspace, &target.first, now),
        };
        let expected = person.version;
        let mut puts = Vec::new();
        let absorbed: Vec<&Person> = target.absorb.iter().filter_map(|id| found.people.get(id)).collect();
        for other in &absorbed {
            person.absorb((*other).clone());
            puts.push(Put::Person { person: Box::new(other.husk(&person.id, now)), expected: other.version });
        }
        puts.extend(alias_puts(&event.workspace, target, &person.id, &absorbed, found));

        let ticket = ticket_of(event);
        let deleted_at = ticket.and_then(|t| found.aliases.get(&AliasKey::of_ticket(&event.workspace, t))).and_then(|a| a.deleted_at);
        for id in &target.hold {
            person.learn(id, event.occurred_at);
        }
        let folded = fold(&mut person, event, deleted_at, self.config, now);
        let addressable = |id: &&Identifier| self.config.customerio.identify_by.contains(&id.kind);
        let gained_id = before.is_some_and(|before| target.hold.iter().filter(addressable).any(|id| !before.has_id(id)));
        move_facet(&mut person, event, gained_id || !absorbed.is_empty(), self.config, now);
        let plan = plan(event, &person, folded, self.config, self.routes, now);

        let id = person.id.clone();
        let holds_ticket = ticket.is_some_and(|ticket| person.tickets.contains_key(ticket));
        if before != Some(&person) {
            person.version = person.version.max(expected) + 1;
            puts.push(Put::Person { person: Box::new(person), expected });
        }
        Decided { id, puts, plan, folded, holds_ticket }
    }
}

/// Somebody whom the event concerns.
struct Target {
    /// `None`: a stranger, to be made under `first`.
    person: Option<PersonId>,
    first: Identifier,
    absorb: Vec<PersonId>,
    hold: Vec<Identifier>,
    conflicts: Vec<Conflict>,
}

struct Decided {
    id: PersonId,
    puts: Vec<Put>,
    plan: Plan,
    folded: Folded,
    holds_ticket: bool,
}

/// Whom the event concerns: the one whom its ids name or, where it has none, everybody known to take part in the ticket.
fn targets(event: &Event, found: &Found) -> Result<Vec<Target>, Outcome> {
    let known = |person: &Person, first: Identifier| Target {
        person: Some(person.id.clone()),
        first,
        absorb: Vec::new(),
        hold: Vec::new(),
        conflicts: Vec::new(),
    };
    // Only strangers are made from it, and those have ids.
    let nobody = Identifier { kind: IdKind::IntercomId, value: String::new() };
    if let Some(id) = &event.person {
        let person = identity::survivor(found, id).ok_or_else(|| Outcome::skipped("person_forgotten"))?;
        return Ok(vec![known(person, nobody)]);
    }
    let Some(strongest) = event.ids.iter().min() else {
        let ticket = ticket_of(event).ok_or_else(|| Outcome::blocked("names_nobody"))?;
        let alias = found.aliases.get(&AliasKey::of_ticket(&event.workspace, ticket));
        let people: BTreeMap<&PersonId, &Person> =
            alias.into_iter().flat_map(|a| &a.claimants).filter_map(|id| identity::survivor(found, id)).map(|p| (&p.id, p)).collect();
        // A deletion is remembered even if nobody is known yet: the opening may still be on its way.
        let is_deletion = matches!(&event.kind, Kind::Ticket(report) if report.fact == TicketFact::Deleted);
        return if people.is_empty() && !is_deletion {
            Err(Outcome::skipped("unknown_ticket"))
        } else {
            Ok(people.into_values().map(|p| known(p, nobody.clone())).collect())
        };
    };
    let Resolution { person, absorb, hold, conflicts } = identity::resolve(&event.workspace, &event.ids, found);
    let first = hold.iter().min().cloned();
    match (person, first) {
        (Some(person), first) => {
            Ok(vec![Target { person: Some(person), first: first.unwrap_or_else(|| strongest.clone()), absorb, hold, conflicts }])
        }
        // An address that binds nobody is no reason to make somebody.
        (None, Some(first)) if first.kind != IdKind::Email || conflicts.is_empty() => {
            Ok(vec![Target { person: None, first, absorb, hold, conflicts }])
        }
        (None, Some(_) | None) => Err(Outcome::blocked("ambiguous_person")),
    }
}

fn ticket_of(event: &Event) -> Option<&TicketId> {
    if let Kind::Ticket(report) = &event.kind { Some(&report.ticket) } else { None }
}

/// Keys of everything that a person claims.
fn claims(person: &Person) -> impl Iterator<Item = AliasKey> {
    let ids = person.ids.iter().flat_map(|(kind, values)| values.keys().map(|value| Identifier { kind: *kind, value: value.clone() }));
    ids.map(|id| AliasKey::of_identifier(&person.workspace, &id))
}

/// New claims, and those of the absorbed moved over.
fn alias_puts(workspace: &Workspace, target: &Target, id: &PersonId, absorbed: &[&Person], found: &Found) -> Vec<Put> {
    let own = target.hold.iter().map(|id| (AliasKey::of_identifier(workspace, id), true));
    // What does not fit the transaction still finds its way: the record that is absorbed says where to.
    let inherited = absorbed.iter().flat_map(|person| claims(person)).map(|key| (key, false)).take(CLAIMS_MOVED);
    let mut after: BTreeMap<AliasKey, (Alias, bool)> = BTreeMap::new();
    for (key, claims) in inherited.chain(own) {
        let entry = after.entry(key).or_default();
        entry.1 |= claims;
    }
    after
        .into_iter()
        .filter_map(|(key, (_, claims))| {
            let stored = found.aliases.get(&key).cloned().unwrap_or_default();
            let alias = identity::claims_after(&stored, id, &target.absorb, claims);
            (alias != stored).then_some(Put::Alias { key, alias, expected: stored.version })
        })
        .collect()
}

/// Who takes part in a ticket, and that it was deleted, for payloads that name no contact.
fn ticket_alias(event: &Event, decided: &[Decided], found: &Found) -> Option<Put> {
    let Kind::Ticket(report) = &event.kind else { return None };
    let key = AliasKey::of_ticket(&event.workspace, &report.ticket);
    let stored = found.aliases.get(&key).cloned().unwrap_or_default();
    let mut alias = stored.clone();
    for person in decided.iter().filter(|d| d.holds_ticket) {
        if !alias.claimants.contains(&person.id) {
            alias.claimants.push(person.id.clone());
        }
    }
    alias.claimants.sort();
    if report.fact == TicketFact::Deleted {
        alias.deleted_at = Some(alias.deleted_at.map_or(event.occurred_at, |at| at.min(event.occurred_at)));
    }
    (alias != stored).then_some(Put::Alias { key, alias, expected: stored.version })
}
