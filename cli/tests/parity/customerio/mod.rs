//! Segment's destination *Customer.io (Actions)*.

mod compare;
mod config;
mod item;
mod known;
mod stage;

use crate::road::{HAND_AT, Hand, Ran, Road};
use crate::{Verdict, root, verdict};
use item::Saw;
use serde_json::Value;
use stage::People;
use trefoil_connectors::customerio::{CustomerioClient, CustomerioSettings, Region};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_domain::ports::QueueName;
use trefoil_domain::steps::send_customerio::CustomerioSender;
use trefoil_domain::time::Span;
use trefoil_standins::customerio::{CustomerIo, Options};

const LANES: [QueueName; 2] = [QueueName::CustomerioState, QueueName::Customerio];
/// Long enough for what was written to be read back.
const PATIENCE: Span = Span::from_secs(30);

pub(crate) async fn judged(case: &Value) -> (Verdict, Vec<String>) {
    let (ran, saw) = run(case).await;
    verdict(case, compare::differences(case, &ran, &saw), known::KNOWN, || compare::better(case, &ran, &saw), &ran)
}

async fn run(case: &Value) -> (Ran, Saw) {
    let hand = Hand(trefoil_standins::Clock::manual(HAND_AT.secs()));
    let road = Road::new(&config::of(case, &root()), hand.clone());
    let options = Options { clock: hand.0.clone(), refused_events: stage::refused_events(case), ..Options::default() };
    let standin = CustomerIo::start(options).await.expect("a stand-in");
    let mut people = People::default();
    stage::set(case, &standin, &mut people);
    let told = standin.options();
    let settings = CustomerioSettings {
        track_url: Some(standin.track_url()),
        app_url: Some(standin.app_url()),
        track_per_second: 1e9,
        app_per_second: 1e9,
        dates_as_seconds: road.config.customerio.dates_as_seconds,
        ..CustomerioSettings::new(
            Region::Us,
            told.site_id.clone(),
            told.track_api_key.clone().into(),
            Some(told.app_api_key.clone().into()),
        )
    };
    let http = Http::new(HttpSettings::default()).expect("a client");
    let customerio = &CustomerioClient::new(&settings, &http, hand).expect("a client");
    let Road { store, queue, clock, jitter, config, .. } = &road;
    let sender = CustomerioSender { store, queue, clock, jitter, customerio, config };
    let patience = if stage::has_faults(case) { Span::ZERO } else { PATIENCE };
    let ended = road.run(case, &LANES, patience, async |lane, batch| sender.handle(lane, batch).await).await;
    people.learn(&standin);
    let requests = standin.journal().requests();
    let saw = Saw::of(&requests, people, &standin);
    (Ran { requests, ended }, saw)
}
