//! Somebody opens a ticket and becomes a profile at Customer.io only later. The same steps as `serve` runs, worked by hand,
//! since the waits between are minutes and hours.

use crate::stage::Stage;
use std::sync::Arc;
use std::time::Duration;
use trefoil::serve::embedded;
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{self, IntercomClient, IntercomSettings, IntercomWebhooks};
use trefoil_domain::config::Config;
use trefoil_domain::event::Workspace;
use trefoil_domain::ports::{Clock, Delivery, QueueName};
use trefoil_domain::rules::Routes;
use trefoil_domain::steps::ingest::ingest;
use trefoil_domain::steps::{look_up::LookUps, route::Router, scan::scan, send_customerio::CustomerioSender};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_platform::clock::SystemJitter;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};
use trefoil_standins::customerio::Identifier;
use trefoil_standins::intercom::{Author, NewContact, Priority, Webhook};

/// The stand-ins' clock, for us.
#[derive(Clone)]
struct Hand(trefoil_standins::Clock);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now_ms())
    }
}

struct ByHand {
    stage: Stage,
    clock: Hand,
    workspace: Workspace,
    store: SqliteStore,
    queue: SqliteQueue,
    webhooks: IntercomWebhooks,
    config: Config,
    routes: Routes,
    customerio: CustomerioClient<Hand>,
    look_ups: IntercomClient,
}

impl ByHand {
    async fn new() -> Self {
        let stage = Stage::plain().await;
        let clock = Hand(stage.clock.clone());
        let db = Db::open(stage.data.path()).expect("a new file");
        let (config, routes) = embedded().expect("the built-in configuration");
        let workspace = Workspace::new("main").expect("a name");
        let (asked, told) = (stage.intercom.options(), stage.customerio.options());
        let webhooks = IntercomWebhooks::new(&[asked.client_secret.clone().into()], workspace.clone(), None).expect("a secret");
        let http = Http::new(HttpSettings::default()).expect("a client");
        let settings = CustomerioSettings {
            track_url: Some(stage.customerio.track_url()),
            app_url: Some(stage.customerio.app_url()),
            ..CustomerioSettings::new(
                Region::Us,
                told.site_id.clone(),
                told.track_api_key.clone().into(),
                Some(told.app_api_key.clone().into()),
            )
        };
        let customerio = CustomerioClient::new(&settings, &http, clock.clone()).expect("settings");
        let settings = IntercomSettings {
            region: intercom::Region::Us,
            url: Some(stage.intercom.url()),
            access_token: asked.access_token.clone().into(),
            per_second: 100.0,
            copies: 1,
            admin_id: None,
            create_attributes: false,
            in_app_message_type: "in_app".to_owned(),
        };
        let look_ups = IntercomClient::new(&settings, &http).expect("settings");
        let queue = SqliteQueue::new(db.clone(), Arc::new(clock.clone()), 1000);
        Self { clock, workspace, store: SqliteStore::new(db), queue, webhooks, config, routes, customerio, look_ups, stage }
    }

    async fn receive(&self, webhook: &Webhook) {
        let received = self.webhooks.receive(Some(&webhook.signature), &webhook.body, self.clock.now());
        let answer = ingest(&self.queue, &self.clock, "ingest-intercom", &self.workspace, received, &webhook.body).await;
        assert_eq!(answer.status(), 200);
    }

    async fn take(&self, queue: QueueName) -> Vec<Delivery> {
        self.queue.receive(queue, 100, Span::from_mins(3), self.clock.now()).await.expect("the file can be read")
    }

    /// Does all that is due now.
    async fn work(&self) {
        let (store, queue, clock, jitter, config) = (&self.store, &self.queue, &self.clock, &SystemJitter, &self.config);
        scan(store, queue, clock).await.expect("a scan");
        let mut found = true;
        while found {
            found = false;
            for name in [QueueName::Events, QueueName::IntercomState, QueueName::CustomerioState, QueueName::Customerio] {
                let batch = self.take(name).await;
                found |= !batch.is_empty();
                let settled = match name {
                    QueueName::Events => Router { store, queue, clock, jitter, config, routes: &self.routes }.handle(batch).await,
                    QueueName::IntercomState => LookUps { store, queue, clock, jitter, intercom: &self.look_ups }.handle(batch).await,
                    QueueName::CustomerioState | QueueName::Customerio => {
                        CustomerioSender { store, queue, clock, jitter, customerio: &self.customerio, config }.handle(name, batch).await
                    }
                    QueueName::Intercom | QueueName::Segment | QueueName::Parked => Vec::new(),
                };
                self.queue.settle(name, settled, clock.now()).await.expect("the file can be written");
            }
        }
    }

    /// Lets minutes pass, working each of them, until Customer.io says this; answers how many it took.
    async fn minutes_until(&self, limit: u32, check: impl Fn(&Stage) -> bool) -> Option<u32> {
        for minute in 0..=limit {
            self.work().await;
            if check(&self.stage) {
                return Some(minute);
            }
            self.stage.clock.advance(Duration::from_secs(60));
        }
        None
    }

    fn believes(&self, who: &str, attribute: &str) -> Option<String> {
        self.stage.customerio.profile(&Identifier::Id(who.to_owned()))?.text(attribute)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_appears_an_hour_later_still_gets_the_state() {
    let trefoil = ByHand::new().await;
    let stage = &trefoil.stage;
    let new = NewContact { external_id: Some("user-9".to_owned()), email: Some("late@example.com".to_owned()), ..NewContact::default() };
    let (contact, _) = stage.intercom.create_contact(new);
    let (ticket, opened) = stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists");
    trefoil.receive(&opened).await;
    assert_eq!(trefoil.minutes_until(60, |stage| stage.customerio.event_count() > 0).await, None);
    assert_eq!((stage.customerio.profiles().len(), stage.customerio.vanished_events().len()), (0, 0));

    stage.customerio.add_profile(Some("user-9"), None, &[]);
    let took = trefoil.minutes_until(180, |_| trefoil.believes("user-9", "has_open_ticket").as_deref() == Some("true")).await;
    // The waits have doubled since the ticket was opened, so that the next one is at most as long as all so far.
    assert!(took.is_some_and(|minutes| minutes <= 70), "it took {took:?} minutes");
    let event = |stage: &Stage| stage.customerio.event_counts().get("support_ticket_opened") == Some(&1);
    assert!(trefoil.minutes_until(65, event).await.is_some(), "the event waits for the profile as well");

    stage.clock.advance(Duration::from_secs(3600));
    let closed = stage.intercom.close(&ticket, Author::Admin).expect("the ticket exists");
    trefoil.receive(&closed).await;
    let took = trefoil.minutes_until(5, |_| trefoil.believes("user-9", "has_open_ticket").as_deref() == Some("false")).await;
    assert_eq!(took, Some(0), "a known profile hears at once");
    // Opened, resolved and the follow-up; and nothing goes round for ever.
    assert_eq!(trefoil.minutes_until(24 * 60, |stage| stage.customerio.event_count() > 3).await, None);
    assert!(!stage.customerio.profile_created_by_accident());
    assert_eq!(stage.customerio.duplicate_events(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_learnt_later_releases_the_state_at_once() {
    let trefoil = ByHand::new().await;
    let stage = &trefoil.stage;
    stage.customerio.add_profile(Some("user-10"), Some("lea@example.com"), &[]);
    // A visitor whom nobody knows yet.
    let (contact, _) = stage.intercom.create_contact(NewContact::default());
    let (_, opened) = stage.intercom.open_conversation(&contact, Priority::Low).expect("the contact exists");
    trefoil.receive(&opened).await;
    assert_eq!(trefoil.minutes_until(30, |_| trefoil.believes("user-10", "has_open_ticket").is_some()).await, None);

    let change = trefoil_standins::intercom::ContactChange { email: Some("lea@example.com".to_owned()), ..Default::default() };
    let updated = stage.intercom.update_contact(&contact, change).expect("the contact exists");
    trefoil.receive(&updated).await;
    let took = trefoil.minutes_until(5, |_| trefoil.believes("user-10", "has_open_ticket").as_deref() == Some("true")).await;
    assert_eq!(took, Some(0));
}
