//! Values with `${…}` in them. Expressions are cut out here and understood in [`crate::rules`].

use super::build::Build;
use super::yaml::{Node, Position, Text, Value, join};
use super::{Expression, Template, TemplatePart};

/// A value of any type.
pub(super) fn template(build: &mut Build<'_>, node: &Node, path: &str) -> Option<Template> {
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
pub(super) fn text_template(build: &mut Build<'_>, text: &Text, path: &str) -> Option<Template> {
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
