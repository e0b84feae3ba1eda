-- +goose Up
-- The share of teams, in per cent, that may come while the application is opened again.
ALTER TABLE gateway_mode ADD COLUMN share BIGINT NOT NULL DEFAULT 0;
