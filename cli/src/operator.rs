//! What the commands of an operator share: where they work, and how they speak. The screen is the operator's own: ids are shown
//! there, and written nowhere.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use trefoil_domain::event::{IdKind, Workspace};
use trefoil_domain::id::PersonId;
use trefoil_domain::identity;
use trefoil_domain::ledger::Ledger;
use trefoil_domain::person::Person;
use trefoil_domain::ports::{AliasKey, Found, Queue, Store};
use trefoil_domain::time::Timestamp;
use trefoil_platform::clock::SystemClock;
use trefoil_platform::settings::Environment;
use trefoil_platform::sqlite::{Db, SqliteQueue, SqliteStore};

/// Characters of an id that are shown: short enough to type, long enough to be of one only.
pub(crate) const SHOWN: usize = 12;
/// Characters of an id that are enough, where they are of one only.
pub(crate) const PREFIX: usize = 6;
/// Steps of merges that are followed; as many as [`identity::survivor`] does.
const STEPS: usize = 32;

/// On one machine, or on AWS.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// Folder of the file of `trefoil serve`, which may be running.
    #[arg(long, global = true, default_value = "trefoil-data", value_name = "DIR")]
    data: PathBuf,
    /// On AWS: the tables and the queues that the stack's output `OperatorSettings` names in the environment.
    #[arg(long, global = true, conflicts_with = "data")]
    aws: bool,
}

/// What is done there.
pub(crate) trait Task {
    async fn work<S: Store + Ledger, Q: Queue>(&self, store: &S, queue: &Q, workspace: &Workspace) -> Result<(), String>;
}

impl Place {
    /// # Errors
    /// The file cannot be used, settings are missing, or the task failed.
    pub(crate) async fn run(&self, task: &impl Task, environment: &Environment, workspace: &Workspace) -> Result<(), String> {
        if self.aws {
            return on_aws(task, environment, workspace).await;
        }
        let db = Db::attach(&self.data).map_err(|e| e.to_string())?;
        // Nothing is received here.
        let queue = SqliteQueue::new(db.clone(), Arc::new(SystemClock), u32::MAX);
        task.work(&SqliteStore::new(db), &queue, workspace).await
    }
}

#[cfg(feature = "aws")]
async fn on_aws(task: &impl Task, environment: &Environment, workspace: &Workspace) -> Result<(), String> {
    use trefoil_platform::aws::{Aws, DynamoStore, SqsQueue};
    let settings = environment.operator_aws().map_err(|problems| {
        format!(
            "{problems}\nThe output OperatorSettings of the stack holds the names; `aws configure export-credentials --format env` gives the rest"
        )
    })?;
    let aws = Aws::new(&settings.aws);
    task.work(&DynamoStore::new(aws.dynamodb(), settings.tables), &SqsQueue::new(aws.sqs(), settings.queues), workspace).await
}

#[cfg(not(feature = "aws"))]
async fn on_aws(_: &impl Task, _: &Environment, _: &Workspace) -> Result<(), String> {
    Err("this program was built without AWS; build it with it: cargo run --features aws -- … --aws".to_owned())
}

/// These, and those in whom they go on.
///
/// # Errors
/// The store cannot be reached.
pub(crate) async fn with_survivors(store: &impl Store, aliases: &[AliasKey], people: &[PersonId]) -> Result<Found, String> {
    let mut found = store.find(aliases, people).await.map_err(|e| e.to_string())?;
    for _ in 0..STEPS {
        let missing = identity::missing(&found);
        if missing.is_empty() {
            break;
        }
        let more = store.find(&[], &missing).await.map_err(|e| e.to_string())?;
        if more.people.is_empty() {
            break;
        }
        found.people.extend(more.people);
    }
    Ok(found)
}

/// # Errors
/// The output is closed.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| format!("cannot write: {e}"))
}

/// Asks whoever sits there; `why` is what they are told where nobody does.
///
/// # Errors
/// There is no terminal, or it cannot be read.
pub(crate) fn confirmed(question: &str, why: &str) -> Result<bool, String> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(format!("{why}, and there is no terminal to ask on; say --yes if you are sure"));
    }
    print(question)?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(|e| format!("cannot read the answer: {e}"))?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// The ids of a person, a line for each kind.
pub(crate) fn ids(person: &Person) -> String {
    let line = |(kind, values): (&IdKind, &BTreeMap<String, Timestamp>)| {
        let values: Vec<String> = values.keys().map(|value| printable(value)).collect();
        format!("    {:9}  {}\n", kind.name(), values.join(", "))
    };
    person.ids.iter().map(line).collect()
}

/// The same for a program.
pub(crate) fn ids_json(person: &Person) -> Value {
    let of_kind = |values: &BTreeMap<String, Timestamp>| values.keys().cloned().collect::<Value>();
    Value::Object(person.ids.iter().map(|(kind, values)| (kind.name().to_owned(), of_kind(values))).collect())
}

pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339().unwrap_or_else(|| at.secs().to_string())
}

/// Ids and texts are whatever the tools say, and must not move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
