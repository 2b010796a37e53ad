//! What a ledger, and the list of names of events, must do.

use crate::store::{NOW, elsewhere, person, race, wins, workspace};
use std::sync::Arc;
use trefoil_domain::action::{Action, IntercomVerb};
use trefoil_domain::event::{Source, Workspace};
use trefoil_domain::id::{ActionId, EventId};
use trefoil_domain::job::{Job, Work};
use trefoil_domain::ledger::{Entry, Ledger, Next, Review};
use trefoil_domain::ports::{Commit, EventNames, NamesTaken};
use trefoil_domain::time::{Span, Timestamp};

fn at(secs: i64) -> Timestamp {
    NOW.plus(Span::from_secs(secs))
}

/// An entry that has not been stored, begun so long after the beginning.
pub(crate) fn entry(workspace: &Workspace, n: usize, begun: i64) -> Entry {
    let id = ActionId::from_stored(format!("{n:064x}"));
    let what = IntercomVerb::AddNote { body: "Renewal is due \u{fffe}".to_owned(), on: Default::default() };
    let action = Action { id: id.clone(), route: "renewal".to_owned(), occurred_at: NOW, origin: Source::Intercom, of_lead: false, what };
    let (event, work) = (EventId::from_stored(format!("event {n}")), Work::Intercom(vec![action]));
    let job = Job { event, workspace: workspace.clone(), person: Some(person(n).id), created_at: NOW, work };
    Entry::new(job, id, at(begun))
}

async fn put(ledger: &impl Ledger, entry: &Entry) -> Commit {
    ledger.put_entry(entry.clone(), NOW).await.expect("the store answers")
}

async fn stored(ledger: &impl Ledger, entry: &Entry) -> Option<Entry> {
    ledger.entry(&entry.action).await.expect("the store answers")
}

async fn wanting(ledger: &impl Ledger, workspace: &Workspace) -> Vec<Entry> {
    ledger.wanting_review(workspace).await.expect("the store answers")
}

pub(crate) async fn an_entry_applies_to_the_expected_version_only(ledger: impl Ledger) {
    let mut first = entry(&workspace(), 1, 0);
    assert_eq!(stored(&ledger, &first).await, None);
    first.begin("open", at(1));
    assert_eq!(put(&ledger, &Entry { version: 1, ..first.clone() }).await, Commit::Conflict, "there is nothing yet");
    assert_eq!(put(&ledger, &first).await, Commit::Done);
    assert_eq!(put(&ledger, &first).await, Commit::Conflict);
    first.version = 1;
    assert_eq!(stored(&ledger, &first).await.as_ref(), Some(&first));
    assert_eq!(first.next("open"), Next::Unknown { since: at(1) });

    let mut second = first.clone();
    second.done("open", Some("215468".to_owned()), at(2));
    assert_eq!(put(&ledger, &second).await, Commit::Done);
    assert_eq!(put(&ledger, &first).await, Commit::Conflict, "from before");
    assert_eq!(put(&ledger, &Entry { version: 3, ..first.clone() }).await, Commit::Conflict, "from nowhere");
    assert_eq!(stored(&ledger, &first).await, Some(Entry { version: 2, ..second }));
    assert_eq!(stored(&ledger, &entry(&workspace(), 2, 0)).await, None, "each action has its own");
}

pub(crate) async fn what_wants_a_review_is_listed_until_it_is_given(ledger: impl Ledger) {
    let (here, there) = (workspace(), elsewhere());
    assert_eq!(wanting(&ledger, &here).await, []);
    let mut entries = [entry(&here, 1, 10), entry(&here, 2, 30), entry(&here, 3, 20), entry(&there, 4, 40)];
    for entry in &mut entries {
        // Listed at once, or only later.
        if entry.begun_at != at(10) {
            entry.review = Review::Wanted;
        }
        entry.begin("note", at(1));
        assert_eq!(put(&ledger, entry).await, Commit::Done);
        entry.version = 1;
    }
    let [one, two, three, other] = &mut entries;
    assert_eq!(wanting(&ledger, &here).await, [two.clone(), three.clone()]);
    one.review = Review::Wanted;
    assert_eq!(put(&ledger, one).await, Commit::Done);
    one.version = 2;
    assert_eq!(wanting(&ledger, &here).await, [two.clone(), three.clone(), one.clone()], "latest first");
    assert_eq!(wanting(&ledger, &there).await, std::slice::from_ref(other));

    // Written again: it stands there once, as it is now.
    three.begin("tag", at(2));
    assert_eq!(put(&ledger, three).await, Commit::Done);
    three.version = 2;
    assert_eq!(wanting(&ledger, &here).await, [two.clone(), three.clone(), one.clone()]);

    // Of what is refused, the list hears nothing either.
    let late = Entry { review: Review::Given, version: 0, ..two.clone() };
    assert_eq!(put(&ledger, &late).await, Commit::Conflict);
    assert_eq!(put(&ledger, &Entry { version: 7, ..entry(&here, 5, 50) }).await, Commit::Conflict);
    let unheard = Entry { review: Review::Wanted, version: 3, ..entry(&here, 6, 60) };
    assert_eq!(put(&ledger, &unheard).await, Commit::Conflict);
    assert_eq!(wanting(&ledger, &here).await.len(), 3);

    two.review = Review::Given;
    two.done("note", None, at(3));
    assert_eq!(put(&ledger, two).await, Commit::Done);
    two.version = 2;
    assert_eq!(wanting(&ledger, &here).await, [three.clone(), one.clone()]);
    assert_eq!(stored(&ledger, two).await.as_ref(), Some(&*two), "it is kept");
    // It may go on, and be unknown again.
    two.begin("tag", at(4));
    assert_eq!(put(&ledger, two).await, Commit::Done);
    let again = Entry { review: Review::Wanted, version: 3, ..two.clone() };
    assert_eq!(put(&ledger, &again).await, Commit::Done);
    assert_eq!(wanting(&ledger, &here).await.first(), Some(&Entry { version: 4, ..again }));
    // Without a word on reviews it is not listed.
    let silent = Entry { review: Review::None, ..one.clone() };
    assert_eq!(put(&ledger, &silent).await, Commit::Done);
    assert_eq!(wanting(&ledger, &here).await.len(), 2);
}

pub(crate) async fn many_reviews_are_all_listed(ledger: impl Ledger) {
    // More than one read's worth.
    for n in 0..105 {
        let wanted = Entry { review: Review::Wanted, ..entry(&workspace(), n, i64::try_from(n).expect("small")) };
        assert_eq!(put(&ledger, &wanted).await, Commit::Done);
    }
    let wanting = wanting(&ledger, &workspace()).await;
    assert_eq!(wanting.len(), 105);
    assert!(wanting.is_sorted_by_key(|entry| std::cmp::Reverse(entry.begun_at)));
}

pub(crate) async fn of_racing_entries_one_wins(ledger: impl Ledger + 'static) {
    let ledger = Arc::new(ledger);
    for (version, review) in [Review::None, Review::Wanted, Review::Given].into_iter().enumerate() {
        let attempt = |_| {
            let ledger = Arc::clone(&ledger);
            let racing = Entry { version: version as u64, review, ..entry(&workspace(), 1, 0) };
            async move { put(&*ledger, &racing).await }
        };
        // On AWS all may lose at once to each other's locks; somebody tries again then.
        let mut won = 0;
        for _ in 0..10 {
            won = wins(&race(attempt).await);
            if won > 0 {
                break;
            }
        }
        assert_eq!(won, 1, "version {version}");
    }
}

pub(crate) async fn names_of_events_are_kept_for_each_workspace(names: impl EventNames) {
    let of = async |workspace: Workspace| names.event_names(&workspace).await.expect("the store answers");
    let put = async |taken: &NamesTaken| names.put_event_names(&workspace(), taken.clone()).await.expect("the store answers");
    assert_eq!(of(workspace()).await, NamesTaken::default());
    let mut taken = NamesTaken { names: ["Opened an e-mail".to_owned(), "trial \"started\"".to_owned()].into(), version: 0 };
    assert_eq!(put(&NamesTaken { version: 1, ..taken.clone() }).await, Commit::Conflict, "there is nothing yet");
    assert_eq!(put(&taken).await, Commit::Done);
    assert_eq!(put(&taken).await, Commit::Conflict);
    taken.version = 1;
    assert_eq!(of(workspace()).await, taken);
    taken.names.extend((0..120).map(|n| format!("name {n}")));
    assert_eq!(put(&taken).await, Commit::Done);
    assert_eq!(put(&taken).await, Commit::Conflict, "somebody was faster");
    taken.version = 2;
    assert_eq!(of(workspace()).await, taken);
    assert_eq!(of(elsewhere()).await, NamesTaken::default());
}
