//! What is unknown about what people see, and what a decision about it means. Knows no screen, and not whether it works on a file
//! or on AWS.

use crate::operator::{PREFIX, with_survivors};
use trefoil_domain::action::{IntercomAction, IntercomVerb};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::{ActionId, Digest, PersonId};
use trefoil_domain::identity;
use trefoil_domain::job::Work;
use trefoil_domain::ledger::{Entry, Ledger, Review, Step};
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Commit, Message, Queue, Store};
use trefoil_domain::time::Timestamp;

/// Bytes that a vendor's id has at most.
const VENDOR_ID_MAX: usize = 64;

pub(super) struct Desk<'a, S, Q> {
    pub(super) store: &'a S,
    pub(super) queue: &'a Q,
    pub(super) workspace: &'a Workspace,
    pub(super) now: Timestamp,
}

/// An entry of the ledger, and whom it concerns now.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) entry: Entry,
    /// `None`: forgotten since.
    pub(super) person: Option<Person>,
}

impl<S: Store + Ledger, Q: Queue> Desk<'_, S, Q> {
    /// All that want a review, latest first.
    pub(super) async fn list(&self) -> Result<Vec<Case>, String> {
        let entries = self.store.wanting_review(self.workspace).await.map_err(|e| e.to_string())?;
        self.read(entries).await
    }

    /// The one whose id begins so. By its whole id also one that wants no review any more.
    pub(super) async fn find(&self, prefix: &str) -> Result<Case, String> {
        if prefix.len() < PREFIX {
            return Err(format!("{prefix:?} is too short; give at least {PREFIX} characters of the action's id"));
        }
        let mut entries = self.store.wanting_review(self.workspace).await.map_err(|e| e.to_string())?;
        entries.retain(|entry| entry.action.as_str().starts_with(prefix));
        if entries.is_empty() {
            let whole = self.store.entry(&ActionId::from_stored(prefix)).await.map_err(|e| e.to_string())?;
            entries.extend(whole.filter(|entry| entry.workspace == *self.workspace));
        }
        match entries.len() {
            1 => self.read(entries).await?.pop().ok_or_else(|| "the action is gone".to_owned()),
            0 => Err(format!("no action that wants a review begins with {prefix:?}; `trefoil review` lists them")),
            several => Err(format!("{several} actions begin with {prefix:?}; give more of the id (`trefoil review --json` has all of it)")),
        }
    }

    async fn read(&self, entries: Vec<Entry>) -> Result<Vec<Case>, String> {
        let people: Vec<PersonId> = entries.iter().filter_map(|entry| entry.job.person.clone()).collect();
        let found = with_survivors(self.store, &[], &people).await?;
        let case =
            |entry: Entry| Case { person: entry.job.person.as_ref().and_then(|person| identity::survivor(&found, person)).cloned(), entry };
        Ok(entries.into_iter().map(case).collect())
    }

    /// It was done, and this is the vendor's id of what was made.
    pub(super) fn done(&self, entry: &Entry, made: Option<&str>) -> Result<Entry, String> {
        let Some((step, _)) = unknown(entry)? else {
            return Err("nothing about it is unknown any more; `send-again` with its whole id goes on with what is left of it".to_owned());
        };
        let is_id = |id: &str| {
            (1..=VENDOR_ID_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        match made {
            Some(made) if !is_id(made) => {
                return Err("--made is no id; it is the last part of the address there, such as 215468".to_owned());
            }
            None if made_before(entry).is_none() && needs_what_was_made(entry) => {
                return Err(
                    "what is left of it needs the id of what was made: say --made with the last part of its address there".to_owned()
                );
            }
            Some(_) | None => {}
        }
        let mut decided = Entry { review: Review::Given, ..entry.clone() };
        decided.done(step, made.map(str::to_owned), self.now);
        Ok(decided)
    }

    /// It was not done, or nothing is unknown and what is left of it was lost.
    pub(super) fn send_again(&self, entry: &Entry) -> Result<Entry, String> {
        let mut decided = Entry { review: Review::Given, ..entry.clone() };
        match (unknown(entry)?, entry.review) {
            (Some((step, _)), _) => decided.take_back(step),
            (None, Review::Wanted | Review::Given) => {}
            (None, Review::None) => return Err("nothing about it is unknown".to_owned()),
        }
        Ok(decided)
    }

    /// Writes down what was decided and, once that is safe, sends the job again. In this order: a job that came too early would
    /// end where it did before.
    pub(super) async fn settle(&self, mut decided: Entry) -> Result<(), String> {
        // What somebody wants now does not come too late, however long the decision took.
        decided.job.created_at = self.now;
        let (action, queue) = (decided.action.clone(), decided.job.queue());
        let message = self.again(&decided)?;
        match self.store.put_entry(decided, self.now).await.map_err(|e| e.to_string())? {
            Commit::Done => {}
            Commit::Conflict => return Err("somebody else has just changed it; look at it again with `trefoil review`".to_owned()),
        }
        let lost = |e| format!("{e}\nThe decision is kept. When that is mended, say: trefoil review send-again {action}");
        self.queue.send(queue, vec![message]).await.map_err(lost)
    }

    /// The job's message. The queue would drop what it has seen minutes ago, so the deduplication id is of this moment; all else,
    /// the action's id above all, stays.
    fn again(&self, entry: &Entry) -> Result<Message, String> {
        let message = entry.job.to_message().map_err(|_| "the job cannot be written as JSON".to_owned())?;
        let dedup = Digest::new("again").with(&message.dedup).with(&self.now.millis().to_string()).hex();
        Ok(Message { dedup, ..message })
    }
}

/// The step to decide about. One that nobody has asked about may be under way right now.
fn unknown(entry: &Entry) -> Result<Option<(&str, Timestamp)>, String> {
    match (entry.unknown(), entry.review) {
        (Some(step), Review::Wanted) => Ok(Some(step)),
        (Some(_), Review::None | Review::Given) => {
            Err("it is being done right now; it is listed if nobody can tell how that ended".to_owned())
        }
        (None, _) => Ok(None),
    }
}

/// The action of the entry. `None`: it is of another destination.
pub(super) fn action(entry: &Entry) -> Option<&IntercomAction> {
    match &entry.job.work {
        Work::Intercom(actions) => actions.iter().find(|action| action.id == entry.action),
        Work::CustomerioFacet { .. }
        | Work::SegmentFacet { .. }
        | Work::Consent { .. }
        | Work::Customerio(_)
        | Work::CustomerioLookUp(_)
        | Work::IntercomLookUp(_)
        | Work::Segment(_) => None,
    }
}

/// The vendor's id of what an earlier step made.
pub(super) fn made_before(entry: &Entry) -> Option<&str> {
    entry.steps.values().find_map(|step| match step {
        Step::Done { made, .. } => made.as_deref(),
        Step::Pending { .. } => None,
    })
}

/// Whether there are steps that are about what the first one makes.
pub(super) fn needs_what_was_made(entry: &Entry) -> bool {
    let Some(action) = action(entry) else { return false };
    match &action.what {
        IntercomVerb::OpenConversation(open) => {
            [&open.assign_to_admin, &open.assign_to_team, &open.note, &open.tag].into_iter().any(Option::is_some)
        }
        IntercomVerb::CreateTicket(ticket) => ticket.assign_to_admin.is_some() || ticket.assign_to_team.is_some(),
        IntercomVerb::UpsertContact(_)
        | IntercomVerb::AddTag { .. }
        | IntercomVerb::RemoveTag { .. }
        | IntercomVerb::TrackEvent(_)
        | IntercomVerb::SetSubscription { .. }
        | IntercomVerb::SendMessage(_)
        | IntercomVerb::AddNote { .. }
        | IntercomVerb::UpsertCompany(_)
        | IntercomVerb::ArchiveContact
        | IntercomVerb::DeleteContact
        | IntercomVerb::MergeContacts => false,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
