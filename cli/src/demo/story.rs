//! What happens in the demo, and what must come of it, a chapter a file.

mod campaign;
mod lead;
mod product;
mod support;

use super::Stage;
use super::facts::Person;
use super::page::{heading, title};
use super::teller::Teller;
use serde_json::json;
use trefoil_domain::time::{Span, Timestamp};
use trefoil_standins::customerio::NoProfile;
use trefoil_standins::intercom::{NewContact, NotInWorld, Role};

/// Nine in the morning, five days ago: so it ends in the past, as everything that webhooks tell of.
pub(super) fn begins(now: Timestamp) -> Timestamp {
    let day = 24 * 3600;
    Timestamp::from_secs(now.minus(Span::from_days(5)).secs().div_euclid(day) * day + 9 * 3600)
}

/// Tells the story. Answers whether all of it came out right.
pub(super) async fn tell(stage: &Stage) -> Result<bool, String> {
    let mut teller = Teller::new(stage);
    teller.opening();

    title("Ada Example signs up");
    let ada = signs_up(stage, &mut teller).await?;
    title("Her product speaks to Segment");
    product::tell(stage, &mut teller, &ada).await?;
    title("She needs help, and marketing waits");
    support::tell(stage, &mut teller, &ada).await?;
    title("Marketing may speak again");
    campaign::tell(stage, &mut teller, &ada).await?;
    title("Grace Example, whom nobody knows yet");
    let grace = lead::tell(stage, &mut teller).await?;

    title("In the end");
    everybody(stage, &mut teller, &ada, &grace);
    teller.waits(&ada);
    Ok(teller.ending(2))
}

const USER: &str = "user-42";

/// She becomes a customer of Customer.io's and a contact of Intercom's at once, as the product's own code does it.
async fn signs_up(stage: &Stage, teller: &mut Teller<'_>) -> Result<Person, String> {
    let (name, email) = ("Ada", "ada@example.com");
    stage.customerio.add_profile(Some(USER), Some(email), &[("plan", json!("growth"))]);
    let attributes = [("plan", json!("growth")), ("mrr", json!(490))].into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let (contact, created) = stage.intercom.create_contact(NewContact {
        role: Some(Role::User),
        external_id: Some(USER.to_owned()),
        email: Some(email.to_owned()),
        name: Some("Ada Example".to_owned()),
        custom_attributes: attributes,
    });
    let ada = Person { name, email, contact };
    teller.step("She has a profile at Customer.io, and becomes a contact in Intercom", [created]).await?;
    teller.believes(stage.at_customerio(&ada, &[("name", json!("Ada Example")), ("mrr", json!(490)), ("open_ticket_count", json!(null))]));
    teller.marketing(&ada, true);
    Ok(ada)
}

/// What each tool has of both of them, and each event once.
fn everybody(stage: &Stage, teller: &mut Teller<'_>, ada: &Person, grace: &Person) {
    heading("What does each tool believe of Ada?");
    teller.believes(stage.at_customerio(
        ada,
        &[
            ("plan", json!("scale")),
            ("power_users", json!(true)),
            ("has_open_ticket", json!(false)),
            ("tickets_opened_30d", json!(2)),
            ("last_csat_score", json!(1)),
        ],
    ));
    teller.believes(stage.events_at_customerio(&[
        ("support_ticket_opened", 3),
        ("support_ticket_resolved", 2),
        ("csat_score_submitted", 1),
        ("support_tag_applied", 1),
        ("Trial Started", 1),
    ]));
    teller.believes(stage.at_intercom(
        ada,
        &[
            ("tags", json!(["churn-risk"])),
            ("companies", json!(["Acme"])),
            ("events", json!(["campaign_7 opened", "campaign_7 clicked"])),
            ("out of e-mail", json!(false)),
        ],
    ));
    teller.believes(stage.at_segment(ada, &[("has_open_ticket", json!(false)), ("tickets_opened_30d", json!(2))]));
    teller.believes(stage.events_at_segment(
        ada,
        &[("Support Ticket Opened", 2), ("Support Ticket Resolved", 2), ("Email Opened", 1), ("Email Link Clicked", 1)],
    ));
    heading("And of Grace?");
    teller.believes(stage.at_customerio(grace, &[("lead_source", json!("intercom")), ("unsubscribed", json!(true))]));
    teller.believes(stage.at_intercom(grace, &[("out of e-mail", json!(true))]));
    teller.believes(stage.at_segment(grace, &[("lead_source", json!("intercom")), ("unsubscribed", json!(true))]));
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn misfit(error: NotInWorld) -> String {
    format!("the story does not fit the Intercom stand-in: {error:?}")
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn stranger(error: NoProfile) -> String {
    format!("the story does not fit the Customer.io stand-in: {error}")
}
