//! Intercom's REST API as contacts are written to: what becomes of them, what is refused, and what the webhooks tell.

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::NOW;
use support::desk::{ADMIN, Desk, error, text};
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{DataType, Life, LongText, MergedContact, Model, NewContact, RefusedAs, Role, RoleByUpdate, Variants};

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let desk = Desk::new(Variants::default()).await;
    desk.intercom.add_attribute(Model::Contact, "plan", DataType::String);
    desk.intercom.add_attribute(Model::Contact, "seats", DataType::Integer);
    let ada = desk.made(&json!({"role": "user", "external_id": "42", "email": "ada@example.com"})).await;
    let bob = desk.made(&json!({"role": "user", "external_id": "43", "email": "bob@example.com"})).await;
    let lead = desk.post("/contacts", &json!({"role": "lead", "email": "lea@example.com"})).await;
    let tag = text(&desk.post("/tags", &json!({"name": "VIP"})).await["id"]);
    let opened = desk.post("/conversations", &json!({"from": {"type": "contact", "id": ada}, "body": "Hi"})).await;
    let names = [
        ("{ada}", ada.as_str()),
        ("{bob}", bob.as_str()),
        ("{lead}", lead["id"].as_str().expect("an id")),
        ("{lead_external_id}", lead["external_id"].as_str().expect("an id")),
        ("{tag}", tag.as_str()),
        ("{conversation}", opened["conversation_id"].as_str().expect("an id")),
    ];
    let filled = |text: &str| names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    desk.intercom.take_webhooks();
    let before = (desk.intercom.contacts(), desk.intercom.conversations(), desk.intercom.attributes());

    let cases: Vec<Value> = serde_json::from_str(include_str!("intercom_refusals.json")).expect("cases");
    assert!(cases.len() > 60);
    for case in cases {
        let body: Value = match &case["body"] {
            Value::Object(_) => serde_json::from_str(&filled(&case["body"].to_string())).expect("JSON"),
            body => body.clone(),
        };
        let (method, path) = (text(&case["method"]), filled(&text(&case["path"])));
        let answer = desk.ask(&method, &path, &body).await;
        let (status, code, message) = error(&answer);
        assert_eq!((json!(status), json!(code)), (case["status"].clone(), case["code"].clone()), "{}: {message}", case["case"]);
        assert!(answer.header("x-ratelimit-remaining").is_some(), "{}", case["case"]);
        if let Some(wanted) = case["message"].as_str() {
            assert_eq!(message, filled(wanted), "{}", case["case"]);
        }
    }
    assert_eq!((desk.intercom.contacts(), desk.intercom.conversations(), desk.intercom.attributes()), before);
    assert_eq!(desk.topics(), [""; 0]);
    assert!(desk.intercom.messages().is_empty() && desk.intercom.tickets().is_empty() && desk.intercom.companies().is_empty());
}

// -------------------------------------------------------------------------------------------------- contacts

#[tokio::test]
async fn a_contact_is_made_once_and_changed_in_part() {
    let desk = Desk::new(Variants::default()).await;
    desk.intercom.add_attribute(Model::Contact, "plan", DataType::String);
    let new = json!({"role": "user", "external_id": "a/1", "email": "ada@example.com", "name": "Ada", "phone": "+1555", "avatar": "https://example.com/a.png",
        "signed_up_at": NOW - 60, "owner_id": ADMIN, "custom_attributes": {"plan": "pro"}});
    let made = desk.post("/contacts", &new).await;
    let ada = text(&made["id"]);
    for (key, value) in
        [("email", json!("ada@example.com")), ("phone", json!("+1555")), ("owner_id", json!(ADMIN)), ("signed_up_at", json!(NOW - 60))]
    {
        assert_eq!(made[key], value);
    }
    let (items, topics) = desk.told();
    assert_eq!(topics, ["contact.user.created"]);
    assert_eq!((&items[0]["id"], &items[0]["signed_up_at"]), (&json!(ada), &json!("2026-01-10T07:55:29.000+00:00")));
    assert_eq!(desk.done("GET", "/contacts/find_by_external_id/a%2F1", &Value::Null).await["id"], ada.as_str());

    let changed =
        desk.done("PUT", &format!("/contacts/{ada}"), &json!({"name": "Ada L", "phone": null, "unsubscribed_from_emails": true})).await;
    assert_eq!((&changed["name"], &changed["phone"], &changed["email"]), (&json!("Ada L"), &Value::Null, &json!("ada@example.com")));
    assert_eq!((&changed["custom_attributes"], &changed["unsubscribed_from_emails"]), (&json!({"plan": "pro"}), &json!(true)));
    let (items, topics) = desk.told();
    assert_eq!(topics, ["contact.user.updated", "contact.unsubscribed"]);
    assert_eq!((&items[1]["type"], &items[1]["subscription_types"]["data"]), (&json!("contact_unsubscribe"), &json!([])));
    assert_eq!(items[1]["contact"]["unsubscribed_from_emails"], json!(true));

    // Leads share addresses, with each other and with users.
    let lead = json!({"role": "lead", "email": "ada@example.com"});
    let (one, two) = (desk.made(&lead).await, desk.made(&lead).await);
    assert_ne!(one, two);
    assert_eq!(desk.topics(), ["contact.lead.created", "contact.lead.created"]);
    assert_eq!(desk.search("ADA@example.com").await.len(), 3);
    let many = desk.ask("POST", "/events", &json!({"event_name": "a", "created_at": NOW, "email": "ada@example.com"})).await;
    let wanted = "Multiple existing users match this email address - must be more specific using user_id";
    assert_eq!(error(&many), (409, "conflict".to_owned(), wanted.to_owned()));
}

#[tokio::test]
async fn an_archived_contact_keeps_its_id_and_address() {
    let desk = Desk::new(Variants::default()).await;
    let new = json!({"role": "user", "external_id": "42", "email": "ada@example.com"});
    let ada = desk.made(&new).await;
    let archived = desk.post(&format!("/contacts/{ada}/archive"), &Value::Null).await;
    assert_eq!(archived, json!({"type": "contact", "id": ada, "external_id": "42", "archived": true}));
    assert_eq!(desk.ask("GET", "/contacts/find_by_external_id/42", &Value::Null).await.status, 404);
    assert_eq!(desk.ask("PUT", &format!("/contacts/{ada}"), &json!({"name": "A"})).await.status, 404);
    assert!(desk.search("ada@example.com").await.is_empty());
    let refused = desk.ask("POST", "/contacts", &new).await;
    let message = format!("An archived contact matching those details already exists with id={ada}");
    assert_eq!(error(&refused), (409, "conflict".to_owned(), message));
    assert_eq!(desk.post(&format!("/contacts/{ada}/unarchive"), &Value::Null).await["archived"], json!(false));
    assert_eq!(desk.done("PUT", &format!("/contacts/{ada}"), &json!({"name": "A"})).await["name"], "A");
    let gone = desk.done("DELETE", &format!("/contacts/{ada}"), &Value::Null).await;
    assert_eq!(gone, json!({"type": "contact", "id": ada, "external_id": "42", "deleted": true}));
    // Whoever is deleted for good is in nobody's way.
    assert_ne!(desk.made(&new).await, ada);
    let topics = [
        "contact.user.created",
        "contact.archived",
        "contact.unarchive",
        "contact.user.updated",
        "contact.deleted",
        "contact.user.created",
    ];
    assert_eq!(desk.topics(), topics);
    assert_eq!(desk.intercom.contact(&ada).map(|contact| contact.life), Some(Life::Deleted));
}

#[tokio::test]
async fn the_search_hears_of_things_late() {
    for lag in [0, 60, 300] {
        let desk = Desk::new(Variants { search_lag_secs: lag, ..Variants::default() }).await;
        let new = json!({"role": "user", "external_id": "42", "email": "ada@example.com"});
        let ada = desk.made(&new).await;
        assert_eq!(desk.search("ada@example.com").await.len(), usize::from(lag == 0));
        // The other roads know at once.
        assert_eq!(desk.ask("POST", "/contacts", &new).await.status, 409);
        assert_eq!(desk.done("GET", "/contacts/find_by_external_id/42", &Value::Null).await["id"], ada.as_str());
        desk.clock.advance(Duration::from_secs(u64::from(lag)));
        assert_eq!(desk.search("ada@example.com").await, [ada.as_str()]);
        desk.done("PUT", &format!("/contacts/{ada}"), &json!({"email": "lovelace@example.com"})).await;
        let (old, new) = (desk.search("ada@example.com").await.len(), desk.search("lovelace@example.com").await.len());
        assert_eq!((old, new), if lag == 0 { (0, 1) } else { (1, 0) });
        desk.clock.advance(Duration::from_secs(u64::from(lag)));
        assert_eq!((desk.search("ada@example.com").await.len(), desk.search("lovelace@example.com").await.len()), (0, 1));
        assert_eq!(desk.topics(), ["contact.user.created", "contact.user.updated", "contact.email.updated"]);
    }
}

#[tokio::test]
async fn a_lead_goes_up_in_a_user() {
    for merged_contact in [MergedContact::Gone, MergedContact::NotFound] {
        let desk = Desk::new(Variants { merged_contact, ..Variants::default() }).await;
        let ada = desk.made(&json!({"role": "user", "external_id": "42", "email": "ada@example.com"})).await;
        let (same, other) =
            (desk.made(&json!({"role": "lead", "email": "ada@example.com"})).await, desk.made(&json!({"role": "lead"})).await);
        let opened = desk.post("/conversations", &json!({"from": {"type": "lead", "id": same}, "body": "Hi"})).await;
        desk.intercom.take_webhooks();
        desk.post("/contacts/merge", &json!({"from": same, "into": ada})).await;
        desk.post("/contacts/merge", &json!({"from": other, "into": ada, "skip_duplicate_validation": true})).await;
        let (items, topics) = desk.told();
        assert_eq!(topics, ["contact.merged", "contact.merged"]);
        assert_eq!((&items[0]["id"], &items[0]["merged_from"]["id"]), (&json!(ada), &json!(same)));
        assert_eq!(desk.search("ada@example.com").await, [ada.as_str()]);
        let conversation = desk.intercom.conversation(opened["conversation_id"].as_str().expect("an id")).expect("a conversation");
        assert_eq!(conversation.contacts, [ada.as_str()]);
        for (method, path, body) in [
            ("GET", format!("/contacts/{same}"), Value::Null),
            ("PUT", format!("/contacts/{same}"), json!({"name": "A"})),
            ("POST", "/events".to_owned(), json!({"event_name": "a", "created_at": NOW, "id": same})),
        ] {
            let gone = desk.ask(method, &path, &body).await;
            match merged_contact {
                MergedContact::Gone => {
                    assert_eq!((gone.status, error(&gone).1), (410, "contact_merged".to_owned()));
                    assert_eq!(gone.header("link"), Some(format!("</contacts/{ada}>; rel=\"canonical\"").as_str()));
                }
                MergedContact::NotFound => assert_eq!((gone.status, gone.header("link")), (404, None)),
            }
        }
    }
}

#[tokio::test]
async fn what_is_open_about_updates_runs_both_ways() {
    let quiet =
        Variants { role_by_update: RoleByUpdate::Ignored, updating_tells: false, unsubscribing_tells: false, ..Variants::default() };
    for (variants, role, told) in [
        (Variants::default(), "user", vec!["contact.user.updated", "contact.lead.signed_up", "contact.unsubscribed"]),
        (quiet, "lead", vec![]),
    ] {
        let desk = Desk::new(variants).await;
        let lead = desk.made(&json!({"role": "lead", "email": "lea@example.com"})).await;
        desk.intercom.take_webhooks();
        let change = json!({"role": "user", "external_id": "7", "unsubscribed_from_emails": true});
        let changed = desk.done("PUT", &format!("/contacts/{lead}"), &change).await;
        assert_eq!((changed["role"].as_str(), changed["external_id"] == "7"), (Some(role), role == "user"));
        assert_eq!(desk.topics(), told);
        assert!(desk.intercom.contact(&lead).expect("a contact").unsubscribed_from_emails);
    }
    let lead = NewContact { role: Some(Role::Lead), ..NewContact::default() };
    let desk = Desk::new(Variants::default()).await;
    let (lead, _) = desk.intercom.create_contact(lead);
    desk.done("PUT", &format!("/contacts/{lead}"), &json!({"email": "lea@example.com"})).await;
    assert_eq!(desk.topics(), ["contact.lead.updated", "contact.lead.added_email"]);
}

#[tokio::test]
async fn attributes_must_exist_and_fit() {
    let strict = Variants { unknown_attribute: RefusedAs::DataInvalid, ..Variants::default() };
    let lenient = Variants { long_text: LongText::Cut, option_outside: true, ..Variants::default() };
    for (variants, status, long, outside) in [(strict, 422, 422, 400), (lenient, 400, 200, 200)] {
        let desk = Desk::new(variants).await;
        let ada = desk.made(&json!({"external_id": "42"})).await;
        let put = async |attributes: Value| {
            desk.ask("PUT", &format!("/contacts/{ada}"), &json!({"name": "A", "custom_attributes": attributes})).await
        };
        assert_eq!(put(json!({"plan": "pro"})).await.status, status);
        assert_eq!(desk.intercom.contact(&ada).expect("a contact").name, None);
        for (name, data_type) in [("plan", "string"), ("seats", "integer"), ("mrr", "float"), ("paid", "boolean"), ("since", "datetime")] {
            desk.post("/data_attributes", &json!({"name": name, "model": "contact", "data_type": data_type})).await;
        }
        let options = json!({"name": "tier", "model": "contact", "data_type": "options", "options": [{"value": "a"}, {"value": "b"}]});
        desk.post("/data_attributes", &options).await;
        desk.post("/data_attributes", &json!({"name": "region", "model": "company", "data_type": "string"})).await;
        let listed = desk.done("GET", "/data_attributes?model=contact", &Value::Null).await;
        assert_eq!((listed["data"].as_array().map(Vec::len), &listed["data"][0]["full_name"]), (Some(6), &json!("custom_attributes.plan")));

        let good = json!({"plan": "pro", "seats": 5, "mrr": 9.5, "paid": true, "since": NOW, "tier": "b"});
        assert_eq!(put(good.clone()).await.json()["custom_attributes"], good);
        for bad in
            [json!({"seats": 5.5}), json!({"paid": "yes"}), json!({"since": "2026-01-10"}), json!({"plan": 5}), json!({"region": "EU"})]
        {
            assert_eq!(put(bad.clone()).await.status, status, "{bad}");
        }
        assert_eq!(put(json!({"tier": "c"})).await.status, outside);
        assert_eq!(put(json!({"plan": "é".repeat(256)})).await.status, long);
        let kept = put(json!({"plan": "é".repeat(255)})).await.json()["custom_attributes"]["plan"].clone();
        assert_eq!(kept.as_str().map(|text| text.chars().count()), Some(255));
        assert_eq!(put(json!({"plan": null})).await.json()["custom_attributes"].get("plan"), None);
    }
}

#[tokio::test]
async fn tags_have_one_id_in_any_letters() {
    for contact_tag_time in [false, true] {
        let absent_is_refused = contact_tag_time;
        let desk = Desk::new(Variants { contact_tag_time, absent_is_refused, ..Variants::default() }).await;
        let ada = desk.made(&json!({"external_id": "42"})).await;
        let tag = desk.post("/tags", &json!({"name": "At-Risk"})).await;
        assert_eq!(desk.post("/tags", &json!({"name": "at-risk"})).await, tag);
        desk.intercom.take_webhooks();
        let tags = format!("/contacts/{ada}/tags");
        assert_eq!(desk.post(&tags, &json!({"id": tag["id"]})).await["name"], "At-Risk");
        desk.post(&tags, &json!({"id": tag["id"]})).await;
        assert_eq!(desk.intercom.contact(&ada).expect("a contact").tags.len(), 1);
        desk.done("DELETE", &format!("{tags}/{}", text(&tag["id"])), &Value::Null).await;
        assert!(desk.intercom.contact(&ada).expect("a contact").tags.is_empty());
        let status = if absent_is_refused { 404 } else { 200 };
        assert_eq!(desk.ask("DELETE", &format!("{tags}/{}", text(&tag["id"])), &Value::Null).await.status, status);
        assert_eq!(desk.ask("DELETE", &format!("/contacts/{ada}/subscriptions/37846"), &Value::Null).await.status, status);
        let (items, topics) = desk.told();
        assert_eq!(topics, ["contact.user.tag.created", "contact.user.tag.deleted"]);
        assert_eq!((&items[0]["type"], &items[0]["tag"]["name"]), (&json!("contact_tag"), &json!("At-Risk")));
        // The list has the new tag already, by id only.
        let listed = json!([{"id": tag["id"], "type": "tag", "url": format!("/tags/{}", text(&tag["id"]))}]);
        assert_eq!((&items[0]["contact"]["tags"]["data"], &items[1]["contact"]["tags"]["total_count"]), (&listed, &json!(0)));
        assert_eq!(items[0].get("created_at").is_some(), contact_tag_time);
    }
}

#[tokio::test]
async fn consent_is_by_the_kind_of_subscription() {
    let desk = Desk::new(Variants::default()).await;
    let ada = desk.made(&json!({"external_id": "42"})).await;
    desk.intercom.take_webhooks();
    assert_eq!(desk.done("GET", "/subscription_types", &Value::Null).await["data"].as_array().map(Vec::len), Some(2));
    let path = format!("/contacts/{ada}/subscriptions");
    for (id, consent, attached, detached) in [
        ("37846", "opt_out", "granular.unsubscribe", "granular.subscribe"),
        ("1943066", "opt_in", "granular.subscribe", "granular.unsubscribe"),
    ] {
        let choice = json!({"id": id, "consent_type": consent});
        desk.post(&path, &choice).await;
        desk.post(&path, &choice).await;
        assert_eq!(desk.done("GET", &path, &Value::Null).await["data"][0]["id"], id);
        let contact = desk.done("GET", &format!("/contacts/{ada}"), &Value::Null).await;
        let count = |list: &str| contact[list]["total_count"].clone();
        let expected = if consent == "opt_out" { (json!(1), json!(0)) } else { (json!(0), json!(1)) };
        assert_eq!((count("opted_out_subscription_types"), count("opted_in_subscription_types")), expected);
        assert_eq!(contact["unsubscribed_from_emails"], json!(false));
        desk.done("DELETE", &format!("{path}/{id}"), &Value::Null).await;
        let (items, topics) = desk.told();
        assert_eq!(topics, [attached, detached]);
        assert_eq!(items[0]["subscription_types"]["data"][0]["id"], id);
    }
    assert!(desk.intercom.contact(&ada).expect("a contact").subscriptions.is_empty());
}

// ---------------------------------------------------------------------------------------------------- events

#[tokio::test]
async fn one_event_is_kept_for_contact_name_and_second() {
    let desk = Desk::new(Variants::default()).await;
    let ada = desk.made(&json!({"external_id": "42", "email": "ada@example.com"})).await;
    let bob = desk.made(&json!({"external_id": "43"})).await;
    desk.intercom.take_webhooks();
    for (who, name, at, step) in [
        (json!({"id": ada}), "opened", NOW, 1),
        (json!({"user_id": "42"}), "opened", NOW, 2),
        (json!({"email": "ada@example.com"}), "opened", NOW + 1, 3),
        (json!({"id": ada}), "closed", NOW, 4),
        (json!({"id": bob}), "opened", NOW, 5),
    ] {
        let mut event =
            json!({"event_name": name, "created_at": at, "metadata": {"step": step, "price": {"amount": 5, "currency": "eur"}}});
        event.as_object_mut().expect("an object").extend(who.as_object().expect("an object").clone());
        let answer = desk.ask("POST", "/events", &event).await;
        assert_eq!((answer.status, answer.body.len()), (202, 0));
        assert!(answer.header("x-ratelimit-remaining").is_some());
    }
    let steps: Vec<Value> = desk.intercom.events(&ada).iter().map(|event| event.metadata["step"].clone()).collect();
    assert_eq!(steps, [json!(1), json!(3), json!(4)]);
    let (items, topics) = desk.told();
    assert_eq!(topics, ["event.created"; 4]);
    assert_eq!(
        (&items[0]["intercom_user_id"], &items[0]["user_id"], &items[0]["event_name"]),
        (&json!(ada), &json!("42"), &json!("opened"))
    );

    let many: serde_json::Map<String, Value> = (10..22).map(|number| (format!("key{number}"), json!(number))).collect();
    desk.ask("POST", "/events", &json!({"event_name": "many", "created_at": NOW, "id": bob, "metadata": many})).await;
    assert_eq!(desk.intercom.events(&bob)[1].metadata.len(), 10);
}

#[tokio::test]
async fn names_of_events_run_out() {
    for (too_many_names, status) in [(RefusedAs::ParameterInvalid, 400), (RefusedAs::DataInvalid, 422)] {
        let desk = Desk::new(Variants { too_many_names, ..Variants::default() }).await;
        let ada = desk.made(&json!({"external_id": "42"})).await;
        let track =
            async |name: String, at: i64| desk.ask("POST", "/events", &json!({"event_name": name, "created_at": at, "id": ada})).await;
        for number in 0..120 {
            assert_eq!(track(format!("event {number}"), NOW).await.status, 202);
        }
        let refused = track("one more".to_owned(), NOW).await;
        assert_eq!((refused.status, error(&refused).2.as_str()), (status, "Cannot have more than 120 active event names"));
        assert_eq!(track("event 7".to_owned(), NOW + 1).await.status, 202);
        assert_eq!(desk.intercom.events(&ada).len(), 121);
    }
}

#[tokio::test]
async fn a_new_contact_is_not_known_everywhere_at_once() {
    let desk = Desk::new(Variants { too_new_secs: 10, ..Variants::default() }).await;
    let ada = desk.made(&json!({"external_id": "42"})).await;
    let event = json!({"event_name": "a", "created_at": NOW, "user_id": "42"});
    let message =
        json!({"message_type": "in_app", "body": "Hi", "from": {"type": "admin", "id": 9_608_799}, "to": {"type": "user", "id": ada}});
    for (path, body) in [("/events", &event), ("/messages", &message)] {
        assert_eq!(error(&desk.ask("POST", path, body).await), (404, "not_found".to_owned(), "User Not Found".to_owned()));
    }
    assert_eq!(desk.ask("GET", &format!("/contacts/{ada}"), &Value::Null).await.status, 200);
    desk.clock.advance(Duration::from_secs(10));
    assert_eq!((desk.ask("POST", "/events", &event).await.status, desk.ask("POST", "/messages", &message).await.status), (202, 200));
}

// ---------------------------------------------------------------------------------------------------- faults

#[tokio::test]
async fn a_dropped_write_was_done_or_not() {
    for applied in [false, true] {
        let desk = Desk::new(Variants::default()).await;
        let new = json!({"role": "user", "external_id": "42"});
        desk.intercom.faults().set_on("POST", "/contacts", Fault::Drop { applied }, During::Requests(1));
        // Only that operation is hit.
        assert_eq!(
            desk.ask("POST", "/contacts/search", &json!({"query": {"field": "email", "operator": "=", "value": "a"}})).await.status,
            200
        );
        assert!(desk.try_ask("POST", "/contacts", &new).await.is_err());
        assert_eq!((desk.intercom.contacts().len(), desk.topics().len()), (usize::from(applied), usize::from(applied)));
        assert_eq!(desk.ask("POST", "/contacts", &new).await.status, if applied { 409 } else { 200 });
        let requests = desk.intercom.journal().requests_to("/contacts");
        assert_eq!((requests[0].status, requests[0].handled), (None, applied));
    }
}
