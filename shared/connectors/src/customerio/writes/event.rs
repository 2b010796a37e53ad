//! What people did, and what they looked at.

use super::fit::Fit;
use super::{Item, Name};
use crate::customerio::ulid::ulid;
use trefoil_domain::action::{CustomerioAction, CustomerioEvent};
use trefoil_domain::outcome::Outcome;

const MOST_NAME_BYTES: usize = 100;

/// These would override a campaign's own settings.
const RESERVED: [&str; 3] = ["recipient", "from_address", "reply_to"];

pub(super) fn event<'a>(profile: Name<'a>, event: &CustomerioEvent, action: &CustomerioAction, fit: &mut Fit) -> Result<Item<'a>, Outcome> {
    if event.name.is_empty() || event.name.len() > MOST_NAME_BYTES {
        return Err(Outcome::rejected("event_name_length", format!("1 to {MOST_NAME_BYTES} bytes are allowed")));
    }
    Ok(item("event", profile, event, event.name.clone(), action, fit))
}

/// A page goes by its address, which may well be longer than a name; no limit is stated for it.
pub(super) fn view<'a>(
    what: &'static str,
    profile: Name<'a>,
    view: &CustomerioEvent,
    action: &CustomerioAction,
    fit: &mut Fit,
) -> Result<Item<'a>, Outcome> {
    if view.name.is_empty() {
        return Err(Outcome::rejected("event_name_length", format!("a {what} must have a name")));
    }
    let name = fit.text(&view.name);
    Ok(item(what, profile, view, name, action, fit))
}

fn item<'a>(
    what: &'static str,
    profile: Name<'a>,
    event: &CustomerioEvent,
    name: String,
    action: &CustomerioAction,
    fit: &mut Fit,
) -> Item<'a> {
    Item {
        id: Some(ulid(action.occurred_at, &action.id)),
        name: Some(name),
        timestamp: Some(action.occurred_at.secs()),
        attributes: Some(fit.properties(&event.properties, |name| RESERVED.contains(&name))),
        ..Item::of_person(what, profile)
    }
}
