//! What people see is done at most once: each step is written down before it is made and again when it was made. A step of which
//! only the first is known may have been made; nobody but a human can tell, and nothing is done until one has.

use crate::event::Workspace;
use crate::id::ActionId;
use crate::job::Job;
use crate::ports::{Commit, StoreError};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;

/// How long an entry is kept: longer than any queue, and any dead letter, can bring its job again.
pub const LEDGER_KEPT: Span = Span::from_days(40);

/// All that is known of one action that people see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub action: ActionId,
    pub workspace: Workspace,
    /// With this action alone: to go on with after a review.
    pub job: Job,
    pub begun_at: Timestamp,
    /// By name: `open`, `assign`, `note`.
    pub steps: BTreeMap<String, Step>,
    #[serde(default)]
    pub review: Review,
    /// 0 = not stored yet.
    #[serde(default)]
    pub version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Step {
    /// About to be made then; whether it was is not known.
    Pending { since: Timestamp },
    Done {
        at: Timestamp,
        /// The vendor's id of what was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made: Option<String>,
    },
}

/// Whether a human has to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    #[default]
    None,
    /// Listed until somebody has looked.
    Wanted,
    /// Somebody has.
    Given,
}

/// What may be done about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It was not begun.
    Make,
    /// It has been made.
    Made(Option<String>),
    /// It was begun then, by somebody who may still be at it.
    Unknown { since: Timestamp },
}

impl Entry {
    pub fn new(job: Job, action: ActionId, now: Timestamp) -> Self {
        let workspace = job.workspace.clone();
        Self { action, workspace, job, begun_at: now, steps: BTreeMap::new(), review: Review::None, version: 0 }
    }

    pub fn next(&self, step: &str) -> Next {
        match self.steps.get(step) {
            None => Next::Make,
            Some(Step::Done { made, .. }) => Next::Made(made.clone()),
            Some(Step::Pending { since }) => Next::Unknown { since: *since },
        }
    }

    pub fn begin(&mut self, step: &str, now: Timestamp) {
        self.steps.insert(step.to_owned(), Step::Pending { since: now });
    }

    /// It was certainly not made.
    pub fn take_back(&mut self, step: &str) {
        self.steps.remove(step);
    }

    pub fn done(&mut self, step: &str, made: Option<String>, now: Timestamp) {
        self.steps.insert(step.to_owned(), Step::Done { at: now, made });
    }

    /// The step whose outcome is not known, if there is one.
    pub fn unknown(&self) -> Option<(&str, Timestamp)> {
        self.steps.iter().find_map(|(name, step)| match step {
            Step::Pending { since } => Some((name.as_str(), *since)),
            Step::Done { .. } => None,
        })
    }
}

pub trait Ledger: Send + Sync {
    /// Strongly consistent.
    ///
    /// # Errors
    /// As [`crate::ports::Store::find`].
    fn entry(&self, action: &ActionId) -> impl Future<Output = Result<Option<Entry>, StoreError>> + Send;

    /// Applies if the stored version is `entry.version` (0 = absent), and is stored with `entry.version + 1`, for
    /// [`LEDGER_KEPT`] from now on. With it the entry enters the list of those that want a review ([`Review::Wanted`]) or leaves
    /// it ([`Review::Given`]); both at once or neither.
    ///
    /// # Errors
    /// As [`crate::ports::Store::commit`].
    fn put_entry(&self, entry: Entry, now: Timestamp) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// Those that want a review, latest first.
    ///
    /// # Errors
    /// As [`crate::ports::Store::find`].
    fn wanting_review(&self, workspace: &Workspace) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}
