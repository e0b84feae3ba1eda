-- +goose Up
-- The newest try of a server, in an incident, that set the mode: one that began before it sets it no
-- more. Public; nothing to export or erase.
ALTER TABLE gateway_mode ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
