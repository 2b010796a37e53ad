//! Customer.io as a case takes it for granted: whoever is not made by the call itself is there.

use super::item::expected;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trefoil_standins::customerio::{CustomerIo, Identifier};
use trefoil_standins::fault::{During, Fault};

/// Who is, or was, at Customer.io: identifiers in the form of the API by `cio_id`.
#[derive(Default)]
pub(super) struct People {
    names: BTreeMap<String, BTreeSet<(String, String)>>,
    /// Who is there in the end.
    alive: BTreeSet<String>,
}

impl People {
    fn add(&mut self, cio_id: &str, id: Option<&str>, email: Option<&str>) {
        let names = self.names.entry(cio_id.to_owned()).or_default();
        let all = [("cio_id", Some(cio_id)), ("id", id), ("email", email)];
        names.extend(all.into_iter().filter_map(|(kind, value)| Some((kind.to_owned(), value?.to_lowercase()))));
    }

    pub(super) fn learn(&mut self, customerio: &CustomerIo) {
        for profile in customerio.profiles() {
            self.add(&profile.cio_id, profile.id.as_deref(), profile.email.as_deref());
            self.alive.insert(profile.cio_id);
        }
    }

    pub(super) fn has(&self, who: &Value) -> bool {
        name(who).is_some_and(|who| self.alive.iter().any(|cio_id| self.names[cio_id].contains(&who)))
    }

    /// Both name the same profile: as they stand, or since somebody goes by both.
    pub(super) fn are_one(&self, one: &Value, other: &Value) -> bool {
        let (Some(one), Some(other)) = (name(one), name(other)) else { return false };
        one == other || self.names.values().any(|names| names.contains(&one) && names.contains(&other))
    }
}

fn name(who: &Value) -> Option<(String, String)> {
    let (kind, value) = who.as_object()?.iter().next()?;
    Some((kind.clone(), value.as_str()?.to_lowercase()))
}

/// What only an identify makes there. An event of somebody unknown makes nobody here, so that whoever has one is there.
pub(super) fn set(case: &Value, customerio: &CustomerIo, people: &mut People) {
    let granted = if case.get("only_there").is_some() { Vec::new() } else { expected(case) };
    for item in granted {
        // Whoever is identified is made by that, unless they go by the id that Customer.io gave; a block needs nobody.
        let needs = !matches!(item.what, "person identify" | "person suppress" | "person unsuppress") && !item.of_identify;
        for who in item.people().filter(|who| needs || who.get("cio_id").is_some()) {
            add(who, customerio, people);
        }
    }
    for who in ["there", "only_there"].into_iter().filter_map(|name| case[name].as_array()).flatten() {
        add(who, customerio, people);
    }
    for stub in case["api_stubs"].as_array().into_iter().flatten() {
        let status = stub["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
        if status >= 400 {
            let (method, path) = (stub["method"].as_str().expect("a method"), stub["path"].as_str().expect("a path"));
            customerio.faults().set_on(method, path, Fault::status(status), During::Always);
        }
    }
}

fn add(who: &Value, customerio: &CustomerIo, people: &mut People) {
    let text = |name: &str| who[name].as_str();
    let is_there = |who: Identifier| customerio.profile(&who).is_some();
    match (text("cio_id"), text("id"), text("email")) {
        (Some(cio_id), _, _) if !is_there(Identifier::CioId(cio_id.to_owned())) => {
            customerio.add_profile_as(cio_id, None, None);
            people.add(cio_id, None, None);
        }
        (None, Some(id), email) if !is_there(Identifier::Id(id.to_owned())) => {
            people.add(&customerio.add_profile(Some(id), email, &[]), Some(id), email);
        }
        (None, None, Some(email)) if !is_there(Identifier::Email(email.to_owned())) => {
            people.add(&customerio.add_profile(None, Some(email), &[]), None, Some(email));
        }
        // Somebody without a name there, or who is there already.
        (Some(_), _, _) | (None, Some(_), _) | (None, None, _) => {}
    }
}

pub(super) fn has_faults(case: &Value) -> bool {
    case["api_stubs"].as_array().into_iter().flatten().any(|stub| stub["status"].as_u64() >= Some(400))
}

/// Of a batch of which one is refused: the names of those.
pub(super) fn refused_events(case: &Value) -> BTreeSet<String> {
    let stubs = case["api_stubs"].as_array().into_iter().flatten().filter(|stub| stub["status"] == 207);
    let errors = stubs.filter_map(|stub| stub["body"]["errors"].as_array()).flatten();
    let places = errors.filter_map(|error| usize::try_from(error["batch_index"].as_u64()?).ok());
    places.filter_map(|place| Some(case["input"][place]["event"].as_str()?.to_owned())).collect()
}

/// As the API of version 1 names people.
pub(super) fn guessed(name: &str) -> Value {
    let kind = if name.contains('@') { "email" } else { "id" };
    Value::Object(Map::from_iter([(kind.to_owned(), json!(name))]))
}
