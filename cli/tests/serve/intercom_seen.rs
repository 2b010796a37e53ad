//! What people see is made once, whatever happens to answers and processes, and is no ticket of theirs before they say something.

use crate::ada::{Ada, tell};
use crate::door::Door;
use crate::process::{PATIENCE, Serve, wait_for};
use crate::review::review;
use serde_json::Value;
use std::time::Duration;
use trefoil_standins::fault::{During, Fault};
use trefoil_standins::intercom::{Author, Conversation, Priority, Webhook};

const TEAM: u64 = 814_865;
/// Also as the route of a ticket opened, which must not take ours for one.
const ROUTES: &str = r#"
  - name: risk of churn to the team
    on: customerio.churn_risk
    do:
      - intercom.open_conversation:
          body: I may be about to leave.
          assign_to_team: 814865
          note: "Risk of churn: ${event.reason}"
          tag: at-risk
  - name: ticket opened
    on: intercom.ticket.opened
    do:
      - customerio.track_event: { name: support_ticket_opened, properties: { ticket_id: "${ticket.id}" } }
  - name: tag on a ticket
    on: intercom.ticket.tagged
    do:
      - customerio.track_event: { name: support_tag_applied }
"#;

/// Everything that the route asks for is there, once.
fn is_whole(conversation: &Conversation) -> bool {
    let notes: Vec<_> = conversation.parts.iter().filter(|part| part.part_type == "note").collect();
    assert!(notes.len() <= 1, "{notes:#?}");
    let note = notes.first().and_then(|note| note.body.as_deref());
    let tags: Vec<&str> = conversation.tags.iter().map(|tag| tag.name.as_str()).collect();
    conversation.team_assignee == Some(TEAM) && note == Some("Risk of churn: no login for 30 days") && tags == ["at-risk"]
}

impl Ada {
    async fn until_whole(&self) {
        let whole = |intercom: &trefoil_standins::Intercom| intercom.conversations().first().is_some_and(is_whole);
        self.until("the conversation has all it should have", whole).await;
    }

    async fn until_attribute(&self, name: &str, expected: &str) {
        let come = self.stage.customerio.wait_until(PATIENCE, |_| self.attribute(name).as_deref() == Some(expected)).await;
        assert_eq!(come, Ok(()), "{name} is {:?} and not {expected}", self.attribute(name));
    }

    async fn hears(&self, serve: &Serve, webhooks: &[Webhook]) {
        // One after the other: what comes last has been decided last.
        for webhook in webhooks {
            assert_eq!(self.stage.deliver(&serve.url(), std::slice::from_ref(webhook)).await, []);
        }
    }

    /// A ticket of her own, open and closed again: what Intercom told before is decided then.
    async fn has_a_ticket_of_her_own(&self, serve: &Serve) {
        let before = self.events().len();
        self.stage.clock.advance(Duration::from_mins(1));
        let (own, opened) = self.stage.intercom.open_conversation(&self.contact, Priority::None).expect("a contact");
        self.hears(serve, &[opened]).await;
        self.until_attribute("open_ticket_count", "1").await;
        self.stage.clock.advance(Duration::from_mins(1));
        let closed = self.stage.intercom.close(&own, Author::Admin).expect("a conversation");
        self.hears(serve, &[closed]).await;
        self.until_attribute("has_open_ticket", "false").await;
        self.until_events(before + 1).await;
    }

    async fn until_events(&self, count: usize) {
        let come = self.stage.customerio.wait_until(PATIENCE, |_| self.events().len() >= count).await;
        assert_eq!(come, Ok(()), "there are {:?} and not {count}", self.events());
    }

    fn events(&self) -> Vec<String> {
        self.stage.customerio.events().into_iter().map(|event| event.name).collect()
    }

    /// The id of the one action that is listed.
    fn to_review(&self) -> Option<String> {
        let (done, lines) = review(self.stage.data.path(), &["list", "--json"]);
        assert!(done && lines.lines().count() <= 1, "{lines}");
        let line: Value = serde_json::from_str(lines.lines().next()?).expect("a line of JSON");
        Some(line["id"].as_str().expect("an id").to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_we_open_is_no_ticket_until_she_replies() {
    let ada = Ada::with_routes(ROUTES).await;
    let serve = ada.stage.serve().await;
    // Assigning hangs, so that nobody has been told yet that the conversation is ours.
    ada.stage.intercom.faults().set_on("POST", "/conversations/{id}/parts", Fault::Hang { applied: false }, During::Always);
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.until("assigning hangs", |_| ada.calls("POST", "/conversations/{id}/parts") > 0).await;
    let ours = ada.conversation();
    let before = ada.stage.intercom.take_webhooks();
    assert_eq!(before.iter().map(|webhook| webhook.topic.as_str()).collect::<Vec<_>>(), ["conversation.user.created"]);
    ada.hears(&serve, &before).await;
    ada.has_a_ticket_of_her_own(&serve).await;
    ada.stage.intercom.faults().clear();
    ada.until_whole().await;

    // And the rest of it, once we know that it is ours.
    let after = ada.stage.intercom.take_webhooks();
    assert!(after.len() >= 3, "{after:?}");
    ada.hears(&serve, &after).await;
    ada.hears(&serve, &before).await;
    ada.has_a_ticket_of_her_own(&serve).await;
    assert_eq!(ada.events(), ["support_ticket_opened"; 2], "of her own two tickets, and of no tag");

    ada.stage.clock.advance(Duration::from_mins(1));
    let reply = ada.stage.intercom.reply(&ours.id.to_string(), Author::Contact(ada.contact.clone()), "Yes, it is too slow.");
    ada.hears(&serve, &reply.expect("a conversation")).await;
    ada.until_attribute("has_open_ticket", "true").await;
    assert_eq!(ada.attribute("open_ticket_count").as_deref(), Some("1"));
    ada.until_events(3).await;
    ada.stop(serve).await;
    assert_eq!((ada.calls("POST", "/conversations"), ada.events()), (1, vec!["support_ticket_opened".to_owned(); 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_without_an_answer_goes_on_when_a_human_says_so() {
    let ada = Ada::with_routes(ROUTES).await;
    let serve = ada.stage.serve().await;
    ada.stage.intercom.faults().set_on("POST", "/conversations", Fault::Drop { applied: true }, During::Requests(1));
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    let action = wait_for(|| ada.to_review()).await.expect("it is listed");
    let made = ada.conversation().id.to_string();
    // Whatever comes now, nobody does it again; and what Intercom tells of it is no ticket either.
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.hears(&serve, &ada.stage.intercom.take_webhooks()).await;
    ada.has_a_ticket_of_her_own(&serve).await;
    ada.stop(serve).await;
    assert_eq!((ada.calls("POST", "/conversations"), ada.to_review()), (1, Some(action.clone())));
    assert_eq!(ada.events(), ["support_ticket_opened"]);

    let serve = ada.stage.serve().await;
    let (done, said) = review(ada.stage.data.path(), &["done", &action]);
    assert!(!done && said.contains("--made"), "assigning needs its id: {said}");
    let (done, said) = review(ada.stage.data.path(), &["done", &action, "--made", &made]);
    assert!(done, "{said}");
    ada.until("it goes on", |intercom| intercom.conversation(&made).is_some_and(|made| is_whole(&made))).await;
    ada.stop(serve).await;
    assert_eq!((ada.calls("POST", "/conversations"), ada.to_review()), (1, None));
    ada.hears_its_echo().await;
    assert_eq!(ada.attribute("has_open_ticket").as_deref(), Some("false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_made_is_made_when_a_human_says_so() {
    let ada = Ada::with_routes(ROUTES).await;
    let serve = ada.stage.serve().await;
    ada.stage.intercom.faults().set_on("POST", "/conversations", Fault::Drop { applied: false }, During::Requests(1));
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    let action = wait_for(|| ada.to_review()).await.expect("it is listed");
    assert_eq!((ada.stage.intercom.conversations(), ada.calls("POST", "/conversations")), (Vec::new(), 1));
    let (done, said) = review(ada.stage.data.path(), &["send-again", &action, "--yes"]);
    assert!(done, "{said}");
    ada.until_whole().await;
    ada.stop(serve).await;
    assert_eq!((ada.calls("POST", "/conversations"), ada.to_review()), (2, None));
    ada.hears_its_echo().await;
    assert!(is_whole(&ada.conversation()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_two_steps_repeats_none_that_people_see() {
    // No letter in it, so that nothing but its id tells that the conversation is ours.
    let ada = Ada::with_routes(&ROUTES.replace("I may be about to leave.", "'?!'")).await;
    let serve = ada.stage.serve().await;
    ada.stage.intercom.faults().set_on("POST", "/conversations/{id}/parts", Fault::Hang { applied: true }, During::Always);
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.until("it is assigned", |_| ada.calls("POST", "/conversations/{id}/parts") > 0).await;
    serve.kill();
    ada.stage.intercom.faults().clear();
    let serve = ada.stage.serve().await;
    ada.until_whole().await;
    ada.stop(serve).await;
    assert_eq!((ada.calls("POST", "/conversations"), ada.to_review()), (1, None));
    assert!(is_whole(&ada.conversation()));
    ada.hears_its_echo().await;
    assert_ne!(ada.attribute("has_open_ticket").as_deref(), Some("true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_message_is_sent_does_not_send_it_twice() {
    let routes = r#"
  - name: how are you
    on: customerio.churn_risk
    do:
      - intercom.send_message: { channel: in_app, body: "How are you getting on?" }
"#;
    let ada = Ada::with_routes(routes).await;
    let serve = ada.stage.serve().await;
    ada.stage.intercom.faults().set_on("POST", "/messages", Fault::Hang { applied: true }, During::Always);
    tell(&serve, Door::Customerio, &ada.churn_risk("d1")).await;
    ada.until("the message is there", |intercom| intercom.messages().len() == 1).await;
    serve.kill();
    ada.stage.intercom.faults().clear();
    let serve = ada.stage.serve().await;
    let seen_again = wait_for(|| serve.output().contains("begun_by_another").then_some(())).await;
    assert_eq!(seen_again, Some(()), "the job comes again: {}", serve.output());
    let (status, output) = serve.stop().await;
    assert!(status.success(), "{output}");
    assert_eq!((ada.stage.intercom.messages().len(), ada.calls("POST", "/messages")), (1, 1));
}
