//! Steps that people see: at most once, by the ledger.

use super::IntercomSender;
use super::visit::{Contact, Halt, Visit};
use crate::action::IntercomAction;
use crate::id::Digest;
use crate::job::{Job, Work};
use crate::ledger::{Entry, Ledger, Next, Review};
use crate::outcome::Outcome;
use crate::ports::{Called, Clock, Commit, EventNames, Intercom, IntercomCall, Made, Store};
use crate::time::Span;

/// Whoever began a step may still be at it for this long.
const STILL_AT_IT: Span = Span::from_mins(2);

impl<S: Store + Ledger + EventNames, Q, C: Clock, J, V: Intercom> IntercomSender<'_, S, Q, C, J, V> {
    /// What is written down of the action.
    pub(super) async fn entry(&self, job: &Job, action: &IntercomAction) -> Result<Entry, Halt> {
        let entry = self.store.entry(&action.id).await?;
        let alone = || Job { work: Work::Intercom(vec![action.clone()]), ..job.clone() };
        let entry = entry.unwrap_or_else(|| Entry::new(alone(), action.id.clone(), self.clock.now()));
        if entry.review == Review::Wanted { Err(unknown()) } else { Ok(entry) }
    }

    /// Makes a step on the contact, unless it was made before. Answers what was made then or now.
    pub(super) async fn once(
        &self,
        visit: &mut Visit<'_>,
        job: &Job,
        entry: &mut Entry,
        step: &str,
        call: impl Fn(&Contact) -> IntercomCall,
    ) -> Result<Option<String>, Halt> {
        if let Some(made) = self.made_before(entry, step).await? {
            return Ok(made);
        }
        // A contact that has moved or gone has certainly not got it.
        for _ in 0..3 {
            let contact = self.contact(visit, job).await?;
            entry.begin(step, self.clock.now());
            self.put_entry(entry).await?;
            let called = self.intercom.call(&call(&contact), self.clock.now()).await;
            match called {
                Called::Done(Made { id, notes, .. }) => {
                    visit.notes.extend(notes);
                    entry.done(step, id.clone(), self.clock.now());
                    self.put_entry(entry).await?;
                    return Ok(id);
                }
                Called::Unknown(_) => return Err(self.ask_a_human(entry).await?),
                Called::Not(_) | Called::NoContact | Called::MergedInto(_) | Called::Exists { .. } | Called::TooManyNames => {
                    entry.take_back(step);
                    self.put_entry(entry).await?;
                    self.follow(visit, job, called).await?;
                }
            }
        }
        Err(Halt::busy())
    }

    /// As [`Self::once`] for a step on what an earlier one made, which no contact is needed for. `repeatable`: nobody minds it
    /// twice, so that it is not written down beforehand.
    pub(super) async fn follow_up(
        &self,
        visit: &mut Visit<'_>,
        entry: &mut Entry,
        step: &str,
        repeatable: bool,
        call: IntercomCall,
    ) -> Result<(), Halt> {
        if repeatable && matches!(entry.next(step), Next::Made(_)) {
            return Ok(());
        }
        if !repeatable {
            if self.made_before(entry, step).await?.is_some() {
                return Ok(());
            }
            entry.begin(step, self.clock.now());
            self.put_entry(entry).await?;
        }
        match self.intercom.call(&call, self.clock.now()).await {
            Called::Done(Made { id, notes, .. }) => {
                visit.notes.extend(notes);
                entry.done(step, id, self.clock.now());
                self.put_entry(entry).await
            }
            Called::Unknown(outcome) if repeatable => Err(Halt::Ends(outcome)),
            Called::Unknown(_) => Err(self.ask_a_human(entry).await?),
            Called::Not(outcome) => {
                if !repeatable {
                    entry.take_back(step);
                    self.put_entry(entry).await?;
                }
                Err(Halt::Ends(outcome))
            }
            Called::NoContact | Called::MergedInto(_) | Called::Exists { .. } | Called::TooManyNames => {
                if !repeatable {
                    entry.take_back(step);
                    self.put_entry(entry).await?;
                }
                Err(Halt::Ends(Outcome::rejected("unexpected_answer", step)))
            }
        }
    }

    async fn made_before(&self, entry: &mut Entry, step: &str) -> Result<Option<Option<String>>, Halt> {
        match entry.next(step) {
            Next::Make => Ok(None),
            Next::Made(made) => Ok(Some(made)),
            Next::Unknown { since } if self.clock.now().since(since) < STILL_AT_IT => {
                Err(Halt::Ends(Outcome::retry(STILL_AT_IT, "begun_by_another")))
            }
            Next::Unknown { .. } => Err(self.ask_a_human(entry).await?),
        }
    }

    async fn ask_a_human(&self, entry: &mut Entry) -> Result<Halt, Halt> {
        entry.review = Review::Wanted;
        self.put_entry(entry).await?;
        tracing::warn!(action = %entry.action, "whether this was done at Intercom is not known; `trefoil review` lists it");
        Ok(unknown())
    }

    async fn put_entry(&self, entry: &mut Entry) -> Result<(), Halt> {
        match self.store.put_entry(entry.clone(), self.clock.now()).await? {
            Commit::Done => {
                entry.version += 1;
                Ok(())
            }
            Commit::Conflict => Err(Halt::busy()),
        }
    }
}

fn unknown() -> Halt {
    Halt::Ends(Outcome::blocked("unknown_outcome"))
}

/// For names of things in marks: what people call them stays out.
pub(super) fn short(text: &str) -> String {
    let mut hex = Digest::new("name").with(text).hex();
    hex.truncate(16);
    hex
}
