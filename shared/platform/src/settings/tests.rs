use super::*;
use trefoil_domain::ports::QueueName;
use trefoil_domain::time::Span;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: BTreeMap<String, String> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Environment::new(move |name| variables.get(name).cloned())
}

const SECRET: &str = "0123456789abcdef-canary";

const INGEST: [(&str, &str); 3] = [
    (variable::INTERCOM_CLIENT_SECRET, SECRET),
    (variable::QUEUE_EVENTS, "https://sqs.example.com/1/events.fifo"),
    (variable::QUEUE_PARKED, "https://sqs.example.com/1/parked.fifo"),
];

fn named(problems: &Problems) -> Vec<&str> {
    problems.0.iter().map(|problem| problem.variable.as_str()).collect()
}

#[test]
fn a_complete_environment_is_read() {
    let settings = environment(&INGEST).ingest_intercom().expect("complete");
    assert_eq!(settings.workspace.as_str(), "main");
    assert_eq!(settings.webhook.client_secrets.len(), 1);
    assert_eq!(settings.webhook.app_id, None);
    assert!(settings.warm);
    assert_eq!(settings.queues.get(QueueName::Events), Some("https://sqs.example.com/1/events.fifo"));
    assert!(!format!("{settings:?}").contains("canary"), "secrets stay out of debug output");
}

#[test]
fn all_problems_are_told_at_once() {
    let problems =
        environment(&[(variable::WORKSPACE, "no spaces"), (variable::WARM, "perhaps")]).ingest_intercom().expect_err("incomplete");
    let expected = [variable::WORKSPACE, variable::INTERCOM_CLIENT_SECRET, variable::QUEUE_EVENTS, variable::QUEUE_PARKED, variable::WARM];
    assert_eq!(named(&problems), expected);
}

#[test]
fn a_client_secret_must_be_long_enough_and_is_never_shown() {
    for bad in ["", "   ", "short-canary", "0123456789abcdef-canary,", "0123456789abcdef-canary,short"] {
        let mut variables = INGEST.to_vec();
        variables[0].1 = bad;
        let problems = environment(&variables).ingest_intercom().expect_err(bad);
        assert_eq!(named(&problems), [variable::INTERCOM_CLIENT_SECRET], "{bad:?}");
        assert!(!problems.to_string().contains("canary"), "{problems}");
    }
    let mut variables = INGEST.to_vec();
    variables[0].1 = "0123456789abcdef-one, 0123456789abcdef-two";
    let webhook = environment(&variables).ingest_intercom().expect("two of them").webhook;
    let read: Vec<&str> = webhook.client_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(read, ["0123456789abcdef-one", "0123456789abcdef-two"]);
}

const INGEST_CUSTOMERIO: [(&str, &str); 3] = [
    (variable::CUSTOMERIO_SIGNING_KEYS, "0123456789abcdef-reports, 0123456789abcdef-actions"),
    (variable::QUEUE_EVENTS, "https://sqs.example.com/1/events.fifo"),
    (variable::QUEUE_PARKED, "https://sqs.example.com/1/parked.fifo"),
];

#[test]
fn both_signing_keys_of_customerio_are_read_and_time_is_not_limited_unless_said() {
    let settings = environment(&INGEST_CUSTOMERIO).ingest_customerio().expect("complete");
    let read: Vec<&str> = settings.webhook.signing_keys.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(read, ["0123456789abcdef-reports", "0123456789abcdef-actions"]);
    assert_eq!(settings.webhook.max_skew, None);
    assert!(!format!("{settings:?}").contains("0123"), "secrets stay out of debug output");
    let with = |skew| {
        let mut variables = INGEST_CUSTOMERIO.to_vec();
        variables.push((variable::CUSTOMERIO_MAX_SKEW, skew));
        environment(&variables).ingest_customerio()
    };
    assert_eq!(with("8d").expect("a span").webhook.max_skew, Some(Span::from_days(8)));
    for bad in ["8", "0s", "-1h", "soon"] {
        assert_eq!(named(&with(bad).expect_err(bad)), [variable::CUSTOMERIO_MAX_SKEW], "{bad}");
    }
}

#[test]
fn a_signing_key_must_be_there_and_long_enough_and_is_never_shown() {
    for bad in ["", "short-canary", "0123456789abcdef-canary,", ",0123456789abcdef-canary", "0123456789abcdef-canary,short"] {
        let mut variables = INGEST_CUSTOMERIO.to_vec();
        variables[0].1 = bad;
        let problems = environment(&variables).ingest_customerio().expect_err(bad);
        assert_eq!(named(&problems), [variable::CUSTOMERIO_SIGNING_KEYS], "{bad:?}");
        assert!(!problems.to_string().contains("canary"), "{problems}");
    }
    let stored = [INGEST_CUSTOMERIO[1], INGEST_CUSTOMERIO[2], ("TREFOIL_CUSTOMERIO_SIGNING_KEYS_SECRET", "trefoil/customerio")];
    let mut environment = environment(&stored);
    assert_eq!(environment.stored_secrets(), [(variable::CUSTOMERIO_SIGNING_KEYS, "trefoil/customerio".to_owned())]);
    environment.put_secret(variable::CUSTOMERIO_SIGNING_KEYS, Ok(INGEST_CUSTOMERIO[0].1.into()));
    assert_eq!(environment.ingest_customerio().expect("complete").webhook.signing_keys.len(), 2);
}

#[test]
fn one_machine_takes_customerios_webhooks_only_with_its_keys() {
    assert!(environment(&SERVE).serve().expect("complete").customerio_webhook.is_none());
    let mut variables = SERVE.to_vec();
    variables.push(INGEST_CUSTOMERIO[0]);
    let webhook = environment(&variables).serve().expect("complete").customerio_webhook;
    assert_eq!(webhook.map(|webhook| webhook.signing_keys.len()), Some(2));
    variables[SERVE.len()].1 = "short";
    assert_eq!(named(&environment(&variables).serve().expect_err("too short")), [variable::CUSTOMERIO_SIGNING_KEYS]);
}

const SERVE: [(&str, &str); 6] = [
    (variable::INTERCOM_CLIENT_SECRET, SECRET),
    (variable::INTERCOM_TOKEN, "token"),
    (variable::INTERCOM_REGION, "au"),
    (variable::CUSTOMERIO_SITE_ID, "site"),
    (variable::CUSTOMERIO_API_KEY, "key"),
    (variable::CUSTOMERIO_REGION, "EU"),
];

#[test]
fn rates_are_shared_by_the_copies() {
    let alone = environment(&SERVE).serve().expect("complete");
    assert_eq!((alone.customerio.requests_per_sec, alone.customerio.app_requests_per_sec), (100.0, 10.0));
    assert_eq!(alone.intercom.requests_per_10_secs, 1666.0);
    assert_eq!((alone.intercom.region, alone.customerio.region), (Some(IntercomRegion::Au), Some(CustomerioRegion::Eu)));
    let mut variables = SERVE.to_vec();
    variables.extend([(variable::CONCURRENCY, "4"), (variable::CUSTOMERIO_RATE, "500")]);
    let shared = environment(&variables).serve().expect("complete");
    assert_eq!((shared.customerio.requests_per_sec, shared.customerio.app_requests_per_sec), (125.0, 2.5));
    for (name, bad) in [(variable::CONCURRENCY, "0"), (variable::CUSTOMERIO_RATE, "0"), (variable::INTERCOM_RATE, "NaN")] {
        let mut variables = SERVE.to_vec();
        variables.push((name, bad));
        let problems = environment(&variables).serve().expect_err(name);
        assert!(named(&problems).iter().all(|told| *told == name), "{problems}");
    }
}

#[test]
fn what_is_written_to_intercom_can_be_chosen() {
    let with = |more: &[(&str, &str)]| environment(&[&SERVE[..], more].concat()).serve().map(|settings| settings.intercom);
    let usual = with(&[]).expect("complete");
    assert_eq!((usual.admin_id, usual.create_attributes, usual.in_app_message_type.as_str()), (None, false, "in_app"));
    let chosen = [
        (variable::INTERCOM_ADMIN_ID, "394051"),
        (variable::INTERCOM_CREATE_ATTRIBUTES, "true"),
        (variable::INTERCOM_IN_APP_TYPE, "inapp"),
    ];
    let chosen = with(&chosen).expect("complete");
    assert_eq!(
        (chosen.admin_id.as_deref(), chosen.create_attributes, chosen.in_app_message_type.as_str()),
        (Some("394051"), true, "inapp")
    );
    // As templates make them of parameters left out.
    let empty = [(variable::INTERCOM_ADMIN_ID, ""), (variable::INTERCOM_CREATE_ATTRIBUTES, ""), (variable::INTERCOM_IN_APP_TYPE, " ")];
    assert_eq!(with(&empty).expect("complete").admin_id, None);
    for (name, bad) in [
        (variable::INTERCOM_ADMIN_ID, "ada@example.com"),
        (variable::INTERCOM_ADMIN_ID, "39 4051"),
        (variable::INTERCOM_CREATE_ATTRIBUTES, "yes"),
        (variable::INTERCOM_IN_APP_TYPE, "email"),
    ] {
        assert_eq!(named(&with(&[(name, bad)]).expect_err(bad)), [name]);
    }
}

#[test]
fn a_region_is_never_guessed() {
    let without = |name: &str| SERVE.iter().copied().filter(|(variable, _)| *variable != name).collect::<Vec<_>>();
    for name in [variable::INTERCOM_REGION, variable::CUSTOMERIO_REGION] {
        let problems = environment(&without(name)).serve().expect_err(name);
        assert_eq!(named(&problems), [name]);
        let mut elsewhere = without(name);
        elsewhere.push((name, "mars"));
        assert_eq!(named(&environment(&elsewhere).serve().expect_err(name)), [name]);
    }
    let mut stand_in = without(variable::CUSTOMERIO_REGION);
    stand_in.push((variable::CUSTOMERIO_URL, "http://127.0.0.1:8080/"));
    let settings = environment(&stand_in).serve().expect("the URL is enough without an App API key");
    assert_eq!(settings.customerio.url.as_deref(), Some("http://127.0.0.1:8080"));
    stand_in.push((variable::CUSTOMERIO_APP_API_KEY, "app"));
    assert_eq!(named(&environment(&stand_in).serve().expect_err("where is the App API?")), [variable::CUSTOMERIO_REGION]);
    stand_in.push((variable::CUSTOMERIO_APP_URL, "127.0.0.1"));
    assert_eq!(named(&environment(&stand_in).serve().expect_err("not a URL")), [variable::CUSTOMERIO_APP_URL]);
}

#[test]
fn a_stored_secret_takes_the_place_of_its_variable() {
    let variables = [INGEST[1], INGEST[2], ("TREFOIL_INTERCOM_CLIENT_SECRET_SECRET", "trefoil/intercom")];
    let mut environment = environment(&variables);
    assert_eq!(environment.stored_secrets(), [(variable::INTERCOM_CLIENT_SECRET, "trefoil/intercom".to_owned())]);
    environment.put_secret(variable::INTERCOM_CLIENT_SECRET, Err("AccessDeniedException".to_owned()));
    let problems = environment.ingest_intercom().expect_err("unreadable");
    assert_eq!(named(&problems), ["TREFOIL_INTERCOM_CLIENT_SECRET_SECRET"]);
    environment.put_secret(variable::INTERCOM_CLIENT_SECRET, Ok(format!("{SECRET},{SECRET}2").into()));
    assert_eq!(environment.ingest_intercom().expect("complete").webhook.client_secrets.len(), 2);
}

fn segment(more: &[(&str, &str)]) -> Result<IngestSegment, Problems> {
    environment(&[&INGEST[1..], more].concat()).ingest_segment()
}

#[test]
fn segment_comes_in_by_secret_or_by_queue() {
    let secrets = |settings: IngestSegment| match settings.way_in {
        SegmentWayIn::Webhooks(webhook) => (webhook.segment_secrets.len(), webhook.pipelines_secrets.len(), webhook.first_of_batch),
        SegmentWayIn::Queue(url) => panic!("no queue was named: {url}"),
    };
    let two = format!("{SECRET},{SECRET}2");
    assert_eq!(secrets(segment(&[(variable::SEGMENT_SHARED_SECRET, &two)]).expect("complete")), (2, 0, false));
    let pipelines = [(variable::PIPELINES_SHARED_SECRET, SECRET), (variable::SEGMENT_BATCH_SIGNATURE, "first")];
    let settings = segment(&pipelines).expect("complete");
    assert!(!format!("{settings:?}").contains("canary"), "secrets stay out of debug output");
    assert_eq!(secrets(settings), (0, 1, true));
    let settings = segment(&[(variable::QUEUE_EVENTBRIDGE, "https://sqs.example.com/1/segment")]).expect("complete");
    assert!(matches!(settings.way_in, SegmentWayIn::Queue(url) if url == "https://sqs.example.com/1/segment"));

    assert_eq!(named(&segment(&[]).expect_err("nothing to go by")), [variable::SEGMENT_SHARED_SECRET]);
    for (name, bad) in [
        (variable::SEGMENT_SHARED_SECRET, "short-canary"),
        (variable::PIPELINES_SHARED_SECRET, "0123456789abcdef-canary,"),
        (variable::SEGMENT_BATCH_SIGNATURE, "canary"),
    ] {
        // The bad one comes last, and so wins.
        let problems = segment(&[(variable::SEGMENT_SHARED_SECRET, SECRET), (name, bad)]).expect_err(name);
        assert_eq!(named(&problems), [name]);
        assert!(!problems.to_string().contains("canary"), "{problems}");
    }
}

#[test]
fn one_secret_for_both_would_not_tell_who_signed() {
    let with = |ours: &str, theirs: &str| segment(&[(variable::SEGMENT_SHARED_SECRET, ours), (variable::PIPELINES_SHARED_SECRET, theirs)]);
    let problems = with(SECRET, SECRET).expect_err("the same");
    assert_eq!(named(&problems), [variable::PIPELINES_SHARED_SECRET]);
    assert!(!problems.to_string().contains("canary"), "{problems}");
    let (own, both) = (format!("{SECRET}2"), format!("{SECRET}2,{SECRET}"));
    assert!(with(SECRET, &own).is_ok());
    assert!(with(SECRET, &both).is_ok(), "the one before does not count");
}

#[test]
fn segments_secrets_may_be_stored_and_serve_needs_none_of_them() {
    let mut variables = INGEST[1..].to_vec();
    variables.push(("TREFOIL_PIPELINES_SHARED_SECRET_SECRET", "trefoil/pipelines"));
    let mut stored = environment(&variables);
    assert_eq!(stored.stored_secrets(), [(variable::PIPELINES_SHARED_SECRET, "trefoil/pipelines".to_owned())]);
    stored.put_secret(variable::PIPELINES_SHARED_SECRET, Ok(SECRET.into()));
    assert!(stored.ingest_segment().is_ok());

    let without = environment(&SERVE).serve().expect("complete").segment;
    assert!(without.segment_secrets.is_empty() && without.pipelines_secrets.is_empty());
    let with = environment(&[&SERVE[..], &[(variable::SEGMENT_SHARED_SECRET, SECRET)]].concat()).serve().expect("complete").segment;
    assert_eq!(with.segment_secrets.len(), 1);
}

const WRITES_TO_SEGMENT: [(&str, &str); 2] = [(variable::SEGMENT_WRITE_KEY, "canary"), (variable::SEGMENT_REGION, "EU")];

#[test]
fn one_machine_writes_to_segment_only_with_a_write_key() {
    let with = |more: &[(&str, &str)]| environment(&[&SERVE[..], more].concat()).serve().map(|settings| settings.segment_api);
    assert!(with(&[]).expect("complete").is_none());
    let region_alone = [WRITES_TO_SEGMENT[1], (variable::SEGMENT_WRITE_KEY, " ")];
    assert!(with(&region_alone).expect("as templates leave it").is_none());
    let api = with(&WRITES_TO_SEGMENT).expect("complete").expect("set up");
    assert_eq!((api.region, api.url.as_deref(), api.requests_per_sec), (Some(SegmentRegion::Eu), None, 500.0));
    assert!(!format!("{api:?}").contains("canary"), "secrets stay out of debug output");
    let shared = [WRITES_TO_SEGMENT[0], WRITES_TO_SEGMENT[1], (variable::SEGMENT_RATE, "100"), (variable::CONCURRENCY, "4")];
    assert_eq!(with(&shared).expect("complete").map(|api| api.requests_per_sec), Some(25.0));
}

#[test]
fn the_region_of_segment_is_never_guessed() {
    let with = |more: &[(&str, &str)]| environment(&[&SERVE[..], &WRITES_TO_SEGMENT[..1], more].concat()).serve();
    for bad in [&[][..], &[(variable::SEGMENT_REGION, "au")]] {
        let problems = with(bad).expect_err("no region");
        assert_eq!(named(&problems), [variable::SEGMENT_REGION]);
        assert!(!problems.to_string().contains("canary"), "{problems}");
    }
    let stand_in = with(&[(variable::SEGMENT_URL, "http://127.0.0.1:8080/")]).expect("the URL is enough").segment_api.expect("set up");
    assert_eq!((stand_in.region, stand_in.url.as_deref()), (None, Some("http://127.0.0.1:8080")));
    assert_eq!(named(&with(&[(variable::SEGMENT_URL, "127.0.0.1")]).expect_err("not a URL")), [variable::SEGMENT_URL]);
    let no_rate = [WRITES_TO_SEGMENT[1], (variable::SEGMENT_RATE, "0")];
    assert_eq!(named(&with(&no_rate).expect_err("no rate")), [variable::SEGMENT_RATE]);
}

const TABLES: [(&str, &str); 3] = [(variable::TABLE_PEOPLE, "p"), (variable::TABLE_ALIASES, "a"), (variable::TABLE_HISTORY, "h")];

#[test]
fn the_sender_to_segment_needs_its_write_key_which_may_be_stored() {
    let expected = [
        variable::SEGMENT_WRITE_KEY,
        variable::SEGMENT_REGION,
        variable::TABLE_PEOPLE,
        variable::TABLE_ALIASES,
        variable::TABLE_HISTORY,
        variable::QUEUE_SEGMENT,
        variable::QUEUE_PARKED,
    ];
    assert_eq!(named(&environment(&[]).send_segment().expect_err("incomplete")), expected);
    let queues = [(variable::QUEUE_SEGMENT, "https://sqs.example.com/1/segment.fifo"), INGEST[2]];
    let stored = [("TREFOIL_SEGMENT_WRITE_KEY_SECRET", "trefoil/segment-write-key"), WRITES_TO_SEGMENT[1]];
    let mut environment = environment(&[&TABLES[..], &queues, &stored].concat());
    assert_eq!(environment.stored_secrets(), [(variable::SEGMENT_WRITE_KEY, "trefoil/segment-write-key".to_owned())]);
    environment.put_secret(variable::SEGMENT_WRITE_KEY, Ok("canary".into()));
    let settings = environment.send_segment().expect("complete");
    assert_eq!(settings.segment.write_key.expose_secret(), "canary");
    assert_eq!(settings.queues.get(QueueName::Segment), Some(queues[0].1));
}

#[test]
fn the_router_runs_without_the_queue_of_segment_alone() {
    let all = QueueName::ALL.map(groups::queue_variable);
    let with = |queues: &[&'static str]| {
        let queues: Vec<_> = queues.iter().map(|queue| (*queue, "https://sqs.example.com/1/some.fifo")).collect();
        environment(&[&TABLES[..], &queues].concat()).route_events()
    };
    assert!(with(&all).expect("complete").queues.get(QueueName::Segment).is_some());
    for left_out in all {
        let others: Vec<_> = all.into_iter().filter(|queue| *queue != left_out).collect();
        match with(&others) {
            Ok(settings) => assert!(left_out == variable::QUEUE_SEGMENT && settings.queues.get(QueueName::Segment).is_none()),
            Err(problems) => assert_eq!((left_out != variable::QUEUE_SEGMENT, named(&problems)), (true, vec![left_out])),
        }
    }
}

#[test]
fn the_sender_to_customerio_can_say_what_a_campaign_is_called() {
    let problems = environment(&SERVE[3..]).send_customerio().expect_err("no queues, no tables");
    assert!(named(&problems).contains(&variable::QUEUE_EVENTS), "{problems}");
}

#[test]
fn aws_needs_a_region_and_credentials() {
    let problems = environment(&[]).aws().expect_err("empty");
    assert_eq!(named(&problems), [variable::AWS_REGION, variable::AWS_ACCESS_KEY_ID, variable::AWS_SECRET_ACCESS_KEY]);
    let variables =
        [(variable::AWS_DEFAULT_REGION, "eu-west-1"), (variable::AWS_ACCESS_KEY_ID, "id"), (variable::AWS_SECRET_ACCESS_KEY, "canary")];
    let settings = environment(&variables).aws().expect("complete");
    assert_eq!((settings.region.as_str(), settings.endpoint.as_deref()), ("eu-west-1", None));
    assert!(!format!("{settings:?}").contains("canary"));
}

#[test]
fn an_operator_needs_the_tables_and_the_queues_of_what_is_decided_only() {
    let here = environment(&[]).operator().expect("nothing is needed on one machine");
    assert_eq!((here.workspace.as_str(), here.config.to_str()), ("main", Some("trefoil.yaml")));
    let expected = [
        variable::AWS_REGION,
        variable::AWS_ACCESS_KEY_ID,
        variable::AWS_SECRET_ACCESS_KEY,
        variable::TABLE_PEOPLE,
        variable::TABLE_ALIASES,
        variable::TABLE_HISTORY,
        variable::QUEUE_EVENTS,
        variable::QUEUE_INTERCOM_STATE,
    ];
    let problems = environment(&[]).operator_aws().expect_err("incomplete");
    assert_eq!(named(&problems), expected);
    let all: Vec<(&str, &str)> = expected.iter().map(|name| (*name, "x")).collect();
    assert_eq!(environment(&all).operator_aws().expect("complete").tables.people, "x");
}
