//! Objects, and people's relationships to them. <https://docs.customer.io/journeys/objects/>

use super::fit::Fit;
use super::{Identifiers, Item, Name, bounded};
use serde::Serialize;
use trefoil_domain::action::{ObjectName, UpsertObject};
use trefoil_domain::event::Value;
use trefoil_domain::outcome::Outcome;

#[derive(Serialize)]
pub(super) struct Relationship<'a> {
    identifiers: Name<'a>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    relationship_attributes: serde_json::Map<String, Value>,
}

/// Ids of its own are no attributes of it.
fn is_reserved(name: &str) -> bool {
    matches!(name, "object_id" | "object_type_id" | "cio_object_id" | "cio_relationships")
}

pub(super) fn identify<'a>(object: &'a UpsertObject, profile: Option<Name<'a>>, fit: &mut Fit) -> Result<Item<'a>, Outcome> {
    let item = item("identify", &object.name)?;
    let attributes = fit.attributes(&object.attributes, is_reserved, 0);
    let relationship = profile
        .map(|identifiers| [Relationship { identifiers, relationship_attributes: fit.attributes(&object.relationship, |_| false, 0) }]);
    Ok(Item { attributes: Some(attributes), cio_relationships: relationship, ..item })
}

pub(super) fn delete(object: &ObjectName) -> Result<Item<'_>, Outcome> {
    item("delete", object)
}

pub(super) fn delete_relationship<'a>(object: &'a ObjectName, profile: Name<'a>) -> Result<Item<'a>, Outcome> {
    let relationship = Relationship { identifiers: profile, relationship_attributes: serde_json::Map::new() };
    Ok(Item { cio_relationships: Some([relationship]), ..item("delete_relationships", object)? })
}

fn item<'a>(action: &'static str, object: &'a ObjectName) -> Result<Item<'a>, Outcome> {
    let identifiers = Identifiers::Object { object_type_id: bounded(&object.kind)?, object_id: bounded(&object.id)? };
    Ok(Item { kind: "object", identifiers: Some(identifiers), action, ..Item::default() })
}
