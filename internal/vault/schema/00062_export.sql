-- +goose Up
-- Exports: values under a path that somebody wants to carry away, for a reason, and who agreed. The
-- values are not kept here. Export: staff. Erase: 400 d after they were asked for.
CREATE TABLE vault_export (
    id       TEXT   NOT NULL PRIMARY KEY,
    team     TEXT   NOT NULL,
    path     TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    asker    TEXT   NOT NULL, -- kind/id
    asked    BIGINT NOT NULL,
    approver TEXT   NOT NULL, -- kind/id, '' = nobody yet
    approved BIGINT NOT NULL,
    taken    BIGINT NOT NULL  -- 0 = not
);
CREATE INDEX vault_export_team ON vault_export (team, asked);
