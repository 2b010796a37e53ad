-- Everything of one machine. Times are milliseconds since 1970, bodies are JSON text.

CREATE TABLE IF NOT EXISTS people (
    id      TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS aliases (
    key     TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS marks (
    person      TEXT NOT NULL,
    destination TEXT NOT NULL,
    version     INTEGER NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (person, destination)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS wakes (
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    due    INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (person, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS wakes_due ON wakes (due);

-- Ids that do not fit together, until a human has settled it.
CREATE TABLE IF NOT EXISTS conflicts (
    workspace TEXT NOT NULL,
    id        TEXT NOT NULL,
    at        INTEGER NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

-- What people see, each step before and after it is made. `wanted`: until a human has looked.
CREATE TABLE IF NOT EXISTS ledger (
    action    TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    version   INTEGER NOT NULL,
    begun     INTEGER NOT NULL,
    wanted    INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_wanted ON ledger (workspace, begun) WHERE wanted = 1;
CREATE INDEX IF NOT EXISTS ledger_expires ON ledger (expires);

-- Names of events that were sent to Intercom.
CREATE TABLE IF NOT EXISTS event_names (
    workspace TEXT PRIMARY KEY,
    version   INTEGER NOT NULL,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A rowid table, so that what was written first is found first when the expired is cleared away.
CREATE TABLE IF NOT EXISTS history (
    n       INTEGER PRIMARY KEY,
    event   TEXT NOT NULL,
    stage   TEXT NOT NULL,
    expires INTEGER NOT NULL,
    body    TEXT NOT NULL,
    UNIQUE (event, stage)
) STRICT;

-- A queue's messages, in the order in which they were sent.
CREATE TABLE IF NOT EXISTS messages (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    queue      INTEGER NOT NULL,
    grp        TEXT NOT NULL,
    body       TEXT NOT NULL,
    visible_at INTEGER NOT NULL DEFAULT 0,
    -- How often it was received.
    received   INTEGER NOT NULL DEFAULT 0,
    -- Somebody works on it. Nobody does after a restart.
    held       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS messages_of_group ON messages (queue, grp, n);

-- Groups that have messages. A group is locked until `free_at`, the time at which the last of its messages that are
-- being worked on becomes visible again. Groups are served in the order of that time.
CREATE TABLE IF NOT EXISTS groups (
    queue   INTEGER NOT NULL,
    grp     TEXT NOT NULL,
    free_at INTEGER NOT NULL,
    PRIMARY KEY (queue, grp)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS groups_free ON groups (queue, free_at);

-- What was sent lately. `era` is the sending time in units of the deduplication window, so that what is too old stands
-- together at the front.
CREATE TABLE IF NOT EXISTS sent (
    era     INTEGER NOT NULL,
    digest  BLOB NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (era, digest)
) STRICT, WITHOUT ROWID;

-- Dead letters: received too often. Kept until a human decides.
CREATE TABLE IF NOT EXISTS dead (
    n        INTEGER PRIMARY KEY,
    queue    INTEGER NOT NULL,
    grp      TEXT NOT NULL,
    body     TEXT NOT NULL,
    received INTEGER NOT NULL,
    died_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS dead_of_queue ON dead (queue, n);
