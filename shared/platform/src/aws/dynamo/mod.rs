//! The store on three DynamoDB tables.
//!
//! | table | partition key | sort key | holds |
//! | --- | --- | --- | --- |
//! | people | `pk` person id | `sk` = `state`, `sent#<destination>` or `wake#<reason>` | `body`, `version` |
//! | people | `pk` = `conflicts#<workspace>` | `sk` conflict id | `body` |
//! | aliases | `pk` alias key | – | `body`, `version` |
//! | history | `pk` event id | `sk` stage | `body`, `expires_at` (unix seconds, the table's TTL attribute) |
//! | history | `pk` = `action#<id>` | `sk` = `ledger` | `body`, `version`, `expires_at` |
//! | history | `pk` = `reviews#<workspace>` | `sk` action id | `expires_at`; the entry under `action#<id>` wants a review |
//! | history | `pk` = `names#<workspace>` | `sk` = `intercom` | `body`, `version`; kept for good |
//!
//! `body` is the record as JSON text. Wakes carry `due_shard` (text) and `due` (milliseconds), the keys of the people
//! table's only index, [`DUE_INDEX`]; nothing else has these, so the index holds wakes alone. It projects everything.
//!
//! Every conditional write carries a random `writer`: when the SDK repeats a write whose answer was lost, the condition
//! fails on our own first attempt, and `writer` is what tells that from somebody else's.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html>

mod conflicts;
mod items;
mod ledger;
mod wakes;

use super::{Calls, WARM_LIMIT, failure, pause};
use crate::clock::nonce;
use crate::settings::TableNames;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put as PutItem, ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use items::{Item, Text};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::{ConflictId, EventId, PersonId};
use trefoil_domain::person::Person;
use trefoil_domain::ports::{Alias, AliasKey, Commit, ConflictNote, Destination, Found, Mark, Put, Record, Store, StoreError, Wake};
use trefoil_domain::time::Timestamp;

pub use items::DUE_INDEX;

/// Keys in one BatchGetItem.
const GET_COUNT: usize = 100;
/// Items in one BatchWriteItem.
const WRITE_COUNT: usize = 25;
/// How often what a batch left undone is asked for.
const ATTEMPTS: u32 = 6;
/// Single writes under way at once.
const PARALLEL: usize = 10;

pub struct DynamoStore {
    client: Client,
    tables: TableNames,
    calls: Calls,
}

impl DynamoStore {
    pub fn new(client: Client, tables: TableNames) -> Self {
        Self { client, tables, calls: Calls::default() }
    }

    /// Calls so far, by operation.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.calls.snapshot()
    }

    /// Opens the connection, by reading a person that does not exist.
    pub async fn warm(&self) {
        let keys = KeysAndAttributes::builder().keys(items::sorted_key("-", items::STATE)).build();
        if let Ok(keys) = keys {
            let call = self.client.batch_get_item().request_items(&self.tables.people, keys).send();
            drop(tokio::time::timeout(WARM_LIMIT, call).await);
        }
    }

    /// Reads keys of several tables with as few calls as allowed. Answers table and item.
    async fn get(&self, doing: &'static str, keys: Vec<(&str, Item)>) -> Result<Vec<(String, Item)>, StoreError> {
        let mut found = Vec::new();
        for chunk in keys.chunks(GET_COUNT) {
            let mut wanted: HashMap<String, Vec<Item>> = HashMap::new();
            for (table, key) in chunk {
                wanted.entry((*table).to_owned()).or_default().push(key.clone());
            }
            let mut attempt = 0;
            while !wanted.is_empty() {
                if attempt == ATTEMPTS {
                    return Err(StoreError { doing, message: format!("DynamoDB left keys unread {ATTEMPTS} times (throttled)") });
                }
                if attempt > 0 {
                    pause(attempt).await;
                }
                attempt += 1;
                let mut call = self.client.batch_get_item();
                for (table, keys) in wanted.drain() {
                    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
                    call = call.request_items(table, keys.map_err(|_| unbuildable(doing))?);
                }
                self.calls.count("BatchGetItem");
                let answer = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
                for (table, items) in answer.responses.unwrap_or_default() {
                    found.extend(items.into_iter().map(|item| (table.clone(), item)));
                }
                wanted = answer.unprocessed_keys.unwrap_or_default().into_iter().map(|(table, keys)| (table, keys.keys)).collect();
            }
        }
        Ok(found)
    }

    /// Writes items without conditions. No two may have one key.
    async fn write(&self, doing: &'static str, table: &str, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        for chunk in requests.chunks(WRITE_COUNT) {
            let mut left = chunk.to_vec();
            let mut attempt = 0;
            while !left.is_empty() {
                if attempt == ATTEMPTS {
                    return Err(StoreError { doing, message: format!("DynamoDB left items unwritten {ATTEMPTS} times (throttled)") });
                }
                if attempt > 0 {
                    pause(attempt).await;
                }
                attempt += 1;
                self.calls.count("BatchWriteItem");
                let call = self.client.batch_write_item().request_items(table, left);
                let answer = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
                left = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            }
        }
        Ok(())
    }

    /// One conditional write.
    async fn put(&self, doing: &'static str, write: Write) -> Result<Commit, StoreError> {
        self.calls.count("PutItem");
        let Write { table, item, expected } = write;
        let writer = item.get(items::WRITER).cloned();
        let (condition, values) = condition(expected);
        let call = self.client.put_item().table_name(table).set_item(Some(item)).condition_expression(condition);
        let call = call.set_expression_attribute_values(values);
        match call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld).send().await {
            Ok(_) => Ok(Commit::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    let stored = refused.item().and_then(|item| item.get(items::WRITER));
                    let ours = stored.is_some() && stored == writer.as_ref();
                    Ok(if ours { Commit::Done } else { Commit::Conflict })
                }
                // A transaction holds the item right now.
                Some(PutItemError::TransactionConflictException(_)) => Ok(Commit::Conflict),
                _ => Err(StoreError { doing, message: failure(&error) }),
            },
        }
    }

    /// All of these or none.
    async fn transact(&self, doing: &'static str, actions: Vec<TransactWriteItem>) -> Result<Commit, StoreError> {
        self.calls.count("TransactWriteItems");
        // The SDK adds a token, so that repeating a transaction whose answer was lost does not apply it twice.
        match self.client.transact_write_items().set_transact_items(Some(actions)).send().await {
            Ok(_) => Ok(Commit::Done),
            Err(error) if lost_a_race(&error) => Ok(Commit::Conflict),
            Err(error) => Err(StoreError { doing, message: failure(&error) }),
        }
    }
}

/// A put that applies only to the expected version (0 = absent).
struct Write {
    table: String,
    item: Item,
    expected: u64,
}

/// As a part of a transaction.
fn conditional_put(doing: &'static str, Write { table, item, expected }: Write) -> Result<TransactWriteItem, StoreError> {
    let (condition, values) = condition(expected);
    let put = PutItem::builder().table_name(table).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_values(values).build().map_err(|_| unbuildable(doing))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn condition(expected: u64) -> (&'static str, Option<HashMap<String, AttributeValue>>) {
    match expected {
        0 => ("attribute_not_exists(pk)", None),
        version => ("version = :expected", Some(HashMap::from([(":expected".to_owned(), items::number(version))]))),
    }
}

fn lost_a_race(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return false;
    };
    let codes = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    codes().any(|code| code == "ConditionalCheckFailed" || code == "TransactionConflict")
        && codes().all(|code| matches!(code, "None" | "ConditionalCheckFailed" | "TransactionConflict"))
}

fn unbuildable(doing: &'static str) -> StoreError {
    StoreError { doing, message: "the request could not be built".to_owned() }
}

impl Store for DynamoStore {
    async fn find(&self, aliases: &[AliasKey], people: &[PersonId]) -> Result<Found, StoreError> {
        let doing = "find people";
        let aliases: BTreeSet<&AliasKey> = aliases.iter().collect();
        let people: BTreeSet<&PersonId> = people.iter().collect();
        let aliases = aliases.into_iter().map(|key| (self.tables.aliases.as_str(), items::alias_key(key)));
        let people = people.into_iter().map(|id| (self.tables.people.as_str(), items::sorted_key(id.as_str(), items::STATE)));
        let mut found = Found::default();
        for (table, item) in self.get(doing, aliases.chain(people).collect()).await? {
            if table == self.tables.aliases {
                let key = AliasKey::from_stored(item.text(doing, items::PK)?);
                found.aliases.insert(key, item.body(doing)?);
            } else {
                let person: Person = item.body(doing)?;
                found.people.insert(person.id.clone(), person);
            }
        }
        Ok(found)
    }

    async fn commit(&self, puts: Vec<Put>) -> Result<Commit, StoreError> {
        let doing = "commit";
        let mut writes = Vec::with_capacity(puts.len());
        for put in puts {
            writes.push(match put {
                Put::Person { person, expected } => {
                    let key = items::sorted_key(person.id.as_str(), items::STATE);
                    let item = items::versioned(doing, key, &person, person.version, nonce())?;
                    Write { table: self.tables.people.clone(), item, expected }
                }
                Put::Alias { key, alias, expected } => {
                    let alias = Alias { version: expected + 1, ..alias };
                    let item = items::versioned(doing, items::alias_key(&key), &alias, alias.version, nonce())?;
                    Write { table: self.tables.aliases.clone(), item, expected }
                }
            });
        }
        match writes.len() {
            0 => Ok(Commit::Done),
            1 => self.put(doing, writes.remove(0)).await,
            _ => self.transact(doing, writes.into_iter().map(|write| conditional_put(doing, write)).collect::<Result<_, _>>()?).await,
        }
    }

    async fn with_marks(&self, destination: Destination, people: &[PersonId]) -> Result<BTreeMap<PersonId, (Person, Mark)>, StoreError> {
        let doing = "read marks";
        let sent = items::sent(destination);
        let people: BTreeSet<&PersonId> = people.iter().collect();
        let keys = people
            .into_iter()
            .flat_map(|id| [items::STATE, &sent].map(|sort| (self.tables.people.as_str(), items::sorted_key(id.as_str(), sort))));
        let mut found = BTreeMap::new();
        let mut marks = BTreeMap::new();
        for (_, item) in self.get(doing, keys.collect()).await? {
            let id = PersonId::from_stored(item.text(doing, items::PK)?);
            if item.text(doing, items::SK)? == items::STATE {
                found.insert(id, item.body::<Person>(doing)?);
            } else {
                marks.insert(id, item.body::<Mark>(doing)?);
            }
        }
        let with_mark = |(id, person)| {
            let mark = marks.remove(&id).unwrap_or_default();
            (id, (person, mark))
        };
        Ok(found.into_iter().map(with_mark).collect())
    }

    async fn put_marks(&self, destination: Destination, marks: Vec<(PersonId, Mark)>) -> Result<Vec<Commit>, StoreError> {
        let doing = "write marks";
        let sent = items::sent(destination);
        let mut writes = Vec::with_capacity(marks.len());
        for (person, mark) in marks {
            let expected = mark.version;
            let mark = Mark { version: expected + 1, ..mark };
            let item = items::versioned(doing, items::sorted_key(person.as_str(), &sent), &mark, mark.version, nonce())?;
            writes.push(Write { table: self.tables.people.clone(), item, expected });
        }
        stream::iter(writes).map(|write| self.put(doing, write)).buffered(PARALLEL).try_collect().await
    }

    async fn set_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        self.put_wakes(wakes).await
    }

    async fn due_wakes(&self, now: Timestamp, limit: usize) -> Result<Vec<Wake>, StoreError> {
        self.query_due(now, limit).await
    }

    async fn clear_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        self.delete_wakes(wakes).await
    }

    async fn record(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let doing = "record outcomes";
        // A batch that names a key twice is refused; the last one holds.
        let latest: BTreeMap<(&str, &str), &Record> =
            records.iter().map(|record| ((record.event.as_str(), record.stage.as_str()), record)).collect();
        let requests = latest.into_values().map(|record| items::record(doing, record)).collect::<Result<Vec<_>, _>>()?;
        self.write(doing, &self.tables.history, requests).await
    }

    async fn note_conflicts(&self, notes: Vec<ConflictNote>) -> Result<(), StoreError> {
        self.put_conflicts(notes).await
    }

    async fn conflicts(&self, workspace: &Workspace) -> Result<Vec<ConflictNote>, StoreError> {
        self.query_conflicts(workspace).await
    }

    async fn clear_conflicts(&self, workspace: &Workspace, ids: Vec<ConflictId>) -> Result<(), StoreError> {
        self.delete_conflicts(workspace, ids).await
    }

    async fn history(&self, event: &EventId, now: Timestamp) -> Result<Vec<Record>, StoreError> {
        let doing = "read history";
        let mut records = Vec::new();
        let mut start = None;
        loop {
            self.calls.count("Query");
            let call = self.client.query().table_name(&self.tables.history).consistent_read(true);
            let call = call.key_condition_expression("pk = :event").set_exclusive_start_key(start);
            let call = call.expression_attribute_values(":event", AttributeValue::S(event.as_str().to_owned()));
            let page = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
            for item in page.items.unwrap_or_default() {
                // DynamoDB deletes expired items days later.
                if item.integer(doing, items::EXPIRES_AT)? > now.secs() {
                    records.push(item.body(doing)?);
                }
            }
            match page.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(records),
            }
        }
    }
}
