//! Segment is told of open tickets where there is a write key. (Where there is none, every other test here makes sure that
//! nothing waits for it.)

use crate::process::PATIENCE;
use crate::stage::Stage;
use serde_json::Value;
use trefoil_standins::intercom::{Author, NewContact, Priority, Role};
use trefoil_standins::segment::{Options, Segment};

#[tokio::test]
async fn with_a_write_key_segment_hears_of_the_ticket() {
    let mut stage = Stage::plain().await;
    let segment = Segment::start(Options { deadline: Some(PATIENCE), ..Options::default() }).await.expect("a port");
    let variables =
        [("TREFOIL_SEGMENT_WRITE_KEY", segment.options().write_key.clone()), ("TREFOIL_SEGMENT_URL", format!("{}/v1", segment.url()))];
    stage.variables.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    let serve = stage.serve().await;

    let new = NewContact { role: Some(Role::User), external_id: Some("user-1".to_owned()), ..NewContact::default() };
    let (contact, created) = stage.intercom.create_contact(new);
    let (conversation, opened) = stage.intercom.open_conversation(&contact, Priority::High).expect("the contact exists");
    assert!(stage.deliver(&serve.url(), &[created, opened]).await.is_empty(), "{}", serve.output());
    let open = |segment: &Segment| Some(segment.profile("user-1")?.traits.get("has_open_ticket")?.clone());
    let told = segment.wait_until(PATIENCE, |segment| open(segment) == Some(Value::Bool(true))).await;
    assert_eq!(told, Ok(()), "{:?}\n{}", segment.messages(), serve.output());

    let closed = stage.intercom.close(&conversation, Author::Admin).expect("the conversation exists");
    assert!(stage.deliver(&serve.url(), &[closed]).await.is_empty(), "{}", serve.output());
    let told = segment.wait_until(PATIENCE, |segment| open(segment) == Some(Value::Bool(false))).await;
    assert_eq!(told, Ok(()), "{:?}\n{}", segment.messages(), serve.output());

    let output = stage.finish(serve).await;
    assert!(!output.contains(&segment.options().write_key), "the key stays out of the log");
    assert!(segment.lost().is_empty(), "{:?}", segment.lost());
    stage.nothing_left().await;
}
