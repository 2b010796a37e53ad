//! Every request that is written to Customer.io, as it arrives at a server. What each must look like stands in
//! `tests/cases/customerio-requests.json`; whether Customer.io's own description agrees, in [`contract`].
//!
//! `TREFOIL_ACCEPT=1 cargo test -p trefoil-connectors --test customerio_requests` writes the file anew. Review the difference
//! against the notes before committing it: the run then proves nothing by itself.

mod contract;
mod samples;
#[path = "../stand_in/mod.rs"]
mod stand_in;

use samples::{Sample, samples};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use stand_in::{FixedClock, StandIn, http, reply};
use std::fs;
use std::path::PathBuf;
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::Customerio;

/// As it arrived.
#[derive(Clone)]
struct Request {
    name: &'static str,
    method: String,
    path: String,
    query: Option<String>,
    body: Value,
}

async fn request(sample: &Sample) -> Request {
    let (stand_in, url) = StandIn::start([reply(200, "{}")]).await;
    let mut settings = CustomerioSettings::new(Region::Eu, "site".to_owned(), SecretString::from("track-key"), None);
    settings.track_url = Some(url);
    settings.dates_as_seconds = sample.dates_as_seconds;
    let client = CustomerioClient::new(&settings, &http(), FixedClock).expect("settings");
    let outcomes = client.write(&sample.writes).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{}: {outcomes:?}", sample.name);
    let mut asked = stand_in.asked();
    assert_eq!(asked.len(), 1, "{}", sample.name);
    let asked = asked.remove(0);
    let (path, query) = match asked.target.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (asked.target.clone(), None),
    };
    Request { name: sample.name, method: asked.method.clone(), path, query, body: asked.json() }
}

async fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for sample in samples() {
        requests.push(request(&sample).await);
    }
    requests
}

fn written(request: &Request) -> Value {
    let mut written = json!({"method": request.method, "path": request.path, "body": request.body});
    if let Some(query) = &request.query {
        written["query"] = json!(query);
    }
    written
}

#[tokio::test]
async fn every_request_is_written_as_its_case_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/customerio-requests.json");
    let requests = requests().await;
    let actual: Map<String, Value> = requests.iter().map(|request| (request.name.to_owned(), written(request))).collect();
    assert_eq!(actual.len(), requests.len(), "two samples have one name");
    if std::env::var_os("TREFOIL_ACCEPT").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&actual).expect("JSON") + "\n").expect("the cases are written");
        panic!("{} was rewritten: review it, then run without TREFOIL_ACCEPT", path.display());
    }
    let expected: Map<String, Value> = serde_json::from_slice(&fs::read(&path).expect("the cases")).expect("the cases are JSON");
    for (name, request) in &actual {
        assert_eq!(Some(request), expected.get(name), "{name}");
    }
    assert_eq!(actual.len(), expected.len(), "a case has no sample");
}
