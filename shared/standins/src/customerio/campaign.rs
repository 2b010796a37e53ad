//! A campaign as a marketer would set it up after reading Trefoil's recipe: filters on attributes, checked at send time.
//! <https://docs.customer.io/journeys/action-conditions/>, <https://docs.customer.io/journeys/segments/>

use super::profile::Profile;
use std::fmt;

/// A campaign with a webhook action that sends a body of the contract `cio-sync/1`. It works by itself, whatever changed
/// people: the API or somebody by hand. A merge counts as a change of the survivor.
/// <https://docs.customer.io/journeys/campaign-triggers>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Campaign {
    /// `attributes.changed` with all of these attributes, when one of them changes.
    AttributesChanged(Vec<String>),
    /// `conversion` for every event of this name that is young enough to start a campaign. Its `value` is the event's `total`.
    EventConverts(String),
    /// `segment.entered` and `segment.left` of a data-driven segment: the people in whose `attribute` is `value`, as text.
    SegmentOf { attribute: String, value: String, segment: u64, name: String },
}

/// Whether a message goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Send,
    Hold(Hold),
}

/// Why a message does not go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    NoProfile,
    Unsubscribed,
    /// The filter "`has_open_ticket` is not equal to true" does not match.
    OpenTicket,
    /// The filter "`suppress_<campaign>_until` is before now" does not match. Unix seconds.
    SuppressedUntil(i64),
}

impl Decision {
    #[must_use]
    pub fn sends(&self) -> bool {
        matches!(self, Self::Send)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send => f.write_str("sent"),
            Self::Hold(Hold::NoProfile) => f.write_str("held: no such profile"),
            Self::Hold(Hold::Unsubscribed) => f.write_str("held: unsubscribed"),
            Self::Hold(Hold::OpenTicket) => f.write_str("held: has_open_ticket is true"),
            Self::Hold(Hold::SuppressedUntil(until)) => match jiff::Timestamp::from_second(*until) {
                Ok(until) => write!(f, "held: suppressed until {until}"),
                Err(_) => write!(f, "held: suppressed until {until}"),
            },
        }
    }
}

/// `now` in unix seconds. A time that is not unix seconds is no date to the vendor's segments, so it holds nothing back.
pub(crate) fn decide(profile: Option<&Profile>, campaign: &str, now: i64) -> Decision {
    let Some(profile) = profile else { return Decision::Hold(Hold::NoProfile) };
    if profile.is_unsubscribed() {
        return Decision::Hold(Hold::Unsubscribed);
    }
    if profile.text("has_open_ticket").as_deref() == Some("true") {
        return Decision::Hold(Hold::OpenTicket);
    }
    let until = profile.text(&format!("suppress_{campaign}_until")).and_then(|until| until.parse::<i64>().ok());
    match until {
        Some(until) if until > now => Decision::Hold(Hold::SuppressedUntil(until)),
        Some(_) | None => Decision::Send,
    }
}
