//! The `routes:` of a file, and the templates in them. Expressions are cut out here and understood in [`crate::rules`].

use super::build::{Build, Fields};
use super::problems::{listed, nearest, quoted, suggestion};
use super::yaml::{Entry, Node, Position, Text, Value, join};
use super::{ActionTemplate, Expression, Route, Template, TemplatePart, Trigger, What};

/// Customer.io: the longest event name, in bytes.
pub(crate) const MAX_EVENT_NAME_BYTES: usize = 100;
/// Customer.io takes these keys of an event as overrides of a campaign's own settings.
const RESERVED_PROPERTIES: [&str; 3] = ["recipient", "from_address", "reply_to"];
/// An event, for messages.
const EXAMPLE: &str = "intercom.ticket.opened";
const ACTIONS: [&str; 1] = ["customerio.track_event"];

pub(super) fn routes(build: &mut Build<'_>, node: &Node, path: &str) -> Vec<Route> {
    let Value::List(items) = &node.value else {
        build.wrong_type(node, path, "a list of routes, each beginning with `- name:`");
        return Vec::new();
    };
    let mut names: Vec<(&str, usize)> = Vec::new();
    items.iter().enumerate().filter_map(|(i, item)| route(build, item, &format!("{path}[{i}]"), &mut names)).collect()
}

fn route<'n>(build: &mut Build<'_>, node: &'n Node, path: &str, names: &mut Vec<(&'n str, usize)>) -> Option<Route> {
    let fields = build.mapping(node, path, &["name", "on", "named", "when", "do"])?;
    let name = name(build, &fields, names);
    let on = fields.require(build, "on", &format!("say on which event, such as `on: {EXAMPLE}`"));
    let on = on.and_then(|(node, path)| trigger(build, node, &path));
    let named = fields.get("named").map(|(node, path)| named(build, node, &path, on)).unwrap_or_default();
    let when = fields.get("when").and_then(|(node, path)| condition(build, node, path));
    let actions = fields.require(build, "do", "a route without an action does nothing; add `do:` with an action, or remove the route");
    let actions = actions.map(|(node, path)| actions_of(build, node, &path, on));
    // Without an event nothing can be said about the expressions.
    Some(Route { name: name.unwrap_or_default(), on: on?, named, when, actions: actions.unwrap_or_default() })
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

fn trigger(build: &mut Build<'_>, node: &Node, path: &str) -> Option<Trigger> {
    let text = &build.text(node, path, &format!("one event such as `{EXAMPLE}`"))?.text;
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
fn named(build: &mut Build<'_>, node: &Node, path: &str, on: Option<Trigger>) -> Vec<String> {
    if let Some(on) = on.filter(|on| !on.what.has_name()) {
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

fn actions_of(build: &mut Build<'_>, node: &Node, path: &str, on: Option<Trigger>) -> Vec<ActionTemplate> {
    let Value::List(items) = &node.value else {
        build.wrong_type(node, path, "a list of actions, each beginning with `- customerio.track_event:`");
        return Vec::new();
    };
    if items.is_empty() {
        build.say(node.at, path, "the list is empty, so the route does nothing; add an action, or remove the route");
    }
    items.iter().enumerate().filter_map(|(i, item)| action(build, item, &format!("{path}[{i}]"), on)).collect()
}

fn action(build: &mut Build<'_>, node: &Node, path: &str, on: Option<Trigger>) -> Option<ActionTemplate> {
    let Value::Map(entries) = &node.value else {
        build.wrong_type(node, path, &format!("an action such as `{}:` with its fields below it", ACTIONS[0]));
        return None;
    };
    let actions: Vec<_> = entries.iter().map(|entry| named_action(build, entry, &join(path, &entry.key), on)).collect();
    if let Some(second) = entries.get(1) {
        build.say(
            second.at,
            path,
            format!(
                "a second key, {}, in one action; begin each action with `- `, and indent its fields under its name",
                quoted(&second.key)
            ),
        );
    }
    if entries.is_empty() {
        build.say(node.at, path, "an action without a name; known: customerio.track_event");
    }
    actions.into_iter().next()?
}

fn named_action(build: &mut Build<'_>, entry: &Entry, path: &str, on: Option<Trigger>) -> Option<ActionTemplate> {
    match entry.key.as_str() {
        "customerio.track_event" => {
            needs_a_person(build, entry, path, on);
            track_event(build, &entry.node, path)
        }
        other => {
            build.say(entry.at, path, format!("no action is named {}{}", quoted(other), suggestion(other, ACTIONS)));
            None
        }
    }
}

fn needs_a_person(build: &mut Build<'_>, entry: &Entry, path: &str, on: Option<Trigger>) {
    let Some(on) = on.filter(|on| !on.what.concerns_a_person()) else { return };
    let joined = Trigger { what: What::CompanyJoined, ..on };
    let message = format!("`{on}` concerns no person, and `{}` needs one; hang the route on `{joined}`", entry.key);
    build.say(entry.at, path, message);
}

fn track_event(build: &mut Build<'_>, node: &Node, path: &str) -> Option<ActionTemplate> {
    let fields = build.mapping(node, path, &["name", "properties"])?;
    let name = fields
        .require(build, "name", "say what the event is called at Customer.io")
        .and_then(|(node, path)| event_name(build, node, &path));
    let properties = fields.get("properties").map(|(node, path)| properties(build, node, &path));
    let name = name.unwrap_or(Template::Literal(serde_json::Value::Null));
    Some(ActionTemplate::CustomerioTrackEvent { name, properties: properties.unwrap_or_default() })
}

fn properties(build: &mut Build<'_>, node: &Node, path: &str) -> Vec<(String, Template)> {
    let Value::Map(entries) = &node.value else {
        build.wrong_type(node, path, "a mapping from names to values, such as `ticket_id: \"${ticket.id}\"`");
        return Vec::new();
    };
    let mut properties = Vec::new();
    for entry in entries {
        let path = join(path, &entry.key);
        if RESERVED_PROPERTIES.contains(&entry.key.as_str()) {
            let message =
                format!("Customer.io takes {} of an event as an override of the campaign's own; choose another name", quoted(&entry.key));
            build.say(entry.at, &path, message);
        }
        if entry.key.trim().is_empty() {
            build.say(entry.at, &path, "a property without a name; give it one, or remove it");
        }
        if let Some(value) = template(build, &entry.node, &path) {
            properties.push((entry.key.clone(), value));
        }
    }
    properties
}

fn event_name(build: &mut Build<'_>, node: &Node, path: &str) -> Option<Template> {
    let text = build.text(node, path, "the event's name")?;
    if !text.text.contains("${") && text.text.len() > MAX_EVENT_NAME_BYTES {
        let message = format!("the event's name has {} bytes; Customer.io takes at most {MAX_EVENT_NAME_BYTES}", text.text.len());
        build.say(node.at, path, message);
    }
    text_template(build, text, path)
}

/// A property's value.
fn template(build: &mut Build<'_>, node: &Node, path: &str) -> Option<Template> {
    match &node.value {
        Value::Null => {
            build.say(node.at, path, "there is no value; give one, or remove the key");
            None
        }
        Value::Text(text) => text_template(build, text, path),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            literal(build, node, path).map(Template::Literal)
        }
        Value::Broken => None,
    }
}

fn literal(build: &mut Build<'_>, node: &Node, path: &str) -> Option<serde_json::Value> {
    match &node.value {
        Value::Null => Some(serde_json::Value::Null),
        Value::Bool(value) => Some((*value).into()),
        Value::Int(value) => Some((*value).into()),
        Value::Float(value) => {
            let number = serde_json::Number::from_f64(*value).map(serde_json::Value::Number);
            if number.is_none() {
                build.say(node.at, path, format!("{} cannot be sent; JSON has no such number", node.value.describe()));
            }
            number
        }
        Value::Text(text) => {
            if let Some(mark) = text.marks.first() {
                build.say(
                    *mark,
                    path,
                    "`${` works in text only, not inside a list or mapping; let one expression make the whole: `\"${[event.tag]}\"`",
                );
            }
            Some(text.text.clone().into())
        }
        // Collected in two steps, so that every item is looked at, and not only those up to the first bad one.
        Value::List(items) => {
            let items: Vec<_> = items.iter().enumerate().map(|(i, item)| literal(build, item, &format!("{path}[{i}]"))).collect();
            items.into_iter().collect()
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), literal(build, &entry.node, &join(path, &entry.key))));
            let entries: Vec<_> = entries.collect();
            entries.into_iter().map(|(key, value)| Some((key, value?))).collect()
        }
        Value::Broken => None,
    }
}

/// Cuts text into what stands as it is and the expressions in it.
fn text_template(build: &mut Build<'_>, text: &Text, path: &str) -> Option<Template> {
    let mut parts = Vec::new();
    let mut rest = text.text.as_str();
    let mut marks = text.marks.iter();
    let mut sound = true;
    while let Some(begin) = rest.find("${") {
        let mark = marks.next().copied().unwrap_or(text.starts);
        let (before, inside) = (&rest[..begin], &rest[begin + 2..]);
        if !before.is_empty() {
            parts.push(TemplatePart::Text(before.to_owned()));
        }
        let Some(end) = expression_end(inside) else {
            build.say(mark, path, "`${` is never closed; add the missing `}`");
            return None;
        };
        // A `${` inside of the expression, in one of its strings, is not a mark of ours.
        marks.by_ref().take(inside[..end].matches("${").count()).for_each(drop);
        match expression(&inside[..end], mark, path) {
            Some(expression) => parts.push(TemplatePart::Expression(expression)),
            None => {
                build.say(mark, path, "`${}` has nothing in it; write an expression, such as `${ticket.id}`");
                sound = false;
            }
        }
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(TemplatePart::Text(rest.to_owned()));
    }
    if !sound {
        return None;
    }
    Some(match parts.as_mut_slice() {
        [TemplatePart::Expression(_)] => match parts.pop() {
            Some(TemplatePart::Expression(expression)) => Template::Whole(expression),
            Some(TemplatePart::Text(_)) | None => return None,
        },
        _ if text.text.contains("${") => Template::Mixed(parts),
        _ => Template::Literal(text.text.clone().into()),
    })
}

fn expression(inside: &str, mark: Position, path: &str) -> Option<Expression> {
    let source = inside.trim();
    let skipped = inside.chars().take_while(|c| c.is_whitespace()).count();
    (!source.is_empty()).then(|| Expression {
        source: source.to_owned(),
        path: path.to_owned(),
        line: mark.line,
        column: mark.column + 2 + skipped,
    })
}

/// Where the `}` stands that closes an expression: braces of its own maps and anything in its strings are passed over.
fn expression_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(i),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}
