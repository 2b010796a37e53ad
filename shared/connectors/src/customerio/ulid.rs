//! ULIDs for events: Customer.io drops a repeated one, which makes sending an event twice harmless. Ours can be told from
//! everybody else's, so that what an event of ours leads to there is known for an echo when it comes back.
//! <https://github.com/ulid/spec>

use trefoil_domain::id::Digest;
#[cfg(feature = "customerio-out")]
use trefoil_domain::{id::ActionId, time::Timestamp};

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: usize = 26;

/// The same for the same action: its time in 48 bits, a hash of its id in 48, and a checksum over both in 32.
#[cfg(feature = "customerio-out")]
pub(super) fn ulid(occurred_at: Timestamp, action: &ActionId) -> String {
    let millis = occurred_at.millis().clamp(0, (1 << 48) - 1) as u128;
    let hash = action.entropy("customerio").iter().take(6).fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let said = millis << 48 | hash;
    let bits = said << 32 | u128::from(checksum(said));
    (0..DIGITS).rev().map(|digit| char::from(CROCKFORD[(bits >> (digit * 5)) as usize & 31])).collect()
}

/// It is one that [`ulid`] has made. Of those that others make, one in four thousand million is taken for ours.
#[cfg(feature = "customerio-in")]
pub(super) fn is_ours(text: &str) -> bool {
    let value = |digit: u8| CROCKFORD.iter().position(|known| *known == digit.to_ascii_uppercase());
    // The first digit carries three bits.
    if text.len() != DIGITS || !text.starts_with(|first: char| ('0'..='7').contains(&first)) {
        return false;
    }
    let bits = text.bytes().try_fold(0_u128, |sum, digit| Some(sum << 5 | value(digit)? as u128));
    bits.is_some_and(|bits| checksum(bits >> 32) == bits as u32)
}

/// Of 96 bits.
fn checksum(said: u128) -> u32 {
    let [a, b, c, d, ..] = Digest::new("trefoil-ulid").with(&format!("{said:024x}")).bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(all(test, feature = "customerio-in", feature = "customerio-out"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ulid_has_its_time_in_front_and_is_the_same_for_the_same_action() {
        let action = ActionId::from_stored("a1");
        // The time part of the specification's example.
        let text = ulid(Timestamp::from_millis(1_469_918_176_385), &action);
        assert_eq!(text.len(), 26);
        assert!(text.starts_with("01ARYZ6S41"), "{text}");
        assert_eq!(text, ulid(Timestamp::from_millis(1_469_918_176_385), &action));
        assert_ne!(text[10..], ulid(Timestamp::from_millis(1_469_918_176_385), &ActionId::from_stored("a2"))[10..]);
        assert!(ulid(Timestamp::from_millis(-1), &action).starts_with("0000000000"));
        assert!(ulid(Timestamp::from_millis(i64::MAX), &action).starts_with("7ZZZZZZZZZ"));
    }

    #[test]
    fn what_others_make_is_not_ours() {
        // The specification's example, ids of webhooks, a message id of Segment, and what is no ULID at all.
        for text in [
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01E4C4CT6YDC7Y5M7FE1GWWPQJ",
            "21E4C3CT6YDC7Y4N7FE1GWWABC",
            "ajs-next-0001-f8ca1e4de502",
            "00000000000000000000000000",
            "ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "1234567890123é567890123456",
            "",
        ] {
            assert!(!is_ours(text), "{text}");
        }
        // Within 130 bits there is room for a text that says the same in the last 128.
        let ours = ulid(Timestamp::from_secs(1_795_219_100), &ActionId::from_stored("a1"));
        assert!(ours.starts_with('0') && !is_ours(&format!("8{}", &ours[1..])), "{ours}");
    }

    proptest! {
        #[test]
        fn ours_are_known_and_no_longer_once_a_digit_has_changed(millis: i64, action: String, place in 0..DIGITS, other in 0..32_usize) {
            let ours = ulid(Timestamp::from_millis(millis), &ActionId::from_stored(action));
            prop_assert!(is_ours(&ours), "{}", ours);
            prop_assert!(is_ours(&ours.to_ascii_lowercase()), "{}", ours);
            let mut changed = ours.clone().into_bytes();
            changed[place] = CROCKFORD[other];
            let changed = String::from_utf8(changed).expect("digits");
            prop_assert_eq!(is_ours(&changed), changed == ours, "{}", changed);
        }

        #[test]
        fn any_text_can_be_asked_about(text in "\\PC{0,30}|[0-9A-Za-z]{26}") {
            prop_assert!(!is_ours(&text));
        }
    }
}
