//! The `do:` of a route: actions and their fields, read by the table of `actions`.

use super::actions::{ACTIONS, ActionKind, Field, MOST_EVENT_NAMES, Map, Need, Rule, Shape};
use super::build::{Build, Fields};
use super::problems::{quoted, suggestion};
use super::template::{template, text_template};
use super::yaml::{Entry, Node, Text, Value, join};
use super::{ActionTemplate, ConsentConfig, EntryTemplate, FieldTemplate, Template, Trigger, What};
use serde_json::Value as Json;

/// Names of events for Intercom that stand in the file, each once.
#[derive(Default)]
pub(super) struct EventNames<'n> {
    names: Vec<&'n str>,
}

/// What is known of a route when its actions are read.
pub(super) struct Doing<'a, 'n> {
    /// Empty where the events cannot be understood.
    pub(super) on: &'a [Trigger],
    pub(super) consent: &'a ConsentConfig,
    pub(super) event_names: &'a mut EventNames<'n>,
}

/// Of one action in the file.
struct Place<'a> {
    kind: &'static ActionKind,
    entry: &'a Entry,
    path: &'a str,
}

impl<'n> Doing<'_, 'n> {
    pub(super) fn actions(&mut self, build: &mut Build<'_>, node: &'n Node, path: &str) -> Vec<ActionTemplate> {
        let Value::List(items) = &node.value else {
            build.wrong_type(node, path, &format!("a list of actions, each beginning with `- {}:`", ACTIONS[0].name));
            return Vec::new();
        };
        if items.is_empty() {
            build.say(node.at, path, "the list is empty, so the route does nothing; add an action, or remove the route");
        }
        items.iter().enumerate().filter_map(|(i, item)| self.action(build, item, &format!("{path}[{i}]"))).collect()
    }

    fn action(&mut self, build: &mut Build<'_>, node: &'n Node, path: &str) -> Option<ActionTemplate> {
        let Value::Map(entries) = &node.value else {
            build.wrong_type(node, path, &format!("an action such as `{}:` with its fields below it", ACTIONS[0].name));
            return None;
        };
        let actions: Vec<_> = entries.iter().map(|entry| self.named(build, entry, &join(path, &entry.key))).collect();
        if let Some(second) = entries.get(1) {
            let message = format!(
                "a second key, {}, in one action; begin each action with `- `, and indent its fields under its name",
                quoted(&second.key)
            );
            build.say(second.at, path, message);
        }
        if entries.is_empty() {
            build.say(node.at, path, format!("an action without a name; known: {}", super::listed(names())));
        }
        actions.into_iter().next()?
    }

    fn named(&mut self, build: &mut Build<'_>, entry: &'n Entry, path: &str) -> Option<ActionTemplate> {
        let Some(kind) = ActionKind::named(&entry.key) else {
            build.say(entry.at, path, format!("no action is named {}{}", quoted(&entry.key), suggestion(&entry.key, names())));
            return None;
        };
        let place = Place { kind, entry, path };
        self.of_its_route(build, &place);
        if kind.fields.is_empty() {
            if !matches!(&entry.node.value, Value::Map(entries) if entries.is_empty()) && entry.node.value != Value::Null {
                build.say(entry.node.at, path, format!("`{0}` has no fields; write `- {0}: {{}}`", kind.name));
            }
            return Some(ActionTemplate { kind, fields: Vec::new() });
        }
        let known: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
        let given = build.mapping(&entry.node, path, &known)?;
        let mut fields = Vec::new();
        for field in kind.fields {
            let found = match field.need {
                Need::Required(fix) => given.require(build, field.name, fix),
                Need::WhereGiven | Need::Optional => given.get(field.name),
            };
            if let Some((node, path)) = found
                && let Some(template) = read(build, field, node, &path)
            {
                fields.push((field, template));
            }
        }
        for rule in kind.rules {
            self.rule(build, rule, &place, &given);
        }
        Some(ActionTemplate { kind, fields })
    }

    /// What an action asks of the events that it hangs on.
    fn of_its_route(&self, build: &mut Build<'_>, place: &Place<'_>) {
        let Place { kind, entry, path } = place;
        for on in self.on {
            if kind.needs_person && !on.what.concerns_a_person() {
                let joined = Trigger { what: What::CompanyJoined, ..*on };
                let message = format!("`{on}` concerns no person, and `{}` needs one; hang the route on `{joined}`", kind.name);
                build.say(entry.at, path, message);
            }
            if kind.rules.contains(&Rule::NotForTickets) && on.is_about_a_ticket() {
                let message = format!(
                    "`{}` deletes the profile with its history and its consent, and `{on}` is no reason to; support holds marketing back by itself (`has_open_ticket`, `suppress:`)",
                    kind.name
                );
                build.say(entry.at, path, message);
            }
            if kind.feeds(*on) {
                let message = format!(
                    "`{}` is itself reported as `{on}`, so that the route would feed itself for ever; hang it on another tool's event, or remove the action",
                    kind.name
                );
                build.say(entry.at, path, message);
            }
        }
    }

    fn rule(&mut self, build: &mut Build<'_>, rule: &Rule, place: &Place<'_>, given: &Fields<'n>) {
        match rule {
            Rule::NotBoth(one, other) => {
                if let (Some(_), Some((node, path))) = (given.get(one), given.get(other)) {
                    build.say(node.at, &path, format!("`{other}` beside `{one}`: it goes to one of the two; remove the other"));
                }
            }
            Rule::Needs { field, word, other, fix } => {
                let is_word = |node: &Node| matches!(&node.value, Value::Text(text) if text.text == *word);
                if given.get(field).is_some_and(|(node, _)| is_word(node)) && given.get(other).is_none() {
                    build.say(place.entry.node.at, place.path, format!("`{field}: {word}` without `{other}`; {fix}"));
                }
            }
            Rule::EventNames => self.event_names(build, given),
            Rule::ExplicitOptIns => self.explicit_opt_ins(build, given),
            // Of the route, and looked at with it.
            Rule::NotForTickets => {}
        }
    }

    fn event_names(&mut self, build: &mut Build<'_>, given: &Fields<'n>) {
        if let Some((node, path)) = given.get("name")
            && open_text(node).is_some()
            && given.get("fallback").is_none()
        {
            let message = format!(
                "the name is made of `${{…}}`, and Intercom takes {MOST_EVENT_NAMES} names in all; add `fallback:` with the name to use when there are no more"
            );
            build.say(node.at, &path, message);
        }
        if let Some((node, path)) = given.get("fallback")
            && open_text(node).is_some()
        {
            build.say(node.at, &path, "a fallback with `${…}` could run out as the name does; write one name as it stands");
        }
        for (node, path) in ["name", "fallback"].into_iter().filter_map(|key| given.get(key)) {
            let Value::Text(text) = &node.value else { continue };
            if !text.marks.is_empty() || self.event_names.names.contains(&text.text.as_str()) {
                continue;
            }
            self.event_names.names.push(&text.text);
            // Of a thousand names too many, one is enough to say so.
            if self.event_names.names.len() == MOST_EVENT_NAMES + 1 {
                let message = format!(
                    "{} is name {} of an event for Intercom, which takes {MOST_EVENT_NAMES} in all; give several events one name, and tell them apart by `metadata`",
                    quoted(&text.text),
                    MOST_EVENT_NAMES + 1
                );
                build.say(node.at, &path, message);
            }
        }
    }

    fn explicit_opt_ins(&self, build: &mut Build<'_>, given: &Fields<'_>) {
        let Some((node, path)) = given.get("subscribed").filter(|(node, _)| node.value == Value::Bool(true)) else { return };
        for on in self.on {
            if on.what != What::PersonSubscribed {
                let message = format!(
                    "`{on}` is no opt-in, and nobody is taken back into e-mail without one; hang the route on `<tool>.person.subscribed`, or write `subscribed: false`"
                );
                build.say(node.at, &path, message);
            } else if !self.consent.explicit_opt_ins.contains(&on.source) {
                let message =
                    format!("an opt-in holds in its own tool alone unless it is listed; add `{on}` to `consent.explicit_opt_ins`");
                build.say(node.at, &path, message);
            }
        }
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|action| action.name)
}

/// Text with `${…}` in it.
fn open_text(node: &Node) -> Option<&Text> {
    if let Value::Text(text) = &node.value { Some(text).filter(|text| !text.marks.is_empty()) } else { None }
}

// ------------------------------------------------------------------------------------------------ shapes

fn read(build: &mut Build<'_>, field: &Field, node: &Node, path: &str) -> Option<FieldTemplate> {
    let value = match &field.shape {
        Shape::Name { expected, most_bytes } => {
            let text = build.text(node, path, expected)?;
            if let Some(most) = most_bytes.filter(|most| text.marks.is_empty() && text.text.len() > *most) {
                let message = format!("the event's name has {} bytes; Customer.io takes at most {most}", text.text.len());
                build.say(node.at, path, message);
            }
            text_template(build, text, path)
        }
        // Ids are numbers as often as not.
        Shape::Text { .. } if matches!(node.value, Value::Int(_)) => {
            let Value::Int(number) = &node.value else { return None };
            Some(Template::Literal(number.to_string().into()))
        }
        Shape::Text { expected } => {
            let text = build.text(node, path, expected)?;
            text_template(build, text, path)
        }
        Shape::Value => template(build, node, path),
        Shape::Flag => match &node.value {
            Value::Bool(value) => Some(Template::Literal((*value).into())),
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Broken => {
                build.wrong_type(node, path, "`true` or `false`, as it stands");
                None
            }
        },
        Shape::Word(known) => word(build, known, node, path).map(|word| Template::Literal(Json::from(word))),
        Shape::Map(map) => return mapping(build, map, node, path),
    };
    value.map(FieldTemplate::Value)
}

fn word(build: &mut Build<'_>, known: &[&'static str], node: &Node, path: &str) -> Option<&'static str> {
    let text = &build.text(node, path, &format!("one of {}", known.join(", ")))?.text;
    let found = known.iter().find(|word| *word == text).copied();
    if found.is_none() {
        build.say(node.at, path, format!("unknown word {}{}", quoted(text), suggestion(text, known.iter().copied())));
    }
    found
}

fn mapping(build: &mut Build<'_>, map: &Map, node: &Node, path: &str) -> Option<FieldTemplate> {
    if let Some(text) = open_text(node) {
        return match text_template(build, text, path)? {
            Template::Whole(expression) => Some(FieldTemplate::Mapping(expression)),
            Template::Literal(_) | Template::Mixed(_) => {
                build.say(node.at, path, "text is no mapping; write one expression alone, such as `\"${event.attributes}\"`, or a mapping");
                None
            }
        };
    }
    let Value::Map(entries) = &node.value else {
        build.wrong_type(node, path, &format!("a mapping from names to values, such as `{}`", map.example));
        return None;
    };
    let read: Vec<_> = entries.iter().filter_map(|entry| map_entry(build, map, entry, &join(path, &entry.key))).collect();
    if let Some((most, why)) = map.most
        && let Some(first) = entries.get(most)
    {
        let message = format!("{} entries, and at most {most} count: {why}; remove some", entries.len());
        build.say(first.at, &join(path, &first.key), message);
    }
    Some(FieldTemplate::Entries(read))
}

fn map_entry(build: &mut Build<'_>, map: &Map, entry: &Entry, path: &str) -> Option<EntryTemplate> {
    let key = &entry.key;
    if map.reserved.contains(&key.as_str()) {
        let message = format!("{} {}; choose another name", quoted(key), map.reserved_for);
        build.say(entry.at, path, message);
    }
    if key.trim().is_empty() {
        build.say(entry.at, path, format!("{} without a name; give it one, or remove it", map.entry));
    }
    let mut open_key = None;
    if key.contains("${") {
        if map.open_names {
            let text = Text { text: key.clone(), starts: entry.at, marks: Vec::new() };
            open_key = Some(text_template(build, &text, path)?);
        } else {
            build.say(entry.at, path, "`${` works in the value, not in the name; write the name as it stands");
        }
    }
    template(build, &entry.node, path).map(|value| EntryTemplate { key: key.clone(), open_key, value })
}
