//! Intercom takes 120 names of events. Those that stand in the configuration come first; those that are made of an event's values,
//! such as a campaign's id, share what is left.
//! <https://www.intercom.com/help/en/articles/5245634>

use super::visit::Halt;
use crate::config::Config;
use crate::event::Workspace;
use crate::ports::{Commit, EventNames, NamesTaken};
use std::sync::{Mutex, PoisonError};

/// Names of events that are not archived.
const MOST_NAMES: usize = 120;
/// Attempts at adding one while others add theirs.
const ATTEMPTS: usize = 5;

/// What a process knows of the names that are taken.
#[derive(Debug)]
pub struct EventNameBudget {
    /// How many made-up names there may be.
    room: usize,
    known: Mutex<NamesTaken>,
}

impl EventNameBudget {
    pub fn new(config: &Config) -> Self {
        Self { room: MOST_NAMES.saturating_sub(config.intercom_event_names().len()), known: Mutex::default() }
    }

    /// Whether an event may have this name, that no configuration names. A name that is known costs nothing.
    pub(super) async fn takes<S: EventNames>(&self, store: &S, workspace: &Workspace, name: &str) -> Result<bool, Halt> {
        if let Some(known) = self.knows(name) {
            return Ok(known);
        }
        for _ in 0..ATTEMPTS {
            let mut taken = store.event_names(workspace).await?;
            let is_there = taken.names.contains(name);
            if is_there || taken.names.len() >= self.room {
                self.remember(taken);
                return Ok(is_there);
            }
            taken.names.insert(name.to_owned());
            if store.put_event_names(workspace, taken.clone()).await? == Commit::Done {
                self.remember(taken);
                return Ok(true);
            }
        }
        Err(Halt::busy())
    }

    /// Names are never given back.
    fn knows(&self, name: &str) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.names.contains(name) { Some(true) } else { (known.names.len() >= self.room).then_some(false) }
    }

    fn remember(&self, taken: NamesTaken) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }
}
