-- +goose Up
-- Networks that reach nothing here, each until it ends by itself. owner and ended_by: kind/id of who blocked it and of
-- who ended that. A network of one address may name a person. Export: it belongs to nobody who is known. Erase: rows go
-- 90 days after they ended; entries name no network finer than 256 addresses.
CREATE TABLE gateway_block (
    id       TEXT   NOT NULL PRIMARY KEY,
    network  TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    incident TEXT   NOT NULL, -- '' = none
    owner    TEXT   NOT NULL,
    made     BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    ended    BIGINT NOT NULL, -- 0 = not yet
    ended_by TEXT   NOT NULL
);
CREATE INDEX gateway_block_ended ON gateway_block (ended, until);
