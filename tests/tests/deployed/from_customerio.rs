//! What Customer.io reports and what its campaigns find, told to Intercom and to Segment.

use crate::person::Person;
use serde_json::json;
use trefoil_standins::customerio::{Channel, Message, SentBy, Webhook, sign};
use trefoil_standins::intercom::Priority;
use trefoil_tests::{CUSTOMERIO_ACTIONS_KEY, Deployment, Tool};

/// Somebody, or a scanner of mail, clicks in a mail of this campaign.
fn clicks(deployment: &Deployment, person: &Person, campaign_id: u64, delivery: &str, machine: bool) -> Vec<Webhook> {
    let message = Message {
        sent_by: SentBy::Campaign { campaign_id, action_id: 96, trigger_event_id: None },
        delivery_id: Some(delivery.to_owned()),
        subject: Some("More seats".to_owned()),
        href: Some("https://example.com/upgrade".to_owned()),
        link_id: Some(3),
        machine: Some(machine),
        ..Message::default()
    };
    deployment.customerio.metric(&person.cio_id(deployment), Channel::Email, "clicked", &message)
}

#[test]
fn customerio_tells_which_profile_it_is() {
    Deployment::test(async |deployment| {
        let person = Person::known_by_address_alone(deployment, "jana");
        let body = json!({
            "schema": "cio-sync/1", "type": "segment.entered", "event_id": "delivery-of-jana", "occurred_at": 1_768_032_990,
            "person": {"id": "", "email": person.email, "cio_id": person.cio_id(deployment)}, "segment": {"id": 42, "name": "At risk"}
        });
        let (body, sent_at) = (body.to_string(), 1_768_033_000);
        for (key, status) in [("another-key-of-theirs", 401), (CUSTOMERIO_ACTIONS_KEY, 200)] {
            let (signature, sent_at) = (sign(key, sent_at, body.as_bytes()), sent_at.to_string());
            let headers = [("x-cio-timestamp", sent_at.as_str()), ("x-cio-signature", signature.as_str())];
            assert_eq!(deployment.post_to(Tool::Customerio, &headers, body.clone()).await, (status, String::new()));
        }
        deployment.deliver(&person.opens(deployment, Priority::None).1).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
    });
}

#[test]
fn what_customerio_tells_is_written_to_intercom_once() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "kurt");
        let churn_risk = deployment.customerio.churn_risk(&person.cio_id(deployment), "no login for 30 days").expect("a profile");
        deployment.deliver_from_customerio(&[churn_risk.clone(), churn_risk].concat()).await;
        // The last of them is behind the others, so that whatever comes of a scanner's click or of a repeat has come before it.
        for (delivery, machine) in [("first", false), ("scanner", true), ("second", false)] {
            deployment.deliver_from_customerio(&clicks(deployment, &person, 23, delivery, machine)).await;
        }
        let events = || deployment.intercom.events(&person.contact);
        deployment.until("both clicks at Intercom", async || (events().len() >= 2).then_some(())).await;
        // In another lane than the clicks.
        let marked = async || Some(person.at_intercom(deployment)).filter(|contact| !contact.tags.is_empty() && !contact.notes.is_empty());
        let contact = deployment.until("the risk of churn at Intercom", marked).await;
        assert_eq!(contact.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["churn-risk"], "{}", deployment.logs());
        let notes: Vec<_> = contact.notes.iter().map(|note| note.body.as_str()).collect();
        assert_eq!(notes, ["Customer.io sees a risk of churn: no login for 30 days"], "{}", deployment.logs());
        // Neither of two events has to come before the other.
        let mut seen: Vec<_> = events().into_iter().map(|event| (event.name, event.metadata["delivery_id"].to_string())).collect();
        seen.sort_unstable();
        assert_eq!(seen, ["first", "second"].map(|delivery| ("campaign_23".to_owned(), json!(delivery).to_string())));
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn a_mail_that_was_clicked_is_told_to_segment_once() {
    Deployment::test(async |deployment| {
        let [person, other] = ["lena", "lutz"].map(|name| Person::known(deployment, name));
        let first = clicks(deployment, &person, 24, "first-of-lena", false);
        // What was not answered in time comes again; the workspace signs it anew.
        let again: Vec<Webhook> = first.iter().map(|webhook| deployment.customerio.redelivery(webhook)).collect();
        let scanner = clicks(deployment, &person, 24, "scanner-of-lena", true);
        let others = clicks(deployment, &other, 24, "first-of-lutz", false);
        let second = clicks(deployment, &person, 24, "second-of-lena", false);
        deployment.deliver_from_customerio(&[first, again, scanner, others, second].concat()).await;

        let name = "Email Link Clicked";
        let all = async || {
            let [hers, his] = [(&person, 2), (&other, 1)].map(|(who, count)| who.events_at_segment(deployment, name).len() >= count);
            (hers && his).then_some(())
        };
        deployment.until("the clicks at Segment", all).await;
        for (who, deliveries) in [(&person, ["first-of-lena", "second-of-lena"].as_slice()), (&other, &["first-of-lutz"])] {
            let events = who.events_at_segment(deployment, name);
            // Neither of two events has to come before the other.
            let mut ids: Vec<_> = events.iter().filter_map(|event| event.properties["email_id"].as_str()).collect();
            ids.sort_unstable();
            assert_eq!(ids, deliveries, "{}: {events:#?}\n{}", who.user, deployment.logs());
            for event in &events {
                let said = ["campaign_id", "email_subject", "link_url"].map(|key| event.properties.get(key).cloned());
                assert_eq!(said, ["24", "More seats", "https://example.com/upgrade"].map(|value| Some(json!(value))), "{event:#?}");
            }
        }
        assert!(deployment.segment.lost().is_empty(), "{:?}", deployment.segment.lost());
        deployment.assert_nothing_was_given_up().await;
    });
}
