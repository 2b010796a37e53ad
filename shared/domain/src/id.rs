//! Ids that are hashes: safe as queue attributes and in logs, since nothing of a person can be read from them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A SHA-256 over length-prefixed parts, so that `("ab", "c")` and `("a", "bc")` differ.
#[derive(Clone)]
pub struct Digest(Sha256);

impl Digest {
    /// `purpose` keeps hashes of different things apart.
    pub fn new(purpose: &str) -> Self {
        Self(Sha256::new()).with(purpose)
    }

    #[must_use]
    pub fn with(mut self, part: &str) -> Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part.as_bytes());
        self
    }

    pub fn bytes(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The first 128 bits as 32 hex digits: room for 2^64 ids before a collision is to be expected.
    pub fn hex(self) -> String {
        hex::encode(&self.bytes()[..16])
    }
}

macro_rules! hashed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes an id that was stored before.
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }
        }

        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                Self(digest.hex())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hashed_id!(
    /// Names an event; the same for every redelivery of it.
    EventId
);
hashed_id!(
    /// Names one human in one workspace.
    PersonId
);
hashed_id!(
    /// Names one thing to do at a destination; the same however often it is planned.
    ActionId
);

hashed_id!(
    /// Names a conflict over an id.
    ConflictId
);

impl ActionId {
    /// The first 80 bits of a hash of the id, for vendors' own id formats.
    pub fn entropy(&self, destination: &str) -> [u8; 10] {
        let bytes = Digest::new("entropy").with(&self.0).with(destination).bytes();
        let mut out = [0; 10];
        out.copy_from_slice(&bytes[..10]);
        out
    }
}
