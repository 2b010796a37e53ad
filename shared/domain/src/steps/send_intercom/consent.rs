//! A person who is out of something is so at Intercom too, in every contact of theirs. Each visit sees to it.

use super::IntercomSender;
use super::contact::{Looked, SEARCH_LAGS_FOR, contacts_of};
use super::visit::{Halt, Visit};
use crate::consent::Wanted;
use crate::event::{Choice, IdKind, Source};
use crate::job::{Job, Work};
use crate::outcome::Outcome;
use crate::person::RecordKey;
use crate::ports::{Called, Clock, Destination, Intercom, IntercomCall, Store};
use crate::steps::look_up::NOT_FOUND;
use crate::time::Span;
use std::collections::BTreeSet;

/// The switch of all e-mail; the others are types of subscriptions.
pub(super) const EMAIL: &str = "email";

/// A contact that was first heard of less than this ago, and is not found, may be too new to be found.
const TOO_NEW_FOR: Span = Span::from_mins(10);
const LOOK_AGAIN: Span = Span::from_mins(1);

fn field(contact: &str, key: &str) -> String {
    format!("{contact}:{key}")
}

/// What came of telling one contact.
enum Heard {
    All,
    MovedTo(String),
    Gone,
}

impl Visit<'_> {
    fn must_be_told(&self, contact: &str, wanted: &Wanted<'_>) -> bool {
        let record = RecordKey::named(Source::Intercom, IdKind::IntercomId, contact);
        wanted.must_be_told(Some(&record), self.mark.told.get(&field(contact, wanted.key)))
    }
}

impl<S: Store, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    fn email_wanted<'w>(&'w self, visit: &Visit<'w>) -> Option<Wanted<'w>> {
        visit.person.consent.wanted(Destination::Intercom, &self.config.consent).find(|wanted| wanted.key == EMAIL)
    }

    /// The person is to be kept out of e-mail, and this contact, or one that is about to be made, is not known to be.
    pub(super) fn keeps_out_of_email(&self, visit: &Visit<'_>) -> bool {
        self.email_wanted(visit).is_some_and(|wanted| {
            wanted.choice == Choice::Out && visit.contact.as_ref().is_none_or(|contact| visit.must_be_told(&contact.id, &wanted))
        })
    }

    /// The contact has been told along with other things.
    pub(super) fn was_kept_out_of_email(&self, visit: &mut Visit<'_>) {
        if let (Some(wanted), Some(contact)) = (self.email_wanted(visit), &visit.contact) {
            visit.mark.told.insert(field(&contact.id, EMAIL), wanted.told());
        }
    }

    /// Tells every contact of the person what it is not known to have.
    pub(super) async fn tell_consent(&self, visit: &mut Visit<'_>, job: &Job) -> Result<(), Halt> {
        let person = visit.person;
        let wanted: Vec<Wanted<'_>> = person.consent.wanted(Destination::Intercom, &self.config.consent).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let is_asked = matches!(job.work, Work::Consent { .. });
        let mut contacts: BTreeSet<String> = contacts_of(visit);
        let mut lost_one = contacts.is_empty() && !visit.mark.dead.is_empty();
        if is_asked && contacts.is_empty() && !lost_one {
            self.contact(visit, job).await?;
        }
        contacts.extend(visit.contact.iter().map(|contact| contact.id.clone()));
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut refused = None;
        let mut waits = None;
        loop {
            while let Some(contact) = contacts.pop_first() {
                if !seen.insert(contact.clone()) {
                    continue;
                }
                match self.tell_contact(visit, &contact, &wanted, &mut refused).await? {
                    Heard::All => {}
                    Heard::MovedTo(survivor) => {
                        visit.lives_on_as(&contact, &survivor, job, self.clock.now());
                        contacts.insert(survivor);
                    }
                    Heard::Gone if self.is_too_new(visit, &contact) => waits = Some(NOT_FOUND),
                    Heard::Gone => {
                        visit.is_gone(&contact);
                        lost_one = true;
                    }
                }
            }
            if !std::mem::take(&mut lost_one) {
                break;
            }
            // Intercom merges and remakes contacts without a word: the person may have another one by now.
            let keys = self.keys(visit).await?;
            match self.look(visit, job, &keys).await? {
                Looked::Found(other) if !seen.contains(&other.id) => contacts.insert(other.id),
                // What is found is the one that is gone, or one that was told already: another may not be found yet.
                Looked::Absent | Looked::Found(_) if self.clock.now().since(job.created_at) < SEARCH_LAGS_FOR => {
                    waits = Some("search_lags");
                    break;
                }
                Looked::Absent | Looked::Found(_) => break,
                Looked::Unclear(reason) => {
                    refused = Some(Outcome::skipped(reason));
                    break;
                }
            };
        }
        match (refused, waits) {
            (_, Some(reason)) => Err(Halt::Ends(Outcome::retry(LOOK_AGAIN, reason))),
            // Kept for a human, and tried again with the next job for the person.
            (Some(outcome), None) => Err(Halt::Ends(outcome)),
            (None, None) => Ok(()),
        }
    }

    async fn tell_contact(
        &self,
        visit: &mut Visit<'_>,
        contact: &str,
        wanted: &[Wanted<'_>],
        refused: &mut Option<Outcome>,
    ) -> Result<Heard, Halt> {
        let due: Vec<&Wanted<'_>> = wanted.iter().filter(|wanted| visit.must_be_told(contact, wanted)).collect();
        if due.is_empty() {
            return Ok(Heard::All);
        }
        // Whether a call was made that nobody heard the answer of is not known later.
        visit.mark.told.extend(due.iter().map(|wanted| (field(contact, wanted.key), wanted.told().doubted())));
        self.claim(visit).await?;
        self.put(visit).await?;
        for wanted in due {
            let topic = (wanted.key != EMAIL).then(|| wanted.key.to_owned());
            let call = IntercomCall::SetSubscription { contact: contact.to_owned(), topic, subscribed: wanted.choice == Choice::In };
            match self.intercom.call(&call, self.clock.now()).await {
                Called::Done(made) => {
                    visit.notes.extend(made.notes);
                    visit.mark.told.insert(field(contact, wanted.key), wanted.told());
                }
                Called::NoContact => return Ok(Heard::Gone),
                Called::MergedInto(survivor) => return Ok(Heard::MovedTo(survivor)),
                // A type of subscription that is not there, or another contact's trouble: the rest is told none the less.
                Called::Not(outcome @ (Outcome::Rejected { .. } | Outcome::Skipped { .. } | Outcome::Blocked { .. })) => {
                    *refused = Some(outcome);
                }
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                Called::Exists { .. } | Called::TooManyNames => return Err(Halt::Ends(Outcome::rejected("unexpected_answer", ""))),
            }
        }
        Ok(Heard::All)
    }

    fn is_too_new(&self, visit: &Visit<'_>, contact: &str) -> bool {
        let first_heard = visit.person.ids.get(&IdKind::IntercomId).and_then(|ids| ids.get(contact));
        first_heard.is_some_and(|at| self.clock.now().since(*at) < TOO_NEW_FOR)
    }
}
