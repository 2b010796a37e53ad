//! What a workspace has beside people: tags, the custom attributes that exist, the kinds of e-mail one can leave.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/data-attributes>

use super::World;
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub id: String,
    pub name: String,
    /// Unix seconds.
    pub applied_at: i64,
}

/// Whom a custom attribute is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    Contact,
    Company,
}

impl Model {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Company => "company",
        }
    }
}

/// (notes 2.5)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    String,
    Integer,
    Float,
    Boolean,
    /// Unix seconds.
    Datetime,
    /// Unix seconds.
    Date,
    /// One of these texts.
    Options(Vec<String>),
}

impl DataType {
    /// As an attribute shows it; the request has finer words for times and lists.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::String | Self::Options(_) => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Datetime | Self::Date => "date",
        }
    }

    /// Whether a value is of this type. A text outside the options is: see [`super::super::Variants::option_outside`].
    pub(crate) fn fits(&self, value: &Value) -> bool {
        match self {
            Self::String | Self::Options(_) => value.is_string(),
            Self::Integer | Self::Datetime | Self::Date => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// A custom attribute that exists in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataAttribute {
    pub name: String,
    pub model: Model,
    pub data_type: DataType,
    /// Takes no values any more.
    pub archived: bool,
}

/// What being attached to a subscription type means. (notes 2.4)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Attached = the contact wants it.
    OptIn,
    /// Attached = the contact does not want it.
    OptOut,
}

impl Consent {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OptIn => "opt_in",
            Self::OptOut => "opt_out",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionType {
    /// Digits.
    pub id: String,
    pub name: String,
    pub consent: Consent,
}

/// Ids of the notes 1.7 and 2.4.
pub(super) fn subscription_types() -> Vec<SubscriptionType> {
    let one = |id: &str, name: &str, consent| SubscriptionType { id: id.to_owned(), name: name.to_owned(), consent };
    vec![one("1943066", "Announcements", Consent::OptIn), one("37846", "Newsletter", Consent::OptOut)]
}

impl World {
    /// One id for a name, in any case of letters. (notes 2.6)
    pub(crate) fn tag(&mut self, name: &str, now: i64) -> Tag {
        let last = &mut self.last_tag;
        let tag = self.tags.entry(name.to_lowercase()).or_insert_with(|| {
            *last += 1;
            Tag { id: last.to_string(), name: name.to_owned(), applied_at: now }
        });
        Tag { applied_at: now, ..tag.clone() }
    }

    pub(crate) fn tag_with(&self, id: &str, now: i64) -> Option<Tag> {
        self.tags.values().find(|tag| tag.id == id).map(|tag| Tag { applied_at: now, ..tag.clone() })
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.tags.values()
    }

    pub(crate) fn attribute(&self, model: Model, name: &str) -> Option<&DataAttribute> {
        self.attributes.iter().find(|attribute| attribute.model == model && attribute.name == name)
    }

    pub(crate) fn subscription_type(&self, id: &str) -> Option<&SubscriptionType> {
        self.subscription_types.iter().find(|kind| kind.id == id)
    }

    /// What somebody has exists: makes the attributes of `values` that are not there yet.
    pub(super) fn attributes_exist(&mut self, model: Model, values: &Map<String, Value>) {
        for (name, value) in values {
            if self.attribute(model, name).is_some() {
                continue;
            }
            let data_type = match value {
                Value::Bool(_) => DataType::Boolean,
                Value::Number(number) if number.is_f64() => DataType::Float,
                Value::Number(_) => DataType::Integer,
                Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => DataType::String,
            };
            self.attributes.push(DataAttribute { name: name.clone(), model, data_type, archived: false });
        }
    }
}
