//! Writes at Customer.io: each file renders one kind of thing, nearly all as items of Track v2. Manual segments are not among
//! those: they have a call of their own.
//!
//! <https://docs.customer.io/integrations/api/track/#tag/trackv2>

mod device;
mod event;
mod fit;
mod object;
mod person;
mod segment;

pub(super) use segment::{Membership, Memberships};

use fit::Fit;
use serde::Serialize;
use trefoil_domain::action::{CustomerioAction, CustomerioVerb};
use trefoil_domain::event::{IdKind, Value};
use trefoil_domain::outcome::{CONCERNS_NO_PERSON, Outcome};
use trefoil_domain::ports::{CustomerioWrite, ProfileRef};

/// The vendor says 32 KB, without saying which; what is too large may be answered with a 200 and dropped.
const MOST_ITEM_BYTES: usize = 32_000;
/// Of an id of a person or an object. <https://docs.customer.io/integrations/api/track/#section/Limits>
const MOST_ID_BYTES: usize = 150;

/// One item of Track v2. Each action has some of the fields.
#[derive(Default, Serialize)]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifiers: Option<Identifiers<'a>>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<serde_json::Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<device::Device<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cio_relationships: Option<[object::Relationship<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<Name<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary: Option<Name<'a>>,
}

impl<'a> Item<'a> {
    fn of_person(action: &'static str, name: Name<'a>) -> Self {
        Self { kind: "person", identifiers: Some(Identifiers::Person(name)), action, ..Self::default() }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Identifiers<'a> {
    Person(Name<'a>),
    Object { object_type_id: &'a str, object_id: &'a str },
}

/// Of a profile: exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Name<'a> {
    CioId(&'a str),
    Id(&'a str),
    Email(&'a str),
}

/// How a write goes out.
#[derive(Debug)]
pub(super) enum Rendered {
    /// JSON for `/entity` or `/batch`.
    Item(String),
    Member(Membership),
}

/// The write as it is sent. `dates_as_seconds`: see [`super::dates`].
///
/// # Errors
/// It can never be sent: the outcome says why.
pub(super) fn render(write: &CustomerioWrite, dates_as_seconds: bool) -> Result<Rendered, Outcome> {
    let mut fit = Fit::new(dates_as_seconds);
    let item = match write {
        CustomerioWrite::Attributes { profile, timestamp, create, attributes, own } => {
            person::identify(name(profile)?, *timestamp, *create, attributes, own, &mut fit)?
        }
        CustomerioWrite::Merge { primary, secondary } => person::merge(primary, secondary)?,
        CustomerioWrite::Act { profile, action } => match act(profile.as_ref(), action, &mut fit)? {
            Act::Item(item) => *item,
            Act::Member(membership) => return Ok(Rendered::Member(membership)),
        },
    };
    let json = serde_json::to_string(&item).map_err(|_| Outcome::rejected("unwritable", ""))?;
    if json.len() > MOST_ITEM_BYTES {
        return Err(Outcome::rejected("too_large", format!("{} bytes, of at most {MOST_ITEM_BYTES}", json.len())));
    }
    fit.tell();
    Ok(Rendered::Item(json))
}

/// The body of the call that this write alone would be; `None`: it has none of its own, or can never be sent. For whoever
/// measures or shows what goes out.
pub fn as_sent(write: &CustomerioWrite, dates_as_seconds: bool) -> Option<String> {
    match render(write, dates_as_seconds).ok()? {
        Rendered::Item(json) => Some(json),
        Rendered::Member(_) => None,
    }
}

enum Act<'a> {
    Item(Box<Item<'a>>),
    Member(Membership),
}

fn act<'a>(profile: Option<&'a ProfileRef>, action: &'a CustomerioAction, fit: &mut Fit) -> Result<Act<'a>, Outcome> {
    let theirs = || name(profile.ok_or_else(|| Outcome::rejected(CONCERNS_NO_PERSON, ""))?);
    let item = match &action.what {
        CustomerioVerb::TrackEvent(event) => event::event(theirs()?, event, action, fit)?,
        CustomerioVerb::TrackPage(page) => event::view("page", theirs()?, page, action, fit)?,
        CustomerioVerb::TrackScreen(screen) => event::view("screen", theirs()?, screen, action, fit)?,
        CustomerioVerb::AddToSegment { segment } => return segment::membership(segment, true, theirs()?).map(Act::Member),
        CustomerioVerb::RemoveFromSegment { segment } => return segment::membership(segment, false, theirs()?).map(Act::Member),
        CustomerioVerb::UpsertObject(object) => object::identify(object, profile.map(name).transpose()?, fit)?,
        CustomerioVerb::DeleteObject(object) => object::delete(object)?,
        CustomerioVerb::RemoveRelationship(object) => object::delete_relationship(object, theirs()?)?,
        CustomerioVerb::DeletePerson => Item::of_person("delete", theirs()?),
        CustomerioVerb::SuppressPerson => Item::of_person("suppress", theirs()?),
        CustomerioVerb::UnsuppressPerson => Item::of_person("unsuppress", theirs()?),
        CustomerioVerb::AddDevice(device) => device::add(theirs()?, device, action.occurred_at, fit)?,
        CustomerioVerb::DeleteDevice { token } => device::delete(theirs()?, token)?,
        // What these come to, the sender has to find out first: it asks for that in other words.
        CustomerioVerb::UpdatePerson(_)
        | CustomerioVerb::CreatePerson { .. }
        | CustomerioVerb::SetSubscription { .. }
        | CustomerioVerb::MergePeople { .. } => return Err(Outcome::rejected("unexpected_verb", "")),
    };
    Ok(Act::Item(Box::new(item)))
}

fn name(profile: &ProfileRef) -> Result<Name<'_>, Outcome> {
    let name = match profile {
        // Elsewhere it is written with a prefix; here it must not be.
        ProfileRef::Own(id) | ProfileRef::By(IdKind::CioId, id) => Name::CioId(bounded(id.strip_prefix("cio_").unwrap_or(id))?),
        ProfileRef::By(IdKind::UserId, id) => Name::Id(bounded(id)?),
        // No limit is stated for addresses.
        ProfileRef::By(IdKind::Email, email) => Name::Email(email),
        ProfileRef::By(IdKind::IntercomId | IdKind::Phone | IdKind::AnonymousId, _) => {
            return Err(Outcome::rejected("no_customerio_identifier", ""));
        }
    };
    Ok(name)
}

fn bounded(id: &str) -> Result<&str, Outcome> {
    let fits = !id.is_empty() && id.len() <= MOST_ID_BYTES;
    if fits { Ok(id) } else { Err(Outcome::rejected("id_length", format!("1 to {MOST_ID_BYTES} bytes are allowed"))) }
}
