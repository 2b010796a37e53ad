//! Many clients at once: nothing is lost, nothing is counted twice.

mod support;

use serde_json::json;
use std::sync::Arc;
use support::{Cio, event};
use trefoil_standins::customerio::{Options, Variants};
use trefoil_standins::journal::Keep;

const CLIENTS: u64 = 16;
const BATCHES_PER_CLIENT: u64 = 125;
const EVENTS_PER_BATCH: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_counted_once_under_load() {
    for keep in [Keep::Counters, Keep::Everything] {
        let t = Arc::new(Cio::with(Options { keep, variants: Variants::default(), ..Options::default() }).await);
        for client in 0..CLIENTS {
            t.cio.add_profile(Some(&format!("u{client}")), None, &[]);
        }
        let send = |client: u64| {
            let t = Arc::clone(&t);
            async move {
                for batch in 0..BATCHES_PER_CLIENT {
                    let numbered = |n| format!("01HV3Z8M9QF0Q2T9{client:03}{batch:04}{n:03}");
                    let item = |n| event(&json!({"id": format!("u{client}")}), "load", &numbered(n));
                    let items: Vec<_> = (0..EVENTS_PER_BATCH).map(item).collect();
                    // The first batch comes twice, as after a lost answer.
                    let times = if batch == 0 { 2 } else { 1 };
                    for _ in 0..times {
                        assert_eq!(t.batch(&json!(items)).await.status, 200);
                    }
                }
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(send(client))).collect();
        for client in clients {
            client.await.expect("a client");
        }
        assert_eq!(t.cio.event_count(), CLIENTS * BATCHES_PER_CLIENT * EVENTS_PER_BATCH);
        assert_eq!(t.cio.duplicate_events(), CLIENTS * EVENTS_PER_BATCH);
        let counter = t.cio.journal().counter("/api/v2/batch");
        assert_eq!(counter.accepted, CLIENTS * (BATCHES_PER_CLIENT + 1));
        assert_eq!(counter.per_second.values().sum::<u64>(), counter.total());
    }
}
