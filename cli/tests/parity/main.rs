//! What Segment's own destinations for Intercom and Customer.io were recorded to do, and what Trefoil does with the same calls
//! of Segment: the real normaliser, router, senders and clients, against the stand-ins. The recordings lie beside the
//! repository, or in the folder named by `TREFOIL_SHARED`; without them those tests say so and do nothing. Each `read.json`
//! has what nobody recorded, as the destination's source reads.
//!
//! For each destination, `compare` says what "the same" means, `known` what is different on purpose. A recording is judged by
//! what it says of itself: `must` be equivalent, `may-differ`, or `beat`, where the destination's behaviour is a defect.

mod customerio;
mod difference;
mod intercom;
mod road;

use difference::{Difference, Known, reason};
use road::Ran;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of those that must be equivalent, in percent.
const MUST: usize = 95;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cases_of(text: &[u8], destination: &str) -> Vec<Value> {
    let mut recorded: Value = serde_json::from_slice(text).expect("the cases are JSON");
    let Value::Array(cases) = recorded["cases"].take() else { panic!("`cases` is a list") };
    cases.into_iter().filter(|case| case["destination"] == destination).collect()
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should see that this one had nothing to do")]
fn recorded(destination: &str) -> Option<Vec<Value>> {
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let text = fs::read(shared.join("cases/segment-parity.json")).ok();
    if text.is_none() {
        eprintln!(
            "SKIPPED: no cases/segment-parity.json beside the repository or in TREFOIL_SHARED; the recordings of {destination} were not \
             checked"
        );
    }
    Some(cases_of(&text?, destination))
}

/// What came of one case, and in words what is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Equal,
    /// Every difference is one of those in `known`.
    Deliberate,
    Better,
    Worse,
}

fn verdict(
    case: &Value,
    differences: Vec<Difference>,
    known: &[Known],
    better: impl FnOnce() -> Result<String, String>,
    ran: &Ran,
) -> (Verdict, Vec<String>) {
    let (explained, unexplained): (Vec<_>, Vec<_>) = differences.into_iter().partition(|difference| reason(known, difference).is_some());
    let told = |difference: &Difference| match reason(known, difference) {
        Some(reason) => format!("{difference}: {reason}"),
        None => format!("{difference}"),
    };
    let mut said: Vec<String> = unexplained.iter().chain(&explained).map(told).collect();
    if case["parity"] == "beat" {
        return match better() {
            Ok(how) => (Verdict::Better, vec![how]),
            Err(why) => {
                said.insert(0, why);
                (Verdict::Worse, said)
            }
        };
    }
    match (unexplained.is_empty(), explained.is_empty()) {
        (true, true) => (Verdict::Equal, said),
        (true, false) => (Verdict::Deliberate, said),
        (false, _) => {
            said.push(format!("it ended as {:?}", ran.ended));
            (Verdict::Worse, said)
        }
    }
}

#[tokio::test]
async fn intercom_gets_what_segments_own_destination_was_recorded_to_send() {
    if let Some(cases) = recorded("intercom") {
        parity_of(&cases, intercom::judged).await;
    }
}

#[tokio::test]
async fn intercom_gets_what_segments_own_destination_is_written_to_send() {
    parity_of(&cases_of(include_bytes!("intercom/read.json"), "intercom"), intercom::judged).await;
}

#[tokio::test]
async fn customerio_gets_what_segments_own_destination_was_recorded_to_send() {
    if let Some(cases) = recorded("customerio") {
        parity_of(&cases, customerio::judged).await;
    }
}

#[tokio::test]
async fn customerio_gets_what_segments_own_destination_is_written_to_send() {
    parity_of(&cases_of(include_bytes!("customerio/read.json"), "customerio"), customerio::judged).await;
}

#[expect(clippy::print_stdout, reason = "the table is what one runs this for")]
async fn parity_of(cases: &[Value], judged: impl AsyncFn(&Value) -> (Verdict, Vec<String>)) {
    assert!(!cases.is_empty(), "there are cases");
    let mut counts: BTreeMap<(&str, Verdict), usize> = BTreeMap::new();
    for case in cases {
        let (verdict, said) = judged(case).await;
        let parity = case["parity"].as_str().expect("parity");
        *counts.entry((parity, verdict)).or_default() += 1;
        println!("{parity:11} {:11} {}", format!("{verdict:?}").to_lowercase(), case["id"].as_str().expect("id"));
        said.iter().for_each(|line| println!("{:24}{line}", ""));
    }
    let count = |parity, verdict| counts.get(&(parity, verdict)).copied().unwrap_or(0);
    let of = |parity| counts.iter().filter(|((of, _), _)| *of == parity).map(|(_, count)| count).sum::<usize>();
    let equivalent = |parity| count(parity, Verdict::Equal) + count(parity, Verdict::Deliberate);
    println!(
        "must: {} of {} equivalent, {} of them with differences on purpose; may differ: {} of {} equal or explained; \
         beat: {} of {} better",
        equivalent("must"),
        of("must"),
        count("must", Verdict::Deliberate),
        equivalent("may-differ"),
        of("may-differ"),
        count("beat", Verdict::Better),
        of("beat"),
    );
    assert!(equivalent("must") * 100 >= of("must") * MUST, "fewer than {MUST} % of what must be equivalent are");
    assert_eq!(equivalent("may-differ"), of("may-differ"), "what is different is explained");
    assert_eq!(count("beat", Verdict::Better), of("beat"), "what is a defect there is better here");
}
