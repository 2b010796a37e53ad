//! The log says what happens without a word of whom it happens to, and without a secret.

use crate::process::PATIENCE;
use crate::stage::Stage;
use serde_json::json;
use trefoil_standins::customerio::{self, Identifier};
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{self, Author, NewContact, Priority};
use trefoil_standins::{CustomerIo, Intercom};

const CANARY: &str = "canary";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_and_no_secret_is_ever_logged() {
    let mut stage = Stage::plain().await;
    let options = intercom::Options {
        clock: stage.clock.clone(),
        app_id: "canaryapp".to_owned(),
        access_token: "canary-access-token".to_owned(),
        client_secret: "canary-client-secret".to_owned(),
        deadline: Some(PATIENCE),
        ..intercom::Options::default()
    };
    stage.intercom = Intercom::start(options).await.expect("a port");
    let options = customerio::Options {
        clock: stage.clock.clone(),
        site_id: "canary-site".to_owned(),
        track_api_key: "canary-track-key".to_owned(),
        app_api_key: "canary-app-key".to_owned(),
        deadline: Some(PATIENCE),
        ..customerio::Options::default()
    };
    stage.customerio = CustomerIo::start(options).await.expect("a port");
    for (variable, value) in [
        ("TREFOIL_INTERCOM_CLIENT_SECRET", "canary-client-secret".to_owned()),
        ("TREFOIL_INTERCOM_TOKEN", "canary-access-token".to_owned()),
        ("TREFOIL_INTERCOM_URL", stage.intercom.url()),
        ("TREFOIL_CUSTOMERIO_SITE_ID", "canary-site".to_owned()),
        ("TREFOIL_CUSTOMERIO_API_KEY", "canary-track-key".to_owned()),
        ("TREFOIL_CUSTOMERIO_APP_API_KEY", "canary-app-key".to_owned()),
        ("TREFOIL_CUSTOMERIO_URL", stage.customerio.track_url()),
        ("TREFOIL_CUSTOMERIO_APP_URL", stage.customerio.app_url()),
        ("TREFOIL_LOG", "debug".to_owned()),
    ] {
        stage.variables.insert(variable.to_owned(), value);
    }
    let serve = stage.serve().await;

    let profile = stage.customerio.add_profile(Some("canary-user"), Some("canary@example.com"), &[]);
    let new = NewContact {
        external_id: Some("canary-user".to_owned()),
        email: Some("canary@example.com".to_owned()),
        name: Some("Canary Bird".to_owned()),
        custom_attributes: [("plan".to_owned(), json!("canary-plan"))].into_iter().collect(),
        ..NewContact::default()
    };
    let (contact, created) = stage.intercom.create_contact(new);
    let (ticket, opened) = stage.intercom.open_conversation(&contact, Priority::Urgent).expect("the contact exists");
    let tagged = stage.intercom.tag(&ticket, "canary-tag").expect("the ticket exists");
    let replied = stage.intercom.reply(&ticket, Author::Contact(contact), "My canary died.").expect("the ticket exists");
    let rated = stage.intercom.rate(&ticket, 1, Some("canary remark")).expect("the ticket exists");
    // Somebody whom nobody knows, and things going wrong in every way, since errors are what gets logged.
    let stranger = NewContact { email: Some("canary2@example.com".to_owned()), ..NewContact::default() };
    let (stranger, _) = stage.intercom.create_contact(stranger);
    let (_, of_stranger) = stage.intercom.open_conversation(&stranger, Priority::None).expect("the contact exists");
    let faults = stage.customerio.faults();
    faults.set("/v1/", Fault::status(500), During::Requests(1));
    faults.set("/api/", Fault::status(503), During::Requests(1));
    faults.set("/api/", Fault::Drop { applied: true }, During::Requests(1));
    faults.set("/api/", Fault::status(400), During::Requests(1));
    stage.intercom.faults().set("/", Fault::status(500), During::Requests(1));
    let mut webhooks = vec![created, opened, tagged, rated, of_stranger];
    webhooks.extend(replied);
    assert_eq!(stage.deliver(&serve.url(), &webhooks).await.len(), 0);
    for body in
        ["canary nonsense", r#"{"topic": "canary.topic"}"#, r#"{"topic": "conversation.user.created", "canary": "canary@example.com"}"#]
    {
        let sent = crate::stage::request(hyper::Method::POST, &serve.url(), Some(&stage.sign(body.as_bytes())), body).await;
        assert_eq!(sent.expect("an answer").status, 200);
        let forged = crate::stage::request(hyper::Method::POST, &serve.url(), Some("canary-signature"), body).await;
        assert_eq!(forged.expect("an answer").status, 401);
    }
    let who = Identifier::CioId(profile);
    let told =
        |c: &CustomerIo| c.profile(&who).is_some_and(|p| p.text("has_open_ticket").as_deref() == Some("true")) && c.event_count() >= 3;
    stage.customerio.wait_until(PATIENCE, told).await.expect("the state arrives all the same");
    let (status, output) = serve.stop().await;
    assert!(status.success(), "{output}");

    assert!(output.contains("DEBUG") && output.contains("WARN"), "there is something to search in:\n{output}");
    let hits: Vec<&str> = output.lines().filter(|line| line.to_lowercase().contains(CANARY)).collect();
    assert_eq!(hits, Vec::<&str>::new());
}
