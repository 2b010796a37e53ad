//! The time that a stand-in lives in: the machine's, or one that a test moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Clones of a manual clock share one hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `unix_secs` until it is moved.
    #[must_use]
    pub fn manual(unix_secs: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(unix_secs.saturating_mul(1000))))
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => {
                // A machine set before 1970 reads as 1970: nothing here is worth failing for it.
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(ms) => ms.load(Ordering::SeqCst),
        }
    }

    /// Unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Moves a manual clock to `unix_secs`, backwards too. The system clock stays as it is.
    pub fn set(&self, unix_secs: i64) {
        match self {
            Self::System => {}
            Self::Manual(ms) => ms.store(unix_secs.saturating_mul(1000), Ordering::SeqCst),
        }
    }

    /// Moves a manual clock forward. The system clock stays as it is.
    pub fn advance(&self, by: Duration) {
        match self {
            Self::System => {}
            Self::Manual(ms) => {
                ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
            }
        }
    }
}
