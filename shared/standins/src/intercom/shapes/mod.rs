//! The JSON of what is in the world, in the form of the REST API and in the form of webhooks. They differ in
//! times (ISO text in webhooks where REST has unix seconds), in parts (only the causing one) and by API version.
//! <https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations>,
//! <https://developers.intercom.com/docs/references/webhooks/webhook-models>

mod records;

pub(crate) use records::{company, data_attribute, event, message, note, subscription_type, tag, ticket};

use super::world::{
    ADMIN_EMAIL, ADMIN_ID, ADMIN_NAME, AiAgent, Assignee, Author, Consent, Contact, Conversation, ConversationState, Part, Priority, World,
};
use serde_json::{Map, Value, json};

/// What changed between API versions, as far as it shows here. A webhook has the version set in the Developer Hub, a REST
/// answer the version that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiVersion {
    /// 2.11 to 2.14: priority is `priority` or `not_priority`, unassigned is null, bodies are HTML.
    V2_14,
    /// Bodies in webhooks are plain text.
    V2_15,
    /// Priority is `none`, `low`, `medium`, `high` or `urgent`, unassigned is 0.
    #[default]
    V2_16,
    /// A rating that a workflow asked for names the workflow.
    /// <https://developers.intercom.com/docs/references/2.17/changelog>
    V2_17,
}

/// The code of the app whose token the REST API takes: on every part that it made. (notes 1.10)
pub const APP_PACKAGE_CODE: &str = "trefoil-standin-app";

/// Where the JSON goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form<'a> {
    Rest(ApiVersion),
    /// With the part that caused the notification.
    Webhook(ApiVersion, Option<&'a Part>),
}

impl Form<'_> {
    fn version(self) -> ApiVersion {
        match self {
            Self::Rest(version) | Self::Webhook(version, _) => version,
        }
    }

    /// Times of contacts and companies.
    fn time(self, ms: i64) -> Value {
        match self {
            Self::Rest(_) => json!(ms.div_euclid(1000)),
            Self::Webhook(..) => json!(iso(ms, "%Y-%m-%dT%H:%M:%S%.3f+00:00")),
        }
    }

    fn body(self, plain: &str) -> String {
        let html = || format!("<p>{}</p>", plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        match self {
            Self::Webhook(ApiVersion::V2_15 | ApiVersion::V2_16 | ApiVersion::V2_17, _) => plain.to_owned(),
            Self::Webhook(ApiVersion::V2_14, _) | Self::Rest(_) => html(),
        }
    }
}

pub(crate) fn contact(world: &World, contact: &Contact, app_id: &str, form: Form<'_>) -> Value {
    let list = |kind: &str, of: &str, at: &str, ids: Vec<String>| {
        // "At most 10 entries inline", without names.
        let data: Vec<Value> = ids.iter().take(10).map(|id| json!({"id": id, "type": of, "url": format!("/{at}/{id}")})).collect();
        json!({"type": "list", "data": data, "url": format!("/contacts/{}/{kind}", contact.id), "total_count": ids.len(),
               "has_more": ids.len() > 10})
    };
    let attached = |consent: Consent| {
        let is = |id: &&String| world.subscription_type(id).is_some_and(|kind| kind.consent == consent);
        list("subscriptions", "subscription", "subscriptions", contact.subscriptions.iter().filter(is).cloned().collect())
    };
    let avatar = contact.avatar.as_ref().map(|url| json!({"type": "avatar", "image_url": url}));
    let seconds = |secs: Option<i64>| secs.map(|secs| form.time(secs.saturating_mul(1000)));
    let mut object = json!({
        "type": "contact", "id": contact.id, "workspace_id": app_id, "external_id": contact.external_id,
        "role": contact.role.as_str(), "email": contact.email, "phone": contact.phone, "name": contact.name, "avatar": avatar,
        "owner_id": contact.owner_id, "social_profiles": {"type": "list", "data": []}, "has_hard_bounced": false,
        "marked_email_as_spam": false, "unsubscribed_from_emails": contact.unsubscribed_from_emails,
        "created_at": form.time(contact.created_at_ms), "updated_at": form.time(contact.updated_at_ms),
        "signed_up_at": seconds(contact.signed_up_at), "last_seen_at": seconds(contact.last_seen_at),
        "location": {"type": "location", "country": null, "region": null, "city": null, "country_code": null, "continent_code": null},
        "custom_attributes": contact.custom_attributes,
        "tags": list("tags", "tag", "tags", contact.tags.iter().map(|tag| tag.id.clone()).collect()),
        "notes": list("notes", "note", "notes", contact.notes.iter().map(|note| note.id.to_string()).collect()),
        "companies": list("companies", "company", "companies", contact.companies.clone()),
        "opted_out_subscription_types": attached(Consent::OptOut), "opted_in_subscription_types": attached(Consent::OptIn),
    });
    let unset = [
        "last_replied_at",
        "last_contacted_at",
        "last_email_opened_at",
        "last_email_clicked_at",
        "language_override",
        "browser",
        "browser_version",
        "browser_language",
        "os",
        "android_app_name",
        "android_app_version",
        "android_device",
        "android_os_version",
        "android_sdk_version",
        "android_last_seen_at",
        "ios_app_name",
        "ios_app_version",
        "ios_device",
        "ios_os_version",
        "ios_sdk_version",
        "ios_last_seen_at",
        "utm_campaign",
        "utm_content",
        "utm_medium",
        "utm_source",
        "utm_term",
        "referrer",
        "enabled_push_messaging",
    ];
    for key in unset {
        object[key] = Value::Null;
    }
    match form {
        Form::Rest(_) => {}
        Form::Webhook(..) => {
            object["sms_consent"] = json!(false);
            object["unsubscribed_from_sms"] = json!(false);
            object["formatted_phone"] = Value::Null;
        }
    }
    object
}

pub(crate) fn conversation(world: &World, conversation: &Conversation, form: Form<'_>) -> Value {
    let parts: Vec<Value> = match form {
        Form::Rest(_) => conversation.parts.iter().map(|part| self::part(world, part, form)).collect(),
        Form::Webhook(_, cause) => cause.iter().map(|part| self::part(world, part, form)).collect(),
    };
    let contacts: Vec<Value> = conversation.contacts.iter().map(|id| contact_reference(world, id)).collect();
    let tags: Vec<Value> = conversation
        .tags
        .iter()
        .map(|tag| json!({"type": "tag", "id": tag.id, "name": tag.name, "applied_at": tag.applied_at, "applied_by": admin_reference()}))
        .collect();
    let rating = conversation.rating.as_ref().map(|rating| {
        json!({"rating": rating.rating, "remark": rating.remark, "created_at": rating.created_at, "updated_at": rating.updated_at,
               "contact": contact_reference(world, &rating.contact), "teammate": rated(rating.asked_by_workflow, form.version())})
    });
    let assignee = |id: Option<u64>| match (id, form.version()) {
        (Some(id), _) => json!(id),
        (None, ApiVersion::V2_14 | ApiVersion::V2_15) => Value::Null,
        (None, ApiVersion::V2_16 | ApiVersion::V2_17) => json!(0),
    };
    let teammates: Vec<Value> = conversation.admin_assignee.iter().map(|id| json!({"type": "admin", "id": id.to_string()})).collect();
    json!({
        "type": "conversation", "id": conversation.id.to_string(), "created_at": conversation.created_at,
        "updated_at": conversation.updated_at, "waiting_since": conversation.waiting_since,
        "snoozed_until": conversation.snoozed_until, "open": conversation.state != ConversationState::Closed,
        "state": conversation.state.as_str(), "read": false, "title": "",
        "priority": priority(conversation.priority, form.version()),
        "admin_assignee_id": assignee(conversation.admin_assignee), "team_assignee_id": assignee(conversation.team_assignee),
        "source": source(world, conversation, form),
        "contacts": {"type": "contact.list", "contacts": contacts},
        "first_contact_reply": first_contact_reply(conversation),
        "teammates": {"type": "admin.list", "admins": teammates},
        "tags": {"type": "tag.list", "tags": tags}, "conversation_rating": rating, "sla_applied": null,
        "statistics": statistics(conversation, form), "custom_attributes": {}, "ticket": null,
        "topics": {"type": "topic.list", "topics": [], "total_count": 0},
        "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": false},
        "ai_agent": conversation.ai.as_ref().map(|ai| ai_agent(ai, form.version())), "ai_agent_participated": conversation.ai.is_some(),
        "conversation_parts": {"type": "conversation_part.list", "total_count": parts.len(), "conversation_parts": parts},
    })
}

fn part(world: &World, part: &Part, form: Form<'_>) -> Value {
    let mut author = author(world, &part.author);
    author["from_ai_agent"] = json!(part.author == Author::Bot);
    author["is_ai_answer"] = json!(false);
    let assigned_to = match part.assigned_to {
        Some(Assignee::Admin(id)) => json!({"type": "admin", "id": id.to_string()}),
        Some(Assignee::Team(id)) => json!({"type": "team", "id": id.to_string()}),
        Some(Assignee::Nobody) => json!({"type": "nobody_admin", "id": null}),
        None => Value::Null,
    };
    json!({
        "type": "conversation_part", "id": part.id.to_string(), "part_type": part.part_type,
        "body": part.body.as_deref().map(|body| form.body(body)), "created_at": part.created_at, "updated_at": part.created_at,
        "notified_at": part.created_at, "assigned_to": assigned_to, "author": author, "attachments": [], "external_id": null,
        "redacted": false, "metadata": {}, "email_message_metadata": null, "state": part.state.as_str(), "tags": [],
        "event_details": {}, "app_package_code": part.by_app.then_some(APP_PACKAGE_CODE),
    })
}

/// The raw shape of `conversation.contact.attached` and `.detached`, as captured in 2026: numbers and ISO times.
pub(crate) fn participants_changed(world: &World, conversation: &Conversation, part: &Part, contact: &Value) -> Value {
    let time = |secs: i64| iso(secs.saturating_mul(1000), "%Y-%m-%dT%H:%M:%S%.3fZ");
    let starter = conversation.contacts.first().and_then(|id| world.any_contact(id)).map(|contact| contact.id.clone());
    json!({
        "conversation": {
            "parts": [{"id": part.id, "conversation_id": conversation.id, "body": "", "created_at": time(part.created_at),
                       "updated_at": time(part.created_at), "owner_id": ADMIN_ID, "deleted": false}],
            "options": {"expand_for_notification": true},
            "model": {"id": conversation.id, "user_id": starter, "message_id": conversation.source_id,
                      "created_at": time(conversation.created_at), "updated_at": time(conversation.updated_at),
                      "company_id": "-1", "message_type": "conversation", "read": false, "deleted": false},
        },
        "contact": contact,
    })
}

fn source(world: &World, conversation: &Conversation, form: Form<'_>) -> Value {
    let delivered_as = match conversation.started_by {
        Author::Contact(_) => "customer_initiated",
        Author::Admin => "admin_initiated",
        Author::Bot => "operator_initiated",
    };
    json!({
        "type": "conversation", "id": conversation.source_id.to_string(), "delivered_as": delivered_as, "subject": "",
        "body": form.body(&conversation.body), "author": author(world, &conversation.started_by), "attachments": [],
        "url": "https://app.example.com/", "redacted": false,
    })
}

fn author(world: &World, author: &Author) -> Value {
    match author {
        Author::Admin => json!({"type": "admin", "id": ADMIN_ID.to_string(), "name": ADMIN_NAME, "email": ADMIN_EMAIL}),
        Author::Bot => json!({"type": "bot", "id": "278", "name": "Fin", "email": "operator+abc123def@intercom.example.com"}),
        Author::Contact(id) => {
            let contact = world.any_contact(id);
            // In a captured conversation of a lead without address it was "".
            let email = contact.and_then(|contact| contact.email.clone()).unwrap_or_default();
            let role = contact.map_or("user", |contact| contact.role.as_str());
            json!({"type": role, "id": id, "name": contact.and_then(|contact| contact.name.clone()), "email": email})
        }
    }
}

/// No e-mail, no role, no name.
fn contact_reference(world: &World, id: &str) -> Value {
    json!({"type": "contact", "id": id, "external_id": world.any_contact(id).and_then(|contact| contact.external_id.clone())})
}

fn admin_reference() -> Value {
    json!({"type": "admin", "id": ADMIN_ID.to_string()})
}

fn rated(by_workflow: bool, version: ApiVersion) -> Value {
    if by_workflow && version >= ApiVersion::V2_17 { json!({"type": "workflow", "id": "31415"}) } else { admin_reference() }
}

/// Which resolution states there are, and what they were called before 2.15: the descriptions of 2.14 and 2.16, schema
/// `ai_agent`. <https://developers.intercom.com/docs/references/2.15/changelog>
fn ai_agent(ai: &AiAgent, version: ApiVersion) -> Value {
    let state = match (ai.resolution_state, version) {
        (Some("escalated"), ApiVersion::V2_14) => Some("routed_to_team"),
        (Some("negative_feedback"), ApiVersion::V2_14) => Some("abandoned"),
        (state, _) => state,
    };
    json!({
        "source_type": ai.source_type, "source_title": "Answers", "last_answer_type": "ai_answer", "resolution_state": state,
        "rating": ai.rating.map(|(score, _)| score), "rating_remark": null, "created_at": ai.rating.map(|(_, at)| at),
        "updated_at": ai.rating.map(|(_, at)| at), "content_sources": {"type": "content_source.list", "content_sources": [], "total_count": 0},
    })
}

fn priority(priority: Priority, version: ApiVersion) -> &'static str {
    match (version, priority) {
        (ApiVersion::V2_14 | ApiVersion::V2_15, Priority::High | Priority::Urgent) => "priority",
        (ApiVersion::V2_14 | ApiVersion::V2_15, Priority::None | Priority::Low | Priority::Medium) => "not_priority",
        (ApiVersion::V2_16 | ApiVersion::V2_17, Priority::None) => "none",
        (ApiVersion::V2_16 | ApiVersion::V2_17, Priority::Low) => "low",
        (ApiVersion::V2_16 | ApiVersion::V2_17, Priority::Medium) => "medium",
        (ApiVersion::V2_16 | ApiVersion::V2_17, Priority::High) => "high",
        (ApiVersion::V2_16 | ApiVersion::V2_17, Priority::Urgent) => "urgent",
    }
}

fn first_contact_reply(conversation: &Conversation) -> Value {
    let at = first_word(conversation);
    at.map_or(Value::Null, |at| json!({"created_at": at, "type": "conversation", "url": "https://app.example.com/"}))
}

/// When a contact first wrote. (Schemas `conversation_first_contact_reply` and `conversation_statistics`: "for a contact initiated
/// message this will represent the users original message".)
fn first_word(conversation: &Conversation) -> Option<i64> {
    match conversation.started_by {
        Author::Contact(_) => Some(conversation.created_at),
        Author::Admin | Author::Bot => {
            conversation.parts.iter().find(|part| matches!(part.author, Author::Contact(_))).map(|part| part.created_at)
        }
    }
}

/// `*_at` are ISO text in webhooks and unix seconds in REST.
fn statistics(conversation: &Conversation, form: Form<'_>) -> Value {
    let time = |secs: Option<i64>| match (secs, form) {
        (None, _) => Value::Null,
        (Some(secs), Form::Rest(_)) => json!(secs),
        (Some(secs), Form::Webhook(..)) => json!(iso(secs.saturating_mul(1000), "%Y-%m-%dT%H:%M:%S%.3fZ")),
    };
    let at = |part_type: &str| {
        conversation.parts.iter().filter(move |part| part.part_type == part_type).map(|part| part.created_at).collect::<Vec<_>>()
    };
    let closes = at("close");
    let admin: Vec<i64> = conversation
        .parts
        .iter()
        .filter(|part| part.author == Author::Admin && part.part_type == "comment")
        .map(|part| part.created_at)
        .collect();
    let mut statistics = Map::new();
    statistics.insert("type".to_owned(), json!("conversation_statistics"));
    for (name, secs) in [
        ("first_close_at", closes.first().copied()),
        ("last_close_at", closes.last().copied()),
        ("first_admin_reply_at", admin.first().copied()),
        ("last_admin_reply_at", admin.last().copied()),
        ("first_contact_reply_at", first_word(conversation)),
    ] {
        statistics.insert(name.to_owned(), time(secs));
    }
    statistics.insert("time_to_first_close".to_owned(), json!(closes.first().map(|at| at - conversation.created_at)));
    statistics.insert("time_to_last_close".to_owned(), json!(closes.last().map(|at| at - conversation.created_at)));
    statistics.insert("count_reopens".to_owned(), json!(at("open").len()));
    statistics.insert("count_conversation_parts".to_owned(), json!(conversation.parts.len() + 1));
    Value::Object(statistics)
}

/// A time out of range shows as the epoch: only a clock set by hand could be that far off.
fn iso(ms: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime(format).to_string()
}
