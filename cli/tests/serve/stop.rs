//! Stopping and starting.

use crate::process::{PATIENCE, command};
use crate::stage::{Stage, request};
use crate::world::World;
use hyper::Method;
use std::time::Instant;
use trefoil::serve::DRAIN_FOR;
use trefoil_domain::ports::{Clock as _, QueueName};
use trefoil_platform::clock::SystemClock;

/// Stopped by this signal in the middle of its work, it ends well, and the next one does the rest.
async fn stopped_by(signal: &str) {
    let stage = Stage::plain().await;
    let world = World::of(5, &stage);
    let serve = stage.serve().await;
    let url = serve.url();
    let (stopped, unanswered) = tokio::join!(
        async {
            stage.customerio.wait_until(PATIENCE, |customerio| customerio.event_count() > 0).await.expect("something arrives");
            let begun = Instant::now();
            serve.signal(signal);
            (serve.ended().await, begun.elapsed())
        },
        stage.deliver(&url, &world.webhooks)
    );
    let ((status, output), took) = stopped;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("stopping"), "{output}");
    // Work that another job of the same person kept waiting comes again later. On a busy machine the time may not suffice.
    let depths = stage.queues().depths(SystemClock.now()).await.expect("the file can be read");
    let is_done = |queue| depths[&queue].visible == 0;
    let queues = [QueueName::Events, QueueName::IntercomState, QueueName::Segment];
    assert!(took >= DRAIN_FOR || queues.into_iter().all(is_done), "left after {took:?}: {depths:?}");

    let serve = stage.serve().await;
    let failed = stage.deliver(&serve.url(), &unanswered).await;
    assert_eq!(failed.len(), 0);
    let arrived = stage.customerio.wait_until(PATIENCE, |_| world.wrong(&stage).is_empty()).await;
    assert_eq!((world.wrong(&stage), arrived), (Vec::new(), Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_finishes_what_is_queued() {
    stopped_by("INT").await;
}

/// As service managers and containers do.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_termination() {
    stopped_by("TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_in_use_is_refused() {
    let stage = Stage::plain().await;
    let serve = stage.serve().await;
    let second = command(&stage.variables, stage.data.path()).output().expect("the program runs");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "{said}");
    assert!(said.contains("is in use by another process; stop it first, or choose another folder"), "{said}");
    let answer = request(Method::GET, &format!("http://{}/healthz", serve.address), None, "").await.expect("the first one lives");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
}
