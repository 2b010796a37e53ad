//! Conflicts in words, for the operator's own screen.

use super::desk::Conflict;
use crate::operator::{SHOWN, ids, ids_json, printable, time};
use serde_json::{Value, json};
use trefoil_domain::config::Config;
use trefoil_domain::event::{IdKind, Identifier};
use trefoil_domain::identity::ConflictKind;
use trefoil_domain::person::Person;
use trefoil_domain::tickets::Status;

/// All of them, to be read.
pub(super) fn pages(conflicts: &[Conflict], cleared: usize, config: &Config) -> String {
    let mut text: String = conflicts.iter().map(|conflict| page(conflict, config) + "\n").collect();
    text += &match conflicts.len() {
        0 => "No conflicts.".to_owned(),
        1 => "1 conflict.".to_owned(),
        several => format!("{several} conflicts."),
    };
    text += &match cleared {
        0 => "\n".to_owned(),
        1 => " 1 that no longer holds was cleared.\n".to_owned(),
        several => format!(" {several} that no longer hold were cleared.\n"),
    };
    text
}

/// One of them, with both sides and what can be done.
pub(super) fn page(conflict: &Conflict, config: &Config) -> String {
    let id: String = conflict.note.id.as_str().chars().take(SHOWN).collect();
    let mut text = format!("{id}  {}\n", what(conflict));
    text += &format!("{:SHOWN$}  noted {}\n", "", time(conflict.note.at));
    for person in &conflict.people {
        text += &format!("  person {}, since {}, {}\n", person.id, time(person.created_at), tickets(person, config));
        text += &ids(person);
    }
    let mut offer = |when: &str, command: &str| text += &format!("  {when:20} trefoil conflicts {command}\n");
    if conflict.people.len() > 1 && conflict.note.kind != ConflictKind::TwoProfiles {
        offer("one human:", &format!("merge {id}"));
        offer("only one person's:", &format!("give {id} --to PERSON"));
    }
    offer("leave it as it is:", &format!("dismiss {id}"));
    text
}

/// All of them, a line of JSON each.
pub(super) fn lines(conflicts: &[Conflict], config: &Config) -> String {
    conflicts.iter().map(|conflict| format!("{}\n", line(conflict, config))).collect()
}

fn line(conflict: &Conflict, config: &Config) -> Value {
    let person = |person: &Person| {
        let created_at = person.created_at.to_rfc3339();
        json!({ "id": person.id, "created_at": created_at, "open_tickets": open_tickets(person, config), "ids": ids_json(person) })
    };
    let over = &conflict.note.over;
    json!({
        "id": conflict.note.id,
        "kind": conflict.note.kind,
        "what": what(conflict),
        "over": { "kind": over.kind.name(), "value": over.value },
        "noted_at": conflict.note.at.to_rfc3339(),
        "people": conflict.people.iter().map(person).collect::<Vec<_>>(),
    })
}

/// Before a merge.
pub(super) fn question(conflict: &Conflict) -> String {
    format!("Make one person of these {}? This cannot be undone.", conflict.people.len())
}

/// What it is, in plain words.
fn what(conflict: &Conflict) -> String {
    let over = named(&conflict.note.over);
    let count = match conflict.people.len() {
        2 => "two".to_owned(),
        count => count.to_string(),
    };
    match conflict.note.kind {
        ConflictKind::Ambiguous => format!("{over} is claimed by {count} people"),
        ConflictKind::Contradiction if conflict.people.len() < 2 => format!("{over} was said of somebody who has another user id"),
        ConflictKind::Contradiction => {
            let (holders, others): (Vec<_>, Vec<_>) = conflict.people.iter().partition(|person| person.has_id(&conflict.note.over));
            let contact = match (conflict.note.over.kind, holders.len(), others.as_slice()) {
                (IdKind::UserId, 1.., [other]) => other.id_of(IdKind::IntercomId),
                _ => None,
            };
            match contact {
                Some(contact) => format!("Intercom contact {} says {over}, which is somebody else's", printable(contact)),
                None => format!("{over} is one person's, and came with ids of another who has another user id"),
            }
        }
        ConflictKind::TwoProfiles if conflict.note.over.kind == IdKind::CioId => "one person has two Customer.io profiles".to_owned(),
        ConflictKind::TwoProfiles => format!("{over} is one person's, and another Customer.io profile has it"),
    }
}

fn named(id: &Identifier) -> String {
    let kind = match id.kind {
        IdKind::IntercomId => "Intercom contact",
        IdKind::CioId => "Customer.io profile",
        IdKind::UserId => "user id",
        IdKind::Email => "e-mail address",
        IdKind::Phone => "phone number",
        IdKind::AnonymousId => "anonymous id",
    };
    format!("{kind} {}", printable(&id.value))
}

fn open_tickets(person: &Person, config: &Config) -> usize {
    person.tickets.values().filter(|ticket| ticket.status(&config.tickets.count) == Status::Open).count()
}

fn tickets(person: &Person, config: &Config) -> String {
    match open_tickets(person, config) {
        0 => "no open ticket".to_owned(),
        1 => "1 open ticket".to_owned(),
        several => format!("{several} open tickets"),
    }
}
