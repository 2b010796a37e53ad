//! Profiles and groups, as Unify makes them of messages.
//!
//! - <https://www.twilio.com/docs/segment/unify/identity-resolution/identity-resolution-settings>: user id before e-mail before
//!   anonymous id; an identifier that would break the limit of another one is left out of the message.
//! - <https://www.twilio.com/docs/segment/connections/spec/identify>: a trait that is `null` becomes null, one that is absent stays.
//! - <https://www.twilio.com/docs/segment/connections/spec/group>: nobody ever leaves a group.

use super::message::{Kind, Message};
use super::variants::{Alias, LastWriter, UserIds, Variants};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is known of one person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub user_ids: BTreeSet<String>,
    pub anonymous_ids: BTreeSet<String>,
    /// In lower case.
    pub emails: BTreeSet<String>,
    pub traits: BTreeMap<String, Value>,
    /// Ids of groups.
    pub groups: BTreeSet<String>,
    /// In order of their `timestamp`.
    pub events: Vec<Event>,
}

/// A track, page or screen call.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: Kind,
    pub message_id: String,
    /// `event` of a track call, else `name`.
    pub name: Option<String>,
    /// Unix milliseconds, corrected for the sender's clock.
    pub timestamp_ms: i64,
    pub properties: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub traits: BTreeMap<String, Value>,
    /// User ids; the anonymous id of a member who had no user id in the call.
    pub members: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmailFrom {
    Traits,
    Properties,
}

#[derive(Debug)]
enum Identifier {
    Email(String, EmailFrom),
    Anonymous(String),
}

type Traits = BTreeMap<String, (Value, i64)>;

#[derive(Debug, Default)]
struct Known {
    user_ids: BTreeSet<String>,
    anonymous_ids: BTreeSet<String>,
    emails: BTreeMap<String, EmailFrom>,
    /// With unix milliseconds of the message that set it.
    traits: Traits,
    groups: BTreeSet<String>,
    events: Vec<Event>,
}

#[derive(Debug)]
pub(crate) struct World {
    variants: Variants,
    keep_events: bool,
    known: BTreeMap<u64, Known>,
    made: u64,
    by_user: HashMap<String, u64>,
    by_anonymous: HashMap<String, u64>,
    by_email: HashMap<String, u64>,
    groups: BTreeMap<String, GroupKnown>,
    pub(crate) accidents: u64,
}

#[derive(Debug, Default)]
struct GroupKnown {
    traits: Traits,
    members: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(variants: Variants, keep_events: bool) -> Self {
        Self {
            variants,
            keep_events,
            known: BTreeMap::new(),
            made: 0,
            by_user: HashMap::new(),
            by_anonymous: HashMap::new(),
            by_email: HashMap::new(),
            groups: BTreeMap::new(),
            accidents: 0,
        }
    }

    pub(crate) fn apply(&mut self, message: &Message) {
        match message.kind {
            Kind::Alias => return self.alias(message),
            Kind::Delete => return self.delete(&id(&message.json, "userId").unwrap_or_default()),
            Kind::Identify | Kind::Track | Kind::Page | Kind::Screen | Kind::Group => {}
        }
        let home = self.resolve(message);
        let Some(known) = self.known.get_mut(&home) else { return };
        match message.kind {
            Kind::Identify => set(&mut known.traits, message, self.variants.last_writer),
            Kind::Track | Kind::Page | Kind::Screen => {
                if self.keep_events {
                    let name = message.text(if message.kind == Kind::Track { "event" } else { "name" }).map(str::to_owned);
                    let (kind, message_id, timestamp_ms) = (message.kind, message.id.clone(), message.timestamp_ms);
                    known.events.push(Event { kind, message_id, name, timestamp_ms, properties: object(message, "properties") });
                }
            }
            Kind::Group => {
                let group_id = id(&message.json, "groupId").unwrap_or_default();
                known.groups.insert(group_id.clone());
                let group = self.groups.entry(group_id).or_default();
                set(&mut group.traits, message, self.variants.last_writer);
                group.members.extend(id(&message.json, "userId").or_else(|| id(&message.json, "anonymousId")));
            }
            // Done above.
            Kind::Alias | Kind::Delete => {}
        }
    }

    /// The profile that a message belongs to, made or joined as need be.
    fn resolve(&mut self, message: &Message) -> u64 {
        let user = id(&message.json, "userId");
        let found = user.as_ref().and_then(|user| self.by_user.get(user)).copied();
        let home = found.unwrap_or_else(|| self.make());
        if let (Some(user), Some(known)) = (user, self.known.get_mut(&home)) {
            known.user_ids.insert(user.clone());
            self.by_user.insert(user, home);
        }
        let emails = emails(&message.json, self.variants.properties_email);
        let emails = emails.into_iter().map(|(email, from)| Identifier::Email(email, from));
        for identifier in emails.chain(id(&message.json, "anonymousId").map(Identifier::Anonymous)) {
            self.claim(home, identifier);
        }
        home
    }

    fn make(&mut self) -> u64 {
        self.made += 1;
        self.known.insert(self.made, Known::default());
        self.made
    }

    /// Gives an identifier to a profile, and with it whatever goes by it already, as far as the limit of user ids lets it.
    fn claim(&mut self, home: u64, identifier: Identifier) {
        let owner = match &identifier {
            Identifier::Email(email, _) => self.by_email.get(email),
            Identifier::Anonymous(anonymous) => self.by_anonymous.get(anonymous),
        };
        if let Some(owner) = owner.copied().filter(|owner| *owner != home) {
            let has_user_id = |who| self.known.get(&who).is_some_and(|known| !known.user_ids.is_empty());
            let two_people = has_user_id(home) && has_user_id(owner);
            if let Identifier::Email(email, from) = &identifier {
                let theirs_from = self.known.get(&owner).and_then(|known| known.emails.get(email));
                if two_people && (*from == EmailFrom::Properties || theirs_from == Some(&EmailFrom::Properties)) {
                    self.accidents += 1;
                }
            }
            match self.variants.user_ids {
                UserIds::One if two_people => return,
                UserIds::One | UserIds::Several => self.join(home, owner),
            }
        }
        let Some(known) = self.known.get_mut(&home) else { return };
        match identifier {
            Identifier::Email(email, from) => {
                self.by_email.insert(email.clone(), home);
                let kept = known.emails.entry(email).or_insert(from);
                if from == EmailFrom::Traits {
                    *kept = from;
                }
            }
            Identifier::Anonymous(anonymous) => {
                self.by_anonymous.insert(anonymous.clone(), home);
                known.anonymous_ids.insert(anonymous);
            }
        }
    }

    fn join(&mut self, home: u64, other: u64) {
        let Some(other) = self.known.remove(&other) else { return };
        let Some(known) = self.known.get_mut(&home) else { return };
        self.by_user.extend(other.user_ids.iter().map(|id| (id.clone(), home)));
        self.by_anonymous.extend(other.anonymous_ids.iter().map(|id| (id.clone(), home)));
        self.by_email.extend(other.emails.keys().map(|email| (email.clone(), home)));
        known.user_ids.extend(other.user_ids);
        known.anonymous_ids.extend(other.anonymous_ids);
        known.emails.extend(other.emails);
        known.groups.extend(other.groups);
        known.events.extend(other.events);
        for (name, (value, at_ms)) in other.traits {
            let newer = known.traits.get(&name).is_none_or(|(_, have_ms)| *have_ms < at_ms);
            if newer {
                known.traits.insert(name, (value, at_ms));
            }
        }
    }

    fn alias(&mut self, message: &Message) {
        let Some(previous) = id(&message.json, "previousId") else { return };
        match self.variants.alias {
            Alias::Ignored => {}
            Alias::Merges => {
                let home = self.resolve(message);
                let previous = self.by_user.get(&previous).or_else(|| self.by_anonymous.get(&previous)).copied();
                if let Some(previous) = previous.filter(|previous| *previous != home) {
                    self.join(home, previous);
                }
            }
        }
    }

    /// "Deletes all of a user's data": by user id. <https://www.twilio.com/docs/segment/privacy/user-deletion-and-suppression>
    pub(crate) fn delete(&mut self, user_id: &str) {
        let Some(gone) = self.by_user.get(user_id).copied() else { return };
        self.known.remove(&gone);
        for index in [&mut self.by_user, &mut self.by_anonymous, &mut self.by_email] {
            index.retain(|_, who| *who != gone);
        }
    }

    /// What Engage has computed is a trait of the profile.
    pub(crate) fn set_trait(&mut self, user_id: &str, key: &str, value: Value, at_ms: i64) {
        if let Some(known) = self.by_user.get(user_id).and_then(|who| self.known.get_mut(who)) {
            known.traits.insert(key.to_owned(), (value, at_ms));
        }
    }

    pub(crate) fn profile(&self, user_id: &str) -> Option<Profile> {
        self.known.get(self.by_user.get(user_id)?).map(view)
    }

    /// In the order of their making.
    pub(crate) fn profiles(&self) -> Vec<Profile> {
        self.known.values().map(view).collect()
    }

    pub(crate) fn group(&self, id: &str) -> Option<Group> {
        self.groups.get(id).map(|group| Group { traits: values(&group.traits), members: group.members.clone() })
    }
}

fn view(known: &Known) -> Profile {
    let mut events = known.events.clone();
    // Stable: those of one moment stay in the order of their coming.
    events.sort_by_key(|event| event.timestamp_ms);
    Profile {
        user_ids: known.user_ids.clone(),
        anonymous_ids: known.anonymous_ids.clone(),
        emails: known.emails.keys().cloned().collect(),
        traits: values(&known.traits),
        groups: known.groups.clone(),
        events,
    }
}

fn values(traits: &Traits) -> BTreeMap<String, Value> {
    traits.iter().map(|(name, (value, _))| (name.clone(), value.clone())).collect()
}

fn set(traits: &mut Traits, message: &Message, last_writer: LastWriter) {
    for (name, value) in object(message, "traits") {
        let newer_stands = traits.get(&name).is_some_and(|(_, have_ms)| *have_ms > message.timestamp_ms);
        match last_writer {
            LastWriter::Timestamp if newer_stands => {}
            LastWriter::Timestamp | LastWriter::Arrival => {
                traits.insert(name, (value, message.timestamp_ms));
            }
        }
    }
}

fn object(message: &Message, key: &str) -> Map<String, Value> {
    message.json.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A number is taken as its digits.
fn id(call: &Map<String, Value>, key: &str) -> Option<String> {
    match call.get(key)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `traits.email` and `context.traits.email`; `properties.email` where the space promotes it. A group's e-mail is no person's.
/// <https://www.twilio.com/docs/segment/unify/identity-resolution/externalids>
fn emails(call: &Map<String, Value>, from_properties: bool) -> Vec<(String, EmailFrom)> {
    let of = |object: Option<&Value>| Some(object?.get("email")?.as_str()?.trim().to_lowercase()).filter(|email| !email.is_empty());
    let own = if call.get("type").and_then(Value::as_str) == Some(Kind::Group.word()) { None } else { of(call.get("traits")) };
    let context = of(call.get("context").and_then(|context| context.get("traits")));
    let told = own.into_iter().chain(context).map(|email| (email, EmailFrom::Traits));
    let properties = of(call.get("properties")).filter(|_| from_properties);
    told.chain(properties.map(|email| (email, EmailFrom::Properties))).collect()
}
