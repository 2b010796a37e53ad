//! What a status of the Tracking API means. One table without gaps. A 200 says little: most of what Segment does not like it
//! takes, and loses.

use crate::door::Health;
use crate::http::Answer;
use crate::limit::LONGEST_WAIT;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::{Span, Timestamp};

/// How long work is kept back when only a human can help.
const WAIT_FOR_A_HUMAN: Span = Span::from_mins(1);

/// A larger number of seconds is a point in time.
const LONGEST_SECONDS: i64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// The content was refused.
    Invalid,
    TooLarge,
    /// The request was refused, whatever it held.
    Refused,
    /// The write key was refused: concerns the destination and no single message.
    KeyRefused,
    /// Another host is meant, which is what the wrong region may look like.
    Redirected,
    TooMany,
    Busy,
}

impl Verdict {
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Accepted,
            300..=399 => Self::Redirected,
            400 | 422 => Self::Invalid,
            // An account that is not paid for, or a proxy in between, says nothing about any message.
            401..=405 | 407 | 410 => Self::KeyRefused,
            413 => Self::TooLarge,
            429 => Self::TooMany,
            408 | 423 | 425 => Self::Busy,
            406..=499 | 501 => Self::Refused,
            // 5xx, and what HTTP does not know.
            0..=199 | 500..=u16::MAX => Self::Busy,
        }
    }

    /// What becomes of the messages behind the request, or `None` if they were taken. `wait` is what the vendor asked for.
    pub fn outcome(self, status: u16, wait: Option<Span>) -> Option<Outcome> {
        match self {
            Self::Accepted => None,
            Self::Invalid => Some(Outcome::rejected("refused_by_segment", "")),
            Self::TooLarge => Some(Outcome::rejected("too_large", "")),
            Self::Refused => Some(Outcome::rejected("refused_by_segment", format!("status {status}"))),
            Self::KeyRefused => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_refused_key")),
            Self::Redirected => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_redirected")),
            Self::TooMany => Some(Outcome::retry(wait.unwrap_or_default(), "rate_limited")),
            Self::Busy => Some(Outcome::retry(wait.unwrap_or_default(), "destination_failed")),
        }
    }

    pub(super) fn health(self) -> Health {
        match self {
            Self::Accepted | Self::Invalid | Self::TooLarge | Self::Refused => Health::Works,
            Self::TooMany | Self::Busy => Health::Fails,
            Self::KeyRefused | Self::Redirected => Health::Refuses,
        }
    }
}

/// How long Segment wants no calls: both of its headers are seconds, whether from now or since 1970 only one of them says.
pub(super) fn wait(answer: &Answer, now: Timestamp) -> Option<Span> {
    answer.retry_after(now).or_else(|| {
        let seconds: i64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
        let wait = if seconds > LONGEST_SECONDS { Timestamp::from_secs(seconds).since(now) } else { Span::from_secs(seconds) };
        Some(wait.clamp(Span::ZERO, LONGEST_WAIT))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let (minute, asked) = (Some(Span::from_mins(1)), Some(Span::from_secs(7)));
        for (statuses, name, code, delay) in [
            (&[200, 202, 204][..], "", "", None),
            (&[301, 307], "retry_after", "destination_redirected", minute),
            (&[400, 422], "rejected", "refused_by_segment", None),
            (&[401, 402, 403, 404, 405, 407, 410], "retry_after", "destination_refused_key", minute),
            (&[406, 409, 418, 499, 501], "rejected", "refused_by_segment", None),
            (&[408, 423, 425, 500, 502, 503, 504, 521, 999], "retry_after", "destination_failed", asked),
            (&[413], "rejected", "too_large", None),
            (&[429], "retry_after", "rate_limited", asked),
        ] {
            for status in statuses {
                let outcome = Verdict::of(*status).outcome(*status, asked);
                assert_eq!(outcome.as_ref().map_or("", Outcome::name), name, "{status}");
                assert_eq!(outcome.as_ref().and_then(Outcome::reason).map_or("", |reason| reason.code.as_str()), code, "{status}");
                let actual = if let Some(Outcome::RetryAfter { delay, .. }) = outcome { Some(delay) } else { None };
                assert_eq!(actual, delay, "{status}");
            }
        }
        assert_eq!(Verdict::of(503).outcome(503, None), Some(Outcome::retry(Span::ZERO, "destination_failed")));
    }
}
