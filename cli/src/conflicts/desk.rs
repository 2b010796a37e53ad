//! What holds of the conflicts that were noted, and what a decision about one of them means. Knows no screen, and not
//! whether it works on a file or on AWS.

use crate::operator::{PREFIX, with_survivors};
use std::collections::{BTreeMap, BTreeSet};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Settlement, Source, Workspace, event_id};
use trefoil_domain::id::{ConflictId, PersonId};
use trefoil_domain::identity::{self, ConflictKind};
use trefoil_domain::job::event_message;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{AliasKey, ConflictNote, Found, Queue, QueueName, Store};
use trefoil_domain::time::{Span, Timestamp};

/// A note is written before what makes it true, and may be older than that by as long as a batch takes.
const YOUNG: Span = Span::from_mins(5);

pub(super) struct Desk<'a, S, Q> {
    pub(super) store: &'a S,
    pub(super) queue: &'a Q,
    pub(super) workspace: &'a Workspace,
    pub(super) now: Timestamp,
}

/// A note, and whom it concerns now.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub(super) note: ConflictNote,
    /// Those who have survived, in the order of their ids.
    pub(super) people: Vec<Person>,
}

impl Conflict {
    /// Whether there still is anything to settle.
    fn holds(&self) -> bool {
        match self.note.kind {
            ConflictKind::Ambiguous => self.people.len() > 1,
            // Of two, one may have given the id up, or been forgotten. One alone has run into itself: two user ids in one record.
            ConflictKind::Contradiction => {
                let (wanted, over) = (self.note.people.len().min(2), &self.note.over);
                let settled = |person: &Person| person.disclaimed.contains(over) || (wanted < 2 && person.has_id(over));
                self.people.iter().filter(|person| !settled(person)).count() >= wanted
            }
            ConflictKind::TwoProfiles if self.note.over.kind == IdKind::CioId => self.people.iter().any(|person| profiles(person) > 1),
            // Another profile goes by it, as long as it is the person's.
            ConflictKind::TwoProfiles => self.people.iter().any(|person| person.has_id(&self.note.over)),
        }
    }
}

fn profiles(person: &Person) -> usize {
    person.ids.get(&IdKind::CioId).map_or(0, BTreeMap::len)
}

impl<S: Store, Q: Queue> Desk<'_, S, Q> {
    /// All that hold, latest first, and how many others were cleared away.
    pub(super) async fn list(&self) -> Result<(Vec<Conflict>, usize), String> {
        let notes = self.notes().await?;
        let (hold, gone): (Vec<Conflict>, Vec<Conflict>) = self.read(notes).await?.into_iter().partition(Conflict::holds);
        let old = |conflict: &Conflict| self.now.since(conflict.note.at) > YOUNG;
        let ids: Vec<ConflictId> = gone.into_iter().filter(old).map(|conflict| conflict.note.id).collect();
        let cleared = ids.len();
        if cleared > 0 {
            self.store.clear_conflicts(self.workspace, ids).await.map_err(|e| e.to_string())?;
        }
        Ok((hold, cleared))
    }

    /// The conflict whose id begins so.
    pub(super) async fn find(&self, prefix: &str) -> Result<Conflict, String> {
        if prefix.len() < PREFIX {
            return Err(format!("{prefix:?} is too short; give at least {PREFIX} characters of the conflict's id"));
        }
        let mut notes = self.notes().await?;
        notes.retain(|note| note.id.as_str().starts_with(prefix));
        match notes.len() {
            1 => self.read(notes).await?.pop().ok_or_else(|| "the conflict is gone".to_owned()),
            0 => Err(format!("no conflict begins with {prefix:?}; `trefoil conflicts` lists them")),
            several => {
                Err(format!("{several} conflicts begin with {prefix:?}; give more of the id (`trefoil conflicts --json` has all of it)"))
            }
        }
    }

    async fn notes(&self) -> Result<Vec<ConflictNote>, String> {
        self.store.conflicts(self.workspace).await.map_err(|e| e.to_string())
    }

    async fn read(&self, notes: Vec<ConflictNote>) -> Result<Vec<Conflict>, String> {
        let key = |note: &ConflictNote| AliasKey::of_identifier(self.workspace, &note.over);
        let keys: Vec<AliasKey> = notes.iter().map(key).collect();
        let named: BTreeSet<PersonId> = notes.iter().flat_map(|note| &note.people).cloned().collect();
        let named: Vec<PersonId> = named.into_iter().collect();
        let found = with_survivors(self.store, &keys, &named).await?;
        Ok(notes.into_iter().map(|note| Conflict { people: concerned(&note, &key(&note), &found), note }).collect())
    }

    /// They are one human.
    pub(super) fn merge(&self, conflict: &Conflict) -> Result<Vec<Event>, String> {
        match (conflict.note.kind, conflict.people.as_slice()) {
            (ConflictKind::TwoProfiles, _) => {
                Err("this is one person already; merge or delete one of the profiles at Customer.io, then dismiss the conflict".to_owned())
            }
            (ConflictKind::Contradiction | ConflictKind::Ambiguous, [one, others @ ..]) if !others.is_empty() => {
                let same = |other: &Person| self.event(conflict, one, &other.id, Settlement::Same { with: other.id.clone() });
                Ok(others.iter().map(same).collect())
            }
            (ConflictKind::Contradiction | ConflictKind::Ambiguous, _) => {
                Err("it concerns one person only, so that there is nothing to merge; dismiss it if it is of no use".to_owned())
            }
        }
    }

    /// The id in dispute is `to`'s, and nobody else's.
    pub(super) fn give(&self, conflict: &Conflict, to: &str) -> Result<Vec<Event>, String> {
        let over = &conflict.note.over;
        match conflict.note.kind {
            ConflictKind::TwoProfiles => {
                return Err("this is one person; merge or delete one of the profiles at Customer.io, then dismiss the conflict".to_owned());
            }
            ConflictKind::Contradiction | ConflictKind::Ambiguous => {}
        }
        let taker = one_of(conflict, to)?;
        if over.kind == IdKind::UserId && taker.ids.get(&IdKind::UserId).is_some_and(|ids| !ids.contains_key(&over.value)) {
            return Err("that person has another user id, and nobody has two; if they are one human, merge them".to_owned());
        }
        let others = conflict.people.iter().filter(|person| person.id != taker.id);
        let disclaim = |other| self.event(conflict, other, &taker.id, Settlement::Disclaimed { id: over.clone() });
        let events: Vec<Event> = others.map(disclaim).collect();
        if events.is_empty() {
            return Err("nobody else claims it any more; dismiss the conflict".to_owned());
        }
        Ok(events)
    }

    fn event(&self, conflict: &Conflict, person: &Person, other: &PersonId, settlement: Settlement) -> Event {
        let what = match &settlement {
            Settlement::Same { .. } => "same",
            Settlement::Disclaimed { .. } => "disclaimed",
        };
        let parts = ["settled", what, conflict.note.id.as_str(), person.id.as_str(), other.as_str()];
        Event {
            id: event_id(Source::Trefoil, self.workspace, &parts),
            source: Source::Trefoil,
            workspace: self.workspace.clone(),
            occurred_at: self.now,
            received_at: self.now,
            ids: Vec::new(),
            person: Some(person.id.clone()),
            origin: None,
            kind: Kind::Settled(settlement),
        }
    }

    /// Sends what was decided and, once that is safe in the queue, forgets the conflict.
    pub(super) async fn settle(&self, conflict: &Conflict, events: &[Event]) -> Result<(), String> {
        let messages = events.iter().map(event_message).collect::<Result<Vec<_>, _>>();
        let messages = messages.map_err(|_| "the decision cannot be written as JSON".to_owned())?;
        if !messages.is_empty() {
            self.queue.send(QueueName::Events, messages).await.map_err(|e| e.to_string())?;
        }
        self.store.clear_conflicts(self.workspace, vec![conflict.note.id.clone()]).await.map_err(|e| e.to_string())
    }
}

/// Of a contested id whoever claims it now; else whom the note names. Who was merged away is read as who goes on, who was
/// forgotten is left out.
fn concerned(note: &ConflictNote, key: &AliasKey, found: &Found) -> Vec<Person> {
    let claimants = found.aliases.get(key).into_iter().flat_map(|alias| &alias.claimants);
    let survivor = |id| identity::survivor(found, id).map(|person| (person.id.clone(), person.clone()));
    let people: BTreeMap<PersonId, Person> = match note.kind {
        ConflictKind::Ambiguous => claimants.filter_map(survivor).collect(),
        ConflictKind::Contradiction | ConflictKind::TwoProfiles => note.people.iter().filter_map(survivor).collect(),
    };
    people.into_values().collect()
}

/// The person whom the operator names.
fn one_of<'c>(conflict: &'c Conflict, name: &str) -> Result<&'c Person, String> {
    let id = name.split_once(':').and_then(|(kind, value)| {
        let kind = IdKind::ALL.into_iter().find(|known| known.name() == kind)?;
        Identifier::new(kind, value)
    });
    let is_meant = |person: &&Person| match &id {
        Some(id) => person.has_id(id),
        None => !name.is_empty() && person.id.as_str().starts_with(name),
    };
    let meant: Vec<&Person> = conflict.people.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [person] => Ok(person),
        [] => Err(format!("{name:?} is none of those whom the conflict concerns; name one by our id, or by an id such as user:u1")),
        several => Err(format!("{name:?} names {} of them; choose an id that only one has", several.len())),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
