-- +goose Up
-- The company's credentials. head: title, folder, vendor, labels and what is no secret,
-- sealed under the key of the team's items. critical, sensitive, dates: in clear, for
-- controls. rotate: days, 0 = never. due: when it is to be replaced, µs. secret_set: when
-- the main secret changed last. host, password: blind indexes (128 bits of a MAC), '' =
-- none; hosts of one login are separated by spaces. deleted: kept 30 days from then, then
-- erased. Export: nobody in bulk; each field to whom it is shared with. Erase: with the
-- team (its keys are destroyed), or the row when the 30 days are over.
CREATE TABLE vault_item (
    id         TEXT    NOT NULL PRIMARY KEY,
    team       TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    version    BIGINT  NOT NULL,
    head       BYTEA   NOT NULL,
    critical   BOOLEAN NOT NULL,
    sensitive  BOOLEAN NOT NULL,
    rotate     BIGINT  NOT NULL,
    due        BIGINT,
    secret_set BIGINT  NOT NULL,
    vendor     TEXT    NOT NULL, -- blind index of the vendor's name
    host       TEXT    NOT NULL,
    password   TEXT    NOT NULL,
    made       BIGINT  NOT NULL,
    changed    BIGINT  NOT NULL,
    changed_by TEXT    NOT NULL, -- kind/id
    deleted    BIGINT
);
CREATE INDEX vault_item_team ON vault_item (team, id);
CREATE INDEX vault_item_deleted ON vault_item (deleted);
-- What an item was at each version: its head, sealed. fields: which changed. At most 20.
-- Export, erase: as the item.
CREATE TABLE vault_item_version (
    item       TEXT   NOT NULL REFERENCES vault_item (id),
    version    BIGINT NOT NULL,
    head       BYTEA  NOT NULL,
    fields     TEXT   NOT NULL, -- ids, spaces between
    changed    BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    PRIMARY KEY (item, version)
);
-- The secrets of each version, each sealed in its place and padded. Seeds of one-time
-- codes lie under a key of their own and are never handed out. origin: the version at which
-- this value first came. Export, erase: as the item.
CREATE TABLE vault_item_field (
    item    TEXT   NOT NULL REFERENCES vault_item (id),
    version BIGINT NOT NULL,
    field   TEXT   NOT NULL,
    origin  BIGINT NOT NULL,
    value   BYTEA  NOT NULL,
    PRIMARY KEY (item, version, field)
);
-- Files of an item, at most 1 MiB each, sealed with their names. Export, erase: as the item.
CREATE TABLE vault_item_file (
    id    TEXT   NOT NULL PRIMARY KEY,
    item  TEXT   NOT NULL REFERENCES vault_item (id),
    name  BYTEA  NOT NULL,
    body  BYTEA  NOT NULL,
    size  BIGINT NOT NULL,
    added BIGINT NOT NULL,
    by_   TEXT   NOT NULL
);
CREATE INDEX vault_item_file_item ON vault_item_file (item);
-- Who may use an item. who: person/ID, role/NAME or team. level: owner, editor, viewer.
-- Export: who holds the item. Erase: as the item, or with the person.
CREATE TABLE vault_item_holder (
    item  TEXT   NOT NULL REFERENCES vault_item (id),
    who   TEXT   NOT NULL,
    level TEXT   NOT NULL,
    since BIGINT NOT NULL,
    by_   TEXT   NOT NULL,
    PRIMARY KEY (item, who)
);
CREATE INDEX vault_item_holder_who ON vault_item_holder (who);
-- Who has an item for themselves, until when; reason sealed under their key. Export: with
-- the item. Erase: when it is checked in, or with the item.
CREATE TABLE vault_item_out (
    item   TEXT   NOT NULL PRIMARY KEY REFERENCES vault_item (id),
    person TEXT   NOT NULL,
    reason BYTEA  NOT NULL,
    since  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);
-- Links that show some fields once to somebody outside. token: SHA-256. opener: address,
-- sealed under the month's key of strangers. again: refused openings after the first.
-- Export: with the item. Erase: with the item.
CREATE TABLE vault_item_link (
    id     TEXT   NOT NULL PRIMARY KEY,
    item   TEXT   NOT NULL REFERENCES vault_item (id),
    token  TEXT   NOT NULL UNIQUE,
    fields TEXT   NOT NULL, -- ids, spaces between
    maker  TEXT   NOT NULL,
    made   BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    opened BIGINT,
    opener BYTEA,
    again  BIGINT NOT NULL,
    ended  BIGINT
);
CREATE INDEX vault_item_link_item ON vault_item_link (item);
