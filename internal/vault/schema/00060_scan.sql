-- +goose Up
-- Places that were searched for credentials, and what the last scan of each saw. host '' is this
-- server. Every scan is an entry of the journal. unread, hits: of the last scan; failed: why the last
-- one could not be made. Export: staff. Erase: a place that is declared no more, after 400 d.
CREATE TABLE vault_scan (
    id       TEXT    NOT NULL PRIMARY KEY,
    team     TEXT    NOT NULL,
    host     TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    scanned  BIGINT  NOT NULL, -- when the last one ended well; 0 = never
    tried    BIGINT  NOT NULL,
    files    BIGINT  NOT NULL,
    bytes    BIGINT  NOT NULL,
    unread   BIGINT  NOT NULL,
    hits     BIGINT  NOT NULL,
    excepted BIGINT  NOT NULL,
    known    BOOLEAN NOT NULL, -- the values of the vault were compared too
    failed   TEXT    NOT NULL,
    scanner  TEXT    NOT NULL, -- kind/id
    UNIQUE (team, host, path)
);
-- What was found where it should not be. masked: four characters and a length at most; name: of a value
-- that the vault keeps. A hit is open until a later scan of its place does not see it, or somebody says
-- that it is mended, or excepts it until a day. Export: staff. Erase: with its place.
CREATE TABLE vault_scan_hit (
    scan      TEXT   NOT NULL REFERENCES vault_scan (id),
    id        TEXT   NOT NULL,
    rule      TEXT   NOT NULL,
    says      TEXT   NOT NULL,
    file      TEXT   NOT NULL,
    line      BIGINT NOT NULL,
    commit_id TEXT   NOT NULL,
    masked    TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    state     TEXT   NOT NULL, -- open, mended, excepted
    until     BIGINT NOT NULL, -- of an exception; 0 = none
    reason    TEXT   NOT NULL,
    decided   TEXT   NOT NULL, -- kind/id of whoever said mended or excepted
    found     BIGINT NOT NULL,
    seen      BIGINT NOT NULL, -- by the last scan that saw it
    PRIMARY KEY (scan, id)
);
CREATE INDEX vault_scan_hit_state ON vault_scan_hit (state, until);
