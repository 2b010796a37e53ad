//! Questions to Intercom: who is this contact, and what state is this conversation in? The answers are canonical events.
//!
//! Knows nothing of people: whether a contact that is not found is too new or gone is for the caller to say, by age.
//!
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io>

use super::client::{IntercomClient, canonical_contact, read, unreadable};
use super::contact::{identifiers, profile};
use super::normalize::MOST_CONTACTS;
use super::outcome::Verdict;
use super::request::MOST_CONVERSATION_BYTES;
use super::request::Request;
use super::ticket::{Around, Proof, conversation_sighting, last_part, report, seen_at, ticket_sighting};
use super::wire::{Contact, Item, Part, nested};
use crate::http::Answer;
use std::collections::BTreeSet;
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Merged, Profile, Source, Workspace, event_id};
use trefoil_domain::id::EventId;
use trefoil_domain::job::LookUp;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{IntercomLookUps, LookedUp};
use trefoil_domain::steps::look_up::{CONVERSATION_NOT_FOUND, NOT_FOUND};
use trefoil_domain::tickets::{Register, Sighting, TicketFact, TicketId};
use trefoil_domain::time::{Span, Timestamp};

/// Times are whole seconds: until this long after a change, another one may carry the same second.
const SETTLED_AFTER: Span = Span::from_secs(2);
/// Contacts of one person that are asked about before the person is taken for gone from a conversation.
const MOST_ASKED: usize = 10;

/// What is asked, by whom, when, for which workspace.
#[derive(Clone, Copy)]
struct Question<'q> {
    workspace: &'q Workspace,
    asked_by: &'q EventId,
    now: Timestamp,
}

impl IntercomClient {
    async fn get(&self, segments: &[&str], most_answer_bytes: Option<usize>, now: Timestamp) -> Result<(Verdict, Answer), Outcome> {
        let request = Request { most_answer_bytes, ..Request::get(segments) };
        self.question(&request, now).await
    }

    async fn contact(&self, question: Question<'_>, asked: &str) -> Result<Vec<Event>, Outcome> {
        let (mut verdict, mut answer) = self.get(&["contacts", asked], None, question.now).await?;
        if verdict == Verdict::Merged {
            let canonical = canonical_contact(&answer).ok_or_else(|| Outcome::rejected("merged_into_unknown_contact", ""))?;
            (verdict, answer) = self.get(&["contacts", &canonical], None, question.now).await?;
        }
        match verdict {
            Verdict::Answered => {}
            Verdict::NotFound => return Err(Outcome::retry(Span::ZERO, NOT_FOUND)),
            // Once is enough: whoever merges contacts in a circle must look at it.
            Verdict::Merged => return Err(Outcome::rejected("merged_into_merged_contact", "")),
            Verdict::Refused
            | Verdict::Conflict
            | Verdict::Forbidden
            | Verdict::KeyRefused
            | Verdict::Redirected
            | Verdict::TooMany
            | Verdict::Busy => {
                return Err(Outcome::retry(Span::ZERO, "destination_failed"));
            }
        }
        let contact: Contact<'_> = read(&answer)?;
        let mut ids = identifiers(&contact, None);
        if contact.id.get().is_none() || ids.is_empty() {
            return Err(unreadable());
        }
        let occurred_at = contact.updated_at.0.or(contact.created_at.0).unwrap_or(question.now);
        let profile = profile(&contact);
        // The id that was asked for is theirs as well, whatever they are called now.
        let gone = Identifier::new(IdKind::IntercomId, asked).filter(|asked| !ids.contains(asked));
        let merged = gone.map(|gone| {
            let event = question.merged(asked, gone.clone(), ids.clone(), occurred_at, profile.clone());
            ids.insert(1, gone);
            event
        });
        let identified = question.answer(asked, ids, occurred_at, Kind::PersonIdentified(profile));
        Ok(merged.into_iter().chain([identified]).collect())
    }

    async fn conversation(&self, question: Question<'_>, ticket: &TicketId, contacts: &[String]) -> Result<Vec<Event>, Outcome> {
        let (mut verdict, mut answer) = self.get(&["conversations", ticket.as_str()], Some(MOST_CONVERSATION_BYTES), question.now).await?;
        let mut register = Register::Conversation;
        if verdict == Verdict::NotFound {
            // A deletion cannot be taken back, and some tickets have no conversation of that id: make sure.
            register = Register::Ticket;
            (verdict, answer) = self.get(&["tickets", ticket.as_str()], Some(MOST_CONVERSATION_BYTES), question.now).await?;
        }
        match verdict {
            Verdict::Answered => {}
            Verdict::NotFound => return Err(Outcome::retry(Span::ZERO, CONVERSATION_NOT_FOUND)),
            Verdict::Merged | Verdict::Refused | Verdict::Conflict => {
                return Err(Outcome::rejected("refused_by_intercom", format!("status {}", answer.status)));
            }
            Verdict::Forbidden | Verdict::KeyRefused | Verdict::Redirected | Verdict::TooMany | Verdict::Busy => {
                return Err(Outcome::retry(Span::ZERO, "destination_failed"));
            }
        }
        let item: Item<'_> = read(&answer)?;
        // Without the list nobody can be said to be no longer on it.
        if item.id.get().is_none() || item.contacts.0.is_none() {
            return Err(unreadable());
        }
        let reading = ReRead::of(question, ticket, register, &item)?;
        if contacts.is_empty() {
            let everybody = reading.everybody();
            return if everybody.is_empty() { Err(Outcome::skipped("no_contacts")) } else { Ok(everybody) };
        }
        let present = reading.present(contacts);
        if !present.is_empty() {
            return Ok(present);
        }
        // They may be on the list under a name that we have not heard of yet.
        let asked = contacts.iter().take(if item.contacts.iter().len() == 0 { 0 } else { MOST_ASKED });
        for asked in asked {
            let survivor = self.survivor(question, asked).await?;
            let merged = survivor.and_then(|survivor| reading.merged(asked, &survivor));
            if let Some(events) = merged {
                return Ok(events);
            }
        }
        Ok(reading.absent(contacts))
    }

    /// Whom the contact was merged into, if it was. Intercom may also answer 404 for one that was merged, and then says no
    /// more.
    async fn survivor(&self, question: Question<'_>, asked: &str) -> Result<Option<String>, Outcome> {
        let (verdict, answer) = self.get(&["contacts", asked], None, question.now).await?;
        match verdict {
            Verdict::Merged => Ok(canonical_contact(&answer)),
            Verdict::Answered => {
                let contact: Contact<'_> = read(&answer)?;
                Ok(contact.id.get().filter(|id| *id != asked).map(str::to_owned))
            }
            Verdict::NotFound => Ok(None),
            Verdict::Refused
            | Verdict::Conflict
            | Verdict::Forbidden
            | Verdict::KeyRefused
            | Verdict::Redirected
            | Verdict::TooMany
            | Verdict::Busy => Err(Outcome::retry(Span::ZERO, "destination_failed")),
        }
    }
}

impl Question<'_> {
    fn answer(self, contact: &str, ids: Vec<Identifier>, occurred_at: Timestamp, kind: Kind) -> Event {
        self.event(&["look_up", self.asked_by.as_str(), contact], ids, occurred_at, kind)
    }

    /// A second answer to the same question: the contact asked about has gone into the one that has `ids`.
    fn merged(self, contact: &str, gone: Identifier, ids: Vec<Identifier>, occurred_at: Timestamp, profile: Profile) -> Event {
        let kind = Kind::PersonMerged(Merged { from: vec![gone], profile });
        self.event(&["look_up", self.asked_by.as_str(), contact, "merged"], ids, occurred_at, kind)
    }

    fn event(self, name: &[&str], ids: Vec<Identifier>, occurred_at: Timestamp, kind: Kind) -> Event {
        Event {
            id: event_id(Source::Intercom, self.workspace, name),
            source: Source::Intercom,
            workspace: self.workspace.clone(),
            occurred_at,
            received_at: self.now,
            ids,
            person: None,
            origin: None,
            kind,
        }
    }
}

/// What a conversation or ticket that was read again says, to whoever takes part in it.
struct ReRead<'q> {
    question: Question<'q>,
    ticket: &'q TicketId,
    register: Register,
    item: &'q Item<'q>,
    at: Timestamp,
    seen: Vec<Sighting>,
}

impl<'q> ReRead<'q> {
    /// # Errors
    /// It has just changed.
    fn of(question: Question<'q>, ticket: &'q TicketId, register: Register, item: &'q Item<'q>) -> Result<Self, Outcome> {
        // What the ticket says of itself changes with it, and not always with its conversation.
        let embedded = nested(item.ticket).filter(|_| register == Register::Conversation);
        let last = last_part(item.conversation_parts.iter().chain(item.ticket_parts.iter()));
        let changed = item.updated_at.0.max(embedded.as_ref().and_then(|t| t.updated_at.0));
        let at = changed.map_or_else(|| seen_at(item, last, question.now), |at| Timestamp::from_secs(at.secs()));
        if question.now.since(at) < SETTLED_AFTER {
            return Err(Outcome::retry(SETTLED_AFTER, "too_fresh"));
        }
        let seen = sightings(register, item, embedded.as_ref(), last, at).into_iter().flatten().collect();
        Ok(Self { question, ticket, register, item, at, seen })
    }

    fn answer(&self, asked: &str, ids: Vec<Identifier>, fact: TicketFact, occurred_at: Timestamp) -> Event {
        let report = report(self.ticket.clone(), self.register, self.item, Around::default(), fact, self.seen.clone());
        self.question.answer(asked, ids, occurred_at, Kind::Ticket(report))
    }

    /// Names of somebody who takes part.
    fn listed(&self, contact: &str) -> Option<Vec<Identifier>> {
        let author = self.item.source.0.as_ref().and_then(|source| source.author.0.as_ref());
        let listed = self.item.contacts.iter().find(|listed| listed.id.get() == Some(contact))?;
        Some(identifiers(listed, author))
    }

    /// For everybody who takes part.
    fn everybody(&self) -> Vec<Event> {
        let all: BTreeSet<&str> = self.item.contacts.iter().filter_map(|listed| listed.id.get()).take(MOST_CONTACTS).collect();
        all.into_iter().filter_map(|id| Some(self.answer(id, self.listed(id)?, TicketFact::ReRead, self.at))).collect()
    }

    fn present(&self, contacts: &[String]) -> Vec<Event> {
        let listed = contacts.iter().filter_map(|asked| Some((asked, self.listed(asked)?)));
        listed.map(|(asked, ids)| self.answer(asked, ids, TicketFact::ReRead, self.at)).collect()
    }

    /// The contact asked about takes part as `survivor`, if that one is listed.
    fn merged(&self, asked: &str, survivor: &str) -> Option<Vec<Event>> {
        let mut ids = self.listed(survivor)?;
        let gone = Identifier::new(IdKind::IntercomId, asked)?;
        let merged = self.question.merged(asked, gone.clone(), ids.clone(), self.question.now, Profile::default());
        // Whichever of the two events comes first, it finds the person who asked.
        ids.insert(1.min(ids.len()), gone);
        Some(vec![merged, self.answer(asked, ids, TicketFact::ReRead, self.at)])
    }

    /// The person takes no part any more, under any of their ids. Leaving may change no time in the object; that they are
    /// not on the list is true as of now.
    fn absent(&self, contacts: &[String]) -> Vec<Event> {
        let gone = contacts.iter().find_map(|asked| Some((asked, Identifier::new(IdKind::IntercomId, asked)?)));
        gone.into_iter().map(|(asked, id)| self.answer(asked, vec![id], TicketFact::Detached, self.question.now)).collect()
    }
}

fn sightings(
    register: Register,
    item: &Item<'_>,
    embedded: Option<&Item<'_>>,
    last: Option<&Part<'_>>,
    at: Timestamp,
) -> [Option<Sighting>; 2] {
    match register {
        Register::Conversation => {
            [conversation_sighting(item, at, Proof::Asked), embedded.and_then(|ticket| ticket_sighting(ticket, last, at, Proof::Asked))]
        }
        Register::Ticket => [ticket_sighting(item, last, at, Proof::Asked), None],
    }
}

fn deleted(question: Question<'_>, ticket: &TicketId, contacts: &[String]) -> Vec<Event> {
    let gone = Item::default();
    let events = contacts.iter().map(|asked| {
        let ids = Identifier::new(IdKind::IntercomId, asked).into_iter().collect();
        let report = report(ticket.clone(), Register::Conversation, &gone, Around::default(), TicketFact::Deleted, Vec::new());
        question.answer(asked, ids, question.now, Kind::Ticket(report))
    });
    events.collect()
}

impl IntercomLookUps for IntercomClient {
    async fn look_up(&self, workspace: &Workspace, question: &LookUp, asked_by: &EventId, now: Timestamp) -> LookedUp {
        let asked = Question { workspace, asked_by, now };
        let answered = match question {
            LookUp::Contact { contact } => self.contact(asked, contact).await,
            LookUp::Conversation { ticket, contacts } => self.conversation(asked, ticket, contacts).await,
        };
        match answered {
            Ok(events) => LookedUp { outcome: Outcome::Done, events },
            Err(outcome) => {
                let not_found = matches!(&outcome, Outcome::RetryAfter { reason, .. } if reason.code == CONVERSATION_NOT_FOUND);
                let events = match question {
                    // What it means, should it stay so: whoever asks decides how long to doubt it.
                    LookUp::Conversation { ticket, contacts } if not_found => deleted(asked, ticket, contacts),
                    LookUp::Conversation { .. } | LookUp::Contact { .. } => Vec::new(),
                };
                LookedUp { outcome, events }
            }
        }
    }

    fn pause(&self, now: Timestamp) -> Option<Span> {
        self.door.pause(now)
    }
}
