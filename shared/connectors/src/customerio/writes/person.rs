//! Attributes of people, and two profiles that become one.

use super::fit::Fit;
use super::{Item, Name, bounded, name};
use trefoil_domain::event::{Attributes, Value};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::ProfileRef;

/// On people these name or re-name them, or change their consent, or the meaning of the call.
const RESERVED: [&str; 9] =
    ["id", "email", "cio_id", "anonymous_id", "unsubscribed", "cio_subscription_preferences", "cio_relationships", "_timestamp", "_update"];
/// One topic without the others is written under a name that begins so.
const RESERVED_PREFIX: &str = "cio_subscription_preferences.";

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX)
}

/// `own` goes in as it is.
pub(super) fn identify<'a>(
    profile: Name<'a>,
    timestamp: i64,
    create: bool,
    attributes: &Attributes,
    own: &Attributes,
    fit: &mut Fit,
) -> Result<Item<'a>, Outcome> {
    if let Some(id) = own.get("id").and_then(Value::as_str) {
        bounded(id)?;
    }
    let mut all = fit.attributes(attributes, |name| is_reserved(name) || own.contains_key(name), own.len());
    all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    // Profiles are billed.
    if !create {
        all.insert("_update".to_owned(), Value::Bool(true));
    }
    Ok(Item { timestamp: Some(timestamp), attributes: Some(all), ..Item::of_person("identify", profile) })
}

pub(super) fn merge<'a>(primary: &'a ProfileRef, secondary: &'a ProfileRef) -> Result<Item<'a>, Outcome> {
    let (primary, secondary) = (name(primary)?, name(secondary)?);
    if primary == secondary {
        return Err(Outcome::rejected("merge_with_itself", ""));
    }
    Ok(Item { kind: "person", action: "merge", primary: Some(primary), secondary: Some(secondary), ..Item::default() })
}
