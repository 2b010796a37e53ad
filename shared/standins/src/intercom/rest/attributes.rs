//! Custom attributes: which exist, and which values they take. (notes 2.5)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/data-attributes>

use super::asked::{Asked, invalid};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use crate::intercom::variants::LongText;
use crate::intercom::world::{DataAttribute, DataType, Model};
use serde_json::{Map, Value, json};

/// "Strings max 255 characters."
const MAX_TEXT: usize = 255;
/// "250 custom attributes per workspace."
const MAX_ATTRIBUTES: usize = 250;

pub(super) fn list(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let model = match asked.parameter("model").as_deref() {
        None => None,
        Some("contact") => Some(Model::Contact),
        Some("company") => Some(Model::Company),
        // "`model=conversation` gives 422 in 2.16."
        Some(_) => return Err(Refusal::new(422, "data_invalid", "model must be contact or company")),
    };
    let archived = asked.parameter("include_archived").as_deref() == Some("true");
    let shown = |attribute: &&DataAttribute| model.is_none_or(|model| attribute.model == model) && (archived || !attribute.archived);
    let data: Vec<Value> = call.inside.world.attributes.iter().filter(shown).map(shapes::data_attribute).collect();
    ok(&json!({"type": "list", "data": data}))
}

pub(super) fn create(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let name = object.needed("name")?;
    let model = match object.needed("model")? {
        "contact" => Model::Contact,
        "company" => Model::Company,
        _ => return Err(invalid("The Data Attribute model field must be either contact or company")),
    };
    let data_type = match object.needed("data_type")? {
        "string" => DataType::String,
        "integer" => DataType::Integer,
        "float" => DataType::Float,
        "boolean" => DataType::Boolean,
        "datetime" => DataType::Datetime,
        "date" => DataType::Date,
        "options" => {
            let options = object.raw("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let options: Vec<String> = options.iter().filter_map(|option| option.get("value")?.as_str()).map(str::to_owned).collect();
            if options.len() < 2 {
                return Err(invalid("The Data Attribute must have at least two options"));
            }
            DataType::Options(options)
        }
        _ => return Err(invalid("Data Type isn't an option")),
    };
    // Underscores are in the official examples, though the message leaves them out; so is a space.
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '$' | '€' | '£' | '¥');
    if !name.chars().all(allowed) {
        let message = "Your name for this attribute must only contain alphanumeric characters, currency symbols, and hyphens";
        return Err(invalid(message));
    }
    // "The name must be unique over people and company data."
    if let Some(known) = call.inside.world.attributes.iter().find(|known| known.name == name) {
        let people = |model| match model {
            Model::Contact => "people",
            Model::Company => "company",
        };
        let (known, new) = (people(known.model), people(model));
        return Err(invalid(format!(
            "You already have '{name}' in your {known} data. To save this as new {new} data, use a different name."
        )));
    }
    if call.inside.world.attributes.len() >= MAX_ATTRIBUTES {
        return Err(invalid("You have reached the limit of 250 custom data attributes"));
    }
    let attribute = DataAttribute { name: name.to_owned(), model, data_type, archived: false };
    call.world().attributes.push(attribute.clone());
    ok(&shapes::data_attribute(&attribute))
}

/// The values as they will be kept. One that cannot be refuses the whole request. `null` takes a value away, which is in
/// no page.
pub(super) fn checked(call: &Call<'_>, model: Model, given: &Map<String, Value>) -> Result<Vec<(String, Value)>, Refusal> {
    let variants = call.shared.options.variants;
    let refused = |text: String| Refusal::open(variants.unknown_attribute, text);
    let mut values = Vec::with_capacity(given.len());
    for (name, value) in given {
        if call.shared.options.has_everything && !value.is_object() && !value.is_array() {
            values.push((name.clone(), value.clone()));
            continue;
        }
        let Some(attribute) = call.inside.world.attribute(model, name).filter(|attribute| !attribute.archived) else {
            return Err(refused(format!("Custom attribute '{name}' does not exist")));
        };
        if value.is_object() || value.is_array() || !(value.is_null() || attribute.data_type.fits(value)) {
            return Err(refused(format!("Custom attribute '{name}' is not of type {}", attribute.data_type.as_str())));
        }
        if let (DataType::Options(options), Some(text)) = (&attribute.data_type, value.as_str())
            && !variants.option_outside
            && !options.iter().any(|option| option == text)
        {
            return Err(invalid(format!("Custom attribute '{name}' has no such option")));
        }
        let value = match value.as_str() {
            Some(text) if text.chars().count() > MAX_TEXT => match variants.long_text {
                LongText::Refused => return Err(refused(format!("Custom attribute '{name}' is longer than {MAX_TEXT} characters"))),
                LongText::Cut => Value::String(text.chars().take(MAX_TEXT).collect()),
            },
            Some(_) | None => value.clone(),
        };
        values.push((name.clone(), value));
    }
    Ok(values)
}

pub(super) fn apply(target: &mut Map<String, Value>, values: Vec<(String, Value)>) {
    for (name, value) in values {
        if value.is_null() {
            target.remove(&name);
        } else {
            target.insert(name, value);
        }
    }
}
