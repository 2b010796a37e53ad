//! What is due, in the people table.

use super::items::{self, Item, Text};
use super::{DUE_INDEX, DynamoStore, PARALLEL, failure};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use trefoil_domain::id::PersonId;
use trefoil_domain::ports::{StoreError, Wake};
use trefoil_domain::time::Timestamp;

/// One partition of the index takes 1,000 writes a second; these take four times that. Changing the number would hide
/// the wakes of shards that are no longer asked.
const SHARDS: u8 = 4;

impl DynamoStore {
    pub(super) async fn put_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        let doing = "set wakes";
        let latest: BTreeMap<_, &Wake> = wakes.iter().map(|wake| ((wake.person.as_str(), wake.reason), wake)).collect();
        let item = |wake: &Wake| {
            let mut item = key(wake);
            item.insert(items::BODY.to_owned(), items::json(doing, wake)?);
            item.insert(items::DUE.to_owned(), items::number(wake.due.millis()));
            item.insert(items::DUE_SHARD.to_owned(), items::text(shard(&wake.person).to_string()));
            items::put(doing, item)
        };
        let requests = latest.into_values().map(item).collect::<Result<Vec<_>, _>>()?;
        self.write(doing, &self.tables.people, requests).await
    }

    pub(super) async fn query_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Wake>, StoreError> {
        let shards = try_join_all((0..SHARDS).map(|shard| self.query_shard(shard, now, limit))).await?;
        let mut wakes: Vec<Wake> = shards.into_iter().flatten().collect();
        wakes.sort_by(|a, b| a.due.cmp(&b.due).then_with(|| a.person.cmp(&b.person)));
        wakes.truncate(limit);
        Ok(wakes)
    }

    async fn query_shard(&self, shard: u8, now: Timestamp, limit: usize) -> Result<Vec<Wake>, StoreError> {
        let doing = "read wakes";
        let mut wakes = Vec::new();
        let mut start = None;
        while wakes.len() < limit {
            self.calls.count("Query");
            let call = self.client.query().table_name(&self.tables.people).index_name(DUE_INDEX);
            let call = call.key_condition_expression("due_shard = :shard AND due <= :now");
            let call = call.expression_attribute_values(":shard", items::text(shard.to_string()));
            let call = call.expression_attribute_values(":now", items::number(now.millis()));
            let call = call.limit(i32::try_from(limit - wakes.len()).unwrap_or(i32::MAX)).set_exclusive_start_key(start);
            let page = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
            for item in page.items.unwrap_or_default() {
                wakes.push(item.body(doing)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(wakes)
    }

    pub(super) async fn delete_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        stream::iter(wakes).map(|wake| self.delete_wake(wake)).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn delete_wake(&self, wake: Wake) -> Result<(), StoreError> {
        self.calls.count("DeleteItem");
        let call = self.client.delete_item().table_name(&self.tables.people).set_key(Some(key(&wake)));
        let call = call.condition_expression("due = :due").expression_attribute_values(":due", items::number(wake.due.millis()));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                // It was set to another time, or is gone already.
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(StoreError { doing: "clear wakes", message: failure(&error) }),
            },
        }
    }
}

fn key(wake: &Wake) -> Item {
    items::sorted_key(wake.person.as_str(), &format!("wake#{}", wake.reason.name()))
}

fn shard(person: &PersonId) -> u8 {
    // Ids are hashes: any byte of them is as good as random.
    person.as_str().bytes().last().unwrap_or_default() % SHARDS
}
