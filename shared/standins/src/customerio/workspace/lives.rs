//! How profiles come, go and become one. <https://docs.customer.io/integrations/api/track/> (v2 "delete", "merge", "suppress")

use super::telling::Wrote;
use super::{Workspace, folded};
use crate::customerio::item::Identifier;
use crate::customerio::profile::{Attribute, CreatedBy, PREFERENCES, Profile};
use std::collections::BTreeMap;

impl Workspace {
    pub(super) fn create(&mut self, who: &Identifier, created_by: CreatedBy, at: i64, now_ms: i64) -> Option<String> {
        let (id, email, phone) = match who {
            Identifier::Id(id) => (Some(id.clone()), None, None),
            Identifier::Email(email) => (None, Some(email.clone()), None),
            Identifier::Phone(phone) => (None, None, Some(phone.clone())),
            Identifier::CioId(_) => return None,
        };
        let attributes = phone.map(|phone| ("phone".to_owned(), Attribute { value: phone.into(), set_at: at })).into_iter().collect();
        Some(self.add(id, email, attributes, created_by, at, now_ms))
    }

    /// A new profile, as it stands.
    pub(crate) fn add(
        &mut self,
        id: Option<String>,
        email: Option<String>,
        attributes: BTreeMap<String, Attribute>,
        created_by: CreatedBy,
        at: i64,
        now_ms: i64,
    ) -> String {
        self.made += 1;
        let head = self.seeded.next() & 0xffff;
        // Every other one starts with a zero: a client that reads it as a number must fall over.
        let head = if self.made.is_multiple_of(2) { head & 0x0fff } else { head };
        let cio_id = format!("{head:04x}06{:06x}", self.made);
        match created_by {
            CreatedBy::Hand | CreatedBy::Identify => {}
            CreatedBy::Event | CreatedBy::Other => self.profiles_made_by_accident += 1,
        }
        self.live.put(Profile::new(cio_id.clone(), id, email, attributes, created_by, at));
        self.show(&cio_id, now_ms);
        cio_id
    }

    pub(crate) fn add_as(&mut self, cio_id: &str, id: Option<String>, email: Option<String>, now_ms: i64) {
        let at = now_ms.div_euclid(1000);
        self.live.put(Profile::new(cio_id.to_owned(), id, email, BTreeMap::new(), CreatedBy::Hand, at));
    }

    /// With all that it has to do with objects and segments.
    pub(crate) fn remove(&mut self, cio_id: &str, now_ms: i64) -> Option<Profile> {
        let profile = self.live.remove(cio_id);
        for object in self.objects.values_mut() {
            object.relationships.remove(cio_id);
        }
        for segment in self.segments.values_mut() {
            segment.forget(cio_id);
        }
        self.show(cio_id, now_ms);
        profile
    }

    // -------------------------------------------------------------------------------------------- suppression

    /// Deletes, and blocks every identifier that the person has.
    pub(super) fn suppress(&mut self, who: &Identifier, now_ms: i64) {
        let mut blocked = vec![folded(who)];
        if let Some(profile) = self.live.find_one(who).and_then(|cio_id| self.remove(&cio_id, now_ms)) {
            blocked.extend(profile.id.map(Identifier::Id));
            blocked.extend(profile.email.map(|email| folded(&Identifier::Email(email))));
        }
        self.suppressed.push(blocked);
    }

    pub(super) fn unsuppress(&mut self, who: &Identifier) {
        let who = folded(who);
        if self.variants.unsuppress_frees_both {
            self.suppressed.retain(|blocked| !blocked.contains(&who));
        } else {
            for blocked in &mut self.suppressed {
                blocked.retain(|one| *one != who);
            }
        }
    }

    pub(super) fn is_suppressed(&self, who: &Identifier) -> bool {
        !self.suppressed.is_empty() && {
            let who = folded(who);
            self.suppressed.iter().any(|blocked| blocked.contains(&who))
        }
    }

    // ------------------------------------------------------------------------------------------------- merging

    /// The older of the two survives; returns it.
    pub(super) fn merge_older(&mut self, one: &str, other: &str, now_ms: i64) -> String {
        let created = |cio_id: &str| self.live.get(cio_id).map(|profile| profile.created_at);
        let (primary, secondary) = if created(one) <= created(other) { (one, other) } else { (other, one) };
        self.merge(primary, secondary, now_ms);
        primary.to_owned()
    }

    /// "Attributes that are not set, or are empty, on the primary", events, and "manual segments that the primary person did
    /// not already belong to". There is no way back. (Track API, "Merge duplicate people")
    pub(super) fn merge(&mut self, primary: &str, secondary: &str, now_ms: i64) {
        let memberships: Vec<u64> =
            self.segments.values().filter(|segment| segment.has_by_hand(secondary)).map(|segment| segment.id).collect();
        let relationships: Vec<_> =
            self.objects.iter().filter_map(|(key, object)| Some((key.clone(), object.relationships.get(secondary)?.clone()))).collect();
        let (Some(before), Some(gone)) = (self.live.get(primary).cloned(), self.remove(secondary, now_ms)) else { return };
        let mut survivor = before.clone();
        survivor.id = survivor.id.or(gone.id);
        survivor.email = survivor.email.or(gone.email);
        survivor.last_edit = survivor.last_edit.max(gone.last_edit);
        for (name, attribute) in gone.attributes {
            // A map of preferences counts as set, even without a topic in it.
            if survivor.text(&name).is_none_or(|text| text.is_empty()) {
                if name == PREFERENCES {
                    survivor.topics_set_at.clone_from(&gone.topics_set_at);
                }
                survivor.attributes.insert(name, attribute);
            }
        }
        if self.variants.merge_takes_the_unlisted {
            let known: Vec<String> = survivor.devices.iter().map(|device| device.token.clone()).collect();
            survivor.devices.extend(gone.devices.into_iter().filter(|device| !known.contains(&device.token)));
            for (key, attributes) in relationships {
                if let Some(object) = self.objects.get_mut(&key) {
                    object.relationships.entry(primary.to_owned()).or_insert(attributes);
                }
            }
        }
        self.live.put(survivor);
        for id in memberships {
            if let Some(segment) = self.segments.get_mut(&id) {
                segment.put(primary);
            }
        }
        for event in self.events.iter_mut().filter(|event| event.cio_id.as_deref() == Some(secondary)) {
            event.cio_id = Some(primary.to_owned());
        }
        let object_type = self.variants.merge_tells.then_some("customer");
        self.tell(&before, Wrote::default(), object_type, now_ms);
        self.show(primary, now_ms);
    }
}
