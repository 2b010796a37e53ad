//! Custom attributes of contacts and companies. Intercom refuses the whole write for one that it does not have, so what it
//! has is asked for as soon as one is refused, and what does not fit is made, converted or left out.
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes>

use super::No;
use super::values::{cut_text, flat_text, unix_seconds};
use crate::http::Answer;
use crate::intercom::client::{IntercomClient, read};
use crate::intercom::request::Request;
use crate::lenient::{Flag, List, Text};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use trefoil_domain::event::Attributes;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Called;
use trefoil_domain::time::{Span, Timestamp};

/// What Intercom has is asked for no more often than this.
const LIST_LASTS: Span = Span::from_mins(1);
/// 250 attributes with their options and descriptions.
const MOST_LIST_BYTES: usize = 8 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    Contact,
    Company,
}

impl Model {
    fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Company => "company",
        }
    }
}

pub(super) fn list(model: Model) -> Request {
    let query = Some(("model", model.as_str()));
    Request { asks: false, query, most_answer_bytes: Some(MOST_LIST_BYTES), ..Request::get(&["data_attributes"]) }
}

/// Of the type of `value`, for good: so a number may have a fraction one day.
pub(super) fn create(model: Model, name: &str, value: &Value) -> Request {
    let data_type = match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "float",
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => "string",
    };
    Request::post(&["data_attributes"], json!({"name": name, "model": model.as_str(), "data_type": data_type}))
}

/// What the workspace has, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Lists {
    contact: Mutex<Option<Known>>,
    company: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    read_at: Timestamp,
    by_name: BTreeMap<String, Takes>,
}

/// What an attribute takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Text,
    Whole,
    Number,
    Truth,
    Time,
    /// Of a type that we have not heard of.
    Anything,
    /// In the archive, or not to be written through the API.
    Nothing,
}

impl Known {
    fn is_old(&self, now: Timestamp) -> bool {
        // Also where the clock was set back.
        !(Span::ZERO..LIST_LASTS).contains(&now.since(self.read_at))
    }

    fn takes_all(&self, values: &Map<String, Value>) -> bool {
        values.iter().all(|(name, value)| self.by_name.get(name).is_some_and(|takes| takes.converted(value).is_some()))
    }
}

impl Takes {
    fn of(data_type: Option<&str>) -> Self {
        match data_type {
            Some("string" | "options") => Self::Text,
            Some("integer") => Self::Whole,
            Some("float") => Self::Number,
            Some("boolean") => Self::Truth,
            Some("date" | "datetime") => Self::Time,
            Some(_) | None => Self::Anything,
        }
    }

    /// `None`: it does not take it.
    fn converted(self, value: &Value) -> Option<Value> {
        let text = || value.as_str().map(str::trim);
        match self {
            Self::Text if value.is_string() => Some(value.clone()),
            Self::Text => Some(Value::String(value.to_string())),
            Self::Whole => {
                let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
                let number = value.as_i64().or_else(|| text()?.parse().ok());
                number.or_else(|| whole(value.as_f64()?)).map(Value::from)
            }
            Self::Number if value.is_number() => Some(value.clone()),
            Self::Number => text()?.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
            Self::Truth => match (value, text()) {
                (Value::Bool(_), _) => Some(value.clone()),
                (_, Some(word)) if word.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
                (_, Some(word)) if word.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
                _ => None,
            },
            Self::Time => unix_seconds(value).map(Value::from),
            Self::Anything => Some(value.clone()),
            Self::Nothing => None,
        }
    }
}

/// Attributes as they are sent, and what was left out or cut on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shaped {
    pub(super) values: Map<String, Value>,
    pub(super) notes: Vec<String>,
}

impl Shaped {
    /// As Intercom takes values, whatever attributes it has. A null says nothing.
    pub(super) fn of(attributes: &Attributes) -> Self {
        let mut shaped = Self::default();
        for (name, value) in attributes.iter().filter(|(_, value)| !value.is_null()) {
            if name.is_empty() || name.contains(['.', '$']) {
                shaped.notes.push(format!("attribute_name: {name}"));
                continue;
            }
            let value = cut_text(name, flat_text(value), &mut shaped.notes);
            shaped.values.insert(name.clone(), value);
        }
        shaped
    }

    fn left_out(&mut self, problem: &str, name: &str) {
        self.notes.push(format!("{problem}: {name}"));
    }

    /// What Intercom takes of it.
    fn fitted(self, known: &Known) -> Self {
        let mut fitted = Self { values: Map::new(), notes: self.notes };
        for (name, value) in self.values {
            match known.by_name.get(&name) {
                None | Some(Takes::Nothing) => fitted.left_out("attribute_unknown", &name),
                Some(takes) => match takes.converted(&value) {
                    None => fitted.left_out("attribute_type", &name),
                    // A number may have become a text.
                    Some(value) => {
                        fitted.values.insert(name, value);
                    }
                },
            }
        }
        fitted
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listing<'a> {
    #[serde(borrow)]
    data: List<Listed<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    full_name: Text<'a>,
    #[serde(borrow)]
    data_type: Text<'a>,
    custom: Flag,
    api_writable: Flag,
    archived: Flag,
}

fn by_name(answer: &Answer) -> Option<BTreeMap<String, Takes>> {
    let listing: Listing<'_> = read(answer).ok()?;
    let listed = listing.data.0?;
    let custom = listed.iter().filter_map(|listed| {
        let full_name = listed.full_name.get().unwrap_or_default();
        let name = full_name.strip_prefix("custom_attributes.").or_else(|| listed.name.get().filter(|_| listed.custom.0 == Some(true)))?;
        let can_be_written = listed.archived.0 != Some(true) && listed.api_writable.0 != Some(false);
        Some((name.to_owned(), if can_be_written { Takes::of(listed.data_type.get()) } else { Takes::Nothing }))
    });
    Some(custom.collect())
}

impl IntercomClient {
    /// Makes the request that `request` builds of the attributes. Where it is refused, what Intercom has is looked up, what is
    /// missing is made if that is wanted, and what does not fit is left out; then it is made once more. Once the list is known,
    /// nothing is sent that does not fit.
    pub(super) async fn write_with(
        &self,
        model: Model,
        attributes: &Attributes,
        request: impl Fn(&Map<String, Value>) -> (Request, Vec<String>) + Sync,
        now: Timestamp,
    ) -> Result<(Answer, Vec<String>), No> {
        let shaped = Shaped::of(attributes);
        let fitted = match self.list_known(model) {
            Some(known) if !shaped.values.is_empty() => self.fit(known, model, shaped.clone(), now).await?,
            Some(_) | None => shaped.clone(),
        };
        let (first, notes) = request(&fitted.values);
        let no = match self.write(&first, now).await {
            Ok(answer) => return Ok((answer, [notes, fitted.notes].concat())),
            Err(no) => no,
        };
        if !matches!(no.status, 400 | 422) || fitted.values.is_empty() {
            return Err(no);
        }
        // Another write may have asked meanwhile.
        let young = self.list_known(model).filter(|known| !known.is_old(now));
        let just_read = young.is_none();
        let known = match young {
            Some(known) => known,
            None => match self.read_list(model, now).await {
                Ok(known) => known,
                // What was refused stays refused, unless asking again may help.
                Err(why) if why.can_wait() => return Err(why),
                Err(_) => return Err(no),
            },
        };
        let missing = fitted.values.keys().any(|name| !known.by_name.contains_key(name));
        let again = self.fit(known, model, shaped, now).await?;
        if again.values == fitted.values && !(missing && self.create_attributes) {
            // What Intercom has may have changed since it was asked; it is asked again when that may be.
            return Err(if just_read { no } else { No::from(Called::Not(Outcome::retry(LIST_LASTS, "attributes_in_doubt"))) });
        }
        let (second, notes) = request(&again.values);
        let answer = self.write(&second, now).await?;
        Ok((answer, [notes, again.notes].concat()))
    }

    /// Brings the attributes in line with what Intercom has, which is asked for again if that may help.
    async fn fit(&self, mut known: Known, model: Model, shaped: Shaped, now: Timestamp) -> Result<Shaped, No> {
        if !known.takes_all(&shaped.values) && known.is_old(now) {
            match self.read_list(model, now).await {
                Ok(read) => known = read,
                Err(why) if why.can_wait() => return Err(why),
                Err(_) => {}
            }
        }
        if self.create_attributes {
            known = self.create_missing(known, model, &shaped.values, now).await?;
        }
        Ok(shaped.fitted(&known))
    }

    async fn create_missing(&self, mut known: Known, model: Model, values: &Map<String, Value>, now: Timestamp) -> Result<Known, No> {
        let missing: Vec<_> = values.iter().filter(|(name, _)| !known.by_name.contains_key(*name)).collect();
        let mut refused = Vec::new();
        for (name, value) in missing {
            let request = create(model, name, value);
            let data_type = request.body.as_ref().and_then(|body| body["data_type"].as_str()).map(str::to_owned);
            match self.help(&request, now).await {
                Ok(_) => {
                    known.by_name.insert(name.clone(), Takes::of(data_type.as_deref()));
                }
                Err(no) if no.can_wait() => {
                    self.learn(model, known);
                    return Err(no);
                }
                Err(_) => refused.push(name),
            }
        }
        if !refused.is_empty() {
            // Somebody else may have made it in this moment.
            match self.read_list(model, now).await {
                Ok(read) => known = read,
                Err(no) if no.can_wait() => return Err(no),
                Err(_) => {}
            }
            // It is not tried again until the list is old.
            for name in refused {
                known.by_name.entry(name.clone()).or_insert(Takes::Nothing);
            }
        }
        self.learn(model, known.clone());
        Ok(known)
    }

    async fn read_list(&self, model: Model, now: Timestamp) -> Result<Known, No> {
        let answer = self.help(&list(model), now).await?;
        let by_name = by_name(&answer).ok_or_else(|| No::from(Called::Not(crate::intercom::client::unreadable())))?;
        let known = Known { read_at: now, by_name };
        self.learn(model, known.clone());
        Ok(known)
    }

    fn of_model(&self, model: Model) -> &Mutex<Option<Known>> {
        match model {
            Model::Contact => &self.known.attributes.contact,
            Model::Company => &self.known.attributes.company,
        }
    }

    fn list_known(&self, model: Model) -> Option<Known> {
        self.of_model(model).lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, model: Model, known: Known) {
        *self.of_model(model).lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}
