//! Keeps calls within a vendor's limit: a bucket that leaks evenly (GCRA), and a hold that the vendor's own answers set.
//! Knows no clock: `now` comes in.

use std::sync::{Mutex, PoisonError};
use trefoil_domain::time::{Span, Timestamp};

/// Calls that may follow each other at once however small our share is. Finding one profile takes two, by id and then by
/// e-mail, and begins anew when the second is refused; writing attributes anew takes a third. A bucket of one would never see
/// anybody through.
const LEAST_BURST: f64 = 3.0;
/// Vendors count in windows of this length at most.
const WINDOW_SECS: f64 = 10.0;
/// How much longer one call may be under way than another, so that more of them arrive in a window than were sent in one.
const SPREAD_SECS: f64 = 0.25;

/// How much of a vendor's limit is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Of the vendor's rate.
    rate: f64,
    /// Calls that may go at once beyond it.
    burst: Burst,
    /// Of the vendor's window: once less than that remains, nothing more goes until the next.
    reserve: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Burst {
    /// What a second brings.
    OneSecond,
    /// What the rate leaves of a window, so that none is ever overdrawn, wherever it begins.
    RestOfWindow,
}

impl Share {
    /// Others on the same account need room.
    pub const WITH_OTHERS: Self = Self { rate: 0.8, burst: Burst::OneSecond, reserve: 0.1 };
    /// Nobody else counts against the limit. Over nine tenths of it are used, and a window from which a twentieth is left has
    /// had more than that.
    pub const OURS_ALONE: Self = Self { rate: 0.905, burst: Burst::RestOfWindow, reserve: 0.05 };

    /// Calls a second and calls at once, of each copy.
    fn of(self, per_second: f64, copies: f64) -> (f64, f64) {
        let rate = per_second * self.rate / copies;
        match self.burst {
            Burst::OneSecond => (rate, rate.max(LEAST_BURST)),
            Burst::RestOfWindow => {
                // In any window arrive at most a burst and what the rate brings in the window and the spread.
                let limit = per_second * WINDOW_SECS / copies;
                let longest = WINDOW_SECS + SPREAD_SECS;
                let burst = (limit - rate * longest).floor().max(LEAST_BURST);
                // Of a limit so small that the least burst does not fit in beside it, the rate gives way.
                let rate = rate.min((limit - burst) / longest);
                if rate > 0.0 { (rate, burst) } else { (limit / 2.0 / longest, 1.0) }
            }
        }
    }
}

/// However long a vendor asks us to wait, we look again after this.
pub const LONGEST_WAIT: Span = Span::from_mins(15);

#[derive(Debug)]
pub struct Limiter {
    /// Microseconds between calls at the steady rate.
    interval: i64,
    /// How far ahead of the steady rate calls may run.
    tolerance: i64,
    reserve: f64,
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
    pub fn new(per_second: f64, copies: u32, share: Share) -> Self {
        let (rate, burst) = share.of(per_second, f64::from(copies.max(1)));
        let interval = (1e6 / rate.max(0.001)).ceil();
        // `as` saturates: a limit beyond all bounds is none.
        let tolerance = (burst - 1.0) * interval;
        Self { interval: interval as i64, tolerance: tolerance as i64, reserve: share.reserve, state: Mutex::default() }
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
        let due = state.due.clamp(now_us, now_us.saturating_add(self.tolerance).saturating_add(self.interval));
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

    /// Takes in what the vendor says of its window: what little remains in the end is left to calls that are under way.
    pub fn observe(&self, limit: u64, remaining: u64, reset: Timestamp, now: Timestamp) {
        if (remaining as f64) < limit as f64 * self.reserve {
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
        let limiter = Limiter::new(10.0, 1, Share::WITH_OTHERS);
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
            let limiter = Limiter::new(per_second, copies, Share::WITH_OTHERS);
            for n in 0..LEAST_BURST as usize {
                assert_eq!(limiter.check(T0), Ok(()), "call {n} of {per_second} a second for {copies}");
            }
            assert_eq!(limiter.check(T0), Err(wait));
        }
    }

    #[test]
    fn a_hold_stops_everything_until_it_ends_and_is_capped() {
        let limiter = Limiter::new(10.0, 1, Share::WITH_OTHERS);
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
        let limiter = Limiter::new(166.0, 1, Share::WITH_OTHERS);
        limiter.observe(167, 17, at(4_000), T0);
        assert_eq!(limiter.held(T0), None);
        limiter.observe(167, 16, at(4_000), T0);
        assert_eq!(limiter.held(T0), Some(Span::from_secs(4)));
        limiter.observe(167, 0, at(-4_000), at(5_000));
        assert_eq!(limiter.held(at(5_000)), None);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_us() {
        let limiter = Limiter::new(10.0, 1, Share::WITH_OTHERS);
        while limiter.check(T0).is_ok() {}
        limiter.hold_until(at(60_000), T0);
        let earlier = T0.minus(Span::from_hours(5));
        assert!(limiter.check(earlier).is_err_and(|wait| wait <= Span::from_millis(125)));
        assert_eq!(limiter.check(earlier.plus(Span::from_millis(125))), Ok(()));
    }

    #[test]
    fn what_is_left_for_the_last_of_a_window_of_our_own_is_a_twentieth() {
        let limiter = Limiter::new(166.6, 1, Share::OURS_ALONE);
        limiter.observe(1_666, 84, at(4_000), T0);
        assert_eq!(limiter.held(T0), None);
        limiter.observe(1_666, 83, at(4_000), T0);
        assert_eq!(limiter.held(T0), Some(Span::from_secs(4)));
    }

    /// An hour in which every copy always has something to send, against a vendor that counts in windows of ten seconds and
    /// tells so. Gives when calls arrived, in milliseconds.
    fn an_hour(limit: u64, copies: u32, seed: u64) -> Vec<i64> {
        /// By time; the latter two only to tell apart what comes at once.
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Next {
            Try { copy: usize },
            Arrive { copy: usize, back: i64 },
            Answer { copy: usize, remaining: u64, reset: i64 },
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let limiters: Vec<Limiter> = (0..copies).map(|_| Limiter::new(limit as f64 / 10.0, copies, Share::OURS_ALONE)).collect();
        let mut queue = std::collections::BinaryHeap::new();
        // Not all begin in step, nor with a window.
        queue.extend((0..limiters.len()).map(|copy| std::cmp::Reverse((random.i64(0..10_000), Next::Try { copy }))));
        let (mut arrived, mut window, mut used) = (Vec::new(), 0, 0);
        while let Some(std::cmp::Reverse((now, next))) = queue.pop() {
            match next {
                Next::Try { .. } if now >= 3_600_000 => {}
                Next::Try { copy } => match limiters[copy].check(at(now)) {
                    Ok(()) => {
                        // Within the spread, there; anything, back.
                        queue.push(std::cmp::Reverse((now + random.i64(5..=255), Next::Arrive { copy, back: random.i64(5..1_000) })));
                        queue.push(std::cmp::Reverse((now, Next::Try { copy })));
                    }
                    Err(wait) => queue.push(std::cmp::Reverse((now + wait.millis(), Next::Try { copy }))),
                },
                Next::Arrive { copy, back } => {
                    if now / 10_000 != window {
                        (window, used) = (now / 10_000, 0);
                    }
                    used += 1;
                    arrived.push(now);
                    let answer = Next::Answer { copy, remaining: limit.saturating_sub(used), reset: (window + 1) * 10_000 };
                    queue.push(std::cmp::Reverse((now + back, answer)));
                }
                Next::Answer { copy, remaining, reset } => limiters[copy].observe(limit, remaining, at(reset), at(now)),
            }
        }
        arrived
    }

    #[test]
    fn a_limit_of_our_own_is_nearly_used_up_and_no_window_is_ever_overdrawn() {
        for (limit, copies) in [(1_666, 1), (1_666, 4), (167, 1), (167, 4), (60, 2)] {
            for seed in 0..2 {
                let arrived = an_hour(limit, copies, seed);
                let mut first = 0;
                let mut most = 0;
                for (last, at) in arrived.iter().enumerate() {
                    while arrived[first] <= at - 10_000 {
                        first += 1;
                    }
                    most = most.max(last + 1 - first);
                }
                let used = arrived.len() as f64 / (limit as f64 * 360.0);
                assert!(most as u64 <= limit, "{most} of {limit} in ten seconds, {copies} copies, seed {seed}");
                assert!(used >= 0.9 || limit < 100, "{used} of {limit}, {copies} copies, seed {seed}");
            }
        }
    }

    #[test]
    fn of_a_tiny_limit_the_rate_gives_way_to_the_burst() {
        for (limit, copies) in [(60.0, 2.0), (20.0, 4.0), (12.0, 4.0), (4.0, 4.0), (1.0, 1.0)] {
            let (rate, burst) = Share::OURS_ALONE.of(limit / 10.0, copies);
            assert!(rate > 0.0 && (burst >= LEAST_BURST || limit <= 3.0 * copies), "{limit} for {copies}: {rate}, {burst}");
            assert!(copies * (burst + rate * 10.25) <= limit.max(copies * 1.5) + 1e-9, "{limit} for {copies}: {rate}, {burst}");
        }
    }

    proptest! {
        #[test]
        fn no_second_ever_sees_more_than_twice_the_share(steps in proptest::collection::vec(0i64..300, 1..400)) {
            let limiter = Limiter::new(10.0, 1, Share::WITH_OTHERS);
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
