//! One worker with one person: what is known of their contact, and the right to write to it.

use super::IntercomSender;
use crate::action::ContactRole;
use crate::event::{Event, IdKind, Identifier, Kind, Merged, Profile, Source, event_id};
use crate::id::Digest;
use crate::job::{Job, event_message};
use crate::outcome::Outcome;
use crate::person::Person;
use crate::ports::{Clock, Commit, Destination, Given, Mark, Message, Store, StoreError};
use crate::time::{Span, Timestamp};

/// Longer than all calls of a visit take; whoever ends in between keeps others away no longer than that.
const BUSY_FOR: Span = Span::from_mins(1);
/// What Intercom did not take, since nobody has made the attribute yet, is offered again with a fact this much later.
const TRIED_AGAIN_AFTER: Span = Span::from_hours(24);
/// Somebody else is writing to the same contact.
const OVERLAP_AGAIN: Span = Span::from_secs(2);

/// Why nothing more is done for an action.
#[derive(Debug)]
pub(super) enum Halt {
    Ends(Outcome),
    Store(StoreError),
}

impl Halt {
    pub(super) fn busy() -> Self {
        Self::Ends(Outcome::retry(OVERLAP_AGAIN, "overlap"))
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Ends(outcome) => outcome,
            Self::Store(error) => {
                tracing::warn!(%error, "the job comes again");
                Outcome::retry(Span::ZERO, "store_failed")
            }
        }
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub(super) id: String,
    /// `None`: not heard.
    pub(super) role: Option<ContactRole>,
}

pub(super) struct Visit<'v> {
    pub(super) person: &'v Person,
    pub(super) mark: Mark,
    /// As the store has it.
    stored: Mark,
    claimed: bool,
    pub(super) contact: Option<Contact>,
    /// The contact that was told of last, in this visit.
    told_of: Option<String>,
    /// Events that tell what was found out.
    pub(super) learnt: Vec<Message>,
    /// For the record of the job at hand.
    pub(super) notes: Vec<String>,
}

impl<'v> Visit<'v> {
    pub(super) fn new<'m>(person: &'v Person, mark: &'m Mark, absorbed: impl Iterator<Item = &'m Mark>) -> Self {
        let mut adopted = mark.clone();
        if mark.generation != person.generation() {
            // The contact may be another's by now. Which contacts are theirs the person knows.
            adopted = Mark { version: mark.version, generation: person.generation(), ..Mark::default() };
            for old in std::iter::once(mark).chain(absorbed) {
                adopted.busy_until = adopted.busy_until.max(old.busy_until);
                adopted.creating_since = adopted.creating_since.max(old.creating_since);
                adopted.promoting = adopted.promoting.or_else(|| old.promoting.clone());
                adopted.dead.extend(old.dead.iter().cloned());
                for taken in &old.seconds {
                    // Of two in one place the second has yet to be sent, or is sent again a second later.
                    if !adopted.seconds.iter().any(|other| other.name == taken.name && other.at == taken.at) {
                        adopted.seconds.push(taken.clone());
                    }
                }
                adopted.runs.extend(old.runs.iter().cloned());
                for (field, told) in &old.told {
                    adopted.told.entry(field.clone()).or_insert(*told).doubt();
                }
                for (field, given) in &old.given {
                    let known = adopted.given.entry(field.clone()).or_insert_with(|| given.clone());
                    known.at = given.at.max(known.at);
                }
            }
            forget_values(&mut adopted);
        }
        Self {
            person,
            mark: adopted,
            stored: mark.clone(),
            claimed: false,
            contact: None,
            told_of: None,
            learnt: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Remembers a contact as theirs, and tells it where that is news.
    pub(super) fn is(&mut self, contact: Contact, job: &Job, now: Timestamp) {
        self.tell_of(&contact, job, now);
        self.mark.profile = Some(contact.id.clone());
        self.mark.profile_seen_at = now;
        self.mark.looked_for = None;
        self.contact = Some(contact);
    }

    /// Tells of the contact as long as it is not known as theirs: once told, it may have been lost.
    pub(super) fn tell_of(&mut self, contact: &Contact, job: &Job, now: Timestamp) {
        let id = Identifier { kind: IdKind::IntercomId, value: contact.id.clone() };
        if self.person.has_id(&id) || self.told_of.as_ref() == Some(&contact.id) {
            return;
        }
        self.told_of = Some(contact.id.clone());
        self.tell(&["contact", &contact.id], id, Kind::PersonIdentified(Profile::default()), job, now);
    }

    /// The contact goes on under another id.
    pub(super) fn moved(&mut self, to: String, job: &Job, now: Timestamp) {
        if let Some(old) = self.contact.take() {
            self.tell_of_merge(&old.id, &to, job, now);
        }
        forget_values(&mut self.mark);
        self.mark.profile = Some(to.clone());
        self.contact = Some(Contact { id: to, role: None });
    }

    /// One of the person's contacts goes on under another id.
    pub(super) fn lives_on_as(&mut self, old: &str, to: &str, job: &Job, now: Timestamp) {
        if self.is_the_one(old) {
            self.contact = Some(Contact { id: old.to_owned(), role: None });
            self.moved(to.to_owned(), job, now);
        } else {
            self.tell_of_merge(old, to, job, now);
        }
    }

    fn tell_of_merge(&mut self, old: &str, to: &str, job: &Job, now: Timestamp) {
        let from = Identifier::new(IdKind::IntercomId, old).into_iter().collect();
        let merged = Kind::PersonMerged(Merged { from, profile: Profile::default() });
        self.tell(&["merged", old, to], Identifier { kind: IdKind::IntercomId, value: to.to_owned() }, merged, job, now);
        if self.mark.promoting.as_deref() == Some(old) {
            self.mark.promoting = None;
        }
        self.mark.dead.insert(old.to_owned());
    }

    /// One of the person's contacts is not there any more.
    pub(super) fn is_gone(&mut self, contact: &str) {
        if self.is_the_one(contact) {
            self.contact = Some(Contact { id: contact.to_owned(), role: None });
            self.died();
        } else {
            self.mark.dead.insert(contact.to_owned());
        }
    }

    /// It is the contact that is written to.
    fn is_the_one(&self, contact: &str) -> bool {
        self.contact.as_ref().is_some_and(|own| own.id == contact) || self.mark.profile.as_deref() == Some(contact)
    }

    /// The contact is not there any more.
    pub(super) fn died(&mut self) {
        if let Some(contact) = self.contact.take() {
            self.mark.dead.insert(contact.id);
        }
        forget_values(&mut self.mark);
        self.mark.profile = None;
        self.mark.promoting = None;
    }

    pub(super) fn tell(&mut self, name: &[&str], id: Identifier, kind: Kind, job: &Job, now: Timestamp) {
        let mut parts = vec!["sender", job.event.as_str(), self.person.id.as_str()];
        parts.extend(name);
        let own = self.person.id_of(IdKind::UserId).and_then(|own| Identifier::new(IdKind::UserId, own));
        let event = Event {
            id: event_id(Source::Intercom, &self.person.workspace, &parts),
            source: Source::Intercom,
            workspace: self.person.workspace.clone(),
            occurred_at: now,
            received_at: now,
            ids: [id].into_iter().chain(own).collect(),
            person: None,
            origin: None,
            kind,
        };
        self.learnt.extend(event_message(&event));
    }

    /// Whether the contact is to be given this value: it is another one than last, and no older fact.
    pub(super) fn is_news(&mut self, field: &str, value: &serde_json::Value, at: Timestamp) -> bool {
        let is_news = |given: &Given| given.hash != hash(value) || (given.refused && at.since(given.at) >= TRIED_AGAIN_AFTER);
        match self.mark.given.get_mut(field) {
            None => true,
            Some(given) if given.at > at => false,
            Some(given) if is_news(given) => true,
            // The same, said again later.
            Some(given) if !given.refused => {
                given.at = at;
                false
            }
            Some(_) => false,
        }
    }

    /// Of what was given just now, Intercom has left these fields and attributes out.
    pub(super) fn not_taken(&mut self, left_out: &[String]) {
        for name in left_out {
            for field in [name.clone(), format!("attribute:{name}")] {
                if let Some(given) = self.mark.given.get_mut(&field) {
                    given.refused = true;
                }
            }
        }
    }

    pub(super) fn gave(&mut self, field: &str, value: &serde_json::Value, at: Timestamp) {
        self.mark.given.insert(field.to_owned(), Given { hash: hash(value), at, refused: false });
    }
}

/// What the contact has is not known any more; that older facts come too late still holds.
pub(super) fn forget_values(mark: &mut Mark) {
    mark.given.values_mut().for_each(|given| given.hash.clear());
}

fn hash(value: &serde_json::Value) -> String {
    let mut hex = Digest::new("given").with(&value.to_string()).hex();
    hex.truncate(16);
    hex
}

impl<S: Store, Q, C: Clock, J, V> IntercomSender<'_, S, Q, C, J, V> {
    /// Takes the right to write to the contact, before the first write.
    pub(super) async fn claim(&self, visit: &mut Visit<'_>) -> Result<(), Halt> {
        if visit.claimed {
            return Ok(());
        }
        let now = self.clock.now();
        if visit.mark.busy_until.is_some_and(|until| until > now) {
            return Err(Halt::busy());
        }
        visit.mark.busy_until = Some(now.plus(BUSY_FOR));
        self.put(visit).await?;
        visit.claimed = true;
        Ok(())
    }

    /// Writes the mark down, if it says anything new.
    pub(super) async fn put(&self, visit: &mut Visit<'_>) -> Result<(), Halt> {
        if visit.mark == visit.stored {
            return Ok(());
        }
        let marks = vec![(visit.person.id.clone(), visit.mark.clone())];
        match self.store.put_marks(Destination::Intercom, marks).await?.first() {
            Some(Commit::Done) => {
                visit.mark.version += 1;
                visit.stored = visit.mark.clone();
                Ok(())
            }
            Some(Commit::Conflict) | None => Err(Halt::busy()),
        }
    }

    /// Whether somebody else is writing to the contact now.
    pub(super) fn is_busy(&self, visit: &Visit<'_>) -> bool {
        !visit.claimed && visit.mark.busy_until.is_some_and(|until| until > self.clock.now())
    }

    /// Ends the visit: what was learnt and written is remembered, and others may come.
    pub(super) async fn leave(&self, visit: &mut Visit<'_>) -> Result<(), Halt> {
        if visit.claimed {
            visit.mark.busy_until = None;
        }
        self.put(visit).await
    }
}
