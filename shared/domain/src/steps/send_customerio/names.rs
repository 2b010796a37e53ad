//! The names that a profile goes by besides its `cio_id`: the person's user id and address, given to it as they become known and
//! changed when they change, whichever tool tells.
//!
//! State like any other: what the person goes by is compared with what the profile was last seen to have, or was last given, and
//! goes along in the same write. A name that the profile has and nobody has told us of is left: somebody else may know better. One
//! that another profile has is never forced. Customer.io would answer 200 and leave it as it was, so the profile is asked for first; minutes
//! later a job looks again, and what does not show is a conflict for a human. Nothing else waits for that.
//! <https://docs.customer.io/journeys/identifying-people/>, <https://docs.customer.io/integrations/api/track/> (v2 "identify")

use super::target::{EMAIL, Target, hash};
use super::{CustomerioSender, Incoming, SHOWS_WITHIN};
use crate::event::{IdKind, Identifier, Value};
use crate::id::ConflictId;
use crate::identity::{Conflict, ConflictKind};
use crate::person::Person;
use crate::ports::{
    Address, AliasKey, Clock, ConflictNote, Customerio, Given, Jitter, Mark, ProfileLookUp, ProfileRef, Queue, SeenProfile, Store,
    StoreError,
};
use crate::steps::people::is_theirs_alone;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds, the attributes that they are written as, and the names under which is remembered what was given.
const NAMES: [(IdKind, &str, &str); 2] = [(IdKind::UserId, "id", "name:id"), (IdKind::Email, "email", "name:email")];

/// What is to become of a target's names.
#[derive(Default)]
pub(super) struct Names {
    /// To be written, by attribute.
    pub(super) news: BTreeMap<&'static str, String>,
    /// One is another profile's, and is looked at again.
    pub(super) waits: bool,
    /// Customer.io left these as they were.
    not_taken: Vec<Identifier>,
}

impl Names {
    /// By the names under which they are remembered.
    pub(super) fn gives(&self, at: Timestamp) -> impl Iterator<Item = (String, String, Timestamp)> {
        let keys = NAMES.into_iter().filter_map(|(_, attribute, key)| Some((key, self.news.get(attribute)?)));
        keys.map(move |(key, value)| (key.to_owned(), hash(&Value::String(value.clone())), at))
    }

    /// For the record.
    pub(super) fn left_undone(&self) -> impl Iterator<Item = &'static str> {
        self.not_taken.iter().map(|name| if name.kind == IdKind::Email { "email_not_taken" } else { "id_not_taken" })
    }
}

/// It is remembered under such a name that a name was given.
pub(super) fn is_name(key: &str) -> bool {
    NAMES.iter().any(|(_, _, name)| *name == key)
}

/// What a look at the profile showed of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown<'a> {
    /// Nobody has looked, or the answer does not say.
    Unknown,
    Nothing,
    This(&'a str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There is nothing to do and nothing to remember.
    Stays,
    /// The profile has it.
    Settled,
    /// It has another one, which nobody has told us to change.
    Left,
    Write,
    /// It was written long enough ago, and does not show.
    NotTaken,
}

/// What the person goes by.
struct Wanted<'a> {
    kind: IdKind,
    value: &'a str,
    /// Somebody has said outright that it is to be this one from now on.
    said: bool,
}

impl<'a> Wanted<'a> {
    fn of(person: &'a Person, kind: IdKind) -> Option<Self> {
        let value = person.id_of(kind)?;
        let id = Identifier { kind, value: value.to_owned() };
        // What is merely an address is written as one.
        if id.is_address_as_id() {
            return None;
        }
        let said = match kind {
            IdKind::UserId => person.goes_by.as_ref().is_some_and(|(_, name)| name == value),
            _ => person.is_told_address(value),
        };
        Some(Self { kind, value, said })
    }

    fn hash(&self) -> String {
        hash(&Value::String(self.value.to_owned()))
    }
}

/// The heart of it. `waited`: what was written has had the time to show.
fn judge(wanted: &Wanted<'_>, given: Option<&Given>, shown: Shown<'_>, person: &Person, waited: bool) -> Verdict {
    let own = wanted.hash();
    let known = given.filter(|given| !given.hash.is_empty());
    let same = known.filter(|given| given.hash == own);
    match (shown, same) {
        (Shown::This(shown), Some(given)) if shown == wanted.value && !given.refused => Verdict::Stays,
        (Shown::This(shown), _) if shown == wanted.value => Verdict::Settled,
        // Nobody can be asked whether it was taken.
        (Shown::Unknown, Some(given)) if given.refused => Verdict::Settled,
        (_, Some(given)) if given.refused && waited => Verdict::NotTaken,
        // It is to show yet, or it had it. If it was changed there since, that holds; and what was refused once is not tried again.
        (_, Some(_)) => Verdict::Stays,
        (Shown::Nothing, None) => Verdict::Write,
        (Shown::This(shown), None) => {
            let is_theirs = person.ids.get(&wanted.kind).is_some_and(|ids| ids.contains_key(shown));
            let was_given = known.is_some_and(|given| given.hash == hash(&Value::String(shown.to_owned())));
            let changes = match wanted.kind {
                // The profile has another of their ids: which one holds, only a source can say.
                IdKind::UserId => wanted.said && is_theirs,
                _ => wanted.said || is_theirs || was_given,
            };
            if changes { Verdict::Write } else { Verdict::Left }
        }
        (Shown::Unknown, None) => match (known, wanted.kind) {
            (Some(given), IdKind::UserId) if given.hash != nothing() => {
                if wanted.said {
                    Verdict::Write
                } else {
                    Verdict::Stays
                }
            }
            (Some(_), _) => Verdict::Write,
            (None, IdKind::UserId) => Verdict::Stays,
            (None, _) => {
                if wanted.said {
                    Verdict::Write
                } else {
                    Verdict::Stays
                }
            }
        },
    }
}

/// It was seen that the profile has none.
fn nothing() -> String {
    hash(&Value::Null)
}

/// A name that routes give is theirs to say.
fn is_said_by_routes(target: &Target, kind: IdKind) -> bool {
    kind == IdKind::Email && (target.update.own.contains_key("email") || target.mark.given.contains_key(EMAIL))
}

impl Target {
    /// Some name of the person is not known to be the profile's.
    pub(super) fn has_open_names(&self, now: Timestamp) -> bool {
        NAMES.iter().any(|(kind, _, key)| {
            let Some(wanted) = Wanted::of(&self.person, *kind).filter(|_| !is_said_by_routes(self, *kind)) else { return false };
            self.mark.given.get(*key).is_none_or(|given| {
                let may_be_written = *kind == IdKind::Email || wanted.said || given.hash.is_empty() || given.hash == nothing();
                must_show(given, now) || (given.hash != wanted.hash() && may_be_written)
            })
        })
    }

    /// What the profile goes by has to be looked at: something that was written must show by now or, for `state`, nothing is known
    /// of it.
    pub(super) fn must_look_at_names(&self, state: bool, now: Timestamp) -> bool {
        NAMES.iter().any(|(kind, _, key)| {
            let is_wanted = || Wanted::of(&self.person, *kind).is_some() && !is_said_by_routes(self, *kind);
            let given = self.mark.given.get(*key).filter(|given| !given.hash.is_empty());
            given.map_or(state, |given| must_show(given, now)) && is_wanted()
        })
    }
}

/// It was written so long ago that it shows, if it was taken.
fn must_show(given: &Given, now: Timestamp) -> bool {
    given.refused && now.since(given.at) >= SHOWS_WITHIN
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// Decides what each profile is to go by. Reads who claims a name only where one is to be written.
    pub(super) async fn name_profiles(&self, targets: &mut [Target], incoming: &[Incoming]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut wanted: Vec<(usize, &'static str, Identifier)> = Vec::new();
        for (index, target) in targets.iter_mut().enumerate() {
            let Ok(profile) = target.profile.clone() else { continue };
            for (kind, attribute, key) in NAMES {
                if let Some(name) = target.judge_name(&profile, kind, key, now) {
                    wanted.push((index, attribute, name));
                }
            }
        }
        if !wanted.is_empty() {
            let key = |target: &Target, name: &Identifier| AliasKey::of_identifier(&target.person.workspace, name);
            let keys: Vec<AliasKey> = wanted.iter().filter_map(|(index, _, name)| Some(key(targets.get(*index)?, name))).collect();
            let found = self.store.find(&keys, &[]).await?;
            // What several people claim is no name of any.
            wanted.retain(|(index, _, name)| {
                targets.get(*index).is_some_and(|target| is_theirs_alone(&target.person, found.aliases.get(&key(target, name))))
            });
            let is_free = self.are_free(targets, &wanted).await;
            for ((index, attribute, name), is_free) in wanted.into_iter().zip(is_free) {
                let Some(target) = targets.get_mut(index) else { continue };
                match is_free {
                    Some(true) => {
                        target.names.news.insert(attribute, name.value);
                    }
                    Some(false) => {
                        target.names.waits = true;
                        target.waits_for(&name, now);
                    }
                    None => target.names.waits = true,
                }
            }
        }
        let mut conflicts = Vec::new();
        for target in targets.iter() {
            conflicts.extend(target.names.not_taken.iter().filter_map(|name| note(target, name, incoming, now)));
        }
        if conflicts.is_empty() { Ok(()) } else { self.store.note_conflicts(conflicts).await }
    }
}

impl<S: Store, Q: Queue, C: Clock, J: Jitter, D: Customerio> CustomerioSender<'_, S, Q, C, J, D> {
    /// Whether no other profile has these names; `None`: nobody could say. One that another has is not written: the two may be about to be merged, and by itself
    /// Customer.io leaves it where it is or, depending on the workspace, merges the two.
    async fn are_free(&self, targets: &[Target], names: &[(usize, &'static str, Identifier)]) -> Vec<Option<bool>> {
        let own = |index: usize| match targets.get(index).map(|target| &target.profile) {
            Some(Ok(ProfileRef::Own(own))) => Some(own),
            _ => None,
        };
        let asked: Vec<usize> =
            (0..names.len()).filter(|place| names.get(*place).is_some_and(|(index, ..)| own(*index).is_some())).collect();
        let addresses: Vec<Address> = asked
            .iter()
            .filter_map(|place| names.get(*place))
            .map(|(_, _, name)| Address { ids: vec![(name.kind, name.value.clone())] })
            .collect();
        let mut is_free = vec![Some(true); names.len()];
        if addresses.is_empty() {
            return is_free;
        }
        for (place, answer) in asked.into_iter().zip(self.customerio.find_profiles(&addresses).await) {
            let (Some((index, ..)), Some(is_free)) = (names.get(place), is_free.get_mut(place)) else { continue };
            *is_free = match answer {
                ProfileLookUp::Found(seen) => Some(own(*index).is_none_or(|own| *own == seen.own)),
                ProfileLookUp::Ambiguous => Some(false),
                ProfileLookUp::FoundBy(..) | ProfileLookUp::Absent | ProfileLookUp::Unverified(..) => Some(true),
                // Asked again with the next job.
                ProfileLookUp::Failed(_) => None,
            };
        }
        is_free
    }
}

impl Target {
    /// Another profile has the name. Minutes later somebody looks again, as after a write.
    fn waits_for(&mut self, name: &Identifier, now: Timestamp) {
        let key = NAMES.iter().find(|(kind, ..)| *kind == name.kind).map(|(_, _, key)| *key);
        if let Some(key) = key {
            let hash = hash(&Value::String(name.value.clone()));
            self.mark.given.insert(key.to_owned(), Given { hash, at: now, refused: true });
            self.learnt = true;
        }
    }

    /// The name, if it is to be written.
    fn judge_name(&mut self, profile: &ProfileRef, kind: IdKind, key: &'static str, now: Timestamp) -> Option<Identifier> {
        let says = |seen: &SeenProfile| if kind == IdKind::Email { seen.email.clone() } else { seen.user_id.clone() };
        let seen: Option<Option<String>> = self.seen.as_ref().filter(|seen| seen.says_who_it_is()).map(says);
        let Some(wanted) = Wanted::of(&self.person, kind).filter(|_| !is_said_by_routes(self, kind)) else {
            // Then a first name needs no look.
            if seen == Some(None) && !self.mark.given.contains_key(key) {
                self.learns(key, nothing(), now);
            }
            return None;
        };
        let name = Identifier { kind, value: wanted.value.to_owned() };
        if matches!(profile, ProfileRef::By(by, _) if *by == kind) {
            // It is what the call names the profile by. A new one is given its address as a value as well, which is what mail goes to.
            return (kind == IdKind::Email && self.creates.is_some()).then_some(name);
        }
        let given = self.mark.given.get(key);
        let shown = match &seen {
            None => Shown::Unknown,
            Some(None) => Shown::Nothing,
            Some(Some(value)) => Shown::This(value),
        };
        // By any other name Customer.io adds what is missing, and changes nothing that is there.
        let adds =
            shown == Shown::Unknown && matches!(profile, ProfileRef::By(..)) && given.is_none_or(|given| given.hash != wanted.hash());
        let waited = self.was_made || given.is_some_and(|given| now.since(given.at) >= SHOWS_WITHIN);
        let verdict = if adds { Verdict::Write } else { judge(&wanted, given, shown, &self.person, waited) };
        let hash = wanted.hash();
        match verdict {
            Verdict::Write => return Some(name),
            Verdict::Stays => {}
            Verdict::Settled => self.learns(key, hash, now),
            // Which of two user ids holds may be said later; of an address the next change is news.
            Verdict::Left if kind == IdKind::UserId => {
                let shown = seen.flatten().map_or(Value::Null, Value::String);
                self.learns(key, super::target::hash(&shown), now);
            }
            Verdict::Left => self.learns(key, hash, now),
            Verdict::NotTaken => {
                self.learns(key, hash, now);
                self.names.not_taken.push(name);
            }
        }
        None
    }

    fn learns(&mut self, key: &str, hash: String, at: Timestamp) {
        self.mark.given.insert(key.to_owned(), Given { hash, at, refused: false });
        self.learnt = true;
    }
}

/// What a human is told: another profile goes by a name of this person's.
fn note(target: &Target, name: &Identifier, incoming: &[Incoming], now: Timestamp) -> Option<ConflictNote> {
    let event = target.jobs.iter().find_map(|index| incoming.get(*index)).map(|i| i.job.event.clone())?;
    let people = BTreeSet::from([target.person.id.clone()]);
    let conflict = Conflict { kind: ConflictKind::TwoProfiles, id: name.clone(), holders: BTreeSet::new() };
    let workspace = target.person.workspace.clone();
    Some(ConflictNote {
        id: ConflictId::from(conflict.digest(&workspace)),
        workspace,
        kind: conflict.kind,
        over: conflict.id,
        people,
        event,
        at: now,
    })
}

/// What was given as names is not known any more where Customer.io has refused the write that held them: the rest goes without.
pub(super) fn give_up(names: &Names, mark: &mut Mark, at: Timestamp) {
    for (key, hash, at) in names.gives(at) {
        mark.given.insert(key, Given { hash, at, refused: false });
    }
}
