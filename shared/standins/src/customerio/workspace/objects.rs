//! Objects, what people have to do with them, and devices.
//! <https://docs.customer.io/integrations/api/track/> (v2 "object", "add_relationships", "add_device"),
//! <https://docs.customer.io/journeys/objects-data/objects/create/>

use super::Workspace;
use crate::customerio::item::{DeviceChange, Identifier, NamedObject, ObjectAction, ToObject, ToPerson};
use crate::customerio::profile::CreatedBy;
use crate::customerio::variants::ForUnknown;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Something that people have to do with: a company, most often.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// A whole number from 1, as text.
    pub object_type_id: String,
    pub object_id: String,
    /// Made by Customer.io. Never changes.
    pub cio_object_id: String,
    pub attributes: BTreeMap<String, Value>,
    /// Attributes of the relationship, by `cio_id`.
    pub relationships: BTreeMap<String, BTreeMap<String, Value>>,
    /// The same of people who are not identified yet, by `anonymous_id`.
    pub anonymous: BTreeMap<String, BTreeMap<String, Value>>,
}

type Key = (String, String);

impl Workspace {
    pub(super) fn object(&mut self, named: &NamedObject, action: ObjectAction, now_ms: i64) {
        match action {
            ObjectAction::Identify { attributes, people } => {
                let Some(key) = self.object_or(ForUnknown::Creates, named) else { return };
                self.write_object(&key, attributes);
                self.relate(&key, people, now_ms);
            }
            ObjectAction::IdentifyAnonymous { attributes, people } => {
                let Some(key) = self.object_or(ForUnknown::Creates, named) else { return };
                self.write_object(&key, attributes);
                let Some(object) = self.objects.get_mut(&key) else { return };
                for person in people {
                    set(object.anonymous.entry(person.who).or_default(), person.attributes);
                }
            }
            // "This also removes relationships from people."
            ObjectAction::Delete => {
                if let Some(key) = self.find_object(named) {
                    self.objects.remove(&key);
                }
            }
            ObjectAction::AddRelationships(people) => {
                let Some(key) = self.object_or(self.variants.object_for_relationship, named) else { return };
                self.relate(&key, people, now_ms);
            }
            ObjectAction::DeleteRelationships(people) => {
                let gone: Vec<String> = people.iter().filter_map(|person| self.live.find_one(&person.who)).collect();
                let Some(key) = self.find_object(named) else { return };
                let Some(object) = self.objects.get_mut(&key) else { return };
                object.relationships.retain(|cio_id, _| !gone.contains(cio_id));
            }
        }
    }

    pub(super) fn add_to_objects(&mut self, cio_id: &str, relationships: Vec<ToObject>) {
        for relationship in relationships {
            let Some(key) = self.object_or(self.variants.object_for_relationship, &relationship.object) else { continue };
            let Some(object) = self.objects.get_mut(&key) else { continue };
            set(object.relationships.entry(cio_id.to_owned()).or_default(), relationship.attributes);
        }
    }

    pub(super) fn take_from_objects(&mut self, cio_id: &str, relationships: &[ToObject]) {
        for relationship in relationships {
            let Some(key) = self.find_object(&relationship.object) else { continue };
            if let Some(object) = self.objects.get_mut(&key) {
                object.relationships.remove(cio_id);
            }
        }
    }

    /// "When you identify the person, their anonymous relationship will carry over to the identified profile."
    pub(super) fn carry_over(&mut self, anonymous_id: &str, cio_id: &str) {
        for object in self.objects.values_mut() {
            if let Some(attributes) = object.anonymous.remove(anonymous_id) {
                object.relationships.entry(cio_id.to_owned()).or_default().extend(attributes);
            }
        }
    }

    pub(super) fn device(&mut self, who: &Identifier, change: DeviceChange, now_ms: i64) {
        match change {
            DeviceChange::Add(mut device, last_used) => {
                let Some(cio_id) = self.known_or(self.variants.person_for_device, who, now_ms) else { return };
                // "If you don't pass a timestamp …, we use the time of the request itself."
                device.last_used = last_used.unwrap_or(now_ms.div_euclid(1000));
                self.live.edit(&cio_id, |profile| match profile.devices.iter_mut().find(|known| known.token == device.token) {
                    Some(known) => *known = device,
                    None => profile.devices.push(device),
                });
                self.show(&cio_id, now_ms);
            }
            DeviceChange::Delete(token) => {
                let Some(cio_id) = self.live.find_one(who) else { return };
                self.live.edit(&cio_id, |profile| profile.devices.retain(|device| device.token != token));
                self.show(&cio_id, now_ms);
            }
        }
    }

    /// The person, who may be made if nobody goes by this identifier. A `cio_id` cannot be made up.
    pub(super) fn known_or(&mut self, unknown: ForUnknown, who: &Identifier, now_ms: i64) -> Option<String> {
        if self.is_suppressed(who) {
            return None;
        }
        match (self.live.find_one(who), unknown) {
            (Some(cio_id), _) => Some(cio_id),
            (None, ForUnknown::Creates) => self.create(who, CreatedBy::Other, now_ms.div_euclid(1000), now_ms),
            (None, ForUnknown::Drops) => None,
        }
    }

    fn relate(&mut self, key: &Key, people: Vec<ToPerson>, now_ms: i64) {
        for person in people {
            let Some(cio_id) = self.known_or(self.variants.person_for_relationship, &person.who, now_ms) else { continue };
            let Some(object) = self.objects.get_mut(key) else { continue };
            set(object.relationships.entry(cio_id).or_default(), person.attributes);
        }
    }

    fn write_object(&mut self, key: &Key, attributes: Map<String, Value>) {
        if let Some(object) = self.objects.get_mut(key) {
            set(&mut object.attributes, attributes);
        }
    }

    fn find_object(&self, named: &NamedObject) -> Option<Key> {
        match named {
            NamedObject::Known { object_type_id, object_id } => {
                let key = (object_type_id.clone(), object_id.clone());
                self.objects.contains_key(&key).then_some(key)
            }
            NamedObject::CioObjectId(id) => self.objects.iter().find(|(_, object)| object.cio_object_id == *id).map(|(key, _)| key.clone()),
        }
    }

    fn object_or(&mut self, unknown: ForUnknown, named: &NamedObject) -> Option<Key> {
        match (self.find_object(named), named, unknown) {
            (Some(key), ..) => Some(key),
            (None, NamedObject::Known { object_type_id, object_id }, ForUnknown::Creates) => {
                self.made += 1;
                let cio_object_id = format!("ob{:04x}07{:06x}", self.seeded.next() & 0xffff, self.made);
                let key = (object_type_id.clone(), object_id.clone());
                let (object_type_id, object_id) = key.clone();
                self.objects.insert(key.clone(), Object { object_type_id, object_id, cio_object_id, ..Object::default() });
                Some(key)
            }
            (None, NamedObject::Known { .. }, ForUnknown::Drops) | (None, NamedObject::CioObjectId(_), _) => None,
        }
    }
}

/// "Pass `null` or an empty string to remove an attribute", of objects and of relationships.
fn set(kept: &mut BTreeMap<String, Value>, attributes: Map<String, Value>) {
    for (name, value) in attributes {
        if value.is_null() || value == "" {
            kept.remove(&name);
        } else {
            kept.insert(name, value);
        }
    }
}
