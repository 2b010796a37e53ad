//! From a notification about a conversation or ticket to canonical events, one for each person concerned; and what all
//! notifications share. Takes from the item only what is named in [`super::wire`]: no message body, subject or page address
//! gets past this point; of what it all began with there is a hash.

use super::contact::identifiers;
use super::ticket::{Around, Proof, Transition, author, conversation_sighting, last_part, report, seen_at, ticket_sighting, transition};
use super::topic::Says;
use super::webhooks::Notification;
use super::wire::{AiAgent, Contact, Item, Part, Rating, Tag, nested};
use crate::lenient::Object;
use serde::Deserialize;
use serde_json::value::RawValue;
use trefoil_domain::event::{Event, Identifier, Kind, Origin, Source, event_id};
use trefoil_domain::id::EventId;
use trefoil_domain::tickets::{Author, RatingOf, Register, TicketFact, TicketId};
use trefoil_domain::time::Timestamp;

/// More than any conversation can have. Taking the first hundred would lose the others silently.
pub(super) const MOST_CONTACTS: usize = 100;
const MOST_TAGS: usize = 50;
pub(super) const LONGEST_NAME_CHARS: usize = 255;

/// Why an authentic notification cannot be used: a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unusable(pub(super) &'static str);

pub(super) fn tickets(notification: &Notification<'_>, register: Register, says: Says, item: &RawValue) -> Result<Vec<Event>, Unusable> {
    let outer: Item<'_> = read(item)?;
    let inner = unwrap(&outer, register);
    let item = inner.as_ref().unwrap_or(&outer);
    let id = ticket_id(item).ok_or(Unusable("no_ticket_id"))?;
    let contacts = contacts(&outer, item, says)?;
    let seen = Seen::of(notification, register, says, &outer, item);

    let around = Around { started_by: if let Says::Opened(by) = says { by } else { None }, part: outer.ticket_part.0.as_ref() };
    let mut events = Vec::new();
    // The score of somebody who is not named here belongs to whoever is.
    let rater = rating(&outer, item).filter(|_| says == Says::Rated).and_then(|(rating, _)| rated_by(rating));
    let rater = rater.filter(|rater| contacts.iter().flatten().any(|party| party.id == *rater));
    for contact in &contacts {
        let concerned = rater.is_none() || rater == contact.as_ref().map(|c| c.id);
        for fact in facts(says, &seen, &outer, item, concerned)? {
            let contact_id = contact.as_ref().map_or("", |c| c.id);
            let mut parts = vec![contact_id];
            if let TicketFact::Tagged { tag } = &fact.what {
                parts.extend(["tag", tag.as_str()]);
            }
            let event_id = if fact.retold {
                event_id(Source::Intercom, notification.workspace, &[&["retold", id.as_str()], parts.as_slice()].concat())
            } else {
                notification.event_id(id.as_str(), seen.last.and_then(|p| p.id.get()).unwrap_or_default(), &parts)
            };
            events.push(Event {
                id: event_id,
                source: Source::Intercom,
                workspace: notification.workspace.clone(),
                occurred_at: fact.at,
                received_at: notification.now,
                ids: contact.as_ref().map(|c| c.ids.clone()).unwrap_or_default(),
                person: None,
                origin: seen.last.and_then(|p| p.app_package_code.get()).map(|code| Origin(code.to_owned())),
                kind: Kind::Ticket(report(id.clone(), register, item, around, fact.what, seen.sighting.into_iter().collect())),
            });
        }
    }
    Ok(events)
}

impl Notification<'_> {
    /// When it was made, in whole seconds.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_secs(self.created_at.unwrap_or(self.now).secs())
    }

    /// The same for every delivery of one notification. `parts` tell apart the events that it falls into.
    pub(super) fn event_id(&self, item: &str, last_part: &str, parts: &[&str]) -> EventId {
        // The time of a notification, never the time of its arrival.
        let created_at = self.created_at.map_or(0, Timestamp::secs).to_string();
        let mut all = match self.id {
            Some(id) => vec![id],
            None => vec![self.app_id, self.topic, item, last_part, &created_at],
        };
        all.extend(parts);
        event_id(Source::Intercom, self.workspace, &all)
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(item: &'a RawValue) -> Result<T, Unusable> {
    serde_json::from_str::<Object<T>>(item.get()).ok().and_then(|item| item.0).ok_or(Unusable("unreadable_item"))
}

/// The conversation or ticket itself, where the topic or the app's version wraps it.
fn unwrap<'a>(outer: &Item<'a>, register: Register) -> Option<Item<'a>> {
    let inner = match register {
        Register::Conversation => nested(outer.conversation),
        // From 2.15 on `ticket.closed` nests it; replies and attachments always did.
        Register::Ticket => nested(outer.ticket),
    }?;
    nested(inner.model).or(Some(inner))
}

fn ticket_id(item: &Item<'_>) -> Option<TicketId> {
    let id = match item.kind.get() {
        // A tagged part that does not come with its conversation has an id of its own, in another number space.
        Some("conversation_part") => item.conversation_id.get(),
        Some(_) | None => item.id.get().or(item.conversation_id.get()),
    };
    id.and_then(TicketId::new)
}

/// Somebody concerned.
struct Party<'i> {
    id: &'i str,
    ids: Vec<Identifier>,
}

/// One entry for each person; a single `None` where the item names nobody: it concerns those who are known to take part.
fn contacts<'i>(outer: &'i Item<'_>, item: &'i Item<'_>, says: Says) -> Result<Vec<Option<Party<'i>>>, Unusable> {
    let author = item.source.0.as_ref().and_then(|source| source.author.0.as_ref());
    let party = |contact: &'i Contact<'_>| {
        let ids = identifiers(contact, author);
        contact.id.get().filter(|_| !ids.is_empty()).map(|id| Party { id, ids })
    };
    let mut parties: Vec<Party<'_>> = match says {
        Says::Deleted => return Ok(vec![None]),
        Says::Attached | Says::Detached => outer.contact.0.iter().filter_map(party).collect(),
        Says::Opened(_)
        | Says::Replied(_)
        | Says::Snoozed
        | Says::Closed
        | Says::Reopened
        | Says::StateChanged
        | Says::Prioritised
        | Says::Tagged
        | Says::Rated
        | Says::Updated => item.contacts.iter().filter_map(party).collect(),
    };
    if parties.is_empty() {
        if outer.conversation_message.0.is_some() || item.conversation_message.0.is_some() {
            return Err(Unusable("api_version_below_2_5"));
        }
        return match says {
            Says::Attached | Says::Detached => Err(Unusable("no_contacts")),
            _ => Ok(vec![None]),
        };
    }
    if parties.len() > MOST_CONTACTS {
        return Err(Unusable("over_100_contacts"));
    }
    parties.sort_by(|a, b| a.id.cmp(b.id));
    parties.dedup_by(|a, b| a.id == b.id);
    Ok(parties.into_iter().map(Some).collect())
}

/// What the item shows, whoever is concerned.
struct Seen<'i, 'a> {
    at: Timestamp,
    /// When the notification was made.
    told_at: Timestamp,
    last: Option<&'i Part<'a>>,
    sighting: Option<trefoil_domain::tickets::Sighting>,
}

impl<'i, 'a> Seen<'i, 'a> {
    fn of(notification: &Notification<'_>, register: Register, says: Says, outer: &'i Item<'a>, item: &'i Item<'a>) -> Self {
        let told_at = notification.time();
        let last = match register {
            Register::Conversation => last_part(item.conversation_parts.iter()),
            Register::Ticket => last_part(item.ticket_parts.iter().chain(outer.ticket_part.0.iter())),
        };
        let at = seen_at(item, last, told_at);
        let sighting = match (register, says) {
            (_, Says::Deleted) => None,
            (Register::Conversation, _) => conversation_sighting(item, at, conversation_proof(says)),
            (Register::Ticket, _) => ticket_sighting(item, last, at, ticket_proof(says)),
        };
        Self { at, told_at, last, sighting }
    }
}

/// A conversation comes with the parts that caused the notification, except that a tag or a rating is put on what is there.
fn conversation_proof(says: Says) -> Proof {
    match says {
        Says::Opened(_) => Proof::Birth,
        Says::Tagged | Says::Rated | Says::Attached | Says::Detached | Says::Deleted => Proof::Nothing,
        Says::Replied(_) | Says::Snoozed | Says::Closed | Says::Reopened | Says::StateChanged | Says::Prioritised | Says::Updated => {
            Proof::PartsAreCauses
        }
    }
}

/// A ticket comes with its whole history.
fn ticket_proof(says: Says) -> Proof {
    match says {
        Says::Opened(_) => Proof::Birth,
        Says::Closed | Says::Reopened | Says::StateChanged => Proof::PartsAreCauses,
        Says::Rated | Says::Attached | Says::Detached | Says::Deleted => Proof::Nothing,
        Says::Replied(_) | Says::Snoozed | Says::Prioritised | Says::Tagged | Says::Updated => Proof::PartsAreHistory,
    }
}

struct Fact {
    what: TicketFact,
    at: Timestamp,
    /// Any later notification may tell it again: it is the same event then.
    retold: bool,
}

impl Fact {
    fn new(what: TicketFact, at: Timestamp) -> Self {
        Self { what, at, retold: false }
    }
}

/// What happened to this person. `rated_it`: a score, if there is one, is theirs.
fn facts(says: Says, seen: &Seen<'_, '_>, outer: &Item<'_>, item: &Item<'_>, rated_it: bool) -> Result<Vec<Fact>, Unusable> {
    let what = match says {
        Says::Opened(_) => TicketFact::Opened,
        Says::Replied(otherwise) => TicketFact::Replied { by: replied_by(seen.last, otherwise) },
        Says::Snoozed => TicketFact::Snoozed,
        Says::Closed => TicketFact::Closed,
        Says::Reopened => TicketFact::Reopened,
        Says::StateChanged => match seen.last.and_then(transition) {
            Some(Transition::Resolved) => TicketFact::Closed,
            Some(Transition::Reopened) => TicketFact::Reopened,
            None => TicketFact::Updated,
        },
        Says::Prioritised => TicketFact::Prioritised,
        Says::Updated => TicketFact::Updated,
        // The object's own time may be older than this: being part of a conversation is no change of it.
        Says::Attached => return Ok(vec![Fact::new(TicketFact::Attached, seen.told_at)]),
        Says::Detached => return Ok(vec![Fact::new(TicketFact::Detached, seen.told_at)]),
        Says::Deleted => return Ok(vec![Fact::new(TicketFact::Deleted, seen.told_at)]),
        Says::Tagged => return tagged(seen, outer, item),
        Says::Rated => return Ok(vec![rated(seen, outer, item, rated_it)]),
    };
    Ok(vec![Fact::new(what, seen.at)])
}

/// Bots reply under topics of teammates as well, so the part knows better.
fn replied_by(last: Option<&Part<'_>>, otherwise: Author) -> Author {
    let wrote = last.and_then(|part| part.author.0.as_ref()).filter(|author| author.kind.get().is_some());
    match (otherwise, wrote) {
        (Author::Customer, _) | (_, None) => otherwise,
        (_, Some(wrote)) => author(wrote).unwrap_or(Author::Bot),
    }
}

/// One fact for each new tag; just a sighting where the tags cannot be found.
fn tagged(seen: &Seen<'_, '_>, outer: &Item<'_>, item: &Item<'_>) -> Result<Vec<Fact>, Unusable> {
    let mut retold = false;
    let tags: Vec<&Tag<'_>> = if outer.tags_added.0.is_some() {
        outer.tags_added.iter().collect()
    } else if outer.tag.0.is_some() {
        outer.tag.0.iter().collect()
    } else {
        // Every tag there is. Where they say when they were applied, the new one is the latest.
        let all = || item.tags.iter().filter(|tag| tag.name.get().is_some());
        let newest = all().filter_map(|tag| tag.applied_at.0).max();
        retold = newest.is_none();
        all().filter(|tag| tag.applied_at.0 == newest).collect()
    };
    let mut facts: Vec<(String, Timestamp)> = tags
        .into_iter()
        .filter_map(|tag| {
            let name: String = tag.name.get()?.chars().take(LONGEST_NAME_CHARS).collect();
            // Not the time of the tagged part, which may be as old as the conversation.
            Some((name, tag.applied_at.0.unwrap_or(seen.told_at)))
        })
        .collect();
    facts.sort();
    facts.dedup_by(|a, b| a.0 == b.0);
    if facts.len() > MOST_TAGS {
        return Err(Unusable("over_50_tags"));
    }
    if facts.is_empty() {
        return Ok(vec![Fact::new(TicketFact::Updated, seen.at)]);
    }
    Ok(facts.into_iter().map(|(tag, at)| Fact { what: TicketFact::Tagged { tag }, at, retold }).collect())
}

/// The later of the two ratings is the news. Where only one says when it was given, it is the conversation's own, which always
/// does.
fn rated(seen: &Seen<'_, '_>, outer: &Item<'_>, item: &Item<'_>, rated_it: bool) -> Fact {
    let of_human = rating(outer, item).map(|(rating, score)| (rating, score, rating.updated_at.0.or(rating.created_at.0)));
    let of_ai = item.ai_agent.0.as_ref().and_then(|agent| Some((ai_score(agent)?, agent.updated_at.0.or(agent.created_at.0))));
    match (of_human, of_ai) {
        (of_human, Some((score, at))) if of_human.is_none_or(|(.., rated_at)| at > rated_at) => {
            Fact::new(TicketFact::AiRated { score }, at.unwrap_or(seen.told_at))
        }
        (Some((rating, score, at)), _) if rated_it => {
            Fact::new(TicketFact::Rated { score, of: rating_of(rating) }, at.unwrap_or(seen.told_at))
        }
        _ => Fact::new(TicketFact::Updated, seen.at),
    }
}

/// <https://developers.intercom.com/docs/references/2.17/changelog>
fn rating_of(rating: &Rating<'_>) -> RatingOf {
    match rating.teammate.0.as_ref().and_then(|teammate| teammate.kind.get()) {
        Some("workflow") => RatingOf::Workflow,
        Some(_) | None => RatingOf::Teammate,
    }
}

/// The rating with its score. Where a ticket keeps it is not documented.
fn rating<'i, 'a>(outer: &'i Item<'a>, item: &'i Item<'a>) -> Option<(&'i Rating<'a>, u8)> {
    let places = [
        item.conversation_rating.0.as_ref(),
        item.ticket_rating.0.as_ref(),
        item.rating.0.as_ref(),
        outer.ticket_rating.0.as_ref(),
        outer.rating.0.as_ref(),
    ];
    places.into_iter().flatten().find_map(|rating| Some((rating, score(rating)?)))
}

fn score(rating: &Rating<'_>) -> Option<u8> {
    one_to_five(rating.rating.number())
}

fn ai_score(agent: &AiAgent<'_>) -> Option<u8> {
    one_to_five(agent.rating.number())
}

fn one_to_five(score: Option<u64>) -> Option<u8> {
    score.and_then(|n| u8::try_from(n).ok()).filter(|n| (1..=5).contains(n))
}

fn rated_by<'r>(rating: &'r Rating<'_>) -> Option<&'r str> {
    rating.contact.0.as_ref().and_then(|contact| contact.id.get())
}
