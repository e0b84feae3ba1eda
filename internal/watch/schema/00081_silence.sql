-- +goose Up
-- What a silence belongs to: clause/ID or incident/ID; '' = nothing.
ALTER TABLE watch_silence ADD COLUMN link TEXT NOT NULL DEFAULT '';
