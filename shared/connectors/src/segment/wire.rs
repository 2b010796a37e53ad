//! The parts of a message that are read. Traits, properties and context stay raw until it is known that they matter:
//! most messages are dropped. Unknown keys occur and are skipped.
//!
//! <https://segment.com/docs/connections/spec/common/>

use crate::lenient::{List, Object, Scalar, Text, Time};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// One call, of any type.
#[derive(Default)]
pub(super) struct Call<'a> {
    pub(super) kind: Text<'a>,
    pub(super) message_id: Text<'a>,
    pub(super) user_id: Text<'a>,
    pub(super) anonymous_id: Text<'a>,
    pub(super) previous_id: Text<'a>,
    pub(super) group_id: Text<'a>,
    pub(super) event: Text<'a>,
    pub(super) name: Text<'a>,
    pub(super) category: Text<'a>,
    pub(super) timestamp: Time,
    pub(super) original_timestamp: Time,
    pub(super) received_at: Time,
    pub(super) context: Option<&'a RawValue>,
    pub(super) traits: Option<&'a RawValue>,
    pub(super) properties: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Call<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CallVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for CallVisitor<'a> {
            type Value = Call<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a call")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Call<'a>, A::Error> {
                let mut call = Call::default();
                // Ids under keys as no library writes them, but as they stand in some places of the documentation.
                let mut slips: Vec<(Id, Text<'a>)> = Vec::new();
                while let Some(key) = map.next_key::<Text<'a>>()? {
                    match key.get().unwrap_or_default() {
                        "type" => call.kind = map.next_value()?,
                        "messageId" => call.message_id = map.next_value()?,
                        "userId" => call.user_id = map.next_value()?,
                        "anonymousId" => call.anonymous_id = map.next_value()?,
                        "previousId" => call.previous_id = map.next_value()?,
                        "groupId" => call.group_id = map.next_value()?,
                        "event" => call.event = map.next_value()?,
                        "name" => call.name = map.next_value()?,
                        "category" => call.category = map.next_value()?,
                        "timestamp" => call.timestamp = map.next_value()?,
                        "originalTimestamp" => call.original_timestamp = map.next_value()?,
                        "receivedAt" => call.received_at = map.next_value()?,
                        "context" => call.context = map.next_value()?,
                        "traits" => call.traits = map.next_value()?,
                        "properties" => call.properties = map.next_value()?,
                        other => match Id::of_slip(other) {
                            Some(id) => slips.push((id, map.next_value()?)),
                            None => drop(map.next_value::<IgnoredAny>()?),
                        },
                    }
                }
                for (id, text) in slips {
                    let place = match id {
                        Id::Message => &mut call.message_id,
                        Id::User => &mut call.user_id,
                        Id::Anonymous => &mut call.anonymous_id,
                        Id::Previous => &mut call.previous_id,
                        Id::Group => &mut call.group_id,
                    };
                    if place.get().is_none() {
                        *place = text;
                    }
                }
                Ok(call)
            }
        }
        deserializer.deserialize_map(CallVisitor(PhantomData))
    }
}

#[derive(Clone, Copy)]
enum Id {
    Message,
    User,
    Anonymous,
    Previous,
    Group,
}

impl Id {
    /// `Previous ID`, `user_id` and the like.
    fn of_slip(key: &str) -> Option<Self> {
        const LONGEST: usize = "anonymous id".len();
        let is = |word: &str| {
            let letters = key.bytes().filter(|b| !matches!(b, b' ' | b'_' | b'-')).map(|b| b.to_ascii_lowercase());
            letters.eq(word.bytes())
        };
        if key.len() > LONGEST || !key.as_bytes().last().is_some_and(|b| b.eq_ignore_ascii_case(&b'd')) {
            return None;
        }
        match () {
            () if is("messageid") => Some(Self::Message),
            () if is("userid") => Some(Self::User),
            () if is("anonymousid") => Some(Self::Anonymous),
            () if is("previousid") => Some(Self::Previous),
            () if is("groupid") => Some(Self::Group),
            () => None,
        }
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Context<'a> {
    #[serde(borrow)]
    pub(super) traits: Object<Who<'a>>,
    /// On everything that Engage sends.
    #[serde(borrow)]
    pub(super) personas: Object<Personas<'a>>,
    #[serde(borrow, rename = "externalIds")]
    pub(super) external_ids: List<ExternalId<'a>>,
    #[serde(borrow)]
    pub(super) device: Object<Device<'a>>,
    /// [`super::ORIGIN_KEY`]
    pub(super) trefoil: Object<IgnoredAny>,
}

/// What traits say of who somebody is and what they agreed to.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Who<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) email: Text<'a>,
    #[serde(borrow)]
    pub(super) phone: Text<'a>,
    pub(super) unsubscribed: Scalar,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Device<'a> {
    /// Only where pushes can be sent to it.
    #[serde(borrow)]
    pub(super) token: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Personas<'a> {
    #[serde(borrow)]
    pub(super) computation_class: Text<'a>,
    #[serde(borrow)]
    pub(super) computation_id: Text<'a>,
    #[serde(borrow)]
    pub(super) computation_key: Text<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ExternalId<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) collection: Text<'a>,
}

/// Where a page or screen may have its name.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct PageNames<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) title: Text<'a>,
    #[serde(borrow)]
    pub(super) path: Text<'a>,
}

/// What Amazon EventBridge puts around a message.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) source: Text<'a>,
    #[serde(borrow)]
    pub(super) detail: Option<&'a RawValue>,
}

/// It cannot be read, though it stands there: half a character, or one key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads an object of which only some keys matter; `None` where there is none.
pub(super) fn object<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, Unreadable> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str::<Object<T>>(raw.get()).map(|object| object.0).map_err(|_| Unreadable)
}

/// The value of one key of an object; `None` where there is none, or no object.
pub(super) fn value_at<'a>(raw: Option<&'a RawValue>, key: &str) -> Result<Option<&'a RawValue>, Unreadable> {
    struct At<'k>(&'k str);
    impl<'de> Visitor<'de> for At<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<Text<'de>>()? {
                if key.get() == Some(self.0) {
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let Some(object) = raw.map(RawValue::get).filter(|raw| raw.starts_with('{')) else { return Ok(None) };
    serde_json::Deserializer::from_str(object).deserialize_map(At(key)).map_err(|_| Unreadable)
}

/// The message in `{"json": message}`, as extensible webhooks wrap each of a batch; anything else as it is. What is
/// beside it in the wrapper is not signed, so a wrapper is never read as a message.
pub(super) fn unwrapped(raw: &RawValue) -> &RawValue {
    // The search is many times faster than reading, and the word is in nearly no message.
    if !raw.get().contains("\"json\"") {
        return raw;
    }
    value_at(Some(raw), "json").ok().flatten().filter(|inner| inner.get().starts_with('{')).unwrap_or(raw)
}

/// The first message of a batch, and how many there are besides.
pub(super) struct Elements<'a> {
    pub(super) first: &'a RawValue,
    pub(super) others: usize,
}

impl<'a> Elements<'a> {
    /// `None`: not an array, not JSON, or empty.
    pub(super) fn of(body: &'a [u8]) -> Option<Self> {
        if body.trim_ascii_start().first() != Some(&b'[') {
            return None;
        }
        struct ElementsVisitor;
        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Option<Elements<'de>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let Some(first) = seq.next_element::<&RawValue>()? else { return Ok(None) };
                let mut others = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    others += 1;
                }
                Ok(Some(Elements { first, others }))
            }
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let elements = json.deserialize_seq(ElementsVisitor).ok()??;
        json.end().ok()?;
        Some(elements)
    }
}
