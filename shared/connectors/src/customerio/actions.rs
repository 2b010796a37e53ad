//! Webhook actions: what an operator's own campaign sends, in the body that `docs/customerio.md` gives to paste.
//!
//! The author of a body sees its answers in the delivery log, and nothing waits behind it: what cannot be right is refused.
//! Test deliveries and templates that were not rendered never become events.
//! <https://docs.customer.io/journeys/webhooks-action>

use super::named::{Delivery, No, identifiers};
use super::ulid::is_ours;
use super::wire::{Action, Campaign, Head, Segment};
use crate::cut::{LONGEST_NAME_BYTES, cut, shortened};
use crate::lenient::{Flat, Object, Text};
use trefoil_domain::event::{
    Attributes, Behaviour, Conversion, Event, IdKind, Identifier, Kind, List, ListKind, OURS, Origin, Profile, Risk, Value,
};

pub(super) const SCHEMA: &str = "cio-sync/1";
/// Of every version.
pub(super) const SCHEMAS: &str = "cio-sync/";
/// Customer.io allows a person this many.
const MOST_ATTRIBUTES: usize = 300;
/// What a conversion is called that has no name.
const UNNAMED: &str = "conversion";

/// What a body says has happened.
#[derive(Clone, Copy)]
pub(super) enum Says {
    Created,
    Changed,
    Entered,
    Left,
    Converted,
    AtRisk,
    Custom,
}

impl Says {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "person.created" => Self::Created,
            "attributes.changed" => Self::Changed,
            "segment.entered" => Self::Entered,
            "segment.left" => Self::Left,
            "conversion" => Self::Converted,
            "churn_risk" => Self::AtRisk,
            "custom" => Self::Custom,
            _ => return None,
        })
    }
}

pub(super) fn action(delivery: &Delivery<'_>, head: &Head<'_>, body: &[u8]) -> Result<Vec<Event>, No> {
    // Previews and tests render the delivery's id as this, or send the template as it is.
    if head.event_id.get().is_some_and(|id| id == "unsent" || is_template(id)) {
        return Err(No::Ignored("test_delivery"));
    }
    if required(&head.schema, "no_schema")? != SCHEMA {
        return Err(No::Refused("unknown_schema"));
    }
    let says = Says::of(required(&head.kind, "no_type")?).ok_or(No::Refused("unknown_type"))?;
    let action: Object<Action<'_>> = serde_json::from_slice(body).map_err(|_| No::Refused("not_json"))?;
    let action = action.0.unwrap_or_default();
    let ids = person(&action)?;
    let kind = kind(says, &action, &ids)?;
    let at = [action.occurred_at.0, delivery.sent_at].into_iter().find_map(|at| delivery.credible(at)).unwrap_or(delivery.now);
    let origin = is_echo(&action).then(|| Origin(OURS.to_owned()));
    Ok(vec![Event { origin, ..delivery.event(["action", ""], at, &ids, kind) }])
}

/// What to do about a body that is no JSON, if it was meant to be one of ours. A template as it is, is none: its numbers
/// stand there as `{{ … }}`.
pub(super) fn unreadable(body: &[u8]) -> Option<No> {
    let text = String::from_utf8_lossy(body);
    if !text.contains(SCHEMAS) {
        return None;
    }
    // The id of the delivery is rendered in everything that is really sent.
    let is_test = text.split("{{").skip(1).any(|rest| rest.trim_start().starts_with("delivery_id"));
    Some(if is_test { No::Ignored("test_delivery") } else { No::Refused("not_json") })
}

/// An event of ours started the campaign.
fn is_echo(action: &Action<'_>) -> bool {
    let of_conversion = action.conversion.0.as_ref().map(|conversion| &conversion.source_event_id);
    of_conversion.into_iter().chain([&action.source_event_id]).filter_map(Text::get).any(|id| is_ours(id.trim()))
}

fn kind(says: Says, action: &Action<'_>, ids: &[Identifier]) -> Result<Kind, No> {
    Ok(match says {
        Says::Created => Kind::PersonCreated(profile(action, ids)),
        Says::Changed => Kind::PersonUpdated(profile(action, ids)),
        Says::Entered => Kind::ListEntered(segment(action)?),
        Says::Left => Kind::ListLeft(segment(action)?),
        Says::Converted => Kind::Converted(conversion(action)),
        Says::AtRisk => Kind::ChurnRisk(Risk { reason: optional(&action.reason), attributes: attributes(action) }),
        Says::Custom => {
            let name = cut(required(&action.name, "no_name")?.to_owned());
            Kind::Custom(Behaviour { name, device: None, attributes: attributes(action) })
        }
    })
}

fn person(action: &Action<'_>) -> Result<Vec<Identifier>, No> {
    let person = action.person.0.as_ref();
    // An id that was not rendered would be everybody's.
    let texts = person.map(|ids| [ids.id.get(), ids.email.get(), ids.cio_id.0.as_ref().and_then(Value::as_str)]);
    if texts.into_iter().flatten().flatten().any(is_template) {
        return Err(No::Refused("template_not_rendered"));
    }
    let ids = identifiers(person, &Text::default(), &Text::default());
    if ids.is_empty() { Err(No::Refused("names_nobody")) } else { Ok(ids) }
}

fn segment(action: &Action<'_>) -> Result<List, No> {
    let nameless = Segment::default();
    let segment = action.segment.0.as_ref().unwrap_or(&nameless);
    let id = cut(required(&segment.id, "no_segment_id")?.to_owned());
    let name = optional(&segment.name).unwrap_or_else(|| id.clone());
    Ok(List { kind: ListKind::Segment, id, name, attributes: attributes(action) })
}

fn conversion(action: &Action<'_>) -> Conversion {
    let said = action.conversion.0.as_ref();
    let text = |field: Option<&Text<'_>>| field.and_then(optional);
    let value = said.and_then(|said| match said.value.0.as_ref()? {
        Value::Number(number) => number.as_f64(),
        // Liquid makes text of whatever is not made a number.
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let currency = text(said.map(|said| &said.currency)).map(|text| text.trim().to_ascii_uppercase());
    Conversion {
        name: text(said.map(|said| &said.name)).unwrap_or_else(|| UNNAMED.to_owned()),
        value: value.filter(|value| value.is_finite()),
        currency: currency.filter(|text| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())),
        source_event: text(said.map(|said| &said.source_event_id)),
        attributes: attributes(action),
    }
}

/// What the operator listed, and the address by which the person is known.
fn profile(action: &Action<'_>, ids: &[Identifier]) -> Profile {
    let mut attributes = listed(&action.attributes);
    let email = ids.iter().find(|id| id.kind == IdKind::Email);
    attributes.extend(email.map(|id| ("email".to_owned(), Value::String(id.value.clone()))));
    Profile { attributes, ..Profile::default() }
}

/// What the operator listed, and which campaign sent it.
fn attributes(action: &Action<'_>) -> Attributes {
    let nothing = Campaign::default();
    let campaign = action.campaign.0.as_ref().unwrap_or(&nothing);
    let about = [("campaign_id", &campaign.id), ("message_id", &campaign.message_id), ("journey_id", &campaign.journey_id)];
    let about = about.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(optional(text)?))));
    about.chain(listed(&action.attributes)).collect()
}

/// Text that is empty stands for an attribute that the person does not have.
fn listed(attributes: &Flat) -> Attributes {
    attributes
        .0
        .iter()
        .filter(|(name, value)| {
            name.len() <= LONGEST_NAME_BYTES && !value.as_str().is_some_and(|text| text.is_empty() || is_template(text))
        })
        .take(MOST_ATTRIBUTES)
        .map(|(name, value)| (name.clone(), shortened(value)))
        .collect()
}

fn required<'t>(text: &'t Text<'_>, missing: &'static str) -> Result<&'t str, No> {
    match text.get().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if is_template(text) => Err(No::Refused("template_not_rendered")),
        Some(text) => Ok(text),
        None => Err(No::Refused(missing)),
    }
}

fn optional(text: &Text<'_>) -> Option<String> {
    text.get().filter(|text| !text.trim().is_empty() && !is_template(text)).map(|text| cut(text.to_owned()))
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}
