//! What a call costs: the jobs of one batch go in one, and what changes nothing in none.

use crate::ada::{Ada, USER};
use crate::three::Three;
use serde_json::json;
use trefoil_domain::action::{Action, CustomerioEvent, CustomerioVerb, SegmentVerb};
use trefoil_domain::event::{Attributes, IdKind, Identifier, Source, Workspace, event_id};
use trefoil_domain::id::{ActionId, Digest, PersonId};
use trefoil_domain::job::{Job, Work};
use trefoil_domain::ports::{AliasKey, Clock as _, QueueName, Store as _};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::{Db, SqliteStore};

/// As many as a batch has of one person.
const JOBS: u8 = 10;

/// Who Ada is to us, in the file of a program that has stopped.
async fn person(ada: &Ada, workspace: &Workspace) -> PersonId {
    let store = SqliteStore::new(Db::open(ada.stage.data.path()).expect("the file is free"));
    let key = AliasKey::of_identifier(workspace, &Identifier::new(IdKind::UserId, USER).expect("an id"));
    let found = store.find(std::slice::from_ref(&key), &[]).await.expect("the file can be read");
    found.aliases[&key].claimants[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_batch_are_one_call_and_what_changes_nothing_is_none() {
    let three = Three::new(None).await;
    let (segment, stage) = (&three.segment, &three.ada.stage);
    let traits = json!({"email": "ada@example.com", "plan": "growth", "seats": 3});
    let serve = stage.serve().await;
    segment.app_identify(&Three::caller(), &traits);
    three.of_segment(&serve).await;
    three.until_customerio("the plan", |_| three.ada.attribute("plan").as_deref() == Some("growth")).await;
    three.ada.stop(serve).await;

    // The same again, as products do with every page: nothing is told to Customer.io or Segment.
    let (customerio, before) = (stage.customerio.journal(), three.writes_to_both());
    let serve = stage.serve().await;
    for _ in 0..3 {
        segment.app_identify(&Three::caller(), &traits);
    }
    assert_eq!(three.of_segment(&serve).await, 3);
    three.ada.stop(serve).await;
    assert_eq!(three.writes_to_both(), before);

    let workspace = Workspace::new("main").expect("a name");
    let (person, now) = (person(&three.ada, &workspace).await, SystemClock.now());
    let job = |number: u8, work| {
        let event = event_id(Source::Segment, &workspace, &[&number.to_string()]);
        Job { event, workspace: workspace.clone(), person: Some(person.clone()), created_at: now, work }
    };
    let id = |number: u8| ActionId::from(Digest::new("test").with(&number.to_string()));
    let origin = Source::Intercom;
    let events = (0..JOBS).map(|number| {
        let what = CustomerioVerb::TrackEvent(CustomerioEvent { name: "moved".to_owned(), properties: Attributes::new() });
        job(
            number,
            Work::Customerio(vec![Action { id: id(number), route: "a".to_owned(), occurred_at: now, origin, of_lead: false, what }]),
        )
    });
    let tracks = (0..JOBS).map(|number| {
        let what = SegmentVerb::Track { name: "Moved".to_owned(), properties: Attributes::new() };
        job(number, Work::Segment(vec![Action { id: id(number), route: "a".to_owned(), occurred_at: now, origin, of_lead: false, what }]))
    });
    let queue = stage.queues();
    for (name, jobs) in [(QueueName::Customerio, events.collect::<Vec<_>>()), (QueueName::Segment, tracks.collect())] {
        let messages = jobs.iter().map(|job| job.to_message().expect("JSON")).collect();
        trefoil_domain::ports::Queue::send(&queue, name, messages).await.expect("the file takes them");
    }
    drop(queue);
    customerio.clear();
    segment.journal().clear();
    let serve = stage.serve().await;
    three.until_customerio("all events", |customerio| customerio.event_counts().get("moved") == Some(&u64::from(JOBS))).await;
    three.until_segment("all tracks", |_| three.events_at_segment().len() == usize::from(JOBS)).await;
    three.ada.stop(serve).await;
    assert_eq!(three.writes_to_both(), (1, 1), "one call for {JOBS} jobs: {:#?}", three.writes());
}

impl Three {
    /// Calls to Customer.io's Track API and to Segment.
    fn writes_to_both(&self) -> (usize, usize) {
        let customerio = self.ada.stage.customerio.journal().requests();
        let told = customerio.iter().filter(|call| call.method != "GET" && call.route.starts_with("/api/")).count();
        (told, self.segment.journal().requests().len())
    }
}
