-- +goose Up
-- The numbers of the first entries that were counted there, apart by blanks: at least 20 of them, or all.
ALTER TABLE watch_count ADD COLUMN entries TEXT NOT NULL DEFAULT '';
