//! Customer.io is down, and the process is killed on top of it.

use crate::process::PATIENCE;
use crate::stage::Stage;
use crate::world::World;
use std::collections::BTreeSet;
use std::time::Duration;
use trefoil_standins::customerio;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{self, Webhook};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let stage = Stage::new(intercom::Variants::default(), customerio::Variants::seeded(2)).await;
    let world = World::of(77, &stage);
    let third = world.webhooks.len() / 3;
    let (before, rest) = world.webhooks.split_at(third);
    let (during, after) = rest.split_at(third);
    let refused = || {
        let journal = stage.customerio.journal();
        journal.counter("/api/v2/batch").refused + journal.counter("/api/v2/entity").refused
    };

    stage.customerio.faults().set("/api/", Fault::Answer { status: 503, wait: Some(Duration::from_secs(1)) }, During::Always);
    let serve = stage.serve().await;
    let url = serve.url();
    assert_eq!(stage.deliver(&url, before).await.len(), 0);
    stage.customerio.wait_until(PATIENCE, |_| refused() > 0).await.expect("the outage is noticed");
    // The first few are under way by now; most are never answered.
    let (unanswered, ()) = tokio::join!(stage.deliver(&url, during), async { serve.kill() });
    assert!(!unanswered.is_empty());
    assert_eq!(stage.customerio.event_count(), 0);

    let serve = stage.serve().await;
    let already = refused();
    let url = serve.url();
    let again: Vec<Webhook> = unanswered.iter().map(|webhook| stage.intercom.redelivery(webhook)).collect();
    let (still_down, failed, failed_again) = tokio::join!(
        stage.customerio.wait_until(PATIENCE, |_| refused() > already),
        stage.deliver(&url, after),
        stage.deliver(&url, &again)
    );
    assert_eq!((still_down, failed.len(), failed_again.len()), (Ok(()), 0, 0));
    stage.customerio.faults().clear();

    let arrived = stage.customerio.wait_until(PATIENCE, |_| world.wrong(&stage).is_empty()).await;
    assert_eq!((world.wrong(&stage), arrived), (Vec::new(), Ok(())));
    stage.finish(serve).await;
    assert_eq!(world.wrong(&stage), Vec::<String>::new());
    stage.nothing_left().await;

    let events = stage.customerio.events();
    let ids: BTreeSet<_> = events.iter().map(|event| event.ulid.as_deref().expect("every event has an id")).collect();
    assert_eq!(ids.len(), events.len());
}
