//! What a status of Customer.io means. One table for both of its APIs, without gaps.

use crate::door::Health;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::Span;

/// How long work is kept back when only a human can help.
const WAIT_FOR_A_HUMAN: Span = Span::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// Some items were refused; the body says which.
    Partial,
    /// The content was refused.
    Invalid,
    TooLarge,
    /// The request was refused, whatever it held.
    Refused,
    /// The key was refused: concerns the destination and no single message.
    KeyRefused,
    /// Another host is meant, which is what the wrong region looks like.
    Redirected,
    TooMany,
    Busy,
}

impl Verdict {
    pub fn of(status: u16) -> Self {
        match status {
            207 => Self::Partial,
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

    /// What becomes of the messages behind the request, or `None` if they are done or must be judged one by one.
    /// `wait` is what the vendor asked for.
    pub fn outcome(self, status: u16, wait: Option<Span>) -> Option<Outcome> {
        match self {
            Self::Accepted | Self::Partial => None,
            Self::Invalid => Some(Outcome::rejected("refused_by_customerio", "")),
            Self::TooLarge => Some(Outcome::rejected("too_large", "")),
            Self::Refused => Some(Outcome::rejected("refused_by_customerio", format!("status {status}"))),
            Self::KeyRefused => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_refused_key")),
            Self::Redirected => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_redirected")),
            Self::TooMany => Some(Outcome::retry(wait.unwrap_or_default(), "rate_limited")),
            Self::Busy => Some(Outcome::retry(wait.unwrap_or_default(), "destination_failed")),
        }
    }

    pub(crate) fn health(self) -> Health {
        match self {
            Self::Accepted | Self::Partial | Self::Invalid | Self::TooLarge | Self::Refused => Health::Works,
            Self::TooMany | Self::Busy => Health::Fails,
            Self::KeyRefused | Self::Redirected => Health::Refuses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let minute = Some(Span::from_mins(1));
        for (status, verdict, outcome, code, delay) in [
            (200, Verdict::Accepted, None, "", None),
            (202, Verdict::Accepted, None, "", None),
            (204, Verdict::Accepted, None, "", None),
            (207, Verdict::Partial, None, "", None),
            (301, Verdict::Redirected, Some("retry_after"), "destination_redirected", minute),
            (307, Verdict::Redirected, Some("retry_after"), "destination_redirected", minute),
            (400, Verdict::Invalid, Some("rejected"), "refused_by_customerio", None),
            (401, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (403, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (402, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (404, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (405, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (408, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (409, Verdict::Refused, Some("rejected"), "refused_by_customerio", None),
            (410, Verdict::KeyRefused, Some("retry_after"), "destination_refused_key", minute),
            (413, Verdict::TooLarge, Some("rejected"), "too_large", None),
            (422, Verdict::Invalid, Some("rejected"), "refused_by_customerio", None),
            (425, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (429, Verdict::TooMany, Some("retry_after"), "rate_limited", Some(Span::from_secs(7))),
            (499, Verdict::Refused, Some("rejected"), "refused_by_customerio", None),
            (500, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (501, Verdict::Refused, Some("rejected"), "refused_by_customerio", None),
            (502, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (503, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (504, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (521, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
            (999, Verdict::Busy, Some("retry_after"), "destination_failed", Some(Span::from_secs(7))),
        ] {
            assert_eq!(Verdict::of(status), verdict, "{status}");
            let actual = Verdict::of(status).outcome(status, Some(Span::from_secs(7)));
            assert_eq!(actual.as_ref().map(Outcome::name), outcome, "{status}");
            assert_eq!(actual.as_ref().and_then(|o| o.reason()).map_or("", |r| r.code.as_str()), code, "{status}");
            let actual_delay = match actual {
                Some(Outcome::RetryAfter { delay, .. }) => Some(delay),
                _ => None,
            };
            assert_eq!(actual_delay, delay, "{status}");
        }
    }

    #[test]
    fn without_a_wish_of_the_vendor_the_delay_is_left_to_the_step() {
        assert_eq!(Verdict::of(503).outcome(503, None), Some(Outcome::retry(Span::ZERO, "destination_failed")));
    }
}
