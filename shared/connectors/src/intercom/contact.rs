//! What a contact says about a person: names for them, and attributes. Webhooks and REST carry the same object.

use super::attributes::{side_by_side, text, time};
use super::wire::{Author, Contact};
use trefoil_domain::event::{Channel, Choice, ConsentChange, IdKind, Identifier, Profile, Value};

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
    let (user_id, as_address): (Vec<Identifier>, Vec<Identifier>) = contact
        .external_id
        .get()
        .filter(|_| is_user)
        .map(Identifier::of_user)
        .into_iter()
        .flatten()
        .partition(|id| id.kind == IdKind::UserId);
    let mut ids: Vec<Identifier> = id(IdKind::IntercomId, contact.id.get()).into_iter().chain(user_id).collect();
    for email in id(IdKind::Email, email).into_iter().chain(as_address) {
        if !ids.contains(&email) {
            ids.push(email);
        }
    }
    ids.extend(id(IdKind::Phone, contact.phone.get()));
    ids
}

/// Everything that the full object says. Intercom always sends the full object, and never what has changed in it.
pub(super) fn profile(contact: &Contact<'_>) -> Profile {
    let standard = [
        ("name", text(&contact.name)),
        ("email", text(&contact.email)),
        ("phone", text(&contact.phone)),
        ("formatted_phone", text(&contact.formatted_phone)),
        ("role", text(&contact.role)),
        ("created_at", time(contact.created_at.0)),
        ("signed_up_at", time(contact.signed_up_at.0)),
        ("last_seen_at", time(contact.last_seen_at.0)),
        ("unsubscribed_from_emails", contact.unsubscribed_from_emails.0.map(Value::Bool)),
        ("external_id", text(&contact.external_id).filter(|_| contact.role.get() == Some("user"))),
    ];
    Profile { attributes: side_by_side(standard, &contact.custom_attributes, &[]), whole: true, consent: beliefs(contact) }
}

/// One choice for the whole of a channel.
pub(super) fn whole_channel(channel: Channel, choice: Choice) -> ConsentChange {
    ConsentChange { channel: Some(channel), topic: None, choice }
}

/// Whoever calls our mail spam wants none, whatever else stands there. That somebody has not opted out of SMS says nothing:
/// nearly nobody has been asked.
fn beliefs(contact: &Contact<'_>) -> Vec<ConsentChange> {
    let email = match (contact.marked_email_as_spam.0, contact.unsubscribed_from_emails.0) {
        (Some(true), _) | (_, Some(true)) => Some(Choice::Out),
        (_, Some(false)) => Some(Choice::In),
        (_, None) => None,
    };
    let sms = contact.unsubscribed_from_sms.0.filter(|out| *out).map(|_| Choice::Out);
    let of = |channel, choice: Option<Choice>| choice.map(|choice| whole_channel(channel, choice));
    [of(Channel::Email, email), of(Channel::Sms, sms)].into_iter().flatten().collect()
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
    fn a_placeholder_is_no_external_id_and_an_address_is_that_address() {
        let of = |contact: &str| ids(contact, "{}").into_iter().filter(|(kind, _)| *kind != IdKind::IntercomId).collect::<Vec<_>>();
        for nothing in ["undefined", "null", "None", "NaN", "[object Object]", "-1", "0", "(null)", "anonymous", "0000-0000"] {
            assert_eq!(of(&format!(r#"{{"id":"c1","role":"user","external_id":"{nothing}"}}"#)), [], "{nothing}");
        }
        let both = [(IdKind::UserId, "Ada@Example.com".to_owned()), (IdKind::Email, "ada@example.com".to_owned())];
        assert_eq!(of(r#"{"id":"c1","role":"user","external_id":"Ada@Example.com"}"#), both);
        assert_eq!(of(r#"{"id":"c1","role":"user","external_id":"Ada@Example.com","email":"ada@example.com"}"#), both);
        assert_eq!(of(r#"{"id":"c1","role":"user","email":"Ada <ada@example.com>"}"#), []);
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

    #[test]
    fn what_intercom_believes_of_consent_is_only_what_it_clearly_says() {
        use Choice::{In, Out};
        for (json, expected) in [
            (r#"{}"#, vec![]),
            (r#"{"unsubscribed_from_emails":false}"#, vec![(Channel::Email, In)]),
            (r#"{"unsubscribed_from_emails":true}"#, vec![(Channel::Email, Out)]),
            (r#"{"unsubscribed_from_emails":"true","marked_email_as_spam":0}"#, vec![]),
            (r#"{"unsubscribed_from_emails":false,"marked_email_as_spam":true}"#, vec![(Channel::Email, Out)]),
            (r#"{"marked_email_as_spam":false}"#, vec![]),
            (r#"{"unsubscribed_from_sms":false,"sms_consent":false}"#, vec![]),
            (r#"{"unsubscribed_from_sms":true,"sms_consent":true}"#, vec![(Channel::Sms, Out)]),
            (r#"{"unsubscribed_from_emails":true,"unsubscribed_from_sms":true}"#, vec![(Channel::Email, Out), (Channel::Sms, Out)]),
        ] {
            let contact: Contact<'_> = serde_json::from_str(json).expect("contact");
            let expected: Vec<_> = expected.into_iter().map(|(channel, choice)| whole_channel(channel, choice)).collect();
            assert_eq!(profile(&contact).consent, expected, "{json}");
        }
    }
}
