//! What happens in the demo, and what must come of it.

use super::Stage;
use super::teller::{Believes, Teller};
use serde_json::{Map, json};
use trefoil_domain::time::{Span, Timestamp};
use trefoil_standins::intercom::{Author, NewContact, NotInWorld, Priority, Role, Webhook};

/// Nine in the morning, three days ago: so it ends in the past, as everything that webhooks tell of.
pub(super) fn begins(now: Timestamp) -> Timestamp {
    let day = 24 * 3600;
    Timestamp::from_secs(now.minus(Span::from_days(4)).secs().div_euclid(day) * day + 9 * 3600)
}

/// Tells the story. Answers whether all of it came out right.
pub(super) async fn tell(stage: &Stage) -> Result<bool, String> {
    let mut teller = Teller::new(stage);
    teller.opening();
    let world = |error: NotInWorld| format!("the story does not fit the stand-in: {error:?}");
    let intercom = &stage.intercom;
    let after = |mins: u64| stage.clock.advance(std::time::Duration::from_secs(mins * 60));
    let teammate = || Author::Admin;

    let profile = stage.customerio.add_profile(Some("user-42"), Some("ada@example.com"), &[("plan", json!("growth"))]);
    teller.follow(profile);
    let attributes: Map<_, _> = [("plan", json!("growth")), ("mrr", json!(490))].into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let (ada, created) = intercom.create_contact(NewContact {
        role: Some(Role::User),
        external_id: Some("user-42".to_owned()),
        email: Some("ada@example.com".to_owned()),
        name: Some("Ada Example".to_owned()),
        custom_attributes: attributes,
    });
    teller.step("Ada Example signs up and becomes a contact in Intercom", &[&created], Believes::nothing_of_support()).await?;

    after(45);
    let (login, opened) = intercom.open_conversation(&ada, Priority::High).map_err(world)?;
    teller.step("Ada cannot log in: she opens a ticket, high priority", &[&opened], Believes::open(1)).await?;

    after(30);
    let (invoice, opened) = intercom.open_conversation(&ada, Priority::Low).map_err(world)?;
    teller.step("and a second one, about an invoice", &[&opened], Believes::open(2)).await?;

    after(1);
    let again = intercom.redelivery(&opened);
    teller.step("Intercom delivers the same webhook again", &[&again], Believes::open(2)).await?;

    after(26 * 60);
    let rated = intercom.rate(&login, 1, Some("still waiting")).map_err(world)?;
    teller.step("A day later Ada rates the support she got: 1 of 5", &[&rated], Believes::open(2).holds("renewal")).await?;

    after(60);
    let tagged = intercom.tag(&login, "churn-risk").map_err(world)?;
    teller.step("A teammate tags the conversation churn-risk", &[&tagged], Believes::open(2).holds("adoption")).await?;

    after(20 * 60);
    let closed = intercom.close(&login, teammate()).map_err(world)?;
    teller.step("The login is fixed, the first ticket is closed", &[&closed], Believes::open(1)).await?;

    // Intercom promises no order: the reply is older than the closing, and arrives after it.
    after(10 * 60);
    let late: Vec<Webhook> = intercom.reply(&invoice, teammate(), "Here is the corrected invoice.").map_err(world)?;
    after(5);
    let closed = intercom.close(&invoice, teammate()).map_err(world)?;
    let late: Vec<&Webhook> = late.iter().collect();
    teller.step("The invoice is corrected, the last ticket is closed", &[&closed], Believes::open(0)).await?;
    teller.step("Out of order: the webhook of the reply before that arrives only now", &late, Believes::open(0)).await?;

    Ok(teller.ending())
}
