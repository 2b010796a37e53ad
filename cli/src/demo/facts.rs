//! What each tool believes of somebody, beside what it should believe.

use super::Stage;
use super::hook::Tool;
use serde_json::{Value, json};
use trefoil_standins::customerio::{Identifier, Profile as Customer};
use trefoil_standins::intercom::Contact;
use trefoil_standins::segment::Profile;

/// Somebody, as each tool knows them.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) email: &'static str,
    /// Intercom's id.
    pub(super) contact: String,
}

pub(super) struct Fact {
    pub(super) tool: Tool,
    pub(super) name: String,
    pub(super) is: String,
    pub(super) should: String,
}

impl Stage {
    pub(super) fn customer(&self, who: &Person) -> Option<Customer> {
        self.customerio.profile(&Identifier::Email(who.email.to_owned()))
    }

    pub(super) fn contact(&self, who: &Person) -> Option<Contact> {
        self.intercom.contact(&who.contact)
    }

    fn tracked(&self, who: &Person) -> Option<Profile> {
        self.segment.profiles().into_iter().find(|profile| profile.emails.contains(who.email))
    }

    /// Attributes at Customer.io.
    pub(super) fn at_customerio(&self, who: &Person, should: &[(&str, Value)]) -> Vec<Fact> {
        let profile = self.customer(who);
        let fact = |(name, should): &(&str, Value)| {
            let is = profile.as_ref().and_then(|profile| profile.text(name)).unwrap_or_else(|| "not there".to_owned());
            Fact { tool: Tool::Customerio, name: (*name).to_owned(), is, should: shown(should) }
        };
        should.iter().map(fact).collect()
    }

    /// The company as an object of Customer.io's: its name, and whether this person belongs to it.
    pub(super) fn company_at_customerio(&self, who: &Person, id: &str, name: &str) -> Vec<Fact> {
        let object = self.customerio.object("1", id);
        let is = object.as_ref().and_then(|object| object.attributes.get("name")).map_or_else(|| "not there".to_owned(), shown);
        let cio_id = self.customer(who).map(|profile| profile.cio_id).unwrap_or_default();
        let member = object.is_some_and(|object| object.relationships.contains_key(&cio_id));
        vec![
            Fact { tool: Tool::Customerio, name: format!("company {id}"), is, should: name.to_owned() },
            Fact { tool: Tool::Customerio, name: format!("{} belongs to it", who.name), is: member.to_string(), should: "true".to_owned() },
        ]
    }

    /// `name`, `tags`, `notes`, `companies`, `events` and `out of e-mail` of the contact.
    pub(super) fn at_intercom(&self, who: &Person, should: &[(&str, Value)]) -> Vec<Fact> {
        let contact = self.contact(who);
        let fact = |(name, should): &(&str, Value)| {
            let is = contact.as_ref().map_or(Value::Null, |contact| match *name {
                "name" => json!(contact.name),
                "tags" => contact.tags.iter().map(|tag| tag.name.as_str()).collect(),
                "notes" => contact.notes.iter().map(|note| note.body.as_str()).collect(),
                "companies" => {
                    let companies = self.intercom.companies();
                    let theirs = companies.iter().filter(|company| contact.companies.contains(&company.id));
                    theirs.filter_map(|company| company.name.as_deref()).collect()
                }
                "events" => {
                    let events = self.intercom.events(&who.contact).into_iter();
                    events.map(|event| format!("{} {}", event.name, shown(&event.metadata["metric"]))).collect()
                }
                "out of e-mail" => json!(contact.unsubscribed_from_emails),
                _ => Value::Null,
            });
            Fact { tool: Tool::Intercom, name: (*name).to_owned(), is: shown(&is), should: shown(should) }
        };
        should.iter().map(fact).collect()
    }

    /// Traits at Segment.
    pub(super) fn at_segment(&self, who: &Person, should: &[(&str, Value)]) -> Vec<Fact> {
        let profile = self.tracked(who);
        let fact = |(name, should): &(&str, Value)| {
            let is = profile.as_ref().and_then(|profile| profile.traits.get(*name)).map_or_else(|| "not there".to_owned(), shown);
            Fact { tool: Tool::Segment, name: (*name).to_owned(), is, should: shown(should) }
        };
        should.iter().map(fact).collect()
    }

    /// How often Segment knows of these events.
    pub(super) fn events_at_segment(&self, who: &Person, should: &[(&str, usize)]) -> Vec<Fact> {
        let events = self.tracked(who).map(|profile| profile.events).unwrap_or_default();
        let fact = |(name, times): &(&str, usize)| {
            let is = events.iter().filter(|event| event.name.as_deref() == Some(*name)).count();
            Fact { tool: Tool::Segment, name: format!("\"{name}\""), is: often(is), should: often(*times) }
        };
        should.iter().map(fact).collect()
    }

    /// How often Customer.io knows of these events.
    pub(super) fn events_at_customerio(&self, should: &[(&str, u64)]) -> Vec<Fact> {
        let counts = self.customerio.event_counts();
        let fact = |(name, times): &(&str, u64)| {
            let is = counts.get(*name).copied().unwrap_or(0);
            Fact { tool: Tool::Customerio, name: format!("\"{name}\""), is: often(is), should: often(*times) }
        };
        should.iter().map(fact).collect()
    }
}

fn often(times: impl std::fmt::Display) -> String {
    match times.to_string().as_str() {
        "0" => "never".to_owned(),
        "1" => "once".to_owned(),
        times => format!("{times} times"),
    }
}

/// As it is printed and compared: tools keep numbers as texts and the like.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not there".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".to_owned(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" and "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
