//! Every field that there is, its type, and the events that have it. The page `docs/configuration.md` lists the same, and a
//! test compares the two. Where the values come from is in `scope`.

use crate::config::{Trigger, What};
use crate::event::{Channel, Metric, ParentKind};
use crate::tickets::{AiResolution, HandledBy, Priority};

/// What is known of a value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Bool,
    List,
    Map,
    Null,
    Unknown,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::List => "a list",
            Self::Map => "a mapping",
            Self::Null => "null",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) const VARIABLES: [&str; 4] = ["event", "person", "ticket", "now"];

/// Which facts have a field; `None`: all.
pub(super) type Only = Option<fn(What) -> bool>;

/// Variable, field, type, and the facts that alone have it.
pub(super) type Field = (&'static str, &'static str, Type, Only);

pub(super) const FIELDS: [Field; 50] = [
    ("event", "id", Type::Text, None),
    ("event", "source", Type::Text, None),
    ("event", "kind", Type::Text, None),
    ("event", "occurred_at", Type::Number, None),
    ("event", "attributes", Type::Map, None),
    ("event", "tag", Type::Text, Some(|what| matches!(what, What::TicketTagged | What::PersonTagged | What::PersonUntagged))),
    ("event", "score", Type::Number, Some(|what| matches!(what, What::TicketRated | What::TicketAiRated))),
    ("event", "rating_of", Type::Text, Some(|what| matches!(what, What::TicketRated | What::TicketAiRated))),
    ("event", "replied_by", Type::Text, Some(|what| matches!(what, What::TicketReplied))),
    ("event", "name", Type::Text, Some(What::has_name)),
    ("event", "channel", Type::Text, Some(|what| is_message(what) || is_consent(what))),
    ("event", "topics", Type::List, Some(is_consent)),
    ("event", "metric", Type::Text, Some(is_message)),
    ("event", "machine", Type::Bool, Some(is_message)),
    ("event", "delivery_id", Type::Text, Some(is_message)),
    ("event", "campaign_kind", Type::Text, Some(is_message)),
    ("event", "campaign_id", Type::Text, Some(is_message)),
    ("event", "campaign_name", Type::Text, Some(is_message)),
    ("event", "title", Type::Text, Some(is_message)),
    ("event", "subject", Type::Text, Some(is_message)),
    ("event", "link", Type::Text, Some(is_message)),
    ("event", "failure", Type::Text, Some(is_message)),
    ("event", "previous_id", Type::Text, Some(|what| matches!(what, What::PersonMerged))),
    ("event", "device_token", Type::Text, Some(|what| matches!(what, What::EventTracked))),
    ("event", "device_platform", Type::Text, Some(|what| matches!(what, What::EventTracked))),
    ("event", "list_id", Type::Text, Some(is_list)),
    ("event", "company_id", Type::Text, Some(is_company)),
    ("event", "value", Type::Unknown, Some(|what| matches!(what, What::Converted | What::TraitComputed))),
    ("event", "currency", Type::Text, Some(|what| matches!(what, What::Converted))),
    ("event", "reason", Type::Text, Some(|what| matches!(what, What::ChurnRisk))),
    ("person", "id", Type::Text, None),
    ("person", "user_id", Type::Text, None),
    ("person", "email", Type::Text, None),
    ("person", "phone", Type::Text, None),
    ("person", "cio_id", Type::Text, None),
    ("person", "has_open_ticket", Type::Bool, None),
    ("person", "open_ticket_count", Type::Number, None),
    ("person", "open_ticket_priority", Type::Text, None),
    ("person", "last_csat_score", Type::Number, None),
    ("person", "suppressed", Type::Map, None),
    ("person", "unsubscribed", Type::Bool, None),
    ("ticket", "id", Type::Text, None),
    ("ticket", "priority", Type::Text, None),
    ("ticket", "category", Type::Text, None),
    ("ticket", "opened_at", Type::Number, None),
    ("ticket", "resolved_at", Type::Number, None),
    ("ticket", "resolution_time_hrs", Type::Number, None),
    ("ticket", "episode", Type::Number, None),
    ("ticket", "handled_by", Type::Text, None),
    ("ticket", "ai_resolution", Type::Text, None),
];

fn is_message(what: What) -> bool {
    matches!(what, What::Message(..))
}

fn is_consent(what: What) -> bool {
    matches!(what, What::PersonUnsubscribed | What::PersonSubscribed)
}

fn is_list(what: What) -> bool {
    matches!(what, What::ListEntered | What::ListLeft | What::JourneyStepReached)
}

fn is_company(what: What) -> bool {
    matches!(what, What::CompanyUpdated | What::CompanyDeleted | What::CompanyJoined | What::CompanyLeft)
}

/// Every field that an expression of such a route may speak of, as `event.name`, and whether all routes have it; for listing
/// them to people. `person.suppressed` and `event.attributes` have names of their own below them.
pub(super) fn fields(on: Trigger) -> impl Iterator<Item = (String, bool)> {
    fields_of_any(&[on]).collect::<Vec<_>>().into_iter()
}

/// As [`fields`], of a route on any of these.
pub(super) fn fields_of_any(on: &[Trigger]) -> impl Iterator<Item = (String, bool)> {
    let there = |trigger: &Trigger, field: &Field| {
        let (variable, _, _, only) = field;
        is_there(variable, *trigger) && only.is_none_or(|has| has(trigger.what))
    };
    let fields = FIELDS.into_iter().filter(move |field| on.iter().any(|trigger| there(trigger, field)));
    fields.map(|(variable, field, _, only)| (format!("{variable}.{field}"), only.is_none()))
}

fn is_there(variable: &str, on: Trigger) -> bool {
    match variable {
        "ticket" => on.is_about_a_ticket(),
        "person" => on.what.concerns_a_person(),
        _ => true,
    }
}

/// All that a field can be, where that is a fixed set.
pub(super) fn words_of(field: &str) -> Option<Vec<&'static str>> {
    match field {
        "ticket.priority" | "person.open_ticket_priority" => Some(Priority::ALL.map(Priority::as_str).to_vec()),
        "ticket.handled_by" => Some(HandledBy::ALL.map(HandledBy::as_str).to_vec()),
        "ticket.ai_resolution" => Some(AiResolution::ALL.map(AiResolution::as_str).to_vec()),
        "event.rating_of" => Some(vec!["teammate", "workflow", "ai"]),
        "event.replied_by" => Some(vec!["customer", "teammate", "bot"]),
        "event.channel" => Some(Channel::KNOWN.map(Channel::as_str).to_vec()),
        "event.metric" => Some(Metric::KNOWN.map(Metric::as_str).to_vec()),
        "event.campaign_kind" => {
            let kinds = [ParentKind::Campaign, ParentKind::Broadcast, ParentKind::Newsletter, ParentKind::Transactional];
            Some(kinds.map(ParentKind::as_str).to_vec())
        }
        _ => None,
    }
}
