//! Keeps calls within a vendor's limit: a bucket that leaks evenly (GCRA), and a hold that the vendor's own answers set.
//! Knows no clock: `now` comes in.

use std::sync::{Mutex, PoisonError};
use trefoil_domain::time::{Span, Timestamp};

/// The share of a vendor's limit that we use, so that others on the same account have room.
const SHARE: f64 = 0.8;
/// Calls that may follow each other at once however small our share is. Finding one profile takes two, by id and then by
/// e-mail, and begins anew when the second is refused: a bucket of one would never see anybody through.
const LEAST_BURST: i64 = 3;
/// However long a vendor asks us to wait, we look again after this.
pub const LONGEST_WAIT: Span = Span::from_mins(15);

#[derive(Debug)]
pub struct Limiter {
    /// Microseconds between calls at the steady rate.
    interval: i64,
    /// How far ahead of the steady rate calls may run: one second's worth, or [`LEAST_BURST`] if that is more.
    tolerance: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next call would be due at the steady rate, in microseconds since 1970.
    due: i64,
    held_until: Timestamp,
}

impl Limiter {
    /// `per_second` is the vendor's limit; `copies` of this limiter share it, each in a process of its own.
    pub fn new(per_second: f64, copies: u32) -> Self {
        let rate = (per_second * SHARE / f64::from(copies.max(1))).max(0.001);
        let interval = (1e6 / rate).ceil() as i64;
        Self { interval, tolerance: (1_000_000 - interval).max((LEAST_BURST - 1) * interval), state: Mutex::default() }
    }

    /// Takes the right to make one call now.
    ///
    /// # Errors
    /// Too early: the time to wait, at least a millisecond.
    pub fn check(&self, now: Timestamp) -> Result<(), Span> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = hold(&state, now) {
            return Err(wait);
        }
        let now_us = now.millis().saturating_mul(1000);
        // A clock that was set back must not stop us until it has caught up.
        let due = state.due.clamp(now_us, now_us + self.tolerance + self.interval);
        let early = due - now_us - self.tolerance;
        if early > 0 {
            state.due = due;
            return Err(Span::from_millis((early + 999) / 1000));
        }
        state.due = due + self.interval;
        Ok(())
    }

    /// No calls until then, at most [`LONGEST_WAIT`] from now. The latest wish counts; an earlier one never shortens it.
    pub fn hold_until(&self, until: Timestamp, now: Timestamp) {
        let until = until.min(now.plus(LONGEST_WAIT));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held_until = state.held_until.max(until);
    }

    /// How long the vendor wants no calls, if at all.
    pub fn held(&self, now: Timestamp) -> Option<Span> {
        hold(&self.state.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Takes in what the vendor says of its window: below a tenth of the limit, the rest is left to the other copies.
    pub fn observe(&self, limit: u64, remaining: u64, reset: Timestamp, now: Timestamp) {
        if remaining.saturating_mul(10) < limit {
            self.hold_until(reset, now);
        }
    }
}

fn hold(state: &State, now: Timestamp) -> Option<Span> {
    let wait = state.held_until.since(now);
    // Longer than anybody can have asked for: the clock was set back.
    (wait > Span::ZERO && wait <= LONGEST_WAIT).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: Timestamp = Timestamp::from_secs(1_768_000_000);

    fn at(millis: i64) -> Timestamp {
        T0.plus(Span::from_millis(millis))
    }

    #[test]
    fn a_burst_is_one_seconds_worth_and_the_wait_is_exact() {
        let limiter = Limiter::new(10.0, 1);
        for n in 0..8 {
            assert_eq!(limiter.check(T0), Ok(()), "call {n}");
        }
        assert_eq!(limiter.check(T0), Err(Span::from_millis(125)));
        assert_eq!(limiter.check(at(124)), Err(Span::from_millis(1)));
        assert_eq!(limiter.check(at(125)), Ok(()));
        assert!(limiter.check(at(125)).is_err());
    }

    #[test]
    fn copies_share_the_limit_and_a_slow_limit_still_lets_a_few_through() {
        for (per_second, copies, wait) in
            [(10.0, 4, Span::from_millis(500)), (10.0, 8, Span::from_secs(1)), (0.125, 1, Span::from_secs(10))]
        {
            let limiter = Limiter::new(per_second, copies);
            for n in 0..LEAST_BURST {
                assert_eq!(limiter.check(T0), Ok(()), "call {n} of {per_second} a second for {copies}");
            }
            assert_eq!(limiter.check(T0), Err(wait));
        }
    }

    #[test]
    fn a_hold_stops_everything_until_it_ends_and_is_capped() {
        let limiter = Limiter::new(10.0, 1);
        limiter.hold_until(at(3_000), T0);
        limiter.hold_until(at(1_000), T0);
        assert_eq!(limiter.check(at(1_000)), Err(Span::from_secs(2)));
        assert_eq!(limiter.held(at(1_000)), Some(Span::from_secs(2)));
        assert_eq!(limiter.check(at(3_000)), Ok(()));
        limiter.hold_until(at(86_400_000), at(3_000));
        assert_eq!(limiter.held(at(3_000)), Some(LONGEST_WAIT));
    }

    #[test]
    fn an_almost_empty_window_is_left_to_the_other_copies() {
        let limiter = Limiter::new(166.0, 1);
        limiter.observe(167, 17, at(4_000), T0);
        assert_eq!(limiter.held(T0), None);
        limiter.observe(167, 16, at(4_000), T0);
        assert_eq!(limiter.held(T0), Some(Span::from_secs(4)));
        limiter.observe(167, 0, at(-4_000), at(5_000));
        assert_eq!(limiter.held(at(5_000)), None);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_us() {
        let limiter = Limiter::new(10.0, 1);
        while limiter.check(T0).is_ok() {}
        limiter.hold_until(at(60_000), T0);
        let earlier = T0.minus(Span::from_hours(5));
        assert!(limiter.check(earlier).is_err_and(|wait| wait <= Span::from_millis(125)));
        assert_eq!(limiter.check(earlier.plus(Span::from_millis(125))), Ok(()));
    }

    proptest! {
        #[test]
        fn no_second_ever_sees_more_than_twice_the_share(steps in proptest::collection::vec(0i64..300, 1..400)) {
            let limiter = Limiter::new(10.0, 1);
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                now += step;
                if limiter.check(at(now)).is_ok() {
                    passed.push(now);
                }
            }
            for (first, from) in passed.iter().enumerate() {
                let within = passed[first..].iter().filter(|t| **t < from + 1000).count();
                prop_assert!(within <= 16, "{} calls in a second", within);
            }
        }
    }
}
