//! Who is let in, and what is kept that cannot be used.

use crate::person::Person;
use trefoil_standins::intercom::{Priority, sign};
use trefoil_tests::{CLIENT_SECRET, Deployment};

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
