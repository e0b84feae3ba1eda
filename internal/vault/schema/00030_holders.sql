-- +goose Up
-- Who holds a share of the root key. key: the public half of the holder's key, and what a
-- passkey needs (JSON); nothing in it is secret. team: 'staff', or a control's own.
-- Export: the entries of the person's own copy say it. Erase: when the person is erased the
-- holder has left before; the key is emptied with that, and the row names people by id alone.
CREATE TABLE vault_holder (
    id        TEXT   NOT NULL PRIMARY KEY,
    team      TEXT   NOT NULL,
    person    TEXT   NOT NULL,
    state     TEXT   NOT NULL, -- appointed, enrolled, ended
    cause     TEXT   NOT NULL, -- of the end: '', removed, left
    key_id    TEXT   NOT NULL, -- '' until enrolled
    key       BYTEA  NOT NULL,
    appointed BIGINT NOT NULL,
    enrolled  BIGINT,
    ended     BIGINT
);
CREATE UNIQUE INDEX vault_holder_person ON vault_holder (team, person) WHERE state <> 'ended';
-- Sets of shares: the root key split. The shares themselves are in boot.json, sealed to
-- their holders. Export: nobody. Erase: names nobody.
CREATE TABLE vault_holder_set (
    id      TEXT   NOT NULL PRIMARY KEY,
    root    TEXT   NOT NULL, -- fingerprint of the root key
    need    BIGINT NOT NULL,
    total   BIGINT NOT NULL,
    state   TEXT   NOT NULL, -- prepared, live, ended
    made    BIGINT NOT NULL,
    began   BIGINT,
    drilled BIGINT,          -- when its shares last made the root
    ended   BIGINT
);
CREATE UNIQUE INDEX vault_holder_set_live ON vault_holder_set (state) WHERE state = 'live';
-- Which key has a share of which set. Export, erase: as above.
CREATE TABLE vault_holder_share (
    set_id TEXT NOT NULL REFERENCES vault_holder_set (id),
    key_id TEXT NOT NULL,
    holder TEXT NOT NULL REFERENCES vault_holder (id),
    PRIMARY KEY (set_id, key_id)
);
-- Lines of boot.json that are entries: none becomes two. Export: nobody. Erase: names nobody.
CREATE TABLE vault_seal_line (
    hash TEXT   NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);
