//! Intercom as a case's stubs have it: whoever a search found is there.

use serde_json::Value;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{Intercom, NewContact, Role};

/// The contact of a case in which nothing was searched for.
pub(crate) const UNASKED: &str = "6961d4041c1e12de4c5499cc";

fn call(case: &Value) -> &Value {
    &case["input"][0]
}

pub(crate) fn user_id(case: &Value) -> Option<&str> {
    call(case)["userId"].as_str()
}

pub(crate) fn email(case: &Value) -> Option<&str> {
    let call = call(case);
    [&call["traits"]["email"], &call["properties"]["email"], &call["context"]["traits"]["email"]].into_iter().find_map(Value::as_str)
}

fn stubs<'c>(case: &'c Value, method: &'c str, path: &'c str) -> impl Iterator<Item = &'c Value> {
    let stubs = case["api_stubs"].as_array().into_iter().flatten();
    stubs.filter(move |stub| stub["method"] == method && stub["path"] == path)
}

fn status(stub: &Value) -> u16 {
    stub["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status")
}

/// Ids of the contacts that the case's search found; of a case without one, of the contact that it goes without saying is there.
pub(crate) fn contacts(case: &Value) -> Vec<String> {
    let searched = stubs(case, "POST", "/contacts/search").collect::<Vec<_>>();
    let is_unknown = stubs(case, "POST", "/events").any(|stub| status(stub) == 404);
    if searched.is_empty() {
        let names_a_user = call(case)["type"] == "track" && user_id(case).is_some();
        return if names_a_user && !is_unknown { vec![UNASKED.to_owned()] } else { Vec::new() };
    }
    let found = searched.iter().filter_map(|stub| stub["body"]["data"].as_array()).flatten();
    let id = |contact: &Value| contact["id"].as_str().map_or_else(|| contact["id"].to_string(), str::to_owned);
    found.map(id).collect()
}

pub(crate) fn set(case: &Value, intercom: &Intercom) {
    let found = contacts(case);
    let (user_id, email) = (user_id(case), email(case));
    for id in &found {
        // An id of the customer's own is one contact's; an address may be that of many leads.
        let own = user_id.filter(|_| found.len() == 1);
        let role = if own.is_some() { Role::User } else { Role::Lead };
        let new =
            NewContact { role: Some(role), external_id: own.map(str::to_owned), email: email.map(str::to_owned), ..NewContact::default() };
        intercom.add_contact_as(id, new);
    }
    for stub in stubs(case, "POST", "/contacts/search").filter(|stub| status(stub) >= 400) {
        // We ask for a user by their id, where the destination searches.
        intercom.faults().set_on("GET", "/contacts/find_by_external_id/{external_id}", Fault::status(status(stub)), During::Always);
        intercom.faults().set_on("POST", "/contacts/search", Fault::status(status(stub)), During::Always);
    }
    for path in ["/contacts", "/companies", "/events"] {
        // Whom nobody knows, the stand-in does not know either.
        for stub in stubs(case, "POST", path).filter(|stub| status(stub) >= 400 && status(stub) != 404) {
            intercom.faults().set_on("POST", path, Fault::status(status(stub)), During::Always);
        }
    }
}
