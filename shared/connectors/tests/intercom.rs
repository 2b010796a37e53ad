//! Look-ups against a server that answers as the vendor's notes say.

mod stand_in;

use secrecy::SecretString;
use serde_json::{Value, json};
use stand_in::{NOW, Reply, StandIn, brief_http, hang, http, impatient_http, nobody, reply};
use trefoil_connectors::http::Http;
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, Region};
use trefoil_domain::event::{Channel, Choice, ConsentChange, Event, IdKind, Kind, Source, Workspace, event_id};
use trefoil_domain::id::EventId;
use trefoil_domain::job::LookUp;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{IntercomLookUps, LookedUp};
use trefoil_domain::tickets::{
    AiReport, AiResolution, Audience, Evidence, Priority, Register, StartedBy, State, TicketFact, TicketId, TicketReport, Word,
};
use trefoil_domain::time::{Span, Timestamp};

const USER: &str = "6961d4041c1e12de4c5499cc";
const LEAD: &str = "696205460674dbb9050aa7fd";
const OTHER: &str = "6961e1e6d1965062ce6434d1";

fn client(url: &str, http: &Http) -> IntercomClient {
    let mut settings = IntercomSettings::new(Region::Eu, SecretString::from("an-access-token"));
    settings.url = Some(url.to_owned());
    IntercomClient::new(&settings, http).expect("settings")
}

async fn with(replies: impl IntoIterator<Item = Reply>) -> (IntercomClient, StandIn) {
    let (stand_in, url) = StandIn::start(replies).await;
    (client(&url, &http()), stand_in)
}

fn workspace() -> Workspace {
    Workspace::new("main").expect("a name")
}

fn asked_by() -> EventId {
    EventId::from_stored("the-event-that-asked")
}

async fn ask(client: &IntercomClient, question: &LookUp) -> LookedUp {
    client.look_up(&workspace(), question, &asked_by(), NOW).await
}

fn contact(id: &str) -> LookUp {
    LookUp::Contact { contact: id.to_owned() }
}

fn conversation(contacts: &[&str]) -> LookUp {
    let ticket = TicketId::new("215472621202693").expect("an id");
    LookUp::Conversation { ticket, contacts: contacts.iter().map(|id| (*id).to_owned()).collect() }
}

fn user(id: &str) -> Value {
    json!({"type": "contact", "id": id, "external_id": "42", "role": "user", "email": "User@example.com", "name": "Sample User",
           "created_at": 1_768_018_948, "updated_at": 1_768_018_950, "custom_attributes": {"plan": "growth"}})
}

fn ids(event: &Event) -> Vec<(IdKind, &str)> {
    event.ids.iter().map(|id| (id.kind, id.value.as_str())).collect()
}

fn merged_from(event: &Event) -> Vec<&str> {
    match &event.kind {
        Kind::PersonMerged(merged) => merged.from.iter().map(|id| id.value.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

fn report(event: &Event) -> &TicketReport {
    match &event.kind {
        Kind::Ticket(report) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_contact_is_identified_with_all_its_names() {
    let (client, stand_in) = with([reply(200, user(USER))]).await;
    let answer = ask(&client, &contact(USER)).await;
    assert_eq!(answer.outcome, Outcome::Done);
    let [event] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
    assert_eq!(ids(event), [(IdKind::IntercomId, USER), (IdKind::UserId, "42"), (IdKind::Email, "user@example.com")]);
    assert_eq!(event.id, event_id(Source::Intercom, &workspace(), &["look_up", "the-event-that-asked", USER]));
    assert_eq!((event.occurred_at, event.received_at), (Timestamp::from_secs(1_768_018_950), NOW));
    let Kind::PersonIdentified(profile) = &event.kind else { panic!("{:?}", event.kind) };
    assert_eq!(profile.attributes["plan"], "growth");
    assert_eq!(profile.attributes["created_at"], "2026-01-10T04:22:28Z");

    let asked = stand_in.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/contacts/6961d4041c1e12de4c5499cc"));
    assert_eq!(asked.header("authorization"), "Bearer an-access-token");
    assert_eq!(asked.header("intercom-version"), "2.17");
    assert_eq!(asked.header("accept"), "application/json");
}

#[tokio::test]
async fn a_contact_id_cannot_lead_elsewhere() {
    let (client, stand_in) = with([reply(404, "")]).await;
    ask(&client, &contact("../admins?x#y")).await;
    assert_eq!(stand_in.asked()[0].target, "/contacts/..%2Fadmins%3Fx%23y");
}

#[tokio::test]
async fn a_merged_contact_is_followed_once_and_keeps_both_ids() {
    let merged = || reply(410, json!({"type": "error.list"})).with("link", format!("</contacts/{USER}>; rel=\"canonical\""));
    let (client, stand_in) = with([merged(), reply(200, user(USER))]).await;
    let answer = ask(&client, &contact(LEAD)).await;
    assert_eq!(answer.outcome, Outcome::Done);
    let [merged_event, identified] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
    assert_eq!(merged_from(merged_event), [LEAD]);
    assert_eq!(ids(merged_event), [(IdKind::IntercomId, USER), (IdKind::UserId, "42"), (IdKind::Email, "user@example.com")]);
    let expected = [(IdKind::IntercomId, USER), (IdKind::IntercomId, LEAD), (IdKind::UserId, "42"), (IdKind::Email, "user@example.com")];
    assert_eq!(ids(identified), expected);
    assert_eq!(identified.kind.profile(), merged_event.kind.profile());
    assert!(matches!(identified.kind, Kind::PersonIdentified(_)));
    assert_ne!(identified.id, merged_event.id);
    assert_eq!(stand_in.asked()[1].target, format!("/contacts/{USER}"));

    let (client, stand_in) = with([merged(), merged(), reply(200, user(USER))]).await;
    assert_eq!(ask(&client, &contact(LEAD)).await.outcome, Outcome::rejected("merged_into_merged_contact", ""));
    assert_eq!(stand_in.unused_replies(), 1);
    let (client, _) = with([reply(410, "")]).await;
    assert_eq!(ask(&client, &contact(LEAD)).await.outcome, Outcome::rejected("merged_into_unknown_contact", ""));
}

#[tokio::test]
async fn a_contact_that_answers_under_another_id_was_merged() {
    let (client, stand_in) = with([reply(200, user(USER))]).await;
    let answer = ask(&client, &contact(LEAD)).await;
    let [merged, identified] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
    assert_eq!((merged_from(merged), ids(identified)[1]), (vec![LEAD], (IdKind::IntercomId, LEAD)));
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a_contact_is_told_whole_with_its_number_and_its_consent() {
    let mut spammed = user(USER);
    for (key, value) in [("phone", json!("+1 555-555-0100")), ("unsubscribed_from_emails", json!(true))] {
        spammed[key] = value;
    }
    let (client, _) = with([reply(200, spammed)]).await;
    let answer = ask(&client, &contact(USER)).await;
    assert_eq!(ids(&answer.events[0])[3], (IdKind::Phone, "+15555550100"));
    let profile = answer.events[0].kind.profile().expect("a profile");
    assert!(profile.whole);
    assert_eq!(profile.consent, [ConsentChange { channel: Some(Channel::Email), topic: None, choice: Choice::Out }]);
}

#[tokio::test]
async fn a_contact_that_is_not_found_may_be_too_new() {
    let (client, _) = with([reply(404, json!({"type": "error.list", "errors": [{"code": "not_found"}]}))]).await;
    let answer = ask(&client, &contact(USER)).await;
    assert_eq!(answer.outcome, Outcome::retry(Span::ZERO, "contact_not_found"));
    assert_eq!(answer.events, []);
    assert_eq!(client.pause(NOW), None);
}

#[tokio::test]
async fn every_other_answer_keeps_or_parks_the_question() {
    for (answer, outcome) in [
        (reply(400, "{}"), Outcome::rejected("refused_by_intercom", "status 400")),
        (reply(409, "{}"), Outcome::rejected("refused_by_intercom", "status 409")),
        (reply(401, "{}"), Outcome::retry(Span::from_mins(1), "destination_refused_key")),
        (reply(403, "{}"), Outcome::retry(Span::from_mins(1), "destination_refused_key")),
        (reply(302, "").with("location", "/elsewhere"), Outcome::retry(Span::from_mins(1), "destination_redirected")),
        (reply(500, "{}"), Outcome::retry(Span::ZERO, "destination_failed")),
        (reply(503, "{}").with("retry-after", "5"), Outcome::retry(Span::from_secs(5), "destination_failed")),
        (reply(200, "<html>"), Outcome::retry(Span::ZERO, "unreadable_answer")),
        (reply(200, "[]"), Outcome::retry(Span::ZERO, "unreadable_answer")),
        (reply(200, "{}"), Outcome::retry(Span::ZERO, "unreadable_answer")),
    ] {
        for question in [contact(USER), conversation(&[USER])] {
            let (client, _) = with([answer.clone()]).await;
            let looked_up = ask(&client, &question).await;
            assert_eq!(looked_up.outcome, outcome, "{question:?}");
            assert_eq!(looked_up.events, []);
        }
    }
}

#[tokio::test]
async fn a_429_waits_for_the_reset_and_so_do_the_next_questions() {
    let reset = NOW.secs() + 7;
    let (client, stand_in) = with([reply(429, "{}").with("x-ratelimit-reset", reset)]).await;
    assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::retry(Span::from_secs(7), "rate_limited"));
    assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::retry(Span::from_secs(7), "over_our_rate"));
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(client.pause(NOW), Some(Span::from_secs(7)));
    for (answer, secs) in [
        (reply(429, "{}"), 0),
        (reply(429, "{}").with("retry-after", "3"), 3),
        // A window is ten seconds, whatever their clock says.
        (reply(429, "{}").with("x-ratelimit-reset", NOW.secs() + 86_400), 10),
        (reply(429, "{}").with("x-ratelimit-reset", NOW.secs() - 5), 0),
        (reply(429, "{}").with("x-ratelimit-reset", NOW.secs() - 5).with("retry-after", "3"), 3),
        (reply(429, "{}").with("x-ratelimit-reset", "soon"), 0),
    ] {
        let (client, _) = with([answer]).await;
        assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::retry(Span::from_secs(secs), "rate_limited"));
    }
}

#[tokio::test]
async fn an_almost_empty_window_holds_the_next_question() {
    let nearly_empty = reply(200, user(USER))
        .with("x-ratelimit-limit", "1666")
        .with("x-ratelimit-remaining", "12")
        .with("x-ratelimit-reset", NOW.secs() + 4);
    let (client, _) = with([nearly_empty]).await;
    assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::Done);
    assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::retry(Span::from_secs(4), "over_our_rate"));
}

#[tokio::test]
async fn no_connection_no_answer_and_too_much_of_an_answer() {
    let nobody = client(&nobody(), &http());
    for _ in 0..5 {
        assert_eq!(ask(&nobody, &contact(USER)).await.outcome, Outcome::retry(Span::ZERO, "destination_unreachable"));
    }
    assert_eq!(ask(&nobody, &contact(USER)).await.outcome, Outcome::retry(Span::from_secs(1), "destination_paused"));
    let (_stand_in, url) = StandIn::start([hang()]).await;
    let hanging = client(&url, &impatient_http());
    assert_eq!(ask(&hanging, &contact(USER)).await.outcome, Outcome::retry(Span::ZERO, "destination_timed_out"));
    let (_stand_in, url) = StandIn::start([reply(200, "x".repeat(2_001))]).await;
    let flooded = client(&url, &brief_http());
    assert_eq!(ask(&flooded, &contact(USER)).await.outcome, Outcome::rejected("answer_too_large", ""));
}

fn open_conversation(updated_at: i64) -> Value {
    json!({"type": "conversation", "id": "215472621202693", "created_at": 1_768_031_789, "updated_at": updated_at, "state": "closed",
           "open": false, "priority": "urgent",
           "source": {"delivered_as": "customer_initiated", "body": "<p>private</p>", "author": {"type": "user", "id": USER, "email": "user@example.com"}},
           "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": USER, "external_id": "42"}]},
           "conversation_parts": {"type": "conversation_part.list", "conversation_parts": [{"id": "9", "part_type": "comment"}, {"id": "10", "part_type": "close"}]},
           "ticket": {"type": "ticket", "id": "215472621202693", "category": "Customer", "ticket_type": {"name": "Bug"},
                      "ticket_state": {"category": "in_progress"}, "open": true}})
}

#[tokio::test]
async fn a_conversation_is_read_again_for_the_person_asked_about() {
    let conversation_again = || reply(200, open_conversation(1_768_033_000));
    let (client, stand_in) = with([conversation_again(), conversation_again(), reply(200, user(LEAD))]).await;
    // One person under two ids, of which the conversation names one: they take part.
    let answer = ask(&client, &conversation(&[USER, LEAD])).await;
    assert_eq!(answer.outcome, Outcome::Done);
    let [present] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
    assert_eq!(stand_in.asked()[0].target, "/conversations/215472621202693");
    assert_eq!(stand_in.asked().len(), 1);

    let report_of = report(present);
    assert_eq!(report_of.fact, TicketFact::ReRead);
    let seen: Vec<_> = report_of.seen.iter().map(|s| (s.register, s.state, s.at, s.part, s.evidence)).collect();
    let at = Timestamp::from_secs(1_768_033_000);
    assert_eq!(
        seen,
        [(Register::Conversation, State::Closed, at, 10, Evidence::ReRead), (Register::Ticket, State::Open, at, 10, Evidence::ReRead),]
    );
    assert_eq!(report_of.priority, Some(Priority::Urgent));
    assert_eq!(report_of.started_by, Some(StartedBy::Customer));
    assert_eq!(report_of.audience, Some(Audience::Customer));
    assert_eq!(report_of.ticket_type.as_deref(), Some("Bug"));
    assert_eq!(ids(present), [(IdKind::IntercomId, USER), (IdKind::UserId, "42"), (IdKind::Email, "user@example.com")]);
    assert_eq!(present.id, event_id(Source::Intercom, &workspace(), &["look_up", "the-event-that-asked", USER]));

    let nobody_of_them = ask(&client, &conversation(&[LEAD])).await;
    let [absent] = nobody_of_them.events.as_slice() else { panic!("{:?}", nobody_of_them.events) };
    assert_eq!(report(absent).fact, TicketFact::Detached);
    assert_eq!(report(absent).seen, report_of.seen);
    assert_eq!(ids(absent), [(IdKind::IntercomId, LEAD)]);
    assert_ne!(absent.id, present.id);
    assert!(!serde_json::to_string(&answer.events).expect("JSON").contains("private"));
}

#[tokio::test]
async fn whoever_was_merged_into_somebody_listed_still_takes_part() {
    let open = || reply(200, open_conversation(1_768_033_000));
    let into = |id: &str| reply(410, json!({"type": "error.list"})).with("link", format!("</contacts/{id}>; rel=\"canonical\""));
    // Also where Intercom answers with the survivor at once.
    for lead in [into(USER), reply(200, user(USER))] {
        let (client, stand_in) = with([open(), reply(200, user(OTHER)), lead]).await;
        let answer = ask(&client, &conversation(&[OTHER, LEAD])).await;
        assert_eq!(answer.outcome, Outcome::Done);
        let [merged, present] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
        let survivor = [(IdKind::IntercomId, USER), (IdKind::UserId, "42"), (IdKind::Email, "user@example.com")];
        assert_eq!((merged_from(merged), ids(merged)), (vec![LEAD], survivor.to_vec()));
        assert_eq!(merged.kind.profile().map(|profile| profile.whole), Some(false), "a conversation shows no whole contact");
        assert_eq!((report(present).fact.clone(), report(present).seen.len()), (TicketFact::ReRead, 2));
        assert_eq!(ids(present)[..2], [(IdKind::IntercomId, USER), (IdKind::IntercomId, LEAD)]);
        assert_ne!(merged.id, present.id);
        assert_eq!(stand_in.asked().len(), 3);
    }
    // Into somebody who is not there; or deleted, for all that Intercom says.
    for lead in [into(OTHER), reply(410, ""), reply(404, "{}"), reply(200, user(LEAD))] {
        let (client, _) = with([open(), lead]).await;
        let answer = ask(&client, &conversation(&[LEAD])).await;
        let [absent] = answer.events.as_slice() else { panic!("{:?}", answer.events) };
        assert_eq!((report(absent).fact.clone(), ids(absent)), (TicketFact::Detached, vec![(IdKind::IntercomId, LEAD)]));
    }
    // Not knowing is no reason to believe either.
    for (lead, outcome) in [(reply(500, "{}"), "destination_failed"), (reply(200, "[]"), "unreadable_answer")] {
        let (client, _) = with([open(), lead]).await;
        let answer = ask(&client, &conversation(&[LEAD])).await;
        assert_eq!((answer.outcome, answer.events), (Outcome::retry(Span::ZERO, outcome), Vec::new()));
    }
}

#[tokio::test]
async fn of_very_many_contacts_only_some_are_asked_about() {
    let many: Vec<String> = (0..30).map(|n| format!("lead{n:02}")).collect();
    let alive = many.iter().map(|id| reply(200, user(id)));
    let (client, stand_in) = with([reply(200, open_conversation(1_768_033_000))].into_iter().chain(alive)).await;
    let answer = ask(&client, &conversation(&many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!(report(&answer.events[0]).fact, TicketFact::Detached);
    assert_eq!(stand_in.asked().len(), 11);
}

#[tokio::test]
async fn a_conversation_that_has_just_changed_is_read_later() {
    for (age, outcome) in [(0, "too_fresh"), (1, "too_fresh"), (2, "done")] {
        let (client, _) = with([reply(200, open_conversation(NOW.secs() - age))]).await;
        let answer = ask(&client, &conversation(&[USER])).await;
        assert_eq!(answer.outcome.reason().map_or("done", |reason| reason.code.as_str()), outcome, "{age} s old");
        assert!(outcome == "done" || answer.outcome == Outcome::retry(Span::from_secs(2), "too_fresh"));
    }
}

#[tokio::test]
async fn without_its_list_of_contacts_a_conversation_says_nothing_of_them() {
    let mut unlisted = open_conversation(1_768_033_000);
    unlisted["contacts"] = Value::Null;
    let (client, _) = with([reply(200, unlisted)]).await;
    assert_eq!(ask(&client, &conversation(&[USER])).await.outcome, Outcome::retry(Span::ZERO, "unreadable_answer"));
    let mut empty = open_conversation(1_768_033_000);
    empty["contacts"] = json!({"type": "contact.list", "contacts": []});
    let (client, _) = with([reply(200, empty)]).await;
    assert_eq!(report(&ask(&client, &conversation(&[USER])).await.events[0]).fact, TicketFact::Detached);
}

#[tokio::test]
async fn where_nobody_is_known_all_who_take_part_are_told() {
    let mut group = open_conversation(1_768_033_000);
    let listed = |id: &str| json!({"type": "contact", "id": id, "external_id": null});
    group["contacts"] = json!({"type": "contact.list", "contacts": [listed(LEAD), listed(USER), listed(LEAD)]});
    let (client, stand_in) = with([reply(200, group)]).await;
    let answer = ask(&client, &conversation(&[])).await;
    assert_eq!((answer.outcome, stand_in.asked().len()), (Outcome::Done, 1));
    let mut told: Vec<&str> = answer.events.iter().map(|event| event.ids[0].value.as_str()).collect();
    told.sort_unstable();
    let mut both = [USER, LEAD];
    both.sort_unstable();
    assert_eq!(told, both);
    assert!(answer.events.iter().all(|event| report(event).fact == TicketFact::ReRead));
    assert_ne!(answer.events[0].id, answer.events[1].id);

    let mut empty = open_conversation(1_768_033_000);
    empty["contacts"] = json!({"type": "contact.list", "contacts": []});
    let (client, _) = with([reply(200, empty)]).await;
    let answer = ask(&client, &conversation(&[])).await;
    assert_eq!((answer.outcome, answer.events.len()), (Outcome::skipped("no_contacts"), 0));
}

#[tokio::test]
async fn a_conversation_that_is_read_again_shows_who_spoke_and_what_fin_came_to() {
    let mut fin = open_conversation(1_768_033_000);
    fin["ticket"] = Value::Null;
    fin["source"] = json!({"delivered_as": "operator_initiated", "author": {"type": "bot", "id": "278"}});
    fin["ai_agent_participated"] = json!(true);
    fin["ai_agent"] = json!({"source_type": "workflow", "resolution_state": "assumed_resolution"});
    fin["conversation_parts"]["conversation_parts"] = json!([
        {"id": "9", "part_type": "comment", "created_at": 1_768_032_000, "author": {"type": "user", "id": USER}},
        {"id": "10", "part_type": "comment", "created_at": 1_768_033_000, "author": {"type": "bot", "id": "278", "from_ai_agent": true}}]);
    let (client, _) = with([reply(200, fin)]).await;
    let answer = ask(&client, &conversation(&[USER])).await;
    let said = Timestamp::from_secs(1_768_032_000);
    let report = report(&answer.events[0]);
    assert_eq!((report.spoke_at, report.word, report.human), (Some(said), Some(Word { at: said, part: 9 }), false));
    let resolution = Some(AiResolution::AssumedResolution);
    assert_eq!(report.ai, Some(AiReport { resolution, preview: false, answered_at: Some(Timestamp::from_secs(1_768_033_000)) }));
}

#[tokio::test]
async fn what_is_neither_a_conversation_nor_a_ticket_has_been_deleted() {
    let (client, stand_in) = with([reply(404, "{}"), reply(404, "{}")]).await;
    let answer = ask(&client, &conversation(&[USER, LEAD])).await;
    assert_eq!(
        answer.outcome,
        Outcome::retry(Span::ZERO, "conversation_not_found"),
        "it may be too new; whoever asks decides when to believe it"
    );
    let facts: Vec<_> = answer.events.iter().map(|event| (ids(event), report(event).fact.clone())).collect();
    let expected = [(vec![(IdKind::IntercomId, USER)], TicketFact::Deleted), (vec![(IdKind::IntercomId, LEAD)], TicketFact::Deleted)];
    assert_eq!(facts, expected);
    assert_eq!(stand_in.asked()[1].target, "/tickets/215472621202693");
    // Half an answer is none.
    let (client, _) = with([reply(404, "{}"), reply(500, "{}")]).await;
    let answer = ask(&client, &conversation(&[USER])).await;
    assert_eq!((answer.outcome, answer.events), (Outcome::retry(Span::ZERO, "destination_failed"), Vec::new()));
}

#[tokio::test]
async fn a_ticket_without_a_conversation_of_its_id_is_read_as_a_ticket() {
    let ticket = json!({"type": "ticket", "id": "215472621202693", "category": "Back-office", "open": true, "created_at": 1_768_113_868,
        "updated_at": 1_768_114_250, "ticket_state": {"category": "resolved"}, "ticket_attributes": {"_default_title_": "private", "Product": "Web"},
        "contacts": {"contacts": [{"type": "contact", "id": USER}]}, "ticket_parts": {"ticket_parts": [{"id": "12", "part_type": "comment"}]}});
    let (client, _) = with([reply(404, "{}"), reply(200, ticket)]).await;
    let answer = ask(&client, &conversation(&[USER])).await;
    let report = report(&answer.events[0]);
    let seen: Vec<_> = report.seen.iter().map(|s| (s.register, s.state, s.part, s.evidence)).collect();
    assert_eq!(seen, [(Register::Ticket, State::Closed, 12, Evidence::ReRead)]);
    assert_eq!(report.audience, Some(Audience::BackOffice));
    assert_eq!(report.attributes.keys().collect::<Vec<_>>(), ["Product"]);
}

#[tokio::test]
async fn a_long_conversation_is_read_although_other_answers_that_long_are_not() {
    let mut long = open_conversation(1_768_033_000);
    long["padding"] = json!("x".repeat(3 * 1024 * 1024));
    let (client, _) = with([reply(200, long)]).await;
    assert_eq!(ask(&client, &conversation(&[USER])).await.outcome, Outcome::Done);
    let mut long = user(USER);
    long["padding"] = json!("x".repeat(3 * 1024 * 1024));
    let (client, _) = with([reply(200, long)]).await;
    assert_eq!(ask(&client, &contact(USER)).await.outcome, Outcome::rejected("answer_too_large", ""));
}
