//! Who an `identify` is about, and what it writes.
//! <https://docs.customer.io/integrations/api/track/> (v2 "identify"), <https://docs.customer.io/journeys/identifying-people/>

use super::Workspace;
use super::telling::Wrote;
use crate::customerio::Identification;
use crate::customerio::item::Identifier;
use crate::customerio::profile::{ALL_TOPICS, Attribute, CreatedBy, PREFERENCES, Profile};
use crate::customerio::variants::{Removal, StaleUpdate, TopicOrder};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) const ONE_TOPIC: &str = "cio_subscription_preferences.topics.";

/// An identifier that a call wanted to set and that was not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedChange {
    pub cio_id: String,
    /// `id` or `email`.
    pub attribute: &'static str,
    pub wanted: String,
}

impl Workspace {
    /// Returns whom it was about; `None` if it was dropped.
    pub(super) fn identify(
        &mut self,
        who: &Identifier,
        mut attributes: Map<String, Value>,
        update_only: bool,
        at: i64,
        now_ms: i64,
    ) -> Option<String> {
        if self.is_suppressed(who) {
            return None;
        }
        let wanted_id = take_text(&mut attributes, "id");
        let wanted_email = take_text(&mut attributes, "email");
        attributes.remove("cio_id");
        let cio_id = match self.live.find_one(who) {
            Some(cio_id) => cio_id,
            // "Does nothing if no match": v2, `_update`. An unknown `cio_id` is dropped too.
            None if update_only => return None,
            None => match self.claimed(who, wanted_id.as_deref(), wanted_email.as_deref()) {
                Some(cio_id) => cio_id,
                None => self.create(who, CreatedBy::Identify, at, now_ms)?,
            },
        };
        let by_cio_id = matches!(who, Identifier::CioId(_));
        // What addressed the person is theirs, if they were claimed just now.
        let (named_id, named_email) = match who {
            Identifier::Id(id) => (Some(id.clone()), None),
            Identifier::Email(email) => (None, Some(email.clone())),
            Identifier::Phone(_) | Identifier::CioId(_) => (None, None),
        };
        let stale = self.live.get(&cio_id).is_some_and(|profile| at < profile.last_edit);
        if stale && self.variants.stale_update == StaleUpdate::WholeProfile {
            self.stale_updates += 1;
            return Some(cio_id);
        }
        let first = self.live.get(&cio_id).cloned();
        let cio_id = match named_id.or(wanted_id) {
            Some(id) => self.set_id(&cio_id, id, by_cio_id, now_ms),
            None => cio_id,
        };
        let cio_id = match named_email.or(wanted_email) {
            Some(email) => self.set_email(&cio_id, email, by_cio_id, now_ms),
            None => cio_id,
        };
        // Had two profiles become one, then what that changed is told of already.
        let before = first.filter(|first| first.cio_id == cio_id).or_else(|| self.live.get(&cio_id).cloned());
        let anonymous = attributes.get("anonymous_id").and_then(Value::as_str).map(str::to_owned);
        let wrote = self.write(&cio_id, attributes, at);
        if let Some(anonymous) = anonymous {
            self.carry_over(&anonymous, &cio_id);
        }
        if let Some(before) = before {
            self.tell(&before, wrote, Some("customer"), now_ms);
        }
        self.show(&cio_id, now_ms);
        Some(cio_id)
    }

    /// A profile that lacks what the call is addressed to and owns the other identifier in it: the call claims it, so
    /// that the same `cio_id` goes on. (Seen in a live workspace; Track API v1: "the known person gets the new id".)
    fn claimed(&self, who: &Identifier, wanted_id: Option<&str>, wanted_email: Option<&str>) -> Option<String> {
        match (self.identification, who) {
            (Identification::IdOnly, _) | (_, Identifier::Phone(_) | Identifier::CioId(_)) => None,
            (Identification::EmailAndId, Identifier::Id(_)) => {
                let cio_id = self.live.find_one(&Identifier::Email(wanted_email?.to_owned()))?;
                self.live.get(&cio_id)?.id.is_none().then_some(cio_id)
            }
            (Identification::EmailAndId, Identifier::Email(_)) => {
                let cio_id = self.live.find_one(&Identifier::Id(wanted_id?.to_owned()))?;
                self.live.get(&cio_id)?.email.is_none().then_some(cio_id)
            }
        }
    }

    /// Returns the `cio_id` that goes on, which differs if two profiles became one.
    fn set_id(&mut self, cio_id: &str, id: String, by_cio_id: bool, now_ms: i64) -> String {
        let Some(mut profile) = self.live.get(cio_id).cloned() else { return cio_id.to_owned() };
        if profile.id.as_ref() == Some(&id) {
            return cio_id.to_owned();
        }
        if self.is_suppressed(&Identifier::Id(id.clone())) {
            return self.failed(cio_id, "id", id);
        }
        let owner = self.live.find_one(&Identifier::Id(id.clone())).and_then(|owner| self.live.get(&owner).cloned());
        match owner {
            None if profile.id.is_none() || by_cio_id => {
                profile.id = Some(id);
                self.live.put(profile);
                cio_id.to_owned()
            }
            Some(owner) if self.auto_merge && profile.id.is_none() && owner.email.is_none() => {
                self.merge_older(cio_id, &owner.cio_id, now_ms)
            }
            None | Some(_) => self.failed(cio_id, "id", id),
        }
    }

    /// Returns the `cio_id` that goes on, which differs if two profiles became one.
    fn set_email(&mut self, cio_id: &str, email: String, by_cio_id: bool, now_ms: i64) -> String {
        let Some(mut profile) = self.live.get(cio_id).cloned() else { return cio_id.to_owned() };
        if profile.email.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(&email)) {
            return cio_id.to_owned();
        }
        let ordinary = match self.identification {
            Identification::IdOnly => true,
            Identification::EmailAndId => false,
        };
        if !ordinary && self.is_suppressed(&Identifier::Email(email.clone())) {
            return self.failed(cio_id, "email", email);
        }
        let owner = self.live.find_one(&Identifier::Email(email.clone())).and_then(|owner| self.live.get(&owner).cloned());
        match owner {
            _ if ordinary => {
                profile.email = Some(email);
                self.live.put(profile);
                cio_id.to_owned()
            }
            None if profile.email.is_none() || by_cio_id || self.change_email_using_id => {
                profile.email = Some(email);
                self.live.put(profile);
                cio_id.to_owned()
            }
            // Customer.io release notes, 2021-10-05 "auto-merge".
            Some(owner) if self.auto_merge && profile.email.is_none() && owner.id.is_none() => {
                self.merge_older(cio_id, &owner.cio_id, now_ms)
            }
            None | Some(_) => self.failed(cio_id, "email", email),
        }
    }

    fn failed(&mut self, cio_id: &str, attribute: &'static str, wanted: String) -> String {
        self.failed_changes.push(FailedChange { cio_id: cio_id.to_owned(), attribute, wanted });
        cio_id.to_owned()
    }

    fn write(&mut self, cio_id: &str, attributes: Map<String, Value>, at: i64) -> Wrote {
        let (removal, topic_order) = (self.variants.removal, self.variants.topic_order);
        let mut stale_updates = 0;
        let mut wrote = Wrote::default();
        self.live.edit(cio_id, |profile| {
            for (name, value) in attributes {
                let removes = match removal {
                    Removal::NullOrEmpty => value.is_null() || value == "",
                    Removal::Null => value.is_null(),
                    Removal::Empty => value == "",
                };
                let known = match (name.strip_prefix(ONE_TOPIC), topic_order) {
                    (Some(topic), TopicOrder::PerTopic) => {
                        let times = [topic, ALL_TOPICS].into_iter().filter_map(|topic| profile.topics_set_at.get(topic));
                        times.max().copied()
                    }
                    (Some(_), TopicOrder::AllTogether) => profile.attributes.get(PREFERENCES).map(|known| known.set_at),
                    (None, _) => profile.attributes.get(&name).map(|known| known.set_at),
                };
                if known.is_some_and(|set_at| at < set_at) {
                    stale_updates += 1;
                } else {
                    put(profile, name, (!removes).then_some(value), at, &mut wrote);
                }
            }
            profile.last_edit = profile.last_edit.max(at);
        });
        self.stale_updates += stale_updates;
        wrote
    }

    /// An edit by hand, as in the vendor's own pages: it is new whatever stood there. `object_type` is who is told to have
    /// changed subscriptions; `None` leaves that untold. False if there is no such profile.
    pub(crate) fn edit(&mut self, cio_id: &str, attributes: Map<String, Value>, object_type: Option<&str>, now_ms: i64) -> bool {
        let now = now_ms.div_euclid(1000);
        let Some(before) = self.live.get(cio_id).cloned() else { return false };
        let mut wrote = Wrote::default();
        self.live.edit(cio_id, |profile| {
            for (name, value) in attributes {
                put(profile, name, Some(value), now, &mut wrote);
            }
            profile.last_edit = profile.last_edit.max(now);
        });
        self.tell(&before, wrote, object_type, now_ms);
        true
    }
}

fn take_text(attributes: &mut Map<String, Value>, name: &str) -> Option<String> {
    match attributes.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) | None => None,
    }
}

/// `None` takes the attribute away.
fn put(profile: &mut Profile, name: String, value: Option<Value>, at: i64, wrote: &mut Wrote) {
    // One topic without touching the others. (Manage subscription preferences: dot notation)
    if let Some(topic) = name.strip_prefix(ONE_TOPIC) {
        wrote.preferences = true;
        return set_topic(profile, topic, value, at);
    }
    wrote.consent |= name == "unsubscribed";
    // The nested form "replaces all".
    if name == PREFERENCES {
        wrote.preferences = true;
        profile.topics_set_at = BTreeMap::from([(ALL_TOPICS.to_owned(), at)]);
    }
    match value {
        Some(value) => profile.attributes.insert(name, Attribute { value, set_at: at }),
        None => profile.attributes.remove(&name),
    };
}

/// `None` takes the person's choice away.
fn set_topic(profile: &mut Profile, topic: &str, choice: Option<Value>, at: i64) {
    let mut topics = profile.topics();
    match choice {
        Some(choice) => topics.insert(topic.to_owned(), choice),
        None => topics.remove(topic),
    };
    profile.topics_set_at.insert(topic.to_owned(), at);
    let set_at = profile.attributes.get(PREFERENCES).map_or(at, |known| known.set_at.max(at));
    profile.attributes.insert(PREFERENCES.to_owned(), Attribute { value: json!({ "topics": topics }), set_at });
}
