//! The road of an event through the deployed product, from Intercom's webhook to Customer.io, and from Customer.io's to Intercom.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::time::Duration;
use trefoil_standins::customerio::{CreatedBy, Decision, Hold, Identifier, StoredEvent};
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{Author, ContactChange, NewContact, Priority, Webhook, sign};
use trefoil_tests::{CLIENT_SECRET, CUSTOMERIO_ACTIONS_KEY, Deployment, PIPELINES_SECRET, Queue, SEGMENT_SECRET, Tool};

/// A customer. Every test has its own.
struct Person {
    /// Intercom's id.
    contact: String,
    /// Our own id, which Customer.io knows as well.
    user: String,
    email: String,
}

impl Person {
    /// A contact of whom Intercom's webhooks say no more than its id, until [`Person::logs_in`].
    fn bare(deployment: &Deployment, name: &str) -> Self {
        let (contact, _webhook_lost) = deployment.intercom.create_contact(NewContact::default());
        Self { contact, user: format!("user-{name}"), email: format!("{name}@example.com") }
    }

    /// The contact logs in; no webhook tells of it.
    fn logs_in(self, deployment: &Deployment) -> Self {
        let change = ContactChange { external_id: Some(self.user.clone()), email: Some(self.email.clone()), ..ContactChange::default() };
        deployment.intercom.update_contact(&self.contact, change).expect("a contact");
        self
    }

    fn gets_a_profile(self, deployment: &Deployment) -> Self {
        deployment.customerio.add_profile(Some(&self.user), Some(&self.email), &[]);
        self
    }

    /// Somebody whom both tools know.
    fn known(deployment: &Deployment, name: &str) -> Self {
        Self::bare(deployment, name).logs_in(deployment).gets_a_profile(deployment)
    }

    fn opens(&self, deployment: &Deployment, priority: Priority) -> (String, Webhook) {
        deployment.intercom.open_conversation(&self.contact, priority).expect("a contact")
    }

    fn id(&self) -> Identifier {
        Identifier::Id(self.user.clone())
    }

    /// An attribute of the profile, as Customer.io keeps it.
    fn attribute(&self, deployment: &Deployment, name: &str) -> Option<String> {
        deployment.customerio.profile(&self.id())?.text(name)
    }

    /// What Customer.io has of events of this name.
    fn events(&self, deployment: &Deployment, name: &str) -> Vec<StoredEvent> {
        let Some(profile) = deployment.customerio.profile(&self.id()) else { return Vec::new() };
        let events = deployment.customerio.events().into_iter();
        events.filter(|event| event.cio_id.as_ref() == Some(&profile.cio_id) && event.name == name).collect()
    }

    async fn until_attribute(&self, deployment: &Deployment, name: &str, expected: &str) {
        let what = format!("{name} is {expected} for {} at Customer.io", self.user);
        deployment.until(&what, async || (self.attribute(deployment, name)? == expected).then_some(())).await;
    }

    /// Waits for so many events, each with an id of its own.
    async fn until_events(&self, deployment: &Deployment, name: &str, count: usize) {
        let what = format!("{count} {name} of {} at Customer.io", self.user);
        deployment.until(&what, async || (self.events(deployment, name).len() >= count).then_some(())).await;
        self.assert_events(deployment, name, count);
    }

    fn assert_events(&self, deployment: &Deployment, name: &str, count: usize) {
        let events = self.events(deployment, name);
        let ids: BTreeSet<_> = events.iter().filter_map(|event| event.ulid.as_deref()).collect();
        assert_eq!((events.len(), ids.len()), (count, count), "{name} of {}: {events:#?}\n{}", self.user, deployment.logs());
    }
}

fn closed(deployment: &Deployment, conversation: &str) -> Webhook {
    deployment.intercom.close(conversation, Author::Admin).expect("a conversation")
}

#[test]
fn marketing_is_held_back_from_the_first_ticket_to_the_end_of_the_last() {
    Deployment::test(async |deployment| {
        let person = Person::bare(deployment, "ann");
        let (first, webhook) = person.opens(deployment, Priority::High);
        let person = person.logs_in(deployment).gets_a_profile(deployment);
        let body = String::from_utf8_lossy(&webhook.body);
        assert!(!body.contains(&person.user) && !body.contains(&person.email), "the webhook names a bare contact: {body}");

        deployment.deliver(&webhook).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
        person.until_events(deployment, "support_ticket_opened", 1).await;
        assert_eq!(person.attribute(deployment, "open_ticket_priority").as_deref(), Some("high"));
        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Hold(Hold::OpenTicket));
        let asked = deployment.intercom.journal().requests_to("/contacts/{id}");
        assert!(asked.iter().any(|request| request.path.ends_with(&person.contact) && request.accepted()), "{asked:?}");

        let (second, webhook) = person.opens(deployment, Priority::None);
        deployment.deliver(&webhook).await;
        person.until_attribute(deployment, "open_ticket_count", "2").await;
        deployment.deliver(&closed(deployment, &first)).await;
        person.until_attribute(deployment, "open_ticket_count", "1").await;
        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Hold(Hold::OpenTicket));
        deployment.deliver(&closed(deployment, &second)).await;
        person.until_attribute(deployment, "has_open_ticket", "false").await;
        person.until_events(deployment, "support_ticket_resolved", 2).await;

        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Send);
        // What was urgent holds back longer than the ticket is open.
        let expansion = deployment.customerio.would_send(&person.id(), "expansion");
        assert!(matches!(expansion, Decision::Hold(Hold::SuppressedUntil(_))), "{expansion:?}");
        person.assert_events(deployment, "support_ticket_opened", 2);
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn a_repeated_webhook_adds_nothing() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "ben");
        let (conversation, webhook) = person.opens(deployment, Priority::None);

        // SQS forgets its deduplication ids after five minutes: the same event, under another one.
        let paused = deployment.pause(Queue::Events);
        deployment.deliver(&webhook).await;
        let what = "the event waits in events.fifo";
        let (event, group) = deployment.until(what, async || deployment.waiting(Queue::Events, &person.contact).await).await;
        deployment.put(Queue::Events, &event, &group, "forgotten").await;
        deployment.put(Queue::Events, &event, "some other group", "forgotten").await;
        drop(paused);
        person.until_events(deployment, "support_ticket_opened", 1).await;

        // Intercom sends it again; whether the notification has the same id then, its pages do not say.
        deployment.deliver(&webhook).await;
        deployment.deliver(&deployment.intercom.redelivery(&webhook)).await;
        let mut renamed: Value = serde_json::from_slice(&webhook.body).expect("JSON");
        renamed["id"] = json!("notif_00000000-0000-4000-8000-000000000000");
        let renamed = renamed.to_string();
        let signature = sign(CLIENT_SECRET, renamed.as_bytes());
        assert_eq!(deployment.post(renamed, &signature).await, (200, String::new()));

        // Of one person, so behind the repeated ones: when it has arrived, whatever they do has been done.
        deployment.deliver(&closed(deployment, &conversation)).await;
        person.until_events(deployment, "support_ticket_resolved", 1).await;
        person.until_attribute(deployment, "has_open_ticket", "false").await;
        person.assert_events(deployment, "support_ticket_opened", 1);
        assert_eq!(person.attribute(deployment, "tickets_opened_30d").as_deref(), Some("1"));
        assert!(deployment.customerio.profiles().iter().all(|profile| profile.created_by == CreatedBy::Hand), "no profile was made");
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn a_poison_message_is_given_up_alone() {
    Deployment::test(async |deployment| {
        let poison = r#"{ "this is": "no event" }"#;
        let (before, after) = (Person::known(deployment, "cleo"), Person::known(deployment, "cora"));
        // All of it in one batch: in front of, behind, and between what one and two people did.
        let paused = deployment.pause(Queue::Events);
        deployment.put(Queue::Events, poison, "poisoned group", "poison").await;
        let (_, webhook) = before.opens(deployment, Priority::None);
        deployment.deliver(&webhook).await;
        let what = "the event waits in events.fifo";
        let (_, group) = deployment.until(what, async || deployment.waiting(Queue::Events, &before.contact).await).await;
        deployment.put(Queue::Events, poison, &group, "poison").await;
        for (person, priority) in [(&before, Priority::Low), (&after, Priority::None)] {
            let (_, webhook) = person.opens(deployment, priority);
            deployment.deliver(&webhook).await;
        }
        drop(paused);
        before.until_events(deployment, "support_ticket_opened", 2).await;
        after.until_events(deployment, "support_ticket_opened", 1).await;
        before.until_attribute(deployment, "open_ticket_count", "2").await;
        // Whatever was returned with the poison each time would end with it.
        let both = async || (deployment.dead_letters(Queue::Events).await.len() >= 2).then_some(());
        deployment.until("the poison messages are among the dead letters of events.fifo", both).await;
        let drained = async || (deployment.depth(Queue::Events).await == 0).then_some(());
        deployment.until("nothing is left in events.fifo", drained).await;
        assert_eq!(deployment.dead_letters(Queue::Events).await, [poison, poison]);
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn what_customerio_refuses_for_a_while_arrives_once() {
    Deployment::test(async |deployment| {
        let people = ["dan", "dora", "dirk"].map(|name| Person::known(deployment, name));
        let refused = || deployment.customerio.journal().counters().values().map(|counter| counter.refused).sum::<u64>();
        let before = refused();
        deployment.customerio.faults().set("", Fault::status(503), During::Always);
        for person in &people {
            let (conversation, webhook) = person.opens(deployment, Priority::None);
            deployment.deliver(&webhook).await;
            deployment.deliver(&closed(deployment, &conversation)).await;
            deployment.deliver(&person.opens(deployment, Priority::Urgent).1).await;
        }
        // Look-ups first; then they work, and writing does not.
        deployment.until("Customer.io has refused", async || (refused() >= before + 2).then_some(())).await;
        deployment.customerio.faults().clear();
        let before = refused();
        deployment.customerio.faults().set("/api/", Fault::status(503), During::Always);
        deployment.until("Customer.io has refused to be written to", async || (refused() >= before + 3).then_some(())).await;
        assert!(people.iter().all(|person| person.attribute(deployment, "has_open_ticket").is_none()), "nothing was written");
        deployment.customerio.faults().clear();

        for person in &people {
            person.until_attribute(deployment, "has_open_ticket", "true").await;
            person.until_events(deployment, "support_ticket_opened", 2).await;
            person.until_events(deployment, "support_ticket_resolved", 1).await;
            person.until_attribute(deployment, "open_ticket_priority", "urgent").await;
            assert_eq!(person.attribute(deployment, "open_ticket_count").as_deref(), Some("1"));
        }
        let queues = [Queue::Events, Queue::CustomerioState, Queue::Customerio, Queue::IntercomState, Queue::Intercom, Queue::SegmentOut];
        for queue in queues {
            let drained = async || (deployment.depth(queue).await == 0).then_some(());
            deployment.until(&format!("nothing is left in {queue:?}"), drained).await;
        }
        for person in &people {
            person.assert_events(deployment, "support_ticket_opened", 2);
            person.assert_events(deployment, "support_ticket_resolved", 1);
        }
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn a_profile_that_appears_later_gets_the_state() {
    Deployment::test(async |deployment| {
        let person = Person::bare(deployment, "eve").logs_in(deployment);
        // Events ask for the profile again and again by themselves; here it is about state, which waits for the scan.
        let paused = deployment.pause(Queue::Customerio);
        deployment.deliver(&person.opens(deployment, Priority::None).1).await;
        let asked = async || {
            let asked = deployment.customerio.journal().requests_to("/v1/customers/attributes");
            asked.iter().any(|request| String::from_utf8_lossy(&request.body).contains(&person.user)).then_some(())
        };
        deployment.until("Customer.io was asked for the profile", asked).await;
        for queue in [Queue::IntercomState, Queue::Events, Queue::CustomerioState] {
            let drained = async || (deployment.depth(queue).await == 0).then_some(());
            deployment.until(&format!("nothing is left in {queue:?}"), drained).await;
        }
        assert!(deployment.customerio.profile(&person.id()).is_none(), "nobody made the profile");

        let person = person.gets_a_profile(deployment);
        assert_eq!(person.attribute(deployment, "has_open_ticket"), None);
        deployment.scan_after(Duration::from_mins(5));
        person.until_attribute(deployment, "has_open_ticket", "true").await;
        drop(paused);
        person.until_events(deployment, "support_ticket_opened", 1).await;
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn segment_is_told_of_the_open_ticket_as_well() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "gus");
        let is_told = async |expected: bool| {
            let known = async || (deployment.segment.profile(&person.user)?.traits.get("has_open_ticket")? == expected).then_some(());
            deployment.until(&format!("has_open_ticket is {expected} for {} at Segment", person.user), known).await;
        };
        let (conversation, webhook) = person.opens(deployment, Priority::None);
        deployment.deliver(&webhook).await;
        is_told(true).await;
        deployment.deliver(&closed(deployment, &conversation)).await;
        is_told(false).await;
        assert!(deployment.segment.lost().is_empty(), "{:?}", deployment.segment.lost());
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn a_webhook_with_a_bad_signature_is_refused_and_says_nothing() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "finn");
        let (_, forged) = person.opens(deployment, Priority::None);
        let (_, genuine) = person.opens(deployment, Priority::None);
        let bare = forged.signature.replace("sha1=", "");
        for bad in [genuine.signature.as_str(), &bare, "sha1=", "", &sign("another-secret-of-theirs", &forged.body)] {
            assert_eq!(deployment.post(forged.body.clone(), bad).await, (401, String::new()), "signature {bad:?}");
        }
        // The forged conversation would be in front of this one, and count as well.
        deployment.deliver(&genuine).await;
        person.until_events(deployment, "support_ticket_opened", 1).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
        assert_eq!(person.attribute(deployment, "open_ticket_count").as_deref(), Some("1"));
    });
}

#[test]
fn nonsense_with_a_good_signature_is_kept() {
    Deployment::test(async |deployment| {
        let nonsense = r#"{"type": "notification_event", "topic": "conversation.user.created", "data": {"item": 7}}"#;
        // Intercom may deliver it twice; that is one thing to look at.
        for _ in 0..2 {
            let answer = deployment.post(nonsense, &sign(CLIENT_SECRET, nonsense.as_bytes())).await;
            assert_eq!(answer, (200, String::new()));
        }
        let parked = deployment.parked().await;
        assert_eq!(parked.len(), 1, "{parked:?}");
    });
}

#[test]
fn intercom_can_check_the_address() {
    Deployment::test(async |deployment| assert_eq!(deployment.head().await, 200));
}

/// As Segment and Customer.io's pipelines sign.
fn segment_signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn customerio_signature(key: &str, sent_at: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key will do");
    mac.update(format!("v0:{sent_at}:").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// When Customer.io says that it sent.
const SENT_AT: &str = "1768033000";

/// A webhook of Customer.io's, which must be taken.
async fn customerio_tells(deployment: &Deployment, body: &str) {
    let signature = customerio_signature(CUSTOMERIO_ACTIONS_KEY, SENT_AT, body.as_bytes());
    let headers = [("x-cio-timestamp", SENT_AT), ("x-cio-signature", signature.as_str())];
    assert_eq!(deployment.post_to(Tool::Customerio, &headers, body.to_owned()).await, (200, String::new()));
}

/// Who has no address at Customer.io, and no user id in Intercom: only a third source can say that they are one.
fn known_by_address_alone(deployment: &Deployment, name: &str) -> Person {
    let email = format!("{name}@example.com");
    let new = NewContact { email: Some(email.clone()), ..NewContact::default() };
    let (contact, _webhook_lost) = deployment.intercom.create_contact(new);
    let person = Person { contact, user: format!("user-{name}"), email };
    deployment.customerio.add_profile(Some(&person.user), None, &[]);
    person
}

fn identify(person: &Person) -> Value {
    let at = "2026-01-10T08:00:00Z";
    json!({"type": "identify", "messageId": format!("m-{}", person.user), "userId": person.user, "timestamp": at, "traits": {"email": person.email}})
}

#[test]
fn segment_tells_whose_address_it_is() {
    Deployment::test(async |deployment| {
        for (name, secret) in [("gina", SEGMENT_SECRET), ("hugo", PIPELINES_SECRET)] {
            let person = known_by_address_alone(deployment, name);
            let body = identify(&person).to_string();
            let forged = segment_signature("another-secret-of-theirs", body.as_bytes());
            assert_eq!(deployment.post_to(Tool::Segment, &[("x-signature", &forged)], body.clone()).await, (401, String::new()));
            let signature = segment_signature(secret, body.as_bytes());
            assert_eq!(deployment.post_to(Tool::Segment, &[("x-signature", &signature)], body).await, (200, String::new()));
            deployment.deliver(&person.opens(deployment, Priority::None).1).await;
            person.until_attribute(deployment, "has_open_ticket", "true").await;
            person.until_events(deployment, "support_ticket_opened", 1).await;
        }
    });
}

#[test]
fn segment_comes_in_by_event_bridge_too() {
    Deployment::test(async |deployment| {
        let person = known_by_address_alone(deployment, "ines");
        let envelope = json!({
            "version": "0", "id": "e1", "detail-type": "identify", "source": "aws.partner/segment.com/abc123", "account": "000000000000",
            "time": "2026-01-10T08:00:00Z", "region": "us-east-1", "resources": [], "detail": identify(&person)
        });
        deployment.put_from_event_bridge(&envelope.to_string()).await;
        deployment.deliver(&person.opens(deployment, Priority::None).1).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
    });
}

#[test]
fn customerio_tells_which_profile_it_is() {
    Deployment::test(async |deployment| {
        let person = known_by_address_alone(deployment, "jana");
        let cio_id = deployment.customerio.profile(&person.id()).expect("a profile").cio_id;
        let body = json!({
            "schema": "cio-sync/1", "type": "segment.entered", "event_id": "delivery-of-jana", "occurred_at": 1_768_032_990,
            "person": {"id": "", "email": person.email, "cio_id": cio_id}, "segment": {"id": 42, "name": "At risk"}
        });
        let body = body.to_string();
        let forged = customerio_signature("another-key-of-theirs", SENT_AT, body.as_bytes());
        let headers = [("x-cio-timestamp", SENT_AT), ("x-cio-signature", forged.as_str())];
        assert_eq!(deployment.post_to(Tool::Customerio, &headers, body.clone()).await, (401, String::new()));
        customerio_tells(deployment, &body).await;
        deployment.deliver(&person.opens(deployment, Priority::None).1).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
    });
}

#[test]
fn what_customerio_tells_is_written_to_intercom_once() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "kurt");
        let cio_id = deployment.customerio.profile(&person.id()).expect("a profile").cio_id;
        let ids = json!({"id": person.user, "email": person.email, "cio_id": cio_id});
        let churn_risk = json!({
            "schema": "cio-sync/1", "type": "churn_risk", "event_id": "delivery-of-kurt", "occurred_at": 1_768_032_990, "person": ids,
            "reason": "no login for 30 days"
        });
        let clicked = |event: &str, machine: bool| {
            json!({
                "event_id": event, "object_type": "email", "metric": "clicked", "timestamp": 1_768_032_990,
                "data": {"identifiers": ids, "delivery_id": event, "campaign_id": 23, "href": "https://example.com/upgrade", "machine": machine}
            })
        };
        // The last of them is behind the others, so that whatever comes of a scanner's click or of a repeat has come before it.
        let told = [churn_risk.clone(), churn_risk, clicked("first", false), clicked("scanner", true), clicked("second", false)];
        for body in &told {
            customerio_tells(deployment, &body.to_string()).await;
        }
        let events = || deployment.intercom.events(&person.contact);
        deployment.until("both clicks at Intercom", async || (events().len() >= 2).then_some(())).await;
        let contact = deployment.intercom.contact(&person.contact).expect("a contact");
        assert_eq!(contact.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["churn-risk"], "{}", deployment.logs());
        let notes: Vec<_> = contact.notes.iter().map(|note| note.body.as_str()).collect();
        assert_eq!(notes, ["Customer.io sees a risk of churn: no login for 30 days"], "{}", deployment.logs());
        let seen: Vec<_> = events().into_iter().map(|event| (event.name, event.metadata["delivery_id"].clone())).collect();
        assert_eq!(seen, ["first", "second"].map(|delivery| ("campaign_23".to_owned(), json!(delivery))));
        deployment.assert_nothing_was_given_up().await;
    });
}
