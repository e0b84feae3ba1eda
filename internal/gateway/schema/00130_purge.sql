-- +goose Up
-- What was purged from the caches, so that every node does it: kept for an hour. Public;
-- nothing to export or erase.
CREATE TABLE gateway_purge (
    id     TEXT   PRIMARY KEY,
    path   TEXT   NOT NULL,
    tag    TEXT   NOT NULL,
    purged BIGINT NOT NULL
);
CREATE INDEX gateway_purge_purged ON gateway_purge (purged);
