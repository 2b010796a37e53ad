//! Signing secrets of one source, several while one is being replaced, and whether one of them made a signature. How the
//! signed text is put together, and how a signature is spelt, is each vendor's own: see the `verify` of each.

use hmac::{KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// Shorter secrets are taken for a mistake in the set-up.
pub const LEAST_SECRET_BYTES: usize = 16;

/// `M`: the HMAC that the vendor signs with.
pub(crate) struct Keyring<M> {
    /// Already keyed: only the text remains to be hashed.
    keyed: Vec<M>,
}

impl<M: Mac + KeyInit + Clone> Keyring<M> {
    /// # Errors
    /// There is no secret, or one is too short. An HMAC works with an empty key as well, and would then accept what anybody
    /// can sign.
    pub(crate) fn new(secrets: &[SecretString]) -> Result<Self, SecretsError> {
        if secrets.is_empty() {
            return Err(SecretsError::None);
        }
        let keyed = |(index, secret): (usize, &SecretString)| {
            let key = secret.expose_secret().as_bytes();
            let too_short = SecretsError::TooShort { index };
            if key.len() < LEAST_SECRET_BYTES { Err(too_short) } else { <M as KeyInit>::new_from_slice(key).map_err(|_| too_short) }
        };
        Ok(Self { keyed: secrets.iter().enumerate().map(keyed).collect::<Result<_, _>>()? })
    }

    /// One of the secrets signed the text that these parts make up.
    pub(crate) fn signed(&self, parts: &[&[u8]], claimed: &[u8]) -> bool {
        let mut fits = Choice::from(0);
        // No early exit: which secret fits must not show in the time it takes.
        for keyed in &self.keyed {
            let mut mac = keyed.clone();
            parts.iter().for_each(|part| mac.update(part));
            fits |= mac.finalize().into_bytes().as_slice().ct_eq(claimed);
        }
        bool::from(fits)
    }
}

impl<M> fmt::Debug for Keyring<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} secrets)", self.keyed.len())
    }
}

/// The secrets cannot protect anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsError {
    None,
    TooShort { index: usize },
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no signing secret is set; copy it from the tool that sends the webhooks"),
            Self::TooShort { index } => write!(
                f,
                "signing secret number {} has fewer than {LEAST_SECRET_BYTES} bytes; copy the whole of it from the tool that sends the webhooks",
                index + 1
            ),
        }
    }
}

impl std::error::Error for SecretsError {}
