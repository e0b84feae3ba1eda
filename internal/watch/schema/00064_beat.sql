-- +goose Up
-- When each node's heartbeat last came through, and how long it took (ms). A node that stops in
-- order takes its row away; others go after a day. Public; nothing to erase.
CREATE TABLE watch_beat (
	node TEXT NOT NULL PRIMARY KEY,
	at BIGINT NOT NULL,
	took BIGINT NOT NULL
);
