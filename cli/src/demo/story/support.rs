//! Two tickets, one of them urgent: marketing waits until the last of them is closed, and longer where support says so.

use super::misfit;
use crate::demo::Stage;
use crate::demo::facts::Person;
use crate::demo::hook::Hook;
use crate::demo::teller::Teller;
use serde_json::json;
use trefoil_standins::intercom::{Author, Priority, Webhook};

pub(super) async fn tell(stage: &Stage, teller: &mut Teller<'_>, ada: &Person) -> Result<(), String> {
    let intercom = &stage.intercom;

    stage.after(25);
    let (login, opened) = intercom.open_conversation(&ada.contact, Priority::High).map_err(misfit)?;
    teller.step("Ada cannot log in: she opens a ticket, high priority", [opened]).await?;
    open(stage, teller, ada, 1);
    teller.window(ada, "expansion");
    teller.believes(stage.events_at_segment(ada, &[("Live Chat Conversation Started", 1), ("Support Ticket Opened", 1)]));

    stage.after(30);
    let (invoice, opened) = intercom.open_conversation(&ada.contact, Priority::Low).map_err(misfit)?;
    teller.step("and a second one, about an invoice", [opened.clone()]).await?;
    open(stage, teller, ada, 2);

    stage.after(1);
    teller.step("Intercom delivers the same webhook again", [intercom.redelivery(&opened)]).await?;
    open(stage, teller, ada, 2);

    stage.after(26 * 60);
    let rated = intercom.rate(&login, 1, Some("still waiting")).map_err(misfit)?;
    teller.step("A day later Ada rates the support she got: 1 of 5", [rated]).await?;
    open(stage, teller, ada, 2);
    teller.window(ada, "renewal");

    stage.after(60);
    let tagged = intercom.tag(&login, "churn-risk").map_err(misfit)?;
    teller.step("A teammate tags the conversation churn-risk", [tagged]).await?;
    open(stage, teller, ada, 2);
    teller.window(ada, "adoption");

    stage.after(20 * 60);
    let closed = intercom.close(&login, Author::Admin).map_err(misfit)?;
    teller.step("The login is fixed, the first ticket is closed", [closed]).await?;
    open(stage, teller, ada, 1);

    // Intercom promises no order: the reply is older than the closing, and arrives after it.
    stage.after(10 * 60);
    let late: Vec<Webhook> = intercom.reply(&invoice, Author::Admin, "Here is the corrected invoice.").map_err(misfit)?;
    stage.after(5);
    let closed = intercom.close(&invoice, Author::Admin).map_err(misfit)?;
    teller.step("The invoice is corrected, the last ticket is closed", [closed]).await?;
    open(stage, teller, ada, 0);
    teller.step("Out of order: the webhook of the reply before that arrives only now", late.into_iter().map(Hook::from)).await?;
    open(stage, teller, ada, 0);
    Ok(())
}

/// How many of her tickets are open, for Customer.io, for Segment and for marketing.
fn open(stage: &Stage, teller: &mut Teller<'_>, ada: &Person, tickets: u64) {
    teller.believes(stage.at_customerio(ada, &[("has_open_ticket", json!(tickets > 0)), ("open_ticket_count", json!(tickets))]));
    teller.believes(stage.at_segment(ada, &[("has_open_ticket", json!(tickets > 0)), ("open_ticket_count", json!(tickets))]));
    teller.marketing(ada, tickets == 0);
}
