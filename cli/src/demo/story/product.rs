//! Segment tells the other two who somebody is, what they do, where they work, and of whom they are one.

use super::USER;
use crate::demo::Stage;
use crate::demo::facts::Person;
use crate::demo::teller::Teller;
use serde_json::json;
use trefoil_standins::segment::{Audience, Caller, SentAs};

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>, ada: &Person) -> Result<(), String> {
    let segment = &stage.segment;
    let who = Caller { email: Some(ada.email.to_owned()), ..Caller::user(USER) };

    stage.after(5);
    segment.app_identify(&who, &json!({"email": ada.email, "name": "Ada B. Example", "plan": "scale"}));
    teller.step("The app says who she is: a fuller name, and a new plan", segment.take_webhooks()).await?;
    teller.believes(stage.at_customerio(ada, &[("plan", json!("scale")), ("name", json!("Ada B. Example"))]));
    teller.believes(stage.at_intercom(ada, &[("name", json!("Ada B. Example"))]));

    stage.after(5);
    segment.app_track(&who, "Trial Started", &json!({"seats": 12}));
    teller.step("She starts a trial", segment.take_webhooks()).await?;
    teller.believes(stage.events_at_customerio(&[("Trial Started", 1)]));

    stage.after(5);
    segment.app_group(&who, "acme", &json!({"name": "Acme", "employees": 120, "plan": "scale"}));
    teller.step("Her company becomes known", segment.take_webhooks()).await?;
    teller.believes(stage.company_at_customerio(ada, "acme", "Acme"));
    teller.believes(stage.at_intercom(ada, &[("companies", json!(["Acme"]))]));

    stage.after(5);
    segment.engage_audience(USER, &Audience::new("power_users"), true, SentAs::Track);
    teller.step("Segment counts her among the power users", segment.take_webhooks()).await?;
    teller.believes(stage.at_customerio(ada, &[("power_users", json!(true))]));
    Ok(())
}
