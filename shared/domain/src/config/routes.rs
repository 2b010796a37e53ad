//! The `routes:` of a file: on which event, under which condition. What they do is in `doing`.

use super::build::{Build, Fields};
use super::doing::{Doing, EventNames};
use super::problems::{listed, nearest, quoted};
use super::yaml::{Node, Value};
use super::{ConsentConfig, Expression, Route, Trigger};

/// An event, for messages.
const EXAMPLE: &str = "intercom.ticket.opened";

/// What routes know of each other and of the rest of the file.
struct Known<'n> {
    /// Names of routes so far, and their lines.
    names: Vec<(&'n str, usize)>,
    event_names: EventNames<'n>,
    consent: &'n ConsentConfig,
}

pub(super) fn routes(build: &mut Build<'_>, node: &Node, path: &str, consent: &ConsentConfig) -> Vec<Route> {
    let Value::List(items) = &node.value else {
        build.wrong_type(node, path, "a list of routes, each beginning with `- name:`");
        return Vec::new();
    };
    let mut known = Known { names: Vec::new(), event_names: EventNames::default(), consent };
    items.iter().enumerate().filter_map(|(i, item)| route(build, item, &format!("{path}[{i}]"), &mut known)).collect()
}

fn route<'n>(build: &mut Build<'_>, node: &'n Node, path: &str, known: &mut Known<'n>) -> Option<Route> {
    let fields = build.mapping(node, path, &["name", "on", "named", "when", "do"])?;
    let name = name(build, &fields, &mut known.names);
    let on = fields.require(build, "on", &format!("say on which event, such as `on: {EXAMPLE}`"));
    let on = on.map(|(node, path)| triggers(build, node, &path)).unwrap_or_default();
    let named = fields.get("named").map(|(node, path)| named(build, node, &path, &on)).unwrap_or_default();
    let when = fields.get("when").and_then(|(node, path)| condition(build, node, path));
    let actions = fields.require(build, "do", "a route without an action does nothing; add `do:` with an action, or remove the route");
    let mut doing = Doing { on: &on, consent: known.consent, event_names: &mut known.event_names };
    let actions = actions.map(|(node, path)| doing.actions(build, node, &path)).unwrap_or_default();
    // Without an event nothing can be said about the expressions.
    (!on.is_empty()).then(|| Route { name: name.unwrap_or_default(), on, named, when, actions })
}

fn name<'n>(build: &mut Build<'_>, fields: &Fields<'n>, names: &mut Vec<(&'n str, usize)>) -> Option<String> {
    let (node, path) = fields.require(build, "name", "say in a few words what the route does; the name shows in traces")?;
    let name = build.text(node, &path, "a name in a few words")?.text.as_str();
    match names.iter().find(|(other, _)| *other == name) {
        Some((_, line)) => {
            build.say(node.at, &path, format!("the route on line {line} has the name {} too; names tell routes apart", quoted(name)))
        }
        None => names.push((name, node.at.line)),
    }
    Some(name.to_owned())
}

/// One event or several.
fn triggers(build: &mut Build<'_>, node: &Node, path: &str) -> Vec<Trigger> {
    let Value::List(items) = &node.value else {
        let expected = format!("an event such as `{EXAMPLE}`, or a list of events");
        return trigger(build, node, path, &expected).into_iter().collect();
    };
    build.empty_list(node, path, "the route would never be taken");
    let mut triggers = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        match trigger(build, item, &path, &format!("an event such as `{EXAMPLE}`")) {
            Some(trigger) if triggers.contains(&trigger) => build.say(item.at, &path, format!("`{trigger}` is already in the list")),
            Some(trigger) => triggers.push(trigger),
            None => {}
        }
    }
    triggers
}

/// `expected` completes "expected …".
fn trigger(build: &mut Build<'_>, node: &Node, path: &str, expected: &str) -> Option<Trigger> {
    let text = &build.text(node, path, expected)?.text;
    let found = Trigger::all().find(|(_, name)| name == text).map(|(trigger, _)| trigger);
    if found.is_none() {
        build.say(node.at, path, format!("no event is named {}{}", quoted(text), near_event(text)));
    }
    found
}

/// What may have been meant: there are too many events to list them all.
fn near_event(text: &str) -> String {
    let names = || Trigger::all().map(|(_, name)| name);
    // Those that begin like this; cut short after the next word where that is much less to read.
    let below = |prefix: &str| {
        let rests = || names().filter_map(|name| name.strip_prefix(prefix)?.strip_prefix('.'));
        let mut groups: Vec<String> = rests()
            .map(|rest| match rest.split_once('.') {
                Some((word, _)) if rests().count() > 12 => format!("{prefix}.{word}.…"),
                Some(_) | None => format!("{prefix}.{rest}"),
            })
            .collect();
        groups.dedup();
        (!groups.is_empty()).then(|| format!("; known: {}", listed(groups)))
    };
    let near = || nearest(text, names()).map(|near| format!(" (did you mean `{near}`?)"));
    let mut parents = std::iter::successors(text.rsplit_once('.'), |(parent, _)| parent.rsplit_once('.')).map(|(parent, _)| parent);
    below(text).or_else(near).or_else(|| parents.find_map(below)).unwrap_or_else(|| {
        let mut sources: Vec<&str> = Trigger::all().map(|(trigger, _)| trigger.source.name()).collect();
        sources.dedup();
        format!("; its first word is one of {}", listed(sources))
    })
}

/// One name or several.
fn named(build: &mut Build<'_>, node: &Node, path: &str, on: &[Trigger]) -> Vec<String> {
    if let Some(on) = on.iter().find(|on| !on.what.has_name()) {
        let message = format!(
            "`named` is for what people give names to, such as `segment.event.tracked`; `{on}` has no name: remove `named`, or use `when`"
        );
        build.say(node.at, path, message);
    }
    let items = match &node.value {
        Value::List(items) => items.iter().enumerate().map(|(i, item)| (item, format!("{path}[{i}]"))).collect(),
        Value::Text(_) => vec![(node, path.to_owned())],
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Map(_) | Value::Broken => {
            build.wrong_type(node, path, "a name, or a list of names such as `[Trial Started]`; numbers need quotes");
            return Vec::new();
        }
    };
    build.empty_list(node, path, "the route would never be taken");
    let mut names: Vec<String> = Vec::new();
    for (item, path) in items {
        let Some(text) = build.text(item, &path, "a name, in quotes if it is a number") else { continue };
        if !text.marks.is_empty() {
            build.say(item.at, &path, "`${` does not work here: a name is compared as it stands; use `when` for a condition");
        } else if names.contains(&text.text) {
            build.say(item.at, &path, format!("{} is already in the list", quoted(&text.text)));
        } else {
            names.push(text.text.clone());
        }
    }
    names
}

fn condition(build: &mut Build<'_>, node: &Node, path: String) -> Option<Expression> {
    match &node.value {
        Value::Bool(value) => Some(Expression { source: value.to_string(), path, line: node.at.line, column: node.at.column }),
        Value::Text(text) if text.text.contains("${") => {
            build.say(node.at, &path, "`when` is an expression as it stands; write it without `${` and `}`");
            None
        }
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Broken => {
            let text = build.text(node, &path, "a condition such as `ticket.priority != \"low\"`")?;
            Some(Expression { source: text.text.trim().to_owned(), path, line: text.starts.line, column: text.starts.column })
        }
    }
}
