//! What campaigns are called. Messages name theirs by number; the name is asked for, and kept for all messages of the campaign.
//! No event waits for it: until it is known there is none.

use crate::id::EventId;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Names are changed now and then.
const KEPT: Span = Span::from_days(7);
/// A question that nothing came of, as without a key for the App API, is asked again after this long.
pub const ASKED_AGAIN_AFTER: Span = Span::from_hours(1);

/// What is known of a campaign's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When Customer.io said so, or that there is no such campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// The last question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The event that made us ask.
    pub by: EventId,
    pub at: Timestamp,
}

impl Label {
    /// Whether this event is to ask for the name.
    pub fn is_asked_by(&self, event: &EventId, now: Timestamp) -> bool {
        match &self.asked {
            // Seen again: its question may not have left.
            Some(asked) if asked.by == *event => self.told_at.is_none_or(|told| told < asked.at),
            Some(asked) if now.since(asked.at) < ASKED_AGAIN_AFTER => false,
            Some(_) | None => self.told_at.is_none_or(|told| now.since(told) >= KEPT),
        }
    }

    /// After the question.
    #[must_use]
    pub fn asked_by(self, event: &EventId, now: Timestamp) -> Self {
        match &self.asked {
            Some(asked) if asked.by == *event => self,
            Some(_) | None => Self { asked: Some(Asked { by: event.clone(), at: now }), ..self },
        }
    }

    /// After the answer; an older one than the last changes nothing. What is deleted keeps the name that it had.
    #[must_use]
    pub fn told(self, name: Option<&str>, at: Timestamp) -> Self {
        if self.told_at.is_some_and(|told| told >= at) {
            self
        } else {
            Self { name: name.map(str::to_owned).or(self.name), told_at: Some(at), asked: self.asked }
        }
    }
}
