//! Which contact a person is: remembered, else looked for by user id and by address, else made where the route says so.
//!
//! A search misses contacts of the last minutes, and a creation may have happened though no answer came. So a creation is written
//! down before it is tried, and where Intercom itself would not refuse a second one, nothing is made until the search can be
//! trusted again.

use super::IntercomSender;
use super::once::short;
use super::visit::{Contact, Halt, Visit};
use crate::action::ContactRole;
use crate::event::{IdKind, Identifier};
use crate::job::Job;
use crate::outcome::Outcome;
use crate::person::Person;
use crate::ports::{AliasKey, Called, Clock, ContactFields, Intercom, IntercomCall, Made, SeenContact, Sought, Store};
use crate::steps::look_up::NOT_FOUND;
use crate::steps::people::{email_of, is_theirs_alone};
use crate::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// A contact that is not found may be too new. After this long it is taken at its word.
const TOO_NEW_FOR: Span = Span::from_mins(10);
/// How long a search may miss a contact.
pub(super) const SEARCH_LAGS_FOR: Span = Span::from_mins(10);
/// Who had no contact is not looked for again for this long.
const ABSENT_FOR: Span = Span::from_hours(1);
/// While somebody is new, their contact may be on its way.
const NEW_FOR: Span = Span::from_mins(10);
const LOOK_AGAIN: Span = Span::from_mins(4);

/// What looking for a contact gave.
pub(super) enum Looked {
    Found(Contact),
    Absent,
    /// Several match, or those that match are other people's.
    Unclear(&'static str),
}

/// By what a person can be found.
pub(super) struct Keys {
    user_id: Option<String>,
    email: Option<String>,
}

impl Keys {
    fn hash(&self) -> String {
        short(&format!("{:?} {:?}", self.user_id, self.email))
    }

    fn is_empty(&self) -> bool {
        self.user_id.is_none() && self.email.is_none()
    }
}

impl<S: Store, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    /// The person's contact, if there is one.
    pub(super) async fn contact(&self, visit: &mut Visit<'_>, job: &Job) -> Result<Contact, Halt> {
        let now = self.clock.now();
        if let Some(contact) = self.known(visit) {
            visit.tell_of(&contact, job, now);
            return Ok(contact);
        }
        let keys = self.keys(visit).await?;
        let is_being_made = visit.mark.creating_since.is_some_and(|since| now.since(since) < SEARCH_LAGS_FOR);
        let is_new = now.since(visit.person.created_at) < NEW_FOR || is_being_made;
        let trusted_for = if is_new { LOOK_AGAIN } else { ABSENT_FOR };
        let looked_before = visit.mark.looked_for.as_ref() == Some(&keys.hash()) && now.since(visit.mark.profile_seen_at) < trusted_for;
        if !looked_before {
            match self.look(visit, job, &keys).await? {
                Looked::Found(contact) => return Ok(contact),
                Looked::Absent => {}
                Looked::Unclear(reason) => return Err(Halt::Ends(Outcome::skipped(reason))),
            }
            visit.mark.looked_for = Some(keys.hash());
            visit.mark.profile_seen_at = now;
        }
        Err(Halt::Ends(if is_new { Outcome::retry(LOOK_AGAIN, "no_contact") } else { Outcome::skipped("no_contact") }))
    }

    /// As far as it is known without asking.
    pub(super) fn known(&self, visit: &mut Visit<'_>) -> Option<Contact> {
        if visit.contact.is_none() {
            let is_gone = |id: &String| visit.person.gone.get(id).is_some_and(|gone| gone.gone) || is_disclaimed(visit.person, id);
            let remembered = visit.mark.promoting.as_ref().or(visit.mark.profile.as_ref()).cloned();
            let id = remembered.filter(|id| !is_gone(id)).or_else(|| {
                let mut theirs = contacts_of(visit).into_iter();
                let only = theirs.next()?;
                theirs.next().is_none().then_some(only)
            });
            visit.contact = id.map(|id| Contact { id, role: None });
        }
        visit.contact.clone()
    }

    pub(super) async fn keys(&self, visit: &Visit<'_>) -> Result<Keys, Halt> {
        let user_id = visit.person.id_of(IdKind::UserId).map(str::to_owned);
        let email = email_of(visit.person).filter(|_| self.config.identity.match_by.contains(&IdKind::Email));
        let email = match email {
            Some(email) if self.is_alone(visit, &email).await? => Some(email.value),
            Some(_) | None => None,
        };
        Ok(Keys { user_id, email })
    }

    /// Nobody else claims the id.
    pub(super) async fn is_alone(&self, visit: &Visit<'_>, id: &Identifier) -> Result<bool, Halt> {
        let key = AliasKey::of_identifier(&visit.person.workspace, id);
        let found = self.store.find(std::slice::from_ref(&key), &[]).await?;
        Ok(is_theirs_alone(visit.person, found.aliases.get(&key)))
    }

    pub(super) async fn look(&self, visit: &mut Visit<'_>, job: &Job, keys: &Keys) -> Result<Looked, Halt> {
        let now = self.clock.now();
        if let Some(user_id) = &keys.user_id
            && let Some(seen) = found(self.intercom.with_user_id(user_id, now).await)?.into_iter().next()
        {
            return Ok(Looked::Found(self.take(visit, seen, job, now)));
        }
        let mut unclear = None;
        if let Some(email) = &keys.email {
            let is_anothers = |seen: &SeenContact| {
                seen.role == ContactRole::User && seen.user_id.is_some() && keys.user_id.is_some() && seen.user_id != keys.user_id
            };
            let (anothers, theirs): (Vec<_>, Vec<_>) =
                found(self.intercom.with_email(email, now).await)?.into_iter().partition(|seen| is_anothers(seen));
            let (mut users, mut leads): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|seen| seen.role == ContactRole::User);
            let one = match (users.len(), leads.len()) {
                (1, _) => Some(users.remove(0)),
                (0, 1) => Some(leads.remove(0)),
                (_, _) => None,
            };
            match (users.len(), leads.len()) {
                _ if let Some(seen) = one => {
                    if self.is_nobody_elses(visit, &seen).await? {
                        return Ok(Looked::Found(self.take(visit, seen, job, now)));
                    }
                    unclear = Some("contact_of_another_user");
                }
                (0, 0) if anothers.is_empty() => {}
                (0, 0) => unclear = Some("contact_of_another_user"),
                (_, _) => unclear = Some("ambiguous_contact"),
            }
        }
        // Several were heard of, and none can be found: the one that was heard of last.
        let heard = contacts_of(visit);
        let last = visit.person.id_of(IdKind::IntercomId).filter(|id| heard.contains(*id)).map(str::to_owned);
        if let Some(id) = last.or_else(|| heard.into_iter().next_back()) {
            let contact = Contact { id, role: None };
            visit.is(contact.clone(), job, now);
            return Ok(Looked::Found(contact));
        }
        Ok(unclear.map_or(Looked::Absent, Looked::Unclear))
    }

    /// An address finds a contact that may be known as somebody else's, by its own id or by its user id.
    async fn is_nobody_elses(&self, visit: &Visit<'_>, seen: &SeenContact) -> Result<bool, Halt> {
        if is_disclaimed(visit.person, &seen.id) {
            return Ok(false);
        }
        let user_id = seen.user_id.as_ref().and_then(|id| Identifier::new(IdKind::UserId, id));
        let ids = Identifier::new(IdKind::IntercomId, &seen.id).into_iter().chain(user_id);
        let keys: Vec<AliasKey> = ids.map(|id| AliasKey::of_identifier(&visit.person.workspace, &id)).collect();
        let found = self.store.find(&keys, &[]).await?;
        Ok(found.aliases.values().all(|alias| alias.claimants.is_empty() || is_theirs_alone(visit.person, Some(alias))))
    }

    fn take(&self, visit: &mut Visit<'_>, seen: SeenContact, job: &Job, now: Timestamp) -> Contact {
        let contact = Contact { id: seen.id, role: Some(seen.role) };
        visit.mark.dead.remove(&contact.id);
        visit.mark.creating_since = None;
        visit.is(contact.clone(), job, now);
        contact
    }

    /// The person's contact; where there is none it is made with these fields. `Some`: it was made just now, with all of
    /// them but these.
    pub(super) async fn contact_or_new(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        fields: &ContactFields,
    ) -> Result<(Contact, Option<Vec<String>>), Halt> {
        if let Some(contact) = self.known(visit) {
            return Ok((contact, None));
        }
        let keys = self.keys(visit).await?;
        if keys.is_empty() {
            return Err(Halt::Ends(Outcome::skipped("no_identity")));
        }
        match self.look(visit, job, &keys).await? {
            Looked::Found(contact) => return Ok((contact, None)),
            // A user of ours may share an address with leads that nobody can tell apart.
            Looked::Unclear("ambiguous_contact") if keys.user_id.is_some() => {}
            Looked::Unclear(reason) => return Err(Halt::Ends(Outcome::blocked(reason))),
            Looked::Absent => {}
        }
        let now = self.clock.now();
        let is_refused_twice = keys.user_id.is_some() && fields.role != Some(ContactRole::Lead);
        if let Some(since) = visit.mark.creating_since
            && !is_refused_twice
            && now.since(since) < SEARCH_LAGS_FOR
        {
            return Err(Halt::Ends(Outcome::retry(since.plus(SEARCH_LAGS_FOR).since(now), "search_lags")));
        }
        self.create(visit, job, fields).await
    }

    pub(super) async fn create(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        fields: &ContactFields,
    ) -> Result<(Contact, Option<Vec<String>>), Halt> {
        if self.is_busy(visit) {
            return Err(Halt::busy());
        }
        visit.mark.creating_since = Some(self.clock.now());
        self.claim(visit).await?;
        // Claimed before already: then this has yet to be written.
        self.put(visit).await?;
        let called = self.intercom.call(&IntercomCall::CreateContact(fields.clone()), self.clock.now()).await;
        let now = self.clock.now();
        match called {
            Called::Done(Made { id: Some(id), role, notes, left_out }) => {
                visit.notes.extend(notes);
                visit.mark.creating_since = None;
                let contact = Contact { id, role: role.or(fields.role) };
                visit.is(contact.clone(), job, now);
                Ok((contact, Some(left_out)))
            }
            Called::Exists { contact, archived } => {
                let contact = self.existing(visit, contact, archived, fields).await?;
                visit.mark.creating_since = None;
                visit.mark.dead.remove(&contact.id);
                visit.is(contact.clone(), job, now);
                Ok((contact, None))
            }
            Called::Not(outcome) => {
                visit.mark.creating_since = None;
                Err(Halt::Ends(outcome))
            }
            // Written down as begun: the next attempt finds it, or is refused.
            Called::Unknown(outcome) => Err(Halt::Ends(outcome)),
            Called::Done(Made { id: None, .. }) | Called::NoContact | Called::MergedInto(_) | Called::TooManyNames => {
                Err(Halt::Ends(Outcome::retry(Span::ZERO, "unreadable_answer")))
            }
        }
    }

    /// Intercom says that there is one: not to be given to this person before it is known whose it is.
    async fn existing(&self, visit: &mut Visit<'_>, id: String, archived: bool, fields: &ContactFields) -> Result<Contact, Halt> {
        let read = found(self.intercom.contact(&id, self.clock.now()).await)?.into_iter().next();
        // What lies in the archive may have to be taken out to be read.
        let taken_out = archived && read.is_none();
        if taken_out {
            match self.intercom.call(&IntercomCall::UnarchiveContact { contact: id.clone() }, self.clock.now()).await {
                Called::Done(_) => visit.notes.push("unarchived".to_owned()),
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                Called::NoContact | Called::MergedInto(_) | Called::Exists { .. } | Called::TooManyNames => {
                    return Err(Halt::Ends(Outcome::retry(LOOK_AGAIN, NOT_FOUND)));
                }
            }
        }
        let seen = match read {
            Some(seen) => Some(seen),
            None => found(self.intercom.contact(&id, self.clock.now()).await)?.into_iter().next(),
        };
        let Some(seen) = seen else { return Err(Halt::Ends(Outcome::retry(LOOK_AGAIN, NOT_FOUND))) };
        let is_anothers = seen.user_id.is_some() && fields.user_id.is_some() && seen.user_id != fields.user_id;
        if is_anothers || !self.is_nobody_elses(visit, &seen).await? {
            visit.mark.creating_since = None;
            if taken_out {
                let _back = self.intercom.call(&IntercomCall::ArchiveContact { contact: id }, self.clock.now()).await;
            }
            return Err(Halt::Ends(Outcome::blocked("contact_of_another_user")));
        }
        if archived && !taken_out {
            match self.intercom.call(&IntercomCall::UnarchiveContact { contact: seen.id.clone() }, self.clock.now()).await {
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                Called::Done(_) | Called::NoContact | Called::MergedInto(_) | Called::Exists { .. } | Called::TooManyNames => {}
            }
        }
        Ok(Contact { id: seen.id, role: Some(seen.role) })
    }

    /// Makes a call on the contact, and again where it has gone meanwhile. Answers what the caller has to judge.
    pub(super) async fn on_contact(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        call: impl Fn(&Contact) -> IntercomCall,
    ) -> Result<Called, Halt> {
        for _ in 0..3 {
            let contact = self.contact(visit, job).await?;
            match self.intercom.call(&call(&contact), self.clock.now()).await {
                called @ (Called::NoContact | Called::MergedInto(_)) => self.follow(visit, job, called).await?,
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                called @ (Called::Done(_) | Called::TooManyNames | Called::Exists { .. }) => return Ok(called),
            }
        }
        Err(Halt::busy())
    }

    /// As [`Self::on_contact`], of calls that are done or not.
    pub(super) async fn done_on_contact(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        call: impl Fn(&Contact) -> IntercomCall,
    ) -> Result<Made, Halt> {
        match self.on_contact(visit, job, call).await? {
            Called::Done(made) => {
                visit.notes.extend(made.notes.iter().cloned());
                Ok(made)
            }
            Called::Exists { .. } => Err(Halt::Ends(Outcome::blocked("taken_by_another_contact"))),
            Called::TooManyNames | Called::NoContact | Called::MergedInto(_) | Called::Not(_) | Called::Unknown(_) => {
                Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")))
            }
        }
    }

    /// What an answer says of the contact itself. `Ok`: it is worth trying again at once.
    pub(super) async fn follow(&self, visit: &mut Visit<'_>, job: &Job, called: Called) -> Result<(), Halt> {
        let now = self.clock.now();
        match called {
            Called::MergedInto(to) => {
                visit.moved(to, job, now);
                Ok(())
            }
            Called::NoContact if now.since(job.created_at) < TOO_NEW_FOR => Err(Halt::Ends(Outcome::retry(LOOK_AGAIN, NOT_FOUND))),
            Called::NoContact => {
                visit.died();
                Ok(())
            }
            Called::Not(outcome) | Called::Unknown(outcome) => Err(Halt::Ends(outcome)),
            Called::Exists { .. } => Err(Halt::Ends(Outcome::blocked("taken_by_another_contact"))),
            Called::Done(_) | Called::TooManyNames => Err(Halt::Ends(Outcome::rejected("unexpected_answer", ""))),
        }
    }
}

/// Reasons why it is not known which contact is theirs.
pub(super) const UNCLEAR: [&str; 2] = ["ambiguous_contact", "contact_of_another_user"];

/// A human has said that it is somebody else's.
fn is_disclaimed(person: &Person, contact: &str) -> bool {
    person.disclaimed.contains(&Identifier { kind: IdKind::IntercomId, value: contact.to_owned() })
}

/// Contacts of the person that are still there, as far as is known.
pub(super) fn contacts_of(visit: &Visit<'_>) -> BTreeSet<String> {
    let ids = visit.person.ids.get(&IdKind::IntercomId).into_iter().flat_map(|ids| ids.keys());
    let is_there = |id: &&String| {
        !visit.mark.dead.contains(*id) && !is_disclaimed(visit.person, id) && !visit.person.gone.get(*id).is_some_and(|gone| gone.gone)
    };
    ids.filter(is_there).cloned().collect()
}

pub(super) fn found(sought: Sought) -> Result<Vec<SeenContact>, Halt> {
    match sought {
        Sought::Found(seen) => Ok(seen),
        Sought::Failed(outcome) => Err(Halt::Ends(outcome)),
    }
}
