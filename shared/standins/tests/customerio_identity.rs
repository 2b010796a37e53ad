//! Who is who in Customer.io: what merges, suppression and conflicts do beyond the profile itself.

mod support;

use serde_json::{Value, json};
use support::{Cio, NOW, event, identify};
use trefoil_standins::customerio::{Identifier, Profile, Variants};

const ULID: &str = "01HV3Z8M9QF0Q2T9ZK3B3V6W7X";

fn id(t: &Cio, id: &str) -> Profile {
    t.cio.profile(&Identifier::Id(id.to_owned())).expect("a profile")
}

fn merge(primary: &Value, secondary: &Value) -> Value {
    json!({"type": "person", "action": "merge", "primary": primary, "secondary": secondary})
}

fn action(action: &str, who: &Value) -> Value {
    json!({"type": "person", "action": action, "identifiers": who})
}

#[tokio::test]
async fn an_address_of_somebody_else_is_left_out_and_the_rest_is_written() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
    let second = t.cio.add_profile(Some("u2"), Some("bob@example.com"), &[]);
    for who in [json!({"id": "u2"}), json!({"cio_id": second})] {
        let write = json!({"email": "ADA@example.com", "plan": who, "unsubscribed": true, "_update": true});
        assert_eq!(t.entity(&identify(&who, &write, NOW)).await.status, 200);
        assert_eq!((id(&t, "u2").email.as_deref(), id(&t, "u2").text("plan")), (Some("bob@example.com"), Some(who.to_string())));
    }
    assert!(id(&t, "u2").is_unsubscribed() && !id(&t, "u1").is_unsubscribed());
    assert_eq!(t.cio.failed_changes().len(), 2);
    assert_eq!(t.cio.take_webhooks().len(), 1);
}

#[tokio::test]
async fn suppress_deletes_and_blocks_until_unsuppressed() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
    let action = |action: &str, who: Value| json!({"type": "person", "action": action, "identifiers": who});
    t.entity(&action("suppress", json!({"id": "u1"}))).await;
    assert!(t.cio.profiles().is_empty());
    for who in [json!({"id": "u1"}), json!({"email": "ADA@example.com"})] {
        assert_eq!(t.entity(&identify(&who, &json!({"plan": "pro"}), NOW)).await.status, 200);
        t.entity(&event(&who, "opened", ULID)).await;
    }
    assert!(t.cio.profiles().is_empty());
    t.entity(&action("unsuppress", json!({"id": "u1"}))).await;
    t.entity(&identify(&json!({"id": "u1"}), &json!({"plan": "pro"}), NOW)).await;
    assert_eq!(t.cio.profiles().len(), 1);
    t.entity(&action("delete", json!({"id": "u1"}))).await;
    assert!(t.cio.profiles().is_empty());
}

#[tokio::test]
async fn merge_fills_only_what_is_empty() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), None, &[("plan", json!("pro"))]);
    t.cio.add_profile(Some("u2"), Some("ada@example.com"), &[("plan", json!("free")), ("seats", json!(2))]);
    let merge = json!({"type": "person", "action": "merge", "primary": {"id": "u1"}, "secondary": {"email": "ada@example.com"}});
    assert_eq!(t.entity(&merge).await.status, 200);
    let [survivor] = t.cio.profiles().try_into().expect("one profile");
    assert_eq!((survivor.id.as_deref(), survivor.email.as_deref()), (Some("u1"), Some("ada@example.com")));
    assert_eq!((survivor.text("plan").as_deref(), survivor.text("seats").as_deref()), (Some("pro"), Some("2")));
}

#[tokio::test]
async fn a_merge_without_its_primary_does_nothing() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u2"), None, &[("plan", json!("pro"))]);
    for (primary, secondary) in [(json!({"id": "u1"}), json!({"id": "u2"})), (json!({"id": "u2"}), json!({"id": "u2"}))] {
        let answer = t.entity(&merge(&primary, &secondary)).await;
        assert_eq!((answer.status, answer.json()), (200, json!({})));
        assert_eq!(id(&t, "u2").text("plan").as_deref(), Some("pro"));
    }
    assert!(t.cio.failed_changes().is_empty());
}

#[tokio::test]
async fn a_merge_fills_what_is_empty_and_so_takes_over_refusals() {
    for merge_tells in [false, true] {
        let t = Cio::start(Variants { merge_tells, ..Variants::default() }).await;
        let refused = json!({"topics": {"topic_1": false}});
        let out = [("unsubscribed", json!(true)), ("cio_subscription_preferences", refused.clone()), ("plan", json!("free"))];
        t.cio.add_profile(Some("u1"), None, &[("plan", json!(""))]);
        t.cio.add_profile(Some("u2"), None, &out);
        t.entity(&merge(&json!({"id": "u1"}), &json!({"id": "u2"}))).await;
        let survivor = id(&t, "u1");
        assert_eq!((survivor.is_unsubscribed(), survivor.topic(1), survivor.text("plan").as_deref()), (true, Some(false), Some("free")));
        let told: Vec<String> = t.cio.take_webhooks().into_iter().map(|webhook| webhook.name).collect();
        let both = ["customer_unsubscribed", "customer_cio_subscription_preferences_changed"];
        assert_eq!(told, both[..if merge_tells { 2 } else { 0 }]);

        // An empty map of preferences is not empty.
        t.cio.add_profile(Some("u3"), None, &[("cio_subscription_preferences", json!({"topics": {}})), ("unsubscribed", json!(false))]);
        t.cio.add_profile(Some("u4"), None, &out);
        t.entity(&merge(&json!({"id": "u3"}), &json!({"id": "u4"}))).await;
        assert_eq!((id(&t, "u3").is_unsubscribed(), id(&t, "u3").topic(1)), (false, None));
        assert!(t.cio.take_webhooks().is_empty());
    }
}

#[tokio::test]
async fn a_merge_takes_segments_and_by_variant_the_rest() {
    for merge_takes_the_unlisted in [true, false] {
        let t = Cio::start(Variants { merge_takes_the_unlisted, ..Variants::default() }).await;
        t.cio.add_segment(7, "Beta testers");
        let primary = t.cio.add_profile(Some("u1"), None, &[]);
        t.cio.add_profile(Some("u2"), None, &[]);
        t.track("/api/v1/segments/7/add_customers", r#"{"ids":["u2"]}"#).await;
        let related = json!({"type": "object", "action": "identify", "identifiers": {"object_type_id": "1", "object_id": "acme"},
                             "cio_relationships": [{"identifiers": {"id": "u2"}}]});
        t.entity(&related).await;
        let mut device = action("add_device", &json!({"id": "u2"}));
        device["device"] = json!({"token": "t", "platform": "ios"});
        t.entity(&device).await;
        t.entity(&merge(&json!({"id": "u1"}), &json!({"id": "u2"}))).await;
        assert_eq!(t.cio.members(7), [primary.as_str()]);
        let relationships = t.cio.object("1", "acme").expect("the object").relationships;
        assert_eq!(relationships.contains_key(&primary), merge_takes_the_unlisted);
        assert_eq!((relationships.len(), id(&t, "u1").devices.len()), if merge_takes_the_unlisted { (1, 1) } else { (0, 0) });
    }
}

#[tokio::test]
async fn both_identifiers_are_blocked_and_freed_together_or_apart() {
    for unsuppress_frees_both in [true, false] {
        let t = Cio::start(Variants { unsuppress_frees_both, ..Variants::default() }).await;
        t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[("plan", json!("pro"))]);
        t.entity(&action("suppress", &json!({"id": "u1"}))).await;
        // Nor can somebody else take the blocked address.
        t.cio.add_profile(Some("u2"), None, &[]);
        t.entity(&identify(&json!({"id": "u2"}), &json!({"email": "Ada@example.com", "plan": "free"}), NOW)).await;
        assert_eq!((id(&t, "u2").email, t.cio.failed_changes().len()), (None, 1));
        t.entity(&action("unsuppress", &json!({"id": "u1"}))).await;
        t.entity(&identify(&json!({"email": "ada@example.com"}), &json!({"seats": 1}), NOW)).await;
        let freed = t.cio.profile(&Identifier::Email("ada@example.com".to_owned()));
        assert_eq!(freed.is_some(), unsuppress_frees_both);
        t.entity(&identify(&json!({"id": "u1"}), &json!({"seats": 1}), NOW)).await;
        assert_eq!(id(&t, "u1").text("plan"), None, "what there was is gone");
    }
}
