//! What people see, and the names of events sent to Intercom, in the SQLite file.

use super::store::{SqliteStore, failed, json, parse};
use rusqlite::{Connection, OptionalExtension, params};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::ActionId;
use trefoil_domain::ledger::{Entry, LEDGER_KEPT, Ledger, Review};
use trefoil_domain::ports::{Commit, EventNames, NamesTaken, StoreError};
use trefoil_domain::time::Timestamp;

/// Each write clears at most this many expired entries away, so that they never pile up.
const CLEARED_AT_ONCE: i64 = 4;

impl Ledger for SqliteStore {
    async fn entry(&self, action: &ActionId) -> Result<Option<Entry>, StoreError> {
        let doing = "read the ledger";
        let action = action.clone();
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT body FROM ledger WHERE action = ?1")?;
            select.query_row([action.as_str()], |row| row.get::<_, String>(0)).optional()
        };
        let body = self.db.read(read).await.map_err(failed(doing))?;
        body.map(|body| parse(doing, &body)).transpose()
    }

    async fn put_entry(&self, entry: Entry, now: Timestamp) -> Result<Commit, StoreError> {
        let doing = "write the ledger";
        let expected = entry.version;
        let entry = Entry { version: expected + 1, ..entry };
        let body = json(doing, &entry)?;
        let write = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT version FROM ledger WHERE action = ?1")?;
            let stored: Option<u64> = select.query_row([entry.action.as_str()], |row| row.get(0)).optional()?;
            if stored.unwrap_or(0) != expected {
                return Ok(Commit::Conflict);
            }
            let mut insert = db.prepare_cached(
                "INSERT INTO ledger (action, workspace, version, begun, wanted, expires, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (action) DO UPDATE SET version = ?3, begun = ?4, wanted = ?5, expires = ?6, body = ?7",
            )?;
            let (wanted, expires) = (entry.review == Review::Wanted, now.plus(LEDGER_KEPT).millis());
            let (action, workspace) = (entry.action.as_str(), entry.workspace.as_str());
            insert.execute(params![action, workspace, entry.version, entry.begun_at.millis(), wanted, expires, body])?;
            let mut clear = db.prepare_cached(
                "DELETE FROM ledger WHERE action IN (SELECT action FROM ledger WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )?;
            clear.execute([now.millis(), CLEARED_AT_ONCE])?;
            Ok(Commit::Done)
        };
        self.db.write(write).await.map_err(failed(doing))
    }

    async fn wanting_review(&self, workspace: &Workspace) -> Result<Vec<Entry>, StoreError> {
        let doing = "read what wants a review";
        let workspace = workspace.clone();
        let read = move |db: &Connection| {
            let mut select =
                db.prepare_cached("SELECT body FROM ledger WHERE workspace = ?1 AND wanted = 1 ORDER BY begun DESC, action")?;
            select.query_map([workspace.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let bodies = self.db.read(read).await.map_err(failed(doing))?;
        bodies.iter().map(|body| parse(doing, body)).collect()
    }
}

impl EventNames for SqliteStore {
    async fn event_names(&self, workspace: &Workspace) -> Result<NamesTaken, StoreError> {
        let doing = "read names of events";
        let workspace = workspace.clone();
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT body FROM event_names WHERE workspace = ?1")?;
            select.query_row([workspace.as_str()], |row| row.get::<_, String>(0)).optional()
        };
        let body = self.db.read(read).await.map_err(failed(doing))?;
        body.map_or_else(|| Ok(NamesTaken::default()), |body| parse(doing, &body))
    }

    async fn put_event_names(&self, workspace: &Workspace, names: NamesTaken) -> Result<Commit, StoreError> {
        let doing = "write names of events";
        let expected = names.version;
        let body = json(doing, &NamesTaken { version: expected + 1, ..names })?;
        let workspace = workspace.clone();
        let write = move |db: &Connection| {
            let changed = match expected {
                0 => db
                    .prepare_cached("INSERT INTO event_names (workspace, version, body) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING")?
                    .execute(params![workspace.as_str(), body])?,
                version => db
                    .prepare_cached("UPDATE event_names SET version = ?3 + 1, body = ?2 WHERE workspace = ?1 AND version = ?3")?
                    .execute(params![workspace.as_str(), body, version])?,
            };
            Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
        };
        self.db.write(write).await.map_err(failed(doing))
    }
}
