//! A write whose answer is lost on the way: the SDK sends it again, and its condition fails on our own first attempt.

use crate::ledger::entry;
use crate::store::{NOW, person, put, workspace};
use crate::{aws, emulator};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use trefoil_domain::ledger::{Entry, Ledger, Review};
use trefoil_domain::ports::{Commit, Store};
use trefoil_platform::aws::{Aws, DynamoStore};

/// A way to the emulator on which the first answer is lost.
async fn lossy_endpoint(lost: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let upstream = emulator::endpoint().trim_start_matches("http://");
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a connection");
            let mut server = TcpStream::connect(upstream).await.expect("the emulator runs");
            let lost = Arc::clone(&lost);
            tokio::spawn(async move {
                if lost.swap(true, Ordering::SeqCst) {
                    drop(copy_bidirectional(&mut client, &mut server).await);
                    return;
                }
                let (mut from_client, _) = client.split();
                let (mut from_server, mut to_server) = server.split();
                let mut answer = [0; 1];
                tokio::select! {
                    forwarded = tokio::io::copy(&mut from_client, &mut to_server) => drop(forwarded),
                    // It has been carried out.
                    answered = from_server.read_exact(&mut answer) => drop(answered),
                }
                drop(client.shutdown().await);
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done() {
    let _turn = emulator::turn().await;
    let names = aws::tables("lost_answer").await;
    let lost = Arc::new(AtomicBool::new(false));
    let endpoint = lossy_endpoint(Arc::clone(&lost)).await;
    let store = DynamoStore::new(Aws::new(&aws::settings(&endpoint)).dynamodb(), names);
    let person = person(1);
    assert_eq!(store.commit(vec![put(&person, 0)]).await, Ok(Commit::Done));
    assert!(lost.load(Ordering::SeqCst));
    assert_eq!(store.commit(vec![put(&person, 0)]).await, Ok(Commit::Conflict), "only the same attempt is forgiven");
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_done() {
    let _turn = emulator::turn().await;
    let names = aws::tables("lost_entry").await;
    for (n, review) in [Review::None, Review::Wanted].into_iter().enumerate() {
        let lost = Arc::new(AtomicBool::new(false));
        let endpoint = lossy_endpoint(Arc::clone(&lost)).await;
        let store = DynamoStore::new(Aws::new(&aws::settings(&endpoint)).dynamodb(), names.clone());
        let entry = Entry { review, ..entry(&workspace(), n, 0) };
        assert_eq!(store.put_entry(entry.clone(), NOW).await, Ok(Commit::Done));
        assert!(lost.load(Ordering::SeqCst));
        assert_eq!(store.put_entry(entry, NOW).await, Ok(Commit::Conflict), "only the same attempt is forgiven");
    }
}
