//! Decides what the routes make of an event: compiled once when a function starts, then asked for every event. Pure.
//!
//! The expression language is CEL (<https://cel.dev>), without its regular expressions and times. It lives in this module
//! alone, so that functions which only need the settings do not carry it. `fields` says what an expression may speak of,
//! `names` whether it does, `scope` where the values come from.

mod fields;
mod names;
mod scope;

pub use scope::{PersonView, Scope, TicketView};

use crate::action::{CustomerioVerb, Verb};
use crate::config::{
    self, ActionTemplate, Config, Expression, FILE_NAME, MAX_EVENT_NAME_BYTES, Problem, Problems, Route, Template, TemplatePart, Trigger,
};
use crate::event::{Attributes, Kind};
use cel::objects::Key;
use cel::{Context, Env, ExecutionError, Program, Value};
use scope::{View, names_of};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The functions and macros of the language, made once.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// All routes of a file, ready to decide.
#[derive(Debug)]
pub struct Routes {
    /// In the order of the file.
    by_trigger: HashMap<Trigger, Vec<CompiledRoute>>,
}

#[derive(Debug)]
pub struct CompiledRoute {
    name: String,
    on: Trigger,
    named: Vec<String>,
    when: Option<Program>,
    actions: Vec<CompiledAction>,
}

#[derive(Debug)]
enum CompiledAction {
    CustomerioTrackEvent { name: CompiledTemplate, properties: Vec<(String, CompiledTemplate)> },
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
    /// Set when the expression is `event.attributes.<this>` and no more. Sources leave out most attributes most of the time; to
    /// find out by evaluating costs the conversion of all the others.
    attribute: Option<String>,
}

/// What a route makes of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// At least one of these is `Ok`. In the order of the file.
    Take(Vec<Rendered>),
    /// A stable code: `when_false`, `when_not_boolean`, `when_failed` (the condition could not be worked out, for example because
    /// an attribute is missing), or the first action's `value_failed: …` where no action could be rendered.
    Skip(String),
}

/// One action of a route, filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Its place in the route, from 0.
    pub index: usize,
    /// `Err`: this action is skipped with this reason, `value_failed: <field>`, for example `value_failed: properties.score`.
    pub what: Result<Verb, String>,
}

/// Reads a configuration and compiles its routes; `file_name` is for messages only.
///
/// # Errors
/// Everything that is wrong with the file, expressions included, sorted by position.
pub fn check(file_name: &str, text: &str) -> Result<(Config, Routes), Problems> {
    let (config, mut problems) = config::read(text);
    let routes = Routes::compile_into(&config, &mut problems);
    Problems::check(file_name, problems)?;
    Ok((config, routes))
}

impl Routes {
    /// # Errors
    /// Every expression that cannot be understood or speaks of something unknown. The messages name the file `trefoil.yaml`; use
    /// [`check`] to give another name, and to get the problems of the whole file at once.
    pub fn compile(config: &Config) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let routes = Self::compile_into(config, &mut problems);
        Problems::check(FILE_NAME, problems)?;
        Ok(routes)
    }

    fn compile_into(config: &Config, problems: &mut Vec<Problem>) -> Self {
        let mut by_trigger: HashMap<Trigger, Vec<CompiledRoute>> = HashMap::new();
        for route in &config.routes {
            by_trigger.entry(route.on).or_default().push(compile_route(config, route, problems));
        }
        Self { by_trigger }
    }

    /// The routes that hang on this, in the order of the file. One for other names than the event's is none of them.
    pub fn on(&self, trigger: Trigger, kind: &Kind) -> impl Iterator<Item = &CompiledRoute> {
        let (name, id) = names_of(kind);
        self.by_trigger.get(&trigger).into_iter().flatten().filter(move |route| {
            let is = |own: Option<&str>| own.is_some_and(|own| route.named.iter().any(|named| named == own));
            route.named.is_empty() || is(name) || is(id)
        })
    }
}

/// Every field that an expression of a route on this may speak of, such as `event.name`, and whether all routes have it.
pub fn fields(on: Trigger) -> impl Iterator<Item = (String, bool)> {
    fields::fields(on)
}

fn compile_route(config: &Config, route: &Route, problems: &mut Vec<Problem>) -> CompiledRoute {
    let mut compile = |expression: &Expression, role| match names::compile(config, route.on, expression, role) {
        Ok(program) => Some(program),
        Err(messages) => {
            problems.extend(messages.into_iter().map(|message| Problem {
                line: expression.line,
                column: expression.column,
                path: expression.path.clone(),
                message,
            }));
            None
        }
    };
    let when = route.when.as_ref().and_then(|expression| compile(expression, names::Role::Condition));
    let mut compile = |expression: &Expression| {
        let program = compile(expression, names::Role::Value)?;
        let attribute = names::attribute(&program).map(str::to_owned);
        Some(CompiledValue { program, attribute })
    };
    let mut template = |template: &Template| match template {
        Template::Literal(value) => Some(CompiledTemplate::Literal(value.clone())),
        Template::Whole(expression) => compile(expression).map(CompiledTemplate::Whole),
        Template::Mixed(parts) => {
            let parts = parts.iter().map(|part| match part {
                TemplatePart::Text(text) => Some(CompiledPart::Text(text.clone())),
                TemplatePart::Expression(expression) => compile(expression).map(CompiledPart::Expression),
            });
            // Collected in two steps so that every part is looked at, and not only those up to the first bad one.
            let parts: Vec<_> = parts.collect();
            parts.into_iter().collect::<Option<_>>().map(CompiledTemplate::Mixed)
        }
    };
    let actions = route.actions.iter().filter_map(|action| match action {
        ActionTemplate::CustomerioTrackEvent { name, properties } => {
            let name = template(name);
            let properties = properties.iter().filter_map(|(key, value)| Some((key.clone(), template(value)?))).collect();
            Some(CompiledAction::CustomerioTrackEvent { name: name?, properties })
        }
    });
    CompiledRoute { name: route.name.clone(), on: route.on, named: route.named.clone(), when, actions: actions.collect() }
}

// ------------------------------------------------------------------------------------------------ deciding

impl CompiledRoute {
    /// As in the file; unique there.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn decide(&self, scope: &Scope<'_>) -> Decision {
        let view = View { scope, on: self.on.what };
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        context.set_variable_resolver(&view);
        if let Some(when) = &self.when {
            match when.execute(&context) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Decision::Skip("when_false".to_owned()),
                Ok(_) => return Decision::Skip("when_not_boolean".to_owned()),
                Err(_) => return Decision::Skip("when_failed".to_owned()),
            }
        }
        let rendered: Vec<_> =
            self.actions.iter().enumerate().map(|(index, action)| Rendered { index, what: action.render(&context, scope) }).collect();
        match rendered.first().map(|first| &first.what) {
            Some(Err(reason)) if rendered.iter().all(|one| one.what.is_err()) => Decision::Skip(reason.clone()),
            Some(Ok(_) | Err(_)) | None => Decision::Take(rendered),
        }
    }
}

impl CompiledAction {
    fn render(&self, context: &Context<'_, '_>, scope: &Scope<'_>) -> Result<Verb, String> {
        match self {
            Self::CustomerioTrackEvent { name, properties } => {
                let name = match name.render(context, scope) {
                    Ok(Some(Json::String(name))) if !name.trim().is_empty() && name.len() <= MAX_EVENT_NAME_BYTES => name,
                    Ok(_) | Err(Unusable) => return Err("value_failed: name".to_owned()),
                };
                let mut rendered = Attributes::new();
                for (key, value) in properties {
                    match value.render(context, scope) {
                        Ok(Some(value)) => {
                            rendered.insert(key.clone(), value);
                        }
                        Ok(None) => {}
                        Err(Unusable) => return Err(format!("value_failed: properties.{key}")),
                    }
                }
                Ok(Verb::Customerio(CustomerioVerb::TrackEvent { name, properties: rendered }))
            }
        }
    }
}

/// An expression failed, or gave what cannot be sent. No detail: it could hold something of the person.
struct Unusable;

impl CompiledTemplate {
    /// `None`: there is nothing to say, so the field is left out.
    fn render(&self, context: &Context<'_, '_>, scope: &Scope<'_>) -> Result<Option<Json>, Unusable> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Whole(value) => value.evaluate(context, scope),
            Self::Mixed(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        CompiledPart::Text(literal) => text.push_str(literal),
                        CompiledPart::Expression(value) => match value.evaluate(context, scope)? {
                            Some(Json::String(value)) => text.push_str(&value),
                            Some(value @ (Json::Number(_) | Json::Bool(_))) => text.push_str(&value.to_string()),
                            // A list or an object has no form in a sentence.
                            Some(Json::Array(_) | Json::Object(_)) => return Err(Unusable),
                            // A text with a hole in it says something else than was meant.
                            Some(Json::Null) | None => return Ok(None),
                        },
                    }
                }
                Ok(Some(Json::String(text)))
            }
        }
    }
}

impl CompiledValue {
    fn evaluate(&self, context: &Context<'_, '_>, scope: &Scope<'_>) -> Result<Option<Json>, Unusable> {
        if self.attribute.as_ref().is_some_and(|name| scope.attribute(name).is_none()) {
            return Ok(None);
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
fn is_absence(error: &ExecutionError) -> bool {
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
