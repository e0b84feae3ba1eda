-- +goose Up
-- The head: one row. Whoever numbers entries holds its lock; epoch says who may.
-- Public: size, root and note hold no personal data. Kept for ever.
CREATE TABLE journal_head (
    one    {{rowid}},
    origin TEXT   NOT NULL,
    epoch  BIGINT NOT NULL,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL,
    beat   BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    root   BYTEA  NOT NULL,
    at     BIGINT NOT NULL,
    signed BIGINT NOT NULL,
    note   BYTEA  NOT NULL
);
-- The leaves, as hashed: commitments and pseudonyms, no personal data. Kept for ever.
CREATE TABLE journal_entry (
    n      {{rowid}},
    id     TEXT   NOT NULL UNIQUE,
    stream TEXT   NOT NULL,
    sn     BIGINT NOT NULL,
    leaf   BYTEA  NOT NULL
);
-- Personal values and salts, sealed under the subject's key. Erased with that key.
CREATE TABLE journal_payload (
    n      {{rowid}},
    id     TEXT  NOT NULL,
    key_id TEXT  NOT NULL,
    box    BYTEA NOT NULL
);
-- The stored hashes of the tree. Kept for ever.
CREATE TABLE journal_hash (
    i    {{rowid}},
    hash BYTEA NOT NULL
);
-- How many entries each stream has.
CREATE TABLE journal_stream (
    name  TEXT PRIMARY KEY,
    count BIGINT NOT NULL
);
-- Signed checkpoints that were sent or are kept by the clock. Kept for ever.
CREATE TABLE journal_checkpoint (
    size {{rowid}},
    at   BIGINT NOT NULL,
    why  TEXT   NOT NULL,
    root BYTEA  NOT NULL,
    note BYTEA  NOT NULL
);
-- For drill-down; can be rebuilt from the leaves. Persons as pseudonyms.
CREATE TABLE journal_index (
    n       {{rowid}},
    act     TEXT   NOT NULL,
    object  TEXT   NOT NULL,
    clause  TEXT   NOT NULL,
    actor   TEXT   NOT NULL,
    subject TEXT   NOT NULL
);
CREATE INDEX journal_index_act ON journal_index (act, n);
CREATE INDEX journal_index_object ON journal_index (object, n) WHERE object <> '';
CREATE INDEX journal_index_clause ON journal_index (clause, n) WHERE clause <> '';
CREATE INDEX journal_index_actor ON journal_index (actor, n);
CREATE INDEX journal_index_subject ON journal_index (subject, n) WHERE subject <> '';
-- How far each follower has read.
CREATE TABLE journal_cursor (
    name TEXT PRIMARY KEY,
    n    BIGINT NOT NULL
);
