//! Leaves a destination alone that does not work, and looks again with one call at a time. Counts failures in a row, since
//! a small user makes too few calls for a rate to mean anything. Knows no clock: `now` comes in.

use std::sync::{Mutex, PoisonError};
use trefoil_domain::time::{Span, Timestamp};

const FAILURES_TO_OPEN: u32 = 5;
const FIRST_PAUSE: Span = Span::from_secs(1);
const LONGEST_PAUSE: Span = Span::from_mins(1);
/// A probe that has not come back after this is given up, and another may go: its caller may be gone.
const PROBE_LASTS: Span = Span::from_secs(30);

#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp, pause: Span },
    Probing { until: Timestamp, pause: Span },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// How long to leave the destination alone, if at all. Asking changes nothing.
    pub fn pause(&self, now: Timestamp) -> Option<Span> {
        match *self.lock() {
            State::Closed { .. } => None,
            State::Open { until, .. } | State::Probing { until, .. } => wait(until, now),
        }
    }

    /// Takes the right to make one call. What came of it must be told by [`Breaker::succeeded`], [`Breaker::failed`] or
    /// [`Breaker::refused`].
    ///
    /// # Errors
    /// The destination is to be left alone for this long.
    pub fn admit(&self, now: Timestamp) -> Result<(), Span> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until, pause } | State::Probing { until, pause } => match wait(until, now) {
                Some(wait) => Err(wait),
                None => {
                    *state = State::Probing { until: now.plus(PROBE_LASTS), pause };
                    Ok(())
                }
            },
        }
    }

    /// The destination answered, whatever it said of the message.
    pub fn succeeded(&self) {
        *self.lock() = State::default();
    }

    /// The destination failed, in a way that has nothing to do with the message.
    pub fn failed(&self, now: Timestamp) {
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => State::Closed { failures: failures + 1 },
            State::Closed { .. } => open(FIRST_PAUSE, now),
            State::Probing { pause, .. } => open(Span::from_millis(pause.millis() * 2).min(LONGEST_PAUSE), now),
            // A call that was under way when it opened tells nothing new.
            open @ State::Open { .. } => open,
        };
    }

    /// The destination refused us altogether, which only a human can change: there is no use in trying often.
    pub fn refused(&self, now: Timestamp) {
        *self.lock() = open(LONGEST_PAUSE, now);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(pause: Span, now: Timestamp) -> State {
    State::Open { until: now.plus(pause), pause }
}

fn wait(until: Timestamp, now: Timestamp) -> Option<Span> {
    let wait = until.since(now);
    // No pause is longer than that: the clock was set back.
    (wait > Span::ZERO && wait <= LONGEST_PAUSE).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_768_000_000);

    fn at(secs: i64) -> Timestamp {
        T0.plus(Span::from_secs(secs))
    }

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert_eq!(breaker.admit(T0), Ok(()));
            breaker.failed(T0);
        }
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 0..FAILURES_TO_OPEN - 1 {
                breaker.failed(T0);
            }
            assert_eq!(breaker.pause(T0), None);
            breaker.succeeded();
        }
        assert_eq!(opened().pause(T0), Some(Span::from_secs(1)));
    }

    #[test]
    fn one_probe_goes_at_a_time_and_success_closes_it() {
        let breaker = opened();
        assert_eq!(breaker.admit(T0), Err(Span::from_secs(1)));
        assert_eq!(breaker.pause(at(1)), None);
        assert_eq!(breaker.admit(at(1)), Ok(()));
        assert_eq!(breaker.admit(at(1)), Err(PROBE_LASTS));
        breaker.succeeded();
        assert_eq!((breaker.admit(at(1)), breaker.admit(at(1))), (Ok(()), Ok(())));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let breaker = opened();
        let mut now = T0;
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = breaker.pause(now).expect("open");
            assert_eq!(pause, Span::from_secs(expected));
            now = now.plus(pause);
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
    }

    #[test]
    fn a_probe_that_never_returns_blocks_nobody_for_ever() {
        let breaker = opened();
        assert_eq!(breaker.admit(at(1)), Ok(()));
        assert_eq!(breaker.admit(at(30)), Err(Span::from_secs(1)));
        assert_eq!(breaker.admit(at(31)), Ok(()));
    }

    #[test]
    fn late_failures_do_not_prolong_a_pause_and_a_refusal_opens_at_once() {
        let breaker = opened();
        breaker.failed(at(0));
        assert_eq!(breaker.pause(T0), Some(Span::from_secs(1)));
        let breaker = Breaker::default();
        breaker.refused(T0);
        assert_eq!(breaker.pause(T0), Some(LONGEST_PAUSE));
        assert_eq!(breaker.admit(at(60)), Ok(()));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let breaker = opened();
        assert_eq!(breaker.pause(T0.minus(Span::from_hours(3))), None);
    }
}
