//! Conflicts over ids, in the people table: one partition a workspace, since there are few and they are only read whole.

use super::items::{self, Item, Text};
use super::{DynamoStore, failure};
use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use std::collections::{BTreeMap, BTreeSet};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::ConflictId;
use trefoil_domain::ports::{ConflictNote, StoreError};

impl DynamoStore {
    pub(super) async fn put_conflicts(&self, notes: Vec<ConflictNote>) -> Result<(), StoreError> {
        let doing = "note conflicts";
        // A batch that names a key twice is refused; the last one holds.
        let latest: BTreeMap<_, &ConflictNote> = notes.iter().map(|note| ((&note.workspace, &note.id), note)).collect();
        let item = |note: &ConflictNote| {
            let mut item = key(&note.workspace, &note.id);
            item.insert(items::BODY.to_owned(), items::json(doing, note)?);
            items::put(doing, item)
        };
        let requests = latest.into_values().map(item).collect::<Result<Vec<_>, _>>()?;
        self.write(doing, &self.tables.people, requests).await
    }

    pub(super) async fn query_conflicts(&self, workspace: &Workspace) -> Result<Vec<ConflictNote>, StoreError> {
        let doing = "read conflicts";
        let mut notes: Vec<ConflictNote> = Vec::new();
        let mut start = None;
        loop {
            self.calls.count("Query");
            let call = self.client.query().table_name(&self.tables.people).consistent_read(true);
            let call = call.key_condition_expression("pk = :workspace").set_exclusive_start_key(start);
            let call = call.expression_attribute_values(":workspace", items::text(partition(workspace)));
            let page = call.send().await.map_err(|error| StoreError { doing, message: failure(&error) })?;
            for item in page.items.unwrap_or_default() {
                notes.push(item.body(doing)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                notes.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
                return Ok(notes);
            }
        }
    }

    pub(super) async fn delete_conflicts(&self, workspace: &Workspace, ids: Vec<ConflictId>) -> Result<(), StoreError> {
        let doing = "clear conflicts";
        let ids: BTreeSet<ConflictId> = ids.into_iter().collect();
        let request = |id: &ConflictId| {
            let delete = DeleteRequest::builder().set_key(Some(key(workspace, id))).build().map_err(|_| super::unbuildable(doing))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let requests = ids.iter().map(request).collect::<Result<Vec<_>, StoreError>>()?;
        self.write(doing, &self.tables.people, requests).await
    }
}

fn partition(workspace: &Workspace) -> String {
    format!("conflicts#{workspace}")
}

fn key(workspace: &Workspace, id: &ConflictId) -> Item {
    items::sorted_key(&partition(workspace), id.as_str())
}
