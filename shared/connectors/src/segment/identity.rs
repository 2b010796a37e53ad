//! Who a message is about.
//!
//! Never from `properties.email`, unless the operator says so: of an event that is somebody else's as often as not, an
//! agent's, an invited colleague's. <https://segment.com/docs/connections/spec/common/#identities>

use super::wire::{Call, Context, ExternalId, Who};
use trefoil_domain::event::{IdKind, Identifier};
use trefoil_domain::identifier::cio_digits;

/// Ids of other tools that are used. Nobody has more.
const MOST_EXTERNAL_IDS: usize = 5;

/// An Intercom id.
const INTERCOM_ID_DIGITS: usize = 24;
/// Ids of Customer.io's profiles have 12 digits and more.
const LEAST_CIO_ID_DIGITS: usize = 8;

/// Names of the person, strongest first. `traits`: those of the person, where the call has them.
pub(super) fn identifiers(call: &Call<'_>, context: &Context<'_>, traits: Option<&Who<'_>>) -> Vec<Identifier> {
    let told = [traits, context.traits.0.as_ref()];
    let told = || told.iter().flatten();
    let mut ids: Vec<Identifier> = context.external_ids.iter().filter_map(external).take(MOST_EXTERNAL_IDS).collect();
    // Declared strongest first, and a source's own ids come before all others.
    ids.sort_by_key(|id| id.kind);
    let (mut named, as_address): (Vec<Identifier>, Vec<Identifier>) =
        call.user_id.get().into_iter().flat_map(user).partition(|id| id.kind != IdKind::Email);
    // Beside Customer.io's own id of a profile the traits may hold the customer's id, which that profile is to have.
    // https://github.com/segmentio/action-destinations/blob/main/packages/destination-actions/src/destinations/customerio/createUpdatePerson/index.ts
    if named.iter().any(|id| id.kind == IdKind::CioId) {
        named.extend(traits.and_then(|who| who.id.get()).into_iter().flat_map(user).filter(|id| id.kind == IdKind::UserId));
    }
    ids.extend(named);
    ids.extend(told().find_map(|who| Identifier::new(IdKind::Email, who.email.get()?)));
    ids.extend(as_address);
    // Customer.io's own source of Segment puts the address of a person without an id there.
    let (address, anonymous_id) = call.anonymous_id.get().map_or((None, None), |id| match address(id) {
        Some(address) => (Some(address), None),
        None => (None, Identifier::new(IdKind::AnonymousId, id)),
    });
    ids.extend(address);
    ids.extend(told().find_map(|who| Identifier::new(IdKind::Phone, who.phone.get()?)));
    ids.extend(anonymous_id);
    let mut seen: Vec<Identifier> = Vec::with_capacity(ids.len());
    for id in ids {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}

/// What a `userId` names: with Customer.io's prefix before nothing but hex digits, a profile by its own id, as Segment's
/// destination for Customer.io reads it; an address, whom it belongs to.
pub(super) fn user(id: &str) -> impl Iterator<Item = Identifier> {
    let own = cio_digits(id).and_then(|digits| Identifier::new(IdKind::CioId, digits));
    let users = Identifier::of_user(id).filter({
        let is_own = own.is_some();
        move |_| !is_own
    });
    own.into_iter().chain(users)
}

/// Of a text that is one.
pub(super) fn address(text: &str) -> Option<Identifier> {
    Identifier::new(IdKind::Email, text)
}

/// One that another tool has for the person, under a name that the customer's space gives it.
fn external(id: &ExternalId<'_>) -> Option<Identifier> {
    // An account's id is no person's.
    if id.collection.get() != Some("users") {
        return None;
    }
    let value = id.id.get()?;
    match id.kind.get()? {
        "intercom_id" | "intercom_contact_id" if value.len() == INTERCOM_ID_DIGITS && is_hex(value) => {
            Identifier::new(IdKind::IntercomId, value)
        }
        "cio_id" | "customerio_id" | "customer_io_id" => {
            let digits = value.strip_prefix("cio_").unwrap_or(value);
            if digits.len() >= LEAST_CIO_ID_DIGITS && is_hex(digits) { Identifier::new(IdKind::CioId, digits) } else { None }
        }
        _ => None,
    }
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(call: &str, context: &str, traits: &str) -> Vec<(IdKind, String)> {
        let call: Call<'_> = serde_json::from_str(call).expect("a call");
        let context: Context<'_> = serde_json::from_str(context).expect("a context");
        let who: Who<'_> = serde_json::from_str(traits).expect("traits");
        identifiers(&call, &context, Some(&who)).into_iter().map(|id| (id.kind, id.value)).collect()
    }

    fn one(kind: IdKind, value: &str) -> (IdKind, String) {
        (kind, value.to_owned())
    }

    #[test]
    fn ids_come_strongest_first_and_once() {
        let context = r#"{"traits":{"email":"other@example.com","phone":"+353 87 123 4567"},"externalIds":[
            {"id":"d9c106000001","type":"cio_id","collection":"users"},
            {"id":"6961d4041c1e12de4c5499cc","type":"intercom_id","collection":"users"}]}"#;
        let found = ids(
            r#"{"anonymousId":"a1","userId":"Ann@example.com"}"#,
            context,
            r#"{"email":"ann@example.com","properties":{"email":"x@example.com"}}"#,
        );
        let expected = [
            one(IdKind::IntercomId, "6961d4041c1e12de4c5499cc"),
            one(IdKind::CioId, "d9c106000001"),
            one(IdKind::UserId, "Ann@example.com"),
            one(IdKind::Email, "ann@example.com"),
            one(IdKind::Phone, "+353871234567"),
            one(IdKind::AnonymousId, "a1"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_word_for_nothing_is_no_id() {
        for nothing in ["null", "undefined", "None", " NaN ", "[object Object]", "", " ", "-1", "0", "(null)", "anonymous", "\u{feff}"] {
            let call = serde_json::json!({"userId": nothing, "anonymousId": nothing}).to_string();
            assert_eq!(ids(&call, "{}", "{}"), [], "{nothing:?}");
        }
        assert_eq!(ids(r#"{"userId":0,"anonymousId":"00000000-0000-0000-0000-000000000000"}"#, "{}", "{}"), []);
    }

    #[test]
    fn an_address_is_read_out_of_other_ids_only_where_it_is_one() {
        for (call, expected) in [
            (r#"{"anonymousId":"Ann@example.com"}"#, vec![one(IdKind::Email, "ann@example.com")]),
            (r#"{"anonymousId":"ann@localhost"}"#, vec![one(IdKind::AnonymousId, "ann@localhost")]),
            (r#"{"userId":"@ann"}"#, vec![one(IdKind::UserId, "@ann")]),
            (r#"{"userId":"a b@example.com"}"#, vec![one(IdKind::UserId, "a b@example.com")]),
            (r#"{"userId":"ann@localhost"}"#, vec![one(IdKind::UserId, "ann@localhost")]),
            (r#"{"userId":"Ann@example.com "}"#, vec![one(IdKind::UserId, "Ann@example.com"), one(IdKind::Email, "ann@example.com")]),
        ] {
            assert_eq!(ids(call, "{}", "{}"), expected, "{call}");
        }
    }

    #[test]
    fn a_user_id_with_customer_ios_prefix_is_its_own_id() {
        for (id, expected) in [
            ("cio_d9c106000001", one(IdKind::CioId, "d9c106000001")),
            ("cio_33", one(IdKind::CioId, "33")),
            ("cio_", one(IdKind::UserId, "cio_")),
            ("cio_user_5", one(IdKind::UserId, "cio_user_5")),
        ] {
            assert_eq!(ids(&serde_json::json!({"userId": id}).to_string(), "{}", "{}"), [expected], "{id}");
        }
    }

    #[test]
    fn beside_customer_ios_own_id_the_traits_may_hold_the_customers() {
        let own = one(IdKind::CioId, "d9c106000001");
        for (call, traits, expected) in [
            (r#"{"userId":"cio_d9c106000001"}"#, r#"{"id":"u9"}"#, vec![own.clone(), one(IdKind::UserId, "u9")]),
            (r#"{"userId":"cio_d9c106000001"}"#, r#"{"id":"undefined"}"#, vec![own]),
            (r#"{"userId":"u1"}"#, r#"{"id":"u9"}"#, vec![one(IdKind::UserId, "u1")]),
            (r#"{"anonymousId":"a1"}"#, r#"{"id":"u9"}"#, vec![one(IdKind::AnonymousId, "a1")]),
        ] {
            assert_eq!(ids(call, "{}", traits), expected, "{call} {traits}");
        }
    }

    #[test]
    fn what_is_no_address_names_nobody() {
        for wrong in ["Ann <ann@example.com>", "mailto:ann@example.com", "ann@example.com, bob@example.com", "ann@@example.com"] {
            assert_eq!(ids(r#"{"userId":"u1"}"#, "{}", &serde_json::json!({"email": wrong}).to_string()), [one(IdKind::UserId, "u1")]);
        }
        let invisible = serde_json::json!({"email": "\u{feff}ann@example.com\u{200b}"}).to_string();
        assert_eq!(ids("{}", "{}", &invisible), [one(IdKind::Email, "ann@example.com")]);
    }

    #[test]
    fn of_the_ids_of_other_tools_five_are_used() {
        let many: Vec<_> =
            (0..9).map(|n| serde_json::json!({"id": format!("d9c10600000{n}"), "type": "cio_id", "collection": "users"})).collect();
        assert_eq!(ids("{}", &serde_json::json!({"externalIds": many}).to_string(), "{}").len(), MOST_EXTERNAL_IDS);
    }

    #[test]
    fn an_external_id_counts_only_where_it_is_a_persons_and_looks_like_one() {
        for (id, kind, collection) in [
            ("6961d4041c1e12de4c5499cc", "intercom_id", "accounts"),
            ("6961d4041c1e12de4c5499cX", "intercom_id", "users"),
            ("6961d404", "intercom_id", "users"),
            ("42", "cio_id", "users"),
            ("cio_zzzzzzzzzzzz", "cio_id", "users"),
            ("ann@example.com", "email", "users"),
        ] {
            let context = serde_json::json!({"externalIds": [{"id": id, "type": kind, "collection": collection}]}).to_string();
            assert_eq!(ids("{}", &context, "{}"), [], "{id} {kind} {collection}");
        }
    }
}
