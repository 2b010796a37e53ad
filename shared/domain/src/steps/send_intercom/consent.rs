//! Whoever is out of something is so at Intercom too, in every contact of theirs, as soon as there is one and whenever they said
//! so: looked after in each visit.

use super::IntercomSender;
use super::contact::contacts_of;
use super::visit::{Halt, Visit};
use crate::consent::Belief;
use crate::event::Choice;
use crate::job::{Job, Work};
use crate::outcome::Outcome;
use crate::ports::{Called, Clock, Destination, Intercom, IntercomCall, Store};
use serde_json::Value;
use std::collections::BTreeSet;

/// The switch of all e-mail; the others are types of subscriptions.
pub(super) const EMAIL: &str = "email";

fn field(contact: &str, key: &str) -> String {
    format!("consent:{contact}:{key}")
}

impl Visit<'_> {
    /// The person is to be kept out of e-mail, and this contact, or one that is about to be made, does not know yet.
    pub(super) fn keeps_out_of_email(&self) -> bool {
        let told = self.person.consent.told(Destination::Intercom).find(|(key, _)| *key == EMAIL);
        told.is_some_and(|(_, told)| {
            told.choice == Choice::Out && self.contact.as_ref().is_none_or(|contact| self.must_tell(&contact.id, EMAIL, told))
        })
    }

    fn must_tell(&self, contact: &str, key: &str, told: Belief) -> bool {
        let given = self.mark.given.get(&field(contact, key));
        given.is_none_or(|given| given.at < told.at || given.hash.is_empty())
    }

    /// The contact has been told along with other things.
    pub(super) fn was_kept_out_of_email(&mut self) {
        let told = self.person.consent.told(Destination::Intercom).find(|(key, _)| *key == EMAIL);
        if let (Some((_, told)), Some(contact)) = (told, self.contact.clone()) {
            self.gave(&field(&contact.id, EMAIL), &Value::Bool(false), told.at);
        }
    }
}

impl<S: Store, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    /// Tells every contact of the person what it does not know yet.
    pub(super) async fn tell_consent(&self, visit: &mut Visit<'_>, job: &Job) -> Result<(), Halt> {
        let told: Vec<(String, Belief)> =
            visit.person.consent.told(Destination::Intercom).map(|(key, told)| (key.to_owned(), told)).collect();
        if told.is_empty() {
            return Ok(());
        }
        if matches!(job.work, Work::Consent { .. }) && contacts_of(visit).is_empty() {
            self.contact(visit, job).await?;
        }
        let mut contacts: BTreeSet<String> = contacts_of(visit);
        contacts.extend(visit.contact.iter().map(|contact| contact.id.clone()));
        let mut refused = None;
        for contact in contacts {
            for (key, told) in &told {
                if !visit.must_tell(&contact, key, *told) {
                    continue;
                }
                self.claim(visit).await?;
                let topic = (key != EMAIL).then(|| key.clone());
                let call = IntercomCall::SetSubscription { contact: contact.clone(), topic, subscribed: told.choice == Choice::In };
                match self.intercom.call(&call, self.clock.now()).await {
                    Called::Done(made) => visit.notes.extend(made.notes),
                    // One that went up in another one is told of as that one.
                    Called::NoContact | Called::MergedInto(_) => {
                        visit.mark.dead.insert(contact.clone());
                        break;
                    }
                    // A type of subscription that is not there, or another contact's trouble: the rest is told none the less.
                    Called::Not(outcome @ (Outcome::Rejected { .. } | Outcome::Skipped { .. } | Outcome::Blocked { .. })) => {
                        refused = Some(outcome);
                        continue;
                    }
                    Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                    Called::Exists { .. } | Called::TooManyNames => {
                        return Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")));
                    }
                }
                visit.gave(&field(&contact, key), &Value::Bool(told.choice == Choice::In), told.at);
            }
        }
        // Kept for a human, and tried again with whatever is done for the person next.
        refused.map_or(Ok(()), |outcome| Err(Halt::Ends(outcome)))
    }
}
