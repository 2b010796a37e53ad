//! What the queues must do. Receiving is no port, since on AWS Lambda does it; [`Receiver`] is what both can do here.

use trefoil_domain::ports::{Delivery, Disposition, Message, Queue, QueueName};
use trefoil_domain::time::Span;

const EVENTS: QueueName = QueueName::Events;
/// As long as no test takes, even on a busy machine.
const LONG: Span = Span::from_mins(60);
/// The shortest that SQS knows.
const SHORT: Span = Span::from_secs(1);

/// How often a message is received in these tests before it is a dead letter.
pub(crate) const MAX_RECEIVE_COUNT: u32 = 2;

/// The receiving side of a queue.
pub(crate) trait Receiver: Queue {
    /// What is there now.
    async fn receive(&self, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery>;
    /// What is there once `after` has passed.
    async fn receive_after(&self, after: Span, queue: QueueName, max: usize, visibility: Span) -> Vec<Delivery>;
    async fn settle(&self, queue: QueueName, settled: Vec<(String, Disposition)>);
    /// How many dead letters there are.
    async fn dead(&self, queue: QueueName) -> u64;
}

fn message(group: &str, text: &str) -> Message {
    Message { body: text.to_owned(), group: group.to_owned(), dedup: text.to_owned() }
}

async fn send(queue: &impl Receiver, messages: Vec<Message>) {
    queue.send(EVENTS, messages).await.expect("the queue accepts");
}

fn bodies(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.body.as_str()).collect()
}

async fn delete(queue: &impl Receiver, deliveries: &[Delivery]) {
    queue.settle(EVENTS, deliveries.iter().map(|delivery| (delivery.id.clone(), Disposition::Delete)).collect()).await;
}

pub(crate) async fn a_group_comes_in_order(queue: impl Receiver) {
    let texts: Vec<String> = (0..12).map(|n| format!("m{n:02}")).collect();
    send(&queue, texts.iter().map(|text| message("a", text)).collect()).await;
    let first = queue.receive(EVENTS, 10, LONG).await;
    assert_eq!(bodies(&first), texts[..10]);
    assert!(first.iter().all(|delivery| delivery.group == "a" && delivery.receive_count == 1));
    delete(&queue, &first).await;
    let second = queue.receive(EVENTS, 10, LONG).await;
    assert_eq!(bodies(&second), texts[10..]);
    delete(&queue, &second).await;
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, []);
}

pub(crate) async fn a_group_is_locked_while_one_of_it_is_in_flight(queue: impl Receiver) {
    send(&queue, vec![message("a", "a1"), message("a", "a2"), message("a", "a3")]).await;
    let held = queue.receive(EVENTS, 2, LONG).await;
    assert_eq!(bodies(&held), ["a1", "a2"]);
    send(&queue, vec![message("a", "a4"), message("b", "b1")]).await;
    let other = queue.receive(EVENTS, 10, LONG).await;
    assert_eq!(bodies(&other), ["b1"]);
    delete(&queue, &held[..1]).await;
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, [], "a2 is still in flight");
    delete(&queue, &held[1..]).await;
    assert_eq!(bodies(&queue.receive(EVENTS, 10, LONG).await), ["a3", "a4"]);
}

pub(crate) async fn one_receive_may_bring_several_groups(queue: impl Receiver) {
    send(&queue, vec![message("a", "a1"), message("b", "b1"), message("a", "a2"), message("c", "c1"), message("b", "b2")]).await;
    let mut received = Vec::new();
    // How they are cut into batches is the queue's business.
    for _ in 0..5 {
        received.extend(queue.receive(EVENTS, 10, LONG).await);
    }
    let of = |group: &str| received.iter().filter(|delivery| delivery.group == group).map(|d| d.body.as_str()).collect::<Vec<_>>();
    assert_eq!((of("a"), of("b"), of("c")), (vec!["a1", "a2"], vec!["b1", "b2"], vec!["c1"]));
    let mut ids: Vec<&str> = received.iter().map(|delivery| delivery.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "each delivery has its own id");
}

pub(crate) async fn a_repeat_within_a_group_is_dropped_even_after_delete(queue: impl Receiver) {
    let named = |group: &str, body: &str| Message { body: body.to_owned(), group: group.to_owned(), dedup: "same".to_owned() };
    send(&queue, vec![named("a", "first"), named("a", "repeat"), named("b", "other group")]).await;
    send(&queue, vec![named("a", "later repeat")]).await;
    let mut received = queue.receive(EVENTS, 10, LONG).await;
    received.extend(queue.receive(EVENTS, 10, LONG).await);
    received.sort_by(|a, b| a.group.cmp(&b.group));
    assert_eq!(bodies(&received), ["first", "other group"]);
    delete(&queue, &received).await;
    send(&queue, vec![named("a", "repeat after delete"), message("a", "new")]).await;
    assert_eq!(bodies(&queue.receive(EVENTS, 10, LONG).await), ["new"]);
}

pub(crate) async fn what_is_not_settled_comes_back(queue: impl Receiver) {
    send(&queue, vec![message("held", "1"), message("held", "2")]).await;
    assert_eq!(bodies(&queue.receive(EVENTS, 10, LONG).await), ["1", "2"]);
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, [], "its time has not passed");
    send(&queue, vec![message("a", "a1"), message("a", "a2")]).await;
    assert_eq!(bodies(&queue.receive(EVENTS, 10, SHORT).await), ["a1", "a2"]);
    let again = queue.receive_after(SHORT, EVENTS, 10, LONG).await;
    assert_eq!(bodies(&again), ["a1", "a2"]);
    assert!(again.iter().all(|delivery| delivery.receive_count == 2));
}

pub(crate) async fn a_stale_receipt_changes_nothing(queue: impl Receiver) {
    send(&queue, vec![message("a", "a1")]).await;
    let stale = queue.receive(EVENTS, 10, SHORT).await;
    let current = queue.receive_after(SHORT, EVENTS, 10, LONG).await;
    assert_eq!(bodies(&current), ["a1"]);
    queue.settle(EVENTS, vec![(stale[0].id.clone(), Disposition::Retry(Span::ZERO))]).await;
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, [], "the current receive still holds it");
    // Given back by its holder and received once more it would be the third time: it is there, and dead.
    queue.settle(EVENTS, vec![(current[0].id.clone(), Disposition::Retry(Span::ZERO))]).await;
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, []);
    assert_eq!(queue.dead(EVENTS).await, 1);
}

pub(crate) async fn what_is_given_back_comes_after_its_delay(queue: impl Receiver) {
    send(&queue, vec![message("late", "1"), message("late", "2")]).await;
    let received = queue.receive(EVENTS, 1, LONG).await;
    queue.settle(EVENTS, vec![(received[0].id.clone(), Disposition::Retry(LONG))]).await;
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, [], "the group waits with it");
    send(&queue, vec![message("a", "a1"), message("a", "a2")]).await;
    let received = queue.receive(EVENTS, 1, LONG).await;
    queue.settle(EVENTS, vec![(received[0].id.clone(), Disposition::Retry(SHORT))]).await;
    let again = queue.receive_after(SHORT, EVENTS, 10, LONG).await;
    assert_eq!(bodies(&again), ["a1", "a2"]);
    assert_eq!(again.iter().map(|delivery| delivery.receive_count).collect::<Vec<_>>(), [2, 1]);
}

pub(crate) async fn what_is_received_too_often_is_a_dead_letter(queue: impl Receiver) {
    send(&queue, vec![message("a", "poison"), message("a", "next"), message("b", "other")]).await;
    let mut seen = 0;
    let mut rest = Vec::new();
    for _ in 0..10 {
        for delivery in queue.receive(EVENTS, 1, LONG).await {
            if delivery.body == "poison" {
                seen += 1;
                assert_eq!(delivery.receive_count, seen);
                queue.settle(EVENTS, vec![(delivery.id, Disposition::Retry(Span::ZERO))]).await;
            } else {
                delete(&queue, std::slice::from_ref(&delivery)).await;
                rest.push(delivery.body);
            }
        }
    }
    rest.sort_unstable();
    assert_eq!(seen, MAX_RECEIVE_COUNT);
    assert_eq!(rest, ["next", "other"], "the group goes on without it");
    assert_eq!(queue.dead(EVENTS).await, 1);
}

pub(crate) async fn any_json_can_be_sent(queue: impl Receiver) {
    let value = serde_json::json!({"text": "a\u{FFFE}b\u{FFFF}c\u{0}d\u{1F980}\n'\"\\"});
    send(&queue, vec![Message::json(&value, "a".to_owned(), "1".to_owned()).expect("JSON")]).await;
    let received = queue.receive(EVENTS, 10, LONG).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&received[0].body).expect("JSON"), value);
}

pub(crate) async fn queues_do_not_mix(queue: impl Receiver) {
    send(&queue, vec![message("a", "event")]).await;
    queue.send(QueueName::Customerio, vec![message("a", "event")]).await.expect("the queue accepts");
    queue.send(QueueName::Intercom, Vec::new()).await.expect("nothing to send is no error");
    let events = queue.receive(EVENTS, 10, LONG).await;
    let jobs = queue.receive(QueueName::Customerio, 10, LONG).await;
    assert_eq!((bodies(&events), bodies(&jobs)), (vec!["event"], vec!["event"]));
    queue.settle(QueueName::Customerio, vec![(events[0].id.clone(), Disposition::Delete)]).await;
    assert_eq!(queue.receive(QueueName::Intercom, 10, LONG).await, []);
    assert_eq!(queue.receive(EVENTS, 10, LONG).await, []);
}
