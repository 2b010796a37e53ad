//! Writes against a server that answers as the vendor's notes say. What each request looks like stands in the cases; here is
//! what is asked in which order, and what becomes of the answers.

mod stand_in;

use secrecy::SecretString;
use serde_json::{Value, json};
use stand_in::{NOW, Reply, StandIn, hang, http, impatient_http, nobody, reply};
use trefoil_connectors::http::Http;
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, Region};
use trefoil_domain::action::{ContactRole, MessageChannel, UpsertCompany};
use trefoil_domain::event::Attributes;
use trefoil_domain::outcome::Outcome;
use trefoil_domain::ports::{Called, ContactFields, Intercom, IntercomCall, Made, SeenContact, Sought};
use trefoil_domain::time::{Span, Timestamp};

const USER: &str = "6961d4041c1e12de4c5499cc";
const OTHER: &str = "6961e1e6d1965062ce6434d1";

fn client(url: &str, http: &Http, change: impl FnOnce(&mut IntercomSettings)) -> IntercomClient {
    let mut settings = IntercomSettings::new(Region::Eu, SecretString::from("an-access-token"));
    settings.url = Some(url.to_owned());
    settings.admin_id = Some("394051".to_owned());
    change(&mut settings);
    IntercomClient::new(&settings, http).expect("settings")
}

async fn with(replies: impl IntoIterator<Item = Reply>) -> (IntercomClient, StandIn) {
    let (stand_in, url) = StandIn::start(replies).await;
    (client(&url, &http(), |_| {}), stand_in)
}

async fn one(answer: Reply, call: &IntercomCall) -> Called {
    with([answer]).await.0.call(call, NOW).await
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    reply(status, json!({"type": "error.list", "request_id": null, "errors": [{"code": code, "message": message}]}))
}

fn user() -> Reply {
    reply(200, json!({"type": "contact", "id": USER, "external_id": "42", "role": "user", "email": "user@example.com"}))
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

fn create(values: Value) -> IntercomCall {
    IntercomCall::CreateContact(ContactFields { user_id: Some("42".to_owned()), attributes: attributes(values), ..Default::default() })
}

fn update(values: Value) -> IntercomCall {
    IntercomCall::UpdateContact {
        contact: USER.to_owned(),
        fields: ContactFields { name: Some("N".to_owned()), attributes: attributes(values), ..Default::default() },
    }
}

fn add_tag(tag: &str) -> IntercomCall {
    IntercomCall::AddTag { contact: USER.to_owned(), tag: tag.to_owned() }
}

fn remove_tag(tag: &str) -> IntercomCall {
    IntercomCall::RemoveTag { contact: USER.to_owned(), tag: tag.to_owned() }
}

fn track() -> IntercomCall {
    IntercomCall::TrackEvent { contact: USER.to_owned(), name: "resolved".to_owned(), at: 1_768_018_948, metadata: Attributes::new() }
}

fn subscription(topic: &str, subscribed: bool) -> IntercomCall {
    IntercomCall::SetSubscription { contact: USER.to_owned(), topic: Some(topic.to_owned()), subscribed }
}

fn open() -> IntercomCall {
    IntercomCall::OpenConversation { contact: USER.to_owned(), role: Some(ContactRole::User), body: "I need a hand".to_owned() }
}

fn note() -> IntercomCall {
    IntercomCall::NoteOnConversation { conversation: "215472621202693".to_owned(), body: "Called them".to_owned() }
}

fn message(subject: Option<&str>) -> IntercomCall {
    let subject = subject.map(str::to_owned);
    IntercomCall::SendMessage { contact: USER.to_owned(), role: None, channel: MessageChannel::Email, subject, body: "Hello".to_owned() }
}

fn ticket() -> IntercomCall {
    IntercomCall::CreateTicket {
        contact: USER.to_owned(),
        ticket_type: "88".to_owned(),
        title: "Cannot log in".to_owned(),
        description: None,
        attributes: Attributes::new(),
    }
}

fn company() -> IntercomCall {
    IntercomCall::UpsertCompany(UpsertCompany { company_id: "acme".to_owned(), ..Default::default() })
}

fn made(id: &str, role: Option<ContactRole>) -> Called {
    Called::Done(Made { id: Some(id.to_owned()), role, ..Made::default() })
}

/// Of the notes, those about what was not written at all.
fn left_out(notes: &[String]) -> Vec<String> {
    notes.iter().filter(|note| !note.starts_with("text_cut")).filter_map(|note| Some(note.split_once(": ")?.1.to_owned())).collect()
}

fn done() -> Called {
    Called::Done(Made::default())
}

fn targets(stand_in: &StandIn) -> Vec<String> {
    stand_in.asked().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
}

#[tokio::test]
async fn every_answer_means_what_the_table_says() {
    let canonical = || error(410, "contact_merged", "Gone").with("link", format!("</contacts/{OTHER}>; rel=\"canonical\""));
    let rejected = |detail: &str| Called::Not(Outcome::rejected("refused_by_intercom", detail));
    let later = |secs, code| Outcome::retry(Span::from_secs(secs), code);
    let exists = |archived| Called::Exists { contact: OTHER.to_owned(), archived };
    let taken = format!("A contact matching those details already exists with id={OTHER}");
    let archived = format!("An archived contact matching those details already exists with id={OTHER}");
    let twice = "Multiple existing users match this email address - must be more specific using user_id";
    for (call, answer, expected) in [
        (create(json!({})), user(), made(USER, Some(ContactRole::User))),
        (create(json!({})), error(409, "conflict", &taken), exists(false)),
        (create(json!({})), error(409, "conflict", &archived), exists(true)),
        (create(json!({})), error(409, "conflict", twice), Called::Not(Outcome::blocked("ambiguous"))),
        (create(json!({})), reply(409, ""), Called::Not(later(60, "contact_exists"))),
        // Whose that one is, whoever asked has to find out before it gets anything.
        (update(json!({})), error(409, "conflict", &taken), exists(false)),
        (update(json!({})), error(404, "not_found", "User Not Found"), Called::NoContact),
        (update(json!({})), canonical(), Called::MergedInto(OTHER.to_owned())),
        (update(json!({})), reply(410, ""), Called::Not(Outcome::rejected("merged_into_unknown_contact", ""))),
        (update(json!({})), error(400, "parameter_invalid", "jo@example.com is no number"), rejected("status 400 parameter_invalid")),
        (update(json!({})), error(422, "not a word: jo@example.com", ""), rejected("status 422")),
        (update(json!({})), error(403, "forbidden", ""), rejected("status 403 forbidden")),
        (update(json!({})), reply(401, ""), Called::Not(later(60, "destination_refused_key"))),
        (update(json!({})), reply(302, ""), Called::Not(later(60, "destination_redirected"))),
        (update(json!({})), reply(429, "").with("x-ratelimit-reset", NOW.secs() + 7), Called::Not(later(7, "rate_limited"))),
        (update(json!({})), reply(408, ""), Called::Not(later(0, "destination_failed"))),
        (update(json!({})), reply(503, "").with("retry-after", "5"), Called::Not(later(5, "destination_failed"))),
        (update(json!({})), reply(200, "<html>"), Called::Unknown(later(0, "unreadable_answer"))),
        (message(Some("News")), error(403, "api_plan_restricted", ""), rejected("status 403 api_plan_restricted")),
        (open(), reply(200, json!({"type": "user_message", "id": "1", "conversation_id": "499"})), made("499", None)),
        (open(), reply(200, json!({"type": "user_message", "id": "1"})), Called::Unknown(later(0, "unreadable_answer"))),
        (open(), error(404, "not_found", "User Not Found"), Called::NoContact),
        (open(), reply(500, ""), Called::Unknown(later(0, "destination_failed"))),
        (open(), reply(408, ""), Called::Unknown(later(0, "destination_failed"))),
        (open(), reply(429, ""), Called::Not(later(0, "rate_limited"))),
        (open(), reply(422, ""), rejected("status 422")),
        (note(), reply(200, json!({"type": "conversation", "id": "215472621202693"})), made("215472621202693", None)),
        (note(), error(404, "not_found", "Resource Not Found"), Called::Not(Outcome::rejected("not_found", "status 404 not_found"))),
        (ticket(), reply(200, json!({"type": "ticket", "id": "9", "ticket_id": "1"})), made("9", None)),
        (ticket(), error(404, "not_found", "User Not Found"), Called::NoContact),
        (
            ticket(),
            error(404, "not_found", "Resource Not Found"),
            Called::Not(Outcome::rejected("not_found", "Intercom knows no ticket type of that id")),
        ),
        (company(), reply(200, json!({"type": "company", "id": "58a4", "company_id": "acme"})), made("58a4", None)),
        (track(), reply(202, ""), done()),
        (track(), error(404, "not_found", "User Not Found"), Called::NoContact),
        (track(), error(400, "x", "Cannot have more than 120 active event names"), Called::TooManyNames),
        (track(), error(403, "x", "Cannot have more than 120 active event names"), Called::TooManyNames),
    ] {
        let name = format!("{call:?}");
        assert_eq!(one(answer, &call).await, expected, "{name}");
    }
}

#[tokio::test]
async fn a_refusal_of_one_write_stops_nothing_and_a_refused_token_everything() {
    let (client, _) = with([error(403, "forbidden", ""), reply(401, "")]).await;
    client.call(&track(), NOW).await;
    assert_eq!(Intercom::pause(&client, NOW), None);
    client.call(&track(), NOW).await;
    assert_eq!(Intercom::pause(&client, NOW), Some(Span::from_mins(1)));
    assert_eq!(client.call(&track(), NOW).await, Called::Not(Outcome::retry(Span::from_mins(1), "destination_paused")));
    // To a question it says that the token may not even ask.
    let (client, _) = with([error(403, "forbidden", "")]).await;
    let failed = Sought::Failed(Outcome::retry(Span::from_mins(1), "destination_refused_key"));
    assert_eq!(client.with_user_id("42", NOW).await, failed);
    assert_eq!(Intercom::pause(&client, NOW), Some(Span::from_mins(1)));
}

#[tokio::test]
async fn without_an_answer_it_may_have_been_done_and_without_a_connection_it_was_not() {
    let nobody = client(&nobody(), &http(), |_| {});
    assert_eq!(nobody.call(&open(), NOW).await, Called::Not(Outcome::retry(Span::ZERO, "destination_unreachable")));
    for call in [open(), track()] {
        let (stand_in, url) = StandIn::start([hang()]).await;
        let hanging = client(&url, &impatient_http(), |_| {});
        assert_eq!(hanging.call(&call, NOW).await, Called::Unknown(Outcome::retry(Span::ZERO, "destination_timed_out")));
        assert_eq!(stand_in.asked().len(), 1);
    }
    let (stand_in, url) = StandIn::start([hang()]).await;
    let hanging = client(&url, &impatient_http(), |_| {});
    // What could not be found out about the tag did not tag anybody.
    let tag = IntercomCall::TagConversation { conversation: "1".to_owned(), tag: "vip".to_owned() };
    assert_eq!(hanging.call(&tag, NOW).await, Called::Not(Outcome::retry(Span::ZERO, "destination_timed_out")));
    assert_eq!(targets(&stand_in), ["POST /tags"]);
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let (client, stand_in) = with([]).await;
    for id in ["", ".", ".."] {
        let call = IntercomCall::DeleteContact { contact: id.to_owned() };
        assert_eq!(client.call(&call, NOW).await, Called::Not(Outcome::rejected("unusable_id", "an id is empty or made of dots")));
    }
    assert_eq!(stand_in.asked().len(), 0);
}

#[tokio::test]
async fn nothing_is_written_in_the_name_of_nobody() {
    let (stand_in, url) = StandIn::start([]).await;
    for nobody in [None, Some(" ".to_owned())] {
        let client = client(&url, &http(), |settings| settings.admin_id = nobody);
        let id = || "1".to_owned();
        for call in [
            IntercomCall::AssignToAdmin { conversation: id(), admin: id() },
            IntercomCall::AssignToTeam { conversation: id(), team: id() },
            note(),
            IntercomCall::TagConversation { conversation: id(), tag: id() },
            IntercomCall::NoteOnContact { contact: id(), body: id() },
            message(Some("News")),
            IntercomCall::AssignTicket { ticket: id(), assignee: id() },
        ] {
            let Called::Not(Outcome::Rejected { reason }) = client.call(&call, NOW).await else { panic!("{call:?}") };
            assert_eq!(reason.code, "no_admin_id");
            assert!(reason.detail.contains("TREFOIL_INTERCOM_ADMIN_ID"));
        }
    }
    assert_eq!(stand_in.asked().len(), 0);
}

#[tokio::test]
async fn people_are_looked_for_by_id_and_by_address() {
    let seen = |id: &str, role, user_id: Option<&str>| SeenContact { id: id.to_owned(), role, user_id: user_id.map(str::to_owned) };
    let lead = json!({"id": OTHER, "role": "lead", "external_id": "5e68ece4-0ec8-4792-baac-02deba39e7fe", "email": "USER@example.com"});
    let found = json!({"type": "list", "total_count": 3, "data": [{"id": USER, "role": "user", "external_id": "42"}, lead,
        {"id": "3", "role": "user", "email": "another@example.com"}]});
    let merged = reply(410, "").with("link", format!("</contacts/{USER}>; rel=\"canonical\""));
    let (client, stand_in) =
        with([user(), error(404, "not_found", "User Not Found"), merged, user(), reply(200, found), reply(200, json!({"data": []}))]).await;
    let user = || vec![seen(USER, ContactRole::User, Some("42"))];
    assert_eq!(client.with_user_id("4/2", NOW).await, Sought::Found(user()));
    assert_eq!(client.with_user_id("43", NOW).await, Sought::Found(Vec::new()));
    assert_eq!(client.with_user_id("44", NOW).await, Sought::Found(user()));
    let both = vec![seen(USER, ContactRole::User, Some("42")), seen(OTHER, ContactRole::Lead, None)];
    assert_eq!(client.with_email("user@example.com", NOW).await, Sought::Found(both));
    assert_eq!(client.with_email("user@example.com", NOW).await, Sought::Found(Vec::new()));
    let asked = targets(&stand_in);
    let expected = ["GET /contacts/find_by_external_id/4%2F2", "GET /contacts/find_by_external_id/43"];
    assert_eq!((&asked[..2], asked[3].as_str()), (&expected.map(str::to_owned)[..], "GET /contacts/6961d4041c1e12de4c5499cc"));
    for answer in [reply(200, "{}"), reply(200, "<html>"), reply(200, json!({"data": 5}))] {
        let (client, _) = with([answer]).await;
        assert_eq!(client.with_email("user@example.com", NOW).await, Sought::Failed(Outcome::retry(Span::ZERO, "unreadable_answer")));
    }
}

fn tag(id: &str, name: &str) -> Value {
    json!({"type": "tag", "id": id, "name": name})
}

#[tokio::test]
async fn the_id_of_a_tag_is_asked_for_once() {
    let (client, stand_in) =
        with([reply(200, tag("7", "VIP")), reply(200, tag("7", "VIP")), reply(200, tag("7", "VIP")), reply(200, tag("7", "VIP"))]).await;
    for call in [add_tag("VIP"), add_tag("vip"), remove_tag("Vip")] {
        assert_eq!(client.call(&call, NOW).await, made("7", None));
    }
    let tags = format!("/contacts/{USER}/tags");
    assert_eq!(targets(&stand_in), ["POST /tags".to_owned(), format!("POST {tags}"), format!("POST {tags}"), format!("DELETE {tags}/7")]);
}

#[tokio::test]
async fn a_tag_that_was_deleted_and_made_anew_has_another_id() {
    let gone = || error(404, "not_found", "Resource Not Found");
    let first = || [reply(200, tag("7", "vip")), reply(200, tag("7", "vip"))];
    let (client, stand_in) = with(first().into_iter().chain([gone(), reply(200, tag("8", "vip")), reply(200, tag("8", "vip"))])).await;
    client.call(&add_tag("vip"), NOW).await;
    assert_eq!(client.call(&add_tag("vip"), NOW).await, made("8", None));
    assert_eq!(stand_in.asked()[4].json(), json!({"id": "8"}));
    // It is the contact, then; it may also say so itself.
    let (client, _) = with(first().into_iter().chain([gone(), reply(200, tag("7", "vip"))])).await;
    client.call(&add_tag("vip"), NOW).await;
    assert_eq!(client.call(&add_tag("vip"), NOW).await, Called::NoContact);
    let (client, stand_in) = with(first().into_iter().chain([error(404, "not_found", "User Not Found")])).await;
    client.call(&add_tag("vip"), NOW).await;
    assert_eq!(client.call(&add_tag("vip"), NOW).await, Called::NoContact);
    assert_eq!(stand_in.asked().len(), 3);
}

#[tokio::test]
async fn taking_off_a_tag_makes_none() {
    let all = || reply(200, json!({"type": "list", "data": [tag("6", "other"), tag("7", "VIP")]}));
    let (client, stand_in) = with([all(), all(), error(404, "not_found", "Resource Not Found")]).await;
    assert_eq!(client.call(&remove_tag("unknown"), NOW).await, done());
    assert_eq!(client.call(&remove_tag("vip"), NOW).await, done());
    let off = format!("DELETE /contacts/{USER}/tags/7");
    assert_eq!(targets(&stand_in), ["GET /tags", "GET /tags", off.as_str()]);
    let (client, _) = with([all(), error(404, "not_found", "User Not Found")]).await;
    assert_eq!(client.call(&remove_tag("vip"), NOW).await, Called::NoContact);
}

#[tokio::test]
async fn types_of_subscriptions_are_asked_for_once_a_minute_at_most() {
    let types = || {
        reply(
            200,
            json!({"type": "list", "data": [
                {"id": "1", "state": "live", "consent_type": "opt_out", "default_translation": {"name": "Newsletter"}},
                {"id": "2", "state": "live", "consent_type": "opt_in", "default_translation": {"name": "Announcements"}}]}),
        )
    };
    let yes = || reply(200, json!({"type": "subscription", "id": "1"}));
    let not_listed = || error(404, "not_found", "Resource Not Found");
    let (client, stand_in) = with([types(), yes(), not_listed(), yes(), types(), not_listed()]).await;
    assert_eq!(client.call(&subscription("newsletter", false), NOW).await, done());
    // Not on the list is where they are to be.
    assert_eq!(client.call(&subscription("1", true), NOW).await, done());
    assert_eq!(client.call(&subscription("Announcements", true), NOW).await, done());
    let Called::Not(Outcome::Rejected { reason }) = client.call(&subscription("Gossip", true), NOW).await else { panic!("rejected") };
    assert_eq!(reason.code, "unknown_subscription_type");
    assert!(reason.detail.contains("Gossip"));
    assert_eq!(stand_in.asked().len(), 4);
    let later = NOW.plus(Span::from_mins(1));
    assert!(matches!(client.call(&subscription("Gossip", true), later).await, Called::Not(Outcome::Rejected { .. })));
    // Getting onto a list that is not there any more is another thing.
    assert_eq!(client.call(&subscription("Newsletter", false), later).await, Called::NoContact);
    let of = format!("/contacts/{USER}/subscriptions");
    let expected = ["GET /subscription_types".to_owned(), format!("POST {of}"), format!("DELETE {of}/1"), format!("POST {of}")];
    assert_eq!(targets(&stand_in)[..4], expected);
}

fn listed(name: &str, data_type: &str) -> Value {
    json!({"type": "data_attribute", "name": name, "full_name": format!("custom_attributes.{name}"), "data_type": data_type,
           "custom": true, "api_writable": true, "archived": false})
}

fn list(attributes: &[Value]) -> Reply {
    reply(200, json!({"type": "list", "data": attributes}))
}

fn unknown_attribute() -> Reply {
    error(400, "parameter_invalid", "Custom attribute 'x' does not exist")
}

fn noted(notes: &[&str]) -> Called {
    let notes: Vec<String> = notes.iter().map(|note| (*note).to_owned()).collect();
    Called::Done(Made { id: Some(USER.to_owned()), role: Some(ContactRole::User), notes: notes.clone(), left_out: left_out(&notes) })
}

fn sent(stand_in: &StandIn, index: usize) -> Value {
    stand_in.asked()[index].json()["custom_attributes"].clone()
}

#[tokio::test]
async fn attributes_that_intercom_has_take_one_call() {
    let (client, stand_in) = with([user()]).await;
    let values = json!({"plan": "growth", "none": null, "list": ["a", 1], "a.b": 1, "$c": 2, "long": "x".repeat(256)});
    assert_eq!(client.call(&update(values), NOW).await, noted(&["attribute_name: $c", "attribute_name: a.b", "text_cut: long"]));
    assert_eq!(sent(&stand_in, 0), json!({"plan": "growth", "list": "[\"a\",1]", "long": format!("{}…", "x".repeat(254))}));
}

#[tokio::test]
async fn what_does_not_fit_is_converted_or_left_out_and_from_then_on_beforehand() {
    let mut archived = listed("old", "string");
    archived["archived"] = json!(true);
    let mut read_only = listed("computed", "integer");
    read_only["api_writable"] = json!(false);
    let standard = json!({"name": "email", "full_name": "email", "data_type": "string", "custom": false, "api_writable": true});
    let attributes = [
        listed("text", "string"),
        listed("whole", "integer"),
        listed("number", "float"),
        listed("truth", "boolean"),
        listed("when", "date"),
        listed("wrong", "integer"),
        archived,
        read_only,
        standard,
    ];
    let values = json!({"text": 5, "whole": "7", "number": " 1.5 ", "truth": "TRUE", "when": "2026-01-10T04:22:28Z", "wrong": "many",
        "old": "x", "computed": 1, "email": "x@example.com", "new": true});
    let (client, stand_in) = with([unknown_attribute(), list(&attributes), user(), user(), list(&attributes), user()]).await;
    let notes = ["attribute_unknown: computed", "attribute_unknown: email", "attribute_unknown: new", "attribute_unknown: old"];
    let notes: Vec<&str> = notes.into_iter().chain(["attribute_type: wrong"]).collect();
    let kept = json!({"text": "5", "whole": 7, "number": 1.5, "truth": true, "when": 1_768_018_948});
    assert_eq!(client.call(&update(values.clone()), NOW).await, noted(&notes));
    assert_eq!(sent(&stand_in, 2), kept);
    assert_eq!(client.call(&update(values.clone()), NOW.plus(Span::from_secs(59))).await, noted(&notes));
    assert_eq!(sent(&stand_in, 3), kept);
    // Somebody may have made it since.
    assert_eq!(client.call(&update(values), NOW.plus(Span::from_mins(1))).await, noted(&notes));
    let contact = format!("PUT /contacts/{USER}");
    let attributes = "GET /data_attributes?model=contact";
    assert_eq!(targets(&stand_in), [&contact, attributes, &contact, &contact, attributes, &contact]);
}

#[tokio::test]
async fn attributes_are_made_where_the_operator_wants_that() {
    let replies = [
        error(422, "data_invalid", ""),
        list(&[listed("plan", "string")]),
        reply(200, json!({"type": "data_attribute"})),
        error(400, "parameter_invalid", "You already have 'taken' in your company data"),
        list(&[listed("plan", "string"), listed("score", "float")]),
        user(),
        user(),
    ];
    let (stand_in, url) = StandIn::start(replies).await;
    let client = client(&url, &http(), |settings| settings.create_attributes = true);
    let values = json!({"plan": "growth", "score": 4.5, "taken": true});
    assert_eq!(client.call(&create(values.clone()), NOW).await, noted(&["attribute_unknown: taken"]));
    assert_eq!(stand_in.asked()[2].json(), json!({"name": "score", "model": "contact", "data_type": "float"}));
    assert_eq!(stand_in.asked()[3].json(), json!({"name": "taken", "model": "contact", "data_type": "boolean"}));
    assert_eq!(sent(&stand_in, 5), json!({"plan": "growth", "score": 4.5}));
    // What was refused is not tried with every write.
    assert_eq!(client.call(&create(values), NOW).await, noted(&["attribute_unknown: taken"]));
    assert_eq!(stand_in.asked().len(), 7);
}

#[tokio::test]
async fn a_refusal_that_is_not_about_attributes_stays_one() {
    let refused = || error(400, "parameter_invalid", "");
    let rejected = Called::Not(Outcome::rejected("refused_by_intercom", "status 400 parameter_invalid"));
    // Without attributes nobody asks; all attributes are there; the list may not be read.
    let (client, stand_in) = with([refused()]).await;
    assert_eq!(client.call(&update(json!({})), NOW).await, rejected);
    assert_eq!(stand_in.asked().len(), 1);
    for answer in [list(&[listed("plan", "string")]), error(403, "forbidden", "")] {
        let (client, stand_in) = with([refused(), answer, refused()]).await;
        assert_eq!(client.call(&update(json!({"plan": "growth"})), NOW).await, rejected);
        assert_eq!(stand_in.asked().len(), 2);
        assert_eq!(Intercom::pause(&client, NOW), None);
    }
    // Whether it was about them is not known yet.
    let (client, _) = with([refused(), reply(429, "")]).await;
    assert_eq!(client.call(&update(json!({"plan": "growth"})), NOW).await, Called::Not(Outcome::retry(Span::ZERO, "rate_limited")));
}

#[tokio::test]
async fn a_company_has_attributes_of_its_own() {
    let refused = error(400, "parameter_invalid", "");
    let (client, stand_in) = with([refused, list(&[]), reply(200, json!({"type": "company", "id": "58a4"}))]).await;
    let call = IntercomCall::UpsertCompany(UpsertCompany {
        company_id: "acme".to_owned(),
        size: Some(json!("many")),
        attributes: attributes(json!({"tier": 2})),
        ..Default::default()
    });
    let notes = vec!["number_unreadable: size".to_owned(), "attribute_unknown: tier".to_owned()];
    assert_eq!(
        client.call(&call, NOW).await,
        Called::Done(Made { id: Some("58a4".to_owned()), role: None, left_out: left_out(&notes), notes })
    );
    assert_eq!(targets(&stand_in)[1], "GET /data_attributes?model=company");
    assert_eq!(stand_in.asked()[2].json(), json!({"company_id": "acme"}));
}

#[tokio::test]
async fn the_word_for_a_message_in_the_product_is_a_setting() {
    let (stand_in, url) = StandIn::start([reply(200, json!({"type": "admin_message", "id": "5"}))]).await;
    let client = client(&url, &http(), |settings| settings.in_app_message_type = "inapp".to_owned());
    let call = IntercomCall::SendMessage {
        contact: USER.to_owned(),
        role: Some(ContactRole::User),
        channel: MessageChannel::InApp,
        subject: None,
        body: "Hello".to_owned(),
    };
    assert_eq!(client.call(&call, NOW).await, made("5", None));
    assert_eq!(stand_in.asked()[0].json()["message_type"], "inapp");
    let Called::Not(Outcome::Rejected { reason }) = client.call(&message(None), NOW).await else { panic!("rejected") };
    assert_eq!(reason.code, "no_subject");
}

#[tokio::test]
async fn somebody_of_whom_nobody_knows_what_they_are_is_written_to_as_a_user_and_then_as_a_lead() {
    let nobody = || error(404, "not_found", "User Not Found");
    let (client, stand_in) = with([nobody(), reply(200, json!({"type": "admin_message", "id": "5"})), nobody(), nobody()]).await;
    assert_eq!(client.call(&message(Some("News")), NOW).await, made("5", None));
    assert_eq!(stand_in.asked()[0].json()["to"]["type"], "user");
    assert_eq!(stand_in.asked()[1].json()["to"]["type"], "lead");
    assert_eq!(client.call(&message(Some("News")), NOW).await, Called::NoContact);
}

#[tokio::test]
async fn a_teammate_that_does_not_exist_is_not_taken_for_the_contact() {
    let note = IntercomCall::NoteOnContact { contact: USER.to_owned(), body: "Called them".to_owned() };
    let detail = "Intercom knows no teammate (TREFOIL_INTERCOM_ADMIN_ID) of that id";
    let no_teammate = Called::Not(Outcome::rejected("not_found", detail));
    assert_eq!(one(error(404, "not_found", "Resource Not Found"), &note).await, no_teammate);
    assert_eq!(one(error(404, "not_found", "User Not Found"), &note).await, Called::NoContact);
    assert_eq!(one(reply(404, ""), &note).await, Called::NoContact);
    let attach = IntercomCall::AttachCompany { contact: USER.to_owned(), company: "58a4".to_owned() };
    let no_company = Called::Not(Outcome::rejected("not_found", "Intercom knows no company of that id"));
    assert_eq!(one(error(404, "company_not_found", "Company Not Found"), &attach).await, no_company);
}

#[tokio::test]
async fn our_own_limit_is_no_doubt() {
    let (_stand_in, url) = StandIn::start([reply(202, ""), reply(202, ""), reply(202, "")]).await;
    let client = client(&url, &http(), |settings| settings.per_second = 0.6);
    let at = |millis| Timestamp::from_millis(NOW.millis() + millis);
    let mut over = None;
    for n in 0..4 {
        over = Some(client.call(&open(), at(n)).await);
    }
    let Some(Called::Not(Outcome::RetryAfter { reason, .. })) = over else { panic!("{over:?}") };
    assert_eq!(reason.code, "over_our_rate");
}
