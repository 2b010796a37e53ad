//! Reading JSON whose shape cannot be relied on.
//!
//! Intercom's webhooks follow the version of the app, which the payload does not name, and there is no schema for them
//! (Intercom-OpenAPI#85, #189): ids come as text or numbers, times as ISO text, unix seconds or null, objects as null.
//! Each type here takes whatever stands there and keeps it only if it makes sense, in one pass and without building a
//! tree. What is not JSON at all is still an error.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use trefoil_domain::event::Value;
use trefoil_domain::time::{Span, Timestamp};

/// The parts of a visitor that are the same for everything that is not wanted.
macro_rules! refuse {
    (seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (unit) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (bool) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (text) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (numbers) => {
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

macro_rules! expecting {
    ($what:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($what)
        }
    };
}

/// Text, or a whole number as text. Empty text counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    fn of(text: Cow<'a, str>) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()))
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(crate) fn number(&self) -> Option<u64> {
        self.get()?.parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for TextVisitor<'a> {
            type Value = Text<'a>;
            expecting!("text or a number");
            refuse!(seq);
            refuse!(map);
            refuse!(unit);
            refuse!(bool);
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Text<'a>, E> {
                Ok(Text::of(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Text<'a>, E> {
                Ok(Text::of(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Text<'a>, E> {
                Ok(Text(Some(Cow::Owned(v.to_string()))))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Text<'a>, E> {
                Ok(Text(Some(Cow::Owned(v.to_string()))))
            }
            // A number with a fraction, or beyond 64 bits, is nobody's id.
            fn visit_f64<E>(self, _: f64) -> Result<Text<'a>, E> {
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(TextVisitor(PhantomData))
    }
}

/// A point in time: unix seconds (or milliseconds, told apart by size), the same as text, or ISO 8601 text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Option<Timestamp>);

impl Time {
    /// Before any of the three tools was there, or nearly. What claims to be older is a mistake in a template or a unit.
    const EARLIEST: Timestamp = Timestamp::from_secs(1_262_304_000);
    /// A clock may be wrong, and an event is not from the future.
    const MOST_AHEAD: Span = Span::from_days(1);

    /// `None` where it cannot be true.
    pub(crate) fn credible(self, now: Timestamp) -> Option<Timestamp> {
        self.0.filter(|at| (Self::EARLIEST..=now.plus(Self::MOST_AHEAD)).contains(at))
    }

    /// Numbers above this are milliseconds: as seconds they would lie beyond the year 5000.
    const LEAST_MILLIS: i64 = 100_000_000_000;
    /// The last millisecond of the year 9999, beyond which no text form exists.
    const MOST_MILLIS: i64 = 253_402_300_799_999;

    fn from_number(n: i64) -> Self {
        let millis = if n >= Self::LEAST_MILLIS { n } else { n.saturating_mul(1000) };
        // Zero stands for "never".
        Self((millis > 0 && millis <= Self::MOST_MILLIS).then(|| Timestamp::from_millis(millis)))
    }

    fn from_text(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::from_number(number),
            Err(_) => Self(Timestamp::parse_rfc3339(text).filter(|t| t.millis() > 0)),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl<'de> Visitor<'de> for TimeVisitor {
            type Value = Time;
            expecting!("a time");
            refuse!(seq);
            refuse!(map);
            refuse!(unit);
            refuse!(bool);
            fn visit_str<E>(self, v: &str) -> Result<Time, E> {
                Ok(Time::from_text(v))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Time, E> {
                Ok(Time::from_number(i64::try_from(v).unwrap_or(0)))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Time, E> {
                Ok(Time::from_number(v))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Time, E> {
                // `as` saturates, and what saturates is out of range.
                Ok(Time::from_number(v as i64))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// A boolean and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;
        impl<'de> Visitor<'de> for FlagVisitor {
            type Value = Flag;
            expecting!("a boolean");
            refuse!(seq);
            refuse!(map);
            refuse!(unit);
            refuse!(text);
            refuse!(numbers);
            fn visit_bool<E>(self, v: bool) -> Result<Flag, E> {
                Ok(Flag(Some(v)))
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}

/// An object, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Object<T>(pub(crate) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            expecting!("an object");
            refuse!(seq);
            refuse!(unit);
            refuse!(bool);
            refuse!(text);
            refuse!(numbers);
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|v| Object(Some(v)))
            }
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// Objects in an array, or in an array one level down, as Intercom wraps its lists. `None` when there is no array.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(pub(crate) Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> List<T> {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.as_deref().unwrap_or_default().iter()
    }
}

/// The keys under which Intercom puts the array of a list object.
const LIST_KEYS: [&str; 7] = ["contacts", "conversation_parts", "ticket_parts", "tags", "teammates", "admins", "data"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            expecting!("a list");
            refuse!(unit);
            refuse!(bool);
            refuse!(text);
            refuse!(numbers);
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Object(item)) = seq.next_element()? {
                    items.extend(item);
                }
                Ok(List(Some(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
                let mut list = List(None);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    if list.0.is_none() && LIST_KEYS.contains(&key.as_ref()) {
                        list = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// The scalars of an object; what is nested is left out, and so is null.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat(pub(crate) BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlatVisitor;
        impl<'de> Visitor<'de> for FlatVisitor {
            type Value = Flat;
            expecting!("an object");
            refuse!(seq);
            refuse!(unit);
            refuse!(bool);
            refuse!(text);
            refuse!(numbers);
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flat, A::Error> {
                let mut flat = BTreeMap::new();
                while let Some((key, Scalar(value))) = map.next_entry::<String, Scalar>()? {
                    match value {
                        Some(value) => flat.insert(key, value),
                        None => flat.remove(&key),
                    };
                }
                Ok(Flat(flat))
            }
        }
        deserializer.deserialize_any(FlatVisitor)
    }
}

/// Any value that is not nested and not null.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scalar(pub(crate) Option<Value>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar;
            expecting!("a scalar");
            refuse!(seq);
            refuse!(map);
            refuse!(unit);
            fn visit_bool<E>(self, v: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(Value::Bool(v))))
            }
            fn visit_str<E>(self, v: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(Value::String(v.to_owned()))))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(v.into())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(v.into())))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Scalar, E> {
                Ok(Scalar(serde_json::Number::from_f64(v).map(Value::Number)))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl Scalar {
    /// A boolean, also as text or as a number: `None` where it is none of these.
    pub(crate) fn truth(&self) -> Option<bool> {
        match self.0.as_ref()? {
            Value::Bool(truth) => Some(*truth),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Value::Number(number) => match number.as_f64() {
                Some(1.0) => Some(true),
                Some(0.0) => Some(false),
                Some(_) | None => None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A name that stands there as text, or in an object under `category` or `name`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named<'a> {
    pub(crate) name: Text<'a>,
    pub(crate) category: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for NamedVisitor<'a> {
            type Value = Named<'a>;
            expecting!("a name");
            refuse!(seq);
            refuse!(unit);
            refuse!(bool);
            refuse!(numbers);
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Named<'a>, E> {
                let text = Text::of(Cow::Borrowed(v));
                Ok(Named { name: text.clone(), category: text })
            }
            fn visit_str<E>(self, v: &str) -> Result<Named<'a>, E> {
                let text = Text::of(Cow::Owned(v.to_owned()));
                Ok(Named { name: text.clone(), category: text })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'a>, A::Error> {
                let mut named = Named::default();
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match key.as_ref() {
                        "name" => named.name = map.next_value()?,
                        "category" => named.category = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(named)
            }
        }
        deserializer.deserialize_any(NamedVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn ids_are_read_from_text_and_numbers() {
        for (json, expected) in [
            ("\"42\"", Some("42")),
            ("42", Some("42")),
            ("-1", Some("-1")),
            ("\"a\\u00e9\"", Some("aé")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("184467440737095516150", None),
            ("1.5", None),
            ("\"\"", None),
            ("null", None),
            ("true", None),
            ("[1,[2]]", None),
            ("{\"a\":{}}", None),
        ] {
            assert_eq!(read::<Text<'_>>(json).get(), expected, "{json}");
        }
    }

    #[test]
    fn times_are_read_in_every_form() {
        for (json, millis) in [
            ("1768031789", Some(1_768_031_789_000)),
            ("\"1768031789\"", Some(1_768_031_789_000)),
            ("1768031789.9", Some(1_768_031_789_000)),
            ("1768031789123", Some(1_768_031_789_123)),
            ("\"2026-01-10T04:22:28.240+00:00\"", Some(1_768_018_948_240)),
            ("\"2026-01-10T04:22:28Z\"", Some(1_768_018_948_000)),
            ("0", None),
            ("-5", None),
            ("null", None),
            ("\"\"", None),
            ("\"soon\"", None),
            ("9223372036854775807", None),
            ("18446744073709551615", None),
            ("1e300", None),
            ("{}", None),
            ("[]", None),
        ] {
            assert_eq!(read::<Time>(json).0.map(Timestamp::millis), millis, "{json}");
        }
    }

    #[test]
    fn lists_are_read_bare_or_wrapped_and_absence_is_not_emptiness() {
        type Flags = List<Flat>;
        assert_eq!(read::<Flags>("[{\"a\":1},null,3,{\"a\":2}]").iter().count(), 2);
        assert_eq!(read::<Flags>("{\"type\":\"contact.list\",\"contacts\":[{\"a\":1}],\"total_count\":1}").iter().count(), 1);
        assert_eq!(read::<Flags>("{\"contacts\":[]}").0.map(|l| l.len()), Some(0));
        for json in ["null", "{}", "7", "\"x\"", "{\"contacts\":null}"] {
            assert!(read::<Flags>(json).0.is_none(), "{json}");
        }
    }

    #[test]
    fn only_scalars_are_kept_of_attributes() {
        let flat = read::<Flat>("{\"a\":1,\"b\":\"x\",\"c\":null,\"d\":[1],\"e\":{\"f\":1},\"g\":true,\"a\":null}");
        assert_eq!(flat.0.keys().map(String::as_str).collect::<Vec<_>>(), ["b", "g"]);
    }
}
