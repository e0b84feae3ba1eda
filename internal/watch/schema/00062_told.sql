-- +goose Up
-- inhibited: what makes the alarm no news, 'maintenance' or a rule that fires; '' = nothing.
ALTER TABLE watch_alarm ADD COLUMN inhibited TEXT NOT NULL DEFAULT '';
-- How often it came back in the hour since flap_from, and when that is told next; flapping 0 = it does not flap.
ALTER TABLE watch_alarm ADD COLUMN flap_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE watch_alarm ADD COLUMN flap_hour BIGINT NOT NULL DEFAULT 0;
ALTER TABLE watch_alarm ADD COLUMN flapping BIGINT NOT NULL DEFAULT 0;
CREATE INDEX watch_alarm_flapping ON watch_alarm (flapping);
-- When tickets are not told. days: JSON, 0 = Sunday; begins, ends: minutes of the day, ends at or before
-- begins = on the next day. Kept while it stands; staff may export it; there is nothing personal in it to erase.
CREATE TABLE watch_mute (
	name TEXT NOT NULL PRIMARY KEY,
	days TEXT NOT NULL,
	begins BIGINT NOT NULL,
	ends BIGINT NOT NULL,
	zone TEXT NOT NULL,
	made BIGINT NOT NULL,
	made_by TEXT NOT NULL -- kind/id
);
