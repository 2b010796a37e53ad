use super::*;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha1::Sha1;
use trefoil_domain::config::{self, Route, Trigger};
use trefoil_domain::id::EventId;

const SECRET: &str = "a-secret-for-the-tests";
const NOW: Timestamp = Timestamp::from_secs(1_795_219_200);

macro_rules! payload {
    ($name:literal) => {
        include_str!(concat!("../../../../../tests/cases/segment/", $name, "/payload.json"))
    };
}

const MESSAGES: [&str; 8] = [
    payload!("an-identify-updates-a-person"),
    payload!("a-track-call"),
    payload!("a-group-is-joined"),
    payload!("an-alias-merges"),
    payload!("a-delete"),
    payload!("unsubscribed-from-a-list"),
    payload!("an-audience-is-left-by-track"),
    payload!("without-a-message-id-the-content-names-the-event"),
];

fn everything() -> Wanted {
    let mut config = config::parse("trefoil.yaml", "version: 1\n").expect("a configuration");
    let route = |(on, _)| Route { name: String::new(), on: vec![on], named: Vec::new(), when: None, actions: Vec::new() };
    config.routes = Trigger::all().map(route).collect();
    Wanted::of(&config)
}

fn webhooks(workspace: &str, source: Source) -> SegmentWebhooks {
    let workspace = Workspace::new(workspace).expect("a name");
    SegmentWebhooks::new(&[SecretString::from(SECRET)], workspace, source, everything(), BatchSignature::First).expect("a secret")
}

fn receive(body: &[u8]) -> Received {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let webhooks = webhooks("main", Source::Segment);
    assert_eq!(webhooks.receive(None, body, NOW), Err(Unauthorized));
    webhooks.receive(Some(&signature), body, NOW).expect("a good signature")
}

fn ids(webhooks: &SegmentWebhooks, body: &str, now: Timestamp) -> Vec<EventId> {
    match webhooks.read(body.as_bytes(), now) {
        Received::Several(several) => several.events.into_iter().map(|event| event.id).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_over_eight_mebibytes_is_not_read_and_a_message_over_128_kibibytes_is_of_no_use() {
    let padded = |size: usize| format!("{}{}", MESSAGES[1], " ".repeat(size - MESSAGES[1].len()));
    assert!(matches!(receive(padded(MOST_BYTES).as_bytes()), Received::Several(_)));
    assert_eq!(receive(padded(MOST_BYTES + 1).as_bytes()), unusable("over_8_mib"));
    let long = MESSAGES[1].replacen("pro", &"x".repeat(128 * 1024), 1);
    let Received::Several(several) = receive(format!("[{long},{}]", MESSAGES[1]).as_bytes()) else { panic!("not a batch") };
    assert_eq!((several.events.len(), several.unusable.len()), (1, 1));
    assert_eq!(several.unusable[0].reason, "over_128_kib");
    assert_eq!(several.unusable[0].body, long.trim().as_bytes());
}

#[test]
fn a_redelivery_makes_the_same_events_whenever_it_comes_and_a_stranger_others() {
    for message in MESSAGES {
        let own = ids(&webhooks("main", Source::Segment), message, NOW);
        assert!(!own.is_empty());
        assert_eq!(own, ids(&webhooks("main", Source::Segment), message, NOW.plus(trefoil_domain::time::Span::from_days(3))));
        assert_ne!(own, ids(&webhooks("other", Source::Segment), message, NOW));
        assert_ne!(own, ids(&webhooks("main", Source::Pipelines), message, NOW));
    }
    let mut all: Vec<EventId> = MESSAGES.iter().flat_map(|message| ids(&webhooks("main", Source::Segment), message, NOW)).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "no two of them are one event");
}

proptest! {
    #[test]
    fn no_signed_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        receive(&body);
    }

    #[test]
    fn no_change_of_a_real_payload_makes_it_panic(
        which in 0..MESSAGES.len(),
        at in any::<prop::sample::Index>(),
        len in 0usize..40,
        with in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}",
        batch in any::<bool>(),
    ) {
        let message = MESSAGES[which];
        let at = at.index(message.len());
        let mut body = message.as_bytes().to_vec();
        body.splice(at..(at + len).min(message.len()), with.bytes());
        if batch {
            body = [b"[".as_slice(), MESSAGES[1].as_bytes(), b",", &body, b"]"].concat();
        }
        receive(&body);
        webhooks("main", Source::Segment).receive(Some("0000000000000000000000000000000000000000"), &body, NOW).expect_err("not signed");
        SegmentEvents::new(Workspace::new("main").expect("a name"), everything()).receive_event(&body, NOW);
    }

    #[test]
    fn a_message_is_the_same_events_in_whatever_batch_it_comes(
        order in Just((0..MESSAGES.len()).collect::<Vec<_>>()).prop_shuffle(),
        many in 1..MESSAGES.len(),
        wrapped in proptest::collection::vec(any::<bool>(), MESSAGES.len()),
    ) {
        let webhooks = webhooks("main", Source::Segment);
        let chosen = &order[..many];
        let alone: Vec<EventId> = chosen.iter().flat_map(|n| ids(&webhooks, MESSAGES[*n], NOW)).collect();
        let elements: Vec<String> =
            chosen.iter().map(|n| if wrapped[*n] { format!("{{\"json\":{}}}", MESSAGES[*n]) } else { MESSAGES[*n].to_owned() }).collect();
        let batch = format!("[{}]", elements.join(","));
        prop_assert_eq!(ids(&webhooks, &batch, NOW), alone);
    }

    #[test]
    fn a_broken_message_costs_no_other(at in 0..MESSAGES.len(), broken in "(null|7|\"x\"|\\[\\[\\]\\]|\\{\\}|\\{\"type\":\"track\"\\}|\\{\"type\":\"identify\",\"context\":\\{\"traits\":1,\"traits\":2\\}\\})") {
        let webhooks = webhooks("main", Source::Segment);
        let mut elements: Vec<&str> = MESSAGES.to_vec();
        elements.insert(at, &broken);
        let whole = format!("[{}]", MESSAGES.join(","));
        prop_assert_eq!(ids(&webhooks, &format!("[{}]", elements.join(",")), NOW), ids(&webhooks, &whole, NOW));
    }
}
