//! Conflicts are listed and settled from beside a `serve` that goes on running on the same file.

use crate::process::PATIENCE;
use crate::stage::Stage;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;
use trefoil_domain::event::{IdKind, Identifier, Workspace};
use trefoil_domain::id::PersonId;
use trefoil_domain::identity::survivor;
use trefoil_domain::ports::{AliasKey, Store as _};
use trefoil_platform::sqlite::{Db, SqliteStore};
use trefoil_standins::intercom::{NewContact, Priority, Webhook};

/// Runs `trefoil conflicts` as an operator does, without a terminal: whether it succeeded, and all it said.
fn conflicts(stage: &Stage, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trefoil"));
    command.arg("conflicts").args(arguments).arg("--data").arg(stage.data.path()).env_clear().current_dir(stage.data.path());
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn listed(stage: &Stage) -> Vec<Value> {
    let (listed, said) = conflicts(stage, &["list", "--json"]);
    assert!(listed, "{said}");
    said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Two contacts who are two users, and have one address.
fn two(stage: &Stage, number: usize) -> Vec<Webhook> {
    let contact = |which: &str| {
        let (external_id, email) = (Some(format!("user-{number}{which}")), Some(format!("shared{number}@example.com")));
        stage.intercom.create_contact(NewContact { external_id, email, ..NewContact::default() })
    };
    let ((one, first), (_, second)) = (contact("a"), contact("b"));
    let (_, opened) = stage.intercom.open_conversation(&one, Priority::Low).expect("the contact exists");
    vec![first, second, opened]
}

/// Who claims an id, as read from beside.
async fn claimants(store: &SqliteStore, kind: IdKind, value: &str) -> Vec<PersonId> {
    let id = Identifier::new(kind, value).expect("valid");
    let key = AliasKey::of_identifier(&Workspace::new("main").expect("valid"), &id);
    let mut found = store.find(std::slice::from_ref(&key), &[]).await.expect("the file answers");
    let claimants = found.aliases.remove(&key).map(|alias| alias.claimants).unwrap_or_default();
    found.people = store.find(&[], &claimants).await.expect("the file answers").people;
    claimants.iter().filter_map(|id| survivor(&found, id)).map(|person| person.id.clone()).collect()
}

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_from_beside_is_done_by_the_running_serve() {
    let stage = Stage::plain().await;
    assert!(!conflicts(&stage, &[]).0, "there is no file yet");
    assert!(!stage.data.path().join("trefoil.db").exists(), "and none was made");
    let serve = stage.serve().await;
    assert_eq!(conflicts(&stage, &[]), (true, "No conflicts.\n".to_owned()));
    for webhook in (1..=3).flat_map(|number| two(&stage, number)) {
        assert!(stage.deliver(&serve.url(), &[webhook]).await.is_empty());
    }

    // Both sides of each are shown.
    let opened = |conflict: &Value| {
        let people = conflict["people"].as_array().expect("people");
        people.len() == 2 && people.iter().filter_map(|person| person["open_tickets"].as_u64()).sum::<u64>() == 1
    };
    until(
        "three conflicts with a ticket each",
        async || matches!(listed(&stage).as_slice(), [a, b, c] if opened(a) && opened(b) && opened(c)),
    )
    .await;
    let all = listed(&stage);
    let id = |number: usize| {
        let address = format!("shared{number}@example.com");
        let conflict = all.iter().find(|conflict| conflict["over"]["value"] == *address).expect("listed");
        conflict["id"].as_str().expect("an id").to_owned()
    };
    let (_, page) = conflicts(&stage, &[]);
    for number in 1..=3 {
        let line = format!("{}  e-mail address shared{number}@example.com is claimed by two people", &id(number)[..12]);
        assert!(page.contains(&line), "{page}");
        assert!(page.contains(&format!("user-{number}a")) && page.contains(&format!("user-{number}b")), "{page}");
    }

    // What cannot be meant, or cannot be undone, is not done.
    for refused in [
        &["merge", &id(1)[..8]][..],
        &["merge", &id(1)[..5], "--yes"],
        &["merge", "ffffffffffff", "--yes"],
        &["give", &id(1), "--to", "user:somebody-else"],
        &["give", &id(1), "--to", "email:shared1@example.com"],
        &["list", "--aws"],
    ] {
        let (done, said) = conflicts(&stage, refused);
        assert!(!done && said.starts_with("error: "), "{refused:?}: {said}");
    }
    assert_eq!(listed(&stage).len(), 3);

    let store = SqliteStore::new(Db::attach(stage.data.path()).expect("it is there"));
    let give = conflicts(&stage, &["give", &id(1), "--to", "user:user-1a"]);
    assert!(give.0, "{}", give.1);
    let merge = conflicts(&stage, &["merge", &id(2)[..8], "--yes"]);
    assert!(merge.0, "{}", merge.1);
    let dismiss = conflicts(&stage, &["dismiss", &id(3)]);
    assert!(dismiss.0, "{}", dismiss.1);
    assert_eq!(conflicts(&stage, &[]), (true, "No conflicts.\n".to_owned()));

    let of = async |kind, value: &str| claimants(&store, kind, value).await;
    until("the address is the first one's", async || of(IdKind::Email, "shared1@example.com").await == of(IdKind::UserId, "user-1a").await)
        .await;
    assert_ne!(of(IdKind::UserId, "user-1a").await, of(IdKind::UserId, "user-1b").await);
    until("two have become one", async || of(IdKind::UserId, "user-2a").await == of(IdKind::UserId, "user-2b").await).await;
    assert_eq!(of(IdKind::Email, "shared2@example.com").await, of(IdKind::UserId, "user-2a").await);
    assert_eq!(of(IdKind::Email, "shared3@example.com").await.len(), 2, "what is dismissed stays as it was");
    assert_eq!(listed(&stage), Vec::<Value>::new());

    drop(store);
    let output = stage.finish(serve).await;
    assert!(!output.contains("@example.com") && !output.contains("user-1a"), "{output}");
    stage.nothing_left().await;
}
