//! What goes wrong for a while, or for good.

use crate::person::{Person, closed};
use std::time::Duration;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::Priority;
use trefoil_tests::{Deployment, Queue};

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
        deployment.until_drained(&[Queue::Events]).await;
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
            person.until_attribute(deployment, "open_ticket_count", "1").await;
        }
        let queues = [Queue::Events, Queue::CustomerioState, Queue::Customerio, Queue::IntercomState, Queue::Intercom, Queue::SegmentOut];
        deployment.until_drained(&queues).await;
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
        deployment.until_drained(&[Queue::IntercomState, Queue::Events, Queue::CustomerioState]).await;
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
