//! Segment's webhook signature: `X-Signature: <40 hex digits>`, an HMAC-SHA1 with the shared secret as key. It signs no
//! time, so it says nothing about replays: the ids of events do.
//!
//! What it covers depends on the destination. A single message: the body. A batch `[e0, e1, …]`: `e0` alone, and of
//! extensible webhooks, which send `[{"json": e0}, …]`, the inner `e0`. The rest of such a batch could be anybody's.
//!
//! <https://segment.com/docs/connections/destinations/catalog/actions-webhook/>

use super::wire::{Elements, unwrapped};
use crate::keyring::{Keyring, SecretsError};
use hmac::Hmac;
use secrecy::SecretString;
use sha1::Sha1;
use trefoil_domain::ports::Unauthorized;

/// What of a batch must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSignature {
    /// All of it: a batch of which only the first message is signed is refused.
    #[default]
    Full,
    /// The first message will do. Whoever has once seen a signed message can then add others to it.
    First,
}

/// Checks signatures against several secrets, so that one can be replaced without losing a delivery.
#[derive(Debug)]
pub struct Verifier {
    secrets: Keyring<Hmac<Sha1>>,
    batches: BatchSignature,
}

impl Verifier {
    /// # Errors
    /// The secrets cannot protect anything.
    pub fn new(secrets: &[SecretString], batches: BatchSignature) -> Result<Self, SecretsError> {
        Ok(Self { secrets: Keyring::new(secrets)?, batches })
    }

    /// `signature` is the header as it came, `body` the bytes as they came.
    ///
    /// # Errors
    /// The header is missing, has another form, or fits neither the body nor as much of it as may be signed instead.
    pub fn verify(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Unauthorized> {
        let claimed = signature.and_then(decode).ok_or(Unauthorized)?;
        if self.fits(&claimed, body) {
            return Ok(());
        }
        // Slices of the body, never JSON written anew: key order, number forms and escapes would differ.
        let Some(Elements { first, others }) = Elements::of(body) else { return Err(Unauthorized) };
        let inner = unwrapped(first);
        let fits = self.fits(&claimed, first.get().as_bytes())
            // The wrapper is not signed, and nothing but what it wraps is ever read.
            || (!std::ptr::eq(inner, first) && self.fits(&claimed, inner.get().as_bytes()));
        match (fits, self.batches) {
            (false, _) => Err(Unauthorized),
            // Beside the first element there are only brackets and spaces.
            (true, _) if others == 0 => Ok(()),
            (true, BatchSignature::First) => Ok(()),
            (true, BatchSignature::Full) => {
                // The secret was right, so this is worth telling, and nobody without it can fill the log.
                tracing::warn!(
                    unsigned = others,
                    "only the first message of a batch is signed; it was refused. Switch batching off in Segment, \
                     or set TREFOIL_SEGMENT_BATCH_SIGNATURE to first"
                );
                Err(Unauthorized)
            }
        }
    }

    fn fits(&self, claimed: &[u8; 20], bytes: &[u8]) -> bool {
        self.secrets.signed(&[bytes], claimed)
    }
}

/// In either case of letters: Segment sends lower case, what stands in between may not.
fn decode(header: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    hex::decode_to_slice(header.trim(), &mut bytes).ok()?;
    Some(bytes)
}
