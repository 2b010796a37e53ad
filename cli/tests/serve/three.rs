//! Ada in all three tools, what each stand-in tells of her, and what all three have been asked to write.

use crate::ada::{Ada, EMAIL, USER};
use crate::process::{PATIENCE, Serve};
use std::fs;
use std::time::{Duration, Instant};
use trefoil_domain::ports::{Clock as _, QueueName};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::Depth;
use trefoil_standins::customerio::{Identifier, Webhook as OfCustomerio};
use trefoil_standins::intercom::{Variants, Webhook as OfIntercom};
use trefoil_standins::segment::{Caller, Event, Options, Profile, Segment};

pub(crate) struct Three {
    pub(crate) ada: Ada,
    pub(crate) segment: Segment,
}

impl Three {
    /// With the shipped configuration, and this in place of its line that begins the routes.
    pub(crate) async fn new(before_routes: Option<&str>) -> Self {
        let mut ada = Ada::on(Variants::default(), None).await;
        let options = Options { clock: ada.stage.clock.clone(), deadline: Some(PATIENCE), ..Options::default() };
        let segment = Segment::start(options).await.expect("a port");
        let keys = ada.stage.customerio.options();
        let mut variables = vec![
            ("TREFOIL_CUSTOMERIO_SIGNING_KEYS", format!("{},{}", keys.reporting_key, keys.action_key)),
            ("TREFOIL_SEGMENT_SHARED_SECRET", segment.options().webhooks.clone().expect("a secret")),
            ("TREFOIL_SEGMENT_WRITE_KEY", segment.options().write_key.clone()),
            ("TREFOIL_SEGMENT_URL", format!("{}/v1", segment.url())),
        ];
        if let Some(more) = before_routes {
            let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../trefoil.yaml");
            let shipped = fs::read_to_string(shipped).expect("the shipped configuration");
            let config = ada.stage.data.path().join("with-more.yaml");
            fs::write(&config, shipped.replace("\nroutes:\n", &format!("\n{more}\nroutes:\n"))).expect("a file");
            variables.push(("TREFOIL_CONFIG", config.display().to_string()));
        }
        ada.stage.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        // The three of them were there before anything is told.
        ada.stage.clock.advance(Duration::from_hours(1));
        Self { ada, segment }
    }

    pub(crate) fn cio_id(&self) -> String {
        let profile = self.ada.stage.customerio.profile(&Identifier::Id(USER.to_owned()));
        profile.expect("she is there").cio_id
    }

    /// Ada in her browser.
    pub(crate) fn caller() -> Caller {
        Caller { email: Some(EMAIL.to_owned()), ..Caller::user(USER) }
    }

    /// Whoever has this address at Segment.
    pub(crate) fn at_segment(&self, email: &str) -> Option<Profile> {
        self.segment.profiles().into_iter().find(|profile| profile.emails.contains(email))
    }

    pub(crate) fn events_at_segment(&self) -> Vec<Event> {
        self.at_segment(EMAIL).map(|profile| profile.events).unwrap_or_default()
    }

    pub(crate) async fn until_segment(&self, what: &str, mut check: impl FnMut(&Segment) -> bool) {
        let come = self.segment.wait_until(PATIENCE, &mut check).await;
        assert_eq!(come, Ok(()), "{what}: {:#?}", self.segment.messages());
    }

    pub(crate) async fn until_customerio(&self, what: &str, mut check: impl FnMut(&trefoil_standins::CustomerIo) -> bool) {
        let come = self.ada.stage.customerio.wait_until(PATIENCE, &mut check).await;
        assert_eq!(come, Ok(()), "{what}: {:#?}", self.ada.stage.customerio.profiles());
    }

    pub(crate) async fn of_intercom(&self, serve: &Serve, webhooks: &[OfIntercom]) {
        for webhook in webhooks {
            assert_eq!(self.ada.stage.intercom.send(&serve.url(), webhook).await.ok(), Some(200), "{}", webhook.topic);
        }
    }

    pub(crate) async fn of_customerio(&self, serve: &Serve, webhooks: &[OfCustomerio]) {
        let url = format!("http://{}/webhooks/customerio", serve.address);
        for webhook in webhooks {
            assert_eq!(self.ada.stage.customerio.send(&url, webhook).await.ok(), Some(200), "{}", webhook.name);
        }
    }

    /// Whatever there is to tell, the product's own calls included.
    pub(crate) async fn of_segment(&self, serve: &Serve) -> usize {
        let url = format!("http://{}/webhooks/segment", serve.address);
        let webhooks = self.segment.take_webhooks();
        for webhook in &webhooks {
            assert_eq!(self.segment.send(&url, webhook).await.ok(), Some(200), "{:?}", webhook.json());
        }
        webhooks.len()
    }

    /// Every call that was to change something, whatever the answer.
    pub(crate) fn writes(&self) -> Vec<String> {
        let mut writes = self.ada.writes();
        let track = self.ada.stage.customerio.journal().requests();
        let changes = track.iter().filter(|call| call.method != "GET" && call.route.starts_with("/api/"));
        let segment = self.segment.journal().requests();
        writes.extend(changes.chain(&segment).map(|call| format!("{} {}", call.path, String::from_utf8_lossy(&call.body))));
        writes
    }

    /// Lets it run until nothing is left to do: what was to be tried again at Customer.io has been, too. At Intercom work waits
    /// for hours for people who are not there.
    async fn settle(&self, mut serve: Serve) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.ada.stop(serve).await;
            let depths = self.ada.stage.queues().depths(SystemClock.now()).await.expect("the file can be read");
            let waits = |(queue, depth): (&QueueName, &Depth)| match queue {
                QueueName::Events | QueueName::CustomerioState | QueueName::Customerio | QueueName::Segment => {
                    depth.visible + depth.in_flight > 0
                }
                QueueName::IntercomState | QueueName::Intercom | QueueName::Parked => false,
            };
            if !depths.iter().any(waits) {
                return;
            }
            serve = self.ada.stage.serve().await;
        }
        panic!("there is always something left to do");
    }

    /// The tools tell of what was written to them, until there is nothing more to tell; and nothing comes of it.
    pub(crate) async fn silence(&self, serve: Serve) {
        self.settle(serve).await;
        let (before, mut echoes) = (self.writes(), 0);
        for round in 0.. {
            let of_intercom = self.ada.stage.intercom.take_webhooks();
            let of_customerio = self.ada.stage.customerio.take_webhooks();
            let serve = self.ada.stage.serve().await;
            self.of_intercom(&serve, &of_intercom).await;
            self.of_customerio(&serve, &of_customerio).await;
            let told = of_intercom.len() + of_customerio.len() + self.of_segment(&serve).await;
            self.settle(serve).await;
            assert!(round < 5, "it goes round and round");
            echoes += told;
            if told == 0 {
                break;
            }
        }
        assert_ne!(echoes, 0, "or this would prove nothing");
        let more: Vec<String> = self.writes().into_iter().filter(|write| !before.contains(write)).collect();
        assert_eq!((more, self.writes().len()), (Vec::new(), before.len()), "written because of echoes");
    }
}
