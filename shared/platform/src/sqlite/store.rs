//! The store on the SQLite file. Bodies are JSON text and are read on the caller's side, not on the database's threads.

use super::Db;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use trefoil_domain::event::Workspace;
use trefoil_domain::id::{ConflictId, EventId, PersonId};
use trefoil_domain::person::Person;
use trefoil_domain::ports::{
    Alias, AliasKey, Commit, ConflictNote, Destination, Found, HISTORY_KEPT, Mark, Put, Record, Store, StoreError, Wake,
};
use trefoil_domain::time::Timestamp;

/// One outcome in this many clears expired ones away, at most four times as many, so that they never pile up.
const CLEARING_EVERY: i64 = 64;

/// The tables of people, aliases and history.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) db: Db,
}

impl SqliteStore {
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

/// A put that applies only to the expected version (0 = absent), as it is written.
struct Write {
    /// Reads the version, writes the row.
    statements: (&'static str, &'static str),
    key: String,
    body: String,
    version: u64,
    expected: u64,
}

const PERSON: (&str, &str) = (
    "SELECT version FROM people WHERE id = ?1",
    "INSERT INTO people (id, version, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET version = ?2, body = ?3",
);
const ALIAS: (&str, &str) = (
    "SELECT version FROM aliases WHERE key = ?1",
    "INSERT INTO aliases (key, version, body) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET version = ?2, body = ?3",
);

impl Write {
    /// Whether the stored version is the expected one.
    fn applies(&self, db: &Connection) -> rusqlite::Result<bool> {
        let stored: Option<u64> = db.prepare_cached(self.statements.0)?.query_row([&self.key], |row| row.get(0)).optional()?;
        Ok(stored.unwrap_or(0) == self.expected)
    }

    fn apply(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(self.statements.1)?.execute(params![self.key, self.version, self.body]).map(drop)
    }
}

impl Store for SqliteStore {
    async fn find(&self, aliases: &[AliasKey], people: &[PersonId]) -> Result<Found, StoreError> {
        let doing = "find people";
        let aliases: BTreeSet<AliasKey> = aliases.iter().cloned().collect();
        let people: BTreeSet<PersonId> = people.iter().cloned().collect();
        let read = move |db: &Connection| {
            let mut alias = db.prepare_cached("SELECT body FROM aliases WHERE key = ?1")?;
            let mut person = db.prepare_cached("SELECT body FROM people WHERE id = ?1")?;
            let (mut found_aliases, mut found_people) = (Vec::new(), Vec::new());
            for key in &aliases {
                found_aliases.extend(alias.query_row([key.as_str()], |row| row.get(0)).optional()?.map(|body| (key.clone(), body)));
            }
            for id in &people {
                found_people.extend(person.query_row([id.as_str()], |row| row.get(0)).optional()?.map(|body| (id.clone(), body)));
            }
            Ok((found_aliases, found_people))
        };
        let (aliases, people): (Vec<(_, String)>, Vec<(_, String)>) = self.db.read(read).await.map_err(failed(doing))?;
        Ok(Found {
            aliases: aliases.into_iter().map(|(key, body)| Ok((key, parse(doing, &body)?))).collect::<Result<_, _>>()?,
            people: people.into_iter().map(|(id, body)| Ok((id, parse(doing, &body)?))).collect::<Result<_, _>>()?,
        })
    }

    async fn commit(&self, puts: Vec<Put>) -> Result<Commit, StoreError> {
        let doing = "commit";
        let write = |put| match put {
            Put::Person { person, expected } => {
                let body = json(doing, &person)?;
                Ok(Write { statements: PERSON, key: person.id.as_str().to_owned(), body, version: person.version, expected })
            }
            Put::Alias { key, alias, expected } => {
                let alias = Alias { version: expected + 1, ..alias };
                let body = json(doing, &alias)?;
                Ok(Write { statements: ALIAS, key: key.as_str().to_owned(), body, version: alias.version, expected })
            }
        };
        let writes = puts.into_iter().map(write).collect::<Result<Vec<_>, StoreError>>()?;
        let commit = move |db: &Connection| {
            // All conditions before the first write: the transaction is shared, so nothing can be taken back alone.
            for write in &writes {
                if !write.applies(db)? {
                    return Ok(Commit::Conflict);
                }
            }
            writes.iter().try_for_each(|write| write.apply(db))?;
            Ok(Commit::Done)
        };
        self.db.write(commit).await.map_err(failed(doing))
    }

    async fn with_marks(&self, destination: Destination, people: &[PersonId]) -> Result<BTreeMap<PersonId, (Person, Mark)>, StoreError> {
        let doing = "read marks";
        let people: BTreeSet<PersonId> = people.iter().cloned().collect();
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached(
                "SELECT people.body, marks.body FROM people \
                 LEFT JOIN marks ON marks.person = people.id AND marks.destination = ?2 WHERE people.id = ?1",
            )?;
            let mut found: Vec<(PersonId, String, Option<String>)> = Vec::new();
            for id in &people {
                let row = select.query_row([id.as_str(), destination.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                found.extend(row.map(|(person, mark)| (id.clone(), person, mark)));
            }
            Ok(found)
        };
        let found = self.db.read(read).await.map_err(failed(doing))?;
        let parsed = |(id, person, mark): (PersonId, String, Option<String>)| {
            let mark = mark.map(|mark| parse(doing, &mark)).transpose()?.unwrap_or_default();
            Ok((id, (parse(doing, &person)?, mark)))
        };
        found.into_iter().map(parsed).collect()
    }

    async fn put_marks(&self, destination: Destination, marks: Vec<(PersonId, Mark)>) -> Result<Vec<Commit>, StoreError> {
        let doing = "write marks";
        let next = |(person, mark): (PersonId, Mark)| {
            let expected = mark.version;
            let body = json(doing, &Mark { version: expected + 1, ..mark })?;
            Ok((person, expected, body))
        };
        let marks = marks.into_iter().map(next).collect::<Result<Vec<_>, StoreError>>()?;
        let write = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT INTO marks (person, destination, version, body) VALUES (?1, ?2, 1, ?3) ON CONFLICT (person, destination) DO NOTHING",
            )?;
            let mut update =
                db.prepare_cached("UPDATE marks SET version = ?4 + 1, body = ?3 WHERE person = ?1 AND destination = ?2 AND version = ?4")?;
            let put = |(person, expected, body): &(PersonId, u64, String)| {
                let changed = match expected {
                    0 => insert.execute(params![person.as_str(), destination.as_str(), body])?,
                    version => update.execute(params![person.as_str(), destination.as_str(), body, version])?,
                };
                Ok(if changed == 1 { Commit::Done } else { Commit::Conflict })
            };
            marks.iter().map(put).collect::<rusqlite::Result<Vec<_>>>()
        };
        self.db.write(write).await.map_err(failed(doing))
    }

    async fn set_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        let doing = "set wakes";
        let wakes = wakes.into_iter().map(|wake| Ok((json(doing, &wake)?, wake))).collect::<Result<Vec<_>, StoreError>>()?;
        let write = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT INTO wakes (person, reason, due, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (person, reason) DO UPDATE SET due = ?3, body = ?4",
            )?;
            for (body, wake) in &wakes {
                insert.execute(params![wake.person.as_str(), wake.reason.name(), wake.due.millis(), body])?;
            }
            Ok(())
        };
        self.db.write(write).await.map_err(failed(doing))
    }

    async fn due_wakes(&self, now: Timestamp, limit: usize) -> Result<Vec<Wake>, StoreError> {
        let doing = "read wakes";
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT body FROM wakes WHERE due <= ?1 ORDER BY due, person LIMIT ?2")?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            select.query_map([now.millis(), limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let bodies = self.db.read(read).await.map_err(failed(doing))?;
        bodies.iter().map(|body| parse(doing, body)).collect()
    }

    async fn clear_wakes(&self, wakes: Vec<Wake>) -> Result<(), StoreError> {
        let write = move |db: &Connection| {
            let mut delete = db.prepare_cached("DELETE FROM wakes WHERE person = ?1 AND reason = ?2 AND due = ?3")?;
            for wake in &wakes {
                delete.execute(params![wake.person.as_str(), wake.reason.name(), wake.due.millis()])?;
            }
            Ok(())
        };
        self.db.write(write).await.map_err(failed("clear wakes"))
    }

    async fn record(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let doing = "record outcomes";
        let records = records.into_iter().map(|record| Ok((json(doing, &record)?, record))).collect::<Result<Vec<_>, StoreError>>()?;
        let write = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT INTO history (event, stage, expires, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (event, stage) DO UPDATE SET expires = ?3, body = ?4",
            )?;
            let mut clear =
                db.prepare_cached("DELETE FROM history WHERE n IN (SELECT n FROM history ORDER BY n LIMIT ?2) AND expires <= ?1")?;
            for (body, record) in &records {
                insert.execute(params![record.event.as_str(), record.stage, record.at.plus(HISTORY_KEPT).millis(), body])?;
                if db.last_insert_rowid() % CLEARING_EVERY == 0 {
                    clear.execute([record.at.millis(), 4 * CLEARING_EVERY])?;
                }
            }
            Ok(())
        };
        self.db.write(write).await.map_err(failed(doing))
    }

    async fn note_conflicts(&self, notes: Vec<ConflictNote>) -> Result<(), StoreError> {
        let doing = "note conflicts";
        let notes = notes.into_iter().map(|note| Ok((json(doing, &note)?, note))).collect::<Result<Vec<_>, StoreError>>()?;
        let write = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT INTO conflicts (workspace, id, at, body) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (workspace, id) DO UPDATE SET at = ?3, body = ?4",
            )?;
            for (body, note) in &notes {
                insert.execute(params![note.workspace.as_str(), note.id.as_str(), note.at.millis(), body])?;
            }
            Ok(())
        };
        self.db.write(write).await.map_err(failed(doing))
    }

    async fn conflicts(&self, workspace: &Workspace) -> Result<Vec<ConflictNote>, StoreError> {
        let doing = "read conflicts";
        let workspace = workspace.clone();
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT body FROM conflicts WHERE workspace = ?1 ORDER BY at DESC, id")?;
            select.query_map([workspace.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let bodies = self.db.read(read).await.map_err(failed(doing))?;
        bodies.iter().map(|body| parse(doing, body)).collect()
    }

    async fn clear_conflicts(&self, workspace: &Workspace, ids: Vec<ConflictId>) -> Result<(), StoreError> {
        let workspace = workspace.clone();
        let write = move |db: &Connection| {
            let mut delete = db.prepare_cached("DELETE FROM conflicts WHERE workspace = ?1 AND id = ?2")?;
            for id in &ids {
                delete.execute([workspace.as_str(), id.as_str()])?;
            }
            Ok(())
        };
        self.db.write(write).await.map_err(failed("clear conflicts"))
    }

    async fn history(&self, event: &EventId, now: Timestamp) -> Result<Vec<Record>, StoreError> {
        let doing = "read history";
        let event = event.clone();
        let read = move |db: &Connection| {
            let mut select = db.prepare_cached("SELECT body FROM history WHERE event = ?1 AND expires > ?2 ORDER BY stage")?;
            select.query_map(params![event.as_str(), now.millis()], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let bodies = self.db.read(read).await.map_err(failed(doing))?;
        bodies.iter().map(|body| parse(doing, body)).collect()
    }
}

pub(super) fn failed(doing: &'static str) -> impl Fn(String) -> StoreError {
    move |message| StoreError { doing, message }
}

// serde_json's errors can quote the value that they stumbled over.

pub(super) fn json<T: Serialize>(doing: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError { doing, message: "a record cannot be written as JSON".to_owned() })
}

pub(super) fn parse<T: DeserializeOwned>(doing: &'static str, body: &str) -> Result<T, StoreError> {
    let unreadable = |_| StoreError { doing, message: "a record cannot be read; was it written by a newer version?".to_owned() };
    serde_json::from_str(body).map_err(unreadable)
}
