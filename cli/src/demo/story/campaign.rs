//! Customer.io's mail, and what its campaigns find out, where support and the product's analysts see it.

use super::stranger;
use crate::demo::Stage;
use crate::demo::facts::Person;
use crate::demo::teller::Teller;
use serde_json::json;
use trefoil_standins::customerio::{Channel, Message};

const SUBJECT: &str = "What is new this month";

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>, ada: &Person) -> Result<(), String> {
    let customerio = &stage.customerio;
    let profile = stage.customer(ada).map(|profile| profile.cio_id).unwrap_or_default();
    customerio.set_name("campaigns", 7, "Newsletter");
    let mail = Message { delivery_id: Some("delivery-1".to_owned()), subject: Some(SUBJECT.to_owned()), ..Message::default() };

    stage.after(14 * 60);
    let opened = customerio.metric(&profile, Channel::Email, "opened", &mail);
    teller.step("The newsletter that waited has gone out; Ada opens it", opened).await?;
    teller.believes(stage.at_intercom(ada, &[("events", json!(["campaign_7 opened"]))]));
    teller.believes(stage.events_at_segment(ada, &[("Email Opened", 1)]));

    stage.after(1);
    let click = Message { href: Some("https://example.com/new".to_owned()), link_id: Some(1), machine: Some(false), ..mail };
    let clicked = customerio.metric(&profile, Channel::Email, "clicked", &click);
    teller.step("and clicks", clicked).await?;
    teller.believes(stage.at_intercom(ada, &[("events", json!(["campaign_7 opened", "campaign_7 clicked"]))]));
    teller.believes(stage.events_at_segment(ada, &[("Email Link Clicked", 1)]));

    stage.after(30);
    let risk = customerio.churn_risk(&profile, "no login for 30 days").map_err(stranger)?;
    teller.step("A campaign of Customer.io's finds that Ada may leave", risk).await?;
    let note = "Customer.io sees a risk of churn: no login for 30 days";
    teller.believes(stage.at_intercom(ada, &[("tags", json!(["churn-risk"])), ("notes", json!([note]))]));
    teller.marketing(ada, true);
    Ok(())
}
