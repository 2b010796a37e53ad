//! All writes against the stand-in of Intercom, in every reading of what the vendor's pages leave open that a few seeds give;
//! and what its webhooks then tell us of our own doing.

use secrecy::SecretString;
use serde_json::{Value, json};
use trefoil_connectors::http::{Http, HttpSettings};
use trefoil_connectors::intercom::{IntercomClient, IntercomSettings, IntercomWebhooks, Region};
use trefoil_domain::action::{ContactRole, IntercomVerb, MessageChannel, OpenConversation, UpsertCompany};
use trefoil_domain::event::{Attributes, Kind, Workspace};
use trefoil_domain::ports::{Called, ContactFields, Intercom as _, IntercomCall as C, Made, Received, SeenContact, Sought};
use trefoil_domain::tickets::opening;
use trefoil_domain::time::Timestamp;
use trefoil_standins::Clock;
use trefoil_standins::intercom::{DataType, InApp, Intercom, Model, Options, Variants};

const SECS: i64 = 1_795_219_200;
const LATER: i64 = 1_000;

struct Stage {
    intercom: Intercom,
    client: IntercomClient,
    clock: Clock,
}

impl Stage {
    async fn new(seed: u64, create_attributes: bool) -> Self {
        let clock = Clock::manual(SECS);
        let variants = Variants::seeded(seed);
        let intercom = Intercom::start(Options { clock: clock.clone(), seed, variants, ..Options::default() }).await.expect("a port");
        for (name, kind) in [("plan", DataType::String), ("seats", DataType::Integer)] {
            intercom.add_attribute(Model::Contact, name, kind);
        }
        let mut settings = IntercomSettings::new(Region::Us, SecretString::from(intercom.options().access_token.as_str()));
        settings.url = Some(intercom.url());
        settings.admin_id = Some(intercom.options().admins[0].to_string());
        settings.create_attributes = create_attributes;
        if variants.in_app == InApp::Plain {
            settings.in_app_message_type = "inapp".to_owned();
        }
        let http = Http::new(HttpSettings::default()).expect("a client");
        Self { client: IntercomClient::new(&settings, &http).expect("settings"), intercom, clock }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now_ms())
    }

    async fn call(&self, call: C) -> Called {
        self.client.call(&call, self.now()).await
    }

    async fn made(&self, call: C) -> Made {
        match self.call(call.clone()).await {
            Called::Done(made) => made,
            other => panic!("{call:?}: {other:?}"),
        }
    }

    async fn id(&self, call: C) -> String {
        self.made(call).await.id.expect("an id")
    }

    async fn user(&self) -> String {
        let fields = ContactFields { user_id: Some("42".to_owned()), email: Some("user@example.com".to_owned()), ..Default::default() };
        let id = self.id(C::CreateContact(fields)).await;
        self.clock.set(SECS + LATER);
        id
    }

    async fn lead(&self) -> String {
        self.id(C::CreateContact(ContactFields { name: Some("Somebody".to_owned()), ..Default::default() })).await
    }
}

fn attributes(value: Value) -> Attributes {
    serde_json::from_value(value).expect("attributes")
}

#[tokio::test]
async fn contacts_are_made_found_written_and_taken_away() {
    for seed in 0..12 {
        let stage = Stage::new(seed, false).await;
        let user = stage.user().await;
        let seen = SeenContact { id: user.clone(), role: ContactRole::User, user_id: Some("42".to_owned()) };
        assert_eq!(stage.client.with_user_id("42", stage.now()).await, Sought::Found(vec![seen.clone()]));
        assert_eq!(stage.client.with_email("USER@example.com", stage.now()).await, Sought::Found(vec![seen]));
        assert_eq!(stage.client.with_user_id("43", stage.now()).await, Sought::Found(Vec::new()));

        let again = ContactFields { user_id: Some("42".to_owned()), ..Default::default() };
        let exists = |archived| Called::Exists { contact: user.clone(), archived };
        assert_eq!(stage.call(C::CreateContact(again.clone())).await, exists(false));
        stage.made(C::ArchiveContact { contact: user.clone() }).await;
        assert_eq!(stage.call(C::CreateContact(again)).await, exists(true));
        stage.made(C::UnarchiveContact { contact: user.clone() }).await;

        let fields = ContactFields {
            name: Some("Sample User".to_owned()),
            signed_up_at: Some(json!("2026-01-10T04:22:28Z")),
            attributes: attributes(json!({"plan": "x".repeat(300), "seats": "7", "unknown": true})),
            ..Default::default()
        };
        let made = stage.made(C::UpdateContact { contact: user.clone(), fields }).await;
        assert_eq!(made.notes, ["text_cut: plan", "attribute_unknown: unknown"]);
        let stored = stage.intercom.contact(&user).expect("the contact");
        assert_eq!(stored.custom_attributes.get("seats"), Some(&json!(7)));
        assert_eq!((stored.name.as_deref(), stored.signed_up_at), (Some("Sample User"), Some(1_768_018_948)));

        let lead = stage.lead().await;
        assert_eq!(stage.id(C::MergeContacts { from: lead.clone(), into: user.clone() }).await, user);
        let gone = stage.call(C::AddTag { contact: lead, tag: "vip".to_owned() }).await;
        assert!(matches!(&gone, Called::MergedInto(into) if *into == user) || gone == Called::NoContact, "{gone:?}");
        stage.made(C::DeleteContact { contact: user.clone() }).await;
        assert_eq!(stage.call(C::DeleteContact { contact: user }).await, Called::NoContact);
    }
}

#[tokio::test]
async fn missing_attributes_are_made() {
    for seed in 0..4 {
        let stage = Stage::new(seed, true).await;
        let values = attributes(json!({"plan": "growth", "score": 4.5, "seen": 3, "vip": true}));
        let fields = ContactFields { user_id: Some("7".to_owned()), attributes: values.clone(), ..Default::default() };
        let made = stage.made(C::CreateContact(fields)).await;
        assert_eq!(made.notes, Vec::<String>::new());
        let stored = stage.intercom.contact(&made.id.expect("an id")).expect("the contact");
        assert_eq!(Value::from(stored.custom_attributes), json!(values));
    }
}

#[tokio::test]
async fn tags_events_and_subscriptions_end_where_they_should() {
    for seed in 0..12 {
        let stage = Stage::new(seed, false).await;
        let contact = stage.user().await;
        for tag in ["VIP", "vip"] {
            stage.made(C::AddTag { contact: contact.clone(), tag: tag.to_owned() }).await;
        }
        assert_eq!(stage.intercom.contact(&contact).expect("the contact").tags.len(), 1);
        for tag in ["vip", "vip", "never made"] {
            stage.made(C::RemoveTag { contact: contact.clone(), tag: tag.to_owned() }).await;
        }
        assert!(stage.intercom.contact(&contact).expect("the contact").tags.is_empty());
        assert_eq!(stage.intercom.tags().len(), 1, "taking one off makes none");

        for (topic, subscribed) in [
            (None, false),
            (None, true),
            (Some("Newsletter"), false),
            (Some("newsletter"), true),
            (Some("1943066"), true),
            (Some("1943066"), false),
        ] {
            for _ in 0..2 {
                stage.made(C::SetSubscription { contact: contact.clone(), topic: topic.map(str::to_owned), subscribed }).await;
            }
        }
        let metadata =
            attributes(json!({"revenue": 19.99, "order": {"id": 7}, "items": [1, 2], "a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}));
        for _ in 0..2 {
            stage.made(C::TrackEvent { contact: contact.clone(), name: "order".to_owned(), at: SECS, metadata: metadata.clone() }).await;
        }
        let events = stage.intercom.events(&contact);
        assert_eq!((events.len(), events[0].metadata.get("price")), (1, Some(&json!({"amount": 1999, "currency": "USD"}))));
        let mut refused = 0;
        for n in 0..125 {
            let call = C::TrackEvent { contact: contact.clone(), name: format!("name {n}"), at: SECS, metadata: Attributes::new() };
            match stage.call(call).await {
                Called::Done(_) => {}
                Called::TooManyNames => refused += 1,
                // Our own limit: the time stands still here.
                other => {
                    assert!(matches!(other, Called::Not(_)), "{other:?}");
                    stage.clock.set(stage.clock.now() + 10);
                }
            }
        }
        assert!(refused > 0, "seed {seed}");
    }
}

#[tokio::test]
async fn what_people_see_is_made_and_known_again() {
    for seed in 0..12 {
        let stage = Stage::new(seed, false).await;
        let contact = stage.user().await;
        stage.intercom.take_webhooks();
        let team = stage.intercom.options().teams[0].to_string();
        let admin = stage.intercom.options().admins[0].to_string();
        let text = || "Text".to_owned();
        let body = "I need a hand, <Jo> & co".to_owned();
        let conversation = stage.id(C::OpenConversation { contact: contact.clone(), role: None, body: body.clone() }).await;
        stage.made(C::AssignToAdmin { conversation: conversation.clone(), admin: admin.clone() }).await;
        stage.made(C::AssignToTeam { conversation: conversation.clone(), team: team.clone() }).await;
        stage.made(C::NoteOnConversation { conversation: conversation.clone(), body: text() }).await;
        stage.made(C::TagConversation { conversation, tag: "vip".to_owned() }).await;
        stage.made(C::NoteOnContact { contact: contact.clone(), body: text() }).await;
        for (channel, subject) in [(MessageChannel::InApp, None), (MessageChannel::Email, Some(text()))] {
            stage.made(C::SendMessage { contact: contact.clone(), role: None, channel, subject, body: text() }).await;
        }
        assert_eq!(stage.intercom.messages().len(), 2);
        let ticket = C::CreateTicket {
            contact: contact.clone(),
            ticket_type: "88".to_owned(),
            title: "Cannot log in".to_owned(),
            description: Some("Since Monday".to_owned()),
            attributes: Attributes::new(),
        };
        let ticket = stage.id(ticket).await;
        stage.made(C::AssignTicket { ticket, assignee: admin }).await;
        let company = UpsertCompany { company_id: "acme".to_owned(), size: Some(json!(85)), ..Default::default() };
        let company = stage.id(C::UpsertCompany(company)).await;
        stage.made(C::AttachCompany { contact: contact.clone(), company: company.clone() }).await;
        assert_eq!(stage.intercom.members(&company), [contact]);

        let ours = opening(&IntercomVerb::OpenConversation(OpenConversation { body, ..Default::default() }).opens_with().expect("a text"));
        let openings = told(&stage);
        assert!(openings.contains(&ours), "seed {seed}");
        assert!(openings.contains(&opening("Cannot log in Since Monday")), "seed {seed}");
    }
}

/// What the conversations and tickets began with of which Intercom has told since.
fn told(stage: &Stage) -> Vec<Option<String>> {
    let webhooks = IntercomWebhooks::new(
        &[SecretString::from(stage.intercom.options().client_secret.as_str())],
        Workspace::new("main").expect("a name"),
        Some(stage.intercom.options().app_id.clone()),
    )
    .expect("a secret");
    let mut openings = Vec::new();
    for webhook in stage.intercom.take_webhooks() {
        let received = webhooks.receive(Some(&webhook.signature), &webhook.body, stage.now()).expect("ours");
        if let Received::Events(events) = received {
            openings.extend(events.into_iter().filter_map(|event| match event.kind {
                Kind::Ticket(report) => Some(report.opening),
                _ => None,
            }));
        }
    }
    openings
}
