//! Profiles and how they are found.

use super::item::Identifier;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) const PREFERENCES: &str = "cio_subscription_preferences";
/// Stands for every topic in [`Profile::topics_set_at`].
pub(crate) const ALL_TOPICS: &str = "";

/// What made a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedBy {
    /// The test or the demo, by [`super::CustomerIo::add_profile`].
    Hand,
    /// An `identify` without `_update`.
    Identify,
    /// An event for an identifier that nobody had.
    Event,
    /// A relationship or a device for an identifier that nobody had.
    Other,
}

/// A phone that push messages go to. <https://docs.customer.io/integrations/api/track/> (v2 "add_device")
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub token: String,
    /// `ios` or `android`.
    pub platform: String,
    /// Unix seconds: as the call said, else the time it came.
    pub last_used: i64,
    pub attributes: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    pub value: Value,
    /// Unix seconds: the call's `timestamp`, else the time it came.
    pub set_at: i64,
}

/// A person in the workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Hex text, sometimes with zeros in front. Never changes.
    pub cio_id: String,
    pub id: Option<String>,
    pub email: Option<String>,
    /// Without `id`, `email` and `cio_id`.
    pub attributes: BTreeMap<String, Attribute>,
    /// In the order of their coming.
    pub devices: Vec<Device>,
    pub created_by: CreatedBy,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds: the newest `set_at` of anything.
    pub last_edit: i64,
    /// When each topic was set by itself, and when all were replaced at once; unix seconds.
    pub(crate) topics_set_at: BTreeMap<String, i64>,
}

impl Profile {
    /// As it is when it is made, at `at`.
    pub(crate) fn new(
        cio_id: String,
        id: Option<String>,
        email: Option<String>,
        attributes: BTreeMap<String, Attribute>,
        created_by: CreatedBy,
        at: i64,
    ) -> Self {
        let preferences = attributes.get(PREFERENCES).map(|preferences| (ALL_TOPICS.to_owned(), preferences.set_at));
        let (devices, topics_set_at) = (Vec::new(), preferences.into_iter().collect());
        Self { cio_id, id, email, attributes, devices, created_by, created_at: at, last_edit: at, topics_set_at }
    }

    /// An attribute as the platform keeps it, which is as text: `true`, `2`, `{"a":1}`.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<String> {
        self.attributes.get(attribute).map(|attribute| as_text(&attribute.value))
    }

    /// Of an attribute or an identifier, as text; `None` if there is none.
    pub(crate) fn told(&self, name: &str) -> Option<String> {
        match name {
            "id" => self.id.clone(),
            "email" => self.email.clone(),
            "cio_id" => Some(self.cio_id.clone()),
            _ => self.text(name),
        }
    }

    /// "Values like `true`, `TRUE`, `1`, and `"1"` count as true"; everything else is subscribed.
    /// <https://docs.customer.io/integrations/api/app/> (getPersonAttributes)
    #[must_use]
    pub fn is_unsubscribed(&self) -> bool {
        self.text("unsubscribed").is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"))
    }

    /// What the person chose of the topic `topic_<id>`. `None`: "empty or missing values use the topic default".
    #[must_use]
    pub fn topic(&self, id: u64) -> Option<bool> {
        self.topics().get(&format!("topic_{id}")).and_then(Value::as_bool)
    }

    /// What the person chose, by `topic_<id>`, with whatever else was written there.
    pub(crate) fn topics(&self) -> Map<String, Value> {
        let preferences = self.attributes.get(PREFERENCES).map(|attribute| &attribute.value);
        match preferences.and_then(|preferences| preferences.get("topics")) {
            Some(Value::Object(topics)) => topics.clone(),
            Some(_) | None => Map::new(),
        }
    }

    /// The answer of the App API: "Attributes are all stored as strings."
    /// <https://docs.customer.io/integrations/api/app/> (getPersonAttributes)
    pub(crate) fn to_json(&self, defaults: &BTreeMap<String, bool>) -> Value {
        let mut attributes = Map::new();
        let mut timestamps = Map::new();
        for (name, attribute) in &self.attributes {
            attributes.insert(name.clone(), as_text(&attribute.value).into());
            timestamps.insert(name.clone(), attribute.set_at.into());
        }
        for (name, value) in [("cio_id", Some(&self.cio_id)), ("id", self.id.as_ref()), ("email", self.email.as_ref())] {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value.clone().into());
                timestamps.insert(name.to_owned(), self.created_at.into());
            }
        }
        // "Combining set preferences with defaults for unset topics."
        let mut computed: Map<String, Value> = defaults.iter().map(|(topic, default)| (topic.clone(), (*default).into())).collect();
        computed.extend(self.topics().into_iter().filter(|(_, chosen)| chosen.is_boolean()));
        if !computed.is_empty() {
            let computed = serde_json::json!({ "topics": computed }).to_string();
            attributes.insert("_cio_subscription_preferences_computed".to_owned(), computed.into());
            timestamps.insert("_cio_subscription_preferences_computed".to_owned(), 0.into());
        }
        let device = |device: &Device| {
            serde_json::json!({"id": device.token, "platform": device.platform, "last_used": device.last_used,
                               "attributes": device.attributes})
        };
        let devices: Vec<Value> = self.devices.iter().map(device).collect();
        serde_json::json!({"customer": {
            "id": self.id.clone().unwrap_or_default(), "identifiers": self.identifiers(), "attributes": attributes,
            "timestamps": timestamps, "unsubscribed": self.is_unsubscribed(), "devices": devices,
        }})
    }

    pub(crate) fn identifiers(&self) -> Value {
        serde_json::json!({"email": self.email, "id": self.id, "cio_id": self.cio_id})
    }
}

pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// All profiles, with the ways to find them. In a workspace that identifies by id alone several may share an e-mail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    profiles: HashMap<String, Profile>,
    by_id: HashMap<String, String>,
    by_email: HashMap<String, BTreeSet<String>>,
}

impl Directory {
    pub(crate) fn get(&self, cio_id: &str) -> Option<&Profile> {
        self.profiles.get(cio_id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// Every `cio_id` that goes by this identifier.
    pub(crate) fn find(&self, who: &Identifier) -> Vec<&str> {
        match who {
            Identifier::Id(id) => self.by_id.get(id).map(String::as_str).into_iter().collect(),
            Identifier::Email(email) => self.by_email.get(&email.to_lowercase()).into_iter().flatten().map(String::as_str).collect(),
            Identifier::CioId(cio_id) => self.profiles.get(cio_id).map(|profile| profile.cio_id.as_str()).into_iter().collect(),
            Identifier::Phone(phone) => {
                let has = |profile: &&Profile| profile.text("phone").as_ref() == Some(phone);
                self.profiles.values().filter(has).map(|profile| profile.cio_id.as_str()).collect()
            }
        }
    }

    /// The one profile that goes by this identifier; none if there are several.
    pub(crate) fn find_one(&self, who: &Identifier) -> Option<String> {
        match self.find(who).as_slice() {
            [cio_id] => Some((*cio_id).to_owned()),
            _ => None,
        }
    }

    /// Puts a profile in the place of the one with its `cio_id`.
    pub(crate) fn put(&mut self, profile: Profile) {
        self.remove(&profile.cio_id);
        if let Some(id) = &profile.id {
            self.by_id.insert(id.clone(), profile.cio_id.clone());
        }
        if let Some(email) = &profile.email {
            self.by_email.entry(email.to_lowercase()).or_default().insert(profile.cio_id.clone());
        }
        self.profiles.insert(profile.cio_id.clone(), profile);
    }

    /// Changes attributes in place; identifiers must stay as they are.
    pub(crate) fn edit(&mut self, cio_id: &str, change: impl FnOnce(&mut Profile)) {
        if let Some(profile) = self.profiles.get_mut(cio_id) {
            change(profile);
        }
    }

    pub(crate) fn remove(&mut self, cio_id: &str) -> Option<Profile> {
        let profile = self.profiles.remove(cio_id)?;
        if let Some(id) = &profile.id {
            self.by_id.remove(id);
        }
        if let Some(email) = &profile.email
            && let Some(owners) = self.by_email.get_mut(&email.to_lowercase())
        {
            owners.remove(cio_id);
        }
        Some(profile)
    }
}
