-- +goose Up
-- Meters that the company declares and whose samples are pushed. every: the expected interval, in
-- microseconds. bounds: JSON. ended: when it was removed; 0 = it is there. A row is never deleted, because
-- its series are of its kind. Staff may export it; there is nothing personal in it to erase.
CREATE TABLE watch_gauge (
	name TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL, -- count, spread, level
	unit TEXT NOT NULL,
	says TEXT NOT NULL,
	every BIGINT NOT NULL,
	bounds TEXT NOT NULL,
	made BIGINT NOT NULL,
	changed BIGINT NOT NULL,
	changed_by TEXT NOT NULL, -- kind/id
	ended BIGINT NOT NULL
);
