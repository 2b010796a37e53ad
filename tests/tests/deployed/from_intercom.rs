//! What happens in Intercom, told to Customer.io and to Segment.

use crate::person::{Person, closed};
use serde_json::{Value, json};
use trefoil_standins::customerio::{CreatedBy, Decision, Hold};
use trefoil_standins::intercom::{Priority, sign};
use trefoil_tests::{CLIENT_SECRET, Deployment, Queue};

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
        person.until_events(deployment, "support_ticket_opened", 2).await;

        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Send);
        // What was urgent holds back longer than the ticket is open.
        let expansion = deployment.customerio.would_send(&person.id(), "expansion");
        assert!(matches!(expansion, Decision::Hold(Hold::SuppressedUntil(_))), "{expansion:?}");
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
        let made_by: Vec<_> = person.profiles(deployment).iter().map(|profile| profile.created_by).collect();
        assert_eq!((made_by, deployment.customerio.profile_created_by_accident()), (vec![CreatedBy::Hand], false), "no profile was made");
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn segment_is_told_of_the_open_ticket_as_well() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "gus");
        let (conversation, webhook) = person.opens(deployment, Priority::High);
        deployment.deliver(&webhook).await;
        person.until_trait(deployment, "has_open_ticket", true).await;
        deployment.deliver(&closed(deployment, &conversation)).await;
        person.until_trait(deployment, "has_open_ticket", false).await;
        let names = ["Live Chat Conversation Started", "Support Ticket Opened", "Live Chat Conversation Ended", "Support Ticket Resolved"];
        let told = async || names.iter().all(|name| !person.events_at_segment(deployment, name).is_empty()).then_some(());
        deployment.until("the conversation from its beginning to its end at Segment", told).await;
        for name in names {
            let events = person.events_at_segment(deployment, name);
            let ids: Vec<_> = events.iter().map(|event| ["conversation_id", "ticket_id"].map(|key| event.properties.get(key))).collect();
            let expected = Some(&json!(conversation));
            let expected = if name.starts_with("Support") { [None, expected] } else { [expected, None] };
            assert_eq!(ids, [expected], "{name}: {events:#?}");
        }
        assert_eq!(person.events_at_segment(deployment, "Support Ticket Opened")[0].properties["priority"], "high");

        // Segment tells the function of all that was written there, and nothing comes of it.
        let echoes = deployment.deliver_from_segment().await;
        assert!(echoes.iter().any(|echo| echo.json()["userId"] == person.user), "{echoes:?}");
        let (_, webhook) = person.opens(deployment, Priority::None);
        deployment.deliver(&webhook).await;
        person.until_trait(deployment, "has_open_ticket", true).await;
        person.until_events(deployment, "support_ticket_opened", 2).await;
        assert_eq!(person.events_at_segment(deployment, "Support Ticket Resolved").len(), 1);
        assert!(deployment.segment.lost().is_empty(), "{:?}", deployment.segment.lost());
        deployment.assert_nothing_was_given_up().await;
    });
}
