//! The only writer of a person's state: read, fold, plan, one conditional write, enqueue.
//!
//! A crash anywhere in between is mended by the redelivery: what was written is not written again, and what follows from
//! the event is planned again under the same ids.

use super::{MALFORMED_AGAIN, Parked, back_off, close, malformed, record, send_all};
use crate::config::{Config, Trigger, What};
use crate::event::{Choice, Event, IdKind, Identifier, Kind, Named, Parent, Settlement, Source};
use crate::fold::{Folded, fold, move_facet};
use crate::id::{ConflictId, PersonId};
use crate::identity::{self, Claim, Conflict, ConflictKind, Resolution};
use crate::job::{Job, Work};
use crate::label::Label;
use crate::outcome::{CONCERNS_NO_PERSON, Outcome, Reason};
use crate::person::{Opening, Owed, Person, RecordKey};
use crate::plan::{Plan, ask_who_takes_part, can_name, plan, plan_for_nobody};
use crate::ports::{
    Alias, AliasKey, Clock, Commit, ConflictNote, Delivery, Destination, Disposition, Found, Jitter, Message, Put, Queue, QueueName,
    Record, Store, StoreError, Wake,
};
use crate::rules::Routes;
use crate::tickets::{TicketFact, TicketId};
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What a transaction takes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const ACTIONS: usize = 100;

/// Claims that a merge moves over at once.
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
        let named = identity::without_no_ids(event, &self.config.identity);
        let concerns_nobody = named.ids.is_empty() && !event.ids.is_empty() && ticket_of(event).is_none();
        let event = named.as_ref();
        if concerns_nobody {
            return Ok(self.for_nobody(event, Outcome::skipped("names_nobody"), &Found::default(), self.clock.now()));
        }
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
        if let Kind::CampaignNamed(named) = &event.kind {
            return self.keep_name(event, named, &found, now).await;
        }
        let targets = match targets(event, &found, self.config, self.routes) {
            Ok(targets) => targets,
            Err(outcome) => return Ok(Some(self.for_nobody(event, outcome, &found, now))),
        };
        let recognised: Vec<Recognised<'_>> = targets.iter().map(|target| self.recognise(event, target, &found, now)).collect();
        let aliases = self.read_claims(&found, &recognised).await?;
        let mut puts: Vec<Vec<Put>> = Vec::new();
        let mut whole = Plan::default();
        let mut notes = Vec::new();
        let mut conflicts = Vec::new();
        let decided: Vec<Decided> = recognised.into_iter().map(|one| self.decide(event, one, &found, &aliases, now)).collect();
        let changed = decided.iter().any(|decided| !decided.puts.is_empty());
        let ticket = ticket_alias(event, &decided, &found);
        let asked = decided.first().and_then(|decided| self.question(event, &decided.id, &found, now));
        for (decided, target) in decided.into_iter().zip(&targets) {
            // Seen again, the event changes nothing and would not tell of the claims that made it one. A contradiction leaves no
            // claim behind.
            let tells = |c: &&Conflict| c.is_for_a_human() && (changed || c.kind == ConflictKind::Contradiction);
            conflicts.extend(target.conflicts.iter().filter(tells).map(|c| note(event, c, &decided.id, now)));
            puts.push(decided.puts);
            whole.jobs.extend(decided.plan.jobs);
            whole.wakes.extend(decided.plan.wakes);
            whole.skipped.extend(decided.plan.skipped);
            notes.extend(decided.folded.note());
        }
        notes.extend(targets.iter().flat_map(|t| &t.conflicts).map(Conflict::code));
        puts.push(ticket.into_iter().collect());
        if let Some((put, job)) = asked {
            puts.push(put.into_iter().collect());
            whole.jobs.push(job);
        }
        let changed = puts.iter().any(|puts| !puts.is_empty());
        let Some(commits) = transactions(puts) else {
            let outcome = Outcome::blocked("too_many_changes");
            let record = record(&event.id, "route", now, event.kind.name(), outcome);
            return Ok(Some(Routed { jobs: Vec::new(), wakes: Vec::new(), record }));
        };
        // Before the claims that make them conflicts.
        if !conflicts.is_empty() {
            self.store.note_conflicts(conflicts).await?;
        }
        for puts in commits {
            if self.store.commit(puts).await? == Commit::Conflict {
                return Ok(None);
            }
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

    /// What the event's message was part of, where a route wants to call it by its name; of an answer, what it is about.
    fn campaign<'e>(&self, event: &'e Event) -> Option<&'e Parent> {
        match &event.kind {
            Kind::CampaignNamed(named) => Some(&named.campaign),
            Kind::Message(report) if event.source == Source::Customerio => {
                let trigger = Trigger { source: event.source, what: What::Message(report.channel, report.metric) };
                report.parent.as_ref().filter(|_| self.routes.name_campaigns(trigger))
            }
            _ => None,
        }
    }

    /// What the campaign is called is asked for by one event for all, which says so in the same write as all else: whoever
    /// comes in between reads again, and finds it asked.
    fn question(&self, event: &Event, person: &PersonId, found: &Found, now: Timestamp) -> Option<(Option<Put>, Job)> {
        let campaign = self.campaign(event)?;
        let (key, stored, label) = label_of(event, campaign, found);
        if !label.is_asked_by(&event.id, now) {
            return None;
        }
        let asked = label.clone().asked_by(&event.id, now);
        let put = (asked != label).then(|| label_put(key, stored, asked));
        let job = Job {
            event: event.id.clone(),
            workspace: event.workspace.clone(),
            person: Some(person.clone()),
            created_at: event.received_at,
            work: Work::CustomerioLookUp(campaign.clone()),
        };
        Some((put, job))
    }

    /// Keeps what a campaign is called.
    async fn keep_name(&self, event: &Event, named: &Named, found: &Found, now: Timestamp) -> Result<Option<Routed>, Trouble> {
        let (key, stored, label) = label_of(event, &named.campaign, found);
        let told = label.clone().told(named.name.as_deref(), event.occurred_at);
        let outcome = if told == label { Outcome::skipped("no_change") } else { Outcome::Done };
        if told != label && self.store.commit(vec![label_put(key, stored, told)]).await? == Commit::Conflict {
            return Ok(None);
        }
        let record = record(&event.id, "route", now, event.kind.name(), outcome);
        Ok(Some(Routed { jobs: Vec::new(), wakes: Vec::new(), record }))
    }

    /// There is nobody to whom the event belongs: what remains is what it says of a company. Of a ticket of nobody that we know,
    /// Intercom is asked.
    fn for_nobody(&self, event: &Event, outcome: Outcome, found: &Found, now: Timestamp) -> Routed {
        if let (Some(ticket), Outcome::Skipped { .. }) =
            (ticket_of(event).filter(|_| event.ids.is_empty() && event.person.is_none()), &outcome)
            && found.aliases.get(&AliasKey::of_ticket(&event.workspace, ticket)).is_none_or(|alias| alias.deleted_at.is_none())
            && self.config.has(Destination::Intercom)
        {
            let mut record = record(&event.id, "route", now, event.kind.name(), Outcome::Done);
            record.notes.extend(Folded::AskFirst.note().map(str::to_owned));
            return Routed { jobs: vec![ask_who_takes_part(event, ticket)], wakes: Vec::new(), record };
        }
        let of_a_company =
            matches!(event.kind, Kind::CompanyUpdated(_) | Kind::CompanyDeleted(_) | Kind::CompanyJoined(_) | Kind::CompanyLeft(_));
        let plan = match &outcome {
            Outcome::Skipped { .. } if of_a_company => plan_for_nobody(event, self.config, self.routes, now),
            Outcome::Skipped { .. } | Outcome::Done | Outcome::RetryAfter { .. } | Outcome::Rejected { .. } | Outcome::Blocked { .. } => {
                Plan::default()
            }
        };
        let outcome = if plan.jobs.is_empty() { outcome } else { Outcome::Done };
        let mut record = record(&event.id, "route", now, event.kind.name(), outcome);
        record.skipped = plan.skipped;
        Routed { jobs: plan.jobs, wakes: Vec::new(), record }
    }

    /// Reads every id that the event names, and whom they lead to. One round trip as long as people are found under the
    /// id that they were first heard of by.
    async fn read(&self, event: &Event) -> Result<Found, StoreError> {
        let named = event.ids.iter().chain(identity::said_to_be_the_same(event)).filter(|id| !id.is_address_as_id());
        let mut keys: Vec<AliasKey> = named.map(|id| AliasKey::of_identifier(&event.workspace, id)).collect();
        if let Some(ticket) = ticket_of(event) {
            keys.push(AliasKey::of_ticket(&event.workspace, ticket));
        }
        keys.extend(self.campaign(event).map(|campaign| AliasKey::of_campaign(&event.workspace, campaign)));
        let first = event.ids.iter().find(|id| !id.is_address_as_id());
        let guess = event.person.clone().or_else(|| first.map(|id| Person::id_for(&event.workspace, id)));
        let other = if let Kind::Settled(Settlement::Same { with }) = &event.kind { Some(with.clone()) } else { None };
        let people: Vec<PersonId> = guess.into_iter().chain(other).collect();
        let mut found = self.store.find(&keys, &people).await?;
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

    /// What was claimed of the ids that change hands besides those that the event names: those of people absorbed, and those
    /// that are given up.
    async fn read_claims(&self, found: &Found, recognised: &[Recognised<'_>]) -> Result<BTreeMap<AliasKey, Alias>, StoreError> {
        let keys: Vec<AliasKey> =
            recognised.iter().flat_map(|one| one.claims.keys()).filter(|key| !found.aliases.contains_key(key)).cloned().collect();
        // Those that the event names have been read, and are not there.
        let named: BTreeSet<&AliasKey> = recognised.iter().flat_map(|one| &one.named).collect();
        let keys: Vec<AliasKey> = keys.into_iter().filter(|key| !named.contains(key)).collect();
        let mut aliases = found.aliases.clone();
        if !keys.is_empty() {
            aliases.extend(self.store.find(&keys, &[]).await?.aliases);
        }
        Ok(aliases)
    }

    /// The person with all that the event says of who they are.
    fn recognise<'f>(&self, event: &Event, target: &Target, found: &'f Found, now: Timestamp) -> Recognised<'f> {
        let before = target.person.as_ref().and_then(|id| found.people.get(id));
        let mut person = match before {
            Some(person) => person.clone(),
            None => {
                let mut person = Person::new(&event.workspace, &target.first, now);
                // Given up by somebody who may have got their id from it.
                if let Some(alias) = found.aliases.get(&AliasKey::of_identifier(&event.workspace, &target.first)) {
                    person.id = Person::id_after(&event.workspace, &target.first, alias.version);
                }
                person
            }
        };
        let absorbed: Vec<&Person> = target.absorb.iter().filter_map(|id| found.people.get(id)).collect();
        for other in &absorbed {
            person.absorb((*other).clone());
        }
        if let Some(record) = RecordKey::of(event.source, &event.ids) {
            let profile = event.kind.profile();
            let from = identity::said_to_be_the_same(event);
            let (others, own): (Vec<Identifier>, Vec<Identifier>) =
                target.hold.iter().cloned().partition(|id| from.contains(id) && !event.ids.contains(id));
            person.learn(&record, &own, event.occurred_at, profile.is_some(), profile.is_some_and(|p| p.whole));
            // What somebody went by before is no news of the record that they go on under.
            if let Some(record) = RecordKey::of(event.source, &others) {
                person.learn(&record, &others, event.occurred_at, false, false);
            }
        }
        match &event.kind {
            Kind::Settled(Settlement::Disclaimed { id }) => person.disclaim(id),
            // The old name stays; the one to go by is the new one.
            Kind::PersonMerged(_) => {
                let named = event.ids.iter().filter(|id| id.kind == IdKind::UserId && !id.is_address_as_id());
                named.for_each(|id| person.go_by(&id.value, event.occurred_at));
            }
            _ => {}
        }

        let key = |id: &Identifier| AliasKey::of_identifier(&event.workspace, id);
        // Of all ids, also those that nobody is matched by: an address is written to only while one person claims it.
        let mut claims = BTreeMap::new();
        // What does not fit the transaction still finds its way: the record that is absorbed says where to.
        for id in absorbed.iter().flat_map(|other| ids_of(other)).take(CLAIMS_MOVED) {
            claims.insert(key(&id), if person.still_claims(&id) { Claim::Held } else { Claim::Withdrawn });
        }
        for id in before.into_iter().flat_map(ids_of).filter(|id| !person.still_claims(id)) {
            claims.insert(key(&id), Claim::Withdrawn);
        }
        // Also one that is not kept of the person, such as a browser seen long ago.
        if let Kind::Settled(Settlement::Disclaimed { id }) = &event.kind {
            claims.insert(key(id), Claim::Withdrawn);
        }
        for id in target.hold.iter().filter(|id| person.has_id(id) && !id.is_address_as_id()) {
            claims.insert(key(id), Claim::Held);
        }
        let named = event.ids.iter().chain(identity::said_to_be_the_same(event)).map(key).collect();
        let addressable = |id: &&Identifier| self.config.customerio.found_by().any(|kind| kind == id.kind);
        let gained =
            !absorbed.is_empty() || before.is_some_and(|before| target.hold.iter().any(|id| !before.has_id(id) && person.has_id(id)));
        let named_at_segment = |person: &Person| self.config.segment.identify_by.iter().any(|kind| person.id_of(*kind).is_some());
        let grew = before.is_some_and(|before| target.hold.iter().filter(addressable).any(|id| !before.has_id(id) && person.has_id(id)))
            || !absorbed.is_empty()
            || before.is_some_and(|before| !named_at_segment(before) && named_at_segment(&person));
        // What was found under an id that is another's by now is not theirs.
        let finds = |id: &Identifier| addressable(&id) || matches!(id.kind, IdKind::IntercomId | IdKind::UserId | IdKind::Email);
        let gave_up = before.into_iter().flat_map(ids_of).any(|id| finds(&id) && !person.has_id(&id));
        person.given_up += usize::from(gave_up);
        let grew = grew || gave_up;
        // An address that is told again by another tool may be the one that holds from now on.
        let is_renamed = |kind| before.is_some_and(|before| person.id_of(kind).is_some() && before.id_of(kind) != person.id_of(kind));
        let renamed = is_renamed(IdKind::UserId) || is_renamed(IdKind::Email);
        Recognised { person, before, absorbed, claims, named, grew, renamed, gained }
    }

    /// Folds and plans for one person. Pure but for the clock's reading, which comes in.
    fn decide(
        &self,
        event: &Event,
        recognised: Recognised<'_>,
        found: &Found,
        aliases: &BTreeMap<AliasKey, Alias>,
        now: Timestamp,
    ) -> Decided {
        let Recognised { mut person, before, absorbed, claims, named: _, grew, renamed, gained } = recognised;
        let expected = before.map_or(0, |before| before.version);
        let mut puts: Vec<Put> =
            absorbed.iter().map(|other| Put::Person { person: Box::new(other.husk(&person.id, now)), expected: other.version }).collect();
        puts.extend(claims.into_iter().filter_map(|(key, claim)| {
            let stored = aliases.get(&key).cloned().unwrap_or_default();
            let alias = identity::claims_after(&stored, &person.id, &person.absorbed, claim);
            (alias != stored).then_some(Put::Alias { key, alias, expected: stored.version })
        }));

        let ticket = ticket_of(event);
        let deleted_at = ticket.and_then(|t| found.aliases.get(&AliasKey::of_ticket(&event.workspace, t))).and_then(|a| a.deleted_at);
        let folded = fold(&mut person, event, deleted_at, self.config, now);
        move_facet(&mut person, event, grew, renamed, self.config, now);
        // A contact that comes back from the archive may have missed something.
        person.consent.settle(&event.id, gained || event.kind == Kind::PersonRestored, &self.config.consent);
        let config = self.config;
        let (now_named, later): (Vec<Owed>, Vec<Owed>) = std::mem::take(&mut person.owed)
            .into_iter()
            .partition(|owed| owed.left_by.is_none() && can_name(owed.work.destination(), &person, config));
        person.owed = later;
        person.owed.extend(now_named.into_iter().map(|owed| Owed { left_by: Some(event.id.clone()), ..owed }));
        let campaign = self.campaign(event).and_then(|campaign| found.aliases.get(&AliasKey::of_campaign(&event.workspace, campaign)));
        let campaign_name = campaign.and_then(|alias| alias.label.as_ref()?.name.as_deref());
        let news = person.wrote.strip(event);
        let plan = plan(&news, &person, folded, campaign_name, self.config, self.routes, now);
        self.remember_written(&mut person, &plan);
        for work in &plan.owed {
            person.owe(Owed { event: event.id.clone(), since: event.received_at, left_by: None, work: work.clone() });
        }
        // Before the job that opens it is in any queue: so whatever tells of it finds it known.
        for opening in &plan.openings {
            let planned = Opening { planned_at: event.received_at, ticket: None };
            let known = person.openings.entry(opening.clone()).or_insert_with(|| planned.clone());
            // The same words once more: another conversation.
            if known.planned_at < planned.planned_at {
                *known = planned;
            }
        }

        let id = person.id.clone();
        let holds_ticket = ticket.is_some_and(|ticket| person.tickets.contains_key(ticket));
        if before != Some(&person) {
            person.version = person.version.max(expected) + 1;
            puts.push(Put::Person { person: Box::new(person), expected });
        }
        Decided { id, puts, plan, folded, holds_ticket }
    }

    /// Values that tools are about to be given, where routes would pass them on if they came back.
    fn remember_written(&self, person: &mut Person, plan: &Plan) {
        let (customerio, intercom) = (self.routes.passes_on(Source::Customerio), self.routes.passes_on(Source::Intercom));
        for job in &plan.jobs {
            match &job.work {
                Work::Customerio(actions) if customerio => actions.iter().for_each(|action| person.wrote.note_customerio(&action.what)),
                Work::Intercom(actions) if intercom => actions.iter().for_each(|action| person.wrote.note_intercom(&action.what)),
                Work::Customerio(_)
                | Work::Intercom(_)
                | Work::CustomerioFacet { .. }
                | Work::SegmentFacet { .. }
                | Work::Consent { .. }
                | Work::CustomerioLookUp(_)
                | Work::IntercomLookUp(_)
                | Work::Segment(_) => {}
            }
        }
    }
}

/// What is written at once: everything, or where that is more than a transaction takes, each person alone, and last of all
/// who takes part in the ticket. A crash in between is mended by the redelivery. `None`: one person alone is too much.
fn transactions(puts: Vec<Vec<Put>>) -> Option<Vec<Vec<Put>>> {
    let total: usize = puts.iter().map(Vec::len).sum();
    if total <= ACTIONS {
        let all: Vec<Put> = puts.into_iter().flatten().collect();
        return Some(if all.is_empty() { Vec::new() } else { vec![all] });
    }
    let fits = puts.iter().all(|puts| puts.len() <= ACTIONS);
    fits.then(|| puts.into_iter().filter(|puts| !puts.is_empty()).collect())
}

/// Somebody of whom it is settled who they are.
struct Recognised<'f> {
    person: Person,
    /// As stored; `None`: a stranger until now.
    before: Option<&'f Person>,
    absorbed: Vec<&'f Person>,
    /// Ids that change hands.
    claims: BTreeMap<AliasKey, Claim>,
    /// Ids that the event names.
    named: Vec<AliasKey>,
    /// There is a new id to be found by at Customer.io, or the first one for Segment.
    grew: bool,
    /// Another user id or address than before is the one to go by.
    renamed: bool,
    /// There is any new id, or another record of theirs.
    gained: bool,
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
fn targets(event: &Event, found: &Found, config: &Config, routes: &Routes) -> Result<Vec<Target>, Outcome> {
    // Only strangers are made from it, and those have ids.
    let nobody = Identifier { kind: IdKind::IntercomId, value: String::new() };
    let known = |person: &Person| {
        let Resolution { person, absorb, hold, conflicts } = identity::resolve_known(person, event, found);
        Target { person, first: nobody.clone(), absorb, hold, conflicts }
    };
    if let Some(id) = &event.person {
        let person = identity::survivor(found, id).ok_or_else(|| Outcome::skipped("person_forgotten"))?;
        // Who goes on for them may be the very one to whom the id was given.
        if person.id != *id && matches!(&event.kind, Kind::Settled(Settlement::Disclaimed { .. })) {
            return Err(Outcome::skipped("merged_meanwhile"));
        }
        return Ok(vec![known(person)]);
    }
    if event.ids.is_empty() {
        let Some(ticket) = ticket_of(event) else {
            return Err(match &event.kind {
                Kind::CompanyUpdated(_) | Kind::CompanyDeleted(_) => Outcome::skipped(CONCERNS_NO_PERSON),
                _ => Outcome::blocked("names_nobody"),
            });
        };
        let alias = found.aliases.get(&AliasKey::of_ticket(&event.workspace, ticket));
        let people: BTreeMap<&PersonId, &Person> =
            alias.into_iter().flat_map(|a| &a.claimants).filter_map(|id| identity::survivor(found, id)).map(|p| (&p.id, p)).collect();
        // A deletion is remembered even if nobody is known yet: the opening may still be on its way.
        let is_deletion = matches!(&event.kind, Kind::Ticket(report) if report.fact == TicketFact::Deleted);
        return if people.is_empty() && !is_deletion {
            Err(Outcome::skipped("unknown_ticket"))
        } else {
            Ok(people.into_values().map(known).collect())
        };
    }
    let Resolution { person, absorb, hold, conflicts } = identity::resolve(event, found, &config.identity);
    let first = hold.iter().find(|id| !id.is_address_as_id() && identity::strength(event, id, &config.identity).is_some()).cloned();
    match (person, first) {
        (Some(person), first) => Ok(vec![Target { person: Some(person), first: first.unwrap_or(nobody), absorb, hold, conflicts }]),
        // A browser that nobody is known to use is nobody yet. But its opt-out counts for the person whom it will turn out to be.
        (None, Some(first)) if first.kind == IdKind::AnonymousId && !opts_out(event) => Err(Outcome::skipped("anonymous_stranger")),
        // Nobody is made in order to be deleted, unless a route deletes them elsewhere too: there they may well be known.
        (None, Some(_)) if event.kind == Kind::PersonDeleted && event.source != Source::Intercom && !deletes(event, routes) => {
            Err(Outcome::skipped("nobody_known"))
        }
        // An address that binds nobody is no reason to make somebody.
        (None, Some(first)) if conflicts.is_empty() || !matches!(first.kind, IdKind::Email | IdKind::Phone) => {
            Ok(vec![Target { person: None, first, absorb, hold, conflicts }])
        }
        (None, Some(_)) => Err(ambiguous(event)),
        // Nothing that people are recognised by, or nothing but an id that belongs to somebody else.
        (None, None) if conflicts.is_empty() && !opts_out(event) => Err(Outcome::skipped("not_matched_by")),
        (None, None) => Err(ambiguous(event)),
    }
}

fn deletes(event: &Event, routes: &Routes) -> bool {
    routes.on(Trigger { source: event.source, what: What::PersonDeleted }, &event.kind).next().is_some()
}

fn opts_out(event: &Event) -> bool {
    matches!(&event.kind, Kind::ConsentChanged(changes) if changes.iter().any(|change| change.choice == Choice::Out))
}

/// Kept for a human, unless there is no end of such events and none of them matters for long.
fn ambiguous(event: &Event) -> Outcome {
    match &event.kind {
        Kind::Tracked(_) | Kind::PageViewed(_) | Kind::ScreenViewed(_) | Kind::Message(_) | Kind::TraitComputed { .. } => {
            Outcome::skipped("ambiguous_person")
        }
        Kind::PersonCreated(_)
        | Kind::PersonUpdated(_)
        | Kind::PersonSignedUp(_)
        | Kind::PersonIdentified(_)
        | Kind::PersonNotFound
        | Kind::PersonMerged(_)
        | Kind::PersonDeleted
        | Kind::PersonArchived
        | Kind::PersonRestored
        | Kind::PersonTagged(_)
        | Kind::PersonUntagged(_)
        | Kind::ConsentChanged(_)
        | Kind::CompanyUpdated(_)
        | Kind::CompanyDeleted(_)
        | Kind::CompanyJoined(_)
        | Kind::CompanyLeft(_)
        | Kind::Ticket(_)
        | Kind::ListEntered(_)
        | Kind::ListLeft(_)
        | Kind::Converted(_)
        | Kind::ChurnRisk(_)
        | Kind::Custom(_)
        | Kind::Due(_)
        | Kind::Settled(_)
        | Kind::CampaignNamed(_) => Outcome::blocked("ambiguous_person"),
    }
}

/// What a human is told of a conflict.
fn note(event: &Event, conflict: &Conflict, person: &PersonId, now: Timestamp) -> ConflictNote {
    ConflictNote {
        id: ConflictId::from(conflict.digest(&event.workspace)),
        workspace: event.workspace.clone(),
        kind: conflict.kind,
        over: conflict.id.clone(),
        people: conflict.holders.iter().chain([person]).cloned().collect(),
        event: event.id.clone(),
        at: now,
    }
}

fn ticket_of(event: &Event) -> Option<&TicketId> {
    if let Kind::Ticket(report) = &event.kind { Some(&report.ticket) } else { None }
}

fn label_of(event: &Event, campaign: &Parent, found: &Found) -> (AliasKey, Alias, Label) {
    let key = AliasKey::of_campaign(&event.workspace, campaign);
    let stored = found.aliases.get(&key).cloned().unwrap_or_default();
    let label = stored.label.clone().unwrap_or_default();
    (key, stored, label)
}

fn label_put(key: AliasKey, stored: Alias, label: Label) -> Put {
    let expected = stored.version;
    Put::Alias { key, alias: Alias { label: Some(label), ..stored }, expected }
}

/// Every id of a person that can be claimed: how an address is spelt is none beside the address.
fn ids_of(person: &Person) -> impl Iterator<Item = Identifier> {
    let all = person.ids.iter().flat_map(|(kind, values)| values.keys().map(|value| Identifier { kind: *kind, value: value.clone() }));
    all.filter(|id| !id.is_address_as_id())
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
