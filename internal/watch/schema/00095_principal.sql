-- +goose Up
-- Which writing of a person's habits this is. Several servers may see the same person: each writes
-- only over the version that it has read.
ALTER TABLE watch_principal ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
