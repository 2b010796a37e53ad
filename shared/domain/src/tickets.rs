//! What is known of one support ticket, as registers that only move forward.
//!
//! Intercom promises no order and repeats itself, and its times are whole seconds. So nothing here counts or remembers "the
//! last webhook": each ticket keeps, for the conversation and for the Intercom ticket that may share its id, the latest
//! evidence of being open and the latest evidence of being closed. Each is a maximum; maxima do not care in which order
//! or how often they are taken. Whether the ticket is open is then a function of these. So is whether it counts: from the
//! customer's first word on, no matter who began it, and until an AI has resolved it, if no human had to do anything.
//!
//! This module knows nothing of people, time of day, routes or vendor JSON.

mod report;

pub use report::{
    AiReport, AiResolution, Audience, Author, Evidence, HandledBy, Priority, RatingOf, Register, Sighting, StartedBy, State, TicketFact,
    TicketId, TicketReport, Word, opening,
};

use crate::id::EventId;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Orders evidence of the same thing: time in the item, then part id, then how much it proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(Timestamp, #[serde(default)] u64, #[serde(default)] Evidence);

impl Stamp {
    pub fn at(self) -> Timestamp {
        self.0
    }
}

/// The latest evidence for either side of one register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides {
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    open: Option<Stamp>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    closed: Option<Stamp>,
    /// Latest evidence that the state *became* open then, and was not merely still so.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reopened: Option<Stamp>,
    /// Latest evidence that it became closed then.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    ended: Option<Stamp>,
}

/// What a register's two sides come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Unknown,
    /// Became open at `since` or, where no payload showed that moment, was so by then.
    Open {
        since: Option<Stamp>,
        sure: bool,
    },
    Closed {
        at: Stamp,
    },
}

impl Sides {
    fn see(&mut self, state: State, stamp: Stamp) {
        match state {
            State::Open => {
                self.open = self.open.max(Some(stamp));
                if stamp.2 == Evidence::Cause {
                    self.reopened = self.reopened.max(Some(stamp));
                }
            }
            // Putting a conversation to sleep does not begin anything.
            State::Snoozed => self.open = self.open.max(Some(stamp)),
            State::Closed => {
                self.closed = self.closed.max(Some(stamp));
                if stamp.2 == Evidence::Cause {
                    self.ended = self.ended.max(Some(stamp));
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.open = self.open.max(other.open);
        self.closed = self.closed.max(other.closed);
        self.reopened = self.reopened.max(other.reopened);
        self.ended = self.ended.max(other.ended);
    }

    fn read(&self) -> Reading {
        match (self.open, self.closed) {
            (None, None) => Reading::Unknown,
            (Some(_), None) => Reading::Open { since: self.reopened, sure: true },
            (None, Some(closed)) => Reading::Closed { at: self.ended.unwrap_or(closed) },
            (Some(open), Some(closed)) => match later(open, closed) {
                // That it turned open again is certain; where the moment was not seen, it was at the latest now.
                Later::Open { sure } => Reading::Open { since: self.reopened.filter(|reopened| *reopened > closed).or(Some(open)), sure },
                // A note on a closed conversation is seen closed later, but did not close it.
                Later::Closed => Reading::Closed { at: self.ended.filter(|ended| *ended > open).unwrap_or(closed) },
            },
        }
    }

    fn last_seen(&self) -> Option<Timestamp> {
        self.open.max(self.closed).map(Stamp::at)
    }
}

enum Later {
    Open { sure: bool },
    Closed,
}

/// Which of the two was later. Where neither seconds nor part ids tell, the causing part does; where nothing does, the
/// ticket counts as open (the side that mails nobody by mistake) and the conversation is to be read again.
fn later(open: Stamp, closed: Stamp) -> Later {
    let part_ids_tell = open.1 != 0 && closed.1 != 0 && open.1 != closed.1;
    match (open.0.cmp(&closed.0), part_ids_tell, open.2, closed.2) {
        (Ordering::Greater, _, _, _) => Later::Open { sure: true },
        (Ordering::Less, _, _, _) => Later::Closed,
        (Ordering::Equal, true, _, _) if open.1 > closed.1 => Later::Open { sure: true },
        (Ordering::Equal, true, _, _) => Later::Closed,
        // Asked after that second was over.
        (Ordering::Equal, false, Evidence::ReRead, _) => Later::Open { sure: true },
        (Ordering::Equal, false, _, Evidence::ReRead | Evidence::Cause) => Later::Closed,
        (Ordering::Equal, false, Evidence::Cause | Evidence::Plain, Evidence::Plain) => Later::Open { sure: false },
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    conversation: Sides,
    #[serde(rename = "t", default, skip_serializing_if = "is_default")]
    ticket: Sides,
    /// The person was part of it / was taken out of it, latest evidence of each.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    attached: Option<Stamp>,
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    detached: Option<Stamp>,
    #[serde(rename = "del", default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    #[serde(rename = "at", default, skip_serializing_if = "Option::is_none")]
    opened_at: Option<Timestamp>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    priority: Option<(Timestamp, u64, Priority)>,
    #[serde(rename = "by", default, skip_serializing_if = "Option::is_none")]
    started_by: Option<StartedBy>,
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    audience: Option<Audience>,
    #[serde(rename = "cat", default, skip_serializing_if = "Option::is_none")]
    category: Option<(Timestamp, String)>,
    /// We opened it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ours: bool,
    /// When the customer first wrote, by payloads that cannot tell it from what we wrote in their name.
    #[serde(rename = "sp", default, skip_serializing_if = "Option::is_none")]
    spoke_at: Option<Timestamp>,
    /// The customer's first and latest answer.
    #[serde(rename = "w0", default, skip_serializing_if = "Option::is_none")]
    first_word: Option<Timestamp>,
    #[serde(rename = "w1", default, skip_serializing_if = "Option::is_none")]
    last_word: Option<Stamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    human: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ai: Option<Ai>,
    /// It was merged into another conversation.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    merged_at: Option<Timestamp>,
    /// The Intercom contacts as whom the person takes part, and since when all of them are deleted.
    #[serde(rename = "as", default, skip_serializing_if = "BTreeSet::is_empty")]
    contacts: BTreeSet<String>,
    #[serde(rename = "left", default, skip_serializing_if = "Option::is_none")]
    left_at: Option<Timestamp>,
    /// Since when each rule's condition on an open ticket has held: the earliest sighting.
    #[serde(rename = "w", default, skip_serializing_if = "BTreeMap::is_empty")]
    window_since: BTreeMap<String, Timestamp>,
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    episodes: Vec<Episode>,
    /// Episodes that are no longer kept, so that numbers stay.
    #[serde(rename = "e0", default, skip_serializing_if = "is_zero_u32")]
    episodes_dropped: u32,
    /// The AI gave up, once however often it does, and in which episode.
    #[serde(rename = "ho", default, skip_serializing_if = "Option::is_none")]
    ai_gave_up: Option<(Edge, u32)>,
}

/// What is known of an AI that takes part: maxima again, and one minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ai {
    /// A trial by a teammate.
    #[serde(rename = "pre", default, skip_serializing_if = "std::ops::Not::not")]
    preview: bool,
    /// It has handed over to a human.
    #[serde(rename = "ho", default, skip_serializing_if = "std::ops::Not::not")]
    handed_over: bool,
    #[serde(rename = "an", default, skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    /// The latest evidence of each: what it had come to, that this was the end, and that it was not.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    state: Option<(Stamp, Option<AiResolution>)>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    resolved: Option<Stamp>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    unresolved: Option<Stamp>,
    /// The earliest evidence that it was the end.
    #[serde(rename = "r0", default, skip_serializing_if = "Option::is_none")]
    first_resolved: Option<Stamp>,
}

impl Ai {
    fn see(&mut self, report: AiReport, stamp: Stamp) {
        self.preview |= report.preview;
        self.answered_at = self.answered_at.max(report.answered_at);
        self.state = self.state.max(Some((stamp, report.resolution)));
        match report.resolution {
            Some(resolution) if resolution.is_resolved() => {
                self.resolved = self.resolved.max(Some(stamp));
                self.first_resolved = earliest(self.first_resolved, Some(stamp));
            }
            Some(_) => {
                self.handed_over = true;
                self.unresolved = self.unresolved.max(Some(stamp));
            }
            None => self.unresolved = self.unresolved.max(Some(stamp)),
        }
    }

    fn merge(&mut self, other: Self) {
        self.preview |= other.preview;
        self.handed_over |= other.handed_over;
        self.answered_at = self.answered_at.max(other.answered_at);
        self.state = self.state.max(other.state);
        self.resolved = self.resolved.max(other.resolved);
        self.unresolved = self.unresolved.max(other.unresolved);
        self.first_resolved = earliest(self.first_resolved, other.first_resolved);
    }

    /// Whether it has resolved the conversation: the later evidence decides, and a word of the customer is evidence that it has
    /// not.
    fn read(&self, last_word: Option<Stamp>) -> Reading {
        let Some(resolved) = self.resolved else { return Reading::Unknown };
        let Some(unresolved) = self.unresolved.max(last_word) else {
            return Reading::Closed { at: self.first_resolved.unwrap_or(resolved) };
        };
        let later = match (unresolved.2, resolved.2) {
            // By the passing of time alone it goes from unresolved to resolved, and leaves the item's own time as it is.
            (Evidence::ReRead, Evidence::ReRead) if unresolved.0 == resolved.0 => Later::Closed,
            _ => later(unresolved, resolved),
        };
        match later {
            Later::Open { sure } => Reading::Open { since: Some(unresolved), sure },
            Later::Closed => Reading::Closed { at: self.first_resolved.filter(|first| *first > unresolved).unwrap_or(resolved) },
        }
    }
}

fn is_default(sides: &Sides) -> bool {
    *sides == Sides::default()
}

fn is_zero_u32(n: &u32) -> bool {
    *n == 0
}

/// From one opening to the end of it. Each edge remembers the event that proved it first: when that event comes again,
/// after a crash, its consequences are planned again, under the same ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Edge>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Edge>,
    /// It ended otherwise: deleted, the person taken out, or found not to count.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    #[serde(rename = "e")]
    pub event: EventId,
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The event named nobody: whose edge this is.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeKind {
    /// The first opening of a ticket.
    Opened,
    Reopened,
    Resolved,
    /// An AI could not help.
    AiEscalated,
}

impl EdgeKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Resolved => "resolved",
            Self::AiEscalated => "ai_escalated",
        }
    }
}

/// The event that edges are noted for.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'e> {
    pub event: &'e EventId,
    pub at: Timestamp,
    /// As in [`Edge::whose`].
    pub whose: Option<&'e str>,
}

/// What an event shows of a ticket, whatever is known of it besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Not that it was open.
    Over,
    Open,
    /// That it has just been opened for the first time.
    Creation,
}

/// What a ticket comes to for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing seen yet but its name.
    Unknown,
    Open,
    Closed {
        at: Timestamp,
    },
    /// Deleted, merged into another, the person no longer part of it, or not a ticket by the operator's definition.
    Gone,
}

/// Which tickets count as "a user's open ticket" (`tickets.count`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// Of conversations that are no Intercom tickets: those that one of these began.
    pub started_by: Vec<StartedBy>,
    /// Of Intercom tickets: those for one of these.
    pub audience: Vec<Audience>,
    pub ai: AiCounting,
}

impl Default for Counting {
    fn default() -> Self {
        let started_by = vec![StartedBy::Customer, StartedBy::Teammate, StartedBy::Automation];
        Self { started_by, audience: vec![Audience::Customer], ai: AiCounting::default() }
    }
}

/// How conversations count in which an AI answers and no human takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AiCounting {
    /// Until the AI has resolved it, and again when the customer comes back.
    #[default]
    UntilResolved,
    /// By the conversation's own state alone.
    Always,
    /// Only once the AI or somebody else has handed it to a human; then as above.
    WhenHandedOver,
}

/// Intercom assumes that its AI has resolved a conversation when the customer did not come back for 24 hours, and does not say
/// that it tells of that: so much later it is asked. <https://www.intercom.com/help/en/articles/8205718>
const ASSUMED_AFTER: Span = Span::from_mins(24 * 60 + 15);
/// An open ticket that nothing was heard of for this long is read again.
const QUIET_FOR: Span = Span::from_hours(24);

/// Episodes kept of one ticket. A crash can only lose the newest; eight leave room for any backlog of redeliveries.
const EPISODES_KEPT: usize = 8;

impl Ticket {
    /// Takes in what a report shows. Order and repetition do not matter. `names`: it says that the person takes part, as
    /// these contacts; else it says nothing of who does.
    pub fn see<'c>(&mut self, report: &TicketReport, occurred_at: Timestamp, names: Option<impl Iterator<Item = &'c str>>) {
        for sighting in &report.seen {
            let stamp = Stamp(sighting.at, sighting.part, sighting.evidence);
            match sighting.register {
                Register::Conversation => self.conversation.see(sighting.state, stamp),
                Register::Ticket => self.ticket.see(sighting.state, stamp),
            }
        }
        let seen_at = report.seen.iter().map(|s| (s.at, s.part)).max().unwrap_or((occurred_at, 0));
        let evidence = if report.fact == TicketFact::ReRead { Evidence::ReRead } else { Evidence::Plain };
        match report.fact {
            TicketFact::Detached => self.detached = self.detached.max(Some(Stamp(occurred_at, 0, detach_evidence(report)))),
            TicketFact::Attached => self.attached = self.attached.max(Some(Stamp(occurred_at, 0, Evidence::Plain))),
            TicketFact::Deleted => self.delete(occurred_at),
            TicketFact::Opened
            | TicketFact::Replied { .. }
            | TicketFact::Snoozed
            | TicketFact::Closed
            | TicketFact::Reopened
            | TicketFact::Prioritised
            | TicketFact::Tagged { .. }
            | TicketFact::Rated { .. }
            | TicketFact::AiRated { .. }
            | TicketFact::Updated
            | TicketFact::Ours
            | TicketFact::ReRead => {
                if names.is_some() {
                    self.attached = self.attached.max(Some(Stamp(seen_at.0, 0, evidence)));
                }
            }
        }
        if report.fact != TicketFact::Detached {
            self.contacts.extend(names.into_iter().flatten().map(str::to_owned));
        }
        self.ours |= report.fact == TicketFact::Ours;
        let replied = matches!(report.fact, TicketFact::Replied { by: Author::Customer });
        let replied = replied.then_some(Word { at: seen_at.0, part: seen_at.1 });
        for word in replied.into_iter().chain(report.word) {
            self.first_word = earliest(self.first_word, Some(word.at));
            self.last_word = self.last_word.max(Some(Stamp(word.at, word.part, Evidence::Cause)));
        }
        self.spoke_at = earliest(self.spoke_at, report.spoke_at);
        self.human |= report.human || matches!(report.fact, TicketFact::Replied { by: Author::Teammate });
        if let Some(ai) = report.ai {
            self.ai.get_or_insert_default().see(ai, Stamp(seen_at.0, seen_at.1, evidence));
        }
        if report.merged {
            self.merged_at = self.merged_at.max(Some(seen_at.0));
        }
        self.opened_at = earliest(self.opened_at, report.opened_at);
        if let Some(priority) = report.priority {
            self.priority = self.priority.max(Some((seen_at.0, seen_at.1, priority)));
        }
        // Neither of the two ever changes at Intercom; the lesser keeps readers agreed if it should.
        self.started_by = earliest(self.started_by, report.started_by);
        self.audience = earliest(self.audience, report.audience);
    }

    /// It is one that we opened.
    pub fn is_ours(&mut self) {
        self.ours = true;
    }

    /// It is gone for good, whatever comes later.
    pub fn delete(&mut self, at: Timestamp) {
        self.deleted_at = earliest(self.deleted_at, Some(at));
    }

    /// Remembers what sort of ticket it is, by the name that the operator's rule gave it.
    pub fn categorise(&mut self, category: &str, at: Timestamp) {
        let candidate = Some((at, category.to_owned()));
        if self.category < candidate {
            self.category = candidate;
        }
    }

    /// Remembers since when a window's condition has held.
    pub fn hold_window(&mut self, rule: &str, since: Timestamp) {
        let entry = self.window_since.entry(rule.to_owned()).or_insert(since);
        *entry = since.min(*entry);
    }

    /// The contacts as whom the person takes part are deleted, since then, or are not.
    pub fn leave(&mut self, left_at: Option<Timestamp>) {
        self.left_at = left_at;
    }

    /// The contacts as whom the person takes part.
    pub fn contacts(&self) -> &BTreeSet<String> {
        &self.contacts
    }

    pub fn status(&self, counting: &Counting) -> Status {
        if self.is_over_for_good() || !self.counts(counting) || self.detached > self.attached {
            return Status::Gone;
        }
        let status = match (self.conversation.read(), self.ticket.read()) {
            (Reading::Unknown, Reading::Unknown) => Status::Unknown,
            (Reading::Open { .. }, Reading::Unknown | Reading::Open { .. }) | (Reading::Unknown, Reading::Open { .. }) => Status::Open,
            (Reading::Closed { at }, Reading::Unknown) | (Reading::Unknown, Reading::Closed { at }) => Status::Closed { at: at.at() },
            // Either end signal closes, whichever came first ...
            (Reading::Closed { at: a }, Reading::Closed { at: b }) => Status::Closed { at: a.at().min(b.at()) },
            // ... and only a later transition to open, or a later word of the customer, opens again; a register that merely never
            // closed does not.
            (Reading::Open { since, .. }, Reading::Closed { at }) | (Reading::Closed { at }, Reading::Open { since, .. }) => {
                if since.max(self.last_word).is_some_and(|since| since > at) { Status::Open } else { Status::Closed { at: at.at() } }
            }
        };
        match (status, self.resolved_by_ai(counting)) {
            (Status::Open, Reading::Closed { at }) => Status::Closed { at: at.at() },
            (Status::Closed { at: closed }, Reading::Closed { at }) => Status::Closed { at: closed.min(at.at()) },
            (status, _) => status,
        }
    }

    /// Whether an AI alone has brought the conversation to its end. An Intercom ticket waits for a human whatever the AI says.
    fn resolved_by_ai(&self, counting: &Counting) -> Reading {
        match &self.ai {
            Some(ai) if !self.human && !self.is_intercom_ticket() && counting.ai != AiCounting::Always => ai.read(self.last_word),
            _ => Reading::Unknown,
        }
    }

    /// Deleted, merged into another that goes on in its place, or its contacts are deleted.
    fn is_over_for_good(&self) -> bool {
        let merged = self.merged_at.is_some_and(|merged| self.conversation.open.is_none_or(|open| open.at() <= merged));
        self.deleted_at.is_some() || self.left_at.is_some() || merged
    }

    /// The webhooks so far cannot tell whether it is open or whether the person is part of it: Intercom must be asked.
    pub fn needs_re_read(&self, counting: &Counting) -> bool {
        if self.is_over_for_good() || !self.counts(counting) {
            return false;
        }
        let unsure = |reading| matches!(reading, Reading::Open { sure: false, .. });
        unsure(self.conversation.read()) || unsure(self.ticket.read()) || self.ai_is_unsure(counting) || self.membership_is_unsure()
    }

    /// Where the conversation is closed, it does not matter.
    fn ai_is_unsure(&self, counting: &Counting) -> bool {
        matches!(self.resolved_by_ai(counting), Reading::Open { sure: false, .. }) && self.status(counting) == Status::Open
    }

    /// When Intercom is to be asked whether it is still open, if nothing is heard of it until then.
    pub fn quiet_until(&self) -> Option<Timestamp> {
        match &self.ai {
            Some(ai) if self.handled_by() == HandledBy::Ai => ai.answered_at.or(self.last_seen()).map(|at| at.plus(ASSUMED_AFTER)),
            _ => self.last_seen().map(|at| at.plus(QUIET_FOR)),
        }
    }

    fn membership_is_unsure(&self) -> bool {
        match (self.attached, self.detached) {
            (Some(attached), Some(detached)) => {
                attached.at() == detached.at() && attached.2 != Evidence::ReRead && detached.2 != Evidence::ReRead
            }
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }

    /// Whether the operator's definition of a ticket fits, as far as is known: the customer has spoken in it, no matter who began it,
    /// or it is an Intercom ticket for them. Where nobody can say who began it, it counts.
    pub fn counts(&self, counting: &Counting) -> bool {
        let preview = self.ai.as_ref().is_some_and(|ai| ai.preview);
        if preview || !self.audience.is_none_or(|audience| counting.audience.contains(&audience)) {
            return false;
        }
        // What we wrote in the customer's name is no word of theirs.
        if self.ours && self.first_word.is_none() {
            return false;
        }
        if self.is_intercom_ticket() {
            return true;
        }
        let began_it = self.started_by.is_none_or(|by| by == StartedBy::Customer);
        let handed_over = || self.human || self.ai.as_ref().is_some_and(|ai| ai.handed_over);
        (began_it || self.spoke_at.is_some() || self.first_word.is_some())
            && self.started_by.is_none_or(|by| counting.started_by.contains(&by))
            && (counting.ai != AiCounting::WhenHandedOver || handed_over())
    }

    /// It is more than a conversation.
    fn is_intercom_ticket(&self) -> bool {
        self.audience.is_some() || self.ticket != Sides::default()
    }

    pub fn handled_by(&self) -> HandledBy {
        match &self.ai {
            _ if self.human => HandledBy::Human,
            Some(_) => HandledBy::Ai,
            None => HandledBy::Nobody,
        }
    }

    /// What an AI had come to when it was last heard of.
    pub fn ai_resolution(&self) -> Option<AiResolution> {
        self.ai.as_ref()?.state?.1
    }

    /// Brings the episodes in line with the state and notes `event` as evidence where it is the first. An opening that is
    /// not sure begins no further episode: Intercom is being asked, and its answer may deny it.
    pub fn note_edges(&mut self, status: Status, sure: bool, shown: Shown, proof: Proof<'_>) {
        let Proof { event, at: occurred_at, whose } = proof;
        let edge = |at| Some(Edge { event: event.clone(), at, whose: whose.map(str::to_owned) });
        let opened_at = self.began_to_count().unwrap_or(occurred_at);
        let mut began = false;
        match status {
            Status::Unknown => return,
            Status::Open => {
                let over = self.episodes.last().is_some_and(|e| e.resolved.is_some() || e.dropped);
                if self.episodes.is_empty() || (over && sure) {
                    let first = self.episodes.is_empty() && self.episodes_dropped == 0;
                    // A creation that comes late is the first opening, whatever it looks like from here.
                    began = first || shown != Shown::Creation;
                    let opened = if began { edge(if first { opened_at } else { occurred_at }) } else { None };
                    self.episodes.push(Episode { opened, resolved: None, dropped: false });
                }
            }
            Status::Closed { at } => {
                if self.episodes.is_empty() {
                    self.episodes.push(Episode::default());
                }
                if let Some(last) = self.episodes.last_mut().filter(|e| e.resolved.is_none() && !e.dropped) {
                    last.resolved = edge(at);
                }
            }
            Status::Gone => {
                if let Some(last) = self.episodes.last_mut().filter(|e| e.resolved.is_none()) {
                    last.dropped = true;
                }
                return;
            }
        }
        // The first opening may arrive after the end of it, or after the next opening: it happened all the same.
        if shown != Shown::Over
            && !began
            && self.episodes_dropped == 0
            && let Some(first) = self.episodes.first_mut().filter(|e| e.opened.is_none())
        {
            first.opened = edge(opened_at);
        }
        if self.ai_gave_up.is_none() && self.ai.as_ref().is_some_and(|ai| ai.handed_over) {
            let episode = self.episodes_dropped.saturating_add(u32::try_from(self.episodes.len()).unwrap_or(u32::MAX));
            self.ai_gave_up = edge(occurred_at).map(|edge| (edge, episode));
        }
        while self.episodes.len() > EPISODES_KEPT {
            self.episodes.remove(0);
            self.episodes_dropped += 1;
        }
    }

    /// The edges that `event` is the evidence of, with the number of their episode (from 1).
    pub fn edges_proved_by(&self, event: &EventId) -> Vec<(EdgeKind, u32, &Edge)> {
        let mut edges = Vec::new();
        for (number, episode) in (self.episodes_dropped + 1..).zip(&self.episodes) {
            if let Some(edge) = episode.opened.as_ref().filter(|edge| edge.event == *event) {
                edges.push((if number == 1 { EdgeKind::Opened } else { EdgeKind::Reopened }, number, edge));
            }
            if let Some(edge) = episode.resolved.as_ref().filter(|edge| edge.event == *event) {
                edges.push((EdgeKind::Resolved, number, edge));
            }
        }
        edges.extend(
            self.ai_gave_up.iter().filter(|(edge, _)| edge.event == *event).map(|(edge, number)| (EdgeKind::AiEscalated, *number, edge)),
        );
        edges
    }

    /// Unites two records of one ticket, when two people turn out to be one. The first one's episodes are kept where both
    /// have any: their edges have been told under the ids that follow from them.
    pub fn merge(&mut self, other: Self) {
        self.conversation.merge(other.conversation);
        self.ticket.merge(other.ticket);
        self.attached = self.attached.max(other.attached);
        self.detached = self.detached.max(other.detached);
        self.deleted_at = earliest(self.deleted_at, other.deleted_at);
        self.opened_at = earliest(self.opened_at, other.opened_at);
        self.priority = self.priority.max(other.priority);
        self.started_by = earliest(self.started_by, other.started_by);
        self.audience = earliest(self.audience, other.audience);
        self.ours |= other.ours;
        self.spoke_at = earliest(self.spoke_at, other.spoke_at);
        self.first_word = earliest(self.first_word, other.first_word);
        self.last_word = self.last_word.max(other.last_word);
        self.human |= other.human;
        if let Some(ai) = other.ai {
            self.ai.get_or_insert_default().merge(ai);
        }
        self.merged_at = self.merged_at.max(other.merged_at);
        self.contacts.extend(other.contacts);
        self.ai_gave_up = self.ai_gave_up.take().or(other.ai_gave_up);
        if self.category < other.category {
            self.category = other.category;
        }
        for (rule, since) in other.window_since {
            self.hold_window(&rule, since);
        }
        if self.episodes.is_empty() {
            self.episodes = other.episodes;
            self.episodes_dropped = other.episodes_dropped;
        }
    }

    /// When it was opened or, if somebody else began the conversation, when the customer first wrote in it.
    fn began_to_count(&self) -> Option<Timestamp> {
        let wrote_at = if self.ours { self.first_word } else { earliest(self.spoke_at, self.first_word) };
        let theirs = self.started_by.is_none_or(|by| by == StartedBy::Customer) && !self.ours;
        if theirs || self.is_intercom_ticket() { self.opened_at } else { wrote_at.max(self.opened_at) }
    }

    pub fn opened_at(&self) -> Option<Timestamp> {
        self.began_to_count().or_else(|| [self.conversation.open, self.ticket.open].into_iter().flatten().map(Stamp::at).min())
    }

    pub fn priority(&self) -> Option<Priority> {
        self.priority.map(|(_, _, p)| p)
    }

    pub fn category(&self) -> Option<&str> {
        self.category.as_ref().map(|(_, name)| name.as_str())
    }

    pub fn window_since(&self) -> &BTreeMap<String, Timestamp> {
        &self.window_since
    }

    pub fn episodes(&self) -> &[Episode] {
        &self.episodes
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// When it was last heard of.
    pub fn last_seen(&self) -> Option<Timestamp> {
        let detached = self.detached.map(Stamp::at);
        self.conversation.last_seen().max(self.ticket.last_seen()).max(self.deleted_at).max(detached)
    }
}

/// A detachment that comes with a sighting was found by reading again.
fn detach_evidence(report: &TicketReport) -> Evidence {
    if report.seen.iter().any(|s| s.evidence == Evidence::ReRead) { Evidence::ReRead } else { Evidence::Plain }
}

/// The lesser of those that are known.
fn earliest<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
