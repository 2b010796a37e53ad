//! What a contact says about a person: names for them, and attributes. Webhooks and REST carry the same object.

use super::wire::{Author, Contact};
use crate::cut::{LONGEST_NAME_BYTES, cut, shortened};
use trefoil_domain::event::{Attributes, IdKind, Identifier, Profile, Value};
use trefoil_domain::time::Timestamp;

/// Intercom allows this many custom attributes a workspace.
const MOST_CUSTOM_ATTRIBUTES: usize = 250;

/// Names that custom attributes cannot take: what Intercom itself says under them must not be made up by anybody else.
const STANDARD: [&str; 9] =
    ["name", "email", "phone", "role", "created_at", "signed_up_at", "last_seen_at", "unsubscribed_from_emails", "external_id"];

/// Names of the person, strongest first. `author` is who began the conversation, where the contact comes from one.
pub(super) fn identifiers(contact: &Contact<'_>, author: Option<&Author<'_>>) -> Vec<Identifier> {
    let author = author.filter(|a| a.id.get().is_some() && a.id.get() == contact.id.get());
    let author_is = |kind| author.is_some_and(|a| a.kind.get() == Some(kind));
    // Intercom makes up an external id for every lead. Only a user's is the customer's own.
    let is_user = match contact.role.get() {
        Some(role) => role == "user",
        None => author_is("user"),
    };
    let email = contact.email.get().or_else(|| author.filter(|_| author_is("user") || author_is("lead")).and_then(|a| a.email.get()));
    let id = |kind, value: Option<&str>| value.and_then(|value| Identifier::new(kind, value));
    [id(IdKind::IntercomId, contact.id.get()), id(IdKind::UserId, contact.external_id.get().filter(|_| is_user)), id(IdKind::Email, email)]
        .into_iter()
        .flatten()
        .collect()
}

/// Standard fields and custom attributes side by side. What is null or empty is left out.
pub(super) fn profile(contact: &Contact<'_>) -> Profile {
    let is_user = contact.role.get() == Some("user");
    let text = |value: Option<&str>| value.map(|v| Value::String(cut(v.to_owned())));
    let time = |value: Option<Timestamp>| value.and_then(Timestamp::to_rfc3339).map(Value::String);
    let standard = [
        ("name", text(contact.name.get())),
        ("email", text(contact.email.get())),
        ("phone", text(contact.phone.get())),
        ("role", text(contact.role.get())),
        ("created_at", time(contact.created_at.0)),
        ("signed_up_at", time(contact.signed_up_at.0)),
        ("last_seen_at", time(contact.last_seen_at.0)),
        ("unsubscribed_from_emails", contact.unsubscribed_from_emails.0.map(Value::Bool)),
        ("external_id", text(contact.external_id.get().filter(|_| is_user))),
    ];
    let custom = contact
        .custom_attributes
        .0
        .iter()
        .filter(|(name, _)| !STANDARD.contains(&name.as_str()) && name.len() <= LONGEST_NAME_BYTES)
        .take(MOST_CUSTOM_ATTRIBUTES)
        .map(|(name, value)| (name.clone(), shortened(value)));
    let mut attributes: Attributes = custom.collect();
    attributes.extend(standard.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Profile { attributes, ..Profile::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::{CUT, LONGEST_TEXT_BYTES};

    fn ids(contact: &str, author: &str) -> Vec<(IdKind, String)> {
        let contact: Contact<'_> = serde_json::from_str(contact).expect("contact");
        let author: Author<'_> = serde_json::from_str(author).expect("author");
        identifiers(&contact, Some(&author)).into_iter().map(|id| (id.kind, id.value)).collect()
    }

    #[test]
    fn an_external_id_counts_only_where_it_is_proved_to_be_a_users() {
        let has_user_id = |contact, author| ids(contact, author).iter().any(|(kind, _)| *kind == IdKind::UserId);
        let nobody = "{}";
        let same_user = r#"{"type":"user","id":"c1"}"#;
        assert!(has_user_id(r#"{"id":"c1","external_id":"42","role":"user"}"#, nobody));
        assert!(has_user_id(r#"{"id":"c1","external_id":"42"}"#, same_user));
        assert!(!has_user_id(r#"{"id":"c1","external_id":"42"}"#, nobody));
        assert!(!has_user_id(r#"{"id":"c1","external_id":"42"}"#, r#"{"type":"lead","id":"c1"}"#));
        assert!(!has_user_id(r#"{"id":"c1","external_id":"42"}"#, r#"{"type":"user","id":"c2"}"#));
        assert!(!has_user_id(r#"{"id":"c1","external_id":"42","role":"lead"}"#, same_user));
        assert!(!has_user_id(r#"{"external_id":"42"}"#, r#"{"type":"user"}"#));
    }

    #[test]
    fn an_address_is_taken_from_the_contact_or_from_the_author_who_is_that_contact() {
        let email = |contact, author| ids(contact, author).into_iter().find(|(kind, _)| *kind == IdKind::Email).map(|(_, v)| v);
        let lead = r#"{"type":"lead","id":"c1","email":"Author@Example.com"}"#;
        assert_eq!(email(r#"{"id":"c1"}"#, lead).as_deref(), Some("author@example.com"));
        assert_eq!(email(r#"{"id":"c1","email":"own@example.com"}"#, lead).as_deref(), Some("own@example.com"));
        assert_eq!(email(r#"{"id":"c1","email":""}"#, lead).as_deref(), Some("author@example.com"));
        assert_eq!(email(r#"{"id":"c2"}"#, lead), None);
        assert_eq!(email(r#"{"id":"c1"}"#, r#"{"type":"admin","id":"c1","email":"jo@example.com"}"#), None);
    }

    #[test]
    fn custom_attributes_never_pose_as_standard_ones_and_long_text_is_cut_visibly() {
        let json = format!(
            r#"{{"id":"c1","role":"lead","external_id":"made-up","custom_attributes":{{"external_id":"42","email":"x@example.com","note":"{}"}}}}"#,
            "é".repeat(600)
        );
        let contact: Contact<'_> = serde_json::from_str(&json).expect("contact");
        let attributes = profile(&contact).attributes;
        assert_eq!(attributes.keys().map(String::as_str).collect::<Vec<_>>(), ["note", "role"]);
        let note = attributes["note"].as_str().expect("text");
        assert!(note.len() <= LONGEST_TEXT_BYTES && note.ends_with(CUT), "{}", note.len());
    }
}
