//! Searching contacts and conversations. (notes 2.3, 2.8)
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/contacts/searchcontacts>

use super::asked::{Asked, Object, invalid};
use super::call::{Answered, Call, Refusal, ok};
use crate::intercom::shapes;
use crate::intercom::world::ConversationState;
use serde_json::{Value, json};

/// "Max 2 nesting levels, max 15 filters per group."
const MAX_DEPTH: usize = 2;
const MAX_FILTERS: usize = 15;
const MAX_PER_PAGE: usize = 150;

/// The index may lag: a new contact is not found, a changed one is found by what it had. What is found is shown as it is
/// now, which is in no page. Contacts that are archived, deleted or merged vanish at once.
pub(super) fn contacts(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let query = Query::of(&object, &["id", "email", "external_id", "role", "name", "phone", "unsubscribed_from_emails"])?;
    let until_ms = call.now_ms().saturating_sub(i64::from(call.shared.options.variants.search_lag_secs) * 1000);
    let world = &call.inside.world;
    let found: Vec<Value> = world
        .searchable(until_ms)
        .filter(|(contact, email, external_id)| {
            query.holds(&|field| match field {
                "id" => vec![json!(contact.id)],
                "email" => vec![json!(email)],
                "external_id" => vec![json!(external_id)],
                "role" => vec![json!(contact.role.as_str())],
                "name" => vec![json!(contact.name)],
                "phone" => vec![json!(contact.phone)],
                "unsubscribed_from_emails" => vec![json!(contact.unsubscribed_from_emails)],
                _ => Vec::new(),
            })
        })
        .map(|(contact, ..)| shapes::contact(world, contact, &call.shared.options.app_id, call.form()))
        .collect();
    page(&object, &found, 50, "list", "data")
}

/// Fresh at once; how fresh it is at Intercom is not documented.
pub(super) fn conversations(call: &mut Call<'_>, asked: &Asked) -> Answered {
    let object = asked.object()?;
    let query = Query::of(&object, &["id", "contact_ids", "state", "open", "created_at", "updated_at"])?;
    let world = &call.inside.world;
    let found: Vec<Value> = world
        .conversations()
        .filter(|conversation| {
            query.holds(&|field| match field {
                "id" => vec![json!(conversation.id.to_string())],
                "contact_ids" => conversation.contacts.iter().map(|contact| json!(contact)).collect(),
                "state" => vec![json!(conversation.state.as_str())],
                "open" => vec![json!(conversation.state != ConversationState::Closed)],
                "created_at" => vec![json!(conversation.created_at)],
                "updated_at" => vec![json!(conversation.updated_at)],
                _ => Vec::new(),
            })
        })
        .map(|conversation| {
            let mut shown = shapes::conversation(world, conversation, call.form());
            // A search shows conversations without their parts.
            if let Some(shown) = shown.as_object_mut() {
                shown.remove("conversation_parts");
            }
            shown
        })
        .collect();
    page(&object, &found, 20, "conversation.list", "conversations")
}

fn page(object: &Object, found: &[Value], default: usize, kind: &str, list: &str) -> Answered {
    let pagination = object.inner("pagination")?;
    let number = |name: &str| match &pagination {
        Some(pagination) => pagination.integer(name).map(|number| number.and_then(|number| usize::try_from(number).ok())),
        None => Ok(None),
    };
    let per_page = number("per_page")?.unwrap_or(default);
    if !(1..=MAX_PER_PAGE).contains(&per_page) {
        return Err(invalid(format!("per_page must be between 1 and {MAX_PER_PAGE}")));
    }
    // The cursor is a text that only this page makes.
    let after = match &pagination {
        Some(pagination) => pagination.text("starting_after")?,
        None => None,
    };
    let from = match after {
        Some(after) => after.parse().map_err(|_| invalid("starting_after is no cursor of this search"))?,
        None => 0,
    };
    let shown: Vec<&Value> = found.iter().skip(from).take(per_page).collect();
    let end = from + shown.len();
    let mut pages =
        json!({"type": "pages", "page": from / per_page + 1, "per_page": per_page, "total_pages": found.len().div_ceil(per_page)});
    if end < found.len() {
        pages["next"] = json!({"page": from / per_page + 2, "starting_after": end.to_string()});
    }
    ok(&json!({"type": kind, list: shown, "total_count": found.len(), "pages": pages}))
}

enum Query {
    All(Vec<Query>),
    Any(Vec<Query>),
    Filter { field: String, operator: Operator, value: Value },
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    Unequal,
    In,
    NotIn,
    Greater,
    Less,
}

impl Query {
    fn of(object: &Object, fields: &[&str]) -> Result<Self, Refusal> {
        let query = object.raw("query").ok_or_else(|| invalid("query is required"))?;
        Self::read(query, fields, 0)
    }

    fn read(query: &Value, fields: &[&str], depth: usize) -> Result<Self, Refusal> {
        let operator = query.get("operator").and_then(Value::as_str).ok_or_else(|| invalid("a query needs an operator"))?;
        let value = query.get("value").ok_or_else(|| invalid("a query needs a value"))?;
        if matches!(operator, "AND" | "OR") {
            let filters = value.as_array().ok_or_else(|| invalid("the value of a group must be an array"))?;
            if depth >= MAX_DEPTH || filters.len() > MAX_FILTERS {
                return Err(invalid("a query has at most 2 levels of groups and 15 filters in each"));
            }
            let inner = filters.iter().map(|filter| Self::read(filter, fields, depth + 1)).collect::<Result<_, _>>()?;
            return Ok(if operator == "AND" { Self::All(inner) } else { Self::Any(inner) });
        }
        let field = query.get("field").and_then(Value::as_str).ok_or_else(|| invalid("a filter needs a field"))?;
        if !fields.contains(&field) {
            return Err(invalid(format!("this stand-in does not search by {field}")));
        }
        let operator = match operator {
            "=" => Operator::Equal,
            "!=" => Operator::Unequal,
            "IN" => Operator::In,
            "NIN" => Operator::NotIn,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            _ => return Err(invalid(format!("this stand-in does not search with {operator}"))),
        };
        let many = matches!(operator, Operator::In | Operator::NotIn);
        if many != value.is_array() {
            return Err(invalid("the operators IN and NIN take an array, the others one value"));
        }
        Ok(Self::Filter { field: field.to_owned(), operator, value: value.clone() })
    }

    /// `values` are what the thing has in a field: one, or several.
    fn holds(&self, values: &dyn Fn(&str) -> Vec<Value>) -> bool {
        match self {
            Self::All(inner) => inner.iter().all(|query| query.holds(values)),
            Self::Any(inner) => inner.iter().any(|query| query.holds(values)),
            Self::Filter { field, operator, value } => {
                let has = values(field);
                let same = |one: &Value, other: &Value| same(field, one, other);
                let among = |one: &Value| value.as_array().is_some_and(|all| all.iter().any(|other| same(one, other)));
                let listed = has.iter().any(among);
                let compare = |holds: fn(i64, i64) -> bool| {
                    has.iter().any(|one| number(one).zip(number(value)).is_some_and(|(one, other)| holds(one, other)))
                };
                match operator {
                    Operator::Equal => has.iter().any(|one| same(one, value)),
                    Operator::Unequal => !has.iter().any(|one| same(one, value)),
                    Operator::In => listed,
                    Operator::NotIn => !listed,
                    Operator::Greater => compare(|one, other| one > other),
                    Operator::Less => compare(|one, other| one < other),
                }
            }
        }
    }
}

/// Addresses and names are the same in any case of letters, ids are not; numbers and booleans may come as texts.
fn same(field: &str, one: &Value, other: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) if matches!(field, "email" | "name") => Some(text.to_lowercase()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    text(one) == text(other)
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.as_i64(),
    }
}
