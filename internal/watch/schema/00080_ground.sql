-- +goose Up
-- What an alarm of a reading rests on, as JSON: the number, and what was usual at that minute.
-- Empty where it rests on entries. Nothing personal: series of people have pseudonyms.
ALTER TABLE watch_alarm ADD COLUMN ground TEXT NOT NULL DEFAULT '';
