//! What Segment makes of messages: profiles, groups, and who is taken for whom.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::segment::Seg;
use trefoil_standins::segment::{Alias, Caller, LastWriter, Profile, UserIds, Variants};

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn user(t: &Seg, id: &str) -> Profile {
    t.segment.profile(id).expect("a profile")
}

#[tokio::test]
async fn null_overwrites_and_what_is_absent_stays() {
    let t = Seg::start(Variants::default()).await;
    t.batch(json!([
        {"type": "identify", "userId": "u1", "traits": {"plan": "pro", "seats": 3, "company": {"id": "c1"}}},
        {"type": "identify", "userId": "u1", "traits": {"plan": null}},
        // Traits in the context of another call change nothing.
        {"type": "track", "userId": "u1", "event": "E", "context": {"traits": {"seats": 4}}},
    ]))
    .await;
    let traits = user(&t, "u1").traits;
    assert_eq!(json!(traits), json!({"plan": null, "seats": 3, "company": {"id": "c1"}}));
}

#[tokio::test]
async fn which_of_two_values_stays_is_open() {
    for (last_writer, plan) in [(LastWriter::Arrival, "free"), (LastWriter::Timestamp, "pro")] {
        let t = Seg::start(Variants { last_writer, ..Variants::default() }).await;
        t.batch(json!([
            {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}, "timestamp": "2026-01-10T07:00:00Z"},
            {"type": "identify", "userId": "u1", "traits": {"plan": "free", "seats": 1}, "timestamp": "2026-01-10T06:00:00Z"},
        ]))
        .await;
        assert_eq!(json!(user(&t, "u1").traits), json!({"plan": plan, "seats": 1}));
    }
}

#[tokio::test]
async fn events_are_in_the_order_of_their_happening() {
    let t = Seg::start(Variants::default()).await;
    t.batch(json!([
        {"type": "track", "userId": "u1", "event": "Third", "timestamp": "2026-01-10T07:30:00Z", "properties": {"n": 3}},
        {"type": "page", "userId": "u1", "name": "First", "timestamp": "2026-01-10T07:10:00Z"},
        {"type": "screen", "userId": "u1", "name": "Second", "timestamp": "2026-01-10T07:20:00Z"},
    ]))
    .await;
    let events = user(&t, "u1").events;
    let names: Vec<_> = events.iter().filter_map(|event| event.name.as_deref()).collect();
    assert_eq!(names, ["First", "Second", "Third"]);
    assert_eq!(events[2].properties["n"], 3);
}

#[tokio::test]
async fn groups_have_traits_and_members() {
    let t = Seg::start(Variants::default()).await;
    t.batch(json!([
        {"type": "group", "userId": "u1", "groupId": "acme", "traits": {"name": "Acme", "plan": "pro", "email": "office@example.com"}},
        {"type": "group", "anonymousId": "a2", "groupId": "acme", "traits": {"plan": null}},
        {"type": "group", "userId": "u1", "groupId": "initech"},
    ]))
    .await;
    let acme = t.segment.group("acme").expect("a group");
    assert_eq!(json!(acme.traits), json!({"name": "Acme", "plan": null, "email": "office@example.com"}));
    assert_eq!(acme.members, set(&["u1", "a2"]));
    let profile = user(&t, "u1");
    // The group's address is not the member's.
    assert_eq!((profile.groups, profile.emails), (set(&["acme", "initech"]), set(&[])));
    assert!(t.segment.group("globex").is_none());
}

#[tokio::test]
async fn a_visitor_becomes_the_user_who_signs_in() {
    let t = Seg::start(Variants::default()).await;
    t.batch(json!([
        {"type": "page", "anonymousId": "a1", "name": "Pricing"},
        {"type": "identify", "anonymousId": "a1", "traits": {"colour": "red", "plan": "none"}, "timestamp": "2026-01-10T06:00:00Z"},
        {"type": "identify", "userId": "u1", "anonymousId": "a1", "traits": {"email": "Ada@Example.com ", "plan": "pro"}},
        {"type": "track", "anonymousId": "a2", "event": "Demo Asked", "context": {"traits": {"email": "ada@example.com"}}},
    ]))
    .await;
    assert_eq!(t.segment.profiles().len(), 1);
    let profile = user(&t, "u1");
    assert_eq!((profile.anonymous_ids, profile.emails), (set(&["a1", "a2"]), set(&["ada@example.com"])));
    assert_eq!((profile.traits["colour"].clone(), profile.traits["plan"].clone()), (json!("red"), json!("pro")));
    assert_eq!(profile.events.len(), 2);
    assert_eq!(t.segment.merged_by_accident(), 0);
}

#[tokio::test]
async fn a_profile_has_one_user_id_unless_the_space_says_otherwise() {
    let messages = json!([
        {"type": "identify", "userId": "u1", "anonymousId": "a1", "traits": {"email": "shared@example.com"}},
        {"type": "identify", "userId": "u2", "anonymousId": "a1", "traits": {"email": "shared@example.com"}},
    ]);
    for (user_ids, profiles) in [(UserIds::One, 2), (UserIds::Several, 1)] {
        let t = Seg::start(Variants { user_ids, ..Variants::default() }).await;
        t.batch(messages.clone()).await;
        assert_eq!(t.segment.profiles().len(), profiles);
        let emails = user(&t, "u2").emails;
        assert_eq!(emails.is_empty(), user_ids == UserIds::One, "the address stays with the first");
        // Told outright in traits: no accident of whoever wrote an event.
        assert_eq!(t.segment.merged_by_accident(), 0);
    }
}

#[tokio::test]
async fn an_address_in_properties_can_join_two_people() {
    let known = json!([
        {"type": "identify", "userId": "customer", "traits": {"email": "ada@example.com"}},
        {"type": "identify", "userId": "colleague", "traits": {"email": "grace@example.com"}},
    ]);
    let event =
        json!([{"type": "track", "userId": "customer", "event": "Conversation Assigned", "properties": {"email": "grace@example.com"}}]);
    let beforehand: [Value; 2] = [json!([known, event]), json!([[known[0]], event, [known[1]]])];
    for batches in beforehand {
        for (user_ids, properties_email, profiles, accidents) in
            [(UserIds::Several, true, 1, 1), (UserIds::One, true, 2, 1), (UserIds::Several, false, 2, 0)]
        {
            let t = Seg::start(Variants { user_ids, properties_email, ..Variants::default() }).await;
            for batch in batches.as_array().expect("batches") {
                t.batch(batch.clone()).await;
            }
            assert_eq!((t.segment.profiles().len(), t.segment.merged_by_accident()), (profiles, accidents), "{user_ids:?}");
        }
    }
    // One's own address is no harm.
    let t = Seg::start(Variants::default()).await;
    t.batch(known).await;
    t.batch(json!([{"type": "track", "userId": "customer", "event": "E", "properties": {"email": "ADA@example.com"}}])).await;
    assert_eq!((t.segment.profiles().len(), t.segment.merged_by_accident()), (2, 0));
}

#[tokio::test]
async fn alias_is_ignored_or_merges() {
    for (alias, profiles) in [(Alias::Ignored, 2), (Alias::Merges, 1)] {
        let t = Seg::start(Variants { alias, ..Variants::default() }).await;
        t.batch(json!([{"type": "identify", "userId": "old", "traits": {"plan": "pro"}}, {"type": "identify", "userId": "new"}])).await;
        assert_eq!(t.post("/v1/alias", &json!({"userId": "new", "previousId": "old"})).await.status, 200);
        assert_eq!(t.segment.profiles().len(), profiles);
        assert_eq!(user(&t, "new").traits.contains_key("plan"), alias == Alias::Merges);
        assert_eq!(t.told().last().map(|told| told["previousId"].clone()), Some(json!("old")), "destinations hear of it");
    }
}

#[tokio::test]
async fn who_is_deleted_is_gone_and_may_come_again() {
    let t = Seg::start(Variants::default()).await;
    let ada = Caller { email: Some("ada@example.com".to_owned()), ..Caller::user("u1") };
    t.segment.app_track(&ada, "Signed In", &json!({}));
    t.segment.delete("u1");
    assert!(t.segment.profiles().is_empty());
    t.segment.app_track(&ada, "Signed In", &json!({}));
    assert_eq!(user(&t, "u1").events.len(), 1);
}
