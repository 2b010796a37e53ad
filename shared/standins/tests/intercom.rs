//! Intercom: the world and its webhooks, the REST API that looks it up, and sending.

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::{Answer, Http, NOW, receiver};
use trefoil_standins::Clock;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{
    ApiVersion, Author, ContactChange, ConversationState, CustomerReopens, InApp, Intercom, LongText, MergedContact, NewContact, Options,
    Priority, RatedParts, Redelivery, RefusedAs, Role, RoleByUpdate, SendError, TaggedShape, USER_AGENT, Variants, Webhook, sign,
};

const TOKEN: (&str, &str) = ("authorization", "Bearer standin-access-token");
const VERSION: (&str, &str) = ("intercom-version", "2.16");

struct Desk {
    http: Http,
    intercom: Intercom,
    clock: Clock,
}

impl Desk {
    async fn start(options: Options) -> Self {
        let clock = Clock::manual(NOW);
        let intercom = Intercom::start(Options { clock: clock.clone(), ..options }).await.expect("a free port");
        Self { http: Http::new(), intercom, clock }
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.http.call("GET", &format!("{}{path}", self.intercom.url()), headers, "").await.expect("an answer")
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[TOKEN, VERSION]).await
    }

    fn ada(&self) -> String {
        self.contact(Role::User, Some("42"), Some("ada@example.com"))
    }

    fn contact(&self, role: Role, external_id: Option<&str>, email: Option<&str>) -> String {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let new = NewContact { role: Some(role), external_id: text(external_id), email: text(email), ..NewContact::default() };
        self.intercom.create_contact(new).0
    }
}

fn digits(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn item(webhook: &Webhook) -> Value {
    webhook.json()["data"]["item"].clone()
}

// -------------------------------------------------------------------------------------------------- webhooks

#[tokio::test]
async fn signature_is_hmac_sha1_of_the_body() {
    let body = br#"{"type":"notification_event","topic":"ping","id":null}"#;
    assert_eq!(sign("test-client-secret", body), "sha1=30f2238fdd5528706120a772b4a41c83993f39b7");
    let desk = Desk::start(Options::default()).await;
    let ping = desk.intercom.ping();
    assert_eq!(ping.signature, sign("standin-client-secret", &ping.body));
    assert_eq!((ping.id.clone(), ping.json()["id"].clone(), item(&ping)["type"].clone()), (None, Value::Null, json!("ping")));
}

#[tokio::test]
async fn the_envelope_names_workspace_topic_and_notification() {
    let desk = Desk::start(Options::default()).await;
    let (_, webhook) = desk.intercom.open_conversation(&desk.ada(), Priority::None).expect("a conversation");
    let envelope = webhook.json();
    let id = webhook.id.clone().expect("an id");
    let uuid = id.strip_prefix("notif_").expect("notif_");
    assert_eq!((uuid.len(), uuid.matches('-').count(), uuid.as_bytes()[14]), (36, 4, b'4'));
    let expected = json!({
        "type": "notification_event", "app_id": "abc123def", "id": id, "topic": "conversation.user.created", "created_at": NOW,
        "first_sent_at": NOW, "delivery_attempts": 1, "delivery_status": "pending", "delivered_at": 0, "links": {}, "self": null,
        "data": {"type": "notification_event_data", "item": item(&webhook)},
    });
    assert_eq!((envelope, webhook.topic.as_str()), (expected, "conversation.user.created"));
}

#[tokio::test]
async fn a_conversation_names_its_contact_without_address() {
    let desk = Desk::start(Options::default()).await;
    let ada = desk.ada();
    assert_eq!((ada.len(), ada.bytes().all(|byte| byte.is_ascii_hexdigit())), (24, true));
    let (id, webhook) = desk.intercom.open_conversation(&ada, Priority::High).expect("a conversation");
    let created = item(&webhook);
    assert!(digits(&created["id"]) && created["id"] == id);
    assert_eq!(created["contacts"]["contacts"], json!([{"type": "contact", "id": ada, "external_id": "42"}]));
    assert_eq!(created["source"]["delivered_as"], "customer_initiated");
    assert_eq!(created["source"]["author"], json!({"type": "user", "id": ada, "name": null, "email": "ada@example.com"}));
    assert_eq!(created["source"]["body"], "Hello, I need help");
    assert_eq!((&created["state"], &created["open"], &created["priority"]), (&json!("open"), &json!(true), &json!("high")));
    assert_eq!((&created["admin_assignee_id"], &created["waiting_since"]), (&json!(0), &json!(NOW)));
    assert_eq!(created["conversation_parts"], json!({"type": "conversation_part.list", "conversation_parts": [], "total_count": 0}));

    // A lead without address has an empty one, and an external id that Intercom made.
    let lead = desk.contact(Role::Lead, None, None);
    let (_, webhook) = desk.intercom.open_conversation(&lead, Priority::None).expect("a conversation");
    assert_eq!(item(&webhook)["source"]["author"]["email"], "");
    assert_eq!(item(&webhook)["contacts"]["contacts"][0]["external_id"].as_str().map(str::len), Some(36));

    // The address of the contact is nowhere if the teammate started it.
    let (_, webhook) = desk.intercom.open_conversation_as_teammate(&ada, Priority::None).expect("a conversation");
    assert_eq!(
        (webhook.topic.as_str(), &item(&webhook)["source"]["delivered_as"]),
        ("conversation.admin.single.created", &json!("admin_initiated"))
    );
    assert!(!webhook.json().to_string().contains("ada@example.com"));
}

#[tokio::test]
async fn only_the_causing_part_is_told_and_its_id_grows() {
    let desk = Desk::start(Options::default()).await;
    let ada = desk.ada();
    let (id, _) = desk.intercom.open_conversation(&ada, Priority::None).expect("a conversation");
    let mut last = 0;
    let mut seen = |webhook: &Webhook, topic: &str, part_type: &str, state: &str, author: &str| {
        let item = item(webhook);
        let parts = &item["conversation_parts"];
        assert_eq!((webhook.topic.as_str(), &parts["total_count"]), (topic, &json!(1)));
        let part = &parts["conversation_parts"][0];
        assert_eq!((&part["part_type"], &part["state"], &part["author"]["type"]), (&json!(part_type), &json!(state), &json!(author)));
        assert_eq!((&item["state"], &item["open"]), (&json!(state), &json!(state != "closed")));
        let part_id: u64 = part["id"].as_str().and_then(|id| id.parse().ok()).expect("digits");
        assert!(part_id > last);
        last = part_id;
    };
    let intercom = &desk.intercom;
    let [replied] = intercom.reply(&id, Author::Admin, "Looking").expect("a reply").try_into().expect("one webhook");
    seen(&replied, "conversation.admin.replied", "comment", "open", "admin");
    seen(&intercom.set_priority(&id, Priority::Urgent).expect("set"), "conversation.priority.updated", "priority_changed", "open", "admin");
    desk.clock.set(NOW + 60);
    let snoozed = intercom.snooze(&id, NOW + 3600).expect("snoozed");
    seen(&snoozed, "conversation.admin.snoozed", "snoozed", "snoozed", "admin");
    assert_eq!((&item(&snoozed)["snoozed_until"], &item(&snoozed)["updated_at"]), (&json!(NOW + 3600), &json!(NOW + 60)));
    seen(&intercom.unsnooze(&id).expect("open"), "conversation.admin.unsnoozed", "open", "open", "admin");
    let closed = intercom.close(&id, Author::Bot).expect("closed");
    seen(&closed, "conversation.admin.closed", "close", "closed", "bot");
    assert_eq!(item(&closed)["statistics"]["last_close_at"], "2026-01-10T07:57:29.000Z");
    seen(&intercom.reopen(&id).expect("open"), "conversation.admin.opened", "open", "open", "admin");
    seen(&intercom.close(&id, Author::Admin).expect("closed"), "conversation.admin.closed", "close", "closed", "admin");
    let [reopened] = intercom.reply(&id, Author::Contact(ada), "Still broken").expect("a reply").try_into().expect("one webhook");
    seen(&reopened, "conversation.user.replied", "open", "open", "user");
    assert_eq!(intercom.conversation(&id).expect("a conversation").parts.len(), 8);
}

#[tokio::test]
async fn what_is_open_in_the_vendors_pages_runs_both_ways() {
    let variants = Variants {
        tagged: TaggedShape::ConversationAndTag,
        customer_reopens: CustomerReopens::RepliedAndOpened,
        rated: RatedParts::Last,
        merged_contact: MergedContact::NotFound,
        merged_from: false,
        retry_after: true,
        redelivery: Redelivery::NewId,
        ..Variants::default()
    };
    for (first, variants) in [(true, Variants::default()), (false, variants)] {
        let desk = Desk::start(Options { variants, ..Options::default() }).await;
        let ada = desk.ada();
        let (id, opened) = desk.intercom.open_conversation(&ada, Priority::None).expect("a conversation");

        let tagged = desk.intercom.tag(&id, "churn-risk").expect("tagged");
        let tag = if first { item(&tagged)["tags_added"]["tags"][0].clone() } else { item(&tagged)["tag"].clone() };
        let conversation = if first { item(&tagged) } else { item(&tagged)["conversation"].clone() };
        assert_eq!((tagged.topic.as_str(), &tag["name"]), ("conversation_part.tag.created", &json!("churn-risk")));
        assert_eq!((&conversation["id"], &conversation["tags"]["tags"][0]["id"]), (&json!(id), &tag["id"]));

        desk.intercom.close(&id, Author::Admin).expect("closed");
        let rated = desk.intercom.rate(&id, 2, Some("Slow")).expect("rated");
        let rating = json!({"rating": 2, "remark": "Slow", "created_at": NOW, "updated_at": NOW,
            "contact": {"type": "contact", "id": ada, "external_id": "42"}, "teammate": {"type": "admin", "id": "9608799"}});
        assert_eq!((rated.topic.as_str(), &item(&rated)["conversation_rating"]), ("conversation.rating.added", &rating));
        assert_eq!(item(&rated)["conversation_parts"]["total_count"], u8::from(!first));

        let reopened = desk.intercom.reply(&id, Author::Contact(ada.clone()), "Still").expect("a reply");
        assert_eq!(reopened.len(), if first { 1 } else { 2 });

        let again = desk.intercom.redelivery(&opened);
        assert_eq!((again.id == opened.id, again.json()["delivery_attempts"].clone()), (first, json!(2)));
        assert_eq!((again.json()["id"].as_str(), item(&again)), (again.id.as_deref(), item(&opened)));
        assert_eq!(again.signature, sign("standin-client-secret", &again.body));

        let lead = desk.contact(Role::Lead, None, None);
        let merged = desk.intercom.merge_contacts(&lead, &ada).expect("merged");
        assert_eq!((merged.topic.as_str(), item(&merged)["merged_from"].is_object()), ("contact.merged", first));
        let gone = desk.get(&format!("/contacts/{lead}")).await;
        let code = gone.json()["errors"][0]["code"].as_str().map(str::to_owned);
        if first {
            assert_eq!((gone.status, code.as_deref()), (410, Some("contact_merged")));
            assert_eq!(gone.header("link"), Some(format!("</contacts/{ada}>; rel=\"canonical\"").as_str()));
        } else {
            assert_eq!((gone.status, code.as_deref(), gone.header("link")), (404, Some("not_found"), None));
        }
    }
    let all: Vec<Variants> = (0..64).map(Variants::seeded).collect();
    assert_eq!(all[9], Variants::seeded(9));
    assert!(all.iter().any(|v| v.redelivery == Redelivery::NewId) && all.iter().any(|v| v.redelivery == Redelivery::SameId));
    for lag in [0, 60, 300] {
        assert!(all.iter().any(|v| v.search_lag_secs == lag));
    }
    for in_app in [InApp::Underscored, InApp::Plain, InApp::Either] {
        assert!(all.iter().any(|v| v.in_app == in_app));
    }
    for yes in [false, true] {
        assert!(all.iter().any(|v| v.updating_tells == yes) && all.iter().any(|v| v.unsubscribing_tells == yes));
        assert!(all.iter().any(|v| (v.too_new_secs > 0) == yes) && all.iter().any(|v| v.option_outside == yes));
        assert!(all.iter().any(|v| (v.role_by_update == RoleByUpdate::Works) == yes));
        assert!(all.iter().any(|v| (v.unknown_attribute == RefusedAs::DataInvalid) == yes));
        assert!(all.iter().any(|v| (v.too_many_names == RefusedAs::DataInvalid) == yes));
        assert!(all.iter().any(|v| (v.long_text == LongText::Cut) == yes) && all.iter().any(|v| v.contact_tag_time == yes));
    }
}

#[tokio::test]
async fn shapes_follow_the_apps_version() {
    for (api_version, high, nobody, body) in [
        (ApiVersion::V2_14, "priority", Value::Null, "<p>a &lt; b</p>"),
        (ApiVersion::V2_15, "priority", Value::Null, "a < b"),
        (ApiVersion::V2_16, "high", json!(0), "a < b"),
    ] {
        let desk = Desk::start(Options { api_version, ..Options::default() }).await;
        let ada = desk.ada();
        let (id, opened) = desk.intercom.open_conversation(&ada, Priority::High).expect("a conversation");
        assert_eq!((&item(&opened)["priority"], &item(&opened)["admin_assignee_id"]), (&json!(high), &nobody));
        let replied = desk.intercom.reply(&id, Author::Contact(ada), "a < b").expect("a reply");
        assert_eq!(item(&replied[0])["conversation_parts"]["conversation_parts"][0]["body"], body);
        // REST has the version that was asked for, whatever the app's is.
        let rest = desk.get(&format!("/conversations/{id}")).await.json();
        assert_eq!(
            (&rest["priority"], &rest["conversation_parts"]["conversation_parts"][0]["body"]),
            (&json!("high"), &json!("<p>a &lt; b</p>"))
        );
        let older = desk.get_with(&format!("/conversations/{id}"), &[TOKEN, ("intercom-version", "2.14")]).await.json();
        assert_eq!((&older["priority"], &older["admin_assignee_id"]), (&json!("priority"), &Value::Null));
    }
}

#[tokio::test]
async fn contacts_have_iso_times_in_webhooks_and_seconds_in_rest() {
    let desk = Desk::start(Options::default()).await;
    desk.clock.advance(Duration::from_millis(240));
    let new = NewContact { email: Some("ada@example.com".to_owned()), external_id: Some("42".to_owned()), ..NewContact::default() };
    let (id, created) = desk.intercom.create_contact(new);
    assert_eq!(created.topic, "contact.user.created");
    let contact = item(&created);
    assert_eq!(
        (&contact["created_at"], &contact["updated_at"]),
        (&json!("2026-01-10T07:56:29.240+00:00"), &json!("2026-01-10T07:56:29.238+00:00"))
    );
    assert_eq!((&contact["workspace_id"], &contact["role"], &contact["sms_consent"]), (&json!("abc123def"), &json!("user"), &json!(false)));

    desk.clock.set(NOW + 60);
    let attributes = json!({"plan": "pro"}).as_object().cloned().unwrap_or_default();
    let change = ContactChange { name: Some("Ada".to_owned()), custom_attributes: attributes, ..ContactChange::default() };
    let updated = desk.intercom.update_contact(&id, change).expect("updated");
    assert_eq!((updated.topic.as_str(), &item(&updated)["updated_at"]), ("contact.user.updated", &json!("2026-01-10T07:57:29.000+00:00")));
    let rest = desk.get(&format!("/contacts/{id}")).await.json();
    assert_eq!((&rest["created_at"], &rest["updated_at"]), (&json!(NOW), &json!(NOW + 60)));
    assert_eq!(
        (&rest["name"], &rest["email"], &rest["custom_attributes"]),
        (&json!("Ada"), &json!("ada@example.com"), &json!({"plan": "pro"}))
    );
    assert_eq!(rest.get("sms_consent"), None);

    let out = desk.intercom.unsubscribe(&id).expect("unsubscribed");
    assert_eq!((out.topic.as_str(), &item(&out)["contact"]["unsubscribed_from_emails"]), ("contact.unsubscribed", &json!(true)));
    assert_eq!(desk.get(&format!("/contacts/{id}")).await.json()["unsubscribed_from_emails"], true);

    let deleted = desk.intercom.delete_contact(&id).expect("deleted");
    assert_eq!(
        (deleted.topic.as_str(), item(&deleted)),
        ("contact.deleted", json!({"type": "contact", "id": id, "external_id": "42", "deleted": true}))
    );
    assert_eq!(desk.get(&format!("/contacts/{id}")).await.status, 404);
    assert!(desk.intercom.update_contact(&id, ContactChange::default()).is_err());
    let lead = NewContact { role: Some(Role::Lead), ..NewContact::default() };
    assert_eq!(desk.intercom.create_contact(lead).1.topic, "contact.lead.created");
}

#[tokio::test]
async fn participants_come_in_the_raw_shape() {
    let desk = Desk::start(Options::default()).await;
    let (ada, bob) = (desk.ada(), desk.contact(Role::User, Some("43"), Some("bob@example.com")));
    let (id, _) = desk.intercom.open_conversation(&ada, Priority::None).expect("a conversation");
    let attached = desk.intercom.attach(&id, &bob).expect("attached");
    let model = &item(&attached)["conversation"]["model"];
    assert_eq!((attached.topic.as_str(), model["id"].to_string()), ("conversation.contact.attached", id.clone()));
    assert_eq!((&model["created_at"], &item(&attached)["contact"]["id"]), (&json!("2026-01-10T07:56:29.000Z"), &json!(bob)));
    assert_eq!(desk.intercom.conversation(&id).expect("a conversation").contacts, [ada.clone(), bob.clone()]);
    assert_eq!(desk.intercom.detach(&id, &ada).expect("detached").topic, "conversation.contact.detached");
    assert_eq!(desk.intercom.conversation(&id).expect("a conversation").contacts, [bob]);
}

#[tokio::test]
async fn a_deleted_conversation_names_nobody() {
    let desk = Desk::start(Options::default()).await;
    let (id, _) = desk.intercom.open_conversation(&desk.ada(), Priority::None).expect("a conversation");
    let deleted = desk.intercom.delete(&id).expect("deleted");
    assert_eq!((deleted.topic.as_str(), item(&deleted)), ("conversation.deleted", json!({"type": "conversation", "conversation_id": id})));
    let gone = desk.get(&format!("/conversations/{id}")).await;
    let error = json!({"type": "error.list", "request_id": null, "errors": [{"code": "not_found", "message": "Resource Not Found"}]});
    assert_eq!((gone.status, gone.json()), (404, error));
    assert_eq!(desk.intercom.close(&id, Author::Admin).expect_err("gone").what, "conversation");
}

// ------------------------------------------------------------------------------------------------------ REST

#[tokio::test]
async fn token_and_version_are_checked() {
    let desk = Desk::start(Options::default()).await;
    for headers in [vec![VERSION], vec![("authorization", "Bearer wrong"), VERSION]] {
        let refused = desk.get_with("/me", &headers).await;
        assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (401, Some("unauthorized")));
        assert_eq!(refused.header("x-ratelimit-limit"), None);
    }
    for headers in [vec![TOKEN], vec![TOKEN, ("intercom-version", "9.9")]] {
        let refused = desk.get_with("/me", &headers).await;
        assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (400, Some("intercom_version_invalid")));
    }
    let me = desk.get("/me").await;
    assert_eq!((me.status, &me.json()["app"]["id_code"], &me.json()["app"]["region"]), (200, &json!("abc123def"), &json!("US")));
    assert_eq!(desk.get("/contacts/search").await.status, 404);

    let lenient = Desk::start(Options { version_required: false, ..Options::default() }).await;
    assert_eq!(lenient.get_with("/me", &[TOKEN]).await.status, 200);
}

#[tokio::test]
async fn a_conversation_has_all_its_parts_and_seconds() {
    let desk = Desk::start(Options::default()).await;
    let ada = desk.ada();
    let (id, _) = desk.intercom.open_conversation(&ada, Priority::None).expect("a conversation");
    desk.intercom.reply(&id, Author::Contact(ada), "Hello?").expect("a reply");
    desk.clock.set(NOW + 90);
    desk.intercom.close(&id, Author::Admin).expect("closed");
    let rest = desk.get(&format!("/conversations/{id}")).await.json();
    assert_eq!((&rest["state"], &rest["open"], &rest["admin_assignee_id"]), (&json!("closed"), &json!(false), &json!(9_608_799)));
    assert_eq!((&rest["updated_at"], &rest["statistics"]["last_close_at"]), (&json!(NOW + 90), &json!(NOW + 90)));
    let types: Vec<&Value> =
        rest["conversation_parts"]["conversation_parts"].as_array().expect("parts").iter().map(|p| &p["part_type"]).collect();
    assert_eq!(types, [&json!("comment"), &json!("close")]);
    assert_eq!(desk.intercom.conversation(&id).expect("a conversation").state, ConversationState::Closed);
}

#[tokio::test]
async fn the_rate_limit_counts_in_windows() {
    for retry_after in [false, true] {
        let variants = Variants { retry_after, ..Variants::default() };
        let desk = Desk::start(Options { requests_per_window: 2, variants, ..Options::default() }).await;
        // NOW ends in 9: the window has one second left.
        let reset = (NOW + 1).to_string();
        for remaining in ["1", "0"] {
            let answer = desk.get("/me").await;
            let headers = (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining"), answer.header("x-ratelimit-reset"));
            assert_eq!((answer.status, headers), (200, (Some("2"), Some(remaining), Some(reset.as_str()))));
        }
        let refused = desk.get("/me").await;
        assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (429, Some("rate_limit_exceeded")));
        assert_eq!(refused.json()["errors"][0]["message"], "Exceeded rate limit of 2 in 10_seconds");
        assert_eq!(
            (refused.header("x-ratelimit-reset"), refused.header("retry-after")),
            (Some(reset.as_str()), retry_after.then_some("1"))
        );
        desk.clock.advance(Duration::from_secs(1));
        assert_eq!(desk.get("/me").await.status, 200);
    }
}

#[tokio::test]
async fn faults_speak_as_intercom_does() {
    let desk = Desk::start(Options::default()).await;
    desk.intercom.faults().set("/contacts/", Fault::Answer { status: 429, wait: Some(Duration::from_secs(7)) }, During::Requests(1));
    let id = desk.ada();
    let limited = desk.get(&format!("/contacts/{id}")).await;
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining")), (429, Some("0")));
    assert_eq!(limited.header("x-ratelimit-reset"), Some((NOW + 7).to_string().as_str()));
    for (status, code) in [(401, "unauthorized"), (404, "not_found"), (500, "server_error"), (503, "service_unavailable")] {
        desk.intercom.faults().set("", Fault::status(status), During::Requests(1));
        let refused = desk.get("/me").await;
        assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (status, Some(code)));
    }
    assert_eq!(desk.get(&format!("/contacts/{id}")).await.status, 200);
    let counter = desk.intercom.journal().counter("/contacts/{id}");
    assert_eq!((counter.accepted, counter.refused), (1, 1));
    assert_eq!(desk.intercom.journal().requests_to("/me")[0].header("intercom-version"), Some("2.16"));
}

// --------------------------------------------------------------------------------------------------- sending

#[tokio::test]
async fn webhooks_are_posted_as_intercom_posts_them() {
    let desk = Desk::start(Options::default()).await;
    let (url, mut tells) = receiver().await;
    let (_, webhook) = desk.intercom.open_conversation(&desk.ada(), Priority::None).expect("a conversation");
    assert_eq!(desk.intercom.send(&url, &webhook).await.expect("an answer"), 202);
    let (headers, body) = tells.recv().await.expect("a webhook");
    assert_eq!(body, webhook.body);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("user-agent"), header("content-type")), (Some(USER_AGENT), Some("application/json")));
    assert_eq!(header("x-hub-signature"), Some(sign("standin-client-secret", &body).as_str()));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_not_named_is_an_error() {
    let desk = Desk::start(Options::default()).await;
    let ping = desk.intercom.ping();
    // Port 1 of this machine: nobody listens there.
    assert!(matches!(desk.intercom.send("http://127.0.0.1:1/", &ping).await, Err(SendError::Connection(_))));
    assert!(matches!(desk.intercom.send("not a url", &ping).await, Err(SendError::Address(_))));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_not_answer_is_too_late() {
    let desk = Desk::start(Options::default()).await;
    let ping = desk.intercom.ping();
    // It takes the connection and stays silent. Paused time jumps to the deadline as soon as nothing else can go on.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", silent.local_addr().expect("an address"));
    let kept = tokio::spawn(async move { silent.accept().await });
    let sent = desk.intercom.send(&url, &ping).await;
    assert!(matches!(sent, Err(SendError::TooLate(_))), "{sent:?}");
    drop(kept);
}

// -------------------------------------------------------------------------------------------------- Fin

#[tokio::test]
async fn what_fin_comes_to_has_the_words_of_the_version_and_the_customers_return_takes_it_back() {
    for (api_version, state) in [(ApiVersion::V2_14, "routed_to_team"), (ApiVersion::V2_15, "escalated"), (ApiVersion::V2_16, "escalated")]
    {
        let desk = Desk::start(Options { api_version, ..Options::default() }).await;
        let ada = desk.ada();
        let (id, opened) = desk.intercom.open_conversation_as_bot(&ada, Priority::None).expect("a contact");
        let opened = item(&opened);
        assert_eq!((&opened["source"]["delivered_as"], &opened["first_contact_reply"]), (&json!("operator_initiated"), &Value::Null));
        assert!(desk.intercom.fin_comes_to(&id, "escalated").is_err(), "Fin takes no part yet");
        let answered = &desk.intercom.reply(&id, Author::Bot, "Try this").expect("a conversation")[0];
        assert_eq!(item(answered)["ai_agent"]["resolution_state"], Value::Null);
        desk.intercom.fin_comes_to(&id, "escalated").expect("Fin takes part");
        let asked = desk.get(&format!("/conversations/{id}")).await.json();
        assert_eq!((&asked["ai_agent"]["resolution_state"], &asked["ai_agent_participated"]), (&json!("escalated"), &json!(true)));
        let again = &desk.intercom.reply(&id, Author::Bot, "I am passing you on").expect("a conversation")[0];
        assert_eq!(item(again)["ai_agent"]["resolution_state"], state);
        desk.clock.advance(Duration::from_mins(1));
        let back = &desk.intercom.reply(&id, Author::Contact(ada.clone()), "It is broken").expect("a conversation")[0];
        assert_eq!(item(back)["ai_agent"]["resolution_state"], Value::Null);
        assert_eq!(item(back)["first_contact_reply"]["created_at"], item(back)["updated_at"]);
    }
}

#[tokio::test]
async fn previews_scores_and_merges_say_what_they_are() {
    for (api_version, rated) in [(ApiVersion::V2_16, "admin"), (ApiVersion::V2_17, "workflow")] {
        let desk = Desk::start(Options { api_version, ..Options::default() }).await;
        let ada = desk.ada();
        let (_, preview) = desk.intercom.preview_fin(&ada).expect("a contact");
        assert_eq!(item(&preview)["ai_agent"]["source_type"], "fin_preview");
        let (id, _) = desk.intercom.open_conversation(&ada, Priority::None).expect("a contact");
        desk.intercom.reply(&id, Author::Bot, "Try this").expect("a conversation");
        let of_fin = item(&desk.intercom.rate_fin(&id, 2).expect("Fin takes part"));
        assert_eq!((&of_fin["ai_agent"]["rating"], &of_fin["conversation_rating"]), (&json!(2), &Value::Null));
        let of_workflow = item(&desk.intercom.rate_for_workflow(&id, 4).expect("a conversation"));
        assert_eq!(of_workflow["conversation_rating"]["teammate"]["type"], rated);
        let (other, _) = desk.intercom.open_conversation(&ada, Priority::None).expect("a contact");
        let merged = item(&desk.intercom.merge_conversations(&other, &id).expect("two conversations"));
        assert_eq!((&merged["id"], &merged["state"]), (&json!(other), &json!("closed")));
        assert_eq!(merged["conversation_parts"]["conversation_parts"][0]["part_type"], "merged_secondary_conversation");
        let primary = desk.get(&format!("/conversations/{id}")).await.json();
        let last = primary["conversation_parts"]["conversation_parts"].as_array().and_then(|parts| parts.last()).expect("a part");
        assert_eq!((&last["part_type"], &primary["state"]), (&json!("merged_primary_conversation"), &json!("open")));
    }
}
