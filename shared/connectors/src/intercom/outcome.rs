//! What a status of Intercom's REST API means, and what becomes of a question. One table without gaps. What becomes of a
//! write stands in [`super::actions`].
//!
//! <https://developers.intercom.com/docs/references/rest-api/errors/http-responses>

use crate::door::Health;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::time::Span;

/// How long work is kept back when only a human can help.
pub(crate) const WAIT_FOR_A_HUMAN: Span = Span::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Answered,
    /// Nobody and nothing under that id; or too new to be found.
    NotFound,
    /// The contact lives on under another id.
    Merged,
    /// There is such a contact, or there are several.
    Conflict,
    /// The question was refused.
    Refused,
    /// The plan or the token does not allow it: all questions alike, and of the writes this one.
    Forbidden,
    /// The token was refused: concerns the destination and no single call.
    KeyRefused,
    Redirected,
    TooMany,
    Busy,
}

impl Verdict {
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Answered,
            300..=399 => Self::Redirected,
            401 => Self::KeyRefused,
            403 => Self::Forbidden,
            409 => Self::Conflict,
            404 => Self::NotFound,
            410 => Self::Merged,
            429 => Self::TooMany,
            408 | 423 | 425 => Self::Busy,
            400 | 402 | 405..=499 | 501 => Self::Refused,
            // 5xx, and what HTTP does not know.
            0..=199 | 500..=u16::MAX => Self::Busy,
        }
    }

    /// What becomes of the question, or `None` where the answer has to be read for that. `wait` is what Intercom asked for.
    pub fn outcome(self, status: u16, wait: Option<Span>) -> Option<Outcome> {
        match self {
            Self::Answered | Self::NotFound | Self::Merged => None,
            Self::Refused | Self::Conflict => Some(Outcome::rejected("refused_by_intercom", format!("status {status}"))),
            Self::Forbidden | Self::KeyRefused => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_refused_key")),
            Self::Redirected => Some(Outcome::retry(WAIT_FOR_A_HUMAN, "destination_redirected")),
            Self::TooMany => Some(Outcome::retry(wait.unwrap_or_default(), "rate_limited")),
            Self::Busy => Some(Outcome::retry(wait.unwrap_or_default(), "destination_failed")),
        }
    }

    /// `asks`: to a question, and not to a write.
    pub(crate) fn health(self, asks: bool) -> Health {
        match self {
            Self::Answered | Self::NotFound | Self::Merged | Self::Refused | Self::Conflict => Health::Works,
            Self::TooMany | Self::Busy => Health::Fails,
            Self::Forbidden if !asks => Health::Works,
            Self::Forbidden | Self::KeyRefused | Self::Redirected => Health::Refuses,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let minute = Some(Span::from_mins(1));
        let asked = Some(Span::from_secs(7));
        for (status, verdict, code, delay) in [
            (200, Verdict::Answered, "", None),
            (202, Verdict::Answered, "", None),
            (301, Verdict::Redirected, "destination_redirected", minute),
            (308, Verdict::Redirected, "destination_redirected", minute),
            (400, Verdict::Refused, "refused_by_intercom", None),
            (401, Verdict::KeyRefused, "destination_refused_key", minute),
            (403, Verdict::Forbidden, "destination_refused_key", minute),
            (404, Verdict::NotFound, "", None),
            (406, Verdict::Refused, "refused_by_intercom", None),
            (408, Verdict::Busy, "destination_failed", asked),
            (409, Verdict::Conflict, "refused_by_intercom", None),
            (410, Verdict::Merged, "", None),
            (415, Verdict::Refused, "refused_by_intercom", None),
            (422, Verdict::Refused, "refused_by_intercom", None),
            (429, Verdict::TooMany, "rate_limited", asked),
            (500, Verdict::Busy, "destination_failed", asked),
            (501, Verdict::Refused, "refused_by_intercom", None),
            (502, Verdict::Busy, "destination_failed", asked),
            (503, Verdict::Busy, "destination_failed", asked),
            (504, Verdict::Busy, "destination_failed", asked),
            (529, Verdict::Busy, "destination_failed", asked),
            (999, Verdict::Busy, "destination_failed", asked),
        ] {
            assert_eq!(Verdict::of(status), verdict, "{status}");
            let outcome = Verdict::of(status).outcome(status, asked);
            assert_eq!(outcome.as_ref().and_then(|o| o.reason()).map_or("", |r| r.code.as_str()), code, "{status}");
            let actual = match outcome {
                Some(Outcome::RetryAfter { delay, .. }) => Some(delay),
                _ => None,
            };
            assert_eq!(actual, delay, "{status}");
        }
    }
}
