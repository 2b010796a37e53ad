//! Reading people for a sender, with what it knows of each at its destination.

use crate::event::{IdKind, Identifier};
use crate::id::PersonId;
use crate::person::Person;
use crate::ports::{Alias, Destination, Mark, Store, StoreError};
use std::collections::BTreeMap;

/// People with their marks, those that they went up in, and where it matters those that went up in them.
pub(super) struct People(BTreeMap<PersonId, (Person, Mark)>);

impl People {
    /// One round trip, and one more where a merge has to be followed, in either direction.
    pub(super) async fn read<S: Store>(store: &S, destination: Destination, mut wanted: Vec<PersonId>) -> Result<Self, StoreError> {
        let mut known: BTreeMap<PersonId, (Person, Mark)> = BTreeMap::new();
        for _ in 0..8 {
            wanted.sort();
            wanted.dedup();
            wanted.retain(|id| !known.contains_key(id));
            if wanted.is_empty() {
                break;
            }
            let read = store.with_marks(destination, &wanted).await?;
            wanted = read.values().flat_map(|(person, mark)| neighbours(person, mark)).collect();
            known.extend(read);
        }
        Ok(Self(known))
    }

    pub(super) fn get(&self, id: &PersonId) -> Option<&(Person, Mark)> {
        self.0.get(id)
    }

    /// Who goes on for this one, with their mark; and whether a mark on the way there was left open. `None`: forgotten.
    pub(super) fn survivor(&self, id: &PersonId) -> Option<(&Person, &Mark, bool)> {
        let mut id = id;
        let mut left_open = false;
        while let Some((person, mark)) = self.get(id) {
            let Some(next) = &person.merged_into else { return Some((person, mark, left_open)) };
            // A write for the absorbed record may have landed after the survivor's.
            left_open |= mark.dirty;
            id = next;
        }
        None
    }

    /// The marks of those that this person has absorbed, as far as they were read.
    pub(super) fn absorbed<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = &'a Mark> {
        person.absorbed.iter().filter_map(|id| self.get(id)).map(|(_, mark)| mark)
    }
}

/// Records of the same human whose marks matter too: the one that goes on, or those just taken over.
fn neighbours(person: &Person, mark: &Mark) -> Vec<PersonId> {
    match &person.merged_into {
        Some(survivor) => std::iter::once(survivor.clone()).collect(),
        None if mark.generation != person.generation() || mark.dirty => person.absorbed.clone(),
        None => Vec::new(),
    }
}

/// An id that several people claim finds nobody.
pub(super) fn is_theirs_alone(person: &Person, alias: Option<&Alias>) -> bool {
    let theirs = |claimant: &PersonId| *claimant == person.id || person.absorbed.contains(claimant);
    alias.is_some_and(|alias| !alias.claimants.is_empty() && alias.claimants.iter().all(theirs))
}

/// The address of a person that they go by.
pub(super) fn email_of(person: &Person) -> Option<Identifier> {
    Some(Identifier { kind: IdKind::Email, value: person.id_of(IdKind::Email)?.to_owned() })
}
