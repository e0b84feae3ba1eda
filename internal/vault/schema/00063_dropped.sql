-- +goose Up
-- Open hits of the last scan that went beyond what is kept of a place: it is not clean while there are any.
ALTER TABLE vault_scan ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;
