-- +goose Up
-- Keys of a session work with a token beside the secret: its SHA-256, '' for other keys.
ALTER TABLE vault_access_key ADD COLUMN session TEXT NOT NULL DEFAULT '';
-- How many there are of each tier, for the limits of the wire.
CREATE INDEX vault_param_tier ON vault_param (team, tier);
-- Keys that programs encrypt with (package kms). The key itself is the keyring's, under the
-- subject kms/ID; here is its name. path: which access keys reach it. Export: the team. Erase:
-- by destroying the subject's key; the row stays, and says so.
CREATE TABLE vault_kms_key (
    id          TEXT    NOT NULL PRIMARY KEY, -- a UUID
    team        TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    description TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    version     BIGINT  NOT NULL,
    made        BIGINT  NOT NULL,
    made_by     TEXT    NOT NULL, -- kind/id
    renewed     BIGINT  NOT NULL
);
CREATE INDEX vault_kms_key_team ON vault_kms_key (team, id);
-- Names of such keys. Export, erase: as the key.
CREATE TABLE vault_kms_alias (
    team    TEXT   NOT NULL,
    alias   BYTEA  NOT NULL, -- alias/… as bytes, so that both databases order them alike
    key_id  TEXT   NOT NULL REFERENCES vault_kms_key (id),
    made    BIGINT NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (team, alias)
);
CREATE INDEX vault_kms_alias_key ON vault_kms_alias (key_id);
-- What is said about a name, or about all names below a path. Export, erase: with the team.
CREATE TABLE vault_about (
    team      TEXT    NOT NULL,
    name      BYTEA   NOT NULL,
    owner     TEXT    NOT NULL, -- kind/id; '' = nobody is named
    clause    TEXT    NOT NULL, -- of the policy, that it serves; '' = none
    rotation  BIGINT  NOT NULL, -- days after which the value is due for another; 0 = none
    critical  BOOLEAN NOT NULL,
    sensitive BOOLEAN NOT NULL, -- SecureString only
    PRIMARY KEY (team, name)
);
