-- +goose Up
-- The parameters of a team. name, description, pattern, key_id and tags lie in clear within the
-- encrypted pages; values never do. version: the newest. lifecycle: what shall happen to it (JSON).
-- due: when it speaks next, µs; NULL = none does. Export: two people of the team. Erase:
-- with the team (its key is destroyed); the row when the parameter is deleted.
CREATE TABLE vault_param (
    id          TEXT   NOT NULL PRIMARY KEY,
    team        TEXT   NOT NULL,
    name        BYTEA  NOT NULL, -- as bytes, so that both databases order them alike
    type        TEXT   NOT NULL, -- String, StringList, SecureString
    version     BIGINT NOT NULL,
    key_id      TEXT   NOT NULL, -- alias that the client gave; '' where the type is not SecureString
    tier        TEXT   NOT NULL, -- Standard, Advanced
    data_type   TEXT   NOT NULL,
    pattern     TEXT   NOT NULL,
    description TEXT   NOT NULL,
    lifecycle   TEXT   NOT NULL,
    made        BIGINT NOT NULL,
    changed     BIGINT NOT NULL,
    changed_by  TEXT   NOT NULL, -- kind/id
    due         BIGINT,
    UNIQUE (team, name)
);
CREATE INDEX vault_param_due ON vault_param (due);
-- Every version of a value, sealed under the key of the team's vault, whatever its type.
-- Export, erase: as the parameter.
CREATE TABLE vault_version (
    param       TEXT   NOT NULL REFERENCES vault_param (id),
    version     BIGINT NOT NULL,
    value       BYTEA  NOT NULL,
    type        TEXT   NOT NULL,
    key_id      TEXT   NOT NULL,
    tier        TEXT   NOT NULL,
    data_type   TEXT   NOT NULL,
    pattern     TEXT   NOT NULL,
    description TEXT   NOT NULL,
    lifecycle   TEXT   NOT NULL,
    changed     BIGINT NOT NULL,
    changed_by  TEXT   NOT NULL,
    PRIMARY KEY (param, version)
);
-- Labels point at one version each. Export, erase: as the parameter.
CREATE TABLE vault_label (
    param   TEXT   NOT NULL REFERENCES vault_param (id),
    label   TEXT   NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (param, label)
);
-- Tags of a parameter. Export, erase: as the parameter.
CREATE TABLE vault_tag (
    param TEXT NOT NULL REFERENCES vault_param (id),
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (param, name)
);
-- Access keys of programs and people. secret: sealed under class vault.access, because the
-- scheme of the clients is symmetric. owner: kind/id without whom it does not work. path: what
-- it reaches. Export: the team, without the secret. Erase: ended with its owner; kept 400 d.
CREATE TABLE vault_access_key (
    id      TEXT    NOT NULL PRIMARY KEY,
    secret  BYTEA   NOT NULL,
    team    TEXT    NOT NULL,
    owner   TEXT    NOT NULL,
    path    TEXT    NOT NULL,
    reads   BOOLEAN NOT NULL, -- and nothing else
    issuer  TEXT    NOT NULL,
    issued  BIGINT  NOT NULL,
    expires BIGINT  NOT NULL,
    seen    BIGINT  NOT NULL, -- to the hour; 0 = never
    ended   BIGINT
);
CREATE INDEX vault_access_key_owner ON vault_access_key (owner);
-- What a repeated call is answered with: clients send a change again when an answer was
-- lost. once: SHA-256 of key, call and body. Export: nobody. Erase: after ten minutes.
CREATE TABLE vault_once (
    once    TEXT   NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    tier    TEXT   NOT NULL,
    at      BIGINT NOT NULL
);
