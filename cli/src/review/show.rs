//! What is unknown, in words, for the operator's own screen.

use super::desk::{Case, action, made_before, needs_what_was_made};
use crate::operator::{SHOWN, ids, ids_json, printable, time};
use serde_json::{Value, json};
use trefoil_domain::action::{IntercomVerb, MessageChannel, NoteOn, OpenConversation};
use trefoil_domain::ledger::Entry;
use trefoil_domain::time::Timestamp;

/// Characters of a text that are enough to know it by.
const QUOTED: usize = 60;

/// Before something is done that may have been done.
pub(super) const QUESTION: &str = "Do it again? If it was done after all, people see it twice.";

/// All of them, to be read.
pub(super) fn pages(cases: &[Case]) -> String {
    let text: String = cases.iter().map(|case| page(case) + "\n").collect();
    text + &match cases.len() {
        0 => "Nothing wants a review.\n".to_owned(),
        1 => "1 action wants a review.\n".to_owned(),
        several => format!("{several} actions want a review.\n"),
    }
}

/// One of them, with whom it concerns and what can be said of it.
pub(super) fn page(Case { entry, person }: &Case) -> String {
    let id: String = entry.action.as_str().chars().take(SHOWN).collect();
    let mut text = format!("{id}  {} of route {}\n", verb(entry), quoted(route(entry)));
    text += &match entry.unknown() {
        Some((step, since)) => {
            format!("{:SHOWN$}  `{}` was begun {}; nobody knows whether it was made\n", "", printable(step), time(since))
        }
        None => format!("{:SHOWN$}  begun {}; what is left of it was not made\n", "", time(entry.begun_at)),
    };
    text += &match person {
        Some(person) => format!("  person {}\n{}", person.id, ids(person)),
        None => format!("  person {}, who has been forgotten\n", entry.job.about()),
    };
    let mut line = |when: &str, what: &str| text += &format!("  {when:17} {what}\n");
    match entry.unknown() {
        Some((step, since)) => {
            line("look for:", &look_for(entry, step, since));
            let made = if made_before(entry).is_none() && needs_what_was_made(entry) { " --made VENDOR_ID" } else { "" };
            line("it is there:", &format!("trefoil review done {id}{made}"));
            line("it is not there:", &format!("trefoil review send-again {id}"));
        }
        None => line("go on with it:", &format!("trefoil review send-again {id}")),
    }
    text
}

/// All of them, a line of JSON each.
pub(super) fn lines(cases: &[Case]) -> String {
    cases.iter().map(|case| format!("{}\n", line(case))).collect()
}

fn line(Case { entry, person }: &Case) -> Value {
    let unknown = entry.unknown();
    json!({
        "id": entry.action,
        "begun_at": entry.begun_at.to_rfc3339(),
        "verb": verb(entry),
        "route": route(entry),
        "event": entry.job.event,
        "step": unknown.map(|(step, _)| step),
        "since": unknown.and_then(|(_, since)| since.to_rfc3339()),
        "look_for": unknown.map(|(step, since)| look_for(entry, step, since)),
        "made": made_before(entry),
        "person": { "id": person.as_ref().map_or(entry.job.about(), |person| person.id.as_str()), "ids": person.as_ref().map(ids_json) },
    })
}

/// As it stands in `trefoil.yaml`.
fn verb(entry: &Entry) -> String {
    action(entry).map_or_else(|| entry.job.queue().to_string(), |action| format!("intercom.{}", action.what.name()))
}

fn route(entry: &Entry) -> &str {
    action(entry).map_or("", |action| &action.route)
}

/// What would be at Intercom if it had been made.
fn look_for(entry: &Entry, step: &str, since: Timestamp) -> String {
    let at = time(since);
    let Some(action) = action(entry) else { return format!("what `{}` would have made at {at}", printable(step)) };
    match &action.what {
        IntercomVerb::OpenConversation(open) => match made_before(entry) {
            None => format!("a conversation of this person, from {at}, that begins {}", quoted(&open.body)),
            Some(conversation) => format!("in conversation {}: {}", printable(conversation), added(open, step)),
        },
        IntercomVerb::CreateTicket(ticket) => match made_before(entry) {
            None => format!("a ticket of this person, from {at}, with the title {}", quoted(&ticket.title)),
            Some(id) => {
                let (admin, team) = (ticket.assign_to_admin.as_deref(), ticket.assign_to_team.as_deref());
                format!("whether ticket {} is {}", printable(id), assigned(admin, team))
            }
        },
        IntercomVerb::SendMessage(message) => {
            let what = match message.channel {
                MessageChannel::Email => {
                    format!("an e-mail to this person, subject {}", quoted(message.subject.as_deref().unwrap_or_default()))
                }
                MessageChannel::InApp => format!("a message to this person that begins {}", quoted(&message.body)),
            };
            format!("{what}, from {at}")
        }
        IntercomVerb::AddNote { body, on } => {
            let place = match on {
                NoteOn::Contact => "on the contact",
                NoteOn::Conversation => "in the person's latest open conversation, or on the contact",
            };
            format!("a note {place}, from {at}, that begins {}", quoted(body))
        }
        IntercomVerb::UpsertContact(_)
        | IntercomVerb::AddTag { .. }
        | IntercomVerb::RemoveTag { .. }
        | IntercomVerb::TrackEvent(_)
        | IntercomVerb::SetSubscription { .. }
        | IntercomVerb::UpsertCompany(_)
        | IntercomVerb::ArchiveContact
        | IntercomVerb::DeleteContact
        | IntercomVerb::MergeContacts => format!("whether {} took effect at {at}", action.what.name()),
    }
}

/// What a later step would have added to a conversation.
fn added(open: &OpenConversation, step: &str) -> String {
    match step {
        "note" => format!("a note that begins {}", quoted(open.note.as_deref().unwrap_or_default())),
        "tag" => format!("the tag {}", quoted(open.tag.as_deref().unwrap_or_default())),
        assign if assign.starts_with("assign") => {
            format!("that it is {}", assigned(open.assign_to_admin.as_deref(), open.assign_to_team.as_deref()))
        }
        other => format!("what `{}` would have added", printable(other)),
    }
}

fn assigned(admin: Option<&str>, team: Option<&str>) -> String {
    let name = |what: &str, id: Option<&str>| id.map(|id| format!("{what} {}", printable(id)));
    let to: Vec<String> = name("teammate", admin).into_iter().chain(name("team", team)).collect();
    format!("assigned to {}", to.join(" and "))
}

/// The beginning of a text, on one line.
fn quoted(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut beginning: String = text.chars().take(QUOTED).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    format!("\"{}\"", printable(&beginning))
}
