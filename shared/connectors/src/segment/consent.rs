//! Opting out and in, as messages tell it: the events of Segment's e-mail spec, those of Customer.io's pipelines, and
//! the trait `unsubscribed`.
//!
//! <https://segment.com/docs/connections/spec/email/>

use super::wire::{object, value_at};
use crate::lenient::{Flag, Object, Scalar, Text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use trefoil_domain::event::{Channel, Choice, ConsentChange, Source, Topic, Value};

/// What an event by this name says about consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Of a list, where it names one.
    Unsubscribed,
    /// Who calls it spam wants none of it, whatever list it came by.
    Spam,
    Subscribed,
    Preferences,
}

impl Says {
    pub(super) fn of(event: &str, source: Source) -> Option<Self> {
        let is = |name: &str| event.trim().eq_ignore_ascii_case(name);
        match event {
            _ if is("Unsubscribed") || is("Email Unsubscribed") => Some(Self::Unsubscribed),
            _ if is("Email Marked as Spam") => Some(Self::Spam),
            // Elsewhere anybody may call anything so: a plan, a newsletter. Here it is Customer.io's own event.
            _ if source == Source::Pipelines && is("Subscribed") => Some(Self::Subscribed),
            _ if source == Source::Pipelines && is("Subscription Preferences Changed") => Some(Self::Preferences),
            _ => None,
        }
    }

    /// Empty where it says nothing that can be understood.
    pub(super) fn changes(self, properties: Option<&RawValue>) -> Vec<ConsentChange> {
        let email = |choice, topic| vec![ConsentChange { channel: Some(Channel::Email), topic, choice }];
        match self {
            Self::Unsubscribed => email(Choice::Out, list(properties)),
            Self::Spam => email(Choice::Out, None),
            Self::Subscribed => email(Choice::In, list(properties)),
            Self::Preferences => preferences(properties),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List<'a> {
    #[serde(borrow)]
    list_id: Text<'a>,
    #[serde(borrow)]
    list_name: Text<'a>,
}

fn list(properties: Option<&RawValue>) -> Option<Topic> {
    let list: List<'_> = object(properties)?;
    Some(Topic { id: list.list_id.get()?.to_owned(), name: list.list_name.get().map(str::to_owned) })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Preferences {
    topics: Object<BTreeMap<String, Flag>>,
    channels: Object<BTreeMap<String, Flag>>,
}

/// Where they stand is not documented: as an object, or as text that holds one, as in Customer.io's reporting webhooks.
fn preferences(properties: Option<&RawValue>) -> Vec<ConsentChange> {
    let places = ["cio_subscription_preferences", "content"].map(|key| value_at(properties, key));
    let read = |raw: &RawValue| match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(text) if text.get().is_some() => serde_json::from_str::<Object<Preferences>>(text.get()?).ok()?.0,
        Ok(_) | Err(_) => object(Some(raw)),
    };
    let Some(found) = places.into_iter().flatten().find_map(read).or_else(|| object(properties)) else { return Vec::new() };
    let choice = |flag: Flag| flag.0.map(|subscribed| if subscribed { Choice::In } else { Choice::Out });
    let topics = found.topics.0.unwrap_or_default().into_iter().filter_map(|(key, flag)| {
        let id = key.strip_prefix("topic_").unwrap_or(&key).to_owned();
        Some(ConsentChange { channel: None, topic: Some(Topic { id, name: None }), choice: choice(flag)? })
    });
    let channels = found.channels.0.unwrap_or_default().into_iter().filter_map(|(key, flag)| {
        let channel = Channel::KNOWN.into_iter().find(|channel| channel.as_str() == key)?;
        Some(ConsentChange { channel: Some(channel), topic: None, choice: choice(flag)? })
    });
    channels.chain(topics).collect()
}

/// What the trait `unsubscribed` says: of every channel, since it names none. Only `false` itself opts in; Customer.io
/// takes more spellings for an opt-out, and so do we.
pub(super) fn of_trait(unsubscribed: &Scalar) -> Option<ConsentChange> {
    let choice = match unsubscribed.0.as_ref()? {
        Value::Bool(false) => Choice::In,
        Value::Bool(true) => Choice::Out,
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Choice::Out,
        Value::Number(number) if number.as_i64() == Some(1) => Choice::Out,
        Value::String(_) | Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(ConsentChange { channel: None, topic: None, choice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_in_is_believed_only_where_the_name_is_customer_ios_own() {
        for name in ["Subscribed", "Subscription Preferences Changed"] {
            assert_eq!(Says::of(name, Source::Segment), None);
            assert!(Says::of(name, Source::Pipelines).is_some());
        }
        for name in ["Unsubscribed", "Email Unsubscribed", "email marked as spam"] {
            assert!(Says::of(name, Source::Segment).is_some() && Says::of(name, Source::Pipelines).is_some());
        }
        assert_eq!(Says::of("Unsubscribed Users Exported", Source::Segment), None);
    }

    #[test]
    fn preferences_are_read_in_every_place() {
        let expected = [
            ConsentChange { channel: Some(Channel::Sms), topic: None, choice: Choice::Out },
            ConsentChange { channel: None, topic: Some(Topic { id: "1".to_owned(), name: None }), choice: Choice::In },
        ];
        let inner = r#"{"topics":{"topic_1":true,"topic_2":"?"},"channels":{"sms":false,"line":true}}"#;
        let text = serde_json::to_string(inner).expect("JSON");
        for properties in [
            inner.to_owned(),
            format!(r#"{{"content":{inner}}}"#),
            format!(r#"{{"content":{text}}}"#),
            format!(r#"{{"cio_subscription_preferences":{inner}}}"#),
            format!(r#"{{"cio_subscription_preferences":{text},"content":"<p>"}}"#),
        ] {
            let raw = RawValue::from_string(properties).expect("JSON");
            assert_eq!(Says::Preferences.changes(Some(&raw)), expected, "{raw}");
        }
        for nothing in ["{}", "[]", "null", r#"{"content":"<p>"}"#, r#"{"topics":[]}"#] {
            let raw = RawValue::from_string(nothing.to_owned()).expect("JSON");
            assert_eq!(Says::Preferences.changes(Some(&raw)), [], "{nothing}");
        }
    }

    #[test]
    fn the_trait_opts_in_only_by_false_itself() {
        for (json, expected) in [
            ("true", Some(Choice::Out)),
            ("\"TRUE\"", Some(Choice::Out)),
            ("1", Some(Choice::Out)),
            ("\"1\"", Some(Choice::Out)),
            ("false", Some(Choice::In)),
            ("\"false\"", None),
            ("0", None),
            ("null", None),
            ("\"\"", None),
            ("{}", None),
        ] {
            let scalar: Scalar = serde_json::from_str(json).expect("JSON");
            assert_eq!(of_trait(&scalar).map(|change| change.choice), expected, "{json}");
        }
    }
}
