-- +goose Up
-- An edit is a new version: root is the id of the first. needs: why a second person must approve, wide or
-- long; '' = nobody. warned: when its maker was told that it ends soon. Staff may export it; there is
-- nothing personal in it to erase.
ALTER TABLE watch_silence ADD COLUMN root TEXT NOT NULL DEFAULT '';
ALTER TABLE watch_silence ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE watch_silence ADD COLUMN former TEXT NOT NULL DEFAULT '';
ALTER TABLE watch_silence ADD COLUMN needs TEXT NOT NULL DEFAULT '';
ALTER TABLE watch_silence ADD COLUMN approved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE watch_silence ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';
ALTER TABLE watch_silence ADD COLUMN warned BIGINT NOT NULL DEFAULT 0;
-- Which alarms a silence kept quiet. Kept as long as the silence.
CREATE TABLE watch_hidden (
	silence TEXT NOT NULL,
	alarm TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (silence, alarm)
);
