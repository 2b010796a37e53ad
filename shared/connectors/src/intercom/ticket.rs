//! What a conversation or a ticket object says: its state as sightings, and the rest of a report. Webhooks and REST carry
//! the same objects.
//!
//! State comes from the object and never from the topic: topics arrive late, twice and out of order.

use super::wire::{AiAgent, Author, Item, Part, nested};
use trefoil_domain::event::Value;
use trefoil_domain::tickets::{
    AiReport, AiResolution, Audience, Author as By, Evidence, Priority, Register, Sighting, StartedBy, State, TicketFact, TicketId,
    TicketReport, Word, opening,
};
use trefoil_domain::time::{Span, Timestamp};

/// Longer text is prose, and prose does not travel on.
const LONGEST_TEXT_CHARS: usize = 255;
const MOST_ATTRIBUTES: usize = 60;
/// Title and description of a ticket: written by people, about people.
const PROSE: [&str; 2] = ["_default_title_", "_default_description_"];
/// A part that is older than the ticket's last change by more than this did not cause it.
const CAUSE_LAG: Span = Span::from_secs(2);

/// How much the parts in the object can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The parts are what caused the notification.
    PartsAreCauses,
    /// The notification is the birth of a conversation or ticket.
    Birth,
    /// The parts are history, of which the last may or may not be the cause: it is if it is as young as the last change.
    PartsAreHistory,
    /// The parts are what the notification is about, and changed nothing.
    Nothing,
    /// We asked.
    Asked,
}

/// The latest part. Ids grow with time.
pub(super) fn last_part<'p, 'a>(parts: impl Iterator<Item = &'p Part<'a>>) -> Option<&'p Part<'a>>
where
    'a: 'p,
{
    parts.max_by_key(|part| part.number())
}

/// When the object was as it is, in whole seconds.
pub(super) fn seen_at(item: &Item<'_>, last: Option<&Part<'_>>, otherwise: Timestamp) -> Timestamp {
    let at = item.updated_at.0.or_else(|| last.and_then(|part| part.created_at.0)).or(item.created_at.0).unwrap_or(otherwise);
    Timestamp::from_secs(at.secs())
}

/// The conversation's state, or `None` where the object does not show it.
pub(super) fn conversation_sighting(item: &Item<'_>, at: Timestamp, proof: Proof) -> Option<Sighting> {
    let state = match (item.state.get(), item.open.0) {
        (Some("closed"), _) | (None, Some(false)) => State::Closed,
        (Some("snoozed"), _) => State::Snoozed,
        (Some(_), _) | (None, Some(true)) => State::Open,
        (None, None) => return None,
    };
    let parts = &item.conversation_parts;
    let says_so = |part: &Part<'_>| match state {
        State::Open => part.part_type.get() == Some("open"),
        State::Closed => part.part_type.get() == Some("close"),
        State::Snoozed => false,
    };
    let evidence = match proof {
        Proof::Asked => Evidence::ReRead,
        Proof::Birth if state == State::Open && parts.iter().next().is_none() => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory if parts.iter().any(says_so) => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory | Proof::Nothing => Evidence::Plain,
    };
    Some(Sighting { register: Register::Conversation, state, at, part: last_part(parts.iter()).map_or(0, Part::number), evidence })
}

/// The ticket's state, or `None` where the object does not show it. `last` is its latest part, wherever it stands.
pub(super) fn ticket_sighting(item: &Item<'_>, last: Option<&Part<'_>>, at: Timestamp, proof: Proof) -> Option<Sighting> {
    let category = item.ticket_state.category.get();
    if category.is_none() && item.open.0.is_none() {
        return None;
    }
    let state = if category == Some("resolved") || item.open.0 == Some(false) { State::Closed } else { State::Open };
    let caused = last.is_some_and(|part| match transition(part) {
        Some(Transition::Resolved) => state == State::Closed,
        Some(Transition::Reopened) => state == State::Open,
        None => false,
    });
    let young = last.is_some_and(|part| part.created_at.0.is_some_and(|created| at.since(created) <= CAUSE_LAG));
    let evidence = match proof {
        Proof::Asked => Evidence::ReRead,
        Proof::Birth if state == State::Open => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses if caused => Evidence::Cause,
        Proof::PartsAreHistory if caused && young => Evidence::Cause,
        Proof::Birth | Proof::PartsAreCauses | Proof::PartsAreHistory | Proof::Nothing => Evidence::Plain,
    };
    Some(Sighting { register: Register::Ticket, state, at, part: last.map_or(0, Part::number), evidence })
}

/// What a part of a ticket did to the ticket's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    Resolved,
    Reopened,
}

pub(super) fn transition(part: &Part<'_>) -> Option<Transition> {
    let kind = part.part_type.get()?;
    let (to, from) = (part.ticket_state.category.get(), part.previous_ticket_state.category.get());
    match kind {
        "close" => Some(Transition::Resolved),
        "open" => Some(Transition::Reopened),
        _ if !kind.starts_with("ticket_state_updated") => None,
        _ if to == Some("resolved") => Some(Transition::Resolved),
        _ if from == Some("resolved") && to.is_some() => Some(Transition::Reopened),
        _ => None,
    }
}

/// What stands around the object.
#[derive(Clone, Copy, Default)]
pub(super) struct Around<'p, 'a> {
    /// Who began it, by the topic.
    pub(super) started_by: Option<StartedBy>,
    /// A part that stands beside it.
    pub(super) part: Option<&'p Part<'a>>,
}

/// Everything but the sightings, which depend on where the object comes from.
pub(super) fn report(
    ticket: TicketId,
    register: Register,
    item: &Item<'_>,
    around: Around<'_, '_>,
    fact: TicketFact,
    seen: Vec<Sighting>,
) -> TicketReport {
    // A conversation that became a ticket holds it; what sort of ticket it is stands there.
    let embedded = nested(item.ticket);
    let (ticket_item, attributes) = match register {
        Register::Conversation => (embedded.as_ref(), &item.custom_attributes),
        Register::Ticket => (Some(item), &item.ticket_attributes),
    };
    let attributes = attributes
        .0
        .iter()
        .filter(|(name, value)| !PROSE.contains(&name.as_str()) && is_short(name) && value.as_str().is_none_or(is_short))
        .take(MOST_ATTRIBUTES)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let parts = Parts { item, beside: around.part };
    let started_by = started_by(item).or(around.started_by);
    TicketReport {
        opened_at: item.created_at.0,
        priority: item.priority.0.as_ref().and_then(priority),
        started_by,
        spoke_at: if started_by == Some(StartedBy::Customer) { None } else { parts.spoke_at() },
        // A conversation that we began in the customer's name may be born with what we wrote.
        word: match fact {
            TicketFact::Opened | TicketFact::Replied { by: By::Customer } => None,
            _ => parts.last_word(),
        },
        human: parts.show_a_human(),
        ai: parts.ai(),
        merged: item.conversation_parts.iter().any(|part| part.part_type.get() == Some(MERGED_AWAY)),
        ticket,
        fact,
        seen,
        audience: ticket_item.and_then(|t| t.category.get()).and_then(audience),
        ticket_type: ticket_item.and_then(|t| t.ticket_type.name.get()).filter(|name| is_short(name)).map(str::to_owned),
        opening: began_with(register, item, embedded.as_ref()),
        attributes,
    }
}

/// The first message, or title and description: what [`opens_with`] gives of the action that may have opened it.
///
/// [`opens_with`]: trefoil_domain::action::IntercomVerb::opens_with
fn began_with(register: Register, item: &Item<'_>, embedded: Option<&Item<'_>>) -> Option<String> {
    let said = |item: &Item<'_>| {
        let text = |name| item.ticket_attributes.0.get(name).and_then(Value::as_str).unwrap_or_default();
        opening(&format!("{} {}", text(PROSE[0]), text(PROSE[1])))
    };
    match register {
        Register::Ticket => said(item),
        Register::Conversation => {
            let body = item.source.0.as_ref().and_then(|source| source.body.get());
            body.and_then(opening).or_else(|| said(embedded?))
        }
    }
}

fn is_short(text: &str) -> bool {
    text.chars().nth(LONGEST_TEXT_CHARS).is_none()
}

/// Payloads of apps below 2.16 know two priorities only, in words or as a boolean.
fn priority(value: &Value) -> Option<Priority> {
    match value {
        Value::Bool(true) => Some(Priority::High),
        Value::Bool(false) => Some(Priority::None),
        Value::String(text) => match text.as_str() {
            "priority" => Some(Priority::High),
            "not_priority" => Some(Priority::None),
            other => Priority::parse(other),
        },
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `delivered_as` has no fixed set of words (Intercom-OpenAPI#506): for one that is not known, the author tells.
fn started_by(item: &Item<'_>) -> Option<StartedBy> {
    let source = item.source.0.as_ref()?;
    match source.delivered_as.get() {
        Some("customer_initiated") => Some(StartedBy::Customer),
        Some("admin_initiated") => Some(StartedBy::Teammate),
        Some("automated" | "campaigns_initiated" | "operator_initiated") => Some(StartedBy::Automation),
        Some(_) | None => match author(source.author.0.as_ref()?)? {
            By::Customer => Some(StartedBy::Customer),
            By::Teammate => Some(StartedBy::Teammate),
            By::Bot => Some(StartedBy::Automation),
        },
    }
}

/// Who wrote; `None` where the word is not known.
pub(super) fn author(author: &Author<'_>) -> Option<By> {
    match author.kind.get()? {
        "user" | "lead" | "contact" => Some(By::Customer),
        // An AI may be one of the teammates.
        "admin" | "team" if author.from_ai_agent.0 == Some(true) => Some(By::Bot),
        "admin" | "team" => Some(By::Teammate),
        "bot" => Some(By::Bot),
        _ => None,
    }
}

/// What the last part of a conversation that was merged into another one is called. The one that goes on has
/// `merged_primary_conversation`.
/// <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/conversations/mergeconversation>
const MERGED_AWAY: &str = "merged_secondary_conversation";

/// The parts that can be seen, and what the object says of others.
struct Parts<'p, 'i, 'a> {
    item: &'i Item<'a>,
    beside: Option<&'p Part<'p>>,
}

impl Parts<'_, '_, '_> {
    fn by(&self, who: By) -> impl Iterator<Item = &Part<'_>> {
        let parts = self.item.conversation_parts.iter().chain(self.item.ticket_parts.iter()).map(|part| part as &Part<'_>);
        parts.chain(self.beside).filter(move |part| part.author.0.as_ref().and_then(author) == Some(who))
    }

    /// A rating is no word, and neither is being added.
    fn words(&self) -> impl Iterator<Item = &Part<'_>> {
        let is_word = |kind: &str| !kind.starts_with("conversation_rating") && !kind.starts_with("participant_");
        self.by(By::Customer).filter(move |part| part.part_type.get().is_none_or(is_word))
    }

    /// When the customer first wrote, in a conversation that somebody else began.
    fn spoke_at(&self) -> Option<Timestamp> {
        let item = self.item;
        let began = item.source.0.as_ref().and_then(|source| source.author.0.as_ref()).and_then(author) == Some(By::Customer);
        let told = item.first_contact_reply.0.as_ref().map(|reply| reply.created_at.0.or(item.created_at.0));
        let counted = item.statistics.0.as_ref().and_then(|statistics| statistics.first_contact_reply_at.0);
        let written = self.words().map(|part| part.created_at.0.or(item.updated_at.0));
        let all = [began.then_some(item.created_at.0), told, counted.map(Some)].into_iter().flatten().chain(written);
        // That it was at no known time is as good as at the beginning.
        all.map(Option::unwrap_or_default).min()
    }

    /// What the conversation began with is no answer.
    fn last_word(&self) -> Option<Word> {
        let answers = self.words().filter_map(|part| Some((part.created_at.0?, part.number())));
        answers.filter(|(at, _)| self.item.created_at.0.is_none_or(|began| *at > began)).max().map(|(at, part)| Word { at, part })
    }

    fn show_a_human(&self) -> bool {
        let item = self.item;
        let somebody = |id: Option<&str>| id.is_some_and(|id| id != "0");
        somebody(item.admin_assignee_id.get())
            || somebody(item.team_assignee_id.get())
            || item.statistics.0.as_ref().is_some_and(|statistics| statistics.first_admin_reply_at.0.is_some())
            || item.teammates.iter().any(|teammate| author(teammate) == Some(By::Teammate))
            || self.by(By::Teammate).next().is_some()
    }

    fn ai(&self) -> Option<AiReport> {
        let agent = self.item.ai_agent.0.as_ref();
        let preview = agent.and_then(|agent| agent.source_type.get()).is_some_and(|kind| PREVIEWS.contains(&kind));
        let resolution = agent.and_then(resolution);
        let of_ai = |part: &&Part<'_>| part.author.0.as_ref().is_some_and(|author| author.from_ai_agent.0 == Some(true));
        let answers = || self.by(By::Bot).filter(of_ai);
        let takes_part = match self.item.ai_agent_participated.0 {
            Some(participated) => participated,
            None => agent.is_some_and(|agent| agent.source_type.get().is_some()),
        };
        let takes_part = takes_part || preview || resolution.is_some() || answers().next().is_some();
        takes_part.then(|| AiReport { resolution, preview, answered_at: answers().filter_map(|part| part.created_at.0).max() })
    }
}

/// Trials by teammates, which Intercom too leaves out of its reports.
/// <https://developers.intercom.com/docs/build-an-integration/learn-more/build-your-own-reports>
const PREVIEWS: [&str; 2] = ["fin_preview", "workflow_preview"];

/// In the words of 2.15 and of earlier versions.
/// <https://developers.intercom.com/docs/references/2.15/changelog>
fn resolution(agent: &AiAgent<'_>) -> Option<AiResolution> {
    match agent.resolution_state.get()? {
        "assumed_resolution" => Some(AiResolution::AssumedResolution),
        "confirmed_resolution" => Some(AiResolution::ConfirmedResolution),
        "escalated" | "routed_to_team" => Some(AiResolution::Escalated),
        "negative_feedback" | "abandoned" => Some(AiResolution::NegativeFeedback),
        "procedure_handoff" => Some(AiResolution::ProcedureHandoff),
        _ => None,
    }
}

fn audience(category: &str) -> Option<Audience> {
    match category {
        "Customer" => Some(Audience::Customer),
        "Back-office" => Some(Audience::BackOffice),
        "Tracker" => Some(Audience::Tracker),
        _ => None,
    }
}
