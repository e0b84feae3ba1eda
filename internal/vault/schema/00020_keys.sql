-- +goose Up
-- One row: whoever adds or ends a hold, or begins to destroy, takes its turn first.
CREATE TABLE vault_end_turn (
    id   BIGINT NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL
);
INSERT INTO vault_end_turn (id, turn) VALUES (1, 0);
-- Legal holds: what must not be destroyed. target: person/ID, team/ID, class/NAME, …, or
-- everything. reason: sealed under class vault.hold. Export: the staff. Erase: never, they
-- say why something was kept.
CREATE TABLE vault_hold (
    id       TEXT   NOT NULL PRIMARY KEY,
    target   TEXT   NOT NULL,
    reason   BYTEA  NOT NULL,
    made     BIGINT NOT NULL,
    made_by  TEXT   NOT NULL, -- kind/id
    ask      BIGINT,          -- when its end was asked for
    ask_by   TEXT   NOT NULL,
    ended    BIGINT,
    ended_by TEXT   NOT NULL
);
CREATE INDEX vault_hold_target ON vault_hold (target) WHERE ended IS NULL;
-- Destructions, from the asking to the certificate. kind, subject: whose key; subject is
-- blanked when the key is gone. evidence: what was there just before (JSON, sealed boxes
-- among it), blanked with the certificate. reason: sealed under class vault.hold. Export: the
-- staff; the certificate: anybody who has it. Erase: never, it names nobody.
CREATE TABLE vault_shred (
    id          TEXT   NOT NULL PRIMARY KEY,
    kind        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    label       TEXT   NOT NULL, -- person, team/NAME: what people see; no person's id
    need        BIGINT NOT NULL, -- people, with who asked if that is one
    reason      BYTEA  NOT NULL,
    asked       BIGINT NOT NULL,
    asked_by    TEXT   NOT NULL, -- kind/id
    state       TEXT   NOT NULL, -- asked, intended, done, refused, lapsed
    changed     BIGINT NOT NULL,
    evidence    TEXT   NOT NULL,
    certificate TEXT   NOT NULL,
    entry       TEXT   NOT NULL  -- id of the certificate's entry
);
CREATE INDEX vault_shred_state ON vault_shred (state, asked);
-- Who agreed. Export, erase: as the destruction.
CREATE TABLE vault_shred_agreed (
    shred  TEXT   NOT NULL REFERENCES vault_shred (id),
    person TEXT   NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (shred, person)
);
-- What was ever destroyed, so that an old copy of the database of keys can be put right.
-- Names nobody. Export: with every backup. Erase: never.
CREATE TABLE vault_destroyed (
    mark TEXT   NOT NULL PRIMARY KEY,
    kind TEXT   NOT NULL,
    keys TEXT   NOT NULL, -- ids, with spaces between
    at   BIGINT NOT NULL
);
CREATE INDEX vault_destroyed_at ON vault_destroyed (at);
