-- +goose Up
-- Which description of the application's interface is in force: one row. Public; nothing to export or erase.
CREATE TABLE gateway_described (
    one     BIGINT PRIMARY KEY CHECK (one = 1),
    hash    TEXT   NOT NULL,
    adopted BIGINT NOT NULL
);
INSERT INTO gateway_described (one, hash, adopted) VALUES (1, '', 0);
-- The files of that description, for a start at which they are broken. Public; nothing to export or erase.
CREATE TABLE gateway_description (
    place BIGINT PRIMARY KEY,
    name  TEXT   NOT NULL,
    body  BYTEA  NOT NULL
);
-- How often a token asked on a day; the key is the token's id and the rule. Of nobody by itself: the days before
-- yesterday are removed, and a token that ended has no more. Not exported.
CREATE TABLE gateway_quota (
    day  BIGINT NOT NULL,
    key  TEXT   NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (day, key)
);
-- The nodes that are at work, by a number that grows while they are. Public; nothing to export or erase.
CREATE TABLE gateway_node (
    id   TEXT   PRIMARY KEY,
    beat BIGINT NOT NULL
);
