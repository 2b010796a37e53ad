//! How an event or a job ends. Nothing ends without one of these.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// There is nobody to do it to.
pub const CONCERNS_NO_PERSON: &str = "concerns_no_person";

/// The lead of whom it was to be said is somebody who has an account.
pub const LEAD_OF_A_CUSTOMER: &str = "lead_of_a_customer";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The destination has it (or the state has been folded).
    Done,
    /// We decided not to.
    Skipped { reason: Reason },
    /// May work later; the queue keeps it.
    RetryAfter { delay: Span, reason: Reason },
    /// Never will without a change; parked with the reason.
    Rejected { reason: Reason },
    /// Something outside must change first: a missing profile, a refused key. Parked or tried again by the scan.
    Blocked { reason: Reason },
}

/// A stable word for the record, and for a human what was seen. Never holds an id of a person, a value of theirs, or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Reason {
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), detail: String::new() }
    }

    pub fn with(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into() }
    }
}

impl Outcome {
    pub fn skipped(code: &str) -> Self {
        Self::Skipped { reason: Reason::new(code) }
    }

    pub fn retry(delay: Span, code: &str) -> Self {
        Self::RetryAfter { delay, reason: Reason::new(code) }
    }

    pub fn rejected(code: &str, detail: impl Into<String>) -> Self {
        Self::Rejected { reason: Reason::with(code, detail) }
    }

    pub fn blocked(code: &str) -> Self {
        Self::Blocked { reason: Reason::new(code) }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped { .. } => "skipped",
            Self::RetryAfter { .. } => "retry_after",
            Self::Rejected { .. } => "rejected",
            Self::Blocked { .. } => "blocked",
        }
    }

    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Done => None,
            Self::Skipped { reason } | Self::RetryAfter { reason, .. } | Self::Rejected { reason } | Self::Blocked { reason } => {
                Some(reason)
            }
        }
    }
}
