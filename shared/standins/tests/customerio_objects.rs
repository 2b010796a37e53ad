//! Objects, relationships and devices of Customer.io.

mod support;

use serde_json::{Value, json};
use support::{Cio, NOW, identify};
use trefoil_standins::customerio::{CreatedBy, ForUnknown, Identifier, Object, Variants};

fn object(action: &str, more: &Value) -> Value {
    let mut item = json!({"type": "object", "action": action, "identifiers": {"object_type_id": "1", "object_id": "acme"}});
    item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    item
}

fn person(action: &str, who: &Value, relationships: &Value) -> Value {
    json!({"type": "person", "action": action, "identifiers": who, "cio_relationships": relationships})
}

fn acme(t: &Cio) -> Object {
    t.cio.object("1", "acme").expect("the object")
}

async fn done(t: &Cio, item: &Value) {
    let answer = t.entity(item).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})), "{item}");
}

#[tokio::test]
async fn objects_keep_attributes_until_they_are_emptied() {
    let t = Cio::start(Variants::default()).await;
    done(&t, &object("identify", &json!({"attributes": {"name": "Acme", "seats": 50, "plan": "pro", "note": "x"}}))).await;
    done(&t, &object("identify", &json!({"attributes": {"seats": 51, "plan": null, "note": ""}}))).await;
    let known = acme(&t);
    assert_eq!(known.attributes, [("name".to_owned(), json!("Acme")), ("seats".to_owned(), json!(51))].into());
    assert!(known.cio_object_id.starts_with("ob"));

    // By the id that Customer.io made it can be updated and deleted, not made.
    let by = |id: &str| json!({"identifiers": {"cio_object_id": id}, "attributes": {"seats": 52}});
    done(&t, &object("identify", &by(&known.cio_object_id))).await;
    done(&t, &object("identify", &by("obffff07ffffff"))).await;
    assert_eq!((t.cio.objects().len(), &acme(&t).attributes["seats"]), (1, &json!(52)));
    // The same id of another type is another object.
    done(&t, &object("identify", &json!({"identifiers": {"object_type_id": "2", "object_id": "acme"}}))).await;
    assert_eq!(t.cio.objects().len(), 2);
    done(&t, &object("delete", &by(&known.cio_object_id))).await;
    assert!(t.cio.object("1", "acme").is_none() && t.cio.object("2", "acme").is_some());
}

#[tokio::test]
async fn people_are_related_from_both_sides() {
    let t = Cio::start(Variants::default()).await;
    let ada = t.cio.add_profile(Some("u1"), Some("ada@example.com"), &[]);
    let bob = t.cio.add_profile(Some("u2"), None, &[]);
    let admin = json!([{"identifiers": {"email": "ADA@example.com"}, "relationship_attributes": {"role": "admin", "since": 1}}]);
    done(&t, &object("identify", &json!({"cio_relationships": admin}))).await;
    let to_acme =
        |attributes: Value| json!([{"identifiers": {"object_type_id": "1", "object_id": "acme"}, "relationship_attributes": attributes}]);
    done(&t, &person("add_relationships", &json!({"id": "u2"}), &to_acme(json!({"role": "user"})))).await;
    done(&t, &person("add_relationships", &json!({"cio_id": ada}), &to_acme(json!({"role": "owner", "since": ""})))).await;
    let role = |role: &str| [("role".to_owned(), json!(role))].into();
    assert_eq!(acme(&t).relationships, [(ada.clone(), role("owner")), (bob.clone(), role("user"))].into());

    done(&t, &person("delete_relationships", &json!({"id": "u2"}), &to_acme(json!({})))).await;
    assert_eq!(acme(&t).relationships.keys().collect::<Vec<_>>(), [&ada]);
    let mut joins = identify(&json!({"id": "u2"}), &json!({"_update": true}), NOW);
    joins["cio_relationships"] = to_acme(json!({}));
    done(&t, &joins).await;
    assert_eq!(acme(&t).relationships.len(), 2);
    done(&t, &object("delete_relationships", &json!({"cio_relationships": [{"identifiers": {"id": "u1"}}]}))).await;
    assert_eq!(acme(&t).relationships.keys().collect::<Vec<_>>(), [&bob]);
    // Whoever goes, goes from the object too.
    done(&t, &json!({"type": "person", "action": "delete", "identifiers": {"id": "u2"}})).await;
    assert!(acme(&t).relationships.is_empty());

    // An update of nobody does nothing at all.
    joins["identifiers"] = json!({"id": "u9"});
    done(&t, &joins).await;
    assert!(acme(&t).relationships.is_empty() && t.cio.profiles().len() == 1);
}

#[tokio::test]
async fn the_unknown_in_a_relationship_is_made_or_dropped() {
    for unknown in [ForUnknown::Creates, ForUnknown::Drops] {
        let creates = unknown == ForUnknown::Creates;
        let variants = Variants { person_for_relationship: unknown, ..Variants::default() };
        let t = Cio::start(variants).await;
        let people = json!({"cio_relationships": [{"identifiers": {"id": "u1"}}, {"identifiers": {"cio_id": "ffff06ffffff"}}]});
        done(&t, &object("identify", &people)).await;
        assert_eq!(acme(&t).relationships.len(), usize::from(creates), "a cio_id cannot be made up");
        assert_eq!(t.cio.profile_created_by_accident(), creates);
        assert!(t.cio.profiles().iter().all(|profile| profile.created_by == CreatedBy::Other));

        let t = Cio::start(Variants { object_for_relationship: unknown, ..Variants::default() }).await;
        t.cio.add_profile(Some("u1"), None, &[]);
        let relationships =
            json!([{"identifiers": {"object_type_id": "1", "object_id": "acme"}}, {"identifiers": {"cio_object_id": "ob1"}}]);
        done(&t, &person("add_relationships", &json!({"id": "u1"}), &relationships)).await;
        done(&t, &object("add_relationships", &json!({"cio_relationships": [{"identifiers": {"id": "u1"}}]}))).await;
        assert_eq!(t.cio.objects().len(), usize::from(creates));

        let t = Cio::start(Variants { person_for_device: unknown, ..Variants::default() }).await;
        let device = json!({"token": "t1", "platform": "ios"});
        done(&t, &json!({"type": "person", "action": "add_device", "identifiers": {"id": "u1"}, "device": device})).await;
        assert_eq!(t.cio.profile_created_by_accident(), creates);
    }
    // Who is suppressed is not made again, whatever the reading.
    let t = Cio::start(Variants::default()).await;
    done(&t, &json!({"type": "person", "action": "suppress", "identifiers": {"id": "u1"}})).await;
    done(&t, &object("identify", &json!({"cio_relationships": [{"identifiers": {"id": "u1"}}]}))).await;
    assert!(t.cio.profiles().is_empty() && acme(&t).relationships.is_empty());
}

#[tokio::test]
async fn an_anonymous_relationship_goes_over_to_the_person() {
    let t = Cio::start(Variants::default()).await;
    let people = json!([{"identifiers": {"anonymous_id": "anon-1"}, "relationship_attributes": {"role": "visitor"}}]);
    done(&t, &object("identify_anonymous", &json!({"cio_relationships": people, "anonymous_id": "anon-2"}))).await;
    assert_eq!(acme(&t).anonymous.keys().collect::<Vec<_>>(), ["anon-1", "anon-2"]);
    assert!(t.cio.profiles().is_empty());
    done(&t, &identify(&json!({"id": "u1"}), &json!({"anonymous_id": "anon-1"}), NOW)).await;
    let profile = t.cio.profile(&Identifier::guess("u1")).expect("a profile");
    assert_eq!(profile.text("anonymous_id").as_deref(), Some("anon-1"));
    assert_eq!(acme(&t).relationships[&profile.cio_id]["role"], "visitor");
    assert_eq!(acme(&t).anonymous.keys().collect::<Vec<_>>(), ["anon-2"]);
}

#[tokio::test]
async fn devices_come_and_go() {
    let t = Cio::start(Variants::default()).await;
    t.cio.add_profile(Some("u1"), None, &[]);
    let who = json!({"id": "u1"});
    let change = |action: &str, device: Value| json!({"type": "person", "action": action, "identifiers": who, "device": device});
    done(&t, &change("add_device", json!({"token": "t1", "platform": "ios", "last_used": NOW - 60}))).await;
    done(&t, &change("add_device", json!({"token": "t2", "platform": "android", "attributes": {"push_enabled": "true"}}))).await;
    done(&t, &change("add_device", json!({"token": "t1", "platform": "ios", "last_used": NOW - 5}))).await;
    let devices = t.cio.profile(&Identifier::guess("u1")).expect("a profile").devices;
    assert_eq!(devices.iter().map(|device| (device.token.as_str(), device.last_used)).collect::<Vec<_>>(), [("t1", NOW - 5), ("t2", NOW)]);
    let told = t.app("/v1/customers/u1/attributes").await.json()["customer"]["devices"].clone();
    assert_eq!(told[1], json!({"id": "t2", "platform": "android", "last_used": NOW, "attributes": {"push_enabled": "true"}}));
    done(&t, &change("delete_device", json!({"token": "t1"}))).await;
    let devices = t.cio.profile(&Identifier::guess("u1")).expect("a profile").devices;
    assert_eq!(devices.into_iter().map(|device| device.token).collect::<Vec<_>>(), ["t2"]);
}

#[tokio::test]
async fn what_is_refused_of_objects_and_devices() {
    let t = Cio::start(Variants::default()).await;
    let person = |action: &str, device: Value| json!({"type": "person", "action": action, "identifiers": {"id": "u1"}, "device": device});
    let related = |relationships: Value| object("identify", &json!({"cio_relationships": relationships}));
    let cases = [
        (object("identify", &json!({"identifiers": {"object_type_id": "companies", "object_id": "acme"}})), "identifiers"),
        (object("identify", &json!({"identifiers": {"object_type_id": "0", "object_id": "acme"}})), "identifiers"),
        (object("identify", &json!({"identifiers": {"object_type_id": 1, "object_id": "acme"}})), "identifiers"),
        (object("identify", &json!({"identifiers": {"object_type_id": "1", "object_id": "x".repeat(151)}})), "identifiers"),
        (object("identify", &json!({"attributes": {"a": "x".repeat(1001)}})), "attributes.a"),
        (object("identify", &json!({"attributes": ["a"]})), "attributes"),
        (object("update", &json!({})), "action"),
        (object("add_relationships", &json!({})), "cio_relationships"),
        (related(json!({"id": "u1"})), "cio_relationships"),
        (related(json!(["u1"])), "cio_relationships[0]"),
        (related(json!([{"id": "u1"}])), "cio_relationships[0].identifiers"),
        (related(json!([{"identifiers": {"id": "u1"}}, {"identifiers": {"id": 1}}])), "cio_relationships[1].identifiers.id"),
        (related(json!([{"identifiers": {"id": "u1"}, "relationship_attributes": "a"}])), "cio_relationships[0].relationship_attributes"),
        (person("add_device", json!({"token": "t"})), "device.platform"),
        (person("add_device", json!({"token": "t", "platform": "web"})), "device.platform"),
        (person("add_device", json!({"token": "t", "platform": "ios", "last_used": "today"})), "device.last_used"),
        (person("delete_device", json!({})), "device.token"),
    ];
    for (item, field) in &cases {
        let answer = t.entity(item).await;
        assert_eq!((answer.status, answer.json()["errors"][0]["field"].as_str()), (400, Some(*field)), "{item}");
    }
    assert!(t.cio.objects().is_empty() && t.cio.profiles().is_empty());
}
