//! YAML text to a tree of values with positions. Knows nothing of what the values mean.
//!
//! Built on the parser's events, and not on a ready-made tree, because positions of keys, duplicate keys and limits are
//! what this is about: depth, number of values and size are bounded, so no file can exhaust a function's memory.

use super::problems::{Problem, quoted};
use saphyr::{Scalar, ScalarStyle};
use saphyr_parser::{Event, Marker, Parser, ScanError, Span, StrInput};
use std::collections::HashMap;

/// A real file has a few kilobytes.
const MAX_BYTES: usize = 256 * 1024;
/// The deepest useful value, a literal in a property of an action, sits at 7.
const MAX_DEPTH: usize = 32;
/// Values in the file, those repeated by aliases counted each time.
const MAX_NODES: usize = 20_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// From 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; not to be reported again.
    Broken,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) text: String,
    /// Where the first character stands, after the quote if there is one.
    pub(super) starts: Position,
    /// Where each `${` in `text` stands in the file.
    pub(super) marks: Vec<Position>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) node: Node,
}

impl Value {
    /// What this is, for a message: `the number 7`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("`{value}`"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(text) => format!("the text {}", quoted(&text.text)),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a mapping".to_owned(),
            Self::Broken => "something unreadable".to_owned(),
        }
    }
}

impl From<Marker> for Position {
    fn from(mark: Marker) -> Self {
        Self { line: mark.line().max(1), column: mark.col() + 1 }
    }
}

impl Position {
    pub(super) fn problem(self, path: &str, message: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, path: path.to_owned(), message: message.into() }
    }
}

const START: Position = Position { line: 1, column: 1 };

impl Node {
    /// An empty file.
    pub(super) fn nothing() -> Self {
        Self { at: START, value: Value::Null }
    }
}

/// The file's one document. `None` when there is no tree to speak of; the reason is then among the problems.
pub(super) fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    if text.len() > MAX_BYTES {
        problems.push(START.problem("", format!("the file has {} KiB; at most {} are read", text.len() / 1024, MAX_BYTES / 1024)));
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let reader = Reader { source: Source::new(text), open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None, problems };
    match reader.run(text) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

struct Reader<'a> {
    source: Source<'a>,
    /// Lists and mappings that have begun and not ended.
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    problems: &'a mut Vec<Problem>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// In a mapping: the key whose value comes next.
    key: Option<(String, Position)>,
    /// In a mapping: the line of each key so far.
    lines: HashMap<String, usize>,
}

impl Reader<'_> {
    /// The error is one that ends the reading.
    fn run(mut self, text: &str) -> Result<Option<Node>, Problem> {
        let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|e| syntax(&e))?;
            let at = Position::from(span.start);
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    if self.root.is_some() {
                        return Err(at.problem("", "a second document begins here; only one is read, remove the `---` before it"));
                    }
                }
                Event::Alias(anchor) => {
                    let Some(node) = self.anchors.get(&anchor).cloned() else {
                        return Err(at.problem("", "this alias stands inside of what it names; write the value out"));
                    };
                    self.count(weight(&node), at)?;
                    self.put(node, 0, at);
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1, at)?;
                    let tagged = tag.as_ref().filter(|tag| !tag.is_yaml_core_schema());
                    let value = match tagged {
                        Some(tag) => self.broken(at, format!("the tag `{tag}` means nothing here; remove it")),
                        None => match Scalar::parse_from_cow_and_metadata(text.clone(), style, tag.as_ref()) {
                            Some(scalar) => self.scalar(scalar, style, span),
                            None => self.broken(at, format!("{} does not fit its tag; remove the tag", quoted(&text))),
                        },
                    };
                    self.put(Node { at, value }, anchor, at);
                }
                Event::SequenceStart(anchor, tag) => self.begin(Value::List(Vec::new()), anchor, tag.as_deref(), at)?,
                Event::MappingStart(anchor, tag) => self.begin(Value::Map(Vec::new()), anchor, tag.as_deref(), at)?,
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(done) = self.open.pop() {
                        let at = done.node.at;
                        self.put(done.node, done.anchor, at);
                    }
                }
            }
        }
        Ok(self.root)
    }

    /// Reports on the value that comes next.
    fn say(&mut self, at: Position, message: String) {
        let path = self.path();
        self.problems.push(at.problem(&path, message));
    }

    fn broken(&mut self, at: Position, message: String) -> Value {
        self.say(at, message);
        Value::Broken
    }

    /// Of the value that comes next: `routes[0].on`.
    fn path(&self) -> String {
        path_of(&self.open)
    }

    fn count(&mut self, more: usize, at: Position) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(at.problem("", format!("the file has more than {MAX_NODES} values, those repeated by aliases included")));
        }
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, tag: Option<&saphyr::Tag>, at: Position) -> Result<(), Problem> {
        self.count(1, at)?;
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            self.say(at, format!("the tag `{tag}` means nothing here; remove it"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(at.problem("", format!("more than {MAX_DEPTH} levels deep; nothing in this file needs that")));
        }
        self.open.push(Open { node: Node { at, value }, anchor, key: None, lines: HashMap::new() });
        Ok(())
    }

    /// Hands a finished value to whatever it stands in. `at` is where it is used, which for an alias is not where it was written.
    fn put(&mut self, node: Node, anchor: usize, at: Position) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::Map(entries), Some((key, key_at))) => match parent.lines.get(&key) {
                Some(line) => {
                    let message = format!("{} was given before, on line {line}; keep one of the two", quoted(&key));
                    let path = join(&self.path(), &key);
                    self.problems.push(key_at.problem(&path, message));
                }
                None => {
                    parent.lines.insert(key.clone(), key_at.line);
                    entries.push(Entry { key, at: key_at, node });
                }
            },
            (Value::Map(_), None) => {
                let fix = match &node.value {
                    Value::Text(text) => {
                        parent.key = Some((text.text.clone(), at));
                        return;
                    }
                    Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => "put it in quotes",
                    Value::List(_) | Value::Map(_) | Value::Broken => "in a value, `{` and `[` need quotes",
                };
                let described = node.value.describe();
                parent.key = Some((described.clone(), at));
                let path = self.open.split_last().map_or_else(String::new, |(_, outer)| path_of(outer));
                self.problems.push(at.problem(&path, format!("{described} cannot be a key; {fix}")));
            }
            (Value::List(items), _) => items.push(node),
            (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Broken, _) => {}
        }
    }

    fn scalar(&mut self, scalar: Scalar<'_>, style: ScalarStyle, span: Span) -> Value {
        match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(value),
            Scalar::Integer(value) => Value::Int(value),
            Scalar::FloatingPoint(value) => Value::Float(value.into_inner()),
            Scalar::String(text) => {
                let text = text.into_owned();
                let quote = usize::from(matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted));
                let start = Position::from(span.start);
                let starts = Position { column: start.column + quote, ..start };
                let marks = self.source.marks(&text, span, starts);
                Value::Text(Text { text, starts, marks })
            }
        }
    }
}

/// The path of a key under `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Of what comes next in the innermost of these.
fn path_of(open: &[Open]) -> String {
    open.iter().fold(String::new(), |path, open| match (&open.node.value, &open.key) {
        (Value::List(items), _) => format!("{path}[{}]", items.len()),
        (_, Some((key, _))) => join(&path, key),
        (_, None) => path,
    })
}

/// The parser's own words, with the one mistake that everybody makes explained.
fn syntax(error: &ScanError) -> Problem {
    let position = Position::from(*error.marker());
    let hint = if error.info().contains("tab") { "; YAML is indented with spaces" } else { "" };
    position.problem("", format!("not YAML: {}{hint}", error.info()))
}

fn weight(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| weight(&entry.node)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Broken => 1,
    }
}

/// The file's text, for finding out where in it a part of a value was written.
struct Source<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        Self { lines: text.split('\n').collect() }
    }

    /// Positions of the `${` of a value, in order. All at `otherwise` where escapes hide some of them in the file.
    fn marks(&self, value: &str, span: Span, otherwise: Position) -> Vec<Position> {
        let expected = value.matches("${").count();
        if expected == 0 {
            return Vec::new();
        }
        let mut found = Vec::new();
        for line in span.start.line()..=span.end.line() {
            let text = self.lines.get(line.saturating_sub(1)).copied().unwrap_or("");
            let from = if line == span.start.line() { span.start.col() } else { 0 };
            let to = if line == span.end.line() { span.end.col() } else { usize::MAX };
            let bytes: Vec<usize> = text.match_indices("${").map(|(byte, _)| byte).collect();
            let columns = bytes.into_iter().map(|byte| text[..byte].chars().count()).filter(|column| (from..to).contains(column));
            found.extend(columns.map(|column| Position { line, column: column + 1 }));
        }
        if found.len() == expected { found } else { vec![otherwise; expected] }
    }
}
