//! What a product tells Segment, told to Customer.io and to Intercom; and who says so, which leads the other tools together.

use crate::person::Person;
use serde_json::{Value, json};
use trefoil_standins::customerio::{CreatedBy, Object};
use trefoil_standins::intercom::{Company, Priority};
use trefoil_standins::segment::{Audience, SentAs, sign};
use trefoil_tests::{Deployment, PIPELINES_SECRET, SEGMENT_SECRET, Tool};

/// Who is in no tool but the product itself.
fn stranger(name: &str) -> Person {
    Person { contact: String::new(), user: format!("user-{name}"), email: format!("{name}@example.com") }
}

#[test]
fn whom_nobody_knows_becomes_one_profile_and_does_things() {
    Deployment::test(async |deployment| {
        let person = stranger("mona");
        let identified = json!({"email": person.email, "first_name": "Mona", "plan": "pro"});
        deployment.segment.app_identify(&person.caller(), &identified);
        deployment.deliver_from_segment().await;
        person.until_attribute(deployment, "plan", "pro").await;

        deployment.segment.app_track(&person.caller(), "Trial Started", &json!({"plan": "pro"}));
        deployment.segment.app_track(&person.caller(), "Button Clicked", &json!({"button": "help"}));
        // Whom it did not hear answer in time, Segment tells again.
        for webhook in deployment.deliver_from_segment().await {
            let (body, signature) = (webhook.body.clone(), webhook.signature.unwrap_or_default());
            assert_eq!(deployment.post_to(Tool::Segment, &[("x-signature", &signature)], body).await, (200, String::new()));
        }
        // Behind the others: when it has arrived, so has whatever comes of them.
        deployment.segment.app_track(&person.caller(), "Order Completed", &json!({"total": 120}));
        deployment.deliver_from_segment().await;
        person.until_events(deployment, "Order Completed", 1).await;
        person.until_events(deployment, "Trial Started", 1).await;
        person.assert_events(deployment, "Button Clicked", 0);
        assert_eq!(person.events(deployment, "Trial Started")[0].attributes["plan"], "pro");

        let profiles = person.profiles(deployment);
        let seen: Vec<_> = profiles.iter().map(|p| (p.id.as_deref(), p.email.as_deref(), p.created_by)).collect();
        assert_eq!(seen, [(Some(person.user.as_str()), Some(person.email.as_str()), CreatedBy::Identify)]);
        // Customer.io says yes to all that it can read: whether there is a profile now, only the other API tells.
        let asked = deployment.customerio.journal().requests();
        let of_them = |route: &str| {
            let speaks = |body: &[u8]| String::from_utf8_lossy(body).contains(&person.user);
            asked.iter().position(|request| request.route.starts_with(route) && request.accepted() && speaks(&request.body))
        };
        let made = of_them("/api/v2/").expect("the profile was written");
        let looks = asked.iter().skip(made).filter(|request| request.route == "/v1/customers/attributes" && request.accepted());
        let read_back = looks.filter(|request| String::from_utf8_lossy(&request.body).contains(&person.user)).count();
        assert!(read_back >= 1, "the new profile was not read back\n{}", deployment.logs());
        assert!(!deployment.customerio.profile_created_by_accident());
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn companies_and_audiences_of_segment_are_at_customerio() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "nils");
        deployment.segment.app_identify(&person.caller(), &json!({"email": person.email}));
        deployment.segment.app_group(&person.caller(), "acme", &json!({"name": "Acme", "employees": 42}));
        deployment.deliver_from_segment().await;
        // The relationship is a separate call.
        let is_whole = |acme: &Object| !acme.relationships.is_empty() && acme.attributes.contains_key("employees");
        let related = async || deployment.customerio.object("1", "acme").filter(is_whole);
        let acme = deployment.until("somebody belongs to Acme at Customer.io", related).await;
        assert_eq!(acme.relationships.into_keys().collect::<Vec<_>>(), [person.cio_id(deployment)]);
        assert_eq!((&acme.attributes["name"], &acme.attributes["employees"]), (&json!("Acme"), &json!(42)));

        // Segment tells of each by the user id and by the address.
        let audience = Audience::new("likely_to_buy");
        for (is_in, expected) in [(true, "true"), (false, "false")] {
            assert_eq!(deployment.segment.engage_audience(&person.user, &audience, is_in, SentAs::Identify), 2);
            deployment.deliver_from_segment().await;
            person.until_attribute(deployment, "likely_to_buy", expected).await;
        }
        assert_eq!(person.profiles(deployment).len(), 1);
        assert!(!deployment.customerio.profile_created_by_accident());
        deployment.assert_nothing_was_given_up().await;
    });
}

#[test]
fn people_and_companies_of_segment_are_at_intercom() {
    Deployment::test(async |deployment| {
        let person = Person::known(deployment, "nora");
        let before = deployment.intercom.contacts().len();
        deployment.segment.app_identify(&person.caller(), &json!({"email": person.email, "name": "Nora North"}));
        deployment.segment.app_group(&person.caller(), "north", &json!({"name": "North", "plan": "scale"}));
        deployment.deliver_from_segment().await;
        let named = async || (person.at_intercom(deployment).name.as_deref() == Some("Nora North")).then_some(());
        deployment.until("the contact's name at Intercom", named).await;
        let company = async || {
            let is_whole = |company: &Company| company.company_id == "north" && company.plan.is_some();
            let company = deployment.intercom.companies().into_iter().find(is_whole)?;
            let members = deployment.intercom.members(&company.id);
            (!members.is_empty()).then_some((company, members))
        };
        let (company, members) = deployment.until("somebody belongs to North at Intercom", company).await;
        assert_eq!((company.name.as_deref(), company.plan.as_deref()), (Some("North"), Some("scale")));
        assert_eq!(members, [person.contact.as_str()]);
        assert_eq!(deployment.intercom.contacts().len(), before, "no contact was made");
        deployment.assert_nothing_was_given_up().await;
    });
}

fn identify(person: &Person) -> Value {
    let at = "2026-01-10T08:00:00Z";
    json!({"type": "identify", "messageId": format!("m-{}", person.user), "userId": person.user, "timestamp": at, "traits": {"email": person.email}})
}

#[test]
fn segment_tells_whose_address_it_is() {
    Deployment::test(async |deployment| {
        for (name, secret) in [("gina", SEGMENT_SECRET), ("hugo", PIPELINES_SECRET)] {
            let person = Person::known_by_address_alone(deployment, name);
            let body = identify(&person).to_string();
            let forged = sign("another-secret-of-theirs", body.as_bytes());
            assert_eq!(deployment.post_to(Tool::Segment, &[("x-signature", &forged)], body.clone()).await, (401, String::new()));
            let signature = sign(secret, body.as_bytes());
            assert_eq!(deployment.post_to(Tool::Segment, &[("x-signature", &signature)], body).await, (200, String::new()));
            deployment.deliver(&person.opens(deployment, Priority::None).1).await;
            person.until_attribute(deployment, "has_open_ticket", "true").await;
            person.until_events(deployment, "support_ticket_opened", 1).await;
        }
    });
}

#[test]
fn segment_comes_in_by_event_bridge_too() {
    Deployment::test(async |deployment| {
        let person = Person::known_by_address_alone(deployment, "ines");
        let envelope = json!({
            "version": "0", "id": "e1", "detail-type": "identify", "source": "aws.partner/segment.com/abc123", "account": "000000000000",
            "time": "2026-01-10T08:00:00Z", "region": "us-east-1", "resources": [], "detail": identify(&person)
        });
        deployment.put_from_event_bridge(&envelope.to_string()).await;
        deployment.deliver(&person.opens(deployment, Priority::None).1).await;
        person.until_attribute(deployment, "has_open_ticket", "true").await;
    });
}
