//! Templates to values, and values to the action that they make. The table of actions says what each field may be; the
//! types of [`crate::action`] read the result.

use super::names::{self, Role};
use super::scope::View;
use crate::action::{CustomerioVerb, IntercomVerb, SegmentVerb, Verb};
use crate::config::{
    ActionKind, ActionTemplate, Config, EntryTemplate, Expression, Field, FieldTemplate, Need, Problem, Shape, Template, TemplatePart,
    Trigger,
};
use crate::ports::Destination;
use cel::context::VariableResolver;
use cel::objects::Key;
use cel::{Context, ExecutionError, Program, Value};
use serde_json::Value as Json;

type JsonMap = serde_json::Map<String, Json>;

#[derive(Debug)]
pub(super) struct CompiledAction {
    kind: &'static ActionKind,
    fields: Vec<(&'static Field, CompiledField)>,
}

#[derive(Debug)]
enum CompiledField {
    Value(CompiledTemplate),
    Entries(Vec<CompiledEntry>),
    Mapping(CompiledValue),
}

#[derive(Debug)]
struct CompiledEntry {
    key: String,
    open_key: Option<CompiledTemplate>,
    value: CompiledTemplate,
}

#[derive(Debug)]
enum CompiledTemplate {
    Literal(Json),
    Whole(CompiledValue),
    Mixed(Vec<CompiledPart>),
}

#[derive(Debug)]
enum CompiledPart {
    Text(String),
    Expression(CompiledValue),
}

#[derive(Debug)]
struct CompiledValue {
    program: Program,
    /// Set when the expression is one field and no more, as most are: reading that takes no interpreter. Sources leave out most
    /// attributes most of the time, and to find that out by evaluating costs the conversion of all the others.
    field: Option<String>,
}

// ------------------------------------------------------------------------------------------------ compiling

/// Of one route.
pub(super) struct Compiler<'a> {
    pub(super) config: &'a Config,
    pub(super) on: &'a [Trigger],
    pub(super) problems: &'a mut Vec<Problem>,
    /// Some expression so far may speak of `event.campaign_name`.
    pub(super) names_campaigns: bool,
}

/// What follows is collected in two steps, so that every part is looked at, and not only those up to the first bad one.
fn all<T>(parts: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let parts: Vec<_> = parts.collect();
    parts.into_iter().collect()
}

impl Compiler<'_> {
    pub(super) fn program(&mut self, expression: &Expression, role: Role) -> Option<Program> {
        let problem = |message| Problem { line: expression.line, column: expression.column, path: expression.path.clone(), message };
        // An attribute of that name counts too: one question too many does no harm.
        self.names_campaigns |= expression.source.contains("campaign_name");
        match names::compile(self.config, self.on, expression, role) {
            Ok(program) => Some(program),
            Err(messages) => {
                self.problems.extend(messages.into_iter().map(problem));
                None
            }
        }
    }

    pub(super) fn action(&mut self, action: &ActionTemplate) -> Option<CompiledAction> {
        let fields = all(action.fields.iter().map(|(field, template)| Some((*field, self.field(template)?))))?;
        Some(CompiledAction { kind: action.kind, fields })
    }

    fn field(&mut self, template: &FieldTemplate) -> Option<CompiledField> {
        match template {
            FieldTemplate::Value(template) => self.template(template).map(CompiledField::Value),
            FieldTemplate::Entries(entries) => all(entries.iter().map(|entry| self.entry(entry))).map(CompiledField::Entries),
            FieldTemplate::Mapping(expression) => self.value(expression, Role::Mapping).map(CompiledField::Mapping),
        }
    }

    fn entry(&mut self, entry: &EntryTemplate) -> Option<CompiledEntry> {
        let open_key = entry.open_key.as_ref().map(|key| self.template(key));
        let value = self.template(&entry.value);
        Some(CompiledEntry { key: entry.key.clone(), open_key: open_key.map_or(Some(None), |key| key.map(Some))?, value: value? })
    }

    fn template(&mut self, template: &Template) -> Option<CompiledTemplate> {
        match template {
            Template::Literal(value) => Some(CompiledTemplate::Literal(value.clone())),
            Template::Whole(expression) => self.value(expression, Role::Value).map(CompiledTemplate::Whole),
            Template::Mixed(parts) => all(parts.iter().map(|part| match part {
                TemplatePart::Text(text) => Some(CompiledPart::Text(text.clone())),
                TemplatePart::Expression(expression) => self.value(expression, Role::Value).map(CompiledPart::Expression),
            }))
            .map(CompiledTemplate::Mixed),
        }
    }

    fn value(&mut self, expression: &Expression, role: Role) -> Option<CompiledValue> {
        let program = self.program(expression, role)?;
        let field = names::field(&program);
        Some(CompiledValue { program, field })
    }
}

// ------------------------------------------------------------------------------------------------ rendering

/// An expression failed, or gave what cannot be sent. No detail: it could hold something of the person.
struct Unusable;

impl CompiledAction {
    pub(super) fn needs_person(&self) -> bool {
        self.kind.needs_person
    }

    /// The error names the field: `value_failed: properties.score`.
    pub(super) fn render(&self, context: &Context<'_, '_>, view: &View<'_, '_>) -> Result<Verb, String> {
        let mut fields = JsonMap::new();
        for (field, template) in &self.fields {
            let value = match template {
                CompiledField::Value(template) => {
                    let value = template.render(context, view).and_then(|value| shaped(&field.shape, value));
                    value.map_err(|Unusable| failed(field.name))?
                }
                CompiledField::Entries(entries) => Some(Json::Object(map(field, entries, context, view)?)),
                CompiledField::Mapping(value) => match value.evaluate(context, view) {
                    Ok(Some(Json::Object(mut values))) => {
                        // Of a mapping that is put together in the expression itself, everything is asked for.
                        let unasked = match &field.shape {
                            Shape::Map(map) if value.field.is_some() => map.unasked,
                            _ => &[],
                        };
                        values.retain(|name, value| !value.is_null() && !unasked.contains(&name.as_str()));
                        Some(Json::Object(values))
                    }
                    Ok(None) => None,
                    Ok(Some(_)) | Err(Unusable) => return Err(failed(field.name)),
                },
            };
            match (value, field.need) {
                (Some(value), _) => {
                    fields.insert(field.name.to_owned(), value);
                }
                (None, Need::Required(_) | Need::WhereGiven) => return Err(failed(field.name)),
                (None, Need::Optional) => {}
            }
        }
        let verb = match self.kind.destination {
            Destination::Customerio => CustomerioVerb::of(self.kind.verb(), fields).map(Verb::Customerio),
            Destination::Intercom => IntercomVerb::of(self.kind.verb(), fields).map(Verb::Intercom),
            Destination::Segment => SegmentVerb::of(self.kind.verb(), fields).map(Verb::Segment),
        };
        // The table and the types agree, which a test looks after.
        verb.map_err(|_| failed("fields"))
    }
}

fn failed(field: &str) -> String {
    format!("value_failed: {field}")
}

fn map(field: &Field, entries: &[CompiledEntry], context: &Context<'_, '_>, view: &View<'_, '_>) -> Result<JsonMap, String> {
    let mut values = JsonMap::new();
    for CompiledEntry { key, open_key, value } in entries {
        let failed = |Unusable| failed(&format!("{}.{key}", field.name));
        let key = match open_key {
            None => Some(key.clone()),
            Some(template) => template.render_key(context, view).map_err(failed)?,
        };
        // An entry without a name is nobody's, whatever its value.
        let Some(key) = key else { continue };
        if let Some(value) = value.render(context, view).map_err(failed)? {
            values.insert(key, value);
        }
    }
    Ok(values)
}

/// What a value of any type is in a field of this shape. Empty text says nothing.
fn shaped(shape: &Shape, value: Option<Json>) -> Result<Option<Json>, Unusable> {
    let fits = |text: &str, most: Option<usize>| most.is_none_or(|most| text.len() <= most);
    Ok(match (shape, value) {
        (_, None) => None,
        (Shape::Name { .. } | Shape::Text { .. }, Some(Json::String(text))) if text.trim().is_empty() => None,
        (Shape::Name { most_bytes, .. }, Some(Json::String(text))) if fits(&text, *most_bytes) => Some(Json::String(text)),
        (Shape::Name { .. }, Some(_)) => return Err(Unusable),
        (Shape::Text { .. }, Some(value)) => Some(Json::String(as_text(value)?)),
        (Shape::Value | Shape::Flag | Shape::Word(_) | Shape::Map(_), Some(value)) => Some(value),
    })
}

/// A list or an object has no form in a sentence.
fn as_text(value: Json) -> Result<String, Unusable> {
    match value {
        Json::String(text) => Ok(text),
        Json::Number(_) | Json::Bool(_) => Ok(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => Err(Unusable),
    }
}

impl CompiledTemplate {
    /// `None`: there is nothing to say, so the field is left out.
    fn render(&self, context: &Context<'_, '_>, view: &View<'_, '_>) -> Result<Option<Json>, Unusable> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Whole(value) => value.evaluate(context, view),
            Self::Mixed(parts) => Ok(mixed(parts, context, view, Ok)?.map(Json::String)),
        }
    }

    /// What expressions come to is made fit for a name; what stands in the file is left alone.
    fn render_key(&self, context: &Context<'_, '_>, view: &View<'_, '_>) -> Result<Option<String>, Unusable> {
        match self {
            Self::Literal(value) => Ok(value.as_str().map(str::to_owned)),
            Self::Whole(value) => {
                let Some(value) = value.evaluate(context, view)? else { return Ok(None) };
                slug(&as_text(value)?).map(Some)
            }
            Self::Mixed(parts) => mixed(parts, context, view, |text| slug(&text)),
        }
    }
}

/// `made` of what expressions come to. `None`: a text with a hole in it says something else than was meant.
fn mixed(
    parts: &[CompiledPart],
    context: &Context<'_, '_>,
    view: &View<'_, '_>,
    made: fn(String) -> Result<String, Unusable>,
) -> Result<Option<String>, Unusable> {
    let mut text = String::new();
    for part in parts {
        match part {
            CompiledPart::Text(literal) => text.push_str(literal),
            CompiledPart::Expression(value) => match value.evaluate(context, view)? {
                Some(value) => text.push_str(&made(as_text(value)?)?),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(text))
}

/// Lower case, and `_` for everything but letters and digits: `Trial users (EU)` is `trial_users_eu`. Nothing but signs is no name.
fn slug(text: &str) -> Result<String, Unusable> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { Err(Unusable) } else { Ok(words.join("_")) }
}

impl CompiledValue {
    fn evaluate(&self, context: &Context<'_, '_>, view: &View<'_, '_>) -> Result<Option<Json>, Unusable> {
        if let Some(field) = &self.field {
            let value = view.resolve(field).map(|value| Value::try_from(value.as_ref()));
            return match value.transpose().map_err(|_| Unusable)? {
                None | Some(Value::Null) => Ok(None),
                Some(value) => to_json(&value).map(Some).ok_or(Unusable),
            };
        }
        match self.program.execute(context) {
            Ok(Value::Null) => Ok(None),
            Ok(value) => to_json(&value).map(Some).ok_or(Unusable),
            Err(error) if is_absence(&error) => Ok(None),
            Err(_) => Err(Unusable),
        }
    }
}

/// The expression failed for want of a value: no such attribute, or something was to be done with null.
pub(super) fn is_absence(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::NoSuchKey(_) => true,
        ExecutionError::NoSuchOverload(overload) => overload.argument_types().iter().any(|name| name == "null_type"),
        ExecutionError::UnsupportedBinaryOperator(_, left, right) => *left == Value::Null || *right == Value::Null,
        _ => false,
    }
}

/// `None` for what JSON cannot hold: bytes, infinity, a map with keys other than text.
fn to_json(value: &Value) -> Option<Json> {
    match value {
        Value::Null => Some(Json::Null),
        Value::Bool(value) => Some((*value).into()),
        Value::Int(value) => Some((*value).into()),
        Value::UInt(value) => Some((*value).into()),
        Value::Float(value) => serde_json::Number::from_f64(*value).map(Json::Number),
        Value::String(value) => Some(Json::String(value.as_str().to_owned())),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => map
            .map
            .iter()
            .map(|(key, value)| match key {
                Key::String(key) => Some((key.as_str().to_owned(), to_json(value)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => None,
            })
            .collect(),
        Value::Function(..) | Value::Bytes(_) | Value::Opaque(_) | Value::Struct(_) => None,
    }
}
