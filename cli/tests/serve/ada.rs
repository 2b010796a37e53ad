//! Ada, whom Intercom and Customer.io know, what Customer.io and Segment tell of her, and what Intercom has then.

use crate::door::{Door, opened};
use crate::process::{PATIENCE, Serve};
use crate::stage::Stage;
use serde_json::{Value, json};
use trefoil_domain::ports::{Clock as _, QueueName};
use trefoil_platform::clock::SystemClock;
use trefoil_platform::sqlite::Depth;
use trefoil_standins::customerio::{Identifier, Variants as CustomerioVariants};
use trefoil_standins::intercom::{Contact, Conversation, Intercom, NewContact, Role, Variants};

/// When Customer.io and Segment say that things happened, in unix seconds.
pub(crate) const AT: i64 = 1_768_032_990;
pub(crate) const USER: &str = "u1";
pub(crate) const EMAIL: &str = "ada@example.com";

pub(crate) struct Ada {
    pub(crate) stage: Stage,
    /// Intercom's id of her.
    pub(crate) contact: String,
    cio_id: String,
}

impl Ada {
    /// With the shipped configuration.
    pub(crate) async fn new() -> Self {
        Self::on(Variants::default(), None).await
    }

    /// With these routes instead of the shipped ones.
    pub(crate) async fn with_routes(routes: &str) -> Self {
        Self::on(Variants::default(), Some(routes)).await
    }

    pub(crate) async fn on(variants: Variants, routes: Option<&str>) -> Self {
        let mut stage = opened(Stage::new(variants, CustomerioVariants::default()).await);
        let admin = stage.intercom.options().admins[0].to_string();
        stage.variables.insert("TREFOIL_INTERCOM_ADMIN_ID".to_owned(), admin);
        if let Some(routes) = routes {
            let config = stage.data.path().join("routes.yaml");
            std::fs::write(&config, format!("version: 1\nroutes:\n{routes}")).expect("a file");
            stage.variables.insert("TREFOIL_CONFIG".to_owned(), config.display().to_string());
        }
        let (external_id, email) = (Some(USER.to_owned()), Some(EMAIL.to_owned()));
        // Nobody has told of it: she was there before Trefoil.
        let (contact, _) =
            stage.intercom.create_contact(NewContact { role: Some(Role::User), external_id, email, ..NewContact::default() });
        let cio_id = stage.customerio.add_profile(Some(USER), Some(EMAIL), &[]);
        Self { stage, contact, cio_id }
    }

    /// As Intercom has her.
    pub(crate) fn contact(&self) -> Contact {
        self.stage.intercom.contact(&self.contact).expect("she is there")
    }

    /// What Customer.io believes of her.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        self.stage.customerio.profile(&Identifier::Id(USER.to_owned()))?.text(name)
    }

    /// What became of a mail to her, with more in its `data`.
    pub(crate) fn report(&self, event: &str, metric: &str, more: &Value) -> Value {
        let mut data = json!({"identifiers": {"id": USER, "email": EMAIL, "cio_id": self.cio_id}, "delivery_id": event, "campaign_id": 23,
                              "subject": "Ready for more?"});
        merge(&mut data, more);
        json!({"event_id": event, "object_type": "email", "metric": metric, "timestamp": AT, "data": data})
    }

    /// She has unsubscribed at Customer.io.
    pub(crate) fn unsubscribed(&self) -> Value {
        let data = json!({"customer_id": USER, "email_address": EMAIL, "identifiers": {"id": USER, "email": EMAIL, "cio_id": self.cio_id}});
        json!({"event_id": "unsubscribed", "object_type": "customer", "metric": "unsubscribed", "timestamp": AT, "data": data})
    }

    /// A webhook action of a campaign.
    pub(crate) fn action(&self, event: &str, kind: &str, more: &Value) -> Value {
        let mut body = json!({"schema": "cio-sync/1", "type": kind, "event_id": event, "occurred_at": AT,
                              "person": {"id": USER, "email": EMAIL, "cio_id": self.cio_id}});
        merge(&mut body, more);
        body
    }

    pub(crate) fn churn_risk(&self, event: &str) -> Value {
        self.action(event, "churn_risk", &json!({"reason": "no login for 30 days"}))
    }

    pub(crate) async fn until(&self, what: &str, mut check: impl FnMut(&Intercom) -> bool) {
        let come = self.stage.intercom.wait_until(PATIENCE, &mut check).await;
        assert_eq!(come, Ok(()), "{what}; she is {:#?}, the writes were {:#?}", self.contact(), self.writes());
    }

    /// Everything that was to change something at Intercom, whether it was answered or not.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.stage.intercom.journal().requests();
        let writes = requests.iter().filter(|request| request.method != "GET" && !request.route.ends_with("/search"));
        writes.map(|request| format!("{} {} {:?}", request.method, request.path, request.status)).collect()
    }

    pub(crate) fn calls(&self, method: &str, route: &str) -> usize {
        let requests = self.stage.intercom.journal().requests_to(route);
        requests.iter().filter(|request| request.method == method).count()
    }

    /// The one conversation that there is.
    pub(crate) fn conversation(&self) -> Conversation {
        let mut conversations = self.stage.intercom.conversations();
        assert_eq!(conversations.len(), 1, "{conversations:#?}");
        conversations.remove(0)
    }

    /// Stops it, when it has done all that it can. Nothing may be left then, but for what waits its turn at Customer.io, or at
    /// Intercom behind other work for the same person.
    pub(crate) async fn stop(&self, serve: Serve) {
        let output = self.stage.finish(serve).await;
        let depths = self.stage.queues().depths(SystemClock.now()).await.expect("the file can be read");
        for (queue, Depth { visible, in_flight, dead }) in depths {
            let undone = match queue {
                QueueName::Events | QueueName::Segment | QueueName::Parked => visible + in_flight,
                QueueName::CustomerioState | QueueName::Customerio | QueueName::IntercomState | QueueName::Intercom => 0,
            };
            assert_eq!((undone, dead), (0, 0), "left in {queue}\n{output}");
        }
    }

    /// Intercom tells of what was done through its API, and nothing comes of it there.
    pub(crate) async fn hears_its_echo(&self) {
        let (webhooks, before) = (self.stage.intercom.take_webhooks(), self.writes());
        assert_ne!(webhooks, [], "or this would prove nothing");
        let serve = self.stage.serve().await;
        assert_eq!(self.stage.deliver(&serve.url(), &webhooks).await, []);
        self.stop(serve).await;
        assert_eq!(self.writes(), before, "after {:?}", webhooks.iter().map(|webhook| &webhook.topic).collect::<Vec<_>>());
    }
}

/// Posts a body that must be taken.
pub(crate) async fn tell(serve: &Serve, door: Door, body: &Value) {
    let answer = door.post(serve, body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{door:?}: {}", String::from_utf8_lossy(&answer.body));
}

fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().expect("an object") {
        into[name] = value.clone();
    }
}
