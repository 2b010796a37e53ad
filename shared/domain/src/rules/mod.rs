//! Decides what the routes make of an event: compiled once when a function starts, then asked for every event. Pure.
//!
//! The expression language is CEL (<https://cel.dev>), without its regular expressions and times. It lives in this module
//! alone, so that functions which only need the settings do not carry it. `fields` says what an expression may speak of,
//! `names` whether it does, `scope` where the values come from, `render` what becomes of them.

mod fields;
mod names;
mod render;
mod scope;
mod title;

pub use scope::{PersonView, Scope, TicketView};

use crate::action::Verb;
use crate::config::{self, Config, FILE_NAME, Problem, Problems, Trigger, What};
use crate::event::{Kind, Source};
use cel::{Context, Env, Program, Value};
use names::Role;
use render::{CompiledAction, Compiler};
use scope::{View, names_of};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The functions and macros of the language, made once.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// All routes of a file, ready to decide.
#[derive(Debug)]
pub struct Routes {
    /// In the order of the file.
    routes: Vec<CompiledRoute>,
    /// Places in `routes`, in order.
    by_trigger: HashMap<Trigger, Vec<usize>>,
}

#[derive(Debug)]
struct CompiledRoute {
    name: String,
    named: Vec<String>,
    when: Option<Program>,
    actions: Vec<CompiledAction>,
    /// It speaks of `event.campaign_name`, which has to be asked for.
    names_campaigns: bool,
}

/// A route, as it hangs on one of its events.
#[derive(Clone, Copy, Debug)]
pub struct RouteOn<'r> {
    route: &'r CompiledRoute,
    on: What,
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
        let mut by_trigger: HashMap<Trigger, Vec<usize>> = HashMap::new();
        for (place, route) in config.routes.iter().enumerate() {
            for on in &route.on {
                by_trigger.entry(*on).or_default().push(place);
            }
        }
        let routes = config.routes.iter().map(|route| {
            let mut compiler = Compiler { config, on: &route.on, problems, names_campaigns: false };
            let when = route.when.as_ref().and_then(|when| compiler.program(when, Role::Condition));
            let actions = route.actions.iter().filter_map(|action| compiler.action(action)).collect();
            let names_campaigns = compiler.names_campaigns;
            CompiledRoute { name: route.name.clone(), named: route.named.clone(), when, actions, names_campaigns }
        });
        Self { routes: routes.collect(), by_trigger }
    }

    /// Some route that hangs on this says what the campaign is called.
    pub fn name_campaigns(&self, trigger: Trigger) -> bool {
        self.by_trigger.get(&trigger).into_iter().flatten().filter_map(|place| self.routes.get(*place)).any(|route| route.names_campaigns)
    }

    /// Some route passes on what this tool says of people, so that our own writing to it could come back that way.
    pub fn passes_on(&self, source: Source) -> bool {
        let said = [What::PersonCreated, What::PersonUpdated, What::PersonSignedUp];
        said.into_iter().any(|what| self.by_trigger.contains_key(&Trigger { source, what }))
    }

    /// The routes that hang on this, in the order of the file. One for other names than the event's is none of them.
    pub fn on(&self, trigger: Trigger, kind: &Kind) -> impl Iterator<Item = RouteOn<'_>> {
        let (name, id) = names_of(kind);
        let routes = self.by_trigger.get(&trigger).into_iter().flatten().filter_map(|place| self.routes.get(*place));
        let of_its_name = routes.filter(move |route| {
            let is = |own: Option<&str>| own.is_some_and(|own| route.named.iter().any(|named| named == own));
            route.named.is_empty() || is(name) || is(id)
        });
        of_its_name.map(move |route| RouteOn { route, on: trigger.what })
    }
}

/// Every field that an expression of a route on this may speak of, such as `event.name`, and whether all routes have it.
pub fn fields(on: Trigger) -> impl Iterator<Item = (String, bool)> {
    fields::fields(on)
}

impl<'r> RouteOn<'r> {
    /// As in the file; unique there.
    pub fn name(&self) -> &'r str {
        &self.route.name
    }

    /// Whether the action at this place is done to a person.
    pub fn needs_person(&self, index: usize) -> bool {
        self.route.actions.get(index).is_some_and(CompiledAction::needs_person)
    }

    pub fn decide(&self, scope: &Scope<'_>) -> Decision {
        let view = View { scope, on: self.on };
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        context.set_variable_resolver(&view);
        if let Some(when) = &self.route.when {
            match when.execute(&context) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Decision::Skip("when_false".to_owned()),
                Ok(_) => return Decision::Skip("when_not_boolean".to_owned()),
                Err(_) => return Decision::Skip("when_failed".to_owned()),
            }
        }
        let actions = self.route.actions.iter().enumerate();
        let rendered: Vec<_> = actions.map(|(index, action)| Rendered { index, what: action.render(&context, &view) }).collect();
        match rendered.first().map(|first| &first.what) {
            Some(Err(reason)) if rendered.iter().all(|one| one.what.is_err()) => Decision::Skip(reason.clone()),
            Some(Ok(_) | Err(_)) | None => Decision::Take(rendered),
        }
    }
}
