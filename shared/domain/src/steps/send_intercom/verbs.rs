//! What each verb comes to, in calls.

use super::IntercomSender;
use super::actions;
use super::contact::{contacts_of, found};
use super::once::short;
use super::visit::{Contact, Halt, Visit, forget_values};
use crate::action::{ContactRole, IntercomAction, IntercomVerb, TrackEvent, UpsertCompany, UpsertContact};
use crate::event::IdKind;
use crate::job::Job;
use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::ports::{Called, Clock, ContactFields, EventNames, Intercom, IntercomCall, Made, Store, TakenRun, TakenSecond};
use crate::steps::people::email_of;
use crate::time::{Span, Timestamp};
use serde_json::Value;

/// Seconds remembered of one person: more events than that never wait for each other's redelivery.
const SECONDS_KEPT: usize = 64;
/// Runs of seconds remembered beyond those.
const RUNS_KEPT: usize = 16;
const AGAIN_SOON: Span = Span::from_secs(30);
/// Fields that say what the person is, rather than what an event said.
const IS_NOW: [&str; 3] = ["role", "user_id", "email"];

impl<S: Store + Ledger + EventNames, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    /// Gives every event a second of its own, and writes that down, before any is sent: a repeat takes the same one.
    pub(super) async fn prepare(&self, visit: &mut Visit<'_>, jobs: &[(usize, &Job)]) -> Result<(), Halt> {
        if self.is_busy(visit) {
            return Err(Halt::busy());
        }
        // Where it is not known yet whether there is a contact, there may be nothing to write down.
        if self.known(visit).is_none() {
            return Ok(());
        }
        let tracked = jobs.iter().flat_map(|(_, job)| actions(job)).filter_map(|action| match &action.what {
            IntercomVerb::TrackEvent(event) => Some((action, event)),
            _ => None,
        });
        let mut some = false;
        for (action, event) in tracked {
            some |= self.name_and_second(visit, action, event).await?.1;
        }
        if some { self.put(visit).await } else { Ok(()) }
    }

    /// Under which name and at which second the event is sent, and whether the second was taken just now.
    async fn name_and_second(
        &self,
        visit: &mut Visit<'_>,
        action: &IntercomAction,
        event: &TrackEvent,
    ) -> Result<((String, i64), bool), Halt> {
        let name = match &event.fallback {
            Some(fallback) if !self.names.takes(self.store, &visit.person.workspace, &event.name).await? => fallback,
            Some(_) | None => &event.name,
        };
        let (at, new) = take_second(visit, action, name);
        Ok(((name.clone(), at), new))
    }

    pub(super) async fn action(&self, visit: &mut Visit<'_>, job: &Job, action: &IntercomAction) -> Result<(), Halt> {
        match &action.what {
            IntercomVerb::UpsertContact(upsert) => self.upsert(visit, job, action.occurred_at, upsert).await,
            IntercomVerb::AddTag { tag } => {
                self.done_on_contact(visit, job, |c| IntercomCall::AddTag { contact: c.id.clone(), tag: tag.clone() }).await.map(drop)
            }
            IntercomVerb::RemoveTag { tag } => {
                self.done_on_contact(visit, job, |c| IntercomCall::RemoveTag { contact: c.id.clone(), tag: tag.clone() }).await.map(drop)
            }
            IntercomVerb::TrackEvent(event) => self.track(visit, job, action, event).await,
            IntercomVerb::SetSubscription { topic, subscribed } => {
                // Which of the tools' topics are the same is not known here: one opt-out is enough.
                if *subscribed && visit.person.consent.out().next().is_some() {
                    return Err(Halt::Ends(Outcome::skipped("opted_out")));
                }
                let call =
                    |c: &Contact| IntercomCall::SetSubscription { contact: c.id.clone(), topic: topic.clone(), subscribed: *subscribed };
                self.done_on_contact(visit, job, call).await.map(drop)
            }
            IntercomVerb::OpenConversation(open) => self.open(visit, job, action, open).await,
            IntercomVerb::SendMessage(message) => self.message(visit, job, action, message).await,
            IntercomVerb::AddNote { body, on } => self.note(visit, job, action, body, *on).await,
            IntercomVerb::CreateTicket(ticket) => self.ticket(visit, job, action, ticket).await,
            IntercomVerb::UpsertCompany(company) => self.company(visit, job, action.occurred_at, company).await,
            IntercomVerb::ArchiveContact => {
                self.done_on_contact(visit, job, |c| IntercomCall::ArchiveContact { contact: c.id.clone() }).await?;
                visit.died();
                Ok(())
            }
            IntercomVerb::DeleteContact => self.delete(visit, job).await,
            IntercomVerb::MergeContacts => self.merge(visit, job).await,
        }
    }

    // ---------------------------------------------------------------------------------------------- contacts

    async fn upsert(&self, visit: &mut Visit<'_>, job: &Job, at: Timestamp, upsert: &UpsertContact) -> Result<(), Halt> {
        let whole = self.fields(visit, upsert).await?;
        let (_, made) =
            if upsert.create { self.contact_or_new(visit, job, &whole).await? } else { (self.contact(visit, job).await?, None) };
        if let Some(left_out) = made {
            self.remember_new(visit, &whole, at, &left_out);
            return Ok(());
        }
        let mut news = ContactFields { unsubscribed: self.keeps_out_of_email(visit), ..whole.clone() };
        // Whoever is a user is none the less one for what we know of them.
        if upsert.role.is_none() && whole.user_id.is_none() {
            news.role = None;
        }
        let mut given = values(&news);
        given.retain(|(field, value)| {
            // What a person is now does not depend on which event asks.
            let at = if IS_NOW.contains(&field.as_str()) { self.clock.now() } else { at };
            let is_news = visit.is_news(field, value, at);
            if !is_news {
                leave_out(&mut news, field);
            }
            is_news
        });
        if given.is_empty() {
            return Ok(());
        }
        self.claim(visit).await?;
        let update = |c: &Contact| IntercomCall::UpdateContact { contact: c.id.clone(), fields: news.clone() };
        let called = match self.on_contact(visit, job, update).await {
            // It has gone while we knew it.
            Err(_) if upsert.create && visit.contact.is_none() && visit.mark.profile.is_none() => {
                if let (_, Some(left_out)) = self.contact_or_new(visit, job, &whole).await? {
                    self.remember_new(visit, &whole, at, &left_out);
                    return Ok(());
                }
                self.on_contact(visit, job, update).await?
            }
            called => called?,
        };
        let mut left_out = Vec::new();
        match called {
            Called::Done(Made { role: Some(ContactRole::Lead), .. }) if whole.role == Some(ContactRole::User) => {
                self.promote(visit, job, &whole).await?;
            }
            // Another contact has the id or the address: the user that this lead ought to be, or somebody else.
            Called::Exists { .. } => {
                let lead = whole.user_id.is_some() && self.is_lead(visit).await?;
                if lead {
                    self.promote(visit, job, &whole).await?;
                } else if news.email.take().is_some() {
                    given.retain(|(field, _)| field != "email");
                    let update = |c: &Contact| IntercomCall::UpdateContact { contact: c.id.clone(), fields: news.clone() };
                    let made = self.done_on_contact(visit, job, update).await?;
                    visit.notes.push("address_of_another_contact".to_owned());
                    left_out = made.left_out;
                } else {
                    return Err(Halt::Ends(Outcome::blocked("taken_by_another_contact")));
                }
            }
            Called::Done(made) => {
                visit.notes.extend(made.notes);
                left_out = made.left_out;
            }
            Called::Not(_) | Called::Unknown(_) | Called::NoContact | Called::MergedInto(_) | Called::TooManyNames => {
                return Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")));
            }
        }
        let now = self.clock.now();
        if news.unsubscribed {
            self.was_kept_out_of_email(visit);
        }
        given.iter().for_each(|(field, value)| visit.gave(field, value, if IS_NOW.contains(&field.as_str()) { now } else { at }));
        visit.not_taken(&left_out);
        Ok(())
    }

    /// What a contact was given that has been made just now.
    fn remember_new(&self, visit: &mut Visit<'_>, fields: &ContactFields, at: Timestamp, left_out: &[String]) {
        values(fields).iter().for_each(|(field, value)| visit.gave(field, value, at));
        visit.not_taken(left_out);
        if fields.unsubscribed {
            self.was_kept_out_of_email(visit);
        }
    }

    async fn is_lead(&self, visit: &Visit<'_>) -> Result<bool, Halt> {
        let Some(contact) = &visit.contact else { return Ok(false) };
        let seen = found(self.intercom.contact(&contact.id, self.clock.now()).await)?;
        Ok(seen.iter().any(|seen| seen.id == contact.id && seen.role == ContactRole::Lead))
    }

    /// Intercom has left a lead a lead: a user is made, and the lead goes up in it. Until it has, the lead stays the contact, so
    /// that whoever comes next goes on here.
    async fn promote(&self, visit: &mut Visit<'_>, job: &Job, fields: &ContactFields) -> Result<(), Halt> {
        let Some(lead) = visit.contact.take() else { return Err(Halt::busy()) };
        let (profile, given, told) = (visit.mark.profile.clone(), visit.mark.given.clone(), visit.learnt.len());
        visit.mark.promoting = Some(lead.id.clone());
        let merged = match self.create(visit, job, fields).await {
            Ok((user, _)) if user.id == lead.id => {
                visit.notes.push("still_a_lead".to_owned());
                visit.mark.promoting = None;
                return Ok(());
            }
            Ok((user, _)) => {
                let merge = IntercomCall::MergeContacts { from: lead.id.clone(), into: user.id };
                match self.intercom.call(&merge, self.clock.now()).await {
                    Called::Done(_) => Ok(()),
                    Called::NoContact | Called::MergedInto(_) => self.is_merged(&lead.id).await,
                    Called::Not(outcome) | Called::Unknown(outcome) => Err(Halt::Ends(outcome)),
                    Called::Exists { .. } | Called::TooManyNames => Err(Halt::Ends(Outcome::rejected("unexpected_answer", ""))),
                }
            }
            Err(halt) => Err(halt),
        };
        match merged {
            Ok(()) => {
                visit.mark.promoting = None;
                visit.mark.dead.insert(lead.id);
                forget_values(&mut visit.mark);
                // Of one that was there before, nothing is known.
                let update = |c: &Contact| IntercomCall::UpdateContact { contact: c.id.clone(), fields: fields.clone() };
                self.done_on_contact(visit, job, update).await.map(drop)
            }
            Err(halt) => {
                (visit.mark.profile, visit.mark.given) = (profile, given);
                visit.learnt.truncate(told);
                visit.contact = Some(lead);
                Err(halt)
            }
        }
    }

    /// Either of the two was not found: it may be merged already, or the other one too new.
    async fn is_merged(&self, lead: &str) -> Result<(), Halt> {
        let seen = found(self.intercom.contact(lead, self.clock.now()).await)?;
        if seen.iter().any(|seen| seen.id == lead) { Err(Halt::Ends(Outcome::retry(AGAIN_SOON, "too_new_to_merge"))) } else { Ok(()) }
    }

    async fn fields(&self, visit: &Visit<'_>, upsert: &UpsertContact) -> Result<ContactFields, Halt> {
        let user_id = visit.person.id_of(IdKind::UserId).map(str::to_owned);
        let email = match email_of(visit.person) {
            // An address that several people claim would end up with one of them.
            Some(email) if self.is_alone(visit, &email).await? => Some(email.value),
            Some(_) | None => None,
        };
        Ok(ContactFields {
            role: upsert.role.or(Some(if user_id.is_some() { ContactRole::User } else { ContactRole::Lead })),
            user_id,
            email,
            name: upsert.name.clone(),
            phone: upsert.phone.clone(),
            avatar: upsert.avatar.clone(),
            signed_up_at: upsert.signed_up_at.clone(),
            last_seen_at: upsert.last_seen_at.clone(),
            owner_id: upsert.owner_id.clone(),
            unsubscribed: self.keeps_out_of_email(visit),
            attributes: upsert.attributes.clone(),
        })
    }

    async fn delete(&self, visit: &mut Visit<'_>, job: &Job) -> Result<(), Halt> {
        let mut contacts = contacts_of(visit);
        contacts.extend(visit.mark.profile.clone());
        if contacts.is_empty() {
            contacts.insert(self.contact(visit, job).await?.id);
        }
        for contact in contacts {
            match self.intercom.call(&IntercomCall::DeleteContact { contact: contact.clone() }, self.clock.now()).await {
                Called::Done(_) | Called::NoContact | Called::MergedInto(_) => {}
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                Called::Exists { .. } | Called::TooManyNames => return Err(Halt::Ends(Outcome::rejected("unexpected_answer", ""))),
            }
            visit.mark.dead.insert(contact);
        }
        visit.died();
        Ok(())
    }

    /// Every lead of the person goes up in their user.
    async fn merge(&self, visit: &mut Visit<'_>, job: &Job) -> Result<(), Halt> {
        let now = self.clock.now();
        let Some(user_id) = visit.person.id_of(IdKind::UserId) else { return Err(Halt::Ends(Outcome::skipped("no_user_id"))) };
        let user = found(self.intercom.with_user_id(user_id, now).await)?.into_iter().next();
        let Some(user) = user else { return Err(Halt::Ends(Outcome::skipped("no_contact"))) };
        let mut leads = contacts_of(visit);
        if let Some(email) = email_of(visit.person)
            && self.is_alone(visit, &email).await?
        {
            let same = found(self.intercom.with_email(&email.value, now).await)?;
            leads.extend(same.into_iter().filter(|seen| seen.role == ContactRole::Lead).map(|seen| seen.id));
        }
        leads.remove(&user.id);
        for from in leads {
            let seen = found(self.intercom.contact(&from, now).await)?;
            if !seen.iter().any(|seen| seen.id == from && seen.role == ContactRole::Lead) {
                continue;
            }
            match self.intercom.call(&IntercomCall::MergeContacts { from: from.clone(), into: user.id.clone() }, now).await {
                Called::Done(_) => {}
                Called::NoContact | Called::MergedInto(_) => self.is_merged(&from).await?,
                Called::Not(outcome) | Called::Unknown(outcome) => return Err(Halt::Ends(outcome)),
                Called::Exists { .. } | Called::TooManyNames => return Err(Halt::Ends(Outcome::rejected("unexpected_answer", ""))),
            }
            visit.contact = Some(Contact { id: from, role: Some(ContactRole::Lead) });
            visit.moved(user.id.clone(), job, now);
        }
        visit.is(Contact { id: user.id, role: Some(ContactRole::User) }, job, now);
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------- events, companies

    async fn track(&self, visit: &mut Visit<'_>, job: &Job, action: &IntercomAction, event: &TrackEvent) -> Result<(), Halt> {
        self.contact(visit, job).await?;
        let ((name, at), new) = self.name_and_second(visit, action, event).await?;
        if new {
            self.put(visit).await?;
        }
        match self.track_as(visit, job, event, &name, at).await? {
            Called::TooManyNames => {}
            Called::Done(Made { notes, .. }) => {
                visit.notes.extend(notes);
                return Ok(());
            }
            Called::Exists { .. } | Called::Not(_) | Called::Unknown(_) | Called::NoContact | Called::MergedInto(_) => {
                return Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")));
            }
        }
        // Somebody else has used up the names that we thought were left.
        let too_many = || Halt::Ends(Outcome::rejected("too_many_event_names", "archive some at Intercom: Settings > Data > Events"));
        let fallback = event.fallback.as_ref().filter(|fallback| **fallback != name).ok_or_else(too_many)?;
        let (at, new) = take_second(visit, action, fallback);
        if new {
            self.put(visit).await?;
        }
        match self.track_as(visit, job, event, fallback, at).await? {
            Called::Done(Made { notes, .. }) => {
                visit.notes.extend(notes);
                visit.notes.push("event_name_fallback".to_owned());
                Ok(())
            }
            Called::TooManyNames => Err(too_many()),
            Called::Exists { .. } | Called::Not(_) | Called::Unknown(_) | Called::NoContact | Called::MergedInto(_) => {
                Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")))
            }
        }
    }

    async fn track_as(&self, visit: &mut Visit<'_>, job: &Job, event: &TrackEvent, name: &str, at: i64) -> Result<Called, Halt> {
        let call =
            |c: &Contact| IntercomCall::TrackEvent { contact: c.id.clone(), name: name.to_owned(), at, metadata: event.metadata.clone() };
        self.on_contact(visit, job, call).await
    }

    async fn company(&self, visit: &mut Visit<'_>, job: &Job, at: Timestamp, company: &UpsertCompany) -> Result<(), Halt> {
        let value = serde_json::to_value(company).unwrap_or_default();
        let (field, attached) = (format!("company:{}", short(&company.company_id)), format!("attached:{}", short(&company.company_id)));
        let mut joins_later = None;
        let contact = match self.contact(visit, job).await {
            Ok(contact) => Some(contact),
            // A company may well be there before its people.
            Err(Halt::Ends(outcome)) if outcome.reason().is_some_and(|reason| reason.code == "no_contact") => {
                joins_later = Some(outcome).filter(|outcome| matches!(outcome, Outcome::RetryAfter { .. }));
                None
            }
            Err(halt) => return Err(halt),
        };
        let later = || joins_later.clone().map_or(Ok(()), |outcome| Err(Halt::Ends(outcome)));
        let news = contact.as_ref().map(|contact| Value::from(contact.id.as_str()));
        let to_attach = news.as_ref().is_some_and(|id| visit.is_news(&attached, id, at));
        if !to_attach && !visit.is_news(&field, &value, at) {
            return later();
        }
        self.claim(visit).await?;
        let made = self.write_company(company).await?;
        visit.notes.extend(made.notes);
        visit.gave(&field, &value, at);
        if let (Some(id), true, Some(contact)) = (made.id, to_attach, news) {
            self.done_on_contact(visit, job, |c| IntercomCall::AttachCompany { contact: c.id.clone(), company: id.clone() }).await?;
            visit.gave(&attached, &contact, at);
        }
        later()
    }

    pub(super) async fn write_company(&self, company: &UpsertCompany) -> Result<Made, Halt> {
        match self.intercom.call(&IntercomCall::UpsertCompany(company.clone()), self.clock.now()).await {
            Called::Done(made) => Ok(made),
            Called::Not(outcome) | Called::Unknown(outcome) => Err(Halt::Ends(outcome)),
            Called::Exists { .. } | Called::NoContact | Called::MergedInto(_) | Called::TooManyNames => {
                Err(Halt::Ends(Outcome::rejected("unexpected_answer", "")))
            }
        }
    }
}

/// The second that the action's event takes under this name, and whether it was taken just now.
fn take_second(visit: &mut Visit<'_>, action: &IntercomAction, name: &str) -> (i64, bool) {
    let name = short(name);
    let seconds = &mut visit.mark.seconds;
    if let Some(taken) = seconds.iter().find(|taken| taken.name == name && taken.action == action.id) {
        return (taken.at, false);
    }
    let mut at = action.occurred_at.secs();
    loop {
        let run = visit.mark.runs.iter().find(|run| run.name == name && (run.from..=run.to).contains(&at));
        match run {
            Some(run) => at = run.to + 1,
            None if seconds.iter().any(|taken| taken.name == name && taken.at == at) => at += 1,
            None => break,
        }
    }
    seconds.push(TakenSecond { name, at, action: action.id.clone() });
    if seconds.len() > SECONDS_KEPT {
        let oldest = seconds.remove(0);
        remember_taken(&mut visit.mark.runs, oldest);
    }
    (at, true)
}

/// Whose it was is forgotten; that it is taken is not, as long as others around it are.
fn remember_taken(runs: &mut Vec<TakenRun>, TakenSecond { name, at, .. }: TakenSecond) {
    match runs.iter_mut().find(|run| run.name == name && (run.from - 1..=run.to + 1).contains(&at)) {
        Some(run) => (run.from, run.to) = (run.from.min(at), run.to.max(at)),
        None => runs.push(TakenRun { name, from: at, to: at }),
    }
    if runs.len() > RUNS_KEPT {
        // Those of one second alone are the least likely to be met again.
        let shortest = (0..runs.len()).min_by_key(|index| runs.get(*index).map(|run| run.to - run.from));
        shortest.map(|index| runs.remove(index));
    }
}

/// What the fields say, each under its name.
fn values(fields: &ContactFields) -> Vec<(String, Value)> {
    let ContactFields { role, user_id, email, name, phone, avatar, signed_up_at, last_seen_at, owner_id, unsubscribed: _, attributes } =
        fields;
    let text = |value: &Option<String>| value.as_deref().map(Value::from);
    let own = [
        ("role", role.map(|role| Value::from(role.as_str()))),
        ("user_id", text(user_id)),
        ("email", text(email)),
        ("name", text(name)),
        ("phone", text(phone)),
        ("avatar", text(avatar)),
        ("signed_up_at", signed_up_at.clone()),
        ("last_seen_at", last_seen_at.clone()),
        ("owner_id", text(owner_id)),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    own.chain(attributes.iter().map(|(name, value)| (format!("attribute:{name}"), value.clone()))).collect()
}

fn leave_out(fields: &mut ContactFields, name: &str) {
    match name {
        "role" => fields.role = None,
        "user_id" => fields.user_id = None,
        "email" => fields.email = None,
        "name" => fields.name = None,
        "phone" => fields.phone = None,
        "avatar" => fields.avatar = None,
        "signed_up_at" => fields.signed_up_at = None,
        "last_seen_at" => fields.last_seen_at = None,
        "owner_id" => fields.owner_id = None,
        _ => {
            if let Some(attribute) = name.strip_prefix("attribute:") {
                fields.attributes.remove(attribute);
            }
        }
    }
}
