//! Subscription types: kinds of mail and messages that a person can want or not.
//! <https://developers.intercom.com/docs/references/rest-api/api.intercom.io/subscription-types>

use crate::intercom::request::Request;
use crate::lenient::{List, Named, Text};
use serde::Deserialize;
use serde_json::json;

pub(super) fn list() -> Request {
    Request { asks: false, ..Request::get(&["subscription_types"]) }
}

/// A kind of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubscriptionType {
    id: String,
    name: Option<String>,
    consent: Consent,
    live: bool,
}

/// What being on its list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    /// It goes to whoever is not on it.
    OptOut,
    /// It goes to whoever is on it.
    OptIn,
}

impl Consent {
    fn as_str(self) -> &'static str {
        match self {
            Self::OptOut => "opt_out",
            Self::OptIn => "opt_in",
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Types<'a> {
    #[serde(borrow)]
    data: List<Listed<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listed<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    consent_type: Text<'a>,
    #[serde(borrow)]
    default_translation: Named<'a>,
}

impl Types<'_> {
    /// One that does not say what its list means is left out.
    pub(super) fn read(&self) -> Vec<SubscriptionType> {
        let types = self.data.iter().filter_map(|listed| {
            Some(SubscriptionType {
                id: listed.id.get()?.to_owned(),
                name: listed.default_translation.name.get().map(str::to_owned),
                consent: match listed.consent_type.get()? {
                    "opt_out" => Consent::OptOut,
                    "opt_in" => Consent::OptIn,
                    _ => return None,
                },
                live: listed.state.get().is_none_or(|state| state == "live"),
            })
        });
        types.collect()
    }
}

/// The type that goes by this id or name. Of several, one that is in use.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn find<'t>(types: &'t [SubscriptionType], topic: &str) -> Result<&'t SubscriptionType, &'static str> {
    if let Some(found) = types.iter().find(|kind| kind.id == topic) {
        return Ok(found);
    }
    let named = |kind: &&SubscriptionType| kind.name.as_ref().is_some_and(|name| name.trim().to_lowercase() == topic.trim().to_lowercase());
    let mut found: Vec<&SubscriptionType> = types.iter().filter(named).collect();
    if found.iter().any(|kind| kind.live) {
        found.retain(|kind| kind.live);
    }
    match found.as_slice() {
        [] => Err("unknown_subscription_type"),
        [one] => Ok(one),
        [_, _, ..] => Err("ambiguous_subscription_type"),
    }
}

/// Puts the contact on the list of the type or takes them off, as is needed for them to get it or not.
pub(super) fn set(contact: &str, kind: &SubscriptionType, subscribed: bool) -> Request {
    let listed = match kind.consent {
        Consent::OptIn => subscribed,
        Consent::OptOut => !subscribed,
    };
    if listed {
        Request::post(&["contacts", contact, "subscriptions"], json!({"id": kind.id, "consent_type": kind.consent.as_str()}))
    } else {
        Request::delete(&["contacts", contact, "subscriptions", &kind.id])
    }
}
