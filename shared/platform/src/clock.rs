//! The time of day and randomness. Nothing else in the product reads either.

use std::time::{SystemTime, UNIX_EPOCH};
use trefoil_domain::ports::{Clock, Jitter};
use trefoil_domain::time::Timestamp;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970; the vendors would refuse such a machine's requests anyway.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's randomness; not fit for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemJitter;

impl Jitter for SystemJitter {
    fn unit(&self) -> f64 {
        fastrand::f64()
    }
}

/// Tells one attempt to write from another.
#[cfg(feature = "aws")]
pub(crate) fn nonce() -> u64 {
    fastrand::u64(..)
}
