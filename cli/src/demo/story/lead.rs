//! Somebody writes in whom no tool knows: she becomes one person everywhere, and when she wants no mail, nobody sends any.

use super::{misfit, stranger};
use crate::demo::Stage;
use crate::demo::facts::Person;
use crate::demo::teller::Teller;
use serde_json::json;
use trefoil_standins::intercom::{NewContact, Priority, Role};

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>) -> Result<Person, String> {
    let email = "grace@example.com";
    stage.after(10);
    let new = NewContact {
        role: Some(Role::Lead),
        email: Some(email.to_owned()),
        name: Some("Grace Example".to_owned()),
        ..NewContact::default()
    };
    let (contact, created) = stage.intercom.create_contact(new);
    let grace = Person { name: "Grace", email, contact };
    teller.step("She leaves her address in the messenger: a lead", [created]).await?;
    teller.believes(stage.at_customerio(&grace, &[("name", json!("Grace Example")), ("lead_source", json!("intercom"))]));
    teller.believes(stage.at_segment(&grace, &[("name", json!("Grace Example")), ("lead_source", json!("intercom"))]));

    stage.after(1);
    let (_, opened) = stage.intercom.open_conversation(&grace.contact, Priority::None).map_err(misfit)?;
    teller.step("and asks a question", [opened]).await?;
    teller.believes(stage.at_customerio(&grace, &[("has_open_ticket", json!(true))]));
    teller.believes(stage.at_segment(&grace, &[("has_open_ticket", json!(true))]));

    stage.after(60);
    let profile = stage.customer(&grace).map(|profile| profile.cio_id).unwrap_or_default();
    let unsubscribed = stage.customerio.unsubscribe(&profile).map_err(stranger)?;
    teller.step("She unsubscribes in Customer.io, and is out in all three", unsubscribed).await?;
    teller.believes(stage.at_customerio(&grace, &[("unsubscribed", json!(true))]));
    teller.believes(stage.at_intercom(&grace, &[("out of e-mail", json!(true))]));
    teller.believes(stage.at_segment(&grace, &[("unsubscribed", json!(true))]));
    Ok(grace)
}
