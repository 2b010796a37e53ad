//! What an expression may speak of, checked before it ever runs: names, functions, and what can be told of types.

use super::LANGUAGE;
use super::fields::{FIELDS, Type, VARIABLES, fields_of_any, words_of};
use super::render::is_absence;
use crate::config::{Config, Expression, Trigger, listed, nearest, quoted, suggestion};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, ParseErrors, Program, Value};
use std::sync::Arc;

/// Longer than anything readable, short enough to be quick. In characters.
const MAX_CHARS: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Must come to true or false.
    Condition,
    Value,
    /// Must come to names and values.
    Mapping,
}

/// Name, called on a value (`a.f(b)`), arguments, type of the result, example.
const FUNCTIONS: [(&str, bool, usize, Type, &str); 12] = [
    ("contains", true, 1, Type::Bool, "person.email.contains(\"example\")"),
    ("startsWith", true, 1, Type::Bool, "event.tag.startsWith(\"churn\")"),
    ("endsWith", true, 1, Type::Bool, "person.email.endsWith(\"@example.com\")"),
    ("size", false, 1, Type::Number, "size(event.tag)"),
    ("size", true, 0, Type::Number, "event.tag.size()"),
    ("string", false, 1, Type::Text, "string(event.score)"),
    ("int", false, 1, Type::Number, "int(event.attributes.seats)"),
    ("uint", false, 1, Type::Number, "uint(event.attributes.seats)"),
    ("double", false, 1, Type::Number, "double(event.attributes.mrr)"),
    ("bool", false, 1, Type::Bool, "bool(event.attributes.trial)"),
    ("dyn", false, 1, Type::Unknown, "dyn(event.attributes.plan)"),
    ("type", false, 1, Type::Unknown, "type(event.attributes.mrr) == int"),
];

/// Names of types, as `type(x) == int` needs them.
const TYPES: [&str; 8] = ["bool", "double", "int", "list", "map", "null_type", "string", "uint"];

/// # Errors
/// Messages for everything in the expression that cannot work.
pub(super) fn compile(config: &Config, on: &[Trigger], expression: &Expression, role: Role) -> Result<Program, Vec<String>> {
    let length = expression.source.chars().count();
    if length > MAX_CHARS {
        return Err(vec![format!("the expression has {length} characters; at most {MAX_CHARS} are read")]);
    }
    let program = LANGUAGE.compile(&expression.source).map_err(|errors| vec![syntax(&errors)])?;
    let mut reader = Reader { config, on, bound: Vec::new(), loops: 0, messages: Vec::new() };
    let found = reader.read(program.expression());
    if role == Role::Condition && found != Type::Bool && found != Type::Unknown {
        reader.say(format!("the condition is {}; it must come to true or false, such as `ticket.priority != \"low\"`", found.name()));
    }
    if role == Role::Mapping && found != Type::Map && found != Type::Unknown {
        reader.say(format!("this is {}; it must come to a mapping, such as `event.attributes`", found.name()));
    }
    if reader.messages.is_empty() && program.references().variables().is_empty() {
        reader.constant(&program, role);
    }
    if reader.messages.is_empty() { Ok(program) } else { Err(reader.messages) }
}

/// The field that the whole program is, under the name that the scope knows it by: `ticket.id`, `event.attributes.plan`.
pub(super) fn field(program: &Program) -> Option<String> {
    let parts = dotted(program.expression())?;
    match parts.as_slice() {
        [variable, field] if FIELDS.iter().any(|(owner, name, ..)| owner == variable && name == field) => Some(parts.join(".")),
        ["event", "attributes", _] | ["person", "suppressed", _] => Some(parts.join(".")),
        _ => None,
    }
}

/// The first of the parser's complaints; the others mostly follow from it.
fn syntax(errors: &ParseErrors) -> String {
    let Some(first) = errors.errors.first() else { return "not an expression".to_owned() };
    if first.msg.contains("Recursion limit") {
        return "the expression is nested too deeply; simplify it".to_owned();
    }
    let message = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
    let message = message.split(" expecting ").next().unwrap_or(message).replace("'<EOF>'", "the end");
    // What people write who know another language.
    let hint = HABITS.iter().find(|(habit, _)| message.ends_with(habit)).map_or(String::new(), |(_, ours)| format!("; write `{ours}`"));
    format!("not an expression: {message}, character {}{hint}", first.pos.1)
}

const HABITS: [(&str, &str); 6] = [("'='", "=="), ("'= '", "=="), ("'and'", "&&"), ("'or'", "||"), ("'not'", "!"), ("'<>'", "!=")];

struct Reader<'a> {
    config: &'a Config,
    /// The events of the route. What one of them has, an expression may speak of; on the others it is null.
    on: &'a [Trigger],
    /// Names that the loops around bind.
    bound: Vec<String>,
    loops: usize,
    messages: Vec<String>,
}

impl Reader<'_> {
    fn say(&mut self, message: String) {
        if !self.messages.contains(&message) {
            self.messages.push(message);
        }
    }

    /// What nothing outside has a say in must make sense by itself.
    fn constant(&mut self, program: &Program, role: Role) {
        match (role, program.execute(&Context::with_env(Arc::clone(&LANGUAGE)))) {
            (Role::Condition, Ok(Value::Bool(false))) => {
                self.say("the condition is never true, so the route is unreachable; change it, or remove the route".to_owned());
            }
            (Role::Condition, Ok(Value::Bool(true))) | (Role::Value | Role::Mapping, Ok(_)) => {}
            (Role::Condition, Ok(_)) => self.say("the condition does not come to true or false".to_owned()),
            (_, Err(error)) if is_absence(&error) => self.say("the expression looks for something that is not there".to_owned()),
            (_, Err(error)) => self.say(format!("the expression always fails: {error}")),
        }
    }

    fn read(&mut self, expression: &IdedExpr) -> Type {
        if let Some(name) = self.dotted(expression) {
            return self.name(&name);
        }
        match &expression.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Type::Number,
                LiteralValue::Null => Type::Null,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::Bytes(_) => {
                    self.say("bytes (`b\"…\"`) have no use here; write text".to_owned());
                    Type::Unknown
                }
            },
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                list.elements.iter().for_each(|element| {
                    self.read(element);
                });
                Type::List
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.read(&entry.key);
                            self.read(&entry.value);
                        }
                        EntryExpr::StructField(field) => {
                            self.read(&field.value);
                        }
                    }
                }
                Type::Map
            }
            Expr::Select(select) if select.test => {
                self.presence(&select.operand, &select.field);
                Type::Bool
            }
            Expr::Select(select) => {
                self.read(&select.operand);
                Type::Unknown
            }
            Expr::Struct(_) => {
                self.say("objects with a type have no use here; write a mapping: `{\"key\": value}`".to_owned());
                Type::Unknown
            }
            Expr::Ident(_) | Expr::Unspecified => Type::Unknown,
        }
    }

    /// As [`dotted`], unless a loop binds the first part.
    fn dotted<'e>(&self, expression: &'e IdedExpr) -> Option<Vec<&'e str>> {
        dotted(expression).filter(|parts| parts.first().is_some_and(|first| self.bound.iter().all(|bound| bound != first)))
    }

    fn name(&mut self, parts: &[&str]) -> Type {
        let (Some(variable), rest) = (parts.first().copied(), parts.get(1..).unwrap_or_default()) else { return Type::Unknown };
        match (variable, rest) {
            ("now", []) => Type::Number,
            ("now", [_, ..]) => {
                self.say("`now` is a number, unix seconds, and has no fields".to_owned());
                Type::Unknown
            }
            ("ticket", _) if !self.on.iter().any(|on| on.is_about_a_ticket()) => {
                self.say(format!("`ticket` is only there on events of tickets; this route is on {}", self.events()));
                Type::Unknown
            }
            // Much of a person is never null, so there must be one whatever the event.
            ("person", _) if !self.on.iter().all(|on| on.what.concerns_a_person()) => {
                let nobodys = self.on.iter().filter(|on| !on.what.concerns_a_person()).map(|on| format!("`{on}`"));
                let message = format!("`person` is not there on {}, which concerns no person", listed(nobodys));
                self.say(message);
                Type::Unknown
            }
            ("event" | "person" | "ticket", []) => {
                self.say(format!("`{variable}` alone is not a value; name one of its fields: {}", self.fields_of(variable)));
                Type::Unknown
            }
            ("event" | "person" | "ticket", [field, rest @ ..]) => self.field(variable, field, rest),
            (name, []) if TYPES.contains(&name) => Type::Unknown,
            (name, _) => {
                let hint = if rest.is_empty() { "; text needs quotes" } else { "" };
                self.say(format!("unknown name {}{}{hint}", quoted(name), suggestion(name, VARIABLES)));
                Type::Unknown
            }
        }
    }

    /// Of the route, for messages.
    fn events(&self) -> String {
        listed(self.on.iter().map(|on| format!("`{on}`")))
    }

    /// Those that this event alone has go first.
    fn fields_of(&self, variable: &str) -> String {
        let of_variable = |field: &str| field.split_once('.').is_some_and(|(owner, _)| owner == variable);
        let (general, own): (Vec<_>, Vec<_>) =
            fields_of_any(self.on).filter(|(field, _)| of_variable(field)).partition(|(_, general)| *general);
        listed(own.into_iter().chain(general).map(|(field, _)| field))
    }

    fn field(&mut self, variable: &str, field: &str, rest: &[&str]) -> Type {
        let full = format!("{variable}.{field}");
        let Some((_, _, kind, only)) = FIELDS.into_iter().find(|(owner, name, ..)| *owner == variable && *name == field) else {
            let near = nearest(field, FIELDS.into_iter().filter(|(owner, ..)| *owner == variable).map(|(_, name, ..)| name));
            let near = near.map(|name| format!("{variable}.{name}")).or_else(|| nearest(field, VARIABLES).map(str::to_owned));
            let hint = near.map_or_else(|| format!("; known: {}", self.fields_of(variable)), |near| format!(" (did you mean `{near}`?)"));
            self.say(format!("unknown field {}{hint}", quoted(&full)));
            return Type::Unknown;
        };
        if let Some(has) = only.filter(|has| !self.on.iter().any(|on| has(on.what))) {
            let mut those: Vec<_> = Trigger::all().filter(|(trigger, _)| has(trigger.what)).collect();
            // What the same tool reports is the likeliest to be meant.
            those.sort_by_key(|(trigger, _)| self.on.iter().all(|on| on.source != trigger.source));
            let mut first: Vec<String> = those.iter().take(4).map(|(_, name)| format!("`{name}`")).collect();
            if those.len() > first.len() {
                first.push("…".to_owned());
            }
            let message = format!("`{full}` is only there on {}; this route is on {}", first.join(", "), self.events());
            self.say(message);
            return Type::Unknown;
        }
        match (full.as_str(), rest) {
            ("person.suppressed", []) => {
                let windows = listed(self.config.suppress.iter().map(|window| format!("{full}.{}", window.name)));
                self.say(format!("`{full}` alone is not a value; name one of the windows under `suppress:`: {windows}"));
                Type::Unknown
            }
            ("person.suppressed", [window]) => self.window(window),
            ("person.suppressed", [window, rest @ ..]) => {
                self.say(format!("`{full}.{window}` is true or false and has no field {}", quoted(&rest.join("."))));
                Type::Unknown
            }
            (_, []) => kind,
            ("event.attributes", _) => Type::Unknown,
            (_, [_, ..]) => {
                self.say(format!("`{full}` is {} and has no field {}", kind.name(), quoted(&rest.join("."))));
                Type::Unknown
            }
        }
    }

    fn window(&mut self, name: &str) -> Type {
        if !self.config.suppress.iter().any(|window| window.name == name) {
            let known = suggestion(name, self.config.suppress.iter().map(|window| window.name.as_str()));
            self.say(format!("no window under `suppress:` is named {}{known}", quoted(name)));
        }
        Type::Bool
    }

    /// `has(operand.field)`.
    fn presence(&mut self, operand: &IdedExpr, field: &str) {
        let Some(parts) = self.dotted(operand) else {
            self.read(operand);
            return;
        };
        let whole: Vec<&str> = parts.iter().copied().chain([field]).collect();
        let before = self.messages.len();
        self.name(&whole);
        if self.messages.len() == before && !whole.starts_with(&["event", "attributes"]) {
            let whole = whole.join(".");
            self.say(format!("`has` is for attributes; `{whole}` is always there, and null where there is nothing: `{whole} != null`"));
        }
    }

    fn call(&mut self, call: &CallExpr) -> Type {
        if call.func_name == operators::INDEX {
            return self.index(call);
        }
        let target = call.target.as_deref().map(|target| self.read(target));
        let arguments: Vec<Type> = call.args.iter().map(|argument| self.read(argument)).collect();
        match call.func_name.as_str() {
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS => {
                self.comparable(&arguments);
                self.known_words(&call.args);
                Type::Bool
            }
            operators::IN => {
                self.known_words(&call.args);
                Type::Bool
            }
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE => Type::Bool,
            operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO | operators::NEGATE => Type::Number,
            // Of two numbers, texts or lists.
            operators::ADD => arguments.into_iter().find(|kind| *kind != Type::Unknown).unwrap_or(Type::Unknown),
            operators::CONDITIONAL => match arguments.as_slice() {
                [_, yes, no] if yes == no => *yes,
                _ => Type::Unknown,
            },
            name => self.function(name, target.is_some(), arguments.len()),
        }
    }

    fn comparable(&mut self, sides: &[Type]) {
        if let [left, right] = sides
            && left != right
            && ![*left, *right].iter().any(|side| matches!(side, Type::Unknown | Type::Null))
        {
            self.say(format!("this compares {} with {}; compare like with like", left.name(), right.name()));
        }
    }

    /// A field with a fixed set of words, compared with a word outside of it, or with a list that holds one.
    fn known_words(&mut self, sides: &[IdedExpr]) {
        let Some((field, words)) = sides.iter().find_map(|side| {
            let field = self.dotted(side)?.join(".");
            words_of(&field).map(|words| (field, words))
        }) else {
            return;
        };
        let mut literals = Vec::new();
        for side in sides {
            match &side.expr {
                Expr::List(list) => literals.extend(list.elements.iter().filter_map(text_literal)),
                Expr::Literal(_) => literals.extend(text_literal(side)),
                Expr::Call(_)
                | Expr::Comprehension(_)
                | Expr::Ident(_)
                | Expr::Map(_)
                | Expr::Select(_)
                | Expr::Struct(_)
                | Expr::Unspecified => {}
            }
        }
        for literal in literals.into_iter().filter(|literal| !words.contains(literal)) {
            self.say(format!("`{field}` is never {}{}", quoted(literal), suggestion(literal, words.iter().copied())));
        }
    }

    /// `operand[key]`: attributes may have any name, so they need this form.
    fn index(&mut self, call: &CallExpr) -> Type {
        let [operand, key] = call.args.as_slice() else { return Type::Unknown };
        if let Expr::Literal(LiteralValue::String(literal)) = &key.expr
            && let Some(parts) = self.dotted(operand)
        {
            return match parts.as_slice() {
                ["event" | "person" | "ticket"] | ["person", "suppressed"] => {
                    self.say(format!("write a field with a dot: `{}.{}`", parts.join("."), literal.inner()));
                    Type::Unknown
                }
                _ => {
                    self.name(&parts);
                    Type::Unknown
                }
            };
        }
        self.read(operand);
        self.read(key);
        Type::Unknown
    }

    fn function(&mut self, name: &str, on_a_value: bool, arguments: usize) -> Type {
        let mut forms = FUNCTIONS.iter().filter(|(known, ..)| *known == name).peekable();
        let Some((.., example)) = forms.peek() else {
            let known = FUNCTIONS.iter().map(|(known, ..)| *known).chain(["has", "all", "exists", "exists_one", "filter", "map"]);
            let mut known: Vec<_> = known.collect();
            known.dedup();
            self.say(format!("no function is named {}{}", quoted(name), suggestion(name, known)));
            return Type::Unknown;
        };
        match forms.clone().find(|(_, method, count, ..)| *method == on_a_value && *count == arguments) {
            Some((_, _, _, kind, _)) => *kind,
            None => {
                self.say(format!("`{name}` is used like this: `{example}`"));
                Type::Unknown
            }
        }
    }

    /// What `all`, `exists`, `filter` and the like become.
    fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Type {
        self.read(&comprehension.iter_range);
        if VARIABLES.contains(&comprehension.iter_var.as_str()) {
            self.say(format!("{} is taken; give the loop's variable another name", quoted(&comprehension.iter_var)));
        }
        if self.loops > 0 {
            self.say("a loop inside of a loop takes too long; use one at most".to_owned());
        }
        self.loops += 1;
        let bound = self.bound.len();
        self.bound.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
        self.bound.extend(comprehension.iter_var2.clone());
        let start = self.read(&comprehension.accu_init);
        self.read(&comprehension.loop_cond);
        self.read(&comprehension.loop_step);
        let end = self.read(&comprehension.result);
        self.bound.truncate(bound);
        self.loops -= 1;
        // `exists_one` counts first and compares in the end; the others end as they begin.
        if end == Type::Unknown { start } else { end }
    }
}

/// `event.attributes.plan` as its parts.
fn dotted(expression: &IdedExpr) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut inner = &expression.expr;
    loop {
        match inner {
            Expr::Ident(name) => {
                parts.push(name.as_str());
                parts.reverse();
                return Some(parts);
            }
            Expr::Select(select) if !select.test => {
                parts.push(&select.field);
                inner = &select.operand.expr;
            }
            Expr::Select(_)
            | Expr::Call(_)
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_)
            | Expr::Unspecified => return None,
        }
    }
}

fn text_literal(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        Expr::Literal(_)
        | Expr::Call(_)
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Select(_)
        | Expr::Struct(_)
        | Expr::Unspecified => None,
    }
}
