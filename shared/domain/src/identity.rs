//! Whose event is it? A pure decision over the ids that an event carries and the claims on them so far.
//!
//! Intercom ids and user ids belong to one person. An e-mail address holds a set of claimants and binds only while it
//! has one. Two records of one human are merged when nothing contradicts it: a person has one user id. What contradicts
//! stays apart, both claims are kept, and from then on the address matches nobody.

use crate::event::{IdKind, Identifier, Workspace};
use crate::id::PersonId;
use crate::person::Person;
use crate::ports::{Alias, AliasKey, Found};
use std::collections::{BTreeMap, BTreeSet};

/// Claimants kept of one id. More than a handful already means a shared mailbox, which binds nobody.
pub const CLAIMANTS_KEPT: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// `None`: a stranger.
    pub person: Option<PersonId>,
    /// Others who turned out to be the same human; to be absorbed by `person`.
    pub absorb: Vec<PersonId>,
    /// The ids that the person holds from now on, old and new.
    pub hold: Vec<Identifier>,
    pub conflicts: Vec<Conflict>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The event names two people who cannot be one, since each has a user id of their own. The event goes to the one
    /// whom its strongest id names; this id stays where it was.
    Contradiction(IdKind),
    /// The address is claimed by several people and binds none.
    Ambiguous(IdKind),
}

impl Conflict {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Contradiction(IdKind::UserId) => "user_id_contradicts",
            Self::Contradiction(IdKind::IntercomId) => "intercom_id_contradicts",
            Self::Contradiction(IdKind::CioId) => "cio_id_contradicts",
            Self::Contradiction(IdKind::Email) => "email_contradicts",
            Self::Contradiction(IdKind::Phone) => "phone_contradicts",
            Self::Contradiction(IdKind::AnonymousId) => "anonymous_id_contradicts",
            Self::Ambiguous(IdKind::Phone) => "phone_ambiguous",
            Self::Ambiguous(IdKind::AnonymousId) => "anonymous_id_ambiguous",
            Self::Ambiguous(IdKind::Email | IdKind::IntercomId | IdKind::CioId | IdKind::UserId) => "email_ambiguous",
        }
    }
}

/// `people` holds every claimant of every id, survivors only: claims of merged people are read as their survivor's.
pub fn resolve(workspace: &Workspace, ids: &[Identifier], found: &Found) -> Resolution {
    let claimants = |id: &Identifier| -> BTreeSet<PersonId> {
        let alias = found.aliases.get(&AliasKey::of_identifier(workspace, id));
        alias.map(|a| a.claimants.iter().filter_map(|c| survivor(found, c)).map(|p| p.id.clone()).collect()).unwrap_or_default()
    };
    let mut group = Group::default();
    let mut hold = Vec::new();
    let mut conflicts = Vec::new();
    let mut ids: Vec<&Identifier> = ids.iter().collect();
    ids.sort();
    ids.dedup();

    for id in &ids {
        let claimed_by = claimants(id);
        let holders: Vec<&Person> = claimed_by.iter().filter_map(|p| found.people.get(p)).collect();
        let own_user_id = (id.kind == IdKind::UserId).then_some(id.value.as_str());
        match (id.kind, holders.as_slice()) {
            (_, []) => {
                if group.agrees_with(own_user_id) {
                    group.user_ids.extend(own_user_id.map(str::to_owned));
                    hold.push((*id).clone());
                } else {
                    conflicts.push(Conflict::Contradiction(id.kind));
                }
            }
            (IdKind::IntercomId | IdKind::CioId | IdKind::UserId, [holder, ..])
            | (IdKind::Email | IdKind::Phone | IdKind::AnonymousId, [holder]) => {
                if group.contains(holder) {
                    hold.push((*id).clone());
                } else if group.may_include(holder, own_user_id) {
                    group.include(holder);
                    hold.push((*id).clone());
                } else if matches!(id.kind, IdKind::Email | IdKind::Phone | IdKind::AnonymousId) {
                    // Both claim it from now on, and neither is matched by it.
                    hold.push((*id).clone());
                    conflicts.push(Conflict::Ambiguous(id.kind));
                } else {
                    conflicts.push(Conflict::Contradiction(id.kind));
                }
            }
            (IdKind::Email | IdKind::Phone | IdKind::AnonymousId, [_, _, ..]) => {
                if holders.iter().any(|h| group.contains(h)) || claimed_by.len() < CLAIMANTS_KEPT {
                    hold.push((*id).clone());
                }
                conflicts.push(Conflict::Ambiguous(id.kind));
            }
        }
    }
    let mut members = group.members;
    members.sort_by(|a, b| rank(a).cmp(&rank(b)));
    let mut members = members.into_iter().map(|p| p.id.clone());
    let person = members.next();
    let absorb: Vec<PersonId> = members.collect();
    Resolution { person, absorb, hold, conflicts }
}

/// Who survives a merge: whoever has a user id, then the older record, then the lesser id, so that all agree.
fn rank(person: &Person) -> (bool, crate::time::Timestamp, &PersonId) {
    (person.id_of(IdKind::UserId).is_none(), person.created_at, &person.id)
}

#[derive(Default)]
struct Group<'a> {
    members: Vec<&'a Person>,
    user_ids: BTreeSet<String>,
}

impl<'a> Group<'a> {
    fn contains(&self, person: &Person) -> bool {
        self.members.iter().any(|m| m.id == person.id)
    }

    fn agrees_with(&self, user_id: Option<&str>) -> bool {
        user_id.is_none_or(|own| self.user_ids.iter().all(|known| known == own))
    }

    fn may_include(&self, person: &Person, user_id: Option<&str>) -> bool {
        let mut all: BTreeSet<&str> = self.user_ids.iter().map(String::as_str).collect();
        all.extend(user_ids(person));
        all.extend(user_id);
        all.len() <= 1
    }

    fn include(&mut self, person: &'a Person) {
        self.user_ids.extend(user_ids(person).map(str::to_owned));
        self.members.push(person);
    }
}

fn user_ids(person: &Person) -> impl Iterator<Item = &str> {
    person.ids.get(&IdKind::UserId).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
}

/// Follows `merged_into` within what was read.
pub fn survivor<'a>(found: &'a Found, id: &PersonId) -> Option<&'a Person> {
    let mut person = found.people.get(id)?;
    // Merges form no circle; the bound is against a damaged table.
    for _ in 0..32 {
        match &person.merged_into {
            None => return Some(person),
            Some(next) => person = found.people.get(next)?,
        }
    }
    None
}

/// The people that still have to be read before [`resolve`] can judge.
pub fn missing(found: &Found) -> Vec<PersonId> {
    let claimants = found.aliases.values().flat_map(|a| &a.claimants);
    let survivors = found.people.values().filter_map(|p| p.merged_into.as_ref());
    let missing: BTreeSet<&PersonId> = claimants.chain(survivors).filter(|id| !found.people.contains_key(*id)).collect();
    missing.into_iter().cloned().collect()
}

/// The claims of `alias` after `survivor` has absorbed `absorbed` and, if `claims`, claims it too.
pub fn claims_after(alias: &Alias, survivor: &PersonId, absorbed: &[PersonId], claims: bool) -> Alias {
    let mut claimants: BTreeSet<PersonId> =
        alias.claimants.iter().map(|c| if absorbed.contains(c) { survivor.clone() } else { c.clone() }).collect();
    if claims {
        claimants.insert(survivor.clone());
    }
    Alias { claimants: claimants.into_iter().collect(), deleted_at: alias.deleted_at, version: alias.version }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn workspace() -> Workspace {
        Workspace::new("main").expect("valid")
    }

    fn id(kind: IdKind, value: &str) -> Identifier {
        Identifier::new(kind, value).expect("valid")
    }

    /// People by their ids; each claims all of its own.
    fn world(people: &[&[(IdKind, &str)]]) -> (Found, Vec<PersonId>) {
        let mut found = Found::default();
        let mut order = Vec::new();
        for (age, ids) in people.iter().enumerate() {
            let first = id(ids[0].0, ids[0].1);
            let mut person = Person::new(&workspace(), &first, Timestamp::from_secs(age as i64));
            for (kind, value) in *ids {
                let id = id(*kind, value);
                person.learn(&id, Timestamp::from_secs(1));
                let alias = found.aliases.entry(AliasKey::of_identifier(&workspace(), &id)).or_default();
                *alias = claims_after(alias, &person.id, &[], true);
            }
            order.push(person.id.clone());
            found.people.insert(person.id.clone(), person);
        }
        (found, order)
    }

    use IdKind::{Email, IntercomId, UserId};

    #[test]
    fn a_stranger_claims_all_ids() {
        let (found, _) = world(&[]);
        let ids = [id(IntercomId, "c1"), id(Email, "a@example.com")];
        let r = resolve(&workspace(), &ids, &found);
        assert_eq!((r.person, r.absorb, r.hold, r.conflicts), (None, vec![], ids.to_vec(), vec![]));
    }

    #[test]
    fn an_address_with_one_claimant_binds() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (Email, "a@example.com")]]);
        let r = resolve(&workspace(), &[id(IntercomId, "c2"), id(Email, "A@Example.com")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[0]));
        assert_eq!(r.hold, vec![id(IntercomId, "c2"), id(Email, "a@example.com")]);
    }

    #[test]
    fn two_user_ids_never_become_one_person() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (UserId, "u1"), (Email, "shared@example.com")]]);
        let r = resolve(&workspace(), &[id(IntercomId, "c2"), id(UserId, "u2"), id(Email, "shared@example.com")], &found);
        assert_eq!(r.person, None, "a new person, not {}", people[0]);
        assert_eq!(r.conflicts, vec![Conflict::Ambiguous(Email)]);
        assert!(r.hold.contains(&id(Email, "shared@example.com")), "both claim it");
    }

    #[test]
    fn an_address_with_two_claimants_binds_nobody() {
        let (found, _) = world(&[
            &[(IntercomId, "c1"), (UserId, "u1"), (Email, "shared@example.com")],
            &[(IntercomId, "c2"), (UserId, "u2"), (Email, "shared@example.com")],
        ]);
        let r = resolve(&workspace(), &[id(IntercomId, "c3"), id(Email, "shared@example.com")], &found);
        assert_eq!(r.person, None);
        assert_eq!(r.conflicts, vec![Conflict::Ambiguous(Email)]);
    }

    #[test]
    fn a_bare_contact_that_turns_out_to_be_somebody_is_absorbed_by_whoever_has_the_user_id() {
        let (found, people) = world(&[&[(IntercomId, "c2")], &[(IntercomId, "c1"), (UserId, "u1"), (Email, "a@example.com")]]);
        let r = resolve(&workspace(), &[id(IntercomId, "c2"), id(Email, "a@example.com")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[1]));
        assert_eq!(r.absorb, vec![people[0].clone()]);
    }

    #[test]
    fn a_contact_whose_user_id_belongs_to_somebody_else_keeps_its_person() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (UserId, "u1")], &[(IntercomId, "c2"), (UserId, "u2")]]);
        let r = resolve(&workspace(), &[id(IntercomId, "c1"), id(UserId, "u2")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[0]));
        assert_eq!((r.absorb, r.hold), (vec![], vec![id(IntercomId, "c1")]));
        assert_eq!(r.conflicts, vec![Conflict::Contradiction(UserId)]);
    }

    #[test]
    fn claims_of_the_merged_are_read_as_their_survivors() {
        let (mut found, people) = world(&[&[(IntercomId, "c1")], &[(IntercomId, "c2")]]);
        found.people.get_mut(&people[0]).expect("there").merged_into = Some(people[1].clone());
        let r = resolve(&workspace(), &[id(IntercomId, "c1")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[1]));
    }
}
