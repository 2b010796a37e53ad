//! The road of an event through the deployed product, from Intercom's webhook to Customer.io.

use trefoil_tests::webhooks::{Moment, Person, conversation, signature};
use trefoil_tests::{Deployment, Queue};

/// A person whom Intercom knows.
fn known(deployment: &Deployment, number: u32) -> Person {
    let person = Person::new(number);
    deployment.intercom.has(person.contact());
    person
}

async fn send(deployment: &Deployment, person: &Person, moment: Moment) {
    let body = conversation(person, 1, moment);
    let (status, text) = deployment.intercom_sends(&body, &signature(&body)).await;
    assert_eq!(status, 200, "{text}\n{}", deployment.logs());
}

async fn until_has_open_ticket(deployment: &Deployment, person: &Person, expected: bool) {
    let what = format!("has_open_ticket is {expected} for {} at Customer.io", person.user);
    let state = async || (deployment.customerio.attribute(&person.user, "has_open_ticket")? == expected).then_some(());
    deployment.until(&what, state).await;
}

async fn until_event(deployment: &Deployment, person: &Person, name: &str) {
    let what = format!("{name} of {} at Customer.io", person.user);
    deployment.until(&what, async || (!deployment.customerio.events(&person.user, name).is_empty()).then_some(())).await;
}

#[test]
fn an_opened_ticket_holds_marketing_back_and_is_told_of() {
    Deployment::test(async |deployment| {
        let person = known(deployment, 1);
        send(deployment, &person, Moment::Opened).await;
        until_has_open_ticket(deployment, &person, true).await;
        until_event(deployment, &person, "support_ticket_opened").await;
    });
}

#[test]
fn a_repeated_webhook_adds_nothing() {
    Deployment::test(async |deployment| {
        let person = known(deployment, 2);
        send(deployment, &person, Moment::Opened).await;
        until_event(deployment, &person, "support_ticket_opened").await;
        send(deployment, &person, Moment::Opened).await;
        // Of one person, so behind the repeated one: when it has arrived, whatever the repeated one does has been done.
        send(deployment, &person, Moment::Closed).await;
        until_event(deployment, &person, "support_ticket_resolved").await;
        until_has_open_ticket(deployment, &person, false).await;
        assert_eq!(deployment.customerio.events(&person.user, "support_ticket_opened").len(), 1, "{}", deployment.logs());
    });
}

#[test]
fn a_poison_message_is_given_up_and_its_neighbours_go_through() {
    Deployment::test(async |deployment| {
        let poison = r#"{ "this is": "no event" }"#;
        deployment.put(Queue::Events, poison, "poisoned group", "poison").await;
        let person = known(deployment, 3);
        send(deployment, &person, Moment::Opened).await;
        until_has_open_ticket(deployment, &person, true).await;
        let given_up = async || deployment.dead_letters(Queue::Events).await.iter().any(|body| body == poison).then_some(());
        deployment.until("the poison message is among the dead letters of events.fifo", given_up).await;
        assert_eq!(deployment.dead_letters(Queue::Events).await, [poison], "only the poison message was given up");
    });
}

#[test]
fn what_customerio_refuses_for_a_while_arrives_once() {
    Deployment::test(async |deployment| {
        let person = known(deployment, 4);
        deployment.customerio.refuse(&person.user, 3);
        send(deployment, &person, Moment::Opened).await;
        until_has_open_ticket(deployment, &person, true).await;
        until_event(deployment, &person, "support_ticket_opened").await;
        assert_eq!(deployment.customerio.refusals_left(&person.user), 0);
        assert_eq!(deployment.customerio.events(&person.user, "support_ticket_opened").len(), 1, "{}", deployment.logs());
        assert_eq!(deployment.dead_letters(Queue::Customerio).await, [""; 0]);
        assert_eq!(deployment.dead_letters(Queue::CustomerioState).await, [""; 0]);
    });
}

#[test]
fn a_webhook_with_a_bad_signature_is_refused_and_says_nothing() {
    Deployment::test(async |deployment| {
        let person = known(deployment, 5);
        let forged = conversation(&person, 2, Moment::Opened);
        let other = signature(&conversation(&person, 1, Moment::Opened));
        for bad in [other, signature(&forged).replace("sha1=", ""), "sha1=".to_owned(), String::new()] {
            assert_eq!(deployment.intercom_sends(&forged, &bad).await, (401, String::new()), "signature {bad:?}");
        }
        // The forged conversation would be in front of this one, and count as well.
        send(deployment, &person, Moment::Opened).await;
        until_event(deployment, &person, "support_ticket_opened").await;
        until_has_open_ticket(deployment, &person, true).await;
        assert_eq!(deployment.customerio.events(&person.user, "support_ticket_opened").len(), 1);
        assert_eq!(deployment.customerio.attribute(&person.user, "open_ticket_count"), Some(1.into()));
    });
}

#[test]
fn intercom_can_check_the_address() {
    Deployment::test(async |deployment| assert_eq!(deployment.intercom_asks_head().await, 200));
}
