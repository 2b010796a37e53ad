//! Waiting for a state, never for a time.

use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Asks `state` until it has something or `limit` has passed; `None` then.
pub async fn until<T>(limit: Duration, mut state: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = state().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
    }
}
