//! Dates as Customer.io knows them: in unix seconds. As text they are no dates in segments.
//!
//! Read are `YYYY-MM-DD` and that with `THH:mm`, seconds, a fraction of one to nine digits, and `Z` or an offset; without
//! either it is UTC. Whatever else looks like a date to a human stays text, and so do dates that cannot be, and those before
//! 1970, which Customer.io does not take as numbers.
//!
//! <https://docs.customer.io/journeys/liquid-syntax-list> on dates; the texts are those that Segment's own destination reads.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use trefoil_domain::event::Value;

/// The value with each date in it as a number, in objects at any depth. Lists stay as they are.
pub(super) fn with_seconds(value: &Value) -> Value {
    match value {
        Value::String(text) => unix_seconds(text).map_or_else(|| value.clone(), Value::from),
        Value::Object(fields) => Value::Object(fields.iter().map(|(name, field)| (name.clone(), with_seconds(field))).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => value.clone(),
    }
}

/// `None`: it is no date, or none that can be a number there.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    // As cheap as it gets: most texts are no dates.
    let (date, rest) = text.as_bytes().split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    let date = Date::new(year, two(m1, m2)?, two(d1, d2)?).ok()?;
    let (time, offset) = time_of_day(rest)?;
    let at = offset.to_timestamp(date.to_datetime(time)).ok()?.as_second();
    (at >= 0).then_some(at)
}

fn time_of_day(text: &[u8]) -> Option<(Time, Offset)> {
    let [b'T', h1, h2, b':', m1, m2, rest @ ..] = text else {
        return text.is_empty().then_some((Time::midnight(), Offset::UTC));
    };
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, without_fraction(rest)?),
        rest => (0, rest),
    };
    // Seconds are rounded down, so that a fraction changes nothing: there is none before 1970.
    Some((Time::new(two(*h1, *h2)?, two(*m1, *m2)?, seconds, 0).ok()?, offset(rest)?))
}

fn without_fraction(text: &[u8]) -> Option<&[u8]> {
    let [b'.', rest @ ..] = text else { return Some(text) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=9).contains(&digits).then(|| &rest[digits..])
}

fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, hours, minutes) = match *text {
        [] | [b'Z'] => return Some(Offset::UTC),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => (sign, two(h1, h2)?, two(m1, m2)?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    Offset::from_seconds(if sign == b'-' { -seconds } else { seconds }).ok()
}

fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| (byte - b'0') as i8);
    Some(digit(tens)? * 10 + digit(ones)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn these_are_dates() {
        for (text, seconds) in [
            ("2019-02-01", 1_548_979_200),
            ("1970-01-01", 0),
            ("2007-01-02T18:04:07", 1_167_761_047),
            ("2006-01-02T18:04Z", 1_136_225_040),
            ("2006-01-02T18:04:07Z", 1_136_225_047),
            ("2006-01-02T18:04:07+01:00", 1_136_221_447),
            ("2006-01-02T15:04:05.007", 1_136_214_245),
            ("2006-01-02T15:04:05.007Z", 1_136_214_245),
            ("2006-01-02T15:04:05.999999999Z", 1_136_214_245),
            ("2006-01-02T15:04:05-0800", 1_136_243_045),
            ("2006-01-02T15:04:05.07-0800", 1_136_243_045),
            ("2024-02-29", 1_709_164_800),
        ] {
            assert_eq!(unix_seconds(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn these_are_not() {
        for text in [
            // Impossible, or before 1970.
            "2024-02-30",
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-01T24:00:00Z",
            "2024-01-01T10:60:00Z",
            "2024-01-01T10:00:00+24:00",
            "1955-10-05",
            "1969-12-31T23:59:59.9Z",
            "1970-01-01T00:00:00+01:00",
            // Numbers, and other texts.
            "20240101",
            "1715679015",
            "2024",
            "2024-01",
            "2024-1-1",
            "2024-W05",
            "10:30:00",
            "2024-01-01 10:00:00",
            "2024-01-01t10:00:00z",
            "2024-01-01T",
            "2024-01-01T10",
            "2024-01-01T10:00:00.Z",
            "2024-01-01T10:00:00.1234567890Z",
            "2024-01-01T10:00:00+01",
            "2024-01-01T10:00:00 PDT",
            "2024-01-01Z",
            " 2024-01-01",
            "2024-01-01 ",
            "25 Mar 2015",
            "01/01/2019",
            "２024-01-01",
            "1.2.3",
            "",
        ] {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_found_in_objects_and_not_in_lists() {
        let said = json!({"birthdate": "1990-01-01T00:00:00.000Z", "deep": {"er": {"at": "2019-02-01"}}, "list": ["2019-02-01", {"at": "2019-02-01"}],
            "number": 1.5, "truth": true, "none": null, "text": "2019"});
        let seconds = json!({"birthdate": 631_152_000, "deep": {"er": {"at": 1_548_979_200}}, "list": ["2019-02-01", {"at": "2019-02-01"}],
            "number": 1.5, "truth": true, "none": null, "text": "2019"});
        assert_eq!(with_seconds(&said), seconds);
    }

    proptest! {
        #[test]
        fn a_moment_is_read_from_each_of_its_texts(second in 0..253_402_207_200_i64, nanos in 0..1_000_000_000_i32, digits in 1..=9_usize, offset in -1439..=1439_i32) {
            let at = Timestamp::new(second, nanos).expect("a moment");
            let zone = Offset::from_seconds(offset * 60).expect("an offset");
            let there = zone.to_datetime(at);
            // Beyond the year 9999 there is no such text.
            prop_assume!((0..=9999).contains(&there.year()));
            let fraction = &format!("{nanos:09}")[..digits];
            let (sign, hours, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60);
            let local = there.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            for text in [
                format!("{local}{sign}{hours:02}:{minutes:02}"),
                format!("{local}{sign}{hours:02}{minutes:02}"),
                format!("{local}.{fraction}{sign}{hours:02}:{minutes:02}"),
            ] {
                prop_assert_eq!(unix_seconds(&text), Some(second), "{}", text);
            }
            let utc = Offset::UTC.to_datetime(at);
            for (text, seconds) in [
                (utc.strftime("%Y-%m-%dT%H:%M:%S").to_string(), second),
                (format!("{}.{fraction}Z", utc.strftime("%Y-%m-%dT%H:%M:%S")), second),
                (utc.strftime("%Y-%m-%dT%H:%MZ").to_string(), second - second % 60),
                (utc.strftime("%Y-%m-%d").to_string(), second - second % 86_400),
            ] {
                prop_assert_eq!(unix_seconds(&text), Some(seconds), "{}", text);
            }
        }

        /// Against another reader, which takes more than we do.
        #[test]
        fn what_is_read_says_what_another_reader_reads(text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9](:[0-6][0-9](\\.[0-9]{1,10})?)?(Z|[+-][0-2][0-9]:?[0-6][0-9])?)?") {
            let zoned = text.ends_with('Z') || text.get(16..).is_some_and(|rest| rest.contains(['+', '-']));
            let timed = text.contains('T');
            let full = format!("{text}{}{}", if timed { "" } else { "T00:00" }, if zoned { "" } else { "Z" });
            match (unix_seconds(&text), full.parse::<Timestamp>()) {
                (Some(seconds), read) => prop_assert_eq!(read.map(|at| at.as_second()).ok(), Some(seconds), "{}", full),
                // It takes the 60th second, and offsets of more than a day.
                (None, Ok(at)) => prop_assert!(at < Timestamp::UNIX_EPOCH || full.contains(":60") || full.contains("+24") || full.contains("-24") || full.contains("+25") || full.contains("-25"), "{} is {}", full, at),
                (None, Err(_)) => {}
            }
        }

        #[test]
        fn any_text_can_be_asked_about(text in "\\PC*|[0-9T:.Z+-]{8,35}") {
            unix_seconds(&text);
        }
    }
}
