//! Intercom's REST API as conversations, tickets and companies are written to, and what the webhooks tell of it.

mod support;

use serde_json::{Value, json};
use support::NOW;
use support::desk::{ADMIN, Desk, item, text};
use trefoil_standins::intercom::{
    APP_PACKAGE_CODE, ApiVersion, Assignee, Author, ConversationState, DataType, InApp, Model, Options, TaggedShape, Variants,
};

// --------------------------------------------------------------------------------------------- conversations

#[tokio::test]
async fn a_conversation_is_opened_as_the_contact_and_handed_over() {
    for (api_version, body) in [(ApiVersion::V2_14, "<p>5 &lt; 6 &amp; 7</p>"), (ApiVersion::V2_16, "5 < 6 & 7")] {
        let desk = Desk::with(Options { api_version, ..Options::default() }).await;
        let ada = desk.made(&json!({"external_id": "42", "email": "ada@example.com"})).await;
        let tag = desk.post("/tags", &json!({"name": "expansion"})).await;
        desk.intercom.take_webhooks();
        let message = desk.post("/conversations", &json!({"from": {"type": "user", "id": ada}, "body": "5 < 6 & 7"})).await;
        let id = text(&message["conversation_id"]);
        assert_eq!((&message["type"], &message["body"]), (&json!("user_message"), &json!("5 < 6 & 7")));
        let parts = format!("/conversations/{id}/parts");
        desk.post(&parts, &json!({"message_type": "assignment", "type": "admin", "admin_id": ADMIN, "assignee_id": ADMIN})).await;
        desk.post(&parts, &json!({"message_type": "assignment", "type": "team", "admin_id": ADMIN, "assignee_id": "814865"})).await;
        let note = json!({"message_type": "note", "type": "admin", "admin_id": ADMIN, "body": "Big account"});
        desk.post(&format!("/conversations/{id}/reply"), &note).await;
        let tagging = json!({"id": tag["id"], "admin_id": ADMIN});
        desk.post(&format!("/conversations/{id}/tags"), &tagging).await;
        desk.post(&format!("/conversations/{id}/tags"), &tagging).await;

        let (items, topics) = desk.told();
        let expected = [
            "conversation.user.created",
            "conversation.admin.assigned",
            "conversation.admin.assigned",
            "conversation.admin.noted",
            "conversation_part.tag.created",
        ];
        assert_eq!(topics, expected);
        assert_eq!((&items[0]["source"]["delivered_as"], &items[0]["source"]["body"]), (&json!("customer_initiated"), &json!(body)));
        assert_eq!(items[0]["source"]["author"]["id"], ada.as_str());
        let part = |item: &Value| item["conversation_parts"]["conversation_parts"][0].clone();
        for (item, part_type) in items[1..4].iter().zip(["assignment", "assignment", "note"]) {
            assert_eq!((&part(item)["part_type"], &part(item)["app_package_code"]), (&json!(part_type), &json!(APP_PACKAGE_CODE)));
        }
        assert_eq!(part(&items[2])["assigned_to"], json!({"type": "team", "id": "814865"}));
        assert_eq!(items[4]["tags_added"]["tags"][0]["name"], "expansion");
        let seen = desk.intercom.conversation(&id).expect("a conversation");
        assert_eq!((seen.admin_assignee, seen.team_assignee, seen.tags.len()), (Some(9_608_799), Some(814_865), 1));
        let rest = desk.done("GET", &format!("/conversations/{id}"), &Value::Null).await;
        assert_eq!((&rest["source"]["body"], &rest["team_assignee_id"]), (&json!("<p>5 &lt; 6 &amp; 7</p>"), &json!(814_865)));
        // What people do by hand has no app.
        let closed = desk.intercom.close(&id, Author::Admin).expect("closed");
        assert_eq!(part(&item(&closed))["app_package_code"], Value::Null);
    }
}

#[tokio::test]
async fn open_conversations_of_a_contact_are_found() {
    let desk = Desk::new(Variants { tagged: TaggedShape::ConversationAndTag, ..Variants::default() }).await;
    let (ada, bob) = (desk.made(&json!({"external_id": "42"})).await, desk.made(&json!({"external_id": "43"})).await);
    let mut ids = Vec::new();
    for contact in [&ada, &ada, &ada, &bob] {
        let opened = desk.post("/conversations", &json!({"from": {"type": "contact", "id": contact}, "body": "Hi"})).await;
        ids.push(text(&opened["conversation_id"]));
    }
    desk.intercom.take_webhooks();
    desk.post(&format!("/conversations/{}/parts", ids[0]), &json!({"message_type": "close", "type": "admin", "admin_id": ADMIN})).await;
    let snooze = json!({"message_type": "snoozed", "admin_id": ADMIN, "snoozed_until": NOW + 60});
    desk.post(&format!("/conversations/{}/parts", ids[1]), &snooze).await;
    let by = |field: &str, operator: &str, value: Value| json!({"field": field, "operator": operator, "value": value});
    let mut query = json!({"query": {"operator": "AND", "value": [by("contact_ids", "=", json!(ada)), by("state", "!=", json!("closed"))]},
        "pagination": {"per_page": 1}});
    let first = desk.post("/conversations/search", &query).await;
    assert_eq!((&first["total_count"], &first["conversations"][0]["id"]), (&json!(2), &json!(ids[1])));
    query["pagination"]["starting_after"] = first["pages"]["next"]["starting_after"].clone();
    let second = desk.post("/conversations/search", &query).await;
    assert_eq!((&second["conversations"][0]["id"], second["pages"].get("next")), (&json!(ids[2]), None));
    let closed = desk.post("/conversations/search", &json!({"query": by("open", "=", json!(false))})).await;
    assert_eq!((&closed["total_count"], &closed["conversations"][0]["id"]), (&json!(1), &json!(ids[0])));
    desk.post(&format!("/conversations/{}/parts", ids[0]), &json!({"message_type": "open", "admin_id": ADMIN})).await;
    assert_eq!(desk.intercom.conversation(&ids[0]).map(|conversation| conversation.state), Some(ConversationState::Open));
    assert_eq!(desk.topics(), ["conversation.admin.closed", "conversation.admin.snoozed", "conversation.admin.opened"]);
}

#[tokio::test]
async fn messages_and_notes_reach_the_contact() {
    for (in_app, accepted) in [(InApp::Underscored, [200, 400]), (InApp::Plain, [400, 200]), (InApp::Either, [200, 200])] {
        let desk = Desk::new(Variants { in_app, ..Variants::default() }).await;
        let ada = desk.made(&json!({"external_id": "42"})).await;
        desk.intercom.take_webhooks();
        let mut message = json!({"body": "Hi", "from": {"type": "admin", "id": 9_608_799}, "to": {"type": "user", "id": ada}});
        for (spelling, status) in ["in_app", "inapp"].into_iter().zip(accepted) {
            message["message_type"] = json!(spelling);
            assert_eq!(desk.ask("POST", "/messages", &message).await.status, status, "{in_app:?} {spelling}");
        }
        message["message_type"] = json!("email");
        message["subject"] = json!("Hello");
        assert_eq!(desk.post("/messages", &message).await["message_type"], "email");
        // There is no conversation before the contact replies.
        assert!(desk.topics().is_empty() && desk.intercom.conversations().is_empty());
        message["create_conversation_without_contact_reply"] = json!(true);
        assert!(desk.post("/messages", &message).await["conversation_id"].is_string());
        assert_eq!(desk.topics(), ["conversation.admin.single.created"]);
        let last = desk.intercom.messages().pop().expect("a message");
        assert_eq!(
            (last.contact.as_str(), last.channel, last.subject.as_deref(), last.from_admin.as_str()),
            (ada.as_str(), "email", Some("Hello"), ADMIN)
        );

        let note = desk.post(&format!("/contacts/{ada}/notes"), &json!({"admin_id": ADMIN, "body": "Call <her>"})).await;
        assert_eq!((&note["body"], &note["contact"]["id"]), (&json!("<p>Call &lt;her&gt;</p>"), &json!(ada)));
        assert_eq!(desk.intercom.contact(&ada).expect("a contact").notes[0].body, "Call <her>");
        assert!(desk.topics().is_empty());
    }
}

// ------------------------------------------------------------------------------------- tickets and companies

#[tokio::test]
async fn tickets_are_made_and_assigned() {
    let desk = Desk::new(Variants::default()).await;
    let ada = desk.made(&json!({"external_id": "42"})).await;
    desk.intercom.take_webhooks();
    let attributes = json!({"_default_title_": "Cannot log in", "_default_description_": "since today"});
    let made = desk.post("/tickets", &json!({"ticket_type_id": "88", "contacts": [{"id": ada}], "ticket_attributes": attributes})).await;
    assert_eq!((&made["ticket_attributes"], &made["ticket_state"]["category"]), (&attributes, &json!("submitted")));
    assert_eq!((&made["contacts"]["contacts"][0]["id"], &made["admin_assignee_id"]), (&json!(ada), &json!(0)));
    let path = format!("/tickets/{}", text(&made["id"]));
    let assign = |to: &str| json!({"admin_id": 9_608_799, "assignee_id": to});
    assert_eq!(desk.done("PUT", &path, &assign(ADMIN)).await["admin_assignee_id"], json!(9_608_799));
    desk.done("PUT", &path, &assign("814865")).await;
    desk.done("PUT", &path, &json!({"ticket_state_id": "4517896", "open": false})).await;
    let (items, topics) = desk.told();
    let expected = ["ticket.created", "ticket.admin.assigned", "ticket.team.assigned", "ticket.state.updated", "ticket.closed"];
    assert_eq!(topics, expected);
    assert_eq!((&items[0]["admin_assignee_id"], &items[1]["admin_assignee_id"]), (&json!("0"), &json!(ADMIN)));
    assert_eq!((&items[3]["ticket_state"]["category"], &items[4]["ticket"]["open"]), (&json!("resolved"), &json!(false)));
    assert_eq!(desk.done("GET", &path, &Value::Null).await["open"], json!(false));
    let seen = desk.intercom.ticket(made["id"].as_str().expect("an id")).expect("a ticket");
    assert_eq!((seen.team_assignee, seen.parts[0].assigned_to), (Some(814_865), Some(Assignee::Admin(9_608_799))));

    // An address that nobody has makes a lead.
    let stranger = json!({"ticket_type_id": "88", "contacts": [{"email": "new@example.com"}], "ticket_attributes": attributes});
    desk.post("/tickets", &stranger).await;
    assert_eq!(desk.topics(), ["contact.lead.created", "ticket.created"]);
}

#[tokio::test]
async fn companies_are_upserted_and_joined() {
    let desk = Desk::new(Variants::default()).await;
    desk.intercom.add_attribute(Model::Company, "region", DataType::String);
    let ada = desk.made(&json!({"external_id": "42"})).await;
    desk.intercom.take_webhooks();
    let new = json!({"company_id": "c1", "name": "Example", "plan": "pro", "size": 5, "monthly_spend": 99.9, "remote_created_at": NOW,
        "custom_attributes": {"region": "EU"}});
    let made = desk.post("/companies", &new).await;
    let id = text(&made["id"]);
    assert_eq!((&made["monthly_spend"], &made["plan"]["name"], &made["user_count"]), (&json!(99), &json!("pro"), &json!(0)));
    assert_eq!(desk.ask("GET", "/companies?company_id=c1", &Value::Null).await.status, 404);
    let again = desk.post("/companies", &json!({"company_id": "c1", "size": 6})).await;
    assert_eq!((&again["id"], &again["size"], &again["name"]), (&json!(id), &json!(6), &json!("Example")));
    let path = format!("/contacts/{ada}/companies");
    desk.post(&path, &json!({"id": id})).await;
    desk.post(&path, &json!({"id": id})).await;
    assert_eq!(desk.intercom.members(&id), [ada.as_str()]);
    assert_eq!(desk.done("GET", "/companies?company_id=c1", &Value::Null).await["user_count"], json!(1));
    desk.done("DELETE", &format!("{path}/{id}"), &Value::Null).await;
    assert_eq!(desk.ask("DELETE", &format!("{path}/{id}"), &Value::Null).await.status, 404);
    let (items, topics) = desk.told();
    assert_eq!(topics, ["company.created", "company.updated", "company.contact.attached", "company.contact.detached"]);
    assert_eq!(items[0]["remote_created_at"], "2026-01-10T07:56:29.000+00:00");
    assert_eq!((&items[2]["company"]["id"], &items[2]["contact"]["id"]), (&json!(id), &json!(ada)));
    let (known, members) = (desk.intercom.companies(), desk.intercom.members(&id));
    assert_eq!((known.len(), known[0].custom_attributes["region"].clone(), members.len()), (1, json!("EU"), 0));
}
