//! What people see, and the names of events sent to Intercom: in the history table, so that a sender writes nothing where people are
//! kept. Those that want a review are listed in one partition a workspace, since there are few and they are only read whole.

use super::items::{self, Item, Text};
use super::{DynamoStore, Write, conditional_put, failure, nonce, unbuildable};
use aws_sdk_dynamodb::types::{Delete, Put as PutItem, TransactWriteItem};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::ActionId;
use trefoil_domain::ledger::{Entry, LEDGER_KEPT, Ledger, Review};
use trefoil_domain::ports::{Commit, EventNames, NamesTaken, StoreError};
use trefoil_domain::time::Timestamp;

impl Ledger for DynamoStore {
    async fn entry(&self, action: &ActionId) -> Result<Option<Entry>, StoreError> {
        let doing = "read the ledger";
        // What has expired and is not deleted yet is told all the same: that nothing is done twice.
        let found = self.get(doing, vec![(&self.tables.history, key(action))]).await?;
        found.first().map(|(_, item)| item.body(doing)).transpose()
    }

    async fn put_entry(&self, entry: Entry, now: Timestamp) -> Result<Commit, StoreError> {
        let doing = "write the ledger";
        let expected = entry.version;
        let entry = Entry { version: expected + 1, ..entry };
        let expires_at = items::number(now.plus(LEDGER_KEPT).secs());
        let mut item = items::versioned(doing, key(&entry.action), &entry, entry.version, nonce())?;
        item.insert(items::EXPIRES_AT.to_owned(), expires_at.clone());
        let write = Write { table: self.tables.history.clone(), item, expected };
        let mut listed = listed(&entry.workspace, &entry.action);
        let list = match entry.review {
            Review::None => return self.put(doing, write).await,
            Review::Wanted => {
                listed.insert(items::EXPIRES_AT.to_owned(), expires_at);
                let put = PutItem::builder().table_name(&self.tables.history).set_item(Some(listed)).build();
                TransactWriteItem::builder().put(put.map_err(|_| unbuildable(doing))?).build()
            }
            Review::Given => {
                let delete = Delete::builder().table_name(&self.tables.history).set_key(Some(listed)).build();
                TransactWriteItem::builder().delete(delete.map_err(|_| unbuildable(doing))?).build()
            }
        };
        self.transact(doing, vec![conditional_put(doing, write)?, list]).await
    }

    async fn wanting_review(&self, workspace: &Workspace) -> Result<Vec<Entry>, StoreError> {
        let doing = "read what wants a review";
        let mut keys = Vec::new();
        let mut start = None;
        loop {
            self.calls.count("Query");
            let call = self.client.query().table_name(&self.tables.history).consistent_read(true);
            let call = call.key_condition_expression("pk = :workspace").set_exclusive_start_key(start);
            let call = call.expression_attribute_values(":workspace", items::text(partition(workspace)));
            let page = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
            for item in page.items.unwrap_or_default() {
                let action = ActionId::from_stored(item.text(doing, items::SK)?);
                keys.push((self.tables.history.as_str(), key(&action)));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (_, item) in self.get(doing, keys).await? {
            entries.push(item.body(doing)?);
        }
        entries.retain(|entry| entry.review == Review::Wanted);
        entries.sort_by(|a, b| b.begun_at.cmp(&a.begun_at).then_with(|| a.action.cmp(&b.action)));
        Ok(entries)
    }
}

impl EventNames for DynamoStore {
    async fn event_names(&self, workspace: &Workspace) -> Result<NamesTaken, StoreError> {
        let doing = "read names of events";
        let found = self.get(doing, vec![(&self.tables.history, names_key(workspace))]).await?;
        found.first().map_or_else(|| Ok(NamesTaken::default()), |(_, item)| item.body(doing))
    }

    async fn put_event_names(&self, workspace: &Workspace, names: NamesTaken) -> Result<Commit, StoreError> {
        let doing = "write names of events";
        let expected = names.version;
        let names = NamesTaken { version: expected + 1, ..names };
        let item = items::versioned(doing, names_key(workspace), &names, names.version, nonce())?;
        self.put(doing, Write { table: self.tables.history.clone(), item, expected }).await
    }
}

fn key(action: &ActionId) -> Item {
    items::sorted_key(&format!("action#{action}"), "ledger")
}

fn partition(workspace: &Workspace) -> String {
    format!("reviews#{workspace}")
}

fn listed(workspace: &Workspace, action: &ActionId) -> Item {
    items::sorted_key(&partition(workspace), action.as_str())
}

fn names_key(workspace: &Workspace) -> Item {
    items::sorted_key(&format!("names#{workspace}"), "intercom")
}
