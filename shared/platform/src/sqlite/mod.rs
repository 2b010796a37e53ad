//! The ports on one SQLite file, for one machine. What was acknowledged is on the disk: the process may be killed, and the
//! power may fail.
//!
//! One thread owns the connection that writes, another one that reads. Callers leave work on a channel; the writer does
//! all that is waiting in one transaction, commits it once, and only then answers. So a hundred callers share the cost
//! of one write to the disk, and a read sees everything that was acknowledged before it began.
//! <https://www.sqlite.org/wal.html>

mod ledger;
mod queue;
mod store;

pub use queue::{Depth, SqliteQueue};
pub use store::SqliteStore;

use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The file in the folder.
pub const FILE_NAME: &str = "trefoil.db";
/// Kept apart from the database, so that the lock is ours alone.
const LOCK_SUFFIX: &str = ".lock";
/// Version of the tables, kept in the file.
const SCHEMA_VERSION: i64 = 1;
/// Requests in one transaction: enough to share a write to the disk, few enough that the first does not wait long.
const TOGETHER: usize = 512;

/// An open file. Clones share it; when the last one is gone, the work that was begun is done, and the file is closed.
#[derive(Clone)]
pub struct Db(Arc<Threads>);

struct Threads {
    // Dropped first: what writes cleans the file up and releases the lock.
    reader: Worker,
    writer: Worker,
}

/// Why the file cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    InUse(PathBuf),
    /// There is nothing to attach to.
    Missing(PathBuf),
    /// It was written by another version of this program.
    Version { path: PathBuf, found: i64 },
    /// The folder cannot be made, or the file not be used.
    Unusable { path: PathBuf, why: String },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                write!(f, "{} is in use by another process; stop it first, or choose another folder", path.display())
            }
            Self::Missing(path) => {
                write!(f, "{} does not exist; name the folder that `trefoil serve` was given as --data", path.display())
            }
            Self::Version { path, found } => {
                write!(
                    f,
                    "{} has tables of version {found}, this program knows {SCHEMA_VERSION}; use the program that wrote it",
                    path.display()
                )
            }
            Self::Unusable { path, why } => write!(f, "{} cannot be used: {why}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

impl Db {
    /// Opens or makes the file in this folder, which is made too. Messages that were being worked on when the file was
    /// last in use are visible again at once.
    ///
    /// # Errors
    /// The file is in use, of another version, or cannot be used.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        std::fs::create_dir_all(folder).map_err(|why| OpenError::Unusable { path: path.clone(), why: why.to_string() })?;
        Self::open_file(&path)
    }

    /// As [`Db::open`], with a file of any name in a folder that is there. Beside it lies another one, with `.lock` after
    /// its name.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_file(path: &Path) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let unusable = |why: &dyn fmt::Display| OpenError::Unusable { path: path.clone(), why: why.to_string() };
        let mut lock = path.clone().into_os_string();
        lock.push(LOCK_SUFFIX);
        // Never emptied: under that name somebody may keep something else.
        let lock = File::options().write(true).create(true).truncate(false).open(lock).map_err(|why| unusable(&why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path)),
            Err(TryLockError::Error(why)) => return Err(unusable(&why)),
        }
        let write = Connection::open(&path).and_then(configured).map_err(|why| unusable(&why))?;
        match write.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|why| unusable(&why))? {
            0 | SCHEMA_VERSION => {}
            found => return Err(OpenError::Version { path, found }),
        }
        let prepared = write
            .execute_batch(&format!("BEGIN;\n{}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;", include_str!("schema.sql")))
            .and_then(|()| queue::release_held(&write));
        prepared.map_err(|why| unusable(&why))?;
        // The lock lives as long as the thread that writes.
        Self::start(&path, write, Some(lock)).map_err(|why| unusable(&why))
    }

    /// Opens the file in this folder beside the process that runs on it, if one does: nothing is made, changed or released
    /// by that. Messages that are sent are found by that process within a second. Nothing may be received.
    ///
    /// # Errors
    /// There is no file, it is of another version, or cannot be used.
    pub fn attach(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(FILE_NAME);
        let unusable = |why: &dyn fmt::Display| OpenError::Unusable { path: path.clone(), why: why.to_string() };
        if !path.try_exists().map_err(|why| unusable(&why))? {
            return Err(OpenError::Missing(path));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let write = Connection::open_with_flags(&path, flags).and_then(configured).map_err(|why| unusable(&why))?;
        match write.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|why| unusable(&why))? {
            SCHEMA_VERSION => {}
            found => return Err(OpenError::Version { path, found }),
        }
        Self::start(&path, write, None).map_err(|why| unusable(&why))
    }

    fn start(path: &Path, write: Connection, lock: Option<File>) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read = Connection::open_with_flags(path, flags).and_then(configured).map_err(|why| why.to_string())?;
        let writer = Worker::start("trefoil-db-write", write, "BEGIN IMMEDIATE", lock).map_err(|why| why.to_string())?;
        let reader = Worker::start("trefoil-db-read", read, "BEGIN", None).map_err(|why| why.to_string())?;
        Ok(Self(Arc::new(Threads { writer, reader })))
    }

    /// Runs `work` in a transaction that is on the disk when this returns. It shares the transaction with others, and is
    /// run again on its own when one of them failed: it must not keep anything between runs.
    async fn write<T: Send + 'static>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static) -> Result<T, String> {
        self.0.writer.call(work).await
    }

    /// Runs `work` on a view of all that was acknowledged.
    async fn read<T: Send + 'static>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static) -> Result<T, String> {
        self.0.reader.call(work).await
    }
}

fn configured(db: Connection) -> rusqlite::Result<Connection> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    // Pages of 4 KiB: a checkpoint each 16 MiB instead of each 4 keeps pages that change all the time out of it.
    db.pragma_update(None, "wal_autocheckpoint", 4096)?;
    db.pragma_update(None, "cache_size", -64 * 1024)?;
    db.pragma_update(None, "temp_store", "memory")?;
    Ok(db)
}

/// Work for one of the threads.
trait Request: Send {
    /// Does it, and remembers the result.
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), String>);
}

struct Call<T, F> {
    work: F,
    result: Option<T>,
    caller: oneshot::Sender<Result<T, String>>,
}

impl<T: Send, F: Fn(&Connection) -> rusqlite::Result<T> + Send> Request for Call<T, F> {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), String>) {
        let Self { result, caller, .. } = *self;
        let answer = outcome.and_then(|()| result.ok_or_else(|| "the work was not done".to_owned()));
        // A caller that has gone away does not want to know.
        drop(caller.send(answer));
    }
}

/// A thread that owns a connection, and does what it is sent.
struct Worker {
    /// `None` only while it is being dropped.
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(name: &str, db: Connection, begin: &'static str, lock: Option<File>) -> std::io::Result<Self> {
        let (sender, requests) = mpsc::channel::<Box<dyn Request>>();
        let serve = move || {
            while let Ok(first) = requests.recv() {
                let mut together = vec![first];
                together.extend(requests.try_iter().take(TOGETHER - 1));
                serve(&db, begin, together);
            }
            // Only in this order: the next one to open the file must find it closed.
            drop(db);
            // Said aloud: closing our handle leaves the lock with a child that another thread is just starting, until the
            // child has become its program. <https://man7.org/linux/man-pages/man2/flock.2.html>
            if let Some(Err(error)) = lock.map(|lock| lock.unlock()) {
                tracing::warn!(%error, "the lock file was not unlocked");
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self { requests: Some(sender), thread: Some(thread) })
    }

    async fn call<T, F>(&self, work: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let request = Box::new(Call { work, result: None, caller });
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        let gone = || "the database's thread has stopped; start the program again".to_owned();
        if sent { answer.await.map_err(|_| gone())? } else { Err(gone()) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, and then it has said so.
            drop(thread.join());
        }
    }
}

fn serve(db: &Connection, begin: &str, mut together: Vec<Box<dyn Request>>) {
    if transaction(db, begin, &mut together).is_ok() {
        together.into_iter().for_each(|request| request.answer(Ok(())));
        return;
    }
    // One of them failed, or the disk did: each for itself, so that only the one at fault is told so.
    for request in together {
        let mut alone = [request];
        let outcome = transaction(db, begin, &mut alone);
        let [request] = alone;
        request.answer(outcome.map_err(|error| error.to_string()));
    }
}

fn transaction(db: &Connection, begin: &str, requests: &mut [Box<dyn Request>]) -> rusqlite::Result<()> {
    db.prepare_cached(begin)?.execute([])?;
    let done =
        requests.iter_mut().try_for_each(|request| request.run(db)).and_then(|()| db.prepare_cached("COMMIT")?.execute([]).map(drop));
    if done.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    done
}

#[cfg(test)]
mod tests;
