-- +goose Up
-- What incidents that are over rest on: the events of their alarms, and the accesses of a breach. name:
-- I-7. alarms: the rules that told of it; seen: those of one's own that fired on it when it was kept; ids
-- with spaces between. missed: events that found no room. sha256: of what is
-- sealed. box: the events, under pseudonyms, packed, under the key of the incident. Kept as long as
-- that key, at most 7 years; staff may export the counts; what is in the box is erased with the key.
CREATE TABLE watch_kept (
	incident TEXT NOT NULL PRIMARY KEY,
	name TEXT NOT NULL,
	kept BIGINT NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT NOT NULL,
	alarms TEXT NOT NULL,
	seen TEXT NOT NULL,
	events BIGINT NOT NULL,
	missed BIGINT NOT NULL,
	sha256 TEXT NOT NULL,
	box BYTEA NOT NULL
);
