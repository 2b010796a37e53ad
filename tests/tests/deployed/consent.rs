//! Who opts out in one tool is out in all of them, and no echo of it starts anything anew.

use crate::person::Person;
use trefoil_standins::customerio::{Decision, Hold};
use trefoil_standins::intercom::Priority;
use trefoil_standins::segment::Message;
use trefoil_tests::Deployment;

/// How often Segment was told that this person is out.
fn told_at_segment(deployment: &Deployment, person: &Person) -> usize {
    let is_out = |message: &&Message| message.text("userId") == Some(&person.user) && message.json["traits"]["unsubscribed"] == true;
    let messages = deployment.segment.messages();
    messages.iter().filter(|message| message.json.contains_key("traits")).filter(is_out).count()
}

/// Intercom tells of all that the product did to this contact.
async fn intercom_echoes(deployment: &Deployment, person: &Person) -> usize {
    let told = deployment.intercom.take_webhooks().into_iter();
    let told: Vec<_> = told.filter(|webhook| String::from_utf8_lossy(&webhook.body).contains(&person.contact)).collect();
    for webhook in &told {
        deployment.deliver(webhook).await;
    }
    told.len()
}

/// A fact that comes behind everything else about this person, and reaches both of the other tools.
async fn until_all_has_come(deployment: &Deployment, person: &Person) {
    deployment.deliver(&person.opens(deployment, Priority::None).1).await;
    person.until_attribute(deployment, "has_open_ticket", "true").await;
    person.until_trait(deployment, "has_open_ticket", true).await;
}

#[test]
fn who_unsubscribes_at_customerio_is_out_everywhere() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "otto");
        assert!(!person.at_intercom(deployment).unsubscribed_from_emails);
        let webhooks = deployment.customerio.unsubscribe(&person.cio_id(deployment)).expect("a profile");
        assert_eq!(webhooks.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), ["customer_unsubscribed"]);
        deployment.deliver_from_customerio(&webhooks).await;
        let is_out = async || person.at_intercom(deployment).unsubscribed_from_emails.then_some(());
        deployment.until("the contact is out of e-mail at Intercom", is_out).await;
        person.until_trait(deployment, "unsubscribed", true).await;

        assert!(intercom_echoes(deployment, &person).await >= 1, "Intercom tells of it");
        deployment.deliver_from_segment().await;
        until_all_has_come(deployment, &person).await;
        assert_eq!(told_at_segment(deployment, &person), 1);
        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Hold(Hold::Unsubscribed));
        assert!(person.at_intercom(deployment).unsubscribed_from_emails);
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn who_unsubscribes_in_intercom_is_out_everywhere() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "petra");
        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Send);
        let webhook = deployment.intercom.unsubscribe(&person.contact).expect("a contact");
        deployment.deliver(&webhook).await;
        person.until_attribute(deployment, "unsubscribed", "true").await;
        assert_eq!(deployment.customerio.would_send(&person.id(), "renewal"), Decision::Hold(Hold::Unsubscribed));
        person.until_trait(deployment, "unsubscribed", true).await;

        let told = deployment.customerio.take_webhooks().into_iter();
        let told: Vec<_> = told.filter(|webhook| String::from_utf8_lossy(&webhook.body).contains(&person.user)).collect();
        assert!(told.iter().any(|webhook| webhook.name == "customer_unsubscribed"), "Customer.io tells of it: {told:?}");
        deployment.deliver_from_customerio(&told).await;
        deployment.deliver_from_segment().await;
        until_all_has_come(deployment, &person).await;
        assert_eq!(told_at_segment(deployment, &person), 1);
        assert_eq!(person.attribute(deployment, "unsubscribed").as_deref(), Some("true"));
        deployment.assert_nothing_was_given_up().await;
    });
}
