//! What both kinds of webhook have in common: who is meant, when it was, and under which id it goes.

use super::wire::Ids;
use crate::lenient::{Text, Time};
use trefoil_domain::event::{Event, IdKind, Identifier, Kind, Source, Workspace, event_id};
use trefoil_domain::id::EventId;
use trefoil_domain::time::Timestamp;

/// Why an authentic webhook cannot be used: a stable word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// Whoever sent it can do nothing about it, and must not be told: a reporting webhook that is refused holds back all that
    /// comes after it, for an hour at least.
    Unusable(&'static str),
    /// A webhook action that its author should see fail.
    Refused(&'static str),
    /// Nothing for us.
    Ignored(&'static str),
}

/// What is known of a webhook besides its content.
pub(super) struct Delivery<'a> {
    pub(super) workspace: &'a Workspace,
    /// Customer.io's own id of the event, or the hash of the body.
    pub(super) id: &'a str,
    /// When it was sent, as the header says.
    pub(super) sent_at: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Delivery<'_> {
    /// `kind` keeps the ids of reports and of webhook actions apart; `part` those of several events that one webhook makes.
    pub(super) fn event(&self, part: [&str; 2], occurred_at: Timestamp, ids: &[Identifier], kind: Kind) -> Event {
        Event {
            id: self.event_id(part),
            source: Source::Customerio,
            workspace: self.workspace.clone(),
            occurred_at,
            received_at: self.now,
            ids: ids.to_vec(),
            person: None,
            origin: None,
            kind,
        }
    }

    fn event_id(&self, [kind, part]: [&str; 2]) -> EventId {
        event_id(Source::Customerio, self.workspace, &[kind, self.id, part])
    }

    /// `None` where it cannot be true.
    pub(super) fn credible(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        Time(at).credible(self.now)
    }
}

/// Names of the person, strongest first. Workspaces that know people by id alone send nothing else.
pub(super) fn identifiers(ids: Option<&Ids<'_>>, customer_id: &Text<'_>, address: &Text<'_>) -> Vec<Identifier> {
    let of = |kind, value: Option<&str>| value.and_then(|value| Identifier::new(kind, value));
    let of_user = |value: Option<&str>| value.map(Identifier::of_user).into_iter().flatten().collect::<Vec<_>>();
    let cio_id = ids.and_then(|ids| ids.cio_id.0.as_ref()?.as_str()).and_then(|text| of(IdKind::CioId, Some(text)));
    // Whatever else stands there is a template that was not rendered.
    let cio_id = cio_id.filter(|id| !id.value.is_empty() && id.value.bytes().all(|b| b.is_ascii_hexdigit()));
    let email = of(IdKind::Email, ids.and_then(|ids| ids.email.get())).or_else(|| of(IdKind::Email, address.get()));
    let mut named: Vec<Identifier> = cio_id.into_iter().chain(of_user(ids.and_then(|ids| ids.id.get()))).collect();
    // Deprecated, and only worth something where the newer field names nobody.
    if named.is_empty() {
        named.extend(of_user(customer_id.get()));
    }
    let (mut named, as_address): (Vec<Identifier>, Vec<Identifier>) = named.into_iter().partition(|id| id.kind != IdKind::Email);
    for id in email.into_iter().chain(as_address) {
        if !named.contains(&id) {
            named.push(id);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customerio::wire::Data;

    fn ids(json: &str) -> Vec<(IdKind, String)> {
        let data: Data<'_> = serde_json::from_str(json).expect("data");
        let ids = identifiers(data.identifiers.0.as_ref(), &data.customer_id, &data.email_address);
        ids.into_iter().map(|id| (id.kind, id.value)).collect()
    }

    #[test]
    fn a_person_is_named_by_whatever_is_there_strongest_first() {
        let of = |kind, value: &str| (kind, value.to_owned());
        let all = r#"{"customer_id":"9","identifiers":{"id":"42","email":"Jo@Example.com","cio_id":"03000001"}}"#;
        let expected = [of(IdKind::CioId, "03000001"), of(IdKind::UserId, "42"), of(IdKind::Email, "jo@example.com")];
        assert_eq!(ids(all), expected);
        assert_eq!(ids(r#"{"customer_id":"42","identifiers":{"id":42}}"#), [of(IdKind::UserId, "42")]);
        assert_eq!(ids(r#"{"customer_id":"42"}"#), [of(IdKind::UserId, "42")]);
        assert_eq!(ids(r#"{"customer_id":42,"identifiers":null}"#), [of(IdKind::UserId, "42")]);
        assert_eq!(ids(r#"{"identifiers":{"id":"","email":null,"cio_id":"cio_0a"}}"#), [of(IdKind::CioId, "0a")]);
        assert_eq!(ids(r#"{"email_address":"jo@example.com"}"#), [of(IdKind::Email, "jo@example.com")]);
        assert_eq!(
            ids(r#"{"customer_id":"null","identifiers":{"id":"undefined","email":"jo@example.com"}}"#),
            [of(IdKind::Email, "jo@example.com")]
        );
        assert_eq!(ids(r#"{"customer_id":"","identifiers":{"id":null,"email":"","cio_id":" "}}"#), []);
        for nothing in ["-1", "0", "(null)", "anonymous", "[object Object]"] {
            assert_eq!(ids(&format!(r#"{{"customer_id":"{nothing}","identifiers":{{"id":"{nothing}"}}}}"#)), [], "{nothing}");
        }
    }

    #[test]
    fn an_address_in_an_id_field_is_that_address() {
        let expected = [(IdKind::UserId, "Jo@Example.com".to_owned()), (IdKind::Email, "jo@example.com".to_owned())];
        assert_eq!(ids(r#"{"identifiers":{"id":"Jo@Example.com"}}"#), expected);
        assert_eq!(ids(r#"{"customer_id":"Jo@Example.com"}"#), expected);
        assert_eq!(ids(r#"{"identifiers":{"id":"Jo@Example.com","email":"jo@example.com"}}"#), expected);
        assert_eq!(ids(r#"{"identifiers":{"email":"Jo <jo@example.com>"}}"#), []);
    }

    #[test]
    fn a_cio_id_is_text_of_hex_digits_or_nothing() {
        for odd in ["3000001", "\"{{customer.cio_id}}\"", "\"cio_\"", "\"jo\"", "null", "[]"] {
            assert_eq!(ids(&format!(r#"{{"identifiers":{{"cio_id":{odd}}}}}"#)), [], "{odd}");
        }
    }
}
