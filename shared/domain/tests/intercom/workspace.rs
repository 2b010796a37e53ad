//! Intercom's workspace in memory, as its documentation and the reports of others describe it. Where they are silent, the seed
//! chooses.
//!
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io>

use crate::sim::{World, point};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use trefoil_domain::action::ContactRole;
use trefoil_domain::event::Workspace;
use trefoil_domain::id::EventId;
use trefoil_domain::job::LookUp;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::*;
use trefoil_domain::time::{Span, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    Active,
    Archived,
    MergedInto(String),
    Deleted,
}

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) role: ContactRole,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) life: Life,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) unsubscribed: bool,
    /// Since when it is as it is, for the search.
    changed_at: Timestamp,
    created_at: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) contacts: BTreeMap<String, Contact>,
    /// By contact, name and second: the metadata of the first.
    pub(crate) events: BTreeMap<(String, String, i64), BTreeMap<String, Value>>,
    /// Whatever people see, by its text.
    pub(crate) seen_by_people: BTreeMap<String, u32>,
    last: u64,
}

pub(crate) struct Simulated<'w> {
    world: &'w World,
    pub(crate) inside: Mutex<Inside>,
    /// How long the search misses what is new.
    lag: Span,
    /// How long a new contact is not known to everything.
    too_new: Span,
    leads_become_users: bool,
    /// Percent of calls without an answer; half of them were done.
    pub(crate) failing: AtomicU64,
    pub(crate) calls: AtomicU64,
    /// Questions among them.
    pub(crate) searches: AtomicU64,
    /// Names of events that it takes.
    pub(crate) most_names: AtomicU64,
}

impl<'w> Simulated<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let dice = &world.dice;
        Self {
            world,
            inside: Mutex::default(),
            lag: [Span::ZERO, Span::from_mins(1), Span::from_mins(5)][dice.below(3)],
            too_new: [Span::ZERO, Span::from_mins(3)][dice.below(2)],
            leads_become_users: dice.percent(50),
            failing: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            searches: AtomicU64::new(0),
            most_names: AtomicU64::new(120),
        }
    }

    /// Without delays.
    pub(crate) fn calm(world: &'w World) -> Self {
        Self { lag: Span::ZERO, too_new: Span::ZERO, leads_become_users: true, ..Self::new(world) }
    }

    /// A contact that has been there for long.
    pub(crate) fn add(&self, role: ContactRole, user_id: Option<&str>, email: Option<&str>, life: Life) -> String {
        let long_ago = self.world.now().minus(Span::from_days(30));
        self.inside.lock().expect("lock").add(role, user_id.map(str::to_owned), email.map(str::to_owned), life, long_ago)
    }

    /// The contacts of whoever has this user id or this address.
    pub(crate) fn active(&self, user_id: Option<&str>, email: &str) -> Vec<(String, Contact)> {
        let inside = self.inside.lock().expect("lock");
        let theirs = |c: &&Contact| (user_id.is_some() && c.user_id.as_deref() == user_id) || c.email.as_deref() == Some(email);
        inside.contacts.iter().filter(|(_, c)| c.life == Life::Active && theirs(c)).map(|(id, c)| (id.clone(), c.clone())).collect()
    }

    /// Somebody else's product makes a user of a person; their lead goes up in it.
    pub(crate) fn signs_up(&self, user_id: &str, email: &str) {
        let now = self.world.now();
        let mut inside = self.inside.lock().expect("lock");
        let is_user = |c: &Contact| matches!(c.life, Life::Active | Life::Archived) && c.user_id.as_deref() == Some(user_id);
        if inside.contacts.values().any(is_user) {
            return;
        }
        let leads: Vec<String> = inside
            .contacts
            .iter()
            .filter(|(_, c)| c.life == Life::Active && c.role == ContactRole::Lead && c.email.as_deref() == Some(email))
            .map(|(id, _)| id.clone())
            .collect();
        let user = inside.add(ContactRole::User, Some(user_id.to_owned()), Some(email.to_owned()), Life::Active, now);
        leads.into_iter().for_each(|lead| inside.merge(&lead, &user));
    }

    fn fails(&self) -> bool {
        self.world.dice.percent(self.failing.load(Ordering::Relaxed) as usize)
    }

    fn search(&self, fits: impl Fn(&Contact) -> bool, lag: Span) -> Sought {
        let now = self.world.now();
        let inside = self.inside.lock().expect("lock");
        let seen = |(id, c): (&String, &Contact)| SeenContact {
            id: id.clone(),
            role: c.role,
            user_id: c.user_id.clone().filter(|_| c.role == ContactRole::User),
        };
        let is_there = |c: &Contact| c.life == Life::Active && now.since(c.changed_at) >= lag;
        Sought::Found(inside.contacts.iter().filter(|(_, c)| is_there(c) && fits(c)).map(seen).collect())
    }
}

impl Inside {
    fn add(&mut self, role: ContactRole, user_id: Option<String>, email: Option<String>, life: Life, at: Timestamp) -> String {
        self.last += 1;
        let id = format!("c{:04}", self.last);
        let contact = Contact {
            role,
            user_id,
            email,
            life,
            attributes: BTreeMap::new(),
            tags: BTreeSet::new(),
            unsubscribed: false,
            changed_at: at,
            created_at: at,
        };
        self.contacts.insert(id.clone(), contact);
        id
    }

    fn merge(&mut self, from: &str, into: &str) {
        let gone = self.contacts.get_mut(from).expect("a contact");
        gone.life = Life::MergedInto(into.to_owned());
        let (attributes, tags) = (gone.attributes.clone(), gone.tags.clone());
        let survivor = self.contacts.get_mut(into).expect("a contact");
        attributes.into_iter().for_each(|(name, value)| {
            survivor.attributes.entry(name).or_insert(value);
        });
        survivor.tags.extend(tags);
        let events: Vec<_> = self.events.iter().filter(|((contact, ..), _)| contact == from).map(|(k, v)| (k.clone(), v.clone())).collect();
        for ((_, name, at), metadata) in events {
            self.events.entry((into.to_owned(), name, at)).or_insert(metadata);
        }
    }

    /// A user with the same id or address stands in the way, unless it is this one.
    fn taken(&self, but: Option<&str>, role: ContactRole, fields: &ContactFields) -> Option<(String, bool)> {
        let is_same = |c: &Contact| {
            let by_id = fields.user_id.is_some() && c.user_id == fields.user_id;
            let by_email = role == ContactRole::User && fields.email.is_some() && c.email == fields.email;
            c.role == ContactRole::User && matches!(c.life, Life::Active | Life::Archived) && (by_id || by_email)
        };
        let same = self.contacts.iter().find(|(id, c)| Some(id.as_str()) != but && is_same(c));
        same.map(|(id, c)| (id.clone(), c.life == Life::Archived))
    }

    fn give(contact: &mut Contact, fields: &ContactFields, now: Timestamp) {
        if fields.user_id.is_some() {
            contact.user_id.clone_from(&fields.user_id);
        }
        if fields.email.is_some() && contact.email != fields.email {
            contact.email.clone_from(&fields.email);
            contact.changed_at = now;
        }
        contact.unsubscribed |= fields.unsubscribed;
        contact.attributes.extend(fields.attributes.clone());
    }

    fn sees(&mut self, text: &str) {
        *self.seen_by_people.entry(text.to_owned()).or_default() += 1;
    }
}

impl Simulated<'_> {
    fn done(&self, call: &IntercomCall) -> Called {
        let now = self.world.now();
        let mut guard = self.inside.lock().expect("lock");
        let inside = &mut *guard;
        let made = |id: Option<String>| Called::Done(Made { id, ..Made::default() });
        let contact = match call {
            IntercomCall::CreateContact(fields) => {
                let role = fields.role.expect("a role");
                if let Some((contact, archived)) = inside.taken(None, role, fields) {
                    return Called::Exists { contact, archived };
                }
                let id = inside.add(role, None, None, Life::Active, now);
                Inside::give(inside.contacts.get_mut(&id).expect("made"), fields, now);
                return Called::Done(Made { id: Some(id), role: Some(role), ..Made::default() });
            }
            IntercomCall::AssignToAdmin { .. }
            | IntercomCall::AssignToTeam { .. }
            | IntercomCall::TagConversation { .. }
            | IntercomCall::AssignTicket { .. } => return made(None),
            IntercomCall::NoteOnConversation { body, .. } => {
                inside.sees(body);
                return made(None);
            }
            IntercomCall::UpsertCompany(company) => return made(Some(format!("co-{}", company.company_id))),
            IntercomCall::UpdateContact { contact, .. }
            | IntercomCall::UnarchiveContact { contact }
            | IntercomCall::ArchiveContact { contact }
            | IntercomCall::DeleteContact { contact }
            | IntercomCall::MergeContacts { from: contact, .. }
            | IntercomCall::AddTag { contact, .. }
            | IntercomCall::RemoveTag { contact, .. }
            | IntercomCall::TrackEvent { contact, .. }
            | IntercomCall::SetSubscription { contact, .. }
            | IntercomCall::OpenConversation { contact, .. }
            | IntercomCall::NoteOnContact { contact, .. }
            | IntercomCall::SendMessage { contact, .. }
            | IntercomCall::CreateTicket { contact, .. }
            | IntercomCall::AttachCompany { contact, .. } => contact.clone(),
        };
        let Some(known) = inside.contacts.get(&contact) else { return Called::NoContact };
        let (life, age) = (known.life.clone(), now.since(known.created_at));
        match (&life, call) {
            (Life::MergedInto(survivor), _) => return Called::MergedInto(survivor.clone()),
            (Life::Deleted, _) => return Called::NoContact,
            (Life::Archived, IntercomCall::UnarchiveContact { .. }) | (Life::Active, _) => {}
            (Life::Archived, _) => return Called::NoContact,
        }
        inside.last += 1;
        let id = format!("{}", inside.last);
        match call {
            IntercomCall::UpdateContact { fields, .. } => {
                let role = known.role;
                let becomes = if self.leads_become_users { fields.role.unwrap_or(role) } else { role };
                if let Some((other, archived)) = inside.taken(Some(&contact), becomes, fields) {
                    return Called::Exists { contact: other, archived };
                }
                let known = inside.contacts.get_mut(&contact).expect("known");
                known.role = becomes;
                let given = ContactFields { user_id: fields.user_id.clone().filter(|_| becomes == ContactRole::User), ..fields.clone() };
                Inside::give(known, &given, now);
                return Called::Done(Made { id: Some(contact), role: Some(becomes), ..Made::default() });
            }
            IntercomCall::UnarchiveContact { .. } => inside.contacts.get_mut(&contact).expect("known").life = Life::Active,
            IntercomCall::ArchiveContact { .. } => inside.contacts.get_mut(&contact).expect("known").life = Life::Archived,
            IntercomCall::DeleteContact { .. } => inside.contacts.get_mut(&contact).expect("known").life = Life::Deleted,
            IntercomCall::MergeContacts { into, .. } => {
                // The user may be too new.
                if inside.contacts.get(into).is_some_and(|c| now.since(c.created_at) < self.too_new) {
                    return Called::NoContact;
                }
                if known.role != ContactRole::Lead || inside.contacts.get(into).is_none_or(|c| c.role != ContactRole::User) {
                    return Called::Not(Outcome::rejected("invalid_merge", ""));
                }
                inside.merge(&contact, into);
            }
            IntercomCall::AddTag { tag, .. } => {
                inside.contacts.get_mut(&contact).expect("known").tags.insert(tag.clone());
            }
            IntercomCall::RemoveTag { tag, .. } => {
                inside.contacts.get_mut(&contact).expect("known").tags.remove(tag);
            }
            IntercomCall::TrackEvent { .. } | IntercomCall::SendMessage { .. } if age < self.too_new => return Called::NoContact,
            IntercomCall::TrackEvent { name, at, metadata, .. } => {
                let names: BTreeSet<&String> = inside.events.keys().map(|(_, name, _)| name).collect();
                if !names.contains(name) && names.len() as u64 >= self.most_names.load(Ordering::Relaxed) {
                    return Called::TooManyNames;
                }
                inside.events.entry((contact, name.clone(), *at)).or_insert_with(|| metadata.clone());
            }
            IntercomCall::SetSubscription { subscribed, .. } => {
                inside.contacts.get_mut(&contact).expect("known").unsubscribed = !subscribed;
            }
            IntercomCall::OpenConversation { body, .. }
            | IntercomCall::NoteOnContact { body, .. }
            | IntercomCall::SendMessage { body, .. }
            | IntercomCall::CreateTicket { title: body, .. } => inside.sees(body),
            IntercomCall::AttachCompany { .. } => {}
            IntercomCall::CreateContact(_)
            | IntercomCall::AssignToAdmin { .. }
            | IntercomCall::AssignToTeam { .. }
            | IntercomCall::NoteOnConversation { .. }
            | IntercomCall::TagConversation { .. }
            | IntercomCall::AssignTicket { .. }
            | IntercomCall::UpsertCompany(_) => unreachable!("needs no contact"),
        }
        made(Some(id))
    }

    async fn asked(&self, answer: impl FnOnce() -> Sought) -> Sought {
        point().await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.searches.fetch_add(1, Ordering::Relaxed);
        if self.fails() {
            return Sought::Failed(Outcome::retry(Span::ZERO, "unavailable"));
        }
        let answer = answer();
        point().await;
        answer
    }
}

impl Intercom for Simulated<'_> {
    async fn with_user_id(&self, user_id: &str, _: Timestamp) -> Sought {
        self.asked(|| self.search(|c| c.role == ContactRole::User && c.user_id.as_deref() == Some(user_id), Span::ZERO)).await
    }

    async fn with_email(&self, email: &str, _: Timestamp) -> Sought {
        self.asked(|| self.search(|c| c.email.as_deref() == Some(email), self.lag)).await
    }

    async fn contact(&self, contact: &str, _: Timestamp) -> Sought {
        let read = || {
            let inside = self.inside.lock().expect("lock");
            let mut id = contact.to_owned();
            while let Some(Contact { life: Life::MergedInto(next), .. }) = inside.contacts.get(&id) {
                id.clone_from(next);
            }
            let seen = inside.contacts.get(&id).filter(|c| c.life == Life::Active).map(|c| SeenContact {
                id: id.clone(),
                role: c.role,
                user_id: c.user_id.clone().filter(|_| c.role == ContactRole::User),
            });
            Sought::Found(seen.into_iter().collect())
        };
        self.asked(read).await
    }

    async fn call(&self, call: &IntercomCall, _: Timestamp) -> Called {
        point().await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.fails() {
            match self.world.dice.below(3) {
                0 => return Called::Not(Outcome::retry(Span::from_secs(5), "rate_limited")),
                1 => return Called::Unknown(Outcome::retry(Span::ZERO, "timed_out")),
                _ => {
                    let _lost = self.done(call);
                    point().await;
                    return Called::Unknown(Outcome::retry(Span::ZERO, "timed_out"));
                }
            }
        }
        let called = self.done(call);
        // The answer may come after others have gone on.
        point().await;
        called
    }

    fn has_teammate(&self) -> bool {
        true
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}

impl IntercomLookUps for Simulated<'_> {
    async fn look_up(&self, _: &Workspace, _: &LookUp, _: &EventId, _: Timestamp) -> LookedUp {
        LookedUp { outcome: Outcome::Done, events: Vec::new() }
    }

    fn pause(&self, _: Timestamp) -> Option<Span> {
        None
    }
}
