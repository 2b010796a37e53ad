//! What somebody chose in Customer.io's subscription centre, as reporting webhooks and the data pipelines tell it: topics,
//! and whole channels. <https://docs.customer.io/journeys/manage-subscription-preferences>

use crate::cut::cut;
use crate::half_characters::without_half_characters;
use crate::lenient::{Flat, Object, Scalar, Text};
use serde::Deserialize;
use serde_json::value::RawValue;
use trefoil_domain::event::{Channel, Choice, ConsentChange, Topic};

/// No subscription centre has as many.
const MOST_TOPICS: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Preferences {
    topics: Flat,
    channels: Flat,
}

/// An object, or text that holds one. `Ok(None)`: nothing stands there, so that it is only known that something has changed.
///
/// # Errors
/// Something stands there that cannot be used: a stable word. Whoever opted out must not be lost over it.
pub(crate) fn preferences(content: Option<&RawValue>) -> Result<Option<Vec<ConsentChange>>, &'static str> {
    let Some(content) = content.map(RawValue::get).filter(|content| !matches!(*content, "null" | "\"\"")) else { return Ok(None) };
    let read = match serde_json::from_str::<Text<'_>>(content) {
        Ok(text) => match text.get() {
            Some(text) => packed(text),
            // An object, for once not packed into text.
            None => serde_json::from_str(content),
        },
        Err(error) => Err(error),
    };
    let Ok(Object(Some(Preferences { topics: Flat(topics), channels: Flat(channels) }))) = read else {
        return Err("unreadable_preferences");
    };
    if topics.len() > MOST_TOPICS {
        return Err("over_200_topics");
    }
    let choice = |value| Some(if Scalar(Some(value)).truth()? { Choice::In } else { Choice::Out });
    let channels = channels.into_iter().filter_map(|(key, value)| {
        let channel = Channel::KNOWN.into_iter().find(|channel| channel.as_str() == key)?;
        Some(ConsentChange { channel: Some(channel), topic: None, choice: choice(value)? })
    });
    let topics = topics.into_iter().filter_map(|(id, value)| {
        Some(ConsentChange { channel: None, topic: Some(Topic { id: cut(id), name: None }), choice: choice(value)? })
    });
    let changes: Vec<ConsentChange> = channels.chain(topics).collect();
    if changes.is_empty() { Err("no_preferences") } else { Ok(Some(changes)) }
}

/// The half of a character that the outer text escapes is found only here.
fn packed(text: &str) -> serde_json::Result<Object<Preferences>> {
    serde_json::from_str(text).or_else(|error| match without_half_characters(text.as_bytes()) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Vec<ConsentChange>>, &'static str> {
        let raw = RawValue::from_string(json.to_owned()).expect("JSON");
        preferences(Some(&raw))
    }

    #[test]
    fn topics_and_channels_are_read_in_every_spelling_of_truth() {
        let of = |channel, topic: Option<&str>, choice| ConsentChange {
            channel,
            topic: topic.map(|id| Topic { id: id.to_owned(), name: None }),
            choice,
        };
        let inner = r#"{"topics":{"t1":true,"t2":"False","t3":0,"t4":"?","t5":null},"channels":{"sms":"0","email":1,"line":true}}"#;
        let expected = vec![
            of(Some(Channel::Email), None, Choice::In),
            of(Some(Channel::Sms), None, Choice::Out),
            of(None, Some("t1"), Choice::In),
            of(None, Some("t2"), Choice::Out),
            of(None, Some("t3"), Choice::Out),
        ];
        assert_eq!(read(inner), Ok(Some(expected.clone())));
        assert_eq!(read(&serde_json::to_string(inner).expect("JSON")), Ok(Some(expected)));
    }

    #[test]
    fn only_where_nothing_stands_is_there_nothing_to_read() {
        assert_eq!(preferences(None), Ok(None));
        for nothing in ["null", "\"\""] {
            assert_eq!(read(nothing), Ok(None), "{nothing}");
        }
        for odd in ["{}", r#"{"topics":[]}"#, r#"{"topics":{"t1":"?"}}"#, r#"{"channels":{"line":true}}"#, "\"{}\""] {
            assert_eq!(read(odd), Err("no_preferences"), "{odd}");
        }
        for broken in ["[]", "7", "\"<p>\"", "\"[1]\"", r#"{"topics":{},"topics":{}}"#] {
            assert_eq!(read(broken), Err("unreadable_preferences"), "{broken}");
        }
        let many: Vec<String> = (0..=MOST_TOPICS).map(|n| format!("\"t{n}\":true")).collect();
        assert_eq!(read(&format!("{{\"topics\":{{{}}}}}", many.join(","))), Err("over_200_topics"));
    }

    #[test]
    fn a_half_character_within_the_text_costs_nobody_an_opt_out() {
        let found = read(r#""{\"topics\":{\"t1\":false,\"t\\ud83d\":true}}""#).expect("readable").expect("content");
        assert_eq!(found.len(), 2);
        assert!(found.iter().any(|change| change.choice == Choice::Out));
    }

    #[test]
    fn a_topic_is_cut() {
        let found = read(&format!(r#"{{"topics":{{"{}":false}}}}"#, "x".repeat(5000))).expect("readable").expect("content");
        assert!(found[0].topic.as_ref().is_some_and(|topic| topic.id.len() <= 1000));
    }
}
