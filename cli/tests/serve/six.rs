//! The directions that no other file here goes from end to end: Intercom to Segment, Customer.io to Segment, Segment to
//! Customer.io. (Intercom to Customer.io: `histories`; to Intercom: `intercom_out`.) Each time the echoes come back too.

use crate::ada::{EMAIL, USER};
use crate::three::Three;
use serde_json::{Value, json};
use std::time::Duration;
use trefoil_standins::customerio::{Channel, CreatedBy, Identifier, Message, Profile};
use trefoil_standins::intercom::{Author, NewContact, Priority, Role};
use trefoil_standins::segment::{Audience, Caller, SentAs};

#[tokio::test(flavor = "multi_thread")]
async fn segment_hears_of_conversations_and_leads_of_intercom() {
    let three = Three::new(None).await;
    let (stage, intercom) = (&three.ada.stage, &three.ada.stage.intercom);
    let serve = stage.serve().await;
    let (conversation, opened) = intercom.open_conversation(&three.ada.contact, Priority::High).expect("a contact");
    three.of_intercom(&serve, &[opened]).await;
    let names = || three.events_at_segment().into_iter().filter_map(|event| event.name).collect::<Vec<_>>();
    three.until_segment("the conversation", |_| names().len() == 2).await;
    stage.clock.advance(Duration::from_mins(1));
    three.of_intercom(&serve, &intercom.reply(&conversation, Author::Admin, "We are on it.").expect("a conversation")).await;
    stage.clock.advance(Duration::from_mins(1));
    let contact = Author::Contact(three.ada.contact.clone());
    three.of_intercom(&serve, &intercom.reply(&conversation, contact, "Thank you.").expect("a conversation")).await;
    stage.clock.advance(Duration::from_mins(1));
    three.of_intercom(&serve, &[intercom.close(&conversation, Author::Admin).expect("a conversation")]).await;
    let (role, email, name) = (Some(Role::Lead), Some("bo@example.com".to_owned()), Some("Bo".to_owned()));
    let (_, lead) = intercom.create_contact(NewContact { role, email, name, ..NewContact::default() });
    three.of_intercom(&serve, &[lead]).await;
    let bo = || three.at_segment("bo@example.com");
    three.until_segment("the lead", |_| bo().is_some()).await;
    three.until_segment("the end", |_| names().len() == 6).await;
    let trait_of_ada = |name: &str| three.at_segment(EMAIL).and_then(|profile| profile.traits.get(name).cloned());
    three.until_segment("no open ticket", |_| trait_of_ada("has_open_ticket") == Some(json!(false))).await;
    three.silence(serve).await;

    let ended = ["Live Chat Conversation Ended", "Support Ticket Resolved"];
    let begun = ["Live Chat Conversation Started", "Support Ticket Opened", "Live Chat Message Received", "Live Chat Message Sent"];
    let mut told = names();
    told[..2].sort();
    told[4..].sort();
    assert_eq!(told, [&begun[..], &ended[..]].concat());
    assert_eq!((trait_of_ada("open_ticket_count"), trait_of_ada("tickets_opened_30d")), (Some(json!(0)), Some(json!(1))));
    let ended = three.events_at_segment().into_iter().find(|event| event.name.as_deref() == Some(ended[0])).expect("it is there");
    assert_eq!(Value::Object(ended.properties), json!({"conversation_id": conversation, "conversation_duration": 180}));
    let bo = bo().expect("she is there");
    assert_eq!((bo.user_ids.len(), bo.traits["name"].clone(), bo.traits["lead_source"].clone()), (0, json!("Bo"), json!("intercom")));
    assert_eq!(three.segment.lost(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn segment_hears_what_people_do_with_mail_of_customerio() {
    let three = Three::new(None).await;
    let customerio = &three.ada.stage.customerio;
    customerio.set_name("campaigns", 7, "Renewal");
    let serve = three.ada.stage.serve().await;
    let message = |delivery: &str, machine| Message {
        delivery_id: Some(delivery.to_owned()),
        subject: Some("Ready?".to_owned()),
        href: Some("https://example.com/upgrade".to_owned()),
        link_id: Some(3),
        machine: Some(machine),
        ..Message::default()
    };
    let by_scanner = customerio.metric(&three.cio_id(), Channel::Email, "clicked", &message("d1", true));
    let by_her = customerio.metric(&three.cio_id(), Channel::Email, "clicked", &message("d2", false));
    three.of_customerio(&serve, &by_scanner).await;
    three.of_customerio(&serve, &by_her).await;
    three.of_customerio(&serve, &by_her.iter().map(|webhook| customerio.redelivery(webhook)).collect::<Vec<_>>()).await;
    let told = customerio.conversion(&three.cio_id(), "Renewed", "01E4C4CT6YDC7Y5M7FE1GWWPQJ", 9.5, "EUR").expect("she is there");
    three.of_customerio(&serve, &told).await;
    three.until_segment("both", |_| three.events_at_segment().len() >= 2).await;
    three.silence(serve).await;

    let events = three.events_at_segment();
    let seen: Vec<_> = events.iter().map(|event| event.name.as_deref().unwrap_or_default()).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let of = |name: &str| &events.iter().find(|event| event.name.as_deref() == Some(name)).expect("it is there").properties;
    let clicked = of("Email Link Clicked");
    let fields = ["email_id", "email_subject", "link_url"].map(|name| clicked[name].clone());
    assert_eq!(fields, [json!("d2"), json!("Ready?"), json!("https://example.com/upgrade")]);
    assert_eq!(of("Campaign Converted")["value"], json!(9.5));
    // For whoever answers at Intercom, the same click.
    assert_eq!(three.ada.stage.intercom.events(&three.ada.contact).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn customerio_hears_of_people_behaviour_companies_and_audiences_of_segment() {
    let three = Three::new(None).await;
    let (segment, customerio) = (&three.segment, &three.ada.stage.customerio);
    let older = customerio.add_profile(Some("bo-before"), None, &[]);
    let serve = three.ada.stage.serve().await;
    let bo = Caller { email: Some("bo@example.com".to_owned()), ..Caller::user("u2") };
    let profile = |id: &str| -> Option<Profile> { customerio.profile(&Identifier::Id(id.to_owned())) };
    let text = |id: &str, name: &str| profile(id).and_then(|profile| profile.text(name));

    // Nobody knows Bo: a profile is made, and looked at before anything rests on it.
    segment.app_identify(&bo, &json!({"email": "bo@example.com", "name": "Bo", "plan": "growth"}));
    three.of_segment(&serve).await;
    three.until_customerio("Bo", |_| text("u2", "plan").as_deref() == Some("growth")).await;
    assert_eq!(profile("u2").map(|bo| (bo.created_by, bo.email)), Some((CreatedBy::Identify, Some("bo@example.com".to_owned()))));

    segment.app_track(&bo, "Trial Started", &json!({"seats": 3}));
    segment.app_group(&bo, "acme", &json!({"name": "Acme", "employees": 12}));
    three.of_segment(&serve).await;
    three.until_customerio("the trial", |customerio| customerio.event_count() == 1).await;
    let acme = || customerio.object("1", "acme");
    let members = || acme().map(|acme| acme.relationships.into_keys().collect::<Vec<_>>()).unwrap_or_default();
    let cio_id = profile("u2").expect("he is there").cio_id;
    let is_acme = || acme().is_some_and(|acme| acme.attributes.get("name") == Some(&json!("Acme")));
    three.until_customerio("the company", |_| members() == [cio_id.clone()] && is_acme()).await;

    segment.engage_audience("u2", &Audience::new("vip"), true, SentAs::Track);
    three.of_segment(&serve).await;
    three.until_customerio("in the audience", |_| text("u2", "vip").as_deref() == Some("true")).await;
    three.ada.stage.clock.advance(Duration::from_mins(1));
    segment.engage_audience("u2", &Audience::new("vip"), false, SentAs::Identify);
    three.of_segment(&serve).await;
    three.until_customerio("out of it", |_| text("u2", "vip").as_deref() == Some("false")).await;

    // Ada works there too, whom Intercom knows: there is no company without somebody of it.
    segment.app_group(&Three::caller(), "acme", &json!({"name": "Acme", "employees": 12}));
    three.of_segment(&serve).await;
    three.ada.until("the company", |intercom| !three.ada.contact().companies.is_empty() && intercom.companies().len() == 1).await;

    // He was known by another id before.
    segment.app_alias(&bo, "bo-before");
    three.of_segment(&serve).await;
    three.until_customerio("one profile", |_| profile("bo-before").is_none()).await;
    three.silence(serve).await;

    let names: Vec<_> = customerio.events().into_iter().map(|event| (event.name, event.cio_id)).collect();
    assert_eq!(names, [("Trial Started".to_owned(), Some(cio_id.clone()))]);
    let left: Vec<_> = customerio.profiles().into_iter().map(|profile| profile.cio_id).collect();
    assert!(left.contains(&cio_id) && left.contains(&three.cio_id()) && !left.contains(&older), "{left:?}");
    assert!(!customerio.profile_created_by_accident());
    assert_eq!(text(USER, "plan"), None, "Ada is somebody else");
    // Nobody is made at Intercom as shipped.
    assert_eq!((three.ada.stage.intercom.companies().len(), three.ada.stage.intercom.contacts().len()), (1, 1));
}
