//! Whole histories, out of order and repeated: Customer.io ends up with the truth, whichever way it reads its own manual.

use crate::process::PATIENCE;
use crate::stage::Stage;
use crate::world::World;
use trefoil_standins::{customerio, intercom};

async fn the_truth_arrives(seed: u64) {
    let stage = Stage::new(intercom::Variants::seeded(seed), customerio::Variants::seeded(seed)).await;
    let world = World::of(seed, &stage);
    assert_ne!(world.wrong(&stage), Vec::<String>::new(), "or what follows would prove nothing");
    let serve = stage.serve().await;
    let refused = stage.deliver(&serve.url(), &world.webhooks).await;
    assert_eq!(refused.len(), 0, "of {} webhooks", world.webhooks.len());
    let arrived = stage.customerio.wait_until(PATIENCE, |_| world.wrong(&stage).is_empty()).await;
    assert_eq!((world.wrong(&stage), arrived), (Vec::new(), Ok(())));

    // It stays so when the rest is done too.
    stage.finish(serve).await;
    assert_eq!(world.wrong(&stage), Vec::<String>::new());
    stage.nothing_left().await;
    assert_eq!(stage.parked().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_seed_1() {
    the_truth_arrives(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_seed_2() {
    the_truth_arrives(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_seed_3() {
    the_truth_arrives(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_seed_4() {
    the_truth_arrives(4).await;
}

/// Or the tests above would pass whatever the stand-ins do.
#[test]
fn the_seeds_differ_in_what_matters() {
    let variants: Vec<_> = (1..=4).map(customerio::Variants::seeded).collect();
    let differ = |one: fn(&customerio::Variants) -> bool| variants.iter().any(one) && !variants.iter().all(one);
    assert!(differ(|v| v.batch_order == customerio::BatchOrder::Shuffled));
    assert!(differ(|v| v.event_for_unknown == customerio::EventForUnknown::CreatesProfile));
    assert!(differ(|v| v.stale_update == customerio::StaleUpdate::WholeProfile));
    let redelivery = (1..=4).map(|seed| intercom::Variants::seeded(seed).redelivery);
    assert!(redelivery.clone().any(|r| r == intercom::Redelivery::SameId), "{:?}", redelivery.collect::<Vec<_>>());
}
