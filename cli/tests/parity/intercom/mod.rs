//! Segment's destination *Intercom Cloud Mode (Actions)*.

mod compare;
mod config;
mod known;
mod stage;

use crate::road::{HAND_AT, Hand, Ran, Road};
use crate::{Verdict, root, verdict};
use secrecy::SecretString;
use serde_json::Value;
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, Region};
use trefoil_domain::ports::QueueName;
use trefoil_domain::steps::send_intercom::{EventNameBudget, IntercomSender};
use trefoil_domain::time::Span;
use trefoil_standins::intercom::{Intercom, Options};

const LANES: [QueueName; 2] = [QueueName::IntercomState, QueueName::Intercom];

pub(crate) async fn judged(case: &Value) -> (Verdict, Vec<String>) {
    let ran = run(case).await;
    verdict(case, compare::differences(case, &ran), known::KNOWN, || compare::better(case, &ran), &ran)
}

async fn run(case: &Value) -> Ran {
    let hand = Hand(trefoil_standins::Clock::manual(HAND_AT.secs()));
    let road = Road::new(&config::of(case, &root()), hand.clone());
    let options = Options { clock: hand.0.clone(), has_everything: true, ..Options::default() };
    let standin = Intercom::start(options).await.expect("a stand-in");
    stage::set(case, &standin);
    let settings = IntercomSettings {
        region: Region::Us,
        url: Some(standin.url()),
        access_token: SecretString::from(standin.options().access_token.as_str()),
        per_second: 1e9,
        copies: 1,
        admin_id: None,
        create_attributes: false,
        in_app_message_type: "in_app".to_owned(),
    };
    let http = Http::new(HttpSettings::default()).expect("a client");
    let client = IntercomClient::new(&settings, &http).expect("a client");
    let names = EventNameBudget::new(&road.config);
    let Road { store, queue, clock, jitter, config, .. } = &road;
    let sender = IntercomSender { store, queue, clock, jitter, intercom: &client, config, names: &names };
    // Nothing is waited for: what is to be tried again is.
    let ended = road.run(case, &LANES, Span::ZERO, async |lane, batch| sender.handle(lane, batch).await).await;
    Ran { requests: standin.journal().requests(), ended }
}
