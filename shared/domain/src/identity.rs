//! Whose event is it? A pure decision over the ids that an event carries and the claims on them so far.
//!
//! A tool's own ids and user ids belong to one person. An e-mail address, a phone number and an anonymous id hold a set of
//! claimants and bind only while it has one. Two records of one human are merged when nothing contradicts it: a person has
//! one user id and one Customer.io profile. What contradicts stays apart, both claims are kept, and from then on the id
//! matches nobody, until a human has settled it.
//!
//! An address is as good as a name: it merges two people who are known otherwise. A number or a browser is shared more
//! often than it is lent, so these only lead to somebody when one side has no name of its own yet.
//!
//! An address in a field for user ids is that address: people are found by it as by any address, wherever it was told, and two
//! of them contradict each other no more than two addresses do.
//!
//! What a source says outright (a merge in Intercom, an alias in Segment) and what a human has settled holds whatever the
//! ids would make of it.

use crate::config::IdentityConfig;
use crate::event::{Event, IdKind, Identifier, Kind, Settlement, Workspace};
use crate::id::{Digest, PersonId};
use crate::person::{Person, RecordKey};
use crate::ports::{Alias, AliasKey, Found};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Claimants kept of one id. More than a handful already means a shared mailbox, which binds nobody.
pub const CLAIMANTS_KEPT: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// `None`: a stranger.
    pub person: Option<PersonId>,
    /// Others who turned out to be the same human; to be absorbed by `person`.
    pub absorb: Vec<PersonId>,
    /// The ids that the person holds from now on, old and new, strongest first.
    pub hold: Vec<Identifier>,
    pub conflicts: Vec<Conflict>,
}

/// What a human should see: ids that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub kind: ConflictKind,
    pub id: Identifier,
    /// Whom it names, beside the person of the event.
    pub holders: BTreeSet<PersonId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// The event names two people who cannot be one, since each has a user id of their own. The event goes to the one
    /// whom its strongest id names; this id stays where it was.
    Contradiction,
    /// The id is claimed by several people and binds none.
    Ambiguous,
    /// One human has two profiles at Customer.io, or theirs cannot get a user id or an address since another profile has it. They are
    /// one person here; which of the profiles is to go, a human knows.
    TwoProfiles,
}

impl Conflict {
    /// For the record.
    pub fn code(&self) -> &'static str {
        match (self.kind, self.id.kind) {
            (ConflictKind::Contradiction, IdKind::UserId) => "user_id_contradicts",
            (ConflictKind::Contradiction, IdKind::IntercomId) => "intercom_id_contradicts",
            (ConflictKind::Contradiction, IdKind::CioId) => "cio_id_contradicts",
            (ConflictKind::Contradiction, IdKind::Email) => "email_contradicts",
            (ConflictKind::Contradiction, IdKind::Phone) => "phone_contradicts",
            (ConflictKind::Contradiction, IdKind::AnonymousId) => "anonymous_id_contradicts",
            (ConflictKind::Ambiguous, IdKind::Phone) => "phone_ambiguous",
            (ConflictKind::Ambiguous, IdKind::AnonymousId) => "anonymous_id_ambiguous",
            (ConflictKind::Ambiguous, IdKind::Email | IdKind::UserId | IdKind::IntercomId | IdKind::CioId) => "email_ambiguous",
            (ConflictKind::TwoProfiles, _) => "two_customerio_profiles",
        }
    }

    /// A browser that several people use is nothing that anybody has to look into.
    pub fn is_for_a_human(&self) -> bool {
        self.id.kind != IdKind::AnonymousId
    }

    /// Names the conflict: the same for every event that runs into it.
    pub fn digest(&self, workspace: &Workspace) -> Digest {
        Digest::new("conflict").with(workspace.as_str()).with(self.code()).with(self.id.kind.name()).with(&self.id.value)
    }
}

/// Ids that several people may claim.
fn is_shared(kind: IdKind) -> bool {
    match kind {
        IdKind::IntercomId | IdKind::CioId | IdKind::UserId => false,
        IdKind::Email | IdKind::Phone | IdKind::AnonymousId => true,
    }
}

/// Ids by which people are known to others than one tool.
fn is_a_name(kind: IdKind) -> bool {
    matches!(kind, IdKind::UserId | IdKind::Email)
}

/// `found` holds every claimant of every id that the event names, survivors included: claims of merged people are read as
/// their survivor's.
pub fn resolve(event: &Event, found: &Found, config: &IdentityConfig) -> Resolution {
    let mut group = Group::default();
    let mut hold: Vec<Identifier> = Vec::new();
    let mut conflicts = Vec::new();
    let record = RecordKey::of(event.source, &event.ids);
    let strength = |id: &Identifier| strength(event, id, config);
    let (spellings, mut ids): (Vec<&Identifier>, Vec<&Identifier>) = event.ids.iter().partition(|id| id.is_address_as_id());
    ids.sort_by_cached_key(|id| (strength(id).unwrap_or(usize::MAX), (*id).clone()));
    ids.dedup();
    let names_somebody = ids.iter().any(|id| is_a_name(id.kind) && strength(id).is_some());

    for id in ids {
        if group.members.iter().any(|person| person.disclaimed.contains(id))
            || record.as_ref().is_some_and(|record| group.members.iter().any(|person| person.is_outdated(record, id, event.occurred_at)))
        {
            continue;
        }
        let holders = claimants(&event.workspace, id, found);
        if strength(id).is_none() {
            // Known of the person, but leading nowhere. Of browsers not even that is of any use.
            let has_room = holders.len() < CLAIMANTS_KEPT || holders.iter().any(|holder| group.contains(holder));
            if id.kind != IdKind::AnonymousId && has_room {
                hold.push(id.clone());
            }
            continue;
        }
        let own_user_id = (id.kind == IdKind::UserId).then_some(id.value.as_str());
        let mut conflict = |kind| {
            let holders = holders.iter().map(|person| person.id.clone()).collect();
            conflicts.push(Conflict { kind, id: id.clone(), holders });
        };
        match holders.as_slice() {
            [] if group.agrees_with(own_user_id) => {
                group.claim(id);
                hold.push(id.clone());
            }
            [] => conflict(ConflictKind::Contradiction),
            [holder] if group.contains(holder) => hold.push(id.clone()),
            [holder] if !is_shared(id.kind) => {
                if group.may_include(holder, own_user_id) {
                    group.include(holder);
                    hold.push(id.clone());
                } else {
                    conflict(ConflictKind::Contradiction);
                }
            }
            [holder] => {
                let leads = match id.kind {
                    IdKind::Phone | IdKind::AnonymousId => !(has_a_name(holder) && (names_somebody || group.has_a_name())),
                    IdKind::Email | IdKind::UserId | IdKind::IntercomId | IdKind::CioId => true,
                };
                let told_apart = hold.iter().any(|held| holder.disclaimed.contains(held));
                let fits = group.may_include(holder, None) && group.profiles_agree(holder) && group.has_room_for(holder);
                if leads && fits && !told_apart {
                    group.include(holder);
                } else {
                    // Both claim it from now on, and neither is matched by it.
                    conflict(ConflictKind::Ambiguous);
                }
                hold.push(id.clone());
            }
            [first, _, ..] if !is_shared(id.kind) => {
                // Two workers cannot both have claimed it; should it happen, the lesser id decides, as everywhere.
                if group.may_include(first, own_user_id) {
                    group.include(first);
                    hold.push(id.clone());
                }
                conflict(ConflictKind::Contradiction);
            }
            [_, _, ..] => {
                if holders.iter().any(|holder| group.contains(holder)) || holders.len() < CLAIMANTS_KEPT {
                    hold.push(id.clone());
                }
                conflict(ConflictKind::Ambiguous);
            }
        }
    }
    for id in said_to_be_the_same(event).iter().filter(|id| !id.is_address_as_id()) {
        match claimants(&event.workspace, id, found).as_slice() {
            [] => hold.push(id.clone()),
            [holder] if group.contains(holder) => hold.push(id.clone()),
            // That somebody used this browser before says nothing of who they were.
            [holder] if id.kind == IdKind::AnonymousId && has_a_name(holder) => {
                conflicts.push(Conflict { kind: ConflictKind::Ambiguous, id: id.clone(), holders: BTreeSet::from([holder.id.clone()]) });
                hold.push(id.clone());
            }
            [holder] => {
                group.include(holder);
                hold.push(id.clone());
            }
            holders @ [_, _, ..] => {
                let holders = holders.iter().map(|person| person.id.clone()).collect();
                conflicts.push(Conflict { kind: ConflictKind::Ambiguous, id: id.clone(), holders });
            }
        }
    }
    // How an address is spelt goes wherever the address goes.
    let all_spellings = spellings.into_iter().chain(said_to_be_the_same(event).iter().filter(|id| id.is_address_as_id()));
    let held: Vec<Identifier> = all_spellings.filter(|id| address_of(id).is_some_and(|email| hold.contains(&email))).cloned().collect();
    hold.extend(held);
    conflicts.extend(group.two_profiles());
    let (person, absorb) = group.survivor();
    Resolution { person, absorb, hold, conflicts }
}

/// The event without the ids that the operator says name nobody.
pub fn without_no_ids<'e>(event: &'e Event, config: &IdentityConfig) -> Cow<'e, Event> {
    let is_none = |id: &Identifier| config.no_ids.contains(&id.value.to_lowercase());
    if config.no_ids.is_empty() || !event.ids.iter().chain(said_to_be_the_same(event)).any(is_none) {
        return Cow::Borrowed(event);
    }
    let mut event = event.clone();
    event.ids.retain(|id| !is_none(id));
    if let Kind::PersonMerged(merged) = &mut event.kind {
        merged.from.retain(|id| !is_none(id));
    }
    Cow::Owned(event)
}

/// The address that stands in a field for user ids.
fn address_of(id: &Identifier) -> Option<Identifier> {
    Identifier::new(IdKind::Email, &id.value)
}

/// Place of an id of the event in the order of strength; `None`: nobody is matched by it. An address that the source has in its
/// field for user ids is as strong as a user id.
pub fn strength(event: &Event, id: &Identifier, config: &IdentityConfig) -> Option<usize> {
    let own = config.strength(id.kind);
    let is_user_id = id.kind == IdKind::Email
        && event
            .ids
            .iter()
            .chain(said_to_be_the_same(event))
            .any(|other| other.is_address_as_id() && address_of(other).as_ref() == Some(id));
    let as_user_id = if is_user_id { config.strength(IdKind::UserId) } else { None };
    own.into_iter().chain(as_user_id).min()
}

/// As [`resolve`], for an event about people whom we know by our own ids.
pub fn resolve_known(person: &Person, event: &Event, found: &Found) -> Resolution {
    let mut group = Group::default();
    group.include(person);
    if let Kind::Settled(Settlement::Same { with }) = &event.kind
        && let Some(other) = survivor(found, with)
        && other.id != person.id
    {
        group.include(other);
    }
    let conflicts = group.two_profiles().into_iter().collect();
    let (person, absorb) = group.survivor();
    Resolution { person, absorb, hold: Vec::new(), conflicts }
}

/// Names of people whom the source has merged into the person of the event.
pub fn said_to_be_the_same(event: &Event) -> &[Identifier] {
    if let Kind::PersonMerged(merged) = &event.kind { &merged.from } else { &[] }
}

/// Everybody who claims this id, in the order of their ids.
fn claimants<'a>(workspace: &Workspace, id: &Identifier, found: &'a Found) -> Vec<&'a Person> {
    let alias = found.aliases.get(&AliasKey::of_identifier(workspace, id));
    let people: BTreeMap<&PersonId, &Person> =
        alias.into_iter().flat_map(|a| &a.claimants).filter_map(|c| survivor(found, c)).map(|p| (&p.id, p)).collect();
    people.into_values().collect()
}

/// Who survives a merge: whoever has a user id, then the older record, then the lesser id, so that all agree.
fn rank(person: &Person) -> (bool, crate::time::Timestamp, &PersonId) {
    (person.user_ids().next().is_none(), person.created_at, &person.id)
}

/// Contacts of one person beyond which an address alone adds none: thousands of leads may type the same one.
const CONTACTS_KEPT: usize = 200;

/// Everybody whom the ids of one event have turned out to name.
#[derive(Default)]
struct Group<'a> {
    members: Vec<&'a Person>,
    user_ids: BTreeSet<String>,
    cio_ids: BTreeSet<String>,
    /// A Customer.io profile that nobody claimed is among them.
    new_profile: bool,
}

impl<'a> Group<'a> {
    /// An id of the event that nobody has claimed.
    fn claim(&mut self, id: &Identifier) {
        match id.kind {
            IdKind::UserId => {
                self.user_ids.insert(id.value.clone());
            }
            IdKind::CioId => {
                self.cio_ids.insert(id.value.clone());
                self.new_profile = true;
            }
            IdKind::IntercomId | IdKind::Email | IdKind::Phone | IdKind::AnonymousId => {}
        }
    }

    fn contains(&self, person: &Person) -> bool {
        self.members.iter().any(|member| member.id == person.id)
    }

    /// Nobody has two user ids, unless somebody has said so outright.
    fn agrees_with(&self, user_id: Option<&str>) -> bool {
        user_id.is_none_or(|own| self.user_ids.is_empty() || self.user_ids.contains(own))
    }

    fn may_include(&self, person: &Person, user_id: Option<&str>) -> bool {
        let mut theirs = person.user_ids().peekable();
        if theirs.peek().is_none() {
            return true;
        }
        // The user id by which the event itself names them has to fit those known so far.
        self.agrees_with(user_id) && (self.user_ids.is_empty() || theirs.any(|id| self.user_ids.contains(id)))
    }

    /// An address alone does not make one of two people whom Customer.io keeps apart.
    fn profiles_agree(&self, person: &Person) -> bool {
        let theirs = person.ids.get(&IdKind::CioId);
        self.cio_ids.is_empty() || theirs.is_none_or(|theirs| self.cio_ids.iter().any(|own| theirs.contains_key(own)))
    }

    fn has_room_for(&self, person: &Person) -> bool {
        let contacts = |person: &Person| person.ids.get(&IdKind::IntercomId).map_or(0, BTreeMap::len);
        self.members.iter().copied().chain([person]).map(contacts).sum::<usize>() < CONTACTS_KEPT
    }

    fn include(&mut self, person: &'a Person) {
        self.user_ids.extend(person.user_ids().map(str::to_owned));
        self.cio_ids.extend(person.ids.get(&IdKind::CioId).into_iter().flat_map(BTreeMap::keys).cloned());
        self.members.push(person);
    }

    fn has_a_name(&self) -> bool {
        self.members.iter().any(|member| has_a_name(member))
    }

    /// Said only when it comes about.
    fn two_profiles(&self) -> Option<Conflict> {
        let comes_about = self.members.len() > 1 || (self.new_profile && !self.members.is_empty());
        let value = self.cio_ids.first()?.clone();
        (comes_about && self.cio_ids.len() > 1).then(|| Conflict {
            kind: ConflictKind::TwoProfiles,
            id: Identifier { kind: IdKind::CioId, value },
            holders: self.members.iter().map(|member| member.id.clone()).collect(),
        })
    }

    fn survivor(self) -> (Option<PersonId>, Vec<PersonId>) {
        let mut members = self.members;
        members.sort_by(|a, b| rank(a).cmp(&rank(b)));
        let mut members = members.into_iter().map(|person| person.id.clone());
        (members.next(), members.collect())
    }
}

fn has_a_name(person: &Person) -> bool {
    person.ids.keys().any(|kind| is_a_name(*kind))
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

/// What becomes of a person's claim to an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Held,
    /// The person has nothing to do with it any more.
    Withdrawn,
}

/// The claims of `alias` after `survivor`, who has absorbed `absorbed` at some time, holds it or does not.
pub fn claims_after(alias: &Alias, survivor: &PersonId, absorbed: &[PersonId], claim: Claim) -> Alias {
    let others = alias.claimants.iter().filter(|c| *c != survivor && !absorbed.contains(c));
    let mut claimants: BTreeSet<PersonId> = others.cloned().collect();
    match claim {
        Claim::Held => {
            claimants.insert(survivor.clone());
        }
        Claim::Withdrawn => {}
    }
    Alias { claimants: claimants.into_iter().collect(), ..alias.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Merged, Profile, Source, event_id};
    use crate::time::Timestamp;
    use IdKind::{AnonymousId, CioId, Email, IntercomId, Phone, UserId};

    type Ids<'a> = &'a [(IdKind, &'a str)];

    fn workspace() -> Workspace {
        Workspace::new("main").expect("valid")
    }

    fn id(kind: IdKind, value: &str) -> Identifier {
        Identifier::new(kind, value).expect("valid")
    }

    fn ids(ids: Ids<'_>) -> Vec<Identifier> {
        ids.iter().map(|(kind, value)| id(*kind, value)).collect()
    }

    fn event(own: Ids<'_>, kind: Kind) -> Event {
        let at = Timestamp::from_secs(100);
        Event {
            id: event_id(Source::Segment, &workspace(), &["e"]),
            source: Source::Segment,
            workspace: workspace(),
            occurred_at: at,
            received_at: at,
            ids: ids(own),
            person: None,
            origin: None,
            kind,
        }
    }

    /// People by their ids; each claims all of its own.
    fn world(people: &[Ids<'_>]) -> (Found, Vec<PersonId>) {
        let mut found = Found::default();
        let mut order = Vec::new();
        for (age, own) in people.iter().enumerate() {
            let own = ids(own);
            let mut person = Person::new(&workspace(), &own[0], Timestamp::from_secs(age as i64));
            person.learn(&RecordKey::of(Source::Segment, &own).expect("named"), &own, Timestamp::from_secs(1), true, true);
            for id in &own {
                let alias = found.aliases.entry(AliasKey::of_identifier(&workspace(), id)).or_default();
                *alias = claims_after(alias, &person.id, &[], Claim::Held);
            }
            order.push(person.id.clone());
            found.people.insert(person.id.clone(), person);
        }
        (found, order)
    }

    fn resolved(own: Ids<'_>, found: &Found) -> Resolution {
        resolve(&event(own, Kind::PersonUpdated(Profile::default())), found, &IdentityConfig::default())
    }

    fn kinds(resolution: &Resolution) -> Vec<(ConflictKind, IdKind)> {
        resolution.conflicts.iter().map(|conflict| (conflict.kind, conflict.id.kind)).collect()
    }

    #[test]
    fn a_stranger_claims_all_ids() {
        let (found, _) = world(&[]);
        let r = resolved(&[(IntercomId, "c1"), (Email, "a@example.com")], &found);
        assert_eq!((r.person, r.absorb, r.conflicts), (None, vec![], vec![]));
        assert_eq!(r.hold, ids(&[(IntercomId, "c1"), (Email, "a@example.com")]));
    }

    #[test]
    fn an_address_with_one_claimant_binds() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (Email, "a@example.com")]]);
        let r = resolved(&[(IntercomId, "c2"), (Email, "A@Example.com")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[0]));
        assert_eq!(r.hold, ids(&[(IntercomId, "c2"), (Email, "a@example.com")]));
    }

    #[test]
    fn two_user_ids_never_become_one_person() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (UserId, "u1"), (Email, "shared@example.com")]]);
        let r = resolved(&[(IntercomId, "c2"), (UserId, "u2"), (Email, "shared@example.com")], &found);
        assert_eq!(r.person, None, "a new person, not {}", people[0]);
        assert_eq!(kinds(&r), [(ConflictKind::Ambiguous, Email)]);
        assert!(r.hold.contains(&id(Email, "shared@example.com")), "both claim it");
    }

    #[test]
    fn an_address_with_two_claimants_binds_nobody() {
        let (found, _) = world(&[
            &[(IntercomId, "c1"), (UserId, "u1"), (Email, "shared@example.com")],
            &[(IntercomId, "c2"), (UserId, "u2"), (Email, "shared@example.com")],
        ]);
        let r = resolved(&[(IntercomId, "c3"), (Email, "shared@example.com")], &found);
        assert_eq!(r.person, None);
        assert_eq!(kinds(&r), [(ConflictKind::Ambiguous, Email)]);
    }

    #[test]
    fn a_bare_contact_that_turns_out_to_be_somebody_is_absorbed_by_whoever_has_the_user_id() {
        let (found, people) = world(&[&[(IntercomId, "c2")], &[(IntercomId, "c1"), (UserId, "u1"), (Email, "a@example.com")]]);
        let r = resolved(&[(IntercomId, "c2"), (Email, "a@example.com")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[1]));
        assert_eq!(r.absorb, vec![people[0].clone()]);
    }

    #[test]
    fn a_contact_whose_user_id_belongs_to_somebody_else_keeps_its_person() {
        let (found, people) = world(&[&[(IntercomId, "c1"), (UserId, "u1")], &[(IntercomId, "c2"), (UserId, "u2")]]);
        let r = resolved(&[(IntercomId, "c1"), (UserId, "u2")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[0]));
        assert_eq!((&r.absorb, &r.hold), (&vec![], &ids(&[(IntercomId, "c1")])));
        assert_eq!(kinds(&r), [(ConflictKind::Contradiction, UserId)]);
        assert_eq!(r.conflicts[0].holders, BTreeSet::from([people[1].clone()]));
    }

    #[test]
    fn claims_of_the_merged_are_read_as_their_survivors() {
        let (mut found, people) = world(&[&[(IntercomId, "c1")], &[(IntercomId, "c2")]]);
        found.people.get_mut(&people[0]).expect("there").merged_into = Some(people[1].clone());
        let r = resolved(&[(IntercomId, "c1")], &found);
        assert_eq!(r.person.as_ref(), Some(&people[1]));
    }

    #[test]
    fn a_number_leads_a_nameless_contact_and_merges_nobody_with_a_name() {
        let (found, people) = world(&[&[(UserId, "u1"), (Phone, "+15550001111")], &[(IntercomId, "c1")]]);
        let r = resolved(&[(IntercomId, "c1"), (Phone, "+15550001111")], &found);
        assert_eq!((r.person.as_ref(), r.absorb), (Some(&people[0]), vec![people[1].clone()]));
        let r = resolved(&[(IntercomId, "c2"), (Email, "b@example.com"), (Phone, "+15550001111")], &found);
        assert_eq!((r.person.as_ref(), kinds(&r)), (None, vec![(ConflictKind::Ambiguous, Phone)]));
    }

    #[test]
    fn a_browser_becomes_that_of_the_first_who_signs_in_and_then_of_nobody() {
        let (found, people) = world(&[&[(AnonymousId, "a1")]]);
        let r = resolved(&[(UserId, "u1"), (AnonymousId, "a1")], &found);
        assert_eq!((r.person.as_ref(), r.conflicts), (Some(&people[0]), vec![]));
        let (found, _) = world(&[&[(UserId, "u1"), (AnonymousId, "a1")]]);
        let r = resolved(&[(UserId, "u2"), (AnonymousId, "a1")], &found);
        assert_eq!((r.person.as_ref(), kinds(&r)), (None, vec![(ConflictKind::Ambiguous, AnonymousId)]));
        assert!(r.conflicts.iter().all(|conflict| !conflict.is_for_a_human()));
    }

    #[test]
    fn what_the_operator_left_out_is_known_and_not_matched_by() {
        let config = IdentityConfig { match_by: vec![UserId], ..IdentityConfig::default() };
        let (found, _) = world(&[&[(UserId, "u1"), (Email, "a@example.com")]]);
        let r = resolve(&event(&[(IntercomId, "c1"), (Email, "a@example.com")], Kind::PersonNotFound), &found, &config);
        assert_eq!((r.person, r.conflicts), (None, vec![]));
        assert_eq!(r.hold, ids(&[(IntercomId, "c1"), (Email, "a@example.com")]));
    }

    #[test]
    fn the_operator_says_which_id_decides() {
        let (found, people) = world(&[&[(UserId, "u1"), (CioId, "aa")], &[(Email, "b@example.com"), (CioId, "bb")]]);
        let own: Ids<'_> = &[(UserId, "u1"), (Email, "b@example.com")];
        for (order, whose) in [(vec![UserId, Email], 0), (vec![Email, UserId], 1)] {
            let r = resolve(&event(own, Kind::PersonNotFound), &found, &IdentityConfig { match_by: order, ..IdentityConfig::default() });
            assert!(r.person.as_ref() == Some(&people[whose]) || r.absorb.contains(&people[whose]), "{r:?}");
        }
        // An address alone does not make one of two profiles; with the address first, the user id does.
        assert_eq!(kinds(&resolved(own, &found)), [(ConflictKind::Ambiguous, Email)]);
    }

    #[test]
    fn what_a_source_says_outright_holds_against_the_ids() {
        let (found, people) = world(&[&[(UserId, "u1")], &[(UserId, "u2")]]);
        let from = ids(&[(UserId, "u2"), (AnonymousId, "u2")]);
        let alias = event(&[(UserId, "u1")], Kind::PersonMerged(Merged { from, profile: Profile::default() }));
        let r = resolve(&alias, &found, &IdentityConfig::default());
        assert_eq!((r.person.as_ref(), r.absorb), (Some(&people[0]), vec![people[1].clone()]));
        assert_eq!(r.hold, ids(&[(UserId, "u1"), (UserId, "u2"), (AnonymousId, "u2")]));
    }

    #[test]
    fn two_profiles_of_one_human_are_shown() {
        let (found, _) = world(&[&[(CioId, "aa"), (UserId, "u1")], &[(CioId, "bb"), (IntercomId, "c1")]]);
        let r = resolved(&[(IntercomId, "c1"), (UserId, "u1")], &found);
        assert_eq!((r.absorb.len(), kinds(&r)), (1, vec![(ConflictKind::TwoProfiles, CioId)]));
    }

    #[test]
    fn what_a_human_disclaimed_is_not_held_again() {
        let (mut found, people) = world(&[&[(IntercomId, "c1"), (Email, "a@example.com")], &[(UserId, "u2"), (Email, "b@example.com")]]);
        found.people.get_mut(&people[0]).expect("there").disclaim(&id(Email, "b@example.com"));
        let r = resolved(&[(IntercomId, "c1"), (Email, "b@example.com")], &found);
        assert_eq!((r.person.as_ref(), r.absorb, r.hold), (Some(&people[0]), vec![], ids(&[(IntercomId, "c1")])));
    }

    #[test]
    fn an_address_that_the_record_no_longer_has_leads_nobody() {
        let (mut found, people) =
            world(&[&[(IntercomId, "c1"), (Email, "old@example.com")], &[(UserId, "u2"), (Email, "old2@example.com")]]);
        let now = ids(&[(IntercomId, "c1"), (Email, "new@example.com")]);
        let record = RecordKey::of(Source::Segment, &now).expect("named");
        found.people.get_mut(&people[0]).expect("there").learn(&record, &now, Timestamp::from_secs(200), true, true);
        // A webhook from before the change, about an address that is somebody else's by now.
        let r = resolved(&[(IntercomId, "c1"), (Email, "old2@example.com")], &found);
        assert_eq!((r.person.as_ref(), r.absorb, r.hold), (Some(&people[0]), vec![], ids(&[(IntercomId, "c1")])));
    }
}
