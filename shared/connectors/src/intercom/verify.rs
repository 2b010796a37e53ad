//! Intercom's webhook signature: `X-Hub-Signature: sha1=<40 lower-case hex digits>`, an HMAC-SHA1 over the raw body with the
//! app's client secret as key. It signs no time, so it says nothing about replays: the ids of events do.
//!
//! <https://developers.intercom.com/docs/webhooks/webhook-notifications>

use crate::keyring::{Keyring, SecretsError};
use hmac::Hmac;
use secrecy::SecretString;
use sha1::Sha1;
use trefoil_domain::ports::Unauthorized;

/// Checks signatures against several secrets, so that one can be replaced without losing a delivery.
#[derive(Debug)]
pub struct Verifier {
    secrets: Keyring<Hmac<Sha1>>,
}

impl Verifier {
    /// # Errors
    /// The secrets cannot protect anything.
    pub fn new(secrets: &[SecretString]) -> Result<Self, SecretsError> {
        Ok(Self { secrets: Keyring::new(secrets)? })
    }

    /// `signature` is the header as it came, `body` the bytes as they came.
    ///
    /// # Errors
    /// The header is missing, has another form, or fits none of the secrets. All of these look the same, in time as well.
    pub fn verify(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Unauthorized> {
        let claimed = signature.and_then(decode).ok_or(Unauthorized)?;
        if self.secrets.signed(&[body], &claimed) { Ok(()) } else { Err(Unauthorized) }
    }
}

/// Lower case only: a signature has one spelling.
fn decode(header: &str) -> Option<[u8; 20]> {
    let digits = header.strip_prefix("sha1=")?;
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 20];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{KeyInit, Mac};
    use proptest::prelude::*;

    const BODY: &[u8] = br#"{"type":"notification_event","topic":"ping","id":null}"#;
    const SIGNATURE: &str = "sha1=30f2238fdd5528706120a772b4a41c83993f39b7";

    fn verifier(secrets: &[&str]) -> Verifier {
        let secrets: Vec<_> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        Verifier::new(&secrets).expect("secrets")
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("key");
        mac.update(body);
        format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn the_vector_of_the_notes_is_accepted_by_any_of_the_secrets() {
        assert_eq!(verifier(&["test-client-secret"]).verify(Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(verifier(&["another-client-secret", "test-client-secret"]).verify(Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(verifier(&["test-client-secret", "another-client-secret"]).verify(Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(verifier(&["another-client-secret"]).verify(Some(SIGNATURE), BODY), Err(Unauthorized));
    }

    #[test]
    fn every_other_form_of_header_is_refused() {
        let digits = &SIGNATURE[5..];
        let upper = digits.to_uppercase();
        let sha256 = format!("sha256={digits}");
        let forms = [
            String::new(),
            "sha1=".to_owned(),
            digits.to_owned(),
            format!("SHA1={digits}"),
            format!("Sha1={digits}"),
            sha256,
            format!("sha1={upper}"),
            format!("sha1={}", &digits[..39]),
            format!("sha1={}", &digits[..38]),
            format!("sha1={}", &digits[..20]),
            format!("sha1={digits}0"),
            format!("sha1={digits}00"),
            format!(" sha1={digits}"),
            format!("sha1={digits} "),
            format!("sha1= {digits}"),
            format!("sha1=\"{digits}\""),
            format!("{SIGNATURE},{SIGNATURE}"),
            "sha1=zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
            "sha1=é0f2238fdd5528706120a772b4a41c83993f39".to_owned(),
        ];
        let verifier = verifier(&["test-client-secret"]);
        for form in forms {
            assert_eq!(verifier.verify(Some(&form), BODY), Err(Unauthorized), "{form:?}");
        }
        assert_eq!(verifier.verify(None, BODY), Err(Unauthorized));
    }

    #[test]
    fn secrets_that_cannot_protect_are_refused() {
        assert_eq!(Verifier::new(&[]).err(), Some(SecretsError::None));
        for short in ["", "fifteen-bytes-x"] {
            let secrets = [SecretString::from("test-client-secret"), SecretString::from(short)];
            assert_eq!(Verifier::new(&secrets).err(), Some(SecretsError::TooShort { index: 1 }));
        }
    }

    #[test]
    fn every_single_flipped_bit_of_the_vector_is_refused() {
        let verifier = verifier(&["test-client-secret"]);
        for at in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[at / 8] ^= 1 << (at % 8);
            assert_eq!(verifier.verify(Some(SIGNATURE), &body), Err(Unauthorized), "bit {at} of the body");
        }
        for at in 0..SIGNATURE.len() * 8 {
            let mut header = SIGNATURE.as_bytes().to_vec();
            header[at / 8] ^= 1 << (at % 8);
            // What is not UTF-8 never becomes a header string.
            if let Ok(header) = std::str::from_utf8(&header) {
                assert_eq!(verifier.verify(Some(header), BODY), Err(Unauthorized), "bit {at} of the signature");
            }
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused_and_the_original_is_not(body in proptest::collection::vec(any::<u8>(), 1..300), bit in any::<prop::sample::Index>(), digit in 5usize..45, flip in 0u8..7) {
            let verifier = verifier(&["test-client-secret"]);
            let signature = sign("test-client-secret", &body);
            prop_assert_eq!(verifier.verify(Some(&signature), &body), Ok(()));
            let at = bit.index(body.len() * 8);
            let mut other = body.clone();
            other[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(verifier.verify(Some(&signature), &other), Err(Unauthorized));
            let mut header = signature.into_bytes();
            header[digit] ^= 1 << flip;
            let header = String::from_utf8(header).expect("ASCII stays ASCII");
            prop_assert_eq!(verifier.verify(Some(&header), &body), Err(Unauthorized));
        }
    }
}
