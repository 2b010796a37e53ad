//! Value tree to typed configuration: everything but the routes, which are in `routes`, and what the tools have in common, which
//! is in `tools`.
//!
//! Nothing here stops at the first problem: what cannot be read is reported and left out, and the reading goes on.

use super::problems::{Problem, quoted, suggestion};
use super::routes;
use super::yaml::{Entry, Node, Position, Text, Value, join};
use super::{Config, ConsentConfig, CustomerioConfig, FacetNames, IdentityConfig, SegmentConfig, Tickets, Window, WindowTrigger};
use crate::event::IdKind;
use crate::tickets::{AiCounting, Audience, Counting, Priority, StartedBy};
use crate::time::Span;
use std::collections::BTreeSet;

/// Customer.io: the longest attribute name, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 150;

/// Attributes that mean something to Customer.io itself, or that no API may set.
pub(super) const RESERVED_ATTRIBUTES: [&str; 12] = [
    "id",
    "email",
    "phone",
    "cio_id",
    "created_at",
    "unsubscribed",
    "timezone",
    "anonymous_id",
    "cio_subscription_preferences",
    "cio_relationships",
    "_update",
    "_timestamp",
];

/// As much of the file as can be understood. What is broken may leave a stand-in behind, so that what refers to it is not
/// called wrong as well; with problems reported, the result goes nowhere.
pub(super) fn config(root: &Node, problems: &mut Vec<Problem>) -> Config {
    let mut build = Build { problems };
    let mut config = Config {
        tickets: Tickets::default(),
        suppress: Vec::new(),
        customerio: CustomerioConfig::default(),
        identity: IdentityConfig::default(),
        consent: ConsentConfig::default(),
        segment: SegmentConfig::default(),
        native: None,
        off: BTreeSet::new(),
        routes: Vec::new(),
    };
    if root.value == Value::Null {
        build.say(root.at, "", "the file is empty; begin with `version: 1`");
        return config;
    }
    let known = ["version", "tickets", "suppress", "customerio", "segment", "identity", "consent", "native", "routes"];
    let Some(top) = build.mapping(root, "", &known) else { return config };
    if let Some((node, path)) = top.require(&mut build, "version", "write `version: 1` at the top")
        && node.value != Value::Int(1)
    {
        build.wrong_type(node, &path, "the number 1, the only version there is");
    }
    if let Some((node, path)) = top.section("tickets") {
        config.tickets = build.tickets(node, &path);
    }
    let mut names = AttributeNames::default();
    if let Some((node, path)) = top.section("customerio") {
        config.customerio = build.customerio(node, &path, &mut names);
    }
    if let Some((node, path)) = top.section("suppress") {
        config.suppress = build.suppress(node, &path, &mut names);
    }
    build.distinct_attributes(names, &config.customerio.attributes);
    if let Some((node, path)) = top.section("identity") {
        config.identity = build.identity(node, &path);
    }
    if let Some((node, path)) = top.section("consent") {
        config.consent = build.consent(node, &path);
    }
    if let Some((node, path)) = top.section("segment") {
        config.segment = build.segment(node, &path);
    }
    config.native = top.section("native").map(|(node, path)| build.native(node, &path));
    if let Some((node, path)) = top.section("routes") {
        config.routes = routes::routes(&mut build, node, &path, &config.consent);
    }
    config
}

// ------------------------------------------------------------------------------------------------ reading of parts

pub(super) struct Build<'a> {
    problems: &'a mut Vec<Problem>,
}

/// A mapping whose keys are all known.
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    at: Position,
    path: String,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<(&'n Node, String)> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some((&entry.node, join(&self.path, key)))
    }

    /// As [`Fields::get`]; a key with nothing behind it counts as left out, since that is what remains when everything under it
    /// is commented out.
    pub(super) fn section(&self, key: &str) -> Option<(&'n Node, String)> {
        self.get(key).filter(|(node, _)| node.value != Value::Null)
    }

    pub(super) fn require(&self, build: &mut Build<'_>, key: &str, fix: &str) -> Option<(&'n Node, String)> {
        let found = self.get(key);
        if found.is_none() {
            build.say(self.at, &self.path, format!("`{key}` is missing; {fix}"));
        }
        found
    }
}

impl Build<'_> {
    pub(super) fn say(&mut self, at: Position, path: &str, message: impl Into<String>) {
        self.problems.push(at.problem(path, message));
    }

    /// `expected` completes "expected …".
    pub(super) fn wrong_type(&mut self, node: &Node, path: &str, expected: &str) {
        if node.value != Value::Broken {
            self.say(node.at, path, format!("expected {expected}, found {}", node.value.describe()));
        }
    }

    pub(super) fn mapping<'n>(&mut self, node: &'n Node, path: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, path, &format!("a mapping with the keys {}", known.join(", ")));
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("unknown key {}{}", quoted(&entry.key), suggestion(&entry.key, known.iter().copied()));
            self.say(entry.at, &join(path, &entry.key), message);
        }
        Some(Fields { entries, at: node.at, path: path.to_owned() })
    }

    /// Text with something in it.
    pub(super) fn text<'n>(&mut self, node: &'n Node, path: &str, expected: &str) -> Option<&'n Text> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, path, expected);
            return None;
        };
        if text.text.trim().is_empty() {
            self.say(node.at, path, format!("expected {expected}, found empty text"));
            return None;
        }
        Some(text)
    }

    /// A list of words, each at most once.
    pub(super) fn words<T: Copy>(&mut self, node: &Node, path: &str, known: &[(&str, T)]) -> Option<Vec<T>> {
        let names = known.iter().map(|(name, _)| *name);
        let Value::List(items) = &node.value else {
            let example = known.first().map_or("", |(name, _)| *name);
            self.wrong_type(node, path, &format!("a list such as `[{example}]`"));
            return None;
        };
        let mut found = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let Some(word) = self.text(item, &path, &format!("one of {}", names.clone().collect::<Vec<_>>().join(", "))) else { continue };
            match known.iter().position(|(name, _)| *name == word.text) {
                None => self.say(item.at, &path, format!("unknown word {}{}", quoted(&word.text), suggestion(&word.text, names.clone()))),
                Some(index) if found.contains(&index) => self.say(item.at, &path, format!("{} is already in the list", quoted(&word.text))),
                Some(index) => found.push(index),
            }
        }
        Some(found.into_iter().filter_map(|index| known.get(index).map(|(_, value)| *value)).collect())
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, path: &str, known: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let said = self.text(node, path, &format!("one of {}", names.join(", ")))?.text.as_str();
        let found = known.iter().find(|(name, _)| *name == said).map(|(_, value)| *value);
        if found.is_none() {
            self.say(node.at, path, format!("unknown word {}{}", quoted(said), suggestion(said, names)));
        }
        found
    }

    /// `true` or `false`, where the key is there.
    pub(super) fn flag(&mut self, fields: &Fields<'_>, key: &str, flag: &mut bool) {
        let Some((node, path)) = fields.get(key) else { return };
        if let Value::Bool(value) = &node.value {
            *flag = *value;
        } else {
            self.wrong_type(node, &path, "`true` or `false`");
        }
    }

    pub(super) fn empty_list(&mut self, node: &Node, path: &str, consequence: &str) {
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            self.say(node.at, path, format!("the list is empty, so {consequence}; name at least one, or remove the key"));
        }
    }

    // -------------------------------------------------------------------------------------------- tickets

    fn tickets(&mut self, node: &Node, path: &str) -> Tickets {
        let mut tickets = Tickets::default();
        let Some(fields) = self.mapping(node, path, &["count", "category_from"]) else { return tickets };
        if let Some((node, path)) = fields.get("count") {
            tickets.count = self.counting(node, &path);
        }
        if let Some((node, path)) = fields.get("category_from") {
            tickets.category_from =
                self.text(node, &path, "the name of an Intercom attribute, such as `Topic`").map(|text| text.text.trim().to_owned());
        }
        tickets
    }

    fn counting(&mut self, node: &Node, path: &str) -> Counting {
        let mut counting = Counting::default();
        let Some(fields) = self.mapping(node, path, &["started_by", "audience", "ai"]) else { return counting };
        if let Some((node, path)) = fields.get("started_by") {
            let known = [("customer", StartedBy::Customer), ("teammate", StartedBy::Teammate), ("automation", StartedBy::Automation)];
            counting.started_by = self.words(node, &path, &known).unwrap_or(counting.started_by);
            self.empty_list(node, &path, "no ticket would ever count");
        }
        if let Some((node, path)) = fields.get("audience") {
            let known = [("customer", Audience::Customer), ("back_office", Audience::BackOffice), ("tracker", Audience::Tracker)];
            // An empty list is a choice: conversations count, Intercom tickets do not.
            counting.audience = self.words(node, &path, &known).unwrap_or(counting.audience);
        }
        if let Some((node, path)) = fields.get("ai") {
            let known = [
                ("until_resolved", AiCounting::UntilResolved),
                ("always", AiCounting::Always),
                ("when_handed_over", AiCounting::WhenHandedOver),
            ];
            counting.ai = self.word(node, &path, &known).unwrap_or(counting.ai);
        }
        counting
    }

    // -------------------------------------------------------------------------------------------- identity

    fn identity(&mut self, node: &Node, path: &str) -> IdentityConfig {
        let mut identity = IdentityConfig::default();
        let Some(fields) = self.mapping(node, path, &["match_by", "address_in_properties", "no_ids"]) else { return identity };
        if let Some((node, path)) = fields.get("match_by") {
            let known =
                [("user_id", IdKind::UserId), ("email", IdKind::Email), ("phone", IdKind::Phone), ("anonymous_id", IdKind::AnonymousId)];
            identity.match_by = self.words(node, &path, &known).unwrap_or(identity.match_by);
            self.empty_list(node, &path, "nobody could be recognised");
            self.user_id_first(node, &path);
        }
        self.flag(&fields, "address_in_properties", &mut identity.address_in_properties);
        if let Some((node, path)) = fields.get("no_ids") {
            identity.no_ids = self.no_ids(node, &path);
        }
        identity
    }

    /// Values that stand where an id should, and name nobody.
    fn no_ids(&mut self, node: &Node, path: &str) -> BTreeSet<String> {
        let Value::List(items) = &node.value else {
            self.wrong_type(node, path, "a list such as `[test-user, noreply@example.com]`");
            return BTreeSet::new();
        };
        let mut no_ids = BTreeSet::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            let id = match &item.value {
                // As an id it arrives as text.
                Value::Int(number) => number.to_string(),
                _ => match self.text(item, &path, "an id or address that names nobody") {
                    Some(text) => text.text.trim().to_lowercase(),
                    None => continue,
                },
            };
            if id.is_empty() {
                self.say(item.at, &path, "an empty id names nobody anyway; take it out".to_owned());
            } else if !no_ids.insert(id.clone()) {
                self.say(item.at, &path, format!("{} is already in the list", quoted(&id)));
            }
        }
        no_ids
    }

    /// A user id is the customer's own key, and one person's for good. An address can be shared or passed on: if it went before
    /// the user id, or the user id did not count, one person's facts would end up with another.
    fn user_id_first(&mut self, node: &Node, path: &str) {
        let Value::List(items) = &node.value else { return };
        let is_user_id = |item: &Node| matches!(&item.value, Value::Text(text) if text.text == "user_id");
        match items.iter().position(is_user_id) {
            Some(0) => {}
            Some(place) => {
                let at = items.get(place).map_or(node.at, |item| item.at);
                let message = "`user_id` must come first: it is one person's alone, and an address can be shared; move it to the front";
                self.say(at, &format!("{path}[{place}]"), message);
            }
            None if items.is_empty() => {}
            None => self.say(node.at, path, "`user_id` is missing: it is your own key of a person; write it first"),
        }
    }

    // -------------------------------------------------------------------------------------------- suppress

    fn suppress<'n>(&mut self, node: &'n Node, path: &str, names: &mut AttributeNames<'n>) -> Vec<Window> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, path, "a mapping from names to rules, such as `renewal: { csat_at_most: 2, for: 30d }`");
            return Vec::new();
        };
        entries.iter().filter_map(|entry| self.window(entry, &join(path, &entry.key), names)).collect()
    }

    fn window<'n>(&mut self, entry: &'n Entry, path: &str, names: &mut AttributeNames<'n>) -> Option<Window> {
        let name = &entry.key;
        let charset = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !name.bytes().all(charset) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            let message = format!(
                "the name {} must be a lower-case letter, followed by lower-case letters, digits or `_`; it becomes part of an attribute's name",
                quoted(name)
            );
            self.say(entry.at, path, message);
        } else {
            names.windows.push((window_attribute(name), entry.at, path.to_owned()));
        }
        self.attribute_length(&window_attribute(name), entry.at, path);
        let fields = self.mapping(&entry.node, path, &["priority", "csat_at_most", "tag", "for"])?;
        let lasts = fields.require(self, "for", "say how long, such as `for: 7d`").and_then(|(node, path)| self.duration(node, &path));
        let given: Vec<_> = ["priority", "csat_at_most", "tag"].into_iter().filter_map(|key| Some((key, fields.get(key)?))).collect();
        if given.is_empty() {
            self.say(entry.node.at, path, "nothing says when it begins; give one of `priority`, `csat_at_most`, `tag`");
        }
        for (key, (node, path)) in given.iter().skip(1) {
            let first = given.first().map_or("", |(key, _)| key);
            self.say(node.at, path, format!("`{key}` beside `{first}`: a rule has one beginning; make two rules of it"));
        }
        let triggers: Vec<_> = given.into_iter().map(|(key, (node, path))| self.window_trigger(key, node, &path)).collect();
        let opens_on = triggers.into_iter().next().flatten().unwrap_or(WindowTrigger::Tag(String::new()));
        Some(Window { name: name.clone(), opens_on, lasts: lasts.unwrap_or_default() })
    }

    fn window_trigger(&mut self, key: &str, node: &Node, path: &str) -> Option<WindowTrigger> {
        match key {
            "priority" => {
                let known = Priority::ALL.map(|priority| (priority.as_str(), priority));
                let priorities = self.words(node, path, &known)?;
                self.empty_list(node, path, "the rule would never begin");
                Some(WindowTrigger::Priority(priorities))
            }
            "csat_at_most" => {
                let Value::Int(score @ 1..=5) = &node.value else {
                    self.wrong_type(node, path, "a score from 1 to 5");
                    return None;
                };
                u8::try_from(*score).ok().map(WindowTrigger::CsatAtMost)
            }
            _ => self.text(node, path, "the name of a tag").map(|text| WindowTrigger::Tag(text.text.trim().to_owned())),
        }
    }

    fn duration(&mut self, node: &Node, path: &str) -> Option<Span> {
        let written = match &node.value {
            Value::Text(text) => text.text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) | Value::Broken => {
                self.wrong_type(node, path, "a duration such as `30m`, `12h` or `7d`");
                return None;
            }
        };
        if let Ok(number) = written.parse::<u32>() {
            let days = u64::from(number);
            self.say(node.at, path, format!("`{number}` has no unit; write `{days}d` or `{}h`", days * 24));
            return None;
        }
        match Span::parse(&written) {
            Some(Span::ZERO) => self.say(node.at, path, format!("{} is no time at all; remove the rule instead", quoted(&written))),
            Some(span) => return Some(span),
            None => {
                let message =
                    format!("{} is not a duration; write a whole number and a unit, such as `30m`, `12h` or `7d`", quoted(&written));
                self.say(node.at, path, message);
            }
        }
        None
    }

    // -------------------------------------------------------------------------------------------- customerio

    fn customerio<'n>(&mut self, node: &'n Node, path: &str, names: &mut AttributeNames<'n>) -> CustomerioConfig {
        let mut config = CustomerioConfig::default();
        let known = ["identify_by", "profiles_exist", "dates_as_seconds", "support_attributes"];
        let Some(fields) = self.mapping(node, path, &known) else { return config };
        if let Some((node, path)) = fields.get("identify_by") {
            let known = [("id", IdKind::UserId), ("email", IdKind::Email)];
            config.identify_by = self.words(node, &path, &known).unwrap_or(config.identify_by);
            self.empty_list(node, &path, "no profile could be found");
        }
        self.flag(&fields, "profiles_exist", &mut config.profiles_exist);
        self.flag(&fields, "dates_as_seconds", &mut config.dates_as_seconds);
        if let Some((node, path)) = fields.get("support_attributes") {
            let known = attribute_slots(&mut config.attributes).map(|(key, _)| key);
            if let Some(fields) = self.mapping(node, &path, &known) {
                for (key, slot) in attribute_slots(&mut config.attributes) {
                    let Some((node, path)) = fields.get(key) else { continue };
                    if let Some(name) = self.attribute_name(node, &path) {
                        names.renamed.push((key, node.at, path));
                        slot.clone_from(name);
                    }
                }
            }
        }
        config
    }

    pub(super) fn attribute_name<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n String> {
        let name = &self.text(node, path, "the name of an attribute at Customer.io")?.text;
        if name.trim() != name {
            self.say(node.at, path, format!("the name {} has spaces at an end; remove them", quoted(name)));
        }
        if RESERVED_ATTRIBUTES.contains(&name.as_str()) {
            self.say(node.at, path, format!("{} means something to Customer.io itself; choose another name", quoted(name)));
        }
        self.attribute_length(name, node.at, path);
        Some(name)
    }

    fn attribute_length(&mut self, name: &str, at: Position, path: &str) {
        if name.len() > MAX_ATTRIBUTE_BYTES {
            let length = name.len();
            self.say(at, path, format!("the attribute's name would have {length} bytes; Customer.io takes at most {MAX_ATTRIBUTE_BYTES}"));
        }
    }

    /// No two attributes may end up under one name: the second would overwrite the first on every write.
    fn distinct_attributes(&mut self, names: AttributeNames<'_>, attributes: &FacetNames) {
        let mut attributes = attributes.clone();
        let slots = attribute_slots(&mut attributes).map(|(key, name)| (key, name.clone()));
        let mut taken: Vec<(String, String)> = slots
            .iter()
            .filter(|(key, _)| names.renamed.iter().all(|(renamed, ..)| renamed != key))
            .map(|(key, name)| (name.clone(), format!("`{key}`")))
            .collect();
        let renamed = names.renamed.into_iter().filter_map(|(key, at, path)| {
            let (_, name) = slots.iter().find(|(slot, _)| *slot == key)?;
            Some((name.clone(), at, path))
        });
        for (name, at, path) in renamed.chain(names.windows) {
            match taken.iter().find(|(other, _)| *other == name) {
                Some((_, owner)) => {
                    let message = format!("the attribute {} is already that of {owner}; choose another name", quoted(&name));
                    self.say(at, &path, message);
                }
                None => taken.push((name, format!("`{path}`"))),
            }
        }
    }
}

/// The names that the file gives to attributes, with their places.
#[derive(Default)]
struct AttributeNames<'n> {
    renamed: Vec<(&'n str, Position, String)>,
    windows: Vec<(String, Position, String)>,
}

fn window_attribute(name: &str) -> String {
    format!("suppress_{name}_until")
}

fn attribute_slots(names: &mut FacetNames) -> [(&'static str, &mut String); 9] {
    [
        ("has_open_ticket", &mut names.has_open_ticket),
        ("open_ticket_count", &mut names.open_ticket_count),
        ("open_ticket_priority", &mut names.open_ticket_priority),
        ("open_ticket_with", &mut names.open_ticket_with),
        ("support_ticket_opened_at", &mut names.support_ticket_opened_at),
        ("support_ticket_resolved_at", &mut names.support_ticket_resolved_at),
        ("tickets_opened_30d", &mut names.tickets_opened_30d),
        ("last_csat_score", &mut names.last_csat_score),
        ("last_csat_at", &mut names.last_csat_at),
    ]
}
