//! ULIDs for events: Customer.io drops a repeated one, which makes sending an event twice harmless.
//! <https://github.com/ulid/spec>

use trefoil_domain::id::ActionId;
use trefoil_domain::time::Timestamp;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The same for the same action: its time in 48 bits, a hash of its id in 80.
pub(super) fn ulid(occurred_at: Timestamp, action: &ActionId) -> String {
    let millis = occurred_at.millis().clamp(0, (1 << 48) - 1) as u128;
    let entropy = action.entropy("customerio").iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    let bits = millis << 80 | entropy;
    (0..26).rev().map(|digit| char::from(CROCKFORD[(bits >> (digit * 5)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
