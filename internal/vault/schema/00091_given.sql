-- +goose Up
-- When somebody was last given the value, µs; 0 = never, they only wrote it. Of rows from before
-- this column it is the last time they saw or wrote it.
ALTER TABLE vault_seen ADD COLUMN given BIGINT NOT NULL DEFAULT 0;
UPDATE vault_seen SET given = at;
