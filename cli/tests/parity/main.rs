//! What Segment's own Intercom destination was recorded to do, and what Trefoil does with the same calls of Segment: the real
//! normaliser, router, sender and client, against the stand-in of Intercom. The recordings lie beside the repository, or in
//! the folder named by `TREFOIL_SHARED`; without them that test says so and does nothing. `read.json` has what nobody recorded, as
//! the destination's source reads.
//!
//! `compare` says what "the same" means, `known` what is different on purpose. A recording is judged by what it says of
//! itself: `must` be equivalent, `may-differ`, or `beat`, where the destination's behaviour is a defect.

mod compare;
mod config;
mod known;
mod road;
mod stage;

use compare::Difference;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of those that must be equivalent, in percent.
const MUST: usize = 95;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cases_of(text: &[u8]) -> Vec<Value> {
    let mut recorded: Value = serde_json::from_slice(text).expect("the cases are JSON");
    let Value::Array(cases) = recorded["cases"].take() else { panic!("`cases` is a list") };
    cases.into_iter().filter(|case| case["destination"] == "intercom").collect()
}

fn recorded() -> Option<Vec<Value>> {
    let shared = std::env::var_os("TREFOIL_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    Some(cases_of(&fs::read(shared.join("cases/segment-parity.json")).ok()?))
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

async fn judged(case: &Value) -> (Verdict, Vec<String>) {
    let yaml = config::of(case, &root());
    let ran = road::run(&yaml, case["input"].as_array().expect("input"), |intercom| stage::set(case, intercom)).await;
    let differences = compare::differences(case, &ran);
    let (explained, unexplained): (Vec<_>, Vec<_>) = differences.into_iter().partition(|difference| known::reason(difference).is_some());
    let told = |difference: &Difference| match known::reason(difference) {
        Some(reason) => format!("{difference}: {reason}"),
        None => format!("{difference}"),
    };
    let mut said: Vec<String> = unexplained.iter().chain(&explained).map(told).collect();
    if case["parity"] == "beat" {
        return match compare::better(case, &ran) {
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
#[expect(clippy::print_stderr, reason = "whoever runs the tests should see that this one had nothing to do")]
async fn intercom_gets_what_segments_own_destination_was_recorded_to_send() {
    match recorded() {
        Some(cases) => parity_of(&cases).await,
        None => {
            eprintln!("SKIPPED: no cases/segment-parity.json beside the repository or in TREFOIL_SHARED; the recordings were not checked")
        }
    }
}

#[tokio::test]
async fn intercom_gets_what_segments_own_destination_is_written_to_send() {
    parity_of(&cases_of(include_bytes!("read.json"))).await;
}

#[expect(clippy::print_stdout, reason = "the table is what one runs this for")]
async fn parity_of(cases: &[Value]) {
    assert!(!cases.is_empty(), "there are cases of Intercom");
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
    let equivalent = count("must", Verdict::Equal) + count("must", Verdict::Deliberate);
    println!(
        "must: {equivalent} of {} equivalent, {} of them with differences on purpose; may differ: {} of {} equal or explained; \
         beat: {} of {} better",
        of("must"),
        count("must", Verdict::Deliberate),
        count("may-differ", Verdict::Equal) + count("may-differ", Verdict::Deliberate),
        of("may-differ"),
        count("beat", Verdict::Better),
        of("beat"),
    );
    assert!(equivalent * 100 >= of("must") * MUST, "fewer than {MUST} % of what must be equivalent are");
    assert_eq!(count("beat", Verdict::Better), of("beat"), "what is a defect there is better here");
}
