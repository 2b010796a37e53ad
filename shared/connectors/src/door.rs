//! The way out to one API: asks the limit and the breaker first, and tells them afterwards what came of it.

use crate::breaker::Breaker;
use crate::http::{Answer, Call, CallError, Http};
use crate::limit::Limiter;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::{Span, Timestamp};

#[derive(Debug)]
pub(crate) struct Door {
    http: Http,
    breaker: Breaker,
    limiter: Limiter,
}

/// How an answer bears on the destination as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It works, whatever it thinks of the message.
    Works,
    /// It does not, for now.
    Fails,
    /// It refuses us until a human changes something.
    Refuses,
}

impl Door {
    pub(crate) fn new(http: Http, limiter: Limiter) -> Self {
        Self { http, breaker: Breaker::default(), limiter }
    }

    /// How long to make no calls, if at all.
    pub(crate) fn pause(&self, now: Timestamp) -> Option<Span> {
        self.breaker.pause(now).max(self.limiter.held(now))
    }

    /// Makes the call if it is time for one. Every answer must be judged by [`Door::judged`].
    ///
    /// # Errors
    /// What it means for the message that there is no answer. Nothing ever waits here.
    pub(crate) async fn send(&self, call: &Call, now: Timestamp) -> Result<Answer, NoAnswer> {
        // The limit first: a breaker's probe must not be used up by a call that is not made.
        self.limiter.check(now).map_err(|wait| NoAnswer::of(Outcome::retry(wait, "over_our_rate")))?;
        self.breaker.admit(now).map_err(|wait| NoAnswer::of(Outcome::retry(wait, "destination_paused")))?;
        self.http.send(call).await.map_err(|error| match error {
            CallError::Unreachable => {
                self.breaker.failed(now);
                NoAnswer::of(Outcome::retry(Span::ZERO, error.code()))
            }
            CallError::TimedOut | CallError::BrokenOff => {
                self.breaker.failed(now);
                NoAnswer { may_have_arrived: true, ..NoAnswer::of(Outcome::retry(Span::ZERO, error.code())) }
            }
            CallError::TooLarge => {
                self.breaker.succeeded();
                NoAnswer { outcome: Outcome::rejected(error.code(), ""), may_have_arrived: true, too_large: true }
            }
            CallError::Unsendable => NoAnswer::of(Outcome::rejected(error.code(), "")),
        })
    }

    pub(crate) fn judged(&self, health: Health, now: Timestamp) {
        match health {
            Health::Works => self.breaker.succeeded(),
            Health::Fails => self.breaker.failed(now),
            Health::Refuses => self.breaker.refused(now),
        }
    }

    /// The answer asks for a pause of this length.
    pub(crate) fn hold(&self, wait: Span, now: Timestamp) {
        self.limiter.hold_until(now.plus(wait), now);
    }

    #[cfg_attr(not(feature = "intercom-out"), expect(dead_code, reason = "only Intercom tells of its window"))]
    pub(crate) fn observe(&self, limit: u64, remaining: u64, reset: Timestamp, now: Timestamp) {
        self.limiter.observe(limit, remaining, reset, now);
    }
}

#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) outcome: Outcome,
    /// The call was sent; whether it was acted upon is not known.
    #[cfg_attr(not(feature = "intercom-out"), expect(dead_code, reason = "all that Customer.io is sent may be sent again"))]
    pub(crate) may_have_arrived: bool,
    /// There was an answer, larger than we read.
    #[cfg_attr(not(feature = "customerio-out"), expect(dead_code, reason = "only Customer.io's bulk look-up can ask for less"))]
    pub(crate) too_large: bool,
}

impl NoAnswer {
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self { outcome, may_have_arrived: false, too_large: false }
    }
}
