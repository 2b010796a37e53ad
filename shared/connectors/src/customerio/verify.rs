//! Customer.io's webhook signature: `X-CIO-Signature: <64 lower-case hex digits>`, an HMAC-SHA256 over
//! `v0:<X-CIO-Timestamp>:<raw body>`. Reporting webhooks are signed with a key of their own integration page, webhook actions
//! with a key of the workspace; which of the keys fits says nothing about the body.
//!
//! <https://docs.customer.io/integrations/api/webhooks>

use crate::keyring::{Keyring, SecretsError};
use hmac::Hmac;
use secrecy::SecretString;
use sha2::Sha256;
use trefoil_domain::ports::Unauthorized;
use trefoil_domain::time::{Span, Timestamp};

/// Checks signatures against several keys: two kinds of webhook, and of each the old key and the new one.
#[derive(Debug)]
pub struct Verifier {
    keys: Keyring<Hmac<Sha256>>,
    skew: Option<Span>,
}

impl Verifier {
    /// `skew`: how far the time of sending may be from ours. `None` says nothing about time: whether a retry is signed anew
    /// is not documented, and each 401 holds back everything behind it for an hour.
    ///
    /// # Errors
    /// The keys cannot protect anything.
    pub fn new(keys: &[SecretString], skew: Option<Span>) -> Result<Self, SecretsError> {
        Ok(Self { keys: Keyring::new(keys)?, skew })
    }

    /// `timestamp` and `signature` are the headers as they came, `body` the bytes as they came. Gives the time of sending,
    /// if it can be read.
    ///
    /// # Errors
    /// A header is missing or has another form, the signature fits none of the keys, or it was sent too long ago or too far
    /// ahead. All of these look the same, and the first three in time as well.
    pub fn verify(
        &self,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Unauthorized> {
        // A colon would let a part of a signed body pass for the time, and the rest of it for a body.
        let timestamp = timestamp.filter(|text| !text.is_empty() && !text.contains(':')).ok_or(Unauthorized)?;
        let claimed = signature.and_then(decode).ok_or(Unauthorized)?;
        if !self.keys.signed(&[b"v0:", timestamp.as_bytes(), b":", body], &claimed) {
            return Err(Unauthorized);
        }
        let sent_at = timestamp.parse().ok().map(Timestamp::from_secs);
        match (self.skew, sent_at) {
            (None, _) => Ok(sent_at),
            (Some(skew), Some(at)) if at >= now.minus(skew) && at <= now.plus(skew) => Ok(sent_at),
            (Some(_), _) => Err(Unauthorized),
        }
    }
}

/// Lower case only: a signature has one spelling.
fn decode(header: &str) -> Option<[u8; 32]> {
    if header.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(header, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{KeyInit, Mac};
    use proptest::prelude::*;

    const KEY: &str = "test-signing-key";
    const SENT: &str = "1613063089";
    const NOW: Timestamp = Timestamp::from_secs(1_613_063_089);
    const BODY: &[u8] = br#"{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","object_type":"customer","metric":"unsubscribed","timestamp":1613063089,"data":{"customer_id":"42","email_address":"test@example.com","identifiers":{"id":"42","email":"test@example.com","cio_id":"d9c106000001"}}}"#;
    const SIGNATURE: &str = "fdaf0700b417aaa915757803ce7f80724ab1fdda23f99b52059d7c05245fedf2";

    fn verifier(keys: &[&str], skew: Option<Span>) -> Verifier {
        let keys: Vec<_> = keys.iter().map(|key| SecretString::from(*key)).collect();
        Verifier::new(&keys, skew).expect("keys")
    }

    fn verify(keys: &[&str], timestamp: &str, signature: &str, body: &[u8]) -> bool {
        verifier(keys, None).verify(Some(timestamp), Some(signature), body, NOW).is_ok()
    }

    #[test]
    fn the_vector_of_the_notes_is_accepted_by_any_of_the_keys() {
        assert!(verify(&[KEY], SENT, SIGNATURE, BODY));
        assert!(verify(&["another-signing-key", KEY], SENT, SIGNATURE, BODY));
        assert!(verify(&[KEY, "another-signing-key"], SENT, SIGNATURE, BODY));
        assert!(!verify(&["another-signing-key"], SENT, SIGNATURE, BODY));
    }

    #[test]
    fn every_other_form_of_header_is_refused() {
        let upper = SIGNATURE.to_uppercase();
        let forms = [
            String::new(),
            upper,
            format!("v0={SIGNATURE}"),
            format!("sha256={SIGNATURE}"),
            SIGNATURE[..63].to_owned(),
            SIGNATURE[..40].to_owned(),
            format!("{SIGNATURE}0"),
            format!("{SIGNATURE}00"),
            format!(" {SIGNATURE}"),
            format!("{SIGNATURE} "),
            format!("{SIGNATURE},{SIGNATURE}"),
            "z".repeat(64),
            "é".repeat(32),
            // Over the body alone, as some tutorials have it; and by the scheme of Pipelines.
            sign(KEY, &[BODY]),
            "ddd6b85aebbc1754418bd2e2019a5150bf209b73".to_owned(),
        ];
        for form in forms {
            assert!(!verify(&[KEY], SENT, &form, BODY), "{form:?}");
        }
        let verifier = verifier(&[KEY], None);
        assert_eq!(verifier.verify(Some(SENT), None, BODY, NOW), Err(Unauthorized));
        assert_eq!(verifier.verify(None, Some(SIGNATURE), BODY, NOW), Err(Unauthorized));
        for time in ["", "1613063090", "01613063089", "1613063089 ", "1613063089:"] {
            assert!(!verify(&[KEY], time, SIGNATURE, BODY), "{time:?}");
        }
    }

    #[test]
    fn no_part_of_a_signed_body_passes_for_the_time() {
        let body = br#"{"a":1}"#;
        let signature = sign(KEY, &[b"v0:7:", body]);
        assert!(verify(&[KEY], "7", &signature, body));
        assert!(!verify(&[KEY], "7:{\"a\"", &signature, b"1}"));
    }

    #[test]
    fn the_time_of_sending_matters_only_where_a_limit_is_set() {
        let at = |skew, now| verifier(&[KEY], skew).verify(Some(SENT), Some(SIGNATURE), BODY, now).is_ok();
        let limit = Span::from_mins(5);
        let later = |span| NOW.plus(span);
        assert!(at(None, later(Span::from_days(8))) && at(None, Timestamp::default()));
        assert!(at(Some(limit), later(limit)) && at(Some(limit), NOW.minus(limit)));
        assert!(!at(Some(limit), later(Span::from_millis(limit.millis() + 1))) && !at(Some(limit), NOW.minus(Span::from_mins(6))));
        let signature = sign(KEY, &[b"v0:soon:", BODY]);
        let soon = |skew| verifier(&[KEY], skew).verify(Some("soon"), Some(&signature), BODY, NOW);
        assert_eq!((soon(None), soon(Some(limit))), (Ok(None), Err(Unauthorized)));
        assert_eq!(verifier(&[KEY], None).verify(Some(SENT), Some(SIGNATURE), BODY, NOW), Ok(Some(NOW)));
    }

    #[test]
    fn keys_that_cannot_protect_are_refused() {
        assert_eq!(Verifier::new(&[], None).err(), Some(SecretsError::None));
        for short in ["", "fifteen-bytes-x"] {
            let keys = [SecretString::from(KEY), SecretString::from(short)];
            assert_eq!(Verifier::new(&keys, None).err(), Some(SecretsError::TooShort { index: 1 }));
        }
    }

    #[test]
    fn every_single_flipped_bit_of_the_vector_is_refused() {
        let verifier = verifier(&[KEY], None);
        for at in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[at / 8] ^= 1 << (at % 8);
            assert_eq!(verifier.verify(Some(SENT), Some(SIGNATURE), &body, NOW), Err(Unauthorized), "bit {at} of the body");
        }
        for at in 0..SIGNATURE.len() * 8 {
            let mut header = SIGNATURE.as_bytes().to_vec();
            header[at / 8] ^= 1 << (at % 8);
            // What is not UTF-8 never becomes a header string.
            if let Ok(header) = std::str::from_utf8(&header) {
                assert_eq!(verifier.verify(Some(SENT), Some(header), BODY, NOW), Err(Unauthorized), "bit {at} of the signature");
            }
        }
    }

    fn sign(key: &str, parts: &[&[u8]]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("key");
        parts.iter().for_each(|part| mac.update(part));
        hex::encode(mac.finalize().into_bytes())
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused_and_the_original_is_not(body in proptest::collection::vec(any::<u8>(), 1..300), time in 0u64..3_000_000_000, bit in any::<prop::sample::Index>()) {
            let time = time.to_string();
            let signature = sign(KEY, &[b"v0:", time.as_bytes(), b":", &body]);
            prop_assert!(verify(&[KEY], &time, &signature, &body));
            let at = bit.index(body.len() * 8);
            let mut other = body.clone();
            other[at / 8] ^= 1 << (at % 8);
            prop_assert!(!verify(&[KEY], &time, &signature, &other));
            let other_time = time + "0";
            prop_assert!(!verify(&[KEY], &other_time, &signature, &body));
        }
    }
}
