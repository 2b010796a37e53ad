//! Opting out and in, as messages tell it: the events of Segment's e-mail spec, those of Customer.io's pipelines, and
//! the trait `unsubscribed`.
//!
//! <https://segment.com/docs/connections/spec/email/>

use super::wire::{Unreadable, object, value_at};
use crate::cut::cut;
use crate::lenient::{Scalar, Text};
use crate::preferences::preferences;
use serde::Deserialize;
use serde_json::value::RawValue;
use trefoil_domain::event::{Channel, Choice, ConsentChange, Source, Topic, Value};

/// What an event by this name says about consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Of a list, where it names one.
    Unsubscribed(From),
    /// Who calls it spam wants none of it, whatever list it came by.
    Spam,
    Subscribed,
    Preferences,
}

/// Whose event it is, where both have one of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Segment's spec is about e-mail alone.
    EmailSpec,
    /// Customer.io's switch is one for all channels.
    Customerio,
}

impl Says {
    pub(super) fn of(event: &str, source: Source) -> Option<Self> {
        let is = |name: &str| event.trim().eq_ignore_ascii_case(name);
        let of_customerio = source == Source::Pipelines;
        match event {
            _ if is("Unsubscribed") || is("Email Unsubscribed") => {
                Some(Self::Unsubscribed(if of_customerio { From::Customerio } else { From::EmailSpec }))
            }
            _ if is("Email Marked as Spam") => Some(Self::Spam),
            // Elsewhere anybody may call anything so: a plan, a newsletter. Here it is Customer.io's own event.
            _ if of_customerio && is("Subscribed") => Some(Self::Subscribed),
            _ if of_customerio && is("Subscription Preferences Changed") => Some(Self::Preferences),
            _ => None,
        }
    }

    /// Empty where it says only that something has changed.
    ///
    /// # Errors
    /// There is something that cannot be understood: a stable word.
    pub(super) fn changes(self, properties: Option<&RawValue>) -> Result<Vec<ConsentChange>, &'static str> {
        let email = Some(Channel::Email);
        let one = |channel, topic, choice| Ok(vec![ConsentChange { channel, topic, choice }]);
        let list = || list(properties).map_err(|Unreadable| UNREADABLE);
        match self {
            Self::Unsubscribed(From::EmailSpec) => one(email, list()?, Choice::Out),
            Self::Spam => one(email, None, Choice::Out),
            Self::Unsubscribed(From::Customerio) => {
                list()?.map_or_else(|| one(None, None, Choice::Out), |list| one(email, Some(list), Choice::Out))
            }
            Self::Subscribed => list()?.map_or_else(|| one(None, None, Choice::In), |list| one(email, Some(list), Choice::In)),
            Self::Preferences => chosen(properties),
        }
    }
}

const UNREADABLE: &str = "unreadable_properties";

#[derive(Default, Deserialize)]
#[serde(default)]
struct List<'a> {
    #[serde(borrow)]
    list_id: Text<'a>,
    #[serde(borrow)]
    list_name: Text<'a>,
}

fn list(properties: Option<&RawValue>) -> Result<Option<Topic>, Unreadable> {
    let list: List<'_> = object(properties)?.unwrap_or_default();
    let text = |text: &Text<'_>| text.get().map(|text| cut(text.to_owned()));
    Ok(text(&list.list_id).map(|id| Topic { id, name: text(&list.list_name) }))
}

/// Where they stand is not documented: under a key, as in Customer.io's reporting webhooks, or as the properties themselves.
/// The first place that tells something counts.
fn chosen(properties: Option<&RawValue>) -> Result<Vec<ConsentChange>, &'static str> {
    let at = |key| value_at(properties, key).map_err(|Unreadable| UNREADABLE);
    let mut places = [at("cio_subscription_preferences")?, at("content")?, None];
    if at("topics")?.is_some() || at("channels")?.is_some() {
        places[2] = properties;
    }
    let mut why = None;
    for place in places {
        match preferences(place) {
            Ok(Some(changes)) => return Ok(changes),
            Ok(None) => {}
            Err(reason) => why = why.or(Some(reason)),
        }
    }
    why.map_or_else(|| Ok(Vec::new()), Err)
}

/// What the trait `unsubscribed` says: of every channel, since it names none. Only `false` itself opts in; Customer.io
/// takes more spellings for an opt-out, and so do we.
pub(super) fn of_trait(unsubscribed: &Scalar) -> Option<ConsentChange> {
    let choice = match unsubscribed.0.as_ref()? {
        Value::Bool(false) => Choice::In,
        _ if unsubscribed.truth() == Some(true) => Choice::Out,
        _ => return None,
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

    fn changes(says: Says, properties: &str) -> Result<Vec<ConsentChange>, &'static str> {
        says.changes(Some(&RawValue::from_string(properties.to_owned()).expect("JSON")))
    }

    #[test]
    fn the_switch_of_customer_io_is_for_every_channel_and_that_of_the_e_mail_spec_is_not() {
        for (source, channel) in [(Source::Segment, Some(Channel::Email)), (Source::Pipelines, None)] {
            for name in ["Unsubscribed", "Email Unsubscribed"] {
                let says = Says::of(name, source).expect("known");
                assert_eq!(changes(says, "{}"), Ok(vec![ConsentChange { channel, topic: None, choice: Choice::Out }]));
                let of_list = changes(says, r#"{"list_id":"l1"}"#).expect("readable").remove(0);
                assert_eq!((of_list.channel, of_list.topic.map(|topic| topic.id)), (Some(Channel::Email), Some("l1".to_owned())));
            }
        }
        assert_eq!(changes(Says::Subscribed, "{}"), Ok(vec![ConsentChange { channel: None, topic: None, choice: Choice::In }]));
    }

    #[test]
    fn the_name_of_a_list_is_cut() {
        let long = changes(Says::Subscribed, &format!(r#"{{"list_id":"{0}","list_name":"{0}"}}"#, "x".repeat(5000))).expect("readable");
        let topic = long[0].topic.as_ref().expect("a list");
        assert!(topic.id.len() <= 1000 && topic.name.as_ref().is_some_and(|name| name.len() <= 1000));
    }

    #[test]
    fn preferences_are_read_in_every_place() {
        let expected = [
            ConsentChange { channel: Some(Channel::Sms), topic: None, choice: Choice::Out },
            ConsentChange { channel: None, topic: Some(Topic { id: "topic_1".to_owned(), name: None }), choice: Choice::In },
        ];
        let inner = r#"{"topics":{"topic_1":"1","topic_2":"?"},"channels":{"sms":0,"line":true}}"#;
        let text = serde_json::to_string(inner).expect("JSON");
        for properties in [
            inner.to_owned(),
            format!(r#"{{"content":{inner}}}"#),
            format!(r#"{{"content":{text}}}"#),
            format!(r#"{{"cio_subscription_preferences":{inner}}}"#),
            format!(r#"{{"cio_subscription_preferences":{text},"content":"<p>"}}"#),
            format!(r#"{{"cio_subscription_preferences":"<p>","content":{text}}}"#),
        ] {
            assert_eq!(changes(Says::Preferences, &properties).as_deref(), Ok(expected.as_slice()), "{properties}");
        }
    }

    #[test]
    fn what_stands_there_and_cannot_be_used_is_told_apart_from_nothing() {
        for nothing in ["{}", "[]", "null", r#"{"content":""}"#, r#"{"content":null}"#] {
            assert_eq!(changes(Says::Preferences, nothing), Ok(Vec::new()), "{nothing}");
        }
        assert_eq!(changes(Says::Preferences, r#"{"content":"<p>"}"#), Err("unreadable_preferences"));
        assert_eq!(changes(Says::Preferences, r#"{"topics":[]}"#), Err("no_preferences"));
        for says in [Says::Preferences, Says::Subscribed] {
            assert_eq!(changes(says, r#"{"a\ud83d":1,"list_id":"l1"}"#), Err("unreadable_properties"));
        }
    }

    #[test]
    fn the_trait_opts_in_only_by_false_itself() {
        for (json, expected) in [
            ("true", Some(Choice::Out)),
            ("\"TRUE\"", Some(Choice::Out)),
            ("1", Some(Choice::Out)),
            ("1.0", Some(Choice::Out)),
            ("\"1\"", Some(Choice::Out)),
            ("\" true \"", Some(Choice::Out)),
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
