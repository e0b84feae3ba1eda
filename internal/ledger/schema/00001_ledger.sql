-- +goose Up
-- Entries that the journal has not numbered yet. Payload: sealed under the key payload_key.
CREATE TABLE ledger_pending (
    k           {{queueid}},
    id          TEXT   NOT NULL,
    happened    BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    body        BYTEA  NOT NULL,
    payload     BYTEA,
    payload_key TEXT   NOT NULL
);
-- Which schema files were recorded, with the hash of their text. Public.
CREATE TABLE ledger_migration (
    module  TEXT   NOT NULL,
    version BIGINT NOT NULL,
    sha256  TEXT   NOT NULL,
    PRIMARY KEY (module, version)
);
